//! The page about missing, or missed, security patches of one source package.

use std::collections::BTreeMap;

use muster_core::advisory::{Record, Severity as Claim};
use muster_core::fact::{Database, Os};
use muster_core::finding::{About, AdvisoryFinding, Finding, Fix, KernelObject};
use muster_core::time::{Date, day, days_between};
use muster_core::verdict::Verdict;
use muster_match::AdvisoryFile;

use super::{
    DONE, HOW_BAD, Item, Page, SINCE, TYPE, WHAT, commands, gone, meaning, point, sentence,
    shows_version, text,
};
use crate::report::{Report, count, refresh};

/// Advisories that are told one by one; a page with more is not read.
const TOLD: usize = 12;
/// Characters of a vendor's text that are shown.
const EXCERPT: usize = 240;

/// What the advisory file says of a finding, beyond what its verdict needs.
#[derive(Default)]
pub(super) struct Said {
    title: String,
    pub(super) claims: Vec<String>,
    references: Vec<String>,
}

pub(super) fn page(
    report: &Report,
    file: Option<&AdvisoryFile>,
    group: &[&Finding],
    first: &AdvisoryFinding,
) -> anyhow::Result<(Page, Vec<Item>)> {
    let verdict = group.first().map_or(Verdict::Unknown, |f| f.verdict);
    let mut page = Page::new(title(report, group.len(), verdict, first));
    let told = group.len().min(TOLD);
    let said = group
        .iter()
        .take(told)
        .map(|f| said(file, &f.id, report))
        .collect::<Result<Vec<_>, _>>()?;

    page.add(WHAT, what(group, &said, verdict, first));
    page.add(SINCE, since(report, group));
    page.add(HOW_BAD, how_bad(group, &said, first));
    page.add(TYPE, what_to_type(report, verdict, first, group));
    page.add(DONE, done(report, verdict, first, group));
    let mut references: Vec<Item> = Vec::new();
    for address in said.iter().flat_map(|s| &s.references) {
        if references.len() < TOLD
            && !references.iter().any(|i| matches!(i, Item::Point(p) if p == address))
        {
            references.push(point(address));
        }
    }
    references.push(text(format!(
        "Judged by the rule {}: {}.",
        first.patch.rule.name(),
        first.patch.rule.sentence()
    )));
    Ok((page, references))
}

fn title(report: &Report, many: usize, verdict: Verdict, a: &AdvisoryFinding) -> String {
    let source = &a.patch.source;
    let release = report.release_name();
    let flaws = if many == 1 { "a flaw" } else { "flaws" };
    match verdict {
        Verdict::Missing if a.patch.headers_only => {
            format!("{source} on {release}: headers of an older version are installed")
        }
        Verdict::Missing if *a.patch.of == [KernelObject::Running] => {
            format!("{source} on {release}: the running kernel is older than the one installed")
        }
        Verdict::Missing => format!("{source} on {release}: a security update is not installed"),
        Verdict::MissingSubscription => {
            format!("{source} on {release}: a security update needs a subscription")
        }
        Verdict::NoFix => format!("{source} on {release}: {flaws} without a fix"),
        Verdict::WontFix => format!("{source} on {release}: {flaws} that will not be fixed"),
        Verdict::EndOfSupport => format!("{source} on {release}: {flaws} nobody fixes any more"),
        Verdict::Fixed => format!("{source} on {release}: mended"),
        Verdict::NotAffected => format!("{source} on {release}: not affected"),
        Verdict::Unknown | Verdict::Owed => format!("{source} on {release}: cannot be told"),
    }
}

fn what(group: &[&Finding], said: &[Said], verdict: Verdict, a: &AdvisoryFinding) -> Vec<Item> {
    let mut items = vec![text(meaning(verdict))];
    let names: Vec<&str> = a.patch.packages.iter().map(|p| &*p.name).collect();
    let installed = a.patch.packages.first().map_or("?", |p| &p.installed);
    let fixed = newest_fix(group);
    let fix = fixed.map_or(String::new(), |f| format!("; mended in {f}"));
    items.push(text(format!(
        "{} (source package {}), installed {installed}{fix}.",
        names.join(", "),
        a.patch.source
    )));
    if a.patch.kernel && !a.patch.of.is_empty() {
        let of: Vec<&str> = a.patch.of.iter().map(|o| o.name()).collect();
        items.push(text(format!("It holds for these kernels of the server: {}.", of.join(", "))));
    }
    if a.patch.headers_only {
        items
            .push(text("Only headers or documentation are installed: they cannot carry the flaw."));
    }
    for (finding, said) in group.iter().zip(said) {
        let About::Advisory(one) = &finding.about else { continue };
        let cves = match one.cves.as_slice() {
            [] => String::new(),
            [one] if **one == *finding.id => String::new(),
            cves if cves.len() <= 6 => format!(" ({})", cves.join(", ")),
            cves => format!(
                " ({} and {} more)",
                cves.iter().take(5).map(|c| &**c).collect::<Vec<_>>().join(", "),
                cves.len() - 5
            ),
        };
        let words = if said.title.is_empty() { String::new() } else { format!(": {}", said.title) };
        items.push(point(format!("{}{cves}{words}", finding.id)));
    }
    if group.len() > said.len() {
        let more = count(group.len() - said.len(), "more advisory", "more advisories");
        items.push(point(format!("and {more}; `muster inspect --format json` lists them")));
    }
    items
}

