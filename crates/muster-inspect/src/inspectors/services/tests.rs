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
    assert_eq!(
        offered("x", "x", &[("etc/inetd.conf", conf)]),
        ["ftp 127.0.0.1:21 loopback", "telnet 0.0.0.0:23 public"]
    );
    let on = "service tftp\n{\n  disable = no\n  server = /usr/sbin/in.tftpd\n}\n";
    assert_eq!(offered("x", "x", &[("etc/xinetd.d/tftp", on)]), ["tftp 0.0.0.0:69 public"]);
    assert_eq!(offered("x", "x", &[("etc/xinetd.d/tftp", &on.replace("no\n", "yes\n"))]), [""; 0]);
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
        let mut listener = Listener {
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
        judge(&mut listener, Some(&holder), &facts.running.configured);
        listener.cleartext.unwrap_or_default()
    };
    let tls =
        [("etc/vsftpd.conf", "ssl_enable=YES\n"), ("etc/dovecot/dovecot.conf", "ssl = required\n")];
    let open =
        [("etc/vsftpd.conf", "\n"), ("etc/dovecot/dovecot.conf", "disable_plaintext_auth=no\n")];
    for (program, transport, port, conf, expected) in [
        ("vsftpd", Transport::Tcp, 2121, &open, "ftp"),
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
