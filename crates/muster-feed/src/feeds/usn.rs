//! Canonical's security notices: the whole database (`database-all.json`) and the pages of the notices API
//! (`https://ubuntu.com/security/notices.json`). Neither has a written specification; the API describes its own shape
//! at `https://ubuntu.com/security/api/docs`.
//!
//! A notice names sources and binaries of each release; one statement is made for each source and channel. Binaries
//! that cannot be laid to a source, because the notice does not tell, get statements of their own. Files and their
//! checksums (`archs`) are passed over: they are no word on a flaw.

use std::borrow::Cow;
use std::collections::BTreeMap;

use muster_core::advisory::{By, Channel, Form, Item, Record, Sink, Statement, Status, Text};
use muster_core::catalog;
use muster_core::time::Instant;
use serde::Deserialize;

use crate::json::{Broken, ELEMENT, List, Members, Raw, Str, Walk};
use crate::lines::problem;
use crate::{Document, Feed, Recognised};

/// The reader of Ubuntu's notices.
pub(crate) struct UbuntuUsn;

impl Feed for UbuntuUsn {
    fn name(&self) -> &'static str {
        "ubuntu-usn"
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        match is_ours(head) {
            Ok(true) => Recognised::Yes,
            Ok(false) | Err(_) => Recognised::No,
        }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut walk = Walk::new(document.reader);
        if let Err(broken) = notices(&mut walk, path, sink) {
            walk.report(path, &broken, sink);
        }
    }
}

/// Judges whether the document begins with a notice of the database, or is a page of the API.
fn is_ours(mut head: &[u8]) -> Result<bool, Broken> {
    let mut walk = Walk::new(&mut head);
    walk.object()?;
    while let Some(key) = walk.key()? {
        if is_number(&key) {
            walk.object()?;
            let first = walk.key()?.unwrap_or_default();
            return Ok(matches!(
                first.as_str(),
                "description"
                    | "releases"
                    | "title"
                    | "timestamp"
                    | "summary"
                    | "isummary"
                    | "action"
                    | "cves"
                    | "id"
            ));
        }
        match key.as_str() {
            "limit" | "offset" | "total_results" => walk.skip()?,
            "notices" => return is_page(&mut walk),
            _ => return Ok(false),
        }
    }
    Ok(false)
}

fn is_page(walk: &mut Walk<'_>) -> Result<bool, Broken> {
    walk.array()?;
    if !walk.more()? {
        let next = walk.key()?.unwrap_or_default();
        return Ok(matches!(next.as_str(), "limit" | "offset" | "total_results"));
    }
    walk.object()?;
    let first = walk.key()?.unwrap_or_default();
    Ok(matches!(
        first.as_str(),
        "cves"
            | "cves_ids"
            | "description"
            | "id"
            | "instructions"
            | "is_hidden"
            | "published"
            | "references"
            | "related_notices"
            | "release_packages"
            | "releases"
            | "summary"
            | "title"
            | "type"
    ))
}

/// Judges whether this is a notice's number as the database has it: `4011-1`, or with its series before it.
fn is_number(key: &str) -> bool {
    let key = key.strip_prefix("USN-").or_else(|| key.strip_prefix("LSN-")).unwrap_or(key);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    key.split_once('-').is_some_and(|(number, revision)| digits(number) && digits(revision))
}

