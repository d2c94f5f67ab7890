//! `muster explain`: what the owner of a server is told of one finding.

use anyhow::bail;
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
    explain::write(&explain::pages(&report, file.as_ref(), &told)?, asked.format)?;
    let is_owed = told.iter().any(|f| is_owed(f, asked.strict));
    Ok(if is_owed { Answer::Owed } else { Answer::Good })
}
