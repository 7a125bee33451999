//! `report --format perfetto`, read with the definitions that Perfetto itself publishes on PyPI.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, require, tests};

use super::{made_up, report};

pub(super) fn all() -> Vec<Test> {
    tests![a_trace_is_one_by_perfettos_own_definitions, a_trace_of_a_hundred_thousand_zombies_is_sound]
}

/// What Perfetto's definitions make of the trace of a story.
fn read(story: made_up::Story) -> Result<Value, zombie_trace_tests::Skip> {
    let python = require::python_with("perfetto")?;
    let folder = TempDir::new().expect("room for a folder");
    let file = folder.path().join("report.pftrace");
    let recording = story.record(folder.path());
    report(&recording, "perfetto", &[], &file);
    let as_json = folder.path().join("report.json");
    report(&recording, "json", &[], &as_json);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/viewers/read_trace.py");
    let output = Command::new(python).arg(script).arg(&file).output().expect("Python can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let mut facts: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    assert_eq!(facts["complaints"], serde_json::json!([]));
    assert_eq!(facts["clocks"], 1);
    let same = std::fs::read(&as_json).expect("it was written");
    facts["report"] = serde_json::from_slice(&same).expect("one report is one object");
    Ok(facts)
}

fn list<'a>(facts: &'a Value, name: &str) -> &'a [Value] {
    facts[name].as_array().unwrap_or_else(|| panic!("no {name}"))
}

fn a_trace_is_one_by_perfettos_own_definitions() -> TestResult {
    let story = made_up::Story { parents: 8, zombies: 200, left_every: 10, every_ns: 100_000_000 };
    let facts = read(story)?;
    assert_eq!(facts["roots"], serde_json::json!(["<b>made-up</b>, Linux 6.1"]));
    let slices = list(&facts, "slices");
    assert_eq!(slices.len(), 200);
    let left = slices.iter().filter(|slice| slice["precision"] == "still-there").count();
    assert_eq!(left, story.left() as usize);
    for slice in slices {
        // The least that the story lets one wait.
        assert!(slice["length_ns"].as_u64().is_some_and(|length| length >= 1_000_000_000), "{slice}");
        assert!(made_up::NAMES.iter().any(|name| slice["name"] == *name), "{slice}");
        let parent = slice["parent"].as_str().expect("a name");
        assert!(parent.starts_with(slice["name"].as_str().expect("a name")) && parent.ends_with(')'), "{slice}");
        assert_eq!(slice["exit"], "exit 0");
    }
    let verdicts = list(&facts, "instants")
        .iter()
        .filter(|it| it["name"].as_str().is_some_and(|name| name.starts_with("verdict: ")));
    assert_eq!(verdicts.count(), list(&facts["report"], "parents").len());
    let counters = facts["counters"].as_object().expect("counters by parent");
    assert_eq!(counters.len(), 8);
    let at_the_end: i64 = counters.values().filter_map(|it| it.as_array()?.last()?.as_i64()).sum();
    assert_eq!(at_the_end, i64::from(story.left()));
    Ok(())
}

fn a_trace_of_a_hundred_thousand_zombies_is_sound() -> TestResult {
    let story = made_up::Story { parents: 400, zombies: 100_000, left_every: 50, every_ns: 10_000_000 };
    let facts = read(story)?;
    assert_eq!(list(&facts, "slices").len(), 100_000);
    Ok(())
}
