//! What a process is to its children: how many zombies it has and had, and how long they waited.

use super::{Latency, ReapPattern, ZombieGrowth, pauses::Pauses, steals::RecentWaits};
use crate::event::{
    BootNs, ChildSignal, Evidence, Handler, KnownHalt, KnownParent, ProcFacts, ProcessKey, SignalOutcome,
};

/// Zombies of one parent.
#[derive(Clone, Debug, Default)]
pub struct ParentState {
    /// Zombies that wait for it now, of any age.
    pub zombies_now: u64,
    /// Zombies that reached the minimum age.
    pub zombies_aged: u64,
    /// Zombies of the minimum age that passed to another process: how many, and to which the last one did.
    pub passed_on: Option<(u64, ProcessKey)>,
    /// Zombies it reaped, of any age.
    pub reaped: u64,
    /// Zombies it reaped after the minimum age.
    pub reaped_late: u64,
    /// How many it reaped without a visible wait call (io_uring, 32-bit).
    pub reaped_without_wait_call: u64,
    /// When it last reaped one, as an upper bound: if only the freeing of the memory was seen, the reap was earlier.
    pub last_reap: Option<BootNs>,
    /// When it last reaped one, of those whose time is known.
    pub last_reap_seen: Option<BootNs>,
    /// Children that were reaped by the kernel because it discards their status.
    pub auto_reaped: u64,
    /// Children that have exited, are not yet gone, and will be reaped by the kernel.
    pub(super) discarding: u64,
    /// SIGCHLDs for its children: delivered, ignored, coalesced. Children with another exit signal do not count.
    pub child_signals: [u64; 3],
    /// How many of these went to a handler that was not blocked.
    pub handled_signals: u64,
    /// When the last of these did.
    pub last_handled: Option<BootNs>,
    /// How long its zombies waited, of those whose start and end are known exactly.
    pub latency: Latency,
    /// Growth of the number of its zombies.
    pub growth: ZombieGrowth,
    /// The latest evidence on it, and when it was read.
    pub evidence: Option<(BootNs, Box<Evidence>)>,
    /// Whether it can run, as far as known.
    pub run_state: RunState,
    /// When it reaps.
    pub rhythm: ReapPattern,
    /// Children whose status another of its threads took.
    pub stolen: u64,
    /// Statuses that its threads recently took and missed.
    pub(super) statuses: RecentWaits,
    /// The zombie whose age decides when the parent is looked at again, and the timer for that.
    pub(super) review: Option<(ProcessKey, (BootNs, u64))>,
}

/// Whether a process can run. One look cannot show it: an uninterruptible sleep or a debugger's stop may last a
/// microsecond, and a runnable process may be running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunState {
    /// It runs, or nothing contradicts that.
    #[default]
    Running,
    /// At the first look it perhaps could not run.
    Suspect {
        /// When that was.
        since: BootNs,
        /// What changes when it runs, see [`ProcFacts::progress`].
        progress: (u64, Option<u64>),
    },
    /// It has not run since; if it is frozen, it has at most woken within the kernel and frozen again.
    Blocked {
        /// Since this time, at the latest.
        since: BootNs,
        /// As above.
        progress: (u64, Option<u64>),
    },
}

impl RunState {
    /// `before` is the previous look. A process in a frozen cgroup of version 2 sleeps interruptibly: whatever wakes it
    /// makes it switch, and it freezes again before it returns to user mode (`kernel/signal.c`, `do_freezer_trap`).
    fn after(self, time: BootNs, facts: Option<&ProcFacts>, before: Option<&ProcFacts>, pauses: &Pauses) -> Self {
        let Some(facts) = facts.filter(|facts| facts.may_be_held()) else { return Self::Running };
        let settling = if facts.is_ready() { TICKLESS_NS } else { SETTLING_NS };
        let stays_frozen = facts.frozen_by.is_some() && before.is_some_and(|it| it.frozen_by == facts.frozen_by);
        match self {
            Self::Running => Self::Suspect { since: time, progress: facts.progress() },
            Self::Suspect { since, progress } | Self::Blocked { since, progress } => {
                if facts.progress() != progress && !stays_frozen {
                    Self::Running
                } else if pauses.ran_ns(since, time) >= settling {
                    Self::Blocked { since, progress }
                } else {
                    self
                }
            }
        }
    }
}

/// Upper bound on children per parent: no process had more.
const MOST: u64 = 1 << 40;

/// Time between the two looks that show whether a process can run, ns.
pub(super) const SETTLING_NS: u64 = 100_000_000;

/// The same for a runnable process, ns: on a CPU without a tick the kernel updates run times only once a second
/// (`kernel/sched/core.c`, `sched_tick_remote`).
const TICKLESS_NS: u64 = 1_100_000_000;

