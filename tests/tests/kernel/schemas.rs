//! What the tool prints while it traces is what the JSON Schemas that ship say.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use serde_json::Value;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, binaries, require, tests};

pub(crate) fn all() -> Vec<Test> {
    tests![the_demonstration_prints_what_the_schema_says]
}

/// Zombies, reaps, a dropped signal, a failed stop, and the summary.
fn the_demonstration_prints_what_the_schema_says() -> TestResult {
    require::tracing()?;
    require::no_confidential_lockdown()?;
    let schema: Value =
        serde_json::from_str(include_str!("../../../zombie-trace/docs/schema/live.json")).expect("it is JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let mut demo = Command::new(binaries::zombie_trace());
    let output =
        demo.args(["demo", "--format", "json"]).stdin(Stdio::null()).output().expect("the tool can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut kinds = BTreeSet::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let errors: Vec<String> = validator.iter_errors(&line).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{line}");
        kinds.extend(line["type"].as_str().map(str::to_owned));
    }
    for kind in ["zombie", "signal_dropped", "stop_failed", "summary"] {
        assert!(kinds.contains(kind), "the demonstration shows no {kind}: {kinds:?}");
    }
    Ok(())
}
