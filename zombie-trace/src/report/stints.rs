//! Who could have reaped a zombie, one after the other, and what became of zombies that outlived their parent.

use super::{
    Session, describe,
    waiters::{PassedOn, WaiterRecord},
};
use crate::{
    diagnosis::Cause,
    model::{ParentState, Stints},
};

/// One record for each; none where only one process had the zombie. `cause` is why the present one does not reap.
pub(super) fn records(session: &Session, stints: &Stints, cause: Option<Cause>) -> Vec<WaiterRecord> {
    let current = stints.current();
    if stints.iter().nth(1).is_none() {
        return Vec::new();
    }
    let told = |parent| session.verdicts.get(&parent).map(|verdict| verdict.cause);
    stints
        .iter()
        .map(|stint| WaiterRecord {
            process: describe::known(&session.model, stint.process),
            since: session.clock.moment(stint.since),
            until: stint.until.map(|until| session.clock.moment(until)),
            cause: match cause {
                Some(cause) if *stint == current => Some(cause),
                _ => told(stint.process).filter(|_| stint.aged),
            },
        })
        .collect()
}

/// `None` if there are none.
pub(super) fn passed_on(session: &Session, parenting: &ParentState) -> Option<PassedOn> {
    let (count, to) = parenting.passed_on?;
    Some(PassedOn { count, to: describe::known(&session.model, to) })
}
