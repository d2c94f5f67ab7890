//! EPSS, the Exploit Prediction Scoring System of FIRST: `epss_scores-YYYY-MM-DD.csv`, in its three forms (without
//! percentile, with it, and with a first line `#model_version:…`), and tables with the columns `CVE`, `EPSS`,
//! `EPSS Percentile` among others (RFC 4180). The model and the day of the scores are not kept: the compiled table
//! takes the newest feed it is given.

use std::borrow::Cow;

use muster_core::advisory::{Item, Likelihood, Sink};

use crate::lines::{Lines, fields, first_lines, problem};
use crate::{Document, Feed, Recognised};

/// The reader of EPSS scores.
pub(crate) struct Epss;

impl Feed for Epss {
    fn name(&self) -> &'static str {
        "epss"
    }

    fn has_advisories(&self) -> bool {
        false
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        let header = first_lines(head).find(|line| !line.starts_with('#'));
        match header.and_then(Columns::of) {
            Some(_) => Recognised::Yes,
            None => Recognised::No,
        }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut lines = Lines::new(path, document.reader);
        let mut columns = None;
        while let Some(line) = lines.next(sink) {
            let text = line.text.trim_start_matches('\u{feff}').trim_end();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let Some(columns) = &columns else {
                columns = Columns::of(text);
                if columns.is_none() {
                    let what = "no header with the columns cve and epss";
                    sink.problem(problem(path, line.number, what));
                    return;
                }
                continue;
            };
            match columns.read(&fields(text)) {
                Ok(likelihood) => sink.item(Item::Likelihood(likelihood)),
                Err(what) => sink.problem(problem(path, line.number, what)),
            }
        }
    }
}

/// Where in a row the values stand.
struct Columns {
    cve: usize,
    score: usize,
    percentile: Option<usize>,
}

impl Columns {
    fn of(header: &str) -> Option<Self> {
        let names = fields(header);
        let at = |wanted: &[&str]| names.iter().position(|n| wanted.contains(&n.trim()));
        Some(Self {
            cve: at(&["cve", "CVE"])?,
            score: at(&["epss", "EPSS"])?,
            percentile: at(&["percentile", "EPSS Percentile"]),
        })
    }

    fn read<'a>(&self, row: &'a [Cow<'_, str>]) -> Result<Likelihood<'a>, String> {
        let cve = row.get(self.cve).map(|c| c.trim()).unwrap_or_default();
        if !cve.starts_with("CVE-") {
            return Err(format!("no CVE in the row's column {}", self.cve + 1));
        }
        let score = row.get(self.score).map(|s| s.trim()).unwrap_or_default();
        let score = share(score).ok_or_else(|| format!("{cve}: '{score}' is no probability"))?;
        let percentile = match self.percentile.and_then(|at| row.get(at)).map(|p| p.trim()) {
            None | Some("") => None,
            Some(p) => Some(share(p).ok_or_else(|| format!("{cve}: '{p}' is no percentile"))?),
        };
        Ok(Likelihood { cve: Cow::Borrowed(cve), score, percentile })
    }
}

/// Reads a number between 0 and 1.
fn share(text: &str) -> Option<f32> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes, read_shared};

    #[test]
    fn all_forms_are_read() {
        check(&Epss, "epss/plain.csv");
        check(&Epss, "epss/percentile.csv");
        check(&Epss, "epss/model.csv");
        check(&Epss, "epss/table.csv");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/epss/table.csv");
        holds_on_any_bytes(&Epss, "epss.csv", good);
    }

    #[test]
    fn every_row_is_read() {
        let Some(heard) =
            read_shared(&Epss, "data/advisories/signals/epss-of-kev-cves-2026-08-22.csv.zst")
        else {
            return;
        };
        assert_eq!(heard.items.len(), 1556);
        assert_eq!(heard.problems, []);
    }
}
