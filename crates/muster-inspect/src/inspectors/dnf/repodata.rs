//! The metadata of an rpm repository: `repomd.xml`, `primary.xml`, `updateinfo.xml` and `modules.yaml`
//! (createrepo_c; modulemd 2).
//!
//! All are streams: only the element at hand is held, and no text, no element and no depth is without a limit. Of a
//! package only its identity, its source and its vendor are read; dependencies and obsoletes are not.

use std::io::{self, BufRead, BufReader, Read};

use muster_core::time::Instant;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use thiserror::Error;

use crate::inspectors::apt::sums::{Kind, Listed};

/// How long one piece of XML may be: a changelog or a list of files is far shorter.
const MAX_PIECE: usize = 1 << 20;
/// How deep elements may lie in each other.
const MAX_DEPTH: usize = 64;
/// How many bytes are read at a time.
const BUFFER: usize = 64 << 10;
/// How long a text that is kept may be.
const MAX_TEXT: usize = 1024;
/// How much one file may hold when it is unpacked.
const MAX_UNPACKED: u64 = 2 << 30;

/// Why metadata could not be read to its end.
#[derive(Debug, Error)]
pub enum RepodataError {
    /// It ends early or its compression is damaged.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is not XML.
    #[error("is not well-formed: {0}")]
    Xml(#[from] quick_xml::Error),
    /// Its elements lie too deep.
    #[error("has elements deeper than {MAX_DEPTH}")]
    Deep,
    /// It ends within an element.
    #[error("ends before its last element does")]
    Short,
}

/// A reader that refuses to deliver more than a piece at a time, and can pass over what nobody wants.
struct Pieces<R> {
    inner: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    left: usize,
}

impl<R: Read> Pieces<R> {
    fn new(inner: R) -> Self {
        Self { inner, buffer: vec![0; BUFFER], start: 0, end: 0, left: MAX_PIECE }
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or(&[])
    }

    /// Reads on behind what is held, and returns how many bytes came.
    fn read_on(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let count = loop {
            match self.inner.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.end += count;
        Ok(count)
    }

    /// Passes over everything before these bytes, or to the end.
    fn skip_to(&mut self, bytes: &[u8]) -> io::Result<()> {
        let finder = memchr::memmem::Finder::new(bytes);
        loop {
            if let Some(at) = finder.find(self.held()) {
                self.start += at;
                return Ok(());
            }
            // The last bytes may be the first of what is looked for.
            self.start = self.start.max(self.end.saturating_sub(bytes.len() - 1));
            if self.read_on()? == 0 {
                self.start = self.end;
                return Ok(());
            }
        }
    }
}

impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Pieces<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other(format!(
                "a piece of it is longer than {MAX_PIECE} bytes"
            )));
        }
        if self.start == self.end {
            self.read_on()?;
        }
        let left = self.left;
        let held = self.held();
        Ok(held.get(..left).unwrap_or(held))
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.start = self.start.saturating_add(amount).min(self.end);
    }
}

/// What an element of interest is made of.
enum Piece<'a> {
    Start(&'a str, &'a BytesStart<'a>),
    /// The end of an element, with the text directly within it.
    End(&'a str, &'a str),
}

/// Reads XML to its end, piece by piece. Names come without their prefix.
fn each(input: impl Read, mut on: impl FnMut(Piece<'_>)) -> Result<(), RepodataError> {
    each_until(input, |piece| {
        on(piece);
        None
    })
}

/// Reads XML as [`each`] does; what `on` returns is passed over up to those bytes, the end of the element around.
fn each_until(
    input: impl Read,
    mut on: impl FnMut(Piece<'_>) -> Option<&'static [u8]>,
) -> Result<(), RepodataError> {
    let mut reader = Reader::from_reader(Pieces::new(input.take(MAX_UNPACKED)));
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    let (mut buffer, mut text, mut depth) = (Vec::new(), String::new(), 0_usize);
    loop {
        buffer.clear();
        reader.get_mut().left = MAX_PIECE;
        let more = match reader.read_event_into(&mut buffer)? {
            Event::Start(start) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(RepodataError::Deep);
                }
                text.clear();
                let past = on(Piece::Start(start.local_name().as_ref(), &start));
                if let Some(past) = past {
                    reader.get_mut().skip_to(past)?;
                }
                continue;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                let past = on(Piece::End(end.local_name().as_ref(), text.trim()));
                if let Some(past) = past {
                    reader.get_mut().skip_to(past)?;
                }
                text.clear();
                continue;
            }
            Event::Text(part) => part.into_inner(),
            Event::CData(part) => part.into_inner(),
            Event::GeneralRef(reference) => entity(&reference.into_inner()).into(),
            Event::Eof => return if depth == 0 { Ok(()) } else { Err(RepodataError::Short) },
            Event::Empty(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => continue,
        };
        if text.len() + more.len() <= MAX_TEXT {
            text.push_str(&more);
        }
    }
}

/// Returns what one of XML's own entities or a number stands for.
fn entity(name: &str) -> String {
    let number = name.strip_prefix("#x").map(|hex| u32::from_str_radix(hex, 16));
    let number = number.or_else(|| name.strip_prefix('#').map(str::parse));
    if let Some(Ok(number)) = number {
        return char::from_u32(number).map(String::from).unwrap_or_default();
    }
    quick_xml::escape::resolve_predefined_entity(name).unwrap_or_default().to_owned()
}

fn attribute(start: &BytesStart<'_>, name: &str) -> String {
    let Ok(Some(attribute)) = start.try_get_attribute(name) else { return String::new() };
    let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).unwrap_or_default();
    if value.len() <= MAX_TEXT { value.into_owned() } else { String::new() }
}

