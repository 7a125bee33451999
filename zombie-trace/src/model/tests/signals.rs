//! What an init does not get, and what it does.

use super::story::*;
use crate::event::{Handler, ProcFacts, ProcessKey, Signal, SignalOutcome};
use crate::model::{DropReason, Relation};

const SIGKILL: u32 = 9;
const SIGUSR1: u32 = 10;
const SIGTERM_BIT: u64 = 1 << 14;

/// What is told of one signal once every grace has passed.
fn verdict(signal: Signal) -> Vec<(u32, DropReason)> {
    let mut story = Story::new();
    story.at(0).forks(OTHER, PARENT).signals(signal).at(5_000).ticks();
    story.drops()
}

#[test]
fn a_signal_without_handler_is_dropped() {
    assert_eq!(verdict(signal(SIGTERM)), [(SIGTERM, DropReason::NoHandler)]);
}

#[test]
fn an_ignored_signal_is_a_verdict_of_its_own() {
    let ignored = Signal { handler: Handler::Ignore, ..signal(SIGTERM) };
    assert_eq!(verdict(ignored), [(SIGTERM, DropReason::Ignored)]);
}

#[test]
fn sigkill_from_inside_is_refused_to_every_init() {
    let inside = Signal { sender_inside: true, ..signal(SIGKILL) };
    assert_eq!(verdict(inside), [(SIGKILL, DropReason::ProtectedFromInside)]);
}

#[test]
fn what_is_handled_or_ignored_everywhere_or_no_longer_needed_is_no_drop() {
    let handled = Signal { handler: Handler::Function, outcome: SignalOutcome::Delivered, ..signal(SIGTERM) };
    let exiting = Signal { target_exiting: true, ..signal(SIGTERM) };
    let no_init = Signal { target_is_init: false, ..signal(SIGTERM) };
    let killable = Signal { unkillable: false, ..signal(SIGTERM) };
    let quiet = [17, 18, 23, 28].map(signal);
    for harmless in [handled, exiting, no_init, killable].into_iter().chain(quiet) {
        assert_eq!(verdict(harmless), [], "{harmless:?}");
    }
}

fn blocked(outcome: SignalOutcome) -> Signal {
    Signal { blocked: true, outcome, handler: Handler::Function, ..signal(SIGTERM) }
}

#[test]
fn a_blocked_signal_that_stays_pending_is_dropped() {
    let mut story = Story::new();
    story.at(0).signals(blocked(SignalOutcome::Delivered)).at(1_000).ticks();
    assert_eq!((story.inquiries_after(PARENT), story.drops()), (1, vec![]), "it may yet be taken");
    let facts = ProcFacts { blocked: SIGTERM_BIT, pending: SIGTERM_BIT, ..ProcFacts::default() };
    story.at(1_001).answers_with(PARENT, facts);
    assert_eq!(story.drops(), [(SIGTERM, DropReason::Blocked)]);
}

#[test]
fn a_blocked_signal_that_is_taken_as_tini_does_is_not_dropped() {
    let mut story = Story::new();
    story.at(0).signals(blocked(SignalOutcome::Delivered)).at(1_000).ticks();
    story.answers_with(PARENT, ProcFacts { blocked: SIGTERM_BIT, ..ProcFacts::default() }).at(5_000).ticks();
    assert_eq!(story.drops(), []);
}

#[test]
fn signals_pile_up_behind_a_blocked_one() {
    let mut story = Story::new();
    story.at(0).signals(blocked(SignalOutcome::Delivered)).signals(blocked(SignalOutcome::AlreadyPending));
    let facts = ProcFacts { blocked: SIGTERM_BIT, pending: SIGTERM_BIT, ..ProcFacts::default() };
    story.at(1_000).ticks().answers_with(PARENT, facts);
    assert_eq!(story.inquiries_after(PARENT), 1, "one look is enough for both");
    assert_eq!(story.drops(), [(SIGTERM, DropReason::Blocked), (SIGTERM, DropReason::Coalesced)]);
}

#[test]
fn an_init_that_outlives_a_default_action_has_dropped_it() {
    let mut story = Story::new();
    let queued = Signal { handler: Handler::Default, ..blocked(SignalOutcome::Delivered) };
    story.at(0).signals(queued).at(10).delivers(PARENT, SIGTERM).at(109).ticks();
    assert_eq!(story.drops(), []);
    story.at(110).ticks();
    assert_eq!(story.drops(), [(SIGTERM, DropReason::DroppedAtDelivery)]);
    let tally = story.model.process(PARENT).and_then(|it| it.signals.as_deref()).map(|it| it.drops.clone());
    let senders = tally.unwrap_or_default()[0].senders.clone();
    assert_eq!((senders[0].0.map(|it| it.process), senders[0].1), (Some(OTHER), Relation::Outside));
}

#[test]
fn a_signal_whose_handler_was_gone_by_exec_at_delivery_keeps_its_sender() {
    let mut story = Story::new();
    let handled = Signal { handler: Handler::Function, outcome: SignalOutcome::Delivered, ..signal(SIGTERM) };
    story.at(0).signals(handled).at(1).delivers(PARENT, SIGTERM).at(500).ticks();
    assert_eq!(story.drops(), [(SIGTERM, DropReason::DroppedAtDelivery)]);
    let tally = story.model.process(PARENT).and_then(|it| it.signals.as_deref()).map(|it| it.drops.clone());
    let senders = tally.unwrap_or_default()[0].senders.clone();
    assert_eq!((senders[0].0.map(|it| it.process), senders[0].1), (Some(OTHER), Relation::Outside));
}

#[test]
fn an_init_that_dies_of_a_signal_has_got_it() {
    let mut story = Story::new();
    story.at(10).delivers(PARENT, SIGUSR1).at(20).dies(PARENT, OTHER).at(500).ticks();
    assert_eq!(story.drops(), []);
}

#[test]
fn an_init_that_dies_and_is_replaced_has_got_it_too() {
    let mut story = Story::new();
    let next = ProcessKey { start_ns: ms(25), ..PARENT };
    story.at(10).delivers(PARENT, SIGUSR1).at(20).dies(PARENT, OTHER).reaps(OTHER, PARENT).frees(PARENT);
    story.at(25).forks(OTHER, next).at(500).ticks();
    assert_eq!(story.drops(), []);
}

#[test]
fn a_storm_of_coalesced_signals_takes_no_memory_of_its_own() {
    let mut story = Story::new();
    story.at(0).signals(blocked(SignalOutcome::Delivered));
    for _ in 0..100_000 {
        story.signals(blocked(SignalOutcome::AlreadyPending));
    }
    assert!(story.model.timers.len() <= 1 << 16, "{} timers", story.model.timers.len());
    let facts = ProcFacts { blocked: SIGTERM_BIT, pending: SIGTERM_BIT, ..ProcFacts::default() };
    story.at(1_000).ticks().answers_with(PARENT, facts);
    assert!(story.drops().contains(&(SIGTERM, DropReason::Blocked)));
}
