//! Tests of what dnf's caches offer: small repositories written here, and dnf itself beside them.

use std::path::Path;
use std::process::Command;

use muster_core::fact::{Archive, Candidate, Database, Facts, Package, Reading};
use sha2::Digest as _;

use super::{Dnf, lock_name, repository_id};
use crate::Inspector as _;
use crate::inspectors::rpmdb::tests::{Files, has_tool};

const REPO: &str = "[baseos]\nname=Base\nbaseurl=https://u:p@mirror.example.org/el9/\ngpgcheck=1\n";

fn package(name: &str, version: &str) -> Package {
    Package {
        name: name.into(),
        architecture: "x86_64".into(),
        version: version.into(),
        vendor: Some("Distributor".into()),
        ..Package::default()
    }
}

fn offer(name: &str, epoch: &str, version: &str, release: &str) -> String {
    format!(
        "<package type='rpm'><name>{name}</name><arch>x86_64</arch><version epoch='{epoch}' ver='{version}' rel='{release}'/>\
         <description>A &amp; B</description><format><rpm:vendor>Distributor</rpm:vendor>\
         <rpm:sourcerpm>{name}-{version}-{release}.src.rpm</rpm:sourcerpm><rpm:provides><rpm:entry name='{name}'/></rpm:provides></format></package>"
    )
}

/// Lays out a repository in dnf's cache.
fn cached(files: Files, id: &str, offers: &[String], updateinfo: &str, modules: &str) -> Files {
    let folder = format!("/var/cache/dnf/{id}-0123456789abcdef/repodata");
    let repomd = "<repomd><revision>1784024265</revision>\
                  <data type='primary'><location href='repodata/a-primary.xml.gz'/></data>\
                  <data type='updateinfo'><location href='repodata/b-updateinfo.xml.xz'/></data>\
                  <data type='modules'><location href='repodata/c-modules.yaml.zst'/></data></repomd>";
    let primary = format!("<metadata xmlns:rpm='r'>{}</metadata>", offers.concat());
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, primary.as_bytes()).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    std::io::Write::write_all(&mut xz, format!("<updates>{updateinfo}</updates>").as_bytes())
        .unwrap();
    files
        .with(&format!("{folder}/repomd.xml"), repomd)
        .with(&format!("{folder}/a-primary.xml.gz"), gz.finish().unwrap())
        .with(&format!("{folder}/b-updateinfo.xml.xz"), xz.finish().unwrap())
        .with(
            &format!("{folder}/c-modules.yaml.zst"),
            zstd::encode_all(modules.as_bytes(), 1).unwrap(),
        )
}

fn update(id: &str, kind: &str, package: &str) -> String {
    format!(
        "<update type='{kind}'><id>{id}</id><pkglist><collection><package {package}/></collection></pkglist></update>"
    )
}

fn inspect(files: &Files, packages: Vec<Package>) -> Facts {
    let mut facts = Facts { database: Reading::Found(Database::Rpm), packages, ..Facts::default() };
    Dnf.inspect(files, &mut facts);
    facts
}

fn archive(facts: &Facts) -> &Archive {
    facts.archive.found().expect("there is an index")
}

fn offered(facts: &Facts) -> Vec<(&str, &str)> {
    archive(facts).candidates.iter().map(|c| (c.name.as_str(), c.version.as_str())).collect()
}

#[test]
fn the_newest_version_and_its_advisories_are_found() {
    let offers = [
        offer("bash", "0", "5.1", "6"),
        offer("bash", "0", "5.1", "4"),
        offer("bash", "0", "5.1", "9"),
        offer("vim", "2", "8.2", "1"),
        offer("other", "0", "1", "1"),
    ];
    let updateinfo = [
        update(
            "ALSA-2",
            "security",
            "name='bash' version='5.1' release='6' epoch='0' arch='x86_64'",
        ),
        update("ALBA-3", "bugfix", "name='bash' version='5.1' release='9' epoch='0' arch='x86_64'"),
        update(
            "ALSA-1",
            "security",
            "name='bash' version='5.1' release='4' epoch='0' arch='x86_64'",
        ),
        update(
            "ALSA-0",
            "security",
            "name='bash' version='5.1' release='2' epoch='0' arch='x86_64'",
        ),
    ];
    let files = cached(
        Files::default().with("/etc/yum.repos.d/a.repo", REPO),
        "baseos",
        &offers,
        &updateinfo.concat(),
        "",
    );
    let facts = inspect(
        &files,
        vec![package("bash", "5.1-2"), package("vim", "2:8.2-1"), package("filesystem", "1-1")],
    );
    assert_eq!(facts.obstacles, []);
    let expected = Candidate {
        name: "bash".into(),
        architecture: "x86_64".into(),
        version: "5.1-9".into(),
        source: "bash".into(),
        source_version: "5.1-9".into(),
        pocket: "baseos".into(),
        security_version: Some("5.1-6".into()),
        advisories: vec!["ALBA-3".into(), "ALSA-1".into(), "ALSA-2".into()],
        ..Candidate::default()
    };
    assert_eq!(archive(&facts).candidates, [expected]);
    let index = &archive(&facts).indices[0];
    assert_eq!(
        (index.site.as_str(), index.origin.as_str(), index.official),
        ("mirror.example.org/el9", "baseos", true)
    );
    assert_eq!(index.date.unwrap().as_second(), 1_784_024_265);
    assert_eq!(facts.packages[1].origin.as_deref(), Some("baseos"));
}

