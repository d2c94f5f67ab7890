//! The SQLite form (`rpmdb.sqlite`), by a minimal reader of the SQLite 3 file format (sqlite.org/fileformat2.html).
//!
//! It finds the table `Packages` in the schema and walks its b-tree, overflow pages included; every page is visited
//! at most once, so that no damage makes it run in circles. Frames of a write-ahead log count up to its last whole
//! transaction, without the `-shm` file and without writing or locking anything. No other table is read, the free
//! list and pointer maps are ignored, and a rollback journal is not rolled back (see [`is_hot_journal`]).

use std::collections::HashMap;
use std::io::{self, Read, Seek};

use super::header::{HeaderError, Names, read_header};
use super::{DatabaseError, Harvest, Seen, Window, be16, be32};

const MAGIC: &[u8] = b"SQLite format 3\0";
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
const WAL_MAGIC: u32 = 0x377f_0682;
const WAL_VERSION: u32 = 3_007_000;
const WAL_HEAD: usize = 32;
const FRAME_HEAD: usize = 24;
const INTERIOR: u8 = 5;
const LEAF: u8 = 13;
/// SQLite's own limit of the depth of a b-tree.
const MAX_DEPTH: usize = 20;
/// How many rows are looked at: damaged pages may name one row many times.
const MAX_ROWS: u32 = 1_000_000;
/// How many pages of a write-ahead log are remembered: 2 GiB of the usual ones.
const MAX_LOGGED_PAGES: usize = 1 << 19;

/// Tells whether a rollback journal holds a transaction that was not finished: its header is still there.
pub fn is_hot_journal<R: Read + ?Sized>(journal: &mut R) -> bool {
    let mut magic = [0_u8; 8];
    journal.read_exact(&mut magic).is_ok() && magic == JOURNAL_MAGIC
}

/// Reads every package of an SQLite database, and of its write-ahead log where there is one, into a harvest.
pub fn read_sqlite<R, W>(
    database: &mut R,
    wal: Option<&mut W>,
    mut harvest: Harvest,
) -> Result<Harvest, DatabaseError>
where
    R: Read + Seek + ?Sized,
    W: Read + Seek + ?Sized,
{
    let mut window = Window::new(database)?;
    let before = file_head(&mut window)?;
    let names = harvest.names();
    let log = match wal {
        Some(wal) => read_log(Window::new(wal)?, &mut harvest)?,
        None => None,
    };
    let log_before = log.as_ref().map(|log| log.head);
    let mut pages = Pages::new(window, log, &before)?;
    let mut seen = Seen::new(pages.count.into())?;

    let root = find_table(&mut pages, &mut seen)?;
    let mut rows = 0_u32;
    let walked = walk(&mut pages, &mut seen, root, &mut |payload| {
        rows += 1;
        match payload.and_then(|payload| read_row(payload, names.as_deref())) {
            Ok(header) => harvest.take(header) && rows < MAX_ROWS,
            Err(why) => {
                harvest.problem(format!("row {rows} of the table Packages: {why}"));
                rows < MAX_ROWS
            }
        }
    });
    for problem in walked {
        harvest.problem(problem);
    }

    pages.database.forget();
    let log_after = match &mut pages.log {
        Some(log) => Some(log.read_head()?),
        None => None,
    };
    if file_head(&mut pages.database)? != before || log_after != log_before {
        harvest.problem(String::from("changed while it was read; inspect again"));
    }
    Ok(harvest)
}

fn file_head<R: Read + Seek + ?Sized>(
    window: &mut Window<'_, R>,
) -> Result<[u8; 100], DatabaseError> {
    let mut head = [0_u8; 100];
    let whole = window.read_at(0, &mut head).is_ok();
    if whole && head.starts_with(MAGIC) {
        Ok(head)
    } else {
        Err(DatabaseError::Form("an SQLite database"))
    }
}

