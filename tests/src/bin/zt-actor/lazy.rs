//! A parent that starts children all the time and reaps them in bursts: of a fixed period, or before it starts the
//! next.
//!
//! Prints `parent pid=`, `reaped pid= before= after=` for each child, `round children=` after each burst that found
//! some. Ends when stdin is closed.

use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::kit::{boot_now, fork, host_pid, reap_everything, say, wait_for_hangup_within};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The time between two bursts
    #[arg(long, default_value_t = 500)]
    period_ms: u64,
    /// Children a round
    #[arg(long, default_value_t = 3)]
    children: u32,
    /// The rounds are of different length, and what the last one left is reaped when the next begins
    #[arg(long)]
    at_fork: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let period = Duration::from_millis(args.period_ms);
    for round in 0.. {
        for code in 0..args.children {
            fork(|| i32::try_from(code % 256).unwrap_or(0))?;
        }
        let pause = if args.at_fork { period * (1 + round % 3) } else { period };
        if wait_for_hangup_within(pause) {
            reap_everything();
            return Ok(());
        }
        let mut reaped = 0;
        loop {
            let before = boot_now();
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, _)) => {
                    reaped += 1;
                    say(format!("reaped pid={pid} before={before} after={}", boot_now()));
                }
                _ => break,
            }
        }
        say(format!("round children={reaped}"));
    }
    Ok(())
}
