//! What listens on a network, and who holds it: `/proc/1/net/{tcp,tcp6,udp,udp6}` (proc(5), `proc_pid_net(5)`), tied to
//! processes by the numbers of their open sockets (`/proc/PID/fd`).
//!
//! Counted are TCP sockets that listen and UDP sockets without a peer, in the network of the first process: a container's
//! own network is that container's, and other networks in which a TCP socket (of IPv4) listens are named as unknown. The reach of an address that stands for all of them is that of the widest address
//! the server has (`fib_trie`, `if_inet6`). Firewalls are not looked into, nor do addresses tell of translation before the server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use muster_core::fact::{Facts, Obstacle, Reading};
use muster_core::running::{Listener, Process, Reach, Transport};

use super::services;
use crate::root::Root;
use crate::{Inspector, Scope};

const MAX_TABLE: u64 = 32 << 20;
/// More listeners than a server has.
const MAX_LISTENERS: usize = 4096;
/// How many open files are looked at, of one process and of all.
const MAX_FILES: usize = 4096;
const MAX_ALL_FILES: usize = 200_000;

const TABLES: [(&str, Transport); 4] = [
    ("tcp", Transport::Tcp),
    ("tcp6", Transport::Tcp),
    ("udp", Transport::Udp),
    ("udp6", Transport::Udp),
];

/// Reads what listens.
pub struct Sockets;

impl Inspector for Sockets {
    fn name(&self) -> &'static str {
        "sockets"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "/proc/1/net/tcp*",
            "/proc/1/net/udp*",
            "/proc/1/net/fib_trie",
            "/proc/1/net/if_inet6",
            "/proc/net/tcp*",
            "/proc/net/udp*",
            "/proc/net/fib_trie",
            "/proc/net/if_inet6",
            "/proc/*/net/tcp",
            "/proc/*/fd/*",
            "/proc/*/ns/net",
            "/proc/net",
            "/proc/self",
        ]
    }

    fn scope(&self) -> Scope {
        Scope::Processes
    }

    fn in_containers(&self) -> bool {
        false
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        if !root.running() {
            return;
        }
        let Some(folder) = ["/proc/1/net", "/proc/net"].into_iter().find(|folder| {
            !matches!(
                root.read(&format!("{folder}/tcp"), MAX_TABLE),
                Reading::Absent | Reading::Unknown(_)
            )
        }) else {
            if let Reading::Unknown(obstacle) = root.read("/proc/1/net/tcp", MAX_TABLE) {
                facts.obstacles.push(obstacle.clone());
                facts.running.listeners = Reading::Unknown(obstacle);
            }
            return;
        };
        let mut sockets = Vec::new();
        for (table, transport) in TABLES {
            match root.read(&format!("{folder}/{table}"), MAX_TABLE) {
                Reading::Found(bytes) => {
                    let text = String::from_utf8_lossy(&bytes);
                    sockets.extend(text.lines().filter_map(|line| socket(line, transport, table)));
                }
                Reading::Absent => {}
                Reading::Unknown(obstacle) => facts.obstacles.push(obstacle),
            }
        }
        if sockets.len() > MAX_LISTENERS {
            facts.obstacles.push(Obstacle::new(
                folder,
                format!("only {MAX_LISTENERS} of {} sockets were looked at", sockets.len()),
            ));
            sockets.truncate(MAX_LISTENERS);
        }
        facts.obstacles.extend(elsewhere(root, facts.running.processes.found()));
        let own = own_addresses(root, folder);
        let nothing = Vec::new();
        let processes = facts.running.processes.found().unwrap_or(&nothing);
        let holders = holders(root, processes, &sockets);
        let mut held: Vec<(Listener, Option<&Process>)> = sockets
            .into_iter()
            .map(|socket| {
                let holder = holders.get(&socket.inode).and_then(|pid| {
                    processes
                        .binary_search_by_key(pid, |p| p.pid)
                        .ok()
                        .and_then(|at| processes.get(at))
                });
                (socket.listener(folder, holder, &own), holder)
            })
            .collect();
        let mut obstacles = services::judge(&mut held, &facts.running.configured);
        let mut listeners = held.into_iter().map(|(listener, _)| listener).collect();
        facts.obstacles.append(&mut obstacles);
        services::in_order(&mut listeners);
        facts.running.listeners = Reading::Found(listeners);
    }
}

