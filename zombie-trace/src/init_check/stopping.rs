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
    Judgement::fail(format!("still running {grace} after {name}, so it was killed")).by_stop(seen)
}

/// Whether the children were asked to end.
pub(super) fn children(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    if seen.result.children.is_empty() {
        return Judgement::not_applicable("PID 1 has no children: it is the application");
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
        "killed with the namespace (SIGKILL) without having exited on {}: {}",
        seen.stop_name(),
        killed.join(", ")
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
        return Judgement::pass(format!("the grandchild, which takes 0.2 s to exit on {name}, exited by itself"));
    }
    let own = seen.stop(seen.scene.stop_signal.unsigned_abs());
    let handlers = seen.result.children.iter().filter(|it| it.caught >> (seen.scene.stop_signal - 1) & 1 == 1);
    let unasked = handlers
        .filter(|child| own.is_some_and(|stop| stop.killed_without_term.iter().any(|victim| victim.pid == child.pid)));
    let what = match (seen.some_exited_with(GOT_IT), unasked.count()) {
        (false, _) => {
            format!("neither the child nor the grandchild received {name}; both were killed with the namespace")
        }
        (true, 0) => format!(
            "the grandchild received {name}, but was killed before its exit, which takes 0.2 s: PID 1 did not wait"
        ),
        (true, _) => {
            format!("the child received {name}, but the grandchild did not, and was killed with the namespace")
        }
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
        return Judgement::not_applicable("the test workload, a shell script, did not start under this PID 1");
    }
    let mut passed = Vec::new();
    let mut bad = Vec::new();
    for (code, _, status) in &seen.result.codes {
        match status.map(exit_of) {
            Some(ExitRecord::Code { code: own }) if own == *code => passed.push(code.to_string()),
            Some(exit) => bad.push(format!("the child exited with {code}, but PID 1 with another status ({exit})")),
            None => bad.push(format!("the child exited with {code}, but PID 1 kept running")),
        }
    }
    if bad.is_empty() {
        return Judgement::pass(format!("PID 1 passed on the exit codes {}", passed.join(", ")));
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
        Some(exit @ ExitRecord::Code { code: 137 }) => {
            Judgement::pass(format!("the child was killed, and PID 1 ended with {exit}"))
        }
        Some(exit) => Judgement::fail(format!(
            "the child was killed by SIGKILL, but PID 1 ended with another status than 137 ({exit})"
        )),
        None if seen.result.restarted => {
            Judgement::not_applicable("the child was killed and restarted: PID 1 is a supervisor")
        }
        None => Judgement::fail("the child was killed, but PID 1 kept running".to_owned()),
    }
}
