//! What would be pulled, worked out without asking anyone: what `--dry-run` prints.

use std::fmt;
use std::path::Path;

use minisign_verify::PublicKey;

use super::feeds::{Content, Feed, Feeds, Format, Mirror};
use super::folder::{State, state_of};

/// Which feeds are meant. Nothing named means every feed that is not pulled on request only.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Feeds by name, those on request too.
    pub names: Vec<String>,
    /// Feeds that these distributions need, and those that every server needs.
    pub distributions: Vec<String>,
}

/// A name that no feed or distribution in `feeds.toml` has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {what} is called `{name}`; feeds.toml has {known}{}", self.elsewhere())]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: String,
}

impl UnknownName {
    /// Who names a folder where feeds are named is told how folders are named.
    fn elsewhere(&self) -> String {
        if self.what != "feed" {
            return String::new();
        }
        format!(". If it is the folder to keep them in: --into {}", self.name)
    }
}

/// What would be fetched, in the order of `feeds.toml`.
#[derive(Debug)]
pub struct Plan {
    pub(crate) jobs: Vec<Job>,
    known: Vec<Option<State>>,
}

/// An address with the places that are filled while fetching, mirrors already applied.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) text: String,
    pub(crate) plain: bool,
}

/// One file to fetch.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) feed: String,
    pub(crate) format: Format,
    pub(crate) content: Content,
    pub(crate) file: String,
    pub(crate) url: Source,
    pub(crate) latest: Option<Source>,
    pub(crate) checksum: Option<Source>,
    pub(crate) signature: Option<(Source, PublicKey)>,
    pub(crate) max_bytes: u64,
    pub(crate) max_seconds: u32,
}

impl Plan {
    /// Works out what a selection means; `folder` says what is there already.
    ///
    /// # Errors
    /// A name that `feeds.toml` does not have, with the names that it has.
    pub fn new(feeds: &Feeds, folder: &Path, selection: &Selection) -> Result<Self, UnknownName> {
        refuse_unknown(feeds, selection)?;
        let mut jobs = Vec::new();
        for feed in feeds.feeds() {
            if is_selected(feed, selection) {
                jobs.extend(jobs_of(feed, &feeds.mirrors));
            }
        }
        let known = jobs.iter().map(|job| state_of(folder, &job.file)).collect();
        Ok(Self { jobs, known })
    }

    /// Returns the number of files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Returns whether nothing would be fetched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (job, known) in self.jobs.iter().zip(&self.known) {
            writeln!(out, "{} ({}, {})", job.feed, job.format.name(), job.content.name())?;
            if let Some(latest) = &job.latest {
                writeln!(out, "  latest    {}", latest.text)?;
            }
            writeln!(out, "  from      {}", job.url.text)?;
            writeln!(out, "  to        {}", job.file)?;
            if let Some(checksum) = &job.checksum {
                writeln!(out, "  checksum  {}", checksum.text)?;
            }
            if let Some((signature, _)) = &job.signature {
                writeln!(out, "  signature {}", signature.text)?;
            }
            writeln!(out, "  limits    {} bytes, {} s", job.max_bytes, job.max_seconds)?;
            match known {
                Some(state) => writeln!(
                    out,
                    "  there     {} bytes, fetched {}, checked {}",
                    state.bytes, state.fetched, state.checked
                )?,
                None => writeln!(out, "  there     nothing")?,
            }
        }
        Ok(())
    }
}

fn is_selected(feed: &Feed, selection: &Selection) -> bool {
    if selection.names.contains(&feed.name) {
        return true;
    }
    if feed.on_request {
        return false;
    }
    if selection.distributions.is_empty() {
        return selection.names.is_empty();
    }
    feed.distributions.is_empty()
        || feed.distributions.iter().any(|needed| selection.distributions.contains(needed))
}

fn refuse_unknown(feeds: &Feeds, selection: &Selection) -> Result<(), UnknownName> {
    let names: Vec<&str> = feeds.feeds().iter().map(|feed| feed.name.as_str()).collect();
    let mut distributions: Vec<&str> =
        feeds.feeds().iter().flat_map(|feed| &feed.distributions).map(String::as_str).collect();
    distributions.sort_unstable();
    distributions.dedup();
    for (what, asked, known) in [
        ("feed", &selection.names, names),
        ("distribution", &selection.distributions, distributions),
    ] {
        for name in asked {
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                return Err(UnknownName { what, name: name.clone(), known });
            }
        }
    }
    Ok(())
}

fn jobs_of(feed: &Feed, mirrors: &[Mirror]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (file, release) in feed.files() {
        let source = |text: &str| {
            mirrored(mirrors, &text.replace("{release}", &release), feed.allow_plain_http)
        };
        let url = source(&feed.url);
        // A checksum beside the file comes from the same place, and under the same rule.
        let beside = |text: &str| {
            let mut source = source(text);
            source.plain |= text.contains("{url}") && url.plain;
            source
        };
        jobs.push(Job {
            feed: feed.name.clone(),
            format: feed.format,
            content: feed.content,
            file,
            latest: feed.latest.as_deref().map(source),
            checksum: feed.checksum.as_deref().map(beside),
            signature: feed
                .signature
                .as_ref()
                .map(|signature| (beside(&signature.url), signature.key.clone())),
            max_bytes: feed.max_bytes,
            max_seconds: feed.max_seconds,
            url: url.clone(),
        });
    }
    jobs
}

/// Applies the mirror with the longest matching start.
fn mirrored(mirrors: &[Mirror], text: &str, plain: bool) -> Source {
    let mirror = mirrors
        .iter()
        .filter(|mirror| text.starts_with(&mirror.from))
        .max_by_key(|mirror| mirror.from.len());
    match mirror.and_then(|mirror| Some((mirror, text.strip_prefix(&mirror.from)?))) {
        Some((mirror, rest)) => {
            Source { text: format!("{}{rest}", mirror.to), plain: mirror.allow_plain_http }
        }
        None => Source { text: text.to_owned(), plain },
    }
}
