//! The one constant script that is run on a server inspected over SSH: POSIX sh (IEEE Std 1003.1, chapter 2), made of
//! `script.sh` and of what the inspectors declare.
//!
//! It is one line without single quotes, so that it stands unchanged in a command line, in `authorized_keys`, and in
//! `sudoers`. It takes no argument and reads no input: who holds the key can ask for this and for nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::super::declared::components;
use super::super::directory::mounts::entered;
use super::super::walk::{NAMED, PRUNED, PRUNED_AND_NAMED};
use crate::catalogue::APPLICATIONS;
use crate::inspectors::INSPECTORS;

/// The frame; its comments stay behind.
const FRAME: &str = include_str!("script.sh");

/// Returns the script, one line.
pub fn script() -> String {
    let mut files = Calls::default();
    let (mut names, mut processes) = (Calls::default(), Calls::default());
    for pattern in patterns().iter().filter(|pattern| end(pattern).is_none()) {
        let calls = match is_of_proc(pattern) {
            true if is_names(pattern) => &mut names,
            true => &mut processes,
            false => &mut files,
        };
        for (function, path) in wanted(pattern) {
            calls.entry(function).or_default().push(abbreviated(&path));
        }
    }
    uncover(&mut files);
    let mut lines: Vec<String> = Vec::new();
    for line in FRAME.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line {
            "@SHORT@" => {
                let short = |(long, short): (&str, &str)| {
                    format!("{}=\"{long}\"", short.trim_start_matches('$'))
                };
                lines.extend(ABBREVIATED.map(short));
            }
            "@WANTED@" => lines.extend(called(&files)),
            "@NAMES@" => lines.extend(called(&names)),
            "@PROC@" => lines.extend(called(&processes)),
            line => lines.push(filled(line)),
        }
    }
    joined(&lines)
}

/// The paths that each function of the frame is called with.
type Calls = BTreeMap<char, Vec<String>>;

/// What stands for the beginnings of many paths.
const ABBREVIATED: [(&str, &str); 5] =
    [("/var/lib", "$V"), ("/var/cache", "$Y"), ("/usr/lib", "$U"), ("/etc", "$G"), ("/proc", "$R")];

fn abbreviated(path: &str) -> String {
    let of =
        |(long, short)| Some(format!("{short}/{}", path.strip_prefix(long)?.strip_prefix('/')?));
    ABBREVIATED.into_iter().find_map(of).unwrap_or_else(|| path.to_owned())
}

/// Takes out what other calls ask for as well: files in a tree that is wanted whole, and names that a wildcard names.
fn uncover(calls: &mut Calls) {
    let trees = calls.get(&'a').cloned().unwrap_or_default();
    let is_in_tree = |path: &String| {
        trees.iter().any(|tree| path.strip_prefix(tree).is_some_and(|rest| rest.starts_with('/')))
    };
    for function in ['e', 'g'] {
        let Some(paths) = calls.get_mut(&function) else { continue };
        paths.retain(|path| !is_in_tree(path));
        let all = paths.clone();
        paths.retain(|path| !all.iter().any(|by| by != path && covers(by, path)));
    }
}

/// Tells whether every file that a path with stars names is named by another. Only a star at either end of a part is looked at.
fn covers(by: &str, path: &str) -> bool {
    let is_covered = |(by, part): (&str, &str)| match (by.strip_prefix('*'), by.strip_suffix('*')) {
        _ if by == part => true,
        // The shell's star takes no dot at the beginning.
        (Some(end), _) if !end.contains('*') => part.ends_with(end) && !part.starts_with('.'),
        (_, Some(start)) if !start.contains('*') => part.starts_with(start),
        _ => false,
    };
    by.contains('*')
        && by.split('/').count() == path.split('/').count()
        && by.split('/').zip(path.split('/')).all(is_covered)
}

/// Returns one line for each function, with all of its paths.
fn called(calls: &Calls) -> impl Iterator<Item = String> {
    calls.iter().map(|(function, paths)| {
        let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        paths.sort_unstable();
        paths.dedup();
        format!("{function} {}", paths.join(" "))
    })
}

