//! The workload of a container whose init has something to do: many orphans that die over time.
//!
//! Itself a diligent parent. Prints `orphan ns_pid=` for each and, when all of them have been reaped by whoever adopted
//! them, `all-reaped count=`; or else, at the deadline, `left count=`. The number in `ns_pid` is this namespace's.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::kit::{Channel, fork_orphan, say, wait_for_hangup, wait_for_hangup_within};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many orphans
    #[arg(long, default_value_t = 10)]
    count: u32,
    /// The orphans die one after the other over this time; 0 has them all die at once
    #[arg(long, default_value_t = 100)]
    over_ms: u64,
    /// How long the init may take until all are reaped
    #[arg(long, default_value_t = 5_000)]
    deadline_ms: u64,
    /// Stay until stdin is closed
    #[arg(long)]
    hold: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (born, gate) = (Channel::new()?, Channel::new()?);
    let mut orphans = Vec::new();
    for index in 0..args.count {
        let life = Duration::from_millis(args.over_ms * u64::from(index) / u64::from(args.count));
        fork_orphan(|| {
            // The adopter may be any process, and may not live long.
            born.send(u64::from(std::process::id()));
            gate.receive();
            std::thread::sleep(life);
            0
        })?;
        let pid = Pid::from_raw(i32::try_from(born.receive())?);
        say(format!("orphan ns_pid={pid}"));
        orphans.push(pid);
    }
    (0..args.count).for_each(|_| gate.send(1));
    let end = Instant::now() + Duration::from_millis(args.over_ms + args.deadline_ms);
    loop {
        orphans.retain(|&orphan| kill(orphan, None) != Err(Errno::ESRCH));
        if orphans.is_empty() {
            say(format!("all-reaped count={}", args.count));
            break;
        }
        if Instant::now() >= end {
            say(format!("left count={}", orphans.len()));
            break;
        }
        // There is no notification that another process's child was reaped, so this polls.
        wait_for_hangup_within(Duration::from_millis(1));
    }
    if args.hold {
        wait_for_hangup();
    }
    Ok(())
}
