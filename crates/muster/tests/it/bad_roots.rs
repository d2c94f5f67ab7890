//! Roots and advisory files that are broken or hostile: a sentence and a status, within bounds, never a wrong "clean".

use std::io::Write as _;
use std::os::unix::fs::symlink;

use crate::feeds;
use crate::runs::{self, Folder, NOW, run, run_bounded, run_fed};
use crate::servers::{self, stanza};

#[test]
fn what_is_not_a_root_is_refused_with_what_to_do() {
    let folder = Folder::new();
    std::fs::create_dir(folder.at("hollow")).unwrap();
    folder.write("letter", "dear reader");
    let fifo = std::process::Command::new("mkfifo").arg(folder.at("fifo")).status().unwrap();
    assert!(fifo.success());
    for (name, words) in [
        ("missing", &["missing"][..]),
        ("hollow", &["not a root"]),
        ("letter", &["letter", "tar"]),
        ("fifo", &["FIFO"]),
    ] {
        run_bounded(&["inspect", &folder.text(name)]).refused(words);
    }
    run_bounded(&["inspect", "/dev/null"]).refused(&["device"]);
    run(&["inspect", "ssh://web1.example.org/x"]).refused(&["ssh://web1.example.org/x"]);
    run(&["inspect", "--", "-oProxyCommand=x"]).refused(&["-oProxyCommand=x"]);
    assert!(run_fed(&["inspect", "-"], b"").is(2).err.starts_with("muster: "));
    assert!(
        run_fed(&["inspect", "-"], b"no tar at all, just words").is(2).err.starts_with("muster: ")
    );
}

#[test]
fn a_damaged_advisory_file_is_refused_and_never_half_believed() {
    let folder = Folder::new();
    let (file, root) = (feeds::debian_file(&folder), servers::debian());
    let bytes = std::fs::read(&file).unwrap();
    let inspect = || {
        run(&["inspect", &root.text(""), "--now", NOW, "--advisories", &file, "--format", "json"])
    };
    let whole = inspect().is(1).out;
    for length in [0, 1, 8, 31, 32, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&file, &bytes[..length]).unwrap();
        inspect().refused(&["debian.adv"]);
        run(&["feed", "show", &file]).refused(&["debian.adv"]);
    }
    let mut refused = 0;
    for at in (0..bytes.len()).step_by((bytes.len() / 150).max(1)) {
        let mut bent = bytes.clone();
        bent[at] ^= 0x41;
        std::fs::write(&file, bent).unwrap();
        let ran = inspect();
        if ran.status == Some(2) {
            refused += 1;
        } else {
            assert_eq!(ran.is(1).out, whole, "byte {at} was bent, and believed");
        }
    }
    assert!(refused > 50, "{refused}");
    let mut newer = bytes.clone();
    newer[8] = 99;
    std::fs::write(&file, newer).unwrap();
    inspect().refused(&["debian.adv", "layout 99", "update Muster"]);
    run(&["inspect", &root.text(""), "--advisories", &folder.text("none")]).refused(&["none"]);
    run(&["inspect", &root.text(""), "--advisories", &folder.text("kev.json")])
        .refused(&["kev.json"]);
    run(&["inspect", &root.text(""), "--advisories", folder.path().to_str().unwrap()]).refused(&[]);
}

#[test]
fn a_status_of_four_gigabytes_is_unknown_within_bounds() {
    let root = servers::dpkg(servers::BOOKWORM, "");
    let file =
        std::fs::OpenOptions::new().write(true).open(root.at("var/lib/dpkg/status")).unwrap();
    file.set_len(4 << 30).unwrap();
    never_clean(&root.text(""));
}

/// Inspects within bounds; the answer is "cannot be told" in one of its two forms.
#[track_caller]
fn never_clean(root: &str) {
    let ran = run_bounded(&["inspect", root, "--now", NOW, "--format", "json"]);
    match ran.status {
        Some(1) => {
            let answer = ran.json();
            let unknown = answer["unknown"].to_string();
            assert!(unknown.contains("status") || unknown.contains("package"), "{answer:#}");
            assert!(!answer["sentence"].as_str().unwrap().contains("nothing is owed"));
        }
        _ => drop(ran.refused(&[])),
    }
}

