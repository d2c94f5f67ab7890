//! Servers that are reached over SSH: one command to each, and what each answers becomes facts.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use muster_core::fact::Facts;
use muster_inspect::root::{self, Answer};
use muster_net::ssh::{self, Destination, Reach, Trouble};

use crate::args::Inspect;

/// Bytes that one server may answer: its package database and the indices of its archives.
const MAX_ANSWER: u64 = 512 << 20;

/// Tells whether a root is one over SSH.
pub(super) fn is_named(root: &str) -> bool {
    root.starts_with("ssh://")
}

/// Asks one server.
pub(super) fn one(root: &str, asked: &Inspect) -> anyhow::Result<Facts> {
    let mut learned = None;
    ask(&[root], asked, &mut |_, facts| learned = Some(facts))?;
    learned.context("the server was not asked")?
}

/// Asks servers side by side, and hands over what was learned of each.
pub(super) fn ask(
    roots: &[&str],
    asked: &Inspect,
    taken: &mut dyn FnMut(&str, anyhow::Result<Facts>),
) -> anyhow::Result<()> {
    let servers: Vec<Destination> =
        roots.iter().map(|root| root.parse()).collect::<Result<_, _>>()?;
    let reach = Reach {
        program: PathBuf::from("ssh"),
        launcher: Some(PathBuf::from("/proc/self/exe")).filter(|own| own.exists()),
        config: asked.ssh.ssh_config.clone(),
        time: Duration::from_secs(asked.timeout.into()),
        bytes: MAX_ANSWER,
        parallel: asked.ssh.parallel.into(),
        folder: std::env::temp_dir(),
    };
    let command = root::command(asked.ssh.sudo);
    ssh::ask(&reach, &servers.iter().collect::<Vec<_>>(), &command, &mut |number, answer| {
        let root = roots.get(number).copied().unwrap_or_default();
        let facts = learn(root, answer, asked, &reach);
        taken(root, facts.with_context(|| format!("inspecting {root}")));
    });
    Ok(())
}

/// Reads an answer in a child, as what came from a server must be.
fn learn(
    root: &str,
    answer: Result<File, Trouble>,
    asked: &Inspect,
    reach: &Reach,
) -> anyhow::Result<Facts> {
    let answer =
        Answer::find(answer?, ssh::nameless(&reach.folder)?).map_err(|why| anyhow!("{why}"))?;
    Ok(muster_inspect::inspect_answer(root, answer, &super::options(asked))?)
}
