//! CVE records in the format of the CVE Program, 5.0 to 5.x ("CVE Record Format", github.com/CVEProject/cve-schema): files
//! of their own, arrays, or one a line, as `cvelistV5` and CISA's Vulnrichment publish them.
//!
//! What the CNA says of a product's versions counts; what CISA adds (`adp`) names it in CPE, and counts by itself only
//! where the CNA told no version of that product. A statement's release is `cpe` and its package `vendor:product` in
//! lower case with underscores, as CPE writes them; a product of a registry (`collectionURL`, `packageName`) is also one
//! of that ecosystem, WordPress' own under the names that WPackagist gives them. Versions by revision (`git`) are no
//! versions. CISA's judgement by SSVC is kept as a severity of that system.
//!
//! Texts that stand where a version should (`all versions up to May`) say nothing here; they become problems only where the
//! catalogue of web applications asks for the product: nobody could mend a hundred thousand others.

use std::borrow::Cow;
use std::cmp::Ordering;

use muster_core::advisory::{
    Channel, Form, Item, Problem, Record, Severity, Sink, Statement, Status, Text,
};
use muster_core::catalog;
use muster_core::time::Instant;
use muster_version::Scheme;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::roave_conflicts::Range;
use crate::json::{Broken, ELEMENT, List, Members, Raw, Str, Walk, outer_keys};
use crate::lines::{instant, problem};
use crate::{Document, Feed, Recognised};

/// The reader of CVE records.
pub(crate) struct CveV5;

impl Feed for CveV5 {
    fn name(&self) -> &'static str {
        "cve-v5"
    }

    fn recognises(&self, path: &str, head: &[u8]) -> Recognised {
        let name = path.rsplit(['/', '!']).next().unwrap_or(path);
        let is_json = name.ends_with(".json") || name.ends_with(".ndjson") || !name.contains('.');
        let start = head.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
        let inner = head.get(start..).unwrap_or(head);
        let inner = inner.strip_prefix(b"[").unwrap_or(inner);
        let keys = outer_keys(inner.trim_ascii_start());
        let has = |key: &str| keys.iter().any(|k| k == key);
        let typed = memchr::memmem::find(head, b"\"CVE_RECORD\"").is_some() && has("dataType");
        let record = typed || has("cveMetadata") || has("containers") && name.starts_with("CVE-");
        if record {
            return Recognised::Yes;
        }
        let beside = ["delta.json", "deltaLog.json", "recent_activities.json"].contains(&name)
            || path.contains("vulnrichment") && !is_json
            || path.contains("cvelistV5") && !is_json;
        if beside { Recognised::Companion } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut walk = Walk::new(document.reader);
        if let Err(broken) = read(&mut walk, path, sink) {
            walk.report(path, &broken, sink);
        }
    }
}

fn read(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    let in_array = walk.peek()? == Some(b'[');
    if in_array {
        walk.array()?;
    }
    loop {
        if in_array && !walk.more()? || !in_array && walk.peek()?.is_none() {
            return Ok(());
        }
        match walk.value(ELEMENT)? {
            Some(raw) => one(&raw, path, sink),
            None => sink.problem(problem(path, walk.line(), "a record is too long")),
        }
    }
}

