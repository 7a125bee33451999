//! How processes wait: the entries of [`WAIT_STATS`], and the arguments of a call.

use aya_ebpf::EbpfContext;
use aya_log_ebpf::warn;
use zombie_trace_ebpf::abi::{Counter, NO_SELECTOR, RECENT_SELECTORS, WaitStats, selector};

use super::{
    emit::{add, count, is_first_warning, now},
    maps::WAIT_STATS,
    registers::{Registers, WaitSyscall},
    task::Task,
};

const BPF_NOEXIST: u64 = 1;
const WNOHANG: u32 = 1;
const P_ALL: u64 = 0;
const P_PID: u64 = 1;
const P_PGID: u64 = 2;
const P_PIDFD: u64 = 3;

/// Arguments of a wait call.
#[derive(Clone, Copy)]
pub(crate) struct WaitArguments {
    /// User address of the status word (`wait4`) or of the siginfo (`waitid`); 0 if not wanted.
    pub(crate) status_address: u64,
    pub(crate) selector: u32,
    pub(crate) id: u32,
    pub(crate) options: u32,
}

impl WaitArguments {
    /// Those that are not known.
    pub(crate) const NONE: Self = Self { status_address: 0, selector: selector::UNKNOWN, id: 0, options: 0 };

    /// Those of the call that the running thread is in.
    #[inline(always)]
    pub(crate) fn of(call: WaitSyscall, registers: Registers) -> Self {
        match call {
            WaitSyscall::Wait4 => {
                let (selector, id) = match registers.argument(0) as i32 {
                    -1 => (selector::ANY, 0),
                    0 => (selector::PGID, 0),
                    group if group < -1 => (selector::PGID, group.unsigned_abs()),
                    pid => (selector::PID, pid as u32),
                };
                let (status_address, options) = (registers.argument(1), registers.argument(2) as u32);
                Self { status_address, selector, id, options }
            }
            WaitSyscall::Waitid => {
                let id = registers.argument(1) as u32;
                let (selector, id) = match registers.argument(0) {
                    P_ALL => (selector::ANY, 0),
                    P_PID => (selector::PID, id),
                    P_PGID => (selector::PGID, id),
                    P_PIDFD => (selector::PIDFD, id),
                    _ => (selector::UNKNOWN, id),
                };
                let (status_address, options) = (registers.argument(2), registers.argument(3) as u32);
                Self { status_address, selector, id, options }
            }
        }
    }

    /// Whether the call returns at once, even if it has nothing to report.
    #[inline(always)]
    pub(crate) fn returns_at_once(&self) -> bool {
        self.options & WNOHANG != 0
    }
}

/// The entry of a process, if it has one.
#[inline(always)]
pub(crate) fn known(tgid: u32) -> Option<*mut WaitStats> {
    WAIT_STATS.get_ptr_mut(tgid)
}

/// The entry of the running process, made if it has none. `None` if the map is full, which is counted.
#[inline(always)]
pub(crate) fn of_current(ctx: &impl EbpfContext, tgid: u32) -> Option<*mut WaitStats> {
    if let Some(stats) = known(tgid) {
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
    let stats = known(tgid);
    if stats.is_none() {
        count(Counter::WaitStatsFull);
        if is_first_warning() {
            warn!(ctx, "more processes wait than can be counted: how process {} and others wait is not known", tgid);
        }
    }
    stats
}

/// How the process waited says nothing about what comes: it has ended, or is another program now.
#[inline(always)]
pub(crate) fn forget(tgid: u32) {
    // Most processes never wait, and to look takes no lock.
    if known(tgid).is_some() {
        let _ = WAIT_STATS.remove(tgid);
    }
}

/// A call begins.
#[inline(always)]
pub(crate) fn note_call(stats: *mut WaitStats) {
    let now = now();
    // SAFETY: a live map value. Other threads of the process may write at the same time: see `WaitStats`.
    unsafe {
        add(&raw mut (*stats).calls, 1);
        (*stats).last_call_ns = now;
        if (*stats).first_call_ns == 0 {
            (*stats).first_call_ns = now;
        }
    }
}

/// A call with these arguments begins; it is noted already.
#[inline(always)]
pub(crate) fn note_arguments(stats: *mut WaitStats, arguments: &WaitArguments) {
    // SAFETY: a live map value, see `note_call`.
    unsafe {
        // Written only if new, so that a thread does not undo what another has just added.
        if (*stats).options_seen & arguments.options != arguments.options {
            (*stats).options_seen |= arguments.options;
        }
        match arguments.selector {
            selector::ANY => {
                add(&raw mut (*stats).any_calls, 1);
                (*stats).last_any_ns = (*stats).last_call_ns;
            }
            selector::PGID => {
                add(&raw mut (*stats).pgid_calls, 1);
                remember(stats, -(arguments.id as i32));
            }
            selector::PID => {
                add(&raw mut (*stats).pid_calls, 1);
                remember(stats, arguments.id as i32);
            }
            selector::PIDFD => add(&raw mut (*stats).pid_calls, 1),
            _ => {}
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
    // SAFETY: as the caller says, see `note_call`; the places are inside the array.
    unsafe {
        let count = (*stats).recent_count as usize;
        if count > 0 && (*stats).recent[(count - 1) % RECENT_SELECTORS] == selected {
            return;
        }
        (*stats).recent[count % RECENT_SELECTORS] = selected;
        add(&raw mut (*stats).recent_count, 1);
    }
}
