//! endoflife.date: the answers of its API version 1 (`/products/full` and `/products/NAME`), those of version 0
//! (`NAME.json`, a bare array of cycles, whose product is the file's name), and its product files gathered in one
//! object by product.
//!
//! `eol` is the end of security support, `eoes` the end of extended security support. The latter is mostly for sale
//! and kept as such; Debian's is its long-term support, for everybody. `eoas`, the end of active support, is not kept.

use std::borrow::Cow;

use muster_core::advisory::{Item, Problem, Sink, SupportLine, Text};
use muster_core::time::Date;
use serde::Deserialize;

use crate::json::{Broken, ELEMENT, List, Raw, Str, Walk, outer_keys};
use crate::lines::problem;
use crate::{Document, Feed, Recognised};

/// The reader of the calendar.
pub(crate) struct EndOfLife;

impl Feed for EndOfLife {
    fn name(&self) -> &'static str {
        "endoflife"
    }

    fn has_advisories(&self) -> bool {
        false
    }

    fn recognises(&self, path: &str, head: &[u8]) -> Recognised {
        let has = |what: &[u8]| memchr::memmem::find(head, what).is_some();
        let keys = outer_keys(head);
        let keyed = |key: &str| keys.iter().any(|k| k == key);
        let answer = keyed("schema_version") && keyed("result") && has(b"\"releases\"");
        let gathered = matches!(first_product(head), Ok(true));
        let cycles = path.ends_with(".json") && matches!(first_cycle(head), Ok(true));
        if answer || gathered || cycles { Recognised::Yes } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut walk = Walk::new(document.reader);
        let read = match walk.peek() {
            Ok(Some(b'[')) => cycles(&mut walk, path, sink),
            Ok(_) => products(&mut walk, path, sink),
            Err(broken) => Err(broken),
        };
        if let Err(broken) = read {
            walk.report(path, &broken, sink);
        }
    }
}

/// Judges whether the first member is a product with its releases.
fn first_product(mut head: &[u8]) -> Result<bool, Broken> {
    let has = |what: &[u8]| memchr::memmem::find(head, what).is_some();
    let cycle = has(b"\"releaseCycle\"");
    let mut walk = Walk::new(&mut head);
    walk.object()?;
    if walk.key()?.is_none() {
        return Ok(false);
    }
    walk.object()?;
    while let Some(key) = walk.key()? {
        if key == "releases" {
            return Ok(cycle);
        }
        walk.skip()?;
    }
    Ok(false)
}

/// Judges whether the first element is a cycle with its end.
fn first_cycle(mut head: &[u8]) -> Result<bool, Broken> {
    let mut walk = Walk::new(&mut head);
    walk.array()?;
    let Some(raw) = walk.value(1 << 16)? else { return Ok(false) };
    let keys = outer_keys(raw.bytes);
    Ok(["cycle", "eol"].iter().all(|k| keys.iter().any(|o| o == k)))
}

fn products(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    walk.object()?;
    while let Some(key) = walk.key()? {
        match (key.as_str(), walk.peek()?) {
            ("result", Some(b'[')) => {
                walk.array()?;
                while walk.more()? {
                    let raw = walk.value(ELEMENT)?;
                    product("", raw.as_ref(), path, sink);
                }
            }
            ("result", _) => {
                let raw = walk.value(ELEMENT)?;
                product("", raw.as_ref(), path, sink);
            }
            (_, Some(b'{')) => {
                let raw = walk.value(ELEMENT)?;
                product(&key, raw.as_ref(), path, sink);
            }
            _ => walk.skip()?,
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
    #[serde(borrow, default)]
    releases: List<&'a serde_json::value::RawValue>,
}

fn product(slug: &str, raw: Option<&Raw<'_>>, path: &str, sink: &mut dyn Sink) {
    let Some(raw) = raw else {
        let what = format!("the product {slug} is too long");
        sink.problem(Problem { path: path.to_owned(), line: None, what });
        return;
    };
    let product = match raw.parse::<Product<'_>>(path) {
        Ok(product) => product,
        Err(mut wrong) => {
            wrong.what = format!("the product {slug} was not understood: {}", wrong.what);
            sink.problem(wrong);
            return;
        }
    };
    let slug = product.name.as_ref().map_or(slug, |name| &name.0);
    for release in &product.releases.0 {
        let bytes = release.get().as_bytes();
        cycle(slug, &Raw { bytes, line: raw.line }, path, sink);
    }
}

fn cycles(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    let name = path.rsplit(['/', '!']).next().unwrap_or(path);
    let slug = name.strip_suffix(".json").unwrap_or(name);
    walk.array()?;
    while walk.more()? {
        match walk.value(ELEMENT)? {
            Some(raw) => cycle(slug, &raw, path, sink),
            None => sink.problem(problem(path, walk.line(), "a cycle is too long")),
        }
    }
    Ok(())
}

fn cycle(slug: &str, raw: &Raw<'_>, path: &str, sink: &mut dyn Sink) {
    match raw.parse::<Cycle<'_>>(path) {
        Ok(cycle) => match cycle.support(slug) {
            Ok(line) => sink.item(Item::Support(line)),
            Err(what) => sink.problem(problem(path, raw.line, format!("{slug}: {what}"))),
        },
        Err(mut wrong) => {
            wrong.what = format!("{slug}: a cycle was not understood: {}", wrong.what);
            sink.problem(wrong);
        }
    }
}

