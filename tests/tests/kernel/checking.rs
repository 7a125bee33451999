//! `check` over real commands.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, binaries, foreign, require, tests};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_clean_command_passes,
        a_leak_fails_with_a_failure_in_the_junit,
        a_leak_is_seen_in_proc_without_bpf_and_what_is_not_seen_is_said,
        a_baseline_lets_pass_what_was_there,
        two_scripts_of_one_interpreter_have_two_ids_in_every_run,
        the_commands_failure_does_not_hide_a_leak,
        a_parallel_build_gives_the_same_verdict_every_time,
        a_recording_is_judged_by_the_same_policy_without_privilege,
        what_a_recording_cannot_tell_is_said,
        every_format_is_read_by_parsers_of_others,
        what_is_discarded_in_the_last_moment_is_counted_whole,
    ]
}

/// The checks of `init-check` that every init must pass.
pub(crate) const REQUIRED: &str = "reaps-orphans,ends-within-grace,children-get-term";

/// Sleeps when its children are dead, of which it learns without a wait call.
pub(crate) const LEAK: &str = "import os, select, time
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0)
    select.select([os.pidfd_open(child)], [], [])
time.sleep(1)";

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(binaries::zombie_trace()).args(arguments).output().expect("the tool can be started")
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
pub(crate) fn json(output: &Output) -> Value {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

/// A file of this test process.
pub(crate) fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("zt-check-{}-{name}", std::process::id()))
}

fn a_clean_command_passes() -> TestResult {
    require::tracing()?;
    let output = run(&["check", "--", "sh", "-c", "true & wait; true | true"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    Ok(())
}

fn a_leak_fails_with_a_failure_in_the_junit() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    let junit = scratch("leak.xml");
    let output =
        run(&["check", "--min-age", "300ms", "--junit", &junit.to_string_lossy(), "--", "python3", "-c", LEAK]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    // A parser that is not ours.
    let count = "import sys, xml.etree.ElementTree as e; print(len(e.parse(sys.argv[1]).findall('.//failure')))";
    let read = Command::new("python3").args(["-c", count]).arg(&junit).output().expect("python3 can be started");
    let _ = std::fs::remove_file(&junit);
    assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), "1", "{}", text(&read));
    Ok(())
}

fn a_leak_is_seen_in_proc_without_bpf_and_what_is_not_seen_is_said() -> TestResult {
    require::program("python3")?;
    let arguments = ["check", "--source", "proc", "--interval", "20ms", "--min-age", "300ms", "--format", "json", "--"];
    let output = run(&[&arguments[..], &["python3", "-c", LEAK]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let verdict = json(&output);
    assert_eq!(verdict["violations"][0]["amount"], 3, "{verdict:#}");
    assert_eq!(verdict["source"], "proc");
    assert_eq!(verdict["report"]["parents"][0]["doing"][0]["object"], "a timer", "it sleeps instead: {verdict:#}");
    assert!(verdict["notes"].to_string().contains("it misses"), "{verdict:#}");
    assert!(verdict["unseen"].to_string().contains("dropped-signal"), "{verdict:#}");
    let clean = run(&[&arguments[..], &["sh", "-c", "true & wait"]].concat());
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean));
    Ok(())
}

/// All children die at once, and the parent ends when the kernel has reaped them.
const DISCARD: &str = "import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
gate, opener = os.pipe()
for _ in range(20):
    if os.fork() == 0:
        os.close(opener)
        os.read(gate, 1)
        os._exit(3)
os.close(opener)
try:
    while True:
        os.wait()
except ChildProcessError:
    os._exit(0)";

