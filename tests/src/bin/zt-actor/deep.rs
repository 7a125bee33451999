//! A PID 1 in the deepest pid namespace that the kernel allows (level 32), and a child that it never reaps.
//!
//! Prints `level number=`, the level of that namespace, `init pid= pid_ns=`, `child pid= exit=`, and `ready`. With
//! `--user` it does so as an ordinary user may: inside a user namespace.

use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;

use super::kit::{PidFd, clone_with, fork, host_pid, reap, reap_everything, say, wait_for_hangup};

/// `MAX_PID_NS_LEVEL`
const DEEPEST: u32 = 32;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Inside a user namespace
    #[arg(long)]
    user: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.user {
        unshare(CloneFlags::CLONE_NEWUSER)?;
    }
    // One number for each namespace that this process is in.
    let status = std::fs::read_to_string("/proc/self/status")?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let level = u32::try_from(numbers.split_whitespace().count())?.saturating_sub(1);
    reap(descend(level)?)?;
    Ok(())
}

/// A process in a namespace below this level, which in turn has one below its own.
fn descend(level: u32) -> anyhow::Result<Pid> {
    clone_with(libc::CLONE_NEWPID | libc::SIGCHLD, || {
        let level = level + 1;
        let done = if level < DEEPEST { descend(level).and_then(reap).map(|_| ()) } else { neglect(level) };
        match done {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("zt-actor: level {level}: {error:#}");
                1
            }
        }
    })
}

fn neglect(level: u32) -> anyhow::Result<()> {
    let pid = host_pid();
    say(format!("level number={level}"));
    say(format!("init pid={pid}"));
    let child = fork(|| {
        say(format!("child pid={} exit=5", host_pid()));
        5
    })?;
    PidFd::open(child)?.wait_dead();
    say("ready");
    wait_for_hangup();
    reap_everything();
    Ok(())
}
