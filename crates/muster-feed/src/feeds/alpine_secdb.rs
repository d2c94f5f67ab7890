//! Alpine's security database: `https://secdb.alpinelinux.org/vX.Y/REPOSITORY.json`, and the databases of Wolfi and
//! Chainguard in the same form (`security.json`), one document or one a line.
//!
//! `secfixes` maps a version of a source package to the vulnerabilities that it mends; the version `0` says that the
//! package was never affected. Only mended and unaffected is told: what is still open appears nowhere.
//! The ids are written by hand: two in one string, remarks in brackets, `CVE_…`, names of patches. The whole string
//! is kept as the vendor's word.

use std::borrow::Cow;

use muster_core::advisory::{By, Form, Item, Record, Sink, Statement, Status, Text};
use serde::Deserialize;

use crate::json::{Broken, ELEMENT, List, Members, Raw, Str, Walk, outer_keys};
use crate::lines::{first_lines, problem};
use crate::{Document, Feed, Recognised};

/// The reader of the security database.
pub(crate) struct AlpineSecdb;

impl Feed for AlpineSecdb {
    fn name(&self) -> &'static str {
        "alpine-secdb"
    }

    fn recognises(&self, path: &str, head: &[u8]) -> Recognised {
        let repository = |object: &[u8]| {
            let keys = outer_keys(object);
            let has = |key: &str| keys.iter().any(|k| k == key);
            let named = has("distroversion") || has("apkurl") || has("urlprefix");
            named && has("reponame")
        };
        // Of documents on lines of their own, the first may be the broken one.
        let mut lines = first_lines(head).filter(|line| line.starts_with('{'));
        if repository(head) || lines.any(|line| repository(line.as_bytes())) {
            return Recognised::Yes;
        }
        let name = path.rsplit(['/', '!']).next().unwrap_or(path);
        let beside = matches!(name, "index.html" | "indexof.html" | "last-update" | "license.txt");
        if beside { Recognised::Companion } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut walk = Walk::new(document.reader);
        loop {
            let read = match walk.peek() {
                Ok(None) => return,
                Ok(Some(_)) => repository(&mut walk, path, sink),
                Err(broken) => Err(broken),
            };
            if let Err(broken) = read {
                walk.report(path, &broken, sink);
                // Where each repository stands on a line of its own, the next line is whole again.
                if !matches!(walk.skip_to_line(b'{'), Ok(true)) {
                    return;
                }
            }
        }
    }
}

/// A repository may hold this much when its packages stand before its name; when they stand after it, there is no end.
const REPOSITORY: usize = 64 << 20;

/// What a document says of itself.
#[derive(Default)]
struct Repository {
    distroversion: Option<String>,
    urlprefix: Option<String>,
    name: Option<String>,
}

impl Repository {
    /// Returns the release that the packages belong to, once it is known.
    fn release(&self) -> Option<String> {
        if let Some(version) = &self.distroversion {
            return Some(release(version));
        }
        let prefix = self.urlprefix.as_deref()?;
        if prefix.contains("wolfi") {
            return Some("wolfi".to_owned());
        }
        (prefix.contains("cgr.dev") || prefix.contains("chainguard"))
            .then(|| "chainguard".to_owned())
    }
}

/// Returns the release of a branch: `v3.19` is `alpine:3.19`.
pub(super) fn release(branch: &str) -> String {
    let version = branch.strip_prefix('v').filter(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    format!("alpine:{}", version.unwrap_or(branch))
}

fn repository(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    let mut about = Repository::default();
    let mut waiting = None;
    walk.object()?;
    while let Some(key) = walk.key()? {
        let field = match key.as_str() {
            "distroversion" => &mut about.distroversion,
            "urlprefix" => &mut about.urlprefix,
            "reponame" => &mut about.name,
            "packages" => {
                if let Some(release) = about.release() {
                    packages(walk, path, &release, sink)?;
                } else if let Some(raw) = walk.value(REPOSITORY)? {
                    waiting = Some((raw.bytes.to_vec(), raw.line));
                } else {
                    sink.problem(problem(path, walk.line(), "packages of no named release"));
                }
                continue;
            }
            _ => {
                walk.skip()?;
                continue;
            }
        };
        let Some(raw) = walk.value(1 << 16)? else { return Err(Broken::TooLong("a name")) };
        match raw.parse::<Option<Str<'_>>>(path) {
            Ok(text) => *field = text.map(|t| t.0.into_owned()),
            Err(problem) => sink.problem(problem),
        }
    }
    let Some((bytes, line)) = waiting else { return Ok(()) };
    let Some(release) = about.release() else {
        let name = about.name.unwrap_or_default();
        let what = format!("the repository '{name}' names neither a branch nor a known publisher");
        sink.problem(problem(path, line, what));
        return Ok(());
    };
    let mut bytes = bytes.as_slice();
    packages(&mut Walk::at(&mut bytes, line), path, &release, sink)
}

