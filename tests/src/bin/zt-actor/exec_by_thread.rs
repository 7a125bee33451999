//! A thread that is not the leader calls execve: the leader's exit is not a death of the process.
//!
//! Prints `parent pid=`, `child pid=`, and, from the new program, `holding pid=`. When stdin is closed the child exits
//! with `--exit-code` and the parent reaps it: `reaped pid=`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::kit::{Channel, fork, host_pid, reap, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the new program exits with
    #[arg(long, default_value_t = 5)]
    exit_code: i32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let announced = Channel::new()?;
    let code = args.exit_code.to_string();
    let child = fork(|| {
        announced.receive();
        let thread = std::thread::spawn(move || {
            let error = Command::new("/proc/self/exe").args(["hold", "--exit-code", &code]).exec();
            eprintln!("zt-actor: /proc/self/exe: {error}");
        });
        // Does not return when the exec succeeds: it ends this thread.
        let _ = thread.join();
        1
    })?;
    say(format!("child pid={child}"));
    announced.send(1);
    reap(child)?;
    say(format!("reaped pid={child}"));
    Ok(())
}