/// Returns the command that is sent to the server: the script, under the shell that every server has.
pub fn command(sudo: bool) -> String {
    let sudo = if sudo { "sudo -n " } else { "" };
    format!("exec {sudo}/bin/sh -c '{}'", script())
}

/// Returns what the inspectors declare, each once.
fn patterns() -> Vec<String> {
    let declared = INSPECTORS.iter().flat_map(|i| i.reads()).filter(|p| !is_everything(p));
    let mut patterns: Vec<String> =
        declared.map(|pattern| format!("/{}", pattern.trim_start_matches('/'))).collect();
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}

/// Tells whether a pattern means the whole disk, which is not sent.
pub(crate) fn is_everything(pattern: &str) -> bool {
    matches!(pattern.trim_matches('/'), "**" | "")
}

fn is_of_proc(pattern: &str) -> bool {
    components(pattern).next() == Some("proc")
}

/// Tells whether the names in a directory are wanted, and no more.
fn is_names(pattern: &str) -> bool {
    pattern.ends_with('/')
}

/// Returns what a path ends with, of a pattern that may lie anywhere on the disk.
fn end(pattern: &str) -> Option<&str> {
    pattern.trim_start_matches('/').strip_prefix("**/")
}

/// Puts the lists of this program into a line of the frame.
fn filled(line: &str) -> String {
    if !line.contains('@') {
        return line.to_owned();
    }
    let pruned = || PRUNED.iter().chain(&PRUNED_AND_NAMED);
    let or = |list: Vec<String>| list.join("|");
    // A star is any part of a name here, and a dot any character: what is found too much, nobody asks for.
    let expression = |end: &str| end.replace('*', "$X");
    // What is beside a sign is known by its name; some signs are themselves no more than that.
    let beside = || {
        let signs = || APPLICATIONS.iter().flat_map(|a| a.signs);
        let names = signs().flat_map(|sign| sign.beside.iter().chain(sign.sure)).copied();
        let names = names.filter(|name| !patterns().iter().any(|p| end(p) == Some(name)));
        names.chain(signs().filter(|sign| sign.is_name()).map(|sign| sign.file))
    };
    let named =
        PRUNED_AND_NAMED.iter().chain(&NAMED).map(|p| p.trim_start_matches(['*', '/']).to_owned());
    let mut ends: Vec<String> = patterns().iter().filter_map(|p| end(p).map(expression)).collect();
    ends.extend(beside().map(expression).chain(named));
    ends.sort_unstable();
    ends.dedup();
    let ends = factored(&uncovered(&ends));
    // What may lie anywhere costs the most to compare: one pattern keeps the others from most names.
    let paths = |is_anywhere: bool| {
        let these = pruned().filter(|p| p.starts_with('*') == is_anywhere);
        these.map(|p| format!("-path \"{}\"", abbreviated(p))).collect::<Vec<_>>().join(" -o ")
    };
    let find = format!("{} -o -path \"*/.*\" \"(\" {} \")\"", paths(false), paths(true));
    line.replace("@LOCAL@", &or(entered().map(|name| format!("\"{name} \"*")).collect()))
        .replace("@UNDER@", &or(pruned().map(|p| format!("{}/*", abbreviated(p))).collect()))
        .replace("@PRUNED@", &find)
        .replace("@ENDS@", &format!("/({ends})$"))
        .replace("@BESIDE@", &or(merged_names(beside())))
}

/// Returns each name once, as a pattern of the shell.
fn merged_names<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let names: BTreeSet<&str> = names.collect();
    names.into_iter().map(|name| format!("*/{name}")).collect()
}

/// Takes out what ends as another does.
fn uncovered(ends: &[String]) -> Vec<String> {
    let is_covered = |end: &String| {
        let mut shorter = end.match_indices('/').filter_map(|(at, _)| end.get(at + 1..));
        shorter.any(|rest| ends.iter().any(|other| fits_whatever(other, rest)))
            || ends.iter().any(|other| other != end && fits_whatever(other, end))
    };
    ends.iter().filter(|end| !is_covered(end)).cloned().collect()
}

