//! `ssh://[user@]host[:port]`, as a person names a server (the grammar of RFC 3986 as far as ssh(1) takes it).
//!
//! A host is a name of RFC 952 and RFC 1123, an address, or an alias of ssh_config(5) in the same characters and `_`.
//! Nothing that a client could take for an option, a pattern or a command passes.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A server to reach over SSH.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

/// What was given names no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} names no server: {why}; write ssh://[user@]host[:port]")]
pub struct NoDestination {
    given: String,
    why: &'static str,
}

impl Destination {
    /// Returns the user, where one is named.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, where one is named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for Destination {
    type Err = NoDestination;

    fn from_str(given: &str) -> Result<Self, NoDestination> {
        parse(given).map_err(|why| NoDestination { given: given.to_owned(), why })
    }
}

fn parse(given: &str) -> Result<Destination, &'static str> {
    let rest = given.strip_prefix("ssh://").ok_or("it does not begin with ssh://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    if user.is_some_and(|user| !is_user(user)) {
        return Err("a user is made of letters, digits, `.`, `_` and `-`, and no `-` comes first");
    }
    let (host, port) = if let Some(rest) = rest.strip_prefix('[') {
        let (address, rest) =
            rest.split_once(']').ok_or("the bracket of its address is not closed")?;
        if !is_ipv6(address) {
            return Err("what stands in brackets is no IPv6 address");
        }
        let port = match rest {
            "" => None,
            rest => Some(rest.strip_prefix(':').ok_or("something stands behind its address")?),
        };
        (address, port)
    } else {
        let (host, port) = match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        };
        if !is_host(host) {
            return Err(
                "a host is made of letters, digits, `.`, `_` and `-`, and no `-` comes first",
            );
        }
        (host, port)
    };
    let port =
        port.map(|port| port_of(port).ok_or("a port is a number from 1 to 65535")).transpose()?;
    Ok(Destination { user: user.map(str::to_owned), host: host.to_owned(), port })
}

fn is_user(user: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&user.len()) && !user.starts_with('-') && user.chars().all(is_plain)
}

fn is_host(host: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && !label.starts_with('-') && label.chars().all(is_plain)
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

fn is_ipv6(address: &str) -> bool {
    let (address, zone) = match address.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (address, None),
    };
    address.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(is_host)
}

fn port_of(port: &str) -> Option<u16> {
    let is_number = port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    port.parse().ok().filter(|port| is_number && *port > 0)
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_as_ssh_names_them() {
        for good in [
            "ssh://web1",
            "ssh://web1.example.org",
            "ssh://root@web1.example.org:2222",
            "ssh://a-b.c_d@192.0.2.10:22",
            "ssh://[2001:db8::1]",
            "ssh://admin@[fe80::1%eth0]:22",
            "ssh://my_alias",
        ] {
            assert_eq!(good.parse::<Destination>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn what_a_client_could_take_for_something_else_is_refused() {
        for bad in [
            "ssh://",
            "ssh://-oProxyCommand=touch",
            "ssh://-l@web1",
            "ssh://-x@web1",
            "ssh://web1 -p 22",
            "ssh://web1:0",
            "ssh://web1:65536",
            "ssh://web1:+22",
            "ssh://web1:",
            "ssh://web1/path",
            "ssh://user:secret@web1",
            "ssh://@web1",
            "ssh://a@b@web1",
            "ssh://we*b",
            "ssh://web1;id",
            "ssh://$(id)",
            "ssh://`id`",
            "ssh://web1\n",
            "ssh://[::1",
            "ssh://[::1]22",
            "ssh://[-x]",
            "ssh://::1",
            "ssh://a..b",
            "ssh://.a",
            "http://web1",
        ] {
            assert!(bad.parse::<Destination>().is_err(), "{bad}");
        }
    }
}
