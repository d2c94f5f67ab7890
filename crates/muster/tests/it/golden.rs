//! What every command says of itself, as golden text; pages and completions are made without error.
//!
//! `MUSTER_BLESS=1 cargo test -p muster --test it help` writes the golden text anew.

use std::path::{Path, PathBuf};

use crate::runs::{Folder, run};

const COMMANDS: [&[&str]; 15] = [
    &[],
    &["inspect"],
    &["explain"],
    &["feed"],
    &["feed", "build"],
    &["feed", "show"],
    &["feed", "diff"],
    &["feed", "pull"],
    &["ssh-key"],
    &["advisory"],
    &["version"],
    &["version", "compare"],
    &["completions"],
    &["man"],
    &["help"],
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cli/help")
}

#[test]
fn the_help_of_every_command_is_as_it_was_agreed() {
    let bless = std::env::var_os("MUSTER_BLESS").is_some();
    let mut differ = Vec::new();
    for command in COMMANDS {
        let name = if command.is_empty() { "muster".to_owned() } else { command.join("-") };
        let place = folder().join(format!("{name}.txt"));
        let mut arguments = command.to_vec();
        if command != ["help"] {
            arguments.push("--help");
        }
        let said = run(&arguments).is(0);
        let said = said.text();
        for line in said.lines() {
            assert!(line.chars().count() <= 100, "{name}: {line}");
        }
        if bless {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&place, said).unwrap();
        }
        if std::fs::read_to_string(&place).unwrap_or_default() != said {
            differ.push(format!("{}:\n{said}", place.display()));
        }
    }
    assert!(differ.is_empty(), "MUSTER_BLESS=1 writes these anew:\n{}", differ.join("\n"));
}

#[test]
fn no_command_is_without_golden_help() {
    let listed = |of: &[&str]| -> Vec<String> {
        let mut arguments = of.to_vec();
        arguments.push("--help");
        let ran = run(&arguments).is(0);
        let lines = ran.text().lines().skip_while(|l| *l != "Commands:").skip(1);
        let names = lines.take_while(|l| !l.is_empty());
        names
            .filter(|l| !l.starts_with("   "))
            .filter_map(|l| l.split_whitespace().next().map(str::to_owned))
            .collect()
    };
    let top = listed(&[]);
    assert!(top.contains(&"inspect".to_owned()), "{top:?}");
    for command in &top {
        assert!(COMMANDS.contains(&&[command.as_str()][..]), "{command} has no golden help");
    }
    for group in ["feed", "version"] {
        for command in listed(&[group]).iter().filter(|c| *c != "help") {
            assert!(
                COMMANDS.contains(&&[group, command.as_str()][..]),
                "{group} {command} has no golden help"
            );
        }
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let pages = Folder::new();
    run(&["man", &pages.text("")]).is(0);
    let names = pages.names();
    for page in [
        "muster.1",
        "muster-inspect.1",
        "muster-feed-build.1",
        "muster-version-compare.1",
        "muster-advisory.1",
    ] {
        assert!(names.iter().any(|n| n == page), "{page} is not among {names:?}");
        assert!(std::fs::read_to_string(pages.at(page)).unwrap().contains(".TH "), "{page}");
    }
    run(&["man", &pages.text("no/such/folder")]).refused(&[]);
}

#[test]
fn completions_are_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&["completions", shell]).is(0);
        assert!(ran.text().contains("inspect") && ran.text().contains("compare"), "{shell}");
    }
    run(&["completions", "smoke"]).refused(&["bash", "zsh"]);
}

#[test]
fn what_is_typed_wrongly_is_refused_with_the_right_words() {
    run(&["inspekt"]).refused(&["inspect"]);
    run(&["inspect", "--format", "xml"]).refused(&["json", "sarif", "cyclonedx", "openvex", "csv"]);
    run(&["inspect", "--now", "yesterday"]).refused(&["2026-11-23T00:00:00Z"]);
    run(&["inspect", "--timeout", "0"]).refused(&["--timeout"]);
    assert_eq!(run::<&str>(&[]).status, Some(2));
    assert!(run(&["--version"]).is(0).text().starts_with("muster "));
}
