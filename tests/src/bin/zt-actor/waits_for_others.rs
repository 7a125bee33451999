//! A parent that waits for one child while another lies dead.
//!
//! Prints `parent pid=`, `other pid=` for the child it waits for, `child pid= exit=` for the dead one, and `ready` just
//! before it waits. The other child ends when stdin is closed, and then the dead one is reaped, too.

use clap::ValueEnum;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, setpgid};

use super::kit::{Channel, PidFd, fork, host_pid, reap, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How the parent names the child it waits for
    #[arg(long, value_enum, default_value_t = How::Pid)]
    how: How,
    /// How many are dead
    #[arg(long, default_value_t = 1)]
    children: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum How {
    /// By its pid
    Pid,
    /// By its process group, which the dead one is not in
    Group,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let grouped = Channel::new()?;
    let other = fork(|| {
        let own_group = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        grouped.send(u64::from(own_group.is_ok()));
        wait_for_hangup();
        0
    })?;
    anyhow::ensure!(grouped.receive() == 1, "setpgid was refused");
    say(format!("other pid={other}"));
    for code in 0..args.children {
        let child = fork(|| i32::try_from(code % 256).unwrap_or(0))?;
        PidFd::open(child)?.wait_dead();
        say(format!("child pid={child} exit={code}"));
    }
    say("ready");
    match args.how {
        How::Pid => reap(other)?,
        How::Group => waitpid(Pid::from_raw(-other.as_raw()), None).unwrap_or(WaitStatus::StillAlive),
    };
    reap_everything();
    Ok(())
}
