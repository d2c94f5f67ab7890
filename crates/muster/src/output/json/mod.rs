//! The JSON of an inspection, schema `muster.inspection/1` (docs/reference/inspection.schema.json).
//!
//! These are wire types: names and shapes are a promise, whatever becomes of the types they are made from.

mod object;
mod seen;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use muster_core::catalog::Support;
use muster_core::fact::Obstacle;
use muster_core::finding::{
    About, AdvisoryFinding, Concerned, ContainerFinding, Finding, Fix, Signals,
};
use muster_core::running::Removed;
use muster_core::time::{Date, Instant};
use serde::Serialize;

use object::{Key, Object, key};
use seen::Seen;

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
            entry.text(key!("root"), root);
        }
        entry.word(key!("kind"), kind(finding));
        entry.text(key!("id"), &finding.id);
        entry.word(key!("verdict"), finding.verdict.name());
        entry.word(key!("severity"), finding.severity.name());
        entry.text(key!("title"), &finding.title);
        entry.text(key!("action"), &finding.action);
        match &finding.about {
            About::Advisory(a) => self.advisory(&mut entry, a),
            About::ArchiveUpdate(u) => {
                entry.text(key!("source"), &u.source);
                packages(entry.key(key!("packages")), &u.packages, key!("candidate"));
                entry.text(key!("pocket"), &u.pocket);
                entry.is(key!("security"), u.security);
                entry.texts(key!("advisories"), &u.advisories);
                entry.perhaps(key!("kept_back"), u.kept_back.as_deref());
            }
            About::EndOfSupport(e) => {
                entry.text(key!("product"), &e.product);
                entry.text(key!("version"), &e.version);
                entry.value(key!("ended"), &e.ended);
                entry.perhaps(key!("successor"), e.successor.as_deref());
                entry.perhaps(key!("needs"), e.needs.as_deref());
                entry.value(key!("paid_until"), &e.paid_until);
            }
            About::KernelLine(k) => {
                entry.perhaps(key!("running"), k.running.as_deref());
                entry.text(key!("line"), &k.line);
                entry.perhaps(key!("successor"), k.successor.as_deref());
                entry.value(key!("ended"), &k.ended);
                entry.text(key!("word"), &k.word);
                packages(entry.key(key!("packages")), &k.packages, key!("fixed"));
            }
            About::Reboot(r) => {
                entry.text(key!("why"), &r.why);
                entry.texts(key!("packages"), &r.packages);
            }
            About::UpdateChannel(u) => {
                entry.word(key!("problem"), u.problem.name());
                entry.text(key!("subject"), &u.subject);
            }
            About::ThirdParty(t) => {
                packages(entry.key(key!("packages")), &t.packages, key!("fixed"));
                entry.text(key!("origin"), &t.origin);
            }
            About::Restart(r) => {
                entry.text(key!("why"), &r.why);
                entry.perhaps(key!("unit"), r.unit.as_deref());
                entry.text(key!("process"), &r.process);
                entry.value(key!("pid"), &r.pid);
                entry.perhaps(key!("executable"), r.executable.as_deref());
                entry.perhaps(key!("removed"), r.removed.map(Removed::name));
                entry.texts(key!("libraries"), &r.libraries);
                entry.texts(key!("packages"), &r.packages);
            }
            About::CleartextService(c) => {
                entry.text(key!("protocol"), &c.protocol);
                entry.text(key!("address"), &c.address);
                entry.value(key!("port"), &c.port);
                entry.word(key!("reach"), c.reach.name());
                entry.value(key!("pid"), &c.pid);
                entry.perhaps(key!("unit"), c.unit.as_deref());
                entry.perhaps(key!("package"), c.package.as_deref());
                entry.text(key!("evidence"), &c.evidence);
            }
            About::WebApplication(a) => {
                entry.text(key!("product"), &a.product);
                entry.perhaps(key!("version"), a.version.as_deref());
                entry.text(key!("path"), &a.path);
                entry.perhaps(key!("owner_package"), a.owner_package.as_deref());
                entry.perhaps(key!("part_of"), a.part_of.as_ref().map(|(of, _)| &**of));
                entry.perhaps(key!("part"), a.part_of.as_ref().map(|(_, part)| &**part));
                entry.perhaps(key!("account"), a.account.as_deref());
                entry.perhaps(key!("served_by"), a.served_by.as_deref());
                entry.perhaps(key!("copy"), a.copy.as_deref());
                entry.text(key!("evidence"), &a.evidence);
                entry.texts(key!("cves"), &a.cves);
                entry.perhaps(key!("fixed"), a.fixed.as_deref());
                entry.value(key!("ended"), &a.ended);
                entry.perhaps(key!("latest"), a.latest.as_deref());
                signals(&mut entry, &a.signals);
            }
            About::LanguagePackage(l) => {
                entry.text(key!("ecosystem"), &l.ecosystem);
                entry.text(key!("name"), &l.name);
                entry.text(key!("version"), &l.version);
                entry.text(key!("path"), &l.path);
                entry.perhaps(key!("owner_package"), l.owner_package.as_deref());
                entry.texts(key!("cves"), &l.cves);
                entry.perhaps(key!("fixed"), l.fixed.as_deref());
                signals(&mut entry, &l.signals);
            }
            About::Container(c) => self.container(&mut entry, c),
        }
        entry.end();
    }

    fn container(&mut self, entry: &mut Object<'_>, c: &ContainerFinding) {
        entry.text(key!("runtime"), &c.container.runtime);
        entry.text(key!("name"), &c.container.name);
        entry.perhaps(key!("image"), c.container.image.as_deref());
        entry.text(key!("root"), &c.container.root);
        entry.is(key!("running"), c.container.running);
        entry.is(key!("is_image"), c.container.is_image);
        entry.text(key!("sentence"), &c.sentence);
        object::list(entry.key(key!("findings")), &c.findings, |out, finding| {
            self.write(out, finding);
        });
        entry.value(key!("unknown"), &c.unknown.iter().map(unknown).collect::<Vec<_>>());
    }

    fn advisory(&mut self, entry: &mut Object<'_>, a: &AdvisoryFinding) {
        let list = self.packages.entry(a.patch.packages.as_ptr()).or_insert_with(|| {
            let mut list = Vec::with_capacity(128 * a.patch.packages.len());
            packages(&mut list, &a.patch.packages, key!("fixed"));
            list.into()
        });
        let needs =
            if a.patch.fix == Fix::Subscription { a.patch.channel.subscription() } else { None };
        entry.texts(key!("cves"), &a.cves);
        entry.text(key!("source"), &a.patch.source);
        entry.key(key!("packages")).extend_from_slice(list);
        entry.word(key!("fix"), a.patch.fix.name());
        entry.perhaps(key!("needs"), needs);
        entry.word(key!("channel"), a.patch.channel.name());
        entry.is(key!("kernel"), a.patch.kernel);
        object::list(entry.key(key!("of")), &a.patch.of, |out, object| {
            object::text(out, object.name());
        });
        entry.is(key!("headers_only"), a.patch.headers_only);
        entry.value(key!("published"), &a.published);
        entry.value(key!("kev"), &a.exploited.map(|(added, due)| Kev { added, due }));
        entry.value(key!("epss"), &a.likelihood.map(six_digits));
        entry.text(key!("word"), &a.patch.word);
        entry.word(key!("rule"), a.patch.rule.name());
    }
}