/// Names the networks that are none of a container and none of the first process, where something listens: what that is
/// is not looked into. One in which no TCP socket listens is how a service is kept off the network (systemd.exec(5),
/// `PrivateNetwork=`), and no matter.
fn elsewhere(root: &dyn Root, processes: Option<&Vec<Process>>) -> Option<Obstacle> {
    let network = |pid: u32| match root.link(&format!("/proc/{pid}/ns/net")) {
        Reading::Found(network) => Some(network),
        Reading::Absent | Reading::Unknown(_) => None,
    };
    let own = network(1)?;
    let mut networks: BTreeMap<String, Vec<&Process>> = BTreeMap::new();
    for process in processes.into_iter().flatten().filter(|p| p.container.is_none()) {
        if let Some(other) = network(process.pid).filter(|other| *other != own) {
            networks.entry(other).or_default().push(process);
        }
    }
    networks.retain(|_, of| {
        let Some(first) = of.first() else { return false };
        match root.read(&format!("/proc/{}/net/tcp", first.pid), MAX_TABLE) {
            Reading::Found(bytes) => String::from_utf8_lossy(&bytes)
                .lines()
                .any(|line| socket(line, Transport::Tcp, "tcp").is_some()),
            Reading::Absent | Reading::Unknown(_) => false,
        }
    });
    let mut of: Vec<&Process> = networks.into_values().flatten().collect();
    of.sort_unstable_by_key(|p| p.pid);
    let first = of.first()?;
    Some(Obstacle::new(
        "listeners in other networks",
        format!(
            "{} of the processes have a network of their own in which something listens, the first {} ({}), and are in no container: what listens there was not looked into; nsenter -t {} -n ss -lntup shows it",
            of.len(),
            first.pid,
            first.name,
            first.pid
        ),
    ))
}

/// A socket that waits.
struct Socket {
    transport: Transport,
    table: &'static str,
    address: IpAddr,
    port: u16,
    inode: u64,
}

impl Socket {
    fn listener(&self, folder: &str, holder: Option<&Process>, own: &[IpAddr]) -> Listener {
        Listener {
            transport: self.transport,
            address: self.address.to_string(),
            port: self.port,
            reach: reach(self.address, own),
            cleartext: None,
            pid: holder.map(|p| p.pid),
            process: holder.map(|p| p.name.clone()),
            unit: holder.and_then(|p| p.unit.clone()),
            package: None,
            evidence: format!("{folder}/{}", self.table),
        }
    }
}

/// Reads a line of a table: `0: 0100007F:0277 00000000:0000 0A … uid timeout inode`.
fn socket(line: &str, transport: Transport, table: &'static str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
    let (address, port) = place(fields.get(1)?)?;
    let (_, peer) = place(fields.get(2)?)?;
    // TCP_LISTEN; a datagram socket without a peer is in TCP_CLOSE (`include/net/tcp_states.h`).
    let waits = match transport {
        Transport::Tcp => *fields.get(3)? == "0A",
        Transport::Udp => *fields.get(3)? == "07" && peer == 0,
    };
    let inode = fields.get(9)?.parse().ok()?;
    (waits && port != 0).then_some(Socket { transport, table, address, port, inode })
}

/// `0100007F:0277`: words in the order of the machine, the port as a number.
fn place(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match address.len() {
        8 => Some((IpAddr::V4(Ipv4Addr::from(word(0)?)), port)),
        32 => {
            let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            let bytes: [u8; 16] = bytes.try_into().ok()?;
            Some((Ipv6Addr::from(bytes).to_canonical(), port))
        }
        _ => None,
    }
}

