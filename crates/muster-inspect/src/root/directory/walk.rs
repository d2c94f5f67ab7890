//! The walk over a directory: getdents64(2) into one buffer, descriptors and no paths, no stat(2) of a file.
//!
//! Before a directory is opened it is looked at by statx(2) with `AT_NO_AUTOMOUNT`, which wakes no autofs; where
//! something is mounted, the file system decides. A directory is walked once, by whatever bind mount it is met.

use std::collections::HashSet;
use std::ffi::CStr;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, StatxAttributes, StatxFlags, fstatfs, openat, statat,
    statx,
};
use rustix::io::Errno;

use super::super::walk::{MAX_DEPTH, MAX_WALKED, Walked, Wanted, passed_by};
use super::mounts::{Mounts, Verdict, by_number};

/// Bytes of names of directories that wait for their turn.
const MAX_PENDING: usize = 16 << 20;
/// Directories that are remembered, so that none is walked twice.
const MAX_REMEMBERED: usize = 2_000_000;
/// After how many directories the clock is looked at, and after how many entries of one.
const CLOCKED_EVERY: u32 = 256;
const ENTRIES_AT_ONCE: u64 = 1 << 16;

/// A directory that is walked.
struct Level {
    descriptor: OwnedFd,
    /// The device, to notice where another begins.
    device: u32,
    /// Where the names of its own directories begin among those that wait.
    pending: usize,
    /// How long the path above it is.
    above: usize,
}

pub(super) struct Walk<'a> {
    wanted: &'a Wanted<'a>,
    mounts: &'a Mounts,
    end: Option<Duration>,
    walked: Walked,
    /// The path of the directory at hand, without a slash at either end.
    path: Vec<u8>,
    levels: Vec<Level>,
    /// Names of directories, each with a NUL and its length behind it.
    pending: Vec<u8>,
    /// Device and inode of the directories that were met.
    seen: HashSet<(u32, u64), BuildHasherDefault<Mixed>>,
    unclocked: u32,
}

/// Why a walk ends early.
enum Stop {
    Entries,
    Time,
}

impl<'a> Walk<'a> {
    pub(super) fn new(wanted: &'a Wanted<'a>, mounts: &'a Mounts, end: Option<Duration>) -> Self {
        Self {
            wanted,
            mounts,
            end,
            walked: Walked::default(),
            path: Vec::new(),
            levels: Vec::new(),
            pending: Vec::new(),
            seen: HashSet::default(),
            unclocked: 0,
        }
    }

    pub(super) fn run(mut self, top: BorrowedFd<'_>) -> Result<Walked, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = openat(top, ".", flags, Mode::empty())?;
        let itself = look(descriptor.as_fd(), c"")?;
        self.remember(&itself);
        let mut buffer = vec![MaybeUninit::uninit(); 32 * 1024];
        let mut stop = self.read(descriptor, itself.device, 0, &mut buffer).err();
        while stop.is_none() && !self.levels.is_empty() {
            stop = self.step(&mut buffer).err();
        }
        match stop {
            Some(Stop::Entries) => {
                self.walked.end_early(&self.path, "there are more than are looked at");
            }
            Some(Stop::Time) => {
                self.walked.end_early(&self.path, "there is no more time; give a longer --timeout");
            }
            None => {}
        }
        Ok(self.walked.settle())
    }

    /// Enters the next directory, or leaves the one at hand.
    fn step(&mut self, buffer: &mut [MaybeUninit<u8>]) -> Result<(), Stop> {
        let Some(level) = self.levels.last() else { return Ok(()) };
        if self.pending.len() <= level.pending {
            self.path.truncate(level.above);
            self.levels.pop();
            return Ok(());
        }
        let above = self.path.len();
        let start = pending_name(&self.pending);
        let name = self.pending.get(start..).unwrap_or_default();
        let Ok(name) = CStr::from_bytes_until_nul(name) else {
            self.pending.clear();
            return Ok(());
        };
        if above > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name.to_bytes());
        let entered = enter(&self.path, level, name, self.mounts, &mut self.walked);
        self.pending.truncate(start);
        if let Some((descriptor, itself)) = entered
            && self.remember(&itself)
        {
            self.read(descriptor, itself.device, above, buffer)?;
        } else {
            self.path.truncate(above);
        }
        Ok(())
    }

    /// Looks at the names in a directory that was opened; it stays at hand while directories in it wait.
    fn read(
        &mut self,
        descriptor: OwnedFd,
        device: u32,
        above: usize,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Result<(), Stop> {
        let start = self.pending.len();
        let mut entries = RawDir::new(&descriptor, buffer);
        let deep = self.levels.len() >= MAX_DEPTH;
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Errno::ACCESS | Errno::PERM) => {
                    self.walked.cannot_read(&self.path);
                    break;
                }
                // It was removed under the reader.
                Err(Errno::NOENT) => break,
                Err(error) => {
                    self.walked.end_early(&self.path, &super::in_words(error));
                    break;
                }
            };
            if self.walked.entries % ENTRIES_AT_ONCE == ENTRIES_AT_ONCE - 1 {
                self.look_at_limits()?;
            }
            let name = entry.file_name();
            let bytes = name.to_bytes();
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                let stat =
                    statat(&descriptor, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT);
                kind = stat.map_or(kind, |stat| FileType::from_raw_mode(stat.st_mode));
            }
            if kind != FileType::Directory {
                self.walked.entries += 1;
                self.walked.spot(self.wanted, &self.path, bytes);
                continue;
            }
            if bytes == b"." || bytes == b".." {
                continue;
            }
            self.walked.entries += 1;
            if deep || self.pending.len() > MAX_PENDING {
                let below = [&self.path, &b"/"[..], bytes].concat();
                self.walked.end_early(&below, "it lies too deep, or among too many");
                continue;
            }
            self.pending.extend_from_slice(name.to_bytes_with_nul());
            let length = u16::try_from(bytes.len() + 1).unwrap_or(u16::MAX);
            self.pending.extend_from_slice(&length.to_le_bytes());
        }
        if self.pending.len() > start {
            self.levels.push(Level { descriptor, device, pending: start, above });
        } else {
            self.path.truncate(above);
        }
        self.unclocked += 1;
        if self.unclocked < CLOCKED_EVERY {
            return Ok(());
        }
        self.unclocked = 0;
        self.look_at_limits()
    }

    fn look_at_limits(&self) -> Result<(), Stop> {
        if self.walked.entries > MAX_WALKED {
            return Err(Stop::Entries);
        }
        if self.end.is_some_and(|end| muster_sandbox::monotonic() > end) {
            return Err(Stop::Time);
        }
        Ok(())
    }

    /// Remembers a directory; false when it was walked before.
    fn remember(&mut self, itself: &Itself) -> bool {
        self.seen.len() >= MAX_REMEMBERED || self.seen.insert((itself.device, itself.inode))
    }
}

