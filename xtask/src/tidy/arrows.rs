//! Which crate may use which, read from the manifests: a crate sees those in lower layers and none beside it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Findings;
use crate::repository::{Repository, name_of};

/// Lowest first. Crates of one layer do not see each other.
const LAYERS: [&[&str]; 7] = [
    &["muster-version"],
    &["muster-core"],
    &["muster-sandbox"],
    &["muster-match", "muster-inspect", "muster-feed"],
    &["muster-net"],
    &["muster"],
    &["xtask"],
];

/// Crates of others that only some of ours may use.
const KEPT_TO: [(&str, &[&str]); 2] =
    [("clap", &["muster", "xtask"]), ("anyhow", &["muster", "xtask"])];

pub(super) fn check(
    repository: &Repository,
    files: &[PathBuf],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    for file in files.iter().filter(|f| name_of(f) == "Cargo.toml" && is_member(f)) {
        let manifest: toml::Table = repository
            .read(file)?
            .parse()
            .with_context(|| format!("cannot read {}", file.display()))?;
        judge(file, &manifest, findings);
    }
    Ok(())
}

fn is_member(file: &Path) -> bool {
    file.starts_with("crates") || file.starts_with("xtask")
}

fn judge(file: &Path, manifest: &toml::Table, findings: &mut Findings) {
    let name = manifest.get("package").and_then(|p| p.get("name")).and_then(|n| n.as_str());
    let name = name.unwrap_or_default();
    let Some(layer) = layer_of(name) else {
        return findings.fault(
            file,
            None,
            format!("`{name}` stands in no layer: add it to LAYERS"),
        );
    };
    for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
        let used = manifest.get(section).and_then(|d| d.as_table());
        for other in used.into_iter().flat_map(|d| d.keys()) {
            if let Some(theirs) = layer_of(other)
                && theirs >= layer
            {
                findings.fault(
                    file,
                    None,
                    format!("`{name}` may not use `{other}`: it stands no lower"),
                );
            }
            let kept = KEPT_TO.iter().find(|(crate_name, _)| crate_name == other);
            if let Some((_, by)) = kept
                && !by.contains(&name)
            {
                findings.fault(file, None, format!("`{other}` is for {} only", by.join(" and ")));
            }
        }
    }
}

fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(manifest: &str) -> Vec<String> {
        let mut findings = Findings::default();
        judge(Path::new("Cargo.toml"), &manifest.parse().unwrap(), &mut findings);
        findings.faults.into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn an_arrow_upward_or_sideways_is_a_fault() {
        let manifest = |name: &str, uses: &str| {
            format!("[package]\nname = \"{name}\"\n[dependencies]\n{uses}.workspace = true\n")
        };
        assert!(faults(&manifest("muster-inspect", "muster-sandbox")).is_empty());
        assert!(faults(&manifest("muster-match", "muster-core")).is_empty());
        assert_eq!(faults(&manifest("muster-match", "muster-feed")).len(), 1);
        assert_eq!(faults(&manifest("muster-core", "muster")).len(), 1);
        assert_eq!(faults(&manifest("muster-feed", "anyhow")).len(), 1);
        assert_eq!(faults(&manifest("muster-new", "serde")).len(), 1);
    }
}
