//! Whom a server over SSH lets look at what: an account that is not root, sudo that refuses, asks or allows, and a server
//! that has nothing but busybox.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::lamp::parts;
use crate::over_ssh::{Alone, SERVER, Sshd, learned, may_make_namespaces, same};
use crate::runs::{self, Folder, NOW, Ran, not_run, run};

/// An account, what it may not read, and a sudo whose words are those of a file.
const ACCOUNT: &str = r#"echo 'eve:x:4711:4711::/:/bin/sh' >>"$root/etc/passwd"
mkdir -p "$root/etc/pam.d" "$root/srv/closed/blog/wp-includes"
printf 'auth required pam_deny.so\naccount required pam_permit.so\nsession required pam_permit.so\n' >"$root/etc/pam.d/sudo"
printf '<?php\n$wp_version = "4.8";\n' >"$root/srv/closed/blog/wp-includes/version.php"
chmod 0700 "$root/srv/closed"
"#;

/// A server whose every tool is busybox's; sshd and what it is linked with come beside it.
const BUSYBOX: &str = r#"set -e
root=$1 own=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
for name in bin sbin lib lib64; do [ -L /$name ] && cp -P /$name "$root/"; done
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$root/lib" "$root/lib64"
mkdir -p "$root/proc" "$root/dev" "$root/run/sshd" "$root/tmp" "$root/etc" "$root/var/lib/dpkg" "$root/$own"
for file in /usr/sbin/sshd /usr/bin/busybox /usr/lib/openssh/sshd-session /usr/lib/openssh/sshd-auth; do
    [ -e $file ] || continue
    mkdir -p "$root/${file%/*}"
    cp $file "$root/$file"
    for library in $(ldd $file | grep -o '/[^ ]*'); do mkdir -p "$root/${library%/*}"; cp -L $library "$root/$library"; done
done
for library in $(ldd "$own/muster" | grep -o '/[^ ]*'); do mkdir -p "$root/${library%/*}"; cp -L $library "$root/$library"; done
for name in $(busybox --list); do [ -e "$root/usr/bin/$name" ] || ln -s busybox "$root/usr/bin/$name"; done
printf 'root:x:0:0::/:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n' >"$root/etc/passwd"
cp /etc/os-release "$root/etc/"
cp /var/lib/dpkg/status "$root/var/lib/dpkg/"
mkdir -p "$root/opt/old wiki/includes" "$root/var/empty"
printf "<?php\ndefine( 'MW_VERSION', '1.31.0' );\n" >"$root/opt/old wiki/includes/Defines.php"
mount -t proc proc "$root/proc"
for name in null zero urandom; do touch "$root/dev/$name"; mount --bind /dev/$name "$root/dev/$name"; done
mount --bind "$own" "$root/$own"
ip link set lo up
cd "$root"
mkdir old
pivot_root . old
umount -l /old
rmdir /old
exec "$@"
"#;

/// A server with an account, and its root as it is seen from outside.
fn with_account() -> Option<(Sshd, PathBuf)> {
    if !may_make_namespaces() {
        not_run("root, namespaces and busybox");
        return None;
    }
    let root = Folder::new();
    open(root.path());
    let path = root.path().to_owned();
    let script = SERVER.replace("ip link set lo up\n", &format!("ip link set lo up\n{ACCOUNT}"));
    let sshd = Sshd::start_with(None, None, Some(Alone { root, script }))?;
    open(sshd.folder.path());
    Some((sshd, path))
}

/// Lets other accounts pass.
fn open(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn as_eve(sshd: &Sshd, more: &[&str]) -> Ran {
    let target = sshd.target().replace("ssh://", "ssh://eve@");
    let config = sshd.config();
    let mut words = vec!["inspect", &target, "--ssh-config", &config, "--now", NOW];
    words.extend(["--format", "json", "--all"]);
    words.extend(more);
    run(&words)
}

#[test]
fn who_is_not_root_sees_the_same_but_for_what_is_named() {
    let Some((sshd, _)) = with_account() else { return };
    let root = learned(&sshd.inspect(&["--format", "json", "--all"]));
    let eve = learned(&as_eve(&sshd, &[]));
    let (root, eve) = (parts(&root), parts(&eve));
    let named: Vec<&str> = eve
        .iter()
        .filter(|(key, why)| key.starts_with("unknown ") && why.to_string().contains("needs root"))
        .map(|(key, _)| key.trim_start_matches("unknown "))
        .collect();
    assert!(named.contains(&"/srv/closed"), "{named:?}");
    for (key, value) in &root {
        if eve.get(key) == Some(value) {
            continue;
        }
        // What lies in the closed folder, which process holds a socket, and the sum of it all.
        let sums = ["sentence", "seen/listeners", "seen/web"];
        let is_told = key.contains("/srv/closed/")
            || sums.contains(&key.as_str())
            || (key.starts_with("unknown ") && key.ends_with(" web applications"));
        assert!(
            is_told,
            "{key}: {value} is {:?} to who is not root; told is {named:?}",
            eve.get(key)
        );
    }
    for key in eve.keys().filter(|key| !root.contains_key(*key)) {
        let is_sum = key.ends_with(" web applications");
        assert!(
            is_sum || named.iter().any(|name| *key == format!("unknown {name}")),
            "{key} is new"
        );
    }
}

#[test]
fn sudo_refuses_asks_or_allows() {
    if !runs::has("sudo") {
        return not_run("sudo");
    }
    let Some((sshd, root)) = with_account() else { return };
    let sudoers = root.join("etc/sudoers");
    let allow = |line: &str| {
        std::fs::write(&sudoers, format!("root ALL=(ALL) ALL\n{line}\n")).unwrap();
        std::fs::set_permissions(&sudoers, std::fs::Permissions::from_mode(0o440)).unwrap();
    };
    let target = sshd.target().replace("ssh://", "ssh://eve@");
    for line in ["", "eve ALL=(ALL) ALL", "eve ALL=(root) NOPASSWD: /usr/bin/true"] {
        allow(line);
        as_eve(&sshd, &["--sudo"]).refused(&["sudo", &target]);
    }
    let said = run(&["ssh-key", "--sudo", "--user", "eve"]).is(0);
    allow(said.text().lines().nth(1).unwrap());
    let ran = as_eve(&sshd, &["--sudo"]);
    assert_eq!(ran.err, "");
    let as_root = learned(&sshd.inspect(&["--format", "json", "--all"]));
    assert_eq!(parts(&learned(&ran)), parts(&as_root));
    same(&learned(&ran), &as_root);
}

#[test]
fn busybox_is_enough() {
    if !may_make_namespaces() {
        return not_run("root, namespaces and busybox");
    }
    let alone = Alone { root: Folder::new(), script: BUSYBOX.to_owned() };
    let Some(sshd) = Sshd::start_with(None, None, Some(alone)) else { return };
    let over = learned(&sshd.inspect(&["--format", "json", "--all"]));
    assert!(over["packages"]["installed"].as_u64().unwrap() > 50, "{over:#}");
    assert!(over.to_string().contains("/opt/old wiki"));
    assert_eq!(parts(&over), parts(&sshd.local()));
    same(&over, &sshd.local());
}
