//! What vendors say: advisories, the state of each package in each release, and signals about flaws.
//!
//! The words are those of the OSV schema and of the vendors. Nothing a vendor said is dropped: a state that Muster
//! does not judge by is kept with the vendor's own word.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::time::{Date, Instant};

/// Text borrowed from a feed's bytes where that is possible.
pub type Text<'a> = Cow<'a, str>;

/// What one feed says under one id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record<'a> {
    /// The id as the vendor writes it: `DSA-5380-1`, `UBUNTU-CVE-2015-0209`, `ALSA-2025:10073`.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// What kind of document the id names.
    pub form: Form,
    /// The vulnerabilities it speaks of, by their CVE ids (other ids only where there is no CVE).
    pub cves: Vec<Text<'a>>,
    /// Other ids for exactly the same thing.
    pub aliases: Vec<Text<'a>>,
    /// Ids that are near, but not the same: the notices that a CVE record mentions.
    pub related: Vec<Text<'a>>,
    /// One line.
    pub title: Text<'a>,
    /// The vendor's text.
    pub details: Text<'a>,
    /// How bad, in every system the vendor gave.
    pub severities: Vec<Severity<'a>>,
    /// When the vendor published it.
    pub published: Option<Instant>,
    /// When the vendor last changed it.
    pub modified: Option<Instant>,
    /// When the vendor withdrew it: it stays, and says nothing any more.
    pub withdrawn: Option<Instant>,
    /// Addresses to read on.
    pub references: Vec<Text<'a>>,
    /// What is said of each package in each release.
    pub statements: Vec<Statement<'a>>,
}

/// What kind of document an id names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Form {
    /// A vulnerability and its state in each release (a CVE in a tracker).
    #[default]
    Vulnerability,
    /// A notice that announces fixed packages and groups vulnerabilities (USN, DSA, DLA, ELA, ALSA, RHSA).
    Notice,
    /// A notice about a patch of the running kernel's memory (LSN): evidence, never a package to install.
    LivePatch,
}

/// A severity in one system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Severity<'a> {
    /// The system, as the OSV schema names it: `CVSS_V3`, `CVSS_V4`, `Ubuntu`, or the vendor's own.
    #[serde(borrow)]
    pub system: Text<'a>,
    /// The vector or the word.
    pub score: Text<'a>,
}

/// What a vendor says of one package in one release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Statement<'a> {
    /// The release: `debian:12`, `ubuntu:22.04`, `alpine:3.19`, `almalinux:9`; a language ecosystem in lower case (`pypi`, `packagist`).
    #[serde(borrow)]
    pub release: Text<'a>,
    /// Through which channel of that release.
    pub channel: Channel,
    /// The package.
    pub package: Text<'a>,
    /// Whether `package` is a source or a binary one.
    pub by: By,
    /// What it comes to.
    pub status: Status,
    /// The first affected version; none: from the beginning.
    pub introduced: Option<Text<'a>>,
    /// The first version that is mended.
    pub fixed: Option<Text<'a>>,
    /// The last affected version, where a feed tells that instead of a fix.
    pub last_affected: Option<Text<'a>>,
    /// The vendor's own word and remark, whole: `ignored (end of standard support, was needed)`.
    pub word: Text<'a>,
    /// The module stream (`nodejs:18`) that the statement is bound to.
    pub module: Option<Text<'a>>,
    /// The architectures it is bound to; empty: all.
    pub architectures: Vec<Text<'a>>,
    /// The binary packages the vendor names, with their mended versions.
    pub binaries: Vec<(Text<'a>, Text<'a>)>,
    /// When the fix was published in this release, where the feed tells it apart.
    pub published: Option<Instant>,
}

