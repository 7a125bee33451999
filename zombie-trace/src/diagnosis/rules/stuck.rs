//! Processes that are stuck while exiting: nothing can be reaped yet, whatever their parents do.

use super::{Cause, Finding};
use crate::{
    diagnosis::words::{function, plural},
    event::{Evidence, ProcFacts, ProcessKey, Task},
    model::{Holdout, HoldoutState, Identity, Model, Process, Teardown},
    text::escape,
};

/// Maximum number of threads, or processes, that are named.
const MAX_NAMED: usize = 4;

pub(in crate::diagnosis) fn stuck(model: &Model, process: &Process) -> Option<Finding> {
    if !process.is_dying() {
        return None;
    }
    match process.is_dead() {
        false => leader_with_live_threads(process),
        true if process.is_nested_init() => teardown(model, process),
        true => held_thread(model, process),
    }
}

pub(in crate::diagnosis) fn may_be_intentional(process: &Process) -> bool {
    !process.is_dead() && facts_of(process).is_some_and(|facts| facts.tasks.iter().all(|task| task.state != 'D'))
}

fn facts_of(process: &Process) -> Option<&ProcFacts> {
    let (_, evidence): &(_, Box<Evidence>) = process.parenting.as_deref()?.evidence.as_ref()?;
    evidence.proc.as_ref()
}

fn leader_with_live_threads(process: &Process) -> Option<Finding> {
    let facts = facts_of(process).filter(|facts| facts.state == 'Z')?;
    let name = super::name(&process.identity.comm, process.key.pid);
    let live: Vec<&Task> = facts.tasks.iter().filter(|task| !matches!(task.state, 'Z' | 'X')).collect();
    if live.is_empty() {
        return None;
    }
    let asleep: Vec<&&Task> = live.iter().filter(|task| task.state == 'D').collect();
    let named = if asleep.is_empty() { live.iter().take(MAX_NAMED).collect() } else { asleep };
    let mut evidence = vec![format!(
        "{name}'s main thread has exited but {}; nothing can reap {name} until {}",
        match live.len() {
            1 => "1 thread still runs".to_owned(),
            many => format!("{many} threads still run"),
        },
        if live.len() == 1 { "it exits" } else { "they exit" }
    )];
    evidence.extend(named.iter().take(MAX_NAMED).map(|task| {
        let place = task.wait_channel.as_deref().map_or_else(String::new, function);
        format!("thread {} ({}) is in state {}{place}", task.tid, escape::comm(&task.comm), task.state)
    }));
    let advice = if named.iter().any(|task| task.state == 'D') {
        "A thread in uninterruptible sleep can exit only when the kernel function it is in returns: find out what that \
         waits for, usually a disk or a network file system."
    } else {
        "The parent can do nothing yet. To end the whole process, call exit() instead of pthread_exit() in the main \
         thread, or send a fatal signal."
    };
    Some(Finding { cause: Cause::LeaderZombieWithLiveThreads, evidence, advice: advice.to_owned() })
}

/// All threads have exited, and one of them stays a zombie because its tracer has not waited for it: until then the
/// parent cannot reap the process.
fn held_thread(model: &Model, process: &Process) -> Option<Finding> {
    let facts = facts_of(process).filter(|facts| facts.state == 'Z')?;
    let held = |task: &&Task| task.tid != process.key.pid && task.state == 'Z' && task.tracer.is_some();
    let threads: Vec<&Task> = facts.tasks.iter().filter(held).collect();
    let tracer = threads.first()?.tracer?;
    let name = escape::comm(&process.identity.comm);
    let tracer_name = model
        .processes()
        .find(|it| it.key.pid == tracer && !it.is_dead())
        .map_or_else(|| "process".into(), |it| escape::comm(&it.identity.comm));
    let evidence = threads.iter().take(MAX_NAMED).map(|task| {
        let by = if task.tracer == Some(tracer) {
            format!("{tracer_name} (pid {tracer})")
        } else {
            format!("process {}", task.tracer.unwrap_or_default())
        };
        format!(
            "thread {} of {name} has exited, and its tracer {by} has not waited for it: nobody can reap {name} before",
            task.tid
        )
    });
    Some(Finding {
        cause: Cause::HeldByTracer,
        evidence: evidence.collect(),
        advice: format!(
            "Let {tracer_name} (pid {tracer}) wait for the threads that it traces, with __WALL, detach it, or end it."
        ),
    })
}

/// The init waits in `zap_pid_ns_processes` until no number of its namespace is in use.
pub(super) fn teardown(model: &Model, init: &Process) -> Option<Finding> {
    let teardown = model.teardown(init.key)?;
    let (evidence, advice) = explain_teardown(init.key, &init.identity, &teardown);
    Some(Finding { cause: Cause::NamespaceTeardownStuck, evidence, advice })
}

/// Evidence on what a dead init waits for, and advice.
pub(in crate::diagnosis) fn explain_teardown(
    init: ProcessKey,
    identity: &Identity,
    teardown: &Teardown,
) -> (Vec<String>, String) {
    let name = super::name(&identity.comm, init.pid);
    let namespace = identity.ns.map_or(0, |ns| ns.inum);
    let mut evidence = vec![format!(
        "{name} (pid {}), PID 1 of pid namespace {namespace}, has exited and waits in the kernel for {}",
        init.pid,
        match teardown.left {
            0 => "a process that zombie-trace cannot see, probably in a nested pid namespace".to_owned(),
            count => plural(count, "process", "processes"),
        }
    )];
    evidence.extend(teardown.holdouts.iter().map(what_holds));
    let frozen = teardown.holdouts.iter().find_map(|holdout| match &holdout.state {
        HoldoutState::Seen { frozen_by, .. } => frozen_by.as_deref(),
        _ => None,
    });
    let advice = match frozen {
        Some(cgroup) => format!(
            "Thaw {}: unpause the inner container, or write THAWED to its freezer.state. A task that a version 1 freezer \
             holds does not even die of SIGKILL before.",
            escape::text(cgroup.as_bytes())
        ),
        None => {
            "The container is removed when these processes are gone. For a zombie, make its parent reap it or kill \
                 that parent; for a task in state D, find out what its kernel function waits for."
                .to_owned()
        }
    };
    (evidence, advice)
}

fn what_holds(holdout: &Holdout) -> String {
    let pid = holdout.process.pid;
    let who = format!("{} (pid {pid})", super::name(&holdout.identity.comm, pid));
    match &holdout.state {
        HoldoutState::Alive => format!("{who} has not exited"),
        HoldoutState::Zombie { parent, comm, is_outside } => {
            let name = comm.map_or_else(|| "a process".to_owned(), |comm| super::name(&comm, parent.pid));
            let place = if *is_outside { ", outside the namespace" } else { "" };
            format!("{who} is a zombie of {name} (pid {}){place}", parent.pid)
        }
        HoldoutState::Seen { state, wait_channel, frozen_by, tracer, is_killed } => {
            let place = wait_channel.as_deref().map_or_else(String::new, function);
            let pending = if *is_killed { ", with SIGKILL pending" } else { "" };
            match (frozen_by, tracer) {
                (Some(cgroup), _) => {
                    format!("{who} is held by the frozen cgroup {}{pending}", escape::text(cgroup.as_bytes()))
                }
                (None, Some(tracer)) => {
                    format!("{who} is traced by process {tracer}, in state {state}{place}{pending}")
                }
                (None, None) => format!("{who} is in state {state}{place}{pending}"),
            }
        }
    }
}
