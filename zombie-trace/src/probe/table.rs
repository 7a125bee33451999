//! All probes as data: the hook, whether it is required, and what is lost without it.

use std::iter;

use crate::kernel::differences::{Differences, Feature};

/// Where a program attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A raw tracepoint. The kernel has it if its BTF has the typedef `btf_trace_<name>`.
    Raw(&'static str),
    /// A tracepoint by category and name. The kernel has it if tracefs lists it.
    Classic(&'static str, &'static str),
    /// A raw tracepoint whose arguments have types for the verifier. The kernel has it like a raw one.
    Typed(&'static str),
    /// The entry of a kernel function. The kernel has it if its BTF lists the function, but may refuse all such
    /// programs.
    Fentry(&'static str),
}

impl Hook {
    /// The usual name of the hook.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Raw(name) => format!("raw_tracepoint/{name}"),
            Self::Classic(category, name) => format!("tracepoint/{category}/{name}"),
            Self::Typed(name) => format!("tp_btf/{name}"),
            Self::Fentry(function) => format!("fentry/{function}"),
        }
    }
}

/// Whether zombie-trace can do without a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing works without it.
    Required,
    /// What is lost without it.
    Optional(&'static str),
    /// Only improves precision; says what is imprecise without it, as other probes cover the rest. Many kernels refuse
    /// such a probe, so only `doctor` reports it; `--no-fentry` disables it.
    Precision(&'static str),
}

/// One probe.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Name of the program in the eBPF object.
    pub program: &'static str,
    /// Where it attaches.
    pub hook: Hook,
    /// What to do if a program at `hook` can be preempted, and then misses runs for other tasks.
    pub on_miss: MissStrategy,
    /// Whether it is required.
    pub need: Need,
    /// What it reports.
    pub purpose: &'static str,
}

/// How to handle runs that a program misses because it can be preempted.
#[derive(Clone, Copy, Debug)]
pub enum MissStrategy {
    /// Nothing: the hook runs with a lock held or in an interrupt, or other probes report what is missed.
    None,
    /// This program replaces it at this hook, which is not preempted.
    Relocate(&'static str, Hook),
    /// The same, with backups at the old hook for the runs that the relocated program missed.
    RelocateWithBackup(&'static str, Hook, &'static [&'static str]),
    /// These programs follow it at the same hook and do the work that it missed.
    Backup(&'static [&'static str]),
}

/// What a probe consists of on one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Programs {
    /// Where the primary program attaches.
    pub hook: Hook,
    /// The program that does the work.
    pub primary: &'static str,
    /// Those that do it if the primary missed it.
    pub backups: &'static [&'static str],
    /// Where they attach.
    pub backup_hook: Hook,
}

impl Probe {
    /// What it consists of on this kernel.
    #[must_use]
    pub fn on(&self, kernel: Differences) -> Programs {
        let usual = Programs { hook: self.hook, primary: self.program, backups: &[], backup_hook: self.hook };
        let programs = match self.on_miss {
            MissStrategy::Relocate(primary, hook) if kernel.has(Feature::TracepointsArePreempted) => {
                Programs { hook, primary, ..usual }
            }
            MissStrategy::RelocateWithBackup(primary, hook, backups)
                if kernel.has(Feature::TracepointsArePreempted) =>
            {
                Programs { hook, primary, backups, ..usual }
            }
            MissStrategy::Backup(backups) if kernel.has(Feature::SyscallsArePreempted) => Programs { backups, ..usual },
            _ => usual,
        };
        let typed = TYPED.iter().find(|(raw, _)| *raw == programs.primary);
        match (typed, programs.hook) {
            (Some((_, typed)), Hook::Raw(name)) if kernel.has(Feature::TasksAreTyped) => {
                Programs { hook: Hook::Typed(name), primary: typed, ..programs }
            }
            _ => programs,
        }
    }

