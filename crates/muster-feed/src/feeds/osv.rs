//! The OSV schema, 1.0 to 1.7 (ossf.github.io/osv-schema), whoever writes it: Canonical, Debian, Alpine, AlmaLinux,
//! Rocky, Red Hat, Freexian, PyPI, Drupal. A record a file, a record a line, or an array of them.
//!
//! The lists of enumerated versions are not read: ranges say the same in less. Ranges over git commits say nothing of
//! packages and are passed over. What a vendor adds in its own part of the schema is read where it changes a verdict:
//! Canonical's pockets, availability and tracker states, Debian's urgency.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{BufRead, Read as _};

use muster_core::advisory::{
    By, Channel, Form, Item, Record, Severity, Sink, Statement, Status, Text,
};
use muster_core::time::Instant;
use serde::Deserialize;

use super::ecosystem::{Place, place};
use crate::json::{ELEMENT, List, OneOrMany, Str, Walk, outer_keys, parse};
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
        let keys = outer_keys(object);
        let has = |key: &str| keys.iter().any(|k| k == key);
        let affected = has("affected") && memchr::memmem::find(head, b"\"ecosystem\"").is_some();
        let named = has("id") && (has("schema_version") || has("modified") || affected);
        if named || affected { Recognised::Yes } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut seen = HashSet::new();
        match first_byte(document.reader) {
            Some(b'[') => read_array(path, document.reader, sink, &mut seen),
            _ => read_lines(path, document.reader, sink, &mut seen),
        }
    }
}

fn first_byte(reader: &mut dyn BufRead) -> Option<u8> {
    reader.fill_buf().ok()?.iter().copied().find(|b| !b.is_ascii_whitespace())
}

fn read_array(
    path: &str,
    reader: &mut dyn BufRead,
    sink: &mut dyn Sink,
    seen: &mut HashSet<String>,
) {
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
            Ok(None) => return,
            Ok(Some(Some(raw))) => take(raw.bytes, path, raw.line, sink, seen),
            Ok(Some(None)) => sink.problem(problem(path, line, too_long())),
            Err(broken) => return walk.report(path, &broken, sink),
        }
    }
}

fn too_long() -> String {
    format!("a record is longer than the {ELEMENT} bytes that are read: passed over")
}

/// A record a line; a first line that is no whole record begins one that goes over several lines.
fn read_lines(
    path: &str,
    reader: &mut dyn BufRead,
    sink: &mut dyn Sink,
    seen: &mut HashSet<String>,
) {
    let mut buffer = Vec::new();
    let mut number = 0;
    loop {
        buffer.clear();
        number += 1;
        match (&mut *reader).take(ELEMENT as u64 + 1).read_until(b'\n', &mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                return sink.problem(problem(path, number, format!("reading stopped: {error}")));
            }
        }
        if buffer.len() > ELEMENT {
            sink.problem(problem(path, number, too_long()));
            if let Err(error) = pass_over_line(reader) {
                return sink.problem(problem(path, number, format!("reading stopped: {error}")));
            }
            continue;
        }
        if buffer.trim_ascii().is_empty() {
            continue;
        }
        let whole =
            buffer.trim_ascii_end().ends_with(b"}") && buffer.trim_ascii_start().starts_with(b"{");
        if seen.is_empty() && !whole {
            return read_one(path, number, reader, buffer, sink, seen);
        }
        take(&buffer, path, number, sink, seen);
    }
}

/// Reads the one record of a document, of which the first line is known.
fn read_one(
    path: &str,
    line: u64,
    reader: &mut dyn BufRead,
    mut bytes: Vec<u8>,
    sink: &mut dyn Sink,
    seen: &mut HashSet<String>,
) {
    let left = (ELEMENT - bytes.len().min(ELEMENT)) as u64;
    match (&mut *reader).take(left + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() > ELEMENT => sink.problem(problem(path, line, too_long())),
        Ok(_) => take(&bytes, path, line, sink, seen),
        Err(error) => sink.problem(problem(path, line, format!("reading stopped: {error}"))),
    }
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

fn take(bytes: &[u8], path: &str, line: u64, sink: &mut dyn Sink, seen: &mut HashSet<String>) {
    let entry: Entry<'_> = match parse(bytes, path, line) {
        Ok(entry) => entry,
        Err(problem) => return sink.problem(problem),
    };
    if entry.id.0.is_empty() {
        return sink.problem(problem(path, line, "the record has no id"));
    }
    // A notice may be given once for each release: only the same id for the same release is one too many.
    let release = entry.affected.0.first().map_or("", |a| &a.package.ecosystem.0);
    if !seen.insert(format!("{} {release}", entry.id.0)) {
        sink.problem(problem(
            path,
            line,
            format!("the id {} stands here a second time", entry.id.0),
        ));
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
    ranges: OneOrMany<Range<'a>>,
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
        let specific = self.ecosystem_specific.unwrap_or_default();
        let pocket = self.package.purl.as_ref().and_then(|p| purl_distro(&p.0));
        let availability = specific.availability.as_ref().map(|a| &*a.0);
        let place = place(&self.package.ecosystem.0, pocket.as_deref(), availability);
        let word = specific.uct_status.or(specific.availability).map(|w| w.0).unwrap_or_default();
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
        let ranges = self.ranges.0.into_iter().filter(|r| r.kind.0 != "GIT");
        let before = statements.len();
        for range in ranges {
            pairs(range, &template, &place, streams, statements);
        }
        if statements.len() == before {
            // A package without a range is affected in every version, or in those that are listed one by one.
            statements.push(finish(template, &place, streams));
        }
        let urgency = specific.urgency.map(|u| Severity { system: "urgency".into(), score: u.0 });
        self.severity.0.into_iter().map(severity).chain(urgency).collect()
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
    for event in range.events.0 {
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
    statement.release = place.release.clone().into();
    statement.status = match &statement.fixed {
        // A fix at version 0 says that no version of this release was ever affected.
        Some(fixed) if fixed == "0" => Status::NotAffected,
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
        let key =
            |s: &Statement<'_>| (s.release.to_string(), s.package.to_string(), s.module.is_some());
        key(a).cmp(&key(b)).then_with(|| {
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
