//! Roots read as a user's are, in the sandboxed child. A fork wants one thread, so the tests run on the main one.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests without the standard harness")]

mod bad_input;
mod overlay;
mod packages;
mod roots;
mod running;
mod webapps;

use std::path::{Path, PathBuf};

use muster_core::fact::Facts;
use muster_inspect::{Options, Target, inspect};

/// A test and its name.
type Test = (&'static str, fn());

/// Stands in for the standard harness: a name given as an argument selects.
fn main() -> std::process::ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let (mut passed, mut failed, mut left_out) = (0, 0, 0);
    for (name, test) in [
        roots::TESTS,
        packages::TESTS,
        bad_input::TESTS,
        running::TESTS,
        webapps::TESTS,
        overlay::TESTS,
    ]
    .concat()
    {
        if !wanted.is_empty() && !wanted.iter().any(|w| name.contains(w.as_str())) {
            left_out += 1;
            continue;
        }
        let ok = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        if ok {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left_out} filtered out"
    );
    std::process::ExitCode::from(u8::from(failed > 0))
}

/// The folder of this repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The facts of a root on the disk, read in the child.
fn facts_of(root: &Path) -> Facts {
    inspect(&Target::parse(root.as_os_str()).unwrap(), &Options::default()).unwrap()
}

/// Writes files into a new folder, as a root.
fn lay_out(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

/// A tar of a folder, as `tar -C folder -c .` makes it.
fn tar_of(folder: &Path) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.follow_symlinks(false);
    tar.append_dir_all(".", folder).unwrap();
    tar.into_inner().unwrap()
}

/// Puts bytes into a file of their own.
fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}
