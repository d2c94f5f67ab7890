//! FriendsOfPHP's security advisories: a file `VENDOR/PACKAGE/CVE-….yaml` for each, of the form that the repository's
//! README describes, or all of them as JSON, one a line, with the file's name added as `file`.
//!
//! ```yaml
//! title:     XSS vulnerability in old test script
//! link:      https://example.org/issues/274
//! cve:       CVE-2016-4855
//! branches:
//!     master:
//!         time:     2016-08-28 23:50:00
//!         versions: ['<5.20.6']
//! reference: composer://adodb/adodb-php
//! ```
//!
//! Of YAML it reads what these files hold and no more: mappings by indentation, plain and quoted scalars on one line,
//! flow sequences of them, comments. What it does not understand is a problem with its line.
//! `composer-repository: false` says that the package is elsewhere than on Packagist; it is kept in the word.

use std::borrow::Cow;

use muster_core::advisory::{Form, Item, Record, Sink, Statement};
use serde::Deserialize;

use super::roave_conflicts::Range;
use crate::json::{List, Members, Str, outer_keys, parse};
use crate::lines::{Lines, first_lines, instant, problem};
use crate::{Document, Feed, Recognised};

/// The reader of these advisories.
pub(crate) struct FriendsOfPhp;

impl Feed for FriendsOfPhp {
    fn name(&self) -> &'static str {
        "friends-of-php"
    }

    fn recognises(&self, path: &str, head: &[u8]) -> Recognised {
        let has = |what: &[u8]| memchr::memmem::find(head, what).is_some();
        // Any line tells: the first may be the broken one.
        let advisory = |line: &str| {
            let keys = outer_keys(line.as_bytes());
            ["reference", "branches"].iter().all(|k| keys.iter().any(|o| o == k))
        };
        let json = has(b"composer://") && first_lines(head).any(advisory);
        let yaml = (path.ends_with(".yaml") || path.ends_with(".yml"))
            && has(b"composer://")
            && first_lines(head).any(|line| line.starts_with("branches:"));
        if json || yaml {
            return Recognised::Yes;
        }
        if is_beside(path) { Recognised::Companion } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let head = document.reader.fill_buf().unwrap_or_default();
        let in_lines = first_lines(head).any(|line| line.starts_with('{'));
        let mut lines = Lines::new(path, document.reader);
        let mut yaml = None;
        while let Some(line) = lines.next(sink) {
            let text = line.text.trim_end();
            if let Some(yaml) = &mut yaml {
                read_yaml(yaml, text, path, line.number, sink);
            } else if text.starts_with('{') || in_lines && !text.is_empty() {
                match parse::<Advisory<'_>>(text.as_bytes(), path, line.number) {
                    Ok(advisory) => advisory.tell(path, line.number, sink),
                    Err(mut wrong) => {
                        wrong.what = format!("an advisory was not understood: {}", wrong.what);
                        sink.problem(wrong);
                    }
                }
            } else if !text.is_empty() {
                let mut begun = Yaml::default();
                read_yaml(&mut begun, text, path, line.number, sink);
                yaml = Some(begun);
            }
        }
        if let Some(yaml) = yaml {
            yaml.advisory(path).tell(path, 1, sink);
        }
    }
}

/// Judges whether the path is that of what else the repository holds.
fn is_beside(path: &str) -> bool {
    const BESIDE: [&str; 9] = [
        ".gitignore",
        ".travis.yml",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "composer.json",
        "composer.lock",
        "validator.php",
        "php.yml",
    ];
    let name = path.rsplit(['/', '!']).next().unwrap_or(path);
    path.contains("security-advisories") && BESIDE.contains(&name)
}

