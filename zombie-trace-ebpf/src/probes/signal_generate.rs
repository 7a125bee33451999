//! `signal_generate`: `(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)`
//! (`kernel/signal.c`, `__send_signal_locked`).
//!
//! `info` may be a special value instead of a pointer: 0 `SEND_SIG_NOINFO`, 1 `SEND_SIG_PRIV`, 2 before 4.20. So it is
//! read as a number on all kernels; for the verifier it is a pointer that is not null up to 6.13, and a number since.

use zombie_trace_ebpf::abi::{ChildSignalEvent, EventKind, Handler, SignalEvent, child_flags, signal_flags as flag};

use crate::kernel::{
    arguments::{Arguments, tracepoint_with_tasks},
    emit::{emit, header},
    follow,
    memory::read_untyped,
    settings::tells_ends,
    task::{PidStruct, SIGNAL_GROUP_EXIT, SIGNAL_UNKILLABLE, Task},
};

const SIGHUP: u32 = 1;
const SIGINT: u32 = 2;
const SIGQUIT: u32 = 3;
const SIGKILL: u32 = 9;
const SIGTERM: u32 = 15;
const SIGCHLD: u32 = 17;
const SIGCONT: u32 = 18;
const SIGSTOP: u32 = 19;
const SIGTSTP: u32 = 20;
const SIGTTIN: u32 = 21;
const SIGTTOU: u32 = 22;
const SIGURG: u32 = 23;
const SIGWINCH: u32 = 28;

const SI_USER: i32 = 0;
const SI_QUEUE: i32 = -1;
const SI_TKILL: i32 = -6;
const SI_KERNEL: i32 = 0x80;
/// `CLD_EXITED`, `CLD_KILLED`, `CLD_DUMPED`; 4 to 6 are trapped, stopped and continued.
const CLD_DEATHS: core::ops::RangeInclusive<i32> = 1..=3;

/// Offsets in `struct kernel_siginfo`, part of the user ABI (`siginfo_t`) on every 64-bit architecture.
const SI_CODE: u32 = 8;
const SI_PID: u32 = 16;

/// `result`: the signal was delivered.
const DELIVERED: u32 = 0;

struct Generated {
    signal: u32,
    info: u64,
    code: i32,
    target: Task,
    group: bool,
    result: u32,
}

tracepoint_with_tasks!("signal_generate": signal_generate, signal_generate_typed => on_generation);

#[inline(always)]
fn on_generation(arguments: Arguments) {
    let info = arguments.address(1);
    let code = match info {
        0 => SI_USER,
        1 | 2 => SI_KERNEL,
        _ => read_untyped(info, SI_CODE),
    };
    on_signal(&Generated {
        signal: arguments.number(0),
        info,
        code,
        target: arguments.task(2),
        group: arguments.number(3) != 0,
        result: arguments.number(4),
    });
}

#[inline(always)]
fn on_signal(generated: &Generated) {
    if generated.info > 2 && CLD_DEATHS.contains(&generated.code) {
        let current = Task::current();
        // Other signals use codes 1 to 3 for faults; as a child's death they come only from a dying child.
        if generated.signal == SIGCHLD
            || (current.is_exiting() && current.leader().exit_signal() == generated.signal as i32)
        {
            on_child_death(generated, current);
            return;
        }
    }
    match generated.signal {
        // Never a drop, and Go's preemption sends thousands of SIGURG.
        SIGCHLD | SIGURG => {}
        _ => on_other(generated),
    }
}

#[inline(always)]
fn on_child_death(generated: &Generated, current: Task) {
    let target = generated.target;
    let target_leader = target.leader();
    let target_pid = target_leader.pid_struct();
    let target_level = target_pid.level();
    let child_nr = read_untyped::<u32>(generated.info, SI_PID);
    let current_exiting = current.is_exiting();
    let child_is_current =
        current_exiting && child_nr != 0 && current.leader().pid_struct().nr(target_level) == child_nr;
    if !follow::wants_death(current, child_is_current, target) {
        return;
    }
    let target_key = target.key();
    let current_key = current.key();
    let disposition = target.disposition(generated.signal);

    let mut flags = 0;
    let mut set = |bit: u32, condition: bool| {
        if condition {
            flags |= bit;
        }
    };
    set(child_flags::BLOCKED, target.blocks(generated.signal));
    set(child_flags::TARGET_INIT, target_pid.is_init());
    set(child_flags::TARGET_SUBREAPER, target.signal().is_subreaper());
    set(child_flags::TARGET_EXITING, target.is_exiting());
    set(child_flags::CURRENT_EXITING, current_exiting);
    set(child_flags::CHILD_IS_CURRENT, child_is_current);
    set(child_flags::HANDLER_UNREADABLE, matches!(disposition.handler, Handler::Unknown));
    set(child_flags::NOCLDWAIT, disposition.nocldwait);

    let own = target_pid.innermost();
    emit(ChildSignalEvent {
        header: header::<ChildSignalEvent>(EventKind::ChildSignal),
        current: current_key,
        target: target_key,
        child_nr,
        target_ns: own.inum,
        target_level,
        target_nr: own.nr,
        signal: generated.signal,
        code: generated.code,
        result: generated.result,
        flags,
        handler: disposition.handler as u32,
        reserved: 0,
        target_comm: target_leader.comm(),
        target_uid: target_leader.uid(),
        reserved2: 0,
    });
}

