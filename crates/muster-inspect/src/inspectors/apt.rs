//! What apt would upgrade, by the lists and the configuration that lie on the machine.
//!
//! Reads what `apt-get -s dist-upgrade` reads: sources.list(5), apt_preferences(5), apt.conf(5), the Release and
//! Packages files under `/var/lib/apt/lists` that a configured source names, and dpkg's status. Each index is held
//! against the length and the sum in its Release file. Nothing is fetched and no signature is checked. It does not know `cdrom:` sources, nor solvers other than apt's own.

mod conf;
mod deb822;
mod phasing;
mod pins;
mod pool;
mod relations;
mod release;
mod resolve;
mod sources;
pub(super) mod sums;

use core::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

use muster_core::action;
use muster_core::fact::{
    Archive, Candidate, Database, Facts, Index, KernelSource, Obstacle, Package, Reading, Trouble,
    TroubleKind,
};
use muster_version::Scheme;

use crate::Inspector;
use crate::root::Root;
pub(super) use conf::{Conf, parts};
use pins::{Described, Offered, Pins};
use pool::{Offer, Pool, Wanted};
use relations::{Atom, Relations, clauses};
use release::Release;
use resolve::{Choice, Node, Resolver};
use sources::Source;
use sums::Vouched;

/// Where apt keeps its lists.
const LISTS: &str = "var/lib/apt/lists";

/// Packages that no Debian and no relative of it is without.
const BASE: [&str; 4] = ["base-files", "dpkg", "libc6", "bash"];

/// How often the indices are read again for what new packages need in turn.
const PASSES: usize = 8;

/// The inspector of apt.
pub struct Apt;

impl Inspector for Apt {
    fn name(&self) -> &'static str {
        "apt"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "etc/apt/sources.list",
            "etc/apt/sources.list.d/*",
            "etc/apt/preferences",
            "etc/apt/preferences.d/*",
            "etc/apt/apt.conf",
            "etc/apt/apt.conf.d/*",
            "etc/machine-id",
            "var/lib/apt/lists/*Packages*",
            "var/lib/apt/lists/*Release*",
            "var/lib/apt/lists/partial/",
            "var/lib/dpkg/arch",
            "var/lib/dpkg/status",
        ]
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        if !matches!(facts.database, Reading::Found(Database::Dpkg)) {
            return;
        }
        let conf = Conf::read(root);
        let machine = Machine::of(root, &conf, facts);
        let configured = sources::read(root, &machine.native, &mut facts.obstacles);
        if configured.is_empty() && !names_sources(root) {
            // An image that was cut down: what apt would do cannot be said.
            return;
        }
        let lists = Lists::of(root, &configured, &machine, facts);
        lists.report(root, facts);
        if lists.indices.is_empty() {
            return;
        }
        let archive = compare(root, &conf, &machine, &lists, facts);
        facts.archive = Reading::Found(archive);
    }
}

/// Tells whether the files are there that name sources, even if none is named.
fn names_sources(root: &dyn Root) -> bool {
    !parts(root, "etc/apt/sources.list.d", &[".list", ".sources"], false).is_empty()
        || matches!(root.list("etc/apt"), Reading::Found(entries) if entries.iter().any(|e| e.name == "sources.list"))
}

/// What the machine is.
struct Machine {
    native: String,
    /// Its architectures, its own first.
    architectures: Vec<String>,
    /// `/etc/machine-id`.
    id: Option<String>,
}

