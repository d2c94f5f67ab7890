//! Servers of web applications whose configuration is not read: uWSGI, gunicorn, PHP's own, LiteSpeed.
//! Only that they are there is seen, by their files and units.

use muster_core::fact::{Obstacle, Reading};

use crate::root::Root;

/// Configurations of servers that are not read, a file or all in a folder.
const CONFIGURATIONS: [(&str, &str, &str); 4] = [
    ("/etc/uwsgi/apps-enabled", "", "uWSGI"),
    ("/etc/uwsgi.d", "", "uWSGI"),
    ("/usr/local/lsws/conf", "httpd_config.conf", "LiteSpeed"),
    ("/usr/local/lsws/conf", "httpd_config.xml", "LiteSpeed"),
];

/// Where an administrator puts units.
const UNITS: &str = "/etc/systemd/system";
/// What a unit runs that serves web applications.
const PROGRAMS: [&str; 7] =
    ["gunicorn", "uwsgi", "uvicorn", "php -S", "frankenphp", "unitd", "hypnotoad"];
/// Units that are looked into, and bytes of one.
const MAX_UNITS: usize = 500;
const MAX_UNIT: u64 = 64 << 10;
/// Servers that are named.
const MAX_NAMED: usize = 20;

/// Names the servers that are not read.
pub(super) fn of(root: &dyn Root) -> Vec<Obstacle> {
    let mut named = Vec::new();
    for (folder, file, server) in CONFIGURATIONS {
        let Reading::Found(entries) = root.list(folder) else { continue };
        for entry in
            entries.iter().filter(|e| file.is_empty() && is_uwsgi(&e.name) || e.name == file)
        {
            named.push(obstacle(&format!("{folder}/{}", entry.name), server));
        }
    }
    let units = root.list(UNITS).found().cloned().unwrap_or_default();
    for unit in units.iter().filter(|e| e.name.ends_with(".service")).take(MAX_UNITS) {
        let path = format!("{UNITS}/{}", unit.name);
        let Reading::Found(bytes) = root.read(&path, MAX_UNIT) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let program = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("ExecStart="))
            .find_map(|command| PROGRAMS.iter().find(|program| command.contains(**program)));
        if let Some(program) = program {
            named.push(obstacle(&path, program));
        }
    }
    named.truncate(MAX_NAMED);
    named
}

fn is_uwsgi(name: &str) -> bool {
    [".ini", ".xml", ".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end))
}

fn obstacle(path: &str, server: &str) -> Obstacle {
    Obstacle::new(
        path,
        format!(
            "runs {server}, whose configuration is not read: whether it serves one of the copies that no other server \
             leads to is not known; no copy is called abandoned for it"
        ),
    )
}
