//! The rules, one function each, and their order.

mod adopters;
mod elsewhere;
mod habits;
mod selectors;
mod signals;
mod stuck;

pub(super) use habits::reaped_late;
pub(super) use stuck::{may_be_meant, stuck};

use super::{
    Case, Cause, Verdict,
    words::{duration, plural, times},
};
use crate::event::{ProcFacts, WaitActivity};

const SIGCHLD: i32 = 17;
const SIGCHLD_BIT: u64 = 1 << 16;
const __WNOTHREAD: u32 = 0x2000_0000;
const __WALL: u32 = 0x4000_0000;
const __WCLONE: u32 = 0x8000_0000;
const WNOWAIT: u32 = 0x0100_0000;

/// What a rule has to say.
pub(super) struct Finding {
    pub(super) cause: Cause,
    pub(super) evidence: Vec<String>,
    pub(super) advice: String,
}

type Rule = fn(&Case<'_>) -> Option<Finding>;

/// The most specific first: what keeps a parent from reaping, then what an adopter fails to do, then in what way a
/// parent waits wrongly, then that it does not wait at all.
pub(super) const ORDER: &[Rule] = &[
    elsewhere::held_by_tracer,
    elsewhere::parent_cannot_run,
    elsewhere::namespace_teardown_stuck,
    selectors::needs_wclone,
    elsewhere::shim_or_runtime,
    adopters::init_not_pid_1,
    adopters::init_bypassed,
    adopters::init_does_not_reap,
    adopters::subreaper_does_not_reap,
    signals::one_wait_per_sigchld,
    signals::sigchld_blocked,
    signals::handler_ignores_children,
    selectors::waits_for_others,
    habits::lazy_reaper,
    habits::never_waits,
];

/// How the waiter waits, if what it does not do can be held against it: it was seen to run, no events are missing, and
/// it never reaped in a way that could not be seen.
fn blamable<'a>(case: &Case<'a>) -> Option<&'a WaitActivity> {
    let reaps_unseen = case.parenting().is_none_or(|parenting| parenting.reaped_unseen > 0);
    case.waits().filter(|_| case.waiter_runs() && !case.uncertain && !reaps_unseen)
}

/// An adopter that was there before tracing began may be one that reaps every few seconds; so long it is watched, ns,
/// before its silence counts.
const ACQUAINTANCE_NS: u64 = 10_000_000_000;

/// Whether the waiter was there before tracing began and was not yet watched for long.
fn is_just_met(case: &Case<'_>) -> bool {
    let watched = case.evidence().map_or(0, |(at, evidence)| at.saturating_sub(evidence.observed_since));
    case.waiter.is_none_or(|waiter| waiter.preexisting) && watched < ACQUAINTANCE_NS
}

/// Whether calls were made that are known by number only: neither their selector nor their options are.
fn has_unseen_calls(waits: &WaitActivity) -> bool {
    waits.calls > waits.any_calls + waits.pgid_calls + waits.pid_calls
}

fn no_wait_sentence(case: &Case<'_>, waits: &WaitActivity, what: &str) -> String {
    let name = case.waiter_name();
    let watched = duration(case.watched_for());
    let since = if case.state.preexisting() {
        "since tracing began"
    } else if case.since > case.death.exited && case.adopted && case.state.since < case.since {
        "since it adopted the zombie"
    } else {
        "since the child died"
    };
    let before = match waits.calls {
        0 => String::new(),
        calls => format!("; {} before that", plural(calls, "call", "calls")),
    };
    format!("no {what} by any thread of {name} {since}, {watched} ago{before}")
}

/// No rule spoke.
pub(super) fn unknown(case: &Case<'_>) -> Verdict {
    let name = case.waiter_name();
    let (evidence, advice) = if case.uncertain {
        (
            "events were lost since the zombie began, so a wait call may have been missed".to_owned(),
            "Trace again with a narrower filter (--pid, --container), or on a less busy machine.".to_owned(),
        )
    } else if case.waits().is_some() && !case.waiter_runs() {
        (
            if case.facts().is_some_and(ProcFacts::is_ready) {
                format!(
                    "{name} was ready to run when it was looked at; one look does not tell whether it got a processor"
                )
            } else {
                format!("{name} did not run when it was looked at; one look does not tell whether it can")
            },
            "Trace for a while longer: if it does not run then either, that is the cause.".to_owned(),
        )
    } else if case.waits().is_some() && case.adopted && is_just_met(case) {
        (
            format!("{name} was there before tracing began: it may reap what it adopts every few seconds"),
            format!(
                "Trace for longer than {}: if it has not reaped by then, it is to blame.",
                duration(ACQUAINTANCE_NS)
            ),
        )
    } else if let Some(waits) = case.waits() {
        (
            format!(
                "{name} called wait {} ({} for any child, {} for single ones, {} for groups), and still the zombie \
                 is there",
                times(waits.calls),
                waits.any_calls,
                waits.pid_calls,
                waits.pgid_calls
            ),
            format!("Look at what {name} waits for: a loop of waitpid(-1, …, WNOHANG) on SIGCHLD reaps every child."),
        )
    } else {
        (
            format!("how {name} waits is not known"),
            "Start tracing before the process does; a 32-bit program or one that waits by io_uring shows no wait \
             calls."
                .to_owned(),
        )
    };
    Verdict { cause: Cause::Unknown, evidence: vec![evidence], advice, contributing: Vec::new() }
}
