//! Wait calls: those that reap as events, those that yield nothing as counters.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, TaskKey};

/// What a wait call selects, as a number in [`WaitEvent::selector`] and [`WaitStats`].
pub mod selector {
    /// Unknown: the call began before tracing, or came by a path without arguments (32-bit, io_uring).
    pub const UNKNOWN: u32 = 0;
    /// Any child: `waitpid(-1)`, `P_ALL`.
    pub const ANY: u32 = 1;
    /// One process: `waitpid(pid)`, `P_PID`.
    pub const PID: u32 = 2;
    /// A process group: `waitpid(-pgid)`, `waitpid(0)` (id 0), `P_PGID`.
    pub const PGID: u32 = 3;
    /// A process by descriptor: `P_PIDFD`.
    pub const PIDFD: u32 = 4;
}

/// Bits of [`WaitEvent::flags`].
pub mod wait_flags {
    /// The call was `waitid`; else `wait4`.
    pub const WAITID: u32 = 1 << 0;
    /// `options` and `selector` are known.
    pub const ARGS_KNOWN: u32 = 1 << 1;
    /// `status` is known: the caller passed a place for it and it could be read.
    pub const STATUS_KNOWN: u32 = 1 << 2;
    /// The caller is the init of its pid namespace.
    pub const NS_INIT: u32 = 1 << 3;
    /// The call was seen to reap the child (`release_task`).
    pub const REAPED: u32 = 1 << 4;
}

/// Return of `wait4` or `waitid` that named a child, or failed for one (`kernel/exit.c`). 64 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct WaitEvent {
    /// Kind [`EventKind::Wait`](super::EventKind::Wait).
    pub header: Header,
    /// The caller; `tid` is the thread.
    pub reaper: TaskKey,
    /// The child that the call returned, in the caller's pid namespace; 0 if none was named.
    pub child_nr: u32,
    /// 0 for success, else the negative errno (`-EFAULT` may follow a successful reap).
    pub error: i32,
    /// See [`selector`].
    pub selector: u32,
    /// What was selected: a pid, process group or descriptor number, in the caller's namespace.
    pub id: u32,
    /// The call's options (`WNOHANG`, `WNOWAIT`, `__WALL`, …).
    pub options: u32,
    /// `wait4`: the status word; `waitid`: `si_code`.
    pub status: u32,
    /// See [`wait_flags`].
    pub flags: u32,
    /// Inode number of the caller's pid namespace.
    pub ns: u32,
}

/// Number of specific selectors that [`WaitStats`] remembers.
pub const RECENT_SELECTORS: usize = 8;

/// How a process waits, kept in the map `WAIT_STATS` by tgid. Several threads may write at once: counts are added
/// atomically, so that sums agree; times are those of the last writer. 152 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct WaitStats {
    /// The process the entry is about (pid reuse resets it).
    pub start_ns: u64,
    /// Calls begun, by any thread and any path into `do_wait`.
    pub calls: u64,
    /// Calls that named a child.
    pub successes: u64,
    /// `WNOHANG` calls that found nothing to report.
    pub empty: u64,
    /// Calls that failed with ECHILD.
    pub no_child: u64,
    /// Calls for any child ([`selector::ANY`]).
    pub any_calls: u64,
    /// Calls for a process group.
    pub pgid_calls: u64,
    /// Calls for one process, by pid or descriptor.
    pub pid_calls: u64,
    /// Calls that began and may block, noted in the map `WAITING`.
    pub begun: u64,
    /// Those of them that returned, or whose thread is gone; the difference is in progress.
    pub ended: u64,
    /// Selectors that were written to `recent`.
    pub recent_count: u64,
    /// When the first call began, ns of the boot clock.
    pub first_call_ns: u64,
    /// When the last call began.
    pub last_call_ns: u64,
    /// When the last call for any child began; 0 if never.
    pub last_any_ns: u64,
    /// The last specific selectors, as the caller gave them: pids (positive) or process groups (negative); a ring.
    /// [`NO_SELECTOR`] in unwritten places, which may be among the first `recent_count` if two threads took one place.
    pub recent: [i32; RECENT_SELECTORS],
    /// All options ever passed, or-ed.
    pub options_seen: u32,
    /// The id in the last call for one process that failed with ECHILD.
    pub last_no_child_id: u32,
}

/// An unwritten place of [`WaitStats::recent`]; no process group has this number.
pub const NO_SELECTOR: i32 = i32::MIN;
