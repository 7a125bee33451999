//! Where the kernel allows fentry, reaps that no wait call shows are known exactly; and all other answers are the same
//! with and without it.

use serde_json::Value;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, Finished, TestResult, Tracer, require, tests};

use super::reaping::{DELAY, agrees_with_the_actor};
use super::{MIN_AGE_MS, about, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        fentry_times_a_32_bit_wait4_exactly,
        fentry_times_a_32_bit_waitid_exactly,
        fentry_times_io_uring_exactly,
        fentry_names_the_child_of_a_wait4_for_any_that_fails_with_efault,
        fentry_names_the_child_of_a_waitid_for_any_without_siginfo,
        fentry_tells_when_a_dying_init_reaps,
        fentry_changes_nothing_about_a_reap_by_wait4,
        fentry_changes_nothing_but_precision_about_a_32_bit_wait4,
        fentry_changes_nothing_but_precision_about_io_uring,
        fentry_changes_nothing_about_auto_reaped_children,
        fentry_changes_nothing_about_children_that_are_never_waited_for,
    ]
}

/// So much longer than the minimum age that two tracers on a busy machine both tell of the zombie in time.
const LONG_DELAY: &str = "3000";

/// A reap by the parent itself, exact in time, by this call as far as it is known.
fn is_timed_exactly(how: &str, what: &str, via: &str) -> TestResult {
    require::fentry()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["reap", "--how", how, "--delay-ms", DELAY]);
    let parent = actor.supported_line("parent", what)?.pid();
    let (died, reaped) = (actor.line("died"), actor.line("reaped"));
    let event = tracer.expect("the reap", soon(), about("reaped", died.pid()));
    assert_eq!((event.text("/precision"), event.text("/via")), (Some("exact"), Some(via)), "{event}");
    assert_eq!((event.pid_of("parent"), event.pid_of("reaper")), (Some(parent), Some(parent)), "{event}");
    assert_eq!(event.exit_code(), Some(7), "{event}");
    agrees_with_the_actor(&event, &died, &reaped);
    Ok(())
}

fn fentry_times_a_32_bit_wait4_exactly() -> TestResult {
    is_timed_exactly("wait4-compat", "32-bit system calls", "unknown")
}

fn fentry_times_a_32_bit_waitid_exactly() -> TestResult {
    is_timed_exactly("waitid-compat", "32-bit system calls", "unknown")
}

fn fentry_times_io_uring_exactly() -> TestResult {
    is_timed_exactly("io-uring", "waitid by io_uring", "unknown")
}

fn fentry_names_the_child_of_a_wait4_for_any_that_fails_with_efault() -> TestResult {
    is_timed_exactly("wait-any-efault", "wait4", "wait4")
}

fn fentry_names_the_child_of_a_waitid_for_any_without_siginfo() -> TestResult {
    is_timed_exactly("waitid-any-null", "waitid", "waitid")
}

fn fentry_tells_when_a_dying_init_reaps() -> TestResult {
    require::fentry()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["pidns-init", "--orphans", "3"]);
    let init = actor.line("init").pid();
    let orphans = actor.lines("orphan", 3);
    for orphan in &orphans {
        tracer.expect("the orphan's zombie", soon(), about("zombie", orphan.pid()));
    }
    actor.end();
    for orphan in &orphans {
        let event = tracer.expect("the end of the zombie", soon(), about("reaped", orphan.pid()));
        assert_eq!((event.text("/precision"), event.text("/via")), (Some("exact"), Some("kernel")), "{event}");
        assert_eq!((event.pid_of("parent"), event.pid_of("reaper")), (Some(init), Some(init)), "{event}");
    }
    Ok(())
}

