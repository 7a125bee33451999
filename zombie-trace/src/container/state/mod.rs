//! What runtimes keep about their containers in files: names, and the identity of those whose cgroup does not tell.
//!
//! A container of a bare `runc`, of `crun` or of `ctr` may sit in a cgroup of any path. Its runtime has written down
//! which one, in a folder that only root can write: where that is the very path in question, it is no guess. The names
//! that people give to containers stand in no cgroup path at all.
//!
//! Only the default folders of root's runtimes are looked at, and no daemon is asked. Every file is found by an id or by
//! a listing of a few entries, read up to a limit, and counts as absent when it is not what was expected.

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
/// Maximum number of cgroups of a path that are looked up, from the root: a runtime nests no deeper, a container may.
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

    /// Fills in what the runtime's files say of a container. What is already known stays.
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
    /// since what lies below a container's cgroup is not the runtime's.
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

/// What a person calls a container.
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

/// A file of JSON; `None` if it is not there, or not what is expected.
fn json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&read::bytes(path, MAX_BYTES).ok()?).ok()
}

/// Whether a text can be one entry of a folder.
fn is_entry(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/')
}
