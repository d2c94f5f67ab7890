//! What is owed: one finding for each advisory and source package, or for each other thing.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::advisory::Channel;
use crate::container::Container;
use crate::fact::{Obstacle, Package, TroubleKind};
use crate::running::{Reach, Removed};
use crate::time::Date;
use crate::verdict::Verdict;

/// Something that a server owes, or is told about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The advisory's id, or a name that stays the same from one inspection to the next.
    pub id: Arc<str>,
    /// What it comes to.
    pub verdict: Verdict,
    /// How bad it is.
    pub severity: Severity,
    /// One line for a person.
    pub title: Arc<str>,
    /// What to do, as a command where there is one. Findings that one update closes share it.
    pub action: Arc<str>,
    /// What it is about.
    pub about: About,
}

/// How bad a flaw is, in the words that vendors share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nobody has said.
    #[default]
    Unknown,
    /// Hardly a flaw.
    Negligible,
    /// Low.
    Low,
    /// Medium, moderate.
    Medium,
    /// High, important.
    High,
    /// Critical.
    Critical,
}

impl Severity {
    /// Every severity, in the order in which tables number them.
    pub const ALL: [Self; 6] =
        [Self::Unknown, Self::Negligible, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Returns its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Reads a vendor's word; words that nobody shares are [`Severity::Unknown`].
    pub fn from_word(word: &str) -> Self {
        let is = |words: &[&str]| words.iter().any(|w| word.eq_ignore_ascii_case(w));
        if is(&["critical"]) {
            Self::Critical
        } else if is(&["high", "important"]) {
            Self::High
        } else if is(&["medium", "moderate"]) {
            Self::Medium
        } else if is(&["low"]) {
            Self::Low
        } else if is(&["negligible", "unimportant", "none"]) {
            Self::Negligible
        } else {
            Self::Unknown
        }
    }
}

/// What a finding is about. The rare kinds are boxed, so that those by advisories stay small.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// A missing (or missed) security patch.
    Advisory(AdvisoryFinding),
    /// A newer version lies in the archive indices on the machine.
    ArchiveUpdate(Box<ArchiveUpdate>),
    /// Nobody mends the release any more, or only for payment.
    EndOfSupport(Box<EndOfSupport>),
    /// The line of the running or installed kernel is superseded or ended.
    KernelLine(Box<KernelLine>),
    /// The system must be started again.
    Reboot(RebootOwed),
    /// Something keeps updates from arriving.
    UpdateChannel(UpdateChannel),
    /// Packages that no advisory speaks for.
    ThirdParty(ThirdParty),
    /// A process runs what an update has replaced.
    Restart(Box<RestartOwed>),
    /// Something speaks to the network in clear, or to anybody.
    CleartextService(Box<CleartextService>),
    /// A web application that is behind, or cannot be told.
    WebApplication(Box<ApplicationFinding>),
    /// A package of a language that is behind.
    LanguagePackage(Box<LanguageFinding>),
    /// A container or image, with what it owes itself.
    Container(Box<ContainerFinding>),
}

/// A finding by an advisory.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvisoryFinding {
    /// The vulnerabilities, most recent first where the feed tells.
    pub cves: Vec<Arc<str>>,
    /// What it has in common with the other findings that one update closes.
    pub patch: Arc<Patch>,
    /// The day the fix was published.
    pub published: Option<Date>,
    /// The days CISA added it and set for its end, if it is known to be exploited.
    pub exploited: Option<(Date, Option<Date>)>,
    /// The highest likelihood of exploitation of its vulnerabilities, by EPSS.
    pub likelihood: Option<f32>,
}

/// What the findings that one update closes have in common: they share it.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The source package, under the advisory's name for it.
    pub source: Arc<str>,
    /// The packages concerned.
    pub packages: Vec<Concerned>,
    /// Where the fix is.
    pub fix: Fix,
    /// The channel that brings the fix.
    pub channel: Channel,
    /// Whether it is a flaw of the kernel.
    pub kernel: bool,
    /// Which kernels it holds for.
    pub of: Arc<[KernelObject]>,
    /// Whether only headers or documentation are installed: they cannot carry the flaw.
    pub headers_only: bool,
    /// The vendor's own word.
    pub word: Arc<str>,
    /// The rule by which it was judged.
    pub rule: Rule,
}