/// What `repomd.xml` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Repomd {
    /// When the repository was made.
    pub date: Option<Instant>,
    files: Vec<Entry>,
}

/// A file of a repository.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    /// `primary`, `updateinfo`.
    kind: String,
    /// Its place in the repository.
    place: String,
    sum: Option<(Kind, String)>,
    size: Option<u64>,
}

impl Repomd {
    /// Returns the name of the file of a kind, without its folders.
    pub fn file(&self, kind: &str) -> Option<&str> {
        let place = &self.entry(kind)?.place;
        place.rsplit('/').next().filter(|name| !name.is_empty() && *name != "..")
    }

    /// Returns what it says of the file of a kind, as it lies packed, where it says it.
    pub(in crate::inspectors) fn listed(&self, kind: &str) -> Option<Listed> {
        let entry = self.entry(kind)?;
        let (kind, sum) = entry.sum.clone()?;
        Some(Listed { size: entry.size?, sum, kind })
    }

    fn entry(&self, kind: &str) -> Option<&Entry> {
        self.files.iter().find(|entry| entry.kind == kind && !entry.place.is_empty())
    }
}

/// Reads `repomd.xml`.
pub fn read_repomd(input: impl Read) -> Result<Repomd, RepodataError> {
    let mut repomd = Repomd::default();
    let mut kind = None;
    let mut newest = 0_i64;
    each(input, |piece| match piece {
        Piece::Start("data", start) if repomd.files.len() < 100 => {
            let kind = attribute(start, "type");
            repomd.files.push(Entry { kind, ..Entry::default() });
        }
        Piece::Start("checksum", start) => kind = kind_of(&attribute(start, "type")),
        Piece::Start("location", start) => {
            if let Some(entry) = repomd.files.last_mut() {
                entry.place = attribute(start, "href");
            }
        }
        Piece::End("checksum", text) => {
            if let Some(entry) = repomd.files.last_mut() {
                entry.sum = Some((kind.unwrap_or_default(), text.to_owned()));
            }
        }
        Piece::End("size", text) => {
            if let Some(entry) = repomd.files.last_mut() {
                entry.size = text.parse().ok();
            }
        }
        Piece::End("revision", text) => repomd.date = revision(text),
        Piece::End("timestamp", text) => newest = newest.max(seconds(text).unwrap_or(0)),
        Piece::Start(..) | Piece::End(..) => {}
    })?;
    if repomd.date.is_none() && newest > 0 {
        repomd.date = Instant::from_second(newest).ok();
    }
    Ok(repomd)
}

/// Returns the kind of sum by createrepo's name for it; of others only the size counts.
fn kind_of(name: &str) -> Option<Kind> {
    match name {
        "sha256" => Some(Kind::Sha256),
        "sha512" => Some(Kind::Sha512),
        "sha" | "sha1" => Some(Kind::Sha1),
        _ => None,
    }
}

fn seconds(text: &str) -> Option<i64> {
    text.split('.').next()?.parse().ok()
}

/// Reads a revision: mostly the second it was made in, sometimes a date, sometimes a word of the distributor.
fn revision(text: &str) -> Option<Instant> {
    // A number with few digits is a release or a counter.
    if text.len() >= 9
        && let Ok(number) = text.parse()
    {
        return Instant::from_second(number).ok();
    }
    let day = || {
        Some(
            text.parse::<jiff::civil::Date>()
                .ok()?
                .to_zoned(jiff::tz::TimeZone::UTC)
                .ok()?
                .timestamp(),
        )
    };
    text.parse().ok().or_else(day)
}

