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

/// Something that is told as it happens, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Notice {
    /// A zombie has reached the minimum age.
    Zombie(ZombieRecord),
    /// A zombie that had reached the minimum age is gone.
    Reaped {
        /// When.
        time: Moment,
        /// Who.
        process: ProcessRecord,
        /// How it had ended; null if that was not seen.
        exit: Option<ExitRecord>,
        /// How long it was a zombie.
        zombie_ns: u64,
        /// `exact`, `upper-bound` or, for one that was there before tracing began, `lower-bound`.
        precision: Precision,
        /// Who could have waited.
        parent: Option<ProcessRecord>,
        /// Who could have before, and the parent as the last, if there were several.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        waiters: Vec<WaiterRecord>,
        /// Who did.
        reaper: Option<ProcessRecord>,
        /// How.
        via: Via,
        /// It was a zombie before tracing began.
        preexisting: bool,
    },
    /// A child left no zombie because its parent discards the status.
    AutoReaped {
        /// When it was known.
        time: Moment,
        /// Who.
        process: ProcessRecord,
        /// How it had ended.
        exit: Option<ExitRecord>,
        /// The parent.
        parent: Option<ProcessRecord>,
        /// Why.
        evidence: Vec<String>,
    },
    /// A thread did not get the status of the child it waited for, because another thread had reaped it.
    StatusStolen {
        /// When it failed.
        time: Moment,
        /// The child.
        process: ProcessRecord,
        /// Whose threads these are.
        parent: Option<ProcessRecord>,
        /// Which threads.
        evidence: Vec<String>,
        /// The thread that reaped it.
        taken_by: u32,
        /// The thread that asked for it; the same where a signal handler reaped it.
        missed_by: u32,
    },
    /// A process that began to die cannot go, and nobody could reap it.
    Stuck(StuckRecord),
    /// An init did not get a signal.
    SignalDropped {
        /// When it was sent.
        time: Moment,
        /// Name of the signal.
        signal: String,
        /// Its number.
        number: u32,
        /// The init, as the program that it was then.
        target: ProcessRecord,
        /// Why.
        reason: DropReason,
        /// Who sent it; null for the kernel.
        sender: Option<ProcessRecord>,
        /// `inside`, `outside` or `kernel`, seen from the init's namespace.
        relation: Relation,
    },
    /// An init that was asked to end had to be killed.
    StopFailed {
        /// When it was killed.
        time: Moment,
        /// The init.
        target: ProcessRecord,
        /// Name of the signal that asked it to end.
        signal: String,
        /// Its number.
        number: u32,
        /// When that was sent.
        sent: Moment,
        /// Who sent it.
        sender: Option<ProcessRecord>,
        /// `inside` or `outside`, seen from the init's namespace.
        relation: Relation,
        /// Why the signal did not reach the init; null if it did, or that is not known.
        reason: Option<DropReason>,
        /// Whether the signal reached the init; null if that is not known.
        received: Option<bool>,
        /// From that signal to SIGKILL.
        killed_after_ns: u64,
        /// Who killed it; null if that was not seen.
        killed_by: Option<ProcessRecord>,
        /// Processes of the namespace that were killed and had not been asked to end.
        killed_without_term: Vec<ProcessRecord>,
        /// How many more of them there were.
        more_killed_without_term: u64,
        /// Events were lost meanwhile: who was asked is not known.
        uncertain: bool,
        /// Why the stop failed; null if nothing went wrong but the kill.
        cause: Option<StopCause>,
        /// What that rests on, a sentence each.
        evidence: Vec<String>,
        /// What to do.
        advice: Option<String>,
        /// PID 1 and the others that were asked, or killed, or are still there, each before its children.
        path: Vec<PathRecord>,
    },
    /// A PID 1 has ended, or another process whose end was asked for.
    Ended(EndedRecord),
    /// A process could not fork; told once for each process and limit.
    ForkFailed {
        /// When.
        time: Moment,
        /// Who.
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
        /// Whose zombies most of these are.
        parent: Option<ProcessRecord>,
        /// How many are that one's.
        parent_zombies: u64,
        /// Whose limit it is, and what fills it.
        #[serde(flatten)]
        shortage: Shortage,
    },
    /// Events were lost.
    Loss {
        /// When it was noticed.
        time: Moment,
        /// How many.
        events: u64,
    },
}

