//! A process runs a new program.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Comm, Header, TaskKey};

/// Bits of [`ExecEvent::flags`].
pub mod exec_flags {
    /// The other bits are valid; not set in recordings of older versions.
    pub const KNOWN: u32 = 1 << 0;
    /// SIGCHLD is ignored: exec keeps that, but no handler.
    pub const SIGCHLD_IGNORED: u32 = 1 << 1;
    /// SIGCHLD is blocked: exec keeps the mask.
    pub const SIGCHLD_BLOCKED: u32 = 1 << 2;
}

/// `sched_process_exec` (`fs/exec.c`, `exec_binprm`). 72 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ExecEvent {
    /// Kind [`EventKind::Exec`](super::EventKind::Exec).
    pub header: Header,
    /// The process.
    pub process: TaskKey,
    /// Thread id of the caller before the exec; differs from the tgid if a non-leader thread called it.
    pub old_tid: u32,
    /// Real user id after the exec.
    pub uid: u32,
    /// Cgroup of the process.
    pub cgroup_id: u64,
    /// Its new name.
    pub comm: Comm,
    /// See [`exec_flags`].
    pub flags: u32,
    /// Always zero.
    pub reserved: u32,
}
