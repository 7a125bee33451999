//! How long a zombie waited and who reaped it.

use std::ops::RangeInclusive;

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, Line, TestResult, Tracer, clock, require, tests};

use super::{MIN_AGE_MS, about, soon, tracer, tracer_of_all};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_child_reaped_by_wait4_is_timed_exactly,
        a_child_reaped_by_wait4_for_any_child_is_timed_exactly,
        a_child_reaped_by_waitid_is_timed_exactly,
        a_child_reaped_by_waitid_without_siginfo_is_timed_exactly,
        a_child_reaped_by_pidfd_is_timed_exactly,
        a_child_reaped_by_another_thread_is_timed_exactly,
        a_wait4_that_reaps_and_fails_with_efault_is_a_reap,
        a_child_reaped_before_the_minimum_age_is_not_reported,
        children_of_a_parent_that_ignores_sigchld_are_auto_reaped_and_never_zombies,
        children_of_a_parent_with_nocldwait_are_auto_reaped_and_never_zombies,
        a_child_reaped_by_a_32_bit_wait4_is_timed_from_above,
        a_child_reaped_by_a_32_bit_waitid_is_timed_from_above,
        a_child_reaped_by_io_uring_is_timed_from_above,
        a_call_that_returns_after_the_memory_is_freed_is_the_one_that_reaped,
    ]
}

/// How far the tracer's times and the actor's may be apart, ns: each compares the clocks by itself.
const TOLERANCE: i128 = 5_000_000;

/// Longer than the minimum age of the tests' tracers.
pub(crate) const DELAY: &str = "350";

/// The interval, widened by the tolerance.
fn within(from: i128, to: i128) -> RangeInclusive<i128> {
    from - TOLERANCE..=to + TOLERANCE
}

/// A child reaped in this way is reported with the times that the actor itself took.
fn is_timed_exactly(how: &str, via: &str) -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["reap", "--how", how, "--delay-ms", DELAY]);
    let parent = actor.line("parent").pid();
    let (died, reaped) = (actor.line("died"), actor.line("reaped"));
    let event = tracer.expect("the reap", soon(), about("reaped", died.pid()));
    assert_eq!(event.text("/precision"), Some("exact"), "{event}");
    assert_eq!(event.text("/via"), Some(via), "{event}");
    assert_eq!(event.pid_of("parent"), Some(parent), "{event}");
    assert_eq!(event.pid_of("reaper"), Some(parent), "{event}");
    assert_eq!(event.exit_code(), Some(7), "{event}");
    agrees_with_the_actor(&event, &died, &reaped);
    Ok(())
}

pub(crate) fn agrees_with_the_actor(event: &Event, died: &Line, reaped: &Line) {
    lasted_as_the_actor_says(event, died, reaped);
    let time = event.time().expect("an event has a time");
    let possible = within(clock::wall_time(reaped.number("before")), clock::wall_time(reaped.number("after")));
    assert!(possible.contains(&time), "{time} is not in {possible:?}: {event}");
}

/// The actor has taken the times around the death and those around the reap.
pub(super) fn lasted_as_the_actor_says(event: &Event, died: &Line, reaped: &Line) {
    let [after, before] = ["after", "before"].map(|key| i128::from(died.number(key)));
    let [from, to] = ["before", "after"].map(|key| i128::from(reaped.number(key)));
    let zombie = i128::from(event.number("/zombie_ns").expect("a reaped process was a zombie for some time"));
    let possible = within(from - before, to - after);
    assert!(possible.contains(&zombie), "{zombie} ns is not in {possible:?}: {event}");
}

fn a_child_reaped_by_wait4_is_timed_exactly() -> TestResult {
    is_timed_exactly("wait4", "wait4")
}

fn a_child_reaped_by_wait4_for_any_child_is_timed_exactly() -> TestResult {
    is_timed_exactly("wait-any", "wait4")
}

fn a_child_reaped_by_waitid_is_timed_exactly() -> TestResult {
    is_timed_exactly("waitid", "waitid")
}

fn a_child_reaped_by_waitid_without_siginfo_is_timed_exactly() -> TestResult {
    is_timed_exactly("waitid-null", "waitid")
}

fn a_child_reaped_by_pidfd_is_timed_exactly() -> TestResult {
    is_timed_exactly("pidfd", "waitid")
}

fn a_child_reaped_by_another_thread_is_timed_exactly() -> TestResult {
    is_timed_exactly("thread", "wait4")
}

fn a_wait4_that_reaps_and_fails_with_efault_is_a_reap() -> TestResult {
    is_timed_exactly("wait4-efault", "wait4")
}

