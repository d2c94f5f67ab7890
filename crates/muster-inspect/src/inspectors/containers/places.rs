//! Where configuration names the stores of engines: files in TOML and JSON, and the command lines of units
//! (systemd.unit(5), systemd.exec(5)) with the files of their environment.
//!
//! A place that is named by a variable which only the engine's own environment knows is said to be unknown. What the
//! command line of a process names is not looked for: what it runs is seen by its control groups.

use muster_core::fact::Reading;

use super::{Finder, Store};
use crate::accounts::Account;
use crate::root::{glob, is_below, obstacle};

/// Where units of the system lie.
const UNITS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// How many stores that are named together are looked into.
const MAX_STORES: usize = 200;
/// How many characters of a place that cannot be followed are told.
const MAX_TOLD: usize = 200;

/// A place where a store may be.
pub(super) struct Place {
    path: String,
    /// The home of the account that named it.
    home: Option<String>,
}

impl Place {
    pub(super) fn of_server(path: impl Into<String>) -> Self {
        Self { path: path.into(), home: None }
    }

    pub(super) fn of(account: &Account, path: impl Into<String>) -> Self {
        Self { path: path.into(), home: Some(account.home.clone()) }
    }
}

impl Finder<'_> {
    /// Returns the stores that are there, each once.
    pub(super) fn stores_at(&mut self, places: Vec<Place>) -> Vec<Store> {
        let mut stores: Vec<Store> = Vec::new();
        for Place { path, home } in places {
            let path = path.trim_end_matches('/').to_owned();
            let is_there = match self.root.look(&path) {
                Reading::Found(_) => true,
                Reading::Absent => self.root.is_there(&path),
                Reading::Unknown(obstacle) => {
                    self.note(obstacle);
                    false
                }
            };
            let identity = self.root.identity(&path);
            let is_known = stores.iter().any(|known| {
                known.path == path
                    || identity.is_some() && self.root.identity(&known.path) == identity
            });
            if path.is_empty() || !is_there || is_known {
                continue;
            }
            if stores.len() == MAX_STORES {
                let why = format!(
                    "is one of more than {MAX_STORES} stores that are named together; the rest is not looked into"
                );
                self.note(obstacle(&path, why));
                break;
            }
            // What an account names elsewhere hides nothing from the walk.
            if home.as_ref().is_none_or(|home| is_below(&path, home)) {
                self.places.insert(path.clone());
            }
            stores.push(Store { path, rootless: home.is_some() });
        }
        stores
    }

    /// Takes a place by the words of the file that names it; what cannot be followed is an obstacle.
    pub(super) fn named(
        &mut self,
        value: &str,
        by: &str,
        account: Option<&Account>,
    ) -> Option<String> {
        let mut path = value.trim().to_owned();
        if let Some(account) = account {
            let user = account.user.map(|user| user.to_string());
            for (name, value) in [
                ("HOME", Some(&account.home)),
                ("USER", Some(&account.name)),
                ("UID", user.as_ref()),
            ] {
                let Some(value) = value else { continue };
                for variable in [format!("${{{name}}}"), format!("${name}")] {
                    path = path.replace(&variable, value);
                }
            }
            path = path.replace("%h", &account.home);
            if let Some(rest) = path.strip_prefix("~/") {
                path = format!("{}/{rest}", account.home);
            }
        }
        let found = (path.starts_with('/') && !path.contains(['$', '%'])).then_some(path);
        let why = match &found {
            None => "and that is no path which can be followed",
            Some(_) if self.root.is_in_place() => return found,
            // What a tar has of it is no part of the server all the same.
            Some(_) => "and that is not looked into of a tar or over SSH",
        };
        let value: String = value.chars().take(MAX_TOLD).collect();
        let why = format!(
            "keeps containers or images in {value:?}, {why}: what lies there is not known; inspect it on the server"
        );
        self.obstacles.push(obstacle(by, why));
        found
    }

    /// Reads a file of settings in TOML.
    pub(super) fn toml(&mut self, path: &str) -> Option<toml::Table> {
        let text = self.text(path)?;
        match text.parse() {
            Ok(table) => Some(table),
            Err(_) => {
                let why = "is no TOML that can be read: where it keeps containers and images is not known; mend it";
                self.obstacles.push(obstacle(path, why));
                None
            }
        }
    }

    /// Returns a file and those of the directory beside it that add to it, by the ending of their names.
    pub(super) fn with_drop_ins(&mut self, path: &str, ending: &str) -> Vec<String> {
        let mut paths = vec![path.to_owned()];
        paths.extend(self.matching(&format!("{path}.d/*{ending}")));
        paths
    }

    /// Returns the files that a pattern with stars in its last name fits.
    pub(super) fn matching(&mut self, pattern: &str) -> Vec<String> {
        let Some((folder, name)) = pattern.rsplit_once('/') else { return Vec::new() };
        if !name.contains('*') {
            return vec![pattern.to_owned()];
        }
        let entries = self.entries(folder).into_iter().filter(|entry| glob(name, &entry.name));
        entries.map(|entry| format!("{folder}/{}", entry.name)).collect()
    }

    /// Returns what units of these names give for an option of their commands, with the file that says so.
    pub(super) fn by_units(
        &mut self,
        folders: &[String],
        units: &[&str],
        options: &[&str],
    ) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for folder in folders {
            for unit in units {
                for path in self.with_drop_ins(&format!("{folder}/{unit}"), ".conf") {
                    let text = self.text(&path).unwrap_or_default();
                    found.extend(values(&text, options).into_iter().map(|v| (v, path.clone())));
                }
            }
        }
        for path in units.iter().filter_map(|unit| unit.strip_suffix(".service")) {
            for folder in ["/etc/default", "/etc/sysconfig"] {
                let path = format!("{folder}/{path}");
                let text = self.text(&path).unwrap_or_default();
                found.extend(values(&text, options).into_iter().map(|v| (v, path.clone())));
            }
        }
        found.sort();
        found.dedup_by(|a, b| a.0 == b.0);
        found
    }

    /// Does the same for the units of the system.
    pub(super) fn by_system_units(
        &mut self,
        units: &[&str],
        options: &[&str],
    ) -> Vec<(String, String)> {
        self.by_units(&UNITS.map(String::from), units, options)
    }
}

