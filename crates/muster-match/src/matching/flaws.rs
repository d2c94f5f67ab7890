//! What advisories say of one product, laid out along its versions: which flaws a version has, and which version mends them.
//!
//! Several feeds name one flaw: they are one by their CVE, and a version that one of them calls affected is affected.
//! Upstreams mend each branch by itself, so a flaw is a set of ranges, and the fix that is wanted is the oldest version of
//! the own branch in which nothing is open that any later version mends; where the own branch has none, one of a
//! supported branch. A bound that is no version of the product's order is not guessed at: it is told.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_core::advisory::{Channel, Status};
use muster_core::finding::{Severity, Signals};
use muster_core::owed::applications::{Branches, is_within};
use muster_core::time::Date;
use muster_core::verdict::{self, Position, Verdict};
use muster_version::Scheme;

use crate::section::{Package, Section};

/// The flaws of one product.
#[derive(Debug)]
pub(super) struct Flaws<'a> {
    order: Scheme,
    /// Every version that bounds a range or may be a fix, oldest first; those that compare equal stand once.
    versions: Vec<&'a str>,
    flaws: Vec<Flaw>,
    /// The places of the versions that may be a fix, oldest first, and whether no later one mends more.
    candidates: Vec<Candidate>,
    /// Ids of advisories that bound the product by something that is no version.
    pub(super) undecided: BTreeSet<Arc<str>>,
}

#[derive(Clone, Debug)]
struct Flaw {
    id: Arc<str>,
    /// Whether the id stands for the product and names no flaw.
    of_product: bool,
    severity: Severity,
    exploited: Option<(Date, Option<Date>)>,
    likelihood: Option<f32>,
    ranges: Vec<Range<usize>>,
}

/// A range of affected versions, by texts or by places.
#[derive(Clone, Copy, Debug)]
struct Range<V> {
    introduced: Option<V>,
    fixed: Option<V>,
    last_affected: Option<V>,
    status: Status,
    published: Option<Date>,
}

#[derive(Clone, Debug)]
struct Candidate {
    at: usize,
    /// Nothing is open in it that a later candidate mends.
    whole: bool,
    /// The flaws that are open in it, by number.
    open: Vec<usize>,
}

/// What a version comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Judged {
    /// The worst verdict; nothing where no flaw is known.
    pub(super) verdict: Option<Verdict>,
    /// The vulnerabilities, or the advisories' own ids where they name none.
    pub(super) ids: Vec<Arc<str>>,
    pub(super) severity: Severity,
    pub(super) signals: Signals,
    /// The version that mends all that is mended.
    pub(super) fixed: Option<String>,
    /// The newest version that is known to have a flaw, where no advisory names one that mends it.
    pub(super) beyond: Option<String>,
}

/// Gathers what sections say, before versions are put into order.
pub(super) struct Gathering<'a> {
    order: Scheme,
    flaws: BTreeMap<Arc<str>, Gathered<'a>>,
    undecided: BTreeSet<Arc<str>>,
}