impl Machine {
    fn of(root: &dyn Root, conf: &Conf, facts: &Facts) -> Self {
        let known = match root.read("var/lib/dpkg/arch", 1 << 16) {
            Reading::Found(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        };
        let mut architectures: Vec<String> =
            known.split_ascii_whitespace().map(str::to_owned).collect();
        let by_conf = conf.get("APT::Architecture").map(str::to_owned);
        let native = by_conf
            .or_else(|| {
                facts.packages.iter().find(|p| p.name == "dpkg").map(|p| p.architecture.clone())
            })
            .or_else(|| architectures.first().cloned())
            .or_else(|| most_common_architecture(&facts.packages))
            .unwrap_or_default();
        let listed = conf.list("APT::Architectures");
        if !listed.is_empty() {
            architectures = listed.into_iter().map(str::to_owned).collect();
        }
        architectures.retain(|a| *a != native);
        architectures.insert(0, native.clone());
        let id = match root.read("etc/machine-id", 4096) {
            Reading::Found(bytes) => {
                String::from_utf8_lossy(&bytes).lines().next().map(|l| l.trim().to_owned())
            }
            _ => None,
        };
        let id = conf.get("APT::Machine-ID").map(str::to_owned).or(id).filter(|id| !id.is_empty());
        Self { native, architectures, id }
    }
}

fn most_common_architecture(packages: &[Package]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for package in packages.iter().filter(|p| p.architecture != "all") {
        *counts.entry(&package.architecture).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned())
}

/// The indices of the configured sources, and what is wrong with them.
#[derive(Default)]
struct Lists {
    indices: Vec<Index>,
    described: Vec<Described>,
    /// What the Release file says of each index.
    vouched: Vec<Vouched>,
    troubles: Vec<Trouble>,
    obstacles: Vec<Obstacle>,
    /// Whether a source of a security pocket is configured.
    security: bool,
    /// Whether any source is configured.
    any: bool,
}

impl Lists {
    fn of(root: &dyn Root, configured: &[Source], machine: &Machine, facts: &mut Facts) -> Self {
        let present: HashSet<String> = match root.list(LISTS) {
            Reading::Found(entries) => entries.into_iter().map(|entry| entry.name).collect(),
            Reading::Absent => HashSet::new(),
            Reading::Unknown(obstacle) => {
                facts.obstacles.push(obstacle);
                HashSet::new()
            }
        };
        let mut lists = Self { any: !configured.is_empty(), ..Self::default() };
        let mut releases: HashMap<String, Option<Release>> = HashMap::new();
        let mut seen = HashSet::new();
        let official = official_origins(facts);
        for source in configured {
            let start = source.suite_list();
            let release = releases.entry(start.clone()).or_insert_with(|| {
                lists.release(root, source, &start, &present, &mut facts.obstacles)
            });
            lists.security |= is_security_suite(&source.suite);
            let Some(release) = release else { continue };
            lists.security |= is_security(release);
            lists.indices_of(source, release, machine, &present, &mut seen, &official);
        }
        lists
    }

    /// Reads the Release file of a suite.
    fn release(
        &mut self,
        root: &dyn Root,
        source: &Source,
        start: &str,
        present: &HashSet<String>,
        obstacles: &mut Vec<Obstacle>,
    ) -> Option<Release> {
        let subject = format!("{} {}", source.site(), source.suite);
        let inline = format!("{start}InRelease");
        let plain = format!("{start}Release");
        let Some(name) = [&inline, &plain].into_iter().find(|name| present.contains(*name)) else {
            let flat_without = present.contains(&source.index_list("all"));
            if !flat_without {
                let failed = present.contains(&format!("{inline}.FAILED"));
                let why = if failed { "the last fetch failed" } else { "it was never fetched" };
                self.troubles.push(Trouble {
                    kind: TroubleKind::SourceUnreachable,
                    why: format!(
                        "{subject}: {why}: /{} names it and /{LISTS} has no {inline}",
                        source.file
                    ),
                    subject,
                    remedy: Some("apt-get update".to_owned()),
                });
            }
            return None;
        };
        let path = format!("{LISTS}/{name}");
        let release = match root.read(&path, release::LONGEST) {
            Reading::Found(bytes) => Release::parse(&String::from_utf8_lossy(&bytes)),
            Reading::Absent => return None,
            Reading::Unknown(obstacle) => {
                obstacles.push(obstacle);
                return None;
            }
        };
        let signed = release.signed || *name == plain && present.contains(&format!("{plain}.gpg"));
        let why = match (source.unsigned, signed) {
            (Some(option), _) => Some(format!(
                "{subject}: whatever it serves is installed unchecked: {option}=yes in /{}",
                source.file
            )),
            (None, false) => Some(format!("{subject}: /{path} carries no signature")),
            (None, true) => None,
        };
        if let Some(why) = why {
            let remedy = source
                .unsigned
                .map(|_| format!("editor {}", action::word(&format!("/{}", source.file))));
            self.troubles.push(Trouble { kind: TroubleKind::SourceUnsigned, subject, why, remedy });
        }
        Some(release)
    }

