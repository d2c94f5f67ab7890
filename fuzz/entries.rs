//! What the fuzzer calls, and what plain `cargo test` calls with the corpora: one function for each parser. None of
//! them may panic, hang, or take memory without bound, whatever the bytes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Cursor;

use muster_core::advisory::{By, Item, Problem, Sink};
use muster_core::fact::{Database, Facts, Reading};
use muster_core::running::Process;
use muster_core::time::Instant;
use muster_feed::Document;
use muster_feed::feeds::FEEDS;
use muster_inspect::Inspector as _;
use muster_inspect::catalogue::{APPLICATIONS, Version};
use muster_inspect::inspectors::INSPECTORS;
use muster_inspect::inspectors::bundles::Bundles;
use muster_inspect::inspectors::containers::{Bolt, Containers};
use muster_inspect::inspectors::web_applications::WebApplications;
use muster_inspect::root::{Answer, Collected, Content, Entry, EntryKind, Root};
use muster_match::AdvisoryFile;
use muster_match::section::Section;
use muster_version::Scheme;

/// Two versions, one a line, under every scheme: an order, and keys that keep it.
pub(crate) fn version(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let (a, b) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    for scheme in Scheme::ALL {
        let order = scheme.compare(a, b);
        assert_eq!(
            scheme.compare(b, a),
            order.map(std::cmp::Ordering::reverse),
            "{scheme}: {a:?} {b:?}"
        );
        let (mut key_a, mut key_b) = (Vec::new(), Vec::new());
        let keys = (scheme.write_key(a, &mut key_a), scheme.write_key(b, &mut key_b));
        if keys.0.is_some() && keys.1.is_some() {
            assert_eq!(Some(key_a.cmp(&key_b)), order, "{scheme}: keys of {a:?} {b:?}");
        }
    }
}

/// One release of a compiled file, without the checksum that guards it.
pub(crate) fn section(bytes: &[u8]) {
    let Ok(section) = Section::new(bytes) else { return };
    for package in section.packages().take(10_000) {
        std::hint::black_box(section.versions(&package).len());
        std::hint::black_box(section.package(package.name, By::Source).is_some());
        for group in section.groups(&package).take(1000) {
            for number in section.members(&group).take(1000) {
                let advisory = section.advisory(number);
                std::hint::black_box((section.id(&advisory), section.exploited(number)));
                std::hint::black_box(section.cves(number).take(1000).count());
            }
        }
    }
    std::hint::black_box(section.lines().take(1000).count());
}

/// A whole compiled file.
pub(crate) fn advisory_file(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).expect("a small file can be written");
    let Ok(file) = AdvisoryFile::open(&path) else { return };
    for release in file.releases().take(100) {
        if let Ok(Some(bytes)) = file.release(&release.id) {
            section(&bytes);
        }
    }
    std::hint::black_box(file.provenance().is_ok());
    std::hint::black_box(file.calendar(&mut |_| {}).is_ok());
    std::hint::black_box(file.every_record(&mut |_, _| {}).is_ok());
}

/// A document of one feed, by the feed's name; whether it is one, and what it holds.
pub(crate) fn feed(name: &str, path: &str, bytes: &[u8]) {
    let feed = FEEDS
        .iter()
        .find(|f| f.name().replace('_', "-") == name.replace('_', "-"))
        .expect("the list has the feed");
    let head = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
    std::hint::black_box(feed.recognises(path, head));
    let mut reader = bytes;
    feed.read(&mut Document { path, reader: &mut reader }, &mut Count::default());
}

/// A root in which every file that one inspector asks for holds the same bytes.
pub(crate) fn inspector(name: &str, bytes: &[u8]) {
    let inspector = INSPECTORS
        .iter()
        .find(|i| i.name().replace('_', "-") == name.replace('_', "-"))
        .expect("the list has the inspector");
    for live in [false, true] {
        let root = Everywhere { bytes: bytes.to_vec(), left: Cell::new(1000), live };
        let mut facts = Facts::default();
        // What an inspector of what runs leaves is what the next one begins with.
        let replaced = vec![String::from("/lib/libc.so.6")];
        let process = Process { pid: 1, replaced, ..Process::default() };
        facts.running.processes = Reading::Found(vec![process]);
        inspector.inspect(&root, &mut facts);
    }
}

