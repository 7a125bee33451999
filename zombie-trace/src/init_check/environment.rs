//! PID 1 in unusual environments, where it must reap and stop, too.

use super::{
    Judgement, Observation,
    plan::{Environment, Plan},
    reaping,
    scene::REAP_WINDOW,
    stopping,
};

/// Whether it reaps and stops.
pub(super) fn works(seen: &Observation<'_>) -> Judgement {
    let Plan::Under(environment) = seen.plan else {
        return Judgement::not_applicable("the environment is not changed");
    };
    if environment == Environment::NonRootUser && seen.scene.user.as_ref().is_some_and(|user| user.uid != 0) {
        return Judgement::not_applicable("not needed: with --user all checks already run as a non-root user");
    }
    if let Some(why) = &seen.result.missing {
        return Judgement::not_applicable(why.clone());
    }
    if let Some(exit) = seen.end().filter(|_| seen.result.after.is_none()) {
        return Judgement::fail(format!("the command does not run in this environment: it exited by itself ({exit})"));
    }
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    let window = reaping::nanoseconds(REAP_WINDOW);
    let reaps = seen.orphans().any(|orphan| reaping::is_reaped(seen, orphan, window));
    let stop = match &seen.result.not_stopped {
        Some(why) => Judgement::not_applicable(why.clone()),
        None => stopping::within_grace(seen),
    };
    let mut judgement = match reaps {
        true => {
            let mut judgement = stop;
            // Failures come first.
            let at = if judgement.is_fail() { judgement.evidence.len() } else { 0 };
            judgement.evidence.insert(at, "PID 1 reaped an orphan".to_owned());
            judgement
        }
        false => {
            let mut judgement = Judgement::fail("PID 1 did not reap an orphan".to_owned()).by_zombies(seen);
            judgement.evidence.extend(stop.evidence);
            judgement
        }
    };
    judgement.evidence.extend(seen.result.pids.map(|pids| format!("{pids} of {pids} pids of its cgroup were in use")));
    judgement
}