/// A cycle in the words of all three forms.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Cycle<'a> {
    #[serde(borrow)]
    release_cycle: Option<Str<'a>>,
    #[serde(borrow)]
    cycle: Option<Str<'a>>,
    #[serde(borrow)]
    name: Option<Str<'a>>,
    #[serde(borrow)]
    codename: Option<Str<'a>>,
    release_date: Option<Day>,
    eol: Option<Day>,
    eol_from: Option<Day>,
    is_eol: Option<bool>,
    eoes: Option<Day>,
    #[serde(rename = "extendedSupport")]
    extended: Option<Day>,
    eoes_from: Option<Day>,
    #[serde(borrow)]
    latest: Option<Latest<'a>>,
}

/// A day, or a word on whether it has come.
#[derive(Deserialize)]
#[serde(untagged)]
enum Day {
    Come(bool),
    On(Date),
    Else(String),
}

impl Day {
    fn date(this: Option<&Self>) -> Result<Option<Date>, String> {
        match this {
            Some(Self::On(day)) => Ok(Some(*day)),
            Some(Self::Else(text)) => Err(format!("'{text}' is no day")),
            Some(Self::Come(_)) | None => Ok(None),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Latest<'a> {
    Named {
        #[serde(borrow, default)]
        name: Option<Str<'a>>,
    },
    Plain(#[serde(borrow)] Str<'a>),
}

impl<'a> Cycle<'a> {
    fn support(self, slug: &'a str) -> Result<SupportLine<'a>, String> {
        let version = self.release_cycle.or(self.cycle).or(self.name);
        let version = version.ok_or("a cycle without a name")?.0;
        let eol = Day::date(self.eol.as_ref().or(self.eol_from.as_ref()))?;
        let extended = self.eoes.as_ref().or(self.extended.as_ref()).or(self.eoes_from.as_ref());
        let extended = Day::date(extended)?;
        let free = slug == "debian";
        let latest: Option<Text<'a>> = match self.latest {
            Some(Latest::Named { name }) => name.map(|n| n.0),
            Some(Latest::Plain(Str(version))) => Some(version),
            None => None,
        };
        let come = matches!(self.eol, Some(Day::Come(true))) || self.is_eol == Some(true);
        Ok(SupportLine {
            product: Cow::Borrowed(slug),
            version,
            codename: self.codename.map(|c| c.0),
            released: Day::date(self.release_date.as_ref())?,
            ends: if free { extended.max(eol) } else { eol },
            paid_until: if free { None } else { extended },
            ended: come && eol.is_none(),
            latest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes, read_shared};

    #[test]
    fn all_forms_are_read() {
        check(&EndOfLife, "endoflife/gathered.json");
        check(&EndOfLife, "endoflife/full");
        check(&EndOfLife, "endoflife/product.json");
        check(&EndOfLife, "endoflife/harbour.json");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/endoflife/gathered.json");
        holds_on_any_bytes(&EndOfLife, "gathered.json", good);
    }

    #[test]
    fn every_cycle_is_read() {
        let Some(heard) = read_shared(&EndOfLife, "data/eol/endoflife.date-2026-08-22.json.zst")
        else {
            return;
        };
        let products: std::collections::BTreeSet<_> =
            heard.items.iter().map(|i| i["Support"]["product"].to_string()).collect();
        assert_eq!((heard.items.len(), products.len()), (8351, 464));
        assert_eq!(heard.problems, []);
    }
}
