//! Red Hat's CSAF 2.0 documents (OASIS, "Common Security Advisory Framework Version 2.0"): a VEX document for each
//! CVE (`cve-2024-28834.json`) and an advisory for each erratum (`rhsa-2024_1431.json`).
//!
//! A product of a document is a component within a platform. The platform's CPE tells the release:
//! `cpe:/a:redhat:enterprise_linux:9::appstream` is `rhel:9`, for everybody. What is under another name (`rhel_eus`,
//! `rhel_aus`, `rhel_e4s`, `rhel_tus`, `rhel_els`, every other product) is a channel of its own and kept under
//! `Channel::Other` with the platform's name in the word. The component's purl tells package, version, architecture
//! and module stream; a fixed component is a binary package, an affected one mostly the source package.
//! A modular package whose stream a document does not name has the module `?`.
//!
//! Documents of Red Hat's older Security Data API are read too, by `redhat_cve`.
//!
//! Of other publishers' CSAF documents, none is taken: their products are not packages.

mod cve;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;

use muster_core::advisory::{
    By, Channel, Form, Item, Record, Severity, Sink, Statement, Status, Text,
};
use muster_core::time::Instant;
use serde::Deserialize;

use crate::json::{Broken, List, Raw, Str, Walk, outer_keys, parse};
use crate::lines::problem;
use crate::{Document, Feed, HEAD, Recognised};

/// The longest product tree or vulnerability that is read: the largest of 2026 are a third of it.
const LONGEST: usize = 64 << 20;

/// The reader of such documents.
pub(crate) struct RedHatCsaf;

impl Feed for RedHatCsaf {
    fn name(&self) -> &'static str {
        "redhat-csaf"
    }

    fn recognises(&self, path: &str, head: &[u8]) -> Recognised {
        let name = path.rsplit(['/', '!']).next().unwrap_or(path);
        let beside = match name {
            "changes.csv" | "deletions.csv" => lists_documents(head),
            "archive_latest.txt" => head.starts_with(b"csaf_"),
            _ => {
                let document =
                    ["cve-", "rhsa-", "rhba-", "rhea-"].iter().any(|n| name.starts_with(n));
                document && [".asc", ".sha256", ".sha512"].iter().any(|end| name.ends_with(end))
            }
        };
        if beside {
            return Recognised::Companion;
        }
        let has = |what: &[u8]| memchr::memmem::find(head, what).is_some();
        let csaf = outer_keys(head).first().is_some_and(|key| key == "document")
            && has(b"\"csaf_version\"")
            && (has(b"redhat.com") || has(b"Red Hat"));
        if csaf { Recognised::Yes } else { cve::recognise(head) }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut head = Vec::with_capacity(HEAD);
        let begin = u64::try_from(HEAD).unwrap_or(u64::MAX);
        if let Err(error) = (&mut *document.reader).take(begin).read_to_end(&mut head) {
            sink.problem(problem(path, 1, format!("reading stopped: {error}")));
            return;
        }
        let mut whole = head.as_slice().chain(&mut *document.reader);
        if cve::recognise(&head) == Recognised::Yes {
            cve::read(path, &mut whole, sink);
            return;
        }
        let mut walk = Walk::new(&mut whole);
        match sections(&mut walk, path, sink) {
            Ok(sections) => sections.tell(path, sink),
            Err(broken) => walk.report(path, &broken, sink),
        }
    }
}

/// Judges whether a table's first row names one of Red Hat's documents.
fn lists_documents(head: &[u8]) -> bool {
    let first = head.split(|b| *b == b'\n').next().unwrap_or(head);
    [&b"/rhsa-"[..], b"/rhba-", b"/rhea-", b"/cve-"]
        .iter()
        .any(|name| memchr::memmem::find(first, name).is_some())
}

/// The three parts of a document, in whatever order they stand.
#[derive(Default)]
struct Sections {
    document: Vec<u8>,
    tree: (Vec<u8>, u64),
    vulnerabilities: Vec<(Vec<u8>, u64)>,
}

