//! The end.

use super::{
    Grade, Judgement, Observation,
    observe::exit_of,
    reaping::nanoseconds,
    workload::{CHILD_GOT_IT, GOT_IT},
};
use crate::{report::ExitRecord, text::duration};

/// Whether PID 1 ended in time.
pub(super) fn within_grace(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return (Grade::NotApplicable, vec![why]);
    }
    let name = seen.stop_name();
    let grace = duration(nanoseconds(seen.scene.grace));
    if let (Some(exit), Some(after)) = (seen.end(), seen.result.after) {
        let after = duration(nanoseconds(after));
        return (Grade::Pass, vec![format!("ended {after} after {name} ({exit}); the grace period is {grace}")]);
    }
    let mut evidence = vec![format!("still there {grace} after {name}: it had to be killed")];
    evidence.extend(seen.drop_of(&name));
    (Grade::Fail, evidence)
}

/// Whether the children were asked to end.
pub(super) fn children(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return (Grade::NotApplicable, vec![why]);
    }
    if seen.result.children.is_empty() {
        return (Grade::NotApplicable, vec!["PID 1 has no children: it is the application itself".to_owned()]);
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
        return (Grade::Pass, ended);
    }
    let mut evidence = vec![format!(
        "{} killed with SIGKILL when the namespace was torn down, without having ended on {}",
        killed.join(", "),
        seen.stop_name()
    )];
    evidence.extend(seen.drop_of(&seen.stop_name()));
    (Grade::Fail, evidence)
}

/// Whether a child of the child was asked to end, and waited for while it did.
pub(super) fn descendants(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return (Grade::NotApplicable, vec![why]);
    }
    let name = seen.stop_name();
    if seen.some_exited_with(CHILD_GOT_IT) {
        return (Grade::Pass, vec![format!("its child's child, which takes 0.2 s to end on {name}, ended by itself")]);
    }
    let own = seen.report.stops.iter().find(|stop| {
        stop.target.pid == seen.result.init && (seen.result.began..=seen.result.ended).contains(&stop.target.start_ns)
    });
    let handlers = seen.result.children.iter().filter(|it| it.caught >> (seen.scene.stop_signal - 1) & 1 == 1);
    let unasked = handlers
        .filter(|child| own.is_some_and(|stop| stop.killed_without_term.iter().any(|victim| victim.pid == child.pid)));
    let what = match (seen.some_exited_with(GOT_IT), unasked.count()) {
        (false, _) => format!("neither its child nor that one's child got {name}: both were killed with the namespace"),
        (true, 0) => format!("its child's child got {name} and was killed 0.2 s before it was ready: nobody waited"),
        (true, _) => format!("its child got {name}, but that one's child did not, and was killed with the namespace"),
    };
    let mut evidence = vec![what];
    evidence.extend(seen.drop_of(&name));
    (Grade::Fail, evidence)
}

/// Whether the exit code of the child is that of PID 1.
pub(super) fn exit_codes(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return (Grade::NotApplicable, vec![why]);
    }
    if !seen.result.codes.iter().any(|(code, _, _)| *code != 0 && seen.some_exited_with(*code)) {
        return (
            Grade::NotApplicable,
            vec!["the check's workload, a script for sh, did not get going under it".into()],
        );
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
        return (Grade::Pass, vec![format!("{} come through", passed.join(", "))]);
    }
    (Grade::Fail, bad)
}

/// Whether the death of the child by a signal shows in the exit code.
pub(super) fn passes_on(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return (Grade::NotApplicable, vec![why]);
    }
    let direct = seen.result.children.iter().filter(|child| child.parent == seen.result.init).count();
    if direct != 1 {
        return (Grade::NotApplicable, vec![format!("PID 1 has {direct} children, not one")]);
    }
    match seen.end() {
        Some(exit @ ExitRecord::Code { code: 137 }) => (Grade::Pass, vec![format!("the child was killed: {exit}")]),
        Some(exit) => (
            Grade::Fail,
            vec![format!("the child was killed by SIGKILL, and PID 1 ended otherwise ({exit}), not with 137")],
        ),
        None if seen.result.restarted => {
            (Grade::NotApplicable, vec!["the child was killed and started anew: PID 1 is a supervisor".to_owned()])
        }
        None => (Grade::Fail, vec!["the child was killed, and PID 1 lived on".to_owned()]),
    }
}
