//! SARIF 2.1.0 (OASIS): a rule an advisory or other debt, a result a finding, located in the package database, or in the
//! folder of the software that no package manager keeps.

use std::collections::BTreeMap;

use muster_core::fact::{Database, Facts};
use muster_core::finding::{About, Finding, Severity};
use muster_core::verdict::Verdict;
use serde_json::{Value, json};

use crate::output::json::{Findings, kind};
use crate::output::purl::{self, Beside};
use crate::report::{Placed, Report, is_owed};

/// Returns the log of one run.
pub(crate) fn log(report: &Report) -> Result<Value, serde_json::Error> {
    let mut rules: BTreeMap<&str, &Finding> = BTreeMap::new();
    let placed = report.placed();
    for Placed { finding, .. } in &placed {
        rules.entry(&finding.id).or_insert(finding);
    }
    let numbers: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(n, id)| (*id, n)).collect();
    let mut findings = Findings::default();
    let mut results = Vec::with_capacity(placed.len());
    for placed in &placed {
        let mut entry = Vec::new();
        findings.write(&mut entry, placed.finding);
        let entry: Value = serde_json::from_slice(&entry)?;
        let rule = numbers.get(&*placed.finding.id).copied();
        results.push(result(report, placed, &entry, rule));
    }
    Ok(json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Muster",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.values().map(|f| rule(f)).collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": true,
                "endTimeUtc": report.at.to_string(),
                "toolExecutionNotifications": report.unknown.iter().map(|u| json!({
                    "level": "warning",
                    "message": { "text": format!("{}: {}", u.what, u.why) },
                })).collect::<Vec<_>>(),
            }],
            "results": results,
        }],
    }))
}

fn rule(finding: &Finding) -> Value {
    let score = match finding.severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
        Severity::Negligible => "0.5",
        Severity::Unknown => "0.0",
    };
    json!({
        "id": finding.id,
        "name": kind(finding),
        "shortDescription": { "text": finding.id },
        "properties": { "security-severity": score, "tags": ["security", kind(finding)] },
    })
}

fn result(report: &Report, placed: &Placed<'_>, entry: &Value, rule: Option<usize>) -> Value {
    let finding = placed.finding;
    let level = match (finding.severity, is_owed(finding, false)) {
        (_, false) => "note",
        (Severity::Critical | Severity::High, true) => "error",
        (_, true) => "warning",
    };
    let result_kind = match finding.verdict {
        Verdict::Fixed => "pass",
        Verdict::NotAffected => "notApplicable",
        Verdict::Unknown => "review",
        _ => "fail",
    };
    let facts = placed.within.map_or(&report.facts, |within| within.facts);
    let own = Beside::of(finding).map_or(database(facts).to_owned(), |b| purl::relative(b.path));
    let place = match (placed.within, &finding.about) {
        (Some(within), _) => format!("{}/{own}", purl::relative(&within.container.root)),
        (None, About::Container(c)) => purl::relative(&c.container.root),
        (None, _) => own,
    };
    let in_source = crate::report::source(finding).map_or(String::new(), |s| format!(":{s}"));
    json!({
        "ruleId": finding.id,
        "ruleIndex": rule,
        "kind": result_kind,
        "level": if result_kind == "fail" { level } else { "none" },
        "message": { "text": format!("{}. {}", finding.title, finding.action) },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": place, "uriBaseId": "ROOT" } } }],
        "partialFingerprints": { "musterFinding/v1": format!("{}:{}{in_source}", kind(finding), placed.id()) },
        "properties": entry,
    })
}

/// Returns where the package database of a root lies.
fn database(facts: &Facts) -> &'static str {
    match facts.database.found() {
        Some(Database::Dpkg) => "var/lib/dpkg/status",
        Some(Database::Rpm) => "var/lib/rpm",
        Some(Database::Apk) => "lib/apk/db/installed",
        None => "etc/os-release",
    }
}
