//! The OSV schema, 1.0 to 1.7 (ossf.github.io/osv-schema), whoever writes it: Canonical, Debian, Alpine, AlmaLinux,
//! Rocky, Red Hat, Freexian, PyPI, Drupal. A record a file, a record a line, or an array of them.
//!
//! The lists of enumerated versions are not read: ranges say the same in less, and where there is no range the
//! statement says `versions listed` and is undetermined. Ranges over git commits say nothing of packages and are
//! passed over. What a vendor adds in its own part of the schema is read where it changes a verdict: Canonical's
//! pockets, availability and tracker states, Debian's urgency.
//!
//! Module streams of RPM: no field holds them. The title does (`nodejs:16 security update`) for 15,513 of AlmaLinux's
//! 15,685 modular statements; where it is silent, the stream is `?`. That a statement is modular at all is told by its
//! fixed version (`.module_el8…`), since a title with a colon need not be (`python3:3.6.8 security update`).

use std::borrow::Cow;
use std::fmt;
use std::hash::BuildHasher as _;
use std::io::{BufRead, Read as _};

use hashbrown::{DefaultHashBuilder, HashMap};
use muster_core::advisory::{
    By, Channel, Form, Item, Record, Severity, Sink, Statement, Status, Text,
};
use muster_core::time::Instant;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::ecosystem::{Place, place};
use crate::json::{ELEMENT, List, Str, Walk, outer_keys, parse};
use crate::lines::problem;
use crate::{Document, Feed, Recognised};

/// The reader of OSV records.
pub(crate) struct Osv;

impl Feed for Osv {
    fn name(&self) -> &'static str {
        "osv"
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        let start = head.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
        let object = head.get(start..).map_or(head, |h| h.strip_prefix(b"[").unwrap_or(h));
        // Where records stand on lines of their own, the first of them may be the broken one.
        let among_lines = || lines_of(head).skip(1).any(|l| l.starts_with(b"{") && is_record(l));
        if is_record(object) || among_lines() { Recognised::Yes } else { Recognised::No }
    }

    fn ids_are_unique(&self) -> bool {
        true
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut seen = Seen::default();
        match shape(document.reader) {
            Shape::Array => read_array(path, document.reader, sink, &mut seen),
            Shape::Lines => read_lines(path, document.reader, sink, &mut seen),
            Shape::One => read_one(path, document.reader, sink, &mut seen),
        }
    }
}

/// Judges whether an object, as far as it is there, is a record.
fn is_record(object: &[u8]) -> bool {
    let keys = outer_keys(object);
    let has = |key: &str| keys.iter().any(|k| k == key);
    let affected = has("affected") && memchr::memmem::find(object, b"\"ecosystem\"").is_some();
    affected || has("id") && (has("schema_version") || has("modified"))
}

fn lines_of(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end)
}

/// How records stand in a document.
enum Shape {
    Array,
    /// A record a line.
    Lines,
    /// One record, laid out over lines.
    One,
}

/// Tells the shape from the first bytes: records on lines of their own begin a line each.
fn shape(reader: &mut dyn BufRead) -> Shape {
    let Ok(head) = reader.fill_buf() else { return Shape::One };
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if head.first() == Some(&b'[') {
        return Shape::Array;
    }
    // One line that is a record, whole or as far as it is there, tells: what is broken around it costs only itself.
    let mut lines = lines_of(head).filter(|line| !line.is_empty());
    let begins = |line: &[u8]| line.starts_with(b"{");
    let first = lines.next().unwrap_or_default();
    let is_first = begins(first) && first.ends_with(b"}") && is_record(first);
    let Some(next) = lines.next().filter(|_| !is_first) else { return Shape::Lines };
    let among = |line: &[u8]| begins(line) && is_record(line);
    if begins(next) || among(next) || lines.any(among) { Shape::Lines } else { Shape::One }
}

