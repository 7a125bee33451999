//! How the programs are loaded on this kernel: as well as it allows, since what they fall back to is right, but slow.

use std::fs;
use std::process::Command;

use serde_json::Value;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, binaries, require, tests};

pub(crate) fn all() -> Vec<Test> {
    tests![fields_are_plain_loads_where_the_verifier_knows_the_types_of_tasks]
}

fn fields_are_plain_loads_where_the_verifier_knows_the_types_of_tasks() -> TestResult {
    require::tracing()?;
    let symbols = fs::read_to_string("/proc/kallsyms").expect("every kernel lists its symbols");
    let has_typed_tasks = symbols.lines().any(|line| line.contains(" bpf_get_current_task_btf"));
    let output =
        Command::new(binaries::zombie_trace()).args(["doctor", "--format", "json"]).output().expect("a doctor");
    let said: Value = serde_json::from_slice(&output.stdout).expect("doctor prints JSON");
    let probes = said["probes"].as_array().expect("doctor lists the probes");
    let hooks: Vec<&str> = probes.iter().filter_map(|probe| probe["hook"].as_str()).collect();
    // It names the hooks of the programs that this kernel's verifier took.
    for name in ["signal_generate", "sched_process_free"] {
        let typed = hooks.contains(&format!("tp_btf/{name}").as_str());
        assert_eq!(typed, has_typed_tasks, "{hooks:?}: {}", reason());
    }
    Ok(())
}

/// What the loader says of the programs that it did not get loaded.
fn reason() -> String {
    let mut command = Command::new(binaries::zombie_trace());
    let output = command.args(["check", "--", "true"]).env("RUST_LOG", "zombie_trace=debug").output().expect("a check");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.lines().filter(|line| line.contains("by a helper")).collect()
}
