//! What runs, and what of it is not on the disk any more: `/proc/PID/{comm,exe,maps,cgroup}` (proc(5)).
//!
//! A file that was replaced while a process has it mapped is shown with ` (deleted)` behind its path; by that the kernel
//! itself says what needrestart(1) and checkrestart(8) look for. Counted are the executable, wherever it lay, and mappings
//! that are code: executable ones, and shared objects by their name. Of mappings, temporary files, shared memory, and files
//! of caches and databases are no programs that an update replaced. The unit is told by the control group (cgroups(7), systemd's
//! `docs/CGROUP_DELEGATION.md`), of version 1 and 2; a container by the name that its engine gives the group.
//! Kernel threads have no executable and are passed over. Whether a script is newer than the process that runs it is not looked into.

use std::collections::HashMap;

use muster_core::fact::{Facts, Obstacle, Reading};
use muster_core::running::{Init, Mapped, Process, Removed};

use crate::root::{EntryKind, Root};
use crate::{Inspector, Scope};

/// More processes than a server has.
const MAX_PROCESSES: usize = 20_000;
/// A program with a hundred thousand mappings has fewer bytes of them.
const MAX_MAPS: u64 = 16 << 20;
const MAX_SMALL: u64 = 64 << 10;
/// How many different files are held against the disk.
const MAX_MAPPED: usize = 20_000;
/// How many replaced files of one process are named.
const MAX_REPLACED: usize = 200;

/// Reads the processes.
pub struct Processes;

impl Inspector for Processes {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "/proc/*/comm",
            "/proc/*/exe",
            "/proc/*/maps",
            "/proc/*/cgroup",
            "/proc/*/ns/mnt",
            "/proc/1/environ",
            "/proc/self",
            "/proc/",
        ]
    }

    fn scope(&self) -> Scope {
        Scope::Processes
    }

    fn in_containers(&self) -> bool {
        false
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        if !root.running() {
            return;
        }
        let entries = match root.list("/proc") {
            Reading::Found(entries) => entries,
            Reading::Absent => return,
            Reading::Unknown(obstacle) => {
                facts.obstacles.push(obstacle.clone());
                facts.running.processes = Reading::Unknown(obstacle);
                return;
            }
        };
        let mut pids: Vec<u32> = entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::Directory)
            .filter_map(|entry| entry.name.parse().ok())
            .collect();
        pids.sort_unstable();
        if pids.len() > MAX_PROCESSES {
            facts.obstacles.push(Obstacle::new(
                "processes",
                format!("only {MAX_PROCESSES} of {} were looked at", pids.len()),
            ));
            pids.truncate(MAX_PROCESSES);
        }
        if pids.is_empty() {
            return;
        }
        let mut look = Look::new(root);
        let processes: Vec<Process> =
            pids.into_iter().filter_map(|pid| look.process(pid)).collect();
        facts.obstacles.extend(look.obstacle());
        facts.running.init = init(&processes);
        let is_host = processes.iter().all(|p| p.pid != 2) && kernel_thread(root);
        if facts.running.container.is_none() && !is_host {
            facts.running.container = environment(root);
        }
        facts.running.mapped = look.mapped;
        facts.running.processes = Reading::Found(processes);
    }
}

/// What is gathered over all processes.
struct Look<'r> {
    root: &'r dyn Root,
    /// The file system that this process sees: only those that see the same are held against it.
    view: Option<String>,
    /// The container that everything here is in, which is then no container from here.
    own: Option<String>,
    unread: Vec<(u32, String)>,
    mapped: Vec<Mapped>,
    known: HashMap<(Vec<u8>, u64), usize>,
}

