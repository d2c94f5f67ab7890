//! Containers and images as the engines themselves keep them: Docker, containerd, Podman and Buildah make stores here, and
//! what is found in them is compared with what was put there. Trees laid out by hand stand in for LXC and its kin, and for
//! stores that nobody would make.
//!
//! An engine's daemon runs in mounts and processes of the test's own, and ends with them.

use std::process::Command;

use serde_json::Value;

use crate::feeds;
use crate::runs::{Folder, NOW, Ran, finished, has, muster, not_run, run, run_bounded};
use crate::servers::{BOOKWORM, stanza};

/// A root with one package that misses a patch, and an application in a folder that the next layer takes away.
fn base(folder: &Folder) {
    folder.write("base/etc/os-release", BOOKWORM);
    folder.write("base/var/lib/dpkg/status", stanza("harbour", "2.0-1", "harbour", ""));
    folder.write("base/srv/old/wp-includes/version.php", "<?php\n$wp_version = '4.0';\n");
    folder.write("base/usr/bin/.keep", "");
    folder.write("base/lib/.keep", "");
    folder.write("base/lib64/.keep", "");
}

/// Runs a script as root, with mounts and processes of its own; nothing where that cannot be done here.
fn apart(folder: &Folder, script: &str) -> Option<String> {
    let ran = finished(
        Command::new("timeout")
            .args(["200", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-c", script])
            .env("MUSTER", env!("CARGO_BIN_EXE_muster"))
            .env("LC_ALL", "C")
            .current_dir(folder.path()),
    );
    if ran.status != Some(0) {
        println!("{}{}", String::from_utf8_lossy(&ran.out), ran.err);
        return None;
    }
    Some(ran.text().to_owned())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Inspects a root with the advisories of the fixtures.
fn inspect(folder: &Folder, root: &str, more: &[&str]) -> Ran {
    let file = feeds::debian_file(folder);
    let root = folder.text(root);
    let mut arguments = vec!["inspect", &root, "--now", NOW, "--advisories", &file];
    arguments.extend(more);
    run(&arguments)
}

/// Everything that was found of containers, a line each, in order.
fn seen(answer: &Value) -> Vec<String> {
    let word = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = |c: &Value| {
        let kind = if c["is_image"] == true { "image" } else { "container" };
        let state = if c["running"] == true { " runs" } else { "" };
        let of = c["image"].as_str().map_or(String::new(), |image| format!(" of {image}"));
        format!(
            "{} {kind} {}{of}{state}: {} {}",
            word(&c["runtime"]),
            word(&c["name"]),
            word(&c["release"]),
            word(&c["packages"])
        )
    };
    let mut lines: Vec<String> =
        answer["seen"]["containers"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

#[track_caller]
fn finding<'v>(answer: &'v Value, id: &str) -> &'v Value {
    let findings = answer["findings"].as_array().unwrap();
    findings.iter().find(|f| f["id"] == id).unwrap_or_else(|| panic!("no {id}: {answer:#}"))
}

/// The advisories that a container misses.
fn missed(finding: &Value) -> Vec<&str> {
    let within = finding["findings"].as_array().unwrap();
    let of_packages =
        within.iter().filter(|f| f["kind"] == "advisory" && f["verdict"] == "missing");
    of_packages.map(|f| f["id"].as_str().unwrap()).collect()
}

fn applications(finding: &Value) -> Vec<String> {
    let within = finding["findings"].as_array().unwrap();
    let of_web = within.iter().filter(|f| f["kind"] == "web-application");
    of_web.map(|f| format!("{} {}", f["path"].as_str().unwrap(), f["version"])).collect()
}

const PODMAN: &str = r#"set -e
exec 3>&1 1>&2
in="--root $PWD/server/var/lib/containers/storage --runroot $PWD/run --storage-driver overlay"
tar -C base -cf base.tar .
podman $in import base.tar localhost/example/base:1
made=$(buildah $in from localhost/example/base:1)
place=$(buildah $in mount "$made")
rm -r "$place/srv/old"
mkdir -p "$place/srv/new/wp-includes"
printf "<?php\n\$wp_version = '5.0';\n" >"$place/srv/new/wp-includes/version.php"
rm -r "$place/var/lib/dpkg"
mkdir -p "$place/var/lib/dpkg"
sed 's/2.0-1/2.0-1+deb12u1/' base/var/lib/dpkg/status >"$place/var/lib/dpkg/status"
buildah $in umount "$made"
buildah $in commit "$made" localhost/example/new:2
buildah $in rm "$made"
podman $in create --name old localhost/example/base:1 /bin/true
podman $in create --name new localhost/example/new:2 /bin/true
umount -R server/var/lib/containers/storage/overlay 2>/dev/null || true
"#;

#[test]
fn what_podman_and_buildah_keep_is_read_layer_by_layer() {
    if !is_root() || !has("podman") || !has("buildah") {
        return not_run("podman and buildah, as root");
    }
    let folder = Folder::new();
    base(&folder);
    folder.write("server/etc/os-release", BOOKWORM);
    folder.write("server/var/lib/dpkg/status", stanza("quay", "1:4.2-3", "quay", ""));
    if apart(&folder, PODMAN).is_none() {
        println!("podman does not start on this machine");
        return;
    }
    let answer = inspect(&folder, "server", &["--format", "json", "--all"]).is(1).json();
    assert_eq!(
        seen(&answer),
        [
            "podman container new of localhost/example/new:2: debian:12 1",
            "podman container old of localhost/example/base:1: debian:12 1",
            "podman image localhost/example/base:1: debian:12 1",
            "podman image localhost/example/new:2: debian:12 1",
        ]
    );
    let old = finding(&answer, "container:podman:old");
    assert_eq!(missed(old), ["DSA-9901-1"], "{old:#}");
    assert_eq!(applications(old), ["/srv/old \"4.0\""]);
    let new = finding(&answer, "container:podman:new");
    assert!(missed(new).is_empty(), "{new:#}");
    assert_eq!(applications(new), ["/srv/new \"5.0\""]);
}

const DOCKER: &str = r#"set -e
exec 3>&1 1>&2
mount --make-rprivate /
mkdir -p state run server/var/lib
cat >containerd.toml <<END
version = 2
root = "$PWD/server/var/lib/containerd"
state = "$PWD/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$PWD/c.sock"
END
containerd -c containerd.toml >containerd.log 2>&1 &
dockerd --containerd "$PWD/c.sock" --data-root "$PWD/server/var/lib/docker" --exec-root "$PWD/run" --iptables=false \
    --ip6tables=false --bridge=none -H "unix://$PWD/d.sock" --pidfile "$PWD/pid" >dockerd.log 2>&1 &
export DOCKER_HOST="unix://$PWD/d.sock"
n=0
until docker version; do
    n=$((n + 1))
    [ $n -lt 100 ] || { cat dockerd.log; exit 1; }
    sleep 0.2
done
tar -C base -cf base.tar .
docker import base.tar example/base:1
docker create --name change example/base:1 /bin/true
mkdir -p put/wp-includes
printf "<?php\n\$wp_version = '5.0';\n" >put/wp-includes/version.php
docker cp put change:/srv/new
sed 's/2.0-1/2.0-1+deb12u1/' base/var/lib/dpkg/status >status
docker cp status change:/var/lib/dpkg/status
docker commit change example/new:2
docker rm change
docker create --name old example/base:1 /bin/true
docker run -d --name live --network none -v /usr:/usr:ro -v /usr/lib:/lib:ro -v /usr/lib64:/lib64:ro example/new:2 /usr/bin/sleep 300
docker exec live /usr/bin/rm -r /srv/old
docker save example/new:2 -o new.tar
ctr -a "$PWD/c.sock" -n k8s.io images import --no-unpack=false new.tar
ctr -a "$PWD/c.sock" -n k8s.io container create docker.io/example/new:2 pod /bin/true
# The whole machine, whose engine keeps its store in a place that no file tells.
"$MUSTER" inspect / --timeout 100 --format json >whole.json || [ $? -eq 1 ]
docker inspect -f '{{.Id}}' live >live.id
docker kill live
"#;

#[test]
fn what_docker_and_containerd_keep_is_read_and_what_runs_is_seen_by_its_root() {
    if !is_root() || !has("dockerd") || !has("containerd") || !has("runc") {
        return not_run("docker.io, containerd and runc, as root");
    }
    let folder = Folder::new();
    base(&folder);
    folder.write("server/etc/os-release", BOOKWORM);
    folder.write("server/var/lib/dpkg/status", stanza("quay", "1:4.2-3", "quay", ""));
    if apart(&folder, DOCKER).is_none() {
        println!("docker does not start on this machine");
        return;
    }
    let whole: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.at("whole.json")).unwrap()).unwrap();
    let id = std::fs::read_to_string(folder.at("live.id")).unwrap();
    let id = id.get(..12).unwrap();
    assert_eq!(seen(&whole), [format!("docker container {id} runs: debian:12 1")]);
    let answer = inspect(&folder, "server", &["--format", "json", "--all"]).is(1).json();
    assert_eq!(
        seen(&answer),
        [
            "containerd container pod of docker.io/example/new:2: debian:12 1",
            "containerd image docker.io/example/new:2: debian:12 1",
            "docker container live of example/new:2: debian:12 1",
            "docker container old of example/base:1: debian:12 1",
            "docker image example/base:1: debian:12 1",
            "docker image example/new:2: debian:12 1",
        ]
    );
    let old = finding(&answer, "container:docker:old");
    assert_eq!(missed(old), ["DSA-9901-1"], "{old:#}");
    assert_eq!(applications(old), ["/srv/old \"4.0\""]);
    let live = finding(&answer, "container:docker:live");
    assert!(missed(live).is_empty(), "{live:#}");
    assert_eq!(applications(live), ["/srv/new \"5.0\""]);
    let both = ["/srv/new \"5.0\"", "/srv/old \"4.0\""];
    assert_eq!(applications(finding(&answer, "image:docker:example/new:2")), both);
    assert_eq!(applications(finding(&answer, "container:containerd:pod")), both);
}

/// Systems in containers, laid out as their managers do.
fn systems() -> Folder {
    let folder = Folder::new();
    folder.write("etc/os-release", BOOKWORM);
    folder.write("var/lib/dpkg/status", stanza("quay", "1:4.2-3", "quay", ""));
    for root in [
        "var/lib/lxc/plain/rootfs",
        "srv/elsewhere",
        "var/lib/lxd/storage-pools/default/containers/box/rootfs",
        "var/lib/machines/nest",
        "var/lib/lxc/joined/lower",
    ] {
        folder.write(&format!("{root}/etc/os-release"), BOOKWORM);
        folder.write(
            &format!("{root}/var/lib/dpkg/status"),
            stanza("harbour", "2.0-1", "harbour", ""),
        );
    }
    folder.write("var/lib/lxc/plain/config", "lxc.uts.name = plain\n");
    folder.write(
        "var/lib/lxc/moved/config",
        "lxc.rootfs = /nowhere\nlxc.rootfs.path = dir:/srv/elsewhere\n",
    );
    folder.write(
        "var/lib/lxc/joined/config",
        "lxc.rootfs.path = overlay:/var/lib/lxc/joined/lower:/var/lib/lxc/joined/delta\n",
    );
    folder.write(
        "var/lib/lxc/joined/delta/var/lib/dpkg/status",
        stanza("harbour", "2.0-1+deb12u1", "harbour", ""),
    );
    folder.write("var/lib/lxc/gone/config", "lxc.rootfs.path = /dev/vg/gone\n");
    folder.write("var/lib/machines/disk.raw", "x");
    folder
}

#[test]
fn systems_in_containers_are_judged_as_servers() {
    let folder = systems();
    let feeds = Folder::new();
    let file = feeds::debian_file(&feeds);
    let root = folder.text("");
    let asked = ["inspect", &root, "--now", NOW, "--advisories", &file];
    let answer = run(&[&asked[..], &["--format", "json"]].concat()).is(1).json();
    assert_eq!(
        seen(&answer),
        [
            "lxc container gone: null null",
            "lxc container joined: debian:12 1",
            "lxc container moved: debian:12 1",
            "lxc container plain: debian:12 1",
            "lxd container box: debian:12 1",
            "systemd-nspawn container disk: null null",
            "systemd-nspawn container nest: debian:12 1",
        ]
    );
    for id in ["container:lxc:moved", "container:lxc:plain", "container:lxd:box"] {
        assert_eq!(missed(finding(&answer, id)), ["DSA-9901-1"]);
        assert_eq!(finding(&answer, id)["verdict"], "missing");
    }
    let unread = finding(&answer, "container:lxc:gone");
    assert_eq!(unread["verdict"], "unknown");
    assert!(unread["title"].as_str().unwrap().contains("/dev/vg/gone"), "{unread}");
    let unknown = answer["unknown"].to_string();
    assert!(unknown.contains("container:lxc:gone") && unknown.contains("disk.raw"), "{unknown}");
    let joined = finding(&answer, "container:lxc:joined");
    assert!(missed(joined).is_empty(), "the upper layer has the patch: {joined}");

    let table = run(&asked).is(1);
    let text = table.text().to_owned();
    let in_one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(in_one_line.contains("has 4 containers that are not up to date"), "{text}");
    assert!(in_one_line.contains("lxc-attach --name plain -- sh"), "{text}");
    assert!(in_one_line.contains("closes DSA-9901-1"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let page = run(&["explain", "container:lxc:plain", &root, "--now", NOW, "--advisories", &file]);
    let page = page.is(1).text().to_owned();
    for word in ["DSA-9901-1", "lxc-attach --name plain -- ", "What to type"] {
        assert!(page.contains(word), "{word}: {page}");
    }

    // Every other format says the same of what is within.
    for format in ["ndjson", "sarif", "cyclonedx", "openvex", "csv"] {
        let text = run(&[&asked[..], &["--format", format]].concat()).is(1).text().to_owned();
        assert!(text.contains("container:lxc:plain"), "{format}: {text}");
        assert!(text.contains("CVE-2026-9001"), "{format}: {text}");
    }
}

#[test]
fn of_a_tar_containers_are_named_and_unknown() {
    let folder = systems();
    let tar = Folder::new();
    let made = Command::new("tar")
        .args(["-C", &folder.text(""), "-cf", &tar.text("server.tar"), "."])
        .status()
        .unwrap();
    assert!(made.success());
    let answer = run(&["inspect", &tar.text("server.tar"), "--now", NOW, "--format", "json"]);
    let answer = answer.is(1).json();
    let plain = finding(&answer, "container:lxc:plain");
    assert_eq!(plain["verdict"], "unknown");
    assert!(plain["title"].as_str().unwrap().contains("tar"), "{plain}");
}

#[test]
fn volumes_are_files_of_the_server_and_layers_are_not() {
    let folder = Folder::new();
    folder.write("etc/os-release", BOOKWORM);
    folder.write("var/lib/dpkg/status", stanza("quay", "1:4.2-3", "quay", ""));
    folder.write("etc/docker/daemon.json", "{\"data-root\": \"/srv/docker\"}");
    let version = "<?php\n$wp_version = '4.0';\n";
    for place in [
        "var/lib/docker/volumes/blog/_data",
        "var/lib/docker/overlay2/x/diff/srv",
        "var/lib/docker/vfs/dir/x",
        "var/lib/containers/storage/volumes/v/_data",
        "var/lib/containers/storage/overlay/x/diff",
        "srv/a/.local/share/containers/storage/volumes/own/_data",
        "srv/docker/volumes/moved/_data",
        "srv/docker/overlay2/x/diff",
    ] {
        folder.write(&format!("{place}/wp-includes/version.php"), version);
    }
    let paths = |answer: &Value| -> Vec<String> {
        let findings = answer["findings"].as_array().unwrap().iter();
        findings.filter_map(|f| f["path"].as_str().map(str::to_owned)).collect()
    };
    let ask =
        |root: &str| run(&["inspect", root, "--now", NOW, "--all", "--format", "json"]).json();
    let expected = [
        "/srv/a/.local/share/containers/storage/volumes/own/_data",
        "/srv/docker/volumes/moved/_data",
        "/var/lib/containers/storage/volumes/v/_data",
        "/var/lib/docker/volumes/blog/_data",
    ];
    let answer = ask(&folder.text(""));
    let mut found = paths(&answer);
    found.sort();
    assert_eq!(found, expected);
    assert!(answer["seen"]["web"]["not_walked"].to_string().contains("\"/var/lib/docker\""));
    let tar = Folder::new();
    let made = Command::new("tar")
        .args(["-C", &folder.text(""), "-cf", &tar.text("server.tar"), "."])
        .status()
        .unwrap();
    assert!(made.success());
    let of_tar = ask(&tar.text("server.tar"));
    assert!(of_tar["seen"]["web"]["not_walked"].to_string().contains("\"/var/lib/docker\""));
    let mut found = paths(&of_tar);
    found.sort();
    assert_eq!(found, expected);
}

/// Stores that no engine made.
#[test]
fn a_hostile_store_costs_no_more_than_its_bounds() {
    let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let server = || {
        let folder = Folder::new();
        folder.write("etc/os-release", BOOKWORM);
        folder.write("etc/shadow", "root:secret:1:");
        folder.write("var/lib/dpkg/status", stanza("quay", "1:4.2-3", "quay", ""));
        folder
    };
    let docker = "var/lib/docker";
    let config = format!(
        "{{\"ID\":\"{id}\",\"Name\":\"/\\u001b[2Jx;reboot\",\"Driver\":\"overlay2\",\"Config\":{{\"Image\":\"$(reboot)\"}}}}"
    );
    let laid = |lower: &str, more: &[(&str, &str)]| {
        let folder = server();
        folder.write(&format!("{docker}/containers/{id}/config.v2.json"), &config);
        folder.write(&format!("{docker}/image/overlay2/layerdb/mounts/{id}/mount-id"), "top");
        folder.write(&format!("{docker}/overlay2/top/diff/etc/os-release"), BOOKWORM);
        folder.write(&format!("{docker}/overlay2/top/lower"), lower);
        for (path, text) in more {
            folder.write(path, text);
        }
        folder
    };
    let ask = |folder: &Folder| {
        let ran = run_bounded(&["inspect", &folder.text(""), "--now", NOW, "--format", "json"]);
        assert!(!ran.text().contains('\u{1b}') && !ran.text().contains("secret"), "{ran:?}");
        ran.is(1).json()
    };
    let many = "l/A:".repeat(10_000);
    let long = "x".repeat(100 << 10);
    for lower in ["../../../../etc", "l/../../..", "l/A", &many, &long, "l/", "\0", "l/A:l/A"] {
        let folder = laid(lower, &[]);
        std::fs::create_dir_all(folder.at(&format!("{docker}/overlay2/l"))).unwrap();
        std::os::unix::fs::symlink(
            "../../../../../etc",
            folder.at(&format!("{docker}/overlay2/l/A")),
        )
        .unwrap();
        let answer = ask(&folder);
        let told = finding(&answer, "container:docker:\u{1b}[2Jx;reboot");
        if lower != "l/" {
            assert_eq!(told["verdict"], "unknown", "{lower:.20}: {told}");
        }
        assert!(!told["action"].as_str().unwrap().contains(" $(reboot)"), "{told}");
    }
    // A layer that is a link to the server's own root is none.
    let folder = laid("", &[]);
    let diff = folder.at(&format!("{docker}/overlay2/top/diff"));
    std::fs::remove_dir_all(&diff).unwrap();
    std::os::unix::fs::symlink("/", &diff).unwrap();
    let answer = ask(&folder);
    assert_eq!(finding(&answer, "container:docker:\u{1b}[2Jx;reboot")["verdict"], "unknown");

    for (path, bytes) in [
        ("var/lib/docker/image/overlay2/repositories.json", "[".repeat(1 << 20)),
        ("var/lib/docker/image/overlay2/repositories.json", " ".repeat(40 << 20)),
        ("var/lib/containers/storage/overlay-images/images.json", "[{\"id\":1}]".to_owned()),
        ("var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db", "x".repeat(1 << 20)),
        ("var/lib/docker/containers/x/config.v2.json", "{".to_owned()),
    ] {
        let folder = server();
        folder.write("var/lib/containers/storage/overlay-layers/x", "");
        folder.write(path, bytes);
        let answer = ask(&folder);
        assert!(answer["unknown"].to_string().contains(path), "{path}: {}", answer["unknown"]);
    }
    let mut clean = muster();
    let clean = finished(clean.args(["inspect", &server().text(""), "--format", "json"])).json();
    assert_eq!(clean["seen"]["containers"], serde_json::json!([]));
}
