//! Where the advisory file lies, and what is said when it cannot be opened.

use std::path::{Path, PathBuf};

use muster_match::AdvisoryFile;

use crate::args::environment;

/// Opens the advisory file that was named, or the one in its usual place, if there is one.
pub(crate) fn file(named: Option<&Path>) -> anyhow::Result<Option<AdvisoryFile>> {
    if let Some(path) = named {
        return open(path).map(Some);
    }
    for path in usual_places() {
        if path.exists() {
            return open(&path).map(Some);
        }
    }
    Ok(None)
}

/// Opens an advisory file.
pub(crate) fn open(path: &Path) -> anyhow::Result<AdvisoryFile> {
    AdvisoryFile::open(path).map_err(|error| named(path, error))
}

/// Says of which file it is that it is damaged; the other errors name it themselves.
pub(crate) fn named(path: &Path, error: muster_match::Error) -> anyhow::Error {
    let is_damaged = matches!(error, muster_match::Error::Damaged(_));
    let error = anyhow::Error::new(error);
    if is_damaged { error.context(path.display().to_string()) } else { error }
}

/// Returns where an advisory file is looked for when none is named.
pub(crate) fn usual_places() -> Vec<PathBuf> {
    let own = data_folder().map(|folder| folder.join("advisories.adv"));
    own.into_iter().chain([PathBuf::from("/var/lib/muster/advisories.adv")]).collect()
}

/// Returns the user's own folder, as the XDG Base Directory Specification has it.
pub(crate) fn data_folder() -> Option<PathBuf> {
    let data = environment("XDG_DATA_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let data =
        data.or_else(|| environment("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    Some(data?.join("muster"))
}
