//! Files of bbolt, in which containerd keeps what it knows: pages of a B+ tree, buckets within buckets.
//!
//! By the code that writes them (`go.etcd.io/bbolt`: `internal/common/{page,meta,bucket}.go`): two meta pages, of which the
//! one with the higher transaction and a right checksum counts; leaf pages hold keys with values or buckets, small buckets
//! within the value itself. Numbers are those of little-endian machines.
//!
//! A file that is written meanwhile may be read half old and half new. What does not fit together ends the reading of that
//! bucket, and [`Bolt::is_whole`] tells so; no page is followed in a circle for ever.

use std::cell::Cell;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const IS_BRANCH: u16 = 0x01;
const IS_LEAF: u16 = 0x02;
const IS_BUCKET: u32 = 0x01;
const HEADER: usize = 16;
const ELEMENT: usize = 16;
/// How deep the tree of one bucket is: at two children a page, more than any file has.
const MAX_DEPTH: usize = 40;
/// How many pages are looked at before the reading ends.
const MAX_PAGES: u32 = 2_000_000;

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no database of bbolt that can be read")]
pub struct Broken;

/// A whole file.
pub struct Bolt<'f> {
    file: &'f [u8],
    page_size: usize,
    top: u64,
    left: Cell<u32>,
    is_whole: Cell<bool>,
}

/// A bucket: names with values, and buckets.
pub struct Bucket<'b> {
    bolt: &'b Bolt<'b>,
    place: Place<'b>,
}

#[derive(Clone, Copy)]
enum Place<'b> {
    Page(u64),
    Inline(&'b [u8]),
}

/// What lies at a key.
enum Value<'b> {
    Bytes(&'b [u8]),
    Bucket(Place<'b>),
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

/// FNV-1a of 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl<'f> Bolt<'f> {
    /// Takes the bytes of a file.
    pub fn new(file: &'f [u8]) -> Result<Self, Broken> {
        // The second meta page begins with the second page, whose place the first one tells if it is whole.
        let sizes = [4096_usize, 16384, 65536, 8192, 32768, 1024, 2048, 512];
        let told = length_at(file, HEADER + 8);
        let places = [0].into_iter().chain(told).chain(sizes);
        let newest = places.filter_map(|at| meta(file, at)).max_by_key(|meta| meta.transaction);
        let meta = newest.ok_or(Broken)?;
        Ok(Self {
            file,
            page_size: meta.page_size,
            top: meta.root,
            left: Cell::new(MAX_PAGES),
            is_whole: Cell::new(true),
        })
    }

    /// Tells whether everything that was read so far fitted together.
    pub fn is_whole(&self) -> bool {
        self.is_whole.get()
    }

    /// Returns the bucket that holds all others.
    pub fn top(&self) -> Bucket<'_> {
        Bucket { bolt: self, place: Place::Page(self.top) }
    }

    /// Returns a page, with those that belong to it.
    fn page(&self, number: u64) -> Option<&'f [u8]> {
        self.left.set(self.left.get().checked_sub(1)?);
        let from = usize::try_from(number).ok()?.checked_mul(self.page_size)?;
        let page = self.file.get(from..)?;
        let more = length_at(page, 12)?;
        let length = more.checked_add(1)?.checked_mul(self.page_size)?;
        Some(page.get(..length).unwrap_or(page))
    }
}

struct Meta {
    page_size: usize,
    root: u64,
    transaction: u64,
}

fn meta(file: &[u8], at: usize) -> Option<Meta> {
    let meta = file.get(at.checked_add(HEADER)?..)?;
    let is_right = u32_at(meta, 0)? == MAGIC
        && u32_at(meta, 4)? == VERSION
        && u64_at(meta, 56)? == checksum(meta.get(..56)?);
    let page_size = length_at(meta, 8).filter(|size| (512..=1 << 20).contains(size))?;
    is_right.then_some(Meta { page_size, root: u64_at(meta, 16)?, transaction: u64_at(meta, 48)? })
}

impl<'b> Bucket<'b> {
    /// Calls with each name and value, in order; buckets are left out. What follows after a broken page is lost.
    pub fn values(&self, mut each: impl FnMut(&'b [u8], &'b [u8])) {
        self.each(&mut |key, value| {
            if let Value::Bytes(value) = value {
                each(key, value);
            }
        });
    }

