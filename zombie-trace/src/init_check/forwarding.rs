//! Signals that PID 1 gets and does not die of.

use super::{Grade, Judgement, Observation, plan::Plan, workload::GOT_IT};
use crate::{report::ExitRecord, signal};

/// Whether a signal to PID 1 reached its child; where the child is the command's own, whether it had an effect.
pub(super) fn forwarded(seen: &Observation<'_>) -> Judgement {
    let Plan::Signal { signal } = seen.plan else { return (Grade::NotApplicable, Vec::new()) };
    if let Some(why) = seen.not_applicable_reason() {
        return (Grade::NotApplicable, vec![why]);
    }
    let name = signal::name(signal.unsigned_abs());
    if seen.result.workload {
        return workload(seen, &name);
    }
    let died = seen
        .result
        .children
        .iter()
        .find(|child| matches!(seen.end_of(child), Some(ExitRecord::Signal { signal, .. }) if *signal == name));
    if let Some(child) = died {
        return (Grade::Pass, vec![format!("{} died of {name}", child.comm)]);
    }
    if let Some(exit) = seen.end() {
        return (Grade::Pass, vec![format!("PID 1 ended: {exit}")]);
    }
    if let Some(why) = seen.drop_of(&name) {
        return (Grade::Fail, vec![why]);
    }
    (Grade::NotApplicable, vec![format!("PID 1 took {name}, and nothing ended: the child may well handle it")])
}

fn workload(seen: &Observation<'_>, name: &str) -> Judgement {
    if seen.some_exited_with(GOT_IT) {
        return (Grade::Pass, vec![format!("a child with a handler for {name} got it")]);
    }
    if let Some(why) = seen.drop_of(name) {
        return (Grade::Fail, vec![why]);
    }
    let what = match seen.end() {
        Some(exit) => format!("PID 1 ended ({exit}), and its child, with a handler for {name}, never got it"),
        None => format!("PID 1 got {name}, and its child, with a handler for it, did not"),
    };
    (Grade::Fail, vec![what])
}
