//! JSON feeds, one element at a time (RFC 8259): a document is walked by its outer keys, and each element within is
//! captured whole, bounded, and handed to serde.
//!
//! A broken element costs only itself: the walk knows brackets and strings, not what they mean. It does not check the
//! grammar between elements; the elements themselves are checked by `serde_json`, which also bounds their depth.

use std::borrow::Cow;
use std::fmt;
use std::io::BufRead;
use std::marker::PhantomData;

use muster_core::advisory::{Problem, Sink};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::lines::problem;

/// The longest element that is read, where a feed does not need more.
pub(crate) const ELEMENT: usize = 16 << 20;

/// Why a walk cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("reading stopped: {0}")]
    Io(#[from] std::io::Error),
    #[error("the document ends within {0}")]
    Cut(&'static str),
    #[error("expected {wanted}, found {found:?}")]
    Unexpected { wanted: &'static str, found: char },
    #[error("{0} is too long")]
    TooLong(&'static str),
}

/// A walk through a JSON document.
pub(crate) struct Walk<'d> {
    reader: &'d mut dyn BufRead,
    buffer: Vec<u8>,
    line: u64,
}

/// An element as it stands in the document.
pub(crate) struct Raw<'a> {
    pub(crate) bytes: &'a [u8],
    /// The line on which it begins.
    pub(crate) line: u64,
}

impl<'d> Walk<'d> {
    pub(crate) fn new(reader: &'d mut dyn BufRead) -> Self {
        Self::at(reader, 1)
    }

    /// Begins at a line other than the first: within an element captured before.
    pub(crate) fn at(reader: &'d mut dyn BufRead, line: u64) -> Self {
        Self { reader, buffer: Vec::new(), line }
    }

    /// Tells a walk's end to the sink.
    pub(crate) fn report(&self, path: &str, broken: &Broken, sink: &mut dyn Sink) {
        sink.problem(problem(path, self.line, broken.to_string()));
    }

    /// Returns the line on which the walk stands.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Goes on to the next line that begins with a byte; tells whether there is one.
    pub(crate) fn skip_to_line(&mut self, begins: u8) -> Result<bool, Broken> {
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Ok(false);
            }
            let end = memchr::memchr(b'\n', chunk);
            let used = end.map_or(chunk.len(), |at| at + 1);
            self.reader.consume(used);
            if end.is_some() {
                self.line = self.line.saturating_add(1);
                if self.reader.fill_buf()?.first() == Some(&begins) {
                    return Ok(true);
                }
            }
        }
    }

    /// Returns the next byte that is no white space, without taking it.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, Broken> {
        loop {
            let chunk = self.reader.fill_buf()?;
            let Some(byte) = chunk.first().copied() else { return Ok(None) };
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' | 0xef | 0xbb | 0xbf => {}
                _ => return Ok(Some(byte)),
            }
            self.reader.consume(1);
        }
    }

    fn take(&mut self, wanted: u8, name: &'static str) -> Result<(), Broken> {
        match self.peek()? {
            Some(byte) if byte == wanted => {
                self.reader.consume(1);
                Ok(())
            }
            Some(found) => Err(Broken::Unexpected { wanted: name, found: char::from(found) }),
            None => Err(Broken::Cut(name)),
        }
    }

    /// Enters an object.
    pub(crate) fn object(&mut self) -> Result<(), Broken> {
        self.take(b'{', "an object")
    }

    /// Enters an array.
    pub(crate) fn array(&mut self) -> Result<(), Broken> {
        self.take(b'[', "an array")
    }

    /// Returns the key of the next member, or nothing at the object's end.
    pub(crate) fn key(&mut self) -> Result<Option<String>, Broken> {
        if self.peek()? == Some(b',') {
            self.reader.consume(1);
        }
        match self.peek()? {
            Some(b'}') => {
                self.reader.consume(1);
                return Ok(None);
            }
            Some(b'"') => {}
            Some(found) => {
                return Err(Broken::Unexpected { wanted: "a key", found: char::from(found) });
            }
            None => return Err(Broken::Cut("an object")),
        }
        let Some(raw) = self.value(1 << 16)? else { return Err(Broken::TooLong("a key")) };
        let key = serde_json::from_slice(raw.bytes)
            .unwrap_or_else(|_| String::from_utf8_lossy(raw.bytes).into_owned());
        self.take(b':', "a colon")?;
        Ok(Some(key))
    }

    /// Judges whether another element follows in the array; its end is passed.
    pub(crate) fn more(&mut self) -> Result<bool, Broken> {
        if self.peek()? == Some(b',') {
            self.reader.consume(1);
        }
        match self.peek()? {
            Some(b']') => {
                self.reader.consume(1);
                Ok(false)
            }
            Some(_) => Ok(true),
            None => Err(Broken::Cut("an array")),
        }
    }

    /// Passes over the value that follows.
    pub(crate) fn skip(&mut self) -> Result<(), Broken> {
        self.value(0).map(|_| ())
    }

    /// Captures the value that follows, or nothing when it is longer than the limit.
    pub(crate) fn value(&mut self, limit: usize) -> Result<Option<Raw<'_>>, Broken> {
        self.buffer.clear();
        let Some(first) = self.peek()? else { return Err(Broken::Cut("a value")) };
        if matches!(first, b'}' | b']' | b',' | b':') {
            let found = char::from(first);
            return Err(Broken::Unexpected { wanted: "a value", found });
        }
        let began = self.line;
        let mut scan = Scan::default();
        let mut fits = true;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                if scan.plain {
                    break;
                }
                return Err(Broken::Cut("a value"));
            }
            let (used, done) = scan.through(chunk);
            let taken = chunk.get(..used).unwrap_or(chunk);
            let newlines = memchr::memchr_iter(b'\n', taken).count();
            self.line = self.line.saturating_add(u64::try_from(newlines).unwrap_or(u64::MAX));
            if self.buffer.len().saturating_add(used) > limit {
                fits = false;
            }
            if fits {
                self.buffer.extend_from_slice(taken);
            }
            self.reader.consume(used);
            if done {
                break;
            }
        }
        Ok(fits.then_some(Raw { bytes: &self.buffer, line: began }))
    }
}