/// What a document has said by now: each id, with a digest of the record.
#[derive(Default)]
struct Seen {
    hasher: DefaultHashBuilder,
    records: HashMap<u64, u64>,
}

impl Seen {
    /// Takes note of a record; returns the digest of the one of the same id before it.
    fn meet(&mut self, id: &str, digest: u64) -> Option<u64> {
        self.records.insert(self.hasher.hash_one(id), digest)
    }
}

fn read_array(path: &str, reader: &mut dyn BufRead, sink: &mut dyn Sink, seen: &mut Seen) {
    let mut walk = Walk::new(reader);
    if let Err(broken) = walk.array() {
        return walk.report(path, &broken, sink);
    }
    loop {
        let line = walk.line();
        match walk
            .more()
            .and_then(|more| if more { walk.value(ELEMENT).map(Some) } else { Ok(None) })
        {
            Ok(None) => return nothing_follows(path, &mut walk, sink),
            Ok(Some(Some(raw))) => take(raw.bytes, path, raw.line, sink, seen),
            Ok(Some(None)) => sink.problem(problem(path, line, too_long())),
            Err(broken) => return walk.report(path, &broken, sink),
        }
    }
}

/// Says that something follows where the document should end: records there would be lost without a word.
fn nothing_follows(path: &str, walk: &mut Walk<'_>, sink: &mut dyn Sink) {
    if let Ok(Some(_)) = walk.peek() {
        sink.problem(problem(path, walk.line(), "what follows the array of records was not read"));
    }
}

fn too_long() -> String {
    format!("a record is longer than the {ELEMENT} bytes that are read: passed over")
}

/// A record a line: a broken one costs only itself, one too long is passed over without being held.
fn read_lines(path: &str, reader: &mut dyn BufRead, sink: &mut dyn Sink, seen: &mut Seen) {
    let mut buffer = Vec::new();
    for number in 1.. {
        buffer.clear();
        match (&mut *reader).take(ELEMENT as u64 + 1).read_until(b'\n', &mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => return sink.problem(problem(path, number, stopped(&error))),
        }
        if buffer.len() > ELEMENT && buffer.last() != Some(&b'\n') {
            sink.problem(problem(path, number, too_long()));
            if let Err(error) = pass_over_line(reader) {
                return sink.problem(problem(path, number, stopped(&error)));
            }
            continue;
        }
        let line = buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&buffer).trim_ascii();
        if !line.is_empty() {
            take(line, path, number, sink, seen);
        }
    }
}

fn read_one(path: &str, reader: &mut dyn BufRead, sink: &mut dyn Sink, seen: &mut Seen) {
    let mut bytes = Vec::new();
    match (&mut *reader).take(ELEMENT as u64 + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() > ELEMENT => sink.problem(problem(path, 1, too_long())),
        Ok(_) => {
            take(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes), path, 1, sink, seen);
        }
        Err(error) => sink.problem(problem(path, 1, stopped(&error))),
    }
}

fn stopped(error: &std::io::Error) -> String {
    format!("reading stopped: {error}")
}

fn pass_over_line(reader: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let (used, done) =
            memchr::memchr(b'\n', chunk).map_or((chunk.len(), false), |at| (at + 1, true));
        reader.consume(used);
        if done {
            return Ok(());
        }
    }
}

