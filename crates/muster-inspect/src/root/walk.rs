//! A walk over every directory of a root, for files that are known by the end of their path.
//!
//! It reads names, and opens no file. It follows no symbolic link. It does not enter what other hosts or programs answer
//! for (network mounts, FUSE, autofs), nor what is no file (proc, sysfs and their kin); what it did not enter it names.

use std::collections::{HashMap, HashSet};

use muster_core::fact::{Obstacle, Reading};

use super::declared::components;
use super::{EntryKind, Root, obstacle};

/// How many entries are looked at.
pub(super) const MAX_WALKED: u64 = 20_000_000;
/// How deep directories are entered.
pub(super) const MAX_DEPTH: usize = 400;
/// How many files are spotted.
pub(super) const MAX_SPOTTED: usize = 50_000;
/// How many places that were not entered are named.
const MAX_NAMED: usize = 200;

/// The ends of the paths that a walk looks for: `wp-includes/version.php`, `*.dist-info/METADATA`.
pub struct Wanted<'a> {
    tails: Vec<Tail<'a>>,
    /// From this tail on, the folders alone are wanted.
    once: usize,
    by_last: HashMap<&'a [u8], Vec<usize>>,
    /// The tails whose last name is a star and an ending.
    endings: Vec<usize>,
    /// A bit for each kind of name that may be wanted: most names are passed over by it alone.
    near: Box<[u64; 64]>,
}

struct Tail<'a> {
    /// The names before the last, the nearest first.
    above: Vec<Name<'a>>,
    last: Name<'a>,
}

#[derive(Clone, Copy)]
enum Name<'a> {
    Is(&'a [u8]),
    /// Around a star.
    Around(&'a [u8], &'a [u8]),
}

impl Name<'_> {
    fn fits(self, name: &[u8]) -> bool {
        match self {
            Self::Is(own) => own == name,
            Self::Around(start, ending) => {
                name.strip_prefix(start).is_some_and(|rest| rest.ends_with(ending))
            }
        }
    }
}

impl<'a> Wanted<'a> {
    /// Takes the ends of paths; a name has one star at most.
    pub fn new(tails: &[&'a str]) -> Self {
        let mut wanted = Self {
            tails: Vec::new(),
            once: usize::MAX,
            by_last: HashMap::new(),
            endings: Vec::new(),
            near: Box::new([0; 64]),
        };
        for tail in tails {
            let mut names = tail.split('/').rev().map(|name| match name.split_once('*') {
                Some((start, ending)) => Name::Around(start.as_bytes(), ending.as_bytes()),
                None => Name::Is(name.as_bytes()),
            });
            let Some(last) = names.next() else { continue };
            let number = wanted.tails.len();
            match last {
                Name::Is(name) => {
                    wanted.by_last.entry(name).or_default().push(number);
                    let (word, bit) = near(name);
                    if let Some(word) = wanted.near.get_mut(word) {
                        *word |= bit;
                    }
                }
                Name::Around(..) => wanted.endings.push(number),
            }
            wanted.tails.push(Tail { above: names.collect(), last });
        }
        wanted
    }

    /// Of the tails from this one on, only the folders are wanted, each told once.
    pub fn folders_from(self, once: usize) -> Self {
        Self { once, ..self }
    }

    /// Tells the number of each tail that a file has, and how long the path above the tail is.
    pub(super) fn fits(&self, folder: &[u8], name: &[u8], mut found: impl FnMut(usize, usize)) {
        for number in &self.endings {
            self.tail(*number, folder, name, &mut found);
        }
        let (word, bit) = near(name);
        if self.near.get(word).is_none_or(|word| word & bit == 0) {
            return;
        }
        for number in self.by_last.get(name).into_iter().flatten() {
            self.tail(*number, folder, name, &mut found);
        }
    }

    fn tail(
        &self,
        number: usize,
        folder: &[u8],
        name: &[u8],
        found: &mut impl FnMut(usize, usize),
    ) {
        let Some(tail) = self.tails.get(number).filter(|tail| tail.last.fits(name)) else { return };
        let mut left = folder;
        for wanted in &tail.above {
            let at = left.iter().rposition(|b| *b == b'/');
            let (above, own) = match at {
                Some(at) => (left.get(..at).unwrap_or_default(), left.get(at + 1..)),
                None => (&[][..], Some(left)),
            };
            if own.is_none_or(|own| own.is_empty() || !wanted.fits(own)) {
                return;
            }
            left = above;
        }
        found(number, left.len());
    }
}

/// Where a name's bit stands: made of its length, its first byte and its last.
fn near(name: &[u8]) -> (usize, u64) {
    let first = usize::from(name.first().copied().unwrap_or(0));
    let last = usize::from(name.last().copied().unwrap_or(0));
    let mixed = (first ^ (last << 3) ^ (name.len() << 6)) & 4095;
    (mixed >> 6, 1 << (mixed & 63))
}

/// A file that has a wanted end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spotted {
    /// The folder above the wanted end, from `/`, without a slash at its end: empty for `/` itself.
    pub folder: String,
    /// The number of the end in the list of those wanted.
    pub tail: usize,
    /// The file.
    pub path: String,
}

