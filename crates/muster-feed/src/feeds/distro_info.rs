//! The calendars of Debian and Ubuntu: `debian.csv` and `ubuntu.csv` of the package distro-info-data, whose columns are
//! named in their first line and described in its README.
//!
//! Which distribution a file is of is told by its columns: `eol-lts` is Debian's, `eol-server` and `eol-esm` are
//! Ubuntu's. Where server and desktop differ, the server's day counts. Trailing columns may be missing.
//! The day of extended LTS by a third party (`eol-elts`) is not kept: it is no word of the distribution.

use std::borrow::Cow;

use muster_core::advisory::{Item, Sink, SupportLine};
use muster_core::time::Date;

use crate::lines::{Lines, fields, first_lines, problem};
use crate::{Document, Feed, Recognised};

/// The reader of these calendars.
pub(crate) struct DistroInfo;

impl Feed for DistroInfo {
    fn name(&self) -> &'static str {
        "distro-info"
    }

    fn has_advisories(&self) -> bool {
        false
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        match first_lines(head).next().and_then(Columns::of) {
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
            if text.is_empty() {
                continue;
            }
            let Some(columns) = &columns else {
                columns = Columns::of(text);
                if columns.is_none() {
                    let what = "no header with the columns version, codename, series and eol";
                    sink.problem(problem(path, line.number, what));
                    return;
                }
                continue;
            };
            match columns.read(&fields(text)) {
                Ok(support) => sink.item(Item::Support(support)),
                Err(what) => sink.problem(problem(path, line.number, what)),
            }
        }
    }
}

/// Where in a row the values stand.
struct Columns {
    product: &'static str,
    version: usize,
    series: usize,
    release: usize,
    /// The last one with a day counts.
    ends: Vec<usize>,
    /// The last one with a day counts.
    paid: Vec<usize>,
}

impl Columns {
    fn of(header: &str) -> Option<Self> {
        let names: Vec<_> = header.split(',').map(str::trim).collect();
        let at = |wanted: &str| names.iter().position(|name| *name == wanted);
        let all = |wanted: &[&str]| wanted.iter().filter_map(|w| at(w)).collect::<Vec<_>>();
        let (version, series, release, _) =
            (at("version")?, at("series")?, at("release")?, at("eol")?);
        let ubuntu = at("eol-server").is_some() || at("eol-esm").is_some();
        Some(Self {
            product: if ubuntu { "ubuntu" } else { "debian" },
            version,
            series,
            release,
            ends: all(&["eol", "eol-server", "eol-lts"]),
            paid: all(&["eol-esm", "eol-legacy"]),
        })
    }

    fn read<'a>(&self, row: &'a [Cow<'_, str>]) -> Result<SupportLine<'a>, String> {
        let at = |column: usize| row.get(column).map(|v| v.trim()).unwrap_or_default();
        let series = at(self.series);
        if series.is_empty() {
            return Err("a row without a series".to_owned());
        }
        let day = |column: usize| -> Result<Option<Date>, String> {
            let text = at(column);
            if text.is_empty() {
                return Ok(None);
            }
            text.parse().map(Some).map_err(|_| format!("{series}: '{text}' is no day"))
        };
        let last = |columns: &[usize]| -> Result<Option<Date>, String> {
            columns.iter().try_fold(None, |found, column| Ok(day(*column)?.or(found)))
        };
        // Ubuntu writes `6.06 LTS`; sid and experimental have no version.
        let version = at(self.version).split(' ').next().unwrap_or_default();
        Ok(SupportLine {
            product: Cow::Borrowed(self.product),
            version: Cow::Borrowed(if version.is_empty() { series } else { version }),
            codename: Some(Cow::Borrowed(series)),
            released: day(self.release)?,
            ends: last(&self.ends)?,
            paid_until: last(&self.paid)?,
            ended: false,
            latest: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes, read_shared};

    #[test]
    fn both_calendars_are_read() {
        check(&DistroInfo, "distro-info/debian.csv");
        check(&DistroInfo, "distro-info/ubuntu.csv");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/distro-info/ubuntu.csv");
        holds_on_any_bytes(&DistroInfo, "ubuntu.csv", good);
    }

    #[test]
    fn every_row_is_read() {
        for name in ["debian", "ubuntu"] {
            let path = format!("data/eol/distro-info-{name}.csv");
            let Some(heard) = read_shared(&DistroInfo, &path) else { return };
            assert!(heard.items.len() > 20, "{name}");
            assert!(heard.items.iter().all(|i| i["Support"]["product"] == name));
            assert_eq!(heard.problems, []);
        }
    }
}
