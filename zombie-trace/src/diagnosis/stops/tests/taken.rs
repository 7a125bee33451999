//! PID 1 got the signal, and somebody went on.

use super::*;
use crate::{
    event::{Fork, NsPid, Runtime},
    model::stop_story::OTHER,
};

const GRANDCHILD: ProcessKey = ProcessKey { pid: 102, start_ns: 5 };

fn shell(caught: &[u32]) -> ProcFacts {
    ProcFacts { runtime: Some(Runtime::Shell), ..catches(caught) }
}

/// What a child that a shell started with `&` has.
fn background() -> ProcFacts {
    ProcFacts { ignored: signal::bit(SIGINT) | signal::bit(SIGQUIT), ..catches(&[]) }
}

/// A PID 1 with a child takes the signal; both are looked at, and killed in the end.
fn took(init: ProcFacts, object: Object, child: ProcFacts, change: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    story.forks(1, INIT, CHILD, 2, "worker").handled(SECOND, SIGTERM);
    change(&mut story);
    story.seen(2 * SECOND, INIT, init, doing(INIT, "wait4", object)).seen(2 * SECOND, CHILD, child, None);
    story.killed_init(11 * SECOND).child_exits(11 * SECOND + 1, KILLED).init_is_zombie(11 * SECOND + 2);
    story
}

#[test]
fn a_shell_that_waits_for_its_foreground_child_defers_its_trap() {
    for object in [Object::AnyChild, child()] {
        let story = took(shell(&[SIGTERM]), object, catches(&[SIGTERM]), |_| ());
        let verdict = verdict(&story).expect("it failed");
        assert_eq!(verdict.cause.id(), "trap-deferred");
        assert!(verdict.evidence[1].contains("waited for worker (pid 101), its foreground child"), "{verdict:?}");
        assert!(verdict.advice.contains("exec worker"), "{verdict:?}");
    }
}

#[test]
fn a_trap_that_has_run_was_not_deferred() {
    // A child in the background: `wait` is interrupted by the signal, and was called again.
    let story = took(shell(&[SIGTERM]), Object::AnyChild, background(), |_| ());
    assert_eq!(cause(&story), Some("not-forwarded"));
    let story = took(shell(&[SIGTERM]), Object::Signal, background(), |_| ());
    assert_eq!(cause(&story), Some("not-forwarded"));
    // The trap started something.
    let started = |story: &mut Story| {
        story.forks(SECOND + 5, INIT, GRANDCHILD, 3, "cleanup");
    };
    let story = took(shell(&[SIGTERM]), Object::AnyChild, catches(&[]), started);
    assert_eq!(cause(&story), Some("not-forwarded"));
    // It passed the signal on.
    let passed = |story: &mut Story| {
        story.forwarded(SECOND + 5, SIGTERM);
    };
    let story = took(shell(&[SIGTERM]), Object::AnyChild, catches(&[SIGTERM]), passed);
    assert_eq!(cause(&story), Some("child-did-not-end"));
}

#[test]
fn what_a_foreground_child_started_is_not_started_by_the_shell() {
    let started_later = ProcessKey { pid: 103, start_ns: SECOND + 5 };
    // As the kernel has it when the namespace is torn down: all are children of PID 1.
    let started = |story: &mut Story| {
        let fork = Fork {
            forker: CHILD,
            child: started_later,
            parent_pid: INIT.pid,
            ns: NsPid { nr: 3, inum: 77 },
            level: 1,
            cgroup: 0,
            uid: 0,
            comm: comm("sleep"),
        };
        story.event(SECOND + 5, What::Fork(fork));
    };
    let mut story = Story::new();
    story.forks(1, INIT, CHILD, 2, "worker").handled(SECOND, SIGTERM);
    started(&mut story);
    story.seen(2 * SECOND, INIT, shell(&[SIGTERM]), doing(INIT, "wait4", Object::AnyChild));
    story.seen(2 * SECOND, CHILD, catches(&[SIGTERM]), None).killed_init(11 * SECOND);
    let numbers = [NsPid { nr: started_later.pid, inum: 1 }, NsPid { nr: 3, inum: 77 }];
    story.exit(11 * SECOND + 1, started_later, KILLED, &numbers).child_exits(11 * SECOND + 1, KILLED);
    story.init_is_zombie(11 * SECOND + 2);
    assert_eq!(cause(&story), Some("trap-deferred"));
}

