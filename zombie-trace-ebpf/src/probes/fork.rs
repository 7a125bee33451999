//! `sched_process_fork`: `(struct task_struct *parent, struct task_struct *child)` (`kernel/fork.c`, `kernel_clone`).
//! Argument 0 is the caller, which under `CLONE_PARENT` is not the real parent.
//!
//! If raw tracepoints can be preempted, `sched_wakeup_new` `(struct task_struct *p)` replaces it: the same caller
//! passes it moments later (`kernel/sched/core.c`, `wake_up_new_task`), holding a run queue lock, so without
//! preemption, and before the child runs.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use zombie_trace_ebpf::abi::{EventKind, ForkEvent};

use crate::kernel::{
    emit::{emit, header},
    follow,
    task::Task,
};

#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub(crate) fn sched_process_fork(ctx: RawTracePointContext) -> i32 {
    on_fork(Task::at(ctx.arg::<u64>(0)), Task::at(ctx.arg::<u64>(1)));
    0
}

#[raw_tracepoint(tracepoint = "sched_wakeup_new")]
pub(crate) fn sched_wakeup_new(ctx: RawTracePointContext) -> i32 {
    on_fork(Task::current(), Task::at(ctx.arg::<u64>(0)));
    0
}

#[inline(always)]
fn on_fork(forker: Task, child: Task) {
    if child.pid() != child.tgid() || child.is_kernel_thread() || !follow::wants_fork(forker, child) {
        return;
    }
    let pid = child.pid_struct();
    emit(ForkEvent {
        header: header::<ForkEvent>(EventKind::Fork),
        forker: forker.key(),
        child: child.key(),
        parent_tgid: child.real_parent().tgid(),
        level: pid.level(),
        ns: pid.innermost(),
        cgroup_id: child.cgroup_id(),
        comm: child.comm(),
        uid: child.uid(),
        reserved: 0,
    });
}
