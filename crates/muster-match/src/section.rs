//! One release of a compiled advisory file, as matching sees it: tables over borrowed bytes, nothing is unpacked.
//!
//! ```text
//! counts 13 × u32 │ notices' starts │ notices' CVEs │ exploited │ packages │ versions │ groups │ kinds │ rows │ lines │ archive │ words │ advisories │ text
//!
//! piece (of the text): offset u32 │ length u16
//! package: name piece, length's highest bit: by binary │ first version u24 │ first group u24
//! group: mended rank u16 │ kind u24 │ first row u24
//! kind: first affected rank u16 │ last affected rank u16 │ word u16 │ day u16 │ module u16 │ channel u8 │ status u8
//! row, notice's CVE: number of an advisory, u16 or, where there are more, u24
//! advisory: packed id u32 │ day u16 │ likelihood u16 │ severity u8
//! ```
//! A *group* is a set of advisories of one package that share everything a verdict depends on: an update that closes
//! forty CVEs is one group of forty rows of two bytes. A *kind* is what groups of many packages have in common. What
//! begins at an entry's place ends where that of the next entry begins.
//!
//! Three bytes are enough where they stand: no release comes near sixteen million entries, and the writer refuses them.

use std::sync::Arc;

use muster_core::advisory::{By, Channel, Status};
use muster_core::finding::Severity;
use muster_core::time::Date;

use crate::error::Error;
use crate::format::{
    NONE16, Numbers, PackedId, STATUSES, Table, u16_at, u24_at, u32_at, unpack_day,
    unpack_likelihood,
};

pub(crate) const COUNTS: usize = 13;
/// Bytes of a place in the text, with its length.
pub(crate) const PIECE: usize = 6;
pub(crate) const ADVISORY: usize = 9;
pub(crate) const EXPLOITED: usize = 8;
pub(crate) const PACKAGE: usize = PIECE + 6;
pub(crate) const GROUP: usize = 8;
pub(crate) const KIND: usize = 12;
pub(crate) const LINE: usize = 3 * PIECE;
pub(crate) const ARCHIVED: usize = 3 * PIECE;
/// In the length of a package's name: it is that of a binary package.
pub(crate) const BY_BINARY: u16 = 1 << 15;

/// A release.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    advisories: Table<'a, ADVISORY>,
    notice_starts: Table<'a, 4>,
    notice_cves: Numbers<'a>,
    exploited: Table<'a, EXPLOITED>,
    packages: Table<'a, PACKAGE>,
    versions: Table<'a, PIECE>,
    groups: Table<'a, GROUP>,
    kinds: Table<'a, KIND>,
    rows: Numbers<'a>,
    lines: Table<'a, LINE>,
    archived: Table<'a, ARCHIVED>,
    words: Table<'a, PIECE>,
    text: &'a str,
}

/// A package of a release.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it is a source or a binary package.
    pub by: By,
    versions: (u32, u32),
    groups: (u32, u32),
}

/// Advisories of one package that share everything a verdict depends on.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The first affected version, as a rank among the package's versions.
    pub introduced: Option<u16>,
    /// The mended version, as a rank.
    pub fixed: Option<u16>,
    /// The last affected version, as a rank.
    pub last_affected: Option<u16>,
    /// The channel.
    pub channel: Channel,
    /// What the vendor's word comes to.
    pub status: Status,
    word: u16,
    day: u16,
    module: u16,
    rows: (u32, u32),
}

impl Group {
    /// Returns the day of the fix in this release, where a feed tells it apart.
    pub fn published(&self) -> Option<Date> {
        unpack_day(self.day)
    }
}

/// The versions that a package's groups speak of, oldest first: a rank is a place among them.
#[derive(Clone, Copy, Debug)]
pub struct Versions<'a> {
    section: Section<'a>,
    start: usize,
    end: usize,
}

