//! Holds a server's packages against one release's advisories.
//!
//! By source package where the distributor's advisories name sources (dpkg, apk), by binary package where they name
//! those (rpm). Each channel of a release is judged by itself, then the channels are joined: that is the two-pass rule
//! of Ubuntu Pro. Kernels are judged as up to three objects (running, installed, next boot). No image that is merely
//! left over counts, and no package of headers is a kernel.

pub mod applications;
mod archived;
mod flaws;
mod installed;
mod lines;
mod modules;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use muster_core::action;
use muster_core::advisory::{By, Channel, Status};
use muster_core::fact::{Database, Facts, Obstacle, Package};
use muster_core::finding::{
    About, AdvisoryFinding, Concerned, Finding, Fix, KernelObject, Patch, Rule,
};
use muster_core::time::Date;
use muster_core::verdict::{self, Position, Verdict};

use crate::section::{Group, Package as Listed, Section, Versions};
use installed::{Installed, Role, Unit};

pub use installed::kernel_release;

/// What came of it.
#[derive(Debug, Default)]
pub struct Matched {
    /// One finding for each advisory and source package, then those on kernel lines and on the security archive.
    pub findings: Vec<Finding>,
    /// What could not be judged.
    pub obstacles: Vec<Obstacle>,
}

/// Judges every package of `facts` by `section`, the kernel lines, and what lies in the release's security archive; `all`
/// also tells what is fixed or not affected.
pub fn judge(section: &Section<'_>, database: Database, facts: &Facts, all: bool) -> Matched {
    let installed = Installed::of(database, facts);
    let server = Server { database, granted: granted(facts), all };
    let mut matched = Matched::default();
    for (source, units) in &installed.by_source {
        let metas = installed.metas.get(source).map_or(&[][..], |metas| metas);
        let mut judging = Judging::of(section, &server, source, metas);
        if let Some(listed) = section.package(source, By::Source) {
            judging.package(&listed, units, By::Source);
        }
        if database == Database::Rpm {
            let mut by_name: BTreeMap<&str, Vec<Unit<'_>>> = BTreeMap::new();
            for unit in units {
                by_name.entry(&unit.package.name).or_default().push(unit.clone());
            }
            for (name, units) in &by_name {
                if let Some(listed) = section.package(name, By::Binary) {
                    judging.package(&listed, units, By::Binary);
                }
            }
        }
        judging.finish(&mut matched.findings);
        matched.obstacles.extend(fips_obstacle(source, units));
    }
    if database == Database::Rpm {
        matched.obstacles.extend(modules::unspoken(section, facts));
    }
    matched.findings.extend(lines::kernel_lines(section, database, &installed));
    matched.findings.extend(archived::archived(section, database, facts));
    matched
}

/// Returns the channels that the server's subscription grants.
fn granted(facts: &Facts) -> Vec<Channel> {
    let services = facts.subscription.found().map_or(&[][..], |s| &s.services);
    Channel::ALL.into_iter().filter(|c| services.iter().any(|s| s == c.name())).collect()
}

/// A build for FIPS has versions of its own: only its own advisories are held against it, and that is said.
fn fips_obstacle(source: &str, units: &[Unit<'_>]) -> Option<Obstacle> {
    let unit = units.iter().find(|u| is_fips(&u.source_version))?;
    Some(Obstacle::new(
        format!("{source} {}", unit.source_version),
        "is a FIPS build: only FIPS advisories were held against it, those of the release itself do not speak of it",
    ))
}

/// What of the server holds for every package.
struct Server {
    database: Database,
    granted: Vec<Channel>,
    all: bool,
}

/// What was judged of one advisory and one source package.
#[derive(Clone, Debug)]
struct Outcome {
    advisory: u32,
    verdict: Verdict,
    /// The group that decided, by its number in the judging.
    decided: u32,
    /// The class of packages that it holds for, and further ones.
    class: u32,
    more: Vec<u32>,
}

/// The group that decided, as far as a finding tells of it.
#[derive(Clone, Copy, Debug)]
struct Decided<'a> {
    channel: Channel,
    fixed: Option<&'a str>,
    word: &'a str,
    published: Option<Date>,
}

/// A verdict on one version, and the group that gave it.
type Provisional = (Verdict, u32);

/// Packages of one source that share a version and a module stream: they share every verdict.
struct Class {
    packages: Vec<Concerned>,
    kernel: bool,
    code: bool,
    objects: Arc<[KernelObject]>,
    /// The command that brings them up to date.
    upgrade: OnceCell<Arc<str>>,
}

