//! What one server has and lacks, read from its files. Nothing is run to learn what a file says.
//!
//! Each inspector is one file under `inspectors/`: it declares what it reads and fills its own part of the
//! [`Facts`]. All of them read through one [`root::Root`]: the live system, a mounted directory, a tar.
//! [`inspect`] does it all in a child that can read what is declared and nothing else.

mod accounts;
pub mod catalogue;
mod driver;
pub mod inspectors;
pub mod owners;
pub mod root;
mod target;
pub mod unpack;

use muster_core::fact::Facts;

pub use driver::{
    Error, Options, Spent, inspect, inspect_answer, inspect_here, inspect_measured, inspect_with,
};
pub use target::Target;

use root::Root;

/// How far an inspector must see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The paths it declares; the kernel holds it to them.
    #[default]
    Declared,
    /// The processes of a running system: `/proc`, and nothing beside it. What it declares begins with `/proc/`.
    Processes,
    /// Every file: what it looks for may lie anywhere.
    Everywhere,
}

impl Scope {
    pub(crate) const ALL: [Self; 3] = [Self::Declared, Self::Processes, Self::Everywhere];
}

/// Something that is inspected.
pub trait Inspector: Sync {
    /// Returns its name.
    fn name(&self) -> &'static str;
    /// Returns the paths it may read, from `/` of the root; `*` in a name stands for any characters, a final `/**` for
    /// everything below, a final `/` for the names in that directory without what the files say.
    fn reads(&self) -> &'static [&'static str];
    /// Returns what it may read where the root is a directory, in which files that nobody declared can be reached as well.
    fn reads_in_place(&self) -> &'static [&'static str] {
        self.reads()
    }
    /// Tells whether it has a say on containers and images too: what only a whole server has, none of them is asked for.
    fn in_containers(&self) -> bool {
        true
    }
    /// Returns how far it must see. Those that see further run later, each kind in a child of its own.
    fn scope(&self) -> Scope {
        Scope::Declared
    }
    /// Reads, and fills its part of the facts; what stands in its way becomes an obstacle. Inspectors before it in the list have filled theirs.
    fn inspect(&self, root: &dyn Root, facts: &mut Facts);
}
