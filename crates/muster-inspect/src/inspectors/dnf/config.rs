//! How dnf and yum are configured: main settings, repositories and version locks
//! (dnf.conf(5), yum.conf(5), dnf-plugins-core's versionlock(8)).
//!
//! Variables such as `$releasever` are left as they are written. Of dnf5's drop-in folders and of `includepkgs` nothing is read.

use std::collections::BTreeMap;

use muster_core::fact::{Obstacle, Reading};

use crate::root::Root;

/// The main files; every one that is there counts, in this order.
pub(crate) const MAIN: &[&str] = &["/etc/yum.conf", "/etc/yum/yum.conf", "/etc/dnf/dnf.conf"];
/// Where repositories are defined (`reposdir`).
const FOLDERS: &[&str] = &["/etc/yum.repos.d", "/etc/yum/repos.d", "/etc/distro.repos.d"];
const LOCKS: &[&str] = &[
    "/etc/dnf/plugins/versionlock.list",
    "/etc/yum/pluginconf.d/versionlock.list",
    "/etc/dnf/versionlock.toml",
];
const MAX_FILE: u64 = 1 << 20;
/// How many repositories, exclusions and locks are kept of each.
const MAX_ENTRIES: usize = 2000;

/// A setting that keeps packages back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exclusion {
    pub(crate) pattern: String,
    pub(crate) file: String,
}

/// A repository as it is defined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) enabled: bool,
    /// Lower numbers win.
    pub(crate) priority: i64,
    pub(crate) excludes: Vec<Exclusion>,
    /// Whether its packages must be signed, where it says so itself.
    pub(crate) gpgcheck: Option<bool>,
    /// The address it names, without scheme, credentials and query.
    pub(crate) site: String,
}

/// A line of a lock file: a version that a package is held at, or (`!`) one that is never taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) pattern: String,
    pub(crate) never: bool,
    pub(crate) file: String,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) repositories: Vec<Repository>,
    pub(crate) excludes: Vec<Exclusion>,
    pub(crate) locks: Vec<Lock>,
    /// `gpgcheck` of the main section.
    pub(crate) gpgcheck: Option<bool>,
    pub(crate) obstacles: Vec<Obstacle>,
}

/// A section of an ini file.
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) values: BTreeMap<String, String>,
}

impl Section {
    /// Returns a switch as dnf reads it.
    pub(crate) fn switch(&self, key: &str) -> Option<bool> {
        match self.values.get(key)?.to_ascii_lowercase().as_str() {
            "1" | "yes" | "true" | "on" | "enabled" => Some(true),
            "0" | "no" | "false" | "off" | "disabled" => Some(false),
            _ => None,
        }
    }

    fn list<'a>(&'a self, keys: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let values = keys.iter().filter_map(|key| self.values.get(*key));
        values.flat_map(|value| value.split([' ', ',', '\t', '\n'])).filter(|word| !word.is_empty())
    }
}

/// Splits an ini file into its sections; indented lines continue a value.
pub(crate) fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut last_key = String::new();
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            sections.push(Section { name: name.to_owned(), values: BTreeMap::new() });
            last_key.clear();
            continue;
        }
        let Some(section) = sections.last_mut() else { continue };
        if line.starts_with([' ', '\t']) {
            if let Some(value) = section.values.get_mut(&last_key) {
                value.push(' ');
                value.push_str(bare);
            }
        } else if let Some((key, value)) = bare.split_once('=') {
            last_key = key.trim().to_ascii_lowercase();
            section.values.insert(last_key.clone(), value.trim().to_owned());
        }
    }
    sections
}

/// Reads everything that dnf and yum are told on this server.
pub(crate) fn read_config(root: &dyn Root) -> Config {
    let mut config = Config::default();
    for path in MAIN {
        let Some(text) = config.read(root, path) else { continue };
        for section in sections(&text) {
            if section.name == "main" {
                config.excludes.extend(exclusions(&section, path));
                config.gpgcheck = section.switch("gpgcheck").or(config.gpgcheck);
            } else {
                config.repositories.push(repository(&section, path));
            }
        }
    }
    for folder in FOLDERS {
        let names = match root.list(folder) {
            Reading::Found(entries) => entries,
            Reading::Absent => continue,
            Reading::Unknown(obstacle) => {
                config.obstacles.push(obstacle);
                continue;
            }
        };
        for entry in names.iter().filter(|entry| entry.name.ends_with(".repo")).take(MAX_ENTRIES) {
            let path = format!("{folder}/{}", entry.name);
            let Some(text) = config.read(root, &path) else { continue };
            config.repositories.extend(
                sections(&text).iter().filter(|s| s.name != "main").map(|s| repository(s, &path)),
            );
        }
    }
    for path in LOCKS {
        if let Some(text) = config.read(root, path) {
            config.locks.extend(locks(&text, path));
        }
    }
    config.repositories.truncate(MAX_ENTRIES);
    config.excludes.truncate(MAX_ENTRIES);
    config.locks.truncate(MAX_ENTRIES);
    config
}

