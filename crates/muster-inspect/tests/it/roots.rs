//! Fixtures and their facts; a directory, a tar in each packing and a tar on standard input say the same.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use muster_core::fact::{Facts, Reading};
use muster_inspect::inspectors::INSPECTORS;
use muster_inspect::root::Directory;
use muster_inspect::{Inspector, Options, Target, inspect, inspect_here, inspect_with};

use crate::{Test, facts_of, file_of, lay_out, repository, tar_of};

pub(crate) const TESTS: &[Test] = &[
    ("every_fixture_has_its_facts", every_fixture_has_its_facts),
    ("a_directory_and_its_tars_say_the_same", a_directory_and_its_tars_say_the_same),
    ("the_running_kernel_is_told_only_where_somebody_vouches", the_running_kernel_is_told),
    ("a_link_to_a_place_that_was_passed_over_is_followed", a_link_is_followed_back),
    ("names_of_every_length_and_kind_are_read", names_of_every_kind),
    ("the_guard_changes_nothing", the_guard_changes_nothing),
    ("this_machine_is_read", this_machine_is_read),
];

/// The fixtures of this folder that have facts beside them.
fn fixtures() -> Vec<PathBuf> {
    let mut fixtures: Vec<PathBuf> = std::fs::read_dir(repository().join("fixtures/roots"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("root").is_dir())
        .collect();
    fixtures.sort();
    assert!(fixtures.len() >= 21, "{}", fixtures.len());
    fixtures
}

fn json(facts: &Facts) -> String {
    serde_json::to_string_pretty(facts).unwrap() + "\n"
}

/// With `MUSTER_BLESS` set the facts are written anew, to be read by a person before they are kept.
#[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
fn every_fixture_has_its_facts() {
    let bless = std::env::var("MUSTER_BLESS").is_ok();
    for fixture in fixtures() {
        let found = json(&facts_of(&fixture.join("root")));
        let beside = fixture.join("facts.json");
        if bless {
            std::fs::write(&beside, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        assert_eq!(found, expected, "{}", fixture.display());
    }
}

pub(crate) fn pack(packing: &str, bytes: &[u8]) -> Vec<u8> {
    match packing {
        "plain" => bytes.to_vec(),
        "gzip" => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "xz" => {
            let mut packed = Vec::new();
            liblzma::read::XzEncoder::new(bytes, 1).read_to_end(&mut packed).unwrap();
            packed
        }
        other => panic!("{other}"),
    }
}

/// Inspects bytes that arrive on standard input through a pipe.
fn facts_of_stdin(bytes: &[u8]) -> Facts {
    of_stdin(INSPECTORS, bytes)
}

pub(crate) fn of_stdin(inspectors: &[&dyn Inspector], bytes: &[u8]) -> Facts {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // A thread would forbid the fork: a process of its own feeds the pipe.
    let file = file_of(bytes);
    let mut feeder = std::process::Command::new("cat")
        .arg(file.path())
        .stdout(writer.try_clone().unwrap())
        .spawn()
        .unwrap();
    writer.flush().unwrap();
    drop(writer);
    let own = rustix::io::dup(rustix::stdio::stdin()).unwrap();
    rustix::stdio::dup2_stdin(&reader).unwrap();
    let facts = inspect_with(inspectors, &Target::TarStdin, &Options::default()).0;
    rustix::stdio::dup2_stdin(&own).unwrap();
    drop(reader);
    feeder.wait().unwrap();
    facts.unwrap()
}

fn a_directory_and_its_tars_say_the_same() {
    for fixture in fixtures() {
        let root = fixture.join("root");
        let expected = json(&facts_of(&root));
        let tar = tar_of(&root);
        for packing in ["plain", "gzip", "zstd", "xz"] {
            let file = file_of(&pack(packing, &tar));
            assert_eq!(json(&facts_of(file.path())), expected, "{packing} {}", fixture.display());
        }
        for packing in ["plain", "zstd"] {
            let facts = facts_of_stdin(&pack(packing, &tar));
            assert_eq!(json(&facts), expected, "{packing} on stdin, {}", fixture.display());
        }
    }
}

fn the_running_kernel_is_told() {
    let root = repository().join("fixtures/roots/debian-12-minimal/root");
    let vouched = Options { live_proc: true, ..Options::default() };
    let target = Target::parse(root.as_os_str()).unwrap();
    let facts = inspect(&target, &vouched).unwrap();
    assert_eq!(facts.kernels.running, Reading::Found(String::from("6.1.0-17-amd64")));
    let tar = file_of(&tar_of(&root));
    assert_eq!(inspect(&Target::Tar(tar.path().into()), &vouched).unwrap(), facts);
    assert_eq!(facts_of(&root).kernels.running, Reading::Absent);
}

/// The package database lies where only a link that comes later leads.
fn a_link_is_followed_back() {
    let status = b"Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n";
    let mut tar = tar::Builder::new(Vec::new());
    add(&mut tar, "a/b/dpkg/status", status);
    add(&mut tar, "a/release", b"ID=debian\nVERSION_ID=12\n");
    link(&mut tar, "etc/os-release", "../a/release");
    link(&mut tar, "var/lib/dpkg", "/a/b/dpkg");
    let bytes = tar.into_inner().unwrap();
    let file = file_of(&bytes);
    let facts = facts_of(file.path());
    assert_eq!((facts.packages.len(), facts.obstacles.len()), (1, 0), "{:?}", facts.obstacles);
    assert_eq!(facts.os.found().unwrap().id, "debian");
    let packed = file_of(&pack("gzip", &bytes));
    assert_eq!(facts_of(packed.path()), facts);
    let folder = tempfile::tempdir().unwrap();
    tar::Archive::new(&*bytes).unpack(folder.path()).unwrap();
    // The tar crate keeps an absolute link as it is: as the root of a server it leads to the root's own folder.
    assert_eq!(facts_of(folder.path()), facts);
    // What has gone by on standard input is gone: said, not passed over in silence.
    let facts = facts_of_stdin(&bytes);
    let told: Vec<&str> = facts.obstacles.iter().map(|o| o.what.as_str()).collect();
    assert!(told.contains(&"/a/release"), "{:?}", facts.obstacles);
    assert!(told.iter().any(|what| what.starts_with("/a/b/dpkg")), "{told:?}");
}

pub(crate) fn add(tar: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, path, content).unwrap();
}

pub(crate) fn link(tar: &mut tar::Builder<Vec<u8>>, path: &str, to: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, path, to).unwrap();
}

/// Long names, hard links, duplicates, pax headers: by GNU tar itself, in each of its formats.
fn names_of_every_kind() {
    let long = format!("var/lib/dpkg/status.d/{}", "n".repeat(180));
    let folder = lay_out(&[
        ("etc/os-release", b"ID=debian\nVERSION_ID=12\n"),
        (&long, b"Package: long\nVersion: 1\n"),
        ("var/lib/dpkg/status.d/first", b"Package: linked\nVersion: 2\n"),
    ]);
    std::fs::create_dir_all(folder.path().join("usr/lib")).unwrap();
    std::fs::hard_link(
        folder.path().join("etc/os-release"),
        folder.path().join("usr/lib/os-release"),
    )
    .unwrap();
    let hole = File::create(folder.path().join("var/lib/dpkg/status.d/sparse")).unwrap();
    (&hole).write_all(b"Package: sparse\nVersion: 3\n\n").unwrap();
    hole.set_len(900_000).unwrap();
    drop(hole);
    let expected = facts_of(folder.path());
    assert_eq!(expected.packages.len(), 3);
    for format in ["gnu", "posix", "ustar", "v7", "oldgnu"] {
        let tar = folder.path().with_extension("tar");
        let made = std::process::Command::new("tar")
            .args(["--sparse", &format!("--format={format}"), "-cf"])
            .arg(&tar)
            .args(["-C", folder.path().to_str().unwrap(), "."])
            .output()
            .unwrap();
        // v7 has no room for the long name, and ustar none for a hole.
        if made.status.success() {
            assert_eq!(facts_of(&tar), expected, "{format}");
        } else {
            assert!(matches!(format, "v7" | "ustar"), "{format}: {made:?}");
        }
        drop(std::fs::remove_file(&tar));
    }
    let mut tar = tar::Builder::new(Vec::new());
    add(&mut tar, "etc/os-release", b"ID=first\n");
    add(&mut tar, "./etc/os-release", b"ID=last\n");
    let file = file_of(&tar.into_inner().unwrap());
    assert_eq!(facts_of(file.path()).os.found().unwrap().id, "last");
}

fn the_guard_changes_nothing() {
    for fixture in fixtures() {
        let root = fixture.join("root");
        let directory = Directory::new(File::open(&root).unwrap().into(), false, false);
        assert_eq!(facts_of(&root), inspect_here(&directory), "{}", fixture.display());
    }
}

fn this_machine_is_read() {
    assert_eq!(Target::parse("/".as_ref()).unwrap(), Target::Live);
    assert_eq!(Target::parse("/usr/..".as_ref()).unwrap(), Target::Live);
    let facts = facts_of(Path::new("/"));
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(facts.kernels.running, Reading::Found(release.trim().to_owned()));
    assert!(!facts.packages.is_empty());
}
