//! Ubuntu's security notices: the database that Canonical publishes whole (`database-all.json`, an object of notices by
//! number) and the pages of its interface (`/security/notices.json`, and one notice each).
//!
//! No schema of either is published; the fields are those that the two carry. A notice ties release, source and fixed
//! version together and alone knows the day on which the fix came out; one without a CVE is kept. The lists of files of
//! each architecture are not read.

use muster_core::advisory::{By, Channel, Form, Item, Record, Sink, Statement, Status, Text};
use muster_core::time::Instant;
use serde::Deserialize;

use super::ecosystem::{codenamed, pocket_named};
use crate::json::{Broken, ELEMENT, List, Members, Str, Walk, outer_keys};
use crate::lines::{instant, problem};
use crate::{Document, Feed, Recognised};

/// The reader of Ubuntu's notices.
pub(crate) struct Usn;

impl Feed for Usn {
    fn name(&self) -> &'static str {
        "ubuntu-usn"
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        let page = outer_keys(head).iter().any(|k| k == "notices") && mentions_page(head);
        if page || is_notice(head) || begins_database(head) {
            Recognised::Yes
        } else {
            Recognised::No
        }
    }

    fn ids_are_unique(&self) -> bool {
        true
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let alone = document.reader.fill_buf().is_ok_and(is_notice);
        let mut walk = Walk::new(document.reader);
        let read =
            if alone { one_page(&mut walk, path, sink) } else { many(&mut walk, path, sink) };
        if let Err(broken) = read {
            walk.report(path, &broken, sink);
        }
    }
}

/// Tells the page of a single notice.
fn is_notice(head: &[u8]) -> bool {
    outer_keys(head).iter().any(|k| matches!(k.as_str(), "cves_ids" | "release_packages"))
}

fn mentions_page(head: &[u8]) -> bool {
    [
        "\"notices_ids\"",
        "\"cves_ids\"",
        "\"release_packages\"",
        "\"is_hidden\"",
        "\"total_results\"",
    ]
    .iter()
    .any(|key| memchr::memmem::find(head, key.as_bytes()).is_some())
}

/// Tells the database by its first key, a notice's number, and the first field of that notice.
fn begins_database(head: &[u8]) -> bool {
    let mut reader = head;
    let mut walk = Walk::new(&mut reader);
    if walk.object().is_err() {
        return false;
    }
    let Ok(Some(key)) = walk.key() else { return false };
    if !is_number(&key) || walk.object().is_err() {
        return false;
    }
    let fields = [
        "action",
        "cves",
        "description",
        "id",
        "isummary",
        "releases",
        "summary",
        "timestamp",
        "title",
    ];
    matches!(walk.key(), Ok(Some(key)) if fields.contains(&key.as_str()))
}

/// `4011-1`.
fn is_number(key: &str) -> bool {
    key.split_once('-').is_some_and(|(number, revision)| {
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        digits(number) && digits(revision)
    })
}

/// Reads the database, or a page with a list of notices.
fn many(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    walk.object()?;
    while let Some(key) = walk.key()? {
        if key == "notices" && walk.peek()? == Some(b'[') {
            walk.array()?;
            while walk.more()? {
                one_page(walk, path, sink)?;
            }
        } else if is_number(&key) {
            one_entry(walk, &key, path, sink)?;
        } else {
            walk.skip()?;
        }
    }
    Ok(())
}

fn one_page(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    let line = walk.line();
    let Some(raw) = walk.value(ELEMENT)? else {
        sink.problem(problem(path, line, too_long("a notice")));
        return Ok(());
    };
    match raw.parse::<Page<'_>>(path) {
        Ok(page) => tell(page.notice(), path, raw.line, sink),
        Err(problem) => sink.problem(problem),
    }
    Ok(())
}

fn one_entry(
    walk: &mut Walk<'_>,
    number: &str,
    path: &str,
    sink: &mut dyn Sink,
) -> Result<(), Broken> {
    let line = walk.line();
    let Some(raw) = walk.value(ELEMENT)? else {
        sink.problem(problem(path, line, too_long(number)));
        return Ok(());
    };
    match raw.parse::<Entry<'_>>(path) {
        Ok(entry) => tell(entry.notice(number), path, raw.line, sink),
        Err(mut problem) => {
            problem.what = format!("{number}: {}", problem.what);
            sink.problem(problem);
        }
    }
    Ok(())
}

