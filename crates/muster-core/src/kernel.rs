//! Which packages are kernels, and which source their advisories are filed under.
//!
//! A signed image is built by a source of its own (`linux-signed-amd64`), while advisories name the source of the
//! code (`linux`). The archive's own metadata proves the tie (`Built-Using`, [`crate::fact::KernelSource`]); where a
//! package database carries none, the names of the field do: [`source_by_name`] removes the one word that says how a
//! package was made, and knows no list of flavours.

use alloc::borrow::Cow;
use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;

use crate::fact::{Database, Package};

/// Returns the source under which advisories for a kernel package are filed, judged by the name of its own source.
pub fn source_by_name(source: &str) -> Cow<'_, str> {
    for made in
        ["linux-signed", "linux-meta", "linux-restricted-modules", "linux-latest", "linux-unsigned"]
    {
        let Some(rest) = source.strip_prefix(made) else { continue };
        if !(rest.is_empty() || rest.starts_with('-')) {
            continue;
        }
        let line = strip_architecture(rest);
        return if line.is_empty() {
            Cow::Borrowed("linux")
        } else {
            Cow::Owned(alloc::format!("linux{line}"))
        };
    }
    Cow::Borrowed(source)
}

/// Debian signs per architecture (`linux-signed-amd64`): the word after `signed` is one, not a flavour.
fn strip_architecture(rest: &str) -> &str {
    for architecture in
        ["amd64", "arm64", "i386", "armhf", "ppc64el", "s390x", "riscv64", "loong64"]
    {
        if let Some(line) = rest.strip_prefix('-').and_then(|r| r.strip_prefix(architecture))
            && (line.is_empty() || line.starts_with('-'))
        {
            return line;
        }
    }
    rest
}

/// Tells the sources that are kernels: `linux`, `linux-aws-6.5`, `linux-2.6`, `kernel`, `linux-lts`.
pub fn is_kernel_source(source: &str) -> bool {
    if matches!(
        source,
        "linux"
            | "kernel"
            | "kernel-rt"
            | "kernel-uek"
            | "linux-2.6"
            | "linux-2.4"
            | "linux-lts"
            | "linux-edge"
            | "linux-virt"
    ) {
        return true;
    }
    if source.starts_with("linux-source-")
        || source.starts_with("kernel-image-")
        || source.starts_with("kernel-source-")
    {
        return true;
    }
    let Some(rest) = source.strip_prefix("linux-") else { return false };
    // Sources that share the prefix and hold no kernel.
    const OTHERS: [&str; 16] = [
        "firmware",
        "base",
        "atm",
        "user-chroot",
        "apt",
        "wlan-ng",
        "doc",
        "kbuild",
        "tools",
        "ftpd",
        "igd",
        "sgx",
        "show-player",
        "minidisc",
        "container",
        "patch",
    ];
    !OTHERS.iter().any(|other| {
        rest == *other || rest.strip_prefix(*other).is_some_and(|r| r.starts_with('-'))
    })
}

/// What a binary package of a kernel source carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// The kernel itself, or modules of it.
    Image,
    /// Nothing but a dependency on the current image.
    Meta,
    /// Headers, documentation or sources: it cannot carry the flaw.
    Headers,
    /// Programs built from the kernel's tree (`linux-perf`, `bpftool`): no kernel, but code.
    Tools,
}

