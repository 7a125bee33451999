//! Finds out that a process is dead without a wait call, which would be evidence for the tracer.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, getpgrp, setpgid};

/// A process, even if its number is reused.
pub(crate) struct PidFd(OwnedFd);

impl PidFd {
    pub(crate) fn open(pid: Pid) -> anyhow::Result<Self> {
        // SAFETY: pidfd_open takes two integers and touches no memory of ours.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
        let fd = RawFd::try_from(fd)?;
        // SAFETY: the kernel has just made this descriptor for us alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Returns once the process is a zombie or gone; its children have been handed over by then.
    pub(crate) fn wait_dead(&self) {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Ok(_) => break,
                Err(error) => panic!("poll on a pidfd: {error}"),
            }
        }
        // Polling wakes before the parent is sent its signal (`do_notify_parent`), both under `tasklist_lock`. This
        // call takes the lock, so it returns after that, and changes nothing.
        let _ = setpgid(Pid::from_raw(0), getpgrp());
    }

    /// Whether it is a zombie or gone by now.
    pub(crate) fn is_dead(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1))
    }

    /// Sends a signal to this process and no other, even if it is gone and its number has a new owner.
    pub(crate) fn send(&self, signal: i32) {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open; a null siginfo asks for the one that kill makes.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.as_raw_fd(), signal, no_info, 0) };
        match Errno::result(sent) {
            // A process that is already dead is not a failure: the test learns of the death.
            Ok(_) | Err(Errno::ESRCH) => {}
            Err(error) => eprintln!("zt-actor: signal {signal}: {error}"),
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
