//! What the archives of an rpm system offer, by the metadata that dnf or yum left in its cache
//! (dnf.conf(5), dnf4's and dnf5's `cachedir`, yum's).
//!
//! Each file is held against the size and the sum that `repomd.xml` states.
//! For each installed name and architecture it finds the newest version over the enabled repositories, as the package
//! manager would: priorities, exclusions and version locks count, and advisories of `updateinfo.xml` are tied to it.
//!
//! A modular package (`.module` in its release) is a candidate only if the installed one is modular too and
//! `modules.yaml` lists it for the very stream of its label; without `modules.yaml` it is skipped, and that is said.
//! Not done: obsoletes and dependencies, `includepkgs`, yum's SQLite metadata, zchunk, and solver caches (`.solv`),
//! which are mentioned where nothing else is there.

pub(crate) mod config;
pub mod repodata;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, Read, SeekFrom};

use muster_core::fact::{Archive, Candidate, Database, Facts, Index, Obstacle, Reading};
use muster_version::Scheme;

use crate::Inspector;
use crate::root::{Content, EntryKind, Root};
use crate::unpack::{Limits, unpack};

use self::config::{Config, Exclusion, Repository, matches, read_config};
use self::repodata::{Offer, Repomd, read_modules, read_primary, read_repomd, read_updateinfo};
use super::apt::sums::{Listed, Summed};
use super::rpmdb::header::split_source_rpm;

/// Where dnf 4, dnf 5 and yum keep what they fetched.
const CACHES: &[&str] = &["/var/cache/dnf", "/var/cache/libdnf5", "/var/cache/yum"];
/// How deep below, and how many folders, are looked at.
const MAX_DEPTH: usize = 5;
const MAX_FOLDERS: usize = 4000;
const MAX_REPOMD: u64 = 4 << 20;
/// How many advisories are kept of one package.
const MAX_ADVISORIES: usize = 500;
/// How many repositories that offer the same version are remembered.
const MAX_ORIGINS: usize = 8;
/// How many builders are counted in one repository.
const MAX_VENDORS: usize = 100;
/// Packages that only the distributor builds: who built them built the distribution.
const BASE: &[&str] = &["filesystem", "glibc", "bash", "rpm", "setup"];
/// How many modular packages are remembered.
const MAX_ARTIFACTS: usize = 100_000;

/// Reads the caches of dnf and yum.
pub struct Dnf;

