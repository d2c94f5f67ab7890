//! Opens what a person names as a feed: a file, a folder, an archive, packed or not, and hands over its documents.
//!
//! What a thing is, is told from its first bytes, never from its name. A packed archive is opened too (`.tar.zst`),
//! but not an archive within an archive. Names of members are only names: nothing is written anywhere.
//!
//! A source is of one feed: the first document that any feed recognises tells which, and documents of another kind
//! become problems. Everything is bounded ([`MAX_DOCUMENT`], [`MAX_UNPACKED`], [`MAX_MEMBERS`]), and what is damaged
//! costs as little of the rest as its format allows.

mod open;
mod tar;

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::BuildHasher as _;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use muster_core::advisory::{Item, Problem, Record, Sink};
use muster_core::time::Instant;

use crate::feeds::FEEDS;
use crate::{Document, Feed, Recognised};

/// Bytes of a document that feeds are shown when they are asked whether it is theirs.
pub const HEAD: usize = 4096;
/// Bytes of one document that are read, unpacked.
pub const MAX_DOCUMENT: u64 = 4 << 30;
/// Bytes that one source may unpack to before it is taken for a bomb.
pub const MAX_UNPACKED: u64 = 16 << 30;
/// Members of an archive, or files of a folder, that are read.
pub const MAX_MEMBERS: u64 = 2_000_000;
/// Documents of another kind that are named one by one.
const MAX_STRANGERS: u64 = 100;
/// Documents of which the first bytes are kept until the feed is known.
const MAX_WAITING: usize = 1000;

/// Why a source cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system did not give it.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is nothing that can be read: a device, a socket.
    #[error("is neither a file nor a folder")]
    Special,
    /// Nothing in it is of a feed that Muster knows.
    #[error("is of no feed that Muster reads ({}); FORMAT=PATH says which it is", names())]
    Unrecognised,
    /// It is damaged before anything in it could be recognised.
    #[error("cannot be read as a feed: {0}")]
    Damaged(String),
    /// It has fewer documents than one.
    #[error("is empty")]
    Empty,
}

/// What was read of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The source, as it was named.
    pub path: String,
    /// The feed.
    pub format: &'static str,
    /// Records and other items in it.
    pub records: u64,
    /// Records that are withdrawn.
    pub withdrawn: u64,
    /// What was not understood.
    pub problems: u64,
    /// The newest time any record carries.
    pub newest: Option<Instant>,
}

/// Returns the feed of that name, as it calls itself.
pub fn format_named(name: &str) -> Option<&'static str> {
    feed_named(name).map(Feed::name)
}

fn feed_named(name: &str) -> Option<&'static dyn Feed> {
    FEEDS.iter().copied().find(|f| f.name() == name)
}

fn names() -> String {
    FEEDS.iter().map(|f| f.name()).collect::<Vec<_>>().join(", ")
}

/// Returns a digest of what a source holds. The place where it lies does not enter, so that sources can be put into
/// an order that depends on nothing but them.
pub fn digest(path: &Path) -> Result<[u8; 32], Error> {
    let meta = fs::metadata(path)?;
    if meta.is_file() {
        return Ok(*hash_file(path)?.as_bytes());
    }
    if !meta.is_dir() {
        return Err(Error::Special);
    }
    let mut hasher = blake3::Hasher::new();
    for file in files(path)? {
        let name = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        hasher.update(hash_file(&file)?.as_bytes());
    }
    Ok(*hasher.finalize().as_bytes())
}

fn hash_file(path: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(BufReader::with_capacity(1 << 16, File::open(path)?))?;
    Ok(hasher.finalize())
}