fn packages(
    walk: &mut Walk<'_>,
    path: &str,
    release: &str,
    sink: &mut dyn Sink,
) -> Result<(), Broken> {
    if walk.peek()? != Some(b'[') {
        // An empty repository is published as `null`.
        return walk.skip();
    }
    walk.array()?;
    while walk.more()? {
        match walk.value(ELEMENT)? {
            Some(raw) => package(&raw, path, release, sink),
            None => sink.problem(problem(path, walk.line(), "a package is too long")),
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    pkg: Package<'a>,
}

#[derive(Deserialize)]
struct Package<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow, default)]
    secfixes: Members<'a, List<Str<'a>>>,
}

fn package(raw: &Raw<'_>, path: &str, release: &str, sink: &mut dyn Sink) {
    let entry = match raw.parse::<Entry<'_>>(path) {
        Ok(entry) => entry,
        Err(mut wrong) => {
            wrong.what = format!("a package was not understood: {}", wrong.what);
            sink.problem(wrong);
            return;
        }
    };
    let name = &entry.pkg.name.0;
    for (version, ids) in &entry.pkg.secfixes.0 {
        for Str(said) in &ids.0 {
            let fix = Fix { release, package: name, version, said };
            if !fix.tell(sink) {
                let what = format!("{name} {version}: no id in '{said}'");
                sink.problem(problem(path, raw.line, what));
            }
        }
    }
}

/// A version that mends what a string names.
pub(super) struct Fix<'a> {
    pub(super) release: &'a str,
    pub(super) package: &'a str,
    pub(super) version: &'a str,
    pub(super) said: &'a str,
}

impl Fix<'_> {
    /// Hands over a record for each vulnerability that is named; returns whether there is one.
    pub(super) fn tell(&self, sink: &mut dyn Sink) -> bool {
        let ids = ids(self.said);
        let (flaws, others): (Vec<_>, Vec<_>) =
            ids.into_iter().partition(|i| i.starts_with("CVE-"));
        let (named, related) = if flaws.is_empty() { (others, flaws) } else { (flaws, others) };
        for id in &named {
            sink.item(Item::Record(Record {
                id: id.clone(),
                form: Form::Vulnerability,
                cves: vec![id.clone()],
                related: related.clone(),
                statements: vec![self.statement(id)],
                ..Record::default()
            }));
        }
        !named.is_empty()
    }

    fn statement(&self, id: &str) -> Statement<'_> {
        let never = self.version == "0";
        Statement {
            release: Cow::Borrowed(self.release),
            package: Cow::Borrowed(self.package),
            by: By::Source,
            status: if never { Status::NotAffected } else { Status::Fixed },
            fixed: (!never).then_some(Cow::Borrowed(self.version)),
            word: Cow::Borrowed(if self.said == id { "" } else { self.said }),
            ..Statement::default()
        }
    }
}

/// Returns the ids in a string: `CVE-2016-9932 XSA-200`, `CVE-2018-16301 (was fixed in libpcap)`, `CVE_2019-2426`.
fn ids(said: &str) -> Vec<Text<'_>> {
    let plain = said.split_once('(').map_or(said, |(before, _)| before);
    let mut ids: Vec<Text<'_>> = Vec::new();
    let mut words = plain.split([' ', '\t', ',', ';']).filter(|w| !w.is_empty()).peekable();
    while let Some(word) = words.next() {
        let number = match word {
            "CVE" => words.next_if(|next| next.starts_with(|c: char| c.is_ascii_digit())),
            _ => word.strip_prefix("CVE").and_then(|rest| rest.strip_prefix(['-', '_', ' '])),
        };
        let id = match number {
            Some(number) => cve(word, number),
            None => is_id(word).then_some(Cow::Borrowed(word)),
        };
        ids.extend(id.filter(|id| !ids.contains(id)));
    }
    ids
}

