//! A workload that fills a map of the kernel side makes nobody else look guilty: what cannot be known of others is
//! `unknown`, the summary says which map was full, and who comes after the workload is judged as ever.

use std::process::Command;

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, TestResult, Tracer, binaries, require, tests};

use super::{about, children_of, soon};

pub(crate) fn all() -> Vec<Test> {
    tests![
        full_maps_of_waits_hide_how_others_wait_while_they_are_full,
        a_full_map_of_followed_processes_is_no_clean_run,
        counts_of_several_threads_are_exact,
    ]
}

/// Small, so that a few hundred threads fill it, and large enough for what else waits on the machine.
const ENTRIES: &str = "1024";
const CROWD: &str = "1300";

fn small() -> Tracer {
    Tracer::live(["--min-age", "200ms", "--map-entries", ENTRIES]).start()
}

fn full_maps_of_waits_hide_how_others_wait_while_they_are_full() -> TestResult {
    require::tracing()?;
    require::free_pids(2_000)?;
    // One after the other: the one crowd would fill the other's map.
    wait_calls();
    wait_counters();
    Ok(())
}

fn wait_calls() {
    let tracer = small();
    let mut crowd = Actor::spawn(["crowd", "--threads", CROWD]);
    crowd.line("ready");
    let mut victim = Actor::spawn(["waits-for-others"]);
    let child = victim.line("child").pid();
    let zombie = tracer.expect("the zombie of the victim", soon(), about("zombie", child));
    assert_eq!(zombie.cause(), Some("unknown"), "{zombie}");
    crowd.end();
    let mut later = Actor::spawn(["waits-for-others"]);
    let child = later.line("child").pid();
    let zombie = tracer.expect("the zombie of one that came later", soon(), about("zombie", child));
    assert_eq!(zombie.cause(), Some("waits-for-others"), "{zombie}");
    let finished = tracer.stop();
    assert!(finished.summary.number("/loss/unknown_waits") > Some(0), "{}", finished.summary);
    assert_eq!(finished.summary.number("/loss/unfollowed"), None, "{}", finished.summary);
}

fn wait_counters() {
    let tracer = small();
    let mut crowd = Actor::spawn(["crowd", "--processes", CROWD]);
    crowd.line("ready");
    let mut victim = Actor::spawn(["waits-for-others"]);
    let child = victim.line("child").pid();
    let zombie = tracer.expect("the zombie of the victim", soon(), about("zombie", child));
    assert_eq!(zombie.cause(), Some("unknown"), "{zombie}");
    crowd.end();
    let mut later = Actor::spawn(["never-waits"]);
    let child = later.line("child").pid();
    let zombie = tracer.expect("the zombie of one that came later", soon(), about("zombie", child));
    assert_eq!(zombie.cause(), Some("never-waits"), "{zombie}");
    let finished = tracer.stop();
    assert!(finished.summary.number("/loss/uncounted_waits") > Some(0), "{}", finished.summary);
    let warnings = finished.stderr.iter().filter(|line| line.contains("more processes wait than can be counted"));
    // Two processors may both be the first.
    assert!((1..=2).contains(&warnings.count()), "{:#?}", finished.stderr);
}

fn a_full_map_of_followed_processes_is_no_clean_run() -> TestResult {
    require::tracing()?;
    let crowd = "for i in $(seq 40); do sleep 1 & done; wait";
    let check = |entries: &str| {
        let arguments = ["check", "--map-entries", entries, "--", "sh", "-c", crowd];
        Command::new(binaries::zombie_trace()).args(arguments).output().expect("the tool can be started")
    };
    let small = check("16");
    assert_eq!(small.status.code(), Some(3), "{small:?}");
    assert!(String::from_utf8_lossy(&small.stdout).contains("map of followed processes was full"), "{small:?}");
    let enough = check("4096");
    assert_eq!(enough.status.code(), Some(0), "{enough:?}");
    Ok(())
}

fn counts_of_several_threads_are_exact() -> TestResult {
    require::tracing()?;
    require::exact_call_counts()?;
    let tracer = Tracer::live(["--min-age", "200ms"]).start();
    let mut actor = Actor::spawn(["race-wait"]);
    let parent = actor.line("parent").pid();
    let polled = actor.line_within("polled", 4 * soon()).number("count");
    let child = actor.line("child").pid();
    let zombie = tracer.expect("the zombie", soon(), children_of("zombie", parent));
    assert_eq!(zombie.pid(), Some(child), "{zombie}");
    let evidence = super::evidence(&zombie);
    let numbers: Vec<&str> = evidence.split(|it: char| !it.is_ascii_digit()).collect();
    assert!(numbers.contains(&polled.to_string().as_str()), "{polled} calls: {evidence}");
    assert!(!evidence.contains("waits now"), "{evidence}");
    // As of one thread, which cannot race.
    let mut single = Actor::spawn(["race-wait", "--threads", "1"]);
    let child = single.line("child").pid();
    let other = tracer.expect("the zombie of one thread", soon(), about("zombie", child));
    assert_eq!(zombie.cause(), other.cause());
    Ok(())
}
