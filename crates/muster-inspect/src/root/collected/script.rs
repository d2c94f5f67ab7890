//! The one constant script that is run on a server inspected over SSH: POSIX sh (IEEE Std 1003.1, chapter 2), made of
//! `script.sh` and of what the inspectors declare.
//!
//! It is one line without single quotes, so that it stands unchanged in a command line, in `authorized_keys`, and in
//! `sudoers`. It takes no argument and reads no input: who holds the key can ask for this and for nothing else.

use super::super::declared::components;
use crate::inspectors::INSPECTORS;

/// The frame; its comments stay behind.
const FRAME: &str = include_str!("script.sh");

/// Returns the script, one line.
pub fn script() -> String {
    let mut files = Vec::new();
    let mut processes = Vec::new();
    for pattern in patterns() {
        let line = if is_of_proc(&pattern) { &mut processes } else { &mut files };
        line.extend(wanted(&pattern));
    }
    let mut lines: Vec<String> = Vec::new();
    for line in FRAME.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line {
            "@WANTED@" => lines.append(&mut files),
            "@PROC@" => lines.append(&mut processes),
            line => lines.push(line.to_owned()),
        }
    }
    joined(&lines)
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

/// Returns the lines that ask for a pattern.
fn wanted(pattern: &str) -> Vec<String> {
    let is_names = pattern.ends_with('/');
    let path = format!("/{}", components(pattern).collect::<Vec<_>>().join("/"));
    if is_of_proc(pattern) {
        // `self` and its kin are no processes.
        let path = path.replace("/proc/*", "/proc/[0-9]*");
        let path = if is_names { format!("{path}/*") } else { path };
        return vec![format!("w {path}")];
    }
    if is_names {
        return vec![format!("n {path}")];
    }
    if let Some(above) = path.strip_suffix("/**") {
        return vec![format!("for q in {above}; do b \"$q\"; done")];
    }
    if let Some((above, below)) = path.split_once("/**/") {
        let name = below.rsplit('/').next().unwrap_or(below);
        let above = if above.is_empty() { "/" } else { above };
        return vec![format!("y {above} \"{name}\" \"*/{below}\"")];
    }
    let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
    if name == "*" {
        return vec![format!("g {above}"), format!("e {path} {above}/.[!.]*")];
    }
    if name.contains('*') {
        return vec![format!("g {above}"), format!("e {path}")];
    }
    vec![format!("e {path}")]
}

/// Joins lines of shell into one.
fn joined(lines: &[String]) -> String {
    const OPEN: [&str; 8] = ["do", "then", "else", "{", "(", "in", ";;", "|"];
    let mut text = String::new();
    for line in lines {
        if !text.is_empty() {
            text.push_str(if OPEN.iter().any(|end| text.ends_with(end)) { " " } else { "; " });
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
        for inspector in INSPECTORS {
            for pattern in inspector.reads().iter().filter(|p| !is_everything(p)) {
                for line in wanted(pattern) {
                    assert!(script.contains(&line), "{}: {line}", inspector.name());
                }
            }
        }
    }

    #[test]
    fn the_script_is_one_line_that_can_be_quoted() {
        let script = script();
        assert!(!script.contains(['\'', '\n']), "{script}");
        assert!(script.is_ascii());
        // Old servers read no longer line of authorized_keys.
        let line = super::super::key_line("", false);
        assert!(line.len() < 16_000, "{}", line.len());
        for pattern in patterns() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._*+-".contains(c);
            assert!(
                pattern.chars().all(is_plain),
                "{pattern} has a character that a shell takes for its own"
            );
        }
    }

    #[test]
    fn patterns_become_words_of_the_shell() {
        assert_eq!(wanted("etc/os-release"), ["e /etc/os-release"]);
        assert_eq!(wanted("/boot/"), ["n /boot"]);
        assert_eq!(wanted("/etc/a.d/*"), ["g /etc/a.d", "e /etc/a.d/* /etc/a.d/.[!.]*"]);
        assert_eq!(wanted("/etc/*.repo"), ["g /etc", "e /etc/*.repo"]);
        assert_eq!(wanted("/var/x/**"), ["for q in /var/x; do b \"$q\"; done"]);
        assert_eq!(wanted("/proc/*/maps"), ["w /proc/[0-9]*/maps"]);
        assert_eq!(wanted("/proc/*/fd/"), ["w /proc/[0-9]*/fd/*"]);
        assert_eq!(wanted("/**/wiki/version.php"), ["y / \"version.php\" \"*/wiki/version.php\""]);
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
