//! What is owed: one finding for each advisory and source package, or for each other thing.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::advisory::Channel;
use crate::fact::{Package, TroubleKind};
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
