//! The store of Podman, Buildah and CRI-O: containers/storage, its lists of containers, images and layers
//! (containers-storage(1), containers-storage.conf(5)), with the drivers overlay, vfs and btrfs.
//!
//! Stores that are named elsewhere are followed: `graphroot`, `imagestore`, `rootless_storage_path`, those beside
//! (`additionalimagestores`), CRI-O's `root`, and what an account's own file names. composefs, zfs and
//! stores of layers that are fetched on demand are not read, and said to be unknown.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::container::Container;
use serde::Deserialize;

use super::places::{Place, text_at, texts_at};
use super::{Finder, MAX_LIST, Store, is_plain, layers, short, unreadable};
use crate::accounts::Account;
use crate::root::obstacle;

/// The drivers that keep layers as directories.
const DRIVERS: [&str; 3] = ["overlay", "vfs", "btrfs"];

/// Where it lies if nothing says otherwise.
const DEFAULT: &str = "/var/lib/containers/storage";

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

/// What a file of settings names.
#[derive(Default)]
struct Named {
    /// Stores of its own.
    own: Vec<(String, String)>,
    /// Stores that are used beside.
    beside: Vec<(String, String)>,
    /// The store of each account.
    of_accounts: Vec<(String, String)>,
}

impl Named {
    fn read(&mut self, finder: &mut Finder<'_>, path: &str) {
        for path in finder.with_drop_ins(path, ".conf") {
            let Some(config) = finder.toml(&path) else { continue };
            let by = |value: &str| (value.to_owned(), path.clone());
            self.own.extend(text_at(&config, &["storage", "graphroot"]).map(by));
            self.own.extend(text_at(&config, &["storage", "imagestore"]).map(by));
            let of_accounts = text_at(&config, &["storage", "rootless_storage_path"]);
            self.of_accounts.extend(of_accounts.map(by));
            for options in [&["storage", "options"][..], &["storage", "options", "overlay"]] {
                let at = |name| [options, &[name]].concat();
                let beside = texts_at(&config, &at("additionalimagestores"));
                self.beside.extend(beside.into_iter().map(by));
                if !texts_at(&config, &at("additionallayerstores")).is_empty() {
                    let why = "names stores of layers that are fetched on demand (additionallayerstores), which are not read: what lies there is not known";
                    finder.note(obstacle(&path, why));
                }
            }
        }
    }
}

pub(super) fn find(finder: &mut Finder<'_>, homes: &[Account]) {
    let mut system = Named::default();
    for path in ["/usr/share/containers/storage.conf", "/etc/containers/storage.conf"] {
        system.read(finder, path);
    }
    for path in finder.with_drop_ins("/etc/crio/crio.conf", "") {
        let Some(config) = finder.toml(&path) else { continue };
        let named = ["root", "imagestore"].map(|name| text_at(&config, &["crio", name]));
        system
            .own
            .extend(named.into_iter().flatten().map(|value| (value.to_owned(), path.clone())));
    }
    // That is where most files say the store is.
    system.own.retain(|(path, _)| path != DEFAULT);
    let mut places = vec![Place::of_server(DEFAULT)];
    for (path, by) in system.own.iter().chain(&system.beside) {
        places.extend(finder.named(path, by, None).map(Place::of_server));
    }
    let of_server = finder.stores_at(places);
    find_together(finder, &of_server, 0);
    let mut known: BTreeSet<String> = of_server.iter().map(|store| store.path.clone()).collect();
    for account in homes {
        let home = &account.home;
        let mut named = Named::default();
        named.read(finder, &format!("{home}/.config/containers/storage.conf"));
        let mut places =
            vec![Place::of(account, format!("{home}/.local/share/containers/storage"))];
        for (path, by) in named.own.iter().chain(&system.of_accounts).chain(&named.beside) {
            let path = finder.named(path, by, Some(account));
            places.extend(path.map(|path| Place::of(account, path)));
        }
        let mut stores = finder.stores_at(places);
        stores.retain(|store| known.insert(store.path.clone()));
        if stores.is_empty() {
            continue;
        }
        // Those of the server are looked into for layers below, and were read themselves.
        stores.splice(0..0, of_server.iter().cloned());
        find_together(finder, &stores, of_server.len());
    }
}

/// Reads stores that are used together, without the first ones, so many, which were read before.
fn find_together(finder: &mut Finder<'_>, stores: &[Store], before: usize) {
    let mut drivers = BTreeSet::new();
    for store in stores.iter().skip(before) {
        for name in finder.directories(&store.path) {
            let of_list = ["-layers", "-images", "-containers"];
            let driver = of_list.iter().find_map(|ending| name.strip_suffix(ending));
            let driver = driver.or_else(|| DRIVERS.contains(&name.as_str()).then_some(&*name));
            drivers.extend(driver.filter(|driver| is_plain(driver)).map(str::to_owned));
        }
    }
    for driver in drivers {
        let family = Family::read(finder, stores, driver);
        for store in stores.iter().skip(before) {
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
