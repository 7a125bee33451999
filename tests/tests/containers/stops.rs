//! Stops of containers by their runtimes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use zombie_trace_tests::runtime::{Container, Runtime, is_called};
use zombie_trace_tests::{TestResult, process, require};

use super::zombies::ORPHAN;
use super::{GRACE, SLEEP, assert_in, findings_in, soon, tracer};

pub(crate) fn sleep_as_pid_1_is_killed_after_its_grace<R: Runtime>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let tracer = tracer();
    let container = Container::start(&runtime, "stopped", SLEEP, false);
    let pid = container.pid;
    // It has been there for a while when it is stopped: who it is has been looked up by then.
    assert_eq!(container.exec(ORPHAN), 0);
    tracer.expect("its zombie", soon(), |event| event.is("zombie") && event.pid_of("parent") == Some(pid));
    let began = Instant::now();
    container.stop(GRACE);
    let took = began.elapsed();
    let dropped =
        tracer.expect("the drop", soon(), |event| event.is("signal_dropped") && event.pid_of("target") == Some(pid));
    assert_eq!((dropped.text("/signal"), dropped.reason()), (Some("SIGTERM"), Some("no-handler")), "{dropped}");
    assert_eq!(dropped.text("/relation"), Some("outside"), "{dropped}");
    assert_in(&container, "target", &dropped);
    let stop = tracer
        .expect("the failed stop", soon(), |event| event.is("stop_failed") && event.pid_of("target") == Some(pid));
    assert_eq!((stop.text("/signal"), stop.reason()), (Some("SIGTERM"), Some("no-handler")), "{stop}");
    assert_eq!(stop.number("/target/ns_pid"), Some(1), "{stop}");
    assert_in(&container, "target", &stop);
    // The grace begins for the runtime when it has sent the signal; its own stop begins before that and ends later.
    let killed_after = stop.number("/killed_after_ns").and_then(|it| u128::try_from(it).ok()).expect("a duration");
    assert!((GRACE.as_nanos()..=took.as_nanos()).contains(&killed_after), "the runtime took {took:?}: {stop}");
    for signaller in ["sender", "killed_by"] {
        let runtimes = ["runc", "crun"];
        let comm = stop.text(&format!("/{signaller}/comm")).expect("somebody sent it");
        assert!(runtimes.iter().any(|runtime| is_called(comm, runtime)), "{stop}");
        assert_eq!(stop.at(&format!("/{signaller}/container")), None, "a runtime is in no container: {stop}");
        let run_by = stop.text(&format!("/{signaller}/parent/comm")).expect("somebody ran it");
        assert!(runtime.stopper().iter().any(|name| run_by.starts_with(name)), "{stop}");
    }
    assert_eq!(stop.at("/killed_without_term"), Some(&serde_json::json!([])), "{stop}");
    let finished = tracer.stop();
    let finding = finished.finding("stops/failed/SIGTERM/", pid).expect("it is a finding");
    assert_eq!(finding["process"]["container"], container.identity, "{finding}");
    // Nothing of what the runtime did meanwhile is held against it.
    finished.never("a status that the shim has handed on", |event| event.is("status_stolen"));
    Ok(())
}

pub(crate) fn under_an_init_the_stop_is_clean<R: Runtime>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let tracer = tracer();
    let container = Container::start(&runtime, "clean", SLEEP, true);
    let pid = container.pid;
    container.exec(&["sh", "-c", "sleep 0.01 &"]);
    // Whose it is cannot be looked up any more when it is gone.
    tracer.fence();
    container.stop(GRACE);
    tracer.fence();
    let finished = tracer.stop();
    finished.never("a stop that was heeded", |event| event.is("stop_failed") && event.pid_of("target") == Some(pid));
    let stop = finished.list("/stops").find(|stop| stop["target"]["pid"] == pid).expect("it was stopped");
    assert_eq!((&stop["outcome"], &stop["signal"]), (&"clean".into(), &"SIGTERM".into()), "{stop}");
    assert_eq!(stop["target"]["container"], container.identity, "{stop}");
    assert_eq!(findings_in(&container, &finished).collect::<Vec<_>>(), Vec::<&serde_json::Value>::new());
    // The way of the signal, from the runtime to PID 1 and from that to the application.
    let path = stop["path"].as_array().expect("a stop has a path");
    let [init, application] = &path[..] else { panic!("PID 1 and the application: {stop}") };
    for (part, depth, pid_within) in [(init, 0, 1..=1), (application, 1, 2..=i64::MAX)] {
        assert_eq!((&part["depth"], &part["signal"]), (&depth.into(), &"SIGTERM".into()), "{stop}");
        assert!(part["process"]["ns_pid"].as_i64().is_some_and(|it| pid_within.contains(&it)), "{stop}");
        assert_eq!(part["process"]["container"], container.identity, "{stop}");
    }
    assert_eq!((&init["process"]["pid"], &application["process"]["comm"]), (&pid.into(), &"sleep".into()), "{stop}");
    let sender = init["sender"]["comm"].as_str().expect("somebody sent it");
    assert!(["runc", "crun"].iter().any(|runtime| is_called(sender, runtime)), "{stop}");
    assert_eq!(init["sender"]["container"], serde_json::Value::Null, "a runtime is in no container: {stop}");
    assert_eq!(application["sender"]["pid"], pid, "PID 1 passed it on: {stop}");
    Ok(())
}

pub(crate) fn sleep_ends_when_it_is_asked_to<R: Runtime>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let tracer = tracer();
    let container = Container::start(&runtime, "asked", SLEEP, false);
    assert!(process::namespace_pids(container.pid).last().is_some_and(|&pid| pid > 1), "the pod's pause is PID 1");
    container.stop(GRACE);
    assert!(process::stat(container.pid).is_none_or(|stat| stat.state == 'Z'), "it is dead");
    tracer.fence();
    let finished = tracer.stop();
    assert_eq!(findings_in(&container, &finished).collect::<Vec<_>>(), Vec::<&serde_json::Value>::new());
    Ok(())
}

pub(crate) fn a_panic_leaves_no_container<R: Runtime>() -> TestResult {
    require::root()?;
    let runtime = R::shared()?;
    let mut pid = 0;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let container = Container::start(&runtime, "dropped", SLEEP, false);
        pid = container.pid;
        // As a panic does, without its message.
        resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err() && pid > 1);
    let is_gone = || process::stat(pid).is_none_or(|stat| stat.state == 'Z');
    assert!(process::eventually(soon(), is_gone), "PID 1 of the container, {pid}, is gone");
    Ok(())
}
