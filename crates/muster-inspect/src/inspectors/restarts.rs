//! What the disk adds to the processes: mapped files that differ from those that lie there now, the packages of the
//! replaced files, and of what listens.
//!
//! A file is another one where its number (`st_ino`, stat(2)) on the same device differs from that of the mapping
//! (proc(5), `maps`). On overlayfs and btrfs the numbers of a mapping and of stat differ for one and the same file:
//! a device on which most files seem to differ tells nothing, and is passed over. Packages are looked up only where something is to be named.
//! An executable that is gone, that no package owns, and in whose place nothing lies, was removed by somebody and not replaced by an update.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::fact::{Facts, Reading};
use muster_core::running::{Init, Listener, Mapped, Process, Removed};

use super::processes::without_mark;
use crate::owners::{self, owners};
use crate::root::{EntryKind, Root};
use crate::{Inspector, Scope};

/// Holds the processes against the disk.
pub struct Restarts;

impl Inspector for Restarts {
    fn name(&self) -> &'static str {
        "restarts"
    }

    fn reads(&self) -> &'static [&'static str] {
        &READS
    }

    fn scope(&self) -> Scope {
        Scope::Everywhere
    }

    fn in_containers(&self) -> bool {
        false
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        let mapped = std::mem::take(&mut facts.running.mapped);
        facts.running.configured.clear();
        let init = facts.running.init;
        if let Reading::Found(processes) = &mut facts.running.processes {
            let (marked, mapped): (Vec<Mapped>, Vec<Mapped>) =
                mapped.into_iter().partition(|file| file.path.ends_with(MARK));
            for file in marked.iter().filter(|file| is_name(root, file)) {
                unmark(processes, file);
            }
            for differing in differing(root, &mapped) {
                mark(processes, differing);
            }
            if init == Init::Scripts {
                name_scripts(root, processes);
                if let Reading::Found(listeners) = &mut facts.running.listeners {
                    name_units(processes, listeners);
                }
            }
        }
        name_packages(root, facts);
    }
}

/// The file lists of packages, and every file as far as its number goes.
static READS: [&str; 21] = {
    let mut reads = ["/etc/init.d/"; 21];
    let mut at = 0;
    while at < 20 {
        reads[at] = owners::READS[at];
        at += 1;
    }
    reads
};

/// Returns the mapped files in whose place another lies.
fn differing<'m>(root: &dyn Root, mapped: &'m [Mapped]) -> Vec<&'m Mapped> {
    let mut differing = Vec::new();
    let mut same: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    let mut other: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for file in mapped {
        let Some((device, inode)) = root.identity(&file.path) else { continue };
        if device != file.device {
            *other.entry(file.device).or_default() += 1;
        } else if inode == file.inode {
            *same.entry(device).or_default() += 1;
        } else {
            *other.entry(device).or_default() += 1;
            differing.push(file);
        }
    }
    differing.retain(|file| {
        let count = |of: &BTreeMap<(u32, u32), usize>| of.get(&file.device).copied().unwrap_or(0);
        count(&same) > count(&other)
    });
    differing
}

/// What the kernel puts behind the path of a file that is gone.
const MARK: &str = " (deleted)";

/// Tells a file whose name ends in the mark from one that is gone: then that very file lies there, with its number.
fn is_name(root: &dyn Root, file: &Mapped) -> bool {
    root.identity(&file.path).is_some_and(|(_, inode)| inode == file.inode)
}

/// Takes back what was said of a file by its name alone.
fn unmark(processes: &mut [Process], file: &Mapped) {
    let (path, _) = without_mark(file.path.as_bytes());
    let path = String::from_utf8_lossy(path);
    for process in processes.iter_mut().filter(|p| file.pids.binary_search(&p.pid).is_ok()) {
        if process.executable.as_deref() == Some(&*path) {
            process.executable = Some(file.path.clone());
            (process.is_replaced, process.removed) = (false, None);
        } else {
            process.replaced.retain(|replaced| *replaced != path);
        }
    }
}

fn mark(processes: &mut [Process], file: &Mapped) {
    for process in processes.iter_mut().filter(|p| file.pids.binary_search(&p.pid).is_ok()) {
        if process.executable.as_deref() == Some(file.path.as_str()) {
            process.is_replaced = true;
        } else if let Err(at) = process.replaced.binary_search(&file.path) {
            process.replaced.insert(at, file.path.clone());
        }
    }
}

/// Without control groups of services, one of `/etc/init.d` is told by its name.
fn name_scripts(root: &dyn Root, processes: &mut [Process]) {
    let Reading::Found(entries) = root.list("/etc/init.d") else { return };
    let scripts: BTreeSet<&str> =
        entries.iter().filter(|e| e.kind == EntryKind::File).map(|e| e.name.as_str()).collect();
    for process in processes.iter_mut().filter(|p| p.unit.is_none() && p.container.is_none()) {
        let file = process.executable.as_deref().and_then(|path| path.rsplit('/').next());
        let file = file.unwrap_or_default().to_owned();
        let names = [process.name.as_str(), &file, file.trim_end_matches('d')];
        // Debian's script of sshd is called ssh.
        process.unit = names.into_iter().find(|n| scripts.contains(n)).map(str::to_owned);
    }
}

