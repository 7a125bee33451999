//! A child made with CLONE_PARENT: the process that cloned it is its sibling, the parent of both is this actor.
//!
//! Prints `parent pid=`, `cloner pid=`, `child pid= exit=` when the child is dead, and `ready`. At the order `reap` the
//! parent reaps it: `reaped pid= before= after=`.

use nix::unistd::Pid;

use super::kit::{
    Channel, PidFd, boot_now, clone_with, fork, host_pid, orders, reap, reap_everything, say, wait_for_hangup,
};

#[derive(clap::Args)]
pub(crate) struct Args {}

const EXIT_CODE: i32 = 17;

pub(crate) fn run(_: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let (born, die) = (Channel::new()?, Channel::new()?);
    let cloner = fork(|| {
        // The kernel takes the exit signal from the cloner, which is SIGCHLD.
        match clone_with(libc::CLONE_PARENT, || {
            die.receive();
            EXIT_CODE
        }) {
            Ok(pid) => born.send(u64::from(pid.as_raw().unsigned_abs())),
            Err(_) => return 1,
        }
        wait_for_hangup();
        0
    })?;
    let child = Pid::from_raw(i32::try_from(born.receive())?);
    let pidfd = PidFd::open(child)?;
    die.send(1);
    pidfd.wait_dead();
    say(format!("cloner pid={cloner}"));
    say(format!("child pid={child} exit={EXIT_CODE}"));
    say("ready");
    for order in orders() {
        anyhow::ensure!(order == "reap", "no such order: {order}");
        let before = boot_now();
        reap(child)?;
        say(format!("reaped pid={child} before={before} after={}", boot_now()));
    }
    reap_everything();
    Ok(())
}
