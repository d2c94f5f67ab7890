//! Whether a newer kernel is installed that the next boot will not start: updates then arrive, and are never used.
//!
//! Compared are kernels of packages, of one flavour and one line: a real-time or cloud kernel beside a plain one, a kernel
//! for hardware beside the release's own, and one that was built here are a choice and no debt. Whether an image could be
//! started at all (its initrd, its signature) is not looked into.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use crate::action;
use crate::fact::{BootRule, BootSource, Database, Facts, Package, TroubleKind};
use crate::finding::{About, Finding, Severity, UpdateChannel};
use crate::kernel::{self, Carries};
use crate::verdict::Verdict;

/// Judges a kernel that is held back by the boot loader.
pub fn held_kernel(facts: &Facts) -> Option<Finding> {
    if facts.running.container.is_some() {
        return None;
    }
    let database = *facts.database.found()?;
    let next = facts.kernels.next_boot.found()?;
    let by = facts.kernels.next_boot_by.as_ref()?;
    let images = &facts.kernels.images;
    // The images are in the order of their versions.
    let newer = images.get(images.iter().position(|image| image == next)? + 1..)?;
    let lines = lines(facts, database, next);
    let is_alike = |release: &&String| {
        kernel::flavour(release) == kernel::flavour(next)
            && !lines.is_disjoint(&self::lines(facts, database, release))
    };
    let newest = newer.iter().rev().find(is_alike)?;
    let running = facts.kernels.running.found().filter(|r| newer.iter().any(|n| n == *r));
    let title = match running {
        Some(running) if running == newest => format!(
            "kernel {running} runs, and the next boot starts {next}, which is older ({})",
            by.file
        ),
        _ => format!(
            "kernel {newest} is installed, and the next boot does not start it but {next}, which is older ({})",
            by.file
        ),
    };
    Some(Finding {
        id: "kernel-held-back".into(),
        verdict: Verdict::Owed,
        severity: Severity::Medium,
        title: title.into(),
        action: way(by, newest, database).into(),
        about: About::UpdateChannel(UpdateChannel {
            problem: TroubleKind::KernelHeldBack,
            subject: newest.clone(),
        }),
    })
}

/// Returns the lines of kernels that the packages of a release are of: their sources, without the series of a line.
fn lines(facts: &Facts, database: Database, release: &str) -> BTreeSet<String> {
    let is_image = |package: &&Package| {
        !package.name.starts_with("linux-modules")
            && (database != Database::Rpm || kernel::carries(&package.name) == Carries::Image)
            && kernel::holds(package, database, release)
    };
    let of = |package: &Package| {
        // What no source is told of was built under its own name.
        let own = package.name.replace(release, "");
        let source = kernel::source_by_name(package.source.as_deref().unwrap_or(&own));
        let is_series = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
        source.trim_end_matches(is_series).to_owned()
    };
    facts.packages.iter().filter(is_image).map(of).collect()
}

