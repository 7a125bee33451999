//! A child cloned with exit signal 0: its death sends nothing, and only a wait with `__WALL` or `__WCLONE` sees it.
//!
//! Prints `parent pid=`, `child pid= exit=` when the child is dead; then `reaped pid= before= after=` (with `--how
//! wall`) or `refused errno=` (with `--how plain`: the wait failed and the zombie stays); then `ready`.

use clap::ValueEnum;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::kit::{PidFd, boot_now, clone_with, host_pid, say, signal_number, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How the parent waits
    #[arg(long, value_enum, default_value_t = How::Wall)]
    how: How,
    /// A child cloned with this exit signal instead of 0, which the parent ignores
    #[arg(long)]
    signal: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum How {
    /// With __WALL
    Wall,
    /// With no flag, which fails
    Plain,
}

const EXIT_CODE: i32 = 13;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let signal = args.signal.as_deref().map(signal_number).transpose()?.unwrap_or(0);
    if signal != 0 {
        // SAFETY: SIG_IGN is no handler.
        unsafe {
            sigaction(Signal::try_from(signal)?, &SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty()))
        }?;
    }
    let child = clone_with(signal, || EXIT_CODE)?;
    PidFd::open(child)?.wait_dead();
    say(format!("child pid={child} exit={EXIT_CODE}"));
    match args.how {
        How::Wall => wait_for_all(child)?,
        How::Plain => match waitpid(child, None) {
            Err(errno) => say(format!("refused errno={}", errno as i32)),
            Ok(status) => anyhow::bail!("a plain wait reaped the child: {status:?}"),
        },
    }
    say("ready");
    wait_for_hangup();
    if matches!(args.how, How::Plain) {
        wait_for_all(child)?;
    }
    Ok(())
}

fn wait_for_all(child: Pid) -> anyhow::Result<()> {
    let before = boot_now();
    waitpid(child, Some(WaitPidFlag::__WALL))?;
    say(format!("reaped pid={child} before={before} after={}", boot_now()));
    Ok(())
}