fn one(raw: &Raw<'_>, path: &str, sink: &mut dyn Sink) {
    match raw.parse::<Cve<'_>>(path) {
        Ok(cve) => cve.tell(path, raw.line, sink),
        Err(mut wrong) => {
            wrong.what = format!("a record was not understood: {}", wrong.what);
            sink.problem(wrong);
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Cve<'a> {
    #[serde(borrow)]
    cve_metadata: Metadata<'a>,
    #[serde(borrow)]
    containers: Containers<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    cve_id: Option<Str<'a>>,
    #[serde(borrow)]
    state: Option<Str<'a>>,
    #[serde(borrow)]
    date_published: Option<Str<'a>>,
    #[serde(borrow)]
    date_updated: Option<Str<'a>>,
    #[serde(borrow)]
    date_rejected: Option<Str<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Containers<'a> {
    #[serde(borrow)]
    cna: Container<'a>,
    #[serde(borrow)]
    adp: List<Container<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container<'a> {
    #[serde(borrow)]
    title: Option<Str<'a>>,
    #[serde(borrow)]
    descriptions: List<Description<'a>>,
    #[serde(borrow)]
    rejected_reasons: List<Description<'a>>,
    #[serde(borrow)]
    affected: List<Affected<'a>>,
    #[serde(borrow)]
    cpe_applicability: List<Applicability<'a>>,
    #[serde(borrow)]
    metrics: List<Members<'a, &'a RawValue>>,
    #[serde(borrow)]
    references: List<Reference<'a>>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Description<'a> {
    #[serde(borrow)]
    lang: Option<Str<'a>>,
    #[serde(borrow)]
    value: Option<Str<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference<'a> {
    #[serde(borrow)]
    url: Option<Str<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Affected<'a> {
    #[serde(borrow)]
    vendor: Option<Str<'a>>,
    #[serde(borrow)]
    product: Option<Str<'a>>,
    #[serde(borrow)]
    package_name: Option<Str<'a>>,
    #[serde(borrow, rename = "collectionURL")]
    collection: Option<Str<'a>>,
    #[serde(borrow)]
    cpes: List<Str<'a>>,
    #[serde(borrow)]
    default_status: Option<Str<'a>>,
    #[serde(borrow)]
    versions: List<Version<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Version<'a> {
    #[serde(borrow)]
    version: Option<Str<'a>>,
    #[serde(borrow)]
    status: Option<Str<'a>>,
    #[serde(borrow)]
    version_type: Option<Str<'a>>,
    #[serde(borrow)]
    less_than: Option<Str<'a>>,
    #[serde(borrow)]
    less_than_or_equal: Option<Str<'a>>,
    #[serde(borrow)]
    changes: List<Change<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change<'a> {
    #[serde(borrow)]
    at: Option<Str<'a>>,
    #[serde(borrow)]
    status: Option<Str<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Applicability<'a> {
    #[serde(borrow)]
    nodes: List<Node<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Node<'a> {
    negate: Option<bool>,
    #[serde(borrow)]
    cpe_match: List<Match<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Match<'a> {
    vulnerable: Option<bool>,
    #[serde(borrow)]
    criteria: Option<Str<'a>>,
    #[serde(borrow)]
    version_start_including: Option<Str<'a>>,
    #[serde(borrow)]
    version_start_excluding: Option<Str<'a>>,
    #[serde(borrow)]
    version_end_including: Option<Str<'a>>,
    #[serde(borrow)]
    version_end_excluding: Option<Str<'a>>,
}

/// Affected versions of one product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Span {
    introduced: Option<String>,
    fixed: Option<String>,
    last: Option<String>,
}

/// A product by every name, and what was told of its versions.
#[derive(Default)]
struct Product {
    names: Vec<(&'static str, String)>,
    spans: Vec<Span>,
    /// What stood where a version should.
    untold: Vec<String>,
}

fn text<'t>(field: &'t Option<Str<'_>>) -> &'t str {
    field.as_ref().map_or("", |t| t.0.trim())
}

impl<'a> Cve<'a> {
    fn tell(&self, path: &str, line: u64, sink: &mut dyn Sink) {
        let metadata = &self.cve_metadata;
        let id = text(&metadata.cve_id);
        if !id.starts_with("CVE-") {
            return sink.problem(problem(path, line, "a record without its CVE id"));
        }
        let mut doubts: Vec<String> = Vec::new();
        let mut time = |what: &str, field: &Option<Str<'_>>| -> Option<Instant> {
            let text = text(field);
            let time = instant(text);
            if time.is_none() && !text.is_empty() {
                doubts.push(format!("{id}: {what} '{text}' is no time"));
            }
            time
        };
        let published = time("datePublished", &metadata.date_published);
        let modified = time("dateUpdated", &metadata.date_updated);
        let rejected = time("dateRejected", &metadata.date_rejected);
        let is_rejected = text(&metadata.state).eq_ignore_ascii_case("REJECTED");
        let withdrawn =
            is_rejected.then(|| rejected.or(modified).or(published).unwrap_or(Instant::UNIX_EPOCH));
        let cna = &self.containers.cna;
        let mut record = Record {
            id: id.to_owned().into(),
            form: Form::Vulnerability,
            cves: vec![id.to_owned().into()],
            title: text(&cna.title).to_owned().into(),
            details: english(if is_rejected { &cna.rejected_reasons } else { &cna.descriptions }),
            published,
            modified: modified.or(published),
            withdrawn,
            ..Record::default()
        };
        if let Some(advisory) = advisory(cna.source) {
            record.aliases.extend(advisory.into_iter().map(Cow::Owned));
        }
        for container in self.all() {
            for metric in &container.metrics.0 {
                severities(metric, &mut record.severities);
            }
            for reference in &container.references.0 {
                let url = text(&reference.url);
                if !url.is_empty() && !record.references.iter().any(|r| r == url) {
                    record.references.push(url.to_owned().into());
                }
            }
        }
        for product in self.products() {
            for untold in &product.untold {
                if product.names.iter().any(|(e, name)| *e == "cpe" && catalog::is_known_cpe(name))
                {
                    doubts.push(format!("{id}: '{untold}' is no version that is understood"));
                }
            }
            product.state(published, &mut record.statements);
        }
        for what in doubts {
            sink.problem(Problem { path: path.to_owned(), line: Some(line), what });
        }
        sink.item(Item::Record(record));
    }

    fn all(&self) -> impl Iterator<Item = &Container<'a>> {
        std::iter::once(&self.containers.cna).chain(&self.containers.adp.0)
    }

    /// Joins what the containers say: the CNA's word on a product's versions stands before what others add.
    fn products(&self) -> Vec<Product> {
        let mut products = self.containers.cna.products();
        for adp in &self.containers.adp.0 {
            let added = adp.products();
            // One product of the CNA's and one of CISA's are the same under two names.
            let told = products.iter().filter(|p| !p.spans.is_empty()).count();
            let alone = told == 1 && added.len() == 1;
            added.into_iter().for_each(|product| add(product, &mut products, alone));
        }
        products
    }
}

