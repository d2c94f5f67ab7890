//! Red Hat's Security Data API, one CVE a document: `/hydra/rest/securitydata/cve/CVE-….json`.
//!
//! `affected_release` tells the source package that an erratum mends, `package_state` what is still open; the CPE of
//! each tells the release, as in `redhat_csaf`. An erratum for a module names the module and no package version: it
//! is kept under `Channel::Other`. The list of CVEs (`cve.json`) says nothing of packages and is passed over.
//! Samples and mirrors mix these documents with CSAF ones: they are read as one feed, by `redhat_csaf`.

use std::borrow::Cow;
use std::io::BufRead;

use muster_core::advisory::{
    By, Channel, Form, Item, Record, Severity, Sink, Statement, Status, Text,
};
use serde::Deserialize;

use super::{Platform, module_in, status_of};
use crate::Recognised;
use crate::json::{List, Str, Walk, outer_keys};
use crate::lines::{instant, problem};

/// The longest document that is read.
const LONGEST: usize = 16 << 20;

/// Judges whether a document is one of these, or lies beside them.
pub(super) fn recognise(head: &[u8]) -> Recognised {
    let has = |what: &[u8]| memchr::memmem::find(head, what).is_some();
    let keys = outer_keys(head);
    let keyed = |key: &str| keys.iter().any(|k| k == key);
    if keyed("threat_severity") && keyed("public_date") {
        return Recognised::Yes;
    }
    let list = head.trim_ascii_start().starts_with(b"[")
        && has(b"\"resource_url\"")
        && has(b"/securitydata/cve/");
    if list { Recognised::Companion } else { Recognised::No }
}

/// Reads such a document.
pub(super) fn read(path: &str, reader: &mut dyn BufRead, sink: &mut dyn Sink) {
    let mut walk = Walk::new(reader);
    match walk.value(LONGEST) {
        Ok(Some(raw)) => match raw.parse::<Cve<'_>>(path) {
            Ok(cve) => cve.tell(path, raw.line, sink),
            Err(mut wrong) => {
                wrong.what = format!("the CVE was not understood: {}", wrong.what);
                sink.problem(wrong);
            }
        },
        Ok(None) => sink.problem(problem(path, 1, "the document is too long")),
        Err(broken) => walk.report(path, &broken, sink),
    }
}

#[derive(Deserialize)]
struct Cve<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow, default)]
    threat_severity: Option<Str<'a>>,
    #[serde(borrow, default)]
    public_date: Option<Str<'a>>,
    #[serde(borrow, default)]
    bugzilla: Option<Bug<'a>>,
    #[serde(borrow, default)]
    cvss3: Option<Cvss<'a>>,
    #[serde(borrow, default)]
    details: List<Str<'a>>,
    #[serde(borrow, default)]
    affected_release: List<Erratum<'a>>,
    #[serde(borrow, default)]
    package_state: List<State<'a>>,
}

#[derive(Deserialize)]
struct Bug<'a> {
    #[serde(borrow, default)]
    description: Option<Str<'a>>,
    #[serde(borrow, default)]
    url: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Cvss<'a> {
    #[serde(borrow, default, rename = "cvss3_scoring_vector")]
    vector: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Erratum<'a> {
    #[serde(borrow)]
    product_name: Str<'a>,
    #[serde(borrow, default)]
    release_date: Option<Str<'a>>,
    #[serde(borrow)]
    advisory: Str<'a>,
    #[serde(borrow, default)]
    cpe: Option<Str<'a>>,
    #[serde(borrow, default)]
    package: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct State<'a> {
    #[serde(borrow)]
    product_name: Str<'a>,
    #[serde(borrow)]
    fix_state: Str<'a>,
    #[serde(borrow)]
    package_name: Str<'a>,
    #[serde(borrow, default)]
    cpe: Option<Str<'a>>,
}