fn notices(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    walk.object()?;
    while let Some(key) = walk.key()? {
        match key.as_str() {
            "limit" | "offset" | "total_results" => walk.skip()?,
            "notices" => {
                walk.array()?;
                while walk.more()? {
                    page_notice(walk, path, sink)?;
                }
            }
            _ => {
                let line = walk.line();
                let Some(raw) = walk.value(ELEMENT)? else {
                    sink.problem(problem(path, line, format!("{key}: the notice is too long")));
                    continue;
                };
                tell(raw.parse::<Entry<'_>>(path).map(|e| e.notice(&key)), &raw, &key, path, sink);
            }
        }
    }
    Ok(())
}

fn page_notice(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    let line = walk.line();
    match walk.value(ELEMENT)? {
        None => sink.problem(problem(path, line, "a notice is too long")),
        Some(raw) => {
            tell(raw.parse::<Page<'_>>(path).map(Page::notice), &raw, "a notice", path, sink);
        }
    }
    Ok(())
}

fn tell(
    notice: Result<Notice<'_>, muster_core::advisory::Problem>,
    raw: &Raw<'_>,
    name: &str,
    path: &str,
    sink: &mut dyn Sink,
) {
    match notice {
        Ok(Notice { record, doubts }) => {
            for doubt in doubts {
                sink.problem(problem(path, raw.line, format!("{}: {doubt}", record.id)));
            }
            if record.id.is_empty() {
                sink.problem(problem(path, raw.line, "a notice without id"));
            } else {
                sink.item(Item::Record(record));
            }
        }
        Err(mut wrong) => {
            wrong.what = format!("{name}: {}", wrong.what);
            sink.problem(wrong);
        }
    }
}

/// A notice, and what is doubtful about it.
struct Notice<'a> {
    record: Record<'a>,
    doubts: Vec<String>,
}

/// A notice of the database.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    title: Option<Str<'a>>,
    #[serde(borrow, default)]
    description: Option<Str<'a>>,
    #[serde(borrow, default)]
    isummary: Option<Str<'a>>,
    #[serde(borrow, default)]
    timestamp: Option<Str<'a>>,
    #[serde(borrow, default)]
    cves: List<Str<'a>>,
    #[serde(borrow, default)]
    releases: Members<'a, Release<'a>>,
}

#[derive(Deserialize)]
struct Release<'a> {
    #[serde(borrow, default)]
    sources: Members<'a, Source<'a>>,
    #[serde(borrow, default)]
    binaries: Members<'a, Binary<'a>>,
    #[serde(borrow, default)]
    allbinaries: Members<'a, Binary<'a>>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow, default)]
    version: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Binary<'a> {
    #[serde(borrow, default)]
    version: Option<Str<'a>>,
    #[serde(borrow, default)]
    pocket: Option<Str<'a>>,
    #[serde(borrow, default)]
    source: Option<Str<'a>>,
}

impl<'a> Entry<'a> {
    fn notice(self, key: &'a str) -> Notice<'a> {
        let id = self.id.map_or(Cow::Borrowed(key), |id| id.0);
        let mut notice = Notice::new(if is_number(&id) && !id.contains("SN-") {
            Cow::Owned(format!("USN-{id}"))
        } else {
            id
        });
        notice.record.title = text(self.title);
        notice.record.details = text(self.description);
        if notice.record.details.is_empty() {
            notice.record.details = text(self.isummary);
        }
        notice.publish(self.timestamp);
        notice.take_flaws(self.cves);
        for (codename, release) in self.releases.0 {
            let mut packages = Packages::default();
            for (name, source) in release.sources.0 {
                packages.sources.push((name, text(source.version), None));
            }
            for (name, binary) in release.binaries.0.into_iter().chain(release.allbinaries.0) {
                packages.take(name, text(binary.version), binary.pocket, binary.source);
            }
            packages.tell(&codename, &mut notice.record);
        }
        notice
    }
}

/// A notice of the API.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    title: Option<Str<'a>>,
    #[serde(borrow, default)]
    description: Option<Str<'a>>,
    #[serde(borrow, default)]
    summary: Option<Str<'a>>,
    #[serde(borrow, default)]
    published: Option<Str<'a>>,
    #[serde(borrow, default)]
    cves_ids: List<Str<'a>>,
    #[serde(borrow, default)]
    cves: List<Named<'a>>,
    #[serde(borrow, default)]
    references: List<Str<'a>>,
    #[serde(borrow, default)]
    related_notices: List<Named<'a>>,
    #[serde(borrow, default)]
    release_packages: Members<'a, List<Package<'a>>>,
}

/// Something told by its id alone, or as an object with an id.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named<'a> {
    #[serde(borrow)]
    Plain(Str<'a>),
    Whole {
        #[serde(borrow)]
        id: Str<'a>,
    },
}