/// A write-ahead log: where the newest whole version of each page lies.
struct Log<'a, W: ?Sized> {
    window: Window<'a, W>,
    head: [u8; WAL_HEAD],
    pages: HashMap<u32, u64>,
    page_size: u32,
    /// How many pages the database has after the last transaction.
    count: u32,
}

impl<W: Read + Seek + ?Sized> Log<'_, W> {
    fn read_head(&mut self) -> io::Result<[u8; WAL_HEAD]> {
        let mut head = [0_u8; WAL_HEAD];
        self.window.forget();
        self.window.read_at(0, &mut head)?;
        Ok(head)
    }
}

/// The running checksum of a write-ahead log ("Checksum Algorithm").
#[derive(Clone, Copy)]
struct Sum {
    big: bool,
    s0: u32,
    s1: u32,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let (pairs, _) = bytes.as_chunks::<8>();
        for &[a, b, c, d, e, f, g, h] in pairs {
            let word = |bytes| {
                if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
            };
            let (x, y) = (word([a, b, c, d]), word([e, f, g, h]));
            self.s0 = self.s0.wrapping_add(x).wrapping_add(self.s1);
            self.s1 = self.s1.wrapping_add(y).wrapping_add(self.s0);
        }
    }

    fn is(self, bytes: &[u8], at: usize) -> bool {
        be32(bytes, at) == Some(self.s0) && be32(bytes, at + 4) == Some(self.s1)
    }
}

/// Reads a write-ahead log up to its last whole transaction. One without any is nothing, as it is for SQLite.
fn read_log<'a, W: Read + Seek + ?Sized>(
    mut window: Window<'a, W>,
    harvest: &mut Harvest,
) -> Result<Option<Log<'a, W>>, DatabaseError> {
    let mut head = [0_u8; WAL_HEAD];
    if window.size() < WAL_HEAD as u64 {
        return Ok(None);
    }
    window.read_at(0, &mut head)?;
    let magic = be32(&head, 0).unwrap_or(0);
    let page_size = be32(&head, 8).unwrap_or(0);
    let mut sum = Sum { big: magic & 1 == 1, s0: 0, s1: 0 };
    sum.add(head.get(..24).unwrap_or(&[]));
    let valid = magic & !1 == WAL_MAGIC
        && be32(&head, 4) == Some(WAL_VERSION)
        && page_size.is_power_of_two()
        && (512..=65536).contains(&page_size)
        && sum.is(&head, 24);
    if !valid {
        if head != [0; WAL_HEAD] {
            harvest.problem(String::from(
                "its write-ahead log has a damaged header and is left out, as rpm does",
            ));
        }
        return Ok(None);
    }

    let mut page = vec![0_u8; usize::try_from(page_size).map_err(io::Error::other)?];
    let mut log = Log { window, head, pages: HashMap::new(), page_size, count: 0 };
    let mut open: Vec<(u32, u64)> = Vec::new();
    let mut at = WAL_HEAD as u64;
    let step = FRAME_HEAD as u64 + u64::from(page_size);
    while at + step <= log.window.size() {
        let mut frame = [0_u8; FRAME_HEAD];
        log.window.read_at(at, &mut frame)?;
        log.window.read_at(at + FRAME_HEAD as u64, &mut page)?;
        sum.add(frame.get(..8).unwrap_or(&[]));
        sum.add(&page);
        let number = be32(&frame, 0).unwrap_or(0);
        let same_salt = frame.get(8..16) == head.get(16..24);
        if number == 0 || !same_salt || !sum.is(&frame, 16) {
            break;
        }
        open.push((number, at + FRAME_HEAD as u64));
        if open.len() + log.pages.len() > MAX_LOGGED_PAGES {
            return Err(DatabaseError::Damaged(String::from(
                "its write-ahead log is larger than is read",
            )));
        }
        let commit = be32(&frame, 4).unwrap_or(0);
        if commit != 0 {
            log.pages.extend(open.drain(..));
            log.count = commit;
        }
        at += step;
    }
    Ok((log.count > 0).then_some(log))
}

