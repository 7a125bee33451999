//! Docker Engine: dockerd with the containerd that it starts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::daemon::Daemon;
use super::{Commands, Launched, Runtime, Shared, code, image, named, run, sandbox, tried};
use crate::{Skip, require};

pub(super) static SHARED: Shared<Docker> = Shared::new();

pub(super) const SOCKET: &str = "unix:///run/zt-docker.sock";

/// The test's own dockerd, and its client.
#[derive(Debug)]
pub struct Docker {
    client: PathBuf,
    _daemon: Daemon,
}

impl Docker {
    fn new() -> Result<Self, Skip> {
        require::root()?;
        let (program, image) = (require::program("dockerd")?, image::shared()?);
        // The client of the same package: others on the PATH may speak to newer daemons only.
        let packaged = Path::new("/usr/bin/docker");
        let client = if packaged.exists() { packaged.to_owned() } else { require::program("docker")? };
        let mut command = Command::new(program);
        command.args(["--host", SOCKET, "--exec-root", "/run/zt-docker", "--pidfile", "/run/zt-docker.pid"]);
        // The network of the host is left alone.
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]);
        command.args(["--storage-driver", "vfs"]);
        let is_up = || tried(docker(&client).arg("version")).is_ok();
        let daemon = Daemon::start(command, &sandbox::folder("docker").join("log"), is_up)?;
        tried(docker(&client).arg("import").arg(&image.layer).arg(image::APP))?;
        Ok(Self { client, _daemon: daemon })
    }
}

impl Docker {
    /// The client, for this daemon.
    pub(super) fn command(&self) -> Command {
        docker(&self.client)
    }
}

fn docker(client: &Path) -> Command {
    let mut command = Command::new(client);
    command.args(["--host", SOCKET]).env("DOCKER_CONFIG", sandbox::folder("docker"));
    command
}

impl Runtime for Docker {
    fn shared() -> Result<Arc<Self>, Skip> {
        SHARED.get(Self::new)
    }

    fn start(&self, name: &str, command: &[&str], init: bool) -> Launched {
        let mut start = docker(&self.client);
        start.args(["run", "--detach", "--network", "none", "--name", name]);
        start.args(["--cgroup-parent", &format!("{}/docker", sandbox::cgroup())]);
        if init {
            start.arg("--init");
        }
        let id = run(start.arg(image::APP).args(command));
        let pid = run(docker(&self.client).args(["inspect", "--format", "{{.State.Pid}}", &id]));
        Launched { identity: named("docker", &id, name), pid: pid.parse().expect("a pid"), id }
    }

    fn exec(&self, id: &str, command: &[&str]) -> i32 {
        code(&mut self.exec_line(id, command))
    }

    fn stop(&self, id: &str, grace: Duration) {
        run(&mut self.stop_line(id, u32::try_from(grace.as_secs()).expect("a short grace")));
    }

    fn remove(&self, id: &str) {
        run(docker(&self.client).args(["rm", "--force", id]));
    }

    fn stopper(&self) -> &'static [&'static str] {
        &["containerd-shim"]
    }

    fn parent_of_execs(&self) -> &'static str {
        "containerd-shim"
    }
}

impl Commands for Docker {
    fn run_line(&self, name: &str, command: &[&str]) -> Command {
        let mut line = docker(&self.client);
        line.args(["run", "--rm", "--network", "none", "--name", name]);
        line.args(["--cgroup-parent", &format!("{}/docker", sandbox::cgroup()), image::APP]).args(command);
        line
    }

    fn exec_line(&self, id: &str, command: &[&str]) -> Command {
        let mut line = docker(&self.client);
        line.args(["exec", id]).args(command);
        line
    }

    fn stop_line(&self, id: &str, seconds: u32) -> Command {
        let mut line = docker(&self.client);
        line.args(["stop", "--time", &seconds.to_string(), id]);
        line
    }
}