fn what_is_discarded_in_the_last_moment_is_counted_whole() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    let file = scratch("denied.toml");
    std::fs::write(&file, "denied-causes = [\"auto-reaped\"]\n").expect("there is room for a file");
    let path = file.to_string_lossy().into_owned();
    let outputs: Vec<Output> = (0..10)
        .map(|_| run(&["check", "--policy", &path, "--format", "json", "--", "python3", "-c", DISCARD]))
        .collect();
    let _ = std::fs::remove_file(&file);
    for output in &outputs {
        assert_eq!(output.status.code(), Some(1), "{}", text(output));
        let verdict = json(output);
        assert_eq!(verdict["report"]["totals"]["auto_reaped"], 20, "{verdict:#}");
        let details: Vec<_> = verdict["violations"].as_array().into_iter().flatten().map(|it| &it["detail"]).collect();
        let is_whole = |it: &&Value| it.as_str().is_some_and(|it| it.starts_with("20 exit statuses were discarded"));
        assert!(details.len() == 1 && details.iter().all(is_whole), "{details:?}");
    }
    Ok(())
}

fn a_baseline_lets_pass_what_was_there() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    let file = scratch("baseline.json");
    let path = file.to_string_lossy().into_owned();
    let check = |option: &str| run(&["check", "--min-age", "300ms", option, &path, "--", "python3", "-c", LEAK]);
    let saved = check("--save-baseline");
    assert_eq!(saved.status.code(), Some(0), "{}", text(&saved));
    let known = check("--baseline");
    assert_eq!(known.status.code(), Some(0), "{}", text(&known));
    let worse = LEAK.replace("range(3)", "range(4)");
    let worse = run(&["check", "--min-age", "300ms", "--baseline", &path, "--", "python3", "-c", &worse]);
    let _ = std::fs::remove_file(&file);
    assert_eq!(worse.status.code(), Some(1), "{}", text(&worse));
    Ok(())
}

fn two_scripts_of_one_interpreter_have_two_ids_in_every_run() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    let folder = TempDir::new().expect("there is room for a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    for script in ["a.py", "b.py"] {
        std::fs::write(path(script), LEAK).expect("the folder is ours");
    }
    let check = |options: &[&str], script: &str| {
        let options = [&["check", "--min-age", "300ms", "--format", "json"], options].concat();
        run(&[&options[..], &["--", "python3", &path(script)]].concat())
    };
    let ids = |output: &Output| -> Vec<String> {
        let verdict = json(output);
        let ids = verdict["violations"].as_array().into_iter().flatten().map(|it| it["id"].to_string());
        ids.collect()
    };
    let first = ["a.py", "b.py"].map(|script| ids(&check(&[], script)));
    assert_ne!(first[0], first[1]);
    for _ in 1..10 {
        assert_eq!(["a.py", "b.py"].map(|script| ids(&check(&[], script))), first);
    }
    let baseline = path("baseline.json");
    let saved = check(&["--save-baseline", &baseline], "a.py");
    assert_eq!(saved.status.code(), Some(0), "{}", text(&saved));
    let codes = ["a.py", "b.py"].map(|script| check(&["--baseline", &baseline], script).status.code());
    assert_eq!(codes, [Some(0), Some(1)], "the leak of the one does not cover that of the other");
    Ok(())
}

fn the_commands_failure_does_not_hide_a_leak() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    let script = format!("{LEAK}\nraise SystemExit(7)");
    let output = run(&["check", "--min-age", "300ms", "--format", "json", "--", "python3", "-c", &script]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let verdict = json(&output);
    let rules: Vec<_> = verdict["violations"].as_array().into_iter().flatten().map(|it| &it["rule"]).collect();
    assert_eq!(rules, ["zombie-age", "command-failed"], "{verdict:#}");
    Ok(())
}

