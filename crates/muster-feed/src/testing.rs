//! How feeds are tested: a fixture and, beside it, all that is heard when it is read.

use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use muster_core::advisory::{Item, Problem, Sink};
use proptest::prelude::{any, proptest};
use serde_json::{Value, json};

use crate::feeds::FEEDS;
use crate::{Document, Feed, HEAD, Recognised};

/// A sink that keeps everything, items as JSON.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) items: Vec<Value>,
    pub(crate) problems: Vec<Problem>,
}

impl Sink for Heard {
    fn item(&mut self, item: Item<'_>) {
        self.items.push(terse(serde_json::to_value(&item).unwrap()));
    }

    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}

/// Drops what is empty, so that expected items stay readable.
fn terse(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(k, v)| (k, terse(v)))
                .filter(|(_, v)| !matches!(v, Value::Null) && *v != json!([]) && *v != json!(""))
                .collect(),
        ),
        Value::Array(elements) => Value::Array(elements.into_iter().map(terse).collect()),
        other => other,
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn hear(feed: &dyn Feed, path: &str, reader: &mut dyn BufRead) -> Heard {
    let mut heard = Heard::default();
    feed.read(&mut Document { path, reader }, &mut heard);
    heard
}

/// Reads `fixtures/feeds/NAME`, which this feed alone must recognise, and compares what is heard with
/// `NAME.expected.json`. Built with `MUSTER_BLESS` set, it writes that file instead.
pub(crate) fn check(feed: &dyn Feed, name: &str) {
    let file = root().join("fixtures/feeds").join(name);
    let bytes = fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let head = bytes.get(..HEAD).unwrap_or(&bytes);
    for other in FEEDS {
        let yes = other.recognises(name, head) == Recognised::Yes;
        assert_eq!(yes, other.name() == feed.name(), "{name}: taken by {}", other.name());
    }
    let heard = hear(feed, name, &mut bytes.as_slice());
    let heard = json!({"items": heard.items, "problems": heard.problems});
    let expected = root().join("fixtures/feeds").join(format!("{name}.expected.json"));
    if option_env!("MUSTER_BLESS").is_some() {
        fs::write(&expected, serde_json::to_string_pretty(&heard).unwrap() + "\n").unwrap();
    }
    let expected: Value =
        serde_json::from_str(&fs::read_to_string(&expected).unwrap_or_default()).unwrap();
    assert_eq!(heard, expected, "{name}");
}

/// Tries a feed with arbitrary bytes, and with a good document cut and overwritten anywhere.
pub(crate) fn holds_on_any_bytes(feed: &dyn Feed, name: &str, good: &[u8]) {
    let tear = any::<proptest::sample::Index>();
    proptest!(|(noise: Vec<u8>, at in tear, to in any::<proptest::sample::Index>())| {
        feed.recognises(name, &noise);
        hear(feed, name, &mut noise.as_slice());
        let mut torn = good.to_vec();
        torn.truncate(to.index(good.len()) + 1);
        let at = at.index(torn.len());
        for (old, new) in torn.iter_mut().skip(at).zip(&noise) {
            *old = *new;
        }
        feed.recognises(name, &torn);
        let mut small = BufReader::with_capacity(7, torn.as_slice());
        hear(feed, name, &mut small);
    });
}

/// Opens a file of the shared data; without it the test does not run and says so.
pub(crate) fn shared(name: &str) -> Option<Box<dyn BufRead>> {
    #[expect(clippy::disallowed_methods, reason = "the one place where tests ask for the data")]
    let (named, required) =
        (std::env::var("MUSTER_SHARED").ok(), std::env::var("MUSTER_REQUIRE_ALL").is_ok());
    let folder = named.map_or_else(|| root().join("../shared"), PathBuf::from);
    let Ok(file) = fs::File::open(folder.join(name)) else {
        assert!(!required, "{name} is needed from ../shared");
        println!("not run: needs ../shared");
        return None;
    };
    if name.ends_with(".zst") {
        return Some(Box::new(BufReader::new(zstd::Decoder::new(file).unwrap())));
    }
    Some(Box::new(BufReader::new(file)))
}

/// Reads a file of the shared data, or every member of a tar among them that the feed recognises.
pub(crate) fn read_shared(feed: &dyn Feed, name: &str) -> Option<Heard> {
    let mut reader = shared(name)?;
    let mut all = Heard::default();
    if !name.ends_with(".tar.zst") {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        read_one(feed, name.trim_end_matches(".zst"), &bytes, &mut all);
        return Some(all);
    }
    read_archive(feed, reader, &mut all);
    Some(all)
}

fn read_archive(feed: &dyn Feed, reader: Box<dyn BufRead>, all: &mut Heard) {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if feed.recognises(&path, bytes.get(..HEAD).unwrap_or(&bytes)) == Recognised::Yes {
            read_one(feed, &path, &bytes, all);
        }
    }
}

fn read_one(feed: &dyn Feed, path: &str, bytes: &[u8], all: &mut Heard) {
    let head = bytes.get(..HEAD).unwrap_or(bytes);
    for other in FEEDS {
        let yes = other.recognises(path, head) == Recognised::Yes;
        assert_eq!(yes, other.name() == feed.name(), "{path}: {}", other.name());
    }
    let mut heard = hear(feed, path, &mut &*bytes);
    all.items.append(&mut heard.items);
    all.problems.append(&mut heard.problems);
}

/// Every file of the shared data that is an oracle or a derived table is no feed.
#[test]
fn oracles_are_no_feeds() {
    for name in [
        "data/advisories/debian/dsa-dla-binary-greenbone-2025-09-26.ndjson.zst",
        "data/advisories/ubuntu/usn-binary-greenbone-2025-09-26.ndjson.zst",
        "data/advisories/webapps/webapp-version-ranges-greenbone-2025-09-26.ndjson.zst",
        "data/inventories/dpkg/debian-12.15-wiki-built/expected-apt-2026-11-22.json.zst",
        "data/inventories/dpkg/debian-11.5-mysql/expected-advisories.json.zst",
        "data/inventories/ubuntu-base-image-manifests-2022-08-01.expected-usn.ndjson.zst",
    ] {
        let Some(reader) = shared(name) else { return };
        let mut head = Vec::new();
        reader.take(HEAD as u64).read_to_end(&mut head).unwrap();
        for feed in FEEDS {
            let yes = feed.recognises(name.trim_end_matches(".zst"), &head) == Recognised::Yes;
            assert!(!yes, "{name}: taken by {}", feed.name());
        }
    }
}
