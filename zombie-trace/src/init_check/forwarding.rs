//! Signals that PID 1 gets and does not die of.

use super::{Judgement, Observation, plan::Plan, workload::GOT_IT};
use crate::{
    diagnosis::StopCause,
    report::{ExitRecord, Grade},
    signal,
};

/// Whether a signal to PID 1 reached its child; where the child is the command's own, whether it had an effect.
pub(super) fn forwarded(seen: &Observation<'_>) -> Judgement {
    let Plan::Signal { signal } = seen.plan else { return Judgement::not_applicable("no signal is sent") };
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    let signal = signal.unsigned_abs();
    let name = signal::name(signal);
    if seen.result.workload {
        return workload(seen, signal, &name);
    }
    let died = seen
        .result
        .children
        .iter()
        .find(|child| matches!(seen.end_of(child), Some(ExitRecord::Signal { signal, .. }) if *signal == name));
    if let Some(child) = died {
        return Judgement::pass(format!("{name} reached {}, which died of it", child.comm));
    }
    if let Some(exit) = seen.end() {
        return Judgement::pass(format!("PID 1 ended: {exit}"));
    }
    if seen.drop_of(signal).is_some() {
        return Judgement::of(Grade::Fail, Vec::new()).by_drop(seen, signal);
    }
    Judgement::not_applicable(format!("PID 1 received {name} and nothing exited; the child may handle it"))
}

fn workload(seen: &Observation<'_>, signal: u32, name: &str) -> Judgement {
    if seen.some_exited_with(GOT_IT) {
        return Judgement::pass(format!("a child with a handler for {name} received it"));
    }
    if seen.drop_of(signal).is_some() {
        return Judgement::of(Grade::Fail, Vec::new()).by_signal(seen, signal, StopCause::NoHandler);
    }
    if let Some(exit) = seen.end() {
        let what = format!("PID 1 ended ({exit}), but its child, which has a handler for {name}, never received it");
        return Judgement::fail(what).by_signal(seen, signal, StopCause::EndedBeforeChildren);
    }
    // Not «PID 1 got it»: without a handler it may read it by sigwait, or the kernel drops what is ignored by default.
    let what = format!("PID 1 was sent {name}, but its child, which has a handler for it, never received it");
    Judgement::fail(what).by_signal(seen, signal, StopCause::NotForwarded)
}
