//! What has been seen of clients and containers.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::request::Request;
use crate::{
    container::{Runtime, Selector},
    event::{BootNs, ExitStatus, ProcessKey},
};

/// Which containers a person wants to be followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Chosen {
    /// Those that the command starts or acts on.
    #[default]
    Own,
    /// All that begin while the command runs.
    New,
    /// All of the machine.
    All,
    /// These.
    Named(Vec<Selector>),
}

/// A client that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) name: &'static str,
    /// It is the command's.
    pub(super) descends: bool,
    pub(super) began: BootNs,
    /// When it ended, if it has.
    pub(super) ended: Option<BootNs>,
    /// What it asked for; `None` if its command line was not read in time.
    pub(super) request: Option<Request>,
}

/// The first process of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) struct Init {
    pub(in crate::report) key: ProcessKey,
    /// It is PID 1 of a namespace.
    pub(in crate::report) is_pid_1: bool,
    pub(in crate::report) descends: bool,
    pub(in crate::report) pid_ns: u32,
    pub(in crate::report) exit: Option<(BootNs, ExitStatus)>,
}

/// What ran in a cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// It had processes before the command began.
    pub(super) preexisting: bool,
    pub(super) init: Option<Init>,
}

/// Everything that tells which containers belong to a command.
#[derive(Debug)]
pub struct Following {
    /// The whole machine is traced, others included.
    pub(in crate::report) is_amid_machine: bool,
    pub(super) chosen: Chosen,
    /// When the command began.
    pub(super) began: BootNs,
    /// The name that Compose gives to the project in the working directory.
    pub(super) project: Option<String>,
    pub(super) clients: BTreeMap<ProcessKey, Client>,
    /// By the id of the cgroup.
    pub(super) cgroups: FxHashMap<u64, Seen>,
    /// More clients ran than are kept.
    pub(super) is_overfull: bool,
}

impl Following {
    /// Of a command that begins at this time, where nothing but its descendants is traced.
    #[must_use]
    pub fn of_descendants(began: BootNs) -> Self {
        Self { is_amid_machine: false, ..Self::amid_machine(Chosen::Own, began, None) }
    }

    /// The same where the whole machine is traced, in a folder that Compose knows by this name.
    #[must_use]
    pub fn amid_machine(chosen: Chosen, began: BootNs, project: Option<String>) -> Self {
        Self {
            is_amid_machine: true,
            chosen,
            began,
            project,
            clients: BTreeMap::new(),
            cgroups: FxHashMap::default(),
            is_overfull: false,
        }
    }
}

impl Client {
    /// Whether it ran at this time.
    pub(super) fn runs_at(&self, time: BootNs) -> bool {
        self.began <= time && self.ended.is_none_or(|ended| time <= ended)
    }

    /// Whether a container of this runtime may be of its making.
    pub(super) fn speaks_to(&self, runtime: Runtime) -> bool {
        match self.name {
            // Podman has a socket that speaks Docker's language.
            "docker" | "docker-compose" | "docker-buildx" => matches!(runtime, Runtime::Docker | Runtime::Podman),
            "podman" | "podman-remote" | "podman-compose" => runtime == Runtime::Podman,
            "ctr" | "nerdctl" => runtime == Runtime::Containerd,
            "crictl" | "kubectl" | "oc" | "helm" => {
                matches!(runtime, Runtime::Containerd | Runtime::CriO | Runtime::Docker)
            }
            "runc" => runtime == Runtime::Runc,
            "crun" => runtime == Runtime::Crun,
            "lxc" | "incus" => runtime == Runtime::Lxc,
            _ => true,
        }
    }
}
