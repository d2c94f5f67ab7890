//! A server and the facts about its distribution, made from a seed: a root of Debian 12 with 700 packages and no
//! archive indices, 33,000 advisory rows in the form of Debian's security tracker, and the same facts in the form
//! that debsecan downloads.
//!
//! The shares follow the real feed of early 2025: 2,983 sources, one row in ten without a fix, the kernel alone with
//! nearly a tenth of all rows, and a long tail of sources with one or two. Names and texts are made up.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::random::Random;

/// How much is made.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Where the generator begins.
    pub seed: u64,
    /// Installed packages.
    pub packages: usize,
    /// Advisory rows of the release: one for each vulnerability in each source.
    pub rows: usize,
    /// Sources that the rows spread over.
    pub sources: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { seed: 2007, packages: 700, rows: 33_000, sources: 2_983 }
    }
}

/// What was made, and where it lies.
#[derive(Debug)]
pub struct Made {
    /// The root of the server.
    pub root: PathBuf,
    /// The feed, in the form of Debian's tracker.
    pub tracker: PathBuf,
    /// The folder that debsecan is told to download from.
    pub debsecan: PathBuf,
}

/// A row: a vulnerability of a source, as it stands in the release.
#[derive(Debug)]
struct Row {
    cve: String,
    text: String,
    fixed: Option<String>,
    sid: String,
    urgency: &'static str,
    remote: bool,
}

#[derive(Debug)]
struct Source {
    name: String,
    current: String,
    rows: Vec<Row>,
}

/// The sources whose packages Muster maps to the kernel, as they stand on a Debian server with a signed image.
const KERNEL: &str = "linux";
const KERNEL_ROWS_PERCENT: usize = 9;
const UNFIXED_PERCENT: usize = 10;
/// Of a hundred installed sources, so many are as old as the release.
const AGED_PERCENT: usize = 20;
const SUITE: &str = "bookworm";

