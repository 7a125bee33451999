//! Who adopts orphans must wait for any child: it does not know the ones it gets.

use super::{Case, Cause, Finding, blamable, has_unseen_calls, is_just_met, no_wait_sentence};
use crate::{
    diagnosis::advice::put_an_init_in_front,
    diagnosis::words::duration,
    event::{BootNs, ExitStatus},
    model::{Forefather, Process},
    text::escape,
};

/// Programs whose job it is to be PID 1, by name.
const INITS: &[&str] = &["tini", "tini-static", "docker-init", "podman-init", "dumb-init", "catatonit", "my_init"];

pub(super) fn init_not_pid_1(case: &Case<'_>) -> Option<Finding> {
    let waiter = case.waiter.filter(|_| case.adopted)?;
    let pid_1 = waiter.identity.ns?;
    // An orphan goes to the nearest subreaper above it: it has passed by this one, which therefore is none.
    let init = case.forefathers().find_map(|forefather| match forefather {
        Forefather::Alive(process) => Some(process).filter(|process| {
            let is_inside = process.identity.ns.is_some_and(|ns| ns.nr != 1 && ns.inum == pid_1.inum);
            is_inside && process.key != waiter.key && !process.is_dead() && is_init_program(process)
        }),
        Forefather::Dead(_) => None,
    })?;
    let mut evidence = adopter_does_not_reap(case)?;
    let (name, nr) = (escape::comm(&init.identity.comm), init.identity.ns.map_or(0, |ns| ns.nr));
    let adopter = case.waiter_name();
    evidence.insert(
        0,
        format!(
            "{name} runs as pid {nr} of its namespace and is no subreaper: {adopter} (pid {}) adopts instead",
            pid_1.nr
        ),
    );
    Some(Finding {
        cause: Cause::InitNotPid1,
        evidence,
        advice: format!(
            "Start {name} as PID 1 (`exec` it in the entrypoint script, no shell in front); tini can also be made a \
             subreaper with `tini -s` or TINI_SUBREAPER=1."
        ),
    })
}

fn is_init_program(process: &Process) -> bool {
    let comm = escape::comm(&process.identity.comm);
    let exe = process.identity.exe.as_deref().and_then(|exe| exe.rsplit('/').next());
    // A name can be anything; where the executable is known, it decides.
    INITS.contains(&exe.unwrap_or(comm.as_ref()))
}

pub(super) fn init_bypassed(case: &Case<'_>) -> Option<Finding> {
    let waiter = case.waiter.filter(|waiter| case.adopted && waiter.is_init && !is_init_program(waiter))?;
    let facts = case.facts()?;
    let exe = facts.exe.as_deref()?;
    let (init, others) = facts.inits_in_image.split_first()?;
    if facts.inits_in_image.iter().any(|init| init == exe) {
        return None;
    }
    let mut evidence = adopter_does_not_reap(case)?;
    let also = if others.is_empty() { String::new() } else { format!(" (and {})", others.join(", ")) };
    evidence.insert(
        0,
        format!(
            "PID 1{} is {}, although the image has {init}{also}",
            namespace_of(waiter),
            escape::text(exe.as_bytes())
        ),
    );
    Some(Finding { cause: Cause::InitBypassed, evidence, advice: put_an_init_in_front(case, Some(init)) })
}

pub(super) fn init_does_not_reap(case: &Case<'_>) -> Option<Finding> {
    let waiter = case.waiter.filter(|waiter| case.adopted && waiter.is_init)?;
    let mut evidence = adopter_does_not_reap(case)?;
    evidence.insert(0, format!("{} is PID 1{} and adopted it", case.waiter_name(), namespace_of(waiter)));
    Some(Finding { cause: Cause::InitDoesNotReap, evidence, advice: put_an_init_in_front(case, None) })
}

pub(super) fn subreaper_does_not_reap(case: &Case<'_>) -> Option<Finding> {
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

fn namespace_of(init: &Process) -> String {
    init.identity.ns.filter(|ns| ns.inum != 0).map_or_else(String::new, |ns| format!(" of pid namespace {}", ns.inum))
}

/// An adopter has to wait for any child: it does not know the ones it adopts.
fn adopter_does_not_reap(case: &Case<'_>) -> Option<Vec<String>> {
    let waits = blamable(case)?;
    let parenting = case.parenting()?;
    let waits_for_any = waits.last_any_ns >= case.since || (waits.in_progress > 0 && waits.last_any_ns != 0);
    let may_cover_it = waits.pgid_calls > 0 && waits.last_call_ns >= case.since;
    // It does reap what it adopts, only not this one yet.
    let has_the_habit = waits.any_calls > 0 && parenting.reaped > 0;
    if waits_for_any || may_cover_it || has_unseen_calls(waits) || has_the_habit || is_just_met(case) {
        return None;
    }
    let mut evidence = vec![no_wait_sentence(case, waits, "wait call for any child")];
    evidence.extend(adoption_story(case));
    Some(evidence)
}

/// Who forked it, how and when that process died, and who has it now.
fn adoption_story(case: &Case<'_>) -> Option<String> {
    let (name, pid, end) = match case.first_parent? {
        Forefather::Alive(process) => (process.identity.comm, process.key.pid, process.end()),
        Forefather::Dead(remains) => (remains.comm, remains.key.pid, remains.end),
    };
    let name = escape::comm(&name);
    let how = match end {
        Some((time, ExitStatus::Code(code))) => format!("exited with {code}, {}", before_or_after(time, case)),
        Some((time, ExitStatus::Signal { signal, .. })) => {
            format!("was killed by {}, {}", crate::signal::name(signal.into()), before_or_after(time, case))
        }
        None => "is gone".to_owned(),
    };
    Some(format!("{name} (pid {pid}) forked it and {how}: so {} got it", case.waiter_name()))
}

/// When a parent died, against its child's death.
fn before_or_after(parent_died: BootNs, case: &Case<'_>) -> String {
    let child_died = case.state.since;
    if case.state.preexisting() && parent_died <= child_died {
        // The zombie was found, and may be as old as its parent's death.
        return format!("{} before tracing found the zombie", duration(child_died - parent_died));
    }
    match child_died.checked_sub(parent_died) {
        Some(before) => format!("{} before it died", duration(before)),
        None => format!("{} after it died", duration(parent_died - child_died)),
    }
}
