//! By which way a process ended: pure rules over what the model kept of its end.
//!
//! The facts behind them are in `kernel/signal.c` and where signals are sent: who calls `kill()` leaves `SI_USER` in a siginfo
//! for the whole process, what the kernel sends in a process's stead is for one thread or comes from one that exits.

use super::words::{duration, name, plural, size};
use crate::{
    event::{BootNs, ExitStatus, FatalSignal, MemoryLimit},
    model::{Ending, Model, Relation, Sender},
    signal::{
        self, SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGKILL, SIGPIPE, SIGPROF, SIGQUIT, SIGSEGV,
        SIGSYS, SIGTRAP, SIGVTALRM, SIGXCPU, SIGXFSZ,
    },
    text::escape,
};

const SI_USER: i32 = 0;
const SI_TIMER: i32 = -2;
const SI_KERNEL: i32 = 0x80;
/// `SYS_SECCOMP`, of a SIGSYS.
const SYS_SECCOMP: i32 = 1;
/// So long after `abort()`, ns, a fault is what came of it.
const ABORT_NS: u64 = 1_000_000_000;
/// What to do where PID 1 called `abort()` and died of a fault.
pub const ADVICE_ON_ABORT: &str = "Look for a failed assertion or an uncaught exception, not for a memory error; with an init as PID 1 (docker run \
     --init, tini) the exit status would be 134.";
/// What a shell and a container runtime add to the number of a signal.
const STATUS_OF_SIGNAL: u32 = 128;

/// By which way a process ended. The ids are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndWay {
    /// It ended by itself, with an exit code.
    Exit,
    /// It sent the signal to itself.
    Itself,
    /// It called `abort()`, also where the kernel dropped SIGABRT and it died of a fault.
    Abort,
    /// A process of its pid namespace sent the signal.
    Inside,
    /// A process outside of its pid namespace sent it.
    Outside,
    /// PID 1 of its namespace sent it, which had been sent the same signal.
    PassedOn,
    /// The kernel sent it for a terminal: a key was pressed, or the terminal or its session is gone.
    Terminal,
    /// A timer ran out.
    Timer,
    /// A limit on CPU time or on the size of a file is used up.
    ResourceLimit,
    /// A thread that had started it ended: its parent-death signal.
    ParentDeath,
    /// It wrote to a pipe or socket that nobody reads.
    ClosedPipe,
    /// It made a system call that its seccomp filter does not allow.
    Seccomp,
    /// The processor found a fault in what it did.
    Fault,
    /// The kernel was short of memory, or its cgroup had reached its limit.
    OutOfMemory,
    /// Something was written to the file `cgroup.kill` of its cgroup.
    CgroupKill,
    /// PID 1 of its pid namespace ended.
    NamespaceEnd,
    /// Its tracer ended it.
    Tracer,
    /// The kernel sent the signal, and it is not known what for.
    Kernel,
    /// The facts do not decide it.
    Unknown,
}

impl EndWay {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Exit,
        Self::Itself,
        Self::Abort,
        Self::Inside,
        Self::Outside,
        Self::PassedOn,
        Self::Terminal,
        Self::Timer,
        Self::ResourceLimit,
        Self::ParentDeath,
        Self::ClosedPipe,
        Self::Seccomp,
        Self::Fault,
        Self::OutOfMemory,
        Self::CgroupKill,
        Self::NamespaceEnd,
        Self::Tracer,
        Self::Kernel,
        Self::Unknown,
    ];

    /// The stable id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Itself => "itself",
            Self::Abort => "abort",
            Self::Inside => "inside",
            Self::Outside => "outside",
            Self::PassedOn => "passed-on",
            Self::Terminal => "terminal",
            Self::Timer => "timer",
            Self::ResourceLimit => "resource-limit",
            Self::ParentDeath => "parent-death",
            Self::ClosedPipe => "closed-pipe",
            Self::Seccomp => "seccomp",
            Self::Fault => "fault",
            Self::OutOfMemory => "out-of-memory",
            Self::CgroupKill => "cgroup-kill",
            Self::NamespaceEnd => "namespace-end",
            Self::Tracer => "tracer",
            Self::Kernel => "kernel",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a process did it that is [`Ending::sender`].
    #[must_use]
    pub const fn has_sender(self) -> bool {
        matches!(
            self,
            Self::Itself | Self::Inside | Self::Outside | Self::PassedOn | Self::ParentDeath | Self::CgroupKill
        )
    }
}

