//! Servers over SSH: a real sshd on loopback, in a root with 800 packages, 60,000 files and the index of an archive. What a
//! handshake takes without Muster stands beside; and the same server 200 times, under 200 names.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::generate::{self, Size};
use super::promise::{Kind, Line, Table};
use super::{chroot, measure, web};
use crate::repository::has_program;

const SSHD: &str = "/usr/sbin/sshd";
const PACKAGES: usize = 800;
const FILES: usize = 60_000;
/// Stanzas of the index: as many as Debian's `main` has.
const STANZAS: usize = 64_000;
const TARGETS: usize = 200;

/// What the script needs on a server.
const TOOLS: [&str; 17] = [
    "sh", "id", "printf", "readlink", "sed", "sort", "uniq", "grep", "xargs", "ls", "tr", "find",
    "wc", "cat", "tar", "openssl", "true",
];

/// Makes the server and becomes its sshd, as its first process.
const SCRIPT: &str = r#"set -e
root=$1
mount -t proc proc "$root/proc"
for name in null zero urandom; do : >"$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
exec chroot "$root" /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config"#;

/// Measures both.
pub fn run(table: &mut Table, muster: &Path, scratch: &Path, runs: usize) -> anyhow::Result<()> {
    const ONE: &str = "one server over SSH";
    const MANY: &str = "200 servers over SSH";
    let needs = ["ssh", "ssh-keygen"].iter().all(|program| has_program(program));
    if !needs || !Path::new(SSHD).is_file() || !chroot::may_start() {
        table.not_run(ONE, "openssh-server, root, and namespaces");
        return Ok(());
    }
    let server = Server::start(&scratch.join("ssh"))?;
    // The first inspection brings the index.
    server.inspect(muster, &["ssh://t1"])?;
    let (mut bare, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..runs.max(3) {
        bare.push(server.handshake()?);
        whole.push(server.inspect(muster, &["ssh://t1"])?);
    }
    let (bare, whole) = (median(bare), median(whole));
    table.push(Line::new(ONE, "ssh alone, wall", milliseconds(bare), "ms"));
    table.push(Line::new(ONE, "inspection, wall", milliseconds(whole), "ms"));
    let more = milliseconds(whole.saturating_sub(bare));
    table.push(Line::new(ONE, "more than ssh alone", more, "ms").at_most(300.0, Kind::Timed));
    let list: String = (1..=TARGETS).map(|number| format!("ssh://t{number}\n")).collect();
    fs::write(server.folder.join("targets"), list)?;
    let words = server.words(muster, &["--targets", server.path("targets").as_str()]);
    let cost = measure::measure(&words)?;
    if !(0..=1).contains(&cost.status) {
        bail!("{MANY}: the inspection ended with {}", cost.status);
    }
    table.push(Line::new(MANY, "CPU, with the clients", cost.cpu_ms(), "ms"));
    table.push(
        Line::new(MANY, "peak of any process", cost.peak_mib(), "MiB").at_most(100.0, Kind::Firm),
    );
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

struct Server {
    folder: PathBuf,
    child: Child,
}

impl Server {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let size = Size { packages: PACKAGES, ..Size::default() };
        let root = generate::generate(folder, size)?.root;
        web::sites(&root.join("srv/www"), FILES)?;
        index(&root)?;
        for tool in TOOLS {
            chroot::install(&root, &found(tool)?, &format!("bin/{tool}"))?;
        }
        for program in [SSHD, "/usr/lib/openssh/sshd-session", "/usr/lib/openssh/sshd-auth"] {
            if Path::new(program).is_file() {
                chroot::install(&root, Path::new(program), program.trim_start_matches('/'))?;
            }
        }
        for place in ["proc", "dev", "run/sshd", "etc/ssh", "root"] {
            fs::create_dir_all(root.join(place)).context("cannot make a folder")?;
        }
        fs::write(
            root.join("etc/passwd"),
            "root:x:0:0::/:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n",
        )?;
        for (key, place) in [("host", root.join("etc/ssh/host")), ("own", folder.join("own"))] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(&place)
                .status()
                .context("cannot run ssh-keygen")?;
            if !made.success() {
                bail!("ssh-keygen made no {key} key");
            }
        }
        fs::copy(folder.join("own.pub"), root.join("etc/ssh/authorized"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        fs::write(
            root.join("etc/ssh/sshd_config"),
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey /etc/ssh/host\nAuthorizedKeysFile /etc/ssh/authorized\nStrictModes no\nPidFile none\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 300\n"
            ),
        )?;
        let known = fs::read_to_string(root.join("etc/ssh/host.pub"))?;
        fs::write(folder.join("known"), format!("server {known}"))?;
        fs::write(
            folder.join("config"),
            format!(
                "Host *\n HostName 127.0.0.1\n Port {port}\n User root\n HostKeyAlias server\n IdentityFile {}\n IdentitiesOnly yes\n IdentityAgent none\n UserKnownHostsFile {}\n GlobalKnownHostsFile none\n",
                folder.join("own").display(),
                folder.join("known").display(),
            ),
        )?;
        let mut child = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", SCRIPT, "sh"])
            .arg(&root)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the server")?;
        let mut said = BufReader::new(child.stderr.take().context("it has one")?);
        let mut line = String::new();
        while !line.contains("Server listening") {
            line.clear();
            if said.read_line(&mut line)? == 0 {
                bail!("sshd ended before it listened: {line}");
            }
        }
        // What else it says is thrown away.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Ok(Self { folder: folder.to_owned(), child })
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn words(&self, muster: &Path, words: &[&str]) -> Vec<std::ffi::OsString> {
        let cache = format!("XDG_CACHE_HOME={}", self.path("cache"));
        let config = self.path("config");
        let own = muster.display().to_string();
        let first = ["env", &cache, &own, "inspect", "--ssh-config", &config];
        first.into_iter().chain(words.iter().copied()).map(Into::into).collect()
    }

    fn handshake(&self) -> anyhow::Result<Duration> {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            &self.path("config"),
            "-a",
            "-x",
            "-T",
            "-o",
            "BatchMode=yes",
            "t1",
            "true",
        ]);
        let (status, taken) = super::timed(|| ssh.stdin(Stdio::null()).status());
        if !status.context("cannot run ssh")?.success() {
            bail!("ssh did not reach the server");
        }
        Ok(taken)
    }

    fn inspect(&self, muster: &Path, words: &[&str]) -> anyhow::Result<Duration> {
        let words = self.words(muster, words);
        let (program, words) = words.split_first().context("there are words")?;
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
        let (status, taken) = super::timed(|| command.status());
        let status = status.context("cannot run muster")?;
        if !matches!(status.code(), Some(0 | 1)) {
            bail!("the inspection over SSH ended with {status}");
        }
        Ok(taken)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What apt keeps of an archive.
fn index(root: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for number in 0..STANZAS {
        text.push_str(&format!(
            "Package: package-{number}\nArchitecture: amd64\nVersion: 1.{number}-1\nMaintainer: Somebody <somebody@example.org>\nInstalled-Size: {number}\nDepends: libc6 (>= 2.36), libstdc++6 (>= 12), package-{}\nDescription: the package of this number\nHomepage: https://example.org/{number}\nDescription-md5: {number:032x}\nSection: misc\nPriority: optional\nFilename: pool/main/p/package-{number}/package-{number}_1.{number}-1_amd64.deb\nSize: {number}\nMD5sum: {number:032x}\nSHA256: {number:064x}\n\n",
            number / 2
        ));
    }
    let lists = root.join("var/lib/apt/lists");
    fs::create_dir_all(&lists).context("cannot make a folder")?;
    fs::create_dir_all(root.join("etc/apt")).context("cannot make a folder")?;
    fs::write(
        root.join("etc/apt/sources.list"),
        "deb http://archive.example.org/debian stable main\n",
    )?;
    fs::write(
        lists.join("archive.example.org_debian_dists_stable_main_binary-amd64_Packages"),
        text,
    )?;
    Ok(())
}

fn found(program: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file()).with_context(|| format!("{program} is not in PATH"))
}
