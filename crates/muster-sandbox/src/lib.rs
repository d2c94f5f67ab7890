//! A forked child that may read what it was given and nothing else.
//!
//! What came from a server is decompressed and parsed there: without network, without keys, without a way to write or
//! to start a program, within limits of memory and time. The child's answer comes back through a pipe; its death is
//! told in words and is never the death of its parent.
//!
//! It does not know what the work is, it starts no program, and it is not a container: there is no new root to build.

mod confine;
mod unguarded;

use std::io::{self, Write};
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, Signal};

pub use confine::has_landlock;
use unguarded::Side;

/// Returns the time of the clock that the limits are measured by, from some moment on.
pub fn monotonic() -> Duration {
    unguarded::monotonic()
}

/// How far the child may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of memory that it may write to.
    pub memory: u64,
    /// How long it may take, by the clock on the wall.
    pub time: Duration,
    /// How many bytes it may answer.
    pub output: usize,
}

/// What the child may see.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access<'a> {
    /// The descriptors that stay open in it.
    pub open: &'a [BorrowedFd<'a>],
    /// The directory below which it may open files, for reading; without one it can open nothing.
    pub below: Option<BorrowedFd<'a>>,
    /// Where it is not empty: the only files and directories that it may open, by the kernel's word (Landlock).
    pub only: &'a [BorrowedFd<'a>],
    /// Whether it may look at other processes through `/proc`, which `below` then is. Landlock forbids that, so it is without.
    pub processes: bool,
    /// Whether it may read the extended attributes of files: those of overlayfs (`trusted.overlay.…`) are shown only to
    /// who has CAP_SYS_ADMIN, which it then keeps. No system call that it is left with asks for that right otherwise.
    pub overlay: bool,
}

/// What came of the work.
#[derive(Debug)]
pub struct Outcome {
    /// What the child wrote, to its end or to its death.
    pub output: Vec<u8>,
    /// Why the answer is not whole; nothing when it is.
    pub death: Option<Death>,
    /// The processor time it used.
    pub cpu: Duration,
    /// The most memory it held, in bytes.
    pub peak: u64,
}

/// Why a child gave no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Death {
    /// It was never started.
    #[error("the reader could not be started: {0}")]
    NotStarted(String),
    /// It asked for more memory than it was given.
    #[error("the reader was stopped: it needed more than its {} MiB of memory", .0 / (1 << 20))]
    Memory(u64),
    /// It did not end in time.
    #[error("the reader was stopped: it took longer than {} s", .0.as_secs_f32())]
    Time(Duration),
    /// It wrote more than it may.
    #[error("the reader was stopped: it answered more than {0} bytes")]
    Output(usize),
    /// The work itself gave up.
    #[error("the reader gave up: {0}")]
    Failed(String),
    /// It met a defect of this program.
    #[error("the reader met a defect of its own: {0}; please report it")]
    Panic(String),
    /// A signal ended it.
    #[error("the reader was ended by signal {0}{told}", told = signal_name(*.0))]
    Signal(i32),
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGKILL => " (killed: somebody did, or the system was out of memory)",
        libc::SIGSEGV => " (it reached outside its memory)",
        libc::SIGABRT => " (it gave itself up)",
        libc::SIGSYS => " (it asked for a forbidden system call)",
        libc::SIGTERM => " (it was asked to end)",
        _ => "",
    }
}

/// The codes with which the child ends.
const WHOLE: i32 = 0;
const FAILED: i32 = 1;
const UNCONFINED: i32 = 2;
const PANICKED: i32 = 3;

/// How many bytes of last words are kept.
const LAST_WORDS: usize = 2048;

/// Whether this build does the work without a child, to count its instructions.
pub const IS_IN_PROCESS: bool = cfg!(muster_in_process);

