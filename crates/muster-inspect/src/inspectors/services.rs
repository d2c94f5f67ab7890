//! Services that may speak in clear, by their configuration: FTP, telnet, the r-commands, TFTP, POP3 and IMAP, LDAP,
//! SNMP by communities, VNC, and stores that ask nobody who it is (Redis, memcached, MongoDB).
//!
//! Each program's own manual page says what its file means (vsftpd.conf(5), snmpd.conf(5), slapd.conf(5), redis.conf …).
//! On a running system a listener is judged by the place that such a file names; one at another place runs by another file, and
//! is unknown. Elsewhere the units, scripts and lines of inetd that are switched on tell what would listen (SSH and web servers
//! as well). A service counts as switched on by its link below `/etc/systemd/system`, in `rc?.d` or in `runlevels`, unless it is
//! masked; presets, what a generator would make, and units of one's own making are not looked into. Includes in other folders than
//! the usual ones, and options on command lines, are not seen. Where nothing is said, the program's own default holds.

mod files;
mod inetd;
mod known;
mod manner;
mod units;

use std::collections::BTreeSet;
use std::net::IpAddr;

use muster_core::fact::{Facts, Obstacle, Reading};
use muster_core::running::{Configured, Listener, Process, Reach, Transport};

use crate::Inspector;
use crate::root::Root;
use files::Files;
use known::{Kind, SERVICES, Service};
use manner::Manner;
use units::Units;

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
            "/etc/systemd/system/*/",
            "/etc/default/slapd",
            "/etc/sysconfig/slapd",
            "/etc/cyrus.conf",
            "/etc/xinetd.conf",
            "/etc/ssh/sshd_config",
            "/etc/ssh/sshd_config.d/*.conf",
            "/etc/apache2/ports.conf",
            "/etc/apache2/apache2.conf",
            "/etc/httpd/conf/httpd.conf",
            "/etc/httpd/conf.d/*.conf",
            "/etc/nginx/nginx.conf",
            "/etc/nginx/conf.d/*.conf",
            "/etc/nginx/sites-enabled/*",
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
        let mut files = Files::new(root, facts);
        let manners: Vec<(&Service, Vec<Manner>)> = SERVICES
            .iter()
            .map(|service| {
                let mut manners = (service.manner)(&mut files);
                // Where a file of the service is hidden, nothing is claimed: an obstacle says that it is not known.
                if files.take_hidden() && service.kind == Kind::ByFile {
                    manners.iter_mut().for_each(|manner| manner.in_clear = None);
                }
                (service, manners)
            })
            .collect();
        let started = inetd::started(&mut files);
        let mut obstacles = files.obstacles;
        if root.running() {
            let judged = manners.iter().filter(|(service, _)| service.kind != Kind::Listed);
            facts.running.configured = judged
                .flat_map(|(service, manners)| manners.iter().flat_map(|m| configured(service, m)))
                .chain(started.iter().map(inetd::Started::configured))
                .collect();
            facts.obstacles.append(&mut obstacles);
            return;
        }
        let units = Units::of(root);
        let mut listeners = Vec::new();
        for (service, manners) in &manners {
            would_listen(service, manners, &units, facts, &mut listeners, &mut obstacles);
        }
        // What no starter would start does not listen.
        let starts = |by_xinetd: bool| {
            let mut starters =
                inetd::STARTERS.into_iter().filter(|s| (*s == "xinetd") == by_xinetd);
            starters.any(|starter| units.is_on(starter))
        };
        for line in started.iter().filter(|line| starts(line.by_xinetd)) {
            let evidence = line.configured();
            listeners.push(listener(&evidence, line.program.clone(), None, None));
        }
        in_order(&mut listeners);
        if !listeners.is_empty() {
            facts.running.listeners = Reading::Found(listeners);
        }
        facts.obstacles.append(&mut obstacles);
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

