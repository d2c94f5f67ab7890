//! The newest versions of a release's security archive, where a feed brought them: a security update is missing even
//! if no advisory names it.

use std::collections::BTreeMap;

use muster_core::action;
use muster_core::fact::{Database, Facts};
use muster_core::finding::{About, ArchiveUpdate, Concerned, Finding, Severity};
use muster_core::owed;
use muster_core::verdict::Verdict;

use crate::section::Section;

/// Holds the installed packages against the newest versions in the release's security archive, where a feed brought
/// them: a security update is missing even if no advisory names it. Silent where the machine's own indices speak.
pub(super) fn archived(section: &Section<'_>, database: Database, facts: &Facts) -> Vec<Finding> {
    if facts.archive.found().is_some_and(|archive| !archive.indices.is_empty()) {
        return Vec::new();
    }
    let scheme = database.scheme();
    let mut by_source: BTreeMap<&str, Vec<Concerned>> = BTreeMap::new();
    for package in facts.packages.iter().filter(|p| !owed::is_third_party(p, facts)) {
        let Some(entry) = section.archived(&package.name) else { continue };
        if scheme.compare_lenient(&package.version, entry.version).is_lt() {
            let concerned = Concerned::new(package, Some(entry.version));
            by_source.entry(entry.source).or_default().push(concerned);
        }
    }
    by_source
        .into_iter()
        .map(|(source, packages)| archived_update(source, packages, database))
        .collect()
}

fn archived_update(source: &str, packages: Vec<Concerned>, database: Database) -> Finding {
    let version = packages.first().and_then(|p| p.fixed.clone()).unwrap_or_default();
    Finding {
        id: format!("archive-update:security:{source}").into(),
        verdict: Verdict::Missing,
        severity: Severity::Unknown,
        title: format!("{source}: {version} lies in the security archive of this release").into(),
        action: action::upgrade(database, &packages).into(),
        about: About::ArchiveUpdate(Box::new(ArchiveUpdate {
            source: source.to_owned(),
            packages,
            pocket: "security".into(),
            security: true,
            advisories: Vec::new(),
            kept_back: None,
        })),
    }
}
