//! Kernel lines without a future: one that was superseded or ended is a debt of its own.

use muster_core::fact::Database;
use muster_core::finding::{About, Concerned, Finding, KernelLine, KernelObject, Severity};
use muster_core::verdict::Verdict;

use super::installed::{Installed, Role, Unit, kernel_release};
use crate::section::Section;

/// Judges the kernel lines of the server: one that was superseded or ended is a debt of its own, with the living line named.
pub(super) fn kernel_lines(
    section: &Section<'_>,
    database: Database,
    installed: &Installed<'_>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (source, units) in &installed.by_source {
        let images: Vec<&Unit<'_>> = units
            .iter()
            .filter(|u| matches!(&u.role, Role::Kernel(objects) if !objects.is_empty()))
            .collect();
        let Some(line) = section.line(source).filter(|_| !images.is_empty()) else { continue };
        let successor = living(section, line.successor);
        let running = images.iter().find(|u| matches!(&u.role, Role::Kernel(objects) if objects.contains(&KernelObject::Running)));
        let action = successor
            .map_or("install a kernel line that is maintained, then reboot".to_owned(), |s| {
                format!("install the kernel of {s}, then reboot")
            });
        findings.push(Finding {
            id: format!("kernel-line:{source}").into(),
            verdict: Verdict::EndOfSupport,
            severity: Severity::Critical,
            title: match successor {
                Some(successor) => format!(
                    "the kernel line {source} gets no fixes any more; {successor} took its place"
                ),
                None => format!("the kernel line {source} gets no fixes any more"),
            }
            .into(),
            action: action.into(),
            about: About::KernelLine(Box::new(KernelLine {
                running: running.and_then(|u| kernel_release(u.package, database)),
                line: source.clone().into_owned(),
                successor: successor.map(str::to_owned),
                ended: None,
                word: line.word.to_owned(),
                packages: images.iter().map(|u| Concerned::new(u.package, None)).collect(),
            })),
        });
    }
    findings
}

/// Follows the chain of successors to the line that is alive; a ring of them has none.
fn living<'a>(section: &Section<'a>, first: Option<&'a str>) -> Option<&'a str> {
    let mut line = first?;
    for _ in 0..64 {
        match section.line(line) {
            None => return Some(line),
            Some(ended) => line = ended.successor?,
        }
    }
    None
}