/// Makes everything below a folder.
pub fn generate(folder: &Path, size: Size) -> anyhow::Result<Made> {
    let mut random = Random::new(size.seed);
    let sources = sources(&mut random, size);
    let made = Made {
        root: folder.join("root"),
        tracker: folder.join("debian-tracker.json"),
        debsecan: folder.join("debsecan"),
    };
    write(&made.tracker, tracker(&sources).as_bytes())?;
    write(&made.debsecan.join(SUITE), &debsecan(&sources)?)?;
    write(
        &made.root.join("var/lib/dpkg/status"),
        status(&mut random, &sources, size.packages).as_bytes(),
    )?;
    let os = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
    write(&made.root.join("etc/os-release"), os.as_bytes())?;
    write(&made.root.join("etc/debian_version"), b"12.12\n")?;
    Ok(made)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn sources(random: &mut Random, size: Size) -> Vec<Source> {
    let mut sources =
        vec![Source { name: KERNEL.into(), current: "6.1.147-1".into(), rows: Vec::new() }];
    while sources.len() < size.sources.max(2) {
        let name = format!("{}{}", word(random), sources.len());
        let current = version(random);
        sources.push(Source { name, current, rows: Vec::new() });
    }
    for number in 0..size.rows {
        let at = if number < sources.len() {
            number
        } else if random.chance(KERNEL_ROWS_PERCENT) {
            0
        } else {
            // The product of two draws: few sources with many rows, many with few.
            let first = random.below(sources.len()) + 1;
            1 + random.below(first).min(random.below(first)) % (sources.len() - 1)
        };
        let row = row(random, number, &sources[at]);
        sources[at].rows.push(row);
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources
}

fn row(random: &mut Random, number: usize, source: &Source) -> Row {
    let year = 2005 + number % 21;
    let fixed = if random.chance(UNFIXED_PERCENT) { None } else { Some(fix(random, source)) };
    let mut text = String::new();
    for _ in 0..12 + random.below(24) {
        text.push_str(&word(random));
        text.push(' ');
    }
    Row {
        cve: format!("CVE-{year}-{:04}", 1000 + number),
        sid: format!("{}+sid1", source.current),
        text: text.trim_end().to_owned(),
        fixed,
        urgency: random.pick(&["not yet assigned", "low", "medium", "high", "unimportant"]),
        remote: random.chance(40),
    }
}

/// A fix at or before the current version: most rows are old, some were mended in the last security update.
fn fix(random: &mut Random, source: &Source) -> String {
    if source.name == KERNEL {
        return format!("6.1.{}-1", 5 + random.below(143));
    }
    match random.below(10) {
        0 => source.current.clone(),
        1 | 2 => format!("{}~{}", source.current, random.below(9)),
        _ => format!("0.{}-{}", 1 + random.below(9), 1 + random.below(4)),
    }
}

fn version(random: &mut Random) -> String {
    let epoch = if random.chance(8) { "1:" } else { "" };
    let suffix =
        if random.chance(40) { format!("+deb12u{}", 1 + random.below(9)) } else { String::new() };
    format!(
        "{epoch}{}.{}.{}-{}{suffix}",
        1 + random.below(12),
        random.below(40),
        random.below(30),
        1 + random.below(6)
    )
}

fn word(random: &mut Random) -> String {
    const BEGIN: [&str; 16] =
        ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "st", "gr", "pl"];
    const MIDDLE: [&str; 8] = ["a", "e", "i", "o", "u", "ai", "ou", "y"];
    (0..1 + random.below(3))
        .map(|_| format!("{}{}", random.pick(&BEGIN), random.pick(&MIDDLE)))
        .collect()
}

fn tracker(sources: &[Source]) -> String {
    let mut out = String::from("{");
    for (i, source) in sources.iter().filter(|s| !s.rows.is_empty()).enumerate() {
        out.push_str(if i == 0 { "" } else { "," });
        put(&mut out, format_args!("\"{}\":{{", source.name));
        for (j, row) in source.rows.iter().enumerate() {
            out.push_str(if j == 0 { "" } else { "," });
            let (status, fixed) = match &row.fixed {
                Some(version) => ("resolved", format!(",\"fixed_version\":\"{version}\"")),
                None => ("open", String::new()),
            };
            let scope = if row.remote { "remote" } else { "local" };
            put(
                &mut out,
                format_args!(
                    "\"{}\":{{\"description\":\"{}\",\"scope\":\"{scope}\",\"releases\":{{\
                 \"{SUITE}\":{{\"status\":\"{status}\",\"repositories\":{{\"{SUITE}\":\"{}\"}}{fixed},\"urgency\":\"{}\"}},\
                 \"sid\":{{\"status\":\"resolved\",\"repositories\":{{\"sid\":\"{}\"}},\"fixed_version\":\"{}\",\"urgency\":\"{}\"}}}}}}",
                    row.cve, row.text, source.current, row.urgency, row.sid, row.sid, row.urgency
                ),
            );
        }
        out.push('}');
    }
    out.push('}');
    out
}

/// Three lists after a line with the version: vulnerabilities; rows by place in the first list; binaries of sources.
/// A row's fourth field is what an installed version must not be below; empty: every version is affected.
fn debsecan(sources: &[Source]) -> anyhow::Result<Vec<u8>> {
    let mut names = String::from("VERSION 1\n");
    let mut rows = String::new();
    let mut binaries = String::new();
    let mut place = 0_usize;
    for source in sources {
        for row in &source.rows {
            put(&mut names, format_args!("{},,{}\n", row.cve, row.text));
            let urgency = match row.urgency {
                "low" => 'L',
                "medium" => 'M',
                "high" => 'H',
                _ => ' ',
            };
            let remote = if row.remote { 'R' } else { ' ' };
            let fix = if row.fixed.is_some() { 'F' } else { ' ' };
            let fixed = row.fixed.as_deref().unwrap_or_default();
            put(
                &mut rows,
                format_args!("{},{place},S{urgency}{remote}{fix},{fixed},\n", source.name),
            );
            place += 1;
        }
        let name = &source.name;
        let built = if name == KERNEL {
            "linux-libc-dev".into()
        } else {
            format!("{name} lib{name}-1 lib{name}-2")
        };
        put(&mut binaries, format_args!("{name},{built}\n"));
    }
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(format!("{names}\n{rows}\n{binaries}\n").as_bytes())?;
    packed.finish().context("cannot pack debsecan's table")
}

fn status(random: &mut Random, sources: &[Source], packages: usize) -> String {
    let mut stanzas = kernel_stanzas();
    let mut at = 0;
    while stanzas.len() < packages {
        at = (at + 1 + random.below(6)) % sources.len();
        let source = &sources[at];
        if source.name == KERNEL {
            continue;
        }
        let installed = if random.chance(AGED_PERCENT) { "0.1-1" } else { &source.current };
        for number in 0..1 + random.below(3) {
            let name = if number == 0 {
                source.name.clone()
            } else {
                format!("lib{}-{number}", source.name)
            };
            let of = if number == 0 { String::new() } else { format!("Source: {}\n", source.name) };
            stanzas.push(stanza(random, &name, &of, installed));
        }
    }
    stanzas.truncate(packages);
    stanzas.sort();
    stanzas.dedup_by(|a, b| a.lines().next() == b.lines().next());
    while stanzas.len() < packages {
        let name = format!("{}-data{}", word(random), stanzas.len());
        stanzas.push(stanza(random, &name, "", "1.0-1"));
    }
    stanzas.concat()
}

fn kernel_stanzas() -> Vec<String> {
    let image = |name: &str, source: &str, version: &str| {
        format!(
            "Package: {name}\nStatus: install ok installed\nPriority: optional\nSection: kernel\nInstalled-Size: 400000\nMaintainer: Debian Kernel Team <kernel@example.org>\nArchitecture: amd64\n{source}Version: {version}\nDescription: Linux for 64-bit PCs\n\n"
        )
    };
    vec![
        image(
            "linux-image-6.1.0-30-amd64",
            "Source: linux-signed-amd64 (6.1.124+1)\n",
            "6.1.124-1",
        ),
        image("linux-image-amd64", "Source: linux-signed-amd64 (6.1.124+1)\n", "6.1.124-1"),
        image("linux-libc-dev", "Source: linux\n", "6.1.124-1"),
    ]
}

fn stanza(random: &mut Random, name: &str, source: &str, version: &str) -> String {
    let mut text = String::new();
    put(
        &mut text,
        format_args!(
            "Package: {name}\nStatus: install ok installed\nPriority: optional\nSection: misc\nInstalled-Size: {}\n",
            20 + random.below(9000)
        ),
    );
    put(
        &mut text,
        format_args!(
            "Maintainer: Somebody <somebody@example.org>\nArchitecture: amd64\n{source}Version: {version}\nDepends: libc6 (>= 2.34)"
        ),
    );
    for _ in 0..random.below(6) {
        put(&mut text, format_args!(", {} (>= 1.{})", word(random), random.below(9)));
    }
    text.push_str(
        "\nConffiles:\n /etc/default/example 0123456789abcdef0123456789abcdef\nDescription: ",
    );
    for line in 0..3 {
        text.push_str(if line == 0 { "" } else { " " });
        for _ in 0..8 {
            text.push_str(&word(random));
            text.push(' ');
        }
        text.push('\n');
    }
    text.push('\n');
    text
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes every text");
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size { seed: 7, packages: 60, rows: 900, sources: 80 };

    #[test]
    fn the_same_seed_makes_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|n| generate(&folder.path().join(n), SMALL).unwrap());
        assert_eq!(fs::read(&a.tracker).unwrap(), fs::read(&b.tracker).unwrap());
        assert_eq!(
            fs::read(a.root.join("var/lib/dpkg/status")).unwrap(),
            fs::read(b.root.join("var/lib/dpkg/status")).unwrap()
        );
    }

    #[test]
    fn it_is_as_large_as_it_was_asked_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let made = generate(folder.path(), SMALL).unwrap();
        let status = fs::read_to_string(made.root.join("var/lib/dpkg/status")).unwrap();
        assert_eq!(status.matches("\nStatus: install ok installed\n").count(), 60);
        let names: std::collections::BTreeSet<_> =
            status.lines().filter_map(|l| l.strip_prefix("Package: ")).collect();
        assert_eq!(names.len(), 60);
        let feed: serde_json::Value =
            serde_json::from_slice(&fs::read(&made.tracker).unwrap()).unwrap();
        let feed = feed.as_object().unwrap();
        assert_eq!(feed.len(), 80);
        let rows = || feed.values().flat_map(|s| s.as_object().unwrap().values());
        assert_eq!(rows().count(), 900);
        let open = rows().filter(|r| r["releases"]["bookworm"]["status"] == "open").count();
        assert!((45..180).contains(&open), "{open} of 900 rows without a fix");
        assert!(feed["linux"].as_object().unwrap().len() > 40);
    }

    #[test]
    fn debsecan_is_told_the_same_facts() {
        use std::io::Read as _;
        let folder = tempfile::tempdir().unwrap();
        let made = generate(folder.path(), SMALL).unwrap();
        let packed = fs::read(made.debsecan.join("bookworm")).unwrap();
        let mut text = String::new();
        flate2::read::ZlibDecoder::new(&*packed).read_to_string(&mut text).unwrap();
        let parts: Vec<_> = text.split("\n\n").collect();
        assert!(parts[0].starts_with("VERSION 1\nCVE-"));
        assert_eq!(parts[0].lines().count(), 901);
        assert_eq!(parts[1].lines().count(), 900);
        assert!(parts[1].lines().all(|l| l.split(',').count() == 5));
    }
}
