//! What keeps a bad feed out: one that is older than before, one that lost a release, one that changed too much.
//!
//! The guard: of the statements that a release had, at most 5 % may close and at most 30 % may change; a release with
//! fewer than 400 statements may lose 20. A change beyond it is more often a broken feed than good news.

use std::collections::BTreeSet;

use muster_match::AdvisoryFile;
use muster_match::diff::{self, Change, Direction};
use muster_match::file::{Fragment, Provenance};
use muster_match::section::Section;

/// The share of a release's statements that may close in one build.
const MAY_CLOSE: f64 = 0.05;
/// The share that may change in any way but opening.
const MAY_CHANGE: f64 = 0.30;
/// How far the newest record of a release may go back.
const WEEK: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);
/// What may always change.
const ALWAYS: usize = 20;

/// Lists the changes of every release that either file has.
pub(crate) fn changes(
    old: &AdvisoryFile,
    new: &AdvisoryFile,
) -> anyhow::Result<Vec<(String, Vec<Change>)>> {
    let releases: BTreeSet<String> = old.releases().chain(new.releases()).map(|r| r.id).collect();
    let mut all = Vec::new();
    for id in releases {
        let (before, after) = (old.release(&id)?, new.release(&id)?);
        if before == after {
            continue;
        }
        let before = before.as_deref().map(Section::new).transpose()?;
        let after = after.as_deref().map(Section::new).transpose()?;
        all.push((id, diff::changes(before.as_ref(), after.as_ref())));
    }
    Ok(all)
}

/// Says why a build must not replace the one before, or nothing.
pub(crate) fn objections(
    old: &AdvisoryFile,
    changes: &[(String, Vec<Change>)],
) -> anyhow::Result<Vec<String>> {
    let mut objections = Vec::new();
    for (id, changes) in changes {
        let Some(before) = old.release(id)? else { continue };
        let had = Section::new(&before)?.rows();
        let closes = changes.iter().filter(|c| c.direction() == Direction::Closes).count();
        let moved = changes.iter().filter(|c| c.direction() != Direction::Opens).count();
        if beyond(closes, had, MAY_CLOSE) {
            objections.push(format!("{id}: {closes} of {had} statements close"));
        } else if beyond(moved, had, MAY_CHANGE) {
            objections.push(format!("{id}: {moved} of {had} statements change"));
        }
    }
    Ok(objections)
}

fn beyond(count: usize, of: usize, share: f64) -> bool {
    count > ALWAYS && count as f64 > of as f64 * share
}

/// Names the feeds whose newest record is older than it was, and the releases of which this holds by more than a week:
/// the vendors of one format are one feed, and the newest of them would hide that another went back. Within a week, a
/// vendor may have taken its last record of a release back.
pub(crate) fn older(before: &Provenance, after: &Provenance) -> Vec<String> {
    let mut older = Vec::new();
    for old in &before.feeds {
        let new = after.feeds.iter().find(|f| f.name == old.name);
        if let (Some(was), Some(is)) = (old.newest, new.and_then(|f| f.newest))
            && is < was
        {
            older.push(format!("{}: its newest record is of {is}, it was of {was}", old.name));
        }
    }
    for old in &before.fragments {
        let is = |f: &&Fragment| (&f.feed, &f.release) == (&old.feed, &old.release);
        if let (Some(was), Some(is)) =
            (old.newest, after.fragments.iter().find(is).and_then(|f| f.newest))
            && was.duration_since(is) > WEEK
        {
            let Fragment { feed, release, .. } = old;
            older.push(format!(
                "{feed}: its newest record of {release} is of {is}, it was of {was}"
            ));
        }
    }
    older
}

/// Names the (feed, release) fragments that the feed still had in the build before and has no more.
pub(crate) fn vanished(before: &Provenance, after: &Provenance) -> Vec<(String, String)> {
    let given = |feed: &str| after.feeds.iter().any(|f| f.name == feed);
    let has = |feed: &str, release: &str| {
        after.fragments.iter().any(|f| f.feed == feed && f.release == release)
    };
    before
        .fragments
        .iter()
        .filter(|f| given(&f.feed) && !has(&f.feed, &f.release))
        .map(|f| (f.feed.clone(), f.release.clone()))
        .collect()
}
