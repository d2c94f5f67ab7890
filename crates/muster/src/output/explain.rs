//! `muster explain`: a page that the owner of a server can act on without knowing Muster.
//!
//! What is wrong, since when, how bad by whose word, what to type, and by what sign the next inspection knows that it is
//! done. A page stands for everything that one action closes. It is made once and written as text or as Markdown.

mod advisory;
mod others;

use std::io::{self, Write};

use muster_core::fact::Database;
use muster_core::finding::{About, Finding};
use muster_core::text::for_terminal;
use muster_core::verdict::Verdict;
use muster_match::AdvisoryFile;

use super::table::wrap;
use crate::args::PageFormat;
use crate::report::Report;

/// Columns that fit on every terminal and in a mail.
const WIDTH: usize = 78;

/// A page, before it is known how it is written.
pub(crate) struct Page {
    /// What is wrong, on what.
    title: String,
    /// Its sections, in the order in which they are read.
    sections: Vec<Section>,
}

/// A heading with what stands below it.
struct Section {
    heading: &'static str,
    items: Vec<Item>,
}

/// A part of a section.
enum Item {
    /// A paragraph.
    Text(String),
    /// One of several points.
    Point(String),
    /// Lines to type, one after another.
    Commands(Vec<String>),
    /// What is not listed any more when the same is inspected again.
    Gone(String),
}

/// What was asked, and of what.
pub(crate) struct Asked<'a> {
    /// The name that the findings were found by.
    pub(crate) name: &'a str,
    /// The command that makes the same inspection again.
    pub(crate) again: String,
}

impl Section {
    fn say_how_to_look_again(&mut self, again: &str) {
        let items = std::mem::take(&mut self.items).into_iter();
        self.items = items
            .flat_map(|item| match item {
                Item::Gone(what) => {
                    vec![text(format!("{what} when this is typed:")), commands([again.to_owned()])]
                }
                item => vec![item],
            })
            .collect();
    }
}

impl Page {
    fn new(title: String) -> Self {
        Self { title, sections: Vec::new() }
    }

    /// Adds a section, unless there is nothing in it.
    fn add(&mut self, heading: &'static str, items: Vec<Item>) {
        if !items.is_empty() {
            self.sections.push(Section { heading, items });
        }
    }
}

const WHAT: &str = "What it is";
const SINCE: &str = "Since when";
const HOW_BAD: &str = "How bad it is, and who says so";
const TYPE: &str = "What to type";
const DONE: &str = "How Muster will know that it is done";
const SOURCES: &str = "Where this comes from";

fn text(words: impl Into<String>) -> Item {
    Item::Text(words.into())
}

fn point(words: impl Into<String>) -> Item {
    Item::Point(words.into())
}

fn commands<const N: usize>(lines: [String; N]) -> Item {
    Item::Commands(lines.into())
}

/// Makes a page for each action behind the findings that were asked for.
pub(crate) fn pages(
    report: &Report,
    file: Option<&AdvisoryFile>,
    named: &[&Finding],
    asked: &Asked<'_>,
) -> anyhow::Result<Vec<Page>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in named {
        match groups.iter_mut().find(|g| g.first().is_some_and(|first| is_one(first, finding))) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups.iter().map(|group| page(report, file, group, asked)).collect()
}

/// Tells whether one action answers both.
fn is_one(a: &Finding, b: &Finding) -> bool {
    match (&a.about, &b.about) {
        (About::Advisory(one), About::Advisory(two)) => {
            one.patch.source == two.patch.source
                && one.patch.headers_only == two.patch.headers_only
                && a.verdict == b.verdict
                && a.action == b.action
        }
        _ => a.id == b.id,
    }
}

fn page(
    report: &Report,
    file: Option<&AdvisoryFile>,
    group: &[&Finding],
    asked: &Asked<'_>,
) -> anyhow::Result<Page> {
    let first = group.first().expect("a group is made for a finding");
    let (mut page, mut from) = match &first.about {
        About::Advisory(a) => advisory::page(report, file, group, a)?,
        _ => (others::page(report, file, first, asked.name)?, Vec::new()),
    };
    for section in &mut page.sections {
        section.say_how_to_look_again(&asked.again);
    }
    from.push(text(sources(report)));
    page.add(SOURCES, from);
    Ok(page)
}

/// Says what was looked at, when, and by what.
fn sources(report: &Report) -> String {
    let advisories = report.advisories.as_ref().map_or_else(
        || "without an advisory file".to_owned(),
        |a| {
            let of = a.of_release.map_or_else(
                || "an unknown day".to_owned(),
                |d| muster_core::time::day(d).to_string(),
            );
            format!("by advisories up to {of}")
        },
    );
    format!("One inspection of {} at {}, {advisories}.", report.root, report.at)
}

/// Makes a sentence of an advice.
fn sentence(advice: &str) -> Item {
    let mut letters = advice.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    text(format!("{first}{}.", letters.as_str()))
}

/// Says what the next inspection says, which is the same for all kinds.
fn gone(ids: &str) -> Item {
    Item::Gone(format!("{ids} is not listed any more"))
}

/// Returns the command that shows the version of a package, as the package manager knows it.
fn shows_version(database: Database, names: &[&str]) -> String {
    let tool = match database {
        Database::Dpkg => "dpkg-query -W",
        Database::Rpm => "rpm -q",
        Database::Apk => "apk list --installed",
    };
    muster_core::action::on(tool, names.iter().copied())
}

