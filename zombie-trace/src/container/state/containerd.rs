//! containerd: a folder per container and namespace, with the container's OCI configuration in it.
//!
//! Its annotations contain what the CRI plug-in and nerdctl know about the container: the pod's name, if the kubelet's
//! log folders are elsewhere or lack it, as for the pod's sandbox.

use std::{collections::HashMap, fs, path::Path};

use serde::Deserialize;

use super::{super::Container, super::Runtime, Labels, is_entry, json};

/// containerd's own folder and that of k3s.
const TASKS: [&str; 2] =
    ["run/containerd/io.containerd.runtime.v2.task", "run/k3s/containerd/io.containerd.runtime.v2.task"];

/// Maximum number of namespaces searched; there are rarely more than three.
const MAX_NAMESPACES: usize = 64;

/// The used part of `config.json`.
#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    annotations: HashMap<String, String>,
    #[serde(default)]
    linux: Linux,
}

#[derive(Default, Deserialize)]
struct Linux {
    #[serde(default, rename = "cgroupsPath")]
    cgroup: String,
}

/// The container that containerd has put into exactly this cgroup: by default `/NAMESPACE/ID`.
pub(super) fn container(root: &Path, cgroup: &str) -> Option<Container> {
    let mut parts = cgroup.rsplit('/');
    let (id, namespace) = (parts.next()?, parts.next()?);
    if !is_entry(id) || !is_entry(namespace) {
        return None;
    }
    let mut specs = TASKS.iter().filter_map(|tasks| spec(&root.join(tasks).join(namespace), id));
    let spec = specs.find(|spec| spec.linux.cgroup == cgroup)?;
    let Labels { name, pod, namespace, image, compose } = spec.labels();
    Some(Container { name, pod, namespace, image, compose, ..Container::new(Runtime::Containerd, id.to_owned()) })
}

/// What is known about the container with this id, in any namespace.
pub(super) fn labels(root: &Path, id: &str) -> Option<Labels> {
    TASKS.iter().find_map(|tasks| {
        let namespaces = fs::read_dir(root.join(tasks)).ok()?.take(MAX_NAMESPACES).flatten();
        namespaces.into_iter().find_map(|namespace| Some(spec(&namespace.path(), id)?.labels()))
    })
}

fn spec(namespace: &Path, id: &str) -> Option<Spec> {
    is_entry(id).then(|| json(&namespace.join(id).join("config.json")))?
}

impl Spec {
    fn labels(mut self) -> Labels {
        let mut take = |key: &str| self.annotations.remove(key).filter(|text| !text.is_empty());
        Labels {
            name: take("io.kubernetes.cri.container-name").or_else(|| take("nerdctl/name")),
            pod: take("io.kubernetes.cri.sandbox-name"),
            namespace: take("io.kubernetes.cri.sandbox-namespace"),
            image: take("io.kubernetes.cri.image-name"),
            compose: None,
        }
    }
}
