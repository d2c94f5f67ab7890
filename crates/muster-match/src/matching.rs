//! Holds a server's packages against one release's advisories.
//!
//! By source package where the distributor's advisories name sources (dpkg, apk), by binary package where they name
//! those (rpm). Each channel of a release is judged by itself, then the channels are joined: that is the two-pass rule
//! of Ubuntu Pro. Kernels are judged as up to three objects (running, installed, next boot). No image that is merely
//! left over counts, and no package of headers is a kernel.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use muster_core::action;
use muster_core::advisory::{By, Channel, Status};
use muster_core::fact::{Database, Facts, Obstacle, Package};
use muster_core::finding::{
    About, AdvisoryFinding, ArchiveUpdate, Concerned, Finding, Fix, KernelLine, KernelObject,
    Severity,
};
use muster_core::kernel::{self, Carries};
use muster_core::owed;
use muster_core::verdict::{self, Position, Verdict};
use muster_version::Scheme;

use crate::section::{Group, Package as Listed, Section};

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
    let fleet = Installed::of(database, facts);
    let mut judge = Judge {
        section,
        scheme: database.scheme(),
        database,
        granted: granted(facts),
        all,
        outcomes: BTreeMap::new(),
        matched: Matched::default(),
    };
    for (source, installed) in &fleet.by_source {
        if let Some(listed) = section.package(source, By::Source) {
            judge.package(&listed, source, installed, By::Source);
        }
        judge.note_fips(source, installed);
    }
    if database == Database::Rpm {
        for ((source, name), installed) in &fleet.by_binary {
            if let Some(listed) = section.package(name, By::Binary) {
                judge.package(&listed, source, installed, By::Binary);
            }
        }
    }
    judge.finish()
}

/// Returns the channels that the server's subscription grants.
fn granted(facts: &Facts) -> Vec<Channel> {
    let services = facts.subscription.found().map_or(&[][..], |s| &s.services);
    Channel::ALL.into_iter().filter(|c| services.iter().any(|s| s == c.name())).collect()
}

/// The packages that can be judged, under the names that advisories use.
struct Installed<'f> {
    by_source: BTreeMap<String, Vec<Unit<'f>>>,
    by_binary: BTreeMap<(String, String), Vec<Unit<'f>>>,
}

/// A package, and what it is to a verdict.
#[derive(Clone, Debug)]
struct Unit<'f> {
    package: &'f Package,
    /// The version of the source, under the name that advisories use.
    source_version: String,
    role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// It carries the code.
    Code,
    /// It cannot carry a flaw of the kernel: headers, documentation, programs beside it.
    Headers,
    /// It is a kernel that counts, in these ways.
    Kernel(Vec<KernelObject>),
}

impl<'f> Installed<'f> {
    fn of(database: Database, facts: &'f Facts) -> Self {
        let third_party = |p: &&Package| !owed::is_third_party(p, facts);
        let mut by_source: BTreeMap<String, Vec<Unit<'f>>> = BTreeMap::new();
        for package in facts.packages.iter().filter(third_party) {
            let (source, source_version) = advisory_source(package, facts);
            let role = match kernel::is_kernel_source(&source) {
                false => Role::Code,
                true => match kernel::carries(&package.name) {
                    Carries::Meta => continue,
                    Carries::Headers | Carries::Tools => Role::Headers,
                    Carries::Image => Role::Kernel(Vec::new()),
                },
            };
            by_source.entry(source).or_default().push(Unit { package, source_version, role });
        }
        for units in by_source.values_mut() {
            tell_kernels_apart(units, database, facts);
        }
        let mut by_binary: BTreeMap<(String, String), Vec<Unit<'f>>> = BTreeMap::new();
        if database == Database::Rpm {
            for (source, units) in &by_source {
                for unit in units {
                    by_binary
                        .entry((source.clone(), unit.package.name.clone()))
                        .or_default()
                        .push(unit.clone());
                }
            }
        }
        Self { by_source, by_binary }
    }
}

/// Returns the source and its version under which advisories file a package.
fn advisory_source(package: &Package, facts: &Facts) -> (String, String) {
    let source = package.source();
    if let Some(proof) = facts.kernels.sources.iter().find(|s| s.image == package.name) {
        return (proof.source.clone(), proof.version.clone());
    }
    let by_name = kernel::source_by_name(source);
    if by_name == source {
        return (source.to_owned(), package.source_version().to_owned());
    }
    // A signed package's own source has a version of another kind (`6.1.76+1`); the binary bears that of the code.
    let version = package.version.as_str();
    (by_name.into_owned(), version.to_owned())
}

