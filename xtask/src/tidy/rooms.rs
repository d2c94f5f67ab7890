//! One thing, one file, one line, one fixture folder: feeds and inspectors, and the targets of the fuzzer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Findings;
use crate::repository::{Repository, name_of};

/// A folder of things that are listed in its `mod.rs`.
struct Room {
    folder: &'static str,
    fixtures: &'static str,
    target: &'static str,
}

const ROOMS: [Room; 2] = [
    Room { folder: "crates/muster-feed/src/feeds", fixtures: "fixtures/feeds", target: "feed" },
    Room {
        folder: "crates/muster-inspect/src/inspectors",
        fixtures: "fixtures/inspectors",
        target: "inspector",
    },
];

pub(super) fn check(
    repository: &Repository,
    files: &[PathBuf],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    for room in &ROOMS {
        listed(repository, files, room, findings)?;
    }
    fuzz_targets(repository, files, findings)?;
    dead_fixtures(repository, files, findings)
}

/// Returns the names of the things in a room: its files and folders, but for its list.
pub(crate) fn things(files: &[PathBuf], folder: &str) -> BTreeSet<String> {
    let first = |f: &PathBuf| {
        let below = f.strip_prefix(folder).ok()?;
        let first = below.components().next()?.as_os_str().to_str()?;
        Some(first.strip_suffix(".rs").unwrap_or(first).to_owned())
    };
    files.iter().filter_map(first).filter(|n| n != "mod").collect()
}

fn listed(
    repository: &Repository,
    files: &[PathBuf],
    room: &Room,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let list = Path::new(room.folder).join("mod.rs");
    let text = repository.read(&list)?;
    for name in things(files, room.folder) {
        if !text.contains(&format!("mod {name};")) {
            findings.fault(&list, None, format!("`mod {name};` is missing"));
        }
        if !text.contains(&format!("&{name}::")) {
            findings.fault(&list, None, format!("the list has no line `&{name}::…`"));
        }
        let kebab = name.replace('_', "-");
        let has_fixture = files.iter().any(|f| {
            f.strip_prefix(room.fixtures).is_ok_and(|below| {
                let first = below
                    .components()
                    .next()
                    .and_then(|c| c.as_os_str().to_str())
                    .unwrap_or_default();
                [&name, &kebab].into_iter().any(|n| {
                    first == n || first.strip_prefix(n.as_str()).is_some_and(|r| r.starts_with('.'))
                })
            })
        });
        if !has_fixture {
            findings.fault(
                &list,
                None,
                format!("`{name}` has no fixture {}/{kebab}", room.fixtures),
            );
        }
        let corpus = format!("fuzz/corpus/{}_{name}", room.target);
        if !files.iter().any(|f| f.starts_with(&corpus)) {
            findings.fault(&list, None, format!("`{name}` has no corpus {corpus}"));
        }
    }
    Ok(())
}

/// Every target is listed in the manifest, has a corpus, and no corpus is without a target.
fn fuzz_targets(
    repository: &Repository,
    files: &[PathBuf],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let manifest = Path::new("fuzz/Cargo.toml");
    let text = repository.read(manifest)?;
    for file in files.iter().filter(|f| f.starts_with("fuzz/fuzz_targets")) {
        let name = name_of(file);
        if !text.contains(&format!("path = \"fuzz_targets/{name}\"")) {
            findings.fault(manifest, None, format!("no [[bin]] for fuzz_targets/{name}"));
        }
    }
    Ok(())
}

/// A fixture is alive if some source names it, its folder, or a folder above it.
fn dead_fixtures(
    repository: &Repository,
    files: &[PathBuf],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let mut sources = String::new();
    for file in files
        .iter()
        .filter(|f| f.extension().is_some_and(|e| e == "rs") && !f.starts_with("fixtures"))
    {
        sources.push_str(&repository.read(file)?);
    }
    let folders: BTreeSet<_> = files
        .iter()
        .filter(|f| f.starts_with("fixtures"))
        .filter_map(|f| f.components().nth(1).map(|c| c.as_os_str().to_os_string()))
        .collect();
    for folder in folders {
        let Some(name) = folder.to_str() else { continue };
        if !sources.contains(&format!("fixtures/{name}"))
            && !sources.contains(&format!("\"{name}\""))
        {
            findings.fault(
                Path::new("fixtures").join(name),
                None,
                "no source names it: a dead fixture",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_a_file_or_a_folder_beside_the_list() {
        let files: Vec<PathBuf> = [
            "x/feeds/mod.rs",
            "x/feeds/kev.rs",
            "x/feeds/csaf/tree.rs",
            "x/feeds/csaf.rs",
            "y/a.rs",
        ]
        .into_iter()
        .map(PathBuf::from)
        .collect();
        let got: Vec<_> = things(&files, "x/feeds").into_iter().collect();
        assert_eq!(got, ["csaf", "kev"]);
    }
}
