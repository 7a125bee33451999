//! What `zombie-trace live` says of real situations in the running kernel.
//!
//! Each test looks only at the pids and namespaces that it made itself, because the machine has zombies of its own.

mod causes;
mod checking;
mod ci;
mod clean;
mod confined;
mod daemons;
mod damage;
mod doing;
mod endings;
mod extras;
mod faults;
mod filtering;
mod following;
mod full_maps;
mod gaps;
mod graceful;
mod grading;
mod heritage;
mod hostile;
mod images;
mod inits;
mod loading;
mod machine;
mod oddities;
mod parents;
mod privileges;
mod quiet;
mod reaping;
mod recording;
mod refusals;
mod rhythms;
mod sandbox;
mod scale;
mod schemas;
mod seeds;
mod signals;
mod stop_causes;
mod stopped;
mod stops;
mod thefts;
mod units;

use std::process::ExitCode;
use std::time::Duration;

use zombie_trace_tests::{Event, Tracer, clock, runner};

fn main() -> ExitCode {
    runner::main(vec![
        ("reaping", reaping::all()),
        ("extras", extras::all()),
        ("parents", parents::all()),
        ("causes", causes::all()),
        ("doing", doing::all()),
        ("heritage", heritage::all()),
        ("rhythms", rhythms::all()),
        ("thefts", thefts::all()),
        ("seeds", seeds::all()),
        ("clean", clean::all()),
        ("confined", confined::all()),
        ("daemons", daemons::all()),
        ("oddities", oddities::all()),
        ("signals", signals::all()),
        ("quiet", quiet::all()),
        ("graceful", graceful::all()),
        ("stops", stops::all()),
        ("stop_causes", stop_causes::all()),
        ("units", units::all()),
        ("endings", endings::all()),
        ("stopped", stopped::all()),
        ("damage", damage::all()),
        ("inits", inits::all()),
        ("following", following::all()),
        ("filtering", filtering::all()),
        ("full_maps", full_maps::all()),
        ("hostile", hostile::all()),
        ("scale", scale::all()),
        ("faults", faults::all()),
        ("machine", machine::all().into_iter().chain(privileges::of_machine()).collect()),
        ("recording", recording::all()),
        ("checking", checking::all()),
        ("gaps", gaps::all()),
        ("ci", ci::all()),
        ("grading", grading::all()),
        ("images", images::all()),
        ("loading", loading::all()),
        ("privileges", privileges::all()),
        ("refusals", refusals::all()),
        ("sandbox", sandbox::all()),
        ("schemas", schemas::all()),
    ])
}

/// The age at which the tests' tracers report a zombie: short, so that they are quick, and well above the time that a
/// diligent parent takes on a busy machine.
const MIN_AGE_MS: u64 = 200;

/// A tracer of the whole machine that reports zombies of this age.
fn tracer() -> Tracer {
    Tracer::live(["--min-age", &format!("{MIN_AGE_MS}ms")]).start()
}

/// A tracer of the whole machine that reports every zombie, however short-lived.
fn tracer_of_all() -> Tracer {
    Tracer::live(["--min-age", "0"]).start()
}

fn soon() -> Duration {
    clock::deadline()
}

/// Events of this type about this process.
fn about(kind: &str, pid: i32) -> impl Fn(&Event) -> bool {
    move |event| event.is(kind) && event.pid() == Some(pid)
}

/// The evidence, as one text.
fn evidence(event: &Event) -> String {
    let texts = event.at("/evidence").and_then(|evidence| evidence.as_array()).expect("evidence is a list");
    texts.iter().filter_map(|text| text.as_str()).collect::<Vec<_>>().join("; ")
}

/// The evidence has all these words.
#[track_caller]
fn says(event: &Event, words: &[&str]) {
    let evidence = evidence(event);
    for word in words {
        assert!(evidence.contains(word), "no {word:?} in the evidence of {event}");
    }
}

/// Events of this type about children of this process.
fn children_of(kind: &str, parent: i32) -> impl Fn(&Event) -> bool {
    move |event| event.is(kind) && event.pid_of("parent") == Some(parent)
}
