//! A root of a few files in memory, for the tests of what reads small files.

use std::collections::BTreeMap;
use std::io::Cursor;

use muster_core::fact::Reading;
use muster_core::time::Instant;

use crate::root::{Content, Entry, EntryKind, Look, Root, obstacle};

/// Files by their paths, and links by theirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    files: BTreeMap<String, Vec<u8>>,
    links: BTreeMap<String, String>,
    numbers: BTreeMap<String, ((u32, u32), u64)>,
    live: bool,
    in_place: bool,
    denied: Vec<String>,
}

impl Files {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut found = Self::default();
        for (path, text) in files {
            found.put(path, text.as_bytes());
        }
        found
    }

    /// The same files, as those of the running system.
    pub(crate) fn running(self) -> Self {
        Self { live: true, ..self }
    }

    /// The same files, as those of a directory in which every file can be reached.
    pub(crate) fn in_place(self) -> Self {
        Self { in_place: true, ..self }
    }

    /// Lets nothing below a path be looked at.
    pub(crate) fn deny(&mut self, path: &str) {
        self.denied.push(path.trim_start_matches('/').to_owned());
    }

    fn denied<T>(&self, path: &str) -> Option<Reading<T>> {
        let is_below = |denied: &String| path.trim_start_matches('/').starts_with(denied.as_str());
        let denied = self.denied.iter().any(is_below);
        denied.then(|| Reading::Unknown(obstacle(path, "cannot be read: permission denied")))
    }

    pub(crate) fn put(&mut self, path: &str, bytes: &[u8]) {
        self.files.insert(path.to_owned(), bytes.to_vec());
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.files.remove(path);
    }

    pub(crate) fn number(&mut self, path: &str, number: ((u32, u32), u64)) {
        self.numbers.insert(path.to_owned(), number);
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.links.insert(path.trim_start_matches('/').to_owned(), target.to_owned());
    }
}

struct InMemory(Cursor<Vec<u8>>);

impl std::io::Read for InMemory {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Seek for InMemory {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

impl Content for InMemory {
    fn size(&self) -> u64 {
        self.0.get_ref().len() as u64
    }

    fn modified(&self) -> Option<Instant> {
        None
    }
}

impl Root for Files {
    fn live(&self) -> bool {
        self.live
    }

    fn is_in_place(&self) -> bool {
        self.in_place || self.live
    }

    fn look(&self, path: &str) -> Reading<Look> {
        self.denied(path).unwrap_or(Reading::Absent)
    }

    fn open(&self, path: &str) -> Reading<Box<dyn Content>> {
        if let Some(denied) = self.denied(path) {
            return denied;
        }
        match self.files.get(path.trim_start_matches('/')) {
            Some(bytes) => Reading::Found(Box::new(InMemory(Cursor::new(bytes.clone())))),
            None => Reading::Absent,
        }
    }

    fn list(&self, path: &str) -> Reading<Vec<Entry>> {
        if let Some(denied) = self.denied(path) {
            return denied;
        }
        let mut below = format!("{}/", path.trim_start_matches('/'));
        if below == "/" {
            below.clear();
        }
        let mut found: Vec<Entry> = Vec::new();
        for name in self.files.keys().filter_map(|file| file.strip_prefix(&below)) {
            let (name, kind) = match name.split_once('/') {
                Some((name, _)) => (name, EntryKind::Directory),
                None => (name, EntryKind::File),
            };
            let entry = Entry { name: name.to_owned(), kind };
            if !found.contains(&entry) {
                found.push(entry);
            }
        }
        if found.is_empty() { Reading::Absent } else { Reading::Found(found) }
    }

    fn identity(&self, path: &str) -> Option<((u32, u32), u64)> {
        self.numbers.get(path).copied()
    }

    fn link(&self, path: &str) -> Reading<String> {
        self.links
            .get(path.trim_start_matches('/'))
            .cloned()
            .map_or(Reading::Absent, Reading::Found)
    }
}
