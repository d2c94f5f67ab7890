//! One evaluator, one answer: facts, advisories and the calendar in, everything that a report says out.
//!
//! Every format and every exit status is a filter of [`Report`].

pub(crate) mod containers;

use std::collections::BTreeSet;

use muster_core::catalog::Support;
use muster_core::container::Container;
use muster_core::fact::{Database, Facts, Obstacle, Reading};
use muster_core::finding::{About, Finding, Fix, Severity, Signals};
use muster_core::owed::{self, SupportState};
use muster_core::running::Reach;
use muster_core::time::{Instant, day, days_between};
use muster_core::verdict::Verdict;
use muster_match::file::{AdvisoryFile, FeedInfo};
use muster_match::matching;
use muster_match::section::Section;

/// What was learned and judged of one root.
pub(crate) struct Report {
    pub(crate) at: Instant,
    pub(crate) root: String,
    /// Whether others are answered beside it.
    pub(crate) of_several: bool,
    pub(crate) facts: Facts,
    pub(crate) support: SupportState,
    pub(crate) advisories: Option<Compiled>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) unknown: Vec<Obstacle>,
}

/// A finding, and where it was made.
pub(crate) struct Placed<'r> {
    pub(crate) within: Option<Within<'r>>,
    pub(crate) finding: &'r Finding,
}

impl Placed<'_> {
    /// Returns the finding's id, behind that of its container.
    pub(crate) fn id(&self) -> String {
        match self.within {
            Some(within) => format!("{}/{}", within.id, self.finding.id),
            None => self.finding.id.to_string(),
        }
    }
}

/// A container or image that was read.
#[derive(Clone, Copy)]
pub(crate) struct Within<'r> {
    /// The id of its finding.
    pub(crate) id: &'r str,
    pub(crate) container: &'r Container,
    pub(crate) facts: &'r Facts,
}

/// The advisory file behind a report.
pub(crate) struct Compiled {
    pub(crate) built: Option<Instant>,
    pub(crate) feeds: Vec<FeedInfo>,
    /// The newest time that any record about the server's release carries.
    pub(crate) of_release: Option<Instant>,
}

impl Compiled {
    fn of(file: &AdvisoryFile, release: Option<&str>) -> Result<Self, muster_match::Error> {
        let provenance = file.provenance()?;
        let of_release = release.and_then(|release| provenance.of_release(release).newest);
        Ok(Self { built: file.built(), of_release, feeds: provenance.feeds })
    }

    /// Advisories that end long ago say nothing of what came out since.
    fn obstacle(&self, now: Instant) -> Option<Obstacle> {
        let age = days_between(day(self.of_release?), day(now));
        (age > ADVISORIES_STALE_AFTER_DAYS).then(|| {
            Obstacle::new(
                "advisories",
                format!(
                    "the newest for this release is of {}, {age} days ago: what came out since is not known; `muster feed pull` and `muster feed build` bring it",
                    self.of_release.map(day).map_or(String::new(), |d| d.to_string())
                ),
            )
        })
    }
}

/// Days after which advisories say too little about today: no vendor of a living release is silent for so long.
const ADVISORIES_STALE_AFTER_DAYS: i64 = 30;

/// What a report is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Question {
    pub(crate) now: Instant,
    pub(crate) all: bool,
    pub(crate) of_several: bool,
    /// Whether it is a root within that of a server, which is asked for no kernel, no indices and no way of updates.
    pub(crate) is_container: bool,
}

