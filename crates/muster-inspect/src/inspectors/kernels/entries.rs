//! Entries of the Boot Loader Specification (type 1): `loader/entries/*.conf` on the boot and system partitions.
//!
//! Their order is that of the specification: entries without boot tries left come last, then the newest version first.
//! Sort keys and machine ids, by which the systems of one disk are told apart, are not weighed.

use std::cmp::Ordering;

use muster_core::fact::{Obstacle, Reading};

use super::boot::file_name;
use super::{by_version, note, release_of, text};
use crate::root::Root;

/// Where loaders keep their configuration: on the boot partition, and on the system partition at its usual places.
pub(super) const FOLDERS: [&str; 3] = ["/boot/loader", "/boot/efi/loader", "/efi/loader"];
/// More entries than a menu has.
const MAX_ENTRIES: usize = 1000;

/// The entries, in the order in which the menu shows them.
#[derive(Debug, Default)]
pub(super) struct Entries {
    all: Vec<Entry>,
    folder: &'static str,
}

/// An entry.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// The name of its file, without the count of its tries.
    pub(super) id: String,
    pub(super) title: Option<String>,
    version: Option<String>,
    /// The path of its image.
    pub(super) linux: Option<String>,
    /// Whether its boot was tried as often as it may be, and never came to its end.
    is_bad: bool,
}

impl Entry {
    fn read(name: &str, text: &str) -> Self {
        let (id, tries_left) = without_tries(name);
        let mut entry = Self { id, is_bad: tries_left == Some(0), ..Self::default() };
        for line in text.lines() {
            let Some((key, value)) = line.trim().split_once(char::is_whitespace) else { continue };
            let value = Some(value.trim().to_owned());
            match key {
                "title" => entry.title = value,
                "version" => entry.version = value,
                "linux" => entry.linux = value,
                _ => {}
            }
        }
        entry
    }

    /// Returns the release it starts: by the name of the image, else by `version`, the folder of the image (kernel-install's
    /// layout is `/MACHINE/RELEASE/linux`) or the id (`MACHINE-RELEASE`); of several words the one that is installed.
    pub(super) fn release(&self, installed: &[String]) -> Option<String> {
        let path = self.linux.as_deref()?;
        if path.contains("rescue") {
            return None;
        }
        if let Some(release) = release_of(file_name(path)) {
            return Some(release.to_owned());
        }
        let in_id = self.id.split_once('-').map(|(_, rest)| rest);
        let words = || self.version.as_deref().into_iter().chain(path.split('/')).chain(in_id);
        let known = words().find(|word| installed.iter().any(|release| release == word));
        known.or_else(|| words().find(|word| is_release(word))).map(str::to_owned)
    }
}

/// `6.1.0-10-amd64`, and neither `39 (Workstation)` nor a machine id.
fn is_release(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.contains('.')
        && !word.contains(char::is_whitespace)
}

/// Takes the count of tries off a name: `x+3-1`, of which 3 are left and 1 was made; `x+3`.
fn without_tries(name: &str) -> (String, Option<u32>) {
    let counted = name.rsplit_once('+').and_then(|(id, tries)| {
        let (left, done) = tries.split_once('-').unwrap_or((tries, "0"));
        done.parse::<u32>().ok()?;
        Some((id.to_owned(), Some(left.parse().ok()?)))
    });
    counted.unwrap_or_else(|| (name.to_owned(), None))
}

/// Reads all entries.
pub(super) fn read(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Entries {
    let mut entries = Entries::default();
    for folder in FOLDERS {
        let folder_of_entries = format!("{folder}/entries");
        let files = match root.list(&folder_of_entries) {
            // Where the system partition may be is looked at, and not asked for.
            Reading::Unknown(_) if folder != "/boot/loader" => continue,
            files => note(files, obstacles),
        };
        for file in files {
            let Some(name) = file.name.strip_suffix(".conf") else { continue };
            if entries.all.len() == MAX_ENTRIES {
                break;
            }
            let text = note(text(root, &format!("{folder_of_entries}/{}", file.name)), obstacles);
            entries.all.push(Entry::read(name, &text));
            entries.folder = folder;
        }
    }
    entries.all.sort_by(order);
    entries
}

fn order(a: &Entry, b: &Entry) -> Ordering {
    fn version(entry: &Entry) -> &str {
        entry.version.as_deref().unwrap_or(&entry.id)
    }
    a.is_bad
        .cmp(&b.is_bad)
        .then_with(|| by_version(version(b), version(a)))
        .then_with(|| by_version(&b.id, &a.id))
}

impl Entries {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns where the entries lie.
    pub(super) fn folder(&self) -> &'static str {
        self.folder
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.all.iter()
    }

    pub(super) fn first(&self) -> Option<&Entry> {
        self.all.first()
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&Entry> {
        self.all.iter().find(|entry| entry.id == id)
    }

    /// Returns the first entry that a pattern of loader.conf(5) means; one without tries left only where there is no other.
    pub(super) fn matching(&self, pattern: &str) -> Option<&Entry> {
        let pattern = pattern.strip_suffix(".conf").unwrap_or(pattern);
        let found = self.all.iter().find(|entry| crate::root::glob(pattern, &entry.id))?;
        (!found.is_bad || self.all.iter().all(|entry| entry.is_bad)).then_some(found)
    }

    /// Returns the release that all entries start, where it is one.
    pub(super) fn only_release(&self, installed: &[String]) -> Option<String> {
        let release = self.first()?.release(installed)?;
        let is_same = |entry: &Entry| entry.release(installed).as_ref() == Some(&release);
        self.all.iter().all(is_same).then_some(release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_tries_is_no_part_of_the_id() {
        for (name, id, left) in [
            ("m-6.1.0-10-amd64", "m-6.1.0-10-amd64", None),
            ("m-6.1+0-3", "m-6.1", Some(0)),
            ("m-6.1+3", "m-6.1", Some(3)),
            ("m-6.12.9+bpo-amd64", "m-6.12.9+bpo-amd64", None),
            ("m-6.12.9+bpo-amd64+1-2", "m-6.12.9+bpo-amd64", Some(1)),
        ] {
            assert_eq!(without_tries(name), (id.to_owned(), left));
        }
    }

    #[test]
    fn the_release_is_the_word_that_is_installed() {
        let told = |version: &str, linux: &str, installed: &[&str]| {
            let text = format!("version {version}\nlinux {linux}\n");
            let installed: Vec<String> = installed.iter().map(|r| (*r).to_owned()).collect();
            Entry::read("0123abc-6.5.1-custom", &text).release(&installed)
        };
        assert_eq!(
            told("39 (Server)", "/vmlinuz-6.5.6.x86_64", &[]).as_deref(),
            Some("6.5.6.x86_64")
        );
        assert_eq!(told("39", "/m/6.5.6-a/linux", &[]).as_deref(), Some("6.5.6-a"));
        assert_eq!(told("39.1", "/m/linux", &["6.5.1-custom"]).as_deref(), Some("6.5.1-custom"));
        assert_eq!(told("6.5.6", "/m/vmlinuz-0-rescue-m", &[]), None);
    }
}
