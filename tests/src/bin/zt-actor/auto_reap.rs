//! Children that never become zombies because of their parent's disposition for SIGCHLD.
//!
//! Prints `parent pid=`, `gone pid=` for each child once it is dead, and `ready`.

use clap::ValueEnum;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::kit::{Channel, PidFd, fork, host_pid, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What makes the kernel reap
    #[arg(long, value_enum, default_value_t = How::SigIgn)]
    how: How,
    /// How many children
    #[arg(long, default_value_t = 1)]
    children: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum How {
    /// SIGCHLD at SIG_IGN
    SigIgn,
    /// SIGCHLD at SIG_DFL with SA_NOCLDWAIT
    Nocldwait,
    /// Whatever it was started with
    AsFound,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let action = match args.how {
        How::SigIgn => Some(SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty())),
        How::Nocldwait => Some(SigAction::new(SigHandler::SigDfl, SaFlags::SA_NOCLDWAIT, SigSet::empty())),
        How::AsFound => None,
    };
    if let Some(action) = action {
        // SAFETY: neither disposition is a handler.
        unsafe { sigaction(Signal::SIGCHLD, &action) }?;
    }
    let gate = Channel::new()?;
    for _ in 0..args.children {
        // A child must live until its pidfd is open, because nothing of it remains afterwards.
        let pid = fork(|| {
            gate.receive();
            3
        })?;
        let pidfd = PidFd::open(pid)?;
        gate.send(1);
        pidfd.wait_dead();
        say(format!("gone pid={pid}"));
    }
    say("ready");
    wait_for_hangup();
    Ok(())
}