/// Returns the process that holds each of the sockets: the first, but the first of all only where no other does, since
/// it hands sockets on.
fn holders(root: &dyn Root, processes: &[Process], sockets: &[Socket]) -> BTreeMap<u64, u32> {
    let mut wanted: BTreeSet<u64> = sockets.iter().map(|s| s.inode).filter(|i| *i != 0).collect();
    let mut holders = BTreeMap::new();
    let mut left = MAX_ALL_FILES;
    let (first, others): (Vec<&Process>, Vec<&Process>) =
        processes.iter().partition(|p| p.pid == 1);
    for process in others.into_iter().chain(first) {
        if wanted.is_empty() || left == 0 {
            break;
        }
        let folder = format!("/proc/{}/fd", process.pid);
        let Reading::Found(entries) = root.list(&folder) else { continue };
        for entry in entries.iter().take(MAX_FILES.min(left)) {
            let Reading::Found(target) = root.link(&format!("{folder}/{}", entry.name)) else {
                continue;
            };
            let number = target.strip_prefix("socket:[").and_then(|t| t.strip_suffix(']'));
            let Some(inode) = number.and_then(|n| n.parse().ok()) else { continue };
            if wanted.remove(&inode) {
                holders.insert(inode, process.pid);
            }
        }
        left = left.saturating_sub(entries.len());
    }
    holders
}

/// Returns the server's own addresses.
fn own_addresses(root: &dyn Root, folder: &str) -> Vec<IpAddr> {
    let text = |name: &str| match root.read(&format!("{folder}/{name}"), MAX_TABLE) {
        Reading::Found(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Reading::Absent | Reading::Unknown(_) => String::new(),
    };
    let mut own = fourth(&text("fib_trie"));
    own.extend(text("if_inet6").lines().filter_map(sixth));
    own
}

/// The local addresses of a routing trie: `|-- 10.0.0.5`, and on the next line `/32 host LOCAL`.
fn fourth(trie: &str) -> Vec<IpAddr> {
    let mut found = BTreeSet::new();
    let mut last = None;
    for line in trie.lines() {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last.map(IpAddr::V4));
        }
    }
    found.into_iter().collect()
}

/// `fe80000000000000000000000000abcd 02 40 20 80 eth0`.
fn sixth(line: &str) -> Option<IpAddr> {
    let digits = line.get(..32)?;
    Some(IpAddr::V6(Ipv6Addr::from(u128::from_str_radix(digits, 16).ok()?)))
}

