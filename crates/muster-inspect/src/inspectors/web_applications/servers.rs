//! What web servers serve, by their own configuration: Apache httpd (its manual, "Configuration Files"), nginx (its
//! manual, "Configuration file's structure"), lighttpd (its wiki, "Docs_Configuration"), Caddy (its manual, "Caddyfile").
//!
//! Read are the directives that name folders, and the files that are included; conditions are not evaluated, so that a
//! folder counts as served where any branch serves it. Programs that a configuration would run (`include_shell`) are not
//! run, and that is said.

mod apache;
mod caddy;
mod lighttpd;
mod nginx;

use std::collections::BTreeSet;

use muster_core::fact::{Obstacle, Reading};

use crate::root::{Entry, EntryKind, Root};

/// What must be kept of a tar, and may be read.
pub(super) const READS: &[&str] = &[
    "/etc/apache2/**",
    "/etc/httpd/**",
    "/etc/phpmyadmin/*.conf",
    "/usr/local/apache2/conf/**",
    "/etc/nginx/**",
    "/usr/local/nginx/conf/**",
    "/etc/lighttpd/**",
    "/etc/caddy/**",
    "/home/*/public_html/",
];

/// A folder that a web server serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Served {
    /// The folder, from `/`.
    pub(super) path: String,
    /// The file that says so.
    pub(super) by: String,
}

/// Files of one server's configuration that are read.
const MAX_FILES: usize = 500;
/// Bytes of one of them.
const MAX_BYTES: u64 = 1 << 20;
/// How deep includes go.
const MAX_DEPTH: usize = 16;
/// Folders that are told.
const MAX_SERVED: usize = 5000;
/// Bytes of a path, a pattern, or a value; a longer path leads nowhere (PATH_MAX in linux/limits.h).
const MAX_PATH: usize = 4096;
/// Values that a configuration gives names to.
const MAX_DEFINED: usize = 1000;
/// Directories that are listed for the patterns of one server's configuration.
const MAX_LISTED: usize = 10_000;

/// The files of one server's configuration, each read once.
struct Files<'a> {
    root: &'a dyn Root,
    read: BTreeSet<String>,
    listed: usize,
    served: Vec<Served>,
    obstacles: &'a mut Vec<Obstacle>,
}

impl Files<'_> {
    /// Reads a file, unless it was read before.
    fn text(&mut self, path: &str) -> Option<String> {
        if self.read.len() == MAX_FILES {
            self.note(
                path,
                format!("the configuration has more than {MAX_FILES} files; the rest was not read"),
            );
            return None;
        }
        if !self.read.insert(path.to_owned()) {
            return None;
        }
        match self.root.read(path, MAX_BYTES) {
            Reading::Found(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Reading::Absent => None,
            Reading::Unknown(obstacle) => {
                self.note(
                    path,
                    format!("is part of a web server's configuration and {}", obstacle.why),
                );
                None
            }
        }
    }

    fn note(&mut self, what: &str, why: String) {
        let obstacle = Obstacle::new(what, why);
        if !self.obstacles.contains(&obstacle) {
            self.obstacles.push(obstacle);
        }
    }

    /// Takes a folder that is served, where its whole path is known.
    fn serve(&mut self, path: &str, by: &str) {
        let is_known = path.starts_with('/')
            && path.len() < MAX_PATH
            && !path.contains(['$', '%', '{', '*', '\0']);
        if is_known && self.served.len() < MAX_SERVED {
            let path = path.trim_end_matches('/');
            let path = if path.is_empty() { "/" } else { path };
            self.served.push(Served { path: path.to_owned(), by: by.to_owned() });
        }
    }

    fn list(&mut self, folder: &str) -> Option<Vec<Entry>> {
        self.listed += 1;
        if self.listed > MAX_LISTED {
            self.note(
                "web servers",
                format!("a configuration has patterns for more than {MAX_LISTED} directories; the rest was not looked at"),
            );
            return None;
        }
        self.root.list(folder).found().cloned()
    }

    /// Returns the files that a path with stars in its names leads to; a folder stands for the files in it where `deep`.
    fn matching(&mut self, pattern: &str, deep: bool) -> Vec<String> {
        if pattern.len() >= MAX_PATH {
            return Vec::new();
        }
        let mut paths = vec![String::new()];
        for name in pattern.split('/').filter(|name| !name.is_empty() && *name != ".") {
            let mut next = Vec::new();
            for path in &paths {
                if !name.contains(['*', '?', '[']) {
                    next.push(format!("{path}/{name}"));
                    continue;
                }
                let Some(entries) = self.list(path) else { continue };
                let fitting = entries.iter().filter(|e| glob(name.as_bytes(), e.name.as_bytes()));
                next.extend(fitting.map(|e| format!("{path}/{}", e.name)).take(MAX_FILES));
            }
            paths = next;
            paths.truncate(MAX_FILES);
        }
        if deep {
            let mut files = Vec::new();
            for path in paths {
                match self.list(&path) {
                    Some(entries) => files.extend(
                        entries
                            .into_iter()
                            .filter(|e| e.kind != EntryKind::Directory)
                            .map(|e| format!("{path}/{}", e.name)),
                    ),
                    None => files.push(path),
                }
            }
            paths = files;
        }
        paths
    }
}

