//! What zombies cost: they hold pids, and pids are limited.

use super::words::duration;
use crate::{
    event::{BootNs, PidLimits, Usage},
    model::{Limit, LimitKind, ZombieGrowth, all_limits},
};

const HOUR_NS: u128 = 3_600_000_000_000;

/// One limit, and how much of it zombies hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitUsage {
    /// The limit.
    pub limit: Limit,
    /// How much of it is used, by any process.
    pub usage: Usage,
    /// How many of these are zombies of the parent.
    pub zombies: u64,
}

/// What the zombies of a parent cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// How many there are.
    pub zombies: u64,
    /// The limits they count against, the innermost first.
    pub limits: Vec<LimitUsage>,
    /// Growth per hour; `None` if it is unknown or there is none.
    pub growth_per_hour: Option<u64>,
    /// When the first of the limits is used up at this rate, ns; 0 if one is.
    pub exhausted_in_ns: Option<u64>,
}

/// The damage of this many zombies of a parent; `held` counts those of them that count against a limit.
#[must_use]
pub fn damage(
    zombies: u64,
    limits: &PidLimits,
    held: impl Fn(&Limit) -> u64,
    growth: &ZombieGrowth,
    now: BootNs,
) -> Option<Damage> {
    if zombies == 0 {
        return None;
    }
    let limits: Vec<LimitUsage> = all_limits(limits)
        .into_iter()
        .filter_map(|limit| Some(LimitUsage { usage: limit.usage?, zombies: held(&limit), limit }))
        .filter(|held| held.zombies > 0)
        .collect();
    let growth_per_hour = growth.per_hour(now, zombies);
    let left = limits.iter().map(|held| held.usage.allowed.saturating_sub(held.usage.used)).min();
    let exhausted_in_ns = match (left, growth_per_hour) {
        (Some(0), _) => Some(0),
        (Some(left), Some(rate)) => u64::try_from(u128::from(left) * HOUR_NS / u128::from(rate.max(1))).ok(),
        _ => None,
    };
    Some(Damage { zombies, limits, growth_per_hour, exhausted_in_ns })
}

impl Damage {
    /// The limit that is used up most, in a sentence: `its zombies hold 1000 of 1002 pids of this container; at this
    /// rate the limit is reached in 3 min`.
    #[must_use]
    pub fn in_words(&self, in_container: bool) -> Option<String> {
        let share = |held: &LimitUsage| u128::from(held.zombies) * 1_000_000 / u128::from(held.usage.allowed.max(1));
        let worst = self.limits.iter().max_by_key(|held| share(held))?;
        let mut words = format!(
            "its zombies hold {} of {} pids of {}",
            worst.zombies,
            worst.usage.allowed,
            whose(&worst.limit, in_container),
        );
        match self.exhausted_in_ns {
            Some(0) => words.push_str("; none are left"),
            Some(left) => words.push_str(&format!("; at this rate the limit is reached in {}", duration(left))),
            None => {}
        }
        Some(words)
    }
}

/// Which pids a limit counts.
#[must_use]
pub fn whose(limit: &Limit, in_container: bool) -> String {
    match (limit.kind, &limit.path) {
        (LimitKind::PidsMax, _) if in_container => "this container".to_owned(),
        (LimitKind::PidsMax, Some(path)) => {
            format!("the cgroup {}", crate::text::escape::text(path.as_bytes()))
        }
        (LimitKind::PidsMax, None) => "its cgroup".to_owned(),
        (LimitKind::Rlimit, _) => "its user".to_owned(),
        (LimitKind::PidMax | LimitKind::ThreadsMax | LimitKind::DeadPidNamespace | LimitKind::Unknown, _) => {
            "this machine".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{PidsUsage, ProcessKey};

    fn limits(current: u64) -> PidLimits {
        PidLimits {
            cgroups: vec![PidsUsage { path: "/app".into(), current, max: Some(1002), refused: 0 }],
            pid_max: Some(Usage { used: 2000, allowed: 4_194_304 }),
            ..PidLimits::unknown(ProcessKey { pid: 7, start_ns: 1 })
        }
    }

    #[test]
    fn the_limit_with_the_largest_share_is_told() {
        let damage = damage(1000, &limits(1002), |_| 1000, &ZombieGrowth::default(), 5).unwrap();
        let kinds: Vec<_> = damage.limits.iter().map(|held| held.limit.kind).collect();
        assert_eq!(kinds, [LimitKind::PidsMax, LimitKind::PidMax]);
        assert_eq!(damage.exhausted_in_ns, Some(0));
        let words = damage.in_words(true).unwrap();
        assert_eq!(words, "its zombies hold 1000 of 1002 pids of this container; none are left");
    }

    #[test]
    fn without_a_rate_there_is_no_forecast() {
        let damage = damage(10, &limits(500), |_| 10, &ZombieGrowth::default(), 5).unwrap();
        assert_eq!((damage.growth_per_hour, damage.exhausted_in_ns), (None, None));
        assert_eq!(damage.in_words(false).unwrap(), "its zombies hold 10 of 1002 pids of the cgroup /app");
    }

    #[test]
    fn a_steady_leak_has_a_forecast() {
        const SECOND: u64 = 1_000_000_000;
        let mut growth = ZombieGrowth::default();
        (1..=100).for_each(|index| growth.note(index * SECOND, index));
        let damage = damage(100, &limits(822), |_| 100, &growth, 100 * SECOND).unwrap();
        let words = damage.in_words(true).unwrap();
        assert!(
            words.ends_with("at this rate the limit is reached in 3 min 0 s") || words.contains("reached in 2 min 5"),
            "{words}"
        );
    }

    #[test]
    fn no_zombies_do_no_damage() {
        assert_eq!(damage(0, &limits(1002), |_| 0, &ZombieGrowth::default(), 5), None);
    }
}
