//! How a stop ended.

use super::*;
use crate::event::NsPid;

#[test]
fn a_pid_1_that_ends_first_takes_others_with_it() {
    let mut story = Story::new();
    story.forks(1, INIT, CHILD, 2, "worker").handled(SECOND, SIGTERM);
    story.init_exits(SECOND + 5, ExitStatus::Code(0)).child_exits(SECOND + 6, KILLED).init_is_zombie(SECOND + 7);
    let verdict = verdict(&story).expect("a process was killed");
    assert_eq!(verdict.cause.id(), "ended-before-children");
    assert!(verdict.evidence[1].ends_with("worker (101)"), "{verdict:?}");
}

#[test]
fn a_child_that_was_asked_was_asked_though_it_is_killed() {
    let mut story = Story::new();
    story.forks(1, INIT, CHILD, 2, "worker").handled(SECOND, SIGTERM).forwarded(SECOND + 1, SIGTERM);
    story.init_exits(SECOND + 5, ExitStatus::Code(0)).child_exits(SECOND + 6, KILLED).init_is_zombie(SECOND + 7);
    assert_eq!(cause(&story), None);
}

#[test]
fn a_child_that_ended_in_time_holds_nobody_up() {
    // It took most of the time that the stop took, which is not much.
    let mut story = Story::new();
    let other = ProcessKey { pid: 102, start_ns: 5 };
    story.forks(1, INIT, CHILD, 2, "worker").forks(5, CHILD, other, 3, "helper");
    story.handled(SECOND, SIGTERM).forwarded(SECOND + 1, SIGTERM).child_exits(SECOND + 9, ExitStatus::Code(0));
    story.init_exits(SECOND + 10, ExitStatus::Code(0));
    let numbers = [NsPid { nr: 102, inum: 1 }, NsPid { nr: 3, inum: 77 }];
    story.exit(SECOND + 11, other, KILLED, &numbers).init_is_zombie(SECOND + 12);
    assert_eq!(cause(&story), Some("ended-before-children"));
}

#[test]
fn a_victim_with_a_handler_is_told_of() {
    let mut story = Story::new();
    story.forks(1, INIT, CHILD, 2, "worker").handled(SECOND, SIGTERM);
    story.seen(2 * SECOND, CHILD, catches(&[SIGTERM]), None);
    story.init_exits(3 * SECOND, ExitStatus::Code(0)).child_exits(3 * SECOND + 1, KILLED);
    story.init_is_zombie(3 * SECOND + 2);
    let verdict = verdict(&story).expect("a process was killed");
    assert!(verdict.evidence.iter().any(|it| it == "worker (101) has a handler for SIGTERM"), "{verdict:?}");
}

#[test]
fn a_namespace_that_does_not_end_is_told_with_what_is_left() {
    let freezer = ProcFacts {
        state: 'D',
        frozen_by: Some("/inner".to_owned()),
        pending: signal::bit(signal::SIGKILL),
        ..ProcFacts::default()
    };
    let dying = ProcFacts { state: 'S', wait_channel: Some("zap_pid_ns_processes".to_owned()), ..ProcFacts::default() };
    for (looked, expected) in [(true, "teardown-stuck"), (false, "no-handler")] {
        let mut story = Story::new();
        story.forks(1, INIT, CHILD, 2, "worker").dropped(SECOND, SIGTERM).killed_init(2 * SECOND);
        if looked {
            story.seen(3 * SECOND, CHILD, freezer.clone(), None).seen(3 * SECOND, INIT, dying.clone(), None);
        }
        story.event(9 * SECOND, What::Tick);
        let verdict = verdict(&story).expect("it was killed");
        assert_eq!(verdict.cause.id(), expected);
        if looked {
            assert!(verdict.evidence[1].contains("frozen cgroup /inner, with SIGKILL pending"), "{verdict:?}");
            assert!(verdict.advice.starts_with("Thaw /inner"), "{verdict:?}");
        }
    }
}

#[test]
fn what_is_unknown_says_what_would_decide_it() {
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM);
    end(&mut story);
    let verdict = verdict(&story).expect("it failed");
    assert_eq!(verdict.cause.id(), "unknown");
    assert!(verdict.advice.contains("longer grace period"), "{verdict:?}");
    // It is in its handler still.
    let mut story = Story::new();
    let inside = ProcFacts { blocked: signal::bit(SIGTERM), ..catches(&[SIGTERM]) };
    story.handled(SECOND, SIGTERM).seen(2 * SECOND, INIT, inside, doing(INIT, "nanosleep", Object::Timer));
    end(&mut story);
    let verdict = super::verdict(&story).expect("it failed");
    assert_eq!(verdict.cause.id(), "unknown");
    let place = "in nanosleep(), waiting for a timer 1.0 s after SIGTERM";
    assert!(verdict.evidence.iter().any(|it| it.contains(place)), "{verdict:?}");
}
