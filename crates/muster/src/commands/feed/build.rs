//! `muster feed build`: from what the vendors publish to one advisory file, whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use muster_core::advisory::{Item, Problem};
use muster_core::text::for_terminal;
use muster_core::time::Instant;
use muster_feed::input::{self, Digest, Source, Terms};
use muster_match::AdvisoryFile;
use muster_match::compile::{Compiler, Summary};
use muster_match::diff::{Change, Direction};
use muster_match::file::ReleaseInfo;
use serde::Serialize;

use super::{folder, guard, previous};
use crate::args::{Build, Plain};
use crate::clock;
use crate::commands::Answer;
use crate::output;
use crate::progress::Progress;
use crate::report::count;

/// What the command answers.
#[derive(Serialize)]
struct Built {
    schema: &'static str,
    sources: Vec<SourceEntry>,
    releases: Vec<ReleaseInfo>,
    problems: Vec<Problem>,
    opened: usize,
    closed: usize,
    frozen: Vec<String>,
    bytes: u64,
}

#[derive(Serialize)]
struct SourceEntry {
    path: String,
    format: &'static str,
    records: u64,
    withdrawn: u64,
    problems: u64,
}

/// A PATH of the command line.
struct Named {
    path: PathBuf,
    format: Option<&'static str>,
    digest: Digest,
}

pub(crate) fn build(asked: &Build, told: Option<Instant>) -> anyhow::Result<Answer> {
    let before = previous(&asked.output)?;
    let sources = name_sources(&asked.paths)?;
    let mut part = Part::begin(&asked.output)?;
    let spool =
        tempfile::tempfile_in(folder(&asked.output)).context("making a place for the records")?;
    let mut compiler = Compiler::new(spool).context("beginning the advisory file")?;
    let read = read_sources(&sources, latest(clock::now(told)), &mut compiler)?;
    if read.iter().all(|s| s.records == 0) {
        let why = compiler.problems().iter().min();
        let why = why.map_or(String::new(), |p| format!("; the first problem is {}", line(p)));
        bail!("no record was found in what was named; nothing was built{why}");
    }
    let frozen = freeze(&mut compiler, before.as_ref(), asked)
        .map_err(|error| of_the_build_before(error, &asked.output))?;
    let mut problems = compiler.problems().to_vec();
    problems.sort();
    let summary = compiler
        .finish(&mut part.file, told)
        .with_context(|| format!("writing {}", asked.output.display()))?;
    refuse_unmatched(&summary, &read)?;
    let changes = compare(before.as_ref(), &part, asked)
        .map_err(|error| of_the_build_before(error, &asked.output))?;
    part.replace(&asked.output)?;
    let built = Built {
        schema: "muster.feed-build/1",
        sources: read
            .into_iter()
            .map(|s| SourceEntry {
                path: s.path,
                format: s.format,
                records: s.records,
                withdrawn: s.withdrawn,
                problems: s.problems,
            })
            .collect(),
        releases: summary.releases,
        opened: count_of(&changes, Direction::Opens),
        closed: count_of(&changes, Direction::Closes),
        frozen,
        problems,
        bytes: summary.bytes,
    };
    match asked.format {
        Plain::Json => output::write_json(&built)?,
        Plain::Table => print(&built, &asked.output, before.is_some())?,
    }
    Ok(if built.problems.is_empty() { Answer::Good } else { Answer::Owed })
}

/// Finds the sources, and puts them into an order that depends on their content alone.
fn name_sources(paths: &[String]) -> anyhow::Result<Vec<Named>> {
    let mut sources = Vec::new();
    for text in paths {
        let (format, path) = match text.split_once('=').map(|(f, p)| (input::format_named(f), p)) {
            Some((Some(format), path)) => (Some(format), Path::new(path)),
            _ => (None, Path::new(text)),
        };
        if format.is_none()
            && !path.exists()
            && let Some((name, _)) = text.split_once('=')
        {
            bail!("no feed is called `{name}`; the feeds are {}", input::names());
        }
        let digest = input::digest(path).with_context(|| format!("reading {}", path.display()))?;
        sources.push(Named { path: path.to_owned(), format, digest });
    }
    sources.sort_by(|a, b| a.digest.hash.cmp(&b.digest.hash).then_with(|| a.path.cmp(&b.path)));
    Ok(sources)
}

/// Returns the latest time that a record may bear: a day is left for clocks and time zones.
fn latest(now: Instant) -> Instant {
    now.checked_add(jiff::SignedDuration::from_hours(24)).unwrap_or(Instant::MAX)
}

fn read_sources(
    sources: &[Named],
    until: Instant,
    compiler: &mut Compiler,
) -> anyhow::Result<Vec<Source>> {
    let progress = Progress::bytes(sources.iter().map(|s| s.digest.bytes).sum());
    let (mut read, mut done) = (Vec::new(), 0);
    for source in sources {
        progress.on(&source.path.display().to_string());
        let terms = Terms { format: source.format, until };
        let result = input::read(&source.path, terms, compiler, &mut |at| progress.at(done + at));
        match result.with_context(|| format!("reading {}", source.path.display())) {
            Ok(parts) => read.extend(parts),
            Err(error) => {
                progress.end();
                return Err(error);
            }
        }
        done += source.digest.bytes;
    }
    progress.end();
    read.sort_by(|a, b| (&a.path, a.format).cmp(&(&b.path, b.format)));
    Ok(read)
}

/// Refuses a file by which no server could be judged, although advisories were given for it.
fn refuse_unmatched(summary: &Summary, read: &[Source]) -> anyhow::Result<()> {
    let mut given = read.iter().filter(|s| s.records > 0 && input::has_advisories(s.format));
    let Some(one) = given.next().filter(|_| summary.releases.is_empty()) else { return Ok(()) };
    bail!(
        "no statement about a package of a release was found in what was named ({} of {} in {}): by such a file every server would look clean; nothing was built",
        count(usize::try_from(one.records).unwrap_or(usize::MAX), "record", "records"),
        one.format,
        one.path
    );
}

