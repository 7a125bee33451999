//! Parents that wait, but not for this child.

use super::{__WALL, __WCLONE, __WNOTHREAD, Case, Cause, Finding, SIGCHLD, WNOWAIT, blamable, has_unseen_calls};
use crate::{
    diagnosis::words::{plural, times},
    event::WaitActivity,
};

pub(super) fn needs_wclone(case: &Case<'_>) -> Option<Finding> {
    let waits = blamable(case)?;
    let asked = waits.calls > 0 && waits.last_call_ns >= case.since || waits.in_progress > 0;
    let could_see_it = waits.options_seen & (__WALL | __WCLONE) != 0;
    // Being adopted after its death made its exit signal SIGCHLD.
    let changed = case.state.since != case.since;
    if case.death.exit_signal == SIGCHLD
        || !asked
        || could_see_it
        || changed
        || case.death.tracer.is_some()
        || has_unseen_calls(waits)
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
            format!("the child was cloned with {signal}: a wait without __WALL or __WCLONE does not see it"),
            format!("{name} called wait {} since tracing began, never with either", times(waits.calls)),
        ],
        advice: "Pass __WALL to waitpid, or clone with SIGCHLD as exit signal.".to_owned(),
    })
}

/// A call that covers a zombie reaps it. So calls that were made since and left it there select others, unless they
/// only look, or see other children only; and one for any child may have taken another zombie first.
pub(super) fn waits_for_others(case: &Case<'_>) -> Option<Finding> {
    let waits = blamable(case)?;
    let asked = waits.last_call_ns >= case.since || waits.in_progress > 0;
    let for_any = waits.last_any_ns >= case.since;
    let sees_otherwise = waits.options_seen & (WNOWAIT | __WNOTHREAD | __WCLONE) != 0;
    let is_plain = case.death.exit_signal == SIGCHLD && case.death.tracer.is_none();
    if !asked || for_any || sees_otherwise || !is_plain || has_unseen_calls(waits) {
        return None;
    }
    let name = case.waiter_name();
    let mut evidence = vec![format!(
        "{name} waits, but not for this one: {} for single children, {} for process groups{}",
        plural(waits.pid_calls, "call", "calls"),
        plural(waits.pgid_calls, "call", "calls"),
        if waits.in_progress > 0 { ", and waits now" } else { "" }
    )];
    evidence.extend(asked_for(waits));
    Some(Finding {
        cause: Cause::WaitsForOthers,
        evidence,
        advice: "Besides, reap whatever dies: waitpid(-1, …, WNOHANG) in a loop when SIGCHLD arrives; or keep the pid \
                 of every child and wait for each."
            .to_owned(),
    })
}

fn asked_for(waits: &WaitActivity) -> Option<String> {
    if waits.recent.is_empty() {
        return None;
    }
    let words: Vec<String> = waits
        .recent
        .iter()
        .map(|&id| match id {
            0 => "its own group".to_owned(),
            pid if pid > 0 => format!("pid {pid}"),
            group => format!("group {}", group.unsigned_abs()),
        })
        .collect();
    let all = if waits.recent_complete { "" } else { ", and others before" };
    Some(format!("it asked for {}{all}", words.join(", ")))
}
