//! The systemd unit of the flight recorder.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, binaries, require, tests};

pub(crate) fn all() -> Vec<Test> {
    tests![systemd_has_nothing_to_say_against_the_unit]
}

fn systemd_has_nothing_to_say_against_the_unit() -> TestResult {
    let analyze = require::program("systemd-analyze")?;
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zombie-trace/deploy/zombie-trace-record.service");
    let text = fs::read_to_string(unit).expect("the unit is there");
    // It is not installed here.
    let text = text.replace("/usr/bin/zombie-trace", &binaries::zombie_trace().to_string_lossy());
    let folder = TempDir::new().expect("there is room for a folder");
    let copy = folder.path().join("zombie-trace-record.service");
    fs::write(&copy, text).expect("the folder is ours");
    let output = Command::new(analyze).args(["verify", "--man=no"]).arg(&copy).output().expect("it can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let of_ours: Vec<&str> = said.lines().filter(|line| line.contains("zombie-trace-record")).collect();
    assert!(output.status.success() && of_ours.is_empty(), "{said}");
    Ok(())
}
