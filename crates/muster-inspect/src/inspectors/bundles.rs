//! Snaps and flatpaks: bundles with libraries of their own, which their own stores update.
//!
//! Of snaps: the link `current` of each name below `/snap` (snap(8)), `meta/snap.yaml` of what is mounted there, and
//! `state.json` of snapd, by which they are known also where nothing is mounted. Of flatpaks: the links `current` and
//! `active` of an installation (flatpak-installation(5)), and the newest `release` of the AppStream metadata: that of the
//! system, those that it names besides, and each account's own.
//!
//! What is in them is not looked at: a squashfs is not opened. Of a tar and over SSH flatpaks of accounts and of
//! installations that are named besides are not listed.

use std::collections::BTreeMap;

use muster_core::application::Bundle;
use muster_core::fact::{Facts, Obstacle, Reading};
use serde::Deserialize;

use crate::accounts;
use crate::root::{EntryKind, Root, obstacle};
use crate::{Inspector, Scope};

const SNAPS: [&str; 2] = ["/snap", "/var/lib/snapd/snap"];
const STATE: &str = "/var/lib/snapd/state.json";
const FLATPAKS: &str = "/var/lib/flatpak";
/// Where installations besides it are named.
const INSTALLATIONS: &str = "/etc/flatpak/installations.d";
const MAX_STATE: u64 = 32 << 20;
const MAX_METADATA: u64 = 4 << 20;
/// More bundles than a machine has.
const MAX_BUNDLES: usize = 2000;

/// Lists snaps and flatpaks.
pub struct Bundles;

/// `state.json`, as far as it is of interest.
#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    snaps: BTreeMap<String, Snap>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Snap {
    current: serde_json::Value,
    channel: String,
}

impl Inspector for Bundles {
    fn name(&self) -> &'static str {
        "bundles"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "/snap/*/current",
            "/snap/*/*/meta/snap.yaml",
            "/var/lib/snapd/snap/*/current",
            "/var/lib/snapd/snap/*/*/meta/snap.yaml",
            STATE,
            "/var/lib/flatpak/*/*/current",
            "/var/lib/flatpak/*/*/*/*/active",
            "/var/lib/flatpak/*/*/*/*/*/files/share/metainfo/*.xml",
            "/var/lib/flatpak/*/*/*/*/*/files/share/appdata/*.xml",
        ]
    }

    fn reads_in_place(&self) -> &'static [&'static str] {
        &["/**"]
    }

    fn in_containers(&self) -> bool {
        false
    }

    /// Homes may lie anywhere.
    fn scope(&self) -> Scope {
        Scope::Everywhere
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        let mut bundles = snaps(root, facts);
        let mut found = Flatpaks { root, bundles: Vec::new(), obstacles: Vec::new() };
        let mut installations = vec![FLATPAKS.to_owned()];
        if root.is_in_place() {
            installations.extend(found.named());
            let (accounts, obstacles) = accounts::accounts(root);
            found.obstacles.extend(obstacles);
            let homes = accounts.into_iter().map(|account| account.home);
            installations.extend(homes.map(|home| format!("{home}/.local/share/flatpak")));
        }
        for installation in installations {
            found.find(&format!("{installation}/app"));
            found.find(&format!("{installation}/runtime"));
        }
        bundles.append(&mut found.bundles);
        facts.obstacles.append(&mut found.obstacles);
        bundles.sort();
        bundles.dedup();
        if bundles.len() > MAX_BUNDLES {
            let why = format!("there are more than the {MAX_BUNDLES} that are listed");
            facts.obstacles.push(Obstacle::new("bundles", why));
            bundles.truncate(MAX_BUNDLES);
        }
        facts.bundles = bundles;
    }
}

/// A search for flatpaks.
struct Flatpaks<'a> {
    root: &'a dyn Root,
    bundles: Vec<Bundle>,
    obstacles: Vec<Obstacle>,
}

