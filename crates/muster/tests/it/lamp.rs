//! A real server of the kind that issue 4 is about, built from Debian's packages: Apache with PHP, MariaDB, plain FTP,
//! MediaWiki and WordPress as Debian has them, and old ones that somebody unpacked by hand. Its services run in
//! namespaces of the test's own; it misses patches, and a library is upgraded beneath a running service.
//!
//! It is asked on the spot, over SSH, as a folder and as a tar. What one way cannot see is in [`PERMITTED`], with the
//! reason; all else is equal. The packages come from the archives that this machine is set up for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::feeds::osv;
use crate::over_ssh::{Alone, Sshd, learned, may_make_namespaces};
use crate::runs::{self, Folder, NOW, not_run, run};

/// What a server of 2007 would be made of today.
const PACKAGES: &str = "apache2,libapache2-mod-php,mariadb-server,openssh-server,vsftpd,mediawiki,wordpress,cron";
/// Its services, as their own scripts start them.
const SERVICES: [&str; 4] = ["apache2", "mariadb", "vsftpd", "cron"];

/// Starts the services in a root of their own, and at last what follows.
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
hostname lamp
cd "$root"
mkdir -p old
pivot_root . old
umount -l /old
rmdir /old
for name in apache2 mariadb vsftpd cron; do service $name start >>/var/log/started 2>&1 </dev/null; done
exec "$@"
"#;

/// What people did to it by hand, beside its packages.
const BY_HAND: &str = r#"set -e
useradd --create-home eva
useradd --create-home tom
blog='/srv/vhosts/old shop/blog'
mkdir -p "$blog/wp-includes" "$blog/wp-content/plugins/cart"
printf '<?php\n$wp_version = "4.7";\n' >"$blog/wp-includes/version.php"
printf '<?php\n/*\nPlugin Name: Cart\nVersion: 1.2\n*/\n' >"$blog/wp-content/plugins/cart/cart.php"
cp -r "$blog" /home/tom/blog.bak
chown -R www-data: "/srv/vhosts/old shop"
chown -R tom: /home/tom
mkdir -p /home/eva/public_html/wiki/includes
printf "<?php\ndefine( 'MW_VERSION', '1.31.0' );\n" >/home/eva/public_html/wiki/includes/Defines.php
chown -R eva: /home/eva
mkdir -p /opt/pma-4.8.1/libraries
printf '{"name":"phpmyadmin/phpmyadmin","version":"4.8.1"}\n' >/opt/pma-4.8.1/composer.json
printf 'phpMyAdmin - Readme\n===================\n\nVersion 4.8.1\n' >/opt/pma-4.8.1/README
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
            let mut texts = vec![std::fs::read_to_string("/etc/apt/sources.list").unwrap_or_default()];
            for entry in std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten() {
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
    for line in text.lines().filter(|line| line.starts_with("deb ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == suite)?;
        return words.get(at.checked_sub(1)?).map(|word| (*word).to_owned());
    }
    None
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
    for script in [BY_HAND, LOOK_FOR_UPDATES] {
        done(Command::new("chroot").arg(root).args(["sh", "-c", script]))?;
    }
    Ok(())
}

#[test]
fn a_lamp_server_tells_the_same_however_it_is_asked() {
    if !may_make_namespaces() {
        return not_run("root and namespaces");
    }
    if !runs::has("mmdebstrap") {
        return not_run("mmdebstrap");
    }
    let root = Folder::new();
    // mmdebstrap's own account must pass through it, and so must those of the services.
    std::fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let server = root.path().to_owned();
    let begun = Instant::now();
    build(&server).unwrap();
    println!("built in {:?}", begun.elapsed());
    let Some(sshd) = Sshd::start_with(None, None, Some(Alone { root, script: START })) else { return };
    println!("started at {:?}", begun.elapsed());
    let over = sshd.inspect(&["--format", "json", "--all"]);
    println!("{}", over.err);
    std::fs::write("/tmp/lamp/ssh.json", learned(&over).to_string()).unwrap();
    std::fs::write("/tmp/lamp/local.json", sshd.local().to_string()).unwrap();
    let dir = learned(&run(&["inspect", server.to_str().unwrap(), "--now", NOW, "--format", "json", "--all"]));
    std::fs::write("/tmp/lamp/dir.json", dir.to_string()).unwrap();
    println!("asked at {:?}", begun.elapsed());
    println!("{}", server.display());
    std::thread::sleep(Duration::from_secs(2000));
    drop(sshd);
}
