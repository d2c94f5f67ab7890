//! Debian's security tracker as one JSON document: `https://security-tracker.debian.org/tracker/data/json`.
//!
//! An object of source packages, each an object of vulnerabilities, each with the state in every release. The same
//! vulnerability stands under each source it concerns: one record for each (source, vulnerability) is handed over.
//! What the archives hold (`repositories`) is not repeated: it is no word on the flaw.

use std::borrow::Cow;

use muster_core::advisory::{By, Form, Item, Record, Sink, Statement, Status};
use serde::Deserialize;

use super::debian_lists::{release, take_severity};
use crate::json::{Broken, ELEMENT, Members, Str, Walk};
use crate::lines::problem;
use crate::{Document, Feed, Recognised};

/// The reader of the tracker's JSON.
pub(crate) struct DebianTracker;

impl Feed for DebianTracker {
    fn name(&self) -> &'static str {
        "debian-tracker"
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        match is_tracker(head) {
            Ok(true) => Recognised::Yes,
            Ok(false) | Err(_) => Recognised::No,
        }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut walk = Walk::new(document.reader);
        if let Err(broken) = sources(&mut walk, path, sink) {
            walk.report(path, &broken, sink);
        }
    }
}

/// Judges whether the document begins with a source and its first vulnerability.
fn is_tracker(mut head: &[u8]) -> Result<bool, Broken> {
    let mut walk = Walk::new(&mut head);
    walk.object()?;
    if walk.key()?.is_none() {
        return Ok(false);
    }
    walk.object()?;
    let Some(id) = walk.key()? else { return Ok(false) };
    if !(id.starts_with("CVE-") || id.starts_with("TEMP-")) {
        return Ok(false);
    }
    walk.object()?;
    let first = walk.key()?.unwrap_or_default();
    Ok(matches!(first.as_str(), "description" | "scope" | "releases" | "debianbug"))
}

fn sources(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    walk.object()?;
    while let Some(source) = walk.key()? {
        if walk.peek()? != Some(b'{') {
            let line = walk.line();
            sink.problem(problem(path, line, format!("{source} is no object of vulnerabilities")));
            walk.skip()?;
            continue;
        }
        walk.object()?;
        while let Some(id) = walk.key()? {
            let Some(raw) = walk.value(ELEMENT)? else {
                sink.problem(problem(path, walk.line(), format!("{source}, {id}: too long")));
                continue;
            };
            match raw.parse::<Entry<'_>>(path) {
                Ok(entry) => {
                    let (record, doubts) = record(&source, &id, entry);
                    for doubt in doubts {
                        sink.problem(problem(path, raw.line, format!("{source}, {id}: {doubt}")));
                    }
                    sink.item(Item::Record(record));
                }
                Err(mut wrong) => {
                    wrong.what = format!("{source}, {id}: {}", wrong.what);
                    sink.problem(wrong);
                }
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    description: Option<Str<'a>>,
    #[serde(borrow, default)]
    debianbug: Option<Str<'a>>,
    #[serde(borrow, default)]
    releases: Members<'a, State<'a>>,
}

#[derive(Deserialize)]
struct State<'a> {
    #[serde(borrow, default)]
    status: Option<Str<'a>>,
    #[serde(borrow, default)]
    fixed_version: Option<Str<'a>>,
    #[serde(borrow, default)]
    urgency: Option<Str<'a>>,
    #[serde(borrow, default)]
    nodsa: Option<Str<'a>>,
    #[serde(borrow, default)]
    nodsa_reason: Option<Str<'a>>,
}

fn record<'a>(source: &'a str, id: &'a str, entry: Entry<'a>) -> (Record<'a>, Vec<String>) {
    let mut doubts = Vec::new();
    let mut record = Record {
        id: Cow::Borrowed(id),
        form: Form::Vulnerability,
        cves: vec![Cow::Borrowed(id)],
        details: entry.description.map(|d| d.0).unwrap_or_default(),
        ..Record::default()
    };
    if let Some(Str(bug)) = entry.debianbug {
        record.references.push(Cow::Owned(format!("https://bugs.debian.org/{bug}")));
    }
    for (codename, state) in entry.releases.0 {
        if let Some(Str(urgency)) = &state.urgency
            && urgency != "not yet assigned"
            && urgency != "end-of-life"
        {
            take_severity(&mut record.severities, urgency);
        }
        let (status, doubt) = state.judge();
        doubts.extend(doubt.map(|d| format!("{codename}: {d}")));
        let word = Cow::Owned(state.word());
        record.statements.push(Statement {
            release: release(&codename),
            package: Cow::Borrowed(source),
            by: By::Source,
            status,
            fixed: (status == Status::Fixed).then(|| state.fixed_version.map(|v| v.0)).flatten(),
            word,
            ..Statement::default()
        });
    }
    (record, doubts)
}

impl State<'_> {
    /// Returns what the state comes to, and what is doubtful about it.
    fn judge(&self) -> (Status, Option<String>) {
        let of = |field: &Option<Str<'_>>| field.as_ref().map(|s| s.0.to_string());
        let status = of(&self.status).unwrap_or_default();
        match (status.as_str(), of(&self.fixed_version).as_deref()) {
            ("resolved", Some("0")) => (Status::NotAffected, None),
            ("resolved", Some(_)) => (Status::Fixed, None),
            ("resolved", None) => {
                (Status::Undetermined, Some("resolved, but no fixed_version".to_owned()))
            }
            ("open", _) if of(&self.urgency).as_deref() == Some("end-of-life") => {
                (Status::EndOfLife, None)
            }
            ("open", _) => match (of(&self.nodsa), of(&self.nodsa_reason).as_deref()) {
                (_, Some("ignored")) => (Status::Ignored, None),
                (Some(_), _) | (None, Some(_)) => (Status::Deferred, None),
                (None, None) => (Status::Needed, None),
            },
            ("undetermined", _) => (Status::Undetermined, None),
            (other, _) => (Status::Undetermined, Some(format!("an unknown status '{other}'"))),
        }
    }

    /// Returns the vendor's words: `open, postponed (Minor issue), low`.
    fn word(&self) -> String {
        let mut word = String::new();
        word.push_str(self.status.as_ref().map_or("", |s| &s.0));
        if self.nodsa.is_some() || self.nodsa_reason.is_some() {
            let reason = self.nodsa_reason.as_ref().map_or("", |r| &r.0);
            word.push_str(", ");
            word.push_str(if reason.is_empty() { "no-dsa" } else { reason });
        }
        if let Some(Str(remark)) = self.nodsa.as_ref().filter(|n| !n.0.is_empty()) {
            word.push_str(" (");
            word.push_str(remark);
            word.push(')');
        }
        if let Some(Str(urgency)) = self.urgency.as_ref().filter(|u| u.0 != "not yet assigned") {
            word.push_str(", ");
            word.push_str(urgency);
        }
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes};

    #[test]
    fn every_state_is_told() {
        check(&DebianTracker, "debian-tracker/states.json");
        check(&DebianTracker, "debian-tracker/broken.json");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/debian-tracker/states.json");
        holds_on_any_bytes(&DebianTracker, "tracker.json", good);
    }
}
