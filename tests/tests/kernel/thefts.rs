//! Statuses that one thread takes and another waits for.

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, TestResult, require, tests};

use super::{about, says, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_status_that_another_thread_took_is_stolen,
        a_status_that_is_awaited_by_pidfd_is_stolen_each_time,
        a_status_that_the_same_thread_took_is_not_stolen,
        a_status_that_a_handler_took_from_its_own_thread_is_stolen,
        python_whose_thread_reaps_for_subprocess_loses_statuses,
    ]
}

fn a_status_that_another_thread_took_is_stolen() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["status-stolen"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    let stolen = tracer.expect("the theft", soon(), about("status_stolen", child));
    assert_eq!(stolen.pid_of("parent"), Some(parent), "{stolen}");
    let (taken, missed) = (actor.line("taken").number("thread"), actor.line("missed").number("thread"));
    says(&stolen, &[&format!("thread {taken} had already reaped it"), &format!("thread {missed} of")]);
    let finished = tracer.stop();
    assert!(finished.finding("zombies/status-stolen/", parent).is_some(), "{}", finished.summary);
    Ok(())
}

fn a_status_that_is_awaited_by_pidfd_is_stolen_each_time() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    // The descriptors of all three have the same number.
    let mut actor = Actor::spawn(["status-stolen", "--by-pidfd", "--children", "3"]);
    for _ in 0..3 {
        let child = actor.line("child").pid();
        tracer.expect("the theft", soon(), about("status_stolen", child));
    }
    Ok(())
}

fn a_status_that_the_same_thread_took_is_not_stolen() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["status-stolen", "--who", "same"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    actor.line("ready");
    tracer.fence();
    let finished = tracer.stop();
    finished.never("a theft", about("status_stolen", child));
    assert!(finished.finding("zombies/status-stolen/", parent).is_none(), "{}", finished.summary);
    Ok(())
}

fn a_status_that_a_handler_took_from_its_own_thread_is_stolen() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["status-stolen", "--who", "interrupted", "--children", "3"]);
    let parent = actor.line("parent").pid();
    for _ in 0..3 {
        let child = actor.line("child").pid();
        let stolen = tracer.expect("the theft", soon(), about("status_stolen", child));
        says(&stolen, &["the same thread had already reaped it", "gone to the handler", "exit 7"]);
        assert_eq!(stolen.at("/taken_by"), stolen.at("/missed_by"), "{stolen}");
    }
    let finished = tracer.stop();
    let finding = finished.finding("zombies/status-stolen/", parent).expect("it is a finding").to_string();
    assert!(finding.contains("handler"), "{finding}");
    Ok(())
}

fn python_whose_thread_reaps_for_subprocess_loses_statuses() -> TestResult {
    require::tracing()?;
    let python = require::program("python3")?;
    let tracer = tracer();
    let script = "import os, subprocess, sys, threading\nprint(f'parent pid={os.getpid()}', flush=True)\n\
                  child = subprocess.Popen(['true'])\nreaper = threading.Thread(target=lambda: os.waitpid(-1, 0))\n\
                  reaper.start(); reaper.join()\nprint(f'child pid={child.pid} returned={child.wait()}', flush=True)\n\
                  sys.stdin.read()";
    let mut actor = Actor::run(&python, ["-c", script]);
    let parent = actor.line("parent").pid();
    let child = actor.line("child").pid();
    let stolen = tracer.expect("the theft", soon(), about("status_stolen", child));
    assert_eq!(stolen.pid_of("parent"), Some(parent), "{stolen}");
    Ok(())
}
