//! The packages of apk: `lib/apk/db/installed`, on newer systems `usr/lib/apk/db/installed` (apk-v2, "installed database").
//!
//! A stanza of one-letter fields a package, ended by an empty line; the files of the package are in it too and are
//! passed over. `/etc/apk/world` says which versions the administrator pins (apk-world(5)).

use memchr::memchr;
use muster_core::fact::{Database, Facts, Obstacle, Package, PackageState, Reading};

use crate::Inspector;
use crate::root::Root;

const PLACES: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];
const WORLD: &str = "/etc/apk/world";

/// Each file of each package has a line: 2,000 packages have 30 MB.
const MAX_INSTALLED: u64 = 32 << 20;
const MAX_WORLD: u64 = 1 << 20;
const MAX_PACKAGES: usize = 100_000;
/// How many problems of one file are told one by one.
const MAX_PROBLEMS: usize = 20;

/// Reads the packages of apk.
pub struct Apk;

impl Inspector for Apk {
    fn name(&self) -> &'static str {
        "apk"
    }

    fn reads(&self) -> &'static [&'static str] {
        &["/lib/apk/db/installed", "/usr/lib/apk/db/installed", WORLD]
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        for place in PLACES {
            match root.read(place, MAX_INSTALLED) {
                Reading::Found(bytes) => {
                    fill(root, place, &bytes, facts);
                    return;
                }
                Reading::Absent => {}
                Reading::Unknown(obstacle) => {
                    facts.obstacles.push(obstacle.clone());
                    if matches!(facts.database, Reading::Absent) {
                        facts.database = Reading::Unknown(obstacle);
                    }
                    return;
                }
            }
        }
    }
}

fn fill(root: &dyn Root, place: &str, bytes: &[u8], facts: &mut Facts) {
    let mut parsed = Parsed { place, packages: Vec::new(), problems: Vec::new(), untold: 0 };
    parsed.read(bytes);
    if parsed.untold > 0 {
        let why = format!("has {} more problems like these", parsed.untold);
        parsed.problems.push(Obstacle::new(place, why));
    }
    if parsed.packages.is_empty() && parsed.problems.is_empty() {
        // Where another database was found it is that one's neighbour: apk-tools on another distribution.
        if matches!(facts.database, Reading::Found(_)) {
            return;
        }
        parsed.problems.push(Obstacle::new(place, "is empty: it names no package"));
    }
    let pins = pins(root, facts);
    for package in &mut parsed.packages {
        package.held = pins.contains(&package.name);
    }
    facts.database = match parsed.problems.first() {
        Some(problem) if parsed.packages.is_empty() => Reading::Unknown(problem.clone()),
        _ => Reading::Found(Database::Apk),
    };
    facts.obstacles.append(&mut parsed.problems);
    facts.packages.append(&mut parsed.packages);
}

/// Returns the packages that the world file keeps at one version (`name=version`) or below one (`name<version`).
fn pins(root: &dyn Root, facts: &mut Facts) -> Vec<String> {
    let world = match root.read(WORLD, MAX_WORLD) {
        Reading::Found(bytes) => bytes,
        Reading::Absent => return Vec::new(),
        Reading::Unknown(obstacle) => {
            facts.obstacles.push(obstacle);
            return Vec::new();
        }
    };
    String::from_utf8_lossy(&world)
        .split_whitespace()
        .filter_map(|wish| {
            let (name, _) = wish.split_once(['=', '<', '~'])?;
            (!name.is_empty() && !name.starts_with('!') && !name.ends_with('>'))
                .then(|| name.to_owned())
        })
        .collect()
}

struct Parsed<'a> {
    place: &'a str,
    packages: Vec<Package>,
    problems: Vec<Obstacle>,
    untold: usize,
}

/// The fields of a stanza that matter.
#[derive(Default)]
struct Stanza<'a> {
    line: usize,
    any: bool,
    name: &'a [u8],
    version: &'a [u8],
    architecture: &'a [u8],
    origin: &'a [u8],
    maintainer: &'a [u8],
}

impl<'a> Parsed<'a> {
    fn read(&mut self, bytes: &'a [u8]) {
        if memchr(0, bytes).is_some() {
            self.problem(String::from("has NUL bytes in it: it is damaged"));
        }
        let mut stanza = Stanza { line: 1, ..Stanza::default() };
        let (mut rest, mut number) = (bytes, 0);
        while !rest.is_empty() {
            number += 1;
            let Some(end) = memchr(b'\n', rest) else {
                self.problem(format!(
                    "ends in the middle of line {number}: it may have lost its end"
                ));
                break;
            };
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            match line.strip_suffix(b"\r").unwrap_or(line) {
                [] => self.close(&mut stanza, number + 1),
                [letter, b':', value @ ..] => {
                    stanza.any = true;
                    let slot = match letter {
                        b'P' => &mut stanza.name,
                        b'V' => &mut stanza.version,
                        b'A' => &mut stanza.architecture,
                        b'o' => &mut stanza.origin,
                        b'm' => &mut stanza.maintainer,
                        _ => continue,
                    };
                    if !slot.is_empty() {
                        self.problem(format!(
                            "line {number} has a second `{}:` field in one stanza: two stanzas may have run together",
                            char::from(*letter)
                        ));
                    }
                    *slot = value.trim_ascii();
                }
                _ => self.problem(format!(
                    "line {number} is no field: the file was edited or is damaged"
                )),
            }
        }
        self.close(&mut stanza, number + 1);
    }

    fn close(&mut self, stanza: &mut Stanza<'a>, next_line: usize) {
        let done = std::mem::replace(stanza, Stanza { line: next_line, ..Stanza::default() });
        if !done.any {
            return;
        }
        let line = done.line;
        if done.name.is_empty() {
            self.problem(format!("the stanza at line {line} has no name (`P:`)"));
            return;
        }
        // A virtual package of `apk add --virtual` has a name with a dot in front, and no files.
        if done.name.starts_with(b".") {
            return;
        }
        if done.version.is_empty() {
            let name = String::from_utf8_lossy(done.name);
            self.problem(format!("the stanza at line {line}, of {name}, has no version (`V:`)"));
            return;
        }
        let plain = |bytes: &[u8]| bytes.iter().all(|b| (0x21..0x7f).contains(b));
        if !plain(done.name) || !plain(done.version) {
            self.problem(format!(
                "the stanza at line {line} has a name or version that no package can have"
            ));
        }
        if self.packages.len() == MAX_PACKAGES {
            self.problem(format!("has more than {MAX_PACKAGES} packages; the rest was not read"));
            return;
        }
        let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let given = |bytes: &[u8]| (!bytes.is_empty()).then(|| owned(bytes));
        self.packages.push(Package {
            name: owned(done.name),
            architecture: owned(done.architecture),
            version: owned(done.version),
            source: given(done.origin).filter(|_| done.origin != done.name),
            source_version: None,
            state: PackageState::Installed,
            held: false,
            built_using: Vec::new(),
            module: None,
            vendor: None,
            maintainer: given(done.maintainer),
            origin: None,
        });
    }

    fn problem(&mut self, why: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Obstacle::new(self.place, why));
        } else {
            self.untold += 1;
        }
    }
}
