//! What the script brought from a server reached over SSH: names and kinds as lines, `/proc` as lines, the files as a tar.
//!
//! The answer has a start mark, behind whatever a server says at a login, and an end mark, each with the length of the
//! lines: an answer without both is not whole and is not used. Links were followed there. What was refused there is
//! unknown here; what was not asked for is not there. The grammar is in docs/reference/ssh-script.md.

mod script;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use muster_core::fact::{Obstacle, Reading};
use muster_core::time::Instant;

use super::declared::{Pattern, components};
use super::directory::mounts::{Mounts, Verdict};
use super::walk::{Walked, Wanted, is_passed_by, passed_by, told_of};
use super::{
    Content, Entry, EntryKind, Look, MAX_ENTRIES, NotTar, Root, Tar, crowded, no_file, obstacle,
};

pub(crate) use script::is_everything;
pub use script::{command, script};

/// Bytes that a server may say before the start mark and after the end mark.
const MAX_NOISE: usize = 64 << 10;
/// Bytes of the lines.
const MAX_LINES: u64 = 24 << 20;
/// Indices that are named by their digests.
const MAX_INDICES: usize = 400;
/// Names in the lines.
const MAX_NODES: usize = 300_000;
/// Paths that are no text, of which each is an obstacle.
const MAX_UNNAMED: usize = 1000;

const START: &[u8] = b"\nmuster answers 1 ";
const END: &[u8] = b"\nmuster has answered 1 ";

const LACKS: &[u8] = b"\nmuster lacks ";

/// What obstacles call the answer itself.
const ANSWER: &str = "the answer over SSH";

/// Returns the names of the programs that a server says it lacks.
fn lacks(head: &[u8]) -> Option<String> {
    let rest = head.get(memchr::memmem::find(head, LACKS)? + LACKS.len()..)?;
    let line = rest.split(|b| *b == b'\n').next()?;
    let words = line.get(..line.len().min(100))?.split(|b| *b == b' ');
    let is_name = |word: &&[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_lowercase);
    let names: Vec<&str> =
        words.filter(is_name).filter_map(|w| std::str::from_utf8(w).ok()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Why a file was left where it is: script.sh has the limits.
const TOO_LARGE: &str = "is not brought over SSH: it is larger than 4 MiB (databases of packages and .war files: 256 MiB), or has two names and is not for everybody to read; inspect on the spot";
const ELSEWHERE: &str =
    "is a link to a file of another name, which is not brought over SSH; inspect on the spot";

/// Returns the line of `authorized_keys` that lets a key do this and nothing else.
pub fn key_line(key: &str, sudo: bool) -> String {
    let command = command(sudo).replace('"', "\\\"");
    format!("restrict,command=\"{command}\" {key}")
}

/// Returns the line of `sudoers` that lets a user do this without a password.
pub fn sudoers_line(user: &str) -> String {
    let mut escaped = String::new();
    for c in script().chars() {
        match c {
            // Read twice: by the grammar of sudoers(5), then by fnmatch(3).
            '\\' => escaped.push_str(r"\\\\"),
            ',' | ':' | '=' | '#' | '*' | '?' | '[' | ']' | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    format!("{user} ALL=(root) NOPASSWD: /bin/sh -c {escaped}")
}

/// A whole answer: its lines, and the tar behind them.
#[derive(Debug)]
pub struct Answer {
    lines: File,
    start: u64,
    length: u64,
    tar: File,
    /// The indices that it named by their digests, as far as they are known here.
    indices: Vec<(String, File)>,
}

/// The indices of archives that an answer names instead of bringing them, and what vouches for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Paths from `/`, each with the SHA-256 that the server claims.
    pub indices: Vec<(String, String)>,
    /// The paths of the files in which archives sign the digests of theirs.
    pub releases: Vec<String>,
}

/// Why an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWhole {
    /// The server has not the programs that the script is made of.
    #[error(
        "the server lacks {0}: without that nothing of it can be told; install it, or inspect a copy of its disk"
    )]
    Lacks(String),
    /// The script never began.
    #[error("the script did not begin to answer: is there a shell behind this account?")]
    NoStart,
    /// The connection ended before the script.
    #[error("its answer is not whole: it was cut off, or is not that of the script")]
    Cut,
    /// This machine's own failure.
    #[error("its answer could not be kept here")]
    Kept,
}

