//! The rules, one function each, and their order.

use super::{
    Case, Cause, Verdict,
    words::{duration, plural, times},
};
use crate::{
    event::{ProcFacts, WaitActivity},
    model::{Forefather, Process},
    output::escape,
};

const SIGCHLD: i32 = 17;
const SIGCHLD_BIT: u64 = 1 << 16;
const __WALL: u32 = 0x4000_0000;
const __WCLONE: u32 = 0x8000_0000;

/// What a rule has to say.
pub(super) struct Finding {
    pub(super) cause: Cause,
    pub(super) evidence: Vec<String>,
    pub(super) advice: String,
}

type Rule = fn(&Case<'_>) -> Option<Finding>;

/// The most specific first.
pub(super) const ORDER: &[Rule] =
    &[held_by_tracer, needs_wclone, init_does_not_reap, subreaper_does_not_reap, lazy_reaper, never_waits];

fn held_by_tracer(case: &Case<'_>) -> Option<Finding> {
    if !case.death.is_held_by_tracer() {
        return None;
    }
    let tracer = case.waiter_name();
    Some(Finding {
        cause: Cause::HeldByTracer,
        evidence: vec![format!(
            "{tracer} (pid {}) traces the process; its parent (pid {}) cannot reap it before the tracer has waited",
            case.death.waiter.pid, case.death.parent.pid
        )],
        advice: format!("Let {tracer} go on, detach it, or end it."),
    })
}

fn needs_wclone(case: &Case<'_>) -> Option<Finding> {
    let waits = case.waits()?;
    let asked = waits.calls > 0 && waits.last_call_ns >= case.since;
    let could_see_it = waits.options_seen & (__WALL | __WCLONE) != 0;
    if case.death.exit_signal == SIGCHLD || !asked || could_see_it || case.death.tracer.is_some() || case.uncertain {
        return None;
    }
    let name = case.waiter_name();
    let signal = match u32::try_from(case.death.exit_signal) {
        Ok(0) | Err(_) => "no exit signal".to_owned(),
        Ok(signal) => format!("exit signal {}", crate::signal::name(signal)),
    };
    Some(Finding {
        cause: Cause::NeedsWclone,
        evidence: vec![
            format!("the child was cloned with {signal}: a wait without __WALL or __WCLONE does not see it"),
            format!("{name} called wait {} since tracing began, never with either", times(waits.calls)),
        ],
        advice: "Pass __WALL to waitpid, or clone with SIGCHLD as exit signal.".to_owned(),
    })
}

fn init_does_not_reap(case: &Case<'_>) -> Option<Finding> {
    let waiter = case.waiter.filter(|waiter| case.adopted && waiter.is_init)?;
    let mut evidence = adopter_does_not_reap(case)?;
    let namespace = waiter.identity.ns.map_or(String::new(), |ns| format!(" of pid namespace {}", ns.inum));
    evidence.insert(0, format!("{} is PID 1{namespace} and adopted it", case.waiter_name()));
    Some(Finding {
        cause: Cause::InitDoesNotReap,
        evidence,
        advice: "Put an init in front: `docker run --init`, tini, dumb-init or catatonit as entrypoint, or in a pod \
                 `shareProcessNamespace: true`."
            .to_owned(),
    })
}

fn subreaper_does_not_reap(case: &Case<'_>) -> Option<Finding> {
    case.waiter.filter(|waiter| case.adopted && waiter.is_subreaper && !waiter.is_init)?;
    let mut evidence = adopter_does_not_reap(case)?;
    evidence.insert(0, format!("{} is a child subreaper and adopted it", case.waiter_name()));
    Some(Finding {
        cause: Cause::SubreaperDoesNotReap,
        evidence,
        advice: "A process that sets PR_SET_CHILD_SUBREAPER must call waitpid(-1, …) for what it adopts; if it does \
                 not mean to, it should not be a subreaper."
            .to_owned(),
    })
}

/// An adopter has to wait for any child: it does not know the ones it adopts.
fn adopter_does_not_reap(case: &Case<'_>) -> Option<Vec<String>> {
    let waits = case.waits()?;
    let parenting = case.parenting()?;
    let waits_for_any = waits.last_any_ns >= case.since || (waits.in_progress > 0 && waits.last_any_ns != 0);
    let may_cover_it = waits.pgid_calls > 0 && waits.last_call_ns >= case.since;
    let unseen_calls = waits.calls > waits.any_calls + waits.pgid_calls + waits.pid_calls;
    // It does reap what it adopts, only not this one yet.
    let has_the_habit = parenting.reaped_unseen > 0 || (waits.any_calls > 0 && parenting.reaped > 0);
    if waits_for_any || may_cover_it || unseen_calls || has_the_habit || case.uncertain {
        return None;
    }
    let mut evidence = vec![no_wait_sentence(case, waits, "wait call for any child")];
    evidence.extend(adoption_story(case));
    Some(evidence)
}

/// Who forked it, and what became of that process.
fn adoption_story(case: &Case<'_>) -> Option<String> {
    let (name, pid, end) = match case.first_parent? {
        Forefather::Alive(process) => (process.identity.comm, process.key.pid, process.end),
        Forefather::Dead(remains) => (remains.comm, remains.key.pid, remains.end),
    };
    let name = escape::comm(&name);
    let how = match end {
        Some((_, crate::event::ExitStatus::Code(code))) => format!("exited with {code}"),
        Some((_, crate::event::ExitStatus::Signal { signal, .. })) => {
            format!("was killed by {}", crate::signal::name(signal.into()))
        }
        None => "is gone".to_owned(),
    };
    Some(format!("its first parent, {name} (pid {pid}), {how} and left it behind"))
}

fn lazy_reaper(case: &Case<'_>) -> Option<Finding> {
    reaped_late(case.waiter?)
}

/// Also for a parent without zombies now.
pub(super) fn reaped_late(parent: &Process) -> Option<Finding> {
    let parenting = parent.parenting.as_deref().filter(|parenting| parenting.reaped_late > 0)?;
    let name = escape::comm(&parent.identity.comm);
    let mut evidence = vec![format!("{name} reaped {} late", plural(parenting.reaped_late, "zombie", "zombies"))];
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

fn never_waits(case: &Case<'_>) -> Option<Finding> {
    let waits = case.waits()?;
    let parenting = case.parenting()?;
    let waited = waits.last_call_ns >= case.since || waits.in_progress > 0 || waits.successes > 0;
    if waited || parenting.reaped > 0 || case.uncertain {
        return None;
    }
    let mut evidence = vec![no_wait_sentence(case, waits, "wait call")];
    evidence.extend(case.facts().map(|facts| disposition_sentence(facts, parenting.child_signals)));
    Some(Finding {
        cause: Cause::NeverWaits,
        evidence,
        advice: "Wait for the child (waitpid, or the runtime's equivalent), or set SIGCHLD to SIG_IGN if its status \
                 is of no interest."
            .to_owned(),
    })
}

fn no_wait_sentence(case: &Case<'_>, waits: &WaitActivity, what: &str) -> String {
    let name = case.waiter_name();
    let watched = duration(case.watched_for());
    let since = if case.death.preexisting {
        "since tracing began"
    } else if case.since > case.death.exited && case.adopted && case.death.zombie_since < Some(case.since) {
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

/// No rule spoke.
pub(super) fn unknown(case: &Case<'_>) -> Verdict {
    let name = case.waiter_name();
    let (evidence, advice) = if case.uncertain {
        (
            "events were lost since the zombie began, so a wait call may have been missed".to_owned(),
            "Trace again with a narrower filter (--pid, --container), or on a less busy machine.".to_owned(),
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
