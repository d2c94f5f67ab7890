//! What Alpine's repositories offer, by the indices that apk keeps in its cache
//! (apk-cache(5), apk-repositories(5), apk-world(5); the APKINDEX format of apk-tools 2).
//!
//! apk names a cached index by a hash of the repository's address; that ties each index to its line. A tagged
//! repository (`@edge https://…`) has a say only for the packages that world pins to it. Constraints of world keep
//! packages back. Not done: signatures, dependencies, provides, and indices of apk-tools 3 (`.adb`), which are mentioned.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, BufReader, Read};

use muster_core::fact::{Archive, Candidate, Database, Facts, Index, Obstacle, Package, Reading};
use muster_core::time::Instant;
use muster_version::Scheme;
use sha1::Digest as _;

use super::dnf::config::site_of;
use super::dnf::unpacked;
use crate::Inspector;
use crate::root::Root;

/// Where apk keeps its cache; the first is a link to it where one was set up.
const CACHES: &[&str] = &["/etc/apk/cache", "/var/cache/apk", "/lib/apk/cache"];
const REPOSITORIES: &str = "/etc/apk/repositories";
const REPOSITORY_FOLDERS: &[&str] = &["/etc/apk/repositories.d", "/lib/apk/repositories.d"];
const WORLD: &str = "/etc/apk/world";
const MAX_FILE: u64 = 1 << 20;
/// How long a line of an index may be; dependencies of the largest package take a tenth.
const MAX_LINE: u64 = 1 << 20;
/// How much an index may hold when it is unpacked: a hundred times Alpine's largest.
const MAX_UNPACKED: u64 = 1 << 30;
/// Packages that only Alpine itself builds.
const BASE: &[&str] = &["alpine-baselayout", "musl"];
/// How many indices are read.
const MAX_INDICES: usize = 200;

/// Reads apk's cached indices.
pub struct ApkIndex;

impl Inspector for ApkIndex {
    fn name(&self) -> &'static str {
        "apk_index"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "/etc/apk/cache/APKINDEX.*",
            "/var/cache/apk/APKINDEX.*",
            "/lib/apk/cache/APKINDEX.*",
            "/etc/apk/repositories",
            "/etc/apk/repositories.d/*.list",
            "/lib/apk/repositories.d/*.list",
            "/etc/apk/world",
        ]
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        if facts.database != Reading::Found(Database::Apk) {
            return;
        }
        let repositories = read_repositories(root, &mut facts.obstacles);
        let world = read_world(root, &mut facts.obstacles);
        let found = find_indices(root, &repositories, &mut facts.obstacles);
        if found.is_empty() {
            return;
        }
        let mut search = Search {
            slots: slots_of(facts, &world),
            world: &world,
            indices: Vec::new(),
            has_base: Vec::new(),
        };
        // Of a repository without an index nobody knows what it has.
        let mut whole = found.iter().filter(|index| index.repository.is_some()).count()
            >= repositories.iter().filter(|repository| repository.is_remote()).count();
        for index in &found {
            if let Err(obstacle) = search.read_index(root, index) {
                whole = false;
                facts.obstacles.push(obstacle);
            }
        }
        search.mark_official();
        let knows_base = search.has_base.contains(&true);
        let Search { slots, indices, .. } = search;
        let strange = |package: &&Package| slots.get(&package.name).is_some_and(|slot| !slot.known);
        let unlisted = if whole && knows_base {
            let strange = facts.packages.iter().filter(strange);
            strange.map(|p| (p.name.clone(), p.architecture.clone())).collect()
        } else {
            Vec::new()
        };
        for package in &mut facts.packages {
            let Some(slot) = slots.get(&package.name) else { continue };
            let offering = || {
                slot.origins
                    .iter()
                    .filter_map(|number| indices.get(*number))
                    .filter(|index| !index.origin.is_empty())
            };
            package.origin = offering()
                .find(|index| index.official)
                .or_else(|| offering().next())
                .map(|index| index.origin.clone());
            package.held |= slot.held;
        }
        let mut candidates: Vec<Candidate> =
            slots.into_values().filter_map(|slot| slot.best.or(slot.blocked)).collect();
        candidates.sort();
        facts.archive = Reading::Found(Archive { indices, candidates, unlisted });
    }
}

