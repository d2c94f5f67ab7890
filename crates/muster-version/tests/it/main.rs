//! Versions against the vectors of others, against the tools themselves, and against the laws of
//! an order.

mod fixtures;
mod generate;
mod laws;
mod tools;
mod vectors;

use std::cmp::Ordering;
use std::path::PathBuf;

use muster_version::Scheme;

/// The sign that vectors and tools write for an answer; `?` where there is none.
fn sign(answer: Option<Ordering>) -> char {
    match answer {
        Some(Ordering::Less) => '<',
        Some(Ordering::Equal) => '=',
        Some(Ordering::Greater) => '>',
        None => '?',
    }
}

/// Returns the shared data, if it is there.
fn shared() -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let found = std::env::var_os("MUSTER_SHARED").map_or(beside, PathBuf::from);
    found.join("data/versions").is_dir().then_some(found)
}

/// Says what a test could not run for; where everything must run, that fails it.
#[expect(clippy::print_stdout, reason = "says why nothing was compared")]
fn not_run(needs: &str) {
    println!("not run: needs {needs}");
    let all = std::env::var_os("MUSTER_REQUIRE_ALL");
    assert!(all.is_none_or(|value| value != "1"), "MUSTER_REQUIRE_ALL=1, but it needs {needs}");
}

#[test]
fn schemes_are_read_by_the_name_they_print() {
    for scheme in Scheme::ALL {
        assert_eq!(scheme.to_string().parse(), Ok(scheme));
    }
    let refused = "deb".parse::<Scheme>().expect_err("no scheme has this name").to_string();
    assert_eq!(
        refused,
        "not a version scheme: use one of dpkg, rpm, apk, semver, npm, pep440, composer, \
         rubygems, maven, golang"
    );
}
