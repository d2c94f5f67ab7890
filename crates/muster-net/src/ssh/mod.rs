//! The system's own OpenSSH client, ssh(1), found through PATH: the user's configuration, keys, agent and known hosts count.
//!
//! It never forwards an agent, a display or a port, never runs a local command, never asks anything, and is given one
//! command. What a server writes is kept up to a limit in a file without a name. No thread is made: the clients are
//! waited for together, with poll(2).

mod destination;
mod indices;
mod launcher;
mod trouble;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::time::ClockId;

pub use destination::{Destination, NoDestination};
pub use indices::Indices;
pub use launcher::launched;
pub use trouble::Trouble;

/// Bytes of standard error that are kept: its end.
const MAX_WORDS: usize = 16 << 10;
/// How long a client whose end nobody can announce is left alone.
const TICK: Duration = Duration::from_millis(50);

/// How servers are reached.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The client; `ssh` is looked for in PATH.
    pub program: PathBuf,
    /// This very program, whose first words are given to [`launched`]: it makes the client end with this process.
    pub launcher: Option<PathBuf>,
    /// A configuration instead of the user's own.
    pub config: Option<PathBuf>,
    /// How long one server may take.
    pub time: Duration,
    /// How many bytes one may answer.
    pub bytes: u64,
    /// How many clients run at once.
    pub parallel: usize,
    /// Where the answers are kept, without a name.
    pub folder: PathBuf,
}

/// What is still to be asked: a server by its place in the list, and what the command finds on its input.
#[derive(Debug, Default)]
pub struct Questions {
    waiting: VecDeque<(usize, Option<Vec<u8>>)>,
}

impl Questions {
    /// Asks a server once more, before those that were not asked yet. The command is the same; it reads `input`.
    pub fn again(&mut self, number: usize, input: Vec<u8>) {
        self.waiting.push_front((number, Some(input)));
    }
}

/// Takes the answer of a server by its place in the list; it may ask more.
pub type Taken<'a> = dyn FnMut(usize, Result<File, Trouble>, &mut Questions) + 'a;

/// Sends one command to each server, and hands over each answer as it is there, with its place in the list.
///
/// While an answer is looked at, the time of the others stands still.
pub fn ask(reach: &Reach, servers: &[&Destination], command: &str, taken: &mut Taken<'_>) {
    let waiting = (0..servers.len()).map(|number| (number, None)).collect();
    let mut questions = Questions { waiting };
    let mut clients: Vec<Client> = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        while clients.len() < reach.parallel.max(1) {
            let Some((number, input)) = questions.waiting.pop_front() else { break };
            let Some(server) = servers.get(number) else { continue };
            match Client::start(reach, number, server, command, input.as_deref()) {
                Ok(client) => clients.push(client),
                Err(trouble) => taken(number, Err(trouble), &mut questions),
            }
        }
        if clients.is_empty() {
            return;
        }
        wait(&clients);
        let mut number = 0;
        while let Some(client) = clients.get_mut(number) {
            client.hear(reach, &mut buffer);
            if !client.is_over(reach) {
                number += 1;
                continue;
            }
            let client = clients.swap_remove(number);
            let (place, started) = (client.number, now());
            let answer = client.end(reach);
            taken(place, answer, &mut questions);
            let spent = now().saturating_sub(started);
            for other in &mut clients {
                other.end += spent;
            }
        }
    }
}

