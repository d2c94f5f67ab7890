//! Text feeds, line by line: bounded, numbered, and never stopped by bytes that are not UTF-8.
//!
//! It knows nothing of what the lines say, and of CSV only how a row is cut into fields (RFC 4180).

use std::borrow::Cow;
use std::io::{BufRead, Read as _};

use muster_core::advisory::{Problem, Sink};
use muster_core::time::{Date, Instant};

/// No feed has lines anywhere near this long; longer ones are passed over.
const LONGEST: u64 = 1 << 20;

/// Names something at a line of a document that was not understood.
pub(crate) fn problem(path: &str, line: u64, what: impl Into<String>) -> Problem {
    Problem { path: path.to_owned(), line: Some(line), what: what.into() }
}

/// The lines of a document.
pub(crate) struct Lines<'d> {
    path: &'d str,
    reader: &'d mut dyn BufRead,
    buffer: Vec<u8>,
    number: u64,
}

/// One line without its end, and its number counted from 1.
pub(crate) struct Line<'a> {
    pub(crate) number: u64,
    pub(crate) text: Cow<'a, str>,
}

impl<'d> Lines<'d> {
    pub(crate) fn new(path: &'d str, reader: &'d mut dyn BufRead) -> Self {
        Self { path, reader, buffer: Vec::new(), number: 0 }
    }

    /// Returns the next line; one that cannot be read becomes a problem.
    pub(crate) fn next(&mut self, sink: &mut dyn Sink) -> Option<Line<'_>> {
        if !self.fill(sink) {
            return None;
        }
        let text = String::from_utf8_lossy(&self.buffer);
        Some(Line { number: self.number, text })
    }

    fn fill(&mut self, sink: &mut dyn Sink) -> bool {
        loop {
            self.buffer.clear();
            let read = (&mut *self.reader).take(LONGEST).read_until(b'\n', &mut self.buffer);
            let read = match read {
                Ok(read) => read,
                Err(error) => {
                    let what = format!("reading stopped: {error}");
                    sink.problem(problem(self.path, self.number + 1, what));
                    return false;
                }
            };
            if read == 0 {
                return false;
            }
            self.number += 1;
            if self.buffer.last() == Some(&b'\n') {
                self.buffer.pop();
                if self.buffer.last() == Some(&b'\r') {
                    self.buffer.pop();
                }
                return true;
            }
            if u64::try_from(read).unwrap_or(u64::MAX) < LONGEST {
                return true;
            }
            let what = format!("a line longer than {LONGEST} bytes was passed over");
            sink.problem(problem(self.path, self.number, what));
            if let Err(error) = skip_line(self.reader) {
                let what = format!("reading stopped: {error}");
                sink.problem(problem(self.path, self.number, what));
                return false;
            }
        }
    }
}

fn skip_line(reader: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let end = memchr::memchr(b'\n', chunk);
        let used = end.map_or(chunk.len(), |at| at + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// Returns the lines at the start of a document, as far as its first bytes reach.
pub(crate) fn first_lines(head: &[u8]) -> impl Iterator<Item = &str> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    head.split(|b| *b == b'\n')
        .filter_map(|line| Some(std::str::from_utf8(line).ok()?.trim_end_matches('\r')))
}

/// Returns the lines of a text, without their ends, as [`str::lines`] does.
pub(crate) fn each_line(text: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).map(|end| (end, end + 1));
    let last = (!text.is_empty() && !text.ends_with('\n')).then_some((text.len(), text.len()));
    ends.chain(last).filter_map(move |(end, next)| {
        let line = text.get(std::mem::replace(&mut start, next)..end)?;
        Some(line.strip_suffix('\r').unwrap_or(line))
    })
}

/// Cuts a row of comma-separated values into its fields; a quoted field that never ends takes the rest.
pub(crate) fn fields(row: &str) -> Vec<Cow<'_, str>> {
    let mut fields = Vec::new();
    let mut rest = row;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted),
            None => match rest.split_once(',') {
                Some((field, after)) => (Cow::Borrowed(field), Some(after)),
                None => (Cow::Borrowed(rest), None),
            },
        };
        fields.push(field);
        let Some(after) = after else { return fields };
        rest = after;
    }
}

fn quoted_field(quoted: &str) -> (Cow<'_, str>, Option<&str>) {
    let mut text = String::new();
    let mut rest = quoted;
    while let Some((before, after)) = rest.split_once('"') {
        text.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                text.push('"');
                rest = more;
            }
            None => return (Cow::Owned(text), after.split_once(',').map(|(_, next)| next)),
        }
    }
    text.push_str(rest);
    (Cow::Owned(text), None)
}

/// Returns the midnight, in UTC, with which a day begins.
pub(crate) fn midnight(day: Date) -> Option<Instant> {
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Reads `2016-08-28 23:50:00`, which is UTC, and `2016-08-28 23:50:00 +0200`.
pub(crate) fn instant(text: &str) -> Option<Instant> {
    let text = text.trim();
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    let (day, rest) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let (time, zone) = rest.split_once(' ').unwrap_or((rest, "Z"));
    let seconds = if time.split(':').count() == 2 { ":00" } else { "" };
    format!("{day}T{time}{seconds}{zone}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Heard;

    #[test]
    fn a_row_is_cut_at_commas_outside_quotes() {
        assert_eq!(fields("a,\"b, \"\"c\"\"\",,d"), ["a", "b, \"c\"", "", "d"]);
        assert_eq!(fields(""), [""]);
        assert_eq!(fields("\"open"), ["open"]);
    }

    #[test]
    fn each_line_is_what_the_library_calls_one() {
        for text in ["", "\n", "a", "a\n", "a\r\n\n\u{e4}", "\r", "a\n\nb\r\n"] {
            let library: Vec<&str> =
                text.split_terminator('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).collect();
            assert_eq!(each_line(text).collect::<Vec<_>>(), library, "{text:?}");
        }
    }

    #[test]
    fn a_line_without_end_and_one_too_long_do_not_stop_the_next() {
        let mut bytes = vec![b'x'; usize::try_from(LONGEST).unwrap() + 9];
        bytes.extend_from_slice(b"\r\nab\xff\r\nlast");
        let (mut reader, mut heard) = (bytes.as_slice(), Heard::default());
        let mut lines = Lines::new("f", &mut reader);
        let line = lines.next(&mut heard).unwrap();
        assert_eq!((line.number, &*line.text), (2, "ab\u{fffd}"));
        let line = lines.next(&mut heard).unwrap();
        assert_eq!((line.number, &*line.text), (3, "last"));
        assert!(lines.next(&mut heard).is_none());
        assert_eq!(heard.problems.len(), 1);
    }
}
