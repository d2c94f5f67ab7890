//! Package versions ordered exactly as the tools that install the packages order them.
//!
//! One [`Scheme`] a tool, one file a scheme; each file names the manual page or the program that
//! defines it. Comparing two versions allocates nothing, and a version can be turned once into an
//! order-preserving byte key, so that an index compares with `memcmp` alone.
//!
//! ```
//! use core::cmp::Ordering;
//! use muster_version::{Pep440Version, Scheme};
//!
//! assert_eq!(Scheme::Dpkg.compare("1.0~rc1-1", "1.0-1"), Some(Ordering::Less));
//! assert_eq!(Scheme::Pep440.compare("1.0-final", "1.0"), None);
//! assert!(Pep440Version::parse("1.0") == Pep440Version::parse("1.0.0"));
//! ```
//!
//! It deliberately does not read version *ranges*, does not guess which scheme a version belongs
//! to, and never compares versions of two schemes with each other.

#![no_std]

extern crate alloc;

mod apk;
mod atom;
mod composer;
mod dpkg;
mod golang;
mod letters;
mod maven;
mod npm;
mod number;
mod pep440;
mod rpm;
mod rubygems;
mod scheme;
mod semver;

pub use scheme::{Scheme, UnknownScheme};

use alloc::vec::Vec;
use core::cmp::Ordering;

/// What every scheme offers: a version read once, in an order that is total.
trait Version<'a>: Sized {
    /// Reads a version as the tool does; `None` where the tool refuses it.
    fn strict(text: &'a str) -> Option<Self>;

    /// Reads any text: as [`Version::strict`] does where it is a version, else as much of it as
    /// makes sense, so that the order stays total.
    fn lenient(text: &'a str) -> Self;

    /// Orders two versions.
    fn order(&self, other: &Self) -> Ordering;

    /// Tells whether the tool itself puts the two versions in an order.
    fn is_comparable(&self, _other: &Self) -> bool {
        true
    }

    /// Appends the key whose byte order is the order of the versions.
    fn write_key(&self, out: &mut Vec<u8>);
}

macro_rules! version_types {
    ($($(#[$doc:meta])* $name:ident = $module:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// Read once; equal where the tool calls two versions equal, whatever their text.
        #[derive(Clone, Copy)]
        pub struct $name<'a> {
            text: &'a str,
            parsed: $module::Parsed<'a>,
        }

        impl<'a> $name<'a> {
            /// Reads a version; `None` where the tool refuses it.
            #[must_use]
            pub fn parse(text: &'a str) -> Option<Self> {
                Some(Self { text, parsed: Version::strict(text)? })
            }

            /// Returns the version as it was written.
            #[must_use]
            pub fn as_str(&self) -> &'a str {
                self.text
            }

            /// Appends the key whose byte order is the order of the versions.
            pub fn write_key(&self, out: &mut Vec<u8>) {
                self.parsed.write_key(out);
            }
        }

        impl Ord for $name<'_> {
            fn cmp(&self, other: &Self) -> Ordering {
                self.parsed.order(&other.parsed)
            }
        }

        impl PartialOrd for $name<'_> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for $name<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }

        impl Eq for $name<'_> {}

        impl core::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.text).finish()
            }
        }

        impl core::fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.text)
            }
        }
    )*};
}

version_types! {
    /// A version of a Debian package, as dpkg orders it.
    DpkgVersion = dpkg;
    /// The epoch, version and release of an RPM package, as rpm orders them.
    RpmVersion = rpm;
    /// A version of an Alpine package, as apk-tools orders it.
    ApkVersion = apk;
    /// A version by Semantic Versioning 2.0.0.
    SemverVersion = semver;
    /// A version of an npm package, as npm's `semver` orders it.
    NpmVersion = npm;
    /// A version of a Python package, as PEP 440 and `packaging` order it.
    Pep440Version = pep440;
    /// A version of a PHP package, as Composer orders it. Two development branches, which Composer
    /// leaves without an order, are ordered by name.
    ComposerVersion = composer;
    /// A version of a Ruby gem, as `Gem::Version` orders it.
    RubyGemsVersion = rubygems;
    /// A version of a Maven artifact, in the order of Maven's specification.
    MavenVersion = maven;
    /// A version of a Go module, as `golang.org/x/mod/semver` orders it.
    GolangVersion = golang;
}
