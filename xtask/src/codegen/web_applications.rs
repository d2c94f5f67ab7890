//! The page of the web applications that are recognised, made from `catalog/webapps/*.toml`.
//!
//! It shows what a person asks of the catalogue: which applications, by which files, under which names advisories know
//! them, and by whose word. The patterns stay in the files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;

use super::{NOTE, Page, put};
use crate::repository::Repository;

#[derive(Deserialize)]
struct Application {
    product: String,
    name: String,
    source: String,
    as_of: toml::value::Datetime,
    calendar: Option<String>,
    sign: Vec<Sign>,
    #[serde(default)]
    part: Vec<Part>,
    /// What is left are the lists of names, by ecosystem, and the order.
    #[serde(flatten)]
    names: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct Sign {
    file: String,
    #[serde(default)]
    version: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    file: Option<String>,
    zip: Option<String>,
}

#[derive(Deserialize)]
struct Part {
    kind: String,
    folder: String,
}

const OPENING: &str = "The web applications that `muster inspect` recognises. A folder is one of them where it holds one of the files, with the words in it that \
    the catalogue names. *Also read* is where the version stands when that is not the file itself. Names are those under which advisories know an application; \
    [add a web application](../how-to/add-a-web-application.md) says what the fields mean.\n";

/// Makes the page.
pub(super) fn page(repository: &Repository, files: &[PathBuf]) -> anyhow::Result<Page> {
    let folder = "catalog/webapps";
    let mut applications: Vec<Application> = Vec::new();
    for file in files.iter().filter(|f| f.starts_with(folder)) {
        let read = toml::from_str(&repository.read(file)?);
        applications.push(read.with_context(|| format!("cannot read {}", file.display()))?);
    }
    applications.sort_by_key(|a| a.name.to_lowercase());
    let mut text =
        format!("# Web applications\n\n{NOTE}\n{OPENING}\nThere are {}.\n", applications.len());
    for application in &applications {
        put(&mut text, format_args!("\n## {}\n\n", application.name));
        table(&mut text, application);
    }
    Ok(Page { path: "docs/reference/web-applications.md".into(), text })
}

fn table(text: &mut String, application: &Application) {
    let mut row = |what: &str, values: Vec<String>| {
        if !values.is_empty() {
            put(text, format_args!("| {what} | {} |\n", values.join("<br>")));
        }
    };
    row("product", vec![code(&application.product)]);
    row("---", vec!["---".to_owned()]);
    let signs = &application.sign;
    row("known by", once(signs.iter().map(|s| code(&s.file))));
    let also = signs.iter().flat_map(|s| &s.version).filter_map(|v| match (&v.file, &v.zip) {
        (Some(file), None) => Some(code(file)),
        (None, Some(member)) => Some(format!("{} in it", code(member))),
        (Some(file), Some(member)) => Some(format!("{} in {}", code(member), code(file))),
        (None, None) => None,
    });
    row("also read", once(also));
    let parts = application.part.iter().map(|p| format!("{} {}", p.kind, code(&p.folder)));
    row("parts", once(parts));
    let calendar = application.calendar.iter().map(|c| format!("calendar {}", code(c)));
    let names = application.names.iter().filter_map(|(ecosystem, names)| {
        let names: Vec<String> =
            names.as_array()?.iter().filter_map(|n| n.as_str().map(code)).collect();
        Some(format!("{ecosystem} {}", names.join(", ")))
    });
    row("names", names.chain(calendar).collect());
    row("source", vec![format!("<{}>, {}", application.source, application.as_of)]);
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// Keeps the first of equal lines.
fn once(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for line in lines {
        if !kept.contains(&line) {
            kept.push(line);
        }
    }
    kept
}
