//! Indices of archives over SSH: each travels once, whatever a server claims of it, and what is kept is worth nothing until
//! it is held against its name.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::Digest as _;

use crate::over_ssh::{Alone, SERVER, Sshd, learned, may_make_namespaces, same};
use crate::runs::{self, Folder, NOW, Ran, finished, muster, not_run};

const INDEX: &str = "archive.example.org_debian_dists_stable_main_binary-amd64_Packages";
const RELEASE: &str = "archive.example.org_debian_dists_stable_InRelease";

/// What apt keeps of an archive.
const LISTS: &str = r#"rm -rf "$root/etc/apt"
mkdir -p "$root/etc/apt" "$root/var/lib/apt/lists/partial"
echo 'deb http://archive.example.org/debian stable main' >"$root/etc/apt/sources.list"
cp "$own/lists/"* "$root/var/lib/apt/lists/"
"#;

/// An archive that signs, with a key of its own.
struct Archive {
    folder: Folder,
}

impl Archive {
    fn new() -> Option<Self> {
        if !may_make_namespaces() {
            not_run("root, namespaces and busybox");
            return None;
        }
        if !runs::has("gpg") || !runs::has("gpgv") {
            not_run("gpg and gpgv");
            return None;
        }
        let archive = Self { folder: Folder::new() };
        let home = archive.folder.at("gnupg");
        std::fs::create_dir(&home).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
        let key =
            ["--passphrase", "", "--quick-generate-key", "Archive <a@example.org>", "rsa2048"];
        archive.gpg(&key, &[]);
        let public = archive.gpg(&["--export"], &[]);
        archive.folder.write("data/muster/keyrings/archive.gpg", public);
        Some(archive)
    }

    fn gpg(&self, words: &[&str], input: &[u8]) -> Vec<u8> {
        let text = self.folder.at("input");
        std::fs::write(&text, input).unwrap();
        let said = Command::new("gpg")
            .args(["--batch", "--quiet", "--homedir", &self.folder.text("gnupg")])
            .args(words)
            .stdin(std::fs::File::open(text).unwrap())
            .output()
            .unwrap();
        assert!(said.status.success(), "{words:?}: {said:?}");
        said.stdout
    }

    /// A signed list of one index.
    fn release(&self, index: &str) -> Vec<u8> {
        self.gpg(&["--clearsign"], unsigned(index).as_bytes())
    }

    /// A server that took this from the archive, and asks through a client that counts.
    fn server(&self, release: &[u8], index: &str, forced: Option<&str>) -> Server<'_> {
        let script = SERVER.replace("ip link set lo up\n", &format!("{LISTS}ip link set lo up\n"));
        assert!(script.contains(LISTS));
        let alone = Alone { root: Folder::new(), script };
        std::fs::create_dir_all(alone.root.at("lists")).unwrap();
        let script = alone.script.replace("$own/lists", &alone.root.text("lists"));
        alone.root.write(&format!("lists/{RELEASE}"), release);
        alone.root.write(&format!("lists/{INDEX}"), index);
        let sshd = Sshd::start_with(forced, None, Some(Alone { script, ..alone })).unwrap();
        let client = sshd.folder.text("bin/ssh");
        sshd.folder.write(
            "bin/ssh",
            "#!/bin/sh\necho x >>\"${0%/*}/count\"\nPATH=${PATH#*:}\nexec ssh \"$@\"\n",
        );
        std::fs::set_permissions(client, std::fs::Permissions::from_mode(0o755)).unwrap();
        Server { archive: self, sshd }
    }

    /// What is kept, below the folder of the cache.
    fn kept(&self) -> BTreeSet<String> {
        let mut kept = BTreeSet::new();
        let mut ahead = vec![self.folder.at("cache/muster/indices")];
        while let Some(folder) = ahead.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    ahead.push(entry.path());
                } else {
                    let kind = entry.path().parent().unwrap().file_name().unwrap() == "signed";
                    let name = entry.file_name().into_string().unwrap();
                    kept.insert(format!("{}/{name}", if kind { "signed" } else { "of" }));
                }
            }
        }
        kept
    }
}

fn unsigned(index: &str) -> String {
    format!(
        "Origin: Example\nSuite: stable\nCodename: stable\nDate: Sun, 22 Nov 2026 00:00:00 UTC\nArchitectures: amd64\nComponents: main\nSHA256:\n {} {} main/binary-amd64/Packages\n",
        digest(index),
        index.len()
    )
}

fn digest(text: &str) -> String {
    sha2::Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

/// An index with a newer bash.
fn index(version: &str) -> String {
    format!(
        "Package: bash\nArchitecture: amd64\nVersion: {version}\nFilename: pool/b.deb\nSize: 1\nSHA256: {}\n\n",
        digest(version)
    )
}

struct Server<'a> {
    archive: &'a Archive,
    sshd: Sshd,
}

impl Server<'_> {
    /// Asks it by a name, and returns the answer and how many trips it took.
    fn ask(&self, user: &str, cache: Option<&Path>) -> (Value, usize) {
        let count = self.sshd.folder.at("bin/count");
        drop(std::fs::remove_file(&count));
        let ran = self.run(
            &[&self.sshd.target().replace("ssh://", &format!("ssh://{user}"))],
            "json",
            cache,
        );
        assert_eq!(ran.err, "");
        (learned(&ran), std::fs::read_to_string(count).unwrap().lines().count())
    }

    fn run(&self, targets: &[&str], format: &str, cache: Option<&Path>) -> Ran {
        let path = std::env::var_os("PATH").unwrap().into_string().unwrap();
        let mut command = muster();
        command.arg("inspect").args(targets).args(["--ssh-config", &self.sshd.config()]);
        command.args(["--now", NOW, "--format", format, "--all"]);
        command.env("PATH", format!("{}:{path}", self.sshd.folder.text("bin")));
        command.env("XDG_DATA_HOME", self.archive.folder.at("data"));
        if let Some(cache) = cache {
            command.env("XDG_CACHE_HOME", cache);
        } else {
            command.env_remove("HOME");
        }
        finished(command.stdin(Stdio::null()))
    }
}

