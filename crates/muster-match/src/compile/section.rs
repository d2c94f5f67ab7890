//! One release's rows, ordered and written as the tables of [`crate::section`].

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use hashbrown::HashMap;
use muster_core::advisory::{By, Channel, Status};
use muster_core::catalog;
use muster_core::kernel;
use muster_core::time::Date;
use muster_version::Scheme;

use super::strings::{Strings, Word};
use super::{Compiler, Row};
use crate::format::{NONE16, PackedId, STATUSES, pack_day, pack_likelihood, width_below};
use crate::section::{BY_BINARY, EXPLOITED, GROUP, KIND, PIECE};

/// A release and its rows, in the order of packages and advisories.
pub(super) struct Release {
    pub(super) name: String,
    rows: Vec<Row>,
}

/// A written section.
pub(super) struct Written {
    pub(super) bytes: Vec<u8>,
    pub(super) advisories: u32,
}

/// Takes the rows out of the compiler, release by release, and in each release leaves the one record that counts.
pub(super) fn by_release(compiler: &mut Compiler) -> Vec<Release> {
    let rows = std::mem::take(&mut compiler.rows);
    let packages = compiler.strings.ranks(rows.values().flatten().map(|r| r.package));
    let advisories = compiler.strings.ranks(rows.values().flatten().map(|r| r.advisory));
    let mut releases: BTreeMap<String, Vec<Row>> = rows
        .into_iter()
        .map(|(name, rows)| {
            let rows = in_order(&packages, &advisories, &rows);
            (compiler.strings.get(name).to_owned(), rows)
        })
        .collect();
    for archived in &compiler.archived {
        releases.entry(compiler.strings.get(archived[0]).to_owned()).or_default();
    }
    releases
        .into_iter()
        .map(|(name, mut rows)| {
            keep_those_that_count(compiler, scheme_of(&name), &mut rows);
            Release { name, rows }
        })
        .collect()
}

/// Returns the rows by package, advisory and channel; within these as they came, so record by record.
fn in_order(packages: &[u32], advisories: &[u32], rows: &[Row]) -> Vec<Row> {
    let rank = |ranks: &[u32], word: Word| {
        u128::from(ranks.get(word.0 as usize).copied().unwrap_or(u32::MAX))
    };
    let mut order: Vec<u128> = (0_u32..)
        .zip(rows)
        .map(|(at, row)| {
            rank(packages, row.package) << 96
                | u128::from(row.by as u8) << 88
                | rank(advisories, row.advisory) << 56
                | u128::from(row.channel as u8) << 48
                | u128::from(at)
        })
        .collect();
    order.sort_unstable();
    order.iter().filter_map(|key| rows.get((key & 0xffff_ffff) as usize).copied()).collect()
}

/// Leaves, of the rows about one vulnerability in one channel and package, those of the one record that counts.
fn keep_those_that_count(compiler: &Compiler, scheme: Scheme, rows: &mut Vec<Row>) {
    let (mut from, mut to) = (0, 0);
    while let Some(rest) = rows.get(from..).filter(|r| !r.is_empty()) {
        let of = |row: &Row| (row.package, row.by, row.advisory, row.channel);
        let same = rest.chunk_by(|a, b| of(a) == of(b)).next().unwrap_or_default();
        let kept = the_one_that_counts(compiler, scheme, same);
        let (skipped, length) = (kept.start, kept.len());
        let whole = same.len();
        rows.copy_within(from + skipped..from + skipped + length, to);
        from += whole;
        to += length;
    }
    rows.truncate(to);
}

/// Returns the order of versions in a release, or in a language's ecosystem.
pub(crate) fn scheme_of(release: &str) -> Scheme {
    let id = release.split(':').next().unwrap_or_default();
    if let Some(distribution) = catalog::distribution(id) {
        return distribution.scheme;
    }
    match id {
        "wolfi" | "chainguard" => Scheme::Apk,
        "pypi" => Scheme::Pep440,
        // Names of CPE are of all kinds of software; PHP's order reads most of their versions as their makers mean them.
        "packagist" | "cpe" => Scheme::Composer,
        "rubygems" => Scheme::RubyGems,
        "npm" => Scheme::Npm,
        "maven" => Scheme::Maven,
        "go" => Scheme::Golang,
        _ => Scheme::Semver,
    }
}

