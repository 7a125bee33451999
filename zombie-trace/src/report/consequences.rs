//! Records of what zombies and dropped signals lead to: failed stops, failed forks, pids that are gone.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Session, describe, drops,
    findings::{Finding, FindingKind, Severity},
    impact::{DamageRecord, ForkFailureRecord, LimitUsageRecord, StopRecord},
    moment::Moment,
    process::ProcessRecord,
    records::Notice,
    shortage::{ForkFailureContext, Shortage, explain_fork_failure},
    stop_path,
};
use crate::{
    diagnosis::{self, StopCause},
    model::{ForkFailure, LimitKind, Process, Stop, StopOutcome},
    signal,
    text::duration,
};

impl StopRecord {
    /// What is told of a failed stop when it is over, at this time.
    pub(crate) fn into_notice(self, time: Moment) -> Notice {
        Notice::StopFailed {
            time,
            target: self.target,
            signal: self.signal,
            number: self.number,
            sent: self.sent,
            sender: self.sender,
            relation: self.relation,
            reason: self.reason,
            received: self.received,
            killed_after_ns: self.took_ns,
            killed_by: self.killed_by,
            killed_without_term: self.killed_without_term,
            more_killed_without_term: self.more_killed_without_term,
            uncertain: self.uncertain,
            cause: self.cause,
            evidence: self.evidence,
            advice: self.advice,
            path: self.path,
        }
    }
}

impl ForkFailureRecord {
    /// What is told of the first failure.
    pub(crate) fn into_notice(self) -> Notice {
        Notice::ForkFailed {
            time: self.first,
            process: self.process,
            errno: self.errno,
            limit: self.limit,
            path: self.path,
            used: self.used,
            allowed: self.allowed,
            zombies: self.zombies,
            parent: self.parent,
            parent_zombies: self.parent_zombies,
            shortage: self.shortage,
        }
    }
}

pub(super) fn stop_failed(session: &Session, stop: &Stop) -> Option<Notice> {
    Some(stop_record(session, stop)?.into_notice(session.clock.moment(stop.ended)))
}

/// `None` if it is out of the scope.
fn stop_record(session: &Session, stop: &Stop) -> Option<StopRecord> {
    let model = &session.model;
    if !session.scope.covers(model, [Some(&stop.identity)]) {
        return None;
    }
    let verdict = diagnosis::diagnose_stop(model, stop);
    Some(StopRecord {
        path: stop_path::records(session, stop),
        more_in_path: stop.more_in_path,
        cause: verdict.as_ref().map(|verdict| verdict.cause),
        advice: verdict.as_ref().map(|verdict| verdict.advice.clone()),
        evidence: verdict.map(|verdict| verdict.evidence).unwrap_or_default(),
        target: describe::identity(model, stop.target, &stop.identity),
        outcome: stop.outcome,
        signal: signal::name(stop.signal).into_owned(),
        number: stop.signal,
        sent: session.clock.moment(stop.sent),
        sender: stop.sender.as_ref().map(|sender| describe::sender(model, sender)),
        relation: stop.relation,
        reason: stop.dropped,
        received: stop.received,
        took_ns: stop.took_ns(),
        exit: stop.status.into(),
        killed_by: stop.killed_by.as_ref().map(|killer| describe::sender(model, killer)),
        killed_without_term: stop
            .killed_without_term
            .iter()
            .map(|victim| describe::identity(model, victim.process, &victim.identity))
            .collect(),
        more_killed_without_term: stop.more_killed_without_term,
        uncertain: stop.uncertain,
    })
}

pub(super) fn stops(session: &Session) -> Vec<StopRecord> {
    session.model.stops().iter().filter_map(|stop| stop_record(session, stop)).collect()
}

pub(super) fn fork_failed(session: &Session, failure: &ForkFailure) -> Option<Notice> {
    Some(fork_record(session, failure)?.into_notice())
}

fn fork_record(session: &Session, failure: &ForkFailure) -> Option<ForkFailureRecord> {
    let model = &session.model;
    let holder = failure.holder.as_ref();
    if !session.scope.covers(model, [Some(&failure.identity), holder.map(|(_, identity, _)| identity)]) {
        return None;
    }
    Some(ForkFailureRecord {
        process: describe::identity(model, failure.process, &failure.identity),
        errno: if failure.errno == 12 { "ENOMEM" } else { "EAGAIN" },
        limit: failure.limit.kind,
        path: failure.limit.path.as_deref().map(describe::text),
        used: failure.limit.usage.map(|usage| usage.used),
        allowed: failure.limit.usage.map(|usage| usage.allowed),
        zombies: failure.zombies,
        parent: holder.map(|(parent, identity, _)| describe::identity(model, *parent, identity)),
        parent_zombies: holder.map_or(0, |(_, _, count)| *count),
        shortage: Shortage::of(failure),
        count: failure.count,
        first: session.clock.moment(failure.first),
        last: session.clock.moment(failure.last),
    })
}