impl Report {
    /// Judges the facts of a root.
    pub(crate) fn of(
        root: String,
        mut facts: Facts,
        file: Option<&AdvisoryFile>,
        question: Question,
    ) -> Result<Self, muster_match::Error> {
        let today = day(question.now);
        owed::lapse(&mut facts, question.now);
        let mut unknown = owed::distribution_obstacles(&facts, today);
        let support =
            facts.os.found().map_or(SupportState { state: Support::Unknown, ends: None }, |os| {
                owed::support(os, today)
            });
        let mut findings: Vec<Finding> = containers::judge(&mut facts, file, question)?;
        let database = facts.database.found().copied();
        let section = release_section(&facts, file, question.is_container, &mut unknown)?;
        if let (Some(bytes), Some(database)) = (&section, database) {
            let section = Section::new(bytes)?;
            if section.advisories() == 0 {
                unknown.push(Obstacle::new("advisories", "the advisory file has none of this release, only what lies in its security archive: flaws without a fix are not known"));
            }
            let matched = matching::judge(&section, database, &facts, question.all);
            findings.extend(matched.findings);
            unknown.extend(matched.obstacles);
        }
        let upstream = matching::applications::judge(file, &facts, today, question.all)?;
        findings.extend(upstream.findings);
        unknown.extend(upstream.obstacles);
        findings.extend(owed::end_of_support(&facts, question.now));
        if let Some(database) = database {
            let closed = ClosedBy::of(&findings, database);
            findings.extend(owed::archive_updates(&facts, database, &|source, version| {
                closed.by(source, version)
            }));
        }
        findings.extend(owed::update_channel(&facts, question.now));
        findings.extend(owed::reboot(&facts));
        findings.extend(owed::held_kernel(&facts));
        findings.extend(owed::restarts(&facts));
        findings.extend(owed::removed_executables(&facts));
        findings.extend(owed::cleartext_services(&facts));
        findings.extend(owed::third_party(&facts));
        sort(&mut findings);
        let release = facts.os.found().and_then(muster_core::fact::Os::release_id);
        let advisories = match file {
            Some(file) => Some(Compiled::of(file, release.as_deref())?),
            None => None,
        };
        // Where nobody mends anything any more, silence is no news.
        let spoken = advisories.as_ref().filter(|_| support.state != Support::Ended);
        unknown.extend(spoken.and_then(|a| a.obstacle(question.now)));
        if !question.is_container {
            unknown.extend(owed::kernel_obstacles(&facts));
            unknown.extend(archive_obstacle(&facts));
            unknown.extend(file.and_then(|file| clock_obstacle(file, question.now)));
            unknown.extend(findings.iter().filter_map(unread));
        }
        unknown.append(&mut facts.obstacles);
        if let Reading::Unknown(obstacle) = &facts.database {
            unknown.push(obstacle.clone());
        }
        unknown.sort();
        unknown.dedup();
        Ok(Self {
            at: question.now,
            of_several: question.of_several,
            root,
            facts,
            support,
            advisories,
            findings,
            unknown,
        })
    }

    /// Tells whether something is owed, or could not be known.
    pub(crate) fn is_owed(&self, strict: bool) -> bool {
        !self.unknown.is_empty() || self.findings.iter().any(|f| is_owed(f, strict))
    }

