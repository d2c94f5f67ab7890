//! Every feed, in plain sight: a file, a `mod` line and a line of the list.

mod alpine_fixes;
mod alpine_secdb;
mod cisa_kev;
mod cve_v5;
mod debian_lists;
mod debian_tracker;
mod distro_info;
mod endoflife;
mod epss;
mod friends_of_php;
mod osv;
mod redhat_csaf;
mod roave_conflicts;
mod rocky_errata;
mod security_pocket;
mod ubuntu_cve_tracker;
mod ubuntu_vex;
mod updateinfo;
mod usn;

use crate::Feed;

/// Every feed that Muster reads, in the order in which they are asked whether a document is theirs.
pub static FEEDS: &[&dyn Feed] = &[
    &alpine_fixes::AlpineFixes,
    &alpine_secdb::AlpineSecdb,
    &cisa_kev::CisaKev,
    &cve_v5::CveV5,
    &debian_lists::DebianLists,
    &debian_tracker::DebianTracker,
    &distro_info::DistroInfo,
    &endoflife::EndOfLife,
    &epss::Epss,
    &friends_of_php::FriendsOfPhp,
    &osv::Osv,
    &redhat_csaf::RedHatCsaf,
    &roave_conflicts::RoaveConflicts,
    &rocky_errata::RockyErrata,
    &security_pocket::SecurityPocket,
    &ubuntu_cve_tracker::UbuntuCveTracker,
    &ubuntu_vex::UbuntuVex,
    &updateinfo::UpdateInfo,
    &usn::UbuntuUsn,
];
