//! A zombie whose memory is freed before a wait call is seen that reaped it.

use super::story::*;
use crate::model::{Precision, Via};

#[test]
fn a_zombie_whose_wait_is_not_seen_ends_with_its_memory() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(530).frees(CHILD);
    assert!(story.ended().is_empty(), "the wait call may yet return");
    story.at(1600).ticks();
    let ended = story.only_end();
    assert_eq!((ended.time, ended.zombie_ns, ended.precision), (ms(530), 520 * MS, Precision::UpperBound));
    assert_eq!((ended.reaper, ended.via), (None, Via::Unknown));
    assert_eq!(story.model.totals().zombies_now, 0);
    story.assert_forgotten(CHILD);
}

#[test]
fn a_wait_that_returns_after_the_memory_is_freed_is_the_one_that_reaped() {
    let mut story = Story::new();
    // The reaper lost its CPU within the call, right after the reap.
    story.at(10).dies(CHILD, PARENT).at(530).frees(CHILD).at(550).reaps(PARENT, CHILD);
    let ended = story.only_end();
    assert_eq!((ended.zombie_ns, ended.precision), (540 * MS, Precision::Exact));
    assert_eq!((ended.reaper, ended.via), (Some(PARENT), Via::Wait4));
    story.at(2000).ticks();
    assert_eq!((story.ended().len(), story.model.totals().reaped), (1, 1));
    story.assert_forgotten(CHILD);
}

#[test]
fn no_wait_call_of_a_dead_waiter_is_to_return() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(520).exits(PARENT, INIT).at(530).frees(CHILD);
    assert_eq!(story.only_end().via, Via::Unknown);
    story.assert_forgotten(CHILD);
}

#[test]
fn what_is_freed_is_over_when_nothing_more_comes() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(530).frees(CHILD);
    story.concludes();
    assert_eq!((story.only_end().via, story.model.totals().zombies_now), (Via::Unknown, 0));
    story.assert_forgotten(CHILD);
}

#[test]
fn a_free_before_the_wait_leaves_nothing_for_the_wait() {
    let mut story = Story::of_all();
    story.at(10).dies(CHILD, PARENT).at(20).frees(CHILD).reaps(PARENT, CHILD).frees(CHILD);
    assert_eq!(story.ended().len(), 1);
    assert_eq!(story.model.totals().reaped, 1);
    story.assert_forgotten(CHILD);
}

#[test]
fn a_parent_has_reaped_what_is_freed_and_each_only_once() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(530).frees(CHILD);
    let counted = |story: &Story| {
        let parenting = story.parenting(PARENT);
        (parenting.reaped, parenting.reaped_without_wait_call, parenting.last_reap)
    };
    assert_eq!(counted(&story), (1, 1, Some(ms(530))));
    story.at(550).reaps(PARENT, CHILD);
    assert_eq!(counted(&story), (1, 0, Some(ms(550))));
    story.at(600).dies(OTHER, PARENT).at(630).frees(OTHER).at(2000).ticks();
    assert_eq!(counted(&story), (2, 1, Some(ms(630))));
}