fn sections(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<Sections, Broken> {
    let mut sections = Sections::default();
    let mut total = 0_usize;
    walk.object()?;
    while let Some(key) = walk.key()? {
        match key.as_str() {
            "document" => {
                let raw = walk.value(LONGEST)?.ok_or(Broken::TooLong("the document's head"))?;
                sections.document = raw.bytes.to_vec();
            }
            "product_tree" => {
                let raw = walk.value(LONGEST)?.ok_or(Broken::TooLong("the product tree"))?;
                sections.tree = (raw.bytes.to_vec(), raw.line);
            }
            "vulnerabilities" => {
                walk.array()?;
                while walk.more()? {
                    let Some(raw) = walk.value(LONGEST.saturating_sub(total))? else {
                        sink.problem(problem(path, walk.line(), "a vulnerability is too long"));
                        continue;
                    };
                    total = total.saturating_add(raw.bytes.len());
                    sections.vulnerabilities.push((raw.bytes.to_vec(), raw.line));
                }
            }
            _ => walk.skip()?,
        }
    }
    Ok(sections)
}

impl Sections {
    fn tell(&self, path: &str, sink: &mut dyn Sink) {
        let head = match parse::<Head<'_>>(&self.document, path, 1) {
            Ok(head) => head,
            Err(mut wrong) => {
                wrong.what = format!("the document's head was not understood: {}", wrong.what);
                sink.problem(wrong);
                return;
            }
        };
        let tree = match parse::<Tree<'_>>(&self.tree.0, path, self.tree.1) {
            Ok(tree) => tree,
            Err(_) if self.tree.0.is_empty() => Tree::default(),
            Err(mut wrong) => {
                wrong.what = format!("the product tree was not understood: {}", wrong.what);
                sink.problem(wrong);
                return;
            }
        };
        let products = Products::of(&tree);
        // Errata of 2023 and before call themselves VEX documents too: the id is what tells.
        let notice = !head.tracking.id.0.starts_with("CVE-");
        let mut gathered = Gathered::default();
        let mut cves = Vec::new();
        for (bytes, line) in &self.vulnerabilities {
            let raw = Raw { bytes, line: *line };
            let flaw = match raw.parse::<Vulnerability<'_>>(path) {
                Ok(flaw) => flaw,
                Err(mut wrong) => {
                    wrong.what = format!("a vulnerability was not understood: {}", wrong.what);
                    sink.problem(wrong);
                    continue;
                }
            };
            for product in gathered.take(&flaw, &products) {
                let what = format!("the product tree does not hold {product}");
                sink.problem(problem(path, *line, what));
            }
            if notice {
                cves.extend(flaw.cve.map(|c| c.0));
            } else {
                let statements = std::mem::take(&mut gathered);
                sink.item(Item::Record(flaw.record(&head, statements)));
            }
        }
        if notice {
            sink.item(Item::Record(head.notice(cves, gathered)));
        }
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    title: Str<'a>,
    #[serde(borrow)]
    tracking: Tracking<'a>,
    #[serde(borrow, default)]
    aggregate_severity: Option<Worded<'a>>,
    #[serde(borrow, default)]
    notes: List<Note<'a>>,
    #[serde(borrow, default)]
    references: List<Reference<'a>>,
}

#[derive(Deserialize)]
struct Tracking<'a> {
    #[serde(borrow)]
    id: Str<'a>,
    #[serde(default)]
    initial_release_date: Option<Instant>,
    #[serde(default)]
    current_release_date: Option<Instant>,
}

#[derive(Deserialize)]
struct Worded<'a> {
    #[serde(borrow)]
    text: Str<'a>,
}

#[derive(Deserialize)]
struct Note<'a> {
    #[serde(borrow)]
    category: Str<'a>,
    #[serde(borrow, default)]
    text: Str<'a>,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, default)]
    category: Str<'a>,
    #[serde(borrow)]
    url: Str<'a>,
}

