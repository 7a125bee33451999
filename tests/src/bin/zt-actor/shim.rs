//! A container runtime's shim that put a process into its container and misses its end.
//!
//! Prints `shim pid=`, `init pid= pid_ns=`, `child pid=` when the process is dead, and `ready`. The order `end` kills
//! the container's init, which then cannot end: prints `killed pid=`. All are reaped when stdin is closed.

use std::fs::File;

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;

use super::kit::{
    Channel, PidFd, fork, host_pid, in_new_pid_namespace, orders, pid_namespace_of, reap_everything, say,
    wait_for_hangup,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shim's name
    #[arg(long, default_value = "containerd-shim")]
    name: std::ffi::CString,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    prctl::set_name(&args.name)?;
    say(format!("shim pid={}", host_pid()));
    let up = Channel::new()?;
    let init = in_new_pid_namespace(|| {
        up.send(1);
        wait_for_hangup();
        0
    })?;
    up.receive();
    say(format!("init pid={init} pid_ns={}", pid_namespace_of(init)?));
    let own = File::open("/proc/self/ns/pid")?;
    setns(File::open(format!("/proc/{init}/ns/pid"))?, CloneFlags::CLONE_NEWPID)?;
    let child = fork(|| 0)?;
    setns(own, CloneFlags::CLONE_NEWPID)?;
    PidFd::open(child)?.wait_dead();
    say(format!("child pid={child}"));
    say("ready");
    let target = PidFd::open(init)?;
    for order in orders() {
        anyhow::ensure!(order == "end", "no such order: {order}");
        target.send(libc::SIGKILL);
        say(format!("killed pid={init}"));
    }
    target.send(libc::SIGKILL);
    reap_everything();
    Ok(())
}
