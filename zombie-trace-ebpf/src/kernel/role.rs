//! Work that several programs at one place share: a backup does what those before it were left out for (see
//! [`crate::probes`]), and the macros that make them, so that a hook's file shows its prototype and its work once.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use zombie_trace_ebpf::abi::Counter;

use super::{
    emit::count,
    maps::{CLAIM_BITS, CLAIMED},
    settings::syscalls_have_backup,
};

/// Which of the programs at one place this is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// There is no other.
    Only,
    /// Does the work, and claims it.
    Primary,
    /// Does the work if it was not claimed, and claims it.
    Backup,
    /// Does the work if it was not claimed; no other comes after it.
    LastBackup,
}

/// What a thread is doing; it does one of each at a time.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Activity {
    Exit,
    Exec,
    Wait,
    Fork,
}

impl Role {
    /// The role of the first program at a system call, which has a backup on some kernels only.
    #[inline(always)]
    pub(crate) fn first_at_syscall() -> Self {
        if syscalls_have_backup() { Self::Primary } else { Self::Only }
    }

    /// Whether others come before it.
    #[inline(always)]
    pub(crate) fn is_backup(self) -> bool {
        matches!(self, Self::Backup | Self::LastBackup)
    }

    /// Returns whether this program should do the work. Call it exactly once, before anything else: it records the claim,
    /// and what the primary need not tell is no loss when it is left out. `tag` tells what the thread does now from what
    /// it did last: when the last backup was left out then, the claim is still there.
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
            // One that a backup has seen already is from before.
            Self::Backup => *claimed == claim,
            Self::LastBackup => *claimed & !SEEN == claim,
        };
        *claimed = match self {
            Self::Only | Self::Primary => claim,
            Self::Backup => claim | SEEN,
            Self::LastBackup => 0,
        };
        if !is_done && self.is_backup() {
            count_recovered();
        }
        !is_done
    }
}

/// Marks a claim that a backup has seen: no thread's id has this bit (`PID_MAX_LIMIT`, `include/linux/threads.h`).
const SEEN: u64 = 1 << 31;

/// A backup does what the primary was left out for: only what the kernel counts beyond that is lost.
#[inline(always)]
pub(crate) fn count_recovered() {
    count(Counter::Recovered);
}

/// The programs at a tracepoint of the scheduler: `$raw` where nothing preempts it; elsewhere `$record`, by the
/// tracepoint's record, for whose programs the kernel disables preemption, and `$backup`, raw again. `$run` gets what
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

/// The programs at a tracepoint of a system call: `$primary`, and backups where that may be left out. `$run` gets the
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
