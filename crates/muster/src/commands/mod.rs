//! One file a command.

mod advisory;
mod explain;
mod feed;
mod inspect;
mod ssh_key;
mod version;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::args::{Arguments, Command, Feed, Version};
use crate::clock;
use crate::output;

/// What a command answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// In good standing, or done.
    Good,
    /// Something is owed, or was found.
    Owed,
    /// A part of the question could not be answered; what could be was written.
    Unanswered,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Good => Self::SUCCESS,
            Answer::Owed => Self::from(1),
            Answer::Unanswered => Self::from(2),
        }
    }
}

/// Runs the command that was typed.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Answer> {
    let told = arguments.now;
    match arguments.command {
        Command::Inspect(inspect) => inspect::run(&inspect, clock::now(told)),
        Command::Explain(explain) => explain::run(&explain, clock::now(told)),
        Command::Feed(Feed::Build(build)) => feed::build(&build, told),
        Command::Feed(Feed::Show { file, format, signed_text }) => {
            feed::show(&file, format, signed_text)
        }
        Command::Feed(Feed::Diff { old, new, format }) => feed::diff(&old, &new, format),
        Command::Feed(Feed::Pull(pull)) => feed::pull(&pull, clock::now(told)),
        Command::SshKey(asked) => ssh_key::run(&asked),
        Command::Advisory(advisory) => advisory::run(&advisory),
        Command::Version(Version::Compare { scheme, a, b }) => {
            version::compare(scheme, &a, b.as_deref())
        }
        Command::Completions { shell } => {
            // The generator takes no failure for an answer: memory has none.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "muster", &mut script);
            let mut out = output::data()?;
            out.write_all(&script)?;
            out.flush()?;
            Ok(Answer::Good)
        }
        Command::Man { folder } => {
            clap_mangen::generate_to(Arguments::command(), &folder)
                .with_context(|| format!("writing manual pages into {}", folder.display()))?;
            Ok(Answer::Good)
        }
    }
}
