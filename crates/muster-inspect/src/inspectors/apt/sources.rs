//! The sources that apt is configured with, by sources.list(5), and the names that apt gives to the lists of each.
//!
//! It does not know `cdrom:` sources: their lists have names of their own.

use muster_core::fact::{Obstacle, Reading};

use super::conf::parts;
use super::deb822::{stanzas, value};
use crate::root::Root;

/// The longest file of sources that is read.
const LONGEST: u64 = 4 << 20;

/// The most sources that are read.
const MOST: usize = 4096;

/// One binary source: an archive, a suite and a component of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    /// Where the archive is, with `/` at its end.
    pub(super) uri: String,
    /// The suite; a path that ends in `/` for a flat archive.
    pub(super) suite: String,
    /// The component; empty for a flat archive.
    pub(super) component: String,
    /// The only architectures asked for; empty: those of the machine.
    pub(super) architectures: Vec<String>,
    /// Architectures asked for besides.
    pub(super) more: Vec<String>,
    /// Architectures left out.
    pub(super) fewer: Vec<String>,
    /// The option that lets it be used without a signature.
    pub(super) unsigned: Option<&'static str>,
    /// The file that names it.
    pub(super) file: String,
}

impl Source {
    /// Returns host and path of the archive, without scheme and without credentials.
    pub(super) fn site(&self) -> String {
        site(&self.uri).trim_end_matches('/').to_owned()
    }

    /// Returns the host, as pins name it.
    pub(super) fn host(&self) -> String {
        let Some(rest) = after_scheme(&self.uri).strip_prefix("//") else { return String::new() };
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        host.split(':').next().unwrap_or_default().to_owned()
    }

    /// Returns the path of the suite below the archive.
    fn directory(&self) -> String {
        if !self.suite.ends_with('/') {
            return format!("{}dists/{}/", self.uri, self.suite);
        }
        if self.suite == "/" { self.uri.clone() } else { format!("{}{}", self.uri, self.suite) }
    }

    /// Returns the start of the names of all lists of the suite.
    pub(super) fn suite_list(&self) -> String {
        list_name(&self.directory())
    }

    /// Returns the path of an index below the suite, as its Release file names it.
    pub(super) fn index_path(&self, architecture: &str) -> String {
        if self.suite.ends_with('/') {
            return "Packages".to_owned();
        }
        format!("{}/binary-{architecture}/Packages", self.component)
    }

    /// Returns the name of an index in the directory of lists.
    pub(super) fn index_list(&self, architecture: &str) -> String {
        list_name(&format!("{}{}", self.directory(), self.index_path(architecture)))
    }

    /// Returns the architectures whose indices apt reads.
    pub(super) fn architectures(&self, machine: &[String]) -> Vec<String> {
        let mut found = if self.architectures.is_empty() {
            machine.to_vec()
        } else {
            self.architectures.clone()
        };
        found.extend(self.more.iter().cloned());
        found.retain(|a| !self.fewer.contains(a));
        let mut seen = Vec::new();
        for architecture in found {
            if !seen.contains(&architecture) {
                seen.push(architecture);
            }
        }
        seen
    }

    fn option(&mut self, name: &str, text: &str) {
        let list =
            || text.split([',', ' ', '\n', '\t']).filter(|v| !v.is_empty()).map(str::to_owned);
        match name {
            "arch" | "architectures" => self.architectures = list().collect(),
            "arch+" | "architectures-add" => self.more = list().collect(),
            "arch-" | "architectures-remove" => self.fewer = list().collect(),
            "trusted" if is_yes(text) => self.unsigned = Some("trusted"),
            "allow-insecure" if is_yes(text) => self.unsigned = Some("allow-insecure"),
            _ => {}
        }
    }
}

