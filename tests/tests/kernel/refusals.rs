//! Where it cannot trace, the tool says so, says what to do, and exits with 3: it never pretends to have measured.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, binaries, require, tests};

pub(crate) fn all() -> Vec<Test> {
    tests![
        without_privilege_it_refuses,
        without_type_information_it_refuses,
        without_tracefs_it_refuses,
        under_confidential_lockdown_it_refuses,
    ]
}

const UNMEASURED: i32 = 3;

/// Each command that measures, made to change something before it starts.
fn all_refuse(words: &[&str], change: impl Fn(&mut Command)) {
    let copy = binaries::PublicCopy::of(binaries::zombie_trace());
    let recording = format!("{}.ztr", copy.path().display());
    for arguments in [
        &["live", "--for", "1s", "--format", "json"][..],
        &["record", "--for", "1s", "-o", &recording],
        &["check", "--", "true"],
        &["init-check", "--", "true"],
    ] {
        let mut command = Command::new(copy.path());
        command.args(arguments).stdin(Stdio::null());
        change(&mut command);
        let output = command.output().expect("the copy can be started");
        let said = text(&output);
        assert_eq!(output.status.code(), Some(UNMEASURED), "{arguments:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{arguments:?} does not speak of {word:?}: {said}");
        }
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        assert!(!Path::new(&recording).exists(), "{arguments:?} left {recording} behind");
    }
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Covers a folder with an empty file system, for the command alone.
fn without(command: &mut Command, folder: &'static str) {
    let hide = move || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made, and nothing is allocated but paths on the stack.
    unsafe { command.pre_exec(hide) };
}

fn without_privilege_it_refuses() -> TestResult {
    require::root()?;
    const NOBODY: u32 = 65_534;
    all_refuse(&["CAP_BPF"], |command| {
        command.uid(NOBODY).gid(NOBODY);
    });
    Ok(())
}

fn without_type_information_it_refuses() -> TestResult {
    require::tracing()?;
    require::no_confidential_lockdown()?;
    all_refuse(&["CONFIG_DEBUG_INFO_BTF"], |command| without(command, "/sys/kernel/btf"));
    Ok(())
}

fn without_tracefs_it_refuses() -> TestResult {
    require::tracing()?;
    require::no_confidential_lockdown()?;
    all_refuse(&["mount -t tracefs"], |command| without(command, "/sys/kernel/tracing"));
    Ok(())
}

fn under_confidential_lockdown_it_refuses() -> TestResult {
    require::root()?;
    require::confidential_lockdown()?;
    all_refuse(&["lockdown", "confidentiality"], |_| ());
    Ok(())
}
