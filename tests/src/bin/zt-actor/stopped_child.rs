//! A child that is stopped, continued, killed and reaped, as ordered.
//!
//! Prints `parent pid=`, `child pid=` and `ready`. Orders: `stop` and `cont` send the child that signal and wait for
//! the report of it, which is `stopped` or `continued`; `kill` kills it and does not wait: `died after= before=` (it
//! died between the two times); `reap` waits for its end: `reaped before= after=`.

use clap::ValueEnum;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::kit::{PidFd, boot_now, fork, host_pid, orders, reap, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The call that waits for stops and continues
    #[arg(long, value_enum, default_value_t = How::Wait4)]
    how: How,
}

#[derive(Clone, Copy, ValueEnum)]
enum How {
    /// wait4 for any child
    Wait4,
    /// wait4 for this child, without a status
    Wait4Null,
    /// waitid for this child
    Waitid,
    /// waitid for this child, without a siginfo
    WaitidNull,
    /// waitid that leaves the report where it is, and takes it by a second call
    Look,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let child = fork(|| {
        wait_for_hangup();
        0
    })?;
    let pidfd = PidFd::open(child)?;
    say(format!("child pid={child}"));
    say("ready");
    for order in orders() {
        match order.as_str() {
            "stop" => {
                kill(child, Signal::SIGSTOP)?;
                args.how.wait(child, libc::WSTOPPED)?;
                say("stopped");
            }
            "cont" => {
                kill(child, Signal::SIGCONT)?;
                args.how.wait(child, libc::WCONTINUED)?;
                say("continued");
            }
            "kill" => {
                let after = boot_now();
                kill(child, Signal::SIGKILL)?;
                pidfd.wait_dead();
                say(format!("died after={after} before={}", boot_now()));
            }
            "reap" => {
                let before = boot_now();
                reap(child)?;
                say(format!("reaped before={before} after={}", boot_now()));
            }
            _ => anyhow::bail!("no such order: {order}"),
        }
    }
    reap_everything();
    Ok(())
}

impl How {
    /// Waits for a report of this kind, and not for the end.
    fn wait(self, child: Pid, kind: i32) -> nix::Result<()> {
        match self {
            // wait4 also reports exits, but there is only this child.
            Self::Wait4 => wait4(-1, true, kind),
            Self::Wait4Null => wait4(child.as_raw(), false, kind),
            Self::Waitid => waitid(child, true, kind),
            Self::WaitidNull => waitid(child, false, kind),
            Self::Look => waitid(child, true, kind | libc::WNOWAIT).and_then(|()| waitid(child, true, kind)),
        }
    }
}

fn wait4(pid: i32, with_status: bool, kind: i32) -> nix::Result<()> {
    let mut status = 0;
    let address = if with_status { &raw mut status } else { std::ptr::null_mut() };
    let no_rusage = std::ptr::null_mut::<libc::rusage>();
    // SAFETY: the address is null or that of an integer that outlives the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_wait4, pid, address, kind, no_rusage) }).map(drop)
}

fn waitid(pid: Pid, with_info: bool, kind: i32) -> nix::Result<()> {
    // SAFETY: siginfo_t is plain data for which all zeroes is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let address = if with_info { &raw mut info } else { std::ptr::null_mut() };
    let no_rusage = std::ptr::null_mut::<libc::rusage>();
    // SAFETY: the address is null or that of a siginfo_t that outlives the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_waitid, libc::P_PID, pid.as_raw(), address, kind, no_rusage) })
        .map(drop)
}