/// Returns what follows an option: `--data-root /srv`, `--data-root=/srv`, also in quotes and over several lines.
fn values(text: &str, options: &[&str]) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
    let text = lines.collect::<Vec<_>>().join("\n");
    let is_gap = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\');
    let mut words = text.split(is_gap).filter(|word| !word.is_empty()).peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        if !options.contains(&name) {
            continue;
        }
        match value.filter(|value| !value.is_empty()) {
            Some(value) => found.push(value.to_owned()),
            None => found.extend(words.peek().map(|next| (*next).to_owned())),
        }
    }
    found
}

/// Returns the text at a path of tables.
pub(super) fn text_at<'t>(table: &'t toml::Table, path: &[&str]) -> Option<&'t str> {
    value_at(table, path)?.as_str().filter(|text| !text.is_empty())
}

/// Returns the texts of a list at a path of tables.
pub(super) fn texts_at<'t>(table: &'t toml::Table, path: &[&str]) -> Vec<&'t str> {
    let list = value_at(table, path).and_then(toml::Value::as_array);
    list.map_or(&[][..], Vec::as_slice).iter().filter_map(toml::Value::as_str).collect()
}

fn value_at<'t>(table: &'t toml::Table, path: &[&str]) -> Option<&'t toml::Value> {
    let (last, above) = path.split_last()?;
    let mut table = table;
    for name in above {
        table = table.get(*name)?.as_table()?;
    }
    table.get(*last)
}

#[cfg(test)]
mod tests {
    use super::super::testing::told;
    use super::*;
    use crate::inspectors::apt::testing::Files;

    #[test]
    fn options_are_found_however_they_are_written() {
        let text = "# ExecStart=/usr/bin/dockerd -g /old\nExecStart=/usr/bin/dockerd \\\n  --data-root=/a -H fd://\n\
            OPTIONS=\"--graph '/b'\"\nOTHER=-g\n  -g /c --data-root";
        assert_eq!(values(text, &["--data-root", "-g", "--graph"]), ["/a", "/b", "/c"]);
    }

    /// Names a store in a file, and lays a broken one there: it is found if that is told.
    fn finds(config: &[(&str, &str)], list: &str) {
        let mut files = Files::of(config).in_place();
        files.put("etc/passwd", concat!("u:x:1000:1000::/home", "/u:/bin/sh\n").as_bytes());
        files.put("home/u/.profile", b"");
        assert!(!told(&files).iter().any(|line| line.contains(list)), "{config:?}");
        files.put(list, b"{");
        let found = told(&files);
        assert!(found.iter().any(|line| line.contains(list)), "{config:?}: {found:?}");
    }