/// A package on offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub architecture: String,
    /// `epoch`, where not 0.
    pub epoch: String,
    /// `ver`.
    pub version: String,
    /// `rel`.
    pub release: String,
    /// The file name of its source package.
    pub source_rpm: String,
    /// Who built it.
    pub vendor: String,
}

impl Offer {
    /// Returns `[epoch:]version-release`.
    pub fn evr(&self) -> String {
        let Self { epoch, version, release, .. } = self;
        if matches!(epoch.as_str(), "" | "0") {
            format!("{version}-{release}")
        } else {
            format!("{epoch}:{version}-{release}")
        }
    }

    /// Returns `name-epoch:version-release.arch` with the epoch always written.
    pub fn nevra(&self) -> String {
        let epoch = if self.epoch.is_empty() { "0" } else { &self.epoch };
        format!("{}-{epoch}:{}-{}.{}", self.name, self.version, self.release, self.architecture)
    }

    fn versioned(start: &BytesStart<'_>) -> Self {
        Self {
            name: attribute(start, "name"),
            architecture: attribute(start, "arch"),
            epoch: attribute(start, "epoch"),
            version: attribute(start, "version"),
            release: attribute(start, "release"),
            ..Self::default()
        }
    }
}

/// Reads `primary.xml`, and hands over each package whose name is wanted.
pub fn read_primary(
    input: impl Read,
    wanted: impl Fn(&str) -> bool,
    mut on: impl FnMut(Offer),
) -> Result<(), RepodataError> {
    let mut offer = Offer::default();
    let mut take = false;
    each_until(input, |piece| {
        match piece {
            Piece::Start("package", _) => (offer, take) = (Offer::default(), true),
            Piece::End("name", text) if take => {
                take = wanted(text);
                if !take {
                    // Most packages of an archive are not installed: most of the file need not be parsed.
                    return Some(b"</package>");
                }
                text.clone_into(&mut offer.name);
            }
            Piece::End("arch", text) if take => text.clone_into(&mut offer.architecture),
            Piece::Start("version", start) if take => {
                offer.epoch = attribute(start, "epoch");
                offer.version = attribute(start, "ver");
                offer.release = attribute(start, "rel");
            }
            Piece::End("vendor", text) if take => text.clone_into(&mut offer.vendor),
            Piece::End("sourcerpm", text) if take => text.clone_into(&mut offer.source_rpm),
            Piece::End("package", _) if take => {
                take = false;
                if offer.architecture != "src"
                    && !offer.name.is_empty()
                    && !offer.version.is_empty()
                {
                    on(std::mem::take(&mut offer));
                }
            }
            Piece::Start(..) | Piece::End(..) => {}
        }
        None
    })
}

/// Reads `updateinfo.xml`, and hands over each package of each advisory: id, type, package.
pub fn read_updateinfo(
    input: impl Read,
    wanted: impl Fn(&str) -> bool,
    mut on: impl FnMut(&str, &str, Offer),
) -> Result<(), RepodataError> {
    let (mut id, mut kind, mut named) = (String::new(), String::new(), false);
    each(input, |piece| match piece {
        Piece::Start("update", start) => {
            kind = attribute(start, "type");
            id.clear();
            named = false;
        }
        Piece::End("id", text) if !named => {
            named = true;
            text.clone_into(&mut id);
        }
        Piece::Start("package", start) => {
            let offer = Offer::versioned(start);
            if wanted(&offer.name) {
                on(&id, &kind, offer);
            }
        }
        Piece::Start(..) | Piece::End(..) => {}
    })
}