impl Container<'_> {
    /// Returns the products that it tells of, each once.
    fn products(&self) -> Vec<Product> {
        let mut products: Vec<Product> = Vec::new();
        for affected in &self.affected.0 {
            let product = Product::of(affected);
            match products.iter_mut().find(|p| p.names == product.names) {
                Some(known) => {
                    known.spans.extend(product.spans);
                    known.untold.extend(product.untold);
                }
                None => products.push(product),
            }
        }
        for product in applicable(&self.cpe_applicability) {
            add(product, &mut products, false);
        }
        products
    }
}

/// Adds what is said of a product beside others: where that product is told already, only its names.
fn add(product: Product, products: &mut Vec<Product>, is_the_one: bool) {
    let is_known = |p: &&mut Product| {
        let same =
            |a: &(&str, String)| product.names.iter().any(|b| *a == *b || is_kin(&a.1, &b.1));
        !p.spans.is_empty() && (is_the_one || p.names.iter().any(same))
    };
    match products.iter_mut().find(is_known) {
        Some(known) => {
            for name in product.names {
                if !known.names.contains(&name) {
                    known.names.push(name);
                }
            }
        }
        None => products.push(product),
    }
}

/// Tells whether two names of CPE are of one product: makers call themselves by several names.
fn is_kin(a: &str, b: &str) -> bool {
    let product = |name: &str| name.split_once(':').map(|(_, product)| product.to_owned());
    product(a).is_some() && product(a) == product(b)
}

/// Returns the products that a container's CPE applicability statements name as vulnerable.
fn applicable(applicability: &List<Applicability<'_>>) -> Vec<Product> {
    let nodes = applicability.0.iter().flat_map(|a| &a.nodes.0);
    let mut told: Vec<Product> = Vec::new();
    for of in nodes.filter(|n| n.negate != Some(true)).flat_map(|n| &n.cpe_match.0) {
        let Some((name, version)) =
            cpe(text(&of.criteria)).filter(|_| of.vulnerable != Some(false))
        else {
            continue;
        };
        let bound =
            |field: &Option<Str<'_>>| Some(text(field).to_owned()).filter(|t| !t.is_empty());
        let mut span = Span {
            introduced: bound(&of.version_start_including)
                .or_else(|| bound(&of.version_start_excluding)),
            fixed: bound(&of.version_end_excluding),
            last: bound(&of.version_end_including),
        };
        if let Some(version) = version.filter(|_| span == Span::default()) {
            span = Span { introduced: Some(version.clone()), fixed: None, last: Some(version) };
        }
        match told.iter_mut().find(|p| p.names.iter().any(|(_, n)| *n == name)) {
            Some(product) => product.spans.push(span),
            None => told.push(Product {
                names: vec![("cpe", name)],
                spans: vec![span],
                untold: Vec::new(),
            }),
        }
    }
    told
}

