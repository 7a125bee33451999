//! `init-check` over real commands.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Skip, TestResult, binaries, require, tests};

use crate::checking::{REQUIRED, json, run, text};

pub(crate) fn all() -> Vec<Test> {
    tests![
        inits_pass_the_required_checks,
        programs_that_are_no_init_fail_with_the_reason_in_words,
        a_failed_check_says_its_cause_by_the_rules_for_stops_and_zombies,
        a_signal_that_is_not_passed_on_is_explained_by_who_kept_it,
        a_signal_that_pid_1_handles_and_keeps_has_a_cause_though_nobody_stops_it,
        a_command_that_ends_at_once_is_not_graded,
        a_command_that_begins_late_is_given_time_to_settle,
        an_init_passes_on_what_its_child_gets_and_gives,
        a_graded_command_has_the_capabilities_of_a_container,
        a_workload_goes_where_its_mark_is,
        the_example_for_a_suite_passes_and_fails_as_a_test,
        an_unpacked_image_is_graded_as_a_user_of_its_own,
        what_surrounds_pid_1_is_what_the_check_says,
    ]
}

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

/// Why checks of a command failed: the cause of each, and what is said of it.
fn causes(arguments: &[&str]) -> BTreeMap<String, (Option<String>, Value)> {
    let document = json(&run(&[&["init-check", "--format", "json", "--grace", "2s"], arguments].concat()));
    let all = document["checks"].as_array().into_iter().flatten().filter(|it| it["grade"] == "fail");
    all.map(|it| {
        let cause = it["cause"].as_str().map(ToOwned::to_owned);
        (it["id"].as_str().unwrap_or_default().to_owned(), (cause, it.clone()))
    })
    .collect()
}

fn a_failed_check_says_its_cause_by_the_rules_for_stops_and_zombies() -> TestResult {
    require::tracing()?;
    let bash = require::program("bash")?.display().to_string();
    require::program("tini")?;
    let deferred = [&bash, "-c", "trap 'exit 0' TERM; sleep 1000; exit 3"];
    let alone = [&bash, "-c", "trap 'exit 0' TERM; sleep 1000 & while :; do wait; done"];
    let ignores = [&bash, "-c", "trap '' TERM; sleep 1000; exit 3"];
    let tini = ["tini", "--", "sleep", "1000"];
    let cases: [(&[&str], &str, &str); 6] = [
        (&["sleep", "1000"], "ends-within-grace", "no-handler"),
        (&["sleep", "1000"], "reaps-orphans", "init-does-not-reap"),
        (&deferred, "ends-within-grace", "trap-deferred"),
        (&alone, "children-get-term", "ended-before-children"),
        (&ignores, "ends-within-grace", "ignored"),
        (&tini, "descendants-get-term", "ended-before-children"),
    ];
    for (command, check, expected) in cases {
        let failed = causes(&[&["--only", check, "--"], command].concat());
        let (cause, record) = failed.get(check).unwrap_or_else(|| panic!("{command:?} passed {check}"));
        assert_eq!(cause.as_deref(), Some(expected), "{command:?}: {record:#}");
        let is_told = record["advice"].as_str().is_some_and(|advice| !advice.is_empty());
        assert!(is_told && record["evidence"].as_array().is_some_and(|it| it.len() > 1), "{record:#}");
    }
    Ok(())
}

fn a_signal_that_is_not_passed_on_is_explained_by_who_kept_it() -> TestResult {
    require::tracing()?;
    let bash = require::program("bash")?.display().to_string();
    let only = ["--only", "forwards-term,forwards-usr1,forwards-quit", "--"];
    // It drops one, ignores one as a shell without a terminal does, and keeps one for a trap that it does not run.
    let script = "trap 'exit 0' TERM; {workload}; exit $?";
    let failed = causes(&[&only[..], &[&bash, "-c", script]].concat());
    let expected = [("forwards-quit", "ignored"), ("forwards-term", "trap-deferred"), ("forwards-usr1", "no-handler")];
    for (check, expected) in expected {
        let (cause, record) = failed.get(check).unwrap_or_else(|| panic!("it passed {check}"));
        assert_eq!(cause.as_deref(), Some(expected), "{record:#}");
        // Nobody needs to end by this one.
        let advice = record["advice"].as_str().unwrap_or_default();
        assert!(check != "forwards-usr1" || !advice.contains("exit"), "{record:#}");
    }
    assert_eq!(failed.len(), expected.len(), "{failed:#?}");
    Ok(())
}

/// A PID 1 that handles all of these, starts its arguments, and ends on a signal (`exit`) or does nothing (`stay`).
const KEEPS: &str = "import os, signal, subprocess, sys, time\n\
    for name in ('TERM', 'HUP', 'USR1', 'WINCH'):\n    \
        signal.signal(getattr(signal, 'SIG' + name), lambda *_: sys.argv[1] == 'exit' and os._exit(0))\n\
    subprocess.Popen(sys.argv[2:])\n\
    while True: time.sleep(0.1)";