impl<'r> Look<'r> {
    fn new(root: &'r dyn Root) -> Self {
        let view = root.live().then(|| match root.link("/proc/self/ns/mnt") {
            Reading::Found(view) => Some(view),
            _ => None,
        });
        let own = small(root, "/proc/1/cgroup").and_then(|text| group(&text).container);
        Self {
            root,
            view: view.flatten(),
            own,
            unread: Vec::new(),
            mapped: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// Looks at one process; nothing where it is a thread of the kernel, or gone.
    fn process(&mut self, pid: u32) -> Option<Process> {
        let name = small(self.root, &format!("/proc/{pid}/comm"))?;
        let name = name.trim_end().to_owned();
        let mut process = Process { pid, name, ..Process::default() };
        match self.root.link(&format!("/proc/{pid}/exe")) {
            Reading::Found(path) => {
                let (path, gone) = without_mark(path.as_bytes());
                if gone {
                    process.removed = removed(path);
                    process.is_replaced = process.removed.is_none();
                }
                process.executable = Some(said(path));
            }
            // A thread of the kernel, or one that has ended and waits for its parent.
            Reading::Absent => return None,
            Reading::Unknown(_) => self.refused(&process),
        }
        if let Some(text) = small(self.root, &format!("/proc/{pid}/cgroup")) {
            let group = group(&text);
            process.unit = group.unit;
            process.user = group.user;
            process.container = group.container.filter(|c| Some(c) != self.own.as_ref());
        }
        if process.executable.is_some() {
            match self.root.read(&format!("/proc/{pid}/maps"), MAX_MAPS) {
                Reading::Found(maps) => self.maps(&mut process, &maps),
                Reading::Absent => {}
                Reading::Unknown(_) => self.refused(&process),
            }
        }
        Some(process)
    }

    /// Notes a process that may not be looked into, unless it has ended meanwhile.
    fn refused(&mut self, process: &Process) {
        if small(self.root, &format!("/proc/{}/comm", process.pid)).is_some() {
            self.unread.push((process.pid, process.name.clone()));
        }
    }

    fn maps(&mut self, process: &mut Process, maps: &[u8]) {
        let view = self.root.link(&format!("/proc/{}/ns/mnt", process.pid));
        let same_view = self.view.is_some() && view.found() == self.view.as_ref();
        let mut last: &[u8] = b"";
        let mut paths: Vec<Vec<u8>> = Vec::new();
        each_mapping(maps, &mut |mapping| {
            let is_new = mapping.path != last;
            if !mapping.executable && !is_new {
                return;
            }
            let (path, gone) = without_mark(mapping.path);
            if !(mapping.executable || is_shared_object(path)) || mapping.inode == 0 {
                return;
            }
            last = mapping.path;
            if gone && same_view && mapping.executable {
                // The name may end so: whether a file of that very name lies there is held against the disk.
                self.keep(process.pid, mapping.path, &mapping);
            }
            if gone {
                let known = paths.iter().any(|known| known == path);
                if is_program(path) && !known && paths.len() < MAX_REPLACED {
                    paths.push(path.to_vec());
                }
            } else if same_view && mapping.executable && is_program(path) {
                self.keep(process.pid, path, &mapping);
            }
        });
        let executable = process.executable.as_deref().map(str::as_bytes);
        process.replaced =
            paths.iter().filter(|p| Some(p.as_slice()) != executable).map(|p| said(p)).collect();
        process.replaced.sort_unstable();
        process.replaced.dedup();
    }

    /// Keeps a mapped file, to be held against the one that lies on the disk now.
    fn keep(&mut self, pid: u32, path: &[u8], mapping: &Mapping<'_>) {
        let key = (path.to_vec(), mapping.inode);
        if let Some(mapped) = self.known.get(&key).and_then(|at| self.mapped.get_mut(*at)) {
            if mapped.pids.last() != Some(&pid) {
                mapped.pids.push(pid);
            }
            return;
        }
        let Some(device) = device(mapping.device) else { return };
        if self.mapped.len() == MAX_MAPPED {
            return;
        }
        self.known.insert(key, self.mapped.len());
        let path = String::from_utf8_lossy(path).into_owned();
        self.mapped.push(Mapped { path, device, inode: mapping.inode, pids: vec![pid] });
    }

    fn obstacle(&mut self) -> Option<Obstacle> {
        self.unread.dedup();
        let (pid, name) = self.unread.first()?;
        let why = match self.unread.len() {
            1 => format!("process {pid} ({name}) does not let itself be looked into"),
            n => format!(
                "{n} of them, the first {pid} ({name}), do not let themselves be looked into"
            ),
        };
        // Over SSH and in a record it is not known who asked.
        let is_here = self.root.live() && self.root.is_in_place();
        let is_root = is_here && rustix::process::geteuid().is_root();
        Some(Obstacle::new("processes", format!("{why}: {}", refusal(is_root))))
    }
}

/// Says what stands in the way of looking into a process, and what to do about it.
const fn refusal(is_root: bool) -> &'static str {
    if is_root {
        "permission was denied to root itself, as it is in a container, by a security module or by a hosted environment; inspect from the system that runs this one"
    } else {
        "needs root; inspect as root"
    }
}

/// Reads a small text of `/proc`; nothing where it cannot be read.
fn small(root: &dyn Root, path: &str) -> Option<String> {
    match root.read(path, MAX_SMALL) {
        Reading::Found(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Reading::Absent | Reading::Unknown(_) => None,
    }
}

/// Tells by the first process what starts services.
fn init(processes: &[Process]) -> Init {
    let first = processes.first().filter(|p| p.pid == 1);
    let openrc = processes.iter().any(|p| {
        matches!(p.name.as_str(), "openrc-init" | "supervise-daemon")
            || p.unit.as_deref().is_some_and(|unit| !unit.contains('.'))
    });
    match first.map(|p| p.name.as_str()) {
        Some("systemd") => Init::Systemd,
        _ if openrc => Init::OpenRc,
        Some("init") => Init::Scripts,
        _ => Init::Unknown,
    }
}

/// Tells whether the threads of the kernel are seen here: no container sees them.
fn kernel_thread(root: &dyn Root) -> bool {
    small(root, "/proc/2/comm").is_some_and(|name| name.trim_end() == "kthreadd")
}

/// `container=` in the environment of the first process (systemd's container interface).
fn environment(root: &dyn Root) -> Option<String> {
    let text = small(root, "/proc/1/environ")?;
    let kind = text.split('\0').find_map(|word| word.strip_prefix("container="))?;
    Some(format!("container={} in the environment of process 1", kind.get(..kind.len().min(40))?))
}

/// A line of `maps` that names a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping<'a> {
    path: &'a [u8],
    executable: bool,
    device: &'a [u8],
    inode: u64,
}

/// Tells of each line of `maps` that names a file.
fn each_mapping<'a>(maps: &'a [u8], told: &mut dyn FnMut(Mapping<'a>)) {
    let mut rest = maps;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        // Addresses, rights, offset, device and number hold no slash: the path begins at the first.
        let Some(at) = memchr::memchr(b'/', line) else { continue };
        let (head, path) = line.split_at(at);
        let mut fields = head.split(|b| *b == b' ').filter(|field| !field.is_empty());
        let (Some(_), Some(rights), Some(_), Some(device), Some(inode), None) = (
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
        ) else {
            continue;
        };
        let Some(inode) = std::str::from_utf8(inode).ok().and_then(|n| n.parse().ok()) else {
            continue;
        };
        told(Mapping { path, executable: rights.get(2) == Some(&b'x'), device, inode });
    }
}

