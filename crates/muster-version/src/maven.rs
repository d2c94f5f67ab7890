//! Versions of Maven artifacts, in the order that Maven's POM reference specifies ("version order
//! specification") and that `ComparableVersion` implements.
//!
//! Any text is a version. `ComparableVersion` contradicts itself on some shapes (`1.Final.1` is for
//! it below `1-alpha`, which is below `1`, which is below `1.Final.1`), so it is no order; where it
//! does, the specification decides: a word behind a dot is as one behind a hyphen, and a release
//! word (`ga`, `final`, `release`) at the end is as nothing.

use crate::Version;
use crate::atom::{Atom, by_atoms};
use crate::number;

#[derive(Clone, Copy)]
pub(crate) struct Parsed<'a>(&'a str);

impl<'a> Version<'a> for Parsed<'a> {
    fn strict(text: &'a str) -> Option<Self> {
        Some(Self(text))
    }

    fn lenient(text: &'a str) -> Self {
        Self(text)
    }

    by_atoms!();
}

// The order of pieces in one place.
const ALPHA: u8 = 0;
const BETA: u8 = 1;
const MILESTONE: u8 = 2;
const CANDIDATE: u8 = 3;
const SNAPSHOT: u8 = 4;
const END: u8 = 5;
const RELEASE: u8 = 6;
const SERVICE_PACK: u8 = 7;
const WORD: u8 = 8;
const HYPHEN_NUMBER: u8 = 9;
const DOT_NUMBER: u8 = 10;

const QUALIFIERS: [(&str, u8); 10] = [
    ("alpha", ALPHA),
    ("beta", BETA),
    ("milestone", MILESTONE),
    ("rc", CANDIDATE),
    ("cr", CANDIDATE),
    ("snapshot", SNAPSHOT),
    ("ga", RELEASE),
    ("final", RELEASE),
    ("release", RELEASE),
    ("sp", SERVICE_PACK),
];

/// One piece of a version as it is written.
#[derive(Clone, Copy)]
enum Piece<'a> {
    Number { behind_hyphen: bool, digits: &'a [u8] },
    Word { word: &'a str, digits: Option<&'a [u8]> },
}

impl Piece<'_> {
    /// Tells whether it counts only if something else follows.
    fn is_nothing(&self) -> bool {
        match self {
            Self::Number { digits, .. } => digits.is_empty(),
            Self::Word { word, digits } => digits.is_none() && rank(word, false) == RELEASE,
        }
    }
}

fn rank(word: &str, has_digits: bool) -> u8 {
    if has_digits && let [letter] = word.as_bytes() {
        match letter.to_ascii_lowercase() {
            b'a' => return ALPHA,
            b'b' => return BETA,
            b'm' => return MILESTONE,
            _ => {}
        }
    }
    let known = QUALIFIERS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    known.map_or(WORD, |(_, rank)| *rank)
}

impl<'a> Parsed<'a> {
    fn atoms(&self) -> Atoms<'a> {
        // Zeros and release words at the end do not count.
        let mut pieces = Pieces { rest: self.0, behind_hyphen: false };
        let mut left = self.0.len();
        while let Some(piece) = pieces.next() {
            if !piece.is_nothing() {
                left = pieces.rest.len();
            }
        }
        let is_nothing = left == self.0.len();
        let text = if is_nothing { "" } else { self.0.get(..self.0.len() - left).unwrap_or("") };
        let pieces = Pieces { rest: text, behind_hyphen: false };
        Atoms { pieces, zeros: 0, digits: None, ended: false }
    }
}

struct Atoms<'a> {
    pieces: Pieces<'a>,
    /// How many zeros ahead are known to count.
    zeros: usize,
    /// The number behind the word that was told last, if that is still to be told.
    digits: Option<Option<&'a [u8]>>,
    ended: bool,
}

impl<'a> Iterator for Atoms<'a> {
    type Item = Atom<'a>;

    fn next(&mut self) -> Option<Atom<'a>> {
        if self.ended {
            return None;
        }
        if let Some(digits) = self.digits.take() {
            return Some(digits.map_or(Atom::mark(0), |digits| Atom::number(1, digits)));
        }
        if self.zeros == 0 {
            self.look_past_zeros();
        }
        self.zeros = self.zeros.saturating_sub(1);
        let Some(piece) = self.pieces.next() else {
            self.ended = true;
            return Some(Atom::mark(END));
        };
        Some(match piece {
            Piece::Number { behind_hyphen: true, digits } => Atom::number(HYPHEN_NUMBER, digits),
            Piece::Number { behind_hyphen: false, digits } => Atom::number(DOT_NUMBER, digits),
            Piece::Word { word, digits } => {
                self.digits = Some(digits);
                match rank(word, digits.is_some()) {
                    WORD => Atom::folded(WORD, word),
                    known => Atom::mark(known),
                }
            }
        })
    }
}

impl Atoms<'_> {
    /// Leaves out zeros that stand in front of a word.
    fn look_past_zeros(&mut self) {
        let mut ahead = self.pieces;
        loop {
            let before = ahead;
            match ahead.next() {
                Some(Piece::Number { digits: [], .. }) => self.zeros += 1,
                Some(Piece::Number { .. }) => return,
                Some(Piece::Word { .. }) | None => {
                    self.zeros = 0;
                    self.pieces = before;
                    return;
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Pieces<'a> {
    rest: &'a str,
    behind_hyphen: bool,
}

impl<'a> Pieces<'a> {
    /// Steps over the separator in front of the next piece, if there is one.
    fn step(&mut self) {
        self.behind_hyphen = self.rest.starts_with('-');
        self.rest = self.rest.strip_prefix(['.', '-']).unwrap_or(self.rest);
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let behind_hyphen = self.behind_hyphen;
        let (digits, rest) = number::split_str(self.rest);
        let piece = if !digits.is_empty() || rest.starts_with(['.', '-']) {
            // Nothing between two separators is a zero.
            self.rest = rest;
            Piece::Number { behind_hyphen, digits: number::significant(digits.as_bytes()) }
        } else {
            let is_end = |c: char| matches!(c, '.' | '-' | '0'..='9');
            let (word, rest) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
            // A number behind a word belongs to it, with or without a hyphen between.
            let (digits, after) = number::split_str(rest.strip_prefix('-').unwrap_or(rest));
            self.rest = if digits.is_empty() { rest } else { after };
            let digits = (!digits.is_empty()).then(|| number::significant(digits.as_bytes()));
            Piece::Word { word, digits }
        };
        self.step();
        Some(piece)
    }
}
