//! Runs the inspectors over a target, in a child that may read what they declare and nothing else.
//!
//! The child answers in frames: which inspector begins, and the facts. When it dies, the one that was at work is
//! left out, named as an obstacle, and the rest is run again: one bad file costs its own part. A tar on standard input
//! can be read once only; there the facts so far are sent after each inspector.

mod containers;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use muster_core::fact::{Facts, Obstacle, Reading};
use muster_sandbox::{Access, Death, Limits};
use rustix::fs::{Mode, OFlags};

use crate::inspectors::INSPECTORS;
use crate::root::{
    Answer, Collected, Declared, Directory, NotTar, Pattern, Root, Tar, Within, is_everything,
};
use crate::{Inspector, Scope, Target};
use containers::Layers;

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
    let end = muster_sandbox::monotonic() + options.timeout;
    let facts = Source::open(target, options)
        .and_then(|source| Inspection::of_server(inspectors, source, end).run_whole(&mut spent));
    (facts, spent)
}

/// Learns everything that the inspectors can learn of what a server answered over SSH; `name` is how it was asked for.
pub fn inspect_answer(name: &str, answer: Answer, options: &Options) -> Result<Facts, Error> {
    let source = Source::Collected { path: name.to_owned(), answer };
    let end = muster_sandbox::monotonic() + options.timeout;
    Inspection::of_server(INSPECTORS, source, end).run_whole(&mut Spent::default())
}

/// Runs the inspectors over a root in this very process, without a guard: for tests, and for roots of one's own making.
pub fn inspect_here(root: &dyn Root) -> Facts {
    let mut facts = Facts::default();
    for inspector in INSPECTORS {
        inspector.inspect(&declared(*inspector, root), &mut facts);
    }
    settle(&mut facts);
    facts
}

/// Shows an inspector what it declares.
fn declared<'r>(inspector: &dyn Inspector, root: &'r dyn Root) -> Declared<'r> {
    let reads = if root.is_in_place() { inspector.reads_in_place() } else { inspector.reads() };
    Declared::new(root, reads)
}

/// Where the bytes come from; opened by the parent, read by the child alone.
enum Source<'d> {
    Directory { path: String, directory: Directory },
    Layers { path: String, layers: Layers<'d> },
    Tar { path: String, file: OwnedFd, running: bool },
    Stdin { running: bool },
    Collected { path: String, answer: Answer },
}

impl Source<'_> {
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
            Self::Directory { path, .. }
            | Self::Layers { path, .. }
            | Self::Tar { path, .. }
            | Self::Collected { path, .. } => path,
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
    source: Source<'a>,
    /// When the time is up, by the clock of the limits.
    end: Duration,
    /// Whether it is a root within that of a server: a container that need not hold a system.
    is_within: bool,
}

/// What one child does: the inspectors of some scopes, after those before it.
struct Stage<'s> {
    scopes: &'s [Scope],
    left_out: Vec<(usize, Death)>,
}

impl Stage<'_> {
    /// Tells whether the packages and the archive stay with the parent: later inspectors read them and change nothing.
    fn is_later(&self) -> bool {
        !self.scopes.contains(&Scope::Declared) && !muster_sandbox::IS_IN_PROCESS
    }

    /// Adds to what a child learned the part that it did not send back.
    fn joined(&self, mut learned: Facts, before: Facts) -> Facts {
        if self.is_later() {
            learned.packages = before.packages;
            learned.archive = before.archive;
        }
        learned
    }
}

impl<'a> Inspection<'a> {
    fn of_server(inspectors: &'a [&'a dyn Inspector], source: Source<'a>, end: Duration) -> Self {
        Self { inspectors, source, end, is_within: false }
    }
}

