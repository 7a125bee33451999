//! Fork, exit, wait, as fast as possible.
//!
//! Prints `parent pid=`, and `done cycles= elapsed_ns=` at the end; it does not wait for stdin.

use nix::sys::wait::WaitStatus;

use super::kit::{boot_now, fork, host_pid, reap, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Cycles in all
    #[arg(long, default_value_t = 10_000)]
    cycles: u32,
    /// Processes that share them
    #[arg(long, default_value_t = 2)]
    jobs: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let jobs = args.jobs.max(1);
    let start = boot_now();
    let mut workers = Vec::new();
    for job in 0..jobs {
        let cycles = args.cycles / jobs + u32::from(job < args.cycles % jobs);
        workers.push(fork(|| {
            for _ in 0..cycles {
                if fork(|| 0).and_then(reap).is_err() {
                    return 1;
                }
            }
            0
        })?);
    }
    // In the order of their exits: waiting for a slower worker first would be a finding.
    while !workers.is_empty() {
        match nix::sys::wait::wait()? {
            WaitStatus::Exited(worker, 0) => workers.retain(|&it| it != worker),
            status => anyhow::bail!("a worker ended as {status:?}"),
        }
    }
    say(format!("done cycles={} elapsed_ns={}", args.cycles, boot_now() - start));
    Ok(())
}
