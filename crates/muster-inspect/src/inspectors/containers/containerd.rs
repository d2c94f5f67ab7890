//! containerd's store: its database of names (`metadata/buckets.go`), the database of its overlayfs snapshotter
//! (`snapshots/storage/bolt.go`), and the manifests in its content store (OCI image-spec).
//!
//! A container names a snapshot; an image names a manifest, whose configuration names the layers, whose chain is the name of a
//! snapshot. The snapshotters overlayfs, fuse-overlayfs and native are read; those that fetch on demand are not.

use std::collections::BTreeMap;

use muster_core::container::{Container, Pod};
use muster_core::fact::Reading;
use serde::Deserialize;

use super::bolt::{Bolt, Bucket};
use super::docker::Image;
use super::places::{Place, text_at, texts_at};
use super::{Finder, List, MAX_FILE, MAX_LAYERS, Store, is_plain, short, unreadable};
use crate::accounts::Account;
use crate::root::obstacle;

/// Bytes of a database.
const MAX_DATABASE: u64 = 48 << 20;
/// How many manifests an index is asked for.
const MAX_MANIFESTS: usize = 30;

/// How many files of its configuration are followed.
const MAX_FILES: usize = 100;
/// Kubernetes with a containerd of its own: its configuration, its units, and the store below its own directory.
const KUBERNETES: [(&str, &[&str], &str); 3] = [
    ("/etc/rancher/k3s/config.yaml", &["k3s.service", "k3s-agent.service"], "agent/containerd"),
    (
        "/etc/rancher/rke2/config.yaml",
        &["rke2-server.service", "rke2-agent.service"],
        "agent/containerd",
    ),
    ("/etc/k0s/containerd.yaml", &["k0scontroller.service", "k0sworker.service"], "containerd"),
];

/// A manifest, or an index of some.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Manifest {
    config: Option<Descriptor>,
    manifests: Vec<Descriptor>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Descriptor {
    digest: String,
}

/// The snapshots of one snapshotter, by the names that its own database gives them.
#[derive(Default)]
struct Snapshots {
    known: BTreeMap<String, Snapshot>,
    folder: String,
}

struct Snapshot {
    id: u64,
    parent: String,
}

pub(super) fn find(finder: &mut Finder<'_>, homes: &[Account]) {
    let mut places: Vec<Place> = [
        "/var/lib/containerd",
        "/var/lib/docker/containerd/daemon",
        "/var/lib/rancher/k3s/agent/containerd",
        "/var/lib/rancher/rke2/agent/containerd",
        "/var/lib/k0s/containerd",
        "/var/snap/microk8s/common/var/lib/containerd",
    ]
    .map(Place::of_server)
    .into();
    let unit = ["containerd.service"];
    let mut files = vec!["/etc/containerd/config.toml".to_owned()];
    for (path, by) in finder.by_system_units(&unit, &["--config", "-c"]) {
        files.extend(finder.named(&path, &by, None));
    }
    let mut named = finder.by_system_units(&unit, &["--root"]);
    let mut at = 0;
    while let Some(file) = files.get(at).cloned().filter(|_| at < MAX_FILES) {
        at += 1;
        let Some(config) = finder.toml(&file) else { continue };
        named.extend(text_at(&config, &["root"]).map(|root| (root.to_owned(), file.clone())));
        for import in texts_at(&config, &["imports"]) {
            // A path that is not whole begins where the file lies.
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            let import = if import.starts_with('/') {
                import.to_owned()
            } else {
                format!("{folder}/{import}")
            };
            let imported = finder.matching(&import);
            files.extend(imported);
        }
        files.dedup();
    }
    for (path, by) in named {
        places.extend(finder.named(&path, &by, None).map(Place::of_server));
    }
    for (config, units, below) in KUBERNETES {
        let mut named = finder.by_system_units(units, &["--data-dir", "-d"]);
        for path in finder.with_drop_ins(config, ".yaml") {
            let text = finder.text(&path).unwrap_or_default();
            let value = text.lines().filter_map(|line| line.strip_prefix("data-dir:"));
            let value = value.map(|value| value.trim().trim_matches(['"', '\'']).to_owned());
            named.extend(value.map(|value| (value, path.clone())));
        }
        for (path, by) in named {
            let path = finder.named(&path, &by, None);
            places.extend(
                path.map(|path| {
                    Place::of_server(format!("{}/{below}", path.trim_end_matches('/')))
                }),
            );
        }
    }
    let of_accounts = homes.iter();
    places.extend(of_accounts.map(|a| Place::of(a, format!("{}/.local/share/containerd", a.home))));
    let stores = finder.stores_at(places);
    for store in &stores {
        find_in(finder, store);
    }
    // What Docker knows and no store of containerd has.
    for (id, container) in std::mem::take(&mut finder.in_containerd) {
        finder.add(container, &id);
    }
}

