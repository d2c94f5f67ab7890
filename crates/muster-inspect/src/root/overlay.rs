//! Layers of directories as one root, as overlayfs joins them: the images and containers of Docker, Podman and containerd.
//!
//! By the kernel's `Documentation/filesystems/overlayfs.rst`: an entry of an upper layer stands before those below; two
//! directories are joined; a character device 0/0, or an empty file with the attribute `overlay.whiteout`, hides what
//! lies below; so does a directory with `overlay.opaque`. A file with `overlay.metacopy` has its bytes in a layer below.
//! Paths are walked as in a directory: name by name, links followed within the joined root, never out of it.
//!
//! What was renamed from layer to layer (`overlay.redirect`) is not followed: it is an obstacle, not an empty directory.
//! Data-only layers are not known.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;

use muster_core::fact::Reading;
use muster_core::time::Instant;
use rustix::fs::{Dir, FileType, Mode, OFlags, Stat, fgetxattr, fstat, openat, readlinkat};
use rustix::io::Errno;

use super::declared::components;
use super::directory::{LOOK, OpenFile, Stop, entry_kind, name_of};
use super::{Content, Entry, EntryKind, Look, MAX_ENTRIES, MAX_LINKS, Root, crowded, no_file, obstacle};

/// How many layers are joined; engines stop at 128 or before.
pub const MAX_LAYERS: usize = 128;

/// What hides by its name, where no device can be made (AUFS, fuse-overlayfs, the OCI image layout).
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// The attributes, by who wrote them: the kernel for root, the kernel in a user namespace, fuse-overlayfs.
const PREFIXES: [&str; 3] = ["trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."];

const LIST: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW).union(OFlags::NOCTTY);

/// Directories as the layers of one root.
pub struct Overlay {
    layers: Layers,
    /// Whether names hide as well: in layers that a user without privileges wrote.
    by_name: bool,
}

/// A directory, by the layers that have a part in it.
type Layers = Vec<Rc<OwnedFd>>;

/// What lies at a name.
enum Seen {
    Directory(Layers, Stat),
    Other(Other),
}

/// What is no directory: where it lies, and what was looked at.
struct Other {
    parent: Rc<OwnedFd>,
    name: String,
    itself: OwnedFd,
    stat: Stat,
}

/// Why a walk ended.
enum Ended {
    By(Stop),
    Redirected,
}

impl From<Errno> for Ended {
    fn from(error: Errno) -> Self {
        Self::By(error.into())
    }
}

impl Ended {
    const ABSENT: Self = Self::By(Stop::Absent);

    fn reading<T>(self, path: &str) -> Reading<T> {
        match self {
            Self::By(stop) => stop.reading(path),
            Self::Redirected => Reading::Unknown(obstacle(
                path,
                "was moved from layer to layer (overlay.redirect), which is not followed; mount the container and inspect that directory",
            )),
        }
    }
}

impl Overlay {
    /// Joins open directories, the topmost first. `by_name`: files called `.wh.NAME` hide too.
    pub fn new(layers: Vec<OwnedFd>, by_name: bool) -> Self {
        Self { layers: layers.into_iter().take(MAX_LAYERS).map(Rc::new).collect(), by_name }
    }

