//! What a parent does instead of waiting: the call that it sits in, and who keeps it there.

use serde_json::Value;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, TestResult, Tracer, require, tests};

use super::{MIN_AGE_MS, about, says, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_pipe_that_is_read_to_its_end_names_who_holds_it_open,
        a_socket_that_is_read_to_its_end_names_who_holds_the_other_end,
        a_pipe_that_is_polled_names_who_holds_it_open,
        a_thread_that_waits_for_another_child_is_told_with_that_child,
        a_parent_that_computes_is_told_as_running,
        a_parent_that_stays_where_it_is_is_told_for_how_long,
        a_parent_in_vfork_is_told_with_its_child,
        a_recording_tells_it_without_the_process,
    ]
}

struct Scene {
    actor: Actor,
    parent: i32,
    holder: i32,
    child: i32,
}

impl Scene {
    fn begin(how: &str) -> Self {
        let mut actor = Actor::spawn(["instead", "--how", how]);
        let parent = actor.line("parent").pid();
        let holder = actor.line("holder").pid();
        let child = actor.line("child").pid();
        actor.line("ready");
        Self { actor, parent, holder, child }
    }
}

/// The records of `doing`.
fn doing(event: &Event) -> Vec<Value> {
    event.at("/doing").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// One of the threads is in this call, for something with all these words.
#[track_caller]
fn is_in(event: &Event, call: &str, words: &[&str]) {
    let found = doing(event).into_iter().any(|thread| {
        let object = thread["object"].as_str().unwrap_or_default();
        thread["syscall"].as_str().is_some_and(|name| name.contains(call)) && words.iter().all(|it| object.contains(it))
    });
    assert!(found, "no thread is in {call} for {words:?}: {event}");
}

fn holds_the_end(how: &str, call: &str, what: &str) -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let scene = Scene::begin(how);
    let zombie = tracer.expect("its zombie", soon(), about("zombie", scene.child));
    assert_eq!(zombie.cause(), Some("never-waits"), "{zombie}");
    let holder = format!("(pid {})", scene.holder);
    is_in(&zombie, call, &[what, &holder]);
    says(&zombie, &["when sampled", &holder]);
    let advice = zombie.text("/advice").expect("there is advice");
    assert!(advice.contains(&holder) && advice.contains("/dev/null"), "{zombie}");
    Ok(())
}

fn a_pipe_that_is_read_to_its_end_names_who_holds_it_open() -> TestResult {
    holds_the_end("read", "read", "a pipe whose write end")
}

fn a_socket_that_is_read_to_its_end_names_who_holds_the_other_end() -> TestResult {
    require::unix_socket_diagnostics()?;
    holds_the_end("read-socket", "read", "a socket whose other end")
}

fn a_pipe_that_is_polled_names_who_holds_it_open() -> TestResult {
    holds_the_end("poll", "poll", "a pipe whose write end")
}

fn a_thread_that_waits_for_another_child_is_told_with_that_child() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let scene = Scene::begin("thread");
    let zombie = tracer.expect("its zombie", soon(), about("zombie", scene.child));
    assert_eq!(zombie.cause(), Some("waits-for-others"), "{zombie}");
    let awaited = format!("(pid {})", scene.holder);
    is_in(&zombie, "wait", &["child ", &awaited]);
    is_in(&zombie, "futex", &["the end of a thread"]);
    says(&zombie, &["thread ", "waiting for child ", &awaited]);
    Ok(())
}

fn a_parent_that_computes_is_told_as_running() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let scene = Scene::begin("compute");
    let zombie = tracer.expect("its zombie", soon(), about("zombie", scene.child));
    let threads = doing(&zombie);
    assert!(threads.iter().any(|it| it["state"] == "R" && it["syscall"].is_null()), "{zombie}");
    Ok(())
}

fn a_parent_that_stays_where_it_is_is_told_for_how_long() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let scene = Scene::begin("read");
    let first = tracer.expect("its zombie", soon(), about("zombie", scene.child));
    assert!(doing(&first).iter().all(|it| it["since_ns"].is_null()), "one look tells nothing: {first}");
    // Its last look is at the end.
    let finished = tracer.stop();
    let parent = finished.accusation(scene.parent).unwrap_or_else(|| panic!("no accusation: {}", finished.summary));
    let since = parent.pointer("/doing/0/since_ns").and_then(Value::as_i64).unwrap_or(0);
    assert!(since > 0, "{parent}");
    let told = parent["evidence"].to_string();
    assert!(told.contains("for at least"), "{parent}");
    drop(scene.actor);
    Ok(())
}

fn a_parent_in_vfork_is_told_with_its_child() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["cannot-run", "--how", "vfork"]);
    let parent = actor.line("parent").pid();
    let zombie = tracer.expect("its zombie", soon(), super::children_of("zombie", parent));
    is_in(&zombie, "", &["its child ", "to call exec"]);
    Ok(())
}

fn a_recording_tells_it_without_the_process() -> TestResult {
    require::tracing()?;
    let folder = tempfile::TempDir::new().expect("there is room for a folder");
    let file = folder.path().join("trace.zt");
    let min_age = format!("{MIN_AGE_MS}ms");
    let tracer = Tracer::live(["--min-age", &min_age, "--record", &file.to_string_lossy()]).start();
    let scene = Scene::begin("read");
    tracer.expect("its zombie", soon(), about("zombie", scene.child));
    let finished = tracer.stop();
    drop(scene.actor);
    let parent = finished.accusation(scene.parent).unwrap_or_else(|| panic!("no accusation: {}", finished.summary));
    assert_eq!(parent.pointer("/doing/0/syscall"), Some(&"read".into()), "{parent}");
    let (report, ..) = super::recording::report(&[&file], MIN_AGE_MS);
    assert_eq!(report, finished.summary);
    Ok(())
}
