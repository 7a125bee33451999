//! One thread reaps all children; another waits for its own child and gets ECHILD.
//!
//! Prints `parent pid=`, for each child `child pid=`, `taken pid= thread=`, `missed errno= thread=`, and `ready`.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI32, Ordering};

use clap::ValueEnum;
use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::gettid;

use super::kit::{PidFd, fork, host_pid, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Who asks for the child after it has been reaped
    #[arg(long, value_enum, default_value_t = Who::Other)]
    who: Who,
    /// It asks by a pidfd, as Go since 1.23 and newer Rust do
    #[arg(long)]
    by_pidfd: bool,
    /// How many children, one after the other
    #[arg(long, default_value_t = 1)]
    children: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Who {
    /// Another thread than the one that reaped it
    Other,
    /// The same thread: nobody has lost anything
    Same,
    /// The same thread, from which its handler of SIGCHLD has taken it
    Interrupted,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    if matches!(args.who, Who::Interrupted) {
        let action = SigAction::new(SigHandler::Handler(take_all), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler waits and counts, which a signal handler may do.
        unsafe { sigaction(Signal::SIGCHLD, &action) }?;
    }
    for _ in 0..args.children {
        steal(args)?;
    }
    say("ready");
    wait_for_hangup();
    Ok(())
}

/// The child that the handler took last.
static TAKEN: AtomicI32 = AtomicI32::new(0);

extern "C" fn take_all(_: i32) {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        let Some(pid) = status.pid() else { break };
        TAKEN.store(pid.as_raw(), Ordering::SeqCst);
    }
}

fn steal(args: &Args) -> anyhow::Result<()> {
    let child = fork(|| 7)?;
    say(format!("child pid={child}"));
    let pidfd = args.by_pidfd.then(|| PidFd::open(child)).transpose()?;
    let take = move || -> nix::Result<WaitStatus> {
        let taken = waitpid(None, None)?;
        say(format!("taken pid={child} thread={}", gettid()));
        Ok(taken)
    };
    match args.who {
        Who::Other => std::thread::spawn(take).join().map_err(|_| anyhow::anyhow!("the thread panicked"))??,
        Who::Same => take()?,
        Who::Interrupted => {
            while TAKEN.load(Ordering::SeqCst) != child.as_raw() {
                std::thread::yield_now();
            }
            WaitStatus::Exited(child, 7)
        }
    };
    let missed = match pidfd {
        Some(pidfd) => waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED).map(drop),
        None => waitpid(child, None).map(drop),
    };
    anyhow::ensure!(missed == Err(Errno::ECHILD), "the child was there: {missed:?}");
    say(format!("missed errno={} thread={}", Errno::ECHILD as i32, gettid()));
    Ok(())
}