    /// Whether all results are available without it.
    #[must_use]
    pub const fn improves_precision_only(&self) -> bool {
        matches!(self.need, Need::Precision(_))
    }

    /// Whether a missed run means a lost event.
    #[must_use]
    pub const fn can_lose_events(&self) -> bool {
        !self.improves_precision_only()
    }

    const fn on_miss(self, on_miss: MissStrategy) -> Self {
        Self { on_miss, ..self }
    }
}

impl Programs {
    /// Their names and hooks, in the order in which they attach and run.
    pub fn all(self) -> impl Iterator<Item = (&'static str, Hook)> {
        iter::once((self.primary, self.hook)).chain(self.backups.iter().map(move |&backup| (backup, self.backup_hook)))
    }
}

/// Programs that read a task among the arguments of a raw tracepoint, and those in their place where the verifier knows
/// its type. All others read the running task, whose type it then knows in a program of any kind.
const TYPED: &[(&str, &str)] = &[
    ("sched_process_free", "sched_process_free_typed"),
    ("signal_generate", "signal_generate_typed"),
    ("sched_process_fork", "sched_process_fork_typed"),
    ("sched_wakeup_new", "sched_wakeup_new_typed"),
];

const fn raw(name: &'static str, need: Need, purpose: &'static str) -> Probe {
    Probe { program: name, hook: Hook::Raw(name), on_miss: MissStrategy::None, need, purpose }
}

/// The scheduler's classic tracepoint of this name; `programs` are its program and the backups at the raw tracepoint.
const fn by_record(programs: &'static [&'static str], name: &'static str) -> MissStrategy {
    let [primary, backups @ ..] = programs else { return MissStrategy::None };
    MissStrategy::RelocateWithBackup(primary, Hook::Classic("sched", name), backups)
}

/// A probe of a system call; `programs` are the primary and its backups.
const fn syscall(programs: &'static [&'static str], name: &'static str, need: Need, purpose: &'static str) -> Probe {
    let [program, backups @ ..] = programs else { panic!("a probe has a program") };
    Probe { program, hook: Hook::Classic("syscalls", name), on_miss: MissStrategy::Backup(backups), need, purpose }
}

/// The programs at a system call.
macro_rules! three {
    ($name:literal) => {
        &[$name, concat!($name, "_again"), concat!($name, "_once_more")]
    };
}

/// One program for all the calls that fork.
const fn fork(name: &'static str) -> Probe {
    let lost = "failed forks through this call, for lack of pids, are not seen";
    syscall(three!("exit_fork"), name, Need::Optional(lost), "failed forks")
}

/// All probes, in the order of attaching: exits before forks, so that no process is seen starting whose end is missed.
pub const PROBES: &[Probe] = &[
    raw("sched_process_free", Need::Required, "freed processes"),
    Probe {
        program: "release_task",
        hook: Hook::Fentry("release_task"),
        on_miss: MissStrategy::None,
        need: Need::Precision(
            "for reaps by 32-bit programs, io_uring and exiting PID 1s the time is an upper bound, and the reaper is \
             not known",
        ),
        purpose: "reaps without a visible wait call",
    },
    syscall(three!("exit_wait4"), "sys_exit_wait4", Need::Required, "reaps: by whom, and when"),
    syscall(three!("exit_waitid"), "sys_exit_waitid", Need::Required, "reaps: by whom, and when"),
    raw("sched_process_wait", Need::Required, "wait calls, and which children they wait for")
        .on_miss(by_record(&["sched_process_wait_unpreempted", "sched_process_wait_again"], "sched_process_wait")),
    raw("signal_generate", Need::Required, "zombie start times and signals to PID 1"),
    raw(
        "signal_deliver",
        Need::Optional("signals that PID 1 drops at delivery, and SIGCHLD handlers, are not seen"),
        "signal delivery",
    ),
    raw("sched_process_exit", Need::Required, "process exits")
        .on_miss(by_record(&["sched_process_exit_unpreempted", "sched_process_exit_again"], "sched_process_exit")),
    raw(
        "sched_process_exec",
        Need::Optional("processes keep the names that they had before exec"),
        "program starts (exec)",
    )
    .on_miss(by_record(&["sched_process_exec_unpreempted", "sched_process_exec_again"], "sched_process_exec")),
    raw("sched_process_fork", Need::Required, "forks, and descendants to follow")
        .on_miss(MissStrategy::Relocate("sched_wakeup_new", Hook::Raw("sched_wakeup_new"))),
    fork("sys_exit_clone"),
    fork("sys_exit_clone3"),
    // Only old architectures have these two.
    #[cfg(target_arch = "x86_64")]
    fork("sys_exit_fork"),
    #[cfg(target_arch = "x86_64")]
    fork("sys_exit_vfork"),
];

