//! Shutdowns in good order, by programs that are stopped so every day: no cause, and nobody is accused.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Finished, Skip, TestResult, process, require, tests};

use super::daemons::Folder;
use super::quiet::{about, bash, has_nothing_on, python, start};
use super::seeds::GoProgram;
use super::{soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_program_with_a_handler_and_a_shell_with_a_trap_stop_gracefully,
        inits_stop_gracefully_with_what_they_started,
        a_supervisor_stops_gracefully_with_its_services,
        node_with_a_handler_stops_gracefully,
        a_go_server_stops_gracefully,
        nginx_quits_gracefully,
        what_came_in_from_outside_is_killed_with_the_namespace_and_nobodys_victim,
        redis_stops_gracefully,
        postgres_stops_gracefully,
        gunicorn_stops_gracefully,
        a_process_group_that_is_signalled_as_one_stops_gracefully,
        a_control_group_whose_processes_are_all_signalled_stops_gracefully,
    ]
}

/// A server that exits on SIGTERM. The handler runs between two of its instructions: one that came just before a pause
/// would wait for the next signal.
const SERVER: &str = "import signal, sys, time\n\
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n\
    print('ready', flush=True)\n\
    while True: time.sleep(0.1)";

/// How it is known that a program can be stopped.
enum Ready<'a> {
    /// It says so.
    Line,
    /// There is this file.
    File(&'a Path),
    /// There is a descendant of this name.
    Descendant(&'a str),
    /// It has this many children, with a handler for SIGTERM each.
    Workers(usize),
    /// It has this many children that call themselves so, which they do when they can be asked to end.
    Titled(usize, &'a str),
}

/// The signals that a process catches, as a bit mask.
fn caught(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn handles(pid: i32, signal: Signal) -> bool {
    caught(pid) >> (signal as i32 - 1) & 1 == 1
}

fn are_titled(parent: i32, count: usize, title: &str) -> bool {
    let is_titled = |child: i32| std::fs::read(format!("/proc/{child}/cmdline")).is_ok_and(|it| holds(&it, title));
    let children = process::children(parent);
    children.len() == count && children.into_iter().all(is_titled)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|it| it == text.as_bytes())
}

/// Runs a command as PID 1, and has it stopped when it is ready, by its pid on the host.
fn stopped(command: &[&str], ready: &Ready<'_>, stop: impl FnOnce(&mut Actor, i32)) {
    let tracer = tracer();
    let (mut actor, pid) = start(command);
    let is_ready = || match ready {
        Ready::Line => true,
        Ready::File(path) => path.exists(),
        Ready::Descendant(name) => process::has_descendant(pid, name.as_bytes()),
        Ready::Workers(count) => {
            let children = process::children(pid);
            children.len() == *count && children.into_iter().all(|child| handles(child, Signal::SIGTERM))
        }
        Ready::Titled(count, title) => are_titled(pid, *count, title),
    };
    if let Ready::Line = ready {
        actor.line("ready");
    }
    assert!(process::eventually(soon(), is_ready), "{command:?} is ready");
    stop(&mut actor, pid);
    assert!(process::eventually(soon(), || process::stat(pid).is_none()), "{command:?} has stopped");
    tracer.fence();
    is_graceful(&tracer.stop(), pid, command);
}

fn by(signal: &str) -> impl FnOnce(&mut Actor, i32) {
    move |actor, _| actor.order(&format!("signal {signal}"))
}

/// Nobody is accused, and no stop has a cause.
fn is_graceful(finished: &Finished, pid: i32, command: &[&str]) {
    finished.never("a graceful shutdown", |event| about(event, pid));
    has_nothing_on(finished, pid);
    let stops: Vec<_> = finished.list("/stops").filter(|stop| stop["target"]["pid"] == pid).collect();
    assert_eq!(stops.len(), 1, "{command:?}: {stops:?}");
    for (field, value) in [("outcome", "clean".into()), ("cause", serde_json::Value::Null)] {
        assert_eq!(stops[0][field], value, "{command:?}: {}", stops[0]);
    }
    assert_eq!(stops[0]["killed_without_term"], serde_json::json!([]), "{command:?}: {}", stops[0]);
}

fn path(program: &str) -> Result<String, Skip> {
    Ok(require::program(program)?.display().to_string())
}

fn a_program_with_a_handler_and_a_shell_with_a_trap_stop_gracefully() -> TestResult {
    require::tracing()?;
    stopped(&[&python()?, "-c", SERVER], &Ready::Line, by("TERM"));
    // `$!` is known as soon as the child is there, a variable set to it is not.
    let trap = "trap 'kill -TERM $!; wait $!; exit 0' TERM; sleep 600 & wait";
    // Its child has the shell's handler until it is another program, and would lose the signal.
    stopped(&[&bash()?, "-c", trap], &Ready::Descendant("sleep"), by("TERM"));
    Ok(())
}

fn inits_stop_gracefully_with_what_they_started() -> TestResult {
    require::tracing()?;
    let python = python()?;
    for (init, options) in [("tini", &["--"][..]), ("tini", &["-g", "--"]), ("dumb-init", &[]), ("catatonit", &["--"])]
    {
        let init = path(init)?;
        stopped(&[&[init.as_str()], options, &[&python, "-c", SERVER]].concat(), &Ready::Line, by("TERM"));
    }
    Ok(())
}

fn a_supervisor_stops_gracefully_with_its_services() -> TestResult {
    require::tracing()?;
    let supervisor = path("s6-svscan")?;
    let folder = Folder::new("s6");
    std::fs::create_dir_all(Path::new(&folder.path()).join("app")).expect("the folder is ours");
    let run = folder.file("app/run", "#!/bin/sh\nexec sleep 600\n");
    std::fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("the file is ours");
    stopped(&[&supervisor, &folder.path()], &Ready::Descendant("sleep"), by("TERM"));
    Ok(())
}

fn node_with_a_handler_stops_gracefully() -> TestResult {
    require::tracing()?;
    let script = "const server = require('http').createServer().listen(0, '127.0.0.1', () => console.log('ready'));\n\
        process.on('SIGTERM', () => server.close(() => process.exit(0)));";
    stopped(&[&path("node")?, "-e", script], &Ready::Line, by("TERM"));
    Ok(())
}

const GO_SERVER: &str = r#"
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(3)
	}
	server := &http.Server{}
	go server.Serve(listener)
	fmt.Println("ready")
	<-ctx.Done()
	server.Shutdown(context.Background())
}
"#;

