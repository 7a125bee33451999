//! `sched_process_exec`: `(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)` (`fs/exec.c`,
//! `exec_binprm`).

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use zombie_trace_ebpf::abi::{EventKind, ExecEvent};

use crate::kernel::{
    emit::{emit, header},
    follow,
    maps::WAIT_STATS,
    task::Task,
};

#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub(crate) fn sched_process_exec(ctx: RawTracePointContext) -> i32 {
    let task = Task::at(ctx.arg::<u64>(0));
    let tgid = task.tgid();
    // How the former program waited says nothing of the new one.
    let _ = WAIT_STATS.remove(tgid);
    if !follow::wanted(tgid) {
        return 0;
    }
    emit(ExecEvent {
        header: header::<ExecEvent>(EventKind::Exec),
        process: task.key(),
        old_tid: ctx.arg::<u64>(1) as u32,
        uid: task.uid(),
        cgroup_id: task.cgroup_id(),
        comm: task.comm(),
        reserved: 0,
    });
    0
}
