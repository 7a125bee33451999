//! How fast zombies gather.

use crate::event::{BootNs, KnownGrowth};

/// Maximum number of points; beyond that, every second one is dropped and they are taken half as often.
const MAX_POINTS: usize = 32;
/// Minimum number of points for a rate.
const MIN_POINTS: usize = 8;
/// Minimum time they must span, ns: a burst says nothing about an hour.
const MIN_SPAN_NS: u64 = 3_000_000_000;
const HOUR_NS: u128 = 3_600_000_000_000;

/// The number of a parent's zombies over time, as a few points.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZombieGrowth {
    points: Vec<(BootNs, u64)>,
    /// The least time between points, ns.
    spacing: u64,
    /// The newest, kept or not.
    latest: (BootNs, u64),
}

impl ZombieGrowth {
    /// For the next file of a recording.
    pub(super) fn known(&self) -> KnownGrowth {
        KnownGrowth { points: self.points.clone(), spacing: self.spacing, latest: self.latest }
    }

    /// The points that another reader knew, followed by its own.
    pub(super) fn recall(&mut self, known: &KnownGrowth) {
        let before = known.points.iter().take(MAX_POINTS).copied().collect();
        let own = std::mem::replace(self, Self { points: before, spacing: known.spacing, latest: known.latest });
        // Zombies found again are not growth.
        if own.latest.0 > known.latest.0 && own.latest.1 > known.latest.1 {
            self.note(own.latest.0, own.latest.1);
        }
    }

    /// Notes the current number of zombies.
    pub fn note(&mut self, time: BootNs, zombies: u64) {
        self.latest = (time, zombies);
        if let Some(&(last, _)) = self.points.last()
            && time < last.saturating_add(self.spacing)
        {
            return;
        }
        if self.points.len() == MAX_POINTS {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            let span = time.saturating_sub(self.points.first().map_or(time, |first| first.0));
            self.spacing = span / (MAX_POINTS as u64 / 2);
        }
        self.points.push((time, zombies));
    }

    /// Current growth in zombies per hour; `None` if it is unknown or they do not grow.
    ///
    /// The lower of the rates over the whole time and over its second half: a burst that is over is not growth.
    #[must_use]
    pub fn per_hour(&self, now: BootNs, zombies_now: u64) -> Option<u64> {
        let &(first, at_first) = self.points.first()?;
        let span = now.saturating_sub(first);
        if self.points.len() < MIN_POINTS || span < MIN_SPAN_NS {
            return None;
        }
        let middle = first + span / 2;
        let until_then = |point: &&(BootNs, u64)| point.0 <= middle;
        let &(half, at_half) = std::iter::once(&self.latest).chain(self.points.iter().rev()).find(until_then)?;
        let rate = |from: BootNs, count: u64| {
            let gained = u128::from(zombies_now.saturating_sub(count));
            let span = u128::from(now.saturating_sub(from)).max(1);
            u64::try_from(gained * HOUR_NS / span).unwrap_or(u64::MAX)
        };
        Some(rate(first, at_first).min(rate(half, at_half))).filter(|&rate| rate > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn steady(count: u64) -> ZombieGrowth {
        let mut growth = ZombieGrowth::default();
        (1..=count).for_each(|index| growth.note(index * SECOND, index));
        growth
    }

    #[test]
    fn a_steady_leak_has_a_rate_however_long_it_lasts() {
        for count in [10, 100, 10_000] {
            let rate = steady(count).per_hour(count * SECOND, count).unwrap();
            assert!((3300..=3700).contains(&rate), "{count}: {rate}");
        }
    }

    #[test]
    fn few_points_or_a_short_time_make_no_rate() {
        assert_eq!(steady(5).per_hour(100 * SECOND, 5), None);
        let mut burst = ZombieGrowth::default();
        (1..=1000).for_each(|index| burst.note(SECOND + index, index));
        assert_eq!(burst.per_hour(2 * SECOND, 1000), None);
    }

    #[test]
    fn a_burst_that_is_over_is_no_growth() {
        let mut growth = ZombieGrowth::default();
        (1..=1000).for_each(|index| growth.note(SECOND + index, index));
        assert_eq!(growth.per_hour(3600 * SECOND, 1000), None);
    }

    #[test]
    fn points_are_bounded() {
        assert!(steady(100_000).points.len() <= MAX_POINTS);
    }
}
