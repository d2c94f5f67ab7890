//! The compiled advisory file, and facts against it.
//!
//! [`compile`] turns what feeds say into one file with a section a release; [`mod@file`] opens it, checks it and reads
//! the one section that a server needs; [`matching`] holds the server's facts against that section. It knows no
//! feed's format and no server's files: only the vocabulary of `muster-core` comes in and goes out.

#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation)]

pub mod compile;
pub mod diff;
mod error;
pub mod file;
mod format;
pub mod matching;
pub mod section;

pub use error::Error;
pub use file::AdvisoryFile;
