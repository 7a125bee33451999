//! Zombies in containers: whose they are, and on which side of the pid namespace.

use std::fs;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zombie_trace_tests::runtime::{Container, Runtime, is_called};
use zombie_trace_tests::{TestResult, Tracer, process, require};

use super::{SLEEP, assert_in, findings_in, soon, tracer};

/// A shell that leaves behind a child of its own, which dies when nobody knows it.
pub(crate) const ORPHAN: &[&str] = &["sh", "-c", "sleep 0.1 &"];

/// What is put into a running container, and how /proc writes that.
const EXEC: &[&str] = &["sleep", "601"];
const EXEC_ARGUMENTS: &[u8] = b"sleep\x00601\x00";

pub(crate) fn an_orphan_waits_for_the_application<R: Runtime>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let tracer = tracer();
    let container = Container::start(&runtime, "orphans", SLEEP, false);
    assert_eq!(container.exec(ORPHAN), 0);
    let zombie = tracer
        .expect("the orphan", soon(), |event| event.is("zombie") && event.pid_of("parent") == Some(container.pid));
    assert_eq!((zombie.cause(), zombie.exit_code()), (Some("init-does-not-reap"), Some(0)), "{zombie}");
    assert_eq!(zombie.number("/parent/ns_pid"), Some(1), "{zombie}");
    assert_eq!(zombie.at("/process/pid_ns"), zombie.at("/parent/pid_ns"), "the parent is inside: {zombie}");
    assert_in(&container, "process", &zombie);
    assert_in(&container, "parent", &zombie);
    let story = zombie.at("/evidence").map(ToString::to_string).unwrap_or_default();
    assert!(story.contains("its first parent sh (pid") && story.contains("exited with 0"), "{zombie}");
    let finished = tracer.stop();
    let accusation = finished.accusation(container.pid).expect("the application is accused");
    assert_eq!(accusation["process"]["container"], container.identity, "{accusation}");
    Ok(())
}

pub(crate) fn an_orphan_is_reaped_by_the_pod<R: Runtime>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let (tracer, of_all) = (tracer(), Tracer::live(["--min-age", "0"]).start());
    let container = Container::start(&runtime, "pod-orphans", SLEEP, false);
    assert_eq!(container.exec(ORPHAN), 0);
    let namespace = process::pid_namespace(container.pid);
    let is_of_pod = |pid_ns: Option<&serde_json::Value>| pid_ns.and_then(serde_json::Value::as_u64) == namespace;
    let reaped = of_all.expect("the orphan's end", soon(), |event| {
        event.is("reaped")
            && event.text("/process/comm") == Some("sleep")
            && is_of_pod(event.at("/process/pid_ns"))
            && event.number("/parent/ns_pid") == Some(1)
    });
    assert_in(&container, "process", &reaped);
    assert_eq!(reaped.text("/reaper/comm"), Some("catatonit"), "the pod's pause: {reaped}");
    let (pod, namespace) = (reaped.text("/reaper/container/pod"), reaped.text("/reaper/container/namespace"));
    let own = |key: &str| container.identity[key].as_str();
    assert_eq!((pod, namespace), (own("pod"), own("namespace")), "{reaped}");
    tracer.fence();
    let finished = tracer.stop();
    assert_eq!(findings_in(&container, &finished).collect::<Vec<_>>(), Vec::<&serde_json::Value>::new());
    Ok(())
}

pub(crate) fn the_parent_of_an_exec_is_outside<R: Runtime>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let tracer = tracer();
    let container = Container::start(&runtime, "execs", SLEEP, false);
    thread::scope(|scope| {
        let exec = scope.spawn(|| container.exec(EXEC));
        let mut found = None;
        process::eventually(soon(), || {
            found = process_in(&container, EXEC_ARGUMENTS);
            found.is_some()
        });
        let exec_pid = found.expect("the process runs in the container");
        // The client waits for it, and the scope for the client, also when an assertion fails.
        let _ended = Ended(&container);
        // Who starts it may be gone soon, and a shim that is a subreaper adopts it.
        let mut parent = 0;
        let is_settled = process::eventually(soon(), || {
            parent = process::stat(exec_pid).map_or(0, |stat| stat.ppid);
            let comm = process::stat(parent).map(|stat| stat.comm).unwrap_or_default();
            is_called(&String::from_utf8_lossy(&comm), runtime.parent_of_execs())
        });
        assert!(is_settled, "its parent is {:?}", process::stat(parent));
        // The parent is kept from reaping, so that the zombie is there for a while.
        let stopped = Stopped::stop(parent);
        kill(Pid::from_raw(exec_pid), Signal::SIGKILL).expect("it is the test's own");
        let zombie = tracer.expect("the zombie", soon(), |event| event.is("zombie") && event.pid() == Some(exec_pid));
        assert_in(&container, "process", &zombie);
        assert_eq!(zombie.pid_of("parent"), Some(parent), "{zombie}");
        assert_eq!(zombie.at("/parent/container"), None, "the parent is outside: {zombie}");
        assert_eq!(zombie.at("/parent/pid_ns"), tracer_namespace().as_ref(), "{zombie}");
        assert_eq!(zombie.cause(), Some("parent-cannot-run"), "{zombie}");
        drop(stopped);
        let reaped = tracer.expect("its end", soon(), |event| event.is("reaped") && event.pid() == Some(exec_pid));
        assert_eq!(reaped.pid_of("reaper"), Some(parent), "{reaped}");
        assert_ne!(exec.join().expect("the client ends"), 0, "the client hears that it was killed");
    });
    let finished = tracer.stop();
    assert_eq!(findings_in(&container, &finished).collect::<Vec<_>>(), Vec::<&serde_json::Value>::new());
    Ok(())
}

/// What was put into a container is killed when the value is dropped, if it is still there.
struct Ended<'a>(&'a Container);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        // Looked up again: its number may be another's by now.
        if let Some(pid) = process_in(self.0, EXEC_ARGUMENTS) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// A stopped process that goes on when the value is dropped.
struct Stopped(Pid);

impl Stopped {
    fn stop(pid: i32) -> Self {
        let stopped = Self(Pid::from_raw(pid));
        kill(stopped.0, Signal::SIGSTOP).expect("it is the test's own");
        // Each thread stops by itself, when it next runs.
        let has_stopped = |thread: fs::DirEntry| {
            let number = thread.file_name().to_str().and_then(|name| name.parse().ok());
            number.and_then(process::stat).is_none_or(|stat| stat.state == 'T')
        };
        let threads = || fs::read_dir(format!("/proc/{pid}/task")).expect("it is there").flatten();
        assert!(process::eventually(soon(), || threads().all(has_stopped)));
        stopped
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// The process in the container's pid namespace with these arguments.
fn process_in(container: &Container, arguments: &[u8]) -> Option<i32> {
    let entries = fs::read_dir("/proc").expect("/proc can be read").flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let namespace = process::pid_namespace(container.pid);
    pids.find(|&pid| {
        process::pid_namespace(pid) == namespace
            && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|it| it == arguments)
    })
}

/// The pid namespace of this test and so of the tracer.
fn tracer_namespace() -> Option<serde_json::Value> {
    process::pid_namespace(i32::try_from(std::process::id()).ok()?).map(Into::into)
}