#[test]
fn no_other_program_defers_a_trap() {
    let story = took(catches(&[SIGTERM]), Object::AnyChild, catches(&[]), |_| ());
    assert_eq!(cause(&story), Some("not-forwarded"));
}

#[test]
fn a_shell_below_an_init_defers_its_trap_as_well() {
    let mut story = Story::new();
    story.forks(1, INIT, CHILD, 2, "bash").forks(5, CHILD, GRANDCHILD, 3, "node");
    story.handled(SECOND, SIGTERM).forwarded(SECOND + 5, SIGTERM);
    story.seen(2 * SECOND, INIT, catches(&[SIGTERM]), doing(INIT, "wait4", Object::AnyChild));
    story.seen(2 * SECOND, CHILD, shell(&[SIGTERM]), doing(CHILD, "wait4", Object::AnyChild));
    story.seen(2 * SECOND, GRANDCHILD, catches(&[SIGTERM]), None);
    let numbers = [NsPid { nr: 102, inum: 1 }, NsPid { nr: 3, inum: 77 }];
    story.killed_init(11 * SECOND).child_exits(11 * SECOND + 1, KILLED);
    // The kernel has made it a child of PID 1 by then, and it is told where it was.
    story.exit(11 * SECOND + 1, GRANDCHILD, KILLED, &numbers).init_is_zombie(11 * SECOND + 2);
    let verdict = verdict(&story).expect("it failed");
    assert_eq!(verdict.cause.id(), "trap-deferred");
    assert!(verdict.evidence[0].contains("(pid 101)"), "the shell, not PID 1: {verdict:?}");
}

#[test]
fn a_child_that_got_it_and_went_on_is_named() {
    let passed = |story: &mut Story| {
        story.forwarded(SECOND + 5, SIGTERM);
    };
    let story = took(catches(&[SIGTERM]), child(), catches(&[SIGTERM]), passed);
    let verdict = verdict(&story).expect("it failed");
    assert_eq!(verdict.cause.id(), "child-did-not-end");
    assert!(verdict.evidence[0].starts_with("worker (pid 101) was sent SIGTERM by "), "{verdict:?}");
    assert!(verdict.evidence[0].ends_with("has a handler for it"), "{verdict:?}");
}

#[test]
fn a_child_that_took_it_before_exec_is_not_said_to_have_a_handler() {
    let passed = |story: &mut Story| {
        story.forwarded(SECOND + 5, SIGTERM);
    };
    let story = took(catches(&[SIGTERM]), child(), catches(&[]), passed);
    let verdict = verdict(&story).expect("it failed");
    assert_eq!(verdict.cause.id(), "child-did-not-end");
    assert!(verdict.evidence[0].ends_with("had a handler for it then, but none later"), "{verdict:?}");
    assert!(verdict.advice.contains("between fork and exec"), "{verdict:?}");
}

#[test]
fn a_child_that_ended_in_time_is_not_named() {
    let mut story = Story::new();
    story.forks(1, INIT, CHILD, 2, "worker").handled(SECOND, SIGTERM).forwarded(SECOND + 5, SIGTERM);
    story.child_exits(SECOND + 9, ExitStatus::Code(0));
    story.seen(2 * SECOND, INIT, catches(&[SIGTERM]), doing(INIT, "epoll_wait", Object::Timer));
    end(&mut story);
    assert_eq!(cause(&story), Some("unknown"), "it passed the signal on, and went on");
}

