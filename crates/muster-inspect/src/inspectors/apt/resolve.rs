//! Which upgrades can be carried out together: what `apt-get dist-upgrade` would make of the candidates.
//!
//! apt weighs packages by scores and may remove some. This is plainer: every candidate is taken; whatever then lacks
//! what it depends on, or meets what it rejects, goes back to the installed version, until all fits. New packages are
//! taken in where a dependency asks for them; an installed package goes only when a newcomer replaces it and nothing
//! else needs it.

use std::collections::{HashMap, HashSet};

use super::relations::{Atom, Multi, Relations, alternatives, clauses};

/// A version of a package that can be had.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    pub(super) version: String,
    /// The architecture of the version itself: `all` or the package's.
    pub(super) relations: Relations,
}

/// A package, with what is installed of it and what it could become.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    /// `all` counts as the machine's own architecture.
    pub(super) architecture: String,
    pub(super) installed: Option<Choice>,
    pub(super) candidate: Option<Choice>,
    /// Whether it must stay as it is: a hold, a phase not reached.
    pub(super) fixed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Nothing,
    Installed,
    Candidate,
}

/// The state while it is sought.
pub(super) struct Resolver {
    nodes: Vec<Node>,
    taken: Vec<Taken>,
    /// Why a candidate was given up.
    pub(super) given_up: Vec<Option<String>>,
    /// Packages that must not be removed again.
    stays: Vec<bool>,
    names: HashMap<String, Vec<usize>>,
    /// Who provides a name, with which of its versions, and as which version.
    provided: HashMap<String, Vec<(usize, Taken, Option<String>)>>,
    native: String,
}

/// How one step went.
enum Step {
    Changed,
    Settled,
}

impl Resolver {
    pub(super) fn new(native: &str, nodes: Vec<Node>) -> Self {
        let mut resolver = Self {
            nodes: Vec::new(),
            taken: Vec::new(),
            given_up: Vec::new(),
            stays: Vec::new(),
            names: HashMap::new(),
            provided: HashMap::new(),
            native: native.to_owned(),
        };
        for node in nodes {
            resolver.add(node);
        }
        resolver
    }

    /// Adds a package; one that is not installed stays out until something needs it.
    pub(super) fn add(&mut self, node: Node) {
        let at = self.nodes.len();
        self.names.entry(node.name.clone()).or_default().push(at);
        for (choice, taken) in
            [(&node.installed, Taken::Installed), (&node.candidate, Taken::Candidate)]
        {
            let Some(choice) = choice else { continue };
            for atom in clauses(&choice.relations.provides).filter_map(Atom::parse) {
                let version = atom.bound.map(|(_, version)| version.to_owned());
                self.provided.entry(atom.name.to_owned()).or_default().push((at, taken, version));
            }
        }
        self.taken.push(match (&node.installed, &node.candidate) {
            (Some(_), Some(_)) if !node.fixed => Taken::Candidate,
            (Some(_), _) => Taken::Installed,
            (None, _) => Taken::Nothing,
        });
        self.given_up.push(None);
        self.stays.push(node.fixed);
        self.nodes.push(node);
    }

    /// Tells whether a package is known.
    pub(super) fn knows(&self, name: &str, architecture: &str) -> bool {
        self.names.get(name).is_some_and(|all| {
            all.iter().any(|at| self.nodes.get(*at).is_some_and(|n| n.architecture == architecture))
        })
    }

    /// Returns the names that clauses not met ask for, and that were not looked up yet.
    pub(super) fn asked_for(&self, looked_up: &HashSet<Vec<u8>>) -> HashSet<Vec<u8>> {
        let mut names = HashSet::new();
        for (at, _) in self.nodes.iter().enumerate() {
            let Some(choice) = self.choice(at) else { continue };
            for clause in choice.relations.needs() {
                if self.is_met(at, clause)
                    || !self.was_met(at, clause) && self.taken_of(at) != Taken::Candidate
                {
                    continue;
                }
                for atom in alternatives(clause) {
                    if !looked_up.contains(atom.name.as_bytes()) {
                        names.insert(atom.name.as_bytes().to_vec());
                    }
                }
            }
        }
        names
    }

