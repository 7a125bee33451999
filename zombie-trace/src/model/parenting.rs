//! What a process is to its children: how many zombies it has and had, and how long they waited.

use hdrhistogram::Histogram;

use super::{Growth, Rhythm, pauses::Pauses, steals::Statuses};
use crate::event::{BootNs, ChildSignal, Evidence, Handler, ProcFacts, ProcessKey, SignalOutcome};

/// Zombies of one parent.
#[derive(Clone, Debug, Default)]
pub struct Parenting {
    /// Zombies that wait for it now, of any age.
    pub zombies_now: u64,
    /// Zombies that reached the minimum age.
    pub zombies_aged: u64,
    /// Zombies it reaped, of any age.
    pub reaped: u64,
    /// Zombies it reaped after the minimum age.
    pub reaped_late: u64,
    /// Of those it reaped, how many without a wait call that could be seen (io_uring, 32-bit).
    pub reaped_unseen: u64,
    /// When it last reaped one, at the latest: where only the freeing of a zombie's memory was seen, that was earlier.
    pub last_reap: Option<BootNs>,
    /// When it last reaped one of which the time is known.
    pub last_reap_seen: Option<BootNs>,
    /// Children that were reaped by the kernel because it discards their status.
    pub auto_reaped: u64,
    /// SIGCHLD for deaths of its children, by what became of it: delivered, ignored, already pending. Children with
    /// another exit signal do not count.
    pub child_signals: [u64; 3],
    /// How many of these went to a handler that was not blocked.
    pub handled_signals: u64,
    /// When the last of them did.
    pub last_handled: Option<BootNs>,
    /// How long its zombies waited, begin and end known exactly.
    pub latency: Latency,
    /// How the number of its zombies grew.
    pub growth: Growth,
    /// What was last found out about it, and when.
    pub evidence: Option<(BootNs, Box<Evidence>)>,
    /// Whether it can run, as far as it was looked at.
    pub standing: Standing,
    /// When it reaps.
    pub rhythm: Rhythm,
    /// Children whose status another of its threads took.
    pub stolen: u64,
    /// Statuses that its threads took and missed of late.
    pub(super) statuses: Statuses,
    /// The zombie for whose sake it is looked at again as time goes on, and the timer for that.
    pub(super) review: Option<(ProcessKey, (BootNs, u64))>,
}

/// Whether a process can run. One look cannot tell: who sleeps uninterruptibly, or stops for a debugger, may do so for
/// a microsecond, and who is ready to run may be running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It does, or nothing speaks against it.
    #[default]
    Runs,
    /// When it was first looked at it could not, or perhaps not.
    Doubtful {
        /// When that was.
        since: BootNs,
        /// What would be other had it run, see [`ProcFacts::progress`].
        progress: (u64, Option<u64>),
    },
    /// It has not run since.
    Held {
        /// Since this time, at the latest.
        since: BootNs,
        /// As above.
        progress: (u64, Option<u64>),
    },
}

impl Standing {
    fn after(self, time: BootNs, facts: Option<&ProcFacts>, pauses: &Pauses) -> Self {
        let Some(facts) = facts.filter(|facts| facts.may_be_held()) else { return Self::Runs };
        let settling = if facts.is_ready() { TICKLESS_NS } else { SETTLING_NS };
        match self {
            Self::Runs => Self::Doubtful { since: time, progress: facts.progress() },
            Self::Doubtful { since, progress } | Self::Held { since, progress } => {
                if facts.progress() != progress {
                    Self::Runs
                } else if pauses.ran_ns(since, time) >= settling {
                    Self::Held { since, progress }
                } else {
                    self
                }
            }
        }
    }
}

/// Between two looks that tell whether a process can run, ns.
pub(super) const SETTLING_NS: u64 = 100_000_000;

/// For who is ready to run, ns: on a processor without a tick the kernel brings the time that somebody has run up to date
/// but once a second (`kernel/sched/core.c`, `sched_tick_remote`).
const TICKLESS_NS: u64 = 1_100_000_000;

