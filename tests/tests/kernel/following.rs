//! Filters: a command and its descendants, a process and its descendants, a time.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Line, TestResult, Tracer, binaries, process, require, tests};

use super::{about, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_command_is_followed_alone_and_its_exit_code_reported,
        a_process_is_followed_with_its_descendants_alone,
        a_tracer_with_a_time_limit_ends_by_itself,
        ctrl_c_ends_with_a_summary,
        a_reader_that_has_gone_ends_the_tracer_with_success,
    ]
}

/// Waits for a line, so that it starts when it is told to; its actor talks on stderr because stdout is the tracer's.
const SCRIPT: &str = r#"read go; exec "$@" >&2"#;

/// A process that shares nothing with what is followed, and its zombie.
fn bystander() -> (Actor, i32) {
    let mut actor = Actor::spawn(["never-waits"]);
    let child = actor.line("child").pid();
    (actor, child)
}

fn a_command_is_followed_alone_and_its_exit_code_reported() -> TestResult {
    require::tracing()?;
    let actor = binaries::actor().to_string_lossy();
    let (_before, older) = bystander();
    let arguments = [
        "--min-age",
        "200ms",
        "--",
        "sh",
        "-c",
        SCRIPT,
        "sh",
        &actor,
        "never-waits",
        "--children",
        "3",
        "--own-exit-code",
        "7",
    ];
    let mut tracer = Tracer::live(arguments).start();
    let (_after, younger) = bystander();
    tracer.order("go");
    tracer.expect_stderr("the command's ready", soon(), |line| line == "ready");
    let lines: Vec<Line> = tracer.stderr().into_iter().map(Line::new).collect();
    let children: Vec<i32> = lines.iter().filter(|line| line.word() == "child").map(Line::pid).collect();
    assert_eq!(children.len(), 3);
    for &child in &children {
        tracer.expect("the command's zombie", soon(), about("zombie", child));
    }
    tracer.close_stdin();
    let finished = tracer.finish(soon());
    finished.never("a process that is no descendant", |event| [older, younger].iter().any(|&pid| event.names(pid)));
    assert_eq!(finished.summary.number("/command/exit/code"), Some(7), "{}", finished.summary);
    Ok(())
}

fn a_process_is_followed_with_its_descendants_alone() -> TestResult {
    require::tracing()?;
    let mut followed = Actor::spawn(["reparent", "--grandchild", "alive"]);
    let grandchild = followed.line("grandchild").pid();
    followed.line("ready");
    let (_before, older) = bystander();
    let tracer = Tracer::live(["--min-age", "200ms", "--pid", &followed.pid().to_string()]).start();
    let (_after, younger) = bystander();
    followed.order("die");
    followed.line("died");
    // It died after the bystanders' children, so they would have been reported first.
    tracer.expect("the zombie of the followed", soon(), about("zombie", grandchild));
    tracer
        .stop()
        .never("a process that is no descendant", |event| [older, younger].iter().any(|&pid| event.names(pid)));
    Ok(())
}

fn a_tracer_with_a_time_limit_ends_by_itself() -> TestResult {
    require::tracing()?;
    let tracer = Tracer::live(["--for", "1s"]).start();
    let start = Instant::now();
    let finished = tracer.finish(soon());
    // It began to count before it said that it was ready, if only just.
    assert!(start.elapsed() > Duration::from_millis(500), "it ended after {:?}", start.elapsed());
    assert_eq!(finished.summary.text("/schema"), Some("zombie-trace.report/1"));
    Ok(())
}

fn ctrl_c_ends_with_a_summary() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["never-waits"]);
    let child = actor.line("child").pid();
    tracer.expect("a zombie", soon(), about("zombie", child));
    let finished = tracer.stop();
    assert!(finished.foreign.is_empty(), "stdout has only events: {:?}", finished.foreign);
    assert!(finished.summary.number("/totals/zombies") >= Some(1), "{}", finished.summary);
    assert!(finished.status.code().is_some(), "SIGINT is handled: {}", finished.status);
    Ok(())
}

fn a_reader_that_has_gone_ends_the_tracer_with_success() -> TestResult {
    require::tracing()?;
    // There is a zombie to report, so that it writes and finds out.
    let (_actor, _) = bystander();
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(binaries::zombie_trace());
    command
        .args(["live", "--format", "json", "--min-age", "0"])
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("the tool can be started");
    let mut status = None;
    process::eventually(soon(), || {
        status = child.try_wait().expect("the child is ours");
        status.is_some()
    });
    // Whatever comes of it, nothing stays behind; killing what has ended is refused, and right so.
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{status:?}");
    Ok(())
}
