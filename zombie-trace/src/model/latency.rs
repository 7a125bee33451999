//! The distribution of any number of durations in little memory.

use crate::event::KnownLatency;

/// Maximum number of durations kept exactly; most parents have no more children.
const FEW: usize = 12;
/// Each range from one power of two to the next has at most 2^`FINEST` steps: two significant digits.
const FINEST: u32 = 7;
/// Maximum number of steps of one parent that hold a duration. There may be 10 000 parents.
const STEPS_OF_PARENT: usize = 128;
/// The same for all parents together.
const STEPS_OF_ALL: usize = 4_096;

/// Maximum number of durations in a step: more than any kernel's processes.
const MOST: u64 = 1 << 40;

/// A distribution of durations in ns: exact while there are few, then to two significant digits, and coarser only if
/// they need more steps than can be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    max_steps: usize,
    durations: Durations,
}

#[derive(Clone, Debug, PartialEq)]
enum Durations {
    /// In order of arrival.
    Few(Vec<u64>),
    /// By steps.
    Many(Box<Steps>),
}

/// A histogram without its empty steps.
#[derive(Clone, Debug, PartialEq)]
struct Steps {
    /// How fine they are, see [`FINEST`].
    bits: u32,
    /// Number of a step and how many durations it has, in order.
    counts: Vec<(u16, u64)>,
    max: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { max_steps: STEPS_OF_PARENT, durations: Durations::Few(Vec::new()) }
    }
}

impl Latency {
    /// For the durations of all parents.
    #[must_use]
    pub fn of_all() -> Self {
        Self { max_steps: STEPS_OF_ALL, ..Self::default() }
    }

    /// Adds a duration, ns.
    pub fn record(&mut self, nanoseconds: u64) {
        self.record_times(nanoseconds, 1);
    }

    fn record_times(&mut self, nanoseconds: u64, count: u64) {
        match &mut self.durations {
            Durations::Few(durations) if count == 1 && durations.len() < FEW => durations.push(nanoseconds),
            Durations::Few(durations) => {
                let mut steps = Steps { bits: FINEST, counts: Vec::new(), max: 0 };
                durations.iter().for_each(|&duration| steps.record(duration, 1, self.max_steps));
                steps.record(nanoseconds, count, self.max_steps);
                self.durations = Durations::Many(Box::new(steps));
            }
            Durations::Many(steps) => steps.record(nanoseconds, count, self.max_steps),
        }
    }

    /// Adds all of another distribution, as finely as that has them.
    pub fn add(&mut self, other: &Self) {
        match &other.durations {
            Durations::Few(durations) => durations.iter().for_each(|&duration| self.record(duration)),
            Durations::Many(steps) => {
                for &(step, count) in &steps.counts {
                    self.record_times(last_of(step, steps.bits).min(steps.max), count);
                }
            }
        }
    }

    /// For the next file of a recording.
    pub(super) fn known(&self) -> KnownLatency {
        match &self.durations {
            Durations::Few(few) => KnownLatency { few: few.clone(), ..KnownLatency::default() },
            Durations::Many(steps) => {
                KnownLatency { few: Vec::new(), bits: steps.bits, steps: steps.counts.clone(), max: steps.max }
            }
        }
    }

    /// The durations of a parent, from another reader; none if they are impossible.
    pub(super) fn recall(known: &KnownLatency) -> Self {
        let KnownLatency { few, bits, steps, max } = known;
        let is_in_order = || steps.is_sorted_by(|a, b| a.0 < b.0);
        let is_step = |&(step, count): &(u16, u64)| step <= step_of(u64::MAX, *bits) && (1..=MOST).contains(&count);
        let durations = if steps.is_empty() && few.len() <= FEW {
            Durations::Few(few.clone())
        } else if steps.len() <= STEPS_OF_PARENT && *bits <= FINEST && is_in_order() && steps.iter().all(is_step) {
            Durations::Many(Box::new(Steps { bits: *bits, counts: steps.clone(), max: *max }))
        } else {
            Durations::Few(Vec::new())
        };
        Self { durations, ..Self::default() }
    }

    /// The distribution as upper bounds of ranges in ns, each about twice the one before, with the number of durations
    /// in each. Empty ranges at both ends are left out.
    #[must_use]
    pub fn spread(&self) -> Vec<(u64, u64)> {
        let mut counts = [0_u64; 64];
        let mut add = |duration: u64, count: u64| {
            let range = (u64::BITS - duration.leading_zeros()).min(63);
            if let Some(it) = usize::try_from(range).ok().and_then(|range| counts.get_mut(range)) {
                *it += count;
            }
        };
        match &self.durations {
            Durations::Few(durations) => durations.iter().for_each(|&duration| add(duration, 1)),
            Durations::Many(steps) => {
                steps.counts.iter().for_each(|&(step, count)| add(last_of(step, steps.bits), count));
            }
        }
        let first = counts.iter().position(|&count| count > 0).unwrap_or(0);
        let end = counts.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
        (0_u32..).zip(counts).take(end).skip(first).map(|(range, count)| ((1 << range) - 1, count)).collect()
    }