impl<'a> Versions<'a> {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the version with that rank.
    pub fn get(&self, rank: usize) -> Option<&'a str> {
        if rank >= self.len() {
            return None;
        }
        self.section.versions.get(self.start + rank).map(|entry| self.section.text_at(entry, 0))
    }

    /// Returns them one after another.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let versions = *self;
        (0..self.len()).filter_map(move |rank| versions.get(rank))
    }

    /// Returns how many are before the first of which `is_before` no longer holds.
    pub fn partition_point(&self, is_before: impl Fn(&str) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle).is_some_and(&is_before) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// An advisory, as far as a finding needs it.
#[derive(Clone, Copy, Debug)]
pub struct Advisory {
    id: PackedId,
    /// How bad.
    pub severity: Severity,
    /// Whether it is a notice.
    pub notice: bool,
    /// When it was published.
    pub published: Option<Date>,
    /// The likelihood of exploitation.
    pub likelihood: Option<f32>,
}

/// A kernel line that was superseded or ended.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The source package of the line.
    pub source: &'a str,
    /// The line that took its place, where the vendor names one.
    pub successor: Option<&'a str>,
    /// The vendor's words.
    pub word: &'a str,
}

/// A binary package in the release's security archive.
#[derive(Clone, Copy, Debug)]
pub struct Archived<'a> {
    /// The binary package.
    pub binary: &'a str,
    /// Its newest version there.
    pub version: &'a str,
    /// Its source package.
    pub source: &'a str,
}

