//! Many, fast, for long: nothing is lost and nothing is spent for nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Namespace, TestResult, Tracer, clock, process, require, tests};

use super::{children_of, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_thousand_zombies_are_all_reported,
        a_storm_of_a_hundred_thousand_processes_loses_nothing,
        a_million_polls_are_no_events,
        a_storm_of_sigurg_is_no_events,
        an_idle_tracer_uses_no_cpu;
        slow: twenty_thousand_zombies_are_all_reported,
    ]
}

/// Long enough for everything here, also beside another test.
const LONG: Duration = Duration::from_secs(60);

fn are_all_reported(count: usize) -> TestResult {
    require::tracing()?;
    require::free_pids(count as u64)?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["never-waits", "--children", &count.to_string()]);
    let parent = actor.line("parent").pid();
    let expected: BTreeMap<i32, i64> =
        actor.lines("child", count).iter().map(|child| (child.pid(), i64::from(child.small("exit")))).collect();
    let zombies = tracer.expect_many("all zombies", count, LONG, children_of("zombie", parent));
    let reported: BTreeMap<i32, i64> =
        zombies.iter().filter_map(|zombie| Some((zombie.pid()?, zombie.exit_code()?))).collect();
    let odd =
        zombies.iter().find(|zombie| zombie.pid().is_none_or(|pid| expected.get(&pid).copied() != zombie.exit_code()));
    let finished = tracer.stop();
    finished.has_lost_nothing();
    assert!(reported == expected, "{} reported, {} expected; {odd:?}", reported.len(), expected.len());
    let accusation = finished.accusation(parent).expect("the parent is accused");
    assert_eq!(accusation["zombies_now"], count, "{}", accusation["cause"]);
    Ok(())
}

fn a_thousand_zombies_are_all_reported() -> TestResult {
    are_all_reported(1_000)
}

fn twenty_thousand_zombies_are_all_reported() -> TestResult {
    are_all_reported(20_000)
}

fn a_storm_of_a_hundred_thousand_processes_loses_nothing() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["storm", "--cycles", "100000", "--jobs", "2"]);
    let parent = actor.line("parent").pid();
    actor.line_within("done", LONG);
    tracer.fence();
    let finished = tracer.stop();
    finished.has_lost_nothing();
    assert!(finished.summary.number("/totals/exits") >= Some(100_000), "{}", finished.summary);
    assert!(finished.summary.number("/totals/reaped") >= Some(100_000), "{}", finished.summary);
    assert_eq!(finished.accusation(parent), None);
    Ok(())
}

fn a_million_polls_are_no_events() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["poll-wait", "--count", "1000000"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    actor.line_within("done", LONG);
    tracer.fence();
    let finished = tracer.stop();
    finished.never("polling", |event| event.names(parent) || event.names(child));
    finished.has_lost_nothing();
    Ok(())
}

fn a_storm_of_sigurg_is_no_events() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let began = clock::boot_now();
    let mut actor = Actor::spawn(["sigurg-storm", "--count", "200000"]);
    let init = actor.line("init");
    let done = actor.line_within("done", LONG);
    assert_eq!(done.number("handled"), 200_000);
    let namespace = Namespace::until_now(init.number("pid_ns"), began);
    tracer.fence();
    let finished = tracer.stop();
    finished.never("a handled SIGURG", |event| namespace.has_the("target", event));
    finished.has_lost_nothing();
    Ok(())
}

/// Of five seconds, in the kernel's clock ticks of 10 ms.
const IDLE_TICKS: u64 = 2;

fn an_idle_tracer_uses_no_cpu() -> TestResult {
    require::tracing()?;
    // One process that does nothing: what the other tests do must cost this tracer nothing.
    let mut actor = Actor::spawn(["hold"]);
    let followed = actor.line("holding").pid();
    let tracer = Tracer::live(["--pid", &followed.to_string()]).start();
    let ticks = || process::stat(tracer.pid()).expect("the tracer runs").ticks;
    let before = ticks();
    // Not for synchronisation: this is the time over which the use is measured.
    std::thread::sleep(Duration::from_secs(5));
    let used = ticks() - before;
    assert!(used <= IDLE_TICKS, "{used} ticks in five idle seconds");
    Ok(())
}
