//! The rpm database (rpm(8), `%_dbpath`) in its three forms: SQLite, NDB and Berkeley DB hash.
//!
//! Read by our own readers: no C library, nothing run, nothing written, no lock taken. A database of any size is read
//! page by page through a small window, and of a package's header only the few tags that are needed. What is damaged
//! is a problem of its own and the rest is kept. Signatures and digests of headers are not checked, and the index
//! tables beside the packages (`Name`, `Basenames` …) are not read.

pub mod bdb;
pub mod header;
pub mod ndb;
pub mod sqlite;

use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use muster_core::fact::{Database, Facts, Obstacle, Package, Reading};
use thiserror::Error;

use crate::Inspector;
use crate::root::{Content, Root};

use header::{Header, Names};

/// How many packages a database may hold: ten times the largest installation we know of.
const MAX_PACKAGES: usize = 200_000;
/// How many bytes of text all of its packages may carry together.
const MAX_TEXT: usize = 32 << 20;
/// How many problems are told one by one.
const MAX_PROBLEMS: usize = 20;
/// How much of a file is held at a time.
const WINDOW: usize = 64 << 10;

/// Where a database may lie (`%_dbpath` of the distributions), the usual place first.
const FOLDERS: &[&str] = &["/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm"];

/// The forms, newest first: the order in which rpm looks for them.
const FORMS: &[Form] = &[Form::Sqlite, Form::Ndb, Form::Bdb];

/// A form of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `rpmdb.sqlite`, since rpm 4.16.
    Sqlite,
    /// `Packages.db`, of SUSE.
    Ndb,
    /// `Packages`, a Berkeley DB hash, until rpm 4.16.
    Bdb,
}

impl Form {
    /// Returns the name of its file.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Sqlite => "rpmdb.sqlite",
            Self::Ndb => "Packages.db",
            Self::Bdb => "Packages",
        }
    }
}

/// Why a database could not be read at all.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The file ends early, or the medium fails.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file is something else.
    #[error("is not {0}; look at the file")]
    Form(&'static str),
    /// The file is broken where everything hangs on it.
    #[error("is damaged: {0}; try `rpmdb --verifydb` on the server")]
    Damaged(String),
}

/// What a database held.
#[derive(Debug, Default)]
pub struct Harvest {
    /// Its packages, in the order of the file.
    pub packages: Vec<Package>,
    /// What could not be understood.
    pub problems: Vec<String>,
    /// How many problems there were besides those told.
    pub more_problems: usize,
    text: usize,
    /// The names of files that are looked for, where owners and no packages are wanted.
    names: Option<Rc<Names>>,
    /// The files found, with the names of their packages.
    owned: Vec<(String, Vec<u8>)>,
}

impl Harvest {
    /// Notes a problem; past the limit only their number.
    pub(crate) fn problem(&mut self, problem: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.more_problems = self.more_problems.saturating_add(1);
        }
    }

    /// Returns the names of files that are looked for.
    pub(crate) fn names(&self) -> Option<Rc<Names>> {
        self.names.clone()
    }

    /// Takes a header in, and tells whether there is room for more.
    pub(crate) fn take(&mut self, header: Header) -> bool {
        if header.is_public_key() {
            return true;
        }
        if self.names.is_some() {
            let name = header.name;
            self.owned.extend(header.files.into_iter().map(|path| (name.clone(), path)));
            return self.owned.len() < MAX_PACKAGES;
        }
        let package = header.into_package();
        self.text += package.name.len() + package.version.len() + package.architecture.len();
        self.text += [
            &package.source,
            &package.source_version,
            &package.module,
            &package.vendor,
            &package.maintainer,
        ]
        .iter()
        .map(|text| text.as_ref().map_or(0, String::len))
        .sum::<usize>();
        self.packages.push(package);
        let room = self.packages.len() < MAX_PACKAGES && self.text < MAX_TEXT;
        if !room {
            self.problem(format!(
                "holds more than the {} packages that are read; the rest is unknown",
                self.packages.len()
            ));
        }
        room
    }
}

/// A file seen through a small window, so that its size does not matter.
pub(crate) struct Window<'a, R: ?Sized> {
    reader: &'a mut R,
    size: u64,
    start: u64,
    held: Vec<u8>,
}

impl<'a, R: Read + Seek + ?Sized> Window<'a, R> {
    pub(crate) fn new(reader: &'a mut R) -> io::Result<Self> {
        let size = reader.seek(SeekFrom::End(0))?;
        Ok(Self { reader, size, start: 0, held: Vec::new() })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Forgets what is held, so that the next read asks the file again.
    pub(crate) fn forget(&mut self) {
        self.held.clear();
    }

    /// Fills `out` from that place of the file.
    pub(crate) fn read_at(&mut self, mut offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            let here = self.bytes_at(offset)?;
            let count = here.len().min(out.len());
            let (Some(from), Some((to, rest))) =
                (here.get(..count), out.split_at_mut_checked(count))
            else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            to.copy_from_slice(from);
            out = rest;
            offset += count as u64;
        }
        Ok(())
    }

