//! The homes of accounts: those that `/etc/passwd` names (passwd(5)), and the directories right below `/home`, where accounts
//! of a directory service live that no file here names.
//!
//! The administrator's own home is none of them. Homes elsewhere that only a directory service knows are not found.

use std::collections::BTreeMap;

use muster_core::fact::{Obstacle, Reading};

use crate::root::{EntryKind, Root};

/// Bytes of the list of accounts.
const MAX_PASSWD: u64 = 32 << 20;
/// How many homes are looked into; what lies in more is said to be unknown.
const MAX_HOMES: usize = 2000;

/// An account that is not the administrator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) user: Option<u32>,
    /// Its home, without a slash at the end.
    pub(crate) home: String,
}

/// Returns the accounts, one a home, by the paths of their homes; and what stood in the way.
pub(crate) fn accounts(root: &dyn Root) -> (Vec<Account>, Vec<Obstacle>) {
    let mut obstacles = Vec::new();
    // Of a root that holds no more than was declared, no home is kept.
    if !root.is_in_place() {
        return (Vec::new(), obstacles);
    }
    let passwd = match root.read("/etc/passwd", MAX_PASSWD) {
        Reading::Found(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Reading::Absent => String::new(),
        Reading::Unknown(obstacle) => {
            obstacles.push(obstacle);
            String::new()
        }
    };
    let mut homes: BTreeMap<String, Account> = BTreeMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        let name = fields.next().unwrap_or_default();
        let (user, home) = (fields.nth(1), fields.nth(2));
        let Some(home) = home.map(|home| home.trim_end_matches('/')) else { continue };
        if user == Some("0") || !home.starts_with('/') {
            continue;
        }
        homes.entry(home.to_owned()).or_insert_with(|| Account {
            name: name.to_owned(),
            user: user.and_then(|user| user.parse().ok()),
            home: home.to_owned(),
        });
    }
    let below = match root.list("/home") {
        Reading::Found(entries) => entries,
        Reading::Absent => Vec::new(),
        Reading::Unknown(obstacle) => {
            obstacles.push(obstacle);
            Vec::new()
        }
    };
    for entry in below.into_iter().filter(|entry| entry.kind == EntryKind::Directory) {
        let home = format!("/home/{}", entry.name);
        if !homes.contains_key(&home) {
            let user = root.look(&home).found().map(|look| look.user);
            homes.insert(home.clone(), Account { name: entry.name, user, home });
        }
    }
    if homes.len() > MAX_HOMES {
        obstacles.push(Obstacle::new(
            "accounts",
            format!(
                "{} more homes than the {MAX_HOMES} that are looked into lie here: what their accounts keep is not known",
                homes.len() - MAX_HOMES
            ),
        ));
    }
    let mut accounts: Vec<Account> = homes.into_values().take(MAX_HOMES).collect();
    accounts.retain(|account| {
        let Reading::Unknown(stop) = root.look(&format!("{}/.local/share", account.home)) else {
            return true;
        };
        let why = format!(
            "cannot be looked into ({}): containers, images and flatpaks that this account keeps are not known; inspect as root",
            stop.why
        );
        obstacles.push(Obstacle::new(account.home.clone(), why));
        false
    });
    (accounts, obstacles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspectors::apt::testing::Files;

    #[test]
    fn homes_are_those_of_the_file_and_those_below_home() {
        let mut files = Files::of(&[
            (
                "etc/passwd",
                concat!(
                    "root:x:0:0::/root:/bin/sh\na:x:1000:100::/home",
                    "/a/:\nb:x:7:7::/srv/b:\nbroken\n"
                ),
            ),
            ("home/a/.profile", ""),
            ("home/of-ldap/.profile", ""),
            ("home/shut/.profile", ""),
        ])
        .in_place();
        files.deny("home/shut/");
        let (found, obstacles) = accounts(&files);
        let told: Vec<_> = found.iter().map(|a| (&*a.name, a.user, &*a.home)).collect();
        assert_eq!(
            told,
            [
                ("a", Some(1000), concat!("/home", "/a")),
                ("of-ldap", None, concat!("/home", "/of-ldap")),
                ("b", Some(7), "/srv/b")
            ]
        );
        let [shut] = &obstacles[..] else { panic!("{obstacles:?}") };
        assert!(
            shut.what == concat!("/home", "/shut") && shut.why.contains("permission denied"),
            "{shut:?}"
        );
    }
}
