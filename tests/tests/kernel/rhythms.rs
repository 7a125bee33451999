//! Parents that waited before: one reap excuses nobody, and a rhythm does for a while.

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, TestResult, require, tests};

use super::{about, children_of, evidence, says, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_parent_that_reaped_one_child_is_not_excused,
        a_call_from_before_tracing_that_reaped_a_child_is_no_excuse,
        a_pid_1_that_waited_once_is_not_excused,
        python_as_pid_1_that_waits_for_its_migration_and_serves,
        a_parent_that_looks_now_and_then_is_not_accused_in_between,
        a_parent_that_waits_for_each_child_by_its_pid_but_late_is_lazy,
        a_handler_that_its_first_delivery_removed_is_told,
        a_handler_that_sleeps_for_a_lock_is_told,
        a_sibling_made_by_clone_parent_was_never_adopted,
    ]
}

/// Every child that this parent leaves is told with this cause, and so is the parent in the summary.
fn leaves(how: &str, cause: &str, words: &[&str]) -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["rhythm", "--how", how]);
    let parent = actor.line("parent").pid();
    for child in actor.lines("child", 2) {
        let zombie = tracer.expect("what it leaves", soon(), about("zombie", child.pid()));
        assert_eq!(zombie.cause(), Some(cause), "{zombie}");
        says(&zombie, words);
        assert!(!evidence(&zombie).contains(" ago"), "{zombie}");
    }
    let finished = tracer.stop();
    let accusation = finished.accusation(parent).unwrap_or_else(|| panic!("no accusation: {}", finished.summary));
    assert_eq!(accusation["cause"], cause, "{accusation}");
    Ok(())
}

fn a_parent_that_reaped_one_child_is_not_excused() -> TestResult {
    for how in ["once-for-any", "once-by-pid"] {
        leaves(how, "never-waits", &["called wait in the ", "reaped 1 child, ", "before this child died"])?;
    }
    Ok(())
}

fn a_call_from_before_tracing_that_reaped_a_child_is_no_excuse() -> TestResult {
    require::tracing()?;
    let mut actor = Actor::spawn(["rhythm", "--how", "once-when-told"]);
    let parent = actor.line("parent").pid();
    let tracer = tracer();
    actor.order("end");
    actor.line("reaped");
    for child in actor.lines("child", 2) {
        let zombie = tracer.expect("what it leaves", soon(), about("zombie", child.pid()));
        assert_eq!(zombie.cause(), Some("never-waits"), "{zombie}");
        assert_eq!(zombie.pid_of("parent"), Some(parent), "{zombie}");
    }
    Ok(())
}

fn a_pid_1_that_waited_once_is_not_excused() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["pidns-init", "--init", "waits-once", "--orphans", "2"]);
    let init = actor.line("init").pid();
    for orphan in actor.lines("orphan", 2) {
        let zombie = tracer.expect("the orphan's zombie", soon(), about("zombie", orphan.pid()));
        assert_eq!(zombie.cause(), Some("init-does-not-reap"), "{zombie}");
        says(&zombie, &["waited for any child (waitpid -1) in the ", "reaped 1 child", "adopted the zombie"]);
    }
    let finished = tracer.stop();
    let accusation = finished.accusation(init).unwrap_or_else(|| panic!("no accusation: {}", finished.summary));
    assert_eq!(accusation["cause"], "init-does-not-reap", "{accusation}");
    Ok(())
}

fn python_as_pid_1_that_waits_for_its_migration_and_serves() -> TestResult {
    require::tracing()?;
    let python = require::program("python3")?.display().to_string();
    let tracer = tracer();
    // The migration starts a helper that outlives it, and dies only when the server is there. The server goes on until the
    // namespace ends: its stdin says nothing, since it is at its end from the start.
    let script = "import os, signal\n\
                  ready, go = os.pipe()\n\
                  if os.fork() == 0:\n\
                  \x20   if os.fork() == 0:\n\
                  \x20       os.read(ready, 1)\n\
                  \x20       os._exit(9)\n\
                  \x20   os._exit(0)\n\
                  os.wait()\n\
                  os.write(go, b'x')\n\
                  signal.pause()";
    let mut actor = Actor::spawn(["pidns-exec", "--", &python, "-c", script]);
    let init = actor.line("init").pid();
    let zombie = tracer.expect("the helper's zombie", soon(), children_of("zombie", init));
    assert_eq!((zombie.cause(), zombie.exit_code()), (Some("init-does-not-reap"), Some(9)), "{zombie}");
    Ok(())
}

/// It looks every three fifths of a second, and a zombie is told after a fifth: not before it has looked once more, and
/// not, is its silence held against it.
fn a_parent_that_looks_now_and_then_is_not_accused_in_between() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["lazy", "--period-ms", "600", "--children", "1"]);
    let parent = actor.line("parent").pid();
    let zombies = tracer.expect_each("zombies in several rounds", 4, soon(), children_of("zombie", parent));
    // Until it has reaped for the first time, nothing is known of its rhythm.
    for zombie in zombies.iter().skip(2) {
        assert_eq!(zombie.cause(), Some("lazy-reaper"), "{zombie}");
    }
    Ok(())
}

fn a_parent_that_waits_for_each_child_by_its_pid_but_late_is_lazy() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["rhythm", "--how", "late-by-pid"]);
    let parent = actor.line("parent").pid();
    actor.lines("late", 3);
    let seen = tracer.expect_many("first zombies", 1, soon(), children_of("zombie", parent)).len();
    let later = tracer.expect_many("later zombies", seen + 4, soon(), children_of("zombie", parent));
    let zombie = later.last().expect("there are some");
    assert_eq!(zombie.cause(), Some("lazy-reaper"), "{zombie}");
    says(zombie, &["late", "time to reap"]);
    assert!(zombie.text("/advice").is_some_and(|advice| !advice.contains("waitpid(-1")), "{zombie}");
    let finished = tracer.stop();
    let accusation = finished.accusation(parent).unwrap_or_else(|| panic!("no accusation: {}", finished.summary));
    // Where it was about to run when it was looked at last, nothing is said of why.
    assert!(matches!(accusation["cause"].as_str(), Some("lazy-reaper" | "unknown")), "{accusation}");
    Ok(())
}

fn a_handler_that_its_first_delivery_removed_is_told() -> TestResult {
    leaves("handler-reset", "handler-reset", &["SIGCHLD handler of ", "at its default disposition", "reaped 1 child"])
}

fn a_handler_that_sleeps_for_a_lock_is_told() -> TestResult {
    leaves("handler-stuck", "handler-stuck", &["has not returned", "futex"])
}

fn a_sibling_made_by_clone_parent_was_never_adopted() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["clone-parent"]);
    let (cloner, child) = (actor.line("cloner").pid(), actor.line("child").pid());
    let zombie = tracer.expect("the zombie", soon(), about("zombie", child));
    assert_eq!(zombie.cause(), Some("never-waits"), "{zombie}");
    says(&zombie, &[&format!("(pid {cloner}) created it with CLONE_PARENT"), "from the start"]);
    assert!(!evidence(&zombie).contains("adopted"), "{zombie}");
    Ok(())
}