fn now() -> Duration {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Waits until a client says something or ends, or one has no time left.
fn wait(clients: &[Client]) {
    let now = now();
    let mut least = Duration::from_secs(60);
    let mut heard: Vec<PollFd<'_>> = Vec::with_capacity(clients.len() * 3);
    for client in clients {
        least = least.min(client.end.saturating_sub(now));
        if let Some(output) = &client.output {
            heard.push(PollFd::new(output, PollFlags::IN));
        }
        if let Some(words) = &client.words {
            heard.push(PollFd::new(words, PollFlags::IN));
        }
        match &client.life {
            Some(life) => heard.push(PollFd::new(life, PollFlags::IN)),
            None => least = least.min(TICK),
        }
    }
    let least = Timespec {
        tv_sec: i64::try_from(least.as_secs()).unwrap_or(60),
        tv_nsec: i64::from(least.subsec_nanos()),
    };
    // An interrupted wait is a short one.
    let _how_many = rustix::event::poll(&mut heard, Some(&least));
}

/// A client at work.
struct Client {
    number: usize,
    child: Child,
    output: Option<ChildStdout>,
    words: Option<ChildStderr>,
    /// Tells of its end; kernels before 5.3 have none.
    life: Option<OwnedFd>,
    end: Duration,
    answer: File,
    length: u64,
    said: Vec<u8>,
    failure: Option<Trouble>,
    ended: Option<ExitStatus>,
}

impl Client {
    fn start(
        reach: &Reach,
        number: usize,
        server: &Destination,
        command: &str,
        input: Option<&[u8]>,
    ) -> Result<Self, Trouble> {
        let answer = nameless(&reach.folder)?;
        let input = match input {
            Some(text) => Stdio::from(spooled(reach, text)?),
            None => Stdio::null(),
        };
        if !launcher::is_found(&reach.program) {
            return Err(Trouble::NoClient);
        }
        let mut child = client(reach, server, command).stdin(input).spawn().map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                Trouble::NoClient
            } else {
                Trouble::Here(format!("ssh cannot be started: {error}"))
            }
        })?;
        let (output, words) = (child.stdout.take(), child.stderr.take());
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let life = pid.and_then(|p| rustix::process::pidfd_open(p, PidfdFlags::empty()).ok());
        let client = Self {
            number,
            child,
            output,
            words,
            life,
            end: now() + reach.time,
            answer,
            length: 0,
            said: Vec::new(),
            failure: None,
            ended: None,
        };
        for pipe in
            [client.output.as_ref().map(|p| p.as_fd()), client.words.as_ref().map(|p| p.as_fd())]
        {
            let set = pipe.map(|pipe| {
                let flags = rustix::fs::fcntl_getfl(pipe)?;
                rustix::fs::fcntl_setfl(pipe, flags | OFlags::NONBLOCK)
            });
            if let Some(Err(error)) = set {
                return Err(Trouble::Here(format!("a pipe cannot be set up: {error}")));
            }
        }
        Ok(client)
    }

    /// Takes what there is to hear.
    fn hear(&mut self, reach: &Reach, buffer: &mut [u8]) {
        // Asked first: what it wrote before its end is in the pipes by then.
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        let has_ended = self.ended.is_some();
        // One that never stops must not keep the others waiting.
        let mut turns = if has_ended { usize::MAX } else { 64 };
        while let Some(output) = &mut self.output {
            match output.read(buffer) {
                Ok(0) => self.output = None,
                Ok(read) => {
                    self.length += read as u64;
                    if self.length > reach.bytes {
                        self.failure = Some(Trouble::Endless(reach.bytes));
                        return;
                    }
                    if let Err(error) =
                        self.answer.write_all(buffer.get(..read).unwrap_or_default())
                    {
                        let why = format!(
                            "the answer cannot be kept in {}: {error}",
                            reach.folder.display()
                        );
                        self.failure = Some(Trouble::Here(why));
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_nothing_now) => break,
            }
            turns -= 1;
            if turns == 0 {
                break;
            }
        }
        for _ in 0..64 {
            let Some(words) = &mut self.words else { break };
            match words.read(buffer) {
                Ok(0) => self.words = None,
                Ok(read) => {
                    self.said.extend_from_slice(buffer.get(..read).unwrap_or_default());
                    let more = self.said.len().saturating_sub(MAX_WORDS);
                    self.said.drain(..more);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_nothing_now) => break,
            }
        }
    }

    /// Tells whether nothing more is to be expected of it. Its pipes may stay open in a process that outlives it.
    fn is_over(&mut self, reach: &Reach) -> bool {
        if self.failure.is_none() && self.ended.is_none() && now() >= self.end {
            self.failure = Some(Trouble::Time(reach.time));
        }
        self.failure.is_some() || self.ended.is_some()
    }

    /// Ends it where it has not, and says what came of it.
    fn end(mut self, reach: &Reach) -> Result<File, Trouble> {
        if self.ended.is_none() {
            // Its own helpers (ProxyCommand) go with it.
            if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
                let _already_gone = rustix::process::kill_process_group(group, Signal::KILL);
            }
            self.ended = self.child.wait().ok();
        }
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let words = String::from_utf8_lossy(&self.said);
        match self.ended.and_then(|ended| ended.code()) {
            Some(0) => Ok(self.answer),
            code => Err(Trouble::of(code, &words, self.length > 0, reach.time)),
        }
    }
}

/// Makes a file that has no name, for what came of a server.
pub fn nameless(folder: &Path) -> Result<File, Trouble> {
    tempfile::tempfile_in(folder).map_err(|error| {
        Trouble::Here(format!(
            "no temporary file can be made in {}: {error}; set TMPDIR to another folder",
            folder.display()
        ))
    })
}

/// Keeps what a command is to read where a client reads it: a pipe would have to be fed.
fn spooled(reach: &Reach, text: &[u8]) -> Result<File, Trouble> {
    let mut file = nameless(&reach.folder)?;
    let kept = file.write_all(text).and_then(|()| file.rewind());
    kept.map_err(|error| {
        Trouble::Here(format!("a question cannot be kept in {}: {error}", reach.folder.display()))
    })?;
    Ok(file)
}

fn client(reach: &Reach, server: &Destination, command: &str) -> Command {
    let mut client = launcher::command(reach);
    client.args(["-a", "-x", "-T"]);
    for option in [
        "BatchMode=yes",
        "ClearAllForwardings=yes",
        "RemoteCommand=none",
        "PermitLocalCommand=no",
        "Tunnel=no",
        "ControlMaster=no",
        "LogLevel=ERROR",
    ] {
        client.args(["-o", option]);
    }
    client.args(["-o", &format!("ConnectTimeout={}", reach.time.as_secs().max(1))]);
    if let Some(config) = &reach.config {
        client.arg("-F").arg(config);
    }
    if let Some(port) = server.port() {
        client.args(["-p", &port.to_string()]);
    }
    if let Some(user) = server.user() {
        client.args(["-l", user]);
    }
    client.args(["--", server.host(), command]);
    client.stdout(Stdio::piped()).stderr(Stdio::piped());
    client.process_group(0);
    client
}
