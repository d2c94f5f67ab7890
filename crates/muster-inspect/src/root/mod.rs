//! Where facts are read from: one face for the live system, a mounted directory and a tar.

use std::io::{Read, Seek};

use muster_core::fact::{Obstacle, Reading};
use muster_core::time::Instant;

/// The files of a server, under its own `/`.
pub trait Root {
    /// Tells whether it is the running system itself: only then there are processes and a running kernel.
    fn live(&self) -> bool;
    /// Opens a regular file. Links are followed within the root; devices, FIFOs and sockets are never opened: they are an obstacle.
    fn open(&self, path: &str) -> Reading<Box<dyn Content>>;
    /// Lists a directory, sorted by name.
    fn list(&self, path: &str) -> Reading<Vec<Entry>>;
    /// Returns the target of a symbolic link, as written, without following it.
    fn link(&self, path: &str) -> Reading<String>;

    /// Reads a whole file of at most `limit` bytes; a larger one is an obstacle.
    fn read(&self, path: &str, limit: u64) -> Reading<Vec<u8>> {
        let mut content = match self.open(path) {
            Reading::Found(content) => content,
            Reading::Absent => return Reading::Absent,
            Reading::Unknown(obstacle) => return Reading::Unknown(obstacle),
        };
        if content.size() > limit {
            return Reading::Unknown(Obstacle::new(
                path,
                format!(
                    "is {} bytes long, more than the {limit} that are read; look at the file",
                    content.size()
                ),
            ));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(content.size()).unwrap_or(0));
        match (&mut *content).take(limit + 1).read_to_end(&mut bytes) {
            Ok(_) if bytes.len() as u64 > limit => Reading::Unknown(Obstacle::new(
                path,
                format!("grew past the {limit} bytes that are read; inspect again"),
            )),
            Ok(_) => Reading::Found(bytes),
            Err(error) => Reading::Unknown(Obstacle::new(path, format!("cannot be read: {error}"))),
        }
    }
}

/// The bytes of a regular file, in any order.
pub trait Content: Read + Seek {
    /// Returns its length.
    fn size(&self) -> u64;
    /// Returns when it was last written.
    fn modified(&self) -> Option<Instant>;
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is, links not followed.
    pub kind: EntryKind,
}

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a FIFO, a socket: never opened.
    Special,
}
