//! Every inspector, in plain sight: a file, a `mod` line and a line of the list.

pub mod apk;
pub mod apk_index;
pub mod apt;
pub mod bundles;
pub mod containers;
pub mod dnf;
pub mod dnf_channel;
pub mod dpkg;
pub mod kernels;
pub mod livepatch;
pub mod origins;
pub mod os_release;
pub mod processes;
pub mod reboot;
pub mod restarts;
pub mod rpmdb;
pub mod services;
pub mod sockets;
pub mod subscription;
pub mod update_channel;
pub mod web_applications;

use crate::Inspector;

/// Every inspector, in the order in which they run: later ones see what earlier ones found.
pub static INSPECTORS: &[&dyn Inspector] = &[
    &os_release::OsRelease,
    &dpkg::Dpkg,
    &rpmdb::Rpmdb,
    &apk::Apk,
    &os_release::Inferred,
    &kernels::Kernels,
    &reboot::RebootRequired,
    &livepatch::LivePatches,
    &subscription::Subscribed,
    &apt::Apt,
    &dnf::Dnf,
    &apk_index::ApkIndex,
    &dnf_channel::DnfChannel,
    &origins::Origins,
    &update_channel::UpdateChannel,
    &web_applications::WebApplications,
    &services::Services,
    &processes::Processes,
    &sockets::Sockets,
    &restarts::Restarts,
    &bundles::Bundles,
    &containers::Containers,
];
