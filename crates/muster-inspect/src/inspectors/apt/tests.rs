//! apt's own answer beside ours: on this machine, and on the same lists with other packages, pins, holds and sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use muster_core::fact::{Candidate, Database, Facts, Os, Package, Reading, TroubleKind};
use rustix::fs::{Mode, OFlags};
use sha2::Digest as _;

use super::Apt;
use super::testing::Files;
use crate::Inspector as _;
use crate::inspectors::{dpkg, os_release};
use crate::root::Directory;

/// Inspects a directory with the inspectors that apt's needs before it.
fn inspect(path: &Path) -> Facts {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(path, flags, Mode::empty()).unwrap();
    let root = Directory::new(top, false, false);
    let mut facts = Facts::default();
    os_release::OsRelease.inspect(&root, &mut facts);
    dpkg::Dpkg.inspect(&root, &mut facts);
    Apt.inspect(&root, &mut facts);
    facts
}

fn candidates(facts: &Facts) -> &[Candidate] {
    facts.archive.found().map(|archive| archive.candidates.as_slice()).unwrap_or_default()
}

/// Returns what would be installed now, or everything newer.
fn upgrades(facts: &Facts, all: bool) -> BTreeMap<String, String> {
    let now = |c: &&Candidate| all || c.kept_back.is_none() && c.phased.is_none();
    candidates(facts).iter().filter(now).map(|c| (c.name.clone(), c.version.clone())).collect()
}

/// Tells of a test that could not be run.
#[expect(clippy::disallowed_methods, reason = "a switch of these tests alone")]
fn not_run(needs: &str) {
    assert!(
        std::env::var("MUSTER_REQUIRE_ALL").is_err(),
        "MUSTER_REQUIRE_ALL, but it needs {needs}"
    );
    println!("not run: needs {needs}");
}

/// A copy of this machine's apt, where both may read and nothing of the machine is written.
struct Copy {
    folder: tempfile::TempDir,
    status: String,
}

impl Copy {
    fn new() -> Option<Self> {
        let lists = Path::new("/var/lib/apt/lists");
        let indices = || {
            std::fs::read_dir(lists)
                .ok()?
                .flatten()
                .find(|e| e.file_name().to_string_lossy().contains("_Packages"))
        };
        let apt = Command::new("apt-get").arg("--version").output();
        if apt.is_err() || indices().is_none() {
            not_run("apt-get and its lists");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path();
        for directory in [
            "etc",
            "var/lib/dpkg",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/log/apt",
        ] {
            std::fs::create_dir_all(to.join(directory)).unwrap();
        }
        copy_files(Path::new("/etc/apt"), &to.join("etc/apt"));
        copy_files(lists, &to.join("var/lib/apt/lists"));
        std::fs::copy("/etc/os-release", to.join("etc/os-release")).unwrap();
        let status = std::fs::read_to_string("/var/lib/dpkg/status").ok()?;
        let copy = Self { folder, status };
        copy.put("var/lib/dpkg/status", &copy.status);
        Some(copy)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn put(&self, file: &str, text: &str) {
        std::fs::write(self.path().join(file), text).unwrap();
    }

    /// Returns the newer versions that apt would install, and whether it would remove something.
    fn by_apt(&self) -> Option<(BTreeMap<String, String>, bool)> {
        let top = self.path().display();
        let options = [
            format!("Dir={top}"),
            format!("Dir::State::status={top}/var/lib/dpkg/status"),
            "Debug::NoLocking=1".to_owned(),
        ];
        let mut apt = Command::new("apt-get");
        apt.arg("-s").env("LC_ALL", "C").env("APT_CONFIG", self.path().join("etc/apt/apt.conf"));
        for option in options {
            apt.args(["-o", &option]);
        }
        let output = apt.arg("dist-upgrade").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // apt refuses where the made-up state is broken before anything is upgraded.
        output
            .status
            .success()
            .then(|| (installs(&text), text.lines().any(|l| l.starts_with("Remv "))))
    }
}

/// Copies what can be read of a directory and of those below it.
fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            if !["partial", "auxfiles"].contains(&&*entry.file_name().to_string_lossy()) {
                copy_files(&from, &to);
            }
        } else if entry.file_name() != "lock" {
            std::fs::copy(&from, &to).ok();
        }
    }
}