impl Config {
    fn read(&mut self, root: &dyn Root, path: &str) -> Option<String> {
        match root.read(path, MAX_FILE) {
            Reading::Found(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Reading::Absent => None,
            Reading::Unknown(obstacle) => {
                self.obstacles.push(obstacle);
                None
            }
        }
    }
}

fn exclusions(section: &Section, file: &str) -> Vec<Exclusion> {
    let patterns = section.list(&["exclude", "excludepkgs"]);
    patterns
        .map(|pattern| Exclusion { pattern: pattern.to_owned(), file: file.to_owned() })
        .collect()
}

fn repository(section: &Section, file: &str) -> Repository {
    let address = ["baseurl", "metalink", "mirrorlist"]
        .into_iter()
        .find_map(|key| section.list(&[key]).next().map(site_of));
    Repository {
        id: section.name.clone(),
        name: section.values.get("name").cloned().unwrap_or_default(),
        file: file.to_owned(),
        enabled: section.switch("enabled").unwrap_or(true),
        priority: section.values.get("priority").and_then(|p| p.parse().ok()).unwrap_or(99),
        excludes: exclusions(section, file),
        gpgcheck: section.switch("gpgcheck"),
        site: address.unwrap_or_default(),
    }
}

/// Returns host and path of an address: no scheme, no credentials, no query, which may hold a token.
pub(crate) fn site_of(address: &str) -> String {
    let bare = address.split_once("://").map_or(address, |(_, rest)| rest);
    let bare = bare.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{host}/{path}").trim_end_matches('/').to_owned()
}

/// Reads a lock file: a pattern a line, or dnf5's `name = "…"` with its conditions, of which only `evr =` counts.
fn locks(text: &str, file: &str) -> Vec<Lock> {
    let lock = |pattern: String, never| Lock { pattern, never, file: file.to_owned() };
    if !file.ends_with(".toml") {
        let lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        return lines
            .map(|line| match line.strip_prefix('!') {
                Some(pattern) => lock(pattern.to_owned(), true),
                None => lock(line.to_owned(), false),
            })
            .collect();
    }
    let mut locks = Vec::new();
    let (mut name, mut key, mut comparator) = (String::new(), String::new(), String::new());
    for line in text.lines() {
        let Some((word, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches('"').to_owned();
        match word.trim() {
            "name" => name = value,
            "key" => key = value,
            "comparator" => comparator = value.trim_matches(['"', ' ']).to_owned(),
            "value" if key == "evr" && matches!(comparator.as_str(), "=" | "==") => {
                locks.push(lock(format!("{name}-{value}.*"), false));
            }
            _ => {}
        }
    }
    locks
}

/// Tells whether a text matches a pattern with `*`, `?` and `[…]` (glob(7)); in linear space, and in time of their product.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = text.get(t) {
        match one(&pattern, p, c) {
            Some(next) => (p, t) = (next, t + 1),
            None if pattern.get(p) == Some(&'*') => {
                star = Some((p, t));
                p += 1;
            }
            None => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
        }
    }
    pattern.get(p..).unwrap_or(&[]).iter().all(|c| *c == '*')
}

/// Matches one character, and returns where the pattern goes on.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '*' => None,
        '[' => {
            let length = pattern.get(at + 2..)?.iter().position(|c| *c == ']')? + 1;
            let set = pattern.get(at + 1..at + 1 + length)?;
            let (negated, set) = match set {
                ['!' | '^', rest @ ..] => (true, rest),
                _ => (false, set),
            };
            let ranges =
                set.windows(3).any(|w| matches!(w, [from, '-', to] if (*from..=*to).contains(&c)));
            ((set.contains(&c) || ranges) != negated).then_some(at + length + 2)
        }
        literal => (literal == c).then_some(at + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_shell_does() {
        for (pattern, text, expected) in [
            ("kernel*", "kernel-core", true),
            ("kernel*", "ckernel", false),
            ("*-devel", "glibc-devel", true),
            ("a?c", "abc", true),
            ("py[23]*", "py3-x", true),
            ("py[!23]*", "py3-x", false),
            ("[a-c]x", "bx", true),
            ("[", "x", false),
            ("a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn addresses_lose_what_is_secret() {
        assert_eq!(
            site_of("https://user:pass@repo.example.org/el9/os/?token=x"),
            "repo.example.org/el9/os"
        );
        assert_eq!(site_of("file:///srv/repo"), "/srv/repo");
    }

    #[test]
    fn repositories_are_read() {
        let text = "[base]\nname=Base\nbaseurl=https://a.example.org/x\n  https://b.example.org/x\nenabled=0\npriority=10\nexclude=kernel* php\ngpgcheck=no\n";
        let repository = repository(&sections(text)[0], "f");
        assert_eq!(
            (repository.enabled, repository.priority, repository.gpgcheck),
            (false, 10, Some(false))
        );
        assert_eq!(repository.site, "a.example.org/x");
        assert_eq!(
            repository.excludes.iter().map(|e| e.pattern.as_str()).collect::<Vec<_>>(),
            ["kernel*", "php"]
        );
    }

    #[test]
    fn locks_of_every_generation_are_read() {
        let old = locks("# why\nbash-0:4.4-1.*\n!nano-0:2-1.*\n", "versionlock.list");
        assert_eq!(
            old.iter().map(|l| (l.pattern.as_str(), l.never)).collect::<Vec<_>>(),
            [("bash-0:4.4-1.*", false), ("nano-0:2-1.*", true)]
        );
        let new = "[[packages]]\nname = \"bash\"\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"=\"\nvalue = \"5.2-1.fc40\"\n";
        assert_eq!(locks(new, "versionlock.toml")[0].pattern, "bash-5.2-1.fc40.*");
    }
}
