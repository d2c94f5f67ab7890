//! Feeds in their vendors' forms, with words of our own.

use crate::runs::{Folder, run};

/// A file of Ubuntu's CVE tracker.
pub(crate) fn uct(cve: &str, priority: &str, lines: &[&str]) -> String {
    let mut text = format!(
        "Candidate: {cve}\nPublicDate: 2007-03-01 10:00:00 UTC\nReferences:\n https://example.org/{cve}\nDescription:\n A flaw of our own making.\nPriority: {priority}\nDiscovered-by:\nAssigned-to:\nCVSS:\n\n"
    );
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// A record of OSV that names a fix, or none.
pub(crate) fn osv(
    id: &str,
    ecosystem: &str,
    package: &str,
    fixed: Option<&str>,
    modified: &str,
) -> String {
    let fixed = fixed.map_or(String::new(), |f| format!(r#",{{"fixed":"{f}"}}"#));
    format!(
        r#"{{"schema_version":"1.6.0","id":"{id}","published":"2026-01-05T00:00:00Z","modified":"{modified}","summary":"A flaw in {package}","upstream":["CVE-{}"],"affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"{package}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}}{fixed}]}}]}}]}}"#,
        id.trim_start_matches(|c: char| !c.is_ascii_digit())
    ) + "\n"
}

/// Alpine's security database of one repository.
pub(crate) fn secdb(version: &str, package: &str, fixed: &str, cve: &str) -> String {
    format!(
        r#"{{"apkurl":"x","archs":["x86_64"],"reponame":"main","urlprefix":"https://mirror.example.org/alpine","distroversion":"{version}","packages":[{{"pkg":{{"name":"{package}","secfixes":{{"{fixed}":["{cve}"]}}}}}}]}}"#
    )
}

/// CISA's catalogue with one entry.
pub(crate) fn kev(cve: &str) -> String {
    format!(
        r#"{{"title":"Known exploited","catalogVersion":"2026.11.20","dateReleased":"2026-11-20T00:00:00.0000Z","count":1,"vulnerabilities":[{{"cveID":"{cve}","vendorProject":"Own","product":"Own","vulnerabilityName":"Own","dateAdded":"2026-11-02","shortDescription":"Own","requiredAction":"Mend","dueDate":"2026-11-23","knownRansomwareCampaignUse":"Unknown","notes":""}}]}}"#
    )
}

/// EPSS with one row.
pub(crate) fn epss(cve: &str, score: &str) -> String {
    format!(
        "#model_version:v2026.03.14,score_date:2026-11-20T00:00:00+0000\ncve,epss,percentile\n{cve},{score},0.99\n"
    )
}

/// The list of Debian's notices with one.
pub(crate) const DSA: &str = "[05 Nov 2026] DSA-9901-1 harbour - security update\n\t{CVE-2026-9001 CVE-2026-9002}\n\t[bookworm] - harbour 2.0-1+deb12u1\n[01 Nov 2026] DSA-9900-1 quay - security update\n\t[bookworm] - quay 1:4.2-3\n";

/// Debian's tracker in OSV's form: fixed, and without a fix.
pub(crate) fn debian() -> String {
    [
        osv(
            "DEBIAN-CVE-2026-9001",
            "Debian:12",
            "harbour",
            Some("2.0-1+deb12u1"),
            "2026-11-05T00:00:00Z",
        ),
        osv("DEBIAN-CVE-2026-9003", "Debian:12", "harbour", None, "2026-11-06T00:00:00Z"),
        osv(
            "DEBIAN-CVE-2026-9004",
            "Debian:12",
            "linux",
            Some("6.1.170-1"),
            "2026-11-07T00:00:00Z",
        ),
    ]
    .concat()
}

/// Debian 12 with exploitation and likelihood: the file that most tests judge by.
pub(crate) fn debian_file(folder: &Folder) -> String {
    folder
        .write("debian.osv.ndjson", debian())
        .write("dsa/data/DSA/list", DSA)
        .write("kev.json", kev("CVE-2026-9001"))
        .write("epss.csv", epss("CVE-2026-9001", "0.91"));
    let out = folder.text("debian.adv");
    let paths = ["debian.osv.ndjson", "dsa", "kev.json", "epss.csv"].map(|n| folder.text(n));
    let mut arguments = vec!["feed", "build", "-o", &out];
    arguments.extend(paths.iter().map(String::as_str));
    run(&arguments).is(0);
    out
}
