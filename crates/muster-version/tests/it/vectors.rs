//! The version vectors of other projects, read where they lie in the shared data.
//!
//! Where the tool refuses one side of a vector, the lenient order is held against it. Where a
//! vector contradicts the tool, the tool is right; those are listed here one by one.

use std::path::Path;
use std::process::Command;

use muster_version::Scheme;

use crate::{not_run, shared, sign};

/// A vector that the tool contradicts: the scheme, the line, and why the tool is right.
const CONTRADICTED: &[(Scheme, &str, &str)] = &[];

#[test]
fn every_vector_is_answered_as_it_says() {
    let Some(shared) = shared() else { return not_run("../shared") };
    let mut failed = Vec::new();
    let mut total = 0;
    let mut unused: Vec<_> =
        CONTRADICTED.iter().map(|(scheme, line, _)| (*scheme, *line)).collect();
    let mut files: Vec<_> = std::fs::read_dir(shared.join("data/versions"))
        .expect("the folder of vectors can be listed")
        .map(|entry| entry.expect("an entry of the folder can be read").path())
        .collect();
    files.sort();
    for file in files {
        let name = file.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let Some(scheme) = scheme_of(&name) else { continue };
        let Some(text) = read(&file) else { return not_run("zstd") };
        let (mut pairs, mut refused) = (0, 0);
        for (a, wanted, b) in text.lines().filter_map(pair) {
            pairs += 1;
            let strict = scheme.compare(a, b);
            refused += usize::from(strict.is_none());
            let lenient = scheme.compare_lenient(a, b);
            if strict.is_some() && strict != Some(lenient) {
                failed.push(format!("{scheme}: {a} {b}: the lenient order differs"));
            }
            let said = sign(Some(strict.unwrap_or(lenient)));
            if said == wanted {
                continue;
            }
            let line = format!("{a} {wanted} {b}");
            if CONTRADICTED.iter().any(|known| (known.0, known.1) == (scheme, &line)) {
                unused.retain(|known| *known != (scheme, &line));
                continue;
            }
            failed.push(format!("{name}: {line}: said {said} (strictly {})", sign(strict)));
        }
        println!("{name}: {pairs} pairs, {refused} with a text that the tool refuses");
        assert!(pairs > 0, "{name} has no vectors");
        total += pairs;
    }
    println!("{total} pairs, {} wrong", failed.len());
    assert!(failed.is_empty(), "{} wrong:\n{}", failed.len(), failed.join("\n"));
    assert!(unused.is_empty(), "listed as contradicted, but they are not: {unused:?}");
}

/// apk-tools also marks texts that are versions, and with `!` texts that are none.
#[test]
fn apk_takes_what_apk_tools_takes() {
    let Some(shared) = shared() else { return not_run("../shared") };
    let text = read(&shared.join("data/versions/apk-tools-version.data"))
        .expect("the file is not compressed");
    let mut checked = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.contains(' ') && *line != "") {
        let (version, valid) = match line.strip_prefix('!') {
            Some(version) => (version, false),
            None => (line, true),
        };
        assert_eq!(Scheme::Apk.is_valid(version), valid, "{version:?}");
        checked += 1;
    }
    assert!(checked > 20, "the marks were not found");
}

fn scheme_of(name: &str) -> Option<Scheme> {
    let known = [
        ("debian", Scheme::Dpkg),
        ("dpkg", Scheme::Dpkg),
        ("rpm", Scheme::Rpm),
        ("redhat", Scheme::Rpm),
        ("alpine", Scheme::Apk),
        ("apk", Scheme::Apk),
        ("packagist", Scheme::Composer),
        ("pypi", Scheme::Pep440),
        ("rubygems", Scheme::RubyGems),
        ("semver", Scheme::Semver),
    ];
    let name = name.strip_prefix("osv-").unwrap_or(name);
    known.into_iter().find(|(key, _)| name.starts_with(key)).map(|(_, scheme)| scheme)
}

/// Reads a file; `None` where it is compressed and the program for it is missing.
fn read(file: &Path) -> Option<String> {
    if file.extension().is_none_or(|extension| extension != "zst") {
        return Some(std::fs::read_to_string(file).expect("the vectors can be read"));
    }
    let run = Command::new("zstd").arg("-dcq").arg(file).output().ok()?;
    assert!(run.status.success(), "zstd could not unpack {}", file.display());
    Some(String::from_utf8(run.stdout).expect("the vectors are UTF-8"))
}

/// Reads `a < b`, or `a b -1` as dpkg and rpm write it.
fn pair(line: &str) -> Option<(&str, char, &str)> {
    let comment = ["#", "//"].into_iter().filter_map(|mark| {
        line.match_indices(mark).map(|(at, _)| at).find(|&at| {
            line.get(..at)
                .is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
        })
    });
    let line = line.get(..comment.min().unwrap_or(line.len()))?;
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        [a, sign @ ("<" | "=" | ">"), b] => Some((a, sign.chars().next()?, b)),
        [a, b, "-1"] => Some((a, '<', b)),
        [a, b, "0"] => Some((a, '=', b)),
        [a, b, "1"] => Some((a, '>', b)),
        _ => None,
    }
}
