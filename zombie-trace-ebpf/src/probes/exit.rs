//! `sched_process_exit`.
//!
//! Prototype: `(struct task_struct *p)`, since 6.16 `(struct task_struct *p, bool group_dead)` (`kernel/exit.c`,
//! `do_exit`), always for the running task. It fires for every thread; events are sent only when the group dies or its
//! leader dies early.

use aya_ebpf::programs::{RawTracePointContext, TracePointContext};
use zombie_trace_ebpf::abi::{EventKind, ExitEvent, Handler, MemoryLimitEvent, exit_flags as flag};

use super::wait_begin::forget_thread;
use crate::kernel::{
    emit::{emit, header},
    follow,
    maps::TOLD_DEATHS,
    memory_cgroup::MemoryLimit,
    role::{Activity, Role, scheduler_tracepoint},
    settings::offset,
    task::{SIGNAL_GROUP_EXIT, Task},
    wait_stats,
};

const SIGCHLD: u32 = 17;
const BPF_NOEXIST: u64 = 1;
const EEXIST: i32 = -17;

scheduler_tracepoint! {
    "sched_process_exit": sched_process_exit, sched_process_exit_unpreempted, sched_process_exit_again
        => on_exit(from_arguments, from_record)
}

#[inline(always)]
fn from_arguments(ctx: &RawTracePointContext) -> Group {
    // A frozen constant: on kernels without the argument the verifier never sees it read.
    if offset!(exit_has_group_dead) == 1 {
        if ctx.arg::<u64>(1) as u8 != 0 { Group::Dead } else { Group::Alive }
    } else {
        Group::as_seen()
    }
}

#[inline(always)]
fn from_record(_ctx: &TracePointContext) -> Group {
    Group::as_seen()
}

/// What is left of an exiting thread's group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Another thread lives.
    Alive,
    /// No other thread lives, and this one is the last.
    Dead,
    /// No other thread lives, but another exiting one may be the last.
    DeadAsSeenByMany,
}

impl Group {
    /// What is left, if the kernel does not say.
    #[inline(always)]
    fn as_seen() -> Self {
        if Task::current().signal().live() == 0 { Self::DeadAsSeenByMany } else { Self::Alive }
    }
}

#[inline(always)]
fn on_exit(group: Group, role: Role) {
    if !role.claim(Activity::Exit, 0) {
        return;
    }
    let task = Task::current();
    let (tgid, tid) = (task.tgid(), task.pid());
    forget_thread(tgid, tid);
    let is_leader = tgid == tid;
    let group_dead = group != Group::Alive;
    if group_dead {
        wait_stats::forget(tgid);
    }
    if !(group_dead || is_leader) || task.is_kernel_thread() {
        return;
    }
    let leader = task.leader();
    if !follow::wants_exit(leader) || (group == Group::DeadAsSeenByMany && was_told(leader)) {
        return;
    }

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
    set(flag::AUTOREAP, signal.reaps_itself());
    let is_oom_victim = signal.is_oom_victim();
    set(flag::OOM_VICTIM, is_oom_victim == Some(true));
    set(flag::OOM_KNOWN, is_oom_victim.is_some());
    set(flag::PARENT_NS_INIT, parent_pid.is_init());
    set(flag::PARENT_SUBREAPER, parent.signal().is_subreaper());
    let disposition = parent.disposition(SIGCHLD);
    set(flag::PARENT_IGNORES, matches!(disposition.handler, Handler::Ignore) && !parent.is_kernel_thread());
    set(flag::PARENT_NOCLDWAIT, disposition.nocldwait);
    set(flag::PARENT_UNREADABLE, matches!(disposition.handler, Handler::Unknown));

    if group_dead && is_oom_victim == Some(true) {
        tell_memory_limit(task, leader);
    }
    emit(ExitEvent {
        header: header::<ExitEvent>(EventKind::Exit),
        process: task.key(),
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

#[inline(always)]
fn tell_memory_limit(task: Task, leader: Task) {
    if let Some(limit) = MemoryLimit::of(leader) {
        emit(MemoryLimitEvent {
            header: header::<MemoryLimitEvent>(EventKind::MemoryLimit),
            process: task.key(),
            bytes: limit.bytes,
            levels_above: limit.levels_above,
            reserved: 0,
        });
    }
}

/// Whether another thread has reported the group's death.
#[inline(always)]
fn was_told(leader: Task) -> bool {
    TOLD_DEATHS.insert(leader.key_of_leader(), 0, BPF_NOEXIST) == Err(EEXIST)
}
