//! `muster feed`: make, fetch and look into advisory files.

mod build;
mod guard;
mod pull;

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use muster_core::text::for_terminal;
use muster_core::time::Instant;
use muster_match::AdvisoryFile;
use muster_match::diff::{Change, Direction};
use muster_match::file::{Provenance, ReleaseInfo};
use serde::Serialize;

use super::Answer;
use crate::args::Plain;
use crate::output;

pub(crate) use build::build;
pub(crate) use pull::pull;

#[derive(Serialize)]
struct Shown<'a> {
    schema: &'static str,
    built: Option<Instant>,
    digest: String,
    releases: Vec<ReleaseInfo>,
    #[serde(flatten)]
    provenance: &'a Provenance,
}

/// Shows what an advisory file holds.
pub(crate) fn show(path: &Path, format: Plain, signed_text: bool) -> anyhow::Result<Answer> {
    let file = crate::advisories::open(path)?;
    let mut out = output::data()?;
    if signed_text {
        out.write_all(file.signed_text().as_bytes())?;
        out.flush()?;
        return Ok(Answer::Good);
    }
    let provenance = file.provenance()?;
    if format == Plain::Json {
        let digest = file.digest().iter().map(|b| format!("{b:02x}")).collect();
        output::write_json(&Shown {
            schema: "muster.feed-show/1",
            built: file.built(),
            digest,
            releases: file.releases().collect(),
            provenance: &provenance,
        })?;
        return Ok(Answer::Good);
    }
    writeln!(
        out,
        "Built from sources up to {}.",
        file.built().map_or("an unknown time".into(), |t| t.to_string())
    )?;
    writeln!(out, "\n{:<24} {:>9} {:>10}  NEWEST", "FEED", "RECORDS", "WITHDRAWN")?;
    for feed in &provenance.feeds {
        let newest = feed.newest.map_or("-".into(), |t| t.to_string());
        writeln!(
            out,
            "{:<24} {:>9} {:>10}  {newest}",
            for_terminal(&feed.name),
            feed.records,
            feed.withdrawn
        )?;
    }
    writeln!(out, "\n{:<32} {:>10} {:>10}  NEWEST", "RELEASE", "ADVISORIES", "BYTES")?;
    for release in file.releases() {
        let newest = provenance.of_release(&release.id).newest;
        writeln!(
            out,
            "{:<32} {:>10} {:>10}  {}",
            for_terminal(&release.id),
            release.advisories,
            release.bytes,
            newest.map_or("-".into(), |t| t.to_string())
        )?;
    }
    for fragment in provenance.fragments.iter().filter(|f| f.frozen.is_some()) {
        let since = fragment.frozen.map_or(String::new(), |t| t.to_string());
        writeln!(
            out,
            "frozen: {} says no more of {} since {since}",
            for_terminal(&fragment.feed),
            for_terminal(&fragment.release)
        )?;
    }
    out.flush()?;
    Ok(Answer::Good)
}

#[derive(Serialize)]
struct Changes {
    schema: &'static str,
    releases: Vec<ReleaseChanges>,
}

#[derive(Serialize)]
struct ReleaseChanges {
    id: String,
    opens: usize,
    closes: usize,
    fixes: usize,
    changes: Vec<ChangeEntry>,
}

#[derive(Serialize)]
struct ChangeEntry {
    direction: &'static str,
    id: String,
    package: String,
    channel: &'static str,
    before: Option<String>,
    after: Option<String>,
}

/// Lists what opens and closes from one file to another.
pub(crate) fn diff(old: &Path, new: &Path, format: Plain) -> anyhow::Result<Answer> {
    let (old, new) = (crate::advisories::open(old)?, crate::advisories::open(new)?);
    let mut releases = Vec::new();
    for (id, changes) in guard::changes(&old, &new)? {
        let count = |d: Direction| changes.iter().filter(|c| c.direction() == d).count();
        releases.push(ReleaseChanges {
            id,
            opens: count(Direction::Opens),
            closes: count(Direction::Closes),
            fixes: count(Direction::Fix),
            changes: changes.iter().map(entry).collect(),
        });
    }
    let differs = releases.iter().any(|r| !r.changes.is_empty());
    match format {
        Plain::Json => output::write_json(&Changes { schema: "muster.feed-diff/1", releases })?,
        Plain::Table => print_changes(&releases)?,
    }
    Ok(if differs { Answer::Owed } else { Answer::Good })
}

fn print_changes(releases: &[ReleaseChanges]) -> anyhow::Result<()> {
    let mut out = output::data()?;
    for release in releases.iter().filter(|r| !r.changes.is_empty()) {
        writeln!(
            out,
            "{}: {} open, {} close, {} fixes change",
            for_terminal(&release.id),
            release.opens,
            release.closes,
            release.fixes
        )?;
        for change in &release.changes {
            let state = |s: &Option<String>| s.clone().unwrap_or_else(|| "nothing".into());
            let text = format!(
                "{} {} {}: {} -> {}",
                change.direction,
                change.id,
                change.package,
                state(&change.before),
                state(&change.after)
            );
            writeln!(out, "  {}", for_terminal(&text))?;
        }
    }
    out.flush()?;
    Ok(())
}

fn entry(change: &Change) -> ChangeEntry {
    let said = |said: &Option<muster_match::diff::Said>| {
        said.as_ref().map(|s| match &s.fixed {
            Some(fixed) => format!("{:?} {fixed}", s.status).to_lowercase(),
            None => format!("{:?}", s.status).to_lowercase(),
        })
    };
    ChangeEntry {
        direction: match change.direction() {
            Direction::Opens => "opens",
            Direction::Closes => "closes",
            Direction::Fix => "fix",
            Direction::Words => "words",
        },
        id: change.id.as_ref().to_owned(),
        package: change.package.clone(),
        channel: change.channel.name(),
        before: said(&change.before),
        after: said(&change.after),
    }
}

/// Returns the folder that a file lies in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Opens the build before, if there is one; anything else in its place is not overwritten.
fn previous(path: &Path) -> anyhow::Result<Option<AdvisoryFile>> {
    match AdvisoryFile::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(muster_match::Error::Io { error, .. })
            if error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(muster_match::Error::Damaged(what)) => {
            output::note(&format!(
                "the build before, {}, is damaged ({what}): nothing of it is carried over",
                path.display()
            ));
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("{} is kept as it is", path.display())),
    }
}
