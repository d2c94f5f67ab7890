//! What a package needs and rejects, by deb-control(5) and the multiarch rules of the Debian policy.

use core::cmp::Ordering;

use muster_version::Scheme;

use super::deb822::{fields, text_of};

/// Whether a package serves other architectures (`Multi-Arch`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Multi {
    #[default]
    No,
    /// One version on all architectures.
    Same,
    /// Serves every architecture.
    Foreign,
    /// Serves every architecture that asks for `:any`.
    Allowed,
}

/// The relations of one version, as written.
#[derive(Clone, Debug, Default)]
pub(super) struct Relations {
    pub(super) pre_depends: String,
    pub(super) depends: String,
    pub(super) conflicts: String,
    pub(super) breaks: String,
    pub(super) replaces: String,
    pub(super) provides: String,
    pub(super) multi: Multi,
    /// Whether the system must not be without it.
    pub(super) essential: bool,
}

impl Relations {
    /// Reads them from a stanza.
    pub(super) fn of(stanza: &[u8]) -> Self {
        let mut found = Self::default();
        for (name, value) in fields(stanza) {
            found.take(name, value);
        }
        found
    }

    /// Takes one field, if it is one of them.
    pub(super) fn take(&mut self, name: &[u8], value: &[u8]) {
        let place = match name {
            b"Pre-Depends" => &mut self.pre_depends,
            b"Depends" => &mut self.depends,
            b"Conflicts" => &mut self.conflicts,
            b"Breaks" => &mut self.breaks,
            b"Replaces" => &mut self.replaces,
            b"Provides" => &mut self.provides,
            b"Multi-Arch" => {
                self.multi = match value {
                    b"same" => Multi::Same,
                    b"foreign" => Multi::Foreign,
                    b"allowed" => Multi::Allowed,
                    _ => Multi::No,
                };
                return;
            }
            b"Essential" | b"Protected" => {
                self.essential |= value == b"yes";
                return;
            }
            _ => return,
        };
        *place = text_of(value);
    }

    /// Returns the clauses of which each must be met.
    pub(super) fn needs(&self) -> impl Iterator<Item = &str> {
        clauses(&self.pre_depends).chain(clauses(&self.depends))
    }

    /// Returns what must not be there besides it.
    pub(super) fn rejects(&self) -> impl Iterator<Item = Atom<'_>> {
        clauses(&self.conflicts).chain(clauses(&self.breaks)).filter_map(Atom::parse)
    }
}

/// Returns the clauses of a field.
pub(super) fn clauses(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|clause| !clause.is_empty())
}

/// Returns the alternatives of a clause.
pub(super) fn alternatives(clause: &str) -> impl Iterator<Item = Atom<'_>> {
    clause.split('|').filter_map(Atom::parse)
}

/// A package by name, perhaps of one architecture, perhaps within a bound: `libc6:any (>= 2.36)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Atom<'a> {
    pub(super) name: &'a str,
    pub(super) architecture: Option<&'a str>,
    pub(super) bound: Option<(Bound, &'a str)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Before,
    AtMost,
    Exactly,
    AtLeast,
    After,
}

impl<'a> Atom<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (name, rest) = match text.split_once('(') {
            Some((name, rest)) => (name.trim_end(), rest.split(')').next()),
            None => (text.split(['[', '<']).next().unwrap_or(text).trim_end(), None),
        };
        let (name, architecture) = match name.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture)),
            None => (name, None),
        };
        if name.is_empty() {
            return None;
        }
        Some(Self { name, architecture, bound: rest.and_then(bound) })
    }

    /// Tells whether a version lies within the bound.
    pub(super) fn admits(&self, version: &str) -> bool {
        let Some((bound, limit)) = self.bound else { return true };
        let order = Scheme::Dpkg.compare_lenient(version, limit);
        match bound {
            Bound::Before => order == Ordering::Less,
            Bound::AtMost => order != Ordering::Greater,
            Bound::Exactly => order == Ordering::Equal,
            Bound::AtLeast => order != Ordering::Less,
            Bound::After => order == Ordering::Greater,
        }
    }
}

fn bound(text: &str) -> Option<(Bound, &str)> {
    let text = text.trim();
    let end = text.find(|c| !"<=>".contains(c))?;
    let (sign, version) = text.split_at(end);
    let bound = match sign {
        "<<" => Bound::Before,
        // The old forms `<` and `>` mean what `<=` and `>=` do.
        "<=" | "<" => Bound::AtMost,
        "=" => Bound::Exactly,
        ">=" | ">" => Bound::AtLeast,
        ">>" => Bound::After,
        _ => return None,
    };
    Some((bound, version.trim()))
}

#[cfg(test)]
mod tests {
    use super::{Atom, Bound, alternatives, clauses};

    #[test]
    fn clauses_have_alternatives_with_bounds() {
        let text = "libc6 (>= 2.36), perl:any | perl5 (<< 6) , a(=1:2)\n ,b [amd64]";
        let all: Vec<Vec<Atom<'_>>> = clauses(text).map(|c| alternatives(c).collect()).collect();
        assert_eq!(all.len(), 4);
        assert_eq!(all[0][0].bound, Some((Bound::AtLeast, "2.36")));
        assert_eq!(all[1][0].architecture, Some("any"));
        assert!(all[1][1].admits("5.36") && !all[1][1].admits("6"));
        assert!(all[2][0].admits("1:2") && !all[2][0].admits("1:2-1"));
        assert_eq!(all[3][0].name, "b");
    }
}
