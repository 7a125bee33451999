//! What goes wrong around a tracer: it may then know less, and says so, but accuses nobody of what it did not see.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{
    Actor, Event, Finished, Line, Namespace, Skip, TestResult, Tracer, binaries, bpf, clock, process, require, tests,
};

use super::{about, children_of, soon, tracer, tracer_of_all};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_tiny_ring_loses_events_and_says_so,
        a_tracer_that_was_stopped_finds_what_it_missed,
        a_tracer_that_is_killed_leaves_nothing_and_the_next_one_goes_on,
        a_tracer_that_ends_leaves_nothing,
        a_tracer_that_starts_among_short_lives_tells_of_no_zombie_that_is_gone,
        two_tracers_see_the_same_and_nothing_of_each_other,
        a_tracer_in_a_time_namespace_counts_right;
        alone: a_tracer_that_starts_in_a_storm_accuses_nobody, pids_that_are_used_again_at_once_are_no_zombies;
        slow: a_hundred_thousand_zombies_are_all_reported,
    ]
}

/// The age at which a zombie is told beside a storm: more than a diligent parent takes for want of a processor, which is
/// longer where one processor emulates two.
fn patience() -> String {
    format!("{}ms", clock::scaled(Duration::from_millis(200)).as_millis())
}

const LONG: Duration = Duration::from_secs(120);

/// Processes that fork, exit and wait as fast as two cores go, and do nothing wrong.
struct Storm {
    actor: Actor,
    parent: i32,
}

impl Storm {
    fn of(cycles: u32) -> Self {
        let mut actor = Actor::spawn(["storm", "--cycles", &clock::rounds(cycles).to_string(), "--jobs", "2"]);
        let parent = actor.line("parent").pid();
        Self { actor, parent }
    }

    /// The one that started the workers, and those as long as they live.
    fn everybody(&self) -> BTreeSet<i32> {
        let children = format!("/proc/{0}/task/{0}/children", self.parent);
        let workers = || -> BTreeSet<i32> {
            let children = std::fs::read_to_string(&children).unwrap_or_default();
            children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
        };
        process::eventually(soon(), || workers().len() == 2);
        workers().into_iter().chain([self.parent]).collect()
    }

    fn is_over(&mut self) {
        self.actor.line_within("done", LONG);
    }
}

/// A zombie of these may be told, as long as nobody is said to have made a mistake.
fn accuses_nobody_of(finished: &Finished, innocent: &BTreeSet<i32>) {
    finished.never("a mistake of a diligent parent", |event| {
        event.is("zombie")
            && event.cause() != Some("unknown")
            && event.pid_of("parent").is_some_and(|pid| innocent.contains(&pid))
    });
    for pid in innocent {
        let accusation = finished.accusation(*pid).filter(|it| it["cause"] != "unknown");
        assert_eq!(accusation, None, "{}", finished.summary);
    }
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("the process is ours and lives");
}

fn a_tiny_ring_loses_events_and_says_so() -> TestResult {
    require::tracing()?;
    let tracer = Tracer::live(["--min-age", &patience(), "--ring-kib", "4"]).start();
    let mut storm = Storm::of(20_000);
    let innocent = storm.everybody();
    storm.is_over();
    let mut guilty = Actor::spawn(["never-waits", "--children", "40"]);
    let parent = guilty.line("parent").pid();
    let children: BTreeSet<i32> = guilty.lines("child", 40).iter().map(Line::pid).collect();
    // Those whose events were lost are found in /proc.
    let zombies = tracer.expect_each("the zombies", 40, soon(), children_of("zombie", parent));
    assert_eq!(zombies.iter().filter_map(Event::pid).collect::<BTreeSet<_>>(), children);
    for zombie in &zombies {
        assert!(matches!(zombie.cause(), Some("never-waits" | "unknown")), "{zombie}");
    }
    let finished = tracer.stop();
    assert!(finished.lost() > 0, "{}", finished.summary);
    assert!(finished.having(|event| event.is("loss")).count() > 0, "a loss is told when it is noticed");
    accuses_nobody_of(&finished, &innocent);
    Ok(())
}

fn a_tracer_that_was_stopped_finds_what_it_missed() -> TestResult {
    require::tracing()?;
    let tracer = Tracer::live(["--min-age", &patience(), "--ring-kib", "64"]).start();
    signal(tracer.pid(), Signal::SIGSTOP);
    let mut storm = Storm::of(20_000);
    let innocent = storm.everybody();
    let mut guilty = Actor::spawn(["never-waits"]);
    let child = guilty.line("child").pid();
    storm.is_over();
    signal(tracer.pid(), Signal::SIGCONT);
    let zombie = tracer.expect("what died meanwhile", soon(), about("zombie", child));
    assert!(matches!(zombie.cause(), Some("never-waits" | "unknown")), "{zombie}");
    let finished = tracer.stop();
    assert!(finished.lost() > 0, "{}", finished.summary);
    accuses_nobody_of(&finished, &innocent);
    Ok(())
}

