//! Holds web applications, their parts, and packages of languages against what speaks of upstream's own releases: the
//! sections of the language ecosystems and of CPE, and the calendars of support.
//!
//! What a package of the distribution owns is not judged here: its distributor mends it under upstream's old number. One
//! finding a copy; the worst verdict leads, everything else is listed in it. The sections are read only where there is
//! something to hold against them.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::advisory::{By, SupportLine};
use muster_core::application::{LanguagePackage, WebApplication};
use muster_core::catalog;
use muster_core::fact::{Facts, Obstacle};
use muster_core::finding::{
    About, ApplicationFinding, Finding, LanguageFinding, Severity, Signals,
};
use muster_core::owed::applications::{Branches, Upstream, without_core};
use muster_core::time::Date;
use muster_core::verdict::{self, Verdict};
use muster_version::Scheme;

use super::Matched;
use super::flaws::{Flaws, Gathering, Judged};
use crate::compile::{owned_line, scheme_of};
use crate::error::Error;
use crate::file::AdvisoryFile;
use crate::section::Section;

/// Names that are listed before the rest is only counted.
const LISTED: usize = 8;

/// Judges the applications and packages of languages of `facts`; `all` also tells what owes nothing.
pub fn judge(
    file: Option<&AdvisoryFile>,
    facts: &Facts,
    today: Date,
    all: bool,
) -> Result<Matched, Error> {
    let mut matched = Matched::default();
    if facts.applications.is_empty() && facts.languages.is_empty() {
        return Ok(matched);
    }
    let subjects: BTreeMap<Key<'_>, Subject> =
        facts.applications.iter().map(|a| (key(a), Subject::of(a))).collect();
    let languages = facts.languages.iter().filter(|l| l.owner_package.is_none());
    let ecosystems: BTreeSet<&str> = subjects
        .values()
        .flat_map(|s| s.names.iter().map(|(ecosystem, _)| *ecosystem))
        .chain(languages.map(|l| l.ecosystem.as_str()))
        .collect();
    let mut read: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut lines: Vec<SupportLine<'static>> = Vec::new();
    if let Some(file) = file {
        for ecosystem in ecosystems {
            if let Some(bytes) = file.release(ecosystem)? {
                read.insert(ecosystem, bytes);
            }
        }
        let calendars: BTreeSet<&str> = subjects.values().filter_map(|s| s.calendar).collect();
        if !calendars.is_empty() {
            file.calendar(&mut |line| {
                if calendars.contains(&*line.product) {
                    lines.push(owned_line(line));
                }
            })?;
        }
    }
    let mut sections: BTreeMap<&str, Section<'_>> = BTreeMap::new();
    for (ecosystem, bytes) in &read {
        sections.insert(ecosystem, Section::new(bytes)?);
    }
    let source = Source { sections, lines: &lines, given: file.is_some(), today, all };
    let mut unspoken: Unspoken<'_> = BTreeMap::new();
    for (key, subject) in &subjects {
        let copies = facts.applications.iter().filter(|a| self::key(a) == *key);
        source.product(subject, copies, &mut unspoken, &mut matched);
    }
    matched
        .obstacles
        .extend(unspoken.into_iter().map(|(kind, names)| no_advisories(&kind, &names)));
    source.languages(&facts.languages, &mut matched);
    matched.findings.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(matched)
}

/// The application that it is a part of, what kind of part, and its own slug.
type Key<'f> = (Option<&'f str>, Option<&'f str>, &'f str);

/// What no advisory speaks of: products, or a product's kind of part with the parts.
type Unspoken<'f> = BTreeMap<String, BTreeSet<&'f str>>;

fn key(application: &WebApplication) -> Key<'_> {
    (application.part_of.as_deref(), application.part.as_deref(), &application.product)
}

