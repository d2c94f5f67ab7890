//! The OSV schema's ecosystems, as releases and channels (the schema's table of ecosystems; Canonical's notes on its
//! own: `Ubuntu:Pro:22.04:LTS`, `Ubuntu:Pro:FIPS-updates:20.04:LTS`).
//!
//! An ecosystem that nobody knows keeps its own words, in lower case: it is kept, and matches nothing.

use std::sync::LazyLock;

use hashbrown::HashMap;
use muster_core::advisory::{By, Channel, Text};
use muster_core::catalog::{self, DISTRIBUTIONS};

/// Where a statement of an OSV record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) release: Text<'static>,
    pub(crate) channel: Channel,
    pub(crate) by: By,
}

/// Returns the place that an ecosystem names. `pocket` is the purl's `distro`, `availability` Canonical's words on who
/// gets the fix: within Pro only they tell infra from apps.
pub(crate) fn place(ecosystem: &str, pocket: Option<&str>, availability: Option<&str>) -> Place {
    let (name, rest) = ecosystem.split_once(':').unwrap_or((ecosystem, ""));
    let at = |release, by| Place { release, channel: Channel::Base, by };
    match (name, rest) {
        ("Ubuntu", _) => ubuntu(rest, pocket, availability),
        ("Red Hat", _) => red_hat(rest),
        ("openSUSE", _) if rest.starts_with("Leap ") => {
            let version = rest.strip_prefix("Leap ").unwrap_or(rest);
            at(named("opensuse-leap", version), By::Binary)
        }
        // What follows is the address of a registry: the names within are those of the language.
        ("Packagist" | "Maven", _) => at(name.to_ascii_lowercase().into(), By::Source),
        _ => match catalog::by_osv(name) {
            Some(distribution) => {
                let version = rest.strip_prefix('v').unwrap_or(rest);
                at(named(distribution.id, version), distribution.matched_by)
            }
            None => at(ecosystem.to_ascii_lowercase().into(), By::Source),
        },
    }
}

/// The names of all releases of the catalogue, by distribution, and by version and by code name.
static NAMES: LazyLock<HashMap<&str, HashMap<&str, String>>> = LazyLock::new(|| {
    let mut names: HashMap<&str, HashMap<&str, String>> = HashMap::new();
    for distribution in DISTRIBUTIONS {
        let names = names.entry(distribution.id).or_default();
        for release in distribution.releases {
            let name = format!("{}:{}", distribution.id, release.version);
            if let Some(codename) = release.codename {
                names.insert(codename, name.clone());
            }
            names.insert(release.version, name);
        }
    }
    names
});

