//! The end.

use super::{
    Judgement, Observation,
    observe::exit_of,
    reaping::nanoseconds,
    workload::{CHILD_GOT_IT, GOT_IT},
};
use crate::{
    diagnosis::StopCause,
    report::{ExitRecord, Grade},
    text::duration,
};

/// Whether PID 1 ended in time.
pub(super) fn within_grace(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    let name = seen.stop_name();
    let grace = duration(nanoseconds(seen.scene.grace));
    if let (Some(exit), Some(after)) = (seen.end(), seen.result.after) {
        let after = duration(nanoseconds(after));
        return Judgement::pass(format!("ended {after} after {name} ({exit}); the grace period is {grace}"));
    }
    Judgement::fail(format!("still there {grace} after {name}: it had to be killed")).by_stop(seen)
}

/// Whether the children were asked to end.
pub(super) fn children(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    if seen.result.children.is_empty() {
        return Judgement::not_applicable("PID 1 has no children: it is the application itself");
    }
    let mut killed = Vec::new();
    let mut ended = Vec::new();
    for child in &seen.result.children {
        match seen.end_of(child) {
            Some(ExitRecord::Signal { signal, .. }) if signal == "SIGKILL" => killed.push(child.comm.clone()),
            Some(exit) => ended.push(format!("{}: {exit}", child.comm)),
            // The namespace is gone and nothing was lost: what ended without being a zombie of anybody went with it.
            None => killed.push(child.comm.clone()),
        }
    }
    if killed.is_empty() {
        return Judgement::of(Grade::Pass, ended);
    }
    let what = format!(
        "{} killed with SIGKILL when the namespace was torn down, without having ended on {}",
        killed.join(", "),
        seen.stop_name()
    );
    Judgement::fail(what).by_stop(seen)
}

/// Whether a child of the child was asked to end, and waited for while it did.
pub(super) fn descendants(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    let name = seen.stop_name();
    if seen.some_exited_with(CHILD_GOT_IT) {
        return Judgement::pass(format!("its child's child, which takes 0.2 s to end on {name}, ended by itself"));
    }
    let own = seen.stop(seen.scene.stop_signal.unsigned_abs());
    let handlers = seen.result.children.iter().filter(|it| it.caught >> (seen.scene.stop_signal - 1) & 1 == 1);
    let unasked = handlers
        .filter(|child| own.is_some_and(|stop| stop.killed_without_term.iter().any(|victim| victim.pid == child.pid)));
    let what = match (seen.some_exited_with(GOT_IT), unasked.count()) {
        (false, _) => format!("neither its child nor that one's child got {name}: both were killed with the namespace"),
        (true, 0) => format!("its child's child got {name} and was killed 0.2 s before it was ready: nobody waited"),
        (true, _) => format!("its child got {name}, but that one's child did not, and was killed with the namespace"),
    };
    let judged = Judgement::fail(what).by_stop(seen);
    // It was asked, so the stop rules have nothing to say; the check knows that it would have ended.
    match seen.end() {
        Some(_) => judged.or(seen, seen.scene.stop_signal.unsigned_abs(), StopCause::EndedBeforeChildren),
        None => judged,
    }
}

/// Whether the exit code of the child is that of PID 1.
pub(super) fn exit_codes(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    if !seen.result.codes.iter().any(|(code, _, _)| *code != 0 && seen.some_exited_with(*code)) {
        return Judgement::not_applicable("the check's workload, a script for sh, did not get going under it");
    }
    let mut passed = Vec::new();
    let mut bad = Vec::new();
    for (code, _, status) in &seen.result.codes {
        match status.map(exit_of) {
            Some(ExitRecord::Code { code: own }) if own == *code => passed.push(code.to_string()),
            Some(exit) => bad.push(format!("its child ended with exit {code}, PID 1 otherwise ({exit})")),
            None => bad.push(format!("its child ended with exit {code}, and PID 1 lived on")),
        }
    }
    if bad.is_empty() {
        return Judgement::pass(format!("{} come through", passed.join(", ")));
    }
    Judgement::of(Grade::Fail, bad)
}

/// Whether the death of the child by a signal shows in the exit code.
pub(super) fn passes_on(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    let direct = seen.result.children.iter().filter(|child| child.parent == seen.result.init).count();
    if direct != 1 {
        return Judgement::not_applicable(format!("PID 1 has {direct} children, not one"));
    }
    match seen.end() {
        Some(exit @ ExitRecord::Code { code: 137 }) => Judgement::pass(format!("the child was killed: {exit}")),
        Some(exit) => Judgement::fail(format!(
            "the child was killed by SIGKILL, and PID 1 ended otherwise ({exit}), not with 137"
        )),
        None if seen.result.restarted => {
            Judgement::not_applicable("the child was killed and started anew: PID 1 is a supervisor")
        }
        None => Judgement::fail("the child was killed, and PID 1 lived on".to_owned()),
    }
}
