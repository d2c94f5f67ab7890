//! The files of services: texts of a root, and the few ways in which they write a key and its value.

use muster_core::fact::{Facts, Obstacle, Reading};

use crate::root::Root;

const MAX_FILE: u64 = 1 << 20;
/// How many files of one folder are read.
pub(super) const MAX_FILES: usize = 100;

/// The files of a root, and what stood in the way of one.
pub(super) struct Files<'r> {
    pub(super) root: &'r dyn Root,
    /// What is installed: some programs changed their defaults.
    pub(super) facts: &'r Facts,
    pub(super) obstacles: Vec<Obstacle>,
    /// Whether a file of the service at hand could not be read.
    is_hidden: bool,
}

impl<'r> Files<'r> {
    pub(super) fn new(root: &'r dyn Root, facts: &'r Facts) -> Self {
        Self { root, facts, obstacles: Vec::new(), is_hidden: false }
    }

    /// Reads a text; one that cannot be read is an obstacle.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        match self.root.read(path, MAX_FILE) {
            Reading::Found(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Reading::Absent => None,
            Reading::Unknown(obstacle) => {
                self.hide(&obstacle.what, &obstacle.why);
                None
            }
        }
    }

    /// Notes a file that may say how a service speaks, and could not be read.
    fn hide(&mut self, path: &str, why: &str) {
        let why = format!("{why}; whether the service speaks in clear is not known");
        self.obstacles.push(Obstacle::new(path, why));
        self.is_hidden = true;
    }

    /// Reads the files of a folder whose names have an end.
    pub(super) fn folder(&mut self, folder: &str, end: &str) -> Vec<(String, String)> {
        let entries = match self.root.list(folder) {
            Reading::Found(entries) => entries,
            Reading::Absent => return Vec::new(),
            Reading::Unknown(obstacle) => {
                self.hide(folder, &obstacle.why);
                return Vec::new();
            }
        };
        let names = entries.iter().map(|entry| &entry.name).filter(|name| name.ends_with(end));
        let mut found = Vec::new();
        for name in names.take(MAX_FILES) {
            let path = format!("{folder}/{name}");
            if let Some(text) = self.text(&path) {
                found.push((path, text));
            }
        }
        found
    }

    /// Returns the first of the files that is there.
    pub(super) fn first(&mut self, paths: &[&str]) -> Option<(String, String)> {
        paths.iter().find_map(|path| Some(((*path).to_owned(), self.text(path)?)))
    }

    /// Reads these files, in their order, as far as they are there.
    pub(super) fn all(&mut self, paths: &[&str]) -> Vec<(String, String)> {
        paths.iter().filter_map(|path| Some(((*path).to_owned(), self.text(path)?))).collect()
    }

    /// Tells whether a file of the service was hidden since this was asked last: then nothing is claimed of it.
    pub(super) fn take_hidden(&mut self) -> bool {
        std::mem::take(&mut self.is_hidden)
    }
}

/// Lines without comments, trimmed.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Returns the last value of a key, with whatever separates the two.
pub(super) fn last<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    every(text, key).last()
}

pub(super) fn every<'t>(text: &'t str, key: &str) -> impl Iterator<Item = &'t str> {
    lines(text).filter_map(move |line| value(line, key))
}

/// Returns the value on a line, if that is one of this key.
pub(super) fn value<'t>(line: &'t str, key: &str) -> Option<&'t str> {
    let head = line.get(..key.len()).filter(|head| head.eq_ignore_ascii_case(key))?;
    let rest = line.get(head.len()..)?;
    rest.starts_with(['=', ':', ' ', '\t']).then(|| {
        rest.trim_start_matches(['=', ':', ' ', '\t']).trim_matches(['"', '\'', ' ', '\t'])
    })
}

/// Returns the last value of a key among files, with the file.
pub(super) fn last_of<'t>(files: &'t [(String, String)], key: &str) -> Option<(&'t str, &'t str)> {
    files.iter().rev().find_map(|(path, text)| Some((path.as_str(), last(text, key)?)))
}

pub(super) fn is(value: Option<&str>, words: &[&str]) -> bool {
    value.is_some_and(|value| words.iter().any(|word| value.eq_ignore_ascii_case(word)))
}

pub(super) fn is_on(value: Option<&str>) -> bool {
    is(value, &["yes", "true", "1", "on", "t", "y"])
}

pub(super) fn is_off(value: Option<&str>) -> bool {
    is(value, &["no", "false", "0", "off", "f", "n"])
}

