//! What a hostile or broken root can do: each is met with words, within 128 MiB and 20 seconds.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use muster_core::fact::{Facts, Reading};
use muster_inspect::inspectors::{INSPECTORS, apk, dpkg, os_release};
use muster_inspect::root::Root;
use muster_inspect::{Error, Inspector, Options, Target, inspect_measured, inspect_with};

use crate::roots::{add, link, pack};
use crate::{Test, file_of, lay_out, tar_of};

pub(crate) const TESTS: &[Test] = &[
    ("what_is_no_root_is_refused", what_is_no_root_is_refused),
    ("links_never_lead_outside_nor_in_circles", links_never_lead_outside_nor_in_circles),
    ("special_files_are_never_opened", special_files_are_never_opened),
    ("a_status_of_four_gigabytes_is_not_read", a_status_of_four_gigabytes_is_not_read),
    ("a_flood_of_packages_costs_its_own_part", a_flood_of_packages_costs_its_own_part),
    ("tar_bombs_are_bounded", tar_bombs_are_bounded),
    ("a_tar_that_leads_outside_reads_nothing_there", a_tar_that_leads_outside),
    ("a_cut_tar_is_never_silence", a_cut_tar_is_never_silence),
    ("a_packed_tar_with_a_wrong_end_is_not_believed", a_packed_tar_with_a_wrong_end),
    ("what_lies_behind_the_end_mark_is_no_secret", what_lies_behind_the_end_mark),
    ("a_reader_that_dies_costs_its_own_part", a_reader_that_dies_costs_its_own_part),
    ("a_broken_tar_is_survived_anywhere", a_broken_tar_is_survived_anywhere),
];

const OS: (&str, &[u8]) = ("etc/os-release", b"ID=debian\nVERSION_ID=12\n");
const STATUS: &[u8] =
    b"Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n";

/// Inspects within the limits that every bad input must be met in.
fn bounded(root: &Path) -> Result<Facts, Error> {
    let target = Target::parse(root.as_os_str())?;
    // Processor time is what is bounded here; how long it takes depends on what else the machine does.
    let patient = Options { timeout: Duration::from_secs(120), ..Options::default() };
    let (facts, spent) = inspect_measured(&target, &patient);
    assert!(spent.peak < 128 << 20, "{}: {} MiB", root.display(), spent.peak >> 20);
    assert!(spent.cpu < Duration::from_secs(20), "{}: {:?}", root.display(), spent.cpu);
    facts
}

fn refused(root: &Path) -> String {
    bounded(root).unwrap_err().to_string()
}

fn what_is_no_root_is_refused() {
    let folder = lay_out(&[("notes.txt", b"nothing")]);
    assert!(refused(folder.path()).starts_with("not a root of a server: "));
    let tar = file_of(&tar_of(folder.path()));
    assert!(refused(tar.path()).starts_with("not a root of a server: "));
    assert!(refused(&folder.path().join("gone")).contains("cannot be opened: No such file"));
    assert!(refused(&folder.path().join("notes.txt")).contains("is no tar"));
    assert!(refused(file_of(b"").path()).contains("is empty"));
    assert!(refused(file_of(&[b'x'; 4096]).path()).contains("is no tar"));
    assert!(refused(file_of(b"BZh91AY").path()).contains("packed with bzip2, which is not read"));
    assert!(refused(file_of(b"\x1f\x8b\x08\0garbage").path()).contains("(gzip)"));
    assert!(refused(file_of(b"\x28\xb5\x2f\xfdgarbage").path()).contains("(zstd)"));
    assert!(refused(file_of(b"\xfd7zXZ\0garbage").path()).contains("(xz)"));
    assert!(refused(Path::new("/dev/null")).contains("/dev/null is a device: give a directory"));
    let fifo = folder.path().join("fifo");
    make_fifo(&fifo);
    assert!(refused(&fifo).contains("is a FIFO"));
}

