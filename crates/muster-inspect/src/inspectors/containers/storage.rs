//! The store of Podman, Buildah and CRI-O: containers/storage, its lists of containers, images and layers
//! (containers-storage(1), containers-storage.conf(5)), with the drivers overlay, vfs and btrfs.
//!
//! Image stores beside it (`additionalimagestores`), composefs and zfs are not read.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::container::Container;
use serde::Deserialize;

use super::{Finder, MAX_LIST, Store, is_plain, layers, short, unreadable};
use crate::accounts::Account;
use crate::root::obstacle;

/// The drivers that keep layers as directories.
const DRIVERS: [&str; 3] = ["overlay", "vfs", "btrfs"];

/// A row of `containers.json` or `images.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Row {
    id: String,
    names: Option<Vec<String>>,
    layer: String,
    image: String,
    metadata: String,
}

/// What Podman and CRI-O note of a container.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(rename = "image-name")]
    image_name: String,
    /// Only CRI-O notes a pod.
    #[serde(rename = "pod-id")]
    pod_id: String,
}

/// A row of `layers.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Layer {
    id: String,
    parent: String,
}

/// Stores that are used together: the layers below one may lie in another of them.
struct Family<'f> {
    stores: &'f [Store],
    driver: String,
    /// The parent of each layer that is listed; the lowest has none.
    parents: BTreeMap<String, Option<String>>,
}

pub(super) fn find(finder: &mut Finder<'_>, homes: &[Account]) {
    let mut places = vec!["/var/lib/containers/storage".to_owned()];
    for path in ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"] {
        let text = finder.text(path).unwrap_or_default();
        places.extend(super::setting(&text, "graphroot").filter(|path| path.starts_with('/')));
    }
    for store in finder.stores(&places, homes, ".local/share/containers/storage") {
        find_together(finder, &[store]);
    }
}

/// Reads stores that are used together.
fn find_together(finder: &mut Finder<'_>, stores: &[Store]) {
    let mut drivers = BTreeSet::new();
    for store in stores {
        for name in finder.directories(&store.path) {
            let of_list = ["-layers", "-images", "-containers"];
            let driver = of_list.iter().find_map(|ending| name.strip_suffix(ending));
            let driver = driver.or_else(|| DRIVERS.contains(&name.as_str()).then_some(&*name));
            drivers.extend(driver.filter(|driver| is_plain(driver)).map(str::to_owned));
        }
    }
    for driver in drivers {
        let family = Family::read(finder, stores, driver);
        for store in stores {
            find_in(finder, store, &family);
        }
    }
}

impl<'f> Family<'f> {
    fn read(finder: &mut Finder<'_>, stores: &'f [Store], driver: String) -> Self {
        let mut parents = BTreeMap::new();
        for store in stores {
            for list in ["layers.json", "volatile-layers.json"] {
                let path = format!("{}/{driver}-layers/{list}", store.path);
                for layer in finder.json::<Vec<Layer>>(&path, MAX_LIST).unwrap_or_default() {
                    let parent = Some(layer.parent).filter(|parent| !parent.is_empty());
                    parents.insert(layer.id, parent);
                }
            }
        }
        Self { stores, driver, parents }
    }

    /// Returns the folders in which the driver keeps layers.
    fn folders(&self) -> Vec<String> {
        self.stores.iter().map(|store| format!("{}/{}", store.path, self.driver)).collect()
    }
}

fn find_in(finder: &mut Finder<'_>, store: &Store, family: &Family<'_>) {
    let above = format!("{}/{}", store.path, family.driver);
    let first_name = |row: &Row| row.names.as_ref().and_then(|names| names.first().cloned());
    let of_images = format!("{above}-images/images.json");
    let images = finder.list_of::<Vec<Row>>(&of_images, MAX_LIST);
    let mut is_listed = !images.is_absent();
    let images = images.found().unwrap_or_default();
    for list in ["containers.json", "volatile-containers.json"] {
        let path = format!("{above}-containers/{list}");
        let rows = finder.list_of::<Vec<Row>>(&path, MAX_LIST);
        is_listed |= !rows.is_absent();
        for row in rows.found().unwrap_or_default() {
            let told: Metadata = serde_json::from_str(&row.metadata).unwrap_or_default();
            let by_id = images.iter().find(|image| image.id == row.image);
            let image = Some(told.image_name).filter(|name| !name.is_empty());
            let runtime = if told.pod_id.is_empty() { "podman" } else { "cri-o" };
            let found = Container {
                runtime: runtime.into(),
                name: first_name(&row).unwrap_or_else(|| short(&row.id).to_owned()),
                image: image.or_else(|| by_id.and_then(first_name)),
                ..layered(finder, store, family, &row.layer, &path)
            };
            finder.add(found, &row.id);
        }
    }
    for row in images {
        let found = Container {
            runtime: "podman".into(),
            name: first_name(&row).unwrap_or_else(|| short(&row.id).to_owned()),
            is_image: true,
            ..layered(finder, store, family, &row.layer, &of_images)
        };
        finder.add(found, &row.id);
    }
    if !is_listed {
        unlisted(finder, &above, &family.driver);
    }
}

