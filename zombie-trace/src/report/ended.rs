//! How processes ended, as records.

use super::{Session, describe, impact::EndedRecord};
use crate::{
    diagnosis::{self, EndWay},
    event::ExitStatus,
    model::{Ending, Identity},
    signal,
};

/// `None` if it is out of the scope.
pub(super) fn record(session: &Session, ending: &Ending) -> Option<EndedRecord> {
    let model = &session.model;
    if !session.scope.covers(model, [Some(&ending.identity)]) {
        return None;
    }
    let verdict = diagnosis::judge_ending(model, ending);
    let by_signal = match ending.status {
        ExitStatus::Signal { signal, .. } => Some(signal::name(signal.into()).into_owned()),
        ExitStatus::Code(_) => None,
    };
    let sender = match verdict.way {
        EndWay::NamespaceEnd => ending.dead_init.map(|init| {
            let gone = || {
                let identity = Identity { comm: init.comm, ..Default::default() };
                describe::identity(model, init.process, &identity)
            };
            describe::known(model, init.process).unwrap_or_else(gone)
        }),
        way if way.has_sender() => ending.sender.as_ref().map(|sender| describe::sender(model, sender)),
        _ => None,
    };
    let cgroup = model.cgroup(ending.identity.cgroup).filter(|_| verdict.way == EndWay::OutOfMemory);
    Some(EndedRecord {
        time: session.clock.moment(ending.time),
        process: describe::identity(model, ending.process, &ending.identity),
        is_pid_1: ending.is_init,
        exit: ending.status.into(),
        exit_status: diagnosis::shown_status(ending.status),
        way: verdict.way,
        signal: by_signal,
        sent: ending.signal.map(|sent| session.clock.moment(sent.time)),
        sender,
        relation: ending.signal.map(|sent| sent.relation),
        cgroup: cgroup.map(|cgroup| describe::text(&cgroup.path)),
        evidence: verdict.evidence,
        advice: verdict.advice,
        would_decide: verdict.would_decide,
        uncertain: ending.is_blind,
    })
}

/// Those that are over, the oldest first.
pub(super) fn records(session: &Session) -> Vec<EndedRecord> {
    session.model.endings().iter().filter_map(|ending| record(session, ending)).collect()
}