impl Inspector for Dnf {
    fn name(&self) -> &'static str {
        "dnf"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "/var/cache/dnf/",
            "/var/cache/dnf/*/repodata/repomd.xml",
            "/var/cache/dnf/*/repodata/*primary.xml*",
            "/var/cache/dnf/*/repodata/*updateinfo.xml*",
            "/var/cache/dnf/*/repodata/*modules.yaml*",
            "/var/cache/libdnf5/",
            "/var/cache/libdnf5/*/solv/",
            "/var/cache/libdnf5/*/repodata/repomd.xml",
            "/var/cache/libdnf5/*/repodata/*primary.xml*",
            "/var/cache/libdnf5/*/repodata/*updateinfo.xml*",
            "/var/cache/libdnf5/*/repodata/*modules.yaml*",
            "/var/cache/yum/*/repomd.xml",
            "/var/cache/yum/*/*primary.xml*",
            "/var/cache/yum/*/*updateinfo.xml*",
            "/var/cache/yum/*/*/*/repomd.xml",
            "/var/cache/yum/*/*/*/*primary.xml*",
            "/var/cache/yum/*/*/*/*updateinfo.xml*",
            "/etc/dnf/dnf.conf",
            "/etc/dnf/versionlock.toml",
            "/etc/dnf/plugins/versionlock.list",
            "/etc/yum.conf",
            "/etc/yum/yum.conf",
            "/etc/yum/pluginconf.d/versionlock.list",
            "/etc/yum.repos.d/*.repo",
            "/etc/yum/repos.d/*.repo",
            "/etc/distro.repos.d/*.repo",
        ]
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        if facts.database != Reading::Found(Database::Rpm) {
            return;
        }
        let mut config = read_config(root);
        facts.obstacles.append(&mut config.obstacles);
        let found = find_caches(root, &mut facts.obstacles);
        let caches = choose(root, found.caches, &config, &mut facts.obstacles);
        if caches.is_empty() {
            if found.binary {
                let why = "dnf left only its binary cache (*.solv), which is not read; run `dnf makecache --refresh`";
                let obstacle = Obstacle::new("archive indices", why);
                facts.obstacles.push(obstacle.clone());
                facts.archive = Reading::Unknown(obstacle);
            }
            return;
        }
        let mut search = Search::new(facts, &config);
        for cache in &caches {
            search.read_modules(root, cache);
        }
        for cache in &caches {
            search.read_primary(root, cache);
        }
        for cache in &caches {
            search.read_updateinfo(root, cache);
        }
        search.mark_official();
        let unlisted = search.unlisted();
        let Search { slots, indices, mut obstacles, unjudged, .. } = search;
        if unjudged > 0 {
            let why = format!(
                "{unjudged} modular packages on offer were not judged, since modules.yaml does not list their stream here; run `dnf makecache --refresh`"
            );
            obstacles.push(Obstacle::new("modular packages", why));
        }
        facts.obstacles.append(&mut obstacles);
        settle(facts, &slots, indices, &config);
        if let Reading::Found(archive) = &mut facts.archive {
            archive.unlisted = unlisted;
        }
    }
}

/// Puts the result among the facts.
fn settle(facts: &mut Facts, slots: &Slots, indices: Vec<Index>, config: &Config) {
    for package in &mut facts.packages {
        let slot = slots
            .get(&package.name)
            .and_then(|slots| slots.iter().find(|s| s.architecture == package.architecture));
        let version = slot
            .and_then(|slot| slot.versions.iter().find(|(version, _)| *version == package.version));
        let offering = || {
            version
                .iter()
                .flat_map(|(_, numbers)| numbers.iter().filter_map(|number| indices.get(*number)))
        };
        package.origin = offering()
            .find(|index| index.official)
            .or_else(|| offering().next())
            .map(|index| index.origin.clone());
        package.held |= config
            .locks
            .iter()
            .any(|lock| !lock.never && matches(lock_name(&lock.pattern), &package.name));
    }
    let mut candidates: Vec<Candidate> = slots
        .values()
        .flatten()
        .filter_map(|slot| slot.best.as_ref().or(slot.blocked.as_ref()))
        .map(|p| p.candidate.clone())
        .collect();
    candidates.sort();
    facts.archive = Reading::Found(Archive { indices, candidates, ..Archive::default() });
}

/// The metadata of one repository in a cache.
struct Cache {
    /// The id of the repository.
    id: String,
    /// The folder of `repomd.xml` and the rest.
    folder: String,
}

/// A cache of a repository that is in use.
struct Chosen<'c> {
    repository: &'c Repository,
    folder: String,
    repomd: Repomd,
}

#[derive(Default)]
struct Caches {
    caches: Vec<Cache>,
    /// Whether there are solver caches.
    binary: bool,
}

