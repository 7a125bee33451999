//! Signals by which nothing is lost: everyday programs as PID 1 that write to a closed pipe, signal their own group, or
//! take a signal late. And what there is to say of some all the same.

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, Finished, TestResult, Tracer, process, require, tests};

use super::{soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_write_to_a_closed_pipe_is_no_drop_in_python,
        a_write_to_a_closed_pipe_is_no_drop_in_a_shell,
        timeout_as_pid_1_is_no_stop,
        a_shell_that_signals_its_own_group_is_no_stop,
        a_term_that_is_taken_late_is_a_clean_stop,
        an_abort_is_a_note_that_says_what_became_of_the_exit_status,
        a_drop_is_told_of_the_program_that_was_pid_1_then,
    ]
}

/// A program as PID 1 of a pid namespace of its own, under a tracer of the machine.
struct Pid1 {
    tracer: Tracer,
    actor: Actor,
    pid: i32,
}

impl Pid1 {
    fn run(command: &[&str]) -> Self {
        let tracer = tracer();
        let (actor, pid) = start(command);
        Self { tracer, actor, pid }
    }

    fn signal(&mut self, name: &str) {
        self.actor.order(&format!("signal {name}"));
        self.actor.line("sent");
    }

    /// SIGUSR2 is dropped: what was sent before has been told, if it ever is.
    fn is_told_of_usr2(&mut self) {
        self.signal("USR2");
        let pid = self.pid;
        let is_usr2 = |event: &Event| about(event, pid) && event.text("/signal") == Some("SIGUSR2");
        self.tracer.expect("the drop of SIGUSR2", soon(), is_usr2);
    }

    /// Stops the tracer when it has seen the end of PID 1, and checks that nothing was told of it but these drops.
    fn finish(self, drops: &[&str]) -> Finished {
        self.tracer.fence();
        let (pid, finished) = (self.pid, self.tracer.stop());
        finished.never("anything but what was dropped", |event| {
            about(event, pid) && !event.text("/signal").is_some_and(|signal| drops.contains(&signal))
        });
        finished
    }
}

pub(crate) fn start(command: &[&str]) -> (Actor, i32) {
    let mut actor = Actor::spawn(["pidns-exec", "--"].iter().chain(command));
    let pid = actor.line("init").pid();
    (actor, pid)
}

pub(crate) fn about(event: &Event, pid: i32) -> bool {
    ["signal_dropped", "stop_failed"].iter().any(|kind| event.is(kind)) && event.pid_of("target") == Some(pid)
}

/// Entries of the summary's list about this process, by the name of the signal.
fn listed(finished: &Finished, list: &str, pid: i32) -> Vec<String> {
    let mine = finished.list(list).filter(|it| it["target"]["pid"] == pid || it["process"]["pid"] == pid);
    mine.map(ToString::to_string).collect()
}

/// Nothing is told of this process at the end.
pub(crate) fn has_nothing_on(finished: &Finished, pid: i32) {
    for list in ["/findings", "/dropped_signals"] {
        assert_eq!(listed(finished, list, pid), [""; 0], "{list}");
    }
}

pub(crate) fn python() -> Result<String, zombie_trace_tests::Skip> {
    Ok(require::program("python3")?.display().to_string())
}

pub(crate) fn bash() -> Result<String, zombie_trace_tests::Skip> {
    Ok(require::program("bash")?.display().to_string())
}

fn a_write_to_a_closed_pipe_is_no_drop_in_python() -> TestResult {
    require::tracing()?;
    // Python ignores SIGPIPE; a program without a handler sees EPIPE as well, if it is PID 1.
    for disposition in ["SIG_IGN", "SIG_DFL"] {
        let script = format!(
            "import os, signal\n\
            signal.signal(signal.SIGPIPE, signal.{disposition})\n\
            reader, writer = os.pipe()\n\
            os.close(reader)\n\
            for _ in range(3):\n\
            \x20   try: os.write(writer, b'x')\n\
            \x20   except BrokenPipeError: pass\n\
            print('wrote', flush=True)\n\
            while True: signal.pause()"
        );
        let mut init = Pid1::run(&[&python()?, "-c", &script]);
        init.actor.line("wrote");
        init.is_told_of_usr2();
        let pid = init.pid;
        let finished = init.finish(&["SIGUSR2"]);
        assert_eq!(listed(&finished, "/dropped_signals", pid).len(), 1, "{disposition}: SIGUSR2 alone");
        assert_eq!(listed(&finished, "/findings", pid).len(), 1, "{disposition}: SIGUSR2 alone");
    }
    Ok(())
}

