//! What web servers serve, by their own configuration: Apache httpd (its manual, "Configuration Files"), nginx (its
//! manual, "Configuration file's structure"), lighttpd (its wiki, "Docs_Configuration"), Caddy (its manual, "Caddyfile").
//!
//! Read are the directives that name folders, and the files that are included; conditions are not evaluated, so that a
//! folder counts as served where any branch serves it. What a path takes from variables of the configuration is put in;
//! where a request tells a part of it (`/srv/vh/%0`), everything is served that this part may lead to. Programs that a
//! configuration would run (`include_shell`) are not run. What cannot be known so is named, with its line: then what is
//! served is not known as a whole. Servers that are not read are named by `others`.

mod apache;
mod caddy;
mod lighttpd;
mod nginx;
mod others;
mod values;

use std::collections::BTreeSet;

use muster_core::fact::{Obstacle, Reading};

use crate::root::{self, Entry, EntryKind, Root};
use values::{NAME, REST};

/// What must be kept of a tar, asked for over SSH, and may be read.
pub(super) const READS: &[&str] = &[
    "/etc/apache2*/**",
    "/etc/httpd/**",
    "/etc/phpmyadmin/*.conf",
    "/usr/local/apache2/conf/**",
    "/opt/lampp/etc/httpd.conf",
    "/opt/lampp/etc/extra/**",
    "/etc/nginx/**",
    "/usr/local/nginx/conf/**",
    "/etc/lighttpd/**",
    "/etc/caddy/**",
    "/home/*/public_html/",
];

/// What may be read beside that where all files are at hand: the script that goes over SSH has room for little.
pub(super) const READS_IN_PLACE: &[&str] = &[
    "/etc/sysconfig/httpd",
    "/etc/sysconfig/apache2",
    "/etc/conf.d/apache2",
    "/usr/local/apache2/bin/envvars",
    "/usr/local/apache/conf/**",
    "/opt/lampp/etc/*.conf",
    "/opt/lampp/bin/envvars",
    "/opt/bitnami/apache*/conf/**",
    "/opt/bitnami/nginx/conf/**",
    "/etc/angie/**",
    "/usr/local/openresty/nginx/conf/**",
    "/etc/frankenphp/**",
    "/var/lib/unit/conf.json",
    "/var/www/vhosts/system/*/conf/*",
    "/etc/systemd/system/*.service",
    "/etc/uwsgi/apps-enabled/",
    "/etc/uwsgi.d/",
    "/usr/local/lsws/conf/",
];
/// What web servers serve.
#[derive(Default)]
pub(super) struct Serving {
    /// The folders, in order.
    pub(super) served: Vec<Served>,
    /// Whether these are all, as far as the servers are read.
    pub(super) is_whole: bool,
    /// The servers that are not read, and may serve what is nobody else's.
    pub(super) others: Vec<Obstacle>,
}

/// A folder that a web server serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Served {
    /// The folder, from `/`.
    pub(super) path: String,
    /// Where requests tell which folders below it are served: their paths, with a star for what is told.
    pub(super) pattern: Option<String>,
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
/// Patterns that are told.
const MAX_PATTERNS: usize = 200;
/// Lines that are named as not understood.
const MAX_UNRESOLVED: usize = 20;
/// Directories that are listed for the patterns of one server's configuration.
const MAX_LISTED: usize = 10_000;

/// The files of one server's configuration, each read once.
struct Files<'a> {
    root: &'a dyn Root,
    read: BTreeSet<String>,
    listed: usize,
    served: Vec<Served>,
    patterns: usize,
    unresolved: usize,
    /// Whether all was understood.
    is_whole: bool,
    obstacles: &'a mut Vec<Obstacle>,
}

/// Where a configuration says something.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a str,
    /// Its line, from 1.
    line: usize,
    directive: &'a str,
}

