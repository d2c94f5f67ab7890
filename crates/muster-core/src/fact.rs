//! What was learned of a server. Silence is never good news.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::application::{Bundle, LanguagePackage, Walk, WebApplication};
use crate::catalog::{self, Distribution, Release};
use crate::container::Container;
use crate::running::Running;
use crate::time::Instant;

/// What an inspection learned of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading<T> {
    /// It is there, and this is what it says.
    Found(T),
    /// This kind of root, or this server, does not have it.
    #[default]
    Absent,
    /// It may be there, but it could not be read.
    Unknown(Obstacle),
}

impl<T> Reading<T> {
    /// Returns what was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }
}

/// What could not be learned, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Obstacle {
    /// What was to be read: `/var/lib/dpkg/status`, `archive indices`.
    pub what: String,
    /// Why it could not be, and what to do about it.
    pub why: String,
}

impl Obstacle {
    /// Notes an obstacle.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

/// Everything that was learned of one server, each part by one inspector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Which distribution it runs.
    pub os: Reading<Os>,
    /// Which package database it has.
    pub database: Reading<Database>,
    /// Its packages, in the order of their names and architectures; every one with files on the disk.
    pub packages: Vec<Package>,
    /// Its kernels.
    pub kernels: Kernels,
    /// What the package archives offer, by their indices on this machine.
    pub archive: Reading<Archive>,
    /// What keeps updates from arriving.
    pub troubles: Vec<Trouble>,
    /// Whether the distributor's paid support is attached.
    pub subscription: Reading<Subscription>,
    /// Whether the system asks for a reboot, and for which packages.
    pub reboot: Reading<Reboot>,
    /// What runs.
    pub running: Running,
    /// The web applications and their parts, in the order of their paths.
    pub applications: Vec<WebApplication>,
    /// The packages of languages, in the order of their paths.
    pub languages: Vec<LanguagePackage>,
    /// The snaps and flatpaks.
    pub bundles: Vec<Bundle>,
    /// Where applications were looked for.
    pub walk: Reading<Walk>,
    /// The containers and images, each a root of its own.
    pub containers: Vec<Container>,
    /// What could not be learned.
    pub obstacles: Vec<Obstacle>,
}

/// Which distribution a server runs (os-release(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Os {
    /// `ID`, in lower case.
    pub id: String,
    /// `ID_LIKE`: relatives, never a stand-in.
    pub like: Vec<String>,
    /// `PRETTY_NAME`, or what stands in for it.
    pub name: String,
    /// `VERSION_ID`, or what it was inferred from.
    pub version: Option<String>,
    /// `VERSION_CODENAME` or its older forms.
    pub codename: Option<String>,
    /// The file it was read or inferred from.
    pub source: String,
}

impl Os {
    /// Returns the distribution of the catalogue with exactly this id.
    pub fn distribution(&self) -> Option<&'static Distribution> {
        catalog::distribution(&self.id)
    }

    /// Returns the release of the catalogue, by version or code name.
    pub fn release(&self) -> Option<&'static Release> {
        let distribution = self.distribution()?;
        let by_version = self.version.as_deref().and_then(|v| distribution.release(v));
        by_version.or_else(|| self.codename.as_deref().and_then(|c| distribution.codenamed(c)))
    }

    /// Returns the name under which advisories for this release are filed: `debian:12`.
    pub fn release_id(&self) -> Option<String> {
        let version = match (self.release(), self.distribution(), &self.version) {
            (Some(release), ..) => String::from(release.version),
            (None, Some(distribution), Some(version)) => distribution.release_version(version),
            (None, None, Some(version)) => version.clone(),
            (None, _, None) => return None,
        };
        Some(alloc::format!("{}:{version}", self.id))
    }
}

/// A package database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Database {
    /// dpkg's status file, or `status.d` of images without dpkg.
    Dpkg,
    /// An rpm database in one of its forms.
    Rpm,
    /// apk's `installed`.
    Apk,
}

impl Database {
    /// Returns the order of the versions in it.
    pub const fn scheme(self) -> muster_version::Scheme {
        match self {
            Self::Dpkg => muster_version::Scheme::Dpkg,
            Self::Rpm => muster_version::Scheme::Rpm,
            Self::Apk => muster_version::Scheme::Apk,
        }
    }

    /// Returns its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dpkg => "dpkg",
            Self::Rpm => "rpm",
            Self::Apk => "apk",
        }
    }
}