/// Tells whether whatever fits an end fits another: name by name, a lone star covers any.
fn fits_whatever(other: &str, end: &str) -> bool {
    let (mut others, mut ends) = (other.split('/'), end.split('/'));
    loop {
        match (others.next(), ends.next()) {
            (None, None) => return true,
            (Some(other), Some(end)) if other == end || other == "$X" => {}
            // A star is `$X` here: `$X.php` covers whatever ends so.
            (Some(other), Some(end))
                if other.strip_prefix("$X").is_some_and(|rest| end.ends_with(rest)) => {}
            _ => return false,
        }
    }
}

/// Writes paths as one regular expression, what several begin with once. They come in the order of their bytes.
fn factored(paths: &[String]) -> String {
    let first = |path: &String| path.split_once('/').map(|(first, _)| first.to_owned());
    let groups = paths.chunk_by(|a, b| first(a).is_some() && first(a) == first(b));
    let written = groups.map(|group| match group {
        [one] => one.clone(),
        several => {
            let above = several.first().and_then(first).unwrap_or_default();
            let rest = several.iter().filter_map(|path| Some(path.split_once('/')?.1.to_owned()));
            format!("{above}/({})", factored(&rest.collect::<Vec<_>>()))
        }
    });
    written.collect::<Vec<_>>().join("|")
}

/// Returns what asks for a pattern: functions of the frame, each with a path.
fn wanted(pattern: &str) -> Vec<(char, String)> {
    let path = format!("/{}", components(pattern).collect::<Vec<_>>().join("/"));
    if is_of_proc(pattern) {
        // `self` and its kin are no processes.
        let path = path.replace("/proc/*", "/proc/[0-9]*");
        let path = if is_names(pattern) { format!("{path}/*") } else { path };
        return vec![('w', path)];
    }
    if is_names(pattern) {
        return vec![('n', path)];
    }
    if let Some(above) = path.strip_suffix("/**") {
        return vec![('a', above.to_owned())];
    }
    let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
    if name == "*" {
        let hidden = format!("{above}/.[!.]*");
        return vec![('g', above.to_owned()), ('e', path.clone()), ('e', hidden)];
    }
    if name.contains('*') {
        return vec![('g', above.to_owned()), ('e', path)];
    }
    vec![('e', path)]
}