    /// Returns the open directories.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.layers.iter().map(|layer| layer.as_fd())
    }

    fn walk(&self, path: &str, follow_last: bool) -> Result<Seen, Ended> {
        let mut ahead: Vec<String> = components(path).map(String::from).collect();
        ahead.reverse();
        // The names of the directories on the way: one set of descriptors is open at a time.
        let mut behind: Vec<String> = Vec::new();
        let mut here = self.layers.clone();
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                behind.pop();
                here = self.descend(&behind)?;
                continue;
            }
            let last = ahead.is_empty();
            let other = match self.step(&here, &name)? {
                Seen::Directory(layers, stat) => {
                    if last {
                        return Ok(Seen::Directory(layers, stat));
                    }
                    here = layers;
                    behind.push(name);
                    continue;
                }
                Seen::Other(other) => other,
            };
            let is_link = FileType::from_raw_mode(other.stat.st_mode).is_symlink();
            if !is_link || (last && !follow_last) {
                return if last { Ok(Seen::Other(other)) } else { Err(Ended::ABSENT) };
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Ended::By(Stop::Circle));
            }
            let target = readlinkat(&other.itself, "", Vec::new())?;
            let target = target.to_string_lossy();
            if target.starts_with('/') {
                behind.clear();
                here = self.layers.clone();
            }
            let before = ahead.len();
            ahead.extend(components(&target).map(String::from));
            if let Some(new) = ahead.get_mut(before..) {
                new.reverse();
            }
        }
        // The path was `/`, or led back to where it began.
        let stat = fstat(here.first().ok_or(Ended::ABSENT)?)?;
        Ok(Seen::Directory(here, stat))
    }

    /// Walks once more what was walked already.
    fn descend(&self, names: &[String]) -> Result<Layers, Ended> {
        let mut here = self.layers.clone();
        for name in names {
            match self.step(&here, name)? {
                Seen::Directory(layers, _) => here = layers,
                Seen::Other(_) => return Err(Ended::ABSENT),
            }
        }
        Ok(here)
    }

    /// Finds one name in a directory.
    fn step(&self, here: &Layers, name: &str) -> Result<Seen, Ended> {
        let mut joined: Layers = Vec::new();
        let mut first: Option<Stat> = None;
        let hidden_by = format!("{WHITEOUT}{name}");
        for layer in here {
            if self.by_name && name.starts_with(WHITEOUT) {
                break;
            }
            let itself = match openat(layer, name, LOOK, Mode::empty()) {
                Ok(itself) => itself,
                Err(Errno::NOENT) => {
                    if self.by_name && is_there(layer, &hidden_by) {
                        break;
                    }
                    continue;
                }
                // A name that is too long for one layer's file system may still be in another.
                Err(error) => return Err(error.into()),
            };
            let stat = fstat(&itself)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if is_whiteout(layer, name, &stat) {
                break;
            }
            if !kind.is_dir() {
                if first.is_some() {
                    break;
                }
                let parent = Rc::clone(layer);
                return Ok(Seen::Other(Other { parent, name: name.to_owned(), itself, stat }));
            }
            let opened = openat(layer, name, LIST, Mode::empty())?;
            let is_last = attribute(&opened, "opaque").is_some_and(|value| value == b"y")
                || self.by_name && is_there(&opened, OPAQUE);
            let is_moved = attribute(&opened, "redirect").is_some();
            joined.push(Rc::new(opened));
            first.get_or_insert(stat);
            if is_last {
                break;
            }
            if is_moved {
                return Err(Ended::Redirected);
            }
        }
        first.map(|stat| Seen::Directory(joined, stat)).ok_or(Ended::ABSENT)
    }

    /// Opens a file; where its layer has only what is told of it, the bytes of a layer below.
    fn open_other(&self, path: &str, other: &Other) -> Result<(OwnedFd, Stat), Ended> {
        let opened = open_same(other)?;
        if attribute(&opened, "metacopy").is_none() {
            return Ok((opened, other.stat));
        }
        if attribute(&opened, "redirect").is_some() {
            return Err(Ended::Redirected);
        }
        let mut names: Vec<&str> = components(path).collect();
        names.pop();
        let Seen::Directory(layers, _) = self.walk(&names.join("/"), true)? else {
            return Err(Ended::ABSENT);
        };
        let above = layers.iter().position(|layer| is_same(layer, &other.parent));
        for layer in layers.iter().skip(above.map_or(layers.len(), |at| at + 1)) {
            let itself = match openat(layer, other.name.as_str(), LOOK, Mode::empty()) {
                Ok(itself) => itself,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            let stat = fstat(&itself)?;
            if !FileType::from_raw_mode(stat.st_mode).is_file() {
                break;
            }
            let lower = Other { parent: Rc::clone(layer), name: other.name.clone(), itself, stat };
            let opened = open_same(&lower)?;
            if attribute(&opened, "metacopy").is_none() {
                return Ok((opened, stat));
            }
            if attribute(&opened, "redirect").is_some() {
                break;
            }
        }
        Err(Ended::Redirected)
    }
}

