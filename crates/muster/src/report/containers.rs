//! Containers and images, each judged as a server of its own; what it owes is one finding of its server.

use std::sync::Arc;

use muster_core::action;
use muster_core::container::Container;
use muster_core::fact::{Database, Facts, Obstacle, Reading};
use muster_core::finding::{About, ContainerFinding, Finding, Severity};
use muster_core::verdict::Verdict;
use muster_match::file::AdvisoryFile;

use super::{Question, Report};

/// Judges every container and image.
pub(super) fn judge(
    facts: &mut Facts,
    file: Option<&AdvisoryFile>,
    question: Question,
) -> Result<Vec<Finding>, muster_match::Error> {
    let mut findings: Vec<Finding> = Vec::new();
    for container in &mut facts.containers {
        let mut finding = one(container, file, question)?;
        // Two accounts may have a container of the same name each.
        if findings.iter().any(|f| f.id == finding.id) {
            finding.id = format!("{}:{}", finding.id, container.root).into();
        }
        findings.push(finding);
    }
    if !question.all {
        findings.retain(|f| f.verdict != Verdict::Fixed);
    }
    Ok(findings)
}

fn one(
    container: &mut Container,
    file: Option<&AdvisoryFile>,
    question: Question,
) -> Result<Finding, muster_match::Error> {
    let facts = std::mem::take(&mut container.facts);
    let bare = container.clone();
    let kind = if bare.is_image { "image" } else { "container" };
    let id: Arc<str> = format!("{kind}:{}:{}", bare.runtime, bare.name).into();
    let called = format!("the {} {kind} {}", bare.runtime, bare.name);
    let facts = match facts {
        Reading::Found(facts) => facts,
        unread => {
            let obstacle = match &unread {
                Reading::Unknown(obstacle) => obstacle.clone(),
                _ => Obstacle::new(bare.root.clone(), "was not read"),
            };
            let title = format!("{called} could not be read: {}: {}", obstacle.what, obstacle.why);
            let about = ContainerFinding {
                container: bare,
                sentence: String::new(),
                findings: Vec::new(),
                unknown: vec![obstacle],
            };
            container.facts = unread;
            return Ok(Finding {
                id,
                verdict: Verdict::Unknown,
                severity: Severity::Unknown,
                title: title.into(),
                action: "".into(),
                about: About::Container(Box::new(about)),
            });
        }
    };
    let is_empty = facts.os == Reading::Absent && facts.database == Reading::Absent;
    let within = Question { is_container: true, ..question };
    let mut report = Report::of(bare.root.clone(), *facts, file, within)?;
    if is_empty {
        report.unknown.push(Obstacle::new(
            "packages",
            "it has neither a release file nor a package database: what its programs are made of is not known",
        ));
    }
    let verdict = verdict(&report);
    let is_one = |v: Verdict| report.findings.iter().filter(move |f| f.verdict == v);
    let severity = is_one(verdict).map(|f| f.severity).max().unwrap_or_default();
    let database = report.facts.database.found().copied();
    let action = if verdict == Verdict::Fixed { String::new() } else { action(&bare, database) };
    let sentence = report.sentence();
    container.facts = Reading::Found(Box::new(report.facts));
    Ok(Finding {
        id,
        verdict,
        severity,
        title: format!("{called}: {sentence}").trim_end_matches('.').into(),
        action: action.into(),
        about: About::Container(Box::new(ContainerFinding {
            container: bare,
            sentence,
            findings: report.findings,
            unknown: report.unknown,
        })),
    })
}

/// Returns the worst that a root comes to; `fixed` where nothing is owed and nothing unknown.
fn verdict(report: &Report) -> Verdict {
    const WORST_FIRST: [Verdict; 7] = [
        Verdict::Missing,
        Verdict::EndOfSupport,
        Verdict::MissingSubscription,
        Verdict::Owed,
        Verdict::Unknown,
        Verdict::WontFix,
        Verdict::NoFix,
    ];
    let has = |verdict: &Verdict| {
        // Headers cannot carry a flaw: without a fix to install they are nothing to speak of.
        let counts = |f: &Finding| {
            f.verdict == *verdict && (*verdict == Verdict::Missing || !is_headers_only(f))
        };
        report.findings.iter().any(counts)
            || *verdict == Verdict::Unknown && !report.unknown.is_empty()
    };
    WORST_FIRST.into_iter().find(has).unwrap_or(Verdict::Fixed)
}

fn is_headers_only(finding: &Finding) -> bool {
    matches!(&finding.about, About::Advisory(a) if a.patch.headers_only)
}

/// Returns what brings a container up to date: a system is updated from within, an image is made anew.
fn action(container: &Container, database: Option<Database>) -> String {
    let name = action::word(&container.name);
    if container.is_system {
        let update = match database {
            Some(Database::Dpkg) => "sh -c 'apt-get update && apt-get dist-upgrade'",
            Some(Database::Rpm) => "dnf upgrade",
            Some(Database::Apk) => "sh -c 'apk update && apk upgrade'",
            None => return "bring it up to date from within".to_owned(),
        };
        return match container.runtime.as_str() {
            "lxd" => format!("lxc exec {name} -- {update}"),
            "incus" => format!("incus exec {name} -- {update}"),
            "systemd-nspawn" => format!("systemd-run --machine {name} --pipe --wait {update}"),
            _ => format!("lxc-attach --name {name} -- {update}"),
        };
    }
    let anew = match &container.pod {
        _ if container.is_image => String::new(),
        Some(pod) => format!("; then {}", pod.remake()),
        None => "; then replace the container by one made from it".to_owned(),
    };
    match (pull(container), container.is_image) {
        (Some(pull), true) => format!("{pull}, or build it anew, or remove it if nothing uses it"),
        (Some(pull), false) => format!("{pull}, or build that image anew{anew}"),
        (None, true) => "build it anew, or remove it if nothing uses it".to_owned(),
        (None, false) => format!("build its image anew{anew}"),
    }
}

/// Returns the command that brings the image anew, where it came from a registry.
pub(crate) fn pull(container: &Container) -> Option<String> {
    let engine = match container.runtime.as_str() {
        "docker" => "docker pull",
        "podman" => "podman pull",
        "cri-o" | "containerd" => "crictl pull",
        _ => return None,
    };
    let image = if container.is_image { Some(&container.name) } else { container.image.as_ref() };
    let of_registry =
        image.filter(|image| !image.starts_with("localhost/") && image.contains(['/', ':']));
    of_registry.map(|image| format!("{engine} {}", action::word(image)))
}
