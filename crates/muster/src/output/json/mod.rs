//! The JSON of an inspection, schema `muster.inspection/1` (docs/reference/inspection.schema.json).
//!
//! These are wire types: names and shapes are a promise, whatever becomes of the types they are made from.

mod object;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use muster_core::catalog::Support;
use muster_core::fact::Obstacle;
use muster_core::finding::{About, AdvisoryFinding, Concerned, Finding, Fix};
use muster_core::time::{Date, Instant};
use serde::Serialize;

use object::Object;

use crate::report::Report;

/// About how many bytes are written at once.
const PIECE: usize = 64 << 10;

#[derive(Serialize)]
struct Os<'a> {
    id: Option<&'a str>,
    version: Option<&'a str>,
    codename: Option<&'a str>,
    name: Option<&'a str>,
    support: SupportOf,
}

#[derive(Serialize)]
struct SupportOf {
    state: &'static str,
    ends: Option<Date>,
}

#[derive(Serialize)]
struct Packages {
    installed: usize,
    scheme: Option<&'static str>,
}

#[derive(Serialize)]
struct Advisories<'a> {
    built: Option<Instant>,
    source_times: BTreeMap<&'a str, Option<Instant>>,
}

#[derive(Serialize)]
struct Unknown<'a> {
    what: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct Kev {
    added: Date,
    due: Option<Date>,
}

/// Writes findings, one after another. A thousand of them share a list of packages, which is made once.
#[derive(Default)]
pub(crate) struct Findings {
    packages: HashMap<*const Concerned, Box<[u8]>>,
}

impl Findings {
    /// Writes one at the end of `out`: what all kinds have, then what its kind has.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, finding: &Finding) {
        self.write_of(out, finding, None);
    }

    /// Does the same, and names the root where nothing around the finding does.
    fn write_of(&mut self, out: &mut Vec<u8>, finding: &Finding, root: Option<&str>) {
        let mut entry = Object::begin(out);
        if let Some(root) = root {
            entry.text("root", root);
        }
        entry.text("kind", kind(finding));
        entry.text("id", &finding.id);
        entry.text("verdict", finding.verdict.name());
        entry.text("severity", finding.severity.name());
        entry.text("title", &finding.title);
        entry.text("action", &finding.action);
        match &finding.about {
            About::Advisory(a) => self.advisory(&mut entry, a),
            About::ArchiveUpdate(u) => {
                entry.text("source", &u.source);
                packages(entry.key("packages"), &u.packages, "candidate");
                entry.text("pocket", &u.pocket);
                entry.is("security", u.security);
                entry.texts("advisories", &u.advisories);
                entry.perhaps("kept_back", u.kept_back.as_deref());
            }
            About::EndOfSupport(e) => {
                entry.text("product", &e.product);
                entry.text("version", &e.version);
                entry.value("ended", &e.ended);
                entry.perhaps("successor", e.successor.as_deref());
                entry.perhaps("needs", e.needs.as_deref());
                entry.value("paid_until", &e.paid_until);
            }
            About::KernelLine(k) => {
                entry.perhaps("running", k.running.as_deref());
                entry.text("line", &k.line);
                entry.perhaps("successor", k.successor.as_deref());
                entry.value("ended", &k.ended);
                entry.text("word", &k.word);
                packages(entry.key("packages"), &k.packages, "fixed");
            }
            About::Reboot(r) => {
                entry.text("why", &r.why);
                entry.texts("packages", &r.packages);
            }
            About::UpdateChannel(u) => {
                entry.text("problem", u.problem.name());
                entry.text("subject", &u.subject);
            }
            About::ThirdParty(t) => {
                packages(entry.key("packages"), &t.packages, "fixed");
                entry.text("origin", &t.origin);
            }
        }
        entry.end();
    }

    fn advisory(&mut self, entry: &mut Object<'_>, a: &AdvisoryFinding) {
        let list = self.packages.entry(a.packages.as_ptr()).or_insert_with(|| {
            let mut list = Vec::new();
            packages(&mut list, &a.packages, "fixed");
            list.into()
        });
        let needs = if a.fix == Fix::Subscription { a.channel.subscription() } else { None };
        entry.texts("cves", &a.cves);
        entry.text("source", &a.source);
        entry.key("packages").extend_from_slice(list);
        entry.text("fix", a.fix.name());
        entry.perhaps("needs", needs);
        entry.text("channel", a.channel.name());
        entry.is("kernel", a.kernel);
        object::list(entry.key("of"), &a.of, |out, object| object::text(out, object.name()));
        entry.is("headers_only", a.headers_only);
        entry.value("published", &a.published);
        entry.value("kev", &a.exploited.map(|(added, due)| Kev { added, due }));
        entry.value("epss", &a.likelihood.map(six_digits));
        entry.text("word", &a.word);
        entry.text("rule", a.rule.name());
    }
}