/// Returns the places of a service that a manner of it names.
fn configured(service: &Service, manner: &Manner) -> Vec<Configured> {
    let any = [String::from("0.0.0.0")];
    let addresses = if manner.addresses.is_empty() { &any[..] } else { &manner.addresses };
    let port = manner.port.or_else(|| service.ports.first().copied()).unwrap_or(0);
    let at = |address: &String| Configured {
        program: service.key().into(),
        protocol: service.protocol.into(),
        transport: manner.transport.unwrap_or(service.transport),
        address: address.clone(),
        port,
        in_clear: manner.in_clear,
        evidence: manner.evidence.clone(),
    };
    addresses.iter().map(at).collect()
}

/// Says where a service would listen, if it is installed and switched on.
fn would_listen(
    service: &Service,
    manners: &[Manner],
    units: &Units,
    facts: &Facts,
    listeners: &mut Vec<Listener>,
    obstacles: &mut Vec<Obstacle>,
) {
    let package =
        service.packages.iter().find(|name| facts.packages.iter().any(|p| p.name == **name));
    let Some(package) = package else { return };
    for unit in service.units {
        let template = format!("{unit}@");
        let of_template = units.instances(&template).map(|instance| (template.as_str(), instance));
        let own = units.instances(unit).map(|instance| (*unit, instance));
        for (unit, instance) in own.chain(of_template) {
            let unknown = |why: &str| Obstacle::new(format!("{unit}{instance}"), why);
            if units.is_changed(unit) {
                obstacles.push(unknown(
                    "is switched on, and a .socket.d of its own changes where it listens: that is not known",
                ));
                continue;
            }
            // `vncserver@:1` is display 1.
            let display = instance.strip_prefix(':').and_then(|n| n.parse::<u16>().ok());
            if service.protocol == "vnc" && unit.ends_with('@') {
                obstacles.push(unknown(
                    "is switched on; whether it listens beyond the server itself, and demands TLS, is in no file that is read",
                ));
            }
            let of_it = of_instance(service, manners, unit, instance);
            if of_it.is_empty() && !manners.is_empty() {
                obstacles.push(unknown(
                    "is switched on; by which file it runs, and whether it speaks in clear, is not known",
                ));
            }
            for manner in of_it {
                let mut manner = manner.clone();
                manner.port = manner.port.or(display.and_then(|n| 5900_u16.checked_add(n)));
                let unit = format!("{unit}{instance}");
                let places = configured(service, &manner);
                listeners.extend(places.iter().map(|place| {
                    listener(
                        place,
                        service.key().into(),
                        Some(unit.clone()),
                        Some((*package).to_owned()),
                    )
                }));
            }
        }
    }
}

/// Returns how an instance of a unit speaks; the one without a name is the service itself.
fn of_instance<'m>(
    service: &Service,
    manners: &'m [Manner],
    unit: &str,
    instance: &str,
) -> Vec<&'m Manner> {
    let of = |wanted: Option<&str>| {
        manners.iter().filter(|m| m.instance.as_deref() == wanted).collect::<Vec<_>>()
    };
    let named = of(Some(instance));
    if !named.is_empty() {
        return named;
    }
    if !instance.is_empty() && !service.units.contains(&unit) {
        return Vec::new();
    }
    let unnamed = of(None);
    if unnamed.is_empty() { manners.iter().collect() } else { unnamed }
}

fn listener(
    place: &Configured,
    process: String,
    unit: Option<String>,
    package: Option<String>,
) -> Listener {
    Listener {
        transport: place.transport,
        reach: reach(&place.address),
        address: place.address.clone(),
        port: place.port,
        cleartext: (place.in_clear == Some(true)).then(|| place.protocol.clone()),
        pid: None,
        process: Some(process),
        unit,
        package,
        evidence: place.evidence.clone(),
    }
}

