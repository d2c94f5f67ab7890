//! Package databases: real ones counted by another reader, damaged ones, and any bytes at all.

use std::path::PathBuf;

use muster_core::fact::{PackageState, Reading};
use muster_inspect::inspect_here;
use muster_inspect::root::Directory;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{Test, facts_of, lay_out};

pub(crate) const TESTS: &[Test] = &[
    ("real_inventories_are_counted_right", real_inventories_are_counted_right),
    ("a_damaged_status_says_where", a_damaged_status_says_where),
    ("a_lost_status_is_missed", a_lost_status_is_missed),
    ("a_damaged_installed_says_where", a_damaged_installed_says_where),
    ("states_and_holds_are_told", states_and_holds_are_told),
    ("any_bytes_are_survived", any_bytes_are_survived),
];

const OS: (&str, &[u8]) = ("etc/os-release", b"ID=debian\nVERSION_ID=12\n");

/// The folder of shared data, where it is there.
#[expect(clippy::disallowed_methods, reason = "a switch of these tests alone")]
fn shared() -> Option<PathBuf> {
    let named = std::env::var("MUSTER_SHARED").map(PathBuf::from);
    let shared = named.unwrap_or_else(|_| crate::repository().join("../shared"));
    if shared.join("data").is_dir() {
        return Some(shared);
    }
    assert!(std::env::var("MUSTER_REQUIRE_ALL").is_err(), "{} is not there", shared.display());
    println!("not run: needs ../shared");
    None
}

/// Every one of them is read without an obstacle but one. The figures are those of another reader of the same files (`installed()` of the score script).
fn real_inventories_are_counted_right() {
    let Some(shared) = shared() else { return };
    let inventories = shared.join("data/inventories");
    for (folder, count, id, version) in [
        ("apk/v3.10-minirootfs", 14, "alpine", "3.10.9"),
        ("apk/v3.14-minirootfs", 14, "alpine", "3.14.10"),
        ("apk/v3.14.0-boost", 26, "alpine", "3.14.0"),
        ("apk/v3.18-minirootfs", 15, "alpine", "3.18.9"),
        ("apk/v3.20-minirootfs", 14, "alpine", "3.20.3"),
        ("apk/v3.6-minirootfs", 13, "alpine", "3.6.5"),
        ("dpkg/debian-05.0.3-dreamplug", 431, "debian", "5.0.3"),
        ("dpkg/debian-08.7-jira", 316, "debian", "8"),
        ("dpkg/debian-09.12-glpi", 492, "debian", "9.12"),
        ("dpkg/debian-11.5-mysql", 147, "debian", "11"),
        ("dpkg/debian-12.15-wiki-built", 497, "debian", "12"),
        ("dpkg/ubuntu-09.04-netwalker", 1003, "ubuntu", "9.04"),
        ("dpkg/ubuntu-14.04-base-armhf", 184, "ubuntu", "14.04"),
        ("dpkg/ubuntu-18.04.5-myir", 279, "ubuntu", "18.04"),
    ] {
        let source = inventories.join(folder);
        let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
        for (name, place) in [
            ("status.zst", "var/lib/dpkg/status"),
            ("os-release", "etc/os-release"),
            ("lsb-release", "etc/lsb-release"),
            ("debian_version", "etc/debian_version"),
            ("installed", "lib/apk/db/installed"),
            ("alpine-release", "etc/alpine-release"),
        ] {
            let Ok(bytes) = std::fs::read(source.join(name)) else { continue };
            let bytes =
                if name.ends_with(".zst") { zstd::decode_all(&*bytes).unwrap() } else { bytes };
            files.push((place, bytes));
        }
        let files: Vec<(&str, &[u8])> = files.iter().map(|(p, b)| (*p, b.as_slice())).collect();
        let root = lay_out(&files);
        let facts = facts_of(root.path());
        // Somebody merged two states of this one, and left the marks in it.
        let merged = folder == "dpkg/debian-11.5-mysql";
        assert_eq!(!facts.obstacles.is_empty(), merged, "{folder}: {:?}", facts.obstacles);
        assert_eq!(facts.packages.len(), count, "{folder}");
        let os = facts.os.found().unwrap();
        assert_eq!((os.id.as_str(), os.version.as_deref()), (id, Some(version)), "{folder}");
    }
}

fn obstacles_of_status(status: &[u8]) -> (usize, Vec<String>) {
    let root = lay_out(&[OS, ("var/lib/dpkg/status", status)]);
    let facts = facts_of(root.path());
    assert!(facts.obstacles.iter().all(|o| o.what == "/var/lib/dpkg/status"));
    (facts.packages.len(), facts.obstacles.into_iter().map(|o| o.why).collect())
}

