//! Parents that reap on SIGCHLD, but fail at it.

use super::{
    Case, Cause, Finding, SIGCHLD_BIT, conclusive_waits, has_unclassified_calls, has_waited_since, no_wait_sentence,
};
use crate::{
    diagnosis::{
        advice::wait_for_it,
        heritage::inherited,
        words::{plural, times},
    },
    event::{ProcFacts, Runtime},
    model::Kept,
};

/// SIGCHLD does not queue: while one is pending, further ones coalesce. A parent that waits once per SIGCHLD leaves a
/// zombie for each coalesced one; one that loops until nothing is left makes one more call than it reaps.
pub(super) fn one_wait_per_sigchld(case: &Case<'_>) -> Option<Finding> {
    let waits = conclusive_waits(case)?;
    let facts = case.facts()?;
    let [delivered, ignored, coalesced] = case.parenting()?.child_signals;
    let takes_it = facts.pending & SIGCHLD_BIT == 0 && (is_caught(facts) || facts.blocked & SIGCHLD_BIT != 0);
    let died = delivered + ignored + coalesced;
    let once_each = waits.successes > 0 && waits.calls == waits.any_calls && waits.calls <= delivered;
    if !takes_it || !once_each || waits.in_progress > 0 || coalesced == 0 || waits.successes >= died {
        return None;
    }
    let name = case.waiter_name();
    let blocked = if is_caught(facts) { "SIGCHLD is not blocked" } else { "SIGCHLD is blocked and read synchronously" };
    Some(Finding {
        cause: Cause::OneWaitPerSigchld,
        evidence: vec![
            format!(
                "{died} children died but {name} got SIGCHLD only {}: {coalesced} {} coalesced",
                times(delivered),
                if coalesced == 1 { "was" } else { "were" }
            ),
            format!("{}; {blocked}", plural(waits.successes, "successful wait", "successful waits")),
        ],
        advice: "For each SIGCHLD call waitpid(-1, …, WNOHANG) in a loop until it returns 0: one signal may stand for \
                 many children."
            .to_owned(),
    })
}

pub(super) fn sigchld_blocked(case: &Case<'_>) -> Option<Finding> {
    let waits = conclusive_waits(case)?;
    let facts = case.facts()?;
    let stays = facts.blocked & facts.pending & SIGCHLD_BIT != 0;
    if !stays || has_waited_since(case, waits) || has_unclassified_calls(case, waits) {
        return None;
    }
    let [delivered, _, coalesced] = case.parenting()?.child_signals;
    let name = case.waiter_name();
    let handler = if is_caught(facts) { "so its handler never runs" } else { "and it has no handler" };
    let mut evidence = vec![
        format!("{name} blocks SIGCHLD and leaves it pending ({delivered} queued, {coalesced} coalesced), {handler}"),
        no_wait_sentence(case, waits, "called wait", waits.last_call_ns),
    ];
    let inherited = case.waiter.and_then(|waiter| inherited(case.model, waiter, Kept::Blocked));
    evidence.extend(inherited.iter().map(|inherited| inherited.sentence.clone()));
    Some(Finding {
        cause: Cause::SigchldBlocked,
        evidence,
        advice: inherited.map_or_else(own_mask, |inherited| inherited.advice_on_blocked()),
    })
}

fn own_mask() -> String {
    "Unblock SIGCHLD (the mask survives fork and exec: reset it before exec), or read it from a signalfd \
                 or with sigwait, and then wait for the children."
        .to_owned()
}

pub(super) fn handler_ignores_children(case: &Case<'_>) -> Option<Finding> {
    let waits = conclusive_waits(case)?;
    let facts = case.facts()?;
    let parenting = case.parenting()?;
    let delivered = parenting.child_signals[0];
    let is_taken = (facts.blocked | facts.pending) & SIGCHLD_BIT == 0;
    // These runtimes always have a handler, which wakes them to wait for what they started themselves.
    let has_own_handler = matches!(facts.runtime, Some(Runtime::Go | Runtime::Node | Runtime::Java));
    if !is_caught(facts) || !is_taken || has_own_handler || delivered == 0 || waits.calls > 0 || parenting.reaped > 0 {
        return None;
    }
    let name = case.waiter_name();
    Some(Finding {
        cause: Cause::HandlerIgnoresChildren,
        evidence: vec![
            format!("{name}'s SIGCHLD handler ran {} and is not blocked", times(delivered)),
            no_wait_sentence(case, waits, "called wait", waits.last_call_ns),
        ],
        advice: match facts.runtime {
            Some(_) => wait_for_it(facts.runtime),
            None => "Call waitpid(-1, …, WNOHANG) in the handler, or from the main loop after it, until it returns 0."
                .to_owned(),
        },
    })
}

fn is_caught(facts: &ProcFacts) -> bool {
    facts.caught & SIGCHLD_BIT != 0
}
