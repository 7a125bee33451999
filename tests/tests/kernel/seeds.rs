//! The stories that people tell in bug reports, with the programs that they tell them of.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use zombie_trace_tests::cgroup::PidsCgroup;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, Line, Namespace, Skip, TestResult, Tracer, binaries, clock, require, tests};

use super::{about, children_of, evidence, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        go_that_starts_and_does_not_wait_gets_advice_for_go,
        a_double_fork_under_an_application_as_pid_1_blames_it,
        a_grandchild_whose_python_tree_was_killed_is_a_zombie_of_pid_1,
        a_grandchild_that_its_init_cannot_reap_blames_the_parent_between;
        alone: a_thousand_zombies_keep_a_shell_from_running_ls,
    ]
}

fn a_thousand_zombies_keep_a_shell_from_running_ls() -> TestResult {
    require::tracing()?;
    // The parent, the shell, and a thousand.
    let cgroup = PidsCgroup::with_max(1002)?;
    let shell = require::program("dash")?;
    let tracer = tracer();
    let mut shell = Actor::run(&shell, ["-c", "echo shell pid=$$; read order; ls /; echo not reached"]);
    let mut actor = Actor::spawn(["never-waits", "--children", "1000", "--on-order"]);
    let (shell_pid, parent) = (shell.line("shell").pid(), actor.line("parent").pid());
    [shell_pid, parent].iter().for_each(|&pid| cgroup.take_in(pid));
    actor.order("go");
    actor.line("ready");
    shell.order("go");
    let failed = tracer.expect("the failed fork", soon(), about("fork_failed", shell_pid));
    assert_eq!((failed.text("/errno"), failed.text("/limit")), (Some("EAGAIN"), Some("pids.max")), "{failed}");
    assert_eq!((failed.number("/zombies"), failed.number("/allowed")), (Some(1000), Some(1002)), "{failed}");
    tracer.expect_each("the zombies", 1000, soon(), children_of("zombie", parent));
    let finished = tracer.stop();
    let words = format!("1000 of 1002 pids in the cgroup {} are zombies of zt-actor", cgroup.path());
    let told = |finding: &serde_json::Value| finding["detail"].as_str().is_some_and(|detail| detail.contains(&words));
    assert!(finished.list("/findings").any(told), "{}", finished.summary);
    let accusation = finished.accusation(parent).expect("the parent is accused");
    assert_eq!((&accusation["cause"], &accusation["zombies_now"]), (&"never-waits".into(), &1000.into()));
    drop((shell, actor));
    Ok(())
}

/// A Go program, built in a folder of its own that is removed with the value.
pub(crate) struct GoProgram {
    folder: PathBuf,
}

