//! Times in which nothing ran, because the machine was suspended or the virtual machine paused. They never make a reap
//! late.

use std::collections::VecDeque;

use super::Model;
use crate::event::BootNs;

/// Maximum number of pauses remembered; the oldest are forgotten.
const MAX_PAUSES: usize = 64;

/// See the module. In order of time; they do not overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct Pauses(VecDeque<(BootNs, BootNs)>);

impl Pauses {
    fn add(&mut self, from: BootNs, until: BootNs) {
        let from = self.0.back().map_or(from, |&(_, last)| from.max(last));
        if from >= until {
            return;
        }
        if self.0.len() >= MAX_PAUSES {
            self.0.pop_front();
        }
        self.0.push_back((from, until));
    }

    /// How much of this time is pauses, ns.
    fn within(&self, since: BootNs, until: BootNs) -> u64 {
        let overlap = |&(from, to): &(BootNs, BootNs)| to.min(until).saturating_sub(from.max(since));
        self.0.iter().rev().take_while(|(_, to)| *to > since).map(overlap).sum()
    }

    /// How much of this time is not pauses, ns.
    pub(super) fn ran_ns(&self, since: BootNs, until: BootNs) -> u64 {
        until.saturating_sub(since).saturating_sub(self.within(since, until))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (BootNs, BootNs)> {
        self.0.iter().copied()
    }
}

impl Model {
    pub(super) fn on_paused(&mut self, from: BootNs, until: BootNs) {
        self.pauses.add(from, until);
    }

    /// How long the machine ran between these times, ns.
    #[must_use]
    pub fn ran_ns(&self, since: BootNs, until: BootNs) -> u64 {
        self.pauses.ran_ns(since, until)
    }

    /// How long it was paused, ns.
    #[must_use]
    pub fn paused_ns(&self, since: BootNs, until: BootNs) -> u64 {
        self.pauses.within(since, until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_is_the_time_without_the_pauses() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.ran_ns(10, 50), 40);
        pauses.add(20, 30);
        pauses.add(40, 60);
        assert_eq!(pauses.ran_ns(0, 10), 10);
        assert_eq!(pauses.ran_ns(10, 50), 20);
        assert_eq!(pauses.ran_ns(25, 28), 0);
        assert_eq!(pauses.ran_ns(30, 100), 50);
        assert_eq!(pauses.ran_ns(50, 10), 0);
    }

    #[test]
    fn pauses_that_overlap_are_counted_once_and_the_oldest_forgotten() {
        let mut pauses = Pauses::default();
        pauses.add(10, 20);
        pauses.add(15, 30);
        pauses.add(12, 18);
        assert_eq!(pauses.ran_ns(0, 40), 20);
        (0..2 * MAX_PAUSES as u64).for_each(|n| pauses.add(100 + 10 * n, 105 + 10 * n));
        assert_eq!((pauses.0.len(), pauses.ran_ns(0, 40)), (MAX_PAUSES, 40));
    }
}
