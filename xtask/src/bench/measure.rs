//! What a command costs: CPU time and peak memory of the whole process and of the children it waited for.
//!
//! The kernel counts both for "all children so far", so each command is run by a small process of its own (this
//! executable again, under [`WORD`]) that asks `getrusage(2)` and answers on standard output. Memory that the small
//! process had itself when it started the command counts as a floor of some 3 MiB: what lies below is not seen.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

/// The word that makes this executable the measuring process.
pub const WORD: &str = "__measure";

/// What one run cost.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Cost {
    /// User and system time, in microseconds.
    pub cpu_us: i64,
    /// The most memory that was resident at once in one process, in KiB.
    pub peak_kib: i64,
    /// The exit status, or −1 for a signal.
    pub status: i32,
}

impl Cost {
    /// Returns the CPU time in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn cpu_ms(&self) -> f64 {
        self.cpu_us as f64 / 1000.0
    }

    /// Returns the peak in MiB.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}

/// The measuring process: runs the words that follow, output thrown away, and prints what they cost.
pub fn child(words: impl Iterator<Item = OsString>) -> ExitCode {
    match run_and_count(words) {
        Ok(cost) => {
            let line = serde_json::to_string(&cost).unwrap_or_default();
            match std::io::stdout().write_all(line.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::from(2),
            }
        }
        Err(error) => {
            crate::say(format_args!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run_and_count(mut words: impl Iterator<Item = OsString>) -> anyhow::Result<Cost> {
    let program = words.next().context("nothing to measure")?;
    let mut command = Command::new(&program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().with_context(|| format!("cannot run {}", program.display()))?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot ask what it cost")?;
    Ok(Cost {
        cpu_us: usage.user_time().num_microseconds() + usage.system_time().num_microseconds(),
        peak_kib: usage.max_rss(),
        status: status.code().unwrap_or(-1),
    })
}

/// Measures a command once.
pub fn measure(command: &[OsString]) -> anyhow::Result<Cost> {
    let own = std::env::current_exe().context("cannot find the measuring executable")?;
    let output = Command::new(own)
        .arg(WORD)
        .args(command)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start the measuring process")?;
    if !output.status.success() {
        bail!("{} could not be measured", shown(command));
    }
    serde_json::from_slice(&output.stdout).context("the measuring process answered nonsense")
}

/// Measures commands by turns, `runs` times each, so that noise falls on all alike; returns each one's medians.
pub fn interleaved(commands: &[Vec<OsString>], runs: usize) -> anyhow::Result<Vec<Cost>> {
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); commands.len()];
    for _ in 0..runs.max(1) {
        for (command, costs) in commands.iter().zip(&mut costs) {
            costs.push(measure(command)?);
        }
    }
    Ok(costs.iter().map(|costs| medians(costs)).collect())
}

fn medians(costs: &[Cost]) -> Cost {
    let middle = |mut figures: Vec<i64>| {
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    };
    Cost {
        cpu_us: middle(costs.iter().map(|c| c.cpu_us).collect()),
        peak_kib: middle(costs.iter().map(|c| c.peak_kib).collect()),
        status: costs.last().map_or(-1, |c| c.status),
    }
}

/// Counts the instructions of a command and its children under callgrind.
pub fn instructions(command: &[OsString], scratch: &Path) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir_in(scratch).context("cannot make a folder for callgrind")?;
    let mut run = Command::new("valgrind");
    run.arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}/out.%p", folder.path().display()));
    run.args(command).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = run.status().context("cannot run valgrind")?;
    if !matches!(status.code(), Some(0 | 1)) {
        bail!("under callgrind it ended otherwise ({status}): what was counted is not the whole");
    }
    let mut total = 0;
    for entry in std::fs::read_dir(folder.path())? {
        let text = std::fs::read(entry?.path())?;
        total += counted(&String::from_utf8_lossy(&text)).unwrap_or_default();
    }
    if total == 0 {
        bail!("callgrind counted nothing ({status})");
    }
    Ok(total)
}

/// Reads the total of a file that callgrind wrote: `summary:`, or `totals:` where there is none.
pub fn counted(file: &str) -> Option<u64> {
    let after =
        |key: &str| file.lines().rev().find_map(|l| l.strip_prefix(key)?.trim().parse().ok());
    after("summary:").or_else(|| after("totals:"))
}

fn shown(command: &[OsString]) -> String {
    command.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_callgrind_is_found() {
        let file = "version: 1\ncreator: callgrind-3.19.0\npid: 1\nevents: Ir\nsummary: 1234567\n\nfn=(1) main\n1 5\ntotals: 1234560\n";
        assert_eq!(counted(file), Some(1_234_567));
        assert_eq!(counted("events: Ir\ntotals: 42\n"), Some(42));
        assert_eq!(counted("events: Ir\n"), None);
    }

    #[test]
    fn the_median_is_not_the_mean() {
        let cost = |cpu_us| Cost { cpu_us, peak_kib: cpu_us * 2, status: 1 };
        let got = medians(&[cost(1000), cost(2), cost(1)]);
        assert_eq!((got.cpu_us, got.peak_kib, got.status), (2, 4, 1));
    }
}
