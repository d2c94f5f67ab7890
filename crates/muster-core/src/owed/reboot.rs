//! Whether the system must be started again: because it asks for it, or because a newer kernel waits for it.
//!
//! A kernel waits where the one that runs and the one that the next boot starts are both of packages, and the latter is newer; and where the
//! running one was removed from the disk, modules and all. In a container the kernel is its host's, and nothing is said of it.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::fact::Facts;
use crate::finding::{About, Finding, RebootOwed, Severity};
use crate::kernel;
use crate::verdict::Verdict;

/// Judges a reboot.
pub fn reboot(facts: &Facts) -> Option<Finding> {
    let mut whys: Vec<String> = Vec::new();
    let mut packages: BTreeSet<String> = BTreeSet::new();
    if let Some(reboot) = facts.reboot.found() {
        whys.push(match reboot.packages.as_slice() {
            [] => format!("the system asks for a reboot ({})", reboot.source),
            packages => {
                format!(
                    "the system asks for a reboot after {} ({})",
                    packages.join(", "),
                    reboot.source
                )
            }
        });
        packages.extend(reboot.packages.iter().cloned());
    }
    if let Some((why, behind)) = kernel_waits(facts) {
        whys.push(why);
        packages.extend(behind);
    }
    if whys.is_empty() {
        return None;
    }
    let why = whys.join("; ");
    Some(Finding {
        id: "reboot".into(),
        verdict: Verdict::Owed,
        severity: Severity::Medium,
        title: why.as_str().into(),
        action: "reboot".into(),
        about: About::Reboot(RebootOwed { why, packages: packages.into_iter().collect() }),
    })
}

fn kernel_waits(facts: &Facts) -> Option<(String, Vec<String>)> {
    if facts.running.container.is_some() {
        return None;
    }
    let database = *facts.database.found()?;
    let (running, next) = (facts.kernels.running.found()?, facts.kernels.next_boot.found()?);
    if running == next {
        return None;
    }
    let of = |release: &str| -> Vec<String> {
        let holding = facts.packages.iter().filter(|p| kernel::holds(p, database, release));
        holding.map(|p| p.name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let behind = of(next);
    if behind.is_empty() {
        return None;
    }
    // The images are in the order of their versions.
    let place = |release: &String| facts.kernels.images.iter().position(|image| image == release);
    match place(running) {
        Some(at) if place(next) > Some(at) && !of(running).is_empty() => Some((
            format!("kernel {running} runs, and {next} is installed and starts with the next boot"),
            behind,
        )),
        None if flavour(running) == flavour(next) => Some((
            format!(
                "kernel {running} runs, whose image and modules are not on the disk any more; {next} starts with the next boot"
            ),
            behind,
        )),
        _ => None,
    }
}

/// `amd64` of `6.1.0-18-amd64`, `x86_64` of `5.14.0-427.el9.x86_64`: a distribution's own builds share it.
fn flavour(release: &str) -> Option<String> {
    let word = release.rsplit(['-', '.']).next()?;
    word.contains(|c: char| c.is_ascii_alphabetic()).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;
    use crate::fact::{Database, Package, Reading, Reboot};

    fn facts(running: &str, next: &str, images: &[&str], packaged: &[&str]) -> Facts {
        let package = |release: &&str| Package {
            name: format!("linux-image-{release}"),
            ..Package::default()
        };
        let mut facts = Facts {
            database: Reading::Found(Database::Dpkg),
            packages: packaged.iter().map(package).collect(),
            ..Facts::default()
        };
        facts.kernels.running = Reading::Found(running.into());
        facts.kernels.next_boot = Reading::Found(next.into());
        facts.kernels.images = images.iter().map(|image| (*image).to_owned()).collect();
        facts
    }

    #[test]
    fn a_newer_kernel_of_a_package_waits_for_a_reboot() {
        let (old, new, own) = ("6.1.0-17-amd64", "6.1.0-18-amd64", "6.9.0-custom");
        let why = |facts: &Facts| reboot(facts).map(|f| f.title.to_string()).unwrap_or_default();
        assert!(
            why(&facts(old, new, &[old, new], &[old, new])).contains("starts with the next boot")
        );
        assert!(why(&facts(old, new, &[new], &[new])).contains("not on the disk any more"));
        for quiet in [
            facts(new, new, &[old, new], &[old, new]),
            facts(new, old, &[old, new], &[old, new]),
            // The provider's, or one that was built here: what lies on the disk may never be booted.
            facts(own, new, &[new], &[new]),
            facts(own, new, &[new, own], &[new]),
            facts(old, own, &[old, own], &[old]),
        ] {
            assert_eq!(why(&quiet), "", "{:?}", quiet.kernels);
        }
        let mut contained = facts(old, new, &[old, new], &[old, new]);
        contained.running.container = Some("docker".into());
        assert_eq!(why(&contained), "");
        contained.reboot =
            Reading::Found(Reboot { packages: Vec::new(), source: "/run/reboot-required".into() });
        assert_eq!(why(&contained), "the system asks for a reboot (/run/reboot-required)");
    }
}
