//! The privileges of a graded command: at most those that Docker, Podman and containerd leave to a container.

use std::io;

use serde::{Deserialize, Serialize};

use super::check;

/// The `Capabilities` of their default OCI spec, one bit each.
const OF_A_CONTAINER: u64 = 0xa804_25fb;
/// A foreign root file system needs neither chroot nor mknod, which are ways out.
const NOT_ON_A_FOREIGN_ROOT: u64 = 1 << CAP_SYS_CHROOT | 1 << CAP_MKNOD;
const CAP_SYS_CHROOT: u32 = 18;
const CAP_MKNOD: u32 = 27;

/// Whom a command runs as.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Other groups.
    pub groups: Vec<u32>,
}

impl User {
    /// `nobody` on every system.
    pub(in super::super) const NOBODY: Self = Self { uid: 65_534, gid: 65_534, groups: Vec::new() };
}

/// Drops the rest for good, and becomes this user and group. Otherwise the init of a whole machine, started here by
/// mistake, would unmount file systems and turn off the machine's swap.
///
/// # Errors
/// The kernel refuses something.
///
/// # Safety
/// Runs between fork and exec: system calls only.
pub(super) unsafe fn give_up(foreign_root: bool, user: Option<&User>) -> io::Result<()> {
    let kept = if foreign_root { OF_A_CONTAINER & !NOT_ON_A_FOREIGN_ROOT } else { OF_A_CONTAINER };
    for capability in (0..64).filter(|capability| kept >> capability & 1 == 0) {
        // SAFETY: a system call on numbers.
        match check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }) {
            // This and all following ones are unknown to this kernel.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            result => result?,
        }
    }
    // SAFETY: system calls on numbers, and a limit that lives.
    unsafe {
        let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        check(libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core))?;
        if let Some(user) = user {
            check(libc::setgroups(user.groups.len(), user.groups.as_ptr()))?;
            check(libc::setgid(user.gid))?;
            check(libc::setuid(user.uid))?;
        }
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    }
}
