//! Filters and windows on a recording.

use serde_json::Value;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, tests};

use super::{fixture, json, run};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_pid_stands_for_its_descendants,
        names_and_namespaces_are_looked_for,
        a_window_leaves_out_what_is_not_in_it,
        moments_that_are_none_are_wrong_usage,
    ]
}

fn comms(report: &Value, table: &str, pointer: &str) -> Vec<String> {
    let rows = report[table].as_array().expect("a table");
    rows.iter().map(|row| row.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned()).collect()
}

fn parents(report: &Value) -> Vec<String> {
    comms(report, "parents", "/process/comm")
}

fn drops(report: &Value) -> Vec<String> {
    comms(report, "dropped_signals", "/target/comm")
}

fn a_pid_stands_for_its_descendants() -> TestResult {
    let whole = json(&[], &[&fixture()]);
    assert_eq!((parents(&whole), drops(&whole)), (vec!["app".to_owned()], vec!["web".to_owned()]));
    let pid = |pointer: &str| whole.pointer(pointer).expect("it is in the report").to_string();
    let app = json(&["--pid", &pid("/parents/0/process/pid")], &[&fixture()]);
    assert_eq!((parents(&app), drops(&app)), (vec!["app".to_owned()], vec![]));
    assert_eq!(app["zombies"], whole["zombies"]);
    // Who sent the signal is its PID 1's parent.
    let sender = json(&["--pid", &pid("/dropped_signals/0/senders/0/process/pid")], &[&fixture()]);
    assert_eq!((parents(&sender), drops(&sender)), (vec![], vec!["web".to_owned()]));
    let nobody = json(&["--pid", "1"], &[&fixture()]);
    assert_eq!((parents(&nobody), drops(&nobody)), (vec![], vec![]));
    assert_eq!(run(&["report", "--pid", "0"], &[&fixture()]).code, Some(2));
    Ok(())
}

fn names_and_namespaces_are_looked_for() -> TestResult {
    let whole = json(&[], &[&fixture()]);
    let web = json(&["--comm", "we*"], &[&fixture()]);
    assert_eq!((parents(&web), drops(&web)), (vec![], vec!["web".to_owned()]));
    let namespace = whole.pointer("/dropped_signals/0/target/pid_ns").expect("it is known").to_string();
    let inside = json(&["--pid-ns", &namespace], &[&fixture()]);
    assert_eq!((parents(&inside), drops(&inside)), (vec![], vec!["web".to_owned()]));
    for filter in [["--container", "c0ffee"], ["--cgroup", "/no/such/cgroup"]] {
        let none = json(&filter, &[&fixture()]);
        assert_eq!((parents(&none), drops(&none)), (vec![], vec![]), "{filter:?}");
    }
    let all = json(&["--cgroup", "/"], &[&fixture()]);
    assert_eq!(parents(&all), parents(&whole));
    Ok(())
}

fn a_window_leaves_out_what_is_not_in_it() -> TestResult {
    let whole = json(&[], &[&fixture()]);
    let sent = whole.pointer("/stops/0/sent").and_then(Value::as_str).expect("it is in the report");
    let second = format!("{}Z", sent.split_once('.').map_or(sent, |(second, _)| second));
    let before = json(&["--until", &second], &[&fixture()]);
    assert_eq!((drops(&before), before["stops"].as_array().map(Vec::len)), (vec![], Some(0)));
    let end = whole.pointer("/window/end").and_then(Value::as_str).expect("it is in the report");
    let after = json(&["--since", end], &[&fixture()]);
    assert_eq!(drops(&after), Vec::<String>::new());
    assert_eq!(after["zombies"].as_array().map(Vec::len), Some(3), "they are still there: {after}");
    // Before the boot, to begin with.
    let since = json(&["--since", "2000-01-01"], &[&fixture()]);
    assert_eq!(drops(&since), drops(&whole));
    // All of it was long ago.
    let now = json(&["--since", "-1min"], &[&fixture()]);
    assert_eq!(drops(&now), Vec::<String>::new());
    Ok(())
}

fn moments_that_are_none_are_wrong_usage() -> TestResult {
    for wrong in ["soon", "25:00", "2026-13-01", "10m"] {
        let said = run(&["report", "--since", wrong], &[&fixture()]);
        assert_eq!(said.code, Some(2), "{wrong}: {}", said.stderr);
        assert!(said.stderr.contains("--since") && said.stderr.contains("write"), "{wrong}: {}", said.stderr);
    }
    let said = run(&["report", "--since", "now", "--until", "-1h"], &[&fixture()]);
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(said.stderr.contains("is not before"), "{}", said.stderr);
    Ok(())
}
