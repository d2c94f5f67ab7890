//! Services that may speak in clear, by their configuration: FTP, telnet, the r-commands, TFTP, POP3 and IMAP, LDAP,
//! SNMP by communities, VNC, and stores that ask nobody who it is (Redis, memcached, MongoDB).
//!
//! Each program's own manual page says what its file means (vsftpd.conf(5), snmpd.conf(5), slapd.conf(5), redis.conf …).
//! On a running system a listener is judged by it where the program that holds it is known; elsewhere the units, scripts
//! and lines of inetd that are switched on tell what would listen. A service counts as switched on by its link below
//! `/etc/systemd/system`, in `rc?.d` or in `runlevels`; presets and what a generator would make are not looked into. Includes in
//! other folders than the usual ones, and options on command lines, are not seen. Where nothing is said, the program's own default holds.

mod manner;

use std::collections::BTreeSet;

use muster_core::fact::{Facts, Obstacle, Reading};
use muster_core::running::{Configured, Listener, Process, Reach, Transport};

use crate::Inspector;
use crate::root::Root;
use manner::{Files, Manner};

/// Reads the configuration of services.
pub struct Services;

impl Inspector for Services {
    fn name(&self) -> &'static str {
        "services"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "/etc/vsftpd.conf",
            "/etc/vsftpd/*.conf",
            "/etc/proftpd.conf",
            "/etc/proftpd/*.conf",
            "/etc/proftpd/conf.d/*.conf",
            "/etc/pure-ftpd.conf",
            "/etc/pure-ftpd/pure-ftpd.conf",
            "/etc/pure-ftpd/conf/TLS",
            "/etc/pure-ftpd/conf/Bind",
            "/etc/default/tftpd-hpa",
            "/etc/dovecot/*.conf",
            "/etc/dovecot/conf.d/*.conf",
            "/etc/imapd.conf",
            "/etc/courier/imapd-ssl",
            "/etc/courier/pop3d-ssl",
            "/etc/ldap/slapd.conf",
            "/etc/openldap/slapd.conf",
            "/etc/ldap/slapd.d/*.ldif",
            "/etc/ldap/slapd.d/cn=config/*.ldif",
            "/etc/openldap/slapd.d/*.ldif",
            "/etc/openldap/slapd.d/cn=config/*.ldif",
            "/etc/dirsrv/*/dse.ldif",
            "/etc/snmp/snmpd.conf",
            "/etc/snmp/snmpd.conf.d/*.conf",
            "/etc/redis.conf",
            "/etc/redis/*.conf",
            "/etc/valkey/*.conf",
            "/etc/keydb/*.conf",
            "/etc/memcached.conf",
            "/etc/sysconfig/memcached",
            "/etc/mongod.conf",
            "/etc/mongodb.conf",
            "/etc/inetd.conf",
            "/etc/xinetd.d/*",
            "/etc/systemd/system/*.wants/",
            "/etc/rc2.d/",
            "/etc/rc3.d/",
            "/etc/rc5.d/",
            "/etc/rc.d/rc3.d/",
            "/etc/rc.d/rc5.d/",
            "/etc/runlevels/default/",
        ]
    }

    fn in_containers(&self) -> bool {
        false
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        let mut files = Files::new(root);
        let manners: Vec<(&Service, Manner)> =
            SERVICES.iter().map(|service| (service, (service.manner)(&mut files))).collect();
        let super_server = inetd(&mut files);
        facts.obstacles.append(&mut files.obstacles);
        if root.running() {
            facts.running.configured = manners.into_iter().map(|(s, m)| s.configured(m)).collect();
            facts.running.configured.extend(super_server.into_iter().map(|line| Configured {
                program: "inetd".into(),
                protocol: line.protocol.into(),
                in_clear: true,
                evidence: line.evidence,
            }));
            return;
        }
        let on = switched_on(root);
        let mut listeners: Vec<Listener> = manners
            .iter()
            .flat_map(|(service, manner)| service.would_listen(manner, &on, facts))
            .collect();
        listeners.extend(super_server.into_iter().map(Line::listener));
        in_order(&mut listeners);
        if !listeners.is_empty() {
            facts.running.listeners = Reading::Found(listeners);
        }
    }
}

