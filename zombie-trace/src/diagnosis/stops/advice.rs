//! Advice in the terms of the program that PID 1 is and of the container that it runs in.

use super::case::{StopCase, runtime};
use crate::{
    diagnosis::advice::init_in_front,
    event::Runtime,
    programs::INITS,
    signal::{self, SIGTERM},
};

/// How a PID 1 without a handler comes to have one.
pub(super) fn handle_it(case: &StopCase<'_>) -> String {
    let program = case.program_then();
    let look = case.stop.look.as_ref().filter(|_| case.stop.became.is_none());
    let signal = case.signal();
    let own = match runtime(program, look) {
        Some(Runtime::Shell) => format!(
            "Make the program PID 1 itself: `exec` it as the last command of the script. Or pass {signal} on: \
             `trap 'kill -TERM \"$child\"' TERM; app & child=$!; wait \"$child\"; wait \"$child\"`."
        ),
        Some(Runtime::Python) => {
            format!("Handle it: `signal.signal(signal.{signal}, lambda *_: sys.exit(0))`, or the framework's own way.")
        }
        Some(Runtime::Node) => {
            format!("Handle it: `process.on('{signal}', () => server.close(() => process.exit(0)))`.")
        }
        Some(Runtime::Go) => {
            "Handle it: `signal.NotifyContext(ctx, syscall.SIGTERM)`, and return from main.".to_owned()
        }
        Some(Runtime::Java) => {
            "Do not start the JVM with -Xrs: without it the JVM handles SIGTERM and runs the shutdown hooks.".to_owned()
        }
        None => {
            format!("Install a handler for {signal} that ends the program.")
        }
    };
    format!("{own} Or, so that the default action works: {}", lower(&init_in_front(case.cgroup(), None)))
}

/// What a handler does that ends the program.
pub(super) fn after_reraise(case: &StopCase<'_>, runtime: Option<Runtime>) -> String {
    let code = 128 + case.stop.signal;
    let own = match runtime {
        Some(Runtime::Node) => format!(
            "Node raises {} again by itself where the program has no handler: add `process.on('{}', () => \
             process.exit({code}))`.",
            case.signal(),
            case.signal()
        ),
        Some(Runtime::Shell) => format!("End the trap with `exit {code}` instead of `kill $$`."),
        _ => format!("In the handler call _exit({code}) after the clean-up when getpid() is 1, instead of raising."),
    };
    format!("{own} Or, so that raising works: {}", lower(&init_in_front(case.cgroup(), None)))
}

/// How PID 1 ends others before itself.
pub(super) fn pass_on(case: &StopCase<'_>, runtime: Option<Runtime>) -> String {
    let signal = case.signal();
    match runtime {
        Some(Runtime::Shell) => format!(
            "In the trap, pass {signal} on and wait: `trap 'kill -TERM \"$child\"' TERM; app & child=$!; wait \"$child\"; \
             wait \"$child\"`; or `exec` the program."
        ),
        _ if INITS.contains(&case.name().as_str()) => format!(
            "{} passes {signal} to its child only: make it reach the whole group (`tini -g`, and no `--single-child` for \
             dumb-init), or `exec` the program where a shell starts it.",
            case.name()
        ),
        _ => format!("Let {} pass {signal} on to what it started, and wait for that before it exits.", case.name()),
    }
}

/// Where the stop signal of a container is set.
pub(super) fn set_stop_signal(case: &StopCase<'_>, right: u32) -> String {
    let (sent, right) = (case.signal(), signal::name(right));
    let place = format!(
        "`STOPSIGNAL {right}` in the Dockerfile, `docker run --stop-signal {right}`, or `lifecycle.stopSignal` in the pod spec"
    );
    if case.stop.signal == SIGTERM {
        format!("Set the stop signal to {right}: {place}. Or handle {sent}, which is sent where nothing else is set.")
    } else {
        format!("Something set the stop signal to {sent}: set it to {right}: {place}.")
    }
}

/// A sentence as the rest of another one.
fn lower(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_lowercase().collect::<String>()).unwrap_or_default();
    first + letters.as_str()
}
