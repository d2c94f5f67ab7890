//! Versions of npm packages, as `semver.compare` of npm's `semver` orders them: Semantic Versioning
//! with blanks around it allowed, at most 256 characters, and no number beyond 2^53 - 1 before the
//! identifiers. In the identifiers such a number is one: JavaScript rounds it, and so does this.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::Version;
use crate::atom::Atom;
use crate::number;
use crate::semver::{self, PRE_NUMBER, Read};

#[derive(Clone, Copy)]
pub(crate) struct Parsed<'a>(semver::Parsed<'a>);

/// JavaScript's `Number.MAX_SAFE_INTEGER`.
const MAX_SAFE: &[u8] = b"9007199254740991";

impl<'a> Version<'a> for Parsed<'a> {
    fn strict(text: &'a str) -> Option<Self> {
        if text.len() > 256 && text.chars().map(char::len_utf16).sum::<usize>() > 256 {
            return None;
        }
        let text = text.trim_matches(is_blank);
        let read = Read::new(text.strip_prefix('v').unwrap_or(text));
        let is_safe = |digits| number::compare(number::significant(digits), MAX_SAFE).is_le();
        (read.count == 3 && read.is_proper && read.version.numbers().into_iter().all(is_safe))
            .then_some(Self(read.version))
    }

    fn lenient(text: &'a str) -> Self {
        Self(semver::lenient(text))
    }

    fn order(&self, other: &Self) -> Ordering {
        self.0.order_with(&other.0, rounded_atom)
    }

    fn write_key(&self, out: &mut Vec<u8>) {
        self.0.write_key_with(rounded_atom, out);
    }
}

/// A number as a double, whose bits order as the numbers do.
fn rounded_atom(digits: &[u8]) -> Atom<'_> {
    let text = core::str::from_utf8(digits).unwrap_or_default();
    let rounded = text.parse::<f64>().unwrap_or(f64::INFINITY);
    Atom::rounded(PRE_NUMBER, rounded.to_bits())
}

/// What JavaScript's `trim` takes away.
fn is_blank(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}
