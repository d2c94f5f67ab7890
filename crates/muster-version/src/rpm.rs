//! The epoch, version and release of an RPM package, as librpm orders them (rpm-version(7);
//! `rpmvercmp` and `rpmverCmp`).
//!
//! A missing epoch is 0; a missing release comes before every release, as it does in librpm. Any
//! text that is not empty is a version: rpm treats every other character as a separator.
//!
//! It deliberately does not know the fuzzy match of dependencies, where a missing release stands
//! for every release.

use crate::atom::{Atom, by_atoms};
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

    by_atoms!();
}

impl<'a> Parsed<'a> {
    fn atoms(&self) -> impl Iterator<Item = Atom<'a>> {
        let epoch = match self.epoch {
            Some(digits) => Atom::number(1, digits),
            None => Atom::mark(0),
        };
        let release = Atom::mark(u8::from(self.release.is_some()));
        core::iter::once(epoch)
            .chain(Segments { rest: Some(self.version) })
            .chain([release])
            .chain(Segments { rest: self.release })
    }
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
