//! Where facts are read from: one face for the live system, a mounted directory and a tar.

mod collected;
mod declared;
mod directory;
mod overlay;
mod tar;
mod walk;
mod within;

use std::io::{self, Read, Seek};

use muster_core::fact::{Obstacle, Reading};
use muster_core::time::Instant;

pub(crate) use collected::is_everything;
pub use collected::{Answer, Collected, Named, NotWhole, command, key_line, script, sudoers_line};
pub use declared::Declared;
pub(crate) use declared::{Pattern, glob};
pub use directory::Directory;
pub use overlay::{Marks, Overlay};
pub use tar::{NotTar, Tar};
pub(crate) use walk::{CONTAINERS, is_below};
pub use walk::{Spotted, Walked, Wanted};
pub use within::Within;

/// How many symbolic links are followed on the way to one file, as in Linux.
pub(crate) const MAX_LINKS: u32 = 40;
/// How many entries of one directory are listed.
pub(crate) const MAX_ENTRIES: usize = 200_000;

/// The files of a server, under its own `/`. A path is written from there, with or without a slash at its beginning.
pub trait Root {
    /// Tells whether it is the running system itself: only then there are processes and a running kernel.
    fn live(&self) -> bool;
    /// Tells whether its `/proc` speaks of a running system: of this one, or of the recorded one that the caller vouches for.
    fn running(&self) -> bool {
        self.live()
    }
    /// Tells whether all of its files can be reached, and not only those that were declared beforehand.
    fn is_in_place(&self) -> bool {
        false
    }
    /// Opens a regular file. Links are followed within the root; devices, FIFOs and sockets are never opened: they are an obstacle.
    fn open(&self, path: &str) -> Reading<Box<dyn Content>>;
    /// Lists a directory, sorted by name.
    fn list(&self, path: &str) -> Reading<Vec<Entry>>;
    /// Returns the target of a symbolic link, as written, without following it.
    fn link(&self, path: &str) -> Reading<String>;

    /// Returns the names of the symbolic links in a directory.
    fn links_in(&self, path: &str) -> Vec<String> {
        let entries = self.list(path).found().cloned().unwrap_or_default();
        entries.into_iter().filter(|e| e.kind == EntryKind::Link).map(|e| e.name).collect()
    }

    /// Looks at what lies at a path, links followed, without opening it. Absent where this kind of root cannot tell.
    fn look(&self, path: &str) -> Reading<Look> {
        let _ = path;
        Reading::Absent
    }

    /// Tells whether something lies at a path, links followed.
    fn is_there(&self, path: &str) -> bool {
        !matches!(self.open(path), Reading::Absent) || matches!(self.list(path), Reading::Found(_))
    }

    /// Walks all directories for files that are known by the end of their path; no link is followed, and no file opened.
    fn walk_all(&self, wanted: &Wanted<'_>) -> Reading<Walked> {
        walk::by_lists(self, wanted)
    }

    /// Returns the device and the number of what lies at a path, links followed; nothing where this kind of root has none.
    fn identity(&self, path: &str) -> Option<((u32, u32), u64)> {
        let _ = path;
        None
    }

    /// Reads a whole file of at most `limit` bytes; a larger one is an obstacle.
    fn read(&self, path: &str, limit: u64) -> Reading<Vec<u8>> {
        let mut content = match self.open(path) {
            Reading::Found(content) => content,
            Reading::Absent => return Reading::Absent,
            Reading::Unknown(obstacle) => return Reading::Unknown(obstacle),
        };
        if content.size() > limit {
            return Reading::Unknown(obstacle(
                path,
                format!(
                    "is {} bytes long, more than the {limit} that are read; look at the file",
                    content.size()
                ),
            ));
        }
        match read_whole(&mut *content, limit) {
            Ok(bytes) if bytes.len() as u64 > limit => Reading::Unknown(obstacle(
                path,
                format!("grew past the {limit} bytes that are read; inspect again"),
            )),
            Ok(bytes) => Reading::Found(bytes),
            Err(error) => Reading::Unknown(obstacle(path, format!("cannot be read: {error}"))),
        }
    }
}

/// Reads to the end, or one byte past the limit. A file that tells its size lands in one piece, without a copy; those of
/// `/proc` tell none.
fn read_whole(content: &mut dyn Content, limit: u64) -> io::Result<Vec<u8>> {
    const LEAST: usize = 4096;
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let told = usize::try_from(content.size()).unwrap_or(0).saturating_add(1);
    let mut bytes = vec![0; told.max(LEAST).min(most)];
    let mut length = 0;
    loop {
        if length == bytes.len() {
            if length == most {
                return Ok(bytes);
            }
            bytes.resize(length.saturating_mul(2).min(most), 0);
        }
        match content.read(bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => {
                bytes.truncate(length);
                return Ok(bytes);
            }
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
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

/// What is told of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it is.
    pub kind: EntryKind,
    /// The number of the account that owns it.
    pub user: u32,
    /// When it was last written.
    pub modified: Option<Instant>,
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

/// Notes what stands in the way of a path, which is written from `/`.
pub(crate) fn obstacle(path: &str, why: impl Into<String>) -> Obstacle {
    Obstacle::new(format!("/{}", path.trim_start_matches('/')), why)
}

/// What lies on the way where no regular file does, in the words that every kind of root uses.
pub(crate) fn no_file(path: &str, what: &str) -> Obstacle {
    obstacle(path, format!("is {what}, which is never opened; a regular file was expected"))
}

/// A circle of links, in the words that every kind of root uses.
pub(crate) fn circle(path: &str) -> Obstacle {
    obstacle(path, "cannot be found: its symbolic links lead in a circle")
}

/// A directory with too many entries, in the words that every kind of root uses.
pub(crate) fn crowded(path: &str) -> Obstacle {
    obstacle(path, format!("has more than {MAX_ENTRIES} entries; it was not listed"))
}
