//! Versions of Go modules, as `golang.org/x/mod/semver` orders them: Semantic Versioning in which
//! the minor and patch numbers may be missing (`v1`, `v1.2`). The leading `v`, which Go requires,
//! is optional, because the OSV schema writes Go's versions without it.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::Version;
use crate::semver::{self, Read};

#[derive(Clone, Copy)]
pub(crate) struct Parsed<'a>(semver::Parsed<'a>);

impl<'a> Version<'a> for Parsed<'a> {
    fn strict(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let read = Read::new(text);
        // Only a whole version may be followed by identifiers or metadata.
        let is_whole = read.count == 3
            || (read.count > 0 && text.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit()));
        (is_whole && read.is_proper).then_some(Self(read.version))
    }

    fn lenient(text: &'a str) -> Self {
        Self(semver::lenient(text))
    }

    fn order(&self, other: &Self) -> Ordering {
        self.0.order_with(&other.0, semver::by_value)
    }

    fn write_key(&self, out: &mut Vec<u8>) {
        self.0.write_key_with(semver::by_value, out);
    }
}
