//! Which version apt prefers, by apt_preferences(5) and `APT::Default-Release`.
//!
//! Pins that name packages by a regular expression are not applied: they become an obstacle.

use muster_core::fact::{Obstacle, Reading};

use super::conf::{Conf, parts};
use super::deb822::{stanzas, value};
use crate::root::Root;

/// The longest file of preferences that is read.
const LONGEST: u64 = 1 << 20;

/// The most pins that are read.
const MOST: usize = 10_000;

/// `Pin-Priority: never`.
const NEVER: i32 = i32::MIN;

/// What a pin can match of an index.
#[derive(Clone, Debug, Default)]
pub(super) struct Described {
    pub(super) suite: String,
    pub(super) codename: String,
    pub(super) origin: String,
    pub(super) label: String,
    pub(super) version: String,
    pub(super) component: String,
    pub(super) architecture: String,
    pub(super) host: String,
    /// The priority that the archive asks for by itself.
    pub(super) by_default: i32,
}

/// What a pin can match of a version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offered<'a> {
    pub(super) name: &'a str,
    pub(super) architecture: &'a str,
    pub(super) version: &'a str,
    pub(super) source: &'a str,
    pub(super) source_version: &'a str,
    /// The indices it stands in.
    pub(super) indices: &'a [usize],
    /// Whether it is the installed one.
    pub(super) installed: bool,
}

#[derive(Clone, Debug)]
enum Match {
    Version(String),
    SourceVersion(String),
    Release(Vec<(char, String)>),
    Host(String),
}

#[derive(Clone, Debug)]
struct Pin {
    /// A name or a pattern, and the architecture it is for; nothing: for whole indices.
    package: Option<Named>,
    matches: Match,
    priority: i32,
    file: String,
}

#[derive(Clone, Debug)]
struct Named {
    pattern: String,
    architecture: String,
    source: bool,
}

/// Every preference of the machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Pins {
    pins: Vec<Pin>,
    native: String,
    /// The priority of each index.
    indices: Vec<i32>,
}

impl Pins {
    /// Reads the preferences of a root, and settles the priority of each index.
    pub(super) fn read(
        root: &dyn Root,
        conf: &Conf,
        native: &str,
        indices: &[Described],
        obstacles: &mut Vec<Obstacle>,
    ) -> Self {
        let mut pins = Self { native: native.to_owned(), ..Self::default() };
        if let Some(release) = conf.get("APT::Default-Release").filter(|text| !text.is_empty()) {
            let matches = Match::Release(terms(release));
            let file = conf.file_of("APT::Default-Release").unwrap_or_default().to_owned();
            pins.pins.push(Pin { package: None, matches, priority: 990, file });
        }
        let mut files = vec!["etc/apt/preferences".to_owned()];
        files.extend(parts(root, "etc/apt/preferences.d", &[".pref"], true));
        for file in files {
            match root.read(&file, LONGEST) {
                Reading::Found(bytes) => {
                    pins.parse(&String::from_utf8_lossy(&bytes), &file, obstacles);
                }
                Reading::Absent => {}
                Reading::Unknown(obstacle) => obstacles.push(obstacle),
            }
        }
        pins.settle(indices);
        pins
    }

    /// Returns the preferences of a machine where nobody stated any.
    pub(super) fn none(indices: &[Described]) -> Self {
        let mut pins = Self::default();
        pins.settle(indices);
        pins
    }

    fn parse(&mut self, text: &str, file: &str, obstacles: &mut Vec<Obstacle>) {
        for stanza in stanzas(text) {
            let (Some(packages), Some(pin)) = (value(&stanza, "package"), value(&stanza, "pin"))
            else {
                continue;
            };
            let (kind, rest) = pin.split_once(char::is_whitespace).unwrap_or((pin, ""));
            let rest = rest.trim().to_owned();
            let matches = match kind.to_ascii_lowercase().as_str() {
                "version" => Match::Version(rest),
                "source-version" => Match::SourceVersion(rest),
                "release" => Match::Release(terms(&rest)),
                "origin" => Match::Host(rest.trim_matches('"').to_owned()),
                _ => continue,
            };
            let priority = match value(&stanza, "pin-priority") {
                Some("never") => NEVER,
                Some(text) => match text.parse::<i16>() {
                    Ok(priority) if priority != 0 => i32::from(priority),
                    _ => return,
                },
                None => return,
            };
            for word in packages.split_ascii_whitespace() {
                if self.pins.len() >= MOST {
                    obstacles.push(Obstacle::new(
                        file,
                        format!("states more than the {MOST} pins that are read"),
                    ));
                    return;
                }
                if word.starts_with('/') && word.ends_with('/') {
                    obstacles.push(Obstacle::new(
                        file,
                        format!("pins packages by the regular expression {word}, which is not applied; name them or use * instead"),
                    ));
                    continue;
                }
                let package = (word != "*").then(|| self.named(word));
                let pin =
                    Pin { package, matches: matches.clone(), priority, file: file.to_owned() };
                self.pins.push(pin);
            }
        }
    }

