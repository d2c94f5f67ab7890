//! The answer for a person: the verdict in one sentence, what to do, what could not be known, what to type.
//!
//! 80 columns, no colour needed. One row an action: a package to bring up to date, with everything that closes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use muster_core::catalog;
use muster_core::fact::{Database, Obstacle};
use muster_core::finding::{About, AdvisoryFinding, Finding, Fix, KernelObject, Severity};
use muster_core::text::for_terminal;
use muster_core::time::{day, days_between};
use muster_core::verdict::Verdict;

use crate::report::{self, Report, count};

/// Columns that fit on every terminal.
const WIDTH: usize = 80;
/// Rows of actions that are shown before the rest is only counted.
const ROWS: usize = 40;

/// Parts or packages in one folder that are shown before the rest is only counted.
const PARTS: usize = 12;

/// How many things that one cause keeps unknown are named before the rest is only counted.
const NAMED: usize = 3;

/// Writes the answer.
pub(crate) fn write(report: &Report, all: bool) -> anyhow::Result<()> {
    let mut out = crate::output::data()?;
    for line in wrap(&for_terminal(&report.sentence()), WIDTH) {
        writeln!(out, "{line}")?;
    }
    let actions = actions(report, all);
    write_actions(&mut out, &actions, all)?;
    write_unfixed(&mut out, report)?;
    write_unknown(&mut out, report, all)?;
    write_sources(&mut out, report)?;
    write_command(&mut out, report, &actions)?;
    out.flush()?;
    Ok(())
}

/// Something to do, with what it closes.
struct Action<'a> {
    what: String,
    update: Option<Update<'a>>,
    command: &'a str,
    severity: Severity,
    exploited: bool,
    security: bool,
    closes: Vec<&'a str>,
    notes: Vec<String>,
    key: ActionKey<'a>,
}

/// From which version of a source to which.
struct Update<'a> {
    source: &'a str,
    installed: &'a str,
    /// The newest version that an advisory asks for: it closes all of them.
    fixed: Option<&'a str>,
    /// The version in the indices on the machine, and the advisories that it is known to close.
    offer: Option<(&'a str, &'a [String])>,
}

