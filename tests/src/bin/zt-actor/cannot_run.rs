//! A diligent parent that is kept from running while its child dies.
//!
//! Prints `parent pid=`, `child pid=`, and `ready` when the child is dead. When stdin is closed the parent is let go
//! and has reaped its child before the actor ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::kit::{Channel, PidFd, clone_with, fork, host_pid, reap, say, wait_for_hangup, wait_for_hangup_within};

/// Several come between two looks at a parent.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(50);
/// Number of signals: they stay queued until the parent runs, and all processes of a user share one limit.
const SIGNALS: usize = 200;

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
    /// The same, while signals wake it: within the kernel, where it freezes again
    FreezerV2Woken,
    /// A cgroup that may use a thousandth of a processor, all of it taken by the parent itself
    Throttled,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (numbers, still, die) = (Channel::new()?, Channel::new()?, Channel::new()?);
    let parent = fork(|| {
        // Before anything is said: it may be frozen, and woken, right after that.
        let handler: extern "C" fn(libc::c_int) = ignore;
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGRTMIN(), handler as libc::sighandler_t) };
        let child = fork(|| {
            die.receive();
            0
        });
        let Ok(child) = child else { return 1 };
        numbers.send(u64::from(child.as_raw().unsigned_abs()));
        if args.how == How::Vfork {
            // Without CLONE_VM the child is a plain fork, and its parent waits for it in the kernel.
            let held = clone_with(libc::CLONE_VFORK | libc::SIGCHLD, || {
                still.send(1);
                wait_for_hangup();
                0
            });
            return i32::from(held.and_then(reap).and_then(|_| reap(child)).is_err());
        }
        if args.how == How::Throttled {
            // It reaps as soon as it runs, and never sleeps.
            while matches!(waitpid(child, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive)) {}
            return 0;
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
            // WNOWAIT, because the tracer must also see the stop.
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
        How::FreezerV1 => Hold::Cgroup(Cgroup::frozen_v1(parent)?),
        How::FreezerV2 | How::FreezerV2Woken => Hold::Cgroup(Cgroup::frozen_v2(parent)?),
        How::Throttled => Hold::Cgroup(Cgroup::throttled(parent)?),
    };
    die.send(1);
    pidfd.wait_dead();
    say(format!("ready host={}", host_pid()));
    if args.how == How::FreezerV2Woken {
        for _ in 0..SIGNALS {
            if wait_for_hangup_within(BETWEEN_SIGNALS) {
                break;
            }
            // SAFETY: kill takes two integers. A real-time signal wakes its process though others are pending.
            unsafe { libc::kill(parent.as_raw(), libc::SIGRTMIN()) };
        }
    }
    wait_for_hangup();
    match hold {
        Hold::Nothing => {}
        Hold::Stop => kill(parent, Signal::SIGCONT)?,
        Hold::Trace => ptrace::detach(parent, None)?,
        Hold::Cgroup(cgroup) => {
            cgroup.let_go()?;
            reap(parent)?;
            return cgroup.remove();
        }
    }
    reap(parent)?;
    Ok(())
}

extern "C" fn ignore(_signal: libc::c_int) {}

enum Hold {
    Nothing,
    Stop,
    Trace,
    Cgroup(Cgroup),
}

/// A cgroup that keeps its process from running.
struct Cgroup {
    folder: PathBuf,
    file: &'static str,
    /// What to write into the file to let the process go.
    free: &'static str,
}

impl Cgroup {
    fn frozen_v1(process: Pid) -> anyhow::Result<Self> {
        let cgroup = Self::new("/sys/fs/cgroup/freezer", process, "freezer.state", "THAWED")?;
        cgroup.freeze("FROZEN", "freezer.state", "FROZEN")?;
        Ok(cgroup)
    }

    fn frozen_v2(process: Pid) -> anyhow::Result<Self> {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .into_iter()
            .find(|root| PathBuf::from(root).join("cgroup.procs").exists())
            .context("no cgroup v2")?;
        let cgroup = Self::new(root, process, "cgroup.freeze", "0")?;
        cgroup.freeze("1", "cgroup.events", "frozen 1")?;
        Ok(cgroup)
    }

    /// A millisecond per second, the minimum. Returns when that is used up, so nothing is left for most of a second.
    fn throttled(process: Pid) -> anyhow::Result<Self> {
        let cgroup = if Path::new("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").exists() {
            let cgroup = Self::new("/sys/fs/cgroup/cpu", process, "cpu.cfs_quota_us", "-1")?;
            cgroup.write("cpu.cfs_period_us", "1000000")?;
            cgroup.write("cpu.cfs_quota_us", "1000")?;
            cgroup
        } else {
            std::fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu")?;
            let cgroup = Self::new("/sys/fs/cgroup", process, "cpu.max", "max")?;
            cgroup.write("cpu.max", "1000 1000000")?;
            cgroup
        };
        let ran = || std::fs::read_to_string(format!("/proc/{process}/schedstat"));
        let mut before = ran()?;
        loop {
            // Longer than competing processes keep it from running.
            std::thread::sleep(Duration::from_millis(250));
            let now = ran()?;
            if now == before {
                return Ok(cgroup);
            }
            before = now;
        }
    }

    fn new(root: &str, process: Pid, file: &'static str, free: &'static str) -> anyhow::Result<Self> {
        let folder = PathBuf::from(root).join(format!("zt-actor-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("{}", folder.display()))?;
        std::fs::write(folder.join("cgroup.procs"), process.to_string())?;
        Ok(Self { folder, file, free })
    }

    fn write(&self, file: &str, value: &str) -> anyhow::Result<()> {
        std::fs::write(self.folder.join(file), value).with_context(|| format!("{file}: {value}"))
    }

    fn freeze(&self, order: &str, file: &str, sign: &str) -> anyhow::Result<()> {
        self.write(self.file, order)?;
        while !std::fs::read_to_string(self.folder.join(file))?.lines().any(|line| line == sign) {
            std::thread::yield_now();
        }
        Ok(())
    }

    fn let_go(&self) -> anyhow::Result<()> {
        self.write(self.file, self.free)
    }

    fn remove(&self) -> anyhow::Result<()> {
        // A reaped process may stay in its cgroup for a moment.
        for _ in 0..1000 {
            if std::fs::remove_dir(&self.folder).is_ok() {
                return Ok(());
            }
            std::thread::yield_now();
        }
        Ok(std::fs::remove_dir(&self.folder)?)
    }
}
