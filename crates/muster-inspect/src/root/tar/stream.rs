//! The bytes of a tar, unpacked where they are packed: gzip (RFC 1952), xz, zstd (RFC 8878), told by their first bytes.
//!
//! A packing's checksum stands at its end: only a stream that is drained is known to be whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek as _, SeekFrom};
use std::time::Duration;

use flate2::bufread::GzDecoder;

/// Bytes of memory that unpacking xz may take: `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 70 << 20;
/// The largest window of zstd that is met, as a power of two: 32 MiB. `zstd --ultra -22` and `--long` ask for more.
const ZSTD_WINDOW: u32 = 25;

/// After how many bytes the clock is looked at.
const CLOCKED_EVERY: u64 = 1 << 20;

/// What an error says when there is no time left.
const TOO_LONG: &str = "it takes longer to read than there is time";

/// A tar being read from its beginning to its end.
pub(super) struct Stream {
    bytes: Bytes,
    position: u64,
    /// No byte behind this one is read.
    limit: u64,
    /// When there is no more time, by the monotonic clock.
    end: Duration,
    /// Where the clock was last looked at.
    clocked: u64,
    /// How the tar is packed, in words; nothing when it is not.
    pub(super) packed: Option<&'static str>,
}

enum Bytes {
    /// A plain tar in a file: what is not needed is skipped. Its length is known.
    File(BufReader<File>, u64),
    Packed(Box<dyn Read>),
}

impl Stream {
    /// Begins to read; `seekable` tells a regular file.
    pub(super) fn open(
        mut file: File,
        seekable: bool,
        limit: u64,
        end: Duration,
    ) -> io::Result<Self> {
        if seekable {
            file.seek(SeekFrom::Start(0))?;
        }
        let mut head = [0; 6];
        let mut known = 0;
        while let Some(room) = head.get_mut(known..).filter(|room| !room.is_empty()) {
            match file.read(room)? {
                0 => break,
                n => known += n,
            }
        }
        let head = head.get(..known).unwrap_or_default();
        let packed = packing(head);
        if seekable {
            file.seek(SeekFrom::Start(0))?;
            if packed.is_none() {
                let length = file.metadata()?.len();
                let file = BufReader::with_capacity(64 * 1024, file);
                let bytes = Bytes::File(file, length);
                return Ok(Self { bytes, position: 0, limit, end, clocked: 0, packed });
            }
        }
        let file = BufReader::with_capacity(64 * 1024, Clocked { file, end });
        let whole: Box<dyn BufRead> = if seekable {
            Box::new(file)
        } else {
            Box::new(Cursor::new(head.to_vec()).chain(file))
        };
        let bytes: Box<dyn Read> = match packed {
            Some("gzip") => Box::new(Gzip { decoder: Some(GzDecoder::new(whole)) }),
            Some("xz") => {
                let decoder = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                )?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(whole, decoder))
            }
            Some("zstd") => {
                let mut decoder = zstd::Decoder::with_buffer(whole)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Box::new(decoder)
            }
            Some(other) => {
                return Err(io::Error::other(format!(
                    "is packed with {other}, which is not read; pack it with gzip, xz or zstd"
                )));
            }
            None => whole,
        };
        let bytes = Bytes::Packed(bytes);
        Ok(Self { bytes, position: 0, limit, end, clocked: 0, packed })
    }

    /// Returns where the next byte stands, in the unpacked tar.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Tells whether what was read can be read again where it lies.
    pub(super) fn is_plain_file(&self) -> bool {
        matches!(self.bytes, Bytes::File(..))
    }

    /// Fills the buffer; fewer bytes than that are there only at the end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            let read = match &mut self.bytes {
                Bytes::File(file, _) => file.read(room),
                Bytes::Packed(bytes) => bytes.read(room),
            };
            match read {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position += filled as u64;
        if self.position > self.limit {
            return Err(io::Error::other(format!(
                "unpacks to more than the {} GiB that are read",
                self.limit >> 30
            )));
        }
        if self.position - self.clocked > CLOCKED_EVERY {
            self.clocked = self.position;
            if muster_sandbox::monotonic() > self.end {
                return Err(io::Error::other(TOO_LONG));
            }
        }
        Ok(filled)
    }

    /// Reads what is left, so that a packing comes to its own checksum; tells whether any of it was not zero.
    pub(super) fn drain(&mut self) -> io::Result<bool> {
        let mut scratch = [0; 16 * 1024];
        let mut stray = false;
        loop {
            let read = self.fill(&mut scratch)?;
            stray |= scratch.get(..read).unwrap_or_default().iter().any(|b| *b != 0);
            // What is not packed has no checksum to come to.
            if read < scratch.len() || (stray && self.packed.is_none()) {
                return Ok(stray);
            }
        }
    }

    /// Passes over bytes; false when the end comes before.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<bool> {
        if let Bytes::File(file, length) = &mut self.bytes {
            let Some(to) = self.position.checked_add(count).filter(|to| to <= length) else {
                return Ok(false);
            };
            match i64::try_from(count) {
                Ok(count) => file.seek_relative(count)?,
                Err(_) => return Ok(false),
            }
            self.position = to;
            return Ok(true);
        }
        let mut scratch = [0; 16 * 1024];
        let mut left = count;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(scratch.len());
            let read = self.fill(scratch.get_mut(..most).unwrap_or_default())?;
            if read < most {
                return Ok(false);
            }
            left -= read as u64;
        }
        Ok(true)
    }
}

/// A file that is read only as long as there is time: a decoder may read for ever before its next byte comes out.
struct Clocked {
    file: File,
    end: Duration,
}

impl Read for Clocked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if muster_sandbox::monotonic() > self.end {
            return Err(io::Error::other(TOO_LONG));
        }
        self.file.read(buffer)
    }
}

/// The members of a gzip file, one after the other, and the zeros with which a tape or a disk may fill up the last
/// block: gzip(1) passes over those too.
struct Gzip<R: BufRead> {
    /// Taken out only to begin the next member, and for good at the end.
    decoder: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(decoder) = &mut self.decoder {
            let read = decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            match decoder.get_mut().fill_buf()?.first() {
                None => self.decoder = None,
                Some(0) => {
                    pass_padding(decoder.get_mut())?;
                    self.decoder = None;
                }
                Some(_) => {
                    self.decoder = self.decoder.take().map(|d| GzDecoder::new(d.into_inner()));
                }
            }
        }
        Ok(0)
    }
}

fn pass_padding(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let padding = input.fill_buf()?;
        if padding.iter().any(|b| *b != 0) {
            return Err(io::Error::other("bytes that are no gzip lie behind its end"));
        }
        let length = padding.len();
        if length == 0 {
            return Ok(());
        }
        input.consume(length);
    }
}

/// Tells by the first bytes how a file is packed.
fn packing(head: &[u8]) -> Option<&'static str> {
    [
        (&b"\x1f\x8b"[..], "gzip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
        (b"PK\x03\x04", "zip"),
        (b"7z\xbc\xaf", "7z"),
    ]
    .iter()
    .find(|(magic, _)| head.starts_with(magic))
    .map(|(_, name)| *name)
}
