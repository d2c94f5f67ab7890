//! Why a feed could not be pulled, in sentences, and what to do next.
//!
//! What a server wrote reaches a sentence only through [`said`]: a feed's server is not trusted
//! with the terminal of the person on call.

use super::address::BadAddress;

/// Longest part of a server's words that is repeated.
const MAX_SAID: usize = 120;

/// Why one file could not be pulled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{address} could not be reached: {why}")]
    Unreachable { address: String, why: String },
    #[error("no address is known for the host of {address}")]
    UnknownHost { address: String },
    #[error("the TLS connection to {address} failed: {why}")]
    Tls { address: String, why: String },
    #[error("the proxy {proxy} did not let the connection to {address} through: {why}")]
    Proxy { proxy: String, address: String, why: String },
    #[error("{address} took longer than {seconds} s in all{kept}")]
    TooSlow { address: String, seconds: u64, kept: Kept },
    #[error("{address} was silent for {seconds} s{kept}")]
    Silent { address: String, seconds: u64, kept: Kept },
    #[error("{address} broke off after {got} of {total} bytes{kept}")]
    BrokeOff { address: String, got: u64, total: Total, kept: Kept },
    #[error("{address} does not speak HTTP as RFC 9112 has it: {why}")]
    Protocol { address: String, why: String },
    #[error("{address} answered with {status} {what}")]
    Status { address: String, status: u16, what: &'static str, wait: Option<String> },
    #[error("{address} redirected more than {limit} times")]
    RedirectLoop { address: String, limit: u32 },
    #[error("{address} redirects to `{to}`, which {why}")]
    BadRedirect { address: String, to: String, why: BadAddress },
    #[error("{address} redirects from https to plain http ({to})")]
    Downgrade { address: String, to: String },
    #[error("{address} sends {bytes} bytes; the limit of this feed is {limit}")]
    TooLarge { address: String, bytes: u64, limit: u64 },
    #[error("{address} sends its answer in the encoding `{encoding}`, which was not asked for")]
    Encoding { address: String, encoding: String },
    #[error("{address} answered with nothing at all")]
    Empty { address: String },
    #[error("{address} answered with a web page where {expected} was due")]
    WebPage { address: String, expected: &'static str },
    #[error("{address} answered with something that is not {expected}")]
    NotThat { address: String, expected: &'static str },
    #[error("the {expected} of {address} has no end: it was cut short")]
    Cut { address: String, expected: &'static str },
    #[error(
        "{address} gives no length and the {expected} none either, so nothing says it is whole"
    )]
    NoLength { address: String, expected: &'static str },
    #[error("{address} gives a part of another file than the one asked for: {why}")]
    BadPart { address: String, why: String },
    #[error("{address} has the sha256 {got}, but {list} says {wanted}")]
    WrongChecksum { address: String, list: String, got: String, wanted: String },
    #[error("{list} names no sha256 for {file}")]
    NoChecksum { list: String, file: String },
    #[error("the signature {signature} of {address} does not hold: {why}")]
    WrongSignature { address: String, signature: String, why: String },
    #[error("{address} should name one file and says `{text}`")]
    BadLatest { address: String, text: String },
    #[error("the address made from {place} {why}")]
    BadAddress { place: String, why: BadAddress },
    #[error("{address} sends {needed} bytes, and the disk has room for {free}")]
    NoRoom { address: String, needed: u64, free: u64 },
    #[error("the disk became full while writing {path}")]
    DiskFull { path: String },
    #[error("cannot {doing} {path}: {why}")]
    Disk { doing: &'static str, path: String, why: std::io::Error },
    #[error("the download of {file} ended with a fault in muster itself")]
    Panicked { file: String },
}

/// How many bytes there should have been.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Total(pub(crate) Option<u64>);

impl std::fmt::Display for Total {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(total) => write!(out, "{total}"),
            None => out.write_str("an unknown number of"),
        }
    }
}

/// Bytes of an unfinished download that the next pull goes on from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept(pub(crate) u64);

impl std::fmt::Display for Kept {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == 0 {
            return Ok(());
        }
        write!(out, "; {} bytes are kept, and the next pull goes on from there", self.0)
    }
}

