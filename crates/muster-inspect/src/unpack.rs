//! Unpacks what lies packed on a server: gzip, xz, zstd and lz4 streams, and what is not packed at all.
//!
//! The form is told by the first bytes, never by the name (RFC 1952 §2.3.1; the .xz file format 1.2 §2.1.1.1;
//! RFC 8878 §3.1.1; the LZ4 frame format 1.6.4). Streams of several members or frames are read to their end.
//! What is read may be hostile: the bytes that come out and the memory that decoding takes are bounded, and a
//! stream that ends in the middle is an error, never a short answer. It does not read bzip2, legacy lz4 or zchunk.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use lz4_flex::frame::FrameDecoder;

/// How many packed bytes are read at a time.
const CHUNK: usize = 64 << 10;

/// The longest of the magic numbers.
const MAGIC: usize = 6;

/// How far unpacking may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The bytes that may come out.
    pub output: u64,
    /// The bytes of memory that a decoder may take for its dictionary or window.
    pub memory: u64,
}

impl Limits {
    /// For the index of a package archive: Debian's largest is 50 MB, packed by `xz -6` or `zstd -19`.
    pub const INDEX: Self = Self { output: 1 << 30, memory: 72 << 20 };
}

/// The form that bytes are packed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Not packed, or in a form that is not read here.
    Plain,
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// zstd.
    Zstd,
    /// The frames of lz4.
    Lz4,
}

impl Form {
    /// Tells the form by the first bytes.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::Lz4,
            _ => Self::Plain,
        }
    }
}

/// Returns the unpacked bytes of a stream, in whichever form it is packed.
///
/// # Errors
///
/// When the first bytes cannot be read. What is wrong further on is an error of the reader that is returned.
pub fn unpack<'a>(mut input: impl Read + 'a, limits: Limits) -> io::Result<impl Read + 'a> {
    let mut head = Vec::with_capacity(MAGIC);
    input.by_ref().take(MAGIC as u64).read_to_end(&mut head)?;
    let form = Form::of(&head);
    let input = BufReader::with_capacity(CHUNK, Cursor::new(head).chain(input));
    Ok(Bounded { inner: decoder(form, input, limits.memory)?, left: limits.output, limits })
}

/// Returns the decoder of a form.
fn decoder<'a>(
    form: Form,
    input: impl BufRead + 'a,
    memory: u64,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match form {
        Form::Plain => Box::new(input),
        Form::Gzip => Box::new(MultiGzDecoder::new(input)),
        Form::Xz => {
            let stream = Stream::new_stream_decoder(memory, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(input, stream))
        }
        Form::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input)?;
            // zstd refuses windows above 2^31 and below 2^10 by itself.
            decoder.window_log_max(memory.max(1 << 10).ilog2().min(31))?;
            Box::new(decoder)
        }
        Form::Lz4 => Box::new(Lz4 { decoder: Some(FrameDecoder::new(Marked::new(input))) }),
    })
}

/// A reader that fails when more comes out than was allowed.
struct Bounded<'a> {
    inner: Box<dyn Read + 'a>,
    left: u64,
    limits: Limits,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer).map_err(|error| self.explained(error))?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("unpacks to more than {} bytes, the most that is read", self.limits.output),
            )
        })?;
        Ok(read)
    }
}

impl Bounded<'_> {
    /// Says which limit was met where the decoder's own words do not.
    fn explained(&self, error: io::Error) -> io::Error {
        let words = error.to_string();
        let memory = words.contains("memory") || words.contains("Memory");
        if !memory && error.kind() != io::ErrorKind::OutOfMemory {
            return error;
        }
        let limit = self.limits.memory;
        io::Error::new(error.kind(), format!("needs more than {limit} bytes of memory to unpack"))
    }
}

/// The frames of an lz4 stream, one after the other.
struct Lz4<R: BufRead> {
    /// Always there: it is taken out only to begin the next frame.
    decoder: Option<FrameDecoder<Marked<R>>>,
}

impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            let read = decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            // The decoder takes the end of the input for the end of the frame, even between two blocks.
            if decoder.get_ref().ended {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "lz4 stream ends inside a frame",
                ));
            }
            if decoder.get_mut().inner.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.decoder = self.decoder.take().map(|d| FrameDecoder::new(d.into_inner()));
        }
    }
}

