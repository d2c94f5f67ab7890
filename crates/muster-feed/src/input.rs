//! Opens what a person names as a feed: a file, a folder, an archive, packed or not, and hands over its documents.
//!
//! What a thing is, is told from its first bytes, never from its name. A packed archive is opened too (`.tar.zst`),
//! but not an archive within an archive. Names of members are only names: nothing is written anywhere.
//!
//! Each document of a folder or an archive is of the feed that recognises it, so that a folder may hold the files of
//! many vendors; documents of no feed become problems. Everything is bounded ([`MAX_DOCUMENT`], [`MAX_UNPACKED`], [`MAX_MEMBERS`]), and what is damaged
//! costs as little of the rest as its format allows.

mod fill;
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
use crate::{Document, Feed, HEAD, Recognised, doubt};

/// Bytes of one document that are read, unpacked.
pub const MAX_DOCUMENT: u64 = 4 << 30;
/// Bytes that one source may unpack to before it is taken for a bomb.
pub const MAX_UNPACKED: u64 = 16 << 30;
/// Members of an archive, or files of a folder, that are read.
pub const MAX_MEMBERS: u64 = 2_000_000;
/// Documents of no feed, and links, that are named one by one.
const MAX_STRANGERS: u64 = 100;
/// Problems of a source that are told one by one.
const MAX_PROBLEMS: u64 = 10_000;
/// Records with a time yet to come from which on the clock is doubted, if they are more than half of all.
const MAX_FUTURE: u64 = 100;
/// Documents of which the first bytes are kept until all feeds are known, which may count them as theirs after all.
const MAX_WAITING: usize = 1000;
/// Entries of a folder that are summed up one by one where it holds several feeds.
const MAX_PARTS: usize = 256;
/// The folder in which `muster feed pull` keeps its notes: what lies beside it is a feed, file by file.
const PULL: &str = ".pull";

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
    /// It has nothing but links.
    #[error(
        "holds nothing but links that lead out of it ({0}), which are not followed: name what they point to"
    )]
    Links(u64),
    /// More than half of its records are yet to come.
    #[error(
        "has {0} records later than the time of this build: is the clock right? --now tells the time"
    )]
    Future(u64),
    /// It is a folder of pulled feeds, and nothing was recognised in one of them.
    #[error("{name} {error}")]
    Pulled {
        /// The file.
        name: String,
        /// What is wrong with it.
        error: Box<Self>,
    },
}

/// What was read of a source, or of a part of it that is of one feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The source, as it was named, with the entry below it where it holds several feeds.
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

/// Returns the names of all feeds, to be read.
pub fn names() -> String {
    FEEDS.iter().map(|f| f.name()).collect::<Vec<_>>().join(", ")
}

/// Judges whether a feed speaks of packages in releases, or only of flaws and calendars.
pub fn has_advisories(format: &str) -> bool {
    feed_named(format).is_some_and(Feed::has_advisories)
}

/// A digest of what a source holds, and how much that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The digest.
    pub hash: [u8; 32],
    /// The bytes it is over.
    pub bytes: u64,
}

/// Returns a digest of what a source holds. The place where it lies does not enter, so that sources can be put into
/// an order that depends on nothing but them.
pub fn digest(path: &Path) -> Result<Digest, Error> {
    let meta = fs::metadata(path)?;
    if meta.is_file() {
        return Ok(Digest { hash: *hash_file(path)?.as_bytes(), bytes: meta.len() });
    }
    if !meta.is_dir() {
        return Err(Error::Special);
    }
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
    for file in list(path)?.files {
        let name = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        hasher.update(hash_file(&file)?.as_bytes());
        bytes += fs::metadata(&file)?.len();
    }
    Ok(Digest { hash: *hasher.finalize().as_bytes(), bytes })
}

fn hash_file(path: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(BufReader::with_capacity(1 << 16, File::open(path)?))?;
    Ok(hasher.finalize())
}

/// What lies in a folder and the folders below it, in the order of names.
#[derive(Default)]
struct Listing {
    files: Vec<PathBuf>,
    /// Links that lead out of the folder, or nowhere; what another points to is met where it lies.
    links: Vec<PathBuf>,
}

/// Lists a folder. Links are not followed.
fn list(root: &Path) -> Result<Listing, Error> {
    let (mut listing, mut folders) = (Listing::default(), vec![root.to_owned()]);
    let inside = fs::canonicalize(root)?;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                // A work tree's own keeping, or a download under way.
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                listing.files.push(entry.path());
            } else if kind.is_symlink()
                && !fs::canonicalize(entry.path()).is_ok_and(|to| to.starts_with(&inside))
            {
                listing.links.push(entry.path());
            }
            let count = listing.files.len() + listing.links.len() + folders.len();
            if count as u64 > MAX_MEMBERS {
                return Err(
                    io::Error::other(format!("it has more than {MAX_MEMBERS} files")).into()
                );
            }
        }
    }
    listing.files.sort();
    listing.links.sort();
    Ok(listing)
}