/// Returns the CVE id of a word, without what follows its number (`.patch`, `-1`).
fn cve<'a>(word: &'a str, number: &str) -> Option<Text<'a>> {
    let (year, serial) = number.split_once(['-', '_'])?;
    let digits = serial.bytes().take_while(u8::is_ascii_digit).count();
    let serial = serial.get(..digits)?;
    if year.len() != 4 || !year.bytes().all(|b| b.is_ascii_digit()) || digits < 4 {
        return None;
    }
    let id = format!("CVE-{year}-{serial}");
    Some(if id == word { Cow::Borrowed(word) } else { Cow::Owned(id) })
}

/// Judges whether a word looks like an id of anybody's: `XSA-200`, `GHSA-…`, `wnpa-sec-2017-18`.
fn is_id(word: &str) -> bool {
    word.contains('-')
        && word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.bytes().any(|b| b.is_ascii_digit())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes, read_shared};

    #[test]
    fn ids_are_found_in_what_people_write() {
        for (said, expected) in [
            ("CVE-2018-12891 XSA-264", vec!["CVE-2018-12891", "XSA-264"]),
            (
                "CVE-2017-5753 CVE-2017-5715 XSA-254 XPTI",
                vec!["CVE-2017-5753", "CVE-2017-5715", "XSA-254"],
            ),
            ("CVE-????-?????  XSA-295", vec!["XSA-295"]),
            ("CVE_2019-2426", vec!["CVE-2019-2426"]),
            ("CVE 2018-16859", vec!["CVE-2018-16859"]),
            ("CVE-2017-8073.patch", vec!["CVE-2017-8073"]),
            ("CVE-2017-17434-1", vec!["CVE-2017-17434"]),
            ("CVE-2018-10103 (SMB - partially fixed, but printing)", vec!["CVE-2018-10103"]),
            ("GHSA-rq3x-83w4-p28c", vec!["GHSA-rq3x-83w4-p28c"]),
            ("wnpa-sec-2017-18", vec!["wnpa-sec-2017-18"]),
            ("", vec![]),
            ("CVE-19-1", vec![]),
        ] {
            assert_eq!(ids(said), expected, "{said}");
        }
    }

    #[test]
    fn repositories_are_read() {
        check(&AlpineSecdb, "alpine-secdb/v3.19/main.json");
        check(&AlpineSecdb, "alpine-secdb/wolfi.json");
        check(&AlpineSecdb, "alpine-secdb/lines.ndjson");
    }

    #[test]
    fn a_broken_line_costs_only_itself() {
        let good = include_str!("../../../../fixtures/feeds/alpine-secdb/lines.ndjson");
        let hear = |mut text: &[u8]| {
            let mut heard = crate::testing::Heard::default();
            AlpineSecdb.read(&mut Document { path: "a", reader: &mut text }, &mut heard);
            heard
        };
        let good = good.lines().nth(1).unwrap();
        for broken in ["GARBAGE", "{\"a\" 1}", "]"] {
            let text = format!("{broken}\n{good}\n{broken}\n{good}\n{broken}\n");
            assert_eq!(AlpineSecdb.recognises("a", text.as_bytes()), Recognised::Yes);
            let heard = hear(text.as_bytes());
            assert_eq!(heard.items.len(), 2, "{broken}");
            let lines: Vec<_> = heard.problems.iter().map(|p| p.line).collect();
            assert_eq!(lines, [Some(1), Some(3), Some(5)], "{broken}");
        }
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/alpine-secdb/lines.ndjson");
        holds_on_any_bytes(&AlpineSecdb, "main.json", good);
    }

    #[test]
    fn every_entry_is_read() {
        let Some(heard) = read_shared(
            &AlpineSecdb,
            "data/advisories/alpine/alpine-secdb-v3.3-v3.11-2020-06-08.ndjson.zst",
        ) else {
            return;
        };
        let said = heard.items.iter().map(|i| &i["Record"]["statements"][0]);
        let packages: std::collections::BTreeSet<_> =
            said.map(|s| (s["release"].to_string(), s["package"].to_string())).collect();
        assert_eq!((heard.items.len(), packages.len()), (12031, 1652));
        assert_eq!(heard.problems, []);
    }
}