fn a_signal_that_pid_1_handles_and_keeps_has_a_cause_though_nobody_stops_it() -> TestResult {
    require::tracing()?;
    let python = require::program("python3")?.display().to_string();
    let only = ["--only", "forwards-term,forwards-hup,forwards-usr1,forwards-winch", "--"];
    let workload = "{workload}; exit $?";
    for (what, expected) in [("exit", "ended-before-children"), ("stay", "not-forwarded")] {
        let failed = causes(&[&only[..], &[&python, "-c", KEEPS, what, "sh", "-c", workload]].concat());
        assert_eq!(failed.len(), 4, "{failed:#?}");
        for (cause, record) in failed.values() {
            assert_eq!(cause.as_deref(), Some(expected), "{record:#}");
            assert!(record["advice"].as_str().is_some_and(|it| it.contains("python3 pass")), "{record:#}");
        }
    }
    Ok(())
}

/// The grade of each check.
fn grades(arguments: &[&str]) -> (Option<i32>, BTreeMap<String, (String, String)>, String) {
    let output = run(&[&["init-check", "--format", "json"], arguments].concat());
    let document = json(&output);
    let grade = |check: &Value| {
        let word = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
        (word("id"), (word("grade"), check["evidence"].to_string()))
    };
    let all = document["checks"].as_array().into_iter().flatten().map(grade).collect();
    (output.status.code(), all, format!("{document:#}"))
}

fn a_command_that_ends_at_once_is_not_graded() -> TestResult {
    require::tracing()?;
    let (code, grades, all) = grades(&["--only", REQUIRED, "--", "false"]);
    assert_eq!(code, Some(3), "{all}");
    assert!(grades.values().all(|(grade, why)| grade == "not-applicable" && why.contains("exit 1")), "{all}");
    Ok(())
}

/// It has no handler for four seconds, in which it seems to be calm.
fn a_command_that_begins_late_is_given_time_to_settle() -> TestResult {
    require::tracing()?;
    let python = require::program("python3")?.display().to_string();
    let script =
        "import signal, time; time.sleep(4); signal.signal(signal.SIGTERM, lambda *_: exit(0)); time.sleep(1000)";
    let code = |settle: &[&str]| {
        let arguments = ["init-check", "--grace", "1s", "--only", "ends-within-grace"];
        run(&[&arguments[..], settle, &["--", &python, "-c", script]].concat()).status.code()
    };
    assert_eq!((code(&[]), code(&["--settle", "8s"])), (Some(1), Some(0)));
    Ok(())
}

fn an_init_passes_on_what_its_child_gets_and_gives() -> TestResult {
    require::tracing()?;
    require::program("tini")?;
    let only = "forwards-winch,forwards-realtime,passes-on-exit-code,passes-on-death-by-signal,\
        ends-with-child-and-orphan,reaps-while-busy,reaps-entered,reaps-once,descendants-get-term";
    let (code, grades, all) = grades(&["--grace", "2s", "--only", only, "--", "tini", "--", "sleep", "1000"]);
    assert_eq!(code, Some(0), "{all}");
    for (id, (grade, evidence)) in &grades {
        // Without -g it signals its child alone.
        let expected = if id == "descendants-get-term" { "fail" } else { "pass" };
        assert_eq!(grade, expected, "{id}: {evidence}");
    }
    assert!(grades["passes-on-exit-code"].1.contains("0, 1, 2, 32, 64, 126, 127, 254, 255"), "{all}");
    let (_, grades, all) = self::grades(&["--only", "passes-on-exit-code", "--", "sleep", "1000"]);
    assert_eq!(grades["passes-on-exit-code"].0, "not-applicable", "{all}");
    Ok(())
}

fn a_graded_command_has_the_capabilities_of_a_container() -> TestResult {
    require::tracing()?;
    // It ends by itself, and so is not graded, unless it has these and no others: CAP_SYS_ADMIN is none of them.
    let script = "grep -q 'CapEff:.*00000000a80425fb' /proc/self/status || exit 9; exec sleep 1000";
    let (code, _, all) = grades(&["--grace", "1s", "--only", "ends-within-grace", "--", "sh", "-c", script]);
    assert_eq!(code, Some(1), "{all}");
    Ok(())
}

fn a_workload_goes_where_its_mark_is() -> TestResult {
    require::tracing()?;
    let only = ["--strict", "--only", "passes-on-exit-code,forwards-usr1", "--"];
    let (code, grades, all) = grades(&[&only[..], &["sh", "-c", "{workload}; exit $?"]].concat());
    assert_eq!(code, Some(1), "{all}");
    assert_eq!(grades["passes-on-exit-code"].0, "pass", "{all}");
    assert_eq!(grades["forwards-usr1"].0, "fail", "{all}");
    assert!(grades["forwards-usr1"].1.contains("SIGUSR1"), "{all}");
    let (_, grades, all) = self::grades(&[&only[..], &["sh", "-c", "{workload}; exit 3"]].concat());
    assert_eq!(grades["passes-on-exit-code"].0, "fail", "{all}");
    Ok(())
}

