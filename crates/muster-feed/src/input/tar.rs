//! Tar, as a stream: ustar (POSIX.1-1988), pax (POSIX.1-2001) and GNU's long names and big sizes.
//!
//! It is read here, and not by a library, because an archive of a feed is hostile: what an archive says of itself (a
//! name of gigabytes) is bounded, and nothing is ever written. Sparse files and links hold no documents.

use std::io::{self, Read};

const BLOCK: usize = 512;
/// The longest name, or pax header, that is read.
const MAX_HEADER: u64 = 1 << 20;

/// Judges whether a stream that begins so is a tar.
pub(super) fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// A tar as it streams by.
pub(super) struct Tar<'r> {
    reader: &'r mut dyn Read,
    /// What is left of the member at hand, and the padding after it.
    left: u64,
    padding: u64,
}

/// The content of a member.
pub(super) struct Member<'t, 'r> {
    tar: &'t mut Tar<'r>,
}

impl<'r> Tar<'r> {
    pub(super) fn new(reader: &'r mut dyn Read) -> Self {
        Self { reader, left: 0, padding: 0 }
    }

    /// Returns the next file, with its name; links, folders and devices are passed over.
    pub(super) fn next(&mut self) -> io::Result<Option<(String, Member<'_, 'r>)>> {
        let (mut long_name, mut long_size) = (None, None);
        loop {
            self.pass_over_rest()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = header.size()?;
            self.left = size;
            self.padding = size.next_multiple_of(BLOCK as u64) - size;
            match header.kind() {
                b'L' => long_name = Some(until_nul(&self.content()?)),
                b'x' => {
                    for (key, value) in pax(&self.content()?) {
                        match key.as_str() {
                            "path" => long_name = Some(value),
                            "size" => long_size = value.parse().ok(),
                            _ => {}
                        }
                    }
                }
                b'0' | 0 | b'7' => {
                    if let Some(size) = long_size.take() {
                        self.resize(size)?;
                    }
                    let name = long_name.take().unwrap_or_else(|| header.name());
                    return Ok(Some((name, Member { tar: self })));
                }
                _ => (long_name, long_size) = (None, None),
            }
        }
    }

    fn resize(&mut self, size: u64) -> io::Result<()> {
        let whole = size.checked_next_multiple_of(BLOCK as u64).ok_or_else(|| damaged("size"))?;
        (self.left, self.padding) = (size, whole - size);
        Ok(())
    }

    fn pass_over_rest(&mut self) -> io::Result<()> {
        let rest = self.left.checked_add(self.padding).ok_or_else(|| damaged("size"))?;
        let passed = io::copy(&mut (&mut *self.reader).take(rest), &mut io::sink())?;
        (self.left, self.padding) = (0, 0);
        if passed < rest {
            return Err(cut());
        }
        Ok(())
    }

    /// Reads a header; a block of zeros, or nothing, ends the archive.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut block = [0; BLOCK];
        match super::fill::read_up_to(self.reader, &mut block)? {
            0 => return Ok(None),
            BLOCK => {}
            _ => return Err(cut()),
        }
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let header = Header(block);
        if octal(header.field(148, 8)) != Some(header.sum()) {
            return Err(damaged("checksum"));
        }
        Ok(Some(header))
    }

    fn content(&mut self) -> io::Result<Vec<u8>> {
        if self.left > MAX_HEADER {
            return Err(damaged("name"));
        }
        let mut bytes = Vec::new();
        Member { tar: self }.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Member<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.tar.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|b| !b.is_empty()) else { return Ok(0) };
        let read = self.tar.reader.read(buffer)?;
        if read == 0 {
            return Err(cut());
        }
        self.tar.left = self.tar.left.saturating_sub(read as u64);
        Ok(read)
    }
}

struct Header([u8; BLOCK]);

impl Header {
    fn field(&self, at: usize, length: usize) -> &[u8] {
        self.0.get(at..at + length).unwrap_or_default()
    }

    fn kind(&self) -> u8 {
        self.field(156, 1).first().copied().unwrap_or_default()
    }

    fn sum(&self) -> u64 {
        let bytes = self.0.iter().enumerate();
        // The checksum's own eight bytes count as blanks.
        bytes.map(|(at, b)| if (148..156).contains(&at) { 32 } else { u64::from(*b) }).sum()
    }

