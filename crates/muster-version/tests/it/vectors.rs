//! The version vectors of other projects, read where they lie in the shared data.
//!
//! Where the tool refuses one side of a vector, the lenient order is held against it. Where a
//! vector contradicts the tool, the tool is right; those are listed here one by one.

use std::path::Path;
use std::process::Command;

use muster_version::Scheme;

use crate::{not_run, shared, sign};

/// A vector that the tool contradicts: the scheme, the line, and why the tool is right.
const CONTRADICTED: &[(Scheme, &str, &str)] = &[
    (Scheme::Composer, "v3.0 < v3.0.0-beta", FILLED),
    (Scheme::Composer, "v3.4 < v3.4.0-alpha", FILLED),
    (Scheme::Composer, "v4-beta4 < v4.0-alpha", FILLED),
    (Scheme::Composer, "v4.4 < v4.4.0-beta", FILLED),
    (Scheme::Composer, "v6.5 < v6.5.0-beta-0", FILLED),
    (Scheme::Composer, "v6.6 < v6.6.0-beta", FILLED),
    (Scheme::Composer, "1.0.0 > 1.0", FILLED),
    (Scheme::Composer, "v1.9.0-ALPHA.1 = v1.9.0-BETA.1", CASE),
    (Scheme::Composer, "v1.9.0-BETA.1 < v1.9.0-ALPHA.2", CASE),
    (Scheme::Composer, "v1.9.0-ALPHA.2 = v1.9.0-BETA.2", CASE),
    (Scheme::Composer, "5.1.0-stable < 5.1.0-beta2", STABLE),
    (Scheme::Composer, "1.2.3.# = 1.2.3.1", NO_ORDER),
    (Scheme::Apk, "1-r0-1 = 1-r-2", REVISION),
    (Scheme::Pep440, "2.0.1rc2-git < 0.8", LEGACY),
    (Scheme::Pep440, "0.7.4.svn.r2010 < 0.6.4", LEGACY),
    (Scheme::Pep440, "2014-01-12T15-52-10 < 0.2016.3.21", LEGACY),
    (Scheme::Pep440, "0.8.7p1 < 0.7.3", LEGACY),
    (Scheme::Pep440, "0.6m6 < 0.2rc0", LEGACY),
    (Scheme::Pep440, "1.3.1-STAGING < 0.0.1", LEGACY),
    (Scheme::Pep440, "2.0.0-final < 0.10", LEGACY),
    (Scheme::Pep440, "1.0beta6.1 < 1.0b6", LEGACY),
    (Scheme::Pep440, "0.4.0-p1 < 0.0.1", LEGACY),
];

const FILLED: &str = "Composer fills a version up to four numbers before it compares, the vector is \
                      PHP's version_compare on the bare text";
const CASE: &str =
    "Composer takes ALPHA for alpha, PHP's version_compare on the bare text does not";
const STABLE: &str = "Composer drops -stable, PHP's version_compare does not know the word";
const NO_ORDER: &str = "Composer refuses it; the vectors make it equal to 1.2.3 and to 1.2.3.1, \
                        which no order can be";
const REVISION: &str = "apk-tools 3 refuses both and compares up to the mistake: a revision is more \
                        than a mistake; the vector is that of apk-tools 2";
const LEGACY: &str = "PEP 440 rejects it, so packaging orders it no more; packaging before 22 put \
                      all such texts before every version, we put them where they begin to differ";

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
    for line in text.lines().map(str::trim).filter(|line| !line.contains(' ') && !line.is_empty()) {
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