impl GoProgram {
    pub(crate) fn build(name: &str, source: &str) -> Result<Self, Skip> {
        let go = require::program("go")?;
        let folder = std::env::temp_dir().join(format!("zt-go-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the program");
        let program = Self { folder };
        std::fs::write(program.folder.join("main.go"), source).expect("the program's source");
        let mut command = Command::new(go);
        command.args(["build", "-o", "starter", "main.go"]).current_dir(&program.folder);
        command.env("GOCACHE", program.folder.join("cache")).env("GO111MODULE", "off").env("CGO_ENABLED", "0");
        let built = command.stdin(Stdio::null()).output().expect("go can be started");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Ok(program)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("starter")
    }
}

impl Drop for GoProgram {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const GO_STARTER: &str = r#"
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

func main() {
	fmt.Printf("parent pid=%d\n", os.Getpid())
	go func() {
		for ; ; time.Sleep(time.Second) {
			if err := exec.Command("true").Start(); err != nil {
				panic(err)
			}
		}
	}()
	io.ReadAll(os.Stdin)
}
"#;

fn go_that_starts_and_does_not_wait_gets_advice_for_go() -> TestResult {
    require::tracing()?;
    let program = GoProgram::build("starter", GO_STARTER)?;
    let tracer = tracer();
    let mut actor = Actor::run(&program.path(), std::iter::empty::<&str>());
    let parent = actor.line("parent").pid();
    let zombies = tracer.expect_many("a zombie a second", 3, soon(), children_of("zombie", parent));
    for zombie in &zombies {
        // The runtime of Go has a handler for every signal.
        assert!(matches!(zombie.cause(), Some("never-waits" | "handler-ignores-children")), "{zombie}");
        assert!(zombie.text("/advice").is_some_and(|advice| advice.contains("cmd.Wait()")), "{zombie}");
    }
    Ok(())
}

/// A command as PID 1 of a namespace, which it is told of by the actor.
fn as_pid_1(command: &[&str]) -> (Actor, Line) {
    let mut actor = Actor::spawn(["pidns-exec", "--"].iter().chain(command));
    let init = actor.line("init");
    (actor, init)
}

fn zombie_of(tracer: &Tracer, parent: i32) -> Event {
    tracer.expect("the zombie", soon(), children_of("zombie", parent))
}

#[track_caller]
fn tells(zombie: &Event, words: &[&str]) {
    let evidence = evidence(zombie);
    let mut rest = evidence.as_str();
    for word in words {
        let at = rest.find(word).unwrap_or_else(|| panic!("no {word:?}, or not in this order: {evidence}"));
        rest = &rest[at + word.len()..];
    }
}

fn path_of(program: &str) -> Result<String, Skip> {
    Ok(require::program(program)?.display().to_string())
}

fn a_double_fork_under_an_application_as_pid_1_blames_it() -> TestResult {
    require::tracing()?;
    let dash = path_of("dash")?;
    let tracer = tracer();
    let (_actor, init) = as_pid_1(&[&dash, "-c", "(sleep 0.3 &); exec sleep 1000"]);
    let zombie = zombie_of(&tracer, init.pid());
    assert_eq!(zombie.cause(), Some("init-does-not-reap"), "{zombie}");
    assert_eq!(zombie.text("/parent/comm"), Some("sleep"), "{zombie}");
    tells(&zombie, &["its first parent dash (pid ", ") exited with 0, ", " before the zombie died; sleep adopted it"]);
    assert!(zombie.text("/advice").is_some_and(|advice| advice.contains("--init")), "{zombie}");
    Ok(())
}

/// A health check that runs into its time limit: only the shell of it is killed, and later what it had started.
const PYTHON_TREE: &str = "\
import os, signal, subprocess, sys, time
shell = subprocess.Popen('sleep 1000 & echo $!; wait', shell=True, stdout=subprocess.PIPE)
grandchild = int(shell.stdout.readline())
shell.kill()
shell.wait()
os.kill(grandchild, signal.SIGTERM)
time.sleep(1000)
";

fn a_grandchild_whose_python_tree_was_killed_is_a_zombie_of_pid_1() -> TestResult {
    require::tracing()?;
    let python = path_of("python3")?;
    let tracer = tracer();
    let (_actor, init) = as_pid_1(&[&python, "-c", PYTHON_TREE]);
    let zombie = zombie_of(&tracer, init.pid());
    assert_eq!(zombie.cause(), Some("init-does-not-reap"), "{zombie}");
    assert_eq!(zombie.text("/exit/signal"), Some("SIGTERM"), "{zombie}");
    tells(&zombie, &["its first parent ", " was killed by SIGKILL, ", " before the zombie died; python3"]);
    Ok(())
}

fn a_grandchild_that_its_init_cannot_reap_blames_the_parent_between() -> TestResult {
    require::tracing()?;
    let tini = path_of("tini")?;
    let between = binaries::actor().display().to_string();
    let tracer = tracer();
    let began = clock::boot_now();
    let (mut actor, init) = as_pid_1(&[&tini, "--", &between, "never-waits", "--hold-ms", "600000"]);
    actor.line("ready");
    // The actor sees only the numbers of its namespace.
    let namespace = Namespace::until_now(init.number("pid_ns"), began);
    let zombie = tracer.expect("the grandchild's zombie", soon(), |event| {
        event.is("zombie") && namespace.has_the("parent", event) && event.number("/parent/ns_pid") == Some(2)
    });
    assert_eq!(zombie.cause(), Some("never-waits"), "{zombie}");
    let init = init.pid();
    let finished = tracer.stop();
    finished.never("a zombie of a diligent init", children_of("zombie", init));
    assert_eq!(finished.accusation(init), None, "{}", finished.summary);
    Ok(())
}
