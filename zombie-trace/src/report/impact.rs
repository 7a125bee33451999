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

/// A stop of an init that is over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StopRecord {
    /// The init.
    pub target: ProcessRecord,
    /// `clean`, `slow` or `failed`.
    pub outcome: StopOutcome,
    /// Name of the signal that asked it to end.
    pub signal: String,
    /// Its number.
    pub number: u32,
    /// When that was sent.
    pub sent: Moment,
    /// Who sent it; null for the kernel.
    pub sender: Option<ProcessRecord>,
    /// `inside` or `outside`, seen from the init's namespace.
    pub relation: Relation,
    /// Why the signal did not reach the init; null if it did, or that is not known.
    pub reason: Option<DropReason>,
    /// Whether the signal reached the init; null if that is not known: it was blocked, and may have been read.
    pub received: Option<bool>,
    /// From the signal to the end.
    pub took_ns: u64,
    /// How the init ended.
    pub exit: ExitRecord,
    /// Who killed it; null if nobody did, or it was not seen.
    pub killed_by: Option<ProcessRecord>,
    /// Processes of the namespace that were killed and had not been asked to end.
    pub killed_without_term: Vec<ProcessRecord>,
    /// How many more of them there were.
    pub more_killed_without_term: u64,
    /// Events were lost meanwhile: who was asked is not known.
    pub uncertain: bool,
    /// Why it went wrong; null if it ended gracefully.
    pub cause: Option<StopCause>,
    /// What that rests on, a sentence each.
    pub evidence: Vec<String>,
    /// What to do; null if there is nothing to do.
    pub advice: Option<String>,
    /// PID 1 and the others that were asked, or killed, or are still there, each before its children.
    pub path: Vec<PathRecord>,
    /// How many more of them there were.
    pub more_in_path: u64,
}

/// A process in a stop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PathRecord {
    /// Who.
    pub process: ProcessRecord,
    /// How deep it is below PID 1, among those that are listed: 0 is PID 1 itself.
    pub depth: u32,
    /// Name of the signal that it was sent; null if it was sent none that is seen.
    pub signal: Option<String>,
    /// When that was first sent, since the stop began.
    pub sent_after_ns: Option<u64>,
    /// Who sent it; null for the kernel, and if it was sent none.
    pub sender: Option<ProcessRecord>,
    /// What it does with the stop signal: `handler`, `default`, `ignored` or `blocked`; null if that is not known.
    pub disposition: Option<Disposition>,
    /// What it did when it was last looked at; null if it was not, or that is not known.
    pub doing: Option<String>,
    /// How it ended; null if it has not.
    pub exit: Option<ExitRecord>,
    /// When it ended, since the stop began.
    pub ended_after_ns: Option<u64>,
    /// All that in words.
    pub summary: String,
}

/// How a PID 1 ended, or another process that a signal ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndedRecord {
    /// When it exited.
    pub time: Moment,
    /// Who.
    pub process: ProcessRecord,
    /// Whether it was PID 1 of a pid namespace.
    pub is_pid_1: bool,
    /// How, as its parent is told.
    pub exit: ExitRecord,
    /// The exit status as a shell or a container runtime shows it: 128 and the number of the signal if one ended it.
    pub exit_status: u32,
    /// By which way: a stable id.
    pub way: EndWay,
    /// Name of the signal that ended it; null if it ended by itself.
    pub signal: Option<String>,
    /// When that was sent; null if that was not seen.
    pub sent: Option<Moment>,
    /// Who sent it; of a parent-death signal, whose thread ended; at the end of a namespace its PID 1. Null for the kernel,
    /// and if it is not known.
    pub sender: Option<ProcessRecord>,
    /// `inside`, `outside` or `kernel`, seen from its pid namespace; null if it was not seen to be sent.
    pub relation: Option<Relation>,
    /// The cgroup that it was in, for one that the OOM killer chose; null if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// For one that the OOM killer chose, the lowest memory limit of its cgroup and those above it, in bytes; absent
    /// if it has no limit, or the limit is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// What that rests on, a sentence each.
    pub evidence: Vec<String>,
    /// What to do; null if there is nothing to do.
    pub advice: Option<String>,
    /// What would decide it; null if it is known.
    pub would_decide: Option<String>,
    /// Not all that could have ended it was seen: events were lost, or tracing had just begun.
    pub uncertain: bool,
}

/// Forks of one process that failed for one limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForkFailureRecord {
    /// Who could not fork.
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
    /// Whose zombies most of these were.
    pub parent: Option<ProcessRecord>,
    /// How many were that one's.
    pub parent_zombies: u64,
    /// Whose limit it is, and what fills it.
    #[serde(flatten)]
    pub shortage: Shortage,
    /// How often at least: the last failures of a fast loop may be missing.
    pub count: u64,
    /// The first time.
    pub first: Moment,
    /// The last.
    pub last: Moment,
}

/// What the zombies of a parent cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DamageRecord {
    /// How many there are.
    pub zombies: u64,
    /// The limits that they count against, the innermost first.
    pub limits: Vec<LimitUsageRecord>,
    /// How many more come in an hour; absent if that cannot be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth_per_hour: Option<u64>,
    /// When the first limit is used up at this rate; 0 if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exhausted_in_ns: Option<u64>,
    /// The limit that hurts most, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// A limit, and how much of it zombies hold.
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
    /// Of those in use, zombies of the parent.
    pub zombies: u64,
}