    /// How many durations there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.durations {
            Durations::Few(durations) => durations.len() as u64,
            Durations::Many(steps) => steps.counts.iter().map(|&(_, count)| count).sum(),
        }
    }

    /// The duration at this quantile (0 to 1), ns; `None` if there is none.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let rank = rank(quantile, self.count())?;
        match &self.durations {
            Durations::Few(durations) => {
                let mut sorted = durations.clone();
                sorted.sort_unstable();
                usize::try_from(rank).ok().and_then(|rank| sorted.get(rank).copied())
            }
            Durations::Many(steps) => {
                let mut before = 0;
                let holds_it = |&&(_, count): &&(u16, u64)| {
                    before += count;
                    before > rank
                };
                let step = steps.counts.iter().find(holds_it);
                step.map(|&(step, _)| last_of(step, steps.bits).min(steps.max))
            }
        }
    }

    /// The longest, ns.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        self.quantile(1.0)
    }
}

/// Index of this quantile among `count` sorted durations.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the rank is between 0 and the count"
)]
fn rank(quantile: f64, count: u64) -> Option<u64> {
    let last = count.checked_sub(1)?;
    Some(((quantile * count as f64).ceil() as u64).saturating_sub(1).min(last))
}

impl Steps {
    fn record(&mut self, duration: u64, count: u64, max_steps: usize) {
        self.max = self.max.max(duration);
        let step = step_of(duration, self.bits);
        match self.counts.binary_search_by_key(&step, |&(step, _)| step) {
            Ok(index) => self.counts[index].1 += count,
            Err(index) => {
                self.counts.insert(index, (step, count));
                while self.counts.len() > max_steps && self.bits > 0 {
                    self.coarsen();
                }
            }
        }
    }

    /// Merges steps in pairs.
    fn coarsen(&mut self) {
        let finer = self.bits;
        self.bits -= 1;
        for (step, _) in &mut self.counts {
            *step = step_of(last_of(*step, finer), self.bits);
        }
        self.counts.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 += next.1;
            }
            is_same
        });
    }
}

/// The number of the step that a duration is in. Below 2^`bits` each duration has its own.
fn step_of(duration: u64, bits: u32) -> u16 {
    let octave = duration.checked_ilog2().map_or(0, |log| log.saturating_sub(bits));
    // At most 64 octaves of 2^7 steps.
    u16::try_from((u64::from(octave) << bits) + (duration >> octave)).unwrap_or(u16::MAX)
}

/// The longest duration in a step.
fn last_of(step: u16, bits: u32) -> u64 {
    let octave = u32::from(step >> bits).saturating_sub(1);
    let first = u64::from(step) - (u64::from(octave) << bits);
    // The last step ends at `u64::MAX`.
    (((u128::from(first) + 1) << octave) - 1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_duration_lies_in_one_step() {
        for bits in 0..=FINEST {
            let mut before = None;
            for step in 0..step_of(u64::MAX, bits) {
                let last = last_of(step, bits);
                assert!(before.is_none_or(|it| it < last), "{step} of {bits}");
                assert_eq!(step_of(last, bits), step);
                assert_eq!(step_of(last + 1, bits), step + 1);
                before = Some(last);
            }
            assert_eq!(last_of(step_of(u64::MAX, bits), bits), u64::MAX);
        }
    }

    #[test]
    fn a_sum_has_the_durations_of_both() {
        let of = |durations: std::ops::Range<u64>| {
            let mut latency = Latency::of_all();
            durations.for_each(|it| latency.record(it * 1_000));
            latency
        };
        for (first, second) in [(0..3, 3..6), (0..3, 3..500), (0..500, 500..900), (0..500, 500..503)] {
            let (mut sum, end) = (of(first), second.end);
            sum.add(&of(second));
            assert_eq!((sum.count(), sum.max()), (end, Some((end - 1) * 1_000)));
            let (median, exact) = (sum.quantile(0.5).unwrap(), (end - 1) * 500);
            assert!(median.abs_diff(exact) <= 500 + exact / 50, "{median} is about {exact}");
        }
    }

    #[test]
    fn few_are_exact() {
        let mut latency = Latency::default();
        assert_eq!((latency.quantile(0.5), latency.max(), latency.count()), (None, None, 0));
        for duration in [7_001, 3_002, 5_003] {
            latency.record(duration);
        }
        assert_eq!((latency.quantile(0.5), latency.max(), latency.count()), (Some(5_003), Some(7_001), 3));
        assert_eq!(latency.spread(), [(4_095, 1), (8_191, 2)]);
    }

    #[test]
    fn a_parent_with_every_duration_there_is_costs_little() {
        let mut latency = Latency::default();
        for step in 0..100_000_u64 {
            latency.record(step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (step % 64));
        }
        let Durations::Many(steps) = &latency.durations else { panic!("they are many") };
        assert!(steps.counts.capacity() <= 2 * STEPS_OF_PARENT, "{}", steps.counts.capacity());
        assert_eq!(latency.count(), 100_000);
    }

    proptest! {
        #[test]
        fn a_quantile_is_near_the_exact_one_and_the_longest_is_exact(
            durations in proptest::collection::vec(1_000_000u64..60_000_000, 1..400),
            quantile in 0.0f64..1.0,
        ) {
            let mut latency = Latency::of_all();
            durations.iter().for_each(|&it| latency.record(it));
            let mut sorted = durations;
            sorted.sort_unstable();
            prop_assert_eq!(latency.max(), sorted.last().copied());
            let exact = sorted[usize::try_from(rank(quantile, sorted.len() as u64).unwrap()).unwrap()];
            let told = latency.quantile(quantile).unwrap();
            prop_assert!(exact <= told && told - exact <= exact >> FINEST, "{} is told as {}", exact, told);
            let spread: u64 = latency.spread().iter().map(|&(_, count)| count).sum();
            prop_assert_eq!((latency.count(), spread), (sorted.len() as u64, sorted.len() as u64));
        }
    }
}
