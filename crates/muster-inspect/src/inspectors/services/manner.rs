//! How each program speaks, by its own files. What a file does not say is the program's default, by its manual page.

use muster_core::running::Transport;

use super::files::Files;

mod directories;
mod ftp;
mod mail;
mod stores;
mod web;

pub(super) use directories::{directory_server, slapd, snmpd};
pub(super) use ftp::{proftpd, pure_ftpd, tftp, vsftpd};
pub(super) use mail::{
    courier_imap, courier_pop, cyrus_imap, cyrus_pop3, dovecot_imap, dovecot_pop3,
};
pub(super) use stores::{memcached, mongod, redis};
pub(super) use web::{apache, nginx, sshd};

/// How a service speaks where it listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// Whether it lets anybody speak in clear, or without saying who it is; where that can be known.
    pub(super) in_clear: Option<bool>,
    /// The file, and its word.
    pub(super) evidence: String,
    /// The addresses that it is bound to; none is all of them.
    pub(super) addresses: Vec<String>,
    /// The port, where it is not the usual one.
    pub(super) port: Option<u16>,
    /// How it is reached, where that is not the usual way.
    pub(super) transport: Option<Transport>,
    /// Which instance of a unit runs by this (`b` of `redis-server@b.service`).
    pub(super) instance: Option<String>,
}

impl Manner {
    fn clear(evidence: impl Into<String>) -> Self {
        Self { in_clear: Some(true), evidence: evidence.into(), ..Self::default() }
    }

    fn guarded(evidence: impl Into<String>) -> Self {
        Self { in_clear: Some(false), evidence: evidence.into(), ..Self::default() }
    }

    fn unknown(evidence: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), ..Self::default() }
    }

    fn at(self, addresses: Vec<String>) -> Self {
        Self { addresses, ..self }
    }

    fn port(self, port: Option<u16>) -> Self {
        Self { port, ..self }
    }

    /// One address and port, as `parted` tells them.
    fn place(self, (address, port): (Option<String>, Option<u16>)) -> Self {
        Self { addresses: address.into_iter().collect(), port: port.or(self.port), ..self }
    }

    fn over(self, transport: Transport) -> Self {
        Self { transport: Some(transport), ..self }
    }
}

pub(super) fn plain(_: &mut Files<'_>) -> Vec<Manner> {
    vec![Manner::clear("its protocol knows no encryption")]
}

pub(super) fn vnc(_: &mut Files<'_>) -> Vec<Manner> {
    vec![Manner::clear("no file says that it demands TLS")]
}

/// What starts several servers by the wishes of their users has no one file.
pub(super) fn vnc_of_users(_: &mut Files<'_>) -> Vec<Manner> {
    vec![Manner::unknown("vncserver(1)")]
}
