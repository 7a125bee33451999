//! Well-behaved programs are accused of nothing: a false accusation is the worst that the tool could do.

use std::path::Path;

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Finished, Namespace, TestResult, Tracer, binaries, clock, process, require, tests};

use super::checking::{json, run, text};

pub(crate) fn all() -> Vec<Test> {
    tests![
        inits_and_shells_as_pid_1,
        s6_svscan_as_pid_1,
        runsvdir_as_pid_1,
        a_multiprocessing_pool,
        a_prefork_server_that_loops_on_sigchld,
        asyncio_subprocesses,
        threads_with_subprocesses_of_their_own,
        a_parallel_make,
        shell_pipelines_and_background_jobs,
        node_with_many_children,
        java_with_many_children;
        slow: the_process_tests_of_cpython,
    ]
}

/// They make, wait for, signal and kill hundreds of children in every way that Python has, and leave none behind.
fn the_process_tests_of_cpython() -> TestResult {
    require::tracing()?;
    let python = require::python_with("test.test_subprocess")?.to_string_lossy().into_owned();
    let suites = ["test_subprocess", "test_wait3", "test_wait4", "test_posix", "test_signal"];
    // On a busy machine a child waits a while for who wants it.
    let check = ["check", "--format", "json", "--min-age", "5s", "--", &python, "-m", "test", "-q"];
    let output = run(&[&check[..], &suites].concat());
    let verdict = json(&output);
    assert_eq!((&verdict["verdict"], &verdict["violations"]), (&"pass".into(), &Vec::<u8>::new().into()), "{verdict}");
    let report = &verdict["report"];
    assert_eq!((&report["loss"]["events"], &report["stuck"]), (&0.into(), &Vec::<u8>::new().into()), "{verdict}");
    assert!(report["totals"]["exits"].as_u64() > Some(200), "the suites started nothing: {}", text(&output));
    Ok(())
}

/// At the threshold of the default, on the whole machine.
fn tracer() -> Tracer {
    Tracer::live(["--min-age", "1s"]).start()
}

/// No zombie, no drop, no finding names a process with this pid, or in this pid namespace.
pub(super) fn is_clean(finished: &Finished, pid: i32, namespace: Option<Namespace>) {
    let own = process::pid_namespace(i32::try_from(std::process::id()).expect("pids are small"));
    let inner = namespace.filter(|namespace| Some(namespace.inode()) != own);
    let concerns = |process: &serde_json::Value| {
        process["pid"] == pid || inner.as_ref().is_some_and(|namespace| namespace.has(process))
    };
    let roles = ["process", "parent", "target"];
    finished.never("anything about a program that does nothing wrong", |event| {
        // How each PID 1 ended is told, and accuses nobody.
        let accuses = !["reaped", "auto_reaped", "ended"].iter().any(|kind| event.is(kind));
        accuses && roles.iter().any(|role| concerns(&event.0[role]))
    });
    for list in ["parents", "findings", "stuck", "dropped_signals"] {
        let entries = finished.summary.0[list].as_array().expect("the summary has this list");
        let found: Vec<_> = entries.iter().filter(|entry| roles.iter().any(|role| concerns(&entry[role]))).collect();
        assert!(found.is_empty(), "{list}: {found:?}");
    }
    finished.has_lost_nothing();
}

/// Orphans that die one after the other, and then many at once.
const STORM: &str = "orphan-storm --count 30 --over-ms 300";

/// PID 1 that adopts the workload's orphans, run for longer than the threshold.
fn adopts(tracer: &Tracer, program: &Path, command: &[&str], setup: &str) -> (Actor, i32, Namespace) {
    let began = clock::boot_now();
    let workload = format!("{} {STORM}", binaries::actor().display());
    let command = command.iter().flat_map(|&word| match word {
        "{words}" => workload.split(' ').map(ToOwned::to_owned).collect(),
        "{line}" => vec![format!("{workload}; true")],
        "{setup}" => vec![setup.to_owned()],
        word => vec![word.to_owned()],
    });
    let program = program.display().to_string();
    let mut actor =
        Actor::spawn(["pidns-exec", "--"].map(ToOwned::to_owned).into_iter().chain([program]).chain(command));
    let init = actor.line("init");
    assert_eq!(actor.line("all-reaped").number("count"), 30, "the init reaped its orphans");
    let namespace = Namespace::until_now(init.number("pid_ns"), began);
    tracer.fence();
    (actor, init.pid(), namespace)
}