fn make_fifo(path: &Path) {
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

/// Of a directory and of its tar, with the same words.
fn both(folder: &Path) -> Facts {
    let facts = bounded(folder).unwrap();
    let tar = file_of(&tar_of(folder));
    assert_eq!(bounded(tar.path()).unwrap(), facts);
    facts
}

fn links_never_lead_outside_nor_in_circles() {
    let outside = lay_out(&[("release", b"ID=outside\n"), ("dpkg/status", STATUS)]);
    let folder = lay_out(&[("etc/debian_version", b"12.1\n"), ("real/lib/dpkg/status", STATUS)]);
    let root = folder.path();
    symlink(outside.path().join("release"), root.join("etc/os-release")).unwrap();
    std::fs::create_dir_all(root.join("usr/lib")).unwrap();
    let dots = "../".repeat(30)
        + outside.path().join("release").strip_prefix("/").unwrap().to_str().unwrap();
    symlink(dots, root.join("usr/lib/os-release")).unwrap();
    symlink("/real", root.join("var")).unwrap();
    let facts = both(root);
    assert_eq!(facts.os.found().unwrap().source, "/etc/debian_version");
    assert_eq!((facts.packages.len(), facts.obstacles.len()), (1, 0), "{:?}", facts.obstacles);

    let folder = lay_out(&[("var/lib/dpkg/status", STATUS)]);
    let root = folder.path();
    std::fs::create_dir_all(root.join("etc")).unwrap();
    symlink("lsb-release", root.join("etc/os-release")).unwrap();
    symlink("../etc/os-release", root.join("etc/lsb-release")).unwrap();
    let facts = both(root);
    assert_eq!(facts.packages.len(), 1);
    assert!(matches!(facts.os, Reading::Unknown(_)), "{:?}", facts.os);
    let told: Vec<String> =
        facts.obstacles.iter().map(|o| format!("{}: {}", o.what, o.why)).collect();
    assert_eq!(
        told,
        [
            "/etc/lsb-release: cannot be found: its symbolic links lead in a circle",
            "/etc/os-release: cannot be found: its symbolic links lead in a circle"
        ]
    );
}

fn special_files_are_never_opened() {
    let folder = lay_out(&[OS]);
    let root = folder.path();
    std::fs::create_dir_all(root.join("var/lib/dpkg")).unwrap();
    make_fifo(&root.join("var/lib/dpkg/status"));
    std::fs::create_dir_all(root.join("lib/apk/db/installed")).unwrap();
    std::fs::create_dir_all(root.join("etc/apk")).unwrap();
    let facts = both(root);
    let told: Vec<String> =
        facts.obstacles.iter().map(|o| format!("{}: {}", o.what, o.why)).collect();
    assert_eq!(
        told,
        [
            "/lib/apk/db/installed: is a directory, which is never opened; a regular file was expected",
            "/var/lib/dpkg/status: is a FIFO, which is never opened; a regular file was expected"
        ]
    );
    assert!(matches!(facts.database, Reading::Unknown(_)));
    std::fs::remove_file(root.join("var/lib/dpkg/status")).unwrap();
    let mode = rustix::fs::Mode::RWXU;
    let zero = rustix::fs::makedev(1, 5);
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("var/lib/dpkg/status"),
        rustix::fs::FileType::CharacterDevice,
        mode,
        zero,
    );
    if made.is_err() {
        println!("not run: a device can be made by root alone");
        return;
    }
    let facts = both(root);
    assert!(
        facts.obstacles.iter().any(|o| o.why.starts_with("is a device, which is never opened"))
    );
}

fn a_status_of_four_gigabytes_is_not_read() {
    let folder = lay_out(&[OS, ("var/lib/dpkg/status", STATUS)]);
    let status = folder.path().join("var/lib/dpkg/status");
    File::options().write(true).open(&status).unwrap().set_len(4 << 30).unwrap();
    let facts = bounded(folder.path()).unwrap();
    let Reading::Unknown(obstacle) = &facts.database else { panic!("{:?}", facts.database) };
    assert!(obstacle.why.starts_with("is 4294967296 bytes long, more than the"), "{obstacle:?}");
    assert_eq!(facts.os.found().unwrap().id, "debian");
    // GNU tar keeps the hole as a hole: the file is as long, and is refused as well.
    for format in ["gnu", "posix"] {
        let tar = tempfile::NamedTempFile::new().unwrap();
        let made = std::process::Command::new("tar")
            .args(["--sparse", &format!("--format={format}"), "-cf"])
            .arg(tar.path())
            .args(["-C", folder.path().to_str().unwrap(), "."])
            .status()
            .unwrap();
        assert!(made.success() && tar.path().metadata().unwrap().size() < 1 << 20);
        assert_eq!(bounded(tar.path()).unwrap(), facts, "{format}");
    }
}

