//! A parent whose child is dead while it is stuck in something else.
//!
//! Prints `parent pid=`, `holder pid=` for the process that keeps it there, `child pid=` for the one that dies, and `ready`
//! when the parent is stuck, just before the child dies. When stdin is closed it continues and reaps.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::waitpid;
use nix::unistd::pipe;

use super::kit::{Channel, PidFd, fork, fork_orphan, host_pid, reap, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What it does
    #[arg(long, value_enum)]
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// Reads a pipe to its end, which an orphan of it holds open
    Read,
    /// The same of a pair of sockets
    ReadSocket,
    /// As `read`, but it asks by `poll` whether there is something to read
    Poll,
    /// One thread waits for another child, and the main thread for that thread
    Thread,
    /// Computes
    Compute,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let (input, output) = match args.how {
        How::ReadSocket => UnixStream::pair().map(|(near, far)| (near.into(), far.into()))?,
        _ => pipe()?,
    };
    let other = match args.how {
        How::Read | How::ReadSocket | How::Poll => {
            let born = Channel::new()?;
            fork_orphan(|| {
                born.send(u64::from(host_pid().unsigned_abs()));
                wait_for_hangup();
                0
            })?;
            say(format!("holder pid={}", born.receive()));
            None
        }
        How::Thread | How::Compute => {
            let other = fork(|| {
                wait_for_hangup();
                0
            })?;
            say(format!("holder pid={other}"));
            Some(other)
        }
    };
    drop(output);
    let threads = match args.how {
        How::Read | How::ReadSocket | How::Poll => Some(1),
        How::Thread => Some(2),
        How::Compute => None,
    };
    let computes = Channel::new()?;
    let parent = host_pid();
    // It dies when the parent does what it is to do, however late that is.
    let child = fork(|| {
        match threads {
            Some(threads) => wait_until_asleep(parent, threads),
            None => drop(computes.receive()),
        }
        say("ready");
        0
    })?;
    say(format!("child pid={child}"));
    match (args.how, other) {
        (How::Read | How::ReadSocket, _) => read_to_end(input)?,
        (How::Poll, _) => {
            poll(&mut [PollFd::new(input.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
        }
        (How::Thread, Some(other)) => {
            let waiter = thread::spawn(move || reap(other).map(drop));
            anyhow::ensure!(waiter.join().is_ok_and(|result| result.is_ok()), "the other child was not reaped");
        }
        (_, other) => {
            computes.send(1);
            compute(other.map(PidFd::open).transpose()?);
        }
    }
    reap_everything();
    Ok(())
}

/// Waits until a process has that many threads, each asleep in a system call: of a thread that has not left its
/// processor the kernel says no call (`fs/proc/base.c`, `proc_pid_syscall`; `kernel/sched/core.c`,
/// `wait_task_inactive`).
fn wait_until_asleep(process: i32, threads: usize) {
    let is_asleep = |thread: std::fs::DirEntry| {
        std::fs::read_to_string(thread.path().join("syscall")).is_ok_and(|call| !call.starts_with("running"))
    };
    loop {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
        let asleep: Vec<bool> = tasks.map(|all| all.flatten().map(is_asleep).collect()).unwrap_or_default();
        if asleep.len() == threads && asleep.iter().all(|&it| it) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn read_to_end(input: OwnedFd) -> anyhow::Result<()> {
    std::fs::File::from(input).read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Computes until that child has ended, with very few system calls.
fn compute(other: Option<PidFd>) {
    let mut sum = 0_u64;
    while other.as_ref().is_some_and(|other| !other.is_dead()) {
        for round in 0..200_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(round));
        }
    }
    let _ = waitpid(None, None);
}
