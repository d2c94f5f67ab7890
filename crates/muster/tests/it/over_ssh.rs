//! Servers over SSH: a real sshd on loopback with keys and configuration of its own, and a client that lies.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::runs::{self, Folder, NOW, Ran, finished, muster, not_run, run};

const SSHD: &str = "/usr/sbin/sshd";

/// An sshd on loopback, and a configuration of ssh that knows it.
pub(crate) struct Sshd {
    pub(crate) folder: Folder,
    child: Child,
    port: u16,
    /// The small server that it runs in; nothing where it runs on this machine.
    server: Option<Folder>,
}

/// What an sshd runs in: a folder that becomes the root, and what makes a server of it in namespaces of its own.
pub(crate) struct Alone {
    pub(crate) root: Folder,
    pub(crate) script: String,
}

/// Makes a server of its own, in namespaces: this machine's programs and packages, two web applications, and processes
/// that nobody else starts or ends. As its first process it runs the words that follow.
pub(crate) const SERVER: &str = r#"set -e
root=$1 own=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
for name in bin sbin lib lib32 lib64 libx32; do [ -L /$name ] && cp -P /$name "$root/"; done
for name in usr bin sbin lib lib32 lib64 libx32; do
    [ -d /$name ] && [ ! -L /$name ] || continue
    mkdir -p "$root/$name"
    mount --bind -o ro /$name "$root/$name"
done
mkdir -p "$root/proc" "$root/dev" "$root/run/sshd" "$root/tmp" "$root/etc/apt" "$root/var/lib/dpkg" "$root/var/empty" "$root/$own"
cp /etc/passwd /etc/group /etc/os-release "$root/etc/"
cp -r /etc/apt/. "$root/etc/apt/"
cp -r /var/lib/dpkg/. "$root/var/lib/dpkg/"
mount -t proc proc "$root/proc"
for name in null zero urandom; do touch "$root/dev/$name"; mount --bind /dev/$name "$root/dev/$name"; done
mount --bind "$own" "$root/$own"
mkdir -p "$root/srv/www/blog/wp-includes" "$root/srv/www/blog/wp-content/plugins/a b" "$root/opt/old'wiki/includes"
printf '<?php\n$wp_version = "4.7";\n' >"$root/srv/www/blog/wp-includes/version.php"
printf '<?php\n/*\nPlugin Name: A B\nVersion: 1.2\n*/\n' >"$root/srv/www/blog/wp-content/plugins/a b/a b.php"
chown -R 33:33 "$root/srv/www"
printf "<?php\ndefine( 'MW_VERSION', '1.31.0' );\n" >"$root/opt/old'wiki/includes/Defines.php"
mkdir -p "$root/etc/apache2" "$root/srv/site"
printf 'DocumentRoot "/srv/site"\n' >"$root/etc/apache2/apache2.conf"
ln -s "/opt/old'wiki" "$root/srv/site/wiki"
mkdir -p "$root/mnt/memory" "$root/srv/refused"
mount -t tmpfs none "$root/mnt/memory"
ip link set lo up
cd "$root"
mkdir old
pivot_root . old
umount -l /old
rmdir /old
exec "$@"
"#;

/// The commands that make a server of its own, as far as this machine lets them; else none.
fn namespaces(alone: &Alone, own: &str) -> Vec<String> {
    let words = [
        "unshare",
        "--mount",
        "--pid",
        "--net",
        "--uts",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        &alone.script,
        "sh",
    ];
    let words = words.into_iter().map(str::to_owned);
    words.chain([alone.root.text(""), own.to_owned()]).collect()
}

