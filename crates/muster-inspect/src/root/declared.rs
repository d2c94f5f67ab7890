//! The paths that an inspector declares, and a root that shows it these and no others.
//!
//! A pattern is a path from `/`; `*` in a name stands for any characters but a slash, a final `/**` for everything
//! below, a `/**/` before that for any directories, a final `/` for the names in a directory without what the files in it
//! say. What is not declared is not there: so a tar, of which only declared paths are kept, shows the same as the directory
//! it was made of. Names alone are no secret to a walk: that something lies at a path, and whose it is, may always be asked.

use muster_core::fact::Reading;

use super::{Content, Entry, Look, Root, Walked, Wanted, obstacle};

/// One declared path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    parts: Vec<String>,
    tail: Tail,
    /// The names behind `**`, in whatever directory they stand.
    deep: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// The path itself.
    File,
    /// Everything below it.
    Below,
    /// The names in it.
    Names,
}

/// What a pattern wants of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// What the file says.
    Content,
    /// That its first components, so many of them, are there.
    Name(usize),
}

impl Pattern {
    pub(crate) fn new(pattern: &str) -> Self {
        if let Some((above, deep)) = pattern.split_once("**/") {
            let names = |path| components(path).map(String::from).collect();
            return Self { parts: names(above), tail: Tail::File, deep: names(deep) };
        }
        let (path, tail) = match pattern.strip_suffix("/**") {
            Some(path) => (path, Tail::Below),
            None if pattern.ends_with('/') => (pattern, Tail::Names),
            None => (pattern, Tail::File),
        };
        Self { parts: components(path).map(String::from).collect(), tail, deep: Vec::new() }
    }

    /// Returns the names behind `**`; none where it has none.
    pub(crate) fn deep(&self) -> &[String] {
        &self.deep
    }

    /// Returns what it wants of the path with these components.
    pub(crate) fn fit(&self, path: &[&str]) -> Option<Fit> {
        let own = self.parts.len();
        if !self.deep.is_empty() {
            return self.fits_deep(path).then_some(Fit::Content);
        }
        let shared = own.min(path.len());
        if !self.parts.iter().zip(path).all(|(part, name)| glob(part, name)) {
            return None;
        }
        match self.tail {
            _ if path.len() < own => None,
            Tail::File if path.len() == own => Some(Fit::Content),
            // A directory where a file may be: it is listed, and what is in it is not.
            Tail::File => Some(Fit::Name(shared)),
            Tail::Below if path.len() == own => Some(Fit::Name(own)),
            Tail::Below => Some(Fit::Content),
            Tail::Names => Some(Fit::Name(path.len().min(own + 1))),
        }
    }

    fn fits_deep(&self, path: &[&str]) -> bool {
        // The last name is the one that most paths do not have.
        path.len() >= self.parts.len() + self.deep.len()
            && self.deep.iter().rev().zip(path.iter().rev()).all(|(part, name)| glob(part, name))
            && self.parts.iter().zip(path).all(|(part, name)| glob(part, name))
    }

    /// Returns how many components name the directory in which it looks for names with a star, where the path leads there.
    pub(crate) fn listed(&self, path: &[&str]) -> usize {
        let Some((last, above)) = self.parts.split_last().filter(|_| self.deep.is_empty()) else {
            return 0;
        };
        let looked_in = self.tail == Tail::File && last.contains('*') && path.len() >= above.len();
        let there = looked_in && above.iter().zip(path).all(|(part, name)| glob(part, name));
        if there { above.len() } else { 0 }
    }

    /// Tells whether something it wants may lie below the path.
    fn leads_through(&self, path: &[&str]) -> bool {
        let shared = self.parts.iter().zip(path).all(|(part, name)| glob(part, name));
        let goes_on = self.tail != Tail::File || !self.deep.is_empty();
        shared && (path.len() < self.parts.len() || goes_on)
    }

    /// Returns the components before the first with a star.
    pub(crate) fn fixed(&self) -> Vec<&str> {
        self.parts.iter().map(String::as_str).take_while(|part| !part.contains('*')).collect()
    }

    /// Returns the same pattern with its first `count` components replaced.
    pub(crate) fn moved(&self, count: usize, to: &[&str]) -> Self {
        let rest = self.parts.iter().skip(count).cloned();
        let parts = to.iter().map(|c| String::from(*c)).chain(rest).collect();
        Self { parts, tail: self.tail, deep: self.deep.clone() }
    }
}

/// Returns the names of a path, `.` left out.
pub(crate) fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".")
}

/// Matches a name with a pattern of stars.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    while let Some((part, after)) = rest.split_once('*') {
        let Some(at) = name.find(part) else { return false };
        name = name.get(at + part.len()..).unwrap_or_default();
        rest = after;
    }
    name.ends_with(rest)
}

/// A root of which only the declared paths can be seen.
pub struct Declared<'a> {
    root: &'a dyn Root,
    patterns: Vec<Pattern>,
}

