//! What is done to this repository, by name: `cargo xtask test`, `codegen`, `bench`, `score`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::bench::{self, measure};
use xtask::repository::Repository;
use xtask::{codegen, score, test};

/// Tests, measures and documents Muster.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Run all tests, fmt, clippy, doc, tidy; the score as well where the shared data lies
    Test,
    /// Write the reference pages that are made from the code
    Codegen {
        /// Write nothing; fail where a page is stale
        #[arg(long)]
        check: bool,
    },
    /// Measure what Muster promises, a peer beside it
    Bench(bench::Options),
    /// Score the answers against those that others worked out, and hold them to the golden numbers
    Score(score::Options),
}

fn main() -> ExitCode {
    // The measuring process must be small: it answers before anything else is set up.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == measure::WORD) {
        return measure::child(words);
    }
    let repository = Repository::here();
    let outcome = match Arguments::parse().task {
        Task::Test => test::run(&repository),
        Task::Codegen { check } => codegen::run(&repository, check),
        Task::Bench(options) => bench::run(&repository, &options),
        Task::Score(options) => score::run(&repository, &options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            xtask::say(format_args!("xtask: {error:#}"));
            ExitCode::from(2)
        }
    }
}
