//! From what feeds say to one compiled file.
//!
//! Records stream in ([`Compiler`] is a [`Sink`]); each goes whole to the spool of the cold part at once, and leaves a
//! row of numbers for every statement that a verdict can depend on. At the end the rows are ordered and become one
//! section a release. The same items in the same order give the same bytes; the caller puts sources into an order
//! that does not depend on the command line.
//!
//! Where two records speak of the same vulnerability in the same channel, release and package, one counts: the one
//! with a fixed version, else the one with a word of its own, else the newer, else the one whose feed's name comes
//! first. All of them stay in the cold part.

pub(crate) mod block;
mod records;
mod section;
mod strings;

pub(crate) use section::scheme_of;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};

use hashbrown::HashMap;
use muster_core::advisory::{
    By, Channel, Form, Item, Problem, Record, Sink, Statement, Status, SupportLine,
};
use muster_core::catalog;
use muster_core::finding::Severity;
use muster_core::time::{Date, Instant, day};
use serde::Serialize;

use crate::file::{FeedInfo, Fragment, Provenance, ReleaseInfo};
use crate::format::{ENTRY, Kind, MAGIC, PREFIX, VERSION};
use records::Records;
use strings::{Strings, Word};

/// Takes in feeds, gives out a file.
pub struct Compiler {
    strings: Strings,
    rows: HashMap<Word, Vec<Row>>,
    /// The statements of the record at hand.
    said: Vec<Said>,
    sources: Vec<RecordInfo>,
    advisories: HashMap<Word, AdvisoryInfo>,
    exploited: HashMap<Word, (Date, Option<Date>)>,
    likelihoods: HashMap<Word, f32>,
    archived: Vec<[Word; 4]>,
    calendar: BTreeMap<(String, String), SupportLine<'static>>,
    records: Records,
    feeds: Vec<FeedInfo>,
    fragments: HashMap<(u16, Word), Spoken>,
    feed: u16,
    frozen: bool,
    problems: Vec<Problem>,
    failed: Option<io::Error>,
}

/// What a feed said of a release.
#[derive(Clone, Copy, Debug, Default)]
struct Spoken {
    statements: u64,
    newest: Option<Instant>,
    frozen: Option<Instant>,
}

/// A statement, in numbers.
#[derive(Clone, Copy, Debug)]
struct Row {
    package: Word,
    advisory: Word,
    introduced: Word,
    fixed: Word,
    last_affected: Word,
    word: Word,
    module: Word,
    published: Option<Date>,
    record: u32,
    channel: Channel,
    status: Status,
    by: By,
}

/// The texts of a statement, in numbers.
#[derive(Clone, Copy, Debug)]
struct Said {
    release: Word,
    package: Word,
    introduced: Word,
    fixed: Word,
    last_affected: Word,
    word: Word,
    module: Word,
}

