//! The running system, or a directory that holds a server's files: a mounted disk, an unpacked image.
//!
//! A path is walked name by name (openat(2) with `O_PATH` and `O_NOFOLLOW`); links are read and followed here, with `/`
//! as the directory itself, so that none can lead outside and no rename on the way changes that. openat2(2) would do
//! the same in one call, but the sandbox cannot let it pass. What is to be read is looked at before it is opened: a
//! device, a FIFO or a socket never is.

pub(super) mod mounts;
mod walk;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use muster_core::fact::Reading;
use muster_core::time::Instant;
use rustix::fs::{Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat};
use rustix::io::Errno;

use super::declared::components;
use super::{
    Content, Entry, EntryKind, Look, MAX_ENTRIES, MAX_LINKS, Root, Walked, Wanted, circle, crowded,
    no_file, obstacle,
};
use mounts::Mounts;

pub(super) const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory as the `/` of a server.
pub struct Directory {
    top: OwnedFd,
    live: bool,
    running: bool,
    mounts: RefCell<Mounts>,
    /// When a walk over all of it must have ended.
    end: Cell<Option<Duration>>,
}

/// Why a walk ended before its goal.
pub(super) enum Stop {
    Absent,
    Circle,
    Errno(Errno),
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR => Self::Absent,
            Errno::LOOP => Self::Circle,
            error => Self::Errno(error),
        }
    }
}

impl Stop {
    pub(super) fn reading<T>(self, path: &str) -> Reading<T> {
        Reading::Unknown(match self {
            Self::Absent => return Reading::Absent,
            Self::Circle => circle(path),
            Self::Errno(Errno::ACCESS | Errno::PERM) => {
                obstacle(path, "cannot be read: permission denied; inspect as root")
            }
            Self::Errno(error) => obstacle(path, format!("cannot be read: {}", in_words(error))),
        })
    }
}

/// The system's words, without the number that differs by nothing but its number.
fn in_words(error: Errno) -> String {
    let words = io::Error::from(error).to_string();
    words.split(" (os error").next().unwrap_or(&words).to_lowercase()
}

/// What a walk arrived at: looked at, not opened.
struct Found {
    /// The directory it lies in, to open it from; nothing for `/` itself.
    parent: Option<OwnedFd>,
    name: String,
    itself: OwnedFd,
    stat: Stat,
}

impl Directory {
    /// Takes an open directory as a root. `live`: it is the `/` of the running system. `running`: its `/proc` counts.
    pub fn new(top: OwnedFd, live: bool, running: bool) -> Self {
        let mounts = RefCell::default();
        Self { top, live, running: live || running, mounts, end: Cell::new(None) }
    }

    /// Prepares for a walk over all of it: sets the end of the time.
    pub(crate) fn expect_walk(&self, end: Duration) {
        self.end.set(Some(end));
    }

    /// Learns what is mounted below, by the name of the directory on this machine. A child that is shut into it can no longer ask.
    pub(crate) fn learn_mounts(&self, path: &Path) {
        let place = path.canonicalize();
        if let (Ok(place), Ok(mountinfo)) = (place, std::fs::read("/proc/self/mountinfo")) {
            *self.mounts.borrow_mut() = Mounts::below(place.as_os_str().as_bytes(), &mountinfo);
        }
    }

    /// Takes the root that a process in a container has; what is mounted in it is no part of it.
    pub(crate) fn of_process(top: OwnedFd, mountinfo: &[u8]) -> Self {
        let root = Self::new(top, false, false);
        *root.mounts.borrow_mut() = Mounts::none(mountinfo);
        root
    }

    /// Returns the open directory.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// Looks at a path; files and directories alike, for the kernel's own rules.
    pub(crate) fn look(&self, path: &[&str]) -> Option<OwnedFd> {
        self.walk(&path.join("/"), true).ok().map(|found| found.itself)
    }

