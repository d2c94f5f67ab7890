//! `muster inspect`: which security patches does a server miss?

mod over_ssh;

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use muster_core::fact::Facts;
use muster_core::time::Instant;
use muster_inspect::{Options, Target};
use muster_match::AdvisoryFile;
use muster_net::ssh::Destination;

use super::Answer;
use crate::advisories;
use crate::args::{Format, Inspect, environment};
use crate::output;
use crate::output::servers::Server;
use crate::progress::Progress;
use crate::report::{Question, Report};

pub(crate) fn run(asked: &Inspect, now: Instant) -> anyhow::Result<Answer> {
    let file = advisory_file(asked)?;
    let roots = roots(asked)?;
    if roots.len() > 1 && asked.format != Format::Table && asked.format != Format::Ndjson {
        bail!(
            "{} roots give as many answers: inspect them one at a time, or with --format ndjson or table",
            roots.len()
        );
    }
    if asked.why.is_some() && asked.format != Format::Table {
        bail!("--why explains a finding in words: ask it without --format");
    }
    let is_fleet = roots.len() > 1
        && (asked.targets.is_some() || roots.iter().any(|root| over_ssh::is_named(root)));
    if is_fleet && asked.why.is_none() {
        return fleet(&roots, file.as_ref(), asked, now);
    }
    let mut answer = Answer::Good;
    for root in &roots {
        let one = inspect(root, file.as_ref(), asked, now)?;
        answer = if one == Answer::Owed { one } else { answer };
    }
    Ok(answer)
}

/// Returns what is to be inspected, each once.
fn roots(asked: &Inspect) -> anyhow::Result<Vec<String>> {
    /// Bytes of a list of targets.
    const MAX_LIST: u64 = 16 << 20;
    let mut roots = asked.roots.clone();
    if let Some(path) = &asked.targets {
        let reading = || format!("reading the targets {}", path.display());
        let list = std::fs::File::open(path).with_context(reading)?;
        let mut text = String::new();
        let read = list.take(MAX_LIST + 1).read_to_string(&mut text).with_context(reading)?;
        if read as u64 > MAX_LIST {
            bail!("{} is too large for a list of targets", path.display());
        }
        // Some editors begin a file with a mark of its encoding.
        let text = text.trim_start_matches('\u{feff}');
        for (number, line) in text.lines().enumerate() {
            let root = line.split('#').next().unwrap_or_default().trim();
            if over_ssh::is_named(root) {
                let parsed = root.parse::<Destination>();
                parsed.with_context(|| format!("{}, line {}", path.display(), number + 1))?;
            }
            if !root.is_empty() {
                roots.push(root.to_owned());
            }
        }
        if roots.is_empty() {
            bail!("{} names no target", path.display());
        }
    }
    if roots.is_empty() {
        roots.push("/".to_owned());
    }
    let mut seen = std::collections::BTreeSet::new();
    if asked.targets.is_some() {
        roots.retain(|root| seen.insert(root.clone()));
    }
    // A name that no client may be given is refused before any server is asked.
    for root in roots.iter().filter(|root| over_ssh::is_named(root)) {
        root.parse::<Destination>()?;
    }
    Ok(roots)
}

