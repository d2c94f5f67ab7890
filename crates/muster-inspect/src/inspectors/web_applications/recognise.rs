//! From a file that an application may be known by to the application, its version and its parts.

use std::collections::BTreeSet;
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
const MAX_PART: u64 = 64 << 10;
/// Bytes of a JSON file.
const MAX_JSON: u64 = 1 << 20;
/// Bytes of an archive that is looked into.
const MAX_ZIP: u64 = 256 << 20;
/// Parts of one kind in one copy.
const MAX_PARTS: usize = 2000;
/// Files of a part that are looked at.
const MAX_FILES: usize = 200;
/// Characters of a version.
const MAX_VERSION: usize = 64;

/// What comes of looking at applications, one after the other.
#[derive(Default)]
pub(super) struct Found {
    pub(super) applications: Vec<WebApplication>,
    pub(super) obstacles: Vec<Obstacle>,
    /// Where parts were looked for, with links followed.
    looked_in: BTreeSet<(&'static str, String)>,
}

/// Recognises an application in a folder, by the first of its signs that fits, and its parts.
pub(super) fn application(
    root: &dyn Root,
    known: &'static Application,
    spotted: &[(usize, &Spotted)],
    found: &mut Found,
) {
    for (sign, spotted) in spotted {
        let Some(sign) = known.signs.get(*sign) else { continue };
        let folder = &*spotted.folder;
        let Some(bytes) = fits(root, known, sign, spotted, &mut found.obstacles) else { continue };
        let (version, evidence) =
            version_of(root, sign.versions, folder, &spotted.path, &bytes, MAX_SIGN);
        let path = match sign.home {
            Some(home) => format!("{folder}/{home}"),
            None if sign.itself => spotted.path.clone(),
            None if folder.is_empty() => "/".to_owned(),
            None => folder.to_owned(),
        };
        found.applications.push(WebApplication {
            path,
            product: known.product.into(),
            version,
            evidence,
            ..WebApplication::default()
        });
        let mut told = BTreeSet::new();
        for part in known.parts {
            for place in places(root, part, folder) {
                found.looked_in.insert((known.product, super::without_links(root, &place)));
                parts(root, known, part, &place, &mut told, found);
            }
        }
        return;
    }
}

/// Looks for parts in a folder where they lie apart from their application: what this one reaches by a link is told there.
pub(super) fn apart(root: &dyn Root, known: &'static Application, folder: &str, found: &mut Found) {
    let (mut told, mut own) = (BTreeSet::new(), BTreeSet::new());
    for part in known.parts.iter().filter(|part| !part.tails.is_empty()) {
        for place in places(root, part, folder) {
            let real = (known.product, super::without_links(root, &place));
            if !found.looked_in.contains(&real) {
                own.insert(real);
                parts(root, known, part, &place, &mut told, found);
            }
        }
    }
    found.looked_in.append(&mut own);
}

/// Returns the head of a sign's file where all of the sign is there; nothing of it where what lies beside tells it alone.
fn fits(
    root: &dyn Root,
    known: &Application,
    sign: &Sign,
    spotted: &Spotted,
    obstacles: &mut Vec<Obstacle>,
) -> Option<Vec<u8>> {
    let is_there = |path: &&str| root.is_there(&format!("{}/{path}", spotted.folder));
    if !sign.beside.iter().all(is_there) {
        return None;
    }
    if sign.is_name() {
        return Some(Vec::new());
    }
    let path = &*spotted.path;
    match head(root, path, MAX_SIGN) {
        Reading::Found(bytes) if speaks(&bytes, sign.holds, sign.matches, sign.lacks) => {
            return Some(bytes);
        }
        Reading::Found(bytes) if is_longer(root, path, &bytes) => {
            let why = format!(
                "is longer than the {MAX_SIGN} bytes that are read, and these do not tell whether it is of {}; look at the file",
                known.product
            );
            obstacles.push(Obstacle::new(path, why));
        }
        Reading::Found(_) => {}
        Reading::Absent => return None,
        Reading::Unknown(obstacle) => obstacles.push(obstacle),
    }
    (!sign.sure.is_empty() && sign.sure.iter().all(is_there)).then(Vec::new)
}

/// Tells whether a file goes on behind its head.
fn is_longer(root: &dyn Root, path: &str, head: &[u8]) -> bool {
    let read = head.len() as u64;
    read >= MAX_SIGN && matches!(root.open(path), Reading::Found(file) if file.size() > read)
}

/// Tells whether a file says what it must, and nothing that it must not.
fn speaks(bytes: &[u8], holds: &[&str], matches: &[&str], lacks: &[&str]) -> bool {
    let has = |text: &&str| memmem::find(bytes, text.as_bytes()).is_some();
    if !holds.iter().all(has) || lacks.iter().any(has) {
        return false;
    }
    if matches.is_empty() {
        return true;
    }
    let text = String::from_utf8_lossy(bytes);
    matches.iter().all(|pattern| expression(pattern).is_match(&text))
}

fn expression(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the build script has compiled it")
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
            let captures = expression(pattern).captures(&text)?;
            let groups: Vec<&str> =
                captures.iter().skip(1).flatten().map(|group| group.as_str()).collect();
            groups.join(version.join)
        }
    };
    let found = with_pre(&found, version, &text);
    let is_version = !found.is_empty()
        && found.chars().count() <= MAX_VERSION
        && found.chars().any(|c| c.is_ascii_digit())
        && !found.chars().any(char::is_control);
    is_version.then_some(found)
}

