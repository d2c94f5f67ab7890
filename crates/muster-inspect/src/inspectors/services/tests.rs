//! Each service both ways: one configuration that speaks in clear, one that does not.

use super::*;
use crate::inspectors::apt::testing::Files as InMemory;
use muster_core::fact::Package;

/// What a mounted root with this package, unit and files would offer in clear.
fn offered(package: &str, unit: &str, files: &[(&str, &str)]) -> Vec<String> {
    let wanted = format!("etc/systemd/system/multi-user.target.wants/{unit}.service");
    let mut root = InMemory::of(files);
    root.put(&wanted, b"");
    let mut facts = Facts {
        packages: vec![Package { name: package.into(), ..Package::default() }],
        ..Facts::default()
    };
    Services.inspect(&root, &mut facts);
    assert_eq!(facts.obstacles, []);
    let listeners = facts.running.listeners.found().cloned().unwrap_or_default();
    listeners
        .into_iter()
        .filter_map(|l| {
            Some(format!("{} {}:{} {}", l.cleartext?, l.address, l.port, l.reach.name()))
        })
        .collect()
}

#[test]
fn each_service_is_told_both_ways() {
    let everywhere = |protocol: &str, port: u16| format!("{protocol} 0.0.0.0:{port} public");
    for (package, unit, path, clear, guarded) in [
        (
            "vsftpd",
            "vsftpd",
            "etc/vsftpd.conf",
            "listen=YES\n#ssl_enable=YES\n",
            "ssl_enable=YES\n",
        ),
        (
            "vsftpd",
            "vsftpd",
            "etc/vsftpd.conf",
            "ssl_enable=YES\nforce_local_logins_ssl=NO\n",
            "ssl_enable=YES\nforce_local_logins_ssl=YES\n",
        ),
        (
            "proftpd-core",
            "proftpd",
            "etc/proftpd/proftpd.conf",
            "TLSEngine on\n",
            "<IfModule mod_tls.c>\n TLSEngine on\n TLSRequired on\n</IfModule>\n",
        ),
        ("pure-ftpd", "pure-ftpd", "etc/pure-ftpd/conf/TLS", "1\n", "2\n"),
        ("pure-ftpd", "pure-ftpd", "etc/pure-ftpd/pure-ftpd.conf", "TLS 1\n", "TLS 2\n"),
    ] {
        assert_eq!(offered(package, unit, &[(path, clear)]), [everywhere("ftp", 21)], "{clear}");
        assert_eq!(offered(package, unit, &[(path, guarded)]), [""; 0], "{guarded}");
    }
    for (package, unit, path, clear, guarded, said) in [
        (
            "dovecot-imapd",
            "dovecot",
            "etc/dovecot/conf.d/10-auth.conf",
            "disable_plaintext_auth = no\n",
            "#disable_plaintext_auth = no\n",
            everywhere("imap", 143),
        ),
        (
            "dovecot-pop3d",
            "dovecot",
            "etc/dovecot/dovecot.conf",
            "auth_allow_cleartext = yes\n",
            "auth_allow_cleartext = yes\nssl = required\n",
            everywhere("pop3", 110),
        ),
        (
            "cyrus-imapd",
            "cyrus-imapd",
            "etc/imapd.conf",
            "allowplaintext: yes\n",
            "allowplaintext: no\n",
            everywhere("imap", 143),
        ),
        (
            "courier-imap",
            "courier-imap",
            "etc/courier/imapd-ssl",
            "IMAP_TLS_REQUIRED=0\n",
            "IMAP_TLS_REQUIRED=1\n",
            everywhere("imap", 143),
        ),
        (
            "slapd",
            "slapd",
            "etc/ldap/slapd.d/cn=config.ldif",
            "cn: config\n",
            "olcSecurity: ssf=128\n",
            everywhere("ldap", 389),
        ),
        (
            "openldap-servers",
            "slapd",
            "etc/openldap/slapd.conf",
            "security ssf=0\n",
            "security simple_bind=64\n",
            everywhere("ldap", 389),
        ),
        (
            "389-ds-base",
            "dirsrv@one",
            "etc/dirsrv/slapd-one/dse.ldif",
            "cn: x\n",
            "nsslapd-require-secure-binds: on\n",
            everywhere("ldap", 389),
        ),
        (
            "snmpd",
            "snmpd",
            "etc/snmp/snmpd.conf",
            "rocommunity public default\n",
            "rouser me authpriv\nrocommunity public localhost\n",
            everywhere("snmp-v2c", 161),
        ),
        (
            "snmpd",
            "snmpd",
            "etc/snmp/snmpd.conf",
            "com2sec all default public\n",
            "com2sec here 127.0.0.1 public\n",
            everywhere("snmp-v2c", 161),
        ),
        (
            "redis-server",
            "redis-server",
            "etc/redis/redis.conf",
            "protected-mode no\n",
            "protected-mode no\nrequirepass x\n",
            everywhere("redis", 6379),
        ),
        (
            "redis-server",
            "redis-server",
            "etc/redis/redis.conf",
            "bind 10.0.0.1\n",
            "protected-mode yes\n",
            "redis 10.0.0.1:6379 private".to_owned(),
        ),
        (
            "redis-server",
            "redis-server",
            "etc/redis/redis.conf",
            "bind 127.0.0.1\n",
            "bind 127.0.0.1\nuser default on >x ~* +@all\n",
            "redis 127.0.0.1:6379 loopback".to_owned(),
        ),
        (
            "memcached",
            "memcached",
            "etc/memcached.conf",
            "-d\n-l 0.0.0.0\n",
            "-l 0.0.0.0\n-S\n",
            everywhere("memcached", 11211),
        ),
        (
            "memcached",
            "memcached",
            "etc/sysconfig/memcached",
            "PORT=\"11300\"\nOPTIONS=\"-l 127.0.0.1\"\n",
            "OPTIONS=\"-S\"\n",
            "memcached 127.0.0.1:11300 loopback".to_owned(),
        ),
        (
            "mongodb-org-server",
            "mongod",
            "etc/mongod.conf",
            "net:\n  bindIp: 0.0.0.0\n",
            "net:\n  bindIp: 0.0.0.0\nsecurity:\n  authorization: enabled\n",
            everywhere("mongodb", 27017),
        ),
        (
            "mongodb",
            "mongodb",
            "etc/mongodb.conf",
            "bind_ip = 127.0.0.1\n",
            "auth = true\n",
            "mongodb 127.0.0.1:27017 loopback".to_owned(),
        ),
    ] {
        let found = offered(package, unit, &[(path, clear)]);
        assert!(found.contains(&said), "{clear}: {found:?}");
        assert_eq!(offered(package, unit, &[(path, guarded)]), [""; 0], "{guarded}");
    }
    assert_eq!(
        offered(
            "tftpd-hpa",
            "tftpd-hpa",
            &[("etc/default/tftpd-hpa", "TFTP_ADDRESS=\"10.0.0.1:69\"\n")]
        ),
        ["tftp 10.0.0.1:69 private"]
    );
    assert_eq!(offered("telnetd", "telnetd", &[]), [everywhere("telnet", 23)]);
    assert_eq!(offered("x11vnc", "x11vnc", &[]), [everywhere("vnc", 5900)]);
    assert_eq!(
        offered(
            "snmpd",
            "snmpd",
            &[(
                "etc/snmp/snmpd.conf",
                "agentaddress udp:127.0.0.1:161,udp6:[::1]:161\nrocommunity x\n"
            )]
        ),
        ["snmp-v2c 127.0.0.1:161 loopback", "snmp-v2c ::1:161 loopback"]
    );
}

