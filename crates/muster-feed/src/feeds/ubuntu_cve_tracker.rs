//! Ubuntu's CVE tracker: a file a CVE under `active/`, `retired/` and `ignored/` (README of the ubuntu-cve-tracker
//! repository), as the tree, or in an archive.
//!
//! Each line `RELEASE_SOURCE: STATUS (REMARK)` is a statement, whatever it says: what does not exist, is put off, or
//! is ignored with the release is kept in the tracker's own words. The lines about upstream, snaps and the release in
//! development are kept under those names and match no server.

use std::borrow::Cow;
use std::io::Read as _;

use muster_core::advisory::{
    By, Channel, Form, Item, Record, Severity, Sink, Statement, Status, Text,
};
use muster_core::time::Instant;

use crate::ecosystem::{codenamed, pocket_channel};
use crate::lines::{each_line, problem};
use crate::{Document, Feed, Recognised};

/// The reader of the tracker's tree.
pub(crate) struct UbuntuCveTracker;

/// The longest file of the tracker that is read; the longest there are have 200 kB.
const LONGEST: u64 = 8 << 20;
/// Lines of a file for which room is made beforehand.
const MANY: usize = 4096;

impl Feed for UbuntuCveTracker {
    fn name(&self) -> &'static str {
        "ubuntu-cve-tracker"
    }

    fn recognises(&self, path: &str, head: &[u8]) -> Recognised {
        if names_candidate(head) {
            return Recognised::Yes;
        }
        let parts: Vec<&str> = path.split(['/', '!']).collect();
        let beside = |folder: &str| parts.contains(&folder);
        let name = parts.last().copied().unwrap_or_default();
        let companion = beside("boilerplates")
            || beside("meta_lists")
            || name.starts_with("README")
            || name.ends_with("-supported.txt");
        let tool = ["00boilerplate", "10autotriage", "not-for-us.txt", "subprojects"]
            .iter()
            .any(|t| name.starts_with(t));
        let in_tree = beside("active") || beside("retired") || beside("ignored");
        if companion || tool || (in_tree && !name.starts_with("CVE-")) {
            Recognised::Companion
        } else {
            Recognised::No
        }
    }

    fn ids_are_unique(&self) -> bool {
        true
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let mut bytes = Vec::new();
        if let Err(error) = (&mut *document.reader).take(LONGEST + 1).read_to_end(&mut bytes) {
            return sink.problem(problem(document.path, 1, format!("reading stopped: {error}")));
        }
        if bytes.len() as u64 > LONGEST {
            return sink.problem(problem(
                document.path,
                1,
                format!("is longer than {LONGEST} bytes: passed over"),
            ));
        }
        let text = match str::from_utf8(&bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(&bytes),
        };
        let mut reading =
            Reading { path: document.path, sink, record: Record::default(), field: Field::None };
        // Nearly every line is a statement; what is reserved on that word is bounded.
        let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
        reading.record.statements.reserve(lines.min(MANY));
        for (number, line) in (1_u64..).zip(each_line(&text)) {
            reading.line(number, line);
        }
        reading.end(&text);
    }
}

/// Tells whether a line begins with a candidate's id; the forms to fill in have none.
fn names_candidate(head: &[u8]) -> bool {
    const FIELD: &[u8] = b"Candidate:";
    memchr::memmem::find_iter(head, FIELD).any(|at| {
        let begins = at == 0 || head.get(at - 1) == Some(&b'\n');
        let value = head.get(at + FIELD.len()..).unwrap_or_default();
        let value = value.get(..value.len().min(40)).unwrap_or_default();
        let end = memchr::memchr(b'\n', value).unwrap_or(value.len());
        begins && value.get(..end).unwrap_or_default().trim_ascii().contains(&b'-')
    })
}

/// The field whose continuation lines are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    None,
    References,
    Description,
    UbuntuDescription,
    Cvss,
    Notes,
}

struct Reading<'t, 's> {
    path: &'s str,
    sink: &'s mut dyn Sink,
    record: Record<'t>,
    field: Field,
}