fn take(bytes: &[u8], path: &str, line: u64, sink: &mut dyn Sink, seen: &mut Seen) {
    let entry: Entry<'_> = match parse(bytes, path, line) {
        Ok(entry) => entry,
        Err(problem) => return sink.problem(problem),
    };
    if entry.id.0.is_empty() {
        return sink.problem(problem(path, line, "the record has no id"));
    }
    let digest = seen.hasher.hash_one(bytes.trim_ascii());
    match seen.meet(&entry.id.0, digest) {
        // AlmaLinux files one notice under each release it is for: the same said again is no news.
        Some(before) if before == digest => return,
        Some(_) => {
            let what =
                format!("the id {} stands here a second time, and says otherwise", entry.id.0);
            sink.problem(problem(path, line, what));
        }
        None => {}
    }
    for affected in &entry.affected.0 {
        if affected.ranges.alone {
            let what =
                format!("{}: ranges is no array: read as one range", affected.package.name.0);
            sink.problem(problem(path, line, what));
        }
    }
    for what in entry.odd_times() {
        sink.problem(problem(path, line, what));
    }
    sink.item(Item::Record(entry.record()));
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    id: Str<'a>,
    #[serde(borrow, default)]
    aliases: List<Str<'a>>,
    #[serde(borrow, default)]
    upstream: List<Str<'a>>,
    #[serde(borrow, default)]
    related: List<Str<'a>>,
    #[serde(borrow, default)]
    summary: Option<Str<'a>>,
    #[serde(borrow, default)]
    details: Option<Str<'a>>,
    #[serde(borrow, default)]
    severity: List<Score<'a>>,
    #[serde(borrow, default)]
    published: Option<Str<'a>>,
    #[serde(borrow, default)]
    modified: Option<Str<'a>>,
    #[serde(borrow, default)]
    withdrawn: Option<Str<'a>>,
    #[serde(borrow, default)]
    references: List<Reference<'a>>,
    #[serde(borrow, default)]
    affected: List<Affected<'a>>,
}

#[derive(Deserialize)]
struct Score<'a> {
    #[serde(borrow, default, rename = "type")]
    system: Str<'a>,
    #[serde(borrow, default)]
    score: Str<'a>,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, default)]
    url: Str<'a>,
}

#[derive(Deserialize)]
struct Affected<'a> {
    #[serde(borrow, default)]
    package: Package<'a>,
    #[serde(borrow, default)]
    ranges: Ranges<'a>,
    #[serde(default)]
    versions: List<IgnoredAny>,
    #[serde(borrow, default)]
    severity: List<Score<'a>>,
    #[serde(borrow, default)]
    ecosystem_specific: Option<Specific<'a>>,
}

#[derive(Default, Deserialize)]
struct Package<'a> {
    #[serde(borrow, default)]
    ecosystem: Str<'a>,
    #[serde(borrow, default)]
    name: Str<'a>,
    #[serde(borrow, default)]
    purl: Option<Str<'a>>,
}

/// Ranges; Freexian once wrote one range without the array around it.
#[derive(Default)]
struct Ranges<'a> {
    ranges: Vec<Range<'a>>,
    alone: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Ranges<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RangesVisitor)
    }
}

struct RangesVisitor;

impl<'de> Visitor<'de> for RangesVisitor {
    type Value = Ranges<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of ranges")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Ranges::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut ranges = Vec::new();
        while let Some(range) = seq.next_element()? {
            ranges.push(range);
        }
        Ok(Ranges { ranges, alone: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let range = Range::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Ranges { ranges: vec![range], alone: true })
    }
}

#[derive(Deserialize)]
struct Range<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow, default)]
    events: List<Event<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    introduced: Option<Str<'a>>,
    #[serde(borrow, default)]
    fixed: Option<Str<'a>>,
    #[serde(borrow, default)]
    last_affected: Option<Str<'a>>,
}

#[derive(Default, Deserialize)]
struct Specific<'a> {
    #[serde(borrow, default)]
    binaries: List<Binary<'a>>,
    #[serde(borrow, default)]
    availability: Option<Str<'a>>,
    #[serde(borrow, default)]
    uct_status: Option<Str<'a>>,
    #[serde(borrow, default)]
    urgency: Option<Str<'a>>,
}

/// Canonical's binaries: today one object a package, before that an object of names to versions.
#[derive(Deserialize)]
struct Binary<'a> {
    #[serde(borrow, default)]
    binary_name: Option<Str<'a>>,
    #[serde(borrow, default)]
    binary_version: Option<Str<'a>>,
}