/// Matches a name with stars, question marks and sets.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    // At most one way back is kept: to the last star, one byte further.
    let (mut p, mut n, mut back) = (0, 0, None::<(usize, usize)>);
    while let Some(byte) = name.get(n) {
        let fits = match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(b'?') => Some(p + 1),
            Some(b'[') => set(pattern, p, *byte),
            Some(own) if own == byte => Some(p + 1),
            _ => None,
        };
        match (fits, back) {
            (Some(next), _) => {
                p = next;
                n += 1;
            }
            (None, Some((star, from))) => {
                back = Some((star, from + 1));
                p = star;
                n = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|b| *b == b'*')
}

/// Returns where a set of characters ends, if the byte is in it.
fn set(pattern: &[u8], start: usize, byte: u8) -> Option<usize> {
    let inside = pattern.get(start + 1..)?;
    let end = inside.iter().skip(1).position(|b| *b == b']')? + 1;
    let inside = inside.get(..end)?;
    let (is_not, inside) = match inside.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, inside),
    };
    let mut is_in = false;
    let mut at = 0;
    while let Some(low) = inside.get(at) {
        if let (Some(b'-'), Some(high)) = (inside.get(at + 1), inside.get(at + 2)) {
            is_in |= (*low..=*high).contains(&byte);
            at += 3;
        } else {
            is_in |= *low == byte;
            at += 1;
        }
    }
    (is_in != is_not).then_some(start + 1 + end + 1)
}

/// Returns the folder of a path.
fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Writes a path from `/`, where it was relative to a folder.
fn from_folder(folder: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") }
}

