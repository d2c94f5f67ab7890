//! Runs the inspectors over a target, in a child that may read what they declare and nothing else.
//!
//! The child answers in frames: which inspector begins, and the facts. When it dies, the one that was at work is
//! left out, named as an obstacle, and the rest is run again: one bad file costs its own part. A tar on standard input
//! can be read once only; there the facts so far are sent after each inspector.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use muster_core::fact::{Facts, Obstacle, Reading};
use muster_sandbox::{Access, Death, Limits};
use rustix::fs::{Mode, OFlags};

use crate::inspectors::INSPECTORS;
use crate::root::{Declared, Directory, NotTar, Pattern, Root, Tar};
use crate::{Inspector, Target};

/// Bytes of memory a child may write to: with its parent's below the 128 MiB that an inspection may take.
const MAX_MEMORY: u64 = 116 << 20;
/// Bytes of an answer.
const MAX_ANSWER: usize = 64 << 20;
/// How often the rest is run again after a death.
const MAX_RETRIES: usize = 4;

/// How a target is inspected.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether `proc/` inside a directory or tar counts as that of a running system.
    pub live_proc: bool,
    /// How long all of it may take.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { live_proc: false, timeout: Duration::from_secs(20) }
    }
}

/// Why a target could not be inspected at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not there, or may not be read.
    #[error("{path}: cannot be opened: {error}")]
    Unreadable {
        /// What was given.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// It is neither a directory nor a file.
    #[error("{path} is {is}: give a directory, a tar file, or - for a tar on standard input")]
    NoRoot {
        /// What was given.
        path: String,
        /// What it is.
        is: &'static str,
    },
    /// It is a file, but no tar.
    #[error("{path}: {why}")]
    NotTar {
        /// What was given.
        path: String,
        /// Why it is none.
        why: String,
    },
    /// It holds nothing by which a server is recognised.
    #[error(
        "not a root of a server: {path} has neither a release file (etc/os-release and its kin) nor a package database; give the directory or tar that holds etc/ and var/"
    )]
    NotServer {
        /// What was given.
        path: String,
    },
    /// The child could not do its work.
    #[error("{path}: {death}{advice}", advice = advice(death))]
    Reader {
        /// What was given.
        path: String,
        /// What became of it.
        death: Death,
    },
}

fn advice(death: &Death) -> &'static str {
    match death {
        Death::Time(_) => "; what comes slowly needs a longer --timeout",
        _ => "",
    }
}

/// Learns everything that the inspectors can learn of a target.
///
/// This process must have one thread: the work is done in a forked child.
pub fn inspect(target: &Target, options: &Options) -> Result<Facts, Error> {
    inspect_measured(target, options).0
}

/// What the children of an inspection used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Their processor time, taken together.
    pub cpu: Duration,
    /// The most memory that one of them held, in bytes.
    pub peak: u64,
}

/// Does the same as [`inspect`], and tells what it took.
pub fn inspect_measured(target: &Target, options: &Options) -> (Result<Facts, Error>, Spent) {
    inspect_with(INSPECTORS, target, options)
}

/// Does the same with inspectors of the caller's choice.
pub fn inspect_with(
    inspectors: &[&dyn Inspector],
    target: &Target,
    options: &Options,
) -> (Result<Facts, Error>, Spent) {
    let mut spent = Spent::default();
    let facts = Source::open(target, options)
        .and_then(|source| Inspection { inspectors, options, source }.run(&mut spent));
    (facts, spent)
}

/// Runs the inspectors over a root in this very process, without a guard: for tests, and for roots of one's own making.
pub fn inspect_here(root: &dyn Root) -> Facts {
    let mut facts = Facts::default();
    for inspector in INSPECTORS {
        inspector.inspect(&Declared::new(root, inspector.reads()), &mut facts);
    }
    settle(&mut facts);
    facts
}

/// Where the bytes come from; opened by the parent, read by the child alone.
enum Source {
    Directory { path: String, directory: Directory },
    Tar { path: String, file: OwnedFd, running: bool },
    Stdin { running: bool },
}

impl Source {
    fn open(target: &Target, options: &Options) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let open = |path: &Path, flags: OFlags| {
            rustix::fs::open(path, flags, Mode::empty()).map_err(|e| Error::Unreadable {
                path: path.display().to_string(),
                error: e.into(),
            })
        };
        let directory = |path: &Path, live: bool| {
            Ok(Self::Directory {
                path: path.display().to_string(),
                directory: Directory::new(
                    open(path, flags | OFlags::DIRECTORY)?,
                    live,
                    options.live_proc,
                ),
            })
        };
        match target {
            Target::Live => directory(Path::new("/"), true),
            Target::Directory(path) => directory(path, false),
            Target::Tar(path) => Ok(Self::Tar {
                file: open(path, flags)?,
                path: path.display().to_string(),
                running: options.live_proc,
            }),
            Target::TarStdin => Ok(Self::Stdin { running: options.live_proc }),
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Directory { path, .. } | Self::Tar { path, .. } => path,
            Self::Stdin { .. } => "standard input",
        }
    }
}

