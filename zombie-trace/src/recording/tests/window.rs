//! Parts of a recording.

use super::*;
use crate::{
    diagnosis::Cause,
    event::{Evidence, Fact, KnownBegin, KnownZombie, ProcFacts, ProcessKey, WaitActivity},
    model::Config,
    report::{Clock, Notice, Replay, Report, ReportWindow, Scope},
};

/// Ten processes that lived and died at 1 to 10 s, and a zombie that is there from 3 s on.
fn report(since: Option<u64>, until: Option<u64>) -> Report {
    let mut batch = Batch::default();
    for second in 1..=10 {
        let time = u64::from(second) * 1_000_000_000;
        batch.add_wire(&life(1_000 + second, time));
        if second == 3 {
            let Event { what: What::Fact(Fact::Seed(mut zombie)), .. } = seed(50) else { unreachable!() };
            (zombie.parent_pid, zombie.ns_pids) = (77, vec![50]);
            batch.items.push(Item::Context(Event { time, what: What::Fact(Fact::Seed(zombie)) }));
            batch.items.push(Item::Context(Event { time, what: What::Fact(Fact::SeedDone { began: 0 }) }));
        }
        batch.items.push(Item::Context(tick(time + 500_000_000)));
        batch.items.push(Item::Settled);
    }
    let window = ReportWindow { since, until };
    let mut replay = Replay::new(Config::default(), Scope::default(), Clock::default(), window, bounds());
    replay.apply(&batch);
    replay.report("host", "kernel")
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn what_was_over_before_a_time_is_not_counted_and_what_was_there_is() {
    let all = report(None, None);
    assert_eq!((all.totals.exits, all.totals.zombies_now, all.parents.len()), (10, 1, 1));
    let late = report(Some(7 * SECOND), None);
    assert_eq!((late.totals.exits, late.totals.zombies_now, late.zombies.len()), (4, 1, 1));
    assert_eq!(late.window.start.nanoseconds(), 7_000_000_000);
    assert_eq!((late.parents.len(), late.parents[0].zombies_total), (1, 1));
}

#[test]
fn what_came_after_a_time_is_not_heard_of() {
    let early = report(None, Some(2 * SECOND + 600_000_000));
    assert_eq!((early.totals.exits, early.totals.zombies_now, early.parents.len()), (2, 0, 0));
    let part = report(Some(2 * SECOND), Some(5 * SECOND - 1));
    assert_eq!((part.totals.exits, part.totals.zombies_now), (3, 1));
}

#[test]
fn a_window_after_the_end_holds_what_was_there_at_the_end() {
    let after = report(Some(60 * SECOND), None);
    assert_eq!((after.totals.exits, after.totals.zombies_now, after.parents.len()), (0, 1, 1));
}

#[test]
fn another_minimum_age_than_the_recorders_still_finds_the_zombies() {
    // Nobody answered this session's queries.
    let all = report(None, None);
    assert_eq!(all.zombies.len(), 1);
    assert_eq!(all.parents[0].cause, Cause::Unknown);
}

/// The causes for a parent whose only child died at 2 s, as reported and at the end, with a look by the recorder at
/// this time.
fn judged_by_a_look(time: u64, asks: Asks) -> (Vec<Cause>, Cause) {
    let Event { what: What::Fact(Fact::Seed(mut parent)), .. } = seed(77) else { unreachable!() };
    (parent.is_zombie, parent.status, parent.ns_pids) = (false, None, vec![77]);
    let process = parent.process;
    let proc = ProcFacts { state: 'S', threads: 1, ..ProcFacts::default() };
    let evidence = Evidence {
        process,
        observed_since: 0,
        waits: Some(WaitActivity { recent_complete: true, ..WaitActivity::default() }),
        proc: Some(proc),
        gaps: Vec::new(),
        doing: Vec::new(),
    };
    let at = |time: u64, fact: Fact| Item::Context(Event { time, what: fact.into() });
    let look = at(time, Fact::Evidence(Box::new(evidence)));
    let mut batch = Batch::default();
    batch.items.extend([at(9, Fact::Seed(parent)), at(9, Fact::SeedDone { began: 0 })]);
    let (before, after) = if time < 2 * SECOND { (Some(look), None) } else { (None, Some(look)) };
    batch.items.extend(before);
    // What follows does not answer earlier queries.
    batch.items.push(Item::Settled);
    // Without an exit signal it is a zombie from its exit on.
    let wire = life(1_000, 2 * SECOND);
    let mut exit = ExitEvent::read_from_bytes(&wire[96..96 + 144]).unwrap();
    exit.exit_signal = 0;
    batch.add_wire(&[&wire[..96], exit.as_bytes()].concat());
    batch.items.push(Item::Context(tick(7 * SECOND / 2)));
    if asks == Asks::ReaderAlone {
        batch.items.push(Item::Settled);
    }
    batch.items.extend(after);
    batch.items.push(Item::Settled);
    let mut replay =
        Replay::new(Config::default(), Scope::default(), Clock::default(), ReportWindow::default(), bounds());
    replay.apply(&batch);
    let told = std::iter::from_fn(|| replay.next_notice()).filter_map(|notice| match notice {
        Notice::Zombie(zombie) => Some(zombie.cause),
        _ => None,
    });
    let told = told.collect();
    let report = replay.report("host", "kernel");
    assert_eq!(report.zombies.len(), 1, "{report:?}");
    (told, report.zombies[0].cause)
}

/// Who queried the parent when the zombie reached the minimum age.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// Also the recorder: the look answers it.
    Recorder,
    /// Only the reader, with a lower minimum age: the look came later.
    ReaderAlone,
}

