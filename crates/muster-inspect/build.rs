//! Turns `catalog/webapps/*.toml` into one static table, so that nothing is read or parsed when an inspection starts.
//!
//! A wrong file ends the build with its name and the reason; every regular expression is compiled here to check it. It
//! knows the shape of the files, never their facts.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script is told its folders by the environment"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use muster_version::Scheme;

/// The kinds of parts.
const KINDS: [&str; 4] = ["plugin", "theme", "module", "extension"];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the names are read by the build script of muster-core")]
struct Application {
    product: String,
    name: String,
    source: String,
    as_of: toml::value::Datetime,
    order: String,
    calendar: Option<String>,
    #[serde(default)]
    packagist: Anything,
    #[serde(default)]
    pypi: Anything,
    #[serde(default)]
    rubygems: Anything,
    #[serde(default)]
    npm: Anything,
    #[serde(default)]
    maven: Anything,
    #[serde(default)]
    go: Anything,
    #[serde(default)]
    cpe: Anything,
    sign: Vec<Sign>,
    #[serde(default)]
    part: Vec<Part>,
}

/// A name that the build script of muster-core reads.
type Anything = Option<serde::de::IgnoredAny>;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sign {
    file: String,
    #[serde(default)]
    holds: Vec<String>,
    #[serde(default)]
    matches: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
    #[serde(default)]
    beside: Vec<String>,
    #[serde(default)]
    sure: Vec<String>,
    #[serde(default)]
    itself: bool,
    home: Option<String>,
    #[serde(default)]
    version: Vec<Version>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    file: Option<String>,
    pattern: Option<String>,
    pre: Option<String>,
    join: Option<String>,
    json: Option<String>,
    zip: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the names are read by the build script of muster-core")]
struct Part {
    kind: String,
    folder: String,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    holds: Vec<String>,
    #[serde(default)]
    matches: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
    #[serde(default)]
    nested: bool,
    #[serde(default)]
    anywhere: bool,
    #[serde(default)]
    packagist: Anything,
    #[serde(default)]
    cpe: Anything,
    #[serde(default)]
    version: Vec<Version>,
}

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"))
        .join("../../catalog/webapps");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("catalog/webapps is there")
        .map(|e| e.expect("readable").path())
        .filter(|f| f.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    let mut table = String::from("&[\n");
    let mut reads = BTreeSet::new();
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
        let text = fs::read_to_string(file).expect("readable");
        let fail = |why: &str| -> ! { panic!("{}: {why}", file.display()) };
        let application: Application =
            toml::from_str(&text).unwrap_or_else(|e| fail(&e.to_string()));
        if file.file_stem().and_then(|s| s.to_str()) != Some(&*application.product) {
            fail("a file is named for its product");
        }
        let mut writer = Writer { out: &mut table, reads: &mut reads, joint: "-" };
        if let Err(why) = writer.application(&application) {
            fail(&why);
        }
    }
    table.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("webapps.rs"), table).expect("the build folder is writable");
    let reads: Vec<String> = reads.into_iter().collect();
    fs::write(out.join("webapps_reads.rs"), format!("&{reads:?}"))
        .expect("the build folder is writable");
}

struct Writer<'a> {
    out: &'a mut String,
    /// What must be kept of a tar, as patterns.
    reads: &'a mut BTreeSet<String>,
    /// What stands before the word for a pre-release, so that the order of the versions knows it for one.
    joint: &'static str,
}

