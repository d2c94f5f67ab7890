//! Every text of a compilation, once. A text is a number from then on.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

/// A text, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Word(pub(super) u32);

impl Word {
    /// No text.
    pub(super) const NONE: Self = Self(u32::MAX);
}

#[derive(Default)]
pub(super) struct Strings {
    text: String,
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Strings {
    pub(super) fn add(&mut self, text: &str) -> Word {
        let hash = self.hasher.hash_one(text);
        if let Some(&number) = self.table.find(hash, |&n| get(&self.text, &self.ends, n) == text) {
            return Word(number);
        }
        let number = u32::try_from(self.ends.len())
            .expect("feeds are bounded far below four thousand million texts");
        self.text.push_str(text);
        self.ends.push(self.text.len());
        let Self { text, ends, table, hasher } = self;
        table.insert_unique(hash, number, |&n| hasher.hash_one(get(text, ends, n)));
        Word(number)
    }

    pub(super) fn option(&mut self, text: Option<&str>) -> Word {
        text.map_or(Word::NONE, |t| self.add(t))
    }

    pub(super) fn get(&self, word: Word) -> &str {
        if word == Word::NONE { "" } else { get(&self.text, &self.ends, word.0) }
    }

    /// Forgets all texts, and keeps the room.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.table.clear();
    }

    /// Returns all texts, one after the other.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns where each text ends.
    pub(super) fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// Returns for each of some texts its place in their order, by its number; the others have none.
    pub(super) fn ranks(&self, some: impl Iterator<Item = Word>) -> Vec<u32> {
        let mut ranks = vec![u32::MAX; self.ends.len()];
        let mut order = Vec::new();
        for word in some {
            if let Some(slot) = ranks.get_mut(word.0 as usize).filter(|r| **r == u32::MAX) {
                *slot = 0;
                order.push(word);
            }
        }
        order.sort_unstable_by(|a, b| self.get(*a).cmp(self.get(*b)));
        for (rank, word) in (0_u32..).zip(order) {
            if let Some(slot) = ranks.get_mut(word.0 as usize) {
                *slot = rank;
            }
        }
        ranks
    }
}

fn get<'a>(text: &'a str, ends: &[usize], number: u32) -> &'a str {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends.get(number - 1).copied().unwrap_or(0) };
    ends.get(number).and_then(|&end| text.get(start..end)).unwrap_or_default()
}