    /// Returns the value of a name.
    pub fn value(&self, name: &[u8]) -> Option<&'b [u8]> {
        let mut found = None;
        self.values(|key, value| {
            if key == name {
                found = Some(value);
            }
        });
        found
    }

    /// Returns the buckets in it, by their names.
    pub fn buckets(&self) -> Vec<(&'b [u8], Self)> {
        let mut found = Vec::new();
        self.each(&mut |key, value| {
            if let Value::Bucket(place) = value {
                found.push((key, Self { bolt: self.bolt, place }));
            }
        });
        found
    }

    /// Returns the bucket with a name.
    pub fn bucket(&self, name: &str) -> Option<Self> {
        let mut found = None;
        self.each(&mut |key, value| {
            if let Value::Bucket(place) = value
                && key == name.as_bytes()
            {
                found = Some(Self { bolt: self.bolt, place });
            }
        });
        found
    }

    fn each(&self, each: &mut dyn FnMut(&'b [u8], Value<'b>)) {
        let read = match self.place {
            Place::Inline(page) => leaf(page, each),
            Place::Page(number) => self.descend(number, 0, each),
        };
        if read.is_none() {
            self.bolt.is_whole.set(false);
        }
    }

    /// Reads a page and those below it; nothing where one of them is broken. The others are read all the same.
    fn descend(
        &self,
        number: u64,
        depth: usize,
        each: &mut dyn FnMut(&'b [u8], Value<'b>),
    ) -> Option<()> {
        let page = self.bolt.page(number).filter(|_| depth < MAX_DEPTH)?;
        let flags = u16_at(page, 8)?;
        if flags & IS_LEAF != 0 {
            return leaf(page, each);
        }
        if flags & IS_BRANCH == 0 {
            return None;
        }
        let count = usize::from(u16_at(page, 10)?);
        let mut read = Some(());
        for at in (0..count).map(|n| HEADER + n * ELEMENT) {
            let below = u64_at(page, at + 8).and_then(|child| self.descend(child, depth + 1, each));
            read = read.and(below);
        }
        read
    }
}