/// Tells a version that `dpkg --validate-version` lets pass. dpkg orders others too, by bytes that mean
/// nothing.
pub fn is_dpkg_version(version: &str) -> bool {
    let bare = version.split_once(':').map_or(version, |(_, bare)| bare);
    let (upstream, revision) = bare.rsplit_once('-').unwrap_or((bare, ""));
    let plain = |part: &str, more: &[u8]| {
        part.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    muster_version::Scheme::Dpkg.is_valid(version)
        && upstream.starts_with(|c: char| c.is_ascii_digit())
        && plain(upstream, b".-+~:")
        && plain(revision, b".+~")
}

/// A package with files on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub architecture: String,
    /// Its whole version: `[epoch:]upstream[-revision]`, an epoch of 0 left out.
    pub version: String,
    /// The source package it was built from, where that has another name.
    pub source: Option<String>,
    /// The version of the source package, where that differs.
    pub source_version: Option<String>,
    /// How far its installation went.
    pub state: PackageState,
    /// Whether the administrator holds it at this version.
    pub held: bool,
    /// The sources whose code it carries besides its own, with their versions (`Built-Using`).
    pub built_using: Vec<(String, String)>,
    /// The modularity label (`nodejs:18:8060020220523160029:ad008a3a`).
    pub module: Option<String>,
    /// Who built it, where the database tells (rpm `Vendor`, dpkg `Origin`).
    pub vendor: Option<String>,
    /// Who maintains it (dpkg `Maintainer`, rpm `Packager`).
    pub maintainer: Option<String>,
    /// The archive its version is in, by the indices on this machine: the `Origin` of its Release file or the repository's id.
    pub origin: Option<String>,
}

impl Package {
    /// Returns the name of its source package.
    pub fn source(&self) -> &str {
        self.source.as_deref().unwrap_or(&self.name)
    }

    /// Returns the version of its source package.
    pub fn source_version(&self) -> &str {
        self.source_version.as_deref().unwrap_or(&self.version)
    }
}

/// How far the installation of a package went (dpkg(1); other databases know only `Installed`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PackageState {
    /// Whole.
    #[default]
    Installed,
    /// Installation began and was not finished.
    HalfInstalled,
    /// Unpacked, not configured.
    Unpacked,
    /// Configuration began and was not finished.
    HalfConfigured,
    /// Waits for another package's trigger.
    TriggersAwaited,
    /// Has a trigger to run.
    TriggersPending,
}

/// The kernels of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernels {
    /// `uname -r` of the running kernel: only a live system has one.
    pub running: Reading<String>,
    /// The kernel release that the next boot would start.
    pub next_boot: Reading<String>,
    /// By which rule, and the file that says so.
    pub next_boot_by: Option<BootSource>,
    /// The releases of the images on the disk (`/boot/vmlinuz-*`, `/lib/modules/*`), whoever put them there.
    pub images: Vec<String>,
    /// Sources of image packages, proven by the archive's own metadata: (image package, source, version of the source).
    pub sources: Vec<KernelSource>,
}

/// What tells the kernel of the next boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootSource {
    /// The rule.
    pub rule: BootRule,
    /// The file that says so.
    pub file: String,
}

/// The rule by which the kernel of the next boot is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BootRule {
    /// The menu of GRUB 2.
    Grub,
    /// What the administrator's own part of that menu says.
    Custom,
    /// The entry that GRUB was told to start until it is told another.
    GrubSaved,
    /// The entry that GRUB was told to start once.
    GrubOnce,
    /// The menu of GRUB Legacy.
    GrubLegacy,
    /// LILO.
    Lilo,
    /// EXTLINUX, SYSLINUX, or what reads their files.
    Extlinux,
    /// systemd-boot, or the order of the Boot Loader Specification.
    SystemdBoot,
    /// No loader's configuration: a link that points to an image.
    Link,
    /// No loader's configuration and no link: the newest image.
    Newest,
}

impl BootRule {
    /// Returns its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grub => "grub",
            Self::Custom => "grub-custom",
            Self::GrubSaved => "grub-saved",
            Self::GrubOnce => "grub-once",
            Self::GrubLegacy => "grub-legacy",
            Self::Lilo => "lilo",
            Self::Extlinux => "extlinux",
            Self::SystemdBoot => "systemd-boot",
            Self::Link => "link",
            Self::Newest => "newest-image",
        }
    }
}

/// From which source a kernel image package was built, and what proves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KernelSource {
    /// The binary package: `linux-image-6.1.0-18-amd64`.
    pub image: String,
    /// The source its advisories are filed under: `linux`.
    pub source: String,
    /// The version of that source.
    pub version: String,
    /// What proves it, in words: `Built-Using in /var/lib/dpkg/status`.
    pub proof: String,
}

