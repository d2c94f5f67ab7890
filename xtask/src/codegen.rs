//! Reference pages made from the code, so that they cannot say something else: the cards (`//!`) of feeds and
//! inspectors, the help of every command, the JSON Schema as a table, the catalogue of web applications; and the manifest of the fuzz targets.
//!
//! Pages from sources are checked by the tidy test; the page of the commands needs the executable, and is checked by
//! `cargo xtask test`. Manual pages and completions are made where they are installed (`muster man`, `muster completions`).

mod web_applications;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::repository::Repository;
use crate::tidy::rooms;

/// A file that is made from others.
#[derive(Debug)]
pub struct Page {
    /// Where it lies.
    pub path: PathBuf,
    /// What it should hold.
    pub text: String,
}

const NOTE: &str = "<!-- Made by `cargo xtask codegen`: change the code it is made from. -->\n";

/// Writes every page that is stale, or says which are.
pub fn run(repository: &Repository, check: bool) -> anyhow::Result<ExitCode> {
    let mut pages = from_sources(repository)?;
    pages.push(commands(repository)?);
    let stale = stale(repository, &pages);
    for page in &stale {
        let path = repository.path(&page.path);
        if check {
            crate::say(format_args!("stale: {}; run `cargo xtask codegen`", page.path.display()));
        } else {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&path, &page.text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            crate::say(format_args!("wrote {}", page.path.display()));
        }
    }
    Ok(if check && !stale.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Returns the pages that lie there otherwise, or not at all.
pub fn stale<'a>(repository: &Repository, pages: &'a [Page]) -> Vec<&'a Page> {
    pages.iter().filter(|p| repository.read(&p.path).ok().as_ref() != Some(&p.text)).collect()
}

/// Makes the pages that need nothing but the sources.
pub fn from_sources(repository: &Repository) -> anyhow::Result<Vec<Page>> {
    let files = repository.files()?;
    let mut pages = Vec::new();
    let feeds = "crates/muster-feed/src/feeds";
    let opening = "What Muster compiles into an advisory file: one file of code each. The name is what `FORMAT=PATH` takes.\n";
    pages.push(cards(repository, &files, feeds, "feeds", "Feeds", opening)?);
    let inspectors = "crates/muster-inspect/src/inspectors";
    let opening = "What `muster inspect` reads from a root: one file of code each. Every reading is found, absent, or unknown with a reason.\n";
    pages.push(cards(repository, &files, inspectors, "inspectors", "Inspectors", opening)?);
    let schema = Path::new("docs/reference/inspection.schema.json");
    if repository.path(schema).is_file() {
        pages.push(schema_page(&repository.read(schema)?)?);
    }
    pages.push(limits(repository, &files)?);
    pages.push(web_applications::page(repository, &files)?);
    let (feeds, _) = rooms::things(repository, &files, feeds)?;
    let (inspectors, _) = rooms::things(repository, &files, inspectors)?;
    pages.push(fuzz_manifest(&feeds, &inspectors));
    Ok(pages)
}

fn cards(
    repository: &Repository,
    files: &[PathBuf],
    folder: &str,
    page: &str,
    title: &str,
    opening: &str,
) -> anyhow::Result<Page> {
    let mut text = format!("# {title}\n\n{NOTE}\n{opening}");
    for name in rooms::things(repository, files, folder)?.0 {
        let file = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
            .into_iter()
            .find(|f| repository.path(f).is_file())
            .with_context(|| {
                format!("{folder}/{name} is neither a file nor a folder with mod.rs")
            })?;
        put(
            &mut text,
            format_args!("\n## `{}`\n\n{}", name.replace('_', "-"), card(&repository.read(file)?)),
        );
    }
    Ok(Page { path: format!("docs/reference/{page}.md").into(), text })
}

/// Returns what a file says of itself at its top.
fn card(source: &str) -> String {
    let lines = source.lines().map_while(|l| l.strip_prefix("//!"));
    lines.map(|l| format!("{}\n", l.strip_prefix(' ').unwrap_or(l))).collect()
}

