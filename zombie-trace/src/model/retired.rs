//! Processes that are gone but appear in the report.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::{Bounded, Overflows, Process};
use crate::event::{Comm, ProcessKey};

/// Maximum number of exited processes kept because they left zombies unreaped, lost statuses, or missed signals.
const MAX_NOTABLE: usize = 10_000;
/// Maximum number of exited processes kept only because they discarded the statuses of their children.
const MAX_DISCARDING: usize = 1_000;
/// Maximum number of those kept separately per program. The others are added to the last one: every sshd session and
/// every cron job is such a process.
const MAX_ALIKE: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Retired {
    processes: BTreeMap<ProcessKey, Process>,
    notable: usize,
    /// Those that only discarded statuses, by name: their number, and the last of them.
    discarding: FxHashMap<Comm, (usize, ProcessKey)>,
    discarding_count: usize,
}

impl Retired {
    /// Keeps a process that is gone, if the report mentions it.
    pub(super) fn add(&mut self, process: Process, overflows: &mut Overflows) {
        if process.is_reportable() {
            if self.notable < MAX_NOTABLE {
                self.notable += 1;
                self.processes.insert(process.key, process);
            } else {
                overflows.add(Bounded::Retired);
            }
            return;
        }
        let (discarded, discarding) = process.parenting.as_ref().map_or((0, 0), |it| (it.auto_reaped, it.discarding));
        if discarded + discarding == 0 {
            return;
        }
        let alike = self.discarding.get(&process.identity.comm).copied();
        // A process whose children are not yet gone must be found by its own key later.
        if let Some((_, last)) = alike.filter(|&(count, _)| count >= MAX_ALIKE && discarding == 0) {
            if let Some(kept) = self.processes.get_mut(&last) {
                kept.parenting_mut().auto_reaped += discarded;
            }
            return;
        }
        // The others are only in the total of discarded statuses.
        if self.discarding_count < MAX_DISCARDING {
            self.discarding_count += 1;
            let count = alike.map_or(0, |(count, _)| count) + 1;
            self.discarding.insert(process.identity.comm, (count, process.key));
            self.processes.insert(process.key, process);
        }
    }

    pub(super) fn get(&self, key: ProcessKey) -> Option<&Process> {
        self.processes.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: ProcessKey) -> Option<&mut Process> {
        self.processes.get_mut(&key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Process> {
        self.processes.values()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(number: u32, name: &str) -> Process {
        let mut process = Process::new(ProcessKey { pid: number, start_ns: 0 }, 0);
        process.identity.comm[..name.len()].copy_from_slice(name.as_bytes());
        process
    }

    #[test]
    fn parents_that_only_discard_are_few_and_their_children_are_all_counted() {
        let (mut retired, mut overflows) = (Retired::default(), Overflows::default());
        for number in 0..20_000 {
            let mut process = gone(number, "sshd");
            process.parenting_mut().auto_reaped = 2;
            retired.add(process, &mut overflows);
        }
        assert_eq!((retired.iter().count(), overflows.total()), (MAX_ALIKE, 0));
        let counted: u64 = retired.iter().filter_map(|it| it.parenting.as_ref()).map(|it| it.auto_reaped).sum();
        assert_eq!(counted, 40_000);
    }

    #[test]
    fn a_parent_that_is_freed_before_its_discarded_children_is_kept_for_them() {
        let (mut retired, mut overflows) = (Retired::default(), Overflows::default());
        for number in 0..100 {
            let mut process = gone(number, "sshd");
            process.parenting_mut().discarding = 2;
            retired.add(process, &mut overflows);
        }
        let last = retired.get_mut(ProcessKey { pid: 99, start_ns: 0 });
        assert_eq!(last.and_then(|it| it.parenting.as_ref()).map(|it| it.discarding), Some(2));
    }

    #[test]
    fn names_made_up_to_fill_the_table_leave_room_for_who_let_zombies_wait() {
        let (mut retired, mut overflows) = (Retired::default(), Overflows::default());
        for number in 0..20_000 {
            let mut process = gone(number, &number.to_string());
            process.parenting_mut().auto_reaped = 1;
            retired.add(process, &mut overflows);
        }
        let mut leaky = gone(30_000, "leaky");
        leaky.parenting_mut().zombies_aged = 1;
        retired.add(leaky, &mut overflows);
        assert_eq!((retired.iter().count(), overflows.total()), (MAX_DISCARDING + 1, 0));
        assert!(retired.get(ProcessKey { pid: 30_000, start_ns: 0 }).is_some());
    }

    #[test]
    fn notable_parents_beyond_the_limit_are_counted() {
        let (mut retired, mut overflows) = (Retired::default(), Overflows::default());
        for number in 0..10_100 {
            let mut process = gone(number, "leaky");
            process.parenting_mut().zombies_aged = 1;
            retired.add(process, &mut overflows);
        }
        assert_eq!((retired.iter().count(), overflows.of(Bounded::Retired)), (MAX_NOTABLE, 100));
    }

    #[test]
    fn who_left_nothing_to_tell_is_forgotten() {
        let (mut retired, mut overflows) = (Retired::default(), Overflows::default());
        retired.add(gone(1, "true"), &mut overflows);
        assert_eq!(retired.iter().count(), 0);
    }
}