/// What a server wrote over SSH: as it is, and as the lines and the tar of an answer with its marks.
pub(crate) fn answer(bytes: &[u8]) {
    let length = bytes.len();
    let start = format!("\nmuster answers 1 {length}\n");
    let end = format!("\nmuster has answered 1 {length}\n");
    let marked = [start.as_bytes(), bytes, b"\n", bytes, end.as_bytes()].concat();
    for bytes in [bytes, &marked] {
        let mut written = tempfile::tempfile().expect("a temporary file can be made");
        std::io::Write::write_all(&mut written, bytes).expect("a small file can be written");
        let tar = tempfile::tempfile().expect("a temporary file can be made");
        let Ok(answer) = Answer::find(written, tar) else { continue };
        let Ok(root) = Collected::read(&answer, std::time::Duration::from_secs(5)) else {
            continue;
        };
        std::hint::black_box(muster_inspect::inspect_here(&root));
        for path in ["", "etc", "etc/os-release", "proc", "proc/1/exe", "proc/1/maps"] {
            std::hint::black_box((root.list(path), root.link(path), root.read(path, 1 << 20)));
        }
    }
}

/// The configuration of each web server: the main file, and one that it includes.
pub(crate) fn web_server(bytes: &[u8]) {
    let mains = [
        "etc/apache2/apache2.conf",
        "etc/nginx/nginx.conf",
        "etc/lighttpd/lighttpd.conf",
        "etc/caddy/Caddyfile",
        "etc/caddy/caddy.json",
    ];
    for main in mains {
        let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut planted = Planted::default();
        planted.put(main, bytes);
        planted.put(&format!("{folder}/conf.d/one.conf"), bytes);
        web_applications(&planted, None);
    }
}

/// Every file that the catalogue looks at: with the words that it must hold before the bytes, and as they are.
pub(crate) fn web_application(bytes: &[u8]) {
    let mut planted = Planted::default();
    for application in APPLICATIONS {
        let versions = |folder: &str, planted: &mut Planted, versions: &[Version]| {
            for file in versions.iter().filter_map(|v| v.file) {
                planted.put(&format!("{folder}/{file}"), bytes);
            }
        };
        for (number, sign) in application.signs.iter().enumerate() {
            let folder = format!("srv/{}/{number}", application.product);
            planted.put_behind(&format!("{folder}/{}", sign.file), sign.holds, bytes);
            sign.beside.iter().for_each(|path| planted.put(&format!("{folder}/{path}"), bytes));
            versions(&folder, &mut planted, sign.versions);
        }
        for part in application.parts {
            let within = format!("srv/{}/0/{}", application.product, part.folder);
            let own = format!("{within}/{}", part.star.replace('*', "part"));
            if part.files.is_empty() {
                planted.put_behind(&own, part.holds, bytes);
            }
            for file in part.files {
                let file = format!("{own}/{}", file.replace('*', "part"));
                planted.put_behind(&file, part.holds, bytes);
            }
            versions(&own, &mut planted, part.versions);
        }
    }
    web_applications(&planted, None);
}

/// What Python's and Composer's packages tell of themselves.
pub(crate) fn language(bytes: &[u8]) {
    let mut planted = Planted::default();
    for path in [
        "a.dist-info/METADATA",
        "b.egg-info/PKG-INFO",
        "c.egg-info",
        "vendor/composer/installed.json",
    ] {
        planted.put(path, bytes);
    }
    web_applications(&planted, None);
}

/// The lists of who owns a file, of each package manager.
pub(crate) fn owner(bytes: &[u8]) {
    let mut planted = Planted::default();
    planted.put("opt/a.dist-info/METADATA", b"Name: a\nVersion: 1\n");
    for path in [
        "var/lib/dpkg/info/a.list",
        "var/lib/dpkg/status.d/a.md5sums",
        "var/lib/dpkg/diversions",
        "lib/apk/db/installed",
        "var/lib/rpm/rpmdb.sqlite",
    ] {
        planted.put(path, bytes);
    }
    for database in [Database::Dpkg, Database::Apk, Database::Rpm] {
        web_applications(&planted, Some(database));
    }
}

/// What engines of containers write: lists, configurations, and the databases of containerd.
pub(crate) fn container(bytes: &[u8]) {
    if let Ok(bolt) = Bolt::new(bytes) {
        let mut ahead = vec![(bolt.top(), 0)];
        let mut met = 0;
        while let Some((bucket, depth)) = ahead.pop() {
            bucket.values(|key, value| met += usize::from(key.len() < value.len()));
            met += 1;
            if depth < 6 && met < 10_000 {
                ahead.extend(bucket.buckets().into_iter().map(|(_, below)| (below, depth + 1)));
            }
        }
    }
    let mut planted = Planted::default();
    planted.put("var/lib/docker/overlay2/a/diff/x", b"");
    planted.put("var/lib/containers/storage/overlay-layers/x", b"");
    planted.put("var/lib/lxc/a/rootfs/x", b"");
    for path in [
        "etc/passwd",
        "etc/docker/daemon.json",
        "etc/containers/storage.conf",
        "etc/containerd/config.toml",
        "var/lib/docker/image/overlay2/repositories.json",
        "var/lib/docker/image/overlay2/imagedb/content/sha256/a",
        "var/lib/docker/image/overlay2/layerdb/mounts/a/mount-id",
        "var/lib/docker/overlay2/a/lower",
        "var/lib/docker/containers/a/config.v2.json",
        "var/lib/containers/storage/overlay-images/images.json",
        "var/lib/containers/storage/overlay-containers/containers.json",
        "var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db",
        "var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/metadata.db",
        "var/lib/lxc/a/config",
        "var/lib/snapd/state.json",
    ] {
        planted.put(path, bytes);
    }
    let mut facts = Facts::default();
    Containers.inspect(&planted, &mut facts);
    Bundles.inspect(&planted, &mut facts);
    for container in &facts.containers {
        assert!(container.layers.iter().all(|layer| !layer.split('/').any(|name| name == "..")));
    }
}

