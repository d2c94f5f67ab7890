//! Is a download what it says it is? First bytes, end, checksum, signature.
//!
//! Only enough is looked at to tell a feed from an error page, a captive portal's sign-in page and
//! a half file that a server called whole. Reading a feed is `muster-feed`'s.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use minisign_verify::{PublicKey, Signature};

use super::feeds::Content;

/// What the first bytes of a download tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    AsExpected,
    WebPage,
    SomethingElse,
}

/// How many first bytes are looked at.
pub(crate) const OPENING_BYTES: usize = 512;

/// The end of a zip archive (its comment included) lies within these last bytes (APPNOTE 4.3.16).
const ZIP_END_BYTES: u64 = 22 + 65_535;
/// Blanks after the end of a JSON text, and padding after the end of an xz stream.
const PADDING_BYTES: u64 = 4_096;

/// Judges the first bytes.
pub(crate) fn opening(content: Content, bytes: &[u8]) -> Opening {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let as_expected = match content {
        Content::Bzip2 => starts(b"BZh"),
        Content::Gzip => starts(&[0x1f, 0x8b]),
        Content::Xz => starts(&[0xfd, b'7', b'z', b'X', b'Z', 0]),
        Content::Zip => starts(b"PK\x03\x04") || starts(b"PK\x05\x06"),
        Content::Zstd => starts(&[0x28, 0xb5, 0x2f, 0xfd]) || is_zstd_skippable(bytes),
        Content::Json => matches!(first_letter(bytes), Some(b'{' | b'[')),
        // A list or a table is never markup, and never binary.
        Content::Text => {
            !bytes.is_empty() && first_letter(bytes) != Some(b'<') && !bytes.contains(&0)
        }
    };
    if as_expected {
        return Opening::AsExpected;
    }
    if first_letter(bytes) == Some(b'<') { Opening::WebPage } else { Opening::SomethingElse }
}