/// A package that a finding concerns. A thousand findings may concern one package: they share its words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Concerned {
    /// Its name.
    pub name: Arc<str>,
    /// Its architecture.
    pub architecture: Arc<str>,
    /// The version installed.
    pub installed: Arc<str>,
    /// The version that mends it, or that is on offer.
    pub fixed: Option<Arc<str>>,
}

impl Concerned {
    /// Names an installed package, and the version that mends it where there is one.
    pub fn new(package: &Package, fixed: Option<&str>) -> Self {
        Self {
            name: package.name.as_str().into(),
            architecture: package.architecture.as_str().into(),
            installed: package.version.as_str().into(),
            fixed: fixed.map(Arc::from),
        }
    }
}

/// The rule by which a package is held against an advisory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// dpkg's order, by the version of the source.
    DpkgSource,
    /// dpkg's order, by the version of the source that a kernel image was built from.
    DpkgKernel,
    /// rpm's order, by the binary package and its module stream.
    RpmBinary,
    /// rpm's order, by the kernel package.
    RpmKernel,
    /// apk's order, by the version of the origin.
    ApkOrigin,
}

impl Rule {
    /// Returns its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DpkgSource => "dpkg-source",
            Self::DpkgKernel => "dpkg-kernel",
            Self::RpmBinary => "rpm-binary",
            Self::RpmKernel => "rpm-kernel",
            Self::ApkOrigin => "apk-origin",
        }
    }

    /// Says it in a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::DpkgSource => {
                "the source's version, by dpkg's order, against the fix for this release"
            }
            Self::DpkgKernel => {
                "the version of the source the kernel image was built from, by dpkg's order, against the fix for this release"
            }
            Self::RpmBinary => {
                "the package's version, by rpm's order, against the fix for this release and module stream"
            }
            Self::RpmKernel => {
                "the kernel package's version, by rpm's order, against the fix for this release"
            }
            Self::ApkOrigin => {
                "the origin's version, by apk's order, against the fix for this branch"
            }
        }
    }
}

/// Where a fix is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fix {
    /// In the channels that the server has.
    Here,
    /// Behind a subscription.
    Subscription,
    /// Nowhere.
    #[default]
    None,
}

impl Fix {
    /// Returns its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Subscription => "subscription",
            Self::None => "none",
        }
    }
}

/// Which kernel of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KernelObject {
    /// The one that runs.
    Running,
    /// The newest installed.
    Installed,
    /// The one the next boot starts.
    NextBoot,
}

impl KernelObject {
    /// Returns its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Installed => "installed",
            Self::NextBoot => "next-boot",
        }
    }
}

/// A newer version in the indices on the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchiveUpdate {
    /// The source package.
    pub source: String,
    /// The packages, with the candidate as `fixed`.
    pub packages: Vec<Concerned>,
    /// The pocket.
    pub pocket: String,
    /// Whether it is a security pocket.
    pub security: bool,
    /// The advisories that it is known to close.
    pub advisories: Vec<String>,
    /// Why the package manager would not install it by itself.
    pub kept_back: Option<String>,
}

/// The end of a release's support.
#[derive(Clone, Debug, PartialEq)]
pub struct EndOfSupport {
    /// The distribution.
    pub product: String,
    /// Its release.
    pub version: String,
    /// The last day of support.
    pub ended: Option<Date>,
    /// The release to move to.
    pub successor: Option<String>,
    /// The subscription that would still bring fixes.
    pub needs: Option<String>,
    /// The last day of that subscription.
    pub paid_until: Option<Date>,
}

/// A kernel line without a future.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelLine {
    /// The running kernel release, where one runs.
    pub running: Option<String>,
    /// The source package of the line.
    pub line: String,
    /// The living line that takes its place.
    pub successor: Option<String>,
    /// The day it ended, where the record tells.
    pub ended: Option<Date>,
    /// The vendor's own words.
    pub word: String,
    /// The image packages of that line on the disk.
    pub packages: Vec<Concerned>,
}