/// A line of `repositories`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository {
    /// `edge` of `@edge`.
    tag: Option<String>,
    address: String,
}

impl Repository {
    /// Returns its address as it is written, without the tag.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns host and path.
    pub(crate) fn site(&self) -> String {
        site_of(&self.address)
    }

    /// Tells whether it must be fetched, and is not a folder of the server.
    pub(crate) fn is_remote(&self) -> bool {
        self.address.contains("://") && !self.address.starts_with("file:")
    }

    /// Returns its name: the last two parts of its address (`v3.20/main`).
    pub(crate) fn name(&self) -> String {
        let site = site_of(&self.address);
        let mut parts: Vec<&str> = site.rsplit('/').take(2).collect();
        parts.reverse();
        parts.join("/")
    }

    /// Tells whether a file of the cache is its index. apk 2 takes SHA-1 for the name; apk 3 may take SHA-256.
    fn named(&self, hash: &str) -> bool {
        let short =
            |digest: &[u8]| digest.iter().take(4).map(|b| format!("{b:02x}")).collect::<String>();
        let bare = self.address.trim_end_matches('/');
        [bare, self.address.as_str()].into_iter().any(|address| {
            hash == short(&sha1::Sha1::digest(address))
                || hash == short(&sha2::Sha256::digest(address))
        })
    }
}

