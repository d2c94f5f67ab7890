//! `updateinfo.xml` of rpm repositories: the notices that AlmaLinux, Rocky Linux, Oracle, Fedora and Amazon publish
//! beside their packages, in the form that createrepo_c writes and dnf reads.
//!
//! The distribution is told by the notice's id (`ALSA-…`, `RLSA-…`), the release by the notice or, where it only says
//! `0`, by the packages' own `.el9` and the collection's name. Notices of other kinds than `security` that name no
//! CVE are kept under `Channel::Other` with their kind in the word, so that nobody is told of a missing patch.
//! Checksums and file names are not kept.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use muster_core::advisory::{By, Channel, Form, Item, Record, Severity, Sink, Statement, Status};
use muster_core::time::Instant;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::lines::{instant, problem};
use crate::{Document, Feed, Recognised};

/// The reader of such files.
pub(crate) struct UpdateInfo;

/// The longest piece of text or markup that is read.
const LONGEST: usize = 4 << 20;
/// No file nests deeper than seven elements.
const DEEPEST: usize = 32;
/// No notice has this many packages or references.
const MOST: usize = 200_000;

impl Feed for UpdateInfo {
    fn name(&self) -> &'static str {
        "updateinfo"
    }

    fn recognises(&self, path: &str, head: &[u8]) -> Recognised {
        let has = |what: &[u8]| memchr::memmem::find(head, what).is_some();
        let begins = head.trim_ascii_start().starts_with(b"<");
        if begins && has(b"<updates") && has(b"<update ") {
            return Recognised::Yes;
        }
        // The other files of a repository's `repodata/`, and a mirror's list of its files.
        let beside = path.contains("repodata/")
            && (has(b"http://linux.duke.edu/metadata/") || has(b"document: modulemd"))
            || path.rsplit('/').next().is_some_and(|name| name.starts_with("fullfiletimelist"));
        if beside { Recognised::Companion } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let budget = Budget { reader: document.reader, line: 1, left: LONGEST };
        let mut reader = Reader::from_reader(budget);
        let mut state = State::default();
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            reader.get_mut().left = LONGEST;
            let event = match reader.read_event_into(&mut buffer) {
                Ok(event) => event,
                Err(error) => {
                    let line = reader.get_mut().line;
                    let what = format!("reading stopped: {error}");
                    sink.problem(problem(path, line, what));
                    return;
                }
            };
            let end = matches!(event, Event::Eof);
            let whole = state.take(event);
            let line = reader.get_mut().line;
            for what in state.doubts.drain(..) {
                sink.problem(problem(path, line, what));
            }
            if let Some(update) = whole {
                update.tell(path, line, sink);
            }
            if end || state.depth > DEEPEST {
                if state.depth > 0 {
                    let what = "the document ends within an element, or nests too deeply";
                    sink.problem(problem(path, line, what));
                }
                return;
            }
        }
    }
}

/// A reader that counts lines and lets nothing grow without end.
struct Budget<'d> {
    reader: &'d mut dyn BufRead,
    line: u64,
    left: usize,
}

impl Read for Budget<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let chunk = self.fill_buf()?;
        let taken = chunk.len().min(into.len());
        for (to, from) in into.iter_mut().zip(chunk) {
            *to = *from;
        }
        self.consume(taken);
        Ok(taken)
    }
}

impl BufRead for Budget<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other(format!("a piece is longer than {LONGEST} bytes")));
        }
        let left = self.left;
        let chunk = self.reader.fill_buf()?;
        Ok(chunk.get(..left).unwrap_or(chunk))
    }

    fn consume(&mut self, amount: usize) {
        if let Ok(chunk) = self.reader.fill_buf() {
            let taken = chunk.get(..amount).unwrap_or(chunk);
            let newlines = memchr::memchr_iter(b'\n', taken).count();
            self.line = self.line.saturating_add(u64::try_from(newlines).unwrap_or(u64::MAX));
        }
        self.left = self.left.saturating_sub(amount);
        self.reader.consume(amount);
    }
}

/// What has been read of the notice at hand.
#[derive(Default)]
struct State {
    depth: usize,
    update: Option<Update>,
    text: String,
    doubts: Vec<String>,
}

#[derive(Default)]
struct Update {
    kind: String,
    id: String,
    title: String,
    release: String,
    severity: String,
    description: String,
    issued: Option<Instant>,
    updated: Option<Instant>,
    cves: Vec<String>,
    related: Vec<String>,
    addresses: Vec<String>,
    collection: String,
    module: Option<String>,
    packages: Vec<Package>,
}

#[derive(Default)]
struct Package {
    name: String,
    version: String,
    architecture: String,
    module: Option<String>,
}

