//! The JSON of an inspection, schema `muster.inspection/1` (docs/reference/inspection.schema.json).
//!
//! These are wire types: names and shapes are a promise, whatever becomes of the types they are made from.

use std::collections::BTreeMap;

use muster_core::catalog::Support;
use muster_core::fact::Obstacle;
use muster_core::finding::{About, AdvisoryFinding, Concerned, Finding};
use muster_core::time::{Date, Instant};
use serde::Serialize;

use crate::report::Report;

#[derive(Serialize)]
pub(crate) struct Inspection<'a> {
    schema: &'static str,
    at: Instant,
    root: &'a str,
    sentence: String,
    os: Os<'a>,
    packages: Packages,
    advisories: Advisories<'a>,
    findings: Vec<Entry<'a>>,
    unknown: Vec<Unknown<'a>>,
}

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

/// A finding, on one line of NDJSON or in the list of an inspection.
#[derive(Serialize)]
pub(crate) struct Entry<'a> {
    kind: &'static str,
    id: &'a str,
    verdict: &'static str,
    severity: &'static str,
    title: &'a str,
    action: &'a str,
    #[serde(flatten)]
    about: AboutEntry<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AboutEntry<'a> {
    Advisory(AdvisoryEntry<'a>),
    ArchiveUpdate {
        source: &'a str,
        packages: Vec<CandidateEntry<'a>>,
        pocket: &'a str,
        security: bool,
        advisories: &'a [String],
        kept_back: Option<&'a str>,
    },
    EndOfSupport {
        product: &'a str,
        version: &'a str,
        ended: Option<Date>,
        successor: Option<&'a str>,
        needs: Option<&'a str>,
        paid_until: Option<Date>,
    },
    KernelLine {
        running: Option<&'a str>,
        line: &'a str,
        successor: Option<&'a str>,
        ended: Option<Date>,
        word: &'a str,
        packages: Vec<PackageEntry<'a>>,
    },
    Reboot {
        why: &'a str,
        packages: &'a [String],
    },
    UpdateChannel {
        problem: &'static str,
        subject: &'a str,
    },
    ThirdParty {
        packages: Vec<PackageEntry<'a>>,
        origin: &'a str,
    },
}

#[derive(Serialize)]
struct AdvisoryEntry<'a> {
    cves: &'a [String],
    source: &'a str,
    packages: Vec<PackageEntry<'a>>,
    fix: &'static str,
    needs: Option<&'static str>,
    channel: &'static str,
    kernel: bool,
    of: Vec<&'static str>,
    headers_only: bool,
    published: Option<Date>,
    kev: Option<Kev>,
    epss: Option<f64>,
    word: &'a str,
    rule: &'static str,
}

#[derive(Serialize)]
struct Kev {
    added: Date,
    due: Option<Date>,
}

#[derive(Serialize)]
struct PackageEntry<'a> {
    name: &'a str,
    architecture: &'a str,
    installed: &'a str,
    fixed: Option<&'a str>,
}

#[derive(Serialize)]
struct CandidateEntry<'a> {
    name: &'a str,
    architecture: &'a str,
    installed: &'a str,
    candidate: Option<&'a str>,
}

/// Returns the object of an inspection.
pub(crate) fn inspection(report: &Report) -> Inspection<'_> {
    let os = report.facts.os.found();
    let release = os.and_then(muster_core::fact::Os::release);
    let feeds = report.advisories.as_ref().map_or(&[][..], |a| &a.feeds);
    Inspection {
        schema: "muster.inspection/1",
        at: report.at,
        root: &report.root,
        sentence: report.sentence(),
        os: Os {
            id: os.map(|o| o.id.as_str()),
            version: os.and_then(|o| o.version.as_deref()).or(release.map(|r| r.version)),
            codename: os.and_then(|o| o.codename.as_deref()).or(release.and_then(|r| r.codename)),
            name: os.map(|o| o.name.as_str()),
            support: SupportOf { state: support(report.support.state), ends: report.support.ends },
        },
        packages: Packages {
            installed: report.facts.packages.len(),
            scheme: report.facts.database.found().map(|d| d.name()),
        },
        advisories: Advisories {
            built: report.advisories.as_ref().and_then(|a| a.built),
            source_times: feeds.iter().map(|f| (f.name.as_str(), f.newest)).collect(),
        },
        findings: report.findings.iter().map(entry).collect(),
        unknown: report.unknown.iter().map(unknown).collect(),
    }
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

/// Returns the entry of a finding.
pub(crate) fn entry(finding: &Finding) -> Entry<'_> {
    Entry {
        kind: kind(finding),
        id: &finding.id,
        verdict: finding.verdict.name(),
        severity: finding.severity.name(),
        title: &finding.title,
        action: &finding.action,
        about: about(&finding.about),
    }
}

fn about(about: &About) -> AboutEntry<'_> {
    match about {
        About::Advisory(a) => AboutEntry::Advisory(advisory(a)),
        About::ArchiveUpdate(u) => AboutEntry::ArchiveUpdate {
            source: &u.source,
            packages: u.packages.iter().map(candidate).collect(),
            pocket: &u.pocket,
            security: u.security,
            advisories: &u.advisories,
            kept_back: u.kept_back.as_deref(),
        },
        About::EndOfSupport(e) => AboutEntry::EndOfSupport {
            product: &e.product,
            version: &e.version,
            ended: e.ended,
            successor: e.successor.as_deref(),
            needs: e.needs.as_deref(),
            paid_until: e.paid_until,
        },
        About::KernelLine(k) => AboutEntry::KernelLine {
            running: k.running.as_deref(),
            line: &k.line,
            successor: k.successor.as_deref(),
            ended: k.ended,
            word: &k.word,
            packages: k.packages.iter().map(package).collect(),
        },
        About::Reboot(r) => AboutEntry::Reboot { why: &r.why, packages: &r.packages },
        About::UpdateChannel(u) => {
            AboutEntry::UpdateChannel { problem: u.problem.name(), subject: &u.subject }
        }
        About::ThirdParty(t) => AboutEntry::ThirdParty {
            packages: t.packages.iter().map(package).collect(),
            origin: &t.origin,
        },
    }
}

fn advisory(a: &AdvisoryFinding) -> AdvisoryEntry<'_> {
    AdvisoryEntry {
        cves: &a.cves,
        source: &a.source,
        packages: a.packages.iter().map(package).collect(),
        fix: a.fix.name(),
        needs: if a.fix == muster_core::finding::Fix::Subscription {
            a.channel.subscription()
        } else {
            None
        },
        channel: a.channel.name(),
        kernel: a.kernel,
        of: a.of.iter().map(|o| o.name()).collect(),
        headers_only: a.headers_only,
        published: a.published,
        kev: a.exploited.map(|(added, due)| Kev { added, due }),
        epss: a.likelihood.map(six_digits),
        word: &a.word,
        rule: a.rule.name(),
    }
}

/// EPSS has at most six digits: what a single-precision number adds to them was never said.
fn six_digits(likelihood: f32) -> f64 {
    (f64::from(likelihood) * 1e6).round() / 1e6
}

fn package(p: &Concerned) -> PackageEntry<'_> {
    PackageEntry {
        name: &p.name,
        architecture: &p.architecture,
        installed: &p.installed,
        fixed: p.fixed.as_deref(),
    }
}

fn candidate(p: &Concerned) -> CandidateEntry<'_> {
    CandidateEntry {
        name: &p.name,
        architecture: &p.architecture,
        installed: &p.installed,
        candidate: p.fixed.as_deref(),
    }
}
