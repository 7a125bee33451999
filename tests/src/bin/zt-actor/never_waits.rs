//! A parent that starts children, holds on to their zombies and never issues a wait call.
//!
//! Prints `parent pid=`, `child pid= exit=` or `child pid= signal=` when that child is dead, and `ready`. It reaps only
//! when stdin is closed or the time to hold is over: thousands of zombies must not go to the host init. With
//! `--on-order` it begins when it is told `go`.

use std::fs::File;
use std::os::fd::IntoRawFd;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::dup;

use super::kit::{
    PidFd, fork, host_pid, orders, raise_fatally, reap_everything, say, signal_number, wait_for_hangup,
    wait_for_hangup_within,
};

/// How many pidfds are open at a time.
const BATCH: u32 = 256;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many children
    #[arg(long, default_value_t = 1)]
    children: u32,
    /// The first child exits with this code, the next with the one after it, and so on, modulo 256
    #[arg(long, default_value_t = 0)]
    exit_code_from: u32,
    /// Every so many-th child dies by a signal instead
    #[arg(long, requires = "signal")]
    signal_every: Option<u32>,
    /// The signal by which those die
    #[arg(long)]
    signal: Option<String>,
    /// Ends after this time even if stdin stays open
    #[arg(long)]
    hold_ms: Option<u64>,
    /// Begins at the order `go`
    #[arg(long)]
    on_order: bool,
    /// Has this many open files, or as many as its limit allows
    #[arg(long, default_value_t = 0)]
    descriptors: u64,
    /// The actor's own exit code
    #[arg(long, default_value_t = 0)]
    own_exit_code: i32,
}

impl Args {
    fn ends(&self, index: u32, signal: Option<i32>) -> End {
        match (self.signal_every, signal) {
            (Some(every), Some(signal)) if index % every.max(1) == every.max(1) - 1 => End::Signal(signal),
            _ => End::Code(i32::try_from((self.exit_code_from + index) % 256).unwrap_or(0)),
        }
    }
}

#[derive(Clone, Copy)]
enum End {
    Code(i32),
    Signal(i32),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    open_many(args.descriptors)?;
    let signal = args.signal.as_deref().map(signal_number).transpose()?;
    if args.on_order {
        orders().find(|order| order == "go");
    }
    let mut index = 0;
    while index < args.children {
        let batch = index..args.children.min(index + BATCH);
        index = batch.end;
        let mut children = Vec::new();
        for child in batch {
            let end = args.ends(child, signal);
            let pid = fork(|| match end {
                End::Code(code) => code,
                End::Signal(signal) => raise_fatally(signal),
            })?;
            children.push((pid, PidFd::open(pid)?, end));
        }
        for (pid, pidfd, end) in children {
            pidfd.wait_dead();
            match end {
                End::Code(code) => say(format!("child pid={pid} exit={code}")),
                End::Signal(signal) => say(format!("child pid={pid} signal={signal}")),
            }
        }
    }
    say("ready");
    match args.hold_ms {
        Some(limit) => {
            wait_for_hangup_within(Duration::from_millis(limit));
        }
        None => wait_for_hangup(),
    }
    reap_everything();
    std::process::exit(args.own_exit_code);
}

fn open_many(count: u64) -> anyhow::Result<()> {
    if count == 0 {
        return Ok(());
    }
    // Not every root may exceed the hard limit.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = count + 1024;
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted.max(most)).is_err() {
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    }
    let (most, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let count = count.min(most.saturating_sub(1024));
    let file = File::open("/dev/null")?;
    for _ in 0..count {
        // Open until the actor ends.
        let _ = dup(&file)?.into_raw_fd();
    }
    say(format!("descriptors count={count}"));
    Ok(())
}