/// Looks through the cache folders for `repomd.xml`.
fn find_caches(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Caches {
    let mut found = Caches::default();
    let mut open: Vec<(String, usize)> =
        CACHES.iter().map(|path| ((*path).to_owned(), 0)).collect();
    let mut looked_at = 0;
    while let Some((folder, depth)) = open.pop() {
        looked_at += 1;
        if looked_at > MAX_FOLDERS {
            obstacles.push(Obstacle::new(
                "/var/cache",
                format!("holds more than the {MAX_FOLDERS} folders that are looked at"),
            ));
            break;
        }
        let entries = match root.list(&folder) {
            Reading::Found(entries) => entries,
            Reading::Absent => continue,
            Reading::Unknown(obstacle) => {
                obstacles.push(obstacle);
                continue;
            }
        };
        for entry in entries {
            let file = matches!(entry.kind, EntryKind::File | EntryKind::Link);
            if entry.kind == EntryKind::Directory && depth < MAX_DEPTH && entry.name != "packages" {
                open.push((format!("{folder}/{}", entry.name), depth + 1));
            } else if file && entry.name == "repomd.xml" {
                found.caches.push(Cache { id: repository_id(&folder), folder: folder.clone() });
            } else if file && (entry.name.ends_with(".solv") || entry.name.ends_with(".solvx")) {
                found.binary = true;
            }
        }
    }
    found
}

/// Returns the repository whose cache a folder is: `epel` of `/var/cache/dnf/epel-0123456789abcdef/repodata`.
fn repository_id(folder: &str) -> String {
    let folder = folder.strip_suffix("/repodata").unwrap_or(folder);
    let name = folder.rsplit('/').next().unwrap_or_default();
    let id = match name.rsplit_once('-') {
        Some((id, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => id,
        _ => name,
    };
    id.to_owned()
}

/// Keeps the newest cache of each enabled repository, in the order in which repositories count.
fn choose<'c>(
    root: &dyn Root,
    caches: Vec<Cache>,
    config: &'c Config,
    obstacles: &mut Vec<Obstacle>,
) -> Vec<Chosen<'c>> {
    let mut chosen: BTreeMap<(i64, &str), Chosen<'c>> = BTreeMap::new();
    for cache in caches {
        let Some(repository) = config.repositories.iter().rfind(|r| r.id == cache.id) else {
            continue;
        };
        if !repository.enabled {
            continue;
        }
        let path = format!("{}/repomd.xml", cache.folder);
        let read = match root.read(&path, MAX_REPOMD) {
            Reading::Found(bytes) => {
                read_repomd(&*bytes).map_err(|error| Obstacle::new(&path, error.to_string()))
            }
            Reading::Absent => continue,
            Reading::Unknown(obstacle) => Err(obstacle),
        };
        match read {
            Err(obstacle) => obstacles.push(obstacle),
            Ok(repomd) => {
                let key = (repository.priority, repository.id.as_str());
                let older = chosen.get(&key).is_some_and(|other| other.repomd.date >= repomd.date);
                if !older {
                    chosen.insert(key, Chosen { repository, folder: cache.folder, repomd });
                }
            }
        }
    }
    chosen.into_values().collect()
}

/// A version on offer, for one installed package.
#[derive(Clone, Debug)]
struct Pick {
    candidate: Candidate,
}

/// An installed name and architecture.
#[derive(Debug, Default)]
struct Slot {
    architecture: String,
    /// Every installed version, with the indices that offer it.
    versions: Vec<(String, Vec<usize>)>,
    /// The newest of them.
    newest: String,
    /// `nodejs:18`, where it is modular and labelled.
    stream: Option<String>,
    modular: bool,
    /// Whether a repository offers it in any version.
    known: bool,
    /// The priority of the repository that has the say over this name.
    claimed: Option<i64>,
    best: Option<Pick>,
    /// The newest version that something keeps back.
    blocked: Option<Pick>,
}

type Slots = BTreeMap<String, Vec<Slot>>;

fn newer(a: &str, b: &str) -> bool {
    Scheme::Rpm.compare_lenient(a, b) == Ordering::Greater
}

/// Lays out what is installed.
fn slots_of(facts: &Facts) -> Slots {
    let mut slots = Slots::new();
    for package in &facts.packages {
        let same_name = slots.entry(package.name.clone()).or_default();
        let known = same_name.iter_mut().position(|slot| slot.architecture == package.architecture);
        let index = known.unwrap_or_else(|| {
            same_name.push(Slot { architecture: package.architecture.clone(), ..Slot::default() });
            same_name.len() - 1
        });
        let Some(slot) = same_name.get_mut(index) else { continue };
        if slot.versions.is_empty() || newer(&package.version, &slot.newest) {
            slot.newest.clone_from(&package.version);
            slot.modular = package.module.is_some() || is_modular(&package.version);
            slot.stream = package.module.as_deref().map(stream_of);
        }
        slot.versions.push((package.version.clone(), Vec::new()));
    }
    slots
}

fn is_modular(release: &str) -> bool {
    release.contains(".module")
}

/// Returns module and stream of a modularity label.
fn stream_of(label: &str) -> String {
    label.splitn(3, ':').take(2).collect::<Vec<_>>().join(":")
}

/// What is gathered while the repositories are read.
struct Search<'c> {
    config: &'c Config,
    slots: Slots,
    /// The streams that are installed, and the packages that belong to them.
    streams: HashSet<String>,
    artifacts: HashSet<String>,
    indices: Vec<Index>,
    obstacles: Vec<Obstacle>,
    /// Modular packages of which nobody says what stream they are of.
    unjudged: usize,
    /// Who builds the distribution itself, by the packages of its base that are installed or on offer.
    distributors: BTreeSet<String>,
    /// For each index, who built how many of the packages that are installed here too.
    vendors: Vec<BTreeMap<String, usize>>,
}

