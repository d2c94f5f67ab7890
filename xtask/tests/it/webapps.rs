//! How right the matching of web applications is: the feeds that there are, against ranges that another scanner's authors
//! worked out (test data only, never fed), at and around every border of those ranges.
//!
//! Two questions: is a version called vulnerable that they call vulnerable (recall), and is one that we call vulnerable
//! by a flaw they know of called so by them (precision). What no feed speaks of is counted apart, not left out. The
//! figures are golden: `MUSTER_BLESS=1` writes them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says where"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use muster_core::application::WebApplication;
use muster_core::catalog::{self, Application};
use muster_core::fact::Facts;
use muster_core::finding::About;
use muster_core::time::Date;
use muster_core::verdict::Verdict;
use muster_feed::input::{self, Terms};
use muster_match::AdvisoryFile;
use muster_match::compile::Compiler;
use muster_match::matching::applications;
use muster_version::Scheme;
use serde_json::Value;
use xtask::repository::{Repository, has_program, requires_all};

const GOLDEN: &str = "xtask/golden/webapps.txt";
/// The day of the ranges: what came out later cannot be in them.
const TODAY: Date = Date::constant(2025, 9, 26);

/// Names under which the ranges speak of a product that the catalogue knows by another.
const OTHER_NAMES: [(&str, &str); 3] =
    [("joomla:joomla", "joomla"), ("owncloud:owncloud", "owncloud"), ("simplemachines:smf", "smf")];

/// Ranges of one flaw or of several.
struct Ranges {
    cves: BTreeSet<String>,
    affected: Vec<BTreeMap<String, String>>,
}

