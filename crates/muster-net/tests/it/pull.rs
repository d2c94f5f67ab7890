//! Conversations: conditions, resumption, checksums, mirrors, proxies, TLS, two pulls at once, and
//! a process that is killed.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use muster_net::http::pull::{
    Environment, Event, Feeds, Options, Outcome, PullError, Pulled, Selection, pull,
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::server::{Request, Server, Stream, dawdle, reply, say};

pub(crate) const OLD: &str = "{\"old\":true}";
const NEW: &str = "{\"new\":true}";

/// A folder to pull into.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    environment: Environment,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), environment: Environment::default() }
    }

    pub(crate) fn with_old() -> Self {
        let place = Self::new();
        std::fs::write(place.dir.path().join("f"), OLD).unwrap();
        place
    }

    /// One feed called `f`; `keys` hold `content` and whatever else it needs.
    pub(crate) fn feeds(&self, url: &str, keys: &str) -> Feeds {
        feeds("", url, keys)
    }

    pub(crate) fn pull(&self, feeds: &Feeds) -> Vec<Outcome> {
        self.try_pull(feeds, &mut |_| ()).unwrap()
    }

    pub(crate) fn try_pull(
        &self,
        feeds: &Feeds,
        progress: &mut dyn FnMut(Event),
    ) -> Result<Vec<Outcome>, PullError> {
        pull(feeds, self.dir.path(), &options(&self.environment), progress)
    }

    pub(crate) fn one(&self, feeds: &Feeds) -> Pulled {
        let mut outcomes = self.pull(feeds);
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0).result
    }

    pub(crate) fn failed(&self, feeds: &Feeds) -> (String, String) {
        match self.one(feeds) {
            Pulled::Failed { why, next, .. } => (why, next),
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(crate) fn content(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("f")).unwrap()
    }

    pub(crate) fn others(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.dir.path()).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "f")
            .collect()
    }

    fn hidden(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(".pull").join(name)
    }
}

fn options(environment: &Environment) -> Options {
    Options {
        selection: Selection::default(),
        now: "2026-11-22T12:00:00Z".parse().unwrap(),
        version: "9.9.9".to_owned(),
        environment: environment.clone(),
    }
}

fn feeds(settings: &str, url: &str, keys: &str) -> Feeds {
    // A process that is killed must not end by itself before.
    let idle = if child().is_some() { 30 } else { 1 };
    let limits = [("max_bytes", "100_000"), ("max_seconds", "10"), ("content", "\"json\"")];
    let mut text = format!(
        "[pull]\nidle_seconds = {idle}\nconnect_seconds = 2\n{settings}\n[[feed]]\nname = \"f\"\n\
         format = \"osv\"\nurl = \"{url}\"\nfile = \"f\"\nnote = \"\"\n{keys}\n"
    );
    for (key, value) in limits {
        if !keys.contains(key) {
            text = text.replacen("note = \"\"", &format!("note = \"\"\n{key} = {value}"), 1);
        }
    }
    Feeds::parse(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn replaced(result: &Pulled) -> (u64, u64) {
    match result {
        Pulled::Replaced { transferred, resumed_at, .. } => (*transferred, *resumed_at),
        other => panic!("not replaced: {other:?}"),
    }
}

#[test]
fn the_second_pull_asks_only_for_what_is_newer() {
    let server = Server::start(|request, out| {
        if request.header("if-none-match") == Some("\"one\"") {
            assert_eq!(request.header("if-modified-since"), Some("Sun, 22 Nov 2026 00:00:00 GMT"));
            say(out, "HTTP/1.1 304 X\r\nETag: \"one\"\r\n\r\n");
            return;
        }
        let headers = "ETag: \"one\"\r\nLast-Modified: Sun, 22 Nov 2026 00:00:00 GMT\r\n";
        reply(out, 200, headers, NEW);
    });
    let place = Place::with_old();
    let feeds = place.feeds(&server.url("/feed"), "");
    replaced(&place.one(&feeds));
    assert_eq!(place.content(), NEW);
    let again = place.one(&feeds);
    let fetched = "2026-11-22T12:00:00Z".to_owned();
    assert_eq!(again, Pulled::Unchanged { bytes: 12, fetched });
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].method, "GET");
    assert_eq!(seen[0].target, "/feed");
    assert_eq!(seen[0].header("user-agent"), Some("muster/9.9.9"));
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    // The old file is not one that muster pulled, so nothing can be held against it.
    assert_eq!(seen[0].header("if-none-match"), None);
    let state = std::fs::read_to_string(place.hidden("f.toml")).unwrap();
    assert!(state.contains(&sha256(NEW)), "{state}");

    // Damage on the disk is found: the file is fetched, not asked about.
    std::fs::write(place.dir.path().join("f"), "{\"new\":fals}").unwrap();
    replaced(&place.one(&feeds));
    assert_eq!(place.content(), NEW);
    assert_eq!(server.seen()[2].header("if-none-match"), None);

    // What is known of it is unreadable: the same.
    std::fs::write(place.hidden("f.toml"), "\0\0").unwrap();
    assert!(matches!(place.one(&feeds), Pulled::Unchanged { .. }));
    assert_eq!(server.seen()[3].header("if-none-match"), None);
}

