//! An rpm header as the databases keep it: an index of tags and a store of their values
//! (rpm's `docs/manual/format.md`, "Header format", without the lead and the magic).
//!
//! It is read as a stream, forwards once: of a header of some megabytes only the index and the few wanted values are
//! held. Tags that are not wanted are not looked at, and neither digests nor the bounds of the immutable region are
//! checked.

use std::io::{self, BufRead, BufReader, Read};

use muster_core::fact::Package;
use thiserror::Error;

use super::be32;

/// rpm's own limit of entries (`hdrchkTags`).
const MAX_ENTRIES: u32 = 0xffff;
/// rpm's own limit of the store (`hdrchkData`).
const MAX_STORE: u32 = 0x1000_0000;
/// How long a wanted text may be: names and versions are far shorter.
const MAX_TEXT: usize = 1024;

const INT32: u32 = 4;
const STRING: u32 = 6;
const STRING_ARRAY: u32 = 8;
const I18N_STRING: u32 = 9;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const INSTALL_TIME: u32 = 1008;
const VENDOR: u32 = 1011;
const PACKAGER: u32 = 1015;
const ARCHITECTURE: u32 = 1022;
const SOURCE_RPM: u32 = 1044;
const MODULARITY_LABEL: u32 = 5096;
const OLD_FILE_NAMES: u32 = 1027;
const DIR_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIR_NAMES: u32 = 1118;
/// How many files of a package are looked at.
const MAX_FILES: u32 = 1 << 20;

/// Why a header is none.
#[derive(Debug, Error)]
pub enum HeaderError {
    /// It ends early.
    #[error("the header cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Its lengths cannot be.
    #[error("the header claims {entries} tags and {store} bytes of values")]
    Size {
        /// The tags claimed.
        entries: u32,
        /// The bytes of values claimed.
        store: u32,
    },
    /// A value lies outside, or inside another one.
    #[error("tag {tag} of the header points at byte {offset}, where it cannot be")]
    Offset {
        /// The tag.
        tag: u32,
        /// Where it points.
        offset: u32,
    },
    /// A value has no end, or too late a one.
    #[error("tag {0} of the header is longer than 1024 bytes")]
    Endless(u32),
    /// A tag that every package has is not there.
    #[error("the header has no {0}")]
    Missing(&'static str),
}

/// What a header says of its package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `Name`.
    pub name: String,
    /// `Version`.
    pub version: String,
    /// `Release`.
    pub release: String,
    /// `Epoch`.
    pub epoch: Option<u32>,
    /// `Arch`.
    pub architecture: String,
    /// `Sourcerpm`: the file name of the source package.
    pub source_rpm: Option<String>,
    /// `Vendor`.
    pub vendor: Option<String>,
    /// `Packager`.
    pub packager: Option<String>,
    /// `Modularitylabel`.
    pub module: Option<String>,
    /// `Installtime`, in seconds since 1970.
    pub installed: Option<u32>,
    /// Of the files, those whose names were asked for.
    pub files: Vec<Vec<u8>>,
}

/// The names of files, without their folders, that are looked for.
pub type Names = std::collections::HashSet<Vec<u8>>;

/// The three tags that together name a package's files (rpm's `docs/manual/tags.md`, "Installed file tags").
#[derive(Default)]
struct FileList {
    folders: Vec<Vec<u8>>,
    indexes: Vec<u32>,
    hits: Vec<(usize, Vec<u8>)>,
}

impl FileList {
    fn paths(self) -> Vec<Vec<u8>> {
        let path = |(at, name): (usize, Vec<u8>)| {
            let folder = usize::try_from(*self.indexes.get(at)?).ok()?;
            Some([self.folders.get(folder)?.as_slice(), &name].concat())
        };
        self.hits.into_iter().filter_map(path).collect()
    }
}

/// An entry of the index that is wanted.
struct Wanted {
    offset: u32,
    tag: u32,
    kind: u32,
    count: u32,
}