pub(super) fn fork_failures(session: &Session) -> Vec<ForkFailureRecord> {
    session.model.fork_failures().filter_map(|failure| fork_record(session, failure)).collect()
}

/// What these zombies of a parent cost it and others.
pub(super) fn damage(session: &Session, parent: &Process, zombies: &[&Process]) -> Option<DamageRecord> {
    let model = &session.model;
    let (_, limits) = parent.limits.as_ref()?;
    let growth = &parent.parenting.as_deref()?.growth;
    let count = u64::try_from(zombies.len()).unwrap_or(u64::MAX);
    let held = |limit: &crate::model::Limit| {
        zombies.iter().filter(|zombie| model.counts(zombie, limit, &parent.identity)).count() as u64
    };
    let damage = diagnosis::damage(count, limits, held, growth, model.now())?;
    let in_container = describe::container_of(model, &parent.identity).is_some();
    Some(DamageRecord {
        zombies: damage.zombies,
        growth_per_hour: damage.growth_per_hour,
        exhausted_in_ns: damage.exhausted_in_ns,
        summary: damage.in_words(in_container),
        limits: damage
            .limits
            .into_iter()
            .map(|held| LimitUsageRecord {
                kind: held.limit.kind,
                path: held.limit.path.as_deref().map(describe::text),
                used: held.usage.used,
                allowed: held.usage.allowed,
                zombies: held.zombies,
            })
            .collect(),
    })
}

/// Maximum number of stops that went wrong in the same way and are findings of their own; a service that is restarted
/// over and over must not bury all else.
const MAX_ALIKE: usize = 20;

/// Findings on stops that went wrong.
pub(super) fn stop_findings(stops: &[StopRecord]) -> Vec<Finding> {
    let mut alike = BTreeMap::<(String, Option<StopCause>), (Vec<Finding>, usize)>::new();
    for stop in stops {
        let unasked = !stop.killed_without_term.is_empty();
        let (kind, severity) = match stop.outcome {
            StopOutcome::Failed => ("failed", Severity::Error),
            StopOutcome::Slow => ("slow", Severity::Warning),
            StopOutcome::Clean if unasked => ("unasked", Severity::Warning),
            // PID 1 did what it was asked to, and something else went wrong.
            StopOutcome::Clean if stop.cause.is_some() => ("held", Severity::Note),
            StopOutcome::Clean => continue,
        };
        let id = format!("stops/{kind}/{}/{}", stop.signal, stop.target.program);
        let (findings, more) = alike.entry((id.clone(), stop.cause)).or_default();
        if findings.len() == MAX_ALIKE {
            *more += 1;
            continue;
        }
        let title = match kind {
            "failed" => format!("PID 1 {} did not exit on {} and was killed", stop.target.comm, stop.signal),
            "slow" => format!("PID 1 {} took {} to stop", stop.target.comm, duration(stop.took_ns)),
            "held" => format!("PID 1 {} exited on {}, and its namespace did not end", stop.target.comm, stop.signal),
            _ => format!("PID 1 {} exited before its children got a stop signal", stop.target.comm),
        };
        findings.push(Finding {
            kind: FindingKind::Stop { cause: stop.cause },
            id,
            severity,
            title,
            detail: describe_stop(stop),
            process: stop.target.clone(),
        });
    }
    let told = |(mut findings, more): (Vec<Finding>, usize)| {
        if let (Some(last), 1..) = (findings.last_mut(), more) {
            last.detail
                .push_str(&format!(" {more} similar {} not listed.", if more == 1 { "stop is" } else { "stops are" }));
        }
        findings
    };
    alike.into_values().flat_map(told).collect()
}

fn describe_stop(stop: &StopRecord) -> String {
    let (signal, took) = (&stop.signal, duration(stop.took_ns));
    let mut words = match (stop.outcome, stop.reason) {
        (StopOutcome::Failed, Some(reason)) => {
            format!("{} {signal} had no effect; PID 1 was killed {took} later.", drops::describe_reason(reason))
        }
        (StopOutcome::Failed, None) if stop.received == Some(true) => {
            format!("It received {signal} and was still running {took} later.")
        }
        (StopOutcome::Failed, None) => {
            format!("It was still running {took} after {signal}; whether the signal reached it is unknown.")
        }
        _ => format!("It exited {took} after {signal}."),
    };
    if let Some(killer) = &stop.killed_by {
        // A runtime kills by a program that is gone at once: who ran it is who decided.
        let parent =
            killer.parent.as_ref().map_or_else(String::new, |it| format!(", parent {}, pid {}", it.comm, it.pid));
        words.push_str(&format!(" {} (pid {}{parent}) killed it.", killer.comm, killer.pid));
    }
    words.push_str(&describe_killed_without_term(
        &stop.killed_without_term,
        stop.more_killed_without_term,
        &stop.signal,
    ));
    // What is not said yet: why a signal that it received had no effect.
    if stop.outcome != StopOutcome::Clean && stop.reason.is_none() && !stop.evidence.is_empty() {
        words.push_str(&format!(" {}.", stop.evidence.join("; ")));
    }
    if let Some(advice) = &stop.advice {
        words.push_str(&format!(" {advice}"));
    }
    words
}

