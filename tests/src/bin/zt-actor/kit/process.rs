//! Forking, dying, reaping.

use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::sync::OnceLock;

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, readlinkat};
use nix::sys::prctl;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid, getppid};

use super::PidFd;

static HOST_PROC: OnceLock<OwnedFd> = OnceLock::new();

/// Keeps the test's /proc, in which the actor was started: through it a process in our pid namespace learns its pid in
/// the test's.
pub(super) fn remember_host_proc() -> anyhow::Result<()> {
    let proc = open("/proc", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    HOST_PROC.get_or_init(|| proc);
    Ok(())
}

/// The pid of the calling process as the test sees it.
pub(crate) fn host_pid() -> i32 {
    let proc = HOST_PROC.get().expect("prepare() has opened /proc");
    let link = readlinkat(proc, "self").expect("/proc/self names the reader");
    link.to_str().and_then(|pid| pid.parse().ok()).expect("/proc/self is a number")
}

/// Asks for SIGKILL when the present parent dies.
pub(crate) fn die_with_parent() {
    prctl::set_pdeathsig(Signal::SIGKILL).expect("SIGKILL is a valid parent-death signal");
}

/// Exits without running any cleanup of the parent.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit does not return and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Forks a child that dies with its parent, runs `child` and exits with the code it returns.
pub(crate) fn fork(child: impl FnOnce() -> i32) -> anyhow::Result<Pid> {
    let parent = getpid();
    fork_unattended(|| {
        die_with_parent();
        // The parent may have died before the request; the init of a new pid namespace sees its parent as 0.
        if getppid() != parent && getppid().as_raw() != 0 {
            exit_now(0);
        }
        child()
    })
}

fn fork_unattended(child: impl FnOnce() -> i32) -> anyhow::Result<Pid> {
    // SAFETY: scenarios fork while they have one thread, so the child finds every lock free.
    match unsafe { nix::unistd::fork() }.context("fork")? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => exit_now(child()),
    }
}

/// The clone system call with these flags, the exit signal among them; otherwise like `fork`.
pub(crate) fn clone_with(flags: libc::c_int, child: impl FnOnce() -> i32) -> anyhow::Result<Pid> {
    // SAFETY: without a stack and without CLONE_VM this is a fork, made while there is one thread.
    let pid = Errno::result(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) }).context("clone")?;
    if pid == 0 {
        die_with_parent();
        exit_now(child());
    }
    Ok(Pid::from_raw(i32::try_from(pid)?))
}

/// Double-forks: runs `orphan` in a grandchild whose parent is dead and reaped, and which has been adopted. It dies
/// with the adopter.
pub(crate) fn fork_orphan(orphan: impl FnOnce() -> i32) -> anyhow::Result<()> {
    let middle = fork(|| {
        let this = PidFd::open(getpid()).expect("a process may open itself");
        let grandchild = fork_unattended(|| {
            // The parent's death and the adoption are complete only when the pidfd says so.
            this.wait_dead();
            die_with_parent();
            orphan()
        });
        i32::from(grandchild.is_err())
    })?;
    match reap(middle)? {
        WaitStatus::Exited(_, 0) => Ok(()),
        other => bail!("the middle process of a double fork ended as {other:?}"),
    }
}

/// Waits for one child to end.
pub(crate) fn reap(pid: Pid) -> anyhow::Result<WaitStatus> {
    loop {
        match waitpid(pid, None) {
            Err(Errno::EINTR) => {}
            other => return other.with_context(|| format!("waitpid({pid})")),
        }
    }
}

/// Reaps all children, so that an actor leaves none to an adopter.
pub(crate) fn reap_everything() {
    while !matches!(waitpid(None, None), Err(Errno::ECHILD)) {}
}

pub(crate) fn raise_fatally(signal: i32) -> i32 {
    if let Ok(signal) = Signal::try_from(signal) {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: SIG_DFL is no handler. SIGKILL cannot be set and needs not be, hence the ignored result.
        let _ = unsafe { sigaction(signal, &default) };
        let mut only = SigSet::empty();
        only.add(signal);
        let _ = only.thread_unblock();
    }
    // SAFETY: raise takes an integer.
    unsafe { libc::raise(signal) };
    // Reached only if the signal does not kill, which the test sees by this code.
    121
}

/// `TERM`, `SIGTERM` or `15`.
pub(crate) fn signal_number(name: &str) -> anyhow::Result<i32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let full = if name.starts_with("SIG") { name.to_owned() } else { format!("SIG{name}") };
    let signal = Signal::from_str(&full).with_context(|| format!("no signal is called {name}"))?;
    Ok(signal as i32)
}