fn inits_and_shells_as_pid_1() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let inits: &[(&str, &[&str])] = &[
        ("tini", &["--", "{words}"]),
        ("dumb-init", &["{words}"]),
        ("catatonit", &["--", "{words}"]),
        ("bash", &["-c", "{line}"]),
        ("dash", &["-c", "{line}"]),
        ("busybox", &["sh", "-c", "{line}"]),
    ];
    let mut adopted = Vec::new();
    for (name, command) in inits {
        let program = require::program(name)?;
        adopted.push(adopts(&tracer, &program, command, ""));
    }
    let finished = tracer.stop();
    for (_, init, namespace) in adopted {
        is_clean(&finished, init, Some(namespace));
    }
    Ok(())
}

/// A supervisor as PID 1, with the workload as its service. Reaped within `min_age` is reaped in time.
fn supervisor(name: &str, min_age: &str, arguments: &[&str]) -> TestResult {
    require::tracing()?;
    let program = require::program(name)?;
    let folder = std::env::temp_dir().join(format!("zt-{name}-{}", std::process::id()));
    let service = folder.join("storm");
    std::fs::create_dir_all(&service).expect("a folder for the service");
    let run = service.join("run");
    let script = format!("#!/bin/sh\n{} {STORM}\nexec sleep 1000\n", binaries::actor().display());
    std::fs::write(&run, script).expect("the service's program");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&run, executable).expect("it is ours");
    let tracer = Tracer::live(["--min-age", min_age]).start();
    let (actor, init, namespace) = adopts(&tracer, &program, arguments, &folder.display().to_string());
    is_clean(&tracer.stop(), init, Some(namespace));
    drop(actor);
    let _ = std::fs::remove_dir_all(&folder);
    Ok(())
}

fn s6_svscan_as_pid_1() -> TestResult {
    supervisor("s6-svscan", "1s", &["{setup}"])
}

fn runsvdir_as_pid_1() -> TestResult {
    // It wakes every second while its folder changes, else every five, and reaps then.
    supervisor("runsvdir", "6s", &["-P", "{setup}"])
}

/// A program that says `parent pid=` at the start and `done` when it has started and ended its children.
fn runs_clean(program: &str, arguments: &[&str]) -> TestResult {
    require::tracing()?;
    let program = require::program(program)?;
    let tracer = tracer();
    let mut actor = Actor::run(&program, arguments);
    let parent = actor.line("parent").pid();
    actor.line("done");
    tracer.fence();
    is_clean(&tracer.stop(), parent, None);
    Ok(())
}

fn python_runs_clean(script: &str) -> TestResult {
    runs_clean("python3", &["-c", script])
}

fn a_multiprocessing_pool() -> TestResult {
    // Workers that end after a few tasks are replaced all the time.
    python_runs_clean(
        "import multiprocessing, os, sys, time\n\
        print(f'parent pid={os.getpid()}', flush=True)\n\
        pool = multiprocessing.get_context('fork').Pool(4, maxtasksperchild=2)\n\
        assert pool.map(abs, range(40), chunksize=1) == list(range(40))\n\
        pool.close(); pool.join()\n\
        print('done', flush=True)\nsys.stdin.read()",
    )
}

