//! Who is to blame, and why.

use std::collections::BTreeMap;

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, TestResult, Tracer, require, tests};

use super::{about, children_of, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        forty_children_never_waited_for_are_forty_zombies_of_one_parent,
        children_killed_by_a_signal_are_reported_with_it,
        a_zombie_that_was_there_before_the_start_is_marked_so,
        orphans_under_an_application_as_pid_1_blame_it,
        orphans_under_a_pid_1_that_waits_for_its_own_child_blame_it,
        orphans_under_a_subreaper_that_never_waits_blame_it,
        a_parent_that_reaps_on_a_timer_is_a_lazy_reaper,
        a_zombie_left_by_its_dead_parent_belongs_to_the_adopter,
        a_living_orphan_that_dies_later_belongs_to_the_adopter,
        an_old_zombie_that_passes_on_is_told_of_both,
    ]
}

/// The cause in the summary's accusation of this parent, and how many zombies it has now.
fn is_accused(summary: &zombie_trace_tests::Finished, parent: i32, cause: &str, zombies_now: i64) {
    let accusation =
        summary.accusation(parent).unwrap_or_else(|| panic!("{parent} is not accused: {}", summary.summary));
    assert_eq!(accusation["cause"], cause, "{accusation}");
    assert_eq!(accusation["zombies_now"], zombies_now, "{accusation}");
    assert!(accusation["advice"].as_str().is_some_and(|advice| !advice.is_empty()), "{accusation}");
}

fn has_evidence(event: &Event) {
    let evidence = event.at("/evidence").and_then(|evidence| evidence.as_array()).expect("evidence is a list");
    assert!(evidence.iter().all(|text| text.as_str().is_some_and(|text| !text.is_empty())), "{event}");
    assert!(!evidence.is_empty(), "{event}");
    assert!(event.text("/advice").is_some_and(|advice| !advice.is_empty()), "{event}");
}

fn forty_children_never_waited_for_are_forty_zombies_of_one_parent() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["never-waits", "--children", "40"]);
    let parent = actor.line("parent").pid();
    let expected: BTreeMap<i32, i64> =
        actor.lines("child", 40).iter().map(|child| (child.pid(), i64::from(child.small("exit")))).collect();
    let zombies = tracer.expect_each("forty zombies", 40, soon(), children_of("zombie", parent));
    let reported: BTreeMap<i32, i64> =
        zombies.iter().filter_map(|zombie| Some((zombie.pid()?, zombie.exit_code()?))).collect();
    assert_eq!(reported, expected);
    for zombie in &zombies {
        assert_eq!(zombie.cause(), Some("never-waits"), "{zombie}");
        assert_eq!(zombie.at("/preexisting"), Some(&false.into()), "{zombie}");
        assert!(zombie.number("/age_ns") >= Some(200_000_000), "{zombie}");
        has_evidence(zombie);
    }
    let finished = tracer.stop();
    assert_eq!(finished.having(children_of("zombie", parent)).count(), 40);
    is_accused(&finished, parent, "never-waits", 40);
    Ok(())
}

fn children_killed_by_a_signal_are_reported_with_it() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["never-waits", "--children", "4", "--signal", "SEGV", "--signal-every", "2"]);
    for child in actor.lines("child", 4) {
        let zombie = tracer.expect("the zombie", soon(), about("zombie", child.pid()));
        let signal = child.get("signal").and_then(|signal| signal.parse().ok());
        let code = child.get("exit").and_then(|code| code.parse().ok());
        assert_eq!((zombie.exit_signal(), zombie.exit_code()), (signal, code), "{zombie}");
    }
    Ok(())
}

fn a_zombie_that_was_there_before_the_start_is_marked_so() -> TestResult {
    require::tracing()?;
    let mut actor = Actor::spawn(["never-waits", "--exit-code-from", "77"]);
    let parent = actor.line("parent").pid();
    let child = actor.line("child").pid();
    actor.line("ready");
    let tracer = tracer();
    let zombie = tracer.expect("the older zombie", soon(), about("zombie", child));
    assert_eq!(zombie.at("/preexisting"), Some(&true.into()), "{zombie}");
    assert_eq!(zombie.pid_of("parent"), Some(parent), "{zombie}");
    assert_eq!(zombie.exit_code(), Some(77), "{zombie}");
    actor.end();
    tracer.expect("its reap", soon(), about("reaped", child));
    Ok(())
}

/// Orphans that this actor adopts and neglects blame the adopter, for this cause.
fn orphans_blame(arguments: &[&str], adopter: &str, cause: &str) -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(arguments.iter().copied().chain(["--orphans", "3"]));
    let adopter = actor.line(adopter).pid();
    for orphan in actor.lines("orphan", 3) {
        let zombie = tracer.expect("the orphan's zombie", soon(), about("zombie", orphan.pid()));
        assert_eq!(zombie.cause(), Some(cause), "{zombie}");
        assert_eq!(zombie.pid_of("parent"), Some(adopter), "{zombie}");
        assert_eq!(zombie.exit_code(), Some(i64::from(orphan.small("exit"))), "{zombie}");
        assert_eq!(zombie.number("/process/ns_pid"), Some(i64::from(orphan.small("ns_pid"))), "{zombie}");
        has_evidence(&zombie);
    }
    is_accused(&tracer.stop(), adopter, cause, 3);
    Ok(())
}