fn a_go_server_stops_gracefully() -> TestResult {
    require::tracing()?;
    let program = GoProgram::build("server", GO_SERVER)?;
    stopped(&[&program.path().display().to_string()], &Ready::Line, by("TERM"));
    Ok(())
}

const NGINX_WORKER: &str = "nginx: worker process";

/// With the signal that its image sets, and by its own command from within the namespace, as `docker exec` would.
fn nginx_quits_gracefully() -> TestResult {
    require::tracing()?;
    let (nginx, nsenter) = (path("nginx")?, path("nsenter")?);
    let folder = Folder::new("nginx-quit");
    let configuration = format!(
        "user root;\ndaemon off;\nworker_processes 2;\npid {0}/pid;\nerror_log {0}/log;\nevents {{}}\n\
         http {{ access_log off; server {{ listen unix:{0}/socket; }} }}\n",
        folder.path()
    );
    let configuration = folder.file("nginx.conf", &configuration);
    let command = [nginx.as_str(), "-p", &folder.path(), "-c", &configuration].map(ToOwned::to_owned);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    stopped(&command, &Ready::Titled(2, NGINX_WORKER), by("QUIT"));

    let tracer = tracer();
    let (mut actor, pid) = start(&command);
    assert!(process::eventually(soon(), || are_titled(pid, 2, NGINX_WORKER)), "it has its workers");
    let mut quit = Command::new(nsenter);
    // In the file is the number that it has in its namespace, where alone that is its own.
    quit.args(["--pid", "--target", &pid.to_string(), "--"]).args(&command).args(["-s", "quit"]);
    // It may be killed with the namespace before it has exited.
    let status = quit.status().expect("nsenter can be started");
    assert!(
        status.success() || [status.code(), status.signal().map(|it| 128 + it)].contains(&Some(128 + libc::SIGKILL)),
        "{status}"
    );
    actor.line("exited");
    tracer.fence();
    let finished = tracer.stop();
    finished.never("a graceful shutdown", |event| about(event, pid));
    has_nothing_on(&finished, pid);
    assert!(finished.list("/stops").all(|stop| stop["target"]["pid"] != pid || stop["cause"].is_null()));
    Ok(())
}