impl<'t> Reading<'t, '_> {
    fn line(&mut self, number: u64, line: &'t str) {
        if line.starts_with([' ', '\t']) {
            return self.continued(line.trim());
        }
        self.field = Field::None;
        // Lines that begin with dashes were fields once, and are put out of use.
        if line.trim_ascii_start().is_empty() || line.starts_with('#') || line.starts_with("-- ") {
            return;
        }
        let Some((key, value)) = cut(line, b':') else {
            return self.problem(number, format!("the line {line:?} has no colon"));
        };
        let value = value.trim();
        // Nearly every line is a state, and only states begin in lower case.
        if key.starts_with(|c: char| c.is_ascii_lowercase())
            && let Some((pocket, source)) = cut(key, b'_')
        {
            return self.state(number, pocket, source, value);
        }
        match key {
            "Candidate" => self.record.id = value.into(),
            "PublicDate" => self.date(number, value),
            // The day that Ubuntu's own notice counted with, where that differs; the public one is the flaw's.
            "PublicDateAtUSN" | "CRD" if self.record.published.is_none() => {
                self.date(number, value);
            }
            "Priority" => self.severity("Ubuntu", value),
            "References" => self.field = Field::References,
            "Description" => self.field = Field::Description,
            "Ubuntu-Description" => self.field = Field::UbuntuDescription,
            "CVSS" => self.field = Field::Cvss,
            "Notes" => self.field = Field::Notes,
            _ if is_field(key) => {}
            _ => match key.split_once('_') {
                Some((pocket, source)) => self.state(number, pocket, source, value),
                None => self.problem(number, format!("the field {key:?} is not known")),
            },
        }
    }

    fn continued(&mut self, text: &'t str) {
        match self.field {
            Field::References => {
                if let Some(notice) = text.rsplit('/').next().filter(|n| n.starts_with("USN-")) {
                    self.record.related.push(notice.into());
                }
                self.record.references.push(text.into());
            }
            Field::Description => append(&mut self.record.details, text),
            Field::UbuntuDescription if self.record.details.is_empty() => {
                append(&mut self.record.details, text);
            }
            Field::Cvss => {
                let vector = text.split_once(':').map_or(text, |(_, v)| v).trim();
                let vector = vector.split(' ').next().unwrap_or(vector);
                self.severity("CVSS_V3", vector);
            }
            Field::UbuntuDescription | Field::Notes | Field::None => {}
        }
    }

    fn severity(&mut self, system: &'static str, score: &'t str) {
        let score = score.split(' ').next().unwrap_or(score);
        if !score.is_empty() {
            self.record.severities.push(Severity { system: system.into(), score: score.into() });
        }
    }

    fn date(&mut self, number: u64, value: &str) {
        if matches!(value, "" | "unknown") {
            return;
        }
        match date(value) {
            Some(at) => self.record.published = Some(at),
            None => self.problem(number, format!("{value:?} is no date")),
        }
    }

    fn state(&mut self, number: u64, pocket: &'t str, source: &'t str, value: &'t str) {
        let (word, remark) = cut(value, b' ').unwrap_or((value, ""));
        let remark = remark.trim().strip_prefix('(').unwrap_or(remark);
        let remark = remark.strip_suffix(')').unwrap_or(remark).trim();
        // A blank state is how the tracker's forms look before anybody filled them in.
        if word.is_empty() {
            return;
        }
        let status = status(word, remark).unwrap_or_else(|| {
            self.problem(number, format!("the state {word:?} is not known"));
            Status::Undetermined
        });
        let (release, channel) = Self::place(pocket);
        let version =
            |text: &'t str| (!text.is_empty() && !text.contains(' ')).then(|| Text::from(text));
        self.record.statements.push(Statement {
            release,
            channel,
            package: source.into(),
            by: By::Source,
            status,
            fixed: if status == Status::Fixed { version(remark) } else { None },
            word: value.into(),
            ..Statement::default()
        });
    }

    /// `jammy`, `esm-infra/bionic`, `trusty/esm`, `fips-updates/focal`; the rest keeps its own name.
    fn place(pocket: &str) -> (Text<'static>, Channel) {
        let codename = |name: &str| codenamed("ubuntu", name);
        let found = match cut(pocket, b'/') {
            None => codename(pocket).map(|release| (release, Channel::Base)),
            // `vivid/ubuntu-core` and `vivid/stable-phone-overlay` were products of their own.
            Some((a, b)) => codename(a)
                .or_else(|| codename(b))
                .or_else(|| codename(b.split('/').next().unwrap_or(b)))
                .map(|release| (release, pocket_channel(pocket))),
        };
        found
            .unwrap_or_else(|| (format!("ubuntu:{}", pocket.to_lowercase()).into(), Channel::Other))
    }

    fn problem(&mut self, number: u64, what: String) {
        self.sink.problem(problem(self.path, number, what));
    }

    fn end(mut self, text: &str) {
        if self.record.id.is_empty() {
            let lines = text.lines().count() as u64;
            return self.problem(lines.max(1), "the file names no candidate".into());
        }
        self.record.form = Form::Vulnerability;
        if self.record.id.starts_with("CVE-") {
            self.record.cves.push(self.record.id.clone());
        }
        self.sink.item(Item::Record(self.record));
    }
}

