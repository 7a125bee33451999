//! `export`, and what the tools of fleets make of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, require, tests};

use super::{Said, command, fixture, other_host, run};

pub(crate) fn all() -> Vec<Test> {
    tests![
        duckdb_and_spark_answer_alike_over_two_hosts,
        csv_has_a_line_of_names_and_a_row_for_each_zombie,
        an_export_again_needs_leave_to_replace,
        a_full_disk_leaves_no_half_table,
        the_columns_are_told,
    ]
}

const NAMES: [&str; 9] =
    ["dropped_signals", "ended", "findings", "fork_failures", "parents", "reports", "stop_path", "stops", "zombies"];

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> =
        entries.map(|it| it.expect("it can be read").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn export(folder: &Path, arguments: &[&str], files: &[&Path]) -> Said {
    let folder = folder.to_string_lossy();
    run(&[&["export", "--min-age", "500ms", "-o", folder.as_ref()], arguments].concat(), files)
}

/// The interpreter with the packages of `requirements.txt` and Java; where it is missing the test is skipped, but not in the CI.
fn python() -> Result<PathBuf, zombie_trace_tests::Skip> {
    let python = require::program("java").and_then(|_| require::python_with("duckdb, pyspark"));
    assert!(python.is_ok() || std::env::var_os("CI").is_none(), "in the CI they must be there: {python:?}");
    python
}

fn duckdb_and_spark_answer_alike_over_two_hosts() -> TestResult {
    let python = python()?;
    let folder = TempDir::new().expect("there is room for a folder");
    let tables = folder.path().join("tables");
    let said = export(&tables, &[], &[&fixture(), &other_host()]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(names(&tables), NAMES);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/query.py");
    let output = Command::new(python)
        .arg(script)
        .arg(&tables)
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .current_dir(folder.path())
        .output()
        .expect("the interpreter can be started");
    let said: Said = output.into();
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let answers: serde_json::Value =
        serde_json::from_str(said.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {}", said.stdout));
    assert_eq!(answers["duckdb"], answers["spark"]);
    // Three that are there and one that is gone on each host, of the same parent.
    let of = |host: &str| serde_json::json!([host, "app", 4, 3, 1, "no-handler", "failed"]);
    assert_eq!(answers["duckdb"], serde_json::json!([of("node1"), of("node2")]));
    Ok(())
}

fn csv_has_a_line_of_names_and_a_row_for_each_zombie() -> TestResult {
    let folder = TempDir::new().expect("there is room for a folder");
    let said = export(folder.path(), &["--format", "csv"], &[&fixture()]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let zombies = folder.path().join("zombies");
    let text = fs::read_to_string(zombies.join(&names(&zombies)[0])).expect("it was written");
    assert!(text.starts_with("host,boot_id,began,ended,"), "{text}");
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.lines().skip(1).all(|line| line.starts_with("node1,")), "{text}");
    Ok(())
}

fn an_export_again_needs_leave_to_replace() -> TestResult {
    let folder = TempDir::new().expect("there is room for a folder");
    assert_eq!(export(folder.path(), &[], &[&fixture()]).code, Some(0));
    let said = export(folder.path(), &[], &[&fixture()]);
    assert_eq!(said.code, Some(3));
    assert!(said.stderr.contains("already exists") && said.stderr.contains("--overwrite"), "{}", said.stderr);
    assert_eq!(export(folder.path(), &["--overwrite"], &[&fixture()]).code, Some(0));
    assert_eq!(names(&folder.path().join("zombies")).len(), 1);
    assert_eq!(run(&["export"], &[&fixture()]).code, Some(2));
    Ok(())
}

fn a_full_disk_leaves_no_half_table() -> TestResult {
    require::root()?;
    let folder = TempDir::new().expect("there is room for a folder");
    // The names of what is left are told from inside: outside of the mount namespace the disk is not seen.
    let script = "mount -t tmpfs -o size=16k none \"$0\" && \"$@\"; code=$?; find \"$0\" -type f >&2; exit $code";
    let tool = command(&["export", "--min-age", "500ms", "-o"], &[folder.path(), &fixture()]);
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", script]).arg(folder.path()).arg(tool.get_program()).args(tool.get_args());
    let said: Said = unshare.output().expect("unshare is a part of every Linux").into();
    assert_eq!(said.code, Some(3), "{}", said.stderr);
    assert!(said.stderr.contains("No space left on device"), "{}", said.stderr);
    assert!(!said.stderr.contains("\n/") && !said.stderr.starts_with('/'), "files are left: {}", said.stderr);
    Ok(())
}

fn the_columns_are_told() -> TestResult {
    let said = run(&["export", "--columns"], &[]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    for name in NAMES {
        assert!(said.stdout.contains(&format!("## {name}\n")), "{name}: {}", said.stdout);
    }
    Ok(())
}
