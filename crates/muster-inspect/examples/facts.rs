//! Prints the facts of a root as JSON, and with `spent` behind it what reading them took: for looking at an inspector's work.

use std::process::ExitCode;

use muster_inspect::{Options, Target, inspect_measured};

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to its developer")]
fn main() -> ExitCode {
    let Some(argument) = std::env::args_os().nth(1) else {
        eprintln!("usage: facts ROOT");
        return ExitCode::from(2);
    };
    let target = match Target::parse(&argument) {
        Ok(target) => target,
        Err(error) => {
            eprintln!("facts: {error}");
            return ExitCode::from(2);
        }
    };
    let (facts, spent) = inspect_measured(&target, &Options::default());
    match facts {
        Ok(facts) if std::env::args_os().nth(2).is_some() => {
            println!("{} packages, {spent:?}", facts.packages.len());
            ExitCode::SUCCESS
        }
        Ok(facts) => {
            println!("{}", serde_json::to_string_pretty(&facts).unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("facts: {error}");
            ExitCode::from(2)
        }
    }
}
