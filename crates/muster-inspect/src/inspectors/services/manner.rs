//! How each program speaks, by its own files. What a file does not say is the program's default, by its manual page.

use muster_core::fact::{Obstacle, Reading};

use super::unread;
use crate::root::Root;

const MAX_FILE: u64 = 1 << 20;
/// How many files of one folder are read.
const MAX_FILES: usize = 100;

/// How a service speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// Whether it lets anybody speak in clear, or without saying who it is.
    pub(super) in_clear: bool,
    /// The file, and its word.
    pub(super) evidence: String,
    /// The addresses that it is bound to; none is all of them.
    pub(super) addresses: Vec<String>,
    /// The port, where it is not the usual one.
    pub(super) port: Option<u16>,
}

impl Manner {
    fn clear(evidence: impl Into<String>) -> Self {
        Self { in_clear: true, evidence: evidence.into(), ..Self::default() }
    }

    fn guarded(evidence: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), ..Self::default() }
    }

    fn at(self, addresses: Vec<String>) -> Self {
        Self { addresses, ..self }
    }

    fn port(self, port: Option<&str>) -> Self {
        Self { port: port.and_then(|p| p.parse().ok()), ..self }
    }
}

/// The files of a root, and what stood in the way of one.
pub(super) struct Files<'r> {
    root: &'r dyn Root,
    pub(super) obstacles: Vec<Obstacle>,
    /// Whether a file of the service at hand could not be read.
    is_hidden: bool,
}

impl<'r> Files<'r> {
    pub(super) fn new(root: &'r dyn Root) -> Self {
        Self { root, obstacles: Vec::new(), is_hidden: false }
    }

    /// Reads a text; one that cannot be read is an obstacle.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        match self.root.read(path, MAX_FILE) {
            Reading::Found(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Reading::Absent => None,
            Reading::Unknown(obstacle) => {
                self.obstacles.push(unread(path, &obstacle));
                self.is_hidden = true;
                None
            }
        }
    }

    /// Reads the files of a folder whose names have an end.
    pub(super) fn folder(&mut self, folder: &str, end: &str) -> Vec<(String, String)> {
        let entries = match self.root.list(folder) {
            Reading::Found(entries) => entries,
            Reading::Absent => return Vec::new(),
            Reading::Unknown(obstacle) => {
                self.obstacles.push(unread(folder, &obstacle));
                self.is_hidden = true;
                return Vec::new();
            }
        };
        let names = entries.iter().map(|entry| &entry.name).filter(|name| name.ends_with(end));
        let mut found = Vec::new();
        for name in names.take(MAX_FILES) {
            let path = format!("{folder}/{name}");
            if let Some(text) = self.text(&path) {
                found.push((path, text));
            }
        }
        found
    }

    /// Returns the first of the files that is there.
    fn first(&mut self, paths: &[&str]) -> Option<(String, String)> {
        paths.iter().find_map(|path| Some(((*path).to_owned(), self.text(path)?)))
    }

    /// Where a file of the service is hidden, nothing is claimed: the obstacle says that it is not known.
    fn unless_hidden(&mut self, manner: Manner) -> Manner {
        let is_hidden = std::mem::take(&mut self.is_hidden);
        Manner { in_clear: manner.in_clear && !is_hidden, ..manner }
    }
}

/// Lines without comments, trimmed.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Returns the last value of a key, with whatever separates the two.
fn last<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    every(text, key).last()
}

fn every<'t>(text: &'t str, key: &str) -> impl Iterator<Item = &'t str> {
    lines(text).filter_map(move |line| {
        let head = line.get(..key.len()).filter(|head| head.eq_ignore_ascii_case(key))?;
        let rest = line.get(head.len()..)?;
        rest.starts_with(['=', ':', ' ', '\t']).then(|| {
            rest.trim_start_matches(['=', ':', ' ', '\t']).trim_matches(['"', '\'', ' ', '\t'])
        })
    })
}

fn is(value: Option<&str>, words: &[&str]) -> bool {
    value.is_some_and(|value| words.iter().any(|word| value.eq_ignore_ascii_case(word)))
}