/// Returns which of the rows about one vulnerability in one channel and package are of the one record that counts.
fn the_one_that_counts(compiler: &Compiler, scheme: Scheme, same: &[Row]) -> Range<usize> {
    if same.first().map(|r| r.record) == same.last().map(|r| r.record) {
        return 0..same.len();
    }
    let strings = &compiler.strings;
    let weight = |rows: &[Row]| {
        let info = rows.first().and_then(|r| compiler.sources.get(r.record as usize));
        let fixed = rows.iter().any(|r| r.fixed != Word::NONE);
        let worded = rows.iter().any(|r| !matches!(r.status, Status::Affected));
        let feed = info
            .and_then(|i| compiler.feeds.get(usize::from(i.feed)))
            .map_or("", |f| f.name.as_str());
        (fixed, worded, info.and_then(|i| i.modified), Reverse(feed))
    };
    let highest = |rows: &[Row]| {
        rows.iter()
            .map(|r| r.fixed)
            .filter(|f| *f != Word::NONE)
            .max_by(|a, b| scheme.compare_lenient(strings.get(*a), strings.get(*b)))
    };
    let better = |a: &[Row], b: &[Row]| {
        weight(a).cmp(&weight(b)).then_with(|| match (highest(a), highest(b)) {
            (Some(x), Some(y)) => scheme.compare_lenient(strings.get(x), strings.get(y)),
            (x, y) => x.is_some().cmp(&y.is_some()),
        })
    };
    let mut from = 0;
    let parts = same.chunk_by(|a, b| a.record == b.record).map(|part| {
        let range = from..from + part.len();
        from = range.end;
        (part, range)
    });
    parts.max_by(|a, b| better(a.0, b.0)).map_or(0..0, |(_, range)| range)
}

/// Everything of a group but its members.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct GroupKey {
    channel: Channel,
    status: Status,
    fixed: u16,
    introduced: u16,
    last_affected: u16,
    word: u16,
    module: u16,
    published: Option<Date>,
}

/// The tables of a section while they grow.
#[derive(Default)]
struct Tables {
    packages: Vec<u8>,
    versions: Vec<u8>,
    groups: Vec<u8>,
    kinds: Vec<u8>,
    rows: Vec<u8>,
    words: Vec<u8>,
    text: Text,
    kind_numbers: HashMap<[u8; KIND], u32>,
    word_numbers: HashMap<Word, u16>,
}

/// The text of a section, each piece once.
#[derive(Default)]
struct Text {
    text: String,
    places: HashMap<Word, u32>,
}

impl Text {
    /// Writes the place and length of a text.
    fn write(&mut self, strings: &Strings, word: Word, out: &mut Vec<u8>) -> io::Result<()> {
        let length = strings.get(word).len();
        self.write_marked(strings, word, length_of(length)?, out)
    }

    /// As [`Text::write`], with a mark in the length.
    fn write_marked(
        &mut self,
        strings: &Strings,
        word: Word,
        length: u16,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        out.extend(self.place(strings, word)?.to_le_bytes());
        out.extend(length.to_le_bytes());
        Ok(())
    }

    fn place(&mut self, strings: &Strings, word: Word) -> io::Result<u32> {
        if let Some(&place) = self.places.get(&word) {
            return Ok(place);
        }
        let place = number(self.text.len())?;
        self.text.push_str(strings.get(word));
        self.places.insert(word, place);
        Ok(place)
    }
}

fn number(n: usize) -> io::Result<u32> {
    u32::try_from(n).map_err(io::Error::other)
}

fn length_of(length: usize) -> io::Result<u16> {
    u16::try_from(length)
        .map_err(|_| io::Error::other(format!("a name of {length} bytes is too long")))
}