    #[test]
    fn what_names_a_place_is_followed() {
        let storage = "overlay-images/images.json";
        for (path, text) in [
            ("etc/containers/storage.conf", "[storage]\ngraphroot = '/srv/x'\n"),
            ("etc/containers/storage.conf", "[storage]\nimagestore = \"/srv/x\"\n"),
            ("usr/share/containers/storage.conf.d/9.conf", "[storage]\ngraphroot = '/srv/x/'\n"),
            (
                "etc/containers/storage.conf",
                "[storage.options]\nadditionalimagestores = [ \"/srv/x\",\n]\n",
            ),
            (
                "etc/containers/storage.conf",
                "[storage]\nrootless_storage_path = '/srv/$USER'\n[x]\ny = '/srv/x'",
            ),
            ("etc/crio/crio.conf.d/1.conf", "[crio]\nroot = '/srv/x'\n"),
            (
                "home/u/.config/containers/storage.conf",
                "[storage]\ngraphroot = '$HOME/../../srv/x'\n",
            ),
            (
                "home/u/.config/containers/storage.conf",
                "[storage.options]\nadditionalimagestores = ['/srv/x']\n",
            ),
        ] {
            let place = match text {
                _ if text.contains("$USER") => "srv/u",
                _ if text.contains("$HOME") => "home/u/../../srv/x",
                _ => "srv/x",
            };
            finds(&[(path, text)], &format!("{place}/{storage}"));
        }
        let docker = "srv/x/image/overlay2/repositories.json";
        for (path, text) in [
            ("etc/docker/daemon.json", r#"{"data-root":"/srv/x"}"#),
            ("home/u/.config/docker/daemon.json", r#"{"data-root":"/srv/x"}"#),
            (
                "usr/lib/systemd/system/docker.service",
                "[Service]\nExecStart=/usr/bin/dockerd -g /srv/x\n",
            ),
            (
                "etc/systemd/system/docker.service.d/a.conf",
                "[Service]\nExecStart=\nExecStart=dockerd --data-root=/srv/x\n",
            ),
            ("etc/default/docker", "DOCKER_OPTS=\"--data-root /srv/x\"\n"),
            (
                "home/u/.config/systemd/user/docker.service",
                "ExecStart=dockerd-rootless.sh --data-root /srv/x\n",
            ),
        ] {
            finds(&[(path, text)], docker);
        }
        let containerd = "srv/x/io.containerd.metadata.v1.bolt/meta.db";
        for (path, text) in [
            (
                "etc/containerd/config.toml",
                "version = 2\nroot = '/srv/x'\n[plugins.a]\nroot = '/y'\n",
            ),
            (
                "etc/systemd/system/containerd.service",
                "ExecStart=/usr/bin/containerd --root /srv/x\n",
            ),
        ] {
            finds(&[(path, text)], containerd);
        }
        finds(
            &[
                ("etc/containerd/config.toml", "imports = ['/etc/containerd/conf.d/*.toml']\n"),
                ("etc/containerd/conf.d/a.toml", "root = '/srv/x'\n"),
            ],
            containerd,
        );
        for (path, text) in [
            ("etc/rancher/k3s/config.yaml", "token: a\ndata-dir: \"/srv/x\"\n"),
            (
                "etc/systemd/system/k3s.service",
                "ExecStart=/usr/local/bin/k3s \\\n server \\\n '--data-dir' \\\n '/srv/x'\n",
            ),
        ] {
            finds(&[(path, text)], "srv/x/agent/containerd/io.containerd.metadata.v1.bolt/meta.db");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_told() {
        for (path, text) in [
            ("etc/docker/daemon.json", r#"{"data-root":"relative"}"#),
            ("etc/systemd/system/docker.service", "ExecStart=dockerd -g ${ROOT}\n"),
            ("etc/containers/storage.conf", "[storage\n"),
            ("etc/containers/storage.conf", "[storage]\ngraphroot = '$NOBODY/x'\n"),
            (
                "etc/containers/storage.conf",
                "[storage.options]\nadditionallayerstores = ['/srv/x:ref']\n",
            ),
        ] {
            let found = told(&Files::of(&[(path, text)]).in_place());
            assert!(found.len() == 1 && found[0].contains("not known"), "{text}: {found:?}");
        }
        let of_tar = Files::of(&[("etc/docker/daemon.json", r#"{"data-root":"/srv/x"}"#)]);
        assert!(told(&of_tar)[0].contains("of a tar"));
    }

    #[test]
    fn layers_below_those_of_a_store_may_lie_in_another() {
        let own = "home/u/.local/share/containers/storage";
        let mut files = Files::of(&[
            ("etc/passwd", concat!("u:x:1000:1000::/home", "/u:/bin/sh\n")),
            (
                "etc/containers/storage.conf",
                "[storage.options]\nadditionalimagestores = ['/srv/sh']\n",
            ),
            (
                "srv/sh/overlay-images/images.json",
                r#"[{"id":"i","names":["shared"],"layer":"base"}]"#,
            ),
            ("srv/sh/overlay-layers/layers.json", r#"[{"id":"base"}]"#),
            ("srv/sh/overlay/base/diff/a", ""),
            (
                &format!("{own}/overlay-containers/containers.json"),
                r#"[{"id":"c","names":["web"],"layer":"top"}]"#,
            ),
            (&format!("{own}/overlay-layers/layers.json"), r#"[{"id":"top","parent":"base"}]"#),
            (&format!("{own}/overlay/top/diff/a"), ""),
            (&format!("{own}/overlay/top/lower"), "l/BASE"),
        ])
        .in_place();
        files.link("srv/sh/overlay/l/BASE", "../base/diff");
        assert_eq!(
            told(&files),
            [
                format!("podman web: /{own}/overlay/top/diff /srv/sh/overlay/base/diff"),
                "podman shared: /srv/sh/overlay/base/diff".to_owned(),
            ]
        );
    }
}