#[test]
fn broken_databases_are_unknown_and_never_clean() {
    let half = stanza("a", "1-1", "", "") + "Package: b\nStatus: install ok inst";
    for status in ["", "\0\0\0\0", "no colon\n\nat all\n", "Package: a\n\n", half.as_str()] {
        never_clean(&servers::dpkg(servers::BOOKWORM, status).text(""));
    }
    for database in ["var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/Packages.db", "var/lib/rpm/Packages"]
    {
        let root = Folder::new();
        root.write("etc/os-release", "ID=almalinux\nVERSION_ID=9.4\n")
            .write(database, "no database");
        let ran = run_bounded(&["inspect", &root.text(""), "--now", NOW, "--format", "json"]).is(1);
        assert!(!ran.json()["unknown"].as_array().unwrap().is_empty(), "{database}: {ran:?}");
        assert!(ran.text().contains(database.rsplit('/').next().unwrap()), "{ran:?}");
    }
}

#[test]
fn links_lead_nowhere_outside_and_never_in_circles() {
    let outside = Folder::new();
    outside.write("status", stanza("libsecret1", "1-1", "secret", ""));
    let root = Folder::new();
    root.write("etc/os-release", servers::BOOKWORM);
    std::fs::create_dir_all(root.at("var/lib/dpkg")).unwrap();
    symlink(outside.at("status"), root.at("var/lib/dpkg/status")).unwrap();
    let ran = run_bounded(&["inspect", &root.text(""), "--now", NOW, "--format", "json"]);
    assert!(!String::from_utf8_lossy(&ran.out).contains("libsecret1"), "{ran:?}");
    assert_ne!(ran.status, Some(0));
    std::fs::remove_file(root.at("var/lib/dpkg/status")).unwrap();
    let up = "../".repeat(20) + outside.at("status").to_str().unwrap();
    symlink(up, root.at("var/lib/dpkg/status")).unwrap();
    let ran = run_bounded(&["inspect", &root.text(""), "--now", NOW, "--format", "json"]);
    assert!(!String::from_utf8_lossy(&ran.out).contains("libsecret1"), "{ran:?}");
    std::fs::remove_file(root.at("var/lib/dpkg/status")).unwrap();
    symlink("status", root.at("var/lib/dpkg/status")).unwrap();
    assert_ne!(run_bounded(&["inspect", &root.text("")]).status, Some(0));
    std::fs::remove_file(root.at("var/lib/dpkg/status")).unwrap();
    let fifo =
        std::process::Command::new("mkfifo").arg(root.at("var/lib/dpkg/status")).status().unwrap();
    assert!(fifo.success());
    assert_ne!(run_bounded(&["inspect", &root.text("")]).status, Some(0));
}

