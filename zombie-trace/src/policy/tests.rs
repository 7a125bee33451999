//! Verdicts.

use jiff::civil::date;

use super::{
    Baseline, Exemption, Input, Policy, Rule, Verdict, judge,
    sample::{BEGAN, cause_of, process, report, with_drop, with_finding, with_zombies},
};
use crate::{
    container::{Container, Runtime},
    diagnosis::StopCause,
    model::{DropReason, LimitKind},
    report::{ContainerRecord, Doubts, ExitRecord, FindingKind, How, ProcessRecord, Report, Severity},
};

fn judged(report: &Report, policy: &str, baseline: Option<&Baseline>) -> Verdict {
    let policy = Policy::parse(policy).unwrap();
    judge(&Input { report, began_ns: BEGAN, policy: &policy, baseline, unseen: &[], today: date(2026, 6, 1) })
}

fn rules(verdict: &Verdict) -> Vec<Rule> {
    verdict.violations.iter().map(|it| it.rule).collect()
}

fn leak(zombies: u64) -> Report {
    with_zombies(report(), process(7, 2_000, "app"), "never-waits", zombies)
}

#[test]
fn a_clean_report_passes() {
    let verdict = judged(&report(), "", None);
    assert!(verdict.is_clean() && verdict.notes.is_empty(), "{verdict:#?}");
}

#[test]
fn zombies_fail_beyond_what_a_parent_may_have() {
    assert_eq!(rules(&judged(&leak(3), "", None)), [Rule::ZombieAge]);
    assert!(judged(&leak(3), "max-zombies-per-parent = 3", None).is_clean());
    assert!(!judged(&leak(3), "max-zombies-per-parent = 2", None).is_clean());
}

#[test]
fn causes_are_allowed_and_denied() {
    assert!(judged(&leak(3), "allowed-causes = [\"never-waits\"]", None).is_clean());
    let denied = judged(&leak(1), "max-zombies-per-parent = 9\ndenied-causes = [\"never-waits\"]", None);
    assert_eq!(rules(&denied), [Rule::DeniedCause]);
}

#[test]
fn who_is_older_than_the_command_is_not_judged() {
    let outside = with_zombies(report(), process(1, BEGAN - 1, "init"), "init-does-not-reap", 2);
    let verdict = judged(&outside, "", None);
    assert!(verdict.is_clean(), "{verdict:#?}");
    assert!(verdict.notes[0].contains("2 orphans"), "{:?}", verdict.notes);
}

#[test]
fn processes_of_one_name_are_told_once() {
    let twice = with_zombies(leak(3), process(8, 2_000, "app"), "never-waits", 4);
    let verdict = judged(&twice, "", None);
    let [violation] = &verdict.violations[..] else { panic!("{verdict:#?}") };
    assert_eq!((violation.amount, violation.processes), (7, 2));
    assert_eq!(violation.process.as_ref().map(|it| it.pid), Some(8), "the worst");
}

#[test]
fn a_dropped_signal_fails_unless_the_kernel_promises_the_drop() {
    let init = process(9, 2_000, "app");
    let dropped = with_drop(report(), init.clone(), DropReason::NoHandler, Severity::Error);
    let verdict = judged(&dropped, "", None);
    assert_eq!(rules(&verdict), [Rule::DroppedSignal]);
    assert_eq!(verdict.violations[0].amount, 2);
    assert!(judged(&dropped, "max-dropped-signals = 2", None).is_clean());
    assert!(judged(&with_drop(report(), init, DropReason::ProtectedFromInside, Severity::Note), "", None).is_clean());
}

#[test]
fn an_allowance_holds_until_its_day_is_over() {
    let policy = |day: &str| format!("[[allow]]\nfinding = \"zombies/*/app\"\nreason = \"known\"\nexpires = {day}");
    for day in ["2026-06-01", "2027-01-01"] {
        let verdict = judged(&leak(3), &policy(day), None);
        assert!(verdict.is_clean(), "{verdict:#?}");
        assert!(matches!(&verdict.waived[0].by, Exemption::AllowEntry { reason, .. } if reason == "known"));
    }
    let verdict = judged(&leak(3), &policy("2026-05-31"), None);
    assert_eq!(rules(&verdict), [Rule::ZombieAge]);
    assert_eq!(verdict.expired[0].violations, 1);
    assert!(verdict.violations[0].detail.contains("2026-05-31"), "{verdict:#?}");
    assert_eq!(judged(&report(), &policy("2027-01-01"), None).unused, ["zombies/*/app"]);
    assert_eq!(judged(&report(), &policy("2026-05-31"), None).expired[0].violations, 0);
}