/// Reads `modules.yaml`, and hands over each artifact with its module and stream (`nodejs:18`).
///
/// Only the shape that modulemd tools write is understood: one key a line, lists with `- `.
pub fn read_modules(input: impl Read, mut on: impl FnMut(&str, &str)) -> Result<(), RepodataError> {
    let mut input = BufReader::new(input.take(MAX_UNPACKED));
    let (mut name, mut stream, mut path) =
        (String::new(), String::new(), Vec::<(usize, String)>::new());
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut input).take(MAX_PIECE as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        let (bare, indent) = (text.trim(), text.len() - text.trim_start().len());
        if matches!(bare, "---" | "...") {
            (name, stream) = (String::new(), String::new());
            path.clear();
        } else if let Some(item) = bare.strip_prefix("- ") {
            while path.last().is_some_and(|(depth, _)| *depth > indent) {
                path.pop();
            }
            if matches!(path.as_slice(), [(_, data), (_, artifacts), (_, rpms)] if data == "data" && artifacts == "artifacts" && rpms == "rpms")
            {
                on(&format!("{name}:{stream}"), item.trim().trim_matches(['"', '\'']));
            }
        } else if let Some((key, value)) = bare.split_once(':') {
            while path.last().is_some_and(|(depth, _)| *depth >= indent) {
                path.pop();
            }
            let value = value.trim().trim_matches(['"', '\'']);
            if matches!(path.as_slice(), [(_, data)] if data == "data") {
                match key {
                    "name" => value.clone_into(&mut name),
                    "stream" => value.clone_into(&mut stream),
                    _ => {}
                }
            }
            if path.len() < MAX_DEPTH {
                path.push((indent, key.to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn revisions_are_seconds_dates_or_words() {
        for (text, expected) in [
            ("1784024265", Some("2026-07-14T10:17:45Z")),
            ("2026-07-14", Some("2026-07-14T00:00:00Z")),
            ("8.10", None),
            ("20", None),
        ] {
            assert_eq!(revision(text).map(|i| i.to_string()).as_deref(), expected, "{text}");
        }
        let stamped = "<repomd><revision>8.10</revision><data type='primary'><timestamp>1784024265.5</timestamp><location href='../../etc/x-primary.xml.gz'/></data></repomd>";
        let repomd = read_repomd(stamped.as_bytes()).unwrap();
        assert_eq!(repomd.date.unwrap().as_second(), 1_784_024_265);
        assert_eq!(repomd.file("primary"), Some("x-primary.xml.gz"));
    }

    #[test]
    fn modules_name_their_artifacts() {
        let text = "---\ndocument: modulemd\nversion: 2\ndata:\n  name: nodejs\n  stream: \"18\"\n  profiles:\n    common:\n      rpms:\n      - nodejs\n  artifacts:\n    rpms:\n    - nodejs-1:18.9.1-1.module_el8.x86_64\n    - npm-1:8-1.module_el8.x86_64\n...\n";
        let mut found = Vec::new();
        read_modules(text.as_bytes(), |stream, artifact| {
            found.push(format!("{stream} {artifact}"));
        })
        .unwrap();
        assert_eq!(
            found,
            [
                "nodejs:18 nodejs-1:18.9.1-1.module_el8.x86_64",
                "nodejs:18 npm-1:8-1.module_el8.x86_64"
            ]
        );
    }

    #[test]
    fn what_has_no_limit_is_refused() {
        let deep = "<a>".repeat(100);
        assert!(matches!(read_repomd(deep.as_bytes()), Err(RepodataError::Deep)));
        let long = [b"<a>".as_slice(), &vec![b'x'; 3 << 20]].concat();
        assert!(read_repomd(&*long).unwrap_err().to_string().contains("longer than"));
        assert!(matches!(read_repomd(&b"<repomd><data>"[..]), Err(RepodataError::Short)));
    }

    #[test]
    fn what_is_passed_over_hides_nothing() {
        let package = |name: &str, filler: usize| {
            format!(
                "<package><name>{name}</name><arch>x</arch><version ver='1' rel='1'/><description>{}</description></package>",
                "</pack".repeat(filler).replace('<', "&lt;")
            )
        };
        for filler in (BUFFER / 9 - 40)..(BUFFER / 9 + 5) {
            let text = format!(
                "<metadata>{}{}{}</metadata>",
                package("a", filler),
                package("b", 1),
                package("a", filler)
            );
            let mut found = Vec::new();
            read_primary(text.as_bytes(), |name| name == "b", |offer| found.push(offer.nevra()))
                .unwrap();
            assert_eq!(found, ["b-0:1-1.x"]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_met(bytes in proptest::collection::vec(any::<u8>(), 0..512), text in "(<(package|name|/name|version ver='1'/|/package|[a-z]{1,3})>|&[a-z#0-9]{0,4};|[ -~]){0,60}") {
            for input in [&bytes[..], text.as_bytes()] {
                drop(read_repomd(input));
                drop(read_primary(input, |_| true, drop));
                drop(read_updateinfo(input, |_| true, |_, _, _| {}));
                drop(read_modules(input, |_, _| {}));
            }
        }
    }
}
