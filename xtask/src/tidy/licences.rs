//! Licences of what Muster is built from, held to the list in `deny.toml` that `cargo deny` reads as well.
//!
//! `cargo metadata` tells each package's licence, offline; advisories about crates are left to `cargo deny`.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::Findings;
use crate::repository::Repository;

#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
}

#[derive(Deserialize)]
struct Licences {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

pub(super) fn check(repository: &Repository, findings: &mut Findings) -> anyhow::Result<()> {
    let deny: Deny =
        toml::from_str(&repository.read("deny.toml")?).context("cannot read deny.toml")?;
    let words =
        ["metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"];
    let run = repository.cargo(&words).output().context("cannot run cargo")?;
    if !run.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&run.stderr));
    }
    let metadata: Metadata =
        serde_json::from_slice(&run.stdout).context("cargo metadata wrote no metadata")?;
    for package in metadata.packages {
        let licence = package.license.unwrap_or_default();
        if !is_allowed(&licence, &deny.licenses.allow) {
            let what = format!(
                "{} {} is under `{licence}`, which is not allowed",
                package.name, package.version
            );
            findings.fault("deny.toml", None, what);
        }
    }
    Ok(())
}

/// Judges an SPDX expression without nesting deeper than one pair of brackets, as crates write them.
fn is_allowed(licence: &str, allowed: &BTreeSet<String>) -> bool {
    let flat = licence.replace('/', " OR ");
    if let Some((before, rest)) = flat.split_once('(')
        && let Some((inside, after)) = rest.split_once(')')
    {
        // A bracket stands for the answer to what it holds.
        let answer = if is_allowed(inside, allowed) {
            allowed.first().map_or("", String::as_str)
        } else {
            ""
        };
        return is_allowed(&format!("{before}{answer}{after}"), allowed);
    }
    flat.split(" OR ").any(|choice| choice.split(" AND ").all(|one| allowed.contains(one.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_allowed_choice_is_enough_and_every_demand_counts() {
        let allowed = ["Apache-2.0", "MIT"].map(String::from).into();
        for good in ["MIT", "MIT OR GPL-3.0", "MIT/Apache-2.0", "(MIT OR GPL-2.0) AND Apache-2.0"] {
            assert!(is_allowed(good, &allowed), "{good}");
        }
        for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-2.0 OR Zlib) AND MIT"] {
            assert!(!is_allowed(bad, &allowed), "{bad}");
        }
    }
}
