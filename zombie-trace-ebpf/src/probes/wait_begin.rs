//! Every path into `do_wait`: `sched_process_wait` `(struct pid *pid)` (`kernel/exit.c`, `do_wait`).
//!
//! The arguments of a native `wait4` or `waitid` are in the thread's registers. Those of 32-bit calls and of io_uring are
//! not known.

use aya_ebpf::{EbpfContext, helpers::bpf_get_current_pid_tgid};
use zombie_trace_ebpf::abi::WaitStats;

use crate::kernel::{
    emit::add,
    maps::waiting,
    registers::Registers,
    role::{Activity, Role, scheduler_tracepoint},
    task::Task,
    wait_stats::{self, WaitArguments},
};

scheduler_tracepoint! {
    "sched_process_wait": sched_process_wait, sched_process_wait_unpreempted, sched_process_wait_again
        => on_wait(itself, itself)
}

/// It has no arguments of interest; the context is for warnings.
#[inline(always)]
fn itself<C>(ctx: &C) -> &C {
    ctx
}

#[inline(always)]
fn on_wait(ctx: &impl EbpfContext, role: Role) {
    if !role.claim(Activity::Wait, 0) {
        return;
    }
    // A dying init waits in the kernel for its namespace to end, which is not a wait call of the process.
    if Task::current().is_exiting() {
        return;
    }
    let both = bpf_get_current_pid_tgid();
    let (tgid, tid) = ((both >> 32) as u32, both as u32);
    let Some(stats) = wait_stats::of_current(ctx, tgid) else { return };
    wait_stats::note_call(stats);
    let registers = Registers::current();
    let Some(call) = registers.wait_syscall() else { return };
    let arguments = WaitArguments::of(call, registers);
    wait_stats::note_arguments(stats, &arguments);
    if !arguments.returns_at_once()
        && let Some(waiting) = waiting(tid)
    {
        // SAFETY: live map values; the byte is the running thread's alone, for the counts see `wait_stats::note_call`.
        unsafe {
            *waiting = 1;
            add(&raw mut (*stats).begun, 1);
        }
    }
}

/// The thread is gone: if it died in a call, that will not return.
#[inline(always)]
pub(super) fn forget_thread(tgid: u32, tid: u32) {
    if Registers::current().wait_syscall().is_some()
        && let Some(stats) = wait_stats::known(tgid)
    {
        note_end(stats, tid);
    }
}

/// A call is over that may have blocked.
#[inline(always)]
pub(super) fn note_end(stats: *mut WaitStats, tid: u32) {
    let Some(waiting) = waiting(tid) else { return };
    // SAFETY: live map values; the byte is the running thread's alone, for the counts see `wait_stats::note_call`.
    unsafe {
        // Not of one that began before tracing.
        if core::ptr::replace(waiting, 0) != 0 {
            add(&raw mut (*stats).ended, 1);
        }
    }
}