impl<'a> Files<'a> {
    fn new(root: &'a dyn Root, obstacles: &'a mut Vec<Obstacle>) -> Self {
        Self {
            root,
            read: BTreeSet::new(),
            listed: 0,
            served: Vec::new(),
            patterns: 0,
            unresolved: 0,
            is_whole: true,
            obstacles,
        }
    }

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
            // The marks are no part of any text.
            Reading::Found(bytes) => {
                Some(String::from_utf8_lossy(&bytes).replace([NAME, REST], " "))
            }
            Reading::Absent => None,
            Reading::Unknown(_) if self.is_gone(path) => None,
            Reading::Unknown(obstacle) => {
                self.note(
                    path,
                    format!("is part of a web server's configuration and {}", obstacle.why),
                );
                None
            }
        }
    }

    /// Tells whether nothing lies at a path that may not be read. Over SSH only what was asked for is known to be there.
    fn is_gone(&self, path: &str) -> bool {
        let is_known = self.root.is_in_place() || !self.root.live();
        is_known && !self.root.is_there(path)
    }

    fn note(&mut self, what: &str, why: String) {
        self.is_whole = false;
        let obstacle = Obstacle::new(what, why);
        if !self.obstacles.contains(&obstacle) {
            self.obstacles.push(obstacle);
        }
    }

    /// Names a line of which it is not known what it serves.
    fn unresolved(&mut self, at: Place<'_>) {
        self.is_whole = false;
        if self.unresolved < MAX_UNRESOLVED {
            self.unresolved += 1;
            let why = format!(
                "line {}: where {} leads cannot be told from the configuration, so what is served is not known as a whole; \
                 no copy is called abandoned for it",
                at.line, at.directive
            );
            self.note(at.file, why);
        }
    }

    /// Takes a folder that is served, or what is known of its path.
    fn serve(&mut self, path: &str, at: Place<'_>) {
        let marks = [NAME, REST];
        if path.len() >= MAX_PATH || path.contains('\0') || path.is_empty() {
            return;
        }
        let path = path.trim_end_matches('/');
        let Some(first) = path.find(marks) else {
            if path.is_empty() || path.starts_with('/') {
                self.take(if path.is_empty() { "/" } else { path }, None, at);
            } else {
                self.unresolved(at);
            }
            return;
        };
        let (known, varying) = path.split_at(first);
        // `/*/www` may be anything; `/scripts*` is not.
        if known.len() <= 1 || !known.starts_with('/') || self.patterns == MAX_PATTERNS {
            self.unresolved(at);
            return;
        }
        let folder = folder_of(known);
        let folder = if folder.is_empty() { "/" } else { folder };
        // The rest of a request, or a file named by it, lies in that very folder.
        let is_file = !varying.contains('/') && varying.contains('.');
        if known.ends_with('/') && (varying.chars().all(|c| c == REST) || is_file) {
            self.take(folder, None, at);
            return;
        }
        if varying.chars().all(|c| c == REST) {
            self.take(known, None, at);
        }
        let mut pattern = path.replace(marks, "*");
        while pattern.contains("**") {
            pattern = pattern.replace("**", "*");
        }
        self.patterns += 1;
        self.take(folder, Some(pattern), at);
    }

    fn take(&mut self, path: &str, pattern: Option<String>, at: Place<'_>) {
        if self.served.len() == MAX_SERVED {
            self.note(at.file, format!("a web server's configuration leads to more than {MAX_SERVED} folders; the rest was not looked at"));
        } else {
            self.served.push(Served { path: path.to_owned(), pattern, by: at.file.to_owned() });
        }
    }

    /// Serves a folder of every home: those of the accounts that `/etc/passwd` knows, and what lies where homes do.
    fn homes(&mut self, folder: &str, at: Place<'_>) {
        if folder.starts_with('/') || folder.contains("..") || folder.len() >= MAX_PATH {
            return;
        }
        if folder.contains([NAME, REST]) {
            self.unresolved(at);
            return;
        }
        let mut homes: BTreeSet<String> = BTreeSet::new();
        for home in self.list(HOMES).unwrap_or_default() {
            if home.kind == EntryKind::Directory {
                homes.insert(format!("{HOMES}/{}", home.name));
            }
        }
        if let Reading::Found(bytes) = self.root.read(super::PASSWD, 4 << 20) {
            let text = String::from_utf8_lossy(&bytes);
            let named = text.lines().filter_map(|line| line.split(':').nth(5));
            homes.extend(named.take(MAX_SERVED).filter(|h| h.len() > 1).map(str::to_owned));
        }
        for home in homes {
            let path = format!("{}/{folder}", home.trim_end_matches('/'));
            if self.root.is_there(&path) {
                self.serve(&path, at);
            }
        }
    }

    /// Returns the files that an include leads to. What lies where it was not read is named.
    fn included(&mut self, path: &str, is_deep: bool, at: Place<'_>) -> Vec<String> {
        if path.contains([NAME, REST]) || !path.starts_with('/') {
            self.unresolved(at);
            return Vec::new();
        }
        self.matching(path, is_deep)
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
        match self.root.list(folder) {
            Reading::Found(entries) => Some(entries),
            Reading::Absent => None,
            Reading::Unknown(obstacle) => {
                let is_file = matches!(self.root.look(folder), Reading::Found(look) if look.kind != EntryKind::Directory);
                if !is_file && !self.is_gone(folder) {
                    self.note(
                        folder,
                        format!("is a part of a web server's configuration and {}", obstacle.why),
                    );
                }
                None
            }
        }
    }

    /// Returns the files that a path with stars in its names leads to; a folder stands for the files in it where `deep`.
    fn matching(&mut self, pattern: &str, deep: bool) -> Vec<String> {
        if pattern.len() >= MAX_PATH {
            return Vec::new();
        }
        let mut paths = vec![String::new()];
        for name in pattern.split('/').filter(|name| !name.is_empty() && *name != ".") {
            let mut next = Vec::new();
            if name == ".." {
                paths = paths.iter().map(|path| folder_of(path).to_owned()).collect();
                continue;
            }
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
            paths = self.files_below(paths);
        }
        paths
    }

    /// Puts in the place of each folder the files in it and below, as Apache does.
    fn files_below(&mut self, paths: Vec<String>) -> Vec<String> {
        let mut files = Vec::new();
        let mut ahead: Vec<(String, usize)> = paths.into_iter().rev().map(|p| (p, 0)).collect();
        while let Some((path, depth)) = ahead.pop() {
            if files.len() == MAX_FILES {
                break;
            }
            let entries = if depth < MAX_DEPTH { self.root.list(&path) } else { Reading::Absent };
            self.listed += 1;
            match entries {
                Reading::Found(entries) if self.listed < MAX_LISTED => {
                    let below = entries.into_iter().take(MAX_FILES).rev();
                    ahead.extend(below.map(|e| (format!("{path}/{}", e.name), depth + 1)));
                }
                _ => files.push(path),
            }
        }
        files
    }
}

/// Where the homes of accounts are.
const HOMES: &str = "/home";

impl Served {
    /// Returns where a path lies that requests reach through its pattern: its names below the folder that is served.
    pub(super) fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let pattern = self.pattern.as_ref()?;
        if !root::glob(&format!("{pattern}/*"), &format!("{path}/")) {
            return None;
        }
        // The shortest beginning of the path that is such a folder.
        let names = pattern.matches('/').count();
        let end = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).nth(names);
        let (folder, below) = path.split_at(end?);
        if root::glob(pattern, folder) { Some(below) } else { path.strip_prefix(&*self.path) }
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

/// Returns every folder that a web server serves.
pub(super) fn document_roots(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Serving {
    let mut serving = Serving { is_whole: true, ..Serving::default() };
    for read in [apache::read, nginx::read, lighttpd::read, caddy::read] {
        let mut files = Files::new(root, obstacles);
        read(&mut files);
        serving.is_whole &= files.is_whole;
        serving.served.append(&mut files.served);
    }
    serving.served.sort_unstable();
    serving.served.dedup_by(|a, b| a.path == b.path && a.pattern == b.pattern);
    serving.others = others::of(root);
    serving
}

#[cfg(test)]
mod tests;
