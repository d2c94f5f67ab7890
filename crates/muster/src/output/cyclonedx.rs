//! CycloneDX 1.6 (ECMA-424): every package of the server and all software beside them as a
//! component, every finding as a vulnerability with its analysis (VEX).

use std::collections::BTreeMap;

use muster_core::fact::Facts;
use muster_core::finding::{About, Concerned, Finding, Severity};
use muster_core::verdict::Verdict;
use serde_json::{Value, json};

use crate::output::json::kind;
use crate::output::purl::{self, Beside};
use crate::report::{Placed, Report};

/// Returns the bill of materials. Its serial number is made from what it says: the same inspection has the same one.
pub(crate) fn bom(report: &Report) -> Value {
    let mut parts = parts(&report.facts, "");
    let placed = report.placed();
    let mut vulnerabilities: Vec<Value> = Vec::new();
    let mut at: Option<&str> = None;
    let mut refs = parts.refs;
    for placed in &placed {
        let within = placed.within.map(|within| within.id);
        if within != at {
            at = within;
            if let Some(within) = placed.within {
                let own = self::parts(within.facts, &format!("{}#", within.id));
                refs = own.refs;
                parts.components.push(json!({
                    "type": "container",
                    "bom-ref": within.id,
                    "name": within.container.name,
                    "properties": [{ "name": "muster:path", "value": within.container.root }],
                    "components": own.components,
                }));
            }
        }
        vulnerabilities.extend(self::vulnerabilities(placed, &refs));
    }
    let components = parts.components;
    let digest =
        blake3::hash(format!("{} {components:?} {vulnerabilities:?}", report.at).as_bytes());
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(digest.as_bytes()),
        "version": 1,
        "metadata": {
            "timestamp": report.at.to_string(),
            "tools": { "components": [{ "type": "application", "name": "muster", "version": env!("CARGO_PKG_VERSION") }] },
            "component": { "type": "operating-system", "bom-ref": "server", "name": report.facts.os.found().map_or("unknown", |o| &o.id), "version": report.facts.os.found().and_then(|o| o.version.clone()).unwrap_or_default() },
            "properties": report.unknown.iter().map(|u| json!({ "name": "muster:unknown", "value": format!("{}: {}", u.what, u.why) })).collect::<Vec<_>>(),
        },
        "components": components,
        "vulnerabilities": vulnerabilities,
    })
}

/// The name, architecture and version of a package, and what it is referred to by.
type Refs<'f> = BTreeMap<(&'f str, &'f str, &'f str), String>;

/// What a root is made of.
struct Parts<'f> {
    refs: Refs<'f>,
    components: Vec<Value>,
}

/// Returns the packages of a root and the software beside them; `before` stands before what they are referred to by.
fn parts<'f>(facts: &'f Facts, before: &str) -> Parts<'f> {
    let mut refs = Refs::new();
    let mut components = Vec::new();
    for package in &facts.packages {
        let purl = purl::of(facts, &Concerned::new(package, None));
        let key = (package.name.as_str(), package.architecture.as_str(), package.version.as_str());
        refs.insert(key, format!("{before}{purl}"));
    }
    for ((name, _, version), reference) in &refs {
        let purl = reference.strip_prefix(before).unwrap_or(reference);
        components.push(json!({ "type": "library", "bom-ref": reference, "name": name, "version": version, "purl": purl }));
    }
    let beside = facts.applications.iter().map(Beside::application);
    let beside = beside.chain(facts.languages.iter().map(Beside::language));
    let beside: BTreeMap<String, Value> =
        beside.map(|beside| (beside.id.clone(), component(&beside, before))).collect();
    components.extend(beside.into_values());
    Parts { refs, components }
}

/// Software that no package manager keeps: one component a copy, told apart by its place.
fn component(beside: &Beside<'_>, before: &str) -> Value {
    let mut component = json!({
        "type": if beside.is_application { "application" } else { "library" },
        "bom-ref": format!("{before}{}", beside.id),
        "name": beside.name,
        "purl": beside.purl,
        "properties": [{ "name": "muster:path", "value": beside.path }],
    });
    if let Some(version) = beside.version {
        component["version"] = json!(version);
    }
    if let Some(cpe) = &beside.cpe {
        component["cpe"] = json!(cpe);
    }
    component
}

/// Makes a UUID of a digest, with the bits that RFC 9562 gives to version 8 (a value of one's own making).
fn serial(digest: &[u8; 32]) -> String {
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(digest.first_chunk::<16>().expect("a digest has 32 bytes"));
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn vulnerabilities(placed: &Placed<'_>, refs: &Refs<'_>) -> Vec<Value> {
    let finding = placed.finding;
    let before = placed.within.map_or(String::new(), |within| format!("{}#", within.id));
    let (ids, packages): (Vec<&str>, &[Concerned]) = match &finding.about {
        About::Advisory(a) if !a.cves.is_empty() => {
            (a.cves.iter().map(|c| &**c).collect(), &a.patch.packages)
        }
        About::Advisory(a) => (vec![&finding.id], &a.patch.packages),
        About::ArchiveUpdate(u) => (vec![&finding.id], &u.packages),
        About::KernelLine(k) => (vec![&finding.id], &k.packages),
        About::ThirdParty(t) => (vec![&finding.id], &t.packages),
        About::WebApplication(a) => (named(finding, &a.cves), &[]),
        About::LanguagePackage(l) => (named(finding, &l.cves), &[]),
        _ => (vec![&finding.id], &[]),
    };
    let affects: Vec<Value> = packages
        .iter()
        .filter_map(|p| refs.get(&(&*p.name, &*p.architecture, &*p.installed)))
        .map(|purl| json!({ "ref": purl }))
        .collect();
    let affects = match Beside::of(finding) {
        Some(beside) => vec![json!({ "ref": format!("{before}{}", beside.id) })],
        None if affects.is_empty() => {
            vec![json!({ "ref": placed.within.map_or("server", |within| within.id) })]
        }
        None => affects,
    };
    let one = |id: &str| {
        json!({
            "bom-ref": format!("{before}{}:{id}:{}", finding.id, crate::report::source(finding).unwrap_or(kind(finding))),
            "id": id,
            "references": if *id == *finding.id { json!([]) } else { json!([{ "id": finding.id, "source": { "name": kind(finding) } }]) },
            "ratings": [{ "severity": severity(finding.severity) }],
            "description": finding.title,
            "recommendation": &*finding.action,
            "analysis": { "state": state(finding.verdict), "detail": finding.verdict.name() },
            "affects": affects,
        })
    };
    ids.into_iter().map(one).collect()
}

/// Returns the vulnerabilities; a finding without one is named by its own id.
fn named<'f>(finding: &'f Finding, cves: &'f [String]) -> Vec<&'f str> {
    if cves.is_empty() { vec![&finding.id] } else { cves.iter().map(String::as_str).collect() }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Negligible => "info",
        other => other.name(),
    }
}

fn state(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fixed => "resolved",
        Verdict::NotAffected => "not_affected",
        Verdict::Unknown => "in_triage",
        _ => "exploitable",
    }
}
