//! `sched_process_exec`: `(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)` (`fs/exec.c`,
//! `exec_binprm`), or by its record if raw tracepoints can be preempted (see [`super`]).

use aya_ebpf::programs::{RawTracePointContext, TracePointContext};
use zombie_trace_ebpf::abi::{EventKind, ExecEvent, Handler, exec_flags};

use crate::kernel::{
    emit::{emit, header},
    follow,
    role::{Activity, Role, scheduler_tracepoint},
    task::Task,
    wait_stats,
};

const SIGCHLD: u32 = 17;

/// Offset of `old_pid` in the record, after the location of the file's name and `pid` (`include/trace/events/sched.h`).
const OLD_PID: usize = 16;

scheduler_tracepoint! {
    "sched_process_exec": sched_process_exec, sched_process_exec_unpreempted, sched_process_exec_again
        => on_exec(from_arguments, from_record)
}

/// The process, and the calling thread.
type Exec = (Task, u32);

#[inline(always)]
fn from_arguments(ctx: &RawTracePointContext) -> Exec {
    (Task::current(), ctx.arg::<u64>(1) as u32)
}

#[inline(always)]
fn from_record(ctx: &TracePointContext) -> Exec {
    // SAFETY: the offset is inside the record.
    (Task::current(), unsafe { ctx.read_at::<u32>(OLD_PID) }.unwrap_or(0))
}

#[inline(always)]
fn on_exec((task, old_tid): Exec, role: Role) {
    if !role.claim(Activity::Exec, 0) {
        return;
    }
    let tgid = task.tgid();
    // How the former program waited says nothing about the new one.
    wait_stats::forget(tgid);
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
        flags: inherited(task),
        reserved: 0,
    });
}

/// The new program's SIGCHLD settings from the old one.
#[inline(always)]
fn inherited(task: Task) -> u32 {
    let disposition = task.disposition(SIGCHLD).handler;
    if disposition == Handler::Unknown {
        return 0;
    }
    let mut flags = exec_flags::KNOWN;
    if disposition == Handler::Ignore {
        flags |= exec_flags::SIGCHLD_IGNORED;
    }
    if task.blocks(SIGCHLD) {
        flags |= exec_flags::SIGCHLD_BLOCKED;
    }
    flags
}