/// Writes a list of packages; `newer` is the key of the version that mends one, or that is on offer.
fn packages(out: &mut Vec<u8>, packages: &[Concerned], newer: &'static str) {
    object::list(out, packages, |out, package| {
        let mut entry = Object::begin(out);
        entry.text("name", &package.name);
        entry.text("architecture", &package.architecture);
        entry.text("installed", &package.installed);
        entry.perhaps(newer, package.fixed.as_deref());
        entry.end();
    });
}

/// Writes the object of an inspection.
pub(crate) fn inspection(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let os = report.facts.os.found();
    let release = os.and_then(muster_core::fact::Os::release);
    let feeds = report.advisories.as_ref().map_or(&[][..], |a| &a.feeds);
    let mut out = Vec::with_capacity(PIECE + PIECE / 4);
    let mut object = Object::begin(&mut out);
    object.text("schema", "muster.inspection/1");
    object.value("at", &report.at);
    object.text("root", &report.root);
    object.text("sentence", &report.sentence());
    object.value(
        "os",
        &Os {
            id: os.map(|o| o.id.as_str()),
            version: os.and_then(|o| o.version.as_deref()).or(release.map(|r| r.version)),
            codename: os.and_then(|o| o.codename.as_deref()).or(release.and_then(|r| r.codename)),
            name: os.map(|o| o.name.as_str()),
            support: SupportOf { state: support(report.support.state), ends: report.support.ends },
        },
    );
    object.value(
        "packages",
        &Packages {
            installed: report.facts.packages.len(),
            scheme: report.facts.database.found().map(|d| d.name()),
        },
    );
    object.value(
        "advisories",
        &Advisories {
            built: report.advisories.as_ref().and_then(|a| a.built),
            source_times: feeds.iter().map(|f| (f.name.as_str(), f.newest)).collect(),
        },
    );
    let list = object.key("findings");
    list.push(b'[');
    let mut findings = Findings::default();
    for (at, finding) in report.findings.iter().enumerate() {
        if at > 0 {
            list.push(b',');
        }
        findings.write(list, finding);
        if list.len() >= PIECE {
            give(list, to)?;
        }
    }
    list.push(b']');
    object.value("unknown", &report.unknown.iter().map(unknown).collect::<Vec<_>>());
    object.end();
    out.push(b'\n');
    give(&mut out, to)
}

/// Writes the findings, a line each.
pub(crate) fn lines(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let mut out = Vec::with_capacity(PIECE + PIECE / 4);
    let mut findings = Findings::default();
    for finding in &report.findings {
        findings.write_of(&mut out, finding, report.of_several.then_some(&report.root));
        out.push(b'\n');
        if out.len() >= PIECE {
            give(&mut out, to)?;
        }
    }
    give(&mut out, to)
}

fn give(piece: &mut Vec<u8>, to: &mut dyn Write) -> io::Result<()> {
    to.write_all(piece)?;
    piece.clear();
    Ok(())
}

fn unknown(obstacle: &Obstacle) -> Unknown<'_> {
    Unknown { what: &obstacle.what, why: &obstacle.why }
}

pub(crate) fn support(state: Support) -> &'static str {
    match state {
        Support::Supported => "supported",
        Support::Subscription => "subscription",
        Support::Ended => "ended",
        Support::Unknown => "unknown",
    }
}

/// Returns the kind of a finding, in the words of the contract.
pub(crate) fn kind(finding: &Finding) -> &'static str {
    match finding.about {
        About::Advisory(_) => "advisory",
        About::ArchiveUpdate(_) => "archive-update",
        About::EndOfSupport(_) => "end-of-support",
        About::KernelLine(_) => "kernel-line",
        About::Reboot(_) => "reboot",
        About::UpdateChannel(_) => "update-channel",
        About::ThirdParty(_) => "third-party",
    }
}

/// EPSS has at most six digits: what a single-precision number adds to them was never said.
fn six_digits(likelihood: f32) -> f64 {
    (f64::from(likelihood) * 1e6).round() / 1e6
}
