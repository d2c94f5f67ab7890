//! Versions of PHP packages, as Composer orders them: normalised as `VersionParser::normalize` of
//! `composer/semver` does, then compared as PHP's `version_compare` does, which `Comparator` calls.
//!
//! A development branch (`dev-main`) comes before every number, and Composer leaves two of them
//! without an order; a branch of numbers (`2.x-dev`) is a number whose open parts are 9999999.
//! What Composer refuses is put in order by its pieces as PHP would split it.

use crate::Version;
use crate::atom::{Atom, by_atoms};
use crate::number;

#[derive(Clone, Copy)]
pub(crate) enum Parsed<'a> {
    /// The name of a development branch.
    Branch(&'a str),
    Number(Normal<'a>),
    /// What Composer refuses.
    Raw(&'a str),
}

/// A version in Composer's normal form.
#[derive(Clone, Copy)]
pub(crate) struct Normal<'a> {
    /// Numbers and what separates them.
    numbers: &'a str,
    /// What is appended until there are four numbers.
    fill: Fill,
    stability: Stability,
    /// Numbers of the stability, and what separates them.
    stability_numbers: &'a str,
    is_dev: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// A version made of a date: as many numbers as it has.
    None,
    Zeros,
    /// A branch of numbers.
    Open,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stability {
    /// Not stated.
    None,
    /// Stated in another case than `stable`: Composer keeps the word, PHP does not know it.
    Odd,
    Alpha,
    Beta,
    Candidate,
    Patch,
}

impl<'a> Version<'a> for Parsed<'a> {
    fn strict(text: &'a str) -> Option<Self> {
        normalize(text)
    }

    fn lenient(text: &'a str) -> Self {
        normalize(text).unwrap_or_else(|| {
            let text = trim(text);
            Self::Raw(text.strip_prefix(['v', 'V']).unwrap_or(text))
        })
    }

    fn is_comparable(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Branch(a), Self::Branch(b)) => a == b,
            _ => true,
        }
    }

    by_atoms!();
}

// The order of pieces in one place. A branch stands first of all; a word that PHP does not know
// comes before the ones that it does.
const BRANCH: u8 = 0;
const WORD: u8 = 1;
const DEV: u8 = 2;
const ALPHA: u8 = 3;
const BETA: u8 = 4;
const CANDIDATE: u8 = 5;
const END: u8 = 6;
const NUMBER: u8 = 7;
const PATCH: u8 = 8;

impl<'a> Parsed<'a> {
    /// Returns it as the patch level of that number; nothing where it has a stability of its own.
    pub(crate) fn patched(self, level: &'a str) -> Option<Self> {
        match self {
            Self::Number(normal) if normal.stability == Stability::None && !normal.is_dev => {
                let stability_numbers = level;
                let stability = Stability::Patch;
                Some(Self::Number(Normal { stability, stability_numbers, ..normal }))
            }
            _ => None,
        }
    }

    pub(crate) fn atoms(&self) -> Atoms<'a> {
        let nothing = Normal {
            numbers: "",
            fill: Fill::None,
            stability: Stability::None,
            stability_numbers: "",
            is_dev: false,
        };
        let (first, raw, normal) = match *self {
            Self::Branch(name) => (Some(Atom::word(BRANCH, name.as_bytes())), "", nothing),
            Self::Number(normal) => (None, "", normal),
            Self::Raw(text) => (None, text, nothing),
        };
        let is_raw = matches!(self, Self::Raw(_));
        Atoms { first, raw, is_raw, normal, count: 0, ended: false }
    }
}

pub(crate) struct Atoms<'a> {
    first: Option<Atom<'a>>,
    raw: &'a str,
    is_raw: bool,
    normal: Normal<'a>,
    /// How many numbers have been told.
    count: usize,
    ended: bool,
}

impl<'a> Iterator for Atoms<'a> {
    type Item = Atom<'a>;

