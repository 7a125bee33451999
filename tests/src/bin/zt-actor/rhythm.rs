//! Parents that wait at first and then not, or late, or in a handler that fails them.
//!
//! Prints `parent pid=`, `reaped pid=` for a child reaped in time, `child pid=` for one that it leaves, and `ready`.
//! Ends when stdin is closed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::kit::{
    Channel, PidFd, exit_now, fork, host_pid, reap, reap_everything, say, wait_for_hangup, wait_for_hangup_within,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the parent does
    #[arg(long, value_enum)]
    how: How,
    /// How many children it leaves
    #[arg(long, default_value_t = 2)]
    children: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum How {
    /// Reaps its first child with a wait for any, and no other
    OnceForAny,
    /// Reaps its first child with a wait for its pid, and no other
    OnceByPid,
    /// Is in a wait for its first child when it says `parent`, reaps it at the order to do so, and no other
    OnceWhenTold,
    /// Waits for each child by its pid, each half a second after it started it
    LateByPid,
    /// Its handler is removed by its first delivery
    HandlerReset,
    /// Its handler sleeps for a lock and never returns
    HandlerStuck,
}

/// Children that the handler reaped.
static REAPED: AtomicI32 = AtomicI32::new(0);

/// A lock that is never released.
static LOCK: AtomicU32 = AtomicU32::new(0);

extern "C" fn wait_for_all(_: i32) {
    while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status.pid().is_some()) {
        REAPED.fetch_add(1, Ordering::SeqCst);
    }
}

extern "C" fn lock(_: i32) {
    let tick = libc::timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    loop {
        // SAFETY: the lock and the time outlive the call.
        unsafe { libc::syscall(libc::SYS_futex, LOCK.as_ptr(), libc::FUTEX_WAIT, 0, &raw const tick) };
        // The test is over.
        if wait_for_hangup_within(Duration::ZERO) {
            exit_now(0);
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if !matches!(args.how, How::OnceWhenTold) {
        say(format!("parent pid={}", host_pid()));
    }
    match args.how {
        How::OnceForAny => {
            let first = fork(|| 0)?;
            anyhow::ensure!(waitpid(None, None)?.pid() == Some(first), "wait reaped another child");
            say(format!("reaped pid={first}"));
        }
        How::OnceByPid => {
            let first = fork(|| 0)?;
            reap(first)?;
            say(format!("reaped pid={first}"));
        }
        How::OnceWhenTold => {
            let parent = host_pid();
            let first = fork(|| {
                // Its parent only waits for it.
                say(format!("parent pid={parent}"));
                let _ = super::kit::orders().next();
                0
            })?;
            // SAFETY: all pointers are null, which waitid takes.
            let done = unsafe { libc::waitid(libc::P_ALL, 0, std::ptr::null_mut(), libc::WEXITED) };
            anyhow::ensure!(done == 0, "waitid failed");
            say(format!("reaped pid={first}"));
        }
        How::LateByPid => return late_by_pid(),
        How::HandlerReset => {
            handle(wait_for_all, SaFlags::SA_RESTART | SaFlags::SA_RESETHAND)?;
            let first = fork(|| 0)?;
            while REAPED.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            say(format!("reaped pid={first}"));
        }
        How::HandlerStuck => handle(lock, SaFlags::SA_RESTART)?,
    }
    let gate = Channel::new()?;
    for code in 0..args.children {
        let child = fork(|| {
            gate.receive();
            i32::try_from(code % 256).unwrap_or(0)
        })?;
        say(format!("child pid={child}"));
        if !matches!(args.how, How::HandlerStuck) {
            gate.send(1);
            PidFd::open(child)?.wait_dead();
        }
    }
    say("ready");
    // All at once: the first death sends the parent into its handler for good.
    if matches!(args.how, How::HandlerStuck) {
        gate.send_all(&vec![1; usize::try_from(args.children)?]);
    }
    wait_for_hangup();
    reap_everything();
    Ok(())
}

fn handle(handler: extern "C" fn(i32), flags: SaFlags) -> anyhow::Result<()> {
    let action = SigAction::new(SigHandler::Handler(handler), flags, SigSet::empty());
    // SAFETY: the handlers make system calls and count, which a signal handler may do.
    unsafe { sigaction(Signal::SIGCHLD, &action) }?;
    Ok(())
}

/// Starts a child every tenth of a second, and waits for each by its pid after five more.
fn late_by_pid() -> anyhow::Result<()> {
    let mut children: VecDeque<Pid> = VecDeque::new();
    loop {
        children.push_back(fork(|| 0)?);
        if wait_for_hangup_within(Duration::from_millis(100)) {
            break;
        }
        if children.len() > 5
            && let Some(oldest) = children.pop_front()
        {
            reap(oldest)?;
            say(format!("late pid={oldest}"));
        }
    }
    reap_everything();
    Ok(())
}
