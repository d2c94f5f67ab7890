//! The versions that stand in the indices, of the packages that are looked for.
//!
//! An index is read as a stream and a stanza is looked into only when its package is wanted: of 64,000 stanzas of
//! Debian's main index some hundred. Versions are merged over all indices that offer them.

use core::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, Read};

use memchr::memmem;
use muster_core::fact::{Obstacle, Reading};
use muster_version::Scheme;

use super::deb822::{each_stanza, fields, package, text_of};
use super::relations::{Atom, Relations, clauses};
use super::sums::{Summed, Vouched};
use crate::root::Root;
use crate::unpack::{Limits, unpack};

/// The most versions that are kept.
const MOST: usize = 400_000;

/// A version that indices offer.
#[derive(Clone, Debug, Default)]
pub(super) struct Offer {
    pub(super) version: String,
    pub(super) architecture: String,
    pub(super) source: String,
    pub(super) source_version: String,
    pub(super) built_using: String,
    pub(super) phased: Option<u8>,
    pub(super) relations: Relations,
    /// Whether the stanza is whole: one without the mandatory `Maintainer` is abridged, and its relations are not known.
    pub(super) whole: bool,
    /// The indices it stands in.
    pub(super) indices: Vec<usize>,
}

/// The offers of each package, by its name and architecture; `all` counts as the machine's own.
#[derive(Debug, Default)]
pub(super) struct Pool {
    native: String,
    offers: HashMap<String, Vec<(String, Vec<Offer>)>>,
    /// Of the sources that are looked for: the indices that hold a package of each.
    sources: HashMap<String, BTreeSet<usize>>,
    count: usize,
}

/// What is looked for in the indices.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Packages by name.
    pub(super) names: HashSet<Vec<u8>>,
    /// Whether packages that provide one of the names are wanted too.
    pub(super) providers: bool,
    /// Sources by name: only whether there is anything of them.
    pub(super) sources: HashSet<Vec<u8>>,
}

impl Pool {
    pub(super) fn new(native: &str) -> Self {
        Self { native: native.to_owned(), ..Self::default() }
    }

    /// Returns the architecture under which a package is kept.
    pub(super) fn kept_under<'a>(&'a self, architecture: &'a str) -> &'a str {
        if architecture == "all" { &self.native } else { architecture }
    }

    /// Returns the offers of a package.
    pub(super) fn offers(&self, name: &str, architecture: &str) -> &[Offer] {
        let architecture = self.kept_under(architecture);
        self.offers
            .get(name)
            .and_then(|all| all.iter().find(|(a, _)| a == architecture))
            .map(|(_, offers)| offers.as_slice())
            .unwrap_or_default()
    }

    /// Returns every package of which there is an offer, with its architectures.
    pub(super) fn packages(&self) -> impl Iterator<Item = (&str, &str, &[Offer])> {
        self.offers.iter().flat_map(|(name, all)| {
            all.iter().map(move |(architecture, offers)| {
                (name.as_str(), architecture.as_str(), offers.as_slice())
            })
        })
    }

    /// Returns the indices that offer a package in any version, for any architecture.
    pub(super) fn indices_of(&self, name: &str) -> impl Iterator<Item = usize> {
        let all = self.offers.get(name).into_iter().flatten();
        all.flat_map(|(_, offers)| offers).flat_map(|offer| offer.indices.iter().copied())
    }

    /// Returns the indices that hold a package of a source that was looked for.
    pub(super) fn indices_of_source(&self, source: &str) -> impl Iterator<Item = usize> {
        self.sources.get(source).into_iter().flatten().copied()
    }

    /// Reads one index for what is wanted. With what its Release file says of it, it is held against that; what it
    /// says is kept even where it is not whole.
    pub(super) fn read(
        &mut self,
        root: &dyn Root,
        path: &str,
        index: usize,
        wanted: &Wanted,
        vouched: Option<&Vouched>,
    ) -> Result<(), Obstacle> {
        let content = match root.open(path) {
            Reading::Found(content) => content,
            Reading::Absent => {
                return Err(Obstacle::new(path, "was gone when it was to be read; inspect again"));
            }
            Reading::Unknown(obstacle) => return Err(obstacle),
        };
        let broken = |error: io::Error| {
            Obstacle::new(path, format!("cannot be read to its end: {error}; run apt-get update"))
        };
        let (of_packed, of_unpacked) =
            (vouched.and_then(Vouched::packed), vouched.and_then(Vouched::unpacked));
        let mut packed = Summed::new(content, of_packed);
        let mut unpacked =
            Summed::new(unpack(&mut packed, Limits::INDEX).map_err(broken)?, of_unpacked);
        let nameless = self.read_stanzas(&mut unpacked, index, wanted).map_err(broken)?;
        let (empty, cut) = (unpacked.is_empty(), !unpacked.ends_a_line());
        let mut differs = of_unpacked.and_then(|listed| unpacked.differs(listed));
        if let Some(listed) = of_packed {
            // A decoder may stop before the end of the file.
            io::copy(&mut packed, &mut io::sink()).map_err(broken)?;
            differs = packed.differs(listed);
        }
        if self.count >= MOST {
            return Err(Obstacle::new(
                path,
                format!("holds more than the {MOST} versions that are read"),
            ));
        }
        let Some(vouched) = vouched else { return Ok(()) };
        let why = match (differs, vouched) {
            (Some(differs), _) => {
                format!("{differs} that its Release file states: it is damaged, or of another day")
            }
            _ if nameless > 0 => {
                format!("is damaged: it holds {nameless} stanzas that are about no package")
            }
            _ if cut => "is damaged: it ends in the middle of a line".to_owned(),
            (None, Vouched::Elsewhere) if empty => "is empty".to_owned(),
            (None, Vouched::Nowhere) => {
                "is not named by its Release file: whether it is whole is not known".to_owned()
            }
            (None, _) => return Ok(()),
        };
        Err(Obstacle::new(path, format!("{why}; run apt-get update")))
    }

