//! Signals that reach an init, and those that do not.

use super::story::*;
use crate::event::{Handler, ProcFacts, ProcessKey, Signal, SignalOutcome};
use crate::model::{DropReason, Relation, Tally};
use crate::signal::{self, SIGABRT, SIGINT, SIGKILL, SIGPIPE, SIGUSR1};

const SIGTERM_BIT: u64 = signal::bit(SIGTERM);

/// What is reported for one signal after every grace period.
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

/// What `/proc` says while SIGTERM is blocked, and pending or not.
fn facts(is_pending: bool) -> ProcFacts {
    ProcFacts { blocked: SIGTERM_BIT, pending: if is_pending { SIGTERM_BIT } else { 0 }, ..ProcFacts::default() }
}

fn tallies(story: &Story) -> Vec<Tally> {
    story.model.process(PARENT).and_then(|it| it.signals.as_deref()).map(|it| it.drops.clone()).unwrap_or_default()
}

#[test]
fn a_blocked_signal_that_stays_pending_is_dropped() {
    let mut story = Story::new();
    story.at(0).signals(blocked(SignalOutcome::Delivered)).at(49).ticks();
    assert_eq!(story.inquiries_after(PARENT), 0);
    story.at(50).ticks().answers_with(PARENT, facts(true));
    assert_eq!((story.inquiries_after(PARENT), story.drops()), (1, vec![]), "it may yet be taken");
    story.at(4_999).ticks().answers_with(PARENT, facts(true));
    assert_eq!(story.drops(), []);
    story.at(5_000).ticks().answers_with(PARENT, facts(true));
    assert_eq!(story.drops(), [(SIGTERM, DropReason::Blocked)]);
}

#[test]
fn a_blocked_signal_that_is_taken_as_tini_does_is_not_dropped() {
    let mut story = Story::new();
    story.at(0).signals(blocked(SignalOutcome::Delivered)).at(50).ticks();
    story.answers_with(PARENT, facts(false)).at(60_000).ticks();
    assert_eq!((story.drops(), story.inquiries_after(PARENT)), (vec![], 1));
}

#[test]
fn a_blocked_signal_that_an_event_loop_takes_late_is_not_dropped() {
    let mut story = Story::new();
    story.at(0).signals(blocked(SignalOutcome::Delivered)).at(1_000).ticks().answers_with(PARENT, facts(true));
    story.at(3_000).ticks().answers_with(PARENT, facts(false)).at(60_000).ticks();
    assert_eq!(story.drops(), []);
}

#[test]
fn a_verdict_that_proves_wrong_is_taken_back() {
    let mut story = Story::new();
    story.at(0).signals(blocked(SignalOutcome::Delivered)).at(6_000).ticks().answers_with(PARENT, facts(true));
    assert_eq!((story.drops(), tallies(&story).len()), (vec![(SIGTERM, DropReason::Blocked)], 1));
    story.at(10_000).ticks().answers_with(PARENT, facts(false));
    assert_eq!(tallies(&story), []);
}

#[test]
fn an_init_that_ends_by_itself_may_have_taken_what_was_pending() {
    let mut story = Story::new();
    story.at(0).signals(blocked(SignalOutcome::Delivered)).at(6_000).ticks().answers_with(PARENT, facts(true));
    let end = crate::event::Exit { is_init: true, ..exit(PARENT, OTHER) };
    story.at(6_500).tell(crate::event::What::Exit(end));
    assert_eq!(tallies(&story), []);
}

