//! The lists of Debian's security tracker: `data/DSA/list`, `data/DLA/list`, `data/DTSA/list`, `data/CVE/list`, and
//! lists of extended LTS notices (ELA) in the same form.
//!
//! The form is described in the tracker's own introduction, "Security Tracker", chapter "The CVE list":
//!
//! ```text
//! [29 Mar 2023] DSA-5380-1 xorg-server - security update
//!         {CVE-2023-1393}
//!         [bullseye] - xorg-server 2:1.20.11-1+deb11u6
//! CVE-2023-5849 (Integer overflow in USB …)
//!         {DSA-5546-1}
//!         - chromium 119.0.6045.105-1 (low; bug #123456)
//!         [buster] - chromium <end-of-life> (see DSA 5046)
//!         NOTE: https://example.org/
//! ```
//!
//! A line without a release speaks of unstable and is kept as `debian:sid`. In the tracker it also holds for every
//! release without a line of its own, by comparison of versions: `<removed>` there means gone from unstable, not that
//! older releases are safe. That rule needs the archive's versions and is not applied here.
//! The twenty years of data hold lines indented by blanks, two blanks between words and notices without a package: all
//! of them are read. What is still not understood is a problem, and the statement stays with the vendor's word.

use std::borrow::Cow;

use muster_core::advisory::{
    By, Channel, Form, Item, Record, Severity, Sink, Statement, Status, Text,
};
use muster_core::catalog::distribution;
use muster_core::time::{Date, Instant};

use crate::lines::{Lines, first_lines, midnight, problem};
use crate::{Document, Feed, Recognised};

/// The reader of the tracker's lists.
pub(crate) struct DebianLists;

impl Feed for DebianLists {
    fn name(&self) -> &'static str {
        "debian-lists"
    }

    fn recognises(&self, path: &str, head: &[u8]) -> Recognised {
        if is_companion(path) {
            return Recognised::Companion;
        }
        let Some(first) = first_lines(head).find(|l| !l.trim().is_empty()) else {
            return Recognised::No;
        };
        if path.ends_with("CPE/list") {
            return Recognised::Companion;
        }
        let notice = Head::notice(first).is_some_and(|h| {
            ["DSA-", "DLA-", "DTSA-", "ELA-"].iter().any(|family| h.id.starts_with(family))
        });
        let flaw = Head::flaw(first).is_some() && is_list(first, head);
        if notice || flaw { Recognised::Yes } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut lines = Lines::new(path, document.reader);
        let mut record = None;
        while let Some(line) = lines.next(sink) {
            let text = line.text.trim_end();
            if text.is_empty() {
                continue;
            }
            let indented = text.starts_with([' ', '\t']);
            if indented && let Some(record) = record.as_mut() {
                if let Err(what) = body_line(record, text.trim_start()) {
                    sink.problem(problem(path, line.number, what));
                }
                continue;
            }
            if let Some(done) = record.take() {
                finish(done, sink);
            }
            match (!indented).then(|| Head::notice(text).or_else(|| Head::flaw(text))).flatten() {
                Some(head) => {
                    if head.form == Form::Notice && head.published.is_none() {
                        sink.problem(problem(path, line.number, "the notice has no date"));
                    }
                    record = Some(head.record());
                }
                None => {
                    let what = format!("neither a notice nor a CVE begins here: {}", cut(text));
                    sink.problem(problem(path, line.number, what));
                }
            }
        }
        if let Some(done) = record {
            finish(done, sink);
        }
    }
}

/// Judges whether the path is that of a file which lies beside the lists in the tracker's repository.
fn is_companion(path: &str) -> bool {
    const BESIDE: [&str; 9] = [
        "data/config.json",
        "data/dla-needed.txt",
        "data/dsa-needed.txt",
        "data/ela-needed.txt",
        "data/embedded-code-copies",
        "data/next-point-update.txt",
        "data/next-oldstable-point-update.txt",
        "data/CPE/aliases",
        "data/CPE/list",
    ];
    BESIDE.iter().any(|name| path.ends_with(name))
        || ["new-packages", "removed-packages", "lts-do-call-me", "lts-do-not-call"]
            .iter()
            .any(|name| path.ends_with(&format!("data/packages/{name}")))
}

/// Judges whether a first CVE is described, or has lines under it: a bare list of ids has neither.
fn is_list(first: &str, head: &[u8]) -> bool {
    let second = first_lines(head).filter(|l| !l.trim().is_empty()).nth(1);
    let under = second
        .is_some_and(|l| l.starts_with(['\t', ' ']) && !l.trim_start().starts_with(['"', '<']));
    first.contains(" (") || first.contains(" [") || under
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(80).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

/// Returns the release that Debian's archive calls by a codename.
pub(super) fn release(codename: &str) -> Text<'static> {
    let known = distribution("debian").and_then(|debian| debian.codenamed(codename));
    Cow::Owned(format!("debian:{}", known.map_or(codename, |r| r.version)))
}

