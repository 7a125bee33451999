//! The actors do what they say: /proc is the witness. Without this a kernel test might pass for want of a situation.

use std::process::ExitCode;

use zombie_trace_tests::runner::{self, Test};
use zombie_trace_tests::{Actor, Line, TestResult, binaries, clock, process, require, tests};

fn main() -> ExitCode {
    let all: Vec<Test> = tests![
        never_waits_leaves_zombies_with_their_statuses,
        never_waits_leaves_nothing_behind,
        reap_reaps_in_every_way,
        auto_reap_leaves_no_zombie,
        lazy_reaps_in_rounds,
        subreaper_adopts_and_neglects,
        reparent_hands_a_zombie_over,
        reparent_hands_a_living_grandchild_over,
        pidns_init_is_pid_1_and_neglects,
        a_killed_actor_takes_its_namespace_with_it,
        pidns_exec_runs_an_init_that_reaps,
        pidns_exec_as_no_init_leaves_orphans,
        init_signals_sends_from_both_sides,
        ptrace_hold_keeps_the_zombie_from_its_parent,
        exec_by_thread_keeps_the_pid,
        leader_first_is_a_zombie_with_a_thread,
        exit_signal_zero_needs_wall,
        clone_parent_gives_the_child_to_the_clones_parent,
        pid_reuse_uses_one_pid,
        storm_does_its_cycles,
        hostile_name_reaches_the_kernel,
        sigurg_storm_handles_each,
        poll_wait_polls,
    ];
    runner::main(vec![("actors", all)])
}

#[track_caller]
fn is_zombie_of(pid: i32, parent: i32) {
    let stat = process::stat(pid).unwrap_or_else(|| panic!("{pid} is gone"));
    assert_eq!((stat.state, stat.ppid), ('Z', parent), "{pid}: {stat:?}");
}

#[track_caller]
fn is_gone(pid: i32) {
    assert!(process::eventually(clock::deadline(), || process::stat(pid).is_none()), "{:?}", process::stat(pid));
}

fn never_waits_leaves_zombies_with_their_statuses() -> TestResult {
    let mut actor = Actor::spawn(["never-waits", "--children", "300", "--signal", "KILL", "--signal-every", "3"]);
    let children = actor.lines("child", 300);
    actor.line("ready");
    for (index, child) in children.iter().enumerate() {
        is_zombie_of(child.pid(), actor.pid());
        let status = process::stat(child.pid()).map(|stat| stat.exit_code);
        let expected = if index % 3 == 2 { 9 } else { i32::try_from(index % 256).expect("small") << 8 };
        assert_eq!(status, Some(expected), "child {index}");
    }
    Ok(())
}

fn never_waits_leaves_nothing_behind() -> TestResult {
    let mut actor = Actor::spawn(["never-waits", "--children", "3"]);
    let children = actor.lines("child", 3);
    assert!(actor.end().success());
    children.iter().for_each(|child| is_gone(child.pid()));
    Ok(())
}

fn reap_reaps_in_every_way() -> TestResult {
    for how in ["wait4", "wait-any", "wait4-efault", "waitid", "waitid-null", "pidfd", "thread"] {
        let mut actor = Actor::spawn(["reap", "--how", how, "--delay-ms", "200"]);
        let died = actor.line("died");
        is_zombie_of(died.pid(), actor.pid());
        let reaped = actor.line("reaped");
        assert!(process::stat(reaped.pid()).is_none(), "{how}");
        let times = [died.number("after"), died.number("before"), reaped.number("before"), reaped.number("after")];
        assert!(times.is_sorted(), "{how}: {times:?}");
        assert!(times[2] - times[1] >= 200_000_000, "{how}: {times:?}");
    }
    Ok(())
}

fn auto_reap_leaves_no_zombie() -> TestResult {
    for how in ["sig-ign", "nocldwait"] {
        let mut actor = Actor::spawn(["auto-reap", "--how", how, "--children", "5"]);
        actor.lines("gone", 5).iter().for_each(|child| is_gone(child.pid()));
    }
    Ok(())
}

fn lazy_reaps_in_rounds() -> TestResult {
    let mut actor = Actor::spawn(["lazy", "--period-ms", "50", "--children", "4"]);
    for round in actor.lines("round", 3) {
        assert_eq!(round.number("children"), 4);
    }
    Ok(())
}

fn subreaper_adopts_and_neglects() -> TestResult {
    let mut actor = Actor::spawn(["subreaper", "--orphans", "4"]);
    let orphans = actor.lines("orphan", 4);
    actor.line("ready");
    orphans.iter().for_each(|orphan| is_zombie_of(orphan.pid(), actor.pid()));
    let mut codes: Vec<_> =
        orphans.iter().map(|orphan| process::stat(orphan.pid()).map(|stat| stat.exit_code)).collect();
    codes.sort_unstable();
    assert_eq!(codes, [40, 41, 42, 43].map(|code| Some(code << 8)));
    Ok(())
}

