//! The packages of dpkg: `/var/lib/dpkg/status`, and `status.d` of images without dpkg (deb-control(5), dpkg(1), dpkg-query(1)).
//!
//! Counted is every package with files on the disk: every state but `not-installed` and `config-files`. Fields that a
//! build left in the stanza prove which source a kernel image is of (`Built-Using`). It does not read `available`,
//! and it does not verify files.

use std::collections::HashSet;

use memchr::memchr;
use muster_core::fact::{
    Database, Facts, KernelSource, Obstacle, Package, PackageState, Reading, is_dpkg_version,
};
use muster_core::kernel::{image_release, is_kernel_source};

use crate::Inspector;
use crate::root::Root;

const STATUS: &str = "/var/lib/dpkg/status";
const STATUS_OLD: &str = "/var/lib/dpkg/status-old";
const STATUS_D: &str = "/var/lib/dpkg/status.d";
const INFO: &str = "/var/lib/dpkg/info";

/// A status file of 5,000 packages has 7 MB.
const MAX_STATUS: u64 = 24 << 20;
/// One stanza, as `status.d` keeps it.
const MAX_STANZA: u64 = 1 << 20;
/// Files of `status.d`: the images that have one have few packages.
const MAX_FILES: usize = 5_000;
/// More packages than any server has.
const MAX_PACKAGES: usize = 50_000;
/// How many problems of one file are told one by one.
const MAX_PROBLEMS: usize = 20;

/// Reads the packages of dpkg.
pub struct Dpkg;

impl Inspector for Dpkg {
    fn name(&self) -> &'static str {
        "dpkg"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[STATUS, "/var/lib/dpkg/status.d/*", "/var/lib/dpkg/info/", "/var/lib/dpkg/"]
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        let mut read = Read::default();
        let status = read_status(root, &mut read);
        let directory = read_directory(root, &mut read);
        let unknown = read.problems.first().cloned();
        facts.obstacles.append(&mut read.problems);
        facts.database = match (status || directory, unknown) {
            (_, Some(obstacle)) if read.packages.is_empty() => Reading::Unknown(obstacle),
            (true, _) => Reading::Found(Database::Dpkg),
            (false, _) => return,
        };
        facts.kernels.sources.extend(proven_kernels(&read.packages));
        facts.packages.append(&mut read.packages);
    }
}

/// What was read so far.
#[derive(Default)]
struct Read {
    packages: Vec<Package>,
    problems: Vec<Obstacle>,
}

/// Reads the status file; true when there is one that is in use.
fn read_status(root: &dyn Root, read: &mut Read) -> bool {
    let bytes = match root.read(STATUS, MAX_STATUS) {
        Reading::Found(bytes) => bytes,
        Reading::Absent => {
            let orphans = file_lists(root);
            if !orphans.is_empty() && matches!(root.list(STATUS_D), Reading::Absent) {
                let why = format!(
                    "is gone, while {INFO} has the file lists of {} packages{}",
                    orphans.len(),
                    older_copy(root)
                );
                read.problems.push(Obstacle::new(STATUS, why));
            }
            return false;
        }
        Reading::Unknown(obstacle) => {
            read.problems.push(obstacle);
            return true;
        }
    };
    let mut parsed = Parsed::of(&bytes, STATUS);
    // dpkg ends every stanza with an empty line; a file that does not may have lost its end.
    let whole = bytes.ends_with(b"\n\n") || bytes.ends_with(b"\n\r\n");
    if !whole || !parsed.problems.is_empty() {
        let lists = file_lists(root);
        let lost = lists.iter().filter(|name| !parsed.names.contains(name.as_str())).count();
        if lost > 0 {
            let state = if bytes.trim_ascii().is_empty() { "is empty" } else { "is damaged" };
            parsed.problems.push(Obstacle::new(
                STATUS,
                format!(
                    "{state}: {INFO} has the file lists of {lost} packages that it does not name{}",
                    older_copy(root)
                ),
            ));
        }
    }
    let in_use = !parsed.names.is_empty() || !parsed.packages.is_empty();
    parsed.hand_over(read);
    in_use
}

/// Where the copy that dpkg keeps of the state before its last run lies, said only where it is there.
fn older_copy(root: &dyn Root) -> String {
    let there = root
        .list("/var/lib/dpkg")
        .found()
        .is_some_and(|entries| entries.iter().any(|entry| entry.name == "status-old"));
    if there { format!("; compare it with {STATUS_OLD}") } else { String::new() }
}

/// Returns the names of the packages whose file lists are there.
fn file_lists(root: &dyn Root) -> HashSet<String> {
    let Reading::Found(entries) = root.list(INFO) else { return HashSet::new() };
    entries
        .iter()
        .filter_map(|entry| entry.name.strip_suffix(".list"))
        .map(|name| name.split(':').next().unwrap_or(name).to_owned())
        .collect()
}

