//! CycloneDX 1.6 (ECMA-424): every package of the server and all software beside them as a
//! component, every finding as a vulnerability with its analysis (VEX).

use std::collections::BTreeMap;

use muster_core::finding::{About, Concerned, Finding, Severity};
use muster_core::verdict::Verdict;
use serde_json::{Value, json};

use crate::output::json::kind;
use crate::output::purl::{self, Beside};
use crate::report::Report;

/// Returns the bill of materials. Its serial number is made from what it says: the same inspection has the same one.
pub(crate) fn bom(report: &Report) -> Value {
    let refs: BTreeMap<(&str, &str, &str), String> = report
        .facts
        .packages
        .iter()
        .map(|p| {
            let concerned = Concerned::new(p, None);
            (
                (p.name.as_str(), p.architecture.as_str(), p.version.as_str()),
                purl::of(&report.facts, &concerned),
            )
        })
        .collect();
    let packages = refs
        .iter()
        .map(|((name, _, version), purl)| json!({ "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl }));
    let facts = &report.facts;
    let beside = facts
        .applications
        .iter()
        .map(Beside::application)
        .chain(facts.languages.iter().map(Beside::language));
    let beside: BTreeMap<String, Value> =
        beside.map(|beside| (beside.id.clone(), component(&beside))).collect();
    let components: Vec<Value> = packages.chain(beside.into_values()).collect();
    let vulnerabilities: Vec<Value> =
        report.findings.iter().flat_map(|f| vulnerabilities(f, &refs)).collect();
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

/// Software that no package manager keeps: one component a copy, told apart by its place.
fn component(beside: &Beside<'_>) -> Value {
    let mut component = json!({
        "type": if beside.is_application { "application" } else { "library" },
        "bom-ref": beside.id,
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

fn vulnerabilities(finding: &Finding, refs: &BTreeMap<(&str, &str, &str), String>) -> Vec<Value> {
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
        Some(beside) => vec![json!({ "ref": beside.id })],
        None if affects.is_empty() => vec![json!({ "ref": "server" })],
        None => affects,
    };
    let one = |id: &str| {
        json!({
            "bom-ref": format!("{}:{id}:{}", finding.id, crate::report::source(finding).unwrap_or(kind(finding))),
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
