//! Which processes could have reaped a zombie, from when to when.

use crate::event::{BootNs, KnownStint, ProcessKey};

/// Maximum number of waiters remembered per zombie: adopters may die one after the other.
const MAX_STINTS: usize = 8;

/// A time during which one process could have reaped a zombie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stint {
    /// The process.
    pub process: ProcessKey,
    /// Since when.
    pub since: BootNs,
    /// Until when; `None` if it still can.
    pub until: Option<BootNs>,
    /// The zombie has waited for it for the minimum age.
    pub aged: bool,
}

impl Stint {
    /// How long it lasted until `now`, ns.
    #[must_use]
    pub fn length_ns(&self, now: BootNs) -> u64 {
        self.until.unwrap_or(now).saturating_sub(self.since)
    }
}

/// The stints of one zombie, oldest first; at least one. If there are too many, the shortest are forgotten.
#[derive(Clone, Debug, PartialEq)]
pub struct Stints {
    former: Vec<Stint>,
    current: Stint,
    forgotten: u64,
}

impl Stints {
    pub(super) fn first(process: ProcessKey, since: BootNs) -> Self {
        let current = Stint { process, since, until: None, aged: false };
        Self { former: Vec::new(), current, forgotten: 0 }
    }

    /// The zombie passes to another process, whose stint starts now; no change if that process already has it.
    pub(super) fn pass(&mut self, time: BootNs, process: ProcessKey) {
        if self.current.process == process {
            return;
        }
        let since = time.max(self.current.since);
        self.former.push(Stint { until: Some(since), ..self.current });
        if self.former.len() >= MAX_STINTS {
            let shortest = self.former.iter().enumerate().min_by_key(|(_, it)| (it.aged, it.length_ns(since)));
            if let Some(index) = shortest.map(|(index, _)| index) {
                self.former.remove(index);
                self.forgotten += 1;
            }
        }
        self.current = Stint { process, since, until: None, aged: false };
    }

    /// Those that are over, for the next file of a recording.
    pub(super) fn known(&self) -> Vec<KnownStint> {
        let known = |it: &Stint| Some(KnownStint { process: it.process, since: it.since, until: it.until? });
        self.former.iter().filter_map(known).collect()
    }

    /// Takes in those that ended before this model knew the zombie. `is_aged`: whether a stint reached the minimum age.
    pub(super) fn recall(&mut self, former: &[KnownStint], is_aged: impl Fn(BootNs, BootNs) -> bool) {
        let former = former.iter().filter(|it| it.since <= it.until && it.until <= self.current.since);
        let recalled = former.take(MAX_STINTS - 1).map(|&KnownStint { process, since, until }| Stint {
            process,
            since,
            until: Some(until),
            aged: is_aged(since, until),
        });
        if self.former.is_empty() {
            self.former = recalled.collect();
        }
    }

    /// The present one.
    #[must_use]
    pub fn current(&self) -> Stint {
        self.current
    }

    pub(super) fn current_mut(&mut self) -> &mut Stint {
        &mut self.current
    }

    /// All stints, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Stint> {
        self.former.iter().chain(std::iter::once(&self.current))
    }

    /// How many short ones were forgotten.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The process it is attributed to: the one with the longest stint of at least the minimum age, or else the present
    /// one.
    #[must_use]
    pub fn longest_aged(&self, now: BootNs) -> Stint {
        self.iter().filter(|it| it.aged).max_by_key(|it| it.length_ns(now)).copied().unwrap_or(self.current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn process(pid: u32) -> ProcessKey {
        ProcessKey { pid, start_ns: 0 }
    }

    #[test]
    fn a_zombie_that_passes_on_leaves_no_gap() {
        let mut stints = Stints::first(process(1), 10);
        stints.pass(20, process(1));
        stints.pass(50, process(2));
        stints.pass(60, process(3));
        let all: Vec<_> = stints.iter().map(|it| (it.process.pid, it.since, it.until)).collect();
        assert_eq!(all, [(1, 10, Some(50)), (2, 50, Some(60)), (3, 60, None)]);
    }

    #[test]
    fn who_let_it_wait_is_named_though_another_reaps() {
        let mut stints = Stints::first(process(1), 10);
        stints.current_mut().aged = true;
        stints.pass(50, process(2));
        assert_eq!(stints.longest_aged(1_000).process, process(1));
    }

    #[test]
    fn of_many_stints_the_long_ones_are_kept() {
        let mut stints = Stints::first(process(1), 0);
        stints.current_mut().aged = true;
        for number in 2..1_000 {
            stints.pass(1_000_000 + u64::from(number), process(number));
        }
        assert_eq!(stints.iter().count(), MAX_STINTS);
        assert_eq!(stints.forgotten(), 999 - MAX_STINTS as u64);
        assert!(stints.iter().any(|it| it.process == process(1)));
        assert_eq!(stints.current().process, process(999));
    }
}
