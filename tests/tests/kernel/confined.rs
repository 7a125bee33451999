//! The tool in a container that has what `docs/security.md` says and no more: four capabilities, the host's pids, tracefs,
//! and the system calls of `deploy/seccomp.json`. runc itself is what Docker, containerd and CRI-O start containers with.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Skip, TestResult, binaries, require, tests};

use super::privileges::Paranoid;

pub(crate) fn all() -> Vec<Test> {
    tests![
        it_traces_with_the_capabilities_and_system_calls_of_the_documentation,
        the_profile_denies_what_it_does_not_name
    ]
}

const CAPABILITIES: [&str; 4] = ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"];

/// The profile as runc takes it: for the architecture of the machine.
fn seccomp() -> Value {
    let profile: Value =
        serde_json::from_str(include_str!("../../../zombie-trace/deploy/seccomp.json")).expect("the profile is JSON");
    let architecture = if cfg!(target_arch = "x86_64") { "SCMP_ARCH_X86_64" } else { "SCMP_ARCH_AARCH64" };
    let named = profile["archMap"].as_array().expect("a list").iter().any(|it| it["architecture"] == architecture);
    assert!(named, "the profile has no {architecture}");
    json!({
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": [architecture],
        "syscalls": profile["syscalls"],
    })
}

/// Runs a command in a container without a pid namespace; the machine's libraries are there, and nothing to write to.
fn run(id: &str, command: &[&str]) -> Result<Output, Skip> {
    let runc = require::program("runc")?;
    let folder = tempfile::TempDir::new().expect("the temporary folder can be written");
    fs::create_dir(folder.path().join("root")).expect("it can be written");
    let bind = |at: &str, from: &Path| json!({"destination": at, "type": "bind", "source": from, "options": ["rbind", "ro", "nosuid"]});
    let shared = ["/lib", "/lib64", "/usr", "/bin", "/sys", "/etc"];
    let mut mounts: Vec<Value> = vec![
        json!({"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}),
        bind("/zombie-trace", binaries::zombie_trace()),
    ];
    mounts.extend(shared.into_iter().filter(|at| Path::new(at).exists()).map(|at| bind(at, Path::new(at))));
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": command, "env": ["PATH=/bin:/usr/bin"],
            "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
            "noNewPrivileges": true,
        },
        "root": {"path": "root"},
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}],
            "resources": {"devices": [{"allow": true, "access": "rwm"}]},
            "seccomp": seccomp(),
        },
    });
    fs::write(folder.path().join("config.json"), config.to_string()).expect("it can be written");
    let mut start = Command::new(runc);
    let id = format!("zt-{id}-{}", std::process::id());
    start.args(["run", "--bundle"]).arg(folder.path()).arg(&id).stdin(Stdio::null());
    Ok(start.output().expect("runc can be started"))
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn it_traces_with_the_capabilities_and_system_calls_of_the_documentation() -> TestResult {
    require::tracing()?;
    require::no_confidential_lockdown()?;
    Paranoid::require_usual()?;
    let output = run("doctor", &["/zombie-trace", "doctor", "--format", "json"])?;
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    assert_ne!(report["verdict"], "failed", "{report}");
    let checks = report["checks"].as_array().expect("there are checks");
    let privileges = checks.iter().find(|check| check["name"] == "privileges").expect("one is on privileges");
    assert_eq!(privileges["status"], "ok", "{privileges}");
    assert!(privileges["detail"].as_str().is_some_and(|it| it.contains("seccomp")), "no filter: {privileges}");

    let output = run("live", &["/zombie-trace", "live", "--for", "1s", "--min-age", "60s", "--format", "json"])?;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = lines.lines().last().unwrap_or_else(|| panic!("{}", said(&output)));
    let summary: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    assert_eq!(summary["type"], "summary", "{summary}");
    assert_eq!(String::from_utf8_lossy(&output.stderr).trim(), "tracing", "something was refused");

    let output = run("scan", &["/zombie-trace", "scan", "--format", "json"])?;
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", said(&output));
    Ok(())
}

/// Else the test before would show nothing.
fn the_profile_denies_what_it_does_not_name() -> TestResult {
    require::root()?;
    let output = run("denied", &["unshare", "--user", "true"])?;
    assert!(!output.status.success() && said(&output).contains("unshare"), "{}", said(&output));
    Ok(())
}