#[test]
fn a_slow_child_makes_a_slow_stop() {
    for (child_ended, expected) in [(8 * SECOND, "child-did-not-end"), (2 * SECOND, "unknown")] {
        let mut story = Story::new();
        story.forks(1, INIT, CHILD, 2, "worker").handled(SECOND, SIGTERM).forwarded(SECOND + 5, SIGTERM);
        story.child_exits(child_ended, ExitStatus::Code(0));
        story.init_exits(9 * SECOND, ExitStatus::Code(0)).init_is_zombie(9 * SECOND + 1);
        assert_eq!(cause(&story), Some(expected));
    }
}

#[test]
fn a_child_that_never_got_it_was_not_forwarded_it() {
    let story = took(catches(&[SIGTERM]), child(), catches(&[SIGTERM]), |_| ());
    let verdict = verdict(&story).expect("it failed");
    assert_eq!(verdict.cause.id(), "not-forwarded");
    assert!(verdict.evidence.iter().any(|it| it == "worker has a handler for SIGTERM"), "{verdict:?}");
    // Who sent it to the child does not matter: here the runtime signalled all.
    let all = |story: &mut Story| {
        story.signal(SECOND + 1, SIGTERM, |signal| {
            (signal.target, signal.target_comm) = (CHILD, comm("worker"));
            signal.target_ns.nr = 2;
            (signal.target_is_init, signal.unkillable) = (false, false);
            signal.sender = OTHER;
        });
    };
    let story = took(catches(&[SIGTERM]), child(), catches(&[SIGTERM]), all);
    assert_eq!(cause(&story), Some("child-did-not-end"));
}

#[test]
fn where_such_signals_are_not_seen_nobody_is_said_to_keep_one() {
    let mut story = Story::new();
    story.forks(1, INIT, CHILD, 2, "worker").handled(SECOND, SIGUSR1);
    story.seen(2 * SECOND, INIT, catches(&[SIGUSR1]), doing(INIT, "wait4", child()));
    story.seen(2 * SECOND, CHILD, catches(&[]), None);
    story.killed_init(11 * SECOND).child_exits(11 * SECOND + 1, KILLED).init_is_zombie(11 * SECOND + 2);
    assert_eq!(cause(&story), Some("unknown"));
}

#[test]
fn a_program_that_takes_it_and_goes_on_returned_from_its_handler() {
    let sleeps = |facts: ProcFacts| {
        let mut story = Story::new();
        story.handled(SECOND, SIGTERM).seen(2 * SECOND, INIT, facts, doing(INIT, "nanosleep", Object::Timer));
        end(&mut story);
        story
    };
    let verdict = verdict(&sleeps(catches(&[SIGTERM]))).expect("it failed");
    assert_eq!(verdict.cause.id(), "handler-returned");
    assert!(verdict.evidence[0].contains("which returned"), "{verdict:?}");
    // It is still in there.
    let inside = ProcFacts { blocked: signal::bit(SIGTERM), ..catches(&[SIGTERM]) };
    assert_eq!(cause(&sleeps(inside)), Some("unknown"));
}

#[test]
fn a_pid_1_that_was_not_looked_at_is_accused_of_nothing() {
    let mut story = Story::new();
    story.forks(1, INIT, CHILD, 2, "worker").handled(SECOND, SIGTERM);
    story.killed_init(11 * SECOND).child_exits(11 * SECOND + 1, KILLED).init_is_zombie(11 * SECOND + 2);
    assert_eq!(cause(&story), Some("unknown"));
}

#[test]
fn a_signal_that_comes_while_a_shell_forks_is_handled_all_the_same() {
    let mut story = Story::new();
    story.forks(1, INIT, CHILD, 2, "worker").signal(SECOND, SIGTERM, |signal| signal.blocked = true);
    story.seen(2 * SECOND, INIT, shell(&[SIGTERM]), doing(INIT, "wait4", Object::AnyChild));
    story.seen(2 * SECOND, CHILD, catches(&[]), None);
    story.killed_init(11 * SECOND).child_exits(11 * SECOND + 1, KILLED).init_is_zombie(11 * SECOND + 2);
    assert_eq!(cause(&story), Some("trap-deferred"));
}