#[test]
fn the_same_bytes_again_are_no_change() {
    let server = Server::start(|_, out| reply(out, 200, "", OLD));
    let place = Place::with_old();
    assert!(matches!(
        place.one(&place.feeds(&server.url("/"), "")),
        Pulled::Unchanged { bytes: 12, .. }
    ));
    assert!(!place.hidden("f.part").exists());
}

#[test]
fn a_redirect_is_followed_with_its_conditions() {
    let server = Server::start(|request, out| match request.target.as_str() {
        "/feed" => reply(out, 302, "Location: /elsewhere?token=secret\r\n", ""),
        _ if request.header("if-none-match").is_some() => {
            say(out, "HTTP/1.1 304 X\r\n\r\n");
        }
        _ => reply(out, 200, "ETag: W/\"weak\"\r\n", NEW),
    });
    let place = Place::with_old();
    let feeds = place.feeds(&server.url("/feed"), "");
    replaced(&place.one(&feeds));
    assert!(matches!(place.one(&feeds), Pulled::Unchanged { .. }));
    assert_eq!(server.seen().len(), 4);
}

/// A document of `length` bytes that differs from place to place.
fn document(length: usize, seed: u8) -> String {
    let mut text = String::from("[\"");
    while text.len() < length - 2 {
        let digit = (text.len() * 7 + usize::from(seed)) % 10;
        text.push(char::from(b'0' + u8::try_from(digit).unwrap()));
    }
    text + "\"]"
}

