//! Opens a compiled advisory file and reads parts of it, each checked against its digest before it is used.
//!
//! The file is read at positions, not mapped: a file that shrinks meanwhile is then an error in words, never a
//! signal, and no unsafe code is needed. A server needs one section of at most a few megabytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use muster_core::advisory::{Record, SupportLine};
use muster_core::time::Instant;
use serde::{Deserialize, Serialize};

use crate::compile::block::Block;
use crate::error::Error;
use crate::format::{
    DIGEST, ENTRY, Kind, MAGIC, MAX_BLOCK, MAX_HEADER, MAX_SECTION, PREFIX, VERSION, u32_at, u64_at,
};

/// A compiled advisory file.
#[derive(Debug)]
pub struct AdvisoryFile {
    path: PathBuf,
    file: File,
    built: Option<Instant>,
    entries: Vec<Entry>,
    digest: [u8; DIGEST],
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    name: String,
    count: u32,
    offset: u64,
    length: u64,
    digest: [u8; DIGEST],
}

/// A release that the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReleaseInfo {
    /// Its name: `debian:12`.
    pub id: String,
    /// Advisories that concern it.
    pub advisories: u32,
    /// Bytes of the part that matching reads.
    pub bytes: u64,
}

/// What a file was compiled from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Each feed, by name.
    pub feeds: Vec<FeedInfo>,
    /// Which feed spoke of which release.
    pub fragments: Vec<Fragment>,
}

/// A feed that went into a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedInfo {
    /// Its name.
    pub name: String,
    /// The newest time any of its records carries.
    pub newest: Option<Instant>,
    /// How many records it had.
    pub records: u64,
    /// How many of them are withdrawn.
    pub withdrawn: u64,
}

/// What one feed said of one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragment {
    /// The feed.
    pub feed: String,
    /// The release.
    pub release: String,
    /// Statements about packages of that release.
    pub statements: u64,
    /// The newest time that any of its records about the release carries.
    pub newest: Option<Instant>,
    /// Set when the feed no longer speaks of the release: the newest time of the feed when it last did.
    pub frozen: Option<Instant>,
}

/// What all feeds of a file said of one release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// Their statements about packages of it; none: no feed speaks of the release.
    pub statements: u64,
    /// The newest time that any of their records about it carries.
    pub newest: Option<Instant>,
}

impl Provenance {
    /// Sums up what was said of a release, whichever feed said it.
    pub fn of_release(&self, release: &str) -> Spoken {
        let mut spoken = Spoken::default();
        for fragment in self.fragments.iter().filter(|f| f.release == release) {
            spoken.statements += fragment.statements;
            spoken.newest = spoken.newest.max(fragment.newest);
        }
        spoken
    }
}

/// The index of records: numbers of 28 bits of an id's hash, 16 of the block's number, 20 of the record's place in it.
pub(crate) const INDEX_ENTRY: usize = 8;
const BLOCK_BITS: u32 = 16;
const OFFSET_BITS: u32 = 20;
/// Unpacked bytes of a block, before which each of its records begins: large enough to pack well, small enough to
/// unpack for one record.
pub(crate) const BLOCK: usize = 1 << OFFSET_BITS;

/// Returns the entry of the index for a record filed under an id, or nothing where there are too many blocks.
pub(crate) fn index_entry(id: &str, block: usize, offset: u32) -> Option<u64> {
    let (block, offset) = (block as u64, u64::from(offset));
    let fits = block < 1 << BLOCK_BITS && offset < 1 << OFFSET_BITS;
    fits.then(|| hash(id) << (BLOCK_BITS + OFFSET_BITS) | block << OFFSET_BITS | offset)
}
/// The place of a block of records: its offset, its length, its digest.
pub(crate) const PLACE: usize = 16 + DIGEST;