fn too_long(what: &str) -> String {
    format!("{what} is longer than the {ELEMENT} bytes that are read: passed over")
}

fn tell(notice: Notice<'_>, path: &str, line: u64, sink: &mut dyn Sink) {
    if notice.record.id.is_empty() {
        return sink.problem(problem(path, line, "the notice has no id"));
    }
    let record = notice.record;
    if record.published.is_none() {
        sink.problem(problem(path, line, format!("{}: its day cannot be read", record.id)));
    }
    sink.item(Item::Record(record));
}

/// A notice of the database.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    title: Option<Str<'a>>,
    #[serde(borrow, default)]
    description: Option<Str<'a>>,
    timestamp: Option<f64>,
    #[serde(borrow, default)]
    cves: List<Str<'a>>,
    #[serde(borrow, default)]
    releases: Members<'a, Release<'a>>,
}

#[derive(Deserialize)]
struct Release<'a> {
    #[serde(borrow, default)]
    sources: Members<'a, Built<'a>>,
    /// The binaries that the notice names to people.
    #[serde(borrow, default)]
    binaries: Members<'a, Built<'a>>,
    /// All that were built.
    #[serde(borrow, default)]
    allbinaries: Members<'a, Built<'a>>,
}

#[derive(Deserialize)]
struct Built<'a> {
    #[serde(borrow, default)]
    version: Option<Str<'a>>,
    #[serde(borrow, default)]
    pocket: Option<Str<'a>>,
    #[serde(borrow, default)]
    source: Option<Str<'a>>,
}

/// A notice of the interface.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, default)]
    id: Str<'a>,
    #[serde(borrow, default)]
    title: Option<Str<'a>>,
    #[serde(borrow, default)]
    description: Option<Str<'a>>,
    #[serde(borrow, default)]
    published: Option<Str<'a>>,
    #[serde(borrow, default)]
    cves_ids: List<Str<'a>>,
    #[serde(borrow, default)]
    references: List<Str<'a>>,
    #[serde(borrow, default)]
    related_notices: List<Str<'a>>,
    #[serde(borrow, default)]
    release_packages: Members<'a, List<Package<'a>>>,
}

#[derive(Deserialize)]
struct Package<'a> {
    #[serde(borrow, default)]
    name: Str<'a>,
    #[serde(borrow, default)]
    version: Option<Str<'a>>,
    #[serde(default)]
    is_source: bool,
    #[serde(borrow, default)]
    pocket: Option<Str<'a>>,
    #[serde(borrow, default)]
    source_link: Option<Str<'a>>,
}

/// A package of a notice, wherever it was read.
struct Fix<'a> {
    name: Text<'a>,
    version: Text<'a>,
    pocket: Option<Text<'a>>,
    source: Option<Text<'a>>,
}

/// A notice on its way to a record.
struct Notice<'a> {
    record: Record<'a>,
}

impl<'a> Entry<'a> {
    fn notice(self, number: &str) -> Notice<'a> {
        let published =
            self.timestamp.and_then(|t| jiff::SignedDuration::try_from_secs_f64(t).ok());
        let published = published.and_then(|t| Instant::from_duration(t).ok());
        let mut notice = Notice::new(format!("USN-{number}").into(), published);
        notice.texts(self.title, self.description);
        notice.speaks_of(self.cves);
        for (codename, release) in self.releases.0 {
            let fix = |(name, built): (Text<'a>, Built<'a>)| Fix {
                name,
                version: built.version.map(|v| v.0).unwrap_or_default(),
                pocket: built.pocket.map(|p| p.0),
                source: built.source.map(|s| s.0),
            };
            let sources = release.sources.0.into_iter().map(fix).collect();
            let mut binaries: Vec<Fix<'a>> = release.allbinaries.0.into_iter().map(fix).collect();
            let known = binaries.len();
            for (name, built) in release.binaries.0 {
                if !binaries.iter().take(known).any(|b| b.name == name) {
                    binaries.push(fix((name, built)));
                }
            }
            notice.release(&codename, sources, binaries);
        }
        notice
    }
}

