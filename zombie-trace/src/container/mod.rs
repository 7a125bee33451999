//! Finds what runs in a cgroup path: a container with its runtime and pod, or a systemd unit.
//!
//! In the kernel a container's identity is only its cgroup path, which every process has, without a daemon.
//! [`identify`] and [`from_proc_cgroup`] are pure functions on it. Names, which paths do not contain, come from the
//! files of the runtimes ([`StateFiles`]) and the log folders of the kubelet ([`KubeletLogs`]); [`Lookup`] uses all of
//! them. [`Selector`] is how a user names a container.
//!
//! Not here: talking to a runtime or an API server, and escaping. The creator of the cgroup, the pod or the log file
//! chose every string; strings are kept unchanged and escaped when printed.
//!
//! Two rules decide what is recognised:
//! - *A false identity is worse than none.* A path that other software may also write (`/default/k1` of `ctr`, `/zt/c1`
//!   of a bare `runc`) is identified only by the runtime's own files; an id in a path must have the runtime's form.
//! - *The outermost container is the real one*: the host's runtime made its cgroup. Programs in the container may
//!   create cgroups of any name below it, as kind and docker-in-docker do, and attackers. So the innermost one is
//!   reported separately, as [`Container::inner`], and never looked up in the host's files.

mod cgroup;
mod kubelet;
mod lookup;
mod proc_cgroup;
mod selector;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use cgroup::{container, identify};
pub use kubelet::{KubeletError, KubeletLogs};
pub use lookup::Lookup;
pub use proc_cgroup::from_proc_cgroup;
pub use selector::{Selector, SelectorError};
pub use state::StateFiles;

/// Who created a container. The serialised names are part of the machine output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Runtime {
    /// Docker, including `BuildKit` steps run by dockerd.
    #[serde(rename = "docker")]
    Docker,
    /// containerd, by its CRI plug-in, by nerdctl or by ctr.
    #[serde(rename = "containerd")]
    Containerd,
    /// CRI-O.
    #[serde(rename = "cri-o")]
    CriO,
    /// Podman, with root or without.
    #[serde(rename = "podman")]
    Podman,
    /// LXC, and with it LXD, Incus, Proxmox and libvirt's LXC driver.
    #[serde(rename = "lxc")]
    Lxc,
    /// A task of Nomad's exec, raw_exec or java driver; Nomad's docker driver reads as Docker.
    #[serde(rename = "nomad")]
    Nomad,
    /// Garden, as in Cloud Foundry and Concourse.
    #[serde(rename = "garden")]
    Garden,
    /// systemd-nspawn.
    #[serde(rename = "systemd")]
    Systemd,
    /// runc, by itself.
    #[serde(rename = "runc")]
    Runc,
    /// crun, by itself.
    #[serde(rename = "crun")]
    Crun,
}

impl Runtime {
    /// The name in the machine output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::Nomad => "nomad",
            Self::Garden => "garden",
            Self::Systemd => "systemd",
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }

    /// Whether the runtime chooses ids, so that they may be abbreviated. LXC and nspawn have names instead of ids, and
    /// the caller of runc or crun chooses both.
    #[must_use]
    pub fn has_generated_ids(self) -> bool {
        !matches!(self, Self::Lxc | Self::Systemd | Self::Runc | Self::Crun)
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A container of a Compose project.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Compose {
    /// The project.
    pub project: String,
    /// The service.
    pub service: String,
}

/// A container, as far as it is known.
///
/// Serialises to the object `container` of the machine output, without unknown fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Container {
    /// Who created it.
    pub runtime: Runtime,
    /// The full id: 64 hex digits for most runtimes, 25 letters and digits for a `BuildKit` step, the allocation's UUID
    /// for Nomad, the handle for Garden, the name for LXC and nspawn, what the caller chose for runc, crun and ctr.
    pub id: String,
    /// The container's name: given by the user, in a pod from the pod's spec, for Nomad the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name of the Kubernetes pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The Kubernetes namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The UID of the Kubernetes pod with dashes as the API server prints it, the 32 hex digits of a static pod's
    /// configuration hash, or the id of a Podman pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// The image that it was made of, as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What it is to Compose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose: Option<Box<Compose>>,
    /// The innermost container within this one, as the path of its cgroup has it: what runs in this container may have
    /// made that up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<Box<Container>>,
}

impl Container {
    /// A container of which only this is known.
    #[must_use]
    pub fn new(runtime: Runtime, id: String) -> Self {
        Self {
            runtime,
            id,
            name: None,
            pod: None,
            namespace: None,
            pod_uid: None,
            image: None,
            compose: None,
            inner: None,
        }
    }

    /// The Compose project that it belongs to.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.compose.as_ref().map(|compose| compose.project.as_str())
    }

    /// The same with every text changed, also in the inner one: for escaping.
    #[must_use]
    pub fn map_texts(mut self, change: &dyn Fn(&str) -> String) -> Self {
        self.id = change(&self.id);
        let names = [&mut self.name, &mut self.pod, &mut self.namespace, &mut self.pod_uid, &mut self.image];
        for text in names.into_iter().flatten() {
            *text = change(text);
        }
        if let Some(compose) = &mut self.compose {
            compose.project = change(&compose.project);
            compose.service = change(&compose.service);
        }
        self.inner = self.inner.map(|inner| Box::new(inner.map_texts(change)));
        self
    }
}

/// The kinds of systemd units that have processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitKind {
    /// A `.service`.
    Service,
    /// A `.scope`: a login session, a virtual machine, a container's monitor.
    Scope,
    /// A `.socket`: its control processes.
    Socket,
    /// A `.mount`: `mount` itself and file systems in userspace.
    Mount,
    /// A `.swap`: `swapon`.
    Swap,
}

/// A systemd unit: not a container, but a familiar name for the process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unit {
    /// The unit's full name as `systemctl` takes it, escapes included.
    pub name: String,
    /// Its kind, from the suffix of the name.
    pub kind: UnitKind,
    /// Whether it belongs to a user's service manager (`systemctl --user`), not the system's.
    pub user: bool,
}

/// What a cgroup path says about a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// In a container.
    Container(Container),
    /// In no container, but in a unit.
    Unit(Unit),
}

impl Identity {
    /// The container, if it is one.
    #[must_use]
    pub fn container(&self) -> Option<&Container> {
        match self {
            Self::Container(container) => Some(container),
            Self::Unit(_) => None,
        }
    }

    /// The unit, if it is one.
    #[must_use]
    pub fn unit(&self) -> Option<&Unit> {
        match self {
            Self::Container(_) => None,
            Self::Unit(unit) => Some(unit),
        }
    }
}
