//! The running kernel, the images on the disk, and the one that the next boot would start.
//!
//! Running: `/proc/sys/kernel/osrelease` (proc_sys_kernel(5)), of a live system or where the caller vouches for a
//! recorded `/proc`. Images: `/boot/vmlinuz-*` and `/lib/modules/*`, whoever put them there. Next boot: what GRUB, GRUB
//! Legacy, LILO, EXTLINUX or systemd-boot starts when nobody chooses, with the choice that GRUB saved in its environment
//! block (GRUB manual, "The GRUB environment block"; the Boot Loader Specification). A configuration that is not understood,
//! and two loaders that differ, make the next boot unknown; without any, a link `vmlinuz` tells, else the newest image, and
//! the rule is told with the answer. A choice in variables of the firmware, unified images, and menus that lie only below
//! `EFI` on the system partition are not known.

mod boot;
mod entries;
mod menu;

use std::cmp::Ordering;

use muster_core::fact::{Facts, Obstacle, Reading};

use crate::Inspector;
use crate::root::{EntryKind, Root};
use boot::next_boot;

const RUNNING: &str = "/proc/sys/kernel/osrelease";
const MAX_BYTES: u64 = 64 * 1024;
/// More kernels than a server has.
const MAX_IMAGES: usize = 1000;

/// Reads the kernels.
pub struct Kernels;

impl Inspector for Kernels {
    fn name(&self) -> &'static str {
        "kernels"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            RUNNING,
            "/boot/",
            // `*` is `grub`, `grub2`, `extlinux`, `syslinux` or `loader`.
            "/boot/*/grubenv",
            "/boot/efi/EFI/redhat/grubenv",
            "/boot/*/grub.cfg",
            "/boot/*/custom.cfg",
            "/boot/*/menu.lst",
            "/etc/lilo.conf",
            "/boot/*/extlinux.conf",
            "/boot/extlinux.conf",
            "/boot/*/syslinux.cfg",
            "/boot/*/loader.conf",
            "/boot/*/entries/*.conf",
            "/boot/efi/*/loader.conf",
            "/boot/efi/*/entries/*.conf",
            "/efi/*/loader.conf",
            "/efi/*/entries/*.conf",
            "/lib/modules/",
            "/vmlinuz/",
            "/boot/vmlinuz/",
            "/proc/1/cgroup",
            "/proc/2/comm",
            "/.dockerenv",
            "/run/.containerenv",
            "/run/systemd/container",
        ]
    }

    fn in_containers(&self) -> bool {
        false
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        let obstacles = &mut facts.obstacles;
        if root.running() {
            facts.kernels.running = match text(root, RUNNING) {
                Reading::Found(release) if release.trim().is_empty() => Reading::Absent,
                Reading::Found(release) => Reading::Found(release.trim().to_owned()),
                other => other,
            };
            if let Reading::Unknown(obstacle) = &facts.kernels.running {
                obstacles.push(obstacle.clone());
            }
            facts.running.container = container(root);
        }
        let bootable = bootable(root, obstacles);
        facts.kernels.images.clone_from(&bootable);
        facts.kernels.images.extend(modules(root, obstacles));
        facts.kernels.images.sort_by(|a, b| by_version(a, b).then_with(|| a.cmp(b)));
        facts.kernels.images.dedup();
        let kernels = boot::Kernels { bootable: &bootable, all: &facts.kernels.images };
        let (next, by) = next_boot(root, &kernels, obstacles);
        (facts.kernels.next_boot, facts.kernels.next_boot_by) = (next, by);
    }
}

/// Tells by what the engines leave that this running system is a container, whose kernel is its host's.
///
/// Where the threads of the kernel are seen it is none, whatever lies there: a virtual machine may be made of an image.
fn container(root: &dyn Root) -> Option<String> {
    if matches!(text(root, "/proc/2/comm"), Reading::Found(name) if name.trim() == "kthreadd") {
        return None;
    }
    if let Reading::Found(kind) = text(root, "/run/systemd/container") {
        return Some(format!("{} (/run/systemd/container)", kind.trim()));
    }
    for (path, kind) in [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")] {
        if matches!(root.open(path), Reading::Found(_)) {
            return Some(format!("{kind} ({path})"));
        }
    }
    let Reading::Found(groups) = text(root, "/proc/1/cgroup") else { return None };
    let engine =
        ["docker", "libpod", "kubepods", "lxc"].into_iter().find(|e| groups.contains(e))?;
    Some(format!("{engine} (/proc/1/cgroup)"))
}