impl Update<'_> {
    /// Returns the version to bring in.
    fn to(&self) -> &str {
        self.offer.map(|(version, _)| version).or(self.fixed).unwrap_or("?")
    }

    /// Says what the version on offer does not close.
    fn beyond(&self, closes: &[&str]) -> Option<String> {
        let (_, closed) = self.offer?;
        let left = closes.iter().filter(|id| !closed.iter().any(|c| c == *id)).count();
        (left > 0).then(|| {
            format!(
                "{} fixed only in {}, newer than the indices here: refresh them",
                count(left, "of them is", "of them are"),
                self.fixed.unwrap_or("a version"),
            )
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ActionKey<'a> {
    Upgrade(&'a str),
    Subscribe(&'a str),
    /// What lies beside others of its kind: parts of an application, packages of a language.
    Folder(&'a str, &'a str, &'a str),
    Other(&'a str),
}

/// Gathers what is owed into actions, the most urgent first: the order of the findings is that of urgency.
fn actions(report: &Report, all: bool) -> Vec<Action<'_>> {
    let mut actions: Vec<Action<'_>> = Vec::new();
    let mut places: BTreeMap<ActionKey<'_>, usize> = BTreeMap::new();
    for finding in report.findings.iter().filter(|f| is_action(f, all)) {
        let key = key(finding);
        let at = *places.entry(key).or_insert_with(|| {
            actions.push(Action {
                what: String::new(),
                update: None,
                command: &finding.action,
                severity: Severity::Unknown,
                exploited: false,
                security: false,
                closes: Vec::new(),
                notes: Vec::new(),
                key,
            });
            actions.len() - 1
        });
        if let Some(action) = actions.get_mut(at) {
            add(action, finding, report.facts.database.found().copied());
        }
    }
    actions
}

fn is_action(finding: &Finding, all: bool) -> bool {
    match finding.verdict {
        // What no package manager keeps is somebody's to look at, also where its version could not be told.
        Verdict::Unknown | Verdict::NoFix | Verdict::WontFix if is_beside(finding) => {
            !finding.action.is_empty()
        }
        Verdict::Owed if matches!(finding.about, About::CleartextService(_)) => {
            all || report::is_in_clear(finding)
        }
        Verdict::Missing | Verdict::MissingSubscription | Verdict::Owed => true,
        Verdict::EndOfSupport => !matches!(finding.about, About::Advisory(_)),
        Verdict::Unknown
        | Verdict::NoFix
        | Verdict::WontFix
        | Verdict::Fixed
        | Verdict::NotAffected => false,
    }
}

fn is_beside(finding: &Finding) -> bool {
    matches!(finding.about, About::WebApplication(_) | About::LanguagePackage(_))
}

fn key(finding: &Finding) -> ActionKey<'_> {
    match &finding.about {
        About::WebApplication(a) => match &a.part_of {
            Some((of, part)) => ActionKey::Folder(of, part, folder(&a.path)),
            None => ActionKey::Other(&finding.id),
        },
        About::LanguagePackage(l) => ActionKey::Folder(&l.ecosystem, "package", folder(&l.path)),
        About::Advisory(a) if a.patch.fix == Fix::Subscription => {
            ActionKey::Subscribe(&a.patch.source)
        }
        About::Advisory(a) if is_reboot(a) => ActionKey::Other("reboot"),
        About::Advisory(a) => ActionKey::Upgrade(&a.patch.source),
        About::ArchiveUpdate(u) if u.kept_back.is_none() => ActionKey::Upgrade(&u.source),
        About::Reboot(_) => ActionKey::Other("reboot"),
        _ => ActionKey::Other(&finding.id),
    }
}

/// Returns the folder that a path lies in.
fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(folder, _)| if folder.is_empty() { "/" } else { folder })
}

fn is_reboot(advisory: &AdvisoryFinding) -> bool {
    *advisory.patch.of == [KernelObject::Running]
}

fn add<'a>(action: &mut Action<'a>, finding: &'a Finding, database: Option<Database>) {
    action.severity = action.severity.max(finding.severity);
    match &finding.about {
        About::Advisory(a) => {
            action.exploited |= a.exploited.is_some();
            action.closes.push(&finding.id);
            if is_reboot(a) {
                action.what = "reboot: the running kernel is older than the one installed".into();
                return;
            }
            let update = action.update.get_or_insert(Update {
                source: &a.patch.source,
                installed: a.patch.packages.first().map_or("?", |p| &p.installed),
                fixed: None,
                offer: None,
            });
            for fixed in a.patch.packages.iter().filter_map(|p| p.fixed.as_deref()) {
                let is_newer = |old: &str| {
                    database.is_none_or(|d| d.scheme().compare_lenient(old, fixed).is_lt())
                };
                if update.fixed.is_none_or(is_newer) {
                    update.fixed = Some(fixed);
                }
            }
            if a.patch.headers_only && action.notes.is_empty() {
                action.notes.push("headers only: they cannot carry the flaw".into());
            }
            if a.patch.fix == Fix::Subscription && action.notes.is_empty() {
                action.notes.push(format!(
                    "needs {}",
                    a.patch.channel.subscription().unwrap_or("a subscription")
                ));
            }
        }
        About::ArchiveUpdate(u) => {
            let first = u.packages.first();
            let update = action.update.get_or_insert(Update {
                source: &u.source,
                installed: first.map_or("?", |p| &p.installed),
                fixed: None,
                offer: None,
            });
            let candidate = first.and_then(|p| p.fixed.as_deref()).unwrap_or("?");
            let is_newer = |old: &str| {
                database.is_none_or(|d| d.scheme().compare_lenient(old, candidate).is_lt())
            };
            if update.offer.is_none_or(|(old, _)| is_newer(old)) {
                update.offer = Some((candidate, &u.advisories));
            }
            action.security |= u.security;
            let kind = if u.security { "security update" } else { "update" };
            action.notes.insert(
                0,
                format!(
                    "{kind} in {}, {}",
                    u.pocket,
                    count(u.packages.len(), "package", "packages")
                ),
            );
            if let Some(why) = &u.kept_back {
                action.notes.push(format!("kept back: {why}"));
            }
        }
        About::WebApplication(a) => {
            action.exploited |= a.signals.exploited.is_some();
            if let ActionKey::Folder(of, part, folder) = action.key {
                let of = catalog::application(of).map_or(of, |a| a.name);
                action.what = format!("{part}s of {of} in {folder}");
                let installed = a.version.as_deref().unwrap_or("of unknown version");
                let part = one_of(&a.product, installed, a.fixed.as_deref(), &a.cves);
                action.notes.push(part);
            } else {
                action.what = finding.title.to_string();
                action.closes.extend(a.cves.iter().map(String::as_str));
            }
        }
        About::LanguagePackage(l) => {
            action.exploited |= l.signals.exploited.is_some();
            action.what = format!("{} packages in {}", l.ecosystem, folder(&l.path));
            action.notes.push(one_of(&l.name, &l.version, l.fixed.as_deref(), &l.cves));
        }
        About::Container(c) => {
            action.what = finding.title.to_string();
            let missing = c.findings.iter().filter(|f| f.verdict == Verdict::Missing);
            for finding in missing {
                action.exploited |=
                    matches!(&finding.about, About::Advisory(a) if a.exploited.is_some());
                action.closes.push(&finding.id);
            }
        }
        _ if action.what.is_empty() => action.what = finding.title.to_string(),
        _ => {}
    }
}

/// Says of one of many that lie in a folder what it is to become.
fn one_of(name: &str, installed: &str, fixed: Option<&str>, flaws: &[String]) -> String {
    let to = fixed.map_or(String::new(), |fixed| format!(" -> {fixed}"));
    let flaws = match flaws.len() {
        0 => String::new(),
        n => format!("  ({})", count(n, "known flaw", "known flaws")),
    };
    format!("{name}  {installed}{to}{flaws}")
}

fn write_actions(out: &mut dyn Write, actions: &[Action<'_>], all: bool) -> io::Result<()> {
    if actions.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWhat to do, most urgent first:")?;
    let shown = if all { actions.len() } else { ROWS.min(actions.len()) };
    for action in actions.iter().take(shown) {
        let mark = match action.severity {
            _ if action.exploited => "EXPLOITED",
            Severity::Unknown if action.security => "security",
            Severity::Unknown => "-",
            severity => severity.name(),
        };
        let what = action.update.as_ref().map_or(action.what.clone(), |update| {
            format!("{}  {} -> {}", update.source, update.installed, update.to())
        });
        let text = for_terminal(&what).into_owned();
        for (at, line) in wrap(&text, WIDTH - 13).into_iter().enumerate() {
            writeln!(out, "  {:<9}  {line}", if at == 0 { mark } else { "" })?;
        }
        let mut below = action.notes.clone();
        if matches!(action.key, ActionKey::Folder(..)) && below.len() > PARTS && !all {
            let more = below.len() - PARTS;
            below.truncate(PARTS);
            below.push(format!("and {more} more; --all lists them"));
        }
        if !action.closes.is_empty() {
            below.push(closes(&action.closes, all));
            below.extend(action.update.as_ref().and_then(|update| update.beyond(&action.closes)));
        }
        if matches!(action.key, ActionKey::Other(_)) && !action.command.is_empty() {
            below.push(format!("do: {}", action.command));
        }
        for note in below {
            for line in wrap(&for_terminal(&note), WIDTH - 13) {
                writeln!(out, "  {:<9}  {line}", "")?;
            }
        }
    }
    if actions.len() > shown {
        writeln!(out, "  and {} more; --all lists them", actions.len() - shown)?;
    }
    Ok(())
}

fn closes(ids: &[&str], all: bool) -> String {
    let mut ids: Vec<&str> = ids.to_vec();
    ids.dedup();
    let shown = if all { ids.len() } else { 3.min(ids.len()) };
    let more =
        if ids.len() > shown { format!(" and {} more", ids.len() - shown) } else { String::new() };
    format!("closes {}{more}", ids.iter().take(shown).copied().collect::<Vec<_>>().join(", "))
}

/// Counts what cannot be mended by an update, by what the vendor says of it.
fn write_unfixed(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut counts: BTreeMap<(Verdict, bool), (usize, std::collections::BTreeSet<&str>)> =
        BTreeMap::new();
    for finding in &report.findings {
        if let (
            Verdict::NoFix | Verdict::WontFix | Verdict::EndOfSupport | Verdict::Unknown,
            About::Advisory(a),
        ) = (finding.verdict, &finding.about)
        {
            let entry = counts.entry((finding.verdict, a.patch.headers_only)).or_default();
            entry.0 += 1;
            entry.1.insert(&a.patch.source);
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWithout a fix to install (--format json lists them):")?;
    for ((verdict, headers), (flaws, sources)) in counts {
        let says = match verdict {
            Verdict::NoFix => "no fix yet",
            Verdict::WontFix => "the vendor will not fix",
            Verdict::EndOfSupport => "support ended before a fix",
            _ => "the vendor cannot tell",
        };
        let headers = if headers { ", headers only" } else { "" };
        writeln!(
            out,
            "  {:>9}  {says}, in {}{headers}",
            flaws,
            count(sources.len(), "package", "packages")
        )?;
    }
    Ok(())
}

/// Lists what could not be known, that of one cause in one item: as many things as the sentence counts.
fn write_unknown(out: &mut dyn Write, report: &Report, all: bool) -> io::Result<()> {
    if !report.unknown.is_empty() {
        writeln!(out, "\nWhat could not be known:")?;
        for item in unknown(&report.findings, &report.unknown, all) {
            write_item(out, &item)?;
        }
    }
    let third_party = report.findings.iter().filter(|f| matches!(f.about, About::ThirdParty(_)));
    let mut third_party = third_party.peekable();
    if third_party.peek().is_some() {
        writeln!(out, "\nWhat no advisory here speaks of:")?;
    }
    for finding in third_party {
        write_item(out, &finding.title)?;
    }
    Ok(())
}

/// Returns an item a cause, in the order of the first of each.
fn unknown(findings: &[Finding], unknown: &[Obstacle], all: bool) -> Vec<String> {
    // Of a container the cause is what stood in the way there, wherever it lies.
    let mut of_containers: BTreeMap<&str, &str> = BTreeMap::new();
    for finding in findings {
        if let About::Container(c) = &finding.about
            && let [one] = &c.unknown[..]
        {
            of_containers.insert(&finding.id, &one.why);
        }
    }
    let mut items: Vec<(&str, Vec<&Obstacle>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for obstacle in unknown {
        let cause = of_containers.get(obstacle.what.as_str()).copied().unwrap_or(&obstacle.why);
        let at = *places.entry(cause).or_insert(items.len());
        match items.get_mut(at) {
            Some((_, of)) => of.push(obstacle),
            None => items.push((cause, vec![obstacle])),
        }
    }
    let item = |(cause, of): (&str, Vec<&Obstacle>)| {
        if let [one] = &of[..] {
            return format!("{}: {}", one.what, one.why);
        }
        let shown = if all || of.len() <= NAMED { of.len() } else { NAMED };
        let named: Vec<&str> = of.iter().take(shown).map(|one| one.what.as_str()).collect();
        let more = match of.len() - shown {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{} of one cause: {}{more}: {cause}", of.len(), named.join(", "))
    };
    items.into_iter().map(item).collect()
}

fn write_item(out: &mut dyn Write, text: &str) -> io::Result<()> {
    for (at, line) in wrap(&for_terminal(text), WIDTH - 4).into_iter().enumerate() {
        writeln!(out, "  {} {line}", if at == 0 { "-" } else { " " })?;
    }
    Ok(())
}

/// Says what the answer stands on, and how old that is.
fn write_sources(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut sources: Vec<String> = Vec::new();
    if let Some(archive) = report.facts.archive.found()
        && let Some(newest) = archive.indices.iter().filter_map(|i| i.date).max()
    {
        let age = match usize::try_from(days_between(day(newest), day(report.at))) {
            Err(_) => "of the future: is the clock right?".to_owned(),
            Ok(0) => "made today".to_owned(),
            Ok(days) => format!("{} old", count(days, "day", "days")),
        };
        sources.push(format!(
            "{} of this machine ({age})",
            count(archive.indices.len(), "package index", "package indices")
        ));
    }
    if let Some(compiled) = &report.advisories {
        let of = compiled.of_release.map_or("an unknown day".to_owned(), |d| day(d).to_string());
        sources.push(format!("advisories up to {of}"));
    }
    if sources.is_empty() {
        sources.push("nothing: there are neither package indices nor advisories".to_owned());
    }
    let packages = count(report.facts.packages.len(), "package", "packages");
    writeln!(out)?;
    for line in wrap(&format!("Judged {packages} by {}.", sources.join(" and by ")), WIDTH) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Ends with the one command to type.
fn write_command(out: &mut dyn Write, report: &Report, actions: &[Action<'_>]) -> io::Result<()> {
    let Some(database) = report.facts.database.found().copied() else { return Ok(()) };
    let indices = report.facts.archive.found().is_some_and(|a| !a.indices.is_empty());
    let upgrades: Vec<&str> = actions
        .iter()
        .filter(|a| matches!(a.key, ActionKey::Upgrade(_)))
        .map(|a| a.command)
        .collect();
    let command = match (upgrades.as_slice(), indices) {
        ([], true) => return Ok(()),
        ([], false) | (_, false) => format!("{}, then inspect again", report::refresh(database)),
        ([one], true) if is_command(one) => (*one).to_owned(),
        (_, true) => everything(database).to_owned(),
    };
    writeln!(out, "\nRun:  {}", for_terminal(&command))
}

/// Tells a line to type from an advice in words.
fn is_command(action: &str) -> bool {
    ["apt-get ", "dnf ", "apk "].iter().any(|tool| action.starts_with(tool))
}

fn everything(database: Database) -> &'static str {
    match database {
        Database::Dpkg => "apt-get update && apt-get dist-upgrade",
        Database::Rpm => "dnf upgrade --refresh",
        Database::Apk => "apk upgrade --update-cache",
    }
}

/// Breaks a text into lines of at most `width` characters, between words where that is possible.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word;
        loop {
            let line = lines.last_mut().expect("there is always a line");
            let used = line.chars().count();
            let length = word.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + length <= width {
                if gap == 1 {
                    line.push(' ');
                }
                line.push_str(word);
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            let cut = word.char_indices().nth(width).map_or(word.len(), |(at, _)| at);
            let (head, tail) = word.split_at(cut);
            line.push_str(head);
            word = tail;
            lines.push(String::new());
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use muster_core::container::Container;
    use muster_core::fact::Obstacle;
    use muster_core::finding::{About, ContainerFinding, Finding, Severity};
    use muster_core::verdict::Verdict;

    use super::{unknown, wrap};

    #[test]
    fn what_one_cause_keeps_unknown_is_one_item() {
        let image = |n: usize| {
            let cause = Obstacle::new(format!("/store/{n}"), "is not read: too many");
            let about = ContainerFinding {
                container: Container::default(),
                sentence: String::new(),
                findings: Vec::new(),
                unknown: vec![cause],
            };
            Finding {
                id: format!("image:{n}").into(),
                verdict: Verdict::Unknown,
                severity: Severity::Unknown,
                title: "".into(),
                action: "".into(),
                about: About::Container(Box::new(about)),
            }
        };
        let findings: Vec<Finding> = (0..5).map(image).collect();
        let mut told: Vec<Obstacle> = (0..5)
            .map(|n| {
                Obstacle::new(format!("image:{n}"), format!("/store/{n}: is not read: too many"))
            })
            .collect();
        told.push(Obstacle::new("/etc/a", "cannot be read"));
        assert_eq!(
            unknown(&findings, &told, false),
            [
                "5 of one cause: image:0, image:1, image:2 and 2 more: is not read: too many",
                "/etc/a: cannot be read"
            ]
        );
        assert!(unknown(&findings, &told, true)[0].contains("image:3, image:4: is not"));
        assert_eq!(unknown(&[], &told[..1], false), ["image:0: /store/0: is not read: too many"]);
    }

    #[test]
    fn a_line_never_outgrows_its_width() {
        for text in
            ["", "a", "one two three", "averyveryverylongword", "ab averyveryverylongword cd"]
        {
            for line in wrap(text, 8) {
                assert!((1..=8).contains(&line.chars().count()), "{text:?}: {line:?}");
            }
        }
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghijk", 8), ["abcdefgh", "ijk"]);
    }
}
