//! `muster feed build|show|diff`: same feeds, same bytes; whole or not at all; nothing gets lost in silence.

use std::process::Stdio;

use crate::feeds::{self, osv, uct};
use crate::runs::{self, Folder, NOW, finished, muster, run};
use crate::servers;

/// Builds FILE of these paths.
fn build(file: &str, paths: &[&str], more: &[&str]) -> runs::Ran {
    let mut arguments = vec!["feed", "build", "-o", file, "--format", "json"];
    arguments.extend(paths);
    arguments.extend(more);
    run(&arguments)
}

/// A feed of `count` records of one release, from `first` on.
fn many(release: &str, first: u32, count: u32, modified: &str) -> String {
    (first..first + count)
        .map(|n| osv(&format!("DEBIAN-CVE-2026-{n}"), release, "harbour", Some("3.0-1"), modified))
        .collect()
}

const DAY: &str = "2026-11-05T00:00:00Z";

#[test]
fn neither_the_order_nor_the_place_of_the_feeds_enters_the_bytes() {
    let folder = Folder::new();
    folder
        .write("a/debian.ndjson", feeds::debian())
        .write("a/dsa/data/DSA/list", feeds::DSA)
        .write("a/kev.json", feeds::kev("CVE-2026-9001"))
        .write("a/epss.csv", feeds::epss("CVE-2026-9001", "0.5"))
        .write(
            "a/uct/active/CVE-2026-9001",
            uct("CVE-2026-9001", "high", &["jammy_harbour: needed"]),
        );
    let names = ["debian.ndjson", "dsa", "kev.json", "epss.csv", "uct"];
    let mut first: Option<Vec<u8>> = None;
    for turn in 0..names.len() {
        let mut order: Vec<String> = names.iter().map(|n| folder.text(&format!("a/{n}"))).collect();
        order.rotate_left(turn);
        if turn % 2 == 1 {
            order.reverse();
        }
        let out = folder.text(&format!("{turn}.adv"));
        build(&out, &order.iter().map(String::as_str).collect::<Vec<_>>(), &[]).is(0);
        let bytes = std::fs::read(&out).unwrap();
        assert_eq!(first.get_or_insert_with(|| bytes.clone()), &bytes, "turn {turn}");
    }
    // From within another folder, by relative names, at another hour, elsewhere on the disk.
    let elsewhere = Folder::new();
    for name in
        ["debian.ndjson", "dsa/data/DSA/list", "kev.json", "epss.csv", "uct/active/CVE-2026-9001"]
    {
        elsewhere.write(
            &format!("deep/er/{name}"),
            std::fs::read(folder.at(&format!("a/{name}"))).unwrap(),
        );
    }
    let mut command = muster();
    command.current_dir(elsewhere.at("deep/er")).args(["feed", "build", "-o", "x.adv"]).args(names);
    finished(command.env("TZ", "Asia/Kathmandu").env("LC_ALL", "C")).is(0);
    assert_eq!(first.unwrap(), std::fs::read(elsewhere.at("deep/er/x.adv")).unwrap());
}

#[test]
fn only_the_clock_that_is_told_enters_the_bytes() {
    let folder = Folder::new();
    folder.write("d.ndjson", feeds::debian());
    let feed = folder.text("d.ndjson");
    build(&folder.text("a"), &[&feed], &[]).is(0);
    build(&folder.text("b"), &[&feed], &["--now", NOW]).is(0);
    let built = |name: &str| {
        run(&["feed", "show", &folder.text(name), "--format", "json"]).is(0).json()["built"].clone()
    };
    assert_eq!((built("a"), built("b")), ("2026-11-07T00:00:00Z".into(), NOW.into()));
}

