//! A tar of a server's `/`, plain or packed, in a file or on standard input.
//!
//! One pass keeps what the inspectors declare, and the table of all symbolic links. Where a declared path leads
//! through a link to something that was not kept, a file is passed over again for it; standard input cannot be, and
//! that is said. Of a plain tar in a file only the places of the data are kept. Of two members with one name the last
//! counts, as when a tar is unpacked; names that lead outside are not read, nor is anything written anywhere.
//! A packed tar is read on to the checksum behind its end mark. A second tar behind the mark is not read (nor does
//! GNU tar, without `--ignore-zeros`), and that is said.

mod member;
mod stream;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;
use std::time::Duration;

use muster_core::fact::{Obstacle, Reading};
use muster_core::time::Instant;
use muster_sandbox::monotonic;

use super::declared::{Fit, Pattern, components};
use super::{
    Content, Entry, EntryKind, Look, MAX_ENTRIES, MAX_LINKS, Root, Walked, Wanted as Sought,
    circle, crowded, no_file, obstacle, walk,
};
use member::{Kind, Member, Stop};
use stream::Stream;

/// Bytes of a packed tar that are kept.
const MAX_KEPT: u64 = 44 << 20;
/// Bytes that a tar may unpack to.
const MAX_UNPACKED: u64 = 16 << 30;
/// Members of a tar.
const MAX_MEMBERS: u64 = 3_000_000;
/// Names that are kept.
const MAX_NODES: usize = 150_000;
/// Bytes of the table of links.
const MAX_LINK_BYTES: usize = 12 << 20;
/// How often a tar is passed over.
const MAX_PASSES: u32 = 4;

/// What obstacles call the tar itself, whatever its file's name.
const TAR: &str = "the tar";

/// What was given is no tar.
#[derive(Debug)]
pub struct NotTar(pub String);

/// What the inspectors declare of a tar.
pub struct Tar {
    nodes: BTreeMap<String, Node>,
    links: HashMap<String, String>,
    link_bytes: usize,
    /// Hashes of all names, so that what is not there is told from what was not kept.
    seen: HashSet<u64, BuildHasherDefault<DefaultHasher>>,
    kept: u64,
    outside: u64,
    /// How many members it has.
    members: u64,
    plain: Option<Rc<File>>,
    running: bool,
    incomplete: Option<Obstacle>,
    /// What is wrong with a tar that could be read to its end mark.
    doubt: Option<Obstacle>,
    obstacles: Vec<Obstacle>,
}

/// What lies at a path.
#[derive(Clone)]
enum Node {
    Directory,
    Link,
    Special(&'static str),
    File {
        body: Body,
        size: u64,
        modified: Option<i64>,
        user: u32,
        class: usize,
    },
    /// A second name of the file at that path.
    Same(String),
}

#[derive(Clone)]
enum Body {
    Kept(Rc<[u8]>),
    /// Where it begins in a plain tar.
    At(u64),
    /// Why it cannot be read.
    Refused(&'static str),
}

/// The patterns of one pass, each with the number of its inspector.
struct Wanted {
    patterns: Vec<(usize, Pattern)>,
    by_first: HashMap<String, Vec<usize>>,
    /// Those with `**`, by one of their plain names: where it stands, counted from the end.
    by_anchor: Vec<HashMap<String, Vec<usize>>>,
    starred: Vec<usize>,
}

impl Wanted {
    fn new(patterns: Vec<(usize, Pattern)>) -> Self {
        let (mut by_first, mut starred) = (HashMap::<String, Vec<usize>>::new(), Vec::new());
        let mut by_anchor: Vec<HashMap<String, Vec<usize>>> = Vec::new();
        for (number, (_, pattern)) in patterns.iter().enumerate() {
            let mut deep = pattern.deep().iter().rev().enumerate();
            if let Some((at, name)) = deep.find(|(_, name)| !name.contains('*')) {
                by_anchor.resize_with(by_anchor.len().max(at + 1), HashMap::new);
                if let Some(names) = by_anchor.get_mut(at) {
                    names.entry(name.clone()).or_default().push(number);
                }
                continue;
            }
            match pattern.fixed().first() {
                Some(first) => by_first.entry((*first).to_owned()).or_default().push(number),
                None => starred.push(number),
            }
        }
        Self { patterns, by_first, by_anchor, starred }
    }

