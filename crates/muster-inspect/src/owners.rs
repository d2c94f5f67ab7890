//! Which package owns a path, by the package manager's own lists.
//!
//! dpkg: `/var/lib/dpkg/info/*.list` and `diversions` (dpkg-query(1), dpkg-divert(1)); images without dpkg:
//! `/var/lib/dpkg/status.d/*.md5sums`. apk: the lines `F:` and `R:` of `installed` (apk-v2). rpm: the file lists in the
//! headers. Lists are read only for paths that are asked for, once for all of them, and a path that no list has is left
//! out. `/lib` and `/usr/lib` (and their kin) are one folder on most systems and two names in the lists: a path is found
//! under either. Not looked into: whether the file is still as the package brought it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use muster_core::fact::{Database, Reading};

use crate::inspectors::rpmdb;
use crate::root::Root;

/// What an inspector declares that asks who owns a path.
pub const READS: [&str; 20] = [
    "/var/lib/dpkg/info/*.list",
    "/var/lib/dpkg/diversions",
    "/var/lib/dpkg/status.d/*.md5sums",
    "/lib/apk/db/installed",
    "/usr/lib/apk/db/installed",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/rpmdb.sqlite-wal",
    "/var/lib/rpm/rpmdb.sqlite-journal",
    "/var/lib/rpm/Packages.db",
    "/var/lib/rpm/Packages",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite-journal",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/usr/lib/sysimage/rpm/Packages",
    "/usr/share/rpm/rpmdb.sqlite",
    "/usr/share/rpm/rpmdb.sqlite-wal",
    "/usr/share/rpm/rpmdb.sqlite-journal",
    "/usr/share/rpm/Packages.db",
    "/usr/share/rpm/Packages",
];

const INFO: &str = "/var/lib/dpkg/info";
const STATUS_D: &str = "/var/lib/dpkg/status.d";
const DIVERSIONS: &str = "/var/lib/dpkg/diversions";
/// The list of a package with a hundred thousand files is shorter.
const MAX_LIST: u64 = 16 << 20;
/// apk's database holds the lists of all packages.
const MAX_INSTALLED: u64 = 96 << 20;
/// More packages than a server has.
const MAX_LISTS: usize = 50_000;

/// Returns the package that owns each of the paths, which are written from `/`; those of no package are left out.
///
/// A folder that several packages share is said to be of the first of them by name: ask for files.
pub fn owners(
    root: &dyn Root,
    database: Database,
    paths: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    if paths.is_empty() {
        return BTreeMap::new();
    }
    let mut asked = Asked::new(paths);
    match database {
        Database::Dpkg => {
            asked.divert(root);
            dpkg(root, &mut asked);
        }
        Database::Apk => apk(root, &mut asked),
        Database::Rpm => rpm(root, &mut asked),
    }
    asked.answer()
}

/// A path that was asked for, and what is known of its owner.
struct Question {
    path: String,
    /// The package, and whether its list has the very path and not its other name.
    owner: Option<(bool, String)>,
    /// With a diversion: only this package owns it.
    only: Option<String>,
    /// With a diversion: this package does not own it.
    but: Option<String>,
}

/// The paths that were asked for, found by any of their names.
struct Asked {
    questions: Vec<Question>,
    /// The questions by the name without `/usr`.
    by_name: HashMap<Vec<u8>, Vec<usize>>,
}

impl Asked {
    fn new(paths: &BTreeSet<String>) -> Self {
        let mut asked = Self { questions: Vec::new(), by_name: HashMap::new() };
        for path in paths {
            asked
                .by_name
                .entry(short(path.as_bytes()).to_vec())
                .or_default()
                .push(asked.questions.len());
            asked.questions.push(Question {
                path: path.clone(),
                owner: None,
                only: None,
                but: None,
            });
        }
        asked
    }

    /// Takes a line of a package's list.
    fn hear(&mut self, package: &str, line: &[u8]) {
        let Some(numbers) = self.by_name.get(short(line)) else { return };
        for number in numbers {
            let Some(question) = self.questions.get_mut(*number) else { continue };
            let allowed = question.only.as_deref().is_none_or(|only| only == package)
                && question.but.as_deref() != Some(package);
            if !allowed {
                continue;
            }
            let exact = question.path.as_bytes() == line;
            let better = match &question.owner {
                None => true,
                Some((known, name)) => {
                    (exact && !known) || (exact == *known && package < name.as_str())
                }
            };
            if better {
                question.owner = Some((exact, package.to_owned()));
            }
        }
    }

    /// Reads the diversions: what lies at a diverted path is of the package that diverted it, and what lies where it was
    /// put is of the other one.
    fn divert(&mut self, root: &dyn Root) {
        let Reading::Found(bytes) = root.read(DIVERSIONS, MAX_LIST) else { return };
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        while let (Some(from), Some(to), Some(by)) = (lines.next(), lines.next(), lines.next()) {
            let local = by == ":";
            for number in self.numbers(from) {
                if let Some(question) = self.questions.get_mut(number) {
                    question.only = (!local).then(|| by.to_owned());
                }
            }
            for number in self.numbers(to) {
                if let Some(question) = self.questions.get_mut(number) {
                    question.but = (!local).then(|| by.to_owned());
                }
                let aliases = self.by_name.entry(short(from.as_bytes()).to_vec()).or_default();
                if !aliases.contains(&number) {
                    aliases.push(number);
                }
            }
        }
    }

    fn numbers(&self, path: &str) -> Vec<usize> {
        self.by_name.get(short(path.as_bytes())).cloned().unwrap_or_default()
    }

