//! What an inspection saw beside packages, as evidence: the kernels, what listens, what a walk came to.
//!
//! None of it is owed by being here; what is owed is among the findings. Null stands where this kind of root has no such
//! thing, or where it could not be read: then `unknown` says so.

use muster_core::application::{Bundle, WebApplication};
use muster_core::container::Container;
use muster_core::fact::{Facts, Reading};
use muster_core::running::{Listener, Transport};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Seen<'a> {
    kernel: Kernel<'a>,
    listeners: Option<Vec<Listening<'a>>>,
    web: Option<Web<'a>>,
    containers: Vec<Contained<'a>>,
    bundles: &'a [Bundle],
}

#[derive(Serialize)]
struct Contained<'a> {
    runtime: &'a str,
    name: &'a str,
    image: Option<&'a str>,
    root: &'a str,
    running: bool,
    is_image: bool,
    /// The release, where its root was read and tells.
    release: Option<String>,
    /// How many packages it has, where its root was read.
    packages: Option<usize>,
}

#[derive(Serialize)]
struct Kernel<'a> {
    running: Option<&'a str>,
    next_boot: Option<&'a str>,
    next_boot_by: Option<NextBootBy<'a>>,
    container: Option<&'a str>,
    livepatch: Option<Livepatch<'a>>,
}

#[derive(Serialize)]
struct NextBootBy<'a> {
    rule: &'a str,
    file: &'a str,
}

#[derive(Serialize)]
struct Livepatch<'a> {
    applied: &'a [String],
    state: Option<&'a str>,
    fixes: &'a [String],
    source: &'a str,
}

#[derive(Serialize)]
struct Listening<'a> {
    transport: &'static str,
    address: &'a str,
    port: u16,
    reach: &'static str,
    cleartext: Option<&'a str>,
    pid: Option<u32>,
    process: Option<&'a str>,
    unit: Option<&'a str>,
    package: Option<&'a str>,
    evidence: &'a str,
}

#[derive(Serialize)]
struct Web<'a> {
    /// Every one that was found, whatever is known of it.
    applications: &'a [WebApplication],
    document_roots: &'a [String],
    not_walked: Vec<NotWalked<'a>>,
}

#[derive(Serialize)]
struct NotWalked<'a> {
    path: &'a str,
    why: &'a str,
}

impl<'a> Seen<'a> {
    pub(super) fn of(facts: &'a Facts) -> Self {
        let running = &facts.running;
        let livepatch = running.livepatch.found().map(|l| Livepatch {
            applied: &l.applied,
            state: l.state.as_deref(),
            fixes: &l.fixes,
            source: &l.source,
        });
        let text = |reading: &'a Reading<String>| reading.found().map(String::as_str);
        Self {
            kernel: Kernel {
                running: text(&facts.kernels.running),
                next_boot: text(&facts.kernels.next_boot),
                next_boot_by: facts
                    .kernels
                    .next_boot_by
                    .as_ref()
                    .map(|by| NextBootBy { rule: by.rule.name(), file: &by.file }),
                container: running.container.as_deref(),
                livepatch,
            },
            listeners: running.listeners.found().map(|l| l.iter().map(listening).collect()),
            web: facts.walk.found().map(|walk| Web {
                applications: &facts.applications,
                document_roots: &walk.document_roots,
                not_walked: walk
                    .not_walked
                    .iter()
                    .map(|(path, why)| NotWalked { path, why })
                    .collect(),
            }),
            containers: facts.containers.iter().map(contained).collect(),
            bundles: &facts.bundles,
        }
    }
}

fn contained(container: &Container) -> Contained<'_> {
    let within = container.facts.found();
    Contained {
        runtime: &container.runtime,
        name: &container.name,
        image: container.image.as_deref(),
        root: &container.root,
        running: container.running,
        is_image: container.is_image,
        release: within.and_then(|facts| facts.os.found()?.release_id()),
        packages: within.map(|facts| facts.packages.len()),
    }
}

fn listening(listener: &Listener) -> Listening<'_> {
    Listening {
        transport: match listener.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        },
        address: &listener.address,
        port: listener.port,
        reach: listener.reach.name(),
        cleartext: listener.cleartext.as_deref(),
        pid: listener.pid,
        process: listener.process.as_deref(),
        unit: listener.unit.as_deref(),
        package: listener.package.as_deref(),
        evidence: &listener.evidence,
    }
}
