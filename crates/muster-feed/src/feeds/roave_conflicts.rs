//! Roave's security advisories for Composer: one `composer.json` whose `conflict` object maps each package to its
//! vulnerable ranges, `>=1.5,<1.5.1|>=1.6,<1.6.1`, in the constraint syntax of Composer ("Versions and constraints").
//!
//! It names no vulnerability: a record stands for a package. Of the syntax it takes what the map and FriendsOfPHP use:
//! alternatives at `|`, bounds joined by commas or blanks; `~`, `^`, `!=` and wildcards become problems.

use std::borrow::Cow;

use muster_core::advisory::{By, Form, Item, Record, Sink, Statement, Status, Text};

use crate::json::{Broken, Str, Walk, outer_keys};
use crate::lines::problem;
use crate::{Document, Feed, Recognised};

/// The reader of the map.
pub(crate) struct RoaveConflicts;

impl Feed for RoaveConflicts {
    fn name(&self) -> &'static str {
        "roave-conflicts"
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        let keys = outer_keys(head);
        let conflict = keys.iter().any(|key| key == "conflict");
        // An ordinary project's composer.json requires something; this one only rules out.
        let ordinary = keys.iter().any(|key| key == "require" || key == "autoload");
        let roave = memchr::memmem::find(head, b"roave/security-advisories").is_some();
        let alone = keys.len() == 1 && !ordinary;
        if conflict && (roave || alone) { Recognised::Yes } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut walk = Walk::new(document.reader);
        if let Err(broken) = map(&mut walk, path, sink) {
            walk.report(path, &broken, sink);
        }
    }
}

fn map(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    walk.object()?;
    while let Some(key) = walk.key()? {
        if key != "conflict" {
            walk.skip()?;
            continue;
        }
        walk.object()?;
        while let Some(package) = walk.key()? {
            let Some(raw) = walk.value(1 << 20)? else {
                sink.problem(problem(path, walk.line(), format!("{package}: too many ranges")));
                continue;
            };
            match raw.parse::<Str<'_>>(path) {
                Ok(Str(ranges)) => {
                    let (record, doubts) = record(&package, &ranges);
                    for doubt in doubts {
                        sink.problem(problem(path, raw.line, format!("{package}: {doubt}")));
                    }
                    sink.item(Item::Record(record));
                }
                Err(mut wrong) => {
                    wrong.what = format!("{package}: {}", wrong.what);
                    sink.problem(wrong);
                }
            }
        }
    }
    Ok(())
}

fn record<'a>(package: &'a str, ranges: &str) -> (Record<'a>, Vec<String>) {
    let mut doubts = Vec::new();
    let mut statements = Vec::new();
    for range in ranges.split('|').map(str::trim).filter(|range| !range.is_empty()) {
        match Range::of(range.split([',', ' ']).filter(|b| !b.is_empty())) {
            Ok(found) => statements.push(found.statement(Cow::Borrowed(package), "")),
            Err(doubt) => doubts.push(doubt),
        }
    }
    let record = Record {
        id: Cow::Owned(format!("roave:{package}")),
        form: Form::Vulnerability,
        title: Cow::Owned(format!("vulnerable versions of {package}")),
        statements,
        ..Record::default()
    };
    (record, doubts)
}

/// A range of vulnerable versions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Range<'a> {
    introduced: Option<&'a str>,
    fixed: Option<&'a str>,
    last_affected: Option<&'a str>,
    /// Whether the lower bound is itself not affected.
    beyond: bool,
    word: String,
}

impl<'a> Range<'a> {
    /// Reads bounds that hold together: `>=1.5`, `<1.5.1`.
    pub(super) fn of(bounds: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut range = Self::default();
        for bound in bounds {
            let bound = bound.trim();
            let at = bound.find(|c: char| !matches!(c, '<' | '>' | '=' | '!' | '~' | '^'));
            let (operator, version) = bound.split_at(at.unwrap_or(bound.len()));
            let version = version.trim();
            if version.is_empty() || version.contains(['*', ' ', ',', '|']) {
                return Err(format!("'{bound}' is no bound that is understood"));
            }
            let fields = match operator {
                ">=" => [Some(&mut range.introduced), None],
                ">" => {
                    range.beyond = true;
                    [Some(&mut range.introduced), None]
                }
                "<" => [Some(&mut range.fixed), None],
                "<=" => [Some(&mut range.last_affected), None],
                "=" | "==" | "" => [Some(&mut range.introduced), Some(&mut range.last_affected)],
                _ => return Err(format!("'{bound}' is no bound that is understood")),
            };
            for field in fields.into_iter().flatten() {
                if field.replace(version).is_some() {
                    return Err(format!("'{bound}' bounds the same side twice"));
                }
            }
            if !range.word.is_empty() {
                range.word.push_str(", ");
            }
            range.word.push_str(bound);
        }
        if range.word.is_empty() {
            return Err("a range without bounds".to_owned());
        }
        Ok(range)
    }

    /// Returns what the range says of a package; `of` is the vendor's name for the branch.
    pub(super) fn statement<'p>(&self, package: Text<'p>, of: &str) -> Statement<'p> {
        let own = |text: Option<&str>| text.map(|t| Cow::Owned(t.to_owned()));
        let mut word = String::from(of);
        if !of.is_empty() {
            word.push_str(": ");
        }
        word.push_str(&self.word);
        if self.beyond {
            word.push_str(" (the lower bound itself is not affected)");
        }
        Statement {
            release: Cow::Borrowed("packagist"),
            package,
            by: By::Source,
            status: if self.fixed.is_some() { Status::Fixed } else { Status::Affected },
            introduced: own(self.introduced),
            fixed: own(self.fixed),
            last_affected: own(self.last_affected),
            word: Cow::Owned(word),
            ..Statement::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes, read_shared};

    #[test]
    fn the_map_is_read() {
        check(&RoaveConflicts, "roave-conflicts/composer.json");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/roave-conflicts/composer.json");
        holds_on_any_bytes(&RoaveConflicts, "composer.json", good);
    }

    #[test]
    fn every_package_is_read() {
        let Some(heard) = read_shared(
            &RoaveConflicts,
            "data/advisories/webapps/composer-conflicts-roave-2026-07-23.json.zst",
        ) else {
            return;
        };
        assert_eq!(heard.items.len(), 1068);
        assert_eq!(heard.problems, []);
    }
}