    /// Takes in every package that a clause asks for and that can be had, and nothing else.
    pub(super) fn take_in(&mut self) {
        while self.take_in_once() {}
    }

    fn take_in_once(&mut self) -> bool {
        let mut changed = false;
        for at in 0..self.nodes.len() {
            if self.taken_of(at) != Taken::Candidate {
                continue;
            }
            for clause in self.needs_of(at) {
                if !self.is_met(at, &clause) && self.take_in_for(at, &clause) {
                    changed = true;
                }
            }
        }
        changed
    }

    fn needs_of(&self, at: usize) -> Vec<String> {
        self.choice(at)
            .map(|c| c.relations.needs().map(str::to_owned).collect())
            .unwrap_or_default()
    }

    /// Takes in a package that meets a clause.
    fn take_in_for(&mut self, owner: usize, clause: &str) -> bool {
        for atom in alternatives(clause) {
            let named = self.names.get(atom.name).into_iter().flatten().copied();
            let providing = self.provided.get(atom.name).into_iter().flatten().map(|(at, ..)| *at);
            let newcomers: Vec<usize> = named
                .chain(providing)
                .filter(|at| self.taken_of(*at) == Taken::Nothing)
                .filter(|at| self.nodes.get(*at).is_some_and(|n| n.candidate.is_some() && !n.fixed))
                .filter(|at| self.given_up.get(*at).is_some_and(Option::is_none))
                .collect();
            for at in newcomers {
                self.set(at, Taken::Candidate);
                if self.meets(owner, &atom) {
                    return true;
                }
                self.set(at, Taken::Nothing);
            }
        }
        false
    }

    /// Seeks the state in which all fits.
    pub(super) fn resolve(&mut self) {
        // Every step gives something up, and nothing given up comes back.
        for _ in 0..self.nodes.len() * 4 + 8 {
            self.take_in();
            if let Step::Settled = self.step() {
                return;
            }
        }
    }

    /// Gives up what does not fit.
    fn step(&mut self) -> Step {
        for at in 0..self.nodes.len() {
            if self.mend_needs(at) || self.mend_rejections(at) {
                return Step::Changed;
            }
        }
        Step::Settled
    }

    /// Mends a need of a package that is not met.
    fn mend_needs(&mut self, at: usize) -> bool {
        let Some(choice) = self.choice(at) else { return false };
        let unmet = choice
            .relations
            .needs()
            .find(|clause| {
                !self.is_met(at, clause)
                    && (self.taken_of(at) == Taken::Candidate || self.was_met(at, clause))
            })
            .map(str::to_owned);
        let Some(unmet) = unmet else { return false };
        // What was removed for a newcomer is needed after all.
        let removed: Vec<usize> = (0..self.nodes.len())
            .filter(|other| self.is_removed(*other))
            .filter(|other| self.would_meet(*other, Taken::Installed, at, &unmet))
            .collect();
        if !removed.is_empty() {
            for other in removed {
                self.set(other, Taken::Installed);
                self.mark_staying(other);
            }
            return true;
        }
        if self.taken_of(at) == Taken::Candidate {
            self.give_up(
                at,
                format!("needs {unmet}, which no source offers or which is kept back"),
            );
            return true;
        }
        let who = self.nodes.get(at).map(|n| n.name.clone()).unwrap_or_default();
        let mut changed = false;
        for other in 0..self.nodes.len() {
            if self.taken_of(other) == Taken::Candidate
                && self.would_meet(other, Taken::Installed, at, &unmet)
            {
                self.give_up(other, format!("the installed {who} needs {unmet}"));
                changed = true;
            }
        }
        changed
    }

