//! What `check` could not see: it never passes for that.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, binaries, require, tests};

pub(crate) fn all() -> Vec<Test> {
    tests![
        what_a_parent_discards_at_the_very_end_counts,
        a_command_of_nothing_but_clients_cannot_be_measured,
        a_client_beside_others_is_noted,
        a_filter_that_nothing_matches_cannot_be_measured,
        a_tracer_says_that_nothing_matches_its_filter,
        what_the_command_leaves_behind_is_said_or_waited_for,
        a_baseline_of_one_script_does_not_cover_another,
        files_get_their_names_also_in_a_folder_of_somebody_else,
    ]
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(binaries::zombie_trace());
    command.args(arguments).current_dir(folder).env("PATH", format!("{}:{path}", folder.display()));
    command.output().expect("the tool can be started")
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The verdict of `check` with these options on this command.
#[track_caller]
fn check(folder: &Path, options: &[&str], command: &[&str]) -> (Option<i32>, Value) {
    let output = run(folder, &[&["check", "--format", "json"], options, &["--"], command].concat());
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().unwrap_or_default();
    let verdict = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", text(&output)));
    (output.status.code(), verdict)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("the temporary folder can be written")
}

/// A program that does nothing, by this name.
fn pretend(folder: &TempDir, name: &str) {
    fs::copy("/bin/true", folder.path().join(name)).expect("the folder is ours");
}

/// The kernel tells of a child that was discarded only when its memory is freed.
fn what_a_parent_discards_at_the_very_end_counts() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    let folder = folder();
    fs::write(folder.path().join("policy.toml"), "denied-causes = [\"auto-reaped\"]\n").expect("the folder is ours");
    let script = "import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(5):
    if os.fork() == 0:
        os._exit(0)
try:
    os.wait()
except ChildProcessError:
    pass";
    for round in 0..4 {
        let (exit, verdict) = check(folder.path(), &["--policy", "policy.toml"], &["python3", "-c", script]);
        assert_eq!(exit, Some(1), "round {round}: {verdict:#}");
        assert_eq!(verdict["report"]["totals"]["auto_reaped"], 5, "round {round}: {verdict:#}");
        assert_eq!(verdict["violations"][0]["rule"], "denied-cause", "round {round}: {verdict:#}");
    }
    Ok(())
}

fn a_command_of_nothing_but_clients_cannot_be_measured() -> TestResult {
    require::tracing()?;
    let folder = folder();
    pretend(&folder, "docker");
    for command in [&["docker", "run", "x"][..], &["sh", "-c", "docker run x; sleep 0; docker stop x"]] {
        for source in ["bpf", "proc"] {
            let (exit, verdict) = check(folder.path(), &["--source", source], command);
            // So short a process may well be between two looks at /proc.
            if source == "proc" && !verdict["unmeasured"].to_string().contains("docker") {
                continue;
            }
            assert_eq!((exit, &verdict["verdict"]), (Some(3), &"unmeasured".into()), "{command:?}: {verdict:#}");
            assert!(verdict["unmeasured"].to_string().contains("docker"), "{command:?}: {verdict:#}");
        }
        let (exit, verdict) = check(folder.path(), &["--allow-empty"], command);
        assert_eq!(exit, Some(0), "{command:?}: {verdict:#}");
    }
    Ok(())
}

fn a_client_beside_others_is_noted() -> TestResult {
    require::tracing()?;
    let folder = folder();
    pretend(&folder, "systemctl");
    pretend(&folder, "app");
    let (exit, verdict) = check(folder.path(), &[], &["sh", "-c", "app; systemctl start x"]);
    assert_eq!(exit, Some(0), "{verdict:#}");
    assert!(verdict["notes"].to_string().contains("systemctl"), "{verdict:#}");
    let (_, verdict) = check(folder.path(), &[], &["sh", "-c", "app; app"]);
    assert_eq!(verdict["notes"], Value::Array(Vec::new()), "{verdict:#}");
    Ok(())
}