/// `08:01`, in hexadecimal.
fn device(text: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = std::str::from_utf8(text).ok()?.split_once(':')?;
    Some((u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?))
}

/// Takes the kernel's mark off a path, and what a package manager puts behind a name while it replaces a file.
pub(super) fn without_mark(path: &[u8]) -> (&[u8], bool) {
    let Some(mut path) = path.strip_suffix(b" (deleted)") else { return (path, false) };
    for end in [b".dpkg-new".as_slice(), b".dpkg-tmp"] {
        path = path.strip_suffix(end).unwrap_or(path);
    }
    if let Some(at) = path.iter().rposition(|b| *b == b';')
        && path
            .get(at + 1..)
            .is_some_and(|hex| hex.len() == 8 && hex.iter().all(u8::is_ascii_hexdigit))
    {
        path = path.get(..at).unwrap_or(path);
    }
    (path, true)
}

/// Tells a shared object by its name: `libc.so.6`, `mod_x.so`.
fn is_shared_object(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
    name.ends_with(b".so") || memchr::memmem::find(name, b".so.").is_some()
}

/// Tells by its path what kind of executable is gone; nothing where an update may have replaced it.
///
/// What is executed is never data that a program makes for itself, so that no place is passed over: what an intruder
/// leaves behind is an executable in a temporary place, or one that never was a file.
fn removed(path: &[u8]) -> Option<Removed> {
    const TEMPORARY: [&[u8]; 7] =
        [b"/tmp/", b"/var/tmp/", b"/dev/", b"/run/", b"/var/run/", b"/proc/", b"/sys/"];
    // runc and crun start containers from a copy of themselves, so that a container cannot write to them (CVE-2019-5736).
    const RUNTIMES: [&[u8]; 2] = [b"runc_cloned:", b"crun_cloned:"];
    if let Some(name) = path.strip_prefix(b"/memfd:") {
        let is_runtime = RUNTIMES.iter().any(|runtime| name.starts_with(runtime));
        return Some(if is_runtime { Removed::Runtime } else { Removed::Memory });
    }
    let is_temporary = TEMPORARY.iter().any(|folder| path.starts_with(folder)) || has_no_name(path);
    is_temporary.then_some(Removed::Temporary)
}

