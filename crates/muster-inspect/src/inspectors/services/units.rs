//! Which units and scripts are switched on: links below `/etc/systemd/system` (systemctl(1): `enable`, `mask`), `rc?.d`, `runlevels`.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::fact::Reading;

use crate::root::Root;

const SYSTEM: &str = "/etc/systemd/system";

/// What is switched on.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// By their names without the ending, and without what follows an `@`: the instances, which may be one without a name.
    on: BTreeMap<String, BTreeSet<String>>,
    /// Sockets whose own file is changed by another.
    changed: BTreeSet<String>,
}

impl Units {
    pub(super) fn of(root: &dyn Root) -> Self {
        let names = |folder: &str| match root.list(folder) {
            Reading::Found(entries) => entries,
            Reading::Absent | Reading::Unknown(_) => Vec::new(),
        };
        let mut units = Self::default();
        for folder in names(SYSTEM).iter().map(|entry| &entry.name) {
            if let Some(socket) = folder.strip_suffix(".socket.d") {
                units.changed.insert(socket.to_owned());
            }
            if !folder.ends_with(".wants") && !folder.ends_with(".requires") {
                continue;
            }
            for unit in names(&format!("{SYSTEM}/{folder}")) {
                let is_masked = |name: &str| matches!(root.link(&format!("{SYSTEM}/{name}")), Reading::Found(to) if to == "/dev/null");
                let template = unit
                    .name
                    .split_once('@')
                    .and_then(|(base, rest)| Some(format!("{base}@.{}", rest.rsplit_once('.')?.1)));
                if !is_masked(&unit.name) && !template.is_some_and(|name| is_masked(&name)) {
                    units.insert(unit.name.rsplit_once('.').map_or(&*unit.name, |(name, _)| name));
                }
            }
        }
        for folder in
            ["/etc/rc2.d", "/etc/rc3.d", "/etc/rc5.d", "/etc/rc.d/rc3.d", "/etc/rc.d/rc5.d"]
        {
            for link in names(folder) {
                // `S20cron`; a unit of the same name that is masked keeps the script from running.
                let name = link.name.strip_prefix('S').and_then(|rest| rest.get(2..));
                let is_masked = |name: &str| {
                    let unit = format!("{SYSTEM}/{name}.service");
                    matches!(root.link(&unit), Reading::Found(to) if to == "/dev/null")
                };
                if let Some(name) = name.filter(|name| !is_masked(name)) {
                    units.insert(name);
                }
            }
        }
        for entry in names("/etc/runlevels/default") {
            units.insert(&entry.name);
        }
        units
    }

    fn insert(&mut self, name: &str) {
        let (name, instance) = match name.split_once('@') {
            Some((base, instance)) => (format!("{base}@"), instance),
            None => (name.to_owned(), ""),
        };
        self.on.entry(name).or_default().insert(instance.to_owned());
    }

    /// Returns the instances of a unit that are switched on; one without instances has the empty one.
    pub(super) fn instances(&self, unit: &str) -> impl Iterator<Item = &str> {
        self.on.get(unit).into_iter().flatten().map(String::as_str)
    }

    pub(super) fn is_on(&self, unit: &str) -> bool {
        self.on.contains_key(unit)
    }

    /// Tells whether a socket of this name has a file that changes it.
    pub(super) fn is_changed(&self, unit: &str) -> bool {
        self.changed.contains(unit)
    }
}
