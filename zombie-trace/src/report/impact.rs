//! What zombies and dropped signals lead to, as records.

use serde::Serialize;

use super::{
    moment::Moment,
    process::{ExitRecord, ProcessRecord},
    shortage::Shortage,
};
use crate::{
    diagnosis::{EndWay, StopCause},
    model::{Disposition, DropReason, LimitKind, Relation, StopOutcome},
};

/// A completed stop of an init.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StopRecord {
    /// The init.
    pub target: ProcessRecord,
    /// `clean`, `slow` or `failed`.
    pub outcome: StopOutcome,
    /// Name of the stop signal.
    pub signal: String,
    /// Its number.
    pub number: u32,
    /// When the stop signal was sent.
    pub sent: Moment,
    /// Who sent it; null for the kernel.
    pub sender: Option<ProcessRecord>,
    /// Where the sender is, seen from the init's namespace: `inside` or `outside`.
    pub relation: Relation,
    /// Why the signal did not reach the init; null if it did, or if that is unknown.
    pub reason: Option<DropReason>,
    /// Whether the signal reached the init; null if unknown: the signal was blocked, and may have been read.
    pub received: Option<bool>,
    /// Time from the signal to the end of the init.
    pub took_ns: u64,
    /// How the init ended.
    pub exit: ExitRecord,
    /// The process that killed it; null if none did, or if that was not seen.
    pub killed_by: Option<ProcessRecord>,
    /// Processes of the namespace that were killed without having received a stop signal.
    pub killed_without_term: Vec<ProcessRecord>,
    /// How many more of them there were.
    pub more_killed_without_term: u64,
    /// Events were lost meanwhile, so it is unknown who received a signal.
    pub uncertain: bool,
    /// Why the stop went wrong; null for a clean stop.
    pub cause: Option<StopCause>,
    /// The evidence for the cause, one sentence each.
    pub evidence: Vec<String>,
    /// What to do; null if there is nothing to do.
    pub advice: Option<String>,
    /// PID 1, and the processes that were sent the signal, were killed, or still run; each before its children.
    pub path: Vec<PathRecord>,
    /// How many more of them there were.
    pub more_in_path: u64,
}

/// A process during a stop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PathRecord {
    /// The process.
    pub process: ProcessRecord,
    /// Its depth below PID 1, among the listed processes: 0 is PID 1 itself.
    pub depth: u32,
    /// Name of the signal that it was sent; null if no such signal was seen.
    pub signal: Option<String>,
    /// When that signal was first sent, as time since the stop began.
    pub sent_after_ns: Option<u64>,
    /// The sender; null for the kernel, and if it was sent no signal.
    pub sender: Option<ProcessRecord>,
    /// What it does with the stop signal: `handler`, `default`, `ignored` or `blocked`; null if unknown.
    pub disposition: Option<Disposition>,
    /// What it was doing when it was last sampled; null if it was not sampled, or if that is unknown.
    pub doing: Option<String>,
    /// How it ended; null if it still runs.
    pub exit: Option<ExitRecord>,
    /// When it ended, as time since the stop began.
    pub ended_after_ns: Option<u64>,
    /// All of this in words.
    pub summary: String,
}

/// How a PID 1 ended, or another process that a signal killed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndedRecord {
    /// When it exited.
    pub time: Moment,
    /// The process.
    pub process: ProcessRecord,
    /// Whether it was PID 1 of a pid namespace.
    pub is_pid_1: bool,
    /// How it ended, as its parent sees it.
    pub exit: ExitRecord,
    /// The exit status as a shell or a container runtime shows it: 128 plus the signal number if a signal killed it.
    pub exit_status: u32,
    /// The kind of end: a stable id.
    pub way: EndWay,
    /// Name of the signal that killed it; null if it exited by itself.
    pub signal: Option<String>,
    /// When that signal was sent; null if that was not seen.
    pub sent: Option<Moment>,
    /// The sender; for a parent-death signal, the process whose thread ended; at the end of a namespace, its PID 1.
    /// Null for the kernel, and if unknown.
    pub sender: Option<ProcessRecord>,
    /// Where the sender is, seen from its pid namespace: `inside`, `outside` or `kernel`; null if not seen.
    pub relation: Option<Relation>,
    /// Its cgroup, if the OOM killer chose it; null if that is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// If the OOM killer chose it, the lowest memory limit of its cgroup and those above it, in bytes; absent if there
    /// is no limit, or if it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// The evidence, one sentence each.
    pub evidence: Vec<String>,
    /// What to do; null if there is nothing to do.
    pub advice: Option<String>,
    /// What would decide it; null if it is known.
    pub would_decide: Option<String>,
    /// Not everything that could have ended it was seen: events were lost, or tracing had just begun.
    pub uncertain: bool,
}

/// Failed forks of one process at one limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForkFailureRecord {
    /// The process that could not fork.
    pub process: ProcessRecord,
    /// `EAGAIN` or `ENOMEM`.
    pub errno: &'static str,
    /// `pids.max`, `rlimit`, `pid_max`, `threads-max`, `dead-pid-namespace` or `unknown`.
    pub limit: LimitKind,
    /// The cgroup, for `pids.max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Pids in use then; null if not known.
    pub used: Option<u64>,
    /// Pids allowed; null if not known.
    pub allowed: Option<u64>,
    /// Zombies that counted against the limit.
    pub zombies: u64,
    /// The parent that most of these zombies belonged to.
    pub parent: Option<ProcessRecord>,
    /// How many belonged to that parent.
    pub parent_zombies: u64,
    /// In words: whose limit it is, and what fills it.
    #[serde(flatten)]
    pub shortage: Shortage,
    /// How many times at least: the last failures of a fast loop may be missing.
    pub count: u64,
    /// The first failure.
    pub first: Moment,
    /// The last failure.
    pub last: Moment,
}

/// The pids that the zombies of a parent use up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DamageRecord {
    /// How many zombies there are.
    pub zombies: u64,
    /// The limits that they count against, the innermost first.
    pub limits: Vec<LimitUsageRecord>,
    /// How many more appear per hour; absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth_per_hour: Option<u64>,
    /// When the first limit is reached at this rate; 0 if one is reached already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exhausted_in_ns: Option<u64>,
    /// The limit that is nearest, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// A limit, and how much of it zombies use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitUsageRecord {
    /// `pids.max`, `rlimit`, `pid_max` or `threads-max`.
    pub kind: LimitKind,
    /// The cgroup, for `pids.max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Pids in use.
    pub used: u64,
    /// Pids allowed.
    pub allowed: u64,
    /// How many of these are zombies of the parent.
    pub zombies: u64,
}
