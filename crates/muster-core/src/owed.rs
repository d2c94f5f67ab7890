//! What a server owes besides advisories: judged from the facts and the calendar alone.

pub mod applications;
mod cleartext;
mod held_kernel;
mod reboot;
mod removed;
mod restart;

pub use cleartext::cleartext_services;
pub use held_kernel::held_kernel;
pub use reboot::reboot;
pub use removed::removed_executables;
pub use restart::restarts;

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::catalog::{Distribution, Release, Support};
use crate::fact::{
    Archive, Database, Facts, Index, Obstacle, Os, Package, Reading, Trouble, TroubleKind,
};
use crate::finding::{
    About, ArchiveUpdate, Concerned, EndOfSupport, Finding, Severity, ThirdParty, UpdateChannel,
};
use crate::kernel;
use crate::time::{Date, Instant, day, days_between};
use crate::verdict::Verdict;

/// Days after which the indices of an archive say too little about today.
pub const INDEX_STALE_AFTER_DAYS: i64 = 7;

/// How a release is supported on a day, with the dates behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportState {
    /// The state.
    pub state: Support,
    /// The last day of the state; of support that needs no payment where it has ended.
    pub ends: Option<Date>,
}

/// Returns how the release of a server is supported; a release that no calendar knows is unknown.
pub fn support(os: &Os, today: Date) -> SupportState {
    match os.release() {
        Some(release) => SupportState { state: release.support(today), ends: release.ends },
        None => SupportState { state: Support::Unknown, ends: None },
    }
}

/// Judges the end of support of the server's release.
///
/// Paid support goes on for a server only where the service that mends the release itself is switched on, under a
/// contract that still runs: to be attached is not enough.
pub fn end_of_support(facts: &Facts, now: Instant) -> Option<Finding> {
    let os = facts.os.found()?;
    let (distribution, release) = (os.distribution()?, os.release()?);
    let today = day(now);
    let needs = match release.support(today) {
        Support::Supported | Support::Unknown => return None,
        Support::Subscription if is_paid_for(facts, distribution, now) => return None,
        Support::Subscription => distribution.paid_support,
        Support::Ended => None,
    };
    let successor = distribution.successor(release, today);
    let (lacks, way) =
        needs.map_or_else(Default::default, |paid| way_to(paid, distribution, facts, now));
    Some(Finding {
        id: format!("end-of-support:{}:{}", distribution.id, release.version).into(),
        verdict: Verdict::EndOfSupport,
        severity: Severity::Critical,
        title: (end_title(distribution, release, needs) + &lacks).into(),
        action: match (successor, needs) {
            (Some(next), None) => format!("upgrade to {} {}", distribution.name, next.version),
            (Some(next), Some(_)) => {
                format!("upgrade to {} {}, or {way}", distribution.name, next.version)
            }
            (None, Some(_)) => format!("{way}, or move to a supported distribution"),
            (None, None) => "move to a supported distribution".to_owned(),
        }
        .into(),
        about: About::EndOfSupport(Box::new(EndOfSupport {
            product: distribution.id.to_owned(),
            version: release.version.to_owned(),
            ended: release.ends,
            successor: successor.map(|r| r.version.to_owned()),
            needs: needs.map(str::to_owned),
            paid_until: release.paid_until,
        })),
    })
}

/// Takes the services off a subscription whose contract has run out: its archives refuse what they granted.
pub fn lapse(facts: &mut Facts, now: Instant) {
    if let Reading::Found(subscription) = &mut facts.subscription
        && subscription.is_over(now)
    {
        subscription.services.clear();
    }
}

/// Returns the service that mends a whole release after its free support, as [`crate::fact::Subscription`] names it.
fn service_of_release(distribution: &Distribution) -> Option<&'static str> {
    match distribution.id {
        "ubuntu" => Some("esm-infra"),
        "rhel" => Some("els"),
        _ => None,
    }
}

fn is_paid_for(facts: &Facts, distribution: &Distribution, now: Instant) -> bool {
    let service = service_of_release(distribution);
    let subscription = facts.subscription.found();
    subscription.zip(service).is_some_and(|(s, service)| s.grants(service, now))
}