fn a_write_to_a_closed_pipe_is_no_drop_in_a_shell() -> TestResult {
    require::tracing()?;
    let file = std::env::temp_dir().join(format!("zt-full-{}", std::process::id()));
    // The second is a file that may not grow: SIGXFSZ.
    let script = format!(
        "exec 3> >(true); wait $!; echo x >&3; echo x >&3; ulimit -f 0; \
        echo x > {}; echo wrote; while :; do sleep 600; done",
        file.display()
    );
    let mut init = Pid1::run(&[&bash()?, "-c", &script]);
    init.actor.line("wrote");
    init.is_told_of_usr2();
    let _ = std::fs::remove_file(&file);
    let pid = init.pid;
    let finished = init.finish(&["SIGUSR2"]);
    assert_eq!(listed(&finished, "/findings", pid).len(), 1, "SIGUSR2 alone: {}", finished.summary);
    Ok(())
}

fn timeout_as_pid_1_is_no_stop() -> TestResult {
    require::tracing()?;
    let timeout = require::gnu("timeout")?.display().to_string();
    let mut init = Pid1::run(&[&timeout, "0.3", "sleep", "600"]);
    assert_eq!(init.actor.line("exited").small("code"), 124, "it ended its child, and not by its own end");
    let pid = init.pid;
    let finished = init.finish(&[]);
    has_nothing_on(&finished, pid);
    assert_eq!(listed(&finished, "/stops", pid), [""; 0]);
    Ok(())
}

fn a_shell_that_signals_its_own_group_is_no_stop() -> TestResult {
    require::tracing()?;
    let (setsid, bash) = (require::program("setsid")?.display().to_string(), bash()?);
    // Again and again: the first may come before the child has taken the trap off.
    let script = "trap '' TERM; (trap - TERM; exec sleep 600) & \
        while kill -0 $! 2>/dev/null; do kill -TERM 0; sleep 0.05; done; wait; echo signalled; \
        while :; do sleep 600; done";
    let mut init = Pid1::run(&[&setsid, &bash, "-c", script]);
    init.actor.line("signalled");
    init.tracer.fence();
    // Nobody asked it to end before; a signal from outside, from the same sender, would have.
    init.signal("KILL");
    assert_eq!(init.actor.line("exited").small("signal"), 9);
    let pid = init.pid;
    let finished = init.finish(&[]);
    assert_eq!(listed(&finished, "/stops", pid), [""; 0]);
    Ok(())
}

fn a_term_that_is_taken_late_is_a_clean_stop() -> TestResult {
    require::tracing()?;
    let script = "import signal, time\n\
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n\
        print('ready', flush=True)\n\
        time.sleep(1.5)\n\
        signal.sigwait([signal.SIGTERM])";
    let mut init = Pid1::run(&[&python()?, "-c", script]);
    init.actor.line("ready");
    init.signal("TERM");
    assert_eq!(init.actor.line("exited").small("code"), 0);
    let pid = init.pid;
    let finished = init.finish(&[]);
    has_nothing_on(&finished, pid);
    let stops: Vec<_> = finished.list("/stops").filter(|stop| stop["target"]["pid"] == pid).collect();
    assert_eq!(stops.len(), 1);
    assert_eq!((&stops[0]["outcome"], &stops[0]["reason"]), (&"clean".into(), &serde_json::Value::Null));
    Ok(())
}

fn an_abort_is_a_note_that_says_what_became_of_the_exit_status() -> TestResult {
    require::tracing()?;
    let mut init = Pid1::run(&[&python()?, "-c", "import os; print('ready', flush=True); os.abort()"]);
    assert_eq!(init.actor.line("exited").small("signal"), 11, "the C library faults in the end");
    let pid = init.pid;
    let finished = init.finish(&[]);
    let findings: Vec<_> = finished.list("/findings").filter(|it| it["process"]["pid"] == pid).collect();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["severity"], "note", "{}", findings[0]);
    assert!(findings[0]["detail"].as_str().is_some_and(|it| it.contains("139 instead of 134")), "{}", findings[0]);
    Ok(())
}

fn a_drop_is_told_of_the_program_that_was_pid_1_then() -> TestResult {
    require::tracing()?;
    let mut init = Pid1::run(&[&bash()?, "-c", "echo ready; sleep 1; exec sleep 600"]);
    init.actor.line("ready");
    let pid = init.pid;
    init.signal("TERM");
    let is_term = |event: &Event| about(event, pid) && event.text("/signal") == Some("SIGTERM");
    let told = init.tracer.expect("the drop of SIGTERM", soon(), is_term);
    assert_eq!(told.text("/target/comm"), Some("bash"), "{told}");
    let is_sleep = || process::stat(pid).is_some_and(|stat| stat.comm == b"sleep");
    assert!(process::eventually(soon(), is_sleep), "{:?}", process::stat(pid));
    init.is_told_of_usr2();
    let finished = init.finish(&["SIGTERM", "SIGUSR2"]);
    let drops = finished.list("/dropped_signals").filter(|drop| drop["target"]["pid"] == pid);
    let mut names: Vec<_> =
        drops.map(|drop| (drop["signal"].to_string(), drop["target"]["comm"].to_string())).collect();
    names.sort();
    let expected = [("\"SIGTERM\"", "\"bash\""), ("\"SIGUSR2\"", "\"sleep\"")];
    assert_eq!(names, expected.map(|(signal, comm)| (signal.to_owned(), comm.to_owned())));
    Ok(())
}
