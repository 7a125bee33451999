//! runc and crun by themselves, as used by people and scripts.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

use super::image::{self, INIT};
use super::{Commands, Launched, Limiting, Runtime, Shared, code, identity, run, sandbox, tried};
use crate::{Actor, Skip, binaries, clock, process, require};

static RUNC: Shared<Runc> = Shared::new();
static CRUN: Shared<Crun> = Shared::new();

/// runc.
#[derive(Debug)]
pub struct Runc(Bundles);

/// crun.
#[derive(Debug)]
pub struct Crun(Bundles);

macro_rules! oci_runtime {
    ($type:ident, $name:literal, $shared:ident) => {
        impl Runtime for $type {
            fn shared() -> Result<Arc<Self>, Skip> {
                $shared.get(|| Bundles::new($name).map(Self))
            }

            fn start(&self, name: &str, command: &[&str], init: bool) -> Launched {
                self.0.start(name, command, init)
            }

            fn exec(&self, id: &str, command: &[&str]) -> i32 {
                code(&mut self.exec_line(id, command))
            }

            fn stop(&self, id: &str, grace: Duration) {
                self.0.stop(id, grace);
            }

            fn remove(&self, id: &str) {
                run(self.0.command().args(["delete", "--force", id]));
            }

            fn stopper(&self) -> &'static [&'static str] {
                // This test, as the kernel truncates its name.
                &["containers"]
            }

            fn parent_of_execs(&self) -> &'static str {
                $name
            }
        }

        impl Commands for $type {
            fn run_line(&self, name: &str, command: &[&str]) -> Command {
                self.0.run_line(name, command)
            }

            fn exec_line(&self, id: &str, command: &[&str]) -> Command {
                let mut line = self.0.command();
                line.args(["exec", id]).args(command);
                line
            }

            fn stop_line(&self, id: &str, seconds: u32) -> Command {
                self.0.stop_line(id, seconds)
            }
        }

        impl Limiting for $type {
            fn run_actor(&self, name: &str, arguments: &[&str], pids: u64) -> (Actor, Launched) {
                self.0.run_actor(name, arguments, pids)
            }
        }
    };
}

oci_runtime!(Runc, "runc", RUNC);
oci_runtime!(Crun, "crun", CRUN);

/// A runtime that takes a bundle: a root file system and a configuration.
#[derive(Debug)]
struct Bundles {
    name: &'static str,
    program: PathBuf,
    root: PathBuf,
}

impl Bundles {
    fn new(name: &'static str) -> Result<Self, Skip> {
        require::root()?;
        let (program, image) = (require::program(name)?, image::shared()?);
        let bundles = Self { name, program, root: image.root.clone() };
        // Whether it can run anything here.
        let probe = format!("{name}-probe");
        let bundle = bundles.bundle(&probe, &bundles.config(&probe, &["true"]));
        tried(bundles.command().arg("run").arg("--bundle").arg(bundle).arg(&probe))?;
        Ok(bundles)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if self.name == "crun" {
            // It refuses a hybrid host, but accepts the version 1 hierarchies alone.
            // SAFETY: these are system calls on constants, nothing is allocated.
            unsafe {
                command.pre_exec(hide_version_2);
            }
        }
        command
    }

    fn bundle(&self, id: &str, config: &Value) -> PathBuf {
        let folder = sandbox::folder(self.name).join(id);
        fs::create_dir_all(&folder).expect("the sandbox's own folder");
        fs::write(folder.join("config.json"), config.to_string()).expect("the sandbox's own folder");
        folder
    }

    /// With a limit on pids, and `zt-actor` in it with the machine's libraries.
    fn config_with_actor(&self, id: &str, arguments: &[&str], pids: u64) -> Value {
        let actor = binaries::actor();
        let mut config = self.config(id, &[&["/actor"], arguments].concat());
        config["linux"]["resources"]["pids"] = json!({"limit": pids});
        let mounts = config["mounts"].as_array_mut().expect("a list");
        let shared = ["/lib", "/lib64"].map(Path::new).into_iter().filter(|folder| folder.exists());
        let shared = shared.map(|folder| (folder, folder)).chain([(Path::new("/actor"), actor)]);
        mounts.extend(
            shared.map(
                |(to, from)| json!({"destination": to, "type": "bind", "source": from, "options": ["bind", "ro"]}),
            ),
        );
        config
    }

    fn run_actor(&self, name: &str, arguments: &[&str], pids: u64) -> (Actor, Launched) {
        let id = format!("{}-{name}", self.name);
        let bundle = self.bundle(&id, &self.config_with_actor(&id, arguments, pids));
        let mut command = self.command();
        command.arg("run").arg("--bundle").arg(bundle).arg(&id);
        let mut actor = Actor::start(command);
        actor.line("parent");
        let pid = self.pid(&id);
        (actor, Launched { identity: identity(self.name, &id), id, pid })
    }

    fn pid(&self, id: &str) -> i32 {
        let state: Value = serde_json::from_str(&run(self.command().args(["state", id]))).expect("JSON");
        state["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("the state has a pid")
    }

    fn config(&self, id: &str, command: &[&str]) -> Value {
        let namespaces = ["pid", "mount", "ipc", "uts"].map(|kind| json!({"type": kind}));
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": command, "env": ["PATH=/bin:/sbin"],
                "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
            },
            "root": {"path": self.root, "readonly": true},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            ],
            "linux": {
                "cgroupsPath": format!("{}/{id}", sandbox::cgroup()),
                "resources": {"devices": [{"allow": true, "access": "rwm"}]},
                "namespaces": namespaces,
            },
        })
    }

    fn start(&self, name: &str, command: &[&str], init: bool) -> Launched {
        let id = format!("{}-{name}", self.name);
        let init: &[&str] = if init { &[INIT, "--"] } else { &[] };
        let bundle = self.bundle(&id, &self.config(&id, &[init, command].concat()));
        let mut start = self.command();
        start.args(["run", "--detach", "--bundle"]).arg(bundle).arg(&id);
        // The container would keep these descriptors open.
        let status = start.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("the runtime can be started");
        assert!(status.success(), "{start:?}: {status}");
        let pid = self.pid(&id);
        Launched { identity: identity(self.name, &id), id, pid }
    }

    fn run_line(&self, name: &str, command: &[&str]) -> Command {
        let id = format!("{}-{name}", self.name);
        let mut line = self.command();
        line.args(["run", "--bundle"]).arg(self.bundle(&id, &self.config(&id, command))).arg(&id);
        line
    }

    fn stop_line(&self, id: &str, seconds: u32) -> Command {
        let kill = format!("{} kill {id}", self.program.display());
        let mut script = Command::new("sh");
        script.arg("-c").arg(format!("{kill} TERM; sleep {seconds}; {kill} KILL; sleep 0.5"));
        script
    }

    /// There is no stop with a grace, so it is what people write into scripts.
    fn stop(&self, id: &str, grace: Duration) {
        let is_over = || {
            let state: Value = serde_json::from_str(&run(self.command().args(["state", id]))).expect("JSON");
            state["status"] == "stopped"
        };
        run(self.command().args(["kill", id, "TERM"]));
        if !process::eventually(grace, is_over) {
            run(self.command().args(["kill", id, "KILL"]));
            assert!(process::eventually(clock::deadline(), is_over), "{id} is dead");
        }
    }
}

/// In the child, where nothing may be allocated.
fn hide_version_2() -> std::io::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    match umount("/sys/fs/cgroup/unified") {
        // Not a hybrid host.
        Err(Errno::EINVAL | Errno::ENOENT) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
