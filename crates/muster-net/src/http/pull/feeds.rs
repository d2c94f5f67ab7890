//! Reads `feeds.toml`: which feeds there are, where their publishers keep them, and the limits
//! within which each may be fetched.
//!
//! Every key is documented in `docs/reference/feeds-toml.md`. An unknown key, an unknown value, a
//! name given twice and an address that must not be fetched are refused with line, caret and the
//! valid names, because a feed that silently is not pulled is an advisory nobody hears of.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use minisign_verify::PublicKey;
use serde::Deserialize;
use toml::Spanned;

use super::address::{Address, BadAddress};

/// The feeds that are compiled in: what is pulled when nobody wrote a `feeds.toml`.
pub const DEFAULT: &str = include_str!("../../../../../catalog/feeds.toml");

/// A `feeds.toml` larger than this is not one.
pub const MAX_FEEDS_BYTES: usize = 1 << 20;
const MAX_FEEDS: usize = 512;
const MAX_RELEASES: usize = 64;

/// What a feed is written in, by the names that `muster feed build` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    AlpineSecdb,
    CisaKev,
    DebianLists,
    DebianTracker,
    DistroInfo,
    Endoflife,
    Epss,
    FriendsOfPhp,
    Osv,
    RedhatCsaf,
    RoaveConflicts,
    UbuntuCveTracker,
    UbuntuVex,
    UbuntuUsn,
}

impl Format {
    /// Returns the name as `muster feed build FORMAT=PATH` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AlpineSecdb => "alpine-secdb",
            Self::CisaKev => "cisa-kev",
            Self::DebianLists => "debian-lists",
            Self::DebianTracker => "debian-tracker",
            Self::DistroInfo => "distro-info",
            Self::Endoflife => "endoflife",
            Self::Epss => "epss",
            Self::FriendsOfPhp => "friends-of-php",
            Self::Osv => "osv",
            Self::RedhatCsaf => "redhat-csaf",
            Self::RoaveConflicts => "roave-conflicts",
            Self::UbuntuCveTracker => "ubuntu-cve-tracker",
            Self::UbuntuVex => "ubuntu-vex",
            Self::UbuntuUsn => "ubuntu-usn",
        }
    }
}

/// What the bytes of a download are. It is checked, because an error page is a file too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    Bzip2,
    Gzip,
    Json,
    Text,
    Xz,
    Zip,
    Zstd,
}

impl Content {
    /// Returns the word that `feeds.toml` has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bzip2 => "bzip2",
            Self::Gzip => "gzip",
            Self::Json => "json",
            Self::Text => "text",
            Self::Xz => "xz",
            Self::Zip => "zip",
            Self::Zstd => "zstd",
        }
    }
}

/// The parsed `feeds.toml`.
#[derive(Debug, Clone)]
pub struct Feeds {
    pub(crate) settings: Settings,
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) feeds: Vec<Feed>,
}

/// What holds for every feed: the table `[pull]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// At most this many downloads at the same time.
    pub(crate) at_once: Spanned<u32>,
    /// At most this many of them from one host.
    pub(crate) per_host: Spanned<u32>,
    /// To find the address, to connect and to agree on TLS.
    pub(crate) connect_seconds: Spanned<u32>,
    /// The longest silence of a server.
    pub(crate) idle_seconds: Spanned<u32>,
    pub(crate) proxy: Option<Spanned<String>>,
    pub(crate) no_proxy: Option<String>,
    /// A PEM file whose certificates are trusted *instead of* the bundled ones.
    pub(crate) ca_file: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            at_once: Spanned::new(0..0, 4),
            per_host: Spanned::new(0..0, 2),
            connect_seconds: Spanned::new(0..0, 20),
            idle_seconds: Spanned::new(0..0, 30),
            proxy: None,
            no_proxy: None,
            ca_file: None,
        }
    }
}

/// Sends every address that starts with `from` to `to` instead.
#[derive(Debug, Clone)]
pub(crate) struct Mirror {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) allow_plain_http: bool,
}

