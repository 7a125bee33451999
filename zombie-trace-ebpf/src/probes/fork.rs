//! `sched_process_fork`: `(struct task_struct *parent, struct task_struct *child)` (`kernel/fork.c`, `kernel_clone`).
//! Argument 0 is the caller, which under `CLONE_PARENT` is not the real parent.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use zombie_trace_ebpf::abi::{EventKind, ForkEvent};

use crate::kernel::{
    emit::{emit, header},
    follow,
    task::Task,
};

#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub(crate) fn sched_process_fork(ctx: RawTracePointContext) -> i32 {
    let forker = Task::at(ctx.arg::<u64>(0));
    let child = Task::at(ctx.arg::<u64>(1));
    let tgid = child.tgid();
    if child.pid() != tgid || child.is_kernel_thread() {
        return 0;
    }
    follow::inherit(forker.tgid(), tgid);
    if !follow::wanted(tgid) {
        return 0;
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
    0
}
