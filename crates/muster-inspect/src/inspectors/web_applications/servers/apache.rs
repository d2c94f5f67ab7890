//! Apache httpd: `DocumentRoot`, the aliases, and `UserDir`.

use std::collections::BTreeMap;

use super::{Files, MAX_DEFINED, MAX_DEPTH, MAX_PATH, folder_of, from_folder};
use crate::root::EntryKind;

const MAIN: [&str; 4] = [
    "/etc/apache2/apache2.conf",
    "/etc/httpd/conf/httpd.conf",
    "/etc/apache2/httpd.conf",
    "/usr/local/apache2/conf/httpd.conf",
];

/// Where the homes of accounts are.
const HOMES: &str = "/home";

struct Server {
    root: String,
    defined: BTreeMap<String, String>,
}

pub(super) fn read(files: &mut Files<'_>) {
    for main in MAIN {
        // Debian's and SUSE's lie in their ServerRoot, Red Hat's one below it.
        let folder = folder_of(main);
        let root = folder.strip_suffix("/conf").unwrap_or(folder).to_owned();
        file(files, &mut Server { root, defined: BTreeMap::new() }, main, 0);
    }
}

fn file(files: &mut Files<'_>, server: &mut Server, path: &str, depth: usize) {
    let Some(text) = files.text(path) else { return };
    // A backslash at the end of a line joins it with the next.
    let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
    for line in text.lines() {
        let words = words(line, &server.defined);
        let Some((directive, arguments)) = words.split_first() else { continue };
        match (directive.to_ascii_lowercase().as_str(), arguments) {
            ("serverroot", [root, ..]) if root.len() < MAX_PATH => server.root.clone_from(root),
            ("define", [name, value, ..])
                if server.defined.len() < MAX_DEFINED && name.len() + value.len() <= MAX_PATH =>
            {
                server.defined.insert(name.clone(), value.clone());
            }
            ("documentroot", [folder, ..]) => {
                files.serve(&from_folder(&server.root, folder), path);
            }
            ("alias" | "scriptalias" | "wsgiscriptalias", [_, target, ..]) => {
                // A script serves what lies in its folder.
                let is_script =
                    [".wsgi", ".py", ".cgi", ".fcgi"].iter().any(|e| target.ends_with(e));
                files.serve(if is_script { folder_of(target) } else { target }, path);
            }
            ("userdir", [folder, ..]) if !folder.eq_ignore_ascii_case("disabled") => {
                homes(files, folder, path);
            }
            ("include" | "includeoptional", [pattern, ..]) if depth < MAX_DEPTH => {
                for found in files.matching(&from_folder(&server.root, pattern), true) {
                    file(files, server, &found, depth + 1);
                }
            }
            _ => {}
        }
    }
}

/// Serves a folder of every home.
fn homes(files: &mut Files<'_>, folder: &str, by: &str) {
    if folder.starts_with('/') || folder.contains("..") || folder.len() >= MAX_PATH {
        return;
    }
    let Some(entries) = files.list(HOMES) else { return };
    for home in entries.into_iter().filter(|h| h.kind == EntryKind::Directory) {
        let path = format!("{HOMES}/{}/{folder}", home.name);
        if files.root.is_there(&path) {
            files.serve(&path, by);
        }
    }
}

/// Splits a line into words, with quotes, `${NAME}` replaced where NAME is defined.
fn words(line: &str, defined: &BTreeMap<String, String>) -> Vec<String> {
    let line = line.trim_start();
    if line.starts_with('#') {
        return Vec::new();
    }
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            c if c.is_whitespace() => {
                rest = rest.trim_start();
                continue;
            }
            '"' | '\'' => {
                let inside = rest.get(1..).unwrap_or_default();
                inside.split_once(first).unwrap_or((inside, ""))
            }
            '#' => break,
            _ => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(expanded(word, defined));
        rest = after;
    }
    words
}

fn expanded(word: &str, defined: &BTreeMap<String, String>) -> String {
    let mut value = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        value.push_str(before);
        match defined.get(name) {
            Some(known) if value.len() + known.len() <= MAX_PATH => value.push_str(known),
            // Unknown, or from the environment of the server: the path is not known.
            _ => value.push('$'),
        }
        rest = after;
    }
    value + rest
}