impl Fault {
    /// Returns what the person who reads the fault should do.
    pub(crate) fn next(&self) -> String {
        match self {
            Self::Unreachable { .. } | Self::UnknownHost { .. } => {
                "check the network, or set `proxy` or a [[mirror]] in feeds.toml".to_owned()
            }
            Self::Tls { .. } => "check the clock; if your network inspects TLS, name its authority \
                                 with `ca_file` in feeds.toml"
                .to_owned(),
            Self::Proxy { .. } => {
                "check `proxy` in feeds.toml, HTTPS_PROXY and NO_PROXY".to_owned()
            }
            Self::TooSlow { .. } | Self::Silent { .. } => {
                "pull again; if it stays slow, raise `max_seconds` or `idle_seconds`, or name a \
                 nearer [[mirror]] in feeds.toml"
                    .to_owned()
            }
            Self::BrokeOff { .. }
            | Self::Protocol { .. }
            | Self::Empty { .. }
            | Self::Cut { .. }
            | Self::BadPart { .. }
            | Self::NoLength { .. } => {
                "pull again; if it stays so, tell the publisher or name a [[mirror]]".to_owned()
            }
            Self::Status { wait: Some(wait), .. } => {
                format!("the server asks to wait: {wait}; pull again after that")
            }
            Self::Status { status: 401 | 403 | 404 | 410, .. } => {
                "the publisher may have moved the feed: see its `note` in feeds.toml for the \
                 address of today"
                    .to_owned()
            }
            Self::Status { .. } => "pull again later".to_owned(),
            Self::RedirectLoop { .. }
            | Self::BadRedirect { .. }
            | Self::Downgrade { .. }
            | Self::BadLatest { .. }
            | Self::NoChecksum { .. }
            | Self::BadAddress { .. } => {
                "see the feed's `note` in feeds.toml for the address of today, and correct it there"
                    .to_owned()
            }
            Self::TooLarge { .. } => {
                "if the feed has honestly grown, raise its `max_bytes` in feeds.toml".to_owned()
            }
            Self::Encoding { .. } => {
                "a proxy or mirror on the way may be at fault: fetch without it".to_owned()
            }
            Self::WebPage { .. } | Self::NotThat { .. } => {
                "open the address in a browser: it may be a sign-in page of your network or a moved \
                 feed"
                    .to_owned()
            }
            Self::WrongChecksum { .. } => "pull again, since the publisher may have been replacing \
                                           it; if it stays so, trust neither and tell the publisher"
                .to_owned(),
            Self::WrongSignature { .. } => {
                "do not use this file; ask whoever signs it which key is in force".to_owned()
            }
            Self::DiskFull { .. } | Self::NoRoom { .. } => {
                "make room there, or pull into another folder with --into".to_owned()
            }
            Self::Disk { .. } => "check the folder and who may write to it".to_owned(),
            Self::Panicked { .. } => {
                "report it with the output of `muster feed pull --dry-run`".to_owned()
            }
        }
    }
}

/// What a server wrote, fit to be shown: short, on one line, without control characters.
pub(crate) fn said(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars().take(MAX_SAID) {
        shown.extend(character.escape_debug());
    }
    if text.chars().nth(MAX_SAID).is_some() {
        shown.push('…');
    }
    shown
}

/// The words for a status (RFC 9110, section 15); those of the server are not repeated.
pub(crate) fn status_words(status: u16) -> &'static str {
    match status {
        304 => "(not modified), though nothing was held against it",
        400 => "(bad request)",
        401 => "(unauthorised)",
        403 => "(forbidden)",
        404 => "(not found)",
        407 => "(proxy authentication required)",
        410 => "(gone)",
        416 => "(range not satisfiable), though no range was asked for",
        429 => "(too many requests)",
        500 => "(internal server error)",
        502 => "(bad gateway)",
        503 => "(service unavailable)",
        504 => "(gateway timeout)",
        _ => "",
    }
}
