//! lighttpd: `server.document-root`, `alias.url`, the modules that serve a folder for each host (mod_simple_vhost,
//! mod_evhost), and mod_userdir.

use super::values::{NAME, Paths, Values, without_captures, without_hosts};
use super::{Files, MAX_DEPTH, Place, folder_of, from_folder};

const MAIN: &str = "/etc/lighttpd/lighttpd.conf";

/// Programs of packages that tell types of files or addresses, and no folder.
const HARMLESS: [&str; 4] = [
    "/usr/share/lighttpd/create-mime.assign.pl",
    "/usr/share/lighttpd/create-mime.conf.pl",
    "/usr/share/lighttpd/use-ipv6.pl",
    "/usr/lib/lighttpd/create-mime.assign.pl",
];
/// The program by which Debian included what is enabled.
const ENABLED: &str = "include-conf-enabled.pl";

/// What is served of folders for each host or account, told in several places.
#[derive(Default)]
struct Told {
    values: Values,
    /// Where the first of each was said: the file, and the line.
    hosts: Option<(String, usize)>,
    accounts: Option<(String, usize)>,
}

pub(super) fn read(files: &mut Files<'_>) {
    let mut told = Told::default();
    file(files, &mut told, MAIN, 0);
    if let Some((path, line)) = &told.hosts {
        let at = Place { file: path, line: *line, directive: "simple-vhost.server-root" };
        let own = told.values.of("simple-vhost.document-root");
        let mut paths = Paths::new();
        paths.each(told.values.of("simple-vhost.server-root"));
        paths.text("/");
        paths.mark(NAME);
        if !own.is_empty() {
            paths.text("/");
            paths.each(own);
        }
        for path in paths.into_all() {
            files.serve(&path.replace("//", "/"), at);
        }
    }
    if let Some((path, line)) = &told.accounts {
        let at = Place { file: path, line: *line, directive: "userdir.path" };
        for folder in told.values.of("userdir.path") {
            let bases = told.values.of("userdir.basepath");
            if bases.is_empty() {
                files.homes(folder, at);
            }
            for base in bases {
                files.serve(&format!("{}/{NAME}/{folder}", base.trim_end_matches('/')), at);
            }
        }
    }
}

fn file(files: &mut Files<'_>, told: &mut Told, path: &str, depth: usize) {
    let Some(text) = files.text(path) else { return };
    let tokens = tokens(&text);
    let mut rest = tokens.as_slice();
    while let Some(((token, line), after)) = rest.split_first() {
        rest = after;
        let Token::Word(name) = token else { continue };
        let at = Place { file: path, line: *line, directive: name };
        let next: Option<&Token> = after.first().map(|(token, _)| token);
        match (name.as_str(), next) {
            ("include", Some(_)) if depth < MAX_DEPTH => {
                for pattern in joined(after, &told.values) {
                    include(files, told, &pattern, at, depth);
                }
            }
            ("include_shell", Some(Token::Text(command))) => shell(files, told, command, at, depth),
            (_, Some(Token::Sign(sign @ ('=' | '&')))) => {
                set(files, told, after.get(1..).unwrap_or_default(), *sign == '&', at);
            }
            _ => {}
        }
    }
}

fn include(files: &mut Files<'_>, told: &mut Told, pattern: &str, at: Place<'_>, depth: usize) {
    for found in files.included(&from_folder(folder_of(MAIN), pattern), false, at) {
        file(files, told, &found, depth + 1);
    }
}

/// Takes a part of the configuration from a program, where it is known what that says.
fn shell(files: &mut Files<'_>, told: &mut Told, command: &str, at: Place<'_>, depth: usize) {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    if HARMLESS.contains(&program) {
        return;
    }
    if depth < MAX_DEPTH && program.ends_with(ENABLED) {
        return include(files, told, "conf-enabled/*.conf", at, depth);
    }
    let patterns: Vec<&str> = words.collect();
    let is_plain = |p: &&str| !p.starts_with('-') && !p.contains(['|', ';', '$', '`', '&', '>']);
    if depth < MAX_DEPTH
        && ["cat", "/bin/cat", "/usr/bin/cat"].contains(&program)
        && patterns.iter().all(is_plain)
    {
        for pattern in patterns.iter().take(100) {
            include(files, told, pattern, at, depth);
        }
        return;
    }
    files.note(at.file, "takes a part of its configuration from a program (include_shell), which is not run: what that serves is not known".to_owned());
}

