//! Holds a server's packages against one release's advisories.
//!
//! By source package where the distributor's advisories name sources (dpkg, apk), by binary package where they name
//! those (rpm). Each channel of a release is judged by itself, then the channels are joined: that is the two-pass rule
//! of Ubuntu Pro. Kernels are judged as up to three objects (running, installed, next boot). No image that is merely
//! left over counts, and no package of headers is a kernel.

mod archived;
mod installed;
mod lines;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use muster_core::action;
use muster_core::advisory::{By, Channel, Status};
use muster_core::fact::{Database, Facts, Obstacle, Package};
use muster_core::finding::{About, AdvisoryFinding, Concerned, Finding, Fix, KernelObject, Rule};
use muster_core::time::Date;
use muster_core::verdict::{self, Position, Verdict};

use crate::section::{Group, Package as Listed, Section};
use installed::{Installed, Role, Unit};

pub use archived::archived;
pub use installed::kernel_release;
pub use lines::kernel_lines;

/// What came of it.
#[derive(Debug, Default)]
pub struct Matched {
    /// One finding for each advisory and source package.
    pub findings: Vec<Finding>,
    /// What could not be judged.
    pub obstacles: Vec<Obstacle>,
}

/// Judges every package of `facts` by `section`; `all` also tells what is fixed or not affected.
pub fn judge(section: &Section<'_>, database: Database, facts: &Facts, all: bool) -> Matched {
    let installed = Installed::of(database, facts);
    let server = Server { database, granted: granted(facts), all };
    let mut matched = Matched::default();
    for (source, units) in &installed.by_source {
        let mut judging = Judging::of(section, &server, source);
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
struct Class<'f> {
    packages: Vec<&'f Package>,
    kernel: bool,
    code: bool,
    objects: BTreeSet<KernelObject>,
}

impl<'f> Class<'f> {
    fn of(units: &[&Unit<'f>]) -> Self {
        let mut class =
            Self { packages: Vec::new(), kernel: false, code: false, objects: BTreeSet::new() };
        for unit in units {
            class.packages.push(unit.package);
            match &unit.role {
                Role::Kernel(objects) => {
                    class.kernel = true;
                    class.objects.extend(objects);
                }
                Role::Code => class.code = true,
                Role::Headers => {}
            }
        }
        class
    }
}

/// What the findings that one update closes have in common.
#[derive(Clone)]
struct Shared {
    packages: Arc<[Concerned]>,
    action: Arc<str>,
    word: Arc<str>,
    kernel: bool,
    code: bool,
    objects: Vec<KernelObject>,
}

/// The judging of one source package.
struct Judging<'j, 'a, 'f> {
    section: &'j Section<'a>,
    server: &'j Server,
    source: &'j str,
    decided: Vec<Decided<'a>>,
    classes: Vec<Class<'f>>,
    outcomes: HashMap<u32, Outcome>,
}

impl<'j, 'a, 'f> Judging<'j, 'a, 'f> {
    fn of(section: &'j Section<'a>, server: &'j Server, source: &'j str) -> Self {
        Self {
            section,
            server,
            source,
            decided: Vec::new(),
            classes: Vec::new(),
            outcomes: HashMap::new(),
        }
    }

    /// Judges the installed packages that one entry of the release names, by their own version or their source's.
    fn package(&mut self, listed: &Listed<'a>, units: &[Unit<'f>], by: By) {
        let versions = self.section.versions(listed);
        let groups: Vec<(Group<'a>, u32)> = self
            .section
            .groups(listed)
            .map(|group| (group, self.decide(&group, &versions)))
            .collect();
        let mut classes: BTreeMap<(&str, Option<&str>), Vec<&Unit<'f>>> = BTreeMap::new();
        for unit in units.iter().filter(|u| u.role != Role::Kernel(Vec::new())) {
            let version =
                if by == By::Source { &unit.source_version } else { unit.package.version.as_str() };
            classes.entry((version, unit.package.module.as_deref())).or_default().push(unit);
        }
        for ((version, module), units) in classes {
            let class = number(self.classes.len());
            self.classes.push(Class::of(&units));
            self.version(&groups, &versions, version, module, class);
        }
    }

    /// Numbers a group, so that outcomes can name it.
    fn decide(&mut self, group: &Group<'a>, versions: &[&'a str]) -> u32 {
        self.decided.push(Decided {
            channel: group.channel,
            fixed: group.fixed.and_then(|rank| versions.get(usize::from(rank)).copied()),
            word: if group.word.is_empty() { status_word(group.status) } else { group.word },
            published: group.published,
        });
        number(self.decided.len() - 1)
    }

    /// Judges one installed version by all groups of its package: ranges within a channel, then the channels.
    fn version(
        &mut self,
        groups: &[(Group<'a>, u32)],
        versions: &[&'a str],
        version: &str,
        module: Option<&str>,
        class: u32,
    ) {
        let place = Place::of(self.server.database, versions, version);
        let applies = |group: &Group<'_>| {
            is_fips_channel(group.channel) == place.fips
                && is_of_module(group.module, module, version)
        };
        let applying = || groups.iter().filter(|(group, _)| applies(group));
        let one_channel = applying().all(|(group, _)| {
            Some(group.channel) == applying().next().map(|(first, _)| first.channel)
        });
        if one_channel {
            for (group, decided) in applying() {
                let verdict = self.verdict(group, &place);
                // Within a channel a range that does not hold never undoes one that does.
                if self.server.all || is_open(verdict) {
                    self.section
                        .members(group)
                        .for_each(|advisory| self.add(advisory, (verdict, *decided), class));
                }
            }
            return;
        }
        let mut joined: HashMap<u32, Provisional> = HashMap::new();
        for channel in groups.chunk_by(|(a, _), (b, _)| a.channel == b.channel) {
            let mut within: HashMap<u32, Provisional> = HashMap::new();
            for (group, decided) in channel.iter().filter(|(group, _)| applies(group)) {
                let new = (self.verdict(group, &place), *decided);
                for advisory in self.section.members(group) {
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

    fn verdict(&self, group: &Group<'a>, place: &Place) -> Verdict {
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
        let new = Outcome { verdict, decided, class, more: Vec::new() };
        let outcome = self.outcomes.entry(advisory).or_insert_with(|| new.clone());
        let worst = verdict::worst(outcome.verdict, verdict);
        if worst != outcome.verdict {
            // What a milder verdict gathered is not what the finding is about.
            *outcome = new;
        } else if verdict == worst && outcome.class != class && outcome.more.last() != Some(&class)
        {
            outcome.more.push(class);
        }
    }

    fn finish(self, findings: &mut Vec<Finding>) {
        let covered = self.covered();
        let mut advisories: Vec<u32> =
            self.outcomes.keys().copied().filter(|a| !covered.contains(a)).collect();
        advisories.sort_unstable();
        let source: Arc<str> = self.source.into();
        let mut shared: HashMap<(u32, u32), Shared> = HashMap::new();
        for advisory in advisories {
            let Some(outcome) = self.outcomes.get(&advisory) else { continue };
            let common = if outcome.more.is_empty() {
                shared
                    .entry((outcome.decided, outcome.class))
                    .or_insert_with(|| self.shared(outcome))
                    .clone()
            } else {
                self.shared(outcome)
            };
            findings.push(self.finding(&source, advisory, outcome, common));
        }
    }

    /// Returns the vulnerabilities that a notice of the same package speaks for: missing with it, or mended with it.
    fn covered(&self) -> HashSet<u32> {
        let is_missing = |v: Verdict| matches!(v, Verdict::Missing | Verdict::MissingSubscription);
        let mut covered = HashSet::new();
        for (notice, outcome) in &self.outcomes {
            for cve in self.section.cves(*notice) {
                let alone = self.outcomes.get(&cve).map(|o| o.verdict);
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

    fn shared(&self, outcome: &Outcome) -> Shared {
        let decided = self.decided_by(outcome);
        let classes = || {
            std::iter::once(&outcome.class)
                .chain(&outcome.more)
                .filter_map(|c| self.classes.get(*c as usize))
        };
        let mut packages: Vec<Concerned> = classes()
            .flat_map(|class| &class.packages)
            .map(|p| concerned(p, decided.fixed))
            .collect();
        packages.sort();
        packages.dedup();
        let objects: BTreeSet<KernelObject> =
            classes().flat_map(|class| class.objects.iter().copied()).collect();
        Shared {
            action: self.action(outcome.verdict, decided.channel, &packages, &objects).into(),
            packages: packages.into(),
            word: decided.word.into(),
            kernel: classes().any(|class| class.kernel),
            code: classes().any(|class| class.code),
            objects: objects.into_iter().collect(),
        }
    }

    fn decided_by(&self, outcome: &Outcome) -> Decided<'a> {
        *self
            .decided
            .get(outcome.decided as usize)
            .expect("an outcome names a group that was numbered")
    }

    fn finding(
        &self,
        source: &Arc<str>,
        number: u32,
        outcome: &Outcome,
        shared: Shared,
    ) -> Finding {
        let advisory = self.section.advisory(number);
        let id = self.section.id(&advisory);
        let (mut severity, mut likelihood) = (advisory.severity, advisory.likelihood);
        let mut exploited = self.section.exploited(number);
        let mut cves = Vec::new();
        for member in self.section.cves(number) {
            let flaw = self.section.advisory(member);
            severity = severity.max(flaw.severity);
            likelihood = [likelihood, flaw.likelihood].into_iter().flatten().max_by(f32::total_cmp);
            exploited = [exploited, self.section.exploited(member)].into_iter().flatten().min();
            cves.push(self.section.id(&flaw));
        }
        if !advisory.notice && id.starts_with("CVE-") {
            cves.push(id.clone());
        }
        let decided = self.decided_by(outcome);
        let headers_only = !shared.kernel && !shared.code;
        Finding {
            title: title(self.source, outcome.verdict, cves.len(), decided, headers_only),
            action: shared.action,
            id,
            verdict: outcome.verdict,
            severity,
            about: About::Advisory(AdvisoryFinding {
                cves,
                source: Arc::clone(source),
                packages: shared.packages,
                fix: match outcome.verdict {
                    Verdict::Missing => Fix::Here,
                    Verdict::MissingSubscription => Fix::Subscription,
                    _ => Fix::None,
                },
                channel: decided.channel,
                kernel: shared.kernel,
                of: shared.objects,
                headers_only,
                published: decided.published.or(advisory.published),
                exploited,
                likelihood,
                word: shared.word,
                rule: rule(self.server.database, shared.kernel),
            }),
        }
    }

    fn action(
        &self,
        verdict: Verdict,
        channel: Channel,
        packages: &[Concerned],
        objects: &BTreeSet<KernelObject>,
    ) -> Cow<'static, str> {
        if objects.len() == 1 && objects.contains(&KernelObject::Running) {
            return "reboot into the kernel that is installed".into();
        }
        let upgrade = || action::upgrade(self.server.database, packages);
        match verdict {
            Verdict::Missing => upgrade().into(),
            Verdict::MissingSubscription => format!("attach {}, then {}", channel.subscription().unwrap_or("the subscription"), upgrade()).into(),
            Verdict::NoFix => "no fix yet: limit who can reach it".into(),
            Verdict::WontFix => "the vendor will not fix it: remove the package, or limit who can reach it".into(),
            Verdict::EndOfSupport => "nobody fixes it for this release any more: upgrade the release, or remove the package".into(),
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
    fn of(database: Database, versions: &[&str], version: &str) -> Self {
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

    fn position(&self, group: &Group<'_>) -> Position {
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

fn concerned(package: &Package, fixed: Option<&str>) -> Concerned {
    Concerned {
        name: package.name.clone(),
        architecture: package.architecture.clone(),
        installed: package.version.clone(),
        fixed: fixed.map(str::to_owned),
    }
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
) -> String {
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
    title
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
/// in `1:1.0-2` is the build `1.0-2` that is installed, and the epoch was mistaken in one of the two places.
fn same_build<'v>(database: Database, versions: &[&'v str], version: &'v str) -> &'v str {
    fn build(version: &str) -> &str {
        version.split_once(':').map_or(version, |(_, build)| build)
    }
    let revised = build(version).contains('-');
    let named = versions.iter().find(|v| build(v) == build(version));
    named.copied().filter(|_| database == Database::Dpkg && revised).unwrap_or(version)
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
    version.to_ascii_lowercase().contains("fips")
}

fn is_fips_channel(channel: Channel) -> bool {
    matches!(channel, Channel::Fips | Channel::FipsUpdates | Channel::FipsPreview)
}

/// Tells whether a statement about a module stream speaks of the installed package: streams are products of their own.
fn is_of_module(stated: Option<&str>, label: Option<&str>, version: &str) -> bool {
    let label = label.filter(|l| !l.is_empty());
    let modular = label.is_some() || version.contains(".module");
    match stated {
        None => !modular,
        Some("?") => modular,
        Some(stream) => match label {
            Some(label) => label
                .strip_prefix(stream)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(':')),
            None => modular,
        },
    }
}