/// As [`str::split_once`], at an ASCII sign; lines are short, and there are millions of them.
fn cut(text: &str, sign: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|b| b == sign)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn append<'t>(to: &mut Text<'t>, text: &'t str) {
    if to.is_empty() {
        *to = Cow::Borrowed(text);
    } else {
        let whole = to.to_mut();
        whole.push(' ');
        whole.push_str(text);
    }
}

/// The fields that say nothing of a package's state.
fn is_field(key: &str) -> bool {
    const FIELDS: [&str; 12] = [
        "Assigned-to",
        "Bugs",
        "Discovered-by",
        "Mitigation",
        "CRD",
        "PublicDateAtUSN",
        "Approved-by",
        "CVE-Tags",
        "Tags",
        "Impact",
        "Summary",
        "PublicDateAtIncident",
    ];
    const PREFIXES: [&str; 6] =
        ["Patches_", "Tags_", "Priority_", "Assigned-to_", "CVSS_", "Mitigation_"];
    FIELDS.contains(&key) || PREFIXES.iter().any(|p| key.starts_with(p))
}

fn status(word: &str, remark: &str) -> Option<Status> {
    Some(match word {
        "released" => Status::Fixed,
        "needed" | "active" => Status::Needed,
        "needs-triage" => Status::NeedsTriage,
        "pending" => Status::Pending,
        "deferred" => Status::Deferred,
        "ignored" if is_end(remark) => Status::EndOfLife,
        "ignored" => Status::Ignored,
        "not-affected" => Status::NotAffected,
        "DNE" | "dne" => Status::DoesNotExist,
        "undetermined" => Status::Undetermined,
        _ => return None,
    })
}

/// Tells the remarks that say that nobody will look any more, from those that judge the flaw.
fn is_end(remark: &str) -> bool {
    const ENDS: [&str; 9] = [
        "end of life",
        "end-of-life",
        "end of standard support",
        "end of kernel support",
        "end of support",
        "reached end",
        "superseded",
        "superceded",
        "replaced by",
    ];
    let remark = remark.to_ascii_lowercase();
    ENDS.iter().any(|end| remark.contains(end))
}

/// `2023-08-08 18:15:00 UTC`, `2023-08-08`.
fn date(value: &str) -> Option<Instant> {
    let mut words = value.split_ascii_whitespace();
    let day = words.next()?;
    let time = words.next().filter(|t| t.contains(':')).unwrap_or("00:00:00");
    format!("{day}T{time}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes};

    #[test]
    fn every_pocket_and_state_is_read() {
        check(&UbuntuCveTracker, "ubuntu-cve-tracker/active/CVE-2031-0001");
    }

    #[test]
    fn odd_lines_are_problems_and_the_rest_is_read() {
        check(&UbuntuCveTracker, "ubuntu-cve-tracker/active/CVE-2031-0002");
    }

    #[test]
    fn what_lies_beside_is_passed_over() {
        let form =
            include_bytes!("../../../../fixtures/feeds/ubuntu-cve-tracker/boilerplates/harbour");
        for path in ["t!boilerplates/harbour", "t!README", "active/00boilerplate"] {
            assert_eq!(UbuntuCveTracker.recognises(path, form), Recognised::Companion, "{path}");
        }
        assert_eq!(UbuntuCveTracker.recognises("harbour", b"Candidate: \nx-y"), Recognised::No);
    }

    #[test]
    fn any_bytes_are_taken() {
        let good =
            include_bytes!("../../../../fixtures/feeds/ubuntu-cve-tracker/active/CVE-2031-0001");
        holds_on_any_bytes(&UbuntuCveTracker, "active/CVE-2031-0001", good);
    }
}
