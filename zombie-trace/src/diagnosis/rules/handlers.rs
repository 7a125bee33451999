//! Handlers of SIGCHLD that do not wait: one that never returns, and one that no longer exists.

use super::{
    Case, Cause, Finding, SIGCHLD_BIT, conclusive_waits, has_unclassified_calls, has_waited_since, history,
    no_wait_sentence,
    rhythm::{Calls, explains_silence},
};
use crate::{
    diagnosis::{
        doing::doing_of,
        words::{duration, function, times},
    },
    event::{Handler, Object},
};

/// The handler was entered and waits for a lock. The kernel blocks the signal while its handler runs, so the mask looks
/// as if the program had blocked SIGCHLD; but this one was delivered, and the only thread sleeps in a futex.
pub(super) fn handler_stuck(case: &Case<'_>) -> Option<Finding> {
    let waits = conclusive_waits(case)?;
    let facts = case.facts()?;
    let parenting = case.parenting()?;
    let entered = parenting.last_handled?;
    let place = lock(case)?;
    let is_in_handler = facts.caught & facts.blocked & SIGCHLD_BIT != 0 && facts.threads <= 1 && facts.state == 'S';
    // A call before this one may have reaped the child that the signal was about.
    let waited = waits.last_call_ns >= entered || has_waited_since(case, waits) || parenting.last_reap >= Some(entered);
    if !is_in_handler || waited {
        return None;
    }
    let name = case.waiter_name();
    let died = case.state.since;
    let when = match died.checked_sub(entered) {
        Some(before) if before > 0 => format!(", {} before this child died", duration(before)),
        _ => " for this child".to_owned(),
    };
    Some(Finding {
        cause: Cause::HandlerStuck,
        evidence: vec![
            format!(
                "the SIGCHLD handler of {name} was entered{when} and has not returned: its only thread sleeps{place}, \
                 with SIGCHLD blocked as it is while the handler runs"
            ),
            no_wait_sentence(case, waits, "called wait", waits.last_call_ns),
        ],
        advice:
            "Call only async-signal-safe functions in the handler (no malloc, no printf, no lock): set a flag, write \
                 to a pipe, or read a signalfd, and wait in the main loop."
                .to_owned(),
    })
}

/// Where the main thread of the waiter waits for a lock: the kernel function, or the system call where the kernel does
/// not show the function (x86 before 5.16).
fn lock(case: &Case<'_>) -> Option<String> {
    match case.facts()?.wait_channel.as_deref() {
        Some(place) if place.contains("futex") => Some(function(place)),
        Some(_) => None,
        None => matches!(doing_of(case).first()?.object, Object::Futex).then(|| " in futex()".to_owned()),
    }
}

/// The first signals went to a handler, and then SIGCHLD was back at its default.
pub(super) fn handler_reset(case: &Case<'_>) -> Option<Finding> {
    let waits = conclusive_waits(case)?;
    let facts = case.facts()?;
    let parenting = case.parenting()?;
    let is_default = (facts.caught | facts.ignored) & SIGCHLD_BIT == 0;
    let was_default = matches!(case.death.child_signal, Some((_, Handler::Default, _)));
    let may_yet_wait = has_waited_since(case, waits)
        || has_unclassified_calls(case, waits)
        || explains_silence(case, waits, Calls::All);
    if parenting.handled_signals == 0 || !is_default || !was_default || may_yet_wait {
        return None;
    }
    let name = case.waiter_name();
    let mut evidence = vec![format!(
        "the SIGCHLD handler of {name} ran {}; SIGCHLD was at its default disposition when this child died, and is now",
        times(parenting.handled_signals)
    )];
    evidence.extend(history(case));
    evidence.push(no_wait_sentence(case, waits, "called wait", waits.last_call_ns));
    Some(Finding {
        cause: Cause::HandlerReset,
        evidence,
        advice:
            "Install the handler with sigaction() and without SA_RESETHAND: with that flag, and with the signal() of \
                 System V, the first delivery removes the handler."
                .to_owned(),
    })
}
