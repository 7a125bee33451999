//! A parent that polls waitpid(-1, WNOHANG) while its child lives.
//!
//! Prints `parent pid=`, `child pid=`, `done count= elapsed_ns=`, then `ready`. At the end it reaps its child at once.

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::kit::{Channel, boot_now, fork, host_pid, reap, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many polls
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let end = Channel::new()?;
    let child = fork(|| {
        end.receive();
        0
    })?;
    say(format!("child pid={child}"));
    let start = boot_now();
    for _ in 0..args.count {
        let status = waitpid(None, Some(WaitPidFlag::WNOHANG))?;
        anyhow::ensure!(status == WaitStatus::StillAlive, "the child ended as {status:?}");
    }
    say(format!("done count={} elapsed_ns={}", args.count, boot_now() - start));
    say("ready");
    wait_for_hangup();
    end.send(1);
    reap(child)?;
    Ok(())
}