/// One feed of one publisher.
#[derive(Debug, Clone)]
pub struct Feed {
    pub name: String,
    pub format: Format,
    pub content: Content,
    /// The distributions that need it; empty when every server does.
    pub distributions: Vec<String>,
    /// Pulled only when somebody names it.
    pub on_request: bool,
    pub max_bytes: u64,
    pub max_seconds: u32,
    pub docs: String,
    pub(crate) allow_plain_http: bool,
    pub(crate) url: String,
    pub(crate) latest: Option<String>,
    pub(crate) file: String,
    pub(crate) releases: Vec<String>,
    pub(crate) checksum: Option<String>,
    pub(crate) signature: Option<Signature>,
}

/// A detached minisign signature and the key that must have made it.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) url: String,
    pub(crate) key: PublicKey,
}

/// What is wrong in a `feeds.toml`, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedsError {
    /// Counted from 1; 0 when the fault has no place.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The line itself, and under it the caret.
    pub snippet: String,
    pub what: String,
}

impl std::error::Error for FeedsError {}

impl fmt::Display for FeedsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return out.write_str(&self.what);
        }
        write!(out, "line {}, column {}: {}\n{}", self.line, self.column, self.what, self.snippet)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    pull: Settings,
    #[serde(default)]
    mirror: Vec<MirrorEntry>,
    #[serde(default)]
    feed: Vec<FeedEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MirrorEntry {
    from: Spanned<String>,
    to: Spanned<String>,
    #[serde(default)]
    allow_plain_http: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedEntry {
    name: Spanned<String>,
    format: Format,
    content: Content,
    url: Spanned<String>,
    latest: Option<Spanned<String>>,
    file: Spanned<String>,
    releases: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default, rename = "for")]
    distributions: Vec<Spanned<String>>,
    #[serde(default)]
    on_request: bool,
    max_bytes: Spanned<u64>,
    max_seconds: Spanned<u32>,
    checksum: Option<Spanned<String>>,
    signature: Option<SignatureEntry>,
    #[serde(default)]
    allow_plain_http: bool,
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureEntry {
    url: Spanned<String>,
    minisign_key: Spanned<String>,
}

impl Feeds {
    /// Reads a `feeds.toml`.
    ///
    /// # Errors
    /// The first mistake, with its line and a caret under it.
    pub fn parse(text: &str) -> Result<Self, FeedsError> {
        if text.len() > MAX_FEEDS_BYTES {
            return Err(FeedsError {
                line: 0,
                column: 0,
                snippet: String::new(),
                what: format!(
                    "a feeds file of {} bytes is not one; see --print-config",
                    text.len()
                ),
            });
        }
        let document: Document = toml::from_str(text).map_err(|error| {
            place(text, error.span().unwrap_or(0..0), error.message().trim_end().to_owned())
        })?;
        Reader { text }.read(document)
    }

    /// Returns the feeds that are compiled in.
    #[must_use]
    pub fn compiled_in() -> Self {
        Self::parse(DEFAULT).expect("catalog/feeds.toml is parsed by a test of this crate")
    }

    /// Returns the feeds in the order of the file.
    #[must_use]
    pub fn feeds(&self) -> &[Feed] {
        &self.feeds
    }
}

