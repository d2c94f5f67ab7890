//! From a file that an application may be known by to the application, its version and its parts.

use std::io::Read as _;

use memchr::memmem;
use muster_core::application::WebApplication;
use muster_core::fact::{Obstacle, Reading};
use regex_lite::Regex;

use crate::catalogue::{Application, Part, Sign, Version};
use crate::root::{EntryKind, Root, Spotted};

/// Bytes of a file by which an application is recognised, or that holds its version.
const MAX_SIGN: u64 = 256 << 10;
/// Bytes of a file of a part.
const MAX_PART: u64 = 8 << 10;
/// Bytes of a JSON file.
const MAX_JSON: u64 = 1 << 20;
/// Bytes of an archive that is looked into.
const MAX_ZIP: u64 = 256 << 20;
/// Parts of one kind in one copy.
const MAX_PARTS: usize = 2000;
/// Files of a part that are looked at.
const MAX_FILES: usize = 40;
/// Characters of a version.
const MAX_VERSION: usize = 64;

/// Recognises an application in a folder, by the first of its signs that fits, and its parts.
pub(super) fn application(
    root: &dyn Root,
    known: &'static Application,
    folder: &str,
    spotted: &[(usize, &Spotted)],
    found: &mut Vec<WebApplication>,
    obstacles: &mut Vec<Obstacle>,
) {
    for (sign, spotted) in spotted {
        let Some(sign) = known.signs.get(*sign) else { continue };
        let bytes = match fits(root, sign, folder, &spotted.path) {
            Reading::Found(bytes) => bytes,
            Reading::Absent => continue,
            Reading::Unknown(obstacle) => {
                obstacles.push(obstacle);
                continue;
            }
        };
        let (version, evidence) =
            version_of(root, sign.versions, folder, &spotted.path, &bytes, MAX_SIGN);
        found.push(WebApplication {
            path: if folder.is_empty() { "/".into() } else { folder.into() },
            product: known.product.into(),
            version,
            evidence,
            ..WebApplication::default()
        });
        for part in known.parts {
            parts(root, known, part, folder, found, obstacles);
        }
        return;
    }
}

/// Returns the head of a sign's file where all of the sign is there.
fn fits(root: &dyn Root, sign: &Sign, folder: &str, path: &str) -> Reading<Vec<u8>> {
    if !sign.beside.iter().all(|path| root.is_there(&format!("{folder}/{path}"))) {
        return Reading::Absent;
    }
    if sign.is_name() {
        return Reading::Found(Vec::new());
    }
    match head(root, path, MAX_SIGN) {
        Reading::Found(bytes) if holds(&bytes, sign.holds) => Reading::Found(bytes),
        Reading::Found(_) => Reading::Absent,
        other => other,
    }
}

fn holds(bytes: &[u8], texts: &[&str]) -> bool {
    texts.iter().all(|text| memmem::find(bytes, text.as_bytes()).is_some())
}

/// Reads the beginning of a file.
pub(super) fn head(root: &dyn Root, path: &str, limit: u64) -> Reading<Vec<u8>> {
    let content = match root.open(path) {
        Reading::Found(content) => content,
        Reading::Absent => return Reading::Absent,
        // A directory or a FIFO of that name is not the file that is looked for.
        Reading::Unknown(_) if matches!(root.look(path), Reading::Found(look) if look.kind != EntryKind::File) =>
        {
            return Reading::Absent;
        }
        Reading::Unknown(obstacle) => return Reading::Unknown(obstacle),
    };
    let mut bytes = Vec::new();
    match content.take(limit).read_to_end(&mut bytes) {
        Ok(_) => Reading::Found(bytes),
        Err(error) => Reading::Unknown(Obstacle::new(path, format!("cannot be read: {error}"))),
    }
}

/// Returns the version by the first way that gives one, and the file that holds it; else the file of the sign.
fn version_of(
    root: &dyn Root,
    versions: &[Version],
    folder: &str,
    sign: &str,
    bytes: &[u8],
    limit: u64,
) -> (Option<String>, String) {
    for version in versions {
        let path = version.file.map_or_else(|| sign.to_owned(), |file| format!("{folder}/{file}"));
        let own;
        let bytes = if path == sign && version.zip.is_none() && version.json.is_none() {
            bytes
        } else {
            let limit = if version.json.is_some() { MAX_JSON } else { limit };
            let read = match version.zip {
                Some(member) => member_of_zip(root, &path, member),
                None => head(root, &path, limit).found().cloned(),
            };
            let Some(read) = read else { continue };
            own = read;
            &own
        };
        if let Some(found) = extract(version, bytes) {
            return (Some(found), path);
        }
    }
    (None, sign.to_owned())
}