/// Finds, among the images of one source, those that run, boot next, or are the newest. The others are left over.
fn tell_kernels_apart(units: &mut [Unit<'_>], database: Database, facts: &Facts) {
    let scheme = database.scheme();
    let newest = units
        .iter()
        .filter(|u| matches!(u.role, Role::Kernel(_)))
        .map(|u| u.source_version.clone())
        .max_by(|a, b| scheme.compare_lenient(a, b));
    let Some(newest) = newest else { return };
    for unit in units {
        let Role::Kernel(objects) = &mut unit.role else { continue };
        let release = kernel_release(unit.package, database);
        let is = |reading: &muster_core::fact::Reading<String>| {
            reading.found().is_some_and(|r| Some(r) == release.as_ref())
        };
        if is(&facts.kernels.running) {
            objects.push(KernelObject::Running);
        }
        if unit.source_version == newest {
            objects.push(KernelObject::Installed);
        }
        if is(&facts.kernels.next_boot) {
            objects.push(KernelObject::NextBoot);
        }
    }
}

/// Returns what `uname -r` says when the package's kernel runs.
pub fn kernel_release(package: &Package, database: Database) -> Option<String> {
    match database {
        Database::Dpkg => kernel::image_release(&package.name).map(str::to_owned),
        Database::Rpm => {
            let version =
                package.version.split_once(':').map_or(package.version.as_str(), |(_, v)| v);
            Some(format!("{version}.{}", package.architecture))
        }
        Database::Apk => {
            let flavour = package.name.strip_prefix("linux-")?;
            let (version, revision) = package.version.rsplit_once("-r")?;
            Some(format!("{version}-{revision}-{flavour}"))
        }
    }
}

/// What was judged of one advisory and one source package.
#[derive(Clone, Debug)]
struct Outcome<'a> {
    verdict: Verdict,
    decided_by: Decided<'a>,
    units: Vec<Concerned>,
    objects: BTreeSet<KernelObject>,
    kernel: bool,
    code: bool,
}

/// The group that decided, as far as a finding tells of it.
#[derive(Clone, Copy, Debug)]
struct Decided<'a> {
    channel: Channel,
    fixed: Option<&'a str>,
    word: &'a str,
    published: Option<muster_core::time::Date>,
}

/// One advisory's verdict on one installed version, while channels are joined.
#[derive(Clone, Copy, Debug)]
struct Provisional<'a> {
    verdict: Verdict,
    decided_by: Decided<'a>,
}

struct Judge<'j, 'a> {
    section: &'j Section<'a>,
    scheme: Scheme,
    database: Database,
    granted: Vec<Channel>,
    all: bool,
    outcomes: BTreeMap<(String, u32), Outcome<'a>>,
    matched: Matched,
}

