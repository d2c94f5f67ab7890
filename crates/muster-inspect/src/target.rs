//! What is to be inspected, as a person names it: `/`, a directory, a tar, `-`.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;

use crate::driver::Error;

/// A server to inspect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The system this program runs on.
    Live,
    /// A directory that is the `/` of a server: a mounted disk, an unpacked image.
    Directory(PathBuf),
    /// A tar of a server's `/`, plain or compressed with gzip, xz or zstd.
    Tar(PathBuf),
    /// The same on standard input.
    TarStdin,
}

impl Target {
    /// Reads a ROOT argument.
    pub fn parse(argument: &OsStr) -> Result<Self, Error> {
        if argument == "-" {
            return Ok(Self::TarStdin);
        }
        let path = PathBuf::from(argument);
        let metadata = std::fs::metadata(&path)
            .map_err(|error| Error::Unreadable { path: path.display().to_string(), error })?;
        if metadata.is_dir() {
            return Ok(if is_slash(&metadata) { Self::Live } else { Self::Directory(path) });
        }
        if metadata.is_file() {
            return Ok(Self::Tar(path));
        }
        Err(Error::NoRoot { path: path.display().to_string(), is: kind(&metadata) })
    }
}

/// Tells the running system's own `/`, by whatever name.
fn is_slash(metadata: &Metadata) -> bool {
    std::fs::metadata("/")
        .is_ok_and(|slash| (slash.dev(), slash.ino()) == (metadata.dev(), metadata.ino()))
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "no file"
    }
}