/// Where in a value the scan stands.
#[derive(Default)]
struct Scan {
    depth: u64,
    begun: bool,
    string: bool,
    escaped: bool,
    /// A number or a word, which ends before the next delimiter.
    plain: bool,
}

impl Scan {
    /// Goes through a chunk; returns how much of it belongs to the value, and whether the value is complete.
    fn through(&mut self, chunk: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(byte) = chunk.get(at).copied() {
            if self.string {
                at += self.in_string(chunk.get(at..).unwrap_or_default());
                if !self.string && self.depth == 0 {
                    return (at, true);
                }
                continue;
            }
            if self.plain {
                if matches!(byte, b',' | b'}' | b']' | b':' | b'\n' | b' ' | b'\t' | b'\r') {
                    return (at, true);
                }
                at += 1;
                continue;
            }
            at += 1;
            match byte {
                b'"' => self.string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ if !self.begun => self.plain = true,
                _ => continue,
            }
            self.begun = true;
            if self.depth == 0 && !self.string && !self.plain {
                return (at, true);
            }
        }
        (chunk.len(), false)
    }

    fn in_string(&mut self, rest: &[u8]) -> usize {
        if self.escaped {
            self.escaped = false;
            return 1;
        }
        match memchr::memchr2(b'"', b'\\', rest) {
            None => rest.len(),
            Some(at) => {
                if rest.get(at) == Some(&b'"') {
                    self.string = false;
                } else {
                    self.escaped = true;
                }
                at + 1
            }
        }
    }
}

impl<'a> Raw<'a> {
    /// Reads the element as what the feed says it is.
    pub(crate) fn parse<T: Deserialize<'a>>(&self, path: &str) -> Result<T, Problem> {
        parse(self.bytes, path, self.line)
    }
}