/// Puts listeners into the order of transport, port and address, each once.
pub(super) fn in_order(listeners: &mut Vec<Listener>) {
    listeners.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
    listeners.dedup_by(|a, b| place(a) == place(b));
}

fn place(l: &Listener) -> (Transport, u16, &str, Option<u32>) {
    (l.transport, l.port, &l.address, l.pid)
}

/// A service that is known.
struct Service {
    protocol: &'static str,
    transport: Transport,
    /// Its ports; of a program that speaks nothing else, any.
    ports: &'static [u16],
    /// Whether the program speaks nothing else.
    alone: bool,
    programs: &'static [&'static str],
    /// Its units or scripts.
    units: &'static [&'static str],
    packages: &'static [&'static str],
    manner: fn(&mut Files<'_>) -> Manner,
}

const SERVICES: &[Service] = &[
    Service {
        protocol: "ftp",
        transport: Transport::Tcp,
        ports: &[21],
        alone: true,
        programs: &["vsftpd"],
        units: &["vsftpd"],
        packages: &["vsftpd"],
        manner: manner::vsftpd,
    },
    Service {
        protocol: "ftp",
        transport: Transport::Tcp,
        ports: &[21],
        alone: true,
        programs: &["proftpd"],
        units: &["proftpd"],
        packages: &["proftpd", "proftpd-core", "proftpd-basic"],
        manner: manner::proftpd,
    },
    Service {
        protocol: "ftp",
        transport: Transport::Tcp,
        ports: &[21],
        alone: true,
        programs: &["pure-ftpd", "pure-ftpd-mysql", "pure-ftpd-ldap", "pure-ftpd-postgresql"],
        units: &["pure-ftpd"],
        packages: &["pure-ftpd", "pure-ftpd-mysql", "pure-ftpd-ldap"],
        manner: manner::pure_ftpd,
    },
    Service {
        protocol: "ftp",
        transport: Transport::Tcp,
        ports: &[21],
        alone: true,
        programs: &["ftpd", "in.ftpd", "wu-ftpd", "tnftpd", "bftpd", "ftpd-ssl"],
        units: &["wu-ftpd", "tnftpd", "bftpd"],
        packages: &["wu-ftpd", "tnftpd", "bftpd"],
        manner: manner::plain,
    },
    Service {
        protocol: "telnet",
        transport: Transport::Tcp,
        ports: &[23],
        alone: true,
        programs: &["telnetd", "in.telnetd", "utelnetd"],
        units: &["telnet", "telnetd"],
        packages: &["telnetd", "telnet-server", "inetutils-telnetd", "busybox-extras"],
        manner: manner::plain,
    },
    Service {
        protocol: "rsh",
        transport: Transport::Tcp,
        ports: &[514],
        alone: true,
        programs: &["rshd", "in.rshd"],
        units: &["rsh"],
        packages: &["rsh-server", "rsh-redone-server"],
        manner: manner::plain,
    },
    Service {
        protocol: "rlogin",
        transport: Transport::Tcp,
        ports: &[513],
        alone: true,
        programs: &["rlogind", "in.rlogind"],
        units: &["rlogin"],
        packages: &["rsh-server", "rsh-redone-server"],
        manner: manner::plain,
    },
    Service {
        protocol: "rexec",
        transport: Transport::Tcp,
        ports: &[512],
        alone: true,
        programs: &["rexecd", "in.rexecd"],
        units: &["rexec"],
        packages: &["rsh-server"],
        manner: manner::plain,
    },
    Service {
        protocol: "tftp",
        transport: Transport::Udp,
        ports: &[69],
        alone: false,
        programs: &["in.tftpd", "tftpd", "atftpd", "dnsmasq", "utftpd"],
        units: &["tftpd-hpa", "tftp", "atftpd", "in.tftpd"],
        packages: &["tftpd-hpa", "tftp-server", "atftpd", "tftp-hpa"],
        manner: manner::tftp,
    },
    Service {
        protocol: "pop3",
        transport: Transport::Tcp,
        ports: &[110],
        alone: false,
        programs: &["dovecot", "pop3-login"],
        units: &["dovecot"],
        packages: &["dovecot-pop3d", "dovecot"],
        manner: manner::dovecot_pop3,
    },
    Service {
        protocol: "imap",
        transport: Transport::Tcp,
        ports: &[143],
        alone: false,
        programs: &["dovecot", "imap-login"],
        units: &["dovecot"],
        packages: &["dovecot-imapd", "dovecot"],
        manner: manner::dovecot_imap,
    },
    Service {
        protocol: "pop3",
        transport: Transport::Tcp,
        ports: &[110],
        alone: false,
        programs: &["cyrmaster", "cyrus-master", "pop3d"],
        units: &["cyrus-imapd"],
        packages: &["cyrus-pop3d", "cyrus-imapd"],
        manner: manner::cyrus,
    },
    Service {
        protocol: "imap",
        transport: Transport::Tcp,
        ports: &[143],
        alone: false,
        programs: &["cyrmaster", "cyrus-master", "imapd"],
        units: &["cyrus-imapd"],
        packages: &["cyrus-imapd"],
        manner: manner::cyrus,
    },
    Service {
        protocol: "pop3",
        transport: Transport::Tcp,
        ports: &[110],
        alone: false,
        programs: &["couriertcpd"],
        units: &["courier-pop"],
        packages: &["courier-pop"],
        manner: manner::courier_pop,
    },
    Service {
        protocol: "imap",
        transport: Transport::Tcp,
        ports: &[143],
        alone: false,
        programs: &["couriertcpd"],
        units: &["courier-imap"],
        packages: &["courier-imap"],
        manner: manner::courier_imap,
    },
    Service {
        protocol: "pop3",
        transport: Transport::Tcp,
        ports: &[110],
        alone: false,
        programs: &["popa3d", "in.qpopper", "qpopper", "ipop3d"],
        units: &["popa3d"],
        packages: &["popa3d"],
        manner: manner::plain,
    },
    Service {
        protocol: "ldap",
        transport: Transport::Tcp,
        ports: &[389],
        alone: false,
        programs: &["slapd"],
        units: &["slapd"],
        packages: &["slapd", "openldap-servers", "openldap"],
        manner: manner::slapd,
    },
    Service {
        protocol: "ldap",
        transport: Transport::Tcp,
        ports: &[389],
        alone: false,
        programs: &["ns-slapd"],
        units: &["dirsrv", "dirsrv@"],
        packages: &["389-ds-base"],
        manner: manner::directory_server,
    },
    Service {
        protocol: "snmp-v2c",
        transport: Transport::Udp,
        ports: &[161],
        alone: true,
        programs: &["snmpd"],
        units: &["snmpd"],
        packages: &["snmpd", "net-snmp"],
        manner: manner::snmpd,
    },
    Service {
        protocol: "vnc",
        transport: Transport::Tcp,
        ports: &[5900, 5901, 5902, 5903, 5904, 5905, 5906, 5907, 5908, 5909],
        alone: false,
        programs: &[
            "Xvnc",
            "Xtigervnc",
            "Xtightvnc",
            "Xrealvnc",
            "Xvnc4",
            "x11vnc",
            "x0vncserver",
            "X0tigervnc",
            "vino-server",
            "krfb",
            "wayvnc",
        ],
        units: &["vncserver", "vncserver@", "tigervncserver@", "x11vnc"],
        packages: &["tigervnc-standalone-server", "tightvncserver", "tigervnc-server", "x11vnc"],
        manner: manner::vnc,
    },
    Service {
        protocol: "redis",
        transport: Transport::Tcp,
        ports: &[6379],
        alone: true,
        programs: &["redis-server", "valkey-server", "keydb-server"],
        units: &["redis", "redis-server", "valkey", "valkey-server", "keydb-server"],
        packages: &["redis", "redis-server", "valkey", "valkey-server", "keydb-server"],
        manner: manner::redis,
    },
    Service {
        protocol: "memcached",
        transport: Transport::Tcp,
        ports: &[11211],
        alone: true,
        programs: &["memcached"],
        units: &["memcached"],
        packages: &["memcached"],
        manner: manner::memcached,
    },
    Service {
        protocol: "mongodb",
        transport: Transport::Tcp,
        ports: &[27017],
        alone: true,
        programs: &["mongod"],
        units: &["mongod", "mongodb"],
        packages: &["mongodb-server", "mongodb-org-server", "mongodb"],
        manner: manner::mongod,
    },
];