/// A product or a part of one, as advisories and calendars know it.
struct Subject {
    /// As people write it: `MediaWiki`, `the WordPress plugin akismet`.
    name: String,
    /// What its obstacle is filed under: the product, or the kind of part.
    kind: String,
    names: Vec<(&'static str, String)>,
    /// Of a part, how the names of all of its kind begin.
    prefixes: Vec<(&'static str, &'static str)>,
    order: Scheme,
    calendar: Option<&'static str>,
}

impl Subject {
    fn of(found: &WebApplication) -> Self {
        let application = catalog::application(found.part_of.as_ref().unwrap_or(&found.product));
        let order = application.map_or(Scheme::Composer, |a| a.order);
        let slug = &found.product;
        let Some(of) = &found.part_of else {
            let names = application.map_or(&[][..], |a| a.names).iter();
            let name = application.map_or(slug.as_str(), |a| a.name).to_owned();
            return Self {
                kind: name.clone(),
                name,
                names: names.map(|(ecosystem, name)| (*ecosystem, (*name).to_owned())).collect(),
                prefixes: Vec::new(),
                order,
                calendar: application.and_then(|a| a.calendar),
            };
        };
        let part = found.part.as_deref().unwrap_or("part");
        let of = application.map_or(of.as_str(), |a| a.name);
        // A slug without a vendor of its own (`*:akismet`) is anybody's: advisories by it would be other people's.
        let patterns = application.and_then(|a| a.part(part)).map_or(&[][..], |p| p.names);
        let patterns: Vec<(&'static str, &'static str)> = patterns
            .iter()
            .filter_map(|(ecosystem, pattern)| Some((*ecosystem, pattern.strip_suffix("{slug}")?)))
            .filter(|(_, prefix)| !prefix.starts_with('*') && !prefix.is_empty())
            .collect();
        let lower = slug.to_lowercase();
        Self {
            name: format!("the {of} {part} {slug}"),
            kind: format!("{part}s of {of}"),
            names: patterns.iter().map(|(e, prefix)| (*e, format!("{prefix}{lower}"))).collect(),
            prefixes: patterns,
            order,
            calendar: None,
        }
    }
}

/// What findings are made from.
struct Source<'s> {
    sections: BTreeMap<&'s str, Section<'s>>,
    lines: &'s [SupportLine<'static>],
    /// Whether there is an advisory file at all.
    given: bool,
    today: Date,
    all: bool,
}

