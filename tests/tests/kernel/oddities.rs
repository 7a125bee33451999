//! Situations that look like a zombie or like negligence and are not, or not that one.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, TestResult, Tracer, process, require, tests};

use super::checking::{json, run};
use super::{about, soon, tracer, tracer_of_all};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_tracee_held_by_its_tracer_does_not_blame_the_parent,
        a_thread_that_execs_makes_no_zombie,
        a_leader_that_exits_before_a_thread_does_not_blame_the_parent,
        a_traced_leader_that_exits_before_a_thread_is_what_an_untraced_one_is,
        a_tracer_that_reaps_for_a_parent_that_discards_is_the_reaper,
        a_process_whose_dead_thread_is_traced_is_held_by_that_tracer,
        a_child_without_exit_signal_that_is_reaped_is_no_fault,
        a_child_without_exit_signal_that_a_plain_wait_misses_needs_wclone,
        a_child_of_clone_parent_belongs_to_the_clones_parent,
        a_child_that_reaps_itself_is_nobodys_fault,
        processes_with_one_pid_are_told_apart,
        a_zombie_with_a_reused_pid_has_its_own_status,
        a_hostile_name_comes_out_escaped,
        the_deepest_pid_namespace_hides_nothing,
        the_deepest_pid_namespace_of_a_user_hides_nothing,
        a_tracer_leaves_no_zombies_of_its_own,
    ]
}

/// It reads other processes by processes of its own, which may end at any time.
fn a_tracer_leaves_no_zombies_of_its_own() -> TestResult {
    require::tracing()?;
    let own = i32::try_from(std::process::id()).expect("pids are small");
    require::file(&format!("/proc/{own}/task/{own}/children"))?;
    // Nothing happens that it would ask its readers about.
    let actor = Actor::spawn(["never-waits"]);
    let tracer = Tracer::live(["--pid", &actor.pid().to_string(), "--min-age", "1h"]).start();
    let keepers = process::children(tracer.pid());
    let readers: Vec<i32> = keepers.iter().flat_map(|&keeper| process::children(keeper)).collect();
    assert!(!readers.is_empty(), "the tracer has read what exists");
    for &reader in &readers {
        kill(Pid::from_raw(reader), Signal::SIGKILL).expect("it is ours");
    }
    let all_are_gone =
        || readers.iter().all(|&reader| process::stat(reader).is_none_or(|it| !keepers.contains(&it.ppid)));
    assert!(process::eventually(soon(), all_are_gone), "readers stay zombies");
    // Others take their place.
    drop(actor);
    tracer.stop();
    Ok(())
}

fn a_tracee_held_by_its_tracer_does_not_blame_the_parent() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["ptrace-hold"]);
    let (parent, holder, child) = (actor.line("parent").pid(), actor.line("tracer").pid(), actor.line("child").pid());
    let zombie = tracer.expect("the held zombie", soon(), about("zombie", child));
    assert_eq!(zombie.cause(), Some("held-by-tracer"), "{zombie}");
    assert_eq!(zombie.pid_of("parent"), Some(holder), "{zombie}");
    actor.order("release");
    actor.line("reaped");
    let reaped = tracer.expect("the reap by the parent", soon(), about("reaped", child));
    assert_eq!(reaped.pid_of("reaper"), Some(parent), "{reaped}");
    assert_eq!(reaped.exit_code(), Some(21), "{reaped}");
    assert_eq!(tracer.stop().accusation(parent), None);
    Ok(())
}

fn a_thread_that_execs_makes_no_zombie() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["exec-by-thread"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    assert_eq!(actor.line("holding").pid(), child, "the new program has the process's pid");
    tracer.fence();
    // Its real death is reaped at once.
    actor.end();
    tracer.fence();
    let finished = tracer.stop();
    finished.never("the process whose thread called execve", |event| event.names(child));
    assert_eq!(finished.accusation(parent), None);
    Ok(())
}

fn a_leader_that_exits_before_a_thread_does_not_blame_the_parent() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["leader-first"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    actor.line("ready");
    tracer.fence();
    actor.end();
    tracer.fence();
    let finished = tracer.stop();
    // To report the stuck leader as what it is, is right; to call it a zombie that somebody should reap is not.
    finished.never("a leader with a live thread as anybody's zombie", |event| {
        about("zombie", child)(event) && event.cause() != Some("leader-zombie-with-live-threads")
    });
    assert_eq!(finished.accusation(parent), None);
    Ok(())
}

