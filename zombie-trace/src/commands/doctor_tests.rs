use aya::{programs::ProgramError, sys::SyscallError};

use super::*;
use crate::kernel::facts::Tracefs;

/// A machine on which all is well.
fn facts() -> Facts {
    Facts { memlock: None, ..Facts::good() }
}

/// A trial in which these programs were refused.
fn trial(refused: &[&str]) -> Option<Result<Trial, LoadError>> {
    let result = |probe: &Probe| {
        if !refused.contains(&probe.program) {
            return Ok(());
        }
        let io_error = io::Error::from_raw_os_error(libc::ENOENT);
        let source = ProgramError::from(SyscallError { call: "bpf_raw_tracepoint_open", io_error });
        Err(LoadError::Attach { probe: probe.hook.name(), source: Box::new(source) })
    };
    let probes = PROBES.iter().map(|probe| (probe, result(probe))).collect();
    Some(Ok(Trial { probes, differences: Differences::default(), took: Duration::from_millis(23) }))
}

fn text(report: &Report, color: bool) -> String {
    let mut out = Vec::new();
    write_text(report, color, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_good_machine_in_text() {
    let report = examine(&facts(), Duration::from_millis(7), trial(&[]));
    assert_eq!((report.verdict, report.start_up_ns), (Status::Ok, Some(30_000_000)));
    insta::assert_snapshot!(text(&report, false));
}

#[test]
fn a_good_machine_in_json() {
    let report = examine(&facts(), Duration::from_millis(7), trial(&[]));
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
}

#[test]
fn nothing_is_tried_without_privilege() {
    let mut facts = facts();
    (facts.capabilities, facts.uid) = (Some(0), Some(65_534));
    facts.tracefs = Tracefs::Forbidden("/sys/kernel/tracing".into());
    let report = examine(&facts, Duration::ZERO, None);
    assert_eq!(report.verdict, Status::Failed);
    assert!(report.probes.iter().all(|probe| probe.status == ProbeStatus::NotTried));
    insta::assert_snapshot!(text(&report, false));
}

#[test]
fn an_optional_probe_that_is_missing_degrades() {
    let report = examine(&facts(), Duration::from_millis(7), trial(&["sched_process_exec"]));
    assert_eq!(report.verdict, Status::Degraded);
    insta::assert_snapshot!(text(&report, false));
    let probe = report.probes.iter().find(|probe| probe.program == "sched_process_exec").unwrap();
    assert!(!probe.required && probe.lost.is_some());
    assert!(probe.error.as_deref().unwrap().contains("No such file"));
}

#[test]
fn a_required_probe_that_is_missing_fails() {
    let report = examine(&facts(), Duration::from_millis(7), trial(&["signal_generate", "sched_process_exec"]));
    assert_eq!((report.verdict, report.start_up_ns), (Status::Failed, None));
    assert!(report.advice.unwrap().contains("no such tracepoint"));
    assert!(report.summary.ends_with("probes"));
}

#[test]
fn an_object_that_is_refused_fails() {
    let report = examine(&facts(), Duration::ZERO, Some(Err(LoadError::Inconsistent("EVENTS"))));
    assert_eq!(report.verdict, Status::Failed);
    assert!(text(&report, false).contains("FAIL  eBPF object     the eBPF object has no proper EVENTS"));
}

#[test]
fn colour_is_only_where_it_is_asked_for() {
    let report = examine(&facts(), Duration::ZERO, trial(&["sched_process_exec"]));
    let (plain, colored) = (text(&report, false), text(&report, true));
    assert!(!plain.contains('\x1b'));
    assert!(colored.contains("\x1b[33mwarn\x1b[0m"));
}

#[test]
fn lines_are_broken_between_words() {
    assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    assert_eq!(wrap("unbreakable x", 3), ["unbreakable", "x"]);
    assert_eq!(wrap("", 3), [""]);
}

#[test]
fn every_line_fits() {
    let mut facts = facts();
    facts.capabilities = Some(0);
    facts.cgroup_ns = Some(1);
    for report in [examine(&facts, Duration::ZERO, None), examine(&facts, Duration::ZERO, trial(&["signal_deliver"]))] {
        for line in text(&report, false).lines() {
            assert!(line.chars().count() <= WIDTH + 10, "{line}");
        }
    }
}
