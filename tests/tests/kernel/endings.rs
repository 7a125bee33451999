//! How processes ended: by themselves, or by which signal, from whom and by which way; each by a real program.

use std::ffi::OsStr;

use zombie_trace_tests::cgroup::{KillableCgroup, MemoryCgroup};
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, TestResult, Tracer, binaries, clock, process, require, tests};

use super::{says, soon};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_pid_1_that_exits_ended_by_itself,
        a_pid_1_that_is_killed_from_outside_is_told_by_whom,
        a_process_that_its_sibling_kills_is_killed_from_inside,
        a_signal_that_pid_1_passes_on_is_told_with_who_sent_it_first,
        a_fault_is_a_fault,
        an_abort_of_pid_1_is_no_fault,
        an_abort_of_another_is_an_abort,
        what_the_oom_killer_chooses_is_told_with_its_cgroup_and_limit,
        a_memory_limit_of_the_cgroup_above_is_told_as_that,
        what_cgroup_kill_ends_is_told_so,
        what_ends_with_its_namespace_is_told_with_pid_1,
        what_seccomp_does_not_allow_is_told_so,
        what_uses_up_its_cpu_time_is_told_so,
        a_pid_1_that_uses_up_its_cpu_time_is_not_short_of_memory,
        a_parent_death_signal_is_no_kill,
        a_key_at_the_terminal_is_no_kill,
        a_timer_is_no_kill,
        a_closed_pipe_is_no_kill,
        of_others_than_pid_1_nothing_is_told_unless_asked_for,
    ]
}

const PYTHON: &str = "/usr/bin/python3";

fn tracer_of_ends() -> Tracer {
    Tracer::live(["--ends"]).start()
}

/// A pid namespace of the test: the kernel gives the number of one that is gone to the next one at once.
#[derive(Clone, Copy)]
struct Namespace {
    inode: u64,
    began: u64,
}

/// Starts PID 1 of a namespace; returns its pid, too.
fn begin<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> (Actor, i32, Namespace) {
    let began = clock::boot_now();
    let mut actor = Actor::spawn(arguments);
    let init = actor.line("init");
    // An earlier namespace of another test may have had the same number, and have ended since this actor was started.
    let began = process::stat(init.pid()).map_or(began, |stat| stat.start_ns.max(began));
    (actor, init.pid(), Namespace { inode: init.number("pid_ns"), began })
}

/// Whether this is the end of PID 1, or of another, in this namespace.
fn is_end(event: &Event, namespace: Namespace, is_pid_1: bool) -> bool {
    let number = |pointer| event.at(pointer).and_then(serde_json::Value::as_u64);
    let is_there = number("/process/pid_ns") == Some(namespace.inode)
        && number("/process/start_ns").is_some_and(|start| start >= namespace.began);
    event.is("ended") && is_there && event.at("/is_pid_1") == Some(&is_pid_1.into())
}

fn end_of(tracer: &Tracer, namespace: Namespace, is_pid_1: bool) -> Event {
    tracer.expect("the end", soon(), |event| is_end(event, namespace, is_pid_1))
}

/// The end of PID 1, or of its child, of a command as PID 1; live and report say the same.
fn ends(command: &[&str], is_pid_1: bool) -> Event {
    let tracer = tracer_of_ends();
    let (_actor, _, namespace) = begin(["pidns-exec", "--"].iter().chain(command));
    let end = end_of(&tracer, namespace, is_pid_1);
    let finished = tracer.stop();
    let is_same = |it: &&serde_json::Value| it["process"]["start_ns"] == end.0["process"]["start_ns"];
    let recorded = finished.list("/ended").find(is_same).expect("it is in the report");
    for field in ["way", "exit_status", "evidence", "advice"] {
        assert_eq!(recorded[field], end.0[field], "live and report say the same");
    }
    end
}

/// The end of a child that runs this Python as the child of PID 1.
fn child_ends(body: &str) -> Event {
    let script = format!(
        "import os, resource, signal, time\nchild = os.fork()\n\
         if child == 0:\n{}\n    os._exit(7)\nos.waitpid(child, 0)\n",
        body.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    );
    ends(&[PYTHON, "-c", &script], false)
}

/// The end of what PID 1 starts and outlives.
fn child_of_pid_1_ends(how: &str) -> Event {
    let actor = binaries::actor().to_string_lossy();
    ends(&["sh", "-c", "\"$0\" end-by $1; sleep 600", &actor, how], false)
}