/// A frame that a zstd reader skips (RFC 8878, section 3.1.2), as parallel compressors write.
fn is_zstd_skippable(bytes: &[u8]) -> bool {
    matches!(bytes, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

fn first_letter(bytes: &[u8]) -> Option<u8> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// Whether the form itself shows where it ends.
pub(crate) fn shows_its_end(content: Content) -> bool {
    matches!(content, Content::Json | Content::Xz | Content::Zip)
}

/// Whether a file ends as its form must; true for forms that do not show it.
pub(crate) fn has_its_end(content: Content, file: &mut File, bytes: u64) -> std::io::Result<bool> {
    let look = match content {
        Content::Json | Content::Xz => PADDING_BYTES,
        Content::Zip => ZIP_END_BYTES,
        Content::Bzip2 | Content::Gzip | Content::Text | Content::Zstd => return Ok(true),
    };
    let from = bytes.saturating_sub(look);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(look).read_to_end(&mut tail)?;
    Ok(match content {
        Content::Json => {
            let last = tail.iter().rev().find(|byte| !byte.is_ascii_whitespace());
            matches!(last, Some(b'}' | b']'))
        }
        Content::Xz => {
            let end = tail.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
            tail.get(..end).is_some_and(|stream| stream.ends_with(b"YZ"))
        }
        _ => tail.windows(4).any(|window| window == b"PK\x05\x06"),
    })
}

/// Finds the sha256 of `file` in a published list: a lone digest, `DIGEST  NAME` lines as
/// `sha256sum` writes them, or `SHA256 (NAME) = DIGEST` lines as BSD does.
pub(crate) fn find_sha256(list: &str, file: &str) -> Option<String> {
    let mut lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
    let only = list.lines().filter(|line| !line.trim().is_empty()).count() == 1;
    lines.find_map(|line| {
        if let Some(rest) = line.strip_prefix("SHA256 (") {
            let (name, digest) = rest.rsplit_once(") = ")?;
            return (base(name) == file).then(|| sha256(digest)).flatten();
        }
        let (digest, name) = match line.split_once([' ', '\t']) {
            Some((digest, name)) => (digest, name.trim_start_matches([' ', '\t', '*'])),
            None if only => (line, file),
            None => return None,
        };
        (base(name) == file).then(|| sha256(digest)).flatten()
    })
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn sha256(digest: &str) -> Option<String> {
    let is_one = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| digest.to_ascii_lowercase())
}

/// Holds a file against a detached minisign signature (the prehashed kind, which is what minisign
/// makes today and what needs no second copy of the file in memory).
pub(crate) fn signature(key: &PublicKey, text: &str, file: &mut File) -> Result<(), String> {
    let signature = Signature::decode(text).map_err(|error| error.to_string())?;
    let mut verifier = key.verify_stream(&signature).map_err(|error| error.to_string())?;
    file.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => verifier.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    verifier.finalize().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn an_error_page_is_told_from_a_feed() {
        for (content, bytes, opening_is) in [
            (Content::Json, &b" \n{\"a\":1}"[..], Opening::AsExpected),
            (Content::Json, b"\xef\xbb\xbf[]", Opening::AsExpected),
            (Content::Json, b"<html>", Opening::WebPage),
            (Content::Json, b"Not found", Opening::SomethingElse),
            (Content::Json, b"", Opening::SomethingElse),
            (Content::Text, b"[01 Jan 2026] DSA-1", Opening::AsExpected),
            (Content::Text, b"\r\n <!DOCTYPE html>", Opening::WebPage),
            (Content::Text, b"a\0b", Opening::SomethingElse),
            (Content::Text, b"", Opening::SomethingElse),
            (Content::Gzip, b"\x1f\x8b\x08", Opening::AsExpected),
            (Content::Gzip, b"\xef\xbb\xbf<HTML>", Opening::WebPage),
            (Content::Zip, b"PK\x03\x04", Opening::AsExpected),
            (Content::Xz, b"\xfd7zXZ\0", Opening::AsExpected),
            (Content::Bzip2, b"BZh9", Opening::AsExpected),
            (Content::Zstd, b"\x28\xb5\x2f\xfd", Opening::AsExpected),
            (Content::Zstd, b"\x50\x2a\x4d\x18", Opening::AsExpected),
            (Content::Zstd, b"\x1f\x8b\x08", Opening::SomethingElse),
        ] {
            assert_eq!(opening(content, bytes), opening_is, "{content:?} {bytes:?}");
        }
    }

    #[test]
    fn a_half_file_has_no_end() {
        for (content, bytes, whole) in [
            (Content::Json, &b"{\"a\":1}\n\n"[..], true),
            (Content::Json, b"{\"a\":", false),
            (Content::Json, b"", false),
            (Content::Xz, b"......YZ\0\0\0\0", true),
            (Content::Xz, b"......Y", false),
            (Content::Zip, b"...PK\x05\x06\0\0\0\0\0\0\0\0", true),
            (Content::Zip, b"PK\x03\x04....", false),
            (Content::Gzip, b"whatever", true),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            let length = u64::try_from(bytes.len()).unwrap();
            assert_eq!(has_its_end(content, &mut file, length).unwrap(), whole, "{bytes:?}");
        }
    }

    #[test]
    fn the_digest_is_found_in_every_form_that_publishers_use() {
        let upper = DIGEST.to_ascii_uppercase();
        for (list, found) in [
            (format!("{DIGEST}\n"), true),
            (upper.clone(), true),
            (format!("{DIGEST}  a.json\n"), true),
            (format!("{DIGEST} *./dir/a.json\n"), true),
            (format!("{DIGEST}  b.json\n"), false),
            (format!("{}  b.json\n{DIGEST}  a.json\n", "0".repeat(64)), true),
            (format!("SHA256 (a.json) = {DIGEST}"), true),
            (format!("SHA256 (b.json) = {DIGEST}"), false),
            ("d41d8cd98f00b204e9800998ecf8427e  a.json".to_owned(), false),
            ("<html>".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(find_sha256(&list, "a.json").is_some(), found, "{list}");
        }
    }
}
