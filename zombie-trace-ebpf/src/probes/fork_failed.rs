//! Forks that the kernel refuses: tracepoints `syscalls:sys_exit_{clone,clone3,fork,vfork}`, whose return value is in
//! the 8-byte slot at offset 16, after the number of the call (`kernel/trace/trace_syscalls.c`). One program serves them
//! all. arm64 has no `fork` and no `vfork`.
//!
//! EAGAIN is a limit on pids (`pids.max`, RLIMIT_NPROC, `pid_max`, `threads-max`); ENOMEM is memory, or a pid namespace
//! whose init is gone. Other errors are the caller's own mistakes.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, programs::TracePointContext};
use zombie_trace_ebpf::abi::{ABSENT, EventKind, ForkFailedEvent, FullPidNsEvent, MAX_LEVEL, RESERVED_PIDS, fork_call};

use crate::kernel::{
    emit::{emit, header, now},
    follow,
    maps::{FORK_FAILURES, ForkFailures},
    role::{Activity, Role, syscall_tracepoint},
    settings::offset,
    task::{PidStruct, Task},
};

const EAGAIN: i64 = -11;
const ENOMEM: i64 = -12;

/// Minimum time between events of a process that fails repeatedly, ns.
const PAUSE_NS: u64 = 100_000_000;

/// The slots of the number of the call and of the return value.
const NUMBER: usize = 8;
const RESULT: usize = 16;

/// Numbers of calls on this architecture: `arch/x86/entry/syscalls/syscall_64.tbl`, `scripts/syscall.tbl`.
const CLONE3: u32 = 435;
#[cfg(bpf_target_arch = "x86_64")]
const FORK: u32 = 57;
#[cfg(bpf_target_arch = "x86_64")]
const VFORK: u32 = 58;

syscall_tracepoint!("sys_exit_clone": exit_fork, exit_fork_again, exit_fork_once_more => finish);

/// Reports a fork that the kernel refused.
#[inline(always)]
fn finish(ctx: &TracePointContext, role: Role) {
    // SAFETY: the offset is inside the record of every syscall tracepoint used here.
    let result = unsafe { ctx.read_at::<i64>(RESULT) }.unwrap_or(0);
    // The result differs each time a thread forks another child.
    if role.claim(Activity::Fork, result as u32) && (result == EAGAIN || result == ENOMEM) {
        // SAFETY: as above.
        let number = unsafe { ctx.read_at::<u32>(NUMBER) }.unwrap_or(0);
        refused(result, call(number));
    }
}

#[inline(always)]
fn call(number: u32) -> u32 {
    match number {
        CLONE3 => fork_call::CLONE3,
        #[cfg(bpf_target_arch = "x86_64")]
        FORK => fork_call::FORK,
        #[cfg(bpf_target_arch = "x86_64")]
        VFORK => fork_call::VFORK,
        _ => fork_call::CLONE,
    }
}

#[inline(always)]
fn refused(error: i64, call: u32) {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let current = Task::current();
    if !follow::wanted(current) {
        return;
    }
    let now = now();
    let mut failures = 1;
    if let Some(known) = FORK_FAILURES.get_ptr_mut(tgid) {
        // SAFETY: a live map value. Threads of one process may race; a count may then be short by a few.
        let known = unsafe { &mut *known };
        known.unsent += 1;
        if now - known.last_ns < PAUSE_NS {
            return;
        }
        failures = known.unsent;
        known.unsent = 0;
        known.last_ns = now;
    } else {
        // Cannot be full: the least recently used makes room.
        let _ = FORK_FAILURES.insert(tgid, ForkFailures { last_ns: now, unsent: 0, reserved: 0 }, 0);
    }
    let leader = current.leader();
    let pid = leader.pid_struct();
    if error == EAGAIN {
        tell_full_namespace(current, pid);
    }
    emit(ForkFailedEvent {
        header: header::<ForkFailedEvent>(EventKind::ForkFailed),
        process: current.key(),
        error: error as i32,
        call,
        failures,
        uid: current.uid(),
        cgroup_id: leader.cgroup_id(),
        comm: leader.comm(),
        ns: pid.innermost(),
        level: pid.level(),
        reserved: 0,
    });
}

/// Reports the innermost pid namespace that had almost no number left: the kernel takes one in each, from the innermost
/// outwards.
#[inline(always)]
fn tell_full_namespace(current: Task, pid: PidStruct) {
    if offset!(pid_namespace_max) == ABSENT {
        return;
    }
    let mut level = pid.level();
    for _ in 0..=MAX_LEVEL {
        let (pid_max, used) = pid.pid_max(level);
        if pid_max != 0 && used.saturating_add(RESERVED_PIDS) >= pid_max {
            emit(FullPidNsEvent {
                header: header::<FullPidNsEvent>(EventKind::FullPidNs),
                process: current.key(),
                inum: pid.at(level).inum,
                level,
                used,
                pid_max,
            });
            return;
        }
        if level == 0 {
            return;
        }
        level -= 1;
    }
}
