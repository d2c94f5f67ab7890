//! The layers of a container, seen as the one tree that overlayfs makes of them.
//!
//! The rules are those of the kernel (`Documentation/filesystems/overlayfs.rst`): the top layer wins; directories of one
//! name are merged, unless one is opaque; a character device 0/0 hides what lies below it (a whiteout), so does an empty
//! file that `overlay.whiteout` marks in a directory so announced; a directory that was renamed names the one it was
//! (`overlay.redirect`); the bytes of a file of which only the metadata were changed lie below (`overlay.metacopy`). Where
//! a user without rights keeps layers, the marks have names that he may write: `user.*`, and files called `.wh.NAME`.
//!
//! Links are followed in the merged tree, name by name, with the top of the layers as `/`: none leads out of them. What
//! the layers do not hold, a container's volumes and its `/proc`, is not seen. It mounts nothing.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use muster_core::fact::Reading;
use muster_core::time::Instant;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fgetxattr, flistxattr, fstat, openat, readlinkat,
    statat,
};
use rustix::io::Errno;

use super::declared::components;
use super::directory::{LOOK, OpenFile, Stop, entry_kind, name_of};
use super::walk::{MAX_DEPTH, MAX_WALKED, passed_by};
use super::{
    Content, Entry, EntryKind, Look, MAX_ENTRIES, MAX_LINKS, Root, Walked, Wanted, crowded,
    no_file, obstacle,
};

/// How often a renamed directory leads to another, on the way to one name.
const MAX_REDIRECTS: u32 = 20;
/// Bytes of an attribute.
const MAX_ATTRIBUTE: usize = 4096;

/// Whose marks hide what lies below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// The administrator's: `trusted.overlay.*`. Who is in the container cannot write them.
    Trusted,
    /// Also those that a user without rights can write: `user.overlay.*`, `user.fuseoverlayfs.*`, `.wh.NAME`.
    User,
}

/// Layers as the `/` of a server.
pub struct Overlay {
    layers: Vec<Part>,
    marks: Marks,
    end: Cell<Option<Duration>>,
}

/// A directory of one layer.
#[derive(Clone)]
struct Part {
    layer: usize,
    directory: Rc<OwnedFd>,
}

impl AsFd for Part {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// What a name stands for.
enum Merged {
    /// Directories of one name, the top one first; never empty.
    Directory(Vec<Part>),
    /// Anything else, in one layer.
    Other(Other),
}

struct Other {
    parent: Part,
    name: String,
    itself: OwnedFd,
    stat: Stat,
    /// Where the bytes lie, should this layer have the metadata alone.
    below: Vec<Part>,
}

impl Overlay {
    /// Takes open directories as layers, the top one first.
    pub fn new(layers: Vec<OwnedFd>, marks: Marks) -> Self {
        let part = |(layer, directory)| Part { layer, directory: Rc::new(directory) };
        Self {
            layers: layers.into_iter().enumerate().map(part).collect(),
            marks,
            end: Cell::new(None),
        }
    }

    /// Sets the end of the time for a walk over all of it.
    pub(crate) fn expect_walk(&self, end: Duration) {
        self.end.set(Some(end));
    }

