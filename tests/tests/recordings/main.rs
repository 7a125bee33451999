//! What `report` and `export` make of recordings that are kept here, and of what may become of one. Only the tests of
//! `record` on a terminal trace.

mod damage;
mod filters;
mod progress;
mod tables;
mod unit;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

use zombie_trace_tests::{binaries, runner};

fn main() -> ExitCode {
    runner::main(vec![
        ("damage", damage::all()),
        ("filters", filters::all()),
        ("progress", progress::all()),
        ("tables", tables::all()),
        ("unit", unit::all()),
    ])
}

/// A recording of format 1: an application that reaps one of its children late and three never, and a PID 1 that drops
/// SIGTERM and is killed. Trimmed by the example `trim_recording`.
fn fixture() -> PathBuf {
    fixtures().join("format-1.zt")
}

/// The same on another host.
fn other_host() -> PathBuf {
    fixtures().join("format-1-node2.zt")
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings")
}

/// What the tool said and how it ended.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

fn command(arguments: &[&str], files: &[&Path]) -> Command {
    let mut command = Command::new(binaries::zombie_trace());
    command.args(arguments).args(files).stdin(Stdio::null()).env("TZ", "UTC");
    command
}

fn run(arguments: &[&str], files: &[&Path]) -> Said {
    command(arguments, files).output().expect("the tool can be started").into()
}

fn json(arguments: &[&str], files: &[&Path]) -> serde_json::Value {
    let said = run(&[&["report", "--format", "json", "--min-age", "500ms"], arguments].concat(), files);
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", said.stdout, said.stderr))
}
