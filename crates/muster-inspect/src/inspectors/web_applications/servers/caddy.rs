//! Caddy: `root` in a Caddyfile, and wherever a JSON configuration names one.

use super::{Files, MAX_DEPTH, folder_of, from_folder};

const MAIN: &str = "/etc/caddy/Caddyfile";
const JSON: &str = "/etc/caddy/caddy.json";

pub(super) fn read(files: &mut Files<'_>) {
    file(files, MAIN, 0);
    let Some(text) = files.text(JSON) else { return };
    match serde_json::from_str(&text) {
        Ok(value) => roots(files, &value),
        Err(error) => {
            files.note(JSON, format!("cannot be understood: {error}; what it serves is not known"));
        }
    }
}

fn roots(files: &mut Files<'_>, value: &serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str().filter(|_| key == "root") {
                    Some(folder) => files.serve(folder, JSON),
                    None => roots(files, value),
                }
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| roots(files, value)),
        _ => {}
    }
}

fn file(files: &mut Files<'_>, path: &str, depth: usize) {
    let Some(text) = files.text(path) else { return };
    for line in text.lines() {
        let mut words = words(line).into_iter();
        match words.next().as_deref() {
            // The folder follows a matcher (`*`, `/path*`, `@name`), or comes alone.
            Some("root") => {
                if let Some(folder) = words.next_back() {
                    files.serve(&folder, path);
                }
            }
            Some("import") if depth < MAX_DEPTH => {
                let Some(pattern) = words.next() else { continue };
                for found in files.matching(&from_folder(folder_of(path), &pattern), false) {
                    file(files, &found, depth + 1);
                }
            }
            _ => {}
        }
    }
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