    /// Returns at least one byte from that place on, or an error at the end of the file.
    fn bytes_at(&mut self, offset: u64) -> io::Result<&[u8]> {
        if !(self.start..self.start + self.held.len() as u64).contains(&offset) {
            self.fill(offset)?;
        }
        let skip = usize::try_from(offset - self.start).map_err(io::Error::other)?;
        match self.held.get(skip..) {
            Some(rest) if !rest.is_empty() => Ok(rest),
            _ => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the file ends before byte {offset}"),
            )),
        }
    }

    fn fill(&mut self, offset: u64) -> io::Result<()> {
        self.held.clear();
        self.start = offset - offset % WINDOW as u64;
        self.reader.seek(SeekFrom::Start(self.start))?;
        (&mut *self.reader).take(WINDOW as u64).read_to_end(&mut self.held)?;
        Ok(())
    }
}

/// Which pages were seen: a page belongs to one place only, so that no chain and no tree can be walked for ever.
pub(crate) struct Seen {
    bits: Vec<u64>,
}

impl Seen {
    /// How many pages a database may have: 64 GiB of the usual ones.
    const MAX_PAGES: u64 = 1 << 24;

    pub(crate) fn new(pages: u64) -> Result<Self, DatabaseError> {
        if pages > Self::MAX_PAGES {
            return Err(DatabaseError::Damaged(format!(
                "it claims {pages} pages, more than are read"
            )));
        }
        let words = usize::try_from(pages / 64 + 1).map_err(io::Error::other)?;
        Ok(Self { bits: vec![0; words] })
    }

    /// Marks a page, and tells whether it is there and was not seen before.
    pub(crate) fn first(&mut self, page: u32) -> bool {
        let Some(word) = usize::try_from(page / 64).ok().and_then(|i| self.bits.get_mut(i)) else {
            return false;
        };
        let bit = 1_u64 << (page % 64);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

/// Reads a big-endian number, or nothing past the end.
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// Reads a little-endian number, or nothing past the end.
pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// Reads a big-endian short, or nothing past the end.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// Reads the rpm database.
pub struct Rpmdb;

impl Inspector for Rpmdb {
    fn name(&self) -> &'static str {
        "rpmdb"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "/var/lib/rpm/rpmdb.sqlite",
            "/var/lib/rpm/rpmdb.sqlite-wal",
            "/var/lib/rpm/rpmdb.sqlite-journal",
            "/var/lib/rpm/Packages.db",
            "/var/lib/rpm/Packages",
            "/usr/lib/sysimage/rpm/rpmdb.sqlite",
            "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
            "/usr/lib/sysimage/rpm/rpmdb.sqlite-journal",
            "/usr/lib/sysimage/rpm/Packages.db",
            "/usr/lib/sysimage/rpm/Packages",
            "/usr/share/rpm/rpmdb.sqlite",
            "/usr/share/rpm/rpmdb.sqlite-wal",
            "/usr/share/rpm/rpmdb.sqlite-journal",
            "/usr/share/rpm/Packages.db",
            "/usr/share/rpm/Packages",
        ]
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        let mut empty = Vec::new();
        let mut unreadable = None;
        for folder in FOLDERS {
            for form in FORMS {
                let path = format!("{folder}/{}", form.file());
                match read(root, folder, *form, Harvest::default()) {
                    Reading::Absent => {}
                    Reading::Unknown(obstacle) => {
                        facts.obstacles.push(obstacle.clone());
                        unreadable.get_or_insert(obstacle);
                    }
                    Reading::Found(harvest)
                        if harvest.packages.is_empty() && harvest.problems.is_empty() =>
                    {
                        empty.push(path);
                    }
                    Reading::Found(harvest) => return settle(facts, &path, &empty, harvest),
                }
            }
        }
        if facts.database != Reading::Absent {
            return;
        }
        facts.database = match (unreadable, empty.first()) {
            (Some(obstacle), _) => Reading::Unknown(obstacle),
            (None, Some(_)) => Reading::Found(Database::Rpm),
            (None, None) => Reading::Absent,
        };
    }
}

