//! Which services must be started again: what they run was replaced on the disk.
//!
//! One finding a unit, or a program where there is no unit, with the command that mends it. What cannot be restarted without
//! harm (the message bus, the login manager) is said to need a reboot. Whether the new files are better is not judged: who updates wants them used.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::action;
use crate::container::Pod;
use crate::fact::Facts;
use crate::finding::{About, Finding, RestartOwed, Severity};
use crate::running::{Init, Process};
use crate::text::for_terminal;
use crate::verdict::Verdict;

/// How many files a title names.
const SOME: usize = 3;

/// Judges what runs replaced files.
pub fn restarts(facts: &Facts) -> Vec<Finding> {
    let Some(processes) = facts.running.processes.found() else { return Vec::new() };
    let mut groups: BTreeMap<Whole<'_>, Vec<&Process>> = BTreeMap::new();
    for process in processes.iter().filter(|p| p.is_replaced || !p.replaced.is_empty()) {
        groups.entry(Whole::of(process)).or_default().push(process);
    }
    let pods = pods(facts, processes);
    let one =
        |(whole, of): (Whole<'_>, Vec<&Process>)| restart(whole, &of, facts.running.init, &pods);
    groups.into_iter().filter_map(one).collect()
}

/// Returns the pod of each container that is part of one, by the name that its control group has.
fn pods<'f>(facts: &'f Facts, processes: &'f [Process]) -> BTreeMap<&'f str, &'f Pod> {
    let by_pid: BTreeMap<u32, &Pod> =
        facts.containers.iter().filter_map(|c| Some((c.pid?, c.pod.as_ref()?))).collect();
    let in_pod = |p: &'f Process| Some((p.container.as_deref()?, *by_pid.get(&p.pid)?));
    processes.iter().filter_map(in_pod).collect()
}

