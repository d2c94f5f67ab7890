//! Prints what apt would upgrade in a directory, one line a package, and what it cost: `apt_candidates ROOT`.

use std::path::Path;
use std::process::ExitCode;

use muster_core::fact::{Facts, Reading};
use muster_inspect::Inspector as _;
use muster_inspect::inspectors::{apt, dpkg, os_release};
use muster_inspect::root::{Directory, Root};
use rustix::fs::{Mode, OFlags};
use rustix::time::{ClockId, clock_gettime};

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is run by a person to read what it prints"
)]
fn main() -> ExitCode {
    let path = std::env::args().nth(1).unwrap_or_else(|| "/".to_owned());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(top) = rustix::fs::open(Path::new(&path), flags, Mode::empty()) else {
        eprintln!("{path}: cannot be opened; give a directory");
        return ExitCode::from(2);
    };
    let root = Directory::new(top, false, false);
    let mut facts = Facts::default();
    os_release::OsRelease.inspect(&root, &mut facts);
    dpkg::Dpkg.inspect(&root, &mut facts);
    let before = cpu();
    apt::Apt.inspect(&root as &dyn Root, &mut facts);
    let spent = cpu() - before;
    for candidate in facts.archive.found().map(|a| a.candidates.as_slice()).unwrap_or_default() {
        println!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}",
            candidate.name,
            candidate.architecture,
            candidate.version,
            candidate.pocket,
            candidate.security,
            candidate.phased.map_or_else(String::new, |share| share.to_string()),
            candidate.kept_back.as_deref().unwrap_or_default(),
        );
    }
    if let Reading::Unknown(obstacle) = &facts.archive {
        eprintln!("{}: {}", obstacle.what, obstacle.why);
    }
    for obstacle in &facts.obstacles {
        eprintln!("{}: {}", obstacle.what, obstacle.why);
    }
    for trouble in &facts.troubles {
        eprintln!("{}: {}", trouble.kind.name(), trouble.why);
    }
    let own = facts.packages.iter().filter(|package| package.origin.is_some()).count();
    eprintln!(
        "{} packages, {own} with an origin; {spent} ms of processor time; {}",
        facts.packages.len(),
        peak()
    );
    ExitCode::SUCCESS
}

fn cpu() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|l| l.starts_with("VmHWM")).collect()
}
