//! Ubuntu's OpenVEX documents (OpenVEX 0.2.0), one a CVE under `vex/cve`, one a notice under `vex/usn`.
//!
//! Canonical names each build of a source on each architecture as a product: a statement here is of the source, where
//! one is named, and else of the binaries. The version of a product is the newest in the archive. Only in a notice's
//! document it is the fix; in a CVE's `fixed` the version that mended it is not told, and none is made up.
//! Products of other systems than Ubuntu are passed over.

use std::collections::HashSet;
use std::io::Read as _;

use muster_core::advisory::{By, Channel, Form, Item, Record, Sink, Statement, Status, Text};
use serde::Deserialize;

use super::ecosystem::{codenamed, pocket_channel};
use crate::json::{ELEMENT, List, Str, parse};
use crate::lines::{instant, problem};
use crate::{Document, Feed, Recognised};

/// The reader of Ubuntu's VEX documents.
pub(crate) struct UbuntuVex;

impl Feed for UbuntuVex {
    fn name(&self) -> &'static str {
        "ubuntu-vex"
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        let has = |text: &str| memchr::memmem::find(head, text.as_bytes()).is_some();
        let canonical = has("\"Canonical Ltd.\"") || has("pkg:deb/ubuntu/");
        let json = head.trim_ascii_start().first() == Some(&b'{');
        if json && has("openvex.dev/ns") && canonical { Recognised::Yes } else { Recognised::No }
    }

    fn ids_are_unique(&self) -> bool {
        true
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut bytes = Vec::new();
        if let Err(error) = (&mut *document.reader).take(ELEMENT as u64 + 1).read_to_end(&mut bytes)
        {
            return sink.problem(problem(path, 1, format!("reading stopped: {error}")));
        }
        if bytes.len() > ELEMENT {
            return sink.problem(problem(path, 1, format!("is longer than {ELEMENT} bytes")));
        }
        match parse::<Vex<'_>>(&bytes, path, 1) {
            Ok(vex) => vex.tell(path, sink),
            Err(problem) => sink.problem(problem),
        }
    }
}

#[derive(Deserialize)]
struct Vex<'a> {
    #[serde(borrow, default, rename = "@id")]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    timestamp: Option<Str<'a>>,
    /// Until 2025 the fields about the document stood within one of their own.
    #[serde(borrow, default)]
    metadata: Option<Head<'a>>,
    #[serde(borrow, default)]
    statements: List<Said<'a>>,
}

#[derive(Default, Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, rename = "@id")]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    timestamp: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    vulnerability: Vulnerability<'a>,
    #[serde(borrow, default)]
    timestamp: Option<Str<'a>>,
    #[serde(borrow, default)]
    products: List<Product<'a>>,
    #[serde(borrow, default)]
    status: Str<'a>,
    #[serde(borrow, default)]
    justification: Option<Str<'a>>,
    #[serde(borrow, default)]
    impact_statement: Option<Str<'a>>,
    #[serde(borrow, default)]
    action_statement: Option<Str<'a>>,
    #[serde(borrow, default)]
    status_notes: Option<Str<'a>>,
}

#[derive(Default, Deserialize)]
struct Vulnerability<'a> {
    #[serde(borrow, default)]
    name: Str<'a>,
    #[serde(borrow, default)]
    description: Option<Str<'a>>,
    #[serde(borrow, default)]
    aliases: List<Str<'a>>,
}

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow, default, rename = "@id")]
    id: Str<'a>,
}

impl Vex<'_> {
    fn tell(self, path: &str, sink: &mut dyn Sink) {
        let head = self.metadata.unwrap_or(Head { id: self.id, timestamp: self.timestamp });
        let modified = head.timestamp.and_then(|t| instant(&t.0));
        let name = head.id.as_ref().and_then(|id| id.0.rsplit('/').next()).unwrap_or_default();
        let mut record = Record { modified, id: name.into(), ..Record::default() };
        for said in self.statements.0 {
            said.join(&mut record, path, sink);
        }
        if record.id.is_empty() {
            return sink.problem(problem(path, 1, "the document names no vulnerability"));
        }
        sink.item(Item::Record(record));
    }
}

