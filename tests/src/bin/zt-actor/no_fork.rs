//! A process that cannot fork, for a reason that has nothing to do with its cgroup.
//!
//! Prints `process pid=` and `ready`, waits for an order, and then `refused errno=`; for a dead pid namespace
//! or a full one `init pid= pid_ns=` before that. Ends when stdin is closed.

use anyhow::{Context, bail};
use clap::ValueEnum;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{ForkResult, Gid, Pid, Uid, setgid, setuid};

use super::kit::{
    Channel, PidFd, die_with_parent, exit_now, fork, host_pid, in_new_pid_namespace, orders, pid_namespace_of, reap,
    reap_everything, say, wait_for_hangup,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Why it cannot
    #[arg(long, value_enum)]
    how: How,
    /// The limit, for those that are one
    #[arg(long, default_value_t = 12)]
    limit: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// RLIMIT_NPROC of a user of its own, filled with zombies
    UserZombies,
    /// The same, filled with live processes
    UserProcesses,
    /// The same, filled with threads
    UserThreads,
    /// The PID 1 of the namespace for its children is dead
    DeadNamespace,
    /// It is PID 1 of a namespace with the smallest `pid_max` there may be, filled with zombies
    FullNamespace,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("process pid={}", host_pid()));
    say("ready");
    orders().next().context("an order to begin")?;
    let error = match args.how {
        How::DeadNamespace => {
            unshare(CloneFlags::CLONE_NEWPID)?;
            let die = Channel::new()?;
            let init = fork(|| {
                die.receive();
                0
            })?;
            let namespace = pid_namespace_of(init)?;
            die.send(1);
            reap(init)?;
            say(format!("init pid={init} pid_ns={namespace}"));
            match fork_once(false) {
                Err(error) => error,
                Ok(_) => bail!("a fork into a dead namespace succeeded"),
            }
        }
        How::FullNamespace => {
            let (begin, refused) = (Channel::new()?, Channel::new()?);
            let init = in_new_pid_namespace(|| {
                begin.receive();
                refused.send(fill_namespace().map_or(0, |error| error as u64));
                wait_for_hangup();
                0
            })?;
            say(format!("init pid={init} pid_ns={}", pid_namespace_of(init)?));
            begin.send(1);
            Errno::from_raw(i32::try_from(refused.receive())?)
        }
        _ => fill(args)?,
    };
    say(format!("refused errno={}", error as i32));
    wait_for_hangup();
    reap_everything();
    Ok(())
}

/// Gives this pid namespace the minimum of numbers (`RESERVED_PIDS` + 1), and takes all of them.
fn fill_namespace() -> anyhow::Result<Errno> {
    const PID_MAX: u32 = 301;
    std::fs::write("/proc/sys/kernel/pid_max", PID_MAX.to_string())?;
    for _ in 0..PID_MAX {
        match fork_once(false) {
            Ok(child) => PidFd::open(child)?.wait_dead(),
            Err(error) => return Ok(error),
        }
    }
    bail!("{PID_MAX} processes and no limit")
}

/// Becomes an otherwise unused user, and makes tasks until that is refused.
fn fill(args: &Args) -> anyhow::Result<Errno> {
    let user = 100_000 + std::process::id();
    let limit = libc::rlimit { rlim_cur: args.limit.into(), rlim_max: args.limit.into() };
    // SAFETY: setrlimit reads the value, which outlives the call.
    Errno::result(unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) })?;
    setgid(Gid::from_raw(user))?;
    setuid(Uid::from_raw(user))?;
    // A change of credentials cancels the request.
    die_with_parent();
    for _ in 0..=args.limit {
        if args.how == How::UserThreads {
            match std::thread::Builder::new().spawn(wait_for_hangup) {
                Ok(_) => continue,
                Err(error) => return Ok(Errno::from_raw(error.raw_os_error().unwrap_or(0))),
            }
        }
        match fork_once(args.how == How::UserProcesses) {
            Ok(child) if args.how == How::UserZombies => PidFd::open(child)?.wait_dead(),
            Ok(_) => {}
            Err(error) => return Ok(error),
        }
    }
    bail!("{} tasks and no limit", args.limit)
}

/// A child that exits at once, or when stdin is closed.
fn fork_once(lives: bool) -> nix::Result<Pid> {
    // SAFETY: there is one thread.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            if lives {
                die_with_parent();
                wait_for_hangup();
            }
            exit_now(0)
        }
    }
}