/// What inetd and its kin start, by the names of `/etc/services`: (name, port, protocol).
const INETD: [(&str, u16, &str); 10] = [
    ("ftp", 21, "ftp"),
    ("telnet", 23, "telnet"),
    ("shell", 514, "rsh"),
    ("login", 513, "rlogin"),
    ("exec", 512, "rexec"),
    ("tftp", 69, "tftp"),
    ("pop3", 110, "pop3"),
    ("pop-3", 110, "pop3"),
    ("imap", 143, "imap"),
    ("imap2", 143, "imap"),
];

impl Service {
    fn key(&self) -> &'static str {
        self.programs.first().copied().unwrap_or(self.protocol)
    }

    fn configured(&self, manner: Manner) -> Configured {
        Configured {
            program: self.key().into(),
            protocol: self.protocol.into(),
            in_clear: manner.in_clear,
            evidence: manner.evidence,
        }
    }

    /// Tells what would listen, where the service is installed and switched on.
    fn would_listen(&self, manner: &Manner, on: &BTreeSet<String>, facts: &Facts) -> Vec<Listener> {
        let unit = self.units.iter().find(|unit| on.contains(**unit));
        let package =
            self.packages.iter().find(|name| facts.packages.iter().any(|p| p.name == **name));
        let (Some(unit), Some(package)) = (unit, package) else { return Vec::new() };
        let any = vec!["0.0.0.0".to_owned()];
        let addresses = if manner.addresses.is_empty() { &any } else { &manner.addresses };
        let port = manner.port.or_else(|| self.ports.first().copied()).unwrap_or(0);
        let listener = |address: &String| Listener {
            transport: self.transport,
            address: address.clone(),
            port,
            reach: reach(address),
            cleartext: manner.in_clear.then(|| self.protocol.to_owned()),
            pid: None,
            process: Some(self.key().to_owned()),
            unit: Some((*unit).to_owned()),
            package: Some((*package).to_owned()),
            evidence: manner.evidence.clone(),
        };
        addresses.iter().map(listener).collect()
    }
}