/// Reads `Inst NAME [OLD] (NEW …`, new packages and downgrades left out.
fn installs(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("Inst ") else { continue };
        let Some((name, rest)) = rest.split_once(" [") else { continue };
        let Some((old, rest)) = rest.split_once("] (") else { continue };
        let new = rest.split(' ').next().unwrap();
        if muster_version::Scheme::Dpkg.compare_lenient(new, old).is_gt() {
            found.insert(name.split(':').next().unwrap().to_owned(), new.to_owned());
        }
    }
    found
}

#[test]
fn this_machine_would_upgrade_what_apt_would() {
    let Some(copy) = Copy::new() else { return };
    let Some((by_apt, _)) = copy.by_apt() else {
        return not_run("packages without broken dependencies");
    };
    let different = differences(&upgrades(&inspect(copy.path()), false), &by_apt);
    assert!(different.is_empty(), "{different:#?}");
    println!("{} upgrades equal", by_apt.len());
}

/// Numbers that look drawn by chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }

    fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

fn field<'a>(stanza: &'a str, name: &str) -> &'a str {
    stanza.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

/// Makes another machine of the copy: older versions, holds, pins, and an archive with what can and cannot be installed.
fn vary(copy: &Copy, seed: u64, upgradable: &[&str]) {
    let mut dice = Dice(seed);
    for _ in 0..8 {
        dice.below(1);
    }
    let mut stanzas: Vec<String> = copy.status.trim().split("\n\n").map(str::to_owned).collect();
    for _ in 0..dice.below(20) {
        let at = dice.below(stanzas.len());
        set_back(&mut stanzas, at);
    }
    for _ in 0..dice.below(5) {
        let name = dice.one_of(upgradable).to_owned();
        for stanza in stanzas.iter_mut().filter(|s| field(s, "Package") == name) {
            *stanza = stanza.replacen("Status: install ok", "Status: hold ok", 1);
        }
    }
    let mut pins = String::new();
    for _ in 0..dice.below(5) {
        let name = dice.one_of(upgradable).to_owned();
        let package = [
            name.clone(),
            format!("{}*", name.get(..3).unwrap_or(&name)),
            format!("src:{name}"),
            "*".to_owned(),
        ];
        let package = &package[dice.below(4)];
        let pin = dice.one_of(&[
            "release n=bookworm-security",
            "release n=bookworm",
            "release l=Debian-Security",
            "origin mirror.example.org",
            "release oldstable",
            "release v=12*,c=main",
            "release o=Extra",
            "release a=now",
        ]);
        let priority = dice.one_of(&["-1", "1", "50", "100", "101", "500", "990", "1001"]);
        pins.push_str(&format!("Package: {package}\nPin: {pin}\nPin-Priority: {priority}\n\n"));
    }
    copy.put("etc/apt/preferences", &pins);
    let default = dice.one_of(&[
        "",
        "",
        "",
        "",
        "APT::Default-Release \"bookworm\";\n",
        "APT::Default-Release \"oldstable-security\";\n",
    ]);
    copy.put("etc/apt/apt.conf", default);
    extra_archive(copy, &mut dice, &stanzas);
    copy.put("var/lib/dpkg/status", &(stanzas.join("\n\n") + "\n"));
}

/// Sets every package of one source back, and whatever depends on these very versions, or the machine would be broken.
fn set_back(stanzas: &mut [String], at: usize) {
    let source = source_of(&stanzas[at]).to_owned();
    let version = field(&stanzas[at], "Version").to_owned();
    let of_source = |s: &str| source_of(s) == source && field(s, "Version") == version;
    let names: Vec<String> =
        stanzas.iter().filter(|s| of_source(s)).map(|s| field(s, "Package").to_owned()).collect();
    for stanza in stanzas.iter_mut() {
        if of_source(stanza) {
            let new = format!("\nVersion: {version}~0old\n");
            *stanza = stanza.replacen(&format!("\nVersion: {version}\n"), &new, 1);
        }
        for name in &names {
            for sign in ["=", ">="] {
                let old = format!("{name} ({sign} {version})");
                *stanza = stanza.replace(&old, &format!("{name} ({sign} {version}~0old)"));
            }
        }
    }
}

fn source_of(stanza: &str) -> &str {
    let source = field(stanza, "Source").split(' ').next().unwrap_or_default();
    if source.is_empty() { field(stanza, "Package") } else { source }
}