/// Says what a server's subscription lacks, to be added to a title, and how to come to paid support.
fn way_to(
    paid: &str,
    distribution: &Distribution,
    facts: &Facts,
    now: Instant,
) -> (String, String) {
    let attached = facts.subscription.found().filter(|s| s.attached);
    let over = attached.and_then(|s| s.expires).filter(|until| *until <= now);
    match (attached, over, service_of_release(distribution)) {
        (Some(s), Some(until), _) => (
            format!(" (the contract ran out on {}: {})", day(until), s.source),
            format!("renew {paid}"),
        ),
        (Some(s), None, Some(service)) => (
            format!(" (attached, but {service} is not switched on: {})", s.source),
            format!("switch on {service} of {paid}"),
        ),
        _ => (String::new(), format!("attach {paid}")),
    }
}

fn end_title(distribution: &Distribution, release: &Release, needs: Option<&str>) -> String {
    let codename = release.codename.map_or(String::new(), |c| format!(" ({c})"));
    let ended = release.ends.map_or(String::new(), |d| format!(" since {d}"));
    match needs {
        Some(paid) => format!(
            "{} {}{codename} has been out of free support{ended}; only {paid} still brings fixes",
            distribution.name, release.version
        ),
        None => format!(
            "{} {}{codename} has been out of support{ended}: nobody fixes it",
            distribution.name, release.version
        ),
    }
}

/// Notes what could not be known of the distribution: none, one nobody knows, one without a calendar, one without packages.
pub fn distribution_obstacles(facts: &Facts, today: Date) -> Vec<Obstacle> {
    match &facts.os {
        Reading::Found(os) => {
            calendar_obstacle(os, today).into_iter().chain(no_packages(facts)).collect()
        }
        Reading::Absent => alloc::vec![Obstacle::new(
            "distribution",
            "no file tells which distribution this is (etc/os-release)"
        )],
        Reading::Unknown(obstacle) => alloc::vec![obstacle.clone()],
    }
}

/// No distribution is without packages; a database that could not be read has been told of already.
fn no_packages(facts: &Facts) -> Option<Obstacle> {
    let why = match &facts.database {
        Reading::Found(_) if !facts.packages.is_empty() => return None,
        Reading::Unknown(_) => return None,
        Reading::Found(database) => {
            format!("the package database of {} names no package", database.name())
        }
        Reading::Absent => {
            "no package database was found, or an empty one: neither dpkg's status nor one of rpm or apk"
                .to_owned()
        }
    };
    Some(Obstacle::new("packages", format!("{why}; what is installed is not known")))
}

fn calendar_obstacle(os: &Os, today: Date) -> Option<Obstacle> {
    let version = os.version.as_deref().or(os.codename.as_deref()).unwrap_or("without a version");
    if support(os, today).state != Support::Unknown {
        return None;
    }
    let why = match os.distribution() {
        None => format!(
            "{} {version} is no distribution that Muster knows: its support and its advisories cannot be told",
            os.id
        ),
        Some(d) if d.kin.is_some() => format!(
            "{} is built from {} but has support and advisories of its own, which Muster does not have",
            d.name,
            d.kin.unwrap_or_default()
        ),
        Some(d) => {
            format!("the calendar of {} (as of {}) has no dates for {version}", d.name, d.as_of)
        }
    };
    Some(Obstacle::new("end of support", why))
}

/// Notes the kernels that run, or that the next boot starts, and that no package holds: no advisory speaks of them.
pub fn kernel_obstacles(facts: &Facts) -> Vec<Obstacle> {
    let Some(database) = facts.database.found().filter(|_| !facts.packages.is_empty()) else {
        return Vec::new();
    };
    let (running, next) = (facts.kernels.running.found(), facts.kernels.next_boot.found());
    // The kernel of a container is its host's: this server cannot answer for it.
    let running = running.filter(|_| facts.running.container.is_none());
    let next = next.filter(|release| Some(*release) != running);
    let stray = |(what, release): (&str, Option<&String>)| {
        let release = release?;
        if facts.packages.iter().any(|p| kernel::holds(p, *database, release)) {
            return None;
        }
        Some(Obstacle::new(
            format!("{what} {release}"),
            "no installed package holds it: it is the provider's, was built here, or its package was removed; no advisory speaks of it, so ask whoever built it",
        ))
    };
    [("the running kernel", running), ("the kernel of the next boot", next)]
        .into_iter()
        .filter_map(stray)
        .collect()
}

