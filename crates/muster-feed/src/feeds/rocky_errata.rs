//! Rocky Linux's errata as its API gives them, page by page: `/api/v3/advisories/`, an object with `advisories`.
//!
//! The release is that of the product each package is listed under; products beside the distribution itself (SIGs)
//! are kept under `Channel::Other`, and so are notices of other kinds than security that name no CVE.
//! Checksums and tickets are not kept.

use std::borrow::Cow;

use muster_core::advisory::{Channel, Form, Item, Record, Severity, Sink};
use serde::Deserialize;

use super::redhat_csaf::nevra;
use super::updateinfo::{Packages, Rpm, severities};
use crate::json::{Broken, ELEMENT, List, Str, Walk, outer_keys};
use crate::lines::{instant, problem};
use crate::{Document, Feed, Recognised};

/// The reader of such pages.
pub(crate) struct RockyErrata;

impl Feed for RockyErrata {
    fn name(&self) -> &'static str {
        "rocky-errata"
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        let has = |what: &[u8]| memchr::memmem::find(head, what).is_some();
        let first = outer_keys(head).first().is_some_and(|key| key == "advisories");
        let named = has(b"\"red_hat_advisory_id\"") || has(b"\"affected_products\"");
        if first && named { Recognised::Yes } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut walk = Walk::new(document.reader);
        if let Err(broken) = page(&mut walk, path, sink) {
            walk.report(path, &broken, sink);
        }
    }
}

fn page(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    walk.object()?;
    while let Some(key) = walk.key()? {
        if key != "advisories" {
            walk.skip()?;
            continue;
        }
        walk.array()?;
        while walk.more()? {
            let Some(raw) = walk.value(ELEMENT)? else {
                sink.problem(problem(path, walk.line(), "an advisory is too long"));
                continue;
            };
            match raw.parse::<Advisory<'_>>(path) {
                Ok(advisory) => advisory.tell(path, raw.line, sink),
                Err(mut wrong) => {
                    wrong.what = format!("an advisory was not understood: {}", wrong.what);
                    sink.problem(wrong);
                }
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Advisory<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow, default)]
    synopsis: Option<Str<'a>>,
    #[serde(borrow, default)]
    description: Option<Str<'a>>,
    #[serde(borrow, default)]
    kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    severity: Option<Str<'a>>,
    #[serde(borrow, default)]
    published_at: Option<Str<'a>>,
    #[serde(borrow, default)]
    updated_at: Option<Str<'a>>,
    #[serde(borrow, default)]
    cves: List<Cve<'a>>,
    #[serde(borrow, default)]
    packages: List<Package<'a>>,
}

#[derive(Deserialize)]
struct Cve<'a> {
    #[serde(borrow)]
    cve: Str<'a>,
    #[serde(borrow, default)]
    cvss3_scoring_vector: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Package<'a> {
    #[serde(borrow)]
    nevra: Str<'a>,
    #[serde(borrow, default)]
    module_name: Option<Str<'a>>,
    #[serde(borrow, default)]
    module_stream: Option<Str<'a>>,
    #[serde(borrow, default)]
    product_name: Option<Str<'a>>,
}

impl Advisory<'_> {
    fn tell(self, path: &str, line: u64, sink: &mut dyn Sink) {
        let text = |field: Option<Str<'_>>| Cow::Owned(field.unwrap_or_default().0.into_owned());
        let kind = self.kind.unwrap_or_default().0;
        let security = kind == "Security" || !self.cves.0.is_empty();
        let published = self.published_at.as_ref().and_then(|t| instant(&t.0));
        let (own, word) =
            if security { (Channel::Base, "") } else { (Channel::Other, kind.as_ref()) };
        let mut packages = Packages::new(own, word, published);
        let mut beside = Packages::new(Channel::Other, "beside the distribution itself", published);
        for package in &self.packages.0 {
            let product = package.product_name.as_ref().map_or("", |p| &p.0);
            let split = (nevra(&package.nevra.0), major(product));
            let (Some((name, version, architecture)), Some(major)) = split else {
                let what = format!("{}: {} of '{product}'", self.name.0, package.nevra.0);
                sink.problem(problem(path, line, format!("no package of a release: {what}")));
                continue;
            };
            let module = package.module_name.as_ref().zip(package.module_stream.as_ref());
            let rpm = Rpm {
                name: name.to_owned(),
                version: version.into_owned(),
                architecture: architecture.to_owned(),
                module: module.map(|(name, stream)| format!("{}:{}", name.0, stream.0)),
            };
            let to = if product.starts_with("Rocky Linux ") && !product.contains("SIG") {
                &mut packages
            } else {
                &mut beside
            };
            to.take(format!("rocky:{major}"), rpm);
        }
        let mut severities = severities("Rocky", self.severity.unwrap_or_default().0.into_owned());
        let mut cves = Vec::new();
        for cve in self.cves.0 {
            let vector = cve.cvss3_scoring_vector.filter(|v| v.0.starts_with("CVSS:"));
            severities.extend(vector.map(|v| Severity {
                system: Cow::Borrowed("CVSS_V3"),
                score: Cow::Owned(v.0.into_owned()),
            }));
            cves.push(Cow::Owned(cve.cve.0.into_owned()));
        }
        let mut statements = packages.done();
        statements.extend(beside.done());
        sink.item(Item::Record(Record {
            id: Cow::Owned(self.name.0.into_owned()),
            form: Form::Notice,
            cves,
            title: text(self.synopsis),
            details: text(self.description),
            severities,
            published,
            modified: self.updated_at.and_then(|t| instant(&t.0)),
            statements,
            ..Record::default()
        }));
    }
}

/// Returns the major version in `Rocky Linux 8.4 aarch64 (Legacy)`.
fn major(product: &str) -> Option<&str> {
    let number = product.split(' ').find(|w| w.starts_with(|c: char| c.is_ascii_digit()))?;
    let major = number.split('.').next()?;
    major.bytes().all(|b| b.is_ascii_digit()).then_some(major)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes};

    #[test]
    fn pages_are_read() {
        check(&RockyErrata, "rocky-errata/page1.json");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/rocky-errata/page1.json");
        holds_on_any_bytes(&RockyErrata, "page1.json", good);
    }
}