fn read_text(root: &dyn Root, path: &str, obstacles: &mut Vec<Obstacle>) -> String {
    match root.read(path, MAX_FILE) {
        Reading::Found(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Reading::Absent => String::new(),
        Reading::Unknown(obstacle) => {
            obstacles.push(obstacle);
            String::new()
        }
    }
}

/// Reads every line that names a repository.
pub(crate) fn read_repositories(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Vec<Repository> {
    let mut text = read_text(root, REPOSITORIES, obstacles);
    for folder in REPOSITORY_FOLDERS {
        let Reading::Found(entries) = root.list(folder) else { continue };
        for entry in entries.iter().filter(|entry| entry.name.ends_with(".list")).take(MAX_INDICES)
        {
            text.push('\n');
            text.push_str(&read_text(root, &format!("{folder}/{}", entry.name), obstacles));
        }
    }
    text.lines().filter_map(repository).take(MAX_INDICES).collect()
}

fn repository(line: &str) -> Option<Repository> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let Some(tagged) = line.strip_prefix('@') else {
        return Some(Repository { tag: None, address: line.to_owned() });
    };
    let (tag, address) = tagged.split_once([' ', '\t'])?;
    Some(Repository { tag: Some(tag.to_owned()), address: address.trim().to_owned() })
}

/// A word of world: a package that the administrator asked for.
#[derive(Debug, Default)]
struct Wish {
    tag: Option<String>,
    /// The operator and the version that it must meet.
    bound: Option<(String, String)>,
    word: String,
}

fn read_world(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> BTreeMap<String, Wish> {
    let text = read_text(root, WORLD, obstacles);
    text.split_whitespace().filter(|word| !word.starts_with('!')).map(wish).collect()
}

/// Splits `name@tag`, `name<1.2`, `name=~1.2@tag` (apk-world(5)).
fn wish(word: &str) -> (String, Wish) {
    let (bare, tag) =
        word.rsplit_once('@').map_or((word, None), |(bare, tag)| (bare, Some(tag.to_owned())));
    let end = bare.find(['<', '>', '=', '~']).unwrap_or(bare.len());
    let (name, rest) = bare.split_at_checked(end).unwrap_or((bare, ""));
    let version = rest.trim_start_matches(['<', '>', '=', '~']);
    let operator = rest.strip_suffix(version).unwrap_or_default();
    let bound = (!operator.is_empty()).then(|| (operator.to_owned(), version.to_owned()));
    (name.to_owned(), Wish { tag, bound, word: word.to_owned() })
}

impl Wish {
    fn allows(&self, version: &str) -> bool {
        let Some((operator, bound)) = &self.bound else { return true };
        let order = Scheme::Apk.compare_lenient(version, bound);
        let fuzzy = operator.contains('~')
            && version
                .strip_prefix(bound.as_str())
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
        fuzzy
            || operator.contains('=') && !operator.contains('~') && order == Ordering::Equal
            || operator.contains('<') && order == Ordering::Less
            || operator.contains('>') && order == Ordering::Greater
    }
}

/// An index of the cache.
struct Found {
    path: String,
    repository: Option<Repository>,
}

/// Looks for indices, and ties each to its repository; those of repositories that are no longer named are left out.
fn find_indices(
    root: &dyn Root,
    repositories: &[Repository],
    obstacles: &mut Vec<Obstacle>,
) -> Vec<Found> {
    let mut indices: BTreeMap<String, Found> = BTreeMap::new();
    let mut newer_form = false;
    for folder in CACHES {
        let entries = match root.list(folder) {
            Reading::Found(entries) => entries,
            Reading::Absent => continue,
            Reading::Unknown(obstacle) => {
                obstacles.push(obstacle);
                continue;
            }
        };
        for entry in entries.into_iter().take(100_000) {
            newer_form |= entry.name.starts_with("APKINDEX.") && entry.name.ends_with(".adb");
            let Some(hash) =
                entry.name.strip_prefix("APKINDEX.").and_then(|rest| rest.strip_suffix(".tar.gz"))
            else {
                continue;
            };
            let repository = repositories.iter().find(|repository| repository.named(hash)).cloned();
            if indices.len() < MAX_INDICES {
                let path = format!("{folder}/{}", entry.name);
                indices.entry(entry.name.clone()).or_insert(Found { path, repository });
            }
        }
    }
    if newer_form {
        obstacles.push(Obstacle::new(
            "archive indices",
            "apk's cache holds indices in the form of apk-tools 3 (.adb), which are not read",
        ));
    }
    let mut indices: Vec<Found> = indices.into_values().collect();
    if indices.iter().any(|index| index.repository.is_some()) {
        indices.retain(|index| index.repository.is_some());
    } else if repositories.iter().any(|repository| repository.tag.is_some()) && !indices.is_empty()
    {
        let why = "no index in apk's cache belongs to a line of /etc/apk/repositories, and some lines are tagged; run `apk update`";
        obstacles.push(Obstacle::new("archive indices", why));
        indices.clear();
    }
    indices
}

/// An installed package.
#[derive(Default)]
struct Slot {
    architecture: String,
    version: String,
    tag: Option<String>,
    held: bool,
    /// Whether an index offers it in any version.
    known: bool,
    /// The indices that offer the installed version.
    origins: Vec<usize>,
    best: Option<Candidate>,
    blocked: Option<Candidate>,
}

fn slots_of(facts: &Facts, world: &BTreeMap<String, Wish>) -> BTreeMap<String, Slot> {
    let mut slots = BTreeMap::new();
    for package in &facts.packages {
        let wish = world.get(&package.name);
        let slot = Slot {
            architecture: package.architecture.clone(),
            version: package.version.clone(),
            tag: wish.and_then(|wish| wish.tag.clone()),
            held: wish.is_some_and(|wish| {
                wish.bound.as_ref().is_some_and(|(operator, _)| !operator.contains('>'))
            }),
            ..Slot::default()
        };
        slots.insert(package.name.clone(), slot);
    }
    slots
}

/// A package on offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// `P:`.
    pub name: String,
    /// `V:`.
    pub version: String,
    /// `A:`.
    pub architecture: String,
    /// `o:`: the name of its source.
    pub source: String,
    /// `t:`: when it was built.
    pub built: Option<i64>,
}

struct Search<'w> {
    slots: BTreeMap<String, Slot>,
    world: &'w BTreeMap<String, Wish>,
    indices: Vec<Index>,
    /// For each index, whether the base of the distribution is in it.
    has_base: Vec<bool>,
}

