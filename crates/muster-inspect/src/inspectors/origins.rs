//! Where installed packages come from, where no index says it.
//!
//! The inspectors of the archives' indices have set [`Package::origin`] of every package whose installed version stands
//! in one. For the others only the database's own word counts (rpm's `Vendor`, dpkg's `Origin`), and only while there
//! are no indices: with indices, a version that stands in none of them is of no known archive. Nothing is guessed from
//! the form of a version.
//!
//! [`Package::origin`]: muster_core::fact::Package::origin

use muster_core::fact::{Facts, Reading};

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
        for package in facts.packages.iter_mut().filter(|package| package.origin.is_none()) {
            package.origin = package.vendor.clone().filter(|vendor| !vendor.is_empty());
        }
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
        let packages = vec![
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
        assert_eq!(origins(facts(Reading::Absent)), [said("Red Hat"), None, said("y")]);
        let archive = Archive { indices: vec![Index::default()], candidates: Vec::new() };
        assert_eq!(origins(facts(Reading::Found(archive))), [None, None, said("y")]);
    }
}