fn range_start(request: &Request) -> Option<usize> {
    request.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// Serves a range as RFC 9110 has it.
fn serve(out: &mut dyn Stream, request: &Request, document: &str, validators: &str, cut: usize) {
    let start = match request.header("if-range") {
        Some(validator) if validators.contains(validator) => range_start(request).unwrap_or(0),
        _ => 0,
    };
    let total = document.len();
    let rest = &document[start..];
    let mut head = format!("HTTP/1.1 200 X\r\n{validators}Content-Length: {}\r\n", rest.len());
    if start > 0 {
        head = head.replace("200", "206");
        head += &format!("Content-Range: bytes {start}-{}/{total}\r\n", total - 1);
    }
    say(out, head + "\r\n");
    say(out, &rest[..cut.min(rest.len())]);
}

#[test]
fn a_broken_download_is_gone_on_with_in_the_same_pull() {
    let whole = document(50_000, 1);
    let served = whole.clone();
    for validators in ["ETag: \"a\"\r\n", "Last-Modified: Sun, 22 Nov 2026 00:00:00 GMT\r\n"] {
        let served = served.clone();
        let server =
            Server::start(move |request, out| serve(out, request, &served, validators, 20_000));
        let place = Place::with_old();
        let result = place.one(&place.feeds(&server.url("/"), ""));
        assert_eq!(replaced(&result), (50_000, 40_000));
        assert_eq!(place.content(), whole);
        let starts: Vec<_> = server.seen().iter().map(range_start).collect();
        assert_eq!(starts, [None, Some(20_000), Some(40_000)]);
        assert!(!place.hidden("f.part").exists() && !place.hidden("f.part.toml").exists());
    }
}

#[test]
fn a_weak_etag_is_no_tie_to_the_same_bytes() {
    let whole = document(50_000, 1);
    let server =
        Server::start(move |request, out| serve(out, request, &whole, "ETag: W/\"a\"\r\n", 20_000));
    let place = Place::with_old();
    let (why, _) = place.failed(&place.feeds(&server.url("/"), ""));
    assert!(why.contains("broke off after 20000 of 50000 bytes"), "{why}");
    assert!(!why.contains("kept"), "{why}");
    place.failed(&place.feeds(&server.url("/"), ""));
    assert!(server.seen().iter().all(|request| range_start(request).is_none()));
}

#[test]
fn a_server_that_always_breaks_off_is_left_after_four_tries() {
    let whole = document(50_000, 1);
    let server =
        Server::start(move |request, out| serve(out, request, &whole, "ETag: \"a\"\r\n", 100));
    let place = Place::with_old();
    let (why, _) = place.failed(&place.feeds(&server.url("/"), ""));
    assert!(why.contains("broke off after 400 of 50000 bytes; 400 bytes are kept"), "{why}");
    assert_eq!(server.seen().len(), 4);
    assert_eq!(place.content(), OLD);
}

/// A first pull that leaves 20,000 bytes of `first`, then one from a server that `answer`s.
fn go_on(
    answer: impl Fn(&Request, &mut dyn Stream, usize) + Send + Sync + 'static,
) -> (Place, Pulled, Vec<Request>) {
    let first = document(50_000, 1);
    let count = AtomicUsize::new(0);
    let server = Server::start(move |request, out| {
        let before = count.fetch_add(1, Ordering::SeqCst);
        if before == 0 {
            serve(out, request, &first, "ETag: \"a\"\r\n", 20_000);
            dawdle(Duration::from_secs(2));
            return;
        }
        answer(request, out, before);
    });
    let place = Place::with_old();
    let feeds = place.feeds(&server.url("/"), "");
    let (why, _) = place.failed(&feeds);
    assert!(why.contains("was silent for 1 s; 20000 bytes are kept"), "{why}");
    assert_eq!(place.content(), OLD);
    let result = place.one(&feeds);
    (place, result, server.seen())
}

#[test]
fn the_next_pull_goes_on_where_the_last_one_stopped() {
    let whole = document(50_000, 1);
    let (place, result, seen) =
        go_on(move |request, out, _| serve(out, request, &whole, "ETag: \"a\"\r\n", 50_000));
    assert_eq!(replaced(&result), (30_000, 20_000));
    assert_eq!(place.content(), document(50_000, 1));
    assert_eq!(seen[1].header("range"), Some("bytes=20000-"));
    assert_eq!(seen[1].header("if-range"), Some("\"a\""));
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_whole() {
    let newer = document(50_000, 2);
    let (place, result, seen) =
        go_on(move |request, out, _| serve(out, request, &newer, "ETag: \"b\"\r\n", 50_000));
    assert_eq!(replaced(&result), (50_000, 0));
    assert_eq!(place.content(), document(50_000, 2));
    assert_eq!(seen.len(), 2);
}

#[test]
fn no_two_files_are_ever_sewn_together() {
    // Each server ignores If-Range and sends a part of something else.
    let parts = [
        ("another ETag", "ETag: \"b\"\r\nContent-Range: bytes 20000-49999/50000\r\n", 20_000),
        ("another length", "ETag: \"a\"\r\nContent-Range: bytes 20000-50000/50001\r\n", 20_000),
        ("another start", "ETag: \"a\"\r\nContent-Range: bytes 10000-49999/50000\r\n", 10_000),
        ("another end", "ETag: \"a\"\r\nContent-Range: bytes 20000-39999/50000\r\n", 20_000),
        ("no range", "ETag: \"a\"\r\n", 20_000),
        ("nonsense", "ETag: \"a\"\r\nContent-Range: bytes x-y/z\r\n", 20_000),
        ("overflow", "Content-Range: bytes 20000-18446744073709551615/18446744073709551615\r\n", 0),
    ];
    let check = |(name, headers, from): (&str, &'static str, usize)| {
        let newer = document(50_000, 2);
        let (place, result, seen) = go_on(move |request, out, _| match range_start(request) {
            Some(_) => reply(out, 206, headers, &newer[from..]),
            None => reply(out, 200, "ETag: \"b\"\r\n", &newer),
        });
        assert_eq!(replaced(&result).1, 0, "{name}");
        assert_eq!(place.content(), document(50_000, 2), "{name}");
        assert_eq!(seen.len(), 3, "{name}");
    };
    std::thread::scope(|scope| {
        for part in parts {
            scope.spawn(move || check(part));
        }
    });
}

#[test]
fn a_server_that_refuses_ranges_is_asked_for_the_whole() {
    let whole = document(50_000, 1);
    let (place, result, seen) = go_on(move |request, out, _| match range_start(request) {
        Some(_) => reply(out, 416, "Content-Range: bytes */50000\r\n", ""),
        None => reply(out, 200, "", &whole),
    });
    assert_eq!(replaced(&result), (50_000, 0));
    assert_eq!(place.content(), document(50_000, 1));
    assert_eq!(seen.len(), 3);
}

#[test]
fn the_publishers_checksum_decides() {
    let list = format!("{}  other\n{}  feed.json\n", "0".repeat(64), sha256(NEW));
    let lists = [
        ("/right", list),
        ("/wrong", format!("{}  feed.json", sha256(OLD).replace('a', "b"))),
        ("/other", format!("{}  another.json\n{}  third.json\n", sha256(NEW), sha256(NEW))),
        ("/page", "<html>".to_owned()),
        ("/old", format!("{}\n", sha256(OLD))),
    ];
    let server = Server::start(move |request, out| {
        match lists.iter().find(|(path, _)| *path == request.target) {
            Some((_, list)) => reply(out, 200, "", list),
            None if request.target == "/feed.json" => reply(out, 200, "", NEW),
            None if request.target == "/feed.json.sha256" => reply(out, 200, "", sha256(NEW)),
            None if request.target == "/large" => reply(out, 200, "", "a".repeat(2 << 20)),
            None => reply(out, 404, "", ""),
        }
    });
    let with = |path: &str| format!("checksum = \"{}\"", server.url(path));
    let url = server.url("/feed.json");

    for (path, told) in [
        ("/wrong", "has the sha256"),
        ("/other", "names no sha256 for feed.json"),
        ("/page", "names no sha256 for feed.json"),
        ("/gone", "answered with 404"),
        ("/large", "the limit of this feed is 1048576"),
    ] {
        let place = Place::with_old();
        let (why, _) = place.failed(&place.feeds(&url, &with(path)));
        assert!(why.contains(told), "{path}: {why}");
        assert_eq!(place.content(), OLD);
        assert!(!place.hidden("f.part").exists());
    }
    for keys in [with("/right"), "checksum = \"{url}.sha256\"".to_owned()] {
        let place = Place::with_old();
        replaced(&place.one(&place.feeds(&url, &keys)));
        assert_eq!(place.content(), NEW);
    }
    // The list alone says that the old file is the newest one.
    let before = server.seen().len();
    let place = Place::with_old();
    assert!(matches!(place.one(&place.feeds(&url, &with("/old"))), Pulled::Unchanged { .. }));
    assert_eq!(server.seen().len(), before + 1);
}

const KEY: &str = "RWQAAQIDBAUGB3ZZlNiQykDYtTnvELmd9NpeSsrgbPS4E9JHCK6XSAtI";
/// Of [`NEW`], made once with a key that is gone.
const SIGNATURE: &str = "untrusted comment: x
RUQAAQIDBAUGBzb7povlKDRLojeV+2GfUvRdWUnp+AcWRPq8GFQGAb8iTDlpBMg/ECNREEmkAq/NbHoUle4chVRU7enZvgJ2bgA=
trusted comment: fixture
jDyORzGWEILJHf2cUFaQvld9q6zcZ0ma4ysOdrYYIm2Sg8XWQLigZTnwknWGM4qFDK9n5J3qOZkwQjt9HBcxDg==
";

#[test]
fn a_signature_is_held_against_the_key_of_the_file() {
    let server = Server::start(|request, out| match request.target.as_str() {
        "/right" => reply(out, 200, "ETag: \"a\"\r\n", NEW),
        "/wrong" => reply(out, 200, "", "{\"new\":fals}"),
        "/right.minisig" | "/wrong.minisig" => reply(out, 200, "", SIGNATURE),
        "/nonsense" => reply(out, 200, "", NEW),
        _ => reply(out, 200, "", "nonsense"),
    });
    let keys = format!("signature = {{ url = \"{{url}}.minisig\", minisign_key = \"{KEY}\" }}");
    for path in ["/wrong", "/nonsense"] {
        let place = Place::with_old();
        let (why, next) = place.failed(&place.feeds(&server.url(path), &keys));
        assert!(why.contains("does not hold"), "{why}");
        assert!(next.contains("do not use this file"), "{next}");
        assert_eq!(place.content(), OLD);
    }
    let place = Place::with_old();
    replaced(&place.one(&place.feeds(&server.url("/right"), &keys)));
    assert_eq!(place.content(), NEW);

    // A key that is configured later is held against what is there already.
    let server = Server::start(|request, out| match request.target.as_str() {
        "/feed" => reply(out, 200, "", OLD),
        _ => reply(out, 200, "", SIGNATURE),
    });
    let place = Place::with_old();
    let (why, _) = place.failed(&place.feeds(&server.url("/feed"), &keys));
    assert!(why.contains("does not hold"), "{why}");
}

#[test]
fn the_latest_archive_is_named_by_the_publisher() {
    let server = Server::start(|request, out| match request.target.as_str() {
        "/latest" => reply(out, 200, "", "feed_2026-11-22.json\n"),
        "/evil" => reply(out, 200, "", "../../etc/passwd\n"),
        "/two" => reply(out, 200, "", "one\ntwo\n"),
        "/page" => reply(out, 200, "Content-Type: text/html\r\n", "<html>"),
        "/feed_2026-11-22.json" => reply(out, 200, "", NEW),
        _ => reply(out, 404, "", ""),
    });
    let url = server.url("/{latest}");
    for (path, told) in [
        ("/evil", "should name one file and says `../../etc/passwd`"),
        ("/two", "should name one file and says `one\\ntwo`"),
        ("/page", "a web page where text was due"),
        ("/gone", "answered with 404"),
    ] {
        let place = Place::with_old();
        let keys = format!("latest = \"{}\"", server.url(path));
        let (why, _) = place.failed(&place.feeds(&url, &keys));
        assert!(why.contains(told), "{why}");
        assert_eq!(place.content(), OLD);
    }
    let place = Place::with_old();
    let keys = format!("latest = \"{}\"", server.url("/latest"));
    replaced(&place.one(&place.feeds(&url, &keys)));
    assert_eq!(place.content(), NEW);
}

#[test]
fn a_mirror_takes_the_place_of_the_publisher() {
    let server = Server::start(|request, out| {
        assert!(request.target.starts_with("/copy/"), "{}", request.target);
        reply(
            out,
            200,
            "",
            if request.target.ends_with(".sha256") { sha256(NEW) } else { NEW.into() },
        );
    });
    let keys = format!(
        "checksum = \"{{url}}.sha256\"\n[[mirror]]\nfrom = \"https://feeds.example/\"\nto = \"{}\"",
        server.url("/copy/")
    );
    let place = Place::with_old();
    let feeds = place.feeds("https://feeds.example/a/feed.json", &keys);
    replaced(&place.one(&feeds));
    let targets: Vec<_> = server.seen().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/copy/a/feed.json.sha256", "/copy/a/feed.json"]);
}

#[test]
fn nobody_listening_is_said() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::with_old();
    let (why, next) = place.failed(&place.feeds(&format!("http://{free}/"), ""));
    assert!(why.contains("could not be reached"), "{why}");
    assert!(next.contains("check the network"), "{next}");
    assert_eq!(place.content(), OLD);
}

#[test]
fn two_pulls_at_once_do_not_clash() {
    let server = Server::start(|_, out| reply(out, 200, "", NEW));
    let place = Place::with_old();
    let feeds = place.feeds(&server.url("/"), "");
    let mut second = None;
    place
        .try_pull(&feeds, &mut |_| {
            let tried = place.try_pull(&feeds, &mut |_| ());
            second.get_or_insert_with(|| tried.map(drop).unwrap_err().to_string());
        })
        .unwrap();
    assert!(second.unwrap().contains("is under way; wait for it"), "the lock held nobody off");
    assert!(matches!(place.one(&feeds), Pulled::Unchanged { .. }));
}

#[test]
fn one_host_is_asked_by_two_at_a_time_and_one_failure_is_one() {
    let server = Server::start(|request, out| {
        dawdle(Duration::from_millis(50));
        match request.target.as_str() {
            "/r3" => reply(out, 404, "", ""),
            _ => reply(out, 200, "", NEW),
        }
    });
    let text = format!(
        "[[feed]]\nname = \"f\"\nformat = \"alpine-secdb\"\ncontent = \"json\"\n\
         url = \"{}\"\nfile = \"{{release}}.json\"\nmax_bytes = 1000\nmax_seconds = 5\nnote = \"\"\n\
         releases = [\"r1\", \"r2\", \"r3\", \"r4\", \"r5\", \"r6\"]\n",
        server.url("/{release}")
    );
    let place = Place::new();
    let outcomes = place.pull(&Feeds::parse(&text).unwrap());
    let files: Vec<_> = outcomes.iter().map(|outcome| outcome.file.as_str()).collect();
    assert_eq!(files, ["r1.json", "r2.json", "r3.json", "r4.json", "r5.json", "r6.json"]);
    for outcome in &outcomes {
        let failed = matches!(outcome.result, Pulled::Failed { .. });
        assert_eq!(failed, outcome.file == "r3.json", "{outcome:?}");
    }
    assert_eq!(server.most_at_once(), 2);
}

#[test]
fn a_folder_in_the_way_is_said_and_left() {
    let server = Server::start(|_, out| reply(out, 200, "", NEW));
    let place = Place::new();
    std::fs::create_dir(place.dir.path().join("f")).unwrap();
    let (why, _) = place.failed(&place.feeds(&server.url("/"), ""));
    assert!(why.contains("cannot replace"), "{why}");
    assert!(place.dir.path().join("f").is_dir());

    // A link in the place of the unfinished file is not followed.
    let place = Place::with_old();
    std::fs::create_dir(place.dir.path().join(".pull")).unwrap();
    let elsewhere = place.dir.path().join("elsewhere");
    std::fs::write(&elsewhere, "mine").unwrap();
    std::os::unix::fs::symlink(&elsewhere, place.hidden("f.part")).unwrap();
    replaced(&place.one(&place.feeds(&server.url("/"), "")));
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "mine");
    assert_eq!(place.content(), NEW);
}