fn reach(address: &str) -> Reach {
    match address.parse::<std::net::IpAddr>() {
        Ok(address) if !address.is_unspecified() => Reach::of(address),
        Ok(_) => Reach::Public,
        Err(_) if address == "localhost" => Reach::Loopback,
        Err(_) => Reach::Public,
    }
}

/// Says of a listener what it speaks, where its program and port are those of a service that may speak in clear.
pub(super) fn judge(listener: &mut Listener, holder: Option<&Process>, configured: &[Configured]) {
    let Some(holder) = holder.filter(|holder| holder.container.is_none()) else { return };
    let file =
        holder.executable.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let is = |name: &str| name == file || name == holder.name;
    let hands_on = ["inetd", "xinetd", "openbsd-inetd", "inetutils-inetd", "rlinetd", "systemd"];
    if hands_on.into_iter().any(is) {
        let Some((_, _, protocol)) = INETD.iter().find(|(_, port, _)| *port == listener.port)
        else {
            return;
        };
        let told = configured.iter().find(|c| c.program == "inetd" && c.protocol == *protocol);
        listener.cleartext = Some((*protocol).to_owned());
        listener.evidence = told
            .map_or_else(|| format!("{}, by its port", listener.evidence), |c| c.evidence.clone());
        return;
    }
    let service = SERVICES.iter().find(|s| {
        s.transport == listener.transport
            && s.programs.iter().any(|name| is(name))
            && (s.alone || s.ports.contains(&listener.port))
    });
    let Some(service) = service else { return };
    let told =
        configured.iter().find(|c| c.program == service.key() && c.protocol == service.protocol);
    if told.is_none_or(|told| told.in_clear) {
        listener.cleartext = Some(service.protocol.to_owned());
        if let Some(told) = told {
            listener.evidence.clone_from(&told.evidence);
        }
    }
}

