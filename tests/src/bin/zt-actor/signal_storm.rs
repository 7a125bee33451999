//! Two processes that send each other a signal in turn, as fast as possible; both have a handler.
//!
//! Prints `done signals= elapsed_ns=` at the end; it does not wait for stdin.

use anyhow::Context;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::{Pid, getppid};

use super::kit::{boot_now, fork, reap, say, signal_number};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The signal
    #[arg(long, default_value = "TERM")]
    signal: String,
    /// How often each sends it
    #[arg(long, default_value_t = 10_000)]
    count: u32,
}

extern "C" fn take(_: libc::c_int) {}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let signal = Signal::try_from(signal_number(&args.signal)?).context("a signal without a name")?;
    let action = SigAction::new(SigHandler::Handler(take), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(signal, &action) }?;
    // Only while it is waited for, so that none comes between.
    let mut own = SigSet::empty();
    own.add(signal);
    own.thread_block()?;
    let others = SigSet::empty();
    let turns = |first: bool, other: Pid| {
        for _ in 0..args.count {
            if first && kill(other, signal).is_err() {
                return 1;
            }
            // It returns when the handler has: EINTR is its only result.
            let _ = others.suspend();
            if !first && kill(other, signal).is_err() {
                return 1;
            }
        }
        0
    };
    let other = fork(|| turns(false, getppid()))?;
    let start = boot_now();
    anyhow::ensure!(turns(true, other) == 0, "the other one has gone");
    let elapsed = boot_now() - start;
    reap(other)?;
    say(format!("done signals={} elapsed_ns={elapsed}", 2 * args.count));
    Ok(())
}