    /// Returns for whom the content is wanted, and how many components of the name.
    fn fit(&self, names: &[&str]) -> (Option<usize>, usize) {
        let (mut class, mut depth) = (None::<usize>, 0);
        let own = names.first().and_then(|first| self.by_first.get(*first));
        let anchored = names.iter().rev().zip(&self.by_anchor);
        let anchored = anchored.filter_map(|(name, by_name)| by_name.get(*name)).flatten();
        for number in own.into_iter().flatten().chain(anchored).chain(&self.starred) {
            let Some((inspector, pattern)) = self.patterns.get(*number) else { continue };
            match pattern.fit(names) {
                Some(Fit::Content) => {
                    class = Some(class.map_or(*inspector, |c| c.min(*inspector)));
                    depth = names.len();
                }
                Some(Fit::Name(count)) => depth = depth.max(count),
                None => depth = depth.max(pattern.listed(names)),
            }
        }
        (class, depth)
    }
}

impl Tar {
    /// Passes over a tar, and keeps of it what the patterns of each inspector name. `time` is how long that may take.
    pub(crate) fn read(
        file: &File,
        patterns: &[Vec<Pattern>],
        running: bool,
        time: Duration,
    ) -> Result<Self, NotTar> {
        let seekable = file.metadata().is_ok_and(|m| m.is_file()) && { file }.rewind().is_ok();
        let mut tar = Self {
            nodes: BTreeMap::new(),
            links: HashMap::new(),
            link_bytes: 0,
            seen: HashSet::default(),
            kept: 0,
            outside: 0,
            members: 0,
            plain: None,
            running,
            incomplete: None,
            doubt: None,
            obstacles: Vec::new(),
        };
        let end = monotonic() + time;
        let declared: Vec<(usize, Pattern)> = patterns
            .iter()
            .enumerate()
            .flat_map(|(class, patterns)| patterns.iter().map(move |p| (class, p.clone())))
            .collect();
        let mut known = with_merged_folders(declared.clone());
        let mut wanted = Wanted::new(known.clone());
        for pass in 1..=MAX_PASSES {
            let again = file.try_clone().map_err(|e| NotTar(format!("cannot be read: {e}")))?;
            tar.pass(again, seekable, &wanted, end)?;
            tar.settle_hard_links();
            let missing = tar.missing(&declared, &known);
            if missing.is_empty() || tar.incomplete.is_some() {
                break;
            }
            if !seekable || pass == MAX_PASSES {
                tar.note_missing(&missing);
                break;
            }
            known.extend(missing.iter().cloned());
            wanted = Wanted::new(missing);
        }
        if tar.outside > 0 {
            let why = format!(
                "has {} members whose names lead outside (`..`); they were not read",
                tar.outside
            );
            tar.obstacles.push(Obstacle::new(TAR, why));
        }
        tar.incomplete = tar.incomplete.or(tar.doubt.take());
        tar.obstacles.extend(tar.incomplete.clone());
        Ok(tar)
    }

    /// Returns what stood in the way of the tar itself.
    pub(crate) fn take_obstacles(&mut self) -> Vec<Obstacle> {
        std::mem::take(&mut self.obstacles)
    }

    /// Returns why some of it may not have been seen.
    pub(crate) fn incomplete(&self) -> Option<&Obstacle> {
        self.incomplete.as_ref()
    }