#[derive(Deserialize)]
struct Package<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow, default)]
    version: Option<Str<'a>>,
    #[serde(default)]
    is_source: bool,
    #[serde(borrow, default)]
    source_link: Option<Str<'a>>,
    #[serde(borrow, default)]
    pocket: Option<Str<'a>>,
}

impl<'a> Named<'a> {
    fn id(self) -> Str<'a> {
        match self {
            Self::Plain(id) | Self::Whole { id } => id,
        }
    }
}

impl<'a> Page<'a> {
    fn notice(self) -> Notice<'a> {
        let mut notice = Notice::new(text(self.id));
        notice.record.title = text(self.title);
        notice.record.details = text(self.description);
        if notice.record.details.is_empty() {
            notice.record.details = text(self.summary);
        }
        notice.publish(self.published);
        notice.take_flaws(self.cves_ids);
        notice.take_flaws(List(self.cves.0.into_iter().map(Named::id).collect()));
        notice.take_flaws(self.references);
        notice.record.related = self.related_notices.0.into_iter().map(|n| n.id().0).collect();
        for (codename, listed) in self.release_packages.0 {
            let mut packages = Packages::default();
            for package in listed.0 {
                let version = text(package.version);
                if package.is_source {
                    packages.sources.push((package.name.0, version, package.pocket));
                } else {
                    let source = package.source_link.as_ref().and_then(|l| source_of(&l.0));
                    packages.take(package.name.0, version, package.pocket, source);
                }
            }
            packages.tell(&codename, &mut notice.record);
        }
        notice
    }
}

/// Returns the source that an address like `https://launchpad.net/ubuntu/+source/jinja2` names.
fn source_of<'a>(link: &str) -> Option<Str<'a>> {
    let (_, after) = link.split_once("/+source/")?;
    let name = after.split('/').next().filter(|n| !n.is_empty())?;
    Some(Str(Cow::Owned(name.to_owned())))
}

impl<'a> Notice<'a> {
    fn new(id: Text<'a>) -> Self {
        let form = if id.starts_with("LSN-") { Form::LivePatch } else { Form::Notice };
        Self { record: Record { id, form, ..Record::default() }, doubts: Vec::new() }
    }

    fn publish(&mut self, time: Option<Str<'a>>) {
        let Some(Str(time)) = time.filter(|t| !t.0.is_empty()) else { return };
        self.record.published = instant(&time);
        if self.record.published.is_none() {
            self.doubts.push(format!("'{time}' is no time"));
        }
    }

    /// Takes CVE ids, and as references what stands among them: bugs of Launchpad and other addresses.
    fn take_flaws(&mut self, flaws: List<Str<'a>>) {
        for Str(flaw) in flaws.0 {
            let list = if flaw.starts_with("CVE-") {
                &mut self.record.cves
            } else {
                &mut self.record.references
            };
            if !flaw.is_empty() && !list.contains(&flaw) {
                list.push(flaw);
            }
        }
    }
}

/// What a notice names in one release.
#[derive(Default)]
struct Packages<'a> {
    sources: Vec<(Text<'a>, Text<'a>, Option<Str<'a>>)>,
    binaries: BTreeMap<Text<'a>, Listed<'a>>,
}

/// A binary package as a notice names it.
struct Listed<'a> {
    version: Text<'a>,
    pocket: Option<Str<'a>>,
    source: Option<Text<'a>>,
}

/// The binaries of a source that come through the same channel.
type Grouped<'a> = BTreeMap<(Channel, Text<'a>), Vec<(Text<'a>, Text<'a>)>>;

impl<'a> Packages<'a> {
    fn take(
        &mut self,
        name: Text<'a>,
        version: Text<'a>,
        pocket: Option<Str<'a>>,
        source: Option<Str<'a>>,
    ) {
        self.binaries.insert(name, Listed { version, pocket, source: source.map(|s| s.0) });
    }