    fn size(&self) -> io::Result<u64> {
        let field = self.field(124, 12);
        let size = match field.split_first() {
            Some((first, rest)) if first & 0x80 != 0 => big(first & 0x7f, rest),
            _ => octal(field),
        };
        size.filter(|s| s.checked_add(BLOCK as u64).is_some()).ok_or_else(|| damaged("size"))
    }

    fn name(&self) -> String {
        let (prefix, name) = (until_nul(self.field(345, 155)), until_nul(self.field(0, 100)));
        // GNU's old format keeps times where ustar keeps the prefix.
        if prefix.is_empty() || self.field(257, 6) != b"ustar\0" {
            name
        } else {
            format!("{prefix}/{name}")
        }
    }
}

/// GNU's base 256, for sizes beyond eleven octal digits.
fn big(first: u8, rest: &[u8]) -> Option<u64> {
    rest.iter().try_fold(u64::from(first), |size, byte| {
        size.checked_mul(256)?.checked_add(u64::from(*byte))
    })
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let text = text.trim_matches(['\0', ' ']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn until_nul(bytes: &[u8]) -> String {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or(bytes)).into_owned()
}

/// The records of a pax header: `LENGTH KEY=VALUE\n`.
fn pax(mut bytes: &[u8]) -> Vec<(String, String)> {
    let mut records = Vec::new();
    while let Some(space) = memchr::memchr(b' ', bytes) {
        let digits = bytes.get(..space).and_then(|d| std::str::from_utf8(d).ok());
        let Some(length) = digits.and_then(|d| d.parse::<usize>().ok()) else { break };
        let Some(record) = bytes.get(space + 1..length) else { break };
        if let Some((key, value)) = String::from_utf8_lossy(record).split_once('=') {
            records.push((key.to_owned(), value.trim_end_matches('\n').to_owned()));
        }
        bytes = bytes.get(length..).unwrap_or_default();
    }
    records
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut short")
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the archive is damaged: a header's {what} is wrong"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    fn read_all(bytes: &[u8]) -> (Vec<(String, Vec<u8>)>, Option<String>) {
        let mut reader = bytes;
        let mut tar = Tar::new(&mut reader);
        let mut found = Vec::new();
        loop {
            match tar.next() {
                Ok(None) => return (found, None),
                Ok(Some((name, mut member))) => {
                    let mut content = Vec::new();
                    if let Err(error) = member.read_to_end(&mut content) {
                        return (found, Some(error.to_string()));
                    }
                    found.push((name, content));
                }
                Err(error) => return (found, Some(error.to_string())),
            }
        }
    }

    fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, content.as_slice()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn long_names_are_read_and_endless_ones_refused() {
        let name = format!("a/{}/b", "n".repeat(300));
        let files = [("short".to_owned(), b"one".to_vec()), (name, vec![7; 1025])];
        let bytes = archive(&files);
        assert_eq!(read_all(&bytes), (files.to_vec(), None));

        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(8 << 30);
        header.set_cksum();
        let (found, error) = read_all(header.as_bytes());
        assert!(found.is_empty());
        assert_eq!(error.unwrap(), "the archive is damaged: a header's name is wrong");
    }

    #[test]
    fn pax_names_and_sizes_count() {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([("path", b"long/name".as_slice())]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_path("cut").unwrap();
        header.set_size(2);
        header.set_cksum();
        builder.append(&header, b"ok".as_slice()).unwrap();
        let found = read_all(&builder.into_inner().unwrap());
        assert_eq!(found, (vec![("long/name".to_owned(), b"ok".to_vec())], None));
    }

    #[test]
    fn a_cut_archive_and_a_wrong_checksum_say_so() {
        let mut bytes = archive(&[("a".to_owned(), vec![1; 600])]);
        let (found, error) = read_all(&bytes[..900]);
        assert!(found.is_empty());
        assert_eq!(error.unwrap(), "the archive is cut short");
        bytes[0] = b'b';
        assert_eq!(
            read_all(&bytes).1.unwrap(),
            "the archive is damaged: a header's checksum is wrong"
        );
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(files: Vec<(u16, Vec<u8>)>) {
            let files: Vec<_> = files.into_iter().map(|(n, c)| (format!("f{n}"), c)).collect();
            prop_assert_eq!(read_all(&archive(&files)), (files, None));
        }

        #[test]
        fn noise_ends(bytes: Vec<u8>, at in 0_usize..600) {
            let mut torn = archive(&[("a".to_owned(), vec![1; 600])]);
            for (old, new) in torn.iter_mut().skip(at).zip(&bytes) {
                *old = *new;
            }
            read_all(&torn);
            read_all(&bytes);
        }
    }
}
