//! nginx and what was made of it: `root`, `alias`, and what FastCGI is told of a script's place. Values come from `set`,
//! `map`, `geo` and `split_clients`, wherever they stand.

use super::values::{NAME, Paths, REST, Values};
use super::{Files, MAX_DEPTH, Place, folder_of, from_folder};

/// The main files, and the folders that relative paths of documents may be meant from: the one that was compiled in, which
/// is another in nginx.org's packages than in those of Debian and Red Hat.
const MAIN: [(&str, &[&str]); 5] = [
    ("/etc/nginx/nginx.conf", &["/etc/nginx", "/usr/share/nginx"]),
    ("/usr/local/nginx/conf/nginx.conf", &["/usr/local/nginx"]),
    ("/usr/local/openresty/nginx/conf/nginx.conf", &["/usr/local/openresty/nginx"]),
    ("/opt/bitnami/nginx/conf/nginx.conf", &["/opt/bitnami/nginx"]),
    ("/etc/angie/angie.conf", &["/etc/angie", "/usr/share/angie"]),
];
/// What is served where no configuration says it.
const DEFAULT: &str = "html";

/// Statements of one configuration.
const MAX_STATEMENTS: usize = 100_000;
/// How often a variable is replaced.
const MAX_EXPANSIONS: usize = 20_000;
/// How deep the values of variables have variables.
const MAX_NESTING: usize = 8;

struct Statement {
    words: Vec<String>,
    /// `;`, or the brace.
    end: char,
    line: usize,
    /// The number of its file.
    file: usize,
}

#[derive(Default)]
struct Configuration {
    files: Vec<String>,
    statements: Vec<Statement>,
}

/// A block that is open.
#[derive(Default)]
struct Block {
    is_server: bool,
    /// Whether it says itself where documents lie, or that there are none.
    says_root: bool,
}

pub(super) fn read(files: &mut Files<'_>) {
    for (main, prefixes) in MAIN {
        if !files.root.is_there(main) {
            continue;
        }
        let mut configuration = Configuration::default();
        gather(files, &mut configuration, folder_of(main), main, 0);
        let values = values(&configuration);
        let mut left = MAX_EXPANSIONS;
        serve(files, &configuration, prefixes, |text| {
            let mut paths = Paths::new();
            expand(text, &values, &mut paths, &mut left, 0);
            paths.into_all()
        });
    }
}

/// Gathers the statements of a file, and where it includes others, theirs.
fn gather(files: &mut Files<'_>, all: &mut Configuration, folder: &str, path: &str, depth: usize) {
    let Some(text) = files.text(path) else { return };
    let file = all.files.len();
    all.files.push(path.to_owned());
    for (words, end, line) in statements(&text) {
        if all.statements.len() == MAX_STATEMENTS {
            files.note(path, format!("the configuration has more than {MAX_STATEMENTS} statements; the rest was not read"));
            return;
        }
        let included = match words.as_slice() {
            [first, pattern, ..] if first == "include" && depth < MAX_DEPTH => {
                let at = Place { file: path, line, directive: "include" };
                files.included(&from_folder(folder, pattern), false, at)
            }
            _ => Vec::new(),
        };
        all.statements.push(Statement { words, end, line, file });
        for found in included {
            gather(files, all, folder, &found, depth + 1);
        }
    }
}

/// Returns what variables stand for.
fn values(configuration: &Configuration) -> Values {
    let mut values = Values::default();
    let mut open: Vec<Option<String>> = Vec::new();
    for statement in &configuration.statements {
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        match (statement.end, words.as_slice()) {
            ('{', ["map" | "geo" | "split_clients", .., variable]) => {
                open.push(Some(variable.trim_start_matches('$').to_owned()));
            }
            ('{', _) => open.push(None),
            ('}', _) => {
                open.pop();
            }
            (_, ["set", variable, value]) => {
                values.add(variable.trim_start_matches('$'), (*value).to_owned());
            }
            (_, [key, value]) if *key != "include" => {
                if let Some(Some(variable)) = open.last() {
                    values.add(variable, (*value).to_owned());
                }
            }
            _ => {}
        }
    }
    values
}