fn a_prefork_server_that_loops_on_sigchld() -> TestResult {
    python_runs_clean(
        "import os, signal, sys, time\n\
        print(f'parent pid={os.getpid()}', flush=True)\n\
        alive = set()\n\
        def reap(*_):\n\
        \x20   while alive:\n\
        \x20       try: pid, _ = os.waitpid(-1, os.WNOHANG)\n\
        \x20       except ChildProcessError: return\n\
        \x20       if pid == 0: return\n\
        \x20       alive.discard(pid)\n\
        signal.signal(signal.SIGCHLD, reap)\n\
        for _ in range(30):\n\
        \x20   signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])\n\
        \x20   pid = os.fork()\n\
        \x20   if pid == 0: os._exit(0)\n\
        \x20   alive.add(pid)\n\
        \x20   signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])\n\
        while alive: time.sleep(0.01)\n\
        print('done', flush=True)\nsys.stdin.read()",
    )
}

fn asyncio_subprocesses() -> TestResult {
    python_runs_clean(
        "import asyncio, os, sys\n\
        print(f'parent pid={os.getpid()}', flush=True)\n\
        async def one():\n\
        \x20   await (await asyncio.create_subprocess_exec('true')).wait()\n\
        async def all():\n\
        \x20   await asyncio.gather(*(one() for _ in range(20)))\n\
        asyncio.run(all())\nprint('done', flush=True)\nsys.stdin.read()",
    )
}

fn threads_with_subprocesses_of_their_own() -> TestResult {
    python_runs_clean(
        "import os, subprocess, sys, threading\n\
        print(f'parent pid={os.getpid()}', flush=True)\n\
        each = [threading.Thread(target=lambda: [subprocess.run(['true']) for _ in range(5)]) for _ in range(4)]\n\
        [it.start() for it in each]; [it.join() for it in each]\n\
        print('done', flush=True)\nsys.stdin.read()",
    )
}

fn a_parallel_make() -> TestResult {
    require::program("make")?;

    runs_clean(
        "bash",
        &[
            "-c",
            "all=$(seq -s ' ' 1 40); make -s -j 4 -f - $all <<< \"\
        $(printf '%s:\\n\\t@true & true | true\\n.PHONY: %s\\n' \"$all\" \"$all\")\" & wait $!; echo parent pid=$!; \
        echo done; read -r line",
        ],
    )
}

fn shell_pipelines_and_background_jobs() -> TestResult {
    runs_clean(
        "bash",
        &[
            "-c",
            "echo parent pid=$$; for i in $(seq 20); do true | cat | cat; (exit 3) & done; wait; \
        sleep 1.5; (sleep 0.1; exit 1) & sleep 1.5; echo done; read -r line",
        ],
    )
}

fn node_with_many_children() -> TestResult {
    runs_clean(
        "node",
        &[
            "-e",
            "console.log(`parent pid=${process.pid}`);\
        const { spawn } = require('child_process'); let left = 20;\
        for (let i = 0; i < 20; i++) spawn('true').on('exit', () => { if (--left === 0) console.log('done'); });\
        process.stdin.resume(); process.stdin.on('end', () => process.exit(0));",
        ],
    )
}

fn java_with_many_children() -> TestResult {
    require::tracing()?;
    let java = require::program("java")?;
    let source = std::env::temp_dir().join(format!("Zt{}.java", std::process::id()));
    let text = "public class Zt { public static void main(String[] a) throws Exception {\
        System.out.println(\"parent pid=\" + ProcessHandle.current().pid());\
        for (int i = 0; i < 10; i++) new ProcessBuilder(\"true\").start();\
        new ProcessBuilder(\"sleep\", \"0.1\").start().waitFor();\
        System.out.println(\"done\"); System.in.read(); } }";
    std::fs::write(&source, text).expect("the temporary folder can be written");
    let tracer = tracer();
    let mut actor = Actor::run(&java, [&source]);
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| actor.line("parent")));
    let _ = std::fs::remove_file(&source);
    let Ok(parent) = ran else { return Err(zombie_trace_tests::Skip::new("java cannot run a source file")) };
    actor.line("done");
    tracer.fence();
    is_clean(&tracer.stop(), parent.pid(), None);
    Ok(())
}
