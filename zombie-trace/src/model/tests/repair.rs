//! What `/proc` adds: at the start, and after a loss.

use super::story::*;
use crate::event::{Exit, ProcessKey, Seed, Wait, What};
use crate::model::{Config, Precision, Query, Via};

fn exact(key: ProcessKey) -> Exit {
    exit(key, PARENT)
}

#[test]
fn a_zombie_from_before_is_marked_so_and_its_age_is_a_lower_bound() {
    let mut story = Story::new();
    let child = rounded(CHILD);
    story.at(5).finds(zombie_seed(CHILD, PARENT.pid)).finds(seed(PARENT, 1)).has_scanned_since(4);
    let zombie = story.zombie(child).expect("it is a zombie");
    assert!(zombie.preexisting() && zombie.since == ms(5));
    assert_eq!((zombie.waiter(), zombie.death.status.is_some()), (rounded(PARENT), true));
    story.at(505).reaps(PARENT, CHILD);
    let ended = story.only_end();
    assert_eq!(
        (ended.precision, ended.zombie_ns, ended.reaper),
        (Precision::LowerBound, 500 * MS, Some(rounded(PARENT)))
    );
    assert_eq!(story.parenting(rounded(PARENT)).zombies_now, 0);
}

#[test]
fn a_rounded_start_and_the_exact_one_are_one_process() {
    let mut story = Story::new();
    story.at(5).finds(seed(CHILD, PARENT.pid)).finds(seed(PARENT, 1)).has_scanned_since(4);
    let before = story.model.table.len();
    story.at(10).dies(CHILD, PARENT).at(510).reaps(PARENT, CHILD).at(520);
    assert_eq!(story.model.table.len(), before);
    assert_eq!((story.only_end().precision, story.only_end().zombie_ns), (Precision::Exact, 500 * MS));
    story.frees(CHILD).frees(PARENT);
    assert!(story.model.table.is_empty());
}

#[test]
fn a_seed_and_the_older_events_that_follow_it_agree() {
    // /proc was read at 5, when the zombie was there; its death at 3 is read from the ring after that.
    let mut story = Story::new();
    story.at(5).finds(zombie_seed(CHILD, PARENT.pid)).finds(seed(PARENT, 1)).has_scanned_since(2);
    story.at(3).dies(CHILD, PARENT).at(503).reaps(PARENT, CHILD);
    let ended = story.only_end();
    assert_eq!((ended.precision, ended.zombie_ns), (Precision::Exact, 500 * MS));
    assert!(!ended.preexisting);
    assert_eq!((story.model.totals().zombies, story.model.totals().exits), (1, 1));
}

#[test]
fn a_zombie_that_is_reaped_while_others_are_being_read_is_gone_at_once() {
    let mut story = Story::new();
    story.at(5).finds(zombie_seed(CHILD, PARENT.pid)).finds(seed(PARENT, 1)).at(8).has_scanned_since(4);
    story.at(6).reaps(PARENT, CHILD);
    assert!(story.zombie(rounded(CHILD)).is_none());
    assert_eq!((story.model.totals().zombies_now, story.model.totals().reaped), (0, 1));
}

#[test]
fn a_death_whose_exit_was_missed_ends_with_the_wait_call() {
    let mut story = Story::new();
    story.at(10).notifies(CHILD, PARENT).at(510).reaps(PARENT, CHILD);
    assert_eq!((story.only_end().zombie_ns, story.only_end().reaper), (500 * MS, Some(PARENT)));
    story.frees(CHILD).assert_forgotten(CHILD);
}

#[test]
fn what_was_reaped_before_the_first_scan_is_no_zombie_whatever_was_missed_of_it() {
    let mut story = Story::new();
    story.at(1).exits(CHILD, PARENT).notifies(CHILD, PARENT);
    story.at(5).finds(seed(PARENT, 1)).has_scanned_since(4);
    assert!(story.zombie(CHILD).is_none());
    story.at(900).ticks();
    assert_eq!((story.aged(), story.model.totals().zombies_now), (vec![], 0));
}

#[test]
fn what_an_event_named_before_it_was_found_was_there_before_tracing_all_the_same() {
    let mut story = Story::with(Config { started: ms(3), ..Config::default() });
    story.at(4).dies(CHILD, PARENT).at(5).finds(seed(PARENT, 1)).finds(zombie_seed(CHILD, PARENT.pid));
    story.has_scanned_since(4);
    assert!(story.model.process(PARENT).is_some_and(|it| it.preexisting));
    story.at(6).forks(PARENT, OTHER).finds(seed(OTHER, PARENT.pid)).has_scanned_since(5);
    assert!(story.model.process(OTHER).is_some_and(|it| !it.preexisting));
}

