//! Handlers of SIGCHLD that are stuck, or gone.

use super::*;
use crate::event::Awaited;

/// The handler takes the signal for this child, which dies at ms 10.
fn handled() -> Scene {
    let mut scene = Scene::new();
    scene.handler = Handler::Function;
    scene.dies();
    scene
}

#[test]
fn a_handler_that_sleeps_for_a_lock_is_stuck() {
    let mut scene = handled();
    scene.facts.wait_channel = Some("futex_wait_queue".into());
    (scene.facts.caught, scene.facts.blocked, scene.facts.pending) = (CHLD, CHLD, CHLD);
    scene.look(120);
    assert_eq!(scene.cause(), Cause::HandlerStuck);
    assert!(scene.evidence().contains("was entered for this child"), "{}", scene.evidence());
    // With another thread, another place, or a mask from before the signal, the program blocks it.
    for (threads, place) in [(2, "futex_wait_queue"), (1, "hrtimer_nanosleep")] {
        (scene.facts.threads, scene.facts.wait_channel) = (threads, Some(place.into()));
        scene.look(scene.time / MS + 10);
        assert_eq!(scene.cause(), Cause::SigchldBlocked, "{threads} threads in {place}");
    }
}

#[test]
fn where_the_kernel_does_not_tell_the_place_the_system_call_shows_the_lock() {
    let mut scene = handled();
    (scene.facts.caught, scene.facts.blocked, scene.facts.pending) = (CHLD, CHLD, CHLD);
    let leader = |object| Doing {
        tid: PARENT.pid,
        comm: comm("app"),
        state: 'S',
        syscall: Some("futex".to_owned()),
        object,
        switches: 1,
        since: None,
    };
    scene.doing = vec![leader(Object::Futex)];
    scene.look(120);
    assert_eq!(scene.cause(), Cause::HandlerStuck);
    scene.doing = vec![leader(Object::Timer)];
    scene.look(130);
    assert_eq!(scene.cause(), Cause::SigchldBlocked);
}

#[test]
fn who_is_seen_in_a_wait_for_the_zombie_is_not_said_never_to_wait() {
    let child =
        |pid| Object::Child(Awaited { number: pid, pid: Some(pid), comm: None, state: None, wait_channel: None });
    for (object, is_accused) in
        [(Object::AnyChild, false), (child(ZOMBIE.pid), false), (child(77), true), (Object::Timer, true)]
    {
        let mut scene = Scene::new();
        scene.doing = vec![Doing {
            tid: PARENT.pid,
            comm: comm("app"),
            state: 'S',
            syscall: Some("wait4".to_owned()),
            object: object.clone(),
            switches: 1,
            since: None,
        }];
        scene.dies().look(120);
        assert_eq!(scene.cause() == Cause::NeverWaits, is_accused, "{object:?}");
    }
}

#[test]
fn a_handler_that_waited_before_it_slept_is_not_stuck_before_its_wait() {
    let mut scene = handled();
    scene.facts.wait_channel = Some("futex_wait_queue".into());
    (scene.facts.caught, scene.facts.blocked) = (CHLD, CHLD);
    scene.waits = called(11, WaitActivity { any_calls: 1, last_any_ns: 11 * MS, ..Default::default() });
    scene.look(120);
    assert_ne!(scene.cause(), Cause::HandlerStuck);
}

/// One child is reaped by a handler, and the next dies with SIGCHLD as given.
fn after_a_first(handler: Handler) -> Scene {
    let mut scene = Scene { handler: Handler::Function, ..Scene::new() };
    scene.fork(1, PARENT, MIDDLE, "child").exit(2, MIDDLE, PARENT, true);
    scene.notify(2, MIDDLE, PARENT, SignalOutcome::Delivered).reap(3, MIDDLE, Selector::Any, 10);
    scene.handler = handler;
    scene.fork(4, PARENT, ZOMBIE, "child").exit(10, ZOMBIE, PARENT, true);
    scene.notify(10, ZOMBIE, PARENT, SignalOutcome::Ignored);
    let loops = WaitActivity { successes: 1, empty: 1, any_calls: 2, first_call_ns: 3 * MS, ..Default::default() };
    scene.waits = WaitActivity { calls: 2, last_any_ns: 3 * MS, ..called(3, loops) };
    scene
}

#[test]
fn a_handler_that_is_gone_after_the_first_child_was_reset() {
    let mut scene = after_a_first(Handler::Default);
    scene.look(120);
    assert_eq!(scene.cause(), Cause::HandlerReset);
    assert!(scene.evidence().contains("handler of app ran 1 time"), "{}", scene.evidence());
    assert!(scene.evidence().contains("app reaped 1 child"), "{}", scene.evidence());
    scene.facts.caught = CHLD;
    scene.look(130);
    assert_ne!(scene.cause(), Cause::HandlerReset, "it is there again");
}

#[test]
fn a_handler_of_the_program_before_exec_was_not_reset() {
    let mut scene = Scene { handler: Handler::Function, ..Scene::new() };
    scene.fork(1, PARENT, MIDDLE, "child").exit(2, MIDDLE, PARENT, true);
    scene.notify(2, MIDDLE, PARENT, SignalOutcome::Delivered).reap(3, MIDDLE, Selector::Any, 10);
    let exec =
        crate::event::Exec { process: PARENT, old_thread: 10, uid: 0, cgroup: 0, comm: comm("next"), sigchld: None };
    scene.handler = Handler::Default;
    scene.tell(4, What::Exec(exec)).fork(5, PARENT, ZOMBIE, "child").exit(10, ZOMBIE, PARENT, true);
    scene.notify(10, ZOMBIE, PARENT, SignalOutcome::Ignored).look(120);
    assert_eq!(scene.cause(), Cause::NeverWaits);
}
