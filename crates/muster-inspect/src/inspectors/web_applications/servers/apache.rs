//! Apache httpd: `DocumentRoot`, the aliases, mass virtual hosts, what is handed to FastCGI, and `UserDir`. Values come
//! from `Define`, from the macros of mod_macro, and from the file that sets the environment of the server (`envvars`).

use std::collections::BTreeMap;

use super::values::{NAME, Paths, Values, between, without_captures, without_hosts};
use super::{Files, MAX_DEPTH, MAX_PATH, Place, folder_of, from_folder};

/// The main files with the `ServerRoot` of who built it, and the file of its environment.
const MAIN: [(&str, &str, &str); 9] = [
    ("/etc/apache2/apache2.conf", "/etc/apache2", "/etc/apache2/envvars"),
    ("/etc/httpd/conf/httpd.conf", "/etc/httpd", "/etc/sysconfig/httpd"),
    // SUSE, Gentoo and Alpine; then cPanel.
    ("/etc/apache2/httpd.conf", "/etc/apache2", "/etc/sysconfig/apache2"),
    ("/etc/apache2/conf/httpd.conf", "/etc/apache2", "/etc/conf.d/apache2"),
    ("/usr/local/apache2/conf/httpd.conf", "/usr/local/apache2", "/usr/local/apache2/bin/envvars"),
    ("/usr/local/apache/conf/httpd.conf", "/usr/local/apache", ""),
    // XAMPP, and Bitnami's stacks.
    ("/opt/lampp/etc/httpd.conf", "/opt/lampp", "/opt/lampp/bin/envvars"),
    ("/opt/bitnami/apache/conf/httpd.conf", "/opt/bitnami/apache", ""),
    ("/opt/bitnami/apache2/conf/httpd.conf", "/opt/bitnami/apache2", ""),
];
/// Further servers of Debian's, each with a folder of its own.
const INSTANCES: &str = "/etc/apache2-*/apache2.conf";

/// Lines that macros are written out to.
const MAX_MACRO_LINES: usize = 5000;
/// Bytes of a line of a macro, and of what is put into it.
const MAX_MACRO_LINE: usize = 4096;
const MAX_ARGUMENT: usize = 256;

#[derive(Default)]
struct Server {
    root: String,
    defined: Values,
    macros: BTreeMap<String, Macro>,
    written_out: usize,
}

#[derive(Clone, Default)]
struct Macro {
    parameters: Vec<String>,
    lines: Vec<String>,
}

pub(super) fn read(files: &mut Files<'_>) {
    for (main, root, environment) in MAIN {
        server(files, main, root, environment);
    }
    for main in files.matching(INSTANCES, false) {
        let folder = folder_of(&main).to_owned();
        server(files, &main, &folder, &format!("{folder}/envvars"));
    }
}

fn server(files: &mut Files<'_>, main: &str, root: &str, envvars: &str) {
    if !files.root.is_there(main) {
        return;
    }
    let mut server = Server { root: root.to_owned(), ..Server::default() };
    if let Some(text) = (!envvars.is_empty()).then(|| files.text(envvars)).flatten() {
        environment(&text, &mut server.defined);
    }
    file(files, &mut server, main, 0);
}

/// Takes the variables that a file of the shell sets.
fn environment(text: &str, defined: &mut Values) {
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let Some((name, value)) = line.split_once('=') else { continue };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        let (value, is_literal) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                (value.get(1..).and_then(|v| v.split(quote).next()), quote == '\'')
            }
            _ => (value.split([' ', '\t', ';', '#']).next(), false),
        };
        let value = value.unwrap_or_default();
        let values = if is_literal { vec![value.to_owned()] } else { of_shell(value, defined) };
        for value in values {
            defined.add(name, value);
        }
    }
}

/// Expands the variables of a word as a shell does, where that takes no more than their values.
fn of_shell(word: &str, defined: &Values) -> Vec<String> {
    let mut paths = Paths::new();
    let mut rest = word;
    while let Some(at) = rest.find(['$', '`']) {
        let (before, after) = rest.split_at(at);
        paths.text(before);
        let inside = after.strip_prefix("${").and_then(|a| a.split_once('}'));
        let (name, default, next) = if let Some((inside, next)) = inside {
            let end = inside.find([':', '-', '=', '#', '%', '+', '?']).unwrap_or(inside.len());
            let (name, how) = inside.split_at(end);
            let default =
                [":-", ":=", "-", "="].iter().find_map(|operator| how.strip_prefix(operator));
            (if how.is_empty() || default.is_some() { name } else { "" }, default, next)
        } else {
            let after = after.get(1..).unwrap_or_default();
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = after.find(|c| !is_part(c)).unwrap_or(after.len());
            let (name, next) = after.split_at(end);
            // What a command says is not known, nor where it ends.
            (name, None, if name.is_empty() { "" } else { next })
        };
        match (defined.of(name), default) {
            ([], Some(default)) => paths.text(default),
            (values, _) => paths.each(values),
        }
        rest = next;
    }
    paths.text(rest);
    paths.into_all()
}

