//! The system calls that no safe wrapper offers: fork(2), close_range(2), wait4(2), _exit(2), clock_gettime(2).
//!
//! The only unsafe code of the project. Each function here is sound by itself; what makes a fork safe to use (one
//! thread, a child that never returns) is held by [`crate::run`].

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use rustix::process::Pid;

/// Which of the two processes a fork returned into.
pub(crate) enum Side {
    Parent(Pid),
    Child,
}

/// What a process used, and how it ended.
pub(crate) struct Ended {
    pub(crate) status: libc::c_int,
    pub(crate) cpu: Duration,
    pub(crate) peak: u64,
}

/// Forks. The caller has made sure that this process has one thread, so that no lock is held by one that is gone.
#[expect(unsafe_code, reason = "fork has no safe wrapper")]
pub(crate) fn fork() -> io::Result<Side> {
    // SAFETY: fork takes no arguments; with one thread the child has every lock in a consistent state.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent(Pid::from_raw(pid).expect("fork gives the parent a positive pid"))),
    }
}

/// Ends this process at once: nothing of the parent's is flushed, dropped or run a second time.
#[expect(unsafe_code, reason = "_exit has no safe wrapper")]
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: _exit takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor but these, which are sorted.
#[expect(unsafe_code, reason = "descriptors are closed that nobody here owns")]
pub(crate) fn close_all_but(kept: &[RawFd]) {
    let mut first: u32 = 0;
    for &descriptor in kept {
        let descriptor = u32::try_from(descriptor).expect("an open descriptor is not negative");
        if descriptor > first {
            close_range(first, descriptor - 1);
        }
        first = descriptor + 1;
    }
    close_range(first, u32::MAX);

    fn close_range(first: u32, last: u32) {
        // SAFETY: integers alone are passed; the child uses no descriptor but those kept.
        let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        if done == 0 {
            return;
        }
        // Kernels before 5.9: one by one, as far as the table of descriptors can reach.
        let end = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let end = u32::try_from(end.unwrap_or(65_536)).unwrap_or(65_536).min(65_536);
        for descriptor in first..=last.min(end) {
            // SAFETY: as above.
            unsafe { libc::close(descriptor as libc::c_int) };
        }
    }
}

/// Waits for a child of this process; nothing when `hang` is false and it has not ended yet.
#[expect(unsafe_code, reason = "what a child used is told by wait4 alone")]
pub(crate) fn wait(pid: Pid, hang: bool) -> io::Result<Option<Ended>> {
    loop {
        let mut status = 0;
        // SAFETY: rusage is plain integers, for which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let flags = if hang { 0 } else { libc::WNOHANG };
        // SAFETY: both pointers are to locals that outlive the call.
        let waited =
            unsafe { libc::wait4(pid.as_raw_nonzero().get(), &mut status, flags, &mut usage) };
        match waited {
            0 => return Ok(None),
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            _ => {
                let peak = u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024);
                let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
                return Ok(Some(Ended { status, cpu, peak }));
            }
        }
    }
}

/// Returns the time of the monotonic clock.
///
/// Through the C library: rustix looks for the kernel's own code page by itself, and is lost under valgrind.
#[expect(unsafe_code, reason = "the C library's clock has no safe wrapper but the banned one")]
pub(crate) fn monotonic() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}
