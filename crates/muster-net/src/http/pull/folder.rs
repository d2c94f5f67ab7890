//! The folder that feeds are pulled into: the lock, what is known of each file, the unfinished
//! downloads, and the one moment in which a new file takes the place of the old.
//!
//! Everything that is not a finished feed lies in the hidden folder `.pull`, so that
//! `muster feed build FOLDER` never meets a half file. A file is replaced by `rename(2)` after
//! `fsync(2)`: whatever ends the process or the machine, the old or the new file is there, whole.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::fault::Fault;
use crate::digest::{feed, hex};

/// The file that says what is known of one download is never longer.
const MAX_STATE_BYTES: u64 = 64 << 10;

/// The folder, held by this process alone.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    hidden: PathBuf,
    /// Closing it lets the next pull in.
    _lock: File,
}

/// What is known of a finished file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub url: String,
    pub format: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    pub bytes: u64,
    pub sha256: String,
    /// When these bytes came.
    pub fetched: String,
    /// When the publisher last said that they are still the newest.
    pub checked: String,
}

/// What an unfinished download is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartState {
    pub(crate) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
    /// So many bytes have surely reached the disk.
    pub(crate) durable: u64,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot make the folder {}: {why}; name another one with --into", path.display())]
    Create { path: PathBuf, why: std::io::Error },
    #[error("another pull into {} is under way; wait for it, or pull into another folder", path.display())]
    Locked { path: PathBuf },
    #[error("cannot lock {}: {why}; check who may write to it", path.display())]
    Lock { path: PathBuf, why: std::io::Error },
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        let hidden = path.join(".pull");
        fs::create_dir_all(&hidden)
            .map_err(|why| FolderError::Create { path: path.to_owned(), why })?;
        let lock_path = hidden.join("lock");
        let lock = write_options(false)
            .open(&lock_path)
            .map_err(|why| FolderError::Lock { path: lock_path.clone(), why })?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), hidden, _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(FolderError::Locked { path: path.to_owned() })
            }
            Err(why) => Err(FolderError::Lock { path: lock_path, why: why.into() }),
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What is known of a file, if the file still has the very bytes that it is known of.
    pub(crate) fn known(&self, name: &str, present: Option<&(u64, String)>) -> Option<State> {
        let state = state_of(&self.path, name)?;
        let (bytes, sha256) = present?;
        (state.bytes == *bytes && state.sha256 == *sha256).then_some(state)
    }

    /// The digest of the file that is there now, known or not.
    pub(crate) fn present(&self, name: &str) -> Option<(u64, String)> {
        digest(&self.file(name)).ok()
    }

    pub(crate) fn remember(&self, name: &str, state: &State) -> Result<(), Fault> {
        self.write(&format!("{name}.toml"), state)
    }

    pub(crate) fn part(&self, name: &str) -> Part {
        Part {
            path: self.hidden.join(format!("{name}.part")),
            state_name: format!("{name}.part.toml"),
        }
    }

    /// Bytes that this user may still write here.
    pub(crate) fn free(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.hidden).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Fault> {
        let path = self.hidden.join(name);
        let beside = self.hidden.join(format!("{name}.new"));
        let written = toml::to_string(value).map_err(std::io::Error::other).and_then(|text| {
            let mut file = write_options(true).open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        });
        written.map_err(|why| self.disk("write", &path, why))
    }

    /// Makes an input/output error a fault, and a full disk the one it is.
    pub(crate) fn disk(&self, doing: &'static str, path: &Path, why: std::io::Error) -> Fault {
        let full = matches!(
            why.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        );
        let path = path.display().to_string();
        if full {
            return Fault::DiskFull { path };
        }
        Fault::Disk { doing, path, why }
    }
}

/// An unfinished download.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    state_name: String,
}

impl Part {
    /// What an earlier pull left, if it can be gone on from: cut back to what is surely on disk.
    pub(crate) fn left(&self, folder: &Folder, url: &str) -> Option<PartState> {
        let state: PartState = read_toml(&folder.hidden.join(&self.state_name))?;
        let length = fs::symlink_metadata(&self.path).ok().filter(fs::Metadata::is_file)?.len();
        let resumable = state.strong().is_some();
        (resumable && state.url == url && state.durable > 0 && state.durable <= length)
            .then_some(state)
    }

    pub(crate) fn begin(&self, folder: &Folder, state: &PartState) -> Result<File, Fault> {
        let file = write_options(true)
            .read(true)
            .open(&self.path)
            .map_err(|why| folder.disk("open", &self.path, why))?;
        self.note(folder, state)?;
        Ok(file)
    }

    /// Opens what an earlier pull left and returns the digest of the bytes so far.
    pub(crate) fn go_on(&self, folder: &Folder, durable: u64) -> Result<(File, Sha256), Fault> {
        let gone_on = || {
            let mut file = write_options(false).read(true).open(&self.path)?;
            file.set_len(durable)?;
            let mut digest = Sha256::new();
            feed(&mut file, &mut digest)?;
            Ok((file, digest))
        };
        gone_on().map_err(|why| folder.disk("go on with", &self.path, why))
    }

    pub(crate) fn note(&self, folder: &Folder, state: &PartState) -> Result<(), Fault> {
        folder.write(&self.state_name, state)
    }

    /// Forgets it; what cannot be removed is overwritten by the next pull.
    pub(crate) fn discard(&self, folder: &Folder) {
        drop(fs::remove_file(folder.hidden.join(&self.state_name)));
        drop(fs::remove_file(&self.path));
    }

    /// Puts the finished download in the place of the old file.
    pub(crate) fn finish(&self, folder: &Folder, file: &File, name: &str) -> Result<(), Fault> {
        let target = folder.file(name);
        file.sync_all().map_err(|why| folder.disk("write out", &self.path, why))?;
        fs::rename(&self.path, &target).map_err(|why| folder.disk("replace", &target, why))?;
        File::open(&folder.path)
            .and_then(|path| path.sync_all())
            .map_err(|why| folder.disk("write out", &folder.path, why))?;
        drop(fs::remove_file(folder.hidden.join(&self.state_name)));
        Ok(())
    }
}

impl PartState {
    /// The validator that may stand in `If-Range` (RFC 9110, section 13.1.5): a strong ETag, else
    /// the date.
    pub(crate) fn strong(&self) -> Option<&str> {
        match &self.etag {
            Some(etag) if !etag.starts_with("W/") => Some(etag),
            _ => self.last_modified.as_deref(),
        }
    }
}

/// What is known of a file that was pulled into `folder`, without looking at its bytes.
pub(crate) fn state_of(folder: &Path, name: &str) -> Option<State> {
    read_toml(&folder.join(".pull").join(format!("{name}.toml")))
}

fn write_options(truncate: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(truncate);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn read_toml<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_STATE_BYTES).read_to_string(&mut text).ok()?;
    toml::from_str(&text).ok()
}

fn digest(path: &Path) -> std::io::Result<(u64, String)> {
    if !fs::metadata(path)?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let bytes = feed(&mut file, &mut digest)?;
    Ok((bytes, hex(digest)))
}