fn file(files: &mut Files<'_>, server: &mut Server, path: &str, depth: usize) {
    let Some(text) = files.text(path) else { return };
    let mut open: Option<(String, Macro)> = None;
    let mut joined = String::new();
    for (at, line) in text.lines().enumerate() {
        // A backslash at the end of a line joins it with the next.
        if let Some(part) = line.strip_suffix('\\') {
            joined.push_str(part);
            joined.push(' ');
            continue;
        }
        let whole = std::mem::take(&mut joined) + line;
        let words = words(&whole);
        let first = words.first().map(|w| w.to_ascii_lowercase()).unwrap_or_default();
        if first.starts_with("</macro") {
            if let Some((name, own)) = open.take() {
                server.macros.insert(name, own);
            }
        } else if let Some((_, own)) = &mut open {
            if own.lines.len() < MAX_MACRO_LINES && whole.len() <= MAX_MACRO_LINE {
                own.lines.push(whole);
            }
        } else if first == "<macro" {
            let mut names = words.iter().skip(1).map(|w| w.trim_end_matches('>').to_owned());
            let name = names.next().unwrap_or_default().to_ascii_lowercase();
            let parameters = names.filter(|n| !n.is_empty()).take(100).collect();
            open = Some((name, Macro { parameters, lines: Vec::new() }));
        } else {
            directive(files, server, &words, (path, at + 1), depth);
        }
    }
}

/// Takes what one line says.
fn directive(
    files: &mut Files<'_>,
    server: &mut Server,
    words: &[String],
    (file_path, line): (&str, usize),
    depth: usize,
) {
    let Some((directive, arguments)) = words.split_first() else { return };
    let at = Place { file: file_path, line, directive };
    let name = directive.to_ascii_lowercase();
    let expand = |server: &Server, word: &str| expanded(word, &server.defined);
    match (name.as_str(), arguments) {
        ("serverroot", [root, ..]) => {
            if let [root] = expand(server, root).as_slice()
                && root.len() < MAX_PATH
            {
                server.root.clone_from(root);
            }
        }
        ("define", [name, value, ..]) => {
            for value in expand(server, value) {
                server.defined.add(name, value);
            }
        }
        ("documentroot", [folder, ..]) => serve(files, server, folder, at),
        ("virtualdocumentroot" | "virtualdocumentrootip", [folder, ..])
        | ("virtualscriptalias" | "virtualscriptaliasip", [folder, ..])
            if !folder.eq_ignore_ascii_case("none") =>
        {
            serve(files, server, &without_hosts(folder), at);
        }
        // In a `<Location>`, an alias has the target alone.
        ("alias" | "scriptalias" | "wsgiscriptalias", [url, rest @ ..]) => {
            let target = rest.first().unwrap_or(url);
            serve(files, server, target, at);
            let is_plain = name != "wsgiscriptalias" && url.len() > 1 && url.ends_with('/');
            if is_plain && !rest.is_empty() && !target.ends_with('/') {
                // `/a/` to `/srv/x`: what was asked for is put right behind it.
                serve(files, server, &format!("{target}{}", super::REST), at);
            }
        }
        ("aliasmatch" | "scriptaliasmatch" | "wsgiscriptaliasmatch", [first, rest @ ..]) => {
            let target = without_captures(rest.first().unwrap_or(first), '$');
            serve(files, server, &target, at);
        }
        ("php_admin_value" | "php_value", [name, folder, ..])
            if name.eq_ignore_ascii_case("doc_root") =>
        {
            serve(files, server, folder, at);
        }
        ("proxypass" | "proxypassmatch" | "sethandler", arguments) => {
            for path in arguments.iter().filter_map(|word| of_fcgi(word)) {
                serve(files, server, &without_captures(&path, '$'), at);
            }
        }
        ("rewriterule", [_, target, flags @ ..]) => {
            rewrite(files, server, target, flags.first().map_or("", |f| f), at);
        }
        // What serves is asked of a database, or of a program.
        ("dbdocroot" | "vhostldapurl" | "<perl>" | "vhost_dbi_query", _) => files.unresolved(at),
        ("userdir", folders) => user_folders(files, server, folders, at),
        ("include" | "includeoptional", [pattern, ..]) if depth < MAX_DEPTH => {
            for pattern in expand(server, pattern) {
                let pattern = from_root(server, &pattern);
                for found in files.included(&pattern, true, at) {
                    file(files, server, &found, depth + 1);
                }
            }
        }
        ("use", [name, arguments @ ..]) if depth < MAX_DEPTH => {
            let Some(used) = server.macros.get(&name.to_ascii_lowercase()).cloned() else { return };
            for text in used.lines {
                server.written_out += 1;
                if server.written_out > MAX_MACRO_LINES {
                    files.unresolved(at);
                    return;
                }
                let written = written_out(text, &used.parameters, arguments);
                self::directive(
                    files,
                    server,
                    &self::words(&written),
                    (file_path, line),
                    depth + 1,
                );
            }
        }
        _ => {}
    }
}

