//! A page for somebody who has never heard of Muster: each kind of finding has one, and nothing in it is obeyed.

use crate::feeds::osv;
use crate::runs::{Folder, NOW, run};
use crate::servers::{self, BOOKWORM, stanza};

const HEADINGS: [&str; 5] = [
    "What it is",
    "How bad it is, and who says so",
    "What to type",
    "How Muster will know that it is done",
    "Where this comes from",
];

const KEV: &str = r#"{"title":"CISA Catalog of Known Exploited Vulnerabilities","catalogVersion":"2026.11.01","dateReleased":"2026-11-01T00:00:00Z","count":1,"vulnerabilities":[{"cveID":"CVE-2026-9002","vendorProject":"Harbour","product":"Harbour","vulnerabilityName":"Harbour gate","dateAdded":"2026-10-01","shortDescription":"A gate.","requiredAction":"Close it.","dueDate":"2026-10-04","knownRansomwareCampaignUse":"Unknown"}]}"#;

fn harbour() -> (Folder, Folder, String) {
    let folder = Folder::new();
    let file = folder.text("f.adv");
    let feed =
        osv("DEBIAN-CVE-2026-9001", "Debian:12", "harbour", Some("2.0-2"), "2026-09-01T00:00:00Z")
            + &osv(
                "DEBIAN-CVE-2026-9002",
                "Debian:12",
                "harbour",
                Some("2.0-10"),
                "2026-10-01T00:00:00Z",
            )
            + &osv("DEBIAN-CVE-2026-9003", "Debian:12", "harbour", None, "2026-10-01T00:00:00Z");
    folder.write("d.ndjson", feed);
    folder.write("kev.json", KEV);
    run(&["feed", "build", "-o", &file, &folder.text("d.ndjson"), &folder.text("kev.json")]).is(0);
    let root = servers::dpkg(BOOKWORM, &stanza("libharbour1", "2.0-1", "harbour", ""));
    (folder, root, file)
}

/// Brings a page into one line, so that it does not matter where it is broken.
fn flat(page: &str) -> String {
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_page_answers_what_an_owner_asks() {
    let (_folder, root, file) = harbour();
    let ask = |id: &str, status: i32| {
        let root = root.text("");
        let ran = run(&["explain", id, &root, "--advisories", &file, "--now", NOW]).is(status);
        ran.text().to_owned()
    };
    let page = ask("harbour", 1);
    let words = flat(&page);
    for heading in HEADINGS {
        assert!(page.lines().any(|l| l == heading), "{heading}: {page}");
    }
    for said in [
        "harbour on Debian GNU/Linux 12 (bookworm): a security update is not installed",
        "installed 2.0-1; mended in 2.0-10.",
        "was published on 2026-01-05, 322 days before this inspection.",
        "CVE-2026-9002: it is being exploited. CISA added it to its catalogue of known exploited vulnerabilities on 2026-10-01, and set 2026-10-04 for its end.",
        "apt-get update apt-get install --only-upgrade libharbour1",
        "harbour must be at 2.0-10 or newer. To look yourself: dpkg-query -W libharbour1",
    ] {
        assert!(words.contains(said), "{said}: {page}");
    }
    assert!(page.lines().all(|l| l.chars().count() <= 80 || l.starts_with("      ")), "{page}");
    // What has no fix has a page of its own, with another thing to type.
    assert!(words.contains("a flaw without a fix"), "{page}");
    assert!(words.contains("apt-get remove --simulate libharbour1"), "{page}");

    let one = flat(&ask("CVE-2026-9001", 1));
    assert!(one.contains("mended in 2.0-2.") && !one.contains("CVE-2026-9002"), "{one}");
    assert!(flat(&ask("CVE-2026-9003", 0)).contains("There is no update to install."));

    root.write("var/lib/dpkg/status", stanza("libharbour1", "2.0-10", "harbour", ""));
    let mended = flat(&ask("CVE-2026-9001", 0));
    assert!(mended.contains("The fix is installed. There is nothing to do."), "{mended}");
}

#[test]
fn every_kind_of_finding_has_a_page() {
    let root = servers::dpkg(
        "ID=debian\nVERSION_ID=\"8\"\nVERSION_CODENAME=jessie\n",
        &stanza("libharbour1", "2.0-1", "harbour", ""),
    );
    let answer = run(&["inspect", &root.text(""), "--now", NOW, "--format", "json"]).is(1).json();
    let findings = answer["findings"].as_array().unwrap();
    assert!(!findings.is_empty(), "{answer:#}");
    for finding in findings {
        let id = finding["id"].as_str().unwrap();
        let page = run(&["explain", id, &root.text(""), "--now", NOW]).is(1);
        let page = page.text();
        assert!(page.contains("What it is\n") && page.contains("What to type\n"), "{id}: {page}");
        let markdown =
            run(&["explain", id, &root.text(""), "--now", NOW, "--format", "markdown"]).is(1);
        assert!(markdown.text().starts_with("# ") && markdown.text().contains("\n## What it is\n"));
    }
}

#[test]
fn what_is_no_finding_is_said_with_what_would_be_one() {
    let (_folder, root, file) = harbour();
    let ran = run(&["explain", "curl", &root.text(""), "--advisories", &file]).is(2);
    assert!(ran.err.contains("is named curl: give the id of an advisory or a CVE"), "{}", ran.err);
}

#[test]
fn a_name_from_the_server_is_not_obeyed() {
    let (_folder, _, file) = harbour();
    let hostile = "lib`rm`\u{1b}[2J<script>";
    let root = servers::dpkg(BOOKWORM, &stanza(hostile, "2.0-1", "harbour", ""));
    for format in ["text", "markdown"] {
        let ran =
            run(&["explain", "harbour", &root.text(""), "--advisories", &file, "--format", format]);
        assert!(!ran.text().contains('\u{1b}'), "{}", ran.text());
    }
}