/// Reads a header that lies in memory.
pub fn parse_header(bytes: &[u8]) -> Result<Header, HeaderError> {
    read_header(bytes, None)
}

/// Reads a header from a stream, no further than its last wanted value.
pub fn read_header(stream: impl Read, names: Option<&Names>) -> Result<Header, HeaderError> {
    let mut stream = BufReader::with_capacity(4096, stream);
    let (wanted, store) = read_index(&mut stream, names.is_some())?;
    let mut header = Header::default();
    let mut list = FileList::default();
    let mut at = 0_u32;
    for value in wanted {
        if value.offset < at || value.offset >= store {
            return Err(HeaderError::Offset { tag: value.tag, offset: value.offset });
        }
        skip(&mut stream, value.offset - at)?;
        let taken = match (value.tag, names) {
            (OLD_FILE_NAMES | DIR_INDEXES | BASE_NAMES | DIR_NAMES, Some(names)) => {
                header.fill_files(&mut stream, &value, names, &mut list)?
            }
            _ => header.fill(&mut stream, &value)?,
        };
        at = value.offset.saturating_add(taken);
    }
    header.files.extend(list.paths());
    header.check()
}

/// Reads the index, and returns its wanted entries in the order of their values, and the size of the store.
fn read_index(stream: &mut impl Read, files: bool) -> Result<(Vec<Wanted>, u32), HeaderError> {
    let mut entry = [0_u8; 16];
    let mut intro = [0_u8; 8];
    stream.read_exact(&mut intro)?;
    let entries = be32(&intro, 0).unwrap_or(0);
    let store = be32(&intro, 4).unwrap_or(0);
    if entries == 0 || entries > MAX_ENTRIES || store > MAX_STORE {
        return Err(HeaderError::Size { entries, store });
    }
    let mut wanted: Vec<Wanted> = Vec::new();
    for _ in 0..entries {
        stream.read_exact(&mut entry)?;
        let field = |at| be32(&entry, at).unwrap_or(0);
        let (tag, kind, offset) = (field(0), field(4), field(8));
        let fits = match tag {
            EPOCH | INSTALL_TIME => kind == INT32,
            NAME | VERSION | RELEASE | VENDOR | PACKAGER | ARCHITECTURE | SOURCE_RPM
            | MODULARITY_LABEL => {
                matches!(kind, STRING | STRING_ARRAY | I18N_STRING)
            }
            DIR_INDEXES => files && kind == INT32,
            OLD_FILE_NAMES | BASE_NAMES | DIR_NAMES => files && kind == STRING_ARRAY,
            _ => false,
        };
        // A tag may stand again after the region that was signed; the first one is rpm's.
        if fits && field(12) > 0 && !wanted.iter().any(|w| w.tag == tag) {
            wanted.push(Wanted { offset, tag, kind, count: field(12).min(MAX_FILES) });
        }
    }
    wanted.sort_by_key(|w| w.offset);
    Ok((wanted, store))
}

