//! Tests of the rpm database: small ones written here, rpm's own, and bytes of any kind.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use muster_core::fact::{Database, Facts, Obstacle, Package, Reading};
use muster_core::time::Instant;
use proptest::prelude::*;

use super::header::{parse_header, split_source_rpm};
use super::{Harvest, Rpmdb, bdb, ndb, sqlite};
use crate::Inspector as _;
use crate::root::{Content, Entry, EntryKind, Root};

/// A root of a few files in memory.
#[derive(Default)]
pub(crate) struct Files(pub(crate) BTreeMap<String, Vec<u8>>);

impl Files {
    pub(crate) fn with(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.to_owned(), bytes.into());
        self
    }
}

struct Bytes(Cursor<Vec<u8>>);

impl Read for Bytes {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(out)
    }
}

impl Seek for Bytes {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

impl Content for Bytes {
    fn size(&self) -> u64 {
        self.0.get_ref().len() as u64
    }

    fn modified(&self) -> Option<Instant> {
        None
    }
}

impl Root for Files {
    fn live(&self) -> bool {
        false
    }

    fn open(&self, path: &str) -> Reading<Box<dyn Content>> {
        match self.0.get(path) {
            // Stands for what a root refuses to open.
            Some(bytes) if bytes == b"\0refused" => {
                Reading::Unknown(Obstacle::new(path, "is a device"))
            }
            Some(bytes) => Reading::Found(Box::new(Bytes(Cursor::new(bytes.clone())))),
            None => Reading::Absent,
        }
    }

    fn list(&self, path: &str) -> Reading<Vec<Entry>> {
        let below = format!("{}/", path.trim_end_matches('/'));
        let mut entries = BTreeMap::new();
        for file in self.0.keys() {
            let Some(rest) = file.strip_prefix(&below) else { continue };
            match rest.split_once('/') {
                Some((folder, _)) => entries.insert(folder.to_owned(), EntryKind::Directory),
                None => entries.insert(rest.to_owned(), EntryKind::File),
            };
        }
        if entries.is_empty() {
            return Reading::Absent;
        }
        Reading::Found(entries.into_iter().map(|(name, kind)| Entry { name, kind }).collect())
    }

    fn link(&self, _: &str) -> Reading<String> {
        Reading::Absent
    }
}

/// A folder of test data, or nothing, which is said and with `MUSTER_REQUIRE_ALL` is a failure.
fn shared(path: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let found =
        std::env::var_os("MUSTER_SHARED").map_or(here, PathBuf::from).join("data").join(path);
    let there = found.exists();
    not_run_unless(there, "../shared").then_some(found)
}

fn not_run_unless(there: bool, what: &str) -> bool {
    if !there {
        assert!(std::env::var_os("MUSTER_REQUIRE_ALL").is_none(), "{what} is required and missing");
        println!("not run: needs {what}");
    }
    there
}

pub(crate) fn has_tool(tool: &str) -> bool {
    let runs =
        Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    not_run_unless(runs, tool)
}

/// A value of a header.
#[derive(Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    Number(u32),
    Filler(usize),
}