#[inline(always)]
fn on_other(generated: &Generated) {
    let target = generated.target;
    let leader = target.leader();
    let target_pid = leader.pid_struct();
    let is_init = target_pid.is_init();
    let asks_to_end = matches!(generated.signal, SIGHUP | SIGINT | SIGQUIT | SIGKILL | SIGTERM);
    let matters = is_init || asks_to_end || tells_ends() && ends(generated, target);
    if !matters {
        return;
    }
    let current = Task::current();
    let from_kernel = is_from_kernel(generated, current);
    let sender_exiting = current.is_exiting();
    let is_forced = generated.info == 1 && generated.signal == SIGKILL;
    if sender_exiting && is_forced && current.leader().pid_struct().is_init() {
        // A dying init kills every thread of its namespace (`zap_pid_ns_processes`). The deaths tell it all. Others
        // that exit kill what they trace (`PTRACE_O_EXITKILL`).
        return;
    }
    if !follow::wanted(target) {
        return;
    }
    let target_key = target.key();
    let blocked = target.blocks(generated.signal);
    let handler = target.disposition(generated.signal).handler;
    if from_kernel && generated.result == DELIVERED && !blocked && matches!(handler, Handler::Function) {
        // A timer that an init handles, such as a profiler's: uninteresting, and possibly thousands per second.
        return;
    }

    let group_state = target.signal();
    let group_flags = group_state.flags();
    let target_level = target_pid.level();
    let sender_leader = current.leader();
    let sender_pid = sender_leader.pid_struct();

    let mut flags = 0;
    let mut set = |bit: u32, condition: bool| {
        if condition {
            flags |= bit;
        }
    };
    set(flag::BLOCKED, blocked);
    set(flag::TARGET_INIT, is_init);
    set(flag::UNKILLABLE, group_flags & SIGNAL_UNKILLABLE != 0);
    set(flag::TARGET_EXITING, group_flags & SIGNAL_GROUP_EXIT != 0 || group_state.live() == 0 || target.is_exiting());
    set(flag::TARGET_PTRACED, target.is_traced());
    set(flag::GROUP, generated.group);
    set(flag::SENDER_INSIDE, is_inside(sender_pid, target_pid, target_level));
    set(flag::FROM_KERNEL, from_kernel);
    set(flag::SENDER_EXITING, sender_exiting);
    set(flag::TARGET_SUBREAPER, group_state.is_subreaper());

    let target_ns = target_pid.innermost();
    let sender_ns = sender_pid.innermost();
    emit(SignalEvent {
        header: header::<SignalEvent>(EventKind::Signal),
        target: target_key,
        sender: current.key(),
        target_comm: leader.comm(),
        sender_comm: current.comm(),
        signal: generated.signal,
        code: generated.code,
        result: generated.result,
        flags,
        handler: handler as u32,
        target_nr: target_ns.nr,
        target_ns: target_ns.inum,
        target_level,
        sender_nr: sender_ns.nr,
        sender_ns: sender_ns.inum,
        sender_uid: current.uid(),
        reserved: 0,
        cgroup_id: leader.cgroup_id(),
        reserved2: 0,
    });
}

/// Whether the process ends by this signal.
#[inline(always)]
fn ends(generated: &Generated, target: Task) -> bool {
    let handler = target.disposition(generated.signal).handler;
    let goes_on = matches!(generated.signal, SIGCONT | SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU | SIGWINCH);
    !goes_on && matches!(handler, Handler::Default | Handler::Unknown)
}

/// Whether `current` is not the sender.
///
/// Positive codes are the kernel's own. `rt_sigqueueinfo` and `pidfd_send_signal` let a process choose any negative one
/// except `SI_TKILL`, with the siginfo on the stack of the call. The kernel's own siginfo with such codes is elsewhere:
/// a timer's in the timer (`posix_timer_event`), a USB request's on the stack of an interrupt (`kill_pid_usb_asyncio`);
/// a message queue's (`__do_notify`) is on the stack of the process that sent the message, which is the sender.
#[inline(always)]
fn is_from_kernel(generated: &Generated, current: Task) -> bool {
    if matches!(generated.code, SI_USER | SI_QUEUE | SI_TKILL) {
        return false;
    }
    generated.code > 0 || current.is_kernel_thread() || !current.has_on_stack(generated.info)
}

/// Whether the sender has a number in the target's pid namespace.
#[inline(always)]
fn is_inside(sender: PidStruct, target: PidStruct, target_level: u32) -> bool {
    sender.level() >= target_level && sender.namespace(target_level) == target.namespace(target_level)
}