impl Root for Overlay {
    fn live(&self) -> bool {
        false
    }

    fn open(&self, path: &str) -> Reading<Box<dyn Content>> {
        if hides(path) {
            return Reading::Absent;
        }
        let other = match self.walk(path, true) {
            Ok(Seen::Other(other)) => other,
            Ok(Seen::Directory(..)) => {
                return Reading::Unknown(no_file(path, name_of(FileType::Directory)));
            }
            Err(ended) => return ended.reading(path),
        };
        let kind = FileType::from_raw_mode(other.stat.st_mode);
        if !kind.is_file() {
            return Reading::Unknown(no_file(path, name_of(kind)));
        }
        match self.open_other(path, &other) {
            Ok((opened, stat)) => Reading::Found(Box::new(OpenFile::new(opened, &stat))),
            Err(ended) => ended.reading(path),
        }
    }

    fn list(&self, path: &str) -> Reading<Vec<Entry>> {
        if hides(path) {
            return Reading::Absent;
        }
        let layers = match self.walk(path, true) {
            Ok(Seen::Directory(layers, _)) => layers,
            Ok(Seen::Other(_)) => return Reading::Absent,
            Err(ended) => return ended.reading(path),
        };
        // Nothing: a name that is hidden from here on.
        let mut entries: BTreeMap<String, Option<EntryKind>> = BTreeMap::new();
        for layer in &layers {
            if let Err(error) = self.list_layer(layer, &mut entries) {
                return match error {
                    Some(error) => Stop::from(error).reading(path),
                    None => Reading::Unknown(crowded(path)),
                };
            }
        }
        let told = entries.into_iter().filter_map(|(name, kind)| Some(Entry { name, kind: kind? }));
        Reading::Found(told.collect())
    }

    fn link(&self, path: &str) -> Reading<String> {
        if hides(path) {
            return Reading::Absent;
        }
        match self.walk(path, false) {
            Ok(Seen::Other(other))
                if FileType::from_raw_mode(other.stat.st_mode).is_symlink() =>
            {
                match readlinkat(&other.itself, "", Vec::new()) {
                    Ok(target) => Reading::Found(target.to_string_lossy().into_owned()),
                    Err(error) => Stop::from(error).reading(path),
                }
            }
            Ok(_) => Reading::Absent,
            Err(ended) => ended.reading(path),
        }
    }

    fn look(&self, path: &str) -> Reading<Look> {
        if hides(path) {
            return Reading::Absent;
        }
        match self.walk(path, true) {
            Ok(Seen::Directory(_, stat) | Seen::Other(Other { stat, .. })) => Reading::Found(Look {
                kind: entry_kind(FileType::from_raw_mode(stat.st_mode)),
                user: stat.st_uid,
                modified: Instant::from_second(stat.st_mtime).ok(),
            }),
            Err(ended) => ended.reading(path),
        }
    }

    fn is_there(&self, path: &str) -> bool {
        self.walk(path, true).is_ok()
    }
}

