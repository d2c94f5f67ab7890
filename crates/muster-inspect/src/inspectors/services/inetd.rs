//! What inetd and its kin start: inetd.conf(5), xinetd.conf(5).

use muster_core::running::{Configured, Transport};

use super::files::{Files, braced, is_on, lines, parted};

/// The name in `/etc/services`, the port, and the protocol.
const NAMED: [(&str, u16, &str); 10] = [
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

/// What the programs speak, on whatever port they are started.
const PROGRAMS: [(&str, &str); 20] = [
    ("telnetd", "telnet"),
    ("in.telnetd", "telnet"),
    ("utelnetd", "telnet"),
    ("ftpd", "ftp"),
    ("in.ftpd", "ftp"),
    ("proftpd", "ftp"),
    ("vsftpd", "ftp"),
    ("pure-ftpd", "ftp"),
    ("rshd", "rsh"),
    ("in.rshd", "rsh"),
    ("rlogind", "rlogin"),
    ("in.rlogind", "rlogin"),
    ("rexecd", "rexec"),
    ("in.rexecd", "rexec"),
    ("tftpd", "tftp"),
    ("in.tftpd", "tftp"),
    ("atftpd", "tftp"),
    ("in.qpopper", "pop3"),
    ("ipop3d", "pop3"),
    ("popa3d", "pop3"),
];

/// The programs that start others: their processes, and their units.
pub(super) const STARTERS: [&str; 6] =
    ["inetd", "openbsd-inetd", "inetutils-inetd", "rlinetd", "xinetd", "systemd"];

/// A line of inetd, or a service of xinetd.
pub(super) struct Started {
    protocol: &'static str,
    port: u16,
    /// The file name of the program.
    pub(super) program: String,
    address: Option<String>,
    evidence: String,
    /// Whether xinetd would start it.
    pub(super) by_xinetd: bool,
}

impl Started {
    /// Says what is configured, under the one name that stands for all who start others.
    pub(super) fn configured(&self) -> Configured {
        Configured {
            program: "inetd".into(),
            protocol: self.protocol.into(),
            transport: if self.protocol == "tftp" { Transport::Udp } else { Transport::Tcp },
            address: self.address.clone().unwrap_or_else(|| "0.0.0.0".to_owned()),
            port: self.port,
            in_clear: Some(true),
            evidence: self.evidence.clone(),
        }
    }
}

/// Returns the protocol that a port stands for.
pub(super) fn by_port(port: u16) -> Option<&'static str> {
    NAMED.iter().find(|(_, known, _)| *known == port).map(|(_, _, protocol)| *protocol)
}

/// Tells the port and protocol of a service: by its name or number, and by the program that is started.
fn known(name: &str, port: Option<u16>, program: &str) -> Option<(u16, &'static str)> {
    let named = NAMED.iter().find(|(known, ..)| *known == name);
    let file = program.rsplit('/').next().unwrap_or(program);
    let of_program = PROGRAMS.iter().find(|(known, _)| *known == file).map(|(_, p)| *p);
    let port = port.or_else(|| name.parse().ok()).or(named.map(|(_, port, _)| *port))?;
    let protocol = of_program.or(named.map(|(_, _, protocol)| *protocol))?;
    Some((port, protocol))
}

/// Reads what is switched on.
pub(super) fn started(files: &mut Files<'_>) -> Vec<Started> {
    const CONF: &str = "/etc/inetd.conf";
    let mut found = Vec::new();
    let mut everywhere = None;
    for line in files.text(CONF).as_deref().map(lines).into_iter().flatten() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some(first) = fields.first() else { continue };
        // `127.0.0.1:ftp`: an address may stand before the name, and alone for the lines that follow.
        let (address, name) = first.rsplit_once(':').map_or((None, *first), |(a, n)| (Some(a), n));
        if name.is_empty() && fields.len() == 1 {
            everywhere = address.and_then(|a| parted(a).0);
            continue;
        }
        let mut programs = fields.iter().skip(5).filter(|f| !f.ends_with("tcpd"));
        let program = programs.next().copied().unwrap_or(name);
        let Some((port, protocol)) = known(name, None, program) else { continue };
        found.push(Started {
            protocol,
            port,
            program: program.rsplit('/').next().unwrap_or(program).to_owned(),
            address: address.and_then(|a| parted(a).0).or_else(|| everywhere.clone()),
            evidence: format!("{CONF}: {name}"),
            by_xinetd: false,
        });
    }
    let mut texts = files.all(&["/etc/xinetd.conf"]);
    // Files with a dot in their name, or a tilde at its end, are left out by `includedir`.
    let of_folder = files.folder("/etc/xinetd.d", "").into_iter();
    texts.extend(of_folder.filter(|(path, _)| {
        !path.contains("/xinetd.d/.") && {
            let name = path.rsplit('/').next().unwrap_or(path);
            !name.contains('.') && !name.ends_with('~')
        }
    }));
    for (path, text) in &texts {
        found.extend(services_of(path, text));
    }
    found
}

/// Reads the blocks `service NAME { key = value }` of a file.
fn services_of(path: &str, text: &str) -> Vec<Started> {
    // The brace stands on a line of its own.
    let text = text.replace("\n{", " {").replace("\r", "");
    let lines = braced(&text);
    let mut names: Vec<&str> =
        lines.iter().filter_map(|l| l.within.first()).map(String::as_str).collect();
    names.dedup();
    let mut found = Vec::new();
    for block in names {
        let Some(name) = block.strip_prefix("service ").map(str::trim) else { continue };
        let value = |key: &str| {
            let mut of = lines.iter().filter(|l| l.within == [block] && l.key == key);
            of.next().map(|line| line.value.as_str())
        };
        let server = value("server").unwrap_or_default();
        let port = value("port").and_then(|port| port.parse().ok());
        let Some((port, protocol)) = known(name, port, server) else { continue };
        if is_on(value("disable")) {
            continue;
        }
        let program = if server.is_empty() { protocol } else { server };
        found.push(Started {
            protocol,
            port,
            program: program.rsplit('/').next().unwrap_or(program).to_owned(),
            address: value("bind").or_else(|| value("interface")).map(str::to_owned),
            evidence: format!("{path}: disable is not yes"),
            by_xinetd: true,
        });
    }
    found
}
