//! Servers that are reached over SSH: one command to each, and what each answers becomes facts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use muster_core::fact::Facts;
use muster_inspect::root::{self, Answer, Named};
use muster_net::ssh::{self, Destination, Indices, Questions, Reach, Trouble};

use crate::advisories::data_folder;
use crate::args::{Inspect, environment};

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
    let mut talk = Talk {
        roots,
        indices: Indices::new(kept_indices(), reach.folder.clone(), trusted_keyrings()),
        reach: &reach,
        halves: BTreeMap::new(),
    };
    ssh::ask(&reach, &servers.iter().collect::<Vec<_>>(), &command, &mut |number, answer, more| {
        for (number, answer) in talk.hear(number, answer, more) {
            let root = roots.get(number).copied().unwrap_or_default();
            // What came from a server is read in a child.
            let facts = answer.and_then(|answer| {
                Ok(muster_inspect::inspect_answer(root, answer, &super::options(asked))?)
            });
            taken(root, facts.with_context(|| format!("inspecting {root}")));
        }
    });
    Ok(())
}

/// Where indices are kept from one inspection to the next: a cache, as the XDG Base Directory Specification has it.
fn kept_indices() -> Option<PathBuf> {
    let own = environment("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = own.or_else(|| environment("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Some(cache?.join("muster").join("indices"))
}

/// Where the keys lie that archives are signed with: those that apt trusts here, and those that a person put beside the
/// advisory file.
fn trusted_keyrings() -> Vec<PathBuf> {
    let apt = ["/usr/share/keyrings", "/etc/apt/keyrings", "/etc/apt/trusted.gpg.d"];
    let own = data_folder().map(|folder| folder.join("keyrings"));
    apt.into_iter().map(PathBuf::from).chain(own).collect()
}

/// What was said so far, and what is to be said once more: indices that are not known here are asked for by a second trip.
/// Where several servers lack the same at the same time, the first brings it.
struct Talk<'a> {
    roots: &'a [&'a str],
    reach: &'a Reach,
    indices: Indices,
    /// The servers whose answers lack indices.
    halves: BTreeMap<usize, Half>,
}

/// An answer that named indices, and what is missing of them.
struct Half {
    answer: Answer,
    named: Named,
    missing: BTreeSet<String>,
    /// The server that brings some of these.
    waits_for: Option<usize>,
    has_waited: bool,
}

impl Talk<'_> {
    /// Takes an answer, and returns those that are whole now.
    fn hear(
        &mut self,
        number: usize,
        answer: Result<File, Trouble>,
        more: &mut Questions,
    ) -> Vec<(usize, anyhow::Result<Answer>)> {
        let Some(half) = self.halves.remove(&number) else {
            return match self.first(answer) {
                Ok(half) => self.go_on(number, half, more).into_iter().collect(),
                Err(error) => vec![(number, Err(error))],
            };
        };
        let mut whole = vec![(number, self.second(number, half, answer))];
        let waiting = self.halves.extract_if(.., |_, half| half.waits_for == Some(number));
        for (other, half) in waiting.collect::<Vec<_>>() {
            whole.extend(self.go_on(other, half, more));
        }
        whole
    }

    fn first(&self, answer: Result<File, Trouble>) -> anyhow::Result<Half> {
        let tar = ssh::nameless(&self.reach.folder)?;
        let answer = Answer::find(answer?, tar).map_err(|why| anyhow!("{why}"))?;
        let named = answer.named().map_err(|why| anyhow!("{why}"))?;
        Ok(Half { answer, named, missing: BTreeSet::new(), waits_for: None, has_waited: false })
    }

    /// Returns an answer if nothing is missing of it; has it asked for otherwise.
    fn go_on(
        &mut self,
        number: usize,
        mut half: Half,
        more: &mut Questions,
    ) -> Option<(usize, anyhow::Result<Answer>)> {
        let server = self.roots.get(number).copied().unwrap_or_default();
        let named = half.named.indices.iter();
        let unknown = named.filter(|(_, digest)| self.indices.find(server, digest).is_none());
        half.missing = unknown.map(|(path, _)| path.clone()).collect();
        if half.missing.is_empty() {
            return Some((number, Ok(self.filled(server, half, Vec::new()))));
        }
        half.waits_for = self.bearer(&half);
        if half.waits_for.is_some() {
            half.has_waited = true;
        } else {
            let lines = half.missing.iter().chain(&half.named.releases);
            more.again(number, lines.flat_map(|path| [path, "\n"]).collect::<String>().into());
        }
        self.halves.insert(number, half);
        None
    }

    /// Returns a server that was asked for an index that is missing here too. Nobody waits twice, and not too many do.
    fn bearer(&self, half: &Half) -> Option<usize> {
        if half.has_waited || self.halves.len() > self.reach.parallel * 2 {
            return None;
        }
        let missing = |half: &Half, digest: &String| {
            half.named.indices.iter().any(|(path, d)| d == digest && half.missing.contains(path))
        };
        let digests = half.named.indices.iter().map(|(_, digest)| digest);
        let own: Vec<&String> = digests.filter(|digest| missing(half, digest)).collect();
        let mut asked = self.halves.iter().filter(|(_, other)| other.waits_for.is_none());
        asked.find(|(_, other)| own.iter().any(|d| missing(other, d))).map(|(number, _)| *number)
    }

    fn second(
        &mut self,
        number: usize,
        half: Half,
        answer: Result<File, Trouble>,
    ) -> anyhow::Result<Answer> {
        let server = self.roots.get(number).copied().unwrap_or_default();
        let asked: BTreeSet<String> =
            half.missing.iter().chain(&half.named.releases).cloned().collect();
        let brought = self.indices.take(server, answer?, &asked)?;
        Ok(self.filled(server, half, brought))
    }

    /// Adds what is known, and what was brought.
    fn filled(&mut self, server: &str, half: Half, brought: Vec<(String, File)>) -> Answer {
        let Half { mut answer, named, missing, .. } = half;
        for (path, digest) in named.indices {
            if !missing.contains(&path)
                && let Some(content) = self.indices.find(server, &digest)
            {
                answer.bring(path, content);
            }
        }
        for (path, content) in brought {
            answer.bring(path, content);
        }
        answer
    }
}