impl<'a> Head<'a> {
    fn notice(self, cves: Vec<Text<'a>>, gathered: Gathered<'a>) -> Record<'a> {
        let mut record = Record {
            id: self.tracking.id.0,
            form: Form::Notice,
            title: self.title.0,
            details: description(self.notes, "general"),
            published: self.tracking.initial_release_date,
            modified: self.tracking.current_release_date,
            references: own_addresses(self.references),
            statements: gathered.statements,
            ..Record::default()
        };
        for cve in cves {
            if !record.cves.contains(&cve) {
                record.cves.push(cve);
            }
        }
        let words = self.aggregate_severity.into_iter().map(|s| s.text.0);
        record.severities = words.map(|w| severity("Red Hat", w)).collect();
        record
    }
}

fn severity<'a>(system: &'static str, score: Text<'a>) -> Severity<'a> {
    Severity { system: Cow::Borrowed(system), score }
}

fn description<'a>(notes: List<Note<'a>>, otherwise: &str) -> Text<'a> {
    let mut general = Text::default();
    for note in notes.0 {
        match &*note.category.0 {
            "description" => return note.text.0,
            category if category == otherwise && general.is_empty() => general = note.text.0,
            _ => {}
        }
    }
    general
}

fn own_addresses(references: List<Reference<'_>>) -> Vec<Text<'_>> {
    references.0.into_iter().filter(|r| r.category.0 == "self").map(|r| r.url.0).collect()
}

#[derive(Default, Deserialize)]
struct Tree<'a> {
    #[serde(borrow, default)]
    branches: List<Branch<'a>>,
    #[serde(borrow, default)]
    relationships: List<Relationship<'a>>,
    #[serde(borrow, default)]
    full_product_names: List<Product<'a>>,
}

#[derive(Deserialize)]
struct Branch<'a> {
    #[serde(borrow, default)]
    product: Option<Product<'a>>,
    #[serde(borrow, default)]
    branches: List<Self>,
}

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow)]
    product_id: Str<'a>,
    #[serde(borrow, default)]
    product_identification_helper: Option<Helper<'a>>,
}

#[derive(Deserialize)]
struct Helper<'a> {
    #[serde(borrow, default)]
    cpe: Option<Str<'a>>,
    #[serde(borrow, default)]
    purl: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Relationship<'a> {
    #[serde(borrow)]
    full_product_name: FullName<'a>,
    #[serde(borrow)]
    product_reference: Str<'a>,
    #[serde(borrow)]
    relates_to_product_reference: Str<'a>,
}

#[derive(Deserialize)]
struct FullName<'a> {
    #[serde(borrow)]
    product_id: Str<'a>,
}

/// A platform: what a component belongs to.
#[derive(Clone, Copy)]
pub(super) struct Platform<'t> {
    pub(super) name: &'t str,
    pub(super) cpe: &'t str,
}

impl Platform<'_> {
    /// Returns the release and whether it is the one for everybody.
    pub(super) fn release(&self) -> (String, Channel) {
        let mut parts = self.cpe.split(':').skip(2);
        let (vendor, product, version) = (parts.next(), parts.next(), parts.next());
        let (Some(vendor), Some(product)) = (vendor, product) else {
            return (format!("redhat:{}", self.name), Channel::Other);
        };
        let version = version.unwrap_or_default();
        let major = version.split('.').next().unwrap_or_default();
        if vendor != "redhat" || major.is_empty() {
            return (format!("{vendor}:{product}"), Channel::Other);
        }
        let stream =
            ["rhel_eus", "rhel_aus", "rhel_e4s", "rhel_tus", "rhel_els", "enterprise_linux"]
                .iter()
                .any(|name| product.starts_with(name));
        match product {
            "enterprise_linux" => (format!("rhel:{major}"), Channel::Base),
            _ if stream => (format!("rhel:{major}"), Channel::Other),
            _ => (format!("redhat:{product}:{version}"), Channel::Other),
        }
    }
}

/// Returns what Red Hat's word for the state of a fix comes to.
pub(super) fn status_of(word: &str) -> Option<Status> {
    Some(match word {
        "Affected" => Status::Needed,
        "Fix deferred" => Status::Deferred,
        "Will not fix" => Status::Ignored,
        "Out of support scope" => Status::EndOfLife,
        "Under investigation" | "New" => Status::NeedsTriage,
        "Not affected" => Status::NotAffected,
        _ => return None,
    })
}