impl<'a> Declared<'a> {
    /// Shows of `root` what the patterns name.
    pub fn new(root: &'a dyn Root, reads: &[&str]) -> Self {
        Self { root, patterns: reads.iter().map(|pattern| Pattern::new(pattern)).collect() }
    }

    fn undeclared<T>(path: &str) -> Reading<T> {
        Reading::Unknown(obstacle(path, "is not among the paths that this inspector declares"))
    }
}

impl Root for Declared<'_> {
    fn live(&self) -> bool {
        self.root.live()
    }

    fn running(&self) -> bool {
        self.root.running()
    }

    fn is_in_place(&self) -> bool {
        self.root.is_in_place()
    }

    fn open(&self, path: &str) -> Reading<Box<dyn Content>> {
        let names: Vec<&str> = components(path).collect();
        if self.patterns.iter().any(|p| p.fit(&names) == Some(Fit::Content)) {
            return self.root.open(path);
        }
        Self::undeclared(path)
    }

    fn list(&self, path: &str) -> Reading<Vec<Entry>> {
        let mut names: Vec<&str> = components(path).collect();
        if !self.patterns.iter().any(|p| p.leads_through(&names)) {
            return Self::undeclared(path);
        }
        let Reading::Found(mut entries) = self.root.list(path) else { return self.root.list(path) };
        names.push("");
        entries.retain(|entry| {
            let mut names = names.clone();
            if let Some(last) = names.last_mut() {
                *last = &entry.name;
            }
            self.patterns.iter().any(|p| p.fit(&names).is_some() || p.leads_through(&names))
        });
        Reading::Found(entries)
    }

    fn links_in(&self, path: &str) -> Vec<String> {
        let mut names: Vec<&str> = components(path).collect();
        let mut links = self.root.links_in(path);
        names.push("");
        links.retain(|link| {
            let mut names = names.clone();
            if let Some(last) = names.last_mut() {
                *last = link;
            }
            self.patterns.iter().any(|p| p.fit(&names).is_some() || p.leads_through(&names))
        });
        links
    }

    fn look(&self, path: &str) -> Reading<Look> {
        self.root.look(path)
    }

    fn is_there(&self, path: &str) -> bool {
        self.root.is_there(path)
    }

    fn walk_all(&self, wanted: &Wanted<'_>) -> Reading<Walked> {
        self.root.walk_all(wanted)
    }

    /// What a file says stays hidden; which one it is may be known of any.
    fn identity(&self, path: &str) -> Option<((u32, u32), u64)> {
        self.root.identity(path)
    }

    fn link(&self, path: &str) -> Reading<String> {
        let names: Vec<&str> = components(path).collect();
        if self.patterns.iter().any(|p| p.fit(&names).is_some() || p.leads_through(&names)) {
            return self.root.link(path);
        }
        Self::undeclared(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(pattern: &str, path: &str) -> Option<Fit> {
        Pattern::new(pattern).fit(&components(path).collect::<Vec<_>>())
    }

    #[test]
    fn a_pattern_names_files_folders_and_names() {
        assert_eq!(fit("/etc/os-release", "etc/os-release"), Some(Fit::Content));
        assert_eq!(fit("etc/os-release", "./etc//os-release"), Some(Fit::Content));
        assert_eq!(fit("etc/os-release", "etc/os-release/x"), Some(Fit::Name(2)));
        assert_eq!(fit("etc/*.list", "etc/a.list"), Some(Fit::Content));
        assert_eq!(fit("etc/*.list", "etc/a.lists"), None);
        assert_eq!(fit("etc/a*b*c", "etc/axxbyyc"), Some(Fit::Content));
        assert_eq!(fit("etc/*", "etc/a/b"), Some(Fit::Name(2)));
        assert_eq!(fit("etc/**", "etc/a/b"), Some(Fit::Content));
        assert_eq!(fit("etc/**", "etc"), Some(Fit::Name(1)));
        assert_eq!(fit("lib/modules/", "lib/modules/6.1/kernel/x"), Some(Fit::Name(3)));
        assert_eq!(fit("lib/modules/", "lib"), None);
        assert_eq!(fit("/**/a/b.php", "a/b.php"), Some(Fit::Content));
        assert_eq!(fit("/**/a/b.php", "srv/x/a/b.php"), Some(Fit::Content));
        assert_eq!(fit("/**/a/b.php", "srv/xa/b.php"), None);
        assert_eq!(fit("/**/a/b.php", "srv/a/b.php/c"), None);
        assert_eq!(fit("/**/p/*/*.php", "srv/p/x/y.php"), Some(Fit::Content));
        assert_eq!(fit("/**/p/*/*.php", "p/y.php"), None);
        assert_eq!(fit("/srv/**/b", "srv/a/b"), Some(Fit::Content));
        assert_eq!(fit("/srv/**/b", "var/a/b"), None);
    }
}
