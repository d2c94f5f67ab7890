//! What one server has and lacks, read from its files. Nothing is run to learn what a file says.
//!
//! Each inspector is one file under `inspectors/`: it declares what it reads and fills its own part of the
//! [`Facts`]. All of them read through one [`root::Root`]: the live system, a mounted directory, a tar.

pub mod inspectors;
pub mod root;

use muster_core::fact::Facts;

use root::Root;

/// Something that is inspected.
pub trait Inspector: Sync {
    /// Returns its name.
    fn name(&self) -> &'static str;
    /// Returns the paths it may read, from `/` of the root; `*` stands for any one name, a final `/**` for everything below.
    fn reads(&self) -> &'static [&'static str];
    /// Reads, and fills its part of the facts; what stands in its way becomes an obstacle. Inspectors before it in the list have filled theirs.
    fn inspect(&self, root: &dyn Root, facts: &mut Facts);
}

/// What is inspected.
pub enum Target {
    Live,
}

impl Target {
    pub fn parse(_: &str) -> Self {
        Self::Live
    }
}

/// How.
pub struct Options {
    pub live_proc: bool,
    pub timeout: std::time::Duration,
}

/// Why not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// Inspects.
pub fn inspect(_: &Target, _: &Options) -> Result<Facts, Error> {
    Err(Error("not here yet".into()))
}