/// Judges what the archive indices on the machine offer, one finding a source package and pocket.
///
/// `closed_by` returns the advisories that a version of a source is known to close.
pub fn archive_updates(
    facts: &Facts,
    database: Database,
    closed_by: &dyn Fn(&str, &str) -> Vec<String>,
) -> Vec<Finding> {
    let Some(archive) = facts.archive.found() else { return Vec::new() };
    let installed: BTreeMap<(&str, &str), &Package> =
        facts.packages.iter().map(|p| ((p.name.as_str(), p.architecture.as_str()), p)).collect();
    let mut groups: BTreeMap<Key<'_>, (Vec<Concerned>, Vec<String>)> = BTreeMap::new();
    for candidate in &archive.candidates {
        let Some(package) =
            installed.get(&(candidate.name.as_str(), candidate.architecture.as_str()))
        else {
            continue;
        };
        let security = candidate.security || candidate.security_version.is_some();
        let kept_back = candidate.kept_back.as_deref().map(|why| (why, package.held));
        let key = (candidate.source.as_str(), candidate.pocket.as_str(), security, kept_back);
        let (packages, advisories) = groups.entry(key).or_default();
        packages.push(Concerned::new(package, Some(&candidate.version)));
        advisories.extend(candidate.advisories.iter().cloned());
        advisories.extend(closed_by(&candidate.source, &candidate.source_version));
    }
    groups
        .into_iter()
        .map(|(key, (packages, advisories))| archive_update(key, packages, advisories, database))
        .collect()
}

/// Source, pocket, whether it is security; what keeps it back, and whether that is a hold of the packages.
type Key<'a> = (&'a str, &'a str, bool, Option<(&'a str, bool)>);

fn archive_update(
    (source, pocket, security, kept_back): Key<'_>,
    packages: Vec<Concerned>,
    mut advisories: Vec<String>,
    database: Database,
) -> Finding {
    advisories.sort();
    advisories.dedup();
    let version = packages.first().and_then(|p| p.fixed.clone()).unwrap_or_default();
    let kind = if security { "security update" } else { "update" };
    let held = kept_back.map_or(String::new(), |(why, _)| format!(" ({why})"));
    let upgrade = || crate::action::upgrade(database, &packages);
    Finding {
        id: format!("archive-update:{pocket}:{source}").into(),
        verdict: if security { Verdict::Missing } else { Verdict::Owed },
        severity: Severity::Unknown,
        title: format!("{source}: {kind} {version} in {pocket}{held}").into(),
        action: match (kept_back, database) {
            (None, _) => upgrade(),
            (Some((_, true)), Database::Dpkg) => {
                let names = packages.iter().map(|p| &*p.name);
                format!("{} && {}", crate::action::on("apt-mark unhold", names), upgrade())
            }
            // What stands in the way is said; which way around it is right is for a person to say.
            (Some(_), _) => String::new(),
        }
        .into(),
        about: About::ArchiveUpdate(Box::new(ArchiveUpdate {
            source: source.to_owned(),
            packages,
            pocket: pocket.to_owned(),
            security,
            advisories,
            kept_back: kept_back.map(|(why, _)| why.to_owned()),
        })),
    }
}

/// Judges what keeps updates from arriving: what the inspection met, and indices that are old or have expired.
pub fn update_channel(facts: &Facts, now: Instant) -> Vec<Finding> {
    let mut troubles: Vec<Trouble> = facts.troubles.clone();
    if let Some(archive) = facts.archive.found() {
        troubles.extend(archive.indices.iter().filter_map(|index| expired(index, now)));
        troubles.extend(stale(archive, now));
    }
    troubles.sort();
    troubles.dedup_by(|a, b| (a.kind, &a.subject) == (b.kind, &b.subject));
    troubles.into_iter().map(trouble).collect()
}

fn expired(index: &Index, now: Instant) -> Option<Trouble> {
    let until = index.valid_until.filter(|until| *until < now)?;
    Some(Trouble {
        kind: TroubleKind::SourceExpired,
        subject: format!("{} {}", index.site, index.codename),
        why: format!("its index passed its own end of validity on {} ({})", day(until), index.file),
        remedy: None,
    })
}

