//! NDB, rpm's own database form of SUSE (`Packages.db`; defined by rpm's `lib/backend/ndb/rpmpkg.c`).
//!
//! Slots of 16 bytes in the first pages name blobs in blocks of 16 bytes; each blob stands between a head and a tail.
//! The Adler-32 of a blob is not checked, since blobs are not read to their ends.

use std::io::{Read, Seek};

use super::header::{Names, read_header};
use super::{DatabaseError, Harvest, Window, le32};

const MAGIC: u32 = u32::from_le_bytes(*b"RpmP");
const SLOT: u32 = u32::from_le_bytes(*b"Slot");
const BLOB_START: u32 = u32::from_le_bytes(*b"BlbS");
const BLOB_END: u32 = u32::from_le_bytes(*b"BlbE");
const PAGE: u64 = 4096;
const BLOCK: u64 = 16;
const HEAD: u64 = 16;
const TAIL: u64 = 12;

/// Where a blob lies.
struct Slot {
    package: u32,
    block: u32,
    blocks: u32,
}

/// Reads every package of an NDB database.
pub fn read_ndb<R: Read + Seek + ?Sized>(
    database: &mut R,
    mut harvest: Harvest,
) -> Result<Harvest, DatabaseError> {
    let mut window = Window::new(database)?;
    let mut head = [0_u8; 32];
    window.read_at(0, &mut head).map_err(|_| DatabaseError::Form("an NDB database"))?;
    if le32(&head, 0) != Some(MAGIC) || le32(&head, 4) != Some(0) {
        return Err(DatabaseError::Form("an NDB database"));
    }
    let slot_pages = u64::from(le32(&head, 12).unwrap_or(0));
    if slot_pages == 0 || slot_pages > window.size() / PAGE {
        return Err(DatabaseError::Damaged(format!("it claims {slot_pages} pages of slots")));
    }
    let names = harvest.names();
    let mut budget = window.size() / BLOCK;
    for number in 2..slot_pages * (PAGE / BLOCK) {
        let Some(slot) = read_slot(&mut window, number, &mut harvest)? else { continue };
        // Blobs do not overlap: once all their blocks are more than the file has, it lies.
        let Some(left) = budget.checked_sub(u64::from(slot.blocks).max(1)) else {
            harvest.problem(String::from("its packages overlap; the rest is unknown"));
            break;
        };
        budget = left;
        match read_blob(&mut window, &slot, names.as_deref()) {
            Ok(header) => {
                if !harvest.take(header) {
                    break;
                }
            }
            Err(why) => harvest.problem(format!("package {}: {why}", slot.package)),
        }
    }
    Ok(harvest)
}

/// Reads a slot; an unused one is nothing.
fn read_slot<R: Read + Seek + ?Sized>(
    window: &mut Window<'_, R>,
    number: u64,
    harvest: &mut Harvest,
) -> Result<Option<Slot>, DatabaseError> {
    let mut bytes = [0_u8; 16];
    window.read_at(number * BLOCK, &mut bytes)?;
    let field = |at| le32(&bytes, at).unwrap_or(0);
    if field(0) != SLOT {
        harvest.problem(format!("slot {number} is damaged"));
        return Ok(None);
    }
    let slot = Slot { package: field(4), block: field(8), blocks: field(12) };
    Ok((slot.package != 0 && slot.block != 0).then_some(slot))
}

fn read_blob<R: Read + Seek + ?Sized>(
    window: &mut Window<'_, R>,
    slot: &Slot,
    names: Option<&Names>,
) -> Result<super::Header, super::header::HeaderError> {
    let start = u64::from(slot.block) * BLOCK;
    let mut head = [0_u8; 16];
    window.read_at(start, &mut head)?;
    let length = le32(&head, 12).unwrap_or(0);
    let whole = HEAD + u64::from(length) + TAIL;
    let mut tail = [0_u8; 12];
    let end = start + u64::from(slot.blocks) * BLOCK;
    let fits = le32(&head, 0) == Some(BLOB_START)
        && le32(&head, 4) == Some(slot.package)
        && whole.div_ceil(BLOCK) == u64::from(slot.blocks)
        && window.read_at(end - TAIL, &mut tail).is_ok()
        && le32(&tail, 4) == Some(length)
        && le32(&tail, 8) == Some(BLOB_END);
    if !fits {
        return Err(std::io::Error::other(format!("its blob at byte {start} is damaged")).into());
    }
    read_header(Blob { window, at: start + HEAD, left: length.into() }, names)
}

/// The bytes of a blob, in order.
struct Blob<'w, 'a, R: ?Sized> {
    window: &'w mut Window<'a, R>,
    at: u64,
    left: u64,
}

impl<R: Read + Seek + ?Sized> Read for Blob<'_, '_, R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let Some(out) = out.get_mut(..count) else { return Ok(0) };
        self.window.read_at(self.at, out)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
