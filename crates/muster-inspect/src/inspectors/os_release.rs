//! Which distribution a server runs: os-release(5), and what there was before it.
//!
//! Read in this order: `/etc/os-release`, `/usr/lib/os-release`; `/etc/lsb-release`; `/etc/debian_version`,
//! `/etc/alpine-release`, `/etc/redhat-release` and its kin. Where none is there, the package that carries them tells
//! ([`Inferred`], which runs after the package databases). A derivative is itself, never its parent: a file that only its
//! parent wrote (`debian_version` on Ubuntu, `os-release` on old Linux Mint) does not outweigh one of its own.
//! It does not judge whether a release is known or supported; the catalogue does.

use muster_core::fact::{Database, Facts, Os, Package, Reading};

use crate::Inspector;
use crate::root::Root;

/// No file of this kind is longer.
const MAX_BYTES: u64 = 64 * 1024;

/// The id of an os-release file that has none, by os-release(5).
const NAMELESS: &str = "linux";

/// Reads the release files.
pub struct OsRelease;

impl Inspector for OsRelease {
    fn name(&self) -> &'static str {
        "os-release"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "/etc/os-release",
            "/usr/lib/os-release",
            "/etc/lsb-release",
            "/etc/debian_version",
            "/etc/devuan_version",
            "/etc/rpi-issue",
            "/etc/alpine-release",
            "/etc/oracle-release",
            "/etc/enterprise-release",
            "/etc/centos-release",
            "/etc/almalinux-release",
            "/etc/rocky-release",
            "/etc/fedora-release",
            "/etc/redhat-release",
            "/etc/system-release",
            "/etc/SuSE-release",
        ]
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        let before = facts.obstacles.len();
        let os = self.read(root, facts);
        facts.os = match (os, facts.obstacles.get(before)) {
            (Some(os), _) => Reading::Found(os),
            (None, Some(obstacle)) => Reading::Unknown(obstacle.clone()),
            (None, None) => Reading::Absent,
        };
    }
}

impl OsRelease {
    fn read(&self, root: &dyn Root, facts: &mut Facts) -> Option<Os> {
        let modern = ["/etc/os-release", "/usr/lib/os-release"]
            .iter()
            .find_map(|path| text(root, path, facts).map(|text| parse_os_release(&text, path)));
        let lsb = text(root, "/etc/lsb-release", facts).and_then(|text| parse_lsb(&text));
        match (&modern, lsb) {
            (Some(os), Some(lsb)) if is_parent_of(os, &lsb) => return Some(lsb),
            (Some(os), _) if !os.id.is_empty() => return modern.map(own_name),
            (_, Some(lsb)) => return Some(lsb),
            (_, None) => {}
        }
        self.older(root, facts).or_else(|| modern.map(|os| Os { id: NAMELESS.to_owned(), ..os }))
    }

    fn older(&self, root: &dyn Root, facts: &mut Facts) -> Option<Os> {
        if let Some(text) = text(root, "/etc/devuan_version", facts) {
            return Some(versioned("devuan", "Devuan", &text, "/etc/devuan_version"));
        }
        if let Some(text) = text(root, "/etc/debian_version", facts) {
            let raspbian = !matches!(root.read("/etc/rpi-issue", MAX_BYTES), Reading::Absent);
            let (id, name) =
                if raspbian { ("raspbian", "Raspbian") } else { ("debian", "Debian GNU/Linux") };
            return Some(versioned(id, name, &text, "/etc/debian_version"));
        }
        if let Some(text) = text(root, "/etc/alpine-release", facts) {
            return Some(versioned("alpine", "Alpine Linux", &text, "/etc/alpine-release"));
        }
        for path in [
            "/etc/oracle-release",
            "/etc/enterprise-release",
            "/etc/centos-release",
            "/etc/almalinux-release",
            "/etc/rocky-release",
            "/etc/fedora-release",
            "/etc/redhat-release",
            "/etc/system-release",
            "/etc/SuSE-release",
        ] {
            let Some(text) = text(root, path, facts) else { continue };
            if let Some(os) = parse_release_line(&text, path) {
                return Some(os);
            }
        }
        None
    }
}

