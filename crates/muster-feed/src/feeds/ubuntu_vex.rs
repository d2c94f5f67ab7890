//! Canonical's VEX documents (`https://security-metadata.canonical.com/vex/`), one for each CVE or notice, in OpenVEX
//! 0.2.0 (`https://github.com/openvex/spec`), in the older form with its outer members under `metadata` too.
//!
//! Products are package URLs; a source package of a release (`distro=esm-infra/bionic`) becomes one statement, and a
//! binary only where no source of its release stands beside it. A binary without `distro` belongs to the source before
//! it. In a CVE's document the version of a fixed product is the archive's newest, not the first that was mended:
//! a host with that version or a later one is safe, an older one may be too. It is kept as the word and judges nothing;
//! documents of notices tell the fix exactly.

use std::borrow::Cow;
use std::collections::HashSet;

use muster_core::advisory::{By, Channel, Form, Item, Record, Sink, Statement, Status};
use serde::Deserialize;

use super::usn::{channel_named, instant, release};
use crate::json::{Broken, ELEMENT, List, Str, Walk};
use crate::lines::problem;
use crate::{Document, Feed, Recognised};

/// No document has anywhere near as many statements on packages.
const MOST: usize = 1 << 18;

/// The reader of Ubuntu's VEX documents.
pub(crate) struct UbuntuVex;

impl Feed for UbuntuVex {
    fn name(&self) -> &'static str {
        "ubuntu-vex"
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        let mut marks = Marks::default();
        // The head may end anywhere; what came before counts.
        let _cut = look(head, &mut marks);
        if marks.openvex && marks.canonical { Recognised::Yes } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut reading = Reading::default();
        let mut walk = Walk::new(document.reader);
        if let Err(broken) = reading.document(&mut walk, path, sink) {
            walk.report(path, &broken, sink);
        }
        reading.tell(sink);
    }
}

/// What tells Canonical's documents from others.
#[derive(Default)]
struct Marks {
    openvex: bool,
    canonical: bool,
}

fn look(mut head: &[u8], marks: &mut Marks) -> Result<(), Broken> {
    let mut walk = Walk::new(&mut head);
    walk.object()?;
    while let Some(key) = walk.key()? {
        if key == "metadata" {
            walk.object()?;
            continue;
        }
        if !matches!(key.as_str(), "@context" | "@id" | "author") {
            if key == "statements" {
                return Ok(());
            }
            walk.skip()?;
            continue;
        }
        let text = walk
            .value(1 << 10)?
            .and_then(|raw| raw.parse::<Str<'_>>("").ok().map(|s| s.0.into_owned()));
        let text = text.unwrap_or_default();
        match key.as_str() {
            "@context" => marks.openvex |= text.starts_with("https://openvex.dev/ns"),
            "@id" => marks.canonical |= text.contains("/canonical/ubuntu-security-notices/"),
            _ => marks.canonical |= text.starts_with("Canonical"),
        }
    }
    Ok(())
}

/// A document as far as it is read.
#[derive(Default)]
struct Reading {
    /// What is said of the vulnerability, or the notice, that is being read.
    record: Record<'static>,
    /// When the document was written.
    written: Option<muster_core::time::Instant>,
    /// The document's own name of its subject, for one that says nothing.
    subject: String,
    told: bool,
}

/// A statement of OpenVEX, as far as it is used.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    vulnerability: Vulnerability<'a>,
    #[serde(borrow, default)]
    timestamp: Option<Str<'a>>,
    #[serde(borrow, default)]
    products: List<Product<'a>>,
    #[serde(borrow)]
    status: Str<'a>,
    #[serde(borrow, default)]
    status_notes: Option<Str<'a>>,
    #[serde(borrow, default)]
    justification: Option<Str<'a>>,
    #[serde(borrow, default)]
    impact_statement: Option<Str<'a>>,
    #[serde(borrow, default)]
    action_statement: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Vulnerability<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow, default)]
    description: Option<Str<'a>>,
    #[serde(borrow, default)]
    aliases: List<Str<'a>>,
}

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(rename = "@id", borrow)]
    id: Str<'a>,
}

/// A package URL of Ubuntu, decoded.
struct Purl {
    name: String,
    version: String,
    source: bool,
    distro: Option<String>,
}

