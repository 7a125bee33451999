//! Recordings: that a report is what `live` would have said, and what a killed recorder leaves behind.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, TestResult, Tracer, binaries, clock, process, require, tests};

use super::{MIN_AGE_MS, children_of, soon};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_report_from_a_recording_is_the_summary_of_the_live_run,
        rotated_files_make_one_report_and_each_can_be_read_alone,
        a_rotation_amid_a_wait_and_a_stop_changes_nothing_that_is_said,
        what_is_older_than_a_second_survives_a_kill,
        a_quiet_recorder_says_until_when_its_node_lived;
        slow: what_is_older_than_a_second_survives_fifty_kills,
    ]
}

fn new_folder() -> TempDir {
    TempDir::new().expect("there is room for a folder")
}

/// The report on these files, and the exit code.
pub(super) fn report(files: &[&Path], min_age_ms: u64) -> (Event, Option<i32>, String) {
    let mut command = Command::new(binaries::zombie_trace());
    command.args(["report", "--format", "json", "--min-age", &format!("{min_age_ms}ms")]).args(files);
    let output = command.stdin(Stdio::null()).output().expect("the tool can be started");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = Event::parse(text.trim_end()).unwrap_or_else(|| panic!("no report: {text:?} {stderr}"));
    (report, output.status.code(), stderr)
}

fn a_report_from_a_recording_is_the_summary_of_the_live_run() -> TestResult {
    require::tracing()?;
    let folder = new_folder();
    let file = folder.path().join("trace.zt");
    let min_age = format!("{MIN_AGE_MS}ms");
    let tracer = Tracer::live(["--min-age", &min_age, "--record", &file.to_string_lossy()]).start();
    let mut negligent = Actor::spawn(["never-waits", "--children", "5"]);
    let parent = negligent.line("parent").pid();
    let mut storm = Actor::spawn(["storm", "--cycles", "3000"]);
    storm.line("done");
    tracer.expect_each("the zombies", 5, soon(), children_of("zombie", parent));
    negligent.end();
    tracer.fence();
    let finished = tracer.stop();
    assert!(finished.accusation(parent).is_some(), "{}", finished.summary);
    let (report, code, stderr) = report(&[&file], MIN_AGE_MS);
    assert_eq!(report, finished.summary);
    assert_eq!((code, stderr.as_str()), (finished.status.code(), ""));
    Ok(())
}

/// A recorder, killed when the value is dropped.
struct Recorder(Child);

impl Recorder {
    fn start(file: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(binaries::zombie_trace());
        command.arg("record").arg("-o").arg(file).args(["--min-free", "0", "--ring-kib", "1024"]).args(arguments);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut recorder = Self(command.spawn().expect("the tool can be started"));
        let stderr = BufReader::new(recorder.0.stderr.take().expect("stderr is a pipe"));
        let mut said = Vec::new();
        for line in stderr.lines().map_while(Result::ok) {
            if line.starts_with("tracing") {
                return recorder;
            }
            said.push(line);
        }
        panic!("the recorder did not get ready: {said:?}");
    }