/// Reads a small file; what stands in the way is noted, what is not there is not.
fn text(root: &dyn Root, path: &str, facts: &mut Facts) -> Option<String> {
    match root.read(path, MAX_BYTES) {
        Reading::Found(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            (!text.trim().is_empty()).then(|| text.into_owned())
        }
        Reading::Absent => None,
        Reading::Unknown(obstacle) => {
            facts.obstacles.push(obstacle);
            None
        }
    }
}

/// os-release(5): assignments as a shell reads them. An `Os` without an id where the file has none.
fn parse_os_release(text: &str, source: &str) -> Os {
    let mut os = Os { source: source.to_owned(), ..Os::default() };
    let (mut name, mut pretty, mut version) = (None, None, None);
    let (mut codename, mut older_codename) = (None, None);
    for (key, value) in assignments(text) {
        match key {
            "ID" => os.id = value.to_lowercase(),
            "ID_LIKE" => os.like = value.split_whitespace().map(str::to_lowercase).collect(),
            "NAME" => name = Some(value),
            "PRETTY_NAME" => pretty = Some(value),
            "VERSION_ID" => os.version = Some(value).filter(|v| !v.is_empty()),
            "VERSION" => version = Some(value),
            "VERSION_CODENAME" => codename = Some(value),
            "UBUNTU_CODENAME" => older_codename = Some(value),
            _ => {}
        }
    }
    if os.id == "centos" && name.as_deref().is_some_and(|name| name.contains("Stream")) {
        os.id = String::from("centos-stream");
    }
    // A derivative names its parent's release in UBUNTU_CODENAME: it is no code name of its own.
    let older_codename = older_codename.filter(|_| os.id == "ubuntu");
    os.codename = codename
        .filter(|c| !c.is_empty())
        .or(older_codename)
        .or_else(|| version.as_deref().and_then(codename_in));
    os.name = pretty.or(name).unwrap_or_else(|| os.id.clone());
    os
}

/// `12 (bookworm)`, `14.04.5 LTS, Trusty Tahr`: the code name in a VERSION.
fn codename_in(version: &str) -> Option<String> {
    let inside = match version.split_once('(') {
        Some((_, rest)) => rest.split(')').next()?,
        None => version.split_once(", ")?.1,
    };
    let word = inside.split_whitespace().next()?.to_lowercase();
    word.bytes().all(|b| b.is_ascii_lowercase()).then_some(word)
}

/// Returns the assignments of a file that a shell could read.
fn assignments(text: &str) -> impl Iterator<Item = (&str, String)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let (key, value) = line.split_once('=')?;
        (!line.starts_with('#')).then(|| (key.trim(), unquote(value.trim())))
    })
}

/// Takes off quotes and backslashes as a shell does.
fn unquote(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut quote = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => plain.extend(chars.next()),
            (_, c) => plain.push(c),
        }
    }
    plain
}

/// The file of lsb_release(1), which Ubuntu and its kin write.
fn parse_lsb(text: &str) -> Option<Os> {
    let mut os = Os { source: String::from("/etc/lsb-release"), ..Os::default() };
    for (key, value) in assignments(text) {
        if value.is_empty() {
            continue;
        }
        match key {
            "DISTRIB_ID" => os.id = lsb_id(&value),
            "DISTRIB_RELEASE" => os.version = Some(value),
            "DISTRIB_CODENAME" => os.codename = Some(value.to_lowercase()),
            "DISTRIB_DESCRIPTION" => os.name = value,
            _ => {}
        }
    }
    if os.name.is_empty() {
        os.name = os.id.clone();
    }
    (!os.id.is_empty()).then_some(os)
}

/// Returns the os-release id of a `DISTRIB_ID`.
fn lsb_id(distributor: &str) -> String {
    let id: String = distributor
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        .collect();
    match id.as_str() {
        "redhatenterpriselinux"
        | "redhatenterpriseserver"
        | "redhatenterpriseas"
        | "redhatenterprisees"
        | "redhatenterpriseclient" => String::from("rhel"),
        "amazonami" | "amazon" => String::from("amzn"),
        "oracleserver" | "enterpriseenterpriseserver" => String::from("ol"),
        "suselinux" | "suse" => String::from("sles"),
        _ => id,
    }
}