impl Reading {
    fn document(
        &mut self,
        walk: &mut Walk<'_>,
        path: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), Broken> {
        walk.object()?;
        while let Some(key) = walk.key()? {
            match key.as_str() {
                "metadata" => {
                    walk.object()?;
                    while let Some(key) = walk.key()? {
                        self.outer(&key, walk, path, sink)?;
                    }
                }
                "statements" => {
                    walk.array()?;
                    while walk.more()? {
                        let line = walk.line();
                        let Some(raw) = walk.value(ELEMENT)? else {
                            sink.problem(problem(path, line, "a statement is too long"));
                            continue;
                        };
                        match raw.parse::<Entry<'_>>(path) {
                            Ok(entry) => self.take(&entry, path, raw.line, sink),
                            Err(wrong) => sink.problem(wrong),
                        }
                    }
                }
                _ => self.outer(&key, walk, path, sink)?,
            }
        }
        Ok(())
    }

    fn outer(
        &mut self,
        key: &str,
        walk: &mut Walk<'_>,
        path: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), Broken> {
        if !matches!(key, "@id" | "timestamp") {
            return walk.skip();
        }
        let line = walk.line();
        let Some(raw) = walk.value(1 << 16)? else {
            sink.problem(problem(path, line, format!("{key} is too long")));
            return Ok(());
        };
        match raw.parse::<Str<'_>>(path) {
            Ok(Str(text)) if key == "@id" => {
                text.rsplit('/').next().unwrap_or_default().clone_into(&mut self.subject);
            }
            Ok(Str(text)) => {
                self.written = instant(&text);
                if self.written.is_none() {
                    sink.problem(problem(path, line, format!("'{text}' is no time")));
                }
            }
            Err(wrong) => sink.problem(wrong),
        }
        Ok(())
    }

    /// Hands over what was read; a document that says nothing of any package is handed over too.
    fn tell(&mut self, sink: &mut dyn Sink) {
        if self.record.id.is_empty() {
            if self.told || !is_subject(&self.subject) {
                return;
            }
            self.begin(&self.subject.clone());
        }
        self.told = true;
        let mut record = std::mem::take(&mut self.record);
        record.modified = self.written.or(record.modified);
        sink.item(Item::Record(record));
    }

    fn begin(&mut self, name: &str) {
        self.record.id = Cow::Owned(name.to_owned());
        if name.starts_with("CVE-") {
            self.record.cves.push(Cow::Owned(name.to_owned()));
        } else {
            let live = name.starts_with("LSN-");
            self.record.form = if live { Form::LivePatch } else { Form::Notice };
        }
    }

    fn take(&mut self, entry: &Entry<'_>, path: &str, line: u64, sink: &mut dyn Sink) {
        let name = &*entry.vulnerability.name.0;
        let mut doubt = |what: String| sink.problem(problem(path, line, what));
        if !is_subject(name) {
            doubt(format!("'{name}' names neither a CVE nor a notice"));
            return;
        }
        let Some(status) = entry.status() else {
            doubt(format!("{name}: an unknown status '{}'", entry.status.0));
            return;
        };
        let time = entry.timestamp.as_ref().filter(|t| !t.0.is_empty());
        let at = time.and_then(|t| instant(&t.0));
        if let (Some(Str(text)), None) = (time, at) {
            doubt(format!("{name}: '{text}' is no time"));
        }
        let (packages, doubts) = packages(&entry.products.0);
        for what in doubts {
            doubt(format!("{name}: {what}"));
        }
        if self.record.id != name {
            if !self.record.id.is_empty() {
                self.tell(sink);
            }
            self.begin(name);
            self.describe(&entry.vulnerability);
        }
        self.record.modified = self.record.modified.max(at);
        if self.record.statements.len().saturating_add(packages.len()) > MOST {
            sink.problem(problem(path, line, format!("{name}: too many packages")));
            return;
        }
        let word = entry.word();
        let live = self.record.form == Form::LivePatch;
        let exact = self.record.form == Form::Notice;
        for package in packages {
            let (release, channel, other) = place(&package.distro);
            let word = match (status, exact) {
                (Status::Fixed, false) => format!("fixed, at the latest in {}", package.version),
                _ => word.clone(),
            };
            let word = match other {
                Some(other) if word.is_empty() => other.to_owned(),
                Some(other) => format!("{other}: {word}"),
                None => word,
            };
            self.record.statements.push(Statement {
                release: Cow::Owned(release),
                channel: if live { Channel::Livepatch } else { channel },
                package: Cow::Owned(package.name),
                by: package.by,
                status,
                fixed: (exact && status == Status::Fixed && !package.version.is_empty())
                    .then_some(Cow::Owned(package.version)),
                word: Cow::Owned(word),
                ..Statement::default()
            });
        }
    }

    fn describe(&mut self, vulnerability: &Vulnerability<'_>) {
        if let Some(Str(text)) = &vulnerability.description {
            self.record.details = Cow::Owned(text.clone().into_owned());
        }
        for Str(alias) in &vulnerability.aliases.0 {
            let alias: Cow<'static, str> = Cow::Owned(alias.clone().into_owned());
            let notice = self.record.form != Form::Vulnerability;
            let list = if alias.starts_with("CVE-") && notice {
                &mut self.record.cves
            } else if alias.contains("://") {
                &mut self.record.references
            } else {
                &mut self.record.aliases
            };
            if !list.contains(&alias) {
                list.push(alias);
            }
        }
    }
}

