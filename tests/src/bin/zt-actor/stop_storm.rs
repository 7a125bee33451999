//! Many pid namespaces with a worker each, which are stopped at once: in each the stop comes to another of four things.
//!
//! Prints `init pid= pid_ns= worker= way=` for each and `ready`. The order `stop` sends SIGTERM to each PID 1 and prints
//! `stopped` when all are gone that end by themselves; `kill` kills the others and prints `done`. A closed stdin does that,
//! too.

use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::unistd::{Pid, pause};

use super::kit::{Channel, clone_with, fork, host_pid, orders, pid_namespace_of, reap, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Number of namespaces
    #[arg(long, default_value_t = 1000)]
    count: usize,
}

/// What a PID 1 does with SIGTERM.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It has no handler.
    Deaf,
    /// It ignores it.
    Ignores,
    /// It ends, and its worker is killed with the namespace.
    Alone,
    /// It passes it on and waits.
    Graceful,
}

const WAYS: [(Way, &str); 4] =
    [(Way::Deaf, "deaf"), (Way::Ignores, "ignores"), (Way::Alone, "alone"), (Way::Graceful, "graceful")];

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let up = Channel::new()?;
    let mut inits: Vec<(Pid, Way)> = Vec::with_capacity(args.count);
    for (way, name) in WAYS.into_iter().cycle().take(args.count) {
        // Its worker says where it is: so both are there when the next is begun.
        let init = clone_with(libc::CLONE_NEWPID | libc::SIGCHLD, || be_init(way, &up))?;
        let worker = up.receive();
        say(format!("init pid={init} pid_ns={} worker={worker} way={name}", pid_namespace_of(init)?));
        inits.push((init, way));
    }
    say("ready");
    let (by_themselves, others): (Vec<_>, Vec<_>) =
        inits.iter().copied().partition(|(_, way)| matches!(way, Way::Alone | Way::Graceful));
    for order in orders() {
        match order.as_str() {
            "stop" => {
                for (init, _) in &inits {
                    kill(*init, Signal::SIGTERM)?;
                }
                for (init, _) in &by_themselves {
                    reap(*init)?;
                }
                say("stopped");
            }
            "kill" => {
                for (init, _) in &others {
                    kill(*init, Signal::SIGKILL)?;
                }
                for (init, _) in &others {
                    reap(*init)?;
                }
                say("done");
            }
            other => anyhow::bail!("no order is {other:?}"),
        }
    }
    Ok(())
}

fn be_init(way: Way, up: &Channel) -> i32 {
    let mut term = SigSet::empty();
    term.add(Signal::SIGTERM);
    let is_set = match way {
        Way::Deaf => Ok(()),
        // SAFETY: no handler is installed.
        Way::Ignores => unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }.map(|_| ()),
        Way::Alone | Way::Graceful => term.thread_block(),
    };
    let worker = fork(|| {
        // SAFETY: no handler is installed.
        let is_default = unsafe { signal(Signal::SIGTERM, SigHandler::SigDfl) }.and_then(|_| term.thread_unblock());
        up.send(u64::from(host_pid().unsigned_abs()));
        while is_default.is_ok() {
            pause();
        }
        1
    });
    let (Ok(()), Ok(worker)) = (is_set, worker) else { return 2 };
    match way {
        Way::Deaf | Way::Ignores => loop {
            pause();
        },
        Way::Alone => i32::from(term.wait().is_err()),
        Way::Graceful => {
            let passed_on = term.wait().and_then(|_| kill(worker, Signal::SIGTERM));
            i32::from(passed_on.is_err() || reap(worker).is_err())
        }
    }
}
