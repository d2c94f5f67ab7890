//! Prints the facts of a root as JSON: for looking at an inspector's work.

use std::process::ExitCode;

use muster_inspect::{Options, Target, inspect};

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to its developer")]
fn main() -> ExitCode {
    let Some(argument) = std::env::args_os().nth(1) else {
        eprintln!("usage: facts ROOT");
        return ExitCode::from(2);
    };
    let facts = Target::parse(&argument).and_then(|t| inspect(&t, &Options::default()));
    match facts {
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