impl<'a> Page<'a> {
    fn notice(self) -> Notice<'a> {
        let published = self.published.as_ref().and_then(|p| instant(&p.0));
        let mut notice = Notice::new(self.id.0, published);
        notice.texts(self.title, self.description);
        notice.speaks_of(self.cves_ids);
        notice.speaks_of(self.references);
        notice.record.related = self.related_notices.0.into_iter().map(|n| n.0).collect();
        for (codename, packages) in self.release_packages.0 {
            let (mut sources, mut binaries) = (Vec::new(), Vec::new());
            for package in packages.0 {
                let fix = Fix {
                    name: package.name.0,
                    version: package.version.map(|v| v.0).unwrap_or_default(),
                    pocket: package.pocket.map(|p| p.0),
                    source: package.source_link.and_then(|link| source_of(&link.0)),
                };
                if package.is_source { sources.push(fix) } else { binaries.push(fix) }
            }
            notice.release(&codename, sources, binaries);
        }
        notice
    }
}

/// Returns the source that a link to Launchpad ends with.
fn source_of(link: &str) -> Option<Text<'static>> {
    let name = link.trim_end_matches('/').rsplit('/').next()?;
    (!name.is_empty()).then(|| name.to_owned().into())
}

impl<'a> Notice<'a> {
    fn new(id: Text<'a>, published: Option<Instant>) -> Self {
        let form = if id.starts_with("LSN-") { Form::LivePatch } else { Form::Notice };
        Self { record: Record { id, form, published, modified: published, ..Record::default() } }
    }

    fn texts(&mut self, title: Option<Str<'a>>, details: Option<Str<'a>>) {
        self.record.title = title.map(|t| t.0).unwrap_or_default();
        self.record.details = details.map(|d| d.0).unwrap_or_default();
    }

    /// What a notice closes are CVEs, or addresses of bugs that have none.
    fn speaks_of(&mut self, what: List<Str<'a>>) {
        for text in what.0 {
            let list = if text.0.starts_with("CVE-") {
                &mut self.record.cves
            } else {
                &mut self.record.references
            };
            if !text.0.is_empty() && !list.contains(&text.0) {
                list.push(text.0);
            }
        }
    }

    /// Says what is mended in a release: its sources with the binaries built from each. Where a notice names no
    /// source, or no versions, as the first did not, its binaries speak for themselves.
    fn release(&mut self, codename: &str, sources: Vec<Fix<'a>>, mut binaries: Vec<Fix<'a>>) {
        let release = codenamed("ubuntu", codename)
            .unwrap_or_else(|| format!("ubuntu:{}", codename.to_lowercase()).into());
        let alone = sources.len() == 1;
        for source in sources {
            let of_source = |b: &Fix<'_>| match &b.source {
                Some(name) => *name == source.name,
                None => alone || b.version == source.version,
            };
            let (own, others): (Vec<_>, Vec<_>) = binaries.into_iter().partition(of_source);
            binaries = others;
            let pocket = source.pocket.or_else(|| own.iter().find_map(|b| b.pocket.clone()));
            let own = own.into_iter().map(|b| (b.name, b.version)).collect();
            self.say(&release, By::Source, source.name, source.version, pocket, own);
        }
        for binary in binaries {
            self.say(&release, By::Binary, binary.name, binary.version, binary.pocket, Vec::new());
        }
    }

    fn say(
        &mut self,
        release: &Text<'static>,
        by: By,
        package: Text<'a>,
        version: Text<'a>,
        pocket: Option<Text<'a>>,
        binaries: Vec<(Text<'a>, Text<'a>)>,
    ) {
        let channel = match self.record.form {
            Form::LivePatch => Channel::Livepatch,
            _ => pocket_named(pocket.as_deref(), &version),
        };
        self.record.statements.push(Statement {
            release: release.clone(),
            channel,
            package,
            by,
            status: Status::Fixed,
            fixed: (!version.is_empty()).then_some(version),
            word: pocket.unwrap_or_default(),
            binaries,
            published: self.record.published,
            ..Statement::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes};

    #[test]
    fn the_database_is_read_to_where_it_is_cut() {
        check(&Usn, "usn/database.json");
    }

    #[test]
    fn pages_are_read() {
        check(&Usn, "usn/page.json");
        check(&Usn, "usn/notice.json");
    }

    #[test]
    fn any_bytes_are_taken() {
        for good in [
            include_bytes!("../../../../fixtures/feeds/usn/database.json").as_slice(),
            include_bytes!("../../../../fixtures/feeds/usn/page.json"),
        ] {
            holds_on_any_bytes(&Usn, "usn.json", good);
        }
    }
}
