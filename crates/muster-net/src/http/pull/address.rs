//! An address that may be fetched: absolute, http or https, without credentials (RFC 3986).
//!
//! This is not a general URL type. It knows what `muster feed pull` must refuse before a
//! connection is opened: another scheme, a user name or a password, and plain http to anything
//! but this machine.

use std::net::IpAddr;

use ureq::http::Uri;

/// Longest address taken from a file or a server.
const MAX_ADDRESS_BYTES: usize = 2_048;

/// An absolute http or https address without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    text: String,
    uri: Uri,
}

/// Why a text is not an address that may be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    #[error("is not an address such as https://host/path")]
    Malformed,
    #[error("has the scheme `{0}`; only https and http can be fetched")]
    Scheme(String),
    #[error("carries a user name or a password, which would end up in logs and in mirrors")]
    Credentials,
    #[error("is plain http, which anyone on the way can change")]
    Plain,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, BadAddress> {
        if text.len() > MAX_ADDRESS_BYTES {
            return Err(BadAddress::Malformed);
        }
        let without_fragment = text.split('#').next().unwrap_or_default();
        let uri: Uri = without_fragment.parse().map_err(|_| BadAddress::Malformed)?;
        let scheme = uri.scheme_str().ok_or(BadAddress::Malformed)?;
        if scheme != "https" && scheme != "http" {
            return Err(BadAddress::Scheme(scheme.to_owned()));
        }
        let authority = uri.authority().ok_or(BadAddress::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(BadAddress::Credentials);
        }
        if authority.host().is_empty() {
            return Err(BadAddress::Malformed);
        }
        Ok(Self { text: without_fragment.to_owned(), uri })
    }

    /// Parses, and refuses plain http to anything but this machine unless `plain` allows it.
    pub(crate) fn parse_allowed(text: &str, plain: bool) -> Result<Self, BadAddress> {
        let address = Self::parse(text)?;
        if address.is_https() || plain || address.is_loopback() {
            return Ok(address);
        }
        Err(BadAddress::Plain)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// The host without port and brackets.
    pub(crate) fn host(&self) -> &str {
        let host = self.uri.host().unwrap_or_default();
        host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
    }

    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host();
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The last part of the path: the name that a list of checksums knows the file by.
    pub(crate) fn file_name(&self) -> &str {
        self.uri.path().rsplit('/').next().unwrap_or_default()
    }

    /// What is shown to people: without the query, which may hold a token of a redirect.
    pub(crate) fn shown(&self) -> &str {
        self.text.split('?').next().unwrap_or_default()
    }

    /// Resolves the `Location` of a redirect (RFC 3986, section 5.2, without dot segments).
    pub(crate) fn join(&self, location: &str) -> Result<Self, BadAddress> {
        let scheme = self.uri.scheme_str().ok_or(BadAddress::Malformed)?;
        let authority = self.uri.authority().ok_or(BadAddress::Malformed)?;
        if location.is_empty() {
            return Err(BadAddress::Malformed);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        if location.starts_with('/') {
            return Self::parse(&format!("{scheme}://{authority}{location}"));
        }
        let path = self.uri.path();
        if location.starts_with('?') {
            return Self::parse(&format!("{scheme}://{authority}{path}{location}"));
        }
        if has_scheme(location) {
            return Self::parse(location);
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Self::parse(&format!("{scheme}://{authority}{folder}/{location}"))
    }
}

/// Whether a reference opens with a scheme (RFC 3986, section 3.1) and is therefore absolute.
fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else { return false };
    !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whether `host` is one that the list of exceptions (`NO_PROXY`, comma separated) names: itself,
/// a domain that it lies in (with or without a leading dot or `*.`), or `*`.
pub(crate) fn is_excepted(list: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    for entry in list.split([',', ' ']) {
        let entry = entry.trim().to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        let domain = entry.trim_start_matches('*').trim_start_matches('.');
        let domain = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')).unwrap_or(domain);
        if domain.is_empty() {
            continue;
        }
        if host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_of_the_web_are_taken() {
        for (text, why) in [
            ("ftp://host/file", BadAddress::Scheme("ftp".to_owned())),
            ("file:///etc/passwd", BadAddress::Malformed),
            ("https://user:secret@host/file", BadAddress::Credentials),
            ("https://token@host/file", BadAddress::Credentials),
            ("/only/a/path", BadAddress::Malformed),
            ("host.example/file", BadAddress::Malformed),
            ("", BadAddress::Malformed),
            ("https://", BadAddress::Malformed),
            ("https://host/with space", BadAddress::Malformed),
        ] {
            assert_eq!(Address::parse(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for text in ["http://127.0.0.1:8080/a", "http://[::1]/a", "http://localhost/a"] {
            assert!(Address::parse_allowed(text, false).is_ok(), "{text}");
        }
        for text in ["http://192.0.2.1/a", "http://localhost.example/a", "http://127.evil.example/"]
        {
            assert_eq!(Address::parse_allowed(text, false).unwrap_err(), BadAddress::Plain);
            assert!(Address::parse_allowed(text, true).is_ok());
        }
    }

    #[test]
    fn a_location_is_resolved_against_where_it_came_from() {
        let from = Address::parse("https://a.example:8443/one/two?x=1").unwrap();
        for (location, to) in [
            ("/three", "https://a.example:8443/three"),
            ("three", "https://a.example:8443/one/three"),
            ("?y=2", "https://a.example:8443/one/two?y=2"),
            ("//b.example/three", "https://b.example/three"),
            ("http://b.example/three#part", "http://b.example/three"),
        ] {
            assert_eq!(from.join(location).unwrap().as_str(), to);
        }
        for location in ["", "https://u:p@b.example/", "javascript:alert(1)", "ht tp://x/"] {
            assert!(from.join(location).is_err(), "{location}");
        }
    }

    #[test]
    fn the_list_of_exceptions_is_read_as_other_tools_read_it() {
        for (list, host, yes) in [
            ("example.org", "example.org", true),
            ("example.org", "www.example.org", true),
            (".example.org", "www.example.org", true),
            ("*.example.org", "www.example.org", true),
            ("example.org", "badexample.org", false),
            ("a, EXAMPLE.org", "Example.ORG", true),
            ("*", "anything", true),
            ("", "anything", false),
            (",,", "anything", false),
            ("[::1]", "::1", true),
        ] {
            assert_eq!(is_excepted(list, host), yes, "{list} {host}");
        }
    }
}