pub(super) fn words(value: Option<&str>) -> Vec<String> {
    let value = value.unwrap_or_default();
    value.split([',', ' ', '\t']).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// Parts an address from its port: `10.0.0.1:389`, `[::1]:389`, `:389`, `10.0.0.1`, `389`.
pub(super) fn parted(text: &str) -> (Option<String>, Option<u16>) {
    let named = |address: &str| {
        let address = address.trim_matches(['[', ']']);
        let address = if address == "*" { "0.0.0.0" } else { address };
        (!address.is_empty()).then(|| address.to_owned())
    };
    if let Ok(port) = text.parse() {
        return (None, Some(port));
    }
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (named(address), rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match text.split_once(':') {
        Some((address, port)) if !port.contains(':') => (named(address), port.parse().ok()),
        _ => (named(text), None),
    }
}

/// A line of a file that has blocks: the names of the blocks around it, its key, and the rest of it.
pub(super) struct Line {
    pub(super) within: Vec<String>,
    pub(super) key: String,
    pub(super) value: String,
}

impl Line {
    /// Tells whether one of the blocks around the line begins with a word.
    pub(super) fn is_within(&self, word: &str) -> bool {
        self.within.iter().any(|name| name.split_ascii_whitespace().next() == Some(word))
    }
}

/// How deep blocks may lie in each other.
const MAX_DEPTH: usize = 16;

/// Reads `name { key = value }`, as Dovecot, nginx and xinetd write it.
pub(super) fn braced(text: &str) -> Vec<Line> {
    let mut within: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for line in lines(text) {
        let line = line.split(" #").next().unwrap_or(line);
        let mut rest = line;
        let mut name = String::new();
        while let Some(at) = rest.find(['{', '}', ';']) {
            let (before, sign) = rest.split_at(at);
            let before = before.trim();
            rest = sign.get(1..).unwrap_or_default();
            match sign.as_bytes().first() {
                Some(b'{') if within.len() < MAX_DEPTH => {
                    within.push(if before.is_empty() {
                        std::mem::take(&mut name)
                    } else {
                        before.to_owned()
                    });
                }
                Some(b'}') => {
                    found.extend(keyed(&within, before));
                    within.pop();
                }
                _ => found.extend(keyed(&within, before)),
            }
        }
        found.extend(keyed(&within, rest.trim()));
    }
    found
}

/// Parts a key from its value, at the first sign between them.
fn keyed(within: &[String], text: &str) -> Option<Line> {
    let (key, value) = text.split_once(['=', ' ', '\t']).unwrap_or((text, ""));
    let value = value.trim_start_matches(['=', ' ', '\t']).trim_matches(['"', '\'', ' ', '\t']);
    (!key.is_empty()).then(|| Line {
        within: within.to_vec(),
        key: key.to_ascii_lowercase(),
        value: value.to_owned(),
    })
}

/// Reads `<Name arguments> Key value </Name>`, as ProFTPD and Apache write it.
pub(super) fn tagged(text: &str) -> Vec<Line> {
    let mut within: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for line in lines(text) {
        if line.starts_with("</") {
            within.pop();
        } else if let Some(name) = line.strip_prefix('<') {
            if within.len() < MAX_DEPTH {
                within.push(name.trim_end_matches('>').trim().to_ascii_lowercase());
            }
        } else {
            found.extend(keyed(&within, line));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_parted_from_its_port() {
        for (text, address, port) in [
            ("10.0.0.1:389", Some("10.0.0.1"), Some(389)),
            ("[::1]:389", Some("::1"), Some(389)),
            ("[::1]", Some("::1"), None),
            ("::1", Some("::1"), None),
            (":389", None, Some(389)),
            ("*:80", Some("0.0.0.0"), Some(80)),
            ("389", None, Some(389)),
            ("localhost", Some("localhost"), None),
            ("", None, None),
        ] {
            assert_eq!(parted(text), (address.map(str::to_owned), port), "{text}");
        }
    }

    #[test]
    fn lines_know_the_blocks_around_them() {
        let told = |lines: Vec<Line>| {
            let told =
                lines.iter().map(|l| format!("{}/{}={}", l.within.join("/"), l.key, l.value));
            told.collect::<Vec<_>>()
        };
        assert_eq!(
            told(braced(
                "a = 1\nservice imap-login {\n inet_listener imap { port = 0 }\n b=2\n}\nc 3;d 4;\n}\n}"
            )),
            [
                "/a=1",
                "service imap-login/inet_listener imap/port=0",
                "service imap-login/b=2",
                "/c=3",
                "/d=4"
            ]
        );
        assert_eq!(
            told(tagged(
                "Port 21\n<VirtualHost 10.0.0.1>\n<IfModule x>\nPort 2122\n</IfModule>\n</VirtualHost>\nA \"b\""
            )),
            ["/port=21", "virtualhost 10.0.0.1/ifmodule x/port=2122", "/a=b"]
        );
        braced(&"a {".repeat(1000));
        tagged(&"<a>\n".repeat(1000));
    }
}
