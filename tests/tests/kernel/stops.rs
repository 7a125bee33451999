//! What comes of a signal that asks PID 1 of a pid namespace to end.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, Finished, Line, TestResult, Tracer, clock, process, require, tests};

use super::{soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_shell_that_drops_term_and_does_not_forward_it_is_a_failed_stop,
        an_init_that_takes_term_and_is_killed_all_the_same_is_a_failed_stop_without_a_drop,
        who_was_forwarded_term_is_not_among_those_killed_without_it,
        a_term_that_ends_everybody_is_a_clean_stop,
        an_init_that_ends_first_takes_its_worker_unasked,
        a_kill_alone_is_no_failed_stop,
        a_term_that_nothing_follows_is_no_stop,
    ]
}

/// PID 1 that takes SIGTERM, a worker, and a tracer of the machine.
struct Tree {
    tracer: Tracer,
    actor: Actor,
    init: Line,
    worker: Line,
}

impl Tree {
    fn with(options: &[&str]) -> Self {
        let tracer = tracer();
        let mut actor = Actor::spawn(["stop-tree"].iter().chain(options));
        let (init, worker) = (actor.line("init"), actor.line("worker"));
        actor.line("ready");
        Self { tracer, actor, init, worker }
    }

    /// This test sends it, from outside.
    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.init.pid()), signal).expect("PID 1 lives");
    }

    fn failed_stop(&self) -> Event {
        failed_stop(&self.tracer, self.init.pid())
    }

    /// Stops the tracer when it has seen the end of PID 1.
    fn finish(mut self) -> Finished {
        self.actor.line("ended");
        self.tracer.fence();
        self.tracer.stop()
    }
}

fn failed_stop(tracer: &Tracer, init: i32) -> Event {
    tracer.expect("the failed stop", soon(), |event| event.is("stop_failed") && event.pid_of("target") == Some(init))
}

/// The report's stops of this PID 1.
fn stops(finished: &Finished, init: i32) -> Vec<&serde_json::Value> {
    let all = finished.summary.at("/stops").and_then(serde_json::Value::as_array).expect("a list of stops");
    all.iter().filter(|stop| stop["target"]["pid"] == init).collect()
}

/// Numbers, within the namespace, of who was killed unasked.
fn killed_without_term(stop: &serde_json::Value) -> Vec<u64> {
    let list = stop["killed_without_term"].as_array().expect("a list");
    list.iter().filter_map(|killed| killed["ns_pid"].as_u64()).collect()
}

/// Whether a finding's id begins with this, for this PID 1.
fn has_finding(finished: &Finished, id: &str, init: i32) -> bool {
    let findings = finished.summary.at("/findings").and_then(serde_json::Value::as_array).expect("a list of findings");
    findings.iter().any(|it| it["id"].as_str().is_some_and(|it| it.starts_with(id)) && it["process"]["pid"] == init)
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).expect("pids are positive")
}

fn a_shell_that_drops_term_and_does_not_forward_it_is_a_failed_stop() -> TestResult {
    require::tracing()?;
    let shell = require::program("sh")?;
    let tracer = tracer();
    let shell = shell.display().to_string();
    let script = "sleep 600 & echo worker ns_pid=$!; wait";
    let mut actor = Actor::spawn(["pidns-exec", "--", &shell, "-c", script]);
    let init = actor.line("init").pid();
    let worker = actor.line("worker").number("ns_pid");
    // On its way into `wait` it blocks all signals: one that comes then is dropped as well, but not for want of a handler.
    let sleeps = || process::stat(init).is_some_and(|stat| stat.state == 'S');
    assert!(process::eventually(soon(), sleeps), "{:?}", process::stat(init));
    let before = clock::boot_now();
    actor.order("signal TERM");
    actor.line("sent");
    tracer.expect("the drop", soon(), |event| event.is("signal_dropped") && event.pid_of("target") == Some(init));
    let between = clock::boot_now();
    actor.order("signal KILL");
    assert_eq!(actor.line("exited").small("signal"), 9);
    let after = clock::boot_now();
    let stop = failed_stop(&tracer, init);
    assert_eq!((stop.text("/signal"), stop.reason()), (Some("SIGTERM"), Some("no-handler")), "{stop}");
    assert_eq!(stop.pid_of("killed_by"), Some(actor.pid()), "{stop}");
    assert_eq!(stop.text("/killed_by/comm"), Some("zt-actor"), "{stop}");
    let took = stop.number("/killed_after_ns").and_then(|took| u64::try_from(took).ok()).expect("a duration");
    assert!(took <= after - before, "{stop}");
    assert!(i128::from(took) >= i128::from(between - before) - (stop_sent_slack(&stop, before)), "{stop}");
    assert_eq!(killed_without_term(&stop.0), [worker], "{stop}");
    let finished = tracer.stop();
    let recorded = stops(&finished, init);
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0]["outcome"], "failed");
    assert!(has_finding(&finished, "stops/failed/SIGTERM/", init), "{}", finished.summary);
    let drop = finished
        .list("/dropped_signals")
        .find(|drop| drop["target"] == stop.0["target"])
        .expect("the drop is in the report");
    assert_eq!(drop["then"], "killed", "{drop}");
    assert_eq!(drop["senders"][0]["process"]["parent"]["pid"], own_pid(), "who ran the sender: {drop}");
    Ok(())
}

