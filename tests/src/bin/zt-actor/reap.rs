//! A child dies and is reaped a known time later, by a chosen call.
//!
//! Prints `died pid= after= before=` (its death lies between the two times: it took the first itself just before it
//! exited, its parent saw it dead at the second), then `reaped pid= before= after=`, the times around the reaping call,
//! then `ready`. If the kernel does not have the call it first prints `unsupported` and exits.

use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use super::kit::{
    Channel, PidFd, boot_now, compat, fork, host_pid, say, uring, wait_for_hangup, wait_for_hangup_within,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The call that reaps
    #[arg(long, value_enum, default_value_t = How::Wait4)]
    how: How,
    /// How long the child stays a zombie
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// How many children, one after the other
    #[arg(long, default_value_t = 1)]
    children: u32,
    /// The children's exit code
    #[arg(long, default_value_t = 7)]
    exit_code: i32,
}

#[derive(Clone, Copy, ValueEnum)]
enum How {
    /// wait4 for this pid
    Wait4,
    /// wait4 for any child
    WaitAny,
    /// wait4 with a bad address for the rusage: it reaps, and fails with EFAULT
    Wait4Efault,
    /// the same for any child
    WaitAnyEfault,
    /// waitid for this pid
    Waitid,
    /// waitid without a siginfo
    WaitidNull,
    /// waitid for any child, without a siginfo
    WaitidAnyNull,
    /// waitid for a pidfd
    Pidfd,
    /// wait4, called by another thread of the parent
    Thread,
    /// wait4 as 32-bit programs call it
    Wait4Compat,
    /// waitid as 32-bit programs call it
    WaitidCompat,
    /// waitid by io_uring
    IoUring,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if !args.how.is_supported()? {
        say("unsupported");
        return Ok(());
    }
    if args.how.is_tried_by_a_child() {
        // That was a child of this process, and perhaps reaped late: the scenario's parent has none but its own.
        let parent = fork(|| i32::from(die_and_reap(args).is_err()))?;
        ensure!(waitpid(parent, None)? == WaitStatus::Exited(parent, 0), "the parent failed");
        return Ok(());
    }
    die_and_reap(args)
}

fn die_and_reap(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let dying = Channel::new()?;
    for _ in 0..args.children {
        let pid = fork(|| {
            dying.send(boot_now());
            args.exit_code
        })?;
        let pidfd = PidFd::open(pid)?;
        let last_words = dying.receive();
        pidfd.wait_dead();
        say(format!("died pid={pid} after={last_words} before={}", boot_now()));
        // The time as a zombie is the scenario itself; a test that gives up ends it.
        if args.delay_ms > 0 {
            wait_for_hangup_within(Duration::from_millis(args.delay_ms));
        }
        let (before, after) = args.how.reap(pid, &pidfd)?;
        say(format!("reaped pid={pid} before={before} after={after}"));
    }
    say("ready");
    wait_for_hangup();
    Ok(())
}

impl How {
    /// Whether a process that tries the call may die of it.
    fn is_tried_by_a_child(self) -> bool {
        matches!(self, Self::Wait4Compat | Self::WaitidCompat)
    }

    /// Whether this kernel has the call; found by trying it.
    fn is_supported(self) -> anyhow::Result<bool> {
        match self {
            _ if self.is_tried_by_a_child() => {
                let tried = fork(|| i32::from(!compat::answers()))?;
                Ok(waitpid(tried, None)? == WaitStatus::Exited(tried, 0))
            }
            Self::IoUring => {
                // A known operation reports that there is no such child.
                let nobodys = getpid().as_raw();
                Ok(uring::waitid(nobodys)? != Err(Errno::EINVAL))
            }
            _ => Ok(true),
        }
    }

    fn reap(self, pid: Pid, pidfd: &PidFd) -> anyhow::Result<(u64, u64)> {
        let before = boot_now();
        match self {
            Self::Wait4 => ensure!(wait4(pid.as_raw(), ptr::null_mut())? == pid.as_raw(), "wait4 reaped another child"),
            Self::WaitAny => ensure!(wait4(-1, ptr::null_mut())? == pid.as_raw(), "wait4 reaped another child"),
            Self::Wait4Efault | Self::WaitAnyEfault => {
                let bad_address = ptr::without_provenance_mut(1);
                let selected = if matches!(self, Self::WaitAnyEfault) { -1 } else { pid.as_raw() };
                ensure!(wait4(selected, bad_address) == Err(Errno::EFAULT), "wait4 took a bad address");
            }
            Self::Waitid => {
                // SAFETY: siginfo_t is plain data for which all zeroes is a value.
                let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
                waitid(libc::P_PID, pid.as_raw(), &raw mut info)?;
            }
            Self::WaitidNull => waitid(libc::P_PID, pid.as_raw(), ptr::null_mut())?,
            Self::WaitidAnyNull => waitid(libc::P_ALL, 0, ptr::null_mut())?,
            Self::Pidfd => waitid(libc::P_PIDFD, pidfd.as_raw_fd(), ptr::null_mut())?,
            Self::Thread => {
                let waiter = std::thread::spawn(move || wait4(pid.as_raw(), ptr::null_mut()));
                let reaped = waiter.join().ok().context("the waiting thread panicked")??;
                ensure!(reaped == pid.as_raw(), "wait4 reaped another child");
            }
            Self::Wait4Compat => ensure!(compat::wait4(pid.as_raw())? == pid.as_raw(), "wait4 reaped another child"),
            Self::WaitidCompat => compat::waitid(pid.as_raw())?,
            Self::IoUring => uring::waitid(pid.as_raw())??,
        }
        Ok((before, boot_now()))
    }
}

fn wait4(pid: i32, rusage: *mut libc::rusage) -> nix::Result<i32> {
    let mut status = 0;
    // SAFETY: status outlives the call; rusage is null, or an address that the kernel refuses.
    Errno::result(unsafe { libc::syscall(libc::SYS_wait4, pid, &raw mut status, 0, rusage) })
        .map(|reaped| i32::try_from(reaped).unwrap_or(-1))
}

fn waitid(kind: libc::idtype_t, id: i32, info: *mut libc::siginfo_t) -> nix::Result<()> {
    let no_rusage = ptr::null_mut::<libc::rusage>();
    // The system call itself: the C library's wrapper knows no rusage, and some refuse a null siginfo.
    // SAFETY: info is null or points to a siginfo_t that outlives the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_waitid, kind, id, info, libc::WEXITED, no_rusage) }).map(drop)
}