impl<'s> Source<'s> {
    /// Judges every copy of a product.
    fn product<'f>(
        &'s self,
        subject: &Subject,
        copies: impl Iterator<Item = &'f WebApplication>,
        unspoken: &mut Unspoken<'f>,
        matched: &mut Matched,
    ) {
        let branches =
            Branches::of(subject.calendar.unwrap_or_default(), subject.order, self.lines);
        let mut flaws: Option<(Flaws<'s>, bool)> = None;
        for copy in copies {
            if let Some(package) = &copy.owner_package {
                if self.all {
                    matched.findings.push(packaged(subject, copy, package));
                }
                continue;
            }
            // The names of modules for Drupal 7 and before are those of the modules for 8: their numbers are not.
            if let (Some(core), _) = own_version(copy, copy.version.as_deref().unwrap_or_default())
                && core < FIRST_SPOKEN_CORE
            {
                let kind = format!("{} for its version {core}", subject.kind);
                unspoken.entry(kind).or_default().insert(&copy.product);
                continue;
            }
            let (flaws, spoken) = flaws.get_or_insert_with(|| self.flaws(subject, &branches));
            if !*spoken && self.given {
                unspoken.entry(subject.kind.clone()).or_default().insert(&copy.product);
            }
            let judging =
                Judging { subject, flaws, branches: &branches, spoken: *spoken, source: self };
            matched.findings.extend(judging.copy(copy));
        }
        if let Some((flaws, _)) = flaws {
            matched.obstacles.extend(undecided(&subject.name, &flaws));
        }
    }

    /// Gathers the flaws of a product, and tells whether anything speaks of it.
    fn flaws(&'s self, subject: &Subject, branches: &Branches<'s>) -> (Flaws<'s>, bool) {
        let mut gathering = Gathering::new(subject.order);
        let mut spoken = false;
        for (ecosystem, name) in &subject.names {
            let Some(section) = self.sections.get(ecosystem) else { continue };
            if let Some(listed) = section.package(name, By::Source) {
                gathering.add(section, &listed);
                spoken = true;
            }
        }
        // Advisories that speak of others of its kind, and not of it, say that nothing is known against it.
        let of_kind = |(ecosystem, prefix): &(&str, &str)| {
            let section = self.sections.get(ecosystem);
            section.is_some_and(|s| s.packages().any(|p| p.name.starts_with(prefix)))
        };
        let spoken = spoken || subject.prefixes.iter().any(of_kind);
        (gathering.finish(branches), spoken)
    }

    fn languages(&'s self, packages: &[LanguagePackage], matched: &mut Matched) {
        let mut known: BTreeMap<(&str, &str), Flaws<'s>> = BTreeMap::new();
        let mut silent: BTreeSet<&str> = BTreeSet::new();
        for package in packages {
            if package.owner_package.is_some() {
                if self.all {
                    matched.findings.push(packaged_language(package));
                }
                continue;
            }
            let Some(section) = self.sections.get(package.ecosystem.as_str()) else {
                silent.insert(&package.ecosystem);
                continue;
            };
            let order = scheme_of(&package.ecosystem);
            let branches = Branches::of("", order, &[]);
            let key = (package.ecosystem.as_str(), package.name.as_str());
            let flaws = known.entry(key).or_insert_with(|| {
                let mut gathering = Gathering::new(order);
                if let Some(listed) = section.package(&package.name, By::Source) {
                    gathering.add(section, &listed);
                }
                gathering.finish(&branches)
            });
            let judged = flaws
                .can_tell(&package.version)
                .then(|| flaws.judge(&package.version, &branches, self.today));
            matched.findings.extend(language(package, judged, flaws.is_empty(), self.all));
        }
        for ((ecosystem, name), flaws) in &known {
            matched.obstacles.extend(undecided(&format!("{name} ({ecosystem})"), flaws));
        }
        if self.given {
            matched.obstacles.extend(silent.into_iter().map(|ecosystem| {
                Obstacle::new(
                    format!("packages of {ecosystem}"),
                    "the advisory file says nothing of them: build it with the feeds of that ecosystem",
                )
            }));
        }
    }
}

/// Of modules that name the core they are for, advisories speak from this one on.
const FIRST_SPOKEN_CORE: u32 = 8;

/// Returns the core that a part is for, where its version begins with that, and its own version.
fn own_version(copy: &WebApplication, version: &str) -> (Option<u32>, String) {
    if copy.part_of.is_some() { without_core(version) } else { (None, version.to_owned()) }
}

/// The judging of one copy.
struct Judging<'j> {
    subject: &'j Subject,
    flaws: &'j Flaws<'j>,
    branches: &'j Branches<'j>,
    spoken: bool,
    source: &'j Source<'j>,
}

