//! Programs that reap as PID 1 are not accused; one that does not is, over the same workload.

use std::time::Duration;

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Namespace, TestResult, Tracer, binaries, clock, require, tests};

use super::{MIN_AGE_MS, soon};

pub(crate) fn all() -> Vec<Test> {
    tests![
        tini_is_not_accused,
        dumb_init_is_not_accused,
        catatonit_is_not_accused,
        bash_is_not_accused,
        busybox_is_not_accused,
        a_program_that_is_no_init_is_accused_over_the_same_workload,
    ]
}

/// Orphans that die one after the other.
const WORKLOAD: &str = "orphan-storm --count 30 --over-ms 300";

/// Reports zombies of more than a diligent init takes for want of a processor, which is longer where one is emulated.
fn tracer() -> Tracer {
    let min_age = clock::scaled(Duration::from_millis(MIN_AGE_MS));
    Tracer::live(["--min-age", &format!("{}ms", min_age.as_millis())]).start()
}

/// The workload as a child of this program as PID 1; `{words}` and `{line}` stand for it.
fn is_not_accused(program: &str, command: &[&str]) -> TestResult {
    require::tracing()?;
    let program = require::program(program)?;
    let tracer = tracer();
    let workload = format!("{} {WORKLOAD}", binaries::actor().display());
    let command = command.iter().flat_map(|&word| match word {
        "{words}" => workload.split(' ').map(ToOwned::to_owned).collect(),
        // A shell that runs only one command becomes it.
        "{line}" => vec![format!("{workload}; true")],
        word => vec![word.to_owned()],
    });
    let began = clock::boot_now();
    let mut actor = Actor::spawn(
        ["pidns-exec", "--"].map(ToOwned::to_owned).into_iter().chain([program.display().to_string()]).chain(command),
    );
    let init = actor.line("init");
    assert_eq!(actor.line("all-reaped").number("count"), 30, "the init reaped its orphans");
    tracer.fence();
    let namespace = Namespace::until_now(init.number("pid_ns"), began);
    let finished = tracer.stop();
    finished.never("a zombie under a diligent init", |event| event.is("zombie") && namespace.has_the("process", event));
    assert_eq!(finished.accusation(init.pid()), None);
    finished.has_lost_nothing();
    Ok(())
}

fn tini_is_not_accused() -> TestResult {
    is_not_accused("tini", &["--", "{words}"])
}

fn dumb_init_is_not_accused() -> TestResult {
    is_not_accused("dumb-init", &["{words}"])
}

fn catatonit_is_not_accused() -> TestResult {
    is_not_accused("catatonit", &["--", "{words}"])
}

fn bash_is_not_accused() -> TestResult {
    is_not_accused("bash", &["-c", "{line}"])
}

fn busybox_is_not_accused() -> TestResult {
    is_not_accused("busybox", &["sh", "-c", "{line}"])
}

fn a_program_that_is_no_init_is_accused_over_the_same_workload() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let began = clock::boot_now();
    let actor_binary = binaries::actor().display().to_string();
    let arguments = ["pidns-exec", "--", &actor_binary].into_iter().chain(WORKLOAD.split(' '));
    let mut actor = Actor::spawn(arguments.chain(["--deadline-ms", "600000"]));
    let init = actor.line("init");
    (0..30).for_each(|_| drop(actor.line("orphan")));
    let namespace = Namespace::until_now(init.number("pid_ns"), began);
    let zombies = tracer.expect_each("zombies under no init", 30, soon(), |event| {
        event.is("zombie") && namespace.has_the("process", event)
    });
    for zombie in &zombies {
        assert_eq!(zombie.pid_of("parent"), Some(init.pid()), "{zombie}");
        assert_eq!(zombie.cause(), Some("init-does-not-reap"), "{zombie}");
    }
    Ok(())
}