    /// Returns every finding with the container that it was made in, where it was: those of the server itself first.
    pub(crate) fn placed(&self) -> Vec<Placed<'_>> {
        let mut placed: Vec<Placed<'_>> =
            self.findings.iter().map(|finding| Placed { within: None, finding }).collect();
        for container in &self.findings {
            let About::Container(c) = &container.about else { continue };
            let is_same = |other: &&Container| {
                other.root == c.container.root && other.name == c.container.name
            };
            let found = self.facts.containers.iter().find(is_same);
            let Some(facts) = found.and_then(|found| found.facts.found()) else { continue };
            let within = Some(Within { id: &container.id, container: &c.container, facts });
            placed.extend(c.findings.iter().map(|finding| Placed { within, finding }));
        }
        placed
    }

    /// Returns the name of the release as people say it.
    pub(crate) fn release_name(&self) -> String {
        let Some(os) = self.facts.os.found() else { return "An unknown distribution".into() };
        match (os.distribution(), os.release()) {
            (Some(d), Some(r)) => {
                let codename = r
                    .codename
                    .filter(|c| *c != r.version)
                    .map_or(String::new(), |c| format!(" ({c})"));
                format!("{} {}{codename}", d.name, r.version)
            }
            _ if os.name.is_empty() => os.id.clone(),
            _ => os.name.clone(),
        }
    }

    /// Says in one sentence how the server stands.
    pub(crate) fn sentence(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        if let Some(About::EndOfSupport(end)) =
            self.findings.iter().map(|f| &f.about).find(|a| matches!(a, About::EndOfSupport(_)))
        {
            parts.push(match &end.needs {
                Some(_) => "is out of free support".into(),
                None => "is out of support".into(),
            });
        }
        let sources = |wanted: &dyn Fn(&Finding) -> bool| -> usize {
            self.findings
                .iter()
                .filter(|f| wanted(f))
                .filter_map(source)
                .collect::<BTreeSet<_>>()
                .len()
        };
        let missing = sources(&|f| f.verdict == Verdict::Missing && is_security(f));
        let exploited = sources(&|f| f.verdict == Verdict::Missing && is_exploited(f));
        if missing > 0 {
            let known = if exploited > 0 {
                format!(" ({exploited} known to be exploited)")
            } else {
                String::new()
            };
            parts.push(format!(
                "misses security patches for {}{known}",
                count(missing, "package", "packages")
            ));
        }
        let paid = sources(&|f| f.verdict == Verdict::MissingSubscription && is_security(f));
        if paid > 0 {
            parts.push(if missing > 0 {
                format!("misses {paid} more that need a subscription")
            } else {
                let packages = count(paid, "package", "packages");
                format!("misses security patches for {packages} that need a subscription")
            });
        }
        let lines =
            self.findings.iter().filter(|f| matches!(f.about, About::KernelLine(_))).count();
        if lines > 0 {
            parts.push("runs a kernel line that gets no fixes any more".into());
        }
        if self.findings.iter().any(|f| matches!(f.about, About::Reboot(_))) {
            parts.push("waits for a reboot".into());
        }
        parts.extend(self.beside_packages());
        let restarts = |is_removed: bool| {
            let of = |f: &&Finding| {
                matches!(&f.about, About::Restart(r) if r.removed.is_some() == is_removed)
                    && f.severity > Severity::Negligible
            };
            self.findings.iter().filter(of).count()
        };
        let removed = restarts(true);
        if removed > 0 {
            let programs = count(removed, "program", "programs");
            parts.push(format!("runs {programs} whose executable is on no disk"));
        }
        let restarts = restarts(false);
        if restarts > 0 {
            let services = count(restarts, "service", "services");
            parts.push(format!("has {services} to start again on what updates replaced"));
        }
        let in_clear = self.findings.iter().filter(|f| is_in_clear(f)).count();
        if in_clear > 0 {
            let services = count(in_clear, "service", "services");
            parts.push(format!("offers {services} in clear to the network"));
        }
        let owed_by = |is_image: bool| {
            let owed = |f: &&Finding| is_owed(f, false) && f.verdict != Verdict::Unknown;
            let owed = self.findings.iter().filter(owed);
            owed.filter(
                |f| matches!(&f.about, About::Container(c) if c.container.is_image == is_image),
            )
            .count()
        };
        for (is_image, one, many) in [
            (false, "container that is not up to date", "containers that are not up to date"),
            (true, "stored image that is not up to date", "stored images that are not up to date"),
        ] {
            let owed = owed_by(is_image);
            if owed > 0 {
                parts.push(format!("has {}", count(owed, one, many)));
            }
        }
        let channel =
            self.findings.iter().filter(|f| matches!(f.about, About::UpdateChannel(_))).count();
        if channel > 0 {
            parts.push(format!(
                "has {} on the way of its updates",
                count(channel, "problem", "problems")
            ));
        }
        let unfixed = sources(&|f| {
            matches!(f.verdict, Verdict::NoFix | Verdict::WontFix | Verdict::EndOfSupport)
                && is_security(f)
        });
        let who = self.release_name();
        let mut sentence = match parts.split_last() {
            None if self.unknown.is_empty() => format!("{who}: nothing is owed"),
            None => format!("{who}: nothing is known to be owed"),
            Some((last, [])) => format!("{who} {last}"),
            Some((last, rest)) => format!("{who} {} and {last}", rest.join(", ")),
        };
        if unfixed > 0 {
            sentence += &format!(
                "; {} flaws without a fix",
                count(unfixed, "package has", "packages have")
            );
        }
        if !self.unknown.is_empty() {
            sentence +=
                &format!("; {} could not be known", count(self.unknown.len(), "thing", "things"));
        }
        sentence + "."
    }
}

