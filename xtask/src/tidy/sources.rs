//! What every source file keeps to: it says what it is, holds no `unsafe` but in one crate, names no machine, and
//! leaves nothing to be done without an issue that says so.

use std::path::{Path, PathBuf};

use super::Findings;
use crate::repository::Repository;

/// The one crate that asks the system for what safe Rust cannot.
const UNSAFE_ROOM: &str = "crates/muster-sandbox/src";
/// A file longer than this is named, so that somebody thinks about it.
const LONG: usize = 800;
/// Files of these kinds are text that people wrote.
const TEXT: [&str; 10] = ["rs", "toml", "md", "py", "rb", "js", "php", "pl", "sh", "java"];

pub(super) fn check(
    repository: &Repository,
    files: &[PathBuf],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    for file in files.iter().filter(|f| is_text(f)) {
        let text = repository.read(file)?;
        if file.extension().is_some_and(|e| e == "rs") {
            rust(file, &text, findings);
        }
        lines(file, &text, findings);
    }
    Ok(())
}

fn is_text(file: &Path) -> bool {
    let of_kind = file.extension().is_some_and(|e| TEXT.iter().any(|t| e == *t));
    (of_kind && !file.starts_with("fixtures")) || file.starts_with(".ci")
}

fn rust(file: &Path, text: &str, findings: &mut Findings) {
    if !text.starts_with("//!") {
        findings.fault(file, Some(1), "must open with `//!`: what it is, and what it does not do");
    }
    if text.lines().count() > LONG {
        findings.remark(file, format!("{} lines: is it two ideas?", text.lines().count()));
    }
    if file.starts_with(UNSAFE_ROOM) {
        return;
    }
    for (number, line) in text.lines().enumerate() {
        // The pieces keep this file from finding itself.
        let calls = ["block", "fn", "impl", "extern", "trait"].map(|w| match w {
            "block" => concat!("unsa", "fe {").to_owned(),
            word => format!(concat!("unsa", "fe {}"), word),
        });
        let code = line.split("//").next().unwrap_or_default();
        if calls.iter().any(|c| code.contains(c.as_str())) {
            findings.fault(file, Some(number + 1), format!("`unsafe` is for {UNSAFE_ROOM} only"));
        }
    }
}

fn lines(file: &Path, text: &str, findings: &mut Findings) {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/ro", "ot/."),
    ];
    for (number, line) in text.lines().enumerate() {
        // A vendor's own word in quotes is data.
        let remark = line.split_once("//").map_or("", |(_, remark)| remark);
        if let Some(mark) = marks.iter().find(|m| has_word(remark, m) && !is_quoted(remark, m))
            && !names_an_issue(line)
        {
            findings.fault(
                file,
                Some(number + 1),
                format!("{mark} without the number of an issue"),
            );
        }
        // What goes for whatever home there is, is a rule and no path.
        let is_of_one = |path: &str| {
            line.match_indices(path).any(|(at, _)| {
                let rest = line.get(at + path.len()..).unwrap_or_default();
                !rest.starts_with(['*', '{'])
            })
        };
        if let Some(path) = paths.iter().find(|path| is_of_one(path)) {
            findings.fault(file, Some(number + 1), format!("`{path}` is a path of some machine"));
        }
    }
}

fn is_quoted(line: &str, word: &str) -> bool {
    ['`', '"', '\''].iter().any(|quote| line.contains(&format!("{quote}{word}")))
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let letter = |c: char| c.is_alphanumeric() || c == '_';
        let before = line.get(..at).and_then(|b| b.chars().next_back()).is_some_and(letter);
        let after = line.get(at + word.len()..).and_then(|a| a.chars().next()).is_some_and(letter);
        !before && !after
    })
}

fn names_an_issue(line: &str) -> bool {
    line.match_indices('#').any(|(at, _)| {
        line.get(at + 1..).and_then(|rest| rest.chars().next()).is_some_and(|c| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> usize {
        let mut findings = Findings::default();
        rust(Path::new(path), text, &mut findings);
        lines(Path::new(path), text, &mut findings);
        findings.faults.len()
    }

    #[test]
    fn each_rule_bites() {
        assert_eq!(faults("crates/muster-core/src/a.rs", "//! A file.\nfn a() {}\n"), 0);
        assert_eq!(faults("crates/muster-core/src/a.rs", "fn a() {}\n"), 1);
        let deed = concat!("//! A file.\nunsa", "fe { a() }\n");
        assert_eq!(faults("crates/muster-core/src/a.rs", deed), 1);
        assert_eq!(faults("crates/muster-sandbox/src/a.rs", deed), 0);
        assert_eq!(faults("a.rs", concat!("//! A file.\n// TO", "DO: later\n")), 1);
        assert_eq!(faults("a.rs", concat!("//! A file.\n// TO", "DO(#12): later\n")), 0);
        assert_eq!(faults("a.rs", concat!("//! A file.\n// FIX", "ME: the sequel\n")), 1);
        assert_eq!(faults("a.rs", concat!("//! See /ho", "me/me/x\n")), 1);
    }
}