#[test]
fn repositories_that_are_off_or_come_later_have_no_say() {
    let config = "[baseos]\npriority=10\n[extra]\npriority=20\n[off]\nenabled=0\n";
    let files = Files::default().with("/etc/yum.repos.d/a.repo", config);
    let files = cached(files, "baseos", &[offer("bash", "0", "2", "1")], "", "");
    let files = cached(
        files,
        "extra",
        &[offer("bash", "0", "3", "1"), offer("vim", "0", "3", "1")],
        "",
        "",
    );
    let files = cached(files, "off", &[offer("bash", "0", "4", "1")], "", "");
    let files = cached(files, "unknown", &[offer("bash", "0", "5", "1")], "", "");
    let facts = inspect(&files, vec![package("bash", "1-1"), package("vim", "1-1")]);
    assert_eq!(offered(&facts), [("bash", "2-1"), ("vim", "3-1")]);
    assert_eq!(archive(&facts).indices.len(), 2);
}

#[test]
fn metadata_that_is_not_what_repomd_says_is_an_obstacle() {
    let folder = "/var/cache/dnf/baseos-0123456789abcdef/repodata";
    let primary = |version: &str| {
        format!("<metadata xmlns:rpm='r'>{}</metadata>", offer("bash", "0", version, "1"))
    };
    let whole = primary("6");
    let sum: String =
        sha2::Sha256::digest(&whole).iter().map(|byte| format!("{byte:02x}")).collect();
    let repomd = format!(
        "<repomd><data type='primary'><checksum type='sha256'>{sum}</checksum>\
         <open-checksum type='sha256'>00</open-checksum><location href='repodata/p-primary.xml'/>\
         <timestamp>1784024265</timestamp><size>{}</size><open-size>1</open-size></data></repomd>",
        whole.len()
    );
    for (text, words) in [
        (whole.clone(), None),
        (primary("5"), Some("another SHA256 sum")),
        (String::new(), Some("has 0 bytes")),
        (whole.replace("</metadata>", "<!-- --></metadata>"), Some("bytes and not the")),
    ] {
        let files = Files::default()
            .with("/etc/yum.repos.d/a.repo", REPO)
            .with(&format!("{folder}/repomd.xml"), repomd.as_str())
            .with(&format!("{folder}/p-primary.xml"), text.as_str());
        let facts = inspect(&files, vec![package("bash", "5-1")]);
        let said: Vec<&str> = facts.obstacles.iter().map(|o| o.why.as_str()).collect();
        assert_eq!(said.len(), usize::from(words.is_some()), "{said:?}");
        assert!(said.iter().all(|why| why.contains(words.unwrap_or_default())), "{said:?}");
    }
}

#[test]
fn what_no_repository_has_is_named() {
    let named = |offers: &[String]| {
        let files = Files::default().with("/etc/yum.repos.d/a.repo", REPO);
        let files = cached(files, "baseos", offers, "", "");
        let facts = inspect(&files, vec![package("bash", "5-1"), package("agent", "1-1")]);
        archive(&facts).unlisted.clone()
    };
    let agent = ("agent".to_owned(), "x86_64".to_owned());
    assert_eq!(named(&[offer("bash", "0", "6", "1")]), [agent]);
    // Without the base of the distribution the repositories say too little.
    assert_eq!(named(&[offer("vim", "0", "6", "1")]), []);
}

