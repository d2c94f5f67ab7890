//! Indices of archives, kept by their SHA-256 from one inspection to the next, so that each travels once.
//!
//! Content is filed under the digest that was computed here, never under one that a server claimed. What a file of an archive
//! names, whose OpenPGP signature gpgv(1) finds good by the keyrings that are trusted here, is the same for every server; anything
//! else serves the server that it came from. A file that is not what its name says is removed when it is met.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
use sha2::{Digest as _, Sha256};

use super::Trouble;
use crate::digest::{feed, feed_and_copy, hex};

/// Bytes that are kept in all; what was not used for the longest time goes.
const MAX_KEPT: u64 = 1 << 30;
/// Bytes of one file of an archive with signed digests.
const MAX_RELEASE: u64 = 4 << 20;
/// How long one line of a second answer is.
const MAX_LINE: u64 = 1000;

const BEGINS: &[u8] = b"muster sends 1\n";
const ENDS: &[u8] = b"muster has sent 1\n";

/// Indices that were met before.
#[derive(Debug)]
pub struct Indices {
    /// Nothing: none are kept.
    folder: Option<PathBuf>,
    /// Where files without a name are made.
    temporary: PathBuf,
    /// Where the keys lie that archives may be signed with.
    trusted: Vec<PathBuf>,
    /// Those that were held against their names in this run.
    checked: HashSet<PathBuf>,
}

impl Indices {
    /// Keeps them in a folder, which is made when it is needed; in none without one. `trusted` are folders of keyrings.
    pub fn new(folder: Option<PathBuf>, temporary: PathBuf, trusted: Vec<PathBuf>) -> Self {
        Self { folder, temporary, trusted, checked: HashSet::new() }
    }

    /// Returns the content with a digest, if a server may be given it.
    pub fn find(&mut self, server: &str, digest: &str) -> Option<File> {
        let folder = self.folder.clone()?;
        [shared(&folder), own(&folder, server)].iter().find_map(|below| {
            let path = below.join(digest);
            let mut file = File::open(&path).ok()?;
            if !self.checked.contains(&path) {
                if sha256(&mut file).ok()? != digest {
                    let _it_is_asked_for_again = fs::remove_file(&path);
                    return None;
                }
                self.checked.insert(path);
            }
            // The day of its last use decides who goes first.
            let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
            let used = Timestamps { last_access: now, last_modification: now };
            let _read_only_is_fine = rustix::fs::futimens(&file, &used);
            Some(file)
        })
    }

    /// Takes a second answer: the files that were asked for, by their paths, with the digest of each. Files with signed
    /// digests vouch for the others, and are not given back.
    pub fn take(
        &mut self,
        server: &str,
        answer: File,
        wanted: &BTreeSet<String>,
    ) -> Result<Vec<(String, File)>, Trouble> {
        let brought = read(answer, wanted, &self.temporary)?;
        let mut vouched: BTreeSet<String> = BTreeSet::new();
        let (releases, indices): (Vec<_>, Vec<_>) =
            brought.into_iter().partition(|one| one.path.ends_with("InRelease"));
        if self.folder.is_some() && !indices.is_empty() {
            let keyrings = keyrings(&self.trusted);
            for release in releases {
                vouched.extend(signed_digests(release.content, &keyrings));
            }
        }
        let mut taken = Vec::new();
        for index in indices {
            if let Some(folder) = &self.folder {
                let is_shared = vouched.contains(&index.digest);
                let below = if is_shared { shared(folder) } else { own(folder, server) };
                // Where nothing can be kept, it travels again.
                let _not_kept = keep(&below, &index);
            }
            taken.push((index.path, index.content));
        }
        if let Some(folder) = &self.folder {
            make_room(folder, MAX_KEPT);
        }
        Ok(taken)
    }
}

fn shared(folder: &Path) -> PathBuf {
    folder.join("signed")
}

/// A server is any text; its folder is named by a digest of that.
fn own(folder: &Path, server: &str) -> PathBuf {
    folder.join("of").join(hex(Sha256::new().chain_update(server)))
}

/// A file that a server sent.
struct Brought {
    path: String,
    digest: String,
    content: File,
}

/// Reads a second answer: lines with a length and a path, each with that many bytes behind it.
fn read(
    mut answer: File,
    wanted: &BTreeSet<String>,
    temporary: &Path,
) -> Result<Vec<Brought>, Trouble> {
    /// Bytes that a server may say at a login.
    const MAX_NOISE: u64 = 64 << 10;
    let broken = |_| Trouble::Dropped;
    answer.rewind().map_err(broken)?;
    let mut answer = BufReader::with_capacity(1 << 16, answer);
    let mut said = 0;
    loop {
        let line = line(&mut answer).map_err(broken)?;
        said += line.len() as u64;
        if line == BEGINS {
            break;
        }
        if line.is_empty() || said > MAX_NOISE {
            return Err(Trouble::Dropped);
        }
    }
    let mut brought = Vec::new();
    let mut met = BTreeSet::new();
    loop {
        let line = line(&mut answer).map_err(broken)?;
        if line == ENDS {
            return Ok(brought);
        }
        let text = std::str::from_utf8(&line).ok().and_then(|l| l.strip_suffix('\n'));
        let told = text.and_then(|text| text.split_once(' '));
        let Some((length, path)) = told else { return Err(Trouble::Dropped) };
        let Ok(length) = length.parse::<u64>() else { return Err(Trouble::Dropped) };
        if !wanted.contains(path) || !met.insert(path.to_owned()) {
            return Err(Trouble::Dropped);
        }
        let mut content = super::nameless(temporary)?;
        let mut hash = Sha256::new();
        let mut part = (&mut answer).take(length);
        let copied = feed_and_copy(&mut part, &mut hash, &mut content).map_err(|error| {
            Trouble::Here(format!("an index cannot be kept in {}: {error}", temporary.display()))
        })?;
        if copied != length || self::line(&mut answer).map_err(broken)? != b"\n" {
            return Err(Trouble::Dropped);
        }
        content.rewind().map_err(broken)?;
        brought.push(Brought { path: path.to_owned(), digest: hex(hash), content });
    }
}

