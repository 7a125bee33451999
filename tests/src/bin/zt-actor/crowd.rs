//! A crowd in its own pid namespace that fills the tracer's table of those that wait: processes that have waited.
//!
//! Prints `ready` when all of them have; they end when stdin is closed.

use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, waitpid};

use super::kit::{
    Channel, fork, in_new_pid_namespace, reap, reap_everything, say, wait_for_hangup, wait_for_hangup_within,
};

/// This many of the processes call wait again and again, with this pause.
const AGAIN: usize = 32;
const PAUSE: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Processes that have called wait once
    #[arg(long)]
    processes: usize,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let crowd = in_new_pid_namespace(|| match gather(args.processes) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("zt-actor: {error:#}");
            1
        }
    })?;
    reap(crowd)?;
    Ok(())
}

fn gather(processes: usize) -> anyhow::Result<()> {
    let waited = Channel::new()?;
    for number in 0..processes {
        fork(|| {
            // It has no child, but the call is enough.
            let wait = || waitpid(None, Some(WaitPidFlag::WNOHANG));
            let _ = wait();
            waited.send(1);
            // The last ones found no room, and take what others leave free.
            let is_last = number + AGAIN >= processes;
            while is_last && !wait_for_hangup_within(PAUSE) {
                let _ = wait();
            }
            wait_for_hangup();
            0
        })?;
    }
    for _ in 0..processes {
        waited.receive();
    }
    say("ready");
    wait_for_hangup();
    reap_everything();
    Ok(())
}
