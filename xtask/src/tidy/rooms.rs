//! One thing, one file, one line, one fixture folder: feeds and inspectors, and the targets of the fuzzer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Findings;
use crate::repository::{Repository, name_of};

/// A folder of things that are listed in its `mod.rs`.
struct Room {
    folder: &'static str,
    /// Where the fixtures lie, below `fixtures/` or below this folder of it.
    fixtures: &'static str,
    thing: &'static str,
}

const ROOMS: [Room; 2] = [
    Room { folder: "crates/muster-feed/src/feeds", fixtures: "feeds", thing: "feed" },
    Room {
        folder: "crates/muster-inspect/src/inspectors",
        fixtures: "inspectors",
        thing: "inspector",
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

/// Returns the names of the things in a room, and of what else lies there.
pub(crate) fn things(
    repository: &Repository,
    files: &[PathBuf],
    folder: &str,
) -> anyhow::Result<(BTreeSet<String>, BTreeSet<String>)> {
    let (mut things, mut others) = (BTreeSet::new(), BTreeSet::new());
    for name in names(files, folder) {
        let own = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
        let own = own.into_iter().find(|f| repository.path(f).is_file());
        let text = own.map(|f| repository.read(f)).transpose()?.unwrap_or_default();
        let is_thing = ["impl Feed for", "impl Inspector for"].iter().any(|i| text.contains(i));
        if is_thing {
            things.insert(name)
        } else {
            others.insert(name)
        };
    }
    Ok((things, others))
}

/// Returns the names of the files and folders in a room, but for its list.
fn names(files: &[PathBuf], folder: &str) -> BTreeSet<String> {
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
    let (things, others) = things(repository, files, room.folder)?;
    for name in others {
        let path = Path::new(room.folder).join(name);
        findings.fault(
            path,
            None,
            format!("is no {}: its place is beside this folder", room.thing),
        );
    }
    for name in things {
        if !text.contains(&format!("mod {name};")) {
            findings.fault(&list, None, format!("`mod {name};` is missing"));
        }
        if !text.contains(&format!("&{name}::")) {
            findings.fault(&list, None, format!("the list has no line `&{name}::…`"));
        }
        let has_fixture = files.iter().any(|f| is_fixture_of(f, room, &name));
        if !has_fixture && !has_tests(repository, files, room, &name)? {
            let kebab = name.replace('_', "-");
            let what =
                format!("`{name}` has neither fixtures/{}/{kebab} nor a test", room.fixtures);
            findings.fault(&list, None, what);
        }
    }
    Ok(())
}

/// Tells whether a thing is tested on inputs that stand in its own files, or in an integration test that names it.
fn has_tests(
    repository: &Repository,
    files: &[PathBuf],
    room: &Room,
    name: &str,
) -> anyhow::Result<bool> {
    let own = Path::new(room.folder).join(name);
    let tests = Path::new(room.folder).ancestors().nth(2).unwrap_or(&own).join("tests/it");
    for file in files {
        if file.starts_with(&tests) && repository.read(file)?.contains(name) {
            return Ok(true);
        }
        let is_own = file.starts_with(&own) || *file == own.with_extension("rs");
        if is_own && repository.read(file)?.contains("#[cfg(test)]") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells whether a file lies in the fixture folder of a thing, or is its one fixture.
fn is_fixture_of(file: &Path, room: &Room, name: &str) -> bool {
    let kebab = name.replace('_', "-");
    let Ok(below) = file.strip_prefix("fixtures") else { return false };
    let below = below.strip_prefix(room.fixtures).unwrap_or(below);
    let first = below.components().next().and_then(|c| c.as_os_str().to_str()).unwrap_or_default();
    let stem = first.split('.').next().unwrap_or_default();
    [name, kebab.as_str()].contains(&first) || [name, kebab.as_str()].contains(&stem)
}

/// Every target is listed in the manifest.
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
    fn a_fixture_is_a_folder_or_a_file_of_that_name() {
        let [feeds, _] = &ROOMS;
        for good in [
            "fixtures/feeds/cisa-kev/a.json",
            "fixtures/feeds/cisa_kev.json",
            "fixtures/cisa-kev/a",
        ] {
            assert!(is_fixture_of(Path::new(good), feeds, "cisa_kev"), "{good}");
        }
        for bad in
            ["fixtures/feeds/cisa-kev2/a.json", "fixtures/inspectors/cisa-kev/a", "cisa-kev/a"]
        {
            assert!(!is_fixture_of(Path::new(bad), feeds, "cisa_kev"), "{bad}");
        }
    }

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
        let got: Vec<_> = names(&files, "x/feeds").into_iter().collect();
        assert_eq!(got, ["csaf", "kev"]);
    }
}
