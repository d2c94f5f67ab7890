//! The newest binary packages in the security pocket of a Debian release, as a table cut from its `Packages` index:
//! `security-pocket-CODENAME-ARCHITECTURE….tsv` with the columns binary, version, arch, source, source_version.
//!
//! The release stands in the file's name and nowhere else: a table under another name is not recognised.

use std::borrow::Cow;

use muster_core::advisory::{Archived, Item, Sink};

use super::debian_lists::release;
use crate::lines::{Lines, first_lines, problem};
use crate::{Document, Feed, Recognised};

/// The reader of such tables.
pub(crate) struct SecurityPocket;

const HEADER: &str = "binary\tversion\tarch\tsource\tsource_version";

impl Feed for SecurityPocket {
    fn name(&self) -> &'static str {
        "security-pocket"
    }

    fn recognises(&self, path: &str, head: &[u8]) -> Recognised {
        let headed = first_lines(head).next().is_some_and(|line| line == HEADER);
        if headed && codename(path).is_some() { Recognised::Yes } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let Some(codename) = codename(path) else {
            let what = "the file's name does not tell the release: security-pocket-CODENAME-….tsv";
            sink.problem(problem(path, 1, what));
            return;
        };
        let release = release(codename);
        let mut lines = Lines::new(path, document.reader);
        while let Some(line) = lines.next(sink) {
            if line.text.is_empty() || line.text == HEADER {
                continue;
            }
            let mut columns = line.text.split('\t');
            let mut next = || columns.next().filter(|c| !c.is_empty()).map(Cow::Borrowed);
            let row = (next(), next(), next(), next(), next());
            let (
                Some(binary),
                Some(version),
                Some(architecture),
                Some(source),
                Some(source_version),
            ) = row
            else {
                sink.problem(problem(path, line.number, "a row without five columns"));
                continue;
            };
            let release = release.clone();
            sink.item(Item::Archived(Archived {
                release,
                binary,
                version,
                architecture,
                source,
                source_version,
            }));
        }
    }
}

/// Returns the codename in a path like `…/security-pocket-bookworm-amd64-2026-11.tsv`.
fn codename(path: &str) -> Option<&str> {
    let name = path.rsplit(['/', '!']).next()?;
    let (codename, _) = name.strip_prefix("security-pocket-")?.split_once('-')?;
    (!codename.is_empty()).then_some(codename)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes, read_shared};

    #[test]
    fn rows_are_read() {
        check(&SecurityPocket, "security-pocket/security-pocket-bookworm-amd64-2031.tsv");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!(
            "../../../../fixtures/feeds/security-pocket/security-pocket-bookworm-amd64-2031.tsv"
        );
        holds_on_any_bytes(&SecurityPocket, "security-pocket-sid-arm64.tsv", good);
    }

    #[test]
    fn every_row_is_read() {
        for (codename, rows) in [("bullseye", 3816), ("bookworm", 3016), ("trixie", 2493)] {
            let name =
                format!("data/advisories/debian/security-pocket-{codename}-amd64-2026-11.tsv.zst");
            let Some(heard) = read_shared(&SecurityPocket, &name) else { return };
            assert_eq!((heard.items.len(), heard.problems.len()), (rows, 0), "{codename}");
        }
    }
}
