//! Roots of servers, as small as they can be.

use sha2::Digest as _;

use crate::runs::Folder;

/// A stanza of dpkg's status.
pub(crate) fn stanza(name: &str, version: &str, source: &str, more: &str) -> String {
    let source = if source.is_empty() { String::new() } else { format!("Source: {source}\n") };
    format!(
        "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n{source}Version: {version}\n{more}Description: own words\n\n"
    )
}

/// A root with dpkg.
pub(crate) fn dpkg(os_release: &str, status: &str) -> Folder {
    let root = Folder::new();
    root.write("etc/os-release", os_release).write("var/lib/dpkg/status", status);
    root
}

pub(crate) const BOOKWORM: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n";
pub(crate) const JAMMY: &str = "PRETTY_NAME=\"Ubuntu 22.04.3 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nVERSION_CODENAME=jammy\nID=ubuntu\nID_LIKE=debian\n";

/// A Debian 12 that misses a patch, waits for another, and has a package nobody speaks of.
pub(crate) fn debian() -> Folder {
    let status = [
        stanza("dpkg", "1.21.22", "", ""),
        stanza("libharbour1", "2.0-1", "harbour", ""),
        stanza("quay", "1:4.2-3", "", ""),
        stanza("linux-libc-dev", "6.1.66-1", "linux", ""),
    ];
    dpkg(BOOKWORM, &status.concat())
}

/// The signed Release file of a suite with one index, made on the morning of [`crate::runs::NOW`].
pub(crate) fn release(
    origin: &str,
    suite: &str,
    codename: &str,
    label: &str,
    packages: &str,
) -> String {
    let sum: String = sha2::Sha256::digest(packages).iter().map(|b| format!("{b:02x}")).collect();
    let size = packages.len();
    format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: {origin}\nLabel: {label}\nSuite: {suite}\nCodename: {codename}\nDate: Mon, 23 Nov 2026 06:00:00 UTC\nArchitectures: all amd64\nComponents: main\nNo-Support-for-Architecture-all: Packages\nSHA256:\n {sum} {size} main/binary-amd64/Packages\n-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
    )
}

/// Gives a Debian 12 root fresh lists of both pockets, the security one with these stanzas.
pub(crate) fn with_lists(root: &Folder, packages: &str, security: &str) {
    let lists = "var/lib/apt/lists";
    let (main, pocket) = (
        format!("{lists}/mirror.example.org_debian_dists_bookworm"),
        format!("{lists}/security.example.org_debian-security_dists_bookworm-security"),
    );
    root.write(
        "etc/apt/sources.list",
        "deb http://mirror.example.org/debian bookworm main\ndeb http://security.example.org/debian-security bookworm-security main\n",
    )
    .write("var/lib/dpkg/arch", "amd64\n")
    .write(&format!("{main}_InRelease"), release("Debian", "oldstable", "bookworm", "Debian", packages))
    .write(&format!("{main}_main_binary-amd64_Packages"), packages)
    .write(&format!("{pocket}_InRelease"), release("Debian", "oldstable-security", "bookworm-security", "Debian-Security", security))
    .write(&format!("{pocket}_main_binary-amd64_Packages"), security)
    .write("etc/apt/apt.conf.d/20auto-upgrades", "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n");
}

/// A stanza of an index.
pub(crate) fn offer(name: &str, version: &str, source: &str) -> String {
    let source = if source.is_empty() { String::new() } else { format!("Source: {source}\n") };
    format!(
        "Package: {name}\n{source}Version: {version}\nArchitecture: amd64\nMaintainer: own <own@example.org>\nFilename: pool/{name}_{version}.deb\nSize: 1\nSHA256: 00\nDescription: own words\n\n"
    )
}

/// The root of August 2007: Ubuntu 6.06, an old kernel, packages from elsewhere, no indices.
pub(crate) fn august_2007() -> Folder {
    let status = [
        stanza("base-files", "3.1.9ubuntu7", "", ""),
        stanza("linux-image-2.6.15-26-server", "2.6.15-26.47", "linux-source-2.6.15", ""),
        stanza("openssh-server", "1:4.2p1-7ubuntu3", "openssh", ""),
        stanza("apache2-common", "2.0.55-4ubuntu2", "apache2", ""),
        stanza("proftpd", "1.2.10-27", "", ""),
        stanza(
            "wiki-farm",
            "0.9-1",
            "",
            "Origin: Community\nMaintainer: a stranger <stranger@example.org>\n",
        ),
    ];
    let root = Folder::new();
    root.write("etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=6.06\nDISTRIB_CODENAME=dapper\nDISTRIB_DESCRIPTION=\"Ubuntu 6.06.1 LTS\"\n")
        .write("etc/debian_version", "testing/unstable\n")
        .write("var/lib/dpkg/status", status.concat())
        .write("boot/vmlinuz-2.6.15-26-server", "");
    root
}
