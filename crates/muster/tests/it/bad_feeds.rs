//! Feeds that are broken: each is named with its file and line, within bounds, and the file before stays.

use std::io::Write as _;

use crate::feeds::{self, osv};
use crate::runs::{self, Folder, run, run_bounded};

const DAY: &str = "2026-11-05T00:00:00Z";

/// Builds a file first, then another in its place that must be refused and leave it alone.
#[track_caller]
fn refused(feed: &[u8], words: &[&str]) {
    let folder = Folder::new();
    folder.write("good.ndjson", feeds::debian()).write("bad", feed);
    let file = folder.text("f");
    run(&["feed", "build", "-o", &file, &folder.text("good.ndjson")]).is(0);
    let before = std::fs::read(&file).unwrap();
    run_bounded(&["feed", "build", "-o", &file, &folder.text("bad")]).refused(words);
    assert_eq!(std::fs::read(&file).unwrap(), before, "the old file was touched");
    assert_eq!(folder.names(), ["bad", "f", "good.ndjson"]);
}

/// Builds a file of a feed with problems, and returns them.
#[track_caller]
fn problems(name: &str, feed: impl AsRef<[u8]>) -> (Folder, Vec<serde_json::Value>) {
    let folder = Folder::new();
    folder.write(name, feed);
    let ran = run_bounded(&[
        "feed",
        "build",
        "-o",
        &folder.text("f"),
        &folder.text(name),
        "--format",
        "json",
    ])
    .is(1);
    let answer = ran.json();
    let problems = answer["problems"].as_array().unwrap().clone();
    assert!(!problems.is_empty(), "{answer:#}");
    (folder, problems)
}

#[test]
fn a_broken_line_is_a_problem_with_file_and_line() {
    let feed = osv("DEBIAN-CVE-2026-1", "Debian:12", "harbour", Some("2-1"), DAY)
        + "{\"id\": broken}\n"
        + &osv("DEBIAN-CVE-2026-2", "Debian:12", "harbour", Some("2-1"), DAY);
    let (folder, problems) = problems("d.ndjson", feed);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(
        (problems[0]["path"].as_str(), problems[0]["line"].as_u64()),
        (Some(folder.text("d.ndjson").as_str()), Some(2))
    );
    assert!(problems[0]["what"].as_str().unwrap().len() > 5);
    // What stands around it is kept.
    for id in ["DEBIAN-CVE-2026-1", "DEBIAN-CVE-2026-2"] {
        run(&["advisory", id, "--advisories", &folder.text("f")]).is(0);
    }
    let table = run(&["feed", "build", "-o", &folder.text("g"), &folder.text("d.ndjson")]).is(1);
    assert!(table.text().contains("d.ndjson:2: "), "{}", table.text());
}

#[test]
fn broken_lines_of_lists_and_trackers_are_named_too() {
    let (_, list) = problems(
        "data/DSA/list",
        feeds::DSA.to_owned() + "\t[bookworm] harbour without its dash\nwhat is this\n",
    );
    assert!(list.iter().any(|p| p["line"] == 6) && list.iter().any(|p| p["line"] == 7), "{list:?}");
    let (_, tracker) = problems(
        "CVE-2026-1",
        feeds::uct("CVE-2026-1", "high", &["jammy_harbour: released (1)", "a line of nobody"]),
    );
    assert_eq!(tracker[0]["line"], 13, "{tracker:?}");
}

#[test]
fn a_truncated_feed_is_a_problem() {
    let whole = feeds::debian();
    let (folder, cut) = problems("d.ndjson", &whole[..whole.len() - 60]);
    assert_eq!(cut.len(), 1, "{cut:?}");
    run(&["advisory", "DEBIAN-CVE-2026-9001", "--advisories", &folder.text("f")]).is(0);
    let secdb = feeds::secdb("v3.22", "harbour", "1-r0", "CVE-2026-1");
    let folder = Folder::new();
    folder.write("main.json", &secdb[..secdb.len() - 2]);
    let ran = run(&[
        "feed",
        "build",
        "-o",
        &folder.text("f"),
        &folder.text("main.json"),
        "--format",
        "json",
    ]);
    assert!([Some(1), Some(2)].contains(&ran.status), "{ran:?}");
}