pub(crate) fn may_make_namespaces() -> bool {
    user() == "root"
        && runs::has("busybox")
        && Command::new("unshare")
            .args(["--mount", "--pid", "--net", "--uts", "--fork", "true"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

impl Sshd {
    /// Starts one whose sessions all run `forced`, where there is one; nothing where none is installed.
    fn start(forced: Option<&str>) -> Option<Self> {
        Self::start_with(forced, None, None)
    }

    /// Starts one on a small server of its own, where this machine lets root make namespaces.
    fn alone(forced: Option<&str>) -> Option<Self> {
        Self::start_with(forced, None, small())
    }

    /// Starts one that takes the key with this line of `authorized_keys`, made from the public key.
    pub(crate) fn start_with(
        forced: Option<&str>,
        line: Option<&dyn Fn(&str) -> String>,
        alone: Option<Alone>,
    ) -> Option<Self> {
        if !std::path::Path::new(SSHD).is_file() || !runs::has("ssh-keygen") || !runs::has("ssh") {
            not_run("openssh-server");
            return None;
        }
        let folder = Folder::new();
        for key in ["host", "other", "id"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &folder.text(key)])
                .status()
                .unwrap();
            assert!(made.success());
        }
        let port = free_port();
        let key = std::fs::read_to_string(folder.at("id.pub")).unwrap();
        folder.write("authorized", line.map_or(key.clone(), |line| line(key.trim())));
        let forced = forced.map_or(String::new(), |forced| format!("ForceCommand {forced}\n"));
        folder.write(
            "sshd_config",
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nPidFile none\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\n{forced}",
                folder.text("host"),
                folder.text("authorized"),
            ),
        );
        let known = std::fs::read_to_string(folder.at("host.pub")).unwrap();
        folder.write("known", format!("[127.0.0.1]:{port} {known}"));
        folder.write(
            "config",
            format!(
                "Host *\n IdentityFile {}\n IdentitiesOnly yes\n IdentityAgent none\n UserKnownHostsFile {}\n GlobalKnownHostsFile none\n StrictHostKeyChecking ask\n User {}\n",
                folder.text("id"),
                folder.text("known"),
                user(),
            ),
        );
        if user() == "root" {
            // Where the package's own service never ran.
            drop(std::fs::create_dir("/run/sshd"));
        }
        let own = folder.path().display().to_string();
        if alone.is_some() {
            std::fs::copy(muster().get_program(), folder.at("muster")).unwrap();
        }
        let mut words = alone.as_ref().map_or(Vec::new(), |alone| namespaces(alone, &own));
        words.extend([SSHD, "-D", "-e", "-f", &folder.text("sshd_config")].map(str::to_owned));
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        await_listening(&mut child);
        let server = alone.map(|alone| alone.root);
        if server.is_some() {
            // The way into its network.
            let config = std::fs::read_to_string(folder.at("config")).unwrap();
            let way = format!(
                " ProxyCommand nsenter --target {} --net busybox nc 127.0.0.1 {port}\n",
                inner(child.id()),
            );
            folder.write("config", config + &way);
        }
        Some(Self { folder, child, port, server })
    }

    /// What a server of its own tells of itself on the spot.
    pub(crate) fn local(&self) -> Value {
        if self.server.is_none() {
            return local();
        }
        let said = self.tell(&format!(
            "{} inspect / --now {NOW} --format json --all",
            self.folder.text("muster")
        ));
        let mut value: Value = serde_json::from_slice(&said.stdout)
            .unwrap_or_else(|error| panic!("{error}: {said:?}"));
        value["root"] = Value::Null;
        in_words_of_ssh(&mut value);
        value
    }

    /// Runs a command on it, as its administrator would.
    pub(crate) fn tell(&self, line: &str) -> std::process::Output {
        Command::new("ssh")
            .args(["-F", &self.config(), "-p", &self.port.to_string(), "127.0.0.1", line])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    pub(crate) fn target(&self) -> String {
        format!("ssh://127.0.0.1:{}", self.port)
    }

    pub(crate) fn config(&self) -> String {
        self.folder.text("config")
    }

    pub(crate) fn inspect(&self, more: &[&str]) -> Ran {
        let (target, config) = (self.target(), self.config());
        let mut arguments = vec!["inspect", &target, "--ssh-config", &config, "--now", NOW];
        arguments.extend(more);
        run(&arguments)
    }

    /// Ends it, and returns what it had to say.
    fn log(mut self) -> String {
        self.child.kill().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A small server of this machine's programs, where this machine lets root make namespaces.
fn small() -> Option<Alone> {
    may_make_namespaces().then(|| Alone { root: Folder::new(), script: SERVER.to_owned() })
}

/// The process within namespaces that `unshare` made.
fn inner(unshare: u32) -> u32 {
    let path = format!("/proc/{unshare}/task/{unshare}/children");
    let children = std::fs::read_to_string(path).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}

/// Waits until an sshd says that it listens.
fn await_listening(child: &mut Child) {
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Server listening") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "sshd ended: {line}");
    }
    child.stderr = Some(said.into_inner());
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn user() -> String {
    let said = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// What was learned, without the name by which it was asked.
pub(crate) fn learned(ran: &Ran) -> Value {
    let mut value = ran.json();
    value["root"] = Value::Null;
    value
}

/// This machine's own answer.
fn local() -> Value {
    let ran = run(&["inspect", "/", "--now", NOW, "--format", "json", "--all"]);
    let mut value = learned(&ran);
    in_words_of_ssh(&mut value);
    value
}

/// Holds two answers to be the same, and shows where they are not.
pub(crate) fn same(over_ssh: &Value, on_the_spot: &Value) {
    for (key, value) in on_the_spot.as_object().unwrap() {
        assert_eq!(over_ssh[key], *value, "{key}");
    }
    assert_eq!(over_ssh, on_the_spot);
}

/// Where root is needed, the way to it is another over SSH.
fn in_words_of_ssh(value: &mut Value) {
    let text = value.to_string().replace(
        "permission denied; inspect as root",
        "permission denied; it needs root: inspect with --sudo, or as root",
    );
    *value = serde_json::from_str(&text).unwrap();
}

#[test]
fn over_ssh_a_server_tells_what_it_tells_on_the_spot() {
    let Some(sshd) = Sshd::alone(None) else { return };
    let ran = sshd.inspect(&["--format", "json", "--all"]);
    assert_eq!(ran.err, "");
    let answer = learned(&ran);
    if sshd.server.is_some() {
        let text = answer.to_string();
        for known in ["wordpress 4.7", "1.31.0", "/srv/www/blog/wp-content/plugins/a b", "www-data"]
        {
            assert!(text.to_lowercase().contains(known), "{known}: {answer:#}");
        }
        // A link in a document root leads to it.
        let findings = answer["findings"].as_array().unwrap();
        let wiki = findings.iter().find(|f| f["path"] == "/opt/old'wiki").unwrap();
        assert_eq!(wiki["served_by"], "/etc/apache2/apache2.conf");
    }
    same(&answer, &sshd.local());
    // One way there and back; another when it was asked on the spot.
    let ways = 1 + usize::from(sshd.server.is_some());
    let log = sshd.log();
    assert_eq!(log.matches("Accepted publickey").count(), ways, "{log}");
    assert_eq!(log.matches("Starting session").count(), ways, "{log}");
}

#[test]
fn every_shell_tells_the_same() {
    for shell in ["dash", "bash", "busybox"] {
        if !runs::has(shell) {
            not_run(shell);
            continue;
        }
        // As sshd itself hands a command to a login shell.
        let shell = if shell == "busybox" { "busybox sh" } else { shell };
        let forced = format!("exec {shell} -c \"$SSH_ORIGINAL_COMMAND\"");
        let Some(sshd) = Sshd::alone(Some(&forced)) else { return };
        same(&learned(&sshd.inspect(&["--format", "json", "--all"])), &sshd.local());
    }
}

#[test]
fn a_file_that_is_too_large_is_named_and_stays_there() {
    if !may_make_namespaces() {
        return not_run("root, namespaces and busybox");
    }
    let large = r#"mkdir -p "$root/opt/large/wp-includes" "$root/srv/some one/wiki/inc"
truncate -s 20G "$root/opt/large/wp-includes/version.php" "$root/srv/some one/wiki/VERSION" "$root/opt/jenkins.war"
"#;
    let script = SERVER.replace("ip link set lo up\n", &format!("{large}ip link set lo up\n"));
    for shell in ["sh", "busybox sh"] {
        let forced = format!("exec {shell} -c \"$SSH_ORIGINAL_COMMAND\"");
        let alone = Alone { root: Folder::new(), script: script.clone() };
        let sshd = Sshd::start_with(Some(&forced), None, Some(alone)).unwrap();
        let ran = sshd.inspect(&["--format", "json", "--all"]);
        let unknown = learned(&ran)["unknown"].to_string();
        for path in ["/opt/large/wp-includes/version.php", "/opt/jenkins.war"] {
            assert!(unknown.contains(&format!("{path}\",\"why\":\"is not brought")), "{unknown}");
        }
        assert!(learned(&ran).to_string().contains("/srv/www/blog"));
    }
}

#[test]
fn what_anyone_may_write_opens_nothing_else() {
    if !may_make_namespaces() {
        return not_run("root, namespaces and busybox");
    }
    let planted = r#"echo topsecret >"$root/etc/secret"
chmod 600 "$root/etc/secret"
for name in link named hard; do mkdir -p "$root/srv/u/$name/wp-includes"; done
ln -s /etc/secret "$root/srv/u/link/wp-includes/version.php"
ln -s /srv/www/blog/wp-includes/version.php "$root/srv/u/named/wp-includes/version.php"
ln "$root/etc/secret" "$root/srv/u/hard/wp-includes/version.php"
for name in "$(printf 'new\nline')" "$(printf 'odd\377')"; do
    mkdir -p "$root/srv/$name/wp-includes"
    cp "$root/srv/www/blog/wp-includes/version.php" "$root/srv/$name/wp-includes/"
done
"#;
    let script = SERVER.replace("ip link set lo up\n", &format!("{planted}ip link set lo up\n"));
    for shell in ["sh", "busybox sh"] {
        let forced = format!("exec {shell} -c \"$SSH_ORIGINAL_COMMAND\"");
        let alone = Alone { root: Folder::new(), script: script.clone() };
        let sshd = Sshd::start_with(Some(&forced), None, Some(alone)).unwrap();
        let command = run(&["ssh-key", "--script"]).is(0);
        let said = sshd.tell(&format!("exec /bin/sh -c '{}'", command.text().trim_end()));
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("muster has answered 1"), "{said}");
        assert!(!said.contains("topsecret"), "{shell}");
        let ran = sshd.inspect(&["--format", "json", "--all"]);
        let answer = learned(&ran);
        let unknown = answer["unknown"].to_string();
        for known in [
            "/srv/u/link/wp-includes/version.php\",\"why\":\"is a link to a file of another name",
            "/srv/u/hard/wp-includes/version.php\",\"why\":\"is not brought over SSH",
            "leaves out 1 name with a line break in them",
            "has a name on its way that is not UTF-8",
        ] {
            assert!(unknown.contains(known), "{known}: {unknown}");
        }
        assert!(answer["findings"].to_string().contains("/srv/u/named\""), "{answer:#}");
    }
    let lacks =
        "sh -c \"$(echo \"$SSH_ORIGINAL_COMMAND\" | sed 's/cat find grep/cat nofind grep/')\"";
    let sshd = Sshd::alone(Some(lacks)).unwrap();
    sshd.inspect(&[]).refused(&["the server lacks nofind"]);
}

#[test]
fn noise_around_the_answer_is_no_part_of_it() {
    let noise = "printf 'Welcome!\\nmuster answers 1 5\\nmuster has answered 1 5\\n'; seq 3000; sh -c \"$SSH_ORIGINAL_COMMAND\"; echo logout; echo >&2 bye";
    let Some(sshd) = Sshd::start(Some(noise)) else { return };
    let ran = sshd.inspect(&["--format", "json", "--all"]);
    // A line that looks like the mark is believed to be it, and then nothing fits.
    ran.refused(&["not whole"]);
    let noise = "printf 'Welcome!\\033[2J'; seq 3000; sh -c \"$SSH_ORIGINAL_COMMAND\"; echo logout; echo >&2 bye";
    let Some(sshd) = Sshd::alone(Some(noise)) else { return };
    let ran = sshd.inspect(&["--format", "json", "--all"]);
    assert_eq!(learned(&ran)["os"]["id"], local()["os"]["id"]);
}

#[test]
fn what_goes_wrong_is_said_and_is_never_an_answer() {
    for (forced, words) in [
        (Some("sh -c \"$SSH_ORIGINAL_COMMAND\" | head -c 300000; kill -9 $PPID"), &["dropped"][..]),
        (Some("sh -c \"$SSH_ORIGINAL_COMMAND\" | head -c 300000"), &["not whole"]),
        (Some("exit 0"), &["shell"]),
        (Some("echo This account is currently not available.; exit 1"), &["no shell"]),
        (Some("exec yes"), &["inspecting"]),
        (Some("exec sleep 60"), &["--timeout"]),
        (Some("echo 'sudo: a password is required' >&2; exit 1"), &["sudo"]),
    ] {
        let Some(sshd) = Sshd::alone(forced) else { return };
        sshd.inspect(&["--timeout", "6", "--format", "json"])
            .refused(words)
            .refused(&[&sshd.target()]);
    }
    let Some(sshd) = Sshd::start(None) else { return };
    let known = std::fs::read_to_string(sshd.folder.at("known")).unwrap();
    sshd.folder.write("known", "");
    sshd.inspect(&[]).refused(&["unknown host key"]);
    let other = std::fs::read_to_string(sshd.folder.at("other.pub")).unwrap();
    sshd.folder.write("known", format!("[127.0.0.1]:{} {other}", sshd.port));
    sshd.inspect(&[]).refused(&["has changed"]);
    sshd.folder.write("known", known).write("authorized", other);
    sshd.inspect(&[]).refused(&["permission denied"]);
    let nobody = format!("ssh://127.0.0.1:{}", free_port());
    run(&["inspect", &nobody, "--ssh-config", &sshd.config()]).refused(&["refused", &nobody]);
    run(&["inspect", "ssh://-oProxyCommand=id"]).refused(&["names no server"]);
}

#[test]
fn a_key_that_may_do_nothing_else_does_this() {
    let folder = Folder::new();
    let line = move |key: &str| {
        folder.write("key.pub", key);
        run(&["ssh-key", &folder.text("key.pub")]).is(0).text().to_owned()
    };
    let Some(sshd) = Sshd::start_with(None, Some(&line), small()) else { return };
    let ran = sshd.inspect(&["--format", "json", "--all"]);
    assert!(ran.err.is_empty() && ran.json()["os"].is_object(), "{ran:?}");
    let other = Command::new("ssh")
        .args(["-F", &sshd.config(), "-p", &sshd.port.to_string(), "127.0.0.1", "echo", "other"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(other.stdout.starts_with(b"\nmuster answers 1 "), "{other:?}");
}

#[test]
fn many_servers_are_one_table_and_one_failure_is_one_line() {
    let Some(sshd) = Sshd::start(None) else { return };
    let root = crate::servers::debian();
    let nobody = format!("ssh://127.0.0.1:{}", free_port());
    sshd.folder
        .write("list", format!("\u{feff}{}\r\n# ours\r\n{nobody} # gone\r\n\r\n", sshd.target()));
    let (list, config) = (sshd.folder.text("list"), sshd.config());
    let ask = |format: &str| {
        run(&[
            "inspect",
            &root.text(""),
            "--targets",
            &list,
            "--ssh-config",
            &config,
            "--now",
            NOW,
            "--format",
            format,
        ])
        .is(2)
    };
    let ran = ask("table");
    assert!(ran.err.contains(&nobody) && ran.err.contains("1 of 3"), "{ran:?}");
    let at = |name: &str| ran.text().find(name).unwrap_or_else(|| panic!("{name}: {ran:?}"));
    assert!(at(&nobody) < at(&sshd.target()) && at(&nobody) < at(&root.text("")), "{ran:?}");
    let ran = ask("ndjson");
    let lines: Vec<Value> =
        ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty() && lines.iter().all(Value::is_object));
    assert!(ran.err.contains(&nobody), "{}", ran.err);
    run(&["inspect", &nobody, &nobody, "--format", "json"]).refused(&["one at a time"]);
    run(&["inspect", "--targets", "/nonexistent"]).refused(&["/nonexistent"]);
    run(&["inspect", "--targets", "/dev/zero"]).refused(&["too large"]);
    sshd.folder.write("list", "# ours\n\nssh://fine.example.org\nssh://-x # bad\n");
    run(&["inspect", "--targets", &list]).refused(&["names no server", "line 4"]);
    sshd.folder.write("list", "# none\n\n   # of them\n");
    run(&["inspect", "--targets", &list]).refused(&["names no target"]);
    // Each once, however often it is named.
    let twice = format!("{nobody}\n  {nobody}  # again\n{}\n{nobody}\n", sshd.target());
    sshd.folder.write("list", twice);
    let ran = run(&["inspect", "--targets", &list, "--ssh-config", &config, "--now", NOW]).is(2);
    assert!(ran.err.contains("1 of 2"), "{ran:?}");
}

/// The processes whose command line holds a word.
fn processes(word: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(word)
        })
        .collect()
}

/// Waits until as many processes have a word in their command line.
#[expect(clippy::disallowed_methods, reason = "nobody is told of the end of another's child")]
fn await_processes(word: &str, count: usize) {
    for _ in 0..100 {
        if processes(word).len() == count {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{:?} of {word}, and not {count}", processes(word));
}

#[test]
fn nothing_is_left_behind_however_it_ends() {
    use std::os::unix::process::CommandExt as _;
    let Some(sshd) = Sshd::start(Some("sleep 100")) else { return };
    let (target, config) = (sshd.target(), sshd.config());
    // As Ctrl-C does, to itself alone, and in ways that no program can hear of.
    for (signal, to_group) in [("-INT", true), ("-INT", false), ("-TERM", false), ("-KILL", false)]
    {
        let mut asking = muster()
            .args(["inspect", &target, "--ssh-config", &config, "--timeout", "90"])
            .process_group(0)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        await_processes(&config, 2);
        let pid = if to_group { format!("-{}", asking.id()) } else { asking.id().to_string() };
        assert!(Command::new("kill").args([signal, "--", &pid]).status().unwrap().success());
        assert!(!asking.wait().unwrap().success());
        await_processes(&config, 0);
    }
}

/// A folder with an `ssh` of our own.
fn liar(script: &str) -> Folder {
    let folder = Folder::new();
    folder.write("ssh", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(folder.at("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn inspect_with(folder: &Folder) -> Ran {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.path().to_owned()).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).unwrap();
    finished(
        muster()
            .args(["inspect", "ssh://a@web1.example.org:2222", "--timeout", "5"])
            .env("PATH", path),
    )
}

#[test]
fn a_client_is_asked_safely_and_not_believed() {
    let folder =
        liar("for a do printf '%s\\n' \"$a\"; done > \"$(dirname \"$0\")/asked\"; exit 255");
    inspect_with(&folder).refused(&["ssh://a@web1.example.org:2222"]);
    let asked = std::fs::read_to_string(folder.at("asked")).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    for option in [
        "-a",
        "-x",
        "-T",
        "BatchMode=yes",
        "ClearAllForwardings=yes",
        "RemoteCommand=none",
        "PermitLocalCommand=no",
    ] {
        assert!(asked.contains(&option), "{option}: {asked:?}");
    }
    let end: Vec<&str> = asked.iter().rev().take(7).rev().copied().collect();
    assert_eq!(end[..6], ["-p", "2222", "-l", "a", "--", "web1.example.org"]);
    assert!(end[6].starts_with("exec /bin/sh -c '"), "{}", end[6]);

    for script in [
        "exit 0",
        "head -c 1000000 /dev/urandom",
        "printf '\\nmuster answers 1 '",
        "printf '\\nmuster answers 1 99999999999\\n\\nmuster has answered 1 99999999999\\n'",
        "printf '\\nmuster answers 1 3\\nu 0\\n\\nmuster has answered 1 3\\n'",
        "printf '\\nmuster answers 1 3\\nu 0\\n'; head -c 10000 /dev/zero; printf '\\nmuster has answered 1 3\\n'",
        "printf '\\nmuster answers 1 3\\nu 0\\n'; head -c 100000 /dev/urandom; printf '\\nmuster has answered 1 3\\n'",
        "printf '\\nmuster answers 1 3\\nmuster has answered 1 3\\n'",
        "kill -9 $$",
    ] {
        inspect_with(&liar(script)).refused(&["ssh://a@web1.example.org:2222"]);
    }
}

#[test]
fn no_more_clients_run_at_once_than_are_asked_for() {
    // Each tells how many there are beside it, and waits for others to come.
    let folder = liar(
        "d=${0%/*}; : >\"$d/here.$$\"; sleep 0.5; set -- \"$d\"/here.*; echo $# >>\"$d/counts\"; rm \"$d/here.$$\"; exit 255",
    );
    let list: String = (0..80).map(|n| format!("ssh://web{n}.example.org\n")).collect();
    folder.write("list", list);
    let path = std::env::var_os("PATH").unwrap_or_default().into_string().unwrap();
    for (words, most) in [(&["--parallel", "3"][..], 3), (&[], 32)] {
        drop(std::fs::remove_file(folder.at("counts")));
        let mut command = muster();
        command.args(["inspect", "--targets", &folder.text("list")]).args(words);
        let ran = finished(command.env("PATH", format!("{}:{path}", folder.text("")))).is(2);
        assert!(ran.err.contains("80 of 80"), "{}", ran.err);
        let counts = std::fs::read_to_string(folder.at("counts")).unwrap();
        let counts: Vec<usize> = counts.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!((counts.len(), counts.iter().max()), (80, Some(&most)), "{counts:?}");
    }
}

#[test]
fn sudo_understands_the_line_for_it() {
    if !std::path::Path::new("/usr/sbin/visudo").is_file() {
        not_run("sudo");
        return;
    }
    let said = run(&["ssh-key", "--sudo", "--user", "web-admin"]).is(0);
    let lines: Vec<&str> = said.text().lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("restrict,command=\"exec sudo -n /bin/sh -c '"));
    let folder = Folder::new();
    folder.write("line", format!("{}\n", lines[1]));
    let checked = Command::new("/usr/sbin/visudo").args(["-cf", &folder.text("line")]).output();
    assert!(checked.unwrap().status.success());
    run(&["ssh-key", "--sudo", "--user", "a ALL"]).refused(&["name of an account"]);
    folder.write("id", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n");
    run(&["ssh-key", &folder.text("id")]).refused(&["no public key"]);
}

#[test]
fn the_page_tells_the_digest_of_the_script() {
    use sha2::Digest as _;
    let script = run(&["ssh-key", "--script"]).is(0);
    let script = script.text().trim_end_matches('\n');
    let digest: String = sha2::Sha256::digest(script).iter().map(|b| format!("{b:02x}")).collect();
    let page =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/ssh-script.md");
    let text = std::fs::read_to_string(&page).unwrap();
    if std::env::var_os("MUSTER_BLESS").is_some() {
        let at = text.find("SHA-256: `").expect("the page has a place for it") + 10;
        let text = format!("{}{digest}{}", &text[..at], &text[at + 64..]);
        std::fs::write(&page, text).unwrap();
        return;
    }
    assert!(
        text.contains(&digest),
        "the script is now {digest}: MUSTER_BLESS=1 cargo test -p muster --test it digest"
    );
}
