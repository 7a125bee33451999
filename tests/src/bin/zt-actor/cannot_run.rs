//! A diligent parent that is kept from running while its child dies.
//!
//! Prints `parent pid=`, `child pid=`, and `ready` when the child is dead. When stdin is closed the parent is let go and
//! has reaped its child before the actor ends.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::ValueEnum;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::kit::{Channel, PidFd, clone_with, fork, host_pid, reap, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What keeps the parent
    #[arg(long, value_enum)]
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// SIGSTOP
    Stopped,
    /// A tracer that has stopped it
    Traced,
    /// A vfork whose child does not call exec
    Vfork,
    /// The freezer of cgroup v1
    FreezerV1,
    /// The freezer of cgroup v2
    FreezerV2,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (numbers, still, die) = (Channel::new()?, Channel::new()?, Channel::new()?);
    let parent = fork(|| {
        let child = fork(|| {
            die.receive();
            0
        });
        let Ok(child) = child else { return 1 };
        numbers.send(u64::from(child.as_raw().unsigned_abs()));
        if args.how == How::Vfork {
            // Without CLONE_VM the child is a plain fork for which its parent waits in the kernel.
            let held = clone_with(libc::CLONE_VFORK | libc::SIGCHLD, || {
                still.send(1);
                wait_for_hangup();
                0
            });
            return i32::from(held.and_then(reap).and_then(|_| reap(child)).is_err());
        }
        i32::from(reap(child).is_err())
    })?;
    say(format!("parent pid={parent}"));
    let child = Pid::from_raw(i32::try_from(numbers.receive())?);
    say(format!("child pid={child}"));
    let pidfd = PidFd::open(child)?;
    let hold = match args.how {
        How::Stopped => {
            kill(parent, Signal::SIGSTOP)?;
            // Look, do not take: the stop is the tracer's to see, too.
            waitid(Id::Pid(parent), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT)?;
            Hold::Stop
        }
        How::Traced => {
            ptrace::seize(parent, ptrace::Options::empty())?;
            ptrace::interrupt(parent)?;
            let WaitStatus::PtraceEvent(..) = waitpid(parent, None)? else { bail!("no stop of the tracee") };
            Hold::Trace
        }
        How::Vfork => {
            still.receive();
            Hold::Nothing
        }
        How::FreezerV1 => Hold::Freezer(Freezer::v1(parent)?),
        How::FreezerV2 => Hold::Freezer(Freezer::v2(parent)?),
    };
    die.send(1);
    pidfd.wait_dead();
    say(format!("ready host={}", host_pid()));
    wait_for_hangup();
    match hold {
        Hold::Nothing => {}
        Hold::Stop => kill(parent, Signal::SIGCONT)?,
        Hold::Trace => ptrace::detach(parent, None)?,
        Hold::Freezer(freezer) => {
            freezer.thaw()?;
            reap(parent)?;
            return freezer.remove();
        }
    }
    reap(parent)?;
    Ok(())
}

enum Hold {
    Nothing,
    Stop,
    Trace,
    Freezer(Freezer),
}

/// A cgroup of our own that is frozen.
struct Freezer {
    folder: PathBuf,
    file: &'static str,
    thawed: &'static str,
}

impl Freezer {
    fn v1(process: Pid) -> anyhow::Result<Self> {
        let freezer = Self::new("/sys/fs/cgroup/freezer", process, "freezer.state", "THAWED")?;
        freezer.freeze("FROZEN", "freezer.state", "FROZEN")?;
        Ok(freezer)
    }

    fn v2(process: Pid) -> anyhow::Result<Self> {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .into_iter()
            .find(|root| PathBuf::from(root).join("cgroup.procs").exists())
            .context("no cgroup v2")?;
        let freezer = Self::new(root, process, "cgroup.freeze", "0")?;
        freezer.freeze("1", "cgroup.events", "frozen 1")?;
        Ok(freezer)
    }

    fn new(root: &str, process: Pid, file: &'static str, thawed: &'static str) -> anyhow::Result<Self> {
        let folder = PathBuf::from(root).join(format!("zt-actor-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("{}", folder.display()))?;
        std::fs::write(folder.join("cgroup.procs"), process.to_string())?;
        Ok(Self { folder, file, thawed })
    }

    fn freeze(&self, order: &str, file: &str, sign: &str) -> anyhow::Result<()> {
        std::fs::write(self.folder.join(self.file), order)?;
        while !std::fs::read_to_string(self.folder.join(file))?.lines().any(|line| line == sign) {
            std::thread::yield_now();
        }
        Ok(())
    }

    fn thaw(&self) -> anyhow::Result<()> {
        Ok(std::fs::write(self.folder.join(self.file), self.thawed)?)
    }

    fn remove(&self) -> anyhow::Result<()> {
        // A process that was reaped may be in its cgroup for a moment longer.
        for _ in 0..1000 {
            if std::fs::remove_dir(&self.folder).is_ok() {
                return Ok(());
            }
            std::thread::yield_now();
        }
        Ok(std::fs::remove_dir(&self.folder)?)
    }
}
