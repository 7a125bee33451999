//! The queue of one init's signals.

use std::sync::Arc;

use super::*;
use crate::{
    event::{Comm, NsPid, ProcessKey},
    model::{DropReason, Identity},
    signal::{SIGRTMIN, SIGTERM},
};

const SECOND: u64 = 1_000_000_000;
const BIT: u64 = signal::bit(SIGTERM);

fn sent(time: BootNs, signal: u32, reason: DropReason, sender: u32) -> DroppedSignal {
    let process = ProcessKey { pid: sender, start_ns: 1 };
    let sender = Sender { process, comm: Comm::default(), ns: NsPid { nr: 0, inum: 0 }, uid: 0, parent: None };
    DroppedSignal {
        time,
        target: ProcessKey { pid: 1, start_ns: 1 },
        program: Arc::new(Identity::default()),
        signal,
        reason,
        sender: Some(sender),
        relation: Relation::Outside,
    }
}

fn blocked(time: BootNs) -> DroppedSignal {
    sent(time, SIGTERM, DropReason::Blocked, 2)
}

#[test]
fn it_is_looked_at_densely_at_first_and_then_seldom_and_not_for_ever() {
    let mut pending = Pending::default();
    pending.queued(blocked(0), true);
    let mut looks = Vec::new();
    while let (Some(due), _) = pending.next_due() {
        let (turns, asks) = pending.due(due);
        assert_eq!(turns, []);
        looks.extend(asks.then_some(due / 1_000_000));
        pending.learn(due, BIT, 0);
        pending.queued(blocked(0), true);
        pending.queue[0].look = LOOKS_NS.iter().position(|&look| look > due).unwrap_or(LOOKS_NS.len());
    }
    assert_eq!(looks, LOOKS_NS.map(|look| look / 1_000_000));
}

#[test]
fn who_does_not_answer_is_not_pressed() {
    let mut pending = Pending::default();
    pending.queued(blocked(0), true);
    let asks: Vec<_> = LOOKS_NS[..6].iter().filter(|&&look| pending.due(look).1).collect();
    assert_eq!(asks, [&LOOKS_NS[0], &LOOKS_NS[5]], "again after a second");
}

#[test]
fn a_second_of_the_same_kind_says_that_the_first_was_taken() {
    let mut pending = Pending::default();
    pending.queued(blocked(0), true);
    assert_eq!(pending.queued(blocked(SECOND), true), [Turn::Got(SIGTERM)]);
    assert_eq!(pending.queue.len(), 1);
    // Every real-time signal is queued.
    pending.queued(sent(0, SIGRTMIN, DropReason::Blocked, 2), true);
    assert_eq!(pending.queued(sent(1, SIGRTMIN, DropReason::Blocked, 2), true), []);
    let told = pending.learn(6 * SECOND, u64::MAX, signal::bit(SIGRTMIN));
    assert_eq!(told, [Turn::Got(SIGTERM), Turn::Dropped(sent(0, SIGRTMIN, DropReason::Blocked, 2), 2)]);
}

#[test]
fn an_answer_from_before_says_nothing() {
    let mut pending = Pending::default();
    pending.queued(blocked(2 * SECOND), true);
    assert_eq!(pending.learn(SECOND, BIT, 0), []);
    assert_eq!(pending.queue.len(), 1);
}

#[test]
fn one_that_is_about_to_be_taken_is_not_called_blocked() {
    let mut pending = Pending::default();
    pending.queued(blocked(0), true);
    assert_eq!(pending.learn(6 * SECOND, 0, BIT), []);
    assert_eq!(pending.learn(7 * SECOND, BIT, BIT), [Turn::Dropped(blocked(0), 1)]);
    assert_eq!(pending.learn(8 * SECOND, BIT, BIT), [], "told once");
    assert_eq!(pending.learn(9 * SECOND, BIT, 0), [Turn::Got(SIGTERM), Turn::TakenBack(blocked(0), 1)]);
}

#[test]
fn what_was_seen_only_at_first_is_not_known_at_a_late_kill() {
    for (killed, turns) in [(SECOND, 1), (20 * SECOND, 0)] {
        let mut pending = Pending::default();
        pending.queued(blocked(0), true);
        pending.learn(SECOND / 2, BIT, BIT);
        assert_eq!(pending.ended(killed, true).len(), turns);
    }
}

#[test]
fn memory_is_bounded_whatever_is_sent() {
    let mut pending = Pending::default();
    for round in 0..200 {
        for signal in 1..=64 {
            pending.queued(sent(round, signal, DropReason::Blocked, 2), true);
            for sender in 0..30 {
                pending.coalesced(sent(round, signal, DropReason::Coalesced, sender));
            }
            if round % 2 == 0 {
                pending.delivered(round, sent(round, signal, DropReason::DroppedAtDelivery, 2));
            }
        }
    }
    assert!(pending.queue.len() <= 64 && pending.taken.len() <= 64);
    assert!(pending.queue.iter().all(|it| it.drops.len() <= MAX_SENDERS));
    let counted: u64 =
        pending.queue.iter().filter(|it| it.signal() == SIGTERM).flat_map(|it| &it.drops).map(|it| it.1).sum();
    assert_eq!(counted, 31, "none is lost");
}
