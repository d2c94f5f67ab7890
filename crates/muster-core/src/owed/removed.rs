//! Which processes run an executable that somebody removed: no update replaced it, and a restart is no answer.
//!
//! One finding for each unit (or program) and executable. Programs that unpack themselves do this, and intruders do: which of
//! them it is cannot be told from outside, so the advice is to keep what runs and to look at it.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::restart::Whole;
use crate::fact::Facts;
use crate::finding::{About, Finding, RestartOwed, Severity};
use crate::running::{Process, Removed};
use crate::verdict::Verdict;

/// How many processes a title names.
const SOME: usize = 5;

/// Judges what runs executables that were removed.
pub fn removed_executables(facts: &Facts) -> Vec<Finding> {
    let Some(processes) = facts.running.processes.found() else { return Vec::new() };
    let mut groups: BTreeMap<(Whole<'_>, &str, Removed), Vec<&Process>> = BTreeMap::new();
    for process in processes {
        if let (Some(path), Some(removed)) = (process.executable.as_deref(), process.removed) {
            groups.entry((Whole::of(process), path, removed)).or_default().push(process);
        }
    }
    let found = groups.into_iter();
    found.filter_map(|((whole, path, removed), of)| finding(whole, path, removed, &of)).collect()
}

fn finding(whole: Whole<'_>, path: &str, removed: Removed, of: &[&Process]) -> Option<Finding> {
    let first = of.first()?;
    let pid = first.pid;
    let why = why(path, removed, matches!(whole, Whole::Container(_)));
    let action = match removed {
        Removed::Runtime => "inspect again: a container runtime needs it while it starts a container, and no longer; if it stays, find out what it is".to_owned(),
        _ => format!(
            "find out what it is before you stop it: ls -l /proc/{pid}/exe shows it, and cp /proc/{pid}/exe keeps a copy, which is gone once the process ends"
        ),
    };
    Some(Finding {
        id: format!("removed-executable:{}:{path}", whole.key()).into(),
        verdict: Verdict::Owed,
        severity: match removed {
            Removed::File => Severity::Medium,
            Removed::Temporary | Removed::Memory => Severity::High,
            Removed::Runtime => Severity::Negligible,
        },
        title: format!("{} {why}", who(whole, of)).into(),
        action: action.into(),
        about: About::Restart(Box::new(RestartOwed {
            why,
            unit: first.unit.clone(),
            process: first.name.clone(),
            pid,
            executable: Some(path.to_owned()),
            removed: Some(removed),
            libraries: Vec::new(),
            packages: first.package.iter().cloned().collect(),
        })),
    })
}

/// `agent (process 40) of cron.service`.
fn who(whole: Whole<'_>, of: &[&Process]) -> String {
    let name = of.first().map_or("", |p| p.name.as_str());
    let pids: Vec<String> = of.iter().take(SOME).map(|p| p.pid.to_string()).collect();
    let more = match of.len().saturating_sub(SOME) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = if of.len() == 1 { "process" } else { "processes" };
    let within = match whole {
        Whole::First(_) | Whole::Program(_) => String::new(),
        whole => format!(" of {}", whole.said()),
    };
    format!("{name} ({what} {}{more}){within}", pids.join(", "))
}

fn why(path: &str, removed: Removed, contained: bool) -> String {
    // What the packages in a container own is not asked here.
    let unowned = if contained { "" } else { " and that no package is known to own" };
    match removed {
        Removed::File => format!("runs an executable that was removed{unowned}: {path}"),
        Removed::Temporary => {
            format!("runs an executable that was removed from a temporary place{unowned}: {path}")
        }
        Removed::Memory => {
            format!("runs an executable that never was on a disk, from memory alone: {path}")
        }
        Removed::Runtime => format!(
            "runs from memory under the name that a container runtime gives to its own copy: {path}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::fact::Reading;

    #[test]
    fn a_removed_executable_is_to_be_looked_at_and_not_restarted() {
        let process = |pid, path: &str, removed, unit: &str| Process {
            pid,
            name: "agent".into(),
            executable: Some(path.into()),
            removed,
            unit: (!unit.is_empty()).then(|| unit.into()),
            ..Process::default()
        };
        let mut contained = process(9, "/tmp/x", Some(Removed::Temporary), "");
        contained.container = Some("lxc:web".into());
        let mut facts = Facts::default();
        facts.running.processes = Reading::Found(vec![
            process(2, "/usr/sbin/agent", None, "a.service"),
            process(3, "/var/lib/x/agent", Some(Removed::File), "a.service"),
            process(4, "/var/lib/x/agent", Some(Removed::File), "a.service"),
            process(5, "/tmp/x", Some(Removed::Temporary), ""),
            process(6, "/memfd:x", Some(Removed::Memory), "cron.service"),
            process(7, "/memfd:runc_cloned:x", Some(Removed::Runtime), ""),
            contained,
        ]);
        let found = removed_executables(&facts);
        let told: Vec<(&str, Severity, &str)> =
            found.iter().map(|f| (&*f.id, f.severity, &*f.title)).collect();
        assert_eq!(
            told,
            [
                (
                    "removed-executable:container:lxc:web:/tmp/x",
                    Severity::High,
                    "agent (process 9) of container lxc:web runs an executable that was removed from a temporary place: /tmp/x"
                ),
                (
                    "removed-executable:a.service:/var/lib/x/agent",
                    Severity::Medium,
                    "agent (processes 3, 4) of a.service runs an executable that was removed and that no package is known to own: /var/lib/x/agent"
                ),
                (
                    "removed-executable:cron.service:/memfd:x",
                    Severity::High,
                    "agent (process 6) of cron.service runs an executable that never was on a disk, from memory alone: /memfd:x"
                ),
                (
                    "removed-executable:program:agent:/memfd:runc_cloned:x",
                    Severity::Negligible,
                    "agent (process 7) runs from memory under the name that a container runtime gives to its own copy: /memfd:runc_cloned:x"
                ),
                (
                    "removed-executable:program:agent:/tmp/x",
                    Severity::High,
                    "agent (process 5) runs an executable that was removed from a temporary place and that no package is known to own: /tmp/x"
                ),
            ]
        );
        for finding in found.iter().filter(|f| f.severity > Severity::Negligible) {
            assert!(finding.action.starts_with("find out what it is"), "{}", finding.action);
        }
        assert_eq!(super::super::restarts(&facts), [], "nothing is to be restarted");
    }
}