impl Parenting {
    /// The process runs another program: what the former one did is not its doing. Its zombies are inherited.
    pub(super) fn begin_anew(&mut self) {
        *self = Self {
            zombies_now: self.zombies_now,
            zombies_aged: self.zombies_aged,
            auto_reaped: self.auto_reaped,
            stolen: self.stolen,
            review: self.review,
            ..Self::default()
        };
    }

    /// Takes in what was found out; whether that is enough to judge by.
    pub(super) fn learn(&mut self, time: BootNs, evidence: &Evidence, pauses: &Pauses) -> bool {
        self.standing = self.standing.after(time, evidence.proc.as_ref(), pauses);
        self.evidence = Some((time, Box::new(evidence.clone())));
        self.is_settled()
    }

    /// Whether a look at it after this time showed that it can run. Who was not looked at while its zombie waited may
    /// have had no processor.
    pub(super) fn was_seen_to_run(&self, since: BootNs) -> bool {
        self.standing == Standing::Runs && self.evidence.as_ref().is_some_and(|(at, _)| *at >= since)
    }

    /// Whether it is known that it can run, or that it cannot.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self.standing, Standing::Doubtful { .. })
    }

    /// SIGCHLD for the death of a child was sent to it.
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

/// So many durations are kept as they are; most parents have no more children.
const FEW: usize = 12;
/// Longest duration that is told apart, ns: a week.
const LONGEST_NS: u64 = 7 * 24 * 3600 * 1_000_000_000;

/// A distribution of durations in ns: exact while there are few, to two significant digits when there are many.
#[derive(Clone, Debug)]
pub enum Latency {
    /// As they came.
    Few(Vec<u64>),
    /// As a histogram.
    Many(Box<Histogram<u64>>),
}

impl Default for Latency {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Latency {
    /// Adds a duration, ns.
    pub fn record(&mut self, nanoseconds: u64) {
        if let Self::Few(durations) = self {
            if durations.len() < FEW {
                durations.push(nanoseconds);
                return;
            }
            // The bounds are valid constants; if they were not, the few durations would simply stay the whole truth.
            let Ok(mut histogram) = Histogram::new_with_bounds(1, LONGEST_NS, 2) else { return };
            for &duration in durations.iter() {
                histogram.saturating_record(duration);
            }
            *self = Self::Many(Box::new(histogram));
        }
        if let Self::Many(histogram) = self {
            histogram.saturating_record(nanoseconds);
        }
    }

    /// How the durations are spread: upper bounds of ranges in ns, each about twice the one before, and how many
    /// durations lie in each. Ranges at both ends that hold nothing are left out.
    #[must_use]
    pub fn spread(&self) -> Vec<(u64, u64)> {
        let mut counts = [0_u64; 64];
        let mut add = |duration: u64, count: u64| {
            let range = (u64::BITS - duration.leading_zeros()).min(63);
            if let Some(it) = usize::try_from(range).ok().and_then(|range| counts.get_mut(range)) {
                *it += count;
            }
        };
        match self {
            Self::Few(durations) => durations.iter().for_each(|&duration| add(duration, 1)),
            Self::Many(histogram) => {
                histogram.iter_recorded().for_each(|it| add(it.value_iterated_to(), it.count_at_value()));
            }
        }
        let first = counts.iter().position(|&count| count > 0).unwrap_or(0);
        let end = counts.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
        (0_u32..).zip(counts).take(end).skip(first).map(|(range, count)| ((1 << range) - 1, count)).collect()
    }

    /// How many durations there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::Few(durations) => durations.len() as u64,
            Self::Many(histogram) => histogram.len(),
        }
    }

    /// The duration at this quantile (0 to 1), ns; `None` if there is none.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        match self {
            Self::Few(durations) if durations.is_empty() => None,
            Self::Few(durations) => {
                let mut sorted = durations.clone();
                sorted.sort_unstable();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a handful of elements"
                )]
                let rank = (quantile * sorted.len() as f64).ceil() as usize;
                sorted.get(rank.clamp(1, sorted.len()) - 1).copied()
            }
            Self::Many(histogram) => Some(histogram.value_at_quantile(quantile).min(histogram.max())),
        }
    }

    /// The longest, ns.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        self.quantile(1.0)
    }
}
