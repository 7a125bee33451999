//! A workload that fills a map of the kernel side makes nobody else look guilty: what cannot be known of others is
//! `unknown`, the summary says which map was full, and who comes after the workload is judged as ever.

use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zombie_trace_tests::cgroup::PidsCgroup;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, TestResult, Tracer, binaries, require, tests};

use super::{about, children_of, soon};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_full_map_of_followed_processes_is_no_clean_run,
        counts_of_several_threads_are_exact;
        alone: a_full_map_of_waits_hides_how_others_wait_while_it_is_full, who_fills_the_ring_is_named,
    ]
}

/// Small, so that a crowd fills it, and large enough for what else waits on the machine.
const ENTRIES: &str = "1024";
const CROWD: &str = "1300";

/// Of the victim beside the crowd nothing can be said, and one that comes when the crowd is gone is judged as ever.
fn a_full_map_of_waits_hides_how_others_wait_while_it_is_full() -> TestResult {
    require::tracing()?;
    require::free_pids(2_000)?;
    let tracer = Tracer::live(["--min-age", "200ms", "--map-entries", ENTRIES]).start();
    let cause_of = |scenario: &str| {
        let mut actor = Actor::spawn([scenario]);
        let child = actor.line("child").pid();
        let zombie = tracer.expect("the zombie", soon(), about("zombie", child));
        zombie.cause().map(ToOwned::to_owned)
    };
    let mut crowd = Actor::spawn(["crowd", "--processes", CROWD]);
    crowd.line("ready");
    assert_eq!(cause_of("waits-for-others").as_deref(), Some("unknown"), "beside the crowd");
    crowd.end();
    assert_eq!(cause_of("never-waits").as_deref(), Some("never-waits"), "after the crowd");
    let finished = tracer.stop();
    assert!(finished.summary.number("/loss/uncounted_waits") > Some(0), "{}", finished.summary);
    let warnings = finished.stderr.iter().filter(|line| line.contains("more processes wait than can be counted"));
    // Two processors may both be the first.
    assert!((1..=2).contains(&warnings.count()), "{:#?}", finished.stderr);
    Ok(())
}

fn a_full_map_of_followed_processes_is_no_clean_run() -> TestResult {
    require::tracing()?;
    // All at the same time, however long it takes to start them.
    let crowd = "for i in $(seq 40); do sleep 600 & all=\"$all $!\"; done; kill $all; wait";
    let check = |entries: &str| {
        // Where another test runs containers, the whole machine would be traced, and no process followed by the kernel.
        let arguments = ["check", "--containers", "none", "--map-entries", entries, "--", "sh", "-c", crowd];
        Command::new(binaries::zombie_trace()).args(arguments).output().expect("the tool can be started")
    };
    let small = check("16");
    assert_eq!(small.status.code(), Some(3), "{small:?}");
    assert!(String::from_utf8_lossy(&small.stdout).contains("map of followed processes was full"), "{small:?}");
    // Also for what other tests do meanwhile.
    let enough = check("65536");
    assert_eq!(enough.status.code(), Some(0), "{enough:?}");
    Ok(())
}

fn who_fills_the_ring_is_named() -> TestResult {
    require::tracing()?;
    let cgroup = PidsCgroup::with_max(1_000)?;
    // A few events in the tests' cgroup, and a storm in its own. Nothing else is traced: other tests fill rings, too.
    let (folder, actor) = (cgroup.directory().display(), binaries::actor().display().to_string());
    let script = format!(
        "read go; {actor} storm --cycles 200 && echo $$ > {folder}/cgroup.procs && exec {actor} storm --cycles 8000"
    );
    let mut shell = Command::new("sh");
    let storms = shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut storms = storms.spawn().expect("there is a shell");
    let root = storms.id().to_string();
    let tracer = Tracer::live(["--min-age", "1h", "--ring-kib", "1024", "--pid", &root]).start();
    let stop = |signal| kill(Pid::from_raw(tracer.pid()), signal).expect("it is ours");
    stop(Signal::SIGSTOP);
    // The end of its input is an answer to `read` as well.
    drop(storms.stdin.take());
    let ended = storms.wait().expect("it was started here");
    assert!(ended.success(), "{ended}");
    stop(Signal::SIGCONT);
    // Read and written down before the tracer is asked to end.
    tracer.expect("the loss", soon(), |event| event.is("loss"));
    let finished = tracer.stop();
    let source = &finished.summary.0["loss"]["filled_by"];
    assert_eq!(source["cgroup"], cgroup.path(), "{}", finished.summary);
    assert!(source["events"].as_i64() > Some(0) && source["events"].as_i64() <= Some(finished.lost()), "{source}");
    Ok(())
}

fn counts_of_several_threads_are_exact() -> TestResult {
    require::tracing()?;
    require::exact_call_counts()?;
    let tracer = Tracer::live(["--min-age", "200ms"]).start();
    let mut actor = Actor::spawn(["race-wait"]);
    let parent = actor.line("parent").pid();
    let polled = actor.line_within("polled", 4 * soon()).number("count");
    let child = actor.line("child").pid();
    let zombie = tracer.expect("the zombie", soon(), children_of("zombie", parent));
    assert_eq!(zombie.pid(), Some(child), "{zombie}");
    let evidence = super::evidence(&zombie);
    let numbers: Vec<&str> = evidence.split(|it: char| !it.is_ascii_digit()).collect();
    assert!(numbers.contains(&polled.to_string().as_str()), "{polled} calls: {evidence}");
    assert!(!evidence.contains("waits now"), "{evidence}");
    // As of one thread, which cannot race.
    let mut single = Actor::spawn(["race-wait", "--threads", "1"]);
    let child = single.line("child").pid();
    let other = tracer.expect("the zombie of one thread", soon(), about("zombie", child));
    assert_eq!(zombie.cause(), other.cause());
    Ok(())
}