/// The kernel frees what nobody holds any more when it gets round to it.
#[track_caller]
fn are_gone(objects: &BTreeSet<bpf::Object>) {
    let left = || objects.iter().filter(|object| object.exists()).collect::<Vec<_>>();
    assert!(process::eventually(soon(), || left().is_empty()), "left behind: {:?}", left());
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").expect("there are mounts")
}

fn a_tracer_that_is_killed_leaves_nothing_and_the_next_one_goes_on() -> TestResult {
    require::tracing()?;
    let mut guilty = Actor::spawn(["never-waits", "--exit-code-from", "5"]);
    let (parent, child) = (guilty.line("parent").pid(), guilty.line("child").pid());
    let first = tracer();
    first.expect("the zombie that was there before", soon(), about("zombie", child));
    let objects = bpf::objects_of(first.pid());
    assert!(objects.iter().any(|object| matches!(object, bpf::Object::Program(_))), "{objects:?}");
    assert!(objects.iter().all(|object| object.exists()), "{objects:?}");
    signal(first.pid(), Signal::SIGKILL);
    drop(first);
    are_gone(&objects);
    let second = tracer();
    let zombie = second.expect("the zombie that was there before", soon(), about("zombie", child));
    assert_eq!(zombie.at("/preexisting"), Some(&true.into()), "{zombie}");
    assert_eq!((zombie.pid_of("parent"), zombie.exit_code()), (Some(parent), Some(5)), "{zombie}");
    Ok(())
}

fn a_tracer_that_ends_leaves_nothing() -> TestResult {
    require::tracing()?;
    let before = mounts();
    let tracer = tracer();
    let objects = bpf::objects_of(tracer.pid());
    assert!(objects.len() > 15, "{objects:?}");
    tracer.stop();
    are_gone(&objects);
    assert_eq!(mounts(), before);
    Ok(())
}

fn a_tracer_that_starts_in_a_storm_accuses_nobody() -> TestResult {
    require::tracing()?;
    let mut storm = Storm::of(60_000);
    let innocent = storm.everybody();
    let tracer = Tracer::live(["--min-age", &patience()]).start();
    storm.is_over();
    tracer.fence();
    let finished = tracer.stop();
    accuses_nobody_of(&finished, &innocent);
    assert!(finished.summary.number("/totals/reaped") > Some(0), "the storm was over before: {}", finished.summary);
    Ok(())
}

fn a_tracer_that_starts_among_short_lives_tells_of_no_zombie_that_is_gone() -> TestResult {
    require::tracing()?;
    for _ in 0..clock::rounds(8) {
        // All the time some of its children are dead and not yet reaped.
        let mut actor = Actor::spawn(["lazy", "--period-ms", "2", "--children", "3"]);
        let parent = actor.line("parent").pid();
        actor.line("round");
        let tracer = tracer_of_all();
        // It reaps all that are left before it ends.
        assert!(actor.end().success());
        let finished = tracer.stop();
        let pids =
            |kind| -> BTreeSet<i32> { finished.having(children_of(kind, parent)).filter_map(Event::pid).collect() };
        let (told, reaped) = (pids("zombie"), pids("reaped"));
        let left: Vec<_> = told.difference(&reaped).collect();
        assert!(left.is_empty(), "{left:?} of {}, which are gone, are still zombies: {}", told.len(), finished.summary);
        let now = finished.accusation(parent).map_or(0.into(), |it| it["zombies_now"].clone());
        assert_eq!(now, 0, "{}", finished.summary);
        finished.has_lost_nothing();
    }
    Ok(())
}

fn two_tracers_see_the_same_and_nothing_of_each_other() -> TestResult {
    require::tracing()?;
    let tracers = [tracer(), tracer()];
    let mut actor = Actor::spawn(["never-waits", "--children", "5"]);
    let parent = actor.line("parent").pid();
    let children: BTreeSet<i32> = actor.lines("child", 5).iter().map(Line::pid).collect();
    for tracer in &tracers {
        let zombies = tracer.expect_each("the zombies", 5, soon(), children_of("zombie", parent));
        assert_eq!(zombies.iter().filter_map(Event::pid).collect::<BTreeSet<_>>(), children);
    }
    let pids = tracers.each_ref().map(Tracer::pid);
    for finished in tracers.map(Tracer::stop) {
        assert_eq!(finished.accusation(parent).map(|it| &it["cause"]), Some(&"never-waits".into()));
        finished.never("a tracer", |event| pids.iter().any(|&pid| event.names(pid)));
        finished.has_lost_nothing();
    }
    Ok(())
}