fn is_subject(name: &str) -> bool {
    ["CVE-", "USN-", "LSN-", "SSN-"].iter().any(|series| name.starts_with(series))
}

impl Entry<'_> {
    fn status(&self) -> Option<Status> {
        Some(match &*self.status.0 {
            "fixed" => Status::Fixed,
            "not_affected" => Status::NotAffected,
            "under_investigation" => Status::NeedsTriage,
            "affected" => by_action(self.action_statement.as_ref().map_or("", |action| &action.0)),
            _ => return None,
        })
    }

    /// Returns the vendor's words: the justification's label, then the sentence.
    fn word(&self) -> String {
        let said = [
            &self.justification,
            &self.impact_statement,
            &self.action_statement,
            &self.status_notes,
        ];
        let said: Vec<&str> =
            said.into_iter().flatten().map(|s| &*s.0).filter(|s| !s.is_empty()).collect();
        said.join(": ")
    }
}

/// Judges by the opening of the sentence, before the notes that Canonical may add to it: those tell of other things.
fn by_action(action: &str) -> Status {
    let opening = action.split(" CVE Notes ").next().unwrap_or(action).to_ascii_lowercase();
    let says = |words: &str| opening.contains(words);
    if says("no longer supported") {
        Status::EndOfLife
    } else if says("decided to not fix") || says("decided not to fix") || says("will not be fixed")
    {
        Status::Ignored
    } else if says("deferred") || says("postponed") {
        Status::Deferred
    } else {
        Status::Needed
    }
}

/// A package of a release on which a statement is made.
struct Package {
    distro: String,
    name: String,
    version: String,
    by: By,
}

