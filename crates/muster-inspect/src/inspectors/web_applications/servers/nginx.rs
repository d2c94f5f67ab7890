//! nginx: `root` and `alias`.

use super::{Files, MAX_DEPTH, folder_of, from_folder};

const MAIN: [&str; 2] = ["/etc/nginx/nginx.conf", "/usr/local/nginx/conf/nginx.conf"];

pub(super) fn read(files: &mut Files<'_>) {
    for main in MAIN {
        // Paths are relative to the folder of the main file.
        file(files, folder_of(main), main, 0);
    }
}

fn file(files: &mut Files<'_>, prefix: &str, path: &str, depth: usize) {
    let Some(text) = files.text(path) else { return };
    for statement in statements(&text) {
        let Some((directive, arguments)) = statement.split_first() else { continue };
        match (directive.as_str(), arguments) {
            ("root" | "alias", [folder, ..]) => files.serve(&from_folder(prefix, folder), path),
            ("include", [pattern, ..]) if depth < MAX_DEPTH => {
                for found in files.matching(&from_folder(prefix, pattern), false) {
                    file(files, prefix, &found, depth + 1);
                }
            }
            _ => {}
        }
    }
}

/// Splits a file into statements, each ended by `;` or the brace of its block.
fn statements(text: &str) -> Vec<Vec<String>> {
    let (mut statements, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' if word.is_none() => {
                let mut quoted = String::new();
                while let Some(inside) = chars.next() {
                    match inside {
                        '\\' => quoted.extend(chars.next()),
                        end if end == c => break,
                        other => quoted.push(other),
                    }
                }
                words.push(quoted);
            }
            '#' if word.is_none() => {
                chars.by_ref().find(|c| *c == '\n');
            }
            ';' | '{' | '}' => {
                words.extend(word.take());
                statements.push(std::mem::take(&mut words));
            }
            c if c.is_whitespace() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            // `${name}` is a variable within a word, and no block.
            '$' if chars.peek() == Some(&'{') => {
                let word = word.get_or_insert_default();
                word.push('$');
                word.extend(chars.by_ref().take_while(|c| *c != '}'));
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    statements
}