/// An image as it is unpacked: tini with its libraries, and busybox.
pub(crate) fn unpacked_image() -> Result<TempDir, Skip> {
    let (busybox, tini) = (require::program("busybox")?, require::program("tini")?);
    let image = TempDir::new().expect("there is room for a folder");
    let root = image.path();
    for folder in ["bin", "dev", "proc", "tmp"] {
        std::fs::create_dir_all(root.join(folder)).expect("the folder is ours");
    }
    let libraries = Command::new("ldd").arg(&tini).output().expect("ldd can be started");
    let libraries = text(&libraries);
    let files = libraries.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
    for file in files {
        let copy = root.join(file.strip_prefix("/").expect("it begins with a slash"));
        std::fs::create_dir_all(copy.parent().expect("it is in a folder")).expect("the folder is ours");
        std::fs::copy(&file, copy).expect("there is room");
    }
    std::fs::copy(tini, root.join("bin/tini")).expect("there is room");
    std::fs::copy(busybox, root.join("bin/busybox")).expect("there is room");
    for name in ["sh", "sleep", "id", "test", "touch", "tty"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).expect("the folder is ours");
    }
    std::fs::set_permissions(root, PermissionsExt::from_mode(0o755)).expect("it is ours");
    Ok(image)
}

fn an_unpacked_image_is_graded_as_a_user_of_its_own() -> TestResult {
    require::tracing()?;
    let image = unpacked_image()?;
    let root = image.path().to_string_lossy().into_owned();
    let entry = image.path().join("entry");
    // It ends by itself, and so fails, unless all is as it was told.
    let script = "#!/bin/sh\n[ \"$(id -u):$(id -g)\" = 1234:4321 ] && [ -e /entry ] && [ -c /dev/null ] || exit 9\n\
        exec sleep 1000\n";
    std::fs::write(&entry, script).expect("the folder is ours");
    std::fs::set_permissions(&entry, PermissionsExt::from_mode(0o755)).expect("it is ours");
    let only = "reaps-orphans,ends-within-grace,children-get-term,read-only-root,passes-on-exit-code,non-root-user";
    let common = ["--grace", "2s", "--rootfs", &root, "--only", only];
    let command = ["--", "tini", "--", "/entry"];
    let (code, grades, all) = grades(&[&common[..], &["--user", "1234:4321"], &command].concat());
    assert_eq!(code, Some(0), "{all}");
    for (id, (grade, evidence)) in &grades {
        let expected = if id == "non-root-user" { "not-applicable" } else { "pass" };
        assert_eq!(grade, expected, "{id}: {evidence}");
    }
    let (code, _, all) = self::grades(&[&common[..], &command].concat());
    assert_eq!(code, Some(3), "another user is seen: {all}");
    // What was bound and mounted is gone with the namespaces.
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("/proc is there");
    assert!(!mounts.contains(&root), "{mounts}");
    Ok(())
}

/// Each script ends by itself unless the surroundings are those of the check.
fn what_surrounds_pid_1_is_what_the_check_says() -> TestResult {
    require::tracing()?;
    let image = unpacked_image()?;
    let root = image.path().to_string_lossy().into_owned();
    for (id, condition) in [
        ("read-only-root", "! touch /x 2>/dev/null"),
        ("non-root-user", "[ \"$(id -u)\" = 65534 ]"),
        ("with-terminal", "tty >/dev/null && sh -c ': </dev/tty'"),
        ("without-terminal", "! tty >/dev/null && ! sh -c ': </dev/tty' 2>/dev/null"),
    ] {
        let line = format!("{condition} || exit 9; exec tini -- sleep 1000");
        let arguments = ["--grace", "2s", "--rootfs", &root, "--only", id, "--", "sh", "-c", &line];
        let (_, grades, all) = grades(&arguments);
        assert_eq!(grades[id].0, "pass", "{all}");
    }
    Ok(())
}

fn the_example_for_a_suite_passes_and_fails_as_a_test() -> TestResult {
    require::tracing()?;
    require::program("tini")?;
    require::program("python3")?;
    let folder = TempDir::new().expect("there is room for a folder");
    let example = folder.path().join("test_entrypoint.py");
    std::fs::write(&example, include_str!("../../../zombie-trace/ci/test_entrypoint.py")).expect("the folder is ours");
    let suite = |entrypoint: &str| {
        let mut command = Command::new("python3");
        command.arg(&example).env("ZOMBIE_TRACE", binaries::zombie_trace()).env("ENTRYPOINT", entrypoint);
        command.output().expect("python3 can be started")
    };
    let good = suite("tini -- sleep 1000");
    assert!(good.status.success(), "{}", text(&good));
    assert!(!text(&good).contains("skipped"), "{}", text(&good));
    let bad = suite("sleep 1000");
    assert_eq!(bad.status.code(), Some(1), "{}", text(&bad));
    assert!(text(&bad).contains("SIGTERM"), "{}", text(&bad));
    // What cannot be seen at work is no pass.
    assert!(text(&suite("false")).contains("skipped"));
    Ok(())
}