    fn answer(self) -> BTreeMap<String, String> {
        self.questions.into_iter().filter_map(|q| Some((q.path, q.owner?.1))).collect()
    }
}

/// Takes `/usr` off the folders that are the same with and without it.
fn short(path: &[u8]) -> &[u8] {
    let Some(rest) = path.strip_prefix(b"/usr") else { return path };
    let merged = [b"/bin/".as_slice(), b"/sbin/", b"/lib/", b"/lib32/", b"/lib64/", b"/libx32/"];
    if merged.iter().any(|folder| rest.starts_with(folder)) { rest } else { path }
}

fn dpkg(root: &dyn Root, asked: &mut Asked) {
    for (folder, end) in [(INFO, ".list"), (STATUS_D, ".md5sums")] {
        let Reading::Found(entries) = root.list(folder) else { continue };
        for entry in entries.iter().take(MAX_LISTS * 8) {
            let Some(name) = entry.name.strip_suffix(end) else { continue };
            let package = name.split(':').next().unwrap_or(name);
            let Reading::Found(bytes) = root.read(&format!("{folder}/{}", entry.name), MAX_LIST)
            else {
                continue;
            };
            let mut whole = Vec::new();
            for line in lines(&bytes) {
                if end == ".list" {
                    asked.hear(package, line);
                } else if let Some(path) = line.get(32..).map(<[u8]>::trim_ascii_start) {
                    // `SUM  usr/bin/x`: without the slash at its beginning.
                    whole.clear();
                    whole.push(b'/');
                    whole.extend_from_slice(path);
                    asked.hear(package, &whole);
                }
            }
        }
    }
}

fn apk(root: &dyn Root, asked: &mut Asked) {
    for path in ["/usr/lib/apk/db/installed", "/lib/apk/db/installed"] {
        let Reading::Found(bytes) = root.read(path, MAX_INSTALLED) else { continue };
        let (mut package, mut folder) = (String::new(), Vec::new());
        for line in lines(&bytes) {
            match line.split_first_chunk::<2>() {
                Some((b"P:", name)) => package = String::from_utf8_lossy(name).into_owned(),
                Some((b"F:", name)) => {
                    folder.clear();
                    folder.push(b'/');
                    folder.extend_from_slice(name);
                    asked.hear(&package, &folder);
                    if !folder.ends_with(b"/") {
                        folder.push(b'/');
                    }
                }
                Some((b"R:", name)) => {
                    let length = folder.len();
                    folder.extend_from_slice(name);
                    asked.hear(&package, &folder);
                    folder.truncate(length);
                }
                _ => {}
            }
        }
        return;
    }
}

fn rpm(root: &dyn Root, asked: &mut Asked) {
    let names = asked.questions.iter().filter_map(|q| q.path.rsplit('/').next());
    let names = names.map(|name| name.as_bytes().to_vec()).collect();
    rpmdb::each_owner(root, names, &mut |package, path| asked.hear(package, path));
}

/// Splits at line ends, without the cost of finding out what is text.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspectors::apt::testing::Files;

    fn ask(files: &Files, database: Database, paths: &[&str]) -> Vec<(String, String)> {
        let paths = paths.iter().map(|p| (*p).to_owned()).collect();
        owners(files, database, &paths).into_iter().collect()
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn dpkg_lists_name_the_owner_under_either_name_of_a_merged_folder() {
        let files = Files::of(&[
            ("var/lib/dpkg/info/libc6:amd64.list", "/.\n/lib/x86_64-linux-gnu/libc.so.6\n"),
            ("var/lib/dpkg/info/dash.list", "/bin/sh\n/bin/dash\n"),
            ("var/lib/dpkg/info/bash.list", "/bin/sh\n/usr/share/doc"),
            ("var/lib/dpkg/info/bash.md5sums", "x"),
            ("var/lib/dpkg/diversions", "/bin/sh\n/bin/sh.distrib\ndash\n/local\n/local.was\n:\n"),
        ]);
        let found = ask(
            &files,
            Database::Dpkg,
            &["/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/bin/sh", "/bin/sh.distrib", "/opt/x"],
        );
        assert_eq!(
            found,
            pairs(&[
                ("/bin/sh.distrib", "bash"),
                ("/usr/bin/sh", "dash"),
                ("/usr/lib/x86_64-linux-gnu/libc.so.6", "libc6"),
            ])
        );
        assert_eq!(ask(&files, Database::Dpkg, &[]), pairs(&[]));
    }

    #[test]
    fn images_without_dpkg_and_apk_name_owners_too() {
        let sum = "d41d8cd98f00b204e9800998ecf8427e";
        let files = Files::of(&[
            ("var/lib/dpkg/status.d/base.md5sums", &format!("{sum}  usr/bin/base\nshort\n")),
            (
                "lib/apk/db/installed",
                "P:musl\nF:lib\nR:libc.so\nZ:x\n\nP:x\nF:\nR:top\nF:usr/bin\nR:x\n",
            ),
        ]);
        assert_eq!(
            ask(&files, Database::Dpkg, &["/usr/bin/base"]),
            pairs(&[("/usr/bin/base", "base")])
        );
        assert_eq!(
            ask(&files, Database::Apk, &["/usr/lib/libc.so", "/usr/bin/x", "/top", "/usr/bin/y"]),
            pairs(&[("/top", "x"), ("/usr/bin/x", "x"), ("/usr/lib/libc.so", "musl")])
        );
    }
}