    fn end(mut self) -> Option<i32> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).expect("pids are small"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("the recorder runs and is ours");
        self.0.wait().expect("the recorder is our child").code()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn rotated_files_make_one_report_and_each_can_be_read_alone() -> TestResult {
    require::tracing()?;
    let folder = new_folder();
    let recorder = Recorder::start(&folder.path().join("trace.zt"), &["--rotate-age", "500ms", "--min-age", "200ms"]);
    let mut negligent = Actor::spawn(["never-waits", "--children", "5"]);
    let parent = negligent.line("parent").pid();
    negligent.line("ready");
    // Not for synchronisation: this is the time over which files are rotated.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(recorder.end(), Some(0));
    let files = std::fs::read_dir(folder.path()).expect("the folder is ours");
    let files: Vec<_> = files.map(|entry| entry.expect("the folder is ours").path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    let accused = |report: &Event| {
        let parents = report.at("/parents").and_then(|it| it.as_array().cloned()).unwrap_or_default();
        let accused = parents.into_iter().find(|it| it.pointer("/process/pid") == Some(&parent.into()));
        accused.unwrap_or_else(|| panic!("{parent} is not accused: {report}"))
    };
    let all: Vec<&Path> = files.iter().map(std::path::PathBuf::as_path).collect();
    let (all_files, code, stderr) = report(&all, MIN_AGE_MS);
    assert_eq!((code, stderr.as_str()), (Some(1), ""));
    assert_eq!(all_files.number("/loss/events"), Some(0));
    let whole = accused(&all_files);
    assert_eq!((&whole["zombies_now"], &whole["cause"]), (&5.into(), &"never-waits".into()), "{whole}");
    // The last file knows of the zombies that began before it, and since when they are.
    let (last, ..) = report(&[&folder.path().join("trace.zt")], 0);
    let since = |report: &Event| -> Vec<_> {
        let zombies = report.at("/zombies").and_then(|it| it.as_array().cloned()).unwrap_or_default();
        let mut since: Vec<_> = zombies
            .iter()
            .filter(|zombie| zombie.pointer("/parent/pid") == Some(&parent.into()))
            .map(|zombie| (zombie["process"]["pid"].as_i64(), zombie["since"].to_string()))
            .collect();
        since.sort_unstable();
        since
    };
    assert_eq!(since(&last), since(&all_files));
    let last = accused(&last);
    assert_eq!((&last["zombies_now"], &last["cause"]), (&5.into(), &"never-waits".into()), "{last}");
    Ok(())
}

/// What a list of a report has about this process.
fn about(report: &Event, list: &str, whose: &str, pid: i32) -> Vec<serde_json::Value> {
    let all = report.at(list).and_then(|it| it.as_array().cloned()).unwrap_or_default();
    all.into_iter().filter(|it| it.pointer(whose) == Some(&pid.into())).map(without_starts).collect()
}

/// Without the starts of processes, which a file that begins later knows by the clock tick of `/proc`.
fn without_starts(mut value: serde_json::Value) -> serde_json::Value {
    match &mut value {
        serde_json::Value::Object(map) => {
            map.remove("start_ns");
            map.values_mut().for_each(|it| *it = without_starts(it.take()));
        }
        serde_json::Value::Array(list) => list.iter_mut().for_each(|it| *it = without_starts(it.take())),
        _ => {}
    }
    value
}

/// The same zombie and the same stop, told by all files together and by one that begins after both did.
fn a_rotation_amid_a_wait_and_a_stop_changes_nothing_that_is_said() -> TestResult {
    require::tracing()?;
    let folder = new_folder();
    let recorder = Recorder::start(&folder.path().join("trace.zt"), &["--rotate-age", "1500ms", "--min-age", "200ms"]);
    let files = || -> Vec<std::path::PathBuf> {
        let files = std::fs::read_dir(folder.path()).expect("the folder is ours");
        files.map(|entry| entry.expect("the folder is ours").path()).collect()
    };
    let mut waiter = Actor::spawn(["waits-for-others"]);
    let (parent, child) = (waiter.line("parent").pid(), waiter.line("child").pid());
    waiter.line("ready");
    let mut tree = Actor::spawn(["stop-tree"]);
    let init = tree.line("init").pid();
    tree.line("ready");
    // From a process that is gone then: of one that lives, more becomes known while another file is written.
    let signal = |option: &str| {
        let status = Command::new("sh").args(["-c", &format!("kill {option} {init}")]).status();
        assert!(status.expect("there is a shell").success(), "PID 1 lives");
    };
    signal("-TERM");
    tree.line("init-got");
    let begun = files().len();
    assert!(process::eventually(soon(), || files().len() > begun), "no file was begun: {:?}", files());
    signal("-KILL");
    tree.line("ended");
    // Not for synchronisation: files are rotated meanwhile, and the last one begins when all of this is over.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(recorder.end(), Some(0));
    let all = files();
    let all: Vec<&Path> = all.iter().map(std::path::PathBuf::as_path).collect();
    let (whole, ..) = report(&all, MIN_AGE_MS);
    let stop = about(&whole, "/stops", "/target/pid", init);
    assert_eq!(stop.len(), 1, "{whole}");
    assert_eq!(stop[0]["outcome"], "failed", "{whole}");
    let each: Vec<Event> = all.iter().map(|file| report(&[file], MIN_AGE_MS).0).collect();
    let in_parts: Vec<_> = each.iter().flat_map(|it| about(it, "/stops", "/target/pid", init)).collect();
    assert_eq!(in_parts, stop, "the file in which it ends tells of it, as all together do");
    let (last, ..) = report(&[&folder.path().join("trace.zt")], MIN_AGE_MS);
    let zombie = |report: &Event| {
        let zombies = about(report, "/zombies", "/process/pid", child);
        assert_eq!(zombies.len(), 1, "{report}");
        let [since, cause, exit, waiters] = ["since", "cause", "exit", "waiters"].map(|it| zombies[0][it].clone());
        (since, cause, exit, waiters)
    };
    let (since, cause, exit, waiters) = zombie(&whole);
    assert_eq!(cause, "waits-for-others", "{whole}");
    assert_eq!(zombie(&last), (since, cause, exit, waiters), "{last}");
    let accused = |report: &Event| {
        let parents = about(report, "/parents", "/process/pid", parent);
        parents.first().map(|it| (it["cause"].clone(), it["evidence"].clone()))
    };
    assert_eq!(accused(&last), accused(&whole), "{last}");
    Ok(())
}

/// Nothing happens while the zombies grow old, and then the recorder is killed.
fn a_quiet_recorder_says_until_when_its_node_lived() -> TestResult {
    require::tracing()?;
    let folder = new_folder();
    let file = folder.path().join("trace.zt");
    let mut negligent = Actor::spawn(["never-waits", "--children", "5"]);
    let parent = negligent.line("parent").pid();
    negligent.line("ready");
    let recorder = Recorder::start(&file, &["--min-age", "1s", "--pid", &parent.to_string()]);
    let began = jiff::Timestamp::now();
    // Not for synchronisation: this is the time over which nothing happens.
    std::thread::sleep(clock::scaled(Duration::from_secs(2)) + Duration::from_secs(2));
    let killed = jiff::Timestamp::now();
    drop(recorder);
    let (report, code, stderr) = report(&[&file], 1_000);
    assert_eq!((code, stderr.as_str()), (Some(1), ""), "{report}");
    let end = report.text("/window/end").and_then(|it| it.parse::<jiff::Timestamp>().ok()).expect("it has an end");
    let lived = |from: jiff::Timestamp| from.duration_until(end).as_secs_f64();
    // The last heartbeat may have been under way.
    let quiet = began.duration_until(killed).as_secs_f64() - clock::scaled(Duration::from_secs(2)).as_secs_f64();
    assert!(lived(began) >= quiet, "{end} is {} s after {began}, not {quiet} s", lived(began));
    let zombies = report.at("/zombies").and_then(|it| it.as_array().cloned()).unwrap_or_default();
    assert_eq!(zombies.len(), 5, "{report}");
    Ok(())
}

fn survives_kills(count: u64) -> TestResult {
    require::tracing()?;
    for round in 0..count {
        let folder = new_folder();
        let file = folder.path().join("trace.zt");
        let recorder = Recorder::start(&file, &[]);
        let mut storm = Actor::spawn(["storm", "--cycles", "8000"]);
        storm.line("parent");
        let mut negligent = Actor::spawn(["never-waits", "--children", "3"]);
        let children: Vec<i32> = negligent.lines("child", 3).iter().map(zombie_trace_tests::Line::pid).collect();
        // The second of which nothing is promised, and a part of the next, another one in every round.
        std::thread::sleep(clock::scaled(Duration::from_secs(1)) + Duration::from_millis(round * 137 % 600));
        drop(recorder);
        let (report, ..) = report(&[&file], 0);
        let zombies = report.at("/zombies").and_then(|it| it.as_array().cloned()).unwrap_or_default();
        for child in children {
            let there = zombies.iter().any(|zombie| zombie.pointer("/process/pid") == Some(&child.into()));
            assert!(there, "round {round}: {child} is not in the report");
        }
    }
    Ok(())
}

fn what_is_older_than_a_second_survives_a_kill() -> TestResult {
    survives_kills(4)
}

fn what_is_older_than_a_second_survives_fifty_kills() -> TestResult {
    survives_kills(50)
}
