//! `sched_process_free`: `(struct task_struct *p)` (`kernel/exit.c`, `delayed_put_task_struct`), after an RCU grace
//! period. `current` is arbitrary, and only the task's own fields are still valid.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use zombie_trace_ebpf::abi::{EventKind, FreeEvent};

use crate::kernel::{
    emit::{emit, header},
    follow,
    task::Task,
};

#[raw_tracepoint(tracepoint = "sched_process_free")]
pub(crate) fn sched_process_free(ctx: RawTracePointContext) -> i32 {
    let task = Task::at(ctx.arg::<u64>(0));
    let (tgid, tid) = (task.tgid(), task.pid());
    // Plain threads, and the old leader after an exec by another thread (its tid is swapped), are not processes.
    if tgid != tid || !follow::forget(task) {
        return 0;
    }
    emit(FreeEvent { header: header::<FreeEvent>(EventKind::Free), process: task.key_of_leader() });
    0
}