/// Through which channel of a release a fix comes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Channel {
    /// The release itself, for everybody.
    #[default]
    Base,
    /// Ubuntu Pro, `esm-infra` (main and restricted); also `trusty/esm` and `precise/esm`.
    EsmInfra,
    /// Ubuntu Pro, `esm-infra-legacy`.
    EsmInfraLegacy,
    /// Ubuntu Pro, `esm-apps` (universe and multiverse).
    EsmApps,
    /// Ubuntu Pro, certified FIPS modules.
    Fips,
    /// Ubuntu Pro, FIPS modules with security updates.
    FipsUpdates,
    /// Ubuntu Pro, FIPS modules under certification.
    FipsPreview,
    /// Ubuntu Pro, the real-time kernel.
    Realtime,
    /// Ubuntu Pro, live patches: evidence, never a package.
    Livepatch,
    /// Ubuntu Pro, ROS.
    RosEsm,
    /// Debian Extended LTS, by a third party.
    Elts,
    /// Any other channel that a feed names: kept, never matched.
    Other,
}

impl Channel {
    /// Every channel, in the order in which tables number them.
    pub const ALL: [Self; 12] = [
        Self::Base,
        Self::EsmInfra,
        Self::EsmInfraLegacy,
        Self::EsmApps,
        Self::Fips,
        Self::FipsUpdates,
        Self::FipsPreview,
        Self::Realtime,
        Self::Livepatch,
        Self::RosEsm,
        Self::Elts,
        Self::Other,
    ];

    /// Returns the name under which a subscription grants the channel.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::EsmInfra => "esm-infra",
            Self::EsmInfraLegacy => "esm-infra-legacy",
            Self::EsmApps => "esm-apps",
            Self::Fips => "fips",
            Self::FipsUpdates => "fips-updates",
            Self::FipsPreview => "fips-preview",
            Self::Realtime => "realtime-kernel",
            Self::Livepatch => "livepatch",
            Self::RosEsm => "ros",
            Self::Elts => "elts",
            Self::Other => "other",
        }
    }

    /// Returns the subscription a person would have to take, or nothing for the release itself.
    pub const fn subscription(self) -> Option<&'static str> {
        match self {
            Self::Base | Self::Other => None,
            Self::EsmInfra => Some("Ubuntu Pro (esm-infra)"),
            Self::EsmInfraLegacy => Some("Ubuntu Pro (esm-infra-legacy)"),
            Self::EsmApps => Some("Ubuntu Pro (esm-apps)"),
            Self::Fips => Some("Ubuntu Pro (fips)"),
            Self::FipsUpdates => Some("Ubuntu Pro (fips-updates)"),
            Self::FipsPreview => Some("Ubuntu Pro (fips-preview)"),
            Self::Realtime => Some("Ubuntu Pro (realtime-kernel)"),
            Self::Livepatch => Some("Ubuntu Pro (livepatch)"),
            Self::RosEsm => Some("Ubuntu Pro (ros)"),
            Self::Elts => Some("Debian Extended LTS"),
        }
    }
}

/// Whether a package name is that of a source or of a binary package.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum By {
    /// A source package: all binaries built from it share its version.
    #[default]
    Source,
    /// A binary package.
    Binary,
}

/// What a vendor's word comes to. The word itself stands beside it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Status {
    /// Affected, and the vendor says no more (OSV: an introduced event alone).
    #[default]
    Affected,
    /// A fixed version is out (`released`, `resolved`, `fixed`).
    Fixed,
    /// A fix is wanted (`needed`, `open`).
    Needed,
    /// Nobody has looked yet (`needs-triage`, `under investigation`).
    NeedsTriage,
    /// A fix is being made or waits for its release (`pending`).
    Pending,
    /// Put off (`deferred`, `postponed`, `no-dsa`).
    Deferred,
    /// The vendor will not mend it (`ignored`, `will not fix`).
    Ignored,
    /// The vendor ended its support before a fix (`end-of-life`, `ignored (end of standard support)`).
    EndOfLife,
    /// Not affected.
    NotAffected,
    /// The release has no such package (`DNE`).
    DoesNotExist,
    /// The vendor cannot tell (`undetermined`).
    Undetermined,
}

