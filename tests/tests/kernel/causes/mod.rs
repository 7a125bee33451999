//! Each cause of a zombie, as it really happens.

pub(crate) mod frozen;
mod programs;

use std::fs::{create_dir_all, remove_dir_all, write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, TestResult, Tracer, binaries, clock, require, tests};

use self::frozen::a_namespace_with_a_frozen_process_names_its_freezer;
use super::{about, children_of, evidence, says, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    let mut all = tests![
        a_parent_that_waits_for_another_pid_waits_for_others,
        a_parent_that_waits_for_another_group_waits_for_others,
        a_handler_that_waits_once_leaves_the_coalesced_ones,
        a_handler_that_loops_is_not_accused,
        a_parent_that_blocks_sigchld_is_told_so,
        a_parent_that_inherited_a_blocked_sigchld_is_told_so,
        a_handler_that_never_waits_is_told_so,
        a_child_with_another_exit_signal_needs_wclone,
        a_stopped_parent_cannot_run,
        a_parent_in_a_tracers_hands_cannot_run,
        a_parent_in_vfork_cannot_run,
        a_parent_frozen_by_cgroup_v1_cannot_run,
        a_parent_frozen_by_cgroup_v2_cannot_run,
        a_frozen_parent_that_signals_wake_cannot_run,
        a_parent_that_gets_no_processor_is_not_lazy,
        a_parent_that_reaps_at_the_next_fork_is_a_lazy_reaper,
        a_parent_that_reaps_by_the_clock_has_a_period,
        an_init_that_was_bypassed_is_named,
        an_init_that_is_not_pid_1_is_named,
        a_shim_that_missed_an_exit_is_named,
        a_namespace_that_cannot_end_names_what_it_waits_for,
        a_namespace_with_a_frozen_process_names_its_freezer,
        a_leader_whose_thread_lives_names_the_thread,
        many_causes_at_once_are_told_apart,
    ];
    all.extend(programs::all());
    all
}

/// A situation whose zombie is to be judged like this, told by these words.
struct Situation {
    arguments: &'static [&'static str],
    /// What the actor says of who is to blame.
    blamed: &'static str,
    cause: &'static str,
    words: &'static [&'static str],
}

impl Situation {
    fn begin(&self) -> (Actor, i32) {
        let mut actor = Actor::spawn(self.arguments);
        let blamed = actor.line(self.blamed).pid();
        (actor, blamed)
    }

    fn is_judged(&self, tracer: &Tracer, blamed: i32) {
        let zombie = tracer.expect(self.cause, soon(), children_of("zombie", blamed));
        assert_eq!(zombie.cause(), Some(self.cause), "{zombie}");
        says(&zombie, self.words);
        assert!(zombie.text("/advice").is_some_and(|advice| !advice.is_empty()), "{zombie}");
    }

    /// Alone under a tracer, and at the end in the summary.
    fn holds(&self) -> TestResult {
        require::tracing()?;
        let tracer = tracer();
        let (_actor, blamed) = self.begin();
        self.is_judged(&tracer, blamed);
        let finished = tracer.stop();
        let accusation = finished.accusation(blamed).unwrap_or_else(|| panic!("no accusation: {}", finished.summary));
        assert_eq!(accusation["cause"], self.cause, "{accusation}");
        Ok(())
    }
}

