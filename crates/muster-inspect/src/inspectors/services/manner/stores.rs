//! Stores that may ask nobody who it is: redis.conf, memcached(1), mongod.conf.

use muster_core::fact::Obstacle;
use muster_core::running::Transport;

use super::super::files::{Files, every, is, is_off, is_on, last, lines, parted, words};
use super::Manner;

pub(in super::super) fn redis(files: &mut Files<'_>) -> Vec<Manner> {
    let mut found: Vec<(String, String)> = Vec::new();
    found.extend(files.text("/etc/redis.conf").map(|text| ("/etc/redis.conf".to_owned(), text)));
    for folder in ["/etc/redis", "/etc/valkey", "/etc/keydb"] {
        let files = files.folder(folder, ".conf").into_iter();
        found.extend(files.filter(|(path, _)| !path.contains("sentinel")));
    }
    if found.is_empty() {
        return vec![Manner::guarded("protected-mode is on by default")];
    }
    let is_included =
        |path: &str| found.iter().any(|(_, t)| every(t, "include").any(|p| p == path));
    let answers_here_alone = protects_whatever_is_bound(files);
    let mut manners = Vec::new();
    for (path, text) in found.iter().filter(|(path, _)| !is_included(path)) {
        let mut whole = text.clone();
        let mut is_whole = true;
        for include in every(text, "include") {
            match found.iter().find(|(path, _)| path == include) {
                Some((_, more)) => {
                    whole.push('\n');
                    whole += more;
                }
                None => {
                    is_whole = false;
                    files.obstacles.push(Obstacle::new(
                        path,
                        format!("includes {include}, which is not read; whether a password is asked for is not known"),
                    ));
                }
            }
        }
        manners.extend(redis_file(path, &whole, is_whole, answers_here_alone));
    }
    manners
}

/// Since Redis 7 (Valkey in all versions) `protected-mode` refuses those from elsewhere whatever addresses are bound; before, only
/// where none was.
fn protects_whatever_is_bound(files: &Files<'_>) -> bool {
    let mut packages = files.facts.packages.iter();
    let names = ["redis", "redis-server", "valkey", "valkey-server"];
    packages.any(|package| {
        let upstream = package.version.split_once(':').map_or(&*package.version, |(_, v)| v);
        let major: Option<u32> = upstream.split('.').next().and_then(|n| n.parse().ok());
        names.contains(&&*package.name) && major.is_some_and(|n| n >= 7)
    })
}

fn redis_file(path: &str, text: &str, is_whole: bool, answers_here_alone: bool) -> Vec<Manner> {
    let asks = last(text, "requirepass").is_some_and(|p| !p.is_empty())
        || last(text, "aclfile").is_some()
        || every(text, "user").any(|user| {
            user.starts_with("default ") && !user.split_ascii_whitespace().any(|w| w == "nopass")
        });
    // A star is every address of a kind, and a dash lets one be missing.
    let bind = words(last(text, "bind")).into_iter();
    let bind: Vec<String> = bind
        .map(|a| match a.trim_start_matches('-') {
            "*" => "0.0.0.0".to_owned(),
            "::*" => "::".to_owned(),
            address => address.to_owned(),
        })
        .collect();
    let manner = if asks {
        Manner::guarded(format!("{path}: it asks for a password"))
    } else if !is_whole {
        Manner::unknown(path)
    } else if is_off(last(text, "protected-mode")) {
        Manner::clear(format!("{path}: protected-mode no, and no requirepass"))
    } else if bind.is_empty() || (answers_here_alone && !is_local(&bind)) {
        Manner::guarded(format!("{path}: protected-mode: the server itself alone is answered"))
    } else {
        Manner::clear(format!("{path}: bind {} without requirepass", bind.join(" ")))
    };
    // `/etc/redis/redis-b.conf` is Debian's for the instance b.
    let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".conf");
    let instance = name.split_once('-').map(|(_, instance)| instance.to_owned());
    let manner = Manner { instance, ..manner.at(bind) };
    let port = |key: &str| last(text, key).and_then(|port| port.parse::<u16>().ok());
    let tls = port("tls-port").filter(|port| *port != 0).map(|port| {
        let guarded = Some(false).filter(|_| !is_off(last(text, "tls-auth-clients")));
        Manner { in_clear: guarded.or(manner.in_clear), port: Some(port), ..manner.clone() }
    });
    let plain = Some(port("port").unwrap_or(6379)).filter(|port| *port != 0);
    plain.map(|port| Manner { port: Some(port), ..manner.clone() }).into_iter().chain(tls).collect()
}

fn is_local(bind: &[String]) -> bool {
    bind.iter().all(|a| a == "localhost" || a.starts_with("127.") || a == "::1")
}

