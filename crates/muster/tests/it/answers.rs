//! What an answer may not do: name a version that does not help, stay silent where a format is narrow, wait, or crash.

use crate::feeds::{self, osv};
use crate::runs::{Folder, NOW, run, run_bounded};
use crate::servers::{self, BOOKWORM, stanza};

const DAY: &str = "2026-11-05T00:00:00Z";

/// A Debian 12 whose harbour misses two patches, the older one with the smaller id.
fn behind() -> (Folder, Folder, String) {
    let folder = Folder::new();
    let file = folder.text("f.adv");
    let feed = osv("DEBIAN-CVE-2026-9001", "Debian:12", "harbour", Some("2.0-2"), DAY)
        + &osv("DEBIAN-CVE-2026-9002", "Debian:12", "harbour", Some("2.0-10"), DAY)
        + &osv("DEBIAN-CVE-2026-9003", "Debian:12", "linux", Some("6.1.170-1"), DAY);
    folder.write("d.ndjson", feed);
    run(&["feed", "build", "-o", &file, &folder.text("d.ndjson")]).is(0);
    let root = servers::dpkg(BOOKWORM, &stanza("libharbour1", "2.0-1", "harbour", ""));
    (folder, root, file)
}

#[test]
fn a_row_names_the_version_that_closes_everything_under_it() {
    let (_folder, root, file) = behind();
    let table = run(&["inspect", &root.text(""), "--advisories", &file, "--now", NOW]).is(1);
    assert!(table.text().contains("harbour  2.0-1 -> 2.0-10\n"), "{}", table.text());

    servers::with_lists(&root, "", &servers::offer("libharbour1", "2.0-3", "harbour"));
    let table = run(&["inspect", &root.text(""), "--advisories", &file, "--now", NOW]).is(1);
    let shown = table.text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("harbour 2.0-1 -> 2.0-3 "), "{shown}");
    assert!(shown.contains("1 of them is fixed only in 2.0-10, newer than the indices"), "{shown}");
}

#[test]
fn a_kernel_is_brought_by_the_package_that_depends_on_the_newest() {
    let (_folder, root, file) = behind();
    let image =
        stanza("linux-image-6.1.0-15-amd64", "6.1.66-1", "linux-signed-amd64 (6.1.66+1)", "");
    let meta = stanza("linux-image-amd64", "6.1.66-1", "linux-signed-amd64 (6.1.66+1)", "");
    for (status, action) in [
        (image.clone() + &meta, "apt-get install --only-upgrade linux-image-amd64"),
        (image, "install the newest kernel image of this line, then reboot"),
    ] {
        root.write("var/lib/dpkg/status", status);
        let answer = run(&[
            "inspect",
            &root.text(""),
            "--advisories",
            &file,
            "--now",
            NOW,
            "--format",
            "json",
        ])
        .is(1)
        .json();
        let findings = answer["findings"].as_array().unwrap();
        let kernel = findings.iter().find(|f| f["source"] == "linux").unwrap();
        assert_eq!(kernel["action"], action, "{kernel:#}");
    }
}

#[test]
fn what_could_not_be_known_is_told_in_every_format() {
    let root = servers::dpkg(BOOKWORM, "no status file\n");
    for format in ["table", "json", "ndjson", "csv", "sarif", "cyclonedx", "openvex"] {
        let ran = run(&["inspect", &root.text(""), "--now", NOW, "--format", format]).is(1);
        let (out, err) = (ran.text().replace('\n', " "), &ran.err);
        assert!((out + err).contains("status"), "{format}: {err}");
    }
}

#[test]
fn a_line_of_ndjson_names_its_root() {
    let (_folder, root, file) = behind();
    let (one, two) = (root.text(""), root.text("."));
    let lines = run(&["inspect", &one, &two, "--advisories", &file, "--format", "ndjson"]).is(1);
    let mut roots: Vec<String> = lines
        .text()
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["root"].as_str().unwrap().to_owned()
        })
        .collect();
    roots.dedup();
    assert_eq!(roots, [one, two]);
}

#[test]
fn a_fifo_in_place_of_the_advisory_file_is_refused_and_not_waited_for() {
    let (_folder, root, _) = behind();
    let fifo = root.at("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    run_bounded(&["inspect", &root.text(""), "--advisories", &root.text("fifo")])
        .refused(&["fifo", "not a compiled advisory file"]);
}

#[test]
fn completions_into_a_full_disk_or_a_closed_pipe_are_an_error_and_no_crash() {
    for script in ["\"$0\" completions bash >/dev/full", "\"$0\" completions bash | head -c 50"] {
        let ran = std::process::Command::new("bash")
            .args(["-o", "pipefail", "-c", script, env!("CARGO_BIN_EXE_muster")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(!said.contains("panicked"), "{said}");
        assert_ne!(ran.status.code(), Some(101), "{script}: {said}");
    }
}

#[test]
fn why_answers_in_words_alone() {
    let (_folder, root, file) = behind();
    run(&[
        "inspect",
        &root.text(""),
        "--advisories",
        &file,
        "--why",
        "CVE-2026-9001",
        "--format",
        "json",
    ])
    .refused(&["--why", "--format"]);
}

#[test]
fn a_clock_before_the_advisories_is_told_in_the_answer() {
    let folder = Folder::new();
    let file = feeds::debian_file(&folder);
    let root = servers::debian();
    let answer = run(&[
        "inspect",
        &root.text(""),
        "--advisories",
        &file,
        "--now",
        "2024-01-01T00:00:00Z",
        "--format",
        "json",
    ])
    .is(1)
    .json();
    let unknown = answer["unknown"].as_array().unwrap();
    let clock = unknown.iter().find(|u| u["what"] == "clock").unwrap();
    assert!(clock["why"].as_str().unwrap().contains("is the clock right?"), "{clock}");
}

#[test]
fn advisories_that_end_long_ago_are_said_to() {
    let (_folder, root, file) = behind();
    for (now, told) in [("2026-12-05T00:00:00Z", false), ("2027-03-01T00:00:00Z", true)] {
        let answer = run(&[
            "inspect",
            &root.text(""),
            "--advisories",
            &file,
            "--now",
            now,
            "--format",
            "json",
        ])
        .is(1)
        .json();
        let unknown = answer["unknown"].as_array().unwrap();
        let stale = unknown.iter().any(|u| {
            u["what"] == "advisories" && u["why"].as_str().unwrap().contains("of 2026-11-05")
        });
        assert_eq!(stale, told, "{now}: {unknown:#?}");
    }
}

#[test]
fn a_build_over_a_damaged_file_says_what_to_do() {
    let (folder, _root, file) = behind();
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() / 2;
    bytes[last..].fill(0);
    std::fs::write(&file, &bytes).unwrap();
    let feed = folder.text("d.ndjson");
    run(&["feed", "build", "-o", &file, "--accept-change", &feed]).refused(&[
        "damaged",
        "move ",
        " away to build without it",
    ]);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    std::fs::remove_file(&file).unwrap();
    run(&["feed", "build", "-o", &file, &feed]).is(0);
}