/// A certificate authority of this test, and a server's certificate for `name`.
fn certificate(name: &str) -> (String, rustls::ServerConfig) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let root = authority.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(authority, key);
    let own_key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&own_key, &issuer)
        .unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(own_key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], key)
        .unwrap();
    (root.pem(), config)
}

fn ca_file(place: &Place, pem: &str) -> String {
    let path = place.dir.path().join(".ca.pem");
    std::fs::write(&path, pem).unwrap();
    format!("ca_file = \"{}\"", path.display())
}

#[test]
fn tls_is_checked_and_never_left() {
    let plain = Server::start(|_, out| reply(out, 200, "", NEW));
    let down = format!("Location: {}\r\n", plain.url("/"));
    let (root, config) = certificate("localhost");
    let server = Server::start_tls(config, move |request, out| match request.target.as_str() {
        "/feed" => reply(out, 200, "ETag: \"a\"\r\n", NEW),
        "/cut" => drop(say(out, "HTTP/1.1 200 X\r\nContent-Length: 50\r\n\r\n{\"a\":")),
        _ => reply(out, 302, &down, ""),
    });
    let url = |path: &str| format!("https://localhost:{}{path}", server.port());

    let place = Place::with_old();
    let trusting = ca_file(&place, &root);
    replaced(&place.one(&feeds(&trusting, &url("/feed"), "")));
    assert_eq!(place.content(), NEW);
    let (why, _) = place.failed(&feeds(&trusting, &url("/down"), ""));
    assert!(why.contains("redirects from https to plain http"), "{why}");
    assert!(plain.seen().is_empty());
    let (why, _) = place.failed(&feeds(&trusting, &url("/cut"), ""));
    assert!(why.contains("broke off after 5 of 50 bytes"), "{why}");

    // By its number the server has another name than its certificate says.
    let (why, _) = place.failed(&feeds(&trusting, &server.url("/feed"), ""));
    assert!(why.contains("TLS connection"), "{why}");
    // The bundled roots know nothing of this authority.
    let (why, next) = place.failed(&feeds("", &url("/feed"), ""));
    assert!(why.contains("TLS connection"), "{why}");
    assert!(next.contains("ca_file"), "{next}");
    assert_eq!(place.content(), NEW);

    for (text, told) in [("", "holds no certificate"), ("nonsense", "holds no certificate")] {
        let refused =
            place.try_pull(&feeds(&ca_file(&place, text), &url("/feed"), ""), &mut |_| ());
        assert!(refused.unwrap_err().to_string().contains(told));
    }
}