    /// Mends what a package rejects and is there all the same.
    fn mend_rejections(&mut self, at: usize) -> bool {
        let Some(choice) = self.choice(at) else { return false };
        let mut met = None;
        'atoms: for atom in choice.relations.rejects() {
            for other in self.matching(&atom) {
                if other != at && !self.same_group(at, other) && !self.was_together(at, other) {
                    met = Some((other, text_of_atom(&atom)));
                    break 'atoms;
                }
            }
        }
        let Some((other, atom)) = met else { return false };
        let name = |at: usize| self.nodes.get(at).map(|n| n.name.clone()).unwrap_or_default();
        let (this_name, other_name) = (name(at), name(other));
        let replaced = choice.relations.replaces.contains(&other_name)
            && clauses(&choice.relations.replaces)
                .filter_map(Atom::parse)
                .any(|a| a.name == other_name);
        let removable = replaced
            && self.taken_of(at) == Taken::Candidate
            && self.nodes.get(other).is_some_and(|n| n.installed.is_some())
            && self.stays.get(other) == Some(&false)
            && self.choice(other).is_some_and(|c| !c.relations.essential);
        if removable {
            self.set(other, Taken::Nothing);
        } else if self.taken_of(at) == Taken::Candidate {
            self.give_up(at, format!("breaks the installed {atom}"));
        } else if self.taken_of(other) == Taken::Candidate {
            self.give_up(other, format!("the installed {this_name} rejects {atom}"));
        } else {
            return false;
        }
        true
    }

    fn give_up(&mut self, at: usize, why: String) {
        let back = match self.nodes.get(at).and_then(|n| n.installed.as_ref()) {
            Some(_) => Taken::Installed,
            None => Taken::Nothing,
        };
        self.set(at, back);
        if let Some(place) = self.given_up.get_mut(at) {
            place.get_or_insert(why);
        }
    }

    fn mark_staying(&mut self, at: usize) {
        if let Some(stays) = self.stays.get_mut(at) {
            *stays = true;
        }
    }

    fn set(&mut self, at: usize, taken: Taken) {
        if let Some(place) = self.taken.get_mut(at) {
            *place = taken;
        }
    }

    fn taken_of(&self, at: usize) -> Taken {
        self.taken.get(at).copied().unwrap_or(Taken::Nothing)
    }

    fn is_removed(&self, at: usize) -> bool {
        self.taken_of(at) == Taken::Nothing
            && self.nodes.get(at).is_some_and(|n| n.installed.is_some())
    }

    /// Tells whether a package would be upgraded in the state that was found.
    pub(super) fn upgrades(&self, at: usize) -> bool {
        self.taken_of(at) == Taken::Candidate
    }

    fn choice_as(&self, at: usize, taken: Taken) -> Option<&Choice> {
        let node = self.nodes.get(at)?;
        match taken {
            Taken::Nothing => None,
            Taken::Installed => node.installed.as_ref(),
            Taken::Candidate => node.candidate.as_ref(),
        }
    }

    fn choice(&self, at: usize) -> Option<&Choice> {
        self.choice_as(at, self.taken_of(at))
    }

    fn same_group(&self, a: usize, b: usize) -> bool {
        match (self.nodes.get(a), self.nodes.get(b)) {
            (Some(a), Some(b)) => a.name == b.name,
            _ => false,
        }
    }

    /// Tells whether two packages stood together before: then their quarrel is older than the upgrade.
    fn was_together(&self, a: usize, b: usize) -> bool {
        let unchanged = |at: usize| self.taken_of(at) == Taken::Installed;
        unchanged(a) && unchanged(b)
    }

    fn is_met(&self, owner: usize, clause: &str) -> bool {
        alternatives(clause).any(|atom| self.meets(owner, &atom))
    }

    fn meets(&self, owner: usize, atom: &Atom<'_>) -> bool {
        let named = self.names.get(atom.name).into_iter().flatten();
        let by_name = named.copied().any(|at| self.serves(at, self.taken_of(at), owner, atom));
        by_name
            || self.provided.get(atom.name).into_iter().flatten().any(|(at, as_, version)| {
                self.taken_of(*at) == *as_
                    && self.provides(*at, *as_, version.as_deref(), owner, atom)
            })
    }

    /// Tells whether a clause was met before anything changed.
    fn was_met(&self, owner: usize, clause: &str) -> bool {
        alternatives(clause).any(|atom| {
            let named = self.names.get(atom.name).into_iter().flatten();
            named.copied().any(|at| self.serves(at, Taken::Installed, owner, &atom))
                || self.provided.get(atom.name).into_iter().flatten().any(|(at, as_, version)| {
                    *as_ == Taken::Installed
                        && self.provides(*at, *as_, version.as_deref(), owner, &atom)
                })
        })
    }

    /// Tells whether a package would meet a clause, taken as said.
    fn would_meet(&self, at: usize, taken: Taken, owner: usize, clause: &str) -> bool {
        let Some(node) = self.nodes.get(at) else { return false };
        alternatives(clause).any(|atom| {
            (node.name == atom.name && self.serves(at, taken, owner, &atom))
                || self.provided.get(atom.name).into_iter().flatten().any(
                    |(other, as_, version)| {
                        *other == at
                            && *as_ == taken
                            && self.provides(at, taken, version.as_deref(), owner, &atom)
                    },
                )
        })
    }

    /// Tells whether a package of that name serves the owner of a clause.
    fn serves(&self, at: usize, taken: Taken, owner: usize, atom: &Atom<'_>) -> bool {
        self.choice_as(at, taken).is_some_and(|choice| {
            atom.admits(&choice.version) && self.fits(at, choice, owner, atom)
        })
    }

    fn provides(
        &self,
        at: usize,
        taken: Taken,
        version: Option<&str>,
        owner: usize,
        atom: &Atom<'_>,
    ) -> bool {
        let Some(choice) = self.choice_as(at, taken) else { return false };
        let bound = match version {
            Some(version) => atom.admits(version),
            None => atom.bound.is_none(),
        };
        bound && self.fits(at, choice, owner, atom)
    }

    /// Tells whether the architecture is right.
    fn fits(&self, at: usize, choice: &Choice, owner: usize, atom: &Atom<'_>) -> bool {
        let (Some(node), Some(owner)) = (self.nodes.get(at), self.nodes.get(owner)) else {
            return false;
        };
        match atom.architecture {
            None => {
                node.architecture == owner.architecture || choice.relations.multi == Multi::Foreign
            }
            Some("any") => {
                node.architecture == owner.architecture
                    || matches!(choice.relations.multi, Multi::Allowed | Multi::Foreign)
            }
            Some("native") => node.architecture == self.native,
            Some(architecture) => node.architecture == architecture,
        }
    }

    /// Returns the packages there that a rejection is about.
    fn matching(&self, atom: &Atom<'_>) -> Vec<usize> {
        let here = |at: &usize| {
            let architecture = self.nodes.get(*at).map(|n| n.architecture.as_str());
            atom.architecture.is_none_or(|a| a == "any" || Some(a) == architecture)
        };
        let named = self.names.get(atom.name).into_iter().flatten().copied();
        let mut found: Vec<usize> = named
            .filter(|at| self.choice(*at).is_some_and(|c| atom.admits(&c.version)))
            .filter(here)
            .collect();
        for (at, as_, version) in self.provided.get(atom.name).into_iter().flatten() {
            let bound = match version {
                Some(version) => atom.admits(version),
                None => atom.bound.is_none(),
            };
            if bound && self.taken_of(*at) == *as_ && here(at) {
                found.push(*at);
            }
        }
        found
    }
}

fn text_of_atom(atom: &Atom<'_>) -> String {
    match atom.bound {
        Some((bound, version)) => format!("{} ({bound:?} {version})", atom.name),
        None => atom.name.to_owned(),
    }
}