/// How a source is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Its feed, where it was named outright.
    pub format: Option<&'a str>,
    /// The latest time that a record may bear.
    pub until: Instant,
}

/// Reads a source into `sink`, and returns what was read of each feed in it; `progress` is told how many of its bytes
/// are read.
pub fn read(
    path: &Path,
    terms: Terms<'_>,
    sink: &mut dyn Sink,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Source>, Error> {
    let name = path.display().to_string();
    let mut reading = Reading::new(name.clone(), terms, sink);
    let meta = fs::metadata(path)?;
    if meta.is_dir() {
        let listing = list(path)?;
        let is_pulled = path.join(PULL).is_dir();
        let mut done = 0;
        for file in listing.files {
            let member = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
            let member = format!("{name}/{member}");
            let before = reading.taken;
            open::file(&file, &member, &mut reading, &mut |at| progress(done + at));
            if is_pulled && reading.taken == before {
                return Err(Error::Pulled { name: member, error: Box::new(reading.nothing()) });
            }
            done += fs::metadata(&file).map_or(0, |m| m.len());
        }
        reading.links(&listing.links);
    } else if meta.is_file() {
        open::file(path, &name, &mut reading, progress);
    } else {
        return Err(Error::Special);
    }
    reading.finish()
}

/// A source while it is read.
struct Reading<'s> {
    /// The source, as it was named.
    name: String,
    /// The feed that was named outright.
    forced: Option<&'static dyn Feed>,
    /// What feeds were met, and the one of the document before.
    feeds: Vec<Met>,
    current: usize,
    parts: Vec<Source>,
    /// Where in `parts` an entry's documents of a feed are counted.
    places: HashMap<(String, &'static str), usize>,
    /// Whether there are too many entries to be counted apart.
    coarse: bool,
    told: Told<'s>,
    /// Problems outside any feed's knowledge.
    problems: u64,
    /// Documents of no feed and links, and those of them that were named.
    strangers: u64,
    named: u64,
    documents: u64,
    /// Documents that a feed took.
    taken: u64,
    links: u64,
    unpacked: Rc<Cell<u64>>,
    damage: Option<String>,
    /// What no feed recognised.
    waiting: Vec<(String, Vec<u8>)>,
}

/// What is handed on, and what about it was doubted.
struct Told<'s> {
    sink: &'s mut dyn Sink,
    until: Instant,
    problems: u64,
    /// Records with a time, and those of them with one that is yet to come.
    timed: u64,
    future: u64,
}

impl Told<'_> {
    fn problem(&mut self, problem: Problem) {
        self.problems += 1;
        if self.problems <= MAX_PROBLEMS {
            self.sink.problem(problem);
        }
    }
}

/// A feed that was met in a source.
struct Met {
    feed: &'static dyn Feed,
    ids: Ids,
}

impl<'s> Reading<'s> {
    fn new(name: String, terms: Terms<'_>, sink: &'s mut dyn Sink) -> Self {
        Self {
            name,
            forced: terms.format.and_then(feed_named),
            feeds: Vec::new(),
            current: 0,
            parts: Vec::new(),
            places: HashMap::new(),
            coarse: false,
            told: Told { sink, until: terms.until, problems: 0, timed: 0, future: 0 },
            problems: 0,
            strangers: 0,
            named: 0,
            documents: 0,
            taken: 0,
            links: 0,
            unpacked: Rc::default(),
            damage: None,
            waiting: Vec::new(),
        }
    }

    /// Notes something about a document that lies outside any feed's knowledge.
    fn problem(&mut self, path: &str, what: impl Into<String>) {
        let what = what.into();
        self.damage.get_or_insert_with(|| what.clone());
        self.problems += 1;
        self.told.problem(Problem { path: path.to_owned(), line: None, what });
    }

    /// Hands one document to the feed it belongs to.
    fn document(&mut self, path: &str, reader: &mut dyn io::Read) {
        let mut head = Vec::with_capacity(HEAD);
        if let Err(error) = (&mut *reader).take(HEAD as u64).read_to_end(&mut head) {
            self.problem(path, format!("reading stopped: {error}"));
            return;
        }
        if !head.is_empty() {
            self.documents += 1;
            if let Some(feed) = self.feed_of(path, &head) {
                return self.read(feed, path, &head, reader);
            }
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push((path.to_owned(), head));
        } else {
            self.unless_companion(path, &head);
        }
    }

