//! The one executable: reads the command line, does what it says, and answers with an exit status.
//!
//! 0: in good standing, or done; 1: something is owed or was found; 2: the question could not be answered.

mod advisories;
mod args;
mod clock;
mod commands;
mod output;
mod progress;
mod report;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    if let Some(error) = muster_net::ssh::launched(std::env::args_os()) {
        output::complain(&error.into());
        return ExitCode::from(2);
    }
    let arguments = match args::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked = !error.use_stderr();
            return if error.print().is_ok() && asked {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(2)
            };
        }
    };
    match commands::run(arguments) {
        Ok(answer) => answer.into(),
        Err(error) => {
            output::complain(&error);
            ExitCode::from(2)
        }
    }
}