fn read_yaml(yaml: &mut Yaml, text: &str, path: &str, line: u64, sink: &mut dyn Sink) {
    if let Err(what) = yaml.take(text) {
        sink.problem(problem(path, line, what));
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Advisory<'a> {
    #[serde(borrow)]
    title: Option<Str<'a>>,
    #[serde(borrow)]
    link: Option<Str<'a>>,
    #[serde(borrow)]
    cve: Option<Str<'a>>,
    #[serde(borrow)]
    reference: Option<Str<'a>>,
    #[serde(borrow)]
    file: Option<Str<'a>>,
    #[serde(borrow)]
    branches: Members<'a, Branch<'a>>,
    #[serde(borrow, rename = "composer-repository")]
    repository: Option<Str<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Branch<'a> {
    #[serde(borrow)]
    time: Option<Str<'a>>,
    #[serde(borrow)]
    versions: List<Str<'a>>,
}

impl Advisory<'_> {
    fn tell(&self, path: &str, line: u64, sink: &mut dyn Sink) {
        let reference = self.reference.as_ref().map_or("", |r| &r.0);
        let Some(package) = reference.strip_prefix("composer://") else {
            let what = format!("the advisory names no package: '{reference}'");
            sink.problem(problem(path, line, what));
            return;
        };
        let file = self.file.as_ref().map_or("", |f| &f.0);
        let id = file.strip_suffix(".yaml").unwrap_or(file);
        let mut record = Record {
            id: Cow::Borrowed(if id.is_empty() { reference } else { id }),
            form: Form::Vulnerability,
            title: Cow::Borrowed(self.title.as_ref().map_or("", |t| &t.0)),
            ..Record::default()
        };
        if let Some(Str(cve)) = self.cve.as_ref().filter(|c| !c.0.is_empty() && c.0 != "~") {
            record.cves.push(Cow::Borrowed(cve));
        }
        if let Some(Str(link)) = &self.link {
            record.references.push(Cow::Borrowed(link));
        }
        for (name, branch) in &self.branches.0 {
            match self.statement(package, name, branch) {
                Ok(mut statement) => {
                    let time = branch.time.as_ref().filter(|t| !t.0.is_empty());
                    statement.published = time.and_then(|t| instant(&t.0));
                    if let (Some(Str(time)), None) = (time, statement.published) {
                        let what = format!("{package}, {name}: '{time}' is no time");
                        sink.problem(problem(path, line, what));
                    }
                    let first = record.published.is_none_or(|p| Some(p) > statement.published);
                    if first && statement.published.is_some() {
                        record.published = statement.published;
                    }
                    record.statements.push(statement);
                }
                Err(what) => {
                    sink.problem(problem(path, line, format!("{package}, {name}: {what}")));
                }
            }
        }
        sink.item(Item::Record(record));
    }

    fn statement<'a>(
        &self,
        package: &'a str,
        name: &str,
        branch: &Branch<'_>,
    ) -> Result<Statement<'a>, String> {
        let bounds = branch.versions.0.iter().flat_map(|v| v.0.split(',')).map(str::trim);
        let range = Range::of(bounds)?;
        let elsewhere = self.repository.as_ref().is_some_and(|r| r.0 == "false");
        let of = if elsewhere { format!("{name} (not on Packagist)") } else { name.to_owned() };
        Ok(range.statement(Cow::Borrowed(package), &of))
    }
}

/// An advisory in YAML as it is read, line by line.
#[derive(Default)]
struct Yaml {
    fields: Vec<(String, String)>,
    branches: Vec<(String, Option<String>, Vec<String>)>,
    inside: bool,
    /// How far the names of the branches are indented.
    depth: Option<usize>,
    /// Whether the lines to come are elements of a sequence of versions.
    listing: bool,
}

impl Yaml {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') || matches!(line, "---" | "...") {
            return Ok(());
        }
        let indent = line.len().saturating_sub(text.len());
        if let Some(element) = text.strip_prefix("- ").filter(|_| self.listing) {
            let versions = self.branches.last_mut().map(|b| &mut b.2);
            if let Some(versions) = versions {
                versions.push(scalar(element)?);
            }
            return Ok(());
        }
        self.listing = false;
        let (key, value) = key_and_value(text)?;
        if indent == 0 {
            self.inside = key == "branches";
            if !self.inside {
                self.fields.push((key, scalar(value)?));
            }
            return Ok(());
        }
        if !self.inside {
            return Err(format!("an indented line outside the branches: {text}"));
        }
        if *self.depth.get_or_insert(indent) == indent {
            self.branches.push((key, None, Vec::new()));
            return Ok(());
        }
        let branch = self.branches.last_mut().ok_or("a line before the first branch")?;
        match key.as_str() {
            "time" => branch.1 = Some(scalar(value)?),
            "versions" if value.is_empty() => self.listing = true,
            "versions" => branch.2 = sequence(value)?,
            _ => return Err(format!("an unknown key of a branch: {key}")),
        }
        Ok(())
    }

    fn advisory<'a>(&'a self, path: &'a str) -> Advisory<'a> {
        let of = |key: &str| {
            let (_, value) = self.fields.iter().find(|(k, _)| k == key)?;
            let some = !matches!(value.as_str(), "" | "~" | "null");
            some.then_some(Str(Cow::Borrowed(value.as_str())))
        };
        let branches = self.branches.iter().map(|(name, time, versions)| {
            let time = time.as_ref().filter(|t| !matches!(t.as_str(), "~" | "null"));
            let branch = Branch {
                time: time.map(|t| Str(Cow::Borrowed(t.as_str()))),
                versions: List(versions.iter().map(|v| Str(Cow::Borrowed(v.as_str()))).collect()),
            };
            (Cow::Borrowed(name.as_str()), branch)
        });
        Advisory {
            title: of("title"),
            link: of("link"),
            cve: of("cve"),
            reference: of("reference"),
            file: Some(Str(Cow::Borrowed(file_of(path)))),
            branches: Members(branches.collect()),
            repository: of("composer-repository"),
        }
    }
}

