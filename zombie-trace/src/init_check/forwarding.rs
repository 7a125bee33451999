//! What reaches the children.

use super::{Child, Grade, Judgement, Observation, scene::Plan};
use crate::{report::ExitRecord, signal};

/// Whether a signal to PID 1 had an effect on the child or on PID 1.
pub(super) fn forwarded(seen: &Observation<'_>) -> Judgement {
    let Plan::Signal { signal } = seen.plan else { return (Grade::NotApplicable, Vec::new()) };
    if let Some(why) = seen.ended_early() {
        return (Grade::NotApplicable, vec![why]);
    }
    let name = signal::name(signal.unsigned_abs());
    let died = seen
        .result
        .children
        .iter()
        .find(|child| matches!(seen.end_of(child.pid), Some(ExitRecord::Signal { signal, .. }) if *signal == name));
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

/// Whether children begin with an empty signal mask.
pub(super) fn mask(seen: &Observation<'_>) -> Judgement {
    inherited(seen, "blocks", |child| child.blocked)
}

/// Whether children begin with default dispositions.
pub(super) fn dispositions(seen: &Observation<'_>) -> Judgement {
    inherited(seen, "ignores", |child| child.ignored)
}

fn inherited(seen: &Observation<'_>, what: &str, signals: impl Fn(&Child) -> u64) -> Judgement {
    let direct: Vec<&Child> = seen.result.children.iter().filter(|child| child.parent == seen.result.init).collect();
    if direct.is_empty() {
        return (Grade::NotApplicable, vec!["PID 1 has no children".to_owned()]);
    }
    let bad: Vec<String> = direct
        .iter()
        .filter(|child| signals(child) != 0)
        .map(|child| {
            let names: Vec<_> =
                (1..=64).filter(|number| signals(child) >> (number - 1) & 1 == 1).map(signal::name).collect();
            format!("{} {what} {}", child.comm, names.join(", "))
        })
        .collect();
    match bad.is_empty() {
        true => (Grade::Pass, vec![format!("{} {what} no signal", direct[0].comm)]),
        false => (Grade::Fail, bad),
    }
}