/// Tells where two answers differ.
fn differences(ours: &BTreeMap<String, String>, by_apt: &BTreeMap<String, String>) -> Vec<String> {
    let names =
        ours.keys().chain(by_apt.keys()).filter(|name| ours.get(*name) != by_apt.get(*name));
    names.map(|n| format!("{n}: ours {:?}, apt's {:?}", ours.get(n), by_apt.get(n))).collect()
}

/// Configures an archive with newer versions of some packages, with new dependencies that can and cannot be met.
fn extra_archive(copy: &Copy, dice: &mut Dice, stanzas: &[String]) {
    let start = "var/lib/apt/lists/extra.example.org_deb_dists_s_";
    let rest = "Maintainer: x <x@example.org>\nDescription: x\nFilename: pool/x.deb\nSize: 1\nSHA256: 00\n";
    copy.put(
        "etc/apt/sources.list.d/extra.list",
        "deb [trusted=yes] http://extra.example.org/deb s main\n",
    );
    let automatic = dice.one_of(&[
        "",
        "",
        "NotAutomatic: yes\n",
        "NotAutomatic: yes\nButAutomaticUpgrades: yes\n",
    ]);
    copy.put(&format!("{start}InRelease"), &format!("Origin: Extra\nLabel: X\nSuite: s\nCodename: s\n{automatic}Date: Sat, 21 Nov 2026 20:30:00 UTC\nArchitectures: amd64\nComponents: main\n"));
    let mut packages = String::new();
    for _ in 0..dice.below(8) {
        let stanza = &stanzas[dice.below(stanzas.len())];
        let wish = dice.one_of(&[
            "zzz-new",
            "zzz-new (>= 2)",
            "zzz-chain",
            "zzz-none",
            "zzz-none | zzz-new",
            "zzz-virtual",
            "libc6 (>= 99)",
            "libc6",
        ]);
        let depends = match field(stanza, "Depends") {
            "" => wish.to_owned(),
            depends => format!("{depends}, {wish}"),
        };
        let version = field(stanza, "Version");
        let more = dice.one_of(&["+x", "~~x", "+x2"]);
        let (name, architecture) = (field(stanza, "Package"), field(stanza, "Architecture"));
        packages.push_str(&format!("Package: {name}\nVersion: {version}{more}\nArchitecture: {architecture}\nMulti-Arch: {}\nProvides: {}\nDepends: {depends}\n{rest}\n", Some(field(stanza, "Multi-Arch")).filter(|m| !m.is_empty()).unwrap_or("no"), Some(field(stanza, "Provides")).filter(|p| !p.is_empty()).unwrap_or("zzz-nothing")));
    }
    let last = dice.one_of(&["zzz-none", "zzz-new"]);
    for (name, more) in [
        ("zzz-new", String::new()),
        ("zzz-chain", "Depends: zzz-chain2\n".to_owned()),
        ("zzz-chain2", format!("Depends: {last}\n")),
        ("zzz-p", "Provides: zzz-virtual\n".to_owned()),
    ] {
        packages
            .push_str(&format!("Package: {name}\nVersion: 1\nArchitecture: all\n{more}{rest}\n"));
    }
    copy.put(&format!("{start}main_binary-amd64_Packages"), &packages);
}

/// Where apt would remove packages to upgrade others, it weighs them by scores; there only the versions are compared.
#[test]
fn machines_made_up_from_this_one_would_upgrade_what_apt_would() {
    let Some(copy) = Copy::new() else { return };
    let Some((by_apt, _)) = copy.by_apt() else {
        return not_run("packages without broken dependencies");
    };
    let names: Vec<&str> = by_apt.keys().map(String::as_str).collect();
    if names.is_empty() {
        return not_run("packages that can be upgraded");
    }
    let (mut compared, mut removing) = (0, 0);
    for seed in 0..12 {
        vary(&copy, seed, &names);
        let Some((by_apt, removes)) = copy.by_apt() else { continue };
        let facts = inspect(copy.path());
        if removes {
            removing += 1;
            let newer = upgrades(&facts, true);
            for (name, version) in &by_apt {
                assert_eq!(newer.get(name), Some(version), "seed {seed}: {name}");
            }
            continue;
        }
        compared += 1;
        let different = differences(&upgrades(&facts, false), &by_apt);
        assert!(different.is_empty(), "seed {seed}: {different:#?}");
    }
    println!("{compared} machines equal, {removing} where apt would remove packages");
    assert!(compared >= 6, "only {compared} of 12 machines could be compared");
}