/// The rules that TOML's own grammar does not hold.
struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn read(&self, document: Document) -> Result<Feeds, FeedsError> {
        let settings = document.pull;
        self.within(&settings.at_once, "at_once", 1, 16)?;
        self.within(&settings.per_host, "per_host", 1, 8)?;
        self.within(&settings.connect_seconds, "connect_seconds", 1, 300)?;
        self.within(&settings.idle_seconds, "idle_seconds", 1, 3_600)?;
        if let Some(proxy) = &settings.proxy {
            let Ok(parsed) = ureq::Proxy::new(proxy.get_ref()) else {
                return Err(self.at(proxy, "proxy is not an address such as http://host:3128"));
            };
            if !matches!(parsed.uri().scheme_str(), Some("http" | "https")) {
                return Err(self.at(proxy, "proxy must be an http or https address"));
            }
        }
        let mut mirrors = Vec::new();
        for entry in document.mirror {
            mirrors.push(self.mirror(entry)?);
        }
        let mut feeds = Vec::new();
        let mut names = BTreeMap::new();
        let mut files = BTreeMap::new();
        for entry in document.feed {
            if feeds.len() == MAX_FEEDS {
                return Err(self.at(&entry.name, format!("more than {MAX_FEEDS} feeds")));
            }
            self.unique(&mut names, &entry.name, entry.name.get_ref(), "name")?;
            let span = entry.file.clone();
            let feed = self.feed(entry)?;
            for (file, _) in feed.files() {
                self.unique(&mut files, &span, &file, "file")?;
            }
            feeds.push(feed);
        }
        Ok(Feeds { settings, mirrors, feeds })
    }

    fn mirror(&self, entry: MirrorEntry) -> Result<Mirror, FeedsError> {
        for end in [&entry.from, &entry.to] {
            if !end.get_ref().ends_with('/') {
                return Err(self.at(end, "a mirror replaces whole folders: end it with `/`"));
            }
        }
        self.address(&entry.from, entry.from.get_ref(), true)?;
        self.address(&entry.to, entry.to.get_ref(), entry.allow_plain_http)?;
        Ok(Mirror {
            from: entry.from.into_inner(),
            to: entry.to.into_inner(),
            allow_plain_http: entry.allow_plain_http,
        })
    }

    fn feed(&self, entry: FeedEntry) -> Result<Feed, FeedsError> {
        self.word(&entry.name, "a name")?;
        self.within(&entry.max_seconds, "max_seconds", 1, 86_400)?;
        if !(1..=1 << 40).contains(entry.max_bytes.get_ref()) {
            return Err(self.at(&entry.max_bytes, "max_bytes lies between 1 and 2^40"));
        }
        for distribution in &entry.distributions {
            self.word(distribution, "a distribution")?;
        }
        let releases = self.releases(&entry)?;
        self.placeholders(&entry)?;
        let plain = entry.allow_plain_http;
        self.address(&entry.url, &filled(entry.url.get_ref()), plain)?;
        if let Some(latest) = &entry.latest {
            self.address(latest, &filled(latest.get_ref()), plain)?;
        }
        if let Some(checksum) = &entry.checksum {
            self.address(checksum, &filled(checksum.get_ref()), plain)?;
        }
        let signature = match entry.signature {
            Some(signature) => Some(self.signature(signature, plain)?),
            None => None,
        };
        let feed = Feed {
            name: entry.name.into_inner(),
            format: entry.format,
            content: entry.content,
            distributions: entry.distributions.into_iter().map(Spanned::into_inner).collect(),
            on_request: entry.on_request,
            max_bytes: entry.max_bytes.into_inner(),
            max_seconds: entry.max_seconds.into_inner(),
            docs: entry.note,
            allow_plain_http: plain,
            url: entry.url.into_inner(),
            latest: entry.latest.map(Spanned::into_inner),
            file: entry.file.get_ref().clone(),
            releases,
            checksum: entry.checksum.map(Spanned::into_inner),
            signature,
        };
        for (file, _) in feed.files() {
            if !is_file_name(&file) {
                return Err(self.at(
                    &entry.file,
                    "a file is one name of letters, digits, `.`, `_` and `-`, not opening with `.`",
                ));
            }
        }
        Ok(feed)
    }

    fn signature(&self, entry: SignatureEntry, plain: bool) -> Result<Signature, FeedsError> {
        self.address(&entry.url, &filled(entry.url.get_ref()), plain)?;
        let Ok(key) = PublicKey::from_base64(entry.minisign_key.get_ref()) else {
            return Err(self.at(
                &entry.minisign_key,
                "this is not a minisign public key: give the line that opens with `RW`",
            ));
        };
        Ok(Signature { url: entry.url.into_inner(), key })
    }

    fn releases(&self, entry: &FeedEntry) -> Result<Vec<String>, FeedsError> {
        let Some(releases) = &entry.releases else { return Ok(Vec::new()) };
        let list = releases.get_ref();
        if list.is_empty() || list.len() > MAX_RELEASES {
            return Err(self.at(releases, format!("releases names 1 to {MAX_RELEASES} releases")));
        }
        let mut seen = BTreeMap::new();
        for release in list {
            self.word(release, "a release")?;
            self.unique(&mut seen, release, release.get_ref(), "release")?;
        }
        Ok(list.iter().map(|release| release.get_ref().clone()).collect())
    }

    /// A placeholder that nothing fills and a key that no placeholder uses are both mistakes.
    fn placeholders(&self, entry: &FeedEntry) -> Result<(), FeedsError> {
        let url = entry.url.get_ref();
        let spread = entry.releases.is_some();
        for field in [&entry.url, &entry.file] {
            if field.get_ref().contains("{release}") != spread {
                return Err(self.at(
                    field,
                    "`{release}` and `releases` go together: it stands in `url` and in `file`",
                ));
            }
        }
        if url.contains("{latest}") != entry.latest.is_some() {
            return Err(self.at(&entry.url, "`{latest}` in `url` and the key `latest` go together"));
        }
        Ok(())
    }

    fn address(
        &self,
        place: &Spanned<String>,
        text: &str,
        plain: bool,
    ) -> Result<Address, FeedsError> {
        if text.contains(['{', '}']) {
            return Err(self.at(
                place,
                "unknown placeholder; the placeholders are `{release}`, `{latest}` and, in \
                 `checksum` and `signature`, `{url}`",
            ));
        }
        Address::parse_allowed(text, plain).map_err(|why| {
            let next = match why {
                BadAddress::Plain => "; use https, or set `allow_plain_http = true` here",
                BadAddress::Credentials => "; keep them out of this file",
                BadAddress::Malformed | BadAddress::Scheme(_) => "",
            };
            self.at(place, format!("the address {why}{next}"))
        })
    }

    fn word(&self, value: &Spanned<String>, what: &str) -> Result<(), FeedsError> {
        if is_file_name(value.get_ref()) {
            return Ok(());
        }
        Err(self.at(value, format!("{what} is of letters, digits, `.`, `_` and `-`")))
    }

    fn within(
        &self,
        value: &Spanned<u32>,
        key: &str,
        least: u32,
        most: u32,
    ) -> Result<(), FeedsError> {
        if (least..=most).contains(value.get_ref()) {
            return Ok(());
        }
        Err(self.at(value, format!("{key} lies between {least} and {most}")))
    }

    fn unique<T>(
        &self,
        seen: &mut BTreeMap<String, usize>,
        place: &Spanned<T>,
        value: &str,
        what: &str,
    ) -> Result<(), FeedsError> {
        let line = line_of(self.text, place.span().start);
        if let Some(first) = seen.insert(value.to_owned(), line) {
            return Err(self.at(
                place,
                format!("the {what} `{value}` stands on line {first} already; give each its own"),
            ));
        }
        Ok(())
    }

    fn at<T>(&self, value: &Spanned<T>, what: impl Into<String>) -> FeedsError {
        place(self.text, value.span(), what.into())
    }
}

impl Feed {
    /// Returns the name and the release (empty when there is none) of every file of this feed.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        if self.releases.is_empty() {
            return vec![(self.file.clone(), String::new())];
        }
        let mut files = Vec::new();
        for release in &self.releases {
            files.push((self.file.replace("{release}", release), release.clone()));
        }
        files
    }
}

/// Fills every placeholder with something harmless, so that the address around it can be judged.
fn filled(template: &str) -> String {
    template
        .replace("{url}", "https://x.example/x")
        .replace("{release}", "x")
        .replace("{latest}", "x")
}

/// One plain name: it can neither leave its folder nor hide in it.
pub(crate) fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with('.')
        && name
            .replace("{release}", "")
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Draws the line of a mistake with a caret under it.
fn place(text: &str, span: Range<usize>, what: String) -> FeedsError {
    let start = span.start.min(text.len());
    let line = line_of(text, start);
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let shown: String =
        text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default().into();
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    let length = text.get(span).unwrap_or_default().lines().next().unwrap_or_default();
    let carets = "^".repeat(length.chars().count().clamp(1, 80));
    let shown: String = shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let snippet = format!("{line:5} | {shown}\n      | {}{carets}", " ".repeat(column - 1));
    FeedsError { line, column, snippet, what }
}
