//! Causes in programs that others wrote.

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, TestResult, binaries, require, tests};

use super::super::{children_of, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        python_that_forks_and_forgets_gets_advice_for_python,
        a_shell_that_became_another_program_left_it_its_children,
    ]
}

fn python_that_forks_and_forgets_gets_advice_for_python() -> TestResult {
    require::tracing()?;
    let python = require::program("python3")?;
    let tracer = tracer();
    let script = "import os, sys\nif os.fork() == 0: os._exit(3)\nprint(f'parent pid={os.getpid()}', flush=True)\n\
                  sys.stdin.read()";
    let mut actor = Actor::run(&python, ["-c", script]);
    let parent = actor.line("parent").pid();
    let zombie = tracer.expect("python's zombie", soon(), children_of("zombie", parent));
    assert_eq!(zombie.cause(), Some("never-waits"), "{zombie}");
    assert!(zombie.text("/advice").is_some_and(|advice| advice.contains("os.waitpid()")), "{zombie}");
    Ok(())
}

fn a_shell_that_became_another_program_left_it_its_children() -> TestResult {
    require::tracing()?;
    let bash = require::program("bash")?;
    let tracer = tracer();
    let actor_binary = binaries::actor().display().to_string();
    // The job ends when the shell has become a program that knows nothing of it: before, the shell would reap it.
    let script = format!(
        "echo parent pid=$$; (until grep -q zt-actor /proc/$$/comm; do true; done; exit 5) & exec {actor_binary} hold"
    );
    let mut actor = Actor::run(&bash, ["-c", &script]);
    let parent = actor.line("parent").pid();
    let zombie = tracer.expect("the zombie of the job", soon(), children_of("zombie", parent));
    assert_eq!((zombie.cause(), zombie.exit_code()), (Some("never-waits"), Some(5)), "{zombie}");
    assert_eq!(zombie.text("/parent/comm"), Some("zt-actor"), "{zombie}");
    Ok(())
}
