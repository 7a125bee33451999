//! What others make of the reports: a browser of the page, Perfetto's own definitions of the trace.

mod made_up;
mod page;
mod trace;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use zombie_trace_tests::{binaries, runner};

fn main() -> ExitCode {
    runner::main(vec![("page", page::all()), ("trace", trace::all())])
}

/// Has a report written to a file.
#[track_caller]
fn report(recording: &Path, format: &str, arguments: &[&str], to: &Path) {
    let mut command = Command::new(binaries::zombie_trace());
    command.arg("report").arg(recording).args(["--format", format, "--output"]).arg(to).args(arguments);
    let output = command.stdin(Stdio::null()).output().expect("the tool can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{command:?}: {} {stderr}", output.status);
    assert_eq!(stderr, "", "{command:?}");
}