/// What the child says, one after another.
enum Frame {
    /// The inspector with this number begins.
    Begins(usize),
    /// The facts so far, or in the end.
    Facts(Box<Facts>),
    /// What was given is no tar.
    NotTar(String),
}

const BEGINS: u8 = b'b';
const FACTS: u8 = b'f';
const NOT_TAR: u8 = b'n';

struct Inspection<'a> {
    inspectors: &'a [&'a dyn Inspector],
    options: &'a Options,
    source: Source,
}

impl Inspection<'_> {
    fn run(&self, spent: &mut Spent) -> Result<Facts, Error> {
        let only = self.declared_descriptors();
        let mut left_out: Vec<(usize, Death)> = Vec::new();
        let mut spare = self.options.timeout;
        loop {
            // Three quarters of the time that is left: a second try needs some as well. Standard input comes only once.
            let once_only = matches!(self.source, Source::Stdin { .. });
            let time = if once_only { spare } else { spare / 4 * 3 };
            let limits = Limits { memory: MAX_MEMORY, time, output: MAX_ANSWER };
            spare -= time;
            let outcome = self.once(&limits, &only, &left_out);
            spent.cpu += outcome.cpu;
            spent.peak = spent.peak.max(outcome.peak);
            let (at_work, last) = last_frames(&outcome.output);
            let Some(death) = outcome.death else {
                return match last {
                    Some(Frame::Facts(facts)) => self.finish(*facts, &left_out),
                    Some(Frame::NotTar(why)) => {
                        Err(Error::NotTar { path: self.source.path().to_owned(), why })
                    }
                    Some(Frame::Begins(_)) | None => Err(Error::Reader {
                        path: self.source.path().to_owned(),
                        death: Death::Failed(String::from("its answer is not whole")),
                    }),
                };
            };
            let Some(at_work) = at_work else {
                return Err(Error::Reader { path: self.source.path().to_owned(), death });
            };
            left_out.push((at_work, death.clone()));
            if once_only || left_out.len() > MAX_RETRIES {
                let facts = match last {
                    Some(Frame::Facts(facts)) => *facts,
                    Some(Frame::Begins(_) | Frame::NotTar(_)) | None => Facts::default(),
                };
                for later in at_work + 1..self.inspectors.len() {
                    left_out.push((later, death.clone()));
                }
                return self.finish(facts, &left_out);
            }
        }
    }

    /// Opens what may be read, so that the kernel itself can hold the child to it.
    fn declared_descriptors(&self) -> Vec<OwnedFd> {
        let Source::Directory { directory, .. } = &self.source else { return Vec::new() };
        let mut fixed: Vec<Vec<String>> = Vec::new();
        for pattern in self.inspectors.iter().flat_map(|i| i.reads()) {
            let pattern = Pattern::new(pattern);
            let path: Vec<String> = pattern.fixed().into_iter().map(String::from).collect();
            if !fixed.iter().any(|known| path.starts_with(known)) {
                fixed.push(path);
            }
        }
        fixed
            .iter()
            .filter_map(|path| directory.look(&path.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect()
    }

    fn once(
        &self,
        limits: &Limits,
        only: &[OwnedFd],
        left_out: &[(usize, Death)],
    ) -> muster_sandbox::Outcome {
        let only: Vec<BorrowedFd<'_>> = only.iter().map(OwnedFd::as_fd).collect();
        match &self.source {
            Source::Directory { directory, .. } => {
                let below = Some(directory.descriptor());
                let access = Access { open: &[], below, only: &only };
                muster_sandbox::run(limits, &access, |out| {
                    self.answer(directory, None, Facts::default(), left_out, out)
                })
            }
            Source::Tar { file, running, .. } => {
                let open = [file.as_fd()];
                let access = Access { open: &open, below: None, only: &[] };
                muster_sandbox::run(limits, &access, |out| {
                    self.answer_of_tar(file.as_fd(), *running, limits, left_out, out)
                })
            }
            Source::Stdin { running } => {
                let stdin = rustix::stdio::stdin();
                let access = Access { open: &[stdin], below: None, only: &[] };
                muster_sandbox::run(limits, &access, |out| {
                    self.answer_of_tar(stdin, *running, limits, left_out, out)
                })
            }
        }
    }

    /// In the child: reads the tar, then inspects what was kept of it.
    fn answer_of_tar(
        &self,
        file: BorrowedFd<'_>,
        running: bool,
        limits: &Limits,
        left_out: &[(usize, Death)],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let patterns: Vec<Vec<Pattern>> = self
            .inspectors
            .iter()
            .map(|i| i.reads().iter().map(|p| Pattern::new(p)).collect())
            .collect();
        let file = File::from(rustix::io::fcntl_dupfd_cloexec(file, 3)?);
        match Tar::read(&file, &patterns, running, limits.time / 5 * 4) {
            Ok(mut tar) => {
                let facts = Facts { obstacles: tar.take_obstacles(), ..Facts::default() };
                self.answer(&tar, tar.incomplete(), facts, left_out, out)
            }
            Err(NotTar(why)) => write_frame(out, NOT_TAR, why.as_bytes()),
        }
    }

    /// In the child: inspects, and says what it learned.
    fn answer(
        &self,
        root: &dyn Root,
        incomplete: Option<&Obstacle>,
        mut facts: Facts,
        left_out: &[(usize, Death)],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let once_only = matches!(self.source, Source::Stdin { .. });
        for (number, inspector) in self.inspectors.iter().enumerate() {
            if left_out.iter().any(|(dead, _)| *dead == number) {
                continue;
            }
            let number = u32::try_from(number).map_err(io::Error::other)?;
            write_frame(out, BEGINS, &number.to_le_bytes())?;
            out.flush()?;
            inspector.inspect(&Declared::new(root, inspector.reads()), &mut facts);
            if once_only {
                write_facts(out, &facts)?;
            }
        }
        // What is absent from a part of a tar may be in the rest of it.
        if let Some(obstacle) = incomplete {
            stand_in(&mut facts.os, obstacle);
            stand_in(&mut facts.database, obstacle);
            stand_in(&mut facts.archive, obstacle);
            stand_in(&mut facts.subscription, obstacle);
        }
        write_facts(out, &facts)?;
        // The end of this process gives it all back faster than one by one.
        std::mem::forget(facts);
        Ok(())
    }

    /// Adds what the parent knows of the deaths, and refuses what is no server.
    fn finish(&self, mut facts: Facts, left_out: &[(usize, Death)]) -> Result<Facts, Error> {
        for (number, death) in left_out {
            let name = self.inspectors.get(*number).map_or("inspector", |i| i.name());
            let obstacle = Obstacle::new(name, death.to_string());
            facts.obstacles.push(obstacle.clone());
            match name {
                "os-release" => stand_in(&mut facts.os, &obstacle),
                "dpkg" | "rpmdb" | "apk" => stand_in(&mut facts.database, &obstacle),
                "apt" | "dnf" | "apk-index" => stand_in(&mut facts.archive, &obstacle),
                "reboot" => stand_in(&mut facts.reboot, &obstacle),
                "subscription" => stand_in(&mut facts.subscription, &obstacle),
                _ => {}
            }
        }
        settle(&mut facts);
        if facts.os == Reading::Absent && facts.database == Reading::Absent {
            return Err(Error::NotServer { path: self.source.path().to_owned() });
        }
        Ok(facts)
    }
}

/// What an inspector that died would have read is not absent.
fn stand_in<T>(reading: &mut Reading<T>, obstacle: &Obstacle) {
    if matches!(reading, Reading::Absent) {
        *reading = Reading::Unknown(obstacle.clone());
    }
}

/// Puts in order what several inspectors add to.
fn settle(facts: &mut Facts) {
    facts.packages.sort_unstable();
    facts.kernels.sources.sort_unstable();
    facts.kernels.sources.dedup();
    facts.obstacles.sort_unstable();
    facts.obstacles.dedup();
}

fn write_frame(out: &mut dyn Write, tag: u8, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    out.write_all(&[tag])?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(payload)
}

fn write_facts(out: &mut dyn Write, facts: &Facts) -> io::Result<()> {
    // Grown from nothing it would be copied a dozen times.
    let room = Vec::with_capacity(256 * (facts.packages.len() + 16));
    let bytes = postcard::to_extend(facts, room).map_err(io::Error::other)?;
    write_frame(out, FACTS, &bytes)
}

/// Returns the inspector that began last, and the last frame that tells more than that.
fn last_frames(mut answer: &[u8]) -> (Option<usize>, Option<Frame>) {
    let (mut at_work, mut last) = (None, None);
    while let Some((frame, rest)) = next_frame(answer) {
        answer = rest;
        match frame {
            Frame::Begins(number) => at_work = Some(number),
            Frame::Facts(_) | Frame::NotTar(_) => last = Some(frame),
        }
    }
    (at_work, last)
}

fn next_frame(answer: &[u8]) -> Option<(Frame, &[u8])> {
    let (&tag, rest) = answer.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (payload, rest) = rest.split_at_checked(length)?;
    let frame = match tag {
        BEGINS => {
            let number = u32::from_le_bytes(payload.try_into().ok()?);
            Frame::Begins(usize::try_from(number).ok()?)
        }
        FACTS => Frame::Facts(Box::new(postcard::from_bytes(payload).ok()?)),
        NOT_TAR => Frame::NotTar(String::from_utf8_lossy(payload).into_owned()),
        _ => return None,
    };
    Some((frame, rest))
}