impl<'c> Search<'c> {
    fn new(facts: &Facts, config: &'c Config) -> Self {
        let slots = slots_of(facts);
        let base = facts.packages.iter().filter(|package| BASE.contains(&package.name.as_str()));
        let distributors = base.filter_map(|package| package.vendor.clone()).collect();
        Self {
            config,
            streams: slots.values().flatten().filter_map(|slot| slot.stream.clone()).collect(),
            slots,
            artifacts: HashSet::new(),
            indices: Vec::new(),
            obstacles: Vec::new(),
            unjudged: 0,
            distributors,
            vendors: Vec::new(),
        }
    }

    /// Opens the file of a kind, or says why it cannot be; one that the repository does not have is nothing.
    fn open(
        &mut self,
        root: &dyn Root,
        cache: &Chosen<'_>,
        kind: &str,
    ) -> Option<(String, Box<dyn Content>)> {
        let path = format!("{}/{}", cache.folder, cache.repomd.file(kind)?);
        match root.open(&path) {
            Reading::Found(mut content) => {
                if let Some(listed) = cache.repomd.listed(kind) {
                    self.obstacles.extend(damage(&path, &mut *content, &listed));
                }
                return Some((path, content));
            }
            Reading::Unknown(obstacle) => self.obstacles.push(obstacle),
            // dnf fetches lists of files and the like on demand, so that only the packages are missed.
            Reading::Absent if kind == "primary" => {
                let why =
                    "is named by repomd.xml and not in the cache; run `dnf makecache --refresh`";
                self.obstacles.push(Obstacle::new(path, why));
            }
            Reading::Absent => {}
        }
        None
    }

    fn read_modules(&mut self, root: &dyn Root, cache: &Chosen<'_>) {
        if self.streams.is_empty() {
            return;
        }
        let Some((path, mut content)) = self.open(root, cache, "modules") else { return };
        let (streams, artifacts, slots) = (&self.streams, &mut self.artifacts, &self.slots);
        let read = unpacked(&mut *content).map_err(Into::into).and_then(|input| {
            read_modules(input, |stream, artifact| {
                let installed =
                    split_artifact(artifact).is_some_and(|name| slots.contains_key(name));
                if installed && streams.contains(stream) && artifacts.len() < MAX_ARTIFACTS {
                    artifacts.insert(artifact.to_owned());
                }
            })
        });
        if let Err(error) = read {
            self.obstacles.push(Obstacle::new(path, error.to_string()));
        }
    }

