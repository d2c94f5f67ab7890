//! One file a format. Data goes to standard output, talk to standard error.

pub(crate) mod csv;
pub(crate) mod cyclonedx;
pub(crate) mod explain;
pub(crate) mod json;
pub(crate) mod openvex;
pub(crate) mod purl;
pub(crate) mod sarif;
pub(crate) mod servers;
pub(crate) mod table;
pub(crate) mod why;

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::fd::AsFd as _;

use anyhow::Context as _;
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
    note(&in_one_line(error));
}

/// Returns an error with its causes.
pub(crate) fn in_one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some errors tell their cause themselves.
        if !text.ends_with(&cause) {
            text += if text.is_empty() { "" } else { ": " };
            text += &cause;
        }
    }
    text
}

/// Returns the standard output for data, without the library's search for line ends.
fn unbuffered() -> anyhow::Result<File> {
    let stdout = io::stdout().as_fd().try_clone_to_owned().context("opening standard output")?;
    Ok(File::from(stdout))
}

/// Returns the standard output for data, written in large pieces.
pub(crate) fn data() -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::with_capacity(1 << 16, unbuffered()?))
}

/// Writes one JSON value and a line feed.
pub(crate) fn write_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let mut out = data()?;
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

/// Writes a report in the format that was asked for.
pub(crate) fn write(report: &Report, format: Format, all: bool) -> anyhow::Result<()> {
    if matches!(format, Format::Ndjson | Format::Csv | Format::Openvex) {
        // These have a place for findings alone; what could not be known is never silent.
        for obstacle in &report.unknown {
            note(&format!("could not be known: {}: {}", obstacle.what, obstacle.why));
        }
    }
    match format {
        Format::Table => table::write(report, all),
        Format::Json => Ok(json::inspection(report, &mut unbuffered()?)?),
        Format::Ndjson => Ok(json::lines(report, &mut unbuffered()?)?),
        Format::Sarif => write_json(&sarif::log(report)?),
        Format::Cyclonedx => write_json(&cyclonedx::bom(report)),
        Format::Openvex => write_json(&openvex::document(report)),
        Format::Csv => csv::write(report),
    }
}
