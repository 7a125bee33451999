//! What a recorder knew before a file of its recording began and neither `/proc` nor a map shows: each file of a
//! rotated set begins with it, so that it can be read alone.

use serde::{Deserialize, Serialize};

use super::{
    BootNs, Comm, Disposition, DropReason, Evidence, ExitStatus, FatalSignal, MemoryLimit, ProcessKey, Relation,
    SigchldAtExec, SignalOutcome,
};

/// A pid number and the inode of its namespace.
pub type KnownNumber = (u32, u32);

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A zombie that the recorder knew before this file began; `/proc` shows only that it is a zombie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownZombie {
    /// The process.
    pub process: ProcessKey,
    /// Since when it is a zombie, ns of the boot clock.
    pub since: BootNs,
    /// How well that is known.
    pub begin: KnownBegin,
    /// Who can reap it.
    pub waiter: ProcessKey,
    /// Since when, ns of the boot clock.
    pub waits_since: BootNs,
    /// When events were last lost, if any: they may have contained what is unknown about it.
    pub last_loss: Option<BootNs>,
    /// How it died; not in recordings of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub death: Option<KnownDeath>,
    /// Who could reap it before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<KnownStint>,
}

/// How well the start of a zombie is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KnownBegin {
    /// The exact time.
    Exact,
    /// The exit, a little before.
    Exit,
    /// Already a zombie when first seen: it is older.
    Found,
}

/// How a process died.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownDeath {
    /// When its last thread exited, or it was first seen dead.
    pub exited: BootNs,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ExitStatus>,
    /// Its exit was seen.
    pub is_seen: bool,
    /// The signal for the parent, 0 for none.
    pub exit_signal: i32,
    /// What became of that signal: the outcome, the number of the disposition, and whether it was blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_signal: Option<(SignalOutcome, u32, bool)>,
    /// Its numbers, which `/proc` does not show for a zombie in a namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<KnownNumber>,
}

/// A past time during which one process could have reaped a zombie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownStint {
    /// Who could.
    pub process: ProcessKey,
    /// Since when.
    pub since: BootNs,
    /// Until when.
    pub until: BootNs,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownProcess {
    /// Which.
    pub process: ProcessKey,
    /// The process that forked it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub forker: Option<ProcessKey>,
    /// The forker, if it is gone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dead_forker: Option<KnownAncestor>,
    /// Its first known parent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub origin: Option<ProcessKey>,
    /// It is a subreaper, as last known.
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_subreaper: bool,
    /// The last stop signal sent to it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub asked: Option<KnownAsked>,
    /// Signals that may have ended it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fatal: Option<Box<KnownFatal>>,
    /// Its death by SIGKILL was counted for stops.
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_counted_killed: bool,
    /// What it has from before its last exec.
    #[serde(default, skip_serializing_if = "is_default")]
    pub heritage: KnownHeritage,
    /// What it is to its children.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parent: Option<Box<KnownParent>>,
    /// Its undecided signals, if it is an init.
    #[serde(default, skip_serializing_if = "is_default")]
    pub signals: Option<Box<KnownSignals>>,
}

impl KnownProcess {
    /// A process of which only the key and the origin are known.
    #[must_use]
    pub fn of(process: ProcessKey, origin: Option<ProcessKey>) -> Self {
        Self {
            process,
            forker: None,
            dead_forker: None,
            origin,
            is_subreaper: false,
            asked: None,
            fatal: None,
            is_counted_killed: false,
            heritage: KnownHeritage::default(),
            parent: None,
            signals: None,
        }
    }
}

/// A process that is gone but has live children.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownAncestor {
    /// Its name.
    pub comm: Comm,
    /// When it exited, and how.
    #[serde(default, skip_serializing_if = "is_default")]
    pub end: Option<(BootNs, ExitStatus)>,
    /// Its own first parent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub origin: Option<ProcessKey>,
    /// How its last exec left SIGCHLD.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sigchld: Option<SigchldAtExec>,
}

/// What a process has from before its last exec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownHeritage {
    /// Former programs, and until when.
    #[serde(skip_serializing_if = "is_default")]
    pub former: Vec<(BootNs, Comm)>,
    /// Its name when it last started a child.
    #[serde(skip_serializing_if = "is_default")]
    pub forked_as: Option<Comm>,
    /// How exec left SIGCHLD.
    #[serde(skip_serializing_if = "is_default")]
    pub sigchld: Option<SigchldAtExec>,
    /// The program that set SIGCHLD to be ignored.
    #[serde(skip_serializing_if = "is_default")]
    pub ignored_as: Option<Comm>,
    /// The program that blocked SIGCHLD.
    #[serde(skip_serializing_if = "is_default")]
    pub blocked_as: Option<Comm>,
    /// Where it inherited from that SIGCHLD is ignored, and that it is blocked.
    #[serde(skip_serializing_if = "is_default")]
    pub sources: [Option<KnownSource>; 2],
}

/// Where a program got what exec kept from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KnownSource {
    /// The process itself, as a former program.
    Itself(Comm),
    /// This ancestor.
    Ancestor(ProcessKey, Comm),
    /// An ancestor of this process, the last one known.
    Before(ProcessKey, Comm),
    /// An ancestor that was not seen.
    Unseen,
}