/// What no package manager keeps, as it is counted in the sentence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Application,
    Part,
    Language,
}

impl Beside {
    fn of(finding: &Finding) -> Option<Self> {
        match &finding.about {
            About::WebApplication(a) if a.part_of.is_none() => Some(Self::Application),
            About::WebApplication(_) => Some(Self::Part),
            About::LanguagePackage(_) => Some(Self::Language),
            _ => None,
        }
    }

    /// Says how many of them are behind.
    fn said(self, n: usize) -> String {
        let (one, many) = match self {
            Self::Application => {
                ("web application that is out of date", "web applications that are out of date")
            }
            Self::Part => (
                "part of a web application that is out of date",
                "parts of web applications that are out of date",
            ),
            Self::Language => {
                ("language package with known flaws", "language packages with known flaws")
            }
        };
        count(n, one, many)
    }
}

impl Report {
    /// Says how what no package manager keeps stands: web applications with their parts, and packages of languages.
    fn beside_packages(&self) -> Vec<String> {
        let counted = |beside: Beside, verdicts: &[Verdict]| {
            self.findings
                .iter()
                .filter(|f| Beside::of(f) == Some(beside) && verdicts.contains(&f.verdict))
                .count()
        };
        let mut said: Vec<String> = [Beside::Application, Beside::Part, Beside::Language]
            .into_iter()
            .filter_map(|beside| {
                let behind = counted(beside, &[Verdict::Missing, Verdict::EndOfSupport]);
                (behind > 0).then(|| beside.said(behind))
            })
            .collect();
        // Those that only `--all` lists for want of advisories have a version, and are named among the unknown.
        let untold = self
            .findings
            .iter()
            .filter(|f| Beside::of(f) == Some(Beside::Application))
            .filter(|f| f.verdict == Verdict::Unknown && !f.action.is_empty())
            .count();
        if untold > 0 {
            said.push(count(
                untold,
                "web application whose version tells nothing",
                "web applications whose versions tell nothing",
            ));
        }
        let unmended = [Beside::Application, Beside::Part, Beside::Language]
            .into_iter()
            .map(|beside| counted(beside, &[Verdict::NoFix, Verdict::WontFix]))
            .sum();
        if unmended > 0 {
            said.push(count(
                unmended,
                "application with flaws that no version mends",
                "applications with flaws that no version mends",
            ));
        }
        match said.split_last() {
            None => Vec::new(),
            Some((last, [])) => vec![format!("has {last}")],
            Some((last, rest)) => vec![format!("has {} and {last}", rest.join(", "))],
        }
    }
}

/// What could not be known of a container is not known of its server.
fn unread(finding: &Finding) -> Option<Obstacle> {
    let About::Container(c) = &finding.about else { return None };
    let first = c.unknown.first()?;
    let more = match c.unknown.len() {
        1 => String::new(),
        n => format!("; and {} more", count(n - 1, "thing", "things")),
    };
    Some(Obstacle::new(finding.id.to_string(), format!("{}: {}{more}", first.what, first.why)))
}

