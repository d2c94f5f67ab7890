//! Where installed packages come from, where no index says it.
//!
//! The inspectors of the archives' indices have set [`Package::origin`] of every package whose installed version stands
//! in one, and named those that none of the indices knows. For these, and for all while there are no indices, only the
//! database's own word counts (rpm's `Vendor`, dpkg's `Origin`). Nothing is guessed from the form of a version, nor from
//! the maintainer: anybody may maintain a package of Debian. A builder is the distributor's own if it also built the
//! packages that no system of it is without, or bears the name of the distribution or of a relative (`Origin: debian`
//! within Ubuntu); what the distributor of an rpm system built, and dropped since, is no stranger's.
//!
//! [`Package::origin`]: muster_core::fact::Package::origin

use std::collections::HashSet;

use muster_core::fact::{Database, Facts, Package, Reading};

use crate::Inspector;
use crate::root::Root;

/// The inspector of origins.
pub struct Origins;

impl Inspector for Origins {
    fn name(&self) -> &'static str {
        "origins"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[]
    }

    fn inspect(&self, _root: &dyn Root, facts: &mut Facts) {
        let home = Home::of(facts);
        let Facts { archive, packages, database, .. } = facts;
        let foreign = |package: &Package| package.vendor.clone().filter(|vendor| !home.is(vendor));
        let archive = match archive {
            Reading::Found(archive) if !archive.indices.is_empty() => archive,
            _ => {
                for package in packages.iter_mut().filter(|package| package.origin.is_none()) {
                    package.origin = foreign(package);
                }
                return;
            }
        };
        let unlisted: HashSet<(String, String)> =
            std::mem::take(&mut archive.unlisted).into_iter().collect();
        if unlisted.is_empty() {
            return;
        }
        for package in packages {
            let key = (package.name.clone(), package.architecture.clone());
            if !unlisted.contains(&key) {
                continue;
            }
            package.origin = foreign(package);
            // Every rpm says who built it.
            let own = *database == Reading::Found(Database::Rpm) && package.vendor.is_some();
            if package.origin.is_none() && !own {
                archive.unlisted.push(key);
            }
        }
    }
}

/// Packages that no system is without: who built them is the distributor.
const BASE: [&str; 7] = ["base-files", "dpkg", "rpm", "glibc", "bash", "setup", "filesystem"];

/// The names by which the distributor goes.
struct Home {
    names: Vec<String>,
}

impl Home {
    fn of(facts: &Facts) -> Self {
        let builders = facts
            .packages
            .iter()
            .filter(|p| BASE.contains(&p.name.as_str()) || p.name.ends_with("-release"));
        let mut names: Vec<String> =
            builders.filter_map(|p| p.vendor.as_deref()).map(str::to_ascii_lowercase).collect();
        if let Some(os) = facts.os.found() {
            names.push(os.id.to_ascii_lowercase());
            names.extend(os.like.iter().map(|like| like.to_ascii_lowercase()));
            names.extend(os.distribution().and_then(|d| d.kin).map(str::to_owned));
        }
        if facts.database.found() == Some(&Database::Dpkg) {
            // Whoever builds from Debian's sources keeps its `Origin: debian` in the packages.
            names.push("debian".to_owned());
        }
        Self { names }
    }

    /// A nameless builder tells nothing.
    fn is(&self, vendor: &str) -> bool {
        vendor.is_empty() || self.names.contains(&vendor.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use muster_core::fact::{Archive, Database, Facts, Index, Package, Reading};

    use super::Origins;
    use crate::Inspector as _;
    use crate::inspectors::apt::testing::Files;

    fn facts(archive: Reading<Archive>) -> Facts {
        let package = |vendor: Option<&str>, origin: Option<&str>| Package {
            vendor: vendor.map(str::to_owned),
            origin: origin.map(str::to_owned),
            ..Package::default()
        };
        let base = Package { name: "glibc".into(), ..package(Some("AlmaLinux"), None) };
        let packages = vec![
            base,
            package(Some("almalinux"), None),
            package(Some("Red Hat"), None),
            package(None, None),
            package(Some("x"), Some("y")),
        ];
        Facts { archive, packages, ..Facts::default() }
    }

    fn origins(mut facts: Facts) -> Vec<Option<String>> {
        Origins.inspect(&Files::default(), &mut facts);
        facts.packages.into_iter().map(|package| package.origin).collect()
    }

    #[test]
    fn the_database_is_believed_only_where_no_index_could_tell() {
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(origins(facts(Reading::Absent)), [None, None, said("Red Hat"), None, said("y")]);
        let archive = Archive { indices: vec![Index::default()], ..Archive::default() };
        assert_eq!(origins(facts(Reading::Found(archive))), [None, None, None, None, said("y")]);
    }

    #[test]
    fn what_no_index_knows_is_of_its_builder_or_of_nobody() {
        let unlisted = ["own", "theirs", "nameless"].map(|name| (name.into(), String::new()));
        for (database, left) in [
            (Database::Rpm, &["nameless"][..]),
            // dpkg's field is the distributor's word for its own packages only in its own archives.
            (Database::Dpkg, &["own", "nameless"]),
        ] {
            let archive = Archive {
                indices: vec![Index::default()],
                unlisted: unlisted.to_vec(),
                ..Archive::default()
            };
            let mut facts = facts(Reading::Found(archive));
            facts.database = Reading::Found(database);
            for (package, name) in facts.packages[1..].iter_mut().zip(["own", "theirs", "nameless"])
            {
                package.name = name.into();
            }
            Origins.inspect(&Files::default(), &mut facts);
            assert_eq!(facts.packages[2].origin.as_deref(), Some("Red Hat"));
            let unlisted = &facts.archive.found().unwrap().unlisted;
            assert_eq!(unlisted.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), left);
        }
    }
}
