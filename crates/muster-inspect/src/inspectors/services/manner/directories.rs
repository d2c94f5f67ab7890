//! Directories and their kin: slapd.conf(5) and slapd-config(5), 389 Directory Server, snmpd.conf(5).

use muster_core::fact::Reading;
use muster_core::running::Transport;

use super::super::files::{Files, MAX_FILES, every, is, last, last_of, parted};
use super::Manner;

/// A security strength factor above 1 demands encryption, one of TLS any. Where it listens is said on its command line, which
/// the system's own files make.
pub(in super::super) fn slapd(files: &mut Files<'_>) -> Vec<Manner> {
    let mut texts = Vec::new();
    for base in ["/etc/ldap", "/etc/openldap"] {
        let conf = format!("{base}/slapd.conf");
        texts.extend(files.text(&conf).map(|text| (conf, text)));
        for folder in [format!("{base}/slapd.d"), format!("{base}/slapd.d/cn=config")] {
            texts.extend(files.folder(&folder, ".ldif"));
        }
    }
    let demanding = texts.iter().find(|(_, text)| {
        let mut values = ["security", "olcSecurity"].into_iter().flat_map(|key| every(text, key));
        values.any(|value| value.split_ascii_whitespace().any(demands_encryption))
    });
    let manner = match (demanding, texts.first()) {
        (Some((path, _)), _) => Manner::guarded(format!("{path}: security demands encryption")),
        (None, Some((path, _))) => Manner::clear(format!("{path}: no security ssf is demanded")),
        (None, None) => Manner::clear("slapd demands no encryption unless told to"),
    };
    let said = files.all(&["/etc/default/slapd", "/etc/sysconfig/slapd"]);
    let urls = last_of(&said, "SLAPD_SERVICES").or(last_of(&said, "SLAPD_URLS"));
    let Some((path, urls)) = urls.filter(|(_, urls)| !urls.is_empty()) else {
        return vec![manner];
    };
    let mut manners = Vec::new();
    for url in urls.split_ascii_whitespace() {
        let place = |rest: &str| parted(rest.split('/').next().unwrap_or(rest));
        if let Some(rest) = url.strip_prefix("ldap://") {
            manners.push(manner.clone().place(place(rest)));
        } else if let Some(rest) = url.strip_prefix("ldaps://") {
            let guarded = Manner::guarded(format!("{path}: ldaps")).port(Some(636));
            manners.push(guarded.place(place(rest)));
        }
    }
    manners
}

fn demands_encryption(word: &str) -> bool {
    let Some((name, factor)) = word.split_once('=') else { return false };
    let least = if name == "tls" { 1 } else { 2 };
    !name.starts_with("update") && factor.parse::<u32>().is_ok_and(|factor| factor >= least)
}

pub(in super::super) fn directory_server(files: &mut Files<'_>) -> Vec<Manner> {
    let Reading::Found(instances) = files.root.list("/etc/dirsrv") else {
        return vec![Manner::clear("389 Directory Server demands no TLS unless told to")];
    };
    let mut manners = Vec::new();
    for instance in
        instances.iter().filter(|entry| entry.name.starts_with("slapd-")).take(MAX_FILES)
    {
        let path = format!("/etc/dirsrv/{}/dse.ldif", instance.name);
        let Some(text) = files.text(&path) else { continue };
        let factor = last(&text, "nsslapd-minssf").and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        let manner = if is(last(&text, "nsslapd-require-secure-binds"), &["on"]) || factor > 1 {
            Manner::guarded(format!("{path}: nsslapd-require-secure-binds: on"))
        } else {
            Manner::clear(format!("{path}: nsslapd-require-secure-binds is not on"))
        };
        let address = last(&text, "nsslapd-listenhost").filter(|a| !a.is_empty());
        let port = last(&text, "nsslapd-port").and_then(|port| port.parse::<u16>().ok());
        if port != Some(0) {
            let instance = instance.name.strip_prefix("slapd-").map(str::to_owned);
            manners.push(Manner { instance, ..manner.place((address.map(str::to_owned), port)) });
        }
    }
    manners
}

/// Communities are versions 1 and 2c; those that only the server itself may use do not count.
pub(in super::super) fn snmpd(files: &mut Files<'_>) -> Vec<Manner> {
    const CONF: &str = "/etc/snmp/snmpd.conf";
    let mut texts = files.all(&[CONF]);
    texts.extend(files.folder("/etc/snmp/snmpd.conf.d", ".conf"));
    let from_here = |source: &str| {
        matches!(source, "localhost" | "127.0.0.1" | "::1" | "127.0.0.1/32" | "ip6-localhost")
    };
    // `rocommunity NAME [SOURCE …]`, `com2sec [-Cn CONTEXT] SECNAME SOURCE NAME`.
    let is_open = |key: &str, value: &str| {
        let mut fields = value.split_ascii_whitespace();
        let source = if key.starts_with("com2sec") {
            let skipped = if fields.next() == Some("-Cn") { 2 } else { 0 };
            fields.nth(skipped)
        } else {
            fields.nth(1)
        };
        !source.is_some_and(from_here)
    };
    let keys =
        ["rocommunity", "rwcommunity", "rocommunity6", "rwcommunity6", "com2sec", "com2sec6"];
    let open = keys.into_iter().find_map(|key| {
        let (path, _) = texts.iter().find(|(_, text)| every(text, key).any(|v| is_open(key, v)))?;
        Some(format!("{path}: {key}"))
    });
    let manner = match open {
        Some(evidence) => Manner::clear(evidence),
        None => Manner::guarded(format!("{CONF}: no community that others may use")),
    };
    let agents: Vec<Manner> = last_of(&texts, "agentAddress")
        .map_or("", |(_, value)| value)
        .split(',')
        .filter(|agent| !agent.trim().is_empty())
        .filter_map(|agent| agent_of(&manner, agent.trim()))
        .collect();
    if agents.is_empty() { vec![manner] } else { agents }
}

/// `udp:127.0.0.1:161`, `udp6:[::1]:161`, `tcp:161`, `127.0.0.1`, `161`.
fn agent_of(manner: &Manner, text: &str) -> Option<Manner> {
    let (kind, rest) = text.split_once(':').unwrap_or(("", text));
    let (transport, rest) = match kind {
        "udp" | "udp6" | "udpv6" => (Transport::Udp, rest),
        "tcp" | "tcp6" | "tcpv6" => (Transport::Tcp, rest),
        "unix" => return None,
        _ => (Transport::Udp, text),
    };
    let (address, port) = parted(rest);
    let any = if kind.ends_with('6') { Some("::".to_owned()) } else { None };
    Some(manner.clone().place((address.or(any), port)).over(transport))
}
