//! Clients that end with the process that started them, however that ends: `PR_SET_PDEATHSIG`
//! (PR_SET_PDEATHSIG(2const)), which a process can set for nobody but itself and which stays through execve(2).
//!
//! So the program starts itself first, sets it, and becomes the client. It knows nothing of ssh.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal};

use super::Reach;

/// The first word to a program that is to become a client.
const WORD: &str = "become-client-of";

/// Returns the command that starts the client; its own words follow.
pub(super) fn command(reach: &Reach) -> Command {
    let Some(launcher) = &reach.launcher else { return Command::new(&reach.program) };
    let mut command = Command::new(launcher);
    command.arg(WORD).arg(std::process::id().to_string()).arg(&reach.program);
    command
}

/// Tells whether a program is there to be started: by its path, or below PATH.
pub(super) fn is_found(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Becomes the client where the words of this process ask for that, and returns only if it cannot; nothing where they do not.
pub fn launched(words: impl IntoIterator<Item = OsString>) -> Option<io::Error> {
    let mut words = words.into_iter().skip(1);
    if words.next().as_deref() != Some(OsStr::new(WORD)) {
        return None;
    }
    let parent = words.next();
    let parent = parent.as_ref().and_then(|p| p.to_str()).and_then(|p| p.parse().ok());
    let parent = parent.and_then(Pid::from_raw);
    let program = words.next().unwrap_or_default();
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::TERM)) {
        return Some(error.into());
    }
    // It may have ended before that.
    if parent.is_none() || rustix::process::getppid() != parent {
        return Some(io::Error::other(format!("{WORD} is for muster itself")));
    }
    Some(Command::new(program).args(words).exec())
}