    fn next(&mut self) -> Option<Atom<'a>> {
        if self.ended {
            return None;
        }
        let atom = self
            .first
            .take()
            .or_else(|| if self.is_raw { self.next_raw() } else { self.next_normal() });
        self.ended = atom.is_none();
        Some(atom.unwrap_or(Atom::mark(END)))
    }
}

impl<'a> Atoms<'a> {
    fn next_normal(&mut self) -> Option<Atom<'a>> {
        let normal = &mut self.normal;
        if let Some(part) = next_part(&mut normal.numbers) {
            self.count += 1;
            let is_open = part.bytes().all(|byte| matches!(byte, b'x' | b'X' | b'*'));
            return Some(number_atom(if is_open { OPEN } else { part.as_bytes() }));
        }
        if normal.fill != Fill::None && self.count < 4 {
            self.count += 1;
            return Some(number_atom(if normal.fill == Fill::Open { OPEN } else { b"0" }));
        }
        let stability = core::mem::replace(&mut normal.stability, Stability::None);
        match stability {
            Stability::None => {}
            Stability::Odd => return Some(Atom::word(WORD, b"stable")),
            Stability::Alpha => return Some(Atom::mark(ALPHA)),
            Stability::Beta => return Some(Atom::mark(BETA)),
            Stability::Candidate => return Some(Atom::mark(CANDIDATE)),
            Stability::Patch => return Some(Atom::mark(PATCH)),
        }
        if let Some(part) = next_part(&mut normal.stability_numbers) {
            return Some(number_atom(part.as_bytes()));
        }
        core::mem::take(&mut normal.is_dev).then_some(Atom::mark(DEV))
    }

    /// The next piece of a text that Composer refuses; it too has four numbers in front.
    fn next_raw(&mut self) -> Option<Atom<'a>> {
        self.raw = self.raw.trim_start_matches(is_separator);
        let (digits, rest) = number::split_str(self.raw);
        self.count += 1;
        if !digits.is_empty() {
            self.raw = rest;
            return Some(Atom::number(NUMBER, digits.as_bytes()));
        }
        if self.count <= 4 {
            return Some(Atom::number(NUMBER, b""));
        }
        self.count = 4;
        let is_end = |c: char| is_separator(c) || c.is_ascii_digit();
        let (word, rest) = self.raw.split_at(self.raw.find(is_end).unwrap_or(self.raw.len()));
        self.raw = rest;
        if word.is_empty() {
            return None;
        }
        for (name, rank) in [
            ("dev", DEV),
            ("alpha", ALPHA),
            ("a", ALPHA),
            ("beta", BETA),
            ("b", BETA),
            ("rc", CANDIDATE),
            ("p", PATCH),
        ] {
            if strip_word(word, name).is_some() {
                return Some(Atom::mark(rank));
            }
        }
        Some(Atom::word(WORD, word.as_bytes()))
    }
}

/// The value of an open part of a branch.
const OPEN: &[u8] = b"9999999";
/// PHP reads numbers with strtol(3), which stops counting here.
const MOST: &[u8] = b"9223372036854775807";

fn number_atom(digits: &[u8]) -> Atom<'_> {
    let digits = number::significant(digits);
    let too_big = number::compare(digits, MOST).is_gt();
    Atom::number(NUMBER, if too_big { MOST } else { digits })
}

/// What separates the pieces of a text that Composer refuses; PHP takes `#` for any number.
fn is_separator(c: char) -> bool {
    matches!(c, '.' | '-' | '_' | '+' | '#')
}

/// Takes the next number, or open part, off a list of them.
fn next_part<'a>(list: &mut &'a str) -> Option<&'a str> {
    let text = list.trim_start_matches(['.', '-', ':']);
    if text.is_empty() {
        return None;
    }
    let (part, rest) = text.split_at(text.find(['.', '-', ':']).unwrap_or(text.len()));
    *list = rest;
    Some(part)
}

