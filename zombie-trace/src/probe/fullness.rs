//! Whether the kernel's maps had room: what was refused, and for which processes something is missing.

use crate::abi::Counter;

use super::CounterValues;
use crate::event::{BootNs, KernelMap};

/// The maps that can be full, and the counters of what they refused.
const MAPS: [(KernelMap, Counter); 2] =
    [(KernelMap::Followed, Counter::FollowedFull), (KernelMap::WaitCounters, Counter::WaitStatsFull)];

/// What was refused so far.
#[derive(Clone, Debug)]
pub struct Fullness {
    looked: BootNs,
    counted: [u64; MAPS.len()],
    told: [u64; MAPS.len()],
    /// The longest time in which the map of the wait counters may have refused something.
    without_counters: Option<(BootNs, BootNs)>,
}

impl Fullness {
    /// Nothing was refused up to `started`.
    #[must_use]
    pub fn new(started: BootNs) -> Self {
        Self { looked: started, counted: [0; MAPS.len()], told: [0; MAPS.len()], without_counters: None }
    }

    /// Takes in the counters at `now`. Call it before asking whether something is missing.
    pub fn observe(&mut self, counters: &CounterValues, now: BootNs) {
        for ((map, counter), counted) in MAPS.into_iter().zip(&mut self.counted) {
            let before = std::mem::replace(counted, counters.get(counter));
            if *counted > before && map == KernelMap::WaitCounters {
                let (since, _) = self.without_counters.unwrap_or((self.looked, now));
                self.without_counters = Some((since, now));
            }
        }
        self.looked = self.looked.max(now);
    }

    /// What each map refused since the last call, without zeroes.
    pub fn news(&mut self) -> Vec<(KernelMap, u64)> {
        let mut news = Vec::new();
        for (index, (map, _)) in MAPS.into_iter().enumerate() {
            let refused = self.counted[index] - self.told[index];
            self.told[index] = self.counted[index];
            if refused > 0 {
                news.push((map, refused));
            }
        }
        news
    }

    /// Whether wait calls of a process may be uncounted: it lived while the map was full, and was not counted before.
    /// `first_call` is the first call that was counted, if one was.
    #[must_use]
    pub fn hides_calls(&self, start_ns: BootNs, first_call: Option<BootNs>) -> bool {
        self.without_counters
            .is_some_and(|(since, until)| start_ns <= until && first_call.is_none_or(|first| first >= since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(followed: u64, counters: u64) -> CounterValues {
        CounterValues::of(&[(Counter::FollowedFull, followed), (Counter::WaitStatsFull, counters)])
    }

    #[test]
    fn each_map_is_told_of_by_itself_and_each_refusal_once() {
        let mut fullness = Fullness::new(0);
        assert!(fullness.news().is_empty());
        fullness.observe(&counted(2, 0), 10);
        fullness.observe(&counted(3, 0), 20);
        assert_eq!(fullness.news(), [(KernelMap::Followed, 3)]);
        fullness.observe(&counted(3, 1), 30);
        assert_eq!(fullness.news(), [(KernelMap::WaitCounters, 1)]);
        assert!(fullness.news().is_empty());
    }

    #[test]
    fn only_who_lived_while_the_map_was_full_is_in_doubt() {
        let mut fullness = Fullness::new(100);
        fullness.observe(&counted(0, 0), 200);
        assert!(!fullness.hides_calls(50, None));
        fullness.observe(&counted(0, 4), 300);
        // It may have called wait without room in the map.
        assert!(fullness.hides_calls(50, None) && fullness.hides_calls(299, None));
        // It was in the map before, so all of its calls are counted.
        assert!(!fullness.hides_calls(50, Some(150)));
        // An earlier call may be missing.
        assert!(fullness.hides_calls(50, Some(280)) && fullness.hides_calls(50, Some(900)));
        // The map has room again.
        fullness.observe(&counted(0, 4), 400);
        assert!(!fullness.hides_calls(301, None) && !fullness.hides_calls(350, Some(360)));
        // And is full again.
        fullness.observe(&counted(0, 5), 500);
        assert!(fullness.hides_calls(350, None));
    }

    #[test]
    fn other_full_maps_hide_no_counters() {
        let mut fullness = Fullness::new(0);
        fullness.observe(&counted(9, 0), 10);
        assert!(!fullness.hides_calls(5, None));
    }
}