/// Returns the name of a distribution's release, as everything else calls it: `debian:6.0` for Debian's 6.
pub(crate) fn named(id: &'static str, version: &str) -> Text<'static> {
    if version.is_empty() {
        return id.into();
    }
    if let Some(known) = NAMES.get(id).and_then(|n| n.get(version)) {
        return known.as_str().into();
    }
    let distribution = catalog::distribution(id);
    let version = distribution.map_or(version.to_owned(), |d| d.release_version(version));
    format!("{id}:{version}").into()
}

/// Returns the name of the release of a distribution that has that code name.
pub(crate) fn codenamed(id: &'static str, codename: &str) -> Option<Text<'static>> {
    NAMES.get(id)?.get(codename).map(|name| name.as_str().into())
}

fn ubuntu(rest: &str, pocket: Option<&str>, availability: Option<&str>) -> Place {
    let is_version = |part: &&str| part.starts_with(|c: char| c.is_ascii_digit());
    let version = rest.split(':').find(is_version).unwrap_or("devel");
    let words: Vec<&str> =
        rest.split(':').filter(|p| !is_version(p) && !matches!(*p, "LTS" | "")).collect();
    let live = availability.is_some_and(|a| a.starts_with("Livepatch"));
    let channel = match words.as_slice() {
        _ if live => Channel::Livepatch,
        [] => Channel::Base,
        ["Pro"] => pro(pocket, availability),
        ["Pro", "FIPS"] => Channel::Fips,
        ["Pro", "FIPS-updates"] => Channel::FipsUpdates,
        ["Pro", "FIPS-preview"] => Channel::FipsPreview,
        ["Pro", "Realtime", ..] => Channel::Realtime,
        _ => Channel::Other,
    };
    Place { release: named("ubuntu", version), channel, by: By::Source }
}

/// Within Pro the pocket of the purl counts first, then the words. What neither tells (`esm/xenial` of a derived file)
/// is taken for infra: most of what is on servers comes from main, and a claim on either is a claim on the same paid fix.
fn pro(pocket: Option<&str>, availability: Option<&str>) -> Channel {
    let availability = availability.unwrap_or_default();
    match pocket.map(pocket_channel) {
        Some(channel) if channel != Channel::Base => channel,
        _ if availability.contains("Infra-only") || availability.is_empty() => Channel::EsmInfra,
        _ => Channel::EsmApps,
    }
}

/// Returns the channel of a pocket as Canonical writes it: `esm-infra/bionic`, `trusty/esm`, `fips-updates/focal`, `jammy`.
pub(crate) fn pocket_channel(pocket: &str) -> Channel {
    let Some((first, second)) = pocket.split_once('/') else { return Channel::Base };
    match (first, second) {
        ("esm-infra" | "esm", _) | (_, "esm") => Channel::EsmInfra,
        ("esm-infra-legacy", _) => Channel::EsmInfraLegacy,
        ("esm-apps", _) => Channel::EsmApps,
        ("fips", _) => Channel::Fips,
        ("fips-updates", _) => Channel::FipsUpdates,
        ("fips-preview", _) => Channel::FipsPreview,
        ("realtime", _) => Channel::Realtime,
        ("ros-esm", _) => Channel::RosEsm,
        _ => Channel::Other,
    }
}

/// `enterprise_linux:9::appstream` is the release itself; streams for those who pay for a minor release are not.
fn red_hat(rest: &str) -> Place {
    let mut parts = rest.split(':');
    match (parts.next(), parts.next()) {
        (Some("enterprise_linux"), Some(version)) if !version.is_empty() => {
            Place { release: named("rhel", version), channel: Channel::Base, by: By::Binary }
        }
        _ => Place {
            release: format!("red hat:{rest}").into(),
            channel: Channel::Other,
            by: By::Binary,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ecosystem_is_a_release_and_a_channel() {
        for (ecosystem, pocket, availability, release, channel) in [
            ("Ubuntu:22.04:LTS", Some("jammy"), None, "ubuntu:22.04", Channel::Base),
            ("Ubuntu:25.10", None, None, "ubuntu:25.10", Channel::Base),
            (
                "Ubuntu:Pro:18.04:LTS",
                Some("esm-infra/bionic"),
                None,
                "ubuntu:18.04",
                Channel::EsmInfra,
            ),
            (
                "Ubuntu:Pro:18.04:LTS",
                Some("esm-apps/bionic"),
                None,
                "ubuntu:18.04",
                Channel::EsmApps,
            ),
            ("Ubuntu:Pro:14.04:LTS", Some("trusty/esm"), None, "ubuntu:14.04", Channel::EsmInfra),
            ("Ubuntu:Pro:14.04:LTS", Some("esm/trusty"), None, "ubuntu:14.04", Channel::EsmInfra),
            (
                "Ubuntu:Pro:14.04:LTS",
                Some("esm-infra-legacy/trusty"),
                None,
                "ubuntu:14.04",
                Channel::EsmInfraLegacy,
            ),
            (
                "Ubuntu:Pro:22.04:LTS",
                Some("jammy"),
                Some("Livepatch subscription required"),
                "ubuntu:22.04",
                Channel::Livepatch,
            ),
            (
                "Ubuntu:22.04:LTS",
                Some("jammy"),
                Some("Livepatch subscription required"),
                "ubuntu:22.04",
                Channel::Livepatch,
            ),
            (
                "Ubuntu:Pro:22.04:LTS",
                None,
                Some("Available with Ubuntu Pro: x"),
                "ubuntu:22.04",
                Channel::EsmApps,
            ),
            ("Ubuntu:Pro:FIPS-updates:20.04:LTS", None, None, "ubuntu:20.04", Channel::FipsUpdates),
            ("Ubuntu:Nvidia-BlueField:22.04:LTS", None, None, "ubuntu:22.04", Channel::Other),
            ("Debian:12", None, None, "debian:12", Channel::Base),
            ("Alpine:v3.19", None, None, "alpine:3.19", Channel::Base),
            ("Rocky Linux:9", None, None, "rocky:9", Channel::Base),
            ("AlmaLinux:8", None, None, "almalinux:8", Channel::Base),
            ("Red Hat:enterprise_linux:9::appstream", None, None, "rhel:9", Channel::Base),
            (
                "Red Hat:rhel_eus:9.2::baseos",
                None,
                None,
                "red hat:rhel_eus:9.2::baseos",
                Channel::Other,
            ),
            ("PyPI", None, None, "pypi", Channel::Base),
            ("Debian:6", None, None, "debian:6.0", Channel::Base),
            ("Debian:3.1", None, None, "debian:3.1", Channel::Base),
            ("openSUSE:Leap 15.6", None, None, "opensuse-leap:15.6", Channel::Base),
            ("Red Hat:enterprise_linux:8.8::baseos", None, None, "rhel:8", Channel::Base),
            ("Wolfi", None, None, "wolfi", Channel::Base),
            ("Mageia:9", None, None, "mageia:9", Channel::Base),
            ("Packagist:https://packages.drupal.org/8", None, None, "packagist", Channel::Base),
        ] {
            let place = place(ecosystem, pocket, availability);
            assert_eq!((&*place.release, place.channel), (release, channel), "{ecosystem}");
        }
    }
}
