//! `muster inspect`: which security patches does a server miss?

use std::path::Path;

use anyhow::{Context as _, bail};
use muster_core::time::Instant;
use muster_inspect::{Options, Target};
use muster_match::AdvisoryFile;

use super::Answer;
use crate::advisories;
use crate::args::{Format, Inspect, environment};
use crate::output;
use crate::report::{Question, Report};

pub(crate) fn run(asked: &Inspect, now: Instant) -> anyhow::Result<Answer> {
    let file = advisory_file(asked)?;
    let roots: Vec<&str> = if asked.roots.is_empty() {
        vec!["/"]
    } else {
        asked.roots.iter().map(String::as_str).collect()
    };
    if roots.len() > 1 && asked.format != Format::Table && asked.format != Format::Ndjson {
        bail!(
            "{} roots give as many answers: inspect them one at a time, or with --format ndjson or table",
            roots.len()
        );
    }
    if asked.why.is_some() && asked.format != Format::Table {
        bail!("--why explains a finding in words: ask it without --format");
    }
    let mut answer = Answer::Good;
    for root in roots {
        let one = inspect(root, file.as_ref(), asked, now)?;
        answer = if one == Answer::Owed { one } else { answer };
    }
    Ok(answer)
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
    let target = Target::parse(root.as_ref())?;
    let options = Options {
        live_proc: asked.live_proc,
        timeout: std::time::Duration::from_secs(asked.timeout.into()),
    };
    let facts =
        muster_inspect::inspect(&target, &options).with_context(|| format!("inspecting {root}"))?;
    Report::of(
        root.to_owned(),
        facts,
        file,
        Question { now, all: asked.all, of_several: asked.roots.len() > 1 },
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