    /// Opens a directory to look for names in it; a link in its place is none.
    pub(crate) fn open_directory(&self, path: &str) -> Reading<OwnedFd> {
        let found = match self.walk(path, false) {
            Ok(found) => found,
            Err(stop) => return stop.reading(path),
        };
        if !FileType::from_raw_mode(found.stat.st_mode).is_dir() {
            return Reading::Absent;
        }
        match self.open_found(&found, OFlags::DIRECTORY) {
            Ok(opened) => Reading::Found(opened),
            Err(stop) => stop.reading(path),
        }
    }

    fn walk(&self, path: &str, follow_last: bool) -> Result<Found, Stop> {
        let mut ahead: Vec<String> = components(path).map(String::from).collect();
        ahead.reverse();
        let mut behind: Vec<OwnedFd> = Vec::new();
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                behind.pop();
                continue;
            }
            let here = behind.last().map_or(self.top.as_fd(), AsFd::as_fd);
            let last = ahead.is_empty();
            if !last {
                match openat(here, name.as_str(), LOOK | OFlags::DIRECTORY, Mode::empty()) {
                    Ok(directory) => {
                        behind.push(directory);
                        continue;
                    }
                    Err(Errno::NOTDIR | Errno::LOOP) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let itself = openat(here, name.as_str(), LOOK, Mode::empty())?;
            let stat = fstat(&itself)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind.is_symlink() && (follow_last || !last) {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Stop::Circle);
                }
                let target = readlinkat(&itself, "", Vec::new())?;
                let target = target.to_string_lossy();
                if target.starts_with('/') {
                    behind.clear();
                }
                let before = ahead.len();
                ahead.extend(components(&target).map(String::from));
                if let Some(new) = ahead.get_mut(before..) {
                    new.reverse();
                }
                continue;
            }
            if last {
                return Ok(Found { parent: behind.pop(), name, itself, stat });
            }
            // Between a file and the goal lies nothing; a directory that was a link a moment ago is walked again.
            if !kind.is_dir() {
                return Err(Stop::Absent);
            }
            behind.push(itself);
        }
        // The path was `/`, or led back there.
        let itself = match behind.pop() {
            Some(directory) => directory,
            None => openat(&self.top, ".", LOOK | OFlags::DIRECTORY, Mode::empty())?,
        };
        let stat = fstat(&itself)?;
        Ok(Found { parent: None, name: String::from("."), itself, stat })
    }

    /// Opens for reading what was looked at, and makes sure that it is still the same.
    fn open_found(&self, found: &Found, flags: OFlags) -> Result<OwnedFd, Stop> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let opened = if found.name == "." {
            openat(&found.itself, ".", flags, Mode::empty())?
        } else {
            let parent = found.parent.as_ref().map_or(self.top.as_fd(), AsFd::as_fd);
            openat(parent, found.name.as_str(), flags | OFlags::NONBLOCK, Mode::empty())?
        };
        let stat = fstat(&opened)?;
        if (stat.st_dev, stat.st_ino) != (found.stat.st_dev, found.stat.st_ino) {
            return Err(Stop::Errno(Errno::STALE));
        }
        Ok(opened)
    }

    /// What a running system alone has is not there elsewhere.
    fn hides(&self, path: &str) -> bool {
        !self.running && components(path).next() == Some("proc")
    }
}

impl Root for Directory {
    fn live(&self) -> bool {
        self.live
    }

    fn running(&self) -> bool {
        self.running
    }

    fn is_in_place(&self) -> bool {
        true
    }

    fn open(&self, path: &str) -> Reading<Box<dyn Content>> {
        if self.hides(path) {
            return Reading::Absent;
        }
        let found = match self.walk(path, true) {
            Ok(found) => found,
            Err(stop) => return stop.reading(path),
        };
        let kind = FileType::from_raw_mode(found.stat.st_mode);
        if !kind.is_file() {
            return Reading::Unknown(no_file(path, name_of(kind)));
        }
        match self.open_found(&found, OFlags::empty()) {
            Ok(opened) => Reading::Found(Box::new(OpenFile::new(opened, &found.stat))),
            Err(stop) => stop.reading(path),
        }
    }