#[test]
fn a_look_from_before_a_death_does_not_accuse_the_parent() {
    assert_eq!(judged_by_a_look(4 * SECOND, Asks::Recorder).1, Cause::NeverWaits);
    assert_eq!(judged_by_a_look(SECOND, Asks::Recorder).1, Cause::Unknown, "nobody has looked since");
}

#[test]
fn a_look_that_the_recorder_made_later_makes_up_for_one_that_it_did_not_make() {
    let told = |time| judged_by_a_look(time, Asks::ReaderAlone).0;
    assert_eq!(told(4 * SECOND), [Cause::Unknown, Cause::NeverWaits]);
    assert_eq!(told(SECOND), [Cause::Unknown]);
}

#[test]
fn a_gap_accuses_nobody_whose_wait_may_be_in_it() {
    let mut batch = Batch::default();
    // Forked and dead; its wait is lost.
    let wire = life(1_000, SECOND);
    batch.add_wire(&wire[..96 + 144]);
    let mut replay =
        Replay::new(Config::default(), Scope::default(), Clock::default(), ReportWindow::default(), bounds());
    replay.apply(&batch);
    replay.record_gap(2);
    batch.clear();
    batch.items.push(Item::Context(tick(60 * SECOND)));
    batch.add_wire(&life(1_000, 61 * SECOND));
    replay.apply(&batch);
    let report = replay.report("host", "kernel");
    assert_eq!((report.loss.events, report.totals.exits), (2, 2));
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn a_zombie_that_the_recorder_knew_is_as_old_as_it_was() {
    let Event { what: What::Fact(Fact::Seed(mut zombie)), .. } = seed(50) else { unreachable!() };
    (zombie.parent_pid, zombie.ns_pids) = (77, vec![50]);
    let Event { what: What::Fact(Fact::Seed(mut parent)), .. } = seed(77) else { unreachable!() };
    (parent.is_zombie, parent.ns_pids) = (false, vec![77]);
    let (found, waiter) = (zombie.process, parent.process);
    let at = |fact: Fact| Item::Context(Event { time: 60 * SECOND, what: fact.into() });
    let report = |known: Option<KnownZombie>| {
        let mut batch = Batch::default();
        batch.items.extend([Fact::Seed(zombie.clone()), Fact::Seed(parent.clone())].map(at));
        batch.items.push(at(Fact::SeedDone { began: 60 * SECOND }));
        batch.items.extend(known.map(Box::new).map(Fact::Zombie).map(at));
        batch.items.push(Item::Context(tick(60 * SECOND + 1)));
        batch.items.push(Item::Settled);
        let window = ReportWindow { since: Some(60 * SECOND), until: None };
        let config = Config { started: 5, ..Config::default() };
        let mut replay = Replay::new(config, Scope::default(), Clock::default(), window, bounds());
        replay.apply(&batch);
        replay.report("host", "kernel")
    };
    assert!(report(None).zombies.is_empty(), "it is not known to be older than a moment");
    let known = KnownZombie {
        process: found,
        since: 20 * SECOND,
        begin: KnownBegin::Exact,
        waiter,
        waits_since: 30 * SECOND,
        last_loss: None,
        death: None,
        former: Vec::new(),
    };
    let told = report(Some(known.clone()));
    assert_eq!((told.zombies.len(), told.parents.len()), (1, 1));
    assert_eq!((told.zombies[0].age_ns, told.zombies[0].preexisting), (40 * SECOND + 1, false));
    // It does not get younger, and a process that does not exist cannot get it.
    let nonsense = KnownZombie { since: 90 * SECOND, process: ProcessKey { pid: 99, ..found }, ..known };
    assert!(report(Some(nonsense)).zombies.is_empty());
}

#[test]
fn a_snapshot_is_taken_in_as_it_was_given() {
    let mut batch = Batch::default();
    let Event { what: What::Fact(Fact::Seed(mut zombie)), .. } = seed(50) else { unreachable!() };
    (zombie.parent_pid, zombie.ns_pids) = (77, vec![50]);
    let facts = [Fact::Seed(zombie), Fact::SeedDone { began: 0 }];
    let mut first = crate::model::Model::new(Config::default());
    first.apply(&Event { time: 2 * SECOND, what: What::Loss { events: 3 } });
    for fact in facts.clone() {
        first.apply(&Event { time: 3 * SECOND, what: fact.into() });
    }
    let snapshot = first.snapshot();
    assert_eq!(snapshot.len(), 1);
    let mut second = crate::model::Model::new(Config::default());
    for fact in facts.into_iter().chain(snapshot.clone()) {
        batch.items.push(Item::Context(Event { time: 9 * SECOND, what: fact.clone().into() }));
        second.apply(&Event { time: 9 * SECOND, what: fact.into() });
    }
    assert_eq!(second.snapshot(), snapshot);
    assert_eq!((second.last_loss(), second.totals().lost), (Some(2 * SECOND), 0), "lost, and not in this file");
    // And through a file.
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.zt");
    record(&path, &[batch.clone()]);
    assert_eq!(read(&path).unwrap().batches, [batch]);
}