/// Puts the arguments of a macro into a line of it, those of longer names first.
fn written_out(mut line: String, parameters: &[String], arguments: &[String]) -> String {
    let mut pairs: Vec<_> = parameters.iter().zip(arguments).collect();
    pairs.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, value) in pairs {
        if value.len() <= MAX_ARGUMENT && line.len() <= MAX_MACRO_LINE {
            line = line.replace(name.as_str(), value);
        }
    }
    line
}

/// Serves what a word stands for.
fn serve(files: &mut Files<'_>, server: &Server, word: &str, at: Place<'_>) {
    for path in expanded(word, &server.defined) {
        // A script serves what lies in its folder.
        let is_script = [".wsgi", ".py", ".cgi", ".fcgi", ".php"].iter().any(|e| path.ends_with(e));
        let path = from_root(server, &path);
        files.serve(if is_script { folder_of(&path) } else { &path }, at);
    }
}

/// Writes a path from `/`, where it was relative to the folder of the server; one of which the beginning is not known
/// stays so.
fn from_root(server: &Server, path: &str) -> String {
    if path.starts_with([NAME, super::REST]) {
        path.to_owned()
    } else {
        from_folder(&server.root, path)
    }
}

/// Returns the path that a server of FastCGI is told: `fcgi://127.0.0.1:9000/srv/x/$1`.
fn of_fcgi(word: &str) -> Option<String> {
    let (_, behind) = word.split_once("fcgi://")?;
    let path = behind.get(behind.find('/')?..)?;
    // `/$1` leads wherever a request does, below the document root.
    let first = path.trim_start_matches('/').chars().next()?;
    (!"$%".contains(first)).then(|| path.to_owned())
}

/// Serves the folder that requests are rewritten to, where that is one of the file system: Apache looks whether its first
/// name is there, and takes it for a URL otherwise.
fn rewrite(files: &mut Files<'_>, server: &Server, target: &str, flags: &str, at: Place<'_>) {
    let flags = flags.trim_matches(['[', ']']).to_ascii_lowercase();
    let is_elsewhere = flags.split(',').any(|flag| {
        let flag = flag.split('=').next().unwrap_or_default().trim();
        ["r", "redirect", "p", "proxy", "pt", "passthrough", "f", "forbidden", "g", "gone"]
            .contains(&flag)
    });
    let first = target.strip_prefix('/').and_then(|t| t.split('/').next()).unwrap_or_default();
    if is_elsewhere || first.is_empty() || first.contains(['$', '%', '\0', '?']) {
        return;
    }
    if target.matches('/').count() > 1 && files.root.is_there(&format!("/{first}")) {
        let target = target.split('?').next().unwrap_or_default();
        let target = between(target, "%{", '}', |_, paths| paths.mark(NAME));
        for target in target {
            let target = between(&target, "${", '}', |_, paths| paths.mark(NAME));
            for target in target {
                let target = without_captures(&without_captures(&target, '$'), '%');
                serve(files, server, &target, at);
            }
        }
    }
}

/// Serves a folder of every account: `public_html` in its home, `/var/html` with its name, `/srv/*/docs` with it for the star.
fn user_folders(files: &mut Files<'_>, server: &Server, folders: &[String], at: Place<'_>) {
    for folder in folders {
        if ["disabled", "enabled"].iter().any(|word| folder.eq_ignore_ascii_case(word)) {
            return;
        }
        for folder in expanded(folder, &server.defined) {
            let name = NAME.to_string();
            if folder.contains("://") {
                continue;
            } else if folder.contains('*') {
                files.serve(&folder.replace('*', &name), at);
            } else if folder.starts_with('/') {
                files.serve(&format!("{}/{name}", folder.trim_end_matches('/')), at);
            } else {
                files.homes(&folder, at);
            }
        }
    }
}

/// Splits a line into words, with quotes.
fn words(line: &str) -> Vec<String> {
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
        words.push(word.to_owned());
        rest = after;
    }
    words
}

/// Replaces `${NAME}` by what it stands for, and an expression (`%{…}`) by a mark.
fn expanded(word: &str, defined: &Values) -> Vec<String> {
    let words = between(word, "${", '}', |name, paths| paths.each(defined.of(name)));
    let marked =
        words.into_iter().flat_map(|word| between(&word, "%{", '}', |_, paths| paths.mark(NAME)));
    marked.collect()
}
