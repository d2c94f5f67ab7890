//! The feeds of the shared data: which they are, and how large they are unpacked.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::repository::name_of;

/// What is no feed: answers to compare with, a page about the data, and samples that are broken on purpose.
const LEFT_OUT: [&str; 4] = ["greenbone", "expected", "README", "format-samples"];

/// Returns every feed below a folder, in order.
pub fn of(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if !LEFT_OUT.iter().any(|l| name_of(&path).contains(l)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Returns how many bytes they come to, unpacked.
pub fn unpacked_bytes(feeds: &[PathBuf]) -> anyhow::Result<u64> {
    feeds.iter().map(|f| unpacked(f)).sum()
}

fn unpacked(path: &Path) -> anyhow::Result<u64> {
    if path.extension().is_none_or(|e| e != "zst") {
        return Ok(fs::metadata(path)?.len());
    }
    let mut unpack = Command::new("zstd")
        .arg("-dcq")
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run zstd")?;
    let mut output = unpack.stdout.take().context("its output was asked for")?;
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        match output.read(&mut buffer)? {
            0 => break,
            read => total += read as u64,
        }
    }
    if !unpack.wait()?.success() {
        bail!("zstd cannot unpack {}", path.display());
    }
    Ok(total)
}

#[derive(Deserialize)]
struct Built {
    releases: Vec<Release>,
}

/// A release in a compiled file.
#[derive(Debug, Deserialize)]
pub struct Release {
    /// Its id: `debian:12`.
    pub id: String,
    /// The bytes that matching reads.
    pub bytes: u64,
}

/// Returns the release with the largest part, by the summary of `muster feed build`.
pub fn largest_release(summary: &[u8]) -> anyhow::Result<Release> {
    let built: Built =
        serde_json::from_slice(summary).context("`muster feed build` wrote no summary")?;
    built.releases.into_iter().max_by_key(|r| r.bytes).context("the compiled file has no release")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oracles_are_no_feeds() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.osv.ndjson", "usn-binary-greenbone-1.ndjson", "expected.json", "b.tsv"] {
            fs::write(folder.path().join(name), "12345").unwrap();
        }
        let feeds = of(folder.path()).unwrap();
        let names: Vec<_> = feeds.iter().map(|f| name_of(f)).collect();
        assert_eq!(names, ["a.osv.ndjson", "b.tsv"]);
        assert_eq!(unpacked_bytes(&feeds).unwrap(), 10);
    }

    #[test]
    fn the_largest_release_is_told() {
        let summary = br#"{"releases":[{"id":"debian:12","advisories":2,"bytes":7},{"id":"ubuntu:22.04","bytes":9}]}"#;
        assert_eq!(largest_release(summary).unwrap().id, "ubuntu:22.04");
    }
}