impl Search<'_> {
    fn read_index(&mut self, root: &dyn Root, found: &Found) -> Result<(), Obstacle> {
        let mut content = match root.open(&found.path) {
            Reading::Found(content) => content,
            Reading::Absent => return Ok(()),
            Reading::Unknown(obstacle) => return Err(obstacle),
        };
        let name = found.repository.as_ref().map(Repository::name).unwrap_or_default();
        let tag = found.repository.as_ref().and_then(|repository| repository.tag.clone());
        let number = self.indices.len();
        let (mut newest, mut has_base, mut empty) = (None, false, true);
        let read = unpacked(&mut *content).and_then(|input| {
            read_apkindex(input, |offer| {
                empty = false;
                newest = newest.max(offer.built);
                has_base |= BASE.contains(&offer.name.as_str());
                self.consider(&offer, &name, tag.as_deref(), number);
            })
        });
        let (suite, component) = name.split_once('/').unwrap_or((&name, ""));
        self.indices.push(Index {
            file: found.path.clone(),
            site: found
                .repository
                .as_ref()
                .map(|repository| site_of(&repository.address))
                .unwrap_or_default(),
            origin: name.clone(),
            suite: suite.to_owned(),
            component: component.to_owned(),
            date: newest.and_then(|seconds| Instant::from_second(seconds).ok()),
            ..Index::default()
        });
        self.has_base.push(has_base);
        let why = match read {
            Err(error) => format!("cannot be read: {error}"),
            Ok(()) if empty => "names no package; run `apk update`".to_owned(),
            Ok(()) => return Ok(()),
        };
        Err(Obstacle::new(&found.path, why))
    }

    /// Tells Alpine's own repositories: they lie beside the one that has the base of the distribution.
    ///
    /// The path alone tells nothing, since others lay theirs out in the same way. Where no index has the base, nothing
    /// proves that one is not Alpine's. Those of others get their whole address for a name.
    fn mark_official(&mut self) {
        let own: BTreeSet<String> = self
            .indices
            .iter()
            .zip(&self.has_base)
            .filter(|(_, base)| **base)
            .map(|(index, _)| tree_of(&index.site))
            .collect();
        for index in &mut self.indices {
            index.official = own.is_empty() || own.contains(&tree_of(&index.site));
            if !index.official {
                index.origin.clone_from(&index.site);
            }
        }
    }

    fn consider(&mut self, offer: &Offer, repository: &str, tag: Option<&str>, index: usize) {
        let Some(slot) = self.slots.get_mut(&offer.name) else { return };
        slot.known = true;
        let fits = slot.architecture == offer.architecture
            || offer.architecture == "noarch"
            || slot.architecture == "noarch";
        if !fits || tag.is_some() && tag != slot.tag.as_deref() {
            return;
        }
        let newer = |a: &str, b: &str| Scheme::Apk.compare_lenient(a, b) == Ordering::Greater;
        if offer.version == slot.version
            && slot.origins.last() != Some(&index)
            && slot.origins.len() < MAX_INDICES
        {
            slot.origins.push(index);
        }
        if !newer(&offer.version, &slot.version) {
            return;
        }
        let wish = self.world.get(&offer.name).filter(|wish| !wish.allows(&offer.version));
        let place = if wish.is_some() { &mut slot.blocked } else { &mut slot.best };
        if place.as_ref().is_none_or(|other| newer(&offer.version, &other.version)) {
            *place = Some(Candidate {
                name: offer.name.clone(),
                architecture: slot.architecture.clone(),
                version: offer.version.clone(),
                source: if offer.source.is_empty() {
                    offer.name.clone()
                } else {
                    offer.source.clone()
                },
                source_version: offer.version.clone(),
                pocket: repository.to_owned(),
                kept_back: wish.map(|wish| format!("held by `{}` in {WORLD}", wish.word)),
                ..Candidate::default()
            });
        }
    }
}

/// Returns the part of an address that all repositories of a mirror share: `host/alpine` of `host/alpine/v3.20/main`.
fn tree_of(site: &str) -> String {
    site.rsplitn(3, '/').nth(2).unwrap_or(site).to_owned()
}

/// Reads the `APKINDEX` of an unpacked `APKINDEX.tar.gz`, and hands over each package.
pub fn read_apkindex(input: impl Read, mut on: impl FnMut(Offer)) -> io::Result<()> {
    let mut archive = tar::Archive::new(input.take(MAX_UNPACKED));
    let mut found = false;
    // Raw: the long names of tar extensions would be read into memory, however long they are.
    for entry in archive.entries()?.raw(true) {
        let entry = entry?;
        if entry.path_bytes().as_ref() == b"APKINDEX" {
            read_stanzas(entry, &mut on)?;
            found = true;
            break;
        }
    }
    // To the end, where the checksum of the compression stands.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    if found { Ok(()) } else { Err(io::Error::other("it holds no APKINDEX; run `apk update`")) }
}

