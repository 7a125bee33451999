//! Names of containers, and the identity of those whose cgroup does not show it, from the runtimes' files.
//!
//! A container of a bare `runc`, of `crun` or of `ctr` may be in a cgroup of any path. Its runtime has written down
//! which one, in a folder that only root can write, so a match is certain. Container names are in no cgroup path.
//!
//! Only the default folders of root's runtimes are read, without a daemon. Every file is found by id or in a short
//! listing, read up to a limit, and counts as absent if it is not as expected.

mod containerd;
mod docker;
mod oci;
mod podman;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::{Compose, Container, Runtime};
use crate::files::read;

/// Longer files are not read.
const MAX_BYTES: u64 = 4 << 20;
/// Maximum number of cgroups of a path looked up, from the root: runtimes nest no deeper, though programs in a
/// container may.
const MAX_DEPTH: usize = 32;

/// The runtimes' folders.
#[derive(Debug)]
pub struct StateFiles {
    root: PathBuf,
}

impl StateFiles {
    /// The folders below `root`: `/` for the host's own, or wherever the host's root is mounted.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Fills in what the runtime's files say about a container. Known values stay.
    pub fn enrich(&self, container: &mut Container) {
        let found = match container.runtime {
            Runtime::Docker => docker::labels(&self.root, &container.id),
            Runtime::Containerd => containerd::labels(&self.root, &container.id),
            Runtime::Podman => podman::labels(&self.root, &container.id),
            _ => None,
        };
        let Some(Labels { name, pod, namespace, image, compose }) = found else { return };
        container.name = container.name.take().or(name);
        container.pod = container.pod.take().or(pod);
        container.namespace = container.namespace.take().or(namespace);
        container.image = container.image.take().or(image);
        container.compose = container.compose.take().or(compose);
    }

    /// The container that is in this cgroup or in one above it, according to its runtime's own files; the outermost,
    /// because cgroups below a container's are not the runtime's.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Container> {
        let path = super::cgroup::strip_deleted(path);
        let ends = path.char_indices().filter(|&(at, letter)| letter == '/' && at > 0).map(|(at, _)| at);
        ends.chain([path.len()])
            .take(MAX_DEPTH)
            .filter_map(|end| path.get(..end))
            .find_map(|cgroup| oci::container(&self.root, cgroup).or_else(|| containerd::container(&self.root, cgroup)))
    }
}

/// Names that users know a container by.
#[derive(Debug, Default, PartialEq, Eq)]
struct Labels {
    name: Option<String>,
    pod: Option<String>,
    namespace: Option<String>,
    image: Option<String>,
    compose: Option<Box<Compose>>,
}

impl Labels {
    fn name(name: &str) -> Option<Self> {
        (!name.is_empty()).then(|| Self { name: Some(name.to_owned()), ..Self::default() })
    }
}

/// A JSON file; `None` if it is missing or not as expected.
fn json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&read::bytes(path, MAX_BYTES).ok()?).ok()
}

/// Whether a text can be one entry of a folder.
fn is_entry(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/')
}