fn reach(address: &str) -> Reach {
    match address.parse::<IpAddr>() {
        Ok(address) if !address.is_unspecified() => Reach::of(address),
        Ok(_) => Reach::Public,
        Err(_) if address == "localhost" => Reach::Loopback,
        Err(_) => Reach::Public,
    }
}

/// Says of listeners what they speak, where that is known and in clear, and what is not known of them.
pub(super) fn judge(
    listeners: &mut [(Listener, Option<&Process>)],
    configured: &[Configured],
) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    // Programs of which one listener is where a file says: the others are for the data of its sessions.
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    let mut open = Vec::new();
    for (listener, holder) in listeners.iter_mut() {
        let Some(holder) = holder.filter(|holder| holder.container.is_none()) else { continue };
        if inetd::STARTERS.into_iter().any(|name| is_program(holder, name)) {
            judge_started(listener, configured);
            continue;
        }
        let mine = || {
            let judged = SERVICES.iter().filter(|s| s.kind != Kind::Listed);
            judged.filter(|s| s.programs.iter().any(|name| is_program(holder, name)))
        };
        let mut fitting = configured.iter().filter(|c| {
            mine().any(|s| s.key() == c.program && s.protocol == c.protocol)
                && (c.transport, c.port) == (listener.transport, listener.port)
                && is_same_place(&c.address, &listener.address)
        });
        let first = fitting.clone().next();
        if let Some(first) = first {
            let told = fitting.find(|c| c.in_clear == Some(true));
            if let Some(told) = told {
                listener.cleartext = Some(told.protocol.clone());
                listener.evidence.clone_from(&told.evidence);
            }
            settled.insert(&first.program);
            continue;
        }
        let service = mine().find(|s| {
            s.alone || (s.transport == listener.transport && s.ports.contains(&listener.port))
        });
        match service {
            Some(service) if service.kind == Kind::Plain => {
                listener.cleartext = Some(service.protocol.to_owned());
                let told = configured.iter().find(|c| c.program == service.key());
                if let Some(told) = told {
                    listener.evidence.clone_from(&told.evidence);
                }
            }
            Some(service) => open.push((service, &*listener)),
            None => {}
        }
    }
    for (service, listener) in open {
        if service.protocol == "ftp" && settled.contains(service.key()) {
            continue;
        }
        let (address, port) = (&listener.address, listener.port);
        let address = if address.contains(':') { format!("[{address}]") } else { address.clone() };
        let who = listener.process.as_deref().unwrap_or_else(|| service.key());
        obstacles.push(Obstacle::new(
            format!("{who} at {address}:{port}"),
            format!(
                "no file that is read names this place: it runs by another; whether it answers {} in clear, or to anybody, is not known",
                service.protocol
            ),
        ));
    }
    obstacles
}

fn is_program(holder: &Process, name: &str) -> bool {
    let path = holder.executable.as_deref().unwrap_or_default();
    path.rsplit('/').next() == Some(name) || holder.name == name
}

/// Says what a program that starts others would start at a port.
fn judge_started(listener: &mut Listener, configured: &[Configured]) {
    let told = configured.iter().find(|c| {
        c.program == "inetd" && (c.transport, c.port) == (listener.transport, listener.port)
    });
    if let Some(told) = told {
        listener.cleartext = Some(told.protocol.clone());
        listener.evidence.clone_from(&told.evidence);
    } else if let Some(protocol) = inetd::by_port(listener.port) {
        listener.cleartext = Some(protocol.to_owned());
        listener.evidence = format!("{}, by its port", listener.evidence);
    }
}

/// Tells whether a listener is at the address of a file, which may be the name of one.
fn is_same_place(configured: &str, address: &str) -> bool {
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    match configured.parse::<IpAddr>() {
        // Every address of IPv6 may be those of IPv4 too.
        Ok(wanted) if wanted.is_unspecified() => address.is_unspecified(),
        Ok(wanted) => wanted == address,
        Err(_) if configured == "localhost" => address.is_loopback(),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests;
