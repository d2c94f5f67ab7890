//! What runs: real programs whose files are replaced while they run, beside needrestart(1) and by a real dpkg; and what
//! would listen on a root that does not run.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use muster_core::fact::{Facts, Reading};
use muster_core::owed;
use muster_core::running::{Process, Reach};
use muster_inspect::{Options, Target, inspect};

use crate::{Test, facts_of, file_of, lay_out, tar_of};

pub(crate) const TESTS: &[Test] = &[
    ("a_replaced_library_or_program_is_owed_until_the_restart", a_replaced_library_or_program),
    ("an_upgrade_by_dpkg_is_owed_until_the_restart", an_upgrade_by_dpkg),
    ("what_would_listen_is_the_same_of_a_tar", what_would_listen),
    ("a_listener_of_this_machine_is_found_with_its_process", a_listener_is_found),
];

/// Says that a test needs what is not there; where everything is asked for, that is a failure.
#[expect(clippy::disallowed_methods, reason = "a switch of the tests alone")]
pub(super) fn not_run(needs: &str) {
    println!("not run: needs {needs}");
    assert!(std::env::var("MUSTER_REQUIRE_ALL").is_err(), "not run: needs {needs}");
}

/// A program that runs until the test is over.
struct Running(Child);

impl Running {
    /// Starts a program of a folder, with that folder's libraries.
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no event for a program that has replaced its image"
    )]
    fn start(folder: &Path, program: &str) -> Self {
        let child = Command::new(folder.join(program))
            .arg("300")
            .env("LD_LIBRARY_PATH", folder)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let running = Self(child);
        // Until it runs it is still the copy of this test.
        for _ in 0..500 {
            let maps = std::fs::read_to_string(format!("/proc/{}/maps", running.pid()));
            let there = |maps: &String| maps.contains(program) && maps.contains("libc");
            if maps.as_ref().is_ok_and(there) {
                return running;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{program} does not start");
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn found<'f>(&self, facts: &'f Facts) -> &'f Process {
        let processes = facts.running.processes.found().expect("this machine runs");
        processes.iter().find(|p| p.pid == self.pid()).expect("the program runs")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A folder that is not one of those in which programs keep what they make (`/tmp`).
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn live() -> Facts {
    inspect(&Target::Live, &Options::default()).unwrap()
}

/// The C library that a program of this machine uses.
fn library() -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps
        .lines()
        .filter_map(|line| Some(&line[line.find('/')?..]))
        .find(|p| p.contains("/libc.so"));
    PathBuf::from(path.expect("this test uses the C library"))
}

fn replace(path: &Path) {
    let beside = path.with_extension("dpkg-new");
    std::fs::copy(path, &beside).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

/// The processes of which needrestart says the same, by what it tells on the way.
fn by_needrestart() -> Option<Vec<u32>> {
    let made = Command::new("needrestart").args(["-b", "-v", "-l", "-r", "l"]).output().ok()?;
    let text = String::from_utf8_lossy(&[made.stdout, made.stderr].concat()).into_owned();
    let pids = text.lines().filter_map(|line| {
        let (pid, what) = line.strip_prefix("[main] #")?.split_once(" uses ")?;
        // Memory without a file is no program that an update replaces.
        (!what.contains("/memfd:")).then(|| pid.parse().ok())?
    });
    Some(pids.collect())
}

fn a_replaced_library_or_program() {
    let folder = folder();
    let path = folder.path();
    let lib = path.join("libc.so.6");
    std::fs::copy(library(), &lib).unwrap();
    for program in ["ms-library", "ms-program", "ms-quiet"] {
        std::fs::copy("/bin/sleep", path.join(program)).unwrap();
    }
    let on_library = Running::start(path, "ms-library");
    let facts = live();
    let process = on_library.found(&facts);
    assert_eq!((process.is_replaced, process.replaced.len()), (false, 0), "{process:?}");

    replace(&lib);
    let program = Running::start(path, "ms-program");
    let quiet = Running::start(path, "ms-quiet");
    replace(&path.join("ms-program"));
    let facts = live();
    let process = on_library.found(&facts);
    assert_eq!(process.replaced, [lib.to_str().unwrap()]);
    assert!(!process.is_replaced);
    let process = program.found(&facts);
    assert!(process.is_replaced && process.replaced.is_empty(), "{process:?}");
    assert_eq!(process.executable.as_deref(), path.join("ms-program").to_str());
    let process = quiet.found(&facts);
    assert!(!process.is_replaced && process.replaced.is_empty(), "{process:?}");
    let findings = owed::restarts(&facts);
    assert!(findings.iter().any(|f| f.title.contains("ms-program")), "{findings:?}");
    assert!(facts.running.mapped.is_empty() && facts.running.configured.is_empty());

    if rustix::process::getuid().is_root() {
        match by_needrestart() {
            Some(theirs) => {
                for (running, owes) in [(&on_library, true), (&program, true), (&quiet, false)] {
                    assert_eq!(
                        theirs.contains(&running.pid()),
                        owes,
                        "needrestart on {:?}",
                        running.found(&facts)
                    );
                }
            }
            None => not_run("needrestart"),
        }
    } else {
        println!("not run: needs root to compare with needrestart");
    }

    drop(on_library);
    let again = Running::start(path, "ms-library");
    let facts = live();
    let process = again.found(&facts);
    assert_eq!((process.is_replaced, process.replaced.len()), (false, 0), "{process:?}");
}

/// A package of one program, in two versions, unpacked by dpkg into a root of the test's own.
fn an_upgrade_by_dpkg() {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        return not_run("dpkg-deb");
    }
    if !rustix::process::getuid().is_root() {
        println!("not run: needs root to unpack a package");
        return;
    }
    let folder = folder();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("var/lib/dpkg/info")).unwrap();
    std::fs::create_dir_all(root.join("var/lib/dpkg/updates")).unwrap();
    std::fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    let upgrade = |version: &str| {
        let tree = folder.path().join(version);
        std::fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        std::fs::create_dir_all(tree.join("usr/bin")).unwrap();
        let control = format!(
            "Package: ms-daemon\nVersion: {version}\nArchitecture: all\nMaintainer: Test <test@example.org>\nDescription: test\n"
        );
        std::fs::write(tree.join("DEBIAN/control"), control).unwrap();
        std::fs::copy("/bin/sleep", tree.join("usr/bin/ms-daemon")).unwrap();
        std::fs::copy(library(), tree.join("usr/bin/libc.so.6")).unwrap();
        let deb = folder.path().join(format!("{version}.deb"));
        let built = Command::new("dpkg-deb").arg("--build").arg(&tree).arg(&deb).output().unwrap();
        assert!(built.status.success(), "{built:?}");
        let mut dpkg = Command::new("dpkg");
        dpkg.arg("--root").arg(&root).arg("--log=/dev/null").arg("--install").arg(&deb);
        let installed = dpkg.output().unwrap();
        assert!(installed.status.success(), "{installed:?}");
    };
    upgrade("1");
    let programs = root.join("usr/bin");
    let old = Running::start(&programs, "ms-daemon");
    let facts = live();
    let process = old.found(&facts);
    assert!(!process.is_replaced && process.replaced.is_empty(), "{process:?}");
    upgrade("2");
    let facts = live();
    let process = old.found(&facts);
    assert!(process.is_replaced, "{process:?}");
    assert_eq!(process.executable.as_deref(), programs.join("ms-daemon").to_str());
    assert_eq!(process.replaced, [programs.join("libc.so.6").to_str().unwrap()]);
    drop(old);
    let new = Running::start(&programs, "ms-daemon");
    let facts = live();
    let process = new.found(&facts);
    assert!(!process.is_replaced && process.replaced.is_empty(), "{process:?}");
}