fn line(answer: &mut BufReader<File>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    answer.take(MAX_LINE).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn sha256(file: &mut File) -> io::Result<String> {
    let mut hash = Sha256::new();
    file.rewind()?;
    feed(file, &mut hash)?;
    file.rewind()?;
    Ok(hex(hash))
}

/// Files content under its digest, whole or not at all.
fn keep(below: &Path, index: &Brought) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(below)?;
    let mut temporary = tempfile::NamedTempFile::new_in(below)?;
    let mut content = index.content.try_clone()?;
    io::copy(&mut content, &mut temporary)?;
    content.rewind()?;
    temporary.persist(below.join(&index.digest))?;
    Ok(())
}

/// Removes what was not used for the longest time, until no more than `most` bytes are left.
fn make_room(folder: &Path, most: u64) {
    let mut kept = Vec::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                ahead.push(entry.path());
            } else if let Ok(used) = metadata.modified() {
                kept.push((used, metadata.len(), entry.path()));
            }
        }
    }
    kept.sort();
    let mut all: u64 = kept.iter().map(|(_, length, _)| length).sum();
    for (_, length, path) in kept {
        if all <= most {
            return;
        }
        if fs::remove_file(path).is_ok() {
            all -= length;
        }
    }
}

/// Returns the digests of SHA-256 in a clear-signed text that gpgv(1) finds signed by a key of these keyrings.
fn signed_digests(mut release: File, keyrings: &[PathBuf]) -> BTreeSet<String> {
    let mut text = Vec::new();
    let read = release.rewind().and_then(|()| release.take(MAX_RELEASE).read_to_end(&mut text));
    if read.is_err() || keyrings.is_empty() || !is_one_message(&text) {
        return BTreeSet::new();
    }
    let mut gpgv = Command::new("gpgv");
    for keyring in keyrings {
        gpgv.arg("--keyring").arg(keyring);
    }
    gpgv.args(["--status-fd", "2", "--output", "-"]).stderr(Stdio::piped());
    // Without gpgv nothing is vouched for.
    let Some(verified) = fed(&mut gpgv, &text) else { return BTreeSet::new() };
    // An archive signs with several keys, of which not every machine knows all: one that is good suffices.
    let said = String::from_utf8_lossy(&verified.stderr);
    let has = |word: &str| {
        said.lines().any(|line| {
            line.strip_prefix("[GNUPG:] ").is_some_and(|line| line.split(' ').next() == Some(word))
        })
    };
    if !has("GOODSIG") || !has("VALIDSIG") || has("BADSIG") {
        return BTreeSet::new();
    }
    let text = String::from_utf8_lossy(&verified.stdout);
    let words = text.split_ascii_whitespace();
    let is_digest = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    words.filter(is_digest).map(str::to_ascii_lowercase).collect()
}

/// Runs a program with a text on its input, and waits for its end.
fn fed(program: &mut Command, text: &[u8]) -> Option<Output> {
    let mut input = tempfile::tempfile().ok()?;
    input.write_all(text).and_then(|()| input.rewind()).ok()?;
    program.stdin(Stdio::from(input)).output().ok()
}

/// Tells whether a text is one clear-signed message and nothing else: of several, one signature would speak for all.
fn is_one_message(text: &[u8]) -> bool {
    let marks =
        |mark: &[u8]| text.split(|b| *b == b'\n').filter(|line| line.starts_with(mark)).count();
    text.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----\n")
        && marks(b"-----BEGIN PGP SIGNED") == 1
        && marks(b"-----BEGIN PGP") == 2
        && marks(b"-----END PGP") == 1
        && text.trim_ascii_end().ends_with(b"-----END PGP SIGNATURE-----")
}

/// Returns the keyrings in folders, in the form that gpgv reads.
fn keyrings(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut keyrings: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "gpg" || e == "pgp"))
        .collect();
    keyrings.sort();
    keyrings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_signature_speaks_for_one_message() {
        let one = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: x\n-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n";
        assert!(is_one_message(one.as_bytes()));
        for bent in [
            format!("{one}{one}"),
            format!("SHA256:\n{one}"),
            format!("{one}SHA256:\n"),
            one.replace("-----END PGP SIGNATURE-----\n", ""),
            one.replace("Suite: x", "-----BEGIN PGP SIGNED MESSAGE-----\n\nSuite: x"),
        ] {
            assert!(!is_one_message(bent.as_bytes()), "{bent}");
        }
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        for (number, name) in ["a", "b", "c"].iter().enumerate() {
            let path = folder.path().join(name);
            fs::write(&path, [0; 100]).unwrap();
            let used = Timespec { tv_sec: 1000 + number as i64, tv_nsec: 0 };
            let used = Timestamps { last_access: used, last_modification: used };
            rustix::fs::futimens(File::open(&path).unwrap(), &used).unwrap();
        }
        make_room(folder.path(), 250);
        assert!(!folder.path().join("a").exists() && folder.path().join("b").exists());
    }
}