/// A component: a package, as its purl or its name tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Component<'t> {
    package: Text<'t>,
    version: Option<Text<'t>>,
    architecture: Text<'t>,
    module: Option<Text<'t>>,
    /// Whether an rpm package is meant.
    rpm: bool,
}

impl<'t> Component<'t> {
    fn of(product: &'t Product<'_>) -> Self {
        let helper = product.product_identification_helper.as_ref();
        let name = &*product.name.0;
        let mut component = match helper.and_then(|h| h.purl.as_ref()).map(|p| &*p.0) {
            Some(purl) => Self::of_purl(purl),
            None => Self::of_name(name),
        };
        if component.module.is_none() {
            component.module = module_in(name).map(Cow::Borrowed);
        }
        let modular = component.version.as_ref().is_some_and(|v| v.contains(".module"));
        if modular && component.module.is_none() {
            component.module = Some(Cow::Borrowed("?"));
        }
        component
    }

    /// Reads `pkg:rpm/redhat/bind-devel@9.8.2-0.68.rc1.el6_10.17?arch=s390&epoch=32`.
    fn of_purl(purl: &'t str) -> Self {
        let (path, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
        let (path, version) = path.rsplit_once('@').map_or((path, None), |(p, v)| (p, Some(v)));
        let (kind, package) = match path.strip_prefix("pkg:rpm/redhat/") {
            Some(package) => (true, package),
            None => (false, path),
        };
        let mut component = Self {
            package: decoded(package),
            version: version.map(decoded),
            rpm: kind,
            ..Self::default()
        };
        for (key, value) in qualifiers.split('&').filter_map(|q| q.split_once('=')) {
            match key {
                "arch" => component.architecture = decoded(value),
                "rpmmod" => component.module = stream(&decoded(value)).map(Cow::Owned),
                "epoch" if value != "0" => {
                    component.version =
                        component.version.map(|v| Cow::Owned(format!("{value}:{v}")));
                }
                _ => {}
            }
        }
        component
    }

    /// Reads `postgresql:15/postgresql`, `kernel-rt`, and `bind-0:9.8.2-1.el6.s390`.
    fn of_name(name: &'t str) -> Self {
        let name = name.split_once("::").map_or(name, |(name, _)| name);
        let rest = module_in(name).map_or(name, |_| name.rsplit('/').next().unwrap_or(name));
        match nevra(rest) {
            Some((package, version, architecture)) => Self {
                package: Cow::Borrowed(package),
                version: Some(version),
                architecture: Cow::Borrowed(architecture),
                rpm: true,
                ..Self::default()
            },
            None => Self { package: Cow::Borrowed(rest), rpm: true, ..Self::default() },
        }
    }
}

/// Cuts `bind-32:9.8.2-1.el6.s390` into name, version and architecture.
pub(super) fn nevra(text: &str) -> Option<(&str, Text<'_>, &str)> {
    let text = text.strip_suffix(".rpm").unwrap_or(text);
    let (rest, architecture) = text.rsplit_once('.')?;
    let (rest, release) = rest.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    let known = ["x86_64", "aarch64", "ppc64le", "ppc64", "ppc", "s390x", "s390", "i386", "i486"];
    let known = known.contains(&architecture)
        || matches!(architecture, "i586" | "i686" | "ia64" | "noarch" | "src" | "x86_64_v2");
    let version = version.strip_prefix("0:").unwrap_or(version);
    (known && !name.is_empty())
        .then(|| (name, Cow::Owned(format!("{version}-{release}")), architecture))
}

/// Returns the module stream in `ruby-0:3.1.4-142.aarch64::ruby:3.1` and in `postgresql:15/postgresql`.
pub(super) fn module_in(name: &str) -> Option<&str> {
    if let Some((_, module)) = name.split_once("::") {
        return module.contains(':').then_some(module);
    }
    let (module, package) = name.split_once('/')?;
    let (name, stream) = module.split_once(':')?;
    (!package.is_empty() && !name.is_empty() && !stream.contains(':')).then_some(module)
}

/// Returns name and stream of `ruby:2.5:8090020230627084142:b46abd14`.
fn stream(module: &str) -> Option<String> {
    let mut parts = module.split(':');
    let (name, stream) = (parts.next()?, parts.next()?);
    (!name.is_empty() && !stream.is_empty()).then(|| format!("{name}:{stream}"))
}

/// Undoes the percent-encoding of a purl (RFC 3986).
fn decoded(text: &str) -> Text<'_> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut pieces = text.split('%');
    bytes.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let byte = piece.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, piece.get(2..)) {
            (Some(byte), Some(rest)) => {
                bytes.push(byte);
                bytes.extend_from_slice(rest.as_bytes());
            }
            _ => {
                bytes.push(b'%');
                bytes.extend_from_slice(piece.as_bytes());
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the product tree tells of each id.
struct Products<'t> {
    platforms: HashMap<&'t str, Platform<'t>>,
    components: HashMap<&'t str, Component<'t>>,
    within: HashMap<&'t str, (&'t str, &'t str)>,
}

impl<'t> Products<'t> {
    fn of(tree: &'t Tree<'_>) -> Self {
        let mut products =
            Self { platforms: HashMap::new(), components: HashMap::new(), within: HashMap::new() };
        products.add_branches(&tree.branches.0);
        for product in &tree.full_product_names.0 {
            products.add(product);
        }
        for relationship in &tree.relationships.0 {
            let component = &*relationship.product_reference.0;
            let platform = &*relationship.relates_to_product_reference.0;
            products
                .within
                .insert(&relationship.full_product_name.product_id.0, (component, platform));
        }
        products
    }

    /// Goes down the tree; serde_json has bounded its depth.
    fn add_branches(&mut self, branches: &'t [Branch<'_>]) {
        for branch in branches {
            if let Some(product) = &branch.product {
                self.add(product);
            }
            self.add_branches(&branch.branches.0);
        }
    }

    fn add(&mut self, product: &'t Product<'_>) {
        let id = &*product.product_id.0;
        let cpe = product.product_identification_helper.as_ref().and_then(|h| h.cpe.as_ref());
        match cpe {
            Some(cpe) => {
                let platform = Platform { name: &product.name.0, cpe: &cpe.0 };
                self.platforms.insert(id, platform);
            }
            None => {
                self.components.insert(id, Component::of(product));
            }
        }
    }

    /// Returns the platform and the component that an id stands for.
    fn find(&self, id: &str) -> Option<(Platform<'t>, Component<'t>)> {
        if let Some((component, platform)) = self.within.get(id) {
            let platform = *self.platforms.get(platform)?;
            let mut component = self.components.get(component)?.clone();
            if let Some(module) = module_in(id).filter(|_| id.contains("::")) {
                component.module = Some(Cow::Owned(module.to_owned()));
            }
            return Some((platform, component));
        }
        let platform = *self.platforms.get(id)?;
        let package = Cow::Borrowed(platform.name);
        Some((platform, Component { package, ..Component::default() }))
    }
}