fn find_in(finder: &mut Finder<'_>, store: &Store) {
    let path = format!("{}/io.containerd.metadata.v1.bolt/meta.db", store.path);
    let bytes = match finder.root.read(&path, MAX_DATABASE) {
        Reading::Found(bytes) => bytes,
        Reading::Absent => return unlisted(finder, store),
        Reading::Unknown(obstacle) => return finder.note(obstacle),
    };
    let broken = |finder: &mut Finder<'_>| {
        let why =
            format!("{}: containers that it tells of may be missing here", super::bolt::Broken);
        finder.obstacles.push(obstacle(&path, why));
    };
    let Ok(bolt) = Bolt::new(&bytes) else { return broken(finder) };
    let mut snapshotters: BTreeMap<String, Snapshots> = BTreeMap::new();
    // containerd makes it before anything else.
    let Some(version) = bolt.top().bucket("v1") else { return broken(finder) };
    for (_, namespace) in version.buckets() {
        let names = Names::of(&namespace);
        for (id, bucket) in namespace.bucket("containers").map_or(Vec::new(), |c| c.buckets()) {
            container(finder, store, &mut snapshotters, &names, (&text(id), &bucket));
        }
        let mut images = BTreeMap::new();
        for (name, bucket) in namespace.bucket("images").map_or(Vec::new(), |i| i.buckets()) {
            image(finder, &mut images, store, &mut snapshotters, &names, (&text(name), &bucket));
        }
        for image in images.into_values() {
            finder.add(image, "");
        }
    }
    if !bolt.is_whole() {
        broken(finder);
    }
}