/// A header of tar (ustar, POSIX.1-1988) for a plain file.
fn header(name: &str, size: u64) -> Vec<u8> {
    let mut block = vec![0_u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn member(name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, content.len() as u64);
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[test]
fn a_tar_on_a_pipe_says_what_its_folder_says() {
    let folder = Folder::new();
    let (file, root) = (feeds::debian_file(&folder), servers::debian());
    let status = std::fs::read(root.at("var/lib/dpkg/status")).unwrap();
    let mut tar = member("./etc/os-release", servers::BOOKWORM.as_bytes());
    tar.extend(member("./var/lib/dpkg/status", &status));
    tar.extend([0; 1024]);
    folder.write("root.tar", &tar);
    let ask = |root: &str| {
        ["inspect", root, "--now", NOW, "--advisories", &file, "--format", "json"]
            .map(str::to_owned)
    };
    let mut answers = [
        run(&ask(&root.text(""))).is(1).json(),
        run(&ask(&folder.text("root.tar"))).is(1).json(),
        run_fed(&ask("-"), &tar).is(1).json(),
    ];
    for answer in &mut answers {
        answer["root"] = "".into();
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[1], answers[2]);
    assert!(!answers[0]["findings"].as_array().unwrap().is_empty());
    // Cut in the middle, it is not the whole server.
    let cut = run_fed(&ask("-"), &tar[..tar.len() - 1536]);
    assert!(
        cut.status == Some(2)
            || cut.status == Some(1) && cut.json()["unknown"] != serde_json::json!([]),
        "{cut:?}"
    );
    assert!(!String::from_utf8_lossy(&cut.out).contains("nothing is owed"));
}

#[test]
fn a_tar_that_unpacks_without_end_is_met_within_bounds() {
    let folder = Folder::new();
    let mut file = std::fs::File::create(folder.at("sparse.tar")).unwrap();
    file.write_all(&member("etc/os-release", servers::BOOKWORM.as_bytes())).unwrap();
    file.write_all(&header("var/lib/dpkg/status", 4 << 30)).unwrap();
    let at = file.metadata().unwrap().len();
    file.set_len(at + (4 << 30)).unwrap();
    never_clean(&folder.text("sparse.tar"));
    if !runs::has("gzip") {
        return runs::not_run("gzip");
    }
    folder.write(
        "head",
        [
            member("etc/os-release", servers::BOOKWORM.as_bytes()),
            header("var/lib/dpkg/status", 400_000_000),
        ]
        .concat(),
    );
    let script = "(cat \"$1\"; head -c 400000000 /dev/zero) | gzip -1 > \"$2\"";
    let made = std::process::Command::new("sh")
        .args(["-c", script, "sh", &folder.text("head"), &folder.text("bomb.tar.gz")])
        .status();
    assert!(made.unwrap().success());
    never_clean(&folder.text("bomb.tar.gz"));
}

#[test]
fn a_packed_tar_is_not_believed_against_its_own_checksum() {
    if !runs::has("gzip") {
        return runs::not_run("gzip");
    }
    let folder = Folder::new();
    let mut tar = member("etc/os-release", servers::BOOKWORM.as_bytes());
    tar.extend(member("var/lib/dpkg/status", stanza("a", "1-1", "", "").as_bytes()));
    tar.extend([0; 1024]);
    folder.write("root.tar", &tar);
    let packed = |name: &str| {
        let out = std::process::Command::new("gzip").arg("-c").arg(folder.at(name)).output();
        out.unwrap().stdout
    };
    let mut bent = packed("root.tar");
    let checksum = bent.len() - 8;
    bent[checksum] ^= 1;
    folder.write("bent.tar.gz", &bent).write("two.tar", [&tar[..], &tar[..]].concat());
    folder.write("two.tar.gz", packed("two.tar"));
    for (name, words) in [
        ("bent.tar.gz", "(gzip) is damaged: "),
        ("two.tar", "more behind its end mark"),
        ("two.tar.gz", "more behind its end mark"),
    ] {
        let ran = ["inspect", &folder.text(name), "--now", NOW, "--format", "json"];
        let unknown = run_bounded(&ran).is(1).json()["unknown"].to_string();
        assert!(unknown.contains(words), "{name}: {unknown}");
    }
}

#[test]
fn a_tar_with_names_that_climb_out_is_read_as_if_they_did_not() {
    let folder = Folder::new();
    let status = stanza("libsecret1", "1-1", "secret", "");
    let mut tar = member("etc/os-release", servers::BOOKWORM.as_bytes());
    for name in ["../var/lib/dpkg/status", "var/lib/../../../var/lib/dpkg/status"] {
        tar.extend(member(name, status.as_bytes()));
    }
    tar.extend([0; 1024]);
    folder.write("climb.tar", tar);
    let ran =
        run_bounded(&["inspect", &folder.text("climb.tar"), "--now", NOW, "--format", "cyclonedx"]);
    assert_ne!(ran.status, Some(0));
    assert!(!String::from_utf8_lossy(&ran.out).contains("libsecret1"), "{ran:?}");
    assert_eq!(folder.names(), ["climb.tar"]);
}

#[test]
fn an_inspection_writes_nothing_where_it_looks() {
    let root = servers::debian();
    let list = || {
        let out = std::process::Command::new("find")
            .arg(root.path())
            .args(["-printf", "%p %s %T@ %C@ %i\n"])
            .output()
            .unwrap();
        let mut lines: Vec<String> =
            String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let before = list();
    run(&["inspect", &root.text(""), "--now", NOW]).is(1);
    assert_eq!(list(), before);
}