fn a_damaged_status_says_where() {
    const A: &str = "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n";
    let b = A.replace("Package: a", "Package: b");
    let check = |status: &str, packages: usize, why: &[&str]| {
        let (count, told) = obstacles_of_status(status.as_bytes());
        assert_eq!(count, packages, "{status:?} {told:?}");
        assert_eq!(told.len(), why.len(), "{status:?} {told:?}");
        for (told, why) in told.iter().zip(why) {
            assert!(told.contains(why), "{told:?} has no {why:?}");
        }
    };
    check(&format!("{A}{b}"), 2, &[]);
    check(&format!("{A}{b}").replace('\n', "\r\n"), 2, &[]);
    check(
        &format!("{A}{}", b.replace("Version: 1\n", "")),
        1,
        &["stanza 2 (line 6) has no Version field: package b"],
    );
    check(
        &format!("{A}{}", b.replace("Package: b\n", "")),
        1,
        &["stanza 2 (line 6) has no Package field"],
    );
    check(
        &format!("{A}{}", b.replace("Status: install ok installed\n", "")),
        2,
        &["stanza 2 (line 6) has no Status field: taken as installed"],
    );
    check(
        &format!("<<<<<<< HEAD\n{A}=======\n>>>>>>> x\n{b}"),
        2,
        &["has 3 marks of a merge (`<<<<<<<`), the first in line 1"],
    );
    check(
        &format!("{A}Package: b\nStatus: install ok installed\nVersion: 1.2.3-4ub"),
        1,
        &["ends in the middle of line 8", "stanza 2 (line 6) has no Version"],
    );
    check(
        &format!("{}{b}", A.trim_end().to_owned() + "\n"),
        1,
        &[
            "has a second Package",
            "has a second Status",
            "has a second Architecture",
            "has a second Version",
        ],
    );
    check(&A.replace("installed\n", "dreaming\n"), 1, &["a Status that dpkg does not know"]);
    for version in ["1\u{1b}]0;x", "_3.0", "99999999999999:3.0", "-1:3.0", "not a version", "1:"] {
        let why = format!("a version that dpkg refuses, {version:?}: package a is not judged");
        check(&A.replace("Version: 1", &format!("Version: {version}")), 1, &[&why]);
    }
    check(
        &A.replace("Version", "Source: s (_3)\nVersion"),
        1,
        &["a version that dpkg refuses, \"_3\""],
    );
    for name in ["x;reboot;$(id)", "-oX", ".x", "a b", "a/b", "it's"] {
        let status = A.replace("Package: a", &format!("Package: {name}"));
        check(&status, 1, &["a name that no package can have"]);
    }
    check(&A.replace("Package: a", "Package: libstdc++6-4.8_X"), 1, &[]);
    check(&A.replace("Package: a", "Package: a\0b"), 1, &["has NUL bytes", "no package can have"]);
    // Nothing that is read of it is damaged.
    check(
        &A.replace("Version", "Description: é\u{202e}\n   \nVersion"),
        0,
        &["stanza 1 (line 1) has no Version field: package a", "stanza 2 (line 6) has no Package"],
    );
    let (count, told) = obstacles_of_status(
        b"Package: a\nStatus: install ok installed\nMaintainer: J\xf6rg\nVersion: 1\n\n",
    );
    assert_eq!((count, told.len()), (1, 0), "{told:?}");
    let (count, told) =
        obstacles_of_status(b"Package: \xf6\nStatus: install ok installed\nVersion: 1\n\n");
    assert_eq!((count, told.len()), (1, 1), "{told:?}");
    let many = "Package: a\nStatus: install ok installed\n\n".repeat(500);
    let (count, told) = obstacles_of_status(many.as_bytes());
    assert_eq!((count, told.len()), (0, 21));
    assert!(told.iter().any(|why| why == "has 480 more problems like these"), "{told:?}");
}

fn a_lost_status_is_missed() {
    let list: (&str, &[u8]) = ("var/lib/dpkg/info/libc6:amd64.list", b"/.\n");
    let old: (&str, &[u8]) = ("var/lib/dpkg/status-old", b"");
    for (files, why) in [
        (
            vec![OS, list, ("var/lib/dpkg/status", b"".as_slice())],
            "is empty: /var/lib/dpkg/info has the file lists of 1 packages that it does not name",
        ),
        (
            vec![OS, list, old],
            "is gone, while /var/lib/dpkg/info has the file lists of 1 packages; compare it with /var/lib/dpkg/status-old",
        ),
        (
            vec![
                OS,
                list,
                (
                    "var/lib/dpkg/status",
                    b"Package: a\nStatus: install ok installed\nVersion: 1\n".as_slice(),
                ),
            ],
            "is damaged: /var/lib/dpkg/info has the file lists of 1 packages that it does not name",
        ),
    ] {
        let root = lay_out(&files);
        let facts = facts_of(root.path());
        assert_eq!(facts.obstacles.len(), 1, "{:?}", facts.obstacles);
        assert_eq!(facts.obstacles.first().unwrap().why, why);
        assert_eq!(matches!(facts.database, Reading::Unknown(_)), facts.packages.is_empty());
        let tar = crate::file_of(&crate::tar_of(root.path()));
        assert_eq!(facts_of(tar.path()), facts);
    }
    // A host of another family with dpkg beside its own database.
    let root = lay_out(&[OS, ("var/lib/dpkg/status", b"")]);
    let facts = facts_of(root.path());
    assert_eq!((facts.obstacles.len(), facts.database), (0, Reading::Absent));
}