    fn walk(&self, path: &str, follow_last: bool) -> Result<Merged, Stop> {
        let mut ahead: Vec<String> = components(path).map(String::from).collect();
        ahead.reverse();
        let mut behind: Vec<Vec<Part>> = Vec::new();
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                behind.pop();
                continue;
            }
            let last = ahead.is_empty();
            let here = behind.last().map_or(&self.layers[..], Vec::as_slice);
            match self.lookup(here, &name, &mut 0)?.ok_or(Stop::Absent)? {
                Merged::Directory(parts) => behind.push(parts),
                Merged::Other(other) => {
                    let is_link = FileType::from_raw_mode(other.stat.st_mode).is_symlink();
                    if !is_link || (last && !follow_last) {
                        return if last { Ok(Merged::Other(other)) } else { Err(Stop::Absent) };
                    }
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Stop::Circle);
                    }
                    let target = readlinkat(&other.itself, "", Vec::new())?;
                    let target = target.to_string_lossy();
                    if target.starts_with('/') {
                        behind.clear();
                    }
                    let names: Vec<String> = components(&target).map(String::from).collect();
                    ahead.extend(names.into_iter().rev());
                }
            }
        }
        Ok(Merged::Directory(behind.pop().unwrap_or_else(|| self.layers.clone())))
    }

    /// Finds one name in directories that are seen as one.
    fn lookup(
        &self,
        parts: &[Part],
        name: &str,
        redirects: &mut u32,
    ) -> Result<Option<Merged>, Stop> {
        if self.is_mark(name) {
            return Ok(None);
        }
        let mut name = name.to_owned();
        let mut ahead: Vec<Part> = parts.to_vec();
        ahead.reverse();
        let mut found: Vec<Part> = Vec::new();
        while let Some(part) = ahead.pop() {
            let itself = match openat(&part, name.as_str(), LOOK, Mode::empty()) {
                Ok(itself) => itself,
                Err(Errno::NOENT | Errno::NOTDIR) if self.hides_by_name(&part, &name) => break,
                Err(Errno::NOENT | Errno::NOTDIR) => continue,
                Err(error) => return Err(error.into()),
            };
            let stat = fstat(&itself)?;
            if self.is_whiteout(&part, &name, &stat) {
                break;
            }
            if !FileType::from_raw_mode(stat.st_mode).is_dir() {
                if !found.is_empty() {
                    break;
                }
                ahead.reverse();
                let below = ahead;
                return Ok(Some(Merged::Other(Other { parent: part, name, itself, stat, below })));
            }
            // An attribute is told of what is open for reading alone.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let directory = openat(&itself, ".", flags, Mode::empty())?;
            let part = Part { layer: part.layer, directory: Rc::new(directory) };
            let is_last = self.is_opaque(&part);
            let redirect = self.attribute(part.as_fd(), "redirect");
            found.push(part.clone());
            if is_last {
                break;
            }
            if let Some(redirect) = redirect {
                (ahead, name) = self.redirected(&part, ahead, &redirect, redirects)?;
            }
        }
        Ok((!found.is_empty()).then_some(Merged::Directory(found)))
    }

    /// Returns where the layers below have what was renamed: the directories to look in, the lowest first, and the name.
    fn redirected(
        &self,
        part: &Part,
        ahead: Vec<Part>,
        redirect: &[u8],
        redirects: &mut u32,
    ) -> Result<(Vec<Part>, String), Stop> {
        *redirects += 1;
        if *redirects > MAX_REDIRECTS {
            return Err(Stop::Circle);
        }
        let redirect = String::from_utf8_lossy(redirect).into_owned();
        let mut names: Vec<&str> = components(&redirect).collect();
        let Some(last) = names.pop() else { return Err(Stop::Absent) };
        if names.contains(&"..") || last == ".." {
            return Err(Stop::Absent);
        }
        if !redirect.starts_with('/') {
            // The kernel writes a mere name where the parent is the same.
            return if names.is_empty() { Ok((ahead, last.to_owned())) } else { Err(Stop::Absent) };
        }
        let mut here: Vec<Part> =
            self.layers.iter().filter(|own| own.layer > part.layer).cloned().collect();
        for name in names {
            here = match self.lookup(&here, name, redirects)? {
                Some(Merged::Directory(parts)) => parts,
                Some(Merged::Other(_)) | None => Vec::new(),
            };
        }
        here.reverse();
        Ok((here, last.to_owned()))
    }

    /// Tells a name that is itself a mark.
    fn is_mark(&self, name: &str) -> bool {
        self.marks == Marks::User && name.starts_with(".wh.")
    }

    fn hides_by_name(&self, part: &Part, name: &str) -> bool {
        self.marks == Marks::User
            && statat(part, format!(".wh.{name}"), AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    fn is_whiteout(&self, part: &Part, name: &str, stat: &Stat) -> bool {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice => stat.st_rdev == 0,
            FileType::RegularFile if stat.st_size == 0 => {
                self.announces_whiteouts(part)
                    && self
                        .open_in(part, name)
                        .is_ok_and(|file| self.attribute(file.as_fd(), "whiteout").is_some())
            }
            _ => self.hides_by_name(part, name),
        }
    }

    fn is_opaque(&self, part: &Part) -> bool {
        self.attribute(part.as_fd(), "opaque").is_some_and(|value| value == b"y")
            || self.marks == Marks::User
                && statat(part, ".wh..wh..opq", AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Tells whether empty files may be whiteouts there: the kernel looks at them nowhere else.
    fn announces_whiteouts(&self, part: &Part) -> bool {
        self.attribute(part.as_fd(), "opaque").is_some_and(|value| value == b"x")
    }

    fn attribute(&self, of: BorrowedFd<'_>, name: &str) -> Option<Vec<u8>> {
        let prefixes: &[&str] = match self.marks {
            Marks::Trusted => &["trusted.overlay."],
            Marks::User => &["trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."],
        };
        // Most have none: one question instead of several.
        let mut names = [0_u8; MAX_ATTRIBUTE];
        let told = match flistxattr(of, &mut names[..]) {
            Ok(0) | Err(Errno::NOTSUP) => return None,
            Ok(length) => names.get(..length),
            // More than fit: each is asked for by its name.
            Err(_) => None,
        };
        prefixes.iter().find_map(|prefix| {
            let whole = format!("{prefix}{name}");
            if told.is_some_and(|told| told.split(|b| *b == 0).all(|n| n != whole.as_bytes())) {
                return None;
            }
            let mut value = vec![0; MAX_ATTRIBUTE];
            let length = fgetxattr(of, whole, &mut value[..]).ok()?;
            value.truncate(length);
            Some(value)
        })
    }

    fn open_in(&self, part: &Part, name: &str) -> Result<OwnedFd, Errno> {
        let flags =
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK;
        openat(part, name, flags, Mode::empty())
    }

    /// Opens a regular file that was looked at, in the layer that has its bytes.
    fn open_other(&self, other: Other, path: &str, redirects: u32) -> Reading<Box<dyn Content>> {
        let kind = FileType::from_raw_mode(other.stat.st_mode);
        if !kind.is_file() {
            return Reading::Unknown(no_file(path, name_of(kind)));
        }
        let opened = self.open_in(&other.parent, &other.name).and_then(|file| {
            let stat = fstat(&file)?;
            if (stat.st_dev, stat.st_ino) == (other.stat.st_dev, other.stat.st_ino) {
                Ok(file)
            } else {
                Err(Errno::STALE)
            }
        });
        let file = match opened {
            Ok(file) => file,
            Err(error) => return Stop::from(error).reading(path),
        };
        if self.attribute(file.as_fd(), "metacopy").is_none() {
            return Reading::Found(Box::new(OpenFile::new(file, &other.stat)));
        }
        let mut redirects = redirects;
        let (mut below, mut name) = (other.below, other.name);
        if let Some(redirect) = self.attribute(file.as_fd(), "redirect") {
            below.reverse();
            (below, name) = match self.redirected(&other.parent, below, &redirect, &mut redirects) {
                Ok(redirected) => redirected,
                Err(stop) => return stop.reading(path),
            };
            below.reverse();
        }
        redirects += 1;
        match self.lookup(&below, &name, &mut redirects) {
            Ok(Some(Merged::Other(other))) if redirects <= MAX_REDIRECTS => {
                self.open_other(other, path, redirects)
            }
            Ok(_) => Reading::Unknown(obstacle(
                path,
                "cannot be read: only its metadata lie in the layers that were found, its bytes do not",
            )),
            Err(stop) => stop.reading(path),
        }
    }

    fn list_parts(&self, parts: &[Part], path: &str) -> Result<Reading<Vec<Entry>>, Stop> {
        let mut hidden: BTreeSet<String> = BTreeSet::new();
        let mut seen: BTreeMap<String, Entry> = BTreeMap::new();
        for part in parts {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let directory = Dir::new(openat(part, ".", flags, Mode::empty())?)?;
            let announced = self.announces_whiteouts(part);
            let mut hides: Vec<String> = Vec::new();
            for entry in directory {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name == "." || name == ".." {
                    continue;
                }
                if self.is_mark(&name) {
                    hides.extend(name.strip_prefix(".wh.").map(str::to_owned));
                    continue;
                }
                if seen.len() + hidden.len() + hides.len() >= MAX_ENTRIES {
                    return Ok(Reading::Unknown(crowded(path)));
                }
                if hidden.contains(&name) || seen.contains_key(&name) {
                    continue;
                }
                let mut kind = entry.file_type();
                let may_hide = kind == FileType::CharacterDevice
                    || announced && kind == FileType::RegularFile
                    || kind == FileType::Unknown;
                if may_hide {
                    let Ok(stat) = statat(part, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) else {
                        continue;
                    };
                    kind = FileType::from_raw_mode(stat.st_mode);
                    if self.is_whiteout(part, &name, &stat) {
                        hides.push(name);
                        continue;
                    }
                }
                seen.insert(name.clone(), Entry { name, kind: entry_kind(kind) });
            }
            // A mark hides what lies below it, not its neighbour.
            hidden.extend(hides);
        }
        Ok(Reading::Found(seen.into_values().collect()))
    }

    /// What a running system alone has is not there: nothing is mounted in layers.
    fn hides(path: &str) -> bool {
        components(path).next() == Some("proc")
    }
}

impl Root for Overlay {
    fn live(&self) -> bool {
        false
    }

    fn open(&self, path: &str) -> Reading<Box<dyn Content>> {
        if Self::hides(path) {
            return Reading::Absent;
        }
        match self.walk(path, true) {
            Ok(Merged::Other(other)) => self.open_other(other, path, 0),
            Ok(Merged::Directory(_)) => {
                Reading::Unknown(no_file(path, name_of(FileType::Directory)))
            }
            Err(stop) => stop.reading(path),
        }
    }

    fn list(&self, path: &str) -> Reading<Vec<Entry>> {
        if Self::hides(path) {
            return Reading::Absent;
        }
        let listed = match self.walk(path, true) {
            Ok(Merged::Directory(parts)) => self.list_parts(&parts, path),
            Ok(Merged::Other(_)) => return Reading::Absent,
            Err(stop) => Err(stop),
        };
        listed.unwrap_or_else(|stop| stop.reading(path))
    }

    fn look(&self, path: &str) -> Reading<Look> {
        if Self::hides(path) {
            return Reading::Absent;
        }
        let stat = match self.walk(path, true) {
            Ok(Merged::Directory(parts)) => match parts.first().map(fstat) {
                Some(Ok(stat)) => stat,
                Some(Err(error)) => return Stop::from(error).reading(path),
                None => return Reading::Absent,
            },
            Ok(Merged::Other(other)) => other.stat,
            Err(stop) => return stop.reading(path),
        };
        Reading::Found(Look {
            kind: entry_kind(FileType::from_raw_mode(stat.st_mode)),
            user: stat.st_uid,
            modified: Instant::from_second(stat.st_mtime).ok(),
        })
    }

    fn is_there(&self, path: &str) -> bool {
        !Self::hides(path) && self.walk(path, true).is_ok()
    }

    fn walk_all(&self, wanted: &Wanted<'_>) -> Reading<Walked> {
        let mut walk = Walk {
            root: self,
            wanted,
            walked: Walked::default(),
            path: String::new(),
            levels: Vec::new(),
        };
        walk.enter(0, self.layers.clone());
        while walk.step() {}
        Reading::Found(walk.walked.settle())
    }

    fn link(&self, path: &str) -> Reading<String> {
        if Self::hides(path) {
            return Reading::Absent;
        }
        match self.walk(path, false) {
            Ok(Merged::Other(other))
                if FileType::from_raw_mode(other.stat.st_mode).is_symlink() =>
            {
                match readlinkat(&other.itself, "", Vec::new()) {
                    Ok(target) => Reading::Found(target.to_string_lossy().into_owned()),
                    Err(error) => Stop::from(error).reading(path),
                }
            }
            Ok(_) => Reading::Absent,
            Err(stop) => stop.reading(path),
        }
    }
}

/// A walk over all directories, each looked up in the one above it and not from `/` anew.
struct Walk<'a> {
    root: &'a Overlay,
    wanted: &'a Wanted<'a>,
    walked: Walked,
    /// The path of the directory at hand, without a slash at either end.
    path: String,
    levels: Vec<Level>,
}

/// A directory that is walked.
struct Level {
    parts: Vec<Part>,
    /// The names of its own directories that wait for their turn.
    pending: Vec<String>,
    /// How long the path above it is.
    above: usize,
}

impl Walk<'_> {
    /// Enters the next directory, or leaves the one at hand; false at the end.
    fn step(&mut self) -> bool {
        let Some(level) = self.levels.last_mut() else { return false };
        let Some(name) = level.pending.pop() else {
            self.path.truncate(level.above);
            self.levels.pop();
            return true;
        };
        let why = if self.walked.entries > MAX_WALKED {
            Some("there are more than are looked at")
        } else if self.root.end.get().is_some_and(|end| muster_sandbox::monotonic() > end) {
            Some("there is no more time; give a longer --timeout")
        } else {
            None
        };
        if let Some(why) = why {
            self.walked.end_early(self.path.as_bytes(), why);
            return false;
        }
        let above = self.path.len();
        let found = self.root.lookup(&level.parts, &name, &mut 0);
        if above > 0 {
            self.path.push('/');
        }
        self.path.push_str(&name);
        match (passed_by(self.path.as_bytes()), found) {
            (Some(why), _) => self.walked.pass_by(self.path.as_bytes(), why),
            (None, Ok(Some(Merged::Directory(parts)))) => {
                self.enter(above, parts);
                return true;
            }
            (None, Ok(_)) => {}
            (None, Err(stop)) => self.cannot(stop),
        }
        self.path.truncate(above);
        true
    }

    /// Looks at the names in a directory; it stays at hand while directories in it wait.
    fn enter(&mut self, above: usize, parts: Vec<Part>) {
        let entries = match self.root.list_parts(&parts, &self.path) {
            Ok(Reading::Found(entries)) => entries,
            Ok(Reading::Unknown(obstacle)) => {
                self.walked.note(obstacle);
                Vec::new()
            }
            Ok(Reading::Absent) => Vec::new(),
            Err(stop) => {
                self.cannot(stop);
                Vec::new()
            }
        };
        let mut pending = Vec::new();
        for entry in entries {
            self.walked.entries += 1;
            if entry.kind == EntryKind::Directory {
                pending.push(entry.name);
            } else {
                self.walked.spot(self.wanted, self.path.as_bytes(), entry.name.as_bytes());
            }
        }
        if self.levels.len() == MAX_DEPTH && !pending.is_empty() {
            self.walked.end_early(self.path.as_bytes(), "it lies too deep");
            pending.clear();
        }
        self.levels.push(Level { parts, pending, above });
    }

    fn cannot(&mut self, stop: Stop) {
        match stop {
            Stop::Errno(Errno::ACCESS | Errno::PERM) => {
                self.walked.cannot_read(self.path.as_bytes());
            }
            Stop::Absent => {}
            stop => {
                if let Reading::Unknown(obstacle) = stop.reading::<()>(&self.path) {
                    self.walked.note(obstacle);
                }
            }
        }
    }
}