impl<'a> Entry<'a> {
    /// Names the times that are none.
    fn odd_times(&self) -> Vec<String> {
        let mut odd = Vec::new();
        for (name, text) in [
            ("published", &self.published),
            ("modified", &self.modified),
            ("withdrawn", &self.withdrawn),
        ] {
            if let Some(text) = text
                && time(Some(text)).is_none()
            {
                odd.push(format!("{name} of {} is no time: {:?}", self.id.0, text.0));
            }
        }
        odd
    }

    fn record(self) -> Record<'a> {
        let form = form_of(&self.id.0);
        let (published, modified) = (time(self.published.as_ref()), time(self.modified.as_ref()));
        // A record whose time of withdrawal cannot be read is withdrawn all the same.
        let withdrawn = self
            .withdrawn
            .as_ref()
            .map(|text| time(Some(text)).or(modified).unwrap_or(Instant::UNIX_EPOCH));
        let summary = self.summary.map(|s| s.0).unwrap_or_default();
        let streams = streams(&summary);
        let cves = cves(&self.id.0, form, [&self.upstream, &self.aliases, &self.related]);
        let mut severities: Vec<Severity<'a>> = self.severity.0.into_iter().map(severity).collect();
        severities.extend(word_of_title(&summary));
        let mut statements = Vec::new();
        for affected in self.affected.0 {
            severities.extend(affected.statements(&streams, &mut statements));
        }
        severities.dedup();
        keep_one_build(&mut statements);
        if self.id.0.starts_with("ELA-") {
            // Freexian files its notices under Debian's ecosystem; who does not pay does not get them.
            statements.iter_mut().for_each(|s| s.channel = Channel::Elts);
        }
        Record {
            id: self.id.0,
            form,
            cves,
            aliases: texts(self.aliases),
            related: texts(self.related),
            title: summary,
            details: self.details.map(|d| d.0).unwrap_or_default(),
            severities,
            published,
            modified,
            withdrawn,
            references: self.references.0.into_iter().map(|r| r.url.0).collect(),
            statements,
        }
    }
}

fn texts<'a>(list: List<Str<'a>>) -> Vec<Text<'a>> {
    list.0.into_iter().map(|s| s.0).collect()
}

fn severity<'a>(score: Score<'a>) -> Severity<'a> {
    Severity { system: score.system.0, score: score.score.0 }
}

fn time(text: Option<&Str<'_>>) -> Option<Instant> {
    text?.0.parse().ok()
}

/// Notices are told by the names their vendors give them.
fn form_of(id: &str) -> Form {
    const NOTICES: [&str; 14] = [
        "USN-", "DSA-", "DLA-", "DTSA-", "ELA-", "ALSA-", "ALBA-", "ALEA-", "RLSA-", "RLBA-",
        "RXSA-", "RHSA-", "RHBA-", "RHEA-",
    ];
    if id.starts_with("LSN-") {
        Form::LivePatch
    } else if NOTICES.iter().any(|n| id.starts_with(n)) {
        Form::Notice
    } else {
        Form::Vulnerability
    }
}

/// Returns the CVEs that a record speaks of, each once, in the order in which they stand.
fn cves<'a>(id: &str, form: Form, lists: [&List<Str<'a>>; 3]) -> Vec<Text<'a>> {
    let mut cves: Vec<Text<'a>> = Vec::new();
    let mut add = |text: Cow<'a, str>| {
        if !cves.contains(&text) {
            cves.push(text);
        }
    };
    if let Some(own) = cve_of(id) {
        add(Cow::Owned(own.to_owned()));
    }
    let [upstream, aliases, related] = lists;
    // A vulnerability's related ids are other flaws; a notice's are those that it closes.
    let lists = if form == Form::Vulnerability {
        vec![upstream, aliases]
    } else {
        vec![upstream, aliases, related]
    };
    for text in lists.into_iter().flat_map(|l| &l.0) {
        match (&text.0, cve_of(&text.0)) {
            (Cow::Borrowed(text), Some(_)) => add(Cow::Borrowed(cve_of(text).unwrap_or(text))),
            (Cow::Owned(_), Some(cve)) => add(Cow::Owned(cve.to_owned())),
            (_, None) => {}
        }
    }
    cves
}

