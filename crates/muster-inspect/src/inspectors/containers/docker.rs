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

use super::places::Place;
use super::{Finder, List, MAX_FILE, MAX_LIST, Store, is_plain, layers, short, unreadable};
use crate::accounts::Account;
use crate::root::obstacle;

/// The drivers that keep layers as directories.
const DRIVERS: [&str; 4] = ["overlay2", "fuse-overlayfs", "vfs", "btrfs"];
/// The units that start it, and the options by which its store is named.
const UNITS: [&str; 1] = ["docker.service"];
const OPTIONS: [&str; 3] = ["--data-root", "--graph", "-g"];
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
        self.chains().pop()
    }

    /// Returns the chain id of each of its layers with those below it, the lowest first.
    fn chains(&self) -> Vec<String> {
        let mut chains: Vec<String> = Vec::new();
        for diff in self.rootfs.diff_ids.iter().take(MAX_DIFFS) {
            let chain = match chains.last() {
                None => diff.clone(),
                Some(below) => {
                    let digest = Sha256::digest(format!("{below} {diff}"));
                    format!("sha256:{}", hex(&digest))
                }
            };
            chains.push(chain);
        }
        chains
    }
}

pub(super) fn find(finder: &mut Finder<'_>, homes: &[Account]) {
    let mut places = vec![
        Place::of_server("/var/lib/docker"),
        Place::of_server("/var/snap/docker/common/var-lib-docker"),
    ];
    let mut files = vec![
        "/etc/docker/daemon.json".to_owned(),
        "/var/snap/docker/current/config/daemon.json".to_owned(),
    ];
    for (path, by) in finder.by_system_units(&UNITS, &["--config-file"]) {
        files.extend(finder.named(&path, &by, None));
    }
    let mut named = finder.by_system_units(&UNITS, &OPTIONS);
    for file in files {
        named.extend(by_daemon(finder, file));
    }
    for (path, by) in named {
        places.extend(finder.named(&path, &by, None).map(Place::of_server));
    }
    for account in homes {
        places.push(Place::of(account, format!("{}/.local/share/docker", account.home)));
        let units = [format!("{}/.config/systemd/user", account.home)];
        let mut named = finder.by_units(&units, &UNITS, &OPTIONS);
        // The files of the environment are the system's.
        named.retain(|(_, by)| by.starts_with(&account.home));
        named.extend(by_daemon(finder, format!("{}/.config/docker/daemon.json", account.home)));
        for (path, by) in named {
            let path = finder.named(&path, &by, Some(account));
            places.extend(path.map(|path| Place::of(account, path)));
        }
    }
    for store in finder.stores_at(places) {
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

/// Returns the place that the daemon's own file names.
fn by_daemon(finder: &mut Finder<'_>, path: String) -> Option<(String, String)> {
    let daemon = finder.json::<Daemon>(&path, MAX_FILE)?;
    Some((daemon.data_root.or(daemon.graph).filter(|path| !path.is_empty())?, path))
}

fn find_in(finder: &mut Finder<'_>, store: &Store) {
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    let mut drivers = finder.directories(&format!("{}/image", store.path));
    for driver in &drivers {
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
            image(finder, store, driver, &entry.name, &named);
        }
    }
    let containers = finder.directories(&format!("{}/containers", store.path));
    for id in &containers {
        container(finder, store, id, &named, &drivers);
    }
    drivers.extend(DRIVERS.iter().map(|driver| (*driver).to_owned()));
    drivers.sort();
    drivers.dedup();
    for driver in drivers {
        unlisted(finder, store, &driver, containers.is_empty());
    }
}

/// Where no image is listed, layers that lie there are not known.
fn unlisted(finder: &mut Finder<'_>, store: &Store, driver: &str, is_without_containers: bool) {
    let above = format!("{}/image/{driver}", store.path);
    if finder.root.is_there(&format!("{above}/imagedb/content/sha256")) {
        return;
    }
    let folder = format!("{}/{driver}", store.path);
    let (within, content) = match driver {
        "vfs" => (format!("{folder}/dir"), ""),
        "btrfs" => (format!("{folder}/subvolumes"), ""),
        _ => (folder, "/diff"),
    };
    let names = finder.directories(&within);
    let is_layer = |name: &&String| finder.root.is_there(&format!("{within}/{name}{content}"));
    let layers = names.iter().filter(|name| *name != "l").filter(is_layer).count();
    let is_listed_below = !finder.entries(&format!("{above}/layerdb/sha256")).is_empty();
    // Containers that are known explain layers; images that are not listed are not known all the same.
    if is_listed_below || is_without_containers && layers > 0 {
        let why = "holds layers, and no list of images is there that tells what is made of them: what they hold is not known";
        finder.note(obstacle(&within, why));
    }
}

fn image(
    finder: &mut Finder<'_>,
    store: &Store,
    driver: &str,
    id: &str,
    named: &BTreeMap<String, String>,
) {
    let path = format!("{}/image/{driver}/imagedb/content/sha256/{id}", store.path);
    let Some(image) = finder.json::<Image>(&path, MAX_FILE) else { return };
    let told: Option<Vec<String>> =
        image.chains().iter().rev().map(|chain| cache_id(finder, store, driver, chain)).collect();
    let name = named.get(&format!("sha256:{id}")).cloned();
    let top = told.as_ref().and_then(|told| told.first());
    let found = Container {
        runtime: "docker".into(),
        name: name.unwrap_or_else(|| short(id).to_owned()),
        is_image: true,
        ..layered(finder, store, driver, top.map(String::as_str), told.as_deref(), &path)
    };
    finder.add(found, id);
}

/// Returns the directory that the driver gave a layer, by its chain id.
fn cache_id(finder: &mut Finder<'_>, store: &Store, driver: &str, chain: &str) -> Option<String> {
    let chain = chain.strip_prefix("sha256:").filter(|chain| is_plain(chain))?;
    finder.text(&format!("{}/image/{driver}/layerdb/sha256/{chain}/cache-id", store.path))
}

fn container(
    finder: &mut Finder<'_>,
    store: &Store,
    id: &str,
    named: &BTreeMap<String, String>,
    drivers: &[String],
) {
    let path = format!("{}/containers/{id}/config.v2.json", store.path);
    let config = match finder.list_of::<Config>(&path, MAX_FILE) {
        List::Found(config) => config,
        List::Broken => return,
        List::Absent => {
            let mounts = |driver: &String| {
                format!("{}/image/{driver}/layerdb/mounts/{id}/mount-id", store.path)
            };
            if drivers.iter().any(|driver| finder.root.is_there(&mounts(driver))) {
                let why = "is not there, and the container has layers: what it holds is not known";
                finder.note(obstacle(&path, why));
            }
            return;
        }
    };
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
    let told = mount.as_deref().and_then(|mount| {
        let below = below_mount(finder, store, driver, id, &config.image)?;
        Some([vec![mount.to_owned()], below].concat())
    });
    let name = config.name.trim_start_matches('/');
    let found = Container {
        runtime: "docker".into(),
        name: if name.is_empty() { short(id).to_owned() } else { name.to_owned() },
        image: Some(image).filter(|image| !image.is_empty()),
        ..layered(finder, store, driver, mount.as_deref(), told.as_deref(), &path)
    };
    if mount.is_none() && driver.contains("overlayfs") {
        // Its layers are in containerd's store, and are found there.
        finder.in_containerd.insert(id.to_owned(), found);
        return;
    }
    let id = if config.id.is_empty() { id } else { &config.id };
    finder.add(found, id);
}

/// Returns the directories below a container's own, as `layerdb` tells them; nothing where it does not tell all.
fn below_mount(
    finder: &mut Finder<'_>,
    store: &Store,
    driver: &str,
    id: &str,
    image: &str,
) -> Option<Vec<String>> {
    let above = format!("{}/image/{driver}", store.path);
    let mounts = format!("{above}/layerdb/mounts/{id}");
    let mut below: Vec<String> = finder.text(&format!("{mounts}/init-id")).into_iter().collect();
    let parent = match finder.text(&format!("{mounts}/parent")) {
        Some(parent) => parent,
        // One of an image without layers has no parent; else it was lost, and the image tells it.
        None => {
            let image = image.strip_prefix("sha256:").filter(|image| is_plain(image))?;
            let path = format!("{above}/imagedb/content/sha256/{image}");
            match finder.json::<Image>(&path, MAX_FILE)?.chain() {
                Some(chain) => chain,
                None => return Some(below),
            }
        }
    };
    let chain = layers::chain(&parent, |chain| {
        let bare = chain.strip_prefix("sha256:").filter(|chain| is_plain(chain))?;
        let layer = format!("{above}/layerdb/sha256/{bare}");
        finder
            .root
            .is_there(&format!("{layer}/cache-id"))
            .then(|| finder.text(&format!("{layer}/parent")))
    })?;
    for chain in chain {
        below.push(cache_id(finder, store, driver, &chain)?);
    }
    Some(below)
}

/// Returns what is known of a root by the driver and the name that the driver gave it.
fn layered(
    finder: &mut Finder<'_>,
    store: &Store,
    driver: &str,
    id: Option<&str>,
    told: Option<&[String]>,
    path: &str,
) -> Container {
    let folder = format!("{}/{driver}", store.path);
    let id = id.filter(|id| is_plain(id));
    let layers = match (driver, id) {
        ("overlay2" | "fuse-overlayfs", Some(id)) => {
            layers::overlay_layers(finder, &[folder], id, told)
        }
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
            "cannot be read: its layers are not all in the store, or the store does not tell which they are; `docker export` gives it as a tar to inspect"
        }
        _ => {
            "cannot be read: its storage driver keeps no directories that are understood here; `docker export` gives it as a tar to inspect"
        }
    };
    let facts = unreadable(path, why);
    Container { root: path.to_owned(), facts, rootless, ..Container::default() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::told;
    use super::*;
    use crate::inspectors::apt::testing::Files;

    /// An image of two layers, and a container made of it.
    fn store(without: &[&str]) -> Files {
        let (one, two) = ("sha256:aa", "sha256:bb");
        let image = format!("{{\"rootfs\":{{\"diff_ids\":[\"{one}\",\"{two}\"]}}}}");
        let chain = format!("sha256:{}", hex(&Sha256::digest(format!("{one} {two}"))));
        let of_top = format!("image/overlay2/layerdb/{}", chain.replace(':', "/"));
        let mut files = Files::default().in_place();
        for (path, text) in [
            ("image/overlay2/imagedb/content/sha256/i1", image.as_str()),
            ("image/overlay2/layerdb/sha256/aa/cache-id", "base"),
            (&format!("{of_top}/cache-id"), "top"),
            (&format!("{of_top}/parent"), one),
            ("image/overlay2/layerdb/mounts/c1/mount-id", "own"),
            ("image/overlay2/layerdb/mounts/c1/parent", &chain),
            (
                "containers/c1/config.v2.json",
                r#"{"Name":"/web","Driver":"overlay2","Image":"sha256:i1"}"#,
            ),
            ("overlay2/own/diff/a", ""),
            ("overlay2/own/lower", "l/TOP:l/BASE"),
            ("overlay2/top/diff/a", ""),
            ("overlay2/top/lower", "l/BASE"),
            ("overlay2/base/diff/b", ""),
        ] {
            if !without.iter().any(|gone| path.contains(gone)) {
                files.put(&format!("var/lib/docker/{path}"), text.as_bytes());
            }
        }
        for (link, to) in [("TOP", "top"), ("BASE", "base")] {
            files.link(&format!("var/lib/docker/overlay2/l/{link}"), &format!("../{to}/diff"));
        }
        files
    }

    #[test]
    fn a_broken_store_is_never_whole() {
        let dir = |name: &str| format!("/var/lib/docker/overlay2/{name}/diff");
        let whole = [
            format!("docker web: {} {} {}", dir("own"), dir("top"), dir("base")),
            format!("docker i1: {} {}", dir("top"), dir("base")),
        ];
        assert_eq!(told(&store(&[])), whole);
        for lost in [
            &["own/lower"][..],
            &["/lower"],
            &["mounts/c1/parent"],
            &["mounts/c1/parent", "/lower"],
        ] {
            assert_eq!(told(&store(lost)), whole, "{lost:?}: the other tells it");
        }
        for (lost, unknown) in [
            (&["mounts/c1/parent", "own/lower", "content"][..], "web: /var/lib/docker/containers"),
            (&["content"], "no list of images"),
            (&["image/", "containers"], "no list of images"),
            (&["top/diff"], "i1: /var/lib/docker/image"),
            (&["aa/cache-id", "/lower"], "web: /var/lib/docker/containers"),
        ] {
            let found = told(&store(lost));
            assert!(found.iter().any(|line| line.contains(unknown)), "{lost:?}: {found:?}");
            assert_ne!(found, whole);
        }
    }
}
