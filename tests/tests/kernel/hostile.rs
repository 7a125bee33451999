//! A workload that stalls or overloads the readers of its files in `/proc`: others are still reported with the right cause,
//! nothing waits for it, and the output says what could not be read.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use zombie_trace_tests::cgroup::PidsCgroup;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, Skip, TestResult, binaries, clock, process, require, tests};

use super::checking::{json, text};
use super::{about, evidence, says, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    // They burden every tracer of the machine, so they run alone: beside them there is time for a few others, and not for
    // other tests' workloads, too.
    tests![;
        slow: memory_that_cannot_be_read_hides_nobody_else,
        a_program_on_files_that_never_answer_hides_nobody_else,
        a_root_that_never_answers_hides_nobody_else,
        a_scan_ends_beside_many_who_stall_it,
        very_many_cgroups_hide_nobody_else,
        a_hundred_thousand_descriptors_hide_nobody_else,
        very_deep_cgroups_hide_nobody_else,
    ]
}

const IN_TIME: &str = "could not be read within 100 ms";

/// A parent whose fault is known only by what it waits for: by its evidence.
struct Victim {
    actor: Actor,
    child: i32,
}

impl Victim {
    fn new() -> Self {
        let mut actor = Actor::spawn(["waits-for-others"]);
        let child = actor.line("child").pid();
        Self { actor, child }
    }
}

/// Beside these actors a victim is told with the right cause, nothing is lost, and the tracer ends when it is told to.
/// Returns what is said of the zombies of these parents.
fn beside(actors: &[&str], what: &str, count: usize) -> Result<(Vec<Event>, Vec<Actor>), Skip> {
    require::tracing()?;
    let tracer = tracer();
    let mut hogs: Vec<Actor> = (0..count).map(|_| Actor::spawn(actors)).collect();
    for hog in &mut hogs {
        hog.supported_line(if actors[0] == "unanswered" { "stalled" } else { "ready" }, what)?;
    }
    let victim = Victim::new();
    let mut told = Vec::new();
    for hog in &mut hogs {
        let child = hog.line("child").pid();
        told.push(tracer.expect("the zombie of who stalls its readers", 3 * soon(), about("zombie", child)));
    }
    let zombie = tracer.expect("the zombie of the victim", soon(), about("zombie", victim.child));
    assert_eq!(zombie.cause(), Some("waits-for-others"), "{zombie}");
    let finished = tracer.stop();
    finished.has_lost_nothing();
    assert!(finished.accusation(victim.actor.pid()).is_some(), "{}", finished.summary);
    Ok((told, hogs))
}

fn memory_that_cannot_be_read_hides_nobody_else() -> TestResult {
    let (told, _hogs) = beside(&["unanswered", "--stalls", "memory"], "lock that a page fault keeps", 2)?;
    for zombie in &told {
        says(zombie, &[IN_TIME]);
    }
    Ok(())
}

fn a_program_on_files_that_never_answer_hides_nobody_else() -> TestResult {
    let (told, _hogs) = beside(&["unanswered", "--stalls", "executable"], "file system in user space", 2)?;
    for zombie in &told {
        says(zombie, &["was not opened: it is on a FUSE or network file system"]);
        // All else of it can be read. Where 32-bit programs may wait unseen, it might be one.
        assert!(matches!(zombie.cause(), Some("never-waits" | "unknown")), "{zombie}");
    }
    Ok(())
}

fn a_root_that_never_answers_hides_nobody_else() -> TestResult {
    let (told, _hogs) = beside(&["unanswered", "--stalls", "root"], "file system in user space", 2)?;
    for zombie in &told {
        says(zombie, &[IN_TIME]);
    }
    Ok(())
}

/// `scan`, which must end in time.
fn scan() -> Output {
    let mut command = Command::new(binaries::zombie_trace());
    command.args(["scan", "--format", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut scan = command.spawn().expect("the tool can be started");
    // What it prints of a test machine fits into the pipes; if it should not, that shows as a failure here.
    let ended = process::eventually(3 * clock::deadline(), || !matches!(scan.try_wait(), Ok(None)));
    if !ended {
        let _ = scan.kill();
    }
    let output = scan.wait_with_output().expect("it is our child");
    assert!(ended, "the scan did not end: {}", text(&output));
    output
}

fn a_scan_ends_beside_many_who_stall_it() -> TestResult {
    require::root()?;
    let mut hogs = Vec::new();
    for stalls in ["memory", "root", "memory", "root"] {
        let mut hog = Actor::spawn(["unanswered", "--stalls", stalls]);
        hog.supported_line("stalled", "file system in user space, or lock that a page fault keeps")?;
        hog.line("child");
        hogs.push((hog.line("parent").pid(), stalls, hog));
    }
    let victim = Victim::new();
    let output = scan();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let report: Value = json(&output);
    let zombies = report["zombies"].as_array().expect("the report lists them");
    let found = zombies.iter().find(|zombie| zombie["process"]["pid"] == victim.child);
    let parent = found.map(|zombie| &zombie["parent"]["pid"]);
    assert_eq!(parent, Some(&victim.actor.pid().into()), "{}", text(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let inits = report["inits"].as_array().expect("the report lists them");
    for (parent, stalls, _) in hogs {
        if stalls == "memory" {
            assert!(said.contains("could be read only in part within 100 ms"), "{said}");
            assert!(said.contains(&parent.to_string()), "{parent} is not named: {said}");
        } else {
            // What a scan tells of a PID 1 is not in its root.
            assert!(inits.iter().any(|init| init["process"]["pid"] == parent), "{parent}: {}", text(&output));
        }
    }
    Ok(())
}

fn a_hundred_thousand_descriptors_hide_nobody_else() -> TestResult {
    let (told, _hogs) = beside(&["never-waits", "--descriptors", "100000"], "100,000 descriptors", 6)?;
    for zombie in &told {
        assert_eq!(zombie.cause(), Some("never-waits"), "that it has no io_uring is seen without them: {zombie}");
    }
    Ok(())
}

/// Below a cgroup of the test's own.
fn in_cgroups(shape: &[&str]) -> Result<(Vec<Event>, Vec<Actor>, PidsCgroup), Skip> {
    require::tracing()?;
    let cgroup = PidsCgroup::with_max(5_000)?;
    let folder = cgroup.directory().to_string_lossy().into_owned();
    let (told, actors) = beside(&[&["cgroups", "--in", &folder], shape].concat(), "such cgroups", 1)?;
    Ok((told, actors, cgroup))
}

fn very_deep_cgroups_hide_nobody_else() -> TestResult {
    // The actors end before the cgroup.
    let (told, actors, cgroup) = in_cgroups(&["--depth", "1900", "--parents", "20"])?;
    for zombie in &told {
        says(zombie, &["all cgroups above", "were not read, only the first 64"]);
        assert_eq!(zombie.cause(), Some("never-waits"), "{zombie}");
    }
    drop(actors);
    drop(cgroup);
    Ok(())
}

fn very_many_cgroups_hide_nobody_else() -> TestResult {
    let (told, actors, cgroup) = in_cgroups(&["--breadth", "1000"])?;
    for zombie in &told {
        assert_eq!(zombie.cause(), Some("never-waits"), "{zombie}");
        assert!(!evidence(zombie).contains("cgroups"), "{zombie}");
        assert!(zombie.text("/process/cgroup").is_none_or(|path| path.ends_with(cgroup.path())), "{zombie}");
    }
    drop(actors);
    drop(cgroup);
    Ok(())
}
