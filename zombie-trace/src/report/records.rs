//! The objects of the machine output.

use serde::Serialize;

use super::{
    ContainerRecord, Coverage, Doubts,
    doing::DoingRecord,
    findings::{Finding, Severity},
    impact::{DamageRecord, EndedRecord, ForkFailureRecord, PathRecord, StopRecord},
    loss::Loss,
    moment::Moment,
    process::{ExitRecord, ProcessRecord},
    shortage::Shortage,
    waiters::{PassedOn, WaiterRecord},
};
use crate::{
    diagnosis::{Cause, StopCause},
    model::{DropReason, Latency, LimitKind, Precision, Relation, Via},
};

/// An event that is reported as it happens, one JSON object per line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Notice {
    /// A zombie has reached the minimum age.
    Zombie(ZombieRecord),
    /// A zombie that had reached the minimum age was reaped, or its memory was freed.
    Reaped {
        /// When it was reaped.
        time: Moment,
        /// The zombie.
        process: ProcessRecord,
        /// How it had ended; null if that was not seen.
        exit: Option<ExitRecord>,
        /// How long it was a zombie.
        zombie_ns: u64,
        /// `exact`, `upper-bound` or, for one that was there before tracing began, `lower-bound`.
        precision: Precision,
        /// Its parent at the end: the process that could have waited for it.
        parent: Option<ProcessRecord>,
        /// All its parents in turn, the last one included, if there were several.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        waiters: Vec<WaiterRecord>,
        /// The process that reaped it.
        reaper: Option<ProcessRecord>,
        /// How it was reaped.
        via: Via,
        /// It was a zombie before tracing began.
        preexisting: bool,
    },
    /// A child left no zombie because its parent discards the status.
    AutoReaped {
        /// When this became known.
        time: Moment,
        /// The child.
        process: ProcessRecord,
        /// How it had ended.
        exit: Option<ExitRecord>,
        /// The parent.
        parent: Option<ProcessRecord>,
        /// Why it left no zombie, one sentence each.
        evidence: Vec<String>,
    },
    /// A thread missed the exit status of the child that it waited for, because another thread had reaped the child.
    StatusStolen {
        /// When its wait call failed.
        time: Moment,
        /// The child.
        process: ProcessRecord,
        /// The parent, whose threads these are.
        parent: Option<ProcessRecord>,
        /// Which threads, one sentence each.
        evidence: Vec<String>,
        /// The thread that reaped it.
        taken_by: u32,
        /// The thread that waited for the child; the same if a signal handler reaped it.
        missed_by: u32,
    },
    /// A process started to exit, is stuck, and cannot be reaped yet.
    Stuck(StuckRecord),
    /// A signal did not reach an init (PID 1 of a pid namespace).
    SignalDropped {
        /// When it was sent.
        time: Moment,
        /// Name of the signal.
        signal: String,
        /// Its number.
        number: u32,
        /// The init, with the program that it ran then.
        target: ProcessRecord,
        /// The reason.
        reason: DropReason,
        /// Who sent it; null for the kernel.
        sender: Option<ProcessRecord>,
        /// Where the sender is, seen from the init's namespace: `inside`, `outside` or `kernel`.
        relation: Relation,
    },
    /// An init was sent a stop signal and was then killed.
    StopFailed {
        /// When it was killed.
        time: Moment,
        /// The init.
        target: ProcessRecord,
        /// Name of the stop signal.
        signal: String,
        /// Its number.
        number: u32,
        /// When the stop signal was sent.
        sent: Moment,
        /// Who sent it.
        sender: Option<ProcessRecord>,
        /// Where the sender is, seen from the init's namespace: `inside` or `outside`.
        relation: Relation,
        /// Why the signal did not reach the init; null if it did, or if that is unknown.
        reason: Option<DropReason>,
        /// Whether the signal reached the init; null if that is unknown.
        received: Option<bool>,
        /// Time from the stop signal to SIGKILL.
        killed_after_ns: u64,
        /// Who killed it; null if that was not seen.
        killed_by: Option<ProcessRecord>,
        /// Processes of the namespace that were killed without having received a stop signal.
        killed_without_term: Vec<ProcessRecord>,
        /// How many more of them there were.
        more_killed_without_term: u64,
        /// Events were lost meanwhile, so it is unknown who received a signal.
        uncertain: bool,
        /// Why the stop failed; null if nothing is wrong except the kill.
        cause: Option<StopCause>,
        /// The evidence for the cause, one sentence each.
        evidence: Vec<String>,
        /// What to do.
        advice: Option<String>,
        /// PID 1, and the processes that were sent the signal, were killed, or still run; each before its children.
        path: Vec<PathRecord>,
    },
    /// A PID 1 has ended, or, with `--ends`, another process that a signal killed.
    Ended(EndedRecord),
    /// A process could not fork; reported once for each process and limit.
    ForkFailed {
        /// When the fork failed.
        time: Moment,
        /// The process.
        process: ProcessRecord,
        /// `EAGAIN` or `ENOMEM`.
        errno: &'static str,
        /// `pids.max`, `rlimit`, `pid_max`, `threads-max`, `dead-pid-namespace` or `unknown`.
        limit: LimitKind,
        /// The cgroup, for `pids.max`.
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// Pids in use; null if not known.
        used: Option<u64>,
        /// Pids allowed; null if not known.
        allowed: Option<u64>,
        /// Zombies that count against the limit.
        zombies: u64,
        /// The parent that most of these zombies belong to.
        parent: Option<ProcessRecord>,
        /// How many belong to that parent.
        parent_zombies: u64,
        /// In words: whose limit it is, and what fills it.
        #[serde(flatten)]
        shortage: Shortage,
    },
    /// Events were lost.
    Loss {
        /// When this was noticed.
        time: Moment,
        /// How many events.
        events: u64,
    },
}