impl Ranges {
    fn holds(&self, order: Scheme, version: &str) -> bool {
        self.affected.iter().any(|range| {
            range.iter().all(|(bound, of)| {
                let at = order.compare_lenient(version, of);
                match bound.as_str() {
                    "ge" => at.is_ge(),
                    "lt" => at.is_lt(),
                    "le" => at.is_le(),
                    _ => at.is_eq(),
                }
            })
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Score {
    /// Versions that they call vulnerable; of these, those that we call so; and those whose branch had ended.
    theirs: usize,
    found: usize,
    found_or_ended: usize,
    /// Versions that we call vulnerable by a flaw that they know; of these, those that they call so.
    ours: usize,
    right: usize,
    /// Pairs of version and CVE that they name; of these with a CVE that our feeds know; and found.
    pairs: usize,
    known: usize,
    paired: usize,
    /// Pairs that we name of CVEs that they know; of these, those that they name.
    claimed: usize,
    agreed: usize,
}

impl Score {
    fn add(&mut self, o: &Self) {
        self.theirs += o.theirs;
        self.found += o.found;
        self.found_or_ended += o.found_or_ended;
        self.ours += o.ours;
        self.right += o.right;
        self.pairs += o.pairs;
        self.known += o.known;
        self.paired += o.paired;
        self.claimed += o.claimed;
        self.agreed += o.agreed;
    }

    fn line(&self, name: &str) -> String {
        let share = |part: usize, whole: usize| {
            let thousandths = (1000 * part).checked_div(whole);
            thousandths.map_or("-".to_owned(), |n| format!("{}.{:03}", n / 1000, n % 1000))
        };
        format!(
            "{name:<24} {:>6} {:>6} {:>6} {:>6} | {:>6} {:>6} {:>6} {:>6}",
            self.theirs,
            share(self.found, self.theirs),
            share(self.found_or_ended, self.theirs),
            share(self.right, self.ours),
            self.pairs,
            share(self.paired, self.pairs),
            share(self.paired, self.known),
            share(self.agreed, self.claimed),
        )
    }
}

#[test]
fn web_applications_are_judged_as_others_judge_them() {
    let repository = Repository::here();
    let (Some(shared), true) = (repository.shared(), has_program("zstd")) else {
        assert!(!requires_all(), "../shared and zstd are needed");
        println!("not run: needs ../shared and zstd");
        return;
    };
    let data = shared.join("data");
    let folder = tempfile::tempdir().unwrap();
    let file = compile(&data, &folder.path().join("a.adv"));
    let mut table = String::from(
        "# Written by `MUSTER_BLESS=1 cargo test -p xtask --test it webapps`; docs/explanation/score.md explains it.\n\
         # product, versions they call vulnerable, found, found or branch ended, precision | pairs of version and CVE, found, found of CVEs in our feeds, precision\n",
    );
    let (mut all, mut spoken) = (Score::default(), Score::default());
    for (cpe, ranges) in oracle(&data) {
        let Some(application) = known(&cpe) else {
            let score = unknown(&ranges);
            all.add(&score);
            writeln!(table, "{}  (not in the catalogue)", score.line(&cpe)).unwrap();
            continue;
        };
        let (score, is_spoken) = judge(&file, application, &ranges);
        all.add(&score);
        if is_spoken {
            spoken.add(&score);
        }
        let note = if is_spoken { "" } else { "  (no advisories)" };
        writeln!(table, "{}{note}", score.line(application.product)).unwrap();
    }
    writeln!(table, "{}", all.line("all products")).unwrap();
    writeln!(table, "{}", spoken.line("those our feeds speak of")).unwrap();
    if std::env::var_os("MUSTER_BLESS").is_some() {
        fs::write(repository.path(GOLDEN), &table).unwrap();
    }
    assert_eq!(table, repository.read(GOLDEN).unwrap());
}

fn compile(data: &Path, to: &Path) -> AdvisoryFile {
    let mut compiler = Compiler::new(tempfile::tempfile().unwrap()).unwrap();
    for source in [
        "advisories/webapps/drupal-2026-08-21.osv.ndjson.zst",
        "advisories/webapps/friendsofphp-2026-08-06.ndjson.zst",
        "advisories/webapps/composer-conflicts-roave-2026-07-23.json.zst",
        "advisories/webapps/pypi-pysec-2024-10-10.osv.ndjson.zst",
        "eol/endoflife.date-2026-08-22.json.zst",
    ] {
        let terms = Terms { format: None, until: "2031-01-01T00:00:00Z".parse().unwrap() };
        input::read(&data.join(source), terms, &mut compiler, &mut |_| {}).unwrap();
    }
    compiler.finish(&mut fs::File::create_new(to).unwrap(), None).unwrap();
    AdvisoryFile::open(to).unwrap()
}

/// Reads the ranges, by `vendor:product`.
fn oracle(data: &Path) -> BTreeMap<String, Vec<Ranges>> {
    let file =
        data.join("advisories/webapps/webapp-version-ranges-greenbone-2025-09-26.ndjson.zst");
    let unpacked = Command::new("zstd").arg("-dc").arg(file).output().unwrap();
    assert!(unpacked.status.success());
    let mut products: BTreeMap<String, Vec<Ranges>> = BTreeMap::new();
    for line in String::from_utf8(unpacked.stdout).unwrap().lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let cpe = entry["cpe"].as_str().unwrap().trim_start_matches("cpe:/a:").to_owned();
        let texts = |value: &Value| -> BTreeSet<String> {
            value.as_array().into_iter().flatten().map(|v| v.as_str().unwrap().to_owned()).collect()
        };
        let range = |value: &Value| -> BTreeMap<String, String> {
            let bounds = value.as_object().unwrap().iter();
            bounds.map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect()
        };
        let affected = entry["affected"].as_array().unwrap().iter().map(range).collect();
        let ranges = Ranges { cves: texts(&entry["cves"]), affected };
        products.entry(cpe).or_default().push(ranges);
    }
    products
}

fn known(cpe: &str) -> Option<&'static Application> {
    let other = OTHER_NAMES.iter().find(|(name, _)| *name == cpe).map(|(_, product)| *product);
    catalog::APPLICATIONS
        .iter()
        .find(|a| a.names.contains(&("cpe", cpe)) || other == Some(a.product))
}

/// Returns the versions at and around every border.
fn versions(order: Scheme, ranges: &[Ranges]) -> BTreeSet<String> {
    let mut versions = BTreeSet::new();
    for border in ranges.iter().flat_map(|r| &r.affected).flat_map(BTreeMap::values) {
        versions.insert(border.clone());
        let Some((stem, last)) = border.rsplit_once('.') else { continue };
        if let Ok(last) = last.parse::<u64>() {
            versions.insert(format!("{stem}.{}", last + 1));
            if last > 0 {
                versions.insert(format!("{stem}.{}", last - 1));
            }
        }
    }
    versions.retain(|v| order.is_valid(v));
    versions
}

/// A product that the catalogue does not have counts with everything missed.
fn unknown(ranges: &[Ranges]) -> Score {
    let mut score = Score::default();
    for version in versions(Scheme::Composer, ranges) {
        let open: Vec<&Ranges> =
            ranges.iter().filter(|r| r.holds(Scheme::Composer, &version)).collect();
        score.theirs += usize::from(!open.is_empty());
        score.pairs += open.iter().flat_map(|r| &r.cves).collect::<BTreeSet<_>>().len();
    }
    score
}

fn judge(file: &AdvisoryFile, application: &Application, ranges: &[Ranges]) -> (Score, bool) {
    let versions = versions(application.order, ranges);
    let copy = |version: &String| WebApplication {
        product: application.product.to_owned(),
        version: Some(version.clone()),
        path: format!("/{version}"),
        ..WebApplication::default()
    };
    let facts = Facts { applications: versions.iter().map(copy).collect(), ..Facts::default() };
    let matched = applications::judge(Some(file), &facts, TODAY, true).unwrap();
    let is_spoken = !matched.obstacles.iter().any(|o| o.why.contains("no advisories"));
    let mut said: BTreeMap<&str, (BTreeSet<&str>, bool)> = BTreeMap::new();
    for finding in &matched.findings {
        let About::WebApplication(about) = &finding.about else { continue };
        let ended = about.ended.is_some() || finding.verdict == Verdict::EndOfSupport;
        let cves = about.cves.iter().map(String::as_str).collect();
        said.insert(about.version.as_deref().unwrap(), (cves, ended));
    }
    let theirs: BTreeSet<&str> = ranges.iter().flat_map(|r| &r.cves).map(String::as_str).collect();
    let ours: BTreeSet<&str> = said.values().flat_map(|(cves, _)| cves).copied().collect();
    let mut score = Score::default();
    for (version, (cves, ended)) in &said {
        let holding = ranges.iter().filter(|r| r.holds(application.order, version));
        let open: Vec<&Ranges> = holding.collect();
        let named: BTreeSet<&str> = open.iter().flat_map(|r| &r.cves).map(String::as_str).collect();
        if !open.is_empty() {
            score.theirs += 1;
            score.found += usize::from(!cves.is_empty());
            score.found_or_ended += usize::from(!cves.is_empty() || *ended);
        }
        let shared = cves.intersection(&theirs).count();
        if shared > 0 {
            score.ours += 1;
            score.right += usize::from(!open.is_empty());
        }
        score.pairs += named.len();
        score.known += named.intersection(&ours).count();
        score.paired += named.intersection(cves).count();
        score.claimed += shared;
        score.agreed += named.intersection(cves).count();
    }
    (score, is_spoken)
}
