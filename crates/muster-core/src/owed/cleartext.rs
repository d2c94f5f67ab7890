//! Which services speak in clear to a network, or to anybody: what listens, held against what its configuration says.
//!
//! The rank is that of the reach: a loopback address is hardly a flaw, a public one is. Whether a firewall stands before it is not known here.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::fact::Facts;
use crate::finding::{About, CleartextService, Finding, Severity};
use crate::running::{Listener, Reach};
use crate::verdict::Verdict;

/// Judges what listens.
pub fn cleartext_services(facts: &Facts) -> Vec<Finding> {
    let listeners = facts.running.listeners.found().into_iter().flatten();
    listeners.filter_map(cleartext_service).collect()
}

fn cleartext_service(listener: &Listener) -> Option<Finding> {
    let protocol = listener.cleartext.as_deref()?;
    let who = listener.process.as_deref().or(listener.package.as_deref()).unwrap_or(protocol);
    let does = if listener.pid.is_some() { "answers" } else { "is configured to answer" };
    let open = unauthenticated(protocol);
    let how = if open { "anybody without asking who it is" } else { "in clear" };
    let whom = match listener.reach {
        Reach::Loopback => "the server itself",
        Reach::Private => "private networks",
        Reach::Public => "the network",
    };
    let address = place(&listener.address, listener.port);
    let way = if open { format!("{how}, from {whom}") } else { format!("{whom} {how}") };
    Some(Finding {
        id: format!("cleartext:{protocol}:{address}").into(),
        verdict: Verdict::Owed,
        severity: match listener.reach {
            Reach::Loopback => Severity::Negligible,
            Reach::Private => Severity::Medium,
            Reach::Public => Severity::High,
        },
        title: format!("{who} {does} {protocol} to {way} at {address} ({})", listener.evidence)
            .into(),
        action: remedy(protocol).into(),
        about: About::CleartextService(Box::new(CleartextService {
            protocol: protocol.into(),
            address: listener.address.clone(),
            port: listener.port,
            reach: listener.reach,
            pid: listener.pid,
            unit: listener.unit.clone(),
            package: listener.package.clone(),
            evidence: listener.evidence.clone(),
        })),
    })
}

fn place(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn unauthenticated(protocol: &str) -> bool {
    matches!(protocol, "redis" | "memcached" | "mongodb" | "tftp")
}

fn remedy(protocol: &str) -> &'static str {
    match protocol {
        "ftp" => {
            "use SFTP, or demand TLS of every session (vsftpd: ssl_enable=YES; ProFTPD: TLSRequired on)"
        }
        "telnet" | "rsh" | "rlogin" | "rexec" => "remove it and use SSH",
        "tftp" => "bind it to the network that boots from it, or remove it",
        "pop3" | "imap" => {
            "refuse passwords without TLS (Dovecot: ssl = required; Cyrus: allowplaintext: no)"
        }
        "ldap" => {
            "demand TLS (OpenLDAP: security ssf=128; 389 DS: nsslapd-require-secure-binds: on)"
        }
        "snmp-v2c" => "remove the communities and use SNMPv3 users (createUser, rouser)",
        "vnc" => "bind it to 127.0.0.1 and reach it through SSH, or demand TLS",
        "redis" => "bind it to 127.0.0.1, or set requirepass or an ACL",
        "memcached" => "bind it to 127.0.0.1 (-l), or demand SASL (-S)",
        "mongodb" => "bind it to 127.0.0.1 (net.bindIp), and set security.authorization: enabled",
        _ => "bind it to 127.0.0.1, or remove it",
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::fact::Reading;
    use crate::running::Transport;

    #[test]
    fn a_service_in_clear_ranks_by_its_reach_and_others_are_facts_alone() {
        let listener = |cleartext: Option<&str>, address: &str, reach, pid| Listener {
            transport: Transport::Tcp,
            address: address.into(),
            port: 21,
            reach,
            cleartext: cleartext.map(Into::into),
            pid,
            process: Some("vsftpd".into()),
            unit: None,
            package: None,
            evidence: "/etc/vsftpd.conf: ssl_enable is not YES".into(),
        };
        let mut facts = Facts::default();
        facts.running.listeners = Reading::Found(vec![
            listener(Some("ftp"), "0.0.0.0", Reach::Public, Some(7)),
            listener(Some("ftp"), "::1", Reach::Loopback, None),
            listener(Some("redis"), "10.0.0.1", Reach::Private, Some(8)),
            listener(None, "0.0.0.0", Reach::Public, Some(9)),
        ]);
        let found = cleartext_services(&facts);
        let told: Vec<(&str, Severity)> = found.iter().map(|f| (&*f.title, f.severity)).collect();
        assert_eq!(
            told,
            [
                (
                    "vsftpd answers ftp to the network in clear at 0.0.0.0:21 (/etc/vsftpd.conf: ssl_enable is not YES)",
                    Severity::High
                ),
                (
                    "vsftpd is configured to answer ftp to the server itself in clear at [::1]:21 (/etc/vsftpd.conf: ssl_enable is not YES)",
                    Severity::Negligible
                ),
                (
                    "vsftpd answers redis to anybody without asking who it is, from private networks at 10.0.0.1:21 (/etc/vsftpd.conf: ssl_enable is not YES)",
                    Severity::Medium
                ),
            ]
        );
    }
}
