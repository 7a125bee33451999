//! When a parent reaps: in bursts, with its forks, by the clock.

use std::collections::VecDeque;

use crate::event::{BootNs, KnownRhythm};

/// Maximum gap, ns, between reaps of one burst, and between a burst and the fork that belongs to it.
const BURST_GAP_NS: u64 = 50_000_000;
/// Maximum number of bursts remembered.
const BURSTS: usize = 8;
/// Minimum number of bursts that show a pattern.
const MIN_BURSTS: usize = 3;

/// The times at which a parent recently reaped.
#[derive(Clone, Debug, Default)]
pub struct ReapPattern {
    bursts: VecDeque<Burst>,
    last_reap: Option<BootNs>,
    last_fork: Option<BootNs>,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    began: BootNs,
    with_fork: bool,
}

impl ReapPattern {
    pub(super) fn reaped(&mut self, time: BootNs) {
        // One of which more is known now was counted when it happened.
        if self.last_reap >= Some(time) {
            return;
        }
        if !is_near(self.last_reap, time) {
            if self.bursts.len() == BURSTS {
                self.bursts.pop_front();
            }
            self.bursts.push_back(Burst { began: time, with_fork: is_near(self.last_fork, time) });
        }
        self.last_reap = Some(time);
    }

    pub(super) fn forked(&mut self, time: BootNs) {
        if is_near(self.last_reap, time)
            && let Some(burst) = self.bursts.back_mut()
        {
            burst.with_fork = true;
        }
        self.last_fork = Some(time);
    }

    /// For the next file of a recording.
    pub(super) fn known(&self) -> KnownRhythm {
        let bursts = self.bursts.iter().map(|burst| (burst.began, burst.with_fork)).collect();
        KnownRhythm { bursts, last_reap: self.last_reap, last_fork: self.last_fork }
    }

    /// The times that another reader knew.
    pub(super) fn recall(known: &KnownRhythm) -> Self {
        let bursts = known.bursts.iter().take(BURSTS).map(|&(began, with_fork)| Burst { began, with_fork });
        Self { bursts: bursts.collect(), last_reap: known.last_reap, last_fork: known.last_fork }
    }

    /// When it last forked; `None` if no fork was seen.
    #[must_use]
    pub fn last_fork(&self) -> Option<BootNs> {
        self.last_fork
    }

    /// How many recent bursts there were, if each came with a fork.
    #[must_use]
    pub fn with_forks(&self) -> Option<usize> {
        (self.bursts.len() >= MIN_BURSTS && self.bursts.iter().all(|burst| burst.with_fork))
            .then_some(self.bursts.len())
    }

    /// The time between bursts, ns, if it is constant to within an eighth.
    #[must_use]
    pub fn period(&self) -> Option<u64> {
        let gaps: Vec<u64> =
            self.bursts.iter().zip(self.bursts.iter().skip(1)).map(|(a, b)| b.began.saturating_sub(a.began)).collect();
        let (shortest, longest) = (*gaps.iter().min()?, *gaps.iter().max()?);
        let mean = gaps.iter().sum::<u64>() / gaps.len() as u64;
        (self.bursts.len() > MIN_BURSTS && longest - shortest <= mean / 8).then_some(mean)
    }
}

fn is_near(earlier: Option<BootNs>, time: BootNs) -> bool {
    earlier.is_some_and(|earlier| time.saturating_sub(earlier) <= BURST_GAP_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn bursts_by_the_clock_have_a_period() {
        let mut rhythm = ReapPattern::default();
        for round in 1..=4 {
            assert_eq!(rhythm.period(), None, "{round}");
            (0..3).for_each(|reap| rhythm.reaped((600 * round + reap) * MS));
        }
        assert_eq!(rhythm.period(), Some(600 * MS));
        rhythm.reaped(9_000 * MS);
        assert_eq!(rhythm.period(), None);
    }

    #[test]
    fn reaping_at_the_next_fork_is_a_habit_whichever_comes_first() {
        let mut rhythm = ReapPattern::default();
        for round in 1..=3 {
            assert_eq!(rhythm.with_forks(), None, "{round}");
            let (fork, reap) = if round == 2 { (1, 0) } else { (0, 1) };
            let mut steps = [(fork, true), (reap, false)];
            steps.sort_unstable();
            for (at, is_fork) in steps {
                let time = (1000 * round * round + at) * MS;
                if is_fork { rhythm.forked(time) } else { rhythm.reaped(time) }
            }
        }
        assert_eq!((rhythm.with_forks(), rhythm.period()), (Some(3), None));
        rhythm.reaped(20_000 * MS);
        assert_eq!(rhythm.with_forks(), None, "once without a fork");
    }
}