/// Returns a number with its noun.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Reads the section for the server's release, or notes why there is none.
fn release_section(
    facts: &Facts,
    file: Option<&AdvisoryFile>,
    is_container: bool,
    unknown: &mut Vec<Obstacle>,
) -> Result<Option<Vec<u8>>, muster_match::Error> {
    let Some(file) = file else {
        // The server says so, for all that is in it.
        if is_container {
            return Ok(None);
        }
        unknown.push(Obstacle::new(
            "advisories",
            "no advisory file was given: flaws without an update in the indices are not known; make one with `muster feed pull` and `muster feed build`",
        ));
        return Ok(None);
    };
    let Some(release) = facts.os.found().and_then(muster_core::fact::Os::release_id) else {
        return Ok(None);
    };
    let section = file.release(&release)?;
    if section.is_none() {
        unknown.push(Obstacle::new("advisories", format!("the advisory file says nothing of {release}: build it with the feeds of that release")));
    }
    Ok(section)
}

/// A clock before the file's date judges by advisories from its future: ages and deadlines are wrong.
fn clock_obstacle(file: &AdvisoryFile, now: Instant) -> Option<Obstacle> {
    let built = file.built().filter(|built| *built > now)?;
    Some(Obstacle::new(
        "clock",
        format!(
            "the advisory file is of {built}, later than the time of this inspection ({now}): is the clock right?"
        ),
    ))
}

fn archive_obstacle(facts: &Facts) -> Option<Obstacle> {
    match &facts.archive {
        Reading::Found(archive) if archive.indices.is_empty() => {
            Some(Obstacle::new("archive indices", no_indices(facts)))
        }
        Reading::Found(_) => None,
        Reading::Absent => Some(Obstacle::new("archive indices", no_indices(facts))),
        Reading::Unknown(obstacle) => Some(obstacle.clone()),
    }
}

fn no_indices(facts: &Facts) -> String {
    match facts.database.found() {
        Some(database) => format!(
            "there are none on this machine, so what can be installed here is not known; `{}` brings them",
            refresh(*database)
        ),
        None => {
            "were not read, since no package database tells which package manager is at work here"
                .into()
        }
    }
}

/// Returns the command that brings a package manager's indices.
pub(crate) fn refresh(database: Database) -> &'static str {
    match database {
        Database::Dpkg => "apt-get update",
        Database::Rpm => "dnf makecache",
        Database::Apk => "apk update",
    }
}

/// Tells whether a finding keeps the server from good standing.
pub(crate) fn is_owed(finding: &Finding, strict: bool) -> bool {
    match &finding.about {
        // Headers cannot carry the flaw: listed, and no debt by themselves.
        About::Advisory(a) if a.patch.headers_only => finding.verdict == Verdict::Missing,
        // What nobody else can reach is worth knowing, and a debt by nobody's policy but the strictest.
        About::CleartextService(_) if !is_in_clear(finding) => strict,
        _ => finding.verdict.is_owed(strict),
    }
}

fn is_security(finding: &Finding) -> bool {
    match &finding.about {
        About::Advisory(a) => !a.patch.headers_only,
        About::ArchiveUpdate(update) => update.security,
        _ => false,
    }
}

fn is_exploited(finding: &Finding) -> bool {
    matches!(&finding.about, About::Advisory(a) if a.exploited.is_some() && !a.patch.headers_only)
}

/// Tells a service in clear that others than the server itself can reach.
pub(crate) fn is_in_clear(finding: &Finding) -> bool {
    matches!(&finding.about, About::CleartextService(c) if c.reach > Reach::Loopback)
}

/// Returns the source package that a finding is about.
pub(crate) fn source(finding: &Finding) -> Option<&str> {
    match &finding.about {
        About::Advisory(a) => Some(&a.patch.source),
        About::ArchiveUpdate(u) => Some(&u.source),
        _ => None,
    }
}

/// Puts findings into the order of urgency; those as urgent as each other stay in the order of their names, in which they
/// came. Each key is made once, each finding is moved once.
fn sort(findings: &mut [Finding]) {
    let mut order: Vec<(u64, usize)> =
        findings.iter().enumerate().map(|(at, finding)| (urgency(finding), at)).collect();
    order.sort_unstable();
    for at in 0..findings.len() {
        // What was to come here may have made room before.
        let mut from = at;
        loop {
            from = order.get(from).map_or(at, |(_, from)| *from);
            if from >= at {
                break;
            }
        }
        findings.swap(at, from);
    }
}