impl Answer {
    /// Finds the marks in what a server wrote. The tar is copied to `tar`, an empty file that nobody else writes.
    pub fn find(answer: File, mut tar: File) -> Result<Self, NotWhole> {
        let size = answer.metadata().map_err(|_| NotWhole::Kept)?.len();
        let head = piece(&answer, 0, MAX_NOISE)?;
        // Nothing but the mark may come first.
        let first = head.strip_prefix(START.get(1..).unwrap_or_default()).map(|rest| (0, rest));
        let (at, rest) = first
            .or_else(|| {
                let at = memchr::memmem::find(&head, START)?;
                Some((at + 1, head.get(at + START.len()..)?))
            })
            .ok_or_else(|| lacks(&head).map_or(NotWhole::NoStart, NotWhole::Lacks))?;
        let (length, digits) = number(rest).ok_or(NotWhole::Cut)?;
        let start = (at + START.len() - 1 + digits + 1) as u64;
        if length > MAX_LINES {
            return Err(NotWhole::Cut);
        }
        let from = size.saturating_sub(MAX_NOISE as u64);
        let tail = piece(&answer, from, MAX_NOISE)?;
        let end = memchr::memmem::rfind(&tail, END).ok_or(NotWhole::Cut)?;
        let told = tail.get(end + END.len()..).and_then(number).ok_or(NotWhole::Cut)?;
        let (tar_from, tar_to) = (start + length + 1, from + end as u64);
        if told.0 != length || tar_from > tar_to {
            return Err(NotWhole::Cut);
        }
        let mut source = &answer;
        source.seek(SeekFrom::Start(tar_from)).map_err(|_| NotWhole::Kept)?;
        io::copy(&mut source.take(tar_to - tar_from), &mut tar).map_err(|_| NotWhole::Kept)?;
        tar.flush().map_err(|_| NotWhole::Kept)?;
        Ok(Self { lines: answer, start, length, tar, indices: Vec::new() })
    }

    /// Returns the descriptors behind it.
    pub(crate) fn files(&self) -> Vec<&File> {
        [&self.lines, &self.tar].into_iter().chain(self.indices.iter().map(|(_, f)| f)).collect()
    }

    /// Returns the indices that it names by their digests. Nothing else of the lines is looked at here.
    pub fn named(&self) -> Result<Named, NotWhole> {
        let most = usize::try_from(self.length).map_err(|_| NotWhole::Cut)?;
        Ok(Named::of(&piece(&self.lines, self.start, most)?))
    }

    /// Adds the content of an index that it named.
    pub fn bring(&mut self, path: String, content: File) {
        if self.indices.len() < MAX_INDICES {
            self.indices.push((path, content));
        }
    }
}