/// Puts the packages among the facts, unless another database is the one of this distribution.
fn settle(facts: &mut Facts, path: &str, empty: &[String], harvest: Harvest) {
    for problem in &harvest.problems {
        facts.obstacles.push(Obstacle::new(path, problem));
    }
    if harvest.more_problems > 0 {
        facts
            .obstacles
            .push(Obstacle::new(path, format!("has {} more problems", harvest.more_problems)));
    }
    if let Some(newer) = empty.first() {
        let why = format!(
            "holds packages while {newer}, which rpm would ask first, is empty; remove the one that is not in use"
        );
        facts.obstacles.push(Obstacle::new(path, why));
    }
    let scheme = facts.os.found().and_then(muster_core::fact::Os::distribution).map(|d| d.scheme);
    let ours = scheme == Some(Database::Rpm.scheme());
    if let Reading::Found(other) = facts.database
        && !facts.packages.is_empty()
    {
        let (kept, left) = if ours { (Database::Rpm, other) } else { (other, Database::Rpm) };
        let why = format!(
            "this server has packages of {} and of {}; those of {} are not judged",
            kept.name(),
            left.name(),
            left.name()
        );
        facts.obstacles.push(Obstacle::new("package databases", why));
        if !ours {
            return;
        }
    }
    facts.database = Reading::Found(Database::Rpm);
    facts.packages = harvest.packages;
    facts.packages.sort();
    facts.obstacles.extend(unlabelled(path, &facts.packages));
}

/// Says which packages are of a module by their release (`1.module_el8.7.0+3343`), while no label tells its stream.
fn unlabelled(path: &str, packages: &[Package]) -> Option<Obstacle> {
    let is_unlabelled = |p: &&Package| p.module.is_none() && p.version.contains(".module");
    let mut unlabelled = packages.iter().filter(is_unlabelled);
    let first = unlabelled.next()?;
    let others = match unlabelled.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(Obstacle::new(
        path,
        format!(
            "has no module label for {} {}{others}, which is of a module by its release: it is held against the advisories of every stream",
            first.name, first.version
        ),
    ))
}

/// Tells for each file with one of the names which package owns it.
pub(crate) fn each_owner(root: &dyn Root, names: Names, told: &mut dyn FnMut(&str, &[u8])) {
    let names = Rc::new(names);
    for folder in FOLDERS {
        for form in FORMS {
            let harvest = Harvest { names: Some(Rc::clone(&names)), ..Harvest::default() };
            let Reading::Found(harvest) = read(root, folder, *form, harvest) else { continue };
            for (package, path) in &harvest.owned {
                told(package, path);
            }
        }
    }
}

/// Reads one database file into a harvest.
fn read(root: &dyn Root, folder: &str, form: Form, harvest: Harvest) -> Reading<Harvest> {
    let path = format!("{folder}/{}", form.file());
    let mut content = match root.open(&path) {
        Reading::Found(content) => content,
        Reading::Absent => return Reading::Absent,
        Reading::Unknown(obstacle) => return Reading::Unknown(obstacle),
    };
    let content = &mut *content;
    let read = match form {
        Form::Sqlite => read_sqlite(root, &path, content, harvest),
        Form::Ndb => ndb::read_ndb(content, harvest),
        Form::Bdb => bdb::read_bdb(content, harvest),
    };
    match read {
        Ok(harvest) => Reading::Found(harvest),
        Err(error) => Reading::Unknown(Obstacle::new(path, error.to_string())),
    }
}

/// Reads the SQLite form together with what lies beside it.
fn read_sqlite(
    root: &dyn Root,
    path: &str,
    content: &mut dyn Content,
    harvest: Harvest,
) -> Result<Harvest, DatabaseError> {
    let wal_path = format!("{path}-wal");
    let mut beside = Vec::new();
    let mut wal = match root.open(&wal_path) {
        Reading::Found(wal) => Some(wal),
        Reading::Absent => None,
        Reading::Unknown(obstacle) => {
            beside.push(format!(
                "its write-ahead log {}: {}; what stands there is unknown",
                obstacle.what, obstacle.why
            ));
            None
        }
    };
    match root.open(&format!("{path}-journal")) {
        Reading::Found(mut journal) => {
            if sqlite::is_hot_journal(&mut *journal) {
                beside.push(String::from(
                    "a transaction was under way or broke off (a rollback journal lies beside it), so that packages may be missing or doubled; run `rpm -qa` on the server once",
                ));
            }
        }
        Reading::Unknown(obstacle) => {
            beside.push(format!("its journal {}: {}", obstacle.what, obstacle.why));
        }
        Reading::Absent => {}
    }
    let mut harvest = sqlite::read_sqlite(content, wal.as_deref_mut(), harvest)?;
    for problem in beside {
        harvest.problem(problem);
    }
    Ok(harvest)
}

#[cfg(test)]
pub(crate) mod tests;