const OTHER_PID: Situation = Situation {
    arguments: &["waits-for-others"],
    blamed: "parent",
    cause: "waits-for-others",
    words: &["one call is in progress", "recent targets: pid "],
};
const OTHER_GROUP: Situation = Situation {
    arguments: &["waits-for-others", "--how", "group"],
    blamed: "parent",
    cause: "waits-for-others",
    words: &["one call is in progress", "recent targets: process group "],
};
const ONE_WAIT: Situation = Situation {
    arguments: &["sigchld", "--how", "one-wait", "--children", "6"],
    blamed: "parent",
    cause: "one-wait-per-sigchld",
    words: &["6 children died", "got SIGCHLD only 1 time", "1 successful wait", "not blocked"],
};
const BLOCKED: Situation = Situation {
    arguments: &["sigchld", "--how", "blocked"],
    blamed: "parent",
    cause: "sigchld-blocked",
    words: &["blocks SIGCHLD and leaves it pending", "so its handler never runs"],
};
const INHERITED: Situation = Situation {
    arguments: &["sigchld", "--how", "blocked-without-handler"],
    blamed: "parent",
    cause: "sigchld-blocked",
    words: &["blocks SIGCHLD and leaves it pending", "and it has no handler"],
};
const IGNORES: Situation = Situation {
    arguments: &["sigchld", "--how", "ignores"],
    blamed: "parent",
    cause: "handler-ignores-children",
    words: &["SIGCHLD handler ran", "not blocked", "called wait in the"],
};
const WCLONE: Situation = Situation {
    arguments: &["exit-signal-zero", "--how", "plain", "--signal", "USR1"],
    blamed: "parent",
    cause: "needs-wclone",
    words: &["exit signal SIGUSR1", "__WALL"],
};
const STOPPED: Situation = Situation {
    arguments: &["cannot-run", "--how", "stopped"],
    blamed: "parent",
    cause: "parent-cannot-run",
    words: &["stopped by a signal (state T)"],
};
const TRACED: Situation = Situation {
    arguments: &["cannot-run", "--how", "traced"],
    blamed: "parent",
    cause: "parent-cannot-run",
    words: &["traces it (state t)"],
};
const VFORK: Situation = Situation {
    arguments: &["cannot-run", "--how", "vfork"],
    blamed: "parent",
    cause: "parent-cannot-run",
    words: &["uninterruptible sleep (state D)"],
};
const SHIM: Situation = Situation {
    arguments: &["shim"],
    blamed: "shim",
    cause: "shim-or-runtime",
    words: &["outside the pid namespace", "has not called wait"],
};
const NEVER: Situation =
    Situation { arguments: &["never-waits"], blamed: "parent", cause: "never-waits", words: &["no thread of"] };
const SUBREAPER: Situation = Situation {
    arguments: &["subreaper"],
    blamed: "subreaper",
    cause: "subreaper-does-not-reap",
    words: &["a child subreaper, adopted the zombie"],
};
const INIT: Situation =
    Situation { arguments: &["pidns-init"], blamed: "init", cause: "init-does-not-reap", words: &[", PID 1"] };
const HELD: Situation = Situation {
    arguments: &["ptrace-hold"],
    blamed: "tracer",
    cause: "held-by-tracer",
    words: &["ptraces the zombie"],
};

fn a_parent_that_waits_for_another_pid_waits_for_others() -> TestResult {
    OTHER_PID.holds()
}

fn a_parent_that_waits_for_another_group_waits_for_others() -> TestResult {
    OTHER_GROUP.holds()
}

fn a_handler_that_waits_once_leaves_the_coalesced_ones() -> TestResult {
    ONE_WAIT.holds()
}

fn a_handler_that_loops_is_not_accused() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["sigchld", "--how", "loop", "--children", "6"]);
    let parent = actor.line("parent").pid();
    actor.line("ready");
    tracer.fence();
    let finished = tracer.stop();
    finished.never("a zombie of a handler that loops", children_of("zombie", parent));
    assert_eq!(finished.accusation(parent), None);
    Ok(())
}

fn a_parent_that_blocks_sigchld_is_told_so() -> TestResult {
    BLOCKED.holds()
}

fn a_parent_that_inherited_a_blocked_sigchld_is_told_so() -> TestResult {
    INHERITED.holds()
}

fn a_handler_that_never_waits_is_told_so() -> TestResult {
    IGNORES.holds()
}

fn a_child_with_another_exit_signal_needs_wclone() -> TestResult {
    WCLONE.holds()
}

/// Cannot run, and is not accused any more than that once it can: it reaps at once.
fn cannot_run(situation: &Situation) -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let (mut actor, parent) = situation.begin();
    let child = actor.line("child").pid();
    situation.is_judged(&tracer, parent);
    actor.end();
    tracer.expect("its reap when it can run", soon(), about("reaped", child));
    let finished = tracer.stop();
    let accusation = finished.accusation(parent).unwrap_or_else(|| panic!("no accusation: {}", finished.summary));
    assert_eq!(accusation["cause"], "parent-cannot-run", "{accusation}");
    Ok(())
}

fn a_stopped_parent_cannot_run() -> TestResult {
    cannot_run(&STOPPED)
}

fn a_parent_in_a_tracers_hands_cannot_run() -> TestResult {
    cannot_run(&TRACED)
}

fn a_parent_in_vfork_cannot_run() -> TestResult {
    cannot_run(&VFORK)
}

