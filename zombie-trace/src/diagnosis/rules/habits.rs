//! Parents that reap late, or never.

use super::{Case, Cause, Finding, SIGCHLD_BIT, blamable, is_just_met, no_wait_sentence};
use crate::{
    diagnosis::{
        advice::wait_for_it,
        words::{duration, plural, times},
    },
    event::ProcFacts,
    model::Process,
    text::escape,
};

pub(super) fn lazy_reaper(case: &Case<'_>) -> Option<Finding> {
    reaped_late(case.waiter.filter(|_| case.waiter_runs())?)
}

/// Also for a parent without zombies now.
pub(in crate::diagnosis) fn reaped_late(parent: &Process) -> Option<Finding> {
    let parenting = parent.parenting.as_deref().filter(|parenting| parenting.reaped_late > 0)?;
    let name = escape::comm(&parent.identity.comm);
    let mut evidence = vec![format!("{name} reaped {} late", plural(parenting.reaped_late, "zombie", "zombies"))];
    if let Some(bursts) = parenting.rhythm.with_forks() {
        evidence.push(format!("it reaps when it starts the next child: each of the last {bursts} times"));
    }
    if let Some(period) = parenting.rhythm.period() {
        evidence.push(format!("it reaps by the clock: every {}", duration(period)));
    }
    if let (Some(median), Some(max)) = (parenting.latency.quantile(0.5), parenting.latency.max()) {
        evidence.push(format!(
            "of {} it reaped, half waited longer than {}, the longest {}",
            plural(parenting.latency.count(), "zombie", "zombies"),
            duration(median),
            duration(max)
        ));
    }
    Some(Finding {
        cause: Cause::LazyReaper,
        evidence,
        advice: "Reap when SIGCHLD arrives: loop over waitpid(-1, …, WNOHANG) until it returns 0.".to_owned(),
    })
}

pub(super) fn never_waits(case: &Case<'_>) -> Option<Finding> {
    let waits = blamable(case)?;
    let parenting = case.parenting()?;
    let waited = waits.last_call_ns >= case.since || waits.in_progress > 0 || waits.successes > 0;
    if waited || parenting.reaped > 0 || (case.adopted && is_just_met(case)) {
        return None;
    }
    let mut evidence = vec![no_wait_sentence(case, waits, "wait call")];
    evidence.extend(case.facts().map(|facts| disposition_sentence(facts, parenting.child_signals)));
    if case.waiter_is_outside() {
        evidence.push(format!("{} lives outside the pid namespace of the zombie", case.waiter_name()));
    }
    Some(Finding { cause: Cause::NeverWaits, evidence, advice: wait_for_it(case) })
}

fn disposition_sentence(facts: &ProcFacts, [delivered, ignored, pending]: [u64; 3]) -> String {
    let disposition = if facts.caught & SIGCHLD_BIT != 0 {
        "has a handler"
    } else if facts.ignored & SIGCHLD_BIT != 0 {
        "is ignored"
    } else {
        "is at its default"
    };
    let blocked = if facts.blocked & SIGCHLD_BIT != 0 { ", blocked" } else { "" };
    format!(
        "SIGCHLD {disposition}{blocked}: delivered {}, ignored {}, already pending {}",
        times(delivered),
        times(ignored),
        times(pending)
    )
}