/// A Debian machine with packages in their first version, and lists of which the second is of the security pocket.
fn small(sources: &str, lists: &[(&str, &str)], packages: &[(&str, &str)]) -> (Files, Facts) {
    let mut root = Files::of(lists);
    root.put("etc/apt/sources.list", sources.as_bytes());
    let os = Os {
        id: "debian".into(),
        version: Some("12".into()),
        codename: Some("bookworm".into()),
        ..Os::default()
    };
    let packages = packages.iter().map(|(name, version)| Package {
        name: (*name).to_owned(),
        version: (*version).to_owned(),
        architecture: "amd64".to_owned(),
        ..Package::default()
    });
    let facts = Facts {
        os: Reading::Found(os),
        database: Reading::Found(Database::Dpkg),
        packages: packages.collect(),
        ..Facts::default()
    };
    (root, facts)
}

const RELEASE: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nLabel: Debian\nSuite: stable\nCodename: bookworm\nArchitectures: amd64\nSHA256:\n SUM main/binary-amd64/Packages\n-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n";
const SOURCES: &str = "deb http://d.example.org/debian bookworm main\ndeb http://s.example.org/sec bookworm-security main\n";
const MAIN: &str = "var/lib/apt/lists/d.example.org_debian_dists_bookworm_";
const SECURITY: &str = "var/lib/apt/lists/s.example.org_sec_dists_bookworm-security_";

/// A Release file that vouches for an index.
fn release(index: &str) -> String {
    let sum: String = sha2::Sha256::digest(index).iter().map(|b| format!("{b:02x}")).collect();
    RELEASE.replace("SUM", &format!("{sum} {}", index.len()))
}

fn stanza(name: &str, version: &str, more: &str) -> String {
    format!("Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: x\n{more}\n")
}

fn run(
    lists: &[(String, String)],
    packages: &[(&str, &str)],
    change: impl FnOnce(&mut Files, &mut Facts),
) -> Facts {
    let lists: Vec<(&str, &str)> = lists.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let (mut root, mut facts) = small(SOURCES, &lists, packages);
    change(&mut root, &mut facts);
    Apt.inspect(&root, &mut facts);
    facts
}

fn lists(main: &str, security: &str) -> Vec<(String, String)> {
    let secure = release(security)
        .replace("Label: Debian", "Label: Debian-Security")
        .replace("bookworm", "bookworm-security");
    vec![
        (format!("{MAIN}InRelease"), release(main)),
        (format!("{MAIN}main_binary-amd64_Packages"), main.to_owned()),
        (format!("{SECURITY}InRelease"), secure),
        (format!("{SECURITY}main_binary-amd64_Packages"), security.to_owned()),
    ]
}

fn troubles(facts: &Facts) -> Vec<TroubleKind> {
    facts.troubles.iter().map(|trouble| trouble.kind).collect()
}

#[test]
fn the_security_pocket_is_told_apart() {
    let main = stanza("a", "1", "") + &stanza("b", "3", "");
    let security = stanza("a", "2", "Source: src (2:2)\n") + &stanza("b", "2", "");
    let facts = run(&lists(&main, &security), &[("a", "1"), ("b", "1"), ("c", "1")], |_, _| ());
    let [a, b] = candidates(&facts) else { panic!("{:?}", facts.archive) };
    assert_eq!(
        (a.version.as_str(), a.security, a.pocket.as_str()),
        ("2", true, "bookworm-security")
    );
    assert_eq!((a.source.as_str(), a.source_version.as_str()), ("src", "2:2"));
    assert_eq!(
        (b.version.as_str(), b.security, b.security_version.as_deref()),
        ("3", false, Some("2"))
    );
    let origins: Vec<Option<&str>> = facts.packages.iter().map(|p| p.origin.as_deref()).collect();
    assert_eq!(origins, [Some("Debian"), None, None]);
    assert!(troubles(&facts).is_empty(), "{:?}", facts.troubles);
}