#[test]
fn a_proxy_carries_what_is_not_excepted() {
    let (root, config) = certificate("feeds.example");
    let server = Server::start_tls(config, |_, out| reply(out, 200, "", NEW));
    let target = server.address();
    // A proxy that connects every name to our server (RFC 9110, section 9.3.6).
    let proxy = Server::start(move |request, out| {
        assert_eq!(request.method, "CONNECT");
        if request.target.starts_with("forbidden") {
            reply(out, 403, "", "");
            return;
        }
        say(out, "HTTP/1.1 200 X\r\n\r\n");
        tunnel(out, target);
    });
    let mut place = Place::with_old();
    place.environment.proxy = Some(format!("http://name:secret@{}", proxy.address()));
    let trusting = ca_file(&place, &root);
    replaced(&place.one(&feeds(&trusting, "https://feeds.example/feed", "")));
    assert_eq!(place.content(), NEW);
    assert_eq!(proxy.seen()[0].target, "feeds.example:443");

    let (why, next) = place.failed(&feeds(&trusting, "https://forbidden.example/feed", ""));
    assert!(why.contains("the proxy 127.0.0.1:"), "{why}");
    assert!(next.contains("NO_PROXY"), "{next}");
    assert!(!why.contains("secret"), "{why}");

    // This machine is never reached through it.
    let direct = Server::start(|_, out| reply(out, 200, "", OLD));
    let before = proxy.seen().len();
    replaced(&place.one(&feeds("", &direct.url("/"), "")));
    assert_eq!(proxy.seen().len(), before);

    // feeds.toml comes before the environment, and so do its exceptions.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let own = format!("{trusting}\nproxy = \"http://{nobody}\"");
    let (why, _) = place.failed(&feeds(&own, "https://feeds.example/feed", ""));
    assert!(why.contains("the proxy 127.0.0.1:"), "{why}");
    assert_eq!(proxy.seen().len(), before);

    place.environment.proxy = Some("socks5://127.0.0.1:1".to_owned());
    let refused = place.try_pull(&feeds("", "https://feeds.example/feed", ""), &mut |_| ());
    assert!(refused.unwrap_err().to_string().contains("HTTPS_PROXY"));
}

