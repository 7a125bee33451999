//! Threads of one process that all poll for one live child; when they are gone, another child dies, and nobody waits
//! for it.
//!
//! Prints `parent pid=`, `polled count=`, the calls of all threads, `child pid= exit=`, and `ready`.

use std::sync::Barrier;

use nix::sys::wait::{WaitPidFlag, waitpid};

use super::kit::{PidFd, fork, host_pid, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many threads
    #[arg(long, default_value_t = 8)]
    threads: u32,
    /// How many calls each makes
    #[arg(long, default_value_t = 50_000)]
    calls: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let other = fork(|| {
        wait_for_hangup();
        0
    })?;
    let start = Barrier::new(usize::try_from(args.threads)?);
    std::thread::scope(|scope| {
        for _ in 0..args.threads {
            scope.spawn(|| {
                start.wait();
                for _ in 0..args.calls {
                    let _ = waitpid(other, Some(WaitPidFlag::WNOHANG));
                }
            });
        }
    });
    say(format!("polled count={}", u64::from(args.threads) * u64::from(args.calls)));
    let child = fork(|| 4)?;
    PidFd::open(child)?.wait_dead();
    say(format!("child pid={child} exit=4"));
    say("ready");
    wait_for_hangup();
    reap_everything();
    Ok(())
}
