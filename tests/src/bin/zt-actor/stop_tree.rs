//! PID 1 of a fresh pid namespace that takes SIGTERM, and a worker beside it.
//!
//! Both have SIGTERM blocked and take it by `sigwait`, as tini does. Prints `init pid= pid_ns=`, `worker pid= ns_pid=`
//! and `ready`; `init-got` and `worker-got` when they have taken a SIGTERM; and `ended signal=` or `ended code=` when
//! PID 1 is dead. A closed stdin kills the namespace.

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::kit::{Channel, PidFd, exit_now, fork, host_pid, in_new_pid_namespace, pid_namespace_of, reap, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// PID 1 passes SIGTERM on to the worker
    #[arg(long)]
    forward: bool,
    /// Who has taken SIGTERM ends; PID 1 after the worker, if it passed it on
    #[arg(long)]
    exit: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (up, term) = (Channel::new()?, {
        let mut term = SigSet::empty();
        term.add(Signal::SIGTERM);
        term
    });
    // Inherited by both, so that no signal comes too early.
    term.thread_block()?;
    let init = in_new_pid_namespace(|| {
        let worker = fork(|| {
            up.send(u64::from(host_pid().unsigned_abs()));
            take(&term, "worker-got", args.exit)
        });
        let Ok(worker) = worker else { return 1 };
        up.send(u64::from(worker.as_raw().unsigned_abs()) << 32);
        be_init(args, &term, worker)
    })?;
    let (first, second) = (up.receive(), up.receive());
    say(format!("init pid={init} pid_ns={}", pid_namespace_of(init)?));
    say(format!("worker pid={} ns_pid={}", first.min(second), first.max(second) >> 32));
    say("ready");
    let target = PidFd::open(init)?;
    std::thread::spawn(move || {
        super::kit::wait_for_hangup();
        target.send(libc::SIGKILL);
    });
    match reap(init)? {
        WaitStatus::Exited(_, code) => say(format!("ended code={code}")),
        WaitStatus::Signaled(_, signal, _) => say(format!("ended signal={}", signal as i32)),
        other => anyhow::bail!("PID 1 ended as {other:?}"),
    }
    Ok(())
}

fn be_init(args: &Args, term: &SigSet, worker: Pid) -> i32 {
    loop {
        if term.wait().is_err() {
            return 2;
        }
        if args.forward && kill(worker, Signal::SIGTERM).is_err() {
            return 3;
        }
        say("init-got");
        if args.exit {
            if args.forward {
                let _ = reap(worker);
            }
            exit_now(0);
        }
    }
}

fn take(term: &SigSet, word: &str, exit: bool) -> i32 {
    while term.wait().is_ok() {
        say(word);
        if exit {
            return 0;
        }
    }
    1
}
