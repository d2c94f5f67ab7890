//! Package URLs (the purl specification, types deb, rpm and apk).

use muster_core::fact::{Database, Facts};
use muster_core::finding::Concerned;

/// Returns the purl of a package of this server.
pub(crate) fn of(facts: &Facts, package: &Concerned) -> String {
    let kind = match facts.database.found() {
        Some(Database::Dpkg) | None => "deb",
        Some(Database::Rpm) => "rpm",
        Some(Database::Apk) => "apk",
    };
    let os = facts.os.found();
    let namespace = os.map_or("unknown", |o| o.id.as_str());
    let (epoch, version) = match (kind, package.installed.split_once(':')) {
        ("rpm", Some((epoch, version))) => (format!("&epoch={}", encode(epoch)), version),
        _ => (String::new(), &*package.installed),
    };
    let distro = os
        .and_then(|o| Some(format!("&distro={}-{}", encode(&o.id), encode(o.version.as_deref()?))))
        .unwrap_or_default();
    format!(
        "pkg:{kind}/{}/{}@{}?arch={}{epoch}{distro}",
        encode(namespace),
        encode(&package.name),
        encode(version),
        encode(&package.architecture)
    )
}

/// Percent-encodes what the specification does not leave as it is.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                encoded.push(char::from(byte));
            }
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn what_has_a_meaning_in_a_purl_is_encoded() {
        assert_eq!(encode("g++"), "g%2B%2B");
        assert_eq!(encode("1:2.0-1~deb12u1"), "1:2.0-1~deb12u1");
        assert_eq!(encode("a b?c@d"), "a%20b%3Fc%40d");
    }
}