fn a_parent_frozen_by_cgroup_v1_cannot_run() -> TestResult {
    require::file("/sys/fs/cgroup/freezer/cgroup.procs")?;
    cannot_run(&Situation {
        arguments: &["cannot-run", "--how", "freezer-v1"],
        words: &["in the frozen cgroup /zt-actor-"],
        ..STOPPED
    })
}

fn frozen_by_cgroup_v2(arguments: &'static [&'static str]) -> TestResult {
    if require::file("/sys/fs/cgroup/cgroup.procs").is_err() {
        require::file("/sys/fs/cgroup/unified/cgroup.procs")?;
    }
    cannot_run(&Situation { arguments, words: &["in the frozen cgroup /zt-actor-"], ..STOPPED })
}

fn a_parent_frozen_by_cgroup_v2_cannot_run() -> TestResult {
    frozen_by_cgroup_v2(&["cannot-run", "--how", "freezer-v2"])
}

fn a_frozen_parent_that_signals_wake_cannot_run() -> TestResult {
    frozen_by_cgroup_v2(&["cannot-run", "--how", "freezer-v2-woken"])
}

/// It reaps as soon as it runs, which is late. How long that takes differs: where it is long enough to be sure of, the cause
/// is told.
fn a_parent_that_gets_no_processor_is_not_lazy() -> TestResult {
    require::tracing()?;
    require::cpu_controller()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["cannot-run", "--how", "throttled"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    let reaped = tracer.expect("its reap when it runs", clock::deadline(), about("reaped", child));
    assert_eq!(reaped.pid_of("reaper"), Some(parent), "{reaped}");
    actor.end();
    let finished = tracer.stop();
    let cause = finished.accusation(parent).map(|accusation| accusation["cause"].clone());
    assert!(cause.is_none() || cause == Some("parent-cannot-run".into()), "{cause:?}: {}", finished.summary);
    Ok(())
}

/// The habit shows in the reaps: a zombie comes whose evidence names it.
fn reaps_late(arguments: &[&str], word: &str) -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(arguments);
    let parent = actor.line("parent").pid();
    let shows = |event: &Event| children_of("zombie", parent)(event) && evidence(event).contains(word);
    let zombie = tracer.expect("a zombie of a parent with this habit", soon(), shows);
    assert_eq!(zombie.cause(), Some("lazy-reaper"), "{zombie}");
    Ok(())
}

fn a_parent_that_reaps_at_the_next_fork_is_a_lazy_reaper() -> TestResult {
    reaps_late(&["lazy", "--at-fork", "--period-ms", "400"], "only when it forks again")
}

fn a_parent_that_reaps_by_the_clock_has_a_period() -> TestResult {
    reaps_late(&["lazy", "--period-ms", "500"], "on a timer, every 5")
}

/// A container's root with an init in it, taken away when the value is dropped.
struct Image(PathBuf);

impl Image {
    fn with(program: &str) -> Self {
        let root = std::env::temp_dir().join(format!("zt-image-{}", std::process::id()));
        let path = root.join(program);
        create_dir_all(path.parent().expect("a program lies in a folder")).expect("a folder for the image");
        write(&path, "").expect("a file in the image");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is ours");
        Self(root)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = remove_dir_all(&self.0);
    }
}

fn an_init_that_was_bypassed_is_named() -> TestResult {
    require::tracing()?;
    let image = Image::with("usr/bin/tini");
    let tracer = tracer();
    let mut actor = Actor::spawn(["pidns-init", "--root", &image.0.display().to_string()]);
    let init = actor.line("init").pid();
    let zombie = tracer.expect("the orphan's zombie", soon(), children_of("zombie", init));
    assert_eq!(zombie.cause(), Some("init-bypassed"), "{zombie}");
    says(&zombie, &["but the image contains /usr/bin/tini"]);
    assert!(zombie.text("/advice").is_some_and(|advice| advice.contains("/usr/bin/tini")), "{zombie}");
    Ok(())
}

