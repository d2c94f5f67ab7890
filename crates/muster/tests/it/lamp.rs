//! A real server of the kind that issue 4 is about, built from Debian's packages: Apache with PHP, MariaDB, plain FTP,
//! MediaWiki and WordPress as Debian has them, and old ones that somebody unpacked by hand. Its services run in
//! namespaces of the test's own; it misses patches, and a library is upgraded beneath a running service.
//!
//! It is asked on the spot, over SSH, as a folder and as a tar. What one way cannot see is in [`PERMITTED`], with the
//! reason; all else is equal. The packages come from the archives that this machine is set up for.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::feeds::osv;
use crate::over_ssh::{Alone, Sshd, learned, may_make_namespaces, same};
use crate::runs::{self, Folder, NOW, not_run, run};

/// What a server of 2007 would be made of today.
const PACKAGES: &str =
    "apache2,libapache2-mod-php,mariadb-server,openssh-server,vsftpd,mediawiki,wordpress,cron";
/// Its services: the name of the process, and the port it listens at.
const SERVICES: [(&str, u64); 3] = [("vsftpd", 21), ("apache2", 80), ("mariadbd", 3306)];
/// What lies on it: product, path, owner, the package it is of if any, whether a web server leads to it.
const APPLICATIONS: [(&str, &str, &str, &str, bool); 6] = [
    ("wordpress", "/srv/vhosts/old shop/blog", "www-data", "", true),
    ("wordpress", concat!("/home", "/tom/blog.bak"), "tom", "", false),
    ("mediawiki", concat!("/home", "/eva/public_html/wiki"), "eva", "", false),
    ("phpmyadmin", "/opt/pma-4.8.1", "root", "", true),
    ("wordpress", "/usr/share/wordpress", "root", "wordpress", false),
    ("mediawiki", "/usr/share/mediawiki", "root", "mediawiki", true),
];
/// What a folder and a tar cannot tell as the running server does: the beginning of what differs, and the reason.
const PERMITTED: [(&str, &str); 7] = [
    ("finding restart:", "which files a process has mapped is known of running processes alone"),
    ("finding cleartext:ftp:[::]:21/pid", "a service that does not run has no process"),
    ("finding cleartext:ftp:[::]:21/title", "it is *configured* to answer, and said to be"),
    ("seen/kernel/running", "no kernel runs in a folder"),
    ("seen/listeners", "sockets are of a running system; configured services in clear are told"),
    ("unknown the running kernel", "it is the kernel of the machine that tests, and of no package"),
    ("sentence", "it counts the above"),
];

/// Makes a server of the root, in namespaces of its own, and starts what follows beneath a first process called init.
const START: &str = r#"set -e
root=$1 own=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs none "$root/run"
mkdir -p "$root/run/sshd" "$root/run/lock" "$root/$own"
mount -t tmpfs none "$root/dev"
for name in null zero full random urandom tty; do touch "$root/dev/$name"; mount --bind /dev/$name "$root/dev/$name"; done
ln -s /proc/self/fd "$root/dev/fd"
mount --bind "$own" "$root/$own"
ip link set lo up
ip address add 192.88.99.10/32 dev lo
hostname lamp
cd "$root"
mkdir -p old
pivot_root . old
umount -l /old
rmdir /old
exec /usr/local/sbin/init "$@"
"#;

/// The first process: starts the services by their own scripts, and sshd; it waits for whatever ends.
const INIT: &str = "#!/bin/sh\nfor name in apache2 mariadb vsftpd cron; do service $name start; done >>/var/log/started 2>&1 </dev/null\n\"$@\" &\nwait\n";

/// What people did to it by hand, beside its packages.
const BY_HAND: &str = r#"set -e
useradd --create-home eva
useradd --create-home tom
blog='/srv/vhosts/old shop/blog'
homes=/home
mkdir -p "$blog/wp-includes" "$blog/wp-content/plugins/cart"
printf '<?php\n$wp_version = "4.7";\n' >"$blog/wp-includes/version.php"
printf '<?php\n/*\nPlugin Name: Cart\nVersion: 1.2\n*/\n' >"$blog/wp-content/plugins/cart/cart.php"
cp -r "$blog" $homes/tom/blog.bak
chown -R www-data: "/srv/vhosts/old shop"
chown -R tom: $homes/tom
mkdir -p $homes/eva/public_html/wiki/includes
printf "<?php\ndefine( 'MW_VERSION', '1.31.0' );\n" >$homes/eva/public_html/wiki/includes/Defines.php
chown -R eva: $homes/eva
mkdir -p /opt/pma-4.8.1/libraries/classes
printf "<?php\nclass Config {\n\$this->set('PMA_VERSION', '4.8.1');\n}\n" >/opt/pma-4.8.1/libraries/classes/Config.php
echo 127.0.1.1 lamp >>/etc/hosts
printf '<VirtualHost *:80>\nServerName shop.example.org\nDocumentRoot "/srv/vhosts/old shop/blog"\nAlias /sql /opt/pma-4.8.1\n</VirtualHost>\n' >/etc/apache2/sites-available/shop.conf
ln -s ../sites-available/shop.conf /etc/apache2/sites-enabled/shop.conf
"#;

