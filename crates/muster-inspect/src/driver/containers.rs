//! Reads each container and image that was found as a root of its own, each in a child of its own.
//!
//! The child opens the layers itself, below the root of the server, so that a file system that does not answer stops it and
//! not its parent; of a container without known layers the parent opens the root that the kernel shows of a process in it.

use std::path::Path;
use std::time::Duration;

use muster_core::container::Container;
use muster_core::fact::{Facts, Obstacle, Reading};
use rustix::fs::{Mode, OFlags};

use super::{Error, Inspection, Source, Spent};
use crate::Inspector;
use crate::root::{Directory, Marks, Overlay, Root as _};

/// How many roots are read; the rest is named.
const MAX_ROOTS: usize = 256;
/// What one root gets of the time at least, where so much is left.
const LEAST_TIME: Duration = Duration::from_millis(1500);

/// A root within that of a server.
pub(super) struct Layers<'d> {
    pub(super) directory: &'d Directory,
    layers: &'d [String],
    marks: Marks,
}

impl Layers<'_> {
    /// In the child: opens the layers; an obstacle where one is not there.
    pub(super) fn open(&self, end: Duration) -> Result<Overlay, Obstacle> {
        let mut opened = Vec::new();
        for layer in self.layers {
            opened.push(match self.directory.open_directory(layer) {
                Reading::Found(opened) => opened,
                Reading::Unknown(obstacle) => return Err(obstacle),
                Reading::Absent => {
                    return Err(Obstacle::new(
                        layer.clone(),
                        "is a layer of this root, and is not there: what the root holds is not known",
                    ));
                }
            });
        }
        let overlay = Overlay::new(opened, self.marks);
        overlay.expect_walk(end);
        Ok(overlay)
    }
}

impl Inspection<'_> {
    /// Reads every container and image of which it is known how.
    pub(super) fn read_containers(&self, facts: &mut Facts, spent: &mut Spent) {
        let to_read = |c: &Container| matches!(c.facts, Reading::Absent);
        let mut left = facts.containers.iter().filter(|c| to_read(c)).count();
        if left == 0 {
            return;
        }
        let Source::Directory { path, directory } = &self.source else {
            let why = match &self.source {
                Source::Collected { .. } => {
                    "was found, and is not read over SSH; run muster on the server itself"
                }
                _ => {
                    "was found, and is not read of a tar; inspect the directory, or the container as a tar of its own"
                }
            };
            for container in facts.containers.iter_mut().filter(|c| to_read(c)) {
                container.facts = Reading::Unknown(Obstacle::new(container.root.clone(), why));
            }
            return;
        };
        let inspectors: Vec<&dyn Inspector> =
            self.inspectors.iter().copied().filter(|i| i.in_containers()).collect();
        let containers = facts.containers.iter_mut().filter(|c| to_read(c));
        for (number, container) in containers.enumerate() {
            let spare = self.end.saturating_sub(muster_sandbox::monotonic());
            let share = spare / u32::try_from(left).unwrap_or(u32::MAX).max(1);
            let time = share.max(LEAST_TIME).min(spare);
            left -= 1;
            let unread =
                |why: &str| Reading::Unknown(Obstacle::new(container.root.clone(), why.to_owned()));
            if number >= MAX_ROOTS {
                container.facts = unread(&format!(
                    "is not read: there are more containers and images here than the {MAX_ROOTS} that are read in one inspection; remove what nothing uses"
                ));
                continue;
            }
            if time < Duration::from_millis(20) {
                container.facts =
                    unread("is not read: there is no more time; give a longer --timeout");
                continue;
            }
            let source = if container.layers.is_empty() {
                match of_process(container.pid, directory) {
                    Some(root) => {
                        Source::Directory { path: container.root.clone(), directory: root }
                    }
                    None => {
                        container.facts = unread(
                            "cannot be read: its process has ended, or its root may not be looked at; inspect as root",
                        );
                        continue;
                    }
                }
            } else {
                let marks = if container.rootless { Marks::User } else { Marks::Trusted };
                let layers = Layers { directory, layers: &container.layers, marks };
                Source::Layers { path: path.clone(), layers }
            };
            let end = muster_sandbox::monotonic() + time;
            let one = Inspection { inspectors: &inspectors, source, end, is_within: true };
            container.facts = match one.run(spent) {
                Ok(facts) => Reading::Found(Box::new(facts)),
                Err(Error::Reader { death, .. }) => {
                    Reading::Unknown(Obstacle::new(container.root.clone(), death.to_string()))
                }
                Err(error) => {
                    Reading::Unknown(Obstacle::new(container.root.clone(), error.to_string()))
                }
            };
        }
    }
}

/// Opens the root of a process, as the kernel shows it; nothing where that is the root of the server itself.
fn of_process(pid: Option<u32>, server: &Directory) -> Option<Directory> {
    let pid = pid.filter(|_| server.live())?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let root = format!("/proc/{pid}/root");
    let opened = rustix::fs::open(Path::new(&root), flags, Mode::empty()).ok()?;
    let own = rustix::fs::fstat(&opened).ok()?;
    let of_server = rustix::fs::fstat(server.descriptor()).ok()?;
    if (own.st_dev, own.st_ino) == (of_server.st_dev, of_server.st_ino) {
        return None;
    }
    let mountinfo = std::fs::read(format!("/proc/{pid}/mountinfo")).ok()?;
    Some(Directory::of_process(opened, &mountinfo))
}
