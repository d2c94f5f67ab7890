//! `muster advisory ID`: everything that vendors said under an id, from the cold part of the advisory file.

use std::io::Write as _;

use anyhow::bail;
use muster_core::advisory::{Record, Statement};
use muster_core::text::for_terminal;
use serde::Serialize;

use super::Answer;
use crate::args::{Advisory, Plain};
use crate::output;

#[derive(Serialize)]
struct Answered {
    schema: &'static str,
    id: String,
    records: Vec<Said>,
}

#[derive(Serialize)]
struct Said {
    feed: String,
    #[serde(flatten)]
    record: Record<'static>,
}

pub(crate) fn run(question: &Advisory) -> anyhow::Result<Answer> {
    let Some(file) = crate::advisories::file(question.advisories.as_deref())? else {
        bail!(
            "no advisory file was given; name one with --advisories FILE, or make it with `muster feed build`"
        );
    };
    let mut records = Vec::new();
    file.records(&question.id, &mut |feed, record| {
        records.push(Said { feed: feed.to_owned(), record: record.into_owned() });
    })?;
    if records.is_empty() {
        bail!("{} is not in the advisory file", question.id);
    }
    match question.format {
        Plain::Json => output::write_json(&Answered {
            schema: "muster.advisory/1",
            id: question.id.clone(),
            records,
        })?,
        Plain::Table => print(&records)?,
    }
    Ok(Answer::Good)
}

fn print(records: &[Said]) -> anyhow::Result<()> {
    let mut out = output::data()?;
    for Said { feed, record } in records {
        let withdrawn = record
            .withdrawn
            .map_or(String::new(), |at| format!(", WITHDRAWN {}", muster_core::time::day(at)));
        writeln!(out, "{} (by {}{withdrawn})", for_terminal(&record.id), for_terminal(feed))?;
        for text in [&record.title, &record.details].into_iter().filter(|t| !t.is_empty()) {
            for line in
                output::table::wrap(&for_terminal(&text.replace(['\n', '\r', '\t'], " ")), 76)
            {
                writeln!(out, "  {line}")?;
            }
        }
        if !record.cves.is_empty() {
            writeln!(out, "  closes or concerns: {}", for_terminal(&record.cves.join(" ")))?;
        }
        for severity in &record.severities {
            writeln!(
                out,
                "  {}: {}",
                for_terminal(&severity.system),
                for_terminal(&severity.score)
            )?;
        }
        for statement in &record.statements {
            writeln!(out, "  {}", for_terminal(&line(statement)))?;
        }
        for reference in &record.references {
            writeln!(out, "  {}", for_terminal(reference))?;
        }
        writeln!(out)?;
    }
    out.flush()?;
    Ok(())
}

fn line(statement: &Statement<'_>) -> String {
    let channel = match statement.channel {
        muster_core::advisory::Channel::Base => String::new(),
        channel => format!(" [{}]", channel.name()),
    };
    let module = statement.module.as_ref().map_or(String::new(), |m| format!(" (module {m})"));
    let fixed = statement.fixed.as_ref().map_or(String::new(), |f| format!(", fixed in {f}"));
    let word = if statement.word.is_empty() {
        format!("{:?}", statement.status).to_lowercase()
    } else {
        statement.word.to_string()
    };
    format!("{}{channel} {}{module}: {word}{fixed}", statement.release, statement.package)
}