#[test]
fn the_summary_says_what_each_source_gave() {
    let folder = Folder::new();
    let withdrawn = osv("DEBIAN-CVE-2026-8000", "Debian:12", "quay", Some("2-1"), DAY).replacen(
        "\"modified\"",
        "\"withdrawn\":\"2026-11-06T00:00:00Z\",\"modified\"",
        1,
    );
    folder.write("d.ndjson", feeds::debian() + &withdrawn);
    let feed = folder.text("d.ndjson");
    let answer = build(&folder.text("f"), &[&format!("osv={feed}")], &[]).is(0).json();
    assert_eq!(answer["schema"], "muster.feed-build/1");
    assert_eq!(answer["sources"][0]["path"], feed.as_str());
    assert_eq!(answer["sources"][0]["format"], "osv");
    assert_eq!(
        (answer["sources"][0]["records"].as_u64(), answer["sources"][0]["withdrawn"].as_u64()),
        (Some(4), Some(1))
    );
    assert_eq!(
        (answer["sources"][0]["problems"].as_u64(), &answer["problems"]),
        (Some(0), &serde_json::json!([]))
    );
    let release = &answer["releases"][0];
    assert_eq!(release["id"], "debian:12");
    assert!(
        release["advisories"].as_u64().unwrap() > 0 && release["bytes"].as_u64().unwrap() > 0,
        "{release}"
    );
}