/// Joins lines of shell into one.
fn joined(lines: &[String]) -> String {
    // A word is a word of its own: `/etc/phpmyadmin` ends with none.
    const WORDS: [&str; 4] = ["do", "then", "else", "in"];
    const SIGNS: [&str; 4] = ["{", "(", ";;", "|"];
    let is_open = |text: &str| {
        let word = text.rsplit([' ', ';']).next();
        word.is_some_and(|word| WORDS.contains(&word)) || SIGNS.iter().any(|s| text.ends_with(s))
    };
    let mut text = String::new();
    for line in lines {
        if !text.is_empty() {
            text.push_str(if is_open(&text) { " " } else { "; " });
        }
        text.push_str(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_asks_for_every_declared_path() {
        let script = script();
        let ends = script.split("Z=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let ends = regex_lite::Regex::new(&ends.replace("$X", "[^/]*")).unwrap();
        assert!(!ends.is_match("/srv/shadow") && !ends.is_match("/srv/version.php.bak"));
        for inspector in INSPECTORS {
            for pattern in inspector.reads().iter().filter(|p| !is_everything(p)) {
                let Some(end) = end(pattern) else { continue };
                let path = format!("/srv/{}", end.replace('*', "any"));
                assert!(ends.is_match(&path), "{}: {end}", inspector.name());
            }
            let fixed = |p: &&&str| !is_everything(p) && end(p).is_none();
            for pattern in inspector.reads().iter().filter(fixed) {
                for (function, path) in wanted(pattern) {
                    let path = abbreviated(&path);
                    let mut calls = script.split([';', '{', '(']).map(str::trim).filter(|line| {
                        line.strip_prefix(function).is_some_and(|rest| rest.starts_with(' '))
                    });
                    let is_there = calls.any(|line| line.split(' ').any(|word| word == path))
                        || is_asked_for_otherwise(&script, &path);
                    assert!(is_there, "{}: {function} {path}", inspector.name());
                }
            }
        }
    }

    #[test]
    fn the_script_is_one_line_that_can_be_quoted() {
        let script = script();
        assert!(!script.contains(['\'', '\n']), "{script}");
        assert!(script.is_ascii());
        let mut anywhere = PRUNED.iter().chain(&PRUNED_AND_NAMED).filter(|p| p.starts_with('*'));
        assert!(
            anywhere.all(|p| p.starts_with("*/.")),
            "find compares them with names that have a dot"
        );
        // sudo takes several spaces for one.
        assert!(!script.contains("  "), "{script}");
        // Servers from 2016 to 2018 read lines of 16,384 bytes in authorized_keys, and the key is one of them.
        let line = super::super::key_line("", false);
        assert!(line.len() < 16_200, "{}", line.len());
        for pattern in patterns() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._*+-=".contains(c);
            assert!(
                pattern.chars().all(is_plain),
                "{pattern} has a character that a shell takes for its own"
            );
        }
    }

    /// Tells whether a path lies in a tree that is asked for whole, or is named by a wildcard.
    fn is_asked_for_otherwise(script: &str, path: &str) -> bool {
        let words = |function: &str| {
            let mut calls = script.split([';', '{', '(']).map(str::trim);
            let call = calls.rfind(|call| call.starts_with(&format!("{function} $G")));
            call.unwrap_or_default().split(' ').skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        words("a").iter().any(|tree| path.starts_with(&format!("{tree}/")))
            || ["e", "g"].iter().any(|f| words(f).iter().any(|by| covers(by, path)))
    }

    #[test]
    fn a_wildcard_covers_what_it_names() {
        for (by, path, expected) in [
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/*.conf", true),
            ("/a/*", "/a/.b", false),
            ("/a/*", "/a/b/c", false),
            ("/a/*.repo", "/a/redhat.repo", true),
            ("/a/*.repo", "/a/redhat.list", false),
            ("/a/b*", "/a/bc", true),
            ("/a/*b*", "/a/b", false),
            ("/*/x", "/a/x", true),
            ("/a/x", "/a/x", false),
        ] {
            assert_eq!(covers(by, path), expected, "{by} {path}");
        }
    }

    #[test]
    fn patterns_become_words_of_the_shell() {
        let wanted = |pattern| {
            let words = wanted(pattern).into_iter().map(|(call, path)| format!("{call} {path}"));
            words.collect::<Vec<_>>().join("; ")
        };
        assert_eq!(wanted("etc/os-release"), "e /etc/os-release");
        assert_eq!(wanted("/boot/"), "n /boot");
        assert_eq!(wanted("/etc/a.d/*"), "g /etc/a.d; e /etc/a.d/*; e /etc/a.d/.[!.]*");
        assert_eq!(wanted("/etc/*.repo"), "g /etc; e /etc/*.repo");
        assert_eq!(wanted("/var/x/**"), "a /var/x");
        assert_eq!(wanted("/proc/*/maps"), "w /proc/[0-9]*/maps");
        assert_eq!(wanted("/proc/*/fd/"), "w /proc/[0-9]*/fd/*");
        assert_eq!(abbreviated("/etc/os-release"), "$G/os-release");
        assert_eq!(abbreviated("/etcetera"), "/etcetera");
        assert_eq!(end("/**/wiki/version.php"), Some("wiki/version.php"));
    }

    #[test]
    fn shells_take_it_for_whole() {
        for shell in [&["sh"][..], &["dash"], &["bash"], &["busybox", "sh"]] {
            let Some((program, first)) = shell.split_first() else { continue };
            let run = std::process::Command::new(program)
                .args(first)
                .args(["-n", "-c", &script()])
                .output();
            if let Ok(run) = run {
                assert!(
                    run.status.success(),
                    "{shell:?}: {}",
                    String::from_utf8_lossy(&run.stderr)
                );
            }
        }
    }
}
