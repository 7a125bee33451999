//! `sched_process_exit`.
//!
//! Prototype: `(struct task_struct *p)`, since 6.16 `(struct task_struct *p, bool group_dead)` (`kernel/exit.c`,
//! `do_exit`), always for the running task. It fires for every thread; events are sent only when the group dies or its
//! leader dies early.

use aya_ebpf::{
    macros::{raw_tracepoint, tracepoint},
    programs::{RawTracePointContext, TracePointContext},
};
use zombie_trace_ebpf::abi::{EventKind, ExitEvent, Handler, TaskKey, exit_flags as flag};

use super::wait::forget_thread;
use crate::kernel::{
    emit::{emit, header},
    follow,
    maps::WAIT_STATS,
    settings::offset,
    task::{SIGNAL_GROUP_EXIT, Task},
    turn::{Doing, Turn},
};

const SIGCHLD: u32 = 17;

#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn sched_process_exit(ctx: RawTracePointContext) -> i32 {
    let task = Task::at(ctx.arg::<u64>(0));
    let group_dead =
        // A frozen constant: on kernels without the argument the verifier never sees it read.
        if offset!(exit_has_group_dead) == 1 { ctx.arg::<u64>(1) as u8 != 0 } else { task.signal().live() == 0 };
    on_exit(task, group_dead, Turn::Only);
    0
}

/// For where raw tracepoints can be preempted (see [`super`]).
#[tracepoint(category = "sched", name = "sched_process_exit")]
pub(crate) fn sched_process_exit_unpreempted(_ctx: TracePointContext) -> u32 {
    let task = Task::current();
    on_exit(task, task.signal().live() == 0, Turn::First);
    0
}

#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn sched_process_exit_again(_ctx: RawTracePointContext) -> i32 {
    let task = Task::current();
    on_exit(task, task.signal().live() == 0, Turn::Again);
    0
}

#[inline(always)]
fn on_exit(task: Task, group_dead: bool, turn: Turn) {
    if !turn.is_mine(Doing::Exit, 0) {
        return;
    }
    let (tgid, tid) = (task.tgid(), task.pid());
    forget_thread(tgid, tid);
    let is_leader = tgid == tid;
    if group_dead {
        let _ = WAIT_STATS.remove(tgid);
    }
    if !(group_dead || is_leader) || task.is_kernel_thread() || !follow::wanted(tgid) {
        return;
    }

    let leader = task.leader();
    let signal = task.signal();
    let parent = leader.real_parent();
    let parent_leader = parent.leader();
    let is_traced = leader.is_traced();
    let tracer = leader.parent().tgid();
    let pid = leader.pid_struct();
    let parent_pid = parent_leader.pid_struct();
    let group_exit = signal.flags() & SIGNAL_GROUP_EXIT != 0;

    let mut flags = 0;
    let mut set = |bit: u32, condition: bool| {
        if condition {
            flags |= bit;
        }
    };
    set(flag::GROUP_DEAD, group_dead);
    set(flag::LEADER, is_leader);
    set(flag::PTRACED, is_traced);
    set(flag::NS_INIT, pid.is_init());
    set(flag::SUBREAPER, signal.is_subreaper());
    set(flag::GROUP_EXIT, group_exit);
    set(flag::PARENT_NS_INIT, parent_pid.is_init());
    set(flag::PARENT_SUBREAPER, parent.signal().is_subreaper());
    let disposition = parent.disposition(SIGCHLD);
    set(flag::PARENT_IGNORES, matches!(disposition.handler, Handler::Ignore));
    set(flag::PARENT_NOCLDWAIT, disposition.nocldwait);
    set(flag::PARENT_UNREADABLE, matches!(disposition.handler, Handler::Unknown));

    emit(ExitEvent {
        header: header::<ExitEvent>(EventKind::Exit),
        process: TaskKey { start_ns: leader.start_boottime(), tgid, tid },
        parent: parent.key(),
        tracer: if is_traced { tracer } else { 0 },
        flags,
        exit_code: if group_exit { signal.group_exit_code() } else { leader.exit_code() },
        exit_signal: leader.exit_signal(),
        level: pid.level(),
        uid: leader.uid(),
        cgroup_id: leader.cgroup_id(),
        ns: pid.all(),
        comm: leader.comm(),
        parent_comm: parent_leader.comm(),
    });
}
