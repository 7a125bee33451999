//! `wait4` and `waitid`: the arguments at the entry, the outcome at the return, and every path into `do_wait`.
//!
//! Tracepoints `syscalls:sys_{enter,exit}_{wait4,waitid}`, whose arguments are in 8-byte slots from offset 16
//! (`kernel/trace/trace_syscalls.c`). 32-bit calls and io_uring bypass them and are seen only by `sched_process_wait`
//! `(struct pid *pid)` (`kernel/exit.c`, `do_wait`), as a call without arguments.

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    programs::{RawTracePointContext, TracePointContext},
};
use aya_log_ebpf::warn;
use zombie_trace_ebpf::abi::{
    Counter, EventKind, NO_SELECTOR, RECENT_SELECTORS, WaitEvent, WaitStats, selector, wait_flags,
};

use crate::kernel::{
    emit::{add, count, emit, header, is_first_warning, now},
    follow,
    maps::{WAIT_STATS, WAITING, WaitArgs},
    memory::read_user,
    role::{Activity, Role, count_recovered, scheduler_tracepoint, syscall_tracepoint},
    task::Task,
};

const BPF_NOEXIST: u64 = 1;
const WNOHANG: u32 = 1;
const P_ALL: u64 = 0;
const P_PID: u64 = 1;
const P_PGID: u64 = 2;
const P_PIDFD: u64 = 3;
const ECHILD: i64 = -10;
const EFAULT: i64 = -14;

/// `siginfo_t` on 64-bit.
const SI_CODE: u64 = 8;
const SI_PID: u64 = 16;

/// First slot of a syscall tracepoint's arguments, or of its return value.
const SLOT: usize = 16;

#[inline(always)]
fn slot(ctx: &TracePointContext, index: usize) -> u64 {
    // SAFETY: the offset is inside the record of every syscall tracepoint used here.
    unsafe { ctx.read_at::<u64>(SLOT + 8 * index) }.unwrap_or(0)
}

#[inline(always)]
fn ids() -> (u32, u32) {
    let both = bpf_get_current_pid_tgid();
    ((both >> 32) as u32, both as u32)
}

syscall_tracepoint!("sys_enter_wait4": enter_wait4, enter_wait4_again, enter_wait4_once_more => enter::<WAIT4>);
syscall_tracepoint!("sys_exit_wait4": exit_wait4, exit_wait4_again, exit_wait4_once_more => exit::<WAIT4>);
syscall_tracepoint!("sys_enter_waitid": enter_waitid, enter_waitid_again, enter_waitid_once_more => enter::<WAITID>);
syscall_tracepoint!("sys_exit_waitid": exit_waitid, exit_waitid_again, exit_waitid_once_more => exit::<WAITID>);
scheduler_tracepoint! {
    "sched_process_wait": sched_process_wait, sched_process_wait_unpreempted, sched_process_wait_again
        => on_wait(no_arguments, no_record)
}

/// Which call.
const WAIT4: bool = false;
const WAITID: bool = true;

/// A call enters `do_wait`. Its selector is known only from its entry, if at all.
struct Waits;

#[inline(always)]
fn no_arguments(_ctx: &RawTracePointContext) -> Waits {
    Waits
}

#[inline(always)]
fn no_record(_ctx: &TracePointContext) -> Waits {
    Waits
}

#[inline(always)]
fn enter<const IS_WAITID: bool>(ctx: &TracePointContext, role: Role) {
    if role.is_backup() && is_waiting() {
        return;
    }
    begin(ctx, role, move |ctx| if IS_WAITID { waitid_args(ctx) } else { wait4_args(ctx) });
}

#[inline(always)]
fn exit<const IS_WAITID: bool>(ctx: &TracePointContext, role: Role) {
    if role.is_backup() {
        if !is_waiting() {
            return;
        }
        count_recovered();
    }
    finish(slot(ctx, 0) as i64, IS_WAITID);
}

#[inline(always)]
fn wait4_args(ctx: &TracePointContext) -> WaitArgs {
    let (selector, id) = match slot(ctx, 0) as i32 {
        -1 => (selector::ANY, 0),
        0 => (selector::PGID, 0),
        group if group < -1 => (selector::PGID, group.unsigned_abs()),
        pid => (selector::PID, pid as u32),
    };
    WaitArgs { status_address: slot(ctx, 1), selector, id, options: slot(ctx, 2) as u32, ..WaitArgs::NONE }
}

#[inline(always)]
fn waitid_args(ctx: &TracePointContext) -> WaitArgs {
    let id = slot(ctx, 1) as u32;
    let (selector, id) = match slot(ctx, 0) {
        P_ALL => (selector::ANY, 0),
        P_PID => (selector::PID, id),
        P_PGID => (selector::PGID, id),
        P_PIDFD => (selector::PIDFD, id),
        _ => (selector::UNKNOWN, id),
    };
    WaitArgs { status_address: slot(ctx, 2), selector, id, options: slot(ctx, 3) as u32, ..WaitArgs::NONE }
}