#[derive(Deserialize)]
struct Vulnerability<'a> {
    #[serde(borrow, default)]
    cve: Option<Str<'a>>,
    #[serde(borrow, default)]
    title: Str<'a>,
    #[serde(borrow, default)]
    notes: List<Note<'a>>,
    #[serde(default)]
    release_date: Option<Instant>,
    #[serde(borrow, default)]
    product_status: ProductStatus<'a>,
    #[serde(borrow, default)]
    remediations: List<Remediation<'a>>,
    #[serde(borrow, default)]
    flags: List<Flag<'a>>,
    #[serde(borrow, default)]
    scores: List<Score<'a>>,
    #[serde(borrow, default)]
    threats: List<Threat<'a>>,
    #[serde(borrow, default)]
    references: List<Reference<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProductStatus<'a> {
    #[serde(borrow)]
    fixed: List<Str<'a>>,
    #[serde(borrow)]
    first_fixed: List<Str<'a>>,
    #[serde(borrow)]
    recommended: List<Str<'a>>,
    #[serde(borrow)]
    known_affected: List<Str<'a>>,
    #[serde(borrow)]
    first_affected: List<Str<'a>>,
    #[serde(borrow)]
    last_affected: List<Str<'a>>,
    #[serde(borrow)]
    known_not_affected: List<Str<'a>>,
    #[serde(borrow)]
    under_investigation: List<Str<'a>>,
}

