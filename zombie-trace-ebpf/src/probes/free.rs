//! `sched_process_free`: `(struct task_struct *p)` (`kernel/exit.c`, `delayed_put_task_struct`), after an RCU grace
//! period. `current` is arbitrary, and only the task's own fields are still valid.

use zombie_trace_ebpf::abi::{EventKind, FreeEvent};

use crate::kernel::{
    arguments::{Arguments, tracepoint_with_tasks},
    emit::{emit, header},
    follow,
};

tracepoint_with_tasks!("sched_process_free": sched_process_free, sched_process_free_typed => on_free);

#[inline(always)]
fn on_free(arguments: Arguments) {
    let task = arguments.task(0);
    let (tgid, tid) = (task.tgid(), task.pid());
    // Plain threads, and the old leader after an exec by another thread (its tid is swapped), are not processes.
    if tgid != tid || !follow::forget(task) {
        return;
    }
    emit(FreeEvent { header: header::<FreeEvent>(EventKind::Free), process: task.key_of_leader() });
}
