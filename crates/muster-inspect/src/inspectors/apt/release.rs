//! What an archive says of itself, in its Release file (the Debian repository format).
//!
//! Signatures are looked for, not checked: the keys and the check are apt's.

use jiff::fmt::rfc2822::DateTimeParser;
use muster_core::time::Instant;

use super::deb822::{stanzas, value};
use super::sums::{Kind, Listed, Vouched};

/// The longest Release file that is read: Debian's has 150 kB.
pub(super) const LONGEST: u64 = 32 << 20;

/// The endings of packed indices.
const PACKED: [&str; 6] = [".xz", ".gz", ".bz2", ".zst", ".lz4", ".lzma"];

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
    /// Its list of files, and the kind of sums in it.
    files: String,
    kind: Kind,
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
        let get = |name: &str| value(&fields, name).unwrap_or_default();
        let yes = |name: &str| get(name).eq_ignore_ascii_case("yes");
        let files = Kind::ALL.map(|kind| (kind, get(&kind.field().to_ascii_lowercase())));
        let (kind, files) =
            files.into_iter().find(|(_, list)| !list.is_empty()).unwrap_or_default();
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
            files: files.to_owned(),
            kind,
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
        match self.listed(index) {
            Some(listed) => listed.size > 0,
            None => PACKED.iter().any(|ending| self.listed(&format!("{index}{ending}")).is_some()),
        }
    }

    /// Returns what it says of an index that lies on the machine in a form with this ending.
    pub(super) fn vouches(&self, index: &str, ending: &str) -> Vouched {
        if let Some(listed) = self.listed(index) {
            return Vouched::Unpacked(listed);
        }
        match self.listed(&format!("{index}{ending}")) {
            Some(listed) => Vouched::Packed(listed),
            None if self.lists(index) => Vouched::Elsewhere,
            None => Vouched::Nowhere,
        }
    }

    /// Returns what it says of a file.
    fn listed(&self, file: &str) -> Option<Listed> {
        self.files.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (sum, size, path) = (words.next()?, words.next()?, words.next()?);
            (path.strip_prefix("./").unwrap_or(path) == file).then_some(())?;
            Some(Listed { size: size.parse().ok()?, sum: sum.to_owned(), kind: self.kind })
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
    use super::{Kind, Listed, Release, Vouched};

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
    fn an_index_is_vouched_for_in_the_form_that_is_listed() {
        let release = Release::parse(
            "Origin: x\nMD5Sum:\n cc 1 a/Packages\nSHA256:\n aa 10 a/Packages\n bb 5 a/Packages.xz\n dd 7 ./Packages.gz\n",
        );
        let listed = |sum: &str, size| Listed { size, sum: sum.into(), kind: Kind::Sha256 };
        assert_eq!(release.vouches("a/Packages", ".lz4"), Vouched::Unpacked(listed("aa", 10)));
        assert_eq!(release.vouches("Packages", ".gz"), Vouched::Packed(listed("dd", 7)));
        assert_eq!(release.vouches("Packages", ""), Vouched::Elsewhere);
        assert_eq!(release.vouches("b/Packages", ""), Vouched::Nowhere);
        assert!(release.lists("Packages") && !release.lists("b/Packages"));
    }

    #[test]
    fn a_signature_that_is_missing_or_cut_off_is_none() {
        assert!(!Release::parse("Origin: x\nSuite: y\n").signed);
        assert!(!Release::parse(SIGNED.split("-----END").next().unwrap()).signed);
    }
}