    /// Adds the indices of a source that lie there.
    fn indices_of(
        &mut self,
        source: &Source,
        release: &Release,
        machine: &Machine,
        present: &HashSet<String>,
        seen: &mut HashSet<String>,
        official: &[&str],
    ) {
        let mut architectures = source.architectures(&machine.architectures);
        architectures.push("all".to_owned());
        if source.suite.ends_with('/') {
            architectures.truncate(1);
        }
        for architecture in architectures {
            let name = source.index_list(&architecture);
            if !release.serves(&architecture) && !source.suite.ends_with('/')
                || !seen.insert(name.clone())
            {
                continue;
            }
            let endings = ["", ".lz4", ".zst", ".xz", ".gz"];
            let path = source.index_path(&architecture);
            let Some((ending, file)) = endings
                .iter()
                .map(|e| (e, format!("{name}{e}")))
                .find(|(_, file)| present.contains(file))
            else {
                if release.lists(&path) {
                    self.obstacles.push(Obstacle::new(
                        format!("/{LISTS}/{name}"),
                        "is named by its Release file and is not there: what it offers is not known; run apt-get update",
                    ));
                    self.troubles.push(Trouble {
                        kind: TroubleKind::SourceUnreachable,
                        subject: format!("{} {}", source.site(), source.suite),
                        why: format!(
                            "{name} is named by its Release file and lies not in /{LISTS}"
                        ),
                        remedy: Some("apt-get update".to_owned()),
                    });
                }
                continue;
            };
            let is_official =
                official.iter().any(|origin| release.origin.eq_ignore_ascii_case(origin));
            self.indices.push(Index {
                file: format!("/{LISTS}/{file}"),
                site: source.site(),
                origin: release.origin.clone(),
                label: release.label.clone(),
                suite: release.suite.clone(),
                codename: release.codename.clone(),
                component: source.component.clone(),
                date: release.date,
                valid_until: release.valid_until,
                security: is_official && is_security(release),
                official: is_official,
            });
            self.vouched.push(release.vouches(&path, ending));
            self.described.push(Described {
                suite: release.suite.clone(),
                codename: release.codename.clone(),
                origin: release.origin.clone(),
                label: release.label.clone(),
                version: release.version.clone(),
                component: source.component.clone(),
                architecture,
                host: source.host(),
                by_default: match (release.not_automatic, release.but_upgrades) {
                    (_, true) => 100,
                    (true, false) => 1,
                    (false, false) => 500,
                },
            });
        }
    }

    /// Hands over the troubles.
    fn report(&self, root: &dyn Root, facts: &mut Facts) {
        facts.troubles.extend(self.troubles.iter().cloned());
        facts.obstacles.extend(self.obstacles.iter().cloned());
        if let Reading::Found(entries) = root.list(&format!("{LISTS}/partial")) {
            for entry in entries.iter().filter(|e| e.name.ends_with(".FAILED")).take(100) {
                facts.troubles.push(Trouble {
                    kind: TroubleKind::SourceUnreachable,
                    subject: entry.name.trim_end_matches(".FAILED").to_owned(),
                    why: format!(
                        "the last fetch was refused and left /{LISTS}/partial/{}",
                        entry.name
                    ),
                    remedy: Some("apt-get update".to_owned()),
                });
            }
        }
        let Some(os) = facts.os.found() else { return };
        let has_pocket = match os.id.as_str() {
            "ubuntu" => true,
            "debian" => os.release().is_some(),
            _ => false,
        };
        if has_pocket && !self.security {
            let codename = os
                .codename
                .clone()
                .or_else(|| os.release().and_then(|release| release.codename).map(str::to_owned));
            let pocket = codename
                .map_or_else(|| "the security pocket".to_owned(), |c| format!("{c}-security"));
            facts.troubles.push(Trouble {
                kind: TroubleKind::SecuritySourceMissing,
                subject: pocket.clone(),
                why: if self.any {
                    format!("no source in /etc/apt names {pocket}: its patches cannot arrive")
                } else {
                    format!("/etc/apt names no source at all, so {pocket} cannot be reached")
                },
                remedy: None,
            });
        }
    }
}

/// Returns the values of `Origin` under which the distributor itself publishes.
fn official_origins(facts: &Facts) -> Vec<&'static str> {
    const UBUNTU: &[&str] = &[
        "Ubuntu",
        "UbuntuESM",
        "UbuntuESMApps",
        "UbuntuFIPS",
        "UbuntuFIPSUpdates",
        "UbuntuFIPSPreview",
        "UbuntuRealtimeKernel",
        "UbuntuCC",
        "UbuntuCIS",
    ];
    let Some(os) = facts.os.found() else { return Vec::new() };
    let mut found: Vec<&str> = match os.id.as_str() {
        "ubuntu" => UBUNTU.to_vec(),
        "debian" => vec!["Debian", "Debian Backports", "Raspberry Pi Foundation"],
        "raspbian" => vec!["Raspbian", "Raspberry Pi Foundation"],
        "devuan" => vec!["Devuan"],
        "kali" => vec!["Kali"],
        "linuxmint" => vec!["linuxmint", "Debian"],
        "pop" => vec!["pop-os-release", "pop-os-staging-master"],
        _ => Vec::new(),
    };
    if matches!(os.id.as_str(), "linuxmint" | "pop") {
        found.extend(UBUNTU);
    }
    found
}