    fn pass(
        &mut self,
        file: File,
        seekable: bool,
        wanted: &Wanted,
        end: Duration,
    ) -> Result<(), NotTar> {
        let again = file.try_clone();
        let mut stream = Stream::open(file, seekable, MAX_UNPACKED, end).map_err(|error| {
            NotTar(if error.raw_os_error().is_some() {
                format!("cannot be read: {error}")
            } else {
                error.to_string()
            })
        })?;
        if stream.is_plain_file() {
            self.plain = again.ok().map(Rc::new);
        }
        let mut count: u64 = 0;
        let mut parent = String::new();
        let stop = loop {
            let member = match member::next(&mut stream) {
                Ok(member) => member,
                Err(stop) => break stop,
            };
            count += 1;
            if count > MAX_MEMBERS {
                break Stop::Io(io::Error::other(format!("has more than {MAX_MEMBERS} members")));
            }
            let (stored, start) = (member.stored, stream.position());
            if let Err(stop) = self.take(&member, &mut stream, wanted, &mut parent) {
                break stop;
            }
            let read = stream.position() - start;
            let Some(end) = stored.checked_next_multiple_of(512) else { break Stop::NoHeader };
            match end.checked_sub(read).map(|left| stream.skip(left)) {
                Some(Ok(true)) => {}
                Some(Ok(false)) => break Stop::Cut,
                Some(Err(error)) => break Stop::Io(error),
                None => break Stop::NoHeader,
            }
        };
        self.members = count;
        if matches!(stop, Stop::End) {
            self.doubt = doubt(&mut stream);
        }
        self.judge(stop, count, &stream)
    }

    /// Says what the end of a pass means.
    fn judge(&mut self, stop: Stop, count: u64, stream: &Stream) -> Result<(), NotTar> {
        let what_lies_behind = "what lies behind is not known; make the tar again";
        let why = match stop {
            Stop::End => return Ok(()),
            Stop::NoMark if count == 0 => {
                return Err(NotTar(String::from("is empty: it is no tar")));
            }
            Stop::NoMark => String::from(
                "ends without an end mark: it may have been cut off; make it again, or look whether it is whole",
            ),
            Stop::Cut if count > 0 => {
                format!("is cut off after {count} members: {what_lies_behind}")
            }
            Stop::NoHeader if count > 0 => {
                format!("is damaged after {count} members: {what_lies_behind}")
            }
            Stop::Io(error) if count > 0 => match stream.packed {
                Some(packed) if error.raw_os_error().is_none() => {
                    format!("({packed}) stops after {count} members: {error}; {what_lies_behind}")
                }
                _ => format!("cannot be read after {count} members: {error}; {what_lies_behind}"),
            },
            Stop::Io(error) => {
                let packed = stream.packed.map(|p| format!(" ({p})")).unwrap_or_default();
                return Err(NotTar(format!("cannot be read as a tar{packed}: {error}")));
            }
            Stop::Cut | Stop::NoHeader => {
                return Err(NotTar(String::from(
                    "is no tar: give a directory, a tar (plain, gzip, xz or zstd), or - for a tar on standard input",
                )));
            }
        };
        self.incomplete.get_or_insert_with(|| Obstacle::new(TAR, why));
        Ok(())
    }

    /// Looks at one member, and keeps of it what is wanted.
    fn take(
        &mut self,
        member: &Member,
        stream: &mut Stream,
        wanted: &Wanted,
        parent: &mut String,
    ) -> Result<(), Stop> {
        if member.kind == Kind::Other {
            self.note_once(Obstacle::new(
                TAR,
                "has a member of an archive in several volumes, which is not read",
            ));
            return Ok(());
        }
        let names: Vec<&str> = components(&member.path).collect();
        if names.is_empty() {
            return Ok(());
        }
        if names.contains(&"..") {
            self.outside += 1;
            return Ok(());
        }
        let path = names.join("/");
        self.see(&path, parent);
        if member.kind == Kind::Symlink {
            self.add_link(&path, &member.link);
        } else if !self.links.is_empty() {
            self.links.remove(&path);
        }
        let (class, depth) = wanted.fit(&names);
        if depth == 0 {
            return Ok(());
        }
        if self.nodes.len() >= MAX_NODES {
            self.note_once(Obstacle::new(
                TAR,
                format!(
                    "has more than {MAX_NODES} files that inspectors look at; the rest was not kept"
                ),
            ));
            return Ok(());
        }
        // A member may come after a link in its own path: it lies where that leads.
        let place = match names.split_last() {
            Some((last, above)) if !self.links.is_empty() => {
                match self.resolve(&above.join("/"), true) {
                    Ok(above) if above.is_empty() => (*last).to_owned(),
                    Ok(above) => format!("{above}/{last}"),
                    Err(_) => path.clone(),
                }
            }
            _ => path.clone(),
        };
        if depth < names.len() {
            let directory: Vec<&str> = components(&place).take(depth).collect();
            self.nodes.entry(directory.join("/")).or_insert(Node::Directory);
            return Ok(());
        }
        let node = self.node(member, class, stream)?;
        if let Some(Node::File { body: Body::Kept(old), .. }) = self.nodes.insert(place, node) {
            self.kept = self.kept.saturating_sub(old.len() as u64);
        }
        Ok(())
    }

