//! Paths of which a part is told elsewhere, or by each request: `/srv/vh/%0`, `${BASE}/htdocs`.
//!
//! Conditions are not evaluated, so a name may stand for several values, and a path for several paths. What no
//! configuration tells is marked in a path by a character that none has.

use std::collections::BTreeMap;

use super::{MAX_DEFINED, MAX_PATH};

/// Stands for a piece that is not known.
pub(super) const NAME: char = '\u{1}';
/// Stands for the rest of what was asked for, with its slashes, or for a piece of it.
pub(super) const REST: char = '\u{2}';

/// Paths that one value may stand for.
const MAX_PATHS: usize = 64;
/// Values that one name may have.
const MAX_VALUES: usize = 16;

/// What names stand for.
#[derive(Clone, Default)]
pub(super) struct Values(BTreeMap<String, Vec<String>>);

impl Values {
    /// Adds a value of a name. What is beyond the bounds is not known.
    pub(super) fn add(&mut self, name: &str, value: String) {
        if self.0.len() == MAX_DEFINED && !self.0.contains_key(name) || name.len() > MAX_PATH {
            return;
        }
        let values = self.0.entry(name.to_owned()).or_default();
        let value = if value.len() < MAX_PATH { value } else { NAME.to_string() };
        if let Some(last) = values.get_mut(MAX_VALUES - 1) {
            *last = NAME.to_string();
        } else if !values.contains(&value) {
            values.push(value);
        }
    }

    /// Returns the values of a name; none where nothing is known of it.
    pub(super) fn of(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// What a value stands for, piece by piece.
pub(super) struct Paths(Vec<String>);

impl Paths {
    pub(super) fn new() -> Self {
        Self(vec![String::new()])
    }

    /// Appends what is written as it is.
    pub(super) fn text(&mut self, text: &str) {
        for path in &mut self.0 {
            if path.len() + text.len() <= MAX_PATH {
                path.push_str(text);
            } else {
                // No path is that long.
                path.push('\0');
            }
        }
    }

    /// Appends a mark.
    pub(super) fn mark(&mut self, mark: char) {
        self.text(mark.encode_utf8(&mut [0; 4]));
    }

    /// Appends each of several values; a mark, where there are none or too many.
    pub(super) fn each(&mut self, values: &[String]) {
        if values.is_empty() || self.0.len() * values.len() > MAX_PATHS {
            self.mark(NAME);
            return;
        }
        let mut all = Vec::with_capacity(self.0.len() * values.len());
        for value in values {
            let mut with = Self(self.0.clone());
            with.text(value);
            all.append(&mut with.0);
        }
        self.0 = all;
    }

    pub(super) fn into_all(self) -> Vec<String> {
        self.0
    }
}

/// Replaces what stands between two texts by what it stands for.
pub(super) fn between(
    text: &str,
    open: &str,
    close: char,
    mut what: impl FnMut(&str, &mut Paths),
) -> Vec<String> {
    let mut paths = Paths::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        let Some((name, after)) = after.split_once(close) else { break };
        paths.text(before);
        what(name, &mut paths);
        rest = after;
    }
    paths.text(rest);
    paths.into_all()
}

/// Replaces a mark and the digit behind it, as of what an expression captured (`$1`, `%1`), by the rest of a request.
pub(super) fn without_captures(text: &str, mark: char) -> String {
    let mut without = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c == mark && characters.next_if(char::is_ascii_digit).is_some() {
            without.push(REST);
        } else {
            without.push(c);
        }
    }
    without
}

/// Replaces what stands for the name of a host, or for parts of it: Apache's mod_vhost_alias (`%0`, `%-2.1+`, `%p`), and
/// lighttpd's mod_evhost (`%0`, `%_`, `%{1.2}`).
pub(super) fn without_hosts(text: &str) -> String {
    let mut without = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '%' {
            without.push(c);
            continue;
        }
        match characters.next() {
            Some('%') => without.push('%'),
            Some('{') => {
                characters.by_ref().find(|c| *c == '}');
                without.push(NAME);
            }
            _ => {
                // A dot belongs to it where digits follow: `%2.1`, and not in `%0.d`.
                while let Some(next) = characters.peek().copied() {
                    let mut ahead = characters.clone();
                    ahead.next();
                    let is_dot =
                        next == '.' && ahead.next().is_some_and(|c| c.is_ascii_digit() || c == '-');
                    if !is_dot && !next.is_ascii_digit() && next != '+' {
                        break;
                    }
                    characters.next();
                    if is_dot {
                        characters.next();
                    }
                }
                without.push(NAME);
            }
        }
    }
    without
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_hosts_are_told_from_what_is_written() {
        for (text, without) in [
            ("/srv/%0", "/srv/\u{1}"),
            ("/srv/%-2.1+/%p/x", "/srv/\u{1}/\u{1}/x"),
            ("/srv/%0.d/100%%", "/srv/\u{1}.d/100%"),
            ("/srv/%2.-1/%_/", "/srv/\u{1}/\u{1}/"),
            ("/srv/%{1.2}/", "/srv/\u{1}/"),
            ("%", "\u{1}"),
        ] {
            assert_eq!(without_hosts(text), without, "{text}");
        }
    }

    #[test]
    fn too_many_values_are_none_that_is_known() {
        let mut values = Values::default();
        for n in 0..100 {
            values.add("a", n.to_string());
        }
        let paths =
            |text: &str| between(text, "${", '}', |name, paths| paths.each(values.of(name)));
        assert_eq!(paths("/${a}").len(), MAX_VALUES);
        assert_eq!(paths("/${a}/${a}").len(), MAX_VALUES);
        assert!(paths("/${a}/${a}").iter().all(|path| path.ends_with(NAME)));
        assert_eq!(paths("/${b"), ["/${b"]);
    }
}
