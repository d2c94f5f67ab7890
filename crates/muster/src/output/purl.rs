//! Package URLs (the purl specification, types deb, rpm and apk; composer, pypi and their kin; generic), and names of
//! CPE 2.3 (NISTIR 7695) for what has one.

use muster_core::application::{LanguagePackage, WebApplication};
use muster_core::catalog;
use muster_core::fact::{Database, Facts};
use muster_core::finding::{About, Concerned, Finding};

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

/// Software beside the packages, by the names that others know it by.
pub(crate) struct Beside<'f> {
    /// The id of its finding, whether it has one or not: a name of this one copy.
    pub(crate) id: String,
    pub(crate) name: &'f str,
    pub(crate) version: Option<&'f str>,
    pub(crate) path: &'f str,
    pub(crate) purl: String,
    pub(crate) cpe: Option<String>,
    /// Whether it is an application, not a library or a part.
    pub(crate) is_application: bool,
}

impl<'f> Beside<'f> {
    /// Names a web application or a part of one.
    pub(crate) fn application(found: &'f WebApplication) -> Self {
        Self::of_application(
            &found.product,
            found.version.as_deref(),
            &found.path,
            found.part_of.as_deref().zip(found.part.as_deref()),
        )
    }

    /// Names a package of a language.
    pub(crate) fn language(found: &'f LanguagePackage) -> Self {
        Self::of_language(&found.ecosystem, &found.name, &found.version, &found.path)
    }

    /// Names what a finding is about.
    pub(crate) fn of(finding: &'f Finding) -> Option<Self> {
        match &finding.about {
            About::WebApplication(a) => Some(Self::of_application(
                &a.product,
                a.version.as_deref(),
                &a.path,
                a.part_of.as_ref().map(|(of, part)| (of.as_str(), part.as_str())),
            )),
            About::LanguagePackage(l) => {
                Some(Self::of_language(&l.ecosystem, &l.name, &l.version, &l.path))
            }
            _ => None,
        }
    }

    fn of_application(
        product: &'f str,
        version: Option<&'f str>,
        path: &'f str,
        part: Option<(&str, &str)>,
    ) -> Self {
        let application = catalog::application(part.map_or(product, |(of, _)| of));
        let names = match part {
            None => application.map_or(&[][..], |a| a.names),
            Some((_, part)) => application.and_then(|a| a.part(part)).map_or(&[][..], |p| p.names),
        };
        let named = |wanted: &str| {
            let (_, name) = names.iter().find(|(ecosystem, _)| *ecosystem == wanted)?;
            Some(name.replace("{slug}", &product.to_lowercase()))
        };
        let purl = ["packagist", "pypi"]
            .into_iter()
            .find_map(|ecosystem| Some(language(ecosystem, &named(ecosystem)?, version)))
            .unwrap_or_else(|| language("generic", product, version));
        Self {
            id: format!("web-application:{product}:{path}"),
            name: product,
            version,
            path,
            purl,
            cpe: named("cpe").filter(|name| !name.starts_with('*')).map(|name| cpe(&name, version)),
            is_application: part.is_none(),
        }
    }

    fn of_language(ecosystem: &str, name: &'f str, version: &'f str, path: &'f str) -> Self {
        Self {
            id: format!("language-package:{ecosystem}:{name}:{path}"),
            name,
            version: Some(version),
            path,
            purl: language(ecosystem, name, Some(version)),
            cpe: None,
            is_application: false,
        }
    }
}

fn language(ecosystem: &str, name: &str, version: Option<&str>) -> String {
    let kind = match ecosystem {
        "packagist" => "composer",
        "rubygems" => "gem",
        "go" => "golang",
        other => other,
    };
    let name: Vec<String> = name.split('/').map(encode).collect();
    let version = version.map_or(String::new(), |version| format!("@{}", encode(version)));
    format!("pkg:{}/{}{version}", encode(kind), name.join("/"))
}

fn cpe(name: &str, version: Option<&str>) -> String {
    // In a formatted string the hyphen and the dot stand as they are, other punctuation after a backslash.
    let escaped = |text: &str| {
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            if c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.') {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        escaped
    };
    let (vendor, product) = name.split_once(':').unwrap_or((name, "*"));
    let version = version.map_or("*".to_owned(), |v| escaped(&v.to_lowercase()));
    format!("cpe:2.3:a:{}:{}:{version}:*:*:*:*:*:*:*", escaped(vendor), escaped(product))
}

/// Returns a path from `/` of the root as a relative reference (RFC 3986).
pub(crate) fn relative(path: &str) -> String {
    let path: Vec<String> = path.trim_start_matches('/').split('/').map(encode).collect();
    path.join("/").replace(':', "%3A")
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
    use super::{cpe, encode, language, relative};

    #[test]
    fn software_beside_the_packages_has_the_names_of_its_ecosystem() {
        assert_eq!(
            language("packagist", "mediawiki/core", Some("1.39.1")),
            "pkg:composer/mediawiki/core@1.39.1"
        );
        assert_eq!(language("generic", "my wiki", None), "pkg:generic/my%20wiki");
        assert_eq!(
            cpe("joomla:joomla!", Some("3.10.12")),
            "cpe:2.3:a:joomla:joomla\\!:3.10.12:*:*:*:*:*:*:*"
        );
        assert_eq!(cpe("moinmo:moinmoin", None), "cpe:2.3:a:moinmo:moinmoin:*:*:*:*:*:*:*:*");
        assert_eq!(relative("/srv/a b/c:d"), "srv/a%20b/c%3Ad");
    }

    #[test]
    fn what_has_a_meaning_in_a_purl_is_encoded() {
        assert_eq!(encode("g++"), "g%2B%2B");
        assert_eq!(encode("1:2.0-1~deb12u1"), "1:2.0-1~deb12u1");
        assert_eq!(encode("a b?c@d"), "a%20b%3Fc%40d");
    }
}
