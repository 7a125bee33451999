//! A new process (never a new thread).

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Comm, Header, NsPid, TaskKey};

/// `sched_process_fork` (`kernel/fork.c`, `kernel_clone`). 96 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ForkEvent {
    /// Kind [`EventKind::Fork`](super::EventKind::Fork).
    pub header: Header,
    /// The process whose thread called fork or clone.
    pub forker: TaskKey,
    /// The new process.
    pub child: TaskKey,
    /// Its real parent: `forker`, or with `CLONE_PARENT` the forker's parent.
    pub parent_tgid: u32,
    /// Depth of the child's pid namespace.
    pub level: u32,
    /// The child's number in its innermost pid namespace.
    pub ns: NsPid,
    /// Cgroup of the child.
    pub cgroup_id: u64,
    /// Name of the child: the forker's, until it calls exec.
    pub comm: Comm,
    /// Real user id of the child.
    pub uid: u32,
    /// Always zero.
    pub reserved: u32,
}
