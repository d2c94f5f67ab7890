//! Stanzas of fields, as deb822(5) defines them, read as a stream or from a text.
//!
//! A stanza ends at an empty line. It does not check that a field appears only once: the first one counts.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter, memmem};

/// How many bytes are read at a time.
const CHUNK: usize = 128 << 10;

/// The longest stanza that is read: the longest of Debian's has 60 kB.
const LONGEST: usize = 4 << 20;

/// Hands over each stanza of a stream.
///
/// # Errors
///
/// When the stream cannot be read to its end, or holds a stanza too long to be one.
pub(super) fn each_stanza(mut input: impl Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let end_of_stanza = memmem::Finder::new(b"\n\n");
    let mut buffer = vec![0; CHUNK];
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            if buffer.len() >= LONGEST {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("holds a stanza of more than {LONGEST} bytes"),
                ));
            }
            buffer.resize(buffer.len() * 2, 0);
        }
        let read = input.read(buffer.get_mut(filled..).unwrap_or_default())?;
        // A separator may lie across the border of what was searched before.
        let mut searched = filled.saturating_sub(1);
        filled += read;
        let text = buffer.get(..filled).unwrap_or_default();
        if read == 0 {
            take_unless_empty(text, &mut take);
            return Ok(());
        }
        let mut start = 0;
        while let Some(at) = end_of_stanza.find(text.get(searched..).unwrap_or_default()) {
            let end = searched + at + 1;
            take_unless_empty(text.get(start..end).unwrap_or_default(), &mut take);
            start = end + 1;
            searched = start;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}

/// Hands over a stanza without the empty lines before it.
fn take_unless_empty(stanza: &[u8], take: &mut impl FnMut(&[u8])) {
    let text = stanza.trim_ascii_start();
    if !text.is_empty() {
        take(text);
    }
}

/// Returns the name of the package that a stanza is about.
pub(super) fn package(stanza: &[u8]) -> Option<&[u8]> {
    const FIELD: &[u8] = b"Package:";
    if let Some(rest) = stanza.strip_prefix(FIELD) {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        return Some(rest.get(..end)?.trim_ascii());
    }
    fields(stanza).find(|(name, _)| name.eq_ignore_ascii_case(&FIELD[..7])).map(|(_, value)| value)
}

/// Returns the fields of a stanza, each with its name and the whole of its value.
pub(super) fn fields(stanza: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = stanza;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let end = memchr_iter(b'\n', rest)
                .find(|at| !matches!(rest.get(at + 1), Some(b' ' | b'\t')))
                .unwrap_or(rest.len());
            let field = rest.get(..end).unwrap_or_default();
            rest = rest.get(end + 1..).unwrap_or_default();
            if let Some(colon) = memchr(b':', field) {
                let (name, value) = field.split_at(colon);
                return Some((name, value.get(1..).unwrap_or_default().trim_ascii()));
            }
        }
    })
}

/// Returns the stanzas of a text, lines of comment left out.
pub(super) fn stanzas(text: &str) -> Vec<Vec<(String, String)>> {
    let mut plain = String::with_capacity(text.len() + 1);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        plain.push_str(line.trim_end());
        plain.push('\n');
    }
    let mut all = Vec::new();
    for stanza in plain.split("\n\n") {
        let found: Vec<_> = fields(stanza.trim_start_matches('\n').as_bytes())
            .map(|(name, value)| (text_of(name).to_ascii_lowercase(), text_of(value)))
            .collect();
        if !found.is_empty() {
            all.push(found);
        }
    }
    all
}

/// Returns the value of a field of a stanza read by [`stanzas`]; the name in lower case.
pub(super) fn value<'a>(stanza: &'a [(String, String)], name: &str) -> Option<&'a str> {
    stanza.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// Returns bytes as text, what is not UTF-8 replaced.
pub(super) fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{each_stanza, fields, package, stanzas, text_of, value};
    use std::io::Read;

    /// Reads one byte at a time, so that every border is met.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn stanzas_are_found_whatever_the_borders_of_reading() {
        let text = b"\nPackage: a\nVersion: 1\n\n\n\nPackage: b\n more\n\nPackage: c";
        for drip in [false, true] {
            let mut seen = Vec::new();
            let take = |stanza: &[u8]| seen.push(text_of(stanza));
            if drip { each_stanza(Drip(text), take) } else { each_stanza(&text[..], take) }
                .unwrap();
            assert_eq!(seen, ["Package: a\nVersion: 1\n", "Package: b\n more\n", "Package: c"]);
        }
    }

    #[test]
    fn a_stanza_without_end_is_an_error_and_not_a_full_memory() {
        assert!(each_stanza(std::io::repeat(b'a'), |_| ()).is_err());
    }

    #[test]
    fn a_value_goes_on_over_indented_lines() {
        let stanza = b"Depends: a,\n b (>= 1),\n\tc\nno field\nVersion:2\n";
        let seen: Vec<_> = fields(stanza).map(|(n, v)| (text_of(n), text_of(v))).collect();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].1, "a,\n b (>= 1),\n\tc");
        assert_eq!(seen[1], ("Version".into(), "2".into()));
        assert_eq!(package(b"Version: 1\nPackage: x \n"), Some(&b"x"[..]));
    }

    #[test]
    fn comments_are_left_out_of_small_files() {
        let found =
            stanzas("# one\nTypes: deb\n# two\nURIs: http://x\n\n# only\n\nTypes: deb-src\n");
        assert_eq!(found.len(), 2);
        assert_eq!(value(&found[0], "uris"), Some("http://x"));
    }
}