#[test]
fn signals_pile_up_behind_a_blocked_one() {
    let mut story = Story::new();
    story.at(0).signals(blocked(SignalOutcome::Delivered)).signals(blocked(SignalOutcome::AlreadyPending));
    story.at(5_000).ticks().answers_with(PARENT, facts(true));
    assert_eq!(story.inquiries_after(PARENT), 1, "one look is enough for both");
    assert_eq!(story.drops(), [(SIGTERM, DropReason::Blocked), (SIGTERM, DropReason::Coalesced)]);
    // And one that comes when it is known.
    story.at(5_100).signals(blocked(SignalOutcome::AlreadyPending));
    assert_eq!(tallies(&story).iter().map(|it| it.count).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_signal_that_comes_while_its_handler_runs_is_not_dropped() {
    let handled = Signal { blocked: false, ..blocked(SignalOutcome::Delivered) };
    let mut story = Story::new();
    story.at(0).signals(handled).at(100).signals(blocked(SignalOutcome::Delivered));
    story.at(200).signals(blocked(SignalOutcome::AlreadyPending)).at(60_000).ticks().answers_with(PARENT, facts(true));
    assert_eq!((story.drops(), story.inquiries_after(PARENT)), (vec![], 0));
    // After exec it is another program, which blocks it.
    story.at(70_000).execs(PARENT, PARENT.pid).signals(blocked(SignalOutcome::Delivered));
    story.at(76_000).ticks().answers_with(PARENT, facts(true));
    assert_eq!(story.drops(), [(SIGTERM, DropReason::Blocked)]);
}

#[test]
fn one_signal_is_not_told_twice() {
    let mut story = Story::new();
    let queued = Signal { handler: Handler::Default, ..blocked(SignalOutcome::Delivered) };
    story.at(0).signals(queued).at(6_000).ticks().answers_with(PARENT, facts(true));
    story.at(8_000).delivers(PARENT, SIGTERM).at(9_000).ticks();
    let told: Vec<_> = tallies(&story).iter().map(|it| (it.reason, it.count)).collect();
    assert_eq!(told, [(DropReason::DroppedAtDelivery, 1)]);
    let sender = tallies(&story)[0].senders[0];
    assert_eq!((sender.0.map(|it| it.process), sender.1), (Some(OTHER), Relation::Outside));
}

/// As the init sends it to itself.
fn by_itself(number: u32) -> Signal {
    Signal { sender: PARENT, sender_inside: true, ..signal(number) }
}

#[test]
fn an_error_of_its_own_is_no_drop_for_any_disposition() {
    let default = by_itself(SIGPIPE);
    let ignored = Signal { handler: Handler::Ignore, ..default };
    let queued = Signal { blocked: true, outcome: SignalOutcome::Delivered, ..default };
    for pipe in [default, ignored, queued] {
        let mut story = Story::new();
        story.at(0).signals(pipe).at(100).delivers(PARENT, SIGPIPE).at(60_000).ticks();
        assert_eq!((story.drops(), tallies(&story)), (vec![], vec![]), "{pipe:?}");
    }
}

#[test]
fn a_signal_to_its_own_group_that_it_ignores_is_no_drop() {
    assert_eq!(verdict(Signal { handler: Handler::Ignore, ..by_itself(SIGTERM) }), []);
    assert_eq!(verdict(by_itself(SIGTERM)), [(SIGTERM, DropReason::NoHandler)], "raised in vain");
}

#[test]
fn an_abort_is_counted_and_told_at_the_end_alone() {
    let mut story = Story::new();
    story.at(0).signals(by_itself(SIGABRT)).signals(by_itself(SIGABRT)).at(10).dies(PARENT, OTHER);
    assert_eq!((story.drops(), tallies(&story)[0].count), (vec![], 2));
}

#[test]
fn who_claims_to_be_the_kernel_is_a_sender_all_the_same() {
    let forged = Signal { from_kernel: true, code: -3, ..signal(SIGTERM) };
    let timer = Signal { from_kernel: true, code: -2, ..signal(SIGTERM) };
    for (signal, sender, relation) in [(forged, Some(OTHER), Relation::Outside), (timer, None, Relation::Kernel)] {
        let mut story = Story::new();
        story.at(0).signals(signal);
        let told = tallies(&story)[0].senders[0];
        assert_eq!((told.0.map(|it| it.process), told.1), (sender, relation));
    }
}

#[test]
fn a_drop_is_told_of_the_program_that_was_the_init_then() {
    let mut story = Story::new();
    story.at(0).signals(Signal { target_comm: comm("bash"), ..signal(SIGTERM) });
    story.at(10).execs(PARENT, PARENT.pid).signals(Signal { target_comm: comm("tini"), ..signal(SIGINT) });
    let told: Vec<_> = tallies(&story).iter().map(|it| (it.signal, it.program.comm)).collect();
    assert_eq!(told, [(SIGTERM, comm("bash")), (SIGINT, comm("tini"))]);
}

#[test]
fn an_init_that_outlives_a_default_action_has_dropped_it() {
    let mut story = Story::new();
    let queued = Signal { handler: Handler::Default, ..blocked(SignalOutcome::Delivered) };
    story.at(0).signals(queued).at(10).delivers(PARENT, SIGTERM).at(109).ticks();
    assert_eq!(story.drops(), []);
    story.at(110).ticks();
    assert_eq!(story.drops(), [(SIGTERM, DropReason::DroppedAtDelivery)]);
    let senders = tallies(&story)[0].senders.clone();
    assert_eq!((senders[0].0.map(|it| it.process), senders[0].1), (Some(OTHER), Relation::Outside));
}

#[test]
fn a_signal_whose_handler_was_gone_by_exec_at_delivery_keeps_its_sender() {
    let mut story = Story::new();
    let handled = Signal { handler: Handler::Function, outcome: SignalOutcome::Delivered, ..signal(SIGTERM) };
    story.at(0).signals(handled).at(1).delivers(PARENT, SIGTERM).at(500).ticks();
    assert_eq!(story.drops(), [(SIGTERM, DropReason::DroppedAtDelivery)]);
    let senders = tallies(&story)[0].senders.clone();
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
fn a_storm_of_blocked_signals_takes_one_timer_for_each_init() {
    let mut story = Story::new();
    for round in 0..1_000 {
        for number in 1..=64 {
            let queued = Signal { signal: number, ..blocked(SignalOutcome::Delivered) };
            story.at(round).signals(queued).signals(Signal { outcome: SignalOutcome::AlreadyPending, ..queued });
        }
        story.delivers(PARENT, SIGUSR1);
    }
    assert_eq!(story.model.timers.len(), 1);
    story.at(6_000).ticks().answers_with(PARENT, facts(true));
    assert!(story.drops().contains(&(SIGTERM, DropReason::Blocked)));
}
