//! `release_task`: `(struct task_struct *p)` (`kernel/exit.c`), by fentry, so optional. It runs in the reaping task at
//! the exact time of any reap: a wait call of any kind, an auto-reap, the end of a pid namespace.
//!
//! Reaps within a visible wait call are only noted with the call, whose return reports them: these are nearly all, and
//! cost no event. A leader that its own last thread releases never was a zombie.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::fentry, programs::FEntryContext};
use zombie_trace_ebpf::abi::{EventKind, ReleaseEvent, release_flags as flag};

use crate::kernel::{
    emit::{emit, header},
    follow,
    maps::{REAPED, reaped_place},
    registers::Registers,
    task::Task,
};

#[fentry(function = "release_task")]
pub(crate) fn release_task(ctx: FEntryContext) -> i32 {
    let task = Task::at(ctx.arg::<u64>(0));
    let (tgid, tid) = (task.tgid(), task.pid());
    let both = bpf_get_current_pid_tgid();
    let (reaper, thread) = ((both >> 32) as u32, both as u32);
    // Plain threads, and the old leader after an exec by another thread (its tid is swapped), are not processes.
    if tgid != tid || tgid == reaper || !follow::wanted(task) {
        return 0;
    }
    let current = Task::current();
    let is_exiting = current.is_exiting();
    if !is_exiting && Registers::current().wait_syscall().is_some() {
        let nr = task.pid_struct().nr(current.leader().pid_struct().level());
        if let Some(reaped) = REAPED.get_ptr_mut(reaped_place(thread)) {
            // SAFETY: a live map value.
            unsafe { *reaped = u64::from(thread) << 32 | u64::from(nr) };
        }
        return 0;
    }
    let mut flags = 0;
    if is_exiting {
        flags |= flag::REAPER_EXITING;
    }
    if current.leader().pid_struct().is_init() {
        flags |= flag::REAPER_NS_INIT;
    }
    emit(ReleaseEvent {
        header: header::<ReleaseEvent>(EventKind::Release),
        process: task.key_of_leader(),
        reaper: current.key(),
        flags,
        reserved: 0,
    });
    0
}