/// Does the work in a child that may see `access` and no more.
///
/// This process must have one thread. The work's writes arrive in the outcome, also when it dies before its end.
pub fn run(
    limits: &Limits,
    access: &Access<'_>,
    work: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Outcome {
    if IS_IN_PROCESS {
        return in_process(work);
    }
    match start(limits, access, work) {
        Ok(child) => child.follow(limits),
        Err(why) => Outcome {
            output: Vec::new(),
            death: Some(Death::NotStarted(why)),
            cpu: Duration::ZERO,
            peak: 0,
        },
    }
}

/// Does the work in this very process, without any guard: for counting its instructions, since valgrind cannot follow a
/// process into seccomp(2). No feature turns this on, so that no build with all features is without its guard.
fn in_process(work: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Outcome {
    let mut output = Vec::new();
    let death = work(&mut output).err().map(|error| Death::Failed(error.to_string()));
    Outcome { output, death, cpu: Duration::ZERO, peak: 0 }
}

/// A child at work, seen from its parent.
struct Child {
    pid: Pid,
    output: OwnedFd,
    words: OwnedFd,
}

fn start(
    limits: &Limits,
    access: &Access<'_>,
    work: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Child, String> {
    if let Ok(tasks) = std::fs::read_dir("/proc/self/task") {
        let threads = tasks.count();
        if threads > 1 {
            return Err(format!(
                "this process has {threads} threads, and only one with a single thread may fork"
            ));
        }
    }
    let pipe = || {
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| format!("no pipe was given: {e}"))
    };
    let (output, to_output) = pipe()?;
    let (words, to_words) = pipe()?;
    let parent = rustix::process::getpid();
    match unguarded::fork().map_err(|e| format!("it cannot fork: {e}"))? {
        Side::Parent(pid) => Ok(Child { pid, output, words }),
        Side::Child => be_child(parent, limits, access, &to_output, &to_words, work),
    }
}

/// The whole life of the child: it never returns.
fn be_child(
    parent: Pid,
    limits: &Limits,
    access: &Access<'_>,
    output: &OwnedFd,
    words: &OwnedFd,
    work: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> ! {
    let ready = confine::die_with(parent)
        .and_then(|()| keep_only(access, output, words))
        .and_then(|()| confine::confine(limits, access));
    if let Err(why) = ready {
        last_words(&why);
        unguarded::exit(UNCONFINED);
    }
    std::panic::set_hook(Box::new(|panic| {
        let what = panic.payload_as_str().unwrap_or("a panic without a message");
        let place = panic.location().map(|l| format!(" at {}:{}", l.file(), l.line()));
        last_words(&format!("{what}{}", place.unwrap_or_default()));
    }));
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut out = io::BufWriter::with_capacity(64 * 1024, Pipe(output));
        work(&mut out)?;
        out.flush()
    }));
    match done {
        Ok(Ok(())) => unguarded::exit(WHOLE),
        Ok(Err(error)) => {
            last_words(&error.to_string());
            unguarded::exit(FAILED);
        }
        Err(_panic) => unguarded::exit(PANICKED),
    }
}

/// Closes what the child was not given, and leads its standard error to the parent's ear.
fn keep_only(access: &Access<'_>, output: &OwnedFd, words: &OwnedFd) -> Result<(), String> {
    let mut kept: Vec<i32> = access
        .open
        .iter()
        .chain(access.below.as_ref())
        .chain(access.only)
        .map(AsRawFd::as_raw_fd)
        .collect();
    if kept.contains(&2) {
        return Err(String::from("standard error cannot be given to it"));
    }
    rustix::stdio::dup2_stderr(words).map_err(|e| format!("its last words cannot be led: {e}"))?;
    kept.extend([2, output.as_raw_fd()]);
    kept.sort_unstable();
    kept.dedup();
    unguarded::close_all_but(&kept);
    Ok(())
}

/// Says what happened on the way out; nobody listens to a failure to say it.
fn last_words(words: &str) {
    let bytes = words.as_bytes();
    let _unheard =
        rustix::io::write(rustix::stdio::stderr(), bytes.get(..LAST_WORDS).unwrap_or(bytes));
}