/// Says what to do when the build before cannot be read: it may hold frozen releases, so it is never passed over.
fn of_the_build_before(error: anyhow::Error, output: &Path) -> anyhow::Error {
    if !error.is::<muster_match::Error>() {
        return error;
    }
    error.context(format!(
        "comparing with the build before: move {} away to build without it",
        output.display()
    ))
}

/// Refuses feeds that went backwards, and keeps what a feed said of releases that it dropped.
fn freeze(
    compiler: &mut Compiler,
    before: Option<&AdvisoryFile>,
    asked: &Build,
) -> anyhow::Result<Vec<String>> {
    let Some(before) = before else { return Ok(Vec::new()) };
    let (was, is) = (before.provenance()?, compiler.provenance());
    let older = guard::older(&was, &is);
    if !older.is_empty() && !asked.accept_older {
        bail!(
            "refused, a feed is older than the one compiled before (--accept-older takes it): {}",
            older.join("; ")
        );
    }
    let vanished = guard::vanished(&was, &is);
    if vanished.is_empty() {
        return Ok(Vec::new());
    }
    before.every_record(&mut |feed, mut record| {
        record.statements.retain(|s| vanished.iter().any(|(f, r)| f == feed && *r == s.release));
        if !record.statements.is_empty() {
            compiler.begin_frozen(feed);
            muster_core::advisory::Sink::item(compiler, Item::Record(record));
        }
    })?;
    Ok(vanished.into_iter().map(|(feed, release)| format!("{release} ({feed})")).collect())
}

/// Lists what changes from the build before, and refuses what is beyond the guard.
fn compare(
    before: Option<&AdvisoryFile>,
    part: &Part,
    asked: &Build,
) -> anyhow::Result<Vec<(String, Vec<Change>)>> {
    let Some(before) = before else { return Ok(Vec::new()) };
    let after = AdvisoryFile::open(&part.path)?;
    let changes = guard::changes(before, &after)?;
    let objections = guard::objections(before, &changes)?;
    if !objections.is_empty() && !asked.accept_change {
        bail!(
            "refused, the change is beyond the guard (--accept-change takes it, `muster feed diff` lists it): {}",
            objections.join("; ")
        );
    }
    Ok(changes)
}

fn count_of(changes: &[(String, Vec<Change>)], direction: Direction) -> usize {
    changes.iter().flat_map(|(_, c)| c).filter(|c| c.direction() == direction).count()
}

/// The file while it is written: beside its final place, locked, so that two builds at once do not mix.
struct Part {
    path: PathBuf,
    file: File,
    done: bool,
}

impl Part {
    fn begin(output: &Path) -> anyhow::Result<Self> {
        let name = output.file_name().context("the output is not a file")?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".part");
        let path = folder(output).join(hidden);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            // In a folder that others write, a link of this name would lead to a file of theirs choosing.
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .with_context(|| format!("writing beside {}", output.display()))?;
        if rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another build is writing {}; wait for it to end", output.display());
        }
        // Between opening and locking, the build before may have put this very file in its place.
        let here = std::fs::metadata(&path).ok().map(|m| (m.dev(), m.ino()));
        let opened = file.metadata()?;
        if here != Some((opened.dev(), opened.ino())) {
            bail!("another build has just written {}; build again", output.display());
        }
        file.set_len(0)?;
        Ok(Self { path, file, done: false })
    }

    /// Puts the file in its place: from then on it is the whole new one.
    fn replace(mut self, output: &Path) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| format!("writing {}", output.display()))?;
        std::fs::rename(&self.path, output)
            .with_context(|| format!("replacing {}", output.display()))?;
        self.done = true;
        File::open(folder(output))
            .and_then(|f| f.sync_all())
            .with_context(|| format!("writing the folder of {}", output.display()))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.done {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

fn line(problem: &Problem) -> String {
    let line = problem.line.map_or(String::new(), |l| format!(":{l}"));
    format!("{}{line}: {}", problem.path, problem.what)
}

fn print(built: &Built, output: &Path, again: bool) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let hot: u64 = built.releases.iter().map(|r| r.bytes).sum();
    writeln!(
        out,
        "{}: {} of {}, {:.1} MB ({:.1} MB of them for matching).",
        for_terminal(&output.display().to_string()),
        count(built.releases.len(), "release", "releases"),
        count(built.sources.len(), "source", "sources"),
        built.bytes as f64 / 1e6,
        hot as f64 / 1e6
    )?;
    writeln!(
        out,
        "\n{:>9} {:>9} {:>8}  {:<22} PATH",
        "RECORDS", "WITHDRAWN", "PROBLEMS", "FORMAT"
    )?;
    for source in &built.sources {
        writeln!(
            out,
            "{:>9} {:>9} {:>8}  {:<22} {}",
            source.records,
            source.withdrawn,
            source.problems,
            source.format,
            for_terminal(&source.path)
        )?;
    }
    if again {
        writeln!(
            out,
            "\nSince the build before: {} open, {} close.",
            count(built.opened, "statement", "statements"),
            built.closed
        )?;
    }
    for frozen in &built.frozen {
        writeln!(out, "kept as it was last said: {}", for_terminal(frozen))?;
    }
    if !built.problems.is_empty() {
        writeln!(out, "\n{}:", count(built.problems.len(), "problem", "problems"))?;
    }
    for problem in &built.problems {
        writeln!(out, "  {}", for_terminal(&line(problem)))?;
    }
    out.flush()?;
    Ok(())
}