fn is_security_suite(suite: &str) -> bool {
    suite.ends_with("-security") || suite.trim_end_matches('/').ends_with("/updates")
}

/// Tells a security pocket by what its Release file says.
fn is_security(release: &Release) -> bool {
    release.label == "Debian-Security"
        || is_security_suite(&release.suite)
        || is_security_suite(&release.codename)
}

/// Compares what is installed with what the indices offer.
fn compare(
    root: &dyn Root,
    conf: &Conf,
    machine: &Machine,
    lists: &Lists,
    facts: &mut Facts,
) -> Archive {
    let pins = Pins::read(root, conf, &machine.native, &lists.described, &mut facts.obstacles);
    let mut pool = Pool::new(&machine.native);
    let mut wanted = Wanted::default();
    for package in &facts.packages {
        wanted.names.insert(package.name.as_bytes().to_vec());
        wanted.sources.insert(package.source().as_bytes().to_vec());
        if let Some(release) = package.name.strip_prefix("linux-image-") {
            wanted.names.insert(format!("linux-image-unsigned-{release}").into_bytes());
            wanted.names.insert(format!("linux-modules-{release}").into_bytes());
        }
    }
    let whole = read_all(root, lists, &mut pool, &wanted, true, facts);
    let unlisted = set_origins(&pool, lists, facts);
    prove_kernels(&pool, lists, facts);
    let market = Market { pool: &pool, pins: &pins, lists, machine, conf };
    let chosen: Vec<Chosen> =
        facts.packages.iter().enumerate().filter_map(|(at, p)| market.chosen(at, p)).collect();
    let given_up = carry_out(root, &market, &chosen, facts);
    let mut candidates: Vec<Candidate> = chosen
        .iter()
        .filter(|chosen| chosen.newer)
        .filter_map(|chosen| {
            let package = facts.packages.get(chosen.package)?;
            Some(market.candidate(package, chosen, given_up.get(&chosen.package)))
        })
        .collect();
    candidates.sort();
    // What stands in none of the indices may stand in the part that is damaged.
    let unlisted = if whole && lists.obstacles.is_empty() { unlisted } else { Vec::new() };
    Archive { indices: lists.indices.clone(), candidates, unlisted }
}

/// Reads every index for what is wanted, the first time also whether each is whole; true when nothing was in the way.
fn read_all(
    root: &dyn Root,
    lists: &Lists,
    pool: &mut Pool,
    wanted: &Wanted,
    first: bool,
    facts: &mut Facts,
) -> bool {
    let mut whole = true;
    for (at, index) in lists.indices.iter().enumerate() {
        let vouched = lists.vouched.get(at).filter(|_| first);
        let Err(obstacle) = pool.read(root, &index.file, at, wanted, vouched) else { continue };
        whole = false;
        if !facts.obstacles.contains(&obstacle) {
            facts.obstacles.push(obstacle);
        }
    }
    whole
}

