//! Why a stop went wrong, by real programs as PID 1 of a pid namespace.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, TestResult, Tracer, binaries, clock, process, require, tests};

use super::causes::frozen::Freezer;
use super::{soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_program_without_a_handler_never_gets_its_stop_signal,
        a_program_that_handles_another_signal_is_told_which_one,
        a_program_that_ignores_its_stop_signal_ignores_it,
        a_program_that_blocks_its_stop_signal_leaves_it_pending,
        a_handler_that_raises_the_signal_again_raises_it_in_vain,
        an_entrypoint_that_loses_the_signal_is_not_the_program_that_it_becomes,
        a_pid_1_that_is_stopped_cannot_end,
        a_pid_1_in_a_version_1_freezer_cannot_end,
        a_pid_1_that_ends_first_takes_its_worker_with_it,
        a_namespace_that_cannot_end_is_a_stop_that_is_stuck,
        a_namespace_with_a_process_in_a_version_1_freezer_is_a_stop_that_is_stuck,
        a_graceful_stop_has_no_cause,
        a_shell_that_waits_for_its_foreground_child_defers_its_trap,
        a_trap_that_has_run_and_waits_again_was_not_deferred,
        a_shell_below_an_init_defers_its_trap_as_well,
        a_handler_that_does_nothing_returns,
        what_was_not_looked_at_has_no_known_cause,
        a_program_that_waits_for_a_child_does_not_forward_its_signal,
        a_child_that_got_the_signal_and_went_on_is_named,
        inits_that_forward_and_wait_stop_gracefully,
    ]
}

const PYTHON: &str = "/usr/bin/python3";

/// How long PID 1 is given, unless a test needs more: it is sampled twice meanwhile.
const GRACE: Duration = Duration::from_millis(1800);

/// When a namespace has not ended for so long, that is what came of its stop.
const TEARDOWN: Duration = Duration::from_secs(6);

/// What the tracer says of a stop by this signal of a command that is PID 1, says `ready`, and is killed then.
fn stopped(command: &[&str], signal: &str, grace: Duration) -> Event {
    let tracer = tracer();
    let mut actor = Actor::spawn(["pidns-exec", "--"].iter().chain(command));
    let init = actor.line("init").pid();
    actor.line("ready");
    actor.order(&format!("signal {signal}"));
    actor.line("sent");
    let stop = killed_after(grace, &tracer, &mut actor, init);
    let finished = tracer.stop();
    let recorded = finished.list("/stops").find(|stop| stop["target"]["pid"] == init).expect("it is in the report");
    for field in ["cause", "evidence", "advice"] {
        assert_eq!(Some(&recorded[field]), stop.at(&format!("/{field}")), "live and report say the same");
    }
    stop
}

fn killed_after(grace: Duration, tracer: &Tracer, actor: &mut Actor, init: i32) -> Event {
    std::thread::sleep(clock::scaled(grace));
    actor.order("signal KILL");
    actor.line("exited");
    tracer.expect("the failed stop", soon(), |event| event.is("stop_failed") && event.pid_of("target") == Some(init))
}

/// Asserts the cause, and that its evidence and its advice say these.
fn says(stop: &Event, cause: &str, evidence: &[&str], advice: &str) {
    assert_eq!(stop.text("/cause"), Some(cause), "{stop}");
    let all = stop.at("/evidence").expect("there is evidence").to_string();
    for part in evidence {
        assert!(all.contains(part), "`{part}` is not in the evidence: {stop}");
    }
    assert!(stop.text("/advice").is_some_and(|it| it.contains(advice)), "`{advice}` is not the advice: {stop}");
}

fn a_program_without_a_handler_never_gets_its_stop_signal() -> TestResult {
    require::tracing()?;
    require::program("sh")?;
    let stop = stopped(&["sh", "-c", "echo ready; exec sleep 600"], "TERM", GRACE);
    says(&stop, "no-handler", &["had no handler for SIGTERM", "in clock_nanosleep()"], "init");
    Ok(())
}

fn a_program_that_handles_another_signal_is_told_which_one() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let script = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: exit(0))\nprint('ready', flush=True)\n\
                  while True: time.sleep(1)";
    let stop = stopped(&[PYTHON, "-c", script], "USR2", GRACE);
    says(&stop, "wrong-stop-signal", &["has no handler for SIGUSR2, and has one for SIGTERM"], "STOPSIGNAL SIGTERM");
    Ok(())
}