fn a_filter_that_nothing_matches_cannot_be_measured() -> TestResult {
    require::tracing()?;
    let folder = folder();
    pretend(&folder, "app");
    for filter in [["--comm", "mistyped*"], ["--container", "mistyped"], ["--cgroup", "/mistyped"], ["--pid-ns", "7"]] {
        let (exit, verdict) = check(folder.path(), &filter, &["app"]);
        assert_eq!(exit, Some(3), "{filter:?}: {verdict:#}");
        assert!(verdict["unmeasured"].to_string().contains(filter[0]), "{filter:?}: {verdict:#}");
    }
    let (exit, verdict) = check(folder.path(), &["--comm", "ap*"], &["app"]);
    assert_eq!(exit, Some(0), "{verdict:#}");
    Ok(())
}

fn a_tracer_says_that_nothing_matches_its_filter() -> TestResult {
    require::tracing()?;
    let folder = folder();
    let output = run(folder.path(), &["live", "--container", "mistyped", "--for", "2s"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().filter(|line| line.contains("--container mistyped")).count();
    assert_eq!(lines, 2, "at the start and at the end: {said}");
    let output = run(folder.path(), &["live", "--cgroup", "/", "--for", "2s"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("--cgroup"), "{}", text(&output));
    Ok(())
}

fn what_the_command_leaves_behind_is_said_or_waited_for() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    let folder = folder();
    // The command ends when its grandchild is dead, of which it learns without a wait call.
    let script = "import os, select, time
told, tell = os.pipe()
if os.fork() == 0:
    child = os.fork()
    if child == 0:
        os._exit(0)
    select.select([os.pidfd_open(child)], [], [])
    os.write(tell, b'x')
    time.sleep(5)
    os._exit(0)
os.read(told, 1)";
    let (exit, verdict) = check(folder.path(), &["--min-age", "3s"], &["python3", "-c", script]);
    assert_eq!(exit, Some(0), "{verdict:#}");
    let notes = verdict["notes"].to_string();
    assert!(notes.contains("1 zombie younger than 3.0 s") && notes.contains("still running"), "{verdict:#}");
    assert!(notes.contains("python3"), "{verdict:#}");
    let options = ["--min-age", "3s", "--wait-for-daemons", "60s"];
    let (exit, verdict) = check(folder.path(), &options, &["python3", "-c", script]);
    assert_eq!(exit, Some(1), "{verdict:#}");
    assert_eq!(verdict["violations"][0]["rule"], "zombie-age", "{verdict:#}");
    assert!(!verdict["notes"].to_string().contains("still running"), "{verdict:#}");
    Ok(())
}

fn a_baseline_of_one_script_does_not_cover_another() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    let folder = folder();
    let leak = super::checking::LEAK;
    for name in ["a.py", "b.py"] {
        fs::write(folder.path().join(name), leak).expect("the folder is ours");
    }
    let age = ["--min-age", "300ms"];
    let with = |option| [&age[..], &[option, "known.json"]].concat();
    let (exit, verdict) = check(folder.path(), &with("--save-baseline"), &["python3", "a.py"]);
    assert_eq!(exit, Some(0), "{verdict:#}");
    let (exit, verdict) = check(folder.path(), &with("--baseline"), &["python3", "a.py"]);
    assert_eq!(exit, Some(0), "{verdict:#}");
    let (exit, verdict) = check(folder.path(), &with("--baseline"), &["python3", "b.py"]);
    assert_eq!(exit, Some(1), "{verdict:#}");
    assert_eq!(verdict["violations"][0]["id"], "zombies/never-waits/python3 b.py", "{verdict:#}");
    Ok(())
}

/// In CI the folder is the runner's, and the tool is started by `sudo`; most of its privileges are gone by the end.
fn files_get_their_names_also_in_a_folder_of_somebody_else() -> TestResult {
    require::tracing()?;
    let folder = folder();
    std::os::unix::fs::chown(folder.path(), Some(1234), Some(1234)).expect("root may do so");
    pretend(&folder, "app");
    let options = ["--junit", "a.xml", "--sarif", "b.sarif", "--save-baseline", "c.json"];
    let (exit, verdict) = check(folder.path(), &options, &["app"]);
    assert_eq!(exit, Some(0), "{verdict:#}");
    for name in ["a.xml", "b.sarif", "c.json"] {
        let written = fs::metadata(folder.path().join(name)).expect("it was written");
        assert!(written.len() > 0, "{name}");
    }
    Ok(())
}