/// The pages of a database, each in its newest version.
struct Pages<'d, 'w, R: ?Sized, W: ?Sized> {
    database: Window<'d, R>,
    log: Option<Log<'w, W>>,
    size: u32,
    /// The bytes of a page that are used: some may be reserved at its end.
    usable: usize,
    count: u32,
}

impl<'d, 'w, R: Read + Seek + ?Sized, W: Read + Seek + ?Sized> Pages<'d, 'w, R, W> {
    fn new(
        database: Window<'d, R>,
        log: Option<Log<'w, W>>,
        head: &[u8],
    ) -> Result<Self, DatabaseError> {
        let size = match be16(head, 16).unwrap_or(0) {
            1 => 65536,
            size => u32::from(size),
        };
        if !size.is_power_of_two() || size < 512 {
            return Err(DatabaseError::Damaged(format!("its pages cannot be {size} bytes long")));
        }
        if log.as_ref().is_some_and(|log| log.page_size != size) {
            return Err(DatabaseError::Damaged(String::from(
                "its write-ahead log has pages of another size",
            )));
        }
        let there = u32::try_from(database.size() / u64::from(size)).unwrap_or(u32::MAX);
        let count = log.as_ref().map_or(there, |log| log.count);
        let mut pages = Self { database, log, size, usable: 0, count };
        // The first page may lie in the log as well, and with it the fields below.
        let mut first = Vec::new();
        pages.read(1, &mut first)?;
        let reserved = usize::from(first.get(20).copied().unwrap_or(0));
        pages.usable = first.len().saturating_sub(reserved);
        if pages.usable < 480 {
            return Err(DatabaseError::Damaged(format!(
                "it reserves {reserved} bytes of each page"
            )));
        }
        match be32(&first, 56) {
            Some(0 | 1) => Ok(pages),
            _ => Err(DatabaseError::Form("an SQLite database in UTF-8, the only text rpm writes")),
        }
    }

    fn read(&mut self, number: u32, page: &mut Vec<u8>) -> io::Result<()> {
        if number == 0 || number > self.count {
            return Err(io::Error::other(format!("page {number} does not exist")));
        }
        page.resize(usize::try_from(self.size).map_err(io::Error::other)?, 0);
        if let Some(log) = &mut self.log
            && let Some(at) = log.pages.get(&number)
        {
            return log.window.read_at(*at, page);
        }
        self.database.read_at(u64::from(number - 1) * u64::from(self.size), page)
    }
}

/// The payload of a row, in order: first what stands in the leaf, then the chain of overflow pages.
struct Payload<'p, 'd, 'w, R: ?Sized, W: ?Sized> {
    pages: &'p mut Pages<'d, 'w, R, W>,
    seen: &'p mut Seen,
    page: Vec<u8>,
    at: usize,
    end: usize,
    left: u64,
    next: u32,
}

impl<R: Read + Seek + ?Sized, W: Read + Seek + ?Sized> Read for Payload<'_, '_, '_, R, W> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || out.is_empty() {
            return Ok(0);
        }
        if self.at >= self.end {
            let number = self.next;
            if !self.seen.first(number) {
                return Err(io::Error::other(format!(
                    "its chain leads to page {number}, which is not its own"
                )));
            }
            self.pages.read(number, &mut self.page)?;
            self.next = be32(&self.page, 0).unwrap_or(0);
            (self.at, self.end) = (4, self.pages.usable);
        }
        let here = self.page.get(self.at..self.end).unwrap_or(&[]);
        let count = here.len().min(out.len()).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (Some(from), Some(to)) = (here.get(..count), out.get_mut(..count)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        self.at += count;
        self.left -= count as u64;
        Ok(count)
    }
}