/// Returns the first `N` bytes of a number that must not need more.
fn narrow<const N: usize>(number: usize) -> io::Result<[u8; N]> {
    let bytes = (number as u64).to_le_bytes();
    match bytes.split_first_chunk() {
        Some((low, high)) if high.iter().all(|b| *b == 0) => Ok(*low),
        _ => Err(io::Error::other(format!("{number} entries are more than a release can have"))),
    }
}

/// Writes a release.
pub(super) fn write(compiler: &Compiler, release: &Release) -> io::Result<Written> {
    let strings = &compiler.strings;
    let scheme = scheme_of(&release.name);
    let order = Advisories::of(compiler, &release.rows);
    let mut tables = Tables::default();
    let mut packages = 0;
    for same in release.rows.chunk_by(|a, b| (a.package, a.by) == (b.package, b.by)) {
        write_package(strings, scheme, same, &order, &mut tables)?;
        packages += 1;
    }
    let width = width_below(order.list.len());
    let (lines, line_count) = write_lines(strings, &release.rows, &mut tables.text)?;
    let (archived, archived_count) = write_archived(compiler, &release.name, &mut tables.text)?;
    let (advisories, notice_starts, notice_cves) = order.write(compiler, &mut tables)?;
    let exploited = order.write_exploited(compiler)?;
    let mut bytes = Vec::new();
    for count in [
        number(order.list.len())?,
        number(order.notices)?,
        number(notice_cves.len() / width)?,
        number(exploited.len() / EXPLOITED)?,
        packages,
        number(tables.versions.len() / PIECE)?,
        number(tables.groups.len() / GROUP)?,
        number(tables.kinds.len() / KIND)?,
        number(tables.rows.len() / width)?,
        line_count,
        archived_count,
        number(tables.words.len() / PIECE)?,
        number(tables.text.text.len())?,
    ] {
        bytes.extend(count.to_le_bytes());
    }
    for table in [
        &notice_starts,
        &notice_cves,
        &exploited,
        &tables.packages,
        &tables.versions,
        &tables.groups,
        &tables.kinds,
        &tables.rows,
        &lines,
        &archived,
        &tables.words,
        &advisories,
    ] {
        bytes.extend(table);
    }
    bytes.extend(tables.text.text.as_bytes());
    Ok(Written { bytes, advisories: number(order.list.len())? })
}

fn write_package(
    strings: &Strings,
    scheme: Scheme,
    rows: &[Row],
    order: &Advisories,
    tables: &mut Tables,
) -> io::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let versions = Versions::of(strings, scheme, rows)?;
    let mut groups = Vec::with_capacity(rows.len());
    for row in rows {
        let key = GroupKey {
            channel: row.channel,
            status: row.status,
            fixed: versions.rank(row.fixed),
            introduced: versions.rank(row.introduced),
            last_affected: versions.rank(row.last_affected),
            word: tables.word(strings, row.word)?,
            module: tables.word(strings, row.module)?,
            published: row.published,
        };
        groups.push((key, order.number(row.advisory)));
    }
    groups.sort_unstable();
    groups.dedup();
    let length = length_of(strings.get(first.package).len())?;
    if length & BY_BINARY != 0 {
        return Err(io::Error::other(format!("a package's name of {length} bytes is too long")));
    }
    let mark = if first.by == By::Binary { BY_BINARY } else { 0 };
    tables.text.write_marked(strings, first.package, length | mark, &mut tables.packages)?;
    for start in [tables.versions.len() / PIECE, tables.groups.len() / GROUP] {
        tables.packages.extend(narrow::<3>(start)?);
    }
    for version in &versions.distinct {
        tables.text.write(strings, *version, &mut tables.versions)?;
    }
    let width = width_below(order.list.len());
    for members in groups.chunk_by(|a, b| a.0 == b.0) {
        let Some((key, _)) = members.first() else { continue };
        tables.groups.extend(key.fixed.to_le_bytes());
        let kind = tables.kind(key);
        tables.groups.extend(narrow::<3>(kind as usize)?);
        tables.groups.extend(narrow::<3>(tables.rows.len() / width)?);
        for (_, member) in members {
            put_advisory(&mut tables.rows, *member, width);
        }
    }
    Ok(())
}