/// Within the size that is read, and still more packages than any memory should hold.
fn a_flood_of_packages_costs_its_own_part() {
    let flood = "Package: a\nVersion: 1\nStatus: install ok installed\n\n".repeat(400_000);
    let folder = lay_out(&[OS, ("var/lib/dpkg/status", flood.as_bytes())]);
    let facts = bounded(folder.path()).unwrap();
    assert_eq!(facts.packages.len(), 50_000);
    assert!(facts.obstacles.iter().any(|o| o.why.contains("more than 50000 packages")));
    assert_eq!(facts.os.found().unwrap().id, "debian");
}

/// A tar with a wanted file of so many megabytes of zeros, in a few kilobytes.
fn bomb(megabytes: usize) -> tempfile::NamedTempFile {
    let mut tar = tar::Builder::new(Vec::new());
    add(&mut tar, OS.0, OS.1);
    add(&mut tar, "var/lib/dpkg/status", STATUS);
    let mut head = tar.into_inner().unwrap();
    head.truncate(head.len() - 1024);
    let mut header = tar::Header::new_gnu();
    header.set_size((megabytes as u64) << 20);
    header.set_path("var/lib/dpkg/status.d/bomb").unwrap();
    header.set_cksum();
    head.extend_from_slice(header.as_bytes());
    let mut packed = zstd::encode_all(&*head, 1).unwrap();
    let ten = zstd::encode_all(&*vec![0; 10 << 20], 1).unwrap();
    for _ in 0..megabytes / 10 {
        packed.extend_from_slice(&ten);
    }
    packed.extend(zstd::encode_all(&[0; 1024][..], 1).unwrap());
    assert!(packed.len() < 2 << 20);
    file_of(&packed)
}

fn tar_bombs_are_bounded() {
    let facts = bounded(bomb(500).path()).unwrap();
    assert_eq!((facts.packages.len(), facts.obstacles.len()), (1, 1), "{:?}", facts.obstacles);
    assert_eq!(facts.obstacles.first().unwrap().what, "/var/lib/dpkg/status.d/bomb");

    // What there was no time for is said; what came before it is known.
    let hurried = Options { timeout: Duration::from_millis(500), ..Options::default() };
    let bomb = bomb(8000);
    let (facts, _) = inspect_measured(&Target::Tar(bomb.path().into()), &hurried);
    let facts = facts.unwrap();
    assert_eq!(facts.packages.len(), 1);
    assert!(facts.obstacles.iter().any(|o| o.why.contains("longer to read than there is time")));

    // Many small members, each wanted: the names are bounded too.
    let mut tar = tar::Builder::new(Vec::new());
    add(&mut tar, OS.0, OS.1);
    for number in 0..200_000 {
        add(&mut tar, &format!("var/lib/dpkg/status.d/{number}"), b"Package: a\nVersion: 1\n");
    }
    let crowded = zstd::encode_all(&*tar.into_inner().unwrap(), 1).unwrap();
    let facts = bounded(file_of(&crowded).path()).unwrap();
    assert!(facts.obstacles.iter().any(|o| o.why.contains("files that inspectors look at")));

    // A window larger than the memory that there is.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(&tar_of(lay_out(&[OS]).path())).unwrap();
    let wide = encoder.finish().unwrap();
    assert!(refused(file_of(&wide).path()).contains("(zstd)"));

    // A header that claims a name of four gigabytes.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(4 << 30);
    header.set_cksum();
    let mut bytes = tar_of(lay_out(&[OS, ("var/lib/dpkg/status", STATUS)]).path());
    bytes.truncate(bytes.len() - 1024);
    bytes.extend_from_slice(header.as_bytes());
    let facts = bounded(file_of(&bytes).path()).unwrap();
    assert!(facts.obstacles.iter().any(|o| o.why.contains("is damaged after")), "{facts:?}");
}

fn a_tar_that_leads_outside() {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in [
        ("../../etc/os-release", &b"ID=above\n"[..]),
        ("/etc/os-release", b"ID=debian\nVERSION_ID=12\n"),
        ("etc/../../var/lib/dpkg/status", STATUS),
    ] {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }
    link(&mut tar, "var", "/../../../../var");
    let facts = bounded(file_of(&tar.into_inner().unwrap()).path()).unwrap();
    assert_eq!(facts.os.found().unwrap().id, "debian");
    assert_eq!(facts.packages.len(), 0);
    let told: Vec<&str> = facts.obstacles.iter().map(|o| o.why.as_str()).collect();
    assert!(
        told.contains(&"has 2 members whose names lead outside (`..`); they were not read"),
        "{told:?}"
    );
}