/// A zombie.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZombieRecord {
    /// When the cause was found.
    pub time: Moment,
    /// The zombie.
    pub process: ProcessRecord,
    /// How it ended; null if that was not seen.
    pub exit: Option<ExitRecord>,
    /// When it became a zombie, or was first seen as one.
    pub since: Moment,
    /// Its age; a lower bound if `preexisting`.
    pub age_ns: u64,
    /// Its parent, the process that can wait for it.
    pub parent: Option<ProcessRecord>,
    /// All its parents in turn, the last one included, if there were several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiters: Vec<WaiterRecord>,
    /// Why it is not reaped.
    pub cause: Cause,
    /// The evidence for the cause.
    pub evidence: Vec<String>,
    /// What to do.
    pub advice: String,
    /// It was a zombie before tracing began.
    pub preexisting: bool,
    /// What the parent's threads were doing instead of waiting, when sampled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doing: Vec<DoingRecord>,
}

/// A process that started to exit and is stuck.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StuckRecord {
    /// When this was found.
    pub time: Moment,
    /// The process.
    pub process: ProcessRecord,
    /// When it started to exit.
    pub since: Moment,
    /// How long it had been exiting by then.
    pub age_ns: u64,
    /// Its parent, which cannot reap it yet.
    pub parent: Option<ProcessRecord>,
    /// What it is stuck on.
    pub cause: Cause,
    /// The evidence for the cause.
    pub evidence: Vec<String>,
    /// What to do.
    pub advice: String,
}

