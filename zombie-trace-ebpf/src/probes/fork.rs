//! `sched_process_fork`: `(struct task_struct *parent, struct task_struct *child)` (`kernel/fork.c`, `kernel_clone`).
//! Argument 0 is the caller, which under `CLONE_PARENT` is not the real parent.
//!
//! If raw tracepoints can be preempted, `sched_wakeup_new` `(struct task_struct *p)` replaces it: the same caller
//! passes it moments later (`kernel/sched/core.c`, `wake_up_new_task`), holding a run queue lock, so without
//! preemption, and before the child runs.

use zombie_trace_ebpf::abi::{EventKind, ForkEvent};

use crate::kernel::{
    arguments::{Arguments, tracepoint_with_tasks},
    emit::{emit, header},
    follow,
    task::Task,
};

tracepoint_with_tasks!("sched_process_fork": sched_process_fork, sched_process_fork_typed => at_fork);
tracepoint_with_tasks!("sched_wakeup_new": sched_wakeup_new, sched_wakeup_new_typed => at_wakeup);

#[inline(always)]
fn at_fork(arguments: Arguments) {
    on_fork(arguments.task(1));
}

#[inline(always)]
fn at_wakeup(arguments: Arguments) {
    on_fork(arguments.task(0));
}

#[inline(always)]
fn on_fork(child: Task) {
    let forker = Task::current();
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