fn header_of(values: &[(u32, Value<'_>)]) -> Vec<u8> {
    let (mut index, mut store) = (Vec::new(), Vec::new());
    for (tag, value) in values {
        let kind: u32 = match value {
            Value::Text(_) => 6,
            Value::Number(_) => 4,
            Value::Filler(_) => 7,
        };
        if kind == 4 {
            store.resize(store.len().next_multiple_of(4), 0);
        }
        let offset = store.len();
        match value {
            Value::Text(text) => store.extend(text.bytes().chain([0])),
            Value::Number(number) => store.extend(number.to_be_bytes()),
            Value::Filler(length) => store.resize(store.len() + length, 0xaa),
        }
        for field in [*tag, kind, u32::try_from(offset).unwrap(), 1] {
            index.extend(field.to_be_bytes());
        }
    }
    let mut header = Vec::new();
    header.extend(u32::try_from(values.len()).unwrap().to_be_bytes());
    header.extend(u32::try_from(store.len()).unwrap().to_be_bytes());
    header.extend(index);
    header.extend(store);
    header
}

fn nodejs(filler: usize) -> Vec<u8> {
    header_of(&[
        (1000, Value::Text("nodejs-libs")),
        (1001, Value::Text("18.9.1")),
        (1002, Value::Text("1.module_el8.7.0+3343")),
        (1003, Value::Number(1)),
        (1011, Value::Text("AlmaLinux")),
        (1022, Value::Text("x86_64")),
        (1030, Value::Filler(filler)),
        (1044, Value::Text("nodejs-18.9.1-1.module_el8.7.0+3343.src.rpm")),
        (5096, Value::Text("nodejs:18:8070020221006:bd1311ed")),
    ])
}

fn plain(name: &str) -> Vec<u8> {
    header_of(&[
        (1000, Value::Text(name)),
        (1001, Value::Text("1.0")),
        (1002, Value::Text("2")),
        (1022, Value::Text("noarch")),
        (1044, Value::Text(&format!("{name}-1.0-2.src.rpm"))),
    ])
}

/// Writes an NDB database of these headers.
fn ndb_of(headers: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0; 4096];
    let mut slots = Vec::new();
    for (index, header) in headers.iter().enumerate() {
        let block = u32::try_from(file.len() / 16).unwrap();
        let (number, length) =
            (u32::try_from(index + 1).unwrap(), u32::try_from(header.len()).unwrap());
        let start = file.len();
        for field in [u32::from_le_bytes(*b"BlbS"), number, 1, length] {
            file.extend(field.to_le_bytes());
        }
        file.extend(header);
        file.resize(start + (header.len() + 28).next_multiple_of(16) - 12, 0);
        for field in [0, length, u32::from_le_bytes(*b"BlbE")] {
            file.extend(field.to_le_bytes());
        }
        let blocks = u32::try_from((file.len() - start) / 16).unwrap();
        slots.extend([u32::from_le_bytes(*b"Slot"), number, block, blocks]);
    }
    let mut first: Vec<u8> = [u32::from_le_bytes(*b"RpmP"), 0, 1, 1, 99, 0, 0, 0]
        .iter()
        .flat_map(|n: &u32| n.to_le_bytes())
        .collect();
    first.extend(slots.iter().flat_map(|n| n.to_le_bytes()));
    while first.len() < 4096 {
        first.extend(b"Slot");
        first.extend([0; 12]);
    }
    file[..4096].copy_from_slice(&first);
    file
}

/// Writes a Berkeley DB hash of these headers, all in overflow pages, in one of the byte orders.
fn bdb_of(headers: &[Vec<u8>], big: bool) -> Vec<u8> {
    const PAGE: usize = 512;
    let n32 = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let n16 = |n: usize| {
        let n = u16::try_from(n).unwrap();
        if big { n.to_be_bytes() } else { n.to_le_bytes() }
    };
    let mut pages = vec![vec![0_u8; PAGE], vec![0_u8; PAGE]];
    let mut items: Vec<Vec<u8>> = vec![vec![1, 0, 0, 0, 0], vec![1, 9, 0, 0, 0]];
    for (index, header) in headers.iter().enumerate() {
        let mut item = vec![3, 0, 0, 0];
        item.extend(n32(u32::try_from(pages.len()).unwrap()));
        item.extend(n32(u32::try_from(header.len()).unwrap()));
        items.push([vec![1], n32(u32::try_from(index + 1).unwrap()).to_vec()].concat());
        items.push(item);
        let parts: Vec<_> = header.chunks(PAGE - 26).collect();
        for (i, part) in parts.iter().enumerate() {
            let mut page = vec![0; PAGE];
            let next = if i + 1 < parts.len() { pages.len() + 1 } else { 0 };
            page[16..20].copy_from_slice(&n32(u32::try_from(next).unwrap()));
            page[22..24].copy_from_slice(&n16(part.len()));
            page[25] = 7;
            page[26..26 + part.len()].copy_from_slice(part);
            pages.push(page);
        }
    }
    let mut end = PAGE;
    pages[1][20..22].copy_from_slice(&n16(items.len()));
    pages[1][25] = 13;
    for (i, item) in items.iter().enumerate() {
        end -= item.len();
        pages[1][end..end + item.len()].copy_from_slice(item);
        pages[1][26 + 2 * i..28 + 2 * i].copy_from_slice(&n16(end));
    }
    let last = u32::try_from(pages.len() - 1).unwrap();
    pages[0][12..16].copy_from_slice(&n32(0x0006_1561));
    pages[0][16..20].copy_from_slice(&n32(9));
    pages[0][20..24].copy_from_slice(&n32(512));
    pages[0][25] = 8;
    pages[0][32..36].copy_from_slice(&n32(last));
    pages.concat()
}

fn names(harvest: &Harvest) -> Vec<&str> {
    harvest.packages.iter().map(|p| p.name.as_str()).collect()
}

fn read_lite(database: &[u8], wal: Option<&[u8]>) -> Result<Harvest, super::DatabaseError> {
    sqlite::read_sqlite(
        &mut Cursor::new(database),
        wal.map(Cursor::new).as_mut(),
        Harvest::default(),
    )
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/rpmdb").join(name))
        .unwrap()
}

#[test]
fn a_header_tells_its_package() {
    let package = parse_header(&nodejs(70_000)).unwrap().into_package();
    let expected = Package {
        name: "nodejs-libs".into(),
        architecture: "x86_64".into(),
        version: "1:18.9.1-1.module_el8.7.0+3343".into(),
        source: Some("nodejs".into()),
        module: Some("nodejs:18:8070020221006:bd1311ed".into()),
        vendor: Some("AlmaLinux".into()),
        ..Package::default()
    };
    assert_eq!(package, expected);
}

#[test]
fn a_source_package_is_split_from_the_right() {
    for (file, expected) in [
        (
            "java-1.8.0-openjdk-1.8.0.352.b08-2.el8.src.rpm",
            Some(("java-1.8.0-openjdk", "1.8.0.352.b08-2.el8")),
        ),
        ("kernel-6.1-1.nosrc.rpm", Some(("kernel", "6.1-1"))),
        ("-1-2.src.rpm", None),
        ("a-1.src.rpm", None),
        ("(none)", None),
    ] {
        assert_eq!(split_source_rpm(file), expected, "{file}");
    }
}

#[test]
fn a_source_of_another_version_is_told_without_epoch() {
    let header = header_of(&[
        (1000, Value::Text("perl-libs")),
        (1001, Value::Text("5.26.3")),
        (1002, Value::Text("422.el8")),
        (1003, Value::Number(4)),
        (1044, Value::Text("perl-5.26.4-1.el8.src.rpm")),
    ]);
    let package = parse_header(&header).unwrap().into_package();
    assert_eq!(package.version, "4:5.26.3-422.el8");
    assert_eq!((package.source(), package.source_version()), ("perl", "5.26.4-1.el8"));
}

#[test]
fn a_hostile_header_is_refused() {
    let mut behind = plain("a");
    behind[8 + 8..8 + 12].copy_from_slice(&0xffff_fff0_u32.to_be_bytes());
    let mut huge = plain("a");
    huge[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    let endless = header_of(&[(1000, Value::Text(&"x".repeat(5000)))]);
    let nameless = header_of(&[(1001, Value::Text("1")), (1002, Value::Text("1"))]);
    for (bytes, why) in [
        (behind, "tag 1000 of the header points at byte 4294967280"),
        (huge, "claims 4294967295 tags"),
        (endless, "tag 1000 of the header is longer"),
        (nameless, "has no name"),
        (plain("a")[..40].to_vec(), "cannot be read"),
    ] {
        let error = parse_header(&bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{error} should say: {why}");
    }
}

#[test]
fn ndb_and_both_orders_of_bdb_are_read() {
    let headers = [nodejs(3000), plain("a"), plain("gpg-pubkey"), plain("b")];
    let expected = ["nodejs-libs", "a", "b"];
    let ndb = ndb::read_ndb(&mut Cursor::new(ndb_of(&headers)), Harvest::default()).unwrap();
    assert_eq!((names(&ndb), ndb.problems.as_slice()), (expected.to_vec(), [].as_slice()));
    for big in [false, true] {
        let bdb =
            bdb::read_bdb(&mut Cursor::new(bdb_of(&headers, big)), Harvest::default()).unwrap();
        assert_eq!((names(&bdb), bdb.problems.as_slice()), (expected.to_vec(), [].as_slice()));
    }
}

#[test]
fn what_is_damaged_is_told_and_the_rest_is_kept() {
    let headers = [nodejs(3000), plain("a"), plain("b")];
    let mut ndb = ndb_of(&headers);
    ndb[4096 + 3] = b'?';
    let ndb = ndb::read_ndb(&mut Cursor::new(ndb), Harvest::default()).unwrap();
    assert_eq!(names(&ndb), ["a", "b"]);
    assert!(ndb.problems[0].starts_with("package 1: "), "{:?}", ndb.problems);

    let mut bdb = bdb_of(&headers, false);
    bdb[2 * 512 + 16] = 2; // the chain of the first package leads to itself
    let bdb = bdb::read_bdb(&mut Cursor::new(bdb), Harvest::default()).unwrap();
    assert_eq!(names(&bdb), ["a", "b"]);
    assert!(bdb.problems[0].contains("leads to page 2"), "{:?}", bdb.problems);
}

#[test]
fn sqlite_reads_overflow_pages_and_a_log() {
    let whole = read_lite(&fixture("small/rpmdb.sqlite"), None).unwrap();
    assert_eq!(whole.problems, [""; 0]);
    assert_eq!(names(&whole).len(), 40);
    assert_eq!(names(&whole)[39], "package-39");

    let (before, log) = (fixture("wal/rpmdb.sqlite"), fixture("wal/rpmdb.sqlite-wal"));
    assert_eq!(names(&read_lite(&before, None).unwrap()), ["package-0"]);
    let after = read_lite(&before, Some(&log)).unwrap();
    assert_eq!(
        (names(&after), after.problems.as_slice()),
        (vec!["package-0", "package-1", "package-2"], [].as_slice())
    );
}

#[test]
fn a_log_counts_up_to_its_last_whole_transaction() {
    let (before, log) = (fixture("wal/rpmdb.sqlite"), fixture("wal/rpmdb.sqlite-wal"));
    let mut seen = Vec::new();
    for length in 0..=log.len() {
        let harvest = read_lite(&before, Some(&log[..length])).unwrap();
        assert_eq!(harvest.problems, [""; 0], "cut at {length}");
        seen.push(names(&harvest).len());
    }
    seen.dedup();
    assert_eq!(seen, [1, 2, 3]);
    // A byte turned over anywhere ends the log there; nothing of an unproven frame is believed.
    for at in (0..log.len()).step_by(97) {
        let mut turned = log.clone();
        turned[at] ^= 0x40;
        let harvest = read_lite(&before, Some(&turned)).unwrap();
        assert!((1..=3).contains(&names(&harvest).len()));
    }
}

#[test]
fn loops_in_a_tree_end() {
    let mut database = fixture("small/rpmdb.sqlite");
    let page = 512;
    // Every interior page's last child becomes the page itself.
    for number in 1..database.len() / page {
        if database[number * page] == 5 {
            let own = u32::try_from(number + 1).unwrap();
            database[number * page + 8..number * page + 12].copy_from_slice(&own.to_be_bytes());
        }
    }
    let harvest = read_lite(&database, None).unwrap();
    assert!(harvest.problems.iter().any(|p| p.contains("used twice")), "{:?}", harvest.problems);
    assert!(!harvest.packages.is_empty());
}

#[test]
fn what_is_not_a_database_is_refused() {
    for bytes in [&b""[..], b"SQLite format 3\0", b"text"] {
        assert!(read_lite(bytes, None).is_err());
        assert!(ndb::read_ndb(&mut Cursor::new(bytes), Harvest::default()).is_err());
        assert!(bdb::read_bdb(&mut Cursor::new(bytes), Harvest::default()).is_err());
    }
}

#[test]
fn the_newest_form_with_packages_wins() {
    let small = fixture("small/rpmdb.sqlite");
    let older = bdb_of(&[plain("old")], false);
    let root = Files::default()
        .with("/var/lib/rpm/rpmdb.sqlite", small)
        .with("/var/lib/rpm/Packages", older.clone());
    let mut facts = Facts::default();
    Rpmdb.inspect(&root, &mut facts);
    assert_eq!((facts.packages.len(), facts.obstacles.len()), (40, 0));
    assert_eq!(facts.database, Reading::Found(Database::Rpm));

    let root = Files::default()
        .with("/var/lib/rpm/Packages.db", ndb_of(&[]))
        .with("/var/lib/rpm/Packages", older.clone());
    let mut facts = Facts::default();
    Rpmdb.inspect(&root, &mut facts);
    assert_eq!(facts.packages[0].name, "old");
    assert_eq!(facts.obstacles[0].what, "/var/lib/rpm/Packages");

    let root = Files::default()
        .with("/var/lib/rpm/rpmdb.sqlite", "\0refused")
        .with("/usr/lib/sysimage/rpm/Packages", older);
    let mut facts = Facts::default();
    Rpmdb.inspect(&root, &mut facts);
    assert_eq!((facts.packages.len(), facts.obstacles.len()), (1, 1));
}

#[test]
fn absent_and_unreadable_are_told_apart() {
    let mut facts = Facts::default();
    Rpmdb.inspect(&Files::default(), &mut facts);
    assert_eq!(facts, Facts::default());
    Rpmdb.inspect(&Files::default().with("/var/lib/rpm/rpmdb.sqlite", "no"), &mut facts);
    assert!(matches!(facts.database, Reading::Unknown(_)));
    assert_eq!(facts.obstacles.len(), 1);
}

#[test]
fn a_modular_package_without_a_readable_label_is_an_obstacle() {
    let release = (1002, Value::Text("1.module_el8.7.0+3343"));
    let of = |more: &[(u32, Value<'_>)]| {
        let mut values = vec![(1000, Value::Text("nodejs")), (1001, Value::Text("18.9.1"))];
        values.push(release);
        values.extend_from_slice(more);
        let bytes = ndb_of(&[header_of(&values), plain("bash")]);
        let root = Files::default().with("/var/lib/rpm/Packages.db", bytes);
        let mut facts = Facts::default();
        Rpmdb.inspect(&root, &mut facts);
        assert_eq!(facts.packages.len(), 2);
        facts.obstacles.iter().map(|o| o.why.clone()).collect::<String>()
    };
    assert_eq!(of(&[(5096, Value::Text("nodejs:18:8070020221006:bd1311ed"))]), "");
    for unreadable in [&[][..], &[(5096, Value::Number(18))], &[(5096, Value::Text("(none)"))]] {
        let told = of(unreadable);
        assert!(told.contains("no module label for nodejs 18.9.1-1.module_el8"), "{told}");
    }
}

#[test]
fn a_hot_journal_is_an_obstacle() {
    let journal = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0, 0, 1];
    let root = Files::default()
        .with("/var/lib/rpm/rpmdb.sqlite", fixture("small/rpmdb.sqlite"))
        .with("/var/lib/rpm/rpmdb.sqlite-journal", journal);
    let mut facts = Facts::default();
    Rpmdb.inspect(&root, &mut facts);
    assert_eq!(facts.packages.len(), 40);
    assert!(facts.obstacles[0].why.contains("transaction was under way"));
}

/// A line a package, as `rpm -qa --qf` writes it in the differential tests.
fn lines_of(harvest: &Harvest) -> Vec<String> {
    let mut lines: Vec<_> = harvest
        .packages
        .iter()
        .map(|p| {
            let (epoch, version) = p.version.split_once(':').unwrap_or(("0", &p.version));
            let source = format!(
                "{}-{}.src.rpm",
                p.source(),
                p.source_version.as_deref().unwrap_or(version)
            );
            format!(
                "{epoch}:{}-{version}.{} {source} {}",
                p.name,
                p.architecture,
                p.vendor.as_deref().unwrap_or_default()
            )
        })
        .collect();
    lines.sort();
    lines
}

fn lines_of_rpm(folder: &Path, backend: &str) -> Vec<String> {
    let format = "%{EPOCHNUM}:%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH} %{SOURCERPM} %{VENDOR}\n";
    let output = Command::new("rpm")
        .args(["--define", &format!("_db_backend {backend}"), "-qa", "--qf", format, "--dbpath"])
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<_> = text
        .lines()
        .filter(|l| !l.contains(":gpg-pubkey-"))
        .map(|l| l.replace("(none)", ""))
        .collect();
    lines.sort();
    lines
}

#[test]
fn rpm_says_the_same_of_real_databases() {
    let Some(folder) = shared("inventories/rpmdb") else { return };
    if !has_tool("rpm") {
        return;
    }
    for (file, form, backend) in [
        ("rpm-selftest.rpmdb.sqlite", "rpmdb.sqlite", "sqlite"),
        ("bdb-libuuid.Packages", "Packages", "bdb_ro"),
        ("bdb-centos-onepkg.Packages", "Packages", "bdb_ro"),
    ] {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let copy = tempfile::tempdir().unwrap();
        std::fs::write(copy.path().join(form), &bytes).unwrap();
        let harvest = match form {
            "Packages" => bdb::read_bdb(&mut Cursor::new(&bytes), Harvest::default()).unwrap(),
            _ => read_lite(&bytes, None).unwrap(),
        };
        assert_eq!(harvest.problems, [""; 0], "{file}");
        assert!(!harvest.packages.is_empty(), "{file}");
        assert_eq!(lines_of(&harvest), lines_of_rpm(copy.path(), backend), "{file}");
    }
}

#[test]
fn suse_s_database_holds_what_is_expected() {
    let Some(folder) = shared("inventories/rpmdb") else { return };
    let packed = std::fs::read(folder.join("ndb-sle15-bci.Packages.db.zst")).unwrap();
    let bytes = zstd::decode_all(&*packed).unwrap();
    let harvest = ndb::read_ndb(&mut Cursor::new(bytes), Harvest::default()).unwrap();
    assert_eq!(harvest.problems, [""; 0]);
    let expected = std::fs::read_to_string(folder.join("ndb-sle15-bci.expected.tsv")).unwrap();
    let mut expected: Vec<_> = expected
        .lines()
        .skip(1)
        .map(|line| {
            let [epoch, name, version, release, arch, source] =
                line.split('\t').collect::<Vec<_>>().try_into().unwrap();
            format!("{epoch}:{name}-{version}-{release}.{arch} {source}")
        })
        .collect();
    expected.sort();
    let ours: Vec<_> = lines_of(&harvest)
        .iter()
        .map(|l| l.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(ours, expected);
    assert!(
        harvest
            .packages
            .iter()
            .all(|p| p.vendor.as_deref() == Some("SUSE LLC <https://www.suse.com/>"))
    );
}

/// Builds a package and installs it into a new database, both with rpm itself.
fn install_with_rpm(folder: &Path) {
    let spec = "Name: muster-probe\nVersion: 1.2\nRelease: 3\nEpoch: 7\nSummary: s\nLicense: MIT\nBuildArch: noarch\nVendor: Probe\n\
                %description\nd\n%package -n muster-probe-extra\nSummary: s\nVersion: 9\n%description -n muster-probe-extra\nd\n%files\n%files -n muster-probe-extra\n";
    std::fs::write(folder.join("probe.spec"), spec).unwrap();
    let build = Command::new("rpmbuild")
        .args(["--quiet", "-bb", "--define"])
        .arg(format!("_topdir {}", folder.display()))
        .arg(folder.join("probe.spec"))
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let install = Command::new("rpm")
        .args(["-i", "--justdb", "--nodeps", "--define", "_db_backend sqlite", "--dbpath"])
        .arg(folder.join("db"))
        .args(
            std::fs::read_dir(folder.join("RPMS/noarch"))
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        )
        .output()
        .unwrap();
    assert!(install.status.success(), "{}", String::from_utf8_lossy(&install.stderr));
}

#[test]
fn what_rpm_writes_here_is_read_as_rpm_reads_it() {
    if !has_tool("rpm") || !has_tool("rpmbuild") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    install_with_rpm(folder.path());
    let bytes = std::fs::read(folder.path().join("db/rpmdb.sqlite")).unwrap();
    let wal = std::fs::read(folder.path().join("db/rpmdb.sqlite-wal")).ok();
    let harvest = read_lite(&bytes, wal.as_deref()).unwrap();
    let ours = lines_of(&harvest);
    assert_eq!(
        ours,
        [
            "7:muster-probe-1.2-3.noarch muster-probe-1.2-3.src.rpm Probe",
            "7:muster-probe-extra-9-3.noarch muster-probe-1.2-3.src.rpm Probe"
        ]
    );
    assert_eq!(ours, lines_of_rpm(&folder.path().join("db"), "sqlite"));
}

proptest! {
    #[test]
    fn any_bytes_are_met(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        drop(parse_header(&bytes));
        drop(read_lite(&bytes, Some(&bytes)));
        drop(ndb::read_ndb(&mut Cursor::new(&bytes), Harvest::default()));
        drop(bdb::read_bdb(&mut Cursor::new(&bytes), Harvest::default()));
    }

    #[test]
    fn any_damage_is_met(turns in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40), cut in any::<prop::sample::Index>()) {
        let headers = [nodejs(3000), plain("a"), plain("b")];
        for (form, mut bytes) in [fixture("small/rpmdb.sqlite"), ndb_of(&headers), bdb_of(&headers, false), nodejs(99)].into_iter().enumerate() {
            for (index, byte) in &turns {
                let at = index.index(bytes.len());
                bytes[at] = *byte;
            }
            for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
                match form {
                    0 => drop(read_lite(bytes, Some(&fixture("wal/rpmdb.sqlite-wal")))),
                    1 => drop(ndb::read_ndb(&mut Cursor::new(bytes), Harvest::default())),
                    2 => drop(bdb::read_bdb(&mut Cursor::new(bytes), Harvest::default())),
                    _ => drop(parse_header(bytes)),
                }
            }
        }
    }
}

/// Writes every rpm host of the recorded scans as a database, and what it must hold beside it.
const HOSTS: &str = r#"
import sys; sys.dont_write_bytecode = True
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import score
for host in score.hosts([Path(sys.argv[1]) / "inventories"], []):
    database = host.files.get("var/lib/rpm/rpmdb.sqlite")
    if database:
        Path(sys.argv[2], host.name + ".sqlite").write_bytes(database)
        lines = sorted(f"{n} {v}" for n, v, *_ in host.packages if n != "gpg-pubkey")
        Path(sys.argv[2], host.name + ".txt").write_text("\n".join(lines))
"#;

#[test]
fn recorded_hosts_are_read_whole() {
    let Some(folder) = shared("score.py").and_then(|file| file.parent().map(Path::to_owned)) else {
        return;
    };
    if !has_tool("python3") {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let python =
        Command::new("python3").args(["-c", HOSTS]).arg(&folder).arg(out.path()).output().unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let mut hosts = 0;
    for entry in std::fs::read_dir(out.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "sqlite") {
            continue;
        }
        let harvest = read_lite(&std::fs::read(&path).unwrap(), None).unwrap();
        assert_eq!(harvest.problems, [""; 0], "{}", path.display());
        let mut ours: Vec<_> =
            harvest.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
        ours.sort();
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        assert_eq!(ours, expected.lines().collect::<Vec<_>>(), "{}", path.display());
        hosts += 1;
    }
    assert!(hosts >= 9, "only {hosts} hosts were written");
}

/// A header with texts, numbers and lists of texts.
fn with_files(name: &str, folders: &[&str], files: &[(u32, &str)]) -> Vec<u8> {
    let list =
        |texts: Vec<&str>| texts.iter().flat_map(|t| [t.as_bytes(), b"\0"].concat()).collect();
    let count = |n: usize| u32::try_from(n).unwrap();
    let indexes: Vec<u8> = files.iter().flat_map(|(folder, _)| folder.to_be_bytes()).collect();
    let values: Vec<(u32, u32, u32, Vec<u8>)> = vec![
        (1116, 4, count(files.len()), indexes),
        (1000, 6, 1, list(vec![name])),
        (1001, 6, 1, list(vec!["1"])),
        (1002, 6, 1, list(vec!["1"])),
        (1117, 8, count(files.len()), list(files.iter().map(|(_, name)| *name).collect())),
        (1118, 8, count(folders.len()), list(folders.to_vec())),
    ];
    let (mut index, mut store) = (Vec::new(), Vec::new());
    for (tag, kind, count, bytes) in values {
        for number in [tag, kind, u32::try_from(store.len()).unwrap(), count] {
            index.extend(number.to_be_bytes());
        }
        store.extend(bytes);
    }
    let intro = [6_u32, u32::try_from(store.len()).unwrap()].map(u32::to_be_bytes).concat();
    [intro, index, store].concat()
}

#[test]
fn the_files_of_a_package_are_found_by_name_in_every_form() {
    let headers = [
        with_files("bash", &["/usr/bin/", "/etc/"], &[(0, "bash"), (1, "bashrc"), (0, "sh")]),
        with_files("odd", &["/x/"], &[(7, "bash"), (0, "sh")]),
    ];
    for (file, bytes) in [("Packages.db", ndb_of(&headers)), ("Packages", bdb_of(&headers, false))]
    {
        let mut root = crate::inspectors::apt::testing::Files::default();
        root.put(&format!("var/lib/rpm/{file}"), &bytes);
        let names = [b"sh".to_vec(), b"bash".to_vec()].into_iter().collect();
        let mut told = Vec::new();
        super::each_owner(&root, names, &mut |package, path| {
            told.push(format!("{package} {}", String::from_utf8_lossy(path)));
        });
        assert_eq!(told, ["bash /usr/bin/bash", "bash /usr/bin/sh", "odd /x/sh"], "{file}");
    }
}
