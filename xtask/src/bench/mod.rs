//! The figures that Muster promises, measured, with a peer beside them in the same run where one can run here.
//!
//! Times on a shared machine are noisy: runs of Muster and of its peer take turns, medians count, and ratios,
//! instruction counts, sizes and memory decide. A figure of time alone is shown as missed, and fails nothing.

pub mod chroot;
pub mod debsecan;
pub mod feeds;
pub mod generate;
pub mod measure;
pub mod promise;
pub mod random;
pub mod ssh;
pub mod web;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use crate::clock::timed;
use crate::repository::{Repository, has_program};
use generate::{Made, Size};
use measure::Cost;
use promise::{Kind, Line, Table};

/// What is measured.
#[derive(Args, Debug)]
pub struct Options {
    /// How often each command runs
    #[arg(long, default_value_t = 11)]
    runs: usize,
    /// How to answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Also build the release from nothing, and time it
    #[arg(long)]
    clean_build: bool,
    /// Build no second executable to count instructions with
    #[arg(long)]
    no_count: bool,
    /// Only make the root and the feeds in this folder, and measure nothing
    #[arg(long, value_name = "FOLDER")]
    generate: Option<PathBuf>,
    /// Measure these parts alone
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Where the generator begins
    #[arg(long, default_value_t = Size::default().seed)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Packages,
    Indices,
    Web,
    Ssh,
    Feeds,
    Versions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// The time that every inspection here is made at.
const NOW: &str = "2026-11-22T12:00:00Z";

/// Measures everything.
pub fn run(repository: &Repository, options: &Options) -> anyhow::Result<ExitCode> {
    let size = Size { seed: options.seed, ..Size::default() };
    if let Some(folder) = &options.generate {
        let made = generate::generate(folder, size)?;
        crate::say(format_args!(
            "made {}, {}, {}",
            made.root.display(),
            made.tracker.display(),
            made.debsecan.display()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::default();
    if options.clean_build {
        clean_build(repository, &mut table)?;
    }
    let bench = Bench {
        muster: repository.muster("release")?,
        scratch: tempfile::tempdir().context("cannot make a folder to measure in")?,
        counted: match has_program("valgrind") && !options.no_count {
            true => Some(repository.muster_in_process()?),
            false => None,
        },
        runs: options.runs,
    };
    let binary = fs::metadata(&bench.muster).context("the executable was just built")?.len();
    table.push(Line::new("release binary", "size", mega(binary), "MB").at_most(15.0, Kind::Firm));
    let is_asked = |part| options.only.is_empty() || options.only.contains(&part);
    if is_asked(Part::Packages) {
        bench.generated(&mut table, size)?;
    }
    if is_asked(Part::Indices) {
        bench.own_indices(&mut table)?;
    }
    if is_asked(Part::Web) {
        web::run(&mut table, &bench.muster, bench.scratch.path(), bench.runs)?;
    }
    if is_asked(Part::Ssh) {
        ssh::run(&mut table, &bench.muster, bench.scratch.path(), bench.runs)?;
    }
    if is_asked(Part::Feeds) {
        match repository.shared() {
            Some(shared) => bench.feeds(&mut table, &shared)?,
            None => table.not_run("compile all feeds", "../shared"),
        }
    }
    if is_asked(Part::Versions) {
        versions(repository, &mut table)?;
    }
    crate::answer(&match options.format {
        Format::Table => table.to_string(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&table)?),
    });
    Ok(if table.is_kept() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

struct Bench {
    muster: PathBuf,
    /// The same program, reading in its own process.
    counted: Option<PathBuf>,
    scratch: tempfile::TempDir,
    runs: usize,
}

impl Bench {
    /// A root of 700 packages and 33,000 rows, debsecan on the same facts beside it.
    fn generated(&self, table: &mut Table, size: Size) -> anyhow::Result<()> {
        const WHAT: &str = "700 packages, 33,000 rows";
        let folder = self.scratch.path().join("generated");
        let made = generate::generate(&folder, size)?;
        let compiled = folder.join("debian.advisories");
        let built = self.answer(&[
            "feed",
            "build",
            text(&made.tracker)?,
            "-o",
            text(&compiled)?,
            "--now",
            NOW,
        ])?;
        if !compiled.exists() {
            bail!("`muster feed build` made no file of the generated feed: {}", built.complaint);
        }
        let ours = self.inspection(&made.root, Some(&compiled));
        let has_peer = has_program("debsecan");
        let mut commands = vec![ours.clone()];
        if has_peer {
            commands.push(debsecan::command(&made));
        }
        let costs = measure::interleaved(&commands, self.runs)?;
        let ours_cost = costs.first().copied().unwrap_or_default();
        self.inspected(table, WHAT, &ours_cost, 5.0, 8.0)?;
        self.instructions(table, WHAT, &ours)?;
        match costs.get(1) {
            Some(peer) => {
                table.push(Line::new(WHAT, "debsecan, CPU", peer.cpu_ms(), "ms"));
                table.push(Line::new(WHAT, "debsecan, peak", peer.peak_mib(), "MiB"));
                let ratio = peer.cpu_ms() / ours_cost.cpu_ms().max(0.001);
                table
                    .push(Line::new(WHAT, "times less CPU", ratio, "×").at_least(70.0, Kind::Firm));
                self.same_answers(table, WHAT, &made, &compiled)?;
            }
            None => table.not_run(WHAT, "debsecan"),
        }
        Ok(())
    }

    /// Holds Muster's pairs of vulnerability and package against debsecan's.
    fn same_answers(
        &self,
        table: &mut Table,
        what: &'static str,
        made: &Made,
        compiled: &Path,
    ) -> anyhow::Result<()> {
        let ours = self.answer(&[
            "inspect",
            text(&made.root)?,
            "--advisories",
            text(compiled)?,
            "--now",
            NOW,
            "--format",
            "json",
        ])?;
        let ours = debsecan::pairs_of_muster(&ours.output)?;
        let theirs = debsecan::pairs(made)?;
        let missed = theirs.difference(&ours).count();
        let only_ours = ours.difference(&theirs).count();
        table.push(Line::new(what, "pairs of debsecan", count(theirs.len()), ""));
        table.push(Line::new(what, "of them missed", count(missed), "").at_most(0.0, Kind::Firm));
        table.push(Line::new(what, "pairs beyond (signed kernel)", count(only_ours), ""));
        Ok(())
    }

    /// The packages of the machine that runs this, by its own archive indices. Its disks are no part of that.
    fn own_indices(&self, table: &mut Table) -> anyhow::Result<()> {
        const WHAT: &str = "this machine's indices";
        let root = self.scratch.path().join("own");
        for part in ["etc/apt", "etc/os-release", "var/lib/apt/lists", "var/lib/dpkg"] {
            let there = Path::new("/").join(part);
            if !there.exists() {
                table.not_run(WHAT, "apt");
                return Ok(());
            }
            let here = root.join(part);
            fs::create_dir_all(here.parent().unwrap_or(&root)).context("cannot make a root")?;
            let copied = Command::new("cp").arg("-rL").arg(&there).arg(&here).status();
            if !copied.context("cannot run cp")?.success() {
                bail!("{WHAT}: cannot copy {}", there.display());
            }
        }
        let command = self.inspection(&root, None);
        let costs = measure::interleaved(std::slice::from_ref(&command), self.runs)?;
        let cost = costs.first().copied().unwrap_or_default();
        self.inspected(table, WHAT, &cost, 150.0, 16.0)?;
        self.instructions(table, WHAT, &command)
    }

    fn inspected(
        &self,
        table: &mut Table,
        what: &'static str,
        cost: &Cost,
        cpu_ms: f64,
        peak_mib: f64,
    ) -> anyhow::Result<()> {
        if !(0..=1).contains(&cost.status) {
            bail!("{what}: `muster inspect` ended with status {}", cost.status);
        }
        table.push(Line::new(what, "CPU", cost.cpu_ms(), "ms").at_most(cpu_ms, Kind::Timed));
        table.push(Line::new(what, "peak", cost.peak_mib(), "MiB").at_most(peak_mib, Kind::Firm));
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn instructions(
        &self,
        table: &mut Table,
        what: &'static str,
        command: &[OsString],
    ) -> anyhow::Result<()> {
        let Some(counted) = &self.counted else {
            table.not_run(what, "valgrind");
            return Ok(());
        };
        let mut command = command.to_vec();
        if let Some(program) = command.first_mut() {
            *program = counted.clone().into();
        }
        let counted = measure::instructions(&command, self.scratch.path())
            .with_context(|| format!("{what}: counting instructions"))?;
        table.push(Line::new(what, "instructions", counted as f64 / 1e6, "M"));
        Ok(())
    }

    /// Every feed of the shared data into one file.
    fn feeds(&self, table: &mut Table, shared: &Path) -> anyhow::Result<()> {
        const WHAT: &str = "compile all feeds";
        let feeds = feeds::of(&shared.join("data/advisories"))?;
        let unpacked = feeds::unpacked_bytes(&feeds)?;
        let compiled = self.scratch.path().join("all.advisories");
        let mut words: Vec<OsString> =
            vec![self.muster.clone().into(), "feed".into(), "build".into()];
        words.extend(feeds.iter().map(|f| f.clone().into()));
        words.extend([
            "-o".into(),
            compiled.clone().into(),
            "--now".into(),
            NOW.into(),
            "--format".into(),
            "json".into(),
        ]);
        let cost = measure::measure(&words)?;
        if !compiled.exists() {
            bail!("`muster feed build` made no file of the shared feeds (status {})", cost.status);
        }
        fs::remove_file(&compiled).context("the file was just made")?;
        let output = Command::new(&self.muster)
            .args(words.iter().skip(1))
            .output()
            .context("cannot run muster")?;
        let largest = feeds::largest_release(&output.stdout)?;
        let speed = mega(unpacked) / (cost.cpu_ms() / 1000.0).max(0.001);
        table.push(Line::new(WHAT, "unpacked", mega(unpacked), "MB"));
        table.push(Line::new(WHAT, "a CPU-second", speed, "MB").at_least(100.0, Kind::Timed));
        table.push(Line::new(WHAT, "peak", cost.peak_mib(), "MiB").at_most(300.0, Kind::Firm));
        let whole = fs::metadata(&compiled).context("the file was just made")?.len();
        table
            .push(Line::new(WHAT, "compiled, in all", mega(whole), "MB").at_most(40.0, Kind::Firm));
        let what = format!("largest release ({})", largest.id);
        table.push(Line::new(WHAT, what, mega(largest.bytes), "MB").at_most(2.0, Kind::Firm));
        Ok(())
    }

    fn inspection(&self, root: &Path, compiled: Option<&Path>) -> Vec<OsString> {
        let mut words: Vec<OsString> =
            vec![self.muster.clone().into(), "inspect".into(), root.into()];
        words.extend(["--now".into(), NOW.into(), "--format".into(), "json".into()]);
        if let Some(file) = compiled {
            words.extend(["--advisories".into(), file.into()]);
        }
        words
    }

    fn answer(&self, words: &[&str]) -> anyhow::Result<Answer> {
        let output =
            Command::new(&self.muster).args(words).output().context("cannot run muster")?;
        Ok(Answer {
            output: output.stdout,
            complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

struct Answer {
    output: Vec<u8>,
    complaint: String,
}

/// What one comparison of versions costs, as the example of `muster-version` tells.
fn versions(repository: &Repository, table: &mut Table) -> anyhow::Result<()> {
    let run = repository
        .cargo(&[
            "run",
            "--quiet",
            "--release",
            "--package",
            "muster-version",
            "--example",
            "compare_speed",
        ])
        .output()
        .context("cannot run cargo")?;
    if !run.status.success() {
        bail!("`compare_speed` failed: {}", String::from_utf8_lossy(&run.stderr));
    }
    for (what, ns) in promise::nanoseconds(&String::from_utf8_lossy(&run.stdout)) {
        let limit = match what.as_str() {
            "dpkg, from two texts" => Some(120.0),
            w if w.contains("key") => Some(30.0),
            _ => None,
        };
        let line = Line::new("one comparison", what, ns, "ns");
        table.push(match limit {
            Some(limit) => line.at_most(limit, Kind::Timed),
            None => line,
        });
    }
    Ok(())
}

fn clean_build(repository: &Repository, table: &mut Table) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder to build in")?;
    let mut build = repository.cargo(&["build", "--quiet", "--release", "--package", "muster"]);
    build.env("CARGO_TARGET_DIR", folder.path());
    let (status, taken) = timed(|| build.status());
    if !status.context("cannot run cargo")?.success() {
        bail!("the clean release build failed");
    }
    table.push(
        Line::new("clean release build", "time", taken.as_secs_f64(), "s")
            .at_most(360.0, Kind::Timed),
    );
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the temporary folder's name is not UTF-8")
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn count(number: usize) -> f64 {
    number as f64
}
