//! The signal that notifies a parent of a child's death: the start of a zombie.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Comm, Header, TaskKey};

/// Bits of [`ChildSignalEvent::flags`].
pub mod child_flags {
    /// The signal is blocked in the target.
    pub const BLOCKED: u32 = 1 << 0;
    /// The target is the init of its pid namespace.
    pub const TARGET_INIT: u32 = 1 << 1;
    /// The target is a child subreaper.
    pub const TARGET_SUBREAPER: u32 = 1 << 2;
    /// The target is exiting itself.
    pub const TARGET_EXITING: u32 = 1 << 3;
    /// `current` is exiting (`PF_EXITING`): the ordinary case, a dying child notifies its parent.
    pub const CURRENT_EXITING: u32 = 1 << 4;
    /// The pid that the signal names is `current`'s own process, seen from the target's namespace.
    pub const CHILD_IS_CURRENT: u32 = 1 << 5;
    /// The target's disposition of the signal could not be read.
    pub const HANDLER_UNREADABLE: u32 = 1 << 6;
    /// The target set `SA_NOCLDWAIT`: the child is reaped at once.
    pub const NOCLDWAIT: u32 = 1 << 7;
}

/// `signal_generate` with `si_code` `CLD_EXITED`, `CLD_KILLED` or `CLD_DUMPED` (`kernel/signal.c`,
/// `do_notify_parent`). 112 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ChildSignalEvent {
    /// Kind [`EventKind::ChildSignal`](super::EventKind::ChildSignal).
    pub header: Header,
    /// The running task: normally the dying child, else its dying parent, or a tracer.
    pub current: TaskKey,
    /// The process notified, which can wait for the child from now on.
    pub target: TaskKey,
    /// The child's number in the target's pid namespace (`si_pid`).
    pub child_nr: u32,
    /// Inode number of the target's pid namespace.
    pub target_ns: u32,
    /// Depth of the target's pid namespace.
    pub target_level: u32,
    /// The target's pid in its own namespace.
    pub target_nr: u32,
    /// Signal number; SIGCHLD unless the child was cloned with another exit signal.
    pub signal: u32,
    /// `CLD_EXITED` (1), `CLD_KILLED` (2) or `CLD_DUMPED` (3).
    pub code: i32,
    /// `result` of the tracepoint: 0 delivered, 1 ignored, 2 already pending, 3 overflow, 4 lost info.
    pub result: u32,
    /// See [`child_flags`].
    pub flags: u32,
    /// A [`Handler`](super::Handler) as a number.
    pub handler: u32,
    /// Always zero.
    pub reserved: u32,
    /// Name of the target.
    pub target_comm: Comm,
    /// User id of the target; `u32::MAX` if unreadable.
    pub target_uid: u32,
    /// Always zero.
    pub reserved2: u32,
}