/// What is restarted as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whole<'a> {
    /// The first process.
    First(&'a str),
    /// A container.
    Container(&'a str),
    /// A unit of the system.
    Unit(&'a str),
    /// A unit of a user's own manager, or a session.
    OfUser(u32, &'a str),
    /// A program that belongs to nothing.
    Program(&'a str),
}

impl<'a> Whole<'a> {
    pub(super) fn of(process: &'a Process) -> Self {
        let unit = process.unit.as_deref();
        match (&process.container, unit, process.user) {
            (Some(container), ..) => Self::Container(container),
            _ if process.pid == 1 => Self::First(&process.name),
            (None, Some(unit), Some(user)) => Self::OfUser(user, unit),
            (None, Some(unit), None) => Self::Unit(unit),
            (None, None, _) => Self::Program(&process.name),
        }
    }

    /// Returns a name that stays the same from one inspection to the next.
    pub(super) fn key(self) -> String {
        match self {
            Self::First(name) => format!("process-1:{name}"),
            Self::Container(name) => format!("container:{name}"),
            Self::Unit(unit) => unit.to_owned(),
            Self::OfUser(user, unit) => format!("user-{user}:{unit}"),
            Self::Program(name) => format!("program:{name}"),
        }
    }

    pub(super) fn unit(self) -> Option<&'a str> {
        match self {
            Self::Unit(unit) | Self::OfUser(_, unit) => Some(unit),
            Self::First(_) | Self::Container(_) | Self::Program(_) => None,
        }
    }

    pub(super) fn said(self) -> String {
        match self {
            Self::First(name) => format!("{name} (the first process)"),
            Self::Container(name) => format!("container {}", short(name)),
            Self::Unit(unit) => unit.to_owned(),
            Self::OfUser(user, unit) => format!("{unit} of user {user}"),
            Self::Program(name) => name.to_owned(),
        }
    }

    /// Returns the command, and what it costs where that is more than a moment.
    fn command(
        self,
        init: Init,
        pids: &[u32],
        pods: &BTreeMap<&str, &Pod>,
    ) -> (String, &'static str) {
        let name = self.said();
        let shown = for_terminal(&name);
        if shown != name {
            let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
            let way = format!("find out what started {} and start it again", pids.join(", "));
            return (way, "; its name holds characters that cannot be typed");
        }
        match self {
            Self::First("systemd") => ("systemctl daemon-reexec".to_owned(), ""),
            Self::First("init") if init == Init::Scripts => ("telinit u".to_owned(), ""),
            Self::First(_) => ("reboot".to_owned(), "; only a reboot starts it again"),
            Self::Container(name) => container_command(name, pods.get(name).copied()),
            Self::Unit(unit) => unit_command(unit, init),
            Self::OfUser(user, unit) => user_command(user, unit),
            Self::Program(_) => {
                let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
                let what = if pids.len() == 1 { "process" } else { "processes" };
                let way = format!("end and start again {what} {}", pids.join(", "));
                (way, "; no unit or script starts it")
            }
        }
    }
}

fn short(container: &str) -> &str {
    let id = container.split_once(':').map_or(0, |(engine, _)| engine.len() + 1);
    container.get(..id + 12).unwrap_or(container)
}

fn container_command(container: &str, pod: Option<&Pod>) -> (String, &'static str) {
    if let Some(pod) = pod {
        let cost = "; what controls its pod makes another, and one that nothing controls is gone";
        return (pod.remake(), cost);
    }
    let (engine, name) = container.split_once(':').unwrap_or(("", container));
    let id = [name.get(..12).unwrap_or(name)];
    match engine {
        "docker" => (action::on("docker restart", id), ""),
        "podman" => (action::on("podman restart", id), ""),
        "lxc" => (action::on("lxc-stop --reboot --name", [name]), ""),
        "nspawn" => (action::on("machinectl reboot", [name]), ""),
        "cri-o" => (action::on("crictl stop", id), "; the kubelet starts it again"),
        _ => {
            let container = action::word(short(container)).into_owned();
            let way = format!("have whoever started container {container} start it again");
            let cost = if engine == "containerd" { "; containerd itself does not" } else { "" };
            (way, cost)
        }
    }
}

fn unit_command(unit: &str, init: Init) -> (String, &'static str) {
    let name = unit.rsplit_once('.').map_or(unit, |(name, _)| name);
    if !unit.contains('.') {
        return match init {
            Init::OpenRc => (format!("rc-service {} restart", action::word(unit)), ""),
            _ => (format!("service {} restart", action::word(unit)), ""),
        };
    }
    if unit.starts_with("machine-qemu") {
        return (
            format!("shut down the virtual machine of {} and start it again", action::word(unit)),
            "; a reboot from within keeps the old program",
        );
    }
    let restart = action::on("systemctl restart", [unit]);
    match name {
        "dbus" | "dbus-broker" | "systemd-logind" | "elogind" => {
            ("reboot".to_owned(), "; what hangs on it breaks when it alone is started again")
        }
        "gdm" | "gdm3" | "lightdm" | "sddm" | "lxdm" | "xdm" | "kdm" | "wdm" | "slim"
        | "display-manager" => (restart, "; starting it again ends the graphical sessions"),
        "docker" => {
            (restart, "; starting it again stops its containers, unless live-restore is on")
        }
        _ if unit.ends_with(".scope") => {
            (action::on("systemctl stop", [unit]), "; whoever started it must start it again")
        }
        _ => (restart, ""),
    }
}

fn user_command(user: u32, unit: &str) -> (String, &'static str) {
    if let Some(session) = unit.strip_prefix("session-").and_then(|s| s.strip_suffix(".scope")) {
        let end = action::on("loginctl terminate-session", [session]);
        return (end, "; log out and in again: the command ends the session");
    }
    if unit.starts_with("user@") {
        return (format!("systemctl --user -M {user}@.host daemon-reexec"), "");
    }
    (action::on(&format!("systemctl --user -M {user}@.host restart"), [unit]), "")
}

fn restart(
    whole: Whole<'_>,
    processes: &[&Process],
    init: Init,
    pods: &BTreeMap<&str, &Pod>,
) -> Option<Finding> {
    let first = processes.first()?;
    let replaced: BTreeSet<&String> = processes.iter().flat_map(|p| &p.replaced).collect();
    let packages: BTreeSet<&String> = processes.iter().flat_map(|p| &p.packages).collect();
    let executable = processes.iter().find(|p| p.is_replaced).and_then(|p| p.executable.as_deref());
    let pids: Vec<u32> = processes.iter().map(|p| p.pid).collect();
    let (action, cost) = whole.command(init, &pids, pods);
    let why = why(executable, &replaced, &packages);
    let unit = match whole {
        Whole::First(_) => first.unit.clone(),
        whole => whole.unit().map(str::to_owned),
    };
    Some(Finding {
        id: format!("restart:{}", whole.key()).into(),
        verdict: Verdict::Owed,
        severity: Severity::Medium,
        title: format!("{} {why}{cost}", whole.said()).into(),
        action: action.into(),
        about: About::Restart(Box::new(RestartOwed {
            why,
            unit,
            process: first.name.clone(),
            pid: first.pid,
            executable: executable.map(str::to_owned),
            removed: None,
            libraries: replaced.into_iter().cloned().collect(),
            packages: packages.into_iter().cloned().collect(),
        })),
    })
}

fn why(
    executable: Option<&str>,
    replaced: &BTreeSet<&String>,
    packages: &BTreeSet<&String>,
) -> String {
    let names: Vec<&str> = replaced.iter().map(|path| path.as_str()).collect();
    let libraries = some(&names);
    let what = match (executable, names.len()) {
        (Some(path), 0) => format!("runs {path}, which was replaced or removed"),
        (Some(path), _) => {
            format!("runs {path} and uses {libraries}, which were replaced or removed")
        }
        (None, 1) => format!("uses {libraries}, which was replaced or removed"),
        (None, _) => format!("uses {libraries}, which were replaced or removed"),
    };
    if packages.is_empty() {
        return what;
    }
    let packages: Vec<&str> = packages.iter().map(|name| name.as_str()).collect();
    format!("{what} (of {})", some(&packages))
}

/// Returns the first names, and how many more there are.
fn some(names: &[&str]) -> String {
    let said = names.iter().take(SOME).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SOME) {
        0 => said,
        more => format!("{said} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::fact::Reading;

    fn process(pid: u32, name: &str, unit: &str) -> Process {
        Process {
            pid,
            name: name.into(),
            executable: Some(format!("/usr/sbin/{name}")),
            unit: (!unit.is_empty()).then(|| unit.into()),
            replaced: vec!["/lib/libc.so.6".into()],
            packages: vec!["libc6".into()],
            ..Process::default()
        }
    }

    fn judged(init: Init, processes: Vec<Process>) -> Vec<Finding> {
        let mut facts = Facts::default();
        facts.running.init = init;
        facts.running.processes = Reading::Found(processes);
        restarts(&facts)
    }

    #[test]
    fn a_container_of_a_pod_is_made_anew_by_what_controls_it() {
        let contained =
            |pid, of: &str| Process { container: Some(of.into()), ..process(pid, "x", "") };
        let mut facts = Facts::default();
        facts.running.processes = Reading::Found(vec![
            contained(70, "containerd:cccccccccccccccc"),
            contained(71, "containerd:dddddddddddddddd"),
            contained(72, "cri-o:eeeeeeeeeeeeeeee"),
        ]);
        facts.containers = vec![crate::container::Container {
            pid: Some(70),
            pod: Some(Pod { namespace: "shop".into(), name: "web-1;x".into() }),
            ..crate::container::Container::default()
        }];
        let found = restarts(&facts);
        let actions: Vec<&str> = found.iter().map(|f| &*f.action).collect();
        assert_eq!(
            actions,
            [
                "kubectl -n shop delete pod 'web-1;x'",
                "have whoever started container containerd:dddddddddddd start it again",
                "crictl stop eeeeeeeeeeee",
            ]
        );
        assert!(found.iter().all(|f| f.title.contains("; ")), "{found:?}");
    }

    #[test]
    fn each_unit_owes_one_restart_with_its_own_command() {
        let of_user = |pid, unit: &str| Process { user: Some(1000), ..process(pid, "x", unit) };
        let contained =
            |pid, of: &str| Process { container: Some(of.into()), ..process(pid, "x", "") };
        let quiet =
            Process { replaced: vec![], packages: vec![], ..process(2, "quiet", "quiet.service") };
        let found = judged(
            Init::Systemd,
            vec![
                process(1, "systemd", "init.scope"),
                quiet,
                process(30, "cron", "cron.service"),
                process(31, "cron", "cron.service"),
                process(40, "dbus-daemon", "dbus.service"),
                of_user(50, "session-3.scope"),
                of_user(51, "user@1000.service"),
                of_user(52, "pipewire.service"),
                process(60, "loose", ""),
                process(61, "x", "a;reboot.service"),
                contained(70, "docker:0123456789abcdef"),
                contained(71, "lxc:web"),
            ],
        );
        let told: Vec<(&str, &str)> = found.iter().map(|f| (&*f.id, &*f.action)).collect();
        assert_eq!(
            told,
            [
                ("restart:process-1:systemd", "systemctl daemon-reexec"),
                ("restart:container:docker:0123456789abcdef", "docker restart 0123456789ab"),
                ("restart:container:lxc:web", "lxc-stop --reboot --name web"),
                ("restart:a;reboot.service", "systemctl restart 'a;reboot.service'"),
                ("restart:cron.service", "systemctl restart cron.service"),
                ("restart:dbus.service", "reboot"),
                (
                    "restart:user-1000:pipewire.service",
                    "systemctl --user -M 1000@.host restart pipewire.service"
                ),
                ("restart:user-1000:session-3.scope", "loginctl terminate-session 3"),
                (
                    "restart:user-1000:user@1000.service",
                    "systemctl --user -M 1000@.host daemon-reexec"
                ),
                ("restart:program:loose", "end and start again process 60"),
            ]
        );
        let cron = found.iter().find(|f| f.id.contains("cron")).expect("it is there");
        assert_eq!(
            &*cron.title,
            "cron.service uses /lib/libc.so.6, which was replaced or removed (of libc6)"
        );
        let About::Restart(owed) = &cron.about else { panic!("{cron:?}") };
        assert_eq!((owed.pid, owed.libraries.len()), (30, 1));
    }

    #[test]
    fn what_cannot_be_typed_is_no_command() {
        let found = judged(Init::Systemd, vec![process(9, "x", "evil\u{1b}[31m.service")]);
        let told: Vec<(&str, bool)> =
            found.iter().map(|f| (&*f.action, f.title.contains("cannot be typed"))).collect();
        assert_eq!(told, [("find out what started 9 and start it again", true)]);
    }

    #[test]
    fn services_without_systemd_have_their_own_command() {
        let action = |init| judged(init, vec![process(9, "cron", "cron")]).remove(0).action;
        assert_eq!(&*action(Init::Scripts), "service cron restart");
        assert_eq!(&*action(Init::OpenRc), "rc-service cron restart");
        let first = |init| judged(init, vec![process(1, "init", "")]).remove(0).action;
        assert_eq!(&*first(Init::Scripts), "telinit u");
        assert_eq!(&*first(Init::Unknown), "reboot");
    }

    #[test]
    fn what_runs_as_it_lies_on_the_disk_owes_nothing() {
        let quiet = Process { replaced: vec![], ..process(2, "quiet", "quiet.service") };
        assert_eq!(judged(Init::Systemd, vec![quiet]), []);
        assert_eq!(restarts(&Facts::default()), []);
    }
}