#[test]
fn a_release_that_its_feed_drops_keeps_its_last_state() {
    let folder = Folder::new();
    let file = folder.text("f");
    let old = many("Debian:12", 100, 3, DAY);
    folder.write("d", old.clone() + &many("Debian:13", 200, 1, DAY));
    build(&file, &[&folder.text("d")], &[]).is(0);
    folder.write("d", many("Debian:13", 200, 2, "2026-11-06T00:00:00Z"));
    for turn in 0..2 {
        let answer = build(&file, &[&folder.text("d")], &[]).is(0).json();
        assert!(answer["frozen"].to_string().contains("debian:12") || turn > 0, "{answer:#}");
        let shown = run(&["feed", "show", &file]).is(0);
        assert!(
            shown.text().contains("frozen: osv says no more of debian:12 since"),
            "turn {turn}: {}",
            shown.text()
        );
        let root = servers::debian();
        let judged = run(&[
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
        let rows = judged["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|f| f["source"] == "harbour")
            .count();
        assert_eq!(rows, 3, "turn {turn}: {judged:#}");
    }
}

#[test]
fn what_was_withdrawn_stays_withdrawn() {
    let folder = Folder::new();
    let file = folder.text("f");
    let gone = osv("DEBIAN-CVE-2026-8000", "Debian:12", "quay", Some("2-1"), DAY).replacen(
        "\"modified\"",
        "\"withdrawn\":\"2026-11-06T00:00:00Z\",\"modified\"",
        1,
    );
    folder.write("d", gone + &many("Debian:12", 100, 2, DAY));
    build(&file, &[&folder.text("d")], &[]).is(0);
    let shown =
        run(&["advisory", "DEBIAN-CVE-2026-8000", "--advisories", &file, "--format", "json"])
            .is(0)
            .json();
    assert_eq!(shown["records"][0]["withdrawn"], "2026-11-06T00:00:00Z", "{shown:#}");
}

#[test]
fn a_feed_that_went_back_in_time_is_refused_unless_told() {
    let folder = Folder::new();
    let file = folder.text("f");
    folder
        .write("new", many("Debian:12", 100, 3, DAY))
        .write("old", many("Debian:12", 100, 3, "2026-11-01T00:00:00Z"));
    build(&file, &[&folder.text("new")], &[]).is(0);
    let before = std::fs::read(&file).unwrap();
    build(&file, &[&folder.text("old")], &[]).refused(&["older", "--accept-older", "2026-11-01"]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(folder.names(), ["f", "new", "old"], "nothing is left beside it");
    build(&file, &[&folder.text("old")], &["--accept-older"]).is(0);
    assert_ne!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_release_that_loses_too_much_is_refused_unless_told() {
    let folder = Folder::new();
    let file = folder.text("f");
    folder.write("d", many("Debian:12", 100, 60, DAY));
    build(&file, &[&folder.text("d")], &[]).is(0);
    let before = std::fs::read(&file).unwrap();
    folder.write("d", many("Debian:12", 100, 30, DAY));
    build(&file, &[&folder.text("d")], &[]).refused(&[
        "guard",
        "debian:12",
        "30 of 60",
        "--accept-change",
    ]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let answer = build(&file, &[&folder.text("d")], &["--accept-change"]).is(0).json();
    assert_eq!((answer["opened"].as_u64(), answer["closed"].as_u64()), (Some(0), Some(30)));
    // A small loss is the daily course of things.
    folder.write("d", many("Debian:12", 100, 25, DAY));
    build(&file, &[&folder.text("d")], &[]).is(0);
}

#[test]
fn a_difference_lists_what_opens_and_what_closes() {
    let folder = Folder::new();
    folder.write("a", many("Debian:12", 100, 3, DAY)).write("b", many("Debian:12", 101, 3, DAY));
    let (old, new) = (folder.text("a.adv"), folder.text("b.adv"));
    build(&old, &[&folder.text("a")], &[]).is(0);
    build(&new, &[&folder.text("b")], &[]).is(0);
    let answer = run(&["feed", "diff", &old, &new, "--format", "json"]).is(1).json();
    assert_eq!(
        (answer["releases"][0]["opens"].as_u64(), answer["releases"][0]["closes"].as_u64()),
        (Some(1), Some(1)),
        "{answer:#}"
    );
    let changes = answer["releases"][0]["changes"].as_array().unwrap();
    let said = |direction: &str, id: &str| {
        changes
            .iter()
            .any(|c| c["direction"] == direction && c["id"].as_str().unwrap().ends_with(id))
    };
    assert!(said("closes", "2026-100") && said("opens", "2026-103"), "{answer:#}");
    let table = run(&["feed", "diff", &old, &new]).is(1);
    assert!(
        table.text().starts_with("debian:12: 1 open, 1 close, 0 fixes change\n"),
        "{}",
        table.text()
    );
    assert!(run(&["feed", "diff", &old, &old]).is(0).out.is_empty());
    run(&["feed", "diff", &old, &folder.text("none")]).refused(&["none"]);
}

#[test]
fn two_builds_at_once_do_not_mix() {
    let folder = Folder::new();
    let file = folder.text("f");
    folder
        .write("a", many("Debian:12", 1000, 3000, DAY))
        .write("b", many("Debian:13", 1000, 3000, DAY));
    build(&folder.text("a.adv"), &[&folder.text("a")], &[]).is(0);
    build(&folder.text("b.adv"), &[&folder.text("b")], &[]).is(0);
    let whole =
        [std::fs::read(folder.at("a.adv")).unwrap(), std::fs::read(folder.at("b.adv")).unwrap()];
    for _ in 0..6 {
        let begin = |feed: &str| {
            let mut command = muster();
            command.args(["feed", "build", "-o", &file, "--accept-change", &folder.text(feed)]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let (one, two) = (begin("a"), begin("b"));
        let ends = [one, two].map(|c| c.wait_with_output().unwrap());
        assert!(ends.iter().any(|e| e.status.code() == Some(0)), "{ends:?}");
        for end in &ends {
            let code = end.status.code();
            let said = String::from_utf8_lossy(&end.stderr);
            assert!(code == Some(0) || code == Some(2) && said.contains("another build"), "{said}");
        }
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            whole.contains(&bytes) || ends.iter().all(|e| e.status.success()),
            "a mixture of {} bytes",
            bytes.len()
        );
        run(&["feed", "show", &file]).is(0);
        std::fs::remove_file(&file).unwrap();
    }
}

/// Sends a signal to a build at different points of its work.
fn interrupted(signal: rustix::process::Signal) {
    let folder = Folder::new();
    let file = folder.text("f");
    folder
        .write("a", many("Debian:12", 1000, 100, DAY))
        .write("b", many("Debian:12", 1000, 4000, DAY));
    build(&file, &[&folder.text("a")], &[]).is(0);
    let old = std::fs::read(&file).unwrap();
    build(&folder.text("new"), &[&folder.text("b")], &[]).is(0);
    let new = std::fs::read(folder.at("new")).unwrap();
    let mut cut = 0;
    for turn in 0_u64..24 {
        std::fs::write(&file, &old).unwrap();
        // Whoever runs the tests in the background may have them ignore Ctrl-C, which a child inherits.
        let mut command = std::process::Command::new("env");
        command.args(["--default-signal=INT", env!("CARGO_BIN_EXE_muster")]);
        command.args(["feed", "build", "-o", &file, &folder.text("b")]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // No event tells how far the build is: the moments are spread over its time.
        let (none, at) = std::sync::mpsc::channel::<()>();
        assert!(at.recv_timeout(std::time::Duration::from_millis(turn * turn)).is_err());
        drop(none);
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        cut += u32::from(!child.wait().unwrap().success());
        let bytes = std::fs::read(&file).unwrap();
        assert!(bytes == old || bytes == new, "turn {turn}: neither the old file nor the new one");
    }
    assert!(cut > 0, "no build was cut short: the test proves nothing");
    std::fs::write(&file, &old).unwrap();
    build(&file, &[&folder.text("b")], &[]).is(0);
    assert_eq!(std::fs::read(&file).unwrap(), new);
    assert_eq!(folder.names(), ["a", "b", "f", "new"], "nothing is left beside it");
}

#[test]
fn an_interrupted_build_leaves_the_old_file_whole() {
    interrupted(rustix::process::Signal::INT);
}

#[test]
fn a_killed_build_leaves_the_old_file_whole() {
    interrupted(rustix::process::Signal::KILL);
}

#[test]
fn a_full_disk_leaves_the_old_file_whole() {
    let folder = Folder::new();
    folder
        .write("small", many("Debian:12", 100, 3, DAY))
        .write("big", many("Debian:12", 1000, 6000, DAY));
    let script = "set -e\nmount -t tmpfs -o size=192k none \"$1\"\n\"$2\" feed build -o \"$1/f\" \"$3\"\ncp \"$1/f\" \"$1/copy\"\nset +e\n\"$2\" feed build -o \"$1/f\" \"$4\" >&2\necho status $?\ncmp \"$1/f\" \"$1/copy\" && echo whole\nls -A \"$1\"\n";
    std::fs::create_dir(folder.at("disk")).unwrap();
    let mut command = std::process::Command::new("unshare");
    command.args([
        "-rm",
        "sh",
        "-c",
        script,
        "sh",
        &folder.text("disk"),
        env!("CARGO_BIN_EXE_muster"),
        &folder.text("small"),
        &folder.text("big"),
    ]);
    let Ok(output) = command.output() else { return runs::not_run("unshare") };
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !out.contains("status ") && (err.contains("unshare") || err.contains("mount")) {
        return runs::not_run("leave to mount (unshare -rm)");
    }
    assert!(out.contains("status 2\nwhole\n"), "{out}\n{err}");
    assert!(out.ends_with("copy\nf\n"), "something is left beside it: {out}");
    assert!(err.contains("muster: ") && err.to_lowercase().contains("no space"), "{err}");
}

#[test]
fn what_is_no_advisory_file_is_never_overwritten() {
    let folder = Folder::new();
    folder.write("d", feeds::debian()).write("letter", "dear reader, this is not an advisory file");
    let letter = folder.text("letter");
    build(&letter, &[&folder.text("d")], &[]).refused(&["letter"]);
    assert_eq!(std::fs::read(&letter).unwrap(), b"dear reader, this is not an advisory file");
    build("/dev/full", &[&folder.text("d")], &[]).refused(&["/dev/full"]);
    std::fs::create_dir(folder.at("folder")).unwrap();
    build(&folder.text("folder"), &[&folder.text("d")], &[]).refused(&["folder"]);
    build(&folder.text("no/such/f"), &[&folder.text("d")], &[]).refused(&["no/such"]);
    assert_eq!(folder.names(), ["d", "folder", "letter"]);
}

#[test]
fn a_folder_of_many_vendors_is_understood_file_by_file() {
    let folder = Folder::new();
    folder
        .write("feeds/debian.ndjson", feeds::debian())
        .write("feeds/debian-dsa-list", feeds::DSA)
        .write("feeds/kev.json", feeds::kev("CVE-2026-9001"))
        .write("feeds/.pull/kev.json.toml", "");
    build(&folder.text("pulled"), &[&folder.text("feeds")], &[]).is(0);
    // As `cp feeds/* usb` leaves it: without the notes of who pulled it.
    std::fs::rename(folder.at("feeds"), folder.at("usb")).unwrap();
    std::fs::remove_dir_all(folder.at("usb/.pull")).unwrap();
    let answer = build(&folder.text("carried"), &[&folder.text("usb")], &[]).is(0).json();
    let bytes = |name: &str| std::fs::read(folder.at(name)).unwrap();
    assert_eq!(bytes("carried"), bytes("pulled"));
    let sources = answer["sources"].as_array().unwrap();
    let formats: Vec<&str> = sources.iter().map(|s| s["format"].as_str().unwrap()).collect();
    assert_eq!(formats, ["debian-lists", "osv", "cisa-kev"], "{answer:#}");
    assert_eq!(sources[0]["path"], folder.text("usb/debian-dsa-list"), "{answer:#}");
    assert_eq!(answer["releases"][0]["id"], "debian:12");
}

#[test]
fn a_file_by_which_nothing_can_be_judged_is_refused() {
    let folder = Folder::new();
    let withdrawn = many("Debian:12", 1, 1, DAY)
        .replace("\"modified\"", "\"withdrawn\":\"2026-11-06T00:00:00Z\",\"modified\"");
    folder
        .write("all/a.ndjson", withdrawn)
        .write("all/kev.json", feeds::kev("CVE-2026-9001"))
        .write("good", feeds::debian());
    let file = folder.text("f");
    build(&file, &[&folder.text("all")], &[]).refused(&["release", "1 record of osv"]);
    assert_eq!(folder.names(), ["all", "good"]);
    // Signals alone are no advisories, and are wanted as they are.
    build(&file, &[&folder.text("all/kev.json")], &[]).is(0);
}

#[test]
fn a_folder_of_links_is_not_called_empty() {
    let folder = Folder::new();
    folder.write("d.ndjson", feeds::debian());
    std::fs::create_dir(folder.at("feeds")).unwrap();
    std::os::unix::fs::symlink(folder.at("d.ndjson"), folder.at("feeds/d.ndjson")).unwrap();
    build(&folder.text("f"), &[&folder.text("feeds")], &[]).refused(&["links", "not followed"]);
}

#[test]
fn each_release_has_its_own_age_and_none_hides_behind_another() {
    let folder = Folder::new();
    let file = folder.text("f");
    folder
        .write("a", many("Debian:12", 100, 3, DAY))
        .write("b", many("AlmaLinux:9", 200, 3, "2026-10-20T00:00:00Z"));
    let paths = [folder.text("a"), folder.text("b")];
    let paths = [&*paths[0], &*paths[1]];
    build(&file, &paths, &[]).is(0);
    let shown = run(&["feed", "show", &file, "--format", "json"]).is(0).json();
    let newest: Vec<_> = shown["fragments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["release"].as_str().unwrap(), f["newest"].as_str().unwrap()))
        .collect();
    assert_eq!(newest, [("almalinux:9", "2026-10-20T00:00:00Z"), ("debian:12", DAY)]);
    let table = run(&["feed", "show", &file]).is(0);
    let line = table.text().lines().find(|l| l.starts_with("almalinux:9")).unwrap();
    assert!(line.ends_with("2026-10-20T00:00:00Z"), "{line}");
    // One vendor of a format goes back, the other goes on.
    folder
        .write("a", many("Debian:12", 100, 3, "2026-11-06T00:00:00Z"))
        .write("b", many("AlmaLinux:9", 200, 3, "2026-10-01T00:00:00Z"));
    build(&file, &paths, &[]).refused(&["almalinux:9", "2026-10-01", "--accept-older"]);
    build(&file, &paths, &["--accept-older"]).is(0);
}