/// The newest official index tells when updates were last looked for.
fn stale(archive: &Archive, now: Instant) -> Option<Trouble> {
    let newest = archive.indices.iter().filter(|i| i.official).filter_map(|i| i.date).max()?;
    let age = days_between(day(newest), day(now));
    (age > INDEX_STALE_AFTER_DAYS).then(|| Trouble {
        kind: TroubleKind::SourceStale,
        subject: "package indices".to_owned(),
        why: format!("the newest index on this machine is {age} days old ({}): what came out since is not in it", day(newest)),
        remedy: None,
    })
}

fn trouble(trouble: Trouble) -> Finding {
    Finding {
        id: format!("update-channel:{}:{}", trouble.kind.name(), trouble.subject).into(),
        verdict: Verdict::Owed,
        severity: match trouble.kind {
            TroubleKind::SourceUnsigned | TroubleKind::SecuritySourceMissing => Severity::High,
            TroubleKind::Held
            | TroubleKind::KernelHeldBack
            | TroubleKind::HalfConfigured
            | TroubleKind::SourceExpired
            | TroubleKind::SourceUnreachable
            | TroubleKind::AutomaticFailing => Severity::Medium,
            TroubleKind::AutomaticOff | TroubleKind::SourceStale => Severity::Low,
        },
        title: format!("{}: {}", trouble.subject, trouble.why).into(),
        action: trouble.remedy.unwrap_or_default().into(),
        about: About::UpdateChannel(UpdateChannel {
            problem: trouble.kind,
            subject: trouble.subject,
        }),
    }
}

/// Names the packages that no advisory of the distributor speaks for, one finding an origin, and those that no archive
/// knows.
pub fn third_party(facts: &Facts) -> Vec<Finding> {
    let unlisted: BTreeSet<(&str, &str)> = facts
        .archive
        .found()
        .into_iter()
        .flat_map(|archive| &archive.unlisted)
        .map(|(name, architecture)| (name.as_str(), architecture.as_str()))
        .collect();
    let mut origins: BTreeMap<Option<&str>, Vec<Concerned>> = BTreeMap::new();
    for package in &facts.packages {
        let origin = if is_third_party(package, facts) {
            Some(package.origin.as_deref().unwrap_or("backports"))
        } else if unlisted.contains(&(package.name.as_str(), package.architecture.as_str())) {
            None
        } else {
            continue;
        };
        origins.entry(origin).or_default().push(Concerned::new(package, None));
    }
    origins
        .into_iter()
        .map(|(origin, packages)| {
            let count = packages.len();
            let packages_word = if count == 1 { "1 package" } else { &format!("{count} packages") };
            let (title, action) = match origin {
                Some(origin) => (
                    format!(
                        "{packages_word} from {origin}: no advisory of the distribution speaks for them"
                    ),
                    "watch the announcements of that origin yourself",
                ),
                None => (
                    format!(
                        "{packages_word} of unknown origin ({}): no archive that this machine knows has them",
                        some_names(&packages)
                    ),
                    "find out who made them, and watch the announcements yourself",
                ),
            };
            let origin = origin.unwrap_or("unknown");
            Finding {
                id: format!("third-party:{origin}").into(),
                verdict: Verdict::Unknown,
                severity: Severity::Unknown,
                title: title.into(),
                action: action.into(),
                about: About::ThirdParty(ThirdParty { packages, origin: origin.to_string() }),
            }
        })
        .collect()
}

/// Returns the names of the first packages, and how many more there are.
fn some_names(packages: &[Concerned]) -> String {
    const SOME: usize = 3;
    let names: BTreeSet<&str> = packages.iter().map(|p| &*p.name).collect();
    let mut said = names.iter().take(SOME).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SOME {
        said += &format!(" and {} more", names.len() - SOME);
    }
    said
}

/// Tells whether a package comes from somebody else than the distributor, as far as the machine can prove it.
pub fn is_third_party(package: &Package, facts: &Facts) -> bool {
    if is_backport(package) {
        return true;
    }
    let Some(origin) = package.origin.as_deref() else { return false };
    let official = |i: &Index| i.official && i.origin == origin;
    !facts.archive.found().is_some_and(|archive| archive.indices.iter().any(official))
}