impl Inspection<'_> {
    /// Inspects a server, and the containers that were found in it.
    fn run_whole(&self, spent: &mut Spent) -> Result<Facts, Error> {
        let mut facts = self.run(spent)?;
        self.read_containers(&mut facts, spent);
        Ok(facts)
    }

    fn run(&self, spent: &mut Spent) -> Result<Facts, Error> {
        // A tar is read once, by one child; of a directory each child sees as much as its inspectors must.
        let stages: &[&[Scope]] = match &self.source {
            Source::Directory { directory, .. } if directory.running() => {
                &[&[Scope::Declared], &[Scope::Processes], &[Scope::Everywhere]]
            }
            Source::Directory { .. } => &[&[Scope::Declared], &[Scope::Everywhere]],
            Source::Layers { .. } => &[&[Scope::Declared, Scope::Everywhere]],
            Source::Tar { .. } | Source::Stdin { .. } | Source::Collected { .. } => &[&Scope::ALL],
        };
        let mut facts = Facts::default();
        let mut left_out = Vec::new();
        for scopes in stages {
            if self.inspectors.iter().any(|i| scopes.contains(&i.scope())) {
                let mut stage = Stage { scopes, left_out: Vec::new() };
                facts = self.stage(&mut stage, facts, spent)?;
                left_out.append(&mut stage.left_out);
            }
        }
        self.finish(facts, &left_out)
    }

    /// Runs the inspectors of a stage in a child; after a death again, without the one that was at work.
    fn stage(
        &self,
        stage: &mut Stage<'_>,
        mut before: Facts,
        spent: &mut Spent,
    ) -> Result<Facts, Error> {
        // Standard input comes only once.
        let once_only = matches!(self.source, Source::Stdin { .. });
        let failed = |death| Error::Reader { path: self.source.path().to_owned(), death };
        loop {
            // Three quarters of the time that is left: a second try needs some as well.
            let spare = self.end.saturating_sub(muster_sandbox::monotonic());
            let time = in_hundredths(if once_only { spare } else { spare / 4 * 3 });
            let limits = Limits { memory: MAX_MEMORY, time, output: MAX_ANSWER };
            let outcome = self.once(&limits, stage, &mut before);
            spent.cpu += outcome.cpu;
            spent.peak = spent.peak.max(outcome.peak);
            let (at_work, last) = last_frames(&outcome.output);
            let Some(death) = outcome.death else {
                return match last {
                    Some(Frame::Facts(facts)) => Ok(stage.joined(*facts, before)),
                    Some(Frame::NotTar(why)) => {
                        Err(Error::NotTar { path: self.source.path().to_owned(), why })
                    }
                    Some(Frame::Begins(_)) | None => {
                        Err(failed(Death::Failed(String::from("its answer is not whole"))))
                    }
                };
            };
            let Some(at_work) = at_work else { return Err(failed(death)) };
            stage.left_out.push((at_work, death.clone()));
            if once_only || stage.left_out.len() > MAX_RETRIES {
                for (later, inspector) in self.inspectors.iter().enumerate().skip(at_work + 1) {
                    if stage.scopes.contains(&inspector.scope()) {
                        stage.left_out.push((later, death.clone()));
                    }
                }
                return Ok(match last {
                    Some(Frame::Facts(facts)) => stage.joined(*facts, before),
                    Some(Frame::Begins(_) | Frame::NotTar(_)) | None => before,
                });
            }
        }
    }

    /// Opens what may be read, so that the kernel itself can hold the child to it.
    fn declared_descriptors(&self) -> Vec<OwnedFd> {
        let Source::Directory { directory, .. } = &self.source else { return Vec::new() };
        let mut fixed: Vec<Vec<String>> = Vec::new();
        let declared = self.inspectors.iter().filter(|i| i.scope() == Scope::Declared);
        for pattern in declared.flat_map(|i| i.reads()) {
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
        stage: &Stage<'_>,
        before: &mut Facts,
    ) -> muster_sandbox::Outcome {
        match &self.source {
            Source::Directory { directory, .. } => match stage.scopes {
                [Scope::Processes] => self.once_over_processes(directory, limits, stage, before),
                scopes => {
                    let only = if *scopes == [Scope::Declared] {
                        self.declared_descriptors()
                    } else {
                        Vec::new()
                    };
                    let only: Vec<BorrowedFd<'_>> = only.iter().map(OwnedFd::as_fd).collect();
                    if scopes.contains(&Scope::Everywhere) {
                        // The walk ends itself before it is ended, and says how far it came.
                        let end = muster_sandbox::monotonic() + limits.time / 10 * 8;
                        directory.expect_walk(end);
                        if !self.is_within {
                            directory.learn_mounts(Path::new(self.source.path()));
                        }
                    }
                    let below = Some(directory.descriptor());
                    let access = Access { below, only: &only, ..Access::default() };
                    muster_sandbox::run(limits, &access, |out| {
                        self.answer(directory, None, before, stage, out)
                    })
                }
            },
            Source::Layers { layers, .. } => {
                let end = muster_sandbox::monotonic() + limits.time / 10 * 8;
                let below = Some(layers.directory.descriptor());
                let access = Access { below, overlay: true, ..Access::default() };
                muster_sandbox::run(limits, &access, |out| match layers.open(end) {
                    Ok(overlay) => self.answer(&overlay, None, before, stage, out),
                    Err(obstacle) => {
                        // None of its parts is absent: nothing could be looked for.
                        let mut facts =
                            Facts { obstacles: vec![obstacle.clone()], ..Facts::default() };
                        facts.os = Reading::Unknown(obstacle);
                        write_facts(out, &facts)
                    }
                })
            }
            Source::Tar { file, running, .. } => {
                let open = [file.as_fd()];
                let access = Access { open: &open, ..Access::default() };
                muster_sandbox::run(limits, &access, |out| {
                    self.answer_of_tar(file.as_fd(), *running, limits, stage, out)
                })
            }
            Source::Collected { answer, .. } => {
                let files = answer.files();
                let open: Vec<BorrowedFd<'_>> = files.iter().map(|file| file.as_fd()).collect();
                let access = Access { open: &open, ..Access::default() };
                muster_sandbox::run(limits, &access, |out| {
                    self.answer_of_collected(answer, limits, stage, out)
                })
            }
            Source::Stdin { running } => {
                let open = [rustix::stdio::stdin()];
                let access = Access { open: &open, ..Access::default() };
                muster_sandbox::run(limits, &access, |out| {
                    self.answer_of_tar(rustix::stdio::stdin(), *running, limits, stage, out)
                })
            }
        }
    }

    /// A child that sees `/proc` and nothing beside it.
    fn once_over_processes(
        &self,
        directory: &Directory,
        limits: &Limits,
        stage: &Stage<'_>,
        before: &mut Facts,
    ) -> muster_sandbox::Outcome {
        let Some(proc) = directory.look(&["proc"]) else {
            let nothing = Access::default();
            let root = Within::nothing("proc");
            return muster_sandbox::run(limits, &nothing, |out| {
                self.answer(&root, None, before, stage, out)
            });
        };
        let root = Within::new("proc", Directory::new(proc, directory.live(), true));
        let below = root.directory().map(Directory::descriptor);
        let access = Access { below, processes: true, ..Access::default() };
        muster_sandbox::run(limits, &access, |out| self.answer(&root, None, before, stage, out))
    }

    /// In the child: reads the tar, then inspects what was kept of it.
    fn answer_of_tar(
        &self,
        file: BorrowedFd<'_>,
        running: bool,
        limits: &Limits,
        stage: &Stage<'_>,
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
                let mut facts = Facts { obstacles: tar.take_obstacles(), ..Facts::default() };
                self.answer(&tar, tar.incomplete(), &mut facts, stage, out)
            }
            Err(NotTar(why)) => write_frame(out, NOT_TAR, why.as_bytes()),
        }
    }

    /// In the child: reads what the script brought, then inspects it.
    fn answer_of_collected(
        &self,
        answer: &Answer,
        limits: &Limits,
        stage: &Stage<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        match Collected::read(answer, limits.time / 5 * 4) {
            Ok(mut root) => {
                let mut facts = Facts { obstacles: root.take_obstacles(), ..Facts::default() };
                for inspector in self.inspectors {
                    if inspector.reads().iter().any(|pattern| is_everything(pattern)) {
                        let why = "looks through the whole disk, which is not sent over SSH; run muster on the server itself, or on a tar of it";
                        facts.obstacles.push(Obstacle::new(inspector.name(), why));
                    }
                }
                self.answer(&root, root.incomplete(), &mut facts, stage, out)
            }
            Err(NotTar(why)) => write_frame(out, NOT_TAR, why.as_bytes()),
        }
    }

    /// In the child: inspects, and says what it learned.
    fn answer(
        &self,
        root: &dyn Root,
        incomplete: Option<&Obstacle>,
        before: &mut Facts,
        stage: &Stage<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let once_only = matches!(self.source, Source::Stdin { .. });
        // What the parent knows stays there: this is its copy.
        let mut facts = std::mem::take(before);
        for (number, inspector) in self.inspectors.iter().enumerate() {
            let is_dead = stage.left_out.iter().any(|(dead, _)| *dead == number);
            if is_dead || !stage.scopes.contains(&inspector.scope()) {
                continue;
            }
            let number = u32::try_from(number).map_err(io::Error::other)?;
            write_frame(out, BEGINS, &number.to_le_bytes())?;
            out.flush()?;
            inspector.inspect(&declared(*inspector, root), &mut facts);
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
        if stage.is_later() {
            facts.packages = Vec::new();
            facts.archive = Reading::Absent;
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
        let is_none = facts.os == Reading::Absent && facts.database == Reading::Absent;
        if is_none && !self.is_within {
            return Err(Error::NotServer { path: self.source.path().to_owned() });
        }
        Ok(facts)
    }
}

/// Rounds a time limit up to hundredths of a second, as a person would set it.
fn in_hundredths(time: Duration) -> Duration {
    let hundredths = time.as_micros().div_ceil(10_000).try_into().unwrap_or(u64::MAX / 10);
    Duration::from_millis(hundredths * 10)
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
