//! Whether the distributor's paid support is attached: Ubuntu Pro and ESM, Debian ELTS, RHEL.
//!
//! Ubuntu: the client's `status.json`, the presence of its machine token (never its content), and the sources it
//! writes; `infra` and `apps` are told apart. Debian: a source of extended LTS. RHEL: entitlement certificates by
//! their names. Whether a contract is still paid for is known to the vendor alone.

use muster_core::fact::{Facts, Obstacle, Reading, Subscription};

use super::apt::{Conf, configured};
use crate::Inspector;
use crate::root::{EntryKind, Root};

/// The longest status that is read.
const LONGEST: u64 = 4 << 20;

/// What Ubuntu's client knows of itself, in its present and its former place.
const STATUS: [&str; 2] =
    ["var/lib/ubuntu-advantage/status.json", "var/lib/ubuntu-pro/status.json"];

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
            "rhel" => rhel(root),
            _ => return,
        };
    }
}

/// Reads what Ubuntu's client and the sources say.
fn ubuntu(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Reading<Subscription> {
    let mut unread = None;
    for path in STATUS {
        match root.read(path, LONGEST) {
            Reading::Found(bytes) => match from_status(&bytes, path) {
                Some(found) => return Reading::Found(found),
                None => {
                    let why = "is not the JSON that pro status writes; run pro status as root";
                    unread = Some(Obstacle::new(path, why));
                }
            },
            Reading::Absent => {}
            Reading::Unknown(obstacle) => unread = Some(obstacle),
        }
    }
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
        return Reading::Found(Subscription { attached: true, services, source });
    }
    unread.map_or(Reading::Absent, Reading::Unknown)
}

fn from_status(bytes: &[u8], path: &str) -> Option<Subscription> {
    let status: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let attached = status.get("attached")?.as_bool()?;
    let services = status.get("services").and_then(serde_json::Value::as_array);
    let mut on: Vec<String> = services
        .into_iter()
        .flatten()
        .filter(|service| {
            let word = |key: &str| service.get(key).and_then(serde_json::Value::as_str);
            matches!(word("status"), Some("enabled" | "warning"))
        })
        .filter_map(|service| service.get("name").and_then(serde_json::Value::as_str))
        .take(256)
        .map(str::to_owned)
        .collect();
    if !attached {
        on.clear();
    }
    on.sort();
    on.dedup();
    Some(Subscription { attached, services: on, source: format!("/{path}") })
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
                source: format!("/{file}"),
            });
        }
    }
    Reading::Absent
}

/// Tells by the names of certificates, without opening them.
fn rhel(root: &dyn Root) -> Reading<Subscription> {
    for (directory, services) in
        [("etc/pki/entitlement", &["entitlement"][..]), ("etc/pki/consumer", &[])]
    {
        let entries = match root.list(directory) {
            Reading::Found(entries) => entries,
            Reading::Absent => continue,
            Reading::Unknown(obstacle) => return Reading::Unknown(obstacle),
        };
        let is_certificate = |name: &str| name.ends_with(".pem") && !name.ends_with("key.pem");
        let found = entries.iter().find(|e| e.kind == EntryKind::File && is_certificate(&e.name));
        if let Some(entry) = found {
            return Reading::Found(Subscription {
                attached: true,
                services: services.iter().map(|service| (*service).to_owned()).collect(),
                source: format!("/{directory}/{}", entry.name),
            });
        }
    }
    Reading::Absent
}

#[cfg(test)]
mod tests {
    use muster_core::fact::{Facts, Os, Reading, Subscription};

    use super::Subscribed;
    use crate::Inspector as _;
    use crate::inspectors::apt::testing::Files;

    fn on(id: &str, files: &[(&str, &str)]) -> Reading<Subscription> {
        let os = Reading::Found(Os { id: id.to_owned(), ..Os::default() });
        let mut facts = Facts { os, ..Facts::default() };
        Subscribed.inspect(&Files::of(files), &mut facts);
        facts.subscription
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
    fn a_status_that_is_no_json_is_unknown_and_not_unattached() {
        let found = on("ubuntu", &[("var/lib/ubuntu-advantage/status.json", "{")]);
        assert!(matches!(found, Reading::Unknown(_)));
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
    }
}