fn a_parallel_build_gives_the_same_verdict_every_time() -> TestResult {
    require::tracing()?;
    require::program("make")?;
    let makefile = scratch("Makefile");
    let rules = "all: $(addprefix job,$(shell seq 40))\njob%:\n\t@sh -c 'true | true; true & wait'\n";
    std::fs::write(&makefile, rules).expect("the temporary folder can be written");
    let path = makefile.to_string_lossy().into_owned();
    let mut first = None;
    for round in 0..10 {
        let output = run(&["check", "--format", "json", "--", "make", "-s", "-j4", "-f", &path]);
        assert_eq!(output.status.code(), Some(0), "round {round}: {}", text(&output));
        let verdict = json(&output);
        for list in ["violations", "waived", "notes"] {
            assert_eq!(verdict[list], Value::Array(Vec::new()), "round {round}: {verdict:#}");
        }
        assert_eq!(verdict["report"]["findings"], Value::Array(Vec::new()), "round {round}: {verdict:#}");
        // All of it that is not a measurement.
        let same = strip(verdict);
        assert_eq!(*first.get_or_insert_with(|| same.clone()), same, "round {round}");
    }
    let _ = std::fs::remove_file(&makefile);
    Ok(())
}

/// A verdict without what differs from run to run: times, and how long reaping took.
fn strip(mut verdict: Value) -> Value {
    let report = &mut verdict["report"];
    for measured in ["window", "latency"] {
        report[measured] = Value::Null;
    }
    verdict
}

/// Runs the tool as nobody, from a copy that anybody may run.
fn run_as_nobody(folder: &Path, arguments: &[&str]) -> Output {
    const NOBODY: u32 = 65_534;
    let copy = folder.join("zombie-trace");
    std::fs::copy(binaries::zombie_trace(), &copy).expect("the temporary folder can be written");
    for path in [folder, &copy] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("it is ours");
    }
    let mut command = Command::new(&copy);
    command.args(arguments).current_dir(folder).uid(NOBODY).gid(NOBODY).output().expect("anybody may run the copy")
}

/// A recording of this command, which anybody may read.
fn record(folder: &Path, command: &[&str]) -> String {
    let file = folder.join("trace.zt");
    let path = file.to_string_lossy().into_owned();
    let recorded = run(&[&["record", "--min-age", "300ms", "-o", &path, "--"], command].concat());
    assert!(file.exists(), "{}", text(&recorded));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("it is ours");
    path
}

fn a_recording_is_judged_by_the_same_policy_without_privilege() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    let folder = TempDir::new().expect("there is room for a folder");
    let leak = record(folder.path(), &["python3", "-c", LEAK]);
    let check = |more: &[&str]| {
        let arguments = ["check", "--min-age", "300ms", "--format", "json", "--recording", &leak];
        run_as_nobody(folder.path(), &[&arguments[..], more].concat())
    };
    let judged = check(&[]);
    assert_eq!(judged.status.code(), Some(1), "{}", text(&judged));
    let verdict = json(&judged);
    assert_eq!(verdict["source"], "recording");
    assert_eq!(verdict["violations"][0]["rule"], "zombie-age", "{verdict:#}");
    assert_eq!(verdict["violations"][0]["amount"], 3, "{verdict:#}");
    assert_eq!(verdict["violations"].as_array().map(Vec::len), Some(1), "{verdict:#}");
    // Who adopts what the command leaves is the machine's init, and may take a while.
    let is_of_the_command = |note: &&Value| !note.as_str().is_some_and(|note| note.contains("older than the command"));
    assert_eq!(verdict["notes"].as_array().into_iter().flatten().find(is_of_the_command), None, "{verdict:#}");
    // A live check of the same command knows what is in the recording.
    let baseline = folder.path().join("baseline.json").to_string_lossy().into_owned();
    let saved = run(&["check", "--min-age", "300ms", "--save-baseline", &baseline, "--", "python3", "-c", LEAK]);
    assert_eq!(saved.status.code(), Some(0), "{}", text(&saved));
    let known = check(&["--baseline", &baseline]);
    assert_eq!(known.status.code(), Some(0), "{}", text(&known));
    Ok(())
}

