//! Caddy (and FrankenPHP, which is one): `root` in a Caddyfile, with its snippets and what `vars` sets; and wherever a JSON
//! configuration names one, as NGINX Unit's does as well.

use std::collections::BTreeMap;

use super::values::{NAME, Paths, REST, Values};
use super::{Files, MAX_DEPTH, MAX_PATH, Place, folder_of, from_folder};

const MAIN: [&str; 2] = ["/etc/caddy/Caddyfile", "/etc/frankenphp/Caddyfile"];
/// The configurations in JSON, and the keys of folders.
const JSON: [(&str, &[&str]); 2] =
    [("/etc/caddy/caddy.json", &["root"]), ("/var/lib/unit/conf.json", &["root", "share"])];

/// Statements that snippets are written out to.
const MAX_WRITTEN_OUT: usize = 20_000;

#[derive(Clone)]
struct Statement {
    words: Vec<String>,
    /// The brace; a line's end otherwise.
    end: char,
    line: usize,
}

#[derive(Default)]
struct Site {
    snippets: BTreeMap<String, Vec<Statement>>,
    variables: Values,
    written_out: usize,
}

pub(super) fn read(files: &mut Files<'_>) {
    for main in MAIN.into_iter().filter(|main| files.root.is_there(main)).collect::<Vec<_>>() {
        file(files, &mut Site::default(), main, &[], 0);
    }
    for (path, keys) in JSON {
        let Some(text) = files.root.is_there(path).then(|| files.text(path)).flatten() else {
            continue;
        };
        match serde_json::from_str(&text) {
            Ok(value) => roots(files, &value, path, keys),
            Err(error) => {
                let why = format!("cannot be understood: {error}; what it serves is not known");
                files.note(path, why);
            }
        }
    }
}

fn roots(files: &mut Files<'_>, value: &serde_json::Value, path: &str, keys: &[&str]) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                let at = Place { file: path, line: 1, directive: key };
                match value.as_str().filter(|_| keys.contains(&key.as_str())) {
                    // This is the root that is told elsewhere.
                    Some("{http.vars.root}") => {}
                    Some(folder) if key == "share" => {
                        let mark = REST.to_string();
                        files.serve(&folder.replace("$uri", &mark).replace("$host", &mark), at);
                    }
                    Some(folder) => serve(files, &Values::default(), folder, at),
                    None => roots(files, value, path, keys),
                }
            }
        }
        serde_json::Value::Array(values) => {
            values.iter().for_each(|value| roots(files, value, path, keys));
        }
        _ => {}
    }
}

fn file(files: &mut Files<'_>, site: &mut Site, path: &str, arguments: &[String], depth: usize) {
    let Some(text) = files.text(path) else { return };
    run(files, site, &statements(&text), path, arguments, depth);
}

/// Takes what statements say.
fn run(
    files: &mut Files<'_>,
    site: &mut Site,
    all: &[Statement],
    path: &str,
    arguments: &[String],
    depth: usize,
) {
    let mut rest = all;
    while let Some((statement, after)) = rest.split_first() {
        rest = after;
        let words: Vec<String> =
            statement.words.iter().map(|word| with_arguments(word, arguments)).collect();
        let Some((directive, own)) = words.split_first() else { continue };
        let at = Place { file: path, line: statement.line, directive };
        let snippet = directive.strip_prefix('(').and_then(|d| d.strip_suffix(')'));
        match (directive.as_str(), own) {
            (_, []) if snippet.is_some() && statement.end == '{' => {
                let length = block(after);
                let (inside, behind) = after.split_at_checked(length).unwrap_or((after, &[]));
                rest = behind;
                site.snippets.insert(snippet.unwrap_or_default().to_owned(), inside.to_vec());
            }
            // The folder follows a matcher (`*`, `/path*`, `@name`), or comes alone.
            ("root", [.., folder]) if statement.end != '{' => {
                serve(files, &site.variables, folder, at);
            }
            ("vars", [.., name, value]) => site.variables.add(name, value.clone()),
            ("vars", _) if statement.end == '{' => {
                let length = block(after);
                for pair in after.iter().take(length) {
                    if let [name, value] = pair.words.as_slice() {
                        site.variables.add(name, with_arguments(value, arguments));
                    }
                }
            }
            ("import", [name, given @ ..]) if depth < MAX_DEPTH => {
                if let Some(inside) = site.snippets.get(name).cloned() {
                    site.written_out += inside.len();
                    if site.written_out > MAX_WRITTEN_OUT {
                        files.unresolved(at);
                        return;
                    }
                    run(files, site, &inside, path, given, depth + 1);
                    continue;
                }
                for name in resolved(name, &site.variables) {
                    let pattern = if name.starts_with(NAME) {
                        name
                    } else {
                        from_folder(folder_of(path), &name)
                    };
                    for found in files.included(&pattern, false, at) {
                        file(files, site, &found, given, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Returns how many statements a block has that was just opened, with the one that ends it.
fn block(statements: &[Statement]) -> usize {
    let mut depth = 1_usize;
    for (at, statement) in statements.iter().enumerate() {
        match statement.end {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    statements.len()
}

fn serve(files: &mut Files<'_>, variables: &Values, folder: &str, at: Place<'_>) {
    for path in resolved(folder, variables) {
        files.serve(&path, at);
    }
}

/// Puts the arguments of an import into a word.
fn with_arguments(word: &str, arguments: &[String]) -> String {
    let mut word = word.to_owned();
    for (at, argument) in arguments.iter().enumerate().take(20) {
        if word.len() + argument.len() <= MAX_PATH && word.contains("{args") {
            word = word.replacen(&format!("{{args[{at}]}}"), argument, 1);
            word = word.replacen(&format!("{{args.{at}}}"), argument, 1);
        }
    }
    word
}

/// Replaces placeholders by what they stand for: `{$NAME:default}`, `{vars.name}`; by marks, where a request tells.
fn resolved(word: &str, variables: &Values) -> Vec<String> {
    super::values::between(word, "{", '}', |name, paths: &mut Paths| {
        if let Some(environment) = name.strip_prefix('$') {
            match environment.split_once(':') {
                Some((_, default)) => paths.text(default),
                None => paths.mark(NAME),
            }
            return;
        }
        let variable = name.strip_prefix("http.").unwrap_or(name).strip_prefix("vars.");
        match variable {
            Some(variable) => paths.each(variables.of(variable)),
            None if name.contains("path") || name.contains("uri") => paths.mark(REST),
            None => paths.mark(NAME),
        }
    })
}

/// Splits a file into statements, each ended by the end of its line or by a brace that stands alone.
fn statements(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut words = Vec::new();
        for word in self::words(line) {
            if word == "{" || word == "}" {
                let words = std::mem::take(&mut words);
                let end = if word == "{" { '{' } else { '}' };
                statements.push(Statement { words, end, line: at + 1 });
            } else {
                words.push(word);
            }
        }
        if !words.is_empty() {
            statements.push(Statement { words, end: '\n', line: at + 1 });
        }
    }
    statements
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '#' {
            break;
        }
        let (word, after) = if first == '"' || first == '`' {
            let inside = rest.get(1..).unwrap_or_default();
            inside.split_once(first).unwrap_or((inside, ""))
        } else {
            rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()))
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}
