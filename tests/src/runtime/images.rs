//! Images that tests make, run as they are by a client.

use std::path::Path;
use std::process::Command;

use super::{Commands, Docker, Podman, docker, image, run, sandbox};

/// A client that makes images and runs them as they are.
pub trait Images: Commands {
    /// The client, with what finds this test's own store.
    fn client(&self) -> Command;

    /// What the client must find in its environment to use the same store if others start it.
    fn environment(&self) -> Vec<(&'static str, String)>;

    /// The cgroup of its containers.
    fn cgroup(&self) -> String;

    /// Whether an import takes STOPSIGNAL: Docker's does not, but an image that is made of a container keeps that of the
    /// container.
    fn imports_stop_signal(&self) -> bool;
}

impl Images for Docker {
    fn client(&self) -> Command {
        self.command()
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        // The client of the daemon's package comes first.
        let path = std::env::var("PATH").unwrap_or_default();
        vec![("DOCKER_HOST", docker::SOCKET.to_owned()), ("PATH", format!("/usr/bin:{path}"))]
    }

    fn cgroup(&self) -> String {
        format!("{}/docker", sandbox::cgroup())
    }

    fn imports_stop_signal(&self) -> bool {
        false
    }
}

impl Images for Podman {
    fn client(&self) -> Command {
        self.command()
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let folder = sandbox::folder("podman").to_string_lossy().into_owned();
        vec![("STORAGE_DRIVER", "vfs".to_owned()), ("TMPDIR", folder)]
    }

    fn cgroup(&self) -> String {
        sandbox::cgroup()
    }

    fn imports_stop_signal(&self) -> bool {
        true
    }
}

const STOP_SIGNAL: &str = "STOPSIGNAL ";

/// An image in a client's store; removed on drop.
#[derive(Debug)]
pub struct StoredImage<'a, R: Images> {
    runtime: &'a R,
    /// Its name.
    pub name: String,
}

impl<'a, R: Images> StoredImage<'a, R> {
    /// Makes one of the files below a folder, with busybox's, and of these instructions of a Dockerfile.
    pub fn make(runtime: &'a R, name: &str, files: &Path, instructions: &[&str]) -> Self {
        let shared = image::shared().expect("the runtime has been started with it");
        let layer = sandbox::folder("layers").join(format!("{name}.tar"));
        run(Command::new("cp").arg("-a").arg(shared.root.join(".")).arg(files));
        run(Command::new("tar").arg("-C").arg(files).arg("-cf").arg(&layer).arg("."));
        let is_imported = |it: &str| runtime.imports_stop_signal() || !it.starts_with(STOP_SIGNAL);
        let mut import = runtime.client();
        import.arg("import");
        for instruction in instructions.iter().filter(|it| is_imported(it)) {
            import.args(["--change", instruction]);
        }
        let container = format!("zt-{name}-image");
        let name = format!("zt-{name}:1");
        run(import.arg(&layer).arg(&name));
        if let Some(instruction) = instructions.iter().find(|it| !is_imported(it)) {
            let signal = &instruction[STOP_SIGNAL.len()..];
            run(runtime.client().args(["create", "--name", &container, "--stop-signal", signal, &name]));
            run(runtime.client().args(["commit", &container, &name]));
            run(runtime.client().args(["rm", &container]));
        }
        std::fs::remove_file(&layer).expect("it was made");
        Self { runtime, name }
    }

    /// Runs it as it is; returns PID 1.
    pub fn start(&self, container: &str) -> i32 {
        let mut start = self.runtime.client();
        start.args(["run", "--detach", "--network", "none", "--name", container]);
        start.args(["--cgroup-parent", &self.runtime.cgroup(), &self.name]);
        let id = run(&mut start);
        let pid = run(self.runtime.client().args(["inspect", "--format", "{{.State.Pid}}", &id]));
        pid.parse().expect("a pid")
    }

    /// How a container ended.
    pub fn exit_code(&self, container: &str) -> i32 {
        let code = run(self.runtime.client().args(["inspect", "--format", "{{.State.ExitCode}}", container]));
        code.parse().expect("a number")
    }
}

impl<R: Images> Drop for StoredImage<'_, R> {
    fn drop(&mut self) {
        run(self.runtime.client().args(["rmi", "--force", &self.name]));
    }
}
