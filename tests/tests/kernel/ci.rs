//! The examples for CI systems: each fails over a leak, and passes over the mended program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Skip, TestResult, binaries, require, tests};

use crate::checking::text;

pub(crate) fn all() -> Vec<Test> {
    tests![
        the_plugin_for_pytest_fails_the_module_that_leaks,
        the_plugin_for_pytest_runs_tests_under_check,
        the_wrapper_writes_junit_and_fails_over_a_leak,
        the_github_action_fails_over_a_leak_and_passes_over_the_mended_program,
        the_gitlab_component_fails_over_a_leak_and_passes_over_the_mended_program,
        all_examples_are_read_by_parsers_of_others,
    ]
}

/// A child dies below a program that waits for none. The mended one waits.
const LEAK: &str = "sleep 0.1 & exec sleep 8";
const MENDED: &str = "sleep 0.1 & wait; exec sleep 1";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../zombie-trace/ci").canonicalize().expect("it is in the repository")
}

fn scratch() -> TempDir {
    TempDir::new().expect("there is room for a folder")
}

/// Runs pytest with the plugin over a module that starts this script, and goes on when it has run for a while.
fn pytest(script: &str, options: &[&str]) -> Result<Output, Skip> {
    let python = require::python_with("pytest")?;
    let scratch = scratch();
    let module = format!(
        "import subprocess, time\n\ndef test_a_service():\n    service = subprocess.Popen(['sh', '-c', {script:?}])\n    \
         for _ in range(100):\n        if service.poll() is not None:\n            break\n        time.sleep(0.02)\n"
    );
    std::fs::write(scratch.path().join("test_service.py"), module).expect("the folder is ours");
    let mut command = Command::new(python);
    command.args(["-m", "pytest", "-p", "pytest_zombie_trace", "-p", "no:cacheprovider"]).args(options);
    command.env("PYTHONPATH", folder()).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("ZOMBIE_TRACE", binaries::zombie_trace()).current_dir(scratch.path());
    Ok(command.output().expect("python can be started"))
}

fn the_plugin_for_pytest_fails_the_module_that_leaks() -> TestResult {
    require::root()?;
    let bad = pytest(LEAK, &[])?;
    assert_eq!(bad.status.code(), Some(1), "{}", text(&bad));
    assert!(text(&bad).contains("zombies are left:") && text(&bad).contains("sleep 8"), "{}", text(&bad));
    let good = pytest(MENDED, &[])?;
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    assert!(text(&good).contains("1 passed"), "{}", text(&good));
    let off = pytest(LEAK, &["--zombies", "off"])?;
    assert_eq!(off.status.code(), Some(0), "{}", text(&off));
    Ok(())
}

fn the_plugin_for_pytest_runs_tests_under_check() -> TestResult {
    require::tracing()?;
    let options = ["--zombies", "check", "--zombies-options", "--min-age 300ms --wait-for-daemons 30s"];
    let bad = pytest(LEAK, &options)?;
    assert_eq!(bad.status.code(), Some(1), "{}", text(&bad));
    assert!(text(&bad).contains("never-waits"), "{}", text(&bad));
    // One that pytest waits for, and so leaves nothing.
    let good = pytest("sleep 0.1 & wait", &options)?;
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    assert!(text(&good).contains("1 passed"), "{}", text(&good));
    Ok(())
}

fn the_wrapper_writes_junit_and_fails_over_a_leak() -> TestResult {
    require::tracing()?;
    let scratch = scratch();
    let report = scratch.path().join("zombies.xml");
    let wrapped = |script: &str| {
        let mut command = Command::new(folder().join("zombie-junit"));
        command.arg(&report).args(["sh", "-c", script]).env("ZOMBIE_TRACE", binaries::zombie_trace());
        command.output().expect("the wrapper can be started")
    };
    let junit = || std::fs::read_to_string(&report).expect("the wrapper has written it");
    let bad = wrapped(LEAK);
    assert_eq!(bad.status.code(), Some(1), "{}", text(&bad));
    assert!(junit().contains("<failure"), "{}", junit());
    let good = wrapped(MENDED);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    assert!(junit().contains("<testcase") && !junit().contains("<failure"), "{}", junit());
    assert_eq!(Command::new(folder().join("zombie-junit")).output().expect("it can be started").status.code(), Some(2));
    Ok(())
}