/// What package archives offer, by the indices that lie on the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The indices.
    pub indices: Vec<Index>,
    /// For each installed package that could be newer: the version the package manager would choose.
    pub candidates: Vec<Candidate>,
    /// The installed packages, by name and architecture, that no index knows in any version, nor any other package of
    /// their source. Only said while the indices are whole and know the base of the distribution.
    pub unlisted: Vec<(String, String)>,
}

/// One index of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Index {
    /// The file on the machine.
    pub file: String,
    /// Where it came from: host and path of the archive, without scheme and without credentials.
    pub site: String,
    /// `Origin` of its Release file, or the repository's id.
    pub origin: String,
    /// `Label`.
    pub label: String,
    /// `Suite`.
    pub suite: String,
    /// `Codename`.
    pub codename: String,
    /// `Component` (`main`, `universe`).
    pub component: String,
    /// When the archive made it (`Date` of the Release file, `revision` of repomd.xml).
    pub date: Option<Instant>,
    /// Until when it may be trusted (`Valid-Until`).
    pub valid_until: Option<Instant>,
    /// Whether it is a security pocket of the distributor.
    pub security: bool,
    /// Whether the distributor itself publishes it.
    pub official: bool,
}

/// A newer version that the package manager would install.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Candidate {
    /// The binary package.
    pub name: String,
    /// Its architecture.
    pub architecture: String,
    /// The version on offer.
    pub version: String,
    /// The source of that version.
    pub source: String,
    /// The version of the source.
    pub source_version: String,
    /// The pocket it comes from, in the archive's words: `bookworm-security`.
    pub pocket: String,
    /// Whether a security pocket offers this very version.
    pub security: bool,
    /// The newest version that a security pocket offers, where that differs.
    pub security_version: Option<String>,
    /// Advisories that the index itself ties to the update (updateinfo.xml).
    pub advisories: Vec<String>,
    /// The share of machines a phased update has reached, where it is phased and this machine is not among them.
    pub phased: Option<u8>,
    /// Why the package manager would not install it now: a hold, a pin. Empty: it would.
    pub kept_back: Option<String>,
}

/// Something that keeps updates from arriving.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trouble {
    /// What kind.
    pub kind: TroubleKind,
    /// What it concerns: a package, a source, a unit.
    pub subject: String,
    /// The sentence that says it, with the file as evidence.
    pub why: String,
    /// What to type, where a command mends it.
    pub remedy: Option<String>,
}

/// The kinds of trouble on the way of updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TroubleKind {
    /// Automatic updates are not installed or switched off.
    AutomaticOff,
    /// Automatic updates are on and fail.
    AutomaticFailing,
    /// A package is half installed or half configured.
    HalfConfigured,
    /// A package is held or pinned below the archive.
    Held,
    /// The boot loader does not start the newest kernel that is installed.
    KernelHeldBack,
    /// A source could not be reached at the last try, or has never been fetched.
    SourceUnreachable,
    /// A source's index has passed its own end of validity.
    SourceExpired,
    /// The indices on the machine are old.
    SourceStale,
    /// A source is not signed, or wrongly.
    SourceUnsigned,
    /// No source offers the security pocket of this release.
    SecuritySourceMissing,
}

impl TroubleKind {
    /// Returns the word for it in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AutomaticOff => "automatic-updates-off",
            Self::AutomaticFailing => "automatic-updates-failing",
            Self::HalfConfigured => "half-configured",
            Self::Held => "held",
            Self::KernelHeldBack => "kernel-held-back",
            Self::SourceUnreachable => "source-unreachable",
            Self::SourceExpired => "source-expired",
            Self::SourceStale => "indices-stale",
            Self::SourceUnsigned => "source-unsigned",
            Self::SecuritySourceMissing => "security-source-missing",
        }
    }
}

/// Whether the distributor's paid support is attached, and what it grants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Whether a contract is attached.
    pub attached: bool,
    /// The services switched on, by the distributor's names (`esm-infra`, `esm-apps`, `fips`, `livepatch`).
    pub services: Vec<String>,
    /// When the contract runs out, where the machine tells.
    pub expires: Option<Instant>,
    /// The file that says so.
    pub source: String,
}

impl Subscription {
    /// Tells whether the contract has run out, so that the services bring nothing any more.
    pub fn is_over(&self, now: Instant) -> bool {
        self.expires.is_some_and(|until| until <= now)
    }

    /// Tells whether a service is switched on under a contract that still runs.
    pub fn grants(&self, service: &str, now: Instant) -> bool {
        self.attached && !self.is_over(now) && self.services.iter().any(|s| s == service)
    }
}

/// A reboot that the system itself asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboot {
    /// The packages that asked.
    pub packages: Vec<String>,
    /// The file that says so.
    pub source: String,
}