impl Flatpaks<'_> {
    /// Returns the names in a directory; one that cannot be read is an obstacle.
    fn names(&mut self, folder: &str, kind: EntryKind) -> Vec<String> {
        match self.root.list(folder) {
            Reading::Found(entries) => {
                entries.into_iter().filter(|e| e.kind == kind).map(|e| e.name).collect()
            }
            Reading::Absent => Vec::new(),
            Reading::Unknown(obstacle) => {
                if self.root.is_in_place() {
                    self.obstacles.push(obstacle);
                }
                Vec::new()
            }
        }
    }

    /// Returns the places of installations that the system names.
    fn named(&mut self) -> Vec<String> {
        let mut places = Vec::new();
        for name in self.names(INSTALLATIONS, EntryKind::File) {
            let path = format!("{INSTALLATIONS}/{name}");
            let text = match self.root.read(&path, MAX_METADATA) {
                Reading::Found(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Reading::Absent => continue,
                Reading::Unknown(obstacle) => {
                    self.obstacles.push(obstacle);
                    continue;
                }
            };
            let named = text.lines().filter_map(|line| line.split_once('='));
            let named = named.filter(|(key, _)| key.trim() == "Path").map(|(_, path)| path.trim());
            for place in named.take(MAX_BUNDLES) {
                if place.starts_with('/') {
                    places.push(place.trim_end_matches('/').to_owned());
                } else {
                    let why = "names an installation of flatpaks by no path from /: what lies there is not known";
                    self.obstacles.push(obstacle(&path, why));
                }
            }
        }
        places
    }

    fn find(&mut self, folder: &str) {
        for name in self.names(folder, EntryKind::Directory) {
            let above = format!("{folder}/{name}");
            for architecture in self.names(&above, EntryKind::Directory) {
                let above = format!("{above}/{architecture}");
                for branch in self.names(&above, EntryKind::Directory) {
                    self.add(&name, &branch, &format!("{above}/{branch}"));
                    if self.bundles.len() > MAX_BUNDLES {
                        return;
                    }
                }
            }
        }
    }

    fn add(&mut self, name: &str, branch: &str, place: &str) {
        let commit = match self.root.link(&format!("{place}/active")) {
            Reading::Found(commit) => commit,
            Reading::Absent => return,
            Reading::Unknown(obstacle) => {
                if self.root.is_in_place() {
                    self.obstacles.push(obstacle);
                }
                return;
            }
        };
        let commit = commit.rsplit('/').next().unwrap_or_default();
        let short = commit.get(..12).unwrap_or(commit);
        let revision = Some(format!("{short} of {branch}"));
        let version = appstream(self.root, &format!("{place}/{commit}/files/share"), name);
        self.bundles.push(Bundle { version, ..bundle("flatpak", name, revision, place) });
    }
}

fn names(root: &dyn Root, folder: &str, kind: EntryKind) -> Vec<String> {
    match root.list(folder) {
        Reading::Found(entries) => {
            let named = entries.into_iter().filter(|e| e.kind == kind).take(MAX_BUNDLES);
            named.map(|e| e.name).collect()
        }
        Reading::Absent | Reading::Unknown(_) => Vec::new(),
    }
}

fn snaps(root: &dyn Root, facts: &mut Facts) -> Vec<Bundle> {
    let mut known: BTreeMap<String, Bundle> = BTreeMap::new();
    let state = match root.read(STATE, MAX_STATE) {
        Reading::Found(bytes) => serde_json::from_slice::<State>(&bytes).unwrap_or_default(),
        Reading::Absent => State::default(),
        // The links below say the same where snapd runs.
        Reading::Unknown(obstacle) => {
            if !SNAPS.iter().any(|folder| root.is_there(folder)) {
                facts.obstacles.push(obstacle);
            }
            State::default()
        }
    };
    for (name, snap) in state.data.snaps.into_iter().take(MAX_BUNDLES) {
        let revision = match snap.current {
            serde_json::Value::String(revision) => Some(revision),
            serde_json::Value::Number(revision) => Some(revision.to_string()),
            _ => None,
        };
        let revision = match (revision, snap.channel) {
            (Some(revision), channel) if !channel.is_empty() => {
                Some(format!("{revision} of {channel}"))
            }
            (revision, _) => revision,
        };
        known.insert(name.clone(), bundle("snap", &name, revision, &format!("/snap/{name}")));
    }
    for folder in SNAPS {
        for name in names(root, folder, EntryKind::Directory) {
            let Reading::Found(revision) = root.link(&format!("{folder}/{name}/current")) else {
                continue;
            };
            let path = format!("{folder}/{name}");
            let found = known
                .entry(name.clone())
                .or_insert_with(|| bundle("snap", &name, Some(revision.clone()), &path));
            let yaml =
                format!("{path}/{}/meta/snap.yaml", revision.rsplit('/').next().unwrap_or(""));
            if let Reading::Found(text) = root.read(&yaml, MAX_METADATA) {
                found.version = yaml_value(&String::from_utf8_lossy(&text), "version");
            }
        }
    }
    known.into_values().collect()
}