/// Tells a backport by its version, as Debian and Ubuntu make it: `6.1.12-1~bpo11+1`.
///
/// It is built from a later release, whose fixes have other versions than those of this one: by the order of versions it
/// would be mended for ever. The distributors' advisories do not speak of backports.
fn is_backport(package: &Package) -> bool {
    // Few versions have a tilde, and one character is found faster than a word.
    let mut words = package.version.split('~').skip(1);
    words.any(|word| {
        word.strip_prefix("bpo").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::fact::{Candidate, Subscription};

    fn at(text: &str) -> Instant {
        text.parse().expect("an instant")
    }

    fn facts(id: &str, version: &str, subscription: Option<(&str, Option<&str>)>) -> Facts {
        let os = Os { id: id.into(), version: Some(version.into()), ..Os::default() };
        let subscription = subscription.map(|(services, expires)| Subscription {
            attached: true,
            services: services.split_whitespace().map(String::from).collect(),
            expires: expires.map(at),
            source: "/status".into(),
        });
        Facts {
            os: Reading::Found(os),
            subscription: subscription.map_or(Reading::Absent, Reading::Found),
            ..Facts::default()
        }
    }

    #[test]
    fn the_end_of_support_is_hidden_only_by_the_service_that_mends_the_release() {
        let now = at("2026-11-23T06:00:00Z");
        let title = |facts: &Facts| end_of_support(facts, now).map(|f| f.title.to_string());
        let bionic = |services, expires| facts("ubuntu", "18.04", Some((services, expires)));
        for hidden in [
            bionic("esm-apps esm-infra", None),
            bionic("esm-infra", Some("2026-11-23T06:00:01Z")),
            facts("rhel", "7", Some(("els entitlement", None))),
            facts("ubuntu", "24.04", None),
        ] {
            assert_eq!(title(&hidden), None);
        }
        for (told, why) in [
            (facts("ubuntu", "18.04", None), "only Ubuntu Pro still brings fixes"),
            (bionic("", None), "attached, but esm-infra is not switched on: /status"),
            (bionic("esm-apps livepatch", None), "esm-infra is not switched on"),
            (bionic("esm-infra", Some("2026-11-23T06:00:00Z")), "ran out on 2026-11-23: /status"),
            (bionic("esm-infra", Some("2022-01-01T00:00:00Z")), "ran out on 2022-01-01"),
            (facts("rhel", "7", Some(("entitlement", None))), "els is not switched on"),
        ] {
            let title = title(&told).expect(why);
            assert!(title.contains(why), "{title}");
        }
    }

    #[test]
    fn a_kernel_without_a_package_is_told_where_one_runs_or_will() {
        let all = [Package { name: "linux-image-6.1.0-18-amd64".into(), ..Package::default() }];
        let told = |running: Option<&str>, next: Option<&str>, packages: &[Package]| {
            let mut facts = facts("debian", "12", None);
            let reading = |r: Option<&str>| r.map_or(Reading::Absent, |r| Reading::Found(r.into()));
            facts.database = Reading::Found(Database::Dpkg);
            facts.packages = packages.to_vec();
            facts.kernels.running = reading(running);
            facts.kernels.next_boot = reading(next);
            kernel_obstacles(&facts).into_iter().map(|o| o.what).collect::<Vec<_>>()
        };
        let (own, other) = (Some("6.1.0-18-amd64"), Some("6.9.0-custom"));
        assert_eq!(told(None, None, &all), [""; 0]);
        assert_eq!(told(own, own, &all), [""; 0]);
        assert_eq!(told(other, other, &all), ["the running kernel 6.9.0-custom"]);
        assert_eq!(told(own, other, &all), ["the kernel of the next boot 6.9.0-custom"]);
        assert_eq!(told(other, None, &all), ["the running kernel 6.9.0-custom"]);
        assert_eq!(told(other, other, &[]), [""; 0], "a database without packages is told itself");
    }

    #[test]
    fn a_backport_is_of_no_release_that_advisories_speak_of() {
        let index = Index { official: true, origin: "Debian Backports".into(), ..Index::default() };
        let archive = Archive { indices: vec![index], ..Archive::default() };
        let mut facts = facts("debian", "11", None);
        let package = |version: &str, origin: Option<&str>| Package {
            name: "a".into(),
            version: version.into(),
            origin: origin.map(String::from),
            ..Package::default()
        };
        let (plain, backport) = ("5.10.162-1", "6.1.12-1~bpo11+1");
        for archive in [Reading::Absent, Reading::Found(archive)] {
            facts.archive = archive;
            for origin in [None, Some("Debian Backports")] {
                assert!(is_third_party(&package(backport, origin), &facts));
            }
            assert!(is_third_party(&package("1:2.0-1~bpo22.04.1", None), &facts));
            for version in [plain, "1.0~bpo", "1.0-1+deb11u1", "1.0bpo1-1"] {
                assert!(!is_third_party(&package(version, None), &facts), "{version}");
            }
        }
        facts.packages = vec![package(backport, None), package(backport, Some("Debian Backports"))];
        let told: Vec<String> = third_party(&facts).iter().map(|f| f.id.to_string()).collect();
        assert_eq!(told, ["third-party:Debian Backports", "third-party:backports"]);
    }

    #[test]
    fn a_contract_that_ran_out_grants_nothing() {
        let mut facts = facts("ubuntu", "18.04", Some(("esm-infra", Some("2022-01-01T00:00:00Z"))));
        lapse(&mut facts, at("2021-12-31T23:59:59Z"));
        assert_eq!(facts.subscription.found().map(|s| s.services.len()), Some(1));
        lapse(&mut facts, at("2022-01-01T00:00:00Z"));
        assert_eq!(facts.subscription.found().map(|s| s.services.clone()), Some(vec![]));
    }

    const TODAY: Date = Date::constant(2026, 11, 23);

    fn bookworm() -> Facts {
        let os = Os { id: "debian".into(), version: Some("12".into()), ..Os::default() };
        Facts { os: Reading::Found(os), ..Facts::default() }
    }

    fn package(name: &str) -> Package {
        Package { name: name.into(), version: "1".into(), ..Package::default() }
    }

    #[test]
    fn a_distribution_without_packages_is_not_known() {
        let told = |facts: &Facts| {
            let obstacles = distribution_obstacles(facts, TODAY);
            obstacles.into_iter().map(|o| format!("{}: {}", o.what, o.why)).collect::<String>()
        };
        let mut facts = bookworm();
        assert!(told(&facts).starts_with("packages: no package database was found"));
        for database in [Database::Dpkg, Database::Rpm, Database::Apk] {
            facts.database = Reading::Found(database);
            facts.packages = Vec::new();
            assert!(told(&facts).contains("names no package"));
            facts.packages = vec![package("a")];
            assert_eq!(told(&facts), "");
        }
        facts.packages = Vec::new();
        facts.database = Reading::Unknown(Obstacle::new("x", "told elsewhere"));
        assert_eq!(told(&facts), "");
    }

    #[test]
    fn what_no_archive_knows_is_unknown_and_named() {
        let names = ["a", "kubectl", "gcloud", "x", "y"];
        let mut facts = bookworm();
        facts.packages = names.map(package).to_vec();
        let unlisted = names[1..].iter().map(|name| ((*name).into(), String::new())).collect();
        facts.archive = Reading::Found(Archive { unlisted, ..Archive::default() });
        let findings = third_party(&facts);
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert_eq!((&*finding.id, finding.verdict), ("third-party:unknown", Verdict::Unknown));
        assert_eq!(
            &*finding.title,
            "4 packages of unknown origin (gcloud, kubectl, x and 1 more): no archive that this machine knows has them"
        );
    }

    #[test]
    fn what_is_kept_back_is_said_once_and_a_hold_is_lifted_by_a_command() {
        let mut facts = bookworm();
        facts.packages = ["pinned", "x;reboot"].map(package).to_vec();
        facts.packages[1].held = true;
        let candidate = |name: &str| Candidate {
            name: name.into(),
            source: name.into(),
            version: "2".into(),
            kept_back: Some("for a reason".into()),
            ..Candidate::default()
        };
        let candidates = ["pinned", "x;reboot"].map(candidate).to_vec();
        facts.archive = Reading::Found(Archive { candidates, ..Archive::default() });
        let findings = archive_updates(&facts, Database::Dpkg, &|_, _| Vec::new());
        let actions: Vec<&str> = findings.iter().map(|f| &*f.action).collect();
        assert_eq!(
            actions,
            ["", "apt-mark unhold 'x;reboot' && apt-get install --only-upgrade 'x;reboot'"]
        );
        assert!(findings.iter().all(|f| f.title.contains("for a reason")));
    }
}
