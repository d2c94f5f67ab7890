//! The store of Podman, Buildah and CRI-O: containers/storage, its lists of containers, images and layers
//! (containers-storage(1), containers-storage.conf(5)), with the drivers overlay, vfs and btrfs.
//!
//! Image stores beside it (`additionalimagestores`), composefs and zfs are not read.

use muster_core::container::Container;
use serde::Deserialize;

use super::{Finder, MAX_LIST, Store, is_plain, overlay_layers, short, unreadable};

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

pub(super) fn find(finder: &mut Finder<'_>, homes: &[String]) {
    let mut places = vec!["/var/lib/containers/storage".to_owned()];
    for path in ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"] {
        let text = finder.text(path).unwrap_or_default();
        places.extend(super::setting(&text, "graphroot").filter(|path| path.starts_with('/')));
    }
    for store in finder.stores(&places, homes, ".local/share/containers/storage") {
        for name in finder.directories(&store.path) {
            if let Some(driver) = name.strip_suffix("-layers").filter(|d| is_plain(d)) {
                find_in(finder, &store, driver);
            }
        }
    }
}

fn find_in(finder: &mut Finder<'_>, store: &Store, driver: &str) {
    let above = &store.path;
    let images: Vec<Row> =
        finder.json(&format!("{above}/{driver}-images/images.json"), MAX_LIST).unwrap_or_default();
    let first_name = |row: &Row| row.names.as_ref().and_then(|names| names.first().cloned());
    for list in ["containers.json", "volatile-containers.json"] {
        let path = format!("{above}/{driver}-containers/{list}");
        for row in finder.json::<Vec<Row>>(&path, MAX_LIST).unwrap_or_default() {
            let told: Metadata = serde_json::from_str(&row.metadata).unwrap_or_default();
            let by_id = images.iter().find(|image| image.id == row.image);
            let image = Some(told.image_name).filter(|name| !name.is_empty());
            let runtime = if told.pod_id.is_empty() { "podman" } else { "cri-o" };
            let found = Container {
                runtime: runtime.into(),
                name: first_name(&row).unwrap_or_else(|| short(&row.id).to_owned()),
                image: image.or_else(|| by_id.and_then(first_name)),
                ..layered(finder, store, driver, &row.layer, &path)
            };
            finder.add(found, &row.id);
        }
    }
    let path = format!("{above}/{driver}-images/images.json");
    for row in images {
        let found = Container {
            runtime: "podman".into(),
            name: first_name(&row).unwrap_or_else(|| short(&row.id).to_owned()),
            is_image: true,
            ..layered(finder, store, driver, &row.layer, &path)
        };
        finder.add(found, &row.id);
    }
}

fn layered(
    finder: &mut Finder<'_>,
    store: &Store,
    driver: &str,
    layer: &str,
    path: &str,
) -> Container {
    let folder = format!("{}/{driver}", store.path);
    let layers = match driver {
        _ if !is_plain(layer) => None,
        "overlay" => overlay_layers(finder, &folder, layer),
        "vfs" => Some(vec![format!("{folder}/dir/{layer}")]),
        "btrfs" => Some(vec![format!("{folder}/subvolumes/{layer}")]),
        _ => None,
    };
    let rootless = store.rootless;
    if let Some(layers) = layers {
        let root = layers.first().cloned().unwrap_or_default();
        return Container { root, layers, rootless, ..Container::default() };
    }
    let facts = unreadable(
        path,
        "names one whose layers are not all in the store, or are kept in a manner that is not understood here; `podman export` gives it as a tar to inspect",
    );
    Container { root: path.to_owned(), facts, rootless, ..Container::default() }
}
