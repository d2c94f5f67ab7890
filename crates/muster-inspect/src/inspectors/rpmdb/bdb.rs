//! The Berkeley DB hash form (`Packages`), in both byte orders (Berkeley DB's `dbinc/db_page.h`, versions 8 and later).
//!
//! Every hash page is looked at in the order of the file, so that broken bucket chains lose nothing; values that do
//! not fit into a page lie in chains of overflow pages. Encrypted databases and page checksums, which rpm never used,
//! are refused. What a running BDB environment (`__db.*`) holds in memory only is not seen.

use std::io::{self, Read, Seek};

use super::header::read_header;
use super::{DatabaseError, Harvest, Seen, Window};

const MAGIC: u32 = 0x0006_1561;
const META: u8 = 8;
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;
const PAGE_HEAD: usize = 26;
const KEY_DATA: u8 = 1;
const OFF_PAGE: u8 = 3;

/// Which end of a number comes first.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

impl Order {
    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }
}

/// What the first page says.
struct Meta {
    order: Order,
    page_size: u32,
    pages: u32,
}

/// Reads every package of a Berkeley DB hash into a harvest.
pub fn read_bdb<R: Read + Seek + ?Sized>(
    database: &mut R,
    harvest: Harvest,
) -> Result<Harvest, DatabaseError> {
    let mut window = Window::new(database)?;
    let meta = read_meta(&mut window)?;
    let mut hash = Hash { seen: Seen::new(meta.pages.into())?, window, meta, harvest };
    let mut page = vec![0_u8; usize::try_from(hash.meta.page_size).map_err(io::Error::other)?];
    for number in 1..hash.meta.pages {
        if let Err(error) =
            hash.window.read_at(u64::from(number) * u64::from(hash.meta.page_size), &mut page)
        {
            hash.harvest.problem(format!("page {number} cannot be read: {error}"));
            break;
        }
        if matches!(page.get(25), Some(&(HASH | HASH_UNSORTED))) && !hash.read_page(number, &page) {
            break;
        }
    }
    Ok(hash.harvest)
}

fn read_meta<R: Read + Seek + ?Sized>(window: &mut Window<'_, R>) -> Result<Meta, DatabaseError> {
    let mut head = [0_u8; 72];
    window.read_at(0, &mut head).map_err(|_| DatabaseError::Form("a Berkeley DB hash"))?;
    let order = match [false, true].map(|big| Order { big }.u32(&head, 12)) {
        [Some(MAGIC), _] => Order { big: false },
        [_, Some(MAGIC)] => Order { big: true },
        _ => return Err(DatabaseError::Form("a Berkeley DB hash")),
    };
    if head.get(25) != Some(&META) {
        return Err(DatabaseError::Form("a Berkeley DB hash"));
    }
    if head.get(24) != Some(&0) || head.get(26).is_some_and(|flags| flags & 1 != 0) {
        return Err(DatabaseError::Form(
            "a plain Berkeley DB hash: it is encrypted or checksummed",
        ));
    }
    let page_size = order.u32(&head, 20).unwrap_or(0);
    if !page_size.is_power_of_two() || !(512..=65536).contains(&page_size) {
        return Err(DatabaseError::Damaged(format!("its pages cannot be {page_size} bytes long")));
    }
    let claimed = order.u32(&head, 32).unwrap_or(0).saturating_add(1);
    let there = u32::try_from(window.size() / u64::from(page_size)).unwrap_or(u32::MAX);
    Ok(Meta { order, page_size, pages: claimed.min(there) })
}

struct Hash<'a, R: ?Sized> {
    window: Window<'a, R>,
    meta: Meta,
    seen: Seen,
    harvest: Harvest,
}

impl<R: Read + Seek + ?Sized> Hash<'_, R> {
    /// Reads the pairs of a hash page, and tells whether there is room for more.
    fn read_page(&mut self, number: u32, page: &[u8]) -> bool {
        let order = self.meta.order;
        let entries = usize::from(order.u16(page, 20).unwrap_or(0));
        let start_of = |index: usize| order.u16(page, PAGE_HEAD + 2 * index).map(usize::from);
        let mut end = page.len();
        let mut key: &[u8] = &[];
        for index in 0..entries {
            // Items are laid from the end of the page downwards, so that each ends where the one before begins.
            let item = start_of(index).filter(|start| *start >= PAGE_HEAD).and_then(|start| {
                let item = page.get(start..end)?;
                end = start;
                Some(item)
            });
            let Some(item) = item else {
                self.harvest.problem(format!("page {number} is damaged at its item {index}"));
                return true;
            };
            if index % 2 == 0 {
                key = item.get(1..).unwrap_or(&[]);
            } else if !self.read_item(number, key, item) {
                return false;
            }
        }
        true
    }

    /// Reads one value, and tells whether there is room for more. Key 0 holds a counter, not a package.
    fn read_item(&mut self, number: u32, key: &[u8], item: &[u8]) -> bool {
        if key.iter().all(|byte| *byte == 0) {
            return true;
        }
        let names = self.harvest.names();
        let names = names.as_deref();
        let header = match item.split_first() {
            Some((&KEY_DATA, value)) => read_header(value, names),
            Some((&OFF_PAGE, _)) => {
                let field = |at| self.meta.order.u32(item, at).unwrap_or(0);
                let (next, left) = (field(4), field(8));
                read_header(Chain { hash: self, next, left, page: Vec::new(), at: 0 }, names)
            }
            _ => Err(io::Error::other("its value is of an unknown kind").into()),
        };
        match header {
            Ok(header) => self.harvest.take(header),
            Err(error) => {
                self.harvest.problem(format!("a package of page {number}: {error}"));
                true
            }
        }
    }
}

/// A value in overflow pages, in order.
struct Chain<'h, 'a, R: ?Sized> {
    hash: &'h mut Hash<'a, R>,
    next: u32,
    left: u32,
    page: Vec<u8>,
    at: usize,
}

impl<R: Read + Seek + ?Sized> Chain<'_, '_, R> {
    fn turn(&mut self) -> io::Result<()> {
        let number = self.next;
        if number == 0 || number >= self.hash.meta.pages || !self.hash.seen.first(number) {
            return Err(io::Error::other(format!(
                "its chain leads to page {number}, which is not its own"
            )));
        }
        let size = self.hash.meta.page_size;
        self.page.resize(usize::try_from(size).map_err(io::Error::other)?, 0);
        self.hash.window.read_at(u64::from(number) * u64::from(size), &mut self.page)?;
        let order = self.hash.meta.order;
        let length = usize::from(order.u16(&self.page, 22).unwrap_or(0));
        if self.page.get(25) != Some(&OVERFLOW)
            || length == 0
            || PAGE_HEAD + length > self.page.len()
        {
            return Err(io::Error::other(format!("page {number} is not an overflow page")));
        }
        self.next = order.u32(&self.page, 16).unwrap_or(0);
        self.page.truncate(PAGE_HEAD + length);
        self.at = PAGE_HEAD;
        Ok(())
    }
}

impl<R: Read + Seek + ?Sized> Read for Chain<'_, '_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || out.is_empty() {
            return Ok(0);
        }
        if self.at >= self.page.len() {
            self.turn()?;
        }
        let here = self.page.get(self.at..).unwrap_or(&[]);
        let count = here.len().min(out.len()).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if let (Some(from), Some(to)) = (here.get(..count), out.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        self.left -= u32::try_from(count).map_err(io::Error::other)?;
        Ok(count)
    }
}