    fn named(&self, word: &str) -> Named {
        let (source, word) = match word.strip_prefix("src:") {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let (pattern, architecture) = word.rsplit_once(':').unwrap_or((word, &self.native));
        let architecture = if architecture == "native" { &self.native } else { architecture };
        Named { pattern: pattern.to_owned(), architecture: architecture.to_owned(), source }
    }

    fn settle(&mut self, indices: &[Described]) {
        let mut settled = Vec::with_capacity(indices.len());
        for index in indices {
            let mut priority = None;
            for pin in self.pins.iter().filter(|pin| pin.package.is_none()) {
                let first = priority.is_none() || pin.priority == NEVER;
                if first && matches_index(&pin.matches, index) {
                    priority = Some(pin.priority);
                }
            }
            settled.push(priority.unwrap_or(index.by_default));
        }
        self.indices = settled;
    }

    /// Returns the priority of a version, as apt's policy reckons it.
    pub(super) fn priority(&self, offered: &Offered<'_>, indices: &[Described]) -> i32 {
        let of = |index: &usize| self.indices.get(*index).copied().unwrap_or(0);
        if let Some(pin) = self.pin_of(offered, indices)
            && (offered.installed || offered.indices.iter().any(|index| of(index) != NEVER))
        {
            return pin.priority;
        }
        // The status file counts for the installed version only.
        let installed = offered.installed.then_some(self.status_priority());
        offered.indices.iter().map(of).chain(installed).max().unwrap_or(0)
    }

    /// Returns the priority of dpkg's status file, whose archive is called `now`.
    fn status_priority(&self) -> i32 {
        let now = |pin: &&Pin| pin.package.is_none() && matches_status(&pin.matches);
        self.pins.iter().find(now).map_or(100, |pin| pin.priority)
    }

    /// Returns the file and the priority of the pin that decides for a version.
    pub(super) fn why(&self, offered: &Offered<'_>, indices: &[Described]) -> Option<(&str, i32)> {
        let by_name = self.pin_of(offered, indices);
        let by_index = || {
            let matching = |pin: &&Pin| {
                let described = offered.indices.iter().filter_map(|index| indices.get(*index));
                pin.package.is_none()
                    && described.into_iter().any(|i| matches_index(&pin.matches, i))
            };
            self.pins.iter().find(matching)
        };
        by_name.or_else(by_index).map(|pin| (pin.file.as_str(), pin.priority))
    }

    fn pin_of(&self, offered: &Offered<'_>, indices: &[Described]) -> Option<&Pin> {
        self.pins.iter().find(|pin| {
            let Some(named) = &pin.package else { return false };
            let name = if named.source { offered.source } else { offered.name };
            (named.architecture == "any" || named.architecture == offered.architecture)
                && if is_glob(&named.pattern) {
                    glob(&named.pattern, name)
                } else {
                    named.pattern == name
                }
                && match &pin.matches {
                    Match::Version(text) => matches_version(text, offered.version),
                    Match::SourceVersion(text) => matches_version(text, offered.source_version),
                    matches => {
                        let mut found =
                            offered.indices.iter().filter_map(|index| indices.get(*index));
                        found.any(|index| matches_index(matches, index))
                            || offered.installed && matches_status(matches)
                    }
                }
        })
    }
}

/// Tells whether a pin matches what stands in dpkg's status file only.
fn matches_status(matches: &Match) -> bool {
    let Match::Release(terms) = matches else { return false };
    !terms.is_empty()
        && terms.iter().all(|(key, text)| matches!(key, 'a' | '*' | 'r') && glob(text, "now"))
}

/// Cuts `a=stable,l=Debian` into its terms; a lone word is a suite, a code name or a version.
fn terms(text: &str) -> Vec<(char, String)> {
    let text = text.trim();
    if text == "*" {
        return vec![('*', "*".to_owned())];
    }
    if !text.contains('=') {
        let key = if text.starts_with(|c: char| c.is_ascii_digit()) { 'v' } else { 'r' };
        return if text.is_empty() { Vec::new() } else { vec![(key, text.to_owned())] };
    }
    text.split(',')
        .filter_map(|term| {
            let (key, value) = term.trim().split_once('=')?;
            let mut key = key.chars();
            match (key.next().map(|c| c.to_ascii_lowercase()), key.next()) {
                (Some(key), None) if !value.is_empty() => Some((key, value.to_owned())),
                _ => None,
            }
        })
        .collect()
}

fn matches_index(matches: &Match, index: &Described) -> bool {
    match matches {
        Match::Host(host) => glob(host, &index.host),
        Match::Release(terms) => {
            let known = terms.iter().filter(|(key, _)| "*ranvolcb".contains(*key)).count();
            known > 0
                && terms.iter().all(|(key, text)| match key {
                    'r' => glob(text, &index.suite) || glob(text, &index.codename),
                    'a' => glob(text, &index.suite),
                    'n' => glob(text, &index.codename),
                    'v' => matches_version(text, &index.version),
                    'o' => glob(text, &index.origin),
                    'l' => glob(text, &index.label),
                    'c' => glob(text, &index.component),
                    'b' => glob(text, &index.architecture),
                    _ => true,
                })
        }
        Match::Version(_) | Match::SourceVersion(_) => false,
    }
}

fn matches_version(text: &str, version: &str) -> bool {
    glob(text, version)
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Tells whether a name fits a pattern of fnmatch(3), letters of either case alike; the work is bounded by the product of the lengths.
pub(super) fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.to_lowercase().chars().collect(), name.to_lowercase().chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = name.get(n) {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => set(pattern.get(p..).unwrap_or_default(), *c),
            Some('\\') if pattern.get(p + 1) == Some(c) => Some(2),
            Some(literal) if literal == c => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(step), _) => {
                p += step;
                n += 1;
            }
            (None, Some((at, from))) => {
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// Returns the length of a set `[a-z]` when the letter is in it.
fn set(pattern: &[char], letter: char) -> Option<usize> {
    let Some(close) = pattern.iter().skip(2).position(|c| *c == ']').map(|at| at + 2) else {
        return (letter == '[').then_some(1);
    };
    let inside = pattern.get(1..close)?;
    let (negated, inside) = match inside.split_first() {
        Some(('!' | '^', rest)) => (true, rest),
        _ => (false, inside),
    };
    let mut found = false;
    let mut rest = inside;
    while let Some((first, after)) = rest.split_first() {
        match after {
            ['-', last, beyond @ ..] => {
                found |= (*first..=*last).contains(&letter);
                rest = beyond;
            }
            _ => {
                found |= *first == letter;
                rest = after;
            }
        }
    }
    (found != negated).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::{Described, Offered, Pins, glob};

    fn pins(text: &str, indices: &[Described]) -> Pins {
        let mut pins = Pins { native: "amd64".into(), ..Pins::default() };
        pins.parse(text, "etc/apt/preferences", &mut Vec::new());
        pins.settle(indices);
        pins
    }

    fn stable() -> Described {
        Described {
            suite: "stable".into(),
            codename: "bookworm".into(),
            origin: "Debian".into(),
            label: "Debian".into(),
            version: "12.15".into(),
            component: "main".into(),
            architecture: "amd64".into(),
            host: "mirror.example.org".into(),
            by_default: 500,
        }
    }

    fn curl() -> Offered<'static> {
        Offered {
            name: "libcurl4",
            architecture: "amd64",
            version: "7.88.1-10",
            source: "curl",
            source_version: "7.88.1-10",
            indices: &[0],
            installed: false,
        }
    }

    #[test]
    fn each_form_of_pin_matches_what_it_names() {
        let cases = [
            ("Package: libcurl4\nPin: version 7.88*\nPin-Priority: 1001", 1001),
            ("Package: libcurl4\nPin: version 7.74*\nPin-Priority: 1001", 500),
            ("Package: libcurl?\nPin: release n=bookworm\nPin-Priority: -1", -1),
            ("Package: src:curl\nPin: release o=Debian,l=Debian\nPin-Priority: 7", 7),
            ("Package: libcurl4:i386\nPin: release o=Debian\nPin-Priority: 7", 500),
            ("Package: libcurl4:any\nPin: release o=Debian\nPin-Priority: 7", 7),
            ("Package: *\nPin: origin \"mirror.example.org\"\nPin-Priority: 9", 9),
            ("Package: *\nPin: release a=testing\nPin-Priority: 9", 500),
            ("Package: *\nPin: release stable\nPin-Priority: 9", 9),
            ("Package: *\nPin: release v=12*, c=main\nPin-Priority: 9", 9),
            ("# c\nExplanation: x\nPackage: a\n libcurl4\nPin: release *\nPin-Priority: 9", 9),
            (
                "Package: *\nPin: release n=bookworm\nPin-Priority: 8\n\nPackage: *\nPin: release o=Debian\nPin-Priority: 9",
                8,
            ),
            (
                "Package: *\nPin: release n=bookworm\nPin-Priority: 8\n\nPackage: *\nPin: release o=Debian\nPin-Priority: never",
                i32::MIN,
            ),
        ];
        for (text, expected) in cases {
            let indices = [stable()];
            assert_eq!(pins(text, &indices).priority(&curl(), &indices), expected, "{text}");
        }
    }

    #[test]
    fn patterns_fit_as_a_shell_would_have_it() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("lib[a-c]?1", "libbx1", true),
            ("lib[!a-c]1", "libb1", false),
            ("[", "[", true),
            ("A", "a", true),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
        }
    }
}