impl Product {
    fn of(affected: &Affected<'_>) -> Self {
        let mut product = Self { names: names(affected), ..Self::default() };
        let is_revision = |v: &&Version<'_>| !text(&v.version_type).eq_ignore_ascii_case("git");
        let versions: Vec<&Version<'_>> = affected.versions.0.iter().filter(is_revision).collect();
        for version in versions.iter().filter(|v| !v.changes.0.is_empty() || is_affected(&v.status))
        {
            version.affected(&mut product);
        }
        if text(&affected.default_status).eq_ignore_ascii_case("affected") {
            product.rest(&versions);
        }
        product
    }

    /// Everything is affected but what is said to be unaffected: the gaps between those.
    ///
    /// One version alone, or the last of some, is sound to the end of its branch: makers write the fix so.
    fn rest(&mut self, versions: &[&Version<'_>]) {
        let order = |a: &str, b: &str| Scheme::Composer.compare_lenient(a, b);
        let mut sound: Vec<(String, Option<String>)> = Vec::new();
        for version in versions {
            if !text(&version.status).eq_ignore_ascii_case("unaffected") {
                continue;
            }
            let Some(from) = bound(text(&version.version)) else { continue };
            let end = match (text(&version.less_than), text(&version.less_than_or_equal)) {
                ("*", _) | (_, "*") => None,
                ("", "") => after_branch(&from),
                ("", last) => after_star(last).or_else(|| after_branch(last)),
                (end, _) => after_star(end).or_else(|| bound(end)),
            };
            sound.push((from, end));
        }
        sound.sort_by(|a, b| order(&a.0, &b.0));
        let last = sound.len().saturating_sub(1);
        let mut introduced: Option<String> = None;
        for (at, (from, end)) in sound.into_iter().enumerate() {
            let is_gap = introduced.as_deref().is_none_or(|i| order(i, &from) == Ordering::Less);
            if from != "0" && is_gap {
                let introduced = introduced.take();
                self.spans.push(Span { introduced, fixed: Some(from.clone()), last: None });
            }
            // Nobody means that what comes after the newest fix is affected again.
            match end.filter(|_| at < last || from == "0") {
                Some(end) => introduced = Some(end),
                None => return,
            }
        }
        if introduced.is_some() || self.spans.is_empty() {
            self.spans.push(Span { introduced, ..Span::default() });
        }
    }

    fn state(&self, published: Option<Instant>, statements: &mut Vec<Statement<'_>>) {
        for (release, name) in &self.names {
            for span in &self.spans {
                let own = |t: &Option<String>| t.clone().map(Text::from);
                statements.push(Statement {
                    release: (*release).into(),
                    channel: Channel::Base,
                    package: name.clone().into(),
                    status: if span.fixed.is_some() { Status::Fixed } else { Status::Affected },
                    introduced: own(&span.introduced),
                    fixed: own(&span.fixed),
                    last_affected: own(&span.last),
                    published,
                    ..Statement::default()
                });
            }
        }
    }
}

impl Version<'_> {
    /// Tells the affected versions that an entry speaks of.
    fn affected(&self, product: &mut Product) {
        let from = text(&self.version);
        let (end, last) = (text(&self.less_than), text(&self.less_than_or_equal));
        let alone = end.is_empty() && last.is_empty() && self.changes.0.is_empty();
        if alone {
            match single(from) {
                Some(span) => product.spans.push(span),
                None if is_nothing(from) => {}
                None => product.untold.push(from.to_owned()),
            }
            return;
        }
        let introduced = match bound(from) {
            Some(from) => Some(from).filter(|from| from != "0"),
            None if is_nothing(from) || from.is_empty() => None,
            None => return product.untold.push(from.to_owned()),
        };
        let mut closing = Span::default();
        match (end, last) {
            ("*", _) | ("", "*" | "") => {}
            ("", last) => match after_star(last) {
                Some(next) => closing.fixed = Some(next),
                None => closing.last = bound(last),
            },
            (end, _) => closing.fixed = after_star(end).or_else(|| bound(end)),
        }
        let closed = !matches!((end, last), ("*", _) | ("", "*" | ""));
        if closed && closing == Span::default() {
            return product.untold.push(format!("{end}{last}"));
        }
        // What ends where it begins is empty.
        if closing.fixed.is_some() && closing.fixed == introduced {
            return;
        }
        let mut open = is_affected(&self.status).then_some(introduced);
        for change in &self.changes.0 {
            let Some(at) = bound(text(&change.at)) else {
                product.untold.push(text(&change.at).to_owned());
                continue;
            };
            match (open.take(), is_affected(&change.status)) {
                (Some(introduced), false) => {
                    product.spans.push(Span { introduced, fixed: Some(at), last: None });
                }
                (None, true) => open = Some(Some(at)),
                (before, _) => open = before,
            }
        }
        if let Some(introduced) = open {
            product.spans.push(Span { introduced, ..closing });
        }
    }
}