fn normalize(text: &str) -> Option<Parsed<'_>> {
    let text = without_stability_flag(without_alias(trim(text)));
    if matches!(text, "master" | "trunk" | "default") {
        return Some(Parsed::Branch(text));
    }
    if let Some(name) = strip_word(text, "dev-") {
        return Some(Parsed::Branch(name));
    }
    let text = without_metadata(text);
    classical(text).or_else(|| date(text)).or_else(|| branch(text)).map(Parsed::Number)
}

/// What PHP's `trim` takes away.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\0', '\u{b}'])
}

/// What `\s` is in PHP's expressions.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

/// Takes off a word in any case.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(rest)
}

fn strip_word_at_end<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(word.len())?)?;
    tail.eq_ignore_ascii_case(word).then_some(rest)
}

/// Takes off the alias of `VERSION as ALIAS`.
fn without_alias(text: &str) -> &str {
    let is_end = |c: char| c == ',' || is_blank(c);
    let (version, rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
    let alias = rest.trim_start_matches(' ');
    let Some(alias) = alias.strip_prefix("as ") else { return text };
    let alias = without_newline(alias.trim_start_matches(' '));
    let is_alias = rest.starts_with(' ') && !alias.is_empty() && !alias.contains(is_end);
    if is_alias && !version.is_empty() { version } else { text }
}

/// Takes off a flag such as `@beta`.
fn without_stability_flag(text: &str) -> &str {
    let flagged = without_newline(text);
    for flag in ["@stable", "@RC", "@beta", "@alpha", "@dev"] {
        if let Some(version) = strip_word_at_end(flagged, flag) {
            return version;
        }
    }
    text
}

/// Takes off metadata behind a `+`.
fn without_metadata(text: &str) -> &str {
    let is_end = |c: char| c == ',' || is_blank(c);
    match text.split_once('+') {
        Some((version, metadata))
            if !version.is_empty()
                && !version.contains(is_end)
                && !without_newline(metadata).is_empty()
                && !without_newline(metadata).contains(is_blank) =>
        {
            version
        }
        _ => text,
    }
}

/// An expression's `$` also matches before a last line break.
fn without_newline(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// `1.2.3.4`, one to four numbers, the first of at most five digits; then modifiers.
fn classical(text: &str) -> Option<Normal<'_>> {
    let text = without_v(text);
    let (first, mut rest) = number::split_str(text);
    if first.is_empty() || first.len() > 5 {
        return None;
    }
    for _ in 0..3 {
        let Some(after) = rest.strip_prefix('.') else { break };
        let (digits, after) = number::split_str(after);
        if digits.is_empty() {
            break;
        }
        rest = after;
    }
    with_modifiers(text, rest, Fill::Zeros)
}

/// `2010.01.02`, `20100102-203040`: four digits, up to six times two, up to twice three or fewer.
fn date(text: &str) -> Option<Normal<'_>> {
    let text = without_v(text);
    let (year, rest) = text.split_at_checked(4)?;
    if !is_digits(year) {
        return None;
    }
    date_pairs(text, rest, 0)
}

/// Tries the longest reading first, as the expression does.
fn date_pairs<'a>(text: &'a str, rest: &'a str, pairs: usize) -> Option<Normal<'a>> {
    if pairs < 6
        && let Some(after) = digits_after_separator(rest, 2)
        && let Some(found) = date_pairs(text, after, pairs + 1)
    {
        return Some(found);
    }
    if pairs == 0 { None } else { date_rest(text, rest, 0) }
}

fn date_rest<'a>(text: &'a str, rest: &'a str, groups: usize) -> Option<Normal<'a>> {
    if groups < 2 {
        for count in [3, 2, 1] {
            if let Some(after) = digits_after_separator(rest, count)
                && let Some(found) = date_rest(text, after, groups + 1)
            {
                return Some(found);
            }
        }
    }
    with_modifiers(text, rest, Fill::None)
}