impl<'a> Section<'a> {
    /// Lays the tables over a section's bytes; their digest was checked when they were read.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut counts = [0_u32; COUNTS];
        for (at, count) in counts.iter_mut().enumerate() {
            *count = u32_at(bytes, at * 4);
        }
        let [
            advisories,
            notices,
            notice_cves,
            exploited,
            packages,
            versions,
            groups,
            kinds,
            rows,
            lines,
            archived,
            words,
            text,
        ] = counts;
        let damaged = || Error::Damaged("a table of the release is longer than its section".into());
        let rest = &mut bytes.get(COUNTS * 4..).ok_or_else(damaged)?;
        let section = Self {
            notice_starts: Table::take(rest, notices.saturating_add(1)).ok_or_else(damaged)?,
            notice_cves: Numbers::take(rest, notice_cves, advisories).ok_or_else(damaged)?,
            exploited: Table::take(rest, exploited).ok_or_else(damaged)?,
            packages: Table::take(rest, packages).ok_or_else(damaged)?,
            versions: Table::take(rest, versions).ok_or_else(damaged)?,
            groups: Table::take(rest, groups).ok_or_else(damaged)?,
            kinds: Table::take(rest, kinds).ok_or_else(damaged)?,
            rows: Numbers::take(rest, rows, advisories).ok_or_else(damaged)?,
            lines: Table::take(rest, lines).ok_or_else(damaged)?,
            archived: Table::take(rest, archived).ok_or_else(damaged)?,
            words: Table::take(rest, words).ok_or_else(damaged)?,
            advisories: Table::take(rest, advisories).ok_or_else(damaged)?,
            text: rest
                .get(..text as usize)
                .and_then(|t| str::from_utf8(t).ok())
                .ok_or_else(damaged)?,
        };
        Ok(section)
    }

    fn text(&self, offset: u32, length: u16) -> &'a str {
        let start = offset as usize;
        self.text.get(start..start.saturating_add(usize::from(length))).unwrap_or_default()
    }

    fn text_at(&self, entry: &[u8], at: usize) -> &'a str {
        self.text(u32_at(entry, at), u16_at(entry, at + 4))
    }

    /// Returns how many advisories the release has.
    pub fn advisories(&self) -> usize {
        self.advisories.len()
    }

    /// Returns how many rows (advisory × package) the release has.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Returns the source or binary package of that name.
    pub fn package(&self, name: &str, by: By) -> Option<Package<'a>> {
        let (mut low, mut high) = (0, self.packages.len());
        while low < high {
            let middle = low.midpoint(high);
            let package = self.package_at(middle)?;
            match package.name.cmp(name).then_with(|| package.by.cmp(&by)) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
                core::cmp::Ordering::Equal => return Some(package),
            }
        }
        None
    }

    /// Returns the packages in the order of their names.
    pub fn packages(&self) -> impl Iterator<Item = Package<'a>> + use<'a> {
        let section = *self;
        (0..self.packages.len()).filter_map(move |at| section.package_at(at))
    }

    fn package_at(&self, at: usize) -> Option<Package<'a>> {
        let (entry, next) = (self.packages.get(at)?, self.packages.get(at + 1));
        let length = u16_at(entry, 4);
        let until = |at, whole: usize| {
            next.map_or_else(|| u32::try_from(whole).unwrap_or(u32::MAX), |next| u24_at(next, at))
        };
        Some(Package {
            name: self.text(u32_at(entry, 0), length & !BY_BINARY),
            by: if length & BY_BINARY == 0 { By::Source } else { By::Binary },
            versions: (u24_at(entry, PIECE), until(PIECE, self.versions.len())),
            groups: (u24_at(entry, PIECE + 3), until(PIECE + 3, self.groups.len())),
        })
    }

    /// Returns the versions that the package's groups speak of, oldest first.
    pub fn versions(&self, package: &Package<'a>) -> Versions<'a> {
        let (start, end) = package.versions;
        let end = (end as usize).min(self.versions.len());
        Versions { section: *self, start: (start as usize).min(end), end }
    }

    /// Returns the package's groups.
    pub fn groups(&self, package: &Package<'a>) -> impl Iterator<Item = Group> + use<'a> {
        let section = *self;
        let (start, end) = package.groups;
        (start as usize..(end as usize).min(self.groups.len()))
            .filter_map(move |at| section.group_at(at))
    }

    fn group_at(&self, at: usize) -> Option<Group> {
        let (entry, next) = (self.groups.get(at)?, self.groups.get(at + 1));
        let kind = self.kinds.get(u24_at(entry, 2) as usize)?;
        let rank = |value: u16| (value != NONE16).then_some(value);
        Some(Group {
            introduced: rank(u16_at(kind, 0)),
            fixed: rank(u16_at(entry, 0)),
            last_affected: rank(u16_at(kind, 2)),
            channel: Channel::ALL.get(usize::from(kind[10])).copied().unwrap_or(Channel::Other),
            status: status(kind[11]),
            word: u16_at(kind, 4),
            day: u16_at(kind, 6),
            module: u16_at(kind, 8),
            rows: (
                u24_at(entry, 5),
                next.map_or_else(
                    || u32::try_from(self.rows.len()).unwrap_or(u32::MAX),
                    |next| u24_at(next, 5),
                ),
            ),
        })
    }

    /// Returns the vendor's word of a group, for what is not fixed.
    pub fn word_of(&self, group: &Group) -> &'a str {
        self.word(group.word)
    }

    /// Returns the module stream that a group speaks of.
    pub fn module_of(&self, group: &Group) -> Option<&'a str> {
        (group.module != NONE16).then(|| self.word(group.module))
    }

    fn word(&self, index: u16) -> &'a str {
        self.words.get(usize::from(index)).map_or("", |entry| self.text_at(entry, 0))
    }

    /// Returns the numbers of the group's advisories.
    pub fn members(&self, group: &Group) -> impl Iterator<Item = u32> + use<'a> {
        self.rows.range(group.rows.0, group.rows.1)
    }

    /// Returns an advisory by its number.
    pub fn advisory(&self, number: u32) -> Advisory {
        let entry = self.advisories.get(number as usize).unwrap_or(&[0; ADVISORY]);
        Advisory {
            id: PackedId::read(u32_at(entry, 0)),
            severity: Severity::ALL.get(usize::from(entry[8])).copied().unwrap_or_default(),
            notice: (number as usize) < self.notices(),
            published: unpack_day(u16_at(entry, 4)),
            likelihood: unpack_likelihood(u16_at(entry, 6)),
        }
    }

    /// Returns how many of the advisories are notices: they come first.
    fn notices(&self) -> usize {
        self.notice_starts.len().saturating_sub(1)
    }

    /// Returns an advisory's id.
    pub fn id(&self, advisory: &Advisory) -> Arc<str> {
        match advisory.id {
            PackedId::Cve { year, number } => cve(year, number),
            PackedId::Word(index) => {
                self.words.get(index as usize).map_or("", |entry| self.text_at(entry, 0)).into()
            }
        }
    }

    /// Returns the numbers of the vulnerabilities that a notice closes.
    pub fn cves(&self, notice: u32) -> impl Iterator<Item = u32> + use<'a> {
        let at = |index: usize| self.notice_starts.get(index).map_or(0, |entry| u32_at(entry, 0));
        let inside = (notice as usize) < self.notices();
        let (start, end) =
            if inside { (at(notice as usize), at(notice as usize + 1)) } else { (0, 0) };
        self.notice_cves.range(start, end)
    }

    /// Returns the days CISA added a vulnerability and set for its end.
    pub fn exploited(&self, number: u32) -> Option<(Date, Option<Date>)> {
        let (mut low, mut high) = (0, self.exploited.len());
        while low < high {
            let middle = low.midpoint(high);
            let entry = self.exploited.get(middle)?;
            match u32_at(entry, 0).cmp(&number) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
                core::cmp::Ordering::Equal => {
                    return unpack_day(u16_at(entry, 4))
                        .map(|added| (added, unpack_day(u16_at(entry, 6))));
                }
            }
        }
        None
    }

    /// Returns the kernel line of that source, if it was superseded or ended.
    pub fn line(&self, source: &str) -> Option<Line<'a>> {
        self.lines().find(|line| line.source == source)
    }

    /// Returns every kernel line that was superseded or ended.
    pub fn lines(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        let section = *self;
        (0..self.lines.len()).filter_map(move |at| {
            let entry = section.lines.get(at)?;
            let successor = section.text_at(entry, PIECE);
            Some(Line {
                source: section.text_at(entry, 0),
                successor: (!successor.is_empty()).then_some(successor),
                word: section.text_at(entry, 2 * PIECE),
            })
        })
    }

    /// Returns the security archive's newest version of a binary package.
    pub fn archived(&self, binary: &str) -> Option<Archived<'a>> {
        let (mut low, mut high) = (0, self.archived.len());
        while low < high {
            let middle = low.midpoint(high);
            let entry = self.archived.get(middle)?;
            match self.text_at(entry, 0).cmp(binary) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
                core::cmp::Ordering::Equal => {
                    return Some(Archived {
                        binary: self.text_at(entry, 0),
                        version: self.text_at(entry, PIECE),
                        source: self.text_at(entry, 2 * PIECE),
                    });
                }
            }
        }
        None
    }
}

/// Returns `CVE-year-number`, whose number has at least four digits: written from its end, thousands of times a report.
fn cve(year: u32, number: u32) -> Arc<str> {
    let mut text = [0_u8; 20];
    let mut room = text.iter_mut().rev();
    let mut put = |byte: u8| *room.next().expect("two numbers of 7 and 24 bits fit") = byte;
    let mut length = 0;
    for (mut number, mark) in [(number, b'-'), (year, b'-')] {
        let mut digits = 0;
        while number > 0 || digits < 4 {
            put(b'0' + u8::try_from(number % 10).expect("a digit is small"));
            (number, digits) = (number / 10, digits + 1);
        }
        put(mark);
        length += digits + 1;
    }
    b"EVC".iter().for_each(|letter| put(*letter));
    let text = text.get(text.len() - (length + 3)..).unwrap_or_default();
    str::from_utf8(text).expect("letters and digits are text").into()
}

fn status(number: u8) -> Status {
    STATUSES.get(usize::from(number)).copied().unwrap_or(Status::Undetermined)
}