#[test]
fn only_what_is_installed_and_switched_on_would_listen() {
    let conf = [("etc/vsftpd.conf", "listen=YES\n")];
    assert_eq!(offered("bash", "vsftpd", &conf), [""; 0], "a link without a package");
    assert_eq!(offered("vsftpd", "cron", &conf), [""; 0], "a package that is switched off");
    let script = [("etc/rc2.d/S20vsftpd", ""), ("etc/rc3.d/K20telnetd", "")];
    assert_eq!(offered("vsftpd", "cron", &script), ["ftp 0.0.0.0:21 public"]);
    let six = [("etc/vsftpd.conf", "listen=NO\nlisten_ipv6=YES\n"), script[0]];
    assert_eq!(offered("vsftpd", "cron", &six), ["ftp :::21 public"]);
    assert_eq!(offered("telnetd", "cron", &script), [""; 0]);
    assert_eq!(
        offered("vsftpd", "cron", &[("etc/runlevels/default/vsftpd", "")]),
        ["ftp 0.0.0.0:21 public"]
    );
}

#[test]
fn lines_of_inetd_and_files_of_xinetd_are_services_too() {
    let conf = "# telnet stream\n127.0.0.1:ftp stream tcp nowait root /usr/sbin/tcpd /usr/sbin/in.ftpd\n\
        telnet stream tcp nowait root /usr/sbin/in.telnetd in.telnetd\n#shell stream tcp nowait root x\nbroken\n";
    let inetd = |conf: &str| offered("x", "openbsd-inetd", &[("etc/inetd.conf", conf)]);
    assert_eq!(inetd(conf), ["ftp 127.0.0.1:21 loopback", "telnet 0.0.0.0:23 public"]);
    assert_eq!(offered("x", "xinetd", &[("etc/inetd.conf", conf)]), [""; 0], "nobody starts it");
    // Any port, by the program; a default address; an address of IPv6.
    assert_eq!(
        inetd("2323 stream tcp nowait root /usr/sbin/in.telnetd in.telnetd\n"),
        ["telnet 0.0.0.0:2323 public"]
    );
    let after =
        "127.0.0.1:\ntelnet stream tcp nowait root x y\n*:\nlogin stream tcp nowait root x y\n";
    assert_eq!(inetd(after), ["telnet 127.0.0.1:23 loopback", "rlogin 0.0.0.0:513 public"]);
    assert_eq!(inetd("[::1]:telnet stream tcp nowait root x y\n"), ["telnet ::1:23 loopback"]);
    let xinetd = |path: &str, text: &str| offered("x", "xinetd", &[(path, text)]);
    let on = "service tftp\n{\n  disable = no\n  server = /usr/sbin/in.tftpd\n}\n";
    assert_eq!(xinetd("etc/xinetd.d/tftp", on), ["tftp 0.0.0.0:69 public"]);
    assert_eq!(xinetd("etc/xinetd.d/tftp", &on.replace("no\n", "yes\n")), [""; 0]);
    assert_eq!(xinetd("etc/xinetd.conf", on), ["tftp 0.0.0.0:69 public"]);
    assert_eq!(xinetd("etc/xinetd.d/tftp~", on), [""; 0]);
    assert_eq!(xinetd("etc/xinetd.d/tftp.dpkg-old", on), [""; 0]);
    assert_eq!(offered("x", "cron", &[("etc/xinetd.d/tftp", on)]), [""; 0]);
    let unlisted = "service door\n{\n type = UNLISTED\n port = 2300\n bind = 10.0.0.1\n server = /usr/sbin/in.telnetd\n}\n";
    assert_eq!(xinetd("etc/xinetd.d/door", unlisted), ["telnet 10.0.0.1:2300 private"]);
}