/// Reads `status.d`: a file a package, with the checksums of its files beside it; true when there are any.
fn read_directory(root: &dyn Root, read: &mut Read) -> bool {
    let entries = match root.list(STATUS_D) {
        Reading::Found(entries) => entries,
        Reading::Absent => return false,
        Reading::Unknown(obstacle) => {
            read.problems.push(obstacle);
            return true;
        }
    };
    let mut any = false;
    let stanzas = entries.iter().filter(|entry| !entry.name.ends_with(".md5sums"));
    for (number, entry) in stanzas.enumerate() {
        if number == MAX_FILES {
            let why = format!("has more than {MAX_FILES} files; the rest was not read");
            read.problems.push(Obstacle::new(STATUS_D, why));
            break;
        }
        let path = format!("{STATUS_D}/{}", entry.name);
        match root.read(&path, MAX_STANZA) {
            Reading::Found(bytes) => {
                any = true;
                Parsed::of(&bytes, &path).hand_over(read);
            }
            Reading::Absent => {}
            Reading::Unknown(obstacle) => read.problems.push(obstacle),
        }
    }
    any
}

/// What a file of stanzas says.
struct Parsed<'a> {
    file: &'a str,
    packages: Vec<Package>,
    /// Every package that has a stanza, in whatever state.
    names: HashSet<&'a str>,
    problems: Vec<Obstacle>,
    untold: usize,
    stanzas: usize,
    /// Lines that a merge of two states of the file left behind, and the first of them.
    marks: usize,
    first_mark: usize,
}

/// A stanza while it is read: the fields that matter, as they stand.
#[derive(Default)]
struct Stanza<'a> {
    line: usize,
    any: bool,
    package: Option<&'a [u8]>,
    status: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    architecture: Option<&'a [u8]>,
    source: Option<&'a [u8]>,
    built_using: Vec<&'a [u8]>,
    origin: Option<&'a [u8]>,
    maintainer: Option<&'a [u8]>,
}

/// Which field a continuation line belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    BuiltUsing,
    Other,
}

impl<'a> Parsed<'a> {
    fn of(bytes: &'a [u8], file: &'a str) -> Self {
        // Room for what a usual file holds: memory that is not touched costs nothing, and growing copies.
        let stanzas = (bytes.len() / 400).min(4096);
        let mut parsed = Self {
            file,
            packages: Vec::with_capacity(stanzas),
            names: HashSet::with_capacity(stanzas),
            problems: Vec::new(),
            untold: 0,
            stanzas: 0,
            marks: 0,
            first_mark: 0,
        };
        parsed.read(bytes);
        if parsed.marks > 0 {
            let why = format!(
                "has {} marks of a merge (`<<<<<<<`), the first in line {}: two states of it stand side by side, and of two values the last is taken",
                parsed.marks, parsed.first_mark
            );
            parsed.problems.push(Obstacle::new(file, why));
        }
        if parsed.untold > 0 {
            let why = format!("has {} more problems like these", parsed.untold);
            parsed.problems.push(Obstacle::new(file, why));
        }
        parsed
    }