fn signals(entry: &mut Object<'_>, signals: &Signals) {
    entry.value(key!("published"), &signals.published);
    entry.value(key!("kev"), &signals.exploited.map(|(added, due)| Kev { added, due }));
    entry.value(key!("epss"), &signals.likelihood.map(six_digits));
}

/// Writes a list of packages; `newer` is the key of the version that mends one, or that is on offer.
fn packages(out: &mut Vec<u8>, packages: &[Concerned], newer: Key) {
    object::list(out, packages, |out, package| {
        let mut entry = Object::begin(out);
        entry.text(key!("name"), &package.name);
        entry.text(key!("architecture"), &package.architecture);
        entry.text(key!("installed"), &package.installed);
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
    object.text(key!("schema"), "muster.inspection/1");
    object.value(key!("at"), &report.at);
    object.text(key!("root"), &report.root);
    object.text(key!("sentence"), &report.sentence());
    object.value(
        key!("os"),
        &Os {
            id: os.map(|o| o.id.as_str()),
            version: os.and_then(|o| o.version.as_deref()).or(release.map(|r| r.version)),
            codename: os.and_then(|o| o.codename.as_deref()).or(release.and_then(|r| r.codename)),
            name: os.map(|o| o.name.as_str()),
            support: SupportOf { state: support(report.support.state), ends: report.support.ends },
        },
    );
    object.value(
        key!("packages"),
        &Packages {
            installed: report.facts.packages.len(),
            scheme: report.facts.database.found().map(|d| d.name()),
        },
    );
    object.value(
        key!("advisories"),
        &Advisories {
            built: report.advisories.as_ref().and_then(|a| a.built),
            source_times: feeds.iter().map(|f| (f.name.as_str(), f.newest)).collect(),
        },
    );
    let list = object.key(key!("findings"));
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
    object.value(key!("unknown"), &report.unknown.iter().map(unknown).collect::<Vec<_>>());
    object.value(key!("seen"), &Seen::of(&report.facts));
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
        About::Restart(_) => "restart",
        About::CleartextService(_) => "cleartext-service",
        About::WebApplication(_) => "web-application",
        About::LanguagePackage(_) => "language-package",
        About::Container(_) => "container",
    }
}

/// EPSS has at most six digits: what a single-precision number adds to them was never said.
fn six_digits(likelihood: f32) -> f64 {
    (f64::from(likelihood) * 1e6).round() / 1e6
}