/// Judges by its name what a binary package of a kernel source carries.
pub fn carries(binary: &str) -> Carries {
    const HEADERS: [&str; 11] = [
        "linux-libc-dev",
        "linux-headers",
        "linux-doc",
        "linux-source",
        "linux-kbuild",
        "linux-config",
        "linux-support",
        "linux-bootwrapper",
        "kernel-headers",
        "kernel-devel",
        "kernel-doc",
    ];
    const TOOLS: [&str; 14] = [
        "linux-perf",
        "linux-tools",
        "linux-cpupower",
        "linux-cloud-tools",
        "linux-compiler",
        "linux-buildinfo",
        "libcpupower",
        "bpftool",
        "hyperv-daemons",
        "usbip",
        "kernel-tools",
        "perf",
        "python3-perf",
        "rtla",
    ];
    let starts = |prefix: &&str| {
        binary
            .strip_prefix(*prefix)
            .is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    if HEADERS.iter().any(starts) || binary.contains("-headers") {
        return Carries::Headers;
    }
    if TOOLS.iter().any(starts) || binary.contains("-tools") {
        return Carries::Tools;
    }
    if image_release(binary).is_some() {
        return Carries::Image;
    }
    if binary.starts_with("kernel")
        || matches!(binary, "linux-lts" | "linux-virt" | "linux-edge" | "linux-rpi")
    {
        return Carries::Image;
    }
    Carries::Meta
}

/// Returns the kernel release (`uname -r`) that a dpkg image package holds: `6.1.0-18-amd64` of `linux-image-6.1.0-18-amd64`.
pub fn image_release(binary: &str) -> Option<&str> {
    for prefix in [
        "linux-image-unsigned-",
        "linux-image-extra-",
        "linux-image-",
        "linux-modules-extra-",
        "linux-modules-",
        "kernel-image-",
    ] {
        if let Some(rest) = binary.strip_prefix(prefix) {
            let release = rest.strip_suffix("-unsigned").unwrap_or(rest);
            return release.starts_with(|c: char| c.is_ascii_digit()).then_some(release);
        }
    }
    None
}

/// Returns what `uname -r` says when the package's kernel runs.
pub fn release_of(package: &Package, database: Database) -> Option<String> {
    match database {
        Database::Dpkg => image_release(&package.name).map(str::to_owned),
        Database::Rpm => Some(format!("{}.{}", without_epoch(package), package.architecture)),
        Database::Apk => {
            let flavour = package.name.strip_prefix("linux-")?;
            let (version, revision) = package.version.rsplit_once("-r")?;
            Some(format!("{version}-{revision}-{flavour}"))
        }
    }
}

fn without_epoch(package: &Package) -> &str {
    package.version.split_once(':').map_or(package.version.as_str(), |(_, version)| version)
}

/// Tells whether a package holds the kernel of a release, by any of the names that builders give to one: the names of a
/// distribution that advisories speak of are [`release_of`].
pub fn holds(package: &Package, database: Database, release: &str) -> bool {
    match database {
        Database::Dpkg => {
            // A package's name is in lower case; of others than Debian and Ubuntu it is `pve-kernel-RELEASE-signed`.
            let named = package.name.split_once("kernel-").map(|(_, rest)| rest);
            let named = named.map(|rest| rest.strip_suffix("-signed").unwrap_or(rest));
            [image_release(&package.name), named]
                .into_iter()
                .flatten()
                .any(|held| held.eq_ignore_ascii_case(release))
        }
        Database::Rpm => {
            let image = package.name.contains("kernel")
                && !["devel", "headers"].iter().any(|beside| package.name.contains(beside))
                && !matches!(carries(&package.name), Carries::Headers | Carries::Tools);
            image && is_build(without_epoch(package), release)
        }
        Database::Apk => release_of(package, database).is_some_and(|held| held == release),
    }
}

/// `5.14.0-427.el9` is `5.14.0-427.el9.x86_64+rt` when it runs, and was `2.6.18-419.el5PAE`; SUSE leaves the number of
/// the rebuild out, and names the flavour: `5.14.21-150500.55.19.1`, `5.14.21-150500.55.19-default`.
fn is_build(version: &str, release: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_digit());
    if release.strip_prefix(version).is_some_and(ends) {
        return true;
    }
    let flavourless = release.rsplit_once('-').map(|(build, _)| build);
    let build = version.rsplit_once('.').filter(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()));
    flavourless.is_some_and(|f| f.contains('-')) && build.map(|(build, _)| build) == flavourless
}

