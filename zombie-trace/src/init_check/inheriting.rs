//! What children of PID 1 inherit, and how PID 1 handles what it inherits.

use super::{
    Child, Judgement, Observation,
    plan::{Inheritance, Plan},
    reaping,
    scene::REAP_WINDOW,
    stopping,
};
use crate::{report::Grade, signal};

/// Whether children begin with an empty signal mask.
pub(super) fn mask(seen: &Observation<'_>) -> Judgement {
    inherited(seen, "blocks", |child| child.blocked)
}

/// Whether children begin with default dispositions.
pub(super) fn dispositions(seen: &Observation<'_>) -> Judgement {
    inherited(seen, "ignores", |child| child.ignored)
}

fn inherited(seen: &Observation<'_>, what: &str, signals: impl Fn(&Child) -> u64) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    let leaves = seen.leaves();
    if leaves.is_empty() {
        return Judgement::not_applicable("PID 1 has no children");
    }
    let bad: Vec<String> = leaves
        .iter()
        .filter(|child| signals(child) != 0)
        .map(|child| {
            let names: Vec<_> =
                (1..=64).filter(|number| signals(child) >> (number - 1) & 1 == 1).map(signal::name).collect();
            format!("{} {what} {}", child.comm, names.join(", "))
        })
        .collect();
    match bad.is_empty() {
        true => Judgement::pass(format!("{} {what} no signal", leaves[0].comm)),
        false => Judgement::of(Grade::Fail, bad),
    }
}

fn inheritance(how: Inheritance) -> &'static str {
    match how {
        Inheritance::Blocked => "blocked",
        Inheritance::Ignored => "ignored",
    }
}

/// Whether it reaps, and notices its child's exit, although it was started with SIGCHLD blocked or ignored.
pub(super) fn sigchld(seen: &Observation<'_>) -> Judgement {
    let Plan::InheritedSigchld(how) = seen.plan else { return Judgement::not_applicable("nothing is inherited") };
    let how = inheritance(how);
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    let window = reaping::nanoseconds(REAP_WINDOW);
    let passed_on = stopping::passes_on(seen);
    if seen.orphans().any(|orphan| reaping::is_reaped(seen, orphan, window)) {
        return match passed_on.is_fail() {
            true => passed_on,
            false => Judgement::pass(format!("SIGCHLD was {how} at the start, and PID 1 reaped the orphan")),
        };
    }
    let mut judgement =
        Judgement::fail(format!("SIGCHLD was {how} at the start, and PID 1 did not reap an orphan")).by_zombies(seen);
    if passed_on.is_fail() {
        judgement.evidence.extend(passed_on.evidence);
    }
    judgement
}

/// Whether it exits on its stop signal although it was started with that blocked or ignored.
pub(super) fn stop(seen: &Observation<'_>) -> Judgement {
    let Plan::InheritedStop(how) = seen.plan else { return Judgement::not_applicable("nothing is inherited") };
    let mut judgement = stopping::within_grace(seen);
    if judgement.is_fail() {
        let names: Vec<&str> = seen
            .result
            .children
            .iter()
            .filter(|child| (child.blocked | child.ignored) >> (seen.scene.stop_signal - 1) & 1 == 1)
            .map(|child| child.comm.as_str())
            .collect();
        if !names.is_empty() {
            judgement.evidence.push(format!(
                "{} also inherited {} {}",
                names.join(", "),
                seen.stop_name(),
                inheritance(how)
            ));
        }
    }
    judgement
}