/// Reads bytes that begin at a line of a document.
pub(crate) fn parse<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    path: &str,
    line: u64,
) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let within = u64::try_from(error.line()).unwrap_or(1).saturating_sub(1);
        let mut what = error.to_string();
        if let Some(at) = what.rfind(" at line ") {
            what.truncate(at);
        }
        problem(path, line.saturating_add(within), what)
    })
}

/// Text borrowed from the element where it holds no escape; numbers and truth values are taken as they are spelled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Str<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrVisitor)
    }
}

struct StrVisitor;

impl<'de> Visitor<'de> for StrVisitor {
    type Value = Str<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Str(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Str(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Str(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Str(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Str(Cow::Owned(number.to_string())))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Str(Cow::Borrowed(if truth { "true" } else { "false" })))
    }
}

/// An object's members in their own order; `null` and an empty array are an empty object, as some writers have it.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a, T>(pub(crate) Vec<(Cow<'a, str>, T)>);

impl<T> Default for Members<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Members<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MembersVisitor(PhantomData)).map(Self)
    }
}

struct MembersVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MembersVisitor<T> {
    type Value = Vec<(Cow<'de, str>, T)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        if seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
            return Err(serde::de::Error::custom("expected an object, found an array"));
        }
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Str(key), value)) = map.next_entry()? {
            members.push((key, value));
        }
        Ok(members)
    }
}

/// An array; `null` is an empty one.
#[derive(Clone, Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default()))
    }
}

/// Returns the keys of the outermost object, as far as the first bytes of a document reach.
pub(crate) fn outer_keys(head: &[u8]) -> Vec<String> {
    let mut keys = Vec::new();
    let mut reader = head;
    let mut walk = Walk::new(&mut reader);
    if walk.object().is_err() {
        return keys;
    }
    while let Ok(Some(key)) = walk.key() {
        keys.push(key);
        if walk.skip().is_err() {
            break;
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_broken_element_costs_only_itself() {
        let mut bytes: &[u8] =
            b"\xef\xbb\xbf{ \"a\": [1, {\"x\":\"]}\\\"\"},\n \"s\", nul], \"b\":{}}";
        let mut walk = Walk::new(&mut bytes);
        walk.object().unwrap();
        assert_eq!(walk.key().unwrap().unwrap(), "a");
        walk.array().unwrap();
        let mut seen = Vec::new();
        while walk.more().unwrap() {
            let raw = walk.value(99).unwrap().unwrap();
            seen.push((String::from_utf8(raw.bytes.to_vec()).unwrap(), raw.line));
        }
        let expected = [("1", 1), ("{\"x\":\"]}\\\"\"}", 1), ("\"s\"", 2), ("nul", 2)];
        assert_eq!(seen, expected.map(|(t, l)| (t.to_owned(), l)));
        assert_eq!(walk.key().unwrap().unwrap(), "b");
        walk.skip().unwrap();
        assert!(walk.key().unwrap().is_none());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_stop_the_walk_badly(bytes: Vec<u8>) {
            outer_keys(&bytes);
            let mut reader = bytes.as_slice();
            let mut walk = Walk::new(&mut reader);
            while let Ok(Some(_)) = walk.value(8) {}
        }

        #[test]
        fn what_is_captured_is_the_value(
            text in any::<Vec<String>>(),
            chunk in 1_usize..9,
        ) {
            let document = serde_json::to_vec(&serde_json::json!({"k": text})).unwrap();
            let mut reader = std::io::BufReader::with_capacity(chunk, document.as_slice());
            let mut walk = Walk::new(&mut reader);
            walk.object().unwrap();
            prop_assert_eq!(walk.key().unwrap(), Some("k".to_owned()));
            let back: Vec<String> = walk.value(1 << 20).unwrap().unwrap().parse("p").unwrap();
            prop_assert_eq!(back, text);
            prop_assert!(walk.key().unwrap().is_none());
        }
    }
}