/// Inspects many servers: those over SSH side by side, each answer judged and given back before the next.
fn fleet(
    roots: &[String],
    file: Option<&AdvisoryFile>,
    asked: &Inspect,
    now: Instant,
) -> anyhow::Result<Answer> {
    let mut servers: Vec<Server> = Vec::new();
    let mut failure = None;
    let progress = Progress::count(roots.len() as u64);
    let mut take = |root: &str, report: anyhow::Result<Report>| {
        let written = report.and_then(|report| {
            if asked.format == Format::Ndjson {
                progress.aside(|| output::write(&report, asked.format, asked.all))?;
            }
            Ok(Server::of(&report, asked.strict))
        });
        match written {
            Ok(server) => servers.push(server),
            Err(error) if is_broken_pipe(&error) => failure = Some(error),
            Err(error) => {
                let why = output::in_one_line(&error);
                servers.push(Server::failed(root, &why));
                progress.aside(|| output::note(&why));
            }
        }
        progress.at(servers.len() as u64);
    };
    for root in roots.iter().filter(|root| !over_ssh::is_named(root)) {
        take(root, report(root, file, asked, now));
    }
    let over: Vec<&str> =
        roots.iter().map(String::as_str).filter(|root| over_ssh::is_named(root)).collect();
    over_ssh::ask(&over, asked, &mut |root, facts| {
        take(root, facts.and_then(|facts| judge(root, facts, file, asked, now)));
    })?;
    progress.end();
    if let Some(error) = failure {
        return Err(error);
    }
    if asked.format == Format::Table {
        output::servers::write(&mut servers)?;
    }
    let failed: Vec<&str> =
        servers.iter().filter(|s| s.is_failed()).map(|server| server.root.as_str()).collect();
    if !failed.is_empty() {
        output::note(&format!(
            "{} of {} could not be inspected: {}",
            failed.len(),
            servers.len(),
            failed.join(" ")
        ));
        return Ok(Answer::Unanswered);
    }
    Ok(if servers.iter().any(|s| s.is_owed) { Answer::Owed } else { Answer::Good })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Opens the advisory file to judge by, which must bear the signature of the key that was named.
pub(super) fn advisory_file(asked: &Inspect) -> anyhow::Result<Option<AdvisoryFile>> {
    let file = advisories::file(asked.advisories.as_deref())?;
    if let Some(file) = &file {
        check_signature(file, asked)?;
    }
    Ok(file)
}

/// Inspects a root, and judges what was learned.
pub(super) fn report(
    root: &str,
    file: Option<&AdvisoryFile>,
    asked: &Inspect,
    now: Instant,
) -> anyhow::Result<Report> {
    let facts = if over_ssh::is_named(root) {
        over_ssh::one(root, asked)?
    } else {
        let target = Target::parse(root.as_ref())?;
        muster_inspect::inspect(&target, &options(asked))
            .with_context(|| format!("inspecting {root}"))?
    };
    judge(root, facts, file, asked, now)
}

/// Returns how a root is inspected.
fn options(asked: &Inspect) -> Options {
    Options {
        live_proc: asked.live_proc,
        timeout: std::time::Duration::from_secs(asked.timeout.into()),
    }
}

/// Judges what was learned of a root.
fn judge(
    root: &str,
    facts: Facts,
    file: Option<&AdvisoryFile>,
    asked: &Inspect,
    now: Instant,
) -> anyhow::Result<Report> {
    Report::of(
        root.to_owned(),
        facts,
        file,
        Question {
            now,
            all: asked.all,
            of_several: asked.roots.len() > 1 || asked.targets.is_some(),
            is_container: false,
        },
    )
    .map_err(|error| advisories::named(file.map_or(Path::new(""), AdvisoryFile::path), error))
}

fn inspect(
    root: &str,
    file: Option<&AdvisoryFile>,
    asked: &Inspect,
    now: Instant,
) -> anyhow::Result<Answer> {
    let report = report(root, file, asked, now)?;
    if let Some(id) = &asked.why {
        output::why::write(&report, file, id)?;
        return Ok(Answer::Owed);
    }
    output::write(&report, asked.format, asked.all)?;
    let answer = if report.is_owed(asked.strict) { Answer::Owed } else { Answer::Good };
    // Thousands of findings are given back faster by the end of the process than one by one.
    std::mem::forget(report);
    Ok(answer)
}

/// Refuses a file that does not bear the signature of the key that was named.
fn check_signature(file: &AdvisoryFile, asked: &Inspect) -> anyhow::Result<()> {
    let Some(named) = asked.advisories_key.clone().or_else(|| environment("MUSTER_ADVISORIES_KEY"))
    else {
        return Ok(());
    };
    let text = if Path::new(&named).is_file() {
        std::fs::read_to_string(&named).with_context(|| format!("reading the key {named}"))?
    } else {
        named
    };
    let line = text
        .lines()
        .map(str::trim)
        .rfind(|l| !l.is_empty() && !l.starts_with("untrusted comment:"))
        .unwrap_or_default();
    let key = minisign_verify::PublicKey::from_base64(line)
        .context("the key of the advisory file is no minisign public key")?;
    let place = file.path().with_added_extension("minisig");
    let signature = minisign_verify::Signature::from_file(&place).with_context(|| {
        format!("reading the signature {} of the advisory file", place.display())
    })?;
    key.verify(file.signed_text().as_bytes(), &signature, true).with_context(|| {
        format!(
            "the signature {} is not that of this key over this advisory file: do not use it",
            place.display()
        )
    })
}