/// Who was killed without having been asked to end, as a sentence with a space before it; nothing if nobody was.
pub(crate) fn describe_killed_without_term(killed: &[ProcessRecord], more: u64, signal: &str) -> String {
    const MAX_NAMED: usize = 3;
    let count = killed.len() as u64 + more;
    if count == 0 {
        return String::new();
    }
    let names: Vec<String> = killed.iter().take(MAX_NAMED).map(|it| format!("{} ({})", it.comm, it.pid)).collect();
    let rest = count - names.len() as u64;
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let were = if count == 1 { "was" } else { "were" };
    format!(" {}{rest} {were} killed without having received {signal}.", names.join(", "))
}

/// Findings on failed forks: one for all processes of one name at one limit.
pub(super) fn fork_findings(failures: &[ForkFailureRecord]) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for failure in failures {
        let id = format!("forks/{}/{}", failure.limit.id(), failure.process.program);
        if !seen.insert((id.clone(), failure.path.as_deref())) {
            continue;
        }
        let is_of_zombies = failure.zombies > 0 && failure.limit != LimitKind::Unknown;
        findings.push(Finding {
            kind: FindingKind::ForkFailure { limit: failure.limit },
            id,
            severity: if is_of_zombies { Severity::Error } else { Severity::Warning },
            title: format!("{}: fork failed with {}", failure.process.comm, failure.errno),
            detail: format!("{}.", describe_fork(failure)),
            process: failure.process.clone(),
        });
    }
    findings
}

/// `bash could not fork: 1000 of 1002 pids in this container are zombies of app-test`, the part after the colon.
pub(crate) fn describe_fork(failure: &ForkFailureRecord) -> String {
    explain_fork_failure(&ForkFailureContext {
        errno: failure.errno,
        limit: failure.limit,
        path: failure.path.as_deref(),
        in_container: failure.process.container.is_some(),
        used: failure.used,
        allowed: failure.allowed,
        zombies: failure.zombies,
        parent: failure.parent.as_ref(),
        parent_zombies: failure.parent_zombies,
        shortage: &failure.shortage,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Relation,
        policy::sample::{at, process},
        report::ExitRecord,
    };

    fn stop(outcome: StopOutcome, cause: Option<StopCause>) -> StopRecord {
        StopRecord {
            target: process(7, 1, "app"),
            outcome,
            signal: "SIGTERM".to_owned(),
            number: 15,
            sent: at("2026-01-02T03:04:05Z"),
            sender: None,
            relation: Relation::Outside,
            reason: None,
            received: Some(true),
            took_ns: 1,
            exit: ExitRecord::Code { code: 0 },
            killed_by: None,
            killed_without_term: Vec::new(),
            more_killed_without_term: 0,
            uncertain: false,
            cause,
            evidence: Vec::new(),
            advice: None,
            path: Vec::new(),
            more_in_path: 0,
        }
    }

    #[test]
    fn many_stops_with_one_cause_do_not_bury_one_with_another() {
        let mut stops = vec![stop(StopOutcome::Failed, Some(StopCause::TrapDeferred)); 3 * MAX_ALIKE];
        stops.push(stop(StopOutcome::Failed, Some(StopCause::NotForwarded)));
        let causes: Vec<_> = stop_findings(&stops).iter().map(|it| it.kind).collect();
        assert_eq!(causes.len(), MAX_ALIKE + 1);
        assert!(causes.contains(&FindingKind::Stop { cause: Some(StopCause::NotForwarded) }), "{causes:?}");
    }

    #[test]
    fn a_clean_stop_with_a_cause_is_noted_and_one_without_is_not() {
        let findings = |cause| stop_findings(&[stop(StopOutcome::Clean, cause)]);
        assert_eq!(findings(None), []);
        let [held] = &findings(Some(StopCause::TeardownStuck))[..] else { panic!("one note") };
        assert_eq!((held.severity, held.id.as_str()), (Severity::Note, "stops/held/SIGTERM/app"));
    }
}