fn digits_after_separator(text: &str, count: usize) -> Option<&str> {
    let text = text.strip_prefix(['.', ':', '-']).unwrap_or(text);
    let (digits, rest) = text.split_at_checked(count)?;
    is_digits(digits).then_some(rest)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn without_v(text: &str) -> &str {
    text.strip_prefix(['v', 'V']).unwrap_or(text)
}

/// Reads a stability with its numbers, then `dev`, up to the end of the text; what stands before
/// `rest` in `text` are the numbers of the version.
fn with_modifiers<'a>(text: &'a str, rest: &'a str, fill: Fill) -> Option<Normal<'a>> {
    let (numbers, _) = text.split_at_checked(text.len() - rest.len())?;
    let rest = without_newline(rest);
    let rest = rest.strip_prefix(['.', '_', '-']).map_or([rest, rest], |after| [after, rest]);
    // The separator belongs to what follows it, which may also be the `dev`.
    rest.into_iter().find_map(|rest| {
        let (stability, after) = stability(rest);
        let (stability_numbers, after) = match stability {
            Some(_) => split_numbers(after),
            None => ("", after),
        };
        let is_dev = !after.is_empty();
        let dev = after.strip_prefix(['.', '-']).unwrap_or(after);
        if is_dev && !dev.eq_ignore_ascii_case("dev") {
            return None;
        }
        Some(match stability {
            Some(None) => {
                let stability = Stability::None;
                Normal { numbers, fill, stability, stability_numbers: "", is_dev: false }
            }
            Some(Some(stability)) => Normal { numbers, fill, stability, stability_numbers, is_dev },
            None => {
                let stability = Stability::None;
                Normal { numbers, fill, stability, stability_numbers, is_dev }
            }
        })
    })
}

/// Reads a stability: `Some(None)` for `stable`, which ends a version whatever follows.
fn stability(text: &str) -> (Option<Option<Stability>>, &str) {
    if let Some(after) = text.strip_prefix("stable") {
        return (Some(None), after);
    }
    for (word, stability) in [
        ("stable", Stability::Odd),
        ("beta", Stability::Beta),
        ("b", Stability::Beta),
        ("rc", Stability::Candidate),
        ("alpha", Stability::Alpha),
        ("a", Stability::Alpha),
        ("patch", Stability::Patch),
        ("pl", Stability::Patch),
        ("p", Stability::Patch),
    ] {
        if let Some(after) = strip_word(text, word) {
            return (Some(Some(stability)), after);
        }
    }
    (None, text)
}

/// Splits off numbers, each of which may follow a separator.
fn split_numbers(text: &str) -> (&str, &str) {
    let mut rest = text;
    loop {
        let (digits, after) = number::split_str(rest.strip_prefix(['.', '-']).unwrap_or(rest));
        if digits.is_empty() {
            return text.split_at(text.len() - rest.len());
        }
        rest = after;
    }
}

/// A branch of numbers: `2.x-dev`, `1.2.*-dev`.
fn branch(text: &str) -> Option<Normal<'_>> {
    let text = without_newline(text);
    let line = text.rsplit_once('\n').map_or(text, |(_, line)| line);
    let name = strip_word_at_end(line, "dev")?;
    let name = without_v(trim(name.strip_suffix(['.', '-']).unwrap_or(name)));
    let (first, mut rest) = number::split_str(name);
    if first.is_empty() {
        return None;
    }
    for _ in 0..3 {
        let Some(after) = rest.strip_prefix('.') else { break };
        let (digits, after_digits) = number::split_str(after);
        rest = match after.strip_prefix(['x', 'X', '*']) {
            Some(after) => after,
            None if digits.is_empty() => return None,
            None => after_digits,
        };
    }
    rest.is_empty().then_some(Normal {
        numbers: name,
        fill: Fill::Open,
        stability: Stability::None,
        stability_numbers: "",
        is_dev: true,
    })
}