fn a_child_reaped_before_the_minimum_age_is_not_reported() -> TestResult {
    require::tracing()?;
    // An age that a child which is reaped at once does not reach on a busy machine either.
    let tracer = Tracer::live(["--min-age", "4s"]).start();
    let mut actor = Actor::spawn(["reap", "--children", "20"]);
    let parent = actor.line("parent").pid();
    let children: Vec<i32> = actor.lines("reaped", 20).iter().map(Line::pid).collect();
    tracer.fence();
    let finished = tracer.stop();
    finished.never("a child reaped at once", |event| {
        (event.is("zombie") || event.is("reaped")) && children.iter().any(|&child| event.pid() == Some(child))
    });
    assert_eq!(finished.accusation(parent), None);
    Ok(())
}

/// The children of a parent with this disposition for SIGCHLD are gone at once, and their statuses are lost.
fn are_auto_reaped(how: &str) -> TestResult {
    require::tracing()?;
    let tracer = tracer_of_all();
    let mut actor = Actor::spawn(["auto-reap", "--how", how, "--children", "3"]);
    let parent = actor.line("parent").pid();
    let children: Vec<i32> = actor.lines("gone", 3).iter().map(Line::pid).collect();
    for &child in &children {
        let event = tracer.expect("the auto-reap", soon(), about("auto_reaped", child));
        assert_eq!(event.pid_of("parent"), Some(parent), "{event}");
    }
    tracer.fence();
    tracer.stop().never("a zombie of an auto-reaping parent", |event| {
        event.is("zombie") && children.iter().any(|&child| event.pid() == Some(child))
    });
    Ok(())
}

fn children_of_a_parent_that_ignores_sigchld_are_auto_reaped_and_never_zombies() -> TestResult {
    are_auto_reaped("sig-ign")
}

fn children_of_a_parent_with_nocldwait_are_auto_reaped_and_never_zombies() -> TestResult {
    are_auto_reaped("nocldwait")
}

/// Without fentry, a reap that passes no tracepoint of a wait call is known by the freeing alone: nobody is named as the reaper, and the
/// time is no shorter than the true one.
fn is_timed_from_above(how: &str, what: &str) -> TestResult {
    require::tracing()?;
    let tracer = Tracer::live(["--no-fentry", "--min-age", &format!("{MIN_AGE_MS}ms")]).start();
    let mut actor = Actor::spawn(["reap", "--how", how, "--delay-ms", DELAY]);
    let parent = actor.supported_line("parent", what)?.pid();
    let (died, reaped) = (actor.line("died"), actor.line("reaped"));
    let event = tracer.expect("the reap", soon(), about("reaped", died.pid()));
    assert_eq!(event.text("/precision"), Some("upper-bound"), "{event}");
    assert_eq!(event.text("/via"), Some("unknown"), "{event}");
    assert_eq!(event.at("/reaper"), None, "{event}");
    assert_eq!(event.pid_of("parent"), Some(parent), "{event}");
    assert_eq!(event.exit_code(), Some(7), "{event}");
    let zombie = i128::from(event.number("/zombie_ns").expect("a reaped process was a zombie for some time"));
    let least = i128::from(reaped.number("before")) - i128::from(died.number("before"));
    assert!(zombie >= least - TOLERANCE, "{zombie} ns is less than {least}: {event}");
    Ok(())
}

/// x86 has one, unless it was built or booted without.
const COMPAT: &str = "32-bit system calls for 64-bit programs";

fn a_child_reaped_by_a_32_bit_wait4_is_timed_from_above() -> TestResult {
    is_timed_from_above("wait4-compat", COMPAT)
}

fn a_child_reaped_by_a_32_bit_waitid_is_timed_from_above() -> TestResult {
    is_timed_from_above("waitid-compat", COMPAT)
}

fn a_child_reaped_by_io_uring_is_timed_from_above() -> TestResult {
    is_timed_from_above("io-uring", "waitid by io_uring")
}

fn a_call_that_returns_after_the_memory_is_freed_is_the_one_that_reaped() -> TestResult {
    require::tracing()?;
    let tracer = tracer_of_all();
    let mut actor = Actor::spawn(["late-return", "--children", "5"]);
    let parent = actor.line("parent").pid();
    for line in actor.lines("reaped", 5) {
        let event = tracer.expect("the end of the child", soon(), about("reaped", line.pid()));
        assert_eq!(event.pid_of("reaper"), Some(parent), "{event}");
        assert_eq!((event.text("/precision"), event.text("/via")), (Some("exact"), Some("wait4")), "{event}");
    }
    Ok(())
}