/// Returns every folder that a web server serves, in order.
pub(super) fn document_roots(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Vec<Served> {
    let mut served = Vec::new();
    for read in [apache::read, nginx::read, lighttpd::read, caddy::read] {
        let mut files =
            Files { root, read: BTreeSet::new(), listed: 0, served: Vec::new(), obstacles };
        read(&mut files);
        served.append(&mut files.served);
    }
    served.sort_unstable();
    served.dedup_by(|a, b| a.path == b.path);
    served
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inspectors::apt::testing;

    fn served(files: &[(&str, &str)]) -> Vec<String> {
        let mut obstacles = Vec::new();
        let served = document_roots(&testing::Files::of(files), &mut obstacles);
        served.into_iter().map(|s| format!("{} {}", s.path, s.by)).collect()
    }

    #[test]
    fn every_server_tells_what_it_serves() {
        let apache = served(&[
            (
                "etc/apache2/apache2.conf",
                "ServerRoot \"/etc/apache2\"\nDefine SITE blog\nIncludeOptional sites-enabled/*.conf # all\n",
            ),
            (
                "etc/apache2/sites-enabled/a.conf",
                "<VirtualHost *:80>\n  documentroot \"/srv/${SITE}/htdocs/\"\n  Alias /doc \\\n /usr/share/doc\n WSGIScriptAlias / /srv/moin/moin.wsgi\n DocumentRoot /x/%0/y\n</VirtualHost>\n",
            ),
        ]);
        let by = "/etc/apache2/sites-enabled/a.conf";
        assert_eq!(
            apache,
            [
                format!("/srv/blog/htdocs {by}"),
                format!("/srv/moin {by}"),
                format!("/usr/share/doc {by}")
            ]
        );
        let nginx = served(&[
            ("etc/nginx/nginx.conf", "http { include conf.d/*.conf; } # root /no;\n"),
            (
                "etc/nginx/conf.d/x.conf",
                "server { root '/srv/my site'; location /a { alias /opt/a/; } location ~ \\.php$ { root $document_root; } }",
            ),
        ]);
        let by = "/etc/nginx/conf.d/x.conf";
        assert_eq!(nginx, [format!("/opt/a {by}"), format!("/srv/my site {by}")]);
        let lighttpd = served(&[(
            "etc/lighttpd/lighttpd.conf",
            "var.base = \"/srv/w\"\nserver.document-root = var.base + \"/htdocs\"\nalias.url += ( \"/doc\" => \"/usr/share/doc\", )\n# server.document-root = \"/no\"\n",
        )]);
        let by = "/etc/lighttpd/lighttpd.conf";
        assert_eq!(lighttpd, [format!("/srv/w/htdocs {by}"), format!("/usr/share/doc {by}")]);
        let caddy = served(&[
            (
                "etc/caddy/Caddyfile",
                "example.org {\n\troot * /srv/caddy # here\n\timport sites/*\n}\n",
            ),
            ("etc/caddy/sites/b", "b.example.org {\n root /srv/b\n}\n"),
        ]);
        assert_eq!(caddy, ["/srv/b /etc/caddy/sites/b", "/srv/caddy /etc/caddy/Caddyfile"]);
    }

    #[test]
    fn files_that_include_each_other_end() {
        let circle = served(&[
            ("etc/nginx/nginx.conf", "include nginx.conf; include a; root /srv/a;"),
            ("etc/nginx/a", "include nginx.conf; include a;"),
        ]);
        assert_eq!(circle, ["/srv/a /etc/nginx/nginx.conf"]);
        let circle = served(&[(
            "etc/apache2/apache2.conf",
            "Include /etc/apache2\nDefine A ${A}${A}\nDocumentRoot /${A}\n",
        )]);
        assert!(circle.is_empty(), "{circle:?}");
    }

    /// Each would take minutes or gigabytes if it were not bounded; together they take a moment.
    #[test]
    fn a_hostile_configuration_costs_no_more_than_its_length() {
        let clock = muster_sandbox::monotonic();
        let mains = [
            "etc/apache2/apache2.conf",
            "etc/nginx/nginx.conf",
            "etc/lighttpd/lighttpd.conf",
            "etc/caddy/Caddyfile",
            "etc/caddy/caddy.json",
        ];
        let defined: String = (0..60_000).map(|n| format!("Define a{n} ${{B}}\n")).collect();
        let defined = format!("Define B {}\n{defined}", "x".repeat(4000));
        let texts = [
            "{".repeat(1 << 20),
            "[".repeat(1 << 20),
            "\"".repeat(1 << 20),
            "a ".repeat(1 << 19),
            "alias.url = ( \"/a\" => \"/b\", ".repeat(30_000),
            format!("include \"/{}\"\ninclude /{};", "a/".repeat(400_000), "*/".repeat(100_000)),
            format!("import {}\n", "*/".repeat(400_000)),
            "Include /etc/apache2/*/*/*/*\ninclude /etc/nginx/*/*/*;\n".repeat(15_000),
            format!("DocumentRoot /{}\n", "a".repeat(1_000_000)),
            "root /srv/\0x;\nDocumentRoot /srv/\0x\n".to_owned(),
            defined,
        ];
        for text in &texts {
            for main in mains {
                let told = served(&[(main, text), ("etc/nginx/conf.d/x", text)]);
                assert!(told.iter().all(|s| s.len() < 2 * MAX_PATH && !s.contains('\0')));
            }
        }
        let taken = muster_sandbox::monotonic() - clock;
        assert!(taken.as_secs() < 60, "{taken:?}");
        let mut obstacles = Vec::new();
        let giant = "x".repeat(2 << 20);
        document_roots(&testing::Files::of(&[("etc/nginx/nginx.conf", &giant)]), &mut obstacles);
        assert!(obstacles.iter().any(|o| o.what == "/etc/nginx/nginx.conf"), "{obstacles:?}");
    }

    #[test]
    fn a_list_of_lighttpd_without_an_end_takes_nothing_of_the_next_value() {
        let found = served(&[(
            "etc/lighttpd/lighttpd.conf",
            "alias.url = ( \"/a\" => \"/srv/a\",\nurl.redirect = ( \"/b\" => \"/srv/no\" )\n",
        )]);
        assert_eq!(found, ["/srv/a /etc/lighttpd/lighttpd.conf"]);
    }

    #[test]
    fn a_glob_is_that_of_a_shell() {
        for (pattern, name, fits) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf~", false),
            ("[0-9]*", "1x", true),
            ("[!0-9]*", "1x", false),
            ("a?c", "abc", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("[", "[", false),
            ("", "", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn no_configuration_is_too_much(text in "(root|alias|include|DocumentRoot|Alias|Define|server.document-root|import|[ \"'{};=+()\\\\\n#$a/*])*") {
            for file in ["etc/apache2/apache2.conf", "etc/nginx/nginx.conf", "etc/lighttpd/lighttpd.conf", "etc/caddy/Caddyfile"] {
                served(&[(file, &text)]);
            }
        }
    }
}