/// What feeds say besides records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Item<'a> {
    /// An advisory.
    Record(#[serde(borrow)] Record<'a>),
    /// A vulnerability that CISA knows to be exploited.
    Exploited(Exploited<'a>),
    /// How likely exploitation is, by FIRST's EPSS.
    Likelihood(Likelihood<'a>),
    /// A calendar line of a release or a product.
    Support(SupportLine<'a>),
    /// The newest version of a binary package in a security archive.
    Archived(Archived<'a>),
}

/// An entry of CISA's catalogue of known exploited vulnerabilities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exploited<'a> {
    /// The CVE.
    #[serde(borrow)]
    pub cve: Text<'a>,
    /// The day it entered the catalogue.
    pub added: Date,
    /// The day by which agencies must act.
    pub due: Option<Date>,
    /// Whether ransomware campaigns are known to use it.
    pub ransomware: bool,
    /// CISA's name for it.
    pub title: Text<'a>,
}

/// A line of EPSS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Likelihood<'a> {
    /// The CVE.
    #[serde(borrow)]
    pub cve: Text<'a>,
    /// The probability of exploitation within 30 days, 0 to 1.
    pub score: f32,
    /// The share of CVEs with a lower score, 0 to 1.
    pub percentile: Option<f32>,
}

/// A line of a calendar of support.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportLine<'a> {
    /// The product, by the calendar's own slug (`debian`, `mediawiki`).
    #[serde(borrow)]
    pub product: Text<'a>,
    /// The release or cycle.
    pub version: Text<'a>,
    /// Its code name.
    pub codename: Option<Text<'a>>,
    /// The day it came out.
    pub released: Option<Date>,
    /// The last day of support, long-term support included; `ended` tells where a calendar has no day.
    pub ends: Option<Date>,
    /// The last day of paid support by the maker.
    pub paid_until: Option<Date>,
    /// Whether the calendar says that support is over without giving a day.
    pub ended: bool,
    /// The newest version of the cycle.
    pub latest: Option<Text<'a>>,
}

/// A line of a security archive's index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived<'a> {
    /// The release.
    #[serde(borrow)]
    pub release: Text<'a>,
    /// The binary package, its version and architecture.
    pub binary: Text<'a>,
    /// The version of the binary package.
    pub version: Text<'a>,
    /// Its architecture.
    pub architecture: Text<'a>,
    /// The source package.
    pub source: Text<'a>,
    /// The version of the source package.
    pub source_version: Text<'a>,
}

/// Something a feed could not understand, named so that a person can look at it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The file, as the feed was named, with the member of an archive after `!`.
    pub path: String,
    /// The line, counted from 1, where the format has lines.
    pub line: Option<u64>,
    /// What was met there.
    pub what: String,
}

/// What takes in a feed as it is read.
pub trait Sink {
    /// Is told which feed the items that follow come from.
    fn begin(&mut self, _feed: &'static str) {}
    /// Takes one item. It may borrow from the feed's buffer, which is gone when this returns.
    fn item(&mut self, item: Item<'_>);
    /// Takes note of something that was not understood; reading goes on.
    fn problem(&mut self, problem: Problem);
}

impl Record<'_> {
    /// Returns the record with text of its own.
    pub fn into_owned(self) -> Record<'static> {
        Record {
            id: own(self.id),
            form: self.form,
            cves: own_all(self.cves),
            aliases: own_all(self.aliases),
            related: own_all(self.related),
            title: own(self.title),
            details: own(self.details),
            severities: self
                .severities
                .into_iter()
                .map(|s| Severity { system: own(s.system), score: own(s.score) })
                .collect(),
            published: self.published,
            modified: self.modified,
            withdrawn: self.withdrawn,
            references: own_all(self.references),
            statements: self.statements.into_iter().map(Statement::into_owned).collect(),
        }
    }
}

impl Statement<'_> {
    /// Returns the statement with text of its own.
    pub fn into_owned(self) -> Statement<'static> {
        Statement {
            release: own(self.release),
            channel: self.channel,
            package: own(self.package),
            by: self.by,
            status: self.status,
            introduced: self.introduced.map(own),
            fixed: self.fixed.map(own),
            last_affected: self.last_affected.map(own),
            word: own(self.word),
            module: self.module.map(own),
            architectures: own_all(self.architectures),
            binaries: self.binaries.into_iter().map(|(n, v)| (own(n), own(v))).collect(),
            published: self.published,
        }
    }
}

fn own(text: Text<'_>) -> Text<'static> {
    Cow::Owned(text.into_owned())
}

fn own_all(texts: Vec<Text<'_>>) -> Vec<Text<'static>> {
    texts.into_iter().map(own).collect()
}
