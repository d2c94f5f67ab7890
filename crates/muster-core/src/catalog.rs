//! What the world's distributions are, compiled from `catalog/distros/*.toml`: names, version order, calendars; and by
//! which names advisories and calendars know web applications, from `catalog/webapps/*.toml`.

use alloc::string::{String, ToString as _};

use muster_version::Scheme;

use crate::advisory::By;
use crate::time::Date;

/// A distribution that Muster can tell from every other.
#[derive(Debug)]
pub struct Distribution {
    /// Its `ID` in os-release(5).
    pub id: &'static str,
    /// Its name as people write it.
    pub name: &'static str,
    /// The distribution whose packages it is built from: a relative, never a stand-in.
    pub kin: Option<&'static str>,
    /// Its ecosystem in the OSV schema, without the release.
    pub osv: Option<&'static str>,
    /// How its package versions are ordered.
    pub scheme: Scheme,
    /// Whether its advisories name source packages or binary ones.
    pub matched_by: By,
    /// How many parts of a version name a release: 1 for `12` of `12.5`, 2 for `3.19` of `3.19.1`.
    pub version_parts: u8,
    /// The distributor's own paid support, where there is one.
    pub paid_support: Option<&'static str>,
    /// Where the calendar was taken from.
    pub source: &'static str,
    /// The day of that source.
    pub as_of: Date,
    /// Its releases, oldest first.
    pub releases: &'static [Release],
}

/// One release of a distribution.
#[derive(Debug)]
pub struct Release {
    /// As it stands in a release name: `12`, `22.04`, `3.19`.
    pub version: &'static str,
    /// The code name, where archives use one.
    pub codename: Option<&'static str>,
    /// Whether the distributor supports it for longer than the others.
    pub lts: bool,
    /// The day it came out.
    pub released: Option<Date>,
    /// The last day of support that needs no payment, the project's own long-term support included.
    pub ends: Option<Date>,
    /// The last day of the distributor's own paid support.
    pub paid_until: Option<Date>,
    /// The last day of support by a third party.
    pub third_party_until: Option<Date>,
}

/// How a release is supported on a given day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// The distributor mends it for everybody.
    Supported,
    /// Only those who pay the distributor still get fixes.
    Subscription,
    /// Nobody at the distributor mends it.
    Ended,
    /// The calendar does not tell.
    Unknown,
}

const fn date(year: i16, month: i8, day: i8) -> Date {
    Date::constant(year, month, day)
}

/// Every distribution of the catalogue, in the order of their ids.
pub static DISTRIBUTIONS: &[Distribution] = include!(concat!(env!("OUT_DIR"), "/distributions.rs"));

/// Returns the distribution with that os-release id.
pub fn distribution(id: &str) -> Option<&'static Distribution> {
    DISTRIBUTIONS.iter().find(|d| d.id == id)
}

/// Returns the distribution that the OSV schema calls by that ecosystem, without its release.
pub fn by_osv(ecosystem: &str) -> Option<&'static Distribution> {
    DISTRIBUTIONS.iter().find(|d| d.osv == Some(ecosystem))
}

/// A web application, by the names that others know it by.
#[derive(Debug)]
pub struct Application {
    /// Its slug in reports.
    pub product: &'static str,
    /// Its name as people write it.
    pub name: &'static str,
    /// How its versions are ordered.
    pub order: Scheme,
    /// Its slug in the calendars of support.
    pub calendar: Option<&'static str>,
    /// The names under which advisories speak of it, each with its ecosystem (`packagist`, `pypi`, `cpe`).
    pub names: &'static [(&'static str, &'static str)],
    /// The kinds of its parts.
    pub parts: &'static [Part],
}

/// A kind of part of a web application.
#[derive(Debug)]
pub struct Part {
    /// What it is: `plugin`, `theme`, `module`, `extension`.
    pub kind: &'static str,
    /// Patterns of the names under which advisories speak of one; `{slug}` stands for its own name.
    pub names: &'static [(&'static str, &'static str)],
}

/// Every web application of the catalogue, in the order of their slugs.
pub static APPLICATIONS: &[Application] = include!(concat!(env!("OUT_DIR"), "/applications.rs"));

/// Returns the web application with that slug.
pub fn application(product: &str) -> Option<&'static Application> {
    let at = APPLICATIONS.binary_search_by(|a| a.product.cmp(product)).ok()?;
    APPLICATIONS.get(at)
}

/// Tells whether an application or a kind of part of the catalogue is known by that `vendor:product` of CPE.
pub fn is_known_cpe(name: &str) -> bool {
    let exact = |names: &[(&str, &str)]| names.contains(&("cpe", name));
    // Of a part's pattern only one with a vendor of its own tells anything: a slug alone is anybody's.
    let pattern = |(ecosystem, pattern): &(&str, &str)| {
        *ecosystem == "cpe"
            && pattern
                .strip_suffix("{slug}")
                .is_some_and(|vendor| !vendor.starts_with('*') && name.starts_with(vendor))
    };
    APPLICATIONS
        .iter()
        .any(|a| exact(a.names) || a.parts.iter().any(|part| part.names.iter().any(pattern)))
}