fn bundle(format: &str, name: &str, revision: Option<String>, path: &str) -> Bundle {
    Bundle {
        format: format.to_owned(),
        name: name.to_owned(),
        version: None,
        revision,
        path: path.to_owned(),
    }
}

/// Returns a value at the top of a file in YAML: `version: 1.2` or `version: '1.2'`.
fn yaml_value(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?.trim();
    let value = value.trim_matches(['\'', '"']);
    (!value.is_empty() && value.len() < 200).then(|| value.to_owned())
}

/// Returns the version of the newest release that the AppStream metadata names: the first one.
fn appstream(root: &dyn Root, share: &str, name: &str) -> Option<String> {
    for file in [format!("metainfo/{name}.metainfo.xml"), format!("appdata/{name}.appdata.xml")] {
        let Reading::Found(bytes) = root.read(&format!("{share}/{file}"), MAX_METADATA) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        let (_, release) = text.split_once("<release ")?;
        let (attributes, _) = release.split_once('>')?;
        let (_, version) = attributes.split_once("version=")?;
        let quote = version.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let version = version.get(1..)?.split(quote).next()?;
        return (!version.is_empty() && version.len() < 200).then(|| version.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspectors::apt::testing::Files;

    fn read(files: &Files) -> Vec<String> {
        let mut facts = Facts::default();
        Bundles.inspect(files, &mut facts);
        let told = |b: Bundle| {
            let known = |of: Option<String>| of.unwrap_or_else(|| "?".to_owned());
            format!("{} {} {} {}", b.format, b.name, known(b.version), known(b.revision))
        };
        facts.bundles.into_iter().map(told).collect()
    }

    #[test]
    fn a_snap_is_known_by_its_link_or_by_the_state() {
        let mut files = Files::of(&[
            ("snap/core22/1033/meta/snap.yaml", "name: core22\nversion: '20231123'\n"),
            ("snap/bin/lxd", ""),
            (
                "var/lib/snapd/state.json",
                r#"{"data":{"snaps":{"lxd":{"current":"24322","channel":"5.0/stable"},"x":{"current":7}}}}"#,
            ),
        ]);
        Files::link(&mut files, "snap/core22/current", "1033");
        assert_eq!(
            read(&files),
            ["snap core22 20231123 1033", "snap lxd ? 24322 of 5.0/stable", "snap x ? 7"]
        );
        for bad in ["[", "{\"data\":{\"snaps\":[]}}", "\0"] {
            assert!(read(&Files::of(&[("var/lib/snapd/state.json", bad)])).is_empty());
        }
    }

    #[test]
    fn a_flatpak_is_known_by_what_is_active() {
        let place = "var/lib/flatpak/app/org.example.Note/x86_64/stable";
        let commit = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let metadata =
            format!("{place}/{commit}/files/share/metainfo/org.example.Note.metainfo.xml");
        let mut files = Files::of(&[(
            metadata.as_str(),
            "<component><releases><release date='2026-01-01' version=\"2.1\"/><release version='2.0'/></releases></component>",
        )]);
        Files::link(&mut files, &format!("{place}/active"), commit);
        assert_eq!(read(&files), ["flatpak org.example.Note 2.1 0123456789ab of stable"]);
    }

    #[test]
    fn flatpaks_of_accounts_and_of_other_installations_are_listed() {
        let commit = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let mut files = Files::of(&[
            ("etc/passwd", "a:x:1000:1000::/srv/a:/bin/sh\n"),
            (
                "etc/flatpak/installations.d/more.conf",
                "[Installation \"more\"]\nPath=/opt/flatpaks/\n",
            ),
            ("home/shut/.profile", ""),
        ])
        .in_place();
        files.deny("home/shut/");
        for (place, id) in [
            ("srv/a/.local/share/flatpak/app", "org.example.Own"),
            ("home/of-ldap/.local/share/flatpak/app", "org.example.Ldap"),
            ("opt/flatpaks/runtime", "org.example.More"),
        ] {
            let place = format!("{place}/{id}/x86_64/stable");
            files.put(&format!("{place}/{commit}/metadata"), b"");
            Files::link(&mut files, &format!("{place}/active"), commit);
        }
        assert_eq!(
            read(&files),
            ["Ldap", "More", "Own"]
                .map(|id| format!("flatpak org.example.{id} ? 0123456789ab of stable"))
        );
        let mut facts = Facts::default();
        Bundles.inspect(&files, &mut facts);
        let [shut] = &facts.obstacles[..] else { panic!("{:?}", facts.obstacles) };
        assert_eq!(shut.what, concat!("/home", "/shut"));
    }
}