impl ParentState {
    /// The process has called exec: what the former program did no longer counts, but its zombies stay.
    pub(super) fn begin_anew(&mut self) {
        *self = Self {
            zombies_now: self.zombies_now,
            zombies_aged: self.zombies_aged,
            auto_reaped: self.auto_reaped,
            discarding: self.discarding,
            stolen: self.stolen,
            review: self.review,
            ..Self::default()
        };
    }

    /// For the next file of a recording, without the counts for reports: each report counts its own. `is_watched`: it is
    /// looked at for another reason than its zombies.
    pub(super) fn known(&self, min_age_ns: u64, is_watched: bool) -> KnownParent {
        let halt = match self.run_state {
            RunState::Running => None,
            RunState::Suspect { since, progress } => Some(KnownHalt { since, progress, is_sure: false }),
            RunState::Blocked { since, progress } => Some(KnownHalt { since, progress, is_sure: true }),
        };
        KnownParent {
            reaped: self.reaped,
            reaped_late: self.reaped_late,
            late_ns: if self.reaped_late > 0 { min_age_ns } else { 0 },
            reaped_without_wait_call: self.reaped_without_wait_call,
            last_reap: self.last_reap,
            last_reap_seen: self.last_reap_seen,
            child_signals: self.child_signals,
            handled_signals: self.handled_signals,
            last_handled: self.last_handled,
            latency: self.latency.known(),
            growth: self.growth.known(),
            rhythm: self.rhythm.known(),
            halt,
            evidence: self.evidence.clone().filter(|_| self.zombies_now > 0 || is_watched),
        }
    }

    /// Takes in what another reader knew. Its late reaps are late here only if the minimum age is not higher.
    pub(super) fn recall(&mut self, known: &KnownParent, min_age_ns: u64) {
        self.reaped = known.reaped.min(MOST);
        self.reaped_late = if known.late_ns >= min_age_ns { known.reaped_late.min(MOST) } else { 0 };
        self.reaped_without_wait_call = known.reaped_without_wait_call.min(MOST);
        self.last_reap = known.last_reap;
        self.last_reap_seen = known.last_reap_seen;
        self.child_signals = known.child_signals.map(|count| count.min(MOST));
        self.handled_signals = known.handled_signals.min(MOST);
        self.last_handled = known.last_handled;
        self.latency = Latency::recall(&known.latency);
        self.growth.recall(&known.growth);
        self.rhythm = ReapPattern::recall(&known.rhythm);
        if self.evidence.is_none() {
            self.evidence.clone_from(&known.evidence);
        }
        if let Some(KnownHalt { since, progress, is_sure }) = known.halt {
            self.run_state =
                if is_sure { RunState::Blocked { since, progress } } else { RunState::Suspect { since, progress } };
        }
    }

    /// Takes in evidence. Returns whether it is enough to decide by.
    pub(super) fn learn(&mut self, time: BootNs, evidence: &Evidence, pauses: &Pauses) -> bool {
        let before = self.evidence.as_ref().and_then(|(_, before)| before.proc.as_ref());
        self.run_state = self.run_state.after(time, evidence.proc.as_ref(), before, pauses);
        let mut evidence = Box::new(evidence.clone());
        if let Some((at, before)) = &self.evidence {
            evidence.doing.iter_mut().for_each(|doing| doing.compare(*at, &before.doing));
        }
        self.evidence = Some((time, evidence));
        self.is_settled()
    }

    /// Whether a look after this time showed that it can run. Without a look while its zombie waited, it may have had
    /// no CPU time.
    pub(super) fn was_seen_to_run(&self, since: BootNs) -> bool {
        self.run_state == RunState::Running && self.evidence.as_ref().is_some_and(|(at, _)| *at >= since)
    }

    /// Whether it is known that it can run, or that it cannot.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self.run_state, RunState::Suspect { .. })
    }

    /// Counts a SIGCHLD sent to it for the death of a child.
    pub(super) fn got_child_signal(&mut self, time: BootNs, signal: &ChildSignal) {
        match signal.outcome {
            SignalOutcome::Ignored => self.child_signals[1] += 1,
            SignalOutcome::AlreadyPending => self.child_signals[2] += 1,
            _ => {
                self.child_signals[0] += 1;
                if signal.handler == Handler::Function && !signal.blocked {
                    self.handled_signals += 1;
                    self.last_handled = Some(time);
                }
            }
        }
    }

    /// One more zombie.
    pub(super) fn gain(&mut self, time: BootNs) {
        self.zombies_now += 1;
        self.growth.note(time, self.zombies_now);
    }
}
