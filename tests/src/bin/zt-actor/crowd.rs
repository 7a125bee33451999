//! A crowd in its own pid namespace that fills the tracer's tables: threads that wait, and processes that have waited.
//!
//! Prints `ready` when all of them do; they end when stdin is closed.

use std::fs;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::kit::{Channel, fork, in_new_pid_namespace, reap, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Threads of one process that wait for one child
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Processes that have called wait once
    #[arg(long, default_value_t = 0)]
    processes: usize,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let init = in_new_pid_namespace(|| match gather(args) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("zt-actor: {error:#}");
            1
        }
    })?;
    reap(init)?;
    Ok(())
}

fn gather(args: &Args) -> anyhow::Result<()> {
    let waited = Channel::new()?;
    for _ in 0..args.processes {
        fork(|| {
            // It has no child, but the call is enough.
            let _ = waitpid(None, Some(WaitPidFlag::WNOHANG));
            waited.send(1);
            wait_for_hangup();
            0
        })?;
    }
    for _ in 0..args.processes {
        waited.receive();
    }
    let last = fork(|| {
        wait_for_hangup();
        0
    })?;
    for _ in 0..args.threads {
        std::thread::Builder::new().stack_size(64 * 1024).spawn(move || waitpid(last, None))?;
    }
    while waiting_threads()? < args.threads {
        std::thread::yield_now();
    }
    say("ready");
    wait_for_hangup();
    reap_everything();
    Ok(())
}

/// How many threads of this process are in a wait call now.
fn waiting_threads() -> anyhow::Result<usize> {
    let own = Pid::this();
    let wait = format!("{} ", libc::SYS_wait4);
    let mut count = 0;
    for thread in fs::read_dir(format!("/proc/{own}/task"))? {
        // A thread that has just ended does not count.
        let call = fs::read_to_string(thread?.path().join("syscall")).unwrap_or_default();
        count += usize::from(call.starts_with(&wait));
    }
    Ok(count)
}