/// PID 1 is not the parent of what `docker exec` or a probe started, and nobody can ask it to tell that of a stop.
fn what_came_in_from_outside_is_killed_with_the_namespace_and_nobodys_victim() -> TestResult {
    require::tracing()?;
    let nsenter = path("nsenter")?;
    let mut inside = None;
    stopped(&[&python()?, "-c", SERVER], &Ready::Line, |actor, pid| {
        // One that runs, and one of its children, which PID 1 adopts when the namespace ends.
        let mut enter = Command::new(nsenter);
        enter.args(["--pid", "--target", &pid.to_string(), "--", "sh", "-c", "sleep 1000 & exec sleep 1000"]);
        let entered = inside.insert(enter.spawn().expect("nsenter can be started"));
        let pid = i32::try_from(entered.id()).expect("it is a pid");
        let is_sleep = |pid: &i32| process::stat(*pid).is_some_and(|it| it.comm == b"sleep");
        let are_there = || {
            let first = process::children(pid).into_iter().find(is_sleep);
            first.is_some_and(|first| process::children(first).iter().any(is_sleep))
        };
        assert!(process::eventually(soon(), are_there), "both are there");
        actor.order("signal TERM");
    });
    inside.expect("it was started").wait().expect("it is our child");
    Ok(())
}

fn redis_stops_gracefully() -> TestResult {
    require::tracing()?;
    let redis = path("redis-server")?;
    let folder = Folder::new("redis");
    let socket = format!("{}/socket", folder.path());
    let log = format!("{}/log", folder.path());
    let command =
        [&redis, "--port", "0", "--unixsocket", &socket, "--save", "", "--dir", &folder.path(), "--logfile", &log];
    stopped(&command, &Ready::File(Path::new(&socket)), by("TERM"));
    Ok(())
}

/// The folder with the programs of the newest PostgreSQL: Debian has none of them on the path.
fn postgres_programs() -> Result<String, Skip> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin")).filter(|it| it.join("initdb").exists()).max();
    programs
        .map(|it| it.display().to_string())
        .ok_or_else(|| Skip::new("there is no PostgreSQL in /usr/lib/postgresql"))
}

fn postgres_stops_gracefully() -> TestResult {
    require::tracing()?;
    let programs = postgres_programs()?;
    let setpriv = path("setpriv")?;
    let folder = Folder::new("postgres");
    let (place, data) = (folder.path(), format!("{}/data", folder.path()));
    // It does not run as root.
    let nobody = nix::unistd::Uid::from_raw(65_534);
    nix::unistd::chown(Path::new(&place), Some(nobody), None).expect("the folder is ours");
    let as_nobody = [setpriv.as_str(), "--reuid=65534", "--regid=65534", "--clear-groups"];
    let initdb = format!("{programs}/initdb");
    let made = Command::new(as_nobody[0]).args(&as_nobody[1..]).args([&initdb, "--no-sync", "-D", &data]).output();
    let made = made.expect("initdb can be started");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let postgres = format!("{programs}/postgres");
    let server = [&postgres, "-D", &data, "-k", &place, "-c", "listen_addresses=", "-c", "fsync=off"];
    for (signal, name) in [("TERM", "smart"), ("INT", "fast")] {
        let log = format!("{place}/{name}");
        let script = format!("exec \"$@\" 2>{log}");
        let command = [&["/bin/sh", "-c", &script, "sh"], &as_nobody[..], &server].concat();
        // What is its last child says that it serves.
        let accepts = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("ready to accept connections"));
        stopped(&command, &Ready::File(Path::new(&log)), |actor, _| {
            assert!(process::eventually(soon(), accepts), "it serves");
            actor.order(&format!("signal {signal}"));
        });
    }
    Ok(())
}