#[test]
fn what_is_excluded_or_locked_is_kept_back() {
    let files = Files::default()
        .with("/etc/yum.repos.d/a.repo", REPO)
        .with("/etc/dnf/dnf.conf", "[main]\nexcludepkgs=kernel*\n")
        .with("/etc/dnf/plugins/versionlock.list", "# held\nbash-0:1-1.*\n!vim-0:3-1.*\n");
    let offers = [
        offer("bash", "0", "2", "1"),
        offer("vim", "0", "3", "1"),
        offer("vim", "0", "2", "1"),
        offer("kernel-core", "0", "6", "1"),
    ];
    let facts = inspect(
        &cached(files, "baseos", &offers, "", ""),
        vec![package("bash", "1-1"), package("vim", "1-1"), package("kernel-core", "5-1")],
    );
    let kept: Vec<_> = archive(&facts)
        .candidates
        .iter()
        .map(|c| (c.name.as_str(), c.version.as_str(), c.kept_back.as_deref()))
        .collect();
    assert_eq!(
        kept,
        [
            ("bash", "2-1", Some("locked by `bash-0:1-1.*` in /etc/dnf/plugins/versionlock.list")),
            ("kernel-core", "6-1", Some("excluded by `kernel*` in /etc/dnf/dnf.conf")),
            ("vim", "2-1", None),
        ]
    );
    assert_eq!(facts.packages.iter().map(|p| p.held).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn a_modular_package_stays_in_its_stream() {
    let modules = "---\ndocument: modulemd\ndata:\n  name: nodejs\n  stream: \"18\"\n  artifacts:\n    rpms:\n    - nodejs-1:18.20-1.module_el8.x86_64\n...\n\
                   ---\ndocument: modulemd\ndata:\n  name: nodejs\n  stream: 20\n  artifacts:\n    rpms:\n    - nodejs-1:20.1-1.module_el8.x86_64\n...\n";
    let offers = [
        offer("nodejs", "1", "18.20", "1.module_el8"),
        offer("nodejs", "1", "20.1", "1.module_el8"),
        offer("nodejs", "1", "22", "1"),
        offer("perl", "0", "9", "1.module_el8"),
    ];
    let mut nodejs = package("nodejs", "1:18.9-1.module_el8");
    nodejs.module = Some("nodejs:18:8070:abc".into());
    let installed = vec![nodejs, package("perl", "5-1")];
    let files = Files::default().with("/etc/yum.repos.d/a.repo", REPO);
    let facts = inspect(&cached(files, "baseos", &offers, "", modules), installed.clone());
    assert_eq!(
        (offered(&facts), facts.obstacles.len()),
        (vec![("nodejs", "1:18.20-1.module_el8")], 0)
    );

    let files = Files::default().with("/etc/yum.repos.d/a.repo", REPO);
    let facts = inspect(&cached(files, "baseos", &offers, "", ""), installed);
    assert_eq!(offered(&facts), []);
    assert!(facts.obstacles[0].why.contains("2 modular packages"), "{:?}", facts.obstacles);
}

#[test]
fn caches_that_cannot_be_read_are_said() {
    let files = Files::default().with("/etc/yum.repos.d/a.repo", REPO);
    let facts = inspect(&files, vec![package("bash", "1-1")]);
    assert_eq!(facts.archive, Reading::Absent);
    let files = files.with("/var/cache/dnf/baseos.solv", "x");
    let facts = inspect(&files, vec![package("bash", "1-1")]);
    assert!(matches!(&facts.archive, Reading::Unknown(o) if o.why.contains("binary cache")));

    let mut files = cached(files, "baseos", &[offer("bash", "0", "2", "1")], "", "");
    files.0.insert(
        "/var/cache/dnf/baseos-0123456789abcdef/repodata/a-primary.xml.gz".into(),
        b"<metadata><package>".to_vec(),
    );
    let facts = inspect(&files, vec![package("bash", "1-1")]);
    assert!(
        facts
            .obstacles
            .iter()
            .any(|o| o.what.ends_with("a-primary.xml.gz") && o.why.contains("ends before")),
        "{:?}",
        facts.obstacles
    );
}

#[test]
fn names_are_taken_from_folders_and_locks() {
    for (folder, id) in [
        ("/var/cache/dnf/epel-modular-0123456789abcdef/repodata", "epel-modular"),
        ("/var/cache/yum/x86_64/7/base", "base"),
    ] {
        assert_eq!(repository_id(folder), id);
    }
    for (lock, name) in [
        ("bash-0:4.4-1.*", "bash"),
        ("0:java-1.8.0-openjdk-1.8-2.el7.*", "java-1.8.0-openjdk"),
        ("vim", "vim"),
    ] {
        assert_eq!(lock_name(lock), name);
    }
}

/// Builds packages of these names and versions with rpmbuild.
fn build(folder: &Path, packages: &[(&str, &str)]) {
    for (name, version) in packages {
        let spec = format!(
            "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n%description\nd\n%files\n"
        );
        let file = folder.join("probe.spec");
        std::fs::write(&file, spec).unwrap();
        let rpmbuild = Command::new("rpmbuild")
            .args(["--quiet", "-bb", "--define"])
            .arg(format!("_topdir {}", folder.display()))
            .arg(&file)
            .output()
            .unwrap();
        assert!(rpmbuild.status.success(), "{}", String::from_utf8_lossy(&rpmbuild.stderr));
    }
}

/// Takes the real files below a folder into a root.
fn files_below(folder: &Path, place: &str, files: &mut Files) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let place = format!("{place}/{}", path.file_name().unwrap().display());
        if path.is_dir() {
            files_below(&path, &place, files);
        } else {
            files.0.insert(place, std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn dnf_would_install_the_same() {
    if ![("rpmbuild", "--version"), ("createrepo_c", "--version"), ("dnf", "--version")]
        .iter()
        .all(|(tool, _)| has_tool(tool))
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (repo, root) = (folder.path().join("repo"), folder.path().join("root"));
    build(
        folder.path(),
        &[("probe-a", "1.0~rc1"), ("probe-b", "2"), ("probe-c", "3"), ("probe-d", "4")],
    );
    std::fs::create_dir_all(root.join("etc/yum.repos.d")).unwrap();
    // Debian's rpm keeps its database in the home of the caller.
    let database = root.join("home/.rpmdb");
    let install = Command::new("rpm")
        .args(["-i", "--justdb", "--nodeps", "--define", "_db_backend sqlite", "--dbpath"])
        .arg(&database)
        .args(
            std::fs::read_dir(folder.path().join("RPMS/noarch"))
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        )
        .output()
        .unwrap();
    assert!(install.status.success(), "{}", String::from_utf8_lossy(&install.stderr));
    build(
        folder.path(),
        &[
            ("probe-a", "1.0"),
            ("probe-b", "10"),
            ("probe-b", "9"),
            ("probe-c", "3^git"),
            ("probe-x", "1"),
        ],
    );
    std::fs::rename(folder.path().join("RPMS/noarch"), &repo).unwrap();
    assert!(Command::new("createrepo_c").arg("--quiet").arg(&repo).status().unwrap().success());
    let config = format!(
        "[main]\ngpgcheck=0\nexclude=probe-c\n[probe]\nname=Probe\nbaseurl=file://{}\n",
        repo.display()
    );
    std::fs::create_dir_all(root.join("etc/dnf")).unwrap();
    std::fs::write(root.join("etc/dnf/dnf.conf"), config).unwrap();

    let dnf = Command::new("dnf")
        .env("HOME", "/home")
        .args([
            "-q",
            "--releasever=9",
            "--setopt=cachedir=/var/cache/dnf",
            "--setopt=reposdir=/nowhere",
            "--noplugins",
            "check-update",
        ])
        .arg(format!("--installroot={}", root.display()))
        .arg(format!("--config={}", root.join("etc/dnf/dnf.conf").display()))
        .output()
        .unwrap();
    assert_eq!(dnf.status.code(), Some(100), "{}", String::from_utf8_lossy(&dnf.stderr));
    let text = String::from_utf8(dnf.stdout).unwrap();
    let mut theirs: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.split_whitespace().collect::<Vec<_>>().try_into().ok())
        .map(|[name, version, _]: [&str; 3]| {
            (name.trim_end_matches(".noarch").to_owned(), version.to_owned())
        })
        .collect();
    theirs.sort();

    // dnf caches what it fetched, and reads what lies on the disk in place: the cache is laid out here.
    let mut files = Files::default();
    files_below(&root.join("etc"), "/etc", &mut files);
    files_below(&database, "/var/lib/rpm", &mut files);
    files_below(
        &repo.join("repodata"),
        "/var/cache/dnf/probe-0123456789abcdef/repodata",
        &mut files,
    );
    let mut facts = Facts::default();
    crate::inspectors::rpmdb::Rpmdb.inspect(&files, &mut facts);
    assert_eq!(facts.packages.len(), 4, "{:?} {:?}", facts.obstacles, files.0.keys());
    Dnf.inspect(&files, &mut facts);
    let candidates =
        facts.archive.found().map(|archive| archive.candidates.as_slice()).unwrap_or_default();
    let ours: Vec<_> = candidates
        .iter()
        .filter(|c| c.kept_back.is_none())
        .map(|c| (c.name.clone(), c.version.clone()))
        .collect();
    assert_eq!(ours, theirs, "{:?}", facts.obstacles);
    assert_eq!(
        ours,
        [("probe-a", "1.0-1"), ("probe-b", "10-1")].map(|(n, v)| (n.to_owned(), v.to_owned()))
    );
}