/// Makes the page of limits from the constants that are named `MAX_…`, and the sentences above them.
fn limits(repository: &Repository, files: &[PathBuf]) -> anyhow::Result<Page> {
    let opening = "What Muster takes before it refuses, so that no input makes it use memory or time without end. \
        Past a limit stands an *unknown*, a problem or an error, never a shorter answer.\n";
    let mut text = format!("# Limits\n\n{NOTE}\n{opening}");
    let sources = files
        .iter()
        .filter(|f| f.starts_with("crates") && f.extension().is_some_and(|e| e == "rs"));
    for file in sources.filter(|f| f.iter().any(|part| part == "src")) {
        let source = repository.read(file)?;
        let found = constants(&source);
        if found.is_empty() {
            continue;
        }
        put(
            &mut text,
            format_args!("\n## `{}`\n\n| limit | is | |\n|---|---|---|\n", file.display()),
        );
        for (name, value, why) in found {
            put(&mut text, format_args!("| `{name}` | {value} | {} |\n", why.replace('|', "\\|")));
        }
    }
    Ok(Page { path: "docs/reference/limits.md".into(), text })
}

/// Returns the constants `MAX_…` of a file: name, value, and the sentence above.
fn constants(source: &str) -> Vec<(&str, String, String)> {
    let mut found = Vec::new();
    let mut above = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(said) = line.strip_prefix("///") {
            above = format!("{above} {}", said.trim());
            continue;
        }
        let declared = line.split_once("const MAX_").and_then(|(before, rest)| {
            let begins = before.is_empty() || before.starts_with("pub");
            let (name, rest) = rest.split_once(':').filter(|_| begins)?;
            let (kind, value) = rest.strip_suffix(';')?.split_once('=')?;
            Some((name, kind.trim(), value.trim()))
        });
        if let Some((name, kind, value)) = declared
            && kind != "&[u8]"
        {
            let from = line.find("MAX_").unwrap_or_default();
            let name = line.get(from..from + 4 + name.len()).unwrap_or(name);
            found.push((name, amount(value), above.trim().to_owned()));
        }
        above.clear();
    }
    found
}

/// Writes a constant as people do: `24 << 20` is 24 Mi.
fn amount(value: &str) -> String {
    let Some((count, shift)) = value.split_once(" << ") else {
        return if value.starts_with("0x") { value.to_owned() } else { value.replace('_', ",") };
    };
    let unit = match shift {
        "10" => "Ki",
        "20" => "Mi",
        "30" => "Gi",
        _ if count == "1" => return format!("2^{shift}"),
        _ => return value.to_owned(),
    };
    format!("{count} {unit}")
}

/// Makes the page of the commands from what the executable says.
fn commands(repository: &Repository) -> anyhow::Result<Page> {
    let muster = repository.muster("dev")?;
    let mut text = format!(
        "# Commands\n\n{NOTE}\nManual pages: `muster man FOLDER`. Completions: `muster completions SHELL`.\n"
    );
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(words) = waiting.pop() {
        let run = Command::new(&muster)
            .args(&words)
            .arg("--help")
            .env("COLUMNS", "100")
            .output()
            .context("cannot run muster")?;
        if !run.status.success() {
            bail!("`muster {} --help` failed", words.join(" "));
        }
        let help = String::from_utf8(run.stdout).context("the help is not UTF-8")?;
        let name = [&["muster".to_owned()], words.as_slice()].concat().join(" ");
        let level = "#".repeat(2 + words.len().min(2));
        let tidy: String = help.trim_end().lines().map(|l| format!("{}\n", l.trim_end())).collect();
        put(&mut text, format_args!("\n{level} `{name}`\n\n```text\n{tidy}```\n"));
        for below in subcommands(&help).into_iter().rev() {
            waiting.push([words.as_slice(), &[below]].concat());
        }
    }
    Ok(Page { path: "docs/reference/commands.md".into(), text })
}