/// The write end of a pipe that somebody else owns.
struct Pipe<'a>(&'a OwnedFd);

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::write(self.0, bytes))?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Child {
    /// Listens until the child has ended, or ends it.
    fn follow(self, limits: &Limits) -> Outcome {
        let end = monotonic() + limits.time;
        let mut output = Vec::new();
        let mut words = Vec::new();
        let heard = self.listen(limits, end, &mut output, &mut words);
        let heard = heard.and_then(|()| self.await_end(limits, end));
        if heard.is_err() {
            let _already_gone = rustix::process::kill_process(self.pid, Signal::KILL);
        }
        let Ok(Some(ended)) = unguarded::wait(self.pid, true) else {
            let death = Some(Death::NotStarted(String::from("somebody else waited for it")));
            return Outcome { output, death, cpu: Duration::ZERO, peak: 0 };
        };
        let death = match heard {
            Ok(()) => cause(ended.status, &words, limits),
            Err(death) => Some(death),
        };
        Outcome { output, death, cpu: ended.cpu, peak: ended.peak }
    }

    fn listen(
        &self,
        limits: &Limits,
        end: Duration,
        output: &mut Vec<u8>,
        words: &mut Vec<u8>,
    ) -> Result<(), Death> {
        let mut buffer = vec![0; 64 * 1024];
        let (mut output_open, mut words_open) = (true, true);
        while output_open || words_open {
            let Some(left) = end.checked_sub(monotonic()).filter(|left| !left.is_zero()) else {
                return Err(Death::Time(limits.time));
            };
            let mut waiting = Vec::with_capacity(2);
            if output_open {
                waiting.push(PollFd::new(&self.output, PollFlags::IN));
            }
            if words_open {
                waiting.push(PollFd::new(&self.words, PollFlags::IN));
            }
            match rustix::event::poll(&mut waiting, Some(&timespec(left))) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => {
                    return Err(Death::NotStarted(format!("it cannot be heard: {error}")));
                }
            }
            let ready: Vec<bool> = waiting.iter().map(|w| !w.revents().is_empty()).collect();
            let mut ready = ready.into_iter();
            if output_open && ready.next() == Some(true) {
                output_open = hear(&self.output, &mut buffer, |bytes| {
                    output.extend_from_slice(bytes);
                });
                if output.len() > limits.output {
                    return Err(Death::Output(limits.output));
                }
            }
            if words_open && ready.next() == Some(true) {
                words_open = hear(&self.words, &mut buffer, |bytes| {
                    let room = LAST_WORDS.saturating_sub(words.len()).min(bytes.len());
                    words.extend_from_slice(bytes.get(..room).unwrap_or_default());
                });
            }
        }
        Ok(())
    }

    /// A child that has closed its pipes is about to end; one that does not is ended.
    fn await_end(&self, limits: &Limits, end: Duration) -> Result<(), Death> {
        let pidfd = rustix::process::pidfd_open(self.pid, PidfdFlags::empty());
        loop {
            let Some(left) = end.checked_sub(monotonic()).filter(|left| !left.is_zero()) else {
                return Err(Death::Time(limits.time));
            };
            let polled = match &pidfd {
                Ok(pidfd) => {
                    let mut waiting = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
                    rustix::event::poll(&mut waiting, Some(&timespec(left)))
                }
                // Kernels before 5.3: its limit of processor time ends one that works, and this is one that does not.
                Err(_) => return Ok(()),
            };
            match polled {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }
}

/// Reads once; false when nothing will come any more.
fn hear(from: &OwnedFd, buffer: &mut [u8], mut take: impl FnMut(&[u8])) -> bool {
    match rustix::io::retry_on_intr(|| rustix::io::read(from, &mut *buffer)) {
        Ok(0) | Err(_) => false,
        Ok(n) => {
            take(buffer.get(..n).unwrap_or_default());
            true
        }
    }
}

/// Says in words why a child ended, from its status and its last words.
fn cause(status: i32, words: &[u8], limits: &Limits) -> Option<Death> {
    let words = String::from_utf8_lossy(words).trim().to_owned();
    if libc::WIFSIGNALED(status) {
        return Some(match libc::WTERMSIG(status) {
            // The standard library's own words when an allocation fails.
            libc::SIGABRT if words.contains("memory allocation of") => Death::Memory(limits.memory),
            libc::SIGXCPU => Death::Time(limits.time),
            signal => Death::Signal(signal),
        });
    }
    match libc::WEXITSTATUS(status) {
        WHOLE => None,
        FAILED => Some(Death::Failed(words)),
        UNCONFINED => Some(Death::NotStarted(words)),
        PANICKED => Some(Death::Panic(words)),
        code => Some(Death::Failed(format!("it ended with {code}"))),
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
