//! Why a compiled advisory file cannot be used: unread, foreign, newer, or damaged.

use std::io;
use std::path::PathBuf;

use crate::format::VERSION;

/// Why a compiled advisory file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It could not be read.
    #[error("cannot read the advisory file {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is something else.
    #[error("{} is not a compiled advisory file; make one with `muster feed build`", .0.display())]
    Foreign(PathBuf),
    /// It was written by a later version of Muster.
    #[error("{} has layout {found}, this Muster reads layout {VERSION}; update Muster or build the file again", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// It is not what was written.
    #[error("the advisory file is damaged: {0}; build or fetch it again")]
    Damaged(String),
}