fn a_program_that_ignores_its_stop_signal_ignores_it() -> TestResult {
    require::tracing()?;
    require::program("sh")?;
    let stop = stopped(&["sh", "-c", "trap '' TERM; echo ready; exec sleep 600"], "TERM", GRACE);
    says(&stop, "ignored", &["SIGTERM was set to SIG_IGN"], "exec");
    Ok(())
}

fn a_program_that_blocks_its_stop_signal_leaves_it_pending() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let script = "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n\
                  print('ready', flush=True)\ntime.sleep(600)";
    let stop = stopped(&[PYTHON, "-c", script], "TERM", GRACE);
    says(&stop, "blocked", &["blocks SIGTERM"], "sigwait");
    Ok(())
}

fn a_handler_that_raises_the_signal_again_raises_it_in_vain() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let script = "import os, signal, time\ndef handler(number, frame):\n    signal.signal(number, signal.SIG_DFL)\n    \
                  os.kill(os.getpid(), number)\nsignal.signal(signal.SIGTERM, handler)\nprint('ready', flush=True)\n\
                  while True: time.sleep(1)";
    let stop = stopped(&[PYTHON, "-c", script], "TERM", GRACE);
    says(&stop, "reraised-in-vain", &["raised SIGTERM again"], "_exit(143)");
    assert_eq!(stop.reason(), None, "it received the signal: {stop}");
    // In the handler of a C program the signal is blocked, so what it raises waits until it returns.
    let actor = binaries::actor().to_string_lossy();
    let stop = stopped(&[&actor, "reraise"], "TERM", GRACE);
    says(&stop, "reraised-in-vain", &["raised SIGTERM again"], "_exit(143)");
    assert_eq!(stop.reason(), None, "it received the signal: {stop}");
    Ok(())
}

fn an_entrypoint_that_loses_the_signal_is_not_the_program_that_it_becomes() -> TestResult {
    require::tracing()?;
    require::program("sh")?;
    require::file(PYTHON)?;
    let python = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(0)); time.sleep(600)";
    let script = format!("echo ready; sleep 0.5; exec {PYTHON} -I -S -c '{python}'");
    // The third look comes after four seconds.
    let stop = stopped(&["sh", "-c", &script], "TERM", Duration::from_millis(4800));
    says(&stop, "before-exec", &["PID 1 was still sh when SIGTERM came", "executed python3"], "Start python3");
    Ok(())
}

/// An actor with PID 1 and a worker, and a tracer of the machine.
fn tree(options: &[&str]) -> (Tracer, Actor, i32) {
    let tracer = tracer();
    let mut actor = Actor::spawn(["stop-tree"].iter().chain(options));
    let init = actor.line("init").pid();
    actor.line("ready");
    (tracer, actor, init)
}

fn send(init: i32, signal: Signal) {
    kill(Pid::from_raw(init), signal).expect("PID 1 lives");
}

fn failed(tracer: &Tracer, init: i32) -> Event {
    tracer.expect("the failed stop", soon(), |event| event.is("stop_failed") && event.pid_of("target") == Some(init))
}

fn a_pid_1_that_is_stopped_cannot_end() -> TestResult {
    require::tracing()?;
    let (tracer, _actor, init) = tree(&["--exit"]);
    send(init, Signal::SIGSTOP);
    send(init, Signal::SIGTERM);
    std::thread::sleep(clock::scaled(GRACE));
    send(init, Signal::SIGKILL);
    says(&failed(&tracer, init), "frozen", &["was stopped (state T)"], "-CONT");
    Ok(())
}

fn a_pid_1_in_a_version_1_freezer_cannot_end() -> TestResult {
    require::tracing()?;
    require::file("/sys/fs/cgroup/freezer/cgroup.procs")?;
    let (tracer, _actor, init) = tree(&["--exit"]);
    let freezer = Freezer::of(init);
    send(init, Signal::SIGTERM);
    std::thread::sleep(clock::scaled(GRACE));
    send(init, Signal::SIGKILL);
    let name = freezer.name();
    // What is frozen so dies when it is thawed.
    drop(freezer);
    says(&failed(&tracer, init), "frozen", &["was frozen with cgroup", &name], "THAWED");
    Ok(())
}

fn a_pid_1_that_ends_first_takes_its_worker_with_it() -> TestResult {
    require::tracing()?;
    let (tracer, mut actor, init) = tree(&["--exit"]);
    send(init, Signal::SIGTERM);
    actor.line("ended");
    tracer.fence();
    let finished = tracer.stop();
    let stop = finished.list("/stops").find(|stop| stop["target"]["pid"] == init).expect("it was stopped");
    assert_eq!(stop["cause"], "ended-before-children", "{stop}");
    assert!(stop["evidence"].to_string().contains("had not received SIGTERM"), "{stop}");
    Ok(())
}