/// Tells a file that was made without a name (`O_TMPFILE`, open(2)): `/tmp/#1234`.
fn has_no_name(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
    name.strip_prefix(b"#").is_some_and(|n| n.iter().all(u8::is_ascii_digit))
}

/// Tells mapped code that an update may have brought from what programs make for themselves, as needrestart does.
fn is_program(path: &[u8]) -> bool {
    const NEVER: [&[u8]; 16] = [
        b"/tmp/",
        b"/run/",
        b"/dev/",
        b"/proc/",
        b"/sys/",
        b"/memfd:",
        b"/SYSV",
        b"/[aio]",
        b"/drm",
        b"/i915",
        b"/anon_hugepage",
        b"/var/tmp/",
        b"/var/run/",
        b"/var/lib/",
        b"/var/log/",
        b"/var/cache/",
    ];
    if NEVER.iter().any(|folder| path.starts_with(folder)) {
        return false;
    }
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
    // Code made at run time (orc, JNA).
    let made = name.starts_with(b"orcexec.")
        || (name.starts_with(b"jna") && name.ends_with(b".tmp"))
        || has_no_name(path);
    !made
}

fn said(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// What a control group tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    unit: Option<String>,
    user: Option<u32>,
    container: Option<String>,
}

/// Reads `/proc/PID/cgroup`: the hierarchy of systemd (version 1, named), that of version 2, or the longest of the others.
fn group(text: &str) -> Group {
    let mut best: Option<(u8, &str)> = None;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let rank = match (number, controllers) {
            _ if path == "/" => 0,
            (_, "name=systemd" | "name=openrc") => 3,
            ("0", "") => 2,
            _ => 1,
        };
        if best.is_none_or(|(known, _)| rank > known) {
            best = Some((rank, path));
        }
    }
    let Some((rank, path)) = best else { return Group::default() };
    let mut group = Group { container: container(path), ..Group::default() };
    // The controllers of version 1 besides systemd's tell containers, and no units.
    if rank >= 2 && group.container.is_none() {
        unit(path, text.contains("name=openrc:"), &mut group);
    }
    group
}