/// Tells of each installed package in which archive its version stands, and returns those that no archive knows.
///
/// A version that stands nowhere is still of the archive that has another version of the package: it was outdated. The
/// distributor counts first, and counts too where it has another package of the same source, as of a kernel that was
/// superseded. All this holds only if the indices know the base of the distribution: others say too little.
fn set_origins(pool: &Pool, lists: &Lists, facts: &mut Facts) -> Vec<(String, String)> {
    let index_at = |at: usize| lists.indices.get(at);
    let official = |at: usize| index_at(at).is_some_and(|index| index.official);
    let said = |index: &Index| {
        let said = [&index.origin, &index.label, &index.site];
        said.into_iter().find(|text| !text.is_empty()).cloned().unwrap_or_default()
    };
    let knows_base = BASE.iter().any(|name| pool.indices_of(name).any(official));
    let mut unlisted = Vec::new();
    for package in &mut facts.packages {
        let offer = pool
            .offers(&package.name, &package.architecture)
            .iter()
            .find(|offer| same(&offer.version, &package.version));
        if let Some(offer) = offer {
            let indices = || offer.indices.iter().filter_map(|at| index_at(*at));
            let index = indices().find(|index| index.official).or_else(|| indices().next());
            package.origin = index.map(said);
            continue;
        }
        if !knows_base
            || pool.indices_of(&package.name).any(official)
            || pool.indices_of_source(package.source()).any(official)
        {
            continue;
        }
        match pool.indices_of(&package.name).find_map(index_at) {
            Some(index) => package.origin = Some(said(index)),
            None => unlisted.push((package.name.clone(), package.architecture.clone())),
        }
    }
    unlisted
}

/// Notes which source the archive says a kernel image was built from.
fn prove_kernels(pool: &Pool, lists: &Lists, facts: &mut Facts) {
    let file = |offer: &Offer| {
        offer
            .indices
            .first()
            .and_then(|at| lists.indices.get(*at))
            .map_or("", |index| index.file.as_str())
            .to_owned()
    };
    let mut found = Vec::new();
    for package in &facts.packages {
        let Some(release) = package.name.strip_prefix("linux-image-") else { continue };
        let of_version = |name: &str| {
            let mut offers = pool.offers(name, &package.architecture).iter();
            offers.find(|offer| same(&offer.version, &package.version))
        };
        if let Some(offer) = of_version(&package.name) {
            for atom in clauses(&offer.built_using).filter_map(Atom::parse) {
                let Some((_, version)) = atom.bound else { continue };
                if !atom.name.starts_with("linux") {
                    continue;
                }
                found.push(KernelSource {
                    image: package.name.clone(),
                    source: atom.name.to_owned(),
                    version: version.to_owned(),
                    proof: format!("Built-Using in {}", file(offer)),
                });
            }
        }
        for twin in ["linux-image-unsigned-", "linux-modules-"] {
            let name = format!("{twin}{release}");
            let Some(offer) = of_version(&name) else { continue };
            found.push(KernelSource {
                image: package.name.clone(),
                source: offer.source.clone(),
                version: offer.source_version.clone(),
                proof: format!("Source of {name} in {}", file(offer)),
            });
        }
    }
    for proof in found {
        if !facts.kernels.sources.contains(&proof) {
            facts.kernels.sources.push(proof);
        }
    }
}

fn same(a: &str, b: &str) -> bool {
    Scheme::Dpkg.compare_lenient(a, b) == Ordering::Equal
}

/// What decides which version of a package is chosen.
struct Market<'a> {
    pool: &'a Pool,
    pins: &'a Pins,
    lists: &'a Lists,
    machine: &'a Machine,
    conf: &'a Conf,
}

/// The version chosen for an installed package, where that is another than the installed one.
struct Chosen {
    /// The installed package.
    package: usize,
    offer: Offer,
    newer: bool,
    /// Why it will not be installed, whatever else happens.
    kept_back: Option<String>,
    /// How far the update has come, where it has not reached this machine.
    phased: Option<u8>,
}