impl Named {
    fn of(lines: &[u8]) -> Self {
        let mut named = Self::default();
        for line in lines.split(|b| *b == b'\n').take_while(|line| *line != b"p") {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            if let Some((digest, path)) = line.strip_prefix("h ").and_then(|l| l.split_once(' '))
                && is_digest(digest)
                && is_index(path)
                && named.indices.len() < MAX_INDICES
            {
                named.indices.push((path.to_owned(), digest.to_owned()));
            }
            let file = line.strip_prefix("f ").filter(|path| is_index(path));
            if let Some(path) = file.filter(|path| path.ends_with("InRelease"))
                && named.releases.len() < MAX_INDICES
            {
                named.releases.push(path.to_owned());
            }
        }
        named
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A plain name in the folder of apt's lists.
fn is_index(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._%+:~=@-".contains(&b);
    path.strip_prefix("/var/lib/apt/lists/")
        .is_some_and(|name| !name.is_empty() && name.len() < 500 && name.bytes().all(plain))
}

fn piece(file: &File, from: u64, most: usize) -> Result<Vec<u8>, NotWhole> {
    let mut bytes = vec![0; most];
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read_at(room, from.saturating_add(length as u64)) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(NotWhole::Kept),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Reads a number that a line break ends, and how many digits it has.
fn number(bytes: &[u8]) -> Option<(u64, usize)> {
    let end = bytes.iter().take(12).position(|b| *b == b'\n')?;
    let digits = std::str::from_utf8(bytes.get(..end)?).ok()?;
    Some((digits.parse().ok()?, end))
}

/// What a server answered, as a root.
pub struct Collected {
    nodes: BTreeMap<String, Node>,
    /// What the links lead to, as it was found there.
    leads_to: HashMap<String, String>,
    processes: BTreeMap<String, Told>,
    tar: Tar,
    indices: HashMap<String, File>,
    is_root: bool,
    mounts: Mounts,
    /// The directories that a walk could not enter.
    refused: BTreeSet<String>,
    /// Files whose paths are no text.
    unnamed: Vec<Vec<u8>>,
    obstacles: Vec<Obstacle>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    /// One that may not be looked into.
    Closed,
    File,
    /// A file that may not be read.
    Refused,
    /// A file that was not brought, and why.
    Left(&'static str),
    /// A name, without what the file says.
    Name,
    Link,
    Special,
}

/// What was told of a path in `/proc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Told {
    /// That it is there.
    #[default]
    Nothing,
    Lines(Vec<u8>),
    Link(String),
    /// That it may not be looked at.
    Refused,
}

impl Collected {
    /// Reads the answer. `time` is how long its tar may take.
    pub fn read(answer: &Answer, time: Duration) -> Result<Self, NotTar> {
        let most = usize::try_from(answer.length).unwrap_or(usize::MAX);
        let lines =
            piece(&answer.lines, answer.start, most).map_err(|error| NotTar(error.to_string()))?;
        let everything = vec![vec![Pattern::new("/**")]];
        let tar = if answer.tar.metadata().is_ok_and(|m| m.len() > 0) {
            Tar::read(&answer.tar, &everything, true, time)?
        } else {
            return Err(NotTar(String::from("it brought no file at all")));
        };
        let mut this = Self::of(&lines, tar);
        for (path, content) in &answer.indices {
            let content = content.try_clone().map_err(|error| NotTar(error.to_string()))?;
            this.indices.insert(joined(path), content);
        }
        Ok(this)
    }

    fn of(lines: &[u8], mut tar: Tar) -> Self {
        let obstacles = tar.take_obstacles();
        let mut this = Self {
            nodes: BTreeMap::new(),
            leads_to: HashMap::new(),
            processes: BTreeMap::new(),
            tar,
            indices: HashMap::new(),
            is_root: false,
            mounts: Mounts::default(),
            refused: BTreeSet::new(),
            unnamed: Vec::new(),
            obstacles,
        };
        let mut mountinfo = Vec::new();
        let (mut is_proc, mut odd, mut link) = (false, 0_u32, None);
        for line in lines.split(|b| *b == b'\n') {
            if is_proc {
                this.take_of_proc(line);
                continue;
            }
            match line {
                b"p" => is_proc = true,
                b"o" => odd += 1,
                line if line.starts_with(b"m ") => {
                    mountinfo.extend_from_slice(line.get(2..).unwrap_or_default());
                    mountinfo.push(b'\n');
                }
                line => this.take(line, &mut link),
            }
            if this.nodes.len() + this.refused.len() > MAX_NODES {
                this.obstacles.push(Obstacle::new(ANSWER, "has more names than are kept"));
                break;
            }
        }
        this.mounts = Mounts::below(b"/", &mountinfo);
        if !this.is_root && hides_processes(&mountinfo) {
            let why = "shows each account its own processes alone (hidepid): what others run is not known; it needs root: inspect with --sudo, or as root";
            this.obstacles.push(obstacle("/proc", why));
        }
        if odd > 0 {
            let names = if odd == 1 { "name" } else { "names" };
            let why = format!("leaves out {odd} {names} with a line break in them");
            this.obstacles.push(Obstacle::new(ANSWER, why));
        }
        this
    }

    /// Takes a line about a file.
    fn take(&mut self, line: &[u8], link: &mut Option<String>) {
        let Some((tag, path)) = line.split_first_chunk::<2>() else { return };
        let Ok(path) = std::str::from_utf8(path) else {
            if matches!(tag, b"f " | b"r " | b"n " | b"b " | b"q ")
                && self.unnamed.len() < MAX_UNNAMED
            {
                self.unnamed.push(path.to_vec());
            }
            return;
        };
        let path = components(path).collect::<Vec<_>>().join("/");
        let (node, is_target) = match tag {
            b"u " => {
                self.is_root = path == "0";
                return;
            }
            b"d " | b"D " => (Node::Directory, *tag == *b"D "),
            b"R " => (Node::Closed, false),
            b"W " => {
                self.refused.insert(path);
                return;
            }
            b"f " => (Node::File, false),
            b"c " => (Node::File, true),
            b"r " => (Node::Refused, true),
            b"b " => (Node::Left(TOO_LARGE), false),
            b"q " => (Node::Left(ELSEWHERE), false),
            b"n " => (Node::Name, false),
            b"s " => (Node::Special, false),
            b"l " => {
                self.nodes.insert(path.clone(), Node::Link);
                *link = Some(path);
                return;
            }
            _ => return,
        };
        if let Some(link) = link.take().filter(|_| is_target) {
            self.leads_to.insert(link, path.clone());
        }
        // What one inspector wants the name of, another may want to read.
        let known = self.nodes.entry(path).or_insert(node);
        if matches!((*known, node), (Node::Name, _) | (Node::Directory, Node::Closed)) {
            *known = node;
        }
    }

    /// Takes a line about a process, or of one of its files.
    fn take_of_proc(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if let Some(said) = text.strip_suffix(": Permission denied") {
            // `ls: cannot read symbolic link '/proc/1/exe'`, or `ls: /proc/1/exe: cannot read link`.
            let path = said.find("/proc/").and_then(|at| said.get(at..)).unwrap_or_default();
            let end = path.find(['\'', ':']).unwrap_or(path.len());
            let path = path.get(1..end).unwrap_or_default();
            if let Some(told) = self.processes.get_mut(path) {
                *told = Told::Refused;
            }
            return;
        }
        if text.starts_with('l') {
            let Some(at) = text.find(" /proc/") else { return };
            let said = text.get(at + 1..).and_then(|rest| rest.split_once(" -> "));
            let Some((path, target)) = said else { return };
            let told = Told::Link(target.to_owned());
            self.processes.insert(path.trim_start_matches('/').to_owned(), told);
            return;
        }
        if !text.starts_with("/proc/") {
            return;
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            if self.processes.len() < MAX_NODES {
                self.processes.entry(text.trim_start_matches('/').to_owned()).or_default();
            }
            return;
        };
        let (path, content) = line.split_at(colon);
        let path = String::from_utf8_lossy(path).trim_start_matches('/').to_owned();
        let Some(told) = self.processes.get_mut(&path) else { return };
        if matches!(told, Told::Nothing) {
            *told = Told::Lines(Vec::new());
        }
        if let Told::Lines(lines) = told {
            // The script cannot carry a zero, and sends a one.
            lines.extend(content.iter().skip(1).map(|b| if *b == 1 { 0 } else { *b }));
            lines.push(b'\n');
        }
    }

    pub(crate) fn take_obstacles(&mut self) -> Vec<Obstacle> {
        std::mem::take(&mut self.obstacles)
    }

    pub(crate) fn incomplete(&self) -> Option<&Obstacle> {
        self.tar.incomplete()
    }

    /// Says what of a path that is not among the names.
    fn missing<T>(&self, path: &str) -> Reading<T> {
        let mut above = path;
        loop {
            if self.nodes.get(above) == Some(&Node::Closed) {
                return Reading::Unknown(needs_root(path));
            }
            match above.rsplit_once('/') {
                Some((rest, _)) => above = rest,
                None => return Reading::Absent,
            }
        }
    }

    /// Tells whether a walk on the spot would have entered every directory on the way to a path.
    fn is_walked(&self, path: &str) -> bool {
        !is_passed_by(path)
            && path.match_indices('/').filter_map(|(at, _)| path.get(..at)).all(|above| {
                self.mounts.at(above.as_bytes()).is_none_or(|verdict| *verdict == Verdict::Enter)
            })
    }

    /// Tells of a path that is no file what its name told.
    fn look_at(&self, name: &str) -> Reading<Look> {
        let kind = match self.nodes.get(name) {
            Some(Node::Directory | Node::Closed) => EntryKind::Directory,
            Some(Node::Special) => EntryKind::Special,
            Some(Node::Left(why)) => return Reading::Unknown(obstacle(name, *why)),
            _ => return Reading::Absent,
        };
        Reading::Found(Look { kind, user: 0, modified: None })
    }

    fn open_of_proc(&self, path: &str) -> Reading<Box<dyn Content>> {
        match self.processes.get(path) {
            Some(Told::Lines(lines)) => Reading::Found(Box::new(Lines(Cursor::new(lines.clone())))),
            Some(Told::Nothing) if self.is_root => {
                Reading::Found(Box::new(Lines(Cursor::new(Vec::new()))))
            }
            Some(Told::Nothing | Told::Refused) => Reading::Unknown(needs_root(path)),
            Some(Told::Link(_)) => Reading::Unknown(no_file(path, "a link of /proc")),
            None => Reading::Absent,
        }
    }
}

/// Tells whether `/proc` is mounted so that an account sees its own processes alone (proc(5)).
fn hides_processes(mountinfo: &[u8]) -> bool {
    String::from_utf8_lossy(mountinfo).lines().any(|line| {
        let mut fields = line.split(' ');
        let is_proc = fields.nth(4) == Some("/proc");
        let hides = |option: &str| {
            option.strip_prefix("hidepid=").is_some_and(|value| !matches!(value, "0" | "off"))
        };
        is_proc && line.split([' ', ',']).any(hides)
    })
}

fn needs_root(path: &str) -> Obstacle {
    obstacle(
        path,
        "cannot be read: permission denied; it needs root: inspect with --sudo, or as root",
    )
}

fn joined(path: &str) -> String {
    components(path).collect::<Vec<_>>().join("/")
}

/// Adds the entries that the names of a tree have right below a directory.
fn below<'a, T: 'a>(
    names: impl Iterator<Item = (&'a String, &'a T)>,
    prefix: &str,
    kind: impl Fn(&T) -> EntryKind,
) -> Option<Vec<Entry>> {
    let mut entries: BTreeMap<String, EntryKind> = BTreeMap::new();
    for (name, node) in names.take_while(|(name, _)| name.starts_with(prefix)) {
        let rest = name.get(prefix.len()..).unwrap_or_default();
        if rest.is_empty() {
            continue;
        }
        match rest.split_once('/') {
            // Whatever its own line told: something lies in it.
            Some((name, _)) => {
                entries.insert(name.to_owned(), EntryKind::Directory);
            }
            None => {
                entries.entry(rest.to_owned()).or_insert(kind(node));
            }
        }
        if entries.len() > MAX_ENTRIES {
            return None;
        }
    }
    Some(entries.into_iter().map(|(name, kind)| Entry { name, kind }).collect())
}

impl Root for Collected {
    fn live(&self) -> bool {
        true
    }

    fn open(&self, path: &str) -> Reading<Box<dyn Content>> {
        let name = joined(path);
        if name.starts_with("proc/") {
            return self.open_of_proc(&name);
        }
        let real = match self.nodes.get(&name) {
            Some(Node::Link) => match self.leads_to.get(&name) {
                Some(target) => target,
                None => return Reading::Absent,
            },
            Some(_) => &name,
            None => return self.missing(&name),
        };
        match self.nodes.get(real) {
            Some(Node::File) if let Some(content) = self.indices.get(real) => {
                Index::open(content, path)
            }
            Some(Node::File) => match self.tar.open(real) {
                Reading::Absent => Reading::Unknown(obstacle(
                    path,
                    "was there, and was gone when it was to be sent; inspect again",
                )),
                there => there,
            },
            Some(Node::Refused) => Reading::Unknown(needs_root(&name)),
            Some(Node::Left(why)) => Reading::Unknown(obstacle(path, *why)),
            Some(Node::Directory | Node::Closed) => Reading::Unknown(no_file(path, "a directory")),
            Some(Node::Special) => Reading::Unknown(no_file(path, "a device, a FIFO or a socket")),
            Some(Node::Name | Node::Link) => {
                Reading::Unknown(obstacle(path, "was not asked for over SSH"))
            }
            None => self.missing(real),
        }
    }

    fn list(&self, path: &str) -> Reading<Vec<Entry>> {
        let name = joined(path);
        let prefix = if name.is_empty() { String::new() } else { format!("{name}/") };
        let entries = if name == "proc" || name.starts_with("proc/") {
            below(self.processes.range(prefix.clone()..), &prefix, |told| match told {
                Told::Link(_) | Told::Refused => EntryKind::Link,
                Told::Nothing | Told::Lines(_) => EntryKind::File,
            })
        } else {
            below(self.nodes.range(prefix.clone()..), &prefix, |node| match node {
                Node::Directory | Node::Closed => EntryKind::Directory,
                Node::File | Node::Refused | Node::Left(_) | Node::Name => EntryKind::File,
                Node::Link => EntryKind::Link,
                Node::Special => EntryKind::Special,
            })
        };
        let Some(entries) = entries else { return Reading::Unknown(crowded(path)) };
        match self.nodes.get(&name) {
            Some(Node::Closed) => Reading::Unknown(needs_root(&name)),
            Some(Node::Directory) => Reading::Found(entries),
            _ if !entries.is_empty() => Reading::Found(entries),
            _ => self.missing(&name),
        }
    }

    fn look(&self, path: &str) -> Reading<Look> {
        let name = joined(path);
        match self.nodes.get(&name) {
            Some(Node::File) => self.tar.look(&name),
            Some(Node::Link) => match self.leads_to.get(&name) {
                Some(target) if self.nodes.get(target) == Some(&Node::File) => {
                    self.tar.look(target)
                }
                Some(target) => self.look_at(target),
                None => Reading::Absent,
            },
            _ => self.look_at(&name),
        }
    }

    /// The walk was made there; here its rules are held to once more, and what was not entered is named.
    fn walk_all(&self, wanted: &Wanted<'_>) -> Reading<Walked> {
        let mut walked = Walked::default();
        for (path, node) in &self.nodes {
            if let Node::Directory | Node::Closed = node {
                let why = passed_by(path.as_bytes()).filter(|why| !why.is_empty());
                let why = why.or(told_of(path.as_bytes()));
                let above = path.rsplit_once('/').map_or("", |(above, _)| above);
                if let Some(why) = why.filter(|_| above.is_empty() || self.is_walked(above)) {
                    walked.pass_by(path.as_bytes(), why);
                }
                continue;
            }
            walked.entries += 1;
            if self.is_walked(path) {
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                walked.spot(wanted, folder.as_bytes(), name.as_bytes());
            }
        }
        for path in &self.unnamed {
            let at = path.iter().rposition(|b| *b == b'/').unwrap_or_default();
            let (folder, name) = path.split_at(at);
            let folder = folder.strip_prefix(b"/").unwrap_or(folder);
            walked.spot(wanted, folder, name.get(1..).unwrap_or_default());
        }
        for (place, verdict) in self.mounts.all() {
            let path = String::from_utf8_lossy(place);
            if let Verdict::Name(why) = verdict
                && self.is_walked(&path)
            {
                walked.pass_by(place, why.clone());
            }
        }
        for folder in &self.refused {
            walked.cannot_read(folder.as_bytes());
        }
        Reading::Found(walked.settle())
    }

    fn link(&self, path: &str) -> Reading<String> {
        let name = joined(path);
        if name.starts_with("proc/") {
            return match self.processes.get(&name) {
                Some(Told::Link(target)) => Reading::Found(target.clone()),
                Some(Told::Refused) => Reading::Unknown(needs_root(&name)),
                Some(_) if !self.is_root => Reading::Unknown(needs_root(&name)),
                Some(_) | None => Reading::Absent,
            };
        }
        match self.nodes.get(&name) {
            Some(Node::Link) => self.tar.link(&name),
            Some(_) => Reading::Absent,
            None => self.missing(&name),
        }
    }
}

/// An index that is kept here. Its descriptor is shared with other readers, so each keeps its own place.
struct Index {
    content: File,
    size: u64,
    at: u64,
}

impl Index {
    fn open(content: &File, path: &str) -> Reading<Box<dyn Content>> {
        let opened = content.try_clone().and_then(|content| {
            let size = content.metadata()?.len();
            Ok(Self { content, size, at: 0 })
        });
        match opened {
            Ok(index) => Reading::Found(Box::new(index)),
            Err(error) => Reading::Unknown(obstacle(path, format!("cannot be read: {error}"))),
        }
    }
}

impl Read for Index {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Index {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

impl Content for Index {
    fn size(&self) -> u64 {
        self.size
    }

    fn modified(&self) -> Option<Instant> {
        None
    }
}

/// The lines of a file of `/proc`.
struct Lines(Cursor<Vec<u8>>);

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Lines {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Content for Lines {
    fn size(&self) -> u64 {
        self.0.get_ref().len() as u64
    }

    fn modified(&self) -> Option<Instant> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proc_that_hides_others_is_known_by_its_options() {
        let line = |options: &str| format!("22 1 0:20 / /proc rw,nosuid - proc proc {options}\n");
        for (options, expected) in [
            ("rw", false),
            ("rw,hidepid=0", false),
            ("rw,hidepid=off", false),
            ("rw,hidepid=2", true),
            ("rw,gid=4,hidepid=invisible", true),
        ] {
            assert_eq!(hides_processes(line(options).as_bytes()), expected, "{options}");
        }
        assert!(!hides_processes(b"22 1 0:20 / /jail/proc rw - proc proc rw,hidepid=2\n"));
    }

    #[test]
    fn an_index_is_named_by_a_plain_path_and_a_digest() {
        let digest = "0123456789abcdef".repeat(4);
        let line = |path: &str| format!("h {digest} {path}\n");
        let lines = [
            line("/var/lib/apt/lists/a_Packages"),
            line("/var/lib/apt/lists/../../../etc/shadow"),
            line("/var/lib/apt/lists/a b"),
            line("/var/lib/apt/lists/"),
            line("/etc/shadow"),
            "h 0123 /var/lib/apt/lists/b\n".to_owned(),
            "f /var/lib/apt/lists/a_InRelease\nf /etc/InRelease\n".to_owned(),
            "p\n".to_owned(),
            line("/var/lib/apt/lists/behind"),
        ];
        let named = Named::of(lines.concat().as_bytes());
        assert_eq!(named.indices, [("/var/lib/apt/lists/a_Packages".to_owned(), digest)]);
        assert_eq!(named.releases, ["/var/lib/apt/lists/a_InRelease"]);
    }

    #[test]
    fn a_line_of_sudoers_is_read_twice() {
        let line = sudoers_line("muster");
        assert!(line.starts_with("muster ALL=(root) NOPASSWD: /bin/sh -c exec 2>/dev/null; "));
        assert!(line.contains(r#"N\=$(printf "\\\\nx")"#), "{line}");
        assert!(line.contains(r"/.\[\!.\]\*"), "{line}");
    }
}
