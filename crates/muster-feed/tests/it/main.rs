//! Sources as people name them: files, folders and archives, whole and damaged, and the shared data with its counts.

#![cfg(test)]

mod damaged;
mod sources;
mod vendors;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use muster_core::advisory::{Item, Problem, Sink, Status};
use muster_feed::input::{self, Error, Source, Terms};

/// What a test looks at of a source.
#[derive(Default)]
struct Heard {
    ids: Vec<String>,
    statements: u64,
    fixes: u64,
    modular: u64,
    unknown_streams: u64,
    states: BTreeMap<Status, u64>,
    problems: Vec<Problem>,
}

impl Sink for Heard {
    fn item(&mut self, item: Item<'_>) {
        let Item::Record(record) = item else { return };
        self.ids.push(record.id.into_owned());
        for statement in &record.statements {
            self.statements += 1;
            self.fixes += u64::from(statement.fixed.is_some());
            self.modular += u64::from(statement.module.is_some());
            self.unknown_streams += u64::from(statement.module.as_deref() == Some("?"));
            *self.states.entry(statement.status).or_default() += 1;
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}

impl Heard {
    /// The problems, each on a line, with the folder of the test left out.
    fn problems(&self, folder: &Path) -> Vec<String> {
        let folder = format!("{}/", folder.display());
        let line = |p: &Problem| p.line.map_or(String::new(), |l| format!(":{l}"));
        self.problems
            .iter()
            .map(|p| format!("{}{}: {}", p.path.replace(&folder, ""), line(p), p.what))
            .collect()
    }
}

/// Reads a source of one feed.
fn read(path: &Path) -> (Result<Source, Error>, Heard) {
    let (sources, heard) = read_all(path);
    let one = sources.map(|mut sources| {
        assert_eq!(sources.len(), 1, "{sources:?}");
        sources.remove(0)
    });
    (one, heard)
}

fn read_all(path: &Path) -> (Result<Vec<Source>, Error>, Heard) {
    let mut heard = Heard::default();
    let terms = Terms { format: None, until: "2031-02-01T00:00:00Z".parse().unwrap() };
    let sources = input::read(path, terms, &mut heard, &mut |_| {});
    (sources, heard)
}

/// The shared data, or a line that says why a test did not run.
fn shared() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests ask where the data lies")]
    let (named, required) =
        (std::env::var("MUSTER_SHARED").ok(), std::env::var("MUSTER_REQUIRE_ALL").is_ok());
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = named.map_or_else(beside, PathBuf::from).join("data/advisories");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(!required, "../shared is needed");
    println!("not run: needs ../shared");
    None
}
