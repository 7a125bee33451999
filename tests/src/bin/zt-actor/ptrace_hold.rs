//! A tracer holds a dead tracee: its parent waits for it all the time and still cannot reap it.
//!
//! Prints `parent pid=`, `tracer pid=`, `child pid= exit=`, and `ready` when the child is dead. At the order `release`
//! the tracer ends, and the parent prints `reaped pid= before= after=`; or, where the parent discards statuses, the
//! tracer waits for the child and prints that.

use nix::sys::ptrace;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{Pid, gettid};

use super::kit::{Channel, PidFd, boot_now, exit_now, fork, host_pid, orders, reap, reap_everything, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The parent has SIGCHLD at SIG_IGN, and the tracer waits for the child in the end
    #[arg(long)]
    discard: bool,
    /// The tracer traces only a thread of the child other than the main one
    #[arg(long, conflicts_with = "discard")]
    thread: bool,
}

const EXIT_CODE: i32 = 21;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    if args.discard {
        // SAFETY: no handler is installed.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
    }
    let (traced, seized, die, release) = (Channel::new()?, Channel::new()?, Channel::new()?, Channel::new()?);
    let child = fork(|| {
        if args.thread {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    traced.send(u64::from(gettid().as_raw().unsigned_abs()));
                    die.receive();
                    // Exits the whole group, including the other thread.
                    exit_now(EXIT_CODE);
                });
            });
        }
        die.receive();
        EXIT_CODE
    })?;
    let target = if args.thread { Pid::from_raw(i32::try_from(traced.receive())?) } else { child };
    let tracer = fork(|| {
        if ptrace::seize(target, ptrace::Options::empty()).is_err() {
            seized.send(0);
            return 1;
        }
        seized.send(1);
        release.receive();
        if args.discard {
            let before = boot_now();
            if reap(child).is_ok() {
                say(format!("reaped pid={child} before={before} after={}", boot_now()));
            }
        }
        0
    })?;
    anyhow::ensure!(seized.receive() == 1, "PTRACE_SEIZE was refused");
    say(format!("tracer pid={tracer}"));
    say(format!("child pid={child} exit={EXIT_CODE}"));
    let pidfd = PidFd::open(child)?;
    let parent = std::thread::spawn(move || -> anyhow::Result<Pid> {
        let before = boot_now();
        reap(child)?;
        say(format!("reaped pid={child} before={before} after={}", boot_now()));
        Ok(child)
    });
    die.send(1);
    if args.thread {
        // Its waiting parent is not notified of its death.
        while !is_zombie(child) {
            std::thread::yield_now();
        }
    } else {
        pidfd.wait_dead();
    }
    say("ready");
    for order in orders() {
        anyhow::ensure!(order == "release", "no such order: {order}");
        release.send(1);
        // The tracer must not be reported as a zombie. If statuses are discarded there is nothing to wait for.
        let _ = reap(tracer);
    }
    release.send(1);
    let _ = parent.join();
    reap_everything();
    Ok(())
}

fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}
