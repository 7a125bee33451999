//! One file per hook.
//!
//! A program that is preempted is left out for every other task of that processor until it is done: the kernel takes it
//! for a recursion, and counts a miss. That can happen in two places, and userspace then attaches other programs.
//!
//! - Since Linux 7.0 at raw tracepoints (`include/linux/tracepoint.h`, `__DECLARE_TRACE`; `kernel/trace/bpf_trace.c`,
//!   `__bpf_trace_run`). A hook that a task passes with preemption enabled is then probed where nothing is preempted:
//!   the same tracepoint by its record, for whose programs the kernel disables preemption (`include/trace/perf.h`), or
//!   another tracepoint that is passed with a lock held. Signals need none of this: they are generated and delivered
//!   with `siglock` held, and tasks are freed from RCU's callbacks.
//! - Since Linux 7.2 at system calls (`kernel/trace/bpf_trace.c`, `trace_call_bpf_faultable`), and nothing near them
//!   tells the same.
//!
//! Programs at records are left out as well, while anybody's access to a map is preempted on that processor
//! (`include/linux/bpf.h`, `bpf_disable_instrumentation`). So where a program may be left out, a backup, `…_again`, runs
//! right after it and does its work if need be; at a record the backup is the raw tracepoint's, for what keeps the one from
//! running does not keep the other. That both are left out is rare; at system calls, where both can be
//! preempted, it is rare only for three, so there is another, `…_once_more`. [`crate::kernel::role`] makes them.

mod exec;
mod exit;
mod fork;
mod fork_failed;
mod free;
mod release;
mod signal_deliver;
mod signal_generate;
mod wait;