fn serve(
    files: &mut Files<'_>,
    configuration: &Configuration,
    prefixes: &[&str],
    mut expand: impl FnMut(&str) -> Vec<String>,
) {
    let mut open: Vec<Block> = Vec::new();
    for statement in &configuration.statements {
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        let Some(file) = configuration.files.get(statement.file) else { continue };
        let directive = words.first().copied().unwrap_or_default();
        let at = Place { file, line: statement.line, directive };
        let mut take = |text: &str, files: &mut Files<'_>| {
            for path in expand(text) {
                match path.chars().next() {
                    Some('/' | NAME | REST) => files.serve(&path, at),
                    _ => prefixes.iter().for_each(|p| files.serve(&from_folder(p, &path), at)),
                }
            }
        };
        match words.as_slice() {
            // This is what the root is otherwise.
            ["root" | "alias", folder, ..] if is_own_root(folder) => {}
            ["root" | "alias", folder, ..] => take(folder, files),
            ["fastcgi_param" | "uwsgi_param" | "scgi_param", name, place, ..]
                if ["SCRIPT_FILENAME", "DOCUMENT_ROOT"].contains(name) && !is_own_root(place) =>
            {
                let is_script = place.ends_with(".php");
                take(if is_script { folder_of(place) } else { place }, files);
            }
            _ => {}
        }
        let is_handled = ["return", "include", "proxy_pass", "rewrite"].contains(&directive)
            || words.starts_with(&["location", "/"]);
        if let Some(block) = open.last_mut() {
            block.says_root |= directive == "root" || block.is_server && is_handled;
        }
        match statement.end {
            '{' => open.push(Block { is_server: words == ["server"], ..Block::default() }),
            '}' => {
                let is_bare = open.pop().is_some_and(|b| b.is_server && !b.says_root);
                if is_bare && !open.iter().any(|block| block.says_root) {
                    let at = Place { directive: "server", ..at };
                    prefixes.iter().for_each(|p| files.serve(&from_folder(p, DEFAULT), at));
                }
            }
            _ => {}
        }
    }
}

/// Tells whether a value begins with the root that is told elsewhere.
fn is_own_root(value: &str) -> bool {
    ["document_root", "realpath_root", "request_filename"].iter().any(|name| {
        value
            .strip_prefix('$')
            .is_some_and(|v| v.strip_prefix('{').unwrap_or(v).strip_prefix(name).is_some())
    })
}

/// Appends what a text stands for, its variables replaced.
fn expand(text: &str, values: &Values, paths: &mut Paths, left: &mut usize, depth: usize) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        paths.text(before);
        let (name, next) = match after.strip_prefix('{').and_then(|a| a.split_once('}')) {
            Some(braced) => braced,
            None => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                after.split_at(after.find(|c| !is_part(c)).unwrap_or(after.len()))
            }
        };
        rest = next;
        let own = values.of(name);
        if !own.is_empty() && depth < MAX_NESTING && *left >= own.len() {
            *left -= own.len();
            let mut all: Vec<String> = Vec::new();
            for value in own {
                let mut inner = Paths::new();
                expand(value, values, &mut inner, left, depth + 1);
                all.append(&mut inner.into_all());
            }
            paths.each(&all);
        } else {
            paths.mark(if is_rest(name) { REST } else { NAME });
        }
    }
    paths.text(rest);
}

/// Tells whether a variable has slashes in it: a capture, or a part of what was asked for.
fn is_rest(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty()
        || ["uri", "request_uri", "document_uri", "fastcgi_script_name", "fastcgi_path_info"]
            .contains(&name)
}

/// Splits a file into statements, each ended by `;` or the brace of its block, with the lines where they end.
fn statements(text: &str) -> Vec<(Vec<String>, char, usize)> {
    let (mut statements, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut line = 1;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        match c {
            '"' | '\'' if word.is_none() => {
                let mut quoted = String::new();
                while let Some(inside) = chars.next() {
                    line += usize::from(inside == '\n');
                    match inside {
                        '\\' => quoted.extend(chars.next()),
                        end if end == c => break,
                        other => quoted.push(other),
                    }
                }
                words.push(quoted);
            }
            '#' if word.is_none() => {
                if chars.by_ref().any(|c| c == '\n') {
                    line += 1;
                }
            }
            ';' | '{' | '}' => {
                words.extend(word.take());
                statements.push((std::mem::take(&mut words), c, line));
                // More are not read.
                if statements.len() > MAX_STATEMENTS {
                    break;
                }
            }
            c if c.is_whitespace() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            // `${name}` is a variable within a word, and no block.
            '$' if chars.peek() == Some(&'{') => {
                let word = word.get_or_insert_default();
                word.push('$');
                word.extend(chars.by_ref().take_while(|c| *c != '}'));
                word.push('}');
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    statements
}
