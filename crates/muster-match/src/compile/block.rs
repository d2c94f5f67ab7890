//! A block of the cold part: records as numbers, beside the tables that give the numbers their text.
//!
//! ```text
//! strings, states, text bytes, state bytes: 4 × u32
//! lengths of the strings │ lengths of the states: varints │ text, UTF-8 │ states │ records
//! ```
//!
//! A string stands once in its block. A *state* is a statement without its package (release, channel, status, fixed
//! version, the vendor's word …); trackers say the same of thousands of packages, so that stands once as well, and
//! a statement is one number, two where the package is not that of the statement before. Varints are little-endian
//! base 128. What is read is checked against what is there, and nothing is reserved on the word of a count alone.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use muster_core::advisory::{By, Channel, Form, Record, Severity, Statement, Text};
use muster_core::time::Instant;

use super::Said;
use super::strings::{Strings, Word};
use crate::format::STATUSES;
use crate::format::u32_at;

/// What a record may consist of, its statements and everything that they list: a hundred times what any vendor makes
/// today. A state is spelt out for every statement that refers to it, so that bytes alone are no bound.
const MAX_PARTS: usize = 1 << 20;
/// Bytes before the lengths.
const HEAD: usize = 16;
const FORMS: [Form; 3] = [Form::Vulnerability, Form::Notice, Form::LivePatch];

/// Which fields of a state or a record follow its flags.
mod has {
    pub(super) const INTRODUCED: u64 = 1 << 9;
    pub(super) const FIXED: u64 = 1 << 10;
    pub(super) const WORD: u64 = 1 << 11;
    pub(super) const LAST_AFFECTED: u64 = 1 << 12;
    pub(super) const MODULE: u64 = 1 << 13;
    pub(super) const ARCHITECTURES: u64 = 1 << 14;
    pub(super) const BINARIES: u64 = 1 << 15;
    pub(super) const PUBLISHED: u64 = 1 << 16;

    pub(super) const TITLE: u64 = 1 << 2;
    pub(super) const DETAILS: u64 = 1 << 3;
    pub(super) const ISSUED: u64 = 1 << 4;
    pub(super) const MODIFIED: u64 = 1 << 5;
    pub(super) const WITHDRAWN: u64 = 1 << 6;
}

/// A block while it grows.
#[derive(Default)]
pub(super) struct Encoder {
    strings: Strings,
    states: States,
    records: Vec<u8>,
    scratch: Vec<u8>,
    known: Known,
}

/// What the texts of the whole compilation are numbered in this block, so that most are not hashed again.
#[derive(Default)]
struct Known {
    numbers: Vec<u32>,
    used: Vec<Word>,
}

impl Known {
    fn get(&self, word: Word) -> Option<u32> {
        self.numbers.get(word.0 as usize).copied().filter(|n| *n != u32::MAX)
    }

    fn set(&mut self, word: Word, number: u32) {
        let at = word.0 as usize;
        if self.numbers.len() <= at {
            self.numbers.resize((at + 1).next_power_of_two(), u32::MAX);
        }
        if let Some(slot) = self.numbers.get_mut(at) {
            *slot = number;
            self.used.push(word);
        }
    }

    fn clear(&mut self) {
        for word in self.used.drain(..) {
            if let Some(slot) = self.numbers.get_mut(word.0 as usize) {
                *slot = u32::MAX;
            }
        }
    }
}

/// Every state of a block, once.
#[derive(Default)]
struct States {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl States {
    fn add(&mut self, state: &[u8]) -> u32 {
        let Self { bytes, ends, table, hasher } = self;
        let hash = hasher.hash_one(state);
        if let Some(&number) = table.find(hash, |&n| piece(bytes, ends, n) == state) {
            return number;
        }
        let number = u32::try_from(ends.len()).expect("a block is bounded far below 4 GiB");
        bytes.extend(state);
        ends.push(bytes.len());
        table.insert_unique(hash, number, |&n| hasher.hash_one(piece(bytes, ends, n)));
        number
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.table.clear();
    }
}

fn piece<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|n| ends.get(n)).copied().unwrap_or(0);
    ends.get(number).and_then(|&end| bytes.get(start..end)).unwrap_or_default()
}