/// Tells an os-release file that a parent wrote: Linux Mint up to 17 carries Ubuntu's, and names itself in lsb-release alone.
fn is_parent_of(os: &Os, lsb: &Os) -> bool {
    matches!(os.id.as_str(), "ubuntu" | "debian")
        && !lsb.id.is_empty()
        && lsb.id != os.id
        && !matches!(lsb.id.as_str(), "ubuntu" | "debian")
}

/// Distributions whose id in os-release differs from the one they are filed under.
fn own_name(mut os: Os) -> Os {
    if os.id == "opensuse" && os.version.as_deref().is_some_and(|v| v.contains('.')) {
        os.id = String::from("opensuse-leap");
    }
    if os.id == "debian" && os.name.to_lowercase().starts_with("raspbian") {
        os.id = String::from("raspbian");
    }
    os
}

/// A file of one word: `5.0.3`, `3.20.3`, `jessie/sid`, `bookworm/sid`.
fn versioned(id: &str, name: &str, text: &str, source: &str) -> Os {
    let word = text.split_whitespace().next().unwrap_or_default();
    let numbered = word.starts_with(|c: char| c.is_ascii_digit());
    let codename = (!numbered && !word.is_empty()).then(|| {
        // `trixie/sid` is what is to become trixie, `sid` alone is sid.
        word.split('/').next().unwrap_or(word).to_lowercase()
    });
    Os {
        id: id.to_owned(),
        like: Vec::new(),
        name: format!("{name} {word}"),
        version: numbered.then(|| word.to_owned()),
        codename,
        source: source.to_owned(),
    }
}

/// `CentOS release 6.10 (Final)`: a name, `release`, a version; SuSE writes `SUSE Linux Enterprise Server 11 (x86_64)`.
fn parse_release_line(text: &str, source: &str) -> Option<Os> {
    let line = text.lines().next()?.trim();
    let lower = line.to_lowercase();
    // The longest name first where one begins another.
    const NAMES: [(&str, &str); 16] = [
        ("centos stream", "centos-stream"),
        ("centos", "centos"),
        ("red hat enterprise", "rhel"),
        ("fedora", "fedora"),
        ("almalinux", "almalinux"),
        ("rocky linux", "rocky"),
        ("oracle linux", "ol"),
        ("enterprise linux enterprise", "ol"),
        ("amazon linux", "amzn"),
        ("scientific linux", "scientific"),
        ("cloudlinux", "cloudlinux"),
        ("virtuozzo", "virtuozzo"),
        ("suse linux enterprise", "sles"),
        ("opensuse", "opensuse-leap"),
        ("suse linux", "opensuse-leap"),
        ("red hat linux", "redhat-linux"),
    ];
    let id = NAMES.iter().find(|(name, _)| lower.starts_with(name)).map(|(_, id)| *id);
    let id = match id {
        Some(id) => id.to_owned(),
        // A name of one's own is an answer too: nobody's release, not somebody else's.
        None => lower.split_whitespace().next()?.to_owned(),
    };
    let version = line
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(|word| word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned());
    let patch_level = text.lines().find_map(|l| l.strip_prefix("PATCHLEVEL = ")).map(str::trim);
    let version = match (version, patch_level) {
        (Some(version), Some(level)) if !version.contains('.') && level != "0" => {
            Some(format!("{version}.{level}"))
        }
        (version, _) => version,
    };
    let codename = line
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(codename, _)| codename.to_lowercase())
        .filter(|c| c != "final" && !c.contains("x86"));
    Some(Os {
        id,
        like: Vec::new(),
        name: line.to_owned(),
        version,
        codename,
        source: source.to_owned(),
    })
}

/// Infers the distribution from the package that carries its release files, where they are gone or are its parent's.
pub struct Inferred;