/// Fetches what the security archive has, and the library that is upgraded later; installs nothing.
const LOOK_FOR_UPDATES: &str = r#"set -e
apt-get update -qq
package=$(dpkg-query -S '*/libaprutil-1.so.0' | head -n 1 | cut -d: -f1)
apt-get install -qq -y --reinstall --download-only "$package"
echo "$package" >/root/upgrade
"#;

/// The addresses of the machine's own archives: of its release, and of its security updates.
struct Archives {
    codename: String,
    release: String,
    security: String,
}

impl Archives {
    /// Reads them from the machine's sources, in either form (sources.list(5)).
    fn own() -> Option<Self> {
        let os = std::fs::read_to_string("/etc/os-release").ok()?;
        let codename = os.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
        let of = |suite: &str| -> Option<String> {
            let mut texts =
                vec![std::fs::read_to_string("/etc/apt/sources.list").unwrap_or_default()];
            for entry in
                std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten()
            {
                texts.push(std::fs::read_to_string(entry.path()).unwrap_or_default());
            }
            texts.iter().find_map(|text| address(text, suite))
        };
        Some(Self {
            codename: codename.to_owned(),
            release: of(codename)?,
            security: of(&format!("{codename}-security"))?,
        })
    }
}

/// The address that a suite has in a list of sources.
fn address(text: &str, suite: &str) -> Option<String> {
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            let line = stanza.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        if field("Suites:").is_some_and(|suites| suites.iter().any(|one| one == suite)) {
            return field("URIs:")?.into_iter().next();
        }
    }
    text.lines().filter(|line| line.starts_with("deb ")).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == suite)?;
        words.get(at.checked_sub(1)?).map(|word| (*word).to_owned())
    })
}

/// Runs a program to its end; what it said where it failed.
fn done(command: &mut Command) -> Result<(), String> {
    let ran = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    Err(format!("{command:?}: {said}"))
}

