//! The diagnosis if no rule matches.

use super::{
    Case, Cause, MIN_OBSERVATION_NS, Verdict, observed_too_briefly, reaps_invisibly,
    rhythm::{Calls, usual_delay},
};
use crate::{
    diagnosis::words::{duration, plural, times},
    event::ProcFacts,
};

/// States what is missing, and what would help.
pub(in crate::diagnosis) fn unknown(case: &Case<'_>) -> Verdict {
    let (evidence, advice) = missing(case);
    Verdict { cause: Cause::Unknown, evidence: vec![evidence], advice, contributing: Vec::new(), doing: Vec::new() }
}

fn missing(case: &Case<'_>) -> (String, String) {
    let name = case.waiter_name();
    if case.uncertain {
        return (
            "events were lost after the child died, so a wait call may have gone unseen".to_owned(),
            "Trace again with a narrower filter (--pid, --container), or on a less busy machine.".to_owned(),
        );
    }
    let Some(waits) = case.waits() else {
        return (
            format!("{name}'s wait calls are not visible"),
            "Start tracing before the process does; a 32-bit program or one that waits by io_uring shows no wait \
             calls."
                .to_owned(),
        );
    };
    if !case.waiter_runs() {
        let evidence = if case.facts().is_some_and(ProcFacts::is_ready) {
            format!("{name} was runnable when sampled; one sample cannot show whether it got CPU time")
        } else {
            format!("{name} was not running when sampled; one sample cannot show that it is blocked")
        };
        return (evidence, format!("Trace for longer: if {name} still does not run, that is the cause."));
    }
    if reaps_invisibly(case) {
        let unseen = case.parenting().map_or(0, |parenting| parenting.reaped_without_wait_call);
        return (
            format!(
                "{name} reaped {} without a wait call that is visible, so it may wait for this one as well",
                plural(unseen, "child", "children")
            ),
            "A 32-bit program or one that waits by io_uring shows no wait calls: look at its source.".to_owned(),
        );
    }
    if case.adopted && observed_too_briefly(case) {
        return (
            format!("{name} started before tracing; it may reap orphans on a timer"),
            format!(
                "Trace for longer than {}: if {name} still has not reaped, it does not reap orphans.",
                duration(MIN_OBSERVATION_NS)
            ),
        );
    }
    let called_since = waits.last_call_ns >= case.since || waits.in_progress > 0;
    let calls = if case.adopted { Calls::ForAny } else { Calls::All };
    let usual = usual_delay(case, waits, calls);
    if !called_since && usual > 0 {
        return (
            format!(
                "{name} has not called wait in the {} since it could reap the zombie, but it has taken up to {} \
                 before",
                duration(case.watched_for()),
                duration(usual)
            ),
            format!("Trace for longer: if {name} still does not call wait, it has stopped reaping."),
        );
    }
    (
        match waits.calls {
            0 => format!("{name} has not called wait while traced"),
            calls => format!(
                "{name} called wait {} ({} any child, {} specific pids, {} process groups) without reaping this zombie",
                times(calls),
                waits.any_calls,
                waits.pid_calls,
                waits.pgid_calls
            ),
        },
        format!("Look at what {name} waits for: a loop of waitpid(-1, …, WNOHANG) on SIGCHLD reaps every child."),
    )
}