impl Class {
    fn of(units: &[&Unit<'_>]) -> Self {
        let objects = units.iter().flat_map(|unit| match &unit.role {
            Role::Kernel(objects) => &objects[..],
            Role::Code | Role::Headers => &[],
        });
        Self::new(
            units.iter().map(|unit| Concerned::new(unit.package, None)).collect(),
            objects.copied().collect(),
            units.iter().any(|unit| matches!(unit.role, Role::Kernel(_))),
            units.iter().any(|unit| unit.role == Role::Code),
        )
    }

    /// Returns one class of all the packages of several.
    fn join(classes: &[&Self]) -> Self {
        Self::new(
            classes.iter().flat_map(|class| class.packages.iter().cloned()).collect(),
            classes.iter().flat_map(|class| class.objects.iter().copied()).collect(),
            classes.iter().any(|class| class.kernel),
            classes.iter().any(|class| class.code),
        )
    }

    fn new(
        mut packages: Vec<Concerned>,
        mut objects: Vec<KernelObject>,
        kernel: bool,
        code: bool,
    ) -> Self {
        packages.sort_unstable();
        packages.dedup();
        objects.sort_unstable();
        objects.dedup();
        Self { packages, kernel, code, objects: objects.into(), upgrade: OnceCell::new() }
    }

    fn upgrade(&self, database: Database, metas: &[&Package]) -> Arc<str> {
        Arc::clone(self.upgrade.get_or_init(|| {
            if !self.kernel || database != Database::Dpkg {
                return action::upgrade(database, &self.packages).into();
            }
            // A newer kernel of dpkg's is another package: the one that depends on the newest brings it.
            if metas.is_empty() {
                return "install the newest kernel image of this line, then reboot".into();
            }
            let metas: Vec<Concerned> = metas.iter().map(|p| Concerned::new(p, None)).collect();
            action::upgrade(database, &metas).into()
        }))
    }
}

/// What is made once for the findings that one update closes.
struct Shared {
    patch: Arc<Patch>,
    action: Arc<str>,
    /// The title of the latest of them, and the number of vulnerabilities that it speaks of.
    title: Option<(usize, Arc<str>)>,
}

/// The judging of one source package.
struct Judging<'j, 'a> {
    section: &'j Section<'a>,
    server: &'j Server,
    source: &'j str,
    metas: &'j [&'j Package],
    decided: Vec<Decided<'a>>,
    classes: Vec<Class>,
    /// In the order in which they came about; then one for each advisory, in the order of their numbers.
    outcomes: Vec<Outcome>,
}