/// A call that began before tracing did returned the child, and did not say whether it only looked.
fn may_reap(story: &mut Story) {
    let call = Wait { options: None, report: crate::event::WaitReport::Unknown, ..wait(PARENT, CHILD) };
    story.at(5).finds(seed(PARENT, 1)).has_scanned_since(4);
    story.at(10).dies(CHILD, PARENT).at(20).tell(What::Wait(call)).at(500).ticks().answers(PARENT);
    assert_eq!(story.aged(), [], "it may be gone");
    assert!(story.queries.contains(&Query::Rescan));
}

#[test]
fn a_zombie_that_may_have_been_reaped_is_told_once_it_was_found_again() {
    let mut story = Story::new();
    may_reap(&mut story);
    story.at(510).finds(zombie_seed(CHILD, PARENT.pid)).finds(seed(PARENT, 1)).has_scanned_since(505);
    story.at(520).ticks().answers(rounded(PARENT));
    assert_eq!((story.aged(), story.zombie_since(CHILD)), (vec![CHILD], Some(10)));
}

#[test]
fn a_zombie_that_may_have_been_reaped_and_is_not_found_again_is_never_told() {
    let mut story = Story::new();
    may_reap(&mut story);
    story.at(510).finds(seed(PARENT, 1)).has_scanned_since(505).at(900).ticks();
    assert_eq!((story.aged(), story.model.totals().zombies_now), (vec![], 0));
    assert_eq!(story.only_end().reaper, Some(rounded(PARENT)));
}

#[test]
fn a_death_of_which_only_the_exit_was_seen_lasts_from_the_exit_at_most() {
    let mut story = Story::new();
    story.at(5).finds(zombie_seed(CHILD, PARENT.pid)).finds(seed(PARENT, 1)).has_scanned_since(2);
    story.at(3).exits(CHILD, PARENT).at(503).reaps(PARENT, CHILD);
    assert_eq!((story.only_end().precision, story.only_end().zombie_ns), (Precision::UpperBound, 500 * MS));
}

#[test]
fn a_leader_that_is_z_with_live_threads_is_no_zombie() {
    let mut story = Story::new();
    story.at(5).finds(Seed { threads: 2, ..zombie_seed(CHILD, PARENT.pid) }).has_scanned_since(4).at(900).ticks();
    assert!(story.zombie(rounded(CHILD)).is_none() && story.aged().is_empty());
}

#[test]
fn a_zombie_of_a_nested_namespace_from_before_is_reaped_by_its_number_there() {
    let mut story = Story::new();
    let init = Seed { ns_pids: vec![PARENT.pid, 1], pid_ns: NESTED, ..seed(PARENT, 1) };
    story.at(5).finds(Seed { ns_pids: vec![CHILD.pid, 7], ..zombie_seed(CHILD, PARENT.pid) }).finds(init);
    story.has_scanned_since(4).at(505).tell(What::Wait(Wait { ns: NESTED, child_nr: Some(7), ..wait(PARENT, CHILD) }));
    assert_eq!(story.only_end().zombie_ns, 500 * MS);
    story.frees(CHILD).assert_forgotten(rounded(CHILD));
}

#[test]
fn what_is_not_found_any_more_is_gone_but_nobody_reaped_it_late() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(2_000).loses(3);
    assert!(story.queries.contains(&Query::Rescan));
    story.at(2_005).finds(seed(PARENT, 1)).has_scanned_since(2_001);
    let ended = story.only_end();
    assert_eq!((ended.precision, ended.via), (Precision::UpperBound, Via::Unknown));
    story.assert_forgotten(CHILD);
    assert_eq!(story.parenting(PARENT).reaped_late, 0, "when it was reaped is not known");
}

#[test]
fn every_loss_is_followed_by_a_scan_even_if_one_failed() {
    let mut story = Story::new();
    story.at(10).loses(1).at(20).loses(1);
    assert_eq!(story.queries.iter().filter(|it| **it == Query::Rescan).count(), 2);
}

