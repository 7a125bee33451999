//! Whether a demonstration was traced: not that it ran, but that everything in it was found.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::system;

/// The arguments of the demonstration.
pub(super) const DEMO: [&str; 3] = ["demo", "--format", "json"];

/// What goes wrong in it.
const EXPECTED: [&str; 4] = [
    "signals/no-handler/SIGTERM/web",
    "stops/failed/SIGTERM/web",
    "zombies/init-does-not-reap/web",
    "zombies/never-waits/app",
];

/// Runs a command that shows the demonstration as JSON, and fails unless it finds all.
pub(super) fn demonstrated_by(command: &mut Command) -> Result<()> {
    found_by(command, &EXPECTED)
}

/// Runs a command that traces the whole machine meanwhile. What a PID 1 is said to do may depend on what else is there.
pub(super) fn traced_by(command: &mut Command) -> Result<()> {
    found_by(command, &[EXPECTED[0], EXPECTED[1], EXPECTED[3]])
}

fn found_by(command: &mut Command, expected: &[&str]) -> Result<()> {
    let output = command.output().with_context(|| format!("`{}` could not be started", system::display(command)))?;
    let text = String::from_utf8_lossy(&output.stdout);
    missing(&text, expected).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("`{}` ended with {}: {}{}", system::display(command), output.status, errors, text)
    })
}

fn missing(lines: &str, expected: &[&str]) -> Result<()> {
    let summary = lines.lines().rev().find_map(|line| {
        let value: Value = serde_json::from_str(line).ok()?;
        (value["type"] == "summary").then_some(value)
    });
    let summary = summary.context("the demonstration has no summary")?;
    let found: Vec<_> = summary["findings"].as_array().into_iter().flatten().map(|it| &it["id"]).collect();
    for id in expected {
        if !found.iter().any(|it| *it == id) {
            bail!("the demonstration did not find {id}, but {found:?}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_finding_less_is_no_demonstration() {
        let summary = |ids: &[&str]| {
            let findings: Vec<_> = ids.iter().map(|id| serde_json::json!({"id": id})).collect();
            serde_json::json!({"type": "summary", "findings": findings}).to_string()
        };
        missing(&format!("no JSON\n{{\"type\": \"zombie\"}}\n{}\n", summary(&EXPECTED)), &EXPECTED).unwrap();
        for without in EXPECTED {
            let ids: Vec<_> = EXPECTED.iter().copied().filter(|id| *id != without).collect();
            let error = missing(&summary(&ids), &EXPECTED).unwrap_err().to_string();
            assert!(error.contains(without), "{error}");
        }
        assert!(missing("{\"type\": \"zombie\"}\n", &EXPECTED).is_err());
    }
}
