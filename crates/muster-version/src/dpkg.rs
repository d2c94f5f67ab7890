//! Debian versions, as `dpkg --compare-versions` orders them (deb-version(7), and dpkg's own
//! answers where the page is silent).
//!
//! dpkg only warns about characters that the policy forbids, and still compares: so does this. It
//! refuses what dpkg cannot take apart: blanks inside, an epoch that is no number or too big,
//! nothing after the epoch, an empty version or revision. An empty text and `<unknown>` are dpkg's
//! "no version", which comes before every other.
//!
//! It deliberately does not judge whether the Debian policy allows a version.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::{Version, number};

#[derive(Clone, Copy)]
pub(crate) struct Parsed<'a> {
    /// Zero is "no version"; otherwise one more than the epoch.
    rank: u32,
    upstream: &'a [u8],
    revision: &'a [u8],
}

const NO_VERSION: Parsed<'static> = Parsed { rank: 0, upstream: &[], revision: &[] };

impl<'a> Version<'a> for Parsed<'a> {
    fn strict(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes == b"<unknown>" {
            return Some(NO_VERSION);
        }
        let bytes = trim(bytes);
        let mut hyphen = None;
        let mut colon = None;
        for (at, &byte) in bytes.iter().enumerate() {
            // Most bytes are above these, so one comparison passes them.
            if byte > b':' {
                continue;
            }
            match byte {
                b'-' => hyphen = Some(at),
                b':' if colon.is_none() => colon = Some(at),
                0 | b' ' | b'\t'..=b'\r' => return None,
                _ => {}
            }
        }
        let Some(colon) = colon else { return split(1, bytes, hyphen) };
        let (digits, rest) = bytes.split_at_checked(colon)?;
        let rest = rest.get(1..)?;
        split(epoch(digits)?, rest, hyphen.and_then(|at| at.checked_sub(colon + 1)))
    }

    fn lenient(text: &'a str) -> Self {
        Self::strict(text).unwrap_or_else(|| {
            // Whatever dpkg refuses is taken as the version alone, unless it is blank.
            let upstream = trim(text.as_bytes());
            if upstream.is_empty() {
                return NO_VERSION;
            }
            Self { rank: 1, upstream, revision: &[] }
        })
    }

    #[inline]
    fn order(&self, other: &Self) -> Ordering {
        self.rank
            .cmp(&other.rank)
            .then_with(|| compare_part(self.upstream, other.upstream))
            .then_with(|| compare_part(self.revision, other.revision))
    }

    fn write_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.rank.to_be_bytes());
        write_part(self.upstream, out);
        write_part(self.revision, out);
    }
}

/// Splits the revision off at the last hyphen; neither part may be empty.
fn split(rank: u32, bytes: &[u8], hyphen: Option<usize>) -> Option<Parsed<'_>> {
    let Some(hyphen) = hyphen else {
        return (!bytes.is_empty()).then_some(Parsed { rank, upstream: bytes, revision: &[] });
    };
    let (upstream, rest) = bytes.split_at_checked(hyphen)?;
    let revision = rest.get(1..)?;
    (!upstream.is_empty() && !revision.is_empty()).then_some(Parsed { rank, upstream, revision })
}

/// Reads the epoch as strtol(3) does, sign included, and returns its rank.
fn epoch(text: &[u8]) -> Option<u32> {
    let (negative, digits) = match text {
        [b'+', digits @ ..] => (false, digits),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i32;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| i32::from(digit - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    (!negative || value == 0).then(|| value.unsigned_abs() + 1)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

/// Where a byte stands among the bytes that are no digits: `~`, the end of the text or a digit,
/// letters, bytes outside ASCII, then the rest.
const STANDING: [u8; 256] = standing();
const END: u8 = 2;

const fn standing() -> [u8; 256] {
    let mut table = [END; 256];
    let mut next = END + 1;
    let mut pass = 0;
    while pass < 3 {
        let mut byte = 0_u8;
        loop {
            let class = if byte.is_ascii_digit() || byte == b'~' {
                3
            } else if byte.is_ascii_alphabetic() {
                0
            } else if byte >= 128 {
                1
            } else {
                2
            };
            if class == pass {
                table[byte as usize] = next;
                next += 1;
            }
            if byte == 255 {
                break;
            }
            byte += 1;
        }
        pass += 1;
    }
    table[b'~' as usize] = 1;
    table
}

fn standing_of(byte: Option<&u8>) -> u8 {
    byte.map_or(END, |&byte| STANDING[usize::from(byte)])
}

/// Compares a version or a revision: text and numbers in turn.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        loop {
            let (left, right) = (standing_of(a.first()), standing_of(b.first()));
            if left != right {
                return left.cmp(&right);
            }
            if left == END {
                break;
            }
            a = a.get(1..).unwrap_or_default();
            b = b.get(1..).unwrap_or_default();
        }
        if a.is_empty() && b.is_empty() {
            return Ordering::Equal;
        }
        let (left, right);
        (left, a) = number::split(number::significant(a));
        (right, b) = number::split(number::significant(b));
        match number::compare(left, right) {
            Ordering::Equal => {}
            decided @ (Ordering::Less | Ordering::Greater) => return decided,
        }
    }
}

/// Appends the key of a version or a revision: text and numbers in turn, closed by an end where
/// another text would begin.
fn write_part(mut part: &[u8], out: &mut Vec<u8>) {
    loop {
        while let [byte, rest @ ..] = part
            && !byte.is_ascii_digit()
        {
            out.push(standing_of(Some(byte)));
            part = rest;
        }
        out.push(END);
        let digits;
        (digits, part) = number::split(number::significant(part));
        number::write_key(digits, out);
        if part.is_empty() {
            out.push(END);
            return;
        }
    }
}
