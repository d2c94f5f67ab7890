//! What is said of servers whose state is known: the worst ones, the hard ones, and the good one.

use serde_json::Value;

use crate::feeds::{self, osv, uct};
use crate::runs::{Folder, NOW, Ran, run};
use crate::servers::{self, stanza};

/// Builds an advisory file of these feeds, which must be without problems.
fn build(folder: &Folder, files: &[(&str, String)]) -> String {
    let mut arguments = vec!["feed".into(), "build".into(), "-o".into(), folder.text("f.adv")];
    let mut named = std::collections::BTreeSet::new();
    for (name, text) in files {
        folder.write(name, text);
        named.insert(folder.text(name.split('/').next().unwrap()));
    }
    arguments.extend(named);
    run(&arguments).is(0);
    folder.text("f.adv")
}

fn inspect(root: &Folder, file: Option<&str>, more: &[&str]) -> Ran {
    let root = root.text("");
    let mut arguments = vec!["inspect", &root, "--now", NOW, "--format", "json"];
    if let Some(file) = file {
        arguments.extend(["--advisories", file]);
    }
    arguments.extend(more);
    run(&arguments)
}

fn findings<'v>(answer: &'v Value, kind: &str) -> Vec<&'v Value> {
    answer["findings"].as_array().unwrap().iter().filter(|f| f["kind"] == kind).collect()
}

fn finding<'v>(answer: &'v Value, id: &str, source: &str) -> &'v Value {
    let all = findings(answer, "advisory");
    let mut named = all.into_iter().filter(|f| {
        (f["id"] == id || f["cves"].as_array().unwrap().iter().any(|c| c == id))
            && f["source"] == source
    });
    let found = named.next().unwrap_or_else(|| panic!("no {id} of {source}: {answer:#}"));
    assert!(named.next().is_none(), "{id} of {source} is told twice");
    found
}

fn no_cve_is_clean(answer: &Value) {
    for finding in answer["findings"].as_array().unwrap() {
        let verdict = finding["verdict"].as_str().unwrap();
        assert!(!["fixed", "not-affected"].contains(&verdict), "{finding}");
    }
}

#[test]
fn the_server_of_august_2007_is_red_in_every_line() {
    let folder = Folder::new();
    let file = build(
        &folder,
        &[
            (
                "uct/active/CVE-2007-9001",
                uct(
                    "CVE-2007-9001",
                    "high",
                    &[
                        "Patches_linux-source-2.6.15:",
                        "upstream_linux-source-2.6.15: released (2.6.20)",
                        "dapper_linux-source-2.6.15: released (2.6.15-28.55)",
                    ],
                ),
            ),
            (
                "uct/active/CVE-2008-9002",
                uct(
                    "CVE-2008-9002",
                    "medium",
                    &["dapper_openssh: needed", "dapper_apache2: ignored (end of life)"],
                ),
            ),
            (
                "uct/retired/CVE-2012-9003",
                uct("CVE-2012-9003", "low", &["dapper_proftpd: ignored (end of life, was needed)"]),
            ),
            (
                "uct/active/CVE-2007-9004",
                uct("CVE-2007-9004", "critical", &["dapper_apache2: released (2.0.55-4ubuntu2.2)"]),
            ),
        ],
    );
    let root = servers::august_2007();
    let answer = inspect(&root, Some(&file), &[]).is(1).json();
    assert_eq!(answer["os"]["version"], "6.06", "{answer:#}");
    assert_eq!(answer["os"]["support"]["state"], "ended");
    let first = &answer["findings"][0];
    assert_eq!(
        (first["kind"].as_str(), first["version"].as_str()),
        (Some("end-of-support"), Some("6.06"))
    );
    assert_eq!(first["ended"], "2011-06-01");
    assert!(first["successor"].is_string(), "{first}");
    assert!(!answer["unknown"].as_array().unwrap().is_empty());
    no_cve_is_clean(&answer);
    let verdict = |id: &str, source: &str| finding(&answer, id, source)["verdict"].clone();
    assert_eq!(verdict("CVE-2007-9001", "linux-source-2.6.15"), "missing");
    assert_eq!(verdict("CVE-2007-9004", "apache2"), "missing");
    for (id, source) in
        [("CVE-2008-9002", "openssh"), ("CVE-2008-9002", "apache2"), ("CVE-2012-9003", "proftpd")]
    {
        let said = verdict(id, source);
        assert!(
            ["end-of-support", "no-fix", "missing"].contains(&said.as_str().unwrap()),
            "{id} {source}: {said}"
        );
    }
    let kernel = finding(&answer, "CVE-2007-9001", "linux-source-2.6.15");
    assert_eq!(kernel["kernel"], true);
    assert!(kernel["of"].as_array().unwrap().contains(&"installed".into()), "{kernel}");
    let foreign = findings(&answer, "third-party");
    assert_eq!(foreign[0]["packages"][0]["name"], "wiki-farm", "{answer:#}");
    // With --all no line turns green either, and without advisories the end of support still stands first.
    no_cve_is_clean(&inspect(&root, Some(&file), &["--all"]).is(1).json());
    let alone = inspect(&root, None, &[]).is(1).json();
    assert_eq!(alone["findings"][0]["kind"], "end-of-support");
    assert!(alone["sentence"].as_str().unwrap().contains("out of support"), "{alone:#}");
}