impl State {
    fn take(&mut self, event: Event<'_>) -> Option<Update> {
        match event {
            Event::Start(element) => {
                self.depth = self.depth.saturating_add(1);
                self.text.clear();
                self.begin(&element);
            }
            Event::Empty(element) => self.begin(&element),
            Event::End(element) => {
                self.depth = self.depth.saturating_sub(1);
                return self.end(element.local_name().as_ref());
            }
            Event::Text(text) => self.text.push_str(&text.xml10_content()),
            Event::CData(text) => self.text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => self.text.push(character),
                Ok(None) | Err(_) => {
                    let name = reference.xml10_content();
                    match quick_xml::escape::resolve_predefined_entity(&name) {
                        Some(text) => self.text.push_str(text),
                        None => self.doubts.push(format!("an unknown entity: &{name};")),
                    }
                }
            },
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) | Event::Eof => {}
        }
        if self.text.len() > LONGEST {
            self.text.clear();
            self.doubts.push("a text is too long".to_owned());
        }
        None
    }

    fn begin(&mut self, element: &BytesStart<'_>) {
        let name = element.local_name();
        let of = |key: &str| attribute(element, key);
        if name.as_ref() == "update" {
            self.update = Some(Update { kind: of("type"), ..Update::default() });
            return;
        }
        let Some(update) = &mut self.update else { return };
        match name.as_ref() {
            "issued" => update.issued = instant(&of("date")),
            "updated" => update.updated = instant(&of("date")),
            "reference" if update.addresses.len() < MOST => {
                let id = of("id");
                match of("type").as_str() {
                    "cve" if id.starts_with("CVE-") => update.cves.push(id),
                    "cve" | "rhsa" | "erratum" if !id.is_empty() => update.related.push(id),
                    _ => {}
                }
                update.addresses.push(of("href"));
            }
            "collection" => {
                update.collection = of("short");
                update.module = None;
            }
            "module" => {
                let (name, stream) = (of("name"), of("stream"));
                update.module = (!name.is_empty()).then(|| format!("{name}:{stream}"));
            }
            "package" if update.packages.len() < MOST => {
                let epoch = of("epoch");
                let version = format!("{}-{}", of("version"), of("release"));
                let plain = matches!(epoch.as_str(), "" | "0");
                update.packages.push(Package {
                    name: of("name"),
                    version: if plain { version } else { format!("{epoch}:{version}") },
                    architecture: of("arch"),
                    module: update.module.clone(),
                });
            }
            "package" | "reference" => self.doubts.push("a notice is too long".to_owned()),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) -> Option<Update> {
        if name == "update" {
            return self.update.take();
        }
        let update = self.update.as_mut()?;
        let text = std::mem::take(&mut self.text);
        let field = match name {
            "id" => &mut update.id,
            "title" => &mut update.title,
            "release" => &mut update.release,
            "severity" => &mut update.severity,
            "description" => &mut update.description,
            "name" if update.collection.is_empty() => &mut update.collection,
            _ => return None,
        };
        *field = text.trim().to_owned();
        None
    }
}

fn attribute(element: &BytesStart<'_>, key: &str) -> String {
    let found = element.attributes().flatten().find(|a| a.key.as_ref() == key);
    let value =
        found.and_then(|a| a.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned));
    value.unwrap_or_default()
}

impl Update {
    fn tell(mut self, path: &str, line: u64, sink: &mut dyn Sink) {
        let Some(distribution) = distribution(&self.id) else {
            let what = format!("no distribution is known by notices like '{}'", self.id);
            sink.problem(problem(path, line, what));
            return;
        };
        let channel = if self.kind == "security" || !self.cves.is_empty() {
            Channel::Base
        } else {
            Channel::Other
        };
        let word = if channel == Channel::Base { "" } else { self.kind.as_str() };
        let mut packages = Packages::new(channel, word, self.issued);
        for package in std::mem::take(&mut self.packages) {
            let Some(release) = self.release_of(distribution, &package.version) else {
                let what = format!("{}: the release of {} is not told", self.id, package.name);
                sink.problem(problem(path, line, what));
                continue;
            };
            packages.take(
                release,
                Rpm {
                    name: package.name,
                    version: package.version,
                    architecture: package.architecture,
                    module: package.module,
                },
            );
        }
        let own = |texts: Vec<String>| texts.into_iter().filter(|t| !t.is_empty()).map(Cow::Owned);
        sink.item(Item::Record(Record {
            id: Cow::Owned(self.id),
            form: Form::Notice,
            cves: own(self.cves).collect(),
            related: own(self.related).collect(),
            title: Cow::Owned(self.title),
            details: Cow::Owned(self.description),
            severities: severities(distribution, self.severity),
            published: self.issued,
            modified: self.updated,
            references: own(self.addresses).collect(),
            statements: packages.done(),
            ..Record::default()
        }));
    }

