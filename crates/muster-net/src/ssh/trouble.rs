//! Why a server could not be asked: the client's own words (those of OpenSSH 6 to 10), sorted into what a person does next.
//!
//! ssh(1) ends with 255 for all its own failures, so its words are the only evidence; words that are not known are shown.

use std::time::Duration;

/// Why a server could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// There is no client.
    #[error("ssh is not in PATH: install OpenSSH's client (openssh-client, openssh-clients)")]
    NoClient,
    /// This machine's own failure.
    #[error("{0}")]
    Here(String),
    /// Nothing listens.
    #[error("connection refused: is sshd running there, and is the port right?")]
    Refused,
    /// The name is not known.
    #[error("name not found: no such host, and no alias of that name in the configuration of ssh")]
    NoName,
    /// No way leads there.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// Its host key was never seen.
    #[error("unknown host key: connect once with ssh, compare the fingerprint, and accept it")]
    UnknownKey,
    /// Its host key is another than before.
    #[error(
        "its host key has changed: somebody may be in between, or it was set up anew; find out before `ssh-keygen -R`"
    )]
    ChangedKey,
    /// No key was accepted.
    #[error(
        "permission denied: none of the keys is accepted for this user there; `ssh-add -l` shows those of the agent"
    )]
    Denied,
    /// The account runs no command.
    #[error("no shell: this account does not run commands ({0})")]
    NoShell(String),
    /// sudo wants a password, or does not allow it.
    #[error("sudo does not allow it: `muster ssh-key --sudo` prints the line for sudoers ({0})")]
    NoSudo(String),
    /// The connection ended in the middle.
    #[error("the connection was dropped in the middle; its answer is not whole")]
    Dropped,
    /// It took too long.
    #[error("no whole answer within {} s; what comes slowly needs a longer --timeout", .0.as_secs())]
    Time(Duration),
    /// It answered too much.
    #[error("it answered more than {} MiB, and was cut off", .0 >> 20)]
    Endless(u64),
    /// Something else.
    #[error("ssh failed: {0}")]
    Other(String),
}

impl Trouble {
    /// Reads the client's words. `began` is whether the server had answered anything.
    pub(super) fn of(code: Option<i32>, words: &str, began: bool, time: Duration) -> Self {
        let has = |part: &str| words.contains(part);
        if code == Some(255) {
            if has("REMOTE HOST IDENTIFICATION HAS CHANGED") || has("HOST IDENTIFICATION CHANGED") {
                return Self::ChangedKey;
            }
            if has("Host key verification failed") || has("host key is known for") {
                return Self::UnknownKey;
            }
            if has("Permission denied (") || has("Too many authentication failures") {
                return Self::Denied;
            }
            if has("Connection refused") {
                return Self::Refused;
            }
            if has("Could not resolve hostname") {
                return Self::NoName;
            }
            if has("Connection timed out during banner")
                || has("Operation timed out")
                || has("Connection timed out")
            {
                return Self::Time(time);
            }
            if has("No route to host") || has("is unreachable") {
                return Self::Unreachable(last_line(words));
            }
            if began || words.trim().is_empty() {
                return Self::Dropped;
            }
            if has("closed by") || has("Connection reset") || has("Broken pipe") {
                return Self::Dropped;
            }
            return Self::Other(last_line(words));
        }
        if has("sudo:") {
            return Self::NoSudo(last_line(words));
        }
        match code {
            Some(code) if began => Self::NoShell(format!("it ended with {code}")),
            Some(_) => Self::NoShell(last_line(words)),
            None => Self::Dropped,
        }
    }
}

/// Returns the last line that says something, without what could move a terminal's cursor.
fn last_line(words: &str) -> String {
    let line = words.lines().map(str::trim).rfind(|line| !line.is_empty());
    let line = line.unwrap_or("it said nothing");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Trouble {
        Trouble::of(Some(255), words, false, Duration::from_secs(5))
    }

    #[test]
    fn the_words_of_the_client_are_sorted() {
        assert_eq!(of("ssh: connect to host a port 22: Connection refused\r\n"), Trouble::Refused);
        assert_eq!(
            of("ssh: Could not resolve hostname a: Name or service not known\r\n"),
            Trouble::NoName
        );
        assert_eq!(
            of(
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nHost key verification failed.\r\n"
            ),
            Trouble::ChangedKey
        );
        assert_eq!(of("Host key verification failed.\r\n"), Trouble::UnknownKey);
        assert_eq!(of("a@b: Permission denied (publickey).\r\n"), Trouble::Denied);
        assert_eq!(of("Connection closed by 192.0.2.1 port 22\r\n"), Trouble::Dropped);
        assert_eq!(
            of("Bad configuration option: x\u{1b}[2J\n"),
            Trouble::Other("Bad configuration option: x[2J".into())
        );
    }
}