/// Stanzas of an index for everything that [`servers::debian`] has, in its versions or newer ones.
fn debian_offers() -> String {
    [
        servers::offer("dpkg", "1.21.22", ""),
        servers::offer("libharbour1", "2.0-1", "harbour"),
        servers::offer("quay", "1:4.2-3", ""),
        servers::offer("linux-libc-dev", "6.1.66-1", "linux"),
    ]
    .concat()
}

#[test]
fn packages_that_no_archive_knows_are_named_and_never_clean() {
    let root = servers::debian();
    servers::with_lists(&root, &debian_offers(), "");
    let known = inspect(&root, None, &[]).is(1).json();
    assert_eq!(findings(&known, "third-party").len(), 0, "{known:#}");
    let status = std::fs::read_to_string(root.at("var/lib/dpkg/status")).unwrap();
    // Nobody's; and one that an upgrade of the release left behind, whose source lives on.
    let more =
        stanza("kubectl", "1:528.0.0-0", "", "") + &stanza("libharbour0", "1.0-1", "harbour", "");
    root.write("var/lib/dpkg/status", status + &more);
    let answer = inspect(&root, None, &[]).is(1).json();
    let strange = findings(&answer, "third-party");
    assert_eq!(strange.len(), 1, "{answer:#}");
    assert_eq!(
        (&strange[0]["origin"], &strange[0]["verdict"]),
        (&"unknown".into(), &"unknown".into())
    );
    assert_eq!(strange[0]["packages"].as_array().unwrap().len(), 1, "{answer:#}");
    assert_eq!(strange[0]["packages"][0]["name"], "kubectl");
}

#[test]
fn a_distribution_without_a_package_database_is_unknown() {
    let alma = "ID=almalinux\nVERSION_ID=\"9.4\"\n";
    let alpine = "ID=alpine\nVERSION_ID=3.20.0\n";
    for (os_release, empty) in [
        (servers::BOOKWORM, None),
        (servers::BOOKWORM, Some("var/lib/dpkg/status")),
        (alma, None),
        (alpine, None),
        (alpine, Some("lib/apk/db/installed")),
    ] {
        let root = Folder::new();
        root.write("etc/os-release", os_release);
        if let Some(empty) = empty {
            root.write(empty, "");
        }
        // Indices do not stand in for it.
        if os_release == servers::BOOKWORM {
            servers::with_lists(&root, &debian_offers(), "");
        }
        let answer = inspect(&root, None, &[]).is(1).json();
        let told = answer["unknown"].to_string();
        let names = ["no package database", "is empty: it names no package"];
        assert!(names.iter().any(|words| told.contains(words)), "{os_release}: {told}");
        assert!(!told.contains("there are none on this machine"), "{told}");
        assert!(!told.contains("package manager's update"), "{told}");
    }
}

