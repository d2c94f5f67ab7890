//! `muster feed pull`: the vendors' feeds into a folder, each file whole or as it was.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use muster_core::text::for_terminal;
use muster_core::time::Instant;
use muster_net::http::pull::{
    self, Environment, Event, Feeds, Options, Outcome, Plan, Pulled, Selection,
};
use serde::Serialize;

use crate::advisories;
use crate::args::{Plain, Pull, environment};
use crate::commands::Answer;
use crate::output;
use crate::progress::Progress;
use crate::report::count;

#[derive(Serialize)]
struct Answered<'a> {
    schema: &'static str,
    folder: String,
    files: &'a [Outcome],
}

pub(crate) fn pull(asked: &Pull, now: Instant) -> anyhow::Result<Answer> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    if asked.print_config {
        out.write_all(pull::DEFAULT.as_bytes())?;
        out.flush()?;
        return Ok(Answer::Good);
    }
    let feeds = match &asked.config {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading {}", path.display()))?;
            Feeds::parse(&text).with_context(|| format!("reading {}", path.display()))?
        }
        None => Feeds::compiled_in(),
    };
    let folder = asked.into.clone().unwrap_or_else(usual_folder);
    let selection =
        Selection { names: asked.names.clone(), distributions: asked.distributions.clone() };
    if asked.dry_run {
        write!(out, "{}", Plan::new(&feeds, &folder, &selection)?)?;
        out.flush()?;
        return Ok(Answer::Good);
    }
    let options = Options {
        selection,
        now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        environment: proxies(),
    };
    let progress = Progress::files();
    let outcomes = pull::pull(&feeds, &folder, &options, &mut |event| show(&progress, &event));
    progress.end();
    let outcomes = outcomes?;
    match asked.format {
        Plain::Json => output::write_json(&Answered {
            schema: "muster.feed-pull/1",
            folder: folder.display().to_string(),
            files: &outcomes,
        })?,
        Plain::Table => print(&mut out, &outcomes, &folder)?,
    }
    Ok(answer(&outcomes))
}

/// 0: everything is there and fresh; 1: a part failed; 2: nothing could be had.
fn answer(outcomes: &[Outcome]) -> Answer {
    let failed = outcomes.iter().filter(|o| matches!(o.result, Pulled::Failed { .. })).count();
    match failed {
        0 => Answer::Good,
        n if n == outcomes.len() => Answer::Unanswered,
        _ => Answer::Owed,
    }
}

/// The folder beside the advisory file that `inspect` looks for.
fn usual_folder() -> PathBuf {
    let beside = advisories::usual_places().into_iter().next().unwrap_or_default();
    super::folder(&beside).join("feeds")
}

fn proxies() -> Environment {
    let first = |names: &[&str]| names.iter().find_map(|name| environment(name));
    Environment {
        proxy: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
        no_proxy: first(&["NO_PROXY", "no_proxy"]),
    }
}

fn show(progress: &Progress, event: &Event) {
    match event {
        Event::Started { file, .. } => progress.on(file),
        Event::Received { file, bytes, total, .. } => {
            let total = total.map_or(String::new(), |t| format!(" of {:.1}", t as f64 / 1e6));
            progress.on(&format!("{file}: {:.1}{total} MB", *bytes as f64 / 1e6));
        }
        Event::Finished(outcome) => progress.on(&format!("{}: done", outcome.file)),
    }
}

fn print(out: &mut dyn std::io::Write, outcomes: &[Outcome], folder: &Path) -> anyhow::Result<()> {
    for outcome in outcomes {
        let line = match &outcome.result {
            Pulled::Unchanged { fetched, .. } => {
                format!("{:<40} unchanged since {fetched}", outcome.file)
            }
            Pulled::Replaced { bytes, .. } => {
                format!("{:<40} new, {:.1} MB", outcome.file, *bytes as f64 / 1e6)
            }
            Pulled::Failed { why, next, kept } => {
                let kept = kept
                    .as_ref()
                    .map_or("there is none".to_owned(), |at| format!("that of {at} is kept"));
                format!("{:<40} FAILED: {why}; {next}; {kept}", outcome.file)
            }
        };
        writeln!(out, "{}", for_terminal(&line))?;
    }
    let there =
        outcomes.iter().filter(|o| !matches!(o.result, Pulled::Failed { kept: None, .. })).count();
    writeln!(
        out,
        "\n{} of {} in {}.",
        there,
        count(outcomes.len(), "file", "files"),
        for_terminal(&folder.display().to_string())
    )?;
    if let Some(place) = advisories::usual_places().first().filter(|_| there > 0) {
        writeln!(
            out,
            "\nRun:  muster feed build {} -o {}",
            for_terminal(&folder.display().to_string()),
            for_terminal(&place.display().to_string())
        )?;
    }
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use muster_net::http::pull::Feeds;

    #[test]
    fn every_feed_that_is_pulled_can_be_read() {
        for feed in Feeds::compiled_in().feeds() {
            let name = feed.format.name();
            assert_eq!(muster_feed::input::format_named(name), Some(name), "{}", feed.name);
        }
    }
}
