//! What cannot be true in a record, whatever feed it is of: versions that are none, times that are yet to come.
//!
//! A version that its distribution's tools refuse has no place in their order, so a server held against it could look
//! clean: the statement keeps the vendor's words and says no more than that the vendor cannot be understood. A time
//! later than the build is dropped, since the newest time of a feed tells whether the feed went backwards.
//!
//! The versions of languages are left as they are: their registries take what their own tools refuse.

use std::borrow::Cow;

use muster_core::advisory::{Exploited, Record, Statement, Status, Text};
use muster_core::catalog;
use muster_core::time::{Instant, day};
use muster_version::Scheme;

/// Mends a record, and names what was wrong with it.
pub(crate) fn record(record: &mut Record<'_>, until: Instant, tell: &mut dyn FnMut(String)) {
    let id = &record.id;
    for (name, time) in [("published", &mut record.published), ("modified", &mut record.modified)] {
        drop_future(time, until, &mut |time| {
            tell(format!("{id}: {name} at {time}, later than this build: taken for no time"));
        });
    }
    drop_future(&mut record.withdrawn, until, &mut |time| {
        tell(format!("{id}: withdrawn at {time}, later than this build: it still counts"));
    });
    let mut before: Option<(Text<'_>, Option<Scheme>)> = None;
    for statement in &mut record.statements {
        let known = before.take().filter(|(release, _)| *release == statement.release);
        let (release, scheme) =
            known.unwrap_or_else(|| (statement.release.clone(), scheme_of(&statement.release)));
        if let Some(scheme) = scheme {
            versions(statement, scheme, &mut |what| tell(format!("{id}: {what}")));
        }
        drop_future(&mut statement.published, until, &mut |time| {
            tell(format!("{id}: a fix at {time}, later than this build: taken for no time"));
        });
        before = Some((release, scheme));
    }
}

/// Mends an entry of a catalogue of what is exploited: that it is, is the worse news, so the entry stays.
pub(crate) fn exploited(entry: &mut Exploited<'_>, until: Instant, tell: &mut dyn FnMut(String)) {
    if entry.added > day(until) {
        tell(format!("{}: added on {}, later than this build", entry.cve, entry.added));
        entry.added = day(until);
    }
}

fn drop_future(time: &mut Option<Instant>, until: Instant, tell: &mut dyn FnMut(Instant)) {
    if let Some(later) = time.filter(|time| *time > until) {
        tell(later);
        *time = None;
    }
}

fn versions(statement: &mut Statement<'_>, scheme: Scheme, tell: &mut dyn FnMut(String)) {
    let is_none = |version: &Option<Text<'_>>| {
        version.as_deref().is_some_and(|v| v != "0" && !is_version(v, scheme))
    };
    if !is_none(&statement.introduced)
        && !is_none(&statement.fixed)
        && !is_none(&statement.last_affected)
    {
        return;
    }
    let (package, release) = (&statement.package, &statement.release);
    // What was affected from a version that is none on is taken to be affected from the beginning.
    if is_none(&statement.introduced)
        && let Some(version) = statement.introduced.take()
    {
        tell(format!("{package} of {release} is affected from {version:?}, no {scheme} version"));
    }
    let mut said = Vec::new();
    for (name, version) in
        [("fixed in", &mut statement.fixed), ("affected up to", &mut statement.last_affected)]
    {
        if is_none(version)
            && let Some(version) = version.take()
        {
            tell(format!("{package} of {release} is {name} {version:?}, no {scheme} version"));
            said.push(format!("{name} {version:?}"));
        }
    }
    if !said.is_empty() && statement.fixed.is_none() {
        statement.status = Status::Undetermined;
        let words = said.join(", ");
        statement.word = Cow::Owned(match &*statement.word {
            "" => words,
            word => format!("{word} ({words})"),
        });
    }
}

/// Judges whether a text is a version. dpkg orders some that it would install with a warning only (`--validate-version`
/// refuses them): those that begin with no digit, or hold signs that no version has.
fn is_version(text: &str, scheme: Scheme) -> bool {
    let may_stand = |b: u8| b.is_ascii_alphanumeric() || b".+-~:".contains(&b);
    let upstream = text.split_once(':').map_or(text, |(_, rest)| rest);
    let is_usual =
        || upstream.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(may_stand);
    scheme.is_valid(text) && (scheme != Scheme::Dpkg || is_usual())
}

