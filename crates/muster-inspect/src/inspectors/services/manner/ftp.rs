//! Transfer of files: vsftpd.conf(5), ProFTPD's mod_tls and mod_sftp, pure-ftpd(8), tftpd(8).

use super::super::files::{Files, Line, is, is_off, is_on, last, parted, tagged, words};
use super::Manner;

/// `force_local_logins_ssl` is on where `ssl_enable` is, and not said otherwise.
pub(in super::super) fn vsftpd(files: &mut Files<'_>) -> Vec<Manner> {
    let Some((path, text)) = files.first(&["/etc/vsftpd.conf", "/etc/vsftpd/vsftpd.conf"]) else {
        return vec![Manner::clear("vsftpd has no configuration, and its default is no TLS")];
    };
    let manner = if !is_on(last(&text, "ssl_enable")) {
        Manner::clear(format!("{path}: ssl_enable is not YES"))
    } else if is_off(last(&text, "force_local_logins_ssl")) {
        Manner::clear(format!("{path}: force_local_logins_ssl=NO"))
    } else {
        Manner::guarded(format!("{path}: ssl_enable=YES"))
    };
    // Debian's own listens on one socket of IPv6, which takes IPv4 as well.
    let address = if is_on(last(&text, "listen_ipv6")) {
        last(&text, "listen_address6").or(Some("::"))
    } else {
        last(&text, "listen_address").or(last(&text, "listen_address6"))
    };
    let port = last(&text, "listen_port").and_then(|port| port.parse().ok());
    vec![manner.at(words(address)).port(port)]
}

/// A server of ProFTPD: the main one, or a `<VirtualHost>`.
struct Server {
    name: String,
    addresses: Vec<String>,
    port: u16,
    engine: bool,
    required: String,
    sftp: bool,
}

impl Server {
    fn take(&mut self, line: &Line) {
        match line.key.as_str() {
            "port" => self.port = line.value.parse().unwrap_or(self.port),
            "defaultaddress" => self.addresses = words(Some(&line.value)),
            "tlsengine" => self.engine = is_on(Some(&line.value)),
            "tlsrequired" => self.required.clone_from(&line.value),
            "sftpengine" => self.sftp = is_on(Some(&line.value)),
            _ => {}
        }
    }

    /// `TLSRequired` names what must be encrypted; what does not cover the login does not count.
    fn manner(&self, path: &str) -> Manner {
        let covers = ["on", "yes", "true", "1", "ctrl", "auth", "ctrl+data", "auth+data", "both"];
        let of = if self.name.is_empty() { String::new() } else { format!(" in <{}>", self.name) };
        if self.sftp {
            Manner::guarded(format!("{path}: SFTPEngine on{of}"))
        } else if self.engine && is(Some(&self.required), &covers) {
            Manner::guarded(format!("{path}: TLSRequired {}{of}", self.required))
        } else {
            Manner::clear(format!("{path}: TLSRequired is not on{of}"))
        }
    }
}