impl Judging<'_> {
    fn copy(&self, copy: &WebApplication) -> Option<Finding> {
        // What no advisory names has no version that could be wrong; of an application itself it is a debt to know it.
        let matters = copy.part_of.is_none() || !self.flaws.is_empty();
        let name = bare(&self.subject.name);
        let own = copy.version.as_deref().map(|v| own_version(copy, v).1);
        let (title, action) = match (&copy.version, own) {
            (Some(version), Some(own)) if self.flaws.can_tell(&own) => {
                let judged = self.flaws.judge(&own, self.branches, self.source.today);
                let standing = self.branches.standing(&own, self.source.today);
                return self.known(copy, version, &own, judged, standing);
            }
            (Some(version), _) => (
                format!(
                    "{name} {version} at {}: its version cannot be compared with those that advisories name",
                    copy.path
                ),
                format!("see at upstream whether {version} is mended, or remove {}", copy.path),
            ),
            (None, _) => (
                format!("{name} of unknown version at {}", copy.path),
                format!("find out which version lies at {} and update it, or remove it", copy.path),
            ),
        };
        if matters {
            return Some(self.unknown(copy, title, action));
        }
        self.source.all.then(|| self.unknown(copy, title, String::new()))
    }

    fn unknown(&self, copy: &WebApplication, title: String, action: String) -> Finding {
        let severity = Severity::Unknown;
        finding(
            copy,
            Verdict::Unknown,
            severity,
            title,
            out_of_reach(copy).unwrap_or(action),
            about(copy),
        )
    }

    fn known(
        &self,
        copy: &WebApplication,
        version: &str,
        own: &str,
        judged: Judged,
        standing: Upstream,
    ) -> Option<Finding> {
        let ended = matches!(standing, Upstream::Ended(_)).then_some(Verdict::EndOfSupport);
        let verdict = [judged.verdict, ended].into_iter().flatten().reduce(verdict::worst);
        let verdict = match verdict {
            Some(verdict) => verdict,
            None if !self.source.all => return None,
            None if self.spoken => Verdict::NotAffected,
            None => Verdict::Unknown,
        };
        let mut says: Vec<String> = Vec::new();
        if !judged.ids.is_empty() {
            says.push(flaws_said(&judged));
        }
        let day = match standing {
            Upstream::Ended(day) => {
                says.push(day.map_or("upstream mends its branch no more".to_owned(), |day| {
                    format!("upstream ended its branch on {day}")
                }));
                day
            }
            Upstream::Supported | Upstream::Unknown => None,
        };
        if says.is_empty() {
            says.push(
                if self.spoken { "no known flaw" } else { "no advisories for it in the file" }
                    .into(),
            );
        }
        let target = self.target(own, judged.fixed.as_deref(), standing);
        let title =
            format!("{} {version} at {}: {}", bare(&self.subject.name), copy.path, says.join("; "));
        let action = if verdict.is_owed(true) && verdict != Verdict::Unknown {
            out_of_reach(copy).unwrap_or_else(|| self.action(copy, verdict, target.as_ref()))
        } else {
            String::new()
        };
        // What nobody mends any more is worse by itself than any flaw of middling weight that is known today.
        let severity =
            if ended.is_some() { judged.severity.max(Severity::High) } else { judged.severity };
        let about = ApplicationFinding {
            cves: judged.ids.iter().map(ToString::to_string).collect(),
            fixed: judged.fixed,
            ended: day,
            latest: target.map(|(version, _)| version),
            signals: judged.signals,
            ..about(copy)
        };
        Some(finding(copy, verdict, severity, title, action, about))
    }

    fn action(
        &self,
        copy: &WebApplication,
        verdict: Verdict,
        target: Option<&(String, String)>,
    ) -> String {
        let (name, path) = (&self.subject.name, &copy.path);
        match target {
            Some((version, from)) => {
                format!("update {name} at {path} to {version} ({from}) or remove it")
            }
            None if verdict == Verdict::EndOfSupport => {
                format!("move {name} at {path} to a branch that upstream mends, or remove it")
            }
            None => format!("no fix yet: limit who can reach {path}, or remove it"),
        }
    }

    /// Returns the version to go to, and where it comes from.
    fn target(
        &self,
        version: &str,
        fixed: Option<&str>,
        standing: Upstream,
    ) -> Option<(String, String)> {
        let order = self.subject.order;
        let newer = |than: &str, v: &str| order.compare_lenient(v, than).is_ge();
        let enough = |v: &str| {
            fixed.is_none_or(|fixed| newer(fixed, v)) && order.compare_lenient(v, version).is_gt()
        };
        let ended = matches!(standing, Upstream::Ended(_));
        let own = self.branches.branch(version).filter(|_| !ended);
        if let Some(latest) = own.and_then(|line| line.latest.as_deref()).filter(|v| enough(v)) {
            return Some((latest.to_owned(), "upstream's newest of its branch".to_owned()));
        }
        if !ended && let Some(fixed) = fixed {
            let from = match self.branches.branch(version) {
                Some(own) if self.branches.branch(fixed) != Some(own) => {
                    "the oldest that mends them, in another branch"
                }
                _ => "the oldest that mends them",
            };
            return Some((fixed.to_owned(), from.to_owned()));
        }
        let supported = self.branches.supported(self.source.today);
        let next = supported.iter().find_map(|line| {
            let latest = line.latest.as_deref().filter(|v| enough(v))?;
            Some((latest.to_owned(), format!("upstream's newest of the branch {}", line.version)))
        });
        next.or_else(|| Some((fixed?.to_owned(), "the oldest that mends them".to_owned())))
    }
}