#[test]
fn what_is_of_no_feed_is_refused() {
    refused(b"this is not JSON and nothing else that is known\n", &["bad", "FORMAT=PATH"]);
    refused(b"{\"some\": \"other schema\", \"entirely\": []}", &["bad"]);
    refused(b"", &["bad", "empty"]);
    refused(b"\x28\xb5\x2f\xfd\x00\x01\x02", &["bad"]);
    refused(b"\x1f\x8b\x08\x00broken", &["bad"]);
    refused(b"PK\x03\x04broken", &["bad"]);
}

#[test]
fn a_path_that_is_no_feed_is_refused_by_name() {
    let folder = Folder::new();
    let file = folder.text("f");
    run(&["feed", "build", "-o", &file, &folder.text("missing")]).refused(&["missing"]);
    std::fs::create_dir(folder.at("hollow")).unwrap();
    run(&["feed", "build", "-o", &file, &folder.text("hollow")]).refused(&["hollow", "empty"]);
    run(&["feed", "build", "-o", &file, "/dev/zero"]).refused(&["/dev/zero"]);
    run(&["feed", "build", "-o", &file]).refused(&["PATH"]);
    assert_eq!(folder.names(), ["hollow"]);
}

#[test]
fn a_wrong_schema_under_a_forced_format_is_a_problem_or_refused() {
    let folder = Folder::new();
    folder.write("x", "[1, 2, 3]");
    for format in ["osv", "alpine-secdb", "cisa-kev", "debian-tracker", "epss", "updateinfo"] {
        let ran = run(&[
            "feed",
            "build",
            "-o",
            &folder.text("f"),
            &format!("{format}={}", folder.text("x")),
        ]);
        assert_eq!(ran.status, Some(2), "{format}: {ran:?}");
    }
    assert_eq!(folder.names(), ["x"]);
}

#[test]
fn a_stranger_among_the_files_is_passed_over_by_name() {
    let folder = Folder::new();
    folder
        .write("d/a.json", osv("DEBIAN-CVE-2026-1", "Debian:12", "harbour", None, DAY))
        .write("d/zz-letter", "dear reader");
    let answer =
        run(&["feed", "build", "-o", &folder.text("f"), &folder.text("d"), "--format", "json"])
            .is(1)
            .json();
    assert_eq!(answer["problems"].as_array().unwrap().len(), 1, "{answer:#}");
    assert!(answer["problems"][0]["path"].as_str().unwrap().ends_with("d/zz-letter"));
}

#[test]
fn an_id_that_comes_twice_is_said() {
    let one = osv("DEBIAN-CVE-2026-1", "Debian:12", "harbour", Some("2-1"), DAY);
    let two = osv("DEBIAN-CVE-2026-1", "Debian:12", "harbour", Some("3-1"), DAY);
    let (_, said) = problems("d.ndjson", one + &two);
    assert!(
        said.iter().any(|p| p["what"].as_str().unwrap().contains("DEBIAN-CVE-2026-1")),
        "{said:?}"
    );
}

#[test]
fn a_record_of_a_hundred_megabytes_costs_no_more_than_itself() {
    let folder = Folder::new();
    let good = osv("DEBIAN-CVE-2026-2", "Debian:12", "harbour", Some("2-1"), DAY);
    let mut file = std::io::BufWriter::new(std::fs::File::create(folder.at("d.ndjson")).unwrap());
    file.write_all(good.as_bytes()).unwrap();
    file.write_all(b"{\"schema_version\":\"1.6.0\",\"id\":\"DEBIAN-CVE-2026-3\",\"modified\":\"2026-11-05T00:00:00Z\",\"details\":\"").unwrap();
    let block = [b'x'; 1 << 16];
    for _ in 0..1600 {
        file.write_all(&block).unwrap();
    }
    file.write_all(b"\",\"affected\":[]}\n").unwrap();
    file.write_all(good.replace("2026-2\"", "2026-4\"").as_bytes()).unwrap();
    file.flush().unwrap();
    let ran = run_bounded(&[
        "feed",
        "build",
        "-o",
        &folder.text("f"),
        &folder.text("d.ndjson"),
        "--format",
        "json",
    ]);
    assert!([Some(0), Some(1)].contains(&ran.status), "{ran:?}");
    for id in ["DEBIAN-CVE-2026-2", "DEBIAN-CVE-2026-4"] {
        run(&["advisory", id, "--advisories", &folder.text("f")]).is(0);
    }
}