/// Orders findings: what must be done first comes first.
///
/// Known exploitation, then the end of all fixes, then likelihood, severity, reach (a kernel that runs) and age. What
/// cannot be done anything about comes after what can.
pub(crate) fn urgency(finding: &Finding) -> u64 {
    if let About::Container(c) = &finding.about
        && let Some(most) = c.findings.iter().map(urgency).min()
    {
        return most;
    }
    let actionable = match finding.verdict {
        Verdict::Missing | Verdict::EndOfSupport => 0,
        Verdict::Owed => match finding.about {
            About::ArchiveUpdate(_) => 2,
            // Where nothing safe arrives at all, that comes first; what is only off or old, after the patches.
            About::UpdateChannel(_) if finding.severity < Severity::High => 1,
            _ => 0,
        },
        Verdict::MissingSubscription => 1,
        Verdict::Unknown => 3,
        Verdict::NoFix | Verdict::WontFix => 4,
        Verdict::Fixed | Verdict::NotAffected => 5,
    };
    let of =
        |s: &Signals| (false, s.exploited.is_some(), likelihood(s.likelihood), false, s.published);
    let (headers, exploited, likely, kernel, published) = match &finding.about {
        About::WebApplication(a) => of(&a.signals),
        About::LanguagePackage(l) => of(&l.signals),
        About::Advisory(a) => (
            a.patch.headers_only,
            a.exploited.is_some(),
            likelihood(a.likelihood),
            a.patch.kernel,
            a.published,
        ),
        _ => (false, false, 0, false, None),
    };
    // The index of an archive does not say how bad: a security update counts as what most of them are.
    let severity = match &finding.about {
        About::ArchiveUpdate(u) if u.security => finding.severity.max(Severity::Medium),
        _ => finding.severity,
    };
    let release = matches!(finding.about, About::EndOfSupport(_) | About::KernelLine(_));
    let by_advisory = matches!(finding.about, About::Advisory(_));
    let day = published.map_or(u32::MAX, |date| {
        u32::try_from(muster_core::time::to_day_number(date)).unwrap_or(0)
    });
    // The weightiest first, each in the bits that it needs.
    [
        (1, u64::from(headers)),
        (1, u64::from(!release)),
        (3, actionable),
        (1, u64::from(!exploited)),
        (2, 3 - likely),
        (3, 7 - severity as u64),
        (1, u64::from(!kernel)),
        (1, u64::from(!by_advisory)),
        (32, u64::from(day)),
    ]
    .into_iter()
    .fold(0, |key, (bits, value)| key << bits | value)
}

/// Likelihoods in four classes: a difference of a hundredth is no reason to go first.
fn likelihood(score: Option<f32>) -> u64 {
    match score {
        Some(s) if s >= 0.5 => 3,
        Some(s) if s >= 0.1 => 2,
        Some(s) if s >= 0.01 => 1,
        _ => 0,
    }
}

/// Which advisories a newer version of a source closes, by the findings on it.
struct ClosedBy<'f> {
    scheme: muster_version::Scheme,
    fixes: Vec<(&'f str, &'f str, &'f str)>,
}

impl<'f> ClosedBy<'f> {
    fn of(findings: &'f [Finding], database: Database) -> Self {
        let fixes = findings.iter().filter_map(|finding| match &finding.about {
            About::Advisory(a) if a.patch.fix == Fix::Here => {
                let fixed = a.patch.packages.first()?.fixed.as_deref()?;
                Some((&*a.patch.source, fixed, &*finding.id))
            }
            _ => None,
        });
        Self { scheme: database.scheme(), fixes: fixes.collect() }
    }

    fn by(&self, source: &str, version: &str) -> Vec<String> {
        let closed = |(of, fixed, _): &&(&str, &str, &str)| {
            *of == source && self.scheme.compare_lenient(fixed, version).is_le()
        };
        self.fixes.iter().filter(closed).map(|(_, _, id)| (*id).to_owned()).collect()
    }
}