/// Returns the newest version that one of the findings asks for: it closes all of them.
fn newest_fix<'f>(group: &[&'f Finding]) -> Option<&'f str> {
    let mut newest: Option<&str> = None;
    for finding in group {
        let About::Advisory(a) = &finding.about else { continue };
        let scheme = match a.patch.rule.name().split('-').next() {
            Some("rpm") => Database::Rpm.scheme(),
            Some("apk") => Database::Apk.scheme(),
            _ => Database::Dpkg.scheme(),
        };
        for fixed in a.patch.packages.iter().filter_map(|p| p.fixed.as_deref()) {
            if newest.is_none_or(|old| scheme.compare_lenient(old, fixed).is_lt()) {
                newest = Some(fixed);
            }
        }
    }
    newest
}

fn since(report: &Report, group: &[&Finding]) -> Vec<Item> {
    let today = day(report.at);
    let mut items = Vec::new();
    let published = group.iter().filter_map(|f| match &f.about {
        About::Advisory(a) => a.published.map(|date| (date, &f.id)),
        _ => None,
    });
    let published: BTreeMap<Date, _> = published.collect();
    if let Some((date, id)) = published.first_key_value() {
        let age = days_between(*date, today);
        items.push(text(format!(
            "{id} was published on {date}, {age} days before this inspection."
        )));
    }
    if let Some((date, id)) = published.last_key_value().filter(|_| published.len() > 1) {
        items.push(text(format!("The newest of them, {id}, was published on {date}.")));
    }
    if items.is_empty() {
        items.push(text("The records at hand do not tell when it was published."));
    }
    items
}

fn how_bad(group: &[&Finding], said: &[Said], a: &AdvisoryFinding) -> Vec<Item> {
    let mut items = Vec::new();
    for finding in group {
        let About::Advisory(one) = &finding.about else { continue };
        if let Some((added, due)) = one.exploited {
            let due = due.map_or(String::new(), |d| format!(", and set {d} for its end"));
            items.push(point(format!(
                "{}: it is being exploited. CISA added it to its catalogue of known exploited vulnerabilities on {added}{due}.",
                finding.id
            )));
        }
    }
    let likely = group.iter().filter_map(|f| match &f.about {
        About::Advisory(one) => one.likelihood.map(|l| (l, &f.id)),
        _ => None,
    });
    if let Some((likelihood, id)) = likely.max_by(|a, b| a.0.total_cmp(&b.0)) {
        items.push(point(format!(
            "{id}: exploitation within 30 days has a likelihood of {:.1} %, by FIRST's EPSS.",
            f64::from(likelihood) * 100.0
        )));
    }
    for (finding, said) in group.iter().zip(said) {
        let word = finding.severity.name();
        if said.claims.is_empty() && word != "unknown" {
            items.push(point(format!("{}: {word}, by the advisory's own word.", finding.id)));
        }
        for claim in &said.claims {
            items.push(point(format!("{}: {claim}", finding.id)));
        }
    }
    if items.is_empty() {
        items.push(text("Nobody whose records are at hand has said how bad it is."));
    }
    if !a.patch.word.is_empty() {
        items.push(text(format!("The distributor's own word for the state: {}.", a.patch.word)));
    }
    items
}

fn what_to_type(
    report: &Report,
    verdict: Verdict,
    a: &AdvisoryFinding,
    group: &[&Finding],
) -> Vec<Item> {
    let action = group.first().map_or("", |f| &*f.action);
    let Some(database) = report.facts.database.found().copied() else {
        return vec![text(action)];
    };
    match verdict {
        Verdict::Fixed | Verdict::NotAffected => Vec::new(),
        Verdict::Missing if is_command(action) => {
            let mut items = vec![
                text(
                    "As root. The first line brings the newest lists of packages, the second the update:",
                ),
                commands([refresh(database).to_owned(), action.to_owned()]),
            ];
            items.extend(after(a));
            items
        }
        Verdict::Missing => {
            let mut items = vec![sentence(action)];
            items.extend(after(a));
            items
        }
        Verdict::MissingSubscription => vec![
            sentence(action),
            text(
                "Without the subscription the way out is a release that is still supported for everybody.",
            ),
        ],
        Verdict::NoFix
        | Verdict::WontFix
        | Verdict::EndOfSupport
        | Verdict::Unknown
        | Verdict::Owed => {
            let names: Vec<&str> = a.patch.packages.iter().map(|p| &*p.name).collect();
            let mut items = Vec::new();
            if !action.is_empty() {
                items.push(sentence(action));
            }
            items.push(text("There is no update to install. If the package is not needed, remove it; this shows what would go with it:"));
            items.push(commands([removal(database, &names)]));
            items.push(text("If it is needed, keep it from the network and from people you do not know, or grant an exception with a date."));
            items
        }
    }
}