#[derive(Deserialize)]
struct Remediation<'a> {
    #[serde(borrow)]
    category: Str<'a>,
    #[serde(borrow, default)]
    details: Str<'a>,
    #[serde(default)]
    date: Option<Instant>,
    #[serde(borrow, default)]
    url: Option<Str<'a>>,
    #[serde(borrow, default)]
    product_ids: List<Str<'a>>,
}

#[derive(Deserialize)]
struct Flag<'a> {
    #[serde(borrow)]
    label: Str<'a>,
    #[serde(borrow, default)]
    product_ids: List<Str<'a>>,
}

#[derive(Deserialize)]
struct Score<'a> {
    #[serde(borrow, default)]
    cvss_v2: Option<Cvss<'a>>,
    #[serde(borrow, default)]
    cvss_v3: Option<Cvss<'a>>,
    #[serde(borrow, default)]
    cvss_v4: Option<Cvss<'a>>,
}

#[derive(Deserialize)]
struct Cvss<'a> {
    #[serde(borrow, rename = "vectorString")]
    vector: Str<'a>,
}

#[derive(Deserialize)]
struct Threat<'a> {
    #[serde(borrow)]
    category: Str<'a>,
    #[serde(borrow, default)]
    details: Str<'a>,
}

impl<'a> Vulnerability<'a> {
    fn record(self, head: &Head<'a>, gathered: Gathered<'a>) -> Record<'a> {
        let cve = self.cve.map(|c| c.0);
        let mut details = description(self.notes, "summary");
        for workaround in self.remediations.0.iter().filter(|r| r.category.0 == "workaround") {
            let details = details.to_mut();
            details.push_str("\n\nworkaround: ");
            details.push_str(&workaround.details.0);
        }
        let title = if self.title.0.is_empty() { head.title.0.clone() } else { self.title.0 };
        let mut record = Record {
            id: cve.clone().unwrap_or_else(|| head.tracking.id.0.clone()),
            form: Form::Vulnerability,
            cves: cve.into_iter().collect(),
            related: gathered.errata.into_iter().map(Cow::Owned).collect(),
            title,
            details,
            published: self.release_date.or(head.tracking.initial_release_date),
            modified: head.tracking.current_release_date,
            references: own_addresses(self.references),
            statements: gathered.statements,
            ..Record::default()
        };
        let impacts = self.threats.0.into_iter().filter(|t| t.category.0 == "impact");
        for word in impacts.map(|t| t.details.0) {
            take(&mut record.severities, severity("Red Hat", word));
        }
        for score in self.scores.0 {
            let systems = [
                ("CVSS_V2", score.cvss_v2),
                ("CVSS_V3", score.cvss_v3),
                ("CVSS_V4", score.cvss_v4),
            ];
            for (system, cvss) in systems {
                if let Some(cvss) = cvss {
                    take(&mut record.severities, severity(system, cvss.vector.0));
                }
            }
        }
        record
    }
}

fn take<'a>(severities: &mut Vec<Severity<'a>>, severity: Severity<'a>) {
    if !severities.contains(&severity) {
        severities.push(severity);
    }
}

/// Statements, one for all the architectures that are told the same.
#[derive(Default)]
struct Gathered<'t> {
    statements: Vec<Statement<'t>>,
    places: HashMap<Told<'t>, usize>,
    /// The errata that mend it.
    errata: BTreeSet<String>,
}

/// What makes two statements one.
#[derive(PartialEq, Eq, Hash)]
struct Told<'t> {
    release: String,
    channel: Channel,
    package: Text<'t>,
    by: By,
    status: Status,
    fixed: Option<Text<'t>>,
    module: Option<Text<'t>>,
    word: String,
}

