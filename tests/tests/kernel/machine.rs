//! What happens to the machine as a whole: its clock is set, it sleeps, its limits are narrow, it is short of
//! memory.
//!
//! Only for a machine on which nothing else runs, one test at a time.

use std::fs;

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, Skip, TestResult, Tracer, clock, require, tests};

use super::reaping::lasted_as_the_actor_says;
use super::{about, faults, says, soon, tracer, tracer_of_all};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_wall_clock_that_is_set_ages_nobody,
        time_that_the_machine_slept_counts,
        nobody_reaps_late_because_the_machine_slept,
        pids_that_the_machine_uses_again_at_once_are_no_zombies,
        what_is_chosen_for_want_of_memory_of_the_machine_is_told_so,
    ]
}

const HOUR: i64 = 3_600;
const HOUR_NS: u64 = 3_600_000_000_000;

/// The wall clock as it would be, had nobody set it, again when the value is dropped.
struct Stepped(i64);

impl Stepped {
    fn by(seconds: i64) -> Self {
        clock::step_wall_clock(seconds);
        Self(seconds)
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        clock::step_wall_clock(-self.0);
    }
}

fn unsigned(event: &Event, pointer: &str) -> u64 {
    event.number(pointer).and_then(|it| u64::try_from(it).ok()).unwrap_or_else(|| panic!("{pointer}: {event}"))
}

fn a_wall_clock_that_is_set_ages_nobody() -> TestResult {
    require::tracing()?;
    require::own_machine()?;
    let began = clock::wall_time(clock::boot_now());
    let tracer = tracer();
    // Forward, far back behind the time of the boot, and to where it was.
    for step in [5 * HOUR, -24 * HOUR, 0] {
        let mut actor = Actor::spawn(["stopped-child"]);
        let child = actor.line("child").pid();
        actor.order("kill");
        let died = actor.line("died");
        let stepped = Stepped::by(step);
        let zombie = tracer.expect("the zombie", soon(), about("zombie", child));
        actor.order("reap");
        let reaped = actor.line("reaped");
        let event = tracer.expect("its end", soon(), about("reaped", child));
        drop(stepped);
        let age = unsigned(&zombie, "/age_ns");
        assert!(age < reaped.number("after") - died.number("after"), "{zombie}");
        lasted_as_the_actor_says(&event, &died, &reaped);
        // Everything is dated by the clock as it was when tracing began, so that the order of events is that of their
        // times.
        let now = clock::wall_time(clock::boot_now());
        for event in [&zombie, &event] {
            let time = event.time().expect("it has a time");
            assert!((began..=now).contains(&time), "not {began} to {now}: {event}");
        }
    }
    let finished = tracer.stop();
    assert!(finished.events.iter().filter_map(Event::time).all(|time| time >= began));
    let latest = finished.summary.at("/latency/max_ns").and_then(serde_json::Value::as_u64).expect("a latency");
    assert!(latest < HOUR_NS, "{}", finished.summary);
    Ok(())
}

/// Puts the machine to sleep, and returns when its clock has woken it.
fn sleep() {
    const ALARM: &str = "/sys/class/rtc/rtc0/wakealarm";
    // Long enough to be told from the seconds in which that clock counts.
    const SECONDS: &str = "+5";
    let write =
        |file: &str, text: &str| fs::write(file, text).unwrap_or_else(|error| panic!("{text} > {file}: {error}"));
    write(ALARM, "0");
    write(ALARM, SECONDS);
    write("/sys/power/state", "mem");
}

fn time_that_the_machine_slept_counts() -> TestResult {
    require::tracing()?;
    require::suspend()?;
    let tracer = tracer_of_all();
    let mut actor = Actor::spawn(["stopped-child"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    actor.order("kill");
    let died = actor.line("died");
    tracer.expect("the zombie", soon(), about("zombie", child));
    let before = clock::slept();
    sleep();
    let slept = clock::slept() - before;
    assert!(slept > 1_000_000_000, "the machine slept for {slept} ns");
    actor.order("reap");
    let reaped = actor.line("reaped");
    let event = tracer.expect("the reap", soon(), about("reaped", child));
    lasted_as_the_actor_says(&event, &died, &reaped);
    assert!(reaped.number("before") - died.number("before") > slept, "the boot clock goes on in sleep");
    assert_eq!((event.pid_of("reaper"), event.text("/precision")), (Some(parent), Some("exact")), "{event}");
    // After the sleep everything is seen as before.
    let mut another = Actor::spawn(["never-waits"]);
    let second = another.line("child").pid();
    let zombie = tracer.expect("a zombie after the sleep", soon(), about("zombie", second));
    assert!(unsigned(&zombie, "/age_ns") < slept, "{zombie}");
    let finished = tracer.stop();
    finished.has_lost_nothing();
    Ok(())
}

fn nobody_reaps_late_because_the_machine_slept() -> TestResult {
    require::tracing()?;
    require::suspend()?;
    // Of time in which the machine runs this is more than the reap takes, with the sleep it is less.
    let tracer = Tracer::live(["--min-age", "4s"]).start();
    let mut actor = Actor::spawn(["stopped-child"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    actor.order("kill");
    actor.line("died");
    sleep();
    actor.order("reap");
    actor.line("reaped");
    // One that is told shows that what came before has been read.
    let mut guilty = Actor::spawn(["never-waits"]);
    tracer.expect("a zombie after the sleep", soon(), about("zombie", guilty.line("child").pid()));
    let finished = tracer.stop();
    finished.never("a zombie that was old by the sleep alone", |event| about("zombie", child)(event));
    assert_eq!(finished.accusation(parent), None);
    Ok(())
}

/// The machine's limit on pids, put back when the value is dropped.
struct PidMax(String);

impl PidMax {
    const FILE: &str = "/proc/sys/kernel/pid_max";

    fn kept() -> Self {
        Self(fs::read_to_string(Self::FILE).expect("every kernel has it"))
    }
}

impl Drop for PidMax {
    fn drop(&mut self) {
        if let Err(error) = fs::write(Self::FILE, &self.0) {
            eprintln!("{}: {error}", Self::FILE);
        }
    }
}

fn pids_that_the_machine_uses_again_at_once_are_no_zombies() -> TestResult {
    require::tracing()?;
    require::own_machine()?;
    if require::own_pid_max().is_ok() {
        return Err(Skip::new("a pid namespace has a pid_max of its own, which another test sets"));
    }
    let _before = PidMax::kept();
    faults::are_no_zombies_with_pids_used_again();
    Ok(())
}

fn what_is_chosen_for_want_of_memory_of_the_machine_is_told_so() -> TestResult {
    require::tracing()?;
    require::own_machine()?;
    let tracer = tracer();
    let first_of_all = "echo 1000 > /proc/self/oom_score_adj; echo ready; exec sleep 600";
    let mut actor = Actor::spawn(["pidns-exec", "--", "sh", "-c", first_of_all]);
    let init = actor.line("init").pid();
    actor.line("ready");
    fs::write("/proc/sysrq-trigger", "f").expect("root may call the OOM killer");
    let end = tracer.expect("its end", soon(), about("ended", init));
    assert_eq!((end.text("/way"), end.at("/memory_limit")), (Some("out-of-memory"), None), "{end}");
    says(&end, &["neither its cgroup nor one above it has a memory limit"]);
    Ok(())
}
