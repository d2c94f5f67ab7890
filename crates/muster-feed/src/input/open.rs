//! Files, packed files and archives, told apart by their first bytes (gzip RFC 1952, zstd RFC 8878, xz file format
//! 1.2, bzip2, ZIP APPNOTE 6.3, and tar).
//!
//! What is packed is unpacked once, an archive is opened once, and its packed members once: `osv.tar.xz`,
//! `usn.json.bz2` in a tar. An archive within an archive is named and left alone.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _};
use std::path::Path;

use super::fill::read_up_to;
use super::tar::{Tar, is_tar};
use super::{MAX_MEMBERS, MAX_UNPACKED, Reading};

/// Memory that a packed stream may ask for: zstd's window of 128 MiB, and what xz needs at its highest level.
const MAX_WINDOW_LOG: u32 = 27;
const MAX_XZ_MEMORY: u64 = 160 << 20;
/// What unpacks to more than this, and to more than `MAX_RATIO` times its own size, is taken for a bomb.
const BOMB: u64 = 64 << 20;
const MAX_RATIO: u64 = 500;

/// Reads a file of a source. What is wrong with it as a whole is a problem of that file.
pub(super) fn file(
    path: &Path,
    name: &str,
    reading: &mut Reading<'_>,
    progress: &mut dyn FnMut(u64),
) {
    if let Err(error) = try_file(path, name, reading, progress) {
        reading.problem(name, format!("reading stopped: {error}"));
    }
}

fn try_file(
    path: &Path,
    name: &str,
    reading: &mut Reading<'_>,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut magic = [0; 4];
    let length = read_up_to(&mut file, &mut magic)?;
    file.rewind()?;
    if magic.get(..length).is_some_and(is_zip) {
        return zip(file, name, reading, progress);
    }
    stream(&mut Told { file, read: 0, progress }, name, reading, Opened::default())
}

/// What was opened on the way to a stream.
#[derive(Clone, Copy, Default)]
struct Opened {
    packed: bool,
    archive: bool,
}

fn stream(
    reader: &mut dyn Read,
    name: &str,
    reading: &mut Reading<'_>,
    opened: Opened,
) -> io::Result<()> {
    let mut head = [0; 512];
    let length = read_up_to(reader, &mut head)?;
    let head = head.get(..length).unwrap_or_default();
    let mut whole = Read::chain(head, reader);
    match packing(head) {
        Some(packing) if !opened.packed => packed(packing, &mut whole, name, reading, opened),
        None if is_tar(head) && !opened.archive => tar(&mut whole, name, reading),
        None if is_tar(head) || is_zip(head) => {
            reading.problem(name, "an archive within an archive is not opened: unpack it first");
            Ok(())
        }
        _ => {
            reading.document(name, &mut whole);
            Ok(())
        }
    }
}

fn packed(
    packing: Packing,
    reader: &mut dyn Read,
    name: &str,
    reading: &mut Reading<'_>,
    opened: Opened,
) -> io::Result<()> {
    let taken = Cell::new(0);
    let mut input = BufReader::with_capacity(1 << 16, Counted { reader, taken: &taken });
    let total = reading.unpacked.clone();
    let mut unpacked = Guarded {
        reader: unpack(packing, &mut input)?,
        packed: &taken,
        unpacked: 0,
        total: &total,
    };
    stream(&mut unpacked, name, reading, Opened { packed: true, ..opened })
}

fn tar(reader: &mut dyn Read, name: &str, reading: &mut Reading<'_>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let mut archive = Tar::new(&mut reader);
    let mut members = 0;
    while let Some((member, mut content)) = archive.next()? {
        members += 1;
        if members > MAX_MEMBERS {
            return Err(too_many());
        }
        let path = format!("{name}!{member}");
        let opened = Opened { packed: false, archive: true };
        if let Err(error) = stream(&mut content, &path, reading, opened) {
            reading.problem(&path, format!("reading stopped: {error}"));
        }
    }
    Ok(())
}

fn too_many() -> io::Error {
    io::Error::other(format!("the archive has more than {MAX_MEMBERS} members"))
}

fn zip(
    file: File,
    name: &str,
    reading: &mut Reading<'_>,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let size = file.metadata()?.len();
    let mut archive =
        zip::ZipArchive::new(BufReader::with_capacity(1 << 16, file)).map_err(io::Error::other)?;
    let members = archive.len();
    if members as u64 > MAX_MEMBERS {
        return Err(too_many());
    }
    for number in 0..members {
        match archive.by_index(number) {
            Ok(member) if member.is_file() => zip_member(member, name, reading),
            Ok(_) => {}
            Err(error) => {
                reading.problem(name, format!("the member {number} cannot be read: {error}"));
            }
        }
        progress(size.saturating_mul(number as u64 + 1) / members.max(1) as u64);
    }
    Ok(())
}

fn zip_member(member: zip::read::ZipFile<'_, impl Read>, name: &str, reading: &mut Reading<'_>) {
    let path = format!("{name}!{}", String::from_utf8_lossy(member.name_raw()));
    let taken = Cell::new(member.compressed_size());
    let total = reading.unpacked.clone();
    let reader = Box::new(member);
    let mut unpacked = Guarded { reader, packed: &taken, unpacked: 0, total: &total };
    let opened = Opened { packed: false, archive: true };
    if let Err(error) = stream(&mut unpacked, &path, reading, opened) {
        reading.problem(&path, format!("reading stopped: {error}"));
    }
}

fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

fn packing(head: &[u8]) -> Option<Packing> {
    match head {
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        // A frame, or a skippable frame before the first.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Packing::Zstd),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Packing::Xz),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Packing::Bzip2),
        _ => None,
    }
}

fn unpack<'r>(packing: Packing, stream: &'r mut dyn BufRead) -> io::Result<Box<dyn Read + 'r>> {
    Ok(match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stream)),
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(stream)),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(stream)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Packing::Xz => {
            let decoder = liblzma::stream::Stream::new_stream_decoder(
                MAX_XZ_MEMORY,
                liblzma::stream::CONCATENATED,
            )?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(stream, decoder))
        }
    })
}

/// Tells how far a file is read.
struct Told<'p> {
    file: File,
    read: u64,
    progress: &'p mut dyn FnMut(u64),
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        (self.progress)(self.read);
        Ok(read)
    }
}

/// Counts packed bytes.
struct Counted<'r> {
    reader: &'r mut dyn Read,
    taken: &'r Cell<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}

/// Ends what unpacks beyond all measure with an error.
struct Guarded<'r> {
    reader: Box<dyn Read + 'r>,
    packed: &'r Cell<u64>,
    unpacked: u64,
    total: &'r Cell<u64>,
}

impl Read for Guarded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)? as u64;
        self.unpacked += read;
        self.total.set(self.total.get() + read);
        if self.unpacked > BOMB && self.unpacked / MAX_RATIO > self.packed.get() {
            return Err(io::Error::other(format!(
                "it unpacks to more than {MAX_RATIO} times its size"
            )));
        }
        if self.total.get() > MAX_UNPACKED {
            return Err(io::Error::other(format!(
                "the source unpacks to more than {MAX_UNPACKED} bytes"
            )));
        }
        Ok(usize::try_from(read).unwrap_or(usize::MAX))
    }
}
