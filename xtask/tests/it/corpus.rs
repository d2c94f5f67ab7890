//! The corpora of the fuzzer and the fixtures of feeds, replayed: whole, cut off, and with bytes knocked over.
//!
//! Each input meets the parser it was made for; documents of feeds meet every feed, as they do when a person names
//! the wrong folder.

use std::fs;
use std::path::{Path, PathBuf};

use muster_feed::feeds::FEEDS;
use muster_inspect::inspectors::INSPECTORS;
use xtask::repository::Repository;

#[path = "../../../fuzz/entries.rs"]
mod entries;

/// Longer inputs are cut: a debug build replays all of it in seconds.
const LIMIT: usize = 64 << 10;

fn inputs(below: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let repository = Repository::here();
    let files = repository.files().expect("the repository can be read");
    let own = files.into_iter().filter(|f| f.starts_with(below));
    own.map(|f| {
        let mut bytes = fs::read(repository.path(&f)).expect("the file was just listed");
        bytes.truncate(LIMIT);
        (f, bytes)
    })
    .collect()
}

/// The input itself, its first half, all but its last byte, and with one byte in a hundred overwritten.
fn variants(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut knocked = bytes.to_vec();
    for byte in knocked.iter_mut().skip(7).step_by(101) {
        *byte = !*byte;
    }
    let half = bytes[..bytes.len() / 2].to_vec();
    let short = bytes[..bytes.len().saturating_sub(1)].to_vec();
    vec![bytes.to_vec(), half, short, knocked]
}

#[expect(clippy::print_stdout, reason = "a failure names the last input")]
fn replay(corpus: &str, parser: impl Fn(&[u8])) {
    let inputs = inputs(corpus);
    assert!(!inputs.is_empty(), "{corpus} is empty");
    for (path, bytes) in &inputs {
        println!("{}", path.display());
        variants(bytes).iter().for_each(|b| parser(b));
    }
}

#[test]
fn versions() {
    replay("fuzz/corpus/version", entries::version);
}

#[test]
fn answers_over_ssh() {
    replay("fuzz/corpus/answer", entries::answer);
}

#[test]
fn configurations_of_web_servers() {
    replay("fuzz/corpus/web_server", entries::web_server);
}

#[test]
fn files_that_tell_a_version() {
    replay("fuzz/corpus/web_application", entries::web_application);
}

#[test]
fn packages_of_languages() {
    replay("fuzz/corpus/language", entries::language);
}

#[test]
fn lists_of_owners() {
    replay("fuzz/corpus/owner", entries::owner);
}

#[test]
fn stores_of_containers() {
    replay("fuzz/corpus/container", entries::container);
}

#[test]
fn sections() {
    replay("fuzz/corpus/section", entries::section);
}

#[test]
fn advisory_files() {
    replay("fuzz/corpus/advisory_file", entries::advisory_file);
}

#[test]
fn every_feed_meets_every_document() {
    let mut documents = inputs("fuzz/corpus/feed");
    documents.extend(inputs("fixtures/feeds").into_iter().filter(|(p, _)| !is_expectation(p)));
    assert!(!documents.is_empty());
    for (path, bytes) in &documents {
        println!("{}", path.display());
        for feed in FEEDS {
            let below = path.to_string_lossy();
            variants(bytes).iter().for_each(|b| entries::feed(feed.name(), &below, b));
        }
    }
}

#[test]
fn every_inspector_meets_every_file() {
    let files = inputs("fuzz/corpus/inspector");
    assert!(!files.is_empty());
    for (path, bytes) in &files {
        println!("{}", path.display());
        for inspector in INSPECTORS {
            variants(bytes).iter().for_each(|b| entries::inspector(inspector.name(), b));
        }
    }
}

fn is_expectation(path: &Path) -> bool {
    path.to_string_lossy().contains(".expected.")
}