struct Gathered<'a> {
    of_product: bool,
    severity: Severity,
    exploited: Option<(Date, Option<Date>)>,
    likelihood: Option<f32>,
    ranges: Vec<Range<&'a str>>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(order: Scheme) -> Self {
        Self { order, flaws: BTreeMap::new(), undecided: BTreeSet::new() }
    }

    /// Takes in what a section says of a package.
    pub(super) fn add(&mut self, section: &Section<'a>, listed: &Package<'a>) {
        let versions = section.versions(listed);
        let text = |rank: Option<u16>| rank.and_then(|rank| versions.get(usize::from(rank)));
        for group in section.groups(listed) {
            if group.channel != Channel::Base {
                continue;
            }
            let range = Range {
                introduced: text(group.introduced),
                fixed: text(group.fixed),
                last_affected: text(group.last_affected),
                status: group.status,
                published: group.published(),
            };
            for number in section.members(&group) {
                let advisory = section.advisory(number);
                let mut named = section.cves(number).peekable();
                if named.peek().is_none() {
                    self.flaw(section, listed.name, number, range);
                    continue;
                }
                let published = range.published.or(advisory.published);
                for number in named {
                    self.flaw(section, listed.name, number, Range { published, ..range });
                }
            }
        }
    }

    fn flaw(
        &mut self,
        section: &Section<'a>,
        package: &str,
        number: u32,
        mut range: Range<&'a str>,
    ) {
        let advisory = section.advisory(number);
        let id = section.id(&advisory);
        range.published = range.published.or(advisory.published);
        let bounds = [range.introduced, range.fixed, range.last_affected];
        if bounds.into_iter().flatten().any(|bound| !is_ordered(bound)) {
            self.undecided.insert(id);
            return;
        }
        let of_product = id.rsplit(':').next() == Some(package);
        let flaw = self.flaws.entry(id).or_insert_with(|| Gathered {
            of_product,
            severity: Severity::Unknown,
            exploited: None,
            likelihood: None,
            ranges: Vec::new(),
        });
        flaw.severity = flaw.severity.max(advisory.severity);
        flaw.exploited = [flaw.exploited, section.exploited(number)].into_iter().flatten().min();
        flaw.likelihood =
            [flaw.likelihood, advisory.likelihood].into_iter().flatten().max_by(f32::total_cmp);
        flaw.ranges.push(range);
    }

    /// Puts everything into order; `branches` tells further versions that may be a fix.
    pub(super) fn finish(self, branches: &Branches<'a>) -> Flaws<'a> {
        let order = self.order;
        let ranges = || self.flaws.values().flat_map(|flaw| &flaw.ranges);
        let fixes = ranges().filter_map(|r| r.fixed).chain(branches.latest());
        let fixes: BTreeSet<&'a str> = fixes.filter(|v| is_ordered(v)).collect();
        let mut versions: Vec<&'a str> = ranges()
            .flat_map(|r| [r.introduced, r.last_affected])
            .flatten()
            .chain(fixes.iter().copied())
            .collect();
        // Of those that compare equal one stands for all: the shortest, as upstream tags it.
        versions.sort_unstable_by(|a, b| {
            order.compare_lenient(a, b).then_with(|| a.len().cmp(&b.len())).then_with(|| a.cmp(b))
        });
        versions.dedup_by(|b, a| order.compare_lenient(a, b) == Ordering::Equal);
        let place = |version: &str| {
            let at = versions.partition_point(|v| order.compare_lenient(v, version).is_lt());
            2 * at + 1
        };
        let mut flaws: Vec<Flaw> = Vec::with_capacity(self.flaws.len());
        for (id, flaw) in &self.flaws {
            let ranges = flaw.ranges.iter().map(|range| Range {
                introduced: range.introduced.map(place),
                fixed: range.fixed.map(place),
                last_affected: range.last_affected.map(place),
                status: range.status,
                published: range.published,
            });
            flaws.push(Flaw {
                id: Arc::clone(id),
                of_product: flaw.of_product,
                severity: flaw.severity,
                exploited: flaw.exploited,
                likelihood: flaw.likelihood,
                ranges: ranges.collect(),
            });
        }
        let places: BTreeSet<usize> = fixes.iter().map(|v| place(v)).collect();
        let candidates = candidates(&flaws, &places);
        Flaws { order, versions, flaws, candidates, undecided: self.undecided }
    }
}

/// Judges of each version that may be a fix what is open in it, and whether a later one mends more.
fn candidates(flaws: &[Flaw], places: &BTreeSet<usize>) -> Vec<Candidate> {
    let mut mended_later = vec![false; flaws.len()];
    let mut candidates: Vec<Candidate> = Vec::with_capacity(places.len());
    for &at in places.iter().rev() {
        let mut candidate = Candidate { at, whole: true, open: Vec::new() };
        for (number, (flaw, mended)) in flaws.iter().zip(&mut mended_later).enumerate() {
            if flaw.verdict(at).is_some() {
                candidate.whole &= !*mended;
                candidate.open.push(number);
            } else {
                *mended = true;
            }
        }
        candidates.push(candidate);
    }
    candidates.reverse();
    candidates
}

/// Tells whether a text can be put into the order of versions: names of development branches cannot.
fn is_ordered(version: &str) -> bool {
    let version = version.strip_prefix(['v', 'V']).unwrap_or(version);
    version.starts_with(|c: char| c.is_ascii_digit())
}

impl Flaw {
    /// Returns the worst that its ranges say of a place, if one holds there.
    fn verdict(&self, at: usize) -> Option<Verdict> {
        self.holding(at)
            .map(|range| {
                let fix = range.fixed.is_some();
                verdict::judge(range.status, fix, Position::Affected, Channel::Base, true)
            })
            .filter(|v| !matches!(v, Verdict::NotAffected | Verdict::Fixed))
            .reduce(verdict::worst)
    }

    fn holding(&self, at: usize) -> impl Iterator<Item = &Range<usize>> {
        self.ranges.iter().filter(move |range| {
            range.introduced.is_none_or(|from| from <= at)
                && range.fixed.is_none_or(|fixed| at < fixed)
                && range.last_affected.is_none_or(|last| at <= last)
        })
    }
}

