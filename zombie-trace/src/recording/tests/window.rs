//! Parts of a recording.

use super::*;
use crate::{
    model::Config,
    report::{Clock, Replay, Report, ReportWindow, Scope},
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
    // Nobody answered what this session asks.
    let all = report(None, None);
    assert_eq!(all.zombies.len(), 1);
    assert_eq!(all.parents[0].cause, crate::diagnosis::Cause::Unknown);
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