/// What an event says that must be the same with and without fentry: all but how exact it is.
fn told(event: &Event) -> Value {
    let mut told = event.0.clone();
    let of_fentry: &[&str] = if event.is("reaped") {
        &["time", "zombie_ns", "precision", "reaper"]
    } else {
        // The time, the age and evidence like "17 calls" are those of each tracer's own moment.
        &["time", "age_ns", "since", "evidence"]
    };
    if let Some(fields) = told.as_object_mut() {
        of_fentry.iter().for_each(|field| drop(fields.remove(*field)));
    }
    told
}

/// All that a tracer said of children of this process, the summary's accusation included.
fn said_of(finished: &Finished, parent: i32) -> Vec<Value> {
    let mut said: Vec<Value> = finished.having(|event| event.pid_of("parent") == Some(parent)).map(told).collect();
    said.sort_by_key(ToString::to_string);
    said.extend(finished.accusation(parent).map(|accusation| {
        let fields = ["process", "cause", "zombies_now", "zombies_total"];
        fields.iter().map(|&field| (field.to_owned(), accusation[field].clone())).collect()
    }));
    said
}

/// Runs the actor under two tracers at once, one of which does without fentry, until each has told so many events of
/// this kind about the actor's children; and returns what both say of them.
fn by_both(
    arguments: &[&str],
    what: &str,
    kind: &str,
    count: usize,
) -> Result<[Finished; 2], zombie_trace_tests::Skip> {
    require::fentry()?;
    let min_age = format!("{MIN_AGE_MS}ms");
    let arguments_of = |without: bool| ["--min-age", &min_age].into_iter().chain(without.then_some("--no-fentry"));
    let tracers = [false, true].map(|without| Tracer::live(arguments_of(without)).start());
    let mut actor = Actor::spawn(arguments);
    let parent = actor.supported_line("parent", what)?.pid();
    actor.line("ready");
    for tracer in &tracers {
        tracer.expect_each("what becomes of the children", count, soon(), |event| {
            event.is(kind) && event.pid_of("parent") == Some(parent)
        });
        tracer.fence();
    }
    let finished = tracers.map(Tracer::stop);
    for one in &finished {
        one.has_lost_nothing();
    }
    let [with, without] = [&finished[0], &finished[1]].map(|finished| said_of(finished, parent));
    assert!(with.len() >= count, "{with:?}");
    assert_eq!(with, without);
    Ok(finished)
}

fn precisions(finished: &[Finished; 2], parent_of: &str) -> [Vec<String>; 2] {
    [&finished[0], &finished[1]].map(|finished| {
        let reaps = finished.having(|event| event.is("reaped") && event.text("/parent/comm") == Some(parent_of));
        reaps.filter_map(|event| event.text("/precision").map(ToOwned::to_owned)).collect()
    })
}

fn is_the_same_but_for_precision(how: &str, what: &str, without: &str) -> TestResult {
    let finished = by_both(&["reap", "--how", how, "--delay-ms", LONG_DELAY], what, "reaped", 1)?;
    let [first, second] = precisions(&finished, "zt-actor");
    assert!(first.iter().any(|it| it == "exact") && second.iter().any(|it| it == without), "{first:?} {second:?}");
    Ok(())
}

fn fentry_changes_nothing_about_a_reap_by_wait4() -> TestResult {
    is_the_same_but_for_precision("wait4", "wait4", "exact")
}

fn fentry_changes_nothing_but_precision_about_a_32_bit_wait4() -> TestResult {
    is_the_same_but_for_precision("wait4-compat", "32-bit system calls", "upper-bound")
}

fn fentry_changes_nothing_but_precision_about_io_uring() -> TestResult {
    is_the_same_but_for_precision("io-uring", "waitid by io_uring", "upper-bound")
}

fn fentry_changes_nothing_about_auto_reaped_children() -> TestResult {
    by_both(&["auto-reap", "--how", "nocldwait", "--children", "3"], "SA_NOCLDWAIT", "auto_reaped", 3)?;
    Ok(())
}

fn fentry_changes_nothing_about_children_that_are_never_waited_for() -> TestResult {
    by_both(&["never-waits", "--children", "5"], "fork", "zombie", 5)?;
    Ok(())
}
