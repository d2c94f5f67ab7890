//! Whether an index is whole: held against the length and the sum that its Release file states (the Debian repository
//! format, "MD5Sum, SHA1, SHA256"), or the repomd.xml of an rpm repository.
//!
//! That shows damage, not forgery: whoever can write the lists can write the Release file too, and signatures are
//! apt's to check. MD5 sums are not reckoned; where a Release file has nothing better only the length counts.

use std::io::{self, Read};

use sha2::Digest as _;

/// What a Release file says of one of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::inspectors) struct Listed {
    pub(in crate::inspectors) size: u64,
    /// The sum in hexadecimal, and the kind.
    pub(in crate::inspectors) sum: String,
    pub(in crate::inspectors) kind: Kind,
}

/// The kinds of sums, in the names of the fields that state them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(in crate::inspectors) enum Kind {
    Sha256,
    Sha512,
    Sha1,
    /// Not reckoned.
    #[default]
    Md5Sum,
}

impl Kind {
    /// Every kind, the one that is preferred first.
    pub(super) const ALL: [Self; 4] = [Self::Sha256, Self::Sha512, Self::Sha1, Self::Md5Sum];

    /// Returns the name of its field.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::Sha1 => "SHA1",
            Self::Md5Sum => "MD5Sum",
        }
    }
}

/// What can be said of an index on the machine before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Vouched {
    /// The Release file states what it unpacks to.
    Unpacked(Listed),
    /// It states the file as it lies there.
    Packed(Listed),
    /// It states another form of the file only: apt has checked that one, and it is gone.
    Elsewhere,
    /// It does not name the file.
    Nowhere,
}

impl Vouched {
    /// Returns what is to hold for the packed bytes.
    pub(super) const fn packed(&self) -> Option<&Listed> {
        match self {
            Self::Packed(listed) => Some(listed),
            Self::Unpacked(_) | Self::Elsewhere | Self::Nowhere => None,
        }
    }

    /// Returns what is to hold for the unpacked bytes.
    pub(super) const fn unpacked(&self) -> Option<&Listed> {
        match self {
            Self::Unpacked(listed) => Some(listed),
            Self::Packed(_) | Self::Elsewhere | Self::Nowhere => None,
        }
    }
}

/// A reader that counts and sums what passes through it.
pub(in crate::inspectors) struct Summed<R> {
    inner: R,
    length: u64,
    /// The last byte that passed.
    last: Option<u8>,
    sum: Sum,
}

enum Sum {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Sha1(sha1::Sha1),
    None,
}

impl<R: Read> Summed<R> {
    /// Sums what is needed to compare it with what is listed.
    pub(in crate::inspectors) fn new(inner: R, listed: Option<&Listed>) -> Self {
        let sum = match listed.map(|listed| listed.kind) {
            Some(Kind::Sha256) => Sum::Sha256(sha2::Sha256::new()),
            Some(Kind::Sha512) => Sum::Sha512(sha2::Sha512::new()),
            Some(Kind::Sha1) => Sum::Sha1(sha1::Sha1::new()),
            Some(Kind::Md5Sum) | None => Sum::None,
        };
        Self { inner, length: 0, last: None, sum }
    }

    /// Tells whether nothing passed.
    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Tells whether what passed ends with a whole line; nothing at all does.
    pub(super) fn ends_a_line(&self) -> bool {
        self.last.is_none_or(|last| last == b'\n')
    }

    /// Says how what passed differs from what is listed.
    pub(in crate::inspectors) fn differs(self, listed: &Listed) -> Option<String> {
        if self.length != listed.size {
            return Some(format!("has {} bytes and not the {}", self.length, listed.size));
        }
        let sum = match self.sum {
            Sum::Sha256(sum) => hex(&sum.finalize()),
            Sum::Sha512(sum) => hex(&sum.finalize()),
            Sum::Sha1(sum) => hex(&sum.finalize()),
            Sum::None => return None,
        };
        let differs = !sum.eq_ignore_ascii_case(&listed.sum);
        differs.then(|| format!("has another {} sum than the one", listed.kind.field()))
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        self.length += bytes.len() as u64;
        self.last = bytes.last().copied().or(self.last);
        match &mut self.sum {
            Sum::Sha256(sum) => sum.update(bytes),
            Sum::Sha512(sum) => sum.update(bytes),
            Sum::Sha1(sum) => sum.update(bytes),
            Sum::None => {}
        }
        Ok(read)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Kind, Listed, Summed};

    #[test]
    fn a_byte_more_and_a_byte_changed_are_told() {
        for (kind, sum) in [
            (Kind::Sha256, "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
            (Kind::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ] {
            let listed = Listed { size: 3, sum: sum.into(), kind };
            let differs = |bytes: &[u8]| {
                let mut summed = Summed::new(bytes, Some(&listed));
                std::io::copy(&mut summed, &mut std::io::sink()).unwrap();
                summed.differs(&listed)
            };
            assert_eq!(differs(b"abc"), None);
            assert!(differs(b"abcd").unwrap().contains("4 bytes and not the 3"));
            assert!(differs(b"abd").unwrap().contains(kind.field()));
        }
    }
}
