//! The return of `wait4` and `waitid`: tracepoints `syscalls:sys_exit_{wait4,waitid}`, whose return value is in the
//! 8-byte slot at offset 16 (`kernel/trace/trace_syscalls.c`).

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, programs::TracePointContext};
use zombie_trace_ebpf::abi::{EventKind, WaitEvent, selector, wait_flags};

use super::wait_begin::note_end;
use crate::kernel::{
    emit::{add, emit, header},
    follow,
    maps::{REAPED, reaped_place},
    memory::read_user,
    registers::{Registers, WaitSyscall},
    role::{Activity, Role, syscall_tracepoint},
    task::Task,
    wait_stats::{self, WaitArguments},
};

const ESRCH: i64 = -3;
const EBADF: i64 = -9;
const ECHILD: i64 = -10;
const EFAULT: i64 = -14;
const EINVAL: i64 = -22;

/// `siginfo_t` on 64-bit.
const SI_CODE: u64 = 8;
const SI_PID: u64 = 16;

/// The slot of the return value.
const RESULT: usize = 16;

/// Which call.
const WAIT4: bool = false;
const WAITID: bool = true;

syscall_tracepoint!("sys_exit_wait4": exit_wait4, exit_wait4_again, exit_wait4_once_more => on_return::<WAIT4>);
syscall_tracepoint!("sys_exit_waitid": exit_waitid, exit_waitid_again, exit_waitid_once_more => on_return::<WAITID>);

/// A returning call: an event if it named a child or failed for one, otherwise a count.
#[inline(always)]
fn on_return<const IS_WAITID: bool>(ctx: &TracePointContext, role: Role) {
    // SAFETY: the offset is inside the record of every syscall tracepoint used here.
    let result = unsafe { ctx.read_at::<i64>(RESULT) }.unwrap_or(0);
    if !role.claim(Activity::WaitEnd, result as u32) {
        return;
    }
    let both = bpf_get_current_pid_tgid();
    let (tgid, tid) = ((both >> 32) as u32, both as u32);
    let stats = if fails_at_once(result) { wait_stats::of_current(ctx, tgid) } else { wait_stats::known(tgid) };
    let registers = Registers::current();
    let call = if IS_WAITID { WaitSyscall::Waitid } else { WaitSyscall::Wait4 };
    let known = registers.wait_syscall() == Some(call);
    let mut args = if known { WaitArguments::of(call, registers) } else { WaitArguments::NONE };
    if let Some(stats) = stats {
        if fails_at_once(result) {
            wait_stats::note_call(stats);
            if known {
                wait_stats::note_arguments(stats, &args);
            }
        } else if !args.returns_at_once() {
            note_end(stats, tid);
        }
    }

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
        if IS_WAITID {
            if result == 0 && args.status_address != 0 {
                child_nr = read_user::<u32>(args.status_address + SI_PID);
                status = read_user::<u32>(args.status_address + SI_CODE);
                status_known = true;
            } else if !args.returns_at_once() {
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
        // SAFETY: a live map value, see `wait_stats::note_call`.
        unsafe {
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
    let reaped_nr = take_reaped(tid);
    // Used only for the event: counts must not depend on an optional probe.
    if reaped_nr != 0 {
        child_nr = reaped_nr;
        should_emit = true;
    }
    let current = Task::current();
    if !should_emit || !follow::wants_wait(current, child_nr != 0) {
        return;
    }

    let ns = current.leader().pid_struct().innermost();
    let mut flags = 0;
    if IS_WAITID {
        flags |= wait_flags::WAITID;
    }
    if known {
        flags |= wait_flags::ARGS_KNOWN;
    }
    if status_known {
        flags |= wait_flags::STATUS_KNOWN;
    }
    if reaped_nr != 0 {
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

/// Whether a call with this result failed before `do_wait`, and so was not seen to begin.
#[inline(always)]
fn fails_at_once(result: i64) -> bool {
    matches!(result, EINVAL | ESRCH | EBADF)
}

/// The child that this thread was seen to reap, in the caller's pid namespace; 0 for none, or without the optional probe.
#[inline(always)]
fn take_reaped(tid: u32) -> u32 {
    let Some(reaped) = REAPED.get_ptr_mut(reaped_place(tid)) else { return 0 };
    // SAFETY: a live map value.
    let reaped = unsafe { &mut *reaped };
    if (*reaped >> 32) as u32 != tid {
        return 0;
    }
    core::mem::replace(reaped, 0) as u32
}

/// The number, in the caller's namespace, of the process behind a pidfd of the caller; 0 if unknown.
#[inline(always)]
fn pidfd_nr(fd: u32) -> u32 {
    let current = Task::current();
    let own = current.leader().pid_struct();
    let level = own.level();
    current.pidfd(fd, own.namespace(level), level).nr(level)
}