/// What a vulnerability says of a product besides its status.
#[derive(Default)]
struct Remarks<'f> {
    fix: HashMap<&'f str, &'f Remediation<'f>>,
    without: HashMap<&'f str, &'f Remediation<'f>>,
    reason: HashMap<&'f str, &'f str>,
}

impl<'f> Remarks<'f> {
    fn of(flaw: &'f Vulnerability<'_>) -> Self {
        let mut remarks = Self::default();
        for remediation in &flaw.remediations.0 {
            let to = match &*remediation.category.0 {
                "vendor_fix" => &mut remarks.fix,
                "workaround" | "mitigation" => continue,
                _ => &mut remarks.without,
            };
            to.extend(remediation.product_ids.0.iter().map(|id| (&*id.0, remediation)));
        }
        for flag in &flaw.flags.0 {
            let products = flag.product_ids.0.iter();
            remarks.reason.extend(products.map(|id| (&*id.0, &*flag.label.0)));
        }
        remarks
    }

    /// Returns what "affected" comes to, and the vendor's words for it.
    fn affected(&self, id: &str) -> (Status, String) {
        let Some(remedy) = self.without.get(id) else {
            return (Status::Affected, "known affected".to_owned());
        };
        let details = remedy.details.0.trim();
        let status = match (&*remedy.category.0, status_of(details)) {
            (_, Some(status)) => status,
            ("no_fix_planned", None) => Status::Ignored,
            (_, None) => Status::Affected,
        };
        (status, details.to_owned())
    }
}

impl<'t> Gathered<'t> {
    /// Takes in what a vulnerability says of its products; returns those that the tree does not hold.
    fn take(&mut self, flaw: &Vulnerability<'_>, products: &Products<'t>) -> Vec<String> {
        let remarks = Remarks::of(flaw);
        let status = &flaw.product_status;
        let mut missing = Vec::new();
        let fixed = [&status.fixed, &status.first_fixed, &status.recommended];
        let fixed: Vec<_> = fixed.iter().flat_map(|list| &list.0).map(|id| &*id.0).collect();
        let found: Vec<_> = fixed.iter().map(|id| (*id, products.find(id))).collect();
        let binaries =
            found.iter().flat_map(|(_, f)| f).any(|(_, c)| c.rpm && c.architecture != "src");
        for (id, found) in found {
            let Some((platform, component)) = found else {
                missing.push(id.to_owned());
                continue;
            };
            // A source package stands beside its binaries with the same version: it says nothing more.
            if binaries && component.architecture == "src" {
                continue;
            }
            let fix = remarks.fix.get(id);
            let erratum = fix
                .and_then(|f| f.url.as_ref())
                .and_then(|url| url.0.rsplit('/').next())
                .unwrap_or_default();
            if !erratum.is_empty() && !self.errata.contains(erratum) {
                self.errata.insert(erratum.to_owned());
            }
            let published = fix.and_then(|f| f.date);
            self.tell(platform, component, Status::Fixed, erratum.to_owned(), published);
        }
        let affected = [&status.known_affected, &status.first_affected, &status.last_affected];
        for Str(id) in affected.iter().flat_map(|list| &list.0) {
            let Some((platform, component)) = products.find(id) else {
                missing.push(id.to_string());
                continue;
            };
            let (status, word) = remarks.affected(id);
            self.tell(platform, component, status, word, None);
        }
        let rest = [
            (&status.known_not_affected, Status::NotAffected),
            (&status.under_investigation, Status::NeedsTriage),
        ];
        for (list, status) in rest {
            for Str(id) in &list.0 {
                let Some((platform, component)) = products.find(id) else {
                    missing.push(id.to_string());
                    continue;
                };
                let word = remarks.reason.get(&**id).map(|w| (*w).to_owned());
                let word = word.unwrap_or_else(|| match status {
                    Status::NeedsTriage => "under investigation".to_owned(),
                    _ => String::new(),
                });
                self.tell(platform, component, status, word, None);
            }
        }
        missing
    }

