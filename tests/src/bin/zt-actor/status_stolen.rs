//! One thread reaps whatever dies; another waits for its own child and finds that there is none.
//!
//! Prints `parent pid=`, `child pid=`, `taken pid= thread=`, `missed errno= thread=`, and `ready`.

use clap::ValueEnum;
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::gettid;

use super::kit::{fork, host_pid, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Who asks for the child after it has been reaped
    #[arg(long, value_enum, default_value_t = Who::Other)]
    who: Who,
}

#[derive(Clone, Copy, ValueEnum)]
enum Who {
    /// Another thread than the one that reaped it
    Other,
    /// The same thread: nobody has lost anything
    Same,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let child = fork(|| 7)?;
    say(format!("child pid={child}"));
    let take = move || -> nix::Result<WaitStatus> {
        let taken = waitpid(None, None)?;
        say(format!("taken pid={child} thread={}", gettid()));
        Ok(taken)
    };
    match args.who {
        Who::Other => std::thread::spawn(take).join().map_err(|_| anyhow::anyhow!("the thread panicked"))??,
        Who::Same => take()?,
    };
    let missed = waitpid(child, None);
    anyhow::ensure!(missed == Err(Errno::ECHILD), "the child was there: {missed:?}");
    say(format!("missed errno={} thread={}", Errno::ECHILD as i32, gettid()));
    say("ready");
    wait_for_hangup();
    Ok(())
}