#[test]
fn a_package_from_elsewhere_is_named_as_one() {
    let root = servers::debian();
    let kept = stanza("wiki-farm", "0.9-1", "", "");
    root.write(
        "var/lib/dpkg/status",
        std::fs::read_to_string(root.at("var/lib/dpkg/status")).unwrap() + &kept,
    );
    servers::with_lists(&root, &debian_offers(), "");
    let list = "var/lib/apt/lists/apt.example.org_wiki_dists_stable";
    let foreign = servers::offer("wiki-farm", "0.9-1", "");
    root.write("etc/apt/sources.list.d/wiki.list", "deb http://apt.example.org/wiki stable main\n")
        .write(
            &format!("{list}_InRelease"),
            servers::release("Wiki Farm", "stable", "stable", "Wiki", &foreign),
        )
        .write(&format!("{list}_main_binary-amd64_Packages"), &foreign);
    let answer = inspect(&root, None, &[]).is(1).json();
    let foreign = findings(&answer, "third-party");
    assert_eq!(foreign.len(), 1, "{answer:#}");
    assert_eq!(
        (foreign[0]["origin"].as_str(), foreign[0]["verdict"].as_str()),
        (Some("Wiki Farm"), Some("unknown"))
    );
    assert_eq!(
        foreign[0]["packages"],
        serde_json::json!([{"name": "wiki-farm", "architecture": "amd64", "installed": "0.9-1", "fixed": null}])
    );
}

#[test]
fn a_superseded_kernel_line_names_the_living_one_and_loses_no_row() {
    let folder = Folder::new();
    let ended = "jammy_linux-hwe-5.19: ignored (superseded by linux-hwe-6.2)";
    let next = "jammy_linux-hwe-6.2: ignored (superseded by linux-hwe-6.5)";
    let last = "jammy_linux-hwe-6.5: ignored (superseded by linux-hwe-6.8)";
    let cves = ["CVE-2024-9101", "CVE-2024-9102"];
    let files: Vec<(String, String)> = cves
        .iter()
        .map(|c| {
            (
                format!("uct/active/{c}"),
                uct(
                    c,
                    "medium",
                    &[ended, next, last, "jammy_linux-hwe-6.8: released (6.8.0-90.91~22.04.1)"],
                ),
            )
        })
        .collect();
    let files: Vec<(&str, String)> = files.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
    let file = build(&folder, &files);
    let status = stanza(
        "linux-image-6.2.0-26-generic",
        "6.2.0-26.26~22.04.1",
        "linux-signed-hwe-6.2",
        "Built-Using: linux-hwe-6.2 (= 6.2.0-26.26~22.04.1)\n",
    );
    let root = servers::dpkg(servers::JAMMY, &status);
    root.write("boot/vmlinuz-6.2.0-26-generic", "");
    let answer = inspect(&root, Some(&file), &[]).is(1).json();
    let lines = findings(&answer, "kernel-line");
    assert_eq!(lines.len(), 1, "{answer:#}");
    assert_eq!(lines[0]["line"], "linux-hwe-6.2");
    assert_eq!(lines[0]["successor"], "linux-hwe-6.8", "{}", lines[0]);
    for cve in cves {
        let row = finding(&answer, cve, "linux-hwe-6.2");
        assert_eq!(row["verdict"], "end-of-support", "{row}");
        assert_eq!(row["kernel"], true);
    }
}

#[test]
fn a_signed_kernel_is_judged_by_its_source() {
    let folder = Folder::new();
    let file = feeds::debian_file(&folder);
    for more in ["", "Built-Using: linux (= 6.1.66-1)\n"] {
        let status =
            stanza("linux-image-6.1.0-15-amd64", "6.1.66-1", "linux-signed-amd64 (6.1.66+1)", more);
        let root = servers::dpkg(servers::BOOKWORM, &status);
        root.write("boot/vmlinuz-6.1.0-15-amd64", "");
        let answer = inspect(&root, Some(&file), &[]).is(1).json();
        let row = finding(&answer, "CVE-2026-9004", "linux");
        assert_eq!(
            (row["verdict"].as_str(), row["kernel"].as_bool()),
            (Some("missing"), Some(true))
        );
        assert_eq!(row["packages"][0]["fixed"], "6.1.170-1");
        assert_eq!(row["headers_only"], false);
        assert!(answer["sentence"].as_str().unwrap().contains("1 package"), "{answer:#}");
    }
}

#[test]
fn headers_alone_are_listed_and_stay_out_of_the_sentence() {
    let folder = Folder::new();
    let file = feeds::debian_file(&folder);
    let root = servers::dpkg(servers::BOOKWORM, &stanza("linux-libc-dev", "6.1.66-1", "linux", ""));
    let answer = inspect(&root, Some(&file), &[]).is(1).json();
    let row = finding(&answer, "CVE-2026-9004", "linux");
    assert_eq!((row["headers_only"].as_bool(), row["kernel"].as_bool()), (Some(true), Some(false)));
    assert!(!answer["sentence"].as_str().unwrap().contains("misses"), "{}", answer["sentence"]);
}