/// What listens is of the unit that its process is of.
fn name_units(processes: &[Process], listeners: &mut [Listener]) {
    for listener in listeners.iter_mut().filter(|l| l.unit.is_none()) {
        let process = processes.iter().find(|p| Some(p.pid) == listener.pid);
        listener.unit = process.and_then(|p| p.unit.clone());
    }
}

/// Names the packages of what was replaced, and of what listens.
fn name_packages(root: &dyn Root, facts: &mut Facts) {
    let nothing = Vec::new();
    let processes = facts.running.processes.found().unwrap_or(&nothing);
    let of_host = |p: &&Process| p.container.is_none();
    let listening: BTreeSet<u32> =
        facts.running.listeners.found().into_iter().flatten().filter_map(|l| l.pid).collect();
    let mut paths = BTreeSet::new();
    for process in processes.iter().filter(of_host) {
        let owes = process.is_replaced || process.removed.is_some() || !process.replaced.is_empty();
        if owes || listening.contains(&process.pid) {
            paths.extend(process.executable.clone());
        }
        paths.extend(process.replaced.iter().cloned());
    }
    let database = facts.database.found();
    let packages = database.map_or_else(BTreeMap::new, |known| owners(root, *known, &paths));
    let mut of_pid: BTreeMap<u32, String> = BTreeMap::new();
    if let Reading::Found(processes) = &mut facts.running.processes {
        for process in processes.iter_mut().filter(|p| p.container.is_none()) {
            let owner = process.executable.as_ref().and_then(|path| packages.get(path));
            if let Some(owner) = owner {
                process.package = Some(owner.clone());
                of_pid.insert(process.pid, owner.clone());
            }
            tell_removed(root, process, owner.is_some());
            let executable = owner.filter(|_| process.is_replaced);
            let replaced = process.replaced.iter().filter_map(|path| packages.get(path));
            let all: BTreeSet<&String> = replaced.chain(executable).collect();
            process.packages = all.into_iter().cloned().collect();
        }
    }
    if let Reading::Found(listeners) = &mut facts.running.listeners {
        for listener in listeners.iter_mut().filter(|l| l.package.is_none()) {
            listener.package = listener.pid.and_then(|pid| of_pid.get(&pid).cloned());
        }
    }
}