fn flaws_said(judged: &Judged) -> String {
    let said = match judged.ids.len() {
        1 => "1 known flaw".to_owned(),
        n => format!("{n} known flaws"),
    };
    match (&judged.fixed, judged.verdict) {
        (Some(fixed), _) => format!("{said}, fixed in {fixed}"),
        (None, Some(Verdict::WontFix)) => format!("{said}, that upstream will not fix"),
        (None, _) => format!("{said}, no fix yet"),
    }
}

/// What nobody uses is better gone than new.
fn out_of_reach(copy: &WebApplication) -> Option<String> {
    copy.copy
        .as_ref()
        .map(|_| format!("remove {}, or take it out of the web server's reach", copy.path))
}

fn about(copy: &WebApplication) -> ApplicationFinding {
    ApplicationFinding {
        product: copy.product.clone(),
        version: copy.version.clone(),
        path: copy.path.clone(),
        owner_package: copy.owner_package.clone(),
        part_of: copy.part_of.clone().map(|of| (of, copy.part.clone().unwrap_or_default())),
        account: copy.account.clone(),
        served_by: copy.served_by.clone(),
        copy: copy.copy.clone(),
        evidence: copy.evidence.clone(),
        cves: Vec::new(),
        fixed: None,
        ended: None,
        latest: None,
        signals: Signals::default(),
    }
}

fn finding(
    copy: &WebApplication,
    verdict: Verdict,
    severity: Severity,
    title: String,
    action: String,
    about: ApplicationFinding,
) -> Finding {
    Finding {
        id: format!("web-application:{}:{}", copy.product, copy.path).into(),
        verdict,
        severity,
        title: title.into(),
        action: action.into(),
        about: About::WebApplication(Box::new(about)),
    }
}

fn packaged(subject: &Subject, copy: &WebApplication, package: &str) -> Finding {
    let version = copy.version.as_ref().map_or(String::new(), |v| format!(" {v}"));
    let title = format!(
        "{}{version} at {}: packaged, judged as the package {package}",
        bare(&subject.name),
        copy.path
    );
    finding(copy, Verdict::NotAffected, Severity::Unknown, title, String::new(), about(copy))
}

fn language(
    package: &LanguagePackage,
    judged: Option<Judged>,
    clean: bool,
    all: bool,
) -> Option<Finding> {
    let what =
        format!("{} {} ({}) at {}", package.name, package.version, package.ecosystem, package.path);
    let Some(judged) = judged else {
        // A version that cannot be told is of no weight where no advisory speaks of the package.
        if clean && !all {
            return None;
        }
        let verdict = if clean { Verdict::NotAffected } else { Verdict::Unknown };
        let title =
            format!("{what}: its version cannot be compared with those that advisories name");
        let action = if clean {
            String::new()
        } else {
            format!("see whether {} {} is affected", package.name, package.version)
        };
        return Some(language_finding(package, verdict, title, action, Judged::default()));
    };
    let Some(verdict) = judged.verdict else {
        return all.then(|| {
            let title = format!("{what}: no known flaw");
            language_finding(package, Verdict::NotAffected, title, String::new(), judged)
        });
    };
    let title = format!("{what}: {}", flaws_said(&judged));
    let action = match &judged.fixed {
        Some(fixed) => update(package, fixed),
        None => format!(
            "no fix yet: limit who can reach what uses it, or remove {} at {}",
            package.name, package.path
        ),
    };
    Some(language_finding(package, verdict, title, action, judged))
}