/// What came of a walk.
#[derive(Debug, Default)]
pub struct Walked {
    /// The files that have a wanted end, in order.
    pub spotted: Vec<Spotted>,
    /// The directories that were not entered, and why: what other hosts answer for, and what inspectors of their own read.
    pub not_walked: Vec<(String, String)>,
    /// What stood in the way.
    pub obstacles: Vec<Obstacle>,
    /// How many entries were looked at.
    pub entries: u64,
    homes: HashSet<(usize, Vec<u8>)>,
    unreadable: Option<(String, u64)>,
    unnamed: u64,
}

impl Walked {
    /// Looks at a file's name in its folder, which is written without a slash at either end.
    pub(super) fn spot(&mut self, wanted: &Wanted<'_>, folder: &[u8], name: &[u8]) {
        wanted.fits(folder, name, |tail, above| {
            if tail >= wanted.once {
                let home = (tail, folder.get(..above).unwrap_or_default().to_vec());
                if self.homes.len() > MAX_SPOTTED || !self.homes.insert(home) {
                    return;
                }
            }
            let slash = if folder.is_empty() { &b""[..] } else { b"/" };
            let path = [b"/", folder, slash, name].concat();
            let path = match String::from_utf8(path) {
                Ok(path) => path,
                Err(error) => {
                    let path = String::from_utf8_lossy(error.as_bytes()).into_owned();
                    self.note(obstacle(&path, "has a name on its way that is not UTF-8, and was not looked at; rename that"));
                    return;
                }
            };
            if self.spotted.len() == MAX_SPOTTED {
                self.note(Obstacle::new(
                    "web applications",
                    format!("there are more than {MAX_SPOTTED} files that may belong to one; the rest was not looked at"),
                ));
                return;
            }
            let folder = match above {
                0 => String::new(),
                above => path.get(..=above).unwrap_or_default().to_owned(),
            };
            // Which of the files is met first is chance.
            let path = if tail >= wanted.once { folder.clone() } else { path };
            self.spotted.push(Spotted { folder, tail, path });
        });
    }

    pub(super) fn note(&mut self, obstacle: Obstacle) {
        if self.obstacles.len() < MAX_NAMED && !self.obstacles.contains(&obstacle) {
            self.obstacles.push(obstacle);
        }
    }

    /// Says what there is to say of a directory that is entered in part.
    pub(super) fn tell_of(&mut self, folder: &[u8]) {
        if let Some(why) = told_of(folder) {
            self.pass_by(folder, why);
        }
    }

    /// Names a directory that is not entered, unless there is nothing in it to speak of.
    pub(super) fn pass_by(&mut self, folder: &[u8], why: impl Into<String>) {
        let why = why.into();
        if why.is_empty() {
            return;
        }
        if self.not_walked.len() == MAX_NAMED {
            self.unnamed += 1;
            return;
        }
        self.not_walked.push((format!("/{}", String::from_utf8_lossy(folder)), why));
    }

    /// Counts a directory that may not be read; the first by its name is told.
    pub(super) fn cannot_read(&mut self, folder: &[u8]) {
        let path = format!("/{}", String::from_utf8_lossy(folder));
        let (first, count) = self.unreadable.get_or_insert_with(|| (path.clone(), 0));
        if path < *first {
            *first = path;
        }
        *count += 1;
    }

    /// Says why the walk ended early.
    pub(super) fn end_early(&mut self, folder: &[u8], why: &str) {
        let at = format!("/{}", String::from_utf8_lossy(folder));
        self.note(Obstacle::new(
            "web applications",
            format!(
                "the walk ended at {at} after {} entries: {why}; what lies behind is not known",
                self.entries
            ),
        ));
    }

    /// Puts it in order, so that the same tree gives the same answer whatever the order of its directories.
    pub(super) fn settle(mut self) -> Self {
        if let Some((first, count)) = self.unreadable.take() {
            let and_more = match count {
                0 | 1 => String::new(),
                2 => String::from(", and 1 more directory"),
                _ => format!(", and {} more directories", count - 1),
            };
            let why = format!(
                "cannot be read{and_more}: permission denied, so it was not looked through for web applications: needs root; inspect as root"
            );
            self.obstacles.push(Obstacle::new(first, why));
        }
        if self.unnamed > 0 {
            let why = format!("{} more directories were not entered", self.unnamed);
            self.obstacles.push(Obstacle::new("web applications", why));
        }
        self.spotted.sort_unstable();
        self.spotted.dedup();
        self.not_walked.sort_unstable();
        self.not_walked.dedup();
        self.obstacles.sort_unstable();
        self
    }
}

