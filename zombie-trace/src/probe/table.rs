//! Every probe as data: where it hooks, whether it is required, what is lost without it.

use std::iter;

use crate::kernel::differences::{Differences, Feature};

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
    /// What is done where a program at `hook` can be preempted, and is then left out for others.
    pub preempted: Preempted,
    /// Whether others tell, if less exactly, what it is left out for: that is no loss.
    pub is_backed: bool,
    /// Whether it is required.
    pub need: Need,
    /// What it tells.
    pub purpose: &'static str,
}

/// What is done about a program that can be preempted.
#[derive(Clone, Copy, Debug)]
pub enum Preempted {
    /// Nothing: the hook is passed with a lock held, or from an interrupt, or what is left out is told all the same.
    Never,
    /// This program takes its place here, where nothing is preempted.
    Elsewhere(&'static str, Hook),
    /// As before; and another one at the old hook, which may be, does its work if it was left out.
    ElsewhereAndAgain([&'static str; 2], Hook),
    /// This program comes after it at the same hook, and does its work if it was left out.
    Again(&'static str),
}

/// What a probe consists of on one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Programs {
    /// Where the first one attaches.
    pub hook: Hook,
    /// The program that does the work.
    pub first: &'static str,
    /// The one that does it if the first was left out, and where it attaches.
    pub again: Option<(&'static str, Hook)>,
}

impl Probe {
    /// What it consists of on this kernel.
    #[must_use]
    pub fn on(&self, kernel: Differences) -> Programs {
        let usual = Programs { hook: self.hook, first: self.program, again: None };
        match self.preempted {
            Preempted::Elsewhere(first, hook) if kernel.has(Feature::TracepointsArePreempted) => {
                Programs { hook, first, again: None }
            }
            Preempted::ElsewhereAndAgain([first, again], hook) if kernel.has(Feature::TracepointsArePreempted) => {
                Programs { hook, first, again: Some((again, self.hook)) }
            }
            Preempted::Again(again) if kernel.has(Feature::SyscallsArePreempted) => {
                Programs { again: Some((again, self.hook)), ..usual }
            }
            _ => usual,
        }
    }

    /// Whether it only makes answers more exact.
    #[must_use]
    pub const fn is_extra(&self) -> bool {
        matches!(self.need, Need::Extra(_))
    }

    const fn or(self, preempted: Preempted) -> Self {
        Self { preempted, ..self }
    }

    const fn backed(self) -> Self {
        Self { is_backed: true, ..self }
    }
}

impl Programs {
    /// Their names and where they attach, in the order in which they do so and run.
    pub fn all(self) -> impl Iterator<Item = (&'static str, Hook)> {
        iter::once((self.first, self.hook)).chain(self.again)
    }
}

const fn raw(name: &'static str, need: Need, purpose: &'static str) -> Probe {
    Probe { program: name, hook: Hook::Raw(name), preempted: Preempted::Never, is_backed: false, need, purpose }
}

/// The scheduler's tracepoint of this name by its record, and the raw one again.
const fn by_record(programs: [&'static str; 2], name: &'static str) -> Preempted {
    Preempted::ElsewhereAndAgain(programs, Hook::Classic("sched", name))
}

/// A probe of a system call; `programs` are the first and the one that comes again.
const fn syscall(programs: [&'static str; 2], name: &'static str, need: Need, purpose: &'static str) -> Probe {
    let [program, again] = programs;
    Probe {
        program,
        hook: Hook::Classic("syscalls", name),
        preempted: Preempted::Again(again),
        is_backed: false,
        need,
        purpose,
    }
}

const NO_FORK_FAILURES: &str = "forks that fail by this call, for want of pids, are not seen";

/// All probes, in the order in which they are attached: what ends a process before what begins one, so that nothing
/// is seen to begin whose end is then missed.
pub const PROBES: &[Probe] = &[
    raw("sched_process_free", Need::Required, "processes that are gone"),
    Probe {
        program: "release_task",
        hook: Hook::Fentry("release_task"),
        preempted: Preempted::Never,
        is_backed: true,
        need: Need::Extra(
            "by whom and when is not exact for what 32-bit programs, io_uring and dying PID 1s reap: the times are upper \
             bounds",
        ),
        purpose: "reaps that no wait call shows",
    },
    syscall(["exit_wait4", "exit_wait4_again"], "sys_exit_wait4", Need::Required, "who reaped, and when"),
    syscall(["exit_waitid", "exit_waitid_again"], "sys_exit_waitid", Need::Required, "who reaped, and when"),
    // A call that they miss is counted by `sched_process_wait`.
    syscall(["enter_wait4", "enter_wait4_again"], "sys_enter_wait4", Need::Required, "what wait calls select").backed(),
    syscall(["enter_waitid", "enter_waitid_again"], "sys_enter_waitid", Need::Required, "what wait calls select")
        .backed(),
    raw(
        "sched_process_wait",
        Need::Optional("wait calls of 32-bit programs are not seen; their parents' causes stay unknown"),
        "wait calls by any path",
    )
    .or(by_record(["sched_process_wait_unpreempted", "sched_process_wait_again"], "sched_process_wait")),
    raw("signal_generate", Need::Required, "when a zombie begins, and signals to each PID 1"),
    raw(
        "signal_deliver",
        Need::Optional("signals that PID 1 drops at delivery, and SIGCHLD handlers, are not seen"),
        "signals taken from the queue",
    ),
    raw("sched_process_exit", Need::Required, "processes that die")
        .or(by_record(["sched_process_exit_unpreempted", "sched_process_exit_again"], "sched_process_exit")),
    raw(
        "sched_process_exec",
        Need::Optional("names of processes are those from before their exec"),
        "programs that are started",
    )
    .or(by_record(["sched_process_exec_unpreempted", "sched_process_exec_again"], "sched_process_exec")),
    raw("sched_process_fork", Need::Required, "who forked whom, and descendants to follow")
        .or(Preempted::Elsewhere("sched_wakeup_new", Hook::Raw("sched_wakeup_new"))),
    syscall(["exit_clone", "exit_clone_again"], "sys_exit_clone", Need::Optional(NO_FORK_FAILURES), "forks that fail"),
    syscall(
        ["exit_clone3", "exit_clone3_again"],
        "sys_exit_clone3",
        Need::Optional(NO_FORK_FAILURES),
        "forks that fail",
    ),
    // Only old architectures have these two.
    #[cfg(target_arch = "x86_64")]
    syscall(["exit_fork", "exit_fork_again"], "sys_exit_fork", Need::Optional(NO_FORK_FAILURES), "forks that fail"),
    #[cfg(target_arch = "x86_64")]
    syscall(["exit_vfork", "exit_vfork_again"], "sys_exit_vfork", Need::Optional(NO_FORK_FAILURES), "forks that fail"),
];

/// The tracepoints that tracing needs and tracefs has to list, as category and name.
#[must_use]
pub fn required_tracepoints() -> Vec<(&'static str, &'static str)> {
    let needed = PROBES.iter().filter(|probe| matches!(probe.need, Need::Required));
    needed
        .filter_map(|probe| match probe.hook {
            Hook::Classic(category, name) => Some((category, name)),
            Hook::Raw(_) | Hook::Fentry(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn kernel(tracepoints: bool, syscalls: bool) -> Differences {
        Differences::default()
            .with(Feature::TracepointsArePreempted, tracepoints)
            .with(Feature::SyscallsArePreempted, syscalls)
    }

    fn probe(program: &str) -> Probe {
        *PROBES.iter().find(|probe| probe.program == program).unwrap()
    }

    #[test]
    fn programs_and_hooks_are_unique_on_every_kernel() {
        for kernel in [kernel(false, false), kernel(true, false), kernel(true, true)] {
            let on: Vec<_> = PROBES.iter().map(|probe| probe.on(kernel)).collect();
            let programs: Vec<_> = on.iter().copied().flat_map(Programs::all).map(|(name, _)| name).collect();
            let hooks: BTreeSet<_> = on.iter().map(|it| it.hook.name()).collect();
            assert_eq!(programs.iter().collect::<BTreeSet<_>>().len(), programs.len());
            assert_eq!(hooks.len(), PROBES.len());
        }
    }

    #[test]
    fn tracepoints_that_are_preempted_are_probed_elsewhere() {
        let exit = probe("sched_process_exit");
        let usual = Programs { hook: Hook::Raw("sched_process_exit"), first: "sched_process_exit", again: None };
        let other = Programs {
            hook: Hook::Classic("sched", "sched_process_exit"),
            first: "sched_process_exit_unpreempted",
            again: Some(("sched_process_exit_again", Hook::Raw("sched_process_exit"))),
        };
        assert_eq!(exit.on(kernel(false, false)), usual);
        assert_eq!(exit.on(kernel(true, false)), other);
        let free = probe("sched_process_free");
        assert_eq!(free.on(kernel(true, true)), free.on(kernel(false, false)));
    }

    #[test]
    fn system_calls_that_are_preempted_have_two_programs() {
        let wait = probe("exit_wait4");
        let names = |kernel| wait.on(kernel).all().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(kernel(true, false)), ["exit_wait4"]);
        assert_eq!(names(kernel(true, true)), ["exit_wait4", "exit_wait4_again"]);
    }
    #[test]
    fn only_what_others_tell_as_well_is_backed() {
        let backed: BTreeSet<_> = PROBES.iter().filter(|probe| probe.is_backed).map(|probe| probe.program).collect();
        assert_eq!(backed, BTreeSet::from(["enter_wait4", "enter_waitid", "release_task"]));
    }
}
