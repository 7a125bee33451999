//! Parents with zombies in very deep cgroups, and processes in very many.
//!
//! Prints `parent pid=` and `child pid= exit=` for each parent, and `ready`. All cgroups are made in a given one and
//! removed when stdin is closed.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat, write};

use super::kit::{PidFd, fork, host_pid, reap, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder of the cgroup in which the others are made
    #[arg(long = "in")]
    folder: PathBuf,
    /// How many cgroups lie in each other
    #[arg(long, default_value_t = 0)]
    depth: u32,
    /// How many lie beside each other in the innermost one; in each of them a process lives for a moment
    #[arg(long, default_value_t = 0)]
    breadth: u32,
    /// How many parents there are in the end
    #[arg(long, default_value_t = 1)]
    parents: u32,
}

const NAME: &str = "d";

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let outermost = open(&args.folder, FOLDER, Mode::empty())?;
    let mut innermost = outermost.try_clone()?;
    for level in 0..args.depth {
        innermost = within(&innermost, NAME).with_context(|| format!("level {level}"))?;
    }
    for number in 0..args.breadth {
        let name = format!("b{number}");
        move_to(&within(&innermost, &name)?)?;
        reap(fork(|| 0)?)?;
    }
    move_to(&innermost)?;
    for number in 0..args.breadth {
        remove(&innermost, &format!("b{number}"))?;
    }
    for _ in 0..args.parents {
        fork(|| match neglect() {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("zt-actor: {error:#}");
                1
            }
        })?;
    }
    say("ready");
    wait_for_hangup();
    reap_everything();
    move_to(&openat(&outermost, "..", FOLDER, Mode::empty())?)?;
    for _ in 0..args.depth {
        let above = openat(&innermost, "..", FOLDER, Mode::empty())?;
        drop(innermost);
        remove(&above, NAME)?;
        innermost = above;
    }
    Ok(())
}

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// A cgroup of this name in another one.
fn within(outer: &OwnedFd, name: &str) -> anyhow::Result<OwnedFd> {
    mkdirat(outer, name, Mode::from_bits_truncate(0o755))?;
    Ok(openat(outer, name, FOLDER, Mode::empty())?)
}

fn move_to(cgroup: &OwnedFd) -> anyhow::Result<()> {
    let processes = openat(cgroup, "cgroup.procs", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    write(&processes, b"0")?;
    Ok(())
}

/// Processes that have left it may still be counted for a moment.
fn remove(outer: &OwnedFd, name: &str) -> anyhow::Result<()> {
    for _ in 0..1000 {
        match unlinkat(outer, name, UnlinkatFlags::RemoveDir) {
            Err(Errno::EBUSY) => std::thread::sleep(Duration::from_millis(5)),
            other => return Ok(other?),
        }
    }
    anyhow::bail!("the cgroup {name} stays busy")
}

fn neglect() -> anyhow::Result<()> {
    let child = fork(|| 5)?;
    PidFd::open(child)?.wait_dead();
    say(format!("parent pid={}", host_pid()));
    say(format!("child pid={child} exit=5"));
    wait_for_hangup();
    reap_everything();
    Ok(())
}