/// A reader that remembers whether the end of the input was met.
struct Marked<R> {
    inner: R,
    ended: bool,
}

impl<R> Marked<R> {
    const fn new(inner: R) -> Self {
        Self { inner, ended: false }
    }
}

impl<R: Read> Read for Marked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.ended |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Limits, unpack};
    use std::io::{Read as _, Write as _};

    const FORMS: [Form; 5] = [Form::Plain, Form::Gzip, Form::Xz, Form::Zstd, Form::Lz4];

    fn pack(form: Form, bytes: &[u8]) -> Vec<u8> {
        match form {
            Form::Plain => bytes.to_vec(),
            Form::Gzip => {
                let mut packer =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            }
            Form::Xz => {
                let mut packer = liblzma::write::XzEncoder::new(Vec::new(), 6);
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            }
            Form::Zstd => zstd::encode_all(bytes, 3).unwrap(),
            Form::Lz4 => {
                let mut packer = lz4_flex::frame::FrameEncoder::new(Vec::new());
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            }
        }
    }

    fn all(packed: &[u8], limits: Limits) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        unpack(packed, limits)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn text() -> Vec<u8> {
        lines(20_000)
    }

    fn lines(count: u32) -> Vec<u8> {
        (0..count)
            .flat_map(|n| format!("Package: p{}\n", n.wrapping_mul(7919)).into_bytes())
            .collect()
    }

    #[test]
    fn each_form_is_told_by_its_first_bytes_and_unpacked() {
        for form in FORMS {
            for bytes in [&b""[..], b"a", b"Package: a\n", &text()] {
                let packed = pack(form, bytes);
                if form != Form::Plain {
                    assert_eq!(Form::of(&packed), form);
                }
                assert_eq!(all(&packed, Limits::INDEX).unwrap(), bytes, "{form:?}");
            }
        }
    }

    #[test]
    fn members_and_frames_that_follow_one_another_are_one_stream() {
        for form in FORMS {
            let packed = [pack(form, &text()), pack(form, b"the end")].concat();
            assert_eq!(all(&packed, Limits::INDEX).unwrap(), [&text()[..], b"the end"].concat());
        }
    }

    #[test]
    fn a_stream_that_is_cut_short_is_an_error_wherever_it_is_cut() {
        for form in [Form::Gzip, Form::Xz, Form::Zstd, Form::Lz4] {
            let packed = pack(form, &lines(8_000));
            let cuts = (MAGIC..packed.len()).step_by(997).chain(packed.len() - 40..packed.len());
            for cut in cuts {
                assert!(all(&packed[..cut], Limits::INDEX).is_err(), "{form:?} cut at {cut}");
            }
        }
    }

    const MAGIC: usize = 6;

    #[test]
    fn more_bytes_than_allowed_are_an_error_that_names_the_limit() {
        let bytes = vec![0; 100_000];
        for form in FORMS {
            let packed = pack(form, &bytes);
            let exact = Limits { output: 100_000, memory: 64 << 20 };
            assert_eq!(all(&packed, exact).unwrap().len(), 100_000);
            let error = all(&packed, Limits { output: 99_999, ..exact }).unwrap_err();
            assert!(error.to_string().contains("99999"), "{form:?}: {error}");
        }
    }

    #[test]
    fn a_dictionary_or_window_larger_than_allowed_is_an_error() {
        let small = Limits { output: 1 << 20, memory: 1 << 20 };
        let xz = pack(Form::Xz, b"needs the 8 MiB of xz -6");
        assert!(all(&xz, small).unwrap_err().to_string().contains("1048576"));
        let mut packer = zstd::Encoder::new(Vec::new(), 3).unwrap();
        packer.window_log(24).unwrap();
        packer.write_all(&text()).unwrap();
        let zst = packer.finish().unwrap();
        assert!(all(&zst, small).unwrap_err().to_string().contains("1048576"));
    }

    #[test]
    fn broken_bytes_are_an_error_and_never_a_panic() {
        for form in [Form::Gzip, Form::Xz, Form::Zstd, Form::Lz4] {
            let packed = pack(form, &lines(8_000));
            for at in (0..60).chain((60..packed.len()).step_by(991)) {
                let mut broken = packed.clone();
                broken[at] ^= 0x55;
                drop(all(&broken, Limits::INDEX));
            }
        }
    }
}