#[test]
fn a_bomb_among_the_feeds_is_met_within_bounds() {
    if !runs::has("gzip") {
        return runs::not_run("gzip");
    }
    let folder = Folder::new();
    let script = "head -c 400000000 /dev/zero | gzip -1 > \"$1\"";
    let made = std::process::Command::new("sh")
        .args(["-c", script, "sh", &folder.text("bomb.gz")])
        .status();
    assert!(made.unwrap().success());
    run_bounded(&["feed", "build", "-o", &folder.text("f"), &folder.text("bomb.gz")])
        .refused(&["bomb.gz"]);
    assert_eq!(folder.names(), ["bomb.gz"]);
}

#[test]
fn a_fix_that_is_no_version_makes_no_server_look_clean() {
    let feed = osv("DEBIAN-CVE-2026-1", "Debian:12", "harbour", Some("2.0-1+deb12u1"), DAY)
        + &osv("DEBIAN-CVE-2026-2", "Debian:12", "harbour", Some("_0 of old"), DAY);
    let (folder, problems) = problems("d.ndjson", feed);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0]["line"], 2, "{problems:?}");
    assert!(problems[0]["what"].as_str().unwrap().contains("\"_0 of old\""), "{problems:?}");
    let root = crate::servers::debian();
    let file = folder.text("f");
    let all = ["inspect", &root.text(""), "--advisories", &file, "--now", runs::NOW];
    let judged = run(&[&all[..], &["--all", "--format", "json"]].concat()).is(1).json();
    let findings = judged["findings"].as_array().unwrap();
    let of = |id: &str| findings.iter().find(|f| f["id"].as_str().unwrap().ends_with(id)).unwrap();
    assert_eq!(of("2026-2")["verdict"], "unknown", "{judged:#}");
    // What the vendor said stays to be read.
    let said = run(&["advisory", "DEBIAN-CVE-2026-2", "--advisories", &file]).is(0);
    assert!(said.text().contains("fixed in \"_0 of old\""), "{}", said.text());
}

#[test]
fn a_record_of_times_to_come_does_not_date_the_file() {
    let folder = Folder::new();
    folder.write(
        "d.ndjson",
        osv("DEBIAN-CVE-2026-1", "Debian:12", "harbour", Some("2-1"), "2999-01-01T00:00:00Z")
            + &osv("DEBIAN-CVE-2026-2", "Debian:12", "harbour", Some("2-1"), DAY),
    );
    let (file, feed) = (folder.text("f"), folder.text("d.ndjson"));
    let answer = run(&["feed", "build", "-o", &file, &feed, "--format", "json"]).is(1).json();
    assert_eq!(answer["problems"][0]["line"], 1, "{answer:#}");
    let built =
        |file: &str| run(&["feed", "show", file, "--format", "json"]).is(0).json()["built"].clone();
    assert_eq!(built(&file), DAY);
    // A day is left for clocks that differ.
    let file = folder.text("g");
    for (now, count) in [("2026-11-04T00:00:00Z", 1), ("2026-11-03T23:00:00Z", 2)] {
        let early = ["feed", "build", "--accept-older", "--now", now, "--format", "json"];
        let told = run(&[&early[..], &["-o", &file, &feed]].concat()).is(1).json();
        assert_eq!(told["problems"].as_array().unwrap().len(), count, "{told:#}");
    }
}

#[test]
fn a_refusal_says_what_was_wrong() {
    let whole = osv("DEBIAN-CVE-2026-1", "Debian:12", "harbour", Some("2-1"), DAY);
    refused(&whole.as_bytes()[..whole.len() - 9], &["no record", "bad:1: "]);
    let folder = Folder::new();
    folder.write("d", whole);
    let named = format!("ovs={}", folder.text("d"));
    run(&["feed", "build", "-o", &folder.text("f"), &named]).refused(&["`ovs`", "osv"]);
}

#[test]
fn a_link_in_the_way_of_a_build_is_not_written_through() {
    let folder = Folder::new();
    folder.write("d", feeds::debian()).write("theirs", "precious");
    std::os::unix::fs::symlink(folder.at("theirs"), folder.at(".f.part")).unwrap();
    run(&["feed", "build", "-o", &folder.text("f"), &folder.text("d")]).refused(&["f"]);
    assert_eq!(std::fs::read(folder.at("theirs")).unwrap(), b"precious");
}