/// Builds it in a folder.
fn build(root: &Path) -> Result<(), String> {
    let archives = Archives::own().ok_or("the sources of this machine name no archive")?;
    done(
        Command::new("mmdebstrap")
            .args(["--quiet", "--variant=minbase", &format!("--include={PACKAGES}")])
            .arg(&archives.codename)
            .arg(root)
            .arg(&archives.release),
    )?;
    let list = root.join("etc/apt/sources.list");
    let mut sources = std::fs::read_to_string(&list).map_err(|error| error.to_string())?;
    sources += &format!("deb {} {}-security main\n", archives.security, archives.codename);
    std::fs::write(&list, sources).map_err(|error| error.to_string())?;
    let init = root.join("usr/local/sbin/init");
    std::fs::write(&init, INIT).map_err(|error| error.to_string())?;
    std::fs::set_permissions(&init, std::fs::Permissions::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    for script in [BY_HAND, LOOK_FOR_UPDATES] {
        done(Command::new("chroot").arg(root).args(["sh", "-c", script]))?;
    }
    Ok(())
}

/// Advisories: of two applications no version is good enough, packaged or not; vsftpd has a flaw that Debian knows.
fn advisories(folder: &Folder) -> String {
    let os = std::fs::read_to_string("/etc/os-release").unwrap();
    let version = os.lines().find_map(|line| line.strip_prefix("VERSION_ID=")).unwrap();
    let debian = format!("Debian:{}", version.trim_matches('"'));
    let time = "2026-10-01T00:00:00Z";
    let records = [
        osv("TEST-2026-9201", "Packagist", "mediawiki/core", Some("999.0.0"), time),
        osv("TEST-2026-9202", "Packagist", "johnpbloch/wordpress-core", Some("999.0.0"), time),
        osv("TEST-2026-9203", "Packagist", "phpmyadmin/phpmyadmin", Some("4.8.4"), time),
        osv("DEBIAN-CVE-2026-9204", &debian, "vsftpd", Some("999"), time),
    ];
    folder.write("all.osv.ndjson", records.concat());
    let file = folder.text("all.adv");
    run(&["feed", "build", "-o", &file, &folder.text("all.osv.ndjson")]).is(0);
    file
}

/// The server, and the ways to ask it.
struct Lamp {
    sshd: Sshd,
    root: PathBuf,
    file: String,
}

impl Lamp {
    fn words(&self) -> [&str; 7] {
        ["--advisories", &self.file, "--now", NOW, "--all", "--format", "json"]
    }

    fn over_ssh(&self) -> Value {
        let (target, config) = (self.sshd.target(), self.sshd.config());
        let mut words = vec!["inspect", &target, "--ssh-config", &config];
        words.extend(self.words());
        let ran = run(&words).is(1);
        assert_eq!(ran.err, "");
        learned(&ran)
    }

    fn on_the_spot(&self) -> Value {
        let words = self.words().join(" ");
        rootless(
            &self.tell(&format!(
                "{} inspect / {words} || [ $? = 1 ]",
                self.sshd.folder.text("muster")
            )),
        )
    }

    fn as_folder(&self) -> Value {
        let root = self.root.to_str().unwrap();
        let mut words = vec!["inspect", root];
        words.extend(self.words());
        learned(&run(&words).is(1))
    }

    fn as_tar(&self) -> Value {
        let folder = Folder::new();
        let tar = folder.text("server.tar");
        // Sockets are no members of a tar, and what a running server writes to changes meanwhile.
        let packed = Command::new("tar")
            .args(["-cf", &tar, "-C"])
            .arg(&self.root)
            .arg(".")
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(packed.code().is_some_and(|code| code <= 1));
        let mut words = vec!["inspect", &tar];
        words.extend(self.words());
        learned(&run(&words).is(1))
    }

    /// Runs a command on it as its administrator.
    fn tell(&self, line: &str) -> String {
        let said = self.sshd.tell(line);
        assert!(said.status.success(), "{line}: {said:?}");
        String::from_utf8(said.stdout).unwrap()
    }
}

fn rootless(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    value["root"] = Value::Null;
    value
}

/// Takes an answer apart: a line for all that may differ by itself.
pub(crate) fn parts(answer: &Value) -> BTreeMap<String, Value> {
    let mut parts = BTreeMap::new();
    for (key, value) in answer.as_object().unwrap() {
        match key.as_str() {
            "findings" => {
                for finding in value.as_array().unwrap() {
                    let id = finding["id"].as_str().unwrap();
                    for (key, value) in finding.as_object().unwrap() {
                        parts.insert(format!("finding {id}/{key}"), value.clone());
                    }
                }
            }
            "unknown" => {
                for unknown in value.as_array().unwrap() {
                    let what = unknown["what"].as_str().unwrap();
                    parts.insert(format!("unknown {what}"), unknown["why"].clone());
                }
            }
            "seen" => {
                for (key, value) in value.as_object().unwrap() {
                    match value.as_object().filter(|_| key == "kernel") {
                        Some(kernel) => parts.extend(
                            kernel.iter().map(|(k, v)| (format!("seen/kernel/{k}"), v.clone())),
                        ),
                        None => drop(parts.insert(format!("seen/{key}"), value.clone())),
                    }
                }
            }
            _ => drop(parts.insert(key.clone(), value.clone())),
        }
    }
    parts
}

/// Holds that nothing differs but what may, and that all differs that may: a row that nothing needs is a lie.
fn differs_as_permitted(running: &Value, lying: &Value) {
    let (running, lying) = (parts(running), parts(lying));
    let keys: BTreeSet<&String> = running.keys().chain(lying.keys()).collect();
    let mut used = BTreeSet::new();
    for key in keys.into_iter().filter(|key| running.get(*key) != lying.get(*key)) {
        let row = PERMITTED.iter().position(|(what, _)| key.starts_with(what));
        let (running, lying) = (running.get(key), lying.get(key));
        used.insert(row.unwrap_or_else(|| panic!("{key}: {running:?} runs, {lying:?} lies")));
    }
    for (at, (what, why)) in PERMITTED.iter().enumerate() {
        assert!(used.contains(&at), "does not differ: {what} ({why})");
    }
}

fn of_kind<'v>(answer: &'v Value, kind: &str) -> Vec<&'v Value> {
    answer["findings"].as_array().unwrap().iter().filter(|f| f["kind"] == kind).collect()
}

/// What apt itself would upgrade, from the security archive: package and version.
fn apt_would(lamp: &Lamp) -> BTreeSet<(String, String)> {
    let said = lamp.tell("apt-get -s -qq dist-upgrade");
    let lines = said.lines().filter_map(|line| line.strip_prefix("Inst "));
    let upgraded = lines.filter(|line| line.contains("] ("));
    upgraded
        .map(|line| {
            let candidate = line.split_once('(').unwrap().1.split(' ').next().unwrap();
            (line.split(' ').next().unwrap().to_owned(), candidate.to_owned())
        })
        .collect()
}