impl Market<'_> {
    /// Returns the version that apt's policy prefers over the installed one.
    fn chosen(&self, at: usize, package: &Package) -> Option<Chosen> {
        let offers = self.pool.offers(&package.name, &package.architecture);
        let preferred = self.preferred(self.pins, package, offers);
        let is_newer = |offer: &Offer| {
            Scheme::Dpkg.compare_lenient(&offer.version, &package.version) == Ordering::Greater
        };
        let hold = || {
            package
                .held
                .then(|| format!("held: {} is marked hold in /var/lib/dpkg/status", package.name))
        };
        if let Some(offer) = preferred
            && is_newer(offer)
        {
            let phased = self.phase(package, offer, offers);
            return Some(Chosen {
                package: at,
                offer: offer.clone(),
                newer: true,
                kept_back: hold(),
                phased,
            });
        }
        // What would be chosen if nobody had stated a preference is kept back by one.
        let plain = Pins::none(&self.lists.described);
        if let Some(offer) = self.preferred(&plain, package, offers).filter(|offer| is_newer(offer))
        {
            let why = self.pinned(package, offer, preferred, offers);
            return Some(Chosen {
                package: at,
                offer: offer.clone(),
                newer: true,
                kept_back: hold().or(Some(why)),
                phased: None,
            });
        }
        let offer = preferred?.clone();
        Some(Chosen { package: at, offer, newer: false, kept_back: hold(), phased: None })
    }

    /// Says by which preference a newer version is kept back: one that is against it, or one for the version that is taken.
    fn pinned(
        &self,
        package: &Package,
        newer: &Offer,
        preferred: Option<&Offer>,
        offers: &[Offer],
    ) -> String {
        let why = |offer: &Offer, installed| {
            self.pins.why(&self.offered(package, offer, installed), &self.lists.described)
        };
        if let Some((file, priority)) = why(newer, false) {
            return format!("pinned: priority {priority} in /{file}");
        }
        let installed = || offers.iter().find(|offer| same(&offer.version, &package.version));
        let taken = preferred.or_else(installed);
        let for_it = taken.and_then(|offer| Some((offer, why(offer, preferred.is_none())?)));
        for_it.map_or_else(
            || "pinned: apt's preferences are for another version".to_owned(),
            |(offer, (file, priority))| {
                format!("pinned: priority {priority} for {} in /{file}", offer.version)
            },
        )
    }

    fn offered<'b>(&self, package: &'b Package, offer: &'b Offer, installed: bool) -> Offered<'b>
    where
        Self: 'b,
    {
        let architecture = if package.architecture == "all" { "" } else { &package.architecture };
        Offered {
            name: &package.name,
            architecture,
            version: &offer.version,
            source: &offer.source,
            source_version: &offer.source_version,
            indices: &offer.indices,
            installed,
        }
    }

    /// Returns the version of the highest priority; of several the newest. Nothing: the installed one.
    fn preferred<'b>(
        &self,
        pins: &Pins,
        package: &Package,
        offers: &'b [Offer],
    ) -> Option<&'b Offer> {
        let native = &self.machine.native;
        let priority =
            |version: &str, source: &str, source_version: &str, indices: &[usize], installed| {
                let architecture = self.pool.kept_under(&package.architecture);
                debug_assert!(!architecture.is_empty() || native.is_empty());
                let offered = Offered {
                    name: &package.name,
                    architecture,
                    version,
                    source,
                    source_version,
                    indices,
                    installed,
                };
                pins.priority(&offered, &self.lists.described)
            };
        let mut sorted: Vec<&Offer> = offers.iter().collect();
        sorted.sort_by(|a, b| Scheme::Dpkg.compare_lenient(&b.version, &a.version));
        let indexed = offers.iter().find(|offer| same(&offer.version, &package.version));
        let none: &[usize] = &[];
        let mut best: Option<(i32, Option<&Offer>)> = None;
        let mut consider = |priority: i32, order: Ordering, offer: Option<&'b Offer>| {
            let least = best.map_or(-1, |(p, _)| p);
            if priority != 0 && priority > least && !(priority < 1000 && order == Ordering::Less) {
                best = Some((priority, offer));
            }
        };
        let mut installed_seen = false;
        let indices = indexed.map_or(none, |offer| offer.indices.as_slice());
        let of_installed =
            priority(&package.version, package.source(), package.source_version(), indices, true);
        for offer in sorted {
            let order = Scheme::Dpkg.compare_lenient(&offer.version, &package.version);
            if order != Ordering::Greater && !installed_seen {
                installed_seen = true;
                consider(of_installed, Ordering::Equal, None);
            }
            if order != Ordering::Equal {
                let priority = priority(
                    &offer.version,
                    &offer.source,
                    &offer.source_version,
                    &offer.indices,
                    false,
                );
                consider(priority, order, Some(offer));
            }
        }
        if !installed_seen {
            consider(of_installed, Ordering::Equal, None);
        }
        best.and_then(|(_, offer)| offer)
    }

    /// Returns how far a phased update has come, unless it has reached this machine.
    fn phase(&self, package: &Package, offer: &Offer, offers: &[Offer]) -> Option<u8> {
        let share = offer.phased?;
        let flag = |name: &str| {
            self.conf
                .flag(&format!("APT::Get::{name}"))
                .or_else(|| self.conf.flag(&format!("Update-Manager::{name}")))
                .unwrap_or(false)
        };
        // A security update does not wait, nor does one that carries an earlier security update.
        let secures = |o: &&Offer| {
            Scheme::Dpkg.compare_lenient(&o.version, &package.version) == Ordering::Greater
                && Scheme::Dpkg.compare_lenient(&o.version, &offer.version) != Ordering::Greater
                && o.indices.iter().any(|at| {
                    self.lists.described.get(*at).is_some_and(|d| d.suite.ends_with("-security"))
                })
        };
        if offers.iter().any(|o| secures(&o)) || flag("Always-Include-Phased-Updates") {
            return None;
        }
        let held_back = match &self.machine.id {
            _ if flag("Never-Include-Phased-Updates") => true,
            Some(id) => phasing::holds_back(&offer.source, &offer.source_version, id, share),
            None => true,
        };
        held_back.then_some(share)
    }

    /// Writes down what was chosen.
    fn candidate(
        &self,
        package: &Package,
        chosen: &Chosen,
        given_up: Option<&String>,
    ) -> Candidate {
        let offer = &chosen.offer;
        let indices = || offer.indices.iter().filter_map(|at| self.lists.indices.get(*at));
        let security = indices().any(|index| index.security);
        let index =
            indices().find(|index| index.security).or_else(|| indices().find(|i| i.official));
        let index = index.or_else(|| indices().next());
        Candidate {
            name: package.name.clone(),
            architecture: offer.architecture.clone(),
            version: offer.version.clone(),
            source: offer.source.clone(),
            source_version: offer.source_version.clone(),
            pocket: index.map(pocket).unwrap_or_default(),
            security,
            security_version: self.security_version(package, offer),
            advisories: Vec::new(),
            phased: chosen.phased,
            kept_back: chosen.kept_back.clone().or_else(|| given_up.cloned()),
        }
    }

    /// Returns the newest version in a security pocket, if it is newer than the installed one and not the chosen one.
    fn security_version(&self, package: &Package, chosen: &Offer) -> Option<String> {
        let newest = self
            .pool
            .offers(&package.name, &package.architecture)
            .iter()
            .filter(|o| {
                o.indices.iter().any(|at| self.lists.indices.get(*at).is_some_and(|i| i.security))
            })
            .max_by(|a, b| Scheme::Dpkg.compare_lenient(&a.version, &b.version))?;
        let newer =
            Scheme::Dpkg.compare_lenient(&newest.version, &package.version) == Ordering::Greater;
        (newer && !same(&newest.version, &chosen.version)).then(|| newest.version.clone())
    }

    /// Returns the version that apt would install of a package that is not there.
    fn newcomer<'b>(
        &self,
        name: &str,
        architecture: &str,
        offers: &'b [Offer],
    ) -> Option<&'b Offer> {
        let mut best: Option<(i32, &Offer)> = None;
        let mut sorted: Vec<&Offer> = offers.iter().collect();
        sorted.sort_by(|a, b| Scheme::Dpkg.compare_lenient(&b.version, &a.version));
        for offer in sorted {
            let offered = Offered {
                name,
                architecture,
                version: &offer.version,
                source: &offer.source,
                source_version: &offer.source_version,
                indices: &offer.indices,
                installed: false,
            };
            let priority = self.pins.priority(&offered, &self.lists.described);
            if priority != 0 && priority > best.map_or(-1, |(p, _)| p) {
                best = Some((priority, offer));
            }
        }
        best.map(|(_, offer)| offer)
    }
}

