//! Containers and images: roots of their own within a server.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::action;
use crate::fact::{Facts, Reading};

/// A container, or a stored image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// What runs it or keeps it: `docker`, `podman`, `cri-o`, `containerd`, `lxc`, `lxd`, `incus`, `systemd-nspawn`.
    pub runtime: String,
    /// Its name, or its number where it has none; of an image its first name.
    pub name: String,
    /// The image it was made of, where that is known.
    pub image: Option<String>,
    /// Where its root lies, from `/` of the server.
    pub root: String,
    /// The directories that its root is made of, the topmost first, from `/` of the server. None: it is read through `pid`,
    /// or it cannot be read and `facts` says why.
    pub layers: Vec<String>,
    /// Whether an account without privileges keeps it, whose word on its layers then counts.
    pub rootless: bool,
    /// The pod of Kubernetes that it is part of.
    #[serde(default)]
    pub pod: Option<Pod>,
    /// A process in it.
    pub pid: Option<u32>,
    /// Whether it runs.
    pub running: bool,
    /// Whether it is a stored image.
    pub is_image: bool,
    /// Whether it is a system of its own, with a package manager at work in it, and not the unpacked image of a program.
    pub is_system: bool,
    /// What was learned of it; an obstacle where it could not be read.
    pub facts: Reading<Box<Facts>>,
}

/// A pod of Kubernetes, by the labels `io.kubernetes.pod.namespace` and `io.kubernetes.pod.name` of its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Pod {
    /// Returns the command after which what controls the pod makes another in its stead.
    pub fn remake(&self) -> String {
        let delete = format!("kubectl -n {} delete pod", action::word(&self.namespace));
        action::on(&delete, [self.name.as_str()])
    }
}