fn a_damaged_installed_says_where() {
    let check = |installed: &str, packages: usize, why: &[&str]| {
        let root = lay_out(&[("lib/apk/db/installed", installed.as_bytes())]);
        let facts = facts_of(root.path());
        assert_eq!(facts.packages.len(), packages, "{installed:?} {:?}", facts.obstacles);
        assert_eq!(facts.obstacles.len(), why.len(), "{installed:?} {:?}", facts.obstacles);
        for (told, why) in facts.obstacles.iter().zip(why) {
            assert!(told.why.contains(why), "{told:?} has no {why:?}");
        }
        assert_eq!(packages == 0, matches!(facts.database, Reading::Unknown(_)));
    };
    check("P:a\nV:1-r0\n\nP:b\nV:2-r0\n\n", 2, &[]);
    check(
        "P:a\nV:1-r0\n\nP:b\nV:2-",
        1,
        &["ends in the middle of line 5", "the stanza at line 4, of b, has no version"],
    );
    check("P:a\nV:1-r0\n\nV:2-r0\n\n", 1, &["the stanza at line 4 has no name"]);
    check(
        "P:a\nV:1-r0\nP:b\nV:2-r0\n\n",
        1,
        &["line 3 has a second `P:`", "line 4 has a second `V:`"],
    );
    check("", 0, &["is empty: it names no package"]);
    check("P:a\x1b[2J\nV:1\n\n", 1, &["no package can have"]);
}

fn states_and_holds_are_told() {
    let root = crate::repository().join("fixtures/roots/debian-12-minimal/root");
    let facts = facts_of(&root);
    let of = |name: &str| facts.packages.iter().find(|p| p.name == name).unwrap();
    assert!(of("nginx").held && !of("perl").held);
    assert_eq!(of("perl").state, PackageState::HalfConfigured);
    assert_eq!(of("tzdata").state, PackageState::HalfInstalled);
    assert_eq!(facts.packages.iter().filter(|p| p.name == "libc6").count(), 2);
    assert!(!facts.packages.iter().any(|p| p.name == "old-daemon" || p.name == "never-was"));
}

/// Whatever a file says: an answer, and no panic. Pieces of real files reach further in than noise does.
fn any_bytes_are_survived() {
    let piece = prop_oneof![
        Just(b"Package: a\n".to_vec()),
        Just(b"Status: install ok installed\n".to_vec()),
        Just(b"Version: 1:2-3\n".to_vec()),
        Just(b"Source: b (2)\n".to_vec()),
        Just(b"Built-Using: linux (= 1), \n x (= 2)\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"P:a\nV:1\n".to_vec()),
        Just(b"ID=\"a\\".to_vec()),
        Just(b"VERSION=\"1 (".to_vec()),
        Just(b"DISTRIB_ID=".to_vec()),
        Just(b"CentOS release 6.10 (Final)\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let file = || proptest::collection::vec(piece.clone(), 0..24).prop_map(|p| p.concat());
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(file(), file(), 0..8_usize), |(database, release, which)| {
            let release_file = [
                "etc/os-release",
                "etc/lsb-release",
                "etc/debian_version",
                "etc/redhat-release",
                "etc/SuSE-release",
                "boot/grub/grubenv",
                "boot/loader/entries/a.conf",
                "etc/apk/world",
            ][which];
            let root = lay_out(&[
                ("var/lib/dpkg/status", &database),
                ("var/lib/dpkg/status.d/a", &release),
                ("lib/apk/db/installed", &database),
                (release_file, &release),
            ]);
            let top = std::fs::File::open(root.path()).unwrap();
            let facts = inspect_here(&Directory::new(top.into(), false, true));
            // Every package came from a stanza with a name and a version.
            prop_assert!(
                facts.packages.iter().all(|p| !p.name.is_empty() && !p.version.is_empty())
            );
            Ok(())
        })
        .unwrap();
}
