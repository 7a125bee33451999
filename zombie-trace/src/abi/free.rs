//! A process is freed.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, TaskKey};

/// `sched_process_free` of a thread-group leader (`kernel/exit.c`, `delayed_put_task_struct`). It comes after an RCU
/// grace period, so its time is only an upper bound of the reap. 32 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct FreeEvent {
    /// Kind [`EventKind::Free`](super::EventKind::Free).
    pub header: Header,
    /// The process that is gone.
    pub process: TaskKey,
}