impl AdvisoryFile {
    /// Opens a file and checks its header.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io = |error| Error::Io { path: path.to_owned(), error };
        // To open a FIFO is to wait for whoever writes into it.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(Error::Foreign(path.to_owned()));
        }
        let file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut prefix = [0; PREFIX];
        match file.read_exact_at(&mut prefix, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Error::Foreign(path.to_owned()));
            }
            Err(error) => return Err(io(error)),
        }
        if !prefix.starts_with(&MAGIC) {
            return Err(Error::Foreign(path.to_owned()));
        }
        let version = u32_at(&prefix, 8);
        if version != VERSION {
            return Err(Error::Newer { path: path.to_owned(), found: version });
        }
        let (count, names) = (u32_at(&prefix, 12) as usize, u32_at(&prefix, 16) as usize);
        let table = count.saturating_mul(ENTRY);
        let length = PREFIX.saturating_add(table).saturating_add(names).saturating_add(DIGEST);
        if length as u64 > MAX_HEADER.min(size) {
            return Err(Error::Damaged("its header is longer than the file".into()));
        }
        let mut header = vec![0; length];
        file.read_exact_at(&mut header, 0).map_err(io)?;
        let (body, digest) = header.split_at(length - DIGEST);
        if blake3::hash(body).as_bytes() != digest {
            return Err(Error::Damaged("its header does not match its checksum".into()));
        }
        let digest = *digest.first_chunk().unwrap_or(&[0; DIGEST]);
        // Zero stands for sources that tell no time.
        let built = Some(u64_at(&prefix, 24).cast_signed()).filter(|seconds| *seconds != 0);
        let built = built.and_then(|seconds| Instant::from_second(seconds).ok());
        let names =
            body.get(PREFIX + table..).and_then(|n| str::from_utf8(n).ok()).unwrap_or_default();
        let entries = body.get(PREFIX..PREFIX + table).unwrap_or_default().chunks_exact(ENTRY);
        let entries = entries.map(|e| Entry::read(e, names, size)).collect::<Option<Vec<_>>>();
        let entries = entries.ok_or_else(|| {
            Error::Damaged("its table of sections reaches beyond the file: it was cut off".into())
        })?;
        Ok(Self { path: path.to_owned(), file, built, entries, digest })
    }

    /// Returns where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns when the newest of its sources was made.
    pub fn built(&self) -> Option<Instant> {
        self.built
    }

    /// Returns the digest over the header, and with it over every section's digest.
    pub fn digest(&self) -> [u8; DIGEST] {
        self.digest
    }

    /// Returns the text that a detached signature of this file signs: one line a section with its digest.
    pub fn signed_text(&self) -> String {
        let mut text = format!("muster advisories {VERSION}\nheader {}\n", hex(&self.digest));
        for entry in &self.entries {
            text += &format!(
                "{} {} {} {}\n",
                entry.kind as u32,
                entry.name,
                entry.length,
                hex(&entry.digest)
            );
        }
        text
    }

    /// Returns the releases it holds.
    pub fn releases(&self) -> impl Iterator<Item = ReleaseInfo> {
        self.entries.iter().filter(|e| e.kind == Kind::Release).map(|e| ReleaseInfo {
            id: e.name.clone(),
            advisories: e.count,
            bytes: e.length,
        })
    }

    /// Reads the section of a release, or nothing if the file has none.
    pub fn release(&self, id: &str) -> Result<Option<Vec<u8>>, Error> {
        let entry = self.entries.iter().find(|e| e.kind == Kind::Release && e.name == id);
        entry.map(|entry| self.read(entry)).transpose()
    }

    /// Reads what the file was compiled from.
    pub fn provenance(&self) -> Result<Provenance, Error> {
        let bytes = self.read(self.entry(Kind::Provenance)?)?;
        understand(Kind::Provenance, &bytes)
    }

    /// Calls `take` with each calendar line of the feeds.
    pub fn calendar(&self, take: &mut dyn FnMut(SupportLine<'_>)) -> Result<(), Error> {
        let bytes = self.read(self.entry(Kind::Calendar)?)?;
        understand::<Vec<SupportLine<'_>>>(Kind::Calendar, &bytes)?.into_iter().for_each(take);
        Ok(())
    }

    fn entry(&self, kind: Kind) -> Result<&Entry, Error> {
        let found = self.entries.iter().find(|e| e.kind == kind);
        found.ok_or_else(|| Error::Damaged(format!("it has no section {kind:?}")))
    }

    fn read(&self, entry: &Entry) -> Result<Vec<u8>, Error> {
        if entry.length > MAX_SECTION {
            return Err(Error::Damaged(format!(
                "the section {} is larger than {MAX_SECTION} bytes",
                entry.name
            )));
        }
        let bytes = self.read_at(entry.offset, usize::try_from(entry.length).unwrap_or(0))?;
        if blake3::hash(&bytes).as_bytes() != &entry.digest {
            return Err(Error::Damaged(format!(
                "the section {:?} {} does not match its checksum",
                entry.kind, entry.name
            )));
        }
        Ok(bytes)
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::Damaged("it became shorter while it was read".into()))
            }
            Err(error) => Err(Error::Io { path: self.path.clone(), error }),
        }
    }

    /// Calls `take` with each record that an id names or that speaks of it, and with the feed it came from.
    pub fn records(&self, id: &str, take: &mut dyn FnMut(&str, Record<'_>)) -> Result<(), Error> {
        let provenance = self.provenance()?;
        let index = self.read(self.entry(Kind::Index)?)?;
        let wanted = hash(id);
        let count = index.len() / INDEX_ENTRY;
        let at = |n: usize| u64_at(&index, n.saturating_mul(INDEX_ENTRY));
        let hash_at = |n: usize| at(n) >> (BLOCK_BITS + OFFSET_BITS);
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            if hash_at(middle) < wanted { low = middle + 1 } else { high = middle }
        }
        let places = self.places()?;
        let mut block = (u64::MAX, None);
        while low < count && hash_at(low) == wanted {
            let number = at(low) >> OFFSET_BITS & ((1 << BLOCK_BITS) - 1);
            let offset = usize::try_from(at(low) & ((1 << OFFSET_BITS) - 1)).unwrap_or(usize::MAX);
            if block.0 != number {
                block = (number, Some(self.block(&places, number)?));
            }
            let Some((feed, record, _)) = block.1.as_ref().and_then(|b| b.record(offset)) else {
                return Err(Error::Damaged("a record cannot be understood".into()));
            };
            if names(&record, id) {
                take(
                    provenance.feeds.get(usize::from(feed)).map_or("unknown feed", |f| &f.name),
                    record,
                );
            }
            low += 1;
        }
        Ok(())
    }

    /// Calls `take` with every record, in the order in which they were compiled.
    pub fn every_record(&self, take: &mut dyn FnMut(&str, Record<'_>)) -> Result<(), Error> {
        let provenance = self.provenance()?;
        let places = self.places()?;
        for number in 0..self.entry(Kind::Records)?.count.into() {
            let block = self.block(&places, number)?;
            let mut at = 0;
            while !block.ends_at(at) {
                let (feed, record, after) = block.record(at).ok_or_else(|| {
                    Error::Damaged(format!("a record of the block {number} cannot be understood"))
                })?;
                take(
                    provenance.feeds.get(usize::from(feed)).map_or("unknown feed", |f| &f.name),
                    record,
                );
                at = after;
            }
        }
        Ok(())
    }

    /// Reads the places and digests of the blocks of records: the section's own digest is over this table.
    fn places(&self) -> Result<Vec<u8>, Error> {
        let entry = self.entry(Kind::Records)?;
        let length = (entry.count as usize).saturating_mul(PLACE);
        if length as u64 > entry.length.min(MAX_SECTION) {
            return Err(Error::Damaged("the table of its records is longer than they are".into()));
        }
        let places = self.read_at(entry.offset, length)?;
        if blake3::hash(&places).as_bytes() != &entry.digest {
            return Err(Error::Damaged(
                "the table of its records does not match its checksum".into(),
            ));
        }
        Ok(places)
    }

    fn block(&self, places: &[u8], number: u64) -> Result<Block, Error> {
        let entry = self.entry(Kind::Records)?;
        let damaged =
            |what: &str| Error::Damaged(format!("the block {number} of its records {what}"));
        let place = usize::try_from(number)
            .ok()
            .and_then(|n| places.get(n.checked_mul(PLACE)?..)?.get(..PLACE))
            .ok_or_else(|| damaged("is not there"))?;
        let (offset, length) = (u64_at(place, 0), u64_at(place, 8));
        if offset.checked_add(length).is_none_or(|end| end > entry.length)
            || length > MAX_BLOCK as u64
        {
            return Err(damaged("lies outside"));
        }
        let packed = self.read_at(entry.offset + offset, usize::try_from(length).unwrap_or(0))?;
        if Some(&blake3::hash(&packed).as_bytes()[..]) != place.get(16..) {
            return Err(damaged("does not match its checksum"));
        }
        let bytes = zstd::bulk::decompress(&packed, MAX_BLOCK)
            .map_err(|e| damaged(&format!("cannot be unpacked: {e}")))?;
        Block::new(&bytes).ok_or_else(|| damaged("cannot be understood"))
    }
}

