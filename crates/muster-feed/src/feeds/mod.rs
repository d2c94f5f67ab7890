//! Every feed, in plain sight: a file, a `mod` line and a line of the list.

mod cisa_kev;
mod debian_lists;
mod debian_tracker;
mod epss;

use crate::Feed;

/// Every feed that Muster reads, in the order in which they are asked whether a document is theirs.
pub static FEEDS: &[&dyn Feed] =
    &[&cisa_kev::CisaKev, &debian_lists::DebianLists, &debian_tracker::DebianTracker, &epss::Epss];
