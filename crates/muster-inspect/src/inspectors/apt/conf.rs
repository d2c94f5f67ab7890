//! apt's configuration, by apt.conf(5): scopes, lists, comments, `#clear`.
//!
//! Read in apt's order: `apt.conf.d` by name, then `apt.conf`. It does not follow `#include`, and leaves out what
//! applies to one program only (`Binary::`).

use muster_core::fact::Reading;

use crate::root::{EntryKind, Root};

/// The longest file of configuration that is read.
const LONGEST: u64 = 1 << 20;

/// How deep scopes may lie in one another.
const DEEPEST: usize = 64;

/// What apt is told by its configuration files.
#[derive(Clone, Debug, Default)]
pub(in crate::inspectors) struct Conf {
    /// Names in lower case with their values in the order of their setting; a list's name ends in `::`.
    settings: Vec<(String, String)>,
    /// The files, each with how many settings there were once it was read.
    files: Vec<(String, usize)>,
}

impl Conf {
    /// Reads the configuration of a root.
    pub(in crate::inspectors) fn read(root: &dyn Root) -> Self {
        let mut conf = Self::default();
        for path in parts(root, "etc/apt/apt.conf.d", &[".conf"], true) {
            conf.read_file(root, &path);
        }
        conf.read_file(root, "etc/apt/apt.conf");
        conf
    }

    fn read_file(&mut self, root: &dyn Root, path: &str) {
        if let Reading::Found(bytes) = root.read(path, LONGEST) {
            self.parse(&String::from_utf8_lossy(&bytes));
            self.files.push((path.to_owned(), self.settings.len()));
        }
    }

    /// Returns the file that a setting has its value from.
    pub(in crate::inspectors) fn file_of(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let at = self.settings.iter().rposition(|(n, _)| *n == name)?;
        self.files.iter().find(|(_, until)| at < *until).map(|(file, _)| file.as_str())
    }

    /// Returns the value of a setting.
    pub(in crate::inspectors) fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        self.settings.iter().rev().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    /// Returns a setting as yes or no, by apt's words for them.
    pub(in crate::inspectors) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.to_ascii_lowercase().as_str() {
            "no" | "false" | "without" | "off" | "disable" | "0" => Some(false),
            "yes" | "true" | "with" | "on" | "enable" | "1" => Some(true),
            other => other.parse::<i64>().ok().map(|number| number != 0),
        }
    }

    /// Returns the values of a list; a plain value is a list divided by commas.
    pub(in crate::inspectors) fn list(&self, name: &str) -> Vec<&str> {
        let prefix = format!("{}::", name.to_ascii_lowercase());
        let found: Vec<&str> = self
            .settings
            .iter()
            .filter(|(n, _)| n.strip_prefix(&prefix).is_some_and(|rest| !rest.contains("::")))
            .map(|(_, value)| value.as_str())
            .collect();
        if !found.is_empty() {
            return found;
        }
        self.get(name)
            .map(|value| value.split(',').map(str::trim).filter(|v| !v.is_empty()).collect())
            .unwrap_or_default()
    }

    /// Reads the text of one file; what is not understood is left out.
    fn parse(&mut self, text: &str) {
        let mut scopes: Vec<String> = Vec::new();
        let mut words: Vec<String> = Vec::new();
        for token in tokens(text) {
            match token {
                Token::Word(word) => words.push(word),
                Token::Open => {
                    if scopes.len() >= DEEPEST {
                        return;
                    }
                    let scope = std::mem::take(&mut words).join("::");
                    scopes.push(scope);
                }
                Token::End => self.set(&scopes, &mut words),
                Token::Close => {
                    self.set(&scopes, &mut words);
                    scopes.pop();
                }
            }
        }
    }

    /// Applies one statement.
    fn set(&mut self, scopes: &[String], words: &mut Vec<String>) {
        let mut words = words.drain(..);
        let (first, second) = (words.next(), words.next());
        let scope = scopes.join("::");
        let (tag, value) = match (first, second) {
            (None, _) => return,
            (Some(name), Some(value)) if name.eq_ignore_ascii_case("#clear") => {
                self.clear(&value);
                return;
            }
            (Some(name), _) if name.starts_with('#') => return,
            (Some(name), Some(value)) => (name, value),
            // A lone word is an entry of the list that is open, or outside any scope nothing.
            (Some(value), None) if !scope.is_empty() => (String::new(), value),
            (Some(_), None) => return,
        };
        let name = if scope.is_empty() { tag } else { format!("{scope}::{tag}") };
        self.settings.push((name.to_ascii_lowercase(), value));
    }

    fn clear(&mut self, name: &str) {
        let name = name.trim_end_matches("::").to_ascii_lowercase();
        let below = format!("{name}::");
        let gone = |(n, _): &(String, String)| *n == name || n.starts_with(&below);
        for (_, until) in &mut self.files {
            *until -= self.settings.iter().take(*until).filter(|s| gone(s)).count();
        }
        self.settings.retain(|s| !gone(s));
    }
}

