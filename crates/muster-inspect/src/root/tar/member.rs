//! The members of a tar: ustar and pax (POSIX pax), GNU's long names and sparse files (GNU tar manual, "Basic Tar Format").
//!
//! As GNU tar reads them: a hard link has no data, two blocks of zeros end the archive, a global header is passed over.
//! Sparse files of pax formats 0.0 and 0.1 and archives in several volumes are not read, and said to be.

use std::io;

use super::stream::Stream;

const BLOCK: usize = 512;
/// A name, a link or a pax header is never longer.
const MAX_HEADER: u64 = 1 << 20;
/// Pieces of a sparse file.
const MAX_PIECES: usize = 100_000;

/// A piece of a sparse file: where it belongs, and how long it is.
type Piece = (u64, u64);

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Fifo,
    Device,
    /// What is in it is not a part of the root.
    Other,
}

/// One member, its data not yet read.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) path: String,
    pub(super) link: String,
    pub(super) kind: Kind,
    /// The length of the file.
    pub(super) size: u64,
    /// When it was last written, in seconds.
    pub(super) modified: Option<i64>,
    /// The number of the account that owned it.
    pub(super) user: u32,
    /// How many bytes of data stand in the archive.
    pub(super) stored: u64,
    /// Where the stored pieces belong; nothing when the file is not sparse.
    pub(super) pieces: Option<Vec<Piece>>,
    /// The pieces are listed at the beginning of the data (pax format 1.0).
    pub(super) pieces_in_data: bool,
    /// Why its data cannot be understood.
    pub(super) refused: Option<&'static str>,
}

