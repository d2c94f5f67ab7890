//! Alpine versions, as apk-tools 3 orders them (apk-package(5); `apk version --test`):
//! `number{.number}{letter}{_suffix{number}}{~hash}{-r number}`.
//!
//! What apk refuses is still put in an order by the lenient comparison: as apk compares it
//! internally, up to the first mistake, which comes before the end of a version. Three shapes that
//! apk-tools 2.14 accepted, and that old Alpine advisories hold, are read on: digits after the
//! letter (`1.8.31p1`), a dot without digits, and `-r` without digits at the end.

use crate::Version;
use crate::atom::{Atom, by_atoms};

#[derive(Clone, Copy)]
pub(crate) struct Parsed<'a>(&'a [u8]);

impl<'a> Version<'a> for Parsed<'a> {
    fn strict(text: &'a str) -> Option<Self> {
        let mut tokens = Tokens::new(text.as_bytes());
        while tokens.next().is_some() {}
        (!tokens.odd).then_some(Self(text.as_bytes()))
    }

    fn lenient(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    by_atoms!();
}

impl<'a> Parsed<'a> {
    fn atoms(&self) -> Tokens<'a> {
        Tokens::new(self.0)
    }
}

/// Suffixes that come before the version itself, in their order.
const BEFORE: [&[u8]; 4] = [b"alpha", b"beta", b"pre", b"rc"];
/// Suffixes that come after it.
const AFTER: [&[u8]; 5] = [b"cvs", b"svn", b"git", b"hg", b"p"];

// The order in which tokens stand where two versions differ in kind. The suffixes of `BEFORE`
// have the ranks from 0 on, those of `AFTER` the ranks from `AFTER_RANK` on.
const MISTAKE: u8 = 8;
const NO_DIGITS: u8 = 9;
const END: u8 = 10;
const REVISION: u8 = 11;
const HASH: u8 = 12;
const SUFFIX_NUMBER: u8 = 13;
const AFTER_RANK: u8 = 14;
const LETTER: u8 = 20;
const ZERO_NUMBER: u8 = 21;
const NUMBER: u8 = 22;

/// How far a version has been read: a token may only follow an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Start,
    Number,
    Letter,
    Suffix,
    SuffixNumber,
    Hash,
    Revision,
    Done,
}

struct Tokens<'a> {
    rest: &'a [u8],
    stage: Stage,
    /// Something was read that apk refuses.
    odd: bool,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { rest: text, stage: Stage::Start, odd: false }
    }

    fn take(&mut self, accept: impl Fn(&u8) -> bool) -> &'a [u8] {
        let taken;
        (taken, self.rest) =
            self.rest.split_at(self.rest.iter().take_while(|byte| accept(byte)).count());
        taken
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// Ends the version at a mistake.
    fn mistake(&mut self) -> Atom<'a> {
        self.odd = true;
        self.stage = Stage::Done;
        Atom::mark(MISTAKE)
    }

    fn first_number(&mut self) -> Atom<'a> {
        self.stage = Stage::Number;
        match self.take(u8::is_ascii_digit) {
            [] => self.no_digits(),
            digits => Atom::number(NUMBER, digits),
        }
    }

    fn no_digits(&mut self) -> Atom<'a> {
        self.odd = true;
        Atom::mark(NO_DIGITS)
    }

    /// A number after the first: with a leading zero it is compared as text, and is the smaller.
    fn number(&mut self) -> Atom<'a> {
        self.stage = Stage::Number;
        match self.take(u8::is_ascii_digit) {
            [] => self.no_digits(),
            digits @ [b'0', ..] => Atom::word(ZERO_NUMBER, digits),
            digits => Atom::number(NUMBER, digits),
        }
    }

    fn suffix(&mut self) -> Atom<'a> {
        let word = self.take(u8::is_ascii_lowercase);
        let rank = rank_in(&BEFORE, 0, word).or_else(|| rank_in(&AFTER, AFTER_RANK, word));
        let Some(rank) = rank else { return self.mistake() };
        self.stage = Stage::Suffix;
        Atom::mark(rank)
    }

    fn hash(&mut self) -> Atom<'a> {
        let hash = self.take(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hash.is_empty() {
            return self.mistake();
        }
        self.stage = Stage::Hash;
        Atom::word(HASH, hash)
    }

    fn revision(&mut self) -> Atom<'a> {
        let digits = self.take(u8::is_ascii_digit);
        if digits.is_empty() && !self.rest.is_empty() {
            return self.mistake();
        }
        self.odd |= digits.is_empty();
        self.stage = Stage::Revision;
        Atom::number(REVISION, digits)
    }
}

fn rank_in(list: &[&[u8]], first: u8, word: &[u8]) -> Option<u8> {
    (first..).zip(list).find(|(_, name)| **name == word).map(|(rank, _)| rank)
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Atom<'a>;

    fn next(&mut self) -> Option<Atom<'a>> {
        let stage = self.stage;
        if stage == Stage::Start {
            return Some(self.first_number());
        }
        if stage == Stage::Done {
            return None;
        }
        Some(match self.rest {
            [] => {
                self.stage = Stage::Done;
                Atom::mark(END)
            }
            [letter @ b'a'..=b'z', ..] if stage <= Stage::Number => {
                self.skip(1);
                self.stage = Stage::Letter;
                Atom::word(LETTER, core::slice::from_ref(letter))
            }
            [b'.', ..] if stage <= Stage::Number => {
                self.skip(1);
                self.number()
            }
            [b'0'..=b'9', ..] if stage == Stage::Letter => {
                self.odd = true;
                self.number()
            }
            [b'0'..=b'9', ..] if stage == Stage::Suffix => {
                self.stage = Stage::SuffixNumber;
                Atom::number(SUFFIX_NUMBER, self.take(u8::is_ascii_digit))
            }
            [b'_', ..] if stage <= Stage::SuffixNumber => {
                self.skip(1);
                self.suffix()
            }
            [b'~', ..] if stage < Stage::Hash => {
                self.skip(1);
                self.hash()
            }
            [b'-', b'r', ..] if stage < Stage::Revision => {
                self.skip(2);
                self.revision()
            }
            _ => self.mistake(),
        })
    }
}