    fn node(
        &mut self,
        member: &Member,
        class: Option<usize>,
        stream: &mut Stream,
    ) -> Result<Node, Stop> {
        let class = match (member.kind, class) {
            (Kind::Directory, _) => return Ok(Node::Directory),
            (Kind::Symlink, _) => return Ok(Node::Link),
            (Kind::Fifo, _) => return Ok(Node::Special("a FIFO")),
            (Kind::Device | Kind::Other, _) => return Ok(Node::Special("a device")),
            (Kind::HardLink, _) => {
                return Ok(Node::Same(components(&member.link).collect::<Vec<_>>().join("/")));
            }
            (Kind::File, Some(class)) => class,
            // Only its name matters.
            (Kind::File, None) => usize::MAX,
        };
        let body = if class == usize::MAX {
            Body::Refused("was declared by its name alone")
        } else {
            self.body(member, class, stream)?
        };
        let (size, modified, user) = (member.size, member.modified, member.user);
        Ok(Node::File { body, size, modified, user, class })
    }

    fn body(&mut self, member: &Member, class: usize, stream: &mut Stream) -> Result<Body, Stop> {
        if let Some(why) = member.refused {
            return Ok(Body::Refused(why));
        }
        let sparse = member.pieces.is_some() || member.pieces_in_data;
        if stream.is_plain_file() && !sparse {
            return Ok(Body::At(stream.position()));
        }
        let needed = member.size.max(member.stored);
        if needed > MAX_KEPT || !self.make_room(needed, class) {
            return Ok(Body::Refused(
                "was too large to be kept of a packed tar; unpack the tar, and inspect that",
            ));
        }
        let mut bytes = vec![0; usize::try_from(member.stored).map_err(|_| Stop::NoHeader)?];
        if stream.fill(&mut bytes)? < bytes.len() {
            return Err(Stop::Cut);
        }
        if sparse {
            let size = usize::try_from(member.size).map_err(|_| Stop::NoHeader)?;
            let whole = match &member.pieces {
                Some(pieces) => member::spread(pieces, &bytes, size),
                None => member::pieces_of(&bytes)
                    .and_then(|(pieces, data)| member::spread(&pieces, data, size)),
            };
            let Some(whole) = whole else {
                return Ok(Body::Refused("is a sparse file whose map makes no sense"));
            };
            bytes = whole;
        }
        self.kept += bytes.len() as u64;
        Ok(Body::Kept(bytes.into()))
    }

    /// Makes room by giving up what later inspectors want: the release and the packages matter most.
    fn make_room(&mut self, needed: u64, class: usize) -> bool {
        while self.kept + needed > MAX_KEPT {
            let last = self.nodes.values().filter_map(Node::kept_for).max();
            let Some(last) = last.filter(|last| *last > class) else { return false };
            for node in self.nodes.values_mut().filter(|node| node.kept_for() == Some(last)) {
                if let Node::File { body, .. } = node {
                    if let Body::Kept(bytes) = body {
                        self.kept = self.kept.saturating_sub(bytes.len() as u64);
                    }
                    *body = Body::Refused(
                        "was too large to be kept of a packed tar; unpack the tar, and inspect that",
                    );
                }
            }
        }
        true
    }

    /// Remembers that a name is there, and so the directories above it.
    fn see(&mut self, path: &str, parent: &mut String) {
        self.seen.insert(hash(path));
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        if above != parent.as_str() {
            parent.clear();
            parent.push_str(above);
            for (at, _) in above.match_indices('/') {
                self.seen.insert(hash(above.get(..at).unwrap_or_default()));
            }
            self.seen.insert(hash(above));
        }
    }

    fn add_link(&mut self, path: &str, target: &str) {
        self.link_bytes += path.len() + target.len() + 64;
        if self.link_bytes > MAX_LINK_BYTES {
            let why = "has more symbolic links than are kept; what they lead to may not be found";
            self.note_once(Obstacle::new(TAR, why));
            return;
        }
        self.links.insert(path.to_owned(), target.to_owned());
    }