/// The versions that a package's rows speak of.
struct Versions {
    /// Oldest first; of those that compare equal, one.
    distinct: Vec<Word>,
    /// Each version's place among them, in the order of the words.
    ranks: Vec<(Word, u16)>,
}

impl Versions {
    fn of(strings: &Strings, scheme: Scheme, rows: &[Row]) -> io::Result<Self> {
        let mut versions: Vec<Word> = rows
            .iter()
            .flat_map(|r| [r.introduced, r.fixed, r.last_affected])
            .filter(|w| *w != Word::NONE)
            .collect();
        // Rows repeat their versions: comparing the numbers of texts first spares comparing most versions.
        versions.sort_unstable();
        versions.dedup();
        let compare = |a: &Word, b: &Word| scheme.compare_lenient(strings.get(*a), strings.get(*b));
        versions.sort_unstable_by(|a, b| {
            compare(a, b).then_with(|| strings.get(*a).cmp(strings.get(*b)))
        });
        let (mut distinct, mut ranks) = (Vec::new(), Vec::with_capacity(versions.len()));
        for same in versions.chunk_by(|a, b| compare(a, b).is_eq()) {
            let rank = u16::try_from(distinct.len()).ok().filter(|r| *r != NONE16);
            let rank = rank.ok_or_else(|| {
                let package = rows.first().map_or("", |r| strings.get(r.package));
                io::Error::other(format!("the package {package} has more than 65,534 versions"))
            })?;
            distinct.extend(same.first());
            ranks.extend(same.iter().map(|word| (*word, rank)));
        }
        ranks.sort_unstable();
        Ok(Self { distinct, ranks })
    }

    /// Returns a version's place among those of the package.
    fn rank(&self, word: Word) -> u16 {
        let found = self.ranks.binary_search_by_key(&word, |(of, _)| *of).ok();
        found.and_then(|at| self.ranks.get(at)).map_or(NONE16, |(_, rank)| *rank)
    }
}

/// Writes the number of an advisory as [`crate::format::Numbers`] reads it.
fn put_advisory(out: &mut Vec<u8>, number: u32, width: usize) {
    out.extend(number.to_le_bytes().iter().take(width));
}

impl Tables {
    /// Returns the number of a vendor's word or of a module stream.
    fn word(&mut self, strings: &Strings, word: Word) -> io::Result<u16> {
        if word == Word::NONE {
            return Ok(NONE16);
        }
        if let Some(&known) = self.word_numbers.get(&word) {
            return Ok(known);
        }
        // Words beyond what sixteen bits can number are left to the cold part, which has all of them.
        let Some(new) = u16::try_from(self.word_numbers.len()).ok().filter(|n| *n < NONE16) else {
            return Ok(NONE16);
        };
        if strings.get(word).len() > usize::from(u16::MAX) {
            return Ok(NONE16);
        }
        self.text.write(strings, word, &mut self.words)?;
        self.word_numbers.insert(word, new);
        Ok(new)
    }

    /// Returns the number of what a group has in common with others.
    fn kind(&mut self, key: &GroupKey) -> u32 {
        let status = STATUSES.iter().position(|s| *s == key.status).unwrap_or(0);
        let channel = Channel::ALL.iter().position(|c| *c == key.channel).unwrap_or(0);
        let [a, b] = key.introduced.to_le_bytes();
        let [c, d] = key.last_affected.to_le_bytes();
        let [e, f] = key.word.to_le_bytes();
        let [g, h] = pack_day(key.published).to_le_bytes();
        let [i, j] = key.module.to_le_bytes();
        let [k, l] = [channel, status].map(|n| u8::try_from(n).unwrap_or(0));
        let kind = [a, b, c, d, e, f, g, h, i, j, k, l];
        let Self { kinds, kind_numbers, .. } = self;
        let next = u32::try_from(kind_numbers.len()).unwrap_or(u32::MAX);
        *kind_numbers.entry(kind).or_insert_with(|| {
            kinds.extend(kind);
            next
        })
    }
}