impl Inspector for Inferred {
    fn name(&self) -> &'static str {
        "os-inferred"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[]
    }

    fn inspect(&self, _root: &dyn Root, facts: &mut Facts) {
        // `jessie/sid` in debian_version is what Ubuntu and its kin have there too.
        let doubtful = match &facts.os {
            Reading::Found(os) => os.source == "/etc/debian_version" || os.id == NAMELESS,
            Reading::Absent | Reading::Unknown(_) => true,
        };
        if !doubtful {
            return;
        }
        let Reading::Found(database) = facts.database else { return };
        let carrier = match database {
            Database::Dpkg => facts.packages.iter().find(|p| p.name == "base-files"),
            Database::Apk => ["alpine-release", "alpine-baselayout"]
                .iter()
                .find_map(|name| facts.packages.iter().find(|p| p.name == *name)),
            Database::Rpm => facts.packages.iter().find(|p| release_package(&p.name).is_some()),
        };
        let Some(carrier) = carrier else { return };
        let inferred = match database {
            Database::Dpkg => from_base_files(carrier, &facts.packages),
            Database::Apk => from_alpine(carrier),
            Database::Rpm => from_release_package(carrier),
        };
        match (&facts.os, inferred) {
            // The file and the package agree: the file says more.
            (Reading::Found(read), Some(inferred)) if read.id == inferred.id => {}
            (_, Some(inferred)) => facts.os = Reading::Found(inferred),
            (_, None) => {}
        }
    }
}

fn of_package(id: &str, version: Option<String>, package: &Package) -> Os {
    let shown = version.as_deref().unwrap_or_default();
    Os {
        id: id.to_owned(),
        like: Vec::new(),
        name: format!("{id} {shown}").trim_end().to_owned(),
        version,
        codename: None,
        source: format!("package {} {}", package.name, package.version),
    }
}

/// Debian's base-files has the release as its version (`12.4+deb12u5`); a derivative marks its own.
fn from_base_files(package: &Package, packages: &[Package]) -> Option<Os> {
    let version = package.version.as_str();
    let maintainer = package.maintainer.as_deref().unwrap_or_default().to_lowercase();
    let origin = package.vendor.as_deref().unwrap_or_default().to_lowercase();
    if packages.iter().any(|p| p.name == "mintsystem" || p.name == "mint-info") {
        return Some(of_package("linuxmint", None, package));
    }
    for (mark, id) in [
        ("devuan", "devuan"),
        ("kali", "kali"),
        ("pop", "pop"),
        ("rpi", "raspbian"),
        ("raspbian", "raspbian"),
        ("ubuntu", "ubuntu"),
    ] {
        if version.contains(mark) || origin.contains(mark) || maintainer.contains(mark) {
            // Ubuntu's base-files counts by itself (`12ubuntu4.6`): it names no release.
            let release = if id == "ubuntu" || id == "pop" { None } else { leading(version) };
            return Some(of_package(id, release, package));
        }
    }
    Some(of_package("debian", leading(version), package)).filter(|_| {
        origin == "debian" || maintainer.contains("debian") || maintainer.contains("santiago vila")
    })
}

/// `alpine-release 3.20.3-r0` is Alpine 3.20.3; the layout package counts by itself.
fn from_alpine(package: &Package) -> Option<Os> {
    let version = package.version.split("-r").next().map(String::from);
    Some(of_package("alpine", version.filter(|_| package.name == "alpine-release"), package))
}

/// Returns the id of the distribution whose release files are in the package of this name.
fn release_package(name: &str) -> Option<&'static str> {
    Some(match name {
        "centos-stream-release" => "centos-stream",
        "centos-release" | "centos-linux-release" => "centos",
        "redhat-release"
        | "redhat-release-server"
        | "redhat-release-workstation"
        | "redhat-release-computenode"
        | "redhat-release-client" => "rhel",
        "almalinux-release" => "almalinux",
        "rocky-release" => "rocky",
        "oraclelinux-release" | "enterprise-release" => "ol",
        "system-release" => "amzn",
        "fedora-release-common" | "fedora-release" => "fedora",
        "sles-release" => "sles",
        "openSUSE-release" | "Leap-release" => "opensuse-leap",
        _ => return None,
    })
}

fn from_release_package(package: &Package) -> Option<Os> {
    let id = release_package(&package.name)?;
    // CentOS 7 writes `7-9.2009.1.el7.centos`: the release is its version, the point its rpm release.
    let version = package.version.split_once(':').map_or(package.version.as_str(), |(_, v)| v);
    Some(of_package(id, leading(version), package))
}

/// Returns the number with points that a version begins with.
fn leading(version: &str) -> Option<String> {
    let number: String = version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let number = number.trim_end_matches('.');
    (!number.is_empty()).then(|| number.to_owned())
}
