//! A process that has something from its program before exec.
//!
//! Prints `parent pid=` for the process that calls exec, with `--how children` then `child pid=` for the child that
//! dies when the exec is done. With the others `setter pid=` for the process that set SIGCHLD so, and then the output
//! of the exec'ed scenario. Ends when stdin is closed.

use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::ValueEnum;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

use super::kit::{fork, host_pid, reap_everything, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What it has
    #[arg(long, value_enum)]
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// A child that the former program started
    Children,
    /// SIGCHLD ignored, by its parent
    Ignored,
    /// SIGCHLD ignored, by the same process before
    IgnoredByItself,
    /// SIGCHLD blocked, by its parent
    Blocked,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.how == How::Children {
        let parent = std::process::id();
        say(format!("parent pid={}", host_pid()));
        let child = fork(|| {
            // Waits until its parent has called exec.
            let name = format!("/proc/{parent}/comm");
            while std::fs::read_to_string(&name).is_ok_and(|name| name.trim() != "cat") {
                std::thread::yield_now();
            }
            0
        })?;
        say(format!("child pid={child}"));
        // It reads stdin to its end.
        return Err(Command::new("cat").exec().into());
    }
    say(format!("setter pid={}", host_pid()));
    if args.how == How::Blocked {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
    } else {
        // SAFETY: SIG_IGN is no handler.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
    }
    let become_it = || {
        let mut command = Command::new("/proc/self/exe");
        match args.how {
            How::Blocked => command.arg("never-waits"),
            _ => command.args(["auto-reap", "--how", "as-found"]),
        };
        eprintln!("zt-actor: exec: {}", command.exec());
        1
    };
    if args.how == How::IgnoredByItself {
        std::process::exit(become_it());
    }
    fork(become_it)?;
    reap_everything();
    Ok(())
}