    /// Returns the feed of a document: that of the one before, if it takes it, else the first that does.
    fn feed_of(&self, path: &str, head: &[u8]) -> Option<&'static dyn Feed> {
        let takes = |feed: &&'static dyn Feed| feed.recognises(path, head) == Recognised::Yes;
        if let Some(forced) = self.forced {
            // The name that was given counts for the first document; those beside it must show that they belong.
            let first = self.taken == 0
                && (path == self.name || forced.recognises(path, head) != Recognised::Companion);
            return Some(forced).filter(|feed| first || takes(feed));
        }
        let current = self.feeds.get(self.current).map(|met| met.feed);
        current.filter(takes).or_else(|| FEEDS.iter().copied().find(takes))
    }

    fn read(
        &mut self,
        feed: &'static dyn Feed,
        path: &str,
        head: &[u8],
        reader: &mut dyn io::Read,
    ) {
        self.taken += 1;
        self.turn_to(feed);
        let part = self.part(feed, path);
        let whole = io::Read::chain(head, Bounded { reader, left: MAX_DOCUMENT });
        let lines = Lines::default();
        let mut reader =
            Numbered { reader: BufReader::with_capacity(1 << 16, whole), lines: &lines };
        let (Some(met), Some(source)) =
            (self.feeds.get_mut(self.current), self.parts.get_mut(part))
        else {
            return;
        };
        let ids = feed.ids_are_unique().then_some(&mut met.ids);
        let mut counting = Counting { path, lines: &lines, source, told: &mut self.told, ids };
        feed.read(&mut Document { path, reader: &mut reader }, &mut counting);
        met.ids.document += 1;
    }

    /// Makes a feed the one whose items follow.
    fn turn_to(&mut self, feed: &'static dyn Feed) {
        let is = |met: &Met| met.feed.name() == feed.name();
        if self.feeds.get(self.current).is_some_and(is) {
            return;
        }
        self.current = self.feeds.iter().position(is).unwrap_or(self.feeds.len());
        if self.current == self.feeds.len() {
            self.feeds.push(Met { feed, ids: Ids::default() });
        }
        self.told.sink.begin(feed.name());
    }

    /// Returns the place of the part in which a document is counted: that of the folder's entry it lies in.
    fn part(&mut self, feed: &'static dyn Feed, path: &str) -> usize {
        let below = path.strip_prefix(self.name.as_str()).unwrap_or_default();
        let separator = below.get(..1).unwrap_or_default();
        let entry = below.get(1..).and_then(|b| b.split(['/', '!']).next()).unwrap_or_default();
        let place =
            |coarse: bool| if coarse { String::new() } else { format!("{separator}{entry}") };
        let key = (place(self.coarse), feed.name());
        if let Some(part) = self.places.get(&key) {
            return *part;
        }
        if self.parts.len() >= MAX_PARTS && !self.coarse {
            self.coarsen();
            return self.part(feed, path);
        }
        let part = Source {
            path: format!("{}{}", self.name, key.0),
            format: feed.name(),
            records: 0,
            withdrawn: 0,
            problems: 0,
            newest: None,
        };
        self.parts.push(part);
        self.places.insert(key, self.parts.len() - 1);
        self.parts.len() - 1
    }

    /// Sums up what was read by feed alone.
    fn coarsen(&mut self) {
        self.coarse = true;
        self.places.clear();
        let mut sums: Vec<Source> = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            if let Some(sum) = sums.iter_mut().find(|sum| sum.format == part.format) {
                sum.records += part.records;
                sum.withdrawn += part.withdrawn;
                sum.problems += part.problems;
                sum.newest = sum.newest.max(part.newest);
            } else {
                self.places.insert((String::new(), part.format), sums.len());
                sums.push(Source { path: self.name.clone(), ..part });
            }
        }
        self.parts = sums;
    }

    /// Counts a document that no feed recognised as a stranger, unless it belongs to what else was met.
    fn unless_companion(&mut self, path: &str, head: &[u8]) {
        let companion = |met: &Met| met.feed.recognises(path, head) == Recognised::Companion;
        if self.feeds.iter().any(companion) {
            return;
        }
        let what = match self.forced {
            _ if head.is_empty() => "is empty".to_owned(),
            Some(feed) => format!("is not of the feed {}", feed.name()),
            None => "is of no feed that Muster reads".to_owned(),
        };
        self.stranger(path, format!("{what}: passed over"));
    }

    fn stranger(&mut self, path: &str, what: String) {
        self.strangers += 1;
        if self.named < MAX_STRANGERS {
            self.named += 1;
            self.problem(path, what);
        }
    }

    fn links(&mut self, links: &[PathBuf]) {
        self.links = links.len() as u64;
        if self.taken > 0 {
            for link in links {
                let what = "is a link out of the folder and not followed: name what it points to";
                self.stranger(&link.display().to_string(), what.to_owned());
            }
        }
    }

    /// Says why nothing was recognised.
    fn nothing(&mut self) -> Error {
        match self.damage.take() {
            Some(damage) => Error::Damaged(damage),
            None if self.documents == 0 && self.links > 0 => Error::Links(self.links),
            None if self.waiting.iter().all(|(_, head)| head.is_empty()) => Error::Empty,
            None => Error::Unrecognised,
        }
    }

    fn finish(mut self) -> Result<Vec<Source>, Error> {
        if self.taken == 0 {
            return Err(self.nothing());
        }
        for (path, head) in std::mem::take(&mut self.waiting) {
            self.unless_companion(&path, &head);
        }
        let rest = self.strangers - self.named;
        if rest > 0 {
            let path = self.name.clone();
            self.problem(&path, format!("{rest} more documents were passed over"));
        }
        let rest = self.told.problems.saturating_sub(MAX_PROBLEMS);
        if rest > 0 {
            let what = format!("{rest} more problems");
            self.told.sink.problem(Problem { path: self.name.clone(), line: None, what });
        }
        if self.told.future > MAX_FUTURE && self.told.future > self.told.timed / 2 {
            return Err(Error::Future(self.told.future));
        }
        if self.feeds.len() == 1 {
            self.coarsen();
            if let Some(all) = self.parts.first_mut() {
                all.problems += self.problems;
            }
        }
        Ok(self.parts)
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

/// How many lines of a document are read.
#[derive(Default)]
struct Lines {
    ended: Cell<u64>,
    is_within: Cell<bool>,
}

impl Lines {
    /// Returns the line on which reading stands: where a record a line is handed over, its own, else that of its end.
    fn at(&self) -> u64 {
        self.ended.get() + u64::from(self.is_within.get())
    }
}

/// Numbers the lines that pass by.
struct Numbered<'l, R> {
    reader: BufReader<R>,
    lines: &'l Lines,
}