#[test]
fn a_release_nobody_knows_is_unknown_and_never_clean() {
    let folder = Folder::new();
    let file = feeds::debian_file(&folder);
    let status = [stanza("libharbour1", "2.0-1", "harbour", "")].concat();
    for os in [
        "ID=harbourlinux\nVERSION_ID=7\nPRETTY_NAME=\"Harbour Linux 7\"\nID_LIKE=debian\n",
        "ID=debian\nVERSION_ID=99\nPRETTY_NAME=\"Debian 99\"\n",
        "ID=ubuntu\nVERSION_ID=\"99.04\"\n",
    ] {
        let root = servers::dpkg(os, &status);
        for file in [None, Some(file.as_str())] {
            let answer = inspect(&root, file, &[]).is(1).json();
            assert_eq!(answer["os"]["support"]["state"], "unknown", "{answer:#}");
            assert!(!answer["unknown"].as_array().unwrap().is_empty(), "{os}");
            assert!(!answer["sentence"].as_str().unwrap().contains("nothing is owed"));
            no_cve_is_clean(&answer);
        }
    }
}

#[test]
fn a_patched_server_owes_nothing_and_nothing_is_unknown() {
    let folder = Folder::new();
    let file = feeds::debian_file(&folder);
    let status = [
        stanza("dpkg", "1.21.22", "", ""),
        stanza("libharbour1", "2.0-1+deb12u1", "harbour", ""),
        stanza("quay", "1:4.2-3", "", ""),
        stanza("unattended-upgrades", "2.9.1", "", ""),
    ];
    let root = servers::dpkg(servers::BOOKWORM, &status.concat());
    let offered = [
        servers::offer("dpkg", "1.21.22", ""),
        servers::offer("libharbour1", "2.0-1+deb12u1", "harbour"),
        servers::offer("quay", "1:4.2-3", ""),
        servers::offer("unattended-upgrades", "2.9.1", ""),
    ];
    servers::with_lists(
        &root,
        &offered.concat(),
        &servers::offer("libharbour1", "2.0-1+deb12u1", "harbour"),
    );
    let ran = inspect(&root, Some(&file), &[]);
    let answer = ran.is(0).json();
    assert!(answer["sentence"].as_str().unwrap().contains("nothing is owed"), "{answer:#}");
    assert_eq!(answer["unknown"], serde_json::json!([]));
    // One flaw has no fix: it is listed and counted, and owed only with --strict.
    assert_eq!(finding(&answer, "CVE-2026-9003", "harbour")["verdict"], "no-fix");
    inspect(&root, Some(&file), &["--strict"]).is(1);
    // With --all what is mended is shown, and the status stays.
    let all = inspect(&root, Some(&file), &["--all"]).is(0).json();
    assert_eq!(finding(&all, "DSA-9901-1", "harbour")["verdict"], "fixed");
    // A week later the same lists are too old to say so.
    let late = run(&[
        "inspect",
        &root.text(""),
        "--advisories",
        &file,
        "--now",
        "2026-12-02T12:00:00Z",
        "--format",
        "json",
    ])
    .is(1)
    .json();
    assert!(
        findings(&late, "update-channel").iter().any(|f| f["problem"] == "indices-stale"),
        "{late:#}"
    );
}

#[test]
fn an_update_in_the_security_pocket_is_owed_without_any_advisory() {
    let root = servers::debian();
    let offered = servers::offer("libharbour1", "2.0-1", "harbour");
    servers::with_lists(
        &root,
        &offered,
        &servers::offer("libharbour1", "2.0-1+deb12u1", "harbour"),
    );
    let answer = inspect(&root, None, &[]).is(1).json();
    let updates = findings(&answer, "archive-update");
    assert_eq!(updates.len(), 1, "{answer:#}");
    assert_eq!(
        (updates[0]["source"].as_str(), updates[0]["security"].as_bool()),
        (Some("harbour"), Some(true))
    );
    assert_eq!(updates[0]["packages"][0]["candidate"], "2.0-1+deb12u1");
    assert_eq!(updates[0]["pocket"], "bookworm-security");
    assert!(answer["unknown"].as_array().unwrap().iter().any(|u| u["what"] == "advisories"));
}