/// Takes the value of an option.
fn set(
    files: &mut Files<'_>,
    told: &mut Told,
    value: &[(Token, usize)],
    is_added: bool,
    at: Place<'_>,
) {
    let name = at.directive;
    match name {
        "alias.url" => return targets(files, &told.values, value, at),
        "vhostdb.backend" | "mysql-vhost.db" => return files.unresolved(at),
        _ => {}
    }
    let mut values = joined(value, &told.values);
    if is_added {
        let before = told.values.of(name);
        values =
            before.iter().flat_map(|b| values.iter().map(move |v| format!("{b}{v}"))).collect();
    }
    for value in values {
        match name {
            "server.document-root" => files.serve(&without_captures(&value, '%'), at),
            "evhost.path-pattern" => files.serve(&without_hosts(&value), at),
            "simple-vhost.server-root" if told.hosts.is_none() => {
                told.hosts = Some((at.file.to_owned(), at.line));
            }
            "userdir.path" if told.accounts.is_none() => {
                told.accounts = Some((at.file.to_owned(), at.line));
            }
            _ => {}
        }
        told.values.add(name, value);
    }
}

/// Serves what stands behind each `=>` up to the end of the list.
fn targets(files: &mut Files<'_>, values: &Values, value: &[(Token, usize)], at: Place<'_>) {
    let mut rest = value;
    while let Some(((token, _), after)) = rest.split_first() {
        rest = after;
        match token {
            Token::Sign('>') => {
                for target in joined(after, values) {
                    files.serve(&without_captures(&target, '%'), at);
                }
            }
            // The end of the list; without one, where the next value begins.
            Token::Sign(')' | '=' | '&') => return,
            _ => {}
        }
    }
}

/// Joins texts and variables with a plus between them; none where it is no text.
fn joined(value: &[(Token, usize)], values: &Values) -> Vec<String> {
    let mut paths = Paths::new();
    for (at, (token, _)) in value.iter().enumerate() {
        match token {
            Token::Sign('+') if at % 2 == 1 => {}
            Token::Text(text) if at % 2 == 0 => paths.text(text),
            // Numbers and truths are words as well, and lead nowhere.
            Token::Word(name) if at % 2 == 0 && name.contains('.') => {
                paths.each(values.of(name));
            }
            _ if at % 2 == 1 => break,
            _ => return Vec::new(),
        }
    }
    paths.into_all()
}

enum Token {
    Word(String),
    Text(String),
    /// One character; `=>` is a `>`, `+=` an `&`, `:=` a `=`.
    Sign(char),
}

/// Splits a file into tokens, with the lines where they begin.
fn tokens(text: &str) -> Vec<(Token, usize)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let at = line;
        match c {
            '\n' => line += 1,
            '#' => {
                if chars.by_ref().any(|c| c == '\n') {
                    line += 1;
                }
            }
            '"' | '\'' => {
                let mut inside = String::new();
                while let Some(next) = chars.next() {
                    line += usize::from(next == '\n');
                    match next {
                        '\\' => inside.extend(chars.next()),
                        end if end == c => break,
                        other => inside.push(other),
                    }
                }
                tokens.push((Token::Text(inside), at));
            }
            '+' if chars.next_if_eq(&'=').is_some() => tokens.push((Token::Sign('&'), at)),
            ':' if chars.peek() == Some(&'=') => {}
            '=' if chars.next_if_eq(&'>').is_some() => tokens.push((Token::Sign('>'), at)),
            c if c.is_whitespace() => {}
            c if c.is_alphanumeric() || "._-".contains(c) => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || "._-".contains(*c)) {
                    word.push(c);
                }
                tokens.push((Token::Word(word), at));
            }
            c => tokens.push((Token::Sign(c), at)),
        }
    }
    tokens
}
