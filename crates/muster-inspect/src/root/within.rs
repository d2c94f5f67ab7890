//! One directory of a root, under its name there: so that a child can be shut into `/proc`, and inspectors name their
//! paths as ever.

use muster_core::fact::Reading;

use super::declared::components;
use super::{Content, Directory, Entry, EntryKind, Root};

/// A root with nothing in it but one directory.
pub struct Within {
    name: &'static str,
    directory: Option<Directory>,
}

impl Within {
    /// Shows the directory under its name.
    pub fn new(name: &'static str, directory: Directory) -> Self {
        Self { name, directory: Some(directory) }
    }

    /// Shows a root where the directory would be, and is not.
    pub fn nothing(name: &'static str) -> Self {
        Self { name, directory: None }
    }

    /// Returns the directory.
    pub fn directory(&self) -> Option<&Directory> {
        self.directory.as_ref()
    }

    /// Returns the directory and the path in it, where the path leads there.
    fn inside(&self, path: &str) -> Option<(&Directory, String)> {
        let mut names = components(path);
        let directory = self.directory.as_ref().filter(|_| names.next() == Some(self.name))?;
        Some((directory, names.collect::<Vec<_>>().join("/")))
    }
}

impl Root for Within {
    fn live(&self) -> bool {
        self.directory.as_ref().is_some_and(Root::live)
    }

    fn running(&self) -> bool {
        self.directory.as_ref().is_some_and(Root::running)
    }

    fn open(&self, path: &str) -> Reading<Box<dyn Content>> {
        self.inside(path).map_or(Reading::Absent, |(directory, path)| directory.open(&path))
    }

    fn list(&self, path: &str) -> Reading<Vec<Entry>> {
        if components(path).next().is_none() {
            let one = Entry { name: self.name.to_owned(), kind: EntryKind::Directory };
            return Reading::Found(self.directory.iter().map(|_| one.clone()).collect());
        }
        self.inside(path).map_or(Reading::Absent, |(directory, path)| directory.list(&path))
    }

    fn link(&self, path: &str) -> Reading<String> {
        self.inside(path).map_or(Reading::Absent, |(directory, path)| directory.link(&path))
    }
}