/// The line with which a notice or a vulnerability begins.
struct Head<'a> {
    id: &'a str,
    form: Form,
    published: Option<Instant>,
    title: &'a str,
}

impl<'a> Head<'a> {
    /// Reads `[29 Mar 2023] DSA-5380-1 xorg-server - security update`.
    fn notice(line: &'a str) -> Option<Self> {
        let (date, rest) = line.strip_prefix('[')?.split_once(']')?;
        let rest = rest.trim();
        let (id, title) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let named = id.split_once('-').is_some_and(|(family, number)| {
            family.bytes().all(|b| b.is_ascii_uppercase())
                && number.starts_with(|c: char| c.is_ascii_digit())
        });
        named.then(|| Self {
            id,
            form: Form::Notice,
            published: day(date).and_then(midnight),
            title: title.trim(),
        })
    }

    /// Reads `CVE-2023-5849 (Integer overflow …)`; a flaw without a number is told apart by its description.
    fn flaw(line: &'a str) -> Option<Self> {
        let (id, text) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let number = ["CVE-", "TEMP-", "CAN-"].iter().find_map(|family| id.strip_prefix(family))?;
        let plain = number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if number.is_empty() || !plain {
            return None;
        }
        let text = text.trim();
        let title = text.strip_prefix(['(', '[']).unwrap_or(text);
        let title = title.strip_suffix([')', ']']).unwrap_or(title);
        let id = if number.ends_with("XXXX") { line } else { id };
        Some(Self { id, form: Form::Vulnerability, published: None, title })
    }

    fn record(&self) -> Record<'static> {
        let id: Text<'static> = Cow::Owned(self.id.to_owned());
        let numbered = self.form == Form::Vulnerability && !self.id.contains("XXXX");
        Record {
            cves: if numbered { vec![id.clone()] } else { Vec::new() },
            id,
            form: self.form,
            title: Cow::Owned(self.title.to_owned()),
            published: self.published,
            ..Record::default()
        }
    }
}

/// Reads `29 Mar 2023` and `August 26th, 2005`.
fn day(date: &str) -> Option<Date> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = date.split([' ', ',', '\t']).filter(|w| !w.is_empty());
    let (first, second, year) = (words.next()?, words.next()?, words.next()?);
    let (number, month) = if first.starts_with(|c: char| c.is_ascii_digit()) {
        (first, second)
    } else {
        (second, first)
    };
    let number = number.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let month = (1..).zip(MONTHS).find(|(_, name)| month.starts_with(name))?.0;
    Date::new(year.parse().ok()?, month, number.parse().ok()?).ok()
}

/// Reads one line under a notice or a vulnerability.
fn body_line(record: &mut Record<'static>, text: &str) -> Result<(), String> {
    if let Some(note) = text.strip_prefix("NOTE:") {
        take_note(record, note.trim());
        return Ok(());
    }
    if text.starts_with("TODO:") || text.starts_with("NOT-FOR-US") {
        append(&mut record.details, text);
        return Ok(());
    }
    if matches!(text, "RESERVED" | "REJECTED" | "NOTE") {
        append(&mut record.details, text);
        return Ok(());
    }
    if let Some(ids) = text.strip_prefix('{') {
        return take_ids(record, ids);
    }
    let (codename, line) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or_else(|| format!("no ']' in: {}", cut(text)))?,
        None => ("sid", text),
    };
    let Some(said) = line.trim_start().strip_prefix('-') else {
        append(&mut record.details, text);
        return Err(format!("neither a note nor a package: {}", cut(text)));
    };
    take_statement(record, codename.trim(), said.trim())
}

fn append(to: &mut Text<'static>, text: &str) {
    let to = to.to_mut();
    if !to.is_empty() {
        to.push('\n');
    }
    to.push_str(text);
}

fn take_note(record: &mut Record<'static>, note: &str) {
    append(&mut record.details, note);
    if note.starts_with("https://") || note.starts_with("http://") {
        let address = note.split_whitespace().next().unwrap_or(note);
        record.references.push(Cow::Owned(address.to_owned()));
    }
}

fn take_ids(record: &mut Record<'static>, ids: &str) -> Result<(), String> {
    let (ids, closed) = match ids.split_once('}') {
        Some((ids, _)) => (ids, true),
        None => (ids, false),
    };
    for id in ids.split([' ', '\t', ',']).filter(|id| !id.is_empty()) {
        let flaw = id.starts_with("CVE-") || id.starts_with("TEMP-") || id.starts_with("CAN-");
        let to = if record.form == Form::Notice && flaw {
            &mut record.cves
        } else {
            &mut record.related
        };
        to.push(Cow::Owned(id.to_owned()));
    }
    if closed { Ok(()) } else { Err(format!("no '}}' after the ids: {}", cut(ids))) }
}