enum Token {
    Word(String),
    Open,
    Close,
    End,
}

/// Cuts a text into words and signs, comments left out.
fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let directive = ["#clear", "#include", "#x-apt-configure-index"]
            .iter()
            .any(|name| rest.get(..name.len()).is_some_and(|r| r.eq_ignore_ascii_case(name)));
        rest = match c {
            '{' => push(&mut found, Token::Open, after),
            '}' => push(&mut found, Token::Close, after),
            ';' => push(&mut found, Token::End, after),
            '"' => {
                let (word, beyond) = after.split_once('"').unwrap_or((after, ""));
                push(&mut found, Token::Word(word.to_owned()), beyond)
            }
            '#' if !directive => after.split_once('\n').map_or("", |(_, beyond)| beyond),
            '/' if after.starts_with('/') => {
                after.split_once('\n').map_or("", |(_, beyond)| beyond)
            }
            '/' if after.starts_with('*') => {
                after.split_once("*/").map_or("", |(_, beyond)| beyond)
            }
            c if c.is_whitespace() => after,
            _ => {
                let end = after
                    .find(|c: char| c.is_whitespace() || "{};\"".contains(c))
                    .map_or(rest.len(), |at| at + c.len_utf8());
                let (word, beyond) = rest.split_at(end);
                push(&mut found, Token::Word(word.to_owned()), beyond)
            }
        };
    }
    found
}

fn push<'a>(found: &mut Vec<Token>, token: Token, rest: &'a str) -> &'a str {
    found.push(token);
    rest
}

/// Returns the files of a `.d` directory that apt would read, in its order: plain names with one of the endings.
pub(in crate::inspectors) fn parts(
    root: &dyn Root,
    directory: &str,
    endings: &[&str],
    or_none: bool,
) -> Vec<String> {
    let Reading::Found(entries) = root.list(directory) else { return Vec::new() };
    let mut found: Vec<String> = entries
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Link))
        .map(|entry| entry.name.as_str())
        .filter(|name| {
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
            let ending = endings.iter().any(|ending| name.ends_with(ending));
            plain && !name.starts_with('.') && (ending || or_none && !name.contains('.'))
        })
        .map(|name| format!("{directory}/{name}"))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::Conf;

    fn conf(text: &str) -> Conf {
        let mut conf = Conf::default();
        conf.parse(text);
        conf
    }

    #[test]
    fn scopes_lists_and_comments_are_understood() {
        let conf = conf(
            "// one\nAPT::Periodic::Update-Package-Lists \"1\";\n/* two\n lines */ APT { Architectures { \"amd64\"; \"i386\"; };\n  Default-Release \"bookworm\"; # three\n};\nUnattended-Upgrade::Origins-Pattern:: \"o=a, b\";\nDPkg { \"x { y\"; }",
        );
        assert_eq!(conf.flag("apt::periodic::update-package-lists"), Some(true));
        assert_eq!(conf.list("APT::Architectures"), ["amd64", "i386"]);
        assert_eq!(conf.get("APT::Default-Release"), Some("bookworm"));
        assert_eq!(conf.list("Unattended-Upgrade::Origins-Pattern"), ["o=a, b"]);
        assert_eq!(conf.list("DPkg"), ["x { y"]);
    }

    #[test]
    fn the_last_value_counts_and_clear_forgets() {
        let conf = conf(
            "A::B \"1\"; A::B \"2\"; L { \"x\"; }; #clear L; L:: \"y\"; C \"a, b\"; T:: url-http;",
        );
        assert_eq!(conf.get("a::b"), Some("2"));
        assert_eq!(conf.list("l"), ["y"]);
        assert_eq!(conf.list("c"), ["a", "b"]);
    }

    #[test]
    fn broken_text_ends() {
        for text in ["{{{{", "}}};;\"", "A { B \"1\"", "/* no end", &"a {".repeat(10_000)] {
            drop(conf(text));
        }
    }
}
