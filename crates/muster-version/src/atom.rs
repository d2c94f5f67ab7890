//! The piece that most schemes break a version into.
//!
//! A scheme describes a version as a sequence of atoms that ends in an atom of its own; the order
//! of versions is then the lexicographic order of the sequences, and the byte key is the atoms
//! written one after the other. Both come from the same sequence, so they cannot disagree.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::number;

/// One piece of a version: its rank among what may stand in its place, then its value.
///
/// Within one scheme and place, a rank always comes with the same kind of value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Atom<'a> {
    rank: u8,
    value: Value<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    /// The rank says all.
    Nothing,
    /// Significant digits, by value.
    Number(&'a [u8]),
    /// Text by its bytes.
    Word(&'a [u8]),
    /// Text by its characters in lower case.
    Folded(&'a str),
    /// A whole number as the tool rounds it.
    Rounded(u64),
}

impl<'a> Atom<'a> {
    pub(crate) fn mark(rank: u8) -> Self {
        Self { rank, value: Value::Nothing }
    }

    pub(crate) fn number(rank: u8, digits: &'a [u8]) -> Self {
        Self { rank, value: Value::Number(number::significant(digits)) }
    }

    pub(crate) fn word(rank: u8, word: &'a [u8]) -> Self {
        Self { rank, value: Value::Word(word) }
    }

    pub(crate) fn folded(rank: u8, word: &'a str) -> Self {
        Self { rank, value: Value::Folded(word) }
    }

    pub(crate) fn rounded(rank: u8, bits: u64) -> Self {
        Self { rank, value: Value::Rounded(bits) }
    }

    fn order(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank).then_with(|| match (self.value, other.value) {
            (Value::Number(a), Value::Number(b)) => number::compare(a, b),
            (Value::Word(a), Value::Word(b)) => a.cmp(b),
            (Value::Folded(a), Value::Folded(b)) => fold(a).cmp(fold(b)),
            (Value::Rounded(a), Value::Rounded(b)) => a.cmp(&b),
            // One rank has one kind of value: what is left are two marks.
            _ => Ordering::Equal,
        })
    }

    fn write_key(&self, out: &mut Vec<u8>) {
        out.push(self.rank);
        match self.value {
            Value::Nothing => {}
            Value::Number(digits) => number::write_key(digits, out),
            Value::Word(word) => write_bytes(word.iter().copied(), out),
            Value::Folded(word) => {
                for letter in fold(word) {
                    write_escaped(letter.encode_utf8(&mut [0; 4]).bytes(), out);
                }
                out.push(0);
            }
            Value::Rounded(bits) => out.extend_from_slice(&bits.to_be_bytes()),
        }
    }
}

fn fold(word: &str) -> impl Iterator<Item = char> {
    word.chars().flat_map(char::to_lowercase)
}

/// Appends text that ends in a zero; a zero in the text is followed by a mark.
fn write_bytes(text: impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    write_escaped(text, out);
    out.push(0);
}

fn write_escaped(text: impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    for byte in text {
        // The end of a text is one zero and what follows it, a rank below 255.
        if byte == 0 { out.extend([0, 255]) } else { out.push(byte) }
    }
}

/// Orders two versions by their atoms.
pub(crate) fn compare<'a>(
    mut left: impl Iterator<Item = Atom<'a>>,
    mut right: impl Iterator<Item = Atom<'a>>,
) -> Ordering {
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => match left.order(&right) {
                Ordering::Equal => {}
                decided @ (Ordering::Less | Ordering::Greater) => return decided,
            },
        }
    }
}

/// Appends the key of a version.
pub(crate) fn write_key<'a>(atoms: impl Iterator<Item = Atom<'a>>, out: &mut Vec<u8>) {
    for atom in atoms {
        atom.write_key(out);
    }
}

/// Writes the two functions of [`crate::Version`] that atoms decide.
macro_rules! by_atoms {
    () => {
        fn order(&self, other: &Self) -> core::cmp::Ordering {
            crate::atom::compare(self.atoms(), other.atoms())
        }

        fn write_key(&self, out: &mut alloc::vec::Vec<u8>) {
            crate::atom::write_key(self.atoms(), out);
        }
    };
}
pub(crate) use by_atoms;