impl Said {
    /// Numbers each statement's texts. Neighbours mostly speak of one package, in the same word.
    fn all(strings: &mut Strings, statements: &[Statement<'_>], into: &mut Vec<Self>) {
        let mut before: Option<&Statement<'_>> = None;
        for statement in statements {
            let known = before.zip(into.last().copied());
            let package = known.filter(|(before, _)| before.package == statement.package);
            let word = known.filter(|(before, _)| before.word == statement.word);
            into.push(Self {
                release: strings.add(&statement.release),
                package: package
                    .map_or_else(|| strings.add(&statement.package), |(_, s)| s.package),
                introduced: strings.option(statement.introduced.as_deref()),
                fixed: strings.option(statement.fixed.as_deref()),
                last_affected: strings.option(statement.last_affected.as_deref()),
                word: word.map_or_else(
                    || strings.option(Some(&*statement.word).filter(|w| !w.is_empty())),
                    |(_, said)| said.word,
                ),
                module: strings.option(statement.module.as_deref()),
            });
            before = Some(statement);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct RecordInfo {
    modified: Option<Instant>,
    feed: u16,
}

#[derive(Clone, Debug, Default)]
struct AdvisoryInfo {
    notice: bool,
    severity: Severity,
    by_vendor: bool,
    published: Option<Date>,
    cves: Vec<Word>,
}

/// What was compiled.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Its releases.
    pub releases: Vec<ReleaseInfo>,
    /// The bytes of the whole file.
    pub bytes: u64,
}

impl Sink for Compiler {
    fn begin(&mut self, feed: &'static str) {
        self.begin_feed(feed);
    }

    fn item(&mut self, item: Item<'_>) {
        if self.failed.is_some() {
            return;
        }
        match item {
            Item::Record(record) => self.record(&record),
            Item::Exploited(entry) => {
                let cve = self.strings.add(&entry.cve);
                self.exploited.insert(cve, (entry.added, entry.due));
                self.count(Some(midnight(entry.added)));
            }
            Item::Likelihood(line) => {
                let cve = self.strings.add(&line.cve);
                self.likelihoods.insert(cve, line.score);
                self.count(None);
            }
            Item::Support(line) => {
                self.count(None);
                self.calendar
                    .insert((line.product.to_string(), line.version.to_string()), owned_line(line));
            }
            Item::Archived(line) => {
                let words = [&line.release, &line.binary, &line.version, &line.source]
                    .map(|t| self.strings.add(t));
                self.archived.push(words);
                self.count(None);
            }
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}

fn midnight(date: Date) -> Instant {
    date.to_zoned(jiff::tz::TimeZone::UTC).map_or(Instant::UNIX_EPOCH, |z| z.timestamp())
}

pub(crate) fn owned_line(line: SupportLine<'_>) -> SupportLine<'static> {
    let own = |t: muster_core::advisory::Text<'_>| t.into_owned().into();
    SupportLine {
        product: own(line.product),
        version: own(line.version),
        codename: line.codename.map(own),
        released: line.released,
        ends: line.ends,
        paid_until: line.paid_until,
        ended: line.ended,
        latest: line.latest.map(own),
    }
}

impl Compiler {
    /// Begins; `spool` is an empty file for the records, on the disk where the result will be.
    pub fn new(spool: File) -> io::Result<Self> {
        Ok(Self {
            strings: Strings::default(),
            rows: HashMap::new(),
            said: Vec::new(),
            sources: Vec::new(),
            advisories: HashMap::new(),
            exploited: HashMap::new(),
            likelihoods: HashMap::new(),
            archived: Vec::new(),
            calendar: BTreeMap::new(),
            records: Records::new(spool)?,
            feeds: Vec::new(),
            fragments: HashMap::new(),
            feed: 0,
            frozen: false,
            problems: Vec::new(),
            failed: None,
        })
    }

    /// Says which feed the items that follow come from.
    pub fn begin_feed(&mut self, name: &str) {
        self.frozen = false;
        let at = self.feeds.iter().position(|f| f.name == name).unwrap_or_else(|| {
            self.feeds.push(FeedInfo {
                name: name.to_owned(),
                newest: None,
                records: 0,
                withdrawn: 0,
            });
            self.feeds.len() - 1
        });
        self.feed = u16::try_from(at).unwrap_or(u16::MAX);
    }

    /// Says that the items that follow are what a feed said when it still spoke of their releases.
    pub fn begin_frozen(&mut self, name: &str) {
        self.begin_feed(name);
        self.frozen = true;
    }

    /// Returns what was not understood so far.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns what was compiled so far, by feed and release.
    pub fn provenance(&self) -> Provenance {
        let name =
            |feed: u16| self.feeds.get(usize::from(feed)).map_or(String::new(), |f| f.name.clone());
        let mut fragments: Vec<Fragment> = self
            .fragments
            .iter()
            .map(|(&(feed, release), spoken)| Fragment {
                feed: name(feed),
                release: self.strings.get(release).to_owned(),
                statements: spoken.statements,
                newest: spoken.newest,
                frozen: spoken.frozen,
            })
            .collect();
        fragments.sort_by(|a, b| (&a.feed, &a.release).cmp(&(&b.feed, &b.release)));
        Provenance { feeds: self.feeds.clone(), fragments }
    }

    fn count(&mut self, newest: Option<Instant>) {
        if let Some(feed) = self.feeds.get_mut(usize::from(self.feed)).filter(|_| !self.frozen) {
            feed.records += 1;
            feed.newest = feed.newest.max(newest);
        }
    }

    fn record(&mut self, record: &Record<'_>) {
        self.count(record.modified.or(record.published));
        if record.withdrawn.is_some()
            && let Some(feed) = self.feeds.get_mut(usize::from(self.feed))
        {
            feed.withdrawn += 1;
        }
        let mut said = std::mem::take(&mut self.said);
        said.clear();
        Said::all(&mut self.strings, &record.statements, &mut said);
        match self.records.add(self.feed, record, &said) {
            Ok(()) => self.statements(record, &said),
            Err(error) => self.failed = Some(error),
        }
        self.said = said;
    }

    /// Takes in what a record says of each package.
    fn statements(&mut self, record: &Record<'_>, said: &[Said]) {
        said.iter().for_each(|s| self.place(record, s.release));
        if record.withdrawn.is_some() || record.form == Form::LivePatch {
            return;
        }
        let id = match record.form {
            Form::Vulnerability => record.cves.first().unwrap_or(&record.id),
            Form::Notice | Form::LivePatch => &record.id,
        };
        let advisory = self.strings.add(id);
        self.describe(advisory, record);
        let number = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.push(RecordInfo { modified: record.modified, feed: self.feed });
        for (statement, said) in record.statements.iter().zip(said) {
            if is_judged(statement) {
                let row = row(advisory, number, statement, said);
                self.rows.entry(said.release).or_default().push(row);
            }
        }
    }

    /// Counts a statement for its feed and release.
    fn place(&mut self, record: &Record<'_>, release: Word) {
        let time = record.modified.or(record.published);
        let spoken = self.fragments.entry((self.feed, release)).or_default();
        spoken.statements += 1;
        spoken.newest = spoken.newest.max(time);
        spoken.frozen = spoken.frozen.max(time.filter(|_| self.frozen));
    }

    fn describe(&mut self, advisory: Word, record: &Record<'_>) {
        let (severity, by_vendor) = severity_of(record);
        let cves: Vec<Word> = match record.form {
            Form::Notice => record.cves.iter().map(|c| self.strings.add(c)).collect(),
            Form::Vulnerability | Form::LivePatch => Vec::new(),
        };
        let info = self.advisories.entry(advisory).or_default();
        if (by_vendor, severity) > (info.by_vendor, info.severity) {
            (info.by_vendor, info.severity) = (by_vendor, severity);
        }
        info.notice |= record.form == Form::Notice;
        // The day that a CVE was published is not that of a distribution's fix, and the id is the same.
        let of_cpe = record.statements.iter().any(|s| s.release == "cpe");
        let published = record.published.filter(|_| !of_cpe).map(day);
        info.published = match (info.published, published) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        for cve in cves {
            if !info.cves.contains(&cve) {
                info.cves.push(cve);
            }
        }
    }

    /// Writes the file to `out`, from its beginning. `built` is the time that it bears; without one, the newest of its sources.
    pub fn finish(mut self, out: &mut File, built: Option<Instant>) -> io::Result<Summary> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let provenance = self.provenance();
        let built = built.or_else(|| self.feeds.iter().filter_map(|f| f.newest).max());
        let mut sections: Vec<Placed> = Vec::new();
        let releases = section::by_release(&mut self);
        let header = header_length(releases.iter().map(|r| r.name.len()).sum(), releases.len() + 4);
        out.seek(SeekFrom::Start(header))?;
        let mut writer = BufWriter::new(&mut *out);
        let mut offset = header;
        let mut summary = Summary { releases: Vec::new(), bytes: 0 };
        for release in releases {
            let bytes = section::write(&self, &release)?;
            summary.releases.push(ReleaseInfo {
                id: release.name.clone(),
                advisories: bytes.advisories,
                bytes: bytes.bytes.len() as u64,
            });
            writer.write_all(&bytes.bytes)?;
            sections.push(Placed::of(
                Kind::Release,
                release.name,
                bytes.advisories,
                &bytes.bytes,
                &mut offset,
            ));
        }
        let calendar: Vec<&SupportLine<'_>> = self.calendar.values().collect();
        for (kind, bytes) in [
            (Kind::Provenance, postcard::to_allocvec(&provenance).map_err(io::Error::other)?),
            (Kind::Calendar, postcard::to_allocvec(&calendar).map_err(io::Error::other)?),
        ] {
            writer.write_all(&bytes)?;
            sections.push(Placed::of(kind, String::new(), 0, &bytes, &mut offset));
        }
        let mut records = self.records.finish()?;
        writer.write_all(&records.index)?;
        sections.push(Placed::of(Kind::Index, String::new(), 0, &records.index, &mut offset));
        records.write(&mut writer)?;
        sections.push(Placed {
            kind: Kind::Records,
            name: String::new(),
            count: records.count,
            offset,
            length: records.length,
            digest: *blake3::hash(&records.places).as_bytes(),
        });
        offset += records.length;
        writer.flush()?;
        drop(writer);
        let head = header_bytes(&sections, built);
        debug_assert_eq!(
            head.len() as u64,
            header,
            "the header has the length that was kept free for it"
        );
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&head)?;
        out.set_len(offset)?;
        summary.bytes = offset;
        Ok(summary)
    }
}

fn row(advisory: Word, record: u32, statement: &Statement<'_>, said: &Said) -> Row {
    let unfixed = !matches!(statement.status, Status::Fixed | Status::NotAffected);
    let from_the_beginning = statement.introduced.as_deref() == Some("0");
    Row {
        package: said.package,
        advisory,
        introduced: if from_the_beginning { Word::NONE } else { said.introduced },
        fixed: said.fixed,
        last_affected: said.last_affected,
        word: if unfixed { said.word } else { Word::NONE },
        module: said.module,
        published: statement.published.map(day),
        record,
        channel: statement.channel,
        status: statement.status,
        by: statement.by,
    }
}

struct Placed {
    kind: Kind,
    name: String,
    count: u32,
    offset: u64,
    length: u64,
    digest: [u8; 32],
}

impl Placed {
    fn of(kind: Kind, name: String, count: u32, bytes: &[u8], offset: &mut u64) -> Self {
        let placed = Self {
            kind,
            name,
            count,
            offset: *offset,
            length: bytes.len() as u64,
            digest: *blake3::hash(bytes).as_bytes(),
        };
        *offset += placed.length;
        placed
    }
}

fn header_length(names: usize, sections: usize) -> u64 {
    (PREFIX + sections * ENTRY + names + crate::format::DIGEST) as u64
}

fn header_bytes(sections: &[Placed], built: Option<Instant>) -> Vec<u8> {
    let count = |n: usize| {
        u32::try_from(n).expect("a header counts far below four thousand million").to_le_bytes()
    };
    let names: String = sections.iter().map(|s| s.name.as_str()).collect();
    let mut head = Vec::new();
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend(count(sections.len()));
    head.extend(count(names.len()));
    head.extend(0_u32.to_le_bytes());
    head.extend(built.map_or(0, Instant::as_second).to_le_bytes());
    let mut at = 0;
    for section in sections {
        head.extend((section.kind as u32).to_le_bytes());
        head.extend(count(at));
        head.extend(count(section.name.len()));
        head.extend(section.count.to_le_bytes());
        head.extend(section.offset.to_le_bytes());
        head.extend(section.length.to_le_bytes());
        head.extend(section.digest);
        at += section.name.len();
    }
    head.extend(names.as_bytes());
    let digest = blake3::hash(&head);
    head.extend(digest.as_bytes());
    head
}

/// Tells the statements that a verdict can depend on. The others stay in the cold part; so does a fix without the
/// version that has it, which decides nothing about any version.
fn is_judged(statement: &Statement<'_>) -> bool {
    let versionless = statement.status == Status::Fixed && statement.fixed.is_none();
    // A name of CPE that the catalogue does not ask for is in no section: there are a hundred thousand of them.
    if statement.release == "cpe" && !catalog::is_known_cpe(&statement.package) {
        return false;
    }
    !matches!(statement.channel, Channel::Other | Channel::Livepatch)
        && statement.status != Status::DoesNotExist
        && !versionless
}

/// Returns how bad a record says it is, and whether in the vendor's own word (which counts before a computed score).
fn severity_of(record: &Record<'_>) -> (Severity, bool) {
    let words = record
        .severities
        .iter()
        .filter(|s| !s.system.starts_with("CVSS"))
        .map(|s| Severity::from_word(&s.score))
        .max();
    if let Some(severity) = words.filter(|s| *s != Severity::Unknown) {
        return (severity, true);
    }
    let scores = record
        .severities
        .iter()
        .filter(|s| s.system.starts_with("CVSS"))
        .filter_map(|s| muster_core::cvss::severity(&s.score))
        .max();
    (scores.unwrap_or_default(), false)
}
