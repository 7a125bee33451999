//! runc and crun, started by themselves: they keep one folder per container, named after it.

use std::{collections::HashMap, path::Path};

use serde::Deserialize;

use super::{super::Container, super::Runtime, is_entry, json};

/// `/run/runc/ID/state.json` (runc's `libcontainer/container_linux.go`, `State`).
#[derive(Deserialize)]
struct RuncState {
    id: String,
    /// Directories by controller; the unified hierarchy has an empty name.
    cgroup_paths: HashMap<String, String>,
}

impl RuncState {
    fn is_in(&self, cgroup: &str) -> bool {
        let below = |controller: &str, mount: &str| {
            self.cgroup_paths.get(controller).and_then(|it| it.strip_suffix(cgroup)).is_some_and(|it| it == mount)
        };
        below("", "/sys/fs/cgroup") || below("", "/sys/fs/cgroup/unified") || below("pids", "/sys/fs/cgroup/pids")
    }
}

/// `/run/crun/ID/status` (crun's `src/libcrun/status.c`).
#[derive(Deserialize)]
struct CrunStatus {
    #[serde(rename = "cgroup-path")]
    cgroup: String,
}

/// The container whose own cgroup this is.
pub(super) fn container(root: &Path, cgroup: &str) -> Option<Container> {
    ids(cgroup).find_map(|id| {
        let of = |runtime| Container::new(runtime, id.to_owned());
        let runc = || json::<RuncState>(&root.join("run/runc").join(id).join("state.json"));
        let crun = || json::<CrunStatus>(&root.join("run/crun").join(id).join("status"));
        if runc().is_some_and(|state| state.id == id && state.is_in(cgroup)) {
            return Some(of(Runtime::Runc));
        }
        crun().filter(|status| status.cgroup == cgroup).map(|_| of(Runtime::Crun))
    })
}

/// Ids that a container in this cgroup may have: its last part, or with systemd what follows the prefix in the scope.
fn ids(cgroup: &str) -> impl Iterator<Item = &str> {
    let last = cgroup.rsplit('/').next().unwrap_or_default();
    let scope = last.strip_suffix(".scope").and_then(|scope| scope.split_once('-')).map(|(_, id)| id);
    [Some(last), scope].into_iter().flatten().filter(|id| is_entry(id))
}
