//! Whether what a parent did so far explains that it has not waited yet.
//!
//! One reap long ago excuses nobody. What counts is how long the parent took before: who reaps every five seconds is
//! not to be called silent after three.

use super::{Case, MIN_OBSERVATION_NS};
use crate::event::{BootNs, WaitActivity};

/// A silence of more than this many times what is usual is not explained by it.
const PATIENCE: u64 = 2;

/// Which wait calls a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// All of them.
    All,
    /// Those for any child, the only ones that reap what was adopted.
    ForAny,
}

/// When the waiter last showed that it waits, by what it began or what it got; 0 if never.
fn last_sign(case: &Case<'_>, waits: &WaitActivity, calls: Calls) -> BootNs {
    match calls {
        Calls::All => {
            let reaped = case.parenting().and_then(|parenting| parenting.last_reap_seen).unwrap_or(0);
            waits.last_call_ns.max(reaped)
        }
        Calls::ForAny => waits.last_any_ns,
    }
}

/// How long the waiter has been silent while it could have reaped the zombie, ns, as of when it was looked at.
pub(super) fn silence(case: &Case<'_>, waits: &WaitActivity, calls: Calls) -> u64 {
    let looked_at = case.evidence().map_or(case.since, |(at, _)| at);
    case.model.ran_ns(case.since.max(last_sign(case, waits, calls)), looked_at)
}

/// Whether the waiter may yet wait, by its own rhythm.
pub(super) fn explains_silence(case: &Case<'_>, waits: &WaitActivity, calls: Calls) -> bool {
    let silence = silence(case, waits, calls);
    let shows_itself = last_sign(case, waits, calls) >= case.since && silence < case.model.config().min_age_ns;
    // Who reaps its own children by their pids, one before it starts the next, reaps no orphans by that.
    let may_reap_at_fork = (calls == Calls::All || waits.any_calls > 0) && reaps_at_next_fork(case);
    shows_itself || may_reap_at_fork || silence <= usual_delay(case, waits, calls).saturating_mul(PATIENCE)
}

/// Whether the zombie is no older than those that the waiter has reaped late, so that it may reap this one, too. One
/// that it reaped is no habit.
pub(super) fn may_yet_reap(case: &Case<'_>) -> bool {
    let Some(parenting) = case.parenting().filter(|parenting| parenting.reaped_late > 1) else { return false };
    let slowest = parenting.latency.max().unwrap_or(0);
    reaps_at_next_fork(case) || case.watched_for() <= slowest.saturating_mul(PATIENCE)
}

/// How long it takes the waiter to reap, or to look whether there is something to reap, ns; 0 if nothing tells.
pub(super) fn usual_delay(case: &Case<'_>, waits: &WaitActivity, calls: Calls) -> u64 {
    let by_calls = interval(waits, calls);
    // Who never waits for any child reaps its own only, however regularly.
    if calls == Calls::ForAny && waits.any_calls == 0 {
        return 0;
    }
    let (slowest, period) = case
        .parenting()
        .map_or((0, 0), |parenting| (parenting.latency.max().unwrap_or(0), parenting.rhythm.period().unwrap_or(0)));
    // The calls tell when there was something to wait for as much as how often the program looks: a server that starts
    // a child an hour is not given two hours.
    slowest.max(period).max(by_calls.min(MIN_OBSERVATION_NS))
}

/// The mean time between rounds of calls, ns.
fn interval(waits: &WaitActivity, calls: Calls) -> u64 {
    let (made, last) = match calls {
        Calls::All => (waits.calls, waits.last_call_ns),
        Calls::ForAny => (waits.any_calls, waits.last_any_ns),
    };
    // A loop until nothing is left makes one call more than it reaps.
    let rounds = match made.saturating_sub(waits.successes) {
        0 | 1 => made,
        unsuccessful => unsuccessful,
    };
    last.saturating_sub(waits.first_call_ns).checked_div(rounds.saturating_sub(1)).unwrap_or(0)
}

/// Whether it reaps when it starts its next child, and has not started one since.
fn reaps_at_next_fork(case: &Case<'_>) -> bool {
    case.parenting().is_some_and(|parenting| {
        parenting.rhythm.with_forks().is_some() && parenting.rhythm.last_fork() < Some(case.since)
    })
}
