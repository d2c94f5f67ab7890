//! Which copies of an application are backups, and which are left over.
//!
//! A *backup* is told by a name on its path: a word for one (`backup`, `old`, `bak`), an ending that people give to what
//! they put aside (`.bak`, `-old`, `.disabled`, `~`), or a date at the end of a name. *Abandoned* is a copy to which no
//! web server's configuration leads while it leads to another copy of the same application. Nothing else is guessed.

use std::collections::BTreeSet;

use muster_core::application::WebApplication;

const WORDS: [&str; 13] = [
    "backup", "backups", "bak", "old", "orig", "original", "save", "saved", "copy", "archive",
    "archives", "disabled", "trash",
];

/// Marks what is a copy of something. What a package brought, and what is served under that very name, is none.
pub(super) fn tell(applications: &mut [WebApplication]) {
    let served: BTreeSet<String> = applications
        .iter()
        .filter(|a| a.served_by.is_some() && a.part_of.is_none())
        .map(|a| a.product.clone())
        .collect();
    for application in applications.iter_mut().filter(|a| a.owner_package.is_none()) {
        let of = application.part_of.as_ref().unwrap_or(&application.product);
        let is_left_over = application.served_by.is_none() && served.contains(of);
        application.copy = if application.path.split('/').any(is_backup) {
            Some("backup".to_owned())
        } else {
            is_left_over.then(|| "abandoned".to_owned())
        };
    }
}

/// Tells whether people give such a name to what they put aside.
fn is_backup(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if WORDS.contains(&&*name) || name.ends_with('~') {
        return true;
    }
    let ends = |mark: char| name.rsplit_once(mark).is_some_and(|(_, end)| WORDS.contains(&end));
    let begins = |mark: char| name.split_once(mark).is_some_and(|(word, _)| WORDS.contains(&word));
    ['.', '-', '_'].into_iter().any(|mark| ends(mark) || begins(mark)) || ends_in_date(&name)
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
    use super::is_backup;

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
        ] {
            assert!(is_backup(name), "{name}");
        }
        for name in
            ["blog", "olden", "goldwiki", "v2019", "20190304", "blog-12345678", "backupper", ""]
        {
            assert!(!is_backup(name), "{name}");
        }
    }
}
