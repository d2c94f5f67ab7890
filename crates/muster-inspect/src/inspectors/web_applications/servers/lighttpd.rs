//! lighttpd: `server.document-root` and `alias.url`.

use std::collections::BTreeMap;

use super::{Files, MAX_DEFINED, MAX_DEPTH, MAX_PATH, folder_of, from_folder};

const MAIN: &str = "/etc/lighttpd/lighttpd.conf";

pub(super) fn read(files: &mut Files<'_>) {
    file(files, &mut BTreeMap::new(), MAIN, 0);
}

fn file(files: &mut Files<'_>, variables: &mut BTreeMap<String, String>, path: &str, depth: usize) {
    let Some(text) = files.text(path) else { return };
    let tokens = tokens(&text);
    let mut rest = tokens.as_slice();
    while let Some((token, after)) = rest.split_first() {
        rest = after;
        let Token::Word(name) = token else { continue };
        match (name.as_str(), after) {
            ("include", [Token::Text(pattern), ..]) if depth < MAX_DEPTH => {
                for found in files.matching(&from_folder(folder_of(MAIN), pattern), false) {
                    file(files, variables, &found, depth + 1);
                }
            }
            ("include_shell", _) => {
                files.note(path, "takes a part of its configuration from a program (include_shell), which is not run: what that serves is not known".to_owned());
            }
            (_, [Token::Sign('='), value @ ..]) => {
                if name == "alias.url" {
                    targets(files, value, path);
                } else if let Some(value) = joined(value, variables) {
                    if name == "server.document-root" {
                        files.serve(&value, path);
                    }
                    if variables.len() < MAX_DEFINED && name.len() < MAX_PATH {
                        variables.insert(name.clone(), value);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Serves what stands behind each `=>` up to the end of the list.
fn targets(files: &mut Files<'_>, value: &[Token], path: &str) {
    for pair in value.windows(2) {
        match pair {
            [Token::Sign('>'), Token::Text(target)] => files.serve(target, path),
            // The end of the list; without one, where the next value begins.
            [Token::Sign(')' | '='), _] => return,
            _ => {}
        }
    }
}

/// Joins texts and variables with a plus between them.
fn joined(value: &[Token], variables: &BTreeMap<String, String>) -> Option<String> {
    let mut joined = String::new();
    for (at, token) in value.iter().enumerate() {
        match token {
            Token::Sign('+') if at % 2 == 1 => continue,
            Token::Text(text) if at % 2 == 0 => joined.push_str(text),
            Token::Word(name) if at % 2 == 0 => joined.push_str(variables.get(name)?),
            _ if at % 2 == 1 => break,
            _ => return None,
        }
        if joined.len() > MAX_PATH {
            return None;
        }
    }
    Some(joined)
}

enum Token {
    Word(String),
    Text(String),
    /// One character; `=>` is a `>`, `+=` and `:=` are a `=`.
    Sign(char),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '#' => {
                chars.by_ref().find(|c| *c == '\n');
            }
            '"' | '\'' => {
                let mut inside = String::new();
                while let Some(next) = chars.next() {
                    match next {
                        '\\' => inside.extend(chars.next()),
                        end if end == c => break,
                        other => inside.push(other),
                    }
                }
                tokens.push(Token::Text(inside));
            }
            '+' | ':' if chars.peek() == Some(&'=') => {}
            '=' if chars.peek() == Some(&'>') => {}
            c if c.is_whitespace() => {}
            c if c.is_alphanumeric() || "._-".contains(c) => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || "._-".contains(*c)) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
            c => tokens.push(Token::Sign(c)),
        }
    }
    tokens
}
