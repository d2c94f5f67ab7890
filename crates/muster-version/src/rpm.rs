//! The epoch, version and release of an RPM package, as librpm orders them (rpm-version(7);
//! `rpmvercmp` and `rpmverCmp`).
//!
//! A missing epoch is 0; a missing release comes before every release, as it does in librpm. Any
//! text that is not empty is a version: rpm treats every other character as a separator.
//!
//! It deliberately does not know the fuzzy match of dependencies, where a missing release stands
//! for every release.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::atom::{self, Atom};
use crate::{Version, number};

#[derive(Clone, Copy)]
pub(crate) struct Parsed<'a> {
    /// `None` for an empty text.
    epoch: Option<&'a [u8]>,
    version: &'a [u8],
    release: Option<&'a [u8]>,
}

const TILDE: u8 = 1;
const END: u8 = 2;
const CARET: u8 = 3;
const LETTERS: u8 = 4;
const NUMBER: u8 = 5;

impl<'a> Version<'a> for Parsed<'a> {
    fn strict(text: &'a str) -> Option<Self> {
        let parsed = Self::lenient(text);
        (parsed.epoch.is_some() && !text.contains('\0')).then_some(parsed)
    }

    fn lenient(text: &'a str) -> Self {
        if text.is_empty() {
            return Self { epoch: None, version: &[], release: None };
        }
        let bytes = text.as_bytes();
        let (epoch, rest) = match number::split(bytes) {
            (epoch, [b':', rest @ ..]) => (epoch, rest),
            _ => (&[][..], bytes),
        };
        let hyphen = rest.iter().rposition(|&byte| byte == b'-');
        let (version, release) = match hyphen.and_then(|at| rest.split_at_checked(at)) {
            Some((version, [_, release @ ..])) => (version, Some(release)),
            _ => (rest, None),
        };
        Self { epoch: Some(epoch), version, release }
    }

    fn order(&self, other: &Self) -> Ordering {
        let epoch = |parsed: &Self| parsed.epoch.map(number::significant);
        match (epoch(self), epoch(other)) {
            (Some(left), Some(right)) => number::compare(left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        }
        .then_with(|| compare_segments(self.version, other.version))
        .then_with(|| match (self.release, other.release) {
            (Some(left), Some(right)) => compare_segments(left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        })
    }

    fn write_key(&self, out: &mut Vec<u8>) {
        let epoch = self.epoch.map_or(Atom::mark(0), |digits| Atom::number(1, digits));
        atom::write_key(core::iter::once(epoch).chain(Segments { rest: Some(self.version) }), out);
        out.push(u8::from(self.release.is_some()));
        atom::write_key(Segments { rest: self.release }, out);
    }
}

fn compare_segments(a: &[u8], b: &[u8]) -> Ordering {
    atom::compare(Segments { rest: Some(a) }, Segments { rest: Some(b) })
}

/// The segments of a version or a release, closed by an end.
struct Segments<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Atom<'a>;

    #[inline]
    fn next(&mut self) -> Option<Atom<'a>> {
        let mut rest = self.rest?;
        while let [byte, after @ ..] = rest
            && !byte.is_ascii_alphanumeric()
            && !matches!(byte, b'~' | b'^')
        {
            rest = after;
        }
        let (atom, rest) = match rest {
            [] => {
                self.rest = None;
                return Some(Atom::mark(END));
            }
            [b'~', after @ ..] => (Atom::mark(TILDE), after),
            [b'^', after @ ..] => (Atom::mark(CARET), after),
            [b'0'..=b'9', ..] => {
                let (digits, after) = number::split(rest);
                (Atom::number(NUMBER, digits), after)
            }
            _ => {
                let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
                let (word, after) = rest.split_at(letters);
                (Atom::word(LETTERS, word), after)
            }
        };
        self.rest = Some(rest);
        Some(atom)
    }
}
