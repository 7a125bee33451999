//! One file per hook.
//!
//! A program that is preempted is left out for every other task of that processor until it is done: the kernel takes it
//! for a recursion, and counts a miss. That can happen in two places, and userspace then attaches other programs.
//!
//! - Since Linux 7.0 at raw tracepoints (`include/linux/tracepoint.h`, `__DECLARE_TRACE`; `kernel/trace/bpf_trace.c`,
//!   `__bpf_trace_run`). A hook that a task passes with preemption enabled therefore has a second program, at a place
//!   that is not preempted: the same tracepoint by its record, for whose programs the kernel disables preemption
//!   (`include/trace/perf.h`), or another tracepoint that is passed with a lock held. Signals need none: they are
//!   generated and delivered with `siglock` held, and tasks are freed from RCU's callbacks.
//! - Since Linux 7.2 at system calls (`kernel/trace/bpf_trace.c`, `trace_call_bpf_faultable`), and nothing near them
//!   tells the same. There each has a second program, `…_again`, at the same place, that runs after the first and does
//!   its work if it was left out. That both are is rare.

mod exec;
mod exit;
mod fork;
mod fork_failed;
mod free;
mod release;
mod signal_deliver;
mod signal_generate;
mod wait;