#[track_caller]
fn is(end: &Event, way: &str, status: i64) {
    assert_eq!((end.text("/way"), end.number("/exit_status")), (Some(way), Some(status)), "{end}");
}

fn a_pid_1_that_exits_ended_by_itself() -> TestResult {
    require::tracing()?;
    let end = ends(&["sh", "-c", "exit 3"], true);
    is(&end, "exit", 3);
    assert_eq!((end.exit_code(), end.at("/signal"), end.at("/sender")), (Some(3), None, None), "{end}");
    Ok(())
}

fn a_pid_1_that_is_killed_from_outside_is_told_by_whom() -> TestResult {
    require::tracing()?;
    let tracer = tracer_of_ends();
    let (mut actor, _, namespace) = begin(["pidns-exec", "--", "sleep", "600"]);
    actor.order("signal KILL");
    let end = end_of(&tracer, namespace, true);
    is(&end, "outside", 137);
    assert_eq!((end.pid_of("sender"), end.text("/relation")), (Some(actor.pid()), Some("outside")), "{end}");
    Ok(())
}

fn a_process_that_its_sibling_kills_is_killed_from_inside() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let end =
        child_ends("victim = os.getpid()\nif os.fork() == 0:\n    os.kill(victim, signal.SIGTERM)\ntime.sleep(600)");
    is(&end, "inside", 143);
    assert_ne!(end.pid_of("sender"), end.pid());
    Ok(())
}

fn a_signal_that_pid_1_passes_on_is_told_with_who_sent_it_first() -> TestResult {
    require::tracing()?;
    require::program("tini")?;
    let tracer = tracer_of_ends();
    let (mut actor, init, namespace) =
        begin(["pidns-exec", "--", "tini", "--", "sh", "-c", "echo ready; exec sleep 600"]);
    actor.line("ready");
    actor.order("signal TERM");
    let end = end_of(&tracer, namespace, false);
    is(&end, "passed-on", 143);
    says(&end, &["zt-actor"]);
    assert_eq!(end.pid_of("sender"), Some(init), "{end}");
    let of_pid_1 = end_of(&tracer, namespace, true);
    is(&of_pid_1, "exit", 143);
    says(&of_pid_1, &["it had been sent SIGTERM", "zt-actor"]);
    Ok(())
}

fn a_fault_is_a_fault() -> TestResult {
    require::tracing()?;
    let actor = binaries::actor().to_string_lossy();
    let end = ends(&[&actor, "end-by", "fault"], true);
    is(&end, "fault", 139);
    assert_eq!((end.at("/sender"), end.text("/relation")), (None, Some("kernel")), "{end}");
    Ok(())
}

fn an_abort_of_pid_1_is_no_fault() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let end = ends(&[PYTHON, "-c", "import os; os.abort()"], true);
    is(&end, "abort", 139);
    says(&end, &["the exit status 139 stands for 134"]);
    Ok(())
}

fn an_abort_of_another_is_an_abort() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    is(&child_ends("os.abort()"), "abort", 134);
    Ok(())
}

/// The end of a PID 1 that takes more memory than this cgroup may; `enter` puts it there.
fn end_for_want_of_memory(enter: impl FnOnce(i32)) -> serde_json::Value {
    let tracer = tracer_of_ends();
    let script = "import time\nwhile 'zt-test' not in open('/proc/self/cgroup').read(): time.sleep(0.01)\n\
                  hoard = [bytearray(1 << 20) for _ in range(300)]\n";
    let (_actor, init, namespace) = begin(["pidns-exec", "--", PYTHON, "-c", script]);
    enter(init);
    let end = end_of(&tracer, namespace, true);
    is(&end, "out-of-memory", 137);
    assert_eq!(end.at("/sender"), None, "{end}");
    let finished = tracer.stop();
    let recorded = finished.list("/ended").find(|it| it["process"]["pid"] == init).expect("it is in the report");
    assert_eq!(recorded["memory_limit"], end.0["memory_limit"]);
    recorded.clone()
}

/// Of the memory cgroups of the tests.
const MEMORY_LIMIT: u64 = 32 << 20;