    fn note_once(&mut self, obstacle: Obstacle) {
        if !self.obstacles.contains(&obstacle) {
            self.obstacles.push(obstacle);
        }
    }

    /// Gives second names the file that they name.
    fn settle_hard_links(&mut self) {
        let found: Vec<(String, Node)> = self
            .nodes
            .iter()
            .filter_map(|(path, node)| {
                let Node::Same(target) = node else { return None };
                let target = self.resolve(target, true).ok()?;
                let file = self.nodes.get(&target).filter(|n| matches!(n, Node::File { .. }))?;
                // A name alone says nothing of the content.
                match file {
                    Node::File { class: usize::MAX, .. } => None,
                    file => Some((path.clone(), file.clone())),
                }
            })
            .collect();
        self.nodes.extend(found);
    }

    /// Returns what the declared paths lead to that no pass has looked for, and that is there.
    fn missing(
        &self,
        declared: &[(usize, Pattern)],
        known: &[(usize, Pattern)],
    ) -> Vec<(usize, Pattern)> {
        let mut missing: Vec<(usize, Pattern)> = Vec::new();
        let mut want = |class: usize, pattern: Pattern| {
            if !known.iter().chain(&missing).any(|(_, p)| *p == pattern) {
                missing.push((class, pattern));
            }
        };
        for (class, pattern) in declared {
            let fixed = pattern.fixed();
            let Ok(real) = self.resolve(&fixed.join("/"), true) else { continue };
            let names: Vec<&str> = components(&real).collect();
            if names != fixed && self.seen.contains(&hash(&real)) {
                want(*class, pattern.moved(fixed.len(), &names));
            }
        }
        for (path, node) in &self.nodes {
            let target = match node {
                Node::Link => self.resolve(path, true).ok(),
                Node::Same(target) => self.resolve(target, true).ok(),
                Node::Directory | Node::Special(_) | Node::File { .. } => None,
            };
            let Some(target) = target else { continue };
            let Some(class) = self.class_of(path, declared) else { continue };
            let there = self.seen.contains(&hash(&target));
            if there && !matches!(self.nodes.get(&target), Some(Node::File { .. })) {
                want(class, Pattern::new(&target));
            }
        }
        missing
    }

    /// Returns the inspector that wants the content of a path.
    fn class_of(&self, path: &str, declared: &[(usize, Pattern)]) -> Option<usize> {
        let names: Vec<&str> = components(path).collect();
        declared
            .iter()
            .filter(|(_, pattern)| pattern.fit(&names) == Some(Fit::Content))
            .map(|(class, _)| *class)
            .min()
    }

    fn note_missing(&mut self, missing: &[(usize, Pattern)]) {
        for (_, pattern) in missing {
            self.obstacles.push(obstacle(
                &pattern.fixed().join("/"),
                "is where a symbolic link leads, and was passed over before that was known; give the tar as a file",
            ));
        }
    }

    /// Follows the links of a path, `/` being the root.
    fn resolve(&self, path: &str, follow_last: bool) -> Result<String, Circle> {
        let mut ahead: Vec<String> = components(path).map(String::from).collect();
        ahead.reverse();
        let mut real = String::new();
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            let above = real.len();
            if name == ".." {
                real.truncate(real.rfind('/').unwrap_or(0));
                continue;
            }
            if !real.is_empty() {
                real.push('/');
            }
            real.push_str(&name);
            let Some(target) = self.links.get(&real).filter(|_| follow_last || !ahead.is_empty())
            else {
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(Circle);
            }
            real.truncate(if target.starts_with('/') { 0 } else { above });
            let before = ahead.len();
            ahead.extend(components(target).map(String::from));
            if let Some(new) = ahead.get_mut(before..) {
                new.reverse();
            }
        }
        Ok(real)
    }

