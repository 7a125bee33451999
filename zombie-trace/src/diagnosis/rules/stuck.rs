//! Processes that died in part and cannot go. It is nobody's negligence: nothing can be reaped yet.

use super::{Cause, Finding};
use crate::{
    diagnosis::words::{function, plural},
    event::{Evidence, ProcFacts, Task},
    model::{Model, Process},
    text::escape,
};

/// So many threads, or processes, are named.
const NAMED: usize = 4;

pub(in crate::diagnosis) fn stuck(model: &Model, process: &Process) -> Option<Finding> {
    if !process.is_dying() {
        return None;
    }
    match process.is_dead() {
        false => leader_with_live_threads(process),
        true if process.is_nested_init() => teardown(model, process),
        true => None,
    }
}

pub(in crate::diagnosis) fn may_be_meant(process: &Process) -> bool {
    !process.is_dead() && facts_of(process).is_some_and(|facts| facts.tasks.iter().all(|task| task.state != 'D'))
}

fn facts_of(process: &Process) -> Option<&ProcFacts> {
    let (_, evidence): &(_, Box<Evidence>) = process.parenting.as_deref()?.evidence.as_ref()?;
    evidence.proc.as_ref()
}

fn leader_with_live_threads(process: &Process) -> Option<Finding> {
    let facts = facts_of(process).filter(|facts| facts.state == 'Z')?;
    let name = escape::comm(&process.identity.comm);
    let live: Vec<&Task> = facts.tasks.iter().filter(|task| !matches!(task.state, 'Z' | 'X')).collect();
    if live.is_empty() {
        return None;
    }
    let asleep: Vec<&&Task> = live.iter().filter(|task| task.state == 'D').collect();
    let named = if asleep.is_empty() { live.iter().take(NAMED).collect() } else { asleep };
    let mut evidence = vec![format!(
        "the main thread of {name} has exited, {} of it {}: nobody can reap it before they end",
        plural(live.len() as u64, "thread", "threads"),
        if live.len() == 1 { "lives" } else { "live" }
    )];
    evidence.extend(named.iter().take(NAMED).map(|task| {
        let place = task.wait_channel.as_deref().map_or_else(String::new, function);
        format!("thread {} ({}) is in state {}{place}", task.tid, escape::comm(&task.comm), task.state)
    }));
    let advice = if named.iter().any(|task| task.state == 'D') {
        "A thread in uninterruptible sleep ends when the kernel function it is in returns: look at what that waits for, \
         a disk or a network file system as a rule."
    } else {
        "It is not the parent's fault. If the process is to end, end it as a whole: exit(), not pthread_exit(), in the \
         main thread, or a signal."
    };
    Some(Finding { cause: Cause::LeaderZombieWithLiveThreads, evidence, advice: advice.to_owned() })
}

/// The init waits in `zap_pid_ns_processes` until no number of its namespace is in use.
pub(super) fn teardown(model: &Model, init: &Process) -> Option<Finding> {
    let facts = facts_of(init)?;
    let mut rest: Vec<&Process> = model.namespace_rest(init.key).collect();
    let zaps = match facts.wait_channel.as_deref() {
        Some(function) => function.starts_with("zap_pid_ns"),
        // Before 5.16 x86 cannot tell where a process sleeps. A dead group's init that sleeps so that a signal could
        // wake it, while others of its namespace are there, does so for them.
        None => facts.state == 'S' && !rest.is_empty(),
    };
    if !zaps {
        return None;
    }
    let name = escape::comm(&init.identity.comm);
    let namespace = init.identity.ns.map_or(0, |ns| ns.inum);
    rest.sort_unstable_by_key(|process| process.key);
    let mut evidence = vec![format!(
        "{name} (pid {}), PID 1 of pid namespace {namespace}, has exited and waits in the kernel for {}",
        init.key.pid,
        match rest.len() {
            0 => "something that is not seen: a process of a namespace within".to_owned(),
            count => plural(count as u64, "process", "processes"),
        }
    )];
    evidence.extend(rest.iter().take(NAMED).map(|process| what_holds(model, init, process)));
    Some(Finding {
        cause: Cause::NamespaceTeardownStuck,
        evidence,
        advice:
            "The namespace, and the container with it, ends when these are gone: reap or end the parent of a zombie \
                 from outside; for one in uninterruptible sleep, look at what its kernel function waits for."
                .to_owned(),
    })
}

fn what_holds(model: &Model, init: &Process, process: &Process) -> String {
    let who = format!("{} (pid {})", escape::comm(&process.identity.comm), process.key.pid);
    if let Some(zombie) = process.zombie() {
        let parent = model.process(zombie.waiter());
        let name = parent.map_or_else(|| "a process".into(), |parent| escape::comm(&parent.identity.comm));
        let place = match parent.filter(|parent| parent.identity.level < init.identity.level) {
            Some(_) => ", outside the namespace",
            None => "",
        };
        return format!("{who} is a zombie of {name} (pid {}){place}", zombie.waiter().pid);
    }
    match facts_of(process) {
        Some(facts) => {
            let place = facts.wait_channel.as_deref().map_or_else(String::new, function);
            format!("{who} is in state {}{place}", facts.state)
        }
        None => format!("{who} has not ended"),
    }
}
