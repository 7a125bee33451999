//! A tracer holds a dead tracee: its parent waits for it all the time and still cannot reap it.
//!
//! Prints `parent pid=`, `tracer pid=`, `child pid= exit=`, and `ready` when the child is dead. At the order `release`
//! the tracer ends, and the parent prints `reaped pid= before= after=`.

use nix::sys::ptrace;
use nix::unistd::Pid;

use super::kit::{Channel, PidFd, boot_now, fork, host_pid, orders, reap, reap_everything, say};

#[derive(clap::Args)]
pub(crate) struct Args {}

/// What the tracee exits with.
const EXIT_CODE: i32 = 21;

pub(crate) fn run(_: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let (seized, die, release) = (Channel::new()?, Channel::new()?, Channel::new()?);
    let child = fork(|| {
        die.receive();
        EXIT_CODE
    })?;
    let tracer = fork(|| {
        if ptrace::seize(child, ptrace::Options::empty()).is_err() {
            seized.send(0);
            return 1;
        }
        seized.send(1);
        release.receive();
        0
    })?;
    anyhow::ensure!(seized.receive() == 1, "PTRACE_SEIZE was refused");
    say(format!("tracer pid={tracer}"));
    say(format!("child pid={child} exit={EXIT_CODE}"));
    let pidfd = PidFd::open(child)?;
    let parent = std::thread::spawn(move || -> anyhow::Result<Pid> {
        let before = boot_now();
        reap(child)?;
        say(format!("reaped pid={child} before={before} after={}", boot_now()));
        Ok(child)
    });
    die.send(1);
    pidfd.wait_dead();
    say("ready");
    for order in orders() {
        anyhow::ensure!(order == "release", "no such order: {order}");
        release.send(1);
    }
    release.send(1);
    let _ = parent.join();
    reap_everything();
    Ok(())
}