    fn hides(&self, path: &str) -> bool {
        !self.running && components(path).next() == Some("proc")
    }
}

/// Reads on behind the end mark, and returns why what was read may not be the whole tar, or not as it was packed.
fn doubt(stream: &mut Stream) -> Option<Obstacle> {
    let why = match (stream.drain(), stream.packed) {
        (Ok(false), _) => return None,
        (Ok(true), _) => String::from(
            "has more behind its end mark, as of a second tar, which was not read; unpack it with --ignore-zeros, and inspect that",
        ),
        (Err(error), Some(packed)) if error.raw_os_error().is_none() => format!(
            "({packed}) is damaged: {error}; what was read may not be what was packed: make the tar again"
        ),
        (Err(error), _) => format!("cannot be read to its end: {error}; make the tar again"),
    };
    Some(Obstacle::new(TAR, why))
}

/// The links of a path lead in a circle.
struct Circle;

impl Node {
    fn kept_for(&self) -> Option<usize> {
        match self {
            Self::File { body: Body::Kept(_), class, .. } => Some(*class),
            Self::File { .. } | Self::Directory | Self::Link | Self::Special(_) | Self::Same(_) => {
                None
            }
        }
    }
}

/// Adds to patterns the places that they have where `/usr` is merged: their links often come after them.
fn with_merged_folders(declared: Vec<(usize, Pattern)>) -> Vec<(usize, Pattern)> {
    let mut all = declared.clone();
    for (class, pattern) in declared {
        let moved = match pattern.fixed().as_slice() {
            ["lib", ..] => pattern.moved(1, &["usr", "lib"]),
            ["var", "run", ..] => pattern.moved(2, &["run"]),
            _ => continue,
        };
        all.push((class, moved));
    }
    all
}

fn hash(path: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(path)
}

impl Root for Tar {
    fn live(&self) -> bool {
        false
    }

    fn running(&self) -> bool {
        self.running
    }

    fn open(&self, path: &str) -> Reading<Box<dyn Content>> {
        if self.hides(path) {
            return Reading::Absent;
        }
        let Ok(real) = self.resolve(path, true) else { return Reading::Unknown(circle(path)) };
        let (body, size, modified) = match self.nodes.get(&real) {
            Some(Node::File { body, size, modified, .. }) => (body, *size, *modified),
            Some(Node::Directory) => return Reading::Unknown(no_file(path, "a directory")),
            Some(Node::Special(what)) => return Reading::Unknown(no_file(path, what)),
            Some(Node::Link | Node::Same(_)) | None if self.seen.contains(&hash(&real)) => {
                return Reading::Unknown(obstacle(
                    path,
                    "is in the tar, but was not kept; unpack the tar, and inspect that",
                ));
            }
            Some(Node::Link | Node::Same(_)) | None => return Reading::Absent,
        };
        let modified = modified.and_then(|seconds| Instant::from_second(seconds).ok());
        let bytes = match (body, &self.plain) {
            (Body::Kept(bytes), _) => Bytes::Kept(Cursor::new(Rc::clone(bytes))),
            (Body::At(start), Some(file)) => {
                Bytes::At { file: Rc::clone(file), start: *start, size, position: 0 }
            }
            (Body::At(_), None) => Bytes::Refused("cannot be read again"),
            (Body::Refused(why), _) => Bytes::Refused(why),
        };
        Reading::Found(Box::new(Stored { bytes, size, modified }))
    }

    fn list(&self, path: &str) -> Reading<Vec<Entry>> {
        if self.hides(path) {
            return Reading::Absent;
        }
        let Ok(real) = self.resolve(path, true) else { return Reading::Unknown(circle(path)) };
        let prefix = if real.is_empty() { String::new() } else { format!("{real}/") };
        let mut entries: Vec<Entry> = Vec::new();
        for (below, node) in self.nodes.range(prefix.clone()..) {
            let Some(rest) = below.strip_prefix(&prefix) else { break };
            let (name, kind) = match rest.split_once('/') {
                Some((name, _)) => (name, EntryKind::Directory),
                None => (rest, node.kind()),
            };
            // `a/b` and what is below it may have another name between them (`a/b.c`): each name once.
            if entries.iter().rev().take(64).any(|entry| entry.name == name) {
                continue;
            }
            if entries.len() == MAX_ENTRIES {
                return Reading::Unknown(crowded(path));
            }
            entries.push(Entry { name: name.to_owned(), kind });
        }
        if entries.is_empty() && !matches!(self.nodes.get(&real), Some(Node::Directory)) {
            return Reading::Absent;
        }
        entries.sort_unstable();
        entries.dedup_by(|a, b| a.name == b.name);
        Reading::Found(entries)
    }