#[test]
fn only_what_is_new_or_worse_than_the_baseline_fails() {
    let baseline = Baseline::of(&judged(&leak(3), "", None).violations);
    let baseline = Baseline::parse(&baseline.to_json()).unwrap();
    let same = judged(&leak(3), "", Some(&baseline));
    assert!(same.is_clean() && same.waived.len() == 1, "{same:#?}");
    assert!(judged(&leak(2), "", Some(&baseline)).is_clean());
    assert!(!judged(&leak(4), "", Some(&baseline)).is_clean(), "worse");
    let new = with_zombies(leak(3), process(8, 2_000, "other"), "never-waits", 1);
    let verdict = judged(&new, "", Some(&baseline));
    assert_eq!(verdict.violations[0].id, "zombies/never-waits/other");
    assert_eq!(verdict.violations.len(), 1);
}

#[test]
fn a_baseline_of_something_else_is_refused() {
    assert!(Baseline::parse("{}").is_err());
    assert!(Baseline::parse(r#"{"schema":"zombie-trace.report/1","known":{}}"#).is_err());
    assert!(Baseline::parse(r#"{"schema":"zombie-trace.baseline/1","known":{"a":{"amount":1}}}"#).is_err());
}

#[test]
fn the_commands_failure_is_a_violation_of_its_own_and_never_let_pass_by_accident() {
    let mut failed = leak(3);
    failed.command.as_mut().unwrap().exit = Some(ExitRecord::Code { code: 7 });
    let everything = "[[allow]]\nfinding = \"*\"\nreason = \"x\"\nexpires = 2027-01-01";
    let verdict = judged(&failed, everything, None);
    assert_eq!(rules(&verdict), [Rule::CommandFailed]);
    let both = judged(&failed, "", None);
    assert_eq!(rules(&both), [Rule::ZombieAge, Rule::CommandFailed]);
    assert!(!Baseline::of(&both.violations).known.keys().any(|key| key.contains("command")));
    assert_eq!(rules(&judged(&failed, "command-failure = \"ignore\"", None)), [Rule::ZombieAge]);
}

#[test]
fn losses_mean_that_nothing_can_be_said_but_do_not_hide_what_was_seen() {
    let mut lossy = report();
    lossy.loss.events = 5;
    assert_eq!(judged(&lossy, "", None).word(), "unmeasured");
    assert_eq!(judged(&lossy, "max-lost-events = 5", None).word(), "pass");
    let mut lossy_leak = leak(1);
    lossy_leak.loss.events = 5;
    assert_eq!(judged(&lossy_leak, "", None).word(), "fail");
}

/// Every part of the policy that counts findings: by default none is let pass, with a limit so many are.
#[test]
fn every_kind_of_finding_has_a_rule_and_a_limit() {
    let lost = FindingKind::LostStatus { cause: cause_of("status-stolen") };
    let stuck = FindingKind::Stuck { cause: cause_of("leader-zombie-with-live-threads") };
    for (kind, rule, key) in [
        (FindingKind::Stop { cause: None }, Rule::FailedStop, "max-failed-stops"),
        (FindingKind::ForkFailure { limit: LimitKind::PidsMax }, Rule::ForkFailure, "max-fork-failures"),
        (lost, Rule::LostStatus, "max-lost-statuses"),
        (stuck, Rule::Stuck, "max-stuck-processes"),
    ] {
        let one = with_finding(report(), process(9, 2_000, "app"), kind, "some", Severity::Warning);
        assert_eq!(rules(&judged(&one, "", None)), [rule]);
        assert!(judged(&one, &format!("{key} = 1"), None).is_clean(), "{key}");
        let two = with_finding(one, process(10, 2_000, "other"), kind, "some", Severity::Error);
        assert_eq!(rules(&judged(&two, &format!("{key} = 1"), None)), [rule, rule], "{key}");
        let note = with_finding(report(), process(9, 2_000, "app"), kind, "some", Severity::Note);
        assert!(judged(&note, "", None).is_clean(), "good to know, no more");
        let older = with_finding(report(), process(9, BEGAN - 1, "app"), kind, "some", Severity::Error);
        assert!(judged(&older, "", None).is_clean(), "older than the command");
    }
}

#[test]
fn causes_without_a_zombie_are_allowed_and_denied_as_well() {
    for (kind, cause) in [
        (FindingKind::LostStatus { cause: cause_of("status-stolen") }, "status-stolen"),
        (FindingKind::LostStatus { cause: cause_of("auto-reaped") }, "auto-reaped"),
        (FindingKind::Stuck { cause: cause_of("namespace-teardown-stuck") }, "namespace-teardown-stuck"),
    ] {
        let warned = with_finding(report(), process(9, 2_000, "app"), kind, "some", Severity::Warning);
        assert!(judged(&warned, &format!("allowed-causes = [\"{cause}\"]"), None).is_clean(), "{cause}");
        let noted = with_finding(report(), process(9, 2_000, "app"), kind, "some", Severity::Note);
        for report in [warned, noted] {
            let denied = judged(&report, &format!("max-stuck-processes = 9\ndenied-causes = [\"{cause}\"]"), None);
            assert_eq!(rules(&denied), [Rule::DeniedCause], "{cause}");
        }
    }
}

#[test]
fn stops_are_allowed_and_denied_by_their_cause() {
    for cause in StopCause::ALL {
        let kind = FindingKind::Stop { cause: Some(cause) };
        let stop = |severity| with_finding(report(), process(9, 2_000, "app"), kind, "some", severity);
        let (failed, noted, id) = (stop(Severity::Error), stop(Severity::Note), cause.id());
        assert_eq!(rules(&judged(&failed, "", None)), [Rule::FailedStop], "{id}");
        assert!(judged(&failed, &format!("allowed-stop-causes = [\"{id}\"]"), None).is_clean(), "{id}");
        let denied = format!("max-failed-stops = 9\ndenied-stop-causes = [\"{id}\"]");
        for report in [failed, noted] {
            let both = format!("{denied}\nallowed-stop-causes = [\"{id}\"]");
            for policy in [&denied, &both] {
                assert_eq!(rules(&judged(&report, policy, None)), [Rule::DeniedCause], "{id}");
            }
        }
    }
    let unexplained =
        with_finding(report(), process(9, 2_000, "app"), FindingKind::Stop { cause: None }, "some", Severity::Warning);
    let all: Vec<String> = StopCause::ALL.iter().map(|cause| format!("\"{}\"", cause.id())).collect();
    let policy = format!("allowed-stop-causes = [{}]", all.join(", "));
    assert_eq!(rules(&judged(&unexplained, &policy, None)), [Rule::FailedStop], "what has no cause has none allowed");
    // The lists of zombies are others.
    let kind = FindingKind::Stop { cause: Some(StopCause::Unknown) };
    let unknown = with_finding(report(), process(9, 2_000, "app"), kind, "some", Severity::Error);
    assert_eq!(rules(&judged(&unknown, "allowed-causes = [\"unknown\"]", None)), [Rule::FailedStop]);
}

#[test]
fn zombies_left_at_the_end_count_over_all_parents() {
    let mut left = with_zombies(leak(2), process(8, 2_000, "other"), "never-waits", 1);
    for parent in &mut left.parents {
        (parent.zombies_now, parent.oldest_ns) = (parent.zombies_total, Some(2_000_000_000));
    }
    let generous = "max-zombies-per-parent = 9\n";
    assert_eq!(rules(&judged(&left, generous, None)), [Rule::ZombiesLeft]);
    assert_eq!(judged(&left, generous, None).violations[0].amount, 3);
    assert!(judged(&left, &format!("{generous}max-zombies-left = 3"), None).is_clean());
}

/// A process of an interpreter.
fn script(pid: u32, program: &str) -> ProcessRecord {
    ProcessRecord { program: program.to_owned(), ..process(pid, 2_000, "python3") }
}

#[test]
fn a_baseline_tells_programs_of_one_interpreter_apart() {
    let one = with_zombies(report(), script(7, "python3 a.py"), "never-waits", 3);
    let baseline = Baseline::of(&judged(&one, "", None).violations);
    assert!(judged(&one, "", Some(&baseline)).is_clean());
    let two = with_zombies(one, script(8, "python3 b.py"), "never-waits", 1);
    let verdict = judged(&two, "", Some(&baseline));
    let [new] = &verdict.violations[..] else { panic!("{verdict:#?}") };
    assert_eq!(new.id, "zombies/never-waits/python3 b.py");
}

#[test]
fn a_baseline_of_version_0_1_says_what_it_cannot_tell_apart() {
    let text = r#"{"schema":"zombie-trace.baseline/1",
        "known":{"zombie-age:zombies/never-waits/python3":{"amount":3,"title":"x"}}}"#;
    let former = Baseline::parse(text).unwrap();
    let one = with_zombies(report(), script(7, "python3 a.py"), "never-waits", 2);
    let verdict = judged(&one, "", Some(&former));
    assert!(verdict.is_clean(), "{verdict:#?}");
    assert!(verdict.notes[0].contains("python3 a.py") && verdict.notes[0].contains("version 0.1"), "{verdict:#?}");
    let two = with_zombies(one, script(8, "python3 b.py"), "never-waits", 2);
    assert_eq!(judged(&two, "", Some(&former)).violations.len(), 2, "four, and there were three of that name");
    let other = with_zombies(report(), process(7, 2_000, "app"), "never-waits", 1);
    assert!(!judged(&other, "", Some(&former)).is_clean());
}

#[test]
fn a_policy_of_version_0_1_that_names_an_interpreter_still_holds() {
    let one = with_zombies(report(), script(7, "python3 a.py"), "never-waits", 2);
    for pattern in ["zombies/never-waits/python3", "zombies/never-waits/python3 a.py", "zombies/*/python*"] {
        let policy = format!("[[allow]]\nfinding = \"{pattern}\"\nreason = \"known\"\nexpires = 2027-01-01");
        assert!(judged(&one, &policy, None).is_clean(), "{pattern}");
    }
}

/// A report in which the whole machine was traced for a command.
fn amid_others(report: Report, containers: &[&str]) -> Report {
    let of = |id: &&str| ContainerRecord {
        container: Some(Container::new(Runtime::Docker, (*id).to_owned())),
        followed: How::Named,
        process: None,
        exit: None,
        exit_code: None,
        exits: None,
        findings: Vec::new(),
        stops: Vec::new(),
        pid_ns: None,
    };
    Report { containers: containers.iter().map(of).collect(), doubts: Some(Doubts::default()), ..report }
}

#[test]
fn amid_others_only_the_commands_own_processes_and_containers_count() {
    let stranger = process(7, 2_000, "app");
    let own = ProcessRecord { descends: true, ..stranger.clone() };
    let older = ProcessRecord { start_ns: 10, ..own.clone() };
    let inside = |start_ns, id: &str| ProcessRecord {
        start_ns,
        container: Some(Container::new(Runtime::Docker, id.to_owned())),
        ..stranger.clone()
    };
    let of = |process: &ProcessRecord| {
        let leak = with_zombies(report(), process.clone(), "never-waits", 1);
        let drop = with_drop(leak, process.clone(), DropReason::NoHandler, Severity::Error);
        rules(&judged(&amid_others(drop, &["mine"]), "", None))
    };
    let all = [Rule::ZombieAge, Rule::DroppedSignal];
    assert_eq!(
        (of(&own), of(&inside(2_000, "mine")), of(&inside(10, "mine"))),
        (all.to_vec(), all.to_vec(), all.to_vec())
    );
    assert_eq!((of(&stranger), of(&older), of(&inside(2_000, "theirs"))), (vec![], vec![], vec![]));
}
