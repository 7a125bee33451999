//! From a cgroup path to all that is known of the container, from whatever source.

use std::{path::Path, time::Duration};

use super::{Container, KubeletLogs, StateFiles, cgroup};

/// Asks the path, then the runtime's files, then the kubelet's folders.
#[derive(Debug)]
pub struct Lookup {
    kubelet: KubeletLogs,
    states: StateFiles,
}

impl Lookup {
    /// With the files below `root`: `/` for the host's own, or wherever the host's root is mounted.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { kubelet: KubeletLogs::new(root), states: StateFiles::new(root) }
    }

    /// The container of a cgroup path. `now` is any clock that goes forward.
    pub fn container(&mut self, path: &str, now: Duration) -> Option<Container> {
        let mut container = match cgroup::container(path) {
            Some(mut container) => {
                self.states.enrich(&mut container);
                container
            }
            None => self.states.find(path)?,
        };
        self.kubelet.enrich(&mut container, now);
        Some(container)
    }
}