/// Returns the names under `Commands:` in a help text.
fn subcommands(help: &str) -> Vec<String> {
    let listed =
        help.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
    listed
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn schema_page(schema: &str) -> anyhow::Result<Page> {
    let schema: Value = serde_json::from_str(schema).context("the schema is not JSON")?;
    let mut text = format!("# The inspection as JSON\n\n{NOTE}\n");
    if let Some(words) = schema.get("description").and_then(Value::as_str) {
        put(&mut text, format_args!("{words}\n\n"));
    }
    text.push_str("The schema itself: [inspection.schema.json](inspection.schema.json). Readers ignore keys they do not know.\n");
    properties(&mut text, "The object", &schema);
    let parts = ["$defs", "definitions"].into_iter().find_map(|k| schema.get(k)?.as_object());
    for (name, part) in parts.into_iter().flatten() {
        properties(&mut text, &format!("`{name}`"), part);
    }
    Ok(Page { path: "docs/reference/inspection.md".into(), text })
}

fn properties(text: &mut String, title: &str, part: &Value) {
    let said = part.get("description").and_then(Value::as_str).unwrap_or_default();
    put(text, format_args!("\n## {title}\n\n"));
    if !said.is_empty() && title != "The object" {
        put(text, format_args!("{said}\n\n"));
    }
    let Some(keys) = part.get("properties").and_then(Value::as_object) else {
        return put(text, format_args!("{}\n", kind(part)));
    };
    let required: Vec<_> = part
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    text.push_str("| key | holds | always | means |\n|---|---|---|---|\n");
    for (name, value) in keys {
        let always = if required.contains(&name.as_str()) { "yes" } else { "" };
        let means = value.get("description").and_then(Value::as_str).unwrap_or_default();
        put(
            text,
            format_args!(
                "| `{name}` | {} | {always} | {} |\n",
                kind(value),
                means.replace('|', "\\|")
            ),
        );
    }
}

/// Says in a word or two what a part of a schema takes.
fn kind(part: &Value) -> String {
    if let Some(target) = part.get("$ref").and_then(Value::as_str) {
        return format!("`{}`", target.rsplit('/').next().unwrap_or(target));
    }
    if let Some(words) = part.get("enum").and_then(Value::as_array) {
        return words
            .iter()
            .map(|w| format!("`{}`", w.as_str().map_or_else(|| w.to_string(), str::to_owned)))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(word) = part.get("const") {
        return format!("`{}`", word.as_str().unwrap_or_default());
    }
    if let Some(choices) =
        ["oneOf", "anyOf", "allOf"].into_iter().find_map(|k| part.get(k)?.as_array())
    {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let one =
        |name: &str| match (name, part.get("items"), part.get("format").and_then(Value::as_str)) {
            ("array", Some(items), _) => format!("list of {}", kind(items)),
            ("string", _, Some("date-time")) => "time".into(),
            ("string", _, Some("date")) => "day".into(),
            (name, ..) => name.to_owned(),
        };
    match part.get("type") {
        Some(Value::String(name)) => one(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).map(one).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".into(),
    }
}

fn fuzz_manifest(feeds: &BTreeSet<String>, inspectors: &BTreeSet<String>) -> Page {
    let mut text = String::from(include_str!("codegen/fuzz-manifest.toml"));
    let mut target = |name: &str, file: &str| {
        put(
            &mut text,
            format_args!(
                "\n[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{file}.rs\"\ntest = false\ndoc = false\nbench = false\n"
            ),
        );
    };
    for one in FUZZ_TARGETS {
        target(one, one);
    }
    for name in feeds {
        target(&format!("feed_{name}"), "feed");
    }
    for name in inspectors {
        target(&format!("inspector_{name}"), "inspector");
    }
    Page { path: "fuzz/Cargo.toml".into(), text }
}

/// The targets that stand for one parser each; feeds and inspectors share a file and are told apart by their name.
pub const FUZZ_TARGETS: [&str; 9] = [
    "version",
    "section",
    "advisory_file",
    "answer",
    "web_server",
    "web_application",
    "language",
    "owner",
    "container",
];

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes every text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_ends_where_the_code_begins() {
        let source =
            "//! The first line.\n//!\n//! More:\n//!   indented\n\nuse x;\n//! not this\n";
        assert_eq!(card(source), "The first line.\n\nMore:\n  indented\n");
    }

    #[test]
    fn limits_are_read_with_their_reasons() {
        let source = "/// One stanza,\n/// at most.\nconst MAX_STANZA: u64 = 1 << 20;\n/// Not this.\nfn a() {}\npub const MAX_N: usize = 100_000;\n";
        let got = constants(source);
        assert_eq!(got[0], ("MAX_STANZA", "1 Mi".into(), "One stanza, at most.".into()));
        assert_eq!(got[1], ("MAX_N", "100,000".into(), String::new()));
    }

    #[test]
    fn commands_are_found_in_a_help_text() {
        let help = "Says.\n\nUsage: m\n\nCommands:\n  inspect  Say\n           more\n  feed     Make\n  help     Print\n\nOptions:\n  -h\n";
        assert_eq!(subcommands(help), ["inspect", "feed"]);
    }

    #[test]
    fn a_schema_becomes_a_table() {
        let schema = r##"{"description":"All.","properties":{"at":{"type":"string","format":"date-time","description":"when"},
            "os":{"$ref":"#/$defs/os"}},"required":["at"],"$defs":{"os":{"properties":{"id":{"type":["string","null"]}}}}}"##;
        let page = schema_page(schema).unwrap().text;
        assert!(page.contains("| `at` | time | yes | when |\n| `os` | `os` |  |  |\n"), "{page}");
        assert!(page.contains("| `id` | string or null |  |  |\n"), "{page}");
    }
}
