//! `signal_deliver`: `(int sig, struct kernel_siginfo *info, struct k_sigaction *ka)` (`kernel/signal.c`,
//! `get_signal`): `current` takes a signal from its queue.
//!
//! A signal at `SIG_DFL` in an init is dropped here if it was blocked or traced at generation. `signalfd` and
//! `sigtimedwait` do not come here, so no delivery does not mean dropped.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use zombie_trace_ebpf::abi::{DeliverEvent, EventKind, Handler, signal_flags as flag};

use crate::kernel::{
    emit::{emit, header},
    follow,
    memory::read_untyped,
    settings::offset,
    task::{SIGNAL_GROUP_EXIT, SIGNAL_UNKILLABLE, Task},
};

const SIGKILL: u32 = 9;
const SIGCHLD: u32 = 17;
const SIGCONT: u32 = 18;
const SIGSTOP: u32 = 19;
const SIGURG: u32 = 23;
const SIGWINCH: u32 = 28;
const SI_CODE: u32 = 8;

#[raw_tracepoint(tracepoint = "signal_deliver")]
pub(crate) fn signal_deliver(ctx: RawTracePointContext) -> i32 {
    let signal = ctx.arg::<u64>(0) as u32;
    match signal {
        // SIGKILL here marks a group's death; SIGSTOP only arrives from outside, and stops; the others are ignored by
        // default everywhere.
        SIGKILL | SIGSTOP | SIGCHLD | SIGCONT | SIGURG | SIGWINCH => {}
        _ => on_delivery(signal, ctx.arg::<u64>(1), ctx.arg::<u64>(2)),
    }
    0
}

#[inline(always)]
fn on_delivery(signal: u32, info: u64, action: u64) {
    // Zero is SIG_DFL, and would also be a failed read: `action` is on the kernel's stack or in its sighand.
    if action == 0 || read_untyped::<u64>(action, offset!(action_handler)) != 0 {
        return;
    }
    let current = Task::current();
    let group = current.signal();
    let group_flags = group.flags();
    // Synchronous faults clear SIGNAL_UNKILLABLE before they come here.
    if group_flags & SIGNAL_UNKILLABLE == 0 || group_flags & SIGNAL_GROUP_EXIT != 0 {
        return;
    }
    if !follow::wanted(current) {
        return;
    }
    let target = current.key();
    let traced = if current.is_traced() { flag::TARGET_PTRACED } else { 0 };
    emit(DeliverEvent {
        header: header::<DeliverEvent>(EventKind::Deliver),
        target,
        signal,
        code: if info > 2 { read_untyped(info, SI_CODE) } else { 0 },
        flags: flag::UNKILLABLE | flag::TARGET_INIT | traced,
        handler: Handler::Default as u32,
    });
}
