//! Files, packed files and archives, told apart by their first bytes (gzip RFC 1952, zstd RFC 8878, xz file format
//! 1.2, bzip2, ZIP APPNOTE 6.3, POSIX ustar/pax).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _};
use std::path::Path;

use super::{MAX_MEMBERS, Reading};

/// Memory that a packed stream may ask for.
const MAX_WINDOW_LOG: u32 = 27;
const MAX_XZ_MEMORY: u64 = 160 << 20;

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
    if magic
        .get(..length)
        .is_some_and(|m| m.starts_with(b"PK\x03\x04") || m.starts_with(b"PK\x05\x06"))
    {
        return zip(file, name, reading, progress);
    }
    let counted = Counted { file, read: 0, progress };
    let mut stream = BufReader::with_capacity(1 << 16, counted);
    let kind = packing(stream.fill_buf()?);
    match kind {
        Some(packing) => plain_or_tar(
            &mut BufReader::with_capacity(1 << 16, unpack(packing, &mut stream)?),
            name,
            reading,
        ),
        None => plain_or_tar(&mut stream, name, reading),
    }
}

#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

fn packing(head: &[u8]) -> Option<Packing> {
    if head.starts_with(&[0x1f, 0x8b]) {
        Some(Packing::Gzip)
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Some(Packing::Zstd)
    } else if head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        Some(Packing::Xz)
    } else if head.starts_with(b"BZh") {
        Some(Packing::Bzip2)
    } else {
        None
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

/// A tar is told by `ustar` at byte 257; everything else is one document.
fn plain_or_tar(stream: &mut dyn Read, name: &str, reading: &mut Reading<'_>) -> io::Result<()> {
    let mut head = [0; 512];
    let length = read_up_to(stream, &mut head)?;
    let head = head.get(..length).unwrap_or_default();
    let mut whole = Read::chain(head, stream);
    if head.get(257..262) != Some(b"ustar") {
        reading.document(name, &mut whole);
        return Ok(());
    }
    let mut archive = tar::Archive::new(&mut whole);
    let mut members = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        members += 1;
        if members > MAX_MEMBERS {
            return Err(io::Error::other(format!(
                "the archive has more than {MAX_MEMBERS} members"
            )));
        }
        if entry.header().entry_type().is_file() {
            let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            reading.document(&format!("{name}!{member}"), &mut entry);
        }
    }
    Ok(())
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
        return Err(io::Error::other(format!("the archive has more than {MAX_MEMBERS} members")));
    }
    for number in 0..members {
        match archive.by_index(number) {
            Ok(mut member) if member.is_file() => {
                let path = format!("{name}!{}", String::from_utf8_lossy(member.name_raw()));
                reading.document(&path, &mut member);
            }
            Ok(_) => {}
            Err(error) => {
                reading.problem(name, format!("the member {number} cannot be read: {error}"));
            }
        }
        progress(size.saturating_mul(number as u64 + 1) / members.max(1) as u64);
    }
    Ok(())
}

fn read_up_to(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|r| !r.is_empty()) {
        match stream.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Tells how far a file is read.
struct Counted<'p> {
    file: File,
    read: u64,
    progress: &'p mut dyn FnMut(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        (self.progress)(self.read);
        Ok(read)
    }
}
