//! Containers and stored images: where they are kept, of which directories their roots are made, and which of them run.
//!
//! It finds them, and the driver reads each as a root of its own. What is found: the stores of Docker (its own formats and
//! containerd's), of containers/storage (Podman, Buildah, CRI-O), of containerd, of LXC, LXD, Incus and systemd-nspawn, also
//! where their configuration has moved them and in the homes of accounts; and of a running system every control group
//! that an engine made, whose root the kernel itself shows.
//!
//! Only what lies in directories is read. Volumes are no part of a container's root: they are directories of the server, and
//! walked as such. Of a tar and over SSH containers are named and not read.

mod bolt;
mod containerd;
mod docker;
mod layers;
mod lxc;
mod places;
mod storage;

use std::collections::{BTreeMap, BTreeSet};

use muster_core::container::Container;
use muster_core::fact::{Facts, Obstacle, Reading};
use serde::de::DeserializeOwned;

pub use bolt::{Bolt, Broken};

use crate::accounts::{self, Account};
use crate::root::{Entry, EntryKind, Root, is_below, obstacle};
use crate::{Inspector, Scope};

/// Bytes of a list that an engine keeps.
const MAX_LIST: u64 = 32 << 20;
/// Bytes of what is told of one container.
const MAX_FILE: u64 = 2 << 20;
/// How many roots are named; of more only the number is told. Fewer are read: see the driver's own limit.
const MAX_FOUND: usize = 1000;
/// How many directories a root is made of; engines stop at 128 or before.
const MAX_LAYERS: usize = 500;

/// Finds containers and images.
pub struct Containers;

impl Inspector for Containers {
    fn name(&self) -> &'static str {
        "containers"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "/var/lib/docker/containers/*/config.v2.json",
            "/var/lib/containers/storage/*/containers.json",
            "/var/lib/lxc/*/config",
            "/etc/docker/daemon.json",
            "/etc/containers/storage.conf",
        ]
    }

    fn reads_in_place(&self) -> &'static [&'static str] {
        &["/**"]
    }

    fn in_containers(&self) -> bool {
        false
    }

    fn scope(&self) -> Scope {
        Scope::Everywhere
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        let mut finder = Finder::new(root, facts);
        let homes = finder.accounts();
        docker::find(&mut finder, &homes);
        storage::find(&mut finder, &homes);
        containerd::find(&mut finder, &homes);
        lxc::find(&mut finder, &homes);
        finder.by_groups();
        finder.settle(facts);
    }
}

/// A search for containers.
struct Finder<'a> {
    root: &'a dyn Root,
    /// A process of each container that runs, by the name that its control group has.
    groups: BTreeMap<String, (String, u32)>,
    matched: BTreeSet<String>,
    found: Vec<Container>,
    /// Containers of Docker whose layers containerd keeps, by their numbers.
    in_containerd: BTreeMap<String, Container>,
    /// The stores.
    places: BTreeSet<String>,
    obstacles: Vec<Obstacle>,
    left_out: usize,
}

/// A directory in which an engine keeps what it has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Store {
    path: String,
    rootless: bool,
}

/// A list that an engine keeps.
enum List<T> {
    Found(T),
    Absent,
    /// Why is noted.
    Broken,
}

impl<T> List<T> {
    fn found(self) -> Option<T> {
        match self {
            Self::Found(value) => Some(value),
            Self::Absent | Self::Broken => None,
        }
    }