impl<'j, 'a> Judging<'j, 'a> {
    fn of(
        section: &'j Section<'a>,
        server: &'j Server,
        source: &'j str,
        metas: &'j [&'j Package],
    ) -> Self {
        Self {
            section,
            server,
            source,
            metas,
            decided: Vec::new(),
            classes: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    /// Judges the installed packages that one entry of the release names, by their own version or their source's.
    fn package(&mut self, listed: &Listed<'a>, units: &[Unit<'_>], by: By) {
        let mut classes: BTreeMap<(&str, Option<&str>), Vec<&Unit<'_>>> = BTreeMap::new();
        for unit in units.iter().filter(|u| u.role != Role::Kernel(Vec::new())) {
            let version =
                if by == By::Source { &unit.source_version } else { unit.package.version.as_str() };
            classes.entry((version, unit.package.module.as_deref())).or_default().push(unit);
        }
        for ((version, module), units) in classes {
            let class = number(self.classes.len());
            self.classes.push(Class::of(&units));
            self.version(listed, version, module, class);
        }
    }

    /// Numbers a group, so that outcomes can name it.
    fn decide(&mut self, group: &Group, versions: &Versions<'a>) -> u32 {
        let word = self.section.word_of(group);
        self.decided.push(Decided {
            channel: group.channel,
            fixed: group.fixed.and_then(|rank| versions.get(usize::from(rank))),
            word: if word.is_empty() { status_word(group.status) } else { word },
            published: group.published(),
        });
        number(self.decided.len() - 1)
    }

    /// Judges one installed version by all groups of its package: ranges within a channel, then the channels.
    fn version(&mut self, listed: &Listed<'a>, version: &str, module: Option<&str>, class: u32) {
        let section = self.section;
        let versions = section.versions(listed);
        let place = Place::of(self.server.database, &versions, version);
        let module = module.filter(|label| !label.is_empty());
        let is_modular = module.is_some() || version.contains(".module");
        let applies = |group: &Group| {
            is_fips_channel(group.channel) == place.fips
                && is_of_module(section.module_of(group), module, is_modular)
        };
        let groups: Vec<Group> = section.groups(listed).filter(applies).collect();
        if groups.iter().all(|group| Some(group.channel) == groups.first().map(|g| g.channel)) {
            for group in &groups {
                let verdict = self.verdict(group, &place);
                // Within a channel a range that does not hold never undoes one that does.
                if self.server.all || is_open(verdict) {
                    let decided = self.decide(group, &versions);
                    for advisory in section.members(group) {
                        self.add(advisory, (verdict, decided), class);
                    }
                }
            }
            return;
        }
        let mut joined: HashMap<u32, Provisional> = HashMap::new();
        for channel in groups.chunk_by(|a, b| a.channel == b.channel) {
            let mut within: HashMap<u32, Provisional> = HashMap::new();
            for group in channel {
                let new = (self.verdict(group, &place), self.decide(group, &versions));
                for advisory in section.members(group) {
                    within
                        .entry(advisory)
                        .and_modify(|old| *old = choose(*old, new, verdict::worst))
                        .or_insert(new);
                }
            }
            for (advisory, new) in within {
                joined
                    .entry(advisory)
                    .and_modify(|old| *old = choose(*old, new, verdict::join))
                    .or_insert(new);
            }
        }
        for (advisory, provisional) in joined {
            if self.server.all || is_open(provisional.0) {
                self.add(advisory, provisional, class);
            }
        }
    }

    fn verdict(&self, group: &Group, place: &Place) -> Verdict {
        let granted =
            group.channel == Channel::Base || self.server.granted.contains(&group.channel);
        verdict::judge(
            group.status,
            group.fixed.is_some(),
            place.position(group),
            group.channel,
            granted,
        )
    }

    fn add(&mut self, advisory: u32, (verdict, decided): Provisional, class: u32) {
        self.outcomes.push(Outcome { advisory, verdict, decided, class, more: Vec::new() });
    }

    /// Makes one outcome of those that several versions of a package came to.
    fn merge(&mut self) {
        self.outcomes.sort_by_key(|outcome| outcome.advisory);
        self.outcomes.dedup_by(|new, outcome| {
            if new.advisory != outcome.advisory {
                return false;
            }
            let worst = verdict::worst(outcome.verdict, new.verdict);
            if worst != outcome.verdict {
                // What a milder verdict gathered is not what the finding is about.
                std::mem::swap(outcome, new);
            } else if new.verdict == worst
                && outcome.class != new.class
                && outcome.more.last() != Some(&new.class)
            {
                outcome.more.push(new.class);
            }
            true
        });
    }

    fn finish(mut self, findings: &mut Vec<Finding>) {
        self.merge();
        let covered = self.covered();
        let source: Arc<str> = self.source.into();
        let mut shared: HashMap<(u32, u32), Shared> = HashMap::new();
        findings.reserve(self.outcomes.len());
        for outcome in self.outcomes.iter().filter(|o| !covered.contains(&o.advisory)) {
            findings.push(if outcome.more.is_empty() {
                let common = shared
                    .entry((outcome.decided, outcome.class))
                    .or_insert_with(|| self.shared(&source, outcome));
                self.finding(outcome, common)
            } else {
                self.finding(outcome, &mut self.shared(&source, outcome))
            });
        }
    }

    /// Returns the vulnerabilities that a notice of the same package speaks for: missing with it, or mended with it.
    fn covered(&self) -> HashSet<u32> {
        let is_missing = |v: Verdict| matches!(v, Verdict::Missing | Verdict::MissingSubscription);
        let mut covered = HashSet::new();
        for outcome in &self.outcomes {
            for cve in self.section.cves(outcome.advisory) {
                let alone = self.outcomes.binary_search_by_key(&cve, |o| o.advisory).ok();
                let alone = alone.and_then(|at| self.outcomes.get(at)).map(|o| o.verdict);
                let same = |v: Verdict| {
                    v == outcome.verdict || (is_missing(v) && is_missing(outcome.verdict))
                };
                if alone.is_some_and(same) {
                    covered.insert(cve);
                }
            }
        }
        covered
    }

    fn shared(&self, source: &Arc<str>, outcome: &Outcome) -> Shared {
        let named = std::iter::once(&outcome.class).chain(&outcome.more);
        let classes: Vec<&Class> =
            named.filter_map(|class| self.classes.get(*class as usize)).collect();
        match classes[..] {
            [class] => self.shared_by(source, outcome, class),
            _ => self.shared_by(source, outcome, &Class::join(&classes)),
        }
    }

    fn shared_by(&self, source: &Arc<str>, outcome: &Outcome, class: &Class) -> Shared {
        let decided = self.decided_by(outcome);
        let fixed: Option<Arc<str>> = decided.fixed.map(Arc::from);
        let packages = class.packages.iter();
        let patch = Patch {
            source: Arc::clone(source),
            packages: packages
                .map(|concerned| Concerned { fixed: fixed.clone(), ..concerned.clone() })
                .collect(),
            fix: match outcome.verdict {
                Verdict::Missing => Fix::Here,
                Verdict::MissingSubscription => Fix::Subscription,
                _ => Fix::None,
            },
            channel: decided.channel,
            kernel: class.kernel,
            of: Arc::clone(&class.objects),
            headers_only: !class.kernel && !class.code,
            word: decided.word.into(),
            rule: rule(self.server.database, class.kernel),
        };
        Shared {
            patch: Arc::new(patch),
            action: self.action(outcome.verdict, decided.channel, class),
            title: None,
        }
    }

    fn decided_by(&self, outcome: &Outcome) -> Decided<'a> {
        *self
            .decided
            .get(outcome.decided as usize)
            .expect("an outcome names a group that was numbered")
    }

    fn finding(&self, outcome: &Outcome, shared: &mut Shared) -> Finding {
        let advisory = self.section.advisory(outcome.advisory);
        let id = self.section.id(&advisory);
        let (mut severity, mut likelihood) = (advisory.severity, advisory.likelihood);
        let mut exploited = self.section.exploited(outcome.advisory);
        let mut cves = Vec::new();
        for member in self.section.cves(outcome.advisory) {
            let flaw = self.section.advisory(member);
            severity = severity.max(flaw.severity);
            likelihood = [likelihood, flaw.likelihood].into_iter().flatten().max_by(f32::total_cmp);
            exploited = [exploited, self.section.exploited(member)].into_iter().flatten().min();
            cves.push(self.section.id(&flaw));
        }
        if !advisory.notice && id.starts_with("CVE-") {
            cves.push(Arc::clone(&id));
        }
        let decided = self.decided_by(outcome);
        let title = match &shared.title {
            Some((count, title)) if *count == cves.len() => Arc::clone(title),
            _ => {
                title(self.source, outcome.verdict, cves.len(), decided, shared.patch.headers_only)
            }
        };
        shared.title = Some((cves.len(), Arc::clone(&title)));
        Finding {
            title,
            action: Arc::clone(&shared.action),
            id,
            verdict: outcome.verdict,
            severity,
            about: About::Advisory(AdvisoryFinding {
                cves,
                patch: Arc::clone(&shared.patch),
                published: decided.published.or(advisory.published),
                exploited,
                likelihood,
            }),
        }
    }

    fn action(&self, verdict: Verdict, channel: Channel, class: &Class) -> Arc<str> {
        if *class.objects == [KernelObject::Running] {
            return "reboot into the kernel that is installed".into();
        }
        let upgrade = || class.upgrade(self.server.database, self.metas);
        match verdict {
            Verdict::Missing => upgrade(),
            Verdict::MissingSubscription => {
                let subscription = channel.subscription().unwrap_or("the subscription");
                format!("attach {subscription}, then {}", upgrade()).into()
            }
            Verdict::NoFix => "no fix yet: limit who can reach it".into(),
            Verdict::WontFix => {
                "the vendor will not fix it: remove the package, or limit who can reach it".into()
            }
            Verdict::EndOfSupport => {
                "nobody fixes it for this release any more: upgrade the release, or remove the package".into()
            }
            Verdict::Unknown => "the vendor cannot tell: treat it as affected".into(),
            Verdict::Fixed | Verdict::NotAffected | Verdict::Owed => "".into(),
        }
    }
}