/// How long after this moment the tracer says that the signal was sent.
fn stop_sent_slack(stop: &Event, before: u64) -> i128 {
    let sent: jiff::Timestamp = stop.text("/sent").expect("a time").parse().expect("RFC 3339");
    // The two clocks are compared with some play.
    sent.as_nanosecond() - clock::wall_time(before) + 5_000_000
}

fn an_init_that_takes_term_and_is_killed_all_the_same_is_a_failed_stop_without_a_drop() -> TestResult {
    require::tracing()?;
    let mut tree = Tree::with(&[]);
    tree.send(Signal::SIGTERM);
    tree.actor.line("init-got");
    tree.send(Signal::SIGKILL);
    let stop = tree.failed_stop();
    assert_eq!(stop.reason(), None, "{stop}");
    assert_eq!(stop.pid_of("killed_by"), Some(own_pid()), "{stop}");
    assert_eq!(killed_without_term(&stop.0), [tree.worker.number("ns_pid")], "{stop}");
    Ok(())
}

fn who_was_forwarded_term_is_not_among_those_killed_without_it() -> TestResult {
    require::tracing()?;
    let mut tree = Tree::with(&["--forward"]);
    tree.send(Signal::SIGTERM);
    tree.actor.line("worker-got");
    tree.send(Signal::SIGKILL);
    let stop = tree.failed_stop();
    assert_eq!(killed_without_term(&stop.0), [0; 0], "{stop}");
    Ok(())
}

fn a_term_that_ends_everybody_is_a_clean_stop() -> TestResult {
    require::tracing()?;
    let tree = Tree::with(&["--forward", "--exit"]);
    let init = tree.init.pid();
    tree.send(Signal::SIGTERM);
    let finished = tree.finish();
    finished.never("a clean stop", |event| event.is("stop_failed") && event.pid_of("target") == Some(init));
    let recorded = stops(&finished, init);
    assert_eq!(recorded.len(), 1);
    assert_eq!((&recorded[0]["outcome"], &recorded[0]["reason"]), (&"clean".into(), &serde_json::Value::Null));
    assert_eq!(recorded[0]["exit"]["code"], 0);
    assert_eq!(killed_without_term(recorded[0]), [0; 0]);
    assert!(!has_finding(&finished, "stops/", init), "{}", finished.summary);
    Ok(())
}

fn an_init_that_ends_first_takes_its_worker_unasked() -> TestResult {
    require::tracing()?;
    let tree = Tree::with(&["--exit"]);
    let (init, worker) = (tree.init.pid(), tree.worker.number("ns_pid"));
    tree.send(Signal::SIGTERM);
    let finished = tree.finish();
    let recorded = stops(&finished, init);
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0]["outcome"], "clean");
    assert_eq!(killed_without_term(recorded[0]), [worker]);
    assert!(has_finding(&finished, "stops/unasked/SIGTERM/", init), "{}", finished.summary);
    Ok(())
}

fn a_kill_alone_is_no_failed_stop() -> TestResult {
    require::tracing()?;
    let tree = Tree::with(&[]);
    let init = tree.init.pid();
    tree.send(Signal::SIGKILL);
    let finished = tree.finish();
    finished.never("a kill alone", |event| event.is("stop_failed") && event.pid_of("target") == Some(init));
    assert!(stops(&finished, init).is_empty());
    Ok(())
}

fn a_term_that_nothing_follows_is_no_stop() -> TestResult {
    require::tracing()?;
    let mut tree = Tree::with(&["--forward"]);
    let init = tree.init.pid();
    tree.send(Signal::SIGTERM);
    tree.actor.line("worker-got");
    tree.tracer.fence();
    let finished = tree.tracer.stop();
    assert!(stops(&finished, init).is_empty());
    assert!(!has_finding(&finished, "stops/", init), "{}", finished.summary);
    Ok(())
}
