//! Patches of the running kernel's memory, as evidence: `/sys/kernel/livepatch/*/enabled` (the kernel's
//! `Documentation/ABI/testing/sysfs-kernel-livepatch`), and what Canonical's client last wrote of itself.
//!
//! Which flaws a module mends is in no file of the kernel: a verdict changes only where the distributor's own state names
//! them, and none of the states read here does. kpatch loads through the same interface.

use muster_core::fact::{Facts, Reading};
use muster_core::running::Livepatch;

use crate::Inspector;
use crate::root::Root;

const FOLDER: &str = "/sys/kernel/livepatch";
const STATE: &str = "/var/snap/canonical-livepatch/common/state.json";
const MAX_FILE: u64 = 1 << 20;
/// More patches than a kernel carries at once.
const MAX_PATCHES: usize = 100;

/// Reads the live patches.
pub struct LivePatches;

impl Inspector for LivePatches {
    fn name(&self) -> &'static str {
        "livepatch"
    }

    fn reads(&self) -> &'static [&'static str] {
        &["/sys/kernel/livepatch/*/enabled", STATE]
    }

    fn in_containers(&self) -> bool {
        false
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        if !root.live() {
            return;
        }
        let entries = match root.list(FOLDER) {
            Reading::Found(entries) => entries,
            Reading::Absent => return,
            Reading::Unknown(obstacle) => {
                facts.running.livepatch = Reading::Unknown(obstacle);
                return;
            }
        };
        let mut applied = Vec::new();
        for entry in entries.into_iter().take(MAX_PATCHES) {
            let enabled = root.read(&format!("{FOLDER}/{}/enabled", entry.name), MAX_FILE);
            if matches!(&enabled, Reading::Found(text) if text.trim_ascii() == b"1") {
                applied.push(entry.name);
            }
        }
        let state = match root.read(STATE, MAX_FILE) {
            Reading::Found(bytes) => state(&bytes),
            Reading::Absent | Reading::Unknown(_) => None,
        };
        if applied.is_empty() && state.is_none() {
            return;
        }
        facts.running.livepatch =
            Reading::Found(Livepatch { applied, state, fixes: Vec::new(), source: FOLDER.into() });
    }
}

/// `patchState` of the client, wherever in its file.
fn state(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let (_, rest) = text.split_once("\"patchState\"")?;
    let (word, _) = rest.split_once('"')?.1.split_once('"')?;
    (word.len() < 60).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspectors::apt::testing::Files;

    #[test]
    fn a_patch_that_is_switched_on_is_a_fact() {
        let files = Files::of(&[
            ("sys/kernel/livepatch/livepatch_one/enabled", "1\n"),
            ("sys/kernel/livepatch/livepatch_two/enabled", "0\n"),
            ("var/snap/canonical-livepatch/common/state.json", "{\"patchState\": \"applied\"}"),
        ]);
        let read = |files: &Files| {
            let mut facts = Facts::default();
            LivePatches.inspect(files, &mut facts);
            facts.running.livepatch
        };
        let Reading::Found(livepatch) = read(&files.clone().running()) else { panic!() };
        assert_eq!(livepatch.applied, ["livepatch_one"]);
        assert_eq!(livepatch.state.as_deref(), Some("applied"));
        assert_eq!(read(&files), Reading::Absent);
        assert_eq!(read(&Files::default().running()), Reading::Absent);
        assert_eq!(state(b"{\"patchState"), None);
    }
}