    fn read(&mut self, bytes: &'a [u8]) {
        if memchr(0, bytes).is_some() {
            self.problem("has NUL bytes in it: it is damaged");
        }
        let mut stanza = Stanza { line: 1, ..Stanza::default() };
        let mut field = Field::Other;
        let mut rest = bytes;
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let (line, cut) = match memchr(b'\n', rest) {
                Some(end) => {
                    let (line, after) = rest.split_at(end);
                    rest = after.get(1..).unwrap_or_default();
                    (line, false)
                }
                None => (std::mem::take(&mut rest), true),
            };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match line.first() {
                None => {
                    self.close(&mut stanza, number + 1);
                    field = Field::Other;
                    continue;
                }
                Some(b' ' | b'\t') => {
                    if line.iter().all(u8::is_ascii_whitespace) {
                        self.close(&mut stanza, number + 1);
                    } else if field == Field::BuiltUsing {
                        stanza.built_using.push(line);
                    }
                    continue;
                }
                Some(_) => {}
            }
            // One stanza by itself may end without a line end; the file of all of them never does.
            if cut && self.file == STATUS {
                self.problem(&format!(
                    "ends in the middle of line {number}: it may have lost its end"
                ));
                break;
            }
            field = self.take_line(&mut stanza, line, number);
        }
        self.close(&mut stanza, number + 1);
    }

    fn take_line(&mut self, stanza: &mut Stanza<'a>, line: &'a [u8], number: usize) -> Field {
        let is_mark = matches!(line.first(), Some(b'<' | b'=' | b'>' | b'|'));
        if is_mark
            && [&b"<<<<<<<"[..], b"=======", b">>>>>>>", b"|||||||"]
                .iter()
                .any(|mark| line.starts_with(mark))
        {
            if self.marks == 0 {
                self.first_mark = number;
            }
            self.marks += 1;
            return Field::Other;
        }
        // Names are short: looking byte by byte is done before a search of many at once has begun.
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            self.problem(&format!(
                "line {number}, in stanza {}, is no field: the file was edited or is damaged",
                self.stanzas + 1
            ));
            return Field::Other;
        };
        stanza.any = true;
        let (name, value) = line.split_at(colon);
        // One look at the length sorts out nearly all of the fields that do not matter.
        let slot = match name.len() {
            6 if name.eq_ignore_ascii_case(b"Status") => &mut stanza.status,
            6 if name.eq_ignore_ascii_case(b"Source") => &mut stanza.source,
            6 if name.eq_ignore_ascii_case(b"Origin") => &mut stanza.origin,
            7 if name.eq_ignore_ascii_case(b"Package") => &mut stanza.package,
            7 if name.eq_ignore_ascii_case(b"Version") => &mut stanza.version,
            10 if name.eq_ignore_ascii_case(b"Maintainer") => &mut stanza.maintainer,
            11 if name.eq_ignore_ascii_case(b"Built-Using") => {
                stanza.built_using.push(value.get(1..).unwrap_or_default());
                return Field::BuiltUsing;
            }
            12 if name.eq_ignore_ascii_case(b"Architecture") => &mut stanza.architecture,
            18 if name.eq_ignore_ascii_case(b"Static-Built-Using") => {
                stanza.built_using.push(value.get(1..).unwrap_or_default());
                return Field::BuiltUsing;
            }
            _ => return Field::Other,
        };
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if slot.is_some() {
            let name = String::from_utf8_lossy(name).into_owned();
            self.problem(&format!(
                "stanza {} (line {number}) has a second {name} field: two stanzas may have run together",
                self.stanzas + 1
            ));
        }
        if !value.is_empty() {
            *slot = Some(value);
        }
        Field::Other
    }

    /// Ends a stanza at an empty line, and begins the next.
    fn close(&mut self, stanza: &mut Stanza<'a>, next_line: usize) {
        let done = std::mem::replace(stanza, Stanza { line: next_line, ..Stanza::default() });
        if !done.any {
            return;
        }
        self.stanzas += 1;
        if let Some(package) = self.package(&done) {
            if self.packages.len() < MAX_PACKAGES {
                self.packages.push(package);
            } else if self.packages.len() == MAX_PACKAGES {
                self.problem(&format!(
                    "has more than {MAX_PACKAGES} packages; the rest was not read"
                ));
            }
        }
    }

    /// Returns the package of a stanza, where it has files on the disk.
    fn package(&mut self, stanza: &Stanza<'a>) -> Option<Package> {
        let place = |field: &str, n: usize| {
            format!("stanza {n} (line {}) has no {field} field", stanza.line)
        };
        let Some(name) = stanza.package else {
            self.problem(&place("Package", self.stanzas));
            return None;
        };
        if let Ok(name) = str::from_utf8(name) {
            self.names.insert(name);
        }
        let (state, held) = match self.state(stanza) {
            State::There(state, held) => (state, held),
            State::Gone => return None,
        };
        let Some(version) = stanza.version else {
            let shown = String::from_utf8_lossy(name);
            self.problem(&format!("{}: package {shown}", place("Version", self.stanzas)));
            return None;
        };
        if !is_name(name) {
            self.problem(&format!(
                "stanza {} (line {}) has a name that no package can have: {:?}",
                self.stanzas,
                stanza.line,
                String::from_utf8_lossy(name)
            ));
        }
        let version = version_of(version);
        let (source, source_version) = source_of(stanza.source, name, &version);
        for version in source_version.iter().chain([&version]) {
            // In dpkg's order it would come before or after every fix, and nothing would be said: matching leaves it out.
            if !is_dpkg_version(version) {
                self.problem(&format!(
                    "stanza {} (line {}) has a version that dpkg refuses, {version:?}: package {} is not judged",
                    self.stanzas,
                    stanza.line,
                    String::from_utf8_lossy(name)
                ));
            }
        }
        Some(Package {
            name: owned(name),
            architecture: stanza.architecture.map(owned).unwrap_or_default(),
            version,
            source,
            source_version,
            state,
            held,
            built_using: built_using(&stanza.built_using),
            module: None,
            vendor: stanza.origin.map(owned),
            maintainer: stanza.maintainer.map(owned),
            origin: None,
        })
    }

    /// Reads the three words of a Status field (dpkg(1), "package states").
    fn state(&mut self, stanza: &Stanza<'a>) -> State {
        let Some(status) = stanza.status else {
            // Images without dpkg keep the stanzas of the archive: what has one is there.
            if self.file == STATUS {
                self.problem(&format!(
                    "stanza {} (line {}) has no Status field: taken as installed",
                    self.stanzas, stanza.line
                ));
            }
            return State::There(PackageState::Installed, false);
        };
        let mut words = status.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let held = words.next() == Some(b"hold");
        let _flag = words.next();
        let state = match words.next() {
            Some(b"installed") => PackageState::Installed,
            Some(b"not-installed" | b"config-files") => return State::Gone,
            Some(b"half-installed") => PackageState::HalfInstalled,
            Some(b"unpacked") => PackageState::Unpacked,
            Some(b"half-configured") => PackageState::HalfConfigured,
            Some(b"triggers-awaited") => PackageState::TriggersAwaited,
            Some(b"triggers-pending") => PackageState::TriggersPending,
            Some(_) | None => {
                let shown = String::from_utf8_lossy(status);
                self.problem(&format!(
                    "stanza {} (line {}) has a Status that dpkg does not know, {shown:?}: taken as installed",
                    self.stanzas, stanza.line
                ));
                PackageState::Installed
            }
        };
        State::There(state, held)
    }

    fn problem(&mut self, why: &str) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Obstacle::new(self.file, why));
        } else {
            self.untold += 1;
        }
    }

    fn hand_over(self, read: &mut Read) {
        read.problems.extend(self.problems);
        if read.packages.is_empty() {
            read.packages = self.packages;
        } else {
            read.packages.extend(self.packages);
        }
    }
}

