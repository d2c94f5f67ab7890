//! The cold part: every record whole, in compressed blocks, and the index that finds it.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, Write};

use muster_core::advisory::Record;

use super::Said;
use super::block::Encoder;
use crate::file::{BLOCK, INDEX_ENTRY, PLACE, index_entry};

pub(super) struct Records {
    spool: BufWriter<File>,
    written: u64,
    block: Encoder,
    places: Vec<(u64, u64, [u8; 32])>,
    index: Vec<u64>,
    packer: zstd::bulk::Compressor<'static>,
}

impl Records {
    /// Begins with an empty spool: a file without a name, in the folder that the result will be in.
    pub(super) fn new(spool: File) -> io::Result<Self> {
        Ok(Self {
            spool: BufWriter::new(spool),
            written: 0,
            block: Encoder::default(),
            places: Vec::new(),
            index: Vec::new(),
            packer: zstd::bulk::Compressor::new(3)?,
        })
    }

    pub(super) fn add(&mut self, feed: u16, record: &Record<'_>, said: &[Said]) -> io::Result<()> {
        let offset = self.block.add(feed, record, said)?;
        for id in std::iter::once(&record.id).chain(&record.cves).chain(&record.aliases) {
            let entry = index_entry(id, self.places.len(), offset);
            self.index.push(entry.ok_or_else(|| {
                io::Error::other(format!(
                    "more than {} blocks of records: build several files",
                    self.places.len()
                ))
            })?);
        }
        if self.block.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let packed = self.packer.compress(&self.block.take()?)?;
        self.spool.write_all(&packed)?;
        self.places.push((self.written, packed.len() as u64, *blake3::hash(&packed).as_bytes()));
        self.written += packed.len() as u64;
        Ok(())
    }

    /// Ends the spool and returns the index section, the table of places, how many blocks there are, and the blocks.
    pub(super) fn finish(mut self) -> io::Result<Finished> {
        self.flush()?;
        self.index.sort_unstable();
        self.index.dedup();
        let mut index = Vec::with_capacity(self.index.len() * INDEX_ENTRY);
        for entry in &self.index {
            index.extend(entry.to_le_bytes());
        }
        let head = (self.places.len() * PLACE) as u64;
        let mut places = Vec::new();
        for (offset, length, digest) in &self.places {
            places.extend((head + offset).to_le_bytes());
            places.extend(length.to_le_bytes());
            places.extend(digest);
        }
        let count = u32::try_from(self.places.len()).map_err(io::Error::other)?;
        let mut spool = self.spool.into_inner().map_err(io::IntoInnerError::into_error)?;
        spool.rewind()?;
        Ok(Finished { index, places, count, length: head + self.written, spool })
    }
}

pub(super) struct Finished {
    pub(super) index: Vec<u8>,
    pub(super) places: Vec<u8>,
    pub(super) count: u32,
    pub(super) length: u64,
    spool: File,
}

impl Finished {
    /// Writes the places and the blocks.
    pub(super) fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.places)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.spool.read(&mut buffer)? {
                0 => return Ok(()),
                n => out.write_all(buffer.get(..n).unwrap_or_default())?,
            }
        }
    }
}