    const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<'a> Finder<'a> {
    fn new(root: &'a dyn Root, facts: &Facts) -> Self {
        let mut groups = BTreeMap::new();
        for process in facts.running.processes.found().into_iter().flatten() {
            if let Some((engine, name)) =
                process.container.as_deref().and_then(|of| of.split_once(':'))
            {
                groups.entry(name.to_owned()).or_insert((engine.to_owned(), process.pid));
            }
        }
        Self {
            root,
            groups,
            matched: BTreeSet::new(),
            found: Vec::new(),
            in_containerd: BTreeMap::new(),
            places: BTreeSet::new(),
            obstacles: Vec::new(),
            left_out: 0,
        }
    }

    /// Notes an obstacle. Of a root that holds no more than was declared, most of a store is none.
    fn note(&mut self, obstacle: Obstacle) {
        if self.root.is_in_place() {
            self.obstacles.push(obstacle);
        }
    }

    /// Reads a small file whole; nothing where there is none, and an obstacle where it cannot be read.
    fn bytes(&mut self, path: &str, limit: u64) -> Option<Vec<u8>> {
        match self.root.read(path, limit) {
            Reading::Found(bytes) => Some(bytes),
            Reading::Absent => None,
            Reading::Unknown(obstacle) => {
                self.note(obstacle);
                None
            }
        }
    }

    fn text(&mut self, path: &str) -> Option<String> {
        self.bytes(path, MAX_FILE).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    fn json<T: DeserializeOwned>(&mut self, path: &str, limit: u64) -> Option<T> {
        self.list_of(path, limit).found()
    }

    /// Reads a list that an engine keeps, telling one that is not there from one that cannot be read: that is noted.
    fn list_of<T: DeserializeOwned>(&mut self, path: &str, limit: u64) -> List<T> {
        let bytes = match self.root.read(path, limit) {
            Reading::Found(bytes) => bytes,
            Reading::Absent => return List::Absent,
            Reading::Unknown(obstacle) => {
                self.note(obstacle);
                return List::Broken;
            }
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => List::Found(value),
            Err(error) => {
                let why = format!(
                    "is not what its engine writes ({error}): containers that it tells of may be missing here"
                );
                self.obstacles.push(obstacle(path, why));
                List::Broken
            }
        }
    }

    fn entries(&mut self, path: &str) -> Vec<Entry> {
        match self.root.list(path) {
            Reading::Found(entries) => entries,
            Reading::Absent => Vec::new(),
            Reading::Unknown(obstacle) => {
                self.note(obstacle);
                Vec::new()
            }
        }
    }

    /// Returns the names of the directories in a directory.
    fn directories(&mut self, path: &str) -> Vec<String> {
        let entries = self.entries(path).into_iter();
        entries.filter(|e| e.kind == EntryKind::Directory).map(|e| e.name).collect()
    }

    /// Returns the accounts whose homes can be looked into.
    fn accounts(&mut self) -> Vec<Account> {
        let (accounts, obstacles) = accounts::accounts(self.root);
        for obstacle in obstacles {
            self.note(obstacle);
        }
        accounts
    }

    /// Adds one, as running where a control group bears its number or name.
    fn add(&mut self, mut container: Container, group: &str) {
        if let Some((_, pid)) = self.groups.get(group).filter(|_| !container.is_image) {
            container.pid = Some(*pid);
            container.running = true;
            self.matched.insert(group.to_owned());
        }
        if self.found.len() >= MAX_FOUND {
            self.left_out += 1;
            return;
        }
        self.found.push(container);
    }

    /// Adds what runs in groups of its own and lies in no store that was found.
    fn by_groups(&mut self) {
        let groups = std::mem::take(&mut self.groups);
        for (name, (engine, pid)) in &groups {
            if self.matched.contains(name) {
                continue;
            }
            let short = if name.len() == 64 { name.get(..12) } else { None };
            let is_system = matches!(engine.as_str(), "lxc" | "nspawn");
            self.found.push(Container {
                runtime: if engine == "nspawn" { "systemd-nspawn".into() } else { engine.clone() },
                name: short.unwrap_or(name).to_owned(),
                root: format!("/proc/{pid}/root"),
                pid: Some(*pid),
                running: true,
                is_system,
                ..Container::default()
            });
        }
    }

    fn settle(mut self, facts: &mut Facts) {
        if self.left_out > 0 {
            self.obstacles.push(Obstacle::new(
                "containers",
                format!(
                    "{} more containers and images than the {MAX_FOUND} that are named lie here, and are not read; remove images that nothing uses",
                    self.left_out
                ),
            ));
        }
        if !self.root.is_in_place() {
            for container in &mut self.found {
                container.layers.clear();
                container.facts = Reading::Absent;
            }
        }
        // What runs comes first: where the time does not suffice, images are left.
        let key = |c: &Container| (c.is_image, !c.running, c.runtime.clone(), c.name.clone());
        self.found.sort_by_cached_key(|c| (key(c), c.root.clone()));
        // Where a store lies in a place of its own, its layers were walked as directories of the server.
        let is_in_store = |path: &str| {
            let within = |store: &String| {
                is_below(path, store) && !is_below(path, &format!("{store}/volumes"))
            };
            self.places.iter().any(within)
        };
        facts.applications.retain(|application| !is_in_store(&application.path));
        facts.languages.retain(|package| !is_in_store(&package.path));
        facts.containers = self.found;
        facts.obstacles.append(&mut self.obstacles);
    }
}

/// A name that an engine gave to a directory: one component, and a plain one.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !name.starts_with('.')
}

/// The first characters of a digest or number, as engines show it.
fn short(id: &str) -> &str {
    let bare = id.strip_prefix("sha256:").unwrap_or(id);
    if bare.len() == 64 { bare.get(..12).unwrap_or(bare) } else { bare }
}

fn unreadable(path: &str, why: &str) -> Reading<Box<Facts>> {
    Reading::Unknown(obstacle(path, why))
}

#[cfg(test)]
mod testing {
    use muster_core::fact::Facts;

    use super::Containers;
    use crate::Inspector as _;
    use crate::inspectors::apt::testing::Files;

    /// Returns a line for each root that was found, with its layers or what stands in the way, and one for each obstacle.
    pub(super) fn told(files: &Files) -> Vec<String> {
        let mut facts = Facts::default();
        Containers.inspect(files, &mut facts);
        let found = facts.containers.iter().map(|c| {
            let rest = match &c.facts {
                muster_core::fact::Reading::Unknown(o) => format!("{}: {}", o.what, o.why),
                _ => c.layers.join(" "),
            };
            format!("{} {}: {rest}", c.runtime, c.name)
        });
        let obstacles = facts.obstacles.iter().map(|o| format!("{}: {}", o.what, o.why));
        found.chain(obstacles).collect()
    }
}