/// The report at the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// `zombie-trace.report/1`
    pub schema: &'static str,
    /// Name of the host.
    pub host: String,
    /// Release of the kernel.
    pub kernel: String,
    /// The time that the report covers.
    pub window: Window,
    /// What was lost.
    pub loss: Loss,
    /// Totals.
    pub totals: TotalsRecord,
    /// Time to reap, of zombies of any age whose start and end are known exactly.
    pub latency: LatencyRecord,
    /// All of these times; not part of the machine output.
    #[serde(skip)]
    pub distribution: Latency,
    /// Parents with unreaped zombies, the worst first.
    pub parents: Vec<ParentRecord>,
    /// Zombies that exist at the end and have reached the minimum age, the oldest first.
    pub zombies: Vec<ZombieRecord>,
    /// Processes that were stuck while exiting, in the order in which they were found.
    pub stuck: Vec<StuckRecord>,
    /// Signals that did not reach inits (PID 1 of a pid namespace).
    pub dropped_signals: Vec<Drop>,
    /// Completed stops of inits, the oldest first.
    pub stops: Vec<StopRecord>,
    /// How PID 1s ended, and with `--ends` every process that a signal killed; the oldest first.
    pub ended: Vec<EndedRecord>,
    /// Forks that failed.
    pub fork_failures: Vec<ForkFailureRecord>,
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
    /// The command that was run, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// Containers of the command, where `check` followed any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerRecord>,
    /// What is not sure about those, where the whole machine was traced for a command; not part of the machine output.
    #[serde(skip)]
    pub doubts: Option<Doubts>,
    /// What was seen at all; not part of the machine output.
    #[serde(skip)]
    pub coverage: Coverage,
}

/// The time that is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Its start.
    pub start: Moment,
    /// Its end.
    pub end: Moment,
}

/// Totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TotalsRecord {
    /// Processes that exited.
    pub exits: u64,
    /// Zombies, of any age.
    pub zombies: u64,
    /// How many of these were reaped.
    pub reaped: u64,
    /// Children without a zombie, because the parent discards the status.
    pub auto_reaped: u64,
    /// Zombies at the end, of any age.
    pub zombies_now: u64,
}

/// A distribution of durations; null where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LatencyRecord {
    /// The median.
    pub p50_ns: Option<u64>,
    /// The 90th percentile.
    pub p90_ns: Option<u64>,
    /// The 99th percentile.
    pub p99_ns: Option<u64>,
    /// The longest.
    pub max_ns: Option<u64>,
}

/// A parent that left zombies unreaped.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParentRecord {
    /// The parent.
    pub process: ProcessRecord,
    /// The cause.
    pub cause: Cause,
    /// Other causes that also fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contributing: Vec<Cause>,
    /// The evidence for the cause.
    pub evidence: Vec<String>,
    /// What to do.
    pub advice: String,
    /// Zombies that it has now, of any age.
    pub zombies_now: u64,
    /// Zombies that reached the minimum age.
    pub zombies_total: u64,
    /// Age of its oldest zombie now; null if it has none.
    pub oldest_ns: Option<u64>,
    /// Zombies of its children that other processes have now, or had after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_on: Option<PassedOn>,
    /// Time to reap.
    pub latency: LatencyRecord,
    /// What its threads were doing instead of waiting, when sampled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doing: Vec<DoingRecord>,
    /// Pids that its zombies use up now; absent if it has none or no limit is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<DamageRecord>,
}

/// Signals of one kind that did not reach an init, for one reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drop {
    /// The init, with the program that it ran then.
    pub target: ProcessRecord,
    /// Name of the signal.
    pub signal: String,
    /// Its number.
    pub number: u32,
    /// The reason.
    pub reason: DropReason,
    /// How much it matters.
    pub severity: Severity,
    /// How many times.
    pub count: u64,
    /// What it led to, if there is more to say than the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What to do; null if there is nothing to do.
    pub advice: Option<String>,
    /// The senders.
    pub senders: Vec<SenderCount>,
    /// What happened to the init: `killed` (by SIGKILL), `exited` or `lives`.
    pub then: &'static str,
    /// How long after the last of these signals that happened; null if unknown, or if it still runs.
    pub then_after_ns: Option<u64>,
}

/// Sender of a signal, and how often it was sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SenderCount {
    /// The first sender; null for the kernel.
    pub process: Option<ProcessRecord>,
    /// Its real user id; null for the kernel.
    pub uid: Option<u32>,
    /// Where the sender is: `inside` or `outside` the namespace, or `kernel`.
    pub relation: Relation,
    /// How many times.
    pub count: u64,
}

/// The command that was run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Command {
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// How it ended; null if it still runs.
    pub exit: Option<ExitRecord>,
}
