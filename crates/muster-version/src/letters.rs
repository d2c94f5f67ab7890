//! Versions of PHP applications that count their patch levels by letters: `1.9.2c` comes after `1.9.2b`, and both after
//! `1.9.2`. In all else they are ordered as in [`crate::composer`], which takes `1.9.2b` for a beta and refuses `1.9.2c`.
//!
//! No tool defines this order: SPIP (all of 1.9) and Cacti (0.8.8) number their releases so.

use crate::Version;
use crate::atom::{Atom, by_atoms};
use crate::composer;

/// The place of each letter in the alphabet.
const PLACES: [&str; 26] = [
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17",
    "18", "19", "20", "21", "22", "23", "24", "25", "26",
];

#[derive(Clone, Copy)]
pub(crate) struct Parsed<'a>(composer::Parsed<'a>);

impl<'a> Version<'a> for Parsed<'a> {
    fn strict(text: &'a str) -> Option<Self> {
        match patched(text) {
            Some(patched) => Some(Self(patched)),
            None => composer::Parsed::strict(text).map(Self),
        }
    }

    fn lenient(text: &'a str) -> Self {
        Self(patched(text).unwrap_or_else(|| composer::Parsed::lenient(text)))
    }

    fn is_comparable(&self, other: &Self) -> bool {
        self.0.is_comparable(&other.0)
    }

    by_atoms!();
}

impl<'a> Parsed<'a> {
    fn atoms(&self) -> impl Iterator<Item = Atom<'a>> {
        self.0.atoms()
    }
}

/// Reads a version whose last number has one letter right behind it.
fn patched(text: &str) -> Option<composer::Parsed<'_>> {
    let text = text.trim();
    let letter = text.bytes().last().filter(u8::is_ascii_lowercase)?;
    let release = text.strip_suffix(char::from(letter))?;
    if !release.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let place = PLACES.get(usize::from(letter.checked_sub(b'a')?))?;
    composer::Parsed::strict(release).filter(|_| !release.ends_with('.'))?.patched(place)
}

#[cfg(test)]
mod tests {
    use crate::Scheme;

    #[test]
    fn a_letter_is_a_later_patch_level() {
        let order: Scheme = "composer-letters".parse().expect("a scheme");
        let ascending = [
            "1.8.3",
            "1.9.0-beta",
            "1.9.0",
            "1.9.2",
            "1.9.2a",
            "1.9.2b",
            "1.9.2c",
            "1.9.2z",
            "1.9.3",
            "2.0.0-alpha.1",
            "2.0.0-beta2",
            "2.0.0-rc1",
            "2.0.0",
            "2.0.26",
            "3.0.0",
        ];
        for (at, a) in ascending.iter().enumerate() {
            assert!(order.is_valid(a), "{a}");
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(order.compare(a, b), Some(at.cmp(&other)), "{a} {b}");
            }
        }
        for none in ["", "c", "1.9.2cc", "1.9.c", "1.9.2C", "x1c"] {
            assert!(!order.is_valid(none), "{none}");
        }
    }
}