/// What is done with a row; it tells whether to go on.
type OnRow<'f, 'd, 'w, R, W> =
    &'f mut dyn for<'p> FnMut(Result<Payload<'p, 'd, 'w, R, W>, HeaderError>) -> bool;

/// Walks the b-tree of a table from its root, and returns what was wrong with its pages.
fn walk<'d, 'w, R: Read + Seek + ?Sized, W: Read + Seek + ?Sized>(
    pages: &mut Pages<'d, 'w, R, W>,
    seen: &mut Seen,
    root: u32,
    on_row: OnRow<'_, 'd, 'w, R, W>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ways: Vec<Vec<u32>> = vec![vec![root]];
    let mut page = Vec::new();
    while let Some(children) = ways.last_mut() {
        let Some(number) = children.pop() else {
            ways.pop();
            continue;
        };
        if problems.len() >= super::MAX_PROBLEMS {
            problems.push(String::from("the rest of the table Packages was not read"));
            break;
        }
        if !seen.first(number) {
            problems.push(format!("page {number} is not there, or is used twice"));
            continue;
        }
        if let Err(error) = pages.read(number, &mut page) {
            problems.push(format!("page {number} cannot be read: {error}"));
            continue;
        }
        let start = if number == 1 { 100 } else { 0 };
        let cells = usize::from(be16(&page, start + 3).unwrap_or(0));
        match page.get(start) {
            Some(&INTERIOR) if ways.len() < MAX_DEPTH => match children_of(&page, start, cells) {
                Some(children) => ways.push(children),
                None => problems.push(format!("page {number} is damaged")),
            },
            Some(&LEAF) => {
                for cell in 0..cells {
                    let payload = payload_of(&page, start + 8 + 2 * cell, pages, seen);
                    if !on_row(payload) {
                        return problems;
                    }
                }
            }
            _ => problems.push(format!("page {number} is not a page of a table")),
        }
    }
    problems
}

/// Returns the children of an interior page, the last one first, so that they are popped in order.
fn children_of(page: &[u8], start: usize, cells: usize) -> Option<Vec<u32>> {
    let mut children = vec![be32(page, start + 8)?];
    for cell in (0..cells).rev() {
        let at = usize::from(be16(page, start + 12 + 2 * cell)?);
        children.push(be32(page, at)?);
    }
    Some(children)
}

/// Finds the payload of a leaf's cell ("B-tree Cell Format").
fn payload_of<'p, 'd, 'w, R: Read + Seek + ?Sized, W: Read + Seek + ?Sized>(
    page: &[u8],
    pointer: usize,
    pages: &'p mut Pages<'d, 'w, R, W>,
    seen: &'p mut Seen,
) -> Result<Payload<'p, 'd, 'w, R, W>, HeaderError> {
    let usable = pages.usable;
    let found = || {
        let cell = page.get(usize::from(be16(page, pointer)?)..usable)?;
        let (size, cell) = varint(cell)?;
        let (_row, cell) = varint(cell)?;
        let local = local_size(size, usable)?;
        let next = if (local as u64) < size { be32(cell, local)? } else { 0 };
        Some((size, cell.get(..local)?.to_vec(), next))
    };
    let (size, local, next) = found().ok_or_else(|| io::Error::other("its cell is damaged"))?;
    Ok(Payload { pages, seen, at: 0, end: local.len(), page: local, left: size, next })
}

/// Returns how much of a payload stands in the leaf itself ("Cell Payload Overflow Pages").
fn local_size(size: u64, usable: usize) -> Option<usize> {
    let most = usable.checked_sub(35)?;
    if size <= most as u64 {
        return usize::try_from(size).ok();
    }
    let least = usable.checked_sub(12)? * 32 / 255 - 23;
    let rest = (size - least as u64) % (usable as u64 - 4);
    let local = least + usize::try_from(rest).ok()?;
    Some(if local <= most { local } else { least })
}

