//! PID 1 of a fresh pid namespace that repeatedly sends itself SIGURG, as Go's scheduler does to preempt.
//!
//! Prints `init pid= pid_ns=`, `done count= handled= elapsed_ns=`, then `ready`.

use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

use super::kit::{Channel, boot_now, in_new_pid_namespace, pid_namespace_of, reap, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many signals
    #[arg(long, default_value_t = 100_000)]
    count: u64,
}

static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let announced = Channel::new()?;
    let init = in_new_pid_namespace(|| {
        announced.receive();
        let action = SigAction::new(SigHandler::Handler(count), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler only touches an atomic.
        if unsafe { sigaction(Signal::SIGURG, &action) }.is_err() {
            return 1;
        }
        let start = boot_now();
        // raise is a tgkill to the own thread, which is what Go does.
        (0..args.count).for_each(|_| raise(Signal::SIGURG).expect("a valid signal can be raised"));
        let elapsed = boot_now() - start;
        say(format!("done count={} handled={} elapsed_ns={elapsed}", args.count, HANDLED.load(Ordering::Relaxed)));
        say("ready");
        wait_for_hangup();
        0
    })?;
    say(format!("init pid={init} pid_ns={}", pid_namespace_of(init)?));
    announced.send(1);
    reap(init)?;
    Ok(())
}