impl<'a> Judge<'_, 'a> {
    /// Judges the installed packages that one entry of the release names.
    fn package(&mut self, listed: &Listed<'a>, source: &str, units: &[Unit<'_>], by: By) {
        let versions = self.section.versions(listed);
        let groups: Vec<Group<'a>> = self.section.groups(listed).collect();
        let version_of = |unit: &Unit<'_>| match by {
            By::Source => unit.source_version.clone(),
            By::Binary => unit.package.version.clone(),
        };
        let mut by_version: BTreeMap<(String, Option<&str>), Vec<&Unit<'_>>> = BTreeMap::new();
        for unit in units.iter().filter(|u| u.role != Role::Kernel(Vec::new())) {
            by_version
                .entry((version_of(unit), unit.package.module.as_deref()))
                .or_default()
                .push(unit);
        }
        for ((version, module), same) in by_version {
            for (advisory, provisional) in self.judge_version(&groups, &versions, &version, module)
            {
                self.add(source, advisory, provisional, &same);
            }
        }
    }

    /// Judges one installed version by all groups of its package: ranges within a channel, then the channels.
    fn judge_version(
        &self,
        groups: &[Group<'a>],
        versions: &[&'a str],
        version: &str,
        module: Option<&str>,
    ) -> HashMap<u32, Provisional<'a>> {
        let version = same_build(self.database, versions, version);
        let below = versions.partition_point(|v| self.scheme.compare_lenient(v, version).is_lt());
        let equal =
            versions.get(below).is_some_and(|v| self.scheme.compare_lenient(v, version).is_eq());
        let at_least =
            |rank: u16| usize::from(rank) < below || (usize::from(rank) == below && equal);
        let fips = is_fips(version);
        let mut joined: HashMap<u32, Provisional<'a>> = HashMap::new();
        for channel in groups.chunk_by(|a, b| a.channel == b.channel) {
            let Some(first) = channel.first() else { continue };
            if is_fips_channel(first.channel) != fips {
                continue;
            }
            let granted = first.channel == Channel::Base || self.granted.contains(&first.channel);
            let mut within: HashMap<u32, Provisional<'a>> = HashMap::new();
            for group in channel.iter().filter(|g| is_of_module(g.module, module, version)) {
                let position = if group.introduced.is_some_and(|r| !at_least(r)) {
                    Position::Outside
                } else if group.fixed.is_some_and(at_least) {
                    Position::Mended
                } else if group
                    .last_affected
                    .is_some_and(|r| at_least(r) && !(usize::from(r) == below && equal))
                {
                    Position::Outside
                } else {
                    Position::Affected
                };
                let verdict = verdict::judge(
                    group.status,
                    group.fixed.is_some(),
                    position,
                    group.channel,
                    granted,
                );
                let decided_by = Decided {
                    channel: group.channel,
                    fixed: group.fixed.and_then(|r| versions.get(usize::from(r)).copied()),
                    word: if group.word.is_empty() {
                        status_word(group.status)
                    } else {
                        group.word
                    },
                    published: group.published,
                };
                let new = Provisional { verdict, decided_by };
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
        joined
    }

    fn add(
        &mut self,
        source: &str,
        advisory: u32,
        provisional: Provisional<'a>,
        units: &[&Unit<'_>],
    ) {
        let key = (source.to_owned(), advisory);
        let outcome = self.outcomes.entry(key).or_insert_with(|| Outcome {
            verdict: provisional.verdict,
            decided_by: provisional.decided_by,
            units: Vec::new(),
            objects: BTreeSet::new(),
            kernel: false,
            code: false,
        });
        let verdict = verdict::worst(outcome.verdict, provisional.verdict);
        if verdict != outcome.verdict {
            // What a milder verdict gathered is not what the finding is about.
            outcome.units.clear();
            outcome.objects.clear();
            (outcome.kernel, outcome.code) = (false, false);
            (outcome.verdict, outcome.decided_by) = (verdict, provisional.decided_by);
        } else if provisional.verdict != verdict {
            return;
        }
        for unit in units {
            outcome.units.push(Concerned {
                name: unit.package.name.clone(),
                architecture: unit.package.architecture.clone(),
                installed: unit.package.version.clone(),
                fixed: provisional.decided_by.fixed.map(str::to_owned),
            });
            match &unit.role {
                Role::Kernel(objects) => {
                    outcome.kernel = true;
                    outcome.objects.extend(objects);
                }
                Role::Code => outcome.code = true,
                Role::Headers => {}
            }
        }
    }

    /// A build for FIPS has versions of its own: only its own advisories were held against it, and that is said.
    fn note_fips(&mut self, source: &str, units: &[Unit<'_>]) {
        if let Some(unit) = units.iter().find(|u| is_fips(&u.source_version)) {
            self.matched.obstacles.push(Obstacle::new(
                format!("{source} {}", unit.source_version),
                "is a FIPS build: only FIPS advisories were held against it, those of the release itself do not speak of it",
            ));
        }
    }

    fn finish(mut self) -> Matched {
        let outcomes = std::mem::take(&mut self.outcomes);
        let covered = self.covered(&outcomes);
        for ((source, advisory), outcome) in outcomes {
            let owed = !matches!(outcome.verdict, Verdict::Fixed | Verdict::NotAffected);
            if (owed && covered.contains(&(source.clone(), advisory))) || !(owed || self.all) {
                continue;
            }
            let finding = self.finding(source, advisory, outcome);
            self.matched.findings.push(finding);
        }
        self.matched
    }

    /// Returns the vulnerabilities that a missing notice of the same package already closes.
    fn covered(&self, outcomes: &BTreeMap<(String, u32), Outcome<'a>>) -> BTreeSet<(String, u32)> {
        let is_missing =
            |o: &Outcome<'_>| matches!(o.verdict, Verdict::Missing | Verdict::MissingSubscription);
        let mut covered = BTreeSet::new();
        for ((source, advisory), _) in outcomes.iter().filter(|(_, o)| is_missing(o)) {
            for cve in self.section.cves(*advisory) {
                let key = (source.clone(), cve);
                if outcomes.get(&key).is_some_and(is_missing) {
                    covered.insert(key);
                }
            }
        }
        covered
    }

    fn finding(&self, source: String, number: u32, outcome: Outcome<'a>) -> Finding {
        let advisory = self.section.advisory(number);
        let id = self.section.id(&advisory);
        let members: Vec<u32> =
            if advisory.notice { self.section.cves(number).collect() } else { vec![number] };
        let flaws: Vec<_> = members.iter().map(|m| self.section.advisory(*m)).collect();
        let cves = if advisory.notice || id.starts_with("CVE-") {
            flaws.iter().map(|f| self.section.id(f)).collect()
        } else {
            Vec::new()
        };
        let severity =
            flaws.iter().map(|f| f.severity).max().unwrap_or_default().max(advisory.severity);
        let likelihood = flaws.iter().filter_map(|f| f.likelihood).max_by(f32::total_cmp);
        let exploited = members.iter().filter_map(|m| self.section.exploited(*m)).min();
        let decided = outcome.decided_by;
        let fix = match outcome.verdict {
            Verdict::Missing => Fix::Here,
            Verdict::MissingSubscription => Fix::Subscription,
            _ => Fix::None,
        };
        let headers_only = !outcome.kernel && !outcome.code;
        let mut packages = outcome.units;
        packages.sort();
        packages.dedup();
        Finding {
            title: title(&source, &outcome.verdict, cves.len(), decided, headers_only),
            action: self.action(&outcome.verdict, decided.channel, &packages, &outcome.objects),
            id,
            verdict: outcome.verdict,
            severity,
            about: About::Advisory(AdvisoryFinding {
                cves,
                source,
                packages,
                fix,
                channel: decided.channel,
                kernel: outcome.kernel,
                of: outcome.objects.into_iter().collect(),
                headers_only,
                published: decided.published.or(advisory.published),
                exploited,
                likelihood,
                word: decided.word.to_owned(),
                rule: rule(self.database, outcome.kernel),
            }),
        }
    }

    fn action(
        &self,
        verdict: &Verdict,
        channel: Channel,
        packages: &[Concerned],
        objects: &BTreeSet<KernelObject>,
    ) -> String {
        if objects.len() == 1 && objects.contains(&KernelObject::Running) {
            return "reboot into the kernel that is installed".into();
        }
        match verdict {
            Verdict::Missing => action::upgrade(self.database, packages),
            Verdict::MissingSubscription => {
                let needs = channel.subscription().unwrap_or("the subscription");
                format!("attach {needs}, then {}", action::upgrade(self.database, packages))
            }
            Verdict::NoFix => "no fix yet: limit who can reach it".into(),
            Verdict::WontFix => "the vendor will not fix it: remove the package, or limit who can reach it".into(),
            Verdict::EndOfSupport => "nobody fixes it for this release any more: upgrade the release, or remove the package".into(),
            Verdict::Unknown => "the vendor cannot tell: treat it as affected".into(),
            Verdict::Fixed | Verdict::NotAffected | Verdict::Owed => String::new(),
        }
    }
}

fn choose<'a>(
    old: Provisional<'a>,
    new: Provisional<'a>,
    by: fn(Verdict, Verdict) -> Verdict,
) -> Provisional<'a> {
    if by(old.verdict, new.verdict) == old.verdict { old } else { new }
}

fn title(
    source: &str,
    verdict: &Verdict,
    cves: usize,
    decided: Decided<'_>,
    headers_only: bool,
) -> String {
    let flaws = match cves {
        0 => "a flaw".to_owned(),
        1 => "1 CVE".to_owned(),
        n => format!("{n} CVEs"),
    };
    let what = match (verdict, decided.fixed) {
        (Verdict::Missing, Some(fixed)) => format!("{source}: {flaws} fixed in {fixed}"),
        (Verdict::MissingSubscription, Some(fixed)) => {
            format!("{source}: {flaws} fixed in {fixed}, by subscription only")
        }
        (Verdict::Fixed, _) => format!("{source}: {flaws}, fixed here"),
        (Verdict::NotAffected, _) => format!("{source}: {flaws}, not affected"),
        _ => format!("{source}: {flaws}, {}", decided.word),
    };
    if headers_only { what + " (headers only)" } else { what }
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

fn rule(database: Database, kernel: bool) -> &'static str {
    match (database, kernel) {
        (Database::Dpkg, false) => "source version by dpkg's order, below the fix for this release",
        (Database::Dpkg, true) => {
            "kernel image by the version of its source, below the fix for this release"
        }
        (Database::Rpm, false) => {
            "binary version by rpm's order, below the fix for this release and module stream"
        }
        (Database::Rpm, true) => "kernel package by rpm's order, below the fix for this release",
        (Database::Apk, _) => "origin's version by apk's order, below the fix for this branch",
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

/// Judges the kernel lines of the server: one that was superseded or ended is a debt of its own, with the living line named.
pub fn kernel_lines(section: &Section<'_>, database: Database, facts: &Facts) -> Vec<Finding> {
    let fleet = Installed::of(database, facts);
    let mut findings = Vec::new();
    for (source, units) in &fleet.by_source {
        let images: Vec<&Unit<'_>> = units
            .iter()
            .filter(|u| matches!(&u.role, Role::Kernel(objects) if !objects.is_empty()))
            .collect();
        let Some(line) = section.line(source).filter(|_| !images.is_empty()) else { continue };
        let successor = living(section, line.successor);
        let running = images.iter().find(|u| matches!(&u.role, Role::Kernel(objects) if objects.contains(&KernelObject::Running)));
        let action = successor
            .map_or("install a kernel line that is maintained, then reboot".to_owned(), |s| {
                format!("install the kernel of {s}, then reboot")
            });
        findings.push(Finding {
            id: format!("kernel-line:{source}"),
            verdict: Verdict::EndOfSupport,
            severity: Severity::Critical,
            title: match successor {
                Some(successor) => format!(
                    "the kernel line {source} gets no fixes any more; {successor} took its place"
                ),
                None => format!("the kernel line {source} gets no fixes any more"),
            },
            action,
            about: About::KernelLine(KernelLine {
                running: running.and_then(|u| kernel_release(u.package, database)),
                line: source.clone(),
                successor: successor.map(str::to_owned),
                ended: None,
                word: line.word.to_owned(),
                packages: images
                    .iter()
                    .map(|u| Concerned {
                        name: u.package.name.clone(),
                        architecture: u.package.architecture.clone(),
                        installed: u.package.version.clone(),
                        fixed: None,
                    })
                    .collect(),
            }),
        });
    }
    findings
}

/// Follows the chain of successors to the line that is alive; a ring of them has none.
fn living<'a>(section: &Section<'a>, first: Option<&'a str>) -> Option<&'a str> {
    let mut line = first?;
    for _ in 0..64 {
        match section.line(line) {
            None => return Some(line),
            Some(ended) => line = ended.successor?,
        }
    }
    None
}

/// Holds the installed packages against the newest versions in the release's security archive, where a feed brought
/// them: a security update is missing even if no advisory names it. Silent where the machine's own indices speak.
pub fn archived(section: &Section<'_>, database: Database, facts: &Facts) -> Vec<Finding> {
    if facts.archive.found().is_some_and(|archive| !archive.indices.is_empty()) {
        return Vec::new();
    }
    let scheme = database.scheme();
    let mut by_source: BTreeMap<&str, Vec<Concerned>> = BTreeMap::new();
    for package in facts.packages.iter().filter(|p| !owed::is_third_party(p, facts)) {
        let Some(entry) = section.archived(&package.name) else { continue };
        if scheme.compare_lenient(&package.version, entry.version).is_lt() {
            by_source.entry(entry.source).or_default().push(Concerned {
                name: package.name.clone(),
                architecture: package.architecture.clone(),
                installed: package.version.clone(),
                fixed: Some(entry.version.to_owned()),
            });
        }
    }
    by_source
        .into_iter()
        .map(|(source, packages)| archived_update(source, packages, database))
        .collect()
}

fn archived_update(source: &str, packages: Vec<Concerned>, database: Database) -> Finding {
    let version = packages.first().and_then(|p| p.fixed.clone()).unwrap_or_default();
    Finding {
        id: format!("archive-update:security:{source}"),
        verdict: Verdict::Missing,
        severity: Severity::Unknown,
        title: format!("{source}: {version} lies in the security archive of this release"),
        action: action::upgrade(database, &packages),
        about: About::ArchiveUpdate(ArchiveUpdate {
            source: source.to_owned(),
            packages,
            pocket: "security".into(),
            security: true,
            advisories: Vec::new(),
            kept_back: None,
        }),
    }
}