fn text(root: &dyn Root, path: &str) -> Reading<String> {
    match root.read(path, MAX_BYTES) {
        Reading::Found(bytes) => Reading::Found(String::from_utf8_lossy(&bytes).into_owned()),
        Reading::Absent => Reading::Absent,
        Reading::Unknown(obstacle) => Reading::Unknown(obstacle),
    }
}

/// Takes what was found; what stands in the way is noted.
fn note<T: Default>(reading: Reading<T>, obstacles: &mut Vec<Obstacle>) -> T {
    match reading {
        Reading::Found(value) => value,
        Reading::Absent => T::default(),
        Reading::Unknown(obstacle) => {
            obstacles.push(obstacle);
            T::default()
        }
    }
}

/// Returns the releases of the images in `/boot`.
fn bootable(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Vec<String> {
    let entries = note(root.list("/boot"), obstacles);
    entries
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Link))
        .filter_map(|entry| release_of(&entry.name))
        .take(MAX_IMAGES)
        .map(String::from)
        .collect()
}

/// Returns the releases that have modules on the disk.
fn modules(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Vec<String> {
    let entries = note(root.list("/lib/modules"), obstacles);
    entries
        .into_iter()
        .filter(|entry| entry.kind == EntryKind::Directory)
        .filter(|entry| entry.name.starts_with(|c: char| c.is_ascii_digit()))
        .take(MAX_IMAGES)
        .map(|entry| entry.name)
        .collect()
}

/// `vmlinuz-6.1.0-18-amd64`, `vmlinux-…`, `kernel-…`, `Image-…`: what follows the first hyphen, where it is a release.
fn release_of(name: &str) -> Option<&str> {
    let release = ["vmlinuz-", "vmlinux-", "kernel-", "Image-"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    let spoilt = [".old", ".bak", ".rpmsave", ".dpkg-new", ".dpkg-old", ".hmac", ".sig", ".signed"];
    // `vmlinuz-0-rescue-MACHINE` is a copy of another image, for the day on which none starts.
    let plain = release.starts_with(|c: char| c.is_ascii_digit())
        && !release.contains("rescue")
        && !spoilt.iter().any(|end| release.ends_with(end));
    plain.then_some(release)
}

/// Compares releases as `sort -V` does, with which GRUB sorts: numbers by value, all else by byte.
fn by_version(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let (word_a, rest_a) = split(a, |c| !c.is_ascii_digit());
        let (word_b, rest_b) = split(b, |c| !c.is_ascii_digit());
        let words = word_a.cmp(word_b);
        if words != Ordering::Equal || (rest_a.is_empty() && rest_b.is_empty()) {
            return words;
        }
        let (number_a, after_a) = split(rest_a, u8::is_ascii_digit);
        let (number_b, after_b) = split(rest_b, u8::is_ascii_digit);
        let numbers = value(number_a).cmp(&value(number_b));
        if numbers != Ordering::Equal {
            return numbers;
        }
        (a, b) = (after_a, after_b);
    }
}

fn split(bytes: &[u8], belongs: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| !belongs(b)).unwrap_or(bytes.len());
    bytes.split_at(end)
}

/// A number of any length, ordered by its digits.
fn value(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = digits.iter().take_while(|d| **d == b'0').count();
    let digits = digits.get(zeros..).unwrap_or_default();
    (digits.len(), digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_image_is_the_one_that_grub_would_start() {
        let mut releases =
            ["5.10.0-9-amd64", "5.10.0-20-amd64", "6.1.0-18-amd64", "4.19.0-27-amd64"];
        releases.sort_by(|a, b| by_version(a, b));
        assert_eq!(
            releases,
            ["4.19.0-27-amd64", "5.10.0-9-amd64", "5.10.0-20-amd64", "6.1.0-18-amd64"]
        );
    }

    #[test]
    fn a_container_is_told_from_a_machine_made_of_an_image() {
        use crate::inspectors::apt::testing::Files;
        let told = |files: &[(&str, &str)]| container(&Files::of(files).running());
        assert_eq!(told(&[("proc/1/cgroup", "0::/\n")]), None);
        assert_eq!(told(&[(".dockerenv", ""), ("proc/2/comm", "kthreadd\n")]), None);
        for files in [
            [(".dockerenv", ""), ("proc/2/comm", "sh\n")],
            [("run/.containerenv", ""), ("proc/1/cgroup", "0::/\n")],
            [("run/systemd/container", "lxc\n"), ("x", "")],
            [("proc/1/cgroup", "1:name=systemd:/docker/0123\n"), ("x", "")],
        ] {
            assert!(told(&files).is_some(), "{files:?}");
        }
    }
}