/// Says how the boot loader is made to start the newer one.
fn way(by: &BootSource, newest: &str, database: Database) -> String {
    let grub = if database == Database::Rpm { "grub2" } else { "grub" };
    let file = action::word(&by.file);
    match by.rule {
        BootRule::Grub => {
            let make = match database {
                Database::Dpkg => "update-grub".to_owned(),
                Database::Rpm | Database::Apk => format!("{grub}-mkconfig -o {file}"),
            };
            format!("set GRUB_DEFAULT=0 in /etc/default/grub, then type {make}")
        }
        BootRule::Custom => format!("take the line `set default=` out of {file}"),
        BootRule::GrubSaved if database == Database::Rpm => {
            format!("grubby --set-default {}", action::word(&format!("/boot/vmlinuz-{newest}")))
        }
        BootRule::GrubSaved => format!("{grub}-set-default 0"),
        BootRule::GrubOnce => format!("{grub}-editenv {file} unset next_entry"),
        BootRule::SystemdBoot => format!(
            "take the line `default` out of {file}, or let it name the entry of {newest}; where there is no such line, look for the entry of {newest} with bootctl list"
        ),
        BootRule::GrubLegacy | BootRule::Extlinux => {
            format!("set the default in {file} to the entry of {newest}")
        }
        BootRule::Lilo => {
            format!("set the default in {file} to the image of {newest}, then type lilo")
        }
        BootRule::Link | BootRule::Newest => format!("let {file} point to the image of {newest}"),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    use super::*;
    use crate::fact::Reading;

    const OLD: &str = "6.1.0-10-amd64";
    const NEW: &str = "6.1.0-20-amd64";

    fn facts(running: &str, next: &str, images: &[(&str, &str)], rule: BootRule) -> Facts {
        let package = |(release, source): &(&str, &str)| Package {
            name: format!("linux-image-{release}"),
            source: Some((*source).into()),
            ..Package::default()
        };
        let packages: Vec<Package> =
            images.iter().filter(|i| !i.1.is_empty()).map(package).collect();
        let mut facts =
            Facts { database: Reading::Found(Database::Dpkg), packages, ..Facts::default() };
        facts.kernels.running = Reading::Found(running.into());
        facts.kernels.next_boot = Reading::Found(next.into());
        facts.kernels.next_boot_by = Some(BootSource { rule, file: "/boot/grub/grub.cfg".into() });
        facts.kernels.images = images.iter().map(|i| i.0.to_owned()).collect();
        facts
    }

    #[test]
    fn a_newer_kernel_that_will_not_be_booted_is_told() {
        let signed = "linux-signed-amd64";
        let both = [(OLD, signed), (NEW, signed)];
        let told = |running: &str, next: &str, images: &[(&str, &str)]| {
            let found = held_kernel(&facts(running, next, images, BootRule::Grub));
            found.map(|f| (f.title.to_string(), f.action.to_string())).unwrap_or_default()
        };
        let (title, action) = told(OLD, OLD, &both);
        assert_eq!(
            title,
            "kernel 6.1.0-20-amd64 is installed, and the next boot does not start it but 6.1.0-10-amd64, which is older (/boot/grub/grub.cfg)"
        );
        assert_eq!(action, "set GRUB_DEFAULT=0 in /etc/default/grub, then type update-grub");
        let (title, _) = told(NEW, OLD, &both);
        assert!(title.starts_with("kernel 6.1.0-20-amd64 runs, and the next boot starts 6.1.0-10"));
        let (ga, hwe) = ("5.15.0-91-generic", "6.5.0-14-generic");
        for (next, images) in [
            (NEW, &both[..]),
            // Other flavours, another line, one that nobody's package holds.
            (OLD, &[(OLD, signed), ("6.1.0-20-cloud-amd64", signed)]),
            (OLD, &[(OLD, signed), ("6.1.0-20-rt-amd64", signed)]),
            (OLD, &[(OLD, signed), (NEW, "")]),
            (OLD, &[(OLD, ""), (NEW, signed)]),
            (ga, &[(ga, "linux-signed"), (hwe, "linux-signed-hwe-6.5")]),
        ] {
            assert_eq!(told(next, next, images), Default::default(), "{images:?}");
        }
        let series = [("6.2.0-9-generic", "linux-signed-hwe-6.2"), (hwe, "linux-signed-hwe-6.5")];
        assert_ne!(told("x", "6.2.0-9-generic", &series).0, "");
        let mut contained = facts(OLD, OLD, &both, BootRule::Grub);
        contained.running.container = Some("docker".into());
        assert_eq!(held_kernel(&contained), None);
    }

    #[test]
    fn each_boot_loader_has_its_own_way() {
        let both = [(OLD, "linux"), (NEW, "linux")];
        for (rule, word) in [
            (BootRule::Custom, "set default="),
            (BootRule::GrubSaved, "grub-set-default 0"),
            (BootRule::GrubOnce, "unset next_entry"),
            (BootRule::SystemdBoot, "line `default`"),
            (BootRule::Lilo, "type lilo"),
            (BootRule::Link, "point to"),
        ] {
            let found = held_kernel(&facts(OLD, OLD, &both, rule)).expect("it is held back");
            assert!(found.action.contains(word), "{}", found.action);
        }
    }
}
