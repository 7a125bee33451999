//! A pid namespace that had no number left for a fork.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, TaskKey};

/// Numbers below this are not reused once the counter has passed them (`RESERVED_PIDS`, `kernel/pid.c`).
pub const RESERVED_PIDS: u32 = 300;

/// A fork failed with EAGAIN, and this pid namespace, the innermost such one of the caller, had at most
/// [`RESERVED_PIDS`] numbers left. Sent just before the [`ForkFailedEvent`](super::ForkFailedEvent), on kernels with a
/// `pid_max` per namespace (since 6.14; `kernel/pid.c`, `alloc_pid`). 48 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct FullPidNsEvent {
    /// Kind [`EventKind::FullPidNs`](super::EventKind::FullPidNs).
    pub header: Header,
    /// The caller; `tid` is the thread.
    pub process: TaskKey,
    /// The namespace's inode.
    pub inum: u32,
    /// Its depth; 0 is the initial one.
    pub level: u32,
    /// Its numbers in use: of threads, zombies, and groups and sessions without a leader.
    pub used: u32,
    /// Its `pid_max`: all numbers are smaller.
    pub pid_max: u32,
}