fn is_affected(status: &Option<Str<'_>>) -> bool {
    text(status).eq_ignore_ascii_case("affected")
}

/// Tells words that stand for no version at all.
fn is_nothing(version: &str) -> bool {
    let version = version.to_ascii_lowercase();
    matches!(
        version.as_str(),
        "" | "n/a"
            | "na"
            | "-"
            | "*"
            | "unspecified"
            | "unknown"
            | "all"
            | "all versions"
            | "not specified"
    )
}

/// Returns a version that can bound a range.
fn bound(version: &str) -> Option<String> {
    let version = version.trim().trim_start_matches(['v', 'V']);
    let is_version = version.starts_with(|c: char| c.is_ascii_digit())
        && version.len() <= 64
        && !version.contains([' ', ',', '*', '<', '>', '=', '(', '/']);
    is_version.then(|| version.to_owned())
}

/// Returns the first version after all that begin so: `2.1.*` ends before `2.2`.
fn after_star(version: &str) -> Option<String> {
    let stem = version.strip_suffix(".*").or_else(|| version.strip_suffix(".x"))?;
    let (head, number) = stem.rsplit_once('.').map_or(("", stem), |(head, number)| (head, number));
    let next = number.parse::<u64>().ok()?.checked_add(1)?;
    bound(stem)?;
    Some(if head.is_empty() { next.to_string() } else { format!("{head}.{next}") })
}

/// Returns the first version after the branch of one, which its first two numbers tell, or its first.
fn after_branch(version: &str) -> Option<String> {
    let numbers: Vec<&str> = version.split('.').collect();
    let stem = match numbers.as_slice() {
        [major, minor, _, ..] => format!("{major}.{minor}"),
        [major, ..] => (*major).to_owned(),
        [] => return None,
    };
    after_star(&format!("{stem}.*"))
}

/// Reads what one version alone may hold: a version, all of a branch (`5.x`), bounds (`>= 6.4.0, < 6.4.3`), or words that
/// many use for them (`before 3.2`).
fn single(version: &str) -> Option<Span> {
    if let Some(exact) = bound(version).filter(|v| !v.ends_with(".x")) {
        return Some(Span { introduced: Some(exact.clone()), fixed: None, last: Some(exact) });
    }
    if let Some(next) = after_star(version) {
        let stem = version.get(..version.len().saturating_sub(2))?;
        return Some(Span { introduced: bound(stem), fixed: Some(next), last: None });
    }
    let lower = version.to_ascii_lowercase();
    for (words, inclusive) in [
        (
            &["before ", "prior to ", "versions before ", "versions prior to ", "earlier than "][..],
            false,
        ),
        (&["through ", "up to ", "<= ", "versions up to "], true),
    ] {
        let rest = words.iter().find_map(|word| lower.strip_prefix(word));
        if let Some(end) = rest.and_then(bound) {
            let (fixed, last) = if inclusive { (None, Some(end)) } else { (Some(end), None) };
            return Some(Span { introduced: None, fixed, last });
        }
    }
    if !version.starts_with(['<', '>', '=']) {
        return None;
    }
    // `< 4.1.40`: the blank after the sign parts nothing.
    let joined = version.replace("< ", "<").replace("> ", ">").replace("= ", "=");
    let range = Range::of(joined.split([',', ' ']).filter(|b| !b.is_empty())).ok()?;
    let statement = range.statement(Cow::Borrowed(""), "");
    let field = |t: Option<Text<'_>>| t.and_then(|t| bound(&t));
    let span = Span {
        introduced: field(statement.introduced).filter(|v| v != "0"),
        fixed: field(statement.fixed),
        last: field(statement.last_affected),
    };
    (span.fixed.is_some() || span.last.is_some() || span.introduced.is_some()).then_some(span)
}

