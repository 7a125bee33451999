//! Ends by SIGTERM as the textbooks have it: its handler restores the default action and raises the signal again, which
//! takes effect when the handler returns. Not as PID 1: there the kernel drops it.
//!
//! Prints `ready`.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::kit::say;

#[derive(clap::Args)]
pub(crate) struct Args {}

extern "C" fn raise_again(signal: libc::c_int) {
    // SAFETY: both may be called in a handler.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

pub(crate) fn run(_: &Args) -> anyhow::Result<()> {
    let action = SigAction::new(SigHandler::Handler(raise_again), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler calls only what handlers may.
    unsafe { sigaction(Signal::SIGTERM, &action) }?;
    say("ready");
    loop {
        nix::unistd::pause();
    }
}
