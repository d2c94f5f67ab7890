//! Where SSH and web servers listen: sshd_config(5), Apache's `Listen`, nginx's `listen`. They are listed, and not judged.

use super::super::files::{Files, braced, every, lines, parted, tagged};
use super::Manner;

pub(in super::super) fn sshd(files: &mut Files<'_>) -> Vec<Manner> {
    let mut texts = files.all(&["/etc/ssh/sshd_config"]);
    texts.extend(files.folder("/etc/ssh/sshd_config.d", ".conf"));
    let evidence = "/etc/ssh/sshd_config";
    let values = |key: &'static str| texts.iter().flat_map(move |(_, text)| every(text, key));
    let mut ports: Vec<u16> = values("Port").filter_map(|port| port.parse().ok()).collect();
    if ports.is_empty() {
        ports.push(22);
    }
    let places: Vec<_> = values("ListenAddress").map(parted).collect();
    let mut manners = Vec::new();
    for port in ports {
        let at = |place| Manner::guarded(evidence).port(Some(port)).place(place);
        if places.is_empty() {
            manners.push(at((None, None)));
        }
        manners.extend(places.iter().cloned().map(at));
    }
    manners
}

pub(in super::super) fn apache(files: &mut Files<'_>) -> Vec<Manner> {
    let mut texts = files.all(&[
        "/etc/apache2/ports.conf",
        "/etc/apache2/apache2.conf",
        "/etc/httpd/conf/httpd.conf",
    ]);
    texts.extend(files.folder("/etc/httpd/conf.d", ".conf"));
    let mut manners = Vec::new();
    for (path, text) in &texts {
        let listening = tagged(text).into_iter().filter(|line| line.key == "listen");
        manners.extend(listening.filter_map(|line| {
            let place = line.value.split_ascii_whitespace().next()?;
            Some(Manner::guarded(format!("{path}: Listen")).place(parted(place)))
        }));
    }
    manners
}

pub(in super::super) fn nginx(files: &mut Files<'_>) -> Vec<Manner> {
    let mut texts = files.all(&["/etc/nginx/nginx.conf"]);
    texts.extend(files.folder("/etc/nginx/conf.d", ".conf"));
    texts.extend(files.folder("/etc/nginx/sites-enabled", ""));
    let mut manners = Vec::new();
    for (path, text) in &texts {
        let text: Vec<&str> = lines(text).collect();
        let listening = braced(&text.join("\n")).into_iter();
        manners.extend(
            listening.filter(|l| l.key == "listen" && l.is_within("server")).filter_map(|line| {
                let place = line.value.split_ascii_whitespace().next()?;
                let is_of_network = !place.starts_with("unix:");
                is_of_network
                    .then(|| Manner::guarded(format!("{path}: listen")).place(parted(place)))
            }),
        );
    }
    manners
}
