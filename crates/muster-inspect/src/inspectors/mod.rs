//! Every inspector, in plain sight: a file, a `mod` line and a line of the list.

pub mod rpmdb;

use crate::Inspector;

/// Every inspector, in the order in which they run: later ones see what earlier ones found.
pub static INSPECTORS: &[&dyn Inspector] = &[&rpmdb::Rpmdb];