/// Whether this thread is in a call whose entry was seen.
#[inline(always)]
fn is_waiting() -> bool {
    // SAFETY: the value is not kept.
    unsafe { WAITING.get(ids().1) }.is_some()
}

/// Every path into `do_wait`: a call with unknown arguments, unless its entry was seen.
#[inline(always)]
fn on_wait(_: Waits, role: Role) {
    if !role.claim(Activity::Wait, 0) || is_waiting() {
        return;
    }
    // A dying init waits in the kernel for its namespace to end, which is not a wait call of the process.
    if Task::current().is_exiting() {
        return;
    }
    if let Some(stats) = stats_of(ids().0) {
        note_call(stats);
    }
}

/// The thread is gone: if it was killed in a call, that will not return.
#[inline(always)]
pub(super) fn forget_thread(tgid: u32, tid: u32) {
    let Some(call) = WAITING.get_ptr(tid) else { return };
    // SAFETY: a live map value, of the running thread alone.
    let is_counted = unsafe { (*call).is_counted } != 0;
    let _ = WAITING.remove(tid);
    if is_counted && let Some(stats) = WAIT_STATS.get_ptr_mut(tgid) {
        // SAFETY: a live map value.
        unsafe { add(&raw mut (*stats).ended, 1) };
    }
}

#[inline(always)]
fn begin(ctx: &TracePointContext, role: Role, args: impl FnOnce(&TracePointContext) -> WaitArgs) {
    let (tgid, tid) = ids();
    // Before the arguments, because the verifier follows all code after them once per kind of selector.
    let stats = stats_of(tgid);
    let args = WaitArgs { is_counted: u32::from(stats.is_some()), ..args(ctx) };
    if WAITING.insert(tid, args, 0).is_err() {
        // The call itself is counted in `do_wait`, as one with unknown arguments. A backup runs after a primary that
        // found no room either, or was missed, and adds nothing.
        if !role.is_backup() {
            count(Counter::WaitingFull);
            if let Some(stats) = stats {
                // SAFETY: a live map value.
                unsafe { add(&raw mut (*stats).untracked_begun, 1) };
            }
        }
        return;
    }
    let Some(stats) = stats else {
        if is_first_warning() {
            warn!(ctx, "more processes wait than can be counted: how process {} and others wait is not known", tgid);
        }
        return;
    };
    note_call(stats);
    // SAFETY: a live map value. Other threads of the process may write at the same time: see `WaitStats`.
    unsafe {
        add(&raw mut (*stats).begun, 1);
        // Written only if new, so that a thread does not undo what another has just added.
        if (*stats).options_seen & args.options != args.options {
            (*stats).options_seen |= args.options;
        }
        match args.selector {
            selector::ANY => {
                add(&raw mut (*stats).any_calls, 1);
                (*stats).last_any_ns = (*stats).last_call_ns;
            }
            selector::PGID => {
                add(&raw mut (*stats).pgid_calls, 1);
                remember(stats, -(args.id as i32));
            }
            selector::PID => {
                add(&raw mut (*stats).pid_calls, 1);
                remember(stats, args.id as i32);
            }
            selector::PIDFD => add(&raw mut (*stats).pid_calls, 1),
            _ => {}
        }
    }
}

#[inline(always)]
fn note_call(stats: *mut WaitStats) {
    let now = now();
    // SAFETY: a live map value, see `begin`.
    unsafe {
        add(&raw mut (*stats).calls, 1);
        (*stats).last_call_ns = now;
        if (*stats).first_call_ns == 0 {
            (*stats).first_call_ns = now;
        }
    }
}

/// Keeps the last few different selectors. Two threads may take one place; the count then shows that a place was left
/// out.
///
/// # Safety
/// `stats` is a live map value.
#[inline(always)]
unsafe fn remember(stats: *mut WaitStats, selected: i32) {
    // SAFETY: as the caller says, see `begin`; the places are inside the array.
    unsafe {
        let count = (*stats).recent_count as usize;
        if count > 0 && (*stats).recent[(count - 1) % RECENT_SELECTORS] == selected {
            return;
        }
        (*stats).recent[count % RECENT_SELECTORS] = selected;
        add(&raw mut (*stats).recent_count, 1);
    }
}