/// Finds the version in the bytes of a file.
fn extract(version: &Version, bytes: &[u8]) -> Option<String> {
    let text = match version.json {
        Some(pointer) => {
            let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
            match value.pointer(pointer)? {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Number(number) => number.to_string(),
                _ => return None,
            }
        }
        None => {
            // A long file of another sort is passed over without the machinery of expressions.
            let from = match version.begins {
                "" => 0,
                begins => memmem::find(bytes, begins.as_bytes())?,
            };
            String::from_utf8_lossy(bytes.get(from..)?).into_owned()
        }
    };
    let found = match version.pattern {
        None => text.trim().to_owned(),
        Some(pattern) => {
            let pattern = Regex::new(pattern).expect("the build script has compiled it");
            let captures = pattern.captures(&text)?;
            let groups: Vec<&str> =
                captures.iter().skip(1).flatten().map(|group| group.as_str()).collect();
            groups.join(version.join)
        }
    };
    let is_version = !found.is_empty()
        && found.chars().count() <= MAX_VERSION
        && found.chars().any(|c| c.is_ascii_digit())
        && !found.chars().any(char::is_control);
    is_version.then_some(found)
}

/// Reads a member of a zip, by its directory at the end (APPNOTE.TXT 4.3): stored or deflated, and small.
fn member_of_zip(root: &dyn Root, path: &str, member: &str) -> Option<Vec<u8>> {
    use std::io::SeekFrom;

    const TAIL: u64 = 66_000;
    let Reading::Found(mut zip) = root.open(path) else { return None };
    let size = zip.size();
    if size > MAX_ZIP {
        return None;
    }
    let mut read = |from: u64, length: u64| -> Option<Vec<u8>> {
        zip.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = Vec::new();
        (&mut *zip).take(length).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    let start = size.saturating_sub(TAIL);
    let tail = read(start, TAIL)?;
    let end = tail.get(memmem::rfind(&tail, b"PK\x05\x06")?..)?;
    let u32_at = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let u16_at = |bytes: &[u8], at: usize| -> Option<u16> {
        Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
    };
    let (length, from) = (u32_at(end, 12)?, u32_at(end, 16)?);
    let directory = read(from.into(), u64::from(length).min(8 << 20))?;
    let mut at = 0;
    while let Some(entry) = directory.get(at..).filter(|e| e.starts_with(b"PK\x01\x02")) {
        let name_length = usize::from(u16_at(entry, 28)?);
        let name = entry.get(46..46 + name_length)?;
        if name == member.as_bytes() {
            let method = u16_at(entry, 10)?;
            let packed = u64::from(u32_at(entry, 20)?).min(MAX_SIGN);
            let header = u64::from(u32_at(entry, 42)?);
            let local = read(header, 30)?;
            let skip = 30 + u64::from(u16_at(&local, 26)?) + u64::from(u16_at(&local, 28)?);
            let data = read(header + skip, packed)?;
            let mut bytes = Vec::new();
            match method {
                0 => bytes = data,
                8 => {
                    flate2::read::DeflateDecoder::new(&*data)
                        .take(MAX_SIGN)
                        .read_to_end(&mut bytes)
                        .ok()?;
                }
                _ => return None,
            }
            return Some(bytes);
        }
        let more = usize::from(u16_at(entry, 30)?) + usize::from(u16_at(entry, 32)?);
        at += 46 + name_length + more;
    }
    None
}

/// Finds the parts of one kind.
fn parts(
    root: &dyn Root,
    known: &Application,
    part: &'static Part,
    folder: &str,
    found: &mut Vec<WebApplication>,
    obstacles: &mut Vec<Obstacle>,
) {
    let place = if part.folder.is_empty() {
        folder.to_owned()
    } else {
        format!("{folder}/{}", part.folder)
    };
    let entries = match root.list(&place) {
        Reading::Found(entries) => entries,
        Reading::Absent => return,
        Reading::Unknown(obstacle) => {
            obstacles.push(obstacle);
            return;
        }
    };
    let wanted = if part.files.is_empty() { EntryKind::File } else { EntryKind::Directory };
    let mut count = 0;
    for entry in entries.iter().filter(|e| e.kind == wanted) {
        let Some(slug) = starred(part.star, &entry.name) else { continue };
        count += 1;
        if count > MAX_PARTS {
            let why = format!("has more than {MAX_PARTS} entries; the rest was not looked at");
            obstacles.push(Obstacle::new(place, why));
            return;
        }
        let path = format!("{place}/{}", entry.name);
        let Some((version, evidence)) = part_at(root, part, &path) else { continue };
        found.push(WebApplication {
            path,
            product: slug.to_lowercase(),
            part_of: Some(known.product.into()),
            part: Some(part.kind.into()),
            version,
            evidence,
            ..WebApplication::default()
        });
    }
}

/// Looks at a part: its own file, or the first of its files that holds what it must.
fn part_at(root: &dyn Root, part: &Part, path: &str) -> Option<(Option<String>, String)> {
    let look = |file: &str| -> Option<(Option<String>, String)> {
        let bytes = head(root, file, MAX_PART).found().cloned()?;
        holds(&bytes, part.holds)
            .then(|| version_of(root, part.versions, path, file, &bytes, MAX_PART))
    };
    if part.files.is_empty() {
        return look(path);
    }
    let mut without = None;
    for pattern in part.files {
        let (above, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        let folder = if above.is_empty() { path.to_owned() } else { format!("{path}/{above}") };
        let names: Vec<String> = if last.contains('*') {
            let Reading::Found(entries) = root.list(&folder) else { continue };
            let files = entries.into_iter().filter(|e| e.kind == EntryKind::File);
            files.map(|e| e.name).filter(|n| starred(last, n).is_some()).take(MAX_FILES).collect()
        } else {
            vec![last.to_owned()]
        };
        for name in names {
            match look(&format!("{folder}/{name}")) {
                Some((Some(version), evidence)) => return Some((Some(version), evidence)),
                Some(none) => without = without.or(Some(none)),
                None => {}
            }
        }
    }
    without
}

/// Returns what the star of a pattern stands for in a name.
fn starred<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let (before, after) = pattern.split_once('*')?;
    name.strip_prefix(before)?.strip_suffix(after).filter(|slug| !slug.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(pattern: &'static str, begins: &'static str) -> Version {
        Version { file: None, pattern: Some(pattern), begins, join: ".", json: None, zip: None }
    }

    #[test]
    fn a_version_is_what_the_groups_capture() {
        let joomla = version(r"RELEASE = '([\d.]+)'(?s:.*)DEV_LEVEL = '(\d+)'", "RELEASE = '");
        assert_eq!(
            extract(&joomla, b"x RELEASE = '1.5';\n DEV_LEVEL = '26';").as_deref(),
            Some("1.5.26")
        );
        assert_eq!(extract(&joomla, b"RELEASE = 'x'"), None);
        assert_eq!(
            extract(&version("v(.*)", ""), b"v\x1b[31m1"),
            None,
            "nothing that a terminal obeys"
        );
        assert_eq!(extract(&version("v(.*)", ""), b"vnone"), None, "a version has a digit");
    }

    /// 16 KiB that come as near to a pattern as they can: no pattern of the catalogue takes longer than its length allows.
    #[test]
    fn no_pattern_is_slow() {
        const LENGTH: usize = 16 << 10;
        let mut slowest = (std::time::Duration::ZERO, "");
        for known in crate::catalogue::APPLICATIONS {
            let of_parts = known.parts.iter().flat_map(|p| p.versions);
            let versions = known.signs.iter().flat_map(|s| s.versions).chain(of_parts);
            for version in versions {
                let Some(pattern) = version.pattern else { continue };
                for text in [
                    version.begins.repeat(LENGTH / (version.begins.len() + 1)),
                    format!("{}{}", version.begins, "1.".repeat(LENGTH / 2)),
                    format!("{}{}", version.begins, " ".repeat(LENGTH)),
                    format!("{}{}", version.begins, "\n".repeat(LENGTH)),
                ] {
                    let clock = muster_sandbox::monotonic();
                    extract(version, text.as_bytes());
                    slowest = slowest.max((muster_sandbox::monotonic() - clock, pattern));
                }
            }
        }
        assert!(slowest.0.as_secs() < 10, "{slowest:?}");
    }

    #[test]
    fn a_zip_that_lies_costs_no_more_than_is_looked_at() {
        use crate::inspectors::apt::testing::Files;

        let entry = |name_length: u16, from: u32| {
            let mut bytes = b"PK\x01\x02".to_vec();
            bytes.resize(46, 0);
            bytes[28..30].copy_from_slice(&name_length.to_le_bytes());
            bytes[42..46].copy_from_slice(&from.to_le_bytes());
            bytes
        };
        let zip = |directory: &[u8], length: u32, from: u32| {
            let mut bytes = directory.to_vec();
            bytes.extend(b"PK\x05\x06");
            bytes.extend([0; 8]);
            bytes.extend(length.to_le_bytes());
            bytes.extend(from.to_le_bytes());
            bytes.extend([0; 2]);
            bytes
        };
        let named = [entry(1, 0), b"m".to_vec()].concat();
        for bytes in [
            Vec::new(),
            b"PK\x05\x06".to_vec(),
            zip(&[], u32::MAX, u32::MAX),
            zip(&entry(u16::MAX, 0), 46, 0),
            // Its member is the directory itself, and its lengths are those of nothing.
            zip(&named, 47, 0),
            zip(&[entry(1, u32::MAX), b"m".to_vec()].concat(), 47, 0),
            // A directory that says to begin anew for ever.
            zip(&entry(0, 0).repeat(50_000), 46 * 50_000, 0),
        ] {
            let mut files = Files::default();
            files.put("x.war", &bytes);
            let told = member_of_zip(&files, "/x.war", "m");
            assert!(told.is_none_or(|t| t.len() as u64 <= MAX_SIGN));
        }
    }

    #[test]
    fn a_star_stands_for_something() {
        assert_eq!(starred("*", "akismet"), Some("akismet"));
        assert_eq!(starred("*.php", "hello.php"), Some("hello"));
        assert_eq!(starred("*.php", ".php"), None);
        assert_eq!(starred("mod_*", "mod_x"), Some("x"));
    }
}
