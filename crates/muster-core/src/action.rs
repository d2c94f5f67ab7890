//! What a person types to mend something.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::fact::Database;
use crate::finding::Concerned;

/// Returns the command that brings the packages up to date.
pub fn upgrade(database: Database, packages: &[Concerned]) -> String {
    let command = match database {
        Database::Dpkg => "apt-get install --only-upgrade",
        Database::Rpm => "dnf upgrade",
        Database::Apk => "apk upgrade",
    };
    on(command, packages.iter().map(|p| &*p.name))
}

/// Returns the command that applies to these packages, each once, in the order of their names.
pub fn on<'a>(command: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: BTreeSet<&str> = names.into_iter().collect();
    // No package is called so; if a server says that one is, its name must not become an option.
    let options_end = if names.iter().any(|name| name.starts_with('-')) { " --" } else { "" };
    let names: Vec<Cow<'_, str>> = names.into_iter().map(word).collect();
    format!("{command}{options_end} {}", names.join(" "))
}

/// Quotes what a shell would not take as one plain word: names and paths come from the server, and the line may be pasted.
pub fn word(name: &str) -> Cow<'_, str> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"+-._:@/".contains(&b);
    if !name.is_empty() && name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("'{}'", name.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_more_than_a_name_to_a_shell() {
        let concerned = |name: &str| Concerned {
            name: name.into(),
            architecture: "amd64".into(),
            installed: "1".into(),
            fixed: None,
        };
        for (names, command) in [
            (&["g++-12", "libc6"][..], "apt-get install --only-upgrade g++-12 libc6"),
            (&["a;reboot"], "apt-get install --only-upgrade 'a;reboot'"),
            (&["it's"], "apt-get install --only-upgrade 'it'\\''s'"),
            (&["-oX=y"], "apt-get install --only-upgrade -- '-oX=y'"),
            (&[""], "apt-get install --only-upgrade ''"),
        ] {
            let packages: Vec<Concerned> = names.iter().map(|n| concerned(n)).collect();
            assert_eq!(upgrade(Database::Dpkg, &packages), command);
        }
    }
}