/// Returns the CVE within an id: `CVE-2021-3782` of `UBUNTU-CVE-2021-3782`.
fn cve_of(id: &str) -> Option<&str> {
    let at = if id.starts_with("CVE-") { 0 } else { id.find("-CVE-")? + 1 };
    id.get(at..)
}

/// Returns the module streams that a title names (`nodejs:16 security update`): the records say it nowhere else.
fn streams(title: &str) -> String {
    let mut streams: Vec<&str> = Vec::new();
    for word in title.split([' ', ',', ';']) {
        let Some((module, stream)) = word.split_once(':') else { continue };
        let named = |s: &str| {
            !s.is_empty()
                && s.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+'))
        };
        if named(module) && named(stream) && !streams.contains(&word) {
            streams.push(word);
        }
    }
    streams.join("|")
}

/// `Important: firefox security update` says how bad it is in its first word.
fn word_of_title(title: &str) -> Option<Severity<'static>> {
    let (word, _) = title.split_once(':')?;
    let known =
        muster_core::finding::Severity::from_word(word) != muster_core::finding::Severity::Unknown;
    known.then(|| Severity { system: "title".into(), score: word.to_owned().into() })
}

impl<'a> Affected<'a> {
    /// Adds what is said of one package, and returns the severities that are said of it alone.
    fn statements(self, streams: &str, statements: &mut Vec<Statement<'a>>) -> Vec<Severity<'a>> {
        if self.package.name.0.is_empty() {
            return self.severity.0.into_iter().map(severity).collect();
        }
        let specific = self.ecosystem_specific.unwrap_or_default();
        let pocket = self.package.purl.as_ref().and_then(|p| purl_distro(&p.0));
        let availability = specific.availability.as_ref().map(|a| &*a.0);
        let place = place(&self.package.ecosystem.0, pocket.as_deref(), availability);
        let word = specific.uct_status.or(specific.availability).or(specific.urgency);
        let word = word.map(|w| w.0).unwrap_or_default();
        let binaries: Vec<(Text<'a>, Text<'a>)> = specific
            .binaries
            .0
            .into_iter()
            .filter_map(|b| {
                Some((b.binary_name?.0, b.binary_version.map(|v| v.0).unwrap_or_default()))
            })
            .collect();
        let template = Statement {
            channel: place.channel,
            package: self.package.name.0,
            by: place.by,
            word,
            binaries,
            ..Statement::default()
        };
        let ranges = self.ranges.ranges;
        let before = statements.len();
        let over_commits = !ranges.is_empty() && ranges.iter().all(|r| r.kind.0 == "GIT");
        for range in ranges.into_iter().filter(|r| r.kind.0 != "GIT") {
            pairs(range, &template, &place, streams, statements);
        }
        let listed = !self.versions.0.is_empty();
        let said = statements.len() > before;
        if !said && listed {
            let word = "versions listed".into();
            let release = place.release.clone();
            let status = Status::Undetermined;
            statements.push(Statement { word, release, status, ..template });
        } else if !said && !over_commits {
            // Neither ranges nor versions: every version is affected.
            statements.push(finish(template, &place, streams));
        }
        self.severity.0.into_iter().map(severity).collect()
    }
}

/// Cuts a range's events into pairs of a beginning and an end.
fn pairs<'a>(
    range: Range<'a>,
    template: &Statement<'a>,
    place: &Place,
    streams: &str,
    statements: &mut Vec<Statement<'a>>,
) {
    let mut open: Option<Option<Text<'a>>> = None;
    let mut events = range.events.0;
    // The order of events means nothing to the schema; the beginning of all versions comes first.
    events.sort_by_key(|e| e.introduced.as_ref().is_none_or(|i| i.0 != "0"));
    for event in events {
        if let Some(introduced) = event.introduced
            && let Some(before) = open.replace(Some(introduced.0))
        {
            statements.push(finish(
                Statement { introduced: before, ..template.clone() },
                place,
                streams,
            ));
        }
        if event.fixed.is_some() || event.last_affected.is_some() {
            let statement = Statement {
                introduced: open.take().flatten(),
                fixed: event.fixed.map(|f| f.0),
                last_affected: event.last_affected.map(|l| l.0),
                ..template.clone()
            };
            statements.push(finish(statement, place, streams));
        }
    }
    if let Some(introduced) = open {
        statements.push(finish(Statement { introduced, ..template.clone() }, place, streams));
    }
}