    fn tell(
        &mut self,
        platform: Platform<'t>,
        component: Component<'t>,
        status: Status,
        word: String,
        published: Option<Instant>,
    ) {
        let (release, channel) = platform.release();
        let channel = if component.rpm { channel } else { Channel::Other };
        let word = match (channel, word.is_empty()) {
            (Channel::Other, true) => platform.name.to_owned(),
            (Channel::Other, false) => format!("{}: {word}", platform.name),
            _ => word,
        };
        let source = matches!(&*component.architecture, "src" | "");
        let told = Told {
            release,
            channel,
            package: component.package,
            by: if source { By::Source } else { By::Binary },
            status,
            fixed: component.version.filter(|_| status == Status::Fixed),
            module: component.module,
            word,
        };
        // Nothing, or `noarch`, is a word for every architecture.
        let bound =
            (!source && component.architecture != "noarch").then_some(component.architecture);
        if let Some(said) = self.places.get(&told).and_then(|at| self.statements.get_mut(*at)) {
            match bound {
                None => said.architectures.clear(),
                Some(new)
                    if !said.architectures.is_empty() && !said.architectures.contains(&new) =>
                {
                    said.architectures.push(new);
                }
                Some(_) => {}
            }
            return;
        }
        self.statements.push(Statement {
            release: Cow::Owned(told.release.clone()),
            channel,
            package: told.package.clone(),
            by: told.by,
            status,
            fixed: told.fixed.clone(),
            word: Cow::Owned(told.word.clone()),
            module: told.module.clone(),
            architectures: bound.into_iter().collect(),
            published,
            ..Statement::default()
        });
        self.places.insert(told, self.statements.len().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes, read_shared};

    #[test]
    fn a_vex_document_and_an_advisory_are_read() {
        check(&RedHatCsaf, "redhat-csaf/cve-2031-0001.json");
        check(&RedHatCsaf, "redhat-csaf/rhsa-2031_0001.json");
        check(&RedHatCsaf, "redhat-csaf/broken.json");
    }

    #[test]
    fn a_document_of_the_older_api_is_read() {
        check(&RedHatCsaf, "redhat-cve/CVE-2031-0001.json");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/redhat-cve/CVE-2031-0001.json");
        holds_on_any_bytes(&RedHatCsaf, "CVE-2031-0001.json", good);
        let good = include_bytes!("../../../../fixtures/feeds/redhat-csaf/cve-2031-0001.json");
        holds_on_any_bytes(&RedHatCsaf, "cve.json", good);
    }

    #[test]
    fn names_tell_package_version_and_stream() {
        for (name, package, version, architecture, module) in [
            ("bind-32:9.8.2-1.el6.s390", "bind", Some("32:9.8.2-1.el6"), "s390", None),
            (
                "gnutls-0:3.7.6-21.el9_2.3.noarch",
                "gnutls",
                Some("3.7.6-21.el9_2.3"),
                "noarch",
                None,
            ),
            ("postgresql:15/postgresql", "postgresql", None, "", Some("postgresql:15")),
            ("kernel-rt", "kernel-rt", None, "", None),
            ("acm/agent-container", "acm/agent-container", None, "", None),
        ] {
            let component = Component::of_name(name);
            assert_eq!(
                (&*component.package, component.version.as_deref(), &*component.architecture),
                (package, version, architecture)
            );
            assert_eq!(module_in(name), module);
        }
        assert_eq!(decoded("gnutls-c%2B%2B%zz%"), "gnutls-c++%zz%");
    }

    #[test]
    fn all_samples_are_read() {
        let Some(heard) =
            read_shared(&RedHatCsaf, "data/advisories/rhel/redhat-csaf-samples.tar.zst")
        else {
            return;
        };
        let of = |form: &str| heard.items.iter().filter(|i| i["Record"]["form"] == form).count();
        // 30 VEX documents, 2 of the older API and one list of its; 8 errata.
        assert_eq!((of("Vulnerability"), of("Notice")), (32, 8));
        assert_eq!(heard.problems, []);
    }
}