fn gunicorn_stops_gracefully() -> TestResult {
    require::tracing()?;
    let gunicorn = path("gunicorn")?;
    let folder = Folder::new("gunicorn");
    // A worker imports it when it has handlers of its own.
    let app = "import os\nopen(f'worker-{os.getpid()}', 'w')\ndef app(environ, start):\n    start('200 OK', [])\n    \
        return [b'']\n";
    folder.file("app.py", app);
    let socket = format!("unix:{}/socket", folder.path());
    let command = [&gunicorn, "--workers", "2", "--chdir", &folder.path(), "--bind", &socket, "app:app"];
    let has_begun = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("worker-");
    stopped(&command, &Ready::Workers(2), |actor, _| {
        let begun = || std::fs::read_dir(folder.path()).into_iter().flatten().flatten().filter(has_begun).count();
        assert!(process::eventually(soon(), || begun() == 2), "both workers run");
        actor.order("signal TERM");
    });
    Ok(())
}

/// PID 1 with two workers that it waits for when it is to end. Each says when it runs: Python forgets a signal that comes to
/// a child before that.
const FAMILY: &str = "import os, signal, sys, time\n\
    def stop(*_):\n\
    \x20   for _ in range(len(workers)): os.wait()\n\
    \x20   sys.exit(0)\n\
    def end(*_): os._exit(0)\n\
    signal.signal(signal.SIGTERM, end)\n\
    workers, (reader, writer) = [], os.pipe()\n\
    for _ in range(2):\n\
    \x20   worker = os.fork()\n\
    \x20   if worker == 0:\n\
    \x20       os.write(writer, b'x')\n\
    \x20       while True: time.sleep(0.1)\n\
    \x20   workers.append(worker)\n\
    \x20   os.read(reader, 1)\n\
    signal.signal(signal.SIGTERM, stop)\n\
    print('ready', flush=True)\n\
    while True: time.sleep(0.1)";

fn a_process_group_that_is_signalled_as_one_stops_gracefully() -> TestResult {
    require::tracing()?;
    let setsid = path("setsid")?;
    let group = |_: &mut Actor, pid: i32| killpg(Pid::from_raw(pid), Signal::SIGTERM).expect("it leads its group");
    stopped(&[&setsid, &python()?, "-c", FAMILY], &Ready::Line, group);
    let trap = "trap 'wait; exit 0' TERM; sleep 600 & sleep 600 & wait; wait";
    stopped(&[&setsid, &bash()?, "-c", trap], &Ready::Descendant("sleep"), |actor, pid| {
        let both = || {
            let children = process::children(pid);
            children.len() == 2
                && children.into_iter().all(|it| process::stat(it).is_some_and(|it| it.comm == b"sleep"))
        };
        assert!(process::eventually(soon(), both), "both are there");
        group(actor, pid);
    });
    Ok(())
}

/// As `systemctl stop` does it: one signal to each process of the unit, in whatever order.
fn a_control_group_whose_processes_are_all_signalled_stops_gracefully() -> TestResult {
    require::tracing()?;
    for pid_1_first in [true, false] {
        stopped(&[&python()?, "-c", FAMILY], &Ready::Line, |_, pid| {
            let mut all = process::children(pid);
            assert_eq!(all.len(), 2);
            all.insert(if pid_1_first { 0 } else { 2 }, pid);
            for process in all {
                // One that is signalled late may have ended with the namespace.
                let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
            }
        });
    }
    Ok(())
}
