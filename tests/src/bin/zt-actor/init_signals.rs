//! PID 1 of a fresh pid namespace gets signals, as ordered.
//!
//! PID 1 has the dispositions of `--set` and lives until it is killed, beside one other process in the namespace.
//! Prints `init pid= pid_ns=`, `inner pid=` and `ready`. Orders: `inside NAME` (the inner process sends the signal to
//! PID 1), `outside NAME` (this actor does), `forge NAME` (this actor does, and claims to be the kernel), `unblock
//! NAME`. Replies: `sent signal= sender= at=` and `unblocked signal=`. PID 1 prints `handled signal=` after a handler
//! ran; this actor prints `ended signal=` or `ended code=` when PID 1 is dead.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::sys::wait::WaitStatus;

use super::kit::{
    Channel, PidFd, boot_now, fork, host_pid, in_new_pid_namespace, in_turn, orders, pid_namespace_of, reap, say,
    signal_number,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A disposition of PID 1, as in TERM=ignore: default, ignore, handler, slow-handler or block
    #[arg(long = "set")]
    dispositions: Vec<Setting>,
}

#[derive(Clone, Copy)]
struct Setting {
    signal: i32,
    disposition: Disposition,
}

#[derive(Clone, Copy)]
enum Disposition {
    Default,
    Ignore,
    Handler,
    SlowHandler,
    Block,
}

impl FromStr for Setting {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (signal, disposition) = text.split_once('=').context("not SIGNAL=DISPOSITION")?;
        let disposition = match disposition {
            "default" => Disposition::Default,
            "ignore" => Disposition::Ignore,
            "handler" => Disposition::Handler,
            "slow-handler" => Disposition::SlowHandler,
            "block" => Disposition::Block,
            other => bail!("no such disposition: {other}"),
        };
        Ok(Self { signal: signal_number(signal)?, disposition })
    }
}

/// One bit for each signal whose handler has run.
static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn note(signal: libc::c_int) {
    HANDLED.fetch_or(1 << (signal - 1), Ordering::SeqCst);
}

/// Runs longer than the time of the first looks at a blocked signal.
extern "C" fn note_slowly(signal: libc::c_int) {
    let mut left = libc::timespec { tv_sec: 1, tv_nsec: 600_000_000 };
    // SAFETY: nanosleep may be called in a handler; it reads and writes the one timespec.
    while unsafe { libc::nanosleep(&raw const left, &raw mut left) } == -1 {}
    note(signal);
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (up, to_init, to_inner, replies) = (Channel::new()?, Channel::new()?, Channel::new()?, Channel::new()?);
    let init = in_new_pid_namespace(|| {
        let inner = fork(|| {
            up.send(u64::from(host_pid().unsigned_abs()));
            loop {
                let signal = to_inner.receive() as i32;
                kill_pid_1(signal);
                replies.send(boot_now());
            }
        });
        if inner.is_err() || args.dispositions.iter().any(|setting| setting.take().is_err()) {
            return 1;
        }
        up.send(0);
        be_init(&to_init, &replies)
    })?;
    let (first, second) = (up.receive(), up.receive());
    let inner = first.max(second);
    say(format!("init pid={init} pid_ns={}", pid_namespace_of(init)?));
    say(format!("inner pid={inner}"));
    say("ready");
    let target = PidFd::open(init)?;
    std::thread::spawn(move || {
        for order in orders() {
            let Some((verb, Ok(signal))) = order.split_once(' ').map(|(verb, name)| (verb, signal_number(name))) else {
                say(format!("refused {order}"));
                continue;
            };
            match verb {
                "inside" => {
                    to_inner.send(signal as u64);
                    say(format!("sent signal={signal} sender={inner} at={}", replies.receive()));
                }
                "outside" | "forge" => in_turn(|| {
                    let at = boot_now();
                    if verb == "forge" {
                        forge(init.as_raw(), signal);
                    } else {
                        target.send(signal);
                    }
                    say(format!("sent signal={signal} sender={} at={at}", host_pid()));
                }),
                "unblock" => {
                    to_init.send(signal as u64);
                    replies.receive();
                    say(format!("unblocked signal={signal}"));
                }
                _ => say(format!("refused {order}")),
            }
        }
        target.send(libc::SIGKILL);
    });
    let ended = match reap(init)? {
        WaitStatus::Exited(_, code) => format!("ended code={code}"),
        WaitStatus::Signaled(_, signal, _) => format!("ended signal={}", signal as i32),
        other => bail!("PID 1 ended as {other:?}"),
    };
    in_turn(|| say(ended));
    Ok(())
}

/// Acts as PID 1: unblocks signals as ordered, and says which handlers ran.
fn be_init(orders: &Channel, replies: &Channel) -> ! {
    loop {
        if let Some(signal) = orders.try_receive() {
            change_mask(libc::SIG_UNBLOCK, signal as i32).expect("the signal was taken for blocking before");
            replies.send(signal);
        }
        let handled = HANDLED.swap(0, Ordering::SeqCst);
        for signal in (1..=64).filter(|signal| handled & 1 << (signal - 1) != 0) {
            say(format!("handled signal={signal}"));
        }
    }
}

impl Setting {
    fn take(self) -> nix::Result<()> {
        let handler = match self.disposition {
            Disposition::Default => libc::SIG_DFL,
            Disposition::Ignore => libc::SIG_IGN,
            Disposition::Handler => note as extern "C" fn(libc::c_int) as libc::sighandler_t,
            Disposition::SlowHandler => note_slowly as extern "C" fn(libc::c_int) as libc::sighandler_t,
            Disposition::Block => return change_mask(libc::SIG_BLOCK, self.signal),
        };
        // Not nix's, which knows no real-time signals.
        // SAFETY: an all-zero sigaction is valid (no flags, an empty mask); the handler only touches an atomic.
        Errno::result(unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler;
            libc::sigaction(self.signal, &raw const action, std::ptr::null_mut())
        })
        .map(drop)
    }
}

fn change_mask(how: libc::c_int, signal: i32) -> nix::Result<()> {
    // SAFETY: sigemptyset initialises the set before it is read; there is one thread.
    Errno::result(unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::sigprocmask(how, &raw const set, std::ptr::null_mut())
    })
    .map(drop)
}

/// Sends a signal as the kernel sends one for a message queue.
fn forge(init: i32, signal: i32) {
    const SI_MESGQ: libc::c_int = -3;
    // SAFETY: an all-zero siginfo is valid, and the kernel only reads it.
    let sent = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        (info.si_signo, info.si_code) = (signal, SI_MESGQ);
        libc::syscall(libc::SYS_rt_sigqueueinfo, init, signal, &raw const info)
    };
    if let Err(error) = Errno::result(sent) {
        eprintln!("zt-actor: rt_sigqueueinfo({init}, {signal}): {error}");
    }
}

fn kill_pid_1(signal: i32) {
    // Not nix's, which knows no real-time signals.
    // SAFETY: kill takes two integers.
    if let Err(error) = Errno::result(unsafe { libc::kill(1, signal) }) {
        eprintln!("zt-actor: kill(1, {signal}): {error}");
    }
}
