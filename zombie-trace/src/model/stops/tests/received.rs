//! Whether the init got what was sent.

use super::*;

#[test]
fn a_term_that_is_dropped_when_the_init_unblocks_it_is_dropped_for_the_stop_too() {
    let mut story = Story::new();
    let delivery = Deliver { target: INIT, signal: SIGTERM, code: 0, traced: false };
    story.signal(SECOND, SIGTERM, |signal| (signal.handler, signal.blocked) = (Handler::Default, true));
    story.event(SECOND + 1000, What::Deliver(delivery)).killed_init(3 * SECOND).init_is_zombie(3 * SECOND + 2);
    assert_eq!(
        (story.only().outcome, story.only().dropped),
        (StopOutcome::Failed, Some(DropReason::DroppedAtDelivery))
    );
}

#[test]
fn a_blocked_term_that_is_taken_late_is_a_clean_stop() {
    let mut story = Story::new();
    story.blocked(SECOND).looks(SECOND + SECOND / 20, true).looks(2 * SECOND, true);
    story.init_exits(2 * SECOND + SECOND / 2, ExitStatus::Code(0)).init_is_zombie(3 * SECOND);
    assert_eq!((story.only().outcome, story.only().dropped), (StopOutcome::Clean, None));
}

#[test]
fn a_blocked_term_that_nobody_takes_is_the_reason_of_a_failed_stop_however_soon() {
    let mut story = Story::new();
    story.blocked(SECOND).looks(SECOND + SECOND / 20, true).looks(SECOND + SECOND / 2, true);
    story.killed_init(SECOND + 3 * SECOND / 5).init_is_zombie(2 * SECOND);
    let stop = story.only();
    assert_eq!((stop.dropped, stop.received), (Some(DropReason::Blocked), Some(false)));
}

#[test]
fn a_blocked_term_that_nobody_looked_for_is_not_said_to_be_received() {
    let mut story = Story::new();
    story.blocked(SECOND).killed_init(SECOND + SECOND / 100).init_is_zombie(2 * SECOND);
    assert_eq!((story.only().dropped, story.only().received), (None, None));
}

#[test]
fn a_blocked_term_that_is_taken_is_received() {
    let mut story = Story::new();
    story.blocked(SECOND).looks(SECOND + SECOND / 20, false).killed_init(11 * SECOND).init_is_zombie(12 * SECOND);
    assert_eq!((story.only().dropped, story.only().received), (None, Some(true)));
}

#[test]
fn a_term_that_was_dropped_before_the_handler_was_there_is_received_the_second_time() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).handled(2 * SECOND, SIGTERM);
    story.init_exits(3 * SECOND, ExitStatus::Code(0)).init_is_zombie(3 * SECOND + 1);
    assert_eq!((story.only().outcome, story.only().dropped), (StopOutcome::Clean, None));
}

#[test]
fn what_the_handler_raises_in_vain_is_not_what_was_sent() {
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM);
    story.signal(SECOND + 5, SIGTERM, |signal| {
        (signal.outcome, signal.handler) = (SignalOutcome::Ignored, Handler::Default);
        (signal.sender, signal.sender_inside) = (INIT, true);
    });
    story.killed_init(11 * SECOND).init_is_zombie(12 * SECOND);
    assert_eq!((story.only().dropped, story.only().received, story.only().count), (None, Some(true), 1));
}
