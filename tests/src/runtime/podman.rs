//! Podman: no daemon, a conmon for each container.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::{Commands, Launched, Runtime, Shared, code, image, named, run, sandbox, tried};
use crate::{Skip, require};

static SHARED: Shared<Podman> = Shared::new();

/// Podman with runc.
#[derive(Debug)]
pub struct Podman {
    program: PathBuf,
    config: PathBuf,
}

impl Podman {
    fn new() -> Result<Self, Skip> {
        require::root()?;
        require::program("runc")?;
        let (program, image) = (require::program("podman")?, image::shared()?);
        let folder = sandbox::folder("podman");
        let config = folder.join("containers.conf");
        // Limits cannot be raised without CAP_SYS_RESOURCE, so they are not touched.
        let limits = "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=20000:20000\"]\n";
        std::fs::write(&config, limits).expect("the sandbox's own folder");
        let podman = Self { program, config };
        tried(podman.command().arg("import").arg(&image.layer).arg(image::APP))?;
        Ok(podman)
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("CONTAINERS_CONF", &self.config).env("TMPDIR", sandbox::folder("podman"));
        // Without the host's systemd, and with the runtime that accepts a hybrid host.
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
        command.args(["--runtime", "runc"]);
        command
    }
}

impl Runtime for Podman {
    fn shared() -> Result<Arc<Self>, Skip> {
        SHARED.get(Self::new)
    }

    fn start(&self, name: &str, command: &[&str], init: bool) -> Launched {
        let mut start = self.command();
        start.args(["run", "--detach", "--network", "none", "--name", name, "--cgroup-parent", &sandbox::cgroup()]);
        if init {
            start.arg("--init");
        }
        let id = run(start.arg(image::APP).args(command));
        let pid = run(self.command().args(["inspect", "--format", "{{.State.Pid}}", &id]));
        Launched { identity: named("podman", &id, name), pid: pid.parse().expect("a pid"), id }
    }

    fn exec(&self, id: &str, command: &[&str]) -> i32 {
        code(&mut self.exec_line(id, command))
    }

    fn stop(&self, id: &str, grace: Duration) {
        run(&mut self.stop_line(id, u32::try_from(grace.as_secs()).expect("a short grace")));
    }

    fn remove(&self, id: &str) {
        run(self.command().args(["rm", "--force", "--time", "0", id]));
    }

    fn stopper(&self) -> &'static [&'static str] {
        &["podman"]
    }

    fn parent_of_execs(&self) -> &'static str {
        "conmon"
    }
}

impl Commands for Podman {
    fn run_line(&self, name: &str, command: &[&str]) -> Command {
        let mut line = self.command();
        line.args(["run", "--rm", "--network", "none", "--name", name, "--cgroup-parent", &sandbox::cgroup()]);
        line.arg(image::APP).args(command);
        line
    }

    fn exec_line(&self, id: &str, command: &[&str]) -> Command {
        let mut line = self.command();
        line.args(["exec", id]).args(command);
        line
    }

    fn stop_line(&self, id: &str, seconds: u32) -> Command {
        let mut line = self.command();
        line.args(["stop", "--time", &seconds.to_string(), id]);
        line
    }
}