/// Carries bytes both ways, one answer after each question, until one side ends.
fn tunnel(client: &mut dyn Stream, target: std::net::SocketAddr) {
    let mut server = std::net::TcpStream::connect(target).unwrap();
    server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut buffer = [0; 16 << 10];
    loop {
        let Ok(read @ 1..) = client.read(&mut buffer) else { return };
        server.write_all(&buffer[..read]).unwrap();
        while let Ok(read @ 1..) = std::io::Read::read(&mut server, &mut buffer) {
            if !say(client, &buffer[..read]) {
                return;
            }
        }
    }
}

/// Where the child process of a test pulls from and to, when it is one.
#[expect(clippy::disallowed_methods, reason = "how a test tells its child process what to do")]
fn child() -> Option<(String, String)> {
    Some((std::env::var("MUSTER_NET_URL").ok()?, std::env::var("MUSTER_NET_FOLDER").ok()?))
}

/// The child's own part of the two tests below; in an ordinary run it has nothing to do.
#[test]
fn child_process_pulls() {
    let Some((url, folder)) = child() else { return };
    let keys = "max_bytes = 100_000_000\nmax_seconds = 60";
    let environment = Environment::default();
    let outcomes =
        pull(&feeds("", &url, keys), Path::new(&folder), &options(&environment), &mut |_| ())
            .unwrap();
    println!("{:?}", outcomes[0].result);
}

