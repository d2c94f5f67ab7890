//! Whether the system asks for a reboot: `/run/reboot-required` and the packages that asked (Debian's and Ubuntu's
//! update-notifier and unattended-upgrades).
//!
//! `/run` is of one boot: only a live system has an answer. Other families leave no such file, and what a newer kernel
//! image means is told by the kernels.

use muster_core::fact::{Facts, Reading, Reboot};

use crate::Inspector;
use crate::root::Root;

const MAX_BYTES: u64 = 1 << 20;

/// Reads the wish for a reboot.
pub struct RebootRequired;

impl Inspector for RebootRequired {
    fn name(&self) -> &'static str {
        "reboot"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "/run/reboot-required",
            "/run/reboot-required.pkgs",
            "/var/run/reboot-required",
            "/var/run/reboot-required.pkgs",
        ]
    }

    fn in_containers(&self) -> bool {
        false
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        if !root.live() {
            return;
        }
        for folder in ["/run", "/var/run"] {
            let path = format!("{folder}/reboot-required");
            match root.open(&path) {
                Reading::Found(_) => {}
                Reading::Absent => continue,
                Reading::Unknown(obstacle) => {
                    facts.obstacles.push(obstacle.clone());
                    facts.reboot = Reading::Unknown(obstacle);
                    return;
                }
            }
            facts.reboot =
                Reading::Found(Reboot { packages: packages(root, &path, facts), source: path });
            return;
        }
    }
}

/// Returns the packages that asked, each once.
fn packages(root: &dyn Root, path: &str, facts: &mut Facts) -> Vec<String> {
    match root.read(&format!("{path}.pkgs"), MAX_BYTES) {
        Reading::Found(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let mut names: Vec<String> =
                text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
            names.sort_unstable();
            names.dedup();
            names
        }
        Reading::Absent => Vec::new(),
        Reading::Unknown(obstacle) => {
            facts.obstacles.push(obstacle);
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspectors::apt::testing::Files;

    fn asked(files: &Files) -> Reading<Reboot> {
        let mut facts = Facts::default();
        RebootRequired.inspect(files, &mut facts);
        facts.reboot
    }

    #[test]
    fn a_running_system_that_asks_names_the_packages_once() {
        let files = Files::of(&[
            ("run/reboot-required", "*** System restart required ***\n"),
            ("run/reboot-required.pkgs", "linux-image-6.1\nlibc6\n\nlibc6\n"),
        ]);
        let source = "/run/reboot-required".to_owned();
        let packages = vec!["libc6".to_owned(), "linux-image-6.1".to_owned()];
        assert_eq!(asked(&files.clone().running()), Reading::Found(Reboot { packages, source }));
        assert_eq!(asked(&files), Reading::Absent, "a folder has not been booted");
        assert_eq!(asked(&Files::default().running()), Reading::Absent);
    }
}