fn orphans_under_an_application_as_pid_1_blame_it() -> TestResult {
    orphans_blame(&["pidns-init"], "init", "init-does-not-reap")
}

fn orphans_under_a_pid_1_that_waits_for_its_own_child_blame_it() -> TestResult {
    orphans_blame(&["pidns-init", "--init", "waits-for-others"], "init", "init-does-not-reap")
}

fn orphans_under_a_subreaper_that_never_waits_blame_it() -> TestResult {
    orphans_blame(&["subreaper"], "subreaper", "subreaper-does-not-reap")
}

fn a_parent_that_reaps_on_a_timer_is_a_lazy_reaper() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["lazy", "--period-ms", "600", "--children", "3"]);
    let parent = actor.line("parent").pid();
    // The habit shows in the reaps: two bursts, then the zombies of the third round.
    actor.lines("round", 2);
    let seen = tracer.expect_many("zombies of two rounds", 6, soon(), children_of("zombie", parent)).len();
    let later = tracer.expect_many("zombies after that", seen + 1, soon(), children_of("zombie", parent));
    let latest = later.last().expect("there are some");
    assert_eq!(latest.cause(), Some("lazy-reaper"), "{latest}");
    let finished = tracer.stop();
    let accusation = finished.accusation(parent).expect("the lazy parent is accused");
    assert_eq!(accusation["cause"], "lazy-reaper", "{accusation}");
    Ok(())
}

/// A tracer and a grandchild that is a zombie after its parent has died and been reaped.
fn orphaned(grandchild: &str, die: &[&str]) -> (Tracer, Actor, i32, i32) {
    let tracer = tracer();
    let mut actor = Actor::spawn(["reparent", "--grandchild", grandchild]);
    let adopter = actor.line("adopter").pid();
    let child = actor.line("grandchild").pid();
    actor.line("ready");
    actor.order("orphan");
    actor.line("orphaned");
    for order in die {
        actor.order(order);
        actor.line("died");
    }
    (tracer, actor, adopter, child)
}

fn belongs_to_the_adopter(grandchild: &str, die: &[&str]) -> TestResult {
    require::tracing()?;
    let (tracer, mut actor, adopter, child) = orphaned(grandchild, die);
    let adopted = |event: &Event| about("zombie", child)(event) && event.pid_of("parent") == Some(adopter);
    tracer.expect("the adopter's zombie", soon(), adopted);
    actor.order("reap");
    actor.line("reaped");
    let reaped = tracer.expect("its reap", soon(), about("reaped", child));
    assert_eq!(reaped.pid_of("reaper"), Some(adopter), "{reaped}");
    assert_eq!(reaped.pid_of("parent"), Some(adopter), "{reaped}");
    assert_eq!(reaped.exit_code(), Some(33), "{reaped}");
    let finished = tracer.stop();
    assert_eq!(finished.having(about("zombie", child)).count(), 1, "one zombie is reported once");
    Ok(())
}

fn a_zombie_left_by_its_dead_parent_belongs_to_the_adopter() -> TestResult {
    belongs_to_the_adopter("zombie", &[])
}

fn a_living_orphan_that_dies_later_belongs_to_the_adopter() -> TestResult {
    belongs_to_the_adopter("alive", &["die"])
}

fn an_old_zombie_that_passes_on_is_told_of_both() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["reparent", "--grandchild", "zombie"]);
    let adopter = actor.line("adopter").pid();
    let child = actor.line("grandchild").pid();
    actor.line("ready");
    let zombie = tracer.expect("the first parent's zombie", soon(), about("zombie", child));
    let parent = zombie.pid_of("parent").expect("it has a parent");
    assert_ne!(parent, adopter, "{zombie}");
    assert_eq!(zombie.at("/waiters"), None, "{zombie}");
    actor.order("orphan");
    actor.line("orphaned");
    actor.order("reap");
    actor.line("reaped");
    let reaped = tracer.expect("its reap", soon(), about("reaped", child));
    let waiters = reaped.at("/waiters").and_then(serde_json::Value::as_array).expect("there were several");
    let pids: Vec<_> = waiters.iter().map(|it| it["process"]["pid"].as_i64()).collect();
    assert_eq!(pids, [Some(parent.into()), Some(adopter.into())], "{reaped}");
    assert_eq!(waiters[0]["cause"].as_str(), zombie.cause(), "{reaped}");
    assert_eq!(waiters[0]["until"], waiters[1]["since"], "{reaped}");
    assert!(waiters[0]["until"].is_string(), "{reaped}");
    let finished = tracer.stop();
    let accusation = finished.accusation(parent).expect("the first parent is accused");
    assert_eq!(accusation["passed_on"]["count"], 1, "{accusation}");
    assert_eq!(accusation["passed_on"]["to"]["pid"], adopter, "{accusation}");
    assert_eq!(accusation["zombies_now"], 0, "{accusation}");
    Ok(())
}
