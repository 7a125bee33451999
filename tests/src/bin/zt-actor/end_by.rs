//! A process that the kernel ends for what it does itself.
//!
//! Says nothing: how it ended is what the test asks.

use std::convert::Infallible;

use clap::ValueEnum;
use nix::errno::Errno;

use super::kit::{Channel, fork, reap_everything};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What it does
    #[arg(value_enum)]
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// Writes where there is no memory
    Fault,
    /// Makes a system call for which its seccomp filter ends the process
    Seccomp,
    /// Ends after its child has asked for SIGUSR1 then
    ParentDeath,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match args.how {
        // SAFETY: nothing is mapped in page zero, so nothing is written.
        How::Fault => unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(0) },
        How::Seccomp => match break_filter()? {},
        How::ParentDeath => {
            let asked = Channel::new()?;
            fork(|| {
                // SAFETY: takes numbers only.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR1) };
                asked.send(1);
                loop {
                    std::thread::park();
                }
            })?;
            asked.receive();
            return Ok(());
        }
    }
    reap_everything();
    Ok(())
}

/// Allows all system calls but `getppid`, and makes that.
fn break_filter() -> anyhow::Result<Infallible> {
    const KILL_PROCESS: u32 = 0x8000_0000;
    const ALLOW: u32 = 0x7fff_0000;
    let getppid = u32::try_from(libc::SYS_getppid)?;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // The number of the call; is it this one; then end the process; else let it pass.
    let mut steps = [step(0x20, 0, 0, 0), step(0x15, 0, 1, getppid), step(6, 0, 0, KILL_PROCESS), step(6, 0, 0, ALLOW)];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: the program and its steps outlive the calls.
    unsafe {
        Errno::result(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        Errno::result(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program))?;
        libc::getppid();
    }
    anyhow::bail!("the filter let the call pass")
}