/// What of a service would listen on a mounted root, in clear or not, and what is not known of it.
fn would(package: &str, units: &[&str], files: &[(&str, &str)], masks: &[&str]) -> Vec<String> {
    let mut root = InMemory::of(files);
    for unit in units {
        root.put(&format!("etc/systemd/system/multi-user.target.wants/{unit}"), b"");
    }
    for unit in masks {
        InMemory::link(&mut root, &format!("etc/systemd/system/{unit}"), "/dev/null");
    }
    let (name, version) = package.split_once('=').unwrap_or((package, "1"));
    let package = Package { name: name.into(), version: version.into(), ..Package::default() };
    let mut facts = Facts { packages: vec![package], ..Facts::default() };
    Services.inspect(&root, &mut facts);
    let listeners = facts.running.listeners.found().cloned().unwrap_or_default();
    let told = listeners.into_iter().map(|l| {
        let transport = if l.transport == Transport::Udp { "/udp" } else { "" };
        format!("{} {}:{}{transport}", l.cleartext.as_deref().unwrap_or("-"), l.address, l.port)
    });
    let unknown = facts.obstacles.iter().map(|o| format!("? {}", o.what));
    told.chain(unknown).collect()
}

#[test]
fn a_unit_is_on_unless_it_is_masked_and_each_instance_is_one() {
    let files = [("etc/vsftpd.conf", "listen=YES\n")];
    assert_eq!(would("vsftpd", &["vsftpd.service"], &files, &[]), ["ftp 0.0.0.0:21"]);
    assert_eq!(would("vsftpd", &["vsftpd.service"], &files, &["vsftpd.service"]), [""; 0]);
    assert_eq!(would("telnetd", &["telnet.socket"], &[], &["telnet.socket"]), [""; 0]);
    assert_eq!(would("vsftpd", &["vsftpd@ext.service"], &files, &[]), ["? vsftpd@ext"]);
    let changed = [("etc/systemd/system/telnet.socket.d/o.conf", "[Socket]\nListenStream=\n")];
    assert_eq!(would("telnetd", &["telnet.socket"], &changed, &[]), ["? telnet"]);
    let redis = [
        ("etc/redis/redis.conf", "bind 127.0.0.1\nrequirepass x\n"),
        ("etc/redis/redis-b.conf", "port 6380\nprotected-mode no\n"),
    ];
    let both = ["redis-server.service", "redis-server@b.service"];
    assert_eq!(
        would("redis-server", &both, &redis, &[]),
        ["- 127.0.0.1:6379", "redis 0.0.0.0:6380"]
    );
    assert_eq!(
        would("tigervnc-standalone-server", &["tigervncserver@:2.service"], &[], &[]),
        ["- 0.0.0.0:5902", "? tigervncserver@:2"]
    );
}

