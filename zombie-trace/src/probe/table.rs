//! Every probe as data: where it hooks, whether it is required, what is lost without it.

use crate::kernel::differences::{Differences, Feature};

/// Where a program attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A raw tracepoint. The kernel has it if its BTF has the typedef `btf_trace_<name>`.
    Raw(&'static str),
    /// A tracepoint by category and name. The kernel has it if tracefs lists it.
    Classic(&'static str, &'static str),
}

impl Hook {
    /// The name that people know the hook by.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Raw(name) => format!("raw_tracepoint/{name}"),
            Self::Classic(category, name) => format!("tracepoint/{category}/{name}"),
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
}

/// One probe.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Name of the program in the eBPF object.
    pub program: &'static str,
    /// Where it attaches.
    pub hook: Hook,
    /// The program, and where it attaches, that takes its place where a program at `hook` can be preempted.
    pub unpreempted: Option<(&'static str, Hook)>,
    /// Whether it is required.
    pub need: Need,
    /// What it tells.
    pub purpose: &'static str,
}

impl Probe {
    /// The program for this kernel, and where it attaches.
    #[must_use]
    pub fn on(&self, kernel: Differences) -> (&'static str, Hook) {
        let preempted = kernel.has(Feature::TracepointsArePreempted);
        self.unpreempted.filter(|_| preempted).unwrap_or((self.program, self.hook))
    }

    const fn or(self, program: &'static str, hook: Hook) -> Self {
        Self { unpreempted: Some((program, hook)), ..self }
    }
}

const fn raw(name: &'static str, need: Need, purpose: &'static str) -> Probe {
    Probe { program: name, hook: Hook::Raw(name), unpreempted: None, need, purpose }
}

const fn syscall(program: &'static str, name: &'static str, need: Need, purpose: &'static str) -> Probe {
    Probe { program, hook: Hook::Classic("syscalls", name), unpreempted: None, need, purpose }
}

const NO_FORK_FAILURES: &str = "forks that fail by this call, for want of pids, are not seen";

/// All probes, in the order in which they are attached: what ends a process before what begins one, so that nothing
/// is seen to begin whose end is then missed.
pub const PROBES: &[Probe] = &[
    raw("sched_process_free", Need::Required, "processes that are gone"),
    syscall("exit_wait4", "sys_exit_wait4", Need::Required, "who reaped, and when"),
    syscall("exit_waitid", "sys_exit_waitid", Need::Required, "who reaped, and when"),
    syscall("enter_wait4", "sys_enter_wait4", Need::Required, "what wait calls select"),
    syscall("enter_waitid", "sys_enter_waitid", Need::Required, "what wait calls select"),
    raw(
        "sched_process_wait",
        Need::Optional("wait calls of 32-bit programs are not seen; their parents' causes stay unknown"),
        "wait calls by any path",
    )
    .or("sched_process_wait_unpreempted", Hook::Classic("sched", "sched_process_wait")),
    raw("signal_generate", Need::Required, "when a zombie begins, and signals to each PID 1"),
    raw(
        "signal_deliver",
        Need::Optional("signals that PID 1 drops at delivery, and SIGCHLD handlers, are not seen"),
        "signals taken from the queue",
    ),
    raw("sched_process_exit", Need::Required, "processes that die")
        .or("sched_process_exit_unpreempted", Hook::Classic("sched", "sched_process_exit")),
    raw(
        "sched_process_exec",
        Need::Optional("names of processes are those from before their exec"),
        "programs that are started",
    )
    .or("sched_process_exec_unpreempted", Hook::Classic("sched", "sched_process_exec")),
    raw("sched_process_fork", Need::Required, "who forked whom, and descendants to follow")
        .or("sched_wakeup_new", Hook::Raw("sched_wakeup_new")),
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
    use std::{collections::BTreeSet, iter};

    use super::*;

    #[test]
    fn programs_and_hooks_are_unique() {
        let all: Vec<_> =
            PROBES.iter().flat_map(|probe| iter::once((probe.program, probe.hook)).chain(probe.unpreempted)).collect();
        let programs: BTreeSet<_> = all.iter().map(|(program, _)| program).collect();
        let hooks: BTreeSet<_> = all.iter().map(|(_, hook)| hook.name()).collect();
        assert_eq!((programs.len(), hooks.len()), (all.len(), all.len()));
    }

    #[test]
    fn a_kernel_that_preempts_programs_gets_others() {
        let exit = PROBES.iter().find(|probe| probe.program == "sched_process_exit").unwrap();
        let kernel = |preempts| Differences::default().with(Feature::TracepointsArePreempted, preempts);
        assert_eq!(exit.on(kernel(false)), ("sched_process_exit", Hook::Raw("sched_process_exit")));
        let other = ("sched_process_exit_unpreempted", Hook::Classic("sched", "sched_process_exit"));
        assert_eq!(exit.on(kernel(true)), other);
        let free = PROBES.iter().find(|probe| probe.program == "sched_process_free").unwrap();
        assert_eq!(free.on(kernel(true)), free.on(kernel(false)));
    }
}
