//! A child that its parent made with `CLONE_AUTOREAP` (since 7.1): the kernel reaps it at once.
//!
//! Prints `parent pid=`, then `gone pid=` when the child is dead and not to be waited for, or `unsupported`.

use nix::errno::Errno;
use nix::unistd::Pid;

use super::kit::{Channel, PidFd, die_with_parent, exit_now, host_pid, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {}

/// include/uapi/linux/sched.h.
const CLONE_AUTOREAP: u64 = 1 << 34;

pub(crate) fn run(_: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    let gate = Channel::new()?;
    // SAFETY: an all-zero clone_args is valid.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = CLONE_AUTOREAP;
    // SAFETY: the arguments outlive the call; without a stack and CLONE_VM this is a fork, of one thread.
    let made = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>()) };
    match made {
        0 => {
            die_with_parent();
            gate.receive();
            exit_now(3);
        }
        -1 => {
            say(format!("unsupported errno={}", Errno::last_raw()));
            return Ok(());
        }
        _ => {}
    }
    let child = Pid::from_raw(i32::try_from(made)?);
    let pidfd = PidFd::open(child)?;
    gate.send(1);
    pidfd.wait_dead();
    // SAFETY: waitid may write nothing where the last pointer is null.
    let waited =
        unsafe { libc::waitid(libc::P_ALL, 0, std::ptr::null_mut(), libc::WEXITED | libc::WNOHANG | libc::__WALL) };
    let is_gone = waited == -1 && Errno::last() == Errno::ECHILD;
    // On a kernel that uses the bit for something else.
    say(if is_gone { format!("gone pid={child}") } else { "unsupported errno=0".to_owned() });
    wait_for_hangup();
    reap_everything();
    Ok(())
}
