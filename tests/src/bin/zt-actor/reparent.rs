//! A parent dies and leaves a grandchild behind; this actor is the subreaper that adopts it, and a diligent one.
//!
//! Prints `adopter pid=`, `parent pid=`, `grandchild pid=`, and `ready` when the grandchild is in the wanted state. At
//! the order `orphan` the parent exits: `orphaned`. At the order `die` a living grandchild dies: `died pid= exit=`. At
//! the order `reap` the adopter reaps it: `reaped pid= before= after=`.

use clap::ValueEnum;
use nix::unistd::Pid;

use super::kit::{Channel, PidFd, boot_now, fork, host_pid, orders, reap, reap_everything, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The state in which the grandchild is left behind
    #[arg(long, value_enum, default_value_t = Grandchild::Zombie)]
    grandchild: Grandchild,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Grandchild {
    /// Dead and not reaped by its parent
    Zombie,
    /// Alive until it is told to die
    Alive,
}

const EXIT_CODE: i32 = 33;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    say(format!("adopter pid={}", host_pid()));
    let (born, leave, die) = (Channel::new()?, Channel::new()?, Channel::new()?);
    let parent = fork(|| {
        // Undoes `fork`'s request to die with the parent: the grandchild must outlive it.
        let grandchild = fork(|| {
            let _ = nix::sys::prctl::set_pdeathsig(None);
            born.send(u64::from(std::process::id()));
            die.receive();
            EXIT_CODE
        });
        if grandchild.is_err() {
            return 1;
        }
        leave.receive();
        0
    })?;
    say(format!("parent pid={parent}"));
    let grandchild = Pid::from_raw(i32::try_from(born.receive())?);
    let pidfd = PidFd::open(grandchild)?;
    say(format!("grandchild pid={grandchild} exit={EXIT_CODE}"));
    if args.grandchild == Grandchild::Zombie {
        die.send(1);
        pidfd.wait_dead();
    }
    say("ready");
    for order in orders() {
        match order.as_str() {
            "orphan" => {
                leave.send(1);
                reap(parent)?;
                say("orphaned");
            }
            "die" => {
                die.send(1);
                pidfd.wait_dead();
                say(format!("died pid={grandchild} exit={EXIT_CODE}"));
            }
            "reap" => {
                let before = boot_now();
                reap(grandchild)?;
                say(format!("reaped pid={grandchild} before={before} after={}", boot_now()));
            }
            other => anyhow::bail!("no such order: {other}"),
        }
    }
    // Does what was not ordered yet, so that nothing is left behind.
    leave.send(1);
    die.send(1);
    reap_everything();
    Ok(())
}
