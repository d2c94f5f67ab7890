//! A line a finding (RFC 4180), safe to open in a spreadsheet: no cell begins a formula.

use std::borrow::Cow;
use std::io::Write as _;

use muster_core::finding::{About, Concerned, Finding, Fix, Signals};
use muster_core::text::for_terminal;

use crate::output::json;
use crate::report::{self, Report};

const HEADER: &str = "kind,id,verdict,severity,source,packages,installed,fixed,fix,cves,published,exploited,epss,title,action";

/// Writes the findings.
pub(crate) fn write(report: &Report) -> anyhow::Result<()> {
    let mut out = crate::output::data()?;
    write!(out, "{HEADER}\r\n")?;
    for placed in report.placed() {
        let cells = cells(placed.finding, placed.id());
        let line: Vec<Cow<'_, str>> = cells.iter().map(|c| cell(c)).collect();
        write!(out, "{}\r\n", line.join(","))?;
    }
    out.flush()?;
    Ok(())
}

/// A name, the version installed, and the version that mends it.
type Named<'f> = (&'f str, &'f str, Option<&'f str>);

/// What a finding has in the columns that not every kind fills.
#[derive(Default)]
struct Columns<'f> {
    source: &'f str,
    /// Names, versions installed, and versions that mend them.
    packages: Vec<Named<'f>>,
    fix: &'static str,
    cves: String,
    signals: Signals,
}

impl<'f> Columns<'f> {
    fn of(finding: &'f Finding) -> Self {
        let list = |packages: &'f [Concerned]| {
            packages.iter().map(|p| (&*p.name, &*p.installed, p.fixed.as_deref())).collect()
        };
        let here = |fixed: &Option<String>| if fixed.is_some() { Fix::Here } else { Fix::None };
        let source = report::source(finding).unwrap_or_default();
        match &finding.about {
            About::Advisory(a) => Self {
                source,
                packages: list(&a.patch.packages),
                fix: a.patch.fix.name(),
                cves: a.cves.join(" "),
                signals: Signals {
                    published: a.published,
                    exploited: a.exploited,
                    likelihood: a.likelihood,
                },
            },
            About::ArchiveUpdate(u) => Self {
                source,
                packages: list(&u.packages),
                fix: Fix::Here.name(),
                cves: u.advisories.join(" "),
                ..Self::default()
            },
            About::WebApplication(a) => Self {
                source: &a.product,
                packages: vec![(
                    &a.product,
                    a.version.as_deref().unwrap_or("-"),
                    a.fixed.as_deref(),
                )],
                fix: here(&a.fixed).name(),
                cves: a.cves.join(" "),
                signals: a.signals,
            },
            About::LanguagePackage(l) => Self {
                source: &l.name,
                packages: vec![(&l.name, &l.version, l.fixed.as_deref())],
                fix: here(&l.fixed).name(),
                cves: l.cves.join(" "),
                signals: l.signals,
            },
            About::KernelLine(k) => Self { packages: list(&k.packages), ..Self::default() },
            About::ThirdParty(t) => Self { packages: list(&t.packages), ..Self::default() },
            _ => Self::default(),
        }
    }
}

fn cells(finding: &Finding, id: String) -> [String; 15] {
    let columns = Columns::of(finding);
    let list = |of: &dyn Fn(&Named<'_>) -> String| {
        columns.packages.iter().map(of).collect::<Vec<_>>().join(" ")
    };
    [
        json::kind(finding).into(),
        id,
        finding.verdict.name().into(),
        finding.severity.name().into(),
        columns.source.into(),
        list(&|(name, ..)| (*name).to_owned()),
        list(&|(_, installed, _)| (*installed).to_owned()),
        list(&|(.., fixed)| fixed.unwrap_or("-").to_owned()),
        columns.fix.into(),
        columns.cves,
        columns.signals.published.map_or(String::new(), |d| d.to_string()),
        columns.signals.exploited.map_or(String::new(), |(added, _)| added.to_string()),
        columns.signals.likelihood.map_or(String::new(), |e| e.to_string()),
        finding.title.to_string(),
        finding.action.to_string(),
    ]
}

/// Quotes a cell where that is needed; one that a spreadsheet would take for a formula gets an apostrophe before it, and
/// what a terminal would obey is spelt out.
fn cell(text: &str) -> Cow<'_, str> {
    let mut cell = for_terminal(text);
    if text != "-" && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        cell.to_mut().insert(0, '\'');
    }
    if cell.contains([',', '"']) {
        format!("\"{}\"", cell.replace('"', "\"\"")).into()
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn no_cell_is_a_formula_or_breaks_the_line() {
        assert_eq!(cell("curl"), "curl");
        assert_eq!(cell("=cmd()"), "'=cmd()");
        assert_eq!(cell("@x"), "'@x");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("a\nb\u{1b}[2J"), "a\\u{a}b\\u{1b}[2J");
    }
}
