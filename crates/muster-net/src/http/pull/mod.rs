//! `muster feed pull`: the publishers' feeds, into a folder, safely.
//!
//! [`Feeds`] says where each feed is kept and within which limits it is fetched (`feeds.toml`;
//! every key in `docs/reference/feeds-toml.md`). [`Plan`] is what would be done. [`pull`] does it
//! and returns one [`Outcome`] a file; whatever happens to one leaves the others, and the old file,
//! as they are. It follows RFC 9110 and RFC 9112 as a client of plain GET requests.
//!
//! It does not read a feed, does not decide whether one is newer or plausible (`muster feed build`
//! does), keeps no cookie, sends no credentials, asks for no compression, and reads neither the
//! environment nor the time of day: those are arguments. Waits are bounded by a clock that only
//! runs forward.

mod address;
mod check;
mod client;
mod fault;
mod feeds;
mod fetch;
mod folder;
mod plan;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use client::Client;
use fault::Fault;
use fetch::Fetch;
use folder::Folder;
use plan::Job;

pub use address::BadAddress;
pub use client::{ClientError, Environment};
pub use feeds::{Content, DEFAULT, Feed, Feeds, FeedsError, Format, MAX_FEEDS_BYTES};
pub use folder::{FolderError, State};
pub use plan::{Plan, Selection, UnknownName};

/// What a pull needs to know besides the feeds.
#[derive(Debug, Clone)]
pub struct Options {
    pub selection: Selection,
    /// The time that is written beside each file.
    pub now: jiff::Timestamp,
    /// Of Muster, for the user agent.
    pub version: String,
    /// The proxies of the environment; those of `feeds.toml` come first.
    pub environment: Environment,
}

/// What happens while a pull is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A file is being asked for.
    Started { feed: String, file: String },
    /// So many bytes of it are here.
    Received { feed: String, file: String, bytes: u64, total: Option<u64> },
    /// It is done with.
    Finished(Outcome),
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub feed: String,
    pub format: &'static str,
    /// Its name in the folder.
    pub file: String,
    pub url: String,
    #[serde(flatten)]
    pub result: Pulled,
}

/// How one file stands after the pull.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Pulled {
    /// The publisher has nothing newer.
    Unchanged { bytes: u64, fetched: String },
    /// A new file lies in the place of the old.
    Replaced {
        bytes: u64,
        sha256: String,
        /// How many bytes came over the network, broken downloads of this pull included.
        transferred: u64,
        /// How many bytes of an unfinished download were gone on from.
        resumed_at: u64,
    },
    /// The old file, if there is one, lies there as it did.
    Failed {
        why: String,
        next: String,
        /// When the old file came; nothing when there is none or it is not known.
        kept: Option<String>,
    },
}

/// Why nothing was pulled at all.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error(transparent)]
    UnknownName(#[from] UnknownName),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Pulls the selected feeds into `folder`, a few at a time, and returns what became of each file in
/// the order of `feeds.toml`. `progress` is called on this thread.
///
/// # Errors
/// A feed that nobody knows, a folder that cannot be used or is in use, settings that cannot be.
pub fn pull(
    feeds: &Feeds,
    folder: &Path,
    options: &Options,
    progress: &mut dyn FnMut(Event),
) -> Result<Vec<Outcome>, PullError> {
    let plan = Plan::new(feeds, folder, &options.selection)?;
    let client = Client::new(&feeds.settings, &options.environment, &options.version)?;
    let folder = Folder::open(folder)?;
    let now = options.now.to_string();
    let workers = usize::try_from(*feeds.settings.at_once.get_ref()).unwrap_or(1);
    let queue = Queue::new(&plan.jobs, *feeds.settings.per_host.get_ref());
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        for _ in 0..workers.min(plan.jobs.len()) {
            let tell = tell.clone();
            scope.spawn({
                let (queue, folder, client, now) = (&queue, &folder, &client, &now);
                move || work(queue, folder, client, now, &tell)
            });
        }
        drop(tell);
        let mut outcomes: Vec<Option<Outcome>> = plan.jobs.iter().map(|_| None).collect();
        for (index, event) in told {
            if let (Event::Finished(outcome), Some(slot)) = (&event, outcomes.get_mut(index)) {
                *slot = Some(outcome.clone());
            }
            progress(event);
        }
        Ok(outcomes.into_iter().flatten().collect())
    })
}

/// Takes one job after the other until there are none.
fn work(
    queue: &Queue<'_>,
    folder: &Folder,
    client: &Client,
    now: &str,
    tell: &Sender<(usize, Event)>,
) {
    while let Some((index, job)) = queue.take() {
        // The receiver outlives every worker; were it gone, nobody would be left to tell.
        let tell_one = |event| drop(tell.send((index, event)));
        tell_one(Event::Started { feed: job.feed.clone(), file: job.file.clone() });
        let fetch = Fetch { job, folder, client, now, tell: &tell_one };
        // A fault in one download must not cost the others their outcome.
        let result = catch_unwind(AssertUnwindSafe(|| fetch.run()))
            .unwrap_or_else(|_| Err(Fault::Panicked { file: job.file.clone() }));
        queue.done(job);
        let result = result.unwrap_or_else(|fault| Pulled::Failed {
            why: fault.to_string(),
            next: fault.next(),
            kept: folder
                .known(&job.file, folder.present(&job.file).as_ref())
                .map(|state| state.fetched),
        });
        tell_one(Event::Finished(Outcome {
            feed: job.feed.clone(),
            format: job.format.name(),
            file: job.file.clone(),
            url: job.url.text.clone(),
            result,
        }));
    }
}

/// The jobs that wait, and how many are under way at each host.
struct Queue<'a> {
    state: Mutex<Waiting<'a>>,
    freed: Condvar,
    per_host: u32,
}

struct Waiting<'a> {
    jobs: Vec<(usize, &'a Job)>,
    under_way: BTreeMap<&'a str, u32>,
}

impl<'a> Queue<'a> {
    fn new(jobs: &'a [Job], per_host: u32) -> Self {
        let waiting =
            Waiting { jobs: jobs.iter().enumerate().collect(), under_way: BTreeMap::new() };
        Self { state: Mutex::new(waiting), freed: Condvar::new(), per_host }
    }

    /// Takes the first job whose host is not busy; waits when all are; nothing when none is left.
    fn take(&self) -> Option<(usize, &'a Job)> {
        let mut waiting = self.lock();
        loop {
            if waiting.jobs.is_empty() {
                return None;
            }
            let free = waiting.jobs.iter().position(|(_, job)| {
                waiting.under_way.get(host(job)).copied().unwrap_or_default() < self.per_host
            });
            if let Some(at) = free {
                let (index, job) = waiting.jobs.remove(at);
                *waiting.under_way.entry(host(job)).or_default() += 1;
                return Some((index, job));
            }
            waiting = self.freed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, job: &'a Job) {
        let mut waiting = self.lock();
        if let Some(count) = waiting.under_way.get_mut(host(job)) {
            *count = count.saturating_sub(1);
        }
        drop(waiting);
        self.freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host and port of a job, as it is written.
fn host(job: &Job) -> &str {
    let text = job.url.text.as_str();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}
