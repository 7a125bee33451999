//! The rules, one function each, and their order.

mod adopters;
mod blocked;
mod handlers;
mod late_or_never;
mod rhythm;
mod selectors;
mod signals;
mod stuck;
mod undecided;

pub(super) use late_or_never::reaped_late;
pub(super) use stuck::{explain_teardown, may_be_intentional, stuck};
pub(super) use undecided::unknown;

use super::{
    Case, Cause, Verdict,
    words::{duration, name, plural},
};
use crate::{
    event::{BootNs, WaitActivity},
    model::Ancestor,
    signal,
};

const SIGCHLD: i32 = signal::SIGCHLD.cast_signed();
const SIGCHLD_BIT: u64 = signal::bit(signal::SIGCHLD);
const __WNOTHREAD: u32 = 0x2000_0000;
const __WALL: u32 = 0x4000_0000;
const __WCLONE: u32 = 0x8000_0000;
const WNOWAIT: u32 = 0x0100_0000;

/// The result of a rule that matches.
pub(super) struct Finding {
    pub(super) cause: Cause,
    pub(super) evidence: Vec<String>,
    pub(super) advice: String,
}

type Rule = fn(&Case<'_>) -> Option<Finding>;

/// Most specific first: what prevents a parent from reaping, then adopters that do not reap, then parents that wait
/// wrongly, then those that do not wait at all, or late.
pub(super) const ORDER: &[Rule] = &[
    blocked::held_by_tracer,
    blocked::parent_cannot_run,
    blocked::namespace_teardown_stuck,
    selectors::needs_wclone,
    blocked::shim_or_runtime,
    adopters::init_not_pid_1,
    adopters::init_bypassed,
    adopters::init_does_not_reap,
    adopters::subreaper_does_not_reap,
    signals::one_wait_per_sigchld,
    handlers::handler_stuck,
    signals::sigchld_blocked,
    handlers::handler_reset,
    signals::handler_ignores_children,
    selectors::waits_for_others,
    late_or_never::never_waits,
    late_or_never::lazy_reaper,
];

/// The waiter's wait activity if it is conclusive: the waiter was running, no events were lost, and its wait calls are
/// visible.
fn conclusive_waits<'a>(case: &Case<'a>) -> Option<&'a WaitActivity> {
    case.waits().filter(|_| case.waiter_runs() && !case.uncertain && !reaps_invisibly(case))
}

/// Whether the waiter reaps in a way that shows no wait call (io_uring, 32-bit). A call that began before tracing is
/// not seen either, but returns only once: so one reap per thread proves nothing.
fn reaps_invisibly(case: &Case<'_>) -> bool {
    let Some(parenting) = case.parenting() else { return true };
    let threads = case.facts().map_or(1, |facts| u64::from(facts.threads.max(1)));
    let were_calls_from_before =
        case.waiter.is_some_and(|waiter| waiter.preexisting) && parenting.reaped_without_wait_call <= threads;
    parenting.reaped_without_wait_call > 0 && !were_calls_from_before
}

/// Minimum observation, ns, before the silence of an adopter that is older than the trace counts: it may reap on a
/// timer.
const MIN_OBSERVATION_NS: u64 = 10_000_000_000;

/// Whether the waiter is older than the trace and has not been observed for long.
fn observed_too_briefly(case: &Case<'_>) -> bool {
    let observed = case.evidence().map_or(0, |(at, evidence)| at.saturating_sub(evidence.observed_since));
    case.waiter.is_none_or(|waiter| waiter.preexisting) && observed < MIN_OBSERVATION_NS
}

/// Whether calls of which only the number is known, not the selector or options, were made since the waiter could reap
/// the zombie.
fn has_unclassified_calls(case: &Case<'_>, waits: &WaitActivity) -> bool {
    waits.calls > waits.any_calls + waits.pgid_calls + waits.pid_calls && waits.last_call_ns >= case.since
}

/// Whether the waiter called wait since it could reap the zombie, or is in such a call now.
fn has_waited_since(case: &Case<'_>, waits: &WaitActivity) -> bool {
    waits.last_call_ns >= case.since || waits.in_progress > 0
}

