//! Rows of fixes in Alpine, one JSON object a line: `{"branch", "repo", "package", "fixed", "ids"}`.
//!
//! This is the security database turned over by others, who joined their own ids back to CVEs; it reaches further
//! back and forward than the vendor's own files that can be had. What a row means is told in `alpine_secdb`.

use muster_core::advisory::Sink;
use serde::Deserialize;

use super::alpine_secdb::{Fix, release};
use crate::json::{List, Str, outer_keys, parse};
use crate::lines::{Lines, first_lines, problem};
use crate::{Document, Feed, Recognised};

/// The reader of such rows.
pub(crate) struct AlpineFixes;

impl Feed for AlpineFixes {
    fn name(&self) -> &'static str {
        "alpine-fixes"
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        // Any line tells: the first may be the broken one.
        let row = |line: &str| {
            let keys = outer_keys(line.as_bytes());
            ["branch", "package", "fixed", "ids"].iter().all(|k| keys.iter().any(|o| o == k))
        };
        if first_lines(head).any(row) { Recognised::Yes } else { Recognised::No }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut lines = Lines::new(path, document.reader);
        while let Some(line) = lines.next(sink) {
            if line.text.trim().is_empty() {
                continue;
            }
            match parse::<Row<'_>>(line.text.as_bytes(), path, line.number) {
                Ok(row) => row.tell(path, line.number, sink),
                Err(mut wrong) => {
                    wrong.what = format!("a row was not understood: {}", wrong.what);
                    sink.problem(wrong);
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    branch: Str<'a>,
    #[serde(borrow)]
    package: Str<'a>,
    #[serde(borrow)]
    fixed: Str<'a>,
    #[serde(borrow, default)]
    ids: List<Str<'a>>,
}

impl Row<'_> {
    fn tell(&self, path: &str, line: u64, sink: &mut dyn Sink) {
        let release = release(&self.branch.0);
        let mut found = false;
        for Str(said) in &self.ids.0 {
            let (package, version) = (&self.package.0, &self.fixed.0);
            let fix = Fix { release: &release, package, version, said };
            found |= fix.tell(sink);
        }
        if !found {
            let what = format!("{} {}: no id", self.package.0, self.fixed.0);
            sink.problem(problem(path, line, what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes, read_shared};

    #[test]
    fn rows_are_read() {
        check(&AlpineFixes, "alpine-fixes/rows.ndjson");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/alpine-fixes/rows.ndjson");
        holds_on_any_bytes(&AlpineFixes, "rows.ndjson", good);
    }

    #[test]
    fn every_row_is_read() {
        let Some(heard) = read_shared(
            &AlpineFixes,
            "data/advisories/alpine/alpine-fixes-v3.2-v3.20-vulnerablecode-2025-05-12.ndjson.zst",
        ) else {
            return;
        };
        let rows: std::collections::BTreeSet<_> = heard
            .items
            .iter()
            .map(|i| &i["Record"]["statements"][0])
            .map(|s| ["release", "package", "fixed", "status"].map(|k| s[k].to_string()))
            .collect();
        assert_eq!((heard.items.len(), rows.len()), (24558, 8328));
        assert_eq!(heard.problems, []);
    }
}
