//! Whom a stop names: who was killed without having been asked.

use super::*;
use crate::event::Seed;

#[test]
fn who_was_forwarded_the_signal_is_no_victim() {
    for signal in [SIGTERM, 2] {
        let mut story = Story::new();
        story.handled(SECOND, signal).forwarded(SECOND + 5, signal).killed_init(2 * SECOND);
        story.child_exits(2 * SECOND + 2, KILLED).init_is_zombie(2 * SECOND + 3);
        let stop = story.only();
        assert_eq!((stop.outcome, stop.dropped), (StopOutcome::Failed, None), "{signal}");
        assert_eq!(stop.killed_without_term, [], "{signal}");
    }
}

#[test]
fn a_process_of_a_namespace_within_is_a_victim_too() {
    let mut story = Story::new();
    let nested = [NsPid { nr: 101, inum: 1 }, NsPid { nr: 2, inum: NAMESPACE }, NsPid { nr: 1, inum: INNER_NAMESPACE }];
    story.dropped(SECOND, SIGTERM).killed_init(2 * SECOND).exit(2 * SECOND + 2, CHILD, KILLED, &nested);
    story.init_is_zombie(2 * SECOND + 3);
    assert_eq!(story.only().killed_without_term.len(), 1);
}

#[test]
fn an_init_that_ends_first_takes_unasked_processes_with_it() {
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM).init_exits(SECOND + 5, ExitStatus::Code(0)).child_exits(SECOND + 6, KILLED);
    story.init_is_zombie(SECOND + 7);
    assert_eq!((story.only().outcome, story.only().killed_without_term.len()), (StopOutcome::Clean, 1));
}

#[test]
fn who_was_asked_is_not_claimed_after_a_loss() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).event(2 * SECOND, What::Loss { events: 3 }).killed_init(3 * SECOND);
    story.child_exits(3 * SECOND + 2, KILLED).init_is_zombie(3 * SECOND + 3);
    assert!(story.only().uncertain);
    assert_eq!(story.only().killed_without_term, []);
}

#[test]
fn each_process_is_named_once_however_many_threads_tell_of_its_death() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).killed_init(2 * SECOND);
    for _ in 0..16 {
        story.child_exits(2 * SECOND + 2, KILLED).init_exits(2 * SECOND + 2, KILLED);
    }
    story.init_is_zombie(2 * SECOND + 3);
    assert_eq!((story.only().killed_without_term.len(), story.only().more_killed_without_term), (1, 0));
}

#[test]
fn only_those_of_this_stop_are_named() {
    let mut story = Story::new();
    // A supervisor reloads, and kills its old workers.
    story.handled(SECOND, SIGHUP);
    for pid in 0..200 {
        let key = ProcessKey { pid: 2000 + pid, start_ns: 1 };
        story.exit(SECOND + 2, key, KILLED, &[NsPid { nr: 200 + pid, inum: NAMESPACE }]);
    }
    story.dropped(2 * SECOND, SIGTERM).killed_init(3 * SECOND).child_exits(3 * SECOND + 2, KILLED);
    story.init_is_zombie(3 * SECOND + 3);
    let named: Vec<_> = story.only().killed_without_term.iter().map(|it| it.process).collect();
    assert_eq!((named, story.only().more_killed_without_term), (vec![CHILD], 0));
}

#[test]
fn who_was_asked_long_ago_was_not_asked_by_this_stop() {
    for (asked, named) in [(SECOND, 1), (99 * SECOND + SECOND / 2, 0)] {
        let mut story = Story::new();
        story.forwarded(asked, SIGTERM).handled(100 * SECOND, SIGTERM).killed_init(101 * SECOND);
        story.child_exits(101 * SECOND + 2, KILLED).init_is_zombie(101 * SECOND + 3);
        assert_eq!(story.only().killed_without_term.len(), named, "{asked}");
    }
}

