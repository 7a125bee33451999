//! What prevents a parent from reaping, or requires another process to wait first.

use super::{Case, Cause, Finding};
use crate::{
    diagnosis::words::{duration, function},
    model::RunState,
    programs::is_container_runtime,
    text::escape,
};

pub(super) fn held_by_tracer(case: &Case<'_>) -> Option<Finding> {
    if !case.state.is_held_by_tracer() {
        return None;
    }
    let tracer = case.waiter_name();
    Some(Finding {
        cause: Cause::HeldByTracer,
        evidence: vec![format!(
            "{tracer} (pid {}) ptraces the zombie; the parent (pid {}) can reap it only after {tracer} does",
            case.state.waiter().pid,
            case.death.parent.pid
        )],
        advice: format!("Resume {tracer}, detach it, or kill it."),
    })
}

/// The parent could not run at two looks, and has not run between them. A frozen one may have woken between them,
/// though only within the kernel.
pub(super) fn parent_cannot_run(case: &Case<'_>) -> Option<Finding> {
    let RunState::Blocked { since, .. } = case.parenting()?.run_state else { return None };
    let (at, evidence) = case.evidence()?;
    let facts = evidence.proc.as_ref()?;
    let (name, pid) = (case.waiter_name(), case.state.waiter().pid);
    let (state, advice) = if let Some(cgroup) = &facts.frozen_by {
        let cgroup = escape::text(cgroup.as_bytes());
        (
            format!("is in the frozen cgroup {cgroup}"),
            format!("Thaw {cgroup}: `docker unpause`, or write 0 to cgroup.freeze, or THAWED to freezer.state."),
        )
    } else {
        match facts.state {
            'R' => (
                "is runnable (state R) but gets no CPU time".to_owned(),
                "Check the cgroup's cpu.max and the throttling in cpu.stat, and what else uses these CPUs.".to_owned(),
            ),
            'T' => ("is stopped by a signal (state T)".to_owned(), format!("Resume it: `kill -CONT {pid}`.")),
            't' => {
                let tracer = facts.tracer.map_or_else(|| "its tracer".to_owned(), |pid| format!("process {pid}"));
                (
                    format!("is held by {tracer}, which traces it (state t)"),
                    format!("Resume {tracer}, detach it, or kill it."),
                )
            }
            'D' => {
                let place = facts.wait_channel.as_deref().map_or_else(String::new, function);
                (
                    format!("is in uninterruptible sleep (state D){place}"),
                    "Find out what that kernel function waits for: a disk, a network file system, or a child of vfork \
                     that does not call exec."
                        .to_owned(),
                )
            }
            _ => return None,
        }
    };
    let for_long = duration(at.saturating_sub(since));
    let for_how_long = match &facts.frozen_by {
        Some(_) => format!("and was {for_long} before"),
        None => format!("and has not run for at least {for_long}"),
    };
    Some(Finding {
        cause: Cause::ParentCannotRun,
        evidence: vec![format!("{name} {state} {for_how_long}, so it cannot call wait")],
        advice,
    })
}

/// A dying init reaps in the kernel all that it can.
pub(super) fn namespace_teardown_stuck(case: &Case<'_>) -> Option<Finding> {
    let waiter = case.waiter.filter(|waiter| waiter.is_nested_init() && waiter.is_dying() && waiter.is_dead())?;
    super::stuck::teardown(case.model, waiter)
}

pub(super) fn shim_or_runtime(case: &Case<'_>) -> Option<Finding> {
    let waiter = case.waiter.filter(|_| case.waiter_is_outside() && !case.uncertain && case.waiter_runs())?;
    let name = case.waiter_name();
    if !is_container_runtime(&name) {
        return None;
    }
    let own = case.zombie.identity.ns.map_or(0, |ns| ns.inum);
    let what = if case.zombie.is_init {
        "the zombie was PID 1 of the container"
    } else {
        "the zombie entered the container with exec"
    };
    let waits = case.waits().map(|waits| {
        let how = match waits.last_call_ns >= case.since || waits.in_progress > 0 {
            true => "has waited since, but not for this one",
            false => "has not called wait since",
        };
        format!("{name} {how}")
    });
    let namespace = if own == 0 { String::new() } else { format!(" {own}") };
    Some(Finding {
        cause: Cause::ShimOrRuntime,
        evidence: std::iter::once(format!(
            "its parent {name} (pid {}) is a container runtime outside the pid namespace{namespace}; {what}",
            waiter.key.pid
        ))
        .chain(waits)
        .collect(),
        advice: format!(
            "This is a bug in the runtime, not in the container: search its issues for missed exits. The zombie \
             disappears when the container's {name} exits."
        ),
    })
}
