//! Whether a parent's pattern so far explains that it has not waited yet.
//!
//! One reap long ago does not count. What counts is how long the parent took before: a parent that reaps every five
//! seconds is not silent after three.

use super::{Case, MIN_OBSERVATION_NS};
use crate::event::{BootNs, WaitActivity};

/// A silence longer than this many times the usual delay is not explained by the pattern.
const PATIENCE: u64 = 2;

/// Which wait calls a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// All of them.
    All,
    /// Those for any child, the only ones that reap adopted children.
    ForAny,
}

/// When the waiter last began a wait call or reaped; 0 if never.
fn last_sign(case: &Case<'_>, waits: &WaitActivity, calls: Calls) -> BootNs {
    match calls {
        Calls::All => {
            let reaped = case.parenting().and_then(|parenting| parenting.last_reap_seen).unwrap_or(0);
            waits.last_call_ns.max(reaped)
        }
        Calls::ForAny => waits.last_any_ns,
    }
}

/// How long the waiter had been silent while it could have reaped the zombie, ns, when it was looked at.
pub(super) fn silence(case: &Case<'_>, waits: &WaitActivity, calls: Calls) -> u64 {
    let looked_at = case.evidence().map_or(case.since, |(at, _)| at);
    case.model.ran_ns(case.since.max(last_sign(case, waits, calls)), looked_at)
}

/// Whether the waiter may still wait, by its own rhythm.
pub(super) fn explains_silence(case: &Case<'_>, waits: &WaitActivity, calls: Calls) -> bool {
    let silence = silence(case, waits, calls);
    let shows_itself = last_sign(case, waits, calls) >= case.since && silence < case.model.config().min_age_ns;
    // A parent that reaps its children by pid before each fork does not reap orphans that way.
    let may_reap_at_fork = (calls == Calls::All || waits.any_calls > 0) && reaps_at_next_fork(case);
    shows_itself || may_reap_at_fork || silence <= usual_delay(case, waits, calls).saturating_mul(PATIENCE)
}

/// Whether the zombie is no older than those that the waiter reaped late, so that it may still be reaped. A single reap
/// does not count.
pub(super) fn may_yet_reap(case: &Case<'_>) -> bool {
    let Some(parenting) = case.parenting().filter(|parenting| parenting.reaped_late > 1) else { return false };
    let slowest = parenting.latency.max().unwrap_or(0);
    reaps_at_next_fork(case) || case.watched_for() <= slowest.saturating_mul(PATIENCE)
}

/// How long the waiter takes to reap, or to check for children, ns; 0 if unknown.
pub(super) fn usual_delay(case: &Case<'_>, waits: &WaitActivity, calls: Calls) -> u64 {
    let by_calls = interval(waits, calls);
    // Without calls for any child, it reaps only its own, however regularly.
    if calls == Calls::ForAny && waits.any_calls == 0 {
        return 0;
    }
    let (slowest, period) = case
        .parenting()
        .map_or((0, 0), |parenting| (parenting.latency.max().unwrap_or(0), parenting.rhythm.period().unwrap_or(0)));
    // The interval of calls also depends on how often children exit: a server that starts one an hour must not get two
    // hours.
    slowest.max(period).max(by_calls.min(MIN_OBSERVATION_NS))
}

/// The mean time between rounds of calls, ns.
fn interval(waits: &WaitActivity, calls: Calls) -> u64 {
    let (made, last) = match calls {
        Calls::All => (waits.calls, waits.last_call_ns),
        Calls::ForAny => (waits.any_calls, waits.last_any_ns),
    };
    // A loop until nothing is left makes one more call than it reaps.
    let rounds = match made.saturating_sub(waits.successes) {
        0 | 1 => made,
        unsuccessful => unsuccessful,
    };
    last.saturating_sub(waits.first_call_ns).checked_div(rounds.saturating_sub(1)).unwrap_or(0)
}

/// Whether it reaps when it forks, and has not forked since.
fn reaps_at_next_fork(case: &Case<'_>) -> bool {
    case.parenting().is_some_and(|parenting| {
        parenting.rhythm.with_forks().is_some() && parenting.rhythm.last_fork() < Some(case.since)
    })
}