/// Lists the files of a folder and the folders below it, in the order of their names. Links are not followed.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                // A work tree's own keeping, or a download under way.
                continue;
            }
            if kind.is_dir() {
                // What a version control system keeps for itself is no part of the feed.
                if entry.file_name() != ".git" {
                    folders.push(entry.path());
                }
            } else if kind.is_file() {
                files.push(entry.path());
            }
            if files.len() as u64 + folders.len() as u64 > MAX_MEMBERS {
                return Err(
                    io::Error::other(format!("it has more than {MAX_MEMBERS} files")).into()
                );
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a source into `sink`; `forced` names its feed outright, `progress` is told how many of its bytes are read.
pub fn read(
    path: &Path,
    forced: Option<&str>,
    sink: &mut dyn Sink,
    progress: &mut dyn FnMut(u64),
) -> Result<Source, Error> {
    let name = path.display().to_string();
    let mut reading = Reading::new(name.clone(), forced.and_then(feed_named), sink);
    let meta = fs::metadata(path)?;
    if meta.is_dir() {
        let mut done = 0;
        for file in files(path)? {
            let member = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
            open::file(&file, &format!("{name}/{member}"), &mut reading, &mut |at| {
                progress(done + at);
            });
            done += fs::metadata(&file).map_or(0, |m| m.len());
        }
    } else if meta.is_file() {
        open::file(path, &name, &mut reading, progress);
    } else {
        return Err(Error::Special);
    }
    reading.finish()
}

/// A source while it is read.
struct Reading<'s> {
    source: Source,
    feed: Option<&'static dyn Feed>,
    sink: &'s mut dyn Sink,
    begun: bool,
    /// Documents of another kind, and those of them that were named.
    strangers: u64,
    named: u64,
    documents: u64,
    unpacked: Rc<Cell<u64>>,
    damage: Option<String>,
    /// What was not recognised before the feed was known.
    waiting: Vec<(String, Vec<u8>)>,
    ids: Ids,
}

impl<'s> Reading<'s> {
    fn new(path: String, feed: Option<&'static dyn Feed>, sink: &'s mut dyn Sink) -> Self {
        let format = feed.map_or("", Feed::name);
        let source = Source { path, format, records: 0, withdrawn: 0, problems: 0, newest: None };
        Self {
            source,
            feed,
            sink,
            begun: false,
            strangers: 0,
            named: 0,
            documents: 0,
            unpacked: Rc::default(),
            damage: None,
            waiting: Vec::new(),
            ids: Ids::default(),
        }
    }

    /// Notes something about a document that lies outside any feed's knowledge.
    fn problem(&mut self, path: &str, what: impl Into<String>) {
        let what = what.into();
        self.damage.get_or_insert_with(|| what.clone());
        self.source.problems += 1;
        self.sink.problem(Problem { path: path.to_owned(), line: None, what });
    }

    /// Hands one document to the feed it belongs to.
    fn document(&mut self, path: &str, reader: &mut dyn io::Read) {
        let mut head = Vec::with_capacity(HEAD);
        if let Err(error) = (&mut *reader).take(HEAD as u64).read_to_end(&mut head) {
            self.problem(path, format!("reading stopped: {error}"));
            return;
        }
        if head.is_empty() {
            return;
        }
        self.documents += 1;
        let forced = !self.source.format.is_empty() && !self.begun;
        let asked: &[&'static dyn Feed] = match &self.feed {
            Some(feed) => std::slice::from_ref(feed),
            None => FEEDS,
        };
        let mut companion = false;
        let mut found = None;
        for feed in asked {
            match feed.recognises(path, &head) {
                Recognised::Yes => {
                    found = Some(*feed);
                    break;
                }
                Recognised::Companion => companion = true,
                Recognised::No => {}
            }
        }
        match found.or(self.feed.filter(|_| forced)) {
            Some(feed) => self.read(feed, path, &head, reader),
            None if companion => {}
            None if self.feed.is_none() && self.waiting.len() < MAX_WAITING => {
                self.waiting.push((path.to_owned(), head));
            }
            None => self.stranger(path),
        }
    }

