//! What a person types to mend something.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::fact::Database;
use crate::finding::Concerned;

/// Returns the command that brings the packages up to date.
pub fn upgrade(database: Database, packages: &[Concerned]) -> String {
    let names: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let command = match database {
        Database::Dpkg => "apt-get install --only-upgrade",
        Database::Rpm => "dnf upgrade",
        Database::Apk => "apk upgrade",
    };
    format!("{command} {}", names.join(" "))
}