fn an_init_that_is_not_pid_1_is_named() -> TestResult {
    require::tracing()?;
    let tini = require::program("tini")?.display().to_string();
    let workload = binaries::actor().display().to_string();
    let tracer = tracer();
    let mut actor = Actor::spawn([
        "pidns-exec",
        "--under-pid-1",
        "--",
        &tini,
        "--",
        &workload,
        "orphan-storm",
        "--count",
        "3",
        "--hold",
        "--deadline-ms",
        "600000",
    ]);
    let init = actor.line("init").pid();
    let zombie = tracer.expect("the orphan's zombie", soon(), children_of("zombie", init));
    assert_eq!(zombie.cause(), Some("init-not-pid-1"), "{zombie}");
    says(&zombie, &["tini is pid 2"]);
    Ok(())
}

fn a_shim_that_missed_an_exit_is_named() -> TestResult {
    SHIM.holds()
}

fn a_namespace_that_cannot_end_names_what_it_waits_for() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["shim"]);
    let shim = actor.line("shim").pid();
    let init = actor.line("init").pid();
    let child = actor.line("child").pid();
    actor.line("ready");
    actor.order("end");
    actor.line("killed");
    let stuck = tracer.expect("the init that cannot end", soon(), about("stuck", init));
    assert_eq!(stuck.cause(), Some("namespace-teardown-stuck"), "{stuck}");
    says(&stuck, &[&format!("(pid {child}) is a zombie of containerd-shim (pid {shim}), outside the namespace")]);
    let finished = tracer.stop();
    assert_eq!(finished.accusation(init), None, "{}", finished.summary);
    assert!(finished.finding("stuck/namespace-teardown-stuck/", init).is_some(), "{}", finished.summary);
    Ok(())
}

fn a_leader_whose_thread_lives_names_the_thread() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["leader-first"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    let stuck = tracer.expect("the leader that cannot end", soon(), about("stuck", child));
    assert_eq!(stuck.cause(), Some("leader-zombie-with-live-threads"), "{stuck}");
    // Where in the kernel it sleeps is told as well, by kernels that know: 5.10 on x86 does not.
    says(&stuck, &["1 thread still runs", "is in state S"]);
    let finished = tracer.stop();
    assert_eq!(finished.accusation(parent), None);
    let finding = finished.finding("stuck/leader-zombie-with-live-threads/", child).expect("it is noted");
    assert_eq!(finding["severity"], "note", "threads may outlive their leader on purpose: {finding}");
    Ok(())
}

const OTHER_CHILD: Situation = Situation { arguments: &["pidns-init", "--init", "waits-for-others"], ..INIT };
const NO_SIGNAL: Situation =
    Situation { arguments: &["exit-signal-zero", "--how", "plain"], words: &["__WALL"], ..WCLONE };

fn many_causes_at_once_are_told_apart() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    // Four in which no zombie stays, or nobody is to blame for it.
    let mut ignoring = Actor::spawn(["auto-reap"]);
    let mut leader = Actor::spawn(["leader-first"]);
    let mut thief = Actor::spawn(["status-stolen"]);
    let mut deaf = Actor::spawn(["init-signals"]);
    let situations = [
        &OTHER_PID,
        &OTHER_GROUP,
        &ONE_WAIT,
        &BLOCKED,
        &INHERITED,
        &IGNORES,
        &WCLONE,
        &STOPPED,
        &TRACED,
        &VFORK,
        &SHIM,
        &NEVER,
        &SUBREAPER,
        &INIT,
        &HELD,
        &OTHER_CHILD,
        &NO_SIGNAL,
    ];
    let running: Vec<_> = situations.iter().map(|situation| (situation, situation.begin())).collect();
    deaf.line("ready");
    deaf.order("inside TERM");
    for (situation, (_, blamed)) in &running {
        situation.is_judged(&tracer, *blamed);
    }
    tracer.expect("the auto-reap", soon(), about("auto_reaped", ignoring.line("gone").pid()));
    tracer.expect("the leader that cannot end", soon(), about("stuck", leader.line("child").pid()));
    tracer.expect("the theft", soon(), about("status_stolen", thief.line("child").pid()));
    let deaf = deaf.line("init").pid();
    let drop =
        tracer.expect("the drop", soon(), |event| event.is("signal_dropped") && event.pid_of("target") == Some(deaf));
    assert_eq!(drop.reason(), Some("no-handler"), "{drop}");
    let finished = tracer.stop();
    for (situation, (_, blamed)) in &running {
        let accusation = finished.accusation(*blamed).unwrap_or_else(|| panic!("{}: {}", blamed, finished.summary));
        assert_eq!(accusation["cause"], situation.cause, "{accusation}");
    }
    Ok(())
}