#[test]
fn a_notice_ties_its_cves_together_with_exploitation_and_likelihood() {
    let folder = Folder::new();
    let file = feeds::debian_file(&folder);
    let answer = inspect(&servers::debian(), Some(&file), &[]).is(1).json();
    let row = finding(&answer, "DSA-9901-1", "harbour");
    assert_eq!(row["verdict"], "missing", "{answer:#}");
    assert_eq!(row["cves"], serde_json::json!(["CVE-2026-9001", "CVE-2026-9002"]));
    assert_eq!(row["kev"], serde_json::json!({"added": "2026-11-02", "due": "2026-11-23"}));
    assert!((row["epss"].as_f64().unwrap() - 0.91).abs() < 1e-6);
    assert_eq!(row["published"], "2026-11-05");
    assert_eq!((row["fix"].as_str(), row["needs"].as_str()), (Some("here"), None));
    assert_eq!(row["packages"][0]["installed"], "2.0-1");
    assert_eq!(row["packages"][0]["fixed"], "2.0-1+deb12u1");
    let harbour = findings(&answer, "advisory")
        .iter()
        .filter(|f| f["cves"].as_array().unwrap().contains(&"CVE-2026-9001".into()))
        .count();
    assert_eq!(harbour, 1, "a CVE under its notice is not told again");
    // The one known to be exploited stands first of what is owed.
    assert_eq!(answer["findings"][0]["id"], "DSA-9901-1", "{answer:#}");
}

#[test]
fn a_notice_without_a_cve_is_a_missing_patch_too() {
    let folder = Folder::new();
    let file = feeds::debian_file(&folder);
    let root = servers::dpkg(servers::BOOKWORM, &stanza("quay", "1:4.2-2", "", ""));
    let answer = inspect(&root, Some(&file), &[]).is(1).json();
    let row = finding(&answer, "DSA-9900-1", "quay");
    assert_eq!(
        (row["verdict"].as_str(), row["cves"].as_array().map(Vec::len)),
        (Some("missing"), Some(0))
    );
}

#[test]
fn alpine_is_judged_by_its_secdb() {
    let folder = Folder::new();
    let file = build(
        &folder,
        &[("main.json", feeds::secdb("v3.22", "harbour", "1.4-r2", "CVE-2026-9301"))],
    );
    let root = Folder::new();
    root.write("etc/os-release", "ID=alpine\nVERSION_ID=3.22.1\nPRETTY_NAME=\"Alpine Linux v3.22\"\n").write(
        "lib/apk/db/installed",
        "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:harbour-libs\nV:1.4-r1\nA:x86_64\no:harbour\nL:MIT\n\n",
    );
    let answer = inspect(&root, Some(&file), &[]).is(1).json();
    assert_eq!(answer["packages"]["scheme"], "apk");
    let row = finding(&answer, "CVE-2026-9301", "harbour");
    assert_eq!(
        (row["verdict"].as_str(), row["packages"][0]["fixed"].as_str()),
        (Some("missing"), Some("1.4-r2"))
    );
}

#[test]
fn what_was_withdrawn_is_owed_by_nobody() {
    let folder = Folder::new();
    let record = osv(
        "DEBIAN-CVE-2026-9001",
        "Debian:12",
        "harbour",
        Some("2.0-1+deb12u1"),
        "2026-11-05T00:00:00Z",
    );
    let withdrawn =
        record.replacen("\"modified\"", "\"withdrawn\":\"2026-11-06T00:00:00Z\",\"modified\"", 1);
    let other =
        osv("DEBIAN-CVE-2026-9009", "Debian:12", "quay", Some("1:9-1"), "2026-11-05T00:00:00Z");
    let file = build(&folder, &[("d.ndjson", withdrawn + &other)]);
    let answer = inspect(&servers::debian(), Some(&file), &[]).is(1).json();
    assert!(!answer.to_string().contains("CVE-2026-9001"), "{answer:#}");
    finding(&answer, "CVE-2026-9009", "quay");
}