/// From when on the waiter could reap the zombie, as the end of a sentence.
fn since_when(case: &Case<'_>) -> &'static str {
    if case.state.preexisting() {
        "after tracing found the zombie"
    } else if case.since > case.death.exited && case.adopted && case.state.since < case.since {
        "after it adopted the zombie"
    } else {
        "after the child died"
    }
}

/// `no thread of app called wait in the 298 ms after the child died`, and how often it did in all. `last_call` is when
/// the last call of the kind that counts began.
fn no_wait_sentence(case: &Case<'_>, waits: &WaitActivity, kind: &str, last_call: BootNs) -> String {
    let name = case.waiter_name();
    let since = since_when(case);
    let total = match waits.calls {
        0 => String::new(),
        calls => format!("; {} of any kind while traced", plural(calls, "wait call", "wait calls")),
    };
    match last_call.checked_sub(case.since).filter(|_| last_call != 0) {
        Some(after) => {
            let silent = case.watched_for().saturating_sub(after);
            format!(
                "the last time that {name} {kind} was {} {since}, and not in the {} after that{total}",
                duration(after),
                duration(silent)
            )
        }
        None => format!("no thread of {name} {kind} in the {} {since}{total}", duration(case.watched_for())),
    }
}

/// What the waiter reaped before, and its other zombies.
fn history(case: &Case<'_>) -> Option<String> {
    let parenting = case.parenting()?;
    let name = case.waiter_name();
    let count = plural(parenting.reaped, "child", "children");
    // A reap at an unknown time may have been the last.
    let timed = parenting.last_reap_seen.filter(|_| parenting.last_reap_seen == parenting.last_reap).map(|last| {
        let died = case.state.since;
        let when = match died.checked_sub(last) {
            Some(before) => format!("{} before", duration(before)),
            None => format!("{} after", duration(last - died)),
        };
        let event = if case.state.preexisting() { "tracing found this zombie" } else { "this child died" };
        let last = if parenting.reaped == 1 { "" } else { "the last one " };
        format!("{name} reaped {count}, {last}{when} {event}")
    });
    let reaped = timed.or_else(|| (parenting.reaped > 0).then(|| format!("{name} reaped {count}")));
    let others = (parenting.zombies_now > 1).then(|| {
        let count = parenting.zombies_now - 1;
        let are = if count == 1 { "is" } else { "are" };
        format!("{} of it {are} unreaped as well", plural(count, "other child", "other children"))
    });
    match (reaped, others) {
        (Some(reaped), Some(others)) => Some(format!("{reaped}; {others}")),
        // Without a reap there is no history; the number of zombies is in the report anyway.
        (reaped, _) => reaped,
    }
}

/// A zombie in another pid namespace than its waiter, whose child it is from birth: no init there can reap it.
pub(super) fn born_into_namespace(case: &Case<'_>) -> Option<String> {
    let waiter = case.waiter.filter(|waiter| case.waiter_is_outside() && case.zombie.forker == Some(waiter.key))?;
    let (ns, name) = (case.zombie.identity.ns?, name(&waiter.identity.comm, waiter.key.pid));
    Some(if case.zombie.is_init {
        format!(
            "the zombie was PID 1 of pid namespace {}, and {name}, which started it, can reap it from outside",
            ns.inum
        )
    } else {
        format!("{name} started the zombie inside pid namespace {} (setns): no process in there can reap it", ns.inum)
    })
}

/// A zombie that is its waiter's child from birth, though another process cloned it.
pub(super) fn made_by_sibling(case: &Case<'_>) -> Option<String> {
    let forker = case.zombie.forker.filter(|_| !case.adopted)?;
    if forker.pid == case.death.parent.pid || case.zombie.origin != Some(case.death.parent) {
        return None;
    }
    let maker = match case.model.ancestor(forker)? {
        Ancestor::Alive(process) => name(&process.identity.comm, forker.pid),
        Ancestor::Dead(remains) => name(&remains.comm, forker.pid),
    };
    let parent = case.model.process(case.death.parent).map_or_else(
        || format!("process {}", case.death.parent.pid),
        |parent| name(&parent.identity.comm, parent.key.pid),
    );
    Some(format!(
        "{maker} (pid {}) created it with CLONE_PARENT, so it was a child of {parent} from the start",
        forker.pid
    ))
}
