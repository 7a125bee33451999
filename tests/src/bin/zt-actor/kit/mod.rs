//! Tools for the scenarios: output, orders, forks, deaths, namespaces.

mod channel;
pub(crate) mod compat;
mod fault;
pub(crate) mod fuse;
mod namespace;
mod pidfd;
mod process;
mod stdio;
pub(crate) mod uring;

pub(crate) use channel::Channel;
pub(crate) use fault::slow_page;
pub(crate) use namespace::{in_new_pid_namespace, pid_namespace_of};
pub(crate) use pidfd::PidFd;
pub(crate) use process::{
    clone_with, die_with_parent, exit_now, fork, fork_orphan, host_pid, raise_fatally, reap, reap_everything,
    signal_number,
};
pub(crate) use stdio::{in_turn, orders, say, wait_for_hangup, wait_for_hangup_within};

use nix::time::{ClockId, clock_gettime};

/// Call it before anything is forked.
pub(crate) fn prepare() -> anyhow::Result<()> {
    process::remember_host_proc()?;
    // The runtime ends PID 1 of a namespace; its starter may have to exit earlier.
    if nix::unistd::getppid().as_raw() != 0 {
        die_with_parent();
    }
    // Rust ignores SIGPIPE; a child of ours must not inherit a disposition that the scenario did not ask for.
    // SAFETY: SIG_DFL is no handler, so nothing runs in signal context.
    unsafe { nix::sys::signal::signal(nix::sys::signal::SIGPIPE, nix::sys::signal::SigHandler::SigDfl) }?;
    Ok(())
}

/// The boot clock in nanoseconds, the clock of the tracer's events.
pub(crate) fn boot_now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("the boot clock always exists");
    u64::try_from(now.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0)
}
