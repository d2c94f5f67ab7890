//! What runs on a server: its processes, what listens, and what patches its kernel's memory. Only a live system has it;
//! of another root the configuration tells what would listen.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::fact::Reading;

/// What runs, or would run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The processes, in the order of their numbers.
    pub processes: Reading<Vec<Process>>,
    /// What listens on a network, in the order of protocol, port and address.
    pub listeners: Reading<Vec<Listener>>,
    /// The patches of the running kernel's memory.
    pub livepatch: Reading<Livepatch>,
    /// What starts services here.
    pub init: Init,
    /// The kind of container that this whole system is, by what says so: its kernel is that of its host.
    pub container: Option<String>,
    /// The files that processes have mapped as code, for those that see the disk; empty in the end.
    pub mapped: Vec<Mapped>,
    /// The services whose configuration was read, for those that see what listens; empty in the end.
    pub configured: Vec<Configured>,
}

/// What starts services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Init {
    /// It could not be told.
    #[default]
    Unknown,
    /// systemd.
    Systemd,
    /// OpenRC.
    OpenRc,
    /// The scripts of `/etc/init.d`.
    Scripts,
}

/// A file that processes have mapped as code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapped {
    /// Its path.
    pub path: String,
    /// Its file system, by the numbers of the device.
    pub device: (u32, u32),
    /// Its number there.
    pub inode: u64,
    /// The processes.
    pub pids: Vec<u32>,
}

/// What the configuration of a service says of one place where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// The name of its program.
    pub program: String,
    /// What it speaks.
    pub protocol: String,
    /// How it is reached.
    pub transport: Transport,
    /// The address, or a name of one.
    pub address: String,
    /// The port.
    pub port: u16,
    /// Whether its configuration lets anybody speak in clear, or without saying who it is; where that can be known.
    pub in_clear: Option<bool>,
    /// The file that says so, and its word.
    pub evidence: String,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name (`comm`).
    pub name: String,
    /// The file it runs, as its own root names it.
    pub executable: Option<String>,
    /// Whether that file is not on the disk any more, or another one lies there.
    pub is_replaced: bool,
    /// What that file was, where it is gone and no update is known to have replaced it.
    pub removed: Option<Removed>,
    /// The libraries it uses that are not on the disk any more, or replaced.
    pub replaced: Vec<String>,
    /// The unit of systemd that it belongs to (`cron.service`), by its control group.
    pub unit: Option<String>,
    /// The user whose own manager runs the unit, or whose session it is.
    pub user: Option<u32>,
    /// The container it runs in, by its control group or its root.
    pub container: Option<String>,
    /// The package that owns the executable.
    pub package: Option<String>,
    /// The packages that own the replaced files.
    pub packages: Vec<String>,
}

/// What an executable was that is gone, and that no update is known to have replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Removed {
    /// A file: nothing lies in its place, and no package is known to own it.
    File,
    /// A file where nothing lasts (`/tmp`, `/dev/shm`, `/run`), or one that never had a name.
    Temporary,
    /// Memory: it never was on a disk (memfd_create(2)).
    Memory,
    /// Memory, under the name that a container runtime gives to the copy of itself with which it starts a container.
    Runtime,
}

impl Removed {
    /// Returns its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Temporary => "temporary-file",
            Self::Memory => "memory",
            Self::Runtime => "container-runtime",
        }
    }
}

/// Something that takes connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listener {
    /// How it is reached.
    pub transport: Transport,
    /// The address it is bound to, in its usual notation; `0.0.0.0` and `::` are every address of the server.
    pub address: String,
    /// The port.
    pub port: u16,
    /// From where it can be reached.
    pub reach: Reach,
    /// What it speaks, where that is known and in clear: `ftp`, `telnet`, `snmp-v2c`.
    pub cleartext: Option<String>,
    /// The process that holds it.
    pub pid: Option<u32>,
    /// The name of that process, or of the service by its configuration.
    pub process: Option<String>,
    /// Its unit.
    pub unit: Option<String>,
    /// The package it is from.
    pub package: Option<String>,
    /// The file or table that says so: `/proc/net/tcp`, `/etc/vsftpd.conf`.
    pub evidence: String,
}

/// How a listener is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// From where a listener can be reached, by its address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reach {
    /// From the server itself.
    Loopback,
    /// From networks of private addresses (RFC 1918, RFC 4193, RFC 6598, link-local).
    Private,
    /// From anywhere, as far as the address tells.
    Public,
}

impl Reach {
    /// Tells from where a single address can be reached (RFC 1918, 4193, 6598, 3927, 4291; for documentation: RFC 5737, 3849, 9637).
    pub fn of(address: IpAddr) -> Self {
        // `::ffff:127.0.0.1` is an address of IPv4.
        let address = address.to_canonical();
        if address.is_loopback() {
            return Self::Loopback;
        }
        let private = match address {
            IpAddr::V4(a) => {
                let [first, second, ..] = a.octets();
                a.is_private()
                    || a.is_link_local()
                    || a.is_documentation()
                    || a.is_multicast()
                    || a.is_broadcast()
                    || (first == 100 && (64..128).contains(&second))
                    || (first == 198 && (18..20).contains(&second))
            }
            IpAddr::V6(a) => {
                let [first, second, ..] = a.segments();
                a.is_unique_local()
                    || a.is_unicast_link_local()
                    || a.is_multicast()
                    || (first == 0x2001 && second == 0xdb8)
                    || (first == 0x3fff && second < 0x1000)
            }
        };
        if private { Self::Private } else { Self::Public }
    }

    /// Returns its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

/// The patches of the running kernel's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Livepatch {
    /// The names of the modules that are applied (`/sys/kernel/livepatch`).
    pub applied: Vec<String>,
    /// What the distributor's client says of it, whole words: `applied`, `nothing-to-apply`.
    pub state: Option<String>,
    /// The vulnerabilities that the client says are patched.
    pub fixes: Vec<String>,
    /// The file that says so.
    pub source: String,
}
