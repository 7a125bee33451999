//! What is a stop, and how it ended.

use super::*;

#[test]
fn a_dropped_term_and_a_kill_are_a_failed_stop_told_when_the_namespace_is_gone() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).killed_init(11 * SECOND).child_exits(11 * SECOND + 2, KILLED);
    assert_eq!(story.told(), []);
    story.init_is_zombie(11 * SECOND + 3);
    let told = story.told();
    let stop = story.only();
    assert_eq!(&told[0], stop);
    assert_eq!((stop.outcome, stop.dropped), (StopOutcome::Failed, Some(DropReason::NoHandler)));
    assert_eq!((stop.signal, stop.took_ns()), (SIGTERM, 10 * SECOND));
    assert_eq!(stop.killed_by.map(|it| (it.process, it.comm)), Some((SHIM, comm("shim"))));
    let killed: Vec<_> = stop.killed_without_term.iter().map(|it| (it.process, it.identity.comm)).collect();
    assert_eq!(killed, [(CHILD, comm("worker"))]);
}

#[test]
fn a_term_that_ends_the_init_in_time_is_a_clean_stop_and_later_a_slow_one() {
    for (after, outcome) in [(SECOND / 10, StopOutcome::Clean), (7 * SECOND, StopOutcome::Slow)] {
        let mut story = Story::new();
        story.handled(SECOND, SIGTERM).init_exits(SECOND + after, ExitStatus::Code(0)).init_is_zombie(SECOND + after);
        assert_eq!((story.only().outcome, story.only().took_ns()), (outcome, after));
        assert_eq!(story.only().killed_by, None);
        assert_eq!(story.told(), []);
    }
}

#[test]
fn a_kill_alone_is_no_stop() {
    let mut story = Story::new();
    story.killed_init(SECOND).init_is_zombie(SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn a_reload_that_nothing_follows_is_no_stop() {
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM).handled(SECOND, 1).event(1000 * SECOND, What::Tick);
    assert_eq!(story.model.stops(), []);
    story.killed_init(5000 * SECOND).init_is_zombie(5000 * SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn a_reload_and_a_kill_by_another_are_no_stop() {
    let mut story = Story::new();
    story.handled(SECOND, 1);
    story.signal(2 * SECOND, SIGKILL, |signal| (signal.sender, signal.sender_comm) = (OTHER, comm("kill")));
    story.init_exits(2 * SECOND + 1, KILLED).init_is_zombie(2 * SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn the_images_own_stop_signal_counts_if_its_sender_kills_then() {
    for signal in [2, 3, 10, 28, 37] {
        let mut story = Story::new();
        story.handled(SECOND, signal).killed_init(11 * SECOND).init_is_zombie(11 * SECOND + 2);
        assert_eq!((story.only().signal, story.only().outcome), (signal, StopOutcome::Failed));
    }
    // A worker's SIGUSR1 to its init is talk among themselves.
    let mut story = Story::new();
    story.signal(SECOND, 10, |signal| signal.sender_inside = true);
    story.killed_init(11 * SECOND).init_is_zombie(11 * SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn want_of_memory_is_no_failed_stop() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM);
    story.signal(2 * SECOND, SIGKILL, |signal| signal.from_kernel = true);
    story.init_exits(2 * SECOND + 1, KILLED).init_is_zombie(2 * SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn a_kill_from_inside_that_is_dropped_is_not_the_end_of_the_grace() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM);
    story.signal(2 * SECOND, SIGKILL, |signal| {
        (signal.outcome, signal.handler) = (SignalOutcome::Ignored, Handler::Default);
        (signal.sender, signal.sender_inside) = (CHILD, true);
    });
    story.killed_init(5 * SECOND).init_is_zombie(5 * SECOND + 2);
    assert_eq!(story.only().killed_by.map(|it| it.process), Some(SHIM));
    assert_eq!(story.only().took_ns(), 4 * SECOND);
}

#[test]
fn an_exit_after_a_dropped_signal_is_a_coincidence() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).init_exits(2 * SECOND, ExitStatus::Code(0)).init_is_zombie(2 * SECOND + 1);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn repeated_signals_are_one_stop_from_the_first_and_an_old_one_is_another() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).dropped(1000 * SECOND, SIGTERM).dropped(1001 * SECOND, SIGTERM);
    story.killed_init(1010 * SECOND).init_is_zombie(1010 * SECOND + 2);
    assert_eq!((story.only().took_ns(), story.only().count), (10 * SECOND, 2));
}

#[test]
fn a_namespace_that_does_not_go_is_told_of_all_the_same() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).killed_init(2 * SECOND).event(4 * SECOND, What::Tick);
    assert_eq!(story.model.stops(), []);
    story.event(2 * SECOND + TEARDOWN_NS + 2, What::Tick);
    assert_eq!(story.only().outcome, StopOutcome::Failed);
}

#[test]
fn a_signal_to_its_own_group_is_no_stop() {
    let mut story = Story::new();
    story.signal(SECOND, SIGTERM, |signal| {
        (signal.outcome, signal.handler) = (SignalOutcome::Ignored, Handler::Ignore);
        (signal.sender, signal.sender_inside) = (INIT, true);
    });
    story.killed_init(3 * SECOND).init_is_zombie(3 * SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn a_signal_that_is_ignored_by_default_is_no_stop() {
    for handler in [Handler::Default, Handler::Ignore] {
        let mut story = Story::new();
        story.signal(SECOND, SIGWINCH, |signal| {
            (signal.outcome, signal.handler) = (SignalOutcome::Ignored, handler);
        });
        story.killed_init(SECOND + SECOND / 2).init_is_zombie(2 * SECOND);
        assert_eq!(story.model.stops(), [], "{handler:?}");
    }
}

#[test]
fn one_that_a_process_inside_sent_long_before_a_kill_is_no_stop() {
    for (killed, stops) in [(60, 1), (1000, 0)] {
        let mut story = Story::new();
        story.signal(SECOND, SIGTERM, |signal| {
            (signal.outcome, signal.handler) = (SignalOutcome::Ignored, Handler::Default);
            (signal.sender, signal.sender_inside) = (CHILD, true);
        });
        story.killed_init(killed * SECOND).init_is_zombie(killed * SECOND + 2);
        assert_eq!(story.model.stops().len(), stops);
    }
}

#[test]
fn kill_by_hand_of_two_people_is_two_matters() {
    let shell = |pid| Some(ProcessKey { pid, start_ns: 9 });
    for (second, stops) in [(60, 1), (61, 0)] {
        let mut story = Story::new();
        for (pid, parent) in [(70, 60), (71, second)] {
            let sender = ProcessKey { pid, start_ns: 10 };
            for key in [sender, ProcessKey { pid: parent, start_ns: 9 }] {
                story.model.enter(key, SECOND);
            }
            let parent = shell(parent);
            story.model.table.get_mut(sender).expect("it was found").parent = parent;
        }
        story.signal(2 * SECOND, SIGUSR1, |signal| {
            (signal.sender, signal.sender_comm) = (ProcessKey { pid: 70, start_ns: 10 }, comm("kill"));
        });
        story.signal(3 * SECOND, SIGKILL, |signal| {
            (signal.sender, signal.sender_comm) = (ProcessKey { pid: 71, start_ns: 10 }, comm("kill"));
            signal.target_exiting = true;
        });
        story.init_exits(3 * SECOND + 1, KILLED).init_is_zombie(3 * SECOND + 2);
        assert_eq!(story.model.stops().len(), stops, "{second}");
    }
}