fn a_namespace_that_cannot_end_is_a_stop_that_is_stuck() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["shim"]);
    let init = actor.line("init").pid();
    let child = actor.line("child").pid();
    actor.line("ready");
    send(init, Signal::SIGTERM);
    actor.order("end");
    actor.line("killed");
    let stop = failed(&tracer, init);
    let child = format!("(pid {child}) is a zombie of containerd-shim");
    says(&stop, "teardown-stuck", &["waits in the kernel for 1 process", &child], "reap");
    Ok(())
}

fn a_namespace_with_a_process_in_a_version_1_freezer_is_a_stop_that_is_stuck() -> TestResult {
    require::tracing()?;
    require::file("/sys/fs/cgroup/freezer/cgroup.procs")?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["stop-tree", "--exit"]);
    let init = actor.line("init").pid();
    let worker = actor.line("worker").pid();
    actor.line("ready");
    let freezer = Freezer::of(worker);
    send(init, Signal::SIGTERM);
    tracer.expect("a PID 1 that cannot end", soon(), |event| event.is("stuck") && event.pid() == Some(init));
    // It is over for the tracer when it has been so for long.
    std::thread::sleep(clock::scaled(TEARDOWN));
    tracer.fence();
    let name = freezer.name();
    drop(freezer);
    actor.line("ended");
    let finished = tracer.stop();
    let stop = finished.list("/stops").find(|stop| stop["target"]["pid"] == init).expect("it was stopped");
    assert_eq!(stop["cause"], "teardown-stuck", "{stop}");
    let evidence = stop["evidence"].to_string();
    assert!(evidence.contains(&name) && evidence.contains(&format!("(pid {worker})")), "{stop}");
    assert!(stop["advice"].as_str().is_some_and(|advice| advice.contains("THAWED")), "{stop}");
    Ok(())
}

fn a_graceful_stop_has_no_cause() -> TestResult {
    require::tracing()?;
    let (tracer, mut actor, init) = tree(&["--forward", "--exit"]);
    send(init, Signal::SIGTERM);
    actor.line("ended");
    tracer.fence();
    let finished = tracer.stop();
    let stop = finished.list("/stops").find(|stop| stop["target"]["pid"] == init).expect("it was stopped");
    assert_eq!((&stop["outcome"], &stop["cause"]), (&"clean".into(), &serde_json::Value::Null), "{stop}");
    assert_eq!((&stop["evidence"], &stop["advice"]), (&serde_json::json!([]), &serde_json::Value::Null), "{stop}");
    Ok(())
}

/// The process of this name in the path of a stop.
fn part<'a>(stop: &'a Event, comm: &str) -> &'a serde_json::Value {
    let path = stop.at("/path").and_then(serde_json::Value::as_array).expect("a stop has a path");
    path.iter().find(|part| part["process"]["comm"] == comm).unwrap_or_else(|| panic!("{comm} is not in it: {stop}"))
}

/// It is ready when the foreground child runs: before that a trap is run at once.
const DEFERRED: &str = "trap 'exit 0' TERM; sh -c 'echo ready; exec sleep 600'; echo never";

fn a_shell_that_waits_for_its_foreground_child_defers_its_trap() -> TestResult {
    require::tracing()?;
    for shell in ["dash", "bash"] {
        require::program(shell)?;
        let stop = stopped(&[shell, "-c", DEFERRED], "TERM", GRACE);
        says(&stop, "trap-deferred", &[&format!("{shell} waited for sleep"), "its foreground child"], "exec sleep");
        assert_eq!((stop.reason(), stop.at("/received")), (None, Some(&true.into())), "{stop}");
        let (pid_1, sleep) = (part(&stop, shell), part(&stop, "sleep"));
        assert_eq!((&pid_1["depth"], &pid_1["disposition"]), (&0.into(), &"handler".into()), "{stop}");
        assert!(pid_1["doing"].as_str().is_some_and(|doing| doing.starts_with("in wait4()")), "{stop}");
        assert_eq!((&sleep["depth"], &sleep["signal"]), (&1.into(), &serde_json::Value::Null), "{stop}");
        assert_eq!((&sleep["exit"]["signal"], &sleep["disposition"]), (&"SIGKILL".into(), &"default".into()), "{stop}");
    }
    Ok(())
}

fn a_trap_that_has_run_and_waits_again_was_not_deferred() -> TestResult {
    require::tracing()?;
    for shell in ["dash", "bash"] {
        require::program(shell)?;
        let script = "trap ':' TERM; sleep 600 & echo ready; while :; do wait $!; done";
        let stop = stopped(&[shell, "-c", script], "TERM", GRACE);
        says(&stop, "not-forwarded", &["did not pass it on", &format!("{shell} waited for sleep")], "kill -TERM");
    }
    Ok(())
}