/// A reboot that is owed.
#[derive(Clone, Debug, PartialEq)]
pub struct RebootOwed {
    /// Why.
    pub why: String,
    /// The packages behind it.
    pub packages: Vec<String>,
}

/// Something that keeps updates from arriving.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateChannel {
    /// What kind.
    pub problem: TroubleKind,
    /// What it concerns.
    pub subject: String,
}

/// Packages of an origin that no advisory speaks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ThirdParty {
    /// The packages.
    pub packages: Vec<Concerned>,
    /// Where they come from, as far as the machine tells.
    pub origin: String,
}

/// A restart that a service owes: it runs what is not on the disk any more.
#[derive(Clone, Debug, PartialEq)]
pub struct RestartOwed {
    /// Why.
    pub why: String,
    /// The unit to restart.
    pub unit: Option<String>,
    /// The name of the process.
    pub process: String,
    /// Its number; of several of one unit the first.
    pub pid: u32,
    /// The executable that was replaced.
    pub executable: Option<String>,
    /// What the executable was, where no update is known to have replaced it: then nothing is to be restarted before it is known what it is.
    pub removed: Option<Removed>,
    /// The libraries that were replaced.
    pub libraries: Vec<String>,
    /// The packages behind it.
    pub packages: Vec<String>,
}

/// A service in clear.
#[derive(Clone, Debug, PartialEq)]
pub struct CleartextService {
    /// What it speaks: `ftp`, `telnet`, `snmp-v2c`.
    pub protocol: String,
    /// The address it listens on.
    pub address: String,
    /// The port.
    pub port: u16,
    /// From where it can be reached.
    pub reach: Reach,
    /// The process, where one runs.
    pub pid: Option<u32>,
    /// Its unit.
    pub unit: Option<String>,
    /// The package it is from.
    pub package: Option<String>,
    /// The file or table that says so.
    pub evidence: String,
}

/// What one copy of a web application, or of a part of one, owes.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplicationFinding {
    /// Its slug: `mediawiki`.
    pub product: String,
    /// Its version, where a file holds one.
    pub version: Option<String>,
    /// Its folder.
    pub path: String,
    /// The package that owns it.
    pub owner_package: Option<String>,
    /// The application that it is a part of, and what kind of part.
    pub part_of: Option<(String, String)>,
    /// The account that owns its files.
    pub account: Option<String>,
    /// The configuration that leads to it.
    pub served_by: Option<String>,
    /// What kind of copy it is: `backup`, `abandoned`.
    pub copy: Option<String>,
    /// The file that tells the version.
    pub evidence: String,
    /// The vulnerabilities of this version, or the advisories' own ids where they name none.
    pub cves: Vec<String>,
    /// The oldest version of its branch that mends them all, else of a later branch.
    pub fixed: Option<String>,
    /// The last day of upstream's support of this branch, where it has passed.
    pub ended: Option<Date>,
    /// The newest version that upstream gives out of the branch to be on.
    pub latest: Option<String>,
    /// How likely and since when, of the vulnerabilities.
    pub signals: Signals,
}

/// What is known of the exploitation of a finding's vulnerabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signals {
    /// The day the first of the fixes was published.
    pub published: Option<Date>,
    /// The days CISA added one and set for its end, if it is known to be exploited.
    pub exploited: Option<(Date, Option<Date>)>,
    /// The highest likelihood of exploitation, by EPSS.
    pub likelihood: Option<f32>,
}

/// What a package of a language owes.
#[derive(Clone, Debug, PartialEq)]
pub struct LanguageFinding {
    /// The ecosystem.
    pub ecosystem: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it lies.
    pub path: String,
    /// The package that owns it.
    pub owner_package: Option<String>,
    /// The vulnerabilities of this version.
    pub cves: Vec<String>,
    /// The oldest version that mends them all.
    pub fixed: Option<String>,
    /// How likely and since when, of the vulnerabilities.
    pub signals: Signals,
}

/// A container or image, and what it owes.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerFinding {
    /// The container, without its facts.
    pub container: Container,
    /// How it stands, in one sentence; empty where it could not be read.
    pub sentence: String,
    /// What it owes.
    pub findings: Vec<Finding>,
    /// What could not be known of it.
    pub unknown: Vec<Obstacle>,
}
