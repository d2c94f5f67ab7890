//! Which copies of an application are backups, and which are left over.
//!
//! A *backup* is told by a name: a word for one (`backup`, `old`, `bak`), an ending that people give to what they put
//! aside (`.bak`, `-old`, `.disabled`, `~`), or a date at the end of a name. Of a copy that visitors reach, only the names
//! below the folder that a configuration names count: whoever has a folder served by its own name uses it, whatever it is
//! called. Of what nobody serves, each name on its path counts. A name like that of a host (`old.example.com`) tells
//! nothing, nor does that of a part (`backup_migrate`), which its makers gave it.
//!
//! *Abandoned* is a copy to which no web server's configuration leads while one leads to another copy of the same
//! application, and all that is served is known. Nothing else is guessed. A part is what its application is.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::application::WebApplication;

const WORDS: [&str; 13] = [
    "backup", "backups", "bak", "old", "orig", "original", "save", "saved", "copy", "archive",
    "archives", "disabled", "trash",
];

/// Marks what is a copy of something. What a package brought is none. `ways` tells of each application the names by which
/// visitors reach it, below the folder that a configuration names, once for each way; `is_known`, whether all that is
/// served is known.
pub(super) fn tell(applications: &mut [WebApplication], ways: &[Vec<String>], is_known: bool) {
    let served: BTreeSet<String> = applications
        .iter()
        .filter(|a| a.served_by.is_some() && a.part_of.is_none())
        .map(|a| a.product.clone())
        .collect();
    let mut copies: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
    for (at, application) in applications.iter_mut().enumerate() {
        if application.part_of.is_some() || application.owner_package.is_some() {
            continue;
        }
        let ways = ways.get(at).map_or(&[][..], Vec::as_slice);
        let is_put_aside = match (&application.served_by, ways) {
            (None, _) | (_, []) => names_backup(&application.path),
            (Some(_), ways) => ways.iter().all(|names| names_backup(names)),
        };
        let is_left_over =
            is_known && application.served_by.is_none() && served.contains(&application.product);
        application.copy = if is_put_aside {
            Some("backup".to_owned())
        } else {
            is_left_over.then(|| "abandoned".to_owned())
        };
        let key = (application.product.clone(), application.path.clone());
        copies.insert(key, application.copy.clone());
    }
    for part in applications.iter_mut().filter(|a| a.owner_package.is_none()) {
        let Some(of) = &part.part_of else { continue };
        let (folders, name) = part.path.rsplit_once('/').unwrap_or_default();
        let whole = nearest(folders, |folder| copies.get(&(of.clone(), folder.to_owned())));
        let (below, copy) = match whole {
            Some((folder, copy)) => (folders.get(folder.len()..).unwrap_or_default(), copy.clone()),
            None => (folders, None),
        };
        let is_put_aside = names_backup(below) || is_renamed(name);
        part.copy = copy.or_else(|| is_put_aside.then(|| "backup".to_owned()));
    }
}

/// Returns the nearest folder, from a path upwards, of which something is known, and that.
pub(super) fn nearest<T>(path: &str, known: impl Fn(&str) -> Option<T>) -> Option<(&str, T)> {
    let mut folder = path;
    loop {
        if let Some(found) = known(if folder.is_empty() { "/" } else { folder }) {
            return Some((folder, found));
        }
        folder = folder.rsplit_once('/')?.0;
    }
}

/// Tells whether a name on a path is one that people give to what they put aside.
pub(super) fn names_backup(path: &str) -> bool {
    path.split('/').any(is_backup)
}

/// Tells whether people give such a name to what they put aside.
fn is_backup(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if WORDS.contains(&&*name) || is_renamed(&name) {
        return true;
    }
    let ends = |mark: char| name.rsplit_once(mark).is_some_and(|(_, end)| WORDS.contains(&end));
    let begins = |mark: char| name.split_once(mark).is_some_and(|(word, _)| WORDS.contains(&word));
    let is_host = name.matches('.').count() > 1;
    ['-', '_'].into_iter().any(|mark| ends(mark) || begins(mark))
        || !is_host && begins('.')
        || ends_in_date(&name)
}

/// Tells an ending that no maker gives to a name: `akismet.bak`, `akismet~`.
fn is_renamed(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let end = name.rsplit_once('.').map(|(_, end)| end);
    name.ends_with('~') || end.is_some_and(|end| WORDS.contains(&end))
}

/// Tells a date of this or the last century at the end of a name: `blog-20190304`, `blog_2019-03-04`.
fn ends_in_date(name: &str) -> bool {
    let digits: String = name.chars().filter(|c| !"-_.".contains(*c)).collect();
    let at = digits.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let Some(date) = digits.get(at..).filter(|d| d.len() == 8 && at > 0) else { return false };
    let part = |from: usize, to: usize| date.get(from..to).and_then(|n| n.parse::<u32>().ok());
    matches!((part(0, 4), part(4, 6), part(6, 8)), (Some(1990..=2099), Some(1..=12), Some(1..=31)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_for_what_is_put_aside_are_backups() {
        for name in [
            "blog.bak",
            "old",
            "wiki-old",
            "old_site",
            "site~",
            "blog-20190304",
            "b_2019-03-04",
            "Backup",
            "old.blog",
            "www.example.com.old",
        ] {
            assert!(is_backup(name), "{name}");
        }
        for name in [
            "blog",
            "olden",
            "goldwiki",
            "v2019",
            "20190304",
            "blog-12345678",
            "backupper",
            "",
            "old.example.com",
        ] {
            assert!(!is_backup(name), "{name}");
        }
    }

    #[test]
    fn a_part_is_what_its_application_is() {
        let of = |path: &str, part_of: Option<&str>| WebApplication {
            path: path.to_owned(),
            product: if part_of.is_some() { "x" } else { "drupal" }.to_owned(),
            part_of: part_of.map(str::to_owned),
            ..WebApplication::default()
        };
        let mut applications = [
            of("/srv/site", None),
            of("/srv/site.bak", None),
            of("/srv/site/modules/backup_migrate", Some("drupal")),
            of("/srv/site/modules/views.old", Some("drupal")),
            of("/srv/site/modules/old/views", Some("drupal")),
            of("/srv/site.bak/modules/views", Some("drupal")),
            of("/srv/other.bak/modules/wp-db-backup", Some("wordpress")),
        ];
        tell(&mut applications, &[], true);
        let is: Vec<bool> = applications.iter().map(|a| a.copy.is_some()).collect();
        assert_eq!(is, [false, true, false, true, true, true, true]);
    }
}