/// Fills in what follows from the rest of a statement.
fn finish<'a>(mut statement: Statement<'a>, place: &Place, streams: &str) -> Statement<'a> {
    statement.release = place.release.clone();
    statement.status = match &statement.fixed {
        // A fix at version 0 says that no version of this release was ever affected.
        Some(fixed) if *fixed == "0" => Status::NotAffected,
        Some(_) => Status::Fixed,
        None => status_of_word(&statement.word),
    };
    if statement.status == Status::NotAffected {
        statement.fixed = None;
    }
    if statement.fixed.as_deref().is_some_and(|f| f.contains(".module")) {
        statement.module =
            Some(if streams.is_empty() { "?".into() } else { streams.to_owned().into() });
    }
    statement
}

fn status_of_word(word: &str) -> Status {
    match word.split([' ', '(']).next().unwrap_or_default() {
        "needed" => Status::Needed,
        "needs-triage" => Status::NeedsTriage,
        "pending" => Status::Pending,
        "deferred" => Status::Deferred,
        "ignored" => Status::Ignored,
        "not-affected" => Status::NotAffected,
        "DNE" => Status::DoesNotExist,
        // Debian's urgency of a package whose support ended.
        "end-of-life" => Status::EndOfLife,
        _ => Status::Affected,
    }
}

/// One advisory may list two builds of a binary package (for two streams, or rebuilt): either is mended, so the older counts.
fn keep_one_build(statements: &mut Vec<Statement<'_>>) {
    let order = |a: &str, b: &str| muster_version::Scheme::Rpm.compare_lenient(a, b);
    if !statements.iter().any(|s| s.by == By::Binary) {
        return;
    }
    statements.sort_by(|a, b| {
        let by_text = a.release.cmp(&b.release).then_with(|| a.package.cmp(&b.package));
        let by_name = by_text.then_with(|| a.module.is_some().cmp(&b.module.is_some()));
        by_name.then_with(|| {
            order(a.fixed.as_deref().unwrap_or_default(), b.fixed.as_deref().unwrap_or_default())
        })
    });
    statements.dedup_by(|later, first| {
        later.fixed.is_some()
            && later.introduced == first.introduced
            && (&later.release, &later.package, &later.module)
                == (&first.release, &first.package, &first.module)
    });
}

