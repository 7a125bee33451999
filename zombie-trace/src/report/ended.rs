//! How processes ended, as records.

use super::{Report, Session, describe, impact::EndedRecord};
use crate::{
    diagnosis::{self, EndWay},
    event::{ExitStatus, MemoryLimit},
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
    let memory_limit = match ending.memory_limit {
        Some(MemoryLimit::Bytes { bytes, .. }) if verdict.way == EndWay::OutOfMemory => Some(bytes),
        _ => None,
    };
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
        memory_limit,
        evidence: verdict.evidence,
        advice: verdict.advice,
        would_decide: verdict.would_decide,
        uncertain: ending.is_blind,
    })
}

/// How much the end of a process matters, from most to least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Concern {
    /// The end of a PID 1 is that of its container.
    Pid1,
    Pid1WithoutFailure,
    /// Something went wrong, or nobody knows what.
    Accident,
    /// Somebody wanted it so.
    Wanted,
    /// Every `head` does it to those who write to it.
    ClosedPipe,
}

fn concern(ended: &EndedRecord) -> Concern {
    match ended.way {
        _ if ended.is_pid_1 && ended.exit_status == 0 => Concern::Pid1WithoutFailure,
        _ if ended.is_pid_1 => Concern::Pid1,
        EndWay::Abort
        | EndWay::ResourceLimit
        | EndWay::ParentDeath
        | EndWay::Seccomp
        | EndWay::Fault
        | EndWay::OutOfMemory
        | EndWay::Kernel
        | EndWay::Unknown => Concern::Accident,
        EndWay::Exit
        | EndWay::Itself
        | EndWay::Inside
        | EndWay::Outside
        | EndWay::PassedOn
        | EndWay::Terminal
        | EndWay::Timer
        | EndWay::CgroupKill
        | EndWay::NamespaceEnd
        | EndWay::Tracer => Concern::Wanted,
        EndWay::ClosedPipe => Concern::ClosedPipe,
    }
}

/// The ends of a report, those that matter most first, and of these the oldest first.
#[must_use]
pub fn ends_by_concern(report: &Report) -> Vec<&EndedRecord> {
    let mut ends: Vec<_> = report.ended.iter().collect();
    ends.sort_by_key(|ended| concern(ended));
    ends
}

/// Those that are over, the oldest first.
pub(super) fn records(session: &Session) -> Vec<EndedRecord> {
    session.model.endings().iter().filter_map(|ending| record(session, ending)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sample::{ended, process, report};

    #[test]
    fn a_pid_1_comes_first_and_a_closed_pipe_last_and_each_kind_in_time_order() {
        let end = |pid, is_pid_1, way, exit_status| EndedRecord {
            is_pid_1,
            way,
            exit_status,
            ..ended(process(pid, u64::from(pid), "app"))
        };
        let ended = vec![
            end(1, false, EndWay::ClosedPipe, 141),
            end(2, false, EndWay::Inside, 143),
            end(3, true, EndWay::Exit, 0),
            end(4, false, EndWay::Fault, 139),
            end(5, false, EndWay::OutOfMemory, 137),
            end(6, true, EndWay::Outside, 137),
            end(7, true, EndWay::ClosedPipe, 141),
        ];
        let report = Report { ended, ..report() };
        let order: Vec<u32> = ends_by_concern(&report).iter().map(|it| it.process.pid).collect();
        assert_eq!(order, [6, 7, 3, 4, 5, 2, 1]);
    }
}