    /// Takes what is wanted of a stream of stanzas, and counts those that are about no package.
    fn read_stanzas(
        &mut self,
        stanzas: impl Read,
        index: usize,
        wanted: &Wanted,
    ) -> io::Result<usize> {
        let provides = memmem::Finder::new(b"\nProvides:");
        let source = memmem::Finder::new(b"\nSource:");
        let mut nameless = 0;
        each_stanza(stanzas, |stanza| {
            let Some(name) = package(stanza) else {
                nameless += 1;
                return;
            };
            let provider = || {
                wanted.providers
                    && provides.find(stanza).is_some_and(|at| {
                        provided(stanza.get(at + 1..).unwrap_or_default())
                            .any(|name| wanted.names.contains(name.as_bytes()))
                    })
            };
            if !wanted.sources.is_empty() {
                let said = source.find(stanza).and_then(|at| stanza.get(at + 8..));
                let source = said.and_then(first_word).unwrap_or(name);
                if wanted.sources.contains(source) {
                    self.sources.entry(text_of(source)).or_default().insert(index);
                }
            }
            if wanted.names.contains(name) || provider() {
                self.take(&text_of(name), stanza, index);
            }
        })?;
        Ok(nameless)
    }

    /// Keeps the version of a stanza.
    fn take(&mut self, name: &str, stanza: &[u8], index: usize) {
        let mut offer = Offer::default();
        let mut source = String::new();
        for (field, value) in fields(stanza) {
            match field {
                b"Version" => offer.version = text_of(value),
                b"Architecture" => offer.architecture = text_of(value),
                b"Source" => source = text_of(value),
                b"Maintainer" => offer.whole = true,
                b"Built-Using" => offer.built_using = text_of(value),
                b"Phased-Update-Percentage" => {
                    offer.phased = text_of(value).parse().ok().filter(|share| *share < 100);
                }
                _ => offer.relations.take(field, value),
            }
        }
        if offer.version.is_empty() || self.count >= MOST {
            return;
        }
        let said = Atom::parse(&source);
        offer.source = said.map_or(name, |said| said.name).to_owned();
        offer.source_version = source
            .split_once('(')
            .and_then(|(_, rest)| rest.split(')').next())
            .map_or_else(|| offer.version.clone(), |version| version.trim().to_owned());
        let architecture = self.kept_under(&offer.architecture).to_owned();
        let all = self.offers.entry(name.to_owned()).or_default();
        let at = all.iter().position(|(a, _)| *a == architecture).unwrap_or_else(|| {
            all.push((architecture, Vec::new()));
            all.len() - 1
        });
        let Some((_, offers)) = all.get_mut(at) else { return };
        let same = |known: &&mut Offer| {
            Scheme::Dpkg.compare_lenient(&known.version, &offer.version) == Ordering::Equal
        };
        if let Some(known) = offers.iter_mut().find(same) {
            if !known.indices.contains(&index) {
                known.indices.push(index);
            }
            known.phased = known.phased.or(offer.phased);
            if offer.whole && !known.whole {
                known.whole = true;
                known.relations = offer.relations;
            }
            return;
        }
        self.count += 1;
        offer.indices.push(index);
        offers.push(offer);
    }
}

/// Returns the first word of the line at the start of a text.
fn first_word(text: &[u8]) -> Option<&[u8]> {
    let line = text.split(|b| *b == b'\n').next()?;
    line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())
}

/// Returns the names in a `Provides` field at the start of a text.
fn provided(text: &[u8]) -> impl Iterator<Item = &str> {
    let value = fields(text).next().map(|(_, value)| value).unwrap_or_default();
    let value = std::str::from_utf8(value).unwrap_or_default();
    clauses(value).filter_map(Atom::parse).map(|atom| atom.name)
}
