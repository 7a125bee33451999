//! A crowd in its own pid namespace that fills the tracer's tables: threads that wait, and processes that have waited.
//!
//! Prints `ready` when all of them do; they end when stdin is closed. With `--victim` it is no namespace but a process,
//! printed as `root pid=`, that does all by order: `gather`, `victim`, which starts that scenario as a child, and
//! `disperse`, which prints `dispersed`. So a filter on that process sees the crowd and its victims, and nobody else who
//! could make room for one: its parent, which a filter follows as its reaper, makes a single call.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::kit::{
    Channel, fork, in_new_pid_namespace, orders, reap, reap_everything, say, wait_for_hangup, wait_for_hangup_within,
};

/// This many of the processes call wait again and again, with this pause.
const AGAIN: usize = 32;
const PAUSE: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Threads of one process that wait for one child
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Processes that have called wait once
    #[arg(long, default_value_t = 0)]
    processes: usize,
    /// Does all by order, and starts this scenario
    #[arg(long)]
    victim: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let code = |result: anyhow::Result<()>| match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("zt-actor: {error:#}");
            1
        }
    };
    let crowd = match &args.victim {
        Some(victim) => {
            let root = fork(|| code(by_order(args, victim)))?;
            say(format!("root pid={root}"));
            root
        }
        None => in_new_pid_namespace(|| code(gather(args)))?,
    };
    reap(crowd)?;
    Ok(())
}

fn by_order(args: &Args, victim: &str) -> anyhow::Result<()> {
    let mut victims = Vec::new();
    let mut awaited = None;
    for order in orders() {
        match order.as_str() {
            "gather" => {
                awaited = Some(assemble(args)?);
                say("ready");
            }
            "victim" => victims.push(Command::new("/proc/self/exe").arg(victim).spawn()?),
            "disperse" => {
                if let Some(awaited) = awaited.take() {
                    kill(awaited, Signal::SIGKILL)?;
                }
                while waiting_threads()? > 0 {
                    std::thread::yield_now();
                }
                say("dispersed");
            }
            _ => say(format!("refused {order}")),
        }
    }
    for mut victim in victims {
        victim.wait()?;
    }
    Ok(())
}

fn gather(args: &Args) -> anyhow::Result<()> {
    assemble(args)?;
    say("ready");
    wait_for_hangup();
    reap_everything();
    Ok(())
}

/// Returns the child that all threads wait for.
fn assemble(args: &Args) -> anyhow::Result<Pid> {
    let waited = Channel::new()?;
    for number in 0..args.processes {
        fork(|| {
            // It has no child, but the call is enough.
            let wait = || waitpid(None, Some(WaitPidFlag::WNOHANG));
            let _ = wait();
            waited.send(1);
            // The last ones found no room, and take what others leave free.
            let is_last = number + AGAIN >= args.processes;
            while is_last && !wait_for_hangup_within(PAUSE) {
                let _ = wait();
            }
            wait_for_hangup();
            0
        })?;
    }
    for _ in 0..args.processes {
        waited.receive();
    }
    let last = fork(|| {
        wait_for_hangup();
        0
    })?;
    for _ in 0..args.threads {
        std::thread::Builder::new().stack_size(64 * 1024).spawn(move || waitpid(last, None))?;
    }
    while waiting_threads()? < args.threads {
        std::thread::yield_now();
    }
    Ok(last)
}

/// How many threads of this process are in a wait call now.
fn waiting_threads() -> anyhow::Result<usize> {
    let own = Pid::this();
    let wait = format!("{} ", libc::SYS_wait4);
    let mut count = 0;
    for thread in fs::read_dir(format!("/proc/{own}/task"))? {
        // A thread that has just ended does not count.
        let call = fs::read_to_string(thread?.path().join("syscall")).unwrap_or_default();
        count += usize::from(call.starts_with(&wait));
    }
    Ok(count)
}
