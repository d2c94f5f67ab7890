//! Where installed packages come from, where no index says it.
//!
//! The inspectors of the archives' indices have set [`Package::origin`] of every package whose installed version stands
//! in one. For the others only the database's own word counts (rpm's `Vendor`, dpkg's `Origin`), and only while there
//! are no indices: with indices, a version that stands in none of them is of no known archive. Nothing is guessed from
//! the form of a version. A builder is the distributor's own if it also built the packages that no system of it is
//! without, or bears the name of the distribution or of a relative (`Origin: debian` within Ubuntu).
//!
//! [`Package::origin`]: muster_core::fact::Package::origin

use muster_core::fact::{Database, Facts, Reading};

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
        if matches!(&facts.archive, Reading::Found(archive) if !archive.indices.is_empty()) {
            return;
        }
        let home = Home::of(facts);
        for package in facts.packages.iter_mut().filter(|package| package.origin.is_none()) {
            package.origin = package.vendor.clone().filter(|vendor| !home.is(vendor));
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
    use muster_core::fact::{Archive, Facts, Index, Package, Reading};

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
        let archive = Archive { indices: vec![Index::default()], candidates: Vec::new() };
        assert_eq!(origins(facts(Reading::Found(archive))), [None, None, None, None, said("y")]);
    }
}
