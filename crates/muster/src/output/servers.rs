//! Many servers in one table, the worst first: what a person with a list of servers asks first.

use std::io::{self, Write};

use muster_core::finding::Severity;
use muster_core::text::for_terminal;

use super::data;
use super::table::wrap;
use crate::report::{Report, is_owed};

/// A line of the table.
pub(crate) struct Server {
    pub(crate) root: String,
    pub(crate) is_owed: bool,
    /// How many findings are owed, and the worst of them; nothing when it could not be inspected.
    owed: Option<(usize, Severity)>,
    unknown: usize,
    says: String,
}

impl Server {
    /// Keeps of a report what the table says.
    pub(crate) fn of(report: &Report, strict: bool) -> Self {
        let owed = report.findings.iter().filter(|finding| is_owed(finding, strict));
        let (mut count, mut worst) = (0, Severity::Unknown);
        for finding in owed {
            count += 1;
            worst = worst.max(finding.severity);
        }
        Self {
            root: report.root.clone(),
            is_owed: report.is_owed(strict),
            owed: Some((count, worst)),
            unknown: report.unknown.len(),
            says: report.sentence(),
        }
    }

    /// Keeps why a server could not be inspected.
    pub(crate) fn failed(root: &str, why: &str) -> Self {
        let says = why.strip_prefix(&format!("inspecting {root}: ")).unwrap_or(why);
        let says = format!("not inspected: {says}");
        Self { root: root.to_owned(), is_owed: true, owed: None, unknown: 0, says }
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.owed.is_none()
    }
}

/// Writes the table.
pub(crate) fn write(servers: &mut [Server]) -> anyhow::Result<()> {
    // What is not known at all comes first: nothing says that it is not the worst.
    servers.sort_by(|a, b| {
        let rank = |server: &Server| match server.owed {
            None => (true, Severity::Unknown, 0),
            Some((count, worst)) => (false, worst, count),
        };
        rank(b).cmp(&rank(a)).then(b.unknown.cmp(&a.unknown)).then_with(|| a.root.cmp(&b.root))
    });
    let mut out = data()?;
    write_to(&mut out, servers)?;
    out.flush()?;
    Ok(())
}

fn write_to(out: &mut dyn Write, servers: &[Server]) -> io::Result<()> {
    writeln!(out, "{:>6} {:>8}  SERVER", "OWED", "UNKNOWN")?;
    for server in servers {
        let (owed, unknown) = match server.owed {
            Some((owed, _)) => (owed.to_string(), server.unknown.to_string()),
            None => ("?".to_owned(), "?".to_owned()),
        };
        writeln!(out, "{owed:>6} {unknown:>8}  {}", for_terminal(&server.root))?;
        for line in wrap(&for_terminal(&server.says), 62) {
            writeln!(out, "{:17}{line}", "")?;
        }
    }
    Ok(())
}