impl Writer<'_> {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("a string takes text");
    }

    fn application(&mut self, a: &Application) -> Result<(), String> {
        let is_slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
        if a.product.is_empty() || !a.product.chars().all(is_slug) {
            return Err(format!("product {:?} is no slug: a-z, 0-9, `-`, `.`, `_`", a.product));
        }
        if a.order.parse::<Scheme>().is_err() {
            return Err(format!("order {:?} is no scheme of muster-version", a.order));
        }
        self.joint = if matches!(&*a.order, "dpkg" | "rpm") { "~" } else { "-" };
        if a.sign.is_empty() {
            return Err(String::from("has no [[sign]]"));
        }
        if a.name.is_empty() || !a.source.starts_with("https://") || a.as_of.date.is_none() {
            return Err(String::from("says a name, a source (https://…) and the day of that"));
        }
        self.put(format_args!("Application {{ product: {:?}, signs: &[\n", a.product));
        for sign in &a.sign {
            self.sign(sign).map_err(|why| format!("sign {}: {why}", sign.file))?;
        }
        self.put(format_args!("], parts: &[\n"));
        for part in &a.part {
            self.part(part).map_err(|why| format!("part {}: {why}", part.folder))?;
        }
        self.put(format_args!("] }},\n"));
        Ok(())
    }

    fn sign(&mut self, sign: &Sign) -> Result<(), String> {
        plain(&sign.file)?;
        for path in sign.beside.iter().chain(&sign.sure).chain(&sign.home) {
            plain(path)?;
        }
        if sign.file.split('/').any(|name| name.matches('*').count() > 1) {
            return Err(String::from("has more than one star in a name"));
        }
        if sign.home.is_some() && sign.itself {
            return Err(String::from("is itself the application, or its folder is: not both"));
        }
        expressions(&sign.matches)?;
        // What is only named beside it is known by its name; what is read must be kept of a tar.
        self.reads.insert(format!("/**/{}", sign.file));
        for file in sign.version.iter().filter_map(|v| v.file.as_ref()) {
            plain(file)?;
            self.reads.insert(format!("/**/{file}"));
        }
        self.put(format_args!(
            "Sign {{ file: {:?}, holds: &{:?}, matches: &{:?}, lacks: &{:?}, beside: &{:?}, sure: &{:?}, itself: {}, home: {:?}, versions: &[",
            sign.file, sign.holds, sign.matches, sign.lacks, sign.beside, sign.sure, sign.itself, sign.home
        ));
        self.versions(&sign.version)?;
        self.put(format_args!("] }},\n"));
        Ok(())
    }

    fn part(&mut self, part: &Part) -> Result<(), String> {
        if !KINDS.contains(&part.kind.as_str()) {
            return Err(format!("kind {:?} is none of {}", part.kind, KINDS.join(", ")));
        }
        plain(&part.folder)?;
        let (above, last) = part.folder.rsplit_once('/').unwrap_or(("", &part.folder));
        let most = part.folder.split('/').map(|name| name.matches('*').count()).max();
        if most > Some(1) || last.matches('*').count() != 1 {
            return Err(String::from("has a star in its last name, and no name has two"));
        }
        let is_file = last != "*" && part.files.is_empty();
        if !is_file && part.files.is_empty() {
            return Err(String::from("a folder's part names the files to look at"));
        }
        if is_file && part.nested {
            return Err(String::from("a file has nothing nested in it"));
        }
        expressions(&part.matches)?;
        let mut tails: Vec<String> =
            part.files.iter().map(|f| format!("{}/{f}", part.folder)).collect();
        if is_file {
            tails.push(part.folder.clone());
        }
        if part.nested {
            tails.extend(part.files.iter().map(|f| format!("{}/*/{f}", part.folder)));
        }
        self.reads.extend(tails.iter().map(|tail| format!("/**/{tail}")));
        if !part.anywhere {
            tails.clear();
        }
        for file in &part.files {
            plain(file)?;
            if file.matches('*').count() > 1
                || file.rsplit_once('/').is_some_and(|(above, _)| above.contains('*'))
            {
                return Err(format!("{file}: has more than one star in its last name"));
            }
        }
        self.put(format_args!(
            "Part {{ kind: {:?}, folder: {above:?}, star: {last:?}, files: &{:?}, holds: &{:?}, matches: &{:?}, lacks: &{:?}, nested: {}, tails: &{tails:?}, versions: &[",
            part.kind, part.files, part.holds, part.matches, part.lacks, part.nested
        ));
        for file in part.version.iter().filter_map(|v| v.file.as_ref()) {
            plain(file)?;
            if is_file {
                return Err(String::from("a part of one file has its version there"));
            }
            self.reads.insert(format!("/**/{}/{file}", part.folder));
        }
        self.versions(&part.version)?;
        self.put(format_args!("] }},\n"));
        Ok(())
    }

    fn versions(&mut self, versions: &[Version]) -> Result<(), String> {
        for version in versions {
            if version.pattern.is_none() && (version.json.is_none() || version.zip.is_some()) {
                return Err(String::from(
                    "a version has a pattern or a json pointer; of a zip's member a pattern",
                ));
            }
            if version.json.as_ref().is_some_and(|pointer| !pointer.starts_with('/')) {
                return Err(String::from("a json pointer begins with a slash (RFC 6901)"));
            }
            if let Some(pattern) = &version.pattern {
                let compiled = regex_lite::Regex::new(pattern)
                    .map_err(|e| format!("pattern {pattern}: {e}"))?;
                if compiled.captures_len() < 2 {
                    return Err(format!("pattern {pattern}: captures nothing"));
                }
            }
            expressions(version.pre.as_slice())?;
            let joint = self.joint;
            self.put(format_args!(
                "Version {{ file: {:?}, pattern: {:?}, pre: {:?}, joint: {:?}, begins: {:?}, join: {:?}, json: {:?}, zip: {:?} }},",
                version.file,
                version.pattern,
                version.pre,
                joint,
                version.pattern.as_deref().map(beginning).unwrap_or_default(),
                version.join.as_deref().unwrap_or("."),
                version.json,
                version.zip,
            ));
        }
        Ok(())
    }
}

/// Refuses what is no regular expression.
fn expressions(patterns: &[String]) -> Result<(), String> {
    for pattern in patterns {
        regex_lite::Regex::new(pattern).map_err(|e| format!("pattern {pattern}: {e}"))?;
    }
    Ok(())
}

/// Refuses a path that is not written from a folder downwards.
fn plain(path: &str) -> Result<(), String> {
    let names_something = |name: &str| !name.is_empty() && name != "." && name != "..";
    if path.split('/').all(names_something) && !path.contains("**") {
        return Ok(());
    }
    Err(format!("{path:?} is not a path below the folder"))
}

/// Returns the plain text that every match of a pattern begins with, so that a reader can look for that first: empty
/// where there is none, or where that is not plain to see.
fn beginning(pattern: &str) -> String {
    let mut text = String::new();
    if pattern.contains('|') {
        return text;
    }
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let literal = match c {
            '\\' => match chars.next() {
                Some(escaped) if escaped.is_ascii_punctuation() => escaped,
                _ => break,
            },
            '.' | '^' | '$' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' => break,
            c => c,
        };
        if matches!(chars.peek(), Some('*' | '?' | '{')) {
            break;
        }
        text.push(literal);
        if chars.peek() == Some(&'+') {
            break;
        }
    }
    text
}