fn child_command(url: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "pull::child_process_pulls", "--nocapture", "--test-threads=1"]);
    command.env("MUSTER_NET_URL", url).env("MUSTER_NET_FOLDER", folder);
    command
}

#[test]
fn a_process_that_is_killed_leaves_the_old_file_and_the_next_goes_on() {
    let whole = document(40 << 20, 3);
    let expected = whole.clone();
    let cut = 30 << 20;
    let first = AtomicUsize::new(0);
    let (sent, all_sent) = std::sync::mpsc::channel();
    let sent = std::sync::Mutex::new(sent);
    let server = Server::start(move |request, out| {
        if first.fetch_add(1, Ordering::SeqCst) > 0 {
            serve(out, request, &whole, "ETag: \"a\"\r\n", whole.len());
            return;
        }
        serve(out, request, &whole, "ETag: \"a\"\r\n", cut);
        sent.lock().unwrap().send(()).unwrap();
        dawdle(Duration::from_secs(10));
    });
    let place = Place::with_old();
    let mut running = child_command(&server.url("/"), place.dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    all_sent.recv_timeout(Duration::from_secs(30)).unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(place.content(), OLD);
    assert_eq!(place.others(), [".pull"]);

    let keys = "max_bytes = 100_000_000\nmax_seconds = 30";
    let (_, resumed_at) = replaced(&place.one(&place.feeds(&server.url("/"), keys)));
    // Only what was made durable before the kill counts: a multiple of 16 MiB or so.
    assert!(resumed_at >= 16 << 20, "resumed at {resumed_at}");
    assert!(place.content() == expected);
}

#[test]
fn a_full_disk_is_said_and_the_old_file_stays() {
    let server = Server::start(|request, out| {
        let body = document(4 << 20, 4);
        match request.target.as_str() {
            "/announced" => reply(out, 200, "", body),
            _ => {
                say(out, "HTTP/1.1 200 X\r\nETag: \"a\"\r\nTransfer-Encoding: chunked\r\n\r\n");
                say(out, format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
            }
        }
    });
    let place = Place::new();
    let disk = place.dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    for (path, told) in
        [("/announced", "the disk has room for"), ("/sudden", "the disk became full")]
    {
        // A small disk of one's own needs a user namespace.
        let script = format!(
            "mount -t tmpfs -o size=1m none '{0}' && printf '%s' '{OLD}' > '{0}/f' && \"$@\" && \
             echo \"kept $(cat '{0}/f') $(ls -A '{0}/.pull' | tr '\\n' ' ')\"",
            disk.display()
        );
        let child = child_command(&server.url(path), &disk);
        let output = Command::new("unshare")
            .args(["-rm", "sh", "-c", &script, "sh"])
            .arg(child.get_program())
            .args(child.get_args())
            .envs(child.get_envs().filter_map(|(key, value)| Some((key, value?))))
            .output();
        let said = output.map(|output| {
            String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr)
        });
        let said = said.unwrap_or_default();
        if !said.contains("running 1 test") {
            not_run("needs unshare(1) with user namespaces", &said);
            return;
        }
        assert!(said.contains(told), "{said}");
        assert!(said.contains("make room there"), "{said}");
        assert!(said.contains(&format!("kept {OLD} ")), "{said}");
        let kept = said.lines().find(|line| line.starts_with("kept ")).unwrap();
        assert!(!kept.contains("f.part"), "{said}");
    }
}

#[expect(clippy::disallowed_methods, reason = "CI says that nothing may be missing")]
#[expect(clippy::print_stdout, reason = "what did not run is said")]
fn not_run(why: &str, said: &str) {
    assert!(std::env::var("MUSTER_REQUIRE_ALL").is_err(), "{why}: {said}");
    println!("not run: {why}");
}
