//! `muster explain`: what the owner of a server is told of one finding.

use anyhow::bail;
use muster_core::action;
use muster_core::time::Instant;

use super::{Answer, inspect};
use crate::args::Explain;
use crate::output::{explain, why};
use crate::report::is_owed;

pub(crate) fn run(asked: &Explain, now: Instant) -> anyhow::Result<Answer> {
    let question = asked.inspect();
    let file = inspect::advisory_file(&question)?;
    let root = asked.root.as_deref().unwrap_or("/");
    let report = inspect::report(root, file.as_ref(), &question, now)?;
    let named = why::named(&report, &asked.finding);
    if named.is_empty() {
        bail!(
            "no finding of {root} is named {}: give the id of an advisory or a CVE, a package, or a finding's own id, as `muster inspect` prints them",
            asked.finding
        );
    }
    // What is mended is only told where nothing else bears the name.
    let owed: Vec<_> = named.iter().copied().filter(|f| is_owed(f, true)).collect();
    let told = if owed.is_empty() { named } else { owed };
    let how = explain::Asked { name: &asked.finding, again: again(asked) };
    explain::write(&explain::pages(&report, file.as_ref(), &told, &how)?, asked.format)?;
    let is_owed = told.iter().any(|f| is_owed(f, asked.strict));
    Ok(if is_owed { Answer::Owed } else { Answer::Good })
}

/// Returns the command that makes the same inspection again.
fn again(asked: &Explain) -> String {
    let mut words = vec![String::from("inspect")];
    words.extend(asked.root.clone());
    let mut option = |name: &str, value: Option<&std::path::Path>| {
        if let Some(value) = value {
            words.extend([name.to_owned(), value.display().to_string()]);
        }
    };
    option("--advisories", asked.advisories.as_deref());
    option("--ssh-config", asked.ssh.ssh_config.as_deref());
    if asked.ssh.sudo {
        words.push(String::from("--sudo"));
    }
    if asked.live_proc {
        words.push(String::from("--live-proc"));
    }
    let words: Vec<_> = words.iter().map(|word| action::word(word)).collect();
    format!("muster {}", words.join(" "))
}