/// The advisories of a release: notices first, then the rest, each part in the order of the ids.
struct Advisories {
    list: Vec<Word>,
    notices: usize,
    numbers: HashMap<Word, u32>,
}

impl Advisories {
    fn of(compiler: &Compiler, rows: &[Row]) -> Self {
        let mut list: Vec<Word> = rows.iter().map(|r| r.advisory).collect();
        list.sort_unstable();
        list.dedup();
        let closed: Vec<Word> = list
            .iter()
            .filter_map(|a| compiler.advisories.get(a))
            .flat_map(|info| info.cves.iter().copied())
            .collect();
        list.extend(closed);
        list.sort_unstable();
        list.dedup();
        let mut order: Vec<(bool, &str, Word)> = list
            .iter()
            .map(|word| {
                let notice = compiler.advisories.get(word).is_some_and(|info| info.notice);
                (!notice, compiler.strings.get(*word), *word)
            })
            .collect();
        order.sort_unstable();
        let notices = order.iter().take_while(|(other, ..)| !other).count();
        let list: Vec<Word> = order.into_iter().map(|(.., word)| word).collect();
        let numbers = (0_u32..).zip(&list).map(|(number, word)| (*word, number)).collect();
        Self { list, notices, numbers }
    }

    fn number(&self, word: Word) -> u32 {
        self.numbers.get(&word).copied().unwrap_or(u32::MAX)
    }

    /// Writes the advisories, and for the notices what they close.
    fn write(
        &self,
        compiler: &Compiler,
        tables: &mut Tables,
    ) -> io::Result<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        let (mut advisories, mut starts, mut cves) = (Vec::new(), Vec::new(), Vec::new());
        let nothing = super::AdvisoryInfo::default();
        let width = width_below(self.list.len());
        for (at, word) in self.list.iter().enumerate() {
            let info = compiler.advisories.get(word).unwrap_or(&nothing);
            let id = compiler.strings.get(*word);
            let packed = match PackedId::cve(id) {
                Some(packed) => packed,
                None => {
                    let index = number(tables.words.len() / PIECE)?;
                    tables.text.write(&compiler.strings, *word, &mut tables.words)?;
                    PackedId::Word(index)
                }
            };
            advisories.extend(packed.write().to_le_bytes());
            advisories.extend(pack_day(info.published).to_le_bytes());
            advisories
                .extend(pack_likelihood(compiler.likelihoods.get(word).copied()).to_le_bytes());
            advisories.push(info.severity as u8);
            if at < self.notices {
                starts.extend(number(cves.len() / width)?.to_le_bytes());
                let mut closed: Vec<u32> = info.cves.iter().map(|c| self.number(*c)).collect();
                closed.sort_unstable();
                closed.iter().for_each(|c| put_advisory(&mut cves, *c, width));
            }
        }
        starts.extend(number(cves.len() / width)?.to_le_bytes());
        Ok((advisories, starts, cves))
    }

    fn write_exploited(&self, compiler: &Compiler) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (at, word) in self.list.iter().enumerate() {
            let Some((added, due)) = compiler.exploited.get(word) else { continue };
            bytes.extend(number(at)?.to_le_bytes());
            bytes.extend(pack_day(Some(*added)).to_le_bytes());
            bytes.extend(pack_day(*due).to_le_bytes());
        }
        Ok(bytes)
    }
}

/// What a vendor's word says of the kernel line that it is about.
#[derive(Clone, Copy)]
enum Told<'s> {
    Successor(&'s str),
    Ended,
    Nothing,
}

fn told(word: &str) -> Told<'_> {
    match successor(word) {
        Some(successor) => Told::Successor(successor),
        None if word.contains("end of kernel support") => Told::Ended,
        None => Told::Nothing,
    }
}

/// What the words about one kernel line add up to.
#[derive(Default)]
struct LineWords<'s> {
    open: usize,
    ended: usize,
    successors: BTreeMap<&'s str, usize>,
    word: Option<Word>,
}

