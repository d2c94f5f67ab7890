//! Mail: Dovecot, imapd.conf(5) and cyrus.conf(5) of Cyrus, Courier.

use super::super::files::{
    Files, Line, braced, is, is_off, is_on, last, last_of, lines, parted, words,
};
use super::Manner;

pub(in super::super) fn dovecot_pop3(files: &mut Files<'_>) -> Vec<Manner> {
    dovecot(files, "pop3")
}

pub(in super::super) fn dovecot_imap(files: &mut Files<'_>) -> Vec<Manner> {
    dovecot(files, "imap")
}

/// Dovecot refuses passwords in clear from elsewhere unless `disable_plaintext_auth = no` (to 2.3) or
/// `auth_allow_cleartext = yes` (since 2.4); `ssl = required` does so in any case, and `ssl = no` offers nothing else.
fn dovecot(files: &mut Files<'_>, protocol: &str) -> Vec<Manner> {
    let mut texts = files.all(&["/etc/dovecot/dovecot.conf"]);
    texts.extend(files.folder("/etc/dovecot/conf.d", ".conf"));
    texts.extend(files.all(&["/etc/dovecot/local.conf"]));
    let all: Vec<(String, Line)> = texts
        .iter()
        .flat_map(|(path, text)| braced(text).into_iter().map(|line| (path.clone(), line)))
        .collect();
    // What stands in no block, the last of it; what is said for one protocol holds for that.
    let said = |key: &str| {
        let mut lines = all.iter().rev().filter(|(_, line)| line.key == key);
        lines.find(|(_, line)| match line.within.as_slice() {
            [] => true,
            [of] => *of == format!("protocol {protocol}"),
            _ => false,
        })
    };
    let is_served = match said("protocols") {
        Some((_, line)) if !line.value.contains('$') => words(Some(&line.value))
            .iter()
            .any(|word| word == protocol || *word == format!("{protocol}s")),
        _ => {
            let mut listed = all.iter().filter(|(_, l)| l.within == ["protocols"]).peekable();
            listed.peek().is_none()
                || listed.any(|(_, l)| l.key == protocol && !is_off(Some(&l.value)))
        }
    };
    if !is_served {
        return Vec::new();
    }
    let value = |key: &str| said(key).map(|(_, line)| line.value.as_str());
    let why = |key: &str| {
        said(key).map_or_else(String::new, |(path, line)| format!("{path}: {key} = {}", line.value))
    };
    // For some networks alone: they speak in clear.
    let remote = all.iter().find(|(_, line)| {
        line.is_within("remote")
            && ((line.key == "disable_plaintext_auth" && is_off(Some(&line.value)))
                || (line.key == "auth_allow_cleartext" && is_on(Some(&line.value))))
    });
    let manner = if is(value("ssl"), &["required"]) {
        Manner::guarded(why("ssl"))
    } else if is(value("ssl"), &["no"]) {
        Manner::clear(why("ssl"))
    } else if is_off(value("disable_plaintext_auth")) {
        Manner::clear(why("disable_plaintext_auth"))
    } else if is_on(value("auth_allow_cleartext")) {
        Manner::clear(why("auth_allow_cleartext"))
    } else if let Some((path, line)) = remote {
        Manner::clear(format!("{path}: {} in {}", line.key, line.within.join(" ")))
    } else {
        Manner::guarded("/etc/dovecot: passwords are refused without TLS")
    };
    // `service imap-login { inet_listener imap { address = …; port = … } }`; port 0 is none.
    let listener = |key: &str| {
        let of = [format!("service {protocol}-login"), format!("inet_listener {protocol}")];
        all.iter()
            .rev()
            .find(|(_, l)| l.within == of && l.key == key)
            .map(|(_, l)| l.value.as_str())
    };
    let port = listener("port").and_then(|port| port.parse::<u16>().ok());
    if port == Some(0) {
        return Vec::new();
    }
    let listen = listener("address").or_else(|| listener("listen")).or_else(|| value("listen"));
    let listen = words(listen).into_iter();
    let listen = listen.map(|a| if a == "*" { "0.0.0.0".to_owned() } else { a }).collect();
    vec![manner.at(listen).port(port)]
}

pub(in super::super) fn cyrus_imap(files: &mut Files<'_>) -> Vec<Manner> {
    cyrus(files, "imapd", "imap")
}

pub(in super::super) fn cyrus_pop3(files: &mut Files<'_>) -> Vec<Manner> {
    cyrus(files, "pop3d", "pop3")
}

/// `allowplaintext` was on by default before version 3; the name of a service before it makes it that service's own. Which
/// services there are says cyrus.conf(5): `NAME cmd="imapd" listen="[ADDRESS:]PORT"`, with `-s` of TLS from the start.
fn cyrus(files: &mut Files<'_>, program: &str, protocol: &str) -> Vec<Manner> {
    const CONF: &str = "/etc/imapd.conf";
    let text = files.text(CONF).unwrap_or_default();
    let manner = |service: &str| {
        let own = format!("{service}_allowplaintext");
        match last(&text, &own).or(last(&text, "allowplaintext")) {
            value @ Some(_) if is_off(value) => {
                Manner::guarded(format!("{CONF}: allowplaintext: no"))
            }
            Some(_) => Manner::clear(format!("{CONF}: allowplaintext: yes")),
            None => Manner::clear(format!(
                "{CONF} says nothing of allowplaintext, which was on before Cyrus 3: it could be in clear"
            )),
        }
    };
    let Some(services) = files.text("/etc/cyrus.conf") else { return vec![manner(protocol)] };
    let mut manners = Vec::new();
    for line in lines(&services) {
        let quoted = |key: &str| {
            let rest = line.split_once(&format!("{key}="))?.1.trim_start_matches('"');
            rest.split(['"', ' ', '\t']).next().map(str::to_owned)
        };
        let command = line.split_once("cmd=").map_or("", |(_, rest)| rest.trim_start_matches('"'));
        let command = command.split('"').next().unwrap_or(command);
        let mut options = command.split_ascii_whitespace();
        let file = options.next().and_then(|path| path.rsplit('/').next());
        let (Some(name), Some(listen)) = (line.split_ascii_whitespace().next(), quoted("listen"))
        else {
            continue;
        };
        if file != Some(program) || options.any(|o| o == "-s") || listen.starts_with('/') {
            continue;
        }
        // The port may have its name, which is the usual one.
        let (address, port) = match listen.rsplit_once(':') {
            Some((address, port)) if port.parse::<u16>().is_err() => (parted(address).0, None),
            None if listen.parse::<u16>().is_err() => (None, None),
            _ => parted(&listen),
        };
        manners.push(manner(name).place((address, port)));
    }
    manners
}

pub(in super::super) fn courier_pop(files: &mut Files<'_>) -> Vec<Manner> {
    courier(files, "/etc/courier/pop3d-ssl", "POP3_TLS_REQUIRED")
}

pub(in super::super) fn courier_imap(files: &mut Files<'_>) -> Vec<Manner> {
    courier(files, "/etc/courier/imapd-ssl", "IMAP_TLS_REQUIRED")
}

fn courier(files: &mut Files<'_>, path: &str, key: &str) -> Vec<Manner> {
    let texts = files.all(&[path]);
    let demands = last_of(&texts, key).is_some_and(|(_, value)| value == "1");
    vec![match demands {
        true => Manner::guarded(format!("{path}: {key}=1")),
        false => Manner::clear(format!("{path}: {key} is not 1")),
    }]
}