/// What a parent did so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownParent {
    /// Zombies it reaped.
    #[serde(skip_serializing_if = "is_default")]
    pub reaped: u64,
    /// How many of those it reaped late.
    #[serde(skip_serializing_if = "is_default")]
    pub reaped_late: u64,
    /// Age from which on a reap was late, ns.
    #[serde(skip_serializing_if = "is_default")]
    pub late_ns: u64,
    /// How many it reaped without a visible wait call.
    #[serde(skip_serializing_if = "is_default")]
    pub reaped_without_wait_call: u64,
    /// When it last reaped one, as an upper bound.
    #[serde(skip_serializing_if = "is_default")]
    pub last_reap: Option<BootNs>,
    /// When it last reaped one, of those whose time is known.
    #[serde(skip_serializing_if = "is_default")]
    pub last_reap_seen: Option<BootNs>,
    /// SIGCHLDs for its children: delivered, ignored, coalesced.
    #[serde(skip_serializing_if = "is_default")]
    pub child_signals: [u64; 3],
    /// How many of these went to a handler that was not blocked.
    #[serde(skip_serializing_if = "is_default")]
    pub handled_signals: u64,
    /// When the last of these did.
    #[serde(skip_serializing_if = "is_default")]
    pub last_handled: Option<BootNs>,
    /// How long its zombies waited.
    #[serde(skip_serializing_if = "is_default")]
    pub latency: KnownLatency,
    /// Growth of the number of its zombies.
    #[serde(skip_serializing_if = "is_default")]
    pub growth: KnownGrowth,
    /// When it reaps.
    #[serde(skip_serializing_if = "is_default")]
    pub rhythm: KnownRhythm,
    /// Set if it did not run when it was looked at.
    #[serde(skip_serializing_if = "is_default")]
    pub halt: Option<KnownHalt>,
    /// The latest evidence on it, and when it was read, if zombies wait for it.
    #[serde(skip_serializing_if = "is_default")]
    pub evidence: Option<(BootNs, Box<Evidence>)>,
}

/// A distribution of durations, ns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownLatency {
    /// The durations in order of arrival, if there are few.
    #[serde(skip_serializing_if = "is_default")]
    pub few: Vec<u64>,
    /// How fine the steps are, if there are many.
    #[serde(skip_serializing_if = "is_default")]
    pub bits: u32,
    /// Steps, and how many durations each has.
    #[serde(skip_serializing_if = "is_default")]
    pub steps: Vec<(u16, u64)>,
    /// The longest.
    #[serde(skip_serializing_if = "is_default")]
    pub max: u64,
}

/// The number of a parent's zombies over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownGrowth {
    /// A few points.
    pub points: Vec<(BootNs, u64)>,
    /// Minimum time between them, ns.
    pub spacing: u64,
    /// The newest.
    pub latest: (BootNs, u64),
}

/// When a parent recently reaped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownRhythm {
    /// When bursts began, and whether it forked with them.
    #[serde(skip_serializing_if = "is_default")]
    pub bursts: Vec<(BootNs, bool)>,
    /// The last reap.
    #[serde(skip_serializing_if = "is_default")]
    pub last_reap: Option<BootNs>,
    /// The last fork.
    #[serde(skip_serializing_if = "is_default")]
    pub last_fork: Option<BootNs>,
}

/// A process that did not run when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHalt {
    /// Since when, at the latest.
    pub since: BootNs,
    /// What changes when it runs.
    pub progress: (u64, Option<u64>),
    /// It was looked at again, and had not run.
    pub is_sure: bool,
}

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSender {
    /// Who.
    pub process: ProcessKey,
    /// Its name.
    pub comm: Comm,
    /// Its number in its own namespace.
    pub ns: KnownNumber,
    /// Its real user id.
    pub uid: u32,
    /// Its parent and the parent's name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parent: Option<(ProcessKey, Comm)>,
}

/// Undecided signals of an init.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownSignals {
    /// In its queue.
    #[serde(skip_serializing_if = "is_default")]
    pub queue: Vec<KnownQueued>,
    /// Taken from the queue: when, and how often.
    #[serde(skip_serializing_if = "is_default")]
    pub taken: Vec<(BootNs, KnownSignal, u64)>,
    /// When the last query was sent, if it is still unanswered.
    #[serde(skip_serializing_if = "is_default")]
    pub asked: Option<BootNs>,
    /// Those that reached a handler, bit n-1 for signal n.
    #[serde(skip_serializing_if = "is_default")]
    pub handled: u64,
}

/// A signal that may not reach an init.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSignal {
    /// Which.
    pub signal: u32,
    /// When it was sent.
    pub time: BootNs,
    /// Why it does not reach the init.
    pub reason: DropReason,
    /// Who sent it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sender: Option<KnownSender>,
    /// Where the sender is, seen from the init.
    pub relation: Relation,
}

/// A signal in the queue of an init.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownQueued {
    /// Each sender's, and how often; at least one.
    pub sent: Vec<(KnownSignal, u64)>,
    /// Whether it matters if it stays.
    pub is_watched: bool,
    /// When it was last known to be there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub seen: Option<BootNs>,
    /// How often it was looked at.
    #[serde(default, skip_serializing_if = "is_default")]
    pub looks: usize,
    /// It was reported as dropped.
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_told: bool,
}

/// A signal sent to a process to make it exit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownAsked {
    /// Which.
    pub signal: u32,
    /// When it was first sent.
    pub first: BootNs,
    /// When it was last sent.
    pub last: BootNs,
    /// Who sent it first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sender: Option<KnownSender>,
    /// What the process did with it then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disposition: Option<Disposition>,
}

/// Signals that may have ended a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownFatal {
    /// The last of each kind.
    #[serde(skip_serializing_if = "is_default")]
    pub signals: Vec<FatalSignal>,
    /// When it last sent itself SIGABRT.
    #[serde(skip_serializing_if = "is_default")]
    pub aborted: Option<BootNs>,
    /// When its limit on CPU time was last used up.
    #[serde(skip_serializing_if = "is_default")]
    pub used_up_cpu: Option<BootNs>,
    /// Its memory limit, where the OOM killer chose it.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_limit: Option<MemoryLimit>,
}
