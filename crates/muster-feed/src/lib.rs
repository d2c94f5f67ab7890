//! Advisory feeds: the vendors' own bytes in, records and problems out. Nothing here fetches or decides.
//!
//! A feed is one file under `feeds/`. It knows its own documents ([`Feed::recognises`]) and reads them as they stream
//! by ([`Feed::read`]). [`input`] opens what a person names (a file, a folder, an archive, packed or not) and hands
//! over one unpacked [`Document`] after the other.

mod doubt;
mod ecosystem;
pub mod feeds;
pub mod input;
mod json;
mod lines;
#[cfg(test)]
mod testing;

use std::io::BufRead;

use muster_core::advisory::Sink;

/// One feed.
pub trait Feed: Sync {
    /// Returns its name, as `FORMAT=PATH` takes it and summaries print it.
    fn name(&self) -> &'static str;
    /// Judges whether a document is one of this feed's, by its path within the source and its first bytes.
    fn recognises(&self, path: &str, head: &[u8]) -> Recognised;
    /// Tells whether an id stands for one record only, so that a second one is worth a problem.
    fn ids_are_unique(&self) -> bool {
        false
    }
    /// Tells whether it speaks of packages in releases, and not only of flaws or calendars.
    fn has_advisories(&self) -> bool {
        true
    }
    /// Reads one document. What is not understood becomes a problem, and reading goes on.
    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink);
}

/// Bytes of a document that feeds are shown when they are asked whether it is theirs.
pub const HEAD: usize = 4096;

/// Whether a document belongs to a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// It holds records of the feed.
    Yes,
    /// It lies beside them and holds none (`README`, an index page): passed over in silence.
    Companion,
    /// It is something else.
    No,
}

/// One unpacked file of a feed.
pub struct Document<'a> {
    /// How problems name it: the source as it was named, with the member of an archive after `!`.
    pub path: &'a str,
    /// Its bytes.
    pub reader: &'a mut dyn BufRead,
}
