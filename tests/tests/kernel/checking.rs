//! `check` and `init-check` over real commands.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, binaries, require, tests};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_clean_command_passes,
        a_leak_fails_with_a_failure_in_the_junit,
        a_leak_is_seen_in_proc_without_bpf_and_what_is_not_seen_is_said,
        a_baseline_lets_pass_what_was_there,
        the_commands_failure_does_not_hide_a_leak,
        a_parallel_build_gives_the_same_verdict_every_time,
        inits_pass_the_required_checks,
        programs_that_are_no_init_fail_with_the_reason_in_words,
    ]
}

const LEAK: &str = "import os, time
for _ in range(3):
    if os.fork() == 0:
        os._exit(0)
time.sleep(1)";

fn run(arguments: &[&str]) -> Output {
    Command::new(binaries::zombie_trace()).args(arguments).output().expect("the tool can be started")
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn json(output: &Output) -> Value {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

/// A file of this test process.
fn scratch(name: &str) -> PathBuf {
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
    assert!(verdict["notes"].to_string().contains("cannot see"), "{verdict:#}");
    assert!(verdict["unseen"].to_string().contains("dropped-signal"), "{verdict:#}");
    let clean = run(&[&arguments[..], &["sh", "-c", "true & wait"]].concat());
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean));
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
    for round in 0..5 {
        let output = run(&["check", "--format", "json", "--", "make", "-s", "-j4", "-f", &path]);
        assert_eq!(output.status.code(), Some(0), "round {round}: {}", text(&output));
        let verdict = json(&output);
        for list in ["violations", "waived", "notes"] {
            assert_eq!(verdict[list], Value::Array(Vec::new()), "round {round}: {verdict:#}");
        }
        assert_eq!(verdict["report"]["findings"], Value::Array(Vec::new()), "round {round}: {verdict:#}");
    }
    let _ = std::fs::remove_file(&makefile);
    Ok(())
}

const REQUIRED: &str = "reaps-orphans,ends-within-grace,children-get-term";

fn graded(command: &[&str]) -> (Option<i32>, Value) {
    let arguments = ["init-check", "--grace", "1s", "--only", REQUIRED, "--format", "json", "--"];
    let output = run(&[&arguments[..], command].concat());
    (output.status.code(), json(&output))
}

fn inits_pass_the_required_checks() -> TestResult {
    require::tracing()?;
    for init in [&["tini", "--"][..], &["dumb-init"], &["catatonit", "--"]] {
        require::program(init[0])?;
        let (code, grades) = graded(&[init, &["sleep", "1000"]].concat());
        assert_eq!(code, Some(0), "{init:?}: {grades:#}");
        let passed = grades["checks"].as_array().into_iter().flatten().filter(|it| it["grade"] == "pass").count();
        assert_eq!(passed, 3, "{init:?}: {grades:#}");
    }
    Ok(())
}

fn programs_that_are_no_init_fail_with_the_reason_in_words() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    let python: &[&str] = &["python3", "-c", "import time; time.sleep(1000)"];
    for command in [&["sleep", "1000"][..], &["sh", "-c", "sleep 1000; true"], python] {
        let (code, grades) = graded(command);
        assert_eq!(code, Some(1), "{command:?}: {grades:#}");
        let stop = grades["checks"].as_array().into_iter().flatten().find(|it| it["id"] == "ends-within-grace");
        let reason = stop.map(|it| it["evidence"].to_string()).unwrap_or_default();
        assert!(reason.contains("SIGTERM") && reason.contains("no handler"), "{command:?}: {grades:#}");
    }
    Ok(())
}