impl<R: io::Read> io::Read for Numbered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = io::Read::read(&mut io::BufRead::fill_buf(self)?, buffer)?;
        io::BufRead::consume(self, read);
        Ok(read)
    }
}

impl<R: io::Read> io::BufRead for Numbered<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        let passed = self.reader.buffer().get(..amount).unwrap_or_default();
        if let Some(last) = passed.last() {
            let ends = memchr::memchr_iter(b'\n', passed).count();
            self.lines.ended.set(self.lines.ended.get() + ends as u64);
            self.lines.is_within.set(*last != b'\n');
        }
        self.reader.consume(amount);
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

/// Counts what passes by, mends what cannot be true, and drops what is said a second time.
struct Counting<'c, 's> {
    path: &'c str,
    lines: &'c Lines,
    source: &'c mut Source,
    told: &'c mut Told<'s>,
    ids: Option<&'c mut Ids>,
}

impl Counting<'_, '_> {
    /// Names what is wrong with the item at hand.
    fn doubts(&mut self, doubts: Vec<String>) {
        for what in doubts {
            let line = Some(self.lines.at());
            self.problem(Problem { path: self.path.to_owned(), line, what });
        }
    }

    fn record(&mut self, record: &mut Record<'_>) {
        let time = record.modified.or(record.published);
        self.told.timed += u64::from(time.is_some());
        self.told.future += u64::from(time.is_some_and(|time| time > self.told.until));
        let mut doubts = Vec::new();
        doubt::record(record, self.told.until, &mut |what| doubts.push(what));
        self.doubts(doubts);
        self.source.withdrawn += u64::from(record.withdrawn.is_some());
        self.source.newest = self.source.newest.max(record.modified.or(record.published));
    }
}

impl Sink for Counting<'_, '_> {
    fn item(&mut self, mut item: Item<'_>) {
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
        match &mut item {
            Item::Record(record) => self.record(record),
            Item::Exploited(entry) => {
                let mut doubts = Vec::new();
                doubt::exploited(entry, self.told.until, &mut |what| doubts.push(what));
                self.doubts(doubts);
            }
            Item::Likelihood(_) | Item::Support(_) | Item::Archived(_) => {}
        }
        self.told.sink.item(item);
    }

    fn problem(&mut self, problem: Problem) {
        self.source.problems += 1;
        self.told.problem(problem);
    }
}
