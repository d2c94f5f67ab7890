//! Module streams that nothing speaks for: each stream of a module is a product of its own, and one without advisories is
//! not thereby clean.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::advisory::By;
use muster_core::fact::{Facts, Obstacle};

use crate::section::Section;

/// What the release's advisories say of one installed stream.
#[derive(Default)]
struct Spoken {
    /// Whether any speaks of this stream.
    of_this: bool,
    /// The other streams of the same module that they speak of.
    of_others: BTreeSet<String>,
}

/// Names the streams that cannot be told, and those that the release's advisories pass over while they speak of others.
pub(super) fn unspoken(section: &Section<'_>, facts: &Facts) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    let mut streams: BTreeMap<&str, Spoken> = BTreeMap::new();
    for package in &facts.packages {
        let Some(label) = package.module.as_deref().filter(|label| !label.is_empty()) else {
            continue;
        };
        let Some(stream) = stream(label) else {
            obstacles.push(Obstacle::new(
                format!("{} {}", package.name, package.version),
                format!("its module label {label:?} names no stream: which advisories speak of it is not known"),
            ));
            continue;
        };
        let spoken = streams.entry(stream).or_default();
        let Some(listed) = section.package(&package.name, By::Binary) else { continue };
        for stated in section.groups(&listed).filter_map(|group| section.module_of(&group)) {
            // A statement that tells no stream speaks of all.
            spoken.of_this |= stated == "?" || self::stream(stated) == Some(stream);
            if module(stated) == module(stream) && stated != stream {
                spoken.of_others.insert(stated.to_owned());
            }
        }
    }
    for (stream, spoken) in streams.into_iter().filter(|(_, s)| !s.of_this) {
        if !spoken.of_others.is_empty() {
            let others = spoken.of_others.into_iter().collect::<Vec<_>>().join(", ");
            obstacles.push(Obstacle::new(
                format!("module {stream}"),
                format!("the advisories of this release speak of {others} and not of this stream: what it misses is not known"),
            ));
        }
    }
    obstacles
}

/// Returns `name:stream` of `name:stream:version:context:architecture`.
fn stream(label: &str) -> Option<&str> {
    let (name, rest) = label.split_once(':')?;
    let stream = rest.split(':').next().unwrap_or_default();
    if name.is_empty() || stream.is_empty() {
        return None;
    }
    label.get(..name.len() + 1 + stream.len())
}

fn module(stream: &str) -> &str {
    stream.split(':').next().unwrap_or(stream)
}