fn pids_that_are_used_again_at_once_are_no_zombies() -> TestResult {
    require::tracing()?;
    require::own_pid_max()?;
    are_no_zombies_with_pids_used_again();
    Ok(())
}

/// The namespace's `pid_max` is set, which before Linux 6.14 is the machine's.
pub(super) fn are_no_zombies_with_pids_used_again() {
    let cycles = clock::rounds(5_000);
    let tracer = tracer();
    let began = clock::boot_now();
    let storm = format!(
        "echo 400 > /proc/sys/kernel/pid_max && {} storm --cycles {cycles} --jobs 2; exec sleep 1000",
        binaries::actor().display()
    );
    let mut actor = Actor::spawn(["pidns-exec", "--", "/bin/sh", "-c", &storm]);
    let init = actor.line("init");
    actor.line_within("done", LONG);
    let namespace = Namespace::until_now(init.number("pid_ns"), began);
    tracer.fence();
    let finished = tracer.stop();
    // At most a hundred numbers for hundreds or thousands of processes.
    finished.never("a zombie of a number that was used again", |event| {
        event.is("zombie") && namespace.has_the("process", event)
    });
    assert!(finished.summary.number("/totals/reaped") >= Some(cycles.into()), "{}", finished.summary);
    finished.has_lost_nothing();
}

fn a_tracer_in_a_time_namespace_counts_right() -> TestResult {
    require::tracing()?;
    require::file("/proc/self/timens_offsets")?;
    let unshare = require::program("unshare")?;
    let mut guilty = Actor::spawn(["never-waits"]);
    let child = guilty.line("child").pid();
    // A day ahead of everybody else.
    let mut command = Command::new(unshare);
    command.args(["--time", "--boottime", "86400"]).arg(binaries::zombie_trace());
    let limit = format!("{}s", clock::scaled(Duration::from_secs(3)).as_secs());
    command.args(["live", "--format", "json", "--min-age", "200ms", "--for", &limit]);
    let output = command.output().expect("unshare runs");
    let text = String::from_utf8_lossy(&output.stdout);
    if text.is_empty() {
        return Err(Skip::new(format!("no time namespace: {}", String::from_utf8_lossy(&output.stderr))));
    }
    let events: Vec<Event> = text.lines().filter_map(Event::parse).collect();
    let zombie = events.iter().find(|event| about("zombie", child)(event));
    let zombie =
        zombie.unwrap_or_else(|| panic!("{child} is not told: {text} {}", String::from_utf8_lossy(&output.stderr)));
    let age = zombie.number("/age_ns").expect("it has an age");
    assert!(age < 3_600_000_000_000, "{zombie}");
    // It was found in /proc with the start that the kernel's events have.
    let start = zombie.number("/process/start_ns").expect("it has a start");
    let uptime = i64::try_from(clock::boot_now()).expect("the machine is young");
    assert!(start <= uptime && uptime - start < 3_600_000_000_000, "{zombie}");
    Ok(())
}

/// The machine's limit on pids, raised as long as the value lives.
struct Pids {
    before: Option<String>,
}

impl Pids {
    const FILE: &str = "/proc/sys/kernel/pid_max";

    fn for_so_many(count: u64) -> Result<Self, Skip> {
        let before = std::fs::read_to_string(Self::FILE).unwrap_or_default();
        if before.trim().parse().is_ok_and(|limit: u64| limit > count + count / 4) {
            return Ok(Self { before: None });
        }
        let raised = std::fs::write(Self::FILE, "4194304");
        raised.map_err(|error| Skip::new(format!("pid_max cannot be raised: {error}")))?;
        Ok(Self { before: Some(before) })
    }
}

impl Drop for Pids {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = std::fs::write(Self::FILE, before);
        }
    }
}

fn a_hundred_thousand_zombies_are_all_reported() -> TestResult {
    const COUNT: usize = 100_000;
    require::tracing()?;
    require::free_memory(4 << 30)?;
    let _pids = Pids::for_so_many(COUNT as u64)?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["never-waits", "--children", &COUNT.to_string()]);
    let parent = actor.line("parent").pid();
    actor.line_within("ready", LONG);
    tracer.expect_each("all zombies", COUNT, LONG, children_of("zombie", parent));
    let finished = tracer.stop();
    let accusation = finished.accusation(parent).expect("the parent is accused");
    assert_eq!(accusation["zombies_now"], COUNT, "{}", accusation["cause"]);
    finished.has_lost_nothing();
    drop(actor);
    Ok(())
}