pub(crate) const CONTAINERS: &str =
    "is where containers are stored; each is inspected as a root of its own";

/// Why a directory is passed by wherever it stands: what is in it is no part of this system, or inspectors of their own
/// read it. An empty reason: there is nothing in it to speak of.
pub(super) fn passed_by(folder: &[u8]) -> Option<&'static str> {
    const SNAPSHOTS: &str = "holds snapshots of file systems that are walked where they live";
    let (above, name) = match folder.iter().rposition(|b| *b == b'/') {
        Some(at) => {
            (folder.get(..at).unwrap_or_default(), folder.get(at + 1..).unwrap_or_default())
        }
        None => (&b""[..], folder),
    };
    match name {
        b"proc" | b"sys" | b"dev" | b"run" if name.len() == folder.len() => Some(""),
        b".snapshots" | b".zfs" => Some(SNAPSHOTS),
        b"containerd" | b"lxc" | b"lxd" | b"incus" | b"machines" if above == b"var/lib" => {
            Some(CONTAINERS)
        }
        b"common" if above == b"var/snap/lxd" => Some(CONTAINERS),
        b"volumes" => None,
        // Of the rest of the store its own folder tells.
        _ if told_of(above).is_some() => Some(""),
        _ => None,
    }
}

/// What is said of a directory that is entered in part: of what an engine stores, volumes alone are files of the server.
pub(super) fn told_of(folder: &[u8]) -> Option<&'static str> {
    let is_one = match folder.rsplit(|b| *b == b'/').next().unwrap_or_default() {
        b"docker" => folder == b"var/lib/docker" || folder.ends_with(b"/.local/share/docker"),
        b"storage" => {
            folder == b"var/lib/containers/storage"
                || folder.ends_with(b"/.local/share/containers/storage")
        }
        _ => false,
    };
    is_one.then_some(CONTAINERS)
}

/// Tells whether a folder lies in one that is passed by.
pub(super) fn is_passed_by(folder: &str) -> bool {
    let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
    ends.filter_map(|end| folder.get(..end)).any(|above| passed_by(above.as_bytes()).is_some())
}

/// The directories that are named when they are passed by, as far as their whole path is known beforehand.
pub(super) const NAMED_WHEN_THERE: [&str; 9] = [
    ".snapshots",
    "var/lib/docker",
    "var/lib/containerd",
    "var/lib/containers/storage",
    "var/lib/lxc",
    "var/lib/lxd",
    "var/lib/incus",
    "var/lib/machines",
    "var/snap/lxd/common",
];

/// The same as patterns of find(1), for a walk that is made elsewhere: what is not entered, what is named when it is met, and
/// what is named and entered in part.
pub(crate) const PRUNED: [&str; 12] = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/lib/docker/[!v]*",
    "/var/lib/docker/vfs",
    "/var/lib/containers/storage/[!v]*",
    "/var/lib/containers/storage/vfs*",
    "*/.local/share/docker/[!v]*",
    "*/.local/share/docker/vfs",
    "*/.local/share/containers/storage/[!v]*",
    "*/.local/share/containers/storage/vfs*",
];
pub(crate) const PRUNED_AND_NAMED: [&str; 8] = [
    "*/.snapshots",
    "*/.zfs",
    "/var/lib/containerd",
    "/var/lib/lxc",
    "/var/lib/lxd",
    "/var/lib/incus",
    "/var/lib/machines",
    "/var/snap/lxd/common",
];
pub(crate) const NAMED: [&str; 4] = [
    "/var/lib/docker",
    "/var/lib/containers/storage",
    "*/.local/share/containers/storage",
    "*/.local/share/docker",
];

