//! What the child gives up before it looks at a byte: landlock(7), seccomp(2), setrlimit(2), capabilities(7).
//!
//! The list of system calls is of what stays, not of what goes: a call that is not on it fails with EPERM, one that a
//! later kernel brings included. openat2(2) is not on it, for its flags lie behind a pointer where no filter can tell
//! reading from writing; whoever reads below a directory walks it name by name with openat(2).

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _,
};
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::{Access, Limits};

/// Gives up everything that `access` does not name.
pub(crate) fn confine(limits: &Limits, access: &Access<'_>) -> Result<(), String> {
    set_limits(limits)?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|e| format!("the child cannot be made undumpable: {e}"))?;
    rustix::thread::set_no_new_privs(true)
        .map_err(|e| format!("the child cannot give up new privileges: {e}"))?;
    if let Some(below) = access.below {
        // Only root can; elsewhere, and besides, Landlock holds the same line.
        let _unprivileged =
            rustix::process::fchdir(below).and_then(|()| rustix::process::chroot("."));
    }
    drop_capabilities(access);
    // A process within Landlock cannot look at one outside: proc(5) asks as ptrace(2) does.
    if !access.processes {
        landlock(access)?;
    }
    filter(access.below.is_some(), access.overlay)
}

fn set_limits(limits: &Limits) -> Result<(), String> {
    // A second more than the wall clock's limit: that one is meant to strike first, and to say so.
    let seconds = limits.time.as_secs().saturating_add(2);
    for (resource, limit) in [
        (Resource::Data, limits.memory),
        (Resource::As, limits.memory.saturating_add(1 << 30)),
        (Resource::Cpu, seconds),
        (Resource::Fsize, 0),
        (Resource::Nofile, 1024),
        (Resource::Nproc, 0),
        (Resource::Core, 0),
        (Resource::Memlock, 0),
    ] {
        // Whoever runs this may have set it lower; no one but root may set it higher again.
        let present = rustix::process::getrlimit(resource).maximum;
        let limit = present.map_or(limit, |present| present.min(limit));
        // Without leave to call setrlimit(2) the soft limit of descriptors holds; valgrind keeps some above the hard one.
        let maximum = if resource == Resource::Nofile { present } else { Some(limit) };
        let limit = Rlimit { current: Some(limit), maximum };
        rustix::process::setrlimit(resource, limit)
            .map_err(|e| format!("the child cannot limit its {resource:?}: {e}"))?;
    }
    Ok(())
}

/// Keeps the right to read files that belong to others, and to look at their processes where that is the work. Keeps only
/// what the parent has. `CAP_SYS_ADMIN`, by which alone xattr(7) shows `trusted.*`, is kept for overlays: of what else it
/// grants, the filter of system calls lets nothing pass.
fn drop_capabilities(access: &Access<'_>) {
    let Ok(now) = rustix::thread::capabilities(None) else { return };
    let mut wanted = CapabilitySet::DAC_READ_SEARCH;
    if access.processes {
        wanted |= CapabilitySet::SYS_PTRACE;
    }
    if access.overlay {
        wanted |= CapabilitySet::SYS_ADMIN;
    }
    let kept = now.permitted & wanted;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    let _kept_as_they_were = rustix::thread::set_capabilities(None, sets);
}

/// Shuts every file but those named, and every TCP port; kernels without Landlock are let pass.
fn landlock(access: &Access<'_>) -> Result<(), String> {
    let told = |e: &dyn std::fmt::Display| format!("the child cannot be shut in by Landlock: {e}");
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))
        .map_err(|e| told(&e))?
        .handle_access(AccessNet::from_all(ABI::V5))
        .map_err(|e| told(&e))?
        .create()
        .map_err(|e| told(&e))?;
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let whole = access.below.filter(|_| access.only.is_empty());
    for descriptor in access.only.iter().copied().chain(whole) {
        let granted = if is_directory(descriptor) { reading } else { AccessFs::ReadFile.into() };
        rules = rules.add_rule(PathBeneath::new(descriptor, granted)).map_err(|e| told(&e))?;
    }
    rules.restrict_self().map_err(|e| told(&e))?;
    Ok(())
}