/// Outdated, superseded and strange are three things.
#[test]
fn a_package_that_no_archive_knows_is_named() {
    let main = stanza("dpkg", "2", "")
        + &stanza(
            "linux-image-6.1.0-44-amd64",
            "6.1.164-1",
            "Source: linux-signed-amd64 (6.1+2)\n",
        )
        + &stanza("libssl3", "3", "Source: openssl\n");
    let shop = "var/lib/apt/lists/shop.example.org_dists_s_";
    let shop_index = stanza("till", "2", "") + &stanza("lone", "1", "Source: counter\n");
    let installed = [
        ("dpkg", "1"),
        ("linux-image-6.1.0-18-amd64", "6.1.76-1"),
        ("libssl1.1", "1.1.1w-0"),
        ("till", "1"),
        ("counter", "1"),
        ("kubectl", "1:528"),
    ];
    let named = |lists: &[(String, String)]| {
        let facts = run(lists, &installed, |root, facts| {
            root.put("etc/apt/sources.list.d/shop.list", b"deb http://shop.example.org s main\n");
            let vouching = release(&shop_index).replace("Origin: Debian", "Origin: Shop");
            root.put(&format!("{shop}InRelease"), vouching.as_bytes());
            root.put(&format!("{shop}main_binary-amd64_Packages"), shop_index.as_bytes());
            facts.packages[1].source = Some("linux-signed-amd64".into());
            facts.packages[2].source = Some("openssl".into());
        });
        let unlisted = facts.archive.found().unwrap().unlisted.clone();
        let of_shop: Vec<String> = facts
            .packages
            .into_iter()
            .filter(|p| p.origin.as_deref() == Some("Shop"))
            .map(|p| p.name)
            .collect();
        (of_shop, unlisted.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
    };
    let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(named(&lists(&main, "")), (own(&["till"]), own(&["counter", "kubectl"])));
    // Where the base of the distribution is not known, or an index is damaged, the indices say too little.
    let (without_base, mut damaged) = (lists(&stanza("libssl3", "3", ""), ""), lists(&main, ""));
    damaged[3].1.push('x');
    assert_eq!(named(&without_base), (own(&[]), own(&[])));
    assert_eq!(named(&damaged), (own(&["till"]), own(&[])));
}

#[test]
fn what_keeps_an_upgrade_back_is_said() {
    let main = stanza("a", "2", "Depends: nowhere\n")
        + &stanza("b", "2", "")
        + &stanza("c", "2", "")
        + &stanza("d", "2", "Phased-Update-Percentage: 10\n");
    let installed = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")];
    let facts = run(&lists(&main, ""), &installed, |root, facts| {
        facts.packages[1].held = true;
        root.put(
            "etc/apt/preferences.d/p",
            b"Package: c\nPin: release o=Debian\nPin-Priority: -1\n",
        );
    });
    let why = |at: usize| candidates(&facts)[at].kept_back.clone().unwrap_or_default();
    assert!(
        why(0).contains("nowhere") && why(1).contains("hold") && why(2).contains("preferences.d/p")
    );
    assert_eq!((candidates(&facts)[3].phased, why(3)), (Some(10), String::new()));
}

/// It names a file that is there, and only that.
#[test]
fn a_preference_for_another_version_is_said_with_its_file() {
    let both = lists(&stanza("a", "1", ""), &stanza("a", "2", ""));
    for (file, text, said) in [
        (
            "etc/apt/apt.conf.d/99target",
            "#clear X;\nAPT::Default-Release \"bookworm\";\n",
            "pinned: priority 990 for 1 in /etc/apt/apt.conf.d/99target",
        ),
        (
            "etc/apt/preferences.d/own",
            "Package: a\nPin: release n=bookworm\nPin-Priority: 700\n",
            "pinned: priority 700 for 1 in /etc/apt/preferences.d/own",
        ),
    ] {
        let facts = run(&both, &[("a", "1")], |root, _| {
            root.put("etc/apt/apt.conf.d/01first", b"X::Y \"1\";\nX::Z \"1\";\n");
            root.put(file, text.as_bytes());
        });
        assert_eq!(candidates(&facts)[0].kept_back.as_deref(), Some(said));
    }
}

#[test]
fn what_is_wrong_with_a_source_is_said() {
    let whole = lists(&stanza("a", "1", ""), "");
    let unsigned: Vec<_> =
        whole.iter().map(|(p, t)| (p.clone(), t.replace("-----END PGP", ""))).collect();
    assert!(troubles(&run(&unsigned, &[], |_, _| ())).contains(&TroubleKind::SourceUnsigned));
    let only_main = troubles(&run(&whole[..2], &[("a", "1")], |_, _| ()));
    assert_eq!(only_main, [TroubleKind::SourceUnreachable]);
    let without = run(&whole, &[("a", "1")], |root, _| {
        root.put(
            "etc/apt/sources.list",
            b"deb [trusted=yes] http://d.example.org/debian bookworm main\n",
        );
    });
    assert_eq!(
        troubles(&without),
        [TroubleKind::SourceUnsigned, TroubleKind::SecuritySourceMissing]
    );
    // Lists that no source names are not read.
    assert_eq!(without.archive.found().unwrap().indices.len(), 1);
    let nothing = run(&[], &[("a", "1")], |_, _| ());
    assert_eq!(nothing.archive, Reading::Absent);
    assert_eq!(troubles(&nothing), [TroubleKind::SourceUnreachable; 2]);
}

#[test]
fn a_broken_index_is_an_obstacle_and_the_others_count() {
    let mut found = lists(&stanza("a", "2", ""), "");
    found[3].0.push_str(".gz");
    found[3].1 = "\u{1f}".to_owned();
    let facts = run(&found, &[("a", "1")], |root, _| {
        root.put(&format!("{SECURITY}main_binary-amd64_Packages.gz"), b"\x1f\x8b\x08\x00cut");
    });
    assert_eq!(candidates(&facts).len(), 1);
    assert!(facts.obstacles[0].why.contains("apt-get update"), "{:?}", facts.obstacles);
}

/// What is damaged says what it still can, and is never taken for the whole.
#[test]
fn an_index_that_is_not_what_its_release_file_says_is_an_obstacle() {
    let (main, security) =
        (stanza("a", "2", "") + &stanza("b", "2", ""), stanza("a", "3", "Description: x\n"));
    let whole = lists(&main, &security);
    let file = format!("{SECURITY}main_binary-amd64_Packages");
    let damaged = |change: &dyn Fn(&mut Files)| {
        run(&whole, &[("a", "1"), ("b", "1")], |root, _| change(root))
    };
    let packed = |text: &str| {
        let mut packer = lz4_flex::frame::FrameEncoder::new(Vec::new());
        std::io::Write::write_all(&mut packer, text.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    assert_eq!(damaged(&|_| ()).obstacles, []);
    let good = damaged(&|root| {
        root.remove(&file);
        root.put(&format!("{file}.lz4"), &packed(&security));
    });
    assert_eq!((good.obstacles.as_slice(), candidates(&good).len()), (&[][..], 2));
    let changed = security.replace("Description: x", "Description: y");
    type Damage<'a> = (&'a str, &'a dyn Fn(&mut Files));
    let cases: [Damage<'_>; 8] = [
        ("another SHA256 sum", &|root| root.put(&file, changed.as_bytes())),
        ("0 bytes", &|root| root.put(&file, b"")),
        ("0 bytes", &|root| {
            root.remove(&file);
            root.put(&format!("{file}.lz4"), b"");
        }),
        // apt prefers the plain file too.
        ("0 bytes", &|root| {
            root.put(&file, b"");
            root.put(&format!("{file}.lz4"), &packed(&security));
        }),
        ("another SHA256 sum", &|root| {
            root.remove(&file);
            root.put(&format!("{file}.lz4"), &packed(&changed));
        }),
        ("10000 bytes", &|root| root.put(&file, &[0xa7; 10_000])),
        ("is not there", &|root| root.remove(&file)),
        ("is not named by its Release file", &|root| {
            root.put(&format!("{SECURITY}InRelease"), RELEASE.replace("SUM", "").as_bytes());
        }),
    ];
    for (words, change) in cases {
        let facts = damaged(change);
        let [obstacle] = facts.obstacles.as_slice() else { panic!("{words}: {facts:#?}") };
        assert!(obstacle.what.contains("bookworm-security_main"), "{obstacle:?}");
        assert!(obstacle.why.contains(words), "{words}: {obstacle:?}");
        // The other index still counts.
        assert!(candidates(&facts).iter().any(|c| c.name == "b"), "{words}");
    }
}

/// Some archives list packed indices only; then there is nothing to compare what was unpacked with, but its form.
#[test]
fn an_index_without_a_sum_of_its_own_is_judged_by_its_form() {
    let text = stanza("a", "2", "");
    for (index, obstacle) in [
        (text.clone(), None),
        (text.replace("Package", "Pack"), Some("about no package")),
        (text.trim_end().to_owned(), Some("in the middle of a line")),
        (String::new(), Some("is empty")),
    ] {
        let facts = run(&lists(&index, ""), &[("a", "1")], |root, _| {
            let listed = RELEASE.replace("SUM", "00 99").replace("/Packages", "/Packages.gz");
            root.put(&format!("{MAIN}InRelease"), listed.as_bytes());
        });
        let said = facts.obstacles.first().map(|o| o.why.as_str());
        assert_eq!(said.is_some(), obstacle.is_some(), "{said:?}");
        assert!(said.unwrap_or_default().contains(obstacle.unwrap_or_default()), "{said:?}");
    }
}

#[test]
fn a_kernel_image_is_proven_by_its_twin_in_the_index() {
    let main =
        stanza("linux-modules-6.5.0-14-generic", "6.5.0-14.14~22.04.1", "Source: linux-hwe-6.5\n");
    let facts = run(
        &lists(&main, ""),
        &[("linux-image-6.5.0-14-generic", "6.5.0-14.14~22.04.1")],
        |_, _| (),
    );
    assert_eq!(facts.kernels.sources.len(), 1);
    assert_eq!(facts.kernels.sources[0].source, "linux-hwe-6.5");
}

#[test]
fn lists_that_are_hostile_end_in_words() {
    for text in [
        "Package: a\nVersion: 2\nDepends: (((,|||,a (\n\n",
        "Package: a\nVersion:\n\n",
        ":::\n\n\n\n",
        "Package: a\nVersion: 2\nArchitecture: amd64\nSource: (\nProvides: ,,()\n\n",
    ] {
        run(&lists(text, text), &[("a", "1")], |_, _| ());
    }
}

/// The root that checks from outside lay out, from real data.
#[test]
fn the_built_machine_has_the_updates_that_apt_listed() {
    let shared = shared();
    let truth = shared.join("data/inventories/dpkg/debian-12.15-wiki-built");
    let table =
        shared.join("data/advisories/debian/security-pocket-bookworm-amd64-2026-11.tsv.zst");
    if !truth.is_dir() || !table.is_file() {
        return not_run("../shared");
    }
    let read = |path: &Path| {
        String::from_utf8(zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap()).unwrap()
    };
    let expected: serde_json::Value =
        serde_json::from_str(&read(&truth.join("expected-apt-2026-11-22.json.zst"))).unwrap();
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    let mut updates = String::new();
    for source in expected["sources"].as_array().unwrap() {
        for package in source["packages"].as_array().unwrap() {
            let (name, version) =
                (package["package"].as_str().unwrap(), package["candidate"].as_str().unwrap());
            wanted.insert(name.to_owned(), version.to_owned());
            if package["origin"].as_str().unwrap().contains("-updates") {
                updates.push_str(&format!(
                    "Package: {name}\nVersion: {version}\nArchitecture: amd64\n\n"
                ));
            }
        }
    }
    let mut security = String::new();
    for line in read(&table).lines().skip(1) {
        let [name, version, architecture, source, source_version] =
            line.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        security.push_str(&format!("Package: {name}\nSource: {source} ({source_version})\nVersion: {version}\nArchitecture: {architecture}\n\n"));
    }
    let status = read(&truth.join("status.zst"));
    let folder = tempfile::tempdir().unwrap();
    let put = |path: String, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for ((start, name), packages) in [
        (MAIN, "bookworm"),
        (SECURITY, "bookworm-security"),
        ("var/lib/apt/lists/d.example.org_debian_dists_bookworm-updates_", "bookworm-updates"),
    ]
    .into_iter()
    .zip([&status, &security, &updates])
    {
        put(format!("{start}InRelease"), &release(packages).replace("bookworm", name));
        put(format!("{start}main_binary-amd64_Packages"), packages);
    }
    put(
        "etc/apt/sources.list".into(),
        &format!("{SOURCES}deb http://d.example.org/debian bookworm-updates main\n"),
    );
    put("etc/os-release".into(), "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n");
    put("var/lib/dpkg/status".into(), &status);
    let facts = inspect(folder.path());
    assert_eq!(upgrades(&facts, false), wanted);
    println!("{} of {} updates", candidates(&facts).len(), wanted.len());
}

#[expect(clippy::disallowed_methods, reason = "a switch of these tests alone")]
fn shared() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var("MUSTER_SHARED").map_or(beside, PathBuf::from)
}
