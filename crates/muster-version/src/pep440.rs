//! Versions of Python packages: PEP 440 (the version specifiers specification of the Python
//! packaging guide), exactly as the `Version` of PyPA's `packaging` reads and orders it.
//!
//! What PEP 440 rejects, and PyPI still holds from before, is no version; the lenient comparison
//! reads as much of it as is one, and takes the rest as text behind it. It deliberately does not
//! have Python's limit of 4,300 digits a number.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::Version;
use crate::atom::{self, Atom};
use crate::number;

#[derive(Clone, Copy)]
pub(crate) struct Parsed<'a> {
    epoch: &'a str,
    /// Without zeros at the end.
    release: &'a str,
    pre: Option<(Pre, &'a str)>,
    post: Option<&'a str>,
    dev: Option<&'a str>,
    local: Option<&'a str>,
    /// What stands behind the version, where it is not one.
    tail: &'a str,
    /// Not even a number at the front.
    is_text: bool,
}

/// The kind of a pre-release, by its rank.
#[derive(Clone, Copy)]
enum Pre {
    Alpha = 1,
    Beta = 2,
    Candidate = 3,
}

const DEV_ONLY: u8 = 0;
const NO_PRE: u8 = 4;

const PRE: [(&str, Pre); 8] = [
    ("alpha", Pre::Alpha),
    ("a", Pre::Alpha),
    ("beta", Pre::Beta),
    ("b", Pre::Beta),
    ("preview", Pre::Candidate),
    ("pre", Pre::Candidate),
    ("c", Pre::Candidate),
    ("rc", Pre::Candidate),
];

impl<'a> Version<'a> for Parsed<'a> {
    fn strict(text: &'a str) -> Option<Self> {
        let text = text.trim_matches(is_blank);
        // A text of digits and dots alone takes a short way in `packaging`, without blanks; but
        // such a text fits the expression as well, with them.
        let parsed = read(text, false);
        (!parsed.is_text && parsed.tail.is_empty()).then_some(parsed)
    }

    fn lenient(text: &'a str) -> Self {
        Self::strict(text).unwrap_or_else(|| read(text.trim_matches(is_blank), true))
    }

    fn order(&self, other: &Self) -> Ordering {
        let digits = |number: &'a str| number::significant(number.as_bytes());
        let by_kind = other.is_text.cmp(&self.is_text);
        let by_epoch = || number::compare(digits(self.epoch), digits(other.epoch));
        let by_suffix = || atom::compare(self.suffix(), other.suffix());
        by_kind
            .then_with(by_epoch)
            .then_with(|| compare_releases(self.release.as_bytes(), other.release.as_bytes()))
            .then_with(by_suffix)
    }

    fn write_key(&self, out: &mut Vec<u8>) {
        out.push(u8::from(!self.is_text));
        number::write_key(number::significant(self.epoch.as_bytes()), out);
        let mut rest = self.release.as_bytes();
        while !rest.is_empty() {
            let digits;
            (digits, rest) = next_number(rest);
            out.push(1);
            number::write_key(digits, out);
        }
        out.push(0);
        atom::write_key(self.suffix(), out);
    }
}

/// Splits the significant digits of the next number of a release off.
fn next_number(release: &[u8]) -> (&[u8], &[u8]) {
    let (digits, rest) = number::split(release);
    (number::significant(digits), rest.get(1..).unwrap_or_default())
}

/// Compares releases without zeros at the end: the one that goes on is greater.
fn compare_releases(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() && !b.is_empty() {
        let (left, right);
        (left, a) = next_number(a);
        (right, b) = next_number(b);
        let decided = number::compare(left, right);
        if decided.is_ne() {
            return decided;
        }
    }
    b.is_empty().cmp(&a.is_empty())
}

impl<'a> Parsed<'a> {
    /// The atoms of what follows the release.
    fn suffix(&self) -> impl Iterator<Item = Atom<'a>> {
        let pre = match self.pre {
            Some((kind, number)) => Atom::number(kind as u8, number.as_bytes()),
            None if self.post.is_none() && self.dev.is_some() => Atom::mark(DEV_ONLY),
            None => Atom::mark(NO_PRE),
        };
        let post = match self.post {
            None => Atom::mark(0),
            Some(number) => Atom::number(1, number.as_bytes()),
        };
        let dev = match self.dev {
            Some(number) => Atom::number(0, number.as_bytes()),
            None => Atom::mark(1),
        };
        let local = self.local.into_iter().flat_map(|local| local.split(['.', '-', '_']));
        let local = local.map(|part| {
            if part.bytes().all(|byte| byte.is_ascii_digit()) {
                Atom::number(3, part.as_bytes())
            } else {
                Atom::folded(2, part)
            }
        });
        // The end of a local version stands where another of its parts would; none is less.
        let end = Atom::mark(u8::from(self.local.is_some()));
        [pre, post, dev].into_iter().chain(local).chain([end, Atom::word(0, self.tail.as_bytes())])
    }
}