fn what_would_listen() {
    let folder = lay_out(&[
        ("etc/os-release", b"ID=debian\nVERSION_ID=12\n"),
        (
            "var/lib/dpkg/status",
            b"Package: vsftpd\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\nPackage: snmpd\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n",
        ),
        ("etc/vsftpd.conf", b"listen_address=10.0.0.1\n"),
        ("etc/snmp/snmpd.conf", b"rocommunity public\n"),
        ("usr/lib/systemd/system/vsftpd.service", b""),
        ("etc/rc2.d/S01snmpd", b""),
        ("etc/rc2.d/S02openbsd-inetd", b""),
        ("etc/inetd.conf", b"telnet stream tcp nowait root /usr/sbin/in.telnetd in.telnetd\n"),
    ]);
    let wants = folder.path().join("etc/systemd/system/multi-user.target.wants");
    std::fs::create_dir_all(&wants).unwrap();
    symlink("/usr/lib/systemd/system/vsftpd.service", wants.join("vsftpd.service")).unwrap();
    let facts = facts_of(folder.path());
    let listeners = facts.running.listeners.found().expect("three services would listen");
    let told: Vec<_> = listeners
        .iter()
        .map(|l| {
            (l.cleartext.as_deref().unwrap_or(""), l.port, l.reach, l.pid, l.package.as_deref())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("ftp", 21, Reach::Private, None, Some("vsftpd")),
            ("telnet", 23, Reach::Public, None, None),
            ("snmp-v2c", 161, Reach::Public, None, Some("snmpd")),
        ]
    );
    assert_eq!(facts.running.processes, Reading::Absent);
    let tar = file_of(&tar_of(folder.path()));
    assert_eq!(facts_of(tar.path()), facts);
    assert_eq!(owed::cleartext_services(&facts).len(), 3);
}

fn a_listener_is_found() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let facts = live();
    let listeners = facts.running.listeners.found().expect("this machine runs");
    let found = listeners.iter().find(|l| l.port == port).expect("the listener is there");
    assert_eq!((found.address.as_str(), found.reach), ("127.0.0.1", Reach::Loopback));
    assert_eq!((found.pid, found.cleartext.as_deref()), (Some(std::process::id()), None));
}