/// Tells an executable that somebody removed from one that an update replaced: of the latter a package owns the path, or
/// another file lies there, in a place where files last.
fn tell_removed(root: &dyn Root, process: &mut Process, owned: bool) {
    if owned {
        process.is_replaced |= process.removed == Some(Removed::Temporary);
        process.removed = process.removed.filter(|was| *was != Removed::Temporary);
    } else if process.is_replaced
        && root.is_in_place()
        && process.executable.as_deref().is_some_and(|path| !root.is_there(path))
    {
        process.is_replaced = false;
        process.removed = Some(Removed::File);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspectors::apt::testing::Files;
    use muster_core::fact::Database;
    use muster_core::running::{Reach, Transport};

    fn mapped(path: &str, device: (u32, u32), inode: u64) -> Mapped {
        Mapped { path: path.into(), device, inode, pids: vec![40] }
    }

    #[test]
    fn another_file_in_its_place_counts_only_where_numbers_can_be_trusted() {
        let mut files = Files::default();
        for (path, inode) in
            [("/lib/a", 1), ("/lib/b", 2), ("/lib/c", 30), ("/o/a", 5), ("/o/b", 6)]
        {
            files.number(path, ((8, 1), inode));
        }
        let told = |all: &[Mapped]| {
            differing(&files, all).iter().map(|m| m.path.clone()).collect::<Vec<_>>()
        };
        let disk = (8, 1);
        let all = [mapped("/lib/a", disk, 1), mapped("/lib/b", disk, 2), mapped("/lib/c", disk, 3)];
        assert_eq!(told(&all), ["/lib/c"]);
        // An overlay: another device, or other numbers throughout.
        assert_eq!(told(&[mapped("/o/a", (0, 40), 1), mapped("/lib/a", disk, 1)]), [""; 0]);
        assert_eq!(told(&[mapped("/o/a", disk, 1), mapped("/o/b", disk, 2)]), [""; 0]);
        assert_eq!(told(&[mapped("/gone", disk, 1), mapped("/lib/a", disk, 1)]), [""; 0]);
    }

    #[test]
    fn a_name_that_ends_like_the_mark_is_a_name() {
        let mut files = Files::default();
        files.number("/opt/x (deleted)", ((8, 1), 7));
        files.number("/opt/lib.so (deleted)", ((8, 1), 8));
        let told = |executable: u64, library: u64| {
            let process = Process {
                pid: 40,
                executable: Some("/opt/x".into()),
                is_replaced: true,
                replaced: vec!["/opt/lib.so".into()],
                ..Process::default()
            };
            let mut facts = Facts::default();
            facts.running.processes = Reading::Found(vec![process]);
            facts.running.mapped = vec![
                mapped("/opt/x (deleted)", (8, 1), executable),
                mapped("/opt/lib.so (deleted)", (8, 1), library),
            ];
            Restarts.inspect(&files, &mut facts);
            let process = facts.running.processes.found().unwrap().first().unwrap().clone();
            let executable = process.executable.unwrap_or_default();
            (executable, process.is_replaced, process.replaced.join(" "))
        };
        assert_eq!(told(7, 8), ("/opt/x (deleted)".into(), false, String::new()));
        // Another file of that name was put there.
        assert_eq!(told(9, 9), ("/opt/x".into(), true, "/opt/lib.so".into()));
    }

    #[test]
    fn what_was_removed_is_told_from_what_an_update_replaced() {
        let files = Files::of(&[
            ("var/lib/dpkg/info/cron.list", "/usr/sbin/cron\n/tmp/owned\n"),
            ("opt/agent", "the next version"),
        ]);
        let process = |pid, path: &str, removed: Option<Removed>| Process {
            pid,
            executable: Some(path.into()),
            is_replaced: removed.is_none(),
            removed,
            ..Process::default()
        };
        let temporary = Some(Removed::Temporary);
        let mut of_container = process(9, "/srv/x", None);
        of_container.container = Some("lxc:web".into());
        let all = vec![
            process(2, "/usr/sbin/cron", None),
            process(3, "/opt/agent", None),
            process(4, "/var/lib/x/agent", None),
            process(5, "/tmp/x", temporary),
            process(6, "/tmp/owned", temporary),
            process(7, "/memfd:x", Some(Removed::Memory)),
            of_container,
        ];
        let told = |files: &Files, database: Reading<Database>| {
            let mut facts = Facts { database, ..Facts::default() };
            facts.running.processes = Reading::Found(all.clone());
            Restarts.inspect(files, &mut facts);
            let processes = facts.running.processes.found().unwrap().clone();
            processes.iter().map(|p| (p.pid, p.is_replaced, p.removed)).collect::<Vec<_>>()
        };
        let (file, memory) = (Some(Removed::File), Some(Removed::Memory));
        assert_eq!(
            told(&files.clone().running(), Reading::Found(Database::Dpkg)),
            [
                (2, true, None),
                (3, true, None),
                (4, false, file),
                (5, false, temporary),
                (6, true, None),
                (7, false, memory),
                (9, true, None),
            ]
        );
        // Where nothing is known of packages, only what lies there counts.
        let told_bare = told(&files.clone().running(), Reading::Absent);
        assert_eq!(
            told_bare.get(..3),
            Some(&[(2, false, file), (3, true, None), (4, false, file)][..])
        );
        // Of a root that holds only what was asked for, nothing tells what lies there.
        assert_eq!(told(&files, Reading::Absent).get(2), Some(&(4, true, None)));
    }

    #[test]
    fn packages_and_scripts_are_named() {
        let files = Files::of(&[
            ("var/lib/dpkg/info/libc6:amd64.list", "/lib/libc.so.6\n"),
            ("var/lib/dpkg/info/cron.list", "/usr/sbin/cron\n"),
            ("etc/init.d/cron", ""),
        ]);
        let process = Process {
            pid: 40,
            name: "cron".into(),
            executable: Some("/usr/sbin/cron".into()),
            replaced: vec!["/usr/lib/libc.so.6".into()],
            ..Process::default()
        };
        let mut facts = Facts { database: Reading::Found(Database::Dpkg), ..Facts::default() };
        facts.running.init = Init::Scripts;
        facts.running.processes = Reading::Found(vec![process]);
        let listener = Listener {
            transport: Transport::Tcp,
            address: "::".into(),
            port: 21,
            reach: Reach::Public,
            cleartext: None,
            pid: Some(40),
            process: Some("cron".into()),
            unit: None,
            package: None,
            evidence: "/proc/1/net/tcp6".into(),
        };
        facts.running.listeners = Reading::Found(vec![listener]);
        Restarts.inspect(&files, &mut facts);
        let listener = &facts.running.listeners.found().unwrap()[0];
        let named = (listener.unit.as_deref(), listener.package.as_deref());
        assert_eq!(named, (Some("cron"), Some("cron")));
        let process = &facts.running.processes.found().unwrap()[0];
        assert_eq!(process.unit.as_deref(), Some("cron"));
        assert_eq!(process.package.as_deref(), Some("cron"));
        assert_eq!(process.packages, ["libc6"]);
    }
}