/// Returns the names of an affected product: in CPE, and in the registry that it comes from.
fn names(affected: &Affected<'_>) -> Vec<(&'static str, String)> {
    let mut names: Vec<(&'static str, String)> = Vec::new();
    let mut push = |ecosystem, name: String| {
        let name = (ecosystem, name);
        if !names.contains(&name) {
            names.push(name);
        }
    };
    let (vendor, product) = (text(&affected.vendor), text(&affected.product));
    if !is_nothing(vendor) && !is_nothing(product) {
        push("cpe", format!("{}:{}", normal(vendor), normal(product)));
    }
    for of in &affected.cpes.0 {
        if let Some((name, _)) = cpe(&of.0) {
            push("cpe", name);
        }
    }
    let package = text(&affected.package_name).to_ascii_lowercase();
    let collection = text(&affected.collection);
    if let Some((ecosystem, prefix)) = ecosystem(collection).filter(|_| !is_nothing(&package)) {
        let package = if ecosystem == "pypi" { package.replace(['_', '.'], "-") } else { package };
        push(ecosystem, format!("{prefix}{package}"));
    }
    names
}

/// Returns the ecosystem of a registry, and how the names of its packages begin there.
fn ecosystem(collection: &str) -> Option<(&'static str, &'static str)> {
    let address = collection.split_once("://").map_or(collection, |(_, rest)| rest);
    let address = address.trim_start_matches("www.").trim_end_matches('/');
    Some(match address {
        "wordpress.org/plugins" | "plugins.wordpress.org" => ("packagist", "wpackagist-plugin/"),
        "wordpress.org/themes" | "themes.wordpress.org" => ("packagist", "wpackagist-theme/"),
        "packagist.org" | "packagist.org/packages" => ("packagist", ""),
        "pypi.org" | "pypi.org/project" | "pypi.python.org" | "pypi.org/simple" => ("pypi", ""),
        "rubygems.org" | "rubygems.org/gems" => ("rubygems", ""),
        "npmjs.com" | "npmjs.com/package" | "registry.npmjs.org" => ("npm", ""),
        _ => return None,
    })
}

/// Writes a name as CPE would: lower case, with underscores for blanks.
fn normal(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    // A colon would part the name where it must not.
    words.join("_").to_lowercase().replace(':', "_")
}

/// Reads a formatted string of CPE 2.3 or a URI of CPE 2.2: the vendor and product, and the version where it has one.
fn cpe(name: &str) -> Option<(String, Option<String>)> {
    let rest = name.strip_prefix("cpe:2.3:").or_else(|| name.strip_prefix("cpe:/"))?;
    let mut parts: Vec<String> = vec![String::new()];
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => parts.last_mut()?.extend(chars.next()),
            ':' => parts.push(String::new()),
            _ => parts.last_mut()?.push(c.to_ascii_lowercase()),
        }
    }
    let mut parts = parts.into_iter();
    if parts.next()? == "h" {
        return None;
    }
    let (vendor, product) = (parts.next()?, parts.next()?);
    let version = parts.next().as_deref().and_then(bound);
    let named = |part: &str| !matches!(part, "" | "*" | "-");
    (named(&vendor) && named(&product))
        .then(|| (format!("{}:{}", vendor.replace(':', "_"), product.replace(':', "_")), version))
}

fn english<'t>(descriptions: &List<Description<'_>>) -> Text<'t> {
    let in_english = |d: &&Description<'_>| text(&d.lang).to_ascii_lowercase().starts_with("en");
    let first = descriptions.0.iter().find(in_english).or_else(|| descriptions.0.first());
    first.map_or("", |d| text(&d.value)).to_owned().into()
}

/// Returns the advisories of the CNA's own that are names of the same flaw in another register.
fn advisory(source: Option<&RawValue>) -> Option<Vec<String>> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Source<'a> {
        #[serde(borrow)]
        advisory: Option<&'a RawValue>,
    }
    let source: Source<'_> = serde_json::from_str(source?.get()).ok()?;
    let raw = source.advisory?.get();
    let all: Vec<String> = serde_json::from_str(raw)
        .or_else(|_| serde_json::from_str::<String>(raw).map(|one| vec![one]))
        .ok()?;
    Some(all.into_iter().filter(|id| id.starts_with("GHSA-")).collect())
}