fn a_traced_leader_that_exits_before_a_thread_is_what_an_untraced_one_is() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["leader-first", "--traced"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    actor.line("ready");
    let stuck = tracer.expect("the leader that cannot end", soon(), about("stuck", child));
    assert_eq!(stuck.cause(), Some("leader-zombie-with-live-threads"), "{stuck}");
    // Not after its end: then it is a zombie until the parent gets a processor, which on a busy machine takes a while.
    tracer.fence();
    let finished = tracer.stop();
    finished.never("a leader with a live thread as a zombie", |event| about("zombie", child)(event));
    assert_eq!(finished.accusation(parent), None);
    Ok(())
}

fn a_tracer_that_reaps_for_a_parent_that_discards_is_the_reaper() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["ptrace-hold", "--discard"]);
    let (parent, holder, child) = (actor.line("parent").pid(), actor.line("tracer").pid(), actor.line("child").pid());
    let zombie = tracer.expect("the held zombie", soon(), about("zombie", child));
    assert_eq!((zombie.cause(), zombie.pid_of("parent")), (Some("held-by-tracer"), Some(holder)), "{zombie}");
    actor.order("release");
    actor.line("reaped");
    let reaped = tracer.expect("the reap by the tracer", soon(), about("reaped", child));
    assert_eq!(reaped.pid_of("reaper"), Some(holder), "{reaped}");
    assert_eq!((reaped.text("/precision"), reaped.text("/via")), (Some("exact"), Some("wait4")), "{reaped}");
    assert_eq!(tracer.stop().accusation(parent), None);
    Ok(())
}

fn a_process_whose_dead_thread_is_traced_is_held_by_that_tracer() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["ptrace-hold", "--thread"]);
    let (parent, holder, child) = (actor.line("parent").pid(), actor.line("tracer").pid(), actor.line("child").pid());
    actor.line("ready");
    let stuck = tracer.expect("the process that is held", soon(), about("stuck", child));
    assert_eq!(stuck.cause(), Some("held-by-tracer"), "{stuck}");
    assert!(stuck.text("/evidence/0").is_some_and(|it| it.contains(&format!("(pid {holder})"))), "{stuck}");
    // Without tracing, too.
    let scan = json(&run(&["scan", "--format", "json"]));
    let zombies = scan["zombies"].as_array().expect("the report lists them");
    let found = zombies.iter().find(|zombie| zombie["process"]["pid"] == child).expect("it is dead and not reaped");
    assert_eq!(found["held_threads"][0]["tracer"]["pid"], holder, "{found}");
    assert!(found["live_threads"].is_null(), "{found}");
    actor.order("release");
    actor.line("reaped");
    tracer.fence();
    let finished = tracer.stop();
    finished.never("a process that nobody could reap as a zombie", |event| about("zombie", child)(event));
    assert_eq!(finished.accusation(parent), None);
    Ok(())
}

fn a_child_without_exit_signal_that_is_reaped_is_no_fault() -> TestResult {
    require::tracing()?;
    let tracer = tracer_of_all();
    let mut actor = Actor::spawn(["exit-signal-zero"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    actor.line("reaped");
    let reaped = tracer.expect("the reap with __WALL", soon(), about("reaped", child));
    assert_eq!(reaped.pid_of("reaper"), Some(parent), "{reaped}");
    assert_eq!(reaped.exit_code(), Some(13), "{reaped}");
    Ok(())
}

fn a_child_without_exit_signal_that_a_plain_wait_misses_needs_wclone() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["exit-signal-zero", "--how", "plain"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    actor.line("refused");
    let zombie = tracer.expect("the zombie that no plain wait sees", soon(), about("zombie", child));
    assert_eq!(zombie.cause(), Some("needs-wclone"), "{zombie}");
    assert_eq!(zombie.pid_of("parent"), Some(parent), "{zombie}");
    Ok(())
}

fn a_child_of_clone_parent_belongs_to_the_clones_parent() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["clone-parent"]);
    let (parent, cloner, child) = (actor.line("parent").pid(), actor.line("cloner").pid(), actor.line("child").pid());
    let zombie = tracer.expect("the zombie", soon(), about("zombie", child));
    assert_eq!(zombie.pid_of("parent"), Some(parent), "{zombie}");
    actor.order("reap");
    actor.line("reaped");
    let reaped = tracer.expect("the reap", soon(), about("reaped", child));
    assert_eq!(reaped.pid_of("reaper"), Some(parent), "{reaped}");
    assert_eq!(tracer.stop().accusation(cloner), None);
    Ok(())
}