fn reparent_hands_a_zombie_over() -> TestResult {
    let mut actor = Actor::spawn(["reparent", "--grandchild", "zombie"]);
    let (parent, grandchild) = (actor.line("parent").pid(), actor.line("grandchild").pid());
    actor.line("ready");
    is_zombie_of(grandchild, parent);
    actor.order("orphan");
    actor.line("orphaned");
    is_zombie_of(grandchild, actor.pid());
    actor.order("reap");
    actor.line("reaped");
    is_gone(grandchild);
    Ok(())
}

fn reparent_hands_a_living_grandchild_over() -> TestResult {
    let mut actor = Actor::spawn(["reparent", "--grandchild", "alive"]);
    let grandchild = actor.line("grandchild").pid();
    actor.line("ready");
    actor.order("orphan");
    actor.line("orphaned");
    let stat = process::stat(grandchild).expect("the grandchild lives");
    assert!(stat.state != 'Z' && stat.ppid == actor.pid(), "{stat:?}");
    actor.order("die");
    actor.line("died");
    is_zombie_of(grandchild, actor.pid());
    Ok(())
}

fn pidns_init_is_pid_1_and_neglects() -> TestResult {
    require::root()?;
    for mode in ["never-waits", "waits-for-others"] {
        let mut actor = Actor::spawn(["pidns-init", "--init", mode, "--orphans", "3"]);
        let init = actor.line("init");
        for orphan in actor.lines("orphan", 3) {
            is_zombie_of(orphan.pid(), init.pid());
            assert_eq!(process::namespace_pids(orphan.pid()), [orphan.pid(), orphan.small("ns_pid")]);
        }
        assert_eq!(process::namespace_pids(init.pid()), [init.pid(), 1]);
        assert_eq!(process::pid_namespace(init.pid()), Some(init.number("pid_ns")));
        assert_ne!(process::pid_namespace(init.pid()), process::pid_namespace(actor.pid()));
    }
    Ok(())
}

fn a_killed_actor_takes_its_namespace_with_it() -> TestResult {
    require::root()?;
    let mut actor = Actor::spawn(["pidns-init"]);
    let (init, orphan) = (actor.line("init").pid(), actor.line("orphan").pid());
    actor.line("ready");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(actor.pid()), nix::sys::signal::SIGKILL)
        .expect("the actor lives");
    [init, orphan].into_iter().for_each(is_gone);
    Ok(())
}

fn pidns_exec_runs_an_init_that_reaps() -> TestResult {
    require::root()?;
    let tini = require::program("tini")?;
    let (tini, storm) = (tini.to_string_lossy(), binaries::actor().to_string_lossy());
    let mut actor = Actor::spawn(["pidns-exec", "--", &tini, "--", &storm, "orphan-storm", "--count", "12"]);
    let init = actor.line("init");
    assert_eq!(actor.line("all-reaped").number("count"), 12);
    assert_eq!(actor.line("exited").number("code"), 0);
    is_gone(init.pid());
    Ok(())
}

fn pidns_exec_as_no_init_leaves_orphans() -> TestResult {
    require::root()?;
    let storm = binaries::actor().to_string_lossy();
    let mut actor = Actor::spawn([
        "pidns-exec",
        "--",
        &storm,
        "orphan-storm",
        "--count",
        "12",
        "--over-ms",
        "0",
        "--deadline-ms",
        "50",
    ]);
    assert_eq!(actor.line("left").number("count"), 12);
    Ok(())
}

fn init_signals_sends_from_both_sides() -> TestResult {
    require::root()?;
    let settings = ["init-signals", "--set", "INT=ignore", "--set", "USR1=block", "--set", "USR2=handler"];
    let mut actor = Actor::spawn(settings);
    let (init, inner) = (actor.line("init"), actor.line("inner").pid());
    actor.line("ready");
    assert_eq!(process::pid_namespace(inner), Some(init.number("pid_ns")));
    for (order, sender) in
        [("inside TERM", inner), ("outside TERM", actor.pid()), ("inside INT", inner), ("inside KILL", inner)]
    {
        actor.order(order);
        assert_eq!(actor.line("sent").small("sender"), sender, "{order}");
    }
    actor.order("inside USR1");
    actor.line("sent");
    let pending = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", init.pid())).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap_or_default().trim().to_owned();
        u64::from_str_radix(&mask, 16).expect("a mask of pending signals")
    };
    assert_eq!(pending(), 1 << (libc::SIGUSR1 - 1), "only the blocked signal is pending");
    actor.order("unblock USR1");
    actor.line("unblocked");
    assert_eq!(pending(), 0, "and is dropped when it is unblocked");
    actor.order("outside USR2");
    assert_eq!(actor.line("handled").small("signal"), libc::SIGUSR2);
    assert!(process::stat(init.pid()).is_some_and(|stat| stat.state != 'Z'), "PID 1 survived all of it");
    actor.order("outside KILL");
    assert_eq!(actor.line("ended").small("signal"), libc::SIGKILL);
    is_gone(inner);
    Ok(())
}