    /// Returns the source of a binary, where the notice leaves only one.
    fn source(&self, binary: &Listed<'a>) -> Option<Text<'a>> {
        if let Some(source) = &binary.source {
            return Some(source.clone());
        }
        if let [(only, _, _)] = self.sources.as_slice() {
            return Some(only.clone());
        }
        let mut same =
            self.sources.iter().filter(|(_, v, _)| !v.is_empty() && *v == binary.version);
        let (name, _, _) = same.next()?;
        same.next().is_none().then(|| name.clone())
    }

    fn tell(self, codename: &str, record: &mut Record<'a>) {
        let release = release(codename);
        let live = record.form == Form::LivePatch;
        let mut by_source: BTreeMap<Text<'a>, Grouped<'a>> = BTreeMap::new();
        let mut alone = Vec::new();
        for (name, binary) in &self.binaries {
            let source = self.source(binary);
            // The notice may tell the pocket of the source alone.
            let of_source = || self.sources.iter().find(|s| Some(&s.0) == source.as_ref());
            let pocket = binary.pocket.as_ref().or_else(|| of_source()?.2.as_ref());
            let through = through(pocket, &binary.version, live);
            let pair = (name.clone(), binary.version.clone());
            match source {
                Some(source) => {
                    by_source.entry(source).or_default().entry(through).or_default().push(pair);
                }
                None => alone.push((through, pair)),
            }
        }
        let statement = |package: Text<'a>, by, (channel, word), version: Text<'a>| Statement {
            release: Cow::Owned(release.clone()),
            channel,
            package,
            by,
            status: Status::Fixed,
            fixed: (!version.is_empty()).then_some(version),
            word,
            published: record.published,
            ..Statement::default()
        };
        let mut statements = Vec::new();
        for (name, version, pocket) in self.sources {
            let told = by_source.remove(&name).unwrap_or_default();
            if told.is_empty() {
                let through = through(pocket.as_ref(), &version, live);
                statements.push(statement(name, By::Source, through, version));
                continue;
            }
            for (through, binaries) in told {
                let version = if version.is_empty() { shared(&binaries) } else { version.clone() };
                let mut one = statement(name.clone(), By::Source, through, version);
                one.binaries = binaries;
                statements.push(one);
            }
        }
        for (name, told) in by_source {
            for (through, binaries) in told {
                let version = shared(&binaries);
                if version.is_empty() {
                    alone.extend(binaries.into_iter().map(|pair| (through.clone(), pair)));
                    continue;
                }
                let mut one = statement(name.clone(), By::Source, through, version);
                one.binaries = binaries;
                statements.push(one);
            }
        }
        for (through, (name, version)) in alone {
            statements.push(statement(name, By::Binary, through, version));
        }
        record.statements.append(&mut statements);
    }
}

/// Returns the version that all binaries share, or nothing.
fn shared<'a>(binaries: &[(Text<'a>, Text<'a>)]) -> Text<'a> {
    let Some((_, first)) = binaries.first() else { return Cow::Borrowed("") };
    if binaries.iter().all(|(_, version)| version == first) {
        first.clone()
    } else {
        Cow::Borrowed("")
    }
}

/// Returns the channel through which a package comes, and the pocket's own word where that is none of ours.
fn through<'a>(pocket: Option<&Str<'a>>, version: &str, live: bool) -> (Channel, Text<'a>) {
    if live {
        return (Channel::Livepatch, Cow::Borrowed(""));
    }
    match pocket.filter(|p| !p.0.is_empty()) {
        None => (channel_of_version(version), Cow::Borrowed("")),
        Some(Str(pocket)) => match channel_named(pocket) {
            Some(channel) => (channel, Cow::Borrowed("")),
            None => (Channel::Other, pocket.clone()),
        },
    }
}

/// Returns the channel that a version betrays where no pocket is told: those of Pro never come to the release itself.
fn channel_of_version(version: &str) -> Channel {
    if version.contains("+esm") || version.contains("~esm") {
        Channel::EsmInfra
    } else if version.contains("fips") || version.contains("Fips") {
        Channel::FipsUpdates
    } else {
        Channel::Base
    }
}

