//! Which workloads the events come from. The busiest one fills the ring.

use std::collections::BTreeMap;

/// Maximum number of cgroups counted at a time. A new one takes the place and the count of the smallest, so a count is
/// too high by at most this fraction of all events (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent
/// and top-k elements in data streams", 2005).
const COUNTED: usize = 16;
/// Number of events after which all counts are halved: about as many fit into the ring.
const HALVE_AT: u64 = 1 << 16;
/// Maximum number of workloads remembered as busiest when events were lost.
const MAX_REMEMBERED: usize = 64;
/// Share of the events, percent, from which on one workload is said to have filled the ring.
const MOST: u64 = 50;

/// Recent events by cgroup, and lost events by the cgroup that was busiest at the time.
#[derive(Clone, Debug, Default)]
pub(super) struct Busiest {
    counts: Vec<(u64, u64)>,
    total: u64,
    lost: BTreeMap<u64, u64>,
}

impl Busiest {
    /// Counts an event of a process in this cgroup.
    pub(super) fn add(&mut self, cgroup: u64) {
        self.total += 1;
        if let Some((_, count)) = self.counts.iter_mut().find(|(it, _)| *it == cgroup) {
            *count += 1;
        } else if self.counts.len() < COUNTED {
            self.counts.push((cgroup, 1));
        } else if let Some(least) = self.counts.iter_mut().min_by_key(|(_, count)| *count) {
            *least = (cgroup, least.1 + 1);
        }
        if self.total >= HALVE_AT {
            self.total /= 2;
            self.counts.iter_mut().for_each(|(_, count)| *count /= 2);
        }
    }

    pub(super) fn lost(&mut self, events: u64) {
        let most = self.counts.iter().max_by_key(|(_, count)| *count);
        let Some(&(cgroup, _)) = most.filter(|(_, count)| count * 100 >= self.total * MOST) else { return };
        if self.lost.len() < MAX_REMEMBERED || self.lost.contains_key(&cgroup) {
            *self.lost.entry(cgroup).or_default() += events;
        }
    }

    /// The cgroup that was busiest when most events were lost, and how many were lost then.
    pub(super) fn when_lost(&self) -> Option<(u64, u64)> {
        self.lost.iter().map(|(&cgroup, &lost)| (cgroup, lost)).filter(|(cgroup, _)| *cgroup != 0).max_by_key(|it| it.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_laid_to_the_workload_that_most_events_came_from() {
        let mut busiest = Busiest::default();
        busiest.lost(7);
        assert_eq!(busiest.when_lost(), None, "nobody was seen");
        for number in 0..100_000 {
            // A storm in one cgroup, and a few events in each of many others.
            busiest.add(if number % 4 == 0 { 1_000 + number } else { 5 });
        }
        busiest.lost(10);
        assert_eq!(busiest.when_lost(), Some((5, 10)));
        for _ in 0..HALVE_AT {
            busiest.add(6);
        }
        busiest.lost(90);
        assert_eq!(busiest.when_lost(), Some((6, 90)), "another one is busy now");
        assert!(busiest.counts.len() <= COUNTED);
    }

    #[test]
    fn where_none_stands_out_nobody_is_named() {
        let mut busiest = Busiest::default();
        for number in 0..30_000 {
            busiest.add(number % 3 + 1);
        }
        busiest.lost(10);
        assert_eq!(busiest.when_lost(), None);
    }
}