impl Entry {
    fn read(bytes: &[u8], names: &str, size: u64) -> Option<Self> {
        let (name, length) = (u32_at(bytes, 4) as usize, u32_at(bytes, 8) as usize);
        let entry = Self {
            kind: Kind::from_number(u32_at(bytes, 0))?,
            name: names.get(name..name.checked_add(length)?)?.to_owned(),
            count: u32_at(bytes, 12),
            offset: u64_at(bytes, 16),
            length: u64_at(bytes, 24),
            digest: bytes.get(32..64)?.try_into().ok()?,
        };
        (entry.offset.checked_add(entry.length)? <= size).then_some(entry)
    }
}

fn understand<'a, T: Deserialize<'a>>(kind: Kind, bytes: &'a [u8]) -> Result<T, Error> {
    postcard::from_bytes(bytes)
        .map_err(|e| Error::Damaged(format!("its section {kind:?} cannot be understood: {e}")))
}

/// Tells whether a record is filed under an id: its own, an alias, or a vulnerability it speaks of.
fn names(record: &Record<'_>, id: &str) -> bool {
    let same = |text: &str| text.eq_ignore_ascii_case(id);
    same(&record.id) || record.cves.iter().chain(&record.aliases).any(|i| same(i))
}

/// Returns the number of 28 bits under which an id is filed, without regard to case. Others may share it: who looks an
/// id up asks the record itself.
fn hash(id: &str) -> u64 {
    let digest = blake3::hash(id.to_ascii_uppercase().as_bytes());
    u64_at(digest.as_bytes(), 0) >> (BLOCK_BITS + OFFSET_BITS)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