/// Walks a root that can do no more than list its directories.
pub(super) fn by_lists(root: &(impl Root + ?Sized), wanted: &Wanted<'_>) -> Reading<Walked> {
    let mut walked = Walked::default();
    let mut ahead = vec![(String::new(), 0_usize)];
    while let Some((folder, depth)) = ahead.pop() {
        let entries = match root.list(&folder) {
            Reading::Found(entries) => entries,
            Reading::Absent => continue,
            Reading::Unknown(obstacle) => {
                walked.note(obstacle);
                continue;
            }
        };
        for entry in entries {
            walked.entries += 1;
            if walked.entries > MAX_WALKED {
                walked.end_early(folder.as_bytes(), "there are more than are looked at");
                return Reading::Found(walked.settle());
            }
            if entry.kind != EntryKind::Directory {
                walked.spot(wanted, folder.as_bytes(), entry.name.as_bytes());
                continue;
            }
            let slash = if folder.is_empty() { "" } else { "/" };
            let below = format!("{folder}{slash}{}", entry.name);
            match passed_by(below.as_bytes()) {
                Some(why) => walked.pass_by(below.as_bytes(), why),
                None if depth == MAX_DEPTH => {
                    walked.end_early(below.as_bytes(), "it lies too deep");
                }
                None => {
                    walked.tell_of(below.as_bytes());
                    ahead.push((below, depth + 1));
                }
            }
        }
    }
    Reading::Found(walked.settle())
}

/// Tells whether a path lies at or below a directory; both are written from `/`.
pub(crate) fn is_below(path: &str, folder: &str) -> bool {
    let mut path = components(path);
    components(folder).all(|name| path.next() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spotted(wanted: &[&str], folder: &str, name: &str) -> Vec<(String, usize)> {
        let mut walked = Walked::default();
        walked.spot(&Wanted::new(wanted), folder.as_bytes(), name.as_bytes());
        walked.spotted.into_iter().map(|s| (s.folder, s.tail)).collect()
    }

    #[test]
    fn a_file_is_known_by_the_end_of_its_path() {
        let wanted =
            ["wp-includes/version.php", "version.php", "*.dist-info/METADATA", "*.egg-info"];
        assert_eq!(
            spotted(&wanted, "var/www/wp-includes", "version.php"),
            [("/var/www".into(), 0), ("/var/www/wp-includes".into(), 1)]
        );
        assert_eq!(spotted(&wanted, "wp-includes", "version.php")[0], (String::new(), 0));
        assert_eq!(spotted(&wanted, "x-wp-includes", "version.php").len(), 1);
        assert_eq!(spotted(&wanted, "usr/moin.dist-info", "METADATA"), [("/usr".into(), 2)]);
        assert_eq!(spotted(&wanted, "usr/moin", "METADATA"), []);
        assert_eq!(spotted(&wanted, "usr/lib", "x-1.egg-info"), [("/usr/lib".into(), 3)]);
        assert_eq!(spotted(&wanted, "", "version.phx"), []);
    }

    #[test]
    fn what_inspectors_of_their_own_read_is_passed_by() {
        assert_eq!(passed_by(b"proc"), Some(""));
        assert!(passed_by(b"var/lib/lxc").is_some_and(|why| !why.is_empty()));
        for store in ["var/lib/docker", "home/a/.local/share/containers/storage"] {
            assert!(told_of(store.as_bytes()).is_some());
            for (folder, is_walked) in [("overlay2", false), ("vfs", false), ("volumes", true)] {
                let folder = format!("{store}/{folder}");
                assert_eq!(passed_by(folder.as_bytes()).is_none(), is_walked, "{folder}");
            }
            assert_eq!(passed_by(format!("{store}/volumes/blog").as_bytes()), None);
        }
        for walked in ["srv/proc", "srv/docker/x", "opt/x/var/lib/docker/x", "var/www"] {
            assert_eq!(passed_by(walked.as_bytes()), None, "{walked}");
        }
    }

    #[test]
    fn what_is_pruned_elsewhere_is_passed_by_here() {
        for (patterns, is_named) in [(&PRUNED[..], false), (&PRUNED_AND_NAMED, true)] {
            for pattern in patterns {
                let folder = pattern.replace("[!v]", "x").replace('*', "/srv/x");
                let folder =
                    folder.strip_suffix("/srv/x").unwrap_or(&folder).trim_start_matches('/');
                let why = passed_by(folder.as_bytes()).unwrap_or_else(|| panic!("{pattern}"));
                assert_eq!(!why.is_empty(), is_named, "{pattern}");
            }
        }
        for pattern in NAMED {
            let folder = pattern.replace('*', "srv/x");
            assert!(told_of(folder.trim_start_matches('/').as_bytes()).is_some(), "{pattern}");
        }
        for named in NAMED_WHEN_THERE.iter().filter(|named| !named.starts_with('.')) {
            let named = format!("/{named}");
            assert!(PRUNED_AND_NAMED.iter().chain(&NAMED).any(|p| *p == named), "{named}");
        }
    }

    #[test]
    fn below_is_told_by_whole_names() {
        assert!(is_below("/var/www/x", "/var/www/"));
        assert!(is_below("/var/www", "/var/www"));
        assert!(is_below("/x", "/"));
        assert!(!is_below("/var/www2", "/var/www"));
    }
}