/// Tells from where an address can be reached; one that stands for all of them is reached as the widest of the server's
/// own, and where those are not known, from anywhere.
fn reach(address: IpAddr, own: &[IpAddr]) -> Reach {
    if !address.is_unspecified() {
        return Reach::of(address);
    }
    let same_kind = |own: &&IpAddr| address.is_ipv6() || own.is_ipv4();
    own.iter().filter(same_kind).map(|a| Reach::of(*a)).max().unwrap_or(Reach::Public)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspectors::apt::testing::Files;
    use crate::inspectors::processes::Processes;

    #[test]
    fn an_address_is_reached_from_where_its_range_is_routed() {
        for (address, expected) in [
            ("127.0.0.1", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("10.1.2.3", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("172.32.0.1", Reach::Public),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("100.128.0.1", Reach::Public),
            ("169.254.1.1", Reach::Private),
            ("192.0.2.1", Reach::Private),
            ("8.8.8.8", Reach::Public),
            ("fe80::1", Reach::Private),
            ("fd00::1", Reach::Private),
            ("2001:db8::1", Reach::Private),
            ("2a00::1", Reach::Public),
        ] {
            assert_eq!(reach(address.parse().unwrap(), &[]), expected, "{address}");
        }
        let own = |text: &str| text.split(' ').map(|a| a.parse().unwrap()).collect::<Vec<IpAddr>>();
        let any4 = "0.0.0.0".parse().unwrap();
        assert_eq!(reach(any4, &own("127.0.0.1 10.0.0.5 ::1 2a00::1")), Reach::Private);
        assert_eq!(reach("::".parse().unwrap(), &own("127.0.0.1 10.0.0.5 2a00::1")), Reach::Public);
        assert_eq!(reach(any4, &own("127.0.0.1")), Reach::Loopback);
        assert_eq!(reach(any4, &[]), Reach::Public, "what is not known is not narrowed");
    }

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn little(port: &str, state: &str, inode: u32) -> String {
        format!(
            "   0: 00000000:{port} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1 x\n"
        )
    }

    fn recorded() -> Files {
        let tcp = [
            HEAD,
            &little("0015", "0A", 100),
            &little("0050", "01", 101),
            &little("0016", "0A", 102),
        ]
        .concat();
        let mut files = Files::of(&[
            ("proc/1/comm", "systemd\n"),
            ("proc/1/maps", ""),
            ("proc/50/comm", "vsftpd\n"),
            ("proc/50/cgroup", "0::/system.slice/vsftpd.service\n"),
            ("proc/50/maps", ""),
            ("proc/1/net/tcp", &tcp),
            (
                "proc/1/net/udp6",
                &(HEAD.to_owned()
                    + "  1: 00000000000000000000000000000000:00A1 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 103 2 x\nbroken\n"),
            ),
            (
                "proc/1/net/fib_trie",
                "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 10.0.0.5\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n",
            ),
            ("proc/1/net/if_inet6", "2a000000000000000000000000000001 02 40 00 80 eth0\nxx\n"),
            ("proc/1/fd/3", ""),
            ("proc/50/fd/3", ""),
            ("proc/50/fd/4", ""),
        ]);
        for (path, target) in [
            ("proc/1/exe", "/usr/lib/systemd/systemd"),
            ("proc/50/exe", "/usr/sbin/vsftpd"),
            ("proc/1/fd/3", "socket:[100]"),
            ("proc/50/fd/3", "socket:[100]"),
            ("proc/50/fd/4", "/dev/null"),
        ] {
            Files::link(&mut files, path, target);
        }
        files.running()
    }

    #[test]
    fn what_waits_is_told_with_its_process_and_reach() {
        let mut facts = Facts::default();
        Processes.inspect(&recorded(), &mut facts);
        services::Services.inspect(&recorded(), &mut facts);
        Sockets.inspect(&recorded(), &mut facts);
        let listeners = facts.running.listeners.found().unwrap();
        let told: Vec<_> = listeners
            .iter()
            .map(|l| {
                (
                    l.address.as_str(),
                    l.port,
                    l.reach,
                    l.process.as_deref(),
                    l.unit.as_deref(),
                    l.cleartext.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (
                    "0.0.0.0",
                    21,
                    Reach::Private,
                    Some("vsftpd"),
                    Some("vsftpd.service"),
                    Some("ftp")
                ),
                ("0.0.0.0", 22, Reach::Private, None, None, None),
                ("::", 161, Reach::Public, None, None, None),
            ]
        );
    }

    #[test]
    fn a_network_of_its_own_that_is_no_containers_is_unknown() {
        let told = |contained: bool, state: &str| {
            let mut files = recorded();
            files.put("proc/60/comm", b"hidden\n");
            files.put("proc/60/maps", b"");
            if contained {
                files.put("proc/60/cgroup", b"0::/lxc.payload.web\n");
            }
            files.put("proc/60/net/tcp", [HEAD, &little("1F90", state, 9)].concat().as_bytes());
            Files::link(&mut files, "proc/60/exe", "/opt/hidden");
            for (pid, network) in [(1, "net:[1]"), (50, "net:[1]"), (60, "net:[2]")] {
                Files::link(&mut files, &format!("proc/{pid}/ns/net"), network);
            }
            let mut facts = Facts::default();
            Processes.inspect(&files, &mut facts);
            services::Services.inspect(&files, &mut facts);
            Sockets.inspect(&files, &mut facts);
            facts.obstacles.iter().map(|o| o.why.clone()).collect::<Vec<_>>().concat()
        };
        let unseen = told(false, "0A");
        assert!(unseen.starts_with("1 of the processes"), "{unseen}");
        assert!(unseen.contains("the first 60 (hidden)"), "{unseen}");
        assert_eq!(told(true, "0A"), "", "a container's network is its own");
        assert_eq!(told(false, "01"), "", "nothing listens there");
    }

    #[test]
    fn what_does_not_run_has_no_listeners() {
        let mut facts = Facts::default();
        Sockets.inspect(&Files::of(&[("proc/1/net/tcp", HEAD)]), &mut facts);
        assert_eq!(facts, Facts::default());
    }
}