/// Returns the name of a pocket in the archive's words: `bookworm-security`, `jammy-updates`.
fn pocket(index: &Index) -> String {
    let suite_tells_more = !index.codename.is_empty() && index.suite.starts_with(&index.codename);
    let said = if suite_tells_more {
        [&index.suite, &index.codename]
    } else {
        [&index.codename, &index.suite]
    };
    said.into_iter().find(|text| !text.is_empty()).unwrap_or(&index.site).clone()
}

/// Finds which of the chosen versions cannot be installed, and why.
fn carry_out(
    root: &dyn Root,
    market: &Market<'_>,
    chosen: &[Chosen],
    facts: &mut Facts,
) -> HashMap<usize, String> {
    if chosen.is_empty() {
        return HashMap::new();
    }
    let mut relations = installed_relations(root, market.pool, &mut facts.obstacles);
    let by_package: HashMap<usize, &Chosen> = chosen.iter().map(|c| (c.package, c)).collect();
    let mut nodes = Vec::with_capacity(facts.packages.len());
    for (at, package) in facts.packages.iter().enumerate() {
        let architecture = market.pool.kept_under(&package.architecture).to_owned();
        let key = (package.name.clone(), architecture.clone());
        let chosen = by_package.get(&at).filter(|c| c.kept_back.is_none() && c.phased.is_none());
        let installed = relations.remove(&key).unwrap_or_default();
        nodes.push(Node {
            name: package.name.clone(),
            architecture,
            candidate: chosen.map(|c| Choice {
                version: c.offer.version.clone(),
                relations: relations_of(&c.offer, &installed),
            }),
            installed: Some(Choice { version: package.version.clone(), relations: installed }),
            fixed: chosen.is_none() && by_package.contains_key(&at) || package.held,
        });
    }
    let mut resolver = Resolver::new(&market.machine.native, nodes);
    take_newcomers(root, market, &mut resolver, facts);
    resolver.resolve();
    let mut given_up = HashMap::new();
    for chosen in chosen.iter().filter(|c| c.kept_back.is_none() && c.phased.is_none()) {
        if !resolver.upgrades(chosen.package) {
            let why = resolver.given_up.get(chosen.package).cloned().flatten();
            given_up.insert(chosen.package, why.unwrap_or_else(|| "would be removed".to_owned()));
        }
    }
    given_up
}