fn skip(stream: &mut impl BufRead, count: u32) -> io::Result<()> {
    let skipped = io::copy(&mut stream.take(count.into()), &mut io::sink())?;
    if skipped < u64::from(count) { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

impl Header {
    /// Reads one value, and returns how many bytes it took.
    fn fill(&mut self, stream: &mut impl BufRead, value: &Wanted) -> Result<u32, HeaderError> {
        if value.kind == INT32 {
            let mut bytes = [0_u8; 4];
            stream.read_exact(&mut bytes)?;
            let number = u32::from_be_bytes(bytes);
            match value.tag {
                EPOCH => self.epoch = Some(number),
                _ => self.installed = Some(number),
            }
            return Ok(4);
        }
        let (text, taken) = read_text(stream, value.tag)?;
        let some = (!text.is_empty() && text != "(none)").then(|| text.clone());
        match value.tag {
            NAME => self.name = text,
            VERSION => self.version = text,
            RELEASE => self.release = text,
            ARCHITECTURE => self.architecture = text,
            SOURCE_RPM => self.source_rpm = some,
            VENDOR => self.vendor = some,
            PACKAGER => self.packager = some,
            _ => self.module = some,
        }
        Ok(taken)
    }

    /// Reads one of the lists of files, and returns how many bytes it took.
    fn fill_files(
        &mut self,
        stream: &mut impl BufRead,
        value: &Wanted,
        names: &Names,
        list: &mut FileList,
    ) -> Result<u32, HeaderError> {
        if value.tag == DIR_INDEXES {
            let mut bytes = [0_u8; 4];
            for _ in 0..value.count {
                stream.read_exact(&mut bytes)?;
                list.indexes.push(u32::from_be_bytes(bytes));
            }
            return Ok(value.count * 4);
        }
        let mut taken = 0_u32;
        let mut text = Vec::new();
        for at in 0..value.count {
            text.clear();
            // A name of the file system is shorter than 4096 bytes.
            let read = stream.take(4097).read_until(0, &mut text)?;
            if text.pop() != Some(0) {
                return Err(HeaderError::Endless(value.tag));
            }
            taken = taken.saturating_add(u32::try_from(read).map_err(io::Error::other)?);
            let at = usize::try_from(at).map_err(io::Error::other)?;
            match value.tag {
                DIR_NAMES => list.folders.push(text.clone()),
                BASE_NAMES if names.contains(&text) => list.hits.push((at, text.clone())),
                OLD_FILE_NAMES
                    if text.rsplit(|b| *b == b'/').next().is_some_and(|n| names.contains(n)) =>
                {
                    self.files.push(text.clone());
                }
                _ => {}
            }
        }
        Ok(taken)
    }

    fn check(self) -> Result<Self, HeaderError> {
        for (text, name) in
            [(&self.name, "name"), (&self.version, "version"), (&self.release, "release")]
        {
            if text.is_empty() {
                return Err(HeaderError::Missing(name));
            }
        }
        Ok(self)
    }

    /// Tells the keys that rpm keeps among the packages: nothing of them is on the disk.
    pub fn is_public_key(&self) -> bool {
        self.name == "gpg-pubkey"
    }

    /// Returns the package as facts know it.
    pub fn into_package(self) -> Package {
        let version_release = format!("{}-{}", self.version, self.release);
        let built_from = self.source_rpm.as_deref().and_then(split_source_rpm);
        let source =
            built_from.map(|(name, _)| name).filter(|name| *name != self.name).map(String::from);
        let source_version = built_from
            .map(|(_, version)| version)
            .filter(|v| *v != version_release)
            .map(String::from);
        Package {
            source,
            source_version,
            version: match self.epoch {
                Some(epoch) if epoch > 0 => format!("{epoch}:{version_release}"),
                _ => version_release,
            },
            name: self.name,
            architecture: self.architecture,
            module: self.module,
            vendor: self.vendor,
            maintainer: self.packager,
            ..Package::default()
        }
    }
}

/// Reads a text up to its NUL, and returns it and how many bytes it took.
fn read_text(stream: &mut impl BufRead, tag: u32) -> Result<(String, u32), HeaderError> {
    let mut bytes = Vec::new();
    let taken = stream.take(MAX_TEXT as u64 + 1).read_until(0, &mut bytes)?;
    if bytes.pop() != Some(0) {
        return Err(HeaderError::Endless(tag));
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok((text, u32::try_from(taken).map_err(io::Error::other)?))
}

/// Splits `name-version-release.src.rpm` into the name and `version-release`; from the right, since names have hyphens.
pub fn split_source_rpm(file: &str) -> Option<(&str, &str)> {
    let stem = file.strip_suffix(".src.rpm").or_else(|| file.strip_suffix(".nosrc.rpm"))?;
    let release = stem.rfind('-')?;
    let version = stem.get(..release)?.rfind('-')?;
    let name = stem.get(..version).filter(|name| !name.is_empty())?;
    Some((name, stem.get(version + 1..)?))
}