    fn look(&self, path: &str) -> Reading<Look> {
        if self.hides(path) {
            return Reading::Absent;
        }
        let Ok(real) = self.resolve(path, true) else { return Reading::Unknown(circle(path)) };
        match self.nodes.get(&real) {
            Some(Node::File { modified, user, .. }) => Reading::Found(Look {
                kind: EntryKind::File,
                user: *user,
                modified: modified.and_then(|seconds| Instant::from_second(seconds).ok()),
            }),
            _ => Reading::Absent,
        }
    }

    fn is_there(&self, path: &str) -> bool {
        !self.hides(path)
            && self.resolve(path, true).is_ok_and(|real| self.seen.contains(&hash(&real)))
    }

    fn walk_all(&self, wanted: &Sought<'_>) -> Reading<Walked> {
        let mut walked = Walked::default();
        for (path, node) in &self.nodes {
            if matches!(node, Node::Directory) {
                continue;
            }
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            if !walk::is_passed_by(folder) {
                walked.spot(wanted, folder.as_bytes(), name.as_bytes());
            }
        }
        walked.entries = self.members;
        // What is passed by is named, as where it is walked past.
        for folder in walk::NAMED_WHEN_THERE {
            let why = walk::passed_by(folder.as_bytes()).or(walk::told_of(folder.as_bytes()));
            if let Some(why) = why.filter(|_| self.is_there(folder)) {
                walked.pass_by(folder.as_bytes(), why);
            }
        }
        Reading::Found(walked.settle())
    }

    fn link(&self, path: &str) -> Reading<String> {
        if self.hides(path) {
            return Reading::Absent;
        }
        let Ok(real) = self.resolve(path, false) else { return Reading::Unknown(circle(path)) };
        self.links.get(&real).cloned().map_or(Reading::Absent, Reading::Found)
    }

    /// All links are kept, in whatever directory they lie.
    fn links_in(&self, path: &str) -> Vec<String> {
        let Ok(real) = self.resolve(path, true) else { return Vec::new() };
        if self.hides(path) {
            return Vec::new();
        }
        let links = self.links.keys().filter_map(|link| match link.rsplit_once('/') {
            Some((above, name)) => (above == real).then(|| name.to_owned()),
            None => real.is_empty().then(|| link.clone()),
        });
        let mut names: Vec<String> = links.collect();
        names.sort_unstable();
        names
    }
}

impl Node {
    fn kind(&self) -> EntryKind {
        match self {
            Self::Directory => EntryKind::Directory,
            Self::Link => EntryKind::Link,
            Self::Special(_) => EntryKind::Special,
            Self::File { .. } | Self::Same(_) => EntryKind::File,
        }
    }
}

/// The content of a member.
struct Stored {
    bytes: Bytes,
    size: u64,
    modified: Option<Instant>,
}

enum Bytes {
    Kept(Cursor<Rc<[u8]>>),
    At { file: Rc<File>, start: u64, size: u64, position: u64 },
    Refused(&'static str),
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.bytes {
            Bytes::Kept(cursor) => cursor.read(buffer),
            Bytes::At { file, start, size, position } => {
                let left = size.saturating_sub(*position);
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                let Some(room) = buffer.get_mut(..most).filter(|room| !room.is_empty()) else {
                    return Ok(0);
                };
                let read = file.read_at(room, start.saturating_add(*position))?;
                *position += read as u64;
                Ok(read)
            }
            Bytes::Refused(why) => Err(io::Error::other(*why)),
        }
    }
}

impl Seek for Stored {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.bytes {
            Bytes::Kept(cursor) => cursor.seek(to),
            Bytes::At { size, position, .. } => {
                let to = match to {
                    SeekFrom::Start(to) => Some(to),
                    SeekFrom::End(by) => size.checked_add_signed(by),
                    SeekFrom::Current(by) => position.checked_add_signed(by),
                };
                *position = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
                Ok(*position)
            }
            Bytes::Refused(why) => Err(io::Error::other(*why)),
        }
    }
}

impl Content for Stored {
    fn size(&self) -> u64 {
        self.size
    }

    fn modified(&self) -> Option<Instant> {
        self.modified
    }
}
