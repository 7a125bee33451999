//! containerd, for `ctr` and for the CRI.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use super::daemon::Daemon;
use super::{Shared, image, sandbox, tried};
use crate::{Skip, require};

pub(super) static SHARED: Shared<Containerd> = Shared::new();

/// Where it listens.
pub(super) const SOCKET: &str = "/run/containerd/containerd.sock";
/// The snapshotter that needs nothing of the file system.
pub(super) const SNAPSHOTTER: &str = "native";
/// Namespace of ctr's containers, which is also the first part of their cgroups' path.
pub(super) fn namespace() -> String {
    sandbox::cgroup().trim_start_matches('/').to_owned()
}

#[derive(Debug)]
pub(super) struct Containerd {
    ctr: PathBuf,
    _daemon: Daemon,
}

/// The daemon, started on first use, with the images in both namespaces.
pub(super) fn shared() -> Result<Arc<Containerd>, Skip> {
    SHARED.get(Containerd::new)
}

impl Containerd {
    fn new() -> Result<Self, Skip> {
        require::root()?;
        let (program, ctr, image) = (require::program("containerd")?, require::program("ctr")?, image::shared()?);
        let folder = sandbox::folder("containerd");
        let config = folder.join("config.toml");
        // Without CAP_SYS_RESOURCE no score can be lowered.
        let text = format!(
            "version = 2\noom_score = 0\n\
             [plugins.\"io.containerd.grpc.v1.cri\"]\n\
             restrict_oom_score_adj = true\ndisable_apparmor = true\nsandbox_image = \"{}\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\".containerd]\nsnapshotter = \"{SNAPSHOTTER}\"\n",
            image::PAUSE
        );
        std::fs::write(&config, text).expect("the sandbox's own folder");
        let mut command = Command::new(program);
        command.arg("--config").arg(config);
        let is_up = || tried(Command::new(&ctr).args(["--address", SOCKET, "version"])).is_ok();
        let daemon = Daemon::start(command, &folder.join("log"), is_up)?;
        let containerd = Self { ctr, _daemon: daemon };
        let archive = image.archive();
        for namespace in [namespace().as_str(), "k8s.io"] {
            let mut import = containerd.ctr(namespace);
            tried(import.args(["images", "import", "--snapshotter", SNAPSHOTTER]).arg(&archive))?;
        }
        Ok(containerd)
    }

    /// The client, in a namespace.
    pub(super) fn ctr(&self, namespace: &str) -> Command {
        let mut command = Command::new(&self.ctr);
        command.args(["--address", SOCKET, "--namespace", namespace]);
        command
    }
}