fn web_applications(planted: &Planted, database: Option<Database>) {
    let mut facts =
        Facts { database: database.map_or(Reading::Absent, Reading::Found), ..Facts::default() };
    WebApplications.inspect(planted, &mut facts);
    for application in &facts.applications {
        assert!(application.version.as_ref().is_none_or(|v| !v.chars().any(char::is_control)));
    }
}

/// A root of a few files.
#[derive(Default)]
struct Planted(BTreeMap<String, Vec<u8>>);

impl Planted {
    fn put(&mut self, path: &str, bytes: &[u8]) {
        self.0.entry(path.to_owned()).or_insert_with(|| bytes.to_vec());
    }

    fn put_behind(&mut self, path: &str, words: &[&str], bytes: &[u8]) {
        // A zip is found by offsets from its beginning.
        let words: String = words.iter().map(|word| format!("{word}\n")).collect();
        self.0.insert(path.to_owned(), [words.as_bytes(), bytes].concat());
    }
}

impl Root for Planted {
    fn live(&self) -> bool {
        false
    }

    fn is_in_place(&self) -> bool {
        true
    }

    fn open(&self, path: &str) -> Reading<Box<dyn Content>> {
        match self.0.get(path.trim_start_matches('/')) {
            Some(bytes) => Reading::Found(Box::new(File(Cursor::new(bytes.clone())))),
            None => Reading::Absent,
        }
    }

    fn list(&self, path: &str) -> Reading<Vec<Entry>> {
        let path = path.trim_start_matches('/');
        let below = if path.is_empty() { String::new() } else { format!("{path}/") };
        let mut found: Vec<Entry> = Vec::new();
        for (name, _) in self.0.range(below.clone()..).take_while(|(n, _)| n.starts_with(&below)) {
            let name = name.get(below.len()..).unwrap_or_default();
            let (name, kind) = match name.split_once('/') {
                Some((name, _)) => (name, EntryKind::Directory),
                None => (name, EntryKind::File),
            };
            if found.last().is_none_or(|last| last.name != name) {
                found.push(Entry { name: name.to_owned(), kind });
            }
        }
        if found.is_empty() { Reading::Absent } else { Reading::Found(found) }
    }

    fn link(&self, _: &str) -> Reading<String> {
        Reading::Absent
    }
}

#[derive(Default)]
struct Count {
    items: u64,
    problems: u64,
}

impl Sink for Count {
    fn item(&mut self, item: Item<'_>) {
        self.items += 1;
        std::hint::black_box(item);
    }

    fn problem(&mut self, problem: Problem) {
        self.problems += 1;
        std::hint::black_box(problem);
    }
}

/// Every path is a file with the same bytes; every directory holds one.
struct Everywhere {
    bytes: Vec<u8>,
    left: Cell<u32>,
    live: bool,
}

impl Root for Everywhere {
    fn live(&self) -> bool {
        self.live
    }

    fn open(&self, _: &str) -> Reading<Box<dyn Content>> {
        // An inspector that opens without end is one that hangs.
        let left =
            self.left.get().checked_sub(1).expect("an inspector opens a bounded number of files");
        self.left.set(left);
        Reading::Found(Box::new(File(Cursor::new(self.bytes.clone()))))
    }

    fn list(&self, path: &str) -> Reading<Vec<Entry>> {
        let one = match path {
            "/proc" => Entry { name: "1".into(), kind: EntryKind::Directory },
            _ => Entry { name: "one".into(), kind: EntryKind::File },
        };
        Reading::Found(vec![one])
    }

    /// Processes are told by links; elsewhere none lies.
    fn link(&self, path: &str) -> Reading<String> {
        if !path.starts_with("/proc/") {
            return Reading::Absent;
        }
        let head = self.bytes.get(..self.bytes.len().min(4096)).unwrap_or_default();
        Reading::Found(String::from_utf8_lossy(head).into_owned())
    }
}

struct File(Cursor<Vec<u8>>);

impl std::io::Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Seek for File {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

impl Content for File {
    fn size(&self) -> u64 {
        self.0.get_ref().len() as u64
    }

    fn modified(&self) -> Option<Instant> {
        None
    }
}
