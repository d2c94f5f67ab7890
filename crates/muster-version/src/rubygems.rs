//! Versions of Ruby gems, as `Gem::Version` orders them (`Gem::Version.correct?` says which texts
//! are versions; an empty one is 0).
//!
//! Segments are numbers and words; a hyphen stands for `.pre.`; a word comes before any number, and
//! missing segments are 0. Zeros before the first word and at the end do not count.

use crate::Version;
use crate::atom::{Atom, by_atoms};
use crate::number;

#[derive(Clone, Copy)]
pub(crate) struct Parsed<'a>(&'a [u8]);

impl<'a> Version<'a> for Parsed<'a> {
    fn strict(text: &'a str) -> Option<Self> {
        let parsed = Self::lenient(text);
        is_correct(parsed.0).then_some(parsed)
    }

    fn lenient(text: &'a str) -> Self {
        Self(text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']).as_bytes())
    }

    by_atoms!();
}

/// Tells whether the text is empty, or a number, then `.` with letters and digits any number of
/// times, then once `-` with identifiers that may hold further hyphens.
fn is_correct(text: &[u8]) -> bool {
    if text.is_empty() {
        return true;
    }
    let (digits, mut rest) = number::split(text);
    if digits.is_empty() {
        return false;
    }
    let mut hyphens = false;
    while let [separator, after @ ..] = rest {
        match separator {
            b'-' if !hyphens => hyphens = true,
            b'.' => {}
            _ => return false,
        }
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || (hyphens && *byte == b'-');
        let length = after.iter().take_while(|byte| is_part(byte)).count();
        if length == 0 {
            return false;
        }
        rest = after.get(length..).unwrap_or_default();
    }
    true
}

// A zero counts only if more than zeros follows: it then stands before or behind the end of another
// version, where the missing segment is 0 as well, as the first segment behind the zeros does.
const WORD: u8 = 0;
const ZEROS_THEN_WORD: u8 = 1;
const END: u8 = 2;
const ZEROS_THEN_NUMBER: u8 = 3;
const NUMBER: u8 = 4;

impl<'a> Parsed<'a> {
    fn atoms(&self) -> Atoms<'a> {
        Atoms { rest: Some(self.0), zeros: 0, zero: END, seen_word: false }
    }
}

struct Atoms<'a> {
    /// `None` once the end has been told.
    rest: Option<&'a [u8]>,
    /// How many zeros have been read and not yet been told, and as what each is told.
    zeros: usize,
    zero: u8,
    seen_word: bool,
}

impl<'a> Iterator for Atoms<'a> {
    type Item = Atom<'a>;

    fn next(&mut self) -> Option<Atom<'a>> {
        if self.zeros == 0 {
            self.read_zeros()?;
        }
        if self.zeros > 0 {
            self.zeros -= 1;
            return Some(Atom::mark(self.zero));
        }
        let (segment, after) = next_segment(self.rest?);
        self.rest = segment.is_some().then_some(after);
        Some(match segment {
            None => Atom::mark(END),
            Some(Segment::Number(digits)) => Atom::number(NUMBER, digits),
            Some(Segment::Word(word)) => {
                self.seen_word = true;
                Atom::word(WORD, word)
            }
        })
    }
}

impl Atoms<'_> {
    /// Reads zeros up to the next segment that is none, and keeps those that count.
    fn read_zeros(&mut self) -> Option<()> {
        let mut zeros = 0;
        let mut rest = self.rest?;
        let next = loop {
            let (segment, after) = next_segment(rest);
            if !matches!(segment, Some(Segment::Number([]))) {
                break segment;
            }
            zeros += 1;
            rest = after;
        };
        self.rest = Some(rest);
        (self.zeros, self.zero) = match next {
            Some(Segment::Number(_)) => (zeros, ZEROS_THEN_NUMBER),
            Some(Segment::Word(_)) if self.seen_word => (zeros, ZEROS_THEN_WORD),
            Some(Segment::Word(_)) | None => (0, END),
        };
        Some(())
    }
}

enum Segment<'a> {
    /// Significant digits.
    Number(&'a [u8]),
    Word(&'a [u8]),
}

/// Returns the next segment and what follows it.
fn next_segment(mut rest: &[u8]) -> (Option<Segment<'_>>, &[u8]) {
    loop {
        match rest {
            [] => return (None, rest),
            [b'-', after @ ..] => return (Some(Segment::Word(b"pre")), after),
            [b'0'..=b'9', ..] => {
                let (digits, after) = number::split(rest);
                return (Some(Segment::Number(number::significant(digits))), after);
            }
            [b'a'..=b'z' | b'A'..=b'Z', ..] => {
                let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
                let (word, after) = rest.split_at(letters);
                return (Some(Segment::Word(word)), after);
            }
            [_, after @ ..] => rest = after,
        }
    }
}