fn what_a_recording_cannot_tell_is_said() -> TestResult {
    require::tracing()?;
    let folder = TempDir::new().expect("there is room for a folder");
    let file = record(folder.path(), &["sh", "-c", "true & wait"]);
    let clean = run(&["check", "--min-age", "300ms", "--recording", &file]);
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean));
    // Of younger zombies than it was recorded with, the parents were not asked after.
    let younger = run(&["check", "--min-age", "1ms", "--format", "json", "--recording", &file]);
    assert!(json(&younger)["notes"].to_string().contains("--min-age"), "{}", text(&younger));
    // What is cut off does not pass.
    let bytes = std::fs::read(&file).expect("the recording is there");
    std::fs::write(&file, &bytes[..bytes.len() - 3]).expect("it is ours");
    let torn = run(&["check", "--min-age", "300ms", "--recording", &file]);
    assert_eq!(torn.status.code(), Some(3), "{}", text(&torn));
    assert!(text(&torn).contains("recording"), "{}", text(&torn));
    // What is none is wrong usage, and so is a command beside it.
    std::fs::write(&file, "no recording").expect("it is ours");
    for arguments in [&["check", "--recording", &file][..], &["check", "--recording", &file, "--", "true"]] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    Ok(())
}

/// Reads the files with libraries of PyPI. The first argument is the folder.
const READ_ALL: &str = "
import json, sys
from junitparser import JUnitXml
folder = sys.argv[1]
for name, failures in (('check.xml', 1), ('init.xml', None)):
    xml = JUnitXml.fromfile(f'{folder}/{name}')
    xml.update_statistics()
    print(name, xml.tests, xml.failures, xml.errors)
    assert xml.tests > 0 and xml.errors == 0
    assert failures is None or xml.failures == failures, xml.failures
sarif = json.load(open(f'{folder}/check.sarif'))
print('sarif', len(sarif['runs'][0]['results']))
for name in ('check.json', 'init.json'):
    verdict = json.load(open(f'{folder}/{name}'))
    print(name, verdict['schema'])
";

fn every_format_is_read_by_parsers_of_others() -> TestResult {
    require::tracing()?;
    let packages = foreign::python(&["junitparser==5.0.3", "check-jsonschema==0.39.0"])?;
    let folder = TempDir::new().expect("there is room for a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("leak.py"), LEAK).expect("the folder is ours");
    let mut check = Command::new(binaries::zombie_trace());
    check.args(["check", "--min-age", "300ms", "--format", "json", "--output", &path("check.json")]);
    check.args(["--junit", &path("check.xml"), "--sarif", &path("check.sarif"), "--", "python3", "leak.py"]);
    let checked = check.current_dir(folder.path()).output().expect("the tool can be started");
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked));
    for (format, name) in [("junit", "init.xml"), ("json", "init.json")] {
        let init = run(&["init-check", "--grace", "1s", "--only", REQUIRED, "--format", format, "--", "sleep", "1000"]);
        assert_eq!(init.status.code(), Some(1), "{}", text(&init));
        std::fs::write(path(name), &init.stdout).expect("the folder is ours");
    }
    let python = |arguments: &[&str]| {
        let output = Command::new("python3").env("PYTHONPATH", &packages).args(arguments).output();
        let output = output.expect("python3 can be started");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    };
    python(&["-c", READ_ALL, &folder.path().to_string_lossy()]);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zombie-trace");
    let schema = sources.join("src/output/check/schema/sarif-schema-2.1.0.json");
    // The schema's regular expressions are not all valid as those of ECMAScript.
    let by_schema = ["-m", "check_jsonschema", "--regex-variant", "python", "--schemafile"];
    python(&[&by_schema[..], &[&schema.to_string_lossy(), &path("check.sarif")]].concat());
    for (schema, file) in [("github-workflows", "github-actions.yml"), ("gitlab-ci", "gitlab-ci.yml")] {
        let file = sources.join("ci").join(file);
        python(&["-m", "check_jsonschema", "--builtin-schema", &format!("vendor.{schema}"), &file.to_string_lossy()]);
    }
    // The script is in the working directory, so code scanning can show the result.
    let sarif = std::fs::read_to_string(path("check.sarif")).expect("it was written");
    assert!(sarif.contains("\"uri\": \"leak.py\""), "{sarif}");
    Ok(())
}