/// What is made of the end of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndVerdict {
    /// By which way.
    pub way: EndWay,
    /// What that rests on, a sentence each.
    pub evidence: Vec<String>,
    /// What to do, where there is something to be done.
    pub advice: Option<String>,
    /// What would decide it, where it is not known.
    pub would_decide: Option<String>,
}

/// The exit status as a shell or a container runtime shows it.
#[must_use]
pub fn shown_status(status: ExitStatus) -> u32 {
    match status {
        ExitStatus::Code(code) => code.into(),
        ExitStatus::Signal { signal, .. } => STATUS_OF_SIGNAL + u32::from(signal),
    }
}

/// Judges the end of a process.
#[must_use]
pub fn judge_ending(model: &Model, ending: &Ending) -> EndVerdict {
    let case = Case { model, ending };
    let way = case.way();
    EndVerdict { way, evidence: case.evidence(way), advice: case.advice(way), would_decide: case.would_decide(way) }
}

struct Case<'a> {
    model: &'a Model,
    ending: &'a Ending,
}

impl Case<'_> {
    fn way(&self) -> EndWay {
        match (self.ending.status, &self.ending.signal) {
            (ExitStatus::Code(_), _) => EndWay::Exit,
            (ExitStatus::Signal { .. }, Some(sent)) if self.abort().is_some() => {
                if is_of_abort(sent) {
                    EndWay::Abort
                } else {
                    self.way_of(sent)
                }
            }
            (ExitStatus::Signal { .. }, Some(sent)) => self.way_of(sent),
            (ExitStatus::Signal { signal, .. }, None) => self.way_unseen(signal.into()),
        }
    }

    /// Of a signal that was seen.
    fn way_of(&self, sent: &FatalSignal) -> EndWay {
        if sent.relation == Relation::Kernel {
            return self.way_of_kernel(sent);
        }
        let is_own = sent.sender.process == self.ending.process;
        // No process can send one like this to another: `kill()` is for the whole process, `tgkill()` has another code.
        let is_in_its_stead = sent.code == SI_USER && !sent.is_for_group;
        match sent.signal {
            SIGKILL if is_in_its_stead && sent.is_traced => EndWay::Unknown,
            SIGKILL if is_in_its_stead => EndWay::CgroupKill,
            SIGPIPE if is_in_its_stead && is_own => EndWay::ClosedPipe,
            SIGXFSZ if is_in_its_stead && is_own => EndWay::ResourceLimit,
            _ if sent.is_sender_exiting => EndWay::ParentDeath,
            SIGABRT if is_own => EndWay::Abort,
            _ if is_own => EndWay::Itself,
            _ if self.ending.passed_on.is_some() => EndWay::PassedOn,
            _ if sent.relation == Relation::Inside => EndWay::Inside,
            _ => EndWay::Outside,
        }
    }

    fn way_of_kernel(&self, sent: &FatalSignal) -> EndWay {
        let is_own = sent.sender.process == self.ending.process;
        match sent.signal {
            SIGKILL if self.ending.is_oom_victim == Some(true) => EndWay::OutOfMemory,
            SIGKILL if sent.is_sender_exiting && sent.is_traced => EndWay::Tracer,
            // For want of memory a process may be killed by itself, too.
            SIGKILL if is_own && sent.is_for_group && self.used_up_cpu() => EndWay::ResourceLimit,
            SIGKILL => EndWay::Kernel,
            SIGXCPU | SIGXFSZ => EndWay::ResourceLimit,
            SIGALRM | SIGVTALRM | SIGPROF => EndWay::Timer,
            _ if sent.code == SI_TIMER => EndWay::Timer,
            SIGHUP | SIGINT | SIGQUIT if sent.code == SI_KERNEL => EndWay::Terminal,
            SIGSYS if sent.code == SYS_SECCOMP => EndWay::Seccomp,
            SIGSEGV | SIGBUS | SIGFPE | SIGILL | SIGTRAP => EndWay::Fault,
            _ => EndWay::Kernel,
        }
    }

    /// Of a signal that nobody was seen to send.
    fn way_unseen(&self, signal: u32) -> EndWay {
        match signal {
            _ if self.ending.is_oom_victim == Some(true) => EndWay::OutOfMemory,
            // The dying PID 1 kills all of its namespace. That is not told of each.
            SIGKILL if self.ending.dead_init.is_some() => EndWay::NamespaceEnd,
            _ if self.ending.is_blind => EndWay::Unknown,
            // Before Linux 5.16 the filter ends the process without a signal.
            SIGSYS => EndWay::Seccomp,
            // A tracer may make up a signal when it lets a process go on.
            _ if self.ending.tracer.is_some() => EndWay::Tracer,
            _ => EndWay::Unknown,
        }
    }

    /// Whether a SIGKILL that it was running for is by its limit on CPU time: the kernel sends that when it runs, and for
    /// want of memory another one, of which the exit tells.
    fn used_up_cpu(&self) -> bool {
        self.ending.used_up_cpu.is_some() || self.ending.is_oom_victim == Some(false)
    }

    /// When it called `abort()`, a moment before its end.
    fn abort(&self) -> Option<BootNs> {
        self.ending.aborted.filter(|&at| self.ending.time.saturating_sub(at) <= ABORT_NS)
    }

    fn evidence(&self, way: EndWay) -> Vec<String> {
        let mut evidence = Vec::new();
        evidence.extend(self.ending.signal.as_ref().map(|sent| self.sent(sent, way)));
        evidence.extend(self.of_way(way));
        evidence.extend(self.ending.memory_limit.filter(|_| way == EndWay::OutOfMemory).map(of_memory));
        if let Some((signal, at, sender, relation)) = &self.ending.asked
            && way != EndWay::PassedOn
        {
            let before = duration(self.ending.time.saturating_sub(*at));
            let by = by(sender.as_ref(), *relation);
            evidence.push(format!("it had been sent {} {before} before{by}", signal::name(*signal)));
        }
        if self.ending.is_blind && self.ending.signal.is_none() && way != EndWay::Exit {
            evidence.push("not all signals before its end were seen".to_owned());
        }
        evidence
    }

    /// `bash (4711, parent sshd 4700) sent it SIGTERM 3 ms before its end`.
    fn sent(&self, sent: &FatalSignal, way: EndWay) -> String {
        let signal = signal::name(sent.signal);
        let before = duration(self.ending.time.saturating_sub(sent.time));
        let sender = self.ending.sender.as_ref().filter(|_| way.has_sender());
        // What came of an `abort()` that the kernel dropped.
        let is_fault = sent.relation == Relation::Kernel;
        match (sender, way) {
            (_, EndWay::Itself | EndWay::ClosedPipe) | (None, EndWay::Abort) if !is_fault => {
                format!("it was sent {signal} by itself, {before} before its end")
            }
            (Some(sender), EndWay::ParentDeath) => format!(
                "it was sent {signal} {before} before its end because thread {} of {}, which had started it, ended",
                sent.sender_thread,
                named(sender)
            ),
            (Some(sender), EndWay::CgroupKill) => {
                format!("it was sent {signal} {before} before its end when {} wrote to cgroup.kill", named(sender))
            }
            (Some(sender), _) => format!("{} sent it {signal} {before} before its end", named(sender)),
            (None, _) => format!("the kernel sent it {signal} {before} before its end"),
        }
    }

    fn of_way(&self, way: EndWay) -> Option<String> {
        let ending = self.ending;
        match way {
            EndWay::Abort => match ending.status {
                ExitStatus::Signal { signal, .. } if u32::from(signal) != SIGABRT => Some(format!(
                    "it had called abort() {} before: as PID 1 it cannot die of SIGABRT, so the C library made it fault; the \
                     exit status {} stands for {}",
                    duration(ending.time.saturating_sub(ending.aborted.unwrap_or(ending.time))),
                    shown_status(ending.status),
                    STATUS_OF_SIGNAL + SIGABRT
                )),
                _ => Some("it called abort(), as a failed assertion does".to_owned()),
            },
            EndWay::PassedOn => {
                let (sender, relation) = ending.passed_on.as_ref()?;
                Some(format!("that is PID 1, which had been sent the same{}", by(sender.as_ref(), *relation)))
            }
            EndWay::OutOfMemory => {
                let cgroup =
                    self.model.cgroup(ending.identity.cgroup).map(|it| escape::text(it.path.as_bytes()).into_owned());
                let place = cgroup.map_or_else(String::new, |path| format!(", in cgroup {path}"));
                Some(format!("the OOM killer chose it{place}"))
            }
            EndWay::NamespaceEnd => {
                let init = ending.dead_init?;
                let before = duration(ending.time.saturating_sub(init.exited));
                Some(format!(
                    "{} ({}), PID 1 of its pid namespace or of one around it, had exited {before} before; the kernel then \
                     kills all others",
                    name(&init.comm, init.process.pid),
                    init.process.pid
                ))
            }
            EndWay::ResourceLimit => Some(match (ending.status, ending.used_up_cpu) {
                (ExitStatus::Signal { signal, .. }, _) if u32::from(signal) == SIGXFSZ => {
                    "a file had reached RLIMIT_FSIZE".to_owned()
                }
                (ExitStatus::Signal { signal, .. }, Some(at)) if u32::from(signal) == SIGKILL => format!(
                    "it had used up its soft limit on CPU time (SIGXCPU) {} before, and then the hard one",
                    duration(ending.time.saturating_sub(at))
                ),
                _ => "it had used up its limit on CPU time".to_owned(),
            }),
            EndWay::Seccomp => Some("its seccomp filter ends it at a system call that is not allowed".to_owned()),
            EndWay::Tracer => Some(match ending.tracer {
                Some(pid) => format!("it was traced by process {pid}"),
                None => "its tracer ended".to_owned(),
            }),
            EndWay::Terminal => {
                Some("a key was pressed at its terminal, or the terminal or its session is gone".to_owned())
            }
            _ => None,
        }
    }

    fn advice(&self, way: EndWay) -> Option<String> {
        let is_other = |signal: u8| u32::from(signal) != SIGABRT;
        match (way, self.ending.status) {
            (EndWay::Abort, ExitStatus::Signal { signal, .. }) if is_other(signal) => Some(ADVICE_ON_ABORT.to_owned()),
            (EndWay::ParentDeath, _) => Some(
                "Start it from a thread that lives as long as it does (in Go, runtime.LockOSThread for all of that time), or \
                 do without PR_SET_PDEATHSIG: the signal comes when the thread ends, not the process."
                    .to_owned(),
            ),
            _ => None,
        }
    }

    fn would_decide(&self, way: EndWay) -> Option<String> {
        let is_kill = self.ending.signal.is_some_and(|it| it.signal == SIGKILL);
        match way {
            EndWay::Kernel if is_kill => Some(
                "The kernel log says whether the OOM killer or a limit did it; so does memory.events of its cgroup.".to_owned(),
            ),
            EndWay::Kernel => Some("The kernel log may say why it sent the signal.".to_owned()),
            EndWay::Unknown if self.ending.signal.is_some() => {
                Some("Either something was written to cgroup.kill, or its tracer killed it: its tracer's log would tell.".to_owned())
            }
            EndWay::Unknown => Some(
                "Nobody was seen to send the signal: trace from before it is sent, without losses. The kernel log tells of the \
                 OOM killer and of faults."
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// How much memory a process was allowed that the OOM killer chose.
fn of_memory(limit: MemoryLimit) -> String {
    match limit {
        MemoryLimit::None => {
            "the machine was short of memory: neither its cgroup nor one above it has a memory limit".to_owned()
        }
        MemoryLimit::Bytes { bytes, levels_above: 0 } => format!("the memory limit of its cgroup is {}", size(bytes)),
        MemoryLimit::Bytes { bytes, levels_above } => {
            let levels = plural(levels_above.into(), "level", "levels");
            format!("the memory limit of the cgroup {levels} above its own is {}", size(bytes))
        }
    }
}

/// Whether it is what the C library does where SIGABRT does not kill.
fn is_of_abort(sent: &FatalSignal) -> bool {
    match sent.signal {
        SIGSEGV | SIGBUS | SIGILL | SIGTRAP => sent.relation == Relation::Kernel,
        SIGABRT => sent.relation != Relation::Kernel,
        _ => false,
    }
}

fn named(sender: &Sender) -> String {
    let parent = sender
        .parent
        .map_or_else(String::new, |(parent, comm)| format!(", parent {} {}", name(&comm, parent.pid), parent.pid));
    let pid = sender.process.pid;
    format!("{} ({pid}{parent})", name(&sender.comm, pid))
}

/// ` by docker (12), outside`
fn by(sender: Option<&Sender>, relation: Relation) -> String {
    match sender {
        Some(sender) => format!(" by {}, {}", named(sender), relation.id()),
        None => " by the kernel".to_owned(),
    }
}

#[cfg(test)]
#[path = "endings_tests.rs"]
mod tests;
