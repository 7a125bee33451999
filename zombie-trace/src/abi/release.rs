//! A process is reaped, seen from within the reap.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, TaskKey};

/// Bits of [`ReleaseEvent::flags`].
pub mod release_flags {
    /// The reaper is exiting: the kernel reaps for it.
    pub const REAPER_EXITING: u32 = 1 << 0;
    /// The reaper is the init of its pid namespace.
    pub const REAPER_NS_INIT: u32 = 1 << 1;
}

/// `release_task` of a thread-group leader by another process, outside visible wait calls (`kernel/exit.c`). Only where
/// the kernel allows fentry. 56 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ReleaseEvent {
    /// Kind [`EventKind::Release`](super::EventKind::Release).
    pub header: Header,
    /// The process that is reaped.
    pub process: TaskKey,
    /// Who reaps it; `tid` is the thread.
    pub reaper: TaskKey,
    /// See [`release_flags`].
    pub flags: u32,
    /// Always zero.
    pub reserved: u32,
}