/// Reads as much of a version as there is. `whole_words` keeps a word from being cut: `1.0-beauty`
/// is then not a beta.
fn read(text: &str, whole_words: bool) -> Parsed<'_> {
    let mut rest = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let mut epoch = "";
    if let (digits, after) = number::split_str(rest)
        && !digits.is_empty()
        && let Some(after) = after.strip_prefix('!')
        && after.starts_with(|c: char| c.is_ascii_digit())
    {
        (epoch, rest) = (digits, after);
    }
    let release = split_release(&mut rest);
    let is_text = release.is_empty();
    let mut parsed = Parsed {
        epoch,
        release: without_zeros(release),
        pre: None,
        post: None,
        dev: None,
        local: None,
        tail: if is_text { text } else { "" },
        is_text,
    };
    if is_text || rest.is_empty() {
        return parsed;
    }
    let words = Words { whole: whole_words };
    for (word, kind) in PRE {
        if let Some((number, after)) = words.segment(rest, word) {
            (parsed.pre, rest) = (Some((kind, number)), after);
            break;
        }
    }
    if let Some(after) = rest.strip_prefix('-')
        && let (number, after) = number::split_str(after)
        && !number.is_empty()
    {
        (parsed.post, rest) = (Some(number), after);
    } else {
        for word in ["post", "rev", "r"] {
            if let Some((number, after)) = words.segment(rest, word) {
                (parsed.post, rest) = (Some(number), after);
                break;
            }
        }
    }
    if let Some((number, after)) = words.segment(rest, "dev") {
        (parsed.dev, rest) = (Some(number), after);
    }
    if let Some(after) = rest.strip_prefix('+') {
        let (local, after) = split_local(after);
        if !local.is_empty() {
            (parsed.local, rest) = (Some(local), after);
        }
    }
    parsed.tail = rest;
    parsed
}

struct Words {
    whole: bool,
}

impl Words {
    /// Reads a separator, the word in any case, a separator and a number; all but the word may be
    /// missing. Returns the number and what follows.
    fn segment<'a>(&self, text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
        let text = text.strip_prefix(['.', '-', '_']).unwrap_or(text);
        let (head, after) = text.split_at_checked(word.len())?;
        if !head.eq_ignore_ascii_case(word)
            || (self.whole && after.starts_with(|c: char| c.is_alphabetic()))
        {
            return None;
        }
        let after = after.strip_prefix(['.', '-', '_']).unwrap_or(after);
        Some(number::split_str(after))
    }
}

/// Splits off numbers with dots between them.
fn split_release<'a>(rest: &mut &'a str) -> &'a str {
    let text = *rest;
    let mut length = 0;
    let (digits, mut after) = number::split_str(text);
    if !digits.is_empty() {
        length = digits.len();
        while let Some(next) = after.strip_prefix('.')
            && let (digits, next) = number::split_str(next)
            && !digits.is_empty()
        {
            length += 1 + digits.len();
            after = next;
        }
    }
    let release;
    (release, *rest) = text.split_at(length);
    release
}

/// Takes off the numbers at the end that are zero.
fn without_zeros(mut release: &str) -> &str {
    loop {
        let (head, last) = release.rsplit_once('.').unwrap_or(("", release));
        if last.is_empty() || last.bytes().any(|digit| digit != b'0') {
            return release;
        }
        release = head;
    }
}

/// Splits off words and numbers with one separator between them.
fn split_local(text: &str) -> (&str, &str) {
    let mut length = 0;
    let mut may_end = 0;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            length += 1;
            may_end = length;
        } else if matches!(byte, b'.' | b'-' | b'_') && may_end == length && length > 0 {
            length += 1;
        } else {
            break;
        }
    }
    text.split_at(may_end)
}

/// What `\s` is in Python.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}
