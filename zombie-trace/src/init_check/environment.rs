//! PID 1 in unusual environments, where it must reap and stop, too.

use super::{
    Grade, Judgement, Observation,
    plan::{Environment, Plan},
    reaping,
    scene::REAP_WINDOW,
    stopping,
};

/// Whether it reaps and stops.
pub(super) fn works(seen: &Observation<'_>) -> Judgement {
    let Plan::Under(environment) = seen.plan else { return (Grade::NotApplicable, Vec::new()) };
    if environment == Environment::NonRootUser && seen.scene.user.is_some_and(|(uid, _)| uid != 0) {
        return (Grade::NotApplicable, vec!["--user names one: all checks are made as that".to_owned()]);
    }
    if let Some(why) = &seen.result.missing {
        return (Grade::NotApplicable, vec![why.clone()]);
    }
    if let Some(exit) = seen.end().filter(|_| seen.result.after.is_none()) {
        return (Grade::Fail, vec![format!("the command does not run there: it ended by itself ({exit})")]);
    }
    if let Some(why) = seen.not_applicable_reason() {
        return (Grade::NotApplicable, vec![why]);
    }
    let window = reaping::nanoseconds(REAP_WINDOW);
    let reaps = seen.orphans().any(|orphan| reaping::is_reaped(seen, orphan, window));
    let mut evidence = vec![if reaps { "an orphan is reaped" } else { "an orphan was not reaped" }.to_owned()];
    let stop = match &seen.result.not_stopped {
        Some(why) => {
            evidence.push(why.clone());
            Grade::NotApplicable
        }
        None => {
            let (grade, more) = stopping::within_grace(seen);
            // Failures come first.
            let at = if reaps && grade == Grade::Fail { 0 } else { evidence.len() };
            evidence.splice(at..at, more);
            grade
        }
    };
    evidence.extend(seen.result.pids.map(|pids| format!("{pids} of {pids} pids of its cgroup in use")));
    (if reaps { stop } else { Grade::Fail }, evidence)
}