/// Runs the shell steps of a file with these inputs, in a folder of their own.
fn steps(file: &str, inputs: &[(&str, &str)], scratch: &Path) -> Result<Output, Skip> {
    let python = require::python_with("yaml")?;
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/run_steps.py")).arg(folder().join(file));
    command.args(inputs.iter().map(|(name, value)| format!("{name}={value}")));
    command.current_dir(scratch).env("RUNNER_TEMP", scratch);
    command.env("GITHUB_PATH", scratch.join("path")).env("GITHUB_STEP_SUMMARY", scratch.join("summary"));
    Ok(command.output().expect("python can be started"))
}

/// The program as a release has it.
fn release(scratch: &Path) -> String {
    let archive = scratch.join("release.tar.gz");
    let program = binaries::zombie_trace();
    let parent = program.parent().expect("it is in a folder");
    let name = program.file_name().expect("it has a name");
    let made = Command::new("tar").arg("-C").arg(parent).arg("-czf").arg(&archive).arg(name).status();
    assert!(made.expect("tar can be started").success());
    archive.to_string_lossy().into_owned()
}

fn the_github_action_fails_over_a_leak_and_passes_over_the_mended_program() -> TestResult {
    require::tracing()?;
    let scratch = scratch();
    let program = binaries::zombie_trace().to_string_lossy().into_owned();
    let run = |more: &[(&str, &str)]| {
        let all = [&[("zombie-trace", program.as_str())][..], more].concat();
        steps("github-action/action.yml", &all, scratch.path())
    };
    let bad = run(&[("run", LEAK)])?;
    assert_eq!(bad.status.code(), Some(1), "{}", text(&bad));
    assert!(text(&bad).contains("::error "), "{}", text(&bad));
    let read = |path: &str| std::fs::read_to_string(scratch.path().join(path)).unwrap_or_default();
    assert!(read("summary").contains("zombie-trace check"), "{}", text(&bad));
    assert!(read("zombie-trace/results/check.sarif").contains("never-waits"), "{}", text(&bad));
    assert!(read("path").contains("zombie-trace/bin"));
    let good = run(&[("run", MENDED)])?;
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    let wrong = run(&[("run", "true"), ("sha256", &"0".repeat(64))])?;
    assert_ne!(wrong.status.code(), Some(0), "another program is not run: {}", text(&wrong));
    let image = run(&[("image", "./no-such-image.tar")])?;
    assert_eq!(image.status.code(), Some(3), "{}", text(&image));
    Ok(())
}

fn the_gitlab_component_fails_over_a_leak_and_passes_over_the_mended_program() -> TestResult {
    require::tracing()?;
    let scratch = scratch();
    let archive = release(scratch.path());
    let run = |script: &str| {
        let inputs = [("zombie-trace", archive.as_str()), ("run", script)];
        steps("gitlab-component/template.yml", &inputs, scratch.path())
    };
    let bad = run(LEAK)?;
    assert_eq!(bad.status.code(), Some(1), "{}", text(&bad));
    let junit = std::fs::read_to_string(scratch.path().join("zombies.xml")).expect("it was written");
    assert!(junit.contains("<failure"), "{junit}");
    let good = run(MENDED)?;
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    Ok(())
}

fn all_examples_are_read_by_parsers_of_others() -> TestResult {
    let python = require::python_with("yaml")?;
    let script = "import ast, sys, yaml
for path in sys.argv[1:]:
    text = open(path).read()
    if path.endswith('.yml'):
        assert all(isinstance(it, dict) for it in yaml.safe_load_all(text)), path
    else:
        ast.parse(text)
    print('read', path)";
    let names: Vec<PathBuf> = walk(&folder());
    let files = names.iter().filter(|path| path.extension().is_some_and(|end| end == "yml" || end == "py"));
    let files: Vec<&PathBuf> = files.collect();
    assert!(files.len() >= 8, "{files:?}");
    let output = Command::new(python).args(["-c", script]).args(&files).output().expect("python can be started");
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(text(&output).matches("read ").count(), files.len(), "{}", text(&output));
    // What names an example is there.
    let readme = std::fs::read_to_string(folder().join("README.md")).expect("it is in the repository");
    for path in names.iter().filter(|path| path.file_name().is_some_and(|name| name != "README.md")) {
        let name = path.strip_prefix(folder()).expect("it is in the folder").to_string_lossy().into_owned();
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in the table");
    }
    Ok(())
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("it is in the repository").flatten().map(|entry| entry.path());
    // What Python leaves behind is no example.
    let entries = entries.filter(|path| !path.ends_with("__pycache__"));
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