fn words(value: Option<&str>) -> Vec<String> {
    let value = value.unwrap_or_default();
    value.split([',', ' ', '\t']).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

pub(super) fn plain(_: &mut Files<'_>) -> Manner {
    Manner::clear("its protocol knows no encryption")
}

pub(super) fn vnc(_: &mut Files<'_>) -> Manner {
    Manner::clear("whether it demands TLS is in no file: it could be in clear")
}

/// vsftpd.conf(5): `force_local_logins_ssl` is on where `ssl_enable` is, and not said otherwise.
pub(super) fn vsftpd(files: &mut Files<'_>) -> Manner {
    let Some((path, text)) = files.first(&["/etc/vsftpd.conf", "/etc/vsftpd/vsftpd.conf"]) else {
        return files.unless_hidden(Manner::clear(
            "vsftpd has no configuration, and its default is no TLS",
        ));
    };
    let manner = if !is(last(&text, "ssl_enable"), &["yes", "true", "1"]) {
        Manner::clear(format!("{path}: ssl_enable is not YES"))
    } else if is(last(&text, "force_local_logins_ssl"), &["no", "false", "0"]) {
        Manner::clear(format!("{path}: force_local_logins_ssl=NO"))
    } else {
        Manner::guarded(format!("{path}: ssl_enable=YES"))
    };
    // Debian's own listens on one socket of IPv6, which takes IPv4 as well.
    let address = if is(last(&text, "listen_ipv6"), &["yes", "true", "1"]) {
        last(&text, "listen_address6").or(Some("::"))
    } else {
        last(&text, "listen_address").or(last(&text, "listen_address6"))
    };
    manner.at(words(address)).port(last(&text, "listen_port"))
}

/// mod_tls of ProFTPD: `TLSRequired` names what must be encrypted; what does not cover the login does not count.
pub(super) fn proftpd(files: &mut Files<'_>) -> Manner {
    let Some((path, mut text)) = files.first(&["/etc/proftpd/proftpd.conf", "/etc/proftpd.conf"])
    else {
        return files.unless_hidden(Manner::clear(
            "ProFTPD has no configuration, and its default is no TLS",
        ));
    };
    let included: Vec<String> = every(&text, "Include").map(str::to_owned).collect();
    for file in
        included.iter().filter(|file| file.starts_with("/etc/proftpd/") && file.ends_with(".conf"))
    {
        text += &files.text(file).unwrap_or_default();
    }
    for (_, more) in files.folder("/etc/proftpd/conf.d", ".conf") {
        text += &more;
    }
    let engine = is(last(&text, "TLSEngine"), &["on", "yes", "true"]);
    let required = last(&text, "TLSRequired").unwrap_or("off");
    let covers = ["on", "yes", "true", "ctrl", "auth", "ctrl+data", "auth+data", "both"];
    let manner = if engine && is(Some(required), &covers) {
        Manner::guarded(format!("{path}: TLSRequired {required}"))
    } else {
        Manner::clear(format!("{path}: TLSRequired is not on"))
    };
    let manner = manner.at(words(last(&text, "DefaultAddress"))).port(last(&text, "Port"));
    files.unless_hidden(manner)
}

/// pure-ftpd(8): 2 and 3 refuse sessions without TLS.
pub(super) fn pure_ftpd(files: &mut Files<'_>) -> Manner {
    let debian = "/etc/pure-ftpd/conf/TLS";
    let value = files.text(debian).map(|text| (debian.to_owned(), text.trim().to_owned()));
    let value = value.or_else(|| {
        let (path, text) =
            files.first(&["/etc/pure-ftpd/pure-ftpd.conf", "/etc/pure-ftpd.conf"])?;
        Some((path, last(&text, "TLS").unwrap_or("0").to_owned()))
    });
    let bind = files.text("/etc/pure-ftpd/conf/Bind").unwrap_or_default();
    let address = bind.trim().split(',').next().filter(|a| !a.is_empty()).map(str::to_owned);
    let manner = match value {
        Some((path, value)) if matches!(value.as_str(), "2" | "3") => {
            Manner::guarded(format!("{path}: TLS {value}"))
        }
        Some((path, _)) => Manner::clear(format!("{path}: TLS is not 2 or 3")),
        None => Manner::clear("Pure-FTPd demands no TLS unless told to"),
    };
    files.unless_hidden(manner.at(address.into_iter().collect()))
}

pub(super) fn tftp(files: &mut Files<'_>) -> Manner {
    let text = files.text("/etc/default/tftpd-hpa").unwrap_or_default();
    let address = last(&text, "TFTP_ADDRESS").and_then(|value| Some(value.rsplit_once(':')?.0));
    let address = address.map(|a| a.trim_matches(['[', ']'])).filter(|a| !a.is_empty());
    plain(files).at(address.map(str::to_owned).into_iter().collect())
}

pub(super) fn dovecot_pop3(files: &mut Files<'_>) -> Manner {
    dovecot(files)
}

pub(super) fn dovecot_imap(files: &mut Files<'_>) -> Manner {
    dovecot(files)
}

/// Dovecot refuses passwords in clear from elsewhere unless `disable_plaintext_auth = no` (to 2.3) or
/// `auth_allow_cleartext = yes` (since 2.4); `ssl = required` does so in any case, and `ssl = no` offers nothing else.
fn dovecot(files: &mut Files<'_>) -> Manner {
    const CONF: &str = "/etc/dovecot/dovecot.conf";
    let mut text = files.text(CONF).unwrap_or_default();
    for (_, more) in files.folder("/etc/dovecot/conf.d", ".conf") {
        text.push('\n');
        text += &more;
    }
    text.push('\n');
    text += &files.text("/etc/dovecot/local.conf").unwrap_or_default();
    let ssl = last(&text, "ssl");
    let manner = if is(ssl, &["required"]) {
        Manner::guarded(format!("{CONF}: ssl = required"))
    } else if is(ssl, &["no"]) {
        Manner::clear(format!("{CONF}: ssl = no"))
    } else if is(last(&text, "disable_plaintext_auth"), &["no"]) {
        Manner::clear(format!("{CONF}: disable_plaintext_auth = no"))
    } else if is(last(&text, "auth_allow_cleartext"), &["yes"]) {
        Manner::clear(format!("{CONF}: auth_allow_cleartext = yes"))
    } else {
        Manner::guarded(format!("{CONF}: passwords are refused without TLS"))
    };
    let listen = words(last(&text, "listen")).into_iter();
    let listen = listen.map(|a| if a == "*" { "0.0.0.0".to_owned() } else { a }).collect();
    files.unless_hidden(manner.at(listen))
}

/// imapd.conf(5) of Cyrus: `allowplaintext` was on by default before version 3.
pub(super) fn cyrus(files: &mut Files<'_>) -> Manner {
    const CONF: &str = "/etc/imapd.conf";
    let text = files.text(CONF).unwrap_or_default();
    let manner = match last(&text, "allowplaintext") {
        value @ Some(_) if is(value, &["no", "0", "off", "false", "f"]) => {
            Manner::guarded(format!("{CONF}: allowplaintext: no"))
        }
        Some(_) => Manner::clear(format!("{CONF}: allowplaintext: yes")),
        None => Manner::clear(format!(
            "{CONF} says nothing of allowplaintext, which was on before Cyrus 3: it could be in clear"
        )),
    };
    files.unless_hidden(manner)
}

pub(super) fn courier_pop(files: &mut Files<'_>) -> Manner {
    courier(files, "/etc/courier/pop3d-ssl", "POP3_TLS_REQUIRED")
}

pub(super) fn courier_imap(files: &mut Files<'_>) -> Manner {
    courier(files, "/etc/courier/imapd-ssl", "IMAP_TLS_REQUIRED")
}

fn courier(files: &mut Files<'_>, path: &str, key: &str) -> Manner {
    let text = files.text(path).unwrap_or_default();
    let manner = if is(last(&text, key), &["1"]) {
        Manner::guarded(format!("{path}: {key}=1"))
    } else {
        Manner::clear(format!("{path}: {key} is not 1"))
    };
    files.unless_hidden(manner)
}

/// slapd.conf(5), slapd-config(5): a security strength factor above 1 demands encryption.
pub(super) fn slapd(files: &mut Files<'_>) -> Manner {
    let (mut text, mut path) = (String::new(), "/etc/ldap/slapd.d".to_owned());
    for base in ["/etc/ldap", "/etc/openldap"] {
        if let Some(conf) = files.text(&format!("{base}/slapd.conf")) {
            text += &conf;
            path = format!("{base}/slapd.conf");
        }
        for folder in [format!("{base}/slapd.d"), format!("{base}/slapd.d/cn=config")] {
            for (file, more) in files.folder(&folder, ".ldif") {
                text.push('\n');
                text += &more;
                path = file;
            }
        }
    }
    let demands = ["security", "olcSecurity"].iter().any(|key| {
        every(&text, key).any(|value| {
            value.split_ascii_whitespace().any(|word| {
                let factor = word.split_once('=').filter(|(name, _)| !name.starts_with("update"));
                factor.is_some_and(|(_, n)| n.parse::<u32>().is_ok_and(|n| n > 1))
            })
        })
    });
    let manner = if demands {
        Manner::guarded(format!("{path}: security demands encryption"))
    } else {
        Manner::clear(format!("{path}: no security ssf is demanded"))
    };
    files.unless_hidden(manner)
}

pub(super) fn directory_server(files: &mut Files<'_>) -> Manner {
    let Reading::Found(instances) = files.root.list("/etc/dirsrv") else {
        return Manner::clear("389 Directory Server demands no TLS unless told to");
    };
    let mut open = None;
    for instance in
        instances.iter().filter(|entry| entry.name.starts_with("slapd-")).take(MAX_FILES)
    {
        let path = format!("/etc/dirsrv/{}/dse.ldif", instance.name);
        let Some(text) = files.text(&path) else { continue };
        let factor = last(&text, "nsslapd-minssf").and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        if !is(last(&text, "nsslapd-require-secure-binds"), &["on"]) && factor <= 1 {
            open = Some(path);
        }
    }
    let manner = match open {
        Some(path) => Manner::clear(format!("{path}: nsslapd-require-secure-binds is not on")),
        None => Manner::guarded("/etc/dirsrv: nsslapd-require-secure-binds: on"),
    };
    files.unless_hidden(manner)
}

/// snmpd.conf(5): communities are versions 1 and 2c; those that only the server itself may use do not count.
pub(super) fn snmpd(files: &mut Files<'_>) -> Manner {
    const CONF: &str = "/etc/snmp/snmpd.conf";
    let mut text = files.text(CONF).unwrap_or_default();
    for (_, more) in files.folder("/etc/snmp/snmpd.conf.d", ".conf") {
        text.push('\n');
        text += &more;
    }
    let from_here = |source: &str| {
        matches!(source, "localhost" | "127.0.0.1" | "::1" | "127.0.0.1/32" | "ip6-localhost")
    };
    // `rocommunity NAME [SOURCE …]`, `com2sec [-Cn CONTEXT] SECNAME SOURCE NAME`.
    let community =
        ["rocommunity", "rwcommunity", "rocommunity6", "rwcommunity6"].into_iter().find(|key| {
            every(&text, key)
                .any(|value| !value.split_ascii_whitespace().nth(1).is_some_and(from_here))
        });
    let mapped = ["com2sec", "com2sec6"].into_iter().find(|key| {
        every(&text, key).any(|value| {
            let mut fields = value.split_ascii_whitespace();
            let first = fields.next();
            let skipped = if first == Some("-Cn") { 2 } else { 0 };
            !fields.nth(skipped).is_some_and(from_here)
        })
    });
    let addresses =
        last(&text, "agentAddress").unwrap_or_default().split(',').filter_map(agent).collect();
    let manner = match community.or(mapped) {
        Some(key) => Manner::clear(format!("{CONF}: {key}")),
        None => Manner::guarded(format!("{CONF}: no community that others may use")),
    };
    files.unless_hidden(manner.at(addresses))
}

/// `udp:127.0.0.1:161`, `udp6:[::1]:161`, `127.0.0.1`, `161`.
fn agent(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("udp6:").or_else(|| text.strip_prefix("udp:")).unwrap_or(text);
    if let Some((address, _)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return Some(address.to_owned());
    }
    let address = text.split(':').next().filter(|a| a.contains('.') || *a == "localhost")?;
    Some(address.to_owned())
}

/// redis.conf: without `bind`, `protected-mode` (on by default) lets nobody in from elsewhere who has no password.
pub(super) fn redis(files: &mut Files<'_>) -> Manner {
    let mut found: Vec<(String, String)> = Vec::new();
    found.extend(files.text("/etc/redis.conf").map(|text| ("/etc/redis.conf".to_owned(), text)));
    for folder in ["/etc/redis", "/etc/valkey", "/etc/keydb"] {
        let files = files.folder(folder, ".conf").into_iter();
        found.extend(files.filter(|(path, _)| !path.contains("sentinel")));
    }
    let mut last_word = Manner::guarded("protected-mode is on by default");
    for (path, text) in &found {
        let manner = redis_file(path, text);
        if manner.in_clear {
            return files.unless_hidden(manner);
        }
        last_word = manner;
    }
    files.unless_hidden(last_word)
}

fn redis_file(path: &str, text: &str) -> Manner {
    let asks = last(text, "requirepass").is_some_and(|p| !p.is_empty())
        || last(text, "aclfile").is_some()
        || every(text, "user").any(|user| {
            user.starts_with("default ") && !user.split_ascii_whitespace().any(|w| w == "nopass")
        });
    let unprotected = is(last(text, "protected-mode"), &["no"]);
    let bind = words(last(text, "bind")).into_iter();
    let bind: Vec<String> = bind
        .map(|a| a.trim_start_matches('-').to_owned())
        .map(|a| if a == "*" { "0.0.0.0".to_owned() } else { a })
        .collect();
    let manner = if asks {
        Manner::guarded(format!("{path}: it asks for a password"))
    } else if unprotected {
        Manner::clear(format!("{path}: protected-mode no, and no requirepass"))
    } else if bind.is_empty() {
        Manner::guarded(format!("{path}: protected-mode"))
    } else {
        Manner::clear(format!("{path}: bind {} without requirepass", bind.join(" ")))
    };
    manner.at(bind).port(last(text, "port"))
}

/// memcached(1): `-S` demands SASL, `-Y` a file of users; without `-l` it listens everywhere.
pub(super) fn memcached(files: &mut Files<'_>) -> Manner {
    let mut path = "/etc/memcached.conf";
    let mut text = files.text(path).unwrap_or_default();
    if let Some(other) = files.text("/etc/sysconfig/memcached") {
        path = "/etc/sysconfig/memcached";
        text = last(&other, "OPTIONS").unwrap_or_default().to_owned();
        if let Some(port) = last(&other, "PORT") {
            text += &format!("\n-p {port}");
        }
    }
    let words: Vec<&str> = lines(&text).flat_map(str::split_ascii_whitespace).collect();
    let after = |option: &str| {
        let at = words.iter().position(|word| *word == option || word.starts_with(option));
        let at = at?;
        let joined = words.get(at)?.get(option.len()..)?.trim_start_matches('=');
        if joined.is_empty() { words.get(at + 1).copied() } else { Some(joined) }
    };
    let asks = words.iter().any(|w| matches!(*w, "-S" | "--enable-sasl")) || after("-Y").is_some();
    let manner = if asks {
        Manner::guarded(format!("{path}: it demands SASL"))
    } else {
        Manner::clear(format!("{path}: no -S"))
    };
    let addresses = after("-l")
        .or_else(|| after("--listen"))
        .map(|a| a.split(',').map(str::to_owned).collect());
    files.unless_hidden(manner.at(addresses.unwrap_or_default()).port(after("-p")))
}

/// mongod.conf, in YAML (`security.authorization`, `net.bindIp`) and in its older form (`auth`, `bind_ip`).
pub(super) fn mongod(files: &mut Files<'_>) -> Manner {
    let Some((path, text)) = files.first(&["/etc/mongod.conf", "/etc/mongodb.conf"]) else {
        let manner = Manner::clear("MongoDB asks for no password unless told to");
        return files.unless_hidden(manner.at(vec!["127.0.0.1".to_owned()]));
    };
    let asks = is(last(&text, "authorization"), &["enabled"])
        || is(last(&text, "auth"), &["true"])
        || last(&text, "keyFile").is_some();
    let manner = if asks {
        Manner::guarded(format!("{path}: authorization is enabled"))
    } else {
        Manner::clear(format!("{path}: authorization is not enabled"))
    };
    let bind = words(last(&text, "bindIp").or(last(&text, "bind_ip")));
    let everywhere = is(last(&text, "bindIpAll"), &["true"]);
    let bind = match (everywhere, bind.is_empty()) {
        (true, _) => vec!["0.0.0.0".to_owned()],
        // Since version 3.6; older ones were packaged with this line.
        (false, true) => vec!["127.0.0.1".to_owned()],
        (false, false) => bind,
    };
    manner.at(bind).port(last(&text, "port"))
}