fn a_cut_tar_is_never_silence() {
    let folder =
        lay_out(&[OS, ("usr/share/big", &[b'x'; 20_000]), ("var/lib/dpkg/status", STATUS)]);
    let whole = tar_of(folder.path());
    let expected = bounded(file_of(&whole).path()).unwrap();
    assert_eq!(expected.obstacles, []);
    for length in (512..whole.len()).step_by(512).chain([700, 5000, 20_001]) {
        match bounded(file_of(&whole[..length]).path()) {
            // Half of the end mark is an end mark, and so GNU tar has it.
            Ok(facts) if length == whole.len() - 512 => assert_eq!(facts, expected),
            Ok(facts) => {
                assert!(facts.obstacles.iter().any(|o| o.what == "the tar"), "{length}");
                let known = facts.packages.len() == 1;
                assert!(known || matches!(facts.database, Reading::Unknown(_)), "{length}");
            }
            Err(error) => assert!(error.to_string().contains("tar"), "{length}: {error}"),
        }
        let packed = zstd::encode_all(&whole[..length], 1).unwrap();
        if let Ok(facts) = bounded(file_of(&packed[..packed.len() - 5]).path()) {
            assert!(facts.obstacles.iter().any(|o| o.what == "the tar"), "{length}");
        }
    }
}

/// The obstacles that speak of the tar itself.
fn told_of_the_tar(bytes: &[u8]) -> Vec<String> {
    let facts = bounded(file_of(bytes).path()).unwrap();
    assert_eq!(facts.packages.len(), 1, "{facts:?}");
    facts.obstacles.into_iter().filter(|o| o.what == "the tar").map(|o| o.why).collect()
}

/// A checksum is at the end of a packing, behind the end mark of the tar: cut or bent there, it is looked at all the same.
fn a_packed_tar_with_a_wrong_end() {
    let tar = tar_of(lay_out(&[OS, ("var/lib/dpkg/status", STATUS)]).path());
    for packing in ["gzip", "zstd", "xz"] {
        let packed = pack(packing, &tar);
        assert_eq!(told_of_the_tar(&packed), [""; 0], "{packing}");
        // The whole end of xz: its index and its footer.
        let cuts = 1..=if packing == "xz" { 28 } else { 4 };
        let mut wrong: Vec<Vec<u8>> = cuts.map(|n| packed[..packed.len() - n].to_vec()).collect();
        for back in 1..=if packing == "gzip" { 8 } else { 4 } {
            wrong.push(packed.clone());
            let at = packed.len() - back;
            wrong.last_mut().unwrap()[at] ^= 1;
        }
        wrong.push([&packed, &b"garbage behind it"[..]].concat());
        for (number, wrong) in wrong.iter().enumerate() {
            let told = told_of_the_tar(wrong).concat();
            // A decoder may see it before it hands out the end mark.
            let words = [format!("({packing}) is damaged"), format!("({packing}) stops after")];
            assert!(words.iter().any(|w| told.contains(w)), "{packing} {number}: {told}");
        }
    }
    // What the tar lacks may have been in it: it is not absent.
    let mut bent = pack("gzip", &tar_of(lay_out(&[OS]).path()));
    *bent.last_mut().unwrap() ^= 1;
    let facts = bounded(file_of(&bent).path()).unwrap();
    assert!(matches!(facts.database, Reading::Unknown(_)), "{:?}", facts.database);
}

fn what_lies_behind_the_end_mark() {
    let tar = tar_of(lay_out(&[OS, ("var/lib/dpkg/status", STATUS)]).path());
    let second = tar_of(lay_out(&[("var/lib/dpkg/status.d/b", STATUS)]).path());
    let padded = [&tar, &[0; 100_000][..]].concat();
    let doubled = [&tar[..], &second].concat();
    let far = [&padded[..], &second].concat();
    for packing in ["plain", "gzip", "zstd", "xz"] {
        assert_eq!(told_of_the_tar(&pack(packing, &padded)), [""; 0], "{packing}");
        for more in [&doubled, &far] {
            let told = told_of_the_tar(&pack(packing, more));
            assert!(told.concat().contains("more behind its end mark"), "{packing}: {told:?}");
        }
    }
    // The zeros of a last block, and two members of a gzip file, are nothing to speak of.
    let zeros = [pack("gzip", &tar), vec![0; 70_000]].concat();
    assert_eq!(told_of_the_tar(&zeros), [""; 0]);
    let (head, rest) = tar.split_at(700);
    let members = [pack("gzip", head), pack("gzip", rest)].concat();
    assert_eq!(told_of_the_tar(&members), [""; 0]);
    let two = [pack("gzip", &tar), pack("gzip", &second)].concat();
    assert!(told_of_the_tar(&two).concat().contains("more behind its end mark"));
    // Members without a byte in them come to no end of their own: the clock does.
    let hollow = pack("gzip", b"").repeat(1 << 20);
    let hurried = Options { timeout: Duration::from_secs(1), ..Options::default() };
    let file = file_of(&[pack("gzip", &tar), hollow].concat());
    let facts = inspect_measured(&Target::Tar(file.path().into()), &hurried).0.unwrap();
    let told: String = facts.obstacles.iter().map(|o| o.why.as_str()).collect();
    assert!(told.contains("longer to read than there is time"), "{told}");
}