impl Cve<'_> {
    fn tell(&self, path: &str, line: u64, sink: &mut dyn Sink) {
        let id = &*self.name.0;
        let mut record = Record {
            id: Cow::Borrowed(id),
            form: Form::Vulnerability,
            cves: vec![Cow::Borrowed(id)],
            published: self.public_date.as_ref().and_then(|d| instant(&d.0)),
            details: Cow::Owned(self.text()),
            ..Record::default()
        };
        if let Some(bug) = &self.bugzilla {
            record.title = Cow::Borrowed(bug.description.as_ref().map_or("", |d| d.0.trim()));
            record.references.extend(bug.url.as_ref().map(|u| Cow::Borrowed(&*u.0)));
        }
        let vector = self.cvss3.as_ref().and_then(|c| c.vector.as_ref());
        for (system, score) in [("Red Hat", self.threat_severity.as_ref()), ("CVSS_V3", vector)] {
            let score = score.map(|s| Cow::Borrowed(&*s.0));
            let system = Cow::Borrowed(system);
            record.severities.extend(score.map(|score| Severity { system, score }));
        }
        for erratum in &self.affected_release.0 {
            let advisory: Text<'_> = Cow::Borrowed(&erratum.advisory.0);
            if !record.related.contains(&advisory) {
                record.related.push(advisory);
            }
            record.statements.push(erratum.statement());
        }
        for state in &self.package_state.0 {
            let (statement, doubt) = state.statement();
            record.statements.push(statement);
            if let Some(doubt) = doubt {
                sink.problem(problem(path, line, format!("{id}: {doubt}")));
            }
        }
        sink.item(Item::Record(record));
    }

    fn text(&self) -> String {
        let paragraphs: Vec<_> = self.details.0.iter().map(|d| d.0.trim()).collect();
        paragraphs.join("\n\n")
    }
}

/// Returns release, channel and word of what is said of a product.
fn place(product: &str, cpe: Option<&Str<'_>>, word: &str) -> (String, Channel, String) {
    let platform = Platform { name: product, cpe: cpe.map_or("", |c| &c.0) };
    let (release, channel) = platform.release();
    let word = match channel {
        Channel::Other => format!("{product}: {word}"),
        _ => word.to_owned(),
    };
    (release, channel, word)
}

impl Erratum<'_> {
    fn statement(&self) -> Statement<'_> {
        let (release, channel, word) =
            place(&self.product_name.0, self.cpe.as_ref(), &self.advisory.0);
        let said = self.package.as_ref().map_or("", |p| p.0.trim());
        let mut statement = Statement {
            release: Cow::Owned(release),
            channel,
            package: Cow::Borrowed(said),
            by: By::Source,
            status: Status::Fixed,
            word: Cow::Owned(word),
            published: self.release_date.as_ref().and_then(|d| instant(&d.0)),
            ..Statement::default()
        };
        if let Some((name, version)) = package(said) {
            statement.package = Cow::Borrowed(name);
            let version = version.strip_prefix("0:").unwrap_or(version);
            statement.fixed = Some(Cow::Borrowed(version));
            statement.module = version.contains(".module").then_some(Cow::Borrowed("?"));
        } else {
            let module = said.split_once(':').and_then(|(name, rest)| {
                let (stream, _) = rest.split_once('-')?;
                Some((name, format!("{name}:{stream}")))
            });
            if let Some((name, module)) = module {
                statement.package = Cow::Borrowed(name);
                statement.module = Some(Cow::Owned(module));
            }
            statement.channel = Channel::Other;
        }
        statement
    }
}

/// Cuts `bind-32:9.8.2-0.68.rc1.el6_10.17` into name and version.
fn package(said: &str) -> Option<(&str, &str)> {
    let (rest, release) = said.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    let version = said.get(said.len().checked_sub(version.len() + release.len() + 1)?..)?;
    let plain = version.starts_with(|c: char| c.is_ascii_digit()) && !name.contains(':');
    (plain && !name.is_empty()).then_some((name, version))
}

impl State<'_> {
    fn statement(&self) -> (Statement<'_>, Option<String>) {
        let word = self.fix_state.0.trim();
        let (release, channel, told) = place(&self.product_name.0, self.cpe.as_ref(), word);
        let name = &*self.package_name.0;
        let module = module_in(name);
        let status = status_of(word);
        let doubt = status.is_none().then(|| format!("an unknown state of {name}: {word}"));
        let statement = Statement {
            release: Cow::Owned(release),
            channel,
            package: Cow::Borrowed(module.and_then(|_| name.rsplit('/').next()).unwrap_or(name)),
            by: By::Source,
            status: status.unwrap_or(Status::Undetermined),
            word: Cow::Owned(told),
            module: module.map(Cow::Borrowed),
            ..Statement::default()
        };
        (statement, doubt)
    }
}
