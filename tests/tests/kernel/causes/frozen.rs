//! A pid namespace that cannot end because a task in it is frozen.

use std::fs::{create_dir, read_to_string, remove_dir, write};
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zombie_trace_tests::{Actor, TestResult, clock, process, require};

use super::{about, says, soon, tracer};

/// A cgroup of the version 1 freezer, thawed and removed when the value is dropped.
pub(crate) struct Freezer(PathBuf);

impl Freezer {
    /// Takes this process in and freezes it; there is one for each process.
    pub(crate) fn of(pid: i32) -> Self {
        let freezer = Self(PathBuf::from(format!("/sys/fs/cgroup/freezer/zt-kernel-{pid}")));
        create_dir(&freezer.0).expect("the cgroup is ours");
        write(freezer.0.join("cgroup.procs"), pid.to_string()).expect("the process lives");
        write(freezer.0.join("freezer.state"), "FROZEN").expect("it can be frozen");
        let is_frozen = || read_to_string(freezer.0.join("freezer.state")).is_ok_and(|state| state.trim() == "FROZEN");
        assert!(process::eventually(clock::scaled(soon()), is_frozen), "it is frozen");
        freezer
    }

    pub(crate) fn name(&self) -> String {
        self.0.file_name().expect("it has a name").to_string_lossy().into_owned()
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = write(self.0.join("freezer.state"), "THAWED");
        let _ = process::eventually(clock::scaled(soon()), || remove_dir(&self.0).is_ok());
    }
}

pub(super) fn a_namespace_with_a_frozen_process_names_its_freezer() -> TestResult {
    require::tracing()?;
    require::file("/sys/fs/cgroup/freezer/cgroup.procs")?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["pidns-init", "--orphans", "0"]);
    let init = actor.line("init").pid();
    actor.line("ready");
    let children = || read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap_or_default();
    let child: i32 = children().split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("it has a child");
    let freezer = Freezer::of(child);
    kill(Pid::from_raw(init), Signal::SIGKILL).expect("the init is ours and lives");
    let stuck = tracer.expect("the init that cannot end", soon(), about("stuck", init));
    assert_eq!(stuck.cause(), Some("namespace-teardown-stuck"), "{stuck}");
    let held = format!("(pid {child}) is held by the frozen cgroup");
    says(&stuck, &[&held, &freezer.name(), "with SIGKILL pending"]);
    let advice = stuck.text("/advice").expect("there is advice");
    assert!(advice.contains("THAWED") && advice.contains(&freezer.name()), "{stuck}");
    Ok(())
}