impl Application {
    /// Returns what is known of a kind of part; several entries of one kind differ in their folders only.
    pub fn part(&self, kind: &str) -> Option<&'static Part> {
        self.parts.iter().find(|part| part.kind == kind)
    }
}

impl Distribution {
    /// Returns the part of a full version that names the release: `12` of `12.5`.
    pub fn release_version(&self, version: &str) -> String {
        if self.releases.iter().any(|r| r.version == version) {
            return version.to_string();
        }
        let mut parts = version.split('.');
        let mut name = String::from(parts.next().unwrap_or_default());
        for part in parts.take(usize::from(self.version_parts).saturating_sub(1)) {
            name.push('.');
            name.push_str(part);
        }
        // Debian called its releases 4.0, 5.0 and 6.0, and counted 5.0.3 within them; others write 5 for the same.
        let whole = self.releases.iter().find(|r| r.version.strip_suffix(".0") == Some(&name));
        match whole {
            Some(whole) if !self.releases.iter().any(|r| r.version == name) => {
                whole.version.to_string()
            }
            _ => name,
        }
    }

    /// Returns the release of that version, full or short.
    pub fn release(&self, version: &str) -> Option<&'static Release> {
        let name = self.release_version(version);
        self.releases.iter().find(|r| r.version == name)
    }

    /// Returns the release with that code name.
    pub fn codenamed(&self, codename: &str) -> Option<&'static Release> {
        self.releases.iter().find(|r| r.codename == Some(codename))
    }

    /// Returns the next release after `ended` that is still supported on `today`.
    pub fn successor(&self, ended: &Release, today: Date) -> Option<&'static Release> {
        self.releases
            .iter()
            .filter(|r| r.released > ended.released && r.released.is_some_and(|d| d <= today))
            .filter(|r| r.lts || !ended.lts)
            .find(|r| r.support(today) == Support::Supported)
    }
}

impl Release {
    /// Judges how the release is supported on that day.
    pub fn support(&self, today: Date) -> Support {
        match (self.ends, self.paid_until) {
            (Some(ends), _) if today <= ends => Support::Supported,
            (_, Some(paid)) if today <= paid => Support::Subscription,
            (Some(_), _) => Support::Ended,
            (None, _) if self.released.is_some_and(|d| d <= today) => Support::Supported,
            (None, _) => Support::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_release_is_its_release() {
        assert_eq!(
            distribution("debian").unwrap().release("12.5").unwrap().codename,
            Some("bookworm")
        );
        assert_eq!(distribution("alpine").unwrap().release("3.19.1").unwrap().version, "3.19");
        assert_eq!(
            distribution("ubuntu").unwrap().release("22.04").unwrap().codename,
            Some("jammy")
        );
        assert!(distribution("ubuntu").unwrap().release("99.04").is_none());
        for lenny in ["5", "5.0", "5.0.3"] {
            assert_eq!(distribution("debian").unwrap().release_version(lenny), "5.0", "{lenny}");
        }
    }

    #[test]
    fn support_ends_the_day_after_its_last_day() {
        let bionic = distribution("ubuntu").unwrap().release("18.04").unwrap();
        assert_eq!(bionic.support(date(2023, 5, 31)), Support::Supported);
        assert_eq!(bionic.support(date(2023, 6, 1)), Support::Subscription);
        let feisty = distribution("ubuntu").unwrap().release("7.04").unwrap();
        assert_eq!(feisty.support(date(2010, 1, 1)), Support::Ended);
    }

    #[test]
    fn a_long_term_release_is_followed_by_a_long_term_release() {
        let ubuntu = distribution("ubuntu").unwrap();
        let bionic = ubuntu.release("18.04").unwrap();
        assert_eq!(ubuntu.successor(bionic, date(2026, 11, 23)).unwrap().version, "22.04");
    }

    #[test]
    fn applications_are_found_by_their_slugs() {
        assert!(APPLICATIONS.is_sorted_by(|a, b| a.product < b.product));
        for a in APPLICATIONS {
            assert_eq!(application(a.product).unwrap().name, a.name);
            for (ecosystem, name) in a.names.iter().filter(|(e, _)| *e == "cpe") {
                assert!(is_known_cpe(name), "{ecosystem} {name}");
            }
        }
        assert!(application("no-such-product").is_none());
        assert!(!is_known_cpe("linux:linux_kernel"));
    }

    #[test]
    fn every_distribution_names_its_source() {
        for d in DISTRIBUTIONS {
            assert!(!d.source.is_empty() && d.as_of.year() > 2020, "{}", d.id);
            assert!(d.kin.is_none_or(|kin| distribution(kin).is_some()), "{}: unknown kin", d.id);
        }
    }
}
