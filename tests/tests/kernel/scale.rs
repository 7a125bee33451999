//! Many, fast, for long: nothing is lost and nothing is spent for nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, Namespace, TestResult, Tracer, clock, require, tests};

use super::{children_of, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_million_polls_are_no_events;
        alone: a_thousand_zombies_are_all_reported, a_storm_of_a_hundred_thousand_processes_loses_nothing,
        a_storm_of_sigurg_is_no_events, an_idle_tracer_uses_no_cpu;
        slow: twenty_thousand_zombies_are_all_reported, a_thousand_namespaces_that_are_stopped_at_once_are_each_told_apart,
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
    let zombies = tracer.expect_each("all zombies", count, LONG, children_of("zombie", parent));
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

/// How many namespaces are stopped at once.
const STOPS: usize = 1_000;

fn a_thousand_namespaces_that_are_stopped_at_once_are_each_told_apart() -> TestResult {
    require::tracing()?;
    require::free_pids(2 * STOPS as u64)?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["stop-storm", "--count", &STOPS.to_string()]);
    let inits: Vec<_> = (0..STOPS).map(|_| actor.line_within("init", LONG)).collect();
    actor.line_within("ready", LONG);
    actor.order("stop");
    actor.line_within("stopped", LONG);
    actor.order("kill");
    actor.line_within("done", LONG);
    let of_storm = |event: &Event| inits.iter().any(|init| event.pid_of("target") == Some(init.pid()));
    let failed = tracer.expect_many("those that had to be killed", STOPS / 2, LONG, |event| {
        event.is("stop_failed") && of_storm(event)
    });
    tracer.fence();
    let finished = tracer.stop();
    finished.has_lost_nothing();
    // Whatever there is no room for would be said here.
    assert_eq!(finished.summary.at("/loss/evicted_by_table"), None, "{:?}", finished.summary.at("/loss"));
    let mut stops: BTreeMap<(u64, u64), Vec<&serde_json::Value>> = BTreeMap::new();
    for stop in finished.list("/stops") {
        let number = |pointer: &str| stop.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0);
        stops.entry((number("/target/pid"), number("/target/pid_ns"))).or_default().push(stop);
    }
    for init in &inits {
        let way = init.get("way").expect("it says how it does");
        let (outcome, cause) = match way {
            "deaf" => ("failed", Some("no-handler")),
            "ignores" => ("failed", Some("ignored")),
            "alone" => ("clean", Some("ended-before-children")),
            _ => ("clean", None),
        };
        let own = stops.get(&(init.number("pid"), init.number("pid_ns"))).map(Vec::as_slice).unwrap_or_default();
        let [stop] = own else { panic!("{} stops of {way}: {own:?}", own.len()) };
        assert_eq!((stop["outcome"].as_str(), stop["cause"].as_str()), (Some(outcome), cause), "{way}: {stop}");
        // Its own, and nobody else's.
        let path: Vec<u64> =
            stop["path"].as_array().into_iter().flatten().filter_map(|it| it["process"]["pid"].as_u64()).collect();
        assert_eq!(path, [init.number("pid"), init.number("worker")], "{way}: {stop}");
        let unasked: Vec<u64> =
            stop["killed_without_term"].as_array().into_iter().flatten().filter_map(|it| it["pid"].as_u64()).collect();
        let expected = if way == "graceful" { vec![] } else { vec![init.number("worker")] };
        assert_eq!(unasked, expected, "{way}: {stop}");
    }
    assert_eq!(failed.len(), STOPS / 2);
    Ok(())
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

/// The time over which the use is measured, again and again.
const IDLE: Duration = Duration::from_millis(500);
/// How often its threads may go to sleep in that time: each time that it looks, one or two of them do, and it looks every
/// 100 ms. One that looked every 5 ms would do so at least a hundred times.
const SLEEPS: u64 = 40;

/// How long all threads of a process have run so far, ns, and how often they went to sleep.
fn has_run(pid: i32) -> (u64, u64) {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the tracer runs");
    let of_thread = |thread: std::fs::DirEntry| {
        let schedstat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let status = std::fs::read_to_string(thread.path().join("status")).ok()?;
        let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        Some((schedstat.split(' ').next()?.parse().ok()?, sleeps.trim().parse().ok()?))
    };
    let all: Vec<(u64, u64)> = threads.flatten().filter_map(of_thread).collect();
    (all.iter().map(|it| it.0).sum(), all.iter().map(|it| it.1).sum())
}

fn an_idle_tracer_uses_no_cpu() -> TestResult {
    require::tracing()?;
    require::file("/proc/self/schedstat")?;
    // One process that does nothing: what the other tests do must cost this tracer nothing.
    let mut actor = Actor::spawn(["hold"]);
    let followed = actor.line("holding").pid();
    let tracer = Tracer::live(["--pid", &followed.to_string()]).start();
    // What others do may come between, but a tracer that is busy by itself is so all the time: the quietest of the times
    // is its own.
    let (mut uses, mut sleeps) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let before = has_run(tracer.pid());
        // Not for synchronisation: this is the time over which the use is measured.
        std::thread::sleep(IDLE);
        let after = has_run(tracer.pid());
        uses.push(after.0 - before.0);
        sleeps.push(after.1 - before.1);
    }
    let quietest = |of: &[u64]| *of.iter().min().expect("there are ten");
    assert!(quietest(&sleeps) > 0, "it looks at the ring now and then, so the measure is of something: {sleeps:?}");
    assert!(quietest(&sleeps) <= SLEEPS, "in each idle half second it slept so often: {sleeps:?}");
    // What a look takes is the machine's matter; one that does not sleep at all takes the whole time.
    assert!(u128::from(quietest(&uses)) <= IDLE.as_nanos() / 10, "ns of each idle half second: {uses:?}");
    Ok(())
}