/// Where no list tells of images or containers, layers that lie there are not known.
fn unlisted(finder: &mut Finder<'_>, folder: &str, driver: &str) {
    let (within, content) = match driver {
        "vfs" => (format!("{folder}/dir"), ""),
        "btrfs" => (format!("{folder}/subvolumes"), ""),
        _ => (folder.to_owned(), "/diff"),
    };
    let names = finder.directories(&within);
    let is_layer = |name: &&String| finder.root.is_there(&format!("{within}/{name}{content}"));
    let layers = names.iter().filter(|name| *name != "l").filter(is_layer).count();
    if layers > 0 {
        let layers = if layers == 1 { "a layer".into() } else { format!("{layers} layers") };
        let why = format!(
            "holds {layers}, and neither images.json nor containers.json tells what is made of them: what runs of them is not known; `podman system check` looks a store over"
        );
        finder.note(obstacle(folder, why));
    }
}

fn layered(
    finder: &mut Finder<'_>,
    store: &Store,
    family: &Family<'_>,
    layer: &str,
    path: &str,
) -> Container {
    let whole = |finder: &Finder<'_>, folder: &str| {
        let mut paths = family.folders().into_iter().map(|of| format!("{of}/{folder}/{layer}"));
        paths.find(|path| finder.root.is_there(path)).map(|path| vec![path])
    };
    let layers = match family.driver.as_str() {
        _ if !is_plain(layer) => None,
        "overlay" => {
            let told = layers::chain(layer, |id| family.parents.get(id).cloned());
            layers::overlay_layers(finder, &family.folders(), layer, told.as_deref())
        }
        "vfs" => whole(finder, "dir"),
        "btrfs" => whole(finder, "subvolumes"),
        _ => None,
    };
    let rootless = store.rootless;
    if let Some(layers) = layers {
        let root = layers.first().cloned().unwrap_or_default();
        return Container { root, layers, rootless, ..Container::default() };
    }
    let facts = unreadable(
        path,
        "names one whose layers are not known: they are not all in the store, the store does not tell which they are, or keeps them in a manner that is not understood here; `podman export` gives it as a tar to inspect",
    );
    Container { root: path.to_owned(), facts, rootless, ..Container::default() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::told;
    use crate::inspectors::apt::testing::Files;

    const STORE: &str = "var/lib/containers/storage";

    /// An image of two layers, and what is written over or taken away.
    fn store(changes: &[(&str, Option<&str>)]) -> Files {
        let mut files = Files::default().in_place();
        for (path, text) in [
            ("overlay-images/images.json", r#"[{"id":"i","names":["web"],"layer":"top"}]"#),
            ("overlay-layers/layers.json", r#"[{"id":"base"},{"id":"top","parent":"base"}]"#),
            ("overlay/top/diff/a", ""),
            ("overlay/top/lower", "l/BASE"),
            ("overlay/base/diff/b", ""),
        ] {
            files.put(&format!("{STORE}/{path}"), text.as_bytes());
        }
        files.link(&format!("{STORE}/overlay/l/BASE"), "../base/diff");
        for (path, text) in changes {
            match text {
                Some(text) => files.put(&format!("{STORE}/{path}"), text.as_bytes()),
                None => files.remove(&format!("{STORE}/{path}")),
            }
        }
        files
    }

    const BOTH: &str = "podman web: /var/lib/containers/storage/overlay/top/diff /var/lib/containers/storage/overlay/base/diff";
    const LIST: &str = "overlay-layers/layers.json";
    const LOWER: &str = "overlay/top/lower";

    #[test]
    fn a_whole_store_has_no_obstacle_and_either_teller_is_enough() {
        assert_eq!(told(&store(&[])), [BOTH]);
        assert_eq!(told(&store(&[(LOWER, None)])), [BOTH]);
        assert_eq!(told(&store(&[(LOWER, Some("l/GONE"))])), [BOTH]);
        assert_eq!(told(&store(&[(LIST, None)])), [BOTH]);
        let orphan = r#"[{"id":"top","parent":"gone"}]"#;
        assert_eq!(told(&store(&[(LIST, Some(orphan))])), [BOTH]);
    }

    #[test]
    fn what_neither_tells_is_unknown() {
        let circle = r#"[{"id":"top","parent":"base"},{"id":"base","parent":"top"}]"#;
        for list in [None, Some("{"), Some(r#"[{"id":"top","parent":"gone"}]"#), Some(circle)] {
            for lower in [None, Some("l/GONE")] {
                let found = told(&store(&[(LIST, list), (LOWER, lower)]));
                let is_unknown = found.iter().any(|line| line.contains("layers are not known"));
                assert!(is_unknown, "{list:?} {lower:?}: {found:?}");
            }
        }
        // A broken list is told also where the layers are known.
        let broken = told(&store(&[(LIST, Some("{\""))]));
        assert!(broken.contains(&BOTH.to_owned()) && broken.len() == 2, "{broken:?}");
        assert!(broken.iter().any(|line| line.contains("layers.json: is not what")), "{broken:?}");
        // The two do not agree.
        let other = r#"[{"id":"top"}]"#;
        assert!(told(&store(&[(LIST, Some(other))]))[0].contains("layers are not known"));
        let apart = [("overlay/top/composefs-data/composefs.blob", Some(""))];
        assert!(told(&store(&apart))[0].contains("not understood"));
    }

    #[test]
    fn layers_that_no_list_explains_are_told() {
        let images = "overlay-images/images.json";
        let broken = told(&store(&[(images, Some("{")), (LIST, None)]));
        assert!(broken.len() == 1 && broken[0].contains("images.json: is not"), "{broken:?}");
        let bare = told(&store(&[(images, None), (LIST, None)]));
        assert!(bare.len() == 1 && bare[0].contains("holds 2 layers"), "{bare:?}");
        let empty = told(&store(&[(images, Some("[]"))]));
        assert!(empty.is_empty(), "nothing is made of them: {empty:?}");
    }
}
