//! Every probe as data: where it hooks, whether it is required, what is lost without it.

/// Where a program attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A raw tracepoint. The kernel has it if its BTF has the typedef `btf_trace_<name>`.
    Raw(&'static str),
    /// A tracepoint by category and name. The kernel has it if tracefs lists it.
    Classic(&'static str, &'static str),
    /// The entry of a function of the kernel. The kernel has it if its BTF lists the function, and may refuse all such
    /// programs.
    Fentry(&'static str),
}

impl Hook {
    /// The name that people know the hook by.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Raw(name) => format!("raw_tracepoint/{name}"),
            Self::Classic(category, name) => format!("tracepoint/{category}/{name}"),
            Self::Fentry(function) => format!("fentry/{function}"),
        }
    }
}

/// Whether one can do without a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing works without it.
    Required,
    /// What is lost without it.
    Optional(&'static str),
    /// All answers are there without it; what it makes more exact. Many kernels refuse such a probe, so nobody is told but
    /// by `doctor`, and a person may do without.
    Extra(&'static str),
}

/// One probe.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Name of the program in the eBPF object.
    pub program: &'static str,
    /// Where it attaches.
    pub hook: Hook,
    /// Whether it is required.
    pub need: Need,
    /// What it tells.
    pub purpose: &'static str,
}

impl Probe {
    /// Whether it only makes answers more exact.
    #[must_use]
    pub const fn is_extra(&self) -> bool {
        matches!(self.need, Need::Extra(_))
    }
}

const fn raw(name: &'static str, need: Need, purpose: &'static str) -> Probe {
    Probe { program: name, hook: Hook::Raw(name), need, purpose }
}

const fn syscall(program: &'static str, name: &'static str, need: Need, purpose: &'static str) -> Probe {
    Probe { program, hook: Hook::Classic("syscalls", name), need, purpose }
}

const NO_FORK_FAILURES: &str = "forks that fail by this call, for want of pids, are not seen";

/// All probes, in the order in which they are attached: what ends a process before what begins one, so that nothing
/// is seen to begin whose end is then missed.
pub const PROBES: &[Probe] = &[
    raw("sched_process_free", Need::Required, "processes that are gone"),
    Probe {
        program: "release_task",
        hook: Hook::Fentry("release_task"),
        need: Need::Extra(
            "by whom and when is not exact for what 32-bit programs, io_uring and dying PID 1s reap: the times are upper \
             bounds",
        ),
        purpose: "reaps that no wait call shows",
    },
    syscall("exit_wait4", "sys_exit_wait4", Need::Required, "who reaped, and when"),
    syscall("exit_waitid", "sys_exit_waitid", Need::Required, "who reaped, and when"),
    syscall("enter_wait4", "sys_enter_wait4", Need::Required, "what wait calls select"),
    syscall("enter_waitid", "sys_enter_waitid", Need::Required, "what wait calls select"),
    raw(
        "sched_process_wait",
        Need::Optional("wait calls of 32-bit programs are not seen; their parents' causes stay unknown"),
        "wait calls by any path",
    ),
    raw("signal_generate", Need::Required, "when a zombie begins, and signals to each PID 1"),
    raw(
        "signal_deliver",
        Need::Optional("signals that PID 1 drops at delivery, and SIGCHLD handlers, are not seen"),
        "signals taken from the queue",
    ),
    raw("sched_process_exit", Need::Required, "processes that die"),
    raw(
        "sched_process_exec",
        Need::Optional("names of processes are those from before their exec"),
        "programs that are started",
    ),
    raw("sched_process_fork", Need::Required, "who forked whom, and descendants to follow"),
    syscall("exit_clone", "sys_exit_clone", Need::Optional(NO_FORK_FAILURES), "forks that fail"),
    syscall("exit_clone3", "sys_exit_clone3", Need::Optional(NO_FORK_FAILURES), "forks that fail"),
    // Only old architectures have these two.
    #[cfg(target_arch = "x86_64")]
    syscall("exit_fork", "sys_exit_fork", Need::Optional(NO_FORK_FAILURES), "forks that fail"),
    #[cfg(target_arch = "x86_64")]
    syscall("exit_vfork", "sys_exit_vfork", Need::Optional(NO_FORK_FAILURES), "forks that fail"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn programs_and_hooks_are_unique() {
        let programs: BTreeSet<_> = PROBES.iter().map(|probe| probe.program).collect();
        let hooks: BTreeSet<_> = PROBES.iter().map(|probe| probe.hook.name()).collect();
        assert_eq!((programs.len(), hooks.len()), (PROBES.len(), PROBES.len()));
    }
}
