//! Several processes in turn have the same pid, each reaped before the next one is born.
//!
//! The pid is asked for with clone3's `set_tid`, so nothing depends on wrapping the counter. Prints `parent pid=`,
//! `incarnation pid= exit=` for each, then `ready`. With `--leave-zombie` the last one is not reaped. With
//! `--neglect-ms` each says `child pid= exit=` of a child that it lets wait.

use anyhow::Context;
use nix::errno::Errno;
use nix::unistd::Pid;

use super::kit::{PidFd, die_with_parent, exit_now, fork, host_pid, reap, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many processes have the pid
    #[arg(long, default_value_t = 3)]
    times: u32,
    /// Do not reap the last one
    #[arg(long)]
    leave_zombie: bool,
    /// Each has a child that dies at once, which it reaps this much later
    #[arg(long)]
    neglect_ms: Option<u64>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let mut reused = None;
    for index in 0..args.times {
        let code = i32::try_from(index % 256)?;
        let pid = match reused {
            None => fork(|| neglect(args, code))?,
            Some(pid) => fork_as(pid, || neglect(args, code)).context("clone3 with set_tid")?,
        };
        PidFd::open(pid)?.wait_dead();
        if !(args.leave_zombie && index + 1 == args.times) {
            reap(pid)?;
        }
        say(format!("incarnation pid={pid} exit={code}"));
        reused = Some(pid);
    }
    say("ready");
    wait_for_hangup();
    reap_everything();
    Ok(())
}

/// The life of one of them; returns its exit code.
fn neglect(args: &Args, code: i32) -> i32 {
    let Some(milliseconds) = args.neglect_ms else { return code };
    let Ok(child) = fork(|| code) else { return 120 };
    say(format!("child pid={child} exit={code}"));
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
    if reap(child).is_ok() { code } else { 121 }
}

/// Forks a child with this pid, which must be free.
fn fork_as(pid: Pid, child: impl FnOnce() -> i32) -> anyhow::Result<Pid> {
    let wanted = pid.as_raw();
    // SAFETY: an all-zero clone_args is valid.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    arguments.set_tid = (&raw const wanted).expose_provenance() as u64;
    arguments.set_tid_size = 1;
    // SAFETY: the arguments and the pid outlive the call; without a stack and CLONE_VM this is a fork, of one thread.
    let made =
        Errno::result(unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>()) })?;
    if made == 0 {
        die_with_parent();
        exit_now(child());
    }
    Ok(Pid::from_raw(i32::try_from(made)?))
}