enum State {
    There(PackageState, bool),
    Gone,
}

fn owned(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Tells a name that dpkg takes: letters, digits and `-+._`, a letter or a digit first. Policy (§5.6.1) is stricter.
fn is_name(name: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-+._".contains(b);
    name.first().is_some_and(u8::is_ascii_alphanumeric) && name.iter().all(plain)
}

/// Returns a version without an epoch of 0.
fn version_of(bytes: &[u8]) -> String {
    owned(bytes.strip_prefix(b"0:").unwrap_or(bytes))
}

/// `Source: linux-signed-amd64 (6.1.76+1)`: name and version, each only where it differs from the package's own.
fn source_of(
    field: Option<&[u8]>,
    package: &[u8],
    version: &str,
) -> (Option<String>, Option<String>) {
    let Some(field) = field else { return (None, None) };
    let (name, rest) = match memchr(b'(', field) {
        Some(at) => field.split_at(at),
        None => (field, &b""[..]),
    };
    let name = name.trim_ascii();
    let source = (name != package && !name.is_empty()).then(|| owned(name));
    let inside = rest.strip_prefix(b"(").unwrap_or_default();
    let inside = inside.split(|b| *b == b')').next().unwrap_or_default().trim_ascii();
    let source_version = (!inside.is_empty()).then(|| version_of(inside)).filter(|v| v != version);
    (source, source_version)
}

/// `Built-Using: linux (= 6.1.76-1), gcc-12 (= 12.2.0-14)`.
fn built_using(fields: &[&[u8]]) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for item in fields.iter().flat_map(|field| field.split(|b| *b == b',')) {
        let Some(at) = memchr(b'(', item) else { continue };
        let (name, rest) = item.split_at(at);
        let version = rest.split(|b| *b == b')').next().unwrap_or_default();
        let version = version.strip_prefix(b"(").unwrap_or(version).trim_ascii();
        let version = version.strip_prefix(b"=").unwrap_or(version).trim_ascii();
        let name = name.trim_ascii();
        if !name.is_empty() && !version.is_empty() {
            sources.push((owned(name), version_of(version)));
        }
    }
    sources
}

/// Ties image packages to the source of their code: by `Built-Using`, or by the modules of the same release.
fn proven_kernels(packages: &[Package]) -> Vec<KernelSource> {
    let mut proven = Vec::new();
    for image in packages.iter().filter(|p| p.name.starts_with("linux-image-")) {
        let Some(release) = image_release(&image.name) else { continue };
        let code = image.built_using.iter().find(|(source, _)| is_kernel_source(source));
        if let Some((source, version)) = code {
            proven.push(KernelSource {
                image: image.name.clone(),
                source: source.clone(),
                version: version.clone(),
                proof: format!("Built-Using of {} in {STATUS}", image.name),
            });
            continue;
        }
        let modules = packages
            .iter()
            .filter(|p| p.name.starts_with("linux-modules-"))
            .find(|p| image_release(&p.name) == Some(release) && is_kernel_source(p.source()));
        if let Some(modules) = modules.filter(|_| !is_kernel_source(image.source())) {
            proven.push(KernelSource {
                image: image.name.clone(),
                source: modules.source().to_owned(),
                version: modules.source_version().to_owned(),
                proof: format!("Source of {}, of the same release, in {STATUS}", modules.name),
            });
        }
    }
    proven
}