fn is_directory(descriptor: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(descriptor)
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
}

/// Tells whether this kernel has Landlock.
pub fn has_landlock() -> bool {
    // ENOSYS or EOPNOTSUPP come back as a ruleset that is not enforced; a hard requirement makes that an error.
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(Ruleset::create)
        .is_ok()
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
fn filter(opens: bool, attributes: bool) -> Result<(), String> {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    let told = |e: &dyn std::fmt::Display| format!("the child cannot filter its system calls: {e}");
    let architecture = std::env::consts::ARCH.try_into().map_err(|e| told(&e))?;
    let filter = SeccompFilter::new(
        rules(opens, attributes).map_err(|e| told(&e))?,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        architecture,
    )
    .map_err(|e| told(&e))?;
    let program: BpfProgram = filter.try_into().map_err(|e| told(&e))?;
    seccompiler::apply_filter(&program).map_err(|e| told(&e))
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
fn filter(_opens: bool, _attributes: bool) -> Result<(), String> {
    Ok(())
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
type Rules = std::collections::BTreeMap<i64, Vec<seccompiler::SeccompRule>>;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
fn rules(opens: bool, attributes: bool) -> Result<Rules, seccompiler::BackendError> {
    use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

    const ALWAYS: [libc::c_long; 38] = [
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_pread64,
        libc::SYS_preadv,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_fadvise64,
        libc::SYS_ppoll,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_gettimeofday,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_sysinfo,
        libc::SYS_uname,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_set_robust_list,
        libc::SYS_membarrier,
    ];
    const OF_FILES: [libc::c_long; 5] = [
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_fstatfs,
        libc::SYS_readlinkat,
        libc::SYS_getdents64,
    ];

    let mut rules: Rules = ALWAYS.iter().map(|&call| (call, Vec::new())).collect();
    // abort(3) sends itself a signal; no other process may be sent one.
    let itself = u64::from(rustix::process::getpid().as_raw_nonzero().get().cast_unsigned());
    let to_itself = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, itself)?;
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![to_itself])?]);
    // Duplicating a descriptor and asking for its flags, not locking or owning.
    let mut flags = Vec::new();
    for command in [libc::F_GETFD, libc::F_GETFL, libc::F_DUPFD_CLOEXEC] {
        let command = u64::from(command.cast_unsigned());
        let asked = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, command)?;
        flags.push(SeccompRule::new(vec![asked])?);
    }
    rules.insert(libc::SYS_fcntl, flags);
    if attributes {
        rules.insert(libc::SYS_fgetxattr, Vec::new());
        rules.insert(libc::SYS_flistxattr, Vec::new());
    }
    if opens {
        rules.extend(OF_FILES.iter().map(|&call| (call, Vec::new())));
        let writing = (libc::O_WRONLY
            | libc::O_RDWR
            | libc::O_CREAT
            | libc::O_TRUNC
            | libc::O_APPEND
            | (libc::O_TMPFILE & !libc::O_DIRECTORY))
            .cast_unsigned();
        let for_reading = SeccompCondition::new(
            2,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(u64::from(writing)),
            0,
        )?;
        rules.insert(libc::SYS_openat, vec![SeccompRule::new(vec![for_reading])?]);
    } else {
        // A file that is open may be asked for its size: statx(2) on the descriptor itself.
        rules.insert(libc::SYS_statx, Vec::new());
    }
    Ok(rules)
}

/// Makes the child die with its parent.
pub(crate) fn die_with(parent: rustix::process::Pid) -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| format!("the child cannot be tied to its parent: {e}"))?;
    if rustix::process::getppid() == Some(parent) {
        return Ok(());
    }
    Err(String::from("the parent is gone"))
}
