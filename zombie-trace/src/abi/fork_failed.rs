//! A fork that the kernel refused.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Comm, Header, NsPid, TaskKey};

/// Which system call failed, as a number in [`ForkFailedEvent::call`].
pub mod fork_call {
    /// `clone`: used by `pthread_create` of glibc before 2.34, and by `fork` of all.
    pub const CLONE: u32 = 1;
    /// `clone3`: used by `pthread_create` and `posix_spawn` of newer libraries.
    pub const CLONE3: u32 = 2;
    /// `fork`
    pub const FORK: u32 = 3;
    /// `vfork`
    pub const VFORK: u32 = 4;
}

/// Return of `clone`, `clone3`, `fork` or `vfork` with EAGAIN or ENOMEM (`kernel/fork.c`, `copy_process`). A process
/// that fails repeatedly sends one event per tenth of a second, with the number of calls since the last. 88 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ForkFailedEvent {
    /// Kind [`EventKind::ForkFailed`](super::EventKind::ForkFailed).
    pub header: Header,
    /// The caller; `tid` is the thread.
    pub process: TaskKey,
    /// The negative errno.
    pub error: i32,
    /// See [`fork_call`].
    pub call: u32,
    /// Calls that failed since the last event of this process, this one included.
    pub failures: u32,
    /// Real user id of the caller.
    pub uid: u32,
    /// Cgroup of the caller, see [`ExitEvent::cgroup_id`](super::ExitEvent::cgroup_id).
    pub cgroup_id: u64,
    /// The caller's name.
    pub comm: Comm,
    /// The caller in its own pid namespace.
    pub ns: NsPid,
    /// Depth of that namespace.
    pub level: u32,
    /// Always zero.
    pub reserved: u32,
}