/// One byte changed, anywhere: an answer or a refusal, never a death.
fn a_broken_tar_is_survived_anywhere() {
    let folder = lay_out(&[OS, ("var/lib/dpkg/status", STATUS)]);
    symlink("os-release", folder.path().join("etc/lsb-release")).unwrap();
    let whole = tar_of(folder.path());
    for at in (0..whole.len()).step_by(37) {
        for value in [0, b'7', 0xff] {
            let mut broken = whole.clone();
            broken[at] = value;
            match bounded(file_of(&broken).path()) {
                Ok(facts) => assert!(facts.obstacles.iter().all(|o| !o.why.contains("reader"))),
                Err(Error::NotTar { .. } | Error::NotServer { .. }) => {}
                Err(error) => panic!("{at}: {error}"),
            }
        }
    }
}

/// Stands for a reader with a defect, or one that a file has led astray.
struct Dying(fn());

impl Inspector for Dying {
    fn name(&self) -> &'static str {
        "apt"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[]
    }

    fn inspect(&self, _root: &dyn Root, _facts: &mut Facts) {
        (self.0)();
    }
}

fn a_reader_that_dies_costs_its_own_part() {
    let folder =
        lay_out(&[OS, ("var/lib/dpkg/status", STATUS), ("boot/vmlinuz-6.1.0-1-amd64", b"")]);
    let plain = both(folder.path());
    let tar = tar_of(folder.path());
    let panics = Dying(|| panic!("a length of 7 in a field of 3"));
    let hogs = Dying(|| drop(std::hint::black_box(vec![1_u8; 1 << 30])));
    let loops = Dying(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    for (dying, why) in [
        (&panics, "the reader met a defect of its own: a length of 7 in a field of 3 at "),
        (&hogs, "the reader was stopped: it needed more than its 116 MiB of memory"),
        (&loops, "the reader was stopped: it took longer than 0.75 s"),
    ] {
        let mut inspectors = INSPECTORS.to_vec();
        inspectors.insert(4, dying);
        let options = Options { timeout: Duration::from_secs(1), ..Options::default() };
        for target in [
            Target::Directory(folder.path().into()),
            Target::Tar(file_of(&tar).into_temp_path().keep().unwrap()),
        ] {
            let mut facts = inspect_with(&inspectors, &target, &options).0.unwrap();
            let obstacle = facts.obstacles.pop().unwrap();
            assert!(obstacle.why.starts_with(why), "{obstacle:?}");
            assert_eq!(facts.archive, Reading::Unknown(obstacle));
            facts.archive = Reading::Absent;
            assert_eq!(facts, plain);
            if let Target::Tar(path) = target {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    // Standard input is gone with the reader: what was known stays known, what came after is said to be unknown.
    let inspectors: [&dyn Inspector; 4] = [&os_release::OsRelease, &dpkg::Dpkg, &panics, &apk::Apk];
    let facts = crate::roots::of_stdin(&inspectors, &tar);
    assert_eq!((&facts.os, &facts.packages), (&plain.os, &plain.packages));
    let told: Vec<&str> = facts.obstacles.iter().map(|o| o.what.as_str()).collect();
    assert_eq!(told, ["apk", "apt"]);
    // The only database that could be read died: it is not absent.
    let inspectors: [&dyn Inspector; 3] = [&os_release::OsRelease, &panics, &dpkg::Dpkg];
    let facts = crate::roots::of_stdin(&inspectors, &tar);
    assert!(matches!(facts.database, Reading::Unknown(_)), "{:?}", facts.database);
}
