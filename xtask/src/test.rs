//! `cargo xtask test`: everything that must hold, in one go, and a screen at the end that says what ran.
//!
//! Nothing stops at the first failure. Lines `not run: needs …` that tests print are counted: what was not tested is
//! said. With `MUSTER_REQUIRE_ALL=1` in the environment each of them is a failure, by the test itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use crate::clock::timed;
use crate::repository::{Repository, requires_all};
use crate::{codegen, score, tidy};

/// What a step came to.
#[derive(Debug, Default)]
struct Outcome {
    failures: Vec<String>,
    remarks: Vec<String>,
    not_run: Vec<String>,
    said: String,
}

impl Outcome {
    fn of(succeeded: bool, failure: impl Into<String>) -> Self {
        let failures = if succeeded { Vec::new() } else { vec![failure.into()] };
        Self { failures, ..Self::default() }
    }
}

type Step = (&'static str, fn(&Repository) -> anyhow::Result<Outcome>);

const STEPS: [Step; 7] = [
    ("tidy", tidied),
    ("fmt", formatted),
    ("clippy", linted),
    ("test", tested),
    ("doc", documented),
    ("codegen", generated),
    ("score", scored),
];

/// Runs every step.
pub fn run(repository: &Repository) -> anyhow::Result<ExitCode> {
    let mut outcomes = Vec::new();
    for (name, step) in STEPS {
        crate::say(format_args!("── {name}"));
        let (outcome, taken) = timed(|| step(repository));
        let outcome = outcome.unwrap_or_else(|error| Outcome::of(false, format!("{error:#}")));
        outcomes.push((name, outcome, taken));
    }
    crate::answer(&summary(&outcomes));
    let failed = outcomes.iter().any(|(_, o, _)| !o.failures.is_empty());
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn summary(outcomes: &[(&str, Outcome, Duration)]) -> String {
    let mut text = String::from("\n");
    for (name, outcome, taken) in outcomes {
        let word = match (outcome.failures.is_empty(), outcome.said.is_empty()) {
            (true, true) => "passed",
            (true, false) => outcome.said.as_str(),
            (false, _) => "FAILED",
        };
        put(&mut text, format_args!("{name:8} {:>6.1} s  {word}\n", taken.as_secs_f64()));
    }
    for remark in outcomes.iter().flat_map(|(_, o, _)| &o.remarks) {
        put(&mut text, format_args!("remark: {remark}\n"));
    }
    let mut not_run: BTreeMap<&str, usize> = BTreeMap::new();
    for line in outcomes.iter().flat_map(|(_, o, _)| &o.not_run) {
        *not_run.entry(line).or_default() += 1;
    }
    for (line, times) in &not_run {
        put(&mut text, format_args!("{line} ({times}×)\n"));
    }
    let failures: Vec<_> =
        outcomes.iter().flat_map(|(n, o, _)| o.failures.iter().map(move |f| (n, f))).collect();
    for (name, failure) in &failures {
        put(&mut text, format_args!("FAILED {name}: {failure}\n"));
    }
    match (failures.len(), not_run.values().sum::<usize>()) {
        (0, 0) => text.push_str("everything ran, and passed\n"),
        (0, skipped) => put(
            &mut text,
            format_args!("everything that ran passed; {skipped} could not run here\n"),
        ),
        (failed, _) => put(&mut text, format_args!("{failed} failed\n")),
    }
    text
}

fn tidied(repository: &Repository) -> anyhow::Result<Outcome> {
    let findings = tidy::check(repository)?;
    Ok(Outcome {
        failures: findings.faults.iter().map(ToString::to_string).collect(),
        remarks: findings.remarks.iter().map(ToString::to_string).collect(),
        ..Outcome::default()
    })
}

fn formatted(repository: &Repository) -> anyhow::Result<Outcome> {
    let run = repository.cargo(&["fmt", "--all", "--check"]).stdout(Stdio::null()).status()?;
    Ok(Outcome::of(run.success(), "run `cargo fmt --all`"))
}

fn linted(repository: &Repository) -> anyhow::Result<Outcome> {
    let words = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    let run = repository.cargo(&words).status()?;
    Ok(Outcome::of(run.success(), "clippy found what stands above"))
}

fn documented(repository: &Repository) -> anyhow::Result<Outcome> {
    let run = repository
        .cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--lib", "--bins"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()?;
    Ok(Outcome::of(run.success(), "rustdoc found what stands above"))
}

fn generated(repository: &Repository) -> anyhow::Result<Outcome> {
    let code = codegen::run(repository, true)?;
    Ok(Outcome::of(
        code == ExitCode::SUCCESS,
        "a reference page is stale: run `cargo xtask codegen`",
    ))
}

fn scored(repository: &Repository) -> anyhow::Result<Outcome> {
    if repository.shared().is_none() {
        let failures = if requires_all() { vec!["needs ../shared".into()] } else { Vec::new() };
        let said = "not run".into();
        return Ok(Outcome {
            not_run: vec!["not run: needs ../shared".into()],
            failures,
            said,
            ..Outcome::default()
        });
    }
    let code = score::run(repository, &score::Options::default())?;
    Ok(Outcome::of(code == ExitCode::SUCCESS, "a figure fell below its golden number"))
}

/// Runs the tests, shows what fails as it comes, and keeps everything in a log.
fn tested(repository: &Repository) -> anyhow::Result<Outcome> {
    let words = ["test", "--workspace", "--no-fail-fast", "--", "--show-output"];
    let mut run =
        repository.cargo(&words).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let output = run.stdout.take().context("its output was asked for")?;
    let mut report = Report::default();
    for line in BufReader::new(output).split(b'\n') {
        report.line(&String::from_utf8_lossy(&line?));
    }
    let succeeded = run.wait()?.success();
    let log = repository.target().join("xtask-test.log");
    fs::write(&log, &report.log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut failures = report.failed;
    for failure in &failures {
        crate::say(format_args!("failed: {failure}"));
    }
    if !succeeded {
        crate::answer(&report.shown);
        failures.push(format!("see {}", log.display()));
    }
    let said = format!("{} passed", report.passed);
    Ok(Outcome { failures, not_run: report.not_run, said, remarks: Vec::new() })
}

/// What is read out of the output of tests.
#[derive(Debug, Default)]
struct Report {
    passed: usize,
    failed: Vec<String>,
    not_run: Vec<String>,
    shown: String,
    log: String,
    in_failures: bool,
}

impl Report {
    fn line(&mut self, line: &str) {
        self.log.push_str(line);
        self.log.push('\n');
        if let Some(test) = line.strip_prefix("test ") {
            if test.ends_with(" ... ok") {
                self.passed += 1;
            } else if let Some(name) = test.strip_suffix(" ... FAILED") {
                self.failed.push(name.to_owned());
            }
        }
        if line.starts_with("not run: ") {
            self.not_run.push(line.to_owned());
        }
        match line {
            "failures:" => self.in_failures = true,
            l if l.starts_with("test result:") || l == "successes:" => self.in_failures = false,
            _ => {}
        }
        if self.in_failures {
            self.shown.push_str(line);
            self.shown.push('\n');
        }
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes every text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_run_is_counted_and_what_failed_is_named() {
        let output = "running 3 tests\ntest a ... ok\ntest b::c ... FAILED\ntest d ... ok\n\nsuccesses:\n\n---- a stdout ----\n\
            not run: needs ruby\n\nfailures:\n\n---- b::c stdout ----\nassertion failed\n\ntest result: FAILED. 2 passed\n";
        let mut report = Report::default();
        output.lines().for_each(|l| report.line(l));
        assert_eq!((report.passed, report.failed.as_slice()), (2, &["b::c".to_owned()][..]));
        assert_eq!(report.not_run, ["not run: needs ruby"]);
        assert!(report.shown.contains("assertion failed") && !report.shown.contains("ruby"));
    }

    #[test]
    fn the_last_screen_tells_what_is_missing() {
        let skipped =
            Outcome { not_run: vec!["not run: needs ruby".into(); 2], ..Outcome::default() };
        let text = summary(&[("test", skipped, Duration::from_millis(1500))]);
        assert!(text.contains(
            "not run: needs ruby (2×)\neverything that ran passed; 2 could not run here\n"
        ));
        let text = summary(&[("fmt", Outcome::of(false, "run it"), Duration::ZERO)]);
        assert!(text.ends_with("FAILED fmt: run it\n1 failed\n"));
    }
}