/// Writes a version in one word, with what makes it a pre-release: `2.1 RC3` is `2.1-RC3`.
fn with_pre(found: &str, version: &Version, text: &str) -> String {
    let mut words = found.split_whitespace();
    let mut whole = words.next().unwrap_or_default().to_owned();
    let mut add = |word: &str| {
        if !word.is_empty() && !whole.to_lowercase().ends_with(&word.to_lowercase()) {
            whole.push_str(version.joint);
            whole.push_str(word.trim_start_matches(['-', '.', '_']));
        }
    };
    add(&words.collect::<String>());
    if let Some(captures) = version.pre.and_then(|pre| expression(pre).captures(text)) {
        let pre: String = captures.iter().skip(1).flatten().map(|g| g.as_str()).collect();
        add(&pre.split_whitespace().collect::<String>().to_lowercase());
    }
    whole
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

/// Returns the folders in which parts of one kind may lie.
fn places(root: &dyn Root, part: &Part, folder: &str) -> Vec<String> {
    let mut places = vec![folder.to_owned()];
    for name in part.folder.split('/').filter(|name| !name.is_empty()) {
        if !name.contains('*') {
            places.iter_mut().for_each(|place| *place = format!("{place}/{name}"));
            continue;
        }
        let mut below = Vec::new();
        for place in places {
            let entries = root.list(&place).found().cloned().unwrap_or_default();
            let fits = entries.iter().filter(|e| e.kind != EntryKind::File);
            let fits = fits.filter(|e| starred(name, &e.name).is_some());
            below.extend(fits.map(|e| format!("{place}/{}", e.name)));
        }
        below.truncate(MAX_PARTS);
        places = below;
    }
    places
}

/// Finds the parts of one kind in a folder.
fn parts(
    root: &dyn Root,
    known: &'static Application,
    part: &'static Part,
    place: &str,
    told: &mut BTreeSet<String>,
    found: &mut Found,
) {
    let entries = match root.list(place) {
        Reading::Found(entries) => entries,
        Reading::Absent => return,
        Reading::Unknown(obstacle) => {
            found.obstacles.push(obstacle);
            return;
        }
    };
    let wanted = if part.files.is_empty() { EntryKind::File } else { EntryKind::Directory };
    let mut ahead: Vec<(String, bool)> = entries
        .into_iter()
        .rev()
        .filter(|e| e.kind == wanted)
        .map(|e| (format!("{place}/{}", e.name), part.nested))
        .collect();
    let mut count = 0;
    while let Some((path, may_nest)) = ahead.pop() {
        let name = path.rsplit_once('/').map_or("", |(_, name)| name);
        let Some(slug) = starred(part.star, name).map(str::to_lowercase) else { continue };
        count += 1;
        if count > MAX_PARTS {
            let why = format!("has more than {MAX_PARTS} entries; the rest was not looked at");
            found.obstacles.push(Obstacle::new(place, why));
            return;
        }
        if told.contains(&path) {
            continue;
        }
        let Some((version, evidence)) = part_at(root, part, &path, &slug, &mut found.obstacles)
        else {
            if may_nest && let Reading::Found(below) = root.list(&path) {
                let below = below.into_iter().rev().filter(|e| e.kind == wanted);
                ahead.extend(below.map(|e| (format!("{path}/{}", e.name), false)));
            }
            continue;
        };
        told.insert(path.clone());
        found.applications.push(WebApplication {
            path,
            product: slug,
            part_of: Some(known.product.into()),
            part: Some(part.kind.into()),
            version,
            evidence,
            ..WebApplication::default()
        });
    }
}

/// Looks at a part: its own file, or the first of its files that holds what it must.
fn part_at(
    root: &dyn Root,
    part: &Part,
    path: &str,
    slug: &str,
    obstacles: &mut Vec<Obstacle>,
) -> Option<(Option<String>, String)> {
    let look = |file: &str| -> Option<(Option<String>, String)> {
        let bytes = head(root, file, MAX_PART).found().cloned()?;
        speaks(&bytes, part.holds, part.matches, part.lacks)
            .then(|| version_of(root, part.versions, path, file, &bytes, MAX_PART))
    };
    if part.files.is_empty() {
        return look(path);
    }
    let mut without = None;
    for pattern in part.files {
        let (above, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        let folder = if above.is_empty() { path.to_owned() } else { format!("{path}/{above}") };
        let mut names: Vec<String> = if last.contains('*') {
            let Reading::Found(entries) = root.list(&folder) else { continue };
            let files = entries.into_iter().filter(|e| e.kind == EntryKind::File);
            files.map(|e| e.name).filter(|n| starred(last, n).is_some()).collect()
        } else {
            vec![(*last).to_owned()]
        };
        // Its own name is the likeliest.
        names.sort_by_key(|name| !name.to_lowercase().starts_with(slug));
        for name in names.iter().take(MAX_FILES) {
            match look(&format!("{folder}/{name}")) {
                Some((Some(version), evidence)) => return Some((Some(version), evidence)),
                Some(none) => without = without.or(Some(none)),
                None => {}
            }
        }
        if names.len() > MAX_FILES && without.is_none() {
            let why = format!(
                "has {} files that may tell what it is, and the first {MAX_FILES} do not; the rest was not looked at",
                names.len()
            );
            obstacles.push(Obstacle::new(folder, why));
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
        Version {
            file: None,
            pattern: Some(pattern),
            pre: None,
            joint: "-",
            begins,
            join: ".",
            json: None,
            zip: None,
        }
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
