//! Whether the distributor's paid support is attached: Ubuntu Pro and ESM, Debian ELTS, RHEL.
//!
//! Ubuntu: the client's `status.json` with its services and the end of the contract, the presence of its machine token
//! (never its content), and the sources it writes; `infra` and `apps` are told apart. A status that cannot be understood
//! is unknown. Debian: a source of extended LTS. RHEL: entitlement certificates by their names, and the repositories
//! of extended life-cycle support that subscription-manager(8) switched on. Whether a contract was ended before its
//! time is known to the vendor alone.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use muster_core::fact::{Facts, Obstacle, Reading, Subscription};
use muster_core::time::Instant;
use serde_json::Value;

use super::apt::{Conf, configured};
use crate::Inspector;
use crate::root::{EntryKind, Root};

/// The longest status that is read.
const LONGEST: u64 = 4 << 20;

/// What Ubuntu's client knows of itself, in its present and its former place.
const STATUS: [&str; 2] =
    ["var/lib/ubuntu-advantage/status.json", "var/lib/ubuntu-pro/status.json"];

/// What subscription-manager writes of a machine's repositories.
const REPOSITORIES: &str = "etc/yum.repos.d/redhat.repo";

/// The inspector of subscriptions.
pub struct Subscribed;

impl Inspector for Subscribed {
    fn name(&self) -> &'static str {
        "subscription"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "etc/apt/sources.list",
            "etc/apt/sources.list.d/*",
            "etc/pki/consumer/",
            "etc/pki/entitlement/",
            "etc/yum.repos.d/redhat.repo",
            "var/lib/ubuntu-advantage/private/",
            "var/lib/ubuntu-advantage/status.json",
            "var/lib/ubuntu-pro/status.json",
        ]
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        let id = facts.os.found().map(|os| os.id.clone()).unwrap_or_default();
        facts.subscription = match id.as_str() {
            "ubuntu" => ubuntu(root, &mut facts.obstacles),
            "debian" => debian(root, &mut facts.obstacles),
            "rhel" => rhel(root, &mut facts.obstacles),
            _ => return,
        };
    }
}

/// Reads what Ubuntu's client and the sources say.
fn ubuntu(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Reading<Subscription> {
    let mut unread = None;
    for path in STATUS {
        let bytes = match root.read(path, LONGEST) {
            Reading::Found(bytes) => bytes,
            Reading::Absent => continue,
            Reading::Unknown(obstacle) => {
                unread = Some(obstacle);
                continue;
            }
        };
        match from_status(&bytes, path) {
            Ok(found) => return Reading::Found(found),
            Err(why) => {
                let why = format!("{why}; run `pro status` as root, which writes it anew");
                unread = Some(Obstacle::new(format!("/{path}"), why));
            }
        }
    }
    obstacles.extend(unread.clone());
    let token = match root.list("var/lib/ubuntu-advantage/private") {
        Reading::Found(entries) => entries.iter().any(|e| e.name == "machine-token.json"),
        _ => false,
    };
    let (services, file) = from_sources(root, obstacles);
    if token || !services.is_empty() {
        let source = match file {
            Some(file) => file,
            None => "/var/lib/ubuntu-advantage/private/machine-token.json".to_owned(),
        };
        return Reading::Found(Subscription { attached: true, services, expires: None, source });
    }
    unread.map_or(Reading::Absent, Reading::Unknown)
}

/// Understands the client's status, or says what in it cannot be.
fn from_status(bytes: &[u8], path: &str) -> Result<Subscription, String> {
    let status: Value = serde_json::from_slice(bytes)
        .map_err(|error| format!("is not the JSON that the client writes: {error}"))?;
    let attached = status
        .get("attached")
        .and_then(Value::as_bool)
        .ok_or("does not say whether the machine is attached")?;
    let source = format!("/{path}");
    if !attached {
        return Ok(Subscription { source, ..Subscription::default() });
    }
    let services = status
        .get("services")
        .and_then(Value::as_array)
        .ok_or("does not say which services are switched on")?;
    let mut on: Vec<String> = services
        .iter()
        .filter(|service| {
            let word = |key: &str| service.get(key).and_then(Value::as_str);
            matches!(word("status"), Some("enabled" | "warning"))
        })
        .filter_map(|service| service.get("name").and_then(Value::as_str))
        .take(256)
        .map(str::to_owned)
        .collect();
    on.sort();
    on.dedup();
    Ok(Subscription { attached, services: on, expires: expiry(&status)?, source })
}

/// Reads the end of the contract. Contracts without an end have one in the year 9999, which is no instant of ours.
fn expiry(status: &Value) -> Result<Option<Instant>, String> {
    let text = match status.get("expires") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if matches!(text.as_str(), "" | "n/a") => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err("does not say when the contract runs out".to_owned()),
    };
    if text.starts_with("9999-") {
        return Ok(None);
    }
    let utc = |at: DateTime| at.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    let at = text.parse().ok().or_else(|| utc(text.parse().ok()?));
    at.map(Some).ok_or_else(|| "does not say in a date when the contract runs out".to_owned())
}