/// Returns the order of versions in a release, where it is that of a distribution's tools.
fn scheme_of(release: &str) -> Option<Scheme> {
    let (id, version) = release.split_once(':').unwrap_or((release, ""));
    match id {
        // Canonical tracks what the authors released beside its own releases, in the authors' own versions.
        _ if version == "upstream" => None,
        "wolfi" | "chainguard" => Some(Scheme::Apk),
        _ => catalog::distribution(id).map(|distribution| distribution.scheme),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: &str = "2031-02-01T00:00:00Z";

    fn mended(record: &mut Record<'_>) -> Vec<String> {
        let mut told = Vec::new();
        super::record(record, UNTIL.parse().unwrap(), &mut |what| told.push(what));
        told
    }

    fn statement(release: &'static str, versions: [&'static str; 3]) -> Record<'static> {
        let [introduced, fixed, last_affected] =
            versions.map(|v| Some(Cow::Borrowed(v)).filter(|v| !v.is_empty()));
        let status = if fixed.is_some() { Status::Fixed } else { Status::Affected };
        let package = "quay".into();
        let release = release.into();
        let one = Statement {
            release,
            package,
            introduced,
            fixed,
            last_affected,
            status,
            ..Statement::default()
        };
        Record { id: "DSA-1-1".into(), statements: vec![one], ..Record::default() }
    }

    #[test]
    fn a_version_that_is_none_decides_nothing() {
        for (release, versions, status, word, wrong) in [
            ("debian:12", ["0", "1:2.0-1", ""], Status::Fixed, "", 0),
            (
                "debian:12",
                ["", "not a version", ""],
                Status::Undetermined,
                "fixed in \"not a version\"",
                1,
            ),
            ("debian:12", ["", "", "_3.0"], Status::Undetermined, "affected up to \"_3.0\"", 1),
            ("debian:12", ["_1", "2.0-1", ""], Status::Fixed, "", 1),
            ("debian:12", ["_1", "_2", ""], Status::Undetermined, "fixed in \"_2\"", 2),
            ("alpine:3.19", ["", "1.0-1-r0", ""], Status::Undetermined, "fixed in \"1.0-1-r0\"", 1),
            ("almalinux:9", ["", "0:1.0-1.el9", ""], Status::Fixed, "", 0),
            ("ubuntu:upstream", ["", "1.0, 2.0", ""], Status::Fixed, "", 0),
            ("pypi", ["", "1.0 or so", ""], Status::Fixed, "", 0),
        ] {
            let mut record = statement(release, versions);
            let told = mended(&mut record);
            let said = &record.statements[0];
            assert_eq!((said.status, &*said.word, told.len()), (status, word, wrong), "{told:?}");
            assert_eq!(said.fixed.is_some(), status == Status::Fixed, "{versions:?}");
            assert!(told.iter().all(|t| t.starts_with("DSA-1-1: quay of ")), "{told:?}");
        }
    }

    #[test]
    fn a_time_to_come_is_no_time() {
        let mut record = statement("debian:12", ["", "1", ""]);
        let (past, future) = (UNTIL.parse().ok(), "2999-01-01T00:00:00Z".parse().ok());
        record.modified = past;
        record.published = past;
        assert_eq!(mended(&mut record), [""; 0]);
        record.modified = future;
        record.withdrawn = future;
        record.statements[0].published = future;
        assert_eq!(mended(&mut record).len(), 3);
        assert_eq!((record.modified, record.published, record.withdrawn), (None, past, None));
        assert_eq!(record.statements[0].published, None);
        let mut entry = Exploited {
            cve: "CVE-2031-0001".into(),
            added: "2999-01-01".parse().unwrap(),
            due: None,
            ransomware: false,
            title: "".into(),
        };
        let mut told = 0;
        exploited(&mut entry, UNTIL.parse().unwrap(), &mut |_| told += 1);
        assert_eq!((told, entry.added.to_string()), (1, "2031-02-01".to_owned()));
    }
}
