//! Which directories a root of overlay2 or of containers/storage's overlay is made of.
//!
//! Two tell it: the file `lower` beside a layer, which names those below it by short links, and the engine's own list of
//! layers and their parents. Where both tell, they must agree; where one is broken, the other counts; where neither
//! tells, the layers are not known. A layer without `lower` is no lowest one because of that alone.

use std::collections::BTreeSet;

use muster_core::fact::Reading;

use super::{Finder, MAX_FILE, MAX_LAYERS, is_plain};

/// What the file `lower` tells.
enum Lower {
    Absent,
    Broken,
    /// All directories, the layer's own first.
    Directories(Vec<String>),
}

/// Returns a layer and those below it by their parents, the topmost first; nothing where one is not known or they go in a
/// circle. `parent` tells nothing of a layer that it does not know.
pub(super) fn chain(
    top: &str,
    mut parent: impl FnMut(&str) -> Option<Option<String>>,
) -> Option<Vec<String>> {
    let mut chain = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = Some(top.to_owned());
    while let Some(id) = next {
        if chain.len() == MAX_LAYERS || !seen.insert(id.clone()) {
            return None;
        }
        next = parent(&id)?;
        chain.push(id);
    }
    Some(chain)
}

/// Returns the directories of a layer and of those below it, the topmost first; `told` are their names by the engine's own
/// list, where it tells them. The layers lie in one of several folders of the driver.
pub(super) fn overlay_layers(
    finder: &mut Finder<'_>,
    folders: &[String],
    id: &str,
    told: Option<&[String]>,
) -> Option<Vec<String>> {
    let told: Option<Vec<String>> =
        told.and_then(|ids| ids.iter().map(|id| directory(finder, folders, id)).collect());
    let layers = match (lower(finder, folders, id)?, told) {
        (Lower::Directories(lower), Some(told)) => (lower == told).then_some(lower),
        (Lower::Directories(lower), None) => Some(lower),
        (Lower::Absent, told) => told,
        // The engine makes the links anew by its list; but a lowest layer has none.
        (Lower::Broken, told) => told.filter(|told| told.len() > 1),
    }?;
    let is_whole = |layer: &String| {
        let above = layer.strip_suffix("/diff").unwrap_or(layer);
        // Parts of a layer that are kept beside it, in manners that are not read.
        !["diff1", "composefs-data"].iter().any(|n| finder.root.is_there(&format!("{above}/{n}")))
    };
    layers.iter().all(is_whole).then_some(layers)
}

fn directory(finder: &Finder<'_>, folders: &[String], id: &str) -> Option<String> {
    if !is_plain(id) {
        return None;
    }
    let mut paths = folders.iter().map(|folder| format!("{folder}/{id}/diff"));
    paths.find(|path| finder.root.is_there(path))
}

/// Reads what lies below a layer; nothing where that layer is not there itself.
fn lower(finder: &mut Finder<'_>, folders: &[String], id: &str) -> Option<Lower> {
    let own = directory(finder, folders, id)?;
    let path = format!("{}/lower", own.strip_suffix("/diff")?);
    let text = match finder.root.read(&path, MAX_FILE) {
        Reading::Found(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Reading::Absent => String::new(),
        Reading::Unknown(obstacle) => {
            finder.note(obstacle);
            return Some(Lower::Broken);
        }
    };
    if text.is_empty() {
        return Some(Lower::Absent);
    }
    let mut layers = vec![own];
    for link in text.split(':') {
        match linked(finder, folders, link).filter(|_| layers.len() < MAX_LAYERS) {
            Some(layer) => layers.push(layer),
            None => return Some(Lower::Broken),
        }
    }
    Some(Lower::Directories(layers))
}

/// Follows one short link, `l/NAME`, which leads to a layer beside it.
fn linked(finder: &Finder<'_>, folders: &[String], link: &str) -> Option<String> {
    let link = link.strip_prefix("l/").filter(|link| is_plain(link))?;
    folders.iter().find_map(|folder| {
        let target = finder.root.link(&format!("{folder}/l/{link}")).found()?.clone();
        let id = target.strip_prefix("../")?.strip_suffix("/diff").filter(|id| is_plain(id))?;
        Some(format!("{folder}/{id}/diff"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_whole_or_not_known() {
        let of = |list: &'static [(&str, &str)]| {
            move |id: &str| {
                let (_, parent) = list.iter().find(|(own, _)| *own == id)?;
                Some((!parent.is_empty()).then(|| (*parent).to_owned()))
            }
        };
        assert_eq!(chain("b", of(&[("b", "a"), ("a", "")])).unwrap(), ["b", "a"]);
        for broken in [&[("b", "a")][..], &[("b", "a"), ("a", "b")], &[("b", "b")], &[]] {
            assert_eq!(chain("b", of(broken)), None, "{broken:?}");
        }
    }
}