/// Where no database tells of images or containers, snapshots that lie there are not known.
fn unlisted(finder: &mut Finder<'_>, store: &Store) {
    for name in finder.directories(&store.path) {
        let folder = format!("{}/{name}/snapshots", store.path);
        if name.contains(".snapshotter.") && !finder.directories(&folder).is_empty() {
            let why = "holds snapshots, and no meta.db is there that tells what is made of them: what they hold is not known";
            finder.note(obstacle(&folder, why));
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The names that a namespace gives to snapshots, and those that their snapshotters gave them.
struct Names {
    of: BTreeMap<(String, String), String>,
}

impl Names {
    fn of(namespace: &Bucket<'_>) -> Self {
        let mut of = BTreeMap::new();
        for (snapshotter, bucket) in
            namespace.bucket("snapshots").map_or(Vec::new(), |s| s.buckets())
        {
            for (key, snapshot) in bucket.buckets() {
                if let Some(name) = snapshot.value(b"name") {
                    of.insert((text(snapshotter), text(key)), text(name));
                }
            }
        }
        Self { of }
    }
}

fn container(
    finder: &mut Finder<'_>,
    store: &Store,
    snapshotters: &mut BTreeMap<String, Snapshots>,
    names: &Names,
    (id, bucket): (&str, &Bucket<'_>),
) {
    let value = |name: &[u8]| bucket.value(name).map(text).unwrap_or_default();
    let (snapshotter, key) = (value(b"snapshotter"), value(b"snapshotKey"));
    let layers = layers(finder, store, snapshotters, names, (&snapshotter, &key));
    let image = Some(value(b"image")).filter(|image| !image.is_empty());
    let base = match finder.in_containerd.remove(id) {
        Some(by_docker) => by_docker,
        None => Container {
            runtime: "containerd".into(),
            name: label(bucket).unwrap_or_else(|| short(id).to_owned()),
            image,
            pod: pod(bucket),
            ..Container::default()
        },
    };
    finder
        .add(with_layers(base, layers, store, &snapshotter, "`ctr` or its kin can export it"), id);
}

/// The pod that Kubernetes made a container for.
fn pod(bucket: &Bucket<'_>) -> Option<Pod> {
    let labels = bucket.bucket("labels")?;
    let value = |name: &str| labels.value(name.as_bytes()).map(text);
    let namespace = value("io.kubernetes.pod.namespace")?;
    Some(Pod { namespace, name: value("io.kubernetes.pod.name")? })
}

/// The name that Kubernetes or nerdctl knows a container by.
fn label(bucket: &Bucket<'_>) -> Option<String> {
    let labels = bucket.bucket("labels")?;
    let value = |name: &str| labels.value(name.as_bytes()).map(text);
    if let Some(name) = value("nerdctl/name") {
        return Some(name);
    }
    let pod = value("io.kubernetes.pod.name")?;
    let name = value("io.kubernetes.container.name").unwrap_or_else(|| "pod".to_owned());
    Some(format!("{pod}/{name}"))
}

fn image(
    finder: &mut Finder<'_>,
    images: &mut BTreeMap<String, Container>,
    store: &Store,
    snapshotters: &mut BTreeMap<String, Snapshots>,
    names: &Names,
    (name, bucket): (&str, &Bucket<'_>),
) {
    let digest = bucket.bucket("target").and_then(|t| t.value(b"digest").map(text));
    let mut chains = Chains::default();
    match digest {
        Some(digest) => chains.add(finder, store, &digest, 0),
        None => chains.is_broken = true,
    }
    let known = names.of.keys().find(|(_, key)| chains.known.contains(key)).cloned();
    let Some((snapshotter, key)) = known else {
        // Of an index with many platforms, one was unpacked; where none was, it is no root yet.
        if chains.is_broken {
            let why = "names an image whose manifest or configuration is not there or cannot be read: which layers it has is not known; pull it again";
            let path = format!("{}/io.containerd.metadata.v1.bolt/meta.db", store.path);
            let found = Container {
                runtime: "containerd".into(),
                name: name.to_owned(),
                is_image: true,
                rootless: store.rootless,
                facts: unreadable(&path, why),
                root: path,
                ..Container::default()
            };
            images.insert(name.to_owned(), found);
        }
        return;
    };
    let layers = layers(finder, store, snapshotters, names, (&snapshotter, &key));
    let base = Container {
        runtime: "containerd".into(),
        name: name.to_owned(),
        is_image: true,
        ..Container::default()
    };
    let found = with_layers(base, layers, store, &snapshotter, "`ctr image mount` shows it");
    // Kubernetes names each image thrice: by its tag, its digest, and the digest of its configuration.
    let rank = |name: &str| (name.starts_with("sha256:"), name.contains('@'), name.to_owned());
    let known = images.entry(key).or_insert_with(|| found.clone());
    if rank(name) < rank(&known.name) {
        *known = found;
    }
}

fn with_layers(
    base: Container,
    layers: Option<Vec<String>>,
    store: &Store,
    snapshotter: &str,
    else_do: &str,
) -> Container {
    let rootless = store.rootless;
    match layers {
        Some(layers) => {
            let root = layers.first().cloned().unwrap_or_default();
            Container { root, layers, rootless, facts: Reading::Absent, ..base }
        }
        None => {
            let why = format!(
                "keeps one by the snapshotter {snapshotter:?}, whose directories cannot be told or are not all there; {else_do}"
            );
            let facts = unreadable(&store.path, &why);
            Container { root: store.path.clone(), facts, rootless, ..base }
        }
    }
}

/// The chains of layers that a manifest, or those of an index, have.
#[derive(Default)]
struct Chains {
    known: Vec<String>,
    /// Whether something of it is not there that should be, or cannot be read.
    is_broken: bool,
}

impl Chains {
    fn add(&mut self, finder: &mut Finder<'_>, store: &Store, digest: &str, depth: usize) {
        let manifest = match blob::<Manifest>(finder, store, digest) {
            List::Found(manifest) => manifest,
            // Most platforms of an index were never fetched.
            List::Absent if depth > 0 => return,
            List::Absent | List::Broken => {
                self.is_broken = true;
                return;
            }
        };
        if let Some(config) = manifest.config {
            match blob::<Image>(finder, store, &config.digest) {
                List::Found(image) => self.known.extend(image.chain()),
                List::Absent | List::Broken => self.is_broken = true,
            }
            return;
        }
        if depth == 0 {
            for one in manifest.manifests.into_iter().take(MAX_MANIFESTS) {
                self.add(finder, store, &one.digest, depth + 1);
            }
        }
    }
}

/// Reads a document of the content store.
fn blob<T: serde::de::DeserializeOwned>(
    finder: &Finder<'_>,
    store: &Store,
    digest: &str,
) -> List<T> {
    let Some(name) = digest.strip_prefix("sha256:").filter(|name| is_plain(name)) else {
        return List::Broken;
    };
    let path = format!("{}/io.containerd.content.v1.content/blobs/sha256/{name}", store.path);
    match finder.root.read(&path, MAX_FILE) {
        Reading::Found(bytes) => {
            serde_json::from_slice(&bytes).map_or(List::Broken, |value| List::Found(value))
        }
        Reading::Absent => List::Absent,
        Reading::Unknown(_) => List::Broken,
    }
}

/// Returns the directories of a snapshot and of those below it.
fn layers(
    finder: &mut Finder<'_>,
    store: &Store,
    snapshotters: &mut BTreeMap<String, Snapshots>,
    names: &Names,
    (snapshotter, key): (&str, &str),
) -> Option<Vec<String>> {
    if !is_plain(snapshotter) || !matches!(snapshotter, "overlayfs" | "fuse-overlayfs" | "native") {
        return None;
    }
    let snapshots = snapshotters
        .entry(snapshotter.to_owned())
        .or_insert_with(|| Snapshots::read(finder, store, snapshotter));
    let mut name = names.of.get(&(snapshotter.to_owned(), key.to_owned()))?;
    let mut layers = Vec::new();
    while let Some(snapshot) = snapshots.known.get(name).filter(|_| layers.len() < MAX_LAYERS) {
        // A whole copy has nothing below it.
        if snapshotter == "native" {
            return Some(vec![format!("{}/snapshots/{}", snapshots.folder, snapshot.id)]);
        }
        layers.push(format!("{}/snapshots/{}/fs", snapshots.folder, snapshot.id));
        name = &snapshot.parent;
        if name.is_empty() {
            return Some(layers);
        }
    }
    None
}

impl Snapshots {
    fn read(finder: &mut Finder<'_>, store: &Store, snapshotter: &str) -> Self {
        let folder = format!("{}/io.containerd.snapshotter.v1.{snapshotter}", store.path);
        let mut read = Self { folder, ..Self::default() };
        let path = format!("{}/metadata.db", read.folder);
        let Some(bytes) = finder.bytes(&path, MAX_DATABASE) else { return read };
        let Ok(bolt) = Bolt::new(&bytes) else {
            finder.obstacles.push(obstacle(&path, super::bolt::Broken.to_string()));
            return read;
        };
        let snapshots = bolt.top().bucket("v1").and_then(|v| v.bucket("snapshots"));
        for (name, bucket) in snapshots.map_or(Vec::new(), |s| s.buckets()) {
            let Some(id) = bucket.value(b"id").and_then(varint) else { continue };
            let parent = bucket.value(b"parent").map(text).unwrap_or_default();
            read.known.insert(text(name), Snapshot { id, parent });
        }
        if !bolt.is_whole() {
            finder.obstacles.push(obstacle(&path, super::bolt::Broken.to_string()));
        }
        read
    }
}

/// A number as `encoding/binary` of Go writes it: seven bits a byte, the lowest first.
fn varint(bytes: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::bolt::tests::Made::{self, Holds, Is};
    use super::super::bolt::tests::made;
    use muster_core::fact::Facts;

    use super::super::Containers;
    use super::super::testing::told;
    use super::*;
    use crate::Inspector as _;
    use crate::inspectors::apt::testing::Files;

    const STORE: &str = "var/lib/containerd";
    const DIGEST: &str = "sha256:aa";

    /// An image of two layers, and a container of a pod on its own layer above them.
    fn store(without: &str) -> Files {
        let snapshot = |name: &'static str| Is(name.as_bytes());
        let (chain, lower) = ("sha256:cc", "sha256:dd");
        let of_image: [(&str, Made<'_>); 1] =
            [("target", Holds(&[("digest", Is(DIGEST.as_bytes()))]))];
        let labels = [
            ("io.kubernetes.container.name", Is(b"app")),
            ("io.kubernetes.pod.name", Is(b"web-1")),
            ("io.kubernetes.pod.namespace", Is(b"shop")),
        ];
        let of_container = [
            ("labels", Holds(&labels)),
            ("snapshotKey", snapshot("own")),
            ("snapshotter", snapshot("overlayfs")),
        ];
        let names = [
            (chain, Holds(&[("name", Is(b"n/2"))])),
            (lower, Holds(&[("name", Is(b"n/1"))])),
            ("own", Holds(&[("name", Is(b"n/3"))])),
        ];
        let of_snapshotter = [("overlayfs", Holds(&names))];
        let namespace = [
            ("containers", Holds(&[("c1", Holds(&of_container))])),
            ("images", Holds(&[("example/web:1", Holds(&of_image))])),
            ("snapshots", Holds(&of_snapshotter)),
        ];
        let meta = made(&[("v1", Holds(&[("k8s.io", Holds(&namespace))]))]);
        let two = [("id", Is(&[2])), ("parent", Is(b"n/1"))];
        let three = [("id", Is(&[3])), ("parent", Is(b"n/2"))];
        let snapshots =
            [("n/1", Holds(&[("id", Is(&[1]))])), ("n/2", Holds(&two)), ("n/3", Holds(&three))];
        let known = made(&[("v1", Holds(&[("snapshots", Holds(&snapshots))]))]);
        let blobs = "io.containerd.content.v1.content/blobs/sha256";
        let layers = "io.containerd.snapshotter.v1.overlayfs";
        let mut files = Files::default().in_place();
        for (path, bytes) in [
            ("io.containerd.metadata.v1.bolt/meta.db", &meta[..]),
            (&format!("{layers}/metadata.db"), &known),
            (&format!("{layers}/snapshots/1/fs/a"), b""),
            (&format!("{layers}/snapshots/2/fs/a"), b""),
            (&format!("{layers}/snapshots/3/fs/a"), b""),
            (&format!("{blobs}/aa"), br#"{"config":{"digest":"sha256:bb"}}"#),
            (&format!("{blobs}/bb"), br#"{"rootfs":{"diff_ids":["sha256:cc"]}}"#),
        ] {
            if !path.ends_with(without) {
                files.put(&format!("{STORE}/{path}"), bytes);
            }
        }
        files
    }

    #[test]
    fn a_broken_store_is_never_whole() {
        let fs =
            |id: u8| format!("/{STORE}/io.containerd.snapshotter.v1.overlayfs/snapshots/{id}/fs");
        let container = format!("containerd web-1/app: {} {} {}", fs(3), fs(2), fs(1));
        let image = format!("containerd example/web:1: {} {}", fs(2), fs(1));
        assert_eq!(told(&store("nothing")), [container.clone(), image]);
        for blob in ["/aa", "/bb"] {
            let found = told(&store(blob));
            assert!(found.contains(&container), "{found:?}");
            assert!(found[1].contains("web:1") && found[1].contains("not known"), "{found:?}");
        }
        let bare = told(&store("meta.db"));
        assert!(bare.len() == 1 && bare[0].contains("no meta.db"), "{bare:?}");
        let unnamed = told(&store("metadata.db"));
        assert!(unnamed.iter().all(|line| line.contains("cannot be told")), "{unnamed:?}");
    }

    #[test]
    fn a_container_of_a_pod_names_it() {
        let mut facts = Facts::default();
        Containers.inspect(&store("nothing"), &mut facts);
        let pods: Vec<_> = facts.containers.iter().filter_map(|c| c.pod.as_ref()).collect();
        let [pod] = pods[..] else { panic!("{pods:?}") };
        assert_eq!(pod.remake(), "kubectl -n shop delete pod web-1");
    }

    #[test]
    fn a_database_that_does_not_fit_together_is_told() {
        let path = format!("{STORE}/io.containerd.metadata.v1.bolt/meta.db");
        for bytes in [made(&[]), made(&[("v1", Is(b""))]), made(&[])[..8192].to_vec()] {
            let mut files = Files::default().in_place();
            files.put(&path, &bytes);
            let found = told(&files);
            assert!(found.len() == 1 && found[0].contains("no database"), "{found:?}");
        }
        let mut files = Files::default().in_place();
        let mut bytes = made(&[("v1", Holds(&[("k8s.io", Holds(&[]))]))]);
        // A bucket that ends before its value does.
        let at = bytes.len() - 4096 + 16 + 16 + 2 + 16 + 16 + 12;
        bytes[at] = 0xff;
        files.put(&path, &bytes);
        let found = told(&files);
        assert!(found.len() == 1 && found[0].contains("no database"), "{found:?}");
    }

    #[test]
    fn numbers_are_of_seven_bits_a_byte() {
        assert_eq!(varint(&[1]), Some(1));
        assert_eq!(varint(&[0xac, 0x02]), Some(300));
        assert_eq!(varint(&[0x80]), None);
        assert_eq!(varint(&[0xff; 20]), None);
    }
}