/// `/system.slice/cron.service`, `/user.slice/user-1000.slice/user@1000.service/app.slice/x.service`,
/// `/user.slice/user-1000.slice/session-3.scope`; OpenRC's `/sshd` and `/openrc.sshd`.
fn unit(path: &str, openrc: bool, group: &mut Group) {
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    for name in &names {
        if let Some(name) = name.strip_prefix("openrc.") {
            group.unit = Some(name.to_owned());
        } else if openrc && names.len() == 1 {
            group.unit = Some((*name).to_owned());
        }
        let uid = name.strip_prefix("user@").and_then(|n| n.strip_suffix(".service"));
        let uid = uid.or_else(|| name.strip_prefix("user-").and_then(|n| n.strip_suffix(".slice")));
        if let Some(uid) = uid.and_then(|uid| uid.parse().ok()) {
            group.user = Some(uid);
        }
        let is_unit =
            [".service", ".scope", ".socket", ".mount", ".swap"].iter().any(|e| name.ends_with(e));
        // Below its own service a unit may have groups of its own making; below a user's manager come that one's units.
        let inside = group.unit.as_deref().is_some_and(|unit| !unit.starts_with("user@"));
        if is_unit && !inside {
            group.unit = Some((*name).to_owned());
        }
    }
    if group.unit.as_deref() == Some("init.scope") && group.user.is_some() {
        group.unit = names.iter().rev().find(|n| n.starts_with("user@")).map(|n| (*n).to_owned());
    }
}

