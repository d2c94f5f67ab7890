//! Each limit of the child, met for real. A fork wants one thread, so they run on the main one.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test without the standard harness"
)]

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use muster_sandbox::{Access, Death, Limits, Outcome, has_landlock, run};
use rustix::fs::{Mode, OFlags, openat};

const LIMITS: Limits = Limits { memory: 64 << 20, time: Duration::from_secs(5), output: 1 << 20 };

/// Every test, run one after another on the main thread.
const TESTS: &[(&str, fn())] = &[
    ("the_answer_comes_back_whole", the_answer_comes_back_whole),
    ("nothing_but_reading_what_was_given_is_left", nothing_but_reading_what_was_given_is_left),
    (
        "nothing_can_be_opened_where_no_directory_was_given",
        nothing_can_be_opened_where_no_directory_was_given,
    ),
    (
        "landlock_narrows_the_directory_to_what_was_named",
        landlock_narrows_the_directory_to_what_was_named,
    ),
    (
        "other_processes_are_seen_only_where_that_is_the_work",
        other_processes_are_seen_only_where_that_is_the_work,
    ),
    ("each_limit_is_told_in_words", each_limit_is_told_in_words),
    ("a_process_with_threads_does_not_fork", a_process_with_threads_does_not_fork),
];

/// Stands in for the standard harness, whose tests each have a thread, while a fork wants the only one.
fn main() -> std::process::ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let (mut passed, mut failed, mut left_out) = (0, 0, 0);
    for (name, test) in TESTS {
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

fn told(outcome: &Outcome) -> String {
    assert_eq!(outcome.death, None);
    String::from_utf8(outcome.output.clone()).unwrap()
}

/// What an attempt gave: `ok`, or the error.
fn say<T>(
    out: &mut dyn Write,
    attempt: &str,
    result: Result<T, impl std::fmt::Display>,
) -> io::Result<()> {
    match result {
        Ok(_) => writeln!(out, "{attempt}: ok"),
        Err(error) => writeln!(out, "{attempt}: {error}"),
    }
}

fn the_answer_comes_back_whole() {
    let outcome = run(&LIMITS, &Access::default(), |out| out.write_all(&[b'x'; 300_000]));
    assert_eq!(outcome.death, None);
    assert_eq!(outcome.output, [b'x'; 300_000]);
    assert!(outcome.peak > 0 && outcome.peak < 64 << 20);
}

fn nothing_but_reading_what_was_given_is_left() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("given"), "inside").unwrap();
    std::fs::write(folder.path().join("target"), "whole").unwrap();
    let directory = File::open(folder.path()).unwrap();
    let inherited = File::open("/etc/passwd").unwrap();
    let slash = File::open("/").unwrap();
    let written = folder.path().join("written");
    let parent = rustix::process::getpid();
    let access = Access { below: Some(directory.as_fd()), ..Access::default() };
    let outcome = run(&LIMITS, &access, |out| {
        let read = |name: &str| -> io::Result<String> {
            let file = openat(&directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            io::read_to_string(File::from(file))
        };
        writeln!(out, "given: {}", read("given")?)?;
        say(out, "file system", rustix::fs::fstatfs(&directory))?;
        say(
            out,
            "write by openat",
            openat(&directory, "new", OFlags::WRONLY | OFlags::CREATE, Mode::RWXU),
        )?;
        say(
            out,
            "truncate",
            openat(&directory, "target", OFlags::RDONLY | OFlags::TRUNC, Mode::empty()),
        )?;
        say(
            out,
            "write by openat2",
            rustix::fs::openat2(
                &directory,
                "new2",
                OFlags::WRONLY | OFlags::CREATE,
                Mode::RWXU,
                rustix::fs::ResolveFlags::empty(),
            ),
        )?;
        say(
            out,
            "remove",
            rustix::fs::unlinkat(&directory, "target", rustix::fs::AtFlags::empty()),
        )?;
        say(out, "link", rustix::fs::symlinkat("x", &directory, "link"))?;
        say(out, "std write", std::fs::write(&written, "x"))?;
        say(out, "outside by path", File::open("/etc/passwd"))?;
        say(
            out,
            "outside by dots",
            openat(&directory, "../../etc/passwd", OFlags::RDONLY, Mode::empty()),
        )?;
        say(out, "inherited file", (&inherited).read(&mut [0; 8]))?;
        say(
            out,
            "inherited directory",
            openat(&slash, "etc/passwd", OFlags::RDONLY, Mode::empty()),
        )?;
        say(out, "tcp", std::net::TcpStream::connect("127.0.0.1:1"))?;
        say(out, "udp", std::net::UdpSocket::bind("127.0.0.1:0"))?;
        say(out, "unix", std::os::unix::net::UnixDatagram::unbound())?;
        say(out, "exec", Command::new("/bin/true").status())?;
        say(out, "thread", std::thread::Builder::new().spawn(|| ()))?;
        say(out, "kill", rustix::process::kill_process(parent, rustix::process::Signal::TERM))?;
        say(out, "chroot", rustix::process::chroot("/"))
    });
    let told = told(&outcome);
    let mut lines = told.lines();
    assert_eq!(lines.next(), Some("given: inside"));
    assert_eq!(lines.next(), Some("file system: ok"), "a walk asks where it is");
    for line in lines {
        let attempt = line.split(':').next().unwrap();
        assert!(!line.ends_with(": ok"), "{line}");
        match attempt {
            // The directory is the root of what it sees, or Landlock shuts the rest.
            "outside by path" | "outside by dots" => {
                assert!(line.contains("No such file") || line.contains("denied"), "{line}");
            }
            "inherited file" | "inherited directory" => {
                assert!(line.contains("Bad file"), "{line}");
            }
            _ => assert!(line.contains("not permitted") || line.contains("(os error 1)"), "{line}"),
        }
    }
    assert_eq!(told.lines().count(), 19, "{told}");
    assert_eq!(std::fs::read_to_string(folder.path().join("target")).unwrap(), "whole");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

fn nothing_can_be_opened_where_no_directory_was_given() {
    let mut file = File::open("/etc/passwd").unwrap();
    let other = file.try_clone().unwrap();
    let access = Access { open: &[other.as_fd()], ..Access::default() };
    let outcome = run(&LIMITS, &access, |out| {
        say(out, "open", File::open("/etc/hosts"))?;
        let mut first = [0; 4];
        (&other).read_exact(&mut first)?;
        assert!(file.as_raw_fd() != other.as_raw_fd());
        out.write_all(&first)?;
        say(out, " closed", file.read(&mut first))
    });
    let told = told(&outcome);
    assert!(told.contains("open: Operation not permitted"), "{told}");
    assert!(told.contains("root closed: Bad file"), "{told}");
}

fn landlock_narrows_the_directory_to_what_was_named() {
    if !has_landlock() {
        println!("not run: this kernel has no Landlock");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("named")).unwrap();
    std::fs::write(folder.path().join("named/a"), "a").unwrap();
    std::fs::write(folder.path().join("file"), "f").unwrap();
    std::fs::write(folder.path().join("other"), "o").unwrap();
    let directory = File::open(folder.path()).unwrap();
    let named = File::open(folder.path().join("named")).unwrap();
    let file = File::open(folder.path().join("file")).unwrap();
    let only = [named.as_fd(), file.as_fd()];
    let access = Access { below: Some(directory.as_fd()), only: &only, ..Access::default() };
    let outcome = run(&LIMITS, &access, |out| {
        for name in ["named/a", "file", "other", "."] {
            say(out, name, openat(&directory, name, OFlags::RDONLY, Mode::empty()))?;
        }
        Ok(())
    });
    let denied = "Permission denied (os error 13)";
    assert_eq!(told(&outcome), format!("named/a: ok\nfile: ok\nother: {denied}\n.: {denied}\n"));
}

fn each_limit_is_told_in_words() {
    let none = Access::default();
    let memory = run(&LIMITS, &none, |out| out.write_all(&vec![1; 512 << 20]));
    assert_eq!(memory.death, Some(Death::Memory(64 << 20)));
    assert!(memory.peak < 80 << 20, "{}", memory.peak);

    let short = Limits { time: Duration::from_millis(300), ..LIMITS };
    let busy = run(&short, &none, |out| {
        out.write_all(b"before")?;
        out.flush()?;
        loop {
            std::hint::spin_loop();
        }
    });
    assert_eq!(busy.death, Some(Death::Time(short.time)));
    assert_eq!(busy.output, b"before");
    assert_eq!(
        busy.death.unwrap().to_string(),
        "the reader was stopped: it took longer than 0.3 s"
    );
    let asleep = run(&short, &none, |_| {
        loop {
            std::thread::park();
        }
    });
    assert_eq!(asleep.death, Some(Death::Time(short.time)));

    let loud = run(&LIMITS, &none, |out| {
        loop {
            out.write_all(&[0; 4096])?;
        }
    });
    assert_eq!(loud.death, Some(Death::Output(1 << 20)));

    let panicked = run(&LIMITS, &none, |_| panic!("no such stanza"));
    let Some(Death::Panic(words)) = panicked.death else { panic!("{:?}", panicked.death) };
    assert!(
        words.starts_with("no such stanza at crates/muster-sandbox/tests/it/main.rs:"),
        "{words}"
    );

    let failed = run(&LIMITS, &none, |_| Err(io::Error::other("it is no tar")));
    assert_eq!(failed.death, Some(Death::Failed(String::from("it is no tar"))));

    let aborted = run(&LIMITS, &none, |_| std::process::abort());
    assert_eq!(aborted.death, Some(Death::Signal(6)));

    let deep = run(&LIMITS, &none, |out| out.write_all(&[u8::try_from(recurse(0) & 1).unwrap()]));
    assert!(matches!(deep.death, Some(Death::Signal(6 | 11))), "{:?}", deep.death);
}

#[expect(unconditional_recursion, reason = "the stack is to run out")]
fn recurse(n: u64) -> u64 {
    let page = std::hint::black_box([n; 512]);
    recurse(n + 1) + page[usize::try_from(n % 512).unwrap()]
}

fn a_process_with_threads_does_not_fork() {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || wait.recv());
    let outcome = run(&LIMITS, &Access::default(), |_| Ok(()));
    drop(done);
    assert!(thread.join().unwrap().is_err());
    let Some(Death::NotStarted(why)) = outcome.death else { panic!("{:?}", outcome.death) };
    assert!(Path::new("/proc/self/task").exists() && why.contains("threads"), "{why}");
}

/// The parent is outside the child's Landlock, so the child may look at it only where processes are the work.
fn other_processes_are_seen_only_where_that_is_the_work() {
    let proc = File::open("/proc").unwrap();
    let parent = std::process::id();
    let seen = [false, true].map(|processes| {
        let access = Access { below: Some(proc.as_fd()), processes, ..Access::default() };
        let outcome = run(&LIMITS, &access, |out| {
            let maps = format!("{parent}/maps");
            let opened = openat(&proc, maps, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            let text =
                opened.map_err(io::Error::from).and_then(|f| io::read_to_string(File::from(f)));
            say(
                out,
                "maps",
                text.and_then(|t| {
                    if t.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
                }),
            )
        });
        told(&outcome)
    });
    if has_landlock() {
        assert_ne!(seen[0], "maps: ok\n");
    }
    assert_eq!(seen[1], "maps: ok\n");
}
