//! Signals to an init of a pid namespace, or to a watched process.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Comm, Header, TaskKey};

/// What a process does with a signal, as a number in the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Handler {
    /// Could not be read.
    Unknown = 0,
    /// `SIG_DFL`
    Default = 1,
    /// `SIG_IGN`
    Ignore = 2,
    /// A handler function.
    Function = 3,
}

impl Handler {
    /// The class of a `sa_handler`: `SIG_DFL` is 0, `SIG_IGN` is 1, all else is a function.
    #[must_use]
    pub const fn from_address(handler: u64) -> Self {
        match handler {
            0 => Self::Default,
            1 => Self::Ignore,
            _ => Self::Function,
        }
    }

    /// The handler class with this number; an unknown number is [`Handler::Unknown`].
    #[must_use]
    pub const fn from_u32(number: u32) -> Self {
        match number {
            1 => Self::Default,
            2 => Self::Ignore,
            3 => Self::Function,
            _ => Self::Unknown,
        }
    }
}

/// Bits of [`SignalEvent::flags`] and [`DeliverEvent::flags`].
pub mod signal_flags {
    /// Blocked in the target (`blocked` or `real_blocked` of the task the signal was aimed at).
    pub const BLOCKED: u32 = 1 << 0;
    /// The target is the init of its pid namespace (its number there is 1).
    pub const TARGET_INIT: u32 = 1 << 1;
    /// `SIGNAL_UNKILLABLE` is set on the target's group.
    pub const UNKILLABLE: u32 = 1 << 2;
    /// The target is exiting: `PF_EXITING`, `SIGNAL_GROUP_EXIT` or no live thread. Such a signal is never "dropped".
    pub const TARGET_EXITING: u32 = 1 << 3;
    /// The target is traced.
    pub const TARGET_PTRACED: u32 = 1 << 4;
    /// The signal is for the whole process, not for one thread.
    pub const GROUP: u32 = 1 << 5;
    /// The sender is visible in the target's pid namespace.
    pub const SENDER_INSIDE: u32 = 1 << 6;
    /// The signal comes from the kernel (`SEND_SIG_PRIV` or a kernel `si_code`), not from a process. A negative
    /// `si_code` other than those of `kill`, `sigqueue` and `tgkill` comes from a process if the running task chose it
    /// (`rt_sigqueueinfo`).
    pub const FROM_KERNEL: u32 = 1 << 7;
    /// `current` is exiting: a dying init kills its namespace (`zap_pid_ns_processes`).
    pub const SENDER_EXITING: u32 = 1 << 8;
    /// The target is a subreaper.
    pub const TARGET_SUBREAPER: u32 = 1 << 9;
}

/// `signal_generate` (`kernel/signal.c`, `__send_signal_locked`). 144 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct SignalEvent {
    /// Kind [`EventKind::Signal`](super::EventKind::Signal).
    pub header: Header,
    /// The process the signal is for; `tid` is the task it was aimed at.
    pub target: TaskKey,
    /// The running task. It is the sender unless [`signal_flags::FROM_KERNEL`] is set.
    pub sender: TaskKey,
    /// Name of the target.
    pub target_comm: Comm,
    /// Name of the running task.
    pub sender_comm: Comm,
    /// Signal number.
    pub signal: u32,
    /// `si_code`; 0 (`SI_USER`) for `SEND_SIG_NOINFO`, 0x80 (`SI_KERNEL`) for `SEND_SIG_PRIV`.
    pub code: i32,
    /// `result` of the tracepoint: 0 delivered, 1 ignored, 2 already pending, 3 overflow, 4 lost info.
    pub result: u32,
    /// See [`signal_flags`].
    pub flags: u32,
    /// A [`Handler`] as a number.
    pub handler: u32,
    /// The target's pid in its own namespace.
    pub target_nr: u32,
    /// Inode number of the target's pid namespace.
    pub target_ns: u32,
    /// Depth of the target's pid namespace.
    pub target_level: u32,
    /// The running task's pid in its own namespace.
    pub sender_nr: u32,
    /// Inode number of the running task's pid namespace.
    pub sender_ns: u32,
    /// Real user id of the running task in the initial user namespace.
    pub sender_uid: u32,
    /// Always zero.
    pub reserved: u32,
    /// Cgroup of the target, see [`ExitEvent::cgroup_id`](super::ExitEvent::cgroup_id).
    pub cgroup_id: u64,
    /// `exit_code`-independent reserve, always zero.
    pub reserved2: u64,
}

/// `signal_deliver` (`kernel/signal.c`, `get_signal`) of a signal at `SIG_DFL` in an init: the second place where a
/// signal is dropped. 48 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct DeliverEvent {
    /// Kind [`EventKind::Deliver`](super::EventKind::Deliver).
    pub header: Header,
    /// The receiving process; `tid` is the thread.
    pub target: TaskKey,
    /// Signal number.
    pub signal: u32,
    /// `si_code`.
    pub code: i32,
    /// See [`signal_flags`].
    pub flags: u32,
    /// A [`Handler`] as a number.
    pub handler: u32,
}