/// `-S` demands SASL, `-Y` a file of users; without `-l` it listens everywhere, with `-s` on no network at all.
pub(in super::super) fn memcached(files: &mut Files<'_>) -> Vec<Manner> {
    let mut path = "/etc/memcached.conf";
    let mut text = files.text(path).unwrap_or_default();
    if let Some(other) = files.text("/etc/sysconfig/memcached") {
        path = "/etc/sysconfig/memcached";
        text = last(&other, "OPTIONS").unwrap_or_default().to_owned();
        if let Some(port) = last(&other, "PORT") {
            text += &format!("\n-p {port}");
        }
    }
    let words: Vec<&str> = lines(&text).flat_map(str::split_ascii_whitespace).collect();
    let all = |short: &str, long: &str| -> Vec<&str> {
        let mut found = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let rest = word.strip_prefix(long).and_then(|rest| match rest {
                "" => Some(""),
                rest => rest.strip_prefix('='),
            });
            let Some(rest) = rest.or_else(|| word.strip_prefix(short)) else { continue };
            found.extend(if rest.is_empty() { words.get(at + 1).copied() } else { Some(rest) });
        }
        found
    };
    let port = |short, long| all(short, long).last().and_then(|port| port.parse::<u16>().ok());
    if !all("-s", "--unix-socket").is_empty() {
        return Vec::new();
    }
    let asks = words.iter().any(|w| matches!(*w, "-S" | "--enable-sasl"))
        || !all("-Y", "--auth-file").is_empty();
    let manner = if asks {
        Manner::guarded(format!("{path}: it demands SASL"))
    } else {
        Manner::clear(format!("{path}: no -S"))
    };
    let listen = all("-l", "--listen");
    let mut places: Vec<_> = listen.iter().flat_map(|l| l.split(',')).map(parted).collect();
    if places.is_empty() {
        places.push((None, None));
    }
    let tcp = port("-p", "--port");
    let udp = port("-U", "--udp-port").filter(|port| *port != 0);
    let mut manners = Vec::new();
    for (address, own) in places {
        if let Some(port) = own.or(Some(tcp.unwrap_or(11211))).filter(|port| *port != 0) {
            manners.push(manner.clone().place((address.clone(), Some(port))));
        }
        if let Some(port) = udp {
            manners.push(manner.clone().place((address, Some(port))).over(Transport::Udp));
        }
    }
    manners
}

/// YAML (`security.authorization`, `net.bindIp`), and its older form (`auth`, `bind_ip`).
pub(in super::super) fn mongod(files: &mut Files<'_>) -> Vec<Manner> {
    let Some((path, text)) = files.first(&["/etc/mongod.conf", "/etc/mongodb.conf"]) else {
        let manner = Manner::clear("MongoDB asks for no password unless told to");
        return vec![manner.at(vec!["127.0.0.1".to_owned()])];
    };
    let text = unfolded(&text);
    let asks = is(last(&text, "authorization"), &["enabled"])
        || is_on(last(&text, "auth"))
        || last(&text, "keyFile").is_some();
    let manner = if asks {
        Manner::guarded(format!("{path}: authorization is enabled"))
    } else {
        Manner::clear(format!("{path}: authorization is not enabled"))
    };
    let bind = words(last(&text, "bindIp").or(last(&text, "bind_ip")));
    let everywhere = is_on(last(&text, "bindIpAll"));
    let bind = match (everywhere, bind.is_empty()) {
        (true, _) => vec!["0.0.0.0".to_owned()],
        // Since version 3.6; older ones were packaged with this line.
        (false, true) => vec!["127.0.0.1".to_owned()],
        (false, false) => bind.into_iter().filter(|a| !a.starts_with('/')).collect(),
    };
    vec![manner.at(bind).port(last(&text, "port").and_then(|port| port.parse().ok()))]
}

/// Puts what YAML may write on one line (`net: {port: 1, bindIp: "a,b"}`) on lines of their own.
fn unfolded(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    let (mut quote, mut depth, mut is_comment) = (None, 0_u32, false);
    for c in text.chars() {
        match c {
            '\n' => (quote, is_comment) = (None, false),
            '#' if quote.is_none() => is_comment = true,
            '"' | '\'' if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() && !is_comment => quote = Some(c),
            _ => {}
        }
        let is_sign = quote.is_none() && !is_comment;
        match c {
            '{' if is_sign => depth += 1,
            '}' if is_sign => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_between = is_sign && (matches!(c, '{' | '}') || (c == ',' && depth > 0));
        lines.push(if is_between { '\n' } else { c });
    }
    lines
}