#[test]
fn packages_are_counted_while_their_files_are_on_the_disk() {
    let state = |name: &str, state: &str| {
        stanza(name, "1-1", "", "").replace("install ok installed", state)
    };
    let status = [
        state("a", "install ok installed"),
        state("b", "deinstall ok config-files"),
        state("c", "install ok unpacked"),
        state("d", "install ok half-configured"),
        state("e", "purge ok not-installed"),
        state("f", "hold ok installed"),
    ];
    let root = servers::dpkg(servers::BOOKWORM, &status.concat());
    let answer = inspect(&root, None, &[]).is(1).json();
    assert_eq!(answer["packages"]["installed"], 4, "{answer:#}");
    let problems: Vec<&Value> =
        findings(&answer, "update-channel").iter().map(|f| &f["problem"]).collect();
    assert!(problems.contains(&&"half-configured".into()), "{problems:?}");
    assert!(problems.contains(&&"held".into()), "{problems:?}");
}

#[test]
fn a_folder_has_no_running_kernel_unless_it_is_told() {
    let folder = Folder::new();
    let file = feeds::debian_file(&folder);
    let status =
        stanza("linux-image-6.1.0-15-amd64", "6.1.66-1", "linux-signed-amd64 (6.1.66+1)", "")
            + &stanza(
                "linux-image-6.1.0-49-amd64",
                "6.1.170-1",
                "linux-signed-amd64 (6.1.170+1)",
                "",
            );
    let root = servers::dpkg(servers::BOOKWORM, &status);
    root.write("proc/sys/kernel/osrelease", "6.1.0-15-amd64\n")
        .write("boot/vmlinuz-6.1.0-15-amd64", "")
        .write("boot/vmlinuz-6.1.0-49-amd64", "");
    let cold = inspect(&root, Some(&file), &[]).is(1).json();
    assert!(!cold["findings"].to_string().contains("\"running\""), "{cold:#}");
    let live = inspect(&root, Some(&file), &["--live-proc"]).is(1).json();
    let row = finding(&live, "CVE-2026-9004", "linux");
    assert!(row["of"].as_array().unwrap().contains(&"running".into()), "{row}");
    assert_eq!(row["verdict"], "missing");
}

#[test]
fn why_shows_the_record_the_versions_and_the_rule() {
    let folder = Folder::new();
    let file = feeds::debian_file(&folder);
    let server = servers::debian();
    let root = server.text("");
    for id in ["CVE-2026-9001", "dsa-9901-1", "harbour", "libharbour1"] {
        let ran = run(&["inspect", &root, "--advisories", &file, "--now", NOW, "--why", id]).is(1);
        for part in [
            "DSA-9901-1  missing",
            "rule:",
            "installed 2.0-1, fixed 2.0-1+deb12u1",
            "debian-lists, record DSA-9901-1",
        ] {
            assert!(ran.text().contains(part), "{id}: {part:?} is not in {}", ran.text());
        }
    }
    run(&["inspect", &root, "--advisories", &file, "--now", NOW, "--why", "CVE-1999-0001"])
        .refused(&["CVE-1999-0001", "--all"]);
}

#[test]
fn an_advisory_is_shown_with_every_state_it_was_given() {
    let folder = Folder::new();
    let file = build(
        &folder,
        &[(
            "uct/active/CVE-2007-9001",
            uct(
                "CVE-2007-9001",
                "high",
                &[
                    "upstream_openssh: released (4.6p1)",
                    "dapper_openssh: ignored (end of life, was needed)",
                    "jammy_openssh: not-affected (1:8.9p1-3)",
                    "noble_openssh: DNE",
                    "xenial_openssh: deferred (2017-01-01)",
                ],
            ),
        )],
    );
    let ran = run(&["advisory", "CVE-2007-9001", "--advisories", &file, "--format", "json"]).is(0);
    let answer = ran.json();
    assert_eq!(answer["id"], "CVE-2007-9001");
    for word in ["end of life, was needed", "DNE", "deferred", "not-affected", "4.6p1", "1:8.9p1-3"]
    {
        assert!(ran.text().contains(word), "{word}: {}", ran.text());
    }
    let table = run(&["advisory", "CVE-2007-9001", "--advisories", &file]).is(0);
    assert!(table.text().contains("end of life, was needed"), "{}", table.text());
    run(&["advisory", "CVE-1-1", "--advisories", &file]).refused(&["CVE-1-1"]);
    run(&["advisory", "CVE-2007-9001"]).refused(&["--advisories"]);
}