fn read_stanzas(input: impl Read, on: &mut impl FnMut(Offer)) -> io::Result<()> {
    let mut input = BufReader::with_capacity(32 << 10, input);
    let mut line = Vec::new();
    let mut offer = Offer::default();
    loop {
        line.clear();
        let taken = (&mut input).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if taken as u64 == MAX_LINE && !line.ends_with(b"\n") {
            return Err(io::Error::other(format!("a line is longer than {MAX_LINE} bytes")));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if text.is_empty() {
            if !offer.name.is_empty() && !offer.version.is_empty() {
                on(std::mem::take(&mut offer));
            }
            offer = Offer::default();
            if taken == 0 {
                return Ok(());
            }
            continue;
        }
        let Some((key, value)) = text.split_once(':') else { continue };
        match key {
            "P" => value.clone_into(&mut offer.name),
            "V" => value.clone_into(&mut offer.version),
            "A" => value.clone_into(&mut offer.architecture),
            "o" => value.clone_into(&mut offer.source),
            "t" => offer.built = value.parse().ok(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use muster_core::fact::Package;
    use proptest::prelude::*;

    use super::*;
    use crate::inspectors::rpmdb::tests::Files;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    fn entry(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.extend(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
        tar
    }

    /// An index as `abuild-sign` leaves it: a signature in a gzip member of its own, without the end of a tar.
    fn index_of(stanzas: &str) -> Vec<u8> {
        let body =
            [entry("DESCRIPTION", b"v3.20"), entry("APKINDEX", stanzas.as_bytes()), vec![0; 1024]]
                .concat();
        [gz(&entry(".SIGN.RSA.alpine.pub", b"x")), gz(&body)].concat()
    }

    fn stanza(name: &str, version: &str) -> String {
        format!(
            "C:Q1x=\nP:{name}\nV:{version}\nA:x86_64\nS:1\nT:x\nU:u\nL:MIT\no:{name}-src\nt:1700000000\nD:a b\n\n"
        )
    }

    const MAIN: &str = "http://dl-cdn.alpinelinux.org/alpine/v3.12/main";

    fn inspect(files: &Files, installed: &[(&str, &str)]) -> Facts {
        let package = |(name, version): &(&str, &str)| Package {
            name: (*name).into(),
            version: (*version).into(),
            architecture: "x86_64".into(),
            ..Package::default()
        };
        let packages = installed.iter().map(package).collect();
        let mut facts =
            Facts { database: Reading::Found(Database::Apk), packages, ..Facts::default() };
        ApkIndex.inspect(files, &mut facts);
        facts
    }

    fn file_of(address: &str) -> String {
        let digest = sha1::Sha1::digest(address);
        format!(
            "/var/cache/apk/APKINDEX.{:02x}{:02x}{:02x}{:02x}.tar.gz",
            digest[0], digest[1], digest[2], digest[3]
        )
    }

    #[test]
    fn an_index_is_named_by_its_address() {
        assert_eq!(file_of(MAIN), "/var/cache/apk/APKINDEX.2c4ac24e.tar.gz");
    }

    #[test]
    fn what_no_repository_has_is_named_while_all_indices_are_there() {
        let community = "http://dl-cdn.alpinelinux.org/alpine/v3.12/community";
        let files = |repositories: &str, index: Vec<u8>| {
            Files::default().with("/etc/apk/repositories", repositories).with(&file_of(MAIN), index)
        };
        let unlisted = |files: &Files| {
            let facts = inspect(files, &[("musl", "0-r9"), ("till", "1-r0")]);
            let names =
                facts.archive.found().unwrap().unlisted.iter().map(|(name, _)| name.clone());
            (names.collect::<Vec<_>>(), facts.obstacles.len())
        };
        let main = || index_of(&stanza("musl", "1-r0"));
        assert_eq!(unlisted(&files(MAIN, main())), (vec!["till".to_owned()], 0));
        assert_eq!(unlisted(&files(&format!("{MAIN}\n{community}\n"), main())), (vec![], 0));
        // An index without a package is no index, and one that is cut is none either.
        assert_eq!(unlisted(&files(MAIN, index_of(""))), (vec![], 1));
        let cut = main()[..main().len() - 9].to_vec();
        assert_eq!(unlisted(&files(MAIN, cut)), (vec![], 1));
    }

    #[test]
    fn the_newest_version_is_offered_within_tags_and_bounds() {
        let edge = "https://mirror.example.org/alpine/edge/main";
        let files = Files::default()
            .with("/etc/apk/repositories", format!("# c\n{MAIN}\n@edge {edge}\n"))
            .with("/etc/apk/world", "busybox curl@edge nginx<1.20 zlib=1.2-r0\n")
            .with(
                &file_of(MAIN),
                index_of(
                    &[
                        "busybox 1.2-r0",
                        "busybox 1.10-r0",
                        "curl 7-r0",
                        "nginx 1.21-r0",
                        "zlib 1.3-r0",
                        "musl 1-r0",
                    ]
                    .map(|s| {
                        let (n, v) = s.split_once(' ').unwrap();
                        stanza(n, v)
                    })
                    .concat(),
                ),
            )
            .with(
                &file_of(edge),
                index_of(&[stanza("curl", "8-r0"), stanza("busybox", "9-r0")].concat()),
            )
            .with("/var/cache/apk/APKINDEX.00000000.tar.gz", index_of(&stanza("busybox", "99-r0")));
        let facts = inspect(
            &files,
            &[
                ("busybox", "1.2-r0"),
                ("curl", "7-r0"),
                ("musl", "1-r0"),
                ("nginx", "1.18-r0"),
                ("zlib", "1.2-r0"),
            ],
        );
        let archive = facts.archive.found().unwrap();
        let found: Vec<_> = archive
            .candidates
            .iter()
            .map(|c| {
                (
                    c.name.as_str(),
                    c.version.as_str(),
                    c.source.as_str(),
                    c.pocket.as_str(),
                    c.kept_back.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("busybox", "1.10-r0", "busybox-src", "v3.12/main", None),
                ("curl", "8-r0", "curl-src", "edge/main", None),
                (
                    "nginx",
                    "1.21-r0",
                    "nginx-src",
                    "v3.12/main",
                    Some("held by `nginx<1.20` in /etc/apk/world")
                ),
                (
                    "zlib",
                    "1.3-r0",
                    "zlib-src",
                    "v3.12/main",
                    Some("held by `zlib=1.2-r0` in /etc/apk/world")
                ),
            ]
        );
        assert_eq!(facts.obstacles, []);
        assert_eq!(facts.packages[2].origin.as_deref(), Some("v3.12/main"));
        let mut sites: Vec<_> = archive
            .indices
            .iter()
            .map(|i| (i.site.as_str(), i.official, i.date.unwrap().as_second()))
            .collect();
        sites.sort();
        assert_eq!(
            sites,
            [
                ("dl-cdn.alpinelinux.org/alpine/v3.12/main", true, 1_700_000_000),
                ("mirror.example.org/alpine/edge/main", false, 1_700_000_000)
            ]
        );
    }

    #[test]
    fn a_wish_is_a_name_a_bound_and_a_tag() {
        for (word, version, allowed) in [
            ("a", "9", true),
            ("a=1.2-r0", "1.2-r1", false),
            ("a<2", "1.9", true),
            ("a>=2", "1.9", false),
            ("a~1.2", "1.2.3-r0", true),
            ("a=~1.2", "1.20-r0", false),
            ("a<=2@edge", "2", true),
        ] {
            let (name, wish) = wish(word);
            assert_eq!((name.as_str(), wish.allows(version)), ("a", allowed), "{word} {version}");
        }
    }

    #[test]
    fn what_is_missing_or_damaged_is_said() {
        let facts = inspect(&Files::default(), &[("a", "1")]);
        assert_eq!(facts.archive, Reading::Absent);
        let whole = index_of(&stanza("a", "2"));
        let files = Files::default()
            .with("/etc/apk/repositories", MAIN)
            .with(&file_of(MAIN), &whole[..whole.len() - 20]);
        let facts = inspect(&files, &[("a", "1")]);
        assert!(
            facts.obstacles[0].what.ends_with("APKINDEX.2c4ac24e.tar.gz"),
            "{:?}",
            facts.obstacles
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_met(bytes in proptest::collection::vec(any::<u8>(), 0..2048), text in "([PVAot:]{1,2}[ -~]{0,9}\n{1,2}){0,40}") {
            drop(read_apkindex(&*bytes, drop));
            drop(read_apkindex(&*entry("APKINDEX", &bytes), drop));
            drop(read_apkindex(&*entry("APKINDEX", text.as_bytes()), drop));
        }
    }
}
