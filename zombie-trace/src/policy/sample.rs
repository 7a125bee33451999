//! Reports for tests.

use crate::{
    diagnosis::{Cause, EndWay, StopCause},
    model::{Disposition, DropReason, Latency, Relation, StopOutcome},
    report::{
        Command, Drop, EndedRecord, ExitRecord, Finding, FindingKind, LatencyRecord, Loss, Moment, ParentRecord,
        PathRecord, ProcessRecord, Report, Severity, StopRecord, TotalsRecord, Window,
    },
};

pub(crate) const BEGAN: u64 = 1_000;

pub(crate) fn process(pid: u32, start_ns: u64, comm: &str) -> ProcessRecord {
    ProcessRecord {
        pid,
        start_ns,
        ns_pid: Some(pid),
        pid_ns: Some(1),
        comm: comm.to_owned(),
        exe: None,
        cmdline: Some(format!("{comm} <&>%")),
        container: None,
        parent: None,
        program: comm.to_owned(),
        descends: false,
    }
}

pub(crate) fn report() -> Report {
    let none = LatencyRecord { p50_ns: None, p90_ns: None, p99_ns: None, max_ns: None };
    Report {
        schema: "zombie-trace.report/1",
        host: "host".to_owned(),
        kernel: "6.1".to_owned(),
        window: Window { start: Moment::from_nanoseconds(0), end: Moment::from_nanoseconds(0) },
        loss: Loss::default(),
        totals: TotalsRecord { exits: 9, zombies: 9, reaped: 9, auto_reaped: 0, zombies_now: 0 },
        latency: none,
        distribution: Latency::default(),
        parents: Vec::new(),
        zombies: Vec::new(),
        stuck: Vec::new(),
        dropped_signals: Vec::new(),
        stops: Vec::new(),
        ended: Vec::new(),
        fork_failures: Vec::new(),
        findings: Vec::new(),
        containers: Vec::new(),
        doubts: None,
        coverage: Default::default(),
        command: Some(Command { argv: vec!["make".to_owned()], exit: Some(ExitRecord::Code { code: 0 }) }),
    }
}

/// A time in RFC 3339.
pub(crate) fn at(time: &str) -> Moment {
    Moment::from_nanoseconds(time.parse::<jiff::Timestamp>().expect("it is a time").as_nanosecond())
}

/// The cause that has this id.
pub(crate) fn cause_of(id: &str) -> Cause {
    Cause::ALL.into_iter().find(|cause| cause.id() == id).expect("there is such a cause")
}

/// A report in which this process let so many zombies wait.
pub(crate) fn with_zombies(mut report: Report, process: ProcessRecord, cause: &'static str, zombies: u64) -> Report {
    let cause = cause_of(cause);
    report.findings.push(Finding {
        kind: FindingKind::Zombies { cause },
        id: format!("zombies/{}/{}", cause.id(), process.program),
        severity: Severity::Error,
        title: "zombies".to_owned(),
        detail: "No wait: a | b\n100 %.".to_owned(),
        process: process.clone(),
    });
    report.parents.push(ParentRecord {
        process,
        cause,
        contributing: Vec::new(),
        evidence: Vec::new(),
        advice: String::new(),
        zombies_now: 0,
        zombies_total: zombies,
        oldest_ns: None,
        latency: report.latency,
        doing: Vec::new(),
        passed_on: None,
        damage: None,
    });
    report
}

/// A report in which this init did not get a signal.
pub(crate) fn with_drop(mut report: Report, target: ProcessRecord, reason: DropReason, severity: Severity) -> Report {
    report.findings.push(Finding {
        kind: FindingKind::DroppedSignal { signal: 15, reason },
        id: format!("signals/{}/SIGTERM/{}", reason.id(), target.program),
        severity,
        title: "dropped".to_owned(),
        detail: "No handler.".to_owned(),
        process: target.clone(),
    });
    report.dropped_signals.push(Drop {
        target,
        signal: "SIGTERM".to_owned(),
        number: 15,
        reason,
        severity,
        count: 2,
        note: None,
        senders: Vec::new(),
        then: "lives",
        then_after_ns: None,
        advice: Some("Install a handler.".to_owned()),
    });
    report
}

/// A report with this finding.
pub(crate) fn with_finding(
    mut report: Report,
    process: ProcessRecord,
    kind: FindingKind,
    id: &str,
    severity: Severity,
) -> Report {
    report.findings.push(Finding {
        kind,
        id: format!("{id}/{}", process.program),
        severity,
        title: format!("{id} of {}", process.comm),
        detail: "It happened.".to_owned(),
        process,
    });
    report
}

/// A process in a stop, so deep below its PID 1.
pub(crate) fn part(comm: &str, depth: u32) -> PathRecord {
    PathRecord {
        process: process(1500 + depth, 12, comm),
        depth,
        signal: Some("SIGTERM".to_owned()),
        sent_after_ns: Some(u64::from(depth)),
        sender: Some(process(9, 9, "kill")),
        disposition: Some(Disposition::Default),
        doing: Some("in read()".to_owned()),
        exit: Some(ExitRecord::Code { code: 1 }),
        ended_after_ns: Some(10),
        summary: "SIGTERM at once: default; exit 1 after 10 ns".to_owned(),
    }
}

/// A stop of PID 1 that failed for want of a handler, and its worker.
pub(crate) fn failed_stop(target: ProcessRecord) -> StopRecord {
    StopRecord {
        target,
        outcome: StopOutcome::Failed,
        signal: "SIGTERM".to_owned(),
        number: 15,
        sent: at("2026-01-02T03:04:05.000000000Z"),
        sender: Some(process(9, 9, "kill")),
        relation: Relation::Outside,
        reason: Some(DropReason::NoHandler),
        received: Some(false),
        took_ns: 10_000_000_000,
        exit: ExitRecord::Signal { signal: "SIGKILL".to_owned(), core_dumped: false },
        killed_by: Some(process(9, 9, "kill")),
        killed_without_term: Vec::new(),
        more_killed_without_term: 0,
        uncertain: false,
        cause: Some(StopCause::NoHandler),
        evidence: vec!["web had no handler".to_owned()],
        advice: Some("Install one.".to_owned()),
        path: vec![part("web", 0), part("worker", 1)],
        more_in_path: 0,
    }
}

/// The end of a PID 1, with all there may be to say of it.
pub(crate) fn ended(target: ProcessRecord) -> EndedRecord {
    EndedRecord {
        time: at("2026-01-02T03:04:05.678901234Z"),
        process: target,
        is_pid_1: true,
        exit: ExitRecord::Signal { signal: "SIGKILL".to_owned(), core_dumped: false },
        exit_status: 137,
        way: EndWay::Outside,
        signal: Some("SIGKILL".to_owned()),
        sent: Some(at("2026-01-02T03:04:05.678901234Z")),
        sender: Some(process(9, 9, "kill")),
        relation: Some(Relation::Outside),
        cgroup: Some("/app".to_owned()),
        memory_limit: Some(64 << 20),
        evidence: vec!["kill (9) sent it SIGKILL 1 ms before its end".to_owned()],
        advice: Some("Do not.".to_owned()),
        would_decide: Some("A log.".to_owned()),
        uncertain: false,
    }
}