fn what_the_oom_killer_chooses_is_told_with_its_cgroup_and_limit() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let cgroup = MemoryCgroup::with_max(MEMORY_LIMIT)?;
    let end = end_for_want_of_memory(|init| cgroup.take_in(init));
    assert_eq!(end["cgroup"], cgroup.path());
    assert_eq!(end["memory_limit"], MEMORY_LIMIT, "{end}");
    assert!(end["evidence"].to_string().contains("the memory limit of its cgroup is 32 MiB"), "{end}");
    Ok(())
}

fn a_memory_limit_of_the_cgroup_above_is_told_as_that() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let cgroup = MemoryCgroup::with_max(MEMORY_LIMIT)?;
    let end = end_for_want_of_memory(|init| cgroup.take_in_below(init));
    assert_eq!(end["memory_limit"], MEMORY_LIMIT, "{end}");
    assert!(end["evidence"].to_string().contains("the cgroup 1 level above its own is 32 MiB"), "{end}");
    Ok(())
}

fn what_cgroup_kill_ends_is_told_so() -> TestResult {
    require::tracing()?;
    let cgroup = KillableCgroup::new()?;
    let tracer = tracer_of_ends();
    let (_actor, init, namespace) = begin(["pidns-exec", "--", "sleep", "600"]);
    cgroup.take_in(init);
    cgroup.kill();
    let end = end_of(&tracer, namespace, true);
    is(&end, "cgroup-kill", 137);
    assert_eq!(end.pid_of("sender"), Some(std::process::id().cast_signed()), "{end}");
    Ok(())
}

fn what_ends_with_its_namespace_is_told_with_pid_1() -> TestResult {
    require::tracing()?;
    let tracer = tracer_of_ends();
    let (_actor, init, namespace) = begin(["pidns-exec", "--", "sh", "-c", "sleep 600 & exit 0"]);
    let end = end_of(&tracer, namespace, false);
    is(&end, "namespace-end", 137);
    assert_eq!(end.pid_of("sender"), Some(init), "{end}");
    is(&end_of(&tracer, namespace, true), "exit", 0);
    Ok(())
}

fn what_seccomp_does_not_allow_is_told_so() -> TestResult {
    require::tracing()?;
    let end = child_of_pid_1_ends("seccomp");
    is(&end, "seccomp", 159);
    Ok(())
}

fn what_uses_up_its_cpu_time_is_told_so() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    is(&child_ends("resource.setrlimit(resource.RLIMIT_CPU, (1, 5))\nwhile True: pass"), "resource-limit", 152);
    Ok(())
}

fn a_pid_1_that_uses_up_its_cpu_time_is_not_short_of_memory() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let script = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass";
    let end = ends(&[PYTHON, "-c", script], true);
    is(&end, "resource-limit", 137);
    says(&end, &["soft limit on CPU time (SIGXCPU)"]);
    Ok(())
}

fn a_parent_death_signal_is_no_kill() -> TestResult {
    require::tracing()?;
    let end = child_of_pid_1_ends("parent-death");
    is(&end, "parent-death", 138);
    says(&end, &["because thread", "ended"]);
    Ok(())
}

fn a_key_at_the_terminal_is_no_kill() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let end = child_ends(
        "import pty\nchild, terminal = pty.fork()\nif child == 0:\n    signal.signal(signal.SIGINT, signal.SIG_DFL)\n    \
         os.write(1, b'ready')\n    time.sleep(600)\nos.read(terminal, 5)\nos.write(terminal, b'\\x03')\nos.waitpid(child, 0)",
    );
    is(&end, "terminal", 130);
    Ok(())
}

fn a_timer_is_no_kill() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    is(&child_ends("signal.setitimer(signal.ITIMER_REAL, 0.05)\ntime.sleep(600)"), "timer", 142);
    Ok(())
}

fn a_closed_pipe_is_no_kill() -> TestResult {
    require::tracing()?;
    require::file(PYTHON)?;
    let body = "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\nreads, writes = os.pipe()\nos.close(reads)\nos.write(writes, b'x')";
    is(&child_ends(body), "closed-pipe", 141);
    Ok(())
}

fn of_others_than_pid_1_nothing_is_told_unless_asked_for() -> TestResult {
    require::tracing()?;
    let tracer = super::tracer();
    let (_actor, _, namespace) = begin(["pidns-exec", "--", "sh", "-c", "sleep 600 & kill -9 $!; wait; exit 4"]);
    is(&end_of(&tracer, namespace, true), "exit", 4);
    tracer.stop().never("the end of the other", |event| is_end(event, namespace, false));
    Ok(())
}
