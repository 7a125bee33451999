//! Advice in the terms of the program that PID 1 is and of the container that it runs in.

use super::case::{StopCase, runtime};
use crate::{
    diagnosis::{advice::init_in_front, programs},
    event::{Cgroup, Runtime},
    model::{DropReason, Identity, Model},
    programs::{INITS, SHELLS},
    signal::{self, SIGINT, SIGPWR, SIGQUIT, SIGRTMAX, SIGRTMIN, SIGTERM},
};

/// How a PID 1 without a handler comes to have one.
pub(super) fn handle_it(case: &StopCase<'_>) -> String {
    let look = case.stop.look.as_ref().filter(|_| case.stop.became.is_none());
    handle(case.stop.signal, runtime(case.program_then(), look), case.cgroup())
}

/// How a program of this kind comes to handle a signal, or to run where the default action works.
fn handle(number: u32, runtime: Option<Runtime>, cgroup: Option<&Cgroup>) -> String {
    let signal = signal::name(number);
    let short = short(&signal);
    let own = match runtime {
        Some(Runtime::Shell) => format!(
            "Make the program PID 1 itself: `exec` it as the last command of the script. Or pass {signal} on: \
             `trap 'kill -{short} \"$child\"' {short}; app & child=$!; wait \"$child\"; wait \"$child\"`."
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
        Some(Runtime::Java) if number == SIGTERM => {
            "Do not start the JVM with -Xrs: without it the JVM handles SIGTERM and runs the shutdown hooks.".to_owned()
        }
        Some(Runtime::Java) | None => {
            format!("Install a handler for {signal} that ends the program.")
        }
    };
    format!("{own} Or, so that the default action works: {}", lower(&init_in_front(cgroup, None)))
}

/// What to do about a signal that this program, as PID 1, did not get; `None` where there is nothing to do.
#[must_use]
pub fn advise_on_drop(model: &Model, program: &Identity, number: u32, reason: DropReason) -> Option<String> {
    let signal = signal::name(number);
    match reason {
        // Who reloads, or aborts, does not want to end.
        DropReason::NoHandler | DropReason::DroppedAtDelivery if asks_to_end(number) => {
            Some(handle(number, runtime(program, None), model.cgroup(program.cgroup)))
        }
        DropReason::NoHandler | DropReason::DroppedAtDelivery => Some(format!(
            "If {signal} is meant to have an effect, install a handler for it; without one, PID 1 does not even get the \
             default action."
        )),
        DropReason::Ignored => Some(format!(
            "Do not ignore {signal} if it is meant to have an effect. SIG_IGN survives exec: look at what starts the program \
             (`trap '' …`, nohup)."
        )),
        DropReason::Blocked => Some(format!(
            "Unblock {signal}, or read it with sigwait or a signalfd. A signal mask survives fork and exec: reset it \
             before exec."
        )),
        DropReason::ProtectedFromInside => Some(
            "A process in the namespace cannot kill its PID 1. Send a signal that PID 1 handles, or kill it from outside."
                .to_owned(),
        ),
        DropReason::Coalesced => None,
    }
}

const fn asks_to_end(signal: u32) -> bool {
    matches!(signal, SIGTERM | SIGINT | SIGQUIT | SIGPWR | SIGRTMIN..=SIGRTMAX)
}

/// What servers do on signals, which is not always to end at once.
const SERVERS: &[(&[&str], &str)] = &[
    (
        &["postgres", "postmaster"],
        "On SIGTERM PostgreSQL waits until all clients have disconnected; on SIGINT it disconnects them (`STOPSIGNAL SIGINT`).",
    ),
    (&["nginx"], "On SIGQUIT nginx waits for open connections; on SIGTERM it exits at once."),
    (&["apache2", "httpd"], "On SIGWINCH Apache waits for open requests; on SIGTERM it exits at once."),
    (
        &["php-fpm"],
        "On SIGQUIT PHP-FPM waits for open requests (`process_control_timeout`); on SIGTERM it exits at once.",
    ),
    (
        &["redis-server", "valkey-server"],
        "On SIGTERM Redis writes its data to disk before it exits, which takes long if there is a lot of data.",
    ),
    (
        &["mysqld", "mariadbd"],
        "On SIGTERM the server writes its buffers to disk before it exits, which takes long if they are large.",
    ),
];

/// What is known of how long this program takes to end, with a space before it; nothing of others.
pub(super) fn server(identity: &Identity) -> String {
    let names = programs::names(identity);
    let known = SERVERS.iter().find(|(known, _)| names.iter().any(|name| known.contains(&name.as_str())));
    known.map_or_else(String::new, |(_, words)| format!(" {words}"))
}

/// What a handler does that ends the program.
pub(super) fn after_reraise(case: &StopCase<'_>, runtime: Option<Runtime>) -> String {
    let code = 128 + case.stop.signal;
    let own = match runtime {
        Some(Runtime::Node) => format!(
            "Node raises {} again by itself if the program has no handler: add `process.on('{}', () => \
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
    how_to_pass_on(&case.name(), &case.signal(), runtime)
}

/// How a PID 1 of this name passes a signal on to what it started.
#[must_use]
pub fn advise_on_passing_on(name: &str, number: u32) -> String {
    how_to_pass_on(name, &signal::name(number), SHELLS.contains(&name).then_some(Runtime::Shell))
}

/// What an init passes on, and to whom: tini(1), dumb-init's and catatonit's documentation.
fn how_to_pass_on(name: &str, signal: &str, runtime: Option<Runtime>) -> String {
    match (runtime, name) {
        (Some(Runtime::Shell), _) => format!(
            "In the trap, pass {signal} on and wait: `trap 'kill -{0} \"$child\"' {0}; app & child=$!; wait \"$child\"; \
             wait \"$child\"`; or `exec` the program.",
            short(signal)
        ),
        (_, "tini" | "tini-static" | "docker-init") => format!(
            "{name} passes {signal} only to its child: make it signal the whole process group (`tini -g`, or \
             TINI_KILL_PROCESS_GROUP=1 in the environment), or, if a shell starts the program, start it with `exec`."
        ),
        (_, "dumb-init") => format!(
            "dumb-init passes {signal} to the process group of its child (with `--single-child` only to the child), and waits \
             only for that child. If a shell starts the program, start it with `exec`, or let the shell wait for it."
        ),
        _ if INITS.contains(&name) => format!(
            "{name} passes {signal} only to its child: if a shell starts the program, start it with `exec`, or let the child \
             pass {signal} on and wait."
        ),
        _ => {
            format!("Let {name} pass {signal} on to the processes that it started, and wait for them before it exits.")
        }
    }
}

/// Where the stop signal of a container is set.
pub(super) fn set_stop_signal(case: &StopCase<'_>, right: u32) -> String {
    let (sent, right) = (case.signal(), signal::name(right));
    let place = format!(
        "`STOPSIGNAL {right}` in the Dockerfile, `docker run --stop-signal {right}`, or `lifecycle.stopSignal` in the pod spec"
    );
    if case.stop.signal == SIGTERM {
        format!("Set the stop signal to {right}: {place}. Or handle {sent}, which is the default stop signal.")
    } else {
        format!("The stop signal is set to {sent}; set it to {right}: {place}.")
    }
}

/// The name of a signal as `kill` and `trap` of a shell take it.
pub(super) fn short(signal: &str) -> &str {
    signal.strip_prefix("SIG").unwrap_or(signal)
}

/// A sentence as the rest of another one.
fn lower(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_lowercase().collect::<String>()).unwrap_or_default();
    first + letters.as_str()
}
