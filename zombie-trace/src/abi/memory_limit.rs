//! The memory limit of a process that the OOM killer chose.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, TaskKey};

/// [`MemoryLimitEvent::bytes`] of a process that no limit holds for.
pub const NO_MEMORY_LIMIT: u64 = u64::MAX;

/// The lowest memory limit of the cgroup of a process that the OOM killer chose, and of those above it. Sent just
/// before its last [`ExitEvent`](super::ExitEvent), because a runtime removes the cgroup soon after. How much of the
/// limit was used cannot be told: before 6.16 the process has given its memory back by then (`kernel/exit.c`,
/// `do_exit`). 48 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct MemoryLimitEvent {
    /// Kind [`EventKind::MemoryLimit`](super::EventKind::MemoryLimit).
    pub header: Header,
    /// The exiting process; `tid` is the thread that exits.
    pub process: TaskKey,
    /// The limit in bytes (`memory.max`, v1 `memory.limit_in_bytes`), or [`NO_MEMORY_LIMIT`].
    pub bytes: u64,
    /// How many levels above the process's own cgroup the limit is set; 0 is its own, and if there is no limit.
    pub levels_above: u32,
    /// Always zero.
    pub reserved: u32,
}