/// Tells a container by the name that its engine gives to the group.
fn container(path: &str) -> Option<String> {
    let is_id = |id: &str| id.len() >= 12 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let mut before = "";
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let scope = name.strip_suffix(".scope").unwrap_or(name);
        for (prefix, engine) in [
            ("docker-", "docker"),
            ("libpod-", "podman"),
            ("cri-containerd-", "containerd"),
            ("crio-", "cri-o"),
            ("nerdctl-", "containerd"),
        ] {
            if let Some(id) = scope.strip_prefix(prefix).filter(|id| is_id(id)) {
                return Some(format!("{engine}:{id}"));
            }
        }
        // LXC writes `lxc.payload.NAME`, and before version 4 `/lxc/NAME`; its monitor is the host's.
        if let Some(name) = name.strip_prefix("lxc.payload.") {
            return Some(format!("lxc:{name}"));
        }
        match before {
            "docker" if is_id(name) => return Some(format!("docker:{name}")),
            "lxc" => return Some(format!("lxc:{name}")),
            _ if is_id(name) && name.len() == 64 => return Some(format!("containerd:{name}")),
            _ => {}
        }
        if let Some(machine) =
            name.strip_prefix("systemd-nspawn@").and_then(|n| n.strip_suffix(".service"))
            && path.contains("/payload")
        {
            return Some(format!("nspawn:{machine}"));
        }
        before = name;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspectors::apt::testing::Files;

    #[test]
    fn mappings_that_are_code_are_told_from_what_programs_make() {
        for program in
            ["/usr/sbin/cron", "/lib/x86_64-linux-gnu/libc.so.6", "/opt/x/lib/x.so", "/srv/bin/x"]
        {
            assert!(is_program(program.as_bytes()), "{program}");
        }
        for made in [
            "/memfd:doublemapper",
            "/SYSV00000000",
            "/dev/zero",
            "/[aio]",
            "/tmp/x.so",
            "/run/x",
            "/var/lib/mysql/x",
            "/var/tmp/x",
            "/var/cache/x.so",
            "/i915",
            "/drm mm object",
            "/usr/lib/orcexec.Ab12",
            "/root/jna123.tmp",
            "/usr/#123",
        ] {
            assert!(!is_program(made.as_bytes()), "{made}");
        }
        for (marked, path) in [
            ("/usr/lib/libssl.so.3 (deleted)", "/usr/lib/libssl.so.3"),
            ("/lib/libc.so.6.dpkg-tmp (deleted)", "/lib/libc.so.6"),
            ("/lib/libc.so.6.dpkg-new (deleted)", "/lib/libc.so.6"),
            ("/usr/lib64/libz.so.1;5f3a12bc (deleted)", "/usr/lib64/libz.so.1"),
            ("/usr/lib64/lib;x (deleted)", "/usr/lib64/lib;x"),
        ] {
            assert_eq!(without_mark(marked.as_bytes()), (path.as_bytes(), true));
        }
        assert_eq!(without_mark(b"/x"), (b"/x".as_slice(), false));
    }

    #[test]
    fn an_executable_that_is_gone_is_told_wherever_it_lay() {
        for (path, expected) in [
            ("/usr/sbin/cron", None),
            ("/var/lib/x/agent", None),
            ("/var/cache/x/agent", None),
            ("/opt/tmp/x", None),
            ("/tmp/x", Some(Removed::Temporary)),
            ("/var/tmp/x", Some(Removed::Temporary)),
            ("/dev/shm/x", Some(Removed::Temporary)),
            ("/run/user/0/x", Some(Removed::Temporary)),
            (concat!("/home", "/x/#1234"), Some(Removed::Temporary)),
            ("/memfd:", Some(Removed::Memory)),
            ("/memfd:kworker", Some(Removed::Memory)),
            ("/memfd:runc_cloned:/proc/self/exe", Some(Removed::Runtime)),
            ("/memfd:crun_cloned:/proc/self/exe", Some(Removed::Runtime)),
            ("/memfd:x runc_cloned:", Some(Removed::Memory)),
        ] {
            assert_eq!(removed(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn a_control_group_of_either_version_tells_unit_user_and_container() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let told = |text: &str| {
            let group = group(text);
            let user = group.user.map_or(String::new(), |u| format!(" of {u}"));
            format!("{}{user}", group.container.or(group.unit).unwrap_or_default())
        };
        for (text, expected) in [
            ("0::/system.slice/cron.service\n", "cron.service"),
            (
                "12:pids:/system.slice/x\n1:name=systemd:/system.slice/cron.service\n0::/\n",
                "cron.service",
            ),
            (
                "1:name=systemd:/system.slice/system-getty.slice/getty@tty1.service",
                "getty@tty1.service",
            ),
            ("0::/system.slice/systemd-udevd.service/udev", "systemd-udevd.service"),
            ("0::/init.scope", "init.scope"),
            ("0::/user.slice/user-1000.slice/session-3.scope", "session-3.scope of 1000"),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service",
                "x.service of 1000",
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/init.scope",
                "user@1000.service of 1000",
            ),
            ("0::/system.slice/lxc.monitor.web", ""),
            ("0::/lxc.payload.web/system.slice/cron.service", "lxc:web"),
            ("4:memory:/lxc/web\n", "lxc:web"),
            ("0::/openrc.sshd", "sshd"),
            ("1:name=openrc:/sshd", "sshd"),
            ("0::/", ""),
            ("", ""),
            ("nonsense\n:::\n", ""),
            (
                "0::/system.slice/systemd-nspawn@web.service/payload/system.slice/a.service",
                "nspawn:web",
            ),
            (
                "0::/system.slice/systemd-nspawn@web.service/supervisor",
                "systemd-nspawn@web.service",
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
        for (text, expected) in [
            (format!("0::/system.slice/docker-{id}.scope"), format!("docker:{id}")),
            (format!("1:name=systemd:/docker/{id}"), format!("docker:{id}")),
            (format!("0::/machine.slice/libpod-{id}.scope/container"), format!("podman:{id}")),
            (
                format!("0::/kubepods.slice/x.slice/cri-containerd-{id}.scope"),
                format!("containerd:{id}"),
            ),
            (format!("8:pids:/kubepods/burstable/pod1/{id}"), format!("containerd:{id}")),
            (
                format!("0::/machine.slice/libpod-conmon-{id}.scope"),
                format!("libpod-conmon-{id}.scope"),
            ),
        ] {
            assert_eq!(told(&text), expected, "{text}");
        }
    }

    /// A recorded system: the first process, a service on replaced libraries, a thread of the kernel, a container.
    fn recorded() -> Files {
        let maps = "55d0a000-55d0b000 r-xp 00000000 08:01 131 /usr/sbin/cron\n\
            7f0000000000-7f0000001000 r--p 00000000 08:01 77 /lib/x86_64-linux-gnu/libc.so.6 (deleted)\n\
            7f0000001000-7f0000002000 r-xp 00001000 08:01 77 /lib/x86_64-linux-gnu/libc.so.6 (deleted)\n\
            7f0000003000-7f0000004000 r-xp 00000000 00:01 9  /memfd:jit (deleted)\n\
            7f0000005000-7f0000006000 rw-p 00000000 00:00 0\n\
            7f0000005000-7f0000006000 rw-s 00000000 08:01 5 /var/lib/mysql/x.so (deleted)\n\
            7f0000005000-7f0000006000 r--p 00000000 08:01 5 /usr/lib/locale/locale-archive (deleted)\n\
            7ffc0000-7ffd0000 rw-p 00000000 00:00 0 [stack]\nbroken / line\n";
        let mut files = Files::of(&[
            ("proc/1/comm", "systemd\n"),
            ("proc/1/cgroup", "0::/init.scope\n"),
            ("proc/1/maps", "1000-2000 r-xp 00000000 08:01 1 /usr/lib/systemd/systemd\n"),
            ("proc/1/environ", "TERM=linux\0"),
            ("proc/7/comm", "kthreadd\n"),
            ("proc/40/comm", "cron\n"),
            ("proc/40/cgroup", "1:name=systemd:/system.slice/cron.service\n"),
            ("proc/40/maps", maps),
            ("proc/41/comm", "sshd\n"),
            ("proc/41/cgroup", "0::/system.slice/ssh.service\n"),
            ("proc/41/maps", "1000-2000 r-xp 00000000 08:01 3 /usr/sbin/sshd (deleted)\n"),
            ("proc/self/x", ""),
            ("proc/uptime", "1 1\n"),
        ]);
        Files::link(&mut files, "proc/1/exe", "/usr/lib/systemd/systemd");
        Files::link(&mut files, "proc/40/exe", "/usr/sbin/cron");
        Files::link(&mut files, "proc/41/exe", "/usr/sbin/sshd (deleted)");
        files.running()
    }

    #[test]
    fn a_recorded_proc_tells_what_runs_replaced_files() {
        let mut facts = Facts::default();
        Processes.inspect(&recorded(), &mut facts);
        let Reading::Found(processes) = &facts.running.processes else { panic!("{facts:?}") };
        let told: Vec<_> = processes
            .iter()
            .map(|p| {
                (
                    p.pid,
                    p.name.as_str(),
                    p.unit.as_deref().unwrap_or(""),
                    p.is_replaced,
                    p.replaced.join(" "),
                )
            })
            .collect();
        let libc = "/lib/x86_64-linux-gnu/libc.so.6".to_owned();
        assert_eq!(
            told,
            [
                (1, "systemd", "init.scope", false, String::new()),
                (40, "cron", "cron.service", false, libc),
                (41, "sshd", "ssh.service", true, String::new()),
            ]
        );
        assert_eq!(facts.running.init, Init::Systemd);
        assert_eq!(facts.obstacles, []);
    }

    #[test]
    fn root_is_not_told_to_become_root() {
        assert!(refusal(false).contains("inspect as root"));
        assert!(!refusal(true).contains("as root"));
    }

    #[test]
    fn what_does_not_run_has_no_processes() {
        let mut facts = Facts::default();
        Processes.inspect(&Files::of(&[("proc/1/comm", "init\n")]), &mut facts);
        assert_eq!(facts, Facts::default());
    }
}