pub(in super::super) fn proftpd(files: &mut Files<'_>) -> Vec<Manner> {
    let Some((path, text)) = files.first(&["/etc/proftpd/proftpd.conf", "/etc/proftpd.conf"])
    else {
        return vec![Manner::clear("ProFTPD has no configuration, and its default is no TLS")];
    };
    let mut whole = String::new();
    for line in text.lines() {
        match line.trim().strip_prefix("Include ").map(str::trim) {
            Some("/etc/proftpd/conf.d/" | "/etc/proftpd/conf.d/*.conf") => {
                for (_, more) in files.folder("/etc/proftpd/conf.d", ".conf") {
                    whole += &more;
                    whole.push('\n');
                }
            }
            Some(file) if file.starts_with("/etc/proftpd/") && file.ends_with(".conf") => {
                whole += &files.text(file).unwrap_or_default();
            }
            _ => whole += line,
        }
        whole.push('\n');
    }
    let first = Server {
        name: String::new(),
        addresses: Vec::new(),
        port: 21,
        engine: false,
        required: String::from("off"),
        sftp: false,
    };
    let mut servers = vec![first];
    let lines = tagged(&whole);
    let context = |line: &Line| {
        let blocks = line.within.iter().map(String::as_str);
        blocks
            .filter(|b| !b.starts_with("ifmodule") && !b.starts_with("ifdefine"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let is_left_out = |line: &Line| line.within.iter().any(|b| b.starts_with("ifmodule !mod_tls"));
    for line in lines.iter().filter(|line| !is_left_out(line)) {
        let context = context(line);
        match context.as_slice() {
            [] => {
                if let Some(main) = servers.first_mut() {
                    main.take(line);
                }
            }
            [host] if host.starts_with("virtualhost") => {
                let at = servers.iter().position(|server| server.name == *host);
                let at = at.unwrap_or_else(|| {
                    let addresses = host.split_ascii_whitespace().skip(1).map(str::to_owned);
                    servers.push(Server {
                        name: host.clone(),
                        addresses: addresses.collect(),
                        port: 21,
                        engine: false,
                        required: String::from("off"),
                        sftp: false,
                    });
                    servers.len() - 1
                });
                if let Some(server) = servers.get_mut(at) {
                    server.take(line);
                }
            }
            _ => {}
        }
    }
    // What stands in <Global> holds for every server that does not say otherwise.
    for line in lines.iter().filter(|line| context(line) == ["global"]) {
        for server in &mut servers {
            let says = lines.iter().any(|l| {
                l.key == line.key && context(l).first().map_or("", String::as_str) == server.name
            });
            if !says {
                server.take(line);
            }
        }
    }
    // Port 0 is how the main server is switched off.
    let listening = servers.iter().filter(|server| server.port != 0);
    let manners = listening
        .map(|server| server.manner(&path).at(server.addresses.clone()).port(Some(server.port)));
    manners.collect()
}

/// 2 and 3 refuse sessions without TLS; `Bind` is `ADDRESS,PORT`, of which either may be empty.
pub(in super::super) fn pure_ftpd(files: &mut Files<'_>) -> Vec<Manner> {
    let mut value = None;
    let mut bind = None;
    if let Some((path, text)) =
        files.first(&["/etc/pure-ftpd/pure-ftpd.conf", "/etc/pure-ftpd.conf"])
    {
        bind = last(&text, "Bind").map(str::to_owned);
        value = Some((path, last(&text, "TLS").unwrap_or("0").to_owned()));
    }
    // Debian has a file for each word, and no other.
    if let Some(text) = files.text("/etc/pure-ftpd/conf/TLS") {
        value = Some(("/etc/pure-ftpd/conf/TLS".to_owned(), text.trim().to_owned()));
    }
    if let Some(text) = files.text("/etc/pure-ftpd/conf/Bind") {
        bind = Some(text.trim().to_owned());
    }
    let manner = match value {
        Some((path, value)) if matches!(value.as_str(), "2" | "3") => {
            Manner::guarded(format!("{path}: TLS {value}"))
        }
        Some((path, _)) => Manner::clear(format!("{path}: TLS is not 2 or 3")),
        None => Manner::clear("Pure-FTPd demands no TLS unless told to"),
    };
    let bind = bind.unwrap_or_default();
    let (address, port) = bind.split_once(',').unwrap_or((&bind, ""));
    vec![manner.at(words(Some(address))).port(port.trim().parse().ok())]
}

pub(in super::super) fn tftp(files: &mut Files<'_>) -> Vec<Manner> {
    let text = files.text("/etc/default/tftpd-hpa").unwrap_or_default();
    let place = last(&text, "TFTP_ADDRESS").map(parted).unwrap_or_default();
    vec![Manner::clear("its protocol knows no encryption").place(place)]
}
