//! The thread-group leader exits while another thread lives on: /proc says zombie, and nobody could reap it.
//!
//! Prints `parent pid=`, `child pid= exit=`, and `ready` when the leader is dead. The parent waits all the time. When
//! stdin is closed the other thread exits and the parent prints `reaped pid=`.

use nix::sys::ptrace;

use super::kit::{Channel, fork, host_pid, reap, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The parent traces the main thread, as a debugger that started the program does
    #[arg(long)]
    traced: bool,
}

/// Exit code of the leader, and so of the process.
const EXIT_CODE: i32 = 9;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let go = Channel::new()?;
    let child = fork(|| {
        go.receive();
        std::thread::spawn(|| {
            while !leader_is_dead() {
                std::thread::yield_now();
            }
            say("ready");
            wait_for_hangup();
            exit_thread(0);
        });
        exit_thread(EXIT_CODE)
    })?;
    if args.traced {
        ptrace::seize(child, ptrace::Options::empty())?;
    }
    go.send(1);
    say(format!("child pid={child} exit={EXIT_CODE}"));
    reap(child)?;
    say(format!("reaped pid={child}"));
    Ok(())
}

fn leader_is_dead() -> bool {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// Ends only this thread; the C library's exit would end the group.
fn exit_thread(code: i32) -> ! {
    // SAFETY: the system call does not return; what it leaks ends with the process.
    unsafe { libc::syscall(libc::SYS_exit, code) };
    unreachable!("exit returned")
}
