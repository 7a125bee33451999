//! A parent whose wait call takes long to return after it has reaped: the page for the status is slow.
//!
//! Prints `parent pid=`, and `reaped pid=` for each child.

use std::time::Duration;

use nix::errno::Errno;

use super::kit::{fork, host_pid, say, slow_page};

/// Longer than a grace period of RCU, after which the kernel frees the memory of the dead.
const DELAY: Duration = Duration::from_millis(150);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many children it has, one after the other
    #[arg(long, default_value_t = 1)]
    children: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    for _ in 0..args.children {
        let child = fork(|| 7)?;
        let status = slow_page(DELAY)?;
        // SAFETY: the page is never unmapped.
        Errno::result(unsafe { libc::waitpid(child.as_raw(), status, 0) })?;
        say(format!("reaped pid={child}"));
    }
    Ok(())
}