/// Where an installed version stands among the versions that a package's groups speak of.
struct Place {
    /// How many of them are older.
    below: usize,
    /// Whether the next one is the installed version itself.
    equal: bool,
    fips: bool,
}

impl Place {
    fn of(database: Database, versions: &Versions<'_>, version: &str) -> Self {
        let scheme = database.scheme();
        let version = same_build(database, versions, version);
        let below = versions.partition_point(|v| scheme.compare_lenient(v, version).is_lt());
        let equal = versions.get(below).is_some_and(|v| scheme.compare_lenient(v, version).is_eq());
        Self { below, equal, fips: is_fips(version) }
    }

    fn is(&self, rank: u16) -> bool {
        usize::from(rank) == self.below && self.equal
    }

    fn at_least(&self, rank: u16) -> bool {
        usize::from(rank) < self.below || self.is(rank)
    }

    fn position(&self, group: &Group) -> Position {
        if group.introduced.is_some_and(|rank| !self.at_least(rank)) {
            Position::Outside
        } else if group.fixed.is_some_and(|rank| self.at_least(rank)) {
            Position::Mended
        } else if group.last_affected.is_some_and(|rank| self.at_least(rank) && !self.is(rank)) {
            Position::Outside
        } else {
            Position::Affected
        }
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("a section of at most 64 MB numbers its groups in 32 bits")
}

fn is_open(verdict: Verdict) -> bool {
    !matches!(verdict, Verdict::Fixed | Verdict::NotAffected)
}

fn choose(old: Provisional, new: Provisional, by: fn(Verdict, Verdict) -> Verdict) -> Provisional {
    if by(old.0, new.0) == old.0 { old } else { new }
}

fn title(
    source: &str,
    verdict: Verdict,
    cves: usize,
    decided: Decided<'_>,
    headers_only: bool,
) -> Arc<str> {
    let mut title = String::with_capacity(
        source.len() + decided.word.len().max(decided.fixed.unwrap_or_default().len()) + 64,
    );
    title.push_str(source);
    let flaws = match cves {
        0 => write!(title, ": a flaw"),
        1 => write!(title, ": 1 CVE"),
        n => write!(title, ": {n} CVEs"),
    };
    let rest = match (verdict, decided.fixed) {
        (Verdict::Missing, Some(fixed)) => write!(title, " fixed in {fixed}"),
        (Verdict::MissingSubscription, Some(fixed)) => {
            write!(title, " fixed in {fixed}, by subscription only")
        }
        (Verdict::Fixed, _) => write!(title, ", fixed here"),
        (Verdict::NotAffected, _) => write!(title, ", not affected"),
        _ => write!(title, ", {}", decided.word),
    };
    flaws.and(rest).expect("a string takes text");
    if headers_only {
        title.push_str(" (headers only)");
    }
    title.into()
}

fn rule(database: Database, kernel: bool) -> Rule {
    match (database, kernel) {
        (Database::Dpkg, false) => Rule::DpkgSource,
        (Database::Dpkg, true) => Rule::DpkgKernel,
        (Database::Rpm, false) => Rule::RpmBinary,
        (Database::Rpm, true) => Rule::RpmKernel,
        (Database::Apk, _) => Rule::ApkOrigin,
    }
}

/// Returns the version that a feed means when it names the installed build with another epoch.
///
/// The file names of an archive leave the epoch out, so no archive holds two builds that differ in nothing else: a fix
/// in `1:1.0-2` is the build `1.0-2` that is installed, and the epoch was mistaken in one of the two places. The
/// versions are in order: where the first and the last have the epoch of the installed one, so have all.
fn same_build<'v>(database: Database, versions: &Versions<'v>, version: &'v str) -> &'v str {
    fn parts(version: &str) -> (&str, &str) {
        version.split_once(':').unwrap_or(("0", version))
    }
    let (epoch, build) = parts(version);
    let other_epoch = |v: Option<&str>| v.is_some_and(|v| parts(v).0 != epoch);
    if database != Database::Dpkg
        || !build.contains('-')
        || !(other_epoch(versions.get(0))
            || other_epoch(versions.get(versions.len().wrapping_sub(1))))
    {
        return version;
    }
    versions.iter().find(|v| parts(v).1 == build).unwrap_or(version)
}

/// Returns the field's word for a status that came without one of the vendor's own.
fn status_word(status: Status) -> &'static str {
    match status {
        Status::Affected => "affected, no fix yet",
        Status::Fixed => "fixed",
        Status::Needed => "needed",
        Status::NeedsTriage => "needs-triage",
        Status::Pending => "pending",
        Status::Deferred => "deferred",
        Status::Ignored => "ignored",
        Status::EndOfLife => "end of life",
        Status::NotAffected => "not affected",
        Status::DoesNotExist => "does not exist",
        Status::Undetermined => "undetermined",
    }
}

fn is_fips(version: &str) -> bool {
    version.as_bytes().windows(4).any(|part| part.eq_ignore_ascii_case(b"fips"))
}

fn is_fips_channel(channel: Channel) -> bool {
    matches!(channel, Channel::Fips | Channel::FipsUpdates | Channel::FipsPreview)
}

/// Tells whether a statement about a module stream speaks of the installed package: streams are products of their own.
fn is_of_module(stated: Option<&str>, label: Option<&str>, is_modular: bool) -> bool {
    match stated {
        None => !is_modular,
        Some("?") => is_modular,
        Some(stream) => match label {
            Some(label) => label
                .strip_prefix(stream)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(':')),
            None => is_modular,
        },
    }
}
