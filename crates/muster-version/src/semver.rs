//! Semantic Versioning 2.0.0 (semver.org, items 2, 9, 10 and 11), with the leading `v` that npm's
//! `semver` and the advisory databases allow. Build metadata does not count.
//!
//! Numbers may have any length. Ranges and partial versions are deliberately not versions; the
//! lenient comparison reads a missing number as 0 and what it cannot read as text behind the
//! version.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::Version;
use crate::atom::{self, Atom};
use crate::number;

#[derive(Clone, Copy)]
pub(crate) struct Parsed<'a> {
    /// Major, minor, patch; missing ones are empty.
    numbers: [&'a [u8]; 3],
    /// The identifiers between `-` and `+`, if any.
    pre: Option<&'a str>,
    /// What stands behind the version, where it is not one.
    tail: &'a str,
    /// Not even a number at the front.
    is_text: bool,
}

impl<'a> Version<'a> for Parsed<'a> {
    fn strict(text: &'a str) -> Option<Self> {
        let read = Read::new(text.strip_prefix('v').unwrap_or(text));
        (read.count == 3 && read.is_proper).then_some(read.version)
    }

    fn lenient(text: &'a str) -> Self {
        lenient(text)
    }

    fn order(&self, other: &Self) -> Ordering {
        self.order_with(other, by_value)
    }

    fn write_key(&self, out: &mut Vec<u8>) {
        self.write_key_with(by_value, out);
    }
}

/// Reads any text: a prefix `v` or `=`, then as much of a version as there is.
pub(crate) fn lenient(text: &str) -> Parsed<'_> {
    Read::new(text.trim().trim_start_matches(['v', 'V', '='])).version
}

impl<'a> Parsed<'a> {
    /// Returns the three numbers as they were written.
    pub(crate) fn numbers(&self) -> [&'a [u8]; 3] {
        self.numbers
    }

    /// Orders two versions, `number` making the atoms of numeric identifiers.
    pub(crate) fn order_with(&self, other: &Self, number: NumberAtom) -> Ordering {
        let by_numbers = || {
            let pairs = self.numbers.into_iter().zip(other.numbers);
            let orders =
                pairs.map(|(a, b)| number::compare(number::significant(a), number::significant(b)));
            orders.fold(Ordering::Equal, Ordering::then)
        };
        // A text without any number comes first.
        let by_kind = other.is_text.cmp(&self.is_text);
        let by_identifiers = || atom::compare(self.identifiers(number), other.identifiers(number));
        by_kind.then_with(by_numbers).then_with(by_identifiers)
    }

    pub(crate) fn write_key_with(&self, number: NumberAtom, out: &mut Vec<u8>) {
        out.push(u8::from(!self.is_text));
        for digits in self.numbers {
            number::write_key(number::significant(digits), out);
        }
        atom::write_key(self.identifiers(number), out);
    }

    /// The atoms of what follows the numbers.
    fn identifiers(&self, number: NumberAtom) -> impl Iterator<Item = Atom<'a>> {
        let identifiers = self.pre.into_iter().flat_map(|pre| pre.split('.'));
        let end = Atom::mark(if self.pre.is_some() { PRE_END } else { RELEASE });
        identifiers
            .map(move |id| {
                let bytes = id.as_bytes();
                if is_number(id) { number(bytes) } else { Atom::word(PRE_WORD, bytes) }
            })
            .chain([end, Atom::word(0, self.tail.as_bytes())])
    }
}

/// Makes the atom of a numeric identifier.
pub(crate) type NumberAtom = fn(&[u8]) -> Atom<'_>;

/// Numbers by their value, of any length.
pub(crate) fn by_value(digits: &[u8]) -> Atom<'_> {
    Atom::number(PRE_NUMBER, digits)
}

const PRE_END: u8 = 0;
pub(crate) const PRE_NUMBER: u8 = 1;
const PRE_WORD: u8 = 2;
const RELEASE: u8 = 3;

/// A version being read, and how much of one it turned out to be.
pub(crate) struct Read<'a> {
    pub(crate) version: Parsed<'a>,
    /// How many numbers there are before the identifiers.
    pub(crate) count: usize,
    /// No leading zeros, no empty identifiers, nothing left over.
    pub(crate) is_proper: bool,
}

impl<'a> Read<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut numbers = [&[][..]; 3];
        let mut rest = text;
        let mut count = 0;
        let mut is_proper = true;
        for number in &mut numbers {
            let after_dot = if count == 0 { Some(rest) } else { rest.strip_prefix('.') };
            let Some((digits, after)) = after_dot.map(number::split_str) else { break };
            if digits.is_empty() {
                break;
            }
            is_proper &= !has_leading_zero(digits);
            *number = digits.as_bytes();
            count += 1;
            rest = after;
        }
        let is_text = count == 0;
        let mut pre = None;
        if !is_text && let Some(after) = rest.strip_prefix('-') {
            let identifiers;
            (identifiers, rest) = split_identifiers(after);
            pre = Some(identifiers);
            is_proper &= identifiers.split('.').all(is_proper_identifier);
        }
        // Build metadata does not count, where it is that.
        if !is_text && let Some(after) = rest.strip_prefix('+') {
            let (identifiers, after) = split_identifiers(after);
            if after.is_empty() && identifiers.split('.').all(|id| !id.is_empty()) {
                rest = after;
            }
        }
        is_proper &= rest.is_empty();
        let version = Parsed { numbers, pre, tail: rest, is_text };
        Self { version, count, is_proper }
    }
}

fn is_proper_identifier(id: &str) -> bool {
    if is_number(id) { !has_leading_zero(id) } else { !id.is_empty() }
}

fn is_number(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_leading_zero(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0')
}

fn split_identifiers(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.'));
    text.split_at(end.unwrap_or(text.len()))
}
