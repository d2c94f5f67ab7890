//! Every feed, in plain sight: a file, a `mod` line and a line of the list.

mod alpine_fixes;
mod alpine_secdb;
mod cisa_kev;
mod debian_lists;
mod debian_tracker;
mod epss;
mod security_pocket;
mod ubuntu_vex;
mod usn;

use crate::Feed;

/// Every feed that Muster reads, in the order in which they are asked whether a document is theirs.
pub static FEEDS: &[&dyn Feed] = &[
    &alpine_fixes::AlpineFixes,
    &alpine_secdb::AlpineSecdb,
    &cisa_kev::CisaKev,
    &debian_lists::DebianLists,
    &debian_tracker::DebianTracker,
    &epss::Epss,
    &security_pocket::SecurityPocket,
    &ubuntu_vex::UbuntuVex,
    &usn::UbuntuUsn,
];
