//! The schemes by name, and one entrance to all of them.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use crate::Version as _;
use crate::{apk, composer, dpkg, golang, letters, maven, npm, pep440, rpm, rubygems, semver};

/// Whose order of versions is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Debian, Ubuntu: `dpkg --compare-versions`.
    Dpkg,
    /// Red Hat, SUSE, Amazon: epoch, version and release as librpm compares them.
    Rpm,
    /// Alpine: `apk version --test`.
    Apk,
    /// Semantic Versioning 2.0.0.
    Semver,
    /// npm's `semver`.
    Npm,
    /// Python: PEP 440 as `packaging` implements it.
    Pep440,
    /// PHP: `composer/semver`.
    Composer,
    /// Ruby: `Gem::Version`.
    RubyGems,
    /// Java: Maven's `ComparableVersion`.
    Maven,
    /// Go: `golang.org/x/mod/semver`, the leading `v` optional.
    Golang,
    /// PHP applications whose patch levels are letters: Composer's order, in which `1.9.2c` comes after `1.9.2b` and both
    /// after `1.9.2`.
    ComposerLetters,
}

/// Runs one expression with `Parsed` being the scheme's own type.
macro_rules! for_scheme {
    ($scheme:expr, $($body:tt)*) => {
        match $scheme {
            Scheme::Dpkg => { type Parsed<'a> = dpkg::Parsed<'a>; $($body)* }
            Scheme::Rpm => { type Parsed<'a> = rpm::Parsed<'a>; $($body)* }
            Scheme::Apk => { type Parsed<'a> = apk::Parsed<'a>; $($body)* }
            Scheme::Semver => { type Parsed<'a> = semver::Parsed<'a>; $($body)* }
            Scheme::Npm => { type Parsed<'a> = npm::Parsed<'a>; $($body)* }
            Scheme::Pep440 => { type Parsed<'a> = pep440::Parsed<'a>; $($body)* }
            Scheme::Composer => { type Parsed<'a> = composer::Parsed<'a>; $($body)* }
            Scheme::RubyGems => { type Parsed<'a> = rubygems::Parsed<'a>; $($body)* }
            Scheme::Maven => { type Parsed<'a> = maven::Parsed<'a>; $($body)* }
            Scheme::Golang => { type Parsed<'a> = golang::Parsed<'a>; $($body)* }
            Scheme::ComposerLetters => { type Parsed<'a> = letters::Parsed<'a>; $($body)* }
        }
    };
}

impl Scheme {
    /// Every scheme that a tool defines, in the order in which the names are listed to people.
    pub const ALL: [Self; 10] = [
        Self::Dpkg,
        Self::Rpm,
        Self::Apk,
        Self::Semver,
        Self::Npm,
        Self::Pep440,
        Self::Composer,
        Self::RubyGems,
        Self::Maven,
        Self::Golang,
    ];

    /// Returns the name that [`FromStr`] reads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dpkg => "dpkg",
            Self::Rpm => "rpm",
            Self::Apk => "apk",
            Self::Semver => "semver",
            Self::Npm => "npm",
            Self::Pep440 => "pep440",
            Self::Composer => "composer",
            Self::RubyGems => "rubygems",
            Self::Maven => "maven",
            Self::Golang => "golang",
            Self::ComposerLetters => "composer-letters",
        }
    }

    /// Orders two versions: `None` where one is not a version of this scheme (the real tool
    /// refuses it), or where the tool leaves the two without an order (two development branches
    /// of Composer).
    #[must_use]
    pub fn compare(self, a: &str, b: &str) -> Option<Ordering> {
        for_scheme!(self, {
            let (a, b) = (Parsed::strict(a)?, Parsed::strict(b)?);
            a.is_comparable(&b).then(|| a.order(&b))
        })
    }

    /// Orders any two texts: as [`Scheme::compare`] where that answers, and by what can be made
    /// of them where it does not. Total and deterministic on every input.
    #[must_use]
    pub fn compare_lenient(self, a: &str, b: &str) -> Ordering {
        for_scheme!(self, Parsed::lenient(a).order(&Parsed::lenient(b)))
    }

    /// Tells whether the real tool takes this for a version.
    #[must_use]
    pub fn is_valid(self, v: &str) -> bool {
        for_scheme!(self, Parsed::strict(v).is_some())
    }

    /// Appends a key to `out`: the byte order of two keys is the order of their versions.
    ///
    /// `None`, and nothing appended, where `v` is not a version. A key orders whole keys only:
    /// what follows it must not take part in the comparison.
    pub fn write_key(self, v: &str, out: &mut Vec<u8>) -> Option<()> {
        for_scheme!(self, Parsed::strict(v)?.write_key(out));
        Some(())
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No scheme has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownScheme;

impl fmt::Display for UnknownScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a version scheme: use one of")?;
        for (at, scheme) in Scheme::ALL.iter().enumerate() {
            write!(f, "{}{scheme}", if at == 0 { " " } else { ", " })?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownScheme {}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(name: &str) -> Result<Self, UnknownScheme> {
        let mut all = Self::ALL.into_iter().chain([Self::ComposerLetters]);
        all.find(|scheme| scheme.name() == name).ok_or(UnknownScheme)
    }
}
