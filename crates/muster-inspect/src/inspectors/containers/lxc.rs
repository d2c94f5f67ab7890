//! Whole systems in containers: LXC (lxc.container.conf(5)), LXD and Incus where their pools are directories, and
//! systemd-nspawn (`/var/lib/machines`, machinectl(1)).
//!
//! Pools on block devices and images that are files (squashfs, raw disks) are not read: a running one is read through a process
//! of it.

use muster_core::container::Container;

use super::places::Place;
use super::{Finder, unreadable};
use crate::accounts::Account;
use crate::root::EntryKind;

pub(super) fn find(finder: &mut Finder<'_>, homes: &[Account]) {
    let mut places = vec![Place::of_server("/var/lib/lxc")];
    let config = finder.text("/etc/lxc/lxc.conf").unwrap_or_default();
    for line in config.lines() {
        let value = line.split_once('=').filter(|(key, _)| key.trim() == "lxc.lxcpath");
        let named = value.and_then(|(_, path)| finder.named(path, "/etc/lxc/lxc.conf", None));
        places.extend(named.map(Place::of_server));
    }
    let of_accounts = homes.iter();
    places.extend(of_accounts.map(|a| Place::of(a, format!("{}/.local/share/lxc", a.home))));
    for store in finder.stores_at(places) {
        for name in finder.directories(&store.path) {
            let folder = format!("{}/{name}", store.path);
            if let Some(config) = finder.text(&format!("{folder}/config")) {
                let found = by_config(finder, &folder, &name, &config, store.rootless);
                finder.add(found, &name);
            }
        }
    }
    for (runtime, store) in
        [("lxd", "/var/lib/lxd"), ("lxd", "/var/snap/lxd/common/lxd"), ("incus", "/var/lib/incus")]
    {
        for pool in finder.directories(&format!("{store}/storage-pools")) {
            let folder = format!("{store}/storage-pools/{pool}/containers");
            for name in finder.directories(&folder) {
                let root = format!("{folder}/{name}/rootfs");
                // Of other pools only the place to mount them on is there.
                if finder.root.is_there(&root) {
                    let found = system(runtime, &name, vec![root]);
                    finder.add(found, &name);
                }
            }
        }
    }
    for entry in finder.entries("/var/lib/machines") {
        let root = format!("/var/lib/machines/{}", entry.name);
        match entry.kind {
            EntryKind::Directory if !entry.name.starts_with('.') => {
                finder.add(system("systemd-nspawn", &entry.name, vec![root]), &entry.name);
            }
            EntryKind::File if entry.name.ends_with(".raw") => {
                let name = entry.name.trim_end_matches(".raw").to_owned();
                let why = "is an image of a disk, which is not read; mount it (systemd-dissect --mount) and inspect that directory";
                let facts = unreadable(&root, why);
                let found =
                    Container { facts, root, ..system("systemd-nspawn", &name, Vec::new()) };
                finder.add(found, &name);
            }
            EntryKind::File | EntryKind::Directory | EntryKind::Link | EntryKind::Special => {}
        }
    }
}

fn system(runtime: &str, name: &str, layers: Vec<String>) -> Container {
    Container {
        runtime: runtime.to_owned(),
        name: name.to_owned(),
        root: layers.first().cloned().unwrap_or_default(),
        layers,
        is_system: true,
        ..Container::default()
    }
}

/// `lxc.rootfs.path`, in older files `lxc.rootfs`: a directory, or `overlay:LOWER:UPPER`.
fn by_config(
    finder: &Finder<'_>,
    folder: &str,
    name: &str,
    config: &str,
    rootless: bool,
) -> Container {
    let setting = config.lines().rev().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        matches!(key.trim(), "lxc.rootfs.path" | "lxc.rootfs").then(|| value.trim().to_owned())
    });
    let path = setting.unwrap_or_else(|| format!("{folder}/rootfs"));
    let layers: Vec<String> = match path.split_once(':') {
        None => vec![path.clone()],
        Some(("dir" | "btrfs", path)) => vec![path.to_owned()],
        Some(("overlay" | "overlayfs", paths)) => paths.rsplit(':').map(str::to_owned).collect(),
        Some(_) => Vec::new(),
    };
    let are_there = !layers.is_empty()
        && layers.iter().all(|layer| layer.starts_with('/') && finder.root.is_there(layer));
    if are_there {
        return Container { rootless, ..system("lxc", name, layers) };
    }
    let why =
        format!("has its root in {path:?}, which is no directory here; mount it and inspect that");
    let facts = unreadable(folder, &why);
    Container { root: folder.to_owned(), facts, rootless, ..system("lxc", name, Vec::new()) }
}
