//! PID 1 of a fresh pid namespace without any handler, which gets signals with forged origins, and signals of its own
//! timer.
//!
//! Prints `init pid= pid_ns=` and `ready`. Orders: `forge SIGNAL CODE` sends from outside with this `si_code`, and
//! `timer SIGNAL` has PID 1 set a timer that sends the signal once. Each is answered by `sent sender=`.

use std::os::fd::AsRawFd;

use anyhow::Context;
use nix::errno::Errno;

use super::kit::{Channel, PidFd, host_pid, in_new_pid_namespace, orders, pid_namespace_of, reap, say, signal_number};

#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    let (timers, set) = (Channel::new()?, Channel::new()?);
    let init = in_new_pid_namespace(|| {
        say("ready");
        loop {
            // 0 is the end.
            match i32::try_from(timers.receive()) {
                Ok(0) | Err(_) => return 0,
                Ok(signal) => set.send(u64::from(set_timer(signal).is_ok())),
            }
        }
    })?;
    say(format!("init pid={init} pid_ns={}", pid_namespace_of(init)?));
    let target = PidFd::open(init)?;
    for order in orders() {
        let words: Vec<&str> = order.split_whitespace().collect();
        match words.as_slice() {
            ["forge", signal, code] => forge(&target, signal_number(signal)?, code.parse()?)?,
            ["timer", signal] => {
                timers.send(u64::from(signal_number(signal)?.unsigned_abs()));
                anyhow::ensure!(set.receive() == 1, "the timer could not be set");
            }
            _ => anyhow::bail!("no such order: {order}"),
        }
        say(format!("sent sender={}", host_pid()));
    }
    timers.send(0);
    reap(init)?;
    Ok(())
}

fn forge(target: &PidFd, signal: i32, code: i32) -> anyhow::Result<()> {
    // SAFETY: an all-zero siginfo_t is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    info.si_signo = signal;
    info.si_code = code;
    // SAFETY: the descriptor is open and the siginfo outlives the call.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, target.as_raw_fd(), signal, &raw const info, 0) };
    Errno::result(sent).context("pidfd_send_signal")?;
    Ok(())
}

/// A timer of this process that sends the signal a millisecond from now.
fn set_timer(signal: i32) -> anyhow::Result<()> {
    // SAFETY: all-zero is valid for both.
    let (mut event, mut time): (libc::sigevent, libc::itimerspec) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = signal;
    time.it_value.tv_nsec = 1_000_000;
    let mut timer: libc::timer_t = std::ptr::null_mut();
    // SAFETY: all pointers are to live values.
    Errno::result(unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) })?;
    // SAFETY: as above; the timer was just made.
    Errno::result(unsafe { libc::timer_settime(timer, 0, &raw const time, std::ptr::null_mut()) })?;
    Ok(())
}
