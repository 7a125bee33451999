//! Parents that reap late or no longer.

use super::{
    Case, Cause, Finding, SIGCHLD, SIGCHLD_BIT, conclusive_waits, has_waited_since, history, name, no_wait_sentence,
    observed_too_briefly,
    rhythm::{Calls, explains_silence},
};
use crate::{
    diagnosis::{
        advice::{for_parent, wait_for_it},
        doing, programs,
        words::{duration, plural},
    },
    event::{Evidence, Object, ProcFacts, Runtime, WaitActivity},
    model::Process,
};

/// The waiter still reaps, but late. [`never_waits`] covers a zombie that has waited much longer than any before.
pub(super) fn lazy_reaper(case: &Case<'_>) -> Option<Finding> {
    reaped_late(case.waiter.filter(|_| case.waiter_runs())?)
}

/// Also for a parent without zombies now.
pub(in crate::diagnosis) fn reaped_late(parent: &Process) -> Option<Finding> {
    let parenting = parent.parenting.as_deref().filter(|parenting| parenting.reaped_late > 0)?;
    let name = name(&parent.identity.comm, parent.key.pid);
    let mut evidence = vec![format!("{name} reaped {} late", plural(parenting.reaped_late, "zombie", "zombies"))];
    if let Some(bursts) = parenting.rhythm.with_forks() {
        evidence.push(format!("it reaps only when it forks again (last {bursts} bursts)"));
    }
    if let Some(period) = parenting.rhythm.period() {
        evidence.push(format!("it reaps on a timer, every {}", duration(period)));
    }
    if let (Some(median), Some(max)) = (parenting.latency.quantile(0.5), parenting.latency.max()) {
        evidence.push(format!(
            "time to reap ({}): median {}, max {}",
            plural(parenting.latency.count(), "zombie", "zombies"),
            duration(median),
            duration(max)
        ));
    }
    let known = parenting.evidence.as_ref().map(|(_, evidence)| &**evidence);
    Some(Finding { cause: Cause::LazyReaper, evidence, advice: reap_sooner(parent, known) })
}

/// Advice; a wait for any child would take statuses from a program that waits for each child by its pid.
fn reap_sooner(parent: &Process, known: Option<&Evidence>) -> String {
    if let Some(advice) = programs::advice(&parent.identity) {
        return advice.to_owned();
    }
    let waits_by_pid = |waits: &WaitActivity| waits.pid_calls > 0 && waits.any_calls + waits.pgid_calls == 0;
    let runtime = known.and_then(|known| known.proc.as_ref()).and_then(|facts| facts.runtime);
    match known.and_then(|known| known.waits.as_ref()) {
        _ if matches!(runtime, Some(Runtime::Node | Runtime::Java)) => wait_for_it(runtime),
        Some(waits) if waits_by_pid(waits) => {
            "Wait for each child when it exits, not later: when SIGCHLD arrives, or when its pidfd becomes readable."
                .to_owned()
        }
        _ => "Reap when SIGCHLD arrives: loop over waitpid(-1, …, WNOHANG) until it returns 0.".to_owned(),
    }
}

/// It made no wait call since it could reap the zombie, and its earlier pattern does not explain that.
pub(super) fn never_waits(case: &Case<'_>) -> Option<Finding> {
    let waits = conclusive_waits(case)?;
    let parenting = case.parenting()?;
    let may_yet_wait =
        has_waited_since(case, waits) || is_seen_waiting(case) || explains_silence(case, waits, Calls::All);
    if may_yet_wait || (case.adopted && observed_too_briefly(case)) {
        return None;
    }
    let mut evidence = vec![no_wait_sentence(case, waits, "called wait", waits.last_call_ns)];
    evidence.extend(history(case));
    evidence.extend(case.facts().map(|facts| match u32::try_from(case.death.exit_signal) {
        _ if case.adopted || case.death.exit_signal == SIGCHLD => sigchld_sentence(facts, parenting.child_signals),
        Ok(signal @ 1..) => other_signal_sentence(&case.waiter_name(), facts, signal),
        _ => "the child was cloned with no exit signal, so its parent got none".to_owned(),
    }));
    if case.waiter_is_outside() {
        evidence.push(format!("{} is outside the pid namespace of the zombie", case.waiter_name()));
    }
    let advice = doing::advice(case).unwrap_or_else(|| for_parent(case));
    Some(Finding { cause: Cause::NeverWaits, evidence, advice })
}

/// Whether the look found a thread in a call that waits for the zombie. The counters need not show it: a thread that is
/// frozen or stopped has left the call, and makes it again when it runs.
fn is_seen_waiting(case: &Case<'_>) -> bool {
    let zombie = case.zombie.key.pid;
    case.evidence().is_some_and(|(_, evidence)| {
        evidence.doing.iter().any(|thread| match &thread.object {
            Object::AnyChild => true,
            Object::Child(child) => child.pid == Some(zombie),
            _ => false,
        })
    })
}

/// What the process does with a signal, by the masks of `/proc`.
fn disposition(facts: &ProcFacts, bit: u64) -> &'static str {
    if facts.caught & bit != 0 {
        "handler"
    } else if facts.ignored & bit != 0 {
        "SIG_IGN"
    } else {
        "default disposition"
    }
}

fn sigchld_sentence(facts: &ProcFacts, [delivered, ignored, coalesced]: [u64; 3]) -> String {
    let blocked = if facts.blocked & SIGCHLD_BIT != 0 { ", blocked" } else { "" };
    format!(
        "SIGCHLD: {}{blocked}; {delivered} delivered, {ignored} ignored, {coalesced} coalesced",
        disposition(facts, SIGCHLD_BIT)
    )
}

/// For children whose exit signal is not SIGCHLD.
fn other_signal_sentence(parent: &str, facts: &ProcFacts, signal: u32) -> String {
    let bit = 1_u64.checked_shl(signal.wrapping_sub(1)).unwrap_or(0);
    let blocked = if facts.blocked & bit != 0 { ", blocked" } else { "" };
    let signal = crate::signal::name(signal);
    format!(
        "the child's exit signal is {signal}, not SIGCHLD; {signal} in {parent}: {}{blocked}",
        disposition(facts, bit)
    )
}