/// Calls with what lies in a leaf page; nothing where it is cut off.
fn leaf<'b>(page: &'b [u8], each: &mut dyn FnMut(&'b [u8], Value<'b>)) -> Option<()> {
    let count = usize::from(u16_at(page, 10)?);
    for at in (0..count).map(|n| HEADER + n * ELEMENT) {
        let (from, key, value) =
            (length_at(page, at + 4)?, length_at(page, at + 8)?, length_at(page, at + 12)?);
        let (key, rest) = page.get(at.checked_add(from)?..)?.split_at_checked(key)?;
        let value = rest.get(..value)?;
        if u32_at(page, at)? & IS_BUCKET == 0 {
            each(key, Value::Bytes(value));
            continue;
        }
        // A root of nothing: the bucket is a page in the value itself.
        let place = match u64_at(value, 0)? {
            0 => Place::Inline(value.get(HEADER..)?),
            root => Place::Page(root),
        };
        each(key, Value::Bucket(place));
    }
    Some(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a file whose top bucket is this: names with values, or with buckets of the same kind.
    pub(crate) fn made(of: &[(&str, Made<'_>)]) -> Vec<u8> {
        let mut top_page = inline(of);
        let more = top_page.len().div_ceil(4096) - 1;
        top_page[12..16].copy_from_slice(&u32::try_from(more).unwrap().to_le_bytes());
        top_page.resize((more + 1) * 4096, 0);
        file(2, &[top_page])
    }

    /// What lies at a name.
    #[derive(Clone, Copy)]
    pub(crate) enum Made<'m> {
        Is(&'m [u8]),
        Holds(&'m [(&'m str, Self)]),
    }

    /// A leaf page, as long as what is in it.
    fn inline(of: &[(&str, Made<'_>)]) -> Vec<u8> {
        let mut elements = Vec::new();
        let mut data: Vec<u8> = Vec::new();
        for (at, (name, made)) in of.iter().enumerate() {
            let (flags, value) = match made {
                Made::Is(value) => (0, value.to_vec()),
                Made::Holds(of) => (IS_BUCKET, [vec![0; HEADER], inline(of)].concat()),
            };
            let from = (of.len() - at) * ELEMENT + data.len();
            let [from, key, length] =
                [from, name.len(), value.len()].map(|n| u32::try_from(n).unwrap());
            elements.push(of_leaf(flags, from, key, length));
            data.extend(name.as_bytes());
            data.extend(value);
        }
        let mut page = page(IS_LEAF, &elements, &data);
        page.truncate(HEADER + elements.len() * ELEMENT + data.len());
        page
    }

    fn page(flags: u16, elements: &[Vec<u8>], data: &[u8]) -> Vec<u8> {
        let mut page = vec![0; 8];
        page.extend(flags.to_le_bytes());
        page.extend(u16::try_from(elements.len()).unwrap().to_le_bytes());
        page.extend([0; 4]);
        page.extend(elements.concat());
        page.extend(data);
        page.resize(page.len().max(4096), 0);
        page
    }

    fn file(root: u64, pages: &[Vec<u8>]) -> Vec<u8> {
        let meta = |transaction: u64, root: u64| {
            let mut meta = [MAGIC.to_le_bytes(), VERSION.to_le_bytes()].concat();
            meta.extend(4096_u32.to_le_bytes());
            meta.extend(0_u32.to_le_bytes());
            for number in [root, 0, 0, 0, transaction] {
                meta.extend(number.to_le_bytes());
            }
            meta.extend(checksum(&meta).to_le_bytes());
            page(4, &[], &meta)
        };
        [&[meta(1, 999), meta(2, root)][..], pages].concat().concat()
    }

    fn of_leaf(flags: u32, from: u32, key: u32, value: u32) -> Vec<u8> {
        [flags, from, key, value].map(u32::to_le_bytes).concat()
    }

    fn of_branch(child: u64) -> Vec<u8> {
        [&[0; 8][..], &child.to_le_bytes()].concat()
    }

    #[test]
    fn a_circle_of_pages_ends() {
        for branch in [vec![of_branch(2)], vec![of_branch(2); 200]] {
            let bytes = file(2, &[page(IS_BRANCH, &branch, b"")]);
            let bolt = Bolt::new(&bytes).unwrap();
            assert!(bolt.top().buckets().is_empty() && !bolt.is_whole());
        }
        // A bucket that holds itself.
        let itself = [&2_u64.to_le_bytes()[..], &[0; 8]].concat();
        let bytes =
            file(2, &[page(IS_LEAF, &[of_leaf(1, 16, 1, 16)], &[b"b", &itself[..]].concat())]);
        let bolt = Bolt::new(&bytes).unwrap();
        let mut bucket = bolt.top();
        for _ in 0..10 {
            bucket = bucket.bucket("b").unwrap();
        }
    }

    #[test]
    fn the_newer_whole_meta_page_counts() {
        let mut bytes = file(2, &[page(IS_LEAF, &[of_leaf(0, 16, 1, 1)], b"kv")]);
        let bolt = Bolt::new(&bytes).unwrap();
        assert_eq!(bolt.top().value(b"k"), Some(&b"v"[..]));
        assert!(bolt.is_whole());
        bytes[4096 + 20] ^= 1;
        assert_eq!(Bolt::new(&bytes).unwrap().top().value(b"k"), None, "the older one");
        bytes[20] ^= 1;
        assert!(Bolt::new(&bytes).is_err());
        assert!(Bolt::new(b"").is_err());
    }

    #[test]
    fn what_points_outside_is_left() {
        for element in [of_leaf(0, 5000, 1, 1), of_leaf(0, 16, u32::MAX, 1), of_leaf(1, 16, 1, 3)] {
            let bytes = file(2, &[page(IS_LEAF, &[element], b"kvvvvv")]);
            let bolt = Bolt::new(&bytes).unwrap();
            assert_eq!(bolt.top().value(b"k"), None);
            assert!(bolt.top().buckets().is_empty() && !bolt.is_whole());
        }
    }
}