/// The parent asked for that with CLONE_AUTOREAP, and discards nothing.
fn a_child_that_reaps_itself_is_nobodys_fault() -> TestResult {
    require::tracing()?;
    let tracer = tracer_of_all();
    let mut actor = Actor::spawn(["clone-autoreap"]);
    let parent = actor.line("parent").pid();
    let child = actor.supported_line("gone", "CLONE_AUTOREAP (since 7.1)")?.pid();
    // Another one that dies after it is told: then all that happened before has been seen.
    let mut marker = Actor::spawn(["never-waits"]);
    tracer.expect("a zombie that came later", soon(), about("zombie", marker.line("child").pid()));
    let run = tracer.stop();
    for kind in ["zombie", "auto_reaped", "reaped"] {
        run.never(kind, about(kind, child));
    }
    assert_eq!((run.accusation(parent), run.finding("zombies/", parent)), (None, None));
    Ok(())
}

fn processes_with_one_pid_are_told_apart() -> TestResult {
    require::tracing()?;
    let tracer = tracer_of_all();
    let mut actor = Actor::spawn(["pid-reuse", "--times", "5"]);
    let pid = actor.lines("incarnation", 5)[0].pid();
    let reaped = tracer.expect_many("five reaps of one pid", 5, soon(), about("reaped", pid));
    let codes: Vec<_> = reaped.iter().map(Event::exit_code).collect();
    assert_eq!(codes, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
    let mut starts: Vec<_> = reaped.iter().filter_map(|event| event.number("/process/start_ns")).collect();
    assert!(starts.is_sorted(), "{starts:?}");
    starts.dedup();
    assert_eq!(starts.len(), 5, "each has its own start: {starts:?}");
    Ok(())
}

fn a_zombie_with_a_reused_pid_has_its_own_status() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["pid-reuse", "--times", "4", "--leave-zombie"]);
    let parent = actor.line("parent").pid();
    let pid = actor.lines("incarnation", 4)[0].pid();
    let zombie = tracer.expect("the last one's zombie", soon(), about("zombie", pid));
    assert_eq!(zombie.exit_code(), Some(3), "{zombie}");
    assert_eq!(zombie.pid_of("parent"), Some(parent), "{zombie}");
    assert_eq!(tracer.stop().having(about("zombie", pid)).count(), 1);
    Ok(())
}

fn a_hostile_name_comes_out_escaped() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["hostile-name"]);
    let parent = actor.line("parent").pid();
    let children = actor.lines("child", 8);
    for child in &children {
        let pid = child.pid();
        let zombie = tracer.expect("the zombie with the hostile name", soon(), about("zombie", pid));
        let comm = zombie.text("/process/comm").expect("a process has a name");
        let bytes = process::stat(pid).expect("it is still a zombie").comm;
        // A person who prints the decoded text on a terminal must be as safe as one who reads the JSON.
        assert!(!comm.chars().any(char::is_control), "{comm:?} for {bytes:?}");
        assert!(!comm.is_empty(), "{zombie}");
    }
    let finished = tracer.stop();
    assert!(finished.foreign.is_empty(), "every line of stdout is an event: {:?}", finished.foreign);
    assert!(finished.accusation(parent).is_some());
    Ok(())
}

/// A PID 1 at the deepest level that there may be neglects its child; `how` says how it got there.
fn is_seen_at_the_deepest_level(how: &[&str]) -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn([&["deep"], how].concat());
    assert_eq!(actor.line("level").number("number"), 32);
    let (init, child) = (actor.line("init").pid(), actor.line("child").pid());
    let zombie = tracer.expect("the zombie in the deepest namespace", soon(), about("zombie", child));
    assert_eq!(zombie.exit_code(), Some(5), "{zombie}");
    assert_eq!(zombie.pid_of("parent"), Some(init), "{zombie}");
    assert_eq!(zombie.cause(), Some("never-waits"), "{zombie}");
    assert_eq!(zombie.number("/process/ns_pid"), Some(2), "{zombie}");
    assert_eq!(zombie.number("/parent/ns_pid"), Some(1), "{zombie}");
    actor.end();
    let reaped = tracer.expect("its end", soon(), about("reaped", child));
    assert_eq!(reaped.pid_of("reaper"), Some(init), "{reaped}");
    tracer.stop().has_lost_nothing();
    Ok(())
}

fn the_deepest_pid_namespace_hides_nothing() -> TestResult {
    is_seen_at_the_deepest_level(&[])
}

fn the_deepest_pid_namespace_of_a_user_hides_nothing() -> TestResult {
    is_seen_at_the_deepest_level(&["--user"])
}