    /// Returns the release: of the notice, the package's version, or the collection.
    fn release_of(&self, distribution: &str, version: &str) -> Option<String> {
        if distribution.contains(':') {
            return Some(distribution.to_owned());
        }
        let named = |text: &str| {
            let words = text.split(['-', '_', ' ', '.']);
            let mut numbers = words.filter(|w| (1..3).contains(&w.len()) && *w != "0");
            numbers.find(|w| w.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned)
        };
        let tag = [".el", "+el", "_el", ".fc"].iter().find_map(|tag| {
            let (_, rest) = version.rsplit_once(tag)?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (!digits.is_empty()).then_some(digits)
        });
        let major = named(&self.release).or(tag).or_else(|| named(&self.collection))?;
        Some(format!("{distribution}:{major}"))
    }
}

/// Returns the distribution whose notices have such ids; for Amazon's, the release as well.
fn distribution(id: &str) -> Option<&'static str> {
    let (family, _) = id.split_once('-')?;
    Some(match family {
        "ALSA" | "ALBA" | "ALEA" => "almalinux",
        "RLSA" | "RLBA" | "RLEA" => "rocky",
        "RHSA" | "RHBA" | "RHEA" => "rhel",
        "ELSA" | "ELBA" | "ELEA" => "ol",
        "FEDORA" => "fedora",
        _ if family.starts_with("ALAS2023") => "amzn:2023",
        _ if family.starts_with("ALAS2") => "amzn:2",
        _ => return None,
    })
}

/// Returns a vendor's word as a severity, unless it says that there is none.
pub(super) fn severities(vendor: &str, word: String) -> Vec<Severity<'static>> {
    let system = Cow::Owned(vendor.to_owned());
    let none = matches!(word.as_str(), "" | "None" | "none");
    if none { Vec::new() } else { vec![Severity { system, score: Cow::Owned(word) }] }
}

/// A mended rpm package.
pub(super) struct Rpm {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) architecture: String,
    pub(super) module: Option<String>,
}

/// The packages of a notice, one statement for all the architectures of a version.
pub(super) struct Packages<'w> {
    channel: Channel,
    word: &'w str,
    published: Option<Instant>,
    places: HashMap<(String, String, String, Option<String>), usize>,
    statements: Vec<Statement<'static>>,
    sources: Vec<Statement<'static>>,
}

impl<'w> Packages<'w> {
    pub(super) fn new(channel: Channel, word: &'w str, published: Option<Instant>) -> Self {
        let (places, statements, sources) = (HashMap::new(), Vec::new(), Vec::new());
        Self { channel, word, published, places, statements, sources }
    }

    pub(super) fn take(&mut self, release: String, rpm: Rpm) {
        let Rpm { name, version, architecture, mut module } = rpm;
        if module.is_none() && version.contains(".module") {
            module = Some("?".to_owned());
        }
        let source = architecture == "src";
        let bound = !source && architecture != "noarch" && !architecture.is_empty();
        let key = (release, name, version, module);
        if !source
            && let Some(said) = self.places.get(&key).and_then(|at| self.statements.get_mut(*at))
        {
            // Nothing, or `noarch`, is a word for every architecture.
            if !bound {
                said.architectures.clear();
            } else if !said.architectures.is_empty()
                && !said.architectures.iter().any(|a| *a == architecture)
            {
                said.architectures.push(Cow::Owned(architecture));
            }
            return;
        }
        let (release, name, version, module) = key.clone();
        let statement = Statement {
            release: Cow::Owned(release),
            channel: self.channel,
            package: Cow::Owned(name),
            by: if source { By::Source } else { By::Binary },
            status: Status::Fixed,
            fixed: Some(Cow::Owned(version)),
            word: Cow::Owned(self.word.to_owned()),
            module: module.map(Cow::Owned),
            architectures: if bound { vec![Cow::Owned(architecture)] } else { Vec::new() },
            published: self.published,
            ..Statement::default()
        };
        if source {
            self.sources.push(statement);
        } else {
            self.places.insert(key, self.statements.len());
            self.statements.push(statement);
        }
    }

    /// Returns the statements; source packages say nothing more where there are binaries.
    pub(super) fn done(self) -> Vec<Statement<'static>> {
        if self.statements.is_empty() { self.sources } else { self.statements }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes};

    #[test]
    fn notices_are_read() {
        check(&UpdateInfo, "updateinfo/updateinfo.xml");
        check(&UpdateInfo, "updateinfo/broken.xml");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/updateinfo/updateinfo.xml");
        holds_on_any_bytes(&UpdateInfo, "updateinfo.xml", good);
    }
}