impl Flaws<'_> {
    /// Tells whether no flaw is known at all.
    pub(super) fn is_empty(&self) -> bool {
        self.flaws.is_empty()
    }

    /// Tells whether a version can be put into the product's order.
    pub(super) fn can_tell(&self, version: &str) -> bool {
        is_ordered(version) && self.order.is_valid(version)
    }

    /// Judges a version that can be told.
    pub(super) fn judge(&self, version: &str, branches: &Branches<'_>, today: Date) -> Judged {
        let below =
            self.versions.partition_point(|v| self.order.compare_lenient(v, version).is_lt());
        let equal = self
            .versions
            .get(below)
            .is_some_and(|v| self.order.compare_lenient(v, version).is_eq());
        let at = 2 * below + usize::from(equal);
        let later =
            self.candidates.get(self.candidates.partition_point(|c| c.at <= at)..).unwrap_or(&[]);
        let mut judged = Judged::default();
        let mut of_product: Vec<Arc<str>> = Vec::new();
        let mut newest = None;
        let mut is_any_mended = false;
        for (number, flaw) in self.flaws.iter().enumerate() {
            let Some(said) = flaw.verdict(at) else { continue };
            // A later release that does not have the flaw mends it, whether an advisory calls it the fix or not.
            let mended = later.iter().any(|c| c.open.binary_search(&number).is_err());
            // Nor does one where another range calls it open still: two sources may contradict each other.
            // Upstream went on from here, whatever it mended: what is owed is to follow.
            let last = flaw.holding(at).filter_map(|range| range.last_affected).max();
            let beyond = last.filter(|last| !mended && *last > at);
            let verdict = match said {
                _ if mended => Verdict::Missing,
                Verdict::Missing | Verdict::NoFix if beyond.is_some() => Verdict::Missing,
                Verdict::Missing => Verdict::NoFix,
                said => said,
            };
            newest = newest.max(beyond);
            is_any_mended |= mended;
            judged.verdict = Some(judged.verdict.map_or(verdict, |v| verdict::worst(v, verdict)));
            judged.severity = judged.severity.max(flaw.severity);
            let signals = &mut judged.signals;
            signals.exploited = [signals.exploited, flaw.exploited].into_iter().flatten().min();
            signals.likelihood =
                [signals.likelihood, flaw.likelihood].into_iter().flatten().max_by(f32::total_cmp);
            let published = flaw.holding(at).filter_map(|range| range.published).min();
            signals.published = [signals.published, published].into_iter().flatten().min();
            let ids = if flaw.of_product { &mut of_product } else { &mut judged.ids };
            ids.push(Arc::clone(&flaw.id));
        }
        // A record that stands for the whole product tells no flaw beside those that are named.
        if judged.ids.is_empty() {
            judged.ids = of_product;
        }
        judged.ids.sort_by_cached_key(|id| newest_first(id));
        if judged.verdict == Some(Verdict::Missing) {
            if is_any_mended {
                judged.fixed = self.fix(version, later, branches, today).map(str::to_owned);
            }
            let newest = newest.and_then(|at: usize| self.versions.get(at / 2));
            judged.beyond = newest.map(|version| (*version).to_owned());
        }
        judged
    }

    /// Returns the version to go to: of the own branch if one mends all, else of a supported branch, else of any.
    fn fix(
        &self,
        version: &str,
        later: &[Candidate],
        branches: &Branches<'_>,
        today: Date,
    ) -> Option<&str> {
        let text = |c: &Candidate| self.versions.get(c.at / 2).copied();
        let whole: Vec<&str> = later.iter().filter(|c| c.whole).filter_map(text).collect();
        let first = |is: &dyn Fn(&str) -> bool| whole.iter().find(|v| is(v)).copied();
        if let Some(own) = branches.branch(version) {
            let supported = branches.supported(today);
            return first(&|v| branches.branch(v) == Some(own))
                .or_else(|| first(&|v| supported.iter().any(|line| is_within(&line.version, v))))
                .or_else(|| first(&|_| true));
        }
        // Without a calendar branches are told by the first two numbers, then by the first.
        [2, 1]
            .into_iter()
            .find_map(|parts| first(&|v| numbers(v, parts) == numbers(version, parts)))
            .or_else(|| first(&|_| true))
    }
}

/// Returns the first numbers of a version.
fn numbers(version: &str, count: usize) -> Vec<&str> {
    version.split(|c: char| !c.is_ascii_digit()).take(count).collect()
}

/// Orders CVEs by year and number, the newest first, and everything else behind them.
fn newest_first(id: &str) -> (bool, std::cmp::Reverse<(u32, u64)>, String) {
    let cve = id.strip_prefix("CVE-").and_then(|rest| rest.split_once('-'));
    let numbers = cve.and_then(|(year, number)| Some((year.parse().ok()?, number.parse().ok()?)));
    (numbers.is_none(), std::cmp::Reverse(numbers.unwrap_or_default()), id.to_owned())
}
