//! A parent that fills its cgroup with zombies until nobody there can fork.
//!
//! Prints `parent pid=`, `bystander pid=` and `ready`, and waits for an order, so that the test can put both where the
//! limit is. Then the parent forks children that exit at once until that fails: `full zombies= errno=`. Then the
//! bystander also tries repeatedly: `refused times= errno=`.

use anyhow::Context;
use nix::errno::Errno;

use super::kit::{Channel, PidFd, exit_now, fork, host_pid, orders, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often the bystander tries
    #[arg(long, default_value_t = 100)]
    tries: u32,
    /// The parent gives up after so many children
    #[arg(long, default_value_t = 200)]
    most: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (turn, ready) = (Channel::new()?, Channel::new()?);
    say(format!("parent pid={}", host_pid()));
    let bystander = fork(|| {
        ready.send(1);
        turn.receive();
        let mut refused = Vec::new();
        for _ in 0..args.tries {
            match fork_once() {
                Ok(_) => break,
                Err(error) => refused.push(error),
            }
        }
        let last = refused.last().map_or(0, |&error| error as i32);
        say(format!("refused times={} errno={last}", refused.len()));
        wait_for_hangup();
        0
    })?;
    ready.receive();
    say(format!("bystander pid={bystander}"));
    say("ready");
    orders().next().context("an order to begin")?;
    let mut zombies = 0;
    let error = loop {
        match fork_once() {
            Ok(child) => PidFd::open(child)?.wait_dead(),
            Err(error) => break error,
        }
        zombies += 1;
        anyhow::ensure!(zombies < args.most, "{zombies} children and no limit");
    };
    say(format!("full zombies={zombies} errno={}", error as i32));
    turn.send(1);
    wait_for_hangup();
    reap_everything();
    Ok(())
}

/// A child that exits at once.
fn fork_once() -> nix::Result<nix::unistd::Pid> {
    // SAFETY: there is one thread.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok::<_, Errno>(child),
        nix::unistd::ForkResult::Child => exit_now(0),
    }
}
