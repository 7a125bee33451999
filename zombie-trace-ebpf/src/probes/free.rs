//! `sched_process_free`: `(struct task_struct *p)` (`kernel/exit.c`, `delayed_put_task_struct`), after an RCU grace
//! period. `current` is arbitrary, and only the task's own fields are still valid.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use zombie_trace_ebpf::abi::{EventKind, FreeEvent, TaskKey};

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
    if tgid != tid || !follow::wanted(tgid) {
        return 0;
    }
    follow::forget(tgid);
    emit(FreeEvent {
        header: header::<FreeEvent>(EventKind::Free),
        process: TaskKey { start_ns: task.start_boottime(), tgid, tid },
    });
    0
}