fn missed(answer: &Value) -> BTreeSet<(String, String)> {
    let packages = of_kind(answer, "archive-update");
    let packages = packages.iter().flat_map(|f| f["packages"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    packages.map(|p| (text(&p["name"]), text(&p["candidate"]))).collect()
}

/// What is expected of each answer, however it was asked.
fn holds(lamp: &Lamp, answer: &Value) {
    assert_eq!(missed(answer), apt_would(lamp));
    for (product, path, account, package, is_served) in APPLICATIONS {
        let of = of_kind(answer, "web-application");
        let of = of.iter().find(|f| f["path"] == path && f["product"] == product);
        let of = of.unwrap_or_else(|| panic!("{product} at {path} is not found: {answer:#}"));
        let is =
            (&of["account"], &of["owner_package"], of["served_by"].is_string(), &of["verdict"]);
        // What a package brought is judged by the distribution, whatever upstream's numbers say.
        let verdict = if package.is_empty() { "missing" } else { "not-affected" };
        let package = if package.is_empty() { Value::Null } else { package.into() };
        assert_eq!(is, (&account.into(), &package, is_served, &verdict.into()), "{of:#}");
    }
    let flaws = of_kind(answer, "advisory");
    assert!(flaws.iter().any(|f| f["source"] == "vsftpd" && f["verdict"] == "missing"));
    let clear = of_kind(answer, "cleartext-service");
    assert_eq!(clear.len(), 1, "{clear:#?}");
    assert_eq!((&clear[0]["protocol"], &clear[0]["reach"]), (&"ftp".into(), &"public".into()));
    assert_eq!((&clear[0]["unit"], &clear[0]["package"]), (&"vsftpd".into(), &"vsftpd".into()));
}

/// Asks the running server both ways, which must agree on everything.
fn both(lamp: &Lamp) -> Value {
    let (over, on_the_spot) = (lamp.over_ssh(), lamp.on_the_spot());
    same(&over, &on_the_spot);
    holds(lamp, &over);
    for (process, port) in SERVICES {
        let listeners = over["seen"]["listeners"].as_array().unwrap();
        let is = listeners.iter().any(|l| l["process"] == process && l["port"] == port);
        assert!(is, "{process} does not listen at {port}: {listeners:#?}");
    }
    over
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how long it took is told, and nothing depends on it"
)]
fn a_lamp_server_tells_the_same_however_it_is_asked() {
    if !may_make_namespaces() {
        return not_run("root, namespaces and busybox");
    }
    if !runs::has("mmdebstrap") {
        return not_run("mmdebstrap");
    }
    let folder = Folder::new();
    // The accounts of the services must pass through it.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let root = folder.path().to_owned();
    let begun = Instant::now();
    build(&root).unwrap();
    let built = begun.elapsed();
    let Some(sshd) =
        Sshd::start_with(None, None, Some(Alone { root: folder, script: START.to_owned() }))
    else {
        return;
    };
    let file = advisories(&sshd.folder);
    let lamp = Lamp { sshd, root, file };

    let before = both(&lamp);
    assert_eq!(of_kind(&before, "restart"), [&Value::Null; 0]);
    // dpkg puts a newer library in the place of that which Apache has in use.
    lamp.tell(
        "apt-get install -qq -y --reinstall --no-download $(cat /root/upgrade) >/dev/null 2>&1",
    );
    let owing = both(&lamp);
    let restarts = of_kind(&owing, "restart");
    assert_eq!(restarts.len(), 1, "{restarts:#?}");
    assert_eq!(restarts[0]["unit"], "apache2");
    assert_eq!(restarts[0]["action"], "service apache2 restart");
    let (as_folder, as_tar) = (lamp.as_folder(), lamp.as_tar());
    assert_eq!(parts(&as_tar), parts(&as_folder));
    same(&as_tar, &as_folder);
    holds(&lamp, &as_tar);
    differs_as_permitted(&owing, &as_tar);
    lamp.tell(&format!("{} >/dev/null 2>&1", restarts[0]["action"].as_str().unwrap()));
    let after = both(&lamp);
    assert_eq!(of_kind(&after, "restart"), [&Value::Null; 0]);
    tell(&[
        ("before", &before),
        ("upgraded", &owing),
        ("as a tar", &as_tar),
        ("restarted", &after),
    ]);
    println!("built in {} s, all in {} s", built.as_secs(), begun.elapsed().as_secs());
}

/// The figures, for whoever looks.
fn tell(answers: &[(&str, &Value)]) {
    for (name, answer) in answers {
        println!(
            "{name}: {} packages, {} with updates missed, {} restarts, {} services in clear, {} applications and parts, {} listeners, {} unknown: {}",
            answer["packages"]["installed"],
            missed(answer).len(),
            of_kind(answer, "restart").len(),
            of_kind(answer, "cleartext-service").len(),
            of_kind(answer, "web-application").len(),
            answer["seen"]["listeners"].as_array().unwrap().len(),
            answer["unknown"].as_array().unwrap().len(),
            answer["sentence"].as_str().unwrap(),
        );
    }
}