/// Returns the channel that Canonical's name of a pocket or service means.
pub(super) fn channel_named(name: &str) -> Option<Channel> {
    Some(match name {
        "release" | "security" | "updates" => Channel::Base,
        "esm" | "esm-infra" | "esm-infra-security" | "esm-infra-updates" => Channel::EsmInfra,
        "esm-infra-legacy" => Channel::EsmInfraLegacy,
        "esm-apps" | "esm-apps-security" | "esm-apps-updates" => Channel::EsmApps,
        "fips" => Channel::Fips,
        "fips-updates" => Channel::FipsUpdates,
        "fips-preview" => Channel::FipsPreview,
        "realtime" | "realtime-kernel" => Channel::Realtime,
        "livepatch" => Channel::Livepatch,
        "ros" | "ros-esm" => Channel::RosEsm,
        _ => return None,
    })
}

/// Returns a release's name by Canonical's code name.
pub(super) fn release(codename: &str) -> String {
    let known = catalog::distribution("ubuntu").and_then(|ubuntu| ubuntu.codenamed(codename));
    format!("ubuntu:{}", known.map_or(codename, |release| release.version))
}

/// Reads a time as Canonical writes it: seconds since 1970 with a fraction, or a date with or without a time, which
/// is UTC where no offset stands.
pub(super) fn instant(text: &str) -> Option<Instant> {
    if let Ok(at) = text.parse::<Instant>() {
        return Some(at);
    }
    if let Ok(at) = text.parse::<jiff::civil::DateTime>() {
        return Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp());
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9.9}").parse().ok()?;
    Instant::new(seconds.parse().ok()?, nanoseconds).ok()
}

fn text(text: Option<Str<'_>>) -> Text<'_> {
    text.map(|t| t.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;
    use crate::testing::{Heard, check, holds_on_any_bytes, read_shared, shared};

    #[test]
    fn every_form_is_read() {
        check(&UbuntuUsn, "usn/database.json");
        check(&UbuntuUsn, "usn/page.json");
        check(&UbuntuUsn, "usn/broken.json");
        check(&UbuntuUsn, "usn/cut.json");
    }

    #[test]
    fn times_are_read_in_every_form() {
        let same = "2019-06-06T11:14:04.967449Z".parse().ok();
        assert_eq!(instant("1559819644.967449"), same);
        assert_eq!(instant("2019-06-06 11:14:04.967449"), same);
        assert_eq!(instant("2019-06-06T11:14:04.967449"), same);
        assert_eq!(instant("2019-06-06"), instant("1559779200"));
        for nothing in ["", ".", "soon", "1.x", "-", "99999999999999999999"] {
            assert_eq!(instant(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/usn/database.json");
        holds_on_any_bytes(&UbuntuUsn, "database-all.json", good);
        let good = include_bytes!("../../../../fixtures/feeds/usn/page.json");
        holds_on_any_bytes(&UbuntuUsn, "notices.json", good);
    }

    #[test]
    fn the_samples_are_read() {
        let name = "data/advisories/format-samples-2026-08.tar.zst";
        let Some(heard) = read_shared(&UbuntuUsn, name) else { return };
        assert_eq!(heard.problems, []);
        assert_eq!(heard.items.len(), 4);
    }

    #[test]
    fn the_packed_sample_is_read() {
        let Some(reader) = shared("data/advisories/format-samples-2026-08.tar.zst") else { return };
        let mut archive = tar::Archive::new(reader);
        let mut all = archive.entries().unwrap().map(Result::unwrap);
        let packed = all.find(|e| e.path().unwrap().ends_with("database-all.json.bz2")).unwrap();
        let mut reader = BufReader::new(bzip2::read::BzDecoder::new(packed));
        let head = reader.fill_buf().unwrap();
        let path = "database-all.json";
        assert_eq!(UbuntuUsn.recognises(path, head), Recognised::Yes);
        let mut heard = Heard::default();
        UbuntuUsn.read(&mut Document { path, reader: &mut reader }, &mut heard);
        assert_eq!(heard.problems, []);
        assert_eq!(heard.items.len(), 3);
    }
}
