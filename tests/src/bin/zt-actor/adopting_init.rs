//! PID 1 of a fresh pid namespace that reaps at once whatever it adopts, and processes put into the namespace from
//! outside and left to it, such as a container's probes.
//!
//! Prints `init pid= pid_ns=` and `ready`. The order `enter N` puts in N processes, one after the other; each says
//! `adopted pid=` when PID 1 has adopted it, has a child of its own, reaps it, and exits. Then `entered count=`.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;

use super::kit::{
    fork, fork_orphan, host_pid, in_new_pid_namespace, orders, pid_namespace_of, reap, say, wait_for_hangup,
};

#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    let init = in_new_pid_namespace(|| {
        let Ok(last) = fork(|| {
            wait_for_hangup();
            0
        }) else {
            return 1;
        };
        say("ready");
        loop {
            match waitpid(None, None) {
                Ok(status) if status.pid() == Some(last) => return 0,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return 1,
            }
        }
    })?;
    say(format!("init pid={init} pid_ns={}", pid_namespace_of(init)?));
    let namespace = open(format!("/proc/{init}/ns/pid").as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    setns(namespace, CloneFlags::CLONE_NEWPID)?;
    for order in orders() {
        let Some(count) = order.strip_prefix("enter ").and_then(|count| count.parse::<u32>().ok()) else {
            anyhow::bail!("no such order: {order}");
        };
        for _ in 0..count {
            fork_orphan(|| {
                say(format!("adopted pid={}", host_pid()));
                fork(|| 7).and_then(reap).map_or(1, |_| 3)
            })?;
        }
        say(format!("entered count={count}"));
    }
    reap(init)?;
    Ok(())
}