/// Returns the `distro` of a purl, with its escapes undone as far as pockets need them.
fn purl_distro(purl: &str) -> Option<String> {
    let (_, query) = purl.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix("distro="))?;
    Some(value.replace("%2F", "/").replace("%2f", "/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes};

    #[test]
    fn every_vendors_own_is_read() {
        check(&Osv, "osv/vendors.ndjson");
    }

    #[test]
    fn a_record_may_be_laid_out_or_stand_in_an_array() {
        check(&Osv, "osv/laid-out.json");
        check(&Osv, "osv/array.json");
    }

    #[test]
    fn a_broken_line_costs_only_itself() {
        check(&Osv, "osv/broken.ndjson");
    }

    #[test]
    fn it_costs_only_itself_wherever_it_stands() {
        let good = |n: u32| {
            format!(
                "{{\"id\":\"DSA-{n}-1\",\"modified\":\"2031-01-01T00:00:00Z\",\"affected\":[]}}\n"
            )
        };
        let long = good(3).replace("[]}", &format!("[],\"details\":\"{}\"}}", "x".repeat(9000)));
        for broken in ["GARBAGE\n", "{\n", "}\n", "{\"id\":\"DSA-9-1\",\"modif\n", "\u{1}\n\n"] {
            for (at, text) in [
                (1, format!("{broken}{}{}", good(1), good(2))),
                (1, format!("{broken}{long}{}", good(2))),
                (2, format!("{}{broken}{}", good(1), good(2))),
                (2, format!("{}{broken}{long}", good(1))),
                (3, format!("{}{}{broken}", good(1), good(2))),
            ] {
                // A source shows the first 4096 bytes alone, as here.
                let head = text.as_bytes().get(..4096).unwrap_or(text.as_bytes());
                assert_eq!(Osv.recognises("p", head), Recognised::Yes, "{text:.90}");
                let mut heard = crate::testing::Heard::default();
                let mut reader = std::io::BufReader::with_capacity(4096, text.as_bytes());
                Osv.read(&mut Document { path: "p", reader: &mut reader }, &mut heard);
                assert_eq!(heard.items.len(), 2, "{text:.90}");
                assert_eq!(heard.problems.len(), 1, "{text:.90}: {:?}", heard.problems);
                assert_eq!(heard.problems[0].line, Some(at), "{:?}", heard.problems);
            }
        }
    }

    #[test]
    fn what_follows_an_array_is_said() {
        let mut text: &[u8] =
            b"[]\n{\"id\":\"DSA-1-1\",\"modified\":\"2031-01-01T00:00:00Z\",\"affected\":[]}\n";
        let mut heard = crate::testing::Heard::default();
        Osv.read(&mut Document { path: "p", reader: &mut text }, &mut heard);
        assert_eq!((heard.problems.len(), heard.problems[0].line), (1, Some(2)));
    }

    /// Repeats a line's middle without end, and tells how much of it was asked for at once.
    struct Endless {
        start: &'static [u8],
        left: usize,
        end: &'static [u8],
    }

    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if !self.start.is_empty() {
                return std::io::Read::read(&mut self.start, buffer);
            }
            let read = self.left.min(buffer.len());
            self.left -= read;
            buffer[..read].fill(b'x');
            if read == 0 { std::io::Read::read(&mut self.end, buffer) } else { Ok(read) }
        }
    }

    #[test]
    fn a_record_of_a_hundred_megabytes_is_passed_over() {
        let endless = Endless {
            start: b"{\"id\":\"CVE-1\",\"modified\":\"2031-01-01T00:00:00Z\"}\n{\"id\":\"",
            left: 100 << 20,
            end: b"\"}\n{\"id\":\"CVE-2\",\"modified\":\"2031-01-01T00:00:00Z\"}\n",
        };
        let mut reader = std::io::BufReader::new(endless);
        let mut heard = crate::testing::Heard::default();
        Osv.read(&mut Document { path: "p", reader: &mut reader }, &mut heard);
        assert_eq!(heard.items.len(), 2);
        assert_eq!(heard.problems.len(), 1);
        assert_eq!(heard.problems[0].line, Some(2));
    }

    #[test]
    fn streams_are_told_by_titles() {
        assert_eq!(
            streams("Important: idm:DL1 and idm:client security update"),
            "idm:DL1|idm:client"
        );
        assert_eq!(streams("new module: php:7.4"), "php:7.4");
        assert_eq!(streams("Low: pier security update"), "");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/osv/vendors.ndjson");
        holds_on_any_bytes(&Osv, "osv.ndjson", good);
    }
}