    fn read_primary(&mut self, root: &dyn Root, cache: &Chosen<'_>) {
        let Some((path, mut content)) = self.open(root, cache, "primary") else {
            if cache.repomd.file("primary").is_none() {
                let why = format!(
                    "names no primary.xml of {}, so that its packages are unknown",
                    cache.repository.id
                );
                self.obstacles.push(Obstacle::new(format!("{}/repomd.xml", cache.folder), why));
            }
            return;
        };
        let index = Index {
            file: path.clone(),
            site: cache.repository.site.clone(),
            origin: cache.repository.id.clone(),
            label: cache.repository.name.clone(),
            date: cache.repomd.date,
            ..Index::default()
        };
        let number = self.indices.len();
        self.indices.push(index);
        self.vendors.push(BTreeMap::new());
        let names: HashSet<String> = self.slots.keys().cloned().collect();
        let read = unpacked(&mut *content).map_err(Into::into).and_then(|input| {
            read_primary(
                input,
                |name| names.contains(name),
                |offer| {
                    self.count_vendor(&offer);
                    self.consider(&offer, cache.repository, number);
                },
            )
        });
        if let Err(error) = read {
            self.obstacles.push(Obstacle::new(path, error.to_string()));
        }
    }

    /// Returns the installed packages that no repository has, unless the repositories say too little to tell.
    fn unlisted(&self) -> Vec<(String, String)> {
        let known = |name: &str| {
            self.slots.get(name).is_some_and(|slots| slots.iter().any(|slot| slot.known))
        };
        if !self.obstacles.is_empty() || !BASE.iter().any(|name| known(name)) {
            return Vec::new();
        }
        let unknown = self.slots.iter().filter(|(name, _)| !known(name));
        unknown
            .flat_map(|(name, slots)| slots.iter().map(|s| (name.clone(), s.architecture.clone())))
            .collect()
    }

    fn count_vendor(&mut self, offer: &Offer) {
        if offer.vendor.is_empty() {
            return;
        }
        if BASE.contains(&offer.name.as_str()) && self.distributors.len() < MAX_VENDORS {
            self.distributors.insert(offer.vendor.clone());
        }
        let Some(vendors) = self.vendors.last_mut() else { return };
        if let Some(count) = vendors.get_mut(&offer.vendor) {
            *count += 1;
        } else if vendors.len() < MAX_VENDORS {
            vendors.insert(offer.vendor.clone(), 1);
        }
    }

    /// Tells the repositories of the distributor: most of what they offer was built by who built the base.
    ///
    /// Where nobody says who built what, a repository counts as the distributor's: nothing proves that it is not.
    fn mark_official(&mut self) {
        for (index, vendors) in self.indices.iter_mut().zip(&self.vendors) {
            let all: usize = vendors.values().sum();
            let own: usize = vendors
                .iter()
                .filter(|(vendor, _)| self.distributors.contains(*vendor))
                .map(|(_, count)| count)
                .sum();
            index.official = all == 0 || self.distributors.is_empty() || own * 2 > all;
        }
    }

