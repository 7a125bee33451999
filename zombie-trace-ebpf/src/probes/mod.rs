//! One file per hook.
//!
//! Since Linux 7.0 a program at a raw tracepoint can be preempted, and meanwhile the kernel leaves out all its runs for
//! other tasks of that processor (`kernel/trace/bpf_trace.c`, `__bpf_trace_run`; `include/linux/tracepoint.h`). A hook
//! that a task passes with preemption enabled therefore has a second program, at a place that is not preempted: the same
//! tracepoint by its record, for whose programs the kernel disables preemption (`include/trace/perf.h`), or another
//! tracepoint that is passed with a lock held. Userspace attaches one of the two. Signals need no second program: they
//! are generated and delivered with `siglock` held, and tasks are freed from RCU's callbacks.

mod exec;
mod exit;
mod fork;
mod fork_failed;
mod free;
mod signal_deliver;
mod signal_generate;
mod wait;