impl Encoder {
    /// Returns how long the block is by now, about.
    pub(super) fn len(&self) -> usize {
        HEAD + self.records.len() + self.states.bytes.len() + self.strings.text().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Adds a record, and returns where in the block's records it begins.
    pub(super) fn add(
        &mut self,
        feed: u16,
        record: &Record<'_>,
        said: &[Said],
    ) -> std::io::Result<u32> {
        if parts(record) > MAX_PARTS {
            return Err(std::io::Error::other(format!(
                "{} has more than {MAX_PARTS} statements, references and the like",
                record.id
            )));
        }
        let at = u32::try_from(self.records.len()).map_err(std::io::Error::other)?;
        let mut out = std::mem::take(&mut self.records);
        put(&mut out, feed.into());
        let times = [record.published, record.modified, record.withdrawn];
        let mut flags = index_of(&FORMS, &record.form);
        for (flag, given) in [
            (has::TITLE, !record.title.is_empty()),
            (has::DETAILS, !record.details.is_empty()),
            (has::ISSUED, record.published.is_some()),
            (has::MODIFIED, record.modified.is_some()),
            (has::WITHDRAWN, record.withdrawn.is_some()),
        ] {
            flags |= if given { flag } else { 0 };
        }
        put(&mut out, flags);
        self.text(&mut out, &record.id);
        for text in [&record.title, &record.details] {
            if !text.is_empty() {
                self.text(&mut out, text);
            }
        }
        times.iter().flatten().for_each(|t| put_time(&mut out, *t));
        for list in [&record.cves, &record.aliases, &record.related, &record.references] {
            put(&mut out, list.len() as u64);
            list.iter().for_each(|t| self.text(&mut out, t));
        }
        put(&mut out, record.severities.len() as u64);
        for severity in &record.severities {
            self.text(&mut out, &severity.system);
            self.text(&mut out, &severity.score);
        }
        put(&mut out, record.statements.len() as u64);
        let mut package = Word::NONE;
        for (statement, said) in record.statements.iter().zip(said) {
            let state = u64::from(self.state(statement, said)) << 1;
            if package == said.package {
                put(&mut out, state);
            } else {
                put(&mut out, state | 1);
                self.word(&mut out, &statement.package, said.package);
                package = said.package;
            }
        }
        self.records = out;
        Ok(at)
    }

    fn text(&mut self, out: &mut Vec<u8>, text: &str) {
        put(out, self.strings.add(text).0.into());
    }

    fn word(&mut self, out: &mut Vec<u8>, text: &str, word: Word) {
        let number = self.known.get(word).unwrap_or_else(|| {
            let number = self.strings.add(text).0;
            self.known.set(word, number);
            number
        });
        put(out, number.into());
    }

    fn state(&mut self, statement: &Statement<'_>, said: &Said) -> u32 {
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        let mut flags = index_of(&Channel::ALL, &statement.channel)
            | u64::from(statement.by == By::Binary) << 4
            | index_of(&STATUSES, &statement.status) << 5;
        for (flag, given) in [
            (has::INTRODUCED, statement.introduced.is_some()),
            (has::FIXED, statement.fixed.is_some()),
            (has::WORD, !statement.word.is_empty()),
            (has::LAST_AFFECTED, statement.last_affected.is_some()),
            (has::MODULE, statement.module.is_some()),
            (has::ARCHITECTURES, !statement.architectures.is_empty()),
            (has::BINARIES, !statement.binaries.is_empty()),
            (has::PUBLISHED, statement.published.is_some()),
        ] {
            flags |= if given { flag } else { 0 };
        }
        put(&mut out, flags);
        self.word(&mut out, &statement.release, said.release);
        for (text, word) in [
            (&statement.introduced, said.introduced),
            (&statement.fixed, said.fixed),
            (&statement.last_affected, said.last_affected),
            (&statement.module, said.module),
        ] {
            if let Some(text) = text {
                self.word(&mut out, text, word);
            }
        }
        if !statement.word.is_empty() {
            self.word(&mut out, &statement.word, said.word);
        }
        if !statement.architectures.is_empty() {
            put(&mut out, statement.architectures.len() as u64);
            statement.architectures.iter().for_each(|t| self.text(&mut out, t));
        }
        if !statement.binaries.is_empty() {
            put(&mut out, statement.binaries.len() as u64);
            for (name, version) in &statement.binaries {
                self.text(&mut out, name);
                self.text(&mut out, version);
            }
        }
        if let Some(at) = statement.published {
            put_time(&mut out, at);
        }
        let number = self.states.add(&out);
        self.scratch = out;
        number
    }

    /// Writes the block, and begins the next one.
    pub(super) fn take(&mut self) -> std::io::Result<Vec<u8>> {
        let Self { strings, states, records, known, .. } = self;
        let mut block = Vec::new();
        for count in
            [strings.ends().len(), states.ends.len(), strings.text().len(), states.bytes.len()]
        {
            block.extend(u32::try_from(count).map_err(std::io::Error::other)?.to_le_bytes());
        }
        for ends in [strings.ends(), &states.ends] {
            let mut start = 0;
            for end in ends {
                put(&mut block, (end - start) as u64);
                start = *end;
            }
        }
        block.extend(strings.text().as_bytes());
        block.extend(&states.bytes);
        block.extend(&*records);
        strings.clear();
        states.clear();
        records.clear();
        known.clear();
        Ok(block)
    }
}

/// Counts what a record consists of.
fn parts(record: &Record<'_>) -> usize {
    let lists = [&record.cves, &record.aliases, &record.related, &record.references];
    let stated = record.statements.iter().map(|s| 1 + s.architectures.len() + s.binaries.len());
    lists.map(Vec::len).iter().sum::<usize>() + record.severities.len() + stated.sum::<usize>()
}

fn index_of<T: PartialEq>(all: &[T], one: &T) -> u64 {
    all.iter().position(|t| t == one).map_or(0, |at| at as u64)
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while let [low, ..] = number.to_le_bytes()
        && number >= 0x80
    {
        out.push(low | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn put_time(out: &mut Vec<u8>, at: Instant) {
    let nanos = at.subsec_nanosecond();
    put(out, zigzag(at.as_second()) << 1 | u64::from(nanos != 0));
    if nanos != 0 {
        put(out, zigzag(nanos.into()));
    }
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// A block, unpacked.
#[derive(Debug)]
pub(crate) struct Block {
    text: String,
    /// Where each string ends in `text`.
    strings: Vec<u32>,
    /// Where each state ends in `bytes`.
    states: Vec<u32>,
    /// The states, then the records.
    bytes: Vec<u8>,
    records: usize,
}

impl Block {
    /// Takes a block apart, or returns nothing if it is none.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEAD)?;
        let [strings, states, text, state] = [0, 4, 8, 12].map(|at| u32_at(head, at));
        let mut rest = Reader { rest: bytes.get(HEAD..)? };
        let strings = rest.ends(strings, text)?;
        let states = rest.ends(states, state)?;
        let (text, rest) = rest.rest.split_at_checked(usize::try_from(text).ok()?)?;
        let records = usize::try_from(state).ok().filter(|n| *n <= rest.len())?;
        let text = str::from_utf8(text).ok()?.to_owned();
        Some(Self { text, strings, states, bytes: rest.to_vec(), records })
    }

    /// Returns the record at `offset`, the feed it is of, and where the next one begins; nothing if there is none.
    pub(crate) fn record(&self, offset: usize) -> Option<(u16, Record<'_>, usize)> {
        let mut reader = Reader { rest: self.records().get(offset..)? };
        let mut left = MAX_PARTS;
        let feed = u16::try_from(reader.number()?).ok()?;
        let flags = reader.number()?;
        let given = |flag| flags & flag != 0;
        let mut record = Record {
            form: *FORMS.get(usize::try_from(flags & 3).ok()?)?,
            id: self.text(&mut reader)?,
            ..Record::default()
        };
        if given(has::TITLE) {
            record.title = self.text(&mut reader)?;
        }
        if given(has::DETAILS) {
            record.details = self.text(&mut reader)?;
        }
        for (flag, time) in [
            (has::ISSUED, &mut record.published),
            (has::MODIFIED, &mut record.modified),
            (has::WITHDRAWN, &mut record.withdrawn),
        ] {
            if flags & flag != 0 {
                *time = Some(reader.time()?);
            }
        }
        for list in
            [&mut record.cves, &mut record.aliases, &mut record.related, &mut record.references]
        {
            *list = self.texts(&mut reader, &mut left)?;
        }
        for _ in 0..reader.count(&mut left)? {
            let (system, score) = (self.text(&mut reader)?, self.text(&mut reader)?);
            record.severities.push(Severity { system, score });
        }
        let count = reader.count(&mut left)?;
        let mut package = Text::default();
        for _ in 0..count {
            let number = reader.number()?;
            if number & 1 == 1 {
                package = self.text(&mut reader)?;
            }
            let state = self.state(usize::try_from(number >> 1).ok()?, &mut left)?;
            record.statements.push(Statement { package: package.clone(), ..state });
        }
        Some((feed, record, self.records().len() - reader.rest.len()))
    }

    /// Tells whether all records lie before `offset`.
    pub(crate) fn ends_at(&self, offset: usize) -> bool {
        offset >= self.records().len()
    }

    fn records(&self) -> &[u8] {
        self.bytes.get(self.records..).unwrap_or_default()
    }

    fn state(&self, number: usize, left: &mut usize) -> Option<Statement<'_>> {
        let start = number.checked_sub(1).map_or(Some(&0), |n| self.states.get(n))?;
        let end = self.states.get(number)?;
        let range = usize::try_from(*start).ok()?..usize::try_from(*end).ok()?;
        let mut reader = Reader { rest: self.bytes.get(range)? };
        let flags = reader.number()?;
        let mut statement = Statement {
            channel: *Channel::ALL.get(usize::try_from(flags & 0xf).ok()?)?,
            by: if flags >> 4 & 1 == 1 { By::Binary } else { By::Source },
            status: *STATUSES.get(usize::try_from(flags >> 5 & 0xf).ok()?)?,
            release: self.text(&mut reader)?,
            ..Statement::default()
        };
        for (flag, field) in [
            (has::INTRODUCED, &mut statement.introduced),
            (has::FIXED, &mut statement.fixed),
            (has::LAST_AFFECTED, &mut statement.last_affected),
            (has::MODULE, &mut statement.module),
        ] {
            if flags & flag != 0 {
                *field = Some(self.text(&mut reader)?);
            }
        }
        if flags & has::WORD != 0 {
            statement.word = self.text(&mut reader)?;
        }
        if flags & has::ARCHITECTURES != 0 {
            statement.architectures = self.texts(&mut reader, left)?;
        }
        if flags & has::BINARIES != 0 {
            for _ in 0..reader.count(left)? {
                let binary = (self.text(&mut reader)?, self.text(&mut reader)?);
                statement.binaries.push(binary);
            }
        }
        if flags & has::PUBLISHED != 0 {
            statement.published = Some(reader.time()?);
        }
        Some(statement)
    }

    fn text(&self, reader: &mut Reader<'_>) -> Option<Text<'_>> {
        let number = usize::try_from(reader.number()?).ok()?;
        let start = number.checked_sub(1).map_or(Some(&0), |n| self.strings.get(n))?;
        let end = self.strings.get(number)?;
        let range = usize::try_from(*start).ok()?..usize::try_from(*end).ok()?;
        self.text.get(range).map(Text::Borrowed)
    }

    fn texts(&self, reader: &mut Reader<'_>, left: &mut usize) -> Option<Vec<Text<'_>>> {
        let count = reader.count(left)?;
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(self.text(reader)?);
        }
        Some(texts)
    }
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl Reader<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            let low = u64::from(byte & 0x7f);
            if low << shift >> shift != low {
                return None;
            }
            number |= low << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Reads how many things follow, each of which takes a byte at least, and takes them off what is `left`.
    fn count(&mut self, left: &mut usize) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok().filter(|n| *n <= self.rest.len())?;
        *left = left.checked_sub(count)?;
        Some(count)
    }

    fn time(&mut self) -> Option<Instant> {
        let number = self.number()?;
        let nanos = if number & 1 == 1 { unzigzag(self.number()?) } else { 0 };
        Instant::new(unzigzag(number >> 1), i32::try_from(nanos).ok()?).ok()
    }

    /// Reads the lengths of `count` pieces that are `whole` bytes together, as their ends.
    fn ends(&mut self, count: u32, whole: u32) -> Option<Vec<u32>> {
        let count = usize::try_from(count).ok().filter(|n| *n <= self.rest.len())?;
        let mut ends = Vec::with_capacity(count);
        let mut end = 0_u32;
        for _ in 0..count {
            end = end.checked_add(u32::try_from(self.number()?).ok()?)?;
            ends.push(end);
        }
        (end == whole).then_some(ends)
    }
}

#[cfg(test)]
mod tests {
    use muster_core::advisory::Status;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Text<'static>> {
        prop_oneof![
            Just(Text::Borrowed("")),
            Just(Text::Borrowed("jammy")),
            ".{0,12}".prop_map(Text::Owned),
        ]
    }

    fn time() -> impl Strategy<Value = Instant> {
        (-100_000_000_000_i64..100_000_000_000, prop_oneof![Just(0), -999_999_999..999_999_999_i32])
            .prop_filter_map("a second and its part have one sign", |(s, n)| {
                Instant::new(s, n).ok()
            })
    }

    prop_compose! {
        fn statement()(
            (release, package, word) in (text(), text(), text()),
            (channel, by, status) in (0..Channel::ALL.len(), any::<bool>(), 0..STATUSES.len()),
            (introduced, fixed, last_affected, module) in (option::of(text()), option::of(text()), option::of(text()), option::of(text())),
            architectures in vec(text(), 0..3),
            binaries in vec((text(), text()), 0..3),
            published in option::of(time()),
        ) -> Statement<'static> {
            Statement {
                release, package, word, introduced, fixed, last_affected, module, architectures, binaries, published,
                channel: Channel::ALL[channel],
                by: if by { By::Binary } else { By::Source },
                status: STATUSES[status],
            }
        }
    }

    prop_compose! {
        fn record()(
            (id, title, details) in (text(), text(), text()),
            form in 0..FORMS.len(),
            lists in [vec(text(), 0..3), vec(text(), 0..3), vec(text(), 0..3), vec(text(), 0..3)],
            severities in vec((text(), text()), 0..3),
            (published, modified, withdrawn) in (option::of(time()), option::of(time()), option::of(time())),
            statements in vec(statement(), 0..6),
        ) -> Record<'static> {
            let [cves, aliases, related, references] = lists;
            Record {
                id, title, details, cves, aliases, related, references, published, modified, withdrawn, statements,
                form: FORMS[form],
                severities: severities.into_iter().map(|(system, score)| Severity { system, score }).collect(),
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<Vec<(u16, Record<'static>)>> {
        let block = Block::new(bytes)?;
        let (mut records, mut offset) = (Vec::new(), 0);
        while !block.ends_at(offset) {
            let (feed, record, next) = block.record(offset)?;
            records.push((feed, record.into_owned()));
            offset = next;
        }
        Some(records)
    }

    fn encode(records: &[(u16, Record<'_>)]) -> Vec<u8> {
        let (mut strings, mut encoder) = (Strings::default(), Encoder::default());
        let mut blocks = Vec::new();
        // Twice: what a block leaves behind must not show in the next.
        for _ in 0..2 {
            for (feed, record) in records {
                let mut said = Vec::new();
                Said::all(&mut strings, &record.statements, &mut said);
                encoder.add(*feed, record, &said).unwrap();
            }
            blocks.push(encoder.take().unwrap());
        }
        assert_eq!(blocks.first(), blocks.last());
        blocks.pop().unwrap()
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_went_in(records in vec((any::<u16>(), record()), 0..5)) {
            prop_assert_eq!(read(&encode(&records)), Some(records));
        }

        #[test]
        fn a_bent_block_is_read_within_bounds(records in vec((any::<u16>(), record()), 1..4), bends in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>()) {
            let mut bytes = encode(&records);
            for (at, byte) in bends {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            read(&bytes);
            read(&bytes[..cut.index(bytes.len())]);
        }
    }

    #[test]
    fn every_status_has_a_number() {
        for status in [
            Status::Affected,
            Status::Fixed,
            Status::Needed,
            Status::NeedsTriage,
            Status::Pending,
            Status::Deferred,
            Status::Ignored,
            Status::EndOfLife,
            Status::NotAffected,
            Status::DoesNotExist,
            Status::Undetermined,
        ] {
            assert!(STATUSES.contains(&status), "{status:?}");
        }
    }
}