    fn list(&self, path: &str) -> Reading<Vec<Entry>> {
        if self.hides(path) {
            return Reading::Absent;
        }
        let opened = self.walk(path, true).and_then(|found| {
            if FileType::from_raw_mode(found.stat.st_mode).is_dir() {
                return self.open_found(&found, OFlags::DIRECTORY);
            }
            Err(Stop::Absent)
        });
        let directory = match opened {
            Ok(opened) => Dir::new(opened),
            Err(stop) => return stop.reading(path),
        };
        let mut entries = Vec::new();
        let Ok(directory) = directory else { return Stop::Errno(Errno::IO).reading(path) };
        for entry in directory {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Stop::from(error).reading(path),
            };
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "." || name == ".." {
                continue;
            }
            if entries.len() == MAX_ENTRIES {
                return Reading::Unknown(crowded(path));
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                let below = format!("{path}/{name}");
                let Ok(found) = self.walk(&below, false) else { continue };
                kind = FileType::from_raw_mode(found.stat.st_mode);
            }
            entries.push(Entry { name, kind: entry_kind(kind) });
        }
        entries.sort_unstable();
        Reading::Found(entries)
    }

    fn look(&self, path: &str) -> Reading<Look> {
        if self.hides(path) {
            return Reading::Absent;
        }
        match self.walk(path, true) {
            Ok(found) => Reading::Found(Look {
                kind: entry_kind(FileType::from_raw_mode(found.stat.st_mode)),
                user: found.stat.st_uid,
                modified: Instant::from_second(found.stat.st_mtime).ok(),
            }),
            Err(stop) => stop.reading(path),
        }
    }

    fn is_there(&self, path: &str) -> bool {
        self.walk(path, true).is_ok()
    }

    fn walk_all(&self, wanted: &Wanted<'_>) -> Reading<Walked> {
        let mounts = self.mounts.borrow();
        match walk::Walk::new(wanted, &mounts, self.end.get()).run(self.top.as_fd()) {
            Ok(walked) => Reading::Found(walked),
            Err(error) => Stop::from(error).reading("/"),
        }
    }

    fn identity(&self, path: &str) -> Option<((u32, u32), u64)> {
        let stat = self.walk(path, true).ok()?.stat;
        Some(((rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev)), stat.st_ino))
    }

    fn link(&self, path: &str) -> Reading<String> {
        if self.hides(path) {
            return Reading::Absent;
        }
        let found = match self.walk(path, false) {
            Ok(found) => found,
            Err(stop) => return stop.reading(path),
        };
        if !FileType::from_raw_mode(found.stat.st_mode).is_symlink() {
            return Reading::Absent;
        }
        match readlinkat(&found.itself, "", Vec::new()) {
            Ok(target) => Reading::Found(target.to_string_lossy().into_owned()),
            Err(error) => Stop::from(error).reading(path),
        }
    }
}

pub(super) fn entry_kind(kind: FileType) -> EntryKind {
    match kind {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Link,
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => EntryKind::Special,
    }
}

/// Names what is no regular file.
pub(super) fn name_of(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "a directory",
        FileType::Fifo => "a FIFO",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Socket => "a socket",
        FileType::RegularFile | FileType::Symlink | FileType::Unknown => "no regular file",
    }
}

pub(super) struct OpenFile {
    file: File,
    size: u64,
    modified: Option<Instant>,
}

impl OpenFile {
    pub(super) fn new(opened: OwnedFd, stat: &Stat) -> Self {
        Self {
            file: File::from(opened),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: Instant::from_second(stat.st_mtime).ok(),
        }
    }
}

impl Read for OpenFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for OpenFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Content for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn modified(&self) -> Option<Instant> {
        self.modified
    }
}
