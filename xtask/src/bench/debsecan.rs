//! debsecan, the peer: how it is run without a network, and its answer as pairs of vulnerability and package.
//!
//! It downloads one packed table named after the suite; a `file:` address serves as well. See debsecan(1).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::generate::Made;

/// A vulnerability, and the binary package that has it.
pub type Pair = (String, String);

/// Returns the command that answers the same question as `muster inspect`.
pub fn command(made: &Made) -> Vec<OsString> {
    let mut address = OsString::from("file://");
    address.push(&made.debsecan);
    let status = made.root.join("var/lib/dpkg/status");
    vec![
        "debsecan".into(),
        "--config".into(),
        "/dev/null".into(),
        "--suite".into(),
        "bookworm".into(),
        "--source".into(),
        address,
        "--status".into(),
        status.into(),
    ]
}

/// Returns what debsecan finds.
pub fn pairs(made: &Made) -> anyhow::Result<BTreeSet<Pair>> {
    let mut words = command(made).into_iter();
    let program = words.next().context("the command has a program")?;
    let run = Command::new(program).args(words).output().context("cannot run debsecan")?;
    if !run.status.success() {
        bail!("debsecan failed: {}", String::from_utf8_lossy(&run.stderr));
    }
    Ok(read(&String::from_utf8_lossy(&run.stdout)))
}

/// Reads lines of the form `CVE-2024-1234 package (remarks)`.
fn read(output: &str) -> BTreeSet<Pair> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    output.lines().filter_map(line).collect()
}

#[derive(Deserialize)]
struct Inspection {
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Finding {
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    cves: Vec<String>,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

/// Returns the same pairs out of an inspection.
pub fn pairs_of_muster(json: &[u8]) -> anyhow::Result<BTreeSet<Pair>> {
    let inspection: Inspection =
        serde_json::from_slice(json).context("`muster inspect` wrote no inspection")?;
    let mut pairs = BTreeSet::new();
    for finding in inspection.findings.iter().filter(|f| f.kind == "advisory") {
        let own = std::slice::from_ref(&finding.id);
        let cves = if finding.cves.is_empty() { own } else { &finding.cves };
        for cve in cves {
            pairs.extend(finding.packages.iter().map(|p| (cve.clone(), p.name.clone())));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_answers_come_to_the_same_pairs() {
        let theirs = read("CVE-2024-1 curl (remotely exploitable, fixed)\nCVE-2024-1 libcurl4\n");
        let json = br#"{"findings":[{"kind":"advisory","id":"CVE-2024-1","cves":["CVE-2024-1"],
            "packages":[{"name":"curl"},{"name":"libcurl4"}]},{"kind":"reboot"}]}"#;
        assert_eq!(theirs, pairs_of_muster(json).unwrap());
        assert_eq!(theirs.len(), 2);
    }
}