/// Writes the kernel lines that the vendor calls superseded or ended more often than it speaks of them as alive.
fn write_lines(strings: &Strings, rows: &[Row], text: &mut Text) -> io::Result<(Vec<u8>, u32)> {
    let mut lines: BTreeMap<&str, (Word, LineWords<'_>)> = BTreeMap::new();
    let mut known: HashMap<Word, Told<'_>> = HashMap::new();
    for rows in rows.chunk_by(|a, b| (a.package, a.by) == (b.package, b.by)) {
        let Some(first) = rows.first() else { continue };
        let package = strings.get(first.package);
        if first.by != By::Source || !kernel::is_kernel_source(package) {
            continue;
        }
        let (_, line) =
            lines.entry(package).or_insert_with(|| (first.package, LineWords::default()));
        for row in rows {
            match known.entry(row.word).or_insert_with(|| told(strings.get(row.word))) {
                Told::Successor(successor) => {
                    *line.successors.entry(successor).or_default() += 1;
                    line.ended += 1;
                    line.word = Some(row.word);
                }
                Told::Ended => {
                    line.ended += 1;
                    line.word = line.word.or(Some(row.word));
                }
                Told::Nothing => {
                    let open = [Status::Needed, Status::NeedsTriage, Status::Pending];
                    line.open += usize::from(open.contains(&row.status));
                }
            }
        }
    }
    let (mut bytes, mut count) = (Vec::new(), 0);
    for (source, line) in lines.into_values() {
        if line.ended == 0 || line.open >= line.ended {
            continue;
        }
        let successor = line
            .successors
            .iter()
            .max_by_key(|(name, times)| (**times, **name))
            .map(|(name, _)| *name);
        text.write(strings, source, &mut bytes)?;
        write_own(text, successor.unwrap_or_default(), &mut bytes)?;
        text.write(strings, line.word.unwrap_or(Word::NONE), &mut bytes)?;
        count += 1;
    }
    Ok((bytes, count))
}

/// Writes a text that is only part of a known one.
fn write_own(text: &mut Text, piece: &str, out: &mut Vec<u8>) -> io::Result<()> {
    out.extend(number(text.text.len())?.to_le_bytes());
    out.extend(length_of(piece.len())?.to_le_bytes());
    text.text.push_str(piece);
    Ok(())
}

/// Returns the line that a vendor's word names as the one that took the place: `ignored (superseded by linux-hwe-6.5, was needed)`.
fn successor(word: &str) -> Option<&str> {
    let rest = ["superseded by ", "superceded by ", "replaced by "]
        .iter()
        .find_map(|edge| word.split_once(edge))?
        .1;
    let name = rest
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+')))
        .next()?
        .trim_end_matches('.');
    kernel::is_kernel_source(name).then_some(name)
}

fn write_archived(
    compiler: &Compiler,
    release: &str,
    text: &mut Text,
) -> io::Result<(Vec<u8>, u32)> {
    let strings = &compiler.strings;
    let scheme = scheme_of(release);
    let mut newest: BTreeMap<&str, [Word; 3]> = BTreeMap::new();
    for [of, binary, version, source] in &compiler.archived {
        if strings.get(*of) != release {
            continue;
        }
        let entry = newest.entry(strings.get(*binary)).or_insert([*binary, *version, *source]);
        if scheme.compare_lenient(strings.get(*version), strings.get(entry[1])) == Ordering::Greater
        {
            *entry = [*binary, *version, *source];
        }
    }
    let mut bytes = Vec::new();
    let count = number(newest.len())?;
    for words in newest.into_values() {
        for word in words {
            text.write(strings, word, &mut bytes)?;
        }
    }
    Ok((bytes, count))
}

#[cfg(test)]
mod tests {
    use super::successor;

    #[test]
    fn a_successor_is_read_from_the_vendors_word() {
        assert_eq!(successor("ignored (superseded by linux-hwe-6.5)"), Some("linux-hwe-6.5"));
        assert_eq!(
            successor("ignored (replaced by linux-hwe-5.4, was needed)"),
            Some("linux-hwe-5.4")
        );
        assert_eq!(successor("ignored (superseded by openjdk-17)"), None);
        assert_eq!(successor("ignored (end of life)"), None);
    }
}