/// Returns what tells the kernels of one build of a line apart from those of another: `amd64` of `6.1.0-18-amd64`,
/// `cloud-amd64`, `generic`, `x86_64+rt` of `5.14.0-427.el9.x86_64+rt`. Of one that names none it is empty.
pub fn flavour(release: &str) -> &str {
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    // Words that begin with a digit are of the version.
    let mut rest = release;
    while let Some((word, after)) = rest.split_once('-')
        && is_number(word)
    {
        rest = after;
    }
    if !is_number(rest) {
        return rest;
    }
    let last = rest.rsplit('.').next().unwrap_or_default();
    if is_number(last) { "" } else { last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_known_by_every_name_that_builders_give_it() {
        let holds = |database, name: &str, version: &str, release: &str| {
            let package = Package {
                name: name.into(),
                version: version.into(),
                architecture: "x86_64".into(),
                ..Package::default()
            };
            holds(&package, database, release)
        };
        for (name, version, release) in [
            ("linux-image-6.1.0-18-amd64", "6.1.76-1", "6.1.0-18-amd64"),
            ("linux-image-unsigned-5.15.0-60-generic", "5.15.0-60.66", "5.15.0-60-generic"),
            ("proxmox-kernel-6.8.4-2-pve-signed", "6.8.4-2", "6.8.4-2-pve"),
            ("pve-kernel-5.15.30-2-pve", "5.15.30-3", "5.15.30-2-pve"),
            ("linux-image-6.6.20+rpt-rpi-v8", "1:6.6.20-1+rpt1", "6.6.20+rpt-rpi-v8"),
            ("linux-image-6.9.0-custom", "6.9.0-1", "6.9.0-Custom"),
        ] {
            assert!(holds(Database::Dpkg, name, version, release), "{name}");
            assert!(!holds(Database::Dpkg, name, version, "6.9.1"), "{name}");
        }
        for beside in
            ["linux-headers-6.1.0-18-amd64", "linux-tools-6.1.0-18-amd64", "linux-libc-dev"]
        {
            assert!(!holds(Database::Dpkg, beside, "6.1.76-1", "6.1.0-18-amd64"), "{beside}");
        }
        for (name, version, release) in [
            ("kernel-core", "5.14.0-427.13.1.el9_4", "5.14.0-427.13.1.el9_4.x86_64"),
            ("kernel-rt-core", "5.14.0-427.13.1.el9_4", "5.14.0-427.13.1.el9_4.x86_64+rt"),
            ("kernel-PAE", "2.6.18-419.el5", "2.6.18-419.el5PAE"),
            ("kernel-ml", "1:6.9.1-1.el8.elrepo", "6.9.1-1.el8.elrepo.x86_64"),
            ("kernel-default", "5.14.21-150500.55.19.1", "5.14.21-150500.55.19-default"),
        ] {
            assert!(holds(Database::Rpm, name, version, release), "{name}");
            assert!(!holds(Database::Rpm, name, version, "5.14.0-42.el9.x86_64"), "{name}");
        }
        for beside in ["kernel-headers", "kernel-devel", "kernel-tools", "kernel-rt-devel"] {
            assert!(
                !holds(Database::Rpm, beside, "5.14.0-4.el9", "5.14.0-4.el9.x86_64"),
                "{beside}"
            );
        }
        assert!(!holds(Database::Rpm, "kernel", "5.14.0-4", "5.14.0-42.el9.x86_64"));
        assert!(holds(Database::Apk, "linux-lts", "6.6.32-r0", "6.6.32-0-lts"));
        assert!(!holds(Database::Apk, "linux-virt", "6.6.32-r0", "6.6.32-0-lts"));
    }

    #[test]
    fn a_flavour_is_what_follows_the_version() {
        for (release, expected) in [
            ("6.1.0-18-amd64", "amd64"),
            ("6.1.0-18-cloud-amd64", "cloud-amd64"),
            ("6.1.0-18-rt-amd64", "rt-amd64"),
            ("6.12.9+bpo-amd64", "amd64"),
            ("4.19.0-27-686-pae", "pae"),
            ("5.15.0-91-generic", "generic"),
            ("6.6.20+rpt-rpi-v8", "rpi-v8"),
            ("6.8.4-2-pve", "pve"),
            ("5.14.21-150500.55.19-default", "default"),
            ("5.14.0-427.el9.x86_64", "x86_64"),
            ("5.14.0-427.el9.x86_64+rt", "x86_64+rt"),
            ("6.6.32-0-lts", "lts"),
            ("6.9.1", ""),
            ("", ""),
        ] {
            assert_eq!(flavour(release), expected, "{release}");
        }
    }

    #[test]
    fn the_word_that_says_how_it_was_made_is_removed() {
        for (made, source) in [
            ("linux-signed-amd64", "linux"),
            ("linux-signed", "linux"),
            ("linux-signed-hwe-6.2", "linux-hwe-6.2"),
            ("linux-signed-arm64", "linux"),
            ("linux-meta-aws-5.15", "linux-aws-5.15"),
            ("linux-restricted-modules-hwe-6.5", "linux-hwe-6.5"),
            ("linux-latest", "linux"),
            ("linux", "linux"),
            ("linux-hwe-5.19", "linux-hwe-5.19"),
            ("curl", "curl"),
        ] {
            assert_eq!(source_by_name(made), source, "{made}");
        }
    }

    #[test]
    fn a_kernel_source_is_told_from_its_neighbours() {
        for yes in [
            "linux",
            "linux-hwe-6.2",
            "linux-2.6",
            "linux-gke-5.15",
            "linux-oem-6.1",
            "kernel",
            "linux-raspi",
            "linux-source-2.6.15",
        ] {
            assert!(is_kernel_source(yes), "{yes}");
        }
        for no in [
            "linux-firmware",
            "linux-base",
            "linux-atm",
            "curl",
            "util-linux",
            "linux-firmware-raspi2",
            "linux-ftpd",
            "kernel-wedge",
        ] {
            assert!(!is_kernel_source(no), "{no}");
        }
    }

    #[test]
    fn headers_carry_no_flaw_and_meta_packages_no_code() {
        assert_eq!(carries("linux-libc-dev"), Carries::Headers);
        assert_eq!(carries("linux-headers-6.1.0-18-amd64"), Carries::Headers);
        assert_eq!(carries("linux-hwe-6.2-headers-6.2.0-26"), Carries::Headers);
        assert_eq!(carries("linux-image-6.1.0-18-amd64"), Carries::Image);
        assert_eq!(carries("linux-modules-5.15.0-91-generic"), Carries::Image);
        assert_eq!(carries("linux-image-amd64"), Carries::Meta);
        assert_eq!(carries("linux-generic"), Carries::Meta);
        assert_eq!(carries("linux-perf"), Carries::Tools);
        assert_eq!(carries("kernel-core"), Carries::Image);
        assert_eq!(image_release("linux-image-2.6.24-19-server"), Some("2.6.24-19-server"));
        assert_eq!(image_release("linux-image-generic"), None);
    }
}
