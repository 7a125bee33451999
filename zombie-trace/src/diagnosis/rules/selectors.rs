//! Parents that wait, but not for this child.

use super::{
    __WALL, __WCLONE, __WNOTHREAD, Case, Cause, Finding, SIGCHLD, WNOWAIT, conclusive_waits, has_unclassified_calls,
    has_waited_since, rhythm::may_yet_reap,
};
use crate::{
    diagnosis::{
        advice::for_parent,
        doing, programs,
        words::{plural, times},
    },
    event::{Runtime, WaitActivity},
};

pub(super) fn needs_wclone(case: &Case<'_>) -> Option<Finding> {
    let waits = conclusive_waits(case)?;
    let asked = has_waited_since(case, waits);
    let could_see_it = waits.options_seen & (__WALL | __WCLONE) != 0;
    // Adoption after its death made its exit signal SIGCHLD.
    let changed = case.state.since != case.since;
    if case.death.exit_signal == SIGCHLD
        || !asked
        || could_see_it
        || changed
        || case.death.tracer.is_some()
        || has_unclassified_calls(case, waits)
    {
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
            format!("the child was cloned with {signal}, so only a wait with __WALL or __WCLONE can reap it"),
            format!("{name} called wait {} while traced, never with either flag", times(waits.calls)),
        ],
        advice: "Pass __WALL to waitpid, or clone with SIGCHLD as exit signal.".to_owned(),
    })
}

/// A call that covers a zombie reaps it. So later calls that left it select others, unless they used WNOWAIT or options
/// that exclude it; and a call for any child may have taken another zombie first.
pub(super) fn waits_for_others(case: &Case<'_>) -> Option<Finding> {
    let waits = conclusive_waits(case)?;
    let asked = has_waited_since(case, waits);
    let is_in_call_for_any = waits.in_progress > 0 && waits.last_any_ns != 0 && waits.last_any_ns == waits.last_call_ns;
    let for_any = waits.last_any_ns >= case.since || is_in_call_for_any;
    let sees_otherwise = waits.options_seen & (WNOWAIT | __WNOTHREAD | __WCLONE) != 0;
    let is_plain = case.death.exit_signal == SIGCHLD && case.death.tracer.is_none();
    // A parent that reaped older ones by pid is late, but has not forgotten this one.
    let is_late = waits.in_progress == 0 && may_yet_reap(case);
    if !asked || for_any || sees_otherwise || !is_plain || has_unclassified_calls(case, waits) || is_late {
        return None;
    }
    let name = case.waiter_name();
    let mut evidence = vec![format!(
        "{name} waits only for other children: {} for specific pids, {} for process groups{}",
        plural(waits.pid_calls, "call", "calls"),
        plural(waits.pgid_calls, "call", "calls"),
        match waits.in_progress {
            0 => String::new(),
            1 => "; one call is in progress".to_owned(),
            many => format!("; {many} calls are in progress"),
        }
    )];
    evidence.extend(asked_for(waits));
    evidence.extend(loop_of_node(case, waits));
    Some(Finding {
        cause: Cause::WaitsForOthers,
        evidence,
        advice: match case.facts().and_then(|facts| facts.runtime) {
            Some(Runtime::Go | Runtime::Node | Runtime::Java) => for_parent(case),
            _ if case.waiter.is_some_and(|waiter| programs::advice(&waiter.identity).is_some()) => for_parent(case),
            _ if waits.in_progress > 0 && doing::advice(case).is_some() => doing::advice(case).unwrap_or_default(),
            // A program that waits by pid loses statuses to a wait for any.
            _ if waits.pid_calls > 0 => {
                "Keep the pid, or the handle, of every child until its exit status has been collected, and wait for \
                 each by its pid."
                    .to_owned()
            }
            _ => "Keep the pid of every child and wait for each, or reap any child: waitpid(-1, …, WNOHANG) in a loop \
                  when SIGCHLD arrives."
                .to_owned(),
        },
    })
}

/// libuv's loop waits for each child in its table by pid. So either the loop is stuck or this child is not in the
/// table.
fn loop_of_node(case: &Case<'_>, waits: &WaitActivity) -> Option<String> {
    case.facts().filter(|facts| facts.runtime == Some(Runtime::Node))?;
    let name = case.waiter_name();
    // In the outermost namespace numbers are pids.
    let is_outermost = case.waiter.is_some_and(|waiter| waiter.identity.level == 0);
    let awaited = waits.recent.iter().rev().filter_map(|&pid| case.model.living(u32::try_from(pid).ok()?));
    let sync = awaited.filter(|_| is_outermost).find(|child| child.parent == Some(case.state.waiter()));
    let of = sync.map_or_else(String::new, |child| {
        format!(" of {} (pid {})", super::name(&child.identity.comm, child.key.pid), child.key.pid)
    });
    Some(format!(
        "{name} reaps each child from its event loop, by its pid, and has not asked for this one: the loop is held up \
         (execSync or spawnSync{of}), or the handle of this child was closed before it exited"
    ))
}

fn asked_for(waits: &WaitActivity) -> Option<String> {
    if waits.recent.is_empty() {
        return None;
    }
    let words: Vec<String> = waits
        .recent
        .iter()
        .map(|&id| match id {
            0 => "its own process group".to_owned(),
            pid if pid > 0 => format!("pid {pid}"),
            group => format!("process group {}", group.unsigned_abs()),
        })
        .collect();
    let all = if waits.recent_complete { "" } else { " (earlier ones not recorded)" };
    Some(format!("recent targets: {}{all}", words.join(", ")))
}