#[inline(always)]
fn stats_of(tgid: u32) -> Option<*mut WaitStats> {
    if let Some(stats) = WAIT_STATS.get_ptr_mut(tgid) {
        return Some(stats);
    }
    let fresh = WaitStats {
        start_ns: Task::current().leader().start_boottime(),
        calls: 0,
        successes: 0,
        empty: 0,
        no_child: 0,
        any_calls: 0,
        pgid_calls: 0,
        pid_calls: 0,
        begun: 0,
        ended: 0,
        untracked_begun: 0,
        untracked_ended: 0,
        recent_count: 0,
        first_call_ns: 0,
        last_call_ns: 0,
        last_any_ns: 0,
        recent: [NO_SELECTOR; RECENT_SELECTORS],
        options_seen: 0,
        last_no_child_id: 0,
    };
    // Another thread's entry made meanwhile must not be overwritten.
    let _ = WAIT_STATS.insert(tgid, fresh, BPF_NOEXIST);
    let stats = WAIT_STATS.get_ptr_mut(tgid);
    if stats.is_none() {
        count(Counter::WaitStatsFull);
    }
    stats
}

/// A returning call: an event if it named a child or failed for one, otherwise a count.
#[inline(always)]
fn finish(result: i64, is_waitid: bool) {
    let (tgid, tid) = ids();
    // Plain values with a flag instead of options: the compiler may copy undefined bytes of a `None`, and verifiers
    // before 6.3 refuse to read stack that was never written.
    let mut args = WaitArgs::NONE;
    let mut known = false;
    // SAFETY: the value is copied.
    if let Some(found) = unsafe { WAITING.get(tid) } {
        args = *found;
        known = true;
    }
    let _ = WAITING.remove(tid);
    let stats = WAIT_STATS.get_ptr_mut(tgid);

    if result == ECHILD && args.selector == selector::PIDFD {
        // A descriptor's number is reused for the next child, so it is replaced by the child's pid.
        let nr = pidfd_nr(args.id);
        if nr != 0 {
            args.selector = selector::PID;
            args.id = nr;
        }
    }
    let mut child_nr = 0;
    let mut status = 0;
    let mut status_known = false;
    if result == EFAULT || result >= 0 {
        if is_waitid {
            if result == 0 && args.status_address != 0 {
                child_nr = read_user::<u32>(args.status_address + SI_PID);
                status = read_user::<u32>(args.status_address + SI_CODE);
                status_known = true;
            } else if args.options & WNOHANG == 0 {
                // Without a siginfo, or with an unwritable one, only a blocking call for one process is sure to have
                // found it.
                child_nr = match args.selector {
                    selector::PID => args.id,
                    selector::PIDFD => pidfd_nr(args.id),
                    _ => 0,
                };
            }
        } else if result > 0 {
            child_nr = result as u32;
            if args.status_address != 0 {
                status = read_user::<u32>(args.status_address);
                status_known = true;
            }
        } else if result == EFAULT && args.selector == selector::PID {
            child_nr = args.id;
        }
    }

    let mut should_emit = child_nr != 0 || result == EFAULT;
    if let Some(stats) = stats {
        // SAFETY: a live map value, see `begin`.
        unsafe {
            if known && args.is_counted != 0 {
                add(&raw mut (*stats).ended, 1);
            } else if !known && (*stats).untracked_begun > (*stats).untracked_ended {
                // Or one that began before tracing, at most once per thread.
                add(&raw mut (*stats).untracked_ended, 1);
            }
            if child_nr != 0 {
                add(&raw mut (*stats).successes, 1);
            } else if result == 0 {
                add(&raw mut (*stats).empty, 1);
            } else if result == ECHILD {
                add(&raw mut (*stats).no_child, 1);
                // A process that asks for one child repeatedly costs one event, not a million.
                if matches!(args.selector, selector::PID | selector::PIDFD) && (*stats).last_no_child_id != args.id {
                    (*stats).last_no_child_id = args.id;
                    should_emit = true;
                }
            }
        }
    }
    // Used only for the event: counts must not depend on an optional probe.
    if args.reaped_nr != 0 {
        child_nr = args.reaped_nr;
        should_emit = true;
    }
    let current = Task::current();
    if !should_emit || !follow::wants_wait(current, child_nr != 0) {
        return;
    }

    let ns = current.leader().pid_struct().innermost();
    let mut flags = 0;
    if is_waitid {
        flags |= wait_flags::WAITID;
    }
    if known {
        flags |= wait_flags::ARGS_KNOWN;
    }
    if status_known {
        flags |= wait_flags::STATUS_KNOWN;
    }
    if args.reaped_nr != 0 {
        flags |= wait_flags::REAPED;
    }
    if ns.nr == 1 {
        flags |= wait_flags::NS_INIT;
    }
    emit(WaitEvent {
        header: header::<WaitEvent>(EventKind::Wait),
        reaper: current.key(),
        child_nr,
        error: if result < 0 { result as i32 } else { 0 },
        selector: args.selector,
        id: args.id,
        options: args.options,
        status,
        flags,
        ns: ns.inum,
    });
}

/// The number, in the caller's namespace, of the process behind a pidfd of the caller; 0 if unknown.
#[inline(always)]
fn pidfd_nr(fd: u32) -> u32 {
    let current = Task::current();
    let own = current.leader().pid_struct();
    let level = own.level();
    current.pidfd(fd, own.namespace(level), level).nr(level)
}
