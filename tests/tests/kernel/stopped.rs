//! Stopped and continued processes: neither is an end, and what waits for PID 1 meanwhile is not dropped.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, TestResult, Tracer, process, require, tests};

use super::reaping::lasted_as_the_actor_says;
use super::{about, soon, tracer, tracer_of_all};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_stop_and_a_continue_told_by_wait4_are_no_reaps,
        a_stop_and_a_continue_told_without_a_status_are_no_reaps,
        a_stop_and_a_continue_told_by_waitid_are_no_reaps,
        a_stop_and_a_continue_told_by_waitid_without_siginfo_are_no_reaps,
        a_stop_that_is_looked_at_twice_is_no_reap,
        a_stopped_child_that_is_killed_is_a_zombie,
        a_stop_from_outside_stops_pid_1_and_one_from_inside_is_dropped,
        a_signal_that_waits_for_a_stopped_pid_1_is_no_drop,
        the_zombie_of_a_stopped_pid_1_is_not_its_fault,
    ]
}

fn is_stopped(pid: i32) -> bool {
    process::stat(pid).is_some_and(|stat| stat.state == 'T')
}

/// A child that its parent stops and continues a few times, then kills, and reaps when it has been seen as a zombie.
fn are_no_reaps(how: &str) -> TestResult {
    require::tracing()?;
    let tracer = tracer_of_all();
    let mut actor = Actor::spawn(["stopped-child", "--how", how]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    for _ in 0..3 {
        actor.order("stop");
        actor.line("stopped");
        assert!(is_stopped(child));
        actor.order("cont");
        actor.line("continued");
    }
    actor.order("kill");
    let died = actor.line("died");
    let zombie = tracer.expect("the zombie", soon(), about("zombie", child));
    assert_eq!(zombie.pid_of("parent"), Some(parent), "{zombie}");
    actor.order("reap");
    let reaped = actor.line("reaped");
    let event = tracer.expect("the reap", soon(), about("reaped", child));
    assert_eq!((event.pid_of("reaper"), event.exit_signal()), (Some(parent), Some(9)), "{event}");
    assert_eq!((event.text("/precision"), event.text("/via")), (Some("exact"), Some("wait4")), "{event}");
    lasted_as_the_actor_says(&event, &died, &reaped);
    let finished = tracer.stop();
    assert_eq!(finished.having(about("reaped", child)).count(), 1, "it was reaped once");
    assert_eq!(finished.having(about("zombie", child)).count(), 1, "it died once");
    finished.never("a status that nobody took", |event| {
        (event.is("status_stolen") || event.is("auto_reaped")) && event.names(child)
    });
    Ok(())
}

fn a_stop_and_a_continue_told_by_wait4_are_no_reaps() -> TestResult {
    are_no_reaps("wait4")
}

fn a_stop_and_a_continue_told_without_a_status_are_no_reaps() -> TestResult {
    are_no_reaps("wait4-null")
}

fn a_stop_and_a_continue_told_by_waitid_are_no_reaps() -> TestResult {
    are_no_reaps("waitid")
}

fn a_stop_and_a_continue_told_by_waitid_without_siginfo_are_no_reaps() -> TestResult {
    are_no_reaps("waitid-null")
}

fn a_stop_that_is_looked_at_twice_is_no_reap() -> TestResult {
    are_no_reaps("look")
}

fn a_stopped_child_that_is_killed_is_a_zombie() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["stopped-child", "--how", "wait4"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    actor.order("stop");
    actor.line("stopped");
    // Older than the threshold by the time that it is killed: who is stopped does not age.
    tracer.fence();
    actor.order("kill");
    let died = actor.line("died");
    let zombie = tracer.expect("the zombie", soon(), about("zombie", child));
    assert_eq!((zombie.pid_of("parent"), zombie.exit_signal()), (Some(parent), Some(9)), "{zombie}");
    let since: jiff::Timestamp = zombie.text("/since").expect("a time").parse().expect("RFC 3339");
    let killed = zombie_trace_tests::clock::wall_time(died.number("after"));
    assert!(
        since.as_nanosecond() >= killed - CLOCKS_APART_NS,
        "a zombie from its death on, not from its stop: {zombie}"
    );
    tracer.stop().never("a reap of what nobody has reaped", about("reaped", child));
    Ok(())
}

/// By so much the tool and the test may differ when each compares the wall clock with the boot clock.
const CLOCKS_APART_NS: i128 = 5_000_000;

/// PID 1 of a namespace with a handler for SIGTERM, and a tracer of the machine.
fn pid_1() -> (Tracer, Actor, i32) {
    let tracer = tracer();
    let mut actor = Actor::spawn(["init-signals", "--set", "TERM=handler"]);
    let init = actor.line("init").pid();
    actor.line("ready");
    (tracer, actor, init)
}

fn stop(actor: &mut Actor, init: i32) {
    actor.order("outside STOP");
    actor.line("sent");
    assert!(process::eventually(soon(), || is_stopped(init)), "{:?}", process::stat(init));
}

fn a_stop_from_outside_stops_pid_1_and_one_from_inside_is_dropped() -> TestResult {
    require::tracing()?;
    let (tracer, mut actor, init) = pid_1();
    stop(&mut actor, init);
    actor.order("outside CONT");
    actor.line("sent");
    assert!(process::eventually(soon(), || !is_stopped(init)), "it goes on");
    actor.order("inside STOP");
    let inner = actor.line("sent").small("sender");
    let is_of_it =
        |event: &zombie_trace_tests::Event| event.is("signal_dropped") && event.pid_of("target") == Some(init);
    let dropped = tracer.expect("the drop", soon(), is_of_it);
    assert_eq!(dropped.reason(), Some("protected-from-inside"), "{dropped}");
    assert_eq!((dropped.pid_of("sender"), dropped.text("/signal")), (Some(inner), Some("SIGSTOP")), "{dropped}");
    assert!(!is_stopped(init));
    // The first that is told is the one from inside, so neither of those from outside was a drop.
    assert_eq!(tracer.stop().having(is_of_it).count(), 1);
    Ok(())
}

fn a_signal_that_waits_for_a_stopped_pid_1_is_no_drop() -> TestResult {
    require::tracing()?;
    let (tracer, mut actor, init) = pid_1();
    stop(&mut actor, init);
    // One that it has no handler for is dropped nevertheless: it would never be delivered.
    for order in ["outside TERM", "inside USR1"] {
        actor.order(order);
        actor.line("sent");
    }
    let usr1 = tracer.expect("the drop", soon(), |event| {
        event.is("signal_dropped") && event.pid_of("target") == Some(init) && event.text("/signal") == Some("SIGUSR1")
    });
    assert_eq!(usr1.reason(), Some("no-handler"), "{usr1}");
    assert!(is_stopped(init));
    actor.order("outside CONT");
    assert_eq!(actor.line("handled").small("signal"), 15);
    tracer.stop().never("a signal that was handled in the end", |event| {
        event.is("signal_dropped") && event.pid_of("target") == Some(init) && event.text("/signal") == Some("SIGTERM")
    });
    Ok(())
}

fn the_zombie_of_a_stopped_pid_1_is_not_its_fault() -> TestResult {
    require::tracing()?;
    let tini = require::program("tini")?.display().to_string();
    let tracer = tracer();
    let mut actor = Actor::spawn(["pidns-exec", "--", &tini, "--", "sleep", "600"]);
    let init = actor.line("init").pid();
    let children = format!("/proc/{init}/task/{init}/children");
    let mut worker = 0;
    let is_running = process::eventually(soon(), || {
        let text = std::fs::read_to_string(&children).unwrap_or_default();
        worker = text.split_whitespace().next().and_then(|pid| pid.parse().ok()).unwrap_or(0);
        process::stat(worker).is_some_and(|stat| stat.comm == b"sleep")
    });
    assert!(is_running, "tini runs its command");
    actor.order("signal STOP");
    actor.line("sent");
    assert!(process::eventually(soon(), || is_stopped(init)), "{:?}", process::stat(init));
    kill(Pid::from_raw(worker), Signal::SIGKILL).expect("it is the test's own");
    let zombie = tracer.expect("the zombie", soon(), about("zombie", worker));
    assert_eq!((zombie.pid_of("parent"), zombie.cause()), (Some(init), Some("parent-cannot-run")), "{zombie}");
    assert_eq!(zombie.number("/parent/ns_pid"), Some(1), "{zombie}");
    actor.order("signal CONT");
    let reaped = tracer.expect("the reap", soon(), about("reaped", worker));
    assert_eq!((reaped.pid_of("reaper"), reaped.text("/precision")), (Some(init), Some("exact")), "{reaped}");
    // tini ends as its command did.
    assert_eq!(actor.line("exited").small("code"), 128 + 9);
    Ok(())
}
