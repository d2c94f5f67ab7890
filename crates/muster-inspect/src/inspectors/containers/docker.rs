//! Docker's own store: `config.v2.json` of each container, `image/DRIVER` with the images and the names of their layers,
//! and the drivers that keep layers as directories (moby's `daemon/graphdriver`, `layer/filestore.go`).
//!
//! With images in containerd's store, which newer installations have, the layers are containerd's: see there. The drivers
//! aufs, devicemapper and zfs are not read.

use std::collections::BTreeMap;

use muster_core::container::Container;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::inspectors::apt::sums::hex;

use super::{Finder, MAX_FILE, MAX_LIST, Store, is_plain, overlay_layers, short, unreadable};

/// How deep images are stacked.
const MAX_DIFFS: usize = 500;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Daemon {
    #[serde(rename = "data-root")]
    data_root: Option<String>,
    graph: Option<String>,
}

/// `config.v2.json`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    driver: String,
    image: String,
    config: Asked,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Asked {
    image: String,
}

/// `repositories.json`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Names {
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

/// The configuration of an image (OCI image-spec, `config.md`).
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Image {
    rootfs: RootFs,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RootFs {
    diff_ids: Vec<String>,
}

impl Image {
    /// Returns the chain id of its layers together.
    pub(super) fn chain(&self) -> Option<String> {
        let mut diffs = self.rootfs.diff_ids.iter().take(MAX_DIFFS);
        let first = diffs.next()?.clone();
        Some(diffs.fold(first, |chain, diff| {
            let digest = Sha256::digest(format!("{chain} {diff}"));
            format!("sha256:{}", hex(&digest))
        }))
    }
}

pub(super) fn find(finder: &mut Finder<'_>, homes: &[String]) {
    let mut places =
        vec!["/var/lib/docker".to_owned(), "/var/snap/docker/common/var-lib-docker".to_owned()];
    for path in ["/etc/docker/daemon.json", "/var/snap/docker/current/config/daemon.json"] {
        let Some(daemon) = finder.json::<Daemon>(path, MAX_FILE) else { continue };
        places.extend(daemon.data_root.or(daemon.graph).filter(|path| path.starts_with('/')));
    }
    for store in finder.stores(&places, homes, ".local/share/docker") {
        find_in(finder, &store);
        // With accounts of containers mapped to others (userns-remap) the store lies one deeper: `UID.GID`.
        for name in finder.directories(&store.path) {
            let is_remapped = name.split_once('.').is_some_and(|(user, group)| {
                [user, group].iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
            });
            if is_remapped {
                let path = format!("{}/{name}", store.path);
                find_in(finder, &Store { path, rootless: store.rootless });
            }
        }
    }
}

fn find_in(finder: &mut Finder<'_>, store: &Store) {
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for driver in finder.directories(&format!("{}/image", store.path)) {
        let above = format!("{}/image/{driver}", store.path);
        let names: Names =
            finder.json(&format!("{above}/repositories.json"), MAX_LIST).unwrap_or_default();
        for (name, id) in names.repositories.into_values().flatten() {
            // A name with a digest stands in where there is no better one.
            let known = named.entry(id).or_insert_with(|| name.clone());
            if known.contains('@') && !name.contains('@') {
                *known = name;
            }
        }
        for entry in finder.entries(&format!("{above}/imagedb/content/sha256")) {
            image(finder, store, &driver, &entry.name, &named);
        }
    }
    for id in finder.directories(&format!("{}/containers", store.path)) {
        container(finder, store, &id, &named);
    }
}

fn image(
    finder: &mut Finder<'_>,
    store: &Store,
    driver: &str,
    id: &str,
    named: &BTreeMap<String, String>,
) {
    let above = format!("{}/image/{driver}", store.path);
    let path = format!("{above}/imagedb/content/sha256/{id}");
    let Some(image) = finder.json::<Image>(&path, MAX_FILE) else { return };
    let cache = image.chain().and_then(|chain| {
        let chain = chain.strip_prefix("sha256:").filter(|chain| is_plain(chain))?.to_owned();
        finder.text(&format!("{above}/layerdb/sha256/{chain}/cache-id"))
    });
    let name = named.get(&format!("sha256:{id}")).cloned();
    let found = Container {
        runtime: "docker".into(),
        name: name.unwrap_or_else(|| short(id).to_owned()),
        is_image: true,
        ..layered(finder, store, driver, cache.as_deref(), &path)
    };
    finder.add(found, id);
}

fn container(finder: &mut Finder<'_>, store: &Store, id: &str, named: &BTreeMap<String, String>) {
    let path = format!("{}/containers/{id}/config.v2.json", store.path);
    let Some(config) = finder.json::<Config>(&path, MAX_FILE) else { return };
    let image = if config.config.image.is_empty() {
        named.get(&config.image).cloned().unwrap_or_else(|| short(&config.image).to_owned())
    } else {
        config.config.image
    };
    let driver = &config.driver;
    let mount = if is_plain(driver) && is_plain(id) {
        finder.text(&format!("{}/image/{driver}/layerdb/mounts/{id}/mount-id", store.path))
    } else {
        None
    };
    let name = config.name.trim_start_matches('/');
    let found = Container {
        runtime: "docker".into(),
        name: if name.is_empty() { short(id).to_owned() } else { name.to_owned() },
        image: Some(image).filter(|image| !image.is_empty()),
        ..layered(finder, store, driver, mount.as_deref(), &path)
    };
    if mount.is_none() && driver.contains("overlayfs") {
        // Its layers are in containerd's store, and are found there.
        finder.in_containerd.insert(id.to_owned(), found);
        return;
    }
    let id = if config.id.is_empty() { id } else { &config.id };
    finder.add(found, id);
}

/// Returns what is known of a root by the driver and the name that the driver gave it.
fn layered(
    finder: &mut Finder<'_>,
    store: &Store,
    driver: &str,
    id: Option<&str>,
    path: &str,
) -> Container {
    let folder = format!("{}/{driver}", store.path);
    let id = id.filter(|id| is_plain(id));
    let layers = match (driver, id) {
        ("overlay2" | "fuse-overlayfs", Some(id)) => overlay_layers(finder, &folder, id),
        ("vfs", Some(id)) => Some(vec![format!("{folder}/dir/{id}")]),
        ("btrfs", Some(id)) => Some(vec![format!("{folder}/subvolumes/{id}")]),
        _ => None,
    };
    let rootless = store.rootless;
    if let Some(layers) = layers {
        let root = layers.first().cloned().unwrap_or_default();
        return Container { root, layers, rootless, ..Container::default() };
    }
    let why = match driver {
        "overlay2" | "fuse-overlayfs" | "vfs" | "btrfs" => {
            "cannot be read: not all of its layers are in the store; `docker export` gives it as a tar to inspect"
        }
        _ => {
            "cannot be read: its storage driver keeps no directories that are understood here; `docker export` gives it as a tar to inspect"
        }
    };
    let facts = unreadable(path, why);
    Container { root: path.to_owned(), facts, rootless, ..Container::default() }
}