/// A zombie.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZombieRecord {
    /// When this was found.
    pub time: Moment,
    /// The zombie.
    pub process: ProcessRecord,
    /// How it ended; null if that was not seen.
    pub exit: Option<ExitRecord>,
    /// Since when it is a zombie, or was known to be.
    pub since: Moment,
    /// Its age; a lower bound if `preexisting`.
    pub age_ns: u64,
    /// Who could wait.
    pub parent: Option<ProcessRecord>,
    /// Who could before, and the parent as the last, if there were several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiters: Vec<WaiterRecord>,
    /// Why it waits.
    pub cause: Cause,
    /// What that rests on.
    pub evidence: Vec<String>,
    /// What to do.
    pub advice: String,
    /// It was a zombie before tracing began.
    pub preexisting: bool,
    /// What the parent's threads did instead of waiting when they were looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doing: Vec<DoingRecord>,
}

/// A process that began to die and cannot go.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StuckRecord {
    /// When this was found.
    pub time: Moment,
    /// The process.
    pub process: ProcessRecord,
    /// When it began to die.
    pub since: Moment,
    /// How long it had been dying by then.
    pub age_ns: u64,
    /// Its parent, whose fault it is not.
    pub parent: Option<ProcessRecord>,
    /// What keeps it.
    pub cause: Cause,
    /// What that rests on.
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
    /// From when to when.
    pub window: Window,
    /// What was lost.
    pub loss: Loss,
    /// Sums.
    pub totals: TotalsRecord,
    /// Time to reap, of zombies of any age whose begin and end are known exactly.
    pub latency: LatencyRecord,
    /// All of these times; not part of the machine output.
    #[serde(skip)]
    pub distribution: Latency,
    /// Parents that let zombies wait, the worst first.
    pub parents: Vec<ParentRecord>,
    /// Zombies that are there at the end and have reached the minimum age, the oldest first.
    pub zombies: Vec<ZombieRecord>,
    /// Processes that began to die and could not go, in the order in which they were found.
    pub stuck: Vec<StuckRecord>,
    /// Signals that inits did not get.
    pub dropped_signals: Vec<Drop>,
    /// Stops of inits that are over, the oldest first.
    pub stops: Vec<StopRecord>,
    /// How PID 1s ended, and with `--ends` every process that a signal ended; the oldest first.
    pub ended: Vec<EndedRecord>,
    /// Forks that failed.
    pub fork_failures: Vec<ForkFailureRecord>,
    /// What is to be said, the worst first.
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

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The first moment.
    pub start: Moment,
    /// The last.
    pub end: Moment,
}

/// Sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TotalsRecord {
    /// Processes that exited.
    pub exits: u64,
    /// Zombies, of any age.
    pub zombies: u64,
    /// Of these, reaped.
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
    /// The 99th.
    pub p99_ns: Option<u64>,
    /// The longest.
    pub max_ns: Option<u64>,
}

/// A parent that lets zombies wait.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParentRecord {
    /// Who.
    pub process: ProcessRecord,
    /// Why.
    pub cause: Cause,
    /// Other causes that fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contributing: Vec<Cause>,
    /// What that rests on.
    pub evidence: Vec<String>,
    /// What to do.
    pub advice: String,
    /// Zombies it has now, of any age.
    pub zombies_now: u64,
    /// Zombies that reached the minimum age.
    pub zombies_total: u64,
    /// Age of its oldest zombie now; null if it has none.
    pub oldest_ns: Option<u64>,
    /// Zombies that others have now, or had after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_on: Option<PassedOn>,
    /// Time to reap.
    pub latency: LatencyRecord,
    /// What its threads did instead of waiting when they were looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doing: Vec<DoingRecord>,
    /// What its zombies cost now; absent if it has none or no limit is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<DamageRecord>,
}

/// Signals of one kind that an init did not get, for one reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drop {
    /// The init, as the program that it was then.
    pub target: ProcessRecord,
    /// Name of the signal.
    pub signal: String,
    /// Its number.
    pub number: u32,
    /// Why.
    pub reason: DropReason,
    /// How much it matters.
    pub severity: Severity,
    /// How often.
    pub count: u64,
    /// What it led to, if there is more to say than the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What to do; null if there is nothing to do.
    pub advice: Option<String>,
    /// Who sent it.
    pub senders: Vec<SenderCount>,
    /// What came of the init: `killed` (by SIGKILL), `exited` or `lives`.
    pub then: &'static str,
    /// How long after the last of these signals; null if that is not known or it lives.
    pub then_after_ns: Option<u64>,
}

/// Who sent a signal, and how often.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SenderCount {
    /// The first of them; null for the kernel.
    pub process: Option<ProcessRecord>,
    /// Its real user id; null for the kernel.
    pub uid: Option<u32>,
    /// `inside`, `outside` or `kernel`.
    pub relation: Relation,
    /// How often.
    pub count: u64,
}

/// The command that was run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Command {
    /// What was run.
    pub argv: Vec<String>,
    /// How it ended; null if it still runs.
    pub exit: Option<ExitRecord>,
}