#[test]
fn losses_that_nobody_answers_ask_for_one_scan() {
    let mut story = Story::new();
    for _ in 0..100 {
        story.model.apply(&crate::event::Event { time: ms(1), what: What::Loss { events: 1 } });
    }
    assert_eq!(std::iter::from_fn(|| story.model.next_query()).count(), 1);
}

#[test]
fn a_zombie_found_after_a_loss_is_judged_with_caution() {
    let mut story = Story::new();
    story.at(10).exits(CHILD, PARENT).at(20).loses(1).at(25).finds(zombie_seed(CHILD, PARENT.pid));
    story.finds(seed(PARENT, 1)).has_scanned_since(24).at(500).ticks().answers(PARENT);
    assert_eq!(story.cause(CHILD), Some("unknown"));
}

#[test]
fn a_zombie_of_which_nothing_was_seen_is_judged_with_caution() {
    let mut story = Story::new();
    story.at(0).forks(PARENT, CHILD).at(20).loses(1).at(25).finds(zombie_seed(CHILD, PARENT.pid));
    story.finds(seed(PARENT, 1)).has_scanned_since(24).at(500).ticks().answers(PARENT);
    assert_eq!(story.cause(CHILD), Some("unknown"));
}

#[test]
fn a_zombie_that_begins_after_a_loss_is_judged_with_certainty() {
    let mut story = Story::new();
    story.at(10).loses(1).at(12).finds(seed(PARENT, 1)).has_scanned_since(11);
    story.at(20).dies(CHILD, PARENT).at(500).ticks().answers(PARENT);
    assert_eq!(story.cause(CHILD), Some("never-waits"));
}

#[test]
fn a_loss_noticed_late_clouds_all_that_was_read_with_it() {
    // The count of losses is read after the ring was drained; its event bears the time from before.
    let mut story = Story::new();
    story.at(20).dies(CHILD, PARENT).at(15).loses(1).at(500).ticks().answers(PARENT);
    assert_eq!(story.cause(CHILD), Some("unknown"));
}

#[test]
fn a_hand_over_that_was_lost_is_found_in_proc() {
    let mut story = Story::new();
    let exit = Exit { tracer: Some(TRACER.pid), ..exact(CHILD) };
    story.at(0).forks(OTHER, TRACER).at(10).tell(What::Exit(exit)).notifies(CHILD, TRACER).at(20).loses(1);
    story.at(25).finds(zombie_seed(CHILD, PARENT.pid)).finds(seed(PARENT, 1)).finds(seed(TRACER, 1));
    story.has_scanned_since(24);
    assert_eq!(story.waiter(CHILD), Some(PARENT));
    assert_eq!((story.parenting(TRACER).zombies_now, story.parenting(PARENT).zombies_now), (0, 1));
}

#[test]
fn an_adoption_that_was_lost_is_found_in_proc() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(20).loses(1).at(25).finds(zombie_seed(CHILD, 1)).finds(seed(INIT, 0));
    story.has_scanned_since(24);
    assert_eq!(story.waiter(CHILD), Some(rounded(INIT)));
    story.at(525).reaps(INIT, CHILD);
    assert_eq!((story.only_end().zombie_ns, story.parenting(rounded(INIT)).zombies_now), (515 * MS, 0));
}

#[test]
fn a_first_signal_that_was_lost_is_not_made_up_for_by_the_second() {
    let mut story = Story::new();
    story
        .at(10)
        .exits(CHILD, PARENT)
        .at(20)
        .loses(1)
        .at(200)
        .notifies_of(PARENT, CHILD, INIT)
        .at(210)
        .reaps(INIT, CHILD);
    let ended = story.only_end();
    assert_eq!((ended.precision, ended.zombie_ns), (Precision::UpperBound, 200 * MS));
}

#[test]
fn times_at_the_end_of_time_overflow_nothing() {
    let mut story = Story::with(Config { min_age_ns: u64::MAX, started: u64::MAX - 1, ..Config::default() });
    for time in [u64::MAX, 0] {
        for what in [
            What::Exit(exact(CHILD)),
            What::ChildSignal(child_signal(CHILD, PARENT)),
            What::Signal(signal(SIGTERM)),
            What::Signal(crate::event::Signal {
                blocked: true,
                outcome: crate::event::SignalOutcome::Delivered,
                ..signal(SIGTERM)
            }),
            What::Deliver(crate::event::Deliver { target: PARENT, signal: SIGTERM, code: 0, traced: false }),
            What::Tick,
        ] {
            story.model.apply(&crate::event::Event { time, what });
        }
    }
}