/// Returns the last three parts of a path: vendor, package and file.
fn file_of(path: &str) -> &str {
    let at = path.rmatch_indices(['/', '!']).nth(2).map_or(0, |(at, _)| at.saturating_add(1));
    path.get(at..).unwrap_or(path)
}

fn key_and_value(text: &str) -> Result<(String, &str), String> {
    let wrong = || format!("neither a key nor a value: {text}");
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (key, rest) = text.get(1..).and_then(|t| t.split_once(quote)).ok_or_else(wrong)?;
        let value = rest.trim_start().strip_prefix(':').ok_or_else(wrong)?;
        return Ok((key.to_owned(), value.trim()));
    }
    let (key, value) = match text.split_once(": ") {
        Some((key, value)) => (key, value),
        None => (text.strip_suffix(':').ok_or_else(wrong)?, ""),
    };
    Ok((key.trim().to_owned(), value.trim()))
}

/// Reads a scalar that stands on one line.
fn scalar(text: &str) -> Result<String, String> {
    let text = text.trim();
    if let Some(quoted) = text.strip_prefix('\'') {
        let inner =
            quoted.rsplit_once('\'').ok_or_else(|| format!("a quote stays open: {text}"))?.0;
        return Ok(inner.replace("''", "'"));
    }
    if let Some(quoted) = text.strip_prefix('"') {
        let inner = quoted.rsplit_once('"').ok_or_else(|| format!("a quote stays open: {text}"))?.0;
        return Ok(inner.replace("\\\"", "\"").replace("\\\\", "\\"));
    }
    if text.starts_with(['[', '{', '|', '>', '&', '*', '!']) && !text.starts_with(">=") {
        return Err(format!("this form of YAML is not read: {text}"));
    }
    Ok(text.split_once(" #").map_or(text, |(value, _)| value.trim_end()).to_owned())
}

/// Reads `['>=1.0', '<1.2']`.
fn sequence(text: &str) -> Result<Vec<String>, String> {
    let closed = text.strip_prefix('[').and_then(|t| t.rsplit_once(']'));
    let (inner, _) = closed.ok_or_else(|| format!("no sequence of versions: {text}"))?;
    let mut elements = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let end = match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                let close =
                    rest.get(1..).and_then(|r| r.find(quote)).map(|at| at.saturating_add(2));
                close.ok_or_else(|| format!("a quote stays open: {text}"))?
            }
            _ => rest.find(',').unwrap_or(rest.len()),
        };
        let (element, after) = rest.split_at(end);
        let element = element.trim().trim_matches(['\'', '"']);
        if !element.is_empty() {
            elements.push(element.to_owned());
        }
        rest = after.trim_start().strip_prefix(',').unwrap_or(after.trim_start()).trim_start();
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes, read_shared};

    #[test]
    fn both_forms_are_read() {
        check(&FriendsOfPhp, "friends-of-php/advisories.ndjson");
        check(&FriendsOfPhp, "friends-of-php/harbour/quay/CVE-2031-0001.yaml");
        check(&FriendsOfPhp, "friends-of-php/harbour/quay/broken.yaml");
    }

    #[test]
    fn a_broken_line_costs_only_itself() {
        let good = include_str!("../../../../fixtures/feeds/friends-of-php/advisories.ndjson");
        let text = format!("GARBAGE\n{good}");
        assert_eq!(FriendsOfPhp.recognises("a", text.as_bytes()), Recognised::Yes);
        let hear = |mut text: &[u8]| {
            let mut heard = crate::testing::Heard::default();
            FriendsOfPhp.read(&mut Document { path: "a", reader: &mut text }, &mut heard);
            heard
        };
        let (whole, broken) = (hear(good.as_bytes()), hear(text.as_bytes()));
        assert_eq!(broken.items, whole.items);
        assert_eq!(broken.problems.len(), whole.problems.len() + 1);
        assert_eq!(broken.problems[0].line, Some(1));
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/friends-of-php/advisories.ndjson");
        holds_on_any_bytes(&FriendsOfPhp, "a.ndjson", good);
        let good = include_bytes!(
            "../../../../fixtures/feeds/friends-of-php/harbour/quay/CVE-2031-0001.yaml"
        );
        holds_on_any_bytes(&FriendsOfPhp, "a/b/c.yaml", good);
    }

    #[test]
    fn every_advisory_is_read() {
        let Some(heard) = read_shared(
            &FriendsOfPhp,
            "data/advisories/webapps/friendsofphp-2026-08-06.ndjson.zst",
        ) else {
            return;
        };
        assert_eq!(heard.items.len(), 1592);
        assert_eq!(heard.problems, []);
    }
}
