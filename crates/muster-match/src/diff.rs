//! What opens and what closes from one compiled release to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::advisory::{By, Channel, Status};

use crate::section::Section;

/// A statement that changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The package.
    pub package: String,
    /// The advisory.
    pub id: Arc<str>,
    /// The channel.
    pub channel: Channel,
    /// What was said; nothing: it is new.
    pub before: Option<Said>,
    /// What is said; nothing: it is gone.
    pub after: Option<Said>,
}

/// What is said of a package by an advisory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// The state.
    pub status: Status,
    /// The mended version.
    pub fixed: Option<String>,
}

/// Which way a change goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Servers can become affected by it.
    Opens,
    /// Servers can cease to be affected by it, without a change of theirs.
    Closes,
    /// A fix came out, or moved.
    Fix,
    /// The words changed.
    Words,
}

impl Change {
    /// Judges which way the change goes.
    pub fn direction(&self) -> Direction {
        let affects = |said: &Option<Said>| {
            said.as_ref()
                .is_some_and(|s| !matches!(s.status, Status::NotAffected | Status::DoesNotExist))
        };
        match (affects(&self.before), affects(&self.after)) {
            (false, true) => Direction::Opens,
            (true, false) => Direction::Closes,
            _ if self.before.as_ref().map(|s| &s.fixed)
                != self.after.as_ref().map(|s| &s.fixed) =>
            {
                Direction::Fix
            }
            _ => Direction::Words,
        }
    }
}

type Key = (String, By, Arc<str>, Channel);

/// Lists what changed, in the order of packages and ids.
pub fn changes(old: Option<&Section<'_>>, new: Option<&Section<'_>>) -> Vec<Change> {
    let mut before = said(old);
    let after = said(new);
    let mut changes = Vec::new();
    for (key, now) in after {
        let was = before.remove(&key);
        if was.as_ref() != Some(&now) {
            changes.push(change(key, was, Some(now)));
        }
    }
    changes.extend(before.into_iter().map(|(key, was)| change(key, Some(was), None)));
    changes.sort();
    changes
}

fn change((package, _, id, channel): Key, before: Option<Said>, after: Option<Said>) -> Change {
    Change { package, id, channel, before, after }
}

fn said(section: Option<&Section<'_>>) -> BTreeMap<Key, Said> {
    let mut said = BTreeMap::new();
    let Some(section) = section else { return said };
    for package in section.packages() {
        let versions = section.versions(&package);
        for group in section.groups(&package) {
            let fixed =
                group.fixed.and_then(|rank| versions.get(usize::from(rank))).map(str::to_owned);
            for number in section.members(&group) {
                let id = section.id(&section.advisory(number));
                said.insert(
                    (package.name.to_owned(), package.by, id, group.channel),
                    Said { status: group.status, fixed: fixed.clone() },
                );
            }
        }
    }
    said
}
