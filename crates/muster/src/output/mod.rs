//! One file a format. Data goes to standard output, talk to standard error.

pub(crate) mod csv;
pub(crate) mod cyclonedx;
pub(crate) mod json;
pub(crate) mod openvex;
pub(crate) mod purl;
pub(crate) mod sarif;
pub(crate) mod table;
pub(crate) mod why;

use std::io::{self, BufWriter, Write as _};

use muster_core::text::for_terminal;
use serde::Serialize;

use crate::args::Format;
use crate::report::Report;

/// Says something to the person at the terminal.
pub(crate) fn note(text: &str) {
    // Nobody can be told that the error stream is closed.
    drop(writeln!(io::stderr(), "muster: {}", for_terminal(text)));
}

/// Says why a command could not do what it was asked.
pub(crate) fn complain(error: &anyhow::Error) {
    if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        return;
    }
    note(&format!("{error:#}"));
}

/// Writes one JSON value and a line feed.
pub(crate) fn write_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

/// Writes a report in the format that was asked for.
pub(crate) fn write(report: &Report, format: Format, all: bool) -> anyhow::Result<()> {
    match format {
        Format::Table => table::write(report, all),
        Format::Json => write_json(&json::inspection(report)),
        Format::Ndjson => write_lines(report),
        Format::Sarif => write_json(&sarif::log(report)),
        Format::Cyclonedx => write_json(&cyclonedx::bom(report)),
        Format::Openvex => write_json(&openvex::document(report)),
        Format::Csv => csv::write(report),
    }
}

fn write_lines(report: &Report) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    for finding in &report.findings {
        serde_json::to_writer(&mut out, &json::entry(finding))?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}
