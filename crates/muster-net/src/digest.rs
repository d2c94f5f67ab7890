//! Digests of what is read, and as text.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};

use sha2::{Digest as _, Sha256};

/// Bytes that are read at a time.
const READ_BYTES: usize = 64 << 10;

/// Reads to the end, and returns how many bytes there were.
pub(crate) fn feed(from: &mut impl Read, digest: &mut Sha256) -> io::Result<u64> {
    feed_and_copy(from, digest, &mut io::sink())
}

/// Reads to the end, copies what is read, and returns how many bytes there were.
pub(crate) fn feed_and_copy(
    from: &mut impl Read,
    digest: &mut Sha256,
    to: &mut impl Write,
) -> io::Result<u64> {
    let mut buffer = vec![0; READ_BYTES];
    let mut bytes = 0_u64;
    loop {
        let got = match from.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(got) => got,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let got = buffer.get(..got).unwrap_or_default();
        digest.update(got);
        to.write_all(got)?;
        bytes = bytes.saturating_add(got.len() as u64);
    }
}

/// Writes a digest as `sha256sum` does.
pub(crate) fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every write");
        text
    })
}
