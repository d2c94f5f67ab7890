//! Every way in which a server can misbehave within one answer: each ends within its limit, with a
//! clear sentence, and with the old file whole.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::pull::{OLD, Place};
use crate::server::{Request, Server, Stream, dawdle, reply, say};

/// How one server misbehaves, and the words by which the person is told.
struct Refusal {
    name: &'static str,
    answer: fn(&Request, &mut dyn Stream),
    /// Further keys of the feed.
    keys: &'static str,
    told: &'static str,
}

const JSON: &str = "max_seconds = 3\nmax_bytes = 100_000\ncontent = \"json\"";
const TEXT: &str = "max_seconds = 3\nmax_bytes = 100_000\ncontent = \"text\"";
const SHORT: &str = "max_seconds = 1\nmax_bytes = 100_000\ncontent = \"json\"";
/// Longer than any limit above.
const LONG: Duration = Duration::from_secs(5);
/// The head of a packed gigabyte of zeros.
const BOMB: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xec\xc1\x01\x01\x00\x00";

const REFUSALS: &[Refusal] = &[
    Refusal {
        name: "not found",
        answer: |_, out| reply(out, 404, "", "no"),
        keys: JSON,
        told: "answered with 404 (not found)",
    },
    Refusal {
        name: "gone",
        answer: |_, out| reply(out, 410, "", "no"),
        keys: JSON,
        told: "410 (gone)",
    },
    Refusal {
        name: "forbidden",
        answer: |_, out| reply(out, 403, "", "no"),
        keys: JSON,
        told: "403 (forbidden)",
    },
    Refusal {
        name: "server error",
        answer: |_, out| reply(out, 500, "", "{}"),
        keys: JSON,
        told: "500 (internal server error)",
    },
    Refusal {
        name: "unavailable",
        answer: |_, out| reply(out, 503, "Retry-After: 120\r\n", "{}"),
        keys: JSON,
        told: "asks to wait: 120 s",
    },
    Refusal {
        name: "too many, with a date",
        answer: |_, out| reply(out, 429, "Retry-After: Fri, 31 Dec 2027 23:59:59 GMT\r\n", ""),
        keys: JSON,
        told: "until Fri, 31 Dec 2027",
    },
    Refusal {
        name: "not modified, unasked",
        answer: |_, out| answer(out, "304 X\r\n\r\n"),
        keys: JSON,
        told: "304 (not modified), though",
    },
    Refusal {
        name: "no such range, unasked",
        answer: |_, out| reply(out, 416, "", ""),
        keys: JSON,
        told: "416 (range not satisfiable), though",
    },
    Refusal {
        name: "a part, unasked",
        answer: |_, out| reply(out, 206, "Content-Range: bytes 0-1/2\r\n", "{}"),
        keys: JSON,
        told: "a part was not asked for",
    },
    Refusal {
        name: "no content",
        answer: |_, out| answer(out, "204 X\r\n\r\n"),
        keys: JSON,
        told: "answered with 204",
    },
    Refusal {
        name: "nothing",
        answer: |_, out| reply(out, 200, "", ""),
        keys: JSON,
        told: "nothing at all",
    },
    Refusal {
        name: "closes at once",
        answer: |_, out| drop(out.flush()),
        keys: JSON,
        told: "broke off",
    },
    Refusal {
        name: "says nothing",
        answer: |_, _| dawdle(LONG),
        keys: JSON,
        told: "was silent for 1 s",
    },
    Refusal {
        name: "speaks something else",
        answer: |_, out| {
            say(out, "220 mail.example ESMTP\r\n");
        },
        keys: JSON,
        told: "does not speak HTTP",
    },
    Refusal {
        name: "closes in the body",
        answer: |_, out| answer(out, "200 X\r\nContent-Length: 100\r\n\r\n{\"a\":"),
        keys: JSON,
        told: "broke off after 5 of 100 bytes",
    },
    Refusal {
        name: "closes in a chunk",
        answer: |_, out| chunked(out, "10\r\n{\"a\":"),
        keys: JSON,
        told: "broke off after 5 of an unknown number",
    },
    Refusal {
        name: "falls silent in the body",
        answer: |_, out| {
            answer(out, "200 X\r\nContent-Length: 100\r\n\r\n{\"a\":");
            dawdle(LONG);
        },
        keys: JSON,
        told: "was silent for 1 s",
    },
    Refusal {
        name: "lies short in its length",
        answer: |_, out| answer(out, "200 X\r\nContent-Length: 6\r\n\r\n{\"a\":[1,2,3]}"),
        keys: JSON,
        told: "was cut short",
    },
    Refusal {
        name: "a length that is none",
        answer: |_, out| answer(out, "200 X\r\nContent-Length: many\r\n\r\n{}"),
        keys: JSON,
        told: "does not speak HTTP",
    },
    Refusal {
        name: "a length above the limit",
        answer: |_, out| answer(out, "200 X\r\nContent-Length: 100001\r\n\r\n{}"),
        keys: JSON,
        told: "100001 bytes; the limit of this feed is 100000",
    },
    Refusal {
        name: "drips its body",
        answer: |_, out| drip(out, "HTTP/1.1 200 X\r\nContent-Length: 9000\r\n\r\n"),
        keys: SHORT,
        told: "longer than 1 s in all",
    },
    Refusal {
        name: "drips its head",
        answer: |_, out| drip(out, "HTTP/1.1 200 X\r\nX-A: "),
        keys: SHORT,
        told: "longer than 1 s in all",
    },
    Refusal {
        name: "endless headers",
        answer: |_, out| endless(out, "HTTP/1.1 200 X\r\n", "X-Header: value\r\n"),
        keys: JSON,
        told: "too many headers",
    },
    Refusal {
        name: "an endless header",
        answer: |_, out| endless(out, "HTTP/1.1 200 X\r\nX-Header: ", "value"),
        keys: JSON,
        told: "head of the answer is larger",
    },
    Refusal {
        name: "an endless status line",
        answer: |_, out| endless(out, "HTTP/1.1 200 ", "well "),
        keys: JSON,
        told: "does not speak HTTP",
    },
    Refusal {
        name: "endless interim answers",
        answer: |_, out| endless(out, "", "HTTP/1.1 100 Continue\r\n\r\n"),
        keys: SHORT,
        told: "head of the answer is larger",
    },
    Refusal {
        name: "endless early hints",
        answer: |_, out| endless(out, "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        keys: SHORT,
        told: "head of the answer is larger",
    },
    Refusal {
        name: "endless chunks",
        answer: |_, out| {
            chunked(out, "1\r\n{\r\n");
            endless(out, "", "8\r\n[[[[[[[[\r\n");
        },
        keys: JSON,
        told: "the limit of this feed is 100000",
    },
    Refusal {
        name: "an endless body without a length",
        answer: |_, out| endless(out, "HTTP/1.1 200 X\r\n\r\n{", "[[[[[[[["),
        keys: JSON,
        told: "the limit of this feed is 100000",
    },
    Refusal {
        name: "chunks with wrong sizes",
        answer: |_, out| chunked(out, "2\r\n{\"a\":1}\r\n0\r\n\r\n"),
        keys: JSON,
        told: "does not speak HTTP",
    },
    Refusal {
        name: "a chunk without a size",
        answer: |_, out| chunked(out, "zz\r\n{}\r\n0\r\n\r\n"),
        keys: JSON,
        told: "does not speak HTTP",
    },
    Refusal {
        name: "a chunk of a negative size",
        answer: |_, out| chunked(out, "-2\r\n{}\r\n0\r\n\r\n"),
        keys: JSON,
        told: "does not speak HTTP",
    },
    Refusal {
        name: "a chunk beyond all numbers",
        answer: |_, out| chunked(out, "fffffffffffffffff\r\n{}\r\n"),
        keys: JSON,
        told: "does not speak HTTP",
    },
    Refusal {
        name: "an endless chunk extension",
        answer: |_, out| {
            endless(out, "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n2;", "a=b;");
        },
        keys: JSON,
        told: "does not speak HTTP",
    },
    Refusal {
        name: "no length and no end",
        answer: |_, out| answer(out, "200 X\r\n\r\n[01 Jan 2026] DSA"),
        keys: TEXT,
        told: "nothing says it is whole",
    },
    Refusal {
        name: "redirects to itself",
        answer: |_, out| reply(out, 302, "Location: /feed\r\n", ""),
        keys: JSON,
        told: "redirected more than 5 times",
    },
    Refusal {
        name: "redirects nowhere",
        answer: |_, out| reply(out, 301, "", ""),
        keys: JSON,
        told: "redirects to ``",
    },
    Refusal {
        name: "redirects with credentials",
        answer: |_, out| reply(out, 302, "Location: https://user:pass@x.example/\r\n", ""),
        keys: JSON,
        told: "carries a user name",
    },
    Refusal {
        name: "redirects to a file",
        answer: |_, out| reply(out, 302, "Location: ftp://x.example/etc/passwd\r\n", ""),
        keys: JSON,
        told: "only https and http",
    },
    Refusal {
        name: "redirects off this machine in plain",
        answer: |_, out| reply(out, 302, "Location: http://192.0.2.1/\r\n", ""),
        keys: JSON,
        told: "plain http",
    },
    Refusal {
        name: "gzip that was not asked for",
        answer: |_, out| reply(out, 200, "Content-Encoding: gzip\r\n", BOMB),
        keys: JSON,
        told: "in the encoding `gzip`",
    },
    Refusal {
        name: "a page by its type",
        answer: |_, out| reply(out, 200, "Content-Type: text/html; charset=utf-8\r\n", "{}"),
        keys: JSON,
        told: "a web page where json was due",
    },
    Refusal {
        name: "a page by its bytes",
        answer: |_, out| {
            reply(out, 200, "Content-Type: application/json\r\n", "<html>Sign in</html>");
        },
        keys: JSON,
        told: "a web page where json was due",
    },
    Refusal {
        name: "an endless page",
        answer: |_, out| endless(out, "HTTP/1.1 200 X\r\n\r\n <!DOCTYPE html>", "<p>"),
        keys: JSON,
        told: "a web page where json was due",
    },
    Refusal {
        name: "a page in place of a list",
        answer: |_, out| reply(out, 200, "", "\n<html>Sign in</html>"),
        keys: TEXT,
        told: "a web page where text was due",
    },
    Refusal {
        name: "words in place of json",
        answer: |_, out| reply(out, 200, "", "Not found"),
        keys: JSON,
        told: "not json",
    },
    Refusal {
        name: "half a file called whole",
        answer: |_, out| reply(out, 200, "", "{\"vulnerabilities\": [1, 2,"),
        keys: JSON,
        told: "was cut short",
    },
];

fn answer(out: &mut dyn Stream, rest: &str) {
    say(out, format!("HTTP/1.1 {rest}"));
}

fn chunked(out: &mut dyn Stream, rest: &str) {
    answer(out, &format!("200 X\r\nTransfer-Encoding: chunked\r\n\r\n{rest}"));
}

/// A byte every 50 ms: never silent for long, never done.
fn drip(out: &mut dyn Stream, head: &str) {
    let mut going = say(out, head);
    for _ in 0..100 {
        if !going {
            return;
        }
        dawdle(Duration::from_millis(50));
        going = say(out, "{");
    }
}

/// As much as the client takes, up to 64 MiB.
fn endless(out: &mut dyn Stream, head: &str, again: &str) {
    let many = again.repeat(16 << 10);
    let mut going = say(out, head);
    let mut sent = 0;
    while going && sent < 64 << 20 {
        going = say(out, &many);
        sent += many.len();
    }
}

#[test]
fn every_refusal_is_clear_and_costs_nothing() {
    let mut wrong = String::new();
    std::thread::scope(|scope| {
        let runs: Vec<_> = REFUSALS.iter().map(|refusal| scope.spawn(|| run(refusal))).collect();
        for run in runs {
            if let Some(what) = run.join().unwrap() {
                writeln!(wrong, "{what}").unwrap();
            }
        }
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[expect(clippy::disallowed_methods, reason = "the test measures that a limit holds")]
fn run(refusal: &Refusal) -> Option<String> {
    let server = Server::start(refusal.answer);
    let place = Place::with_old();
    let began = Instant::now();
    let (why, next) = place.failed(&place.feeds(&server.url("/feed"), refusal.keys));
    let took = began.elapsed();
    let name = refusal.name;
    if !why.contains(refusal.told) && !next.contains(refusal.told) {
        return Some(format!("{name}: said `{why}`, `{next}` and not `{}`", refusal.told));
    }
    if why.chars().chain(next.chars()).any(char::is_control) || next.is_empty() {
        return Some(format!("{name}: unfit to be shown: {why:?} {next:?}"));
    }
    // Twice the limit: 45 servers and clients share the processors with whatever else runs.
    if took > Duration::from_secs(6) {
        return Some(format!("{name}: took {took:?}: {why}"));
    }
    if place.content() != OLD || place.others() != [".pull"] {
        return Some(format!("{name}: left {:?}, {:?}", place.content(), place.others()));
    }
    None
}