/// What statx(2) tells of a directory.
struct Itself {
    device: u32,
    inode: u64,
    is_directory: bool,
    is_mounted: bool,
}

/// Looks at a name in a directory, or with an empty name at the directory itself; wakes no autofs.
fn look(above: BorrowedFd<'_>, name: &CStr) -> Result<Itself, Errno> {
    let mut flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    if name.is_empty() {
        flags |= AtFlags::EMPTY_PATH;
    }
    match statx(above, name, flags, StatxFlags::TYPE | StatxFlags::INO) {
        Ok(stat) => Ok(Itself {
            device: (stat.stx_dev_major << 20) | stat.stx_dev_minor,
            inode: stat.stx_ino,
            is_directory: FileType::from_raw_mode(stat.stx_mode.into()).is_dir(),
            is_mounted: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        }),
        Err(Errno::NOSYS) => {
            let stat = statat(above, name, flags)?;
            let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
            Ok(Itself {
                device: (major << 20) | minor,
                inode: stat.st_ino,
                is_directory: FileType::from_raw_mode(stat.st_mode).is_dir(),
                is_mounted: false,
            })
        }
        Err(error) => Err(error),
    }
}

/// Opens a directory, unless it is one that is not walked.
fn enter(
    path: &[u8],
    above: &Level,
    name: &CStr,
    mounts: &Mounts,
    walked: &mut Walked,
) -> Option<(OwnedFd, Itself)> {
    if let Some(why) = passed_by(path) {
        walked.pass_by(path, why);
        return None;
    }
    walked.tell_of(path);
    // What is known of it from the list is not asked of a server that may never answer.
    let listed = mounts.at(path);
    if !may_enter(listed, path, walked) {
        return None;
    }
    let descriptor = above.descriptor.as_fd();
    let opened = look(descriptor, name).and_then(|itself| {
        if !itself.is_directory {
            return Ok(None);
        }
        let is_other = itself.is_mounted || itself.device != above.device;
        if is_other && listed.is_none() {
            // Without O_DIRECTORY, which would wake an autofs.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let there = openat(descriptor, name, flags, Mode::empty())?;
            let number = fstatfs(&there)?.f_type;
            if !may_enter(Some(&by_number(u64::from_ne_bytes(number.to_ne_bytes()))), path, walked)
            {
                return Ok(None);
            }
        }
        let flags = OFlags::RDONLY
            | OFlags::DIRECTORY
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC
            | OFlags::NONBLOCK;
        Ok(Some((openat(descriptor, name, flags, Mode::empty())?, itself)))
    });
    match opened {
        Ok(opened) => opened,
        // It was removed or replaced under the reader.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
        Err(Errno::ACCESS | Errno::PERM) => {
            walked.cannot_read(path);
            None
        }
        Err(error) => {
            walked.note(super::obstacle(
                &String::from_utf8_lossy(path),
                format!(
                    "cannot be read: {}, so it was not looked through for web applications",
                    super::in_words(error)
                ),
            ));
            None
        }
    }
}

/// Tells whether a file system is entered, and names the one that is not.
fn may_enter(verdict: Option<&Verdict>, path: &[u8], walked: &mut Walked) -> bool {
    match verdict {
        None | Some(Verdict::Enter) => true,
        Some(Verdict::Pass) => false,
        Some(Verdict::Name(why)) => {
            walked.pass_by(path, why.as_str());
            false
        }
    }
}

/// Returns where the last of the names that wait begins.
fn pending_name(pending: &[u8]) -> usize {
    let Some((rest, length)) = pending.split_last_chunk::<2>() else { return 0 };
    rest.len().saturating_sub(usize::from(u16::from_le_bytes(*length)))
}

/// Mixes the two numbers of a directory: they are the kernel's own, and no one chooses them freely.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(26) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