/// A line of inetd, or a file of xinetd.
struct Line {
    protocol: &'static str,
    port: u16,
    program: String,
    address: Option<String>,
    evidence: String,
}

impl Line {
    fn listener(self) -> Listener {
        let address = self.address.unwrap_or_else(|| "0.0.0.0".to_owned());
        Listener {
            transport: if self.protocol == "tftp" { Transport::Udp } else { Transport::Tcp },
            reach: reach(&address),
            address,
            port: self.port,
            cleartext: Some(self.protocol.to_owned()),
            pid: None,
            process: Some(self.program),
            unit: None,
            package: None,
            evidence: self.evidence,
        }
    }
}

/// Reads inetd.conf(5) and xinetd.conf(5)'s folder.
fn inetd(files: &mut Files<'_>) -> Vec<Line> {
    const CONF: &str = "/etc/inetd.conf";
    let mut found = Vec::new();
    let named = |name: &str| INETD.iter().find(|(known, ..)| *known == name);
    for line in files.text(CONF).unwrap_or_default().lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some(first) = fields.first().filter(|f| !f.starts_with('#')) else { continue };
        // `127.0.0.1:ftp`: an address may stand before the name.
        let (address, name) = first.rsplit_once(':').map_or((None, *first), |(a, n)| (Some(a), n));
        let Some((_, port, protocol)) = named(name) else { continue };
        let program =
            fields.get(6).filter(|f| !f.ends_with("tcpd")).or(fields.get(5)).unwrap_or(protocol);
        found.push(Line {
            protocol,
            port: *port,
            program: program.rsplit('/').next().unwrap_or(program).to_owned(),
            address: address.filter(|a| *a != "*").map(str::to_owned),
            evidence: format!("{CONF}: {name}"),
        });
    }
    for (path, text) in files.folder("/etc/xinetd.d", "") {
        let words = |key: &str| {
            text.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                (name.trim() == key).then(|| value.trim().to_owned())
            })
        };
        let name = text.lines().find_map(|line| line.trim().strip_prefix("service ")).unwrap_or("");
        let Some((_, port, protocol)) = named(name.trim()) else { continue };
        if words("disable").is_some_and(|value| value == "yes") {
            continue;
        }
        let server = words("server").unwrap_or_default();
        found.push(Line {
            protocol,
            port: words("port").and_then(|p| p.parse().ok()).unwrap_or(*port),
            program: server.rsplit('/').next().unwrap_or(protocol).to_owned(),
            address: words("bind").or_else(|| words("interface")),
            evidence: format!("{path}: disable is not yes"),
        });
    }
    found
}

/// Returns the names of the units and scripts that are switched on.
fn switched_on(root: &dyn Root) -> BTreeSet<String> {
    let names = |folder: &str| match root.list(folder) {
        Reading::Found(entries) => entries,
        Reading::Absent | Reading::Unknown(_) => Vec::new(),
    };
    let mut on = BTreeSet::new();
    for folder in names("/etc/systemd/system").iter().filter(|entry| entry.name.ends_with(".wants"))
    {
        for unit in names(&format!("/etc/systemd/system/{}", folder.name)) {
            let Some(name) = unit.name.rsplit_once('.').map(|(name, _)| name) else { continue };
            on.insert(name.find('@').map_or(name, |at| name.get(..=at).unwrap_or(name)).to_owned());
        }
    }
    for folder in ["/etc/rc2.d", "/etc/rc3.d", "/etc/rc5.d", "/etc/rc.d/rc3.d", "/etc/rc.d/rc5.d"] {
        for link in names(folder) {
            // `S20cron`
            if link.name.starts_with('S')
                && let Some(name) = link.name.get(3..)
            {
                on.insert(name.to_owned());
            }
        }
    }
    on.extend(names("/etc/runlevels/default").into_iter().map(|entry| entry.name));
    on
}

/// Notes a file that may say how a service speaks, and could not be read.
fn unread(path: &str, obstacle: &Obstacle) -> Obstacle {
    Obstacle::new(
        path,
        format!("{}; whether the service speaks in clear is not known", obstacle.why),
    )
}

#[cfg(test)]
mod tests;