/// Reads a variable-length integer, and returns what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().take(9).enumerate() {
        if index == 8 {
            value = value << 8 | u64::from(byte);
            return Some((value, bytes.get(9..)?));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

/// Reads the head of a record: the serial types of its columns ("Record Format").
fn read_columns(payload: &mut impl Read) -> io::Result<Vec<u64>> {
    let damaged = || io::Error::other("its record is damaged");
    let mut head = [0_u8; 64];
    payload.read_exact(head.get_mut(..1).ok_or_else(damaged)?)?;
    // A table of rpm has few columns, so that the length of the head is a single byte.
    let length = head.first().map_or(0, |&byte| usize::from(byte));
    payload.read_exact(head.get_mut(1..length).ok_or_else(damaged)?)?;
    let mut rest = head.get(1..length).ok_or_else(damaged)?;
    let mut columns = Vec::new();
    while !rest.is_empty() {
        let (kind, after) = varint(rest).ok_or_else(damaged)?;
        columns.push(kind);
        rest = after;
    }
    Ok(columns)
}

/// Returns how many bytes a column of that serial type takes.
fn width(kind: u64) -> u64 {
    match kind {
        1..=4 => kind,
        5 => 6,
        6 | 7 => 8,
        0 | 8..=11 => 0,
        _ => (kind - 12) / 2,
    }
}

/// Reads a row of `Packages`: its first blob is the header.
fn read_row<R, W>(
    mut payload: Payload<'_, '_, '_, R, W>,
    names: Option<&Names>,
) -> Result<super::Header, HeaderError>
where
    R: Read + Seek + ?Sized,
    W: Read + Seek + ?Sized,
{
    for kind in read_columns(&mut payload)? {
        if kind >= 12 && kind % 2 == 0 {
            return read_header((&mut payload).take(width(kind)), names);
        }
        skip(&mut payload, width(kind))?;
    }
    Err(io::Error::other("it has no blob").into())
}

fn skip(payload: &mut impl Read, count: u64) -> io::Result<()> {
    io::copy(&mut payload.take(count), &mut io::sink()).map(drop)
}

/// Finds the root of the table `Packages` in the schema.
fn find_table<R, W>(pages: &mut Pages<'_, '_, R, W>, seen: &mut Seen) -> Result<u32, DatabaseError>
where
    R: Read + Seek + ?Sized,
    W: Read + Seek + ?Sized,
{
    let mut root = None;
    let mut rows = 0_u32;
    let mut damaged = 0_u32;
    let problems = walk(pages, seen, 1, &mut |payload| {
        rows += 1;
        match payload.map_err(io::Error::other).and_then(root_of_packages) {
            Ok(found) => root = found,
            Err(_) => damaged += 1,
        }
        root.is_none() && rows < 10_000
    });
    match (root, problems.first()) {
        (Some(root), _) => Ok(root),
        (None, Some(problem)) => Err(DatabaseError::Damaged(format!("in its schema, {problem}"))),
        (None, None) if damaged > 0 => {
            Err(DatabaseError::Damaged(format!("its schema has {damaged} broken rows")))
        }
        (None, None) => Err(DatabaseError::Form("an rpm database: it has no table Packages")),
    }
}

/// Reads a row of the schema (`type, name, tbl_name, rootpage, sql`); another table is nothing.
fn root_of_packages<R, W>(mut payload: Payload<'_, '_, '_, R, W>) -> io::Result<Option<u32>>
where
    R: Read + Seek + ?Sized,
    W: Read + Seek + ?Sized,
{
    let columns = read_columns(&mut payload)?;
    let [kind, name, table, root, ..] = columns.as_slice() else {
        return Err(io::Error::other("the schema has too few columns"));
    };
    let mut text = |column: u64| {
        let mut text = Vec::new();
        payload.by_ref().take(width(column).min(4096)).read_to_end(&mut text).map(|_| text)
    };
    let (kind, name, _) = (text(*kind)?, text(*name)?, text(*table)?);
    let number = text(*root)?;
    if kind != b"table" || !name.eq_ignore_ascii_case(b"Packages") {
        return Ok(None);
    }
    let number = number.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    u32::try_from(number).map(Some).map_err(io::Error::other)
}