/// Returns the services whose archives are configured, and the file that says so.
fn from_sources(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> (Vec<String>, Option<String>) {
    let mut services = Vec::new();
    let mut file = None;
    for (site, from) in configured(root, &Conf::default(), obstacles) {
        let Some(rest) = site.strip_prefix("esm.ubuntu.com") else { continue };
        let service = match rest.split('/').nth(1) {
            Some("apps") => "esm-apps",
            Some("fips") => "fips",
            Some("fips-updates") => "fips-updates",
            Some("realtime") => "realtime-kernel",
            // Before the archive was divided it held what is esm-infra now.
            Some("infra" | "ubuntu") | None => "esm-infra",
            Some(_) => continue,
        };
        services.push(service.to_owned());
        file.get_or_insert_with(|| format!("/{from}"));
    }
    services.sort();
    services.dedup();
    (services, file)
}

fn debian(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Reading<Subscription> {
    for (site, file) in configured(root, &Conf::default(), obstacles) {
        if site.starts_with("deb.freexian.com/extended-lts") {
            return Reading::Found(Subscription {
                attached: true,
                services: vec!["elts".to_owned()],
                expires: None,
                source: format!("/{file}"),
            });
        }
    }
    Reading::Absent
}

/// Tells by the names of certificates, without opening them, and by the repositories that are switched on.
fn rhel(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Reading<Subscription> {
    for (directory, service) in
        [("etc/pki/entitlement", Some("entitlement")), ("etc/pki/consumer", None)]
    {
        let entries = match root.list(directory) {
            Reading::Found(entries) => entries,
            Reading::Absent => continue,
            Reading::Unknown(obstacle) => return Reading::Unknown(obstacle),
        };
        let is_certificate = |name: &str| name.ends_with(".pem") && !name.ends_with("key.pem");
        let found = entries.iter().find(|e| e.kind == EntryKind::File && is_certificate(&e.name));
        if let Some(entry) = found {
            let extended = has_extended_life(root, obstacles).then_some("els");
            return Reading::Found(Subscription {
                attached: true,
                services: extended.into_iter().chain(service).map(str::to_owned).collect(),
                expires: None,
                source: format!("/{directory}/{}", entry.name),
            });
        }
    }
    Reading::Absent
}

/// Tells whether a repository of extended life-cycle support is switched on: `rhel-7-server-els-rpms`.
fn has_extended_life(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> bool {
    let bytes = match root.read(REPOSITORIES, LONGEST) {
        Reading::Found(bytes) => bytes,
        Reading::Absent => return false,
        Reading::Unknown(obstacle) => {
            obstacles.push(obstacle);
            return false;
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut extended = false;
    for line in text.lines().map(str::trim) {
        if let Some(id) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            extended = id.starts_with("rhel-")
                && id.contains("-els-")
                && !["-debug-", "-source-"].iter().any(|other| id.contains(other));
        }
        let enabled = line.split_once('=').filter(|(key, _)| key.trim() == "enabled");
        if extended && enabled.is_some_and(|(_, value)| value.trim() == "1") {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use muster_core::fact::{Facts, Os, Reading, Subscription};

    use super::Subscribed;
    use crate::Inspector as _;
    use crate::inspectors::apt::testing::Files;

    fn on(id: &str, files: &[(&str, &str)]) -> Reading<Subscription> {
        facts(id, files).subscription
    }

    fn facts(id: &str, files: &[(&str, &str)]) -> Facts {
        let os = Reading::Found(Os { id: id.to_owned(), ..Os::default() });
        let mut facts = Facts { os, ..Facts::default() };
        Subscribed.inspect(&Files::of(files), &mut facts);
        facts
    }

    fn services(id: &str, files: &[(&str, &str)]) -> Vec<String> {
        on(id, files).found().expect("a subscription").services.clone()
    }

    #[test]
    fn infra_and_apps_are_told_apart() {
        let status = r#"{"attached": true, "services": [{"name":"esm-infra","status":"enabled"},{"name":"esm-apps","status":"disabled"},{"name":"livepatch","status":"enabled"}]}"#;
        let path = "var/lib/ubuntu-advantage/status.json";
        assert_eq!(services("ubuntu", &[(path, status)]), ["esm-infra", "livepatch"]);
        let apart = r#"{"attached": false, "services": [{"name":"esm-infra","status":"enabled"}]}"#;
        let found = on("ubuntu", &[(path, apart)]);
        assert!(!found.found().unwrap().attached && found.found().unwrap().services.is_empty());
    }

    #[test]
    fn sources_tell_where_the_client_left_no_status() {
        let infra = (
            "etc/apt/sources.list.d/ubuntu-esm-infra.list",
            "deb https://esm.ubuntu.com/infra/ubuntu jammy-infra-security main\n# deb-src x\n",
        );
        let apps = (
            "etc/apt/sources.list.d/ubuntu-esm-apps.sources",
            "Types: deb\nURIs: https://esm.ubuntu.com/apps/ubuntu\nSuites: noble-apps-security\nComponents: main\n",
        );
        let off = (
            "etc/apt/sources.list.d/ubuntu-esm-infra.list",
            "# deb https://esm.ubuntu.com/infra/ubuntu jammy-infra-security main\n",
        );
        let old = (
            "etc/apt/sources.list.d/ubuntu-esm-trusty.list",
            "deb https://esm.ubuntu.com/ubuntu trusty-security main\n",
        );
        assert_eq!(services("ubuntu", &[infra, apps]), ["esm-apps", "esm-infra"]);
        assert_eq!(services("ubuntu", &[old]), ["esm-infra"]);
        assert_eq!(on("ubuntu", &[off]), Reading::Absent);
        let token = ("var/lib/ubuntu-advantage/private/machine-token.json", "secret");
        assert!(on("ubuntu", &[token]).found().unwrap().attached);
    }

    #[test]
    fn a_status_that_cannot_be_understood_is_unknown_and_not_unattached() {
        let deep = "[".repeat(500_000);
        for status in [
            "",
            "{",
            "[1]",
            "7",
            "{}",
            r#"{"attached": "true", "services": "x"}"#,
            r#"{"attached": true}"#,
            r#"{"attached": true, "services": "x"}"#,
            r#"{"attached": true, "services": [], "expires": "soon"}"#,
            r#"{"attached": true, "services": [], "expires": 7}"#,
            &deep,
        ] {
            let facts = facts("ubuntu", &[("var/lib/ubuntu-advantage/status.json", status)]);
            let Reading::Unknown(obstacle) = facts.subscription else { panic!("{status:.40}") };
            assert!(obstacle.why.contains("run `pro status` as root"), "{obstacle:?}");
            assert_eq!(facts.obstacles, [obstacle], "{status:.40}");
        }
    }

    #[test]
    fn the_end_of_a_contract_is_read_in_each_of_its_forms() {
        let expires = |word: &str| {
            let status = format!(r#"{{"attached": true, "services": [], "expires": {word}}}"#);
            let found = on("ubuntu", &[("var/lib/ubuntu-advantage/status.json", &status)]);
            found.found().expect("a subscription").expires
        };
        let until = Some("2022-01-01T00:00:00Z".parse().unwrap());
        for word in [
            r#""2022-01-01T00:00:00+00:00""#,
            r#""2022-01-01T01:00:00+01:00""#,
            r#""2022-01-01T00:00:00Z""#,
            r#""2022-01-01T00:00:00""#,
        ] {
            assert_eq!(expires(word), until, "{word}");
        }
        for word in [r#""9999-12-31T00:00:00+00:00""#, r#""n/a""#, "null"] {
            assert_eq!(expires(word), None, "{word}");
        }
    }

    #[test]
    fn debian_and_rhel_have_theirs() {
        let elts = (
            "etc/apt/sources.list.d/elts.list",
            "deb http://deb.freexian.com/extended-lts buster main\n",
        );
        assert_eq!(services("debian", &[elts]), ["elts"]);
        assert_eq!(on("debian", &[]), Reading::Absent);
        let key = ("etc/pki/entitlement/1-key.pem", "");
        assert_eq!(on("rhel", &[key]), Reading::Absent);
        assert_eq!(services("rhel", &[key, ("etc/pki/entitlement/1.pem", "")]), ["entitlement"]);
        let repositories = (
            "etc/yum.repos.d/redhat.repo",
            "[rhel-7-server-rpms]\nenabled = 1\n[rhel-7-server-els-rpms]\nenabled = 0\n[rhel-7-server-els-debug-rpms]\nenabled = 1\n",
        );
        let certificate = ("etc/pki/entitlement/1.pem", "");
        assert_eq!(services("rhel", &[certificate, repositories]), ["entitlement"]);
        let extended =
            ("etc/yum.repos.d/redhat.repo", "[rhel-7-server-els-rpms]\nname = x\nenabled=1\n");
        assert_eq!(services("rhel", &[certificate, extended]), ["els", "entitlement"]);
        assert_eq!(on("rhel", &[extended]), Reading::Absent);
    }
}