fn a_shell_below_an_init_defers_its_trap_as_well() -> TestResult {
    require::tracing()?;
    require::program("tini")?;
    require::program("bash")?;
    let stop = stopped(&["tini", "--", "bash", "-c", DEFERRED], "TERM", GRACE);
    says(&stop, "trap-deferred", &["bash waited for sleep"], "exec sleep");
    let depths = ["tini", "bash", "sleep"].map(|comm| part(&stop, comm)["depth"].clone());
    assert_eq!(depths, [0, 1, 2].map(serde_json::Value::from), "{stop}");
    let (bash, sleep) = (part(&stop, "bash"), part(&stop, "sleep"));
    assert_eq!((&bash["signal"], &bash["sender"]["comm"]), (&"SIGTERM".into(), &"tini".into()), "{stop}");
    assert_eq!(sleep["signal"], serde_json::Value::Null, "{stop}");
    Ok(())
}

fn a_handler_that_does_nothing_returns() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let script = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: None)\nprint('ready', flush=True)\n\
                  time.sleep(600)";
    let stop = stopped(&[PYTHON, "-c", script], "TERM", GRACE);
    says(&stop, "handler-returned", &["which returned", "in clock_nanosleep()"], "grace period");
    Ok(())
}

fn what_was_not_looked_at_has_no_known_cause() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let script = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: None)\nprint('ready', flush=True)\n\
                  while True: time.sleep(1)";
    // The first look comes after 250 ms.
    let stop = stopped(&[PYTHON, "-c", script], "TERM", Duration::ZERO);
    says(&stop, "unknown", &["received SIGTERM; it was not sampled after that"], "a longer grace period");
    Ok(())
}

fn a_program_that_waits_for_a_child_does_not_forward_its_signal() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let script = "import signal, subprocess\nsignal.signal(signal.SIGTERM, lambda *_: None)\n\
                  child = subprocess.Popen(['sleep', '600'])\nprint('ready', flush=True)\nchild.wait()";
    let stop = stopped(&[PYTHON, "-c", script], "TERM", GRACE);
    says(&stop, "not-forwarded", &["did not pass it on", "waited for sleep"], "pass SIGTERM on");
    Ok(())
}

fn a_child_that_got_the_signal_and_went_on_is_named() -> TestResult {
    require::tracing()?;
    require::program("tini")?;
    require::file(PYTHON)?;
    let script = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: None)\nprint('ready', flush=True)\n\
                  time.sleep(600)";
    let stop = stopped(&["tini", "--", PYTHON, "-c", script], "TERM", GRACE);
    says(&stop, "child-did-not-end", &["was sent SIGTERM by tini", "has a handler for it"], "grace period");
    assert_eq!(stop.at("/killed_without_term"), Some(&serde_json::json!([])), "{stop}");
    Ok(())
}

/// What must not be accused: programs that are made for it, each with a child that ends on SIGTERM.
fn inits_that_forward_and_wait_stop_gracefully() -> TestResult {
    require::tracing()?;
    let inits: Vec<&str> =
        ["tini", "dumb-init", "catatonit"].into_iter().filter(|init| require::program(init).is_ok()).collect();
    if inits.is_empty() {
        require::program("tini")?;
    }
    let trap = "trap 'kill -TERM $child' TERM; sleep 600 & child=$!; echo ready; wait $child; wait $child; exit 0";
    let commands = inits.iter().map(|init| vec![*init, "--", "sh", "-c", "echo ready; exec sleep 600"]);
    for command in commands.chain([vec!["sh", "-c", trap]]) {
        let tracer = tracer();
        let mut actor = Actor::spawn(["pidns-exec", "--"].iter().chain(&command));
        let init = actor.line("init").pid();
        actor.line("ready");
        // A shell's child has the shell's handler until it is another program, and would lose the signal.
        assert!(process::eventually(soon(), || process::has_descendant(init, b"sleep")), "{command:?}");
        actor.order("signal TERM");
        actor.line("exited");
        tracer.fence();
        let finished = tracer.stop();
        let stop = finished.list("/stops").find(|stop| stop["target"]["pid"] == init).expect("it was stopped");
        assert_eq!(
            (&stop["outcome"], &stop["cause"]),
            (&"clean".into(), &serde_json::Value::Null),
            "{command:?}: {stop}"
        );
    }
    Ok(())
}