/// Reads what stands after the dash: a package, then a version or a word in angles, then a remark.
fn take_statement(record: &mut Record<'static>, codename: &str, said: &str) -> Result<(), String> {
    let (package, said) = said.split_once([' ', '\t']).unwrap_or((said, ""));
    if package.is_empty() {
        return Err("a line with neither a package nor a version".to_owned());
    }
    let said = said.trim();
    let (version, remark) = said.split_once([' ', '\t']).unwrap_or((said, ""));
    let remark = remark.trim();
    let mut statement = Statement {
        release: release(codename),
        channel: if record.id.starts_with("ELA-") { Channel::Elts } else { Channel::Base },
        package: Cow::Owned(package.to_owned()),
        by: By::Source,
        published: if record.form == Form::Notice { record.published } else { None },
        ..Statement::default()
    };
    let understood = if said.starts_with('<') {
        statement.word = Cow::Owned(said.to_owned());
        match status_of(said) {
            Some(status) => {
                statement.status = status;
                Ok(())
            }
            None => {
                statement.status = Status::Undetermined;
                Err(format!("an unknown word for {package}: {}", cut(said)))
            }
        }
    } else if version.starts_with(|c: char| c.is_ascii_digit()) {
        statement.status = Status::Fixed;
        statement.fixed = Some(Cow::Owned(version.to_owned()));
        statement.word = Cow::Owned(remark.to_owned());
        Ok(())
    } else {
        statement.status = Status::Undetermined;
        statement.word = Cow::Owned(said.to_owned());
        Err(format!("{package} has no version: {}", cut(said)))
    };
    take_urgency(record, remark);
    record.statements.push(statement);
    understood
}

/// Returns what a word in angles comes to.
pub(super) fn status_of(word: &str) -> Option<Status> {
    let word = word.strip_prefix('<')?.split_once('>')?.0;
    Some(match word {
        "unfixed" => Status::Needed,
        "not-affected" => Status::NotAffected,
        "end-of-life" => Status::EndOfLife,
        "no-dsa" | "postponed" => Status::Deferred,
        "ignored" => Status::Ignored,
        "undetermined" => Status::Undetermined,
        "removed" | "itp" => Status::DoesNotExist,
        _ => return None,
    })
}

/// Takes the urgency out of a remark like `(low; bug #332524)`.
fn take_urgency(record: &mut Record<'static>, remark: &str) {
    let inner = remark.trim_start_matches('(').trim_end_matches(')');
    for word in inner.split(';').map(str::trim) {
        if matches!(word, "unimportant" | "low" | "medium" | "high") {
            take_severity(&mut record.severities, word);
        }
    }
}

/// Keeps an urgency, once; `medium**` is the tracker's mark for one that it took over from elsewhere.
pub(super) fn take_severity(severities: &mut Vec<Severity<'_>>, word: &str) {
    let word = word.trim_end_matches('*');
    if !severities.iter().any(|s| s.score == word) {
        let score = Cow::Owned(word.to_owned());
        severities.push(Severity { system: Cow::Borrowed("Debian"), score });
    }
}

fn finish(mut record: Record<'static>, sink: &mut dyn Sink) {
    if record.form == Form::Notice && record.cves.is_empty() {
        record.cves.append(&mut record.related);
    }
    sink.item(Item::Record(record));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes, read_shared};

    #[test]
    fn the_lists_say_what_their_lines_say() {
        check(&DebianLists, "debian-lists/data/DSA/list");
        check(&DebianLists, "debian-lists/data/CVE/list");
        check(&DebianLists, "debian-lists/data/DTSA/list");
        check(&DebianLists, "debian-lists/broken/data/DLA/list");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/debian-lists/data/CVE/list");
        holds_on_any_bytes(&DebianLists, "data/DSA/list", good);
    }

    #[test]
    fn all_notices_of_twenty_years_are_read() {
        let Some(heard) = read_shared(
            &DebianLists,
            "data/advisories/debian/security-tracker-lists-2023-04-01.tar.zst",
        ) else {
            return;
        };
        let of = |family: &str| {
            let id =
                |i: &&serde_json::Value| i["Record"]["id"].as_str().unwrap().starts_with(family);
            heard.items.iter().filter(id).count()
        };
        assert_eq!((of("DSA-"), of("DLA-"), of("DTSA-")), (5406, 3534, 208));
        let fixing = heard.items.iter().filter(|i| {
            let mut said = i["Record"]["statements"].as_array().into_iter().flatten();
            !i["Record"]["id"].as_str().unwrap().starts_with("DTSA")
                && said.any(|s| s["status"] == "Fixed")
        });
        // The table that was rewritten to OSV has as many: it lost DSA-307 to two blanks after a package, and took
        // the name of a package that stands where a version should be for one.
        assert_eq!(fixing.count(), 5376 + 3529);
        let [odd] = heard.problems.as_slice() else { panic!("{:?}", heard.problems) };
        assert_eq!((odd.path.ends_with("DSA/list"), odd.line), (true, Some(17244)), "{}", odd.what);
    }
}