/// Says a verdict in a sentence for somebody who has never heard of it.
fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Missing => "A fix is out for this server, and it is not installed.",
        Verdict::MissingSubscription => {
            "A fix is out, and the distributor gives it only to those who subscribe."
        }
        Verdict::NoFix => "Nobody has published a fix for this release yet.",
        Verdict::WontFix => "The distributor has said that it will not fix this in this release.",
        Verdict::EndOfSupport => "Nobody fixes this here any more: its support has ended.",
        Verdict::Unknown => {
            "It cannot be told whether this server is affected, and that is not good news."
        }
        Verdict::Owed => "Something is owed that no advisory speaks of.",
        Verdict::Fixed => "The fix is installed. There is nothing to do.",
        Verdict::NotAffected => "This server is not affected. There is nothing to do.",
    }
}

/// Writes pages, one after another.
pub(crate) fn write(pages: &[Page], format: PageFormat) -> anyhow::Result<()> {
    let mut out = crate::output::data()?;
    for (at, page) in pages.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        match format {
            PageFormat::Text => write_text(&mut out, page)?,
            PageFormat::Markdown => write_markdown(&mut out, page)?,
        }
    }
    out.flush()?;
    Ok(())
}

fn write_text(out: &mut dyn Write, page: &Page) -> io::Result<()> {
    for line in wrap(&for_terminal(&page.title), WIDTH) {
        writeln!(out, "{line}")?;
    }
    for section in &page.sections {
        writeln!(out, "\n{}", section.heading)?;
        for (at, item) in section.items.iter().enumerate() {
            let (words, first, next) = match item {
                // A line to type is never broken: it must survive being pasted.
                Item::Commands(lines) => {
                    writeln!(out)?;
                    for line in lines {
                        writeln!(out, "      {}", for_terminal(line))?;
                    }
                    if at + 1 < section.items.len() {
                        writeln!(out)?;
                    }
                    continue;
                }
                Item::Text(words) | Item::Gone(words) => (words, "  ", "  "),
                Item::Point(words) => (words, "  - ", "    "),
            };
            for (at, line) in wrap(&for_terminal(words), WIDTH - next.len()).into_iter().enumerate()
            {
                writeln!(out, "{}{line}", if at == 0 { first } else { next })?;
            }
        }
    }
    Ok(())
}

fn write_markdown(out: &mut dyn Write, page: &Page) -> io::Result<()> {
    writeln!(out, "# {}", escaped(&page.title))?;
    for section in &page.sections {
        writeln!(out, "\n## {}", section.heading)?;
        let mut is_list = false;
        for item in &section.items {
            let goes_on = is_list && matches!(item, Item::Point(_));
            is_list = matches!(item, Item::Point(_));
            if !goes_on {
                writeln!(out)?;
            }
            match item {
                Item::Text(words) | Item::Gone(words) => writeln!(out, "{}", escaped(words))?,
                Item::Point(words) => writeln!(out, "- {}", escaped(words))?,
                Item::Commands(lines) => {
                    let lines: Vec<_> = lines.iter().map(|line| for_terminal(line)).collect();
                    let block = lines.join("\n");
                    // A fence longer than any run of backticks within.
                    let fence = "`".repeat(3.max(longest_run(&block) + 1));
                    writeln!(out, "{fence}sh\n{block}\n{fence}")?;
                }
            }
        }
    }
    Ok(())
}

/// Spells out what Markdown or HTML would obey in words that came from a server or a feed. What stands between our own
/// backticks is code and needs no more than that it ends there.
fn escaped(words: &str) -> String {
    let words = for_terminal(words);
    let mut safe = String::with_capacity(words.len() + 16);
    for (at, part) in words.split('`').enumerate() {
        let is_code = at % 2 == 1;
        if at > 0 {
            safe.push('`');
        }
        for c in part.chars() {
            if !is_code && "\\*_[]<>#|~!&".contains(c) {
                safe.push('\\');
            }
            safe.push(c);
        }
    }
    if words.matches('`').count() % 2 == 1 {
        safe.push('`');
    }
    safe
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(page: &Page, as_markdown: bool) -> String {
        let mut out = Vec::new();
        if as_markdown {
            write_markdown(&mut out, page).unwrap();
        } else {
            write_text(&mut out, page).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_page_obeys_nobodys_words() {
        let mut page = Page::new("curl <script>\u{1b}[2J".into());
        page.add(WHAT, vec![point("[click](http://x) `code*` and *bold* ```")]);
        page.add(TYPE, vec![commands(["echo '```'".to_owned()])]);
        page.add(DONE, Vec::new());
        let markdown = rendered(&page, true);
        assert!(markdown.starts_with("# curl \\<script\\>\\\\u{1b}\\[2J\n"), "{markdown}");
        assert!(markdown.contains("- \\[click\\](http://x) `code*` and \\*bold\\* "), "{markdown}");
        assert!(markdown.contains("\n````sh\necho '```'\n````\n"), "{markdown}");
        assert!(!markdown.contains(DONE));
        assert!(rendered(&page, false).starts_with("curl <script>\\u{1b}[2J\n\nWhat it is\n  - "));
    }

    #[test]
    fn a_command_is_never_broken() {
        let mut page = Page::new("x".into());
        let line = format!("apt-get install {}", "package ".repeat(30));
        page.add(TYPE, vec![commands([line.trim_end().to_owned()])]);
        assert!(rendered(&page, false).lines().any(|l| l.trim() == line.trim_end()));
    }
}