#[test]
fn every_server_of_a_file_is_one() {
    let ftp = |text: &str| {
        would("proftpd-core", &["proftpd.service"], &[("etc/proftpd/proftpd.conf", text)], &[])
    };
    let host = "Port 21\n<VirtualHost 10.0.0.1>\nPort 2122\nTLSEngine on\nTLSRequired on\n</VirtualHost>\n";
    assert_eq!(ftp(host), ["ftp 0.0.0.0:21", "- 10.0.0.1:2122"]);
    assert_eq!(ftp("Port 2222\nSFTPEngine on\n"), ["- 0.0.0.0:2222"]);
    let global = "<Global>\nTLSEngine on\nTLSRequired on\n</Global>\n<VirtualHost a.example.org>\nTLSRequired off\n</VirtualHost>\n";
    assert_eq!(ftp(global), ["- 0.0.0.0:21", "ftp a.example.org:21"]);
    assert_eq!(ftp("Port 0\n"), [""; 0]);

    let slapd = |files: &[(&str, &str)]| would("slapd", &["slapd.service"], files, &[]);
    let services = |value: &'static str| [("etc/default/slapd", value)];
    assert_eq!(slapd(&services("SLAPD_SERVICES=\"ldaps:/// ldapi:///\"\n")), ["- 0.0.0.0:636"]);
    assert_eq!(
        slapd(&services("SLAPD_SERVICES=\"ldap://127.0.0.1:389/ ldapi:///\"\n")),
        ["ldap 127.0.0.1:389"]
    );
    assert_eq!(
        slapd(&[("etc/ldap/slapd.d/cn=config.ldif", "olcSecurity: tls=1\n")]),
        ["- 0.0.0.0:389"]
    );

    let dovecot = |text: &str| {
        would("dovecot-imapd", &["dovecot.service"], &[("etc/dovecot/dovecot.conf", text)], &[])
    };
    let open = "disable_plaintext_auth = no\n";
    let block = |inner: &str| {
        format!(
            "{open}listen = 127.0.0.1\nservice imap-login {{\n inet_listener imap {{\n {inner}\n }}\n}}\n"
        )
    };
    assert_eq!(dovecot(&block("port = 0")), [""; 0]);
    assert_eq!(dovecot(&block("address = 0.0.0.0\n port = 1143")), ["imap 0.0.0.0:1143"]);
    assert_eq!(dovecot(&format!("{open}protocols = pop3\n")), [""; 0]);
    assert_eq!(dovecot(&format!("{open}protocols = $protocols imap\n")), ["imap 0.0.0.0:143"]);
    assert_eq!(
        dovecot("remote 10.0.0.0/8 {\n disable_plaintext_auth = no\n}\n"),
        ["imap 0.0.0.0:143"]
    );

    let cyrus = |conf: &str, services: &str| {
        let files = [("etc/imapd.conf", conf), ("etc/cyrus.conf", services)];
        would("cyrus-imapd", &["cyrus-imapd.service"], &files, &[])
    };
    let lines = "SERVICES {\n imap cmd=\"imapd -U 30\" listen=\"imap\" prefork=0\n imaps cmd=\"imapd -s\" listen=\"imaps\"\n pop3 cmd=\"pop3d\" listen=\"127.0.0.1:pop3\"\n}\n";
    let plain = "allowplaintext: yes\n";
    assert_eq!(cyrus(plain, lines), ["pop3 127.0.0.1:110", "imap 0.0.0.0:143"]);
    assert_eq!(
        cyrus("allowplaintext: no\nimap_allowplaintext: yes\n", lines),
        ["- 127.0.0.1:110", "imap 0.0.0.0:143"]
    );
}

