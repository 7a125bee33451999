//! Parents that reap on SIGCHLD.

use super::*;

#[test]
fn one_wait_for_one_of_several_coalesced_signals() {
    let mut scene = Scene::new();
    scene.facts.caught = CHLD;
    scene.dies();
    for pid in 21..24 {
        scene.fork(11, PARENT, key(pid), "child").exit(12, key(pid), PARENT, true);
        scene.notify(12, key(pid), PARENT, SignalOutcome::AlreadyPending);
    }
    scene.reap(20, key(21), Selector::Any, 10);
    scene.waits = called(20, WaitActivity { successes: 1, any_calls: 1, last_any_ns: 20 * MS, ..Default::default() });
    scene.look(120);
    assert_eq!(scene.cause(), Cause::OneWaitPerSigchld);
    assert!(scene.evidence().contains("4 children died but app got SIGCHLD only 1 time"), "{}", scene.evidence());
    // A loop makes one more call than it reaps.
    scene.waits.calls = 2;
    scene.waits.any_calls = 2;
    scene.look(130);
    assert_ne!(scene.cause(), Cause::OneWaitPerSigchld);
}

#[test]
fn a_blocked_sigchld_is_the_cause_only_while_it_is_pending() {
    let mut scene = Scene::new();
    (scene.facts.blocked, scene.facts.pending) = (CHLD, CHLD);
    scene.dies().look(120);
    assert_eq!(scene.cause(), Cause::SigchldBlocked);
    scene.facts.pending = 0;
    scene.look(130);
    assert_eq!(scene.cause(), Cause::NeverWaits, "somebody fetches it");
}

#[test]
fn a_handler_that_does_not_wait_is_the_cause_unless_it_is_the_runtimes() {
    let mut scene = Scene::new();
    scene.facts.caught = CHLD;
    scene.dies().look(120);
    assert_eq!(scene.cause(), Cause::HandlerIgnoresChildren);
    scene.facts.runtime = Some(Runtime::Go);
    scene.look(130);
    assert_eq!(scene.cause(), Cause::NeverWaits);
}

#[test]
fn a_child_with_another_exit_signal_is_seen_by_special_waits_only() {
    let mut scene = Scene::new();
    scene.exit_signal = 10;
    scene.dies();
    scene.waits = called(20, WaitActivity { any_calls: 1, last_any_ns: 20 * MS, ..Default::default() });
    scene.look(120);
    assert_eq!(scene.cause(), Cause::NeedsWclone);
    scene.waits.options_seen = 0x4000_0000;
    scene.look(130);
    assert_eq!(scene.cause(), Cause::Unknown);
}
