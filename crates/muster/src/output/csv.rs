//! A line a finding (RFC 4180), safe to open in a spreadsheet: no cell begins a formula.

use std::borrow::Cow;
use std::io::Write as _;

use muster_core::finding::{About, Concerned, Finding};
use muster_core::text::for_terminal;

use crate::output::json;
use crate::report::{self, Report};

const HEADER: &str = "kind,id,verdict,severity,source,packages,installed,fixed,fix,cves,published,exploited,epss,title,action";

/// Writes the findings.
pub(crate) fn write(report: &Report) -> anyhow::Result<()> {
    let mut out = crate::output::data()?;
    write!(out, "{HEADER}\r\n")?;
    for finding in &report.findings {
        let cells = cells(finding);
        let line: Vec<Cow<'_, str>> = cells.iter().map(|c| cell(c)).collect();
        write!(out, "{}\r\n", line.join(","))?;
    }
    out.flush()?;
    Ok(())
}

fn cells(finding: &Finding) -> [String; 15] {
    let (packages, fix, cves, published, exploited, epss): (&[Concerned], _, String, _, _, _) =
        match &finding.about {
            About::Advisory(a) => (
                &a.patch.packages,
                a.patch.fix.name(),
                a.cves.join(" "),
                a.published.map_or(String::new(), |d| d.to_string()),
                a.exploited.map_or(String::new(), |(added, _)| added.to_string()),
                a.likelihood.map_or(String::new(), |e| e.to_string()),
            ),
            About::ArchiveUpdate(u) => (
                &u.packages,
                "here",
                u.advisories.join(" "),
                String::new(),
                String::new(),
                String::new(),
            ),
            About::KernelLine(k) => {
                (&k.packages, "", String::new(), String::new(), String::new(), String::new())
            }
            About::ThirdParty(t) => {
                (&t.packages, "", String::new(), String::new(), String::new(), String::new())
            }
            _ => (&[], "", String::new(), String::new(), String::new(), String::new()),
        };
    let list =
        |of: &dyn Fn(&Concerned) -> &str| packages.iter().map(of).collect::<Vec<_>>().join(" ");
    [
        json::kind(finding).into(),
        finding.id.to_string(),
        finding.verdict.name().into(),
        finding.severity.name().into(),
        report::source(finding).unwrap_or_default().into(),
        list(&|p| &p.name),
        list(&|p| &p.installed),
        list(&|p| p.fixed.as_deref().unwrap_or("-")),
        fix.into(),
        cves,
        published,
        exploited,
        epss,
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