#[test]
fn stores_are_where_and_how_their_files_say() {
    let redis = |version: &str, text: &str| {
        let files = [("etc/redis/redis.conf", text)];
        would(&format!("redis-server={version}"), &["redis-server.service"], &files, &[])
    };
    assert_eq!(
        redis("5:7.0.15-1", "port 0\ntls-port 6379\nbind 0.0.0.0\nprotected-mode no\n"),
        ["- 0.0.0.0:6379"]
    );
    assert_eq!(redis("5:6.0.16-1", "bind * -::*\n"), ["redis 0.0.0.0:6379", "redis :::6379"]);
    assert_eq!(redis("5:7.0.15-1", "bind 0.0.0.0\nprotected-mode yes\n"), ["- 0.0.0.0:6379"]);
    assert_eq!(redis("5:7.0.15-1", "bind 127.0.0.1\n"), ["redis 127.0.0.1:6379"]);
    assert_eq!(
        redis("5:6.0.16-1", "bind 0.0.0.0\ninclude /srv/secret.conf\n"),
        ["- 0.0.0.0:6379", "? /etc/redis/redis.conf"]
    );
    let included = [
        ("etc/redis/redis.conf", "bind 0.0.0.0\ninclude /etc/redis/l.conf\n"),
        ("etc/redis/l.conf", "requirepass x\n"),
    ];
    assert_eq!(
        would("redis-server", &["redis-server.service"], &included, &[]),
        ["- 0.0.0.0:6379"]
    );

    let memcached = |text: &str| {
        would("memcached", &["memcached.service"], &[("etc/memcached.conf", text)], &[])
    };
    assert_eq!(memcached("-s /run/m.sock\n"), [""; 0]);
    assert_eq!(
        memcached("-l 10.0.0.1\n-U 11212\n"),
        ["memcached 10.0.0.1:11211", "memcached 10.0.0.1:11212/udp"]
    );
    let mongod =
        |text: &str| would("mongodb", &["mongod.service"], &[("etc/mongod.conf", text)], &[]);
    assert_eq!(
        mongod(
            "net: {port: 27018, bindIp: \"127.0.0.1,10.0.0.5\"}\nsecurity: {authorization: \"enabled\"}\n"
        ),
        ["- 10.0.0.5:27018", "- 127.0.0.1:27018"]
    );
}