/// Returns the relations of an offered version; an abridged stanza is taken to provide what the installed version does.
fn relations_of(offer: &Offer, installed: &Relations) -> Relations {
    if offer.whole {
        return offer.relations.clone();
    }
    Relations {
        provides: installed.provides.clone(),
        multi: installed.multi,
        ..Relations::default()
    }
}

/// Reads the indices again for packages that upgrades ask for and that are not there yet.
fn take_newcomers(
    root: &dyn Root,
    market: &Market<'_>,
    resolver: &mut Resolver,
    facts: &mut Facts,
) {
    let mut looked_up = HashSet::new();
    for _ in 0..PASSES {
        resolver.take_in();
        let names = resolver.asked_for(&looked_up);
        if names.is_empty() {
            return;
        }
        looked_up.extend(names.iter().cloned());
        let mut found = Pool::new(&market.machine.native);
        let wanted = Wanted { names, providers: true, ..Wanted::default() };
        read_all(root, market.lists, &mut found, &wanted, false, facts);
        let mut newcomers: Vec<_> = found.packages().collect();
        newcomers.sort_by_key(|(name, architecture, _)| (*name, *architecture));
        for (name, architecture, offers) in newcomers {
            if resolver.knows(name, architecture) {
                continue;
            }
            let Some(offer) = market.newcomer(name, architecture, offers) else { continue };
            resolver.add(Node {
                name: name.to_owned(),
                architecture: architecture.to_owned(),
                installed: None,
                candidate: Some(Choice {
                    version: offer.version.clone(),
                    relations: offer.relations.clone(),
                }),
                fixed: false,
            });
        }
    }
}

/// Reads what the installed packages need and reject, by name and architecture.
fn installed_relations(
    root: &dyn Root,
    pool: &Pool,
    obstacles: &mut Vec<Obstacle>,
) -> HashMap<(String, String), Relations> {
    const STATUS: &str = "var/lib/dpkg/status";
    let mut found = HashMap::new();
    let Reading::Found(content) = root.open(STATUS) else { return found };
    let read = deb822::each_stanza(content, |stanza| {
        let mut architecture = String::new();
        let mut installed = false;
        for (name, value) in deb822::fields(stanza) {
            match name {
                b"Architecture" => architecture = deb822::text_of(value),
                b"Status" => {
                    installed =
                        !value.ends_with(b"config-files") && !value.ends_with(b"not-installed");
                }
                _ => {}
            }
        }
        if let (true, Some(name)) = (installed, deb822::package(stanza)) {
            let key = (deb822::text_of(name), pool.kept_under(&architecture).to_owned());
            found.insert(key, Relations::of(stanza));
        }
    });
    if let Err(error) = read {
        obstacles.push(Obstacle::new(STATUS, format!("cannot be read to its end: {error}")));
    }
    found
}

/// Returns host and path of every configured archive, and the file that names it.
pub(super) fn configured(
    root: &dyn Root,
    conf: &Conf,
    obstacles: &mut Vec<Obstacle>,
) -> Vec<(String, String)> {
    let native = conf.get("APT::Architecture").unwrap_or_default();
    let found = sources::read(root, native, obstacles).into_iter();
    found.map(|source| (source.site(), source.file)).collect()
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
