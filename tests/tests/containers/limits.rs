//! What zombies cost a container: the pids of its limit.

use std::fs;

use zombie_trace_tests::runtime::Limiting;
use zombie_trace_tests::{Event, TestResult, require};

use super::{assert_in, soon, tracer};

/// Room for the runtime's own threads, which are in the container until its program starts.
const ALLOWED: u64 = 24;
const EAGAIN: i32 = 11;

/// The cgroup of a process that has the limit: by the version 1 controller, or else the one of version 2.
fn pids_cgroup(pid: i32) -> String {
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the process lives");
    let path = |wanted: &str| {
        table.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            (controllers == wanted).then(|| path.to_owned())
        })
    };
    path("pids").or_else(|| path("")).expect("a process is in a cgroup")
}

pub(crate) fn a_pid_1_that_leaks_until_it_cannot_fork_is_named<R: Limiting>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let tracer = tracer();
    let (mut actor, container) = runtime.run_actor("leaks", &["fork-limit"], ALLOWED);
    let cgroup = pids_cgroup(container.pid);
    // By its number inside, where the actor is.
    let bystander = actor.line("bystander").number("pid");
    actor.line("ready");
    actor.order("go");
    let full = actor.line("full");
    assert_eq!(full.small("errno"), EAGAIN);
    // All but PID 1 and its bystander, who tries in vain.
    let zombies = full.number("zombies");
    assert_eq!(zombies, ALLOWED - 2);
    assert_eq!(actor.line("refused").small("errno"), EAGAIN);
    let of_pid_1 = |event: &Event| event.is("fork_failed") && event.pid() == Some(container.pid);
    let of_bystander = |event: &Event| {
        event.is("fork_failed")
            && event.at("/process/ns_pid") == Some(&bystander.into())
            && event.at("/process/container") == Some(&container.identity)
    };
    for event in [
        tracer.expect("the failed fork of PID 1", soon(), of_pid_1),
        tracer.expect("the failed fork of the bystander", soon(), of_bystander),
    ] {
        assert_eq!((event.text("/errno"), event.text("/limit")), (Some("EAGAIN"), Some("pids.max")), "{event}");
        assert_eq!(event.text("/path"), Some(cgroup.as_str()), "{event}");
        assert_eq!(event.number("/zombies"), i64::try_from(zombies).ok(), "{event}");
        assert_eq!(event.number("/allowed"), i64::try_from(ALLOWED).ok(), "{event}");
        assert_eq!(event.pid_of("parent"), Some(container.pid), "{event}");
        assert_in(&container, "process", &event);
        assert_in(&container, "parent", &event);
    }
    let count = usize::try_from(zombies).expect("a few");
    let of_container = |event: &Event| event.is("zombie") && event.pid_of("parent") == Some(container.pid);
    tracer.expect_each("the zombies", count, soon(), of_container);
    let finished = tracer.stop();
    let accusation = finished.accusation(container.pid).expect("PID 1 is accused");
    assert_eq!(accusation["process"]["container"], container.identity, "{accusation}");
    assert_eq!(accusation["zombies_now"], zombies, "{accusation}");
    let limits = accusation["damage"]["limits"].as_array().expect("a list");
    let held = limits.iter().find(|held| held["kind"] == "pids.max").expect("the container's limit");
    assert_eq!((&held["used"], &held["allowed"]), (&ALLOWED.into(), &ALLOWED.into()), "{accusation}");
    assert_eq!((&held["path"], &held["zombies"]), (&cgroup.into(), &zombies.into()), "{accusation}");
    // It reaps what it made and ends, and the runtime with it.
    assert!(actor.end().success());
    Ok(())
}