#[test]
fn ssh_and_web_servers_are_listed_and_not_judged() {
    let ssh = [("etc/ssh/sshd_config", "Port 22\nPort 2222\nListenAddress 10.0.0.1\n")];
    assert_eq!(
        would("openssh-server", &["ssh.service"], &ssh, &[]),
        ["- 10.0.0.1:22", "- 10.0.0.1:2222"]
    );
    let apache = [(
        "etc/apache2/ports.conf",
        "Listen 80\n<IfModule ssl_module>\n Listen 10.0.0.1:443\n</IfModule>\n",
    )];
    assert_eq!(
        would("apache2", &["apache2.service"], &apache, &[]),
        ["- 0.0.0.0:80", "- 10.0.0.1:443"]
    );
    let nginx = [(
        "etc/nginx/sites-enabled/a",
        "server {\n listen 80 default_server;\n listen [::]:80;\n listen unix:/x;\n}\n",
    )];
    assert_eq!(would("nginx", &["nginx.service"], &nginx, &[]), ["- 0.0.0.0:80", "- :::80"]);
}

#[test]
fn a_listener_is_judged_by_its_program_port_and_configuration() {
    let told = |program: &str, transport, port, conf: &[(&str, &str)]| {
        let mut facts = Facts::default();
        Services.inspect(&InMemory::of(conf).running(), &mut facts);
        let holder = Process {
            pid: 9,
            name: program.into(),
            executable: Some(format!("/usr/sbin/{program}")),
            ..Process::default()
        };
        let listener = Listener {
            transport,
            address: "0.0.0.0".into(),
            port,
            reach: Reach::Public,
            cleartext: None,
            pid: Some(9),
            process: None,
            unit: None,
            package: None,
            evidence: "/proc/net/tcp".into(),
        };
        let mut held = [(listener, Some(&holder))];
        let obstacles = judge(&mut held, &facts.running.configured);
        let [(listener, _)] = held;
        let unknown = if obstacles.is_empty() { "" } else { "?" };
        listener.cleartext.unwrap_or_default() + unknown
    };
    let tls =
        [("etc/vsftpd.conf", "ssl_enable=YES\n"), ("etc/dovecot/dovecot.conf", "ssl = required\n")];
    let open =
        [("etc/vsftpd.conf", "\n"), ("etc/dovecot/dovecot.conf", "disable_plaintext_auth=no\n")];
    for (program, transport, port, conf, expected) in [
        ("vsftpd", Transport::Tcp, 2121, &open, "?"),
        ("redis-server", Transport::Tcp, 6402, &open, "?"),
        ("in.telnetd", Transport::Tcp, 2323, &open, "telnet"),
        ("vsftpd", Transport::Tcp, 21, &tls, ""),
        ("dovecot", Transport::Tcp, 143, &open, "imap"),
        ("dovecot", Transport::Tcp, 110, &open, "pop3"),
        ("dovecot", Transport::Tcp, 993, &open, ""),
        ("dovecot", Transport::Tcp, 143, &tls, ""),
        ("xinetd", Transport::Tcp, 23, &tls, "telnet"),
        ("xinetd", Transport::Tcp, 22, &tls, ""),
        ("systemd", Transport::Udp, 69, &tls, "tftp"),
        ("sshd", Transport::Tcp, 21, &open, ""),
        ("Xvnc", Transport::Tcp, 5901, &open, "vnc"),
        ("Xvnc", Transport::Tcp, 6001, &open, ""),
        ("snmpd", Transport::Udp, 161, &open, ""),
    ] {
        assert_eq!(told(program, transport, port, conf), expected, "{program} {port}");
    }
}
