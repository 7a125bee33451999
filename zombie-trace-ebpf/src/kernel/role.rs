//! Roles of several programs at one place: a backup does what those before it missed (see [`crate::probes`]); and the
//! macros that make them, so that a hook's file shows its prototype and work only once.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use zombie_trace_ebpf::abi::Counter;

use super::{
    emit::count,
    maps::{CLAIM_BITS, CLAIMED},
    settings::syscalls_have_backup,
};

/// The role of a program at one place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// There is no other.
    Only,
    /// Does the work, and claims it.
    Primary,
    /// Does the work if it was not claimed, and claims it.
    Backup,
    /// Does the work if it was not claimed; the last program.
    LastBackup,
}

/// What a thread is doing, one of each at a time.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Activity {
    Exit,
    Exec,
    Wait,
    Fork,
    WaitEnd,
}

impl Role {
    /// The role of the first program at a system call, which has a backup only on some kernels.
    #[inline(always)]
    pub(crate) fn first_at_syscall() -> Self {
        if syscalls_have_backup() { Self::Primary } else { Self::Only }
    }

    /// Whether others come before it.
    #[inline(always)]
    pub(crate) fn is_backup(self) -> bool {
        matches!(self, Self::Backup | Self::LastBackup)
    }

    /// Returns whether this program should do the work. Call it exactly once, before anything else: it records the
    /// claim, so that a missed run without an event is not a loss. `tag` distinguishes what the thread does now from
    /// its last activity, whose claim is still there if the last backup was missed.
    #[inline(always)]
    pub(crate) fn claim(self, activity: Activity, tag: u32) -> bool {
        if let Self::Only = self {
            return true;
        }
        let thread = bpf_get_current_pid_tgid() as u32;
        let place = (activity as u32) << CLAIM_BITS | thread & ((1 << CLAIM_BITS) - 1);
        let claim = u64::from(tag) << 32 | u64::from(thread);
        let Some(claimed) = CLAIMED.get_ptr_mut(place) else { return true };
        // SAFETY: a live map value.
        let claimed = unsafe { &mut *claimed };
        let is_done = match self {
            Self::Only | Self::Primary => false,
            // A claim that a backup has already seen is an old one.
            Self::Backup => *claimed == claim,
            Self::LastBackup => *claimed & !SEEN == claim,
        };
        *claimed = match self {
            Self::Only | Self::Primary => claim,
            Self::Backup => claim | SEEN,
            Self::LastBackup => 0,
        };
        if !is_done && self.is_backup() {
            // Only further misses are lost.
            count(Counter::Recovered);
        }
        !is_done
    }
}

/// Marks a claim that a backup has seen: no thread's id has this bit (`PID_MAX_LIMIT`, `include/linux/threads.h`).
const SEEN: u64 = 1 << 31;

/// The programs at a tracepoint of the scheduler: `$raw` if it cannot be preempted; otherwise `$record`, by the
/// tracepoint's record, for whose programs the kernel disables preemption, and `$backup`, again raw. `$run` gets what
/// `$from_raw` makes of the arguments or `$from_record` of the record, and the program's role.
macro_rules! scheduler_tracepoint {
    ($name:tt: $raw:ident, $record:ident, $backup:ident => $run:ident($from_raw:expr, $from_record:expr)) => {
        #[aya_ebpf::macros::raw_tracepoint(tracepoint = $name)]
        pub(crate) fn $raw(ctx: aya_ebpf::programs::RawTracePointContext) -> i32 {
            $run($from_raw(&ctx), $crate::kernel::role::Role::Only);
            0
        }

        #[aya_ebpf::macros::tracepoint(category = "sched", name = $name)]
        pub(crate) fn $record(ctx: aya_ebpf::programs::TracePointContext) -> u32 {
            $run($from_record(&ctx), $crate::kernel::role::Role::Primary);
            0
        }

        #[aya_ebpf::macros::raw_tracepoint(tracepoint = $name)]
        pub(crate) fn $backup(ctx: aya_ebpf::programs::RawTracePointContext) -> i32 {
            $run($from_raw(&ctx), $crate::kernel::role::Role::LastBackup);
            0
        }
    };
}
pub(crate) use scheduler_tracepoint;

/// The programs at a tracepoint of a system call: `$primary`, and backups if that may be missed. `$run` gets the
/// context and the program's role.
macro_rules! syscall_tracepoint {
    ($name:tt: $primary:ident, $backup:ident, $last:ident => $run:expr) => {
        #[aya_ebpf::macros::tracepoint(category = "syscalls", name = $name)]
        pub(crate) fn $primary(ctx: aya_ebpf::programs::TracePointContext) -> u32 {
            $run(&ctx, $crate::kernel::role::Role::first_at_syscall());
            0
        }

        #[aya_ebpf::macros::tracepoint(category = "syscalls", name = $name)]
        pub(crate) fn $backup(ctx: aya_ebpf::programs::TracePointContext) -> u32 {
            $run(&ctx, $crate::kernel::role::Role::Backup);
            0
        }

        #[aya_ebpf::macros::tracepoint(category = "syscalls", name = $name)]
        pub(crate) fn $last(ctx: aya_ebpf::programs::TracePointContext) -> u32 {
            $run(&ctx, $crate::kernel::role::Role::LastBackup);
            0
        }
    };
}
pub(crate) use syscall_tracepoint;
