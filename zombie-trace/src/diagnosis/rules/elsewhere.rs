//! What keeps a willing parent from reaping, or makes the fault another's.

use super::{Case, Cause, Finding};
use crate::{
    diagnosis::words::{duration, function},
    model::Standing,
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
            "{tracer} (pid {}) traces the process; its parent (pid {}) cannot reap it before the tracer has waited",
            case.state.waiter().pid,
            case.death.parent.pid
        )],
        advice: format!("Let {tracer} go on, detach it, or end it."),
    })
}

/// Two looks at the parent found it still, and it has not run between them.
pub(super) fn parent_cannot_run(case: &Case<'_>) -> Option<Finding> {
    let Standing::Held { since, .. } = case.parenting()?.standing else { return None };
    let (at, evidence) = case.evidence()?;
    let facts = evidence.proc.as_ref()?;
    let (name, pid) = (case.waiter_name(), case.state.waiter().pid);
    let (state, advice) = if let Some(cgroup) = &facts.frozen_by {
        let cgroup = escape::text(cgroup.as_bytes());
        (
            format!("is frozen with its cgroup {cgroup}"),
            format!("Thaw {cgroup}: `docker unpause`, or `0` into cgroup.freeze, or `THAWED` into freezer.state."),
        )
    } else {
        match facts.state {
            'R' => (
                "is ready to run (state R), but gets no processor,".to_owned(),
                "Look at what its cgroup may use (cpu.max, and what cpu.stat says was throttled), and at what else runs on \
                 its processors."
                    .to_owned(),
            ),
            'T' => ("is stopped by a signal (state T)".to_owned(), format!("Let it go on: `kill -CONT {pid}`.")),
            't' => {
                let tracer = facts.tracer.map_or_else(|| "its tracer".to_owned(), |pid| format!("process {pid}"));
                (
                    format!("is held by {tracer}, which traces it (state t)"),
                    format!("Let {tracer} go on, detach it, or end it."),
                )
            }
            'D' => {
                let place = facts.wait_channel.as_deref().map_or_else(String::new, function);
                (
                    format!("is in uninterruptible sleep (state D){place}"),
                    "Look at what the kernel function waits for: a disk, a network file system, or a child of vfork \
                     that does not call exec."
                        .to_owned(),
                )
            }
            _ => return None,
        }
    };
    let for_long = duration(at.saturating_sub(since));
    Some(Finding {
        cause: Cause::ParentCannotRun,
        evidence: vec![format!("{name} {state} and has not run for at least {for_long}: it cannot wait for its child")],
        advice,
    })
}

/// An init that dies reaps in the kernel, all that it can.
pub(super) fn namespace_teardown_stuck(case: &Case<'_>) -> Option<Finding> {
    let waiter = case.waiter.filter(|waiter| waiter.is_nested_init() && waiter.is_dying() && waiter.is_dead())?;
    super::stuck::teardown(case.model, waiter)
}

/// Processes that keep containers, as the kernel cuts their names.
const RUNTIMES: &[&str] = &[
    "containerd-shim",
    "docker-containe",
    "conmon",
    "conmonrs",
    "crio",
    "cri-o",
    "runc",
    "crun",
    "youki",
    "runsc",
    "podman",
    "systemd-nspawn",
    "lxc-start",
    "lxd-forkstart",
];

pub(super) fn shim_or_runtime(case: &Case<'_>) -> Option<Finding> {
    let waiter = case.waiter.filter(|_| case.waiter_is_outside() && !case.uncertain && case.waiter_runs())?;
    let name = case.waiter_name();
    let is_runtime = RUNTIMES.contains(&name.as_str()) || name.starts_with("containerd-shim");
    if !is_runtime {
        return None;
    }
    let own = case.zombie.identity.ns.map_or(0, |ns| ns.inum);
    let what = if case.zombie.is_init { "PID 1 of the container" } else { "a process that was put into the container" };
    let waits = case.waits().map(|waits| {
        let how = match waits.last_call_ns >= case.since || waits.in_progress > 0 {
            true => "waited since, but not for this one",
            false => "has not called wait since",
        };
        format!("{name} {how}")
    });
    let namespace = if own == 0 { String::new() } else { format!(" {own}") };
    Some(Finding {
        cause: Cause::ShimOrRuntime,
        evidence: std::iter::once(format!(
            "its parent {name} (pid {}) is a container runtime outside the pid namespace{namespace}, and it was {what}",
            waiter.key.pid
        ))
        .chain(waits)
        .collect(),
        advice: format!(
            "This is the runtime's to mend, not the container's: look for its known bugs on missed exits; the zombie \
             goes when {name} does, with its container."
        ),
    })
}