/// The tracepoints that tracing needs and tracefs has to list, as category and name.
#[must_use]
pub fn required_tracepoints() -> Vec<(&'static str, &'static str)> {
    let needed = PROBES.iter().filter(|probe| matches!(probe.need, Need::Required));
    needed
        .filter_map(|probe| match probe.hook {
            Hook::Classic(category, name) => Some((category, name)),
            Hook::Raw(_) | Hook::Typed(_) | Hook::Fentry(_) => None,
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
            let hooks: BTreeSet<_> = on.iter().map(|it| it.hook.name()).collect();
            assert_eq!(hooks.len(), PROBES.len());
            // All the calls that fork share one.
            let others = on.iter().filter(|it| it.primary != "exit_fork").copied().flat_map(Programs::all);
            let others: Vec<_> = others.map(|(name, _)| name).collect();
            assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), others.len());
        }
    }

    #[test]
    fn tracepoints_that_are_preempted_are_probed_elsewhere() {
        let exit = probe("sched_process_exit");
        let on = |kernel| exit.on(kernel).all().collect::<Vec<_>>();
        assert_eq!(on(kernel(false, false)), [("sched_process_exit", Hook::Raw("sched_process_exit"))]);
        let other = [
            ("sched_process_exit_unpreempted", Hook::Classic("sched", "sched_process_exit")),
            ("sched_process_exit_again", Hook::Raw("sched_process_exit")),
        ];
        assert_eq!(on(kernel(true, false)), other);
        let free = probe("sched_process_free");
        assert_eq!(free.on(kernel(true, true)), free.on(kernel(false, false)));
    }

    #[test]
    fn tasks_among_the_arguments_are_typed_where_the_verifier_knows_them() {
        let typed = |kernel: Differences| kernel.with(Feature::TasksAreTyped, true);
        let on = |program, kernel| probe(program).on(typed(kernel)).all().collect::<Vec<_>>();
        let fork = "sched_process_fork";
        assert_eq!(on(fork, kernel(false, false)), [("sched_process_fork_typed", Hook::Typed(fork))]);
        assert_eq!(on(fork, kernel(true, true)), [("sched_wakeup_new_typed", Hook::Typed("sched_wakeup_new"))]);
        assert_eq!(on("sched_process_exit", kernel(false, false)).len(), 1);
        assert_eq!(probe(fork).on(kernel(false, false)).primary, fork);
    }

    #[test]
    fn system_calls_that_are_preempted_have_backups() {
        let wait = probe("exit_wait4");
        let names = |kernel| wait.on(kernel).all().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(kernel(true, false)), ["exit_wait4"]);
        assert_eq!(names(kernel(true, true)), ["exit_wait4", "exit_wait4_again", "exit_wait4_once_more"]);
    }

    #[test]
    fn a_missed_run_of_what_others_tell_as_well_is_no_loss() {
        let harmless: BTreeSet<_> =
            PROBES.iter().filter(|probe| !probe.can_lose_events()).map(|probe| probe.program).collect();
        assert_eq!(harmless, BTreeSet::from(["release_task"]));
    }
}