impl<'a> Said<'a> {
    /// Adds what one statement says to the record of its document.
    fn join(self, record: &mut Record<'a>, path: &str, sink: &mut dyn Sink) {
        if record.id.is_empty() {
            record.id = self.vulnerability.name.0.clone();
        }
        if record.id.starts_with("USN-") {
            record.form = Form::Notice;
        }
        for id in std::iter::once(&self.vulnerability.name).chain(&self.vulnerability.aliases.0) {
            let known = |list: &[Text<'_>]| list.contains(&id.0) || id.0 == record.id;
            if id.0.starts_with("CVE-") && !record.cves.contains(&id.0) {
                record.cves.push(id.0.clone());
            } else if id.0.starts_with("http") && !known(&record.references) {
                let last = id.0.rsplit('/').next().unwrap_or_default();
                if last.starts_with("USN-") && last != record.id {
                    record.related.push(last.to_owned().into());
                }
                record.references.push(id.0.clone());
            }
        }
        let at = self.timestamp.and_then(|t| instant(&t.0));
        record.published = record.published.into_iter().chain(at).min();
        if record.details.is_empty() {
            record.details = self.vulnerability.description.map(|d| d.0).unwrap_or_default();
        }
        let reason = [&self.justification, &self.action_statement, &self.impact_statement];
        let reasons = reason.into_iter().flatten().chain(&self.status_notes).map(|s| &*s.0);
        let word = std::iter::once(&*self.status.0).chain(reasons).collect::<Vec<_>>().join(": ");
        let Some(status) = status(&word) else {
            let what = format!("{}: the status {:?} is not known", record.id, self.status.0);
            return sink.problem(problem(path, 1, what));
        };
        let purls: Vec<Purl> = self.products.0.iter().filter_map(|p| Purl::of(&p.id.0)).collect();
        let by = if purls.iter().any(|p| p.source) { By::Source } else { By::Binary };
        let mut seen = HashSet::new();
        for purl in purls.into_iter().filter(|p| p.source == (by == By::Source)) {
            if !seen.insert((purl.name.clone(), purl.version.clone(), purl.distro.clone())) {
                continue;
            }
            let (release, channel) = place(&purl.distro);
            let fix = status == Status::Fixed && record.form == Form::Notice;
            record.statements.push(Statement {
                release,
                channel,
                package: purl.name.into(),
                by,
                status,
                fixed: fix.then(|| purl.version.into()),
                word: word.clone().into(),
                published: if fix { at } else { None },
                ..Statement::default()
            });
        }
    }
}

/// `fixed`, `not_affected`, `affected`, `under_investigation`, and what Canonical's sentences make of them: it has one
/// sentence a state of its tracker.
fn status(word: &str) -> Option<Status> {
    let says = |text: &str| word.contains(text);
    let state = word.split(':').next().unwrap_or_default();
    Some(match state {
        "fixed" => Status::Fixed,
        "not_affected" if says("does not exist in the archive") => Status::DoesNotExist,
        "not_affected" => Status::NotAffected,
        "affected" if says("no longer supported") => Status::EndOfLife,
        "affected" if says("decided to not fix") => Status::Ignored,
        "affected" if says("needs fixing") => Status::Needed,
        "affected" if says("deferred") => Status::Deferred,
        "affected" => Status::Affected,
        "under_investigation" => Status::NeedsTriage,
        _ => return None,
    })
}

/// A product of Ubuntu.
struct Purl {
    name: String,
    version: String,
    distro: String,
    source: bool,
}

impl Purl {
    /// Reads `pkg:deb/ubuntu/curl@7.81.0-1ubuntu1.24?arch=source&distro=jammy`.
    fn of(text: &str) -> Option<Self> {
        let (package, query) =
            text.strip_prefix("pkg:deb/ubuntu/").map(|p| p.split_once('?').unwrap_or((p, "")))?;
        let (name, version) = package.split_once('@').unwrap_or((package, ""));
        let value = |key: &str| {
            query.split('&').filter_map(|pair| pair.split_once('=')).find(|(k, _)| *k == key)
        };
        Some(Self {
            name: decoded(name),
            version: decoded(version),
            distro: value("distro").map(|(_, v)| decoded(v)).unwrap_or_default(),
            source: value("arch").is_some_and(|(_, v)| v == "source"),
        })
    }
}

/// Undoes the escapes of a purl (RFC 3986); what is none stays.
fn decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        let code = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
        if let (b'%', Some(code)) = (*first, code) {
            bytes.push(code);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A product without a release is kept, and matches nothing.
fn place(distro: &str) -> (Text<'static>, Channel) {
    let codename = distro.split('/').find_map(|part| codenamed("ubuntu", part));
    match codename {
        Some(release) => (release, pocket_channel(distro)),
        None if distro.is_empty() => ("ubuntu".into(), Channel::Other),
        None => (format!("ubuntu:{}", distro.to_lowercase()).into(), Channel::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes};

    #[test]
    fn documents_of_flaws_and_of_notices_are_read() {
        check(&UbuntuVex, "ubuntu-vex/CVE-2031-0001.json");
        check(&UbuntuVex, "ubuntu-vex/USN-9001-1.json");
        check(&UbuntuVex, "ubuntu-vex/broken.json");
    }

    #[test]
    fn escapes_are_undone_and_odd_ones_stay() {
        assert_eq!(decoded("1%3A2%2bx%zz%4"), "1:2+x%zz%4");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/ubuntu-vex/CVE-2031-0001.json");
        holds_on_any_bytes(&UbuntuVex, "vex.json", good);
    }
}
