//! Parents that fail at reaping on SIGCHLD.
//!
//! Prints `parent pid=`, `child pid=` for each dead child, and `ready`. Reaps when stdin is closed.

use std::sync::atomic::{AtomicI32, Ordering};

use clap::ValueEnum;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitPidFlag, waitpid};

use super::kit::{Channel, PidFd, fork, host_pid, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What is wrong with the parent
    #[arg(long, value_enum)]
    how: How,
    /// How many children
    #[arg(long, default_value_t = 5)]
    children: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// The handler waits once, however many children died for one signal
    OneWait,
    /// The handler loops as it should: nothing is wrong
    Loop,
    /// SIGCHLD has a good handler, but stays blocked
    Blocked,
    /// SIGCHLD is blocked and has no handler, as if inherited
    BlockedWithoutHandler,
    /// The handler counts and does not wait
    Ignores,
}

/// Signals that the handler took.
static TAKEN: AtomicI32 = AtomicI32::new(0);

extern "C" fn wait_once(_: i32) {
    let _ = waitpid(None, Some(WaitPidFlag::WNOHANG));
}

extern "C" fn wait_for_all(_: i32) {
    while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status.pid().is_some()) {}
}

extern "C" fn only_count(_: i32) {
    TAKEN.fetch_add(1, Ordering::SeqCst);
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let handler = match args.how {
        How::OneWait => SigHandler::Handler(wait_once),
        How::Loop | How::Blocked => SigHandler::Handler(wait_for_all),
        How::BlockedWithoutHandler => SigHandler::SigDfl,
        How::Ignores => SigHandler::Handler(only_count),
    };
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handlers make one system call or count, both of which a signal handler may do.
    unsafe { sigaction(Signal::SIGCHLD, &action) }?;
    let chld = SigSet::from(Signal::SIGCHLD);
    // Children that die while it is blocked leave one signal for all of them.
    if args.how != How::Ignores {
        chld.thread_block()?;
    }
    let gate = Channel::new()?;
    let mut children = Vec::new();
    for _ in 0..args.children {
        let pid = fork(|| {
            gate.receive();
            0
        })?;
        children.push((pid, PidFd::open(pid)?));
    }
    (0..args.children).for_each(|_| gate.send(1));
    for (pid, pidfd) in &children {
        pidfd.wait_dead();
        say(format!("child pid={pid}"));
    }
    if matches!(args.how, How::OneWait | How::Loop) {
        chld.thread_unblock()?;
    }
    say(format!("ready taken={}", TAKEN.load(Ordering::SeqCst)));
    wait_for_hangup();
    chld.thread_block()?;
    reap_everything();
    Ok(())
}
