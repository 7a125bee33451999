//! `sched_process_exec`: `(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)` (`fs/exec.c`,
//! `exec_binprm`), or by its record where raw tracepoints can be preempted (see [`super`]).

use aya_ebpf::{
    macros::{raw_tracepoint, tracepoint},
    programs::{RawTracePointContext, TracePointContext},
};
use zombie_trace_ebpf::abi::{EventKind, ExecEvent};

use crate::kernel::{
    emit::{emit, header},
    follow,
    maps::WAIT_STATS,
    task::Task,
    turn::{Doing, Turn},
};

#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub(crate) fn sched_process_exec(ctx: RawTracePointContext) -> i32 {
    on_exec(Task::at(ctx.arg::<u64>(0)), ctx.arg::<u64>(1) as u32, Turn::Only);
    0
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub(crate) fn sched_process_exec_again(ctx: RawTracePointContext) -> i32 {
    on_exec(Task::at(ctx.arg::<u64>(0)), ctx.arg::<u64>(1) as u32, Turn::Again);
    0
}

/// Where the record has `old_pid`, after the place of the file's name and `pid` (`include/trace/events/sched.h`).
const OLD_PID: usize = 16;

#[tracepoint(category = "sched", name = "sched_process_exec")]
pub(crate) fn sched_process_exec_unpreempted(ctx: TracePointContext) -> u32 {
    // SAFETY: the offset is inside the record.
    let old_tid = unsafe { ctx.read_at::<u32>(OLD_PID) }.unwrap_or(0);
    on_exec(Task::current(), old_tid, Turn::First);
    0
}

#[inline(always)]
fn on_exec(task: Task, old_tid: u32, turn: Turn) {
    if !turn.is_mine(Doing::Exec, 0) {
        return;
    }
    let tgid = task.tgid();
    // How the former program waited says nothing of the new one.
    let _ = WAIT_STATS.remove(tgid);
    if !follow::wants_exec(task) {
        return;
    }
    emit(ExecEvent {
        header: header::<ExecEvent>(EventKind::Exec),
        process: task.key(),
        old_tid,
        uid: task.uid(),
        cgroup_id: task.cgroup_id(),
        comm: task.comm(),
        reserved: 0,
    });
}