#[test]
fn an_index_travels_once() {
    let Some(archive) = Archive::new() else { return };
    let newer = index("9:1");
    let server = archive.server(&archive.release(&newer), &newer, None);
    let cache = archive.folder.at("cache");
    let local = server.sshd.local();
    assert!(local.to_string().contains("9:1"), "{local:#}");
    for trips in [2, 1] {
        let (answer, taken) = server.ask("", Some(&cache));
        same(&answer, &local);
        assert_eq!(taken, trips);
        assert_eq!(archive.kept(), [format!("signed/{}", digest(&newer))].into());
    }
    // What the archive signed is the same for every server.
    assert_eq!(server.ask("root@", Some(&cache)).1, 1);
    // Bytes that rot are not used.
    let kept = cache.join("muster/indices/signed").join(digest(&newer));
    std::fs::write(&kept, index("8:1")).unwrap();
    for trips in [2, 1] {
        let (answer, taken) = server.ask("", Some(&cache));
        same(&answer, &local);
        assert_eq!(taken, trips);
    }
    // A new index travels, the old one stays; and without a place to keep them each travels each time.
    for trips in [2, 2] {
        let (answer, taken) = server.ask("", None);
        same(&answer, &local);
        assert_eq!(taken, trips);
    }
    // Several at once: the first brings it.
    std::fs::remove_dir_all(&cache).unwrap();
    let names =
        ["", "root@"].map(|user| server.sshd.target().replace("ssh://", &format!("ssh://{user}")));
    drop(std::fs::remove_file(server.sshd.folder.at("bin/count")));
    let ran = server.run(&[&names[0], &names[1]], "table", Some(&cache));
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let count = std::fs::read_to_string(server.sshd.folder.at("bin/count")).unwrap();
    assert_eq!(count.lines().count(), 3);
}

#[test]
fn sha256sum_is_enough() {
    let Some(archive) = Archive::new() else { return };
    let newer = index("9:1");
    let without = "sh -c \"$(echo \"$SSH_ORIGINAL_COMMAND\" | sed 's/command -v openssl/false/')\"";
    let server = archive.server(&archive.release(&newer), &newer, Some(without));
    let cache = archive.folder.at("cache");
    for trips in [2, 1] {
        let (answer, taken) = server.ask("", Some(&cache));
        same(&answer, &server.sshd.local());
        assert_eq!(taken, trips);
    }
}

#[test]
fn what_nobody_signed_serves_one_server() {
    let Some(archive) = Archive::new() else { return };
    let newer = index("9:1");
    let cache = archive.folder.at("cache");
    let good = archive.release("");
    let twice = [archive.release(""), archive.release(&newer)].concat();
    let mut bent = archive.release(&newer);
    let at = bent.windows(6).position(|w| w == b"stable").unwrap();
    bent[at] = b'S';
    let unknown = Archive::new().unwrap().release(&newer);
    let behind = [good, unsigned(&newer).into_bytes()].concat();
    for release in [unsigned(&newer).into_bytes(), twice, bent, unknown, behind] {
        drop(std::fs::remove_dir_all(&cache));
        let server = archive.server(&release, &newer, None);
        assert_eq!(server.ask("", Some(&cache)).1, 2);
        assert_eq!(archive.kept(), [format!("of/{}", digest(&newer))].into());
        assert_eq!(server.ask("", Some(&cache)).1, 1);
        assert_eq!(server.ask("root@", Some(&cache)).1, 2);
    }
}

#[test]
fn what_a_server_claims_of_an_index_is_not_believed() {
    let Some(archive) = Archive::new() else { return };
    let newer = index("9:1");
    let cache = archive.folder.at("cache");
    // It sends another index than the one whose digest it told.
    let lie = "sh -c \"$SSH_ORIGINAL_COMMAND\" | sed 's/^Version: 9:1/Version: 0:1/'";
    let liar = archive.server(&archive.release(&newer), &newer, Some(lie));
    let (answer, _) = liar.ask("", Some(&cache));
    assert!(!answer.to_string().contains("9:1"));
    assert_eq!(archive.kept(), [format!("of/{}", digest(&newer.replace("9:1", "0:1")))].into());
    let honest = archive.server(&archive.release(&newer), &newer, None);
    let (answer, trips) = honest.ask("", Some(&cache));
    assert_eq!(trips, 2);
    same(&answer, &honest.sshd.local());
    assert!(archive.kept().contains(&format!("signed/{}", digest(&newer))));
    // A second answer that is cut, or brings what nobody asked for, is none.
    for lie in [
        "sh -c \"$SSH_ORIGINAL_COMMAND\" | sed '/^muster has sent/d'",
        "sh -c \"$SSH_ORIGINAL_COMMAND\" | sed 's/^[0-9]* .*_Packages$/&z/'",
        "sh -c \"$SSH_ORIGINAL_COMMAND\" | sed 's/^[0-9]* .var.lib.apt.lists/99999999999 &/'",
        "sh -c \"$SSH_ORIGINAL_COMMAND\" | sed '/^muster sends/q'",
    ] {
        drop(std::fs::remove_dir_all(&cache));
        let liar = archive.server(&archive.release(&newer), &newer, Some(lie));
        liar.run(&[&liar.sshd.target()], "json", Some(&cache)).refused(&["ssh://"]);
        assert!(archive.kept().is_empty());
    }
}
