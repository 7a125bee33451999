//! Processes that adopt orphans and do not reap them.

use super::{
    __WCLONE, __WNOTHREAD, Case, Cause, Finding, conclusive_waits, has_unclassified_calls, history, name,
    no_wait_sentence, observed_too_briefly,
    rhythm::{Calls, explains_silence},
};
use crate::{
    diagnosis::advice::put_an_init_in_front,
    diagnosis::words::duration,
    event::{BootNs, ExitStatus},
    model::{Ancestor, Process},
    programs::INITS,
    text::escape,
};

pub(super) fn init_not_pid_1(case: &Case<'_>) -> Option<Finding> {
    let waiter = case.waiter.filter(|_| case.adopted)?;
    let pid_1 = waiter.identity.ns?;
    // An orphan goes to the nearest subreaper above it; it passed this init, which therefore is not a subreaper.
    let init = case.ancestors().find_map(|ancestor| match ancestor {
        Ancestor::Alive(process) => Some(process).filter(|process| {
            let is_inside = process.identity.ns.is_some_and(|ns| ns.nr != 1 && ns.inum == pid_1.inum);
            is_inside && process.key != waiter.key && !process.is_dead() && is_init_program(process)
        }),
        Ancestor::Dead(_) => None,
    })?;
    let mut evidence = adopter_does_not_reap(case)?;
    let (name, nr) = (name(&init.identity.comm, init.key.pid), init.identity.ns.map_or(0, |ns| ns.nr));
    let adopter = case.waiter_name();
    evidence.insert(
        0,
        format!(
            "{name} is pid {nr} in its namespace and not a subreaper, so orphans go to {adopter} (pid {})",
            pid_1.nr
        ),
    );
    Some(Finding {
        cause: Cause::InitNotPid1,
        evidence,
        advice: format!(
            "Run {name} as PID 1: `exec` it from the entrypoint script. Or make it a subreaper: `tini -s` or \
             TINI_SUBREAPER=1."
        ),
    })
}

fn is_init_program(process: &Process) -> bool {
    let comm = escape::comm(&process.identity.comm);
    let exe = process.identity.exe.as_deref().and_then(|exe| exe.rsplit('/').next());
    // A process can choose its name, so the executable decides if it is known.
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
            "PID 1{} is {}, but the image contains {init}{also}",
            namespace_of(waiter),
            escape::text(exe.as_bytes())
        ),
    );
    Some(Finding { cause: Cause::InitBypassed, evidence, advice: put_an_init_in_front(case, Some(init)) })
}

pub(super) fn init_does_not_reap(case: &Case<'_>) -> Option<Finding> {
    let waiter = case.waiter.filter(|waiter| case.adopted && waiter.is_init)?;
    let mut evidence = adopter_does_not_reap(case)?;
    evidence.insert(0, format!("{}, PID 1{}, adopted the zombie", case.waiter_name(), namespace_of(waiter)));
    Some(Finding { cause: Cause::InitDoesNotReap, evidence, advice: put_an_init_in_front(case, None) })
}

pub(super) fn subreaper_does_not_reap(case: &Case<'_>) -> Option<Finding> {
    case.waiter.filter(|waiter| case.adopted && waiter.is_subreaper && !waiter.is_init)?;
    let mut evidence = adopter_does_not_reap(case)?;
    evidence.insert(0, format!("{}, a child subreaper, adopted the zombie", case.waiter_name()));
    Some(Finding {
        cause: Cause::SubreaperDoesNotReap,
        evidence,
        advice: "A process that sets PR_SET_CHILD_SUBREAPER must call waitpid(-1, …) for what it adopts, or it should \
                 not set that flag."
            .to_owned(),
    })
}

fn namespace_of(init: &Process) -> String {
    init.identity.ns.filter(|ns| ns.inum != 0).map_or_else(String::new, |ns| format!(" of pid namespace {}", ns.inum))
}

/// An adopter has to wait for any child: it does not know the ones it adopts.
fn adopter_does_not_reap(case: &Case<'_>) -> Option<Vec<String>> {
    let waits = conclusive_waits(case)?;
    // A plain call for any child in progress would reap the zombie almost at once; one restricted to some children may
    // be in progress for long.
    let is_restricted = waits.options_seen & (__WNOTHREAD | __WCLONE) != 0;
    let latest_is_for_any = waits.last_any_ns != 0 && waits.last_any_ns == waits.last_call_ns;
    let waits_for_any = waits.in_progress > 0 && (latest_is_for_any || is_restricted && waits.last_any_ns != 0);
    let may_cover_it = waits.pgid_calls > 0 && waits.last_call_ns >= case.since;
    if waits_for_any
        || may_cover_it
        || has_unclassified_calls(case, waits)
        || explains_silence(case, waits, Calls::ForAny)
        || observed_too_briefly(case)
    {
        return None;
    }
    let mut evidence = vec![no_wait_sentence(case, waits, "waited for any child (waitpid -1)", waits.last_any_ns)];
    evidence.extend(history(case));
    evidence.extend(adoption_story(case));
    Some(evidence)
}

/// Which process forked it, how and when that one died, and which one adopted it.
fn adoption_story(case: &Case<'_>) -> Option<String> {
    let (comm, pid, end) = match case.first_parent? {
        Ancestor::Alive(process) => (process.identity.comm, process.key.pid, process.end()),
        Ancestor::Dead(remains) => (remains.comm, remains.key.pid, remains.end),
    };
    let first = format!("its first parent {} (pid {pid})", name(&comm, pid));
    let adopter = case.waiter_name();
    Some(match end {
        Some((time, ExitStatus::Code(code))) => {
            format!("{first} exited with {code}, {}; {adopter} adopted it", before_or_after(time, case))
        }
        Some((time, ExitStatus::Signal { signal, .. })) => {
            let signal = crate::signal::name(signal.into());
            format!("{first} was killed by {signal}, {}; {adopter} adopted it", before_or_after(time, case))
        }
        None => format!("{first} has exited; {adopter} adopted it"),
    })
}

/// When a parent died, relative to its child's death.
fn before_or_after(parent_died: BootNs, case: &Case<'_>) -> String {
    let child_died = case.state.since;
    if case.state.preexisting() && parent_died <= child_died {
        // The zombie was found by a scan, and may be as old as its parent's death.
        return format!("{} before tracing found the zombie", duration(child_died - parent_died));
    }
    match child_died.checked_sub(parent_died) {
        Some(before) => format!("{} before the zombie died", duration(before)),
        None => format!("{} after the zombie died", duration(parent_died - child_died)),
    }
}
