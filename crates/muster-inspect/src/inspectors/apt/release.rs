//! What an archive says of itself, in its Release file (the Debian repository format).
//!
//! Signatures are looked for, not checked: the keys and the check are apt's. Sums are not compared.

use jiff::fmt::rfc2822::DateTimeParser;
use muster_core::time::Instant;

use super::deb822::{stanzas, value};

/// The longest Release file that is read: Debian's has 150 kB.
pub(super) const LONGEST: u64 = 32 << 20;

/// A Release file.
#[derive(Clone, Debug, Default)]
pub(super) struct Release {
    pub(super) origin: String,
    pub(super) label: String,
    pub(super) suite: String,
    pub(super) codename: String,
    pub(super) version: String,
    pub(super) date: Option<Instant>,
    pub(super) valid_until: Option<Instant>,
    /// `NotAutomatic`: nothing of it is installed unless asked for.
    pub(super) not_automatic: bool,
    /// `ButAutomaticUpgrades`: what was asked for is kept up to date.
    pub(super) but_upgrades: bool,
    /// The architectures it serves; empty: it does not say.
    architectures: Vec<String>,
    /// Whether packages for all architectures stand in the indices of each.
    all_in_each: bool,
    /// Whether a signature stands in it.
    pub(super) signed: bool,
    /// Its list of files.
    files: String,
}

impl Release {
    /// Reads the text of an `InRelease` or `Release` file.
    pub(super) fn parse(text: &str) -> Self {
        let body = match text.strip_prefix("-----BEGIN PGP SIGNED MESSAGE-----") {
            Some(rest) => rest.split_once("\n\n").map_or("", |(_, body)| body),
            None => text,
        };
        let signed = text.contains("-----BEGIN PGP SIGNATURE-----")
            && text.contains("-----END PGP SIGNATURE-----");
        let body = body.split("-----BEGIN PGP SIGNATURE-----").next().unwrap_or_default();
        let fields = stanzas(body).into_iter().next().unwrap_or_default();
        let get = |name| value(&fields, name).unwrap_or_default();
        let yes = |name| get(name).eq_ignore_ascii_case("yes");
        let files = ["sha256", "sha512", "sha1", "md5sum"].into_iter().map(get);
        Self {
            origin: get("origin").to_owned(),
            label: get("label").to_owned(),
            suite: get("suite").to_owned(),
            codename: get("codename").to_owned(),
            version: get("version").to_owned(),
            date: instant(get("date")),
            valid_until: instant(get("valid-until")),
            not_automatic: yes("notautomatic"),
            but_upgrades: yes("butautomaticupgrades"),
            architectures: get("architectures")
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect(),
            all_in_each: get("no-support-for-architecture-all")
                .split_ascii_whitespace()
                .any(|target| target == "Packages"),
            signed,
            files: files.into_iter().find(|list| !list.is_empty()).unwrap_or_default().to_owned(),
        }
    }

    /// Tells whether it serves an architecture with indices of its own.
    pub(super) fn serves(&self, architecture: &str) -> bool {
        if architecture == "all" {
            return !self.all_in_each && self.architectures.iter().any(|a| a == "all");
        }
        self.architectures.is_empty() || self.architectures.iter().any(|a| a == architecture)
    }

    /// Tells whether it lists an index that is not empty, packed or not.
    pub(super) fn lists(&self, index: &str) -> bool {
        self.files.lines().any(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let (Some(size), Some(path)) = (words.next(), words.next()) else { return false };
            path == index && size != "0"
        })
    }
}

/// Reads a date as Release files write it: `Sat, 21 Nov 2026 00:53:02 UTC`.
fn instant(text: &str) -> Option<Instant> {
    let text = ["UTC", "GMT", "Z"]
        .into_iter()
        .find_map(|zone| text.strip_suffix(zone))
        .map_or_else(|| text.to_owned(), |plain| format!("{} +0000", plain.trim_end()));
    DateTimeParser::new().relaxed_weekday(true).parse_timestamp(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::Release;

    const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nLabel: Debian-Security\nSuite: oldstable-security\nCodename: bookworm-security\nDate: Sat, 21 Nov 2026 00:53:02 UTC\nValid-Until: Sat, 28 Nov 2026 00:53:02 UTC\nNo-Support-for-Architecture-all: Packages\nArchitectures: all amd64\nSHA256:\n aa 10 main/binary-amd64/Packages\n bb 0 contrib/binary-amd64/Packages\n-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n";

    #[test]
    fn facts_stand_between_the_marks_of_the_signature() {
        let release = Release::parse(SIGNED);
        assert!(release.signed);
        assert_eq!(release.codename, "bookworm-security");
        assert_eq!(release.date.unwrap().to_string(), "2026-11-21T00:53:02Z");
        assert_eq!(release.valid_until.unwrap().to_string(), "2026-11-28T00:53:02Z");
        assert!(release.serves("amd64") && !release.serves("all") && !release.serves("i386"));
        assert!(release.lists("main/binary-amd64/Packages"));
        assert!(!release.lists("contrib/binary-amd64/Packages"));
    }

    #[test]
    fn a_signature_that_is_missing_or_cut_off_is_none() {
        assert!(!Release::parse("Origin: x\nSuite: y\n").signed);
        assert!(!Release::parse(SIGNED.split("-----END").next().unwrap()).signed);
    }
}