    /// Weighs an offer against what is installed.
    fn consider(&mut self, offer: &Offer, repository: &Repository, index: usize) {
        let Some(slots) = self.slots.get_mut(&offer.name) else { return };
        for slot in slots.iter_mut() {
            slot.known = true;
        }
        let version = offer.evr();
        let excluded = exclusion(self.config, repository, offer);
        for slot in slots.iter_mut().filter(|slot| fits(&slot.architecture, &offer.architecture)) {
            for (_, origins) in
                slot.versions.iter_mut().filter(|(installed, _)| *installed == version)
            {
                if origins.last() != Some(&index) && origins.len() < MAX_ORIGINS {
                    origins.push(index);
                }
            }
            if slot.claimed.is_some_and(|priority| priority < repository.priority) {
                continue;
            }
            if slot.modular != is_modular(&offer.release) {
                continue;
            }
            let of_stream = slot.stream.is_some() && self.artifacts.contains(&offer.nevra());
            if slot.modular && !of_stream {
                let blind = slot.stream.is_none() || self.artifacts.is_empty();
                self.unjudged += usize::from(blind && newer(&version, &slot.newest));
                continue;
            }
            if excluded.is_none() {
                slot.claimed = Some(repository.priority);
            }
            if !newer(&version, &slot.newest) {
                continue;
            }
            let kept_back = excluded.clone().or_else(|| locked(self.config, offer));
            let place = if kept_back.is_some() { &mut slot.blocked } else { &mut slot.best };
            if place.as_ref().is_none_or(|pick| newer(&version, &pick.candidate.version)) {
                *place =
                    Some(pick(offer, &version, slot.architecture.clone(), repository, kept_back));
            }
        }
    }

    fn read_updateinfo(&mut self, root: &dyn Root, cache: &Chosen<'_>) {
        let Some((path, mut content)) = self.open(root, cache, "updateinfo") else { return };
        let wanted: HashSet<String> = self
            .slots
            .iter()
            .filter(|(_, slots)| {
                slots.iter().any(|slot| slot.best.is_some() || slot.blocked.is_some())
            })
            .map(|(name, _)| name.clone())
            .collect();
        let (slots, artifacts) = (&mut self.slots, &self.artifacts);
        let read = unpacked(&mut *content).map_err(Into::into).and_then(|input| {
            read_updateinfo(
                input,
                |name| wanted.contains(name),
                |id, kind, offer| {
                    if is_modular(&offer.release) && !artifacts.contains(&offer.nevra()) {
                        return;
                    }
                    for slot in slots.get_mut(&offer.name).into_iter().flatten() {
                        slot.tie(id, kind == "security", &offer);
                    }
                },
            )
        });
        if let Err(error) = read {
            self.obstacles.push(Obstacle::new(path, error.to_string()));
        }
    }
}

impl Slot {
    /// Ties an advisory to the candidate, if the candidate brings what it brought.
    fn tie(&mut self, id: &str, security: bool, offer: &Offer) {
        let Some(pick) = self.best.as_mut().or(self.blocked.as_mut()) else { return };
        let candidate = &mut pick.candidate;
        let version = offer.evr();
        let owed = newer(&version, &self.newest) && !newer(&version, &candidate.version);
        if !owed || !fits(&self.architecture, &offer.architecture) {
            return;
        }
        if let Err(at) = candidate.advisories.binary_search_by(|known| known.as_str().cmp(id))
            && !id.is_empty()
            && candidate.advisories.len() < MAX_ADVISORIES
        {
            candidate.advisories.insert(at, id.to_owned());
        }
        if !security {
            return;
        }
        if version == candidate.version {
            candidate.security = true;
            candidate.security_version = None;
        } else if !candidate.security
            && candidate.security_version.as_ref().is_none_or(|known| newer(&version, known))
        {
            candidate.security_version = Some(version);
        }
    }
}

/// Holds a file against what repomd.xml says of it, and goes back to its start.
fn damage(path: &str, content: &mut dyn Content, listed: &Listed) -> Option<Obstacle> {
    let mut summed = Summed::new(&mut *content, Some(listed));
    let read = io::copy(&mut summed, &mut io::sink());
    let differs = summed.differs(listed);
    let why = match (read.and_then(|_| content.seek(SeekFrom::Start(0))), differs) {
        (Err(error), _) => format!("cannot be read to its end: {error}"),
        (Ok(_), Some(differs)) => {
            format!("{differs} that repomd.xml states: it is damaged, or of another day")
        }
        (Ok(_), None) => return None,
    };
    Some(Obstacle::new(path, format!("{why}; run `dnf makecache --refresh`")))
}