/// Why no further member can be read.
#[derive(Debug)]
pub(super) enum Stop {
    /// The archive has ended, with its end mark.
    End,
    /// The archive has ended where it may end, but without its end mark.
    NoMark,
    /// The archive has ended in the middle of something.
    Cut,
    /// This is no header.
    NoHeader,
    /// The bytes cannot be had.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What extension headers say of the member after them.
#[derive(Default)]
struct Extension {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    modified: Option<i64>,
    user: Option<u64>,
    sparse_name: Option<String>,
    sparse_size: Option<u64>,
    sparse_major: Option<u64>,
    sparse_old: bool,
}

/// Reads the next header and those that extend it.
pub(super) fn next(stream: &mut Stream) -> Result<Member, Stop> {
    let mut extension = Extension::default();
    loop {
        let mut block = [0; BLOCK];
        match stream.fill(&mut block)? {
            0 => return Err(Stop::NoMark),
            BLOCK => {}
            _ => return Err(Stop::Cut),
        }
        if block.iter().all(|b| *b == 0) {
            match stream.fill(&mut block)? {
                BLOCK if block.iter().any(|b| *b != 0) => {}
                _ => return Err(Stop::End),
            }
        }
        if !has_checksum(&block) {
            return Err(Stop::NoHeader);
        }
        let size = number(field::<124, 12>(&block)).ok_or(Stop::NoHeader)?;
        match field::<156, 1>(&block)[0] {
            b'L' => extension.path = Some(text(&data(stream, size)?)),
            b'K' => extension.link = Some(text(&data(stream, size)?)),
            b'x' | b'X' => read_pax(&data(stream, size)?, &mut extension),
            b'g' => drop(data(stream, size)?),
            flag => return member(stream, &block, flag, size, extension),
        }
    }
}

fn member(
    stream: &mut Stream,
    block: &[u8; BLOCK],
    flag: u8,
    size: u64,
    extension: Extension,
) -> Result<Member, Stop> {
    let kind = match flag {
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' | b'4' => Kind::Device,
        b'5' | b'D' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'V' | b'M' | b'N' => Kind::Other,
        _ => Kind::File,
    };
    let path = extension.path.unwrap_or_else(|| name(block));
    let kind = if kind == Kind::File && path.ends_with('/') { Kind::Directory } else { kind };
    let stored = if kind == Kind::HardLink { 0 } else { extension.size.unwrap_or(size) };
    let mut member = Member {
        path: extension.sparse_name.unwrap_or(path),
        link: extension.link.unwrap_or_else(|| text(field::<157, 100>(block))),
        kind,
        size: extension.sparse_size.unwrap_or(stored),
        modified: extension
            .modified
            .or_else(|| number(field::<136, 12>(block)).and_then(|t| i64::try_from(t).ok())),
        user: extension
            .user
            .or_else(|| number(field::<108, 8>(block)))
            .and_then(|user| u32::try_from(user).ok())
            .unwrap_or(u32::MAX),
        stored,
        pieces: None,
        pieces_in_data: extension.sparse_major == Some(1),
        refused: None,
    };
    if extension.sparse_old && !member.pieces_in_data {
        member.refused = Some("is a sparse file of an old pax format, which is not read");
    }
    if flag == b'S' {
        member.size = number(field::<483, 12>(block)).ok_or(Stop::NoHeader)?;
        member.pieces = Some(old_gnu_pieces(stream, block)?);
    }
    Ok(member)
}

/// The map of an old GNU sparse file: four pieces in the header, more in blocks after it.
fn old_gnu_pieces(stream: &mut Stream, block: &[u8; BLOCK]) -> Result<Vec<Piece>, Stop> {
    let mut pieces = Vec::new();
    add_pieces(&mut pieces, field::<386, 96>(block))?;
    let mut more = field::<482, 1>(block)[0] != 0;
    while more {
        let mut block = [0; BLOCK];
        if stream.fill(&mut block)? < BLOCK {
            return Err(Stop::Cut);
        }
        add_pieces(&mut pieces, field::<0, 504>(&block))?;
        more = field::<504, 1>(&block)[0] != 0;
    }
    Ok(pieces)
}

fn add_pieces(pieces: &mut Vec<Piece>, map: &[u8]) -> Result<(), Stop> {
    for piece in map.chunks_exact(24) {
        let (offset, length) = piece.split_at(12);
        if offset.iter().all(|b| *b == 0) || pieces.len() == MAX_PIECES {
            break;
        }
        let piece = number(offset).zip(number(length)).ok_or(Stop::NoHeader)?;
        pieces.push(piece);
    }
    Ok(())
}

/// Reads the data of an extension header.
fn data(stream: &mut Stream, size: u64) -> Result<Vec<u8>, Stop> {
    if size > MAX_HEADER {
        return Err(Stop::NoHeader);
    }
    let size = usize::try_from(size).map_err(|_| Stop::NoHeader)?;
    let mut bytes = vec![0; size.next_multiple_of(BLOCK)];
    if stream.fill(&mut bytes)? < bytes.len() {
        return Err(Stop::Cut);
    }
    bytes.truncate(size);
    Ok(bytes)
}

/// pax: `LENGTH KEY=VALUE\n`, one after another.
fn read_pax(mut records: &[u8], extension: &mut Extension) {
    while let Some(space) = records.iter().position(|b| *b == b' ') {
        let length = records.get(..space).and_then(decimal);
        let Some(length) = length.and_then(|l| usize::try_from(l).ok()) else { return };
        let Some((record, rest)) = records.split_at_checked(length) else { return };
        let Some(record) = record.get(space + 1..) else { return };
        records = rest;
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        let Some(equals) = record.iter().position(|b| *b == b'=') else { continue };
        let (key, value) = record.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        match key {
            b"path" => extension.path = Some(text(value)),
            b"linkpath" => extension.link = Some(text(value)),
            b"uid" => extension.user = decimal(value),
            b"size" => extension.size = decimal(value),
            b"mtime" => {
                let whole = value.split(|b| *b == b'.').next().unwrap_or_default();
                extension.modified = decimal(whole).and_then(|t| i64::try_from(t).ok());
            }
            b"GNU.sparse.name" => extension.sparse_name = Some(text(value)),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => extension.sparse_size = decimal(value),
            b"GNU.sparse.major" => extension.sparse_major = decimal(value),
            b"GNU.sparse.map" | b"GNU.sparse.numblocks" => extension.sparse_old = true,
            _ => {}
        }
    }
}

/// Takes the list of pieces off the beginning of a sparse file's data (pax format 1.0); the data that is left.
pub(super) fn pieces_of(data: &[u8]) -> Option<(Vec<Piece>, &[u8])> {
    let mut at = 0;
    let mut line = || {
        let rest = data.get(at..)?;
        let end = rest.iter().position(|b| *b == b'\n')?;
        at += end + 1;
        decimal(rest.get(..end)?)
    };
    let count = usize::try_from(line()?).ok().filter(|count| *count <= MAX_PIECES)?;
    let mut pieces = Vec::new();
    for _ in 0..count {
        pieces.push((line()?, line()?));
    }
    Some((pieces, data.get(at.next_multiple_of(BLOCK)..)?))
}

/// Puts the pieces of a sparse file where they belong.
pub(super) fn spread(pieces: &[Piece], mut data: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut whole = vec![0; size];
    for (offset, length) in pieces {
        let (offset, length) = (usize::try_from(*offset).ok()?, usize::try_from(*length).ok()?);
        let (piece, rest) = data.split_at_checked(length)?;
        data = rest;
        whole.get_mut(offset..offset.checked_add(length)?)?.copy_from_slice(piece);
    }
    Some(whole)
}

/// Returns a field of a header.
fn field<const AT: usize, const LENGTH: usize>(block: &[u8; BLOCK]) -> &[u8] {
    block.get(AT..AT + LENGTH).expect("a field lies within its block")
}

/// The name, with POSIX's prefix where the header has one.
fn name(block: &[u8; BLOCK]) -> String {
    let name = text(field::<0, 100>(block));
    let prefix = text(field::<345, 155>(block));
    if field::<257, 6>(block) == b"ustar\0" && !prefix.is_empty() {
        return format!("{prefix}/{name}");
    }
    name
}

/// Text up to its first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

fn decimal(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok()?.parse().ok()
}

/// A number of a header: octal digits, or GNU's base 256.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // A time before 1970 is negative; no one needs it.
        let mut value = u64::from(first & 0x7f);
        for byte in rest {
            value = value.checked_mul(256)?.checked_add(u64::from(*byte))?;
        }
        return Some(value);
    }
    let mut value: u64 = 0;
    for byte in field.iter().copied().skip_while(|b| *b == b' ') {
        match byte {
            b'0'..=b'7' => value = value.checked_mul(8)?.checked_add(u64::from(byte - b'0'))?,
            0 | b' ' => break,
            _ => return None,
        }
    }
    Some(value)
}

/// The sum of all bytes, the checksum's own taken as spaces; old writers added signed ones.
fn has_checksum(block: &[u8; BLOCK]) -> bool {
    let Some(written) = number(field::<148, 8>(block)) else { return false };
    let mut unsigned: u64 = 0;
    let mut signed: i64 = 0;
    for (at, byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&at) { b' ' } else { *byte };
        unsigned += u64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    written == unsigned || i64::try_from(written) == Ok(signed)
}