/// What must follow an update before it has any effect.
fn after(a: &AdvisoryFinding) -> Option<Item> {
    if a.patch.kernel {
        return Some(text(
            "Then start the server again: until then the old kernel goes on running. `reboot` does it.",
        ));
    }
    (!a.patch.headers_only).then(|| {
        text("Then restart the services that still use the old files: `muster inspect` on the server names each with its command.")
    })
}

fn removal(database: Database, names: &[&str]) -> String {
    let tool = match database {
        Database::Dpkg => "apt-get remove --simulate",
        Database::Rpm => "dnf remove --assumeno",
        Database::Apk => "apk del --simulate",
    };
    muster_core::action::on(tool, names.iter().copied())
}

fn done(report: &Report, verdict: Verdict, a: &AdvisoryFinding, group: &[&Finding]) -> Vec<Item> {
    if matches!(verdict, Verdict::Fixed | Verdict::NotAffected) {
        return Vec::new();
    }
    let ids = match group {
        [one] => one.id.to_string(),
        [one, ..] => format!("neither {} nor another of these", one.id),
        [] => String::new(),
    };
    let mut items = Vec::new();
    if let (Some(database), Some(fixed), true) =
        (report.facts.database.found(), newest_fix(group), a.patch.fix != Fix::None)
    {
        let names: Vec<&str> = a.patch.packages.iter().map(|p| &*p.name).collect();
        items.push(text(format!(
            "It reads the package database: {} must be at {fixed} or newer. To look yourself:",
            a.patch.source
        )));
        items.push(commands([shows_version(*database, &names)]));
    }
    if a.patch.kernel {
        items
            .push(text("And the running kernel must be one of that version: `uname -r` names it."));
    }
    items.push(match group {
        [_] => gone(&ids),
        _ => Item::Gone(format!("{ids} is listed any more")),
    });
    items
}

/// Tells a line to type from an advice in words.
fn is_command(action: &str) -> bool {
    ["apt-get ", "dnf ", "apk "].iter().any(|tool| action.starts_with(tool))
}

/// Looks up what the advisory file says of an id.
pub(super) fn said(file: Option<&AdvisoryFile>, id: &str, report: &Report) -> anyhow::Result<Said> {
    let mut said = Said::default();
    let Some(file) = file else { return Ok(said) };
    let release = report.facts.os.found().and_then(Os::release_id).unwrap_or_default();
    file.records(id, &mut |feed, record| {
        if record.withdrawn.is_some() {
            return;
        }
        let is_here = record.statements.iter().any(|s| s.release == release);
        let excerpt = excerpt(&record);
        if !excerpt.is_empty() && (said.title.is_empty() || is_here) {
            said.title = excerpt;
        }
        let claims: Vec<String> = record.severities.iter().map(claimed).collect();
        if !claims.is_empty() {
            let by = format!("record {} of the feed {feed}", record.id);
            said.claims.push(format!("{}, by the {by}", claims.join("; ")));
        }
        said.references.extend(record.references.iter().map(ToString::to_string));
    })?;
    said.claims.sort();
    said.claims.dedup();
    said.claims.truncate(6);
    Ok(said)
}

/// Says how bad somebody calls it, in words where the system is one of numbers.
fn claimed(claim: &Claim<'_>) -> String {
    let word = muster_core::cvss::severity(&claim.score);
    match word {
        Some(severity) => format!("{} ({})", severity.name(), claim.score),
        None => format!("{} ({}'s word)", claim.score, claim.system),
    }
}

/// Returns what a record says in its own words: its title or the beginning of its text. A title that only says which
/// package it is about says nothing.
fn excerpt(record: &Record<'_>) -> String {
    let is_bare = record.title.is_empty() || record.title.ends_with("security update");
    let whole = if is_bare { &record.details } else { &record.title };
    let plain = whole.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((at, _)) = plain.char_indices().nth(EXCERPT) else { return plain };
    let head = plain.get(..at).unwrap_or_default();
    match head.rfind(". ") {
        Some(end) => head.get(..=end).unwrap_or(head).to_owned(),
        None => format!("{} …", head.rsplit_once(' ').map_or(head, |(words, _)| words)),
    }
}
