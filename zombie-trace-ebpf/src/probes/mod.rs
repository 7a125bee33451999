//! One file per hook.
//!
//! While a program is preempted, the kernel skips it for every other task on that CPU: it takes this for recursion and
//! counts a miss. That can happen in two places, where userspace attaches other programs.
//!
//! - Since Linux 7.0 at raw tracepoints (`include/linux/tracepoint.h`, `__DECLARE_TRACE`; `kernel/trace/bpf_trace.c`,
//!   `__bpf_trace_run`). A hook that a task passes with preemption enabled is then probed without preemption: the same
//!   tracepoint by its record, for whose programs the kernel disables preemption (`include/trace/perf.h`), or another
//!   tracepoint that is passed with a lock held. This is not needed for signals, which are generated and delivered with
//!   `siglock` held, or for freed tasks, which come from RCU callbacks.
//! - Since Linux 7.2 at system calls (`kernel/trace/bpf_trace.c`, `trace_call_bpf_faultable`), and no nearby hook shows
//!   the same.
//!
//! Programs at records are also skipped while any access to a map is preempted on that CPU (`include/linux/bpf.h`,
//! `bpf_disable_instrumentation`). So if a program may be skipped, a backup, `…_again`, runs right after it and does
//! its work if necessary; at a record the backup is at the raw tracepoint, because the reasons for skipping differ.
//! Both are rarely skipped; at system calls, where both can be preempted, that takes three programs, so there is
//! another, `…_once_more`. [`crate::kernel::role`] makes them.

mod exec;
mod exit;
mod fork;
mod fork_failed;
mod free;
mod release;
mod signal_deliver;
mod signal_generate;
mod wait_begin;
mod wait_end;