/// Tells whether a package may be replaced by one of that architecture: its own, or to or from none.
fn fits(installed: &str, offered: &str) -> bool {
    installed == offered || installed == "noarch" || offered == "noarch"
}

fn pick(
    offer: &Offer,
    version: &str,
    architecture: String,
    repository: &Repository,
    kept_back: Option<String>,
) -> Pick {
    let version_release = format!("{}-{}", offer.version, offer.release);
    let (source, source_version) =
        split_source_rpm(&offer.source_rpm).unwrap_or((&offer.name, &version_release));
    // The file name of a source package has no epoch; one that is otherwise the binary's has the binary's epoch too.
    let source_version = if source_version == version_release { version } else { source_version };
    Pick {
        candidate: Candidate {
            name: offer.name.clone(),
            architecture,
            version: version.to_owned(),
            source: source.to_owned(),
            source_version: source_version.to_owned(),
            pocket: repository.id.clone(),
            kept_back,
            ..Candidate::default()
        },
    }
}

/// Returns why the configuration leaves a package out.
fn exclusion(config: &Config, repository: &Repository, offer: &Offer) -> Option<String> {
    let mut patterns = config.excludes.iter().chain(&repository.excludes).peekable();
    patterns.peek()?;
    let forms = forms(offer);
    let Exclusion { pattern, file } =
        patterns.find(|e| forms.iter().any(|form| matches(&e.pattern, form)))?;
    Some(format!("excluded by `{pattern}` in {file}"))
}

/// Returns why a version lock keeps a package back.
fn locked(config: &Config, offer: &Offer) -> Option<String> {
    let mut locks = config.locks.iter().peekable();
    locks.peek()?;
    let forms = forms(offer);
    let lock = locks.find(|lock| {
        let named = forms.iter().any(|form| matches(&lock.pattern, form));
        if lock.never { named } else { !named && matches(lock_name(&lock.pattern), &offer.name) }
    })?;
    Some(format!("locked by `{}` in {}", lock.pattern, lock.file))
}

/// Returns the ways in which a pattern may name a package (dnf(8), "Specifying Packages").
fn forms(offer: &Offer) -> [String; 8] {
    let Offer { name, architecture, epoch, version, release, .. } = offer;
    let epoch = if epoch.is_empty() { "0" } else { epoch };
    [
        name.clone(),
        format!("{name}.{architecture}"),
        format!("{name}-{version}"),
        format!("{name}-{version}-{release}"),
        format!("{name}-{version}-{release}.{architecture}"),
        format!("{name}-{epoch}:{version}-{release}"),
        format!("{name}-{epoch}:{version}-{release}.{architecture}"),
        format!("{epoch}:{name}-{version}-{release}.{architecture}"),
    ]
}

/// Returns the name in a lock: `bash` of `bash-0:4.4-1.*` and of `0:bash-4.4-1.*`.
fn lock_name(pattern: &str) -> &str {
    let name = pattern.rsplitn(3, '-').nth(2).unwrap_or(pattern);
    match name.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => name,
    }
}

/// Returns the name of `name-epoch:version-release.arch`.
fn split_artifact(artifact: &str) -> Option<&str> {
    artifact.rsplitn(3, '-').nth(2)
}

/// Unpacks a file of metadata; the forms that are not read are named.
pub(crate) fn unpacked<'a>(content: &'a mut dyn Content) -> io::Result<impl Read + 'a> {
    let mut magic = Vec::with_capacity(4);
    (&mut *content).take(4).read_to_end(&mut magic)?;
    content.seek(SeekFrom::Start(0))?;
    match magic.as_slice() {
        [b'B', b'Z', b'h', _] => Err(io::Error::other("is packed with bzip2, which is not read")),
        b"\0ZCK" => Err(io::Error::other(
            "is packed with zchunk, which is not read; set `zchunk=0` in dnf.conf",
        )),
        _ => unpack(content, Limits::INDEX),
    }
}

#[cfg(test)]
mod tests;
