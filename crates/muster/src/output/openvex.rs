//! OpenVEX 0.2.0: a statement a vulnerability and package of this server, with the vendor's word as its reason.

use muster_core::finding::{About, AdvisoryFinding, Finding};
use muster_core::verdict::Verdict;
use serde_json::{Value, json};

use crate::output::json::kind;
use crate::output::purl::{self, Beside};
use crate::report::{Placed, Report};

/// Returns the document. Its id is the hash of what it says: the same inspection has the same id.
pub(crate) fn document(report: &Report) -> Value {
    let statements: Vec<Value> =
        report.placed().iter().flat_map(|placed| statements(report, placed)).collect();
    let digest = blake3::hash(format!("{} {:?}", report.at, statements).as_bytes());
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("urn:muster:vex:{}", &digest.to_hex()[..32]),
        "author": "Muster",
        "timestamp": report.at.to_string(),
        "version": 1,
        "tooling": concat!("muster ", env!("CARGO_PKG_VERSION")),
        "statements": statements,
    })
}

/// A finding of another kind than an advisory has no vulnerability to name: its own id stands in for one.
fn statements(report: &Report, placed: &Placed<'_>) -> Vec<Value> {
    let finding = placed.finding;
    let facts = placed.within.map_or(&report.facts, |within| within.facts);
    let empty = [];
    let (names, packages): (Vec<&str>, &[_]) = match &finding.about {
        About::Advisory(a) => (names(finding, a), &a.patch.packages),
        About::ArchiveUpdate(u) => (
            if u.advisories.is_empty() {
                vec![&*finding.id]
            } else {
                u.advisories.iter().map(String::as_str).collect()
            },
            &u.packages,
        ),
        About::KernelLine(k) => (vec![&*finding.id], &k.packages),
        About::ThirdParty(t) => (vec![&*finding.id], &t.packages),
        About::WebApplication(a) if !a.cves.is_empty() => {
            (a.cves.iter().map(String::as_str).collect(), &empty)
        }
        About::LanguagePackage(l) if !l.cves.is_empty() => {
            (l.cves.iter().map(String::as_str).collect(), &empty)
        }
        _ => (vec![&*finding.id], &empty),
    };
    let products: Vec<Value> = match packages {
        [] if let Some(beside) = Beside::of(finding) => vec![product(&beside)],
        [] if let About::Container(_) = &finding.about => vec![json!({ "@id": urn(&finding.id) })],
        [] => vec![json!({ "@id": format!("urn:muster:server:{}", kind(finding)) })],
        packages => packages
            .iter()
            .map(|p| {
                let purl = purl::of(facts, p);
                json!({ "@id": purl, "identifiers": { "purl": purl } })
            })
            .collect(),
    };
    // What is in a container is a part of it.
    let products = match placed.within {
        Some(within) => vec![json!({ "@id": urn(within.id), "subcomponents": products })],
        None => products,
    };
    names.into_iter().map(|name| statement(finding, name, &products)).collect()
}

/// Names a copy or a container by the id of its finding.
fn urn(id: &str) -> String {
    format!("urn:muster:{}", purl::relative(id))
}

/// Software beside the packages: its purl does not tell copies apart, so the id of the copy is its own.
fn product(beside: &Beside<'_>) -> Value {
    let mut product = json!({
        "@id": urn(&beside.id),
        "identifiers": { "purl": beside.purl },
    });
    if let Some(cpe) = &beside.cpe {
        product["identifiers"]["cpe23"] = json!(cpe);
    }
    product
}

fn names<'a>(finding: &'a Finding, advisory: &'a AdvisoryFinding) -> Vec<&'a str> {
    if advisory.cves.is_empty() {
        vec![&*finding.id]
    } else {
        advisory.cves.iter().map(|c| &**c).collect()
    }
}

fn statement(finding: &Finding, name: &str, products: &[Value]) -> Value {
    let mut statement = json!({
        "vulnerability": { "name": name },
        "products": products,
        "status": status(finding.verdict),
        "status_notes": format!("{}: {}", finding.id, finding.title),
    });
    match finding.verdict {
        Verdict::NotAffected => {
            statement["impact_statement"] = json!(match &finding.about {
                About::WebApplication(_) | About::LanguagePackage(_) => &*finding.title,
                _ => "the distributor says that this package is not affected",
            });
        }
        Verdict::Fixed | Verdict::Unknown => {}
        _ => {
            statement["action_statement"] = json!(if finding.action.is_empty() {
                "see status_notes"
            } else {
                &*finding.action
            });
        }
    }
    statement
}

fn status(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fixed => "fixed",
        Verdict::NotAffected => "not_affected",
        Verdict::Unknown => "under_investigation",
        _ => "affected",
    }
}