/// Says how a package of a language is brought up to date, where that ecosystem has one way.
fn update(package: &LanguagePackage, fixed: &str) -> String {
    let (name, path) = (&package.name, &package.path);
    match package.ecosystem.as_str() {
        "pypi" => {
            format!("update {name} at {path} to {fixed} or newer, with the pip of that environment")
        }
        "packagist" => format!(
            "update {name} at {path} to {fixed} or newer, with composer in that project or with the application that brings it"
        ),
        _ => format!("update {name} at {path} to {fixed} or newer"),
    }
}

fn packaged_language(package: &LanguagePackage) -> Finding {
    let owner = package.owner_package.as_deref().unwrap_or_default();
    let title = format!(
        "{} {} ({}) at {}: packaged, judged as the package {owner}",
        package.name, package.version, package.ecosystem, package.path
    );
    language_finding(package, Verdict::NotAffected, title, String::new(), Judged::default())
}

fn language_finding(
    package: &LanguagePackage,
    verdict: Verdict,
    title: String,
    action: String,
    judged: Judged,
) -> Finding {
    Finding {
        id: format!("language-package:{}:{}:{}", package.ecosystem, package.name, package.path)
            .into(),
        verdict,
        severity: judged.severity,
        title: title.into(),
        action: action.into(),
        about: About::LanguagePackage(Box::new(LanguageFinding {
            ecosystem: package.ecosystem.clone(),
            name: package.name.clone(),
            version: package.version.clone(),
            path: package.path.clone(),
            owner_package: package.owner_package.clone(),
            cves: judged.ids.iter().map(ToString::to_string).collect(),
            fixed: judged.fixed,
            signals: judged.signals,
        })),
    }
}

/// A product that nothing speaks of is not thereby clean; said once for each, and once for a kind of part.
fn no_advisories(kind: &str, names: &BTreeSet<&str>) -> Obstacle {
    let why = "no advisories for it in the advisory file: which flaws it has is not known";
    // The product itself: its only name is the product's.
    if catalog::APPLICATIONS.iter().any(|a| a.name == kind) || names.contains(kind) {
        return Obstacle::new(format!("web application {kind}"), why);
    }
    let listed: Vec<&str> = names.iter().copied().take(LISTED).collect();
    let more = names.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Obstacle::new(
        kind,
        format!("no advisories for them in the advisory file: {}{more}", listed.join(", ")),
    )
}

fn undecided(name: &str, flaws: &Flaws<'_>) -> Option<Obstacle> {
    let ids: Vec<&str> = flaws.undecided.iter().map(|id| &**id).take(LISTED).collect();
    let more = flaws.undecided.len().saturating_sub(ids.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!ids.is_empty()).then(|| {
        Obstacle::new(
            name,
            format!(
                "advisories bound it by names of branches, which are no versions: {}{more}",
                ids.join(", ")
            ),
        )
    })
}

/// Returns the name without its article, to begin a title.
fn bare(name: &str) -> &str {
    name.strip_prefix("the ").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_part_stands_behind_its_own_name() {
        let akismet = WebApplication {
            product: "akismet".into(),
            part_of: Some("wordpress".into()),
            part: Some("plugin".into()),
            ..WebApplication::default()
        };
        assert_eq!(bare(&Subject::of(&akismet).name), "WordPress plugin akismet");
    }
}