impl Overlay {
    /// Adds a layer's names below those of the layers above; nothing as the error: there are too many.
    fn list_layer(
        &self,
        layer: &OwnedFd,
        entries: &mut BTreeMap<String, Option<EntryKind>>,
    ) -> Result<(), Option<Errno>> {
        let opened = openat(layer, ".", LIST, Mode::empty())?;
        let mut hidden = Vec::new();
        for entry in Dir::new(opened)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "." || name == ".." {
                continue;
            }
            if entries.len() + hidden.len() >= MAX_ENTRIES {
                return Err(None);
            }
            if self.by_name
                && let Some(of) = name.strip_prefix(WHITEOUT)
            {
                hidden.push(of.to_owned());
                continue;
            }
            if entries.contains_key(&name) {
                continue;
            }
            let kind = self.kind(layer, &name, entry.file_type())?;
            entries.insert(name, kind);
        }
        // A layer's own entry stands before its own whiteout.
        for name in hidden {
            entries.entry(name).or_insert(None);
        }
        Ok(())
    }

    /// Returns what an entry of a layer is; nothing for a whiteout.
    fn kind(&self, layer: &OwnedFd, name: &str, told: FileType) -> Result<Option<EntryKind>, Errno> {
        if matches!(told, FileType::Directory | FileType::Symlink | FileType::Fifo) {
            return Ok(Some(entry_kind(told)));
        }
        // Few files are empty, but only stat(2) tells: the attribute is looked for when the file is looked at alone.
        if told == FileType::RegularFile && !self.has_whiteout_files(layer) {
            return Ok(Some(EntryKind::File));
        }
        let itself = match openat(layer, name, LOOK, Mode::empty()) {
            Ok(itself) => itself,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error),
        };
        let stat = fstat(&itself)?;
        if is_whiteout(layer, name, &stat) {
            return Ok(None);
        }
        Ok(Some(entry_kind(FileType::from_raw_mode(stat.st_mode))))
    }

    /// Tells whether files with the attribute `whiteout` may be in a directory: those that have some are marked `x`.
    fn has_whiteout_files(&self, directory: &OwnedFd) -> bool {
        openat(directory, ".", LIST, Mode::empty())
            .ok()
            .and_then(|opened| attribute(&opened, "opaque"))
            .is_some_and(|value| value == b"x")
    }
}

/// A container's `/proc` is none of its files.
fn hides(path: &str) -> bool {
    components(path).next() == Some("proc")
}

fn is_there(directory: &OwnedFd, name: &str) -> bool {
    openat(directory, name, LOOK, Mode::empty()).is_ok()
}

fn is_same(one: &OwnedFd, two: &OwnedFd) -> bool {
    match (fstat(one), fstat(two)) {
        (Ok(one), Ok(two)) => (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino),
        _ => false,
    }
}

fn is_whiteout(parent: &OwnedFd, name: &str, stat: &Stat) -> bool {
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::CharacterDevice {
        return stat.st_rdev == 0;
    }
    if !kind.is_file() || stat.st_size != 0 {
        return false;
    }
    // The kernel believes the mark only in a directory that is marked itself.
    let marked = openat(parent, ".", LIST, Mode::empty())
        .ok()
        .and_then(|opened| attribute(&opened, "opaque"))
        .is_some_and(|value| value == b"x");
    marked
        && openat(parent, name, OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty())
            .is_ok_and(|opened| attribute(&opened, "whiteout").is_some())
}

/// Opens for reading what was looked at, and makes sure that it is still the same.
fn open_same(other: &Other) -> Result<OwnedFd, Ended> {
    let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK;
    let opened = openat(&other.parent, other.name.as_str(), flags, Mode::empty())?;
    let stat = fstat(&opened)?;
    if (stat.st_dev, stat.st_ino) != (other.stat.st_dev, other.stat.st_ino) {
        return Err(Ended::By(Stop::Errno(Errno::STALE)));
    }
    Ok(opened)
}

/// Reads an attribute of overlayfs, as far as its first bytes; nothing where there is none, or it may not be read.
fn attribute(opened: &OwnedFd, name: &str) -> Option<Vec<u8>> {
    let mut value = [0_u8; 256];
    PREFIXES.iter().find_map(|prefix| {
        match fgetxattr(opened, format!("{prefix}{name}"), &mut value[..]) {
            Ok(length) => Some(value.get(..length).unwrap_or_default().to_vec()),
            // Longer than looked at, and so there.
            Err(Errno::RANGE) => Some(Vec::new()),
            Err(_) => None,
        }
    })
}