/// Takes a metric: scores by CVSS with their vectors, and CISA's judgement by SSVC.
fn severities(metric: &Members<'_, &RawValue>, into: &mut Vec<Severity<'_>>) {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Score<'a> {
        #[serde(borrow)]
        vector_string: Option<Str<'a>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Other<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Str<'a>>,
        #[serde(borrow)]
        content: Option<&'a RawValue>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Ssvc<'a> {
        #[serde(borrow)]
        options: List<Members<'a, Str<'a>>>,
    }
    for (key, raw) in &metric.0 {
        let system = match &**key {
            "cvssV4_0" => "CVSS_V4",
            "cvssV3_1" | "cvssV3_0" => "CVSS_V3",
            "cvssV2_0" => "CVSS_V2",
            "other" => {
                let Ok(other) = serde_json::from_str::<Other<'_>>(raw.get()) else { continue };
                let content =
                    other.content.filter(|_| text(&other.kind).eq_ignore_ascii_case("ssvc"));
                let Some(Ok(ssvc)) = content.map(|c| serde_json::from_str::<Ssvc<'_>>(c.get()))
                else {
                    continue;
                };
                // `automatable=no technical-impact=total`: the words of the decision points, in one form.
                let word = |t: &str| t.trim().to_ascii_lowercase().replace(' ', "-");
                let points = ssvc.options.0.iter().flat_map(|o| &o.0);
                let points: Vec<String> = points
                    .map(|(point, value)| format!("{}={}", word(point), word(&value.0)))
                    .collect();
                if !points.is_empty() {
                    into.push(Severity { system: "SSVC".into(), score: points.join(" ").into() });
                }
                continue;
            }
            _ => continue,
        };
        let Ok(score) = serde_json::from_str::<Score<'_>>(raw.get()) else { continue };
        let vector = text(&score.vector_string).to_owned();
        let new = !into.iter().any(|s| s.score == vector);
        if new && !vector.is_empty() {
            into.push(Severity { system: system.into(), score: vector.into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes};

    #[test]
    fn a_record_of_each_kind_is_read() {
        check(&CveV5, "cve-v5/CVE-2099-0001.json");
        check(&CveV5, "cve-v5/records.json");
    }

    #[test]
    fn broken_records_cost_only_themselves() {
        check(&CveV5, "cve-v5/broken.ndjson");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/cve-v5/records.json");
        holds_on_any_bytes(&CveV5, "records.json", good);
    }

    #[test]
    fn one_version_alone_may_be_a_range() {
        let span = |introduced: &str, fixed: &str, last: &str| {
            let own = |t: &str| (!t.is_empty()).then(|| t.to_owned());
            Some(Span { introduced: own(introduced), fixed: own(fixed), last: own(last) })
        };
        for (version, wanted) in [
            ("1.2.3", span("1.2.3", "", "1.2.3")),
            ("v1.2.3", span("1.2.3", "", "1.2.3")),
            (">= 6.4.0, < 6.4.3", span("6.4.0", "6.4.3", "")),
            ("< 4.1.40", span("", "4.1.40", "")),
            ("<= 2.0", span("", "", "2.0")),
            ("= 5.1", span("5.1", "", "5.1")),
            ("5.x", span("5", "6", "")),
            ("5.2.*", span("5.2", "5.3", "")),
            ("before 3.2", span("", "3.2", "")),
            ("up to 3.2", span("", "", "3.2")),
            ("n/a", None),
            ("all versions up to May", None),
            ("< a, < b", None),
        ] {
            assert_eq!(single(version), wanted, "{version}");
        }
    }

    #[test]
    fn names_of_cpe_are_read() {
        let name =
            |text: &str| cpe(text).map(|(name, version)| (name, version.unwrap_or_default()));
        assert_eq!(
            name("cpe:2.3:a:joomla:joomla\\!:3.10:*:*:*:*:*:*:*"),
            Some(("joomla:joomla!".into(), "3.10".into()))
        );
        assert_eq!(
            name("cpe:/a:WordPress:WordPress"),
            Some(("wordpress:wordpress".into(), String::new()))
        );
        for none in ["cpe:2.3:h:acme:router:*", "cpe:2.3:a:*:x:*", "cpe:2.3:a", "wordpress"] {
            assert_eq!(name(none), None, "{none}");
        }
    }
}