/// Returns the packages that the products come to, and what is doubtful about those.
fn packages(products: &[Product<'_>]) -> (Vec<Package>, Vec<String>) {
    let (mut found, mut doubts) = (Vec::new(), Vec::new());
    let mut sourced = HashSet::new();
    let mut binaries = Vec::new();
    let mut seen = HashSet::new();
    let mut after_source = false;
    for Product { id: Str(id) } in products {
        let Some(purl) = purl(id) else {
            doubts.push(format!("'{id}' is no package URL of Ubuntu"));
            continue;
        };
        match (purl.distro, purl.source) {
            (Some(distro), true) => {
                after_source = true;
                if seen.insert((true, distro.clone(), purl.name.clone(), purl.version.clone())) {
                    sourced.insert(distro.clone());
                    let (name, version) = (purl.name, purl.version);
                    found.push(Package { distro, name, version, by: By::Source });
                }
            }
            (Some(distro), false) => {
                if seen.insert((false, distro.clone(), purl.name.clone(), purl.version.clone())) {
                    let (name, version) = (purl.name, purl.version);
                    binaries.push(Package { distro, name, version, by: By::Binary });
                }
            }
            (None, false) if after_source => {}
            (None, _) => doubts.push(format!("'{id}' tells no release")),
        }
    }
    found.extend(binaries.into_iter().filter(|binary| !sourced.contains(&binary.distro)));
    (found, doubts)
}

/// Reads `pkg:deb/ubuntu/NAME@VERSION?arch=…&distro=…`.
fn purl(id: &str) -> Option<Purl> {
    let rest = id.strip_prefix("pkg:deb/ubuntu/")?;
    let (path, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
    let (name, version) = path.split_once('@').unwrap_or((path, ""));
    let mut purl =
        Purl { name: decoded(name), version: decoded(version), source: false, distro: None };
    if purl.name.is_empty() {
        return None;
    }
    for qualifier in qualifiers.split('&') {
        match qualifier.split_once('=') {
            Some(("arch", arch)) => purl.source = arch == "source",
            Some(("distro", distro)) if !distro.is_empty() => purl.distro = Some(decoded(distro)),
            _ => {}
        }
    }
    Some(purl)
}

/// Undoes percent-encoding (RFC 3986); what is none stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let digit = |at: usize| after.get(at).and_then(|d| char::from(*d).to_digit(16));
        let byte = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        if byte.is_some() {
            rest = after.get(2..).unwrap_or_default();
        }
        bytes.push(byte.unwrap_or(*first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the release and channel of `jammy`, `esm-infra/bionic` or `trusty/esm`, and the name of a channel that is
/// none of ours.
fn place(distro: &str) -> (String, Channel, Option<&str>) {
    let Some((first, second)) = distro.split_once('/') else {
        return (release(distro), Channel::Base, None);
    };
    if let Some(channel) = channel_named(first) {
        let codename = second.split('/').next().unwrap_or(second);
        return (release(codename), channel, None);
    }
    if let Some(channel) = channel_named(second) {
        return (release(first), channel, None);
    }
    (release(second), Channel::Other, Some(first))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;
    use crate::testing::{Heard, check, holds_on_any_bytes, read_shared, shared};

    #[test]
    fn every_status_is_told() {
        check(&UbuntuVex, "ubuntu-vex/statuses.json");
        check(&UbuntuVex, "ubuntu-vex/notice.json");
        check(&UbuntuVex, "ubuntu-vex/silent.json");
        check(&UbuntuVex, "ubuntu-vex/broken.json");
    }

    #[test]
    fn channels_are_read_from_either_side() {
        for (distro, expected, channel, other) in [
            ("jammy", "ubuntu:22.04", Channel::Base, None),
            ("esm-infra/bionic", "ubuntu:18.04", Channel::EsmInfra, None),
            ("esm-infra-legacy/trusty", "ubuntu:14.04", Channel::EsmInfraLegacy, None),
            ("trusty/esm", "ubuntu:14.04", Channel::EsmInfra, None),
            ("esm-apps/jammy", "ubuntu:22.04", Channel::EsmApps, None),
            ("fips-updates/focal", "ubuntu:20.04", Channel::FipsUpdates, None),
            ("ros-esm/focal/noetic", "ubuntu:20.04", Channel::RosEsm, None),
            ("bluefield/jammy", "ubuntu:22.04", Channel::Other, Some("bluefield")),
            ("tomorrow", "ubuntu:tomorrow", Channel::Base, None),
        ] {
            assert_eq!(place(distro), (expected.to_owned(), channel, other), "{distro}");
        }
    }

    #[test]
    fn percent_encoding_is_undone() {
        assert_eq!(decoded("1%3A2%2Besm1%"), "1:2+esm1%");
        assert_eq!(decoded("%4%zz%é%41"), "%4%zz%éA");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/ubuntu-vex/statuses.json");
        holds_on_any_bytes(&UbuntuVex, "CVE-2020-1.json", good);
        let good = include_bytes!("../../../../fixtures/feeds/ubuntu-vex/notice.json");
        holds_on_any_bytes(&UbuntuVex, "USN-1-1.json", good);
    }

    #[test]
    fn the_samples_are_read() {
        let name = "data/advisories/format-samples-2026-08.tar.zst";
        let Some(heard) = read_shared(&UbuntuVex, name) else { return };
        assert_eq!(heard.problems, []);
        assert_eq!(heard.items.len(), 2);
    }

    #[test]
    fn the_packed_samples_are_read() {
        let Some(reader) = shared("data/advisories/format-samples-2026-08.tar.zst") else { return };
        let mut outer = tar::Archive::new(reader);
        let mut all = outer.entries().unwrap().map(Result::unwrap);
        let packed = all.find(|e| e.path().unwrap().ends_with("vex-all.tar.xz")).unwrap();
        let mut inner = tar::Archive::new(liblzma::read::XzDecoder::new(packed));
        let mut heard = Heard::default();
        for entry in inner.entries().unwrap().map(Result::unwrap) {
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut reader = BufReader::new(entry);
            let head = reader.fill_buf().unwrap();
            assert_eq!(UbuntuVex.recognises(&path, head), Recognised::Yes, "{path}");
            UbuntuVex.read(&mut Document { path: &path, reader: &mut reader }, &mut heard);
        }
        assert_eq!(heard.problems, []);
        assert_eq!(heard.items.len(), 3);
    }
}
