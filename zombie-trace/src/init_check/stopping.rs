//! The end.

use super::{Grade, Judgement, Observation};
use crate::{diagnosis::duration, report::ExitRecord, signal};

fn stop_name(seen: &Observation<'_>) -> String {
    signal::name(seen.scene.stop_signal.unsigned_abs()).into_owned()
}

/// Whether PID 1 ended in time.
pub(super) fn within_grace(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.ended_early() {
        return (Grade::NotApplicable, vec![why]);
    }
    let name = stop_name(seen);
    if let (Some(exit), Some(after)) = (seen.end(), seen.result.after) {
        let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        return (Grade::Pass, vec![format!("ended {} after {name} ({exit})", duration(after))]);
    }
    let grace = u64::try_from(seen.scene.grace.as_nanos()).unwrap_or(u64::MAX);
    let mut evidence = vec![format!("still there {} after {name}: it had to be killed", duration(grace))];
    evidence.extend(seen.drop_of(&name));
    (Grade::Fail, evidence)
}

/// Whether the children were asked to end.
pub(super) fn children(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.ended_early() {
        return (Grade::NotApplicable, vec![why]);
    }
    if seen.result.children.is_empty() {
        return (Grade::NotApplicable, vec!["PID 1 has no children: it is the application itself".to_owned()]);
    }
    let mut killed = Vec::new();
    let mut ended = Vec::new();
    for child in &seen.result.children {
        match seen.end_of(child.pid) {
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
        stop_name(seen)
    )];
    evidence.extend(seen.drop_of(&stop_name(seen)));
    (Grade::Fail, evidence)
}

/// Whether the death of the child by a signal shows in the exit code.
pub(super) fn passes_on(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.ended_early() {
        return (Grade::NotApplicable, vec![why]);
    }
    let direct = seen.result.children.iter().filter(|child| child.parent == seen.result.init).count();
    if direct != 1 {
        return (Grade::NotApplicable, vec![format!("PID 1 has {direct} children, not one")]);
    }
    match seen.end() {
        Some(exit @ ExitRecord::Code { code: 137 }) => (Grade::Pass, vec![format!("the child was killed: {exit}")]),
        Some(exit) => (Grade::Fail, vec![format!("the child was killed by SIGKILL, PID 1 ended with {exit}, not 137")]),
        None => (Grade::Fail, vec!["the child was killed, and PID 1 lived on".to_owned()]),
    }
}
