//! Runs the executable, and measures it where a test asks for that.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The clock of every test that names no other.
pub(crate) const NOW: &str = "2026-11-23T12:00:00Z";
/// The bounds that every bad input is met in.
const MAX_KIB: u64 = 128 << 10;
const MAX_SECONDS: f64 = 20.0;

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    /// The answer as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("the answer is UTF-8")
    }

    /// The answer as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"))
    }

    /// Fails unless the run ended with this status.
    #[track_caller]
    pub(crate) fn is(self, status: i32) -> Self {
        assert_eq!(
            self.status,
            Some(status),
            "out: {}\nerr: {}",
            String::from_utf8_lossy(&self.out),
            self.err
        );
        self
    }

    /// Fails unless the run was refused, and its error holds every one of these.
    #[track_caller]
    pub(crate) fn refused(self, words: &[&str]) -> Self {
        let ran = self.is(2);
        assert!(ran.out.is_empty(), "something was answered: {ran:?}");
        assert!(ran.err.starts_with("muster: ") || ran.err.starts_with("error: "), "{ran:?}");
        for word in words {
            assert!(ran.err.contains(word), "{word:?} is not in {:?}", ran.err);
        }
        ran
    }
}

/// The executable, away from what the person who tests has at home.
pub(crate) fn muster() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command
        .env_remove("MUSTER_ADVISORIES_KEY")
        .env("HOME", "/nonexistent")
        .env("XDG_DATA_HOME", "/nonexistent")
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

/// Runs it.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: &[S]) -> Ran {
    finished(muster().args(arguments))
}

/// Runs it with bytes on standard input.
pub(crate) fn run_fed<S: AsRef<OsStr>>(arguments: &[S], input: &[u8]) -> Ran {
    let mut child = muster()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A run that refuses early closes its end: that is its right.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    ran(output)
}

/// Waits for a command.
pub(crate) fn finished(command: &mut Command) -> Ran {
    ran(command.output().unwrap())
}

fn ran(output: std::process::Output) -> Ran {
    Ran {
        status: output.status.code(),
        out: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs it within the bounds of bad input: wait4(2) tells the peak of the run and of every child that it waited for.
pub(crate) fn run_bounded<S: AsRef<OsStr>>(arguments: &[S]) -> Ran {
    const MEASURE: &str = "import os,sys,time\nt=time.monotonic()\np=os.posix_spawn(sys.argv[2],sys.argv[2:],os.environ)\n_,s,u=os.wait4(p,0)\nopen(sys.argv[1],'w').write(f'{u.ru_maxrss} {time.monotonic()-t}')\nsys.exit(os.waitstatus_to_exitcode(s)&255)";
    if !has("python3") {
        not_run("python3");
        return run(arguments);
    }
    let folder = tempfile::tempdir().unwrap();
    let figures = folder.path().join("figures");
    let mut command = Command::new("python3");
    command.arg("-c").arg(MEASURE).arg(&figures).arg(env!("CARGO_BIN_EXE_muster"));
    command.args(arguments).env("HOME", home()).env("XDG_DATA_HOME", "/nonexistent");
    let ran = finished(command.stdin(Stdio::null()));
    let text = std::fs::read_to_string(&figures).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    let (kib, seconds) = text.split_once(' ').unwrap();
    let (kib, seconds): (u64, f64) = (kib.parse().unwrap(), seconds.parse().unwrap());
    assert!(kib <= MAX_KIB, "{kib} KiB at its peak: {ran:?}");
    assert!(seconds <= MAX_SECONDS, "{seconds} s: {ran:?}");
    ran
}

/// Python of a version manager lives below the home of the person who tests.
fn home() -> std::ffi::OsString {
    std::env::var_os("HOME").unwrap_or_default()
}

/// Tells whether a program is installed.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Says that a part of a test was left out for want of something.
pub(crate) fn not_run(needs: &str) {
    assert!(std::env::var_os("MUSTER_REQUIRE_ALL").is_none(), "not run: needs {needs}");
    println!("not run: needs {needs}");
}

/// A folder of a test, with files in it.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// Makes one.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The place of a name in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The place of a name in it, as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    /// Lists what lies in it, by name.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