#[test]
fn who_is_forwarded_a_signal_of_which_nothing_is_seen_is_not_said_to_be_left_out() {
    let mut story = Story::new();
    story.handled(SECOND, SIGUSR1).killed_init(2 * SECOND).child_exits(2 * SECOND + 2, KILLED);
    story.init_is_zombie(2 * SECOND + 3);
    assert_eq!((story.only().killed_without_term.len(), story.only().more_killed_without_term), (0, 0));
}

/// A fork of a process at this level, into the namespace of the level after it or the same.
fn fork(forker: ProcessKey, child: ProcessKey, nr: u32, level: u32) -> What {
    let inum = if level == 0 { 1 } else { NAMESPACE };
    let (ns, comm) = (NsPid { nr, inum }, comm("some"));
    What::Fork(Fork { forker, child, parent_pid: forker.pid, ns, level, cgroup: 0, uid: 0, comm })
}

#[test]
fn who_came_in_from_outside_is_no_victim_of_the_init() {
    const PARENT: ProcessKey = ProcessKey { pid: 60, start_ns: 5 };
    for enters in [true, false] {
        let mut story = Story::new();
        story.event(1, fork(SHIM, OTHER, 51, 0)).event(2, fork(OTHER, INIT, 1, 1));
        // The shim's `exec`, or the init, starts a process, which starts another and ends.
        let first = if enters { OTHER } else { INIT };
        story.event(3, fork(first, PARENT, 2, 1)).event(4, fork(PARENT, CHILD, 3, 1));
        story.handled(SECOND, SIGTERM).init_exits(SECOND + 5, ExitStatus::Code(0));
        let place = |process: ProcessKey, nr| [NsPid { nr: process.pid, inum: 1 }, NsPid { nr, inum: NAMESPACE }];
        story.exit(SECOND + 6, PARENT, KILLED, &place(PARENT, 2)).exit(SECOND + 7, CHILD, KILLED, &place(CHILD, 3));
        story.init_is_zombie(SECOND + 8);
        let stop = story.only();
        let named: Vec<_> = stop.killed_without_term.iter().map(|it| it.process).collect();
        let expected = if enters { vec![] } else { vec![PARENT, CHILD] };
        assert_eq!((stop.outcome, named), (StopOutcome::Clean, expected), "{enters}");
        assert_eq!(stop.path.len(), 2, "who was killed is shown all the same");
    }
}

#[test]
fn who_came_in_before_tracing_began_is_no_victim_and_nor_are_its_children() {
    const ENTERED: ProcessKey = ProcessKey { pid: 60, start_ns: 5 };
    for parent in [OTHER, INIT] {
        let mut story = Story::new();
        let seed = |process, parent_pid, ns_pids: &[u32], pid_ns| {
            let seed = Seed { ns_pids: ns_pids.to_vec(), pid_ns, ..story::seed(process, parent_pid) };
            What::Fact(Fact::Seed(Box::new(seed)))
        };
        story.event(10, seed(OTHER, 1, &[OTHER.pid], 1)).event(10, seed(INIT, OTHER.pid, &[INIT.pid, 1], NAMESPACE));
        story
            .event(10, seed(ENTERED, parent.pid, &[ENTERED.pid, 2], NAMESPACE))
            .event(11, What::Fact(Fact::SeedDone { began: 9 }));
        story.event(20, fork(ENTERED, CHILD, 3, 1));
        story.handled(SECOND, SIGTERM).init_exits(SECOND + 5, ExitStatus::Code(0));
        let place = |process: ProcessKey, nr| [NsPid { nr: process.pid, inum: 1 }, NsPid { nr, inum: NAMESPACE }];
        story.exit(SECOND + 6, CHILD, KILLED, &place(CHILD, 3)).exit(SECOND + 7, ENTERED, KILLED, &place(ENTERED, 2));
        story.init_is_zombie(SECOND + 8);
        let named = story.only().killed_without_term.len();
        assert_eq!(named, if parent == OTHER { 0 } else { 2 }, "{parent:?}");
    }
}
