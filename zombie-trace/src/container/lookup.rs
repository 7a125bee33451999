//! Finds all that is known about the container of a cgroup path, from all sources.

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

    /// The container of a cgroup path. `now` is any monotonic clock.
    pub fn container(&mut self, path: &str, now: Duration) -> Option<Container> {
        let mut container = match cgroup::container(path) {
            Some(mut container) => match self.around(path, &container) {
                // A path does not show a bare runtime's container, and may show anything inside it.
                Some(outer) => {
                    let inner = container.inner.take().unwrap_or_else(|| Box::new(container));
                    Container { inner: Some(inner), ..outer }
                }
                None => {
                    self.states.enrich(&mut container);
                    container
                }
            },
            None => self.states.find(path)?,
        };
        self.kubelet.enrich(&mut container, now);
        Some(container)
    }

    /// The container around the cgroup of this one, according to its runtime's own files.
    fn around(&self, path: &str, container: &Container) -> Option<Container> {
        let (above, _) = path.get(..path.find(&container.id)?)?.rsplit_once('/')?;
        (!above.is_empty()).then(|| self.states.find(above))?
    }
}