fn is_yes(text: &str) -> bool {
    ["yes", "true", "with", "on", "enable", "1"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn after_scheme(uri: &str) -> &str {
    uri.split_once(':').map_or(uri, |(_, rest)| rest)
}

/// Returns a URI without its scheme and without who logs in.
fn site(uri: &str) -> String {
    let rest = after_scheme(uri);
    let Some(rest) = rest.strip_prefix("//") else { return rest.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{}{path}", host.trim_start_matches('[').replace(']', ""))
}

/// Returns the name under which apt keeps what came from a URI.
fn list_name(uri: &str) -> String {
    let mut name = String::new();
    for b in site(uri).bytes() {
        match b {
            b'/' => name.push('_'),
            0..=0x20
            | 0x7f..
            | b'\\'
            | b'|'
            | b'{'
            | b'}'
            | b'['
            | b']'
            | b'<'
            | b'>'
            | b'"'
            | b'^'
            | b'~'
            | b'_'
            | b'='
            | b'!'
            | b'@'
            | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'*' => {
                name.push_str(&format!("%{b:02x}"));
            }
            _ => name.push(char::from(b)),
        }
    }
    name
}

/// Reads every configured source, in apt's order.
pub(super) fn read(root: &dyn Root, native: &str, obstacles: &mut Vec<Obstacle>) -> Vec<Source> {
    let mut files = vec!["etc/apt/sources.list".to_owned()];
    files.extend(parts(root, "etc/apt/sources.list.d", &[".list", ".sources"], false));
    let mut found = Vec::new();
    for file in files {
        let bytes = match root.read(&file, LONGEST) {
            Reading::Found(bytes) => bytes,
            Reading::Absent => continue,
            Reading::Unknown(obstacle) => {
                obstacles.push(obstacle);
                continue;
            }
        };
        let text = String::from_utf8_lossy(&bytes).replace("$(ARCH)", native);
        if file.ends_with(".sources") {
            found.extend(from_stanzas(&text, &file));
        } else {
            found.extend(text.lines().flat_map(|line| from_line(line, &file)));
        }
        if found.len() > MOST {
            found.truncate(MOST);
            obstacles.push(Obstacle::new(
                file,
                format!("names more than the {MOST} sources that are read"),
            ));
            break;
        }
    }
    found.retain(|source| !source.uri.starts_with("cdrom:"));
    found
}

fn from_line(line: &str, file: &str) -> Vec<Source> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let Some(rest) = line.strip_prefix("deb").filter(|r| r.starts_with([' ', '\t'])) else {
        return Vec::new();
    };
    let mut source = Source { file: file.to_owned(), ..Source::default() };
    let mut rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('[') {
        let Some((options, after)) = inside.split_once(']') else { return Vec::new() };
        for option in options.split_ascii_whitespace() {
            if let Some((name, text)) = option.split_once('=') {
                source.option(name, text.trim_matches('"'));
            }
        }
        rest = after;
    }
    let mut words = rest.split_ascii_whitespace().map(|word| word.trim_matches('"'));
    let (Some(uri), Some(suite)) = (words.next(), words.next()) else { return Vec::new() };
    each_component(&source, uri, suite, words.collect())
}

fn from_stanzas(text: &str, file: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for stanza in stanzas(text) {
        let words = |name| value(&stanza, name).unwrap_or_default().split_ascii_whitespace();
        let off = value(&stanza, "enabled").is_some_and(|text| {
            ["no", "false", "without", "off", "disable", "0"]
                .iter()
                .any(|word| text.eq_ignore_ascii_case(word))
        });
        if off || !words("types").any(|kind| kind == "deb") {
            continue;
        }
        let mut source = Source { file: file.to_owned(), ..Source::default() };
        for (name, text) in &stanza {
            source.option(name, text);
        }
        for uri in words("uris") {
            for suite in words("suites") {
                found.extend(each_component(&source, uri, suite, words("components").collect()));
            }
        }
    }
    found
}

fn each_component(source: &Source, uri: &str, suite: &str, components: Vec<&str>) -> Vec<Source> {
    let uri = if uri.ends_with('/') { uri.to_owned() } else { format!("{uri}/") };
    let flat = suite.ends_with('/');
    let components = if flat { vec![""] } else { components };
    components
        .into_iter()
        .map(|component| Source {
            uri: uri.clone(),
            suite: suite.to_owned(),
            component: component.to_owned(),
            ..source.clone()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Source, from_line, from_stanzas};

    fn names(source: &Source) -> (String, String) {
        (source.suite_list(), source.index_list("amd64"))
    }

    #[test]
    fn a_line_names_one_source_a_component() {
        let found = from_line(
            "deb [ arch=amd64,i386 signed-by=/k.gpg trusted=yes ] https://user:secret@deb.example.org:8080/debian/ bookworm-security main non-free # c",
            "etc/apt/sources.list",
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].component, "non-free");
        assert_eq!(found[0].architectures, ["amd64", "i386"]);
        assert_eq!(found[0].unsigned, Some("trusted"));
        assert_eq!(found[0].site(), "deb.example.org:8080/debian");
        assert_eq!(found[0].host(), "deb.example.org");
        assert_eq!(
            names(&found[0]).1,
            "deb.example.org:8080_debian_dists_bookworm-security_main_binary-amd64_Packages"
        );
        assert!(from_line("deb-src http://a b c", "f").is_empty());
        assert!(from_line("# deb http://a b c", "f").is_empty());
    }

    #[test]
    fn names_of_lists_are_escaped_as_apt_does() {
        let name = |line: &str| names(&from_line(line, "f")[0]);
        assert_eq!(name("deb file:/srv/my_repo ./").1, "_srv_my%5frepo_._Packages");
        assert_eq!(name("deb http://h/~u stable/updates main").0, "h_%7eu_dists_stable_updates_");
        assert_eq!(name("deb http://h/x /").1, "h_x_Packages");
        assert_eq!(name("deb http://[::1]:80/x s m").0, "::1:80_x_dists_s_");
    }

    #[test]
    fn a_stanza_names_every_combination_unless_it_is_off() {
        let text = "Types: deb deb-src\nURIs: http://a http://b/\nSuites: s t\nComponents: m\nArchitectures-Add: i386\n\nEnabled: no\nTypes: deb\nURIs: http://c\nSuites: s\nComponents: m\n";
        let found = from_stanzas(text, "f");
        assert_eq!(found.len(), 4);
        assert_eq!(found[0].architectures(&["amd64".into()]), ["amd64", "i386"]);
    }
}