    fn read(
        &mut self,
        feed: &'static dyn Feed,
        path: &str,
        head: &[u8],
        reader: &mut dyn io::Read,
    ) {
        self.feed = Some(feed);
        self.source.format = feed.name();
        if !self.begun {
            self.begun = true;
            self.sink.begin(feed.name());
        }
        let whole = io::Read::chain(head, Bounded { reader, left: MAX_DOCUMENT });
        let mut reader = BufReader::with_capacity(1 << 16, whole);
        let mut counting = Counting {
            path,
            source: &mut self.source,
            sink: &mut *self.sink,
            ids: feed.ids_are_unique().then_some(&mut self.ids),
        };
        feed.read(&mut Document { path, reader: &mut reader }, &mut counting);
        self.ids.document += 1;
    }

    fn stranger(&mut self, path: &str) {
        self.strangers += 1;
        if self.named < MAX_STRANGERS && self.feed.is_some() {
            self.named += 1;
            self.problem(path, format!("is not of the feed {}: passed over", self.source.format));
        }
    }

    fn finish(mut self) -> Result<Source, Error> {
        let Some(feed) = self.feed.filter(|_| self.begun) else {
            return Err(match self.damage {
                Some(damage) => Error::Damaged(damage),
                None if self.documents == 0 => Error::Empty,
                None => Error::Unrecognised,
            });
        };
        for (path, head) in std::mem::take(&mut self.waiting) {
            if feed.recognises(&path, &head) != Recognised::Companion {
                self.stranger(&path);
            }
        }
        let rest = self.strangers - self.named;
        if rest > 0 {
            let path = self.source.path.clone();
            self.problem(
                &path,
                format!("{rest} more documents are not of the feed {}", feed.name()),
            );
        }
        Ok(self.source)
    }
}

/// Ends a document beyond all bounds with an error.
struct Bounded<'r> {
    reader: &'r mut dyn io::Read,
    left: u64,
}

impl io::Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::other(format!("the document has more than {MAX_DOCUMENT} bytes"))
        })?;
        Ok(read)
    }
}

/// The ids that a source has said, with the document each stood in and the outline of what was said.
#[derive(Default)]
struct Ids {
    hasher: RandomState,
    document: u32,
    seen: HashMap<u64, (u32, u64)>,
}

/// How a record relates to those before it.
enum Seen {
    New,
    /// The same was said before, in another document.
    Again,
    /// Something else was said before, in another document.
    Otherwise,
}

impl Ids {
    fn meet(&mut self, record: &Record<'_>) -> Seen {
        let id = self.hasher.hash_one(&*record.id);
        let outline = self.hasher.hash_one((
            (record.published, record.modified, record.withdrawn),
            (record.statements.len(), record.cves.len(), record.references.len()),
            (record.title.len(), record.details.len()),
        ));
        match self.seen.insert(id, (self.document, outline)) {
            // Within one document the feed itself judges: it knows the lines.
            None => Seen::New,
            Some((document, _)) if document == self.document => Seen::New,
            Some((_, before)) if before == outline => Seen::Again,
            Some(_) => Seen::Otherwise,
        }
    }
}

/// Counts what passes by, and drops what is said a second time.
struct Counting<'c> {
    path: &'c str,
    source: &'c mut Source,
    sink: &'c mut dyn Sink,
    ids: Option<&'c mut Ids>,
}

impl Sink for Counting<'_> {
    fn item(&mut self, item: Item<'_>) {
        if let (Item::Record(record), Some(ids)) = (&item, &mut self.ids) {
            match ids.meet(record) {
                Seen::New => {}
                Seen::Again => return,
                Seen::Otherwise => {
                    let what = format!("another document says something else of {}", record.id);
                    self.problem(Problem { path: self.path.to_owned(), line: None, what });
                }
            }
        }
        self.source.records += 1;
        if let Item::Record(record) = &item {
            self.source.withdrawn += u64::from(record.withdrawn.is_some());
            self.source.newest = self.source.newest.max(record.modified.or(record.published));
        }
        self.sink.item(item);
    }

    fn problem(&mut self, problem: Problem) {
        self.source.problems += 1;
        self.sink.problem(problem);
    }
}