fn ptrace_hold_keeps_the_zombie_from_its_parent() -> TestResult {
    let mut actor = Actor::spawn(["ptrace-hold"]);
    let (holder, child) = (actor.line("tracer").pid(), actor.line("child").pid());
    actor.line("ready");
    is_zombie_of(child, actor.pid());
    let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
    assert!(status.contains(&format!("TracerPid:\t{holder}\n")), "{status}");
    actor.order("release");
    assert_eq!(actor.line("reaped").pid(), child);
    is_gone(child);
    Ok(())
}

fn exec_by_thread_keeps_the_pid() -> TestResult {
    let mut actor = Actor::spawn(["exec-by-thread"]);
    let child = actor.line("child").pid();
    assert_eq!(actor.line("holding").pid(), child);
    assert!(actor.end().success());
    is_gone(child);
    Ok(())
}

fn leader_first_is_a_zombie_with_a_thread() -> TestResult {
    let mut actor = Actor::spawn(["leader-first"]);
    let child = actor.line("child").pid();
    actor.line("ready");
    is_zombie_of(child, actor.pid());
    let threads = std::fs::read_dir(format!("/proc/{child}/task")).expect("the process is there").count();
    assert_eq!(threads, 2, "the leader and the one that lives");
    assert!(actor.end().success());
    is_gone(child);
    Ok(())
}

fn exit_signal_zero_needs_wall() -> TestResult {
    let mut actor = Actor::spawn(["exit-signal-zero", "--how", "plain"]);
    let child = actor.line("child").pid();
    assert_eq!(actor.line("refused").small("errno"), libc::ECHILD);
    is_zombie_of(child, actor.pid());
    let mut diligent = Actor::spawn(["exit-signal-zero", "--how", "wall"]);
    is_gone(diligent.line("reaped").pid());
    Ok(())
}

fn clone_parent_gives_the_child_to_the_clones_parent() -> TestResult {
    let mut actor = Actor::spawn(["clone-parent"]);
    let (cloner, child) = (actor.line("cloner").pid(), actor.line("child").pid());
    actor.line("ready");
    is_zombie_of(child, actor.pid());
    assert_eq!(process::stat(cloner).map(|stat| stat.ppid), Some(actor.pid()));
    actor.order("reap");
    actor.line("reaped");
    is_gone(child);
    Ok(())
}

fn pid_reuse_uses_one_pid() -> TestResult {
    require::root()?;
    let mut actor = Actor::spawn(["pid-reuse", "--times", "20", "--leave-zombie"]);
    let pids: Vec<i32> = actor.lines("incarnation", 20).iter().map(Line::pid).collect();
    assert!(pids.iter().all(|&pid| pid == pids[0]), "{pids:?}");
    is_zombie_of(pids[0], actor.pid());
    assert_eq!(process::stat(pids[0]).map(|stat| stat.exit_code), Some(19 << 8));
    Ok(())
}

fn storm_does_its_cycles() -> TestResult {
    let mut actor = Actor::spawn(["storm", "--cycles", "1001", "--jobs", "2"]);
    assert_eq!(actor.line("done").number("cycles"), 1001);
    assert!(actor.end().success());
    Ok(())
}

fn hostile_name_reaches_the_kernel() -> TestResult {
    let mut actor = Actor::spawn(["hostile-name"]);
    for child in actor.lines("child", 8) {
        let stat = process::stat(child.pid()).expect("it is a zombie");
        assert_eq!(stat.state, 'Z');
        let name: String = stat.comm.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(child.get("name"), Some(name.as_str()));
    }
    Ok(())
}

fn sigurg_storm_handles_each() -> TestResult {
    require::root()?;
    let mut actor = Actor::spawn(["sigurg-storm", "--count", "1000"]);
    assert_eq!(actor.line("done").number("handled"), 1000);
    Ok(())
}

fn poll_wait_polls() -> TestResult {
    let mut actor = Actor::spawn(["poll-wait", "--count", "1000"]);
    let child = actor.line("child").pid();
    assert_eq!(actor.line("done").number("count"), 1000);
    assert!(actor.end().success());
    is_gone(child);
    Ok(())
}
