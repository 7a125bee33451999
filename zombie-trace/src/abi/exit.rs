//! A process exits: the last thread of its group is gone, or its leader died before the other threads.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Comm, Header, NS_LEVELS, NsPid, TaskKey};

/// Bits of [`ExitEvent::flags`].
pub mod exit_flags {
    /// No live thread of the group remains. Sent once; recordings of version 0.1 from kernels before 6.16 may have it
    /// for several threads of a group.
    pub const GROUP_DEAD: u32 = 1 << 0;
    /// The exiting thread is the thread-group leader.
    pub const LEADER: u32 = 1 << 1;
    /// The leader is traced (`task->ptrace != 0`).
    pub const PTRACED: u32 = 1 << 2;
    /// The process is the init of its pid namespace.
    pub const NS_INIT: u32 = 1 << 3;
    /// The process is a child subreaper.
    pub const SUBREAPER: u32 = 1 << 4;
    /// The parent's disposition of SIGCHLD is `SIG_IGN` at the time of the event. Never set for a child of a kernel
    /// thread: those all ignore the signal, and nobody waits for the status.
    pub const PARENT_IGNORES: u32 = 1 << 5;
    /// The parent set `SA_NOCLDWAIT` for SIGCHLD.
    pub const PARENT_NOCLDWAIT: u32 = 1 << 6;
    /// The parent's disposition could not be read.
    pub const PARENT_UNREADABLE: u32 = 1 << 7;
    /// `SIGNAL_GROUP_EXIT` was set: `exit_code` is the group's.
    pub const GROUP_EXIT: u32 = 1 << 8;
    /// The parent is the init of its pid namespace.
    pub const PARENT_NS_INIT: u32 = 1 << 9;
    /// The parent is a child subreaper.
    pub const PARENT_SUBREAPER: u32 = 1 << 10;
    /// The process was created with `CLONE_AUTOREAP` (since 7.1): it never becomes a zombie of its parent.
    pub const AUTOREAP: u32 = 1 << 11;
    /// The OOM killer chose the process (`mark_oom_victim`).
    pub const OOM_VICTIM: u32 = 1 << 12;
    /// Whether it did could be read. Not set by version 0.1.
    pub const OOM_KNOWN: u32 = 1 << 13;
}

/// `sched_process_exit` (`kernel/exit.c`, `do_exit`). It comes before the zombie exists, so its time is not the start
/// of the zombie. 144 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ExitEvent {
    /// Kind [`EventKind::Exit`](super::EventKind::Exit).
    pub header: Header,
    /// The exiting process; `tid` is the thread that exits.
    pub process: TaskKey,
    /// Its real parent (`real_parent`) at this moment.
    pub parent: TaskKey,
    /// Thread-group id of the tracer, 0 if untraced.
    pub tracer: u32,
    /// See [`exit_flags`].
    pub flags: u32,
    /// Raw wait status as `do_exit` keeps it: exit code << 8, or signal, with 0x80 for a core dump.
    pub exit_code: u32,
    /// Signal sent to the parent at death (`task->exit_signal` of the leader): SIGCHLD for fork, 0 for none.
    pub exit_signal: i32,
    /// Depth of the process's pid namespace; 0 is the initial one.
    pub level: u32,
    /// Real user id in the initial user namespace; `u32::MAX` if unreadable.
    pub uid: u32,
    /// Id of the process's cgroup: the v2 one, or on a v1 host that of the `pids` controller; 0 if unreadable.
    pub cgroup_id: u64,
    /// Pid numbers from the initial namespace inwards; unused levels are zero. If `level >= NS_LEVELS` the first entry
    /// is the outermost and the others are the innermost (version 0.1: the three outermost and the innermost).
    pub ns: [NsPid; NS_LEVELS],
    /// Name of the leader.
    pub comm: Comm,
    /// Name of the parent.
    pub parent_comm: Comm,
}
